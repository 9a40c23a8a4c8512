/**
 * `getRope`: from a request to the one shared instance of that rope.
 */

import type { RopeBackend } from "./backend.ts";
import { invalid, RopeError, show } from "./errors.ts";
import type { RotaryEmbedding } from "./interface.ts";
import { checkKeys } from "./keys.ts";
import { plainCopy, readsAs } from "./plain-data.ts";
import type { RopeProvider, RopeRegistration, RopeSpelling } from "./provider.ts";
import { checkProvider, defaultRegistry } from "./registry.ts";
import type { RopeRegistry } from "./registry.ts";
import { parseRequest } from "./request.ts";
import type { Names, ParsedRequest, UntypedRopeRequest } from "./request.ts";
import { createRope } from "./rope.ts";

/** Where `getRope` looks. */
export interface GetRopeOptions {
  /** Default: the registry that provider packages register in when they are imported. */
  readonly registry?: RopeRegistry;
  /** Use this provider for `parameters.ropeType`, whatever any registry says. */
  readonly provider?: RopeProvider | RopeSpelling;
}

/** Numbers about the instance cache. */
export interface RopeCacheStatistics {
  readonly size: number;
  readonly capacity: number;
  readonly hits: number;
  readonly misses: number;
  readonly evictions: number;
}

/** Instances kept; a process rarely uses more than a few. The least recently used goes first. */
const CAPACITY = 256;

/** Entries whose request is compared as it was written; a model asks for one rope, or one for each kind of layer. */
const RECENT = 8;

/** One instance, with the request that last asked for it. */
interface CachedRope {
  readonly rope: RotaryEmbedding;
  /** The canonical text of the request: equal requests have equal texts. */
  readonly key: string;
  /** The type of the rope, and what the name in `written` stood for. Another registration of either makes the entry stale. */
  readonly registration: RopeRegistration;
  named: RopeRegistration | undefined;
  /** A copy of the request as it was written, for hits without parsing: a canonical text takes microseconds. */
  written: UntypedRopeRequest | undefined;
}

/** The ropes of one registry, most recently used first. */
class InstanceCache {
  #entries: CachedRope[] = [];
  #hits = 0;
  #misses = 0;
  #evictions = 0;

  get(request: UntypedRopeRequest, names: Names, make: (parsed: ParsedRequest) => RotaryEmbedding): RotaryEmbedding {
    const index = this.#entries.findIndex(
      ({ written }, i) => i < RECENT && written !== undefined && readsAs(request, written),
    );
    const found = this.#entries[index];
    // A name may have been registered anew since; its old ropes must not come back.
    if (found !== undefined && isCurrent(found, names)) return this.#hit(index, found);

    const written = plainCopy(request) as UntypedRopeRequest;
    const parsed = parseRequest(written, names);
    const named = names.ropeType(written.parameters.ropeType);
    const { registration } = parsed;
    // A spec is plain finite data with its keys in one order, so its JSON is the same for the same rope only.
    const key = JSON.stringify(parsed.spec);
    const known = this.#entries.findIndex((entry) => entry.key === key);
    const entry = this.#entries[known];
    if (entry !== undefined && entry.registration.provider === registration.provider) {
      Object.assign(entry, { written, named });
      return this.#hit(known, entry);
    }
    const rope = make(parsed);
    if (known !== -1) this.#entries.splice(known, 1);
    this.#misses++;
    this.#entries.unshift({ rope, key, registration, written, named });
    if (this.#entries.length > CAPACITY) {
      this.#entries.pop();
      this.#evictions++;
    }
    return rope;
  }

  #hit(index: number, entry: CachedRope): RotaryEmbedding {
    this.#hits++;
    if (index > 0) {
      this.#entries.splice(index, 1);
      this.#entries.unshift(entry);
    }
    return entry.rope;
  }

  evict(name: string): void {
    this.#entries = this.#entries.filter(
      ({ registration: { name: own, ropeType } }) => own !== name && ropeType !== name,
    );
    // What was written with an alias may mean something else when the alias comes back.
    for (const entry of this.#entries) entry.written = entry.named = undefined;
  }

  clear(): void {
    this.#entries = [];
    this.#hits = this.#misses = this.#evictions = 0;
  }

  statistics(): RopeCacheStatistics {
    const { length: size } = this.#entries;
    return { size, capacity: CAPACITY, hits: this.#hits, misses: this.#misses, evictions: this.#evictions };
  }
}

/** The caches of one registry: of its own types, and of providers that came as a value with its backends. */
interface RegistryCaches {
  readonly own: InstanceCache;
  ofProvider: WeakMap<RopeProvider | RopeSpelling, InstanceCache>;
}

const caches = new WeakMap<RopeRegistry, RegistryCaches>();

function cachesOf(registry: RopeRegistry): RegistryCaches {
  let known = caches.get(registry);
  if (known === undefined) {
    if (typeof (registry as Partial<RopeRegistry> | null)?.onUnregister !== "function") {
      const expected = "what createRegistry() makes, or nothing for the shared one";
      throw invalid("the options", [{ path: "registry", expected, received: show(registry) }]);
    }
    const own = new InstanceCache();
    registry.onUnregister((name) => own.evict(name));
    caches.set(registry, (known = { own, ofProvider: new WeakMap() }));
  }
  return known;
}

function cacheOf(registry: RopeRegistry, provider: GetRopeOptions["provider"]): InstanceCache {
  const { own, ofProvider } = cachesOf(registry);
  if (provider === undefined) return own;
  let cache = ofProvider.get(provider);
  if (cache === undefined) {
    checkProvider("a rope type", provider);
    ofProvider.set(provider, (cache = new InstanceCache()));
  }
  return cache;
}

/**
 * The rope that a request describes, its parameters unchecked by the compiler; `getRope` is the same with types.
 *
 * Equal requests give the same frozen instance: in any order of keys, with lists or typed arrays, with defaults written
 * out or not. A request that differs in any field gives another.
 *
 * @throws RopeError `ROPE_UNKNOWN_TYPE`, `ROPE_INVALID_PARAMETERS` (with all issues), `ROPE_SPEC_VERSION`.
 */
export function getRopeUntyped(request: UntypedRopeRequest, options: GetRopeOptions = {}): RotaryEmbedding {
  checkKeys("the options of getRope", options, ["registry", "provider"]);
  const { registry = defaultRegistry, provider } = options;
  const cache = cacheOf(registry, provider);
  const registered = (name: unknown): RopeRegistration => registry.require(name);
  const ropeType = provider === undefined ? registered : (name: unknown) => asRegistration(name, provider);
  const { queryScales } = registry;
  return cache.get(request, { ropeType, registered, queryScales }, ({ spec, provider: formula }) => {
    const backend = (name: string): RopeBackend => registry.requireBackend(name);
    const { queryScale: given } = spec;
    const rule = given === null ? undefined : queryScales.get(given.rule);
    const queryScale =
      rule === undefined ? null : (position: number) => checkedScale(rule.scale(position, given), position);
    return createRope(spec, formula, { backend, queryScale });
  });
}

/** Whether the names that led to a rope still stand for the same providers. */
function isCurrent({ named, registration }: CachedRope, names: Names): boolean {
  if (named === undefined || names.ropeType(named.name).provider !== named.provider) return false;
  // A spelling leads to a type of another name.
  if (named.provider === registration.provider) return true;
  return names.registered(registration.name).provider === registration.provider;
}

/** @throws RopeError `ROPE_POSITION_RANGE` for a position at which the rule has no number. */
function checkedScale(scale: number, position: number): number {
  if (Number.isFinite(Math.fround(scale))) return scale;
  throw new RopeError("ROPE_POSITION_RANGE", {
    what: `the query scale has no value at position ${position}`,
    expected: "a position at which its rule gives a finite number",
    received: show(scale),
    facts: { position },
  });
}

function asRegistration(name: unknown, provider: RopeProvider | RopeSpelling): RopeRegistration {
  if (typeof name === "string") return { name, ropeType: name, provider, presets: {} };
  throw new RopeError("ROPE_UNKNOWN_TYPE", {
    what: "parameters.ropeType is missing",
    expected: "a name for the type of the given provider",
    received: show(name),
  });
}

/** Empties the instance cache of a registry and its statistics. Ropes in use stay valid. */
export function clearRopeCache(registry: RopeRegistry = defaultRegistry): void {
  const known = cachesOf(registry);
  known.own.clear();
  known.ofProvider = new WeakMap();
}

/** Size, hits and misses of the instance cache of a registry; ropes of providers that came as a value do not count. */
export function ropeCacheStatistics(registry: RopeRegistry = defaultRegistry): RopeCacheStatistics {
  return cachesOf(registry).own.statistics();
}

/**
 * `getRope`: finds or makes the one shared instance of the rope that a request describes.
 */

import type { RopeBackend, RotationExecutor } from "./backend.ts";
import { invalid, RopeError, show } from "./errors.ts";
import { LENGTHS_KEPT } from "./frequencies.ts";
import type { RotaryEmbedding } from "./interface.ts";
import { checkKeys } from "./keys.ts";
import { plainCopy, readsAs } from "./plain-data.ts";
import type { RopeProvider, RopeRegistration, RopeSpelling } from "./provider.ts";
import { checkProvider, defaultRegistry } from "./registry.ts";
import type { RopeRegistry } from "./registry.ts";
import { parseRequest } from "./request.ts";
import type { Names, ParsedRequest, UntypedRopeRequest } from "./request.ts";
import { createRope } from "./rope.ts";

/** Options of `getRope`. */
export interface GetRopeOptions {
  /** Where names are looked up. Default: the registry that provider packages register in when they are imported. */
  readonly registry?: RopeRegistry;
  /** The provider of `parameters.ropeType`, instead of the registered one. */
  readonly provider?: RopeProvider | RopeSpelling;
  /**
   * What rotates: `"js"`, core's own JavaScript, or the name of a registered synchronous backend. Default: what a
   * package has registered as the default, else `"js"`. `rope.backend` says which it is.
   */
  readonly backend?: string;
}

/** Counts of the instance cache of a registry, since the last `clearRopeCache`. */
export interface RopeCacheStatistics {
  /** Ropes in the cache. */
  readonly size: number;
  /** The most that it holds. */
  readonly capacity: number;
  /** Bytes that these ropes and their requests hold at most: numbers of every length, lists, texts. An estimate. */
  readonly bytes: number;
  /** Ropes leave until the others hold no more than this. One rope stays, however large. */
  readonly byteCapacity: number;
  /** Requests that the cache answered. */
  readonly hits: number;
  /** Requests that made a new rope. */
  readonly misses: number;
  /** Ropes that left because the cache was full. */
  readonly evictions: number;
}

/** The most instances kept; the least recently used leaves first. A process rarely uses more than a few. */
const CAPACITY = 256;
/** The most bytes of all instances. Those of usual heads hold 5 to 30 kB each. */
const BYTE_CAPACITY = 2 ** 26;

/** The number of newest entries that are compared as written. A model uses one rope, or one for each kind of layer. */
const RECENT = 8;

/** One instance, with the last request for it. */
interface CachedRope {
  readonly rope: RotaryEmbedding;
  /** `undefined`: core's own. */
  readonly executor: RotationExecutor | undefined;
  /** The canonical text of the request: equal requests have equal texts. */
  readonly key: string;
  /** The registration of the rope's type. The entry is stale once the type is registered anew. */
  readonly registration: RopeRegistration;
  readonly bytes: number;
  /** The registration of the name in `written`; the same holds for it. */
  named: RopeRegistration | undefined;
  /** A copy of the request as written. Comparing it avoids parsing, which takes microseconds. */
  written: UntypedRopeRequest | undefined;
}

/** The ropes of one registry, most recently used first. */
class InstanceCache {
  #entries: CachedRope[] = [];
  #counts = { hits: 0, misses: 0, evictions: 0 };

  get(
    request: UntypedRopeRequest,
    names: Names,
    executor: RotationExecutor | undefined,
    make: (parsed: ParsedRequest) => RotaryEmbedding,
  ): RotaryEmbedding {
    const index = this.#entries.findIndex(
      (entry, i) =>
        i < RECENT && entry.executor === executor && entry.written !== undefined && readsAs(request, entry.written),
    );
    const found = this.#entries[index];
    // A name may have been registered anew: then its old ropes are wrong.
    if (found !== undefined && isCurrent(found, names)) return this.#hit(index, found);

    const written = plainCopy(request) as UntypedRopeRequest;
    const parsed = parseRequest(written, names);
    const named = names.ropeType(written.parameters.ropeType);
    const { registration } = parsed;
    // A spec is plain finite data with its keys in a fixed order, so equal JSON means an equal rope.
    const key = JSON.stringify(parsed.spec);
    const known = this.#entries.findIndex((entry) => entry.key === key && entry.executor === executor);
    const entry = this.#entries[known];
    if (entry !== undefined && entry.registration.provider === registration.provider) {
      Object.assign(entry, { written, named });
      return this.#hit(known, entry);
    }
    const rope = make(parsed);
    if (known !== -1) this.#entries.splice(known, 1);
    this.#counts.misses++;
    const bytes = bytesOf(rope, key);
    this.#entries.unshift({ rope, executor, key, registration, bytes, written, named });
    while (this.#entries.length > CAPACITY || (this.#entries.length > 1 && this.#bytes() > BYTE_CAPACITY)) {
      this.#entries.pop();
      this.#counts.evictions++;
    }
    return rope;
  }

  #hit(index: number, entry: CachedRope): RotaryEmbedding {
    this.#counts.hits++;
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
    // A request with an alias may mean another rope when the alias is registered again.
    for (const entry of this.#entries) entry.written = entry.named = undefined;
  }

  #bytes(): number {
    return this.#entries.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  clear(): void {
    this.#entries = [];
    this.#counts = { hits: 0, misses: 0, evictions: 0 };
  }

  statistics(): RopeCacheStatistics {
    const { length: size } = this.#entries;
    return { size, capacity: CAPACITY, bytes: this.#bytes(), byteCapacity: BYTE_CAPACITY, ...this.#counts };
  }
}

/** The bytes that a rope and its request hold at most, by what was measured of each type. */
function bytesOf({ rotaryDim, capabilities }: RotaryEmbedding, key: string): number {
  const lengths = capabilities.dependsOnLength ? LENGTHS_KEPT : 1;
  // A number is kept in the spec and as written, 32 bytes each; a pair has its frequency twice, its axis and its word.
  return 2048 + key.length + 64 * key.split(",").length + 16 * rotaryDim * lengths;
}

/** The caches of one registry: one for its own types, and one for each provider that a caller passed as a value. */
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
 * The rope that a request describes. The compiler does not check the parameters; `getRope` is the typed form.
 *
 * Equal requests give the same frozen instance. The order of keys, lists or typed arrays, and defaults written out or
 * left out make no difference. A request that differs in any field gives another instance.
 *
 * @throws RopeError `ROPE_UNKNOWN_TYPE` when the type is not registered; `ROPE_INVALID_PARAMETERS` with every issue of
 * the request or of the options; `ROPE_SPEC_VERSION` for a spec or a provider of another version;
 * `ROPE_BACKEND_UNAVAILABLE` for a backend that is not registered or cannot run here; `ROPE_UNSUPPORTED` for one that
 * has no executor.
 *
 * @example
 * import "@ropewalk/default";
 *
 * const rope = getRopeUntyped({ headDim: 64, parameters: { ropeType: "default" } });
 * getRopeUntyped(JSON.parse(JSON.stringify(rope.spec))) === rope; // true
 */
export function getRopeUntyped(request: UntypedRopeRequest, options: GetRopeOptions = {}): RotaryEmbedding {
  const known = ["registry", "provider", "backend"];
  const { registry = defaultRegistry, provider, backend: wanted } = checkKeys("the options of getRope", options, known);
  const cache = cacheOf(registry, provider);
  const registered = (name: unknown): RopeRegistration => registry.require(name);
  const ropeType = provider === undefined ? registered : (name: unknown) => asRegistration(name, provider);
  const { queryScales } = registry;
  const executor = registry.executor(wanted);
  return cache.get(request, { ropeType, registered, queryScales }, executor, ({ spec, provider: formula }) => {
    const backend = (name: string): RopeBackend => registry.requireBackend(name);
    const { queryScale: given } = spec;
    const rule = given === null ? undefined : queryScales.get(given.rule);
    const queryScale =
      rule === undefined ? null : (position: number) => checkedScale(rule.scale(position, given), position);
    return createRope(spec, formula, { backend, queryScale }, executor);
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

/**
 * Empties the instance cache of a registry and resets its statistics. Ropes in use stay valid.
 *
 * @throws RopeError `ROPE_INVALID_PARAMETERS` when `registry` is no registry.
 */
export function clearRopeCache(registry: RopeRegistry = defaultRegistry): void {
  const known = cachesOf(registry);
  known.own.clear();
  known.ofProvider = new WeakMap();
}

/**
 * Counts of the instance cache of a registry. Ropes of a provider that was passed as a value are not counted.
 *
 * @throws RopeError `ROPE_INVALID_PARAMETERS` when `registry` is no registry.
 */
export function ropeCacheStatistics(registry: RopeRegistry = defaultRegistry): RopeCacheStatistics {
  return cachesOf(registry).own.statistics();
}

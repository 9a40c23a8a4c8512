/**
 * `getRope`: from a request to the one shared instance of that rope.
 */

import { RopeError } from "./errors.ts";
import { checkKeys } from "./parameters.ts";
import { checkProvider, defaultRegistry } from "./registry.ts";
import type { RopeRegistration, RopeRegistry } from "./registry.ts";
import type { RopeProvider } from "./provider.ts";
import { parseRequest, plainCopy } from "./request.ts";
import type { UntypedRopeRequest } from "./request.ts";
import { createRope } from "./rope.ts";
import type { RotaryEmbedding } from "./rotary-embedding.ts";

/** Where `getRope` looks. */
export interface GetRopeOptions {
  /** Default: the registry that provider packages register in when they are imported. */
  readonly registry?: RopeRegistry;
  /** Use this provider for `parameters.ropeType`, whatever any registry says. */
  readonly provider?: RopeProvider;
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

/** Requests kept as they were written; a model asks for one rope, or one for each kind of layer, again and again. */
const RECENT = 8;

interface CachedRope {
  readonly rope: RotaryEmbedding;
  readonly registration: RopeRegistration;
}

/** The ropes of one registry, by canonical request. */
class InstanceCache {
  readonly #ropes = new Map<string, CachedRope>();
  /** Requests as they were written, newest first, for hits without parsing: a canonical text takes microseconds. */
  #recent: { readonly request: UntypedRopeRequest; readonly name: string; readonly key: string }[] = [];
  /** The last key of the map. */
  #newest = "";
  #hits = 0;
  #misses = 0;
  #evictions = 0;

  get(
    request: UntypedRopeRequest,
    lookUp: (name: unknown) => RopeRegistration,
    make: (request: UntypedRopeRequest) => { key: string; rope: () => RotaryEmbedding; registration: RopeRegistration },
  ): RotaryEmbedding {
    const known = this.#recent.find((one) => readsAs(request, one.request));
    const found = known === undefined ? undefined : this.#ropes.get(known.key);
    // A name may have been registered anew since; its old ropes must not come back.
    if (found !== undefined && lookUp(known!.name).provider === found.registration.provider) {
      return this.#hit(known!.key, found);
    }

    const own = plainCopy(request);
    const { key, rope, registration } = make(own);
    let entry = this.#ropes.get(key);
    const isNew = entry === undefined || entry.registration.provider !== registration.provider;
    if (isNew) {
      this.#misses++;
      this.#ropes.set(key, (entry = { rope: rope(), registration }));
      this.#newest = key;
      if (this.#ropes.size > CAPACITY) {
        this.#ropes.delete(this.#ropes.keys().next().value!);
        this.#evictions++;
      }
    }
    this.#recent = [{ request: own, name: registration.name, key }, ...this.#recent.slice(0, RECENT - 1)];
    return isNew ? entry!.rope : this.#hit(key, entry!);
  }

  #hit(key: string, entry: CachedRope): RotaryEmbedding {
    this.#hits++;
    // Most recently used last.
    if (key !== this.#newest) {
      this.#ropes.delete(key);
      this.#ropes.set(key, entry);
      this.#newest = key;
    }
    return entry.rope;
  }

  evict(name: string): void {
    // What was written with an alias may mean something else when the alias comes back.
    this.#recent = [];
    for (const [key, { registration }] of this.#ropes) {
      if (registration.name === name || registration.ropeType === name) this.#ropes.delete(key);
    }
  }

  clear(): void {
    this.#ropes.clear();
    this.#recent = [];
    this.#hits = this.#misses = this.#evictions = 0;
  }

  statistics(): RopeCacheStatistics {
    return {
      size: this.#ropes.size,
      capacity: CAPACITY,
      hits: this.#hits,
      misses: this.#misses,
      evictions: this.#evictions,
    };
  }
}

/** The caches of one registry: of its own types, and of providers that came as a value with its backends. */
interface RegistryCaches {
  readonly own: InstanceCache;
  ofProvider: WeakMap<RopeProvider, InstanceCache>;
}

const caches = new WeakMap<RopeRegistry, RegistryCaches>();

function cachesOf(registry: RopeRegistry): RegistryCaches {
  let known = caches.get(registry);
  if (known === undefined) {
    const own = new InstanceCache();
    registry.onUnregister((name) => own.evict(name));
    caches.set(registry, (known = { own, ofProvider: new WeakMap() }));
  }
  return known;
}

function cacheOf(registry: RopeRegistry, provider: RopeProvider | undefined): InstanceCache {
  const { own, ofProvider } = cachesOf(registry);
  if (provider === undefined) return own;
  let cache = ofProvider.get(provider);
  if (cache === undefined) {
    checkProvider("a rope type", provider);
    ofProvider.set(provider, (cache = new InstanceCache()));
  }
  return cache;
}

/** Whether a request has exactly the data of a plain copy, in the same order; false where it cannot be read. */
function readsAs(request: unknown, copy: unknown): boolean {
  try {
    return equalData(request, copy);
  } catch {
    return false;
  }
}

function equalData(value: unknown, copy: unknown): boolean {
  if (typeof value !== "object" || value === null || typeof copy !== "object" || copy === null) {
    return Object.is(value, copy);
  }
  // The copy holds the caller's own typed array, whose numbers may have changed.
  if (ArrayBuffer.isView(copy) || ArrayBuffer.isView(value)) return false;
  if (Array.isArray(value) || Array.isArray(copy)) {
    return (
      Array.isArray(value) &&
      Array.isArray(copy) &&
      value.length === copy.length &&
      copy.every((item, i) => equalData(value[i], item))
    );
  }
  const keys = Object.keys(value);
  const copied = Object.keys(copy);
  if (keys.length !== copied.length) return false;
  return copied.every(
    (key, i) =>
      key === keys[i] && equalData((value as Record<string, unknown>)[key], (copy as Record<string, unknown>)[key]),
  );
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
  const lookUp = (name: unknown): RopeRegistration =>
    provider === undefined ? registry.require(name) : asRegistration(name, provider);
  return cache.get(request, lookUp, (own) => {
    const { spec, registration } = parseRequest(own, lookUp);
    // A spec is plain finite data with its keys in one order, so its JSON is the same for the same rope only.
    return {
      key: JSON.stringify(spec),
      registration,
      rope: () => createRope(spec, registration, (name) => registry.requireBackend(name)),
    };
  });
}

function asRegistration(name: unknown, provider: RopeProvider): RopeRegistration {
  if (typeof name === "string") return { name, ropeType: name, provider, presets: {} };
  throw new RopeError("ROPE_UNKNOWN_TYPE", {
    what: "parameters.ropeType is missing",
    expected: "a name for the type of the given provider",
    received: typeof name,
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

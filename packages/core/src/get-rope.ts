/**
 * `getRope`: from a request to the one shared instance of that rope.
 */

import { RopeError } from "./errors.ts";
import { defaultRegistry } from "./registry.ts";
import type { RopeRegistration, RopeRegistry } from "./registry.ts";
import type { RopeProvider } from "./provider.ts";
import { canonicalText, parseRequest } from "./request.ts";
import type { UntypedRopeRequest } from "./request.ts";
import { createRope } from "./rotary-embedding.ts";
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

/** The ropes of one registry, by canonical request. */
class InstanceCache {
  readonly #ropes = new Map<string, { readonly rope: RotaryEmbedding; readonly registration: RopeRegistration }>();
  /** Texts of whole requests as they were written, for hits without parsing. */
  readonly #asWritten = new Map<string, string>();
  #hits = 0;
  #misses = 0;
  #evictions = 0;

  get(request: UntypedRopeRequest, lookUp: (name: unknown) => RopeRegistration, make: (request: UntypedRopeRequest) => { key: string; rope: () => RotaryEmbedding; registration: RopeRegistration }): RotaryEmbedding {
    const written = canonicalText(request);
    const known = this.#asWritten.get(written);
    const found = known === undefined ? undefined : this.#ropes.get(known);
    // A name may have been registered anew since; its old ropes must not come back.
    if (found !== undefined && lookUp(request.parameters.ropeType).provider === found.registration.provider) return this.#hit(known!, found);
    const { key, rope, registration } = make(request);
    let entry = this.#ropes.get(key);
    if (entry === undefined || entry.registration.provider !== registration.provider) {
      this.#misses++;
      entry = { rope: rope(), registration };
      this.#ropes.set(key, entry);
      if (this.#ropes.size > CAPACITY) {
        this.#ropes.delete(this.#ropes.keys().next().value!);
        this.#evictions++;
      }
      if (this.#asWritten.size > 4 * CAPACITY) this.#asWritten.clear();
      this.#asWritten.set(written, key);
      return entry.rope;
    }
    this.#asWritten.set(written, key);
    return this.#hit(key, entry);
  }

  #hit(key: string, entry: { readonly rope: RotaryEmbedding; readonly registration: RopeRegistration }): RotaryEmbedding {
    this.#hits++;
    // Most recently used last.
    this.#ropes.delete(key);
    this.#ropes.set(key, entry);
    return entry.rope;
  }

  evict(name: string): void {
    for (const [key, { registration }] of this.#ropes) if (registration.name === name || registration.ropeType === name) this.#ropes.delete(key);
  }

  clear(): void {
    this.#ropes.clear();
    this.#asWritten.clear();
    this.#hits = this.#misses = this.#evictions = 0;
  }

  statistics(): RopeCacheStatistics {
    return { size: this.#ropes.size, capacity: CAPACITY, hits: this.#hits, misses: this.#misses, evictions: this.#evictions };
  }
}

const caches = new WeakMap<RopeRegistry, InstanceCache>();
const providerCaches = new WeakMap<RopeProvider, InstanceCache>();

function cacheOf(registry: RopeRegistry): InstanceCache {
  let cache = caches.get(registry);
  if (cache === undefined) {
    const made = new InstanceCache();
    registry.onUnregister((name) => made.evict(name));
    caches.set(registry, (cache = made));
  }
  return cache;
}

function cacheOfProvider(provider: RopeProvider): InstanceCache {
  let cache = providerCaches.get(provider);
  if (cache === undefined) providerCaches.set(provider, (cache = new InstanceCache()));
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
export function getRopeUntyped(request: UntypedRopeRequest, { registry = defaultRegistry, provider }: GetRopeOptions = {}): RotaryEmbedding {
  const cache = provider === undefined ? cacheOf(registry) : cacheOfProvider(provider);
  const lookUp = (name: unknown): RopeRegistration => (provider === undefined ? registry.require(name) : asRegistration(name, provider));
  return cache.get(request, lookUp, () => {
    const { spec, registration } = parseRequest(request, lookUp);
    return { key: canonicalText(spec), registration, rope: () => createRope(spec, registration, (name) => registry.requireBackend(name)) };
  });
}

function asRegistration(name: unknown, provider: RopeProvider): RopeRegistration {
  if (typeof name === "string") return { name, ropeType: name, provider, presets: {} };
  throw new RopeError("ROPE_UNKNOWN_TYPE", { what: "parameters.ropeType is missing", expected: "a name for the type of the given provider", got: typeof name });
}

/** Empties the instance cache of a registry and its statistics. Ropes in use stay valid. */
export function clearRopeCache(registry: RopeRegistry = defaultRegistry): void {
  cacheOf(registry).clear();
}

/** Size, hits and misses of the instance cache of a registry. */
export function ropeCacheStatistics(registry: RopeRegistry = defaultRegistry): RopeCacheStatistics {
  return cacheOf(registry).statistics();
}

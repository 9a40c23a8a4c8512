/**
 * Where rope types, backends and rules of query scales are found by name.
 *
 * The default registry hangs on the global object under a registered symbol, so that several loaded copies of core
 * share it; `createRegistry()` gives an isolated one. A name belongs to one source: the same source again is a no-op,
 * another one throws.
 */

import type { RopeBackend } from "./backend.ts";
import { RopeError, show } from "./errors.ts";
import { checkKeys, nearest } from "./keys.ts";
import { checkSpecificationVersion } from "./provider.ts";
import type { RopeProvider, RopeRegistration, RopeSpelling } from "./provider.ts";
import { builtInQueryScales } from "./query-scale.ts";
import type { QueryScaleRule } from "./query-scale.ts";

/** Options of `registerRopeType`. */
export interface RegisterOptions {
  /** Further names of the type; as an object, each with the parameters that it presets. */
  readonly aliases?: readonly string[] | Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** The shared part of a registry: plain data, the same for every loaded copy of core. */
interface RegistryState {
  readonly version: 1;
  readonly types: Map<string, RopeRegistration>;
  readonly backends: Map<string, RopeBackend>;
  readonly queryScales: Map<string, QueryScaleRule>;
  /** Instance caches that must drop what belongs to a name when its registration goes. */
  readonly listeners: Set<(name: string) => void>;
}

/** A set of rope types and backends. */
export class RopeRegistry {
  readonly #state: RegistryState;

  /** Use {@link createRegistry}, or {@link defaultRegistry} for the shared one. */
  constructor(state: RegistryState = emptyState()) {
    this.#state = state;
  }

  /**
   * Registers a rope type and its aliases; all of them or, if one name is taken by another source, none.
   *
   * @throws RopeError `ROPE_TYPE_CONFLICT` when a name is taken; `ROPE_SPEC_VERSION` when the provider was written
   * against a contract that this core does not know; `ROPE_INVALID_PARAMETERS` when it is no provider at all, or the
   * aliases are no names.
   */
  register(name: string, provider: RopeProvider | RopeSpelling, options: RegisterOptions = {}): void {
    checkKeys("the options of register", options, ["aliases"]);
    checkProvider(name, provider);
    const entries: RopeRegistration[] = [{ name, ropeType: name, provider, presets: {} }];
    for (const [alias, presets] of namedPresets(name, options.aliases ?? [])) {
      entries.push({ name: alias, ropeType: name, provider, presets: Object.freeze({ ...presets }) });
    }

    const fresh = entries.filter((entry) => {
      const taken = this.#state.types.get(entry.name);
      const holder = taken?.provider.source;
      return isFree("rope type", entry.name, holder, provider.source, taken?.ropeType === entry.ropeType);
    });
    for (const entry of fresh) this.#state.types.set(entry.name, Object.freeze(entry));
  }

  /** Removes a type with its aliases, or one alias. Ropes made from it leave the instance cache. */
  unregister(name: string): boolean {
    const entry = this.#state.types.get(name);
    if (entry === undefined) return false;
    for (const other of [...this.#state.types.values()]) {
      if (other.name !== name && !(entry.ropeType === name && other.ropeType === name)) continue;
      this.#state.types.delete(other.name);
      for (const notify of this.#state.listeners) notify(other.name);
    }
    return true;
  }

  /** The registration behind a name, if there is one. */
  get(name: string): RopeRegistration | undefined {
    return this.#state.types.get(name);
  }

  /** All registered names, types and aliases, sorted. */
  list(): readonly RopeRegistration[] {
    return [...this.#state.types.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The registration behind a name. @throws RopeError `ROPE_UNKNOWN_TYPE` that lists what is registered. */
  require(name: unknown): RopeRegistration {
    const entry = typeof name === "string" ? this.#state.types.get(name) : undefined;
    if (entry !== undefined) return entry;
    const registered = this.list().map((item) => item.name);
    const near = typeof name === "string" ? nearest(name, registered) : undefined;
    throw new RopeError("ROPE_UNKNOWN_TYPE", {
      what: `the rope type ${show(name)} is not registered`,
      expected: oneOf("type", registered),
      received: show(name),
      remedy:
        near === undefined
          ? "Import the package that provides it, or register it with registerRopeType."
          : `Did you mean ${JSON.stringify(near)}? Else import the package that provides it.`,
      facts: { ropeType: name, registered, nearest: near },
    });
  }

  /**
   * Registers a backend.
   *
   * @throws RopeError `ROPE_TYPE_CONFLICT` when the name is taken by another source; `ROPE_SPEC_VERSION` when it was
   * written against a contract that this core does not know; `ROPE_INVALID_PARAMETERS` when it is no backend at all.
   */
  registerBackend(backend: RopeBackend): void {
    checkBackend(backend);
    const { name, source } = backend;
    const holder = this.#state.backends.get(name)?.source;
    if (isFree("backend", name, holder, source)) this.#state.backends.set(name, backend);
  }

  /**
   * Registers a rule of `queryScale`.
   *
   * @throws RopeError as {@link registerBackend}, for a rule.
   */
  registerQueryScale(name: string, rule: QueryScaleRule): void {
    const shape = rule as Partial<QueryScaleRule> | null | undefined;
    const isRule = typeof shape?.scale === "function" && isRecord(shape.parameters);
    if (!isName(name) || !isName(shape?.source) || !isRule) {
      throw unusable(`the query scale ${show(name)}`, "specificationVersion, source, parameters and scale", rule);
    }
    checkSpecificationVersion(rule.specificationVersion, `the query scale of ${rule.source}`);
    const holder = this.#state.queryScales.get(name)?.source;
    if (isFree("query scale", name, holder, rule.source)) this.#state.queryScales.set(name, rule);
  }

  /** The rules of `queryScale` by name. */
  get queryScales(): ReadonlyMap<string, QueryScaleRule> {
    return this.#state.queryScales;
  }

  /** The backend behind a name. @throws RopeError `ROPE_BACKEND_UNAVAILABLE` that lists what is registered. */
  requireBackend(name: string): RopeBackend {
    const backend = this.#state.backends.get(name);
    if (backend !== undefined) return backend;
    const registered = [...this.#state.backends.keys()].sort();
    throw new RopeError("ROPE_BACKEND_UNAVAILABLE", {
      what: `the backend ${show(name)} is not registered`,
      expected: oneOf("backend", registered),
      received: show(name),
      remedy:
        name === "js"
          ? "A rope rotates in JavaScript as it is: use it without to()."
          : "Import the package that provides it.",
      facts: { backend: name, registered },
    });
  }

  /** Calls `listener` with each name that is unregistered. @internal */
  onUnregister(listener: (name: string) => void): void {
    this.#state.listeners.add(listener);
  }
}

const isName = (value: unknown): value is string => typeof value === "string" && value !== "";
const isRecord = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const oneOf = (kind: string, registered: readonly string[]): string =>
  registered.length === 0 ? `a registered ${kind} (none is registered)` : `one of ${registered.join(", ")}`;

const unusable = (what: string, expected: string, given: unknown): RopeError =>
  new RopeError("ROPE_INVALID_PARAMETERS", { what: `cannot use ${what}`, expected, received: show(given) });

/**
 * Whether a name is free; false where the same source holds it already.
 *
 * @param isSame whether a registration of the same source would be the same one.
 * @throws RopeError `ROPE_TYPE_CONFLICT` where another holds it.
 */
function isFree(kind: string, name: string, holder: string | undefined, source: string, isSame = true): boolean {
  if (holder === undefined) return true;
  if (holder === source && isSame) return false;
  throw new RopeError("ROPE_TYPE_CONFLICT", {
    what: `the ${kind} ${JSON.stringify(name)} is already registered`,
    expected: `a name that is free, or the same source ${holder}`,
    received: `a second registration from ${source}`,
    remedy: "Import one of the two packages only, unregister the other first, or use createRegistry().",
    facts: { name, registered: holder, rejected: source },
  });
}

/** @throws RopeError unless `provider` can be used under `name`. */
export function checkProvider(name: unknown, provider: RopeProvider | RopeSpelling): void {
  const shape = provider as Partial<RopeProvider & RopeSpelling> | null | undefined;
  const isWhole = typeof shape?.frequencies === "function" || typeof shape?.rewrite === "function";
  if (!isName(name) || !isName(shape?.source) || !isWhole || !isRecord(shape.parameters)) {
    const expected = "a non-empty name and a provider with specificationVersion, source, parameters and frequencies";
    throw unusable(`a provider as ${show(name)}`, expected, provider);
  }
  checkSpecificationVersion(provider.specificationVersion, `the provider ${provider.source}`);
}

function checkBackend(backend: RopeBackend): void {
  const shape = backend as Partial<RopeBackend> | null | undefined;
  if (!isName(shape?.name) || !isName(shape.source) || typeof shape.create !== "function") {
    throw unusable("a backend", "specificationVersion, name, source and create", backend);
  }
  checkSpecificationVersion(backend.specificationVersion, `the backend ${backend.source}`);
}

/** Aliases with their presets, whichever way they were written. */
function namedPresets(name: string, aliases: unknown): readonly (readonly [string, object])[] {
  const named: unknown = Array.isArray(aliases)
    ? aliases.map((alias) => [alias, {}])
    : isRecord(aliases)
      ? Object.entries(aliases)
      : undefined;
  const valid =
    Array.isArray(named) && named.every(([alias, presets]) => isName(alias) && alias !== name && isRecord(presets));
  if (valid) return named as [string, object][];
  const expected = "a list of other names, or an object with a name's presets at each";
  throw unusable(`the aliases of ${show(name)}`, expected, aliases);
}

const globalKey = Symbol.for("ropewalk.registry.v1");

/** The registry that importing a provider package registers into, shared by all loaded copies of core. */
export const defaultRegistry: RopeRegistry = /* @__PURE__ */ new RopeRegistry(/* @__PURE__ */ sharedState());

function sharedState(): RegistryState {
  const holder = globalThis as unknown as Record<symbol, RegistryState | undefined>;
  const state = (holder[globalKey] ??= emptyState());
  // A copy of core from before there were rules of query scales may have made it.
  return state.queryScales === undefined
    ? (holder[globalKey] = { ...state, queryScales: emptyState().queryScales })
    : state;
}

function emptyState(): RegistryState {
  const queryScales = new Map(builtInQueryScales);
  return { version: 1, types: new Map(), backends: new Map(), queryScales, listeners: new Set() };
}

/** An empty registry of its own: nothing registered globally is seen, nothing registered in it leaks out. */
export function createRegistry(): RopeRegistry {
  return new RopeRegistry();
}

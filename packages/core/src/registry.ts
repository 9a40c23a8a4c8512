/**
 * Registries: rope types, backends and rules of query scales by name.
 *
 * The default registry is kept on the global object under a registered symbol, so several loaded copies of core share
 * it. `createRegistry()` makes an isolated registry. A name belongs to one source: registering the same source again
 * does nothing, another source gives an error.
 */

import type { DefaultExecutor, RopeBackend, RotationExecutor } from "./backend.ts";
import { RopeError, show } from "./errors.ts";
import { checkKeys, nearest } from "./keys.ts";
import { checkSpecificationVersion, isRecord } from "./provider.ts";
import type { RopeProvider, RopeRegistration, RopeSpelling } from "./provider.ts";
import { builtInQueryScales } from "./query-scale.ts";
import type { QueryScaleRule } from "./query-scale.ts";

/** Options of `registerRopeType`. */
export interface RegisterOptions {
  /** More names of the type: a list, or an object with the presets of each name. */
  readonly aliases?: readonly string[] | Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** The shared part of a registry: plain data that every loaded copy of core can read. */
interface RegistryState {
  readonly version: 1;
  readonly types: Map<string, RopeRegistration>;
  readonly backends: Map<string, RopeBackend>;
  readonly queryScales: Map<string, QueryScaleRule>;
  /** Called with a name when its registration is removed, so that instance caches drop its ropes. */
  readonly listeners: Set<(name: string) => void>;
  /** Executes ropes that are asked for without a backend. Absent: core's own JavaScript does. */
  executor?: DefaultExecutor;
}

/** A set of rope types and backends. */
export class RopeRegistry {
  readonly #state: RegistryState;

  /** Use {@link createRegistry}, or {@link defaultRegistry} for the shared one. */
  constructor(state: RegistryState = emptyState()) {
    this.#state = state;
  }

  /**
   * Registers a rope type and its aliases. If another source has registered one of the names, none is registered.
   *
   * @throws RopeError `ROPE_TYPE_CONFLICT` when another source has registered a name; `ROPE_SPEC_VERSION` when core
   * does not know the provider's contract; `ROPE_INVALID_PARAMETERS` for an unknown option, a value that is no
   * provider, or aliases that are no names.
   */
  register(name: string, provider: RopeProvider | RopeSpelling, options: RegisterOptions = {}): void {
    const { aliases = [] } = checkKeys("the options of register", options, ["aliases"]);
    checkProvider(name, provider);
    const entries: RopeRegistration[] = [{ name, ropeType: name, provider, presets: {} }];
    for (const [alias, presets] of namedPresets(name, aliases)) {
      entries.push({ name: alias, ropeType: name, provider, presets: Object.freeze({ ...presets }) });
    }

    const fresh = entries.filter((entry) => {
      const taken = this.#state.types.get(entry.name);
      const holder = taken?.provider.source;
      return isFree("rope type", entry.name, holder, provider.source, taken?.ropeType === entry.ropeType);
    });
    for (const entry of fresh) this.#state.types.set(entry.name, Object.freeze(entry));
  }

  /**
   * Removes a type with its aliases, or one alias, and its ropes from the cache. Returns whether the name was
   * registered.
   */
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

  /** The registration of a name; `undefined` if there is none. */
  get(name: string): RopeRegistration | undefined {
    return this.#state.types.get(name);
  }

  /** All registrations, types and aliases, sorted by name. A new list. */
  list(): readonly RopeRegistration[] {
    return [...this.#state.types.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /**
   * The registration of a name.
   *
   * @throws RopeError `ROPE_UNKNOWN_TYPE`, with the registered names, if there is none; `ROPE_SPEC_VERSION` when
   * another copy of core registered it and this one does not know its contract.
   */
  require(name: unknown): RopeRegistration {
    const entry = typeof name === "string" ? this.#state.types.get(name) : undefined;
    if (entry !== undefined) {
      checkContract("the provider", entry.provider);
      return entry;
    }
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
   * @throws RopeError `ROPE_TYPE_CONFLICT` when another source has registered the name; `ROPE_SPEC_VERSION` when core
   * does not know the backend's contract; `ROPE_INVALID_PARAMETERS` when it is no backend.
   */
  registerBackend(backend: RopeBackend): void {
    requireContract("the backend", backend?.name, backend, { create: "function" });
    const { name, source } = backend;
    const holder = this.#state.backends.get(name)?.source;
    if (isFree("backend", name, holder, source)) this.#state.backends.set(name, backend);
  }

  /**
   * Registers what executes the ropes of this registry that are asked for without a backend. Ropes that exist keep
   * their executor.
   *
   * @throws RopeError as {@link registerBackend}.
   */
  registerExecutor(executor: DefaultExecutor): void {
    requireContract("the executor", "of ropes", executor, { choose: "function" });
    if (isFree("executor", "of ropes", this.#state.executor?.source, executor.source)) this.#state.executor = executor;
  }

  /** The executor of a backend, or the registered one; `undefined` for core's own. @internal */
  executor(backend: unknown): RotationExecutor | undefined {
    if (backend === undefined) return this.#state.executor?.choose();
    if (backend === "js") return undefined;
    const given = this.requireBackend(backend);
    if (typeof given.executor === "function") return given.executor();
    throw new RopeError("ROPE_UNSUPPORTED", {
      what: `the backend ${show(backend)} has no executor`,
      remedy: "Use rope.to.",
      facts: { backend },
    });
  }

  /**
   * Registers a rule of `queryScale` under a name.
   *
   * @throws RopeError as {@link registerBackend}.
   */
  registerQueryScale(name: string, rule: QueryScaleRule): void {
    requireContract("the query scale", name, rule, { parameters: "object", scale: "function" });
    const holder = this.#state.queryScales.get(name)?.source;
    if (isFree("query scale", name, holder, rule.source)) this.#state.queryScales.set(name, rule);
  }

  /** The rules of `queryScale` by name. */
  get queryScales(): ReadonlyMap<string, QueryScaleRule> {
    return this.#state.queryScales;
  }

  /**
   * The backend of a name.
   *
   * @throws RopeError `ROPE_BACKEND_UNAVAILABLE`, with the registered names, if there is none; `ROPE_SPEC_VERSION` as
   * {@link require}.
   */
  requireBackend(name: unknown): RopeBackend {
    const backend = this.#state.backends.get(name as string);
    if (backend !== undefined) {
      checkContract("the backend", backend);
      return backend;
    }
    const registered = [...this.#state.backends.keys()].sort();
    throw new RopeError("ROPE_BACKEND_UNAVAILABLE", {
      what: `the backend ${show(name)} is not registered`,
      expected: oneOf("backend", registered),
      received: show(name),
      remedy: name === "js" ? 'Use getRope(request, { backend: "js" }).' : "Import the package that provides it.",
      facts: { backend: name, registered },
    });
  }

  /** Calls `listener` with each name that is unregistered. @internal */
  onUnregister(listener: (name: string) => void): void {
    this.#state.listeners.add(listener);
  }
}

const isName = (value: unknown): value is string => typeof value === "string" && value !== "";

const oneOf = (kind: string, registered: readonly string[]): string =>
  registered.length === 0 ? `a registered ${kind} (none is registered)` : `one of ${registered.join(", ")}`;

const unusable = (what: string, expected: string, given: unknown): RopeError =>
  new RopeError("ROPE_INVALID_PARAMETERS", { what: `cannot use ${what}`, expected, received: show(given) });

/**
 * Whether a name is free. `false` if the same source has registered it already.
 *
 * @param holder the source that has the name.
 * @param isSame whether the two registrations of one source would be equal.
 * @throws RopeError `ROPE_TYPE_CONFLICT` if another source has the name.
 */
function isFree(kind: string, name: string, holder: string | undefined, source: string, isSame = true): boolean {
  if (holder === undefined) return true;
  if (holder === source && isSame) return false;
  throw new RopeError("ROPE_TYPE_CONFLICT", {
    what: `the ${kind} ${JSON.stringify(name)} is already registered`,
    expected: `a free name, or the same source ${holder}`,
    received: `a second registration from ${source}`,
    remedy: "Import one of the two packages only, unregister the other first, or use createRegistry().",
    facts: { name, registered: holder, rejected: source },
  });
}

/**
 * Checks what other packages register: its name and source, and the functions and objects that it has to have.
 *
 * @throws RopeError unless `value` can be used under `name`.
 */
function requireContract(what: string, name: unknown, value: unknown, types: Readonly<Record<string, string>>): void {
  const given = (value ?? {}) as Record<string, unknown>;
  const isWhole = Object.entries(types).every(([key, type]) =>
    type === "object" ? isRecord(given[key]) : typeof given[key] === type,
  );
  if (!isName(name) || !isName(given["source"]) || !isWhole) {
    const expected = ["a name", "specificationVersion", "source", ...Object.keys(types)].join(", ");
    throw unusable(`${what} as ${show(name)}`, expected, value);
  }
  checkContract(what, given);
}

/** Loaded copies of core share a registry, so what one of them has accepted may be unknown to another. */
function checkContract(
  what: string,
  { specificationVersion, source }: { readonly specificationVersion?: unknown; readonly source?: unknown },
): void {
  checkSpecificationVersion(specificationVersion, `${what} ${source}`);
}

/** @throws RopeError unless `provider` can be used under `name`. */
export function checkProvider(name: unknown, provider: RopeProvider | RopeSpelling): void {
  const isOther = typeof (provider as Partial<RopeSpelling> | null | undefined)?.rewrite === "function";
  requireContract("the provider", name, provider, {
    parameters: "object",
    [isOther ? "rewrite" : "frequencies"]: "function",
  });
}

/** Aliases with their presets, from a list or an object. */
function namedPresets(name: string, aliases: unknown): readonly (readonly [string, object])[] {
  const named: unknown = Array.isArray(aliases)
    ? aliases.map((alias) => [alias, {}])
    : isRecord(aliases)
      ? Object.entries(aliases)
      : undefined;
  const valid =
    Array.isArray(named) && named.every(([alias, presets]) => isName(alias) && alias !== name && isRecord(presets));
  if (valid) return named as [string, object][];
  const expected = "a list of other names, or an object from each name to its presets";
  throw unusable(`the aliases of ${show(name)}`, expected, aliases);
}

const globalKey = Symbol.for("ropewalk.registry.v1");

/** The registry that provider packages register in when they are imported. All loaded copies of core share it. */
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

/**
 * A new registry, isolated from the default one and from all others. It has the built-in rules of query scales only.
 */
export function createRegistry(): RopeRegistry {
  return new RopeRegistry();
}

/**
 * Where rope types and backends are found by name.
 *
 * The default registry hangs on the global object under a registered symbol, so that several loaded copies of core
 * share it; `createRegistry()` gives an isolated one. A name belongs to one source: the same source again is a no-op,
 * another one throws.
 */

import type { RopeBackend } from "./backend.ts";
import { RopeError, show } from "./errors.ts";
import { nearest } from "./parameters.ts";
import { SPECIFICATION_VERSION } from "./provider.ts";
import type { RopeProvider } from "./provider.ts";

/** One registered name. */
export interface RopeRegistration {
  /** The name that was asked for: a type, or an alias. */
  readonly name: string;
  /** The type that the name stands for; differs from `name` for an alias. */
  readonly ropeType: string;
  readonly provider: RopeProvider;
  /** Parameters that an alias sets before the caller's own. */
  readonly presets: Readonly<Record<string, unknown>>;
}

/** Options of `registerRopeType`. */
export interface RegisterOptions {
  /** Further names of the type; as an object, each with the parameters that it presets. */
  readonly aliases?: readonly string[] | Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** What `registerRopeType(name)` accepts: a class, a function that makes a provider, or a provider. */
export type ProviderSource = RopeProvider | (new () => RopeProvider) | (() => RopeProvider);

/** The shared part of a registry: plain data, the same for every loaded copy of core. */
interface RegistryState {
  readonly version: 1;
  readonly types: Map<string, RopeRegistration>;
  readonly backends: Map<string, RopeBackend>;
  /** Instance caches that must drop what belongs to a name when its registration goes. */
  readonly listeners: Set<(name: string) => void>;
}

/** A set of rope types and backends. */
export class RopeRegistry {
  readonly #state: RegistryState;

  /** Use {@link createRegistry}, or {@link defaultRegistry} for the shared one. */
  constructor(state: RegistryState = { version: 1, types: new Map(), backends: new Map(), listeners: new Set() }) {
    this.#state = state;
  }

  /**
   * Registers a rope type and its aliases; all of them or, if one name is taken by another source, none.
   *
   * @throws RopeError `ROPE_TYPE_CONFLICT` when a name is taken; `ROPE_SPEC_VERSION` when the provider was written
   * against a contract that this core does not know; `ROPE_INVALID_PARAMETERS` when it is no provider at all, or the
   * aliases are no names.
   */
  register(name: string, provider: RopeProvider, options: RegisterOptions = {}): void {
    checkProvider(name, provider);
    const entries: RopeRegistration[] = [{ name, ropeType: name, provider, presets: {} }];
    for (const [alias, presets] of namedPresets(name, options.aliases ?? [])) {
      entries.push({ name: alias, ropeType: name, provider, presets: Object.freeze({ ...presets }) });
    }

    const fresh = entries.filter((entry) => {
      const taken = this.#state.types.get(entry.name);
      if (taken === undefined) return true;
      if (taken.provider.source === provider.source && taken.ropeType === entry.ropeType) return false;
      throw new RopeError("ROPE_TYPE_CONFLICT", {
        what: `the rope type ${JSON.stringify(entry.name)} is already registered`,
        expected: `a name that is free, or the same source ${taken.provider.source}`,
        received: `a second registration from ${provider.source}`,
        remedy: "Import one of the two packages only, call unregisterRopeType first, or use createRegistry().",
        facts: { name: entry.name, registered: taken.provider.source, rejected: provider.source },
      });
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
      expected: registered.length === 0 ? "a registered type (none is registered)" : `one of ${registered.join(", ")}`,
      received: show(name),
      remedy:
        near === undefined
          ? `Import the package that provides it${packageHint(name)}, or register it with registerRopeType.`
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
    const taken = this.#state.backends.get(backend.name);
    if (taken !== undefined && taken.source !== backend.source) {
      throw new RopeError("ROPE_TYPE_CONFLICT", {
        what: `the backend ${JSON.stringify(backend.name)} is already registered`,
        expected: `the same source ${taken.source}`,
        received: backend.source,
        remedy: "Import one of the two packages only.",
        facts: { name: backend.name, registered: taken.source, rejected: backend.source },
      });
    }
    if (taken === undefined) this.#state.backends.set(backend.name, backend);
  }

  /** The backend behind a name. @throws RopeError `ROPE_BACKEND_UNAVAILABLE` that lists what is registered. */
  requireBackend(name: string): RopeBackend {
    const backend = this.#state.backends.get(name);
    if (backend !== undefined) return backend;
    const registered = [...this.#state.backends.keys()].sort();
    throw new RopeError("ROPE_BACKEND_UNAVAILABLE", {
      what: `the backend ${show(name)} is not registered`,
      expected:
        registered.length === 0 ? "a registered backend (none is registered)" : `one of ${registered.join(", ")}`,
      received: show(name),
      remedy:
        name === "js"
          ? "A rope rotates in JavaScript as it is: use it without to()."
          : `Import the package that provides it${typeof name === "string" ? `, by convention "@ropewalk/${name}-backend"` : ""}.`,
      facts: { backend: name, registered },
    });
  }

  /** Calls `listener` with each name that is unregistered. @internal */
  onUnregister(listener: (name: string) => void): void {
    this.#state.listeners.add(listener);
  }
}

function packageHint(name: unknown): string {
  return typeof name === "string" && /^[a-z][a-z0-9_-]{0,60}$/.test(name)
    ? `, by convention "@ropewalk/${name.replaceAll("_", "-")}"`
    : "";
}

const isName = (value: unknown): value is string => typeof value === "string" && value !== "";

/** @throws RopeError unless `provider` can be used under `name`. */
export function checkProvider(name: unknown, provider: RopeProvider): void {
  const shape = provider as Partial<RopeProvider> | null | undefined;
  const valid =
    isName(name) &&
    isName(shape?.source) &&
    typeof shape.frequencies === "function" &&
    typeof shape.parameters === "object" &&
    shape.parameters !== null;
  if (!valid) {
    throw new RopeError("ROPE_INVALID_PARAMETERS", {
      what: `cannot use a provider as ${show(name)}`,
      expected: "a non-empty name and a provider with specificationVersion, source, parameters and frequencies",
      received: show(provider),
      remedy: "See docs/add-a-provider.md.",
    });
  }
  checkSpecificationVersion(provider.specificationVersion, `the provider ${provider.source}`);
}

function checkBackend(backend: RopeBackend): void {
  const shape = backend as Partial<RopeBackend> | null | undefined;
  if (!isName(shape?.name) || !isName(shape.source) || typeof shape.create !== "function") {
    throw new RopeError("ROPE_INVALID_PARAMETERS", {
      what: "cannot register a backend",
      expected: "specificationVersion, name, source and create",
      received: show(backend),
    });
  }
  checkSpecificationVersion(backend.specificationVersion, `the backend ${backend.source}`);
}

/** Aliases with their presets, whichever way they were written. */
function namedPresets(name: string, aliases: unknown): readonly (readonly [string, object])[] {
  const isRecord = (value: unknown): value is object =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  const named: unknown = Array.isArray(aliases)
    ? aliases.map((alias) => [alias, {}])
    : isRecord(aliases)
      ? Object.entries(aliases)
      : undefined;
  const valid =
    Array.isArray(named) && named.every(([alias, presets]) => isName(alias) && alias !== name && isRecord(presets));
  if (valid) return named as [string, object][];
  throw new RopeError("ROPE_INVALID_PARAMETERS", {
    what: `the aliases of ${show(name)} are not valid`,
    expected: "a list of other names, or an object with a name's presets at each",
    received: show(aliases),
  });
}

/** @throws RopeError `ROPE_SPEC_VERSION` unless core understands contract version `version` (its own and the one before). */
export function checkSpecificationVersion(version: unknown, whose: string): void {
  const oldest = Math.max(1, SPECIFICATION_VERSION - 1);
  if (Number.isInteger(version) && (version as number) >= oldest && (version as number) <= SPECIFICATION_VERSION) {
    return;
  }
  throw new RopeError("ROPE_SPEC_VERSION", {
    what: `${whose} has a specification version that this @ropewalk/core does not know`,
    expected: oldest === SPECIFICATION_VERSION ? `${SPECIFICATION_VERSION}` : `${oldest} or ${SPECIFICATION_VERSION}`,
    received: String(version),
    remedy: "Upgrade the older of the two packages.",
    facts: { supported: SPECIFICATION_VERSION, received: version },
  });
}

const globalKey = Symbol.for("ropewalk.registry.v1");

/** The registry that importing a provider package registers into, shared by all loaded copies of core. */
export const defaultRegistry: RopeRegistry = /* @__PURE__ */ new RopeRegistry(/* @__PURE__ */ sharedState());

function sharedState(): RegistryState {
  const holder = globalThis as unknown as Record<symbol, RegistryState | undefined>;
  return (holder[globalKey] ??= { version: 1, types: new Map(), backends: new Map(), listeners: new Set() });
}

/** An empty registry of its own: nothing registered globally is seen, nothing registered in it leaks out. */
export function createRegistry(): RopeRegistry {
  return new RopeRegistry();
}

/** The decorator that {@link registerRopeType} returns; also callable as a plain function. */
export interface RegisterDecorator {
  <C extends new () => RopeProvider>(value: C, context: ClassDecoratorContext<C>): void;
  <F extends () => RopeProvider>(
    value: F,
    context: ClassMethodDecoratorContext<unknown, F> & { readonly static: true },
  ): void;
  // Without a context: else this one would take what the other two refuse.
  <T extends ProviderSource>(value: T, context?: undefined): T;
}

/**
 * Registers a rope type in the default registry: the decorator of a provider class or of a static method that makes a
 * provider, or a plain function for JavaScript and for tools that do not lower decorators.
 *
 * @param name the type's name, as `parameters.ropeType` of a request will say it.
 * @param options further names, each with parameters that it presets; `registry` to register elsewhere.
 * @returns a decorator (TC39, stage 3) that also works as a function: `registerRopeType("yarn")(YarnProvider)`.
 * @throws RopeError `ROPE_TYPE_CONFLICT` when another source holds one of the names, `ROPE_SPEC_VERSION` when the
 * provider follows an unknown contract, `ROPE_UNSUPPORTED` when it decorates anything but a class or a static method.
 *
 * @example
 * @registerRopeType("yarn")
 * export class YarnProvider implements RopeProvider<YarnParameters> { … }
 */
export function registerRopeType(
  name: string,
  options: RegisterOptions & { readonly registry?: RopeRegistry } = {},
): RegisterDecorator {
  const { registry = defaultRegistry, ...rest } = options;
  function decorate(value: unknown, context?: DecoratorContext): unknown {
    if (context === undefined) {
      registry.register(name, makeProvider(value), rest);
      return value;
    }
    if (context.kind === "class") {
      // After the class is complete, static fields included.
      context.addInitializer(() => registry.register(name, makeProvider(value), rest));
      return undefined;
    }
    if (context.kind === "method" && context.static) {
      context.addInitializer(function (this: unknown) {
        registry.register(name, (value as () => RopeProvider).call(this), rest);
      });
      return undefined;
    }
    throw new RopeError("ROPE_UNSUPPORTED", {
      what: `@registerRopeType(${JSON.stringify(name)}) cannot decorate this`,
      expected: "a class or a static method",
      received:
        typeof context === "object"
          ? `a ${context.kind} named ${String(context.name)}`
          : "a member, by the rules of experimentalDecorators",
      remedy: "Decorate the provider class, or call registerRopeType(name)(provider).",
    });
  }
  return decorate as RegisterDecorator;
}

/** Removes a type and its aliases from the default registry, and its ropes from the cache. True if it was there. */
export function unregisterRopeType(name: string): boolean {
  return defaultRegistry.unregister(name);
}

/** The names registered in the default registry, aliases included, sorted. */
export function listRopeTypes(): readonly RopeRegistration[] {
  return defaultRegistry.list();
}

/** Registers a backend in the default registry; a backend package calls this when it is imported. */
export function registerBackend(backend: RopeBackend): void {
  defaultRegistry.registerBackend(backend);
}

function makeProvider(value: unknown): RopeProvider {
  if (typeof value !== "function") return value as RopeProvider;
  // A class must be called with `new`; a function that returns a provider may be.
  return value.prototype === undefined ? (value as () => RopeProvider)() : new (value as new () => RopeProvider)();
}

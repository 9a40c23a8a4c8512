/**
 * Registering in the default registry: the decorator of providers, backends, rules of query scales.
 */

import type { RopeBackend } from "./backend.ts";
import { invalid, issue, RopeError } from "./errors.ts";
import { checkKeys } from "./keys.ts";
import type { RopeProvider, RopeRegistration, RopeSpelling } from "./provider.ts";
import type { QueryScaleRule } from "./query-scale.ts";
import { defaultRegistry } from "./registry.ts";
import type { RegisterOptions, RopeRegistry } from "./registry.ts";

type Registrable = RopeProvider | RopeSpelling;

/** What `registerRopeType(name)` accepts: a class, a function that makes a provider, or a provider. */
export type ProviderSource = Registrable | (new () => Registrable) | (() => Registrable);

/** The decorator that {@link registerRopeType} returns; also callable as a plain function. */
export interface RegisterDecorator {
  <C extends new () => Registrable>(value: C, context: ClassDecoratorContext<C>): void;
  <F extends () => Registrable>(
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
 * provider follows an unknown contract, `ROPE_INVALID_PARAMETERS` for options that nothing reads, `ROPE_UNSUPPORTED` when it decorates anything but a class or a static method.
 *
 * @example
 * @registerRopeType("yarn")
 * export class YarnProvider implements RopeProvider<YarnParameters> { … }
 */
export function registerRopeType(
  name: string,
  options: RegisterOptions & { readonly registry?: RopeRegistry } = {},
): RegisterDecorator {
  checkKeys("the options of registerRopeType", options, ["aliases", "registry"]);
  const { registry = defaultRegistry, ...rest } = options;
  if (typeof (registry as Partial<RopeRegistry> | null)?.register !== "function") {
    const expected = "what createRegistry() makes, or nothing for the shared one";
    throw invalid("the options of registerRopeType", [issue("registry", expected, registry)]);
  }
  function decorate(value: unknown, context?: DecoratorContext): unknown {
    if (context === undefined) {
      registry.register(name, makeProvider(value), rest);
      return value;
    }
    if (context?.kind === "class") {
      // After the class is complete, static fields included.
      context.addInitializer(() => registry.register(name, makeProvider(value), rest));
      return undefined;
    }
    if (context?.kind === "method" && context.static) {
      context.addInitializer(function (this: unknown) {
        registry.register(name, (value as () => Registrable).call(this), rest);
      });
      return undefined;
    }
    throw new RopeError("ROPE_UNSUPPORTED", {
      what: `@registerRopeType(${JSON.stringify(name)}) cannot decorate this`,
      expected: "a class or a static method",
      received:
        typeof context === "object" && context !== null
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

/** What the default registry has: a registration for each name, aliases included, sorted by name. */
export function listRopeTypes(): readonly RopeRegistration[] {
  return defaultRegistry.list();
}

/** Registers a backend in the default registry; a backend package calls this when it is imported. */
export function registerBackend(backend: RopeBackend): void {
  defaultRegistry.registerBackend(backend);
}

/**
 * Registers a rule of `queryScale` in the default registry, by the name that requests give it.
 *
 * @throws RopeError `ROPE_TYPE_CONFLICT` when another source holds the name, `ROPE_SPEC_VERSION`, `ROPE_INVALID_PARAMETERS`
 * when it is no rule.
 */
export function registerQueryScale(name: string, rule: QueryScaleRule): void {
  defaultRegistry.registerQueryScale(name, rule);
}

function makeProvider(value: unknown): Registrable {
  if (typeof value !== "function") return value as Registrable;
  // A class must be called with `new`; a function that returns a provider may be.
  return value.prototype === undefined ? (value as () => Registrable)() : new (value as new () => Registrable)();
}

/**
 * Registration in the default registry: providers (by a decorator or a function), backends, rules of query scales.
 */

import type { RopeBackend } from "./backend.ts";
import { invalid, issue, RopeError } from "./errors.ts";
import { checkKeys } from "./keys.ts";
import type { RopeProvider, RopeRegistration, RopeSpelling } from "./provider.ts";
import type { QueryScaleRule } from "./query-scale.ts";
import { defaultRegistry } from "./registry.ts";
import type { RegisterOptions, RopeRegistry } from "./registry.ts";

type Registrable = RopeProvider | RopeSpelling;

/** A provider, its class, or a function that returns one. */
export type ProviderSource = Registrable | (new () => Registrable) | (() => Registrable);

/** The decorator that {@link registerRopeType} returns; also callable as a plain function. */
export interface RegisterDecorator {
  <C extends new () => Registrable>(value: C, context: ClassDecoratorContext<C>): void;
  <F extends () => Registrable>(
    value: F,
    context: ClassMethodDecoratorContext<unknown, F> & { readonly static: true },
  ): void;
  // `context` is undefined here, so that this signature does not accept what the other two refuse.
  <T extends ProviderSource>(value: T, context?: undefined): T;
}

/**
 * Registers a rope type in the default registry. It decorates a provider class, or a static method that returns a
 * provider. Without decorators, call the result with the provider: `registerRopeType("yarn")(YarnProvider)`.
 *
 * @param name the name that requests use in `parameters.ropeType`.
 * @param options `aliases`: more names of the type, each with its presets; `registry`: the registry to use instead.
 * @returns a decorator (TC39, stage 3), which is also a plain function and then returns its argument.
 * @throws RopeError `ROPE_INVALID_PARAMETERS` for an unknown option. The decorator throws `ROPE_TYPE_CONFLICT` when
 * another source has registered one of the names, `ROPE_SPEC_VERSION` when core does not know the provider's contract,
 * `ROPE_INVALID_PARAMETERS` when name, aliases or provider cannot be used, and `ROPE_UNSUPPORTED` when it decorates
 * something other than a class or a static method.
 *
 * @example
 * @registerRopeType("yarn")
 * export class YarnProvider implements RopeProvider<YarnParameters> { … }
 */
export function registerRopeType(
  name: string,
  options: RegisterOptions & { readonly registry?: RopeRegistry } = {},
): RegisterDecorator {
  const known = ["aliases", "registry"];
  const { registry = defaultRegistry, ...rest } = checkKeys("the options of registerRopeType", options, known);
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
      // The initializer runs when the class is complete, static fields included.
      context.addInitializer(() => registry.register(name, makeProvider(value), rest));
      return undefined;
    }
    if (context?.kind === "method" && context.static) {
      context.addInitializer(function (this: unknown) {
        registry.register(name, (value as () => Registrable).call(this), rest);
      });
      return undefined;
    }
    // By the older rules a class comes alone, as in the plain call, and a member with its name in place of a context.
    throw new RopeError("ROPE_UNSUPPORTED", {
      what: `@registerRopeType(${JSON.stringify(name)}) cannot decorate this`,
      expected: "a class or a static method",
      received:
        typeof context === "object" && context !== null
          ? `a ${context.kind} named ${String(context.name)}`
          : "a member, by the rules of experimentalDecorators (Babel, swc: legacy), which have to be off",
      remedy: "Decorate the provider class, or call registerRopeType(name)(provider).",
    });
  }
  return decorate as RegisterDecorator;
}

/**
 * Removes a type and its aliases from the default registry, and its ropes from the cache. Returns whether it was
 * registered.
 */
export function unregisterRopeType(name: string): boolean {
  return defaultRegistry.unregister(name);
}

/** The registrations of the default registry, aliases included, sorted by name. A new list of frozen entries. */
export function listRopeTypes(): readonly RopeRegistration[] {
  return defaultRegistry.list();
}

/**
 * Registers a backend in the default registry. A backend package calls this when it is imported.
 *
 * @throws RopeError `ROPE_TYPE_CONFLICT` when another source has registered the name; `ROPE_SPEC_VERSION` when core
 * does not know the backend's contract; `ROPE_INVALID_PARAMETERS` when it is no backend.
 */
export function registerBackend(backend: RopeBackend): void {
  defaultRegistry.registerBackend(backend);
}

/**
 * Registers a rule of `queryScale` in the default registry.
 *
 * @param name the name that requests use in `queryScale.rule`.
 * @throws RopeError `ROPE_TYPE_CONFLICT` when another source has registered the name; `ROPE_SPEC_VERSION` when core
 * does not know the rule's contract; `ROPE_INVALID_PARAMETERS` when it is no rule.
 *
 * @example
 * registerQueryScale("root", {
 *   specificationVersion: 1,
 *   source: "rope-root@1.0.0",
 *   parameters: { length: { type: "integer", min: 1, description: "tokens" } },
 *   scale: (position, { length }) => Math.sqrt(Math.max(1, position / length)),
 * });
 */
export function registerQueryScale(name: string, rule: QueryScaleRule): void {
  defaultRegistry.registerQueryScale(name, rule);
}

function makeProvider(value: unknown): Registrable {
  if (typeof value !== "function") return value as Registrable;
  // A class needs `new`. A function with a prototype works with `new` as well, an arrow function does not.
  return value.prototype === undefined ? (value as () => Registrable)() : new (value as new () => Registrable)();
}

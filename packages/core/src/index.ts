/**
 * Rotary position embedding: provider registry, exact tables, rotation.
 *
 * `getRope(request)` gives a {@link RotaryEmbedding}. A provider package (`@ropewalk/yarn`, …) adds its rope type when
 * it is imported. Core has no dependency, no side effect on import, and uses no Node built-in.
 */

import { getRopeUntyped } from "./get-rope.ts";
import type { GetRopeOptions } from "./get-rope.ts";
import type { UntypedRopeRequest } from "./request.ts";
import type { RotaryEmbedding } from "./interface.ts";

/**
 * The parameters of each rope type by its name. A provider package adds its own:
 * `declare module "@ropewalk/core" { interface RopeParametersByType { yarn: YarnParameters } }`.
 */
// oxlint-disable-next-line no-empty-interface -- the point of it: packages add to it
export interface RopeParametersByType {}

/** `parameters` of a request: the type's name with that type's own parameters. */
export type RopeParameters = {
  [Name in keyof RopeParametersByType]: { readonly ropeType: Name } & RopeParametersByType[Name];
}[keyof RopeParametersByType];

/** A request for a rope. The compiler checks `parameters` against the types whose packages are imported. */
export interface RopeRequest extends Omit<UntypedRopeRequest, "parameters"> {
  readonly parameters: RopeParameters;
}

/**
 * The rope that a request describes.
 *
 * Equal requests give the same frozen instance. The order of keys, lists or typed arrays, and defaults written out or
 * left out make no difference. A request that differs in any field gives another instance. For requests whose type is
 * known only at run time (from a worker, from a file) use {@link getRopeUntyped}.
 *
 * @throws RopeError `ROPE_UNKNOWN_TYPE` when no package registered the type; `ROPE_INVALID_PARAMETERS` with every issue
 * of the request or of the options; `ROPE_SPEC_VERSION` for a spec or a provider of another version;
 * `ROPE_BACKEND_UNAVAILABLE` for a backend that is not registered or cannot run here; `ROPE_UNSUPPORTED` for one that
 * has no executor.
 *
 * @example
 * import { getRope } from "@ropewalk/core";
 * import "@ropewalk/default";
 *
 * const rope = getRope({ headDim: 128, base: 500_000, parameters: { ropeType: "default" } });
 * rope.apply({ positions: { start: 0, count: 16 }, query, key });
 */
export function getRope(request: RopeRequest, options?: GetRopeOptions): RotaryEmbedding {
  return getRopeUntyped(request as UntypedRopeRequest, options);
}

export { getRopeUntyped, clearRopeCache, ropeCacheStatistics } from "./get-rope.ts";
export type { GetRopeOptions, RopeCacheStatistics } from "./get-rope.ts";
export type { RopeSpec, UntypedRopeRequest } from "./request.ts";
export { createRegistry, defaultRegistry } from "./registry.ts";
export type { RegisterOptions, RopeRegistry } from "./registry.ts";
export {
  listRopeTypes,
  registerBackend,
  registerQueryScale,
  registerRopeType,
  unregisterRopeType,
} from "./register.ts";
export type { ProviderSource, RegisterDecorator } from "./register.ts";
export { SPECIFICATION_VERSION } from "./provider.ts";
export type {
  FrequencyRequest,
  Precision,
  RewrittenRequest,
  RopeCapabilities,
  RopeFrequencies,
  RopeSettings,
  RopeProvider,
  RopeRegistration,
  RopeRule,
  RopeSpelling,
} from "./provider.ts";
export type { ParameterRule, ParameterSchema } from "./parameters.ts";
export type {
  AtOptions,
  CacheShiftArguments,
  BackendOptions,
  BackendRope,
  CosSin,
  CosSinOptions,
  CosSinTable,
  CosSinTableOptions,
  Frequencies,
  RopeBackends,
  RopeExplanation,
  RotaryEmbedding,
  RotaryStep,
  RotateArguments,
  RotateResult,
  ShiftArguments,
} from "./interface.ts";
export type { QueryScale, QueryScaleParametersByRule, QueryScaleRule } from "./query-scale.ts";
export type { Pairing } from "./pairing.ts";
export type {
  CacheElementType,
  CacheSlots,
  CacheView,
  PassArguments,
  PassPlace,
  PassResult,
  RmsNorm,
} from "./pass-arguments.ts";
export type { PositionArray, Positions } from "./positions.ts";
export type { Tensor, TensorView } from "./tensor.ts";
export type { ElementArray, ElementType, Float16ArrayLike, TensorData } from "./element-types.ts";
export { RopeError } from "./errors.ts";
export type { RopeErrorCode, RopeErrorParts, RopeIssue } from "./errors.ts";

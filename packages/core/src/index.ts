/**
 * Rotary position embedding: provider registry, exact tables, rotation.
 *
 * `getRope(request)` gives a {@link RotaryEmbedding}; importing a provider package (`@ropewalk/yarn`, …) adds its rope
 * type. No dependency, no side effect on import, no Node built-in.
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

/** What a rope is asked for with; parameters are checked against the types whose packages are imported. */
export interface RopeRequest extends Omit<UntypedRopeRequest, "parameters"> {
  readonly parameters: RopeParameters;
}

/**
 * The rope that a request describes.
 *
 * Equal requests give the same frozen instance: in any order of keys, with lists or typed arrays, with defaults written
 * out or not. A request that differs in any field gives another. For requests whose type is known only at run time
 * (a worker's, a file's) use {@link getRopeUntyped}.
 *
 * @throws RopeError `ROPE_UNKNOWN_TYPE` when no package registered the type, `ROPE_INVALID_PARAMETERS` with every issue
 * of the request at once, `ROPE_SPEC_VERSION` for a spec of another version.
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
  BackendOptions,
  BackendRope,
  CosSin,
  CosSinOptions,
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
export type { PositionArray, Positions } from "./positions.ts";
export type { Tensor, TensorView } from "./tensor.ts";
export type { ElementArray, ElementType, Float16ArrayLike, TensorData } from "./element-types.ts";
export { RopeError } from "./errors.ts";
export type { RopeErrorCode, RopeErrorParts, RopeIssue } from "./errors.ts";

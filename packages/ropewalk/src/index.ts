/**
 * Rotary position embedding with every rope type that runs on the CPU: importing this package registers them all.
 *
 * The names are those of `@ropewalk/core` and `@ropewalk/config`. An application that needs one type only, or counts
 * bytes, imports `@ropewalk/core` and that type's package instead.
 */

import "@ropewalk/default";
import "@ropewalk/deepseek-yarn";
import "@ropewalk/yarn";

export type { DeepseekYarnParameters } from "@ropewalk/deepseek-yarn";
export type { YarnParameters } from "@ropewalk/yarn";

export {
  clearRopeCache,
  createRegistry,
  defaultRegistry,
  getRope,
  getRopeUntyped,
  listRopeTypes,
  registerBackend,
  registerRopeType,
  RopeError,
  ropeCacheStatistics,
  SPECIFICATION_VERSION,
  unregisterRopeType,
} from "@ropewalk/core";
export type {
  AtOptions,
  BackendOptions,
  BackendRope,
  CosSin,
  CosSinOptions,
  ElementArray,
  ElementType,
  Float16ArrayLike,
  Frequencies,
  FrequencyRequest,
  GetRopeOptions,
  Pairing,
  ParameterRule,
  ParameterSchema,
  PositionArray,
  Positions,
  Precision,
  ProviderSource,
  RegisterDecorator,
  RegisterOptions,
  RopeBackends,
  RopeCacheStatistics,
  RopeCapabilities,
  RopeErrorCode,
  RopeErrorParts,
  RopeExplanation,
  RopeFrequencies,
  RopeGeometry,
  RopeIssue,
  RopeParameters,
  RopeParametersByType,
  RopeProvider,
  RopeRegistration,
  RopeRegistry,
  RopeRequest,
  RopeRule,
  RopeSpec,
  RotaryEmbedding,
  RotaryStep,
  RotateArguments,
  RotateResult,
  Tensor,
  TensorData,
  TensorView,
  UntypedRopeRequest,
} from "@ropewalk/core";

export { rotate } from "@ropewalk/core/math";
export type { RotateOptions, TableData } from "@ropewalk/core/math";

export { ropeRequestsFromConfig, ropesFromConfig } from "@ropewalk/config";
export type { ConfigNote, ConfigOptions, LayerRopeRequest, ModelRopes, RopeRequests } from "@ropewalk/config";

/**
 * Rotary position embedding with every rope type. Importing this package registers all types.
 *
 * The exports are those of `@ropewalk/core` and `@ropewalk/config`. An application that needs one type only, or a small
 * bundle, imports `@ropewalk/core` and the package of that type instead.
 */

import "@ropewalk/deepseek-yarn";
import "@ropewalk/default";
import "@ropewalk/dynamic";
import "@ropewalk/dynamic-alpha";
import "@ropewalk/given";
import "@ropewalk/linear";
import "@ropewalk/llama3";
import "@ropewalk/longrope";
import "@ropewalk/nd-qwen2vl";
import "@ropewalk/ntk";
import "@ropewalk/proportional";
import "@ropewalk/wasm-backend/auto";
import "@ropewalk/yarn";

export type { DeepseekYarnParameters } from "@ropewalk/deepseek-yarn";
export type { DefaultParameters } from "@ropewalk/default";
export type { DynamicParameters } from "@ropewalk/dynamic";
export type { DynamicAlphaParameters } from "@ropewalk/dynamic-alpha";
export type { GivenParameters } from "@ropewalk/given";
export type { LinearParameters } from "@ropewalk/linear";
export type { Llama3Parameters } from "@ropewalk/llama3";
export type { LongropeParameters } from "@ropewalk/longrope";
export type { MropeParameters, NdParameters } from "@ropewalk/nd-qwen2vl";
export type { NtkParameters } from "@ropewalk/ntk";
export type { ProportionalParameters } from "@ropewalk/proportional";
export type { YarnParameters } from "@ropewalk/yarn";

export {
  clearRopeCache,
  createRegistry,
  defaultRegistry,
  getRope,
  getRopeUntyped,
  listRopeTypes,
  registerBackend,
  registerQueryScale,
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
  CacheElementType,
  CacheShiftArguments,
  CacheSlots,
  CacheView,
  CosSin,
  CosSinOptions,
  CosSinTable,
  CosSinTableOptions,
  ElementArray,
  ElementType,
  Float16ArrayLike,
  Frequencies,
  FrequencyRequest,
  GetRopeOptions,
  Pairing,
  ParameterRule,
  ParameterSchema,
  PassArguments,
  PassPlace,
  PassResult,
  PositionArray,
  Positions,
  Precision,
  ProviderSource,
  QueryScale,
  QueryScaleParametersByRule,
  QueryScaleRule,
  RegisterDecorator,
  RegisterOptions,
  RewrittenRequest,
  RmsNorm,
  RopeBackends,
  RopeCacheStatistics,
  RopeCapabilities,
  RopeErrorCode,
  RopeErrorParts,
  RopeExplanation,
  RopeFrequencies,
  RopeIssue,
  RopeParameters,
  RopeParametersByType,
  RopeProvider,
  RopeRegistration,
  RopeRegistry,
  RopeRequest,
  RopeRule,
  RopeSettings,
  RopeSpec,
  RopeSpelling,
  RotaryEmbedding,
  RotaryStep,
  RotateArguments,
  RotateResult,
  ShiftArguments,
  Tensor,
  TensorData,
  TensorView,
  UntypedRopeRequest,
} from "@ropewalk/core";

export { permuteRows, rotate } from "@ropewalk/core/math";
export type { PermuteOptions, RotateOptions, TableData } from "@ropewalk/core/math";

export {
  attentionShape,
  dialects,
  fromAtb,
  keyFacts,
  promptRules,
  projectionShape,
  projectionShapeFromGguf,
  ropeRequestsFromConfig,
  ropeRequestsFromGguf,
  ropesFromConfig,
  ropesFromGguf,
} from "@ropewalk/config";
export type {
  AmplitudeRule,
  AtbRequest,
  AtbRope,
  AttentionShape,
  AxisName,
  ConfigNote,
  ConfigOptions,
  Dialect,
  DialectName,
  Fact,
  FusedOrder,
  GgufOptions,
  GgufRopeTensors,
  KeyFacts,
  KeyUse,
  LatentShape,
  LayerRopeRequest,
  ModelRopes,
  PromptRules,
  ProjectionShape,
  RequestOverrides,
  RopeRequests,
  RopeWeights,
  TowerPart,
  TowerPositions,
  VideoTimeRule,
  YarnDialect,
} from "@ropewalk/config";

export {
  AUDIO,
  cyclicAxes,
  decodePositions,
  diffusionPositions,
  glmImagePositions,
  gridPositions,
  hunyuanVlPositions,
  hyV4VlPositions,
  IMAGE,
  isaacPositions,
  maskedPositions,
  miniCpmVPositions,
  omniPositions,
  packedPositions,
  place,
  promptPositions,
  prunedVideoPositions,
  sectionedAxes,
  slicePositions,
  TEXT,
  VIDEO,
  visionPositions,
} from "@ropewalk/nd-qwen2vl";
export type {
  AxisPositions,
  CanvasTokens,
  CropSize,
  DecodeOptions,
  DiffusionFamily,
  DiffusionPrompt,
  DiffusionPrompts,
  FractionalFamily,
  ImageGrid,
  GlmImageOptions,
  GlmImagePositions,
  HunyuanVlOptions,
  ImagePromptOptions,
  MaskedOptions,
  MiniCpmVOptions,
  OmniOptions,
  OmniPositionArrays,
  PatchGrid,
  PlacedSegments,
  PlaceOptions,
  PositionArrays,
  PromptOptions,
  PromptPast,
  PromptPositions,
  PromptRowOptions,
  PromptSegment,
  PrunedVideoOptions,
  SegmentAdvance,
  VideoTime,
  VisualPromptOptions,
} from "@ropewalk/nd-qwen2vl";

export { promptPositionsFromTokens } from "./prompt-from-tokens.ts";
export type {
  IntegerList,
  IntegerRows,
  IntegerTensor,
  PromptTokenPositions,
  PromptTokens,
  TokenPast,
} from "./prompt-from-tokens.ts";

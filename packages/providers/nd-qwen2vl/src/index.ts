/** Registers the rope types `mrope` and `nd`: positions of several axes. */

import { registerRopeType } from "@ropewalk/core";
import type {
  FrequencyRequest,
  ParameterSchema,
  RewrittenRequest,
  RopeCapabilities,
  RopeFrequencies,
  RopeSettings,
  RopeProvider,
  RopeSpelling,
} from "@ropewalk/core";
// A request of type `mrope` is rewritten to the type `default`, so that type has to be registered.
import "@ropewalk/default";
import { __esDecorate, __runInitializers } from "@ropewalk/core/decorators";
import { mropeAxes, ndFrequencies } from "./formula.ts";
import { checkMrope, checkNd, mropeParameters, ndParameters, ndSections } from "./parameters.ts";
import type { MropeParameters, NdParameters } from "./parameters.ts";

declare module "@ropewalk/core" {
  interface RopeParametersByType {
    mrope: MropeParameters;
    nd: NdParameters;
  }
}

/**
 * `mrope`, as a provider: the frequencies of `default` on several axes, as in the text models of Qwen2-VL, Qwen3-VL and
 * their relatives. Another spelling of `default` with `axes`.
 *
 * @example
 * import "@ropewalk/nd-qwen2vl";
 *
 * const rope = getRope({ headDim: 8, base: 10000, parameters: { ropeType: "mrope", sections: [2, 1, 1] } });
 * rope.frequencies().axes; // [0, 0, 1, 2]
 */
@registerRopeType("mrope")
export class MropeProvider implements RopeSpelling<Required<MropeParameters>> {
  readonly specificationVersion = 1;
  readonly source = "@ropewalk/nd-qwen2vl@0.0.0";
  readonly parameters: ParameterSchema<MropeParameters> = mropeParameters;
  readonly check: typeof checkMrope = checkMrope;

  /** The same rope as a request of type `default` with `axes`. `check` has accepted the parameters. */
  rewrite(parameters: Required<MropeParameters>): RewrittenRequest {
    return { parameters: { ropeType: "default" }, axes: mropeAxes(parameters) };
  }
}

/**
 * `nd`, as a provider: each axis has its own frequencies, as in vision towers, image and video diffusion, and ndrope.
 *
 * @example
 * import "@ropewalk/nd-qwen2vl";
 *
 * const parameters = { ropeType: "nd", axisCount: 2 } as const;
 * const rope = getRope({ headDim: 8, base: 10000, precision: "float64", parameters });
 * rope.frequencies().invFreq; // [1, 0.01, 1, 0.01]
 */
@registerRopeType("nd")
export class NdProvider implements RopeProvider<Required<NdParameters>> {
  readonly specificationVersion = 1;
  readonly source = "@ropewalk/nd-qwen2vl@0.0.0";
  readonly parameters: ParameterSchema<NdParameters> = ndParameters;
  readonly check: typeof checkNd = checkNd;

  capabilities(parameters: Required<NdParameters>, { rotaryDim }: RopeSettings): RopeCapabilities {
    return { axisCount: ndSections(parameters, rotaryDim).length };
  }

  frequencies(request: FrequencyRequest, parameters: Required<NdParameters>): RopeFrequencies {
    return ndFrequencies(request, parameters);
  }
}

export { cyclicAxes, sectionedAxes } from "./axes.ts";
export {
  AUDIO,
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
  slicePositions,
  TEXT,
  VIDEO,
  visionPositions,
} from "./positions/index.ts";
export type {
  AxisPositions,
  CanvasTokens,
  CropSize,
  DecodeOptions,
  DiffusionFamily,
  DiffusionPrompt,
  DiffusionPrompts,
  FractionalFamily,
  GlmImageOptions,
  GlmImagePositions,
  HunyuanVlOptions,
  ImageGrid,
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
} from "./positions/index.ts";
export { mropeAxes, ndFrequencies } from "./formula.ts";
export { mropeParameters, ndParameters } from "./parameters.ts";
export type { AxisFrequencies } from "./formula.ts";
export type { MropeParameters, NdParameters } from "./parameters.ts";

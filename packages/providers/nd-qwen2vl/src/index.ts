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
// What `mrope` stands for.
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

/** The frequencies of `default`, several axes: the text side of Qwen2-VL, Qwen3-VL and their relatives. A spelling of `axes`. */
@registerRopeType("mrope")
export class MropeProvider implements RopeSpelling<Required<MropeParameters>> {
  readonly specificationVersion = 1;
  readonly source = "@ropewalk/nd-qwen2vl@0.0.0";
  readonly parameters: ParameterSchema<MropeParameters> = mropeParameters;
  readonly check: typeof checkMrope = checkMrope;

  /** The same rope as a request of type `default` with `axes`; the parameters have passed `check`. */
  rewrite(parameters: Required<MropeParameters>): RewrittenRequest {
    return { parameters: { ropeType: "default" }, axes: mropeAxes(parameters) };
  }
}

/** Frequencies of its own for each axis: vision towers, image and video diffusion, ndrope. */
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
  gridPositions,
  IMAGE,
  maskedPositions,
  packedPositions,
  promptPositions,
  TEXT,
  VIDEO,
  visionPositions,
} from "./positions.ts";
export type { AxisPositions, PatchGrid, PromptOptions, PromptPositions } from "./positions.ts";
export { mropeAxes, ndFrequencies } from "./formula.ts";
export { mropeParameters, ndParameters } from "./parameters.ts";
export type { AxisFrequencies } from "./formula.ts";
export type { MropeParameters, NdParameters } from "./parameters.ts";

/** Registers the rope types `mrope` and `nd`: positions of several axes. */

import { registerRopeType } from "@ropewalk/core";
import type {
  FrequencyRequest,
  ParameterSchema,
  RopeCapabilities,
  RopeFrequencies,
  RopeGeometry,
  RopeIssue,
  RopeProvider,
} from "@ropewalk/core";
import { __esDecorate, __runInitializers } from "@ropewalk/core/decorators";
import {
  checkNd,
  checkSections,
  mropeFrequencies,
  mropeParameters,
  ndFrequencies,
  ndParameters,
  ndSections,
} from "./formula.ts";
import type { MropeParameters, NdParameters } from "./formula.ts";

declare module "@ropewalk/core" {
  interface RopeParametersByType {
    mrope: MropeParameters;
    nd: NdParameters;
  }
}

/** One ladder, several axes: the text side of Qwen2-VL, Qwen3-VL and their relatives. */
@registerRopeType("mrope")
export class MropeProvider implements RopeProvider<Required<MropeParameters>> {
  readonly specificationVersion = 1;
  readonly source = "@ropewalk/nd-qwen2vl@0.0.0";
  readonly parameters: ParameterSchema<MropeParameters> = mropeParameters;

  capabilities({ sections }: Required<MropeParameters>): RopeCapabilities {
    return { axisCount: sections.length };
  }

  check({ sections }: Required<MropeParameters>, geometry: RopeGeometry): RopeIssue[] {
    return checkSections(sections, geometry);
  }

  frequencies(request: FrequencyRequest, parameters: Required<MropeParameters>): RopeFrequencies {
    return mropeFrequencies(request, parameters);
  }
}

/** A ladder for each axis: vision towers, image and video diffusion, ndrope. */
@registerRopeType("nd")
export class NdProvider implements RopeProvider<Required<NdParameters>> {
  readonly specificationVersion = 1;
  readonly source = "@ropewalk/nd-qwen2vl@0.0.0";
  readonly parameters: ParameterSchema<NdParameters> = ndParameters;

  capabilities(parameters: Required<NdParameters>, { rotaryDim }: RopeGeometry): RopeCapabilities {
    return { axisCount: ndSections(parameters, rotaryDim).length, fractionalPositions: parameters.fractional };
  }

  check(parameters: Required<NdParameters>, geometry: RopeGeometry): RopeIssue[] {
    return checkNd(parameters, geometry);
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
export { mropeFrequencies, mropeParameters, ndFrequencies, ndParameters } from "./formula.ts";
export type { MropeParameters, NdParameters } from "./formula.ts";

/** Registers the rope type `dynamic_alpha`. */

import { registerRopeType } from "@ropewalk/core";
import type {
  FrequencyRequest,
  ParameterSchema,
  RopeFrequencies,
  RopeSettings,
  RopeIssue,
  RopeProvider,
} from "@ropewalk/core";
import { __esDecorate, __runInitializers } from "@ropewalk/core/decorators";
import { checkDynamicAlpha, dynamicAlphaFrequencies, dynamicAlphaParameters } from "./formula.ts";
import type { DynamicAlphaParameters } from "./formula.ts";

declare module "@ropewalk/core" {
  interface RopeParametersByType {
    dynamic_alpha: DynamicAlphaParameters;
  }
}

/**
 * NTK-aware scaling by a fixed alpha, as a provider.
 *
 * @example
 * import "@ropewalk/dynamic-alpha";
 *
 * const parameters = { ropeType: "dynamic_alpha", alpha: 10 } as const;
 * const rope = getRope({ headDim: 4, base: 10000, precision: "float64", parameters });
 * rope.frequencies().invFreq; // [1, 0.001]
 */
@registerRopeType("dynamic_alpha")
export class DynamicAlphaProvider implements RopeProvider<DynamicAlphaParameters> {
  readonly specificationVersion = 1;
  readonly source = "@ropewalk/dynamic-alpha@0.0.0";
  readonly parameters: ParameterSchema<DynamicAlphaParameters> = dynamicAlphaParameters;

  check(_parameters: DynamicAlphaParameters, settings: RopeSettings): RopeIssue[] {
    return checkDynamicAlpha(settings);
  }

  frequencies(request: FrequencyRequest, parameters: DynamicAlphaParameters): RopeFrequencies {
    return dynamicAlphaFrequencies(request, parameters);
  }
}

export { dynamicAlphaFrequencies, dynamicAlphaParameters } from "./formula.ts";
export type { DynamicAlphaParameters } from "./formula.ts";

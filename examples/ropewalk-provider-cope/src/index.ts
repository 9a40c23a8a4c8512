/** Registers the rope type `cope`. */

import { registerRopeType } from "@ropewalk/core";
import type { FrequencyRequest, ParameterSchema, RopeFrequencies, RopeProvider } from "@ropewalk/core";
import { checkCope, copeFrequencies, copeParameters } from "./formula.ts";
import type { CopeParameters } from "./formula.ts";

declare module "@ropewalk/core" {
  interface RopeParametersByType {
    cope: CopeParameters;
  }
}

/**
 * CoPE, as a provider.
 *
 * @example
 * import "ropewalk-provider-cope";
 *
 * const parameters = { ropeType: "cope", clippedPairs: 3 } as const;
 * const rope = getRope({ headDim: 8, base: 10000, precision: "float64", parameters });
 * rope.frequencies().invFreq; // [1, 0.1, 0.005, 0]: the third is halved, the fourth stands still
 */
@registerRopeType("cope")
export class CopeProvider implements RopeProvider<Required<CopeParameters>> {
  readonly specificationVersion = 1;
  readonly source = "ropewalk-provider-cope@0.1.0";
  readonly parameters: ParameterSchema<CopeParameters> = copeParameters;
  readonly check: typeof checkCope = checkCope;

  frequencies(request: FrequencyRequest, parameters: Required<CopeParameters>): RopeFrequencies {
    return copeFrequencies(request, parameters);
  }
}

export { checkCope, copeFrequencies, copeParameters } from "./formula.ts";
export type { CopeParameters } from "./formula.ts";

/** Registers the rope type `given`: frequencies as a list. */

import { registerRopeType } from "@ropewalk/core";
import type { FrequencyRequest, ParameterSchema, RopeFrequencies, RopeProvider } from "@ropewalk/core";
import { __esDecorate, __runInitializers } from "@ropewalk/core/decorators";
import { checkGiven, givenFrequencies, givenParameters } from "./formula.ts";
import type { GivenParameters } from "./formula.ts";

declare module "@ropewalk/core" {
  interface RopeParametersByType {
    given: GivenParameters;
  }
}

/**
 * Given frequencies, as a provider.
 *
 * @example
 * import "@ropewalk/given";
 *
 * const rope = getRope({ headDim: 4, base: 10000, parameters: { ropeType: "given", invFreq: [1, -0.5] } });
 * rope.frequencies().invFreq; // [1, -0.5]
 */
@registerRopeType("given")
export class GivenProvider implements RopeProvider<Required<GivenParameters>> {
  readonly specificationVersion = 1;
  readonly source = "@ropewalk/given@0.0.0";
  readonly parameters: ParameterSchema<GivenParameters> = givenParameters;
  readonly check: typeof checkGiven = checkGiven;

  frequencies(request: FrequencyRequest, parameters: Required<GivenParameters>): RopeFrequencies {
    return givenFrequencies(request, parameters);
  }
}

export { givenFrequencies, givenParameters } from "./formula.ts";
export type { GivenParameters } from "./formula.ts";

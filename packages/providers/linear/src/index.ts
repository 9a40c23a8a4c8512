/** Registers the rope type `linear`. */

import { registerRopeType } from "@ropewalk/core";
import type { FrequencyRequest, ParameterSchema, RopeFrequencies, RopeProvider } from "@ropewalk/core";
import { __esDecorate, __runInitializers } from "@ropewalk/core/decorators";
import { linearFrequencies, linearParameters } from "./formula.ts";
import type { LinearParameters } from "./formula.ts";

declare module "@ropewalk/core" {
  interface RopeParametersByType {
    linear: LinearParameters;
  }
}

/**
 * Linear position interpolation, as a provider.
 *
 * @example
 * import "@ropewalk/linear";
 *
 * const parameters = { ropeType: "linear", factor: 2 } as const;
 * const rope = getRope({ headDim: 4, base: 10000, precision: "float64", parameters });
 * rope.frequencies().invFreq; // [0.5, 0.005]
 */
@registerRopeType("linear")
export class LinearProvider implements RopeProvider<LinearParameters> {
  readonly specificationVersion = 1;
  readonly source = "@ropewalk/linear@0.0.0";
  readonly parameters: ParameterSchema<LinearParameters> = linearParameters;

  frequencies(request: FrequencyRequest, parameters: LinearParameters): RopeFrequencies {
    return linearFrequencies(request, parameters);
  }
}

export { linearFrequencies, linearParameters } from "./formula.ts";
export type { LinearParameters } from "./formula.ts";

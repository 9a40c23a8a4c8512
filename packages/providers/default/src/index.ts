/** Registers the rope type `default`: the original rotary position embedding. */

import { registerRopeType } from "@ropewalk/core";
import type { FrequencyRequest, ParameterSchema, RopeFrequencies, RopeProvider } from "@ropewalk/core";
import { __esDecorate, __runInitializers } from "@ropewalk/core/decorators";
import { defaultFrequencies, defaultParameters } from "./formula.ts";
import type { DefaultParameters } from "./formula.ts";

declare module "@ropewalk/core" {
  interface RopeParametersByType {
    default: DefaultParameters;
  }
}

/**
 * The original rope, as a provider.
 *
 * @example
 * import "@ropewalk/default";
 *
 * const rope = getRope({ headDim: 4, base: 10000, precision: "float64", parameters: { ropeType: "default" } });
 * rope.frequencies().invFreq; // [1, 0.01]
 */
@registerRopeType("default")
export class DefaultProvider implements RopeProvider<DefaultParameters> {
  readonly specificationVersion = 1;
  readonly source = "@ropewalk/default@0.0.0";
  readonly parameters: ParameterSchema<DefaultParameters> = defaultParameters;

  frequencies(request: FrequencyRequest): RopeFrequencies {
    return defaultFrequencies(request);
  }
}

export { defaultFrequencies, defaultParameters } from "./formula.ts";
export type { DefaultParameters } from "./formula.ts";

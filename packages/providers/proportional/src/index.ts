/** Registers the rope type `proportional`. */

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
import { checkProportional, proportionalFrequencies, proportionalParameters } from "./formula.ts";
import type { ProportionalParameters } from "./formula.ts";

declare module "@ropewalk/core" {
  interface RopeParametersByType {
    proportional: ProportionalParameters;
  }
}

/**
 * Proportional rope, as a provider.
 *
 * @example
 * import "@ropewalk/proportional";
 *
 * const parameters = { ropeType: "proportional", partialRotaryFactor: 0.5 } as const;
 * const rope = getRope({ headDim: 8, base: 10000, precision: "float64", parameters });
 * rope.frequencies().invFreq; // [1, 0.1, 0, 0]
 */
@registerRopeType("proportional")
export class ProportionalProvider implements RopeProvider<Required<ProportionalParameters>> {
  readonly specificationVersion = 1;
  readonly source = "@ropewalk/proportional@0.0.0";
  readonly parameters: ParameterSchema<ProportionalParameters> = proportionalParameters;

  check(_parameters: Required<ProportionalParameters>, settings: RopeSettings): RopeIssue[] {
    return checkProportional(settings);
  }

  frequencies(request: FrequencyRequest, parameters: Required<ProportionalParameters>): RopeFrequencies {
    return proportionalFrequencies(request, parameters);
  }
}

export { proportionalFrequencies, proportionalParameters } from "./formula.ts";
export type { ProportionalParameters } from "./formula.ts";

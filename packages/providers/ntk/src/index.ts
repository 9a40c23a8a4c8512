/** Registers the rope type `ntk`. */

import { registerRopeType } from "@ropewalk/core";
import type { FrequencyRequest, ParameterSchema, RopeFrequencies, RopeProvider } from "@ropewalk/core";
import { __esDecorate, __runInitializers } from "@ropewalk/core/decorators";
import { ntkFrequencies, ntkParameters } from "./formula.ts";
import type { NtkParameters } from "./formula.ts";

declare module "@ropewalk/core" {
  interface RopeParametersByType {
    ntk: NtkParameters;
  }
}

/**
 * Static NTK-aware scaling, as a provider.
 *
 * @example
 * import "@ropewalk/ntk";
 *
 * const parameters = { ropeType: "ntk", factor: 4 } as const;
 * const rope = getRope({ headDim: 4, base: 10000, precision: "float64", parameters });
 * rope.frequencies().invFreq; // [0.5, 0.0025]
 */
@registerRopeType("ntk")
export class NtkProvider implements RopeProvider<Required<NtkParameters>> {
  readonly specificationVersion = 1;
  readonly source = "@ropewalk/ntk@0.0.0";
  readonly parameters: ParameterSchema<NtkParameters> = ntkParameters;

  frequencies(request: FrequencyRequest, parameters: Required<NtkParameters>): RopeFrequencies {
    return ntkFrequencies(request, parameters);
  }
}

export { ntkFrequencies, ntkParameters } from "./formula.ts";
export type { NtkParameters } from "./formula.ts";

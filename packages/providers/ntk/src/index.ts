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

/** Static NTK-aware scaling, as a provider. */
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

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

/** The original rope, as a provider. */
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

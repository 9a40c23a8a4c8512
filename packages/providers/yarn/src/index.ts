/** Registers the rope type `yarn`, and `telechat3-yarn`, which is the same with a smaller amplitude. */

import { registerRopeType } from "@ropewalk/core";
import type { FrequencyRequest, ParameterSchema, RopeFrequencies, RopeProvider } from "@ropewalk/core";
import { __esDecorate, __runInitializers } from "@ropewalk/core/decorators";
import { explainYarn } from "./explain.ts";
import { yarnFrequencies } from "./formula.ts";
import { checkYarn, yarnParameters } from "./parameters.ts";
import type { YarnParameters } from "./parameters.ts";

declare module "@ropewalk/core" {
  interface RopeParametersByType {
    yarn: YarnParameters;
    "telechat3-yarn": YarnParameters;
  }
}

/** YaRN, as a provider. */
@registerRopeType("yarn", { aliases: { "telechat3-yarn": { magnitudeSlope: 0.07 } } })
export class YarnProvider implements RopeProvider<Required<YarnParameters>> {
  readonly specificationVersion = 1;
  readonly source = "@ropewalk/yarn@0.0.0";
  readonly parameters: ParameterSchema<YarnParameters> = yarnParameters;
  readonly check: typeof checkYarn = checkYarn;

  frequencies(request: FrequencyRequest, parameters: Required<YarnParameters>): RopeFrequencies {
    const result = yarnFrequencies(request, parameters);
    return { ...result, ...explainYarn(result, parameters) };
  }
}

export { yarnFrequencies } from "./formula.ts";
export { yarnParameters } from "./parameters.ts";
export type { YarnFrequencies, YarnInverseFrequencies } from "./formula.ts";
export type { YarnParameters } from "./parameters.ts";

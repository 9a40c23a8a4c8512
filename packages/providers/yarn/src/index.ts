/** Registers the rope type `yarn`, and `telechat3-yarn`, which is the same with a smaller amplitude. */

import { registerRopeType } from "@ropewalk/core";
import type {
  FrequencyRequest,
  ParameterSchema,
  RopeFrequencies,
  RopeGeometry,
  RopeIssue,
  RopeProvider,
} from "@ropewalk/core";
import { checkYarn, yarnFrequencies, yarnParameters } from "./formula.ts";
import type { YarnParameters } from "./formula.ts";

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

  check(parameters: Required<YarnParameters>, geometry: RopeGeometry): RopeIssue[] {
    return checkYarn(parameters, geometry);
  }

  frequencies(request: FrequencyRequest, parameters: Required<YarnParameters>): RopeFrequencies {
    return yarnFrequencies(request, parameters);
  }
}

export { yarnFrequencies, yarnParameters } from "./formula.ts";
export type { YarnParameters } from "./formula.ts";

/** Registers the rope type `yarn`, and `telechat3-yarn`, the same type with a smaller amplitude. */

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

/**
 * YaRN, as a provider.
 *
 * @example
 * import "@ropewalk/yarn";
 *
 * const parameters = { ropeType: "yarn", factor: 4, originalMaxPosition: 32768 } as const;
 * const rope = getRope({ headDim: 128, base: 1e6, parameters });
 * rope.attentionFactor.toFixed(4); // 1.1386
 */
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

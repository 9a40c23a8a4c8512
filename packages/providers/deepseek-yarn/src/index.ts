/** Registers the rope type `deepseek_yarn`, and `deepseek_llama_scaling`, which does not scale the softmax. */

import { registerRopeType } from "@ropewalk/core";
import type { FrequencyRequest, ParameterSchema, RopeFrequencies, RopeProvider } from "@ropewalk/core";
import { __esDecorate, __runInitializers } from "@ropewalk/core/decorators";
import { checkYarnFrequencies } from "@ropewalk/yarn/formula";
import { explainDeepseekYarn } from "./explain.ts";
import { deepseekYarnFrequencies } from "./formula.ts";
import { deepseekYarnParameters } from "./parameters.ts";
import type { DeepseekYarnParameters } from "./parameters.ts";

declare module "@ropewalk/core" {
  interface RopeParametersByType {
    deepseek_yarn: DeepseekYarnParameters;
    deepseek_llama_scaling: DeepseekYarnParameters;
  }
}

/**
 * DeepSeek's YaRN, as a provider. The default pairing is `adjacent`, as in DeepSeek's models.
 *
 * @example
 * import "@ropewalk/deepseek-yarn";
 *
 * const rope = getRope({
 *   headDim: 64,
 *   base: 10000,
 *   parameters: { ropeType: "deepseek_yarn", factor: 40, originalMaxPosition: 4096, mscale: 1, mscaleAllDim: 1 },
 * });
 * rope.attentionFactor; // 1
 * rope.softmaxScaleFactor.toFixed(4); // 1.8739
 */
@registerRopeType("deepseek_yarn", { aliases: { deepseek_llama_scaling: { foldIntoSoftmax: false } } })
export class DeepseekYarnProvider implements RopeProvider<Required<DeepseekYarnParameters>> {
  readonly specificationVersion = 1;
  readonly source = "@ropewalk/deepseek-yarn@0.0.0";
  readonly parameters: ParameterSchema<DeepseekYarnParameters> = deepseekYarnParameters;
  readonly defaults = { pairing: "adjacent" } as const;
  readonly check: typeof checkYarnFrequencies = checkYarnFrequencies;

  frequencies(request: FrequencyRequest, parameters: Required<DeepseekYarnParameters>): RopeFrequencies {
    const result = deepseekYarnFrequencies(request, parameters);
    return { ...result, ...explainDeepseekYarn(result, parameters) };
  }
}

export { deepseekYarnFrequencies } from "./formula.ts";
export { deepseekYarnParameters } from "./parameters.ts";
export type { DeepseekYarnFrequencies } from "./formula.ts";
export type { DeepseekYarnParameters } from "./parameters.ts";

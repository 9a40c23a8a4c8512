/** Registers the rope type `deepseek_yarn`, and `deepseek_llama_scaling`, which leaves the softmax alone. */

import { registerRopeType } from "@ropewalk/core";
import type {
  FrequencyRequest,
  ParameterSchema,
  RopeFrequencies,
  RopeGeometry,
  RopeIssue,
  RopeProvider,
} from "@ropewalk/core";
import { checkYarnLadder } from "@ropewalk/yarn/formula";
import { deepseekYarnFrequencies, deepseekYarnParameters } from "./formula.ts";
import type { DeepseekYarnParameters } from "./formula.ts";

declare module "@ropewalk/core" {
  interface RopeParametersByType {
    deepseek_yarn: DeepseekYarnParameters;
    deepseek_llama_scaling: DeepseekYarnParameters;
  }
}

/** DeepSeek's YaRN, as a provider. DeepSeek models pair adjacent elements. */
@registerRopeType("deepseek_yarn", { aliases: { deepseek_llama_scaling: { foldIntoSoftmax: false } } })
export class DeepseekYarnProvider implements RopeProvider<Required<DeepseekYarnParameters>> {
  readonly specificationVersion = 1;
  readonly source = "@ropewalk/deepseek-yarn@0.0.0";
  readonly parameters: ParameterSchema<DeepseekYarnParameters> = deepseekYarnParameters;
  readonly defaults = { pairing: "adjacent" } as const;

  check(parameters: Required<DeepseekYarnParameters>, geometry: RopeGeometry): RopeIssue[] {
    return checkYarnLadder(parameters, geometry);
  }

  frequencies(request: FrequencyRequest, parameters: Required<DeepseekYarnParameters>): RopeFrequencies {
    return deepseekYarnFrequencies(request, parameters);
  }
}

export { deepseekYarnFrequencies, deepseekYarnParameters } from "./formula.ts";
export type { DeepseekYarnParameters } from "./formula.ts";

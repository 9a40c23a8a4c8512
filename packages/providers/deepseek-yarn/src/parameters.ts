/** Parameters of DeepSeek's YaRN, with the source of each default. */

import type { ParameterSchema } from "@ropewalk/core";
import { yarnFrequencyParameters } from "@ropewalk/yarn/formula";
import type { YarnFrequencyParameters } from "@ropewalk/yarn/formula";

/** Parameters of the rope type `deepseek_yarn`. */
export interface DeepseekYarnParameters extends YarnFrequencyParameters {
  /** Numerator of the amplitude. */
  readonly mscale?: number;
  /** Denominator of the amplitude, and magnitude of the softmax. */
  readonly mscaleAllDim?: number;
  /** Multiplies cos and sin. Replaces the ratio of the two magnitudes. */
  readonly attentionFactor?: number | null;
  /** Whether `softmaxScaleFactor` reports the softmax's magnitude. If not, it is 1. */
  readonly foldIntoSoftmax?: boolean;
}

/** Schema of the rope type `deepseek_yarn`. */
export const deepseekYarnParameters: ParameterSchema<DeepseekYarnParameters> = {
  ...yarnFrequencyParameters,
  mscale: { type: "number", min: 0, default: 1, description: "numerator of the amplitude; vLLM" },
  mscaleAllDim: {
    type: "number",
    min: 0,
    default: 0,
    description: "denominator of the amplitude; vLLM",
  },
  attentionFactor: { type: "number", above: 0, default: null, description: "amplitude; absent: by mscale" },
  foldIntoSoftmax: { type: "boolean", default: true, description: "report softmaxScaleFactor; vLLM" },
};

/**
 * DeepSeek's YaRN: the ladder of YaRN with two magnitudes, one for cos and sin, one for the softmax.
 *
 * With `M(s, k) = 0.1 k ln s + 1`:
 * `attentionFactor = M(s, mscale) / M(s, mscaleAllDim)` multiplies cos and sin;
 * `softmaxScaleFactor = M(s, mscaleAllDim)²` multiplies the softmax scale, where it also reaches the part of the head
 * that is not rotated. A rope only reports the second: the attention layer has to apply it. With
 * `foldIntoSoftmax: false` it is 1.
 *
 * Source: DeepSeek-V2 (arXiv 2405.04434), §3.1.4, and the models' published code; vLLM `DeepseekScalingRotaryEmbedding`
 * and the `mscale` of its attention class; the ladder is `@ropewalk/yarn/formula`.
 */

import type { FrequencyRequest, ParameterSchema, RopeFrequencies } from "@ropewalk/core";
import { toNumber } from "@ropewalk/core/math";
import { yarnLadder, yarnLadderParameters, yarnMagnitude } from "@ropewalk/yarn/formula";
import type { YarnLadderParameters } from "@ropewalk/yarn/formula";

/** Parameters of the rope type `deepseek_yarn`. */
export interface DeepseekYarnParameters extends YarnLadderParameters {
  /** Numerator of the amplitude. */
  readonly mscale?: number;
  /** Denominator of the amplitude, and the softmax's magnitude. */
  readonly mscaleAllDim?: number;
  /** Multiplies cos and sin, instead of the rule. */
  readonly attentionFactor?: number | null;
  /** Whether the softmax has a magnitude at all. */
  readonly foldIntoSoftmax?: boolean;
}

export const deepseekYarnParameters: ParameterSchema<DeepseekYarnParameters> = {
  ...yarnLadderParameters,
  mscale: { type: "number", min: 0, default: 1, description: "numerator magnitude; 1: vLLM, DeepSeek-V3" },
  mscaleAllDim: {
    type: "number",
    min: 0,
    default: 0,
    description: "denominator and softmax magnitude; 0 (no softmax scale): vLLM, Hugging Face",
  },
  attentionFactor: {
    type: "number",
    above: 0,
    default: null,
    description: "amplitude of cos and sin; absent: the ratio of the magnitudes",
  },
  foldIntoSoftmax: {
    type: "boolean",
    default: true,
    description:
      "report M(s, mscaleAllDim)² for the softmax; true: DeepSeek-V2, Hugging Face, vLLM (deepseek_llama_scaling: false)",
  },
};

/** Frequencies and both amplitudes of the rope type `deepseek_yarn`. */
export function deepseekYarnFrequencies(
  request: FrequencyRequest,
  parameters: Required<DeepseekYarnParameters>,
): RopeFrequencies {
  const { scalar } = request;
  const { attentionFactor, factor, foldIntoSoftmax, mscale, mscaleAllDim } = parameters;
  const { rules, ...ladder } = yarnLadder(request, parameters);
  const overall = yarnMagnitude(factor, mscaleAllDim, scalar);
  const amplitude = attentionFactor ?? scalar.divide(yarnMagnitude(factor, mscale, scalar), overall);
  const softmaxScaleFactor = foldIntoSoftmax ? scalar.multiply(overall, overall) : 1;
  rules.push(
    {
      name: "attentionFactor",
      value: toNumber(amplitude),
      rule:
        attentionFactor === null
          ? `M(${factor}, mscale ${mscale}) / M(${factor}, mscaleAllDim ${mscaleAllDim}) with M(s, k) = 0.1 k ln s + 1`
          : "given",
      source: "vLLM DeepseekScalingRotaryEmbedding",
    },
    {
      name: "softmaxScaleFactor",
      value: toNumber(softmaxScaleFactor),
      rule: !foldIntoSoftmax
        ? "1, since foldIntoSoftmax is false"
        : mscaleAllDim === 0
          ? "1, since mscaleAllDim is 0"
          : `M(${factor}, mscaleAllDim ${mscaleAllDim})²; the attention layer multiplies its scale by it`,
      source: "DeepSeek-V2 attention; vLLM and Hugging Face likewise",
    },
  );
  return { ...ladder, attentionFactor: amplitude, softmaxScaleFactor, rules };
}

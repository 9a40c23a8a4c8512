/**
 * DeepSeek's YaRN: the frequencies of YaRN with two magnitudes, one for cos and sin, one for the softmax.
 *
 * With `M(s, k) = 0.1 k ln s + 1`: `attentionFactor = M(s, mscale) / M(s, mscaleAllDim)` multiplies cos and sin.
 * `softmaxScaleFactor = M(s, mscaleAllDim)²` multiplies the softmax scale, and so also reaches the part of the head
 * that is not rotated. A rope only reports it; the attention layer has to apply it. With `foldIntoSoftmax: false` it is
 * 1.
 *
 * Source: DeepSeek-V2 (arXiv 2405.04434), §3.1.4, and the models' published code; vLLM `DeepseekScalingRotaryEmbedding`
 * and the `mscale` of its attention class; frequencies and `M` are those of `@ropewalk/yarn/formula`.
 */

import type { FrequencyRequest } from "@ropewalk/core";
import type { Real } from "@ropewalk/core/math";
import { yarnInverseFrequencies, yarnMagnitude } from "@ropewalk/yarn/formula";
import type { YarnInverseFrequencies } from "@ropewalk/yarn/formula";
import type { DeepseekYarnParameters } from "./parameters.ts";

export { deepseekYarnParameters } from "./parameters.ts";
export type { DeepseekYarnParameters } from "./parameters.ts";

/** The result of {@link deepseekYarnFrequencies}. */
export interface DeepseekYarnFrequencies extends YarnInverseFrequencies {
  /** Multiplies cos and sin. */
  readonly attentionFactor: Real;
  /** Multiplies the softmax scale, in the attention layer. */
  readonly softmaxScaleFactor: Real;
}

/**
 * Computes the frequencies and both amplitudes of the rope type `deepseek_yarn`; the formulas stand at the head of this
 * file.
 *
 * @param request settings and arithmetic: float32 gives the engines' numbers, double-double the true values.
 * @param parameters complete and checked by the provider.
 * @returns `rotaryDim/2` frequencies in radians per position, the two amplitudes, and the data for `explain()`. The
 * lists are new.
 * Source: DeepSeek-V2 (arXiv 2405.04434), §3.1.4; vLLM `DeepseekScalingRotaryEmbedding`.
 */
export function deepseekYarnFrequencies(
  request: FrequencyRequest,
  parameters: Required<DeepseekYarnParameters>,
): DeepseekYarnFrequencies {
  const { divide, multiply } = request.scalar;
  const { attentionFactor, factor, foldIntoSoftmax, mscale, mscaleAllDim } = parameters;
  const overall = yarnMagnitude(factor, mscaleAllDim, 0.1, request.scalar);
  return {
    ...yarnInverseFrequencies(request, parameters),
    attentionFactor: attentionFactor ?? divide(yarnMagnitude(factor, mscale, 0.1, request.scalar), overall),
    softmaxScaleFactor: foldIntoSoftmax ? multiply(overall, overall) : 1,
  };
}

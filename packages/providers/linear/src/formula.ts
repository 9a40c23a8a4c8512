/**
 * Linear position interpolation: every pair is slowed down by the same factor. `factor · L` positions turn as far as
 * `L` positions did before.
 *
 * `invFreq[i] = base^(−2i/R) / factor`; cos and sin are not scaled.
 *
 * Source: Chen et al., Extending Context Window of Large Language Models via Positional Interpolation (arXiv
 * 2306.15595), §3; operations and their order as in Hugging Face transformers 5,
 * `_compute_linear_scaling_rope_parameters`. vLLM, FlashInfer and MLX scale the position instead. The function is the
 * same; the angle may differ in the last float32 place.
 */

import type { FrequencyRequest, ParameterSchema, RopeFrequencies } from "@ropewalk/core";
import { inverseFrequencies } from "@ropewalk/core/math";

/** Parameters of the rope type `linear`. */
export interface LinearParameters {
  /** How many times longer the context becomes. */
  readonly factor: number;
}

/** Schema of the rope type `linear`, with the source of each default. */
export const linearParameters: ParameterSchema<LinearParameters> = {
  factor: { type: "number", above: 0, description: "context extension; no default: every engine requires it" },
};

/**
 * Computes the frequencies of the rope type `linear`: `invFreq[i] = base^(−2i/R) / factor`.
 *
 * @param request settings and arithmetic: float32 gives the engines' numbers, double-double the true values.
 * @returns a new list of `rotaryDim/2` frequencies in radians per position.
 * Source: Position Interpolation (arXiv 2306.15595), §3; Hugging Face transformers 5
 * `_compute_linear_scaling_rope_parameters`.
 */
export function linearFrequencies(
  { array, base, maxPosition, rotaryDim }: FrequencyRequest,
  { factor }: LinearParameters,
): RopeFrequencies {
  const invFreq = inverseFrequencies(base, rotaryDim, array).map((frequency) => array.divide(frequency, factor));
  return {
    invFreq,
    // vLLM's table has this many rows. Configs of this type usually state the trained length as the maximum.
    ...(maxPosition === null ? {} : { extendedMaxPosition: factor * maxPosition }),
    rules: [
      {
        name: "factor",
        value: factor,
        rule: "given: every frequency is divided by it",
        source: "Position Interpolation §3; Hugging Face _compute_linear_scaling_rope_parameters",
      },
    ],
    regimes: invFreq.map(() => (factor === 1 ? "kept" : "interpolated")),
  };
}

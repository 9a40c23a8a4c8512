/**
 * The original rotary position embedding.
 *
 * `invFreq[i] = 1 / base^(2i / rotaryDim)` for pair `i`, amplitude 1. The denominator is `rotaryDim`, even if only a
 * part of the head is rotated. (`proportional` ropes divide by `headDim`; they are another type.)
 *
 * Source: Su et al., RoFormer (arXiv 2104.09864), §3.2.2; Hugging Face transformers 5,
 * `compute_default_rope_parameters`.
 */

import type { FrequencyRequest, ParameterSchema, RopeFrequencies } from "@ropewalk/core";
import { inverseFrequencies } from "@ropewalk/core/math";

/** The original rope has no parameters besides its settings. */
export interface DefaultParameters {}

/** Schema of the rope type `default`: empty. */
export const defaultParameters: ParameterSchema<DefaultParameters> = {};

/**
 * Computes the frequencies of the rope type `default`: `invFreq[i] = 1 / base^(2i/rotaryDim)`.
 *
 * @param request settings and arithmetic: float32 gives the engines' numbers, double-double the true values.
 * @returns a new list of `rotaryDim/2` frequencies in radians per position.
 * Source: RoFormer (arXiv 2104.09864), §3.2.2; Hugging Face transformers 5, `compute_default_rope_parameters`.
 */
export function defaultFrequencies({ base, rotaryDim, array }: FrequencyRequest): RopeFrequencies {
  return { invFreq: inverseFrequencies(base, rotaryDim, array) };
}

/**
 * The original rotary position embedding.
 *
 * `invFreq[i] = 1 / base^(2i / rotaryDim)` for pair `i`, amplitude 1. The denominator is `rotaryDim`, also when only a
 * part of the head is rotated (`proportional` ropes, which divide by `headDim`, are another type).
 *
 * Source: Su et al., RoFormer (arXiv 2104.09864), §3.2.2; Hugging Face transformers 5, `compute_default_rope_parameters`.
 */

import type { FrequencyRequest, ParameterSchema, RopeFrequencies } from "@ropewalk/core";
import { inverseFrequencies } from "@ropewalk/core/math";

/** The original rope has no parameters besides its settings. */
export interface DefaultParameters {}

/** Schema of the rope type `default`: empty. */
export const defaultParameters: ParameterSchema<DefaultParameters> = {};

/**
 * Frequencies of the rope type `default`: `invFreq[i] = 1 / base^(2i/rotaryDim)`, `rotaryDim/2` values in radians per position.
 *
 * @param request settings and arithmetic: float32 for the engines' numbers, double-double for the true ones.
 */
export function defaultFrequencies({ base, rotaryDim, array }: FrequencyRequest): RopeFrequencies {
  return { invFreq: inverseFrequencies(base, rotaryDim, array) };
}

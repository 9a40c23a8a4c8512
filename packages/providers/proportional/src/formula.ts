/**
 * Proportional rope: the frequencies of the whole head, of which only the fastest pairs are turned.
 *
 * With `D = headDim` and `n = ⌊D · partialRotaryFactor / 2⌋`: `invFreq[i] = base^(−2i/D) / factor` for `i < n`, and 0 for the other
 * pairs, which stay as they are at every position. cos and sin are not scaled.
 *
 * Not the usual partial rotation, which pairs elements within the first R of a head and divides exponents by R: here
 * pairs span the whole head (with pairing `half`, pair i is elements i and i + D/2) and exponents are divided by D. So
 * the rotary dimension is the head's, and the share is the type's own parameter.
 *
 * Source: Gemma 4's global layers; operations and their order as in Hugging Face transformers 5,
 * `_compute_proportional_rope_parameters`. vLLM and SGLang ignore `factor`.
 */

import type { FrequencyRequest, ParameterSchema, RopeFrequencies, RopeSettings, RopeIssue } from "@ropewalk/core";
import { inverseFrequencies } from "@ropewalk/core/math";

/** Parameters of the rope type `proportional`. */
export interface ProportionalParameters {
  /** The share of the pairs that are turned. */
  readonly partialRotaryFactor?: number;
  /** Every frequency is divided by it. */
  readonly factor?: number;
}

/** Schema of the rope type `proportional`, with the source of each default. */
export const proportionalParameters: ParameterSchema<ProportionalParameters> = {
  partialRotaryFactor: {
    type: "number",
    min: 0,
    max: 1,
    default: 1,
    description: "share of the pairs that are turned; 1: Hugging Face (Gemma 4: 0.25)",
  },
  factor: { type: "number", above: 0, default: 1, description: "every frequency is divided by it; 1: Hugging Face" },
};

/** Contradictions with the settings; `[]` where there are none. */
export function checkProportional({ headDim, rotaryDim }: RopeSettings): RopeIssue[] {
  if (rotaryDim === headDim) return [];
  return [
    {
      path: "rotaryDim",
      expected: `headDim (${headDim}): the pairs of this type span the whole head`,
      received: `${rotaryDim}`,
      remedy: "Leave rotaryDim out and give partialRotaryFactor in the parameters, not in the request.",
    },
  ];
}

/**
 * Frequencies of the rope type `proportional`: `invFreq[i] = base^(−2i/D) / factor` for the first `⌊D · share / 2⌋` of
 * `D/2` pairs, in radians per position, and 0 for the others. `D` is `headDim`, which `rotaryDim` has to equal.
 *
 * @param request settings and arithmetic: float32 for the engines' numbers, double-double for the true ones.
 */
export function proportionalFrequencies(
  { array, base, headDim }: FrequencyRequest,
  { factor, partialRotaryFactor }: Required<ProportionalParameters>,
): RopeFrequencies {
  const turned = Math.floor((partialRotaryFactor * headDim) / 2);
  const invFreq = inverseFrequencies(base, headDim, array).map((frequency, i) =>
    i < turned ? array.divide(frequency, factor) : 0,
  );
  const source = "Hugging Face _compute_proportional_rope_parameters";
  return {
    invFreq,
    rules: [
      {
        name: "turnedPairs",
        value: turned,
        rule: `⌊headDim ${headDim} · partialRotaryFactor ${partialRotaryFactor} / 2⌋ of ${headDim / 2} pairs; the others stay as they are`,
        source,
      },
      { name: "factor", value: factor, rule: "every frequency is divided by it; 1 unless given", source },
    ],
    regimes: invFreq.map((_, i) => (i >= turned ? "still" : factor === 1 ? "kept" : "interpolated")),
  };
}

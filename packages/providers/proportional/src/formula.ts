/**
 * Proportional rope: pairs span the whole head, and only the fastest pairs are rotated.
 *
 * With `D = headDim` and `n = ⌊D · partialRotaryFactor / 2⌋`: `invFreq[i] = base^(−2i/D) / factor` for `i < n`, and 0
 * for the other pairs. cos and sin are not scaled. With the denominator `rotated`, the exponents are `−2i/(2n)`: the
 * frequencies of a head of the rotated elements alone (K2-Horizon's P.RoPE).
 *
 * The usual partial rotation is different: it pairs elements within the first R of a head and divides exponents by R.
 * Here, with pairing `half`, pair i is elements i and i + D/2. Therefore `rotaryDim`
 * equals `headDim`, and the share is a parameter of the type.
 *
 * Source: Gemma 4's global layers; operations and their order as in Hugging Face transformers 5,
 * `_compute_proportional_rope_parameters`. vLLM and SGLang ignore `factor`. `rotated`: vLLM 0.33 `k2_horizon.py`.
 */

import type { FrequencyRequest, ParameterSchema, RopeFrequencies, RopeSettings, RopeIssue } from "@ropewalk/core";
import { inverseFrequencies } from "@ropewalk/core/math";

/** Parameters of the rope type `proportional`. */
export interface ProportionalParameters {
  /** The share of the pairs that are rotated. */
  readonly partialRotaryFactor?: number;
  /** Divides every frequency. */
  readonly factor?: number;
  /** What divides the exponents: the elements of the head, or the rotated elements. */
  readonly denominator?: "head" | "rotated";
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
  denominator: {
    type: "string",
    oneOf: ["head", "rotated"],
    default: "head",
    description: "elements that divide exponents; head: Hugging Face (K2-Horizon: rotated)",
  },
};

/** Contradictions with the settings; `[]` if there are none. */
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
 * Computes the frequencies of the rope type `proportional`: `invFreq[i] = base^(−2i/D) / factor` for the first `⌊D ·
 * partialRotaryFactor / 2⌋ = n` of `D/2` pairs, and 0 for the others. `D` is `headDim`; `rotaryDim` has to equal it.
 * With the denominator `rotated`, the exponent is `−2i/(2n)`.
 *
 * @param request settings and arithmetic: float32 gives the engines' numbers, double-double the true values.
 * @returns a new list of `D/2` frequencies in radians per position.
 * Source: Hugging Face transformers 5, `_compute_proportional_rope_parameters`; vLLM 0.33 `k2_horizon.py`.
 */
export function proportionalFrequencies(
  { array, base, headDim }: FrequencyRequest,
  { denominator, factor, partialRotaryFactor }: Required<ProportionalParameters>,
): RopeFrequencies {
  const turned = Math.floor((partialRotaryFactor * headDim) / 2);
  const elements = denominator === "head" ? headDim : 2 * turned;
  const list = inverseFrequencies(base, elements, array);
  const invFreq = Array.from({ length: headDim / 2 }, (_, i) => (i < turned ? array.divide(list[i]!, factor) : 0));
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
      { name: "denominator", value: elements, rule: `exponents are divided by it: elements, ${denominator}`, source },
      { name: "factor", value: factor, rule: "every frequency is divided by it; 1 unless given", source },
    ],
    regimes: invFreq.map((_, i) => (i >= turned ? "still" : factor === 1 ? "kept" : "interpolated")),
  };
}

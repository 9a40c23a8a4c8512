/**
 * NTK-aware scaling by a fixed alpha: the base grows once, for every length. The fastest pairs keep almost their whole
 * frequency; the slowest is slowed down by `alpha`.
 *
 * `base' = base · alpha^(R/(R−2))`, `invFreq[i] = base'^(−2i/R)`; cos and sin are not scaled.
 *
 * Published configs call it `dynamic` (with `alpha` instead of `factor`) or `xdrope`, though it does not depend on the
 * length.
 *
 * Source: Hugging Face transformers 5, `compute_ntk_alpha_rope_parameters` of hunyuan_v1_dense; vLLM
 * `DynamicNTKAlphaRotaryEmbedding`. transformers has `headDim` in both exponents, vLLM `rotaryDim`. They are equal in
 * every published model; this package uses `rotaryDim`.
 */

import type { FrequencyRequest, ParameterSchema, RopeFrequencies, RopeSettings, RopeIssue } from "@ropewalk/core";
import { inverseFrequencies, toNumber } from "@ropewalk/core/math";
import type { Real } from "@ropewalk/core/math";

/** Parameters of the rope type `dynamic_alpha`. */
export interface DynamicAlphaParameters {
  /** The slowdown factor of the slowest pair. */
  readonly alpha: number;
}

/** Schema of the rope type `dynamic_alpha`, with the source of each default. */
export const dynamicAlphaParameters: ParameterSchema<DynamicAlphaParameters> = {
  alpha: {
    type: "number",
    above: 0,
    description: "slowdown of the slowest pair; no default: every engine requires it (Hunyuan: 1000)",
  },
};

/** Contradictions with the settings; `[]` if there are none. */
export function checkDynamicAlpha({ rotaryDim }: RopeSettings): RopeIssue[] {
  if (rotaryDim > 2) return [];
  return [
    {
      path: "rotaryDim",
      expected: "≥ 4",
      received: `${rotaryDim}`,
      remedy: "The exponent R/(R − 2) needs more than one pair.",
    },
  ];
}

/**
 * Computes `base' = base · alpha^(R/(R−2))`, without a unit, in float64 as the engines do; needs `R ≥ 4`. Source:
 * Hugging Face transformers 5 `compute_ntk_alpha_rope_parameters`.
 */
export function dynamicAlphaBase(
  { base, rotaryDim, scalar }: Pick<FrequencyRequest, "base" | "rotaryDim" | "scalar">,
  alpha: number,
): Real {
  const { divide, multiply, power } = scalar;
  return multiply(base, power(alpha, divide(rotaryDim, rotaryDim - 2)));
}

/**
 * Computes the frequencies of the rope type `dynamic_alpha`: `invFreq[i] = base'^(−2i/R)` with `base'` of {@link
 * dynamicAlphaBase}.
 *
 * @param request settings and arithmetic: float32 gives the engines' numbers, double-double the true values.
 * @returns a new list of `rotaryDim/2` frequencies in radians per position.
 * Source: Hugging Face transformers 5, `compute_ntk_alpha_rope_parameters`; vLLM `DynamicNTKAlphaRotaryEmbedding`.
 */
export function dynamicAlphaFrequencies(request: FrequencyRequest, { alpha }: DynamicAlphaParameters): RopeFrequencies {
  const { array, base, rotaryDim } = request;
  const scaledBase = dynamicAlphaBase(request, alpha);
  const invFreq = inverseFrequencies(scaledBase, rotaryDim, array);
  return {
    invFreq,
    rules: [
      { name: "alpha", value: alpha, rule: "given: the slowest pair becomes this many times slower" },
      {
        name: "scaledBase",
        value: toNumber(scaledBase),
        rule: `base ${base} · ${alpha}^(R/(R − 2)), R = ${rotaryDim}, at every length`,
        source: "Hugging Face compute_ntk_alpha_rope_parameters; vLLM DynamicNTKAlphaRotaryEmbedding",
      },
    ],
    regimes: invFreq.map((_, i) => (i === 0 || alpha === 1 ? "kept" : "stretched")),
  };
}

/**
 * NTK-aware scaling, static: the slower a pair, the more it is slowed down.
 *
 * Fixed (without `mixedB`): `invFreq[i] = (s · base)^(−2i/R) / s^(2/R)`, s = `factor`. Pair i is slowed down by
 * `s^(2(i+1)/R)`: the first pair a little, the last pair by all of `s`.
 * Mixed: `invFreq[i] = base^(−2i/R) / s^(((i+1)/(R/2))^mixedB)`. The last pair is slowed down by all of `s` too;
 * `mixedB` sets where the slowdown begins. `mixedB` = 1 is the fixed form.
 * cos and sin are not scaled.
 *
 * Source: Su Jianlin, kexue.fm/archives/9706; vLLM `NTKScalingRotaryEmbedding`. vLLM writes the mixed slowdown as
 * `exp(a (i+1)^mixedB)` with `a = ln s / (R/2)^mixedB`, all in float32. The exponential multiplies the rounding errors
 * of its argument, so it differs from the exact value by up to 8 float32 ulp. Here the slowdown is rounded once.
 */

import type { FrequencyRequest, ParameterSchema, RopeFrequencies } from "@ropewalk/core";
import { inverseFrequencies, toNumber } from "@ropewalk/core/math";
import type { Real } from "@ropewalk/core/math";

/** Parameters of the rope type `ntk`. */
export interface NtkParameters {
  /** `s`: the slowdown factor of the slowest pair. */
  readonly factor: number;
  /** Exponent of the mixed form; absent: the fixed form. */
  readonly mixedB?: number | null;
}

/** Schema of the rope type `ntk`, with the source of each default. */
export const ntkParameters: ParameterSchema<NtkParameters> = {
  factor: { type: "number", above: 0, description: "slowdown s of the slowest pair; no default: vLLM requires it" },
  mixedB: {
    type: "number",
    above: 0,
    default: null,
    description: "exponent of the mixed form; absent: the fixed form (vLLM)",
  },
};

/**
 * Computes the frequencies of the rope type `ntk`: the fixed form without `mixedB`, else the mixed form; both formulas
 * stand at the head of this file.
 *
 * @param request settings and arithmetic: float32 gives the engines' numbers, double-double the true values.
 * @returns a new list of `rotaryDim/2` frequencies in radians per position.
 * Source: Su Jianlin, kexue.fm/archives/9706; vLLM `NTKScalingRotaryEmbedding`.
 */
export function ntkFrequencies(
  request: FrequencyRequest,
  { factor, mixedB }: Required<NtkParameters>,
): RopeFrequencies {
  const { array, base, rotaryDim, scalar } = request;
  const { divide, multiply, power } = scalar;
  const scaledBase = mixedB === null ? multiply(base, factor) : base;
  const slowdown = (i: number): Real =>
    mixedB === null ? power(factor, divide(2, rotaryDim)) : power(factor, power(divide(i + 1, rotaryDim / 2), mixedB));
  const invFreq = inverseFrequencies(scaledBase, rotaryDim, array).map((frequency, i) =>
    array.divide(frequency, slowdown(i)),
  );

  const source = "kexue.fm/archives/9706; vLLM NTKScalingRotaryEmbedding";
  const rules = [
    { name: "factor", value: factor, rule: "given: the slowest pair becomes this many times slower" },
    mixedB === null
      ? {
          name: "scaledBase",
          value: toNumber(scaledBase),
          rule: `base ${base} · factor ${factor}, and every frequency divided by ${factor}^(2/${rotaryDim})`,
          source,
        }
      : {
          name: "mixedB",
          value: mixedB,
          rule: `given: pair i is slowed down by ${factor}^(((i + 1)/${rotaryDim / 2})^${mixedB})`,
          source,
        },
  ];
  return {
    invFreq,
    rules,
    regimes: invFreq.map(() => (factor === 1 ? "kept" : "stretched")),
  };
}

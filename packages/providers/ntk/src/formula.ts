/**
 * NTK-aware scaling, static: the slower a pair, the more it is slowed down.
 *
 * Fixed (without `mixedB`): `invFreq[i] = (s · base)^(−2i/R) / s^(2/R)`, s = `factor`: pair i is slowed down by
 * `s^(2(i+1)/R)`, the first one already a little, the last one by all of `s`.
 * Mixed: `invFreq[i] = base^(−2i/R) / s^(((i+1)/(R/2))^mixedB)`: the same ends, and an exponent that says how soon the
 * slowdown sets in; `mixedB` = 1 is the fixed form.
 * cos and sin are not scaled.
 *
 * Source: Su Jianlin, kexue.fm/archives/9706; vLLM `NTKScalingRotaryEmbedding`. vLLM writes the mixed slowdown as
 * `exp(a (i+1)^mixedB)` with `a = ln s / (R/2)^mixedB`, in float32 throughout, whose exponential multiplies the rounding
 * errors of its argument: it lies up to 8 float32 ulp from the exact value. Here the slowdown is rounded once.
 */

import type { FrequencyRequest, ParameterSchema, RopeFrequencies } from "@ropewalk/core";
import { inverseFrequencies, toNumber } from "@ropewalk/core/math";
import type { Real } from "@ropewalk/core/math";

/** Parameters of the rope type `ntk`. */
export interface NtkParameters {
  /** `s`: by how much the slowest pair is slowed down. */
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
 * Frequencies of the rope type `ntk`, `rotaryDim/2` values in radians per position: the fixed form without `mixedB`, else
 * the mixed one.
 *
 * @param request settings and arithmetic: float32 for the engines' numbers, double-double for the true ones.
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

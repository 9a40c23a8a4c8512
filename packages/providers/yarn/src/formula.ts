/**
 * YaRN: context extension that slows slow pairs down and keeps fast pairs.
 *
 * A pair that turns more than `betaFast` times over the original context keeps its frequency. A pair that turns less
 * than `betaSlow` times is slowed down by `factor`. In between, the two are blended linearly over the pair index. cos
 * and sin are multiplied by `0.1 ln(factor) + 1`, and so logits by its square. TeleChat3 has 0.07 instead of 0.1.
 *
 * Source: Peng et al., YaRN (arXiv 2309.00071), §3.2 to §3.4; operations, their order and the reading of parameters as
 * in Hugging Face transformers 5, `_compute_yarn_parameters`.
 */

import type { FrequencyRequest } from "@ropewalk/core";
import { inverseFrequencies, toNumber } from "@ropewalk/core/math";
import type { Arithmetic, Real } from "@ropewalk/core/math";
import type { YarnFrequencyParameters, YarnParameters } from "./parameters.ts";

// Formulas built on this one need these exports too.
export { explainYarnFrequencies } from "./explain.ts";
export { checkYarnFrequencies, yarnFrequencyParameters, yarnParameters } from "./parameters.ts";
export type { YarnFrequencyParameters, YarnParameters } from "./parameters.ts";

/**
 * §3.2: the pair index, as a real number, whose wavelength fits `turns` times into the original context: `R ln(L₀ / (2π
 * turns)) / (2 ln base)`.
 */
export function yarnCorrectionIndex(
  turns: number,
  originalMaxPosition: number,
  { rotaryDim, base, scalar }: FrequencyRequest,
): Real {
  const { divide, log, multiply, pi } = scalar;
  const wavelength = divide(originalMaxPosition, multiply(multiply(turns, 2), pi));
  return divide(multiply(rotaryDim, log(wavelength)), multiply(2, log(base)));
}

/** First and last index of the blended range, clamped to `[0, rotaryDim − 1]` as Hugging Face does. */
export function yarnCorrectionRange(
  { betaFast, betaSlow, originalMaxPosition, truncate }: Required<YarnFrequencyParameters>,
  request: FrequencyRequest,
): { low: Real; high: Real } {
  let low = yarnCorrectionIndex(betaFast, originalMaxPosition, request);
  let high = yarnCorrectionIndex(betaSlow, originalMaxPosition, request);
  if (truncate) [low, high] = [Math.floor(toNumber(low)), Math.ceil(toNumber(high))];
  if (toNumber(low) < 0) low = 0;
  if (toNumber(high) > request.rotaryDim - 1) high = request.rotaryDim - 1;
  // A range of width 0 would divide by zero. With a thousandth, the ramp is a step.
  if (toNumber(low) === toNumber(high)) high = request.scalar.add(high, 0.001);
  return { low, high };
}

/** The position of pair `i` in the blended range: 0 up to `low`, 1 from `high` on. */
export function yarnRamp(i: number, low: Real, high: Real, { subtract, divide }: Arithmetic, scalar: Arithmetic): Real {
  const ramp = divide(subtract(i, low), scalar.subtract(high, low));
  if (toNumber(ramp) <= 0) return 0;
  return toNumber(ramp) >= 1 ? 1 : ramp;
}

/** The result of {@link yarnInverseFrequencies}. */
export interface YarnInverseFrequencies {
  /** `rotaryDim/2` values in radians per position. */
  readonly invFreq: Real[];
  /** The share of its own frequency that each pair keeps, from 1 (kept) to 0 (slowed down by the whole factor). */
  readonly shares: Real[];
  /** First index of the blended range. */
  readonly low: Real;
  /** Last index of the blended range. */
  readonly high: Real;
  /** `factor · originalMaxPosition`: the extended context, in tokens. */
  readonly extendedMaxPosition: number;
}

/** §3.2: `invFreq[i] = (1 − share) f/s + share f` with `f = base^(−2i/R)` and `share = (1 − ramp) e`. */
export function yarnInverseFrequencies(
  request: FrequencyRequest,
  parameters: Required<YarnFrequencyParameters>,
): YarnInverseFrequencies {
  const { array, base, rotaryDim, scalar } = request;
  const { add, divide, multiply, power, subtract } = array;
  const { extrapolationFactor, factor, originalMaxPosition } = parameters;
  const { low, high } = yarnCorrectionRange(parameters, request);

  const shares: Real[] = [];
  const invFreq = inverseFrequencies(base, rotaryDim, array).map((kept, i) => {
    const slowed = divide(1, multiply(factor, power(base, divide(2 * i, rotaryDim))));
    const share = multiply(subtract(1, yarnRamp(i, low, high, array, scalar)), extrapolationFactor);
    shares.push(share);
    return add(multiply(slowed, subtract(1, share)), multiply(kept, share));
  });
  return { invFreq, shares, low, high, extendedMaxPosition: factor * originalMaxPosition };
}

/**
 * §3.4: `M(s, k) = a k ln s + 1` with `a` the slope (0.1 in the paper), and 1 for `s ≤ 1`. It keeps the entropy of
 * attention.
 */
export function yarnMagnitude(
  factor: number,
  mscale: number,
  slope: number,
  { add, divide, log, multiply }: Arithmetic,
): Real {
  if (factor <= 1) return 1;
  const growth = multiply(mscale, log(factor));
  // 0.1 is not a binary fraction. Dividing by 10 stays exact in a longer arithmetic.
  return add(slope === 0.1 ? divide(growth, 10) : multiply(slope, growth), 1);
}

/** §3.4: the factor of cos and sin: the given amplitude, else `M(s, mscale) / M(s, mscaleAllDim)`, else `M(s, 1)`. */
export function yarnAttentionFactor(
  { scalar }: FrequencyRequest,
  { attentionFactor, factor, magnitudeSlope, mscale, mscaleAllDim }: Required<YarnParameters>,
): Real {
  if (attentionFactor !== null) return attentionFactor;
  const magnitude = (k: number): Real => yarnMagnitude(factor, k, magnitudeSlope, scalar);
  if (mscale === null || mscaleAllDim === null) return magnitude(1);
  return scalar.divide(magnitude(mscale), magnitude(mscaleAllDim));
}

/** The result of {@link yarnFrequencies}. */
export interface YarnFrequencies extends YarnInverseFrequencies {
  /** Multiplies cos and sin. */
  readonly attentionFactor: Real;
}

/**
 * Computes the frequencies and amplitude of the rope type `yarn`: {@link yarnInverseFrequencies} and {@link
 * yarnAttentionFactor}.
 *
 * @param request settings and arithmetic: float32 gives the engines' numbers, double-double the true values.
 * @returns `rotaryDim/2` frequencies in radians per position, the amplitude, and the data for `explain()`. The lists
 * are new.
 * Source: YaRN (arXiv 2309.00071), §3.2 to §3.4; Hugging Face transformers 5 `_compute_yarn_parameters`.
 */
export function yarnFrequencies(request: FrequencyRequest, parameters: Required<YarnParameters>): YarnFrequencies {
  return {
    ...yarnInverseFrequencies(request, parameters),
    attentionFactor: yarnAttentionFactor(request, parameters),
  };
}

/**
 * Dynamic NTK-aware scaling: the base grows with the current length. A short text is rotated as in training; in a long
 * text the pairs turn more slowly.
 *
 * With `n` the current length and `L` the trained length, at `n > L`: `base' = base · (factor · n/L − (factor −
 * 1))^(R/(R−2))`, `invFreq[i] = base'^(−2i/R)`; at `n ≤ L`, `base' = base`. cos and sin are not scaled. The slowest
 * pair is slowed down by the whole bracket, the fastest pair not at all.
 *
 * Keys that were cached at one length are wrong at another. Engines agree on the formula and differ in `n`: the length
 * of the sequence (Hugging Face, mlx-lm); the same, rounded up to the next `L · 2^k` (the first Qwen models, with
 * factor 2: their `2^⌈log2(n/L) + 1⌉ − 1` is the bracket); or a length fixed for the run (vLLM: its maximum length;
 * SGLang: `factor · L`). `selection`, `lengthStep` and `capacity` choose.
 *
 * Source: bloc97 and emozilla (2023), "Dynamically Scaled RoPE"; YaRN (arXiv 2309.00071), §2.4 and §3.3; operations and
 * their order as in Hugging Face transformers 5, `_compute_dynamic_ntk_parameters`.
 */

import type { FrequencyRequest, RopeSettings } from "@ropewalk/core";
import { inverseFrequencies } from "@ropewalk/core/math";
import type { Real } from "@ropewalk/core/math";
import type { DynamicParameters } from "./parameters.ts";

export { dynamicParameters } from "./parameters.ts";
export type { DynamicParameters } from "./parameters.ts";

/**
 * Computes `n` in tokens. It is never below `L`: all lengths up to `L` share their frequencies.
 *
 * @param length in tokens; used with the selection `by-current-length` only. `null`: `L`.
 */
export function dynamicEffectiveLength(
  length: number | null,
  { capacity, lengthStep, maxTrainedPosition, selection }: Required<DynamicParameters>,
  { maxPosition }: RopeSettings,
): number {
  const trained = (maxTrainedPosition ?? maxPosition)!;
  const wanted = selection === "by-capacity" ? (capacity ?? maxPosition) : length;
  const n = Math.max(wanted ?? trained, trained);
  return lengthStep === "token" ? n : trained * 2 ** Math.ceil(Math.log2(n / trained));
}

/**
 * Computes the base at `n` tokens: `base · (factor · n/L − (factor − 1))^(R/(R−2))`, and `base` itself at `n = L`.
 *
 * Engines that follow each token hold the length in a tensor, so they compute this in float32. Only the exponent of the
 * power stays a Python float. The other engines compute everything in Python floats.
 *
 * @param n the length in tokens from {@link dynamicEffectiveLength}; `n ≥ trained`.
 * @param trained `L`, in tokens.
 * @returns a number without a unit, `≥ base`.
 * Source: YaRN §3.3; Hugging Face transformers 5 `_compute_dynamic_ntk_parameters`, vLLM
 * `DynamicNTKScalingRotaryEmbedding`.
 */
export function dynamicBase(
  n: number,
  trained: number,
  { factor, lengthStep, selection }: Required<DynamicParameters>,
  { array, base, rotaryDim, scalar }: FrequencyRequest,
): Real {
  if (n === trained) return base;
  const { divide, multiply, subtract } = selection === "by-current-length" && lengthStep === "token" ? array : scalar;
  const bracket = subtract(divide(multiply(factor, n), trained), scalar.subtract(factor, 1));
  return multiply(base, scalar.power(bracket, scalar.divide(rotaryDim, rotaryDim - 2)));
}

/** The result of {@link dynamicFrequencies}. */
export interface DynamicFrequencies {
  /** `rotaryDim/2` values in radians per position. */
  readonly invFreq: Real[];
  /** `n` if it is fixed for the run; infinite if the base follows the length, because it then grows without a bound. */
  readonly extendedMaxPosition: number;
  /** `L`, in tokens. */
  readonly trained: number;
  /** `n`, in tokens. */
  readonly n: number;
  /** `base'`. */
  readonly scaledBase: Real;
}

/**
 * Computes the frequencies of the rope type `dynamic` at one length: `invFreq[i] = base'^(−2i/R)` with `base'` of
 * {@link dynamicBase}.
 *
 * @param request settings, arithmetic, and the current length in tokens. `maxPosition` must be a number if the
 * parameters have no `maxTrainedPosition`.
 * @returns a new list of `rotaryDim/2` frequencies in radians per position, and the length and base they follow from.
 * Source: YaRN §3.3; Hugging Face transformers 5 `_compute_dynamic_ntk_parameters`.
 */
export function dynamicFrequencies(
  request: FrequencyRequest,
  parameters: Required<DynamicParameters>,
): DynamicFrequencies {
  const trained = (parameters.maxTrainedPosition ?? request.maxPosition)!;
  const n = dynamicEffectiveLength(request.length, parameters, request);
  const scaledBase = dynamicBase(n, trained, parameters, request);
  return {
    invFreq: inverseFrequencies(scaledBase, request.rotaryDim, request.array),
    extendedMaxPosition: parameters.selection === "by-current-length" ? Number.POSITIVE_INFINITY : n,
    trained,
    n,
    scaledBase,
  };
}

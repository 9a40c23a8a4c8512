/**
 * LongRoPE: every pair is slowed down by a factor of its own, found by search and published with the model; one list for
 * short texts, one for long ones.
 *
 * `invFreq[i] = 1 / (e[i] · base^(2i/R))` with `e` the list in force. cos and sin are multiplied by
 * `√(1 + ln s / ln L₀)`, s = `factor` (else `maxPosition / L₀`) and `L₀ = originalMaxPosition`, and by 1 where s ≤ 1; the list
 * in force does not change that.
 *
 * Keys cached under one list are stale under the other. Engines differ in what chooses: the length at hand (Hugging
 * Face: long when it exceeds `L₀`; SGLang one token later), a length fixed for the run (vLLM, llama.cpp), or nothing
 * (mlx-lm: always long). `selection`, `capacity` and `switchLength` say which.
 *
 * Source: Ding et al., LongRoPE (arXiv 2402.13753); the amplitude is of Phi-3's published code. Operations and their
 * order as in Hugging Face transformers 5, `_compute_longrope_parameters`; `shortMscale` and `longMscale` as in vLLM,
 * `Phi3LongRoPEScaledRotaryEmbedding`.
 */

import type { FrequencyRequest, RopeSettings } from "@ropewalk/core";
import { toNumber } from "@ropewalk/core/math";
import type { Real } from "@ropewalk/core/math";
import type { LongropeParameters } from "./parameters.ts";

export { longropeParameters } from "./parameters.ts";
export type { LongropeParameters, LongropeSelection } from "./parameters.ts";

/** Whether the long list is in force; `length` in tokens counts with the selection `by-current-length` only. */
export function longropeIsLong(
  length: number | null,
  { capacity, originalMaxPosition, selection, switchLength }: Required<LongropeParameters>,
  { maxPosition }: RopeSettings,
): boolean {
  if (selection === "long" || selection === "short") return selection === "long";
  const deciding = selection === "by-capacity" ? (capacity ?? maxPosition) : length;
  return (deciding ?? 0) > (switchLength ?? originalMaxPosition);
}

/** One length for each list: the longest text of the short one, or one token more. */
export function longropeEffectiveLength(
  length: number,
  parameters: Required<LongropeParameters>,
  settings: RopeSettings,
): number {
  const switchLength = parameters.switchLength ?? parameters.originalMaxPosition;
  return longropeIsLong(length, parameters, settings) ? switchLength + 1 : switchLength;
}

/** What cos and sin are multiplied by: the amplitude given for the list, else for both, else `√(1 + ln s / ln L₀)`. */
export function longropeAttentionFactor(
  isLong: boolean,
  { maxPosition, scalar }: FrequencyRequest,
  { attentionFactor, factor, longMscale, originalMaxPosition, shortMscale }: Required<LongropeParameters>,
): Real {
  const given = (isLong ? longMscale : shortMscale) ?? attentionFactor;
  if (given !== null) return given;
  const { add, divide, log, sqrt } = scalar;
  const extension = factor ?? divide(maxPosition!, originalMaxPosition);
  return toNumber(extension) <= 1 ? 1 : sqrt(add(1, divide(log(extension), log(originalMaxPosition))));
}

/** What {@link longropeFrequencies} gives. */
export interface LongropeFrequencies {
  /** `rotaryDim/2` values in radians per position. */
  readonly invFreq: Real[];
  /** Multiplies cos and sin. */
  readonly attentionFactor: Real;
  /** `factor · originalMaxPosition` in tokens, where a factor is given. */
  readonly extendedMaxPosition?: number;
  /** Which list is in force. */
  readonly isLong: boolean;
}

/**
 * Frequencies and amplitude of the rope type `longrope` at one length.
 *
 * @param request settings, arithmetic, and the length in tokens that chooses the list.
 * @returns `rotaryDim/2` frequencies in radians per position, and the amplitude.
 */
export function longropeFrequencies(
  request: FrequencyRequest,
  parameters: Required<LongropeParameters>,
): LongropeFrequencies {
  const { array, base, length, rotaryDim } = request;
  const { divide, multiply, power } = array;
  const { factor, longFactor, originalMaxPosition, shortFactor } = parameters;
  const isLong = longropeIsLong(length, parameters, request);
  const list = isLong ? longFactor : shortFactor;
  return {
    invFreq: list.map((slowdown, i) => divide(1, multiply(slowdown, power(base, divide(2 * i, rotaryDim))))),
    attentionFactor: longropeAttentionFactor(isLong, request, parameters),
    ...(factor === null ? {} : { extendedMaxPosition: factor * originalMaxPosition }),
    isLong,
  };
}

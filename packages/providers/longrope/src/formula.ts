/**
 * LongRoPE: every pair is slowed down by its own factor, found by search and published with the model. One list is for
 * short texts, one for long texts.
 *
 * `invFreq[i] = 1 / (e[i] · base^(2i/R))` with `e` the list in use. cos and sin are multiplied by `√(1 + ln s / ln L₀)`
 * with s = `factor` (default: `maxPosition / L₀`) and `L₀ = originalMaxPosition`, and by 1 if s ≤ 1. The amplitude is
 * the same for both lists.
 *
 * Keys that were cached under one list are wrong under the other. Engines choose the list by the current length
 * (Hugging Face: the long list above `L₀`; SGLang one token later), by a length fixed for the run (vLLM, llama.cpp), or
 * not at all (mlx-lm: always the long list). `selection`, `capacity` and `switchLength` choose here.
 *
 * Source: Ding et al., LongRoPE (arXiv 2402.13753); the amplitude is from Phi-3's published code. Operations and their
 * order as in Hugging Face transformers 5, `_compute_longrope_parameters`; `shortMscale` and `longMscale` as in vLLM,
 * `Phi3LongRoPEScaledRotaryEmbedding`.
 */

import type { FrequencyRequest, RopeSettings } from "@ropewalk/core";
import { toNumber } from "@ropewalk/core/math";
import type { Real } from "@ropewalk/core/math";
import type { LongropeParameters } from "./parameters.ts";

export { longropeParameters } from "./parameters.ts";
export type { LongropeParameters, LongropeSelection } from "./parameters.ts";

/** Whether the long list is in use. `length` in tokens matters with the selection `by-current-length` only. */
export function longropeIsLong(
  length: number | null,
  { capacity, originalMaxPosition, selection, switchLength }: Required<LongropeParameters>,
  { maxPosition }: RopeSettings,
): boolean {
  if (selection === "long" || selection === "short") return selection === "long";
  const deciding = selection === "by-capacity" ? (capacity ?? maxPosition) : length;
  return (deciding ?? 0) > (switchLength ?? originalMaxPosition);
}

/** One length for each list: the longest text of the short list, or that length plus one token. */
export function longropeEffectiveLength(
  length: number,
  parameters: Required<LongropeParameters>,
  settings: RopeSettings,
): number {
  const switchLength = parameters.switchLength ?? parameters.originalMaxPosition;
  return longropeIsLong(length, parameters, settings) ? switchLength + 1 : switchLength;
}

/** The factor of cos and sin: the amplitude given for the list, else the one for both, else `√(1 + ln s / ln L₀)`. */
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

/** The result of {@link longropeFrequencies}. */
export interface LongropeFrequencies {
  /** `rotaryDim/2` values in radians per position. */
  readonly invFreq: Real[];
  /** Multiplies cos and sin. */
  readonly attentionFactor: Real;
  /** `factor · originalMaxPosition` in tokens, if a factor is given. */
  readonly extendedMaxPosition?: number;
  /** Whether the long list is in use. */
  readonly isLong: boolean;
}

/**
 * Computes the frequencies and amplitude of the rope type `longrope` at one length; the formulas stand at the head of
 * this file.
 *
 * @param request settings, arithmetic, and the length in tokens that chooses the list.
 * @returns a new list of `rotaryDim/2` frequencies in radians per position, and the amplitude.
 * Source: LongRoPE (arXiv 2402.13753); Hugging Face transformers 5 `_compute_longrope_parameters`.
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

/**
 * Frequencies of ropes whose positions have several axes.
 *
 * `mrope`: all axes share the frequencies of `default`. Each pair takes its position from one axis, in runs
 * (`sectioned`: Qwen2-VL) or cyclically (`cyclic`: Qwen3-VL).
 *
 * `nd`: each axis has its own frequencies, which start again at 1 (vision towers, Flux, ndrope), or every n-th
 * frequency of a shared list (Pixtral). The pairs of an axis stand in a run, or alternate with those of the other axes
 * (MoonViT). Pairs before and after them may have frequency 0.
 *
 * Sources: Qwen2-VL (arXiv 2409.12191) §2.1; Hugging Face transformers 5 `Qwen2VLRotaryEmbedding`,
 * `VisionRotaryEmbedding`, `PixtralRotaryEmbedding`, and the tower of `kimi_k25`; diffusers `get_1d_rotary_pos_embed`;
 * the crate ndrope, `sin_cos_nd`.
 */

import type { FrequencyRequest } from "@ropewalk/core";
import { inverseFrequencies } from "@ropewalk/core/math";
import type { Real } from "@ropewalk/core/math";
import { cyclicAxes, sectionedAxes } from "./axes.ts";
import { ndSections } from "./parameters.ts";
import type { MropeParameters, NdParameters } from "./parameters.ts";

export { mropeParameters, ndParameters, ndSections } from "./parameters.ts";
export type { MropeParameters, NdParameters } from "./parameters.ts";

/** Frequencies of a rope of several axes. */
export interface AxisFrequencies {
  /** `rotaryDim/2` values in radians per position; 0 for a pair that is not rotated. */
  readonly invFreq: Real[];
  /** The axis of each pair, from 0; 0 for a pair that is not rotated. */
  readonly axes: number[];
  /** The regime of each pair: `"axis 0"`, `"axis 1"`, …, or `"still"`. */
  readonly regimes: string[];
}

/**
 * Computes the position axis of each pair of an `mrope`, from 0: a new list of `rotaryDim/2` values. Pair `i` turns by
 * `position[axes[i]] · invFreq[i]` with the frequencies of the type `default`: `invFreq[i] = base^(−2i/rotaryDim)` for
 * every axis.
 *
 * @param parameters `sections` are integers that add up to `rotaryDim/2`; the provider's `check` refuses others.
 * Source: Qwen2-VL (arXiv 2409.12191) §2.1; Hugging Face transformers 5 `apply_multimodal_rotary_pos_emb`,
 * `apply_interleaved_mrope`.
 */
export function mropeAxes({ order, sections }: Required<MropeParameters>): number[] {
  return order === "cyclic" ? cyclicAxes(sections) : sectionedAxes(sections);
}

/**
 * Computes the frequencies and axes of the rope type `nd`.
 *
 * Pair `k` of axis `a`, which has `n_a` pairs, turns by `position[a] · c · base_a^(−k/m)` with c = `angleScale` and `m
 * = n_a`, or the largest `n_a`. With a shared list, it has entry `k n + a` of `base^(−i/P)`, for `n` axes and `P`
 * rotated pairs. The pairs of the axes stand one axis after the other, or alternate; `padFront` and `padEnd` pairs
 * around them have frequency 0.
 *
 * @param request settings and arithmetic: float32 gives the engines' numbers, double-double the true values.
 * @param parameters sections and pads add up to `rotaryDim/2`; the provider's `check` refuses others.
 * @returns new lists of `rotaryDim/2` frequencies in radians per position, and of as many axes.
 * Source: see the head of the file.
 */
export function ndFrequencies(
  { base, rotaryDim, array }: FrequencyRequest,
  parameters: Required<NdParameters>,
): AxisFrequencies {
  const { angleScale, bases, denominator, frequencies, order, padEnd, padFront } = parameters;
  const sections = ndSections(parameters, rotaryDim);
  const largest = Math.max(...sections);
  const list = inverseFrequencies(base, rotaryDim - 2 * (padFront + padEnd), array);
  const ofAxis = sections.map((size, axis) =>
    frequencies === "shared"
      ? list.filter((_, i) => i % sections.length === axis)
      : inverseFrequencies(bases?.[axis] ?? base, 2 * (denominator === "largest" ? largest : size), array),
  );

  const axes = order === "alternating" ? cyclicAxes(sections) : sectionedAxes(sections);
  const invFreq = axes.map((axis) => ofAxis[axis]!.shift()!);
  const scaled = angleScale === 1 ? invFreq : invFreq.map((frequency) => array.multiply(frequency, angleScale));
  const around = <T>(pairs: T[], still: T): T[] => [
    ...new Array<T>(padFront).fill(still),
    ...pairs,
    ...new Array<T>(padEnd).fill(still),
  ];
  return {
    invFreq: around(scaled, 0),
    axes: around(axes, 0),
    regimes: around(
      axes.map((axis) => `axis ${axis}`),
      "still",
    ),
  };
}

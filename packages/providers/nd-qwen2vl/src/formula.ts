/**
 * Frequencies of ropes whose positions have several axes.
 *
 * `mrope`: all axes share the frequencies of `default`, and each pair takes its position from one axis, in runs
 * (`sectioned`: Qwen2-VL) or round and round (`cyclic`: Qwen3-VL).
 *
 * `nd`: each axis has frequencies of its own that start again at 1 (vision towers, Flux, ndrope), or takes every n-th one
 * of a shared list (Pixtral). Its pairs stand in a run, or alternate with those of the other axes (MoonViT). Pairs in
 * front of them and behind may stand still.
 *
 * Sources: Qwen2-VL (arXiv 2409.12191) §2.1; Hugging Face transformers 5 `Qwen2VLRotaryEmbedding`,
 * `VisionRotaryEmbedding`, `PixtralRotaryEmbedding`, and the tower of `kimi_k25`; diffusers `get_1d_rotary_pos_embed`; the
 * crate ndrope, `sin_cos_nd`.
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
  /** `rotaryDim/2` values in radians per position, 0 for a pair that no axis turns. */
  readonly invFreq: Real[];
  /** The axis of each pair, from 0; 0 for a pair that no axis turns. */
  readonly axes: number[];
  /** `"axis 0"`, `"axis 1"`, …, or `"still"`, of each pair. */
  readonly regimes: string[];
}

/**
 * The position axis of each pair of an `mrope`, from 0: `rotaryDim/2` values. Pair `i` turns by `position[axes[i]] · invFreq[i]`,
 * with the frequencies of the type `default`: `invFreq[i] = base^(−2i/rotaryDim)` whatever the axis.
 *
 * @param parameters `sections` are integers that add up to `rotaryDim/2`; the provider's `check` refuses others.
 * Source: Qwen2-VL (arXiv 2409.12191) §2.1; Hugging Face transformers 5 `apply_multimodal_rotary_pos_emb`,
 * `apply_interleaved_mrope`.
 */
export function mropeAxes({ order, sections }: Required<MropeParameters>): number[] {
  return order === "cyclic" ? cyclicAxes(sections) : sectionedAxes(sections);
}

/**
 * Frequencies and axes of the rope type `nd`.
 *
 * Pair `k` of axis `a`, which has `n_a` of them, turns by `position[a] · c · base_a^(−k/m)` with c = `angleScale` and `m` =
 * `n_a`, or the largest `n`. Of a shared list it takes entry `k n + a` of `base^(−i/P)`, with `n` axes and `P` pairs that
 * turn. Pairs of axes stand one axis after the other, or by turns; `padFront` and `padEnd` pairs around them have 0.
 *
 * @param request settings and arithmetic: float32 for the engines' numbers, double-double for the true ones.
 * @param parameters sections and pads add up to `rotaryDim/2`; the provider's `check` refuses others.
 * @returns `rotaryDim/2` frequencies in radians per position, and as many axes.
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

/**
 * The position axis of each pair, as a list of axis numbers. The list is the `axes` of a request, for the frequencies
 * of any type of one axis; the types `mrope` and `nd` use it too. `sections` always counts pairs, not elements.
 */

import { shapeError, show } from "@ropewalk/core/backend";

/**
 * Assigns axes in runs: the first `sections[0]` pairs have axis 0, the next `sections[1]` pairs axis 1, and so on.
 *
 * @param sections pairs of each axis, integers ≥ 0; a rope needs `rotaryDim/2` of them in total.
 * @returns the axis of each pair, from 0; a new list, owned by the caller.
 * Source: Qwen2-VL (arXiv 2409.12191) §2.1; Hugging Face `apply_multimodal_rotary_pos_emb`, whose table is doubled.
 * @example sectionedAxes([2, 1, 1]) // [0, 0, 1, 2]
 */
export function sectionedAxes(sections: readonly number[]): number[] {
  requireSections(sections);
  return sections.flatMap((size, axis) => new Array<number>(size).fill(axis));
}

/**
 * Assigns axes cyclically: pair `i` has axis `i mod n` while `i < n · sections[axis]`, else axis 0.
 *
 * @param sections as for {@link sectionedAxes}. With equal sections, no axis runs out of pairs.
 * @returns the axis of each pair, from 0; a new list, owned by the caller.
 * Source: Qwen3-VL, Hugging Face `apply_interleaved_mrope`. llama.cpp gives the remaining pairs to a fourth axis
 * instead.
 * @example cyclicAxes([2, 1, 1]) // [0, 1, 2, 0]
 */
export function cyclicAxes(sections: readonly number[]): number[] {
  requireSections(sections);
  const count = sections.length;
  const pairs = sections.reduce((sum, size) => sum + size, 0);
  return Array.from({ length: pairs }, (_, i) => (i < count * sections[i % count]! ? i % count : 0));
}

/** More pairs than the widest head has are a mistake, and would take all memory. */
const MOST_PAIRS = 32768;

function requireSections(sections: readonly number[]): void {
  const isList = Array.isArray(sections) && sections.every((size) => Number.isSafeInteger(size) && size >= 0);
  if (isList && sections.reduce((sum, size) => sum + size, 0) <= MOST_PAIRS) return;
  throw shapeError("sections", `a list of integers ≥ 0 that add up to at most ${MOST_PAIRS} pairs`, show(sections));
}

/**
 * cos and sin of position × frequency for positions that follow each other, with amplitude 1, as the precision rounds
 * them. A row's bits do not depend on when or with which others it is made, or on the backend that makes it.
 */

import { remainder, toNumber, twoProduct } from "./arithmetic.ts";
import type { Real } from "./arithmetic.ts";
import type { Precision } from "./provider.ts";
import { LARGEST_ANGLE, cosSinOf, cosSinOfLarge } from "./trigonometry.ts";

export type FloatArray = Float32Array | Float64Array;

/** The frequencies of a rope, and how its angles are rounded. Immutable; its identity stands for its contents. */
export interface AngleFrequencies {
  /** Angle per position of each pair, radians; float32 numbers for `"float32"`. Never changes. */
  readonly invFreq: Float64Array;
  /** What a frequency has beyond float64; 0 for `"float32"`. */
  readonly rest: Float64Array;
  /**
   * `"float32"`: the angle is the float32 product of position and frequency, cos and sin of it are correctly rounded
   * to float32. `"float64"`: angle and values carry float64's full accuracy.
   */
  readonly precision: Precision;
  /** The largest `|invFreq|`. */
  readonly steepest: number;
}

/**
 * Writes cos and sin of position × frequency, amplitude 1, for the positions `first`, `first + 1`, … (at most 2^24 from 0,
 * fractions admitted).
 *
 * `cos` and `sin` are the caller's, `[rows, pairs]`, row-major, from index `start` on: Float32Array for precision `"float32"`,
 * Float64Array for `"float64"`. Nothing else is written, and nothing is thrown. Backends may bring their own, with the bits
 * of {@link writeCosSin}.
 */
export type CosSinWriter = (
  frequencies: AngleFrequencies,
  first: number,
  rows: number,
  cos: FloatArray,
  sin: FloatArray,
  start: number,
) => void;

/** The same by core's JavaScript. */
export const writeCosSin: CosSinWriter = ({ invFreq, rest, precision, steepest }, first, rows, cos, sin, start) => {
  const pairs = invFreq.length;
  const angles = new Float64Array(pairs);
  for (let row = 0, at = start; row < rows; row++, at += pairs) {
    const position = first + row;
    const p = precision === "float32" ? Math.fround(position) : position;
    if (precision === "float32") for (let i = 0; i < pairs; i++) angles[i] = Math.fround(p * invFreq[i]!);
    else for (let i = 0; i < pairs; i++) angles[i] = p * invFreq[i]!;
    cosSinOf(angles, cos, sin, at);
    if (Math.abs(p) * steepest > LARGEST_ANGLE) cosSinOfLarge(angles, cos, sin, at);
    if (precision === "float64") turnByRest(p, invFreq, rest, cos, sin, at);
  }
};

/** What the product of position and frequency lost, below 2e-9, turns cos and sin by its first-order term. */
function turnByRest(
  position: number,
  invFreq: Float64Array,
  rest: Float64Array,
  cos: FloatArray,
  sin: FloatArray,
  start: number,
): void {
  for (let i = 0; i < invFreq.length; i++) {
    const small = twoProduct(position, invFreq[i]!).lo + position * rest[i]!;
    const c = cos[start + i]!;
    const s = sin[start + i]!;
    cos[start + i] = c - s * small;
    sin[start + i] = s + c * small;
  }
}

/** Frequencies as angles are made of them. */
export function angleFrequencies(invFreq: readonly Real[], precision: Precision): AngleFrequencies {
  const values = Float64Array.from(invFreq, toNumber);
  const steepest = values.reduce((most, frequency) => Math.max(most, Math.abs(frequency)), 0);
  return Object.freeze({ invFreq: values, rest: Float64Array.from(invFreq, remainder), precision, steepest });
}

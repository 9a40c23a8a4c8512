/**
 * cos and sin of position × frequency for consecutive positions, with amplitude 1, rounded as the precision says. The
 * bits of a row do not depend on the other rows of the call, on earlier calls, or on the backend that computes them.
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
  /** The part of each frequency that float64 does not hold; 0 for `"float32"`. */
  readonly rest: Float64Array;
  /**
   * `"float32"`: the angle is the float32 product of position and frequency; its cos and sin are correctly rounded to
   * float32. `"float64"`: angle, cos and sin have the full accuracy of float64.
   */
  readonly precision: Precision;
  /** The largest `|invFreq|`. */
  readonly steepest: number;
}

/**
 * Writes cos and sin of position × frequency, amplitude 1, for the positions `first`, `first + 1`, … Positions lie
 * within ±2^24 and may be fractions.
 *
 * `cos` and `sin` belong to the caller. Rows are written to them as `[rows, pairs]`, row-major, from index `start` on.
 * They are Float32Array for precision `"float32"`, Float64Array for `"float64"`. Nothing else is written, and nothing
 * is thrown. A backend may supply its own writer, with the same bits as {@link writeCosSin}.
 */
export type CosSinWriter = (
  frequencies: AngleFrequencies,
  first: number,
  rows: number,
  cos: FloatArray,
  sin: FloatArray,
  start: number,
) => void;

/** The {@link CosSinWriter} in JavaScript, the reference for all others. Arguments are not checked. */
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

/**
 * Turns cos and sin by the part of the angle that the float64 product lost. It is below 2e-9: the first-order term is
 * enough.
 */
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

/** Frequencies in the form that angles are computed from. */
export function angleFrequencies(invFreq: readonly Real[], precision: Precision): AngleFrequencies {
  const values = Float64Array.from(invFreq, toNumber);
  const steepest = values.reduce((most, frequency) => Math.max(most, Math.abs(frequency)), 0);
  return Object.freeze({ invFreq: values, rest: Float64Array.from(invFreq, remainder), precision, steepest });
}

/**
 * cos and sin of positions, made whenever they are asked for.
 *
 * There is no table that grows with the context: a row of 64 pairs costs less than looking for it in one would save, next
 * to the heads that it rotates. So the memory of a rope does not depend on the positions it has seen, and a row's bits do
 * not depend on when or with which others it was made. Only the last gather of a call is kept, because the layers of a
 * model ask for the same one after another. Rows have amplitude 1; amplitude and direction are applied to the result.
 */

import { remainder, toNumber, twoProduct } from "./arithmetic.ts";
import type { Real } from "./arithmetic.ts";
import type { Precision } from "./provider.ts";
import { LARGEST_ANGLE, writeCosSin, writeLargeCosSin } from "./sincos.ts";

type FloatArray = Float32Array | Float64Array;

/** The frequencies of a rope, and how its angles are rounded. */
export interface Ladder {
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
 * `cos` and `sin` are the caller's, `[rows, pairs]`, row-major, from index `start` on: Float32Array for a `"float32"` ladder,
 * Float64Array for `"float64"`. Nothing else is written, and nothing is thrown. Backends may bring their own, with the bits
 * of {@link writeRows}.
 */
export type RowWriter = (
  ladder: Ladder,
  first: number,
  rows: number,
  cos: FloatArray,
  sin: FloatArray,
  start: number,
) => void;

/** The same by core's JavaScript. */
export const writeRows: RowWriter = ({ invFreq, rest, precision, steepest }, first, rows, cos, sin, start) => {
  const pairs = invFreq.length;
  const angles = new Float64Array(pairs);
  for (let row = 0, at = start; row < rows; row++, at += pairs) {
    const position = first + row;
    const p = precision === "float32" ? Math.fround(position) : position;
    if (precision === "float32") for (let i = 0; i < pairs; i++) angles[i] = Math.fround(p * invFreq[i]!);
    else for (let i = 0; i < pairs; i++) angles[i] = p * invFreq[i]!;
    writeCosSin(angles, cos, sin, at);
    if (Math.abs(p) * steepest > LARGEST_ANGLE) writeLargeCosSin(angles, cos, sin, at);
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

/** Positions for a gather: `axes` lists of `rows` positions each. */
export interface GatherPositions {
  readonly axes: number;
  readonly rows: number;
  /** `[axes, rows]`. */
  readonly values: Float64Array;
}

/** What is wanted of a gather beside its positions: the arrays' type and what cos and sin are multiplied by. */
export interface GatherForm {
  readonly dtype: "float32" | "float64";
  readonly cosFactor: number;
  readonly sinFactor: number;
}

/** cos and sin as `[rows, pairs]`, row-major. */
export interface GatheredRows {
  readonly cos: FloatArray;
  readonly sin: FloatArray;
}

/** Rows that go through memory of their own where they cannot be made in their place. */
const CHUNK_ROWS = 64;
/** Values of cos that the last gather may have to be kept: 512 rows of 64 pairs. */
const KEPT_VALUES = 2 ** 15;

/** The source of a rope's cos and sin. */
export class CosSinRows {
  readonly pairs: number;
  readonly #ladder: Ladder;
  readonly #axisOfPair: Uint8Array | undefined;
  #last:
    | { readonly positions: GatherPositions; readonly form: GatherForm; readonly gathered: GatheredRows }
    | undefined;

  /**
   * @param invFreq angle per position of each pair.
   * @param axisOfPair the position axis of each pair, where there are several.
   */
  constructor(invFreq: readonly Real[], axisOfPair: readonly number[] | undefined, precision: Precision) {
    this.pairs = invFreq.length;
    const values = Float64Array.from(invFreq, toNumber);
    this.#ladder = Object.freeze({
      invFreq: values,
      rest: Float64Array.from(invFreq, remainder),
      precision,
      steepest: values.reduce((most, f) => Math.max(most, Math.abs(f)), 0),
    });
    this.#axisOfPair = axisOfPair === undefined ? undefined : Uint8Array.from(axisOfPair);
  }

  /** A copy of the frequencies. */
  get invFreq(): Float64Array {
    return this.#ladder.invFreq.slice();
  }

  /** cos and sin of one position in float64, of the angle as the precision rounds it; amplitude 1. */
  row(position: number): { cos: Float64Array; sin: Float64Array } {
    const cos = new Float64Array(this.pairs);
    const sin = new Float64Array(this.pairs);
    writeRows(this.#ladder, position, 1, cos, sin, 0);
    return { cos, sin };
  }

  /** {@link gather} for a caller that only reads: asked for the same again, the same arrays. */
  shared(positions: GatherPositions, form: GatherForm, write: RowWriter): GatheredRows {
    const last = this.#last;
    if (last !== undefined && sameForm(last.form, form) && samePositions(last.positions, positions)) {
      return last.gathered;
    }
    const gathered = this.gather(positions, form, write);
    if (gathered.cos.length <= KEPT_VALUES) this.#last = { positions, form, gathered };
    return gathered;
  }

  /**
   * `cos · cosFactor` and `sin · sinFactor`. With `"float32"` the product rounds to float32, whatever the array.
   *
   * @param target where they go, every value of it; new arrays if absent.
   */
  gather(
    positions: GatherPositions,
    { dtype, cosFactor, sinFactor }: GatherForm,
    write: RowWriter,
    target?: GatheredRows,
  ): GatheredRows {
    const { pairs } = this;
    const { axes, rows, values } = positions;
    const { cos, sin } = target ?? newRows(dtype, rows * pairs);
    const { precision } = this.#ladder;
    // Rows of another type or of one axis among several pass through a chunk, where they are scaled before they are rounded.
    const chunk =
      this.#axisOfPair === undefined && dtype === precision
        ? undefined
        : newRows(precision, Math.min(rows, CHUNK_ROWS) * pairs);
    for (let axis = 0; axis < axes; axis++) {
      const end = (axis + 1) * rows;
      for (let at = axis * rows; at < end;) {
        const count = runLength(values, at, chunk === undefined ? end : Math.min(end, at + CHUNK_ROWS));
        const to = (at - axis * rows) * pairs;
        const made = chunk ?? { cos, sin };
        const first = chunk === undefined ? to : 0;
        write(this.#ladder, values[at]!, count, made.cos, made.sin, first);
        scale(made.cos, first, count * pairs, cosFactor);
        scale(made.sin, first, count * pairs, sinFactor);
        if (chunk !== undefined) {
          this.#copyAxis(axis, chunk.cos, cos, to, count);
          this.#copyAxis(axis, chunk.sin, sin, to, count);
        }
        at += count;
      }
    }
    return { cos, sin };
  }

  /** Copies the pairs of one axis, `count` rows of them. */
  #copyAxis(axis: number, source: FloatArray, target: FloatArray, to: number, count: number): void {
    const { pairs } = this;
    const axisOfPair = this.#axisOfPair;
    for (let row = 0; row < count * pairs; row += pairs) {
      for (let i = 0; i < pairs; i++) {
        if (axisOfPair === undefined || axisOfPair[i] === axis) target[to + row + i] = source[row + i]!;
      }
    }
  }
}

const newRows = (dtype: "float32" | "float64", length: number): GatheredRows =>
  dtype === "float32"
    ? { cos: new Float32Array(length), sin: new Float32Array(length) }
    : { cos: new Float64Array(length), sin: new Float64Array(length) };

/** How many of the positions from `index` to `end` follow each other. */
function runLength(positions: Float64Array, index: number, end: number): number {
  const first = positions[index]!;
  let count = 1;
  while (index + count < end && positions[index + count] === first + count) count++;
  return count;
}

/** Multiplies in the type of the array: in float32 the factor is rounded, and the product. */
function scale(values: FloatArray, start: number, count: number, factor: number): void {
  if (factor === 1) return;
  const rounded = values.BYTES_PER_ELEMENT === 4 ? Math.fround(factor) : factor;
  for (let i = start; i < start + count; i++) values[i] = values[i]! * rounded;
}

const sameForm = (a: GatherForm, b: GatherForm): boolean =>
  a.dtype === b.dtype && a.cosFactor === b.cosFactor && a.sinFactor === b.sinFactor;

function samePositions(a: GatherPositions, b: GatherPositions): boolean {
  if (a.axes !== b.axes || a.rows !== b.rows) return false;
  if (a.values === b.values) return true;
  for (let i = 0; i < a.values.length; i++) if (a.values[i] !== b.values[i]) return false;
  return true;
}

/**
 * cos and sin of every position that has been asked for.
 *
 * Rows are made one by one, on first use, in blocks that are allocated on first use: nothing is proportional to the
 * longest position, and a row's bits do not depend on when or with which others it was made. Values have amplitude 1;
 * amplitude and direction are applied when rows are gathered. The memory is private: what callers get is always a copy.
 */

import { remainder, toNumber, twoProduct } from "./arithmetic.ts";
import type { Real } from "./arithmetic.ts";
import type { Precision } from "./provider.ts";
import { writeCosSin } from "./sincos.ts";

type FloatArray = Float32Array | Float64Array;

interface Block {
  readonly cos: FloatArray;
  readonly sin: FloatArray;
  /** 1 for each row that has been made. */
  readonly made: Uint8Array;
}

/** Rows of one block: 64 kB of float32 for 64 pairs. */
const BLOCK_ROWS = 128;

/** Positions for a gather: `axes` lists of `rows` positions each. */
export interface GatherPositions {
  readonly axes: number;
  readonly rows: number;
  /** `[axes, rows]`. */
  readonly values: Float64Array;
}

/** The lazily growing table of one frequency ladder. */
export class CosSinTable {
  readonly pairs: number;
  readonly #invFreq: Float64Array;
  readonly #rest: Float64Array;
  readonly #precision: Precision;
  readonly #axisOfPair: Uint8Array | undefined;
  readonly #blocks = new Map<number, Block>();
  /** Angles of the row that is being made. */
  readonly #angles: Float64Array;

  /**
   * @param invFreq angle per position of each pair.
   * @param axisOfPair the position axis of each pair, where there are several.
   * @param precision `"float32"`: the angle is the float32 product of the position and the float32 frequency, cos and
   * sin of it are correctly rounded to float32. `"float64"`: angle and values carry float64's full accuracy.
   */
  constructor(invFreq: readonly Real[], axisOfPair: readonly number[] | undefined, precision: Precision) {
    this.pairs = invFreq.length;
    this.#invFreq = Float64Array.from(invFreq, toNumber);
    this.#rest = Float64Array.from(invFreq, remainder);
    this.#angles = new Float64Array(invFreq.length);
    this.#precision = precision;
    this.#axisOfPair = axisOfPair === undefined ? undefined : Uint8Array.from(axisOfPair);
  }

  /** A copy of the frequencies. */
  get invFreq(): Float64Array {
    return this.#invFreq.slice();
  }

  /**
   * Copies rows into `cos` and `sin`, from their start on, as `[rows, pairs]`: `cos · cosFactor` and `sin · sinFactor`.
   *
   * With `"float32"` the product rounds to float32, whatever the array. Integer positions ≥ 0 come from the table;
   * others are computed anew each time.
   */
  gather(cos: FloatArray, sin: FloatArray, positions: GatherPositions, cosFactor: number, sinFactor: number): void {
    const { rows, values } = positions;
    const { pairs } = this;
    for (let axis = 0; axis < positions.axes; axis++) {
      const first = axis * rows;
      for (let row = 0; row < rows; ) {
        const { block, start, count } = this.#run(values, first + row, first + rows);
        this.#copy(block.cos, start, cos, row * pairs, count, cosFactor, axis);
        this.#copy(block.sin, start, sin, row * pairs, count, sinFactor, axis);
        row += count;
      }
    }
  }

  /** Copies what belongs to an axis of `count` rows, multiplied by a factor. */
  #copy(source: FloatArray, from: number, target: FloatArray, to: number, count: number, factor: number, axis: number): void {
    const { pairs } = this;
    const axisOfPair = this.#axisOfPair;
    if (axisOfPair === undefined && factor === 1) {
      // A view costs more than one row.
      if (count === 1) for (let i = 0; i < pairs; i++) target[to + i] = source[from + i]!;
      else target.set(source.subarray(from, from + count * pairs), to);
      return;
    }
    const single = this.#precision === "float32";
    const exact = single ? Math.fround(factor) : factor;
    for (let row = 0; row < count * pairs; row += pairs) {
      for (let i = 0; i < pairs; i++) {
        if (axisOfPair !== undefined && axisOfPair[i] !== axis) continue;
        const value = source[from + row + i]! * exact;
        target[to + row + i] = single ? Math.fround(value) : value;
      }
    }
  }

  /** cos and sin of one position in float64, of the angle as this table's precision rounds it; amplitude 1. */
  row(position: number): { cos: Float64Array; sin: Float64Array } {
    const cos = new Float64Array(this.pairs);
    const sin = new Float64Array(this.pairs);
    this.#compute(position, cos, sin, 0);
    return { cos, sin };
  }

  /** Rows that lie side by side in one block: for as many of the positions from `index` to `end` as follow each other there. */
  #run(positions: Float64Array, index: number, end: number): { block: Block; start: number; count: number } {
    const position = positions[index]!;
    if (!Number.isInteger(position) || position < 0) {
      const block = this.#allocate(1);
      this.#compute(position, block.cos, block.sin, 0);
      return { block, start: 0, count: 1 };
    }
    const number = Math.floor(position / BLOCK_ROWS);
    let block = this.#blocks.get(number);
    if (block === undefined) this.#blocks.set(number, (block = this.#allocate(BLOCK_ROWS)));
    const first = position - number * BLOCK_ROWS;
    let count = 0;
    do {
      const row = first + count;
      if (block.made[row] === 0) {
        this.#compute(position + count, block.cos, block.sin, row * this.pairs);
        block.made[row] = 1;
      }
      count++;
    } while (first + count < BLOCK_ROWS && index + count < end && positions[index + count] === position + count);
    return { block, start: first * this.pairs, count };
  }

  #allocate(rows: number): Block {
    const make = (length: number): FloatArray => (this.#precision === "float32" ? new Float32Array(length) : new Float64Array(length));
    return { cos: make(rows * this.pairs), sin: make(rows * this.pairs), made: new Uint8Array(rows) };
  }

  #compute(position: number, cos: FloatArray, sin: FloatArray, start: number): void {
    const invFreq = this.#invFreq;
    const angles = this.#angles;
    if (this.#precision === "float32") {
      const p = Math.fround(position);
      for (let i = 0; i < invFreq.length; i++) angles[i] = Math.fround(p * invFreq[i]!);
      writeCosSin(angles, cos, sin, start);
      return;
    }
    for (let i = 0; i < invFreq.length; i++) angles[i] = position * invFreq[i]!;
    writeCosSin(angles, cos, sin, start);
    for (let i = 0; i < invFreq.length; i++) {
      // What the product lost, below 2e-9, turns the result by its first-order term.
      const small = twoProduct(position, invFreq[i]!).lo + position * this.#rest[i]!;
      const c = cos[start + i]!;
      const s = sin[start + i]!;
      cos[start + i] = c - s * small;
      sin[start + i] = s + c * small;
    }
  }
}

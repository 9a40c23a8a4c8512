/**
 * The turns of a call: cos and sin of its positions, computed once for all its tensors, layers and backends.
 *
 * Turns are immutable: the same object always has the same numbers. So a backend may keep a copy (in its own memory, in
 * a buffer on a device) and reuse it while it gets the same object. Only backends see the arrays of turns.
 */

import { writeCosSin } from "./cos-sin.ts";
import type { AngleFrequencies, CosSinWriter, FloatArray } from "./cos-sin.ts";
import { allocate } from "./element-types.ts";
import type { FrequenciesAtLength } from "./frequencies.ts";
import type { RotationTable } from "./kernel.ts";
import type { ResolvedPositions } from "./positions.ts";

/**
 * The three maps of a rope with amplitude `m`: `"apply"` rotates by φ and multiplies by m, `"invert"` rotates by −φ and
 * multiplies by 1/m, `"adjoint"` rotates by −φ and multiplies by m.
 */
export type Operation = "apply" | "invert" | "adjoint";

/**
 * cos and sin of the positions of one call. Immutable; core makes them, and gives the same object again for the same
 * call. A backend gets turns from `BackendContext.turns` and must not write to their arrays.
 */
export interface Turns {
  /** Rows of the batch; `undefined` if all rows share one list of positions. */
  readonly batch: number | undefined;
  readonly tokens: number;
  /** The effective length of the frequencies; `null` for types that do not depend on the length. */
  readonly length: number | null;
  /**
   * cos and sin as `[batch · tokens, rotaryDim/2]`, row-major, amplitude and sign of the operation included.
   * `"float64"` is for float64 tensors, `"float32"` for all others. Each is computed on first use; later calls return
   * the same object.
   */
  table(dtype: "float32" | "float64"): RotationTable;
}

/** Turns computed from position × frequency. */
export class PositionTurns implements Turns {
  readonly positions: ResolvedPositions;
  readonly operation: Operation;
  readonly frequencies: FrequenciesAtLength;
  readonly #write: CosSinWriter;
  /** Whether tables are kept for the next call. A large table that no step holds would only fill memory. */
  readonly keepsTables: boolean;
  #single: RotationTable | undefined;
  #double: RotationTable | undefined;
  /** The turns of other operations. */
  #others: Partial<Record<Operation, PositionTurns>> | undefined;

  constructor(
    positions: ResolvedPositions,
    operation: Operation,
    frequencies: FrequenciesAtLength,
    write: CosSinWriter,
    keepsTables: boolean,
  ) {
    this.positions = positions;
    this.operation = operation;
    this.frequencies = frequencies;
    this.#write = write;
    this.keepsTables = keepsTables;
  }

  get batch(): number | undefined {
    return this.positions.batch;
  }
  get tokens(): number {
    return this.positions.tokens;
  }
  get length(): number | null {
    return this.frequencies.length;
  }

  /** The turns of an operation at the same positions, with the same frequencies; the same object every time. */
  as(operation: Operation): PositionTurns {
    if (operation === this.operation) return this;
    const { positions, frequencies, keepsTables } = this;
    this.#others ??= {};
    return (this.#others[operation] ??= new PositionTurns(positions, operation, frequencies, this.#write, keepsTables));
  }

  table(dtype: "float32" | "float64"): RotationTable {
    const known = dtype === "float64" ? this.#double : this.#single;
    if (known !== undefined) return known;
    const made = this.#make(dtype);
    if (!this.keepsTables) return made;
    return dtype === "float64" ? (this.#double = made) : (this.#single = made);
  }

  #make(dtype: "float32" | "float64"): RotationTable {
    const { attentionFactor } = this.frequencies;
    const amplitude = this.operation === "invert" ? 1 / attentionFactor : attentionFactor;
    const form = { dtype, cosFactor: amplitude, sinFactor: this.operation === "apply" ? amplitude : -amplitude };
    const { cos, sin } = gatherCosSin(this.frequencies, this.positions, form, this.#write);
    return Object.freeze({ cos, sin, batched: this.batch !== undefined });
  }
}

/** Turns made of given cos and sin. */
export function givenTurns(
  { batch, tokens }: ResolvedPositions,
  length: number | null,
  cos: Float64Array,
  sin: Float64Array,
): Turns {
  const batched = batch !== undefined;
  const double = Object.freeze({ cos, sin, batched });
  let single: RotationTable | undefined;
  const table = (dtype: "float32" | "float64"): RotationTable => {
    if (dtype === "float64") return double;
    return (single ??= Object.freeze({ cos: Float32Array.from(cos), sin: Float32Array.from(sin), batched }));
  };
  return Object.freeze({ batch, tokens, length, table });
}

/** The element type of cos and sin, and their factors. */
export interface CosSinForm {
  readonly dtype: "float32" | "float64";
  readonly cosFactor: number;
  readonly sinFactor: number;
}

/** cos and sin as `[rows, pairs]`, row-major. */
export interface CosSinArrays {
  readonly cos: FloatArray;
  readonly sin: FloatArray;
}

/** Number of rows that are computed at a time, if they cannot be computed in place. */
const CHUNK_ROWS = 64;

/**
 * `cos · cosFactor` and `sin · sinFactor` of positions. With precision `"float32"` the product rounds to float32, also
 * for a float64 array.
 *
 * @param target the arrays to fill. Default: new arrays.
 */
export function gatherCosSin(
  { angles, axisOfPair }: Pick<FrequenciesAtLength, "angles" | "axisOfPair">,
  { axes, batch = 1, tokens, values }: ResolvedPositions,
  { dtype, cosFactor, sinFactor }: CosSinForm,
  write: CosSinWriter,
  target?: CosSinArrays,
): CosSinArrays {
  const { precision } = angles;
  const pairs = angles.invFreq.length;
  const rows = batch * tokens;
  const { cos, sin } = target ?? newArrays(dtype, rows * pairs);
  // Rows of another type, and of one axis among several, are computed and scaled in a chunk, then copied.
  const isDirect = axisOfPair === undefined && dtype === precision;
  const chunk = isDirect ? undefined : newArrays(precision, Math.min(rows, CHUNK_ROWS) * pairs);
  for (let axis = 0; axis < axes; axis++) {
    const end = (axis + 1) * rows;
    for (let at = axis * rows; at < end;) {
      const count = runLength(values, at, chunk === undefined ? end : Math.min(end, at + CHUNK_ROWS));
      const to = (at - axis * rows) * pairs;
      const made = chunk ?? { cos, sin };
      const first = chunk === undefined ? to : 0;
      write(angles, values[at]!, count, made.cos, made.sin, first);
      scale(made.cos, first, count * pairs, cosFactor);
      scale(made.sin, first, count * pairs, sinFactor);
      if (chunk !== undefined) {
        copyAxis(axis, axisOfPair, pairs, chunk.cos, cos, to, count);
        copyAxis(axis, axisOfPair, pairs, chunk.sin, sin, to, count);
      }
      at += count;
    }
  }
  return { cos, sin };
}

const newArrays = (dtype: "float32" | "float64", length: number): CosSinArrays => ({
  cos: allocate(dtype, length),
  sin: allocate(dtype, length),
});

/** The number of consecutive positions from `index` on, before `end`. */
function runLength(positions: Float64Array, index: number, end: number): number {
  const first = positions[index]!;
  let count = 1;
  while (index + count < end && positions[index + count] === first + count) count++;
  return count;
}

/** Multiplies in the type of the array: in float32, factor and product are rounded. */
function scale(values: FloatArray, start: number, count: number, factor: number): void {
  if (factor === 1) return;
  const rounded = values.BYTES_PER_ELEMENT === 4 ? Math.fround(factor) : factor;
  for (let i = start; i < start + count; i++) values[i] = values[i]! * rounded;
}

/** Copies the pairs of one axis in `count` rows. */
function copyAxis(
  axis: number,
  axisOfPair: readonly number[] | undefined,
  pairs: number,
  source: FloatArray,
  target: FloatArray,
  to: number,
  count: number,
): void {
  for (let row = 0; row < count * pairs; row += pairs) {
    for (let i = 0; i < pairs; i++) {
      if (axisOfPair === undefined || axisOfPair[i] === axis) target[to + row + i] = source[row + i]!;
    }
  }
}

/** cos and sin of one position in float64, amplitude 1; the angle is rounded as the precision says. */
export function cosSinAt(angles: AngleFrequencies, position: number): { cos: Float64Array; sin: Float64Array } {
  const cos = new Float64Array(angles.invFreq.length);
  const sin = new Float64Array(angles.invFreq.length);
  writeCosSin(angles, position, 1, cos, sin, 0);
  return { cos, sin };
}

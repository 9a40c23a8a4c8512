/**
 * The pass from projection to cache, on the CPU in JavaScript: each element is read once, normalised, rotated, scaled,
 * rounded to the element type of its destination, and written once.
 *
 * Work is done in float32, for float64 input in float64. Every operation rounds to that type, and sums have a fixed
 * order, so that other backends can agree bit for bit. Arrays of the type do the rounding.
 */

import { fromFloat8, toFloat8, toInteger } from "./eight-bit.ts";
import type { ElementArray } from "./element-types.ts";
import { allocate, loadElements, storeElements } from "./element-types.ts";
import type { RotationShape } from "./head.ts";
import { pairRuns, rotateHeads, scratchFloats } from "./kernel.ts";
import type { RotationTable } from "./kernel.ts";
import type { CacheElementType } from "./pass-arguments.ts";
import type { TensorLayout } from "./tensor.ts";

/** A {@link TensorLayout} whose elements may have 8 bits: int8 in an Int8Array, float8 as bits in a Uint8Array. */
export interface CacheLayout extends Omit<TensorLayout, "data" | "dtype"> {
  readonly data: ElementArray | Int8Array | Uint8Array;
  readonly dtype: CacheElementType;
}

/** A checked tensor of a pass. */
export interface PassTensor {
  /** Its memory. With `rows`, `batch` and `tokens` are blocks and slots of a block; else those of the pass. */
  readonly layout: CacheLayout;
  /**
   * Heads of one group, a divisor of `layout.heads`: head `h` starts at
   * `floor(h / groupHeads) · groupStride + (h mod groupHeads) · headStride`.
   */
  readonly groupHeads: number;
  readonly groupStride: number;
  /** Index of the first element of each token, `[batch · tokens]`; −1 leaves the token out. */
  readonly rows: Float64Array | undefined;
  /** float8_e4m3: an element times this is the number. 1 for other types. */
  readonly scale: number;
  /** int8: the factor of each token and head, float32 with `headDim` 1. */
  readonly scales: PassTensor | undefined;
}

/** Root mean square normalisation: `x · 1/√(Σx²/n + epsilon)`, then `· weight`. */
export interface PassNorm {
  readonly epsilon: number;
  /** One head of `headDim` values, or of `heads · headDim` over all heads, contiguous; `undefined`: no weight. */
  readonly weight: TensorLayout | undefined;
  /** Added to each weight in the type of the work. */
  readonly weightOffset: number;
  /** Whether `n` is all heads of a token instead of one head. */
  readonly overHeads: boolean;
  readonly after: boolean;
}

/**
 * One tensor of a pass: norm, rotation, factor, and the write to its destination. `input` and `output` are the same
 * object, or share no element.
 */
export interface PassTask extends RotationShape {
  readonly name: "query" | "key" | "value";
  readonly batch: number;
  readonly tokens: number;
  readonly heads: number;
  readonly headDim: number;
  readonly input: PassTensor;
  readonly output: PassTensor;
  /** `undefined` for a tensor that is not rotated: values. */
  readonly table: RotationTable | undefined;
  readonly norm: PassNorm | undefined;
  /** Multiplies every element of a token after everything else; a row for each row of the table. */
  readonly factors: Float32Array | undefined;
}

type Work = Float32Array | Float64Array;

/** Index of a token's first element; −1 for a token that is left out. */
const rowOf = ({ rows, layout }: PassTensor, b: number, t: number, token: number): number =>
  rows === undefined ? layout.offset + b * layout.batchStride + t * layout.tokenStride : rows[token]!;

const headOf = ({ groupHeads, groupStride, layout }: PassTensor, h: number): number =>
  Math.floor(h / groupHeads) * groupStride + (h % groupHeads) * layout.headStride;

/** Executes one task. Arguments are not checked: tasks come from `context.checkPass`. */
export function passTask(task: PassTask): void {
  const { batch, tokens, heads, headDim, rotaryOffset, rotaryDim, input, output, table, norm, factors } = task;
  const dtype = input.layout.dtype === "float64" ? "float64" : "float32";
  const work = dtype === "float64" ? new Float64Array(heads * headDim) : scratchFloats(heads * headDim);
  const sums = dtype === "float64" ? new Float64Array(18) : new Float32Array(18);
  const pairs = pairRuns(task);
  const values = norm?.weight?.headDim;
  const weight = values === undefined ? undefined : allocate(dtype, values);
  if (weight !== undefined) loadWeight(norm!, weight, 0);
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < tokens; t++) {
      const token = b * tokens + t;
      const from = rowOf(input, b, t, token);
      const to = rowOf(output, b, t, token);
      if (from < 0 || to < 0) continue;
      const row = table?.batched === false ? t : token;
      for (let h = 0; h < heads; h++) load(input, from + headOf(input, h), b, t, token, h, work, h * headDim);
      if (norm?.after === false) normalise(norm, weight, work, heads, headDim, sums);
      if (table !== undefined) {
        rotateHeads(dtype, work, rotaryOffset, headDim, heads, table, (row * rotaryDim) / 2, pairs);
      }
      if (norm?.after === true) normalise(norm, weight, work, heads, headDim, sums);
      if (factors !== undefined) for (let i = 0; i < heads * headDim; i++) work[i] = work[i]! * factors[row]!;
      for (let h = 0; h < heads; h++) store(output, to + headOf(output, h), b, t, token, h, work, h * headDim);
    }
  }
}

/** The weight of a norm with its offset, written to `target` from index `at` on, in the type of the work. */
export function loadWeight({ weight, weightOffset }: PassNorm, target: Work, at: number): void {
  const { dtype, data, offset, headDim } = weight!;
  if (dtype === "float32" && target.BYTES_PER_ELEMENT === 4) target.set(data, at);
  else loadElements(dtype, data, offset, 1, target, at, headDim);
  if (weightOffset === 0) return;
  // Both are rounded before they are added.
  const term = target.BYTES_PER_ELEMENT === 4 ? Math.fround(weightOffset) : weightOffset;
  for (let i = at; i < at + headDim; i++) target[i] = target[i]! + term;
}

/** Normalises the heads of one token. */
function normalise(
  { epsilon, overHeads }: PassNorm,
  weight: Work | undefined,
  work: Work,
  heads: number,
  headDim: number,
  sums: Work,
): void {
  const step = overHeads ? heads : 1;
  for (let first = 0; first < heads; first += step) {
    // sums[17] collects the heads in their order.
    sums[17] = 0;
    for (let h = first; h < first + step; h++) sums[17]! += sumOfSquares(work, h * headDim, headDim, sums);
    sums[16] = epsilon;
    sums[17] = sums[17]! / (step * headDim);
    sums[17]! += sums[16]!;
    sums[17] = Math.sqrt(sums[17]!);
    sums[17] = 1 / sums[17]!;
    const factor = sums[17]!;
    const start = first * headDim;
    for (let i = 0; i < step * headDim; i++) {
      work[start + i] = work[start + i]! * factor;
      if (weight !== undefined) work[start + i] = work[start + i]! * weight[i]!;
    }
  }
}

/**
 * `Σ x²` of one head, in this order: square `i` is added to sum `i mod 16`, in the order of `i`. Then, with
 * `V[j] = (S[j] + S[j + 4]) + (S[j + 8] + S[j + 12])`, the result is `(V[0] + V[1]) + (V[2] + V[3])`. Four vectors of
 * four lanes give that order.
 */
function sumOfSquares(work: Work, start: number, count: number, sums: Work): number {
  sums.fill(0, 0, 16);
  for (let i = 0; i < count; i++) {
    const x = work[start + i]!;
    sums[16] = x * x;
    sums[i & 15]! += sums[16]!;
  }
  for (let j = 0; j < 4; j++) {
    sums[j]! += sums[j + 4]!;
    sums[j + 8]! += sums[j + 12]!;
    sums[j]! += sums[j + 8]!;
  }
  sums[0]! += sums[1]!;
  sums[2]! += sums[3]!;
  sums[0]! += sums[2]!;
  return sums[0]!;
}

/** Reads one head as numbers. */
function load(
  tensor: PassTensor,
  start: number,
  b: number,
  t: number,
  token: number,
  h: number,
  work: Work,
  at: number,
): void {
  const { data, dtype, elementStride, headDim } = tensor.layout;
  if (dtype !== "int8" && dtype !== "float8_e4m3") {
    loadElements(dtype, data as ElementArray, start, elementStride, work, at, headDim);
    return;
  }
  const scale = dtype === "int8" ? tensor.scales!.layout.data[scaleAt(tensor, b, t, token, h)]! : tensor.scale;
  for (let i = 0; i < headDim; i++) {
    const bits = data[start + i * elementStride]!;
    work[at + i] = (dtype === "int8" ? bits : fromFloat8(bits)) * scale;
  }
}

/** Writes one head, rounded to the element type of the destination. */
function store(
  tensor: PassTensor,
  start: number,
  b: number,
  t: number,
  token: number,
  h: number,
  work: Work,
  at: number,
): void {
  const { data, dtype, elementStride, headDim } = tensor.layout;
  if (dtype === "float8_e4m3") {
    for (let i = 0; i < headDim; i++) {
      data[start + i * elementStride] = toFloat8(Math.fround(work[at + i]!) / tensor.scale);
    }
  } else if (dtype === "int8") {
    let largest = 0;
    for (let i = 0; i < headDim; i++) largest = Math.max(largest, Math.abs(Math.fround(work[at + i]!)));
    const scale = Math.fround(largest / 127);
    tensor.scales!.layout.data[scaleAt(tensor, b, t, token, h)] = scale;
    // A scale below the normal numbers is inexact, so the quotient may exceed 127. A head of zeros has the scale 0; NaN
    // becomes 0, and its head has the scale NaN.
    for (let i = 0; i < headDim; i++) {
      const quotient = Math.fround(work[at + i]!) / scale;
      data[start + i * elementStride] = toInteger(Math.fround(Math.min(Math.max(quotient, -127), 127)));
    }
  } else {
    storeElements(dtype, data as ElementArray, start, elementStride, work, at, headDim);
  }
}

const scaleAt = ({ scales }: PassTensor, b: number, t: number, token: number, h: number): number =>
  rowOf(scales!, b, t, token) + headOf(scales!, h);

/**
 * The rotation itself, on the CPU in JavaScript: two multiplications and one addition for each element.
 *
 * It knows nothing of positions, frequencies or rope types: it gets cos and sin for each token and pair. Every product
 * and sum of float32 data rounds to float32, like the engines' kernels without fused multiply-add. So other backends
 * can agree bit for bit.
 */

import { loadElements, storeElements, storeRounded } from "./element-types.ts";
import type { RotationShape } from "./head.ts";
import type { TensorLayout } from "./tensor.ts";

/**
 * cos and sin of a rotation: `rotaryDim/2` values for each row; float64 for float64 data, else float32. A table never
 * changes, so a backend may keep a copy of its own and compare tables by identity.
 */
export interface RotationTable {
  /** `[rows, pairs]`, row-major. */
  readonly cos: Float32Array | Float64Array;
  readonly sin: Float32Array | Float64Array;
  /** The table row of token `t` in batch row `b`: `b · tokens + t` if true, `t` if all batch rows share positions. */
  readonly batched: boolean;
}

/** One tensor to rotate. `input` and `output` are the same memory, or share no element. */
export interface RotationTask extends RotationShape {
  readonly table: RotationTable;
  readonly input: TensorLayout;
  readonly output: TensorLayout;
}

const { fround } = Math;

/**
 * The places of the pairs of a head: pair `j` of run `r` is `(i, i + distance)` with `i = r · 2 · length + j · step`.
 */
interface PairRuns {
  readonly runs: number;
  /** Pairs of one run. */
  readonly length: number;
  readonly step: number;
  readonly distance: number;
}

/**
 * Rotates one tensor: `x' = x·cos − y·sin`, `y' = y·cos + x·sin` for each pair. float64 is computed in float64, all
 * other types in float32 with every product and sum rounded; 16-bit results are rounded once more. Elements that are
 * not rotated keep their bits. Arguments are not checked: tasks come from `context.check`.
 */
export function rotateTask(task: RotationTask): void {
  const { input, output, table, rotaryDim, rotaryOffset } = task;
  const { heads, tokens, dtype } = input;
  const pairs = pairRuns(task);
  // Contiguous floats are rotated where they lie; other elements pass through `scratch`.
  const direct =
    (dtype === "float32" || dtype === "float64") &&
    output.dtype === dtype &&
    input.elementStride === 1 &&
    output.elementStride === 1;
  const inPlace = input.data === output.data && input.offset === output.offset;
  const scratch = direct
    ? undefined
    : dtype === "float64"
      ? new Float64Array(heads * rotaryDim)
      : scratchFloats(heads * rotaryDim);
  // The bits of `scratch`.
  const words =
    scratch?.BYTES_PER_ELEMENT === 4 && output.data.BYTES_PER_ELEMENT === 2
      ? new Uint32Array(scratch.buffer)
      : undefined;

  for (let b = 0; b < input.batch; b++) {
    for (let t = 0; t < tokens; t++) {
      const row = ((table.batched ? b * tokens : 0) + t) * (rotaryDim / 2);
      const from = input.offset + b * input.batchStride + t * input.tokenStride;
      const to = output.offset + b * output.batchStride + t * output.tokenStride;
      if (scratch === undefined) {
        if (!inPlace) copyToken(task, from, to);
        rotateHeads(dtype, output.data, to + rotaryOffset, output.headStride, heads, table, row, pairs);
        continue;
      }
      if (!inPlace) copyOutside(task, from, to);
      const source = from + rotaryOffset * input.elementStride;
      const target = to + rotaryOffset * output.elementStride;
      for (let h = 0; h < heads; h++) {
        loadElements(
          dtype,
          input.data,
          source + h * input.headStride,
          input.elementStride,
          scratch,
          h * rotaryDim,
          rotaryDim,
        );
      }
      rotateHeads(dtype, scratch, 0, rotaryDim, heads, table, row, pairs);
      for (let h = 0; h < heads; h++) {
        const at = target + h * output.headStride;
        if (words === undefined) {
          storeElements(output.dtype, output.data, at, output.elementStride, scratch, h * rotaryDim, rotaryDim);
        } else {
          storeRounded(
            output.dtype,
            output.data as Uint16Array,
            at,
            output.elementStride,
            words,
            h * rotaryDim,
            rotaryDim,
          );
        }
      }
    }
  }
}

/** Scratch memory for the heads of one token, kept: an allocation takes a sixth of the time of the rotation. */
let kept = new Float32Array(0);
const KEPT_FLOATS = 2 ** 16;

export function scratchFloats(length: number): Float32Array {
  if (kept.length >= length) return kept;
  const floats = new Float32Array(length);
  if (length <= KEPT_FLOATS) kept = floats;
  return floats;
}

export function pairRuns({ rotaryDim, blocks }: RotationShape): PairRuns {
  const pairs = rotaryDim / 2;
  // Blocks of one pair each form one run of neighbours, which avoids an inner loop of length one.
  if (blocks === pairs) return { runs: 1, length: pairs, step: 2, distance: 1 };
  return { runs: blocks, length: pairs / blocks, step: 1, distance: pairs / blocks };
}

/** `x' = x·cos − y·sin`, `y' = y·cos + x·sin` for the pairs of all heads of one token. */
export function rotateHeads(
  dtype: TensorLayout["dtype"],
  data: TensorLayout["data"],
  first: number,
  headStride: number,
  heads: number,
  { cos, sin }: RotationTable,
  row: number,
  pairs: PairRuns,
): void {
  if (dtype === "float64") {
    rotate64(data as Float64Array, first, headStride, heads, cos as Float64Array, sin as Float64Array, row, pairs);
    return;
  }
  // JavaScript has float32 memory but only float64 arithmetic: most of the time goes into conversions. Two heads at a
  // time share the conversions of cos and sin.
  const even = heads - (heads % 2);
  rotateTwoHeads32(data as Float32Array, first, headStride, even, cos as Float32Array, sin as Float32Array, row, pairs);
  if (even < heads) {
    rotateHead32(data as Float32Array, first + even * headStride, cos as Float32Array, sin as Float32Array, row, pairs);
  }
}

function rotateTwoHeads32(
  data: Float32Array,
  first: number,
  headStride: number,
  heads: number,
  cos: Float32Array,
  sin: Float32Array,
  row: number,
  { runs, length, step, distance }: PairRuns,
): void {
  for (let h = 0; h < heads; h += 2) {
    for (let run = 0; run < runs; run++) {
      let i = first + h * headStride + run * 2 * length;
      const end = row + (run + 1) * length;
      for (let p = row + run * length; p < end; p++, i += step) {
        const c = cos[p]!;
        const s = sin[p]!;
        const x = data[i]!;
        const y = data[i + distance]!;
        data[i] = fround(x * c) - fround(y * s);
        data[i + distance] = fround(y * c) + fround(x * s);
        const k = i + headStride;
        const u = data[k]!;
        const v = data[k + distance]!;
        data[k] = fround(u * c) - fround(v * s);
        data[k + distance] = fround(v * c) + fround(u * s);
      }
    }
  }
}

/** One head of float32. The last rounding is the write to the array. */
function rotateHead32(
  data: Float32Array,
  first: number,
  cos: Float32Array,
  sin: Float32Array,
  row: number,
  { runs, length, step, distance }: PairRuns,
): void {
  for (let run = 0; run < runs; run++) {
    let i = first + run * 2 * length;
    const end = row + (run + 1) * length;
    for (let p = row + run * length; p < end; p++, i += step) {
      const c = cos[p]!;
      const s = sin[p]!;
      const x = data[i]!;
      const y = data[i + distance]!;
      data[i] = fround(x * c) - fround(y * s);
      data[i + distance] = fround(y * c) + fround(x * s);
    }
  }
}

/** All heads of float64. */
function rotate64(
  data: Float64Array,
  first: number,
  headStride: number,
  heads: number,
  cos: Float64Array,
  sin: Float64Array,
  row: number,
  { runs, length, step, distance }: PairRuns,
): void {
  for (let h = 0; h < heads; h++) {
    for (let run = 0; run < runs; run++) {
      let i = first + h * headStride + run * 2 * length;
      const end = row + (run + 1) * length;
      for (let p = row + run * length; p < end; p++, i += step) {
        const c = cos[p]!;
        const s = sin[p]!;
        const x = data[i]!;
        const y = data[i + distance]!;
        data[i] = x * c - y * s;
        data[i + distance] = y * c + x * s;
      }
    }
  }
}

function copyToken({ input, output }: RotationTask, from: number, to: number): void {
  const { heads, headDim } = input;
  if (input.headStride === headDim && output.headStride === headDim) {
    copyElements(input, from, output, to, 0, heads * headDim);
    return;
  }
  for (let h = 0; h < heads; h++) {
    copyElements(input, from + h * input.headStride, output, to + h * output.headStride, 0, headDim);
  }
}

/** Copies the elements of one token that are not rotated; bit for bit if the element types agree. */
function copyOutside({ input, output, rotaryDim, rotaryOffset }: RotationTask, from: number, to: number): void {
  const { heads, headDim } = input;
  if (rotaryDim === headDim) return;
  for (let h = 0; h < heads; h++) {
    copyElements(input, from + h * input.headStride, output, to + h * output.headStride, 0, rotaryOffset);
    copyElements(
      input,
      from + h * input.headStride,
      output,
      to + h * output.headStride,
      rotaryOffset + rotaryDim,
      headDim,
    );
  }
}

function copyElements(
  input: TensorLayout,
  from: number,
  output: TensorLayout,
  to: number,
  first: number,
  end: number,
): void {
  if (first === end) return;
  if (input.dtype === output.dtype && input.elementStride === 1 && output.elementStride === 1) {
    output.data.set(input.data.subarray(from + first, from + end), to + first);
  } else if (input.dtype === output.dtype) {
    // As integers: a NaN that passes through a JavaScript number may lose its payload.
    const source = bitsOf(input.data);
    const target = bitsOf(output.data);
    for (let i = first; i < end; i++) target[to + i * output.elementStride] = source[from + i * input.elementStride]!;
  } else {
    const values = new Float64Array(end - first);
    loadElements(
      input.dtype,
      input.data,
      from + first * input.elementStride,
      input.elementStride,
      values,
      0,
      end - first,
    );
    storeElements(
      output.dtype,
      output.data,
      to + first * output.elementStride,
      output.elementStride,
      values,
      0,
      end - first,
    );
  }
}

function bitsOf({
  buffer,
  byteOffset,
  length,
  BYTES_PER_ELEMENT,
}: TensorLayout["data"]): Uint16Array | Uint32Array | BigUint64Array {
  if (BYTES_PER_ELEMENT === 2) return new Uint16Array(buffer, byteOffset, length);
  return BYTES_PER_ELEMENT === 4
    ? new Uint32Array(buffer, byteOffset, length)
    : new BigUint64Array(buffer, byteOffset, length);
}

/**
 * Copies the elements that are not rotated from input to output, for executors with kernels that only rotate. Bits stay
 * if the element types agree; else elements are converted. Arguments are not checked.
 */
export function copyUnrotated(task: RotationTask): void {
  const { input, output } = task;
  for (let b = 0; b < input.batch; b++) {
    for (let t = 0; t < input.tokens; t++) {
      copyOutside(
        task,
        input.offset + b * input.batchStride + t * input.tokenStride,
        output.offset + b * output.batchStride + t * output.tokenStride,
      );
    }
  }
}

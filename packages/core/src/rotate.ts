/**
 * The rotation itself, on the CPU in JavaScript: two multiplications and one addition for each element.
 *
 * Knows nothing of positions, frequencies or rope types: it is given cos and sin for each token and pair. Every product
 * and sum of float32 data rounds to float32, as the engines' kernels do without fused multiply-add, so that other
 * backends can agree bit for bit.
 */

import { loadElements, storeElements } from "./element-types.ts";
import type { TensorLayout } from "./tensor.ts";

/** cos and sin of a rotation: `rotaryDim/2` values for each row; float64 for float64 data, else float32. */
export interface RotationTable {
  /** `[rows, pairs]`, row-major. */
  readonly cos: Float32Array | Float64Array;
  readonly sin: Float32Array | Float64Array;
  /** Whether each row of the batch has rows of its own: row `b · tokens + t`, else row `t`. */
  readonly batched: boolean;
}

/** Which elements of a head are rotated, and how they pair. */
export interface RotationShape {
  readonly rotaryDim: number;
  readonly rotaryOffset: number;
  /** Blocks that the rotated elements are cut into; see `pairing.ts`. */
  readonly blocks: number;
}

/** One tensor to rotate. `input` and `output` may be the same memory. */
export interface RotationTask extends RotationShape {
  readonly table: RotationTable;
  readonly input: TensorLayout;
  readonly output: TensorLayout;
}

const { fround } = Math;

/** Rotates one tensor. All arguments must be checked before. */
export function rotateTask(task: RotationTask): void {
  const { input, output, table, rotaryDim, rotaryOffset, blocks } = task;
  const { heads, tokens } = input;
  if (heads === 0) return;
  const pairs = rotaryDim / 2;
  const width = pairs / blocks;
  const { dtype } = input;
  const direct = (dtype === "float32" || dtype === "float64") && output.dtype === dtype && input.elementStride === 1 && output.elementStride === 1;
  const inPlace = input.data === output.data && input.offset === output.offset;
  const scratch = direct ? undefined : dtype === "float64" ? new Float64Array(heads * rotaryDim) : new Float32Array(heads * rotaryDim);

  for (let b = 0; b < input.batch; b++) {
    for (let t = 0; t < tokens; t++) {
      const row = ((table.batched ? b * tokens : 0) + t) * pairs;
      const from = input.offset + b * input.batchStride + t * input.tokenStride;
      const to = output.offset + b * output.batchStride + t * output.tokenStride;
      if (!inPlace) copyOutside(task, from, to);
      const source = from + rotaryOffset * input.elementStride;
      const target = to + rotaryOffset * output.elementStride;
      if (direct) {
        rotateHeads(dtype, input.data, source, input.headStride, output.data, target, output.headStride, heads, table, row, blocks, width);
        continue;
      }
      for (let h = 0; h < heads; h++) {
        loadElements(dtype, input.data, source + h * input.headStride, input.elementStride, scratch!, h * rotaryDim, rotaryDim);
      }
      rotateHeads(dtype, scratch!, 0, rotaryDim, scratch!, 0, rotaryDim, heads, table, row, blocks, width);
      for (let h = 0; h < heads; h++) {
        storeElements(output.dtype, output.data, target + h * output.headStride, output.elementStride, scratch!, h * rotaryDim, rotaryDim);
      }
    }
  }
}

function rotateHeads(
  dtype: TensorLayout["dtype"],
  source: TensorLayout["data"],
  from: number,
  fromStep: number,
  target: TensorLayout["data"],
  to: number,
  toStep: number,
  heads: number,
  { cos, sin }: RotationTable,
  row: number,
  blocks: number,
  width: number,
): void {
  if (dtype === "float64") {
    rotate64(source as Float64Array, from, fromStep, target as Float64Array, to, toStep, heads, cos as Float64Array, sin as Float64Array, row, blocks, width);
  } else if (width === 1) {
    rotateAdjacent32(source as Float32Array, from, fromStep, target as Float32Array, to, toStep, heads, cos as Float32Array, sin as Float32Array, row, blocks);
  } else {
    rotate32(source as Float32Array, from, fromStep, target as Float32Array, to, toStep, heads, cos as Float32Array, sin as Float32Array, row, blocks, width);
  }
}

/** `x' = x·cos − y·sin`, `y' = y·cos + x·sin` for the pairs of all heads of one token. */
function rotate32(
  source: Float32Array, from: number, fromStep: number,
  target: Float32Array, to: number, toStep: number,
  heads: number, cos: Float32Array, sin: Float32Array, row: number, blocks: number, width: number,
): void {
  for (let h = 0; h < heads; h++) {
    for (let block = 0; block < blocks; block++) {
      const x0 = from + h * fromStep + block * 2 * width;
      const z0 = to + h * toStep + block * 2 * width;
      const c0 = row + block * width;
      for (let j = 0; j < width; j++) {
        const x = source[x0 + j]!;
        const y = source[x0 + width + j]!;
        const c = cos[c0 + j]!;
        const s = sin[c0 + j]!;
        target[z0 + j] = fround(fround(x * c) - fround(y * s));
        target[z0 + width + j] = fround(fround(y * c) + fround(x * s));
      }
    }
  }
}

/** {@link rotate32} for pairs of neighbours, without a loop of length one inside. */
function rotateAdjacent32(
  source: Float32Array, from: number, fromStep: number,
  target: Float32Array, to: number, toStep: number,
  heads: number, cos: Float32Array, sin: Float32Array, row: number, pairs: number,
): void {
  for (let h = 0; h < heads; h++) {
    const x0 = from + h * fromStep;
    const z0 = to + h * toStep;
    for (let i = 0; i < pairs; i++) {
      const x = source[x0 + 2 * i]!;
      const y = source[x0 + 2 * i + 1]!;
      const c = cos[row + i]!;
      const s = sin[row + i]!;
      target[z0 + 2 * i] = fround(fround(x * c) - fround(y * s));
      target[z0 + 2 * i + 1] = fround(fround(y * c) + fround(x * s));
    }
  }
}

/** {@link rotate32} in float64. */
function rotate64(
  source: Float64Array, from: number, fromStep: number,
  target: Float64Array, to: number, toStep: number,
  heads: number, cos: Float64Array, sin: Float64Array, row: number, blocks: number, width: number,
): void {
  for (let h = 0; h < heads; h++) {
    for (let block = 0; block < blocks; block++) {
      const x0 = from + h * fromStep + block * 2 * width;
      const z0 = to + h * toStep + block * 2 * width;
      const c0 = row + block * width;
      for (let j = 0; j < width; j++) {
        const x = source[x0 + j]!;
        const y = source[x0 + width + j]!;
        const c = cos[c0 + j]!;
        const s = sin[c0 + j]!;
        target[z0 + j] = x * c - y * s;
        target[z0 + width + j] = y * c + x * s;
      }
    }
  }
}

/** Copies the elements of one token that are not rotated; bit for bit where the element types agree. */
function copyOutside({ input, output, rotaryDim, rotaryOffset }: RotationTask, from: number, to: number): void {
  const { heads, headDim } = input;
  if (rotaryDim === headDim) return;
  for (let h = 0; h < heads; h++) {
    copyElements(input, from + h * input.headStride, output, to + h * output.headStride, 0, rotaryOffset);
    copyElements(input, from + h * input.headStride, output, to + h * output.headStride, rotaryOffset + rotaryDim, headDim);
  }
}

function copyElements(input: TensorLayout, from: number, output: TensorLayout, to: number, first: number, end: number): void {
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
    loadElements(input.dtype, input.data, from + first * input.elementStride, input.elementStride, values, 0, end - first);
    storeElements(output.dtype, output.data, to + first * output.elementStride, output.elementStride, values, 0, end - first);
  }
}

function bitsOf({ buffer, byteOffset, length, BYTES_PER_ELEMENT }: TensorLayout["data"]): Uint16Array | Uint32Array | BigUint64Array {
  if (BYTES_PER_ELEMENT === 2) return new Uint16Array(buffer, byteOffset, length);
  return BYTES_PER_ELEMENT === 4 ? new Uint32Array(buffer, byteOffset, length) : new BigUint64Array(buffer, byteOffset, length);
}

/** Copies the elements that are not rotated from input to output, for executors that rotate elsewhere. */
export function copyUnrotated(task: RotationTask): void {
  const { input, output } = task;
  for (let b = 0; b < input.batch; b++) {
    for (let t = 0; t < input.tokens; t++) {
      copyOutside(task, input.offset + b * input.batchStride + t * input.tokenStride, output.offset + b * output.batchStride + t * output.tokenStride);
    }
  }
}

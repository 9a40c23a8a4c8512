/**
 * Copies of tensors between JavaScript's memory and the areas of the kernels, in as few runs as their layout allows.
 */

import type { TensorLayout } from "@ropewalk/core/backend";
import { areas } from "./kernel.ts";
import type { Copyable, KernelMemory } from "./kernel.ts";

/** How some tokens of a tensor lie in runs: `outer × inner` runs of `length` elements. A copy has them without gaps. */
export interface Runs {
  readonly outer: number;
  readonly outerStride: number;
  readonly inner: number;
  readonly innerStride: number;
  readonly length: number;
  /** `outer × inner`. */
  readonly count: number;
  /** Elements from token to token, and from head to head, in the copy. */
  readonly tokenStride: number;
  readonly headStride: number;
}

/** Whether the copy of a tensor has token after token; else head after head, as caches often have. */
export const isTokenMajor = ({ heads, headDim, headStride }: TensorLayout): boolean =>
  headStride === headDim || heads === 1;

/** The runs of `count` tokens of a tensor, with all elements of their heads. */
export function runsOf(tensor: TensorLayout, count: number): Runs {
  const { heads, headDim, tokenStride, headStride } = tensor;
  const isTokens = isTokenMajor(tensor);
  // Without gaps between tokens, or between the tokens of a head, a piece is one run, or one for each head.
  const unit = isTokens ? heads * headDim : headDim;
  const isDense = tokenStride === unit || count === 1;
  // One literal: objects of several forms, and spreads, take microseconds.
  return {
    outer: isTokens ? 1 : heads,
    outerStride: headStride,
    inner: isDense ? 1 : count,
    innerStride: tokenStride,
    length: isDense ? count * unit : unit,
    count: (isTokens ? 1 : heads) * (isDense ? 1 : count),
    tokenStride: unit,
    headStride: isTokens ? headDim : count * headDim,
  };
}

/** Copies runs of a tensor, from its element `index` on, to the address `area`. */
export function copyIn(tensor: TensorLayout, index: number, runs: Runs, memory: KernelMemory, area: number): void {
  const data = tensor.data as Copyable;
  const staging = viewFor(memory, tensor);
  const { outer, outerStride, inner, innerStride, length } = runs;
  let at = area / data.BYTES_PER_ELEMENT;
  const { buffer, byteOffset } = data;
  for (let i = 0; i < outer; i++) {
    for (let k = 0; k < inner; k++, at += length) {
      const from = index + i * outerStride + k * innerStride;
      staging.set(length === data.length ? data : viewOf(tensor, buffer, byteOffset, from, length), at);
    }
  }
}

/** The reverse of {@link copyIn}. */
export function copyOut(tensor: TensorLayout, index: number, runs: Runs, memory: KernelMemory, area: number): void {
  const data = tensor.data as Copyable;
  const { outer, outerStride, inner, innerStride, length } = runs;
  for (let i = 0, from = area / data.BYTES_PER_ELEMENT; i < outer; i++) {
    for (let k = 0; k < inner; k++, from += length) {
      data.set(viewOf(tensor, memory.buffer, 0, from, length), index + i * outerStride + k * innerStride);
    }
  }
}

/** A new view takes a quarter of the time of `subarray`, which looks for the class to use. */
export function viewOf(
  { dtype }: TensorLayout,
  buffer: ArrayBufferLike,
  byteOffset: number,
  index: number,
  length: number,
): Copyable {
  if (dtype === "float32") return new Float32Array(buffer, byteOffset + index * 4, length);
  if (dtype === "float64") return new Float64Array(buffer, byteOffset + index * 8, length);
  return new Uint16Array(buffer, byteOffset + index * 2, length);
}

/**
 * The first `length` elements of the area for pieces, in the type of a tensor. The last two views are kept: those of
 * query and key, as long as the calls of a model's layers have the same sizes.
 */
export function pieceOf(memory: KernelMemory, tensor: TensorLayout, length: number): Copyable {
  const bytes = tensor.dtype === "float32" ? 4 : tensor.dtype === "float64" ? 8 : 2;
  const [last, other] = memory.pieces;
  if (last?.length === length && last.byteLength === length * bytes) return last;
  if (other?.length === length && other.byteLength === length * bytes) return other;
  const made = viewOf(tensor, memory.buffer, 0, areas.source / bytes, length);
  memory.pieces = [made, last];
  return made;
}

/** The view of the whole memory as elements of a tensor. */
export function viewFor(memory: KernelMemory, { dtype }: TensorLayout): Copyable {
  if (dtype === "float32") return memory.float32;
  return dtype === "float64" ? memory.float64 : memory.uint16;
}

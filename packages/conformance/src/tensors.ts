/**
 * Tensors of the suite: one logical block of numbers `[batch, tokens, heads, headDim]` in the layouts that callers use.
 * Elements outside the block have a known pattern, which no rotation may change.
 */

import type { ElementType, Tensor, TensorData } from "@ropewalk/core";
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from "@ropewalk/core/math";

/** `[batch, tokens, heads, headDim]`. */
export type Shape = readonly [number, number, number, number];

export const elementTypes: readonly ElementType[] = ["float32", "float64", "float16", "bfloat16"];

/** The nearest number of a type. */
export function roundTo(dtype: ElementType, value: number): number {
  if (dtype === "float64") return value;
  if (dtype === "float32") return Math.fround(value);
  return dtype === "float16" ? fromFloat16(toFloat16(value)) : fromBfloat16(toBfloat16(value));
}

/** The largest relative error of one rounding to a type. */
export function unitRoundoff(dtype: ElementType): number {
  return { float64: 2 ** -53, float32: 2 ** -24, float16: 2 ** -11, bfloat16: 2 ** -8 }[dtype];
}

export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

/** Values in [−2, 2), each exactly representable in `dtype`. */
export function randomValues(random: () => number, dtype: ElementType, count: number): Float64Array {
  const values = new Float64Array(count);
  for (let i = 0; i < count; i++) values[i] = roundTo(dtype, random() * 4 - 2);
  return values;
}

/** A layout of a block in memory. */
export interface Layout {
  readonly name: string;
  /** Length of the whole array, strides of `[batch, tokens, heads, headDim]`, and index of the first element. */
  place(shape: Shape): { readonly length: number; readonly strides: Shape; readonly offset: number };
}

export const contiguous: Layout = {
  name: "contiguous",
  place: (shape) => ({
    length: sizeOf(shape),
    strides: [shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], 1],
    offset: 0,
  }),
};

/** `[batch, heads, tokens, headDim]`: Hugging Face after the transposition, ONNX with four axes. */
export const headFirst: Layout = {
  name: "head-first",
  place: ([b, t, h, d]) => ({ length: b * t * h * d, strides: [h * t * d, d, t * d, 1], offset: 0 }),
};

/** Gaps before the first element and after each head, token and row of the batch, as in a paged or aligned cache. */
export const padded: Layout = {
  name: "padded",
  place([b, t, h, d]) {
    const head = d + 3;
    const token = h * head + 5;
    const batch = t * token + 7;
    return { length: 11 + b * batch, strides: [batch, token, head, 1], offset: 11 };
  },
};

/** Elements two apart, as in a slice of a transposed array. */
export const spreadElements: Layout = {
  name: "elements two apart",
  place: ([b, t, h, d]) => ({
    length: 2 * b * t * h * d + 1,
    strides: [2 * t * h * d, 2 * h * d, 2 * d, 2],
    offset: 1,
  }),
};

export const stridedLayouts: readonly Layout[] = [headFirst, padded, spreadElements];

/** A block in memory. */
export interface Placed {
  readonly shape: Shape;
  readonly dtype: ElementType;
  /** The argument for a rope. */
  readonly tensor: Tensor;
  /** The bits of the whole array, gaps included; a view of the same memory. */
  readonly words: Uint16Array | Uint32Array;
  /** The block's elements in logical order, as numbers. */
  values(): Float64Array;
  /** The block's elements in logical order, as bits; two words for float64. */
  bits(): Uint16Array | Uint32Array;
  /** Bits of the elements outside the block, in memory order. */
  gaps(): Uint16Array | Uint32Array;
}

/** Options of {@link place}. */
export interface PlaceOptions {
  readonly layout?: Layout;
  /** Pass a `Float16Array` instead of bits, if the platform has it. */
  readonly nativeFloat16?: boolean;
  /** Pass the bare array instead of `{ data, shape }`: only contiguous, and of 16-bit types only `Float16Array`. */
  readonly bare?: boolean;
  /** Number of axes of the logical shape that the rope gets. Default 4; fewer only for a batch of 1. */
  readonly axes?: 2 | 3 | 4;
}

type Float16Constructor = new (buffer: ArrayBufferLike) => TensorData;
/** `Float16Array` of Node 24 and newer browsers. */
export const nativeFloat16Array: Float16Constructor | undefined = (globalThis as { Float16Array?: Float16Constructor })
  .Float16Array;

/** Lays out values in new memory. `values` are in logical order; without them the block is zero. */
export function place(
  dtype: ElementType,
  shape: Shape,
  values: ArrayLike<number> | undefined,
  options: PlaceOptions = {},
): Placed {
  const { layout = contiguous, nativeFloat16 = false, bare = false, axes = 4 } = options;
  const { length, strides, offset } = layout.place(shape);
  const data =
    dtype === "float64"
      ? new Float64Array(length)
      : dtype === "float32"
        ? new Float32Array(length)
        : new Uint16Array(length);
  const words = data.BYTES_PER_ELEMENT === 2 ? new Uint16Array(data.buffer) : new Uint32Array(data.buffer);
  const perElement = length === 0 ? 1 : words.length / length;
  // The pattern is not zero and differs from element to element, so that a wrong copy is visible.
  for (let i = 0; i < words.length; i++) words[i] = 0x3555 + (i % 61);

  const indices = logicalIndices(shape, strides, offset);
  for (let i = 0; i < indices.length; i++) data[indices[i]!] = encode(dtype, values === undefined ? 0 : values[i]!);
  const pick = (which: Uint32Array): Uint16Array | Uint32Array => {
    const picked =
      words instanceof Uint16Array ? new Uint16Array(which.length) : new Uint32Array(which.length * perElement);
    for (let i = 0; i < picked.length; i++) {
      const element = perElement === 1 ? i : i >> 1;
      picked[i] = words[which[element]! * perElement + (i - element * perElement)]!;
    }
    return picked;
  };
  const outside = (): Uint32Array => {
    const inside = new Uint8Array(length);
    for (const index of indices) inside[index] = 1;
    const free = new Uint32Array(length - indices.length);
    for (let i = 0, at = 0; i < length; i++) if (inside[i] === 0) free[at++] = i;
    return free;
  };

  const [b, t, h, d] = shape;
  const held: TensorData =
    nativeFloat16 && dtype === "float16" && nativeFloat16Array !== undefined
      ? new nativeFloat16Array(data.buffer)
      : data;
  const cut = 4 - axes;
  const view =
    axes === 2
      ? { shape: [t, h * d], strides: [strides[1], strides[3]] }
      : { shape: shape.slice(cut), strides: strides.slice(cut) };
  if (cut > 0 && b !== 1) throw new Error("only one row fits into fewer than four axes");
  if (axes === 2 && strides[2] !== d * strides[3]) throw new Error("[tokens, hidden] needs heads side by side");
  return {
    shape,
    dtype,
    tensor: bare ? held : { data: held, ...view, offset, dtype },
    words,
    values() {
      const values = new Float64Array(indices.length);
      for (let i = 0; i < indices.length; i++) values[i] = decode(dtype, data[indices[i]!]!);
      return values;
    },
    bits: () => pick(indices),
    gaps: () => pick(outside()),
  };
}

function logicalIndices([b, t, h, d]: Shape, [sb, st, sh, sd]: Shape, offset: number): Uint32Array {
  const indices = new Uint32Array(b * t * h * d);
  let at = 0;
  for (let i = 0; i < b; i++) {
    for (let j = 0; j < t; j++) {
      for (let k = 0; k < h; k++) {
        for (let l = 0; l < d; l++) indices[at++] = offset + i * sb + j * st + k * sh + l * sd;
      }
    }
  }
  return indices;
}

function encode(dtype: ElementType, value: number): number {
  if (dtype === "float16") return toFloat16(value);
  return dtype === "bfloat16" ? toBfloat16(value) : value;
}

function decode(dtype: ElementType, stored: number): number {
  if (dtype === "float16") return fromFloat16(stored);
  return dtype === "bfloat16" ? fromBfloat16(stored) : stored;
}

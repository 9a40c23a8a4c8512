/** Tensors as files store them: an element type, a shape, contiguous row-major elements. */

import { CliFailure } from "./failure.ts";

/** The typed array of each element type that is read from files. 16-bit floats are stored as their bits. */
interface StoredArrays {
  readonly float64: Float64Array<ArrayBuffer>;
  readonly float32: Float32Array<ArrayBuffer>;
  readonly float16: Uint16Array<ArrayBuffer>;
  readonly bfloat16: Uint16Array<ArrayBuffer>;
  readonly int64: BigInt64Array<ArrayBuffer>;
  readonly uint64: BigUint64Array<ArrayBuffer>;
  readonly int32: Int32Array<ArrayBuffer>;
  readonly uint32: Uint32Array<ArrayBuffer>;
  readonly int16: Int16Array<ArrayBuffer>;
  readonly uint16: Uint16Array<ArrayBuffer>;
  readonly int8: Int8Array<ArrayBuffer>;
  readonly uint8: Uint8Array<ArrayBuffer>;
}

export type StoredType = keyof StoredArrays;
export type StoredArray = StoredArrays[StoredType];

/** A tensor as its header describes it, before its elements are read. */
export interface DescribedTensor {
  readonly dtype: StoredType;
  readonly shape: readonly number[];
}

export interface StoredTensor extends DescribedTensor {
  /** Row-major. */
  readonly data: StoredArray;
}

const arrays: Readonly<
  Record<StoredType, (new (buffer: ArrayBuffer) => StoredArray) & { readonly BYTES_PER_ELEMENT: number }>
> = {
  float64: Float64Array,
  float32: Float32Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
};

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Bytes of a tensor. */
export function storedBytes(dtype: StoredType, shape: readonly number[]): number {
  return elementCount(shape) * arrays[dtype].BYTES_PER_ELEMENT;
}

/** A typed array over bytes that have their own buffer; does not copy. */
export function storedArray(dtype: StoredType, { buffer }: Uint8Array<ArrayBuffer>): StoredArray {
  // Both file formats are little-endian, and so is almost every machine that Node runs on (not IBM Z).
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] !== 1) {
    throw new CliFailure("FILE_FORMAT", "tensor files are little-endian, this machine is big-endian.");
  }
  return new arrays[dtype](buffer);
}

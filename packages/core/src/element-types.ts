/**
 * Element types of tensors: float64, float32 and the two 16-bit formats, which JavaScript holds as bits.
 *
 * float16 is IEEE 754 binary16; bfloat16 is the upper half of a float32. Conversions from float32 round to nearest,
 * ties to even. They keep infinities and NaNs, and overflow to infinity, as hardware does. A float64 is rounded to
 * float32 first.
 */

import { shapeError } from "./errors.ts";

/** Element types that tensors may have. */
export type ElementType = "float64" | "float32" | "float16" | "bfloat16";

/** Memory of a tensor. 16-bit elements lie in a `Uint16Array` (bits) or, for float16, in a `Float16Array`. */
export type TensorData = Float64Array | Float32Array | Uint16Array | Float16ArrayLike;

/** The part of the standard `Float16Array` (Node 24, browsers of 2025) that ropewalk uses. */
export interface Float16ArrayLike {
  readonly [Symbol.toStringTag]: "Float16Array";
  readonly buffer: ArrayBufferLike;
  readonly byteOffset: number;
  readonly length: number;
}

/**
 * The getters that typed arrays inherit. A subclass, or a property of the array's own, cannot change what these answer.
 */
const {
  [Symbol.toStringTag]: { get: nameOf },
  buffer: { get: bufferOf },
  byteOffset: { get: offsetOf },
  length: { get: countOf },
} = Object.getOwnPropertyDescriptors(Object.getPrototypeOf(Uint8Array.prototype)) as any;

/**
 * The class name of a typed array; `undefined` for other values. The name is used, not `instanceof`, because arrays may
 * come from another realm (an iframe, a test runner's context).
 */
export const viewName = (value: unknown): string | undefined => nameOf.call(value);

/** The length of a list or a typed array; `undefined` for other values. */
export const lengthOf = (given: unknown): number | undefined =>
  Array.isArray(given) ? given.length : viewName(given) === undefined ? undefined : countOf.call(given);

/**
 * A typed array of class `View` on the memory of `array`, with the true place and length. Later accesses run no code of
 * the caller. A detached array gives an empty one.
 */
export function trueView<T>(
  array: unknown,
  View: new (buffer?: ArrayBuffer | number, byteOffset?: number, length?: number) => T,
): T {
  const length = countOf.call(array);
  return length === 0 ? new View(0) : new View(bufferOf.call(array), offsetOf.call(array), length);
}

/**
 * A copy of a list or a typed array, read by index, holes as `undefined`; `undefined` for other values, and for more
 * than `most` items: holes take no memory, but time.
 */
export function listOf(given: unknown, most: number = 2 ** 16): unknown[] | undefined {
  const length = lengthOf(given);
  if (length === undefined || length > most) return undefined;
  const copy: unknown[] = [];
  for (let i = 0; i < length; i++) copy.push((given as ArrayLike<unknown>)[i]);
  return copy;
}

const word = new Uint32Array(1);
const single = new Float32Array(word.buffer);

/** The nearest bfloat16 of a float32 number, as bits; ties go to even. */
export function toBfloat16(value: number): number {
  single[0] = value;
  return bfloat16OfBits(word[0]!);
}

function bfloat16OfBits(bits: number): number {
  // A NaN must not round up to an infinity: it stays a NaN, made quiet.
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** The value of bfloat16 bits; exact. */
export function fromBfloat16(bits: number): number {
  word[0] = bits << 16;
  return single[0]!;
}

/** The nearest float16 of a float32 number, as bits; ties go to even, magnitudes from 65520 on to infinity. */
export function toFloat16(value: number): number {
  single[0] = value;
  return float16OfBits(word[0]!);
}

function float16OfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  // Normal: shift the exponent bias from 127 to 15, round the 13 bits that fall off to even. 65520 is half-way between
  // the largest float16 and the next power of two, and rounds to infinity.
  if (magnitude >= 0x38800000 && magnitude < 0x477ff000) {
    return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x3ff);
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  // Subnormal or zero: a multiple of 2^-24. The last place of 0.5 in float32 is 2^-24, so the addition rounds to even.
  word[0] = magnitude;
  single[0] = single[0]! + 0.5;
  return sign | (word[0]! - 0x3f000000);
}

let float16Values: Float32Array | undefined;

/** All 65536 values of float16 (256 KiB), built on first use: a look-up is faster than decoding bits. */
function float16Table(): Float32Array {
  if (float16Values !== undefined) return float16Values;
  const values = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = (bits >>> 10) & 31;
    const fraction = bits & 1023;
    const sign = bits & 0x8000 ? -1 : 1;
    if (exponent === 31) values[bits] = fraction === 0 ? sign * Infinity : NaN;
    else {
      values[bits] = exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
    }
  }
  return (float16Values = values);
}

/** The value of float16 bits; exact. */
export function fromFloat16(bits: number): number {
  return float16Table()[bits]!;
}

/** An array that holds elements by index; a Uint16Array holds the bits of a 16-bit type. */
export type ElementArray = Float64Array | Float32Array | Uint16Array;

/** Reads `count` elements, `stride` apart, as numbers into `target` from index `at` on. */
export function loadElements(
  type: ElementType,
  data: ElementArray,
  start: number,
  stride: number,
  target: Float32Array | Float64Array,
  at: number,
  count: number,
): void {
  if (type === "bfloat16") {
    for (let i = 0; i < count; i++) target[at + i] = fromBfloat16(data[start + i * stride]!);
  } else if (type === "float16") {
    const values = float16Table();
    for (let i = 0; i < count; i++) target[at + i] = values[data[start + i * stride]!]!;
  } else {
    for (let i = 0; i < count; i++) target[at + i] = data[start + i * stride]!;
  }
}

/** Writes `count` numbers of `source`, from index `at` on, as elements `stride` apart, rounded to the type. */
export function storeElements(
  type: ElementType,
  data: ElementArray,
  start: number,
  stride: number,
  source: Float32Array | Float64Array,
  at: number,
  count: number,
): void {
  if (type === "bfloat16") {
    for (let i = 0; i < count; i++) data[start + i * stride] = toBfloat16(source[at + i]!);
  } else if (type === "float16") {
    for (let i = 0; i < count; i++) data[start + i * stride] = toFloat16(source[at + i]!);
  } else {
    for (let i = 0; i < count; i++) data[start + i * stride] = source[at + i]!;
  }
}

/**
 * {@link storeElements} for 16-bit types; `source` holds the bits of float32 numbers. To turn a JavaScript number back
 * into bits would take longer than the rounding.
 */
export function storeRounded(
  type: ElementType,
  data: Uint16Array,
  start: number,
  stride: number,
  source: Uint32Array,
  at: number,
  count: number,
): void {
  if (type === "bfloat16") for (let i = 0; i < count; i++) data[start + i * stride] = bfloat16OfBits(source[at + i]!);
  else for (let i = 0; i < count; i++) data[start + i * stride] = float16OfBits(source[at + i]!);
}

/** The class that holds elements of a type. */
export const arrayOf = (
  type: ElementType,
): Float64ArrayConstructor | Float32ArrayConstructor | Uint16ArrayConstructor =>
  type === "float64" ? Float64Array : type === "float32" ? Float32Array : Uint16Array;

/**
 * A new array of `length` elements of a type, zeroed.
 *
 * @throws RopeError `ROPE_SHAPE` when the platform does not provide the memory.
 */
export function allocate(type: "float64", length: number): Float64Array;
export function allocate(type: "float64" | "float32", length: number): Float64Array | Float32Array;
export function allocate(type: ElementType, length: number): ElementArray;
export function allocate(type: ElementType, length: number): ElementArray {
  try {
    return new (arrayOf(type))(length);
  } catch {
    throw shapeError("the result", "memory", `${length} elements`);
  }
}

/**
 * Rotation as the paper writes it: every pair is a complex number, multiplied by m·e^(iφ), in float64. It shares
 * nothing with core, not even the lists of pairs.
 */

import type { ElementType, Pairing, Tensor } from "@ropewalk/core";
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from "@ropewalk/core/math";

interface Complex {
  readonly re: number;
  readonly im: number;
}
const times = (a: Complex, b: Complex): Complex => ({ re: a.re * b.re - a.im * b.im, im: a.re * b.im + a.im * b.re });
const polar = (length: number, angle: number): Complex => ({
  re: length * Math.cos(angle),
  im: length * Math.sin(angle),
});

/** The pairs of `rotaryDim` elements, spelled out. */
export function pairsOf(pairing: Pairing, rotaryDim: number): [number, number][] {
  const pairs: [number, number][] = [];
  if (pairing === "half") {
    for (let i = 0; i < rotaryDim / 2; i++) pairs.push([i, i + rotaryDim / 2]);
  } else if (pairing === "adjacent") {
    for (let i = 0; i < rotaryDim; i += 2) pairs.push([i, i + 1]);
  } else {
    const width = rotaryDim / pairing.blocks;
    for (let block = 0; block < pairing.blocks; block++) {
      for (let j = 0; j < width / 2; j++) pairs.push([block * width + j, block * width + width / 2 + j]);
    }
  }
  return pairs;
}

export interface ReferenceRope {
  readonly rotaryDim: number;
  readonly rotaryOffset?: number;
  readonly pairing: Pairing;
  /** Angle of pair `i` for token `t` of row `b`. */
  readonly angle: (pair: number, token: number, row: number) => number;
  readonly amplitude?: number;
}

/** Rotates `[batch, tokens, heads, headDim]`, row-major. */
export function rotateReference(
  values: ArrayLike<number>,
  [batch, tokens, heads, headDim]: Shape,
  { rotaryDim, rotaryOffset = 0, pairing, angle, amplitude = 1 }: ReferenceRope,
): number[] {
  const result = Array.from(values);
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < tokens; t++) {
      for (let h = 0; h < heads; h++) {
        const head = ((b * tokens + t) * heads + h) * headDim + rotaryOffset;
        pairsOf(pairing, rotaryDim).forEach(([x, y], pair) => {
          const turned = times({ re: values[head + x]!, im: values[head + y]! }, polar(amplitude, angle(pair, t, b)));
          result[head + x] = turned.re;
          result[head + y] = turned.im;
        });
      }
    }
  }
  return result;
}

export type Shape = readonly [batch: number, tokens: number, heads: number, headDim: number];

/** The frequencies of the original rope, from their definition. */
export const frequency = (base: number, rotaryDim: number, pair: number): number => base ** ((-2 * pair) / rotaryDim);

/** Numbers between −2 and 2 that look random and are the same in every run. */
export function noise(count: number, seed: number = 1): Float64Array {
  let state = seed;
  return Float64Array.from({ length: count }, () => {
    // Park and Miller's generator.
    state = (state * 48271) % 2147483647;
    return (state / 2147483647) * 4 - 2;
  });
}

export type AnyArray = Float32Array | Float64Array | Uint16Array;

/** Encodes numbers as elements of a type. */
export function encode(dtype: ElementType, values: ArrayLike<number>): AnyArray {
  if (dtype === "float64") return Float64Array.from(values);
  if (dtype === "float32") return Float32Array.from(values);
  return Uint16Array.from(values, dtype === "float16" ? toFloat16 : toBfloat16);
}

/** The values of elements of a type. */
export function decode(dtype: ElementType, data: AnyArray): number[] {
  if (dtype === "float16") return Array.from(data as Uint16Array, fromFloat16);
  return dtype === "bfloat16" ? Array.from(data as Uint16Array, fromBfloat16) : Array.from(data);
}

/** A bare array if that is enough, else a view. */
export const asTensor = (dtype: ElementType, data: AnyArray, shape: readonly number[]): Tensor =>
  data instanceof Uint16Array ? { data, shape, dtype } : data;

/**
 * Element types of 8 bits, which caches may have: int8 with a scale for each token and head, and float8_e4m3 with a
 * given scale.
 *
 * float8_e4m3 is the OCP 8-bit format without infinities (`torch.float8_e4m3fn`): 4 bits of exponent, 3 of fraction,
 * 448 the largest number, `0x7f` and `0xff` NaN. Magnitudes beyond 448 become 448, as vLLM's cache kernels store them.
 * Source: Micikevicius et al., FP8 Formats for Deep Learning (arXiv 2209.05433), table 1.
 */

const word = new Uint32Array(1);
const single = new Float32Array(word.buffer);

/** The nearest float8_e4m3 of a float32 number, as bits; ties go to even, magnitudes beyond 448 to 448. */
export function toFloat8(value: number): number {
  single[0] = value;
  const bits = word[0]!;
  const sign = (bits >>> 24) & 0x80;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7f;
  // 448.
  if (magnitude >= 0x43e00000) return sign | 0x7e;
  // Normal, from 2^-6 on: the exponent bias goes from 127 to 7, and the 20 bits that fall off are rounded to even.
  if (magnitude >= 0x3c800000) return sign | ((magnitude - 0x3c000000 + 0x7ffff + ((magnitude >>> 20) & 1)) >>> 20);
  // Subnormal or zero: a multiple of 2^-9, which is the last place of 2^14 in float32.
  word[0] = magnitude;
  single[0] = single[0]! + 16384;
  return sign | (word[0]! - 0x46800000);
}

/** The value of float8_e4m3 bits; exact. */
export function fromFloat8(bits: number): number {
  const exponent = (bits >>> 3) & 15;
  const fraction = bits & 7;
  const sign = bits & 0x80 ? -1 : 1;
  if (exponent === 15 && fraction === 7) return NaN;
  return exponent === 0 ? sign * fraction * 2 ** -9 : sign * (8 + fraction) * 2 ** (exponent - 10);
}

/** Rounds a float32 number of magnitude below 2^22 to an integer, ties to even: the last place of 1.5 · 2^23 is 1. */
export const toInteger = (value: number): number => Math.fround(value + 12582912) - 12582912;

/**
 * cos and sin of many angles in float64, by additions and multiplications only. So a table has the same bits in every
 * JavaScript engine (`Math.cos` and `Math.sin` may differ in the last bit). It takes a third of the time of these two.
 *
 * `x = n · π/256 + r` with `|r| ≤ π/512`. cos and sin of `n · π/256` come from a list of 512 entries, cos and sin of
 * `r` from short polynomials; the addition theorem combines them. The error is below 2^-53 + 2^-57, and also below
 * 2^-51 of the result plus 2^-75; the tests compare with an evaluation in 320 bits.
 */

import { doubleDouble, toNumber } from "./arithmetic.ts";
import type { Real } from "./arithmetic.ts";

/** Number of parts of the circle. */
const STEPS = 512;
const stepsPerRadian = 256 / Math.PI;

/**
 * π/256 in three parts. The first two have 22 bits: their products with `n < 2^31` are exact, and so are the
 * differences after these are subtracted (Cody and Waite, 1980).
 */
const stepHigh = 3294199 / 2 ** 28;
const stepMiddle = -2866131 / 2 ** 51;
const stepLow = 4.2111741079360304e-17;

/**
 * `cos r − 1 ≈ r² (cos2 + cos4 r²)`. The third term of the series, up to 2^-53 here, is spread over the first two by
 * Chebyshev's polynomial, which leaves an error of 2^-58.
 */
const cos2 = -0.4999999999991519;
const cos4 = 0.04166659386159033;

/**
 * The largest angle of the fast method, in radians: beyond it `n` needs more than 31 bits. Only frequencies above 1
 * reach it.
 */
export const LARGEST_ANGLE: number = 2 ** 24;

/** To add and subtract this number rounds to an integer. */
const rounder = 1.5 * 2 ** 52;

let madeParts: Float64Array | undefined;

/**
 * cos and sin of `n · π/256` for `n` from 0 to 511, `[512, 2]`, correctly rounded to float64. All callers share the
 * array and must not change it.
 */
export function partsOfCircle(): Float64Array {
  if (madeParts !== undefined) return madeParts;
  const values = new Float64Array(2 * STEPS);
  const quarter = STEPS / 4;
  for (let k = 0; k < quarter; k++) {
    // Computed up to an eighth of the circle; the rest mirrors it.
    const [c, s] = k <= quarter / 2 ? series(k) : (series(quarter - k).reverse() as [number, number]);
    for (const [quarters, x, y] of [
      [0, c, s],
      [1, -s, c],
      [2, -c, -s],
      [3, s, -c],
    ] as const) {
      // Adding 0 turns −0 into 0.
      values[2 * (quarters * quarter + k)] = x + 0;
      values[2 * (quarters * quarter + k) + 1] = y + 0;
    }
  }
  return (madeParts = values);
}

/** cos and sin of `k · π/256`, `k ≤ 64`, by their series in 106 bits: 28 terms leave an error below 2^-100. */
function series(k: number): [cos: number, sin: number] {
  const { pi, add, multiply, divide } = doubleDouble;
  const angle = divide(multiply(pi, k), STEPS / 2);
  const sums: [Real, Real] = [0, 0];
  let term: Real = 1;
  for (let n = 0; n < 28; n++) {
    sums[n % 2] = add(sums[n % 2]!, n % 4 < 2 ? term : multiply(term, -1));
    term = divide(multiply(term, angle), n + 1);
  }
  return [toNumber(sums[0]), toNumber(sums[1])];
}

/**
 * Writes cos and sin of `angles` from index `start` on, rounded to the arrays' type.
 *
 * @param angles radians, up to {@link LARGEST_ANGLE}; {@link cosSinOfLarge} handles larger ones.
 */
export function cosSinOf(
  angles: Float64Array,
  cos: Float32Array | Float64Array,
  sin: Float32Array | Float64Array,
  start: number,
): void {
  const values = partsOfCircle();
  for (let i = 0; i < angles.length; i++) {
    const x = angles[i]!;
    const n = x * stepsPerRadian + rounder - rounder;
    const r = x - n * stepHigh - n * stepMiddle - n * stepLow;
    const z = r * r;
    const s = r + r * z * (-1 / 6 + z * (1 / 120));
    const cosMinus1 = z * (cos2 + z * cos4);
    const k = 2 * (n & (STEPS - 1));
    const a = values[k]!;
    const b = values[k + 1]!;
    // The small parts are added first, which keeps the error small.
    cos[start + i] = a + (a * cosMinus1 - b * s);
    sin[start + i] = b + (b * cosMinus1 + a * s);
  }
}

/**
 * Writes cos and sin of the `angles` beyond {@link LARGEST_ANGLE}, and skips the others. A separate loop, because a
 * call inside the loop above would slow down all angles.
 */
export function cosSinOfLarge(
  angles: Float64Array,
  cos: Float32Array | Float64Array,
  sin: Float32Array | Float64Array,
  start: number,
): void {
  for (let i = 0; i < angles.length; i++) {
    if (Math.abs(angles[i]!) <= LARGEST_ANGLE) continue;
    cos[start + i] = Math.cos(angles[i]!);
    sin[start + i] = Math.sin(angles[i]!);
  }
}

/**
 * A cosine for formulas. The arithmetic of `@ropewalk/core` has power, logarithm and root, because most formulas need no
 * other function.
 */

import { doubleDouble, toNumber } from "@ropewalk/core/math";
import type { Real } from "@ropewalk/core/math";

const { pi, add, subtract, multiply, divide } = doubleDouble;

/** The next term, `(π/2)^36/36!`, is below 2^-113. */
const TERMS = 17;

/**
 * cos of an angle from 0 to π, with an error below 2^-100. An arithmetic of fewer bits rounds the result when it next
 * computes with it: float32 once, as a correctly rounded float32 cosine.
 *
 * `cos x = 1 − x²/2! + x⁴/4! − …` up to π/2, `−cos(π − x)` from there, so that cos π is −1 exactly.
 */
export function cosine(angle: Real): Real {
  if (toNumber(angle) > Math.PI / 2) return multiply(cosine(subtract(pi, angle)), -1);
  const minusSquare = multiply(multiply(angle, angle), -1);
  let term: Real = 1;
  let sum: Real = 1;
  for (let n = 1; n <= TERMS; n++) {
    term = divide(multiply(term, minusSquare), (2 * n - 1) * (2 * n));
    sum = add(sum, term);
  }
  return sum;
}

/** Exact arithmetic of fractions, as an oracle for everything that rounds. */

import { remainder, toNumber } from "@ropewalk/core/math";
import type { Real } from "@ropewalk/core/math";

/** `numerator / denominator`, denominator > 0. */
export interface Fraction {
  readonly n: bigint;
  readonly d: bigint;
}

const view = new DataView(new ArrayBuffer(8));

/** The value of a float64, exactly. */
export function ofFloat64(value: number): Fraction {
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const exponent = Number((bits >> 52n) & 2047n);
  const fraction = bits & (2n ** 52n - 1n);
  const magnitude = exponent === 0 ? fraction : fraction | (2n ** 52n);
  const n = bits >> 63n === 1n ? -magnitude : magnitude;
  const shift = BigInt(Math.max(exponent, 1) - 1075);
  return shift >= 0n ? { n: n << shift, d: 1n } : { n, d: 1n << -shift };
}

/** The value of a decimal such as `1.5e-3`, exactly. */
export function ofDecimal(text: string): Fraction {
  const [, sign, whole, digits = "", exponent = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/.exec(text)!;
  const power = BigInt(exponent) - BigInt(digits.length);
  const n = BigInt(`${sign}${whole}${digits}`);
  return power >= 0n ? { n: n * 10n ** power, d: 1n } : { n, d: 10n ** -power };
}

/** The value of any number of core's arithmetic, exactly. */
export const ofReal = (value: Real): Fraction => add(ofFloat64(toNumber(value)), ofFloat64(remainder(value)));

export const add = (a: Fraction, b: Fraction): Fraction => ({ n: a.n * b.d + b.n * a.d, d: a.d * b.d });
export const subtract = (a: Fraction, b: Fraction): Fraction => ({ n: a.n * b.d - b.n * a.d, d: a.d * b.d });
export const multiply = (a: Fraction, b: Fraction): Fraction => ({ n: a.n * b.n, d: a.d * b.d });
export const divide = (a: Fraction, b: Fraction): Fraction =>
  b.n < 0n ? { n: -a.n * b.d, d: -a.d * b.n } : { n: a.n * b.d, d: a.d * b.n };
export const abs = ({ n, d }: Fraction): Fraction => ({ n: n < 0n ? -n : n, d });
export const atMost = (a: Fraction, b: Fraction): boolean => a.n * b.d <= b.n * a.d;

/** Whether `|actual − expected| ≤ 2^−bits · |expected|`. */
export function agree(actual: Fraction, expected: Fraction, bits: number): boolean {
  return atMost(multiply(abs(subtract(actual, expected)), { n: 1n << BigInt(bits), d: 1n }), abs(expected));
}

/** The float32 next to a finite, non-zero one, away from zero (`1`) or towards it (`−1`). */
export function neighbour(value: number, step: 1 | -1): number {
  view.setFloat32(0, value);
  view.setInt32(0, view.getInt32(0) + step);
  return view.getFloat32(0);
}

// Fixed point with 240 bits behind the point: an angle of up to 2^24 radians, given exactly, keeps more than 200 of
// them.
const POINT = 240n;
const one = 1n << POINT;

/** `arctan(1/n)` by its series. */
function arctanOfInverse(n: bigint): bigint {
  let power = one / n;
  let sum = power;
  for (let k = 3n; power !== 0n; k += 2n) {
    power = -power / (n * n);
    sum += power / k;
  }
  return sum;
}

// Machin: π/4 = 4 arctan(1/5) − arctan(1/239).
const tau = 8n * (4n * arctanOfInverse(5n) - arctanOfInverse(239n));

/** cos and sin of an angle in radians, to some 200 bits, by Taylor's series after reduction to one turn. */
export function cosSin(angle: Fraction): { cos: Fraction; sin: Fraction } {
  const reduced = ((angle.n << POINT) / angle.d) % tau;
  let term = one;
  let cos = 0n;
  let sin = 0n;
  for (let k = 0n; term !== 0n; k++) {
    if (k % 2n === 0n) cos += k % 4n === 0n ? term : -term;
    else sin += k % 4n === 1n ? term : -term;
    term = (term * reduced) / ((k + 1n) << POINT);
  }
  return { cos: { n: cos, d: one }, sin: { n: sin, d: one } };
}

/** Whether no other float32 is nearer to the value; of two that are equally near, either will do. */
export function isNearestFloat32(actual: number, value: Fraction): boolean {
  if (actual !== Math.fround(actual)) return false;
  const distance = (candidate: number) => abs(subtract(ofFloat64(candidate), value));
  if (actual === 0) return atMost(abs(value), ofFloat64(2 ** -150));
  return (
    atMost(distance(actual), distance(neighbour(actual, 1))) &&
    atMost(distance(actual), distance(neighbour(actual, -1)))
  );
}

/**
 * The number systems in which a provider's formula is evaluated.
 *
 * A formula is written once, with `add`, `multiply`, … in the order of operations of the engine that it follows. In
 * {@link float32} every operation rounds as a float32 tensor does, so the result equals the engine's. In
 * {@link doubleDouble} the same formula gives about 30 correct digits, which make tables exact at every position. This
 * is no general big-number library: it has only the operations that the formulas of this field use.
 */

import { invalid, show } from "./errors.ts";

/** A number of about 106 bits: the unevaluated sum `hi + lo`, with `|lo| ≤ ulp(hi)/2`. */
export interface DoubleDouble {
  readonly hi: number;
  readonly lo: number;
}

/** A number of a number system; formulas need not look inside. Every operation also accepts plain numbers. */
export type Real = number | DoubleDouble;

/** One number system. All functions are pure. */
export interface Arithmetic {
  /** π in this number system. */
  readonly pi: Real;
  add(a: Real, b: Real): Real;
  subtract(a: Real, b: Real): Real;
  multiply(a: Real, b: Real): Real;
  divide(a: Real, b: Real): Real;
  /** `base` to the power `exponent`; `base > 0`. */
  power(base: Real, exponent: Real): Real;
  /** Natural logarithm; `a > 0`. */
  log(a: Real): Real;
  sqrt(a: Real): Real;
}

const { fround } = Math;

/** Whether a value is a number of any of the number systems. */
export const isReal = (value: unknown): value is Real =>
  typeof value === "number" ||
  (typeof (value as DoubleDouble | null)?.hi === "number" && typeof (value as DoubleDouble).lo === "number");

/** The nearest float64 of a {@link Real}. */
export function toNumber(a: Real): number {
  return typeof a === "number" ? a : a.hi;
}

/** The part of a {@link Real} that {@link toNumber} drops: `lo` of a double-double, 0 for a plain number. */
export function remainder(a: Real): number {
  return typeof a === "number" ? 0 : a.lo;
}

/** float64, as Python floats compute: one rounding per operation. */
export const float64: Arithmetic = Object.freeze({
  pi: Math.PI,
  add: (a, b) => toNumber(a) + toNumber(b),
  subtract: (a, b) => toNumber(a) - toNumber(b),
  multiply: (a, b) => toNumber(a) * toNumber(b),
  divide: (a, b) => toNumber(a) / toNumber(b),
  power: (a, b) => toNumber(a) ** toNumber(b),
  log: (a) => Math.log(toNumber(a)),
  sqrt: (a) => Math.sqrt(toNumber(a)),
} satisfies Arithmetic);

const f32 = (a: Real): number => fround(toNumber(a));

/** float32, as tensors of the engines compute: operands and result rounded to float32 at each operation. */
export const float32: Arithmetic = Object.freeze({
  pi: fround(Math.PI),
  add: (a, b) => fround(f32(a) + f32(b)),
  subtract: (a, b) => fround(f32(a) - f32(b)),
  multiply: (a, b) => fround(f32(a) * f32(b)),
  divide: (a, b) => fround(f32(a) / f32(b)),
  power: (a, b) => fround(f32(a) ** f32(b)),
  log: (a) => fround(Math.log(f32(a))),
  sqrt: (a) => fround(Math.sqrt(f32(a))),
} satisfies Arithmetic);

// Double-double operations after Dekker (1971) and Hida, Li and Bailey (2001). The relative error is below 2^-100. For
// logarithms near zero that bound is absolute, and a power has the absolute error of its exponent.

const dd = (hi: number, lo: number): DoubleDouble => ({ hi, lo });
const widen = (a: Real): DoubleDouble => (typeof a === "number" ? dd(a, 0) : a);

/** The exact sum of two float64, as head and tail; needs `|a| ≥ |b|` or `a = 0`. */
function quickTwoSum(a: number, b: number): DoubleDouble {
  const sum = a + b;
  return dd(sum, b - (sum - a));
}

function twoSum(a: number, b: number): DoubleDouble {
  const sum = a + b;
  const part = sum - a;
  return dd(sum, a - (sum - part) + (b - part));
}

const splitter = 2 ** 27 + 1;

/** The exact product of two float64, as head and tail. Finite while both stay below 2^995. */
export function twoProduct(a: number, b: number): DoubleDouble {
  const product = a * b;
  const wideA = splitter * a;
  const headA = wideA - (wideA - a);
  const tailA = a - headA;
  const wideB = splitter * b;
  const headB = wideB - (wideB - b);
  const tailB = b - headB;
  return dd(product, headA * headB - product + headA * tailB + tailA * headB + tailA * tailB);
}

function addDD(x: Real, y: Real): DoubleDouble {
  const a = widen(x);
  const b = widen(y);
  const head = twoSum(a.hi, b.hi);
  const tail = twoSum(a.lo, b.lo);
  const partial = quickTwoSum(head.hi, head.lo + tail.hi);
  return quickTwoSum(partial.hi, partial.lo + tail.lo);
}

function multiplyDD(x: Real, y: Real): DoubleDouble {
  const a = widen(x);
  const b = widen(y);
  const head = twoProduct(a.hi, b.hi);
  return quickTwoSum(head.hi, head.lo + (a.hi * b.lo + a.lo * b.hi));
}

const negate = (a: Real): DoubleDouble => dd(-widen(a).hi, -widen(a).lo);
const subtractDD = (a: Real, b: Real): DoubleDouble => addDD(a, negate(b));

function divideDD(x: Real, y: Real): DoubleDouble {
  const a = widen(x);
  const b = widen(y);
  // Three digits of long division in base 2^53.
  const first = a.hi / b.hi;
  const rest = subtractDD(a, multiplyDD(b, first));
  const second = rest.hi / b.hi;
  const third = subtractDD(rest, multiplyDD(b, second)).hi / b.hi;
  return addDD(quickTwoSum(first, second), third);
}

const ln2 = dd(0.6931471805599453, 2.3190468138462996e-17);

function expDD(x: Real): DoubleDouble {
  // e^x = 2^k · (e^r)^512 with |r| ≤ ln2/1024, e^r − 1 by its series: 9 terms leave an error below 2^-104.
  const k = Math.round(toNumber(x) / ln2.hi);
  const r = multiplyDD(subtractDD(x, multiplyDD(ln2, k)), 1 / 512);
  let term: DoubleDouble = r;
  let sum: DoubleDouble = r;
  for (let n = 2; n <= 9; n++) {
    term = divideDD(multiplyDD(term, r), n);
    sum = addDD(sum, term);
  }
  // (1 + s)² − 1 = 2s + s² keeps the digits that adding 1 early would lose.
  for (let n = 0; n < 9; n++) sum = addDD(multiplyDD(sum, 2), multiplyDD(sum, sum));
  const scale = 2 ** k;
  const result = addDD(sum, 1);
  return dd(result.hi * scale, result.lo * scale);
}

function logDD(x: Real): DoubleDouble {
  // One Newton step on e^y = x doubles the digits of Math.log.
  const guess = Math.log(toNumber(x));
  return addDD(guess, subtractDD(multiplyDD(x, expDD(-guess)), 1));
}

function sqrtDD(x: Real): DoubleDouble {
  const guess = Math.sqrt(toNumber(x));
  if (guess === 0) return dd(0, 0);
  return addDD(guess, divideDD(subtractDD(x, twoProduct(guess, guess)), 2 * guess));
}

/** About 106 bits; the number system of `precision: "float64"`. */
export const doubleDouble: Arithmetic = Object.freeze({
  pi: dd(3.141592653589793, 1.2246467991473532e-16),
  add: addDD,
  subtract: subtractDD,
  multiply: multiplyDD,
  divide: divideDD,
  power: (base, exponent) => (toNumber(exponent) === 0 ? 1 : expDD(multiplyDD(logDD(base), exponent))),
  log: logDD,
  sqrt: sqrtDD,
} satisfies Arithmetic);

/**
 * The inverse frequencies of the original rope, from which other types start: `invFreq[i] = 1 / base^(2i/dim)`,
 * `i < dim/2`.
 *
 * @param base `theta` of the model, > 0.
 * @param dim the denominator of the exponent: the rotary dimension, or the dimension of one axis.
 * @param arithmetic rounding: {@link float32} gives Hugging Face's and vLLM's values (integer arange cast to float32,
 * divided by `dim`, `base ** x`, reciprocal, each in float32).
 * @returns a new list of `ceil(dim/2)` frequencies in radians per position.
 * @throws RopeError `ROPE_INVALID_PARAMETERS` when `base` is no number, `dim` is no integer ≥ 0, or `arithmetic` is
 * missing.
 *
 * Source: Su et al., RoFormer (arXiv 2104.09864), §3.2.2; Hugging Face transformers 5,
 * `compute_default_rope_parameters`.
 *
 * @example
 * inverseFrequencies(10_000, 4, float64); // [1, 0.01]
 */
export function inverseFrequencies(base: Real, dim: number, arithmetic: Arithmetic): Real[] {
  const { divide, power } = (arithmetic ?? {}) as Partial<Arithmetic>;
  if (!isReal(base) || divide === undefined || power === undefined || !Number.isSafeInteger(dim) || dim < 0) {
    const expected = "a number, a size, and float32, float64 or doubleDouble";
    const received = [base, dim, arithmetic].map(show).join(", ");
    throw invalid("the call of inverseFrequencies", [{ path: "base, dim, arithmetic", expected, received }]);
  }
  return Array.from({ length: Math.ceil(dim / 2) }, (_, i) => divide(1, power(base, divide(2 * i, dim))));
}

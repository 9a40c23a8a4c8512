import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { doubleDouble, float32, float64, inverseFrequencies, remainder, toNumber } from "@ropewalk/core/math";
import type { Real } from "@ropewalk/core/math";
import * as exact from "./exact.ts";
import { agree, atMost, isNearestFloat32 as isNearest, ofDecimal, ofFloat64, ofReal } from "./exact.ts";
import { holds } from "./properties.ts";

// Magnitudes of this field, with room: bases up to 1e9, frequencies down to 1e-12, and their powers.
const moderate = fc
  .tuple(
    fc.double({ min: 1, max: 2, maxExcluded: true, noNaN: true }),
    fc.integer({ min: -100, max: 100 }),
    fc.boolean(),
  )
  .map(([m, e, negative]) => (negative ? -m : m) * 2 ** e);
const positive = moderate.map(Math.abs);
/** Double-doubles whose low part is in use. */
const wide = fc
  .tuple(moderate, fc.double({ min: -1, max: 1, noNaN: true }))
  .map(([hi, lo]): Real => doubleDouble.add(hi, hi * lo * 2 ** -54));

describe("double-double against exact fractions", () => {
  holds("sums", [wide, wide], (a, b) => {
    // Hida, Li and Bailey: relative error of the accurate addition below 2^-104, also where heads cancel.
    expect(agree(ofReal(doubleDouble.add(a, b)), exact.add(ofReal(a), ofReal(b)), 103)).toBe(true);
    expect(agree(ofReal(doubleDouble.subtract(a, b)), exact.subtract(ofReal(a), ofReal(b)), 103)).toBe(true);
  });

  holds("sums that nearly cancel", [moderate, fc.integer({ min: -60, max: 60 }), wide], (a, exponent, b) => {
    const near = doubleDouble.multiply(b, (a * 2 ** exponent) / toNumber(b));
    expect(
      agree(
        ofReal(doubleDouble.subtract(doubleDouble.add(near, b), near)),
        exact.subtract(ofReal(doubleDouble.add(near, b)), ofReal(near)),
        103,
      ),
    ).toBe(true);
  });

  holds(
    "sums whose heads cancel entirely",
    [
      positive,
      fc.double({ min: 0.5, max: 1, noNaN: true }),
      fc.double({ min: 0.5, max: 1, noNaN: true }),
      fc.integer({ min: 0, max: 60 }),
    ],
    (hi, a, b, exponent) => {
      // The two tails are left, at any distance.
      const ulp = 2 ** Math.floor(Math.log2(hi)) * 2 ** -54;
      const [x, y] = [
        { hi, lo: a * ulp },
        { hi: -hi, lo: b * ulp * 2 ** -exponent },
      ];
      expect(agree(ofReal(doubleDouble.add(x, y)), exact.add(ofReal(x), ofReal(y)), 103)).toBe(true);
    },
  );

  holds("products and quotients", [wide, wide], (a, b) => {
    // Products drop the product of the low parts, quotients what follows the third digit of base 2^53.
    expect(agree(ofReal(doubleDouble.multiply(a, b)), exact.multiply(ofReal(a), ofReal(b)), 102)).toBe(true);
    expect(agree(ofReal(doubleDouble.divide(a, b)), exact.divide(ofReal(a), ofReal(b)), 102)).toBe(true);
  });

  holds("the product of two floats is exact", [moderate, moderate], (a, b) => {
    const product = ofReal(doubleDouble.multiply(a, b));
    expect(exact.subtract(product, exact.multiply(ofFloat64(a), ofFloat64(b))).n).toBe(0n);
  });

  holds("roots, by their square", [positive], (a) => {
    const root = ofReal(doubleDouble.sqrt(a));
    expect(agree(exact.multiply(root, root), ofFloat64(a), 101)).toBe(true);
  });

  holds("the head is the nearest float64", [wide, wide], (a, b) => {
    for (const result of [doubleDouble.add(a, b), doubleDouble.multiply(a, b), doubleDouble.divide(a, b)]) {
      expect(toNumber(result) + remainder(result)).toBe(toNumber(result));
    }
  });
});

describe("double-double against digits from outside", () => {
  // Python 3.11, decimal with 60 digits: Decimal(x).ln(), .sqrt(), and (-(n/d) * Decimal(b).ln()).exp().
  test.each<[string, Real, string, number]>([
    ["ln 2", doubleDouble.log(2), "0.6931471805599453094172321214581765680755", 102],
    ["ln 10", doubleDouble.log(10), "2.302585092994045684017991454684364207601", 102],
    ["ln 1000000", doubleDouble.log(1e6), "13.81551055796427410410794872810618524561", 102],
    ["ln of the float64 0.1", doubleDouble.log(0.1), "-2.302585092994045628506840223426538727163", 102],
    ["√2", doubleDouble.sqrt(2), "1.414213562373095048801688724209698078570", 102],
    ["√3", doubleDouble.sqrt(3), "1.732050807568877293527446341505872366943", 102],
    ["√(10^10 + 1)", doubleDouble.sqrt(1e10 + 1), "100000.0000049999999998750000000062500000", 102],
    ["π", doubleDouble.pi, "3.14159265358979323846264338327950288419716939937510", 104],
    [
      "e = 2^(1/ln 2)",
      doubleDouble.power(2, doubleDouble.divide(1, doubleDouble.log(2))),
      "2.718281828459045235360287471352662497757",
      100,
    ],
    ["2^(1/3)", doubleDouble.power(2, doubleDouble.divide(1, 3)), "1.259921049894873164767210607278228350570", 100],
    ["2^(-1/2)", doubleDouble.power(2, -0.5), "0.7071067811865475244008443621048490392848", 100],
    // The error of an exponential is that of its exponent, absolutely: six to ten bits fewer here.
    ["1.5^300.25", doubleDouble.power(1.5, 300.25), "7.4370470917151375938026225105362857840958e+52", 94],
    ["10^-250.5", doubleDouble.power(10, -250.5), "3.1622776601683793319988935444327185337196e-251", 92],
  ])("%s", (_, actual, digits, bits) => {
    expect(agree(ofReal(actual), ofDecimal(digits), bits)).toBe(true);
  });

  test("a logarithm near zero is absolutely, not relatively, that exact", () => {
    const error = exact.abs(
      exact.subtract(
        ofReal(doubleDouble.log(1 + 2 ** -40)),
        ofDecimal("0.0000000000009094947017725146476087627994346924709042"),
      ),
    );
    expect(atMost(error, { n: 1n, d: 2n ** 102n })).toBe(true);
  });

  test.each<[number, number, number, string]>([
    [10_000, 128, 1, "0.8659643233600653523531691834202299819398"],
    [10_000, 128, 32, "0.010000000000000000000000000000000000000000"],
    [10_000, 128, 63, "0.0001154781984689458179666482887295508281567"],
    [500_000, 128, 1, "0.8146172338565447041028381524603547328693"],
    [50_000, 64, 3, "0.3626365397731082041222016796964737504145"],
    [1_000_000, 96, 47, "0.000001333521432163324025675931715295331092416"],
    [150_000, 64, 31, "0.000009675236569981485996371301468268472372398"],
    [1_000_000_000, 128, 63, "0.000000001382372227357899619152570401970342519436"],
  ])("the plain of base %d over %d elements, pair %d", (base, dim, pair, digits) => {
    const plain = inverseFrequencies(base, dim, doubleDouble);
    expect(plain).toHaveLength(dim / 2);
    expect(agree(ofReal(plain[pair]!), ofDecimal(digits), 98)).toBe(true);
    // float32 rounds four times on the way: exponent, power, reciprocal; the exponent's error counts ln(base)-fold.
    expect(agree(ofReal(inverseFrequencies(base, dim, float32)[pair]!), ofDecimal(digits), 20)).toBe(true);
  });
});

test.each([
  ["an exponent of 0", doubleDouble.power(7, 0), 1],
  ["a base of 1", doubleDouble.power(1, 0.3), 1],
  ["√0", doubleDouble.sqrt(0), 0],
  ["ln 1", doubleDouble.log(1), 0],
  ["1/1", doubleDouble.divide(1, 1), 1],
  ["a − a", doubleDouble.subtract(doubleDouble.pi, doubleDouble.pi), 0],
])("%s is exact", (_, actual, expected) => {
  expect(toNumber(actual)).toBe(expected);
  expect(remainder(actual) + 0).toBe(0);
});

describe("float32", () => {
  const single = fc.float({ min: Math.fround(2 ** -40), max: 2 ** 40, noNaN: true });
  holds("every operation rounds once, to the nearest", [single, single], (a, b) => {
    const [x, y] = [ofFloat64(a), ofFloat64(b)];
    expect(isNearest(float32.add(a, b) as number, exact.add(x, y))).toBe(true);
    expect(isNearest(float32.subtract(a, b) as number, exact.subtract(x, y))).toBe(true);
    expect(isNearest(float32.multiply(a, b) as number, exact.multiply(x, y))).toBe(true);
    expect(isNearest(float32.divide(a, b) as number, exact.divide(x, y))).toBe(true);
  });

  test("operands are rounded before they meet", () => {
    const tenth = 13421773 / 2 ** 27;
    expect(float32.subtract(0.1, tenth)).toBe(0);
    // 2^24 + 1 becomes 2^24, and 3 · (2^24 + 1) becomes 3 · 2^24 + 4, before the operation; rounding only its result
    // gives 2^24 + 2, 3 · 2^24 + 4, 2^24 and 2^48 + 2^25 instead.
    expect(float32.add(2 ** 24 + 1, 1)).toBe(2 ** 24);
    expect(float32.multiply(2 ** 24 + 1, 3)).toBe(3 * 2 ** 24);
    expect(float32.divide(3 * (2 ** 24 + 1), 3)).toBe(2 ** 24 + 2);
    expect(float32.power(2 ** 24 + 1, 2)).toBe(2 ** 48);
    // 1 + 2^-24 + 2^-30 becomes 1 + 2^-23, whose root is 1 + 2^-24 − 2^-49 and whose logarithm 2^-23 − 2^-47.
    expect(float32.log(1 + 2 ** -24 + 2 ** -30)).toBe(2 ** -23 - 2 ** -47);
    expect(float32.sqrt(1 + 2 ** -24 + 2 ** -30)).toBe(1);
    expect(float32.pi).toBe(13176795 / 2 ** 22);
    // ln(float32(0.1)) = -2.3025850780929…, of which this is the nearest multiple of 2^-22.
    expect(float32.log(0.1)).toBe(-9657742 / 2 ** 22);
    // Double-doubles count by their head.
    expect(float32.add(doubleDouble.pi, 0)).toBe(13176795 / 2 ** 22);
  });
});

test("float64 is JavaScript's own arithmetic, of the heads", () => {
  expect(float64.add(0.1, 0.2)).toBe(0.30000000000000004);
  expect(float64.subtract(0.3, 0.1)).toBe(0.19999999999999998);
  expect(float64.multiply(doubleDouble.pi, 2)).toBe(6.283185307179586);
  expect(float64.divide(1, 3)).toBe(0.3333333333333333);
  expect(float64.power(2, 0.5)).toBe(1.4142135623730951);
  expect(float64.log(10)).toBe(2.302585092994046);
  expect(float64.sqrt(2)).toBe(1.4142135623730951);
  expect(float64.pi).toBe(3.141592653589793);
});

test("a plain over an odd dimension has a last, half pair", () => {
  expect(inverseFrequencies(10_000, 5, float64)).toHaveLength(3);
});

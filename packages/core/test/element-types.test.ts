/**
 * The 16-bit formats against an oracle that shares nothing with the code: it looks up the nearest value in the sorted
 * list of all values of a format. Also against the JavaScript engine's own float16, if it has one.
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from "@ropewalk/core/math";
import { neighbour } from "./exact.ts";
import { holds } from "./properties.ts";

const view = new DataView(new ArrayBuffer(4));
const float32OfBits = (bits: number): number => {
  view.setUint32(0, bits);
  return view.getFloat32(0);
};

/** IEEE 754-2019 §3.4, read aloud: `(−1)^s · 2^(e − bias) · 1.f`, for `e = 0` without the leading 1. */
function decode(bits: number, fractionBits: number): number {
  const exponentBits = 15 - fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  const fraction = (bits % 2 ** fractionBits) / 2 ** fractionBits;
  const exponent = Math.floor(bits / 2 ** fractionBits) % 2 ** exponentBits;
  const sign = bits >= 2 ** 15 ? -1 : 1;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}

/**
 * All non-negative values below infinity, and in its place the power of two that would follow: 754 rounds as if it were
 * there.
 */
const ascending = (fractionBits: number, infinity: number) =>
  Float64Array.from({ length: infinity + 1 }, (_, bits) =>
    bits === infinity ? 2 * decode(infinity - 2 ** fractionBits, fractionBits) : decode(bits, fractionBits),
  );

const formats = [
  {
    name: "float16",
    to: toFloat16,
    from: fromFloat16,
    fractionBits: 10,
    infinity: 0x7c00,
    values: ascending(10, 0x7c00),
  },
  {
    name: "bfloat16",
    to: toBfloat16,
    from: fromBfloat16,
    fractionBits: 7,
    infinity: 0x7f80,
    values: ascending(7, 0x7f80),
  },
] as const;

/** Bits of the nearest value; of two that are equally near, the even one. */
function nearestBits(value: number, { values, infinity }: (typeof formats)[number]): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude >= values[infinity]!) return sign | infinity;
  let low = 0;
  let high: number = infinity;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (values[middle]! <= magnitude) low = middle;
    else high = middle;
  }
  const [below, above] = [magnitude - values[low]!, values[high]! - magnitude];
  return sign | (below < above || (below === above && low % 2 === 0) ? low : high);
}

describe.each(formats)("$name", (format) => {
  const { to, from, fractionBits, infinity, values } = format;
  const isNaNBits = (bits: number) => (bits & 0x7fff) > infinity;

  test("all 65536 bit patterns decode to their value and round trip", () => {
    for (let bits = 0; bits < 65536; bits++) {
      const value = from(bits);
      if (!Object.is(value, decode(bits, fractionBits))) expect.fail(`${bits.toString(16)} decodes to ${value}`);
      const back = to(value);
      // The payload of a NaN does not survive a JavaScript number.
      if (isNaNBits(bits) ? !isNaNBits(back) : back !== bits) {
        expect.fail(`${bits.toString(16)} becomes ${back.toString(16)}`);
      }
    }
  });

  test("every tie goes to the even neighbour, and the neighbours of a tie to the nearer", () => {
    for (let low = 0; low < infinity; low++) {
      const tie = (values[low]! + values[low + 1]!) / 2;
      const even = low % 2 === 0 ? low : low + 1;
      for (const [value, expected] of [
        [tie, even],
        [neighbour(tie, -1), low],
        [neighbour(tie, 1), low + 1],
      ] as const) {
        if (to(value) !== expected) {
          expect.fail(`${value} becomes ${to(value).toString(16)} instead of ${expected.toString(16)}`);
        }
        if (to(-value) !== (expected | 0x8000)) expect.fail(`${-value} becomes ${to(-value).toString(16)}`);
      }
    }
  });

  holds(
    "any float32 becomes the nearest",
    [fc.integer({ min: 0, max: 2 ** 32 - 1 })],
    (bits) => {
      const value = float32OfBits(bits);
      if (Number.isNaN(value)) expect(isNaNBits(to(value))).toBe(true);
      else expect(to(value)).toBe(nearestBits(value, format));
    },
    5000,
  );

  test.each([
    ["infinity", Infinity, infinity],
    ["−infinity", -Infinity, infinity | 0x8000],
    ["0", 0, 0],
    ["−0", -0, 0x8000],
    ["the largest float32", 3.4028234663852886e38, infinity],
    ["the least float32", 2 ** -149, 0],
    ["minus the least float32", -(2 ** -149), 0x8000],
  ])("%s", (_, value, bits) => {
    expect(to(value)).toBe(bits);
  });

  test("a NaN with any payload stays a NaN", () => {
    for (const bits of [0x7fc00000, 0x7f800001, 0x7f801fff, 0x7fffffff, 0xffc00000, 0xff800001]) {
      expect(isNaNBits(to(float32OfBits(bits)))).toBe(true);
    }
  });
});

test.each([
  ["1 + 2^-11, a tie, to even below", 1 + 2 ** -11, 0x3c00],
  ["1 + 3·2^-11, a tie, to even above", 1 + 3 * 2 ** -11, 0x3c02],
  ["65504, the largest", 65504, 0x7bff],
  ["65519.996, the last that stays finite", 65519.99609375, 0x7bff],
  ["65520, the first that does not", 65520, 0x7c00],
  ["2^-14, the least normal", 2 ** -14, 0x0400],
  ["the largest subnormal", 2 ** -14 - 2 ** -24, 0x03ff],
  ["between them, a tie, up to the normal", 2 ** -14 - 2 ** -25, 0x0400],
  ["2^-24, the least", 2 ** -24, 0x0001],
  ["2^-25, a tie with zero", 2 ** -25, 0],
  ["a little more than 2^-25", 2 ** -25 + 2 ** -40, 0x0001],
  ["3·2^-25, a tie", 3 * 2 ** -25, 0x0002],
])("float16 of %s", (_, value, bits) => {
  expect(toFloat16(value)).toBe(bits);
});

test.each([
  ["1 + 2^-8, a tie, to even below", 1 + 2 ** -8, 0x3f80],
  ["1 + 3·2^-8, a tie, to even above", 1 + 3 * 2 ** -8, 0x3f82],
  ["the largest", 3.3895313892515355e38, 0x7f7f],
  ["the first that overflows", 3.3961775292304957e38, 0x7f80],
  ["2^-133, the least", 2 ** -133, 0x0001],
  ["2^-134, a tie with zero", 2 ** -134, 0],
  ["3·2^-134, a tie", 3 * 2 ** -134, 0x0002],
])("bfloat16 of %s", (_, value, bits) => {
  expect(toBfloat16(value)).toBe(bits);
});

const { f16round } = Math as { f16round?: (value: number) => number };
describe.skipIf(f16round === undefined)("the engine's own float16 (absent before Node 24)", () => {
  holds(
    "agrees with ours for any float32",
    [fc.integer({ min: 0, max: 2 ** 32 - 1 })],
    (bits) => {
      const value = float32OfBits(bits);
      expect(fromFloat16(toFloat16(value))).toBe(f16round!(value));
    },
    5000,
  );
});

/** The values of cos and sin: exact or as engines compute in float32, and computed only when needed. */

import fc from "fast-check";
import { bytes, fixtures } from "@ropewalk/goldens";
import { describe, expect, test } from "vitest";
import { getRope } from "@ropewalk/core";
import type { RopeRequest } from "@ropewalk/core";
import { doubleDouble, inverseFrequencies } from "@ropewalk/core/math";
import {
  cosSin,
  isNearestFloat32,
  multiply,
  agree,
  abs,
  atMost,
  subtract,
  ofDecimal,
  ofFloat64,
  ofReal,
} from "./exact.ts";
import { bits } from "./failures.ts";
import { heldBytes } from "./memory.ts";
import { holds } from "./properties.ts";
import { testRegistry } from "./providers.ts";

/** A rope that no other test uses. */
const fresh = (request: Partial<RopeRequest> = {}) =>
  getRope({ headDim: 128, ...request, parameters: { ropeType: "plain" } }, { registry: testRegistry() });

/** How many float32 numbers apart two are. */
function ulps(a: number, b: number): number {
  const view = new DataView(new ArrayBuffer(4));
  const ordinal = (value: number): number => {
    view.setFloat32(0, value);
    const word = view.getInt32(0);
    return word < 0 ? -(word & 0x7fffffff) : word;
  };
  return Math.abs(ordinal(a) - ordinal(b));
}

// The fixtures of types without parameters are those of types without parameters.
const plainFixtures = fixtures("truth").filter(({ request }) => Object.keys(request.parameters).length === 1);
test("there are fixtures of types without parameters", () => {
  expect(plainFixtures.length).toBeGreaterThan(4);
  expect(Math.max(...plainFixtures.flatMap(({ positions }) => positions))).toBe(2 ** 24);
});

describe.each(plainFixtures)(
  "truth: $name ($source.engine $source.version)",
  ({ request, invFreq, positions, pairs, cos, sin, cosFloat32, sinFloat32, nearZero }) => {
    const { headDim, rotaryDim, base } = request;
    const rope = fresh({ headDim, rotaryDim, base, precision: "float64" });

    test("frequencies have 25 digits", () => {
      inverseFrequencies(base, rotaryDim, doubleDouble).forEach((value, i) =>
        expect(agree(ofReal(value), ofDecimal(invFreq[i]!), 79)).toBe(true),
      );
    });

    test("float32 within 1 ulp at every position up to 2^24", () => {
      const floats = (base64: string) => new Float32Array(bytes(base64).buffer);
      const expected = { cos: floats(cosFloat32), sin: floats(sinFloat32) };
      const actual = rope.cosSin(positions);
      let exact = 0;
      let worst = 0;
      positions.forEach((_, t) =>
        pairs.forEach((pair, i) => {
          for (const name of ["cos", "sin"] as const) {
            const distance = ulps(actual[name][t * (rotaryDim / 2) + pair]!, expected[name][t * pairs.length + i]!);
            worst = Math.max(worst, distance);
            if (distance === 0) exact++;
          }
        }),
      );
      expect(worst).toBeLessThanOrEqual(1);
      // A float64 that is right to 52 bits rounds to another float32 about once in 2^28.
      expect(exact).toBe(2 * positions.length * pairs.length);
    });

    test("float64 within 2^-52 of 20 digits", () => {
      // Half a unit each for cosine, sine and their sum, where values are at most 1.
      const actual = rope.cosSin(positions, { dtype: "float64" });
      positions.forEach((_, t) =>
        pairs.forEach((pair, i) => {
          const at = t * (rotaryDim / 2) + pair;
          expect(atMost(abs(subtract(ofFloat64(actual.cos[at]!), ofDecimal(cos[t]![i]!))), ofFloat64(2 ** -52))).toBe(
            true,
          );
          expect(atMost(abs(subtract(ofFloat64(actual.sin[at]!), ofDecimal(sin[t]![i]!))), ofFloat64(2 ** -52))).toBe(
            true,
          );
        }),
      );
    });

    test.each(nearZero)("$why, at position $position, pair $pair", (value) => {
      const actual = rope.cosSin([value.position]);
      expect(ulps(actual.cos[value.pair]!, value.cosFloat32)).toBeLessThanOrEqual(1);
      expect(ulps(actual.sin[value.pair]!, value.sinFloat32)).toBeLessThanOrEqual(1);
    });
  },
);

describe("float32 angles", () => {
  const rope = fresh({ base: 500_000 });
  const { invFreq } = rope.frequencies();

  test("frequencies are float32 numbers, within two units of the true ones", () => {
    const truth = inverseFrequencies(500_000, 128, doubleDouble);
    // Rounded: the exponent (times ln 500000 in the power), the power, the reciprocal. Hugging Face rounds in the same
    // places.
    invFreq.forEach((value, i) => {
      expect(value).toBe(Math.fround(value));
      expect(agree(ofFloat64(value), ofReal(truth[i]!), 20)).toBe(true);
    });
  });

  test("a formula that does not round its last step is rounded for it; exact angles keep every digit", () => {
    const provider = {
      ...testRegistry().get("plain")!.provider,
      source: "unrounded@1",
      frequencies: () => ({ invFreq: [0.1, 0.3] }),
    };
    const of = (precision: "float32" | "float64") =>
      getRope({ headDim: 4, precision, parameters: { ropeType: "plain" } }, { provider });
    expect([...of("float32").frequencies().invFreq]).toEqual([Math.fround(0.1), Math.fround(0.3)]);
    expect([...of("float64").frequencies().invFreq]).toEqual([0.1, 0.3]);
    const angle = Math.fround(10_000_001 * Math.fround(0.1));
    expect(isNearestFloat32(of("float32").cosSin([10_000_001]).cos[0]!, cosSin(ofFloat64(angle)).cos)).toBe(true);
  });

  holds(
    "cos and sin are those of float32(position · frequency), correctly rounded",
    [fc.integer({ min: 0, max: 2 ** 24 }), fc.integer({ min: 0, max: 63 })],
    (position, pair) => {
      // The product of two float32 is exact in float64, so this rounds once.
      const angle = Math.fround(position * invFreq[pair]!);
      const expected = cosSin(ofFloat64(angle));
      const { cos, sin } = rope.cosSin([position]);
      expect(isNearestFloat32(cos[pair]!, expected.cos)).toBe(true);
      expect(isNearestFloat32(sin[pair]!, expected.sin)).toBe(true);
    },
    500,
  );

  holds(
    "exact angles, correctly rounded to float32, against the same oracle",
    [fc.integer({ min: 0, max: 2 ** 24 }), fc.integer({ min: 0, max: 63 })],
    (position, pair) => {
      const truth = fresh({ base: 500_000, precision: "float64" });
      const frequency = ofReal(inverseFrequencies(500_000, 128, doubleDouble)[pair]!);
      const expected = cosSin(multiply(ofFloat64(position), frequency));
      const { cos, sin } = truth.cosSin([position]);
      expect(isNearestFloat32(cos[pair]!, expected.cos)).toBe(true);
      expect(isNearestFloat32(sin[pair]!, expected.sin)).toBe(true);
    },
    200,
  );

  test("positions between the integers are rounded to float32 too", () => {
    const between = getRope(
      { headDim: 128, base: 500_000, parameters: { ropeType: "fine" } },
      { registry: testRegistry() },
    );
    const positions = Array.from({ length: 20 }, (_, i) => 1000.1 * i + 0.7);
    const { cos } = between.cosSin(positions);
    let differs = 0;
    positions.forEach((position, t) =>
      invFreq.forEach((f, i) => {
        expect(isNearestFloat32(cos[t * 64 + i]!, cosSin(ofFloat64(Math.fround(Math.fround(position) * f))).cos)).toBe(
          true,
        );
        if (Math.fround(Math.fround(position) * f) !== Math.fround(position * f)) differs++;
      }),
    );
    expect(differs).toBeGreaterThan(100);
  });

  test("position 0 is the identity, without a sign on its zeros", () => {
    const { cos, sin } = rope.cosSin([0, -0]);
    expect(cos.every((value) => value === 1)).toBe(true);
    expect(sin.every((value) => Object.is(value, 0))).toBe(true);
  });
});

describe.each(["float32", "float64"] as const)("growth, precision %s", (precision) => {
  const count = 700;
  const atOnce = fresh({ headDim: 16, precision }).cosSin({ start: 0, count }, { dtype: "float64" });

  holds(
    "rows asked for in any order have the bits of those that were made at once",
    [
      fc.array(fc.array(fc.integer({ min: 0, max: count - 1 }), { minLength: 1, maxLength: 40 }), {
        minLength: 1,
        maxLength: 6,
      }),
    ],
    (requests) => {
      const rope = fresh({ headDim: 16, precision });
      for (const positions of requests) {
        const { cos, sin } = rope.cosSin(positions, { dtype: "float64" });
        const expected = (table: ArrayLike<number>) =>
          Float64Array.from(
            { length: positions.length * 8 },
            (_, i) => table[positions[Math.floor(i / 8)]! * 8 + (i % 8)]!,
          );
        expect(bits(cos)).toEqual(bits(expected(atOnce.cos)));
        expect(bits(sin)).toEqual(bits(expected(atOnce.sin)));
      }
    },
    50,
  );

  test("backwards, one by one, and all again", () => {
    const rope = fresh({ headDim: 16, precision });
    for (let position = count - 1; position >= 0; position--) rope.at([position]);
    expect(bits(rope.cosSin({ start: 0, count }, { dtype: "float64" }).cos)).toEqual(bits(atOnce.cos));
  });
});

test("exact angles: cos times the amplitude is rounded to float32 once", () => {
  const rope = getRope(
    { headDim: 128, precision: "float64", parameters: { ropeType: "tuned", factor: 1, amplitude: 1.1386294361119891 } },
    { registry: testRegistry() },
  );
  const positions = { start: 131_000, count: 200 };
  const { cos, sin } = rope.cosSin(positions);
  const wide = rope.cosSin(positions, { dtype: "float64" });
  expect(cos).toEqual(Float32Array.from(wide.cos));
  expect(sin).toEqual(Float32Array.from(wide.sin));
});

describe("memory", () => {
  test("a rope for 2^24 positions, and its last position, cost next to nothing", async () => {
    const before = await heldBytes();
    const rope = fresh({ maxPosition: 2 ** 24 });
    rope.cosSin([2 ** 24 - 1]);
    // Less than a thousand rows of 64 pairs: 2^24 rows would be 8 GiB.
    expect((await heldBytes()) - before).toBeLessThan(1000 * 64 * 2 * 4);
    expect(rope.cosSin([2 ** 24 - 1]).shape).toEqual([1, 64]);
  });

  test("a million positions cost no more than one", async () => {
    const rope = fresh({ precision: "float64" });
    const query = new Float64Array(128);
    const before = await heldBytes();
    for (let position = 0; position < 1_048_576; position += 61) rope.apply({ positions: [position], query });
    // A table of the positions that were asked for would be 17 MiB, one of all of them 1 GiB.
    expect((await heldBytes()) - before).toBeLessThan(2 ** 20);
  });

  test("a rope by itself has no table yet", async () => {
    const before = await heldBytes();
    const ropes = Array.from({ length: 100 }, (_, i) => fresh({ base: i + 2 }));
    // Frequencies only: a few float64 for each pair.
    expect((await heldBytes()) - before).toBeLessThan(100 * 64 * 64);
    expect(ropes[99]!.base).toBe(101);
  });

  test("positions between the integers are not kept, and leave those at the integers alone", async () => {
    const rope = getRope({ headDim: 128, parameters: { ropeType: "fine" } }, { registry: testRegistry() });
    const whole = rope.cosSin([3]);
    const before = await heldBytes();
    for (let i = 0; i < 2000; i++) rope.at([i / 7 + 1e-6]);
    // Two thousand rows of 64 pairs would be 1 MiB.
    expect((await heldBytes()) - before).toBeLessThan(2 ** 19);
    const { cos } = rope.cosSin([3, 2.5, 3]);
    expect(cos.slice(0, 64)).toEqual(whole.cos);
    expect(cos.slice(128)).toEqual(whole.cos);
    expect(cos.slice(64, 128)).not.toEqual(whole.cos);
  });
});

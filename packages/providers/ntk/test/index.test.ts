import { conformance } from "@ropewalk/conformance";
import { compareTruth, float32Ulp } from "@ropewalk/conformance/golden";
import { getRope, getRopeUntyped } from "@ropewalk/core";
import type { RopeRequest } from "@ropewalk/core";
import { float32, inverseFrequencies } from "@ropewalk/core/math";
import { fixtures } from "@ropewalk/goldens";
import { describe, expect, test } from "vitest";
import type { NtkParameters } from "../src/index.ts";
import "../src/index.ts";

conformance(test, {
  ropeType: "ntk",
  cases: [
    { name: "fixed", request: { headDim: 16, maxPosition: 4096, parameters: { factor: 8 } } },
    { name: "mixed", request: { headDim: 32, rotaryDim: 8, parameters: { factor: 8, mixedB: 0.6 } } },
  ],
});

const ntk = (parameters: NtkParameters, request: Partial<RopeRequest> = {}): RopeRequest => ({
  headDim: 128,
  base: 10_000,
  ...request,
  parameters: { ropeType: "ntk", ...parameters },
});
const exact = (parameters: NtkParameters): Float64Array =>
  getRope(ntk(parameters, { precision: "float64" })).frequencies().invFreq;

/** Distance in float32 ulp of the expected value. */
const ulps = (got: number, expected: number): number => Math.abs(got - expected) / float32Ulp(expected);

test.each(fixtures("truth").filter(({ request }) => request.parameters.ropeType === "ntk"))(
  "exact arithmetic: $name",
  (truth) => {
    compareTruth(getRopeUntyped({ ...truth.request, precision: "float64" }), truth);
  },
);

test.each([1.5, 2, 8, 32])("float32 is within 2 ulp of exact arithmetic, factor %d", (factor) => {
  for (const mixedB of [null, 0.25, 0.6, 0.9, 1]) {
    const { invFreq } = getRope(ntk({ factor, mixedB })).frequencies();
    // Four roundings of half an ulp: power, reciprocal, slowdown, quotient.
    for (const [i, expected] of exact({ factor, mixedB }).entries()) {
      expect(ulps(invFreq[i]!, expected), `pair ${i}, mixedB ${mixedB}`).toBeLessThanOrEqual(2);
    }
  }
});

describe("agrees with the steps of vLLM's NTKScalingRotaryEmbedding, run in torch 2.15 float32", () => {
  // Both runs: base 10000, rotaryDim 128. mixed_b None: 1 / (80000 ** (arange / 128)) / 8 ** (2 / 128).
  // mixed_b 0.6: 1 / (10000 ** (arange / 128)) / exp(log(8) / 64 ** 0.6 * arange(1, 65) ** 0.6).
  const fixed = [
    [0, 0.9680308699607849],
    [1, 0.8114811182022095],
    [17, 0.0482509583234787],
    [40, 0.0008345607784576714],
    [63, 1.4434775039262604e-5],
  ] as const;
  const mixed = [
    [0, 0.8424087166786194],
    [1, 0.6677497625350952],
    [17, 0.032781004905700684],
    [40, 0.0006436611292883754],
    [63, 1.4434774129767902e-5],
  ] as const;

  test("fixed", () => {
    const { invFreq } = getRope(ntk({ factor: 8 })).frequencies();
    // torch's float32 power is not always correctly rounded: 1 ulp.
    for (const [i, expected] of fixed) expect(ulps(invFreq[i]!, expected), `pair ${i}`).toBeLessThanOrEqual(1);
  });

  test("mixed", () => {
    const { invFreq } = getRope(ntk({ factor: 8, mixedB: 0.6 })).frequencies();
    // The float32 exponential multiplies the errors of its argument (up to ln 8) by it: up to 8 ulp.
    for (const [i, expected] of mixed) expect(ulps(invFreq[i]!, expected), `pair ${i}`).toBeLessThanOrEqual(8);
  });
});

test.each([null, 0.6])("factor 1 gives the plain frequencies, bit for bit (mixedB %o)", (mixedB) => {
  expect([...getRope(ntk({ factor: 1, mixedB })).frequencies().invFreq]).toEqual(
    inverseFrequencies(10_000, 128, float32),
  );
});

test("mixedB 1 is the fixed form", () => {
  const fixed = exact({ factor: 8 });
  // Each is the nearest float64 of 30 digits.
  expect([...exact({ factor: 8, mixedB: 1 })]).toEqual([...fixed]);
});

test.each([null, 0.25, 0.6, 1])(
  "the slower a pair, the more it is slowed down; the last pair by the factor (mixedB %o)",
  (mixedB) => {
    const plain = exact({ factor: 1 });
    const slowdown = [...exact({ factor: 8, mixedB })].map((f, i) => plain[i]! / f);
    for (let i = 0; i < 64; i++) expect(slowdown[i]).toBeGreaterThan(i === 0 ? 1 : slowdown[i - 1]!);
    // The quotient of two float64 roundings.
    expect(slowdown[63]).toBeCloseTo(8, 12);
  },
);

test("a smaller mixedB slows down fast pairs more", () => {
  const [early, late] = [exact({ factor: 8, mixedB: 0.25 }), exact({ factor: 8, mixedB: 0.9 })];
  for (let i = 0; i < 63; i++) expect(early[i]).toBeLessThan(late[i]!);
});

test("explain() says which form it is", () => {
  expect(getRope(ntk({ factor: 8 })).explain().rules).toContainEqual(
    expect.objectContaining({ name: "scaledBase", value: 80_000 }),
  );
  expect(getRope(ntk({ factor: 8, mixedB: 0.6 })).explain().rules).toContainEqual(
    expect.objectContaining({ name: "mixedB", value: 0.6 }),
  );
});

test.each([
  ["a factor of 0", ntk({ factor: 0 }), "parameters.factor"],
  ["mixedB 0", ntk({ factor: 2, mixedB: 0 }), "parameters.mixedB"],
])("refuses %s", (_, bad, path) => {
  expect(() => getRope(bad)).toThrow(
    expect.objectContaining({ code: "ROPE_INVALID_PARAMETERS", issues: [expect.objectContaining({ path })] }),
  );
});

test("parameters are checked by the compiler", () => {
  // @ts-expect-error -- factor must be given
  expect(() => getRope({ headDim: 8, parameters: { ropeType: "ntk" } })).toThrow(/parameters\.factor/);
  // @ts-expect-error -- no such parameter
  expect(() => getRope({ headDim: 8, parameters: { ropeType: "ntk", factor: 2, mixed_b: 1 } })).toThrow(/mixedB/);
});

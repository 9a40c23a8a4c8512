import { conformance } from "@ropewalk/conformance";
import {
  compareFrequencies,
  compareRotations,
  compareTables,
  compareTruth,
  float32Ulp,
} from "@ropewalk/conformance/golden";
import { getRope, getRopeUntyped } from "@ropewalk/core";
import type { RopeRequest } from "@ropewalk/core";
import { float32, inverseFrequencies } from "@ropewalk/core/math";
import { fixtures } from "@ropewalk/goldens";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Llama3Parameters } from "../src/index.ts";
import "../src/index.ts";

conformance(test, {
  ropeType: "llama3",
  cases: [
    {
      name: "as Llama 3.1",
      request: {
        headDim: 16,
        base: 500_000,
        maxPosition: 131_072,
        parameters: { factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPosition: 8192 },
      },
    },
    {
      name: "a step",
      request: {
        headDim: 32,
        rotaryDim: 8,
        parameters: { factor: 2, lowFreqFactor: 4, highFreqFactor: 4, originalMaxPosition: 512 },
      },
    },
  ],
});

const published: Llama3Parameters = { factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPosition: 8192 };
const llama3 = (parameters: Partial<Llama3Parameters> = {}, request: Partial<RopeRequest> = {}): RopeRequest => ({
  headDim: 128,
  base: 500_000,
  ...request,
  parameters: { ropeType: "llama3", ...published, ...parameters },
});

// Requests as the models' config.json files have them, or their configuration classes.
const models: Readonly<Record<string, RopeRequest>> = {
  "meta-llama/Llama-3.1-405B": llama3(),
  "meta-llama/Llama-3.1-70B": llama3(),
  "meta-llama/Llama-3.1-8B": llama3(),
  "meta-llama/Llama-3.2-1B": llama3({ factor: 32 }, { headDim: 64 }),
  "meta-llama/Llama-3.2-3B": llama3({ factor: 32 }),
  "meta-llama/Llama-4-Scout-17B-16E": llama3({}, { pairing: "adjacent" }),
  "stepfun-ai/Step-3.7 full_attention": llama3(
    { factor: 2, highFreqFactor: 32, originalMaxPosition: 131_072 },
    { rotaryDim: 64, base: 5_000_000 },
  ),
  "swiss-ai/Apertus-class-defaults": llama3({}, { base: 12_000_000 }),
};

const engineRopes = fixtures("hf").flatMap(({ model, ropes }) =>
  ropes
    .filter(({ ropeType }) => ropeType === "llama3")
    .map((record) => ({ model: record.layerType === null ? model : `${model} ${record.layerType}`, record })),
);

test("every rope of type llama3 in transformers' fixtures is compared", () => {
  expect(engineRopes.map(({ model }) => model).toSorted()).toEqual(Object.keys(models));
});

test.each(engineRopes)("transformers: $model", ({ model, record }) => {
  const rope = getRope(models[model]!);
  compareFrequencies(rope, record);
  compareTables(rope, record);
  compareRotations(rope, record);
});

test.each(fixtures("truth").filter(({ request }) => request.parameters.ropeType === "llama3"))(
  "exact arithmetic: $name",
  (truth) => {
    compareTruth(getRopeUntyped({ ...truth.request, precision: "float64" }), truth);
  },
);

test("factor 1 gives the plain frequencies; kept and interpolated pairs bit for bit", () => {
  const rope = getRope(llama3({ factor: 1 }));
  const plain = inverseFrequencies(500_000, 128, float32) as number[];
  // (1 − t) f + t f rounds three times.
  for (const { invFreq, pair, regime } of rope.explain().pairs) {
    expect(Math.abs(invFreq - plain[pair]!), regime).toBeLessThanOrEqual(
      regime === "blended" ? 2 * float32Ulp(plain[pair]!) : 0,
    );
  }
});

test("regimes follow the wavelength", () => {
  const { pairs, rules } = getRope(llama3()).explain();
  const plain = inverseFrequencies(500_000, 128, float32) as number[];
  for (const { pair, regime } of pairs) {
    const wavelength = (2 * Math.PI) / plain[pair]!;
    expect(regime, `pair ${pair}`).toBe(wavelength > 8192 ? "interpolated" : wavelength < 2048 ? "kept" : "blended");
  }
  expect(rules).toContainEqual(expect.objectContaining({ name: "slowWavelength", value: 8192 }));
  expect(rules).toContainEqual(expect.objectContaining({ name: "fastWavelength", value: 2048 }));
});

test("frequencies lie between f/factor and f, and never rise from pair to pair", () => {
  const request = fc.record({
    factor: fc.double({ min: 1, max: 1000, noNaN: true }),
    lowFreqFactor: fc.double({ min: 0.01, max: 64, noNaN: true }),
    width: fc.oneof(fc.constant(0), fc.double({ min: 0.01, max: 64, noNaN: true })),
    originalMaxPosition: fc.integer({ min: 1, max: 1_048_576 }),
    base: fc.double({ min: 2, max: 1e8, noNaN: true }),
  });
  fc.assert(
    fc.property(request, ({ base, width, ...parameters }) => {
      const { factor, lowFreqFactor } = parameters;
      const highFreqFactor = lowFreqFactor + width;
      const { invFreq } = getRope(
        llama3({ ...parameters, highFreqFactor }, { base, precision: "float64" }),
      ).frequencies();
      const plain = getRope(llama3({ factor: 1 }, { base, precision: "float64" })).frequencies().invFreq;
      // Both sides are rounded to float64, and so is the quotient.
      const slack = 1 + 2 ** -50;
      for (const [i, f] of plain.entries()) {
        expect(invFreq[i]).toBeLessThanOrEqual(f * slack);
        expect(invFreq[i]! * slack).toBeGreaterThanOrEqual(f / factor);
        if (i > 0) expect(invFreq[i]).toBeLessThanOrEqual(invFreq[i - 1]! * slack);
      }
    }),
    { seed: 3, numRuns: 200 },
  );
});

describe("equal frequency factors", () => {
  test("make a step: pairs are kept or slowed down, none is blended", () => {
    const { pairs } = getRope(llama3({ lowFreqFactor: 4 })).explain();
    expect(new Set(pairs.map(({ regime }) => regime))).toEqual(new Set(["kept", "interpolated"]));
    const plain = inverseFrequencies(500_000, 128, float32) as number[];
    for (const { invFreq, pair, regime } of pairs) {
      expect(invFreq).toBe(regime === "kept" ? plain[pair] : plain[pair]! / 8);
    }
  });

  test("and a wavelength that fits exactly is slowed down, as in vLLM", () => {
    // The first pair's wavelength is 2π.
    const turns = 8192 / (2 * Math.PI);
    for (const precision of ["float32", "float64"] as const) {
      const step = llama3({ lowFreqFactor: turns, highFreqFactor: turns }, { precision });
      expect(getRope(step).explain().pairs[0]).toMatchObject({ invFreq: 1 / 8, regime: "interpolated" });
      expect(
        getRope({
          ...step,
          parameters: { ropeType: "llama3", ...published, lowFreqFactor: turns / 2, highFreqFactor: turns / 2 },
        }).explain().pairs[0],
      ).toMatchObject({ invFreq: 1, regime: "kept" });
    }
  });
});

test.each([
  [
    "frequency factors in the wrong order",
    llama3({ lowFreqFactor: 4, highFreqFactor: 1 }),
    "parameters.highFreqFactor",
  ],
  ["a factor of 0", llama3({ factor: 0 }), "parameters.factor"],
  ["a low factor of 0", llama3({ lowFreqFactor: 0 }), "parameters.lowFreqFactor"],
  ["half a token", llama3({ originalMaxPosition: 0.5 }), "parameters.originalMaxPosition"],
])("refuses %s", (_, bad, path) => {
  expect(() => getRope(bad)).toThrow(
    expect.objectContaining({ code: "ROPE_INVALID_PARAMETERS", issues: [expect.objectContaining({ path })] }),
  );
});

test("parameters are checked by the compiler", () => {
  const { originalMaxPosition: _, ...incomplete } = published;
  // @ts-expect-error -- originalMaxPosition must be given
  expect(() => getRope({ headDim: 8, parameters: { ropeType: "llama3", ...incomplete } })).toThrow(
    /originalMaxPosition/,
  );
  expect(() =>
    // @ts-expect-error -- no such parameter
    getRope({ headDim: 8, parameters: { ropeType: "llama3", ...published, lowFrequencyFactor: 1 } }),
  ).toThrow(/lowFreqFactor/);
});

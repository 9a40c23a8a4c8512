import { conformance } from "@ropewalk/conformance";
import { compareFrequencies, compareRotations, compareTables, compareTruth } from "@ropewalk/conformance/golden";
import { getRope, getRopeUntyped, RopeError } from "@ropewalk/core";
import type { RopeRequest } from "@ropewalk/core";
import { float32, inverseFrequencies } from "@ropewalk/core/math";
import { fixtures } from "@ropewalk/goldens";
import { expect, test } from "vitest";
import "../src/index.ts";

conformance(test, {
  ropeType: "linear",
  cases: [
    { name: "as Gemma 3", request: { headDim: 16, base: 1_000_000, maxPosition: 131_072, parameters: { factor: 8 } } },
    { name: "a quarter of the head, factor 2.5", request: { headDim: 32, rotaryDim: 8, parameters: { factor: 2.5 } } },
  ],
});

const linear = (headDim: number, base: number, factor: number, maxPosition?: number): RopeRequest => ({
  headDim,
  base,
  ...(maxPosition === undefined ? {} : { maxPosition }),
  parameters: { ropeType: "linear", factor },
});

// Requests from the models' config.json files, or from their configuration classes if a file does not state a value.
const models: Readonly<Record<string, RopeRequest>> = {
  "deepseek-ai/deepseek-coder-6.7b-instruct": linear(128, 100_000, 4),
  "google/gemma-3-12b-it full_attention": linear(256, 1_000_000, 8),
  "google/gemma-3-27b full_attention": linear(128, 1_000_000, 8),
  "google/gemma-3-4b-it full_attention": linear(256, 1_000_000, 8),
  "lmsys/vicuna-7b-v1.5-16k": linear(128, 10_000, 4),
};

const engineRopes = fixtures("hf").flatMap(({ model, ropes }) =>
  ropes
    .filter(({ ropeType }) => ropeType === "linear")
    .map((record) => ({ model: record.layerType === null ? model : `${model} ${record.layerType}`, record })),
);

test("every rope of type linear in transformers' fixtures is compared", () => {
  expect(engineRopes.map(({ model }) => model).toSorted()).toEqual(Object.keys(models));
});

test.each(engineRopes)("transformers: $model", ({ model, record }) => {
  const rope = getRope(models[model]!);
  compareFrequencies(rope, record);
  compareTables(rope, record);
  compareRotations(rope, record);
});

test.each(fixtures("truth").filter(({ request }) => request.parameters.ropeType === "linear"))(
  "exact arithmetic: $name",
  (truth) => {
    compareTruth(getRopeUntyped({ ...truth.request, precision: "float64" }), truth);
  },
);

test("factor 1 gives the plain frequencies, bit for bit", () => {
  const { invFreq } = getRope(linear(128, 500_000, 1)).frequencies();
  expect([...invFreq]).toEqual(inverseFrequencies(500_000, 128, float32));
});

test("position factor · p turns as far as p did", () => {
  const request = { ...linear(64, 10_000, 4), precision: "float64" } as const;
  const slow = getRope(request).cosSin([4, 400, 40_000], { dtype: "float64" });
  const plain = getRope({ ...request, parameters: { ropeType: "linear", factor: 1 } }).cosSin([1, 100, 10_000], {
    dtype: "float64",
  });
  expect(slow.cos).toEqual(plain.cos);
  expect(slow.sin).toEqual(plain.sin);
});

test("positions are admitted up to factor · maxPosition", () => {
  expect(getRope(linear(64, 10_000, 4, 4096)).positionLimit).toBe(16_384);
  expect(getRope(linear(64, 10_000, 0.5, 4096)).positionLimit).toBe(4096);
});

test("explain() gives the regime of every pair", () => {
  const { pairs, rules } = getRope(linear(8, 10_000, 4)).explain();
  expect(pairs.map(({ regime }) => regime)).toEqual(["interpolated", "interpolated", "interpolated", "interpolated"]);
  expect(rules).toContainEqual(expect.objectContaining({ name: "factor", value: 4 }));
});

test.each([0, -1, NaN, Number.POSITIVE_INFINITY, "4"])("a factor of %o is refused", (factor) => {
  const rope = (): unknown => getRope(linear(64, 10_000, factor as number));
  expect(rope).toThrow(RopeError);
  expect(rope).toThrow(/parameters\.factor/);
});

test("parameters are checked by the compiler", () => {
  // @ts-expect-error -- factor must be given
  expect(() => getRope({ headDim: 8, parameters: { ropeType: "linear" } })).toThrow(/parameters\.factor/);
  // @ts-expect-error -- no such parameter
  expect(() => getRope({ headDim: 8, parameters: { ropeType: "linear", factor: 2, scale: 2 } })).toThrow(/scale/);
});

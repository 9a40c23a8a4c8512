import { conformance } from "@ropewalk/conformance";
import { compareFrequencies, compareRotations, compareTables, compareTruth } from "@ropewalk/conformance/golden";
import { getRope, getRopeUntyped } from "@ropewalk/core";
import type { RopeRequest } from "@ropewalk/core";
import { float32, inverseFrequencies } from "@ropewalk/core/math";
import { fixtures } from "@ropewalk/goldens";
import { expect, test } from "vitest";
import "../src/index.ts";

conformance(test, {
  ropeType: "dynamic_alpha",
  cases: [
    { name: "as Hunyuan", request: { headDim: 16, maxPosition: 32_768, parameters: { alpha: 1000 } } },
    { name: "a quarter of the head, alpha 2.5", request: { headDim: 32, rotaryDim: 8, parameters: { alpha: 2.5 } } },
  ],
});

const hunyuan: RopeRequest = {
  headDim: 128,
  base: 10_000,
  maxPosition: 32_768,
  parameters: { ropeType: "dynamic_alpha", alpha: 1000 },
};

const engineRopes = fixtures("hf").flatMap(({ model, ropes }) =>
  ropes.filter(({ engineRopeType }) => engineRopeType === "ntk_alpha").map((record) => ({ model, record })),
);

test("every rope with an alpha in transformers' fixtures is compared", () => {
  expect(engineRopes.map(({ model }) => model).toSorted()).toEqual([
    "tencent/Hunyuan-7B-Instruct",
    "tencent/Hunyuan-A13B-Instruct",
    "tencent/HunyuanOCR",
  ]);
});

test.each(engineRopes)("transformers: $model", ({ record }) => {
  // All have the same base, alpha and head; the positions of the record go beyond maxPosition.
  const rope = getRope({ ...hunyuan, maxPosition: null });
  compareFrequencies(rope, record);
  compareTables(rope, record);
  compareRotations(rope, record);
});

test.each(fixtures("truth").filter(({ request }) => request.parameters.ropeType === "dynamic_alpha"))(
  "exact arithmetic: $name",
  (truth) => {
    compareTruth(getRopeUntyped({ ...truth.request, precision: "float64" }), truth);
  },
);

test("the base is the one that llama.cpp's converter writes for these models", () => {
  const { value } = getRope(hunyuan)
    .explain()
    .rules.find(({ name }) => name === "scaledBase")!;
  // conversion/hunyuan.py: freq_base 11158839.925, printed with three decimals.
  expect((value as number).toFixed(3)).toBe("11158839.925");
});

test("alpha 1 gives the plain frequencies, bit for bit", () => {
  const { invFreq } = getRope({ ...hunyuan, parameters: { ropeType: "dynamic_alpha", alpha: 1 } }).frequencies();
  expect([...invFreq]).toEqual(inverseFrequencies(10_000, 128, float32));
});

test("the slowest pair is slowed down by alpha, the fastest pair not at all", () => {
  const exact = (alpha: number): Float64Array =>
    getRope({ ...hunyuan, precision: "float64", parameters: { ropeType: "dynamic_alpha", alpha } }).frequencies()
      .invFreq;
  expect(exact(1000)[0]).toBe(1);
  // The quotient of two float64 roundings.
  expect(exact(1)[63]! / exact(1000)[63]!).toBeCloseTo(1000, 9);
});

test("nothing depends on the length", () => {
  const rope = getRope(hunyuan);
  expect(rope.capabilities).toMatchObject({ dependsOnLength: false, canShift: true });
  expect(rope.frequencies(1).invFreq).toEqual(rope.frequencies(1_000_000).invFreq);
  expect(rope.at([0]).effectiveLength).toBeNull();
});

test.each([
  ["alpha 0", { ...hunyuan, parameters: { ropeType: "dynamic_alpha", alpha: 0 } }, "parameters.alpha"],
  ["a single pair", { ...hunyuan, rotaryDim: 2 }, "rotaryDim"],
] as [string, RopeRequest, string][])("refuses %s", (_, bad, path) => {
  expect(() => getRope(bad)).toThrow(
    expect.objectContaining({ code: "ROPE_INVALID_PARAMETERS", issues: [expect.objectContaining({ path })] }),
  );
});

test("parameters are checked by the compiler", () => {
  // @ts-expect-error -- alpha must be given
  expect(() => getRope({ headDim: 8, parameters: { ropeType: "dynamic_alpha" } })).toThrow(/parameters\.alpha/);
  // @ts-expect-error -- factor belongs to another type
  expect(() => getRope({ headDim: 8, parameters: { ropeType: "dynamic_alpha", alpha: 2, factor: 2 } })).toThrow(
    /factor/,
  );
});

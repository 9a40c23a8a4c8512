import { conformance } from "@ropewalk/conformance";
import { getRope, RopeError } from "@ropewalk/core";
import type { RopeRequest } from "@ropewalk/core";
import { float32, inverseFrequencies } from "@ropewalk/core/math";
import { fixtures } from "@ropewalk/goldens";
import { describe, expect, test } from "vitest";
import "../src/index.ts";
import { truthErrors, ulps } from "./golden.ts";

conformance(test, {
  ropeType: "linear",
  cases: [
    { name: "as Gemma 3", request: { headDim: 16, base: 1_000_000, maxPosition: 131_072, parameters: { factor: 8 } } },
    { name: "a quarter of the head, factor 2.5", request: { headDim: 32, rotaryDim: 8, parameters: { factor: 2.5 } } },
  ],
});

const linear = (headDim: number, base: number, factor: number, maxPosition?: number): RopeRequest => ({ headDim, base, ...(maxPosition === undefined ? {} : { maxPosition }), parameters: { ropeType: "linear", factor } });

/** The facts of each model's config.json, and of its configuration class where the file leaves them out. */
const models: [string, string | null, RopeRequest][] = [
  ["deepseek-ai/deepseek-coder-6.7b-instruct", null, linear(128, 100_000, 4, 16_384)],
  ["lmsys/vicuna-7b-v1.5-16k", null, linear(128, 10_000, 4, 4096)],
  ["google/gemma-3-4b-it", "full_attention", linear(256, 1_000_000, 8, 131_072)],
  ["google/gemma-3-12b-it", "full_attention", linear(256, 1_000_000, 8, 131_072)],
  ["google/gemma-3-27b", "full_attention", linear(128, 1_000_000, 8, 131_072)],
];

describe("agrees with Hugging Face transformers", () => {
  test.each(models)("%s", (model, layerType, request) => {
    const golden = fixtures("hf").find((fixture) => fixture.model === model)!.ropes.find((rope) => rope.layerType === layerType && rope.ropeType === "linear")!;
    const { attentionFactor, invFreq } = getRope(request).frequencies();
    expect(attentionFactor).toBe(golden.attentionFactor);
    expect(invFreq).toHaveLength(golden.invFreq.length);
    // torch's float32 power is not always correctly rounded: 1 ulp.
    for (const [i, expected] of golden.invFreq.entries()) expect(ulps(invFreq[i]!, expected), `pair ${i}`).toBeLessThanOrEqual(1);
  });
});

describe("agrees with an evaluation in 60 digits", () => {
  test.each(["linear-2.5", "linear-4", "linear-8-256"])("%s", (name) => expect(truthErrors(name)).toEqual([]));
});

test("factor 1 is the plain ladder, bit for bit", () => {
  const { invFreq } = getRope(linear(128, 500_000, 1)).frequencies();
  expect([...invFreq]).toEqual(inverseFrequencies(500_000, 128, float32));
});

test("position factor · p turns as far as p did", () => {
  const request = { ...linear(64, 10_000, 4), precision: "float64" } as const;
  const slow = getRope(request).cosSin([4, 400, 40_000], { dtype: "float64" });
  const plain = getRope({ ...request, parameters: { ropeType: "linear", factor: 1 } }).cosSin([1, 100, 10_000], { dtype: "float64" });
  expect(slow.cos).toEqual(plain.cos);
  expect(slow.sin).toEqual(plain.sin);
});

test("positions are admitted up to factor · maxPosition", () => {
  expect(getRope(linear(64, 10_000, 4, 4096)).positionLimit).toBe(16_384);
  expect(getRope(linear(64, 10_000, 0.5, 4096)).positionLimit).toBe(4096);
});

test("explain() says what every pair got", () => {
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

import { conformance } from "@ropewalk/conformance";
import { compareFrequencies, compareRotations, compareTables, compareTruth } from "@ropewalk/conformance/golden";
import { RopeError, getRope, getRopeUntyped, listRopeTypes } from "@ropewalk/core";
import "@ropewalk/deepseek-yarn";
import type { DeepseekYarnParameters } from "@ropewalk/deepseek-yarn";
import { fixtures } from "@ropewalk/goldens";
import { expect, test } from "vitest";

conformance(test, {
  ropeType: "deepseek_yarn",
  cases: [
    {
      name: "DeepSeek-V3",
      request: {
        headDim: 64,
        maxPosition: 163840,
        parameters: { factor: 40, originalMaxPosition: 4096, mscaleAllDim: 1 },
      },
    },
    {
      name: "two magnitudes, the first 16 of 40",
      request: {
        headDim: 40,
        rotaryDim: 16,
        base: 50_000,
        parameters: { factor: 32, originalMaxPosition: 4096, mscale: 1, mscaleAllDim: 0.707, truncate: false },
      },
    },
    {
      name: "amplitude given",
      request: { headDim: 8, parameters: { factor: 8, originalMaxPosition: 512, attentionFactor: 1.25 } },
    },
  ],
});

type DeepseekYarn = DeepseekYarnParameters & { readonly base: number };

// Requests as the models' config.json files have them.
const trained = { base: 10_000, factor: 40, originalMaxPosition: 4096 } as const;
const kimi = { base: 50_000, originalMaxPosition: 4096, betaFast: 1, betaSlow: 1, mscale: 1, mscaleAllDim: 1 } as const;
const models: Readonly<Record<string, DeepseekYarn>> = {
  "deepseek-ai/DeepSeek-V2-Lite": { ...trained, mscale: 0.707, mscaleAllDim: 0.707 },
  "deepseek-ai/DeepSeek-V2.5": { ...trained, mscale: 1, mscaleAllDim: 1 },
  "deepseek-ai/DeepSeek-V3": { ...trained, mscale: 1, mscaleAllDim: 1 },
  "mistralai/Mistral-4-class-defaults": {
    base: 10_000,
    factor: 128,
    originalMaxPosition: 8192,
    mscale: 1,
    mscaleAllDim: 1,
  },
  "moonshotai/Kimi-K2-Instruct": { ...kimi, factor: 32 },
  "moonshotai/Kimi-K2-Instruct-0905": { ...kimi, factor: 64 },
};

const engineRopes = fixtures("hf").flatMap(({ model, ropes }) =>
  ropes
    .filter(({ ropeType, softmaxScaleFactor }) => ropeType === "yarn" && softmaxScaleFactor !== 1)
    .map((record) => ({ model, record })),
);

test("every rope with a softmax factor in transformers' fixtures is compared", () => {
  expect(engineRopes.map(({ model }) => model).sort()).toEqual(Object.keys(models).sort());
});

test.each(engineRopes)("transformers: $model", ({ model, record }) => {
  const { base, ...parameters } = models[model]!;
  // No pairing is given: the type's default is adjacent.
  const rope = getRope({ headDim: record.headDim, base, parameters: { ropeType: "deepseek_yarn", ...parameters } });
  compareFrequencies(rope, record);
  compareTables(rope, record);
  compareRotations(rope, record);
});

test.each(fixtures("truth").filter(({ request }) => request.parameters.ropeType === "deepseek_yarn"))(
  "exact arithmetic: $name",
  (truth) => {
    compareTruth(getRopeUntyped({ ...truth.request, precision: "float64" }), truth);
  },
);

// M(40, 1) = 0.1 ln 40 + 1 = 1.3688879454 and M(40, 0.707) = 1.2608037773; the softmax gets the square of the second
// one.
test.each([
  { name: "both 1 (V3)", magnitudes: { mscale: 1, mscaleAllDim: 1 }, amplitude: 1, softmax: 1.873854207 },
  {
    name: "both 0.707 (V2-Lite)",
    magnitudes: { mscale: 0.707, mscaleAllDim: 0.707 },
    amplitude: 1,
    softmax: 1.589626165,
  },
  {
    name: "mscaleAllDim 0, the same as absent",
    magnitudes: { mscale: 1, mscaleAllDim: 0 },
    amplitude: 1.3688879454,
    softmax: 1,
  },
  { name: "neither given", magnitudes: {}, amplitude: 1.3688879454, softmax: 1 },
  {
    name: "1 over 0.707",
    magnitudes: { mscale: 1, mscaleAllDim: 0.707 },
    amplitude: 1.0857263993,
    softmax: 1.589626165,
  },
  {
    name: "0.707 over 1",
    magnitudes: { mscale: 0.707, mscaleAllDim: 1 },
    amplitude: 0.9210423553,
    softmax: 1.873854207,
  },
  {
    name: "amplitude given, softmax by rule",
    magnitudes: { attentionFactor: 1.25, mscaleAllDim: 1 },
    amplitude: 1.25,
    softmax: 1.873854207,
  },
  { name: "factor 32 (Kimi K2)", magnitudes: { factor: 32, mscaleAllDim: 1 }, amplitude: 1, softmax: 1.813260434 },
  { name: "factor 64 (Kimi K2 0905)", magnitudes: { factor: 64, mscaleAllDim: 1 }, amplitude: 1, softmax: 2.004739702 },
  { name: "factor 1", magnitudes: { factor: 1, mscaleAllDim: 1 }, amplitude: 1, softmax: 1 },
])("magnitudes: $name", ({ magnitudes, amplitude, softmax }) => {
  const rope = getRope({
    headDim: 64,
    parameters: { ropeType: "deepseek_yarn", factor: 40, originalMaxPosition: 4096, ...magnitudes },
  });
  expect(rope.attentionFactor).toBeCloseTo(amplitude, 9);
  expect(rope.softmaxScaleFactor).toBeCloseTo(softmax, 8);
  // At position 0 cos is the amplitude, for any softmax scale.
  expect(rope.cosSin([0]).cos[0]).toBe(Math.fround(rope.attentionFactor));
});

// Computed in float64 by another implementation of the formula; printed with seven significant digits.
test.each([
  {
    name: "DeepSeek-V3",
    base: 10_000,
    parameters: { factor: 40 },
    low: 10,
    high: 23,
    values: { 8: 0.1, 15: 8.334509e-3, 16: 5.5e-3, 31: 3.333804e-6 },
  },
  {
    name: "Kimi K2",
    base: 50_000,
    parameters: { factor: 32, betaFast: 1, betaSlow: 1 },
    low: 19,
    high: 20,
    values: { 8: 6.687403e-2, 15: 6.271303e-3, 16: 4.472136e-3, 31: 8.764413e-7 },
  },
])("check values: $name", ({ base, parameters, low, high, values }) => {
  const rope = getRope({
    headDim: 64,
    base,
    precision: "float64",
    parameters: { ropeType: "deepseek_yarn", originalMaxPosition: 4096, ...parameters },
  });
  const { invFreq } = rope.frequencies();
  for (const [pair, printed] of Object.entries(values)) {
    expect(Number(invFreq[Number(pair)]!.toPrecision(7))).toBe(printed);
  }
  const { rules } = rope.explain();
  expect(rules.filter(({ name }) => name.startsWith("correction")).map(({ value }) => value)).toEqual([low, high]);
});

test("deepseek_llama_scaling has the same cos and sin and does not scale the softmax", () => {
  const request = (ropeType: "deepseek_yarn" | "deepseek_llama_scaling") =>
    getRope({
      headDim: 64,
      parameters: { ropeType, factor: 40, originalMaxPosition: 4096, mscale: 1, mscaleAllDim: 0.707 },
    });
  const [folding, plain] = [request("deepseek_yarn"), request("deepseek_llama_scaling")];
  expect(plain.cosSin([0, 4097])).toEqual(folding.cosSin([0, 4097]));
  expect(plain.attentionFactor).toBeCloseTo(1.0857263993, 9);
  expect([folding.softmaxScaleFactor > 1.5, plain.softmaxScaleFactor]).toEqual([true, 1]);
});

test("refuses betaFast below betaSlow", () => {
  try {
    getRope({
      headDim: 64,
      parameters: { ropeType: "deepseek_yarn", factor: 40, originalMaxPosition: 4096, betaFast: 1, betaSlow: 32 },
    });
    expect.unreachable();
  } catch (error) {
    expect(RopeError.is(error) && [error.code, error.issues.map(({ path }) => path)]).toEqual([
      "ROPE_INVALID_PARAMETERS",
      ["parameters.betaFast"],
    ]);
  }
});

test("importing the package registers one type and its alias, and not yarn, whose formula it uses", async () => {
  expect(listRopeTypes().map(({ name, provider }) => [name, provider.source])).toEqual(
    ["deepseek_llama_scaling", "deepseek_yarn"].map((name) => [name, "@ropewalk/deepseek-yarn@0.0.0"]),
  );
  const formula = await import("@ropewalk/deepseek-yarn/formula");
  expect(listRopeTypes()).toHaveLength(2);
  expect(formula.deepseekYarnFrequencies).toBeTypeOf("function");
});

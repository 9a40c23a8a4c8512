import { conformance } from "@ropewalk/conformance";
import { compareFrequencies, compareRotations, compareTables, compareTruth } from "@ropewalk/conformance/golden";
import { RopeError, createRegistry, getRope, getRopeUntyped, listRopeTypes } from "@ropewalk/core";
import type { Pairing, UntypedRopeRequest } from "@ropewalk/core";
import { fixtures } from "@ropewalk/goldens";
import type { EngineFixture } from "@ropewalk/goldens";
import { YarnProvider } from "@ropewalk/yarn";
import type { YarnParameters } from "@ropewalk/yarn";
import fc from "fast-check";
import { expect, test } from "vitest";

conformance(test, {
  ropeType: "yarn",
  cases: [
    {
      name: "factor 4, range rounded",
      request: { headDim: 64, base: 1_000_000, parameters: { factor: 4, originalMaxPosition: 32768 } },
    },
    {
      name: "factor 32, range not rounded",
      request: {
        headDim: 64,
        base: 150_000,
        maxPosition: 131072,
        parameters: { factor: 32, originalMaxPosition: 4096, truncate: false },
      },
    },
    {
      name: "a ratio of magnitudes, the first 16 of 48",
      request: {
        headDim: 48,
        rotaryDim: 16,
        parameters: { factor: 16, originalMaxPosition: 4096, mscale: 0.707, mscaleAllDim: 1 },
      },
    },
    {
      name: "amplitude given, adjacent",
      request: {
        headDim: 8,
        pairing: "adjacent",
        parameters: { factor: 2, originalMaxPosition: 512, attentionFactor: 1.25 },
      },
    },
  ],
});

type Yarn = YarnParameters & { readonly base: number };

// Requests as the models' config.json files have them.
const qwen: Yarn = { base: 1_000_000, factor: 4, originalMaxPosition: 32768 };
const gptOss: Yarn = { base: 150_000, factor: 32, originalMaxPosition: 4096, truncate: false };
const models: Readonly<Record<string, Yarn>> = {
  "Qwen/Qwen2.5-7B-Instruct-yarn": qwen,
  "Qwen/Qwen3.5-yarn": { base: 10_000_000, factor: 4, originalMaxPosition: 262144 },
  "allenai/Olmo-3-7B-Instruct full_attention": {
    base: 500_000,
    factor: 8,
    originalMaxPosition: 8192,
    attentionFactor: 1.2079441541679836,
  },
  // Its attn_factor is a key that vLLM reads and transformers does not.
  "deepseek-ai/DeepSeek-R1-0528-Qwen3-8B": qwen,
  // The class always sets the amplitude to 1.
  "deepseek-ai/DeepSeek-V4-Flash compress": {
    base: 160_000,
    factor: 16,
    originalMaxPosition: 65536,
    attentionFactor: 1,
  },
  "mistralai/Ministral-3-8B": { base: 1_000_000, factor: 16, originalMaxPosition: 16384, mscale: 1, mscaleAllDim: 1 },
  "openai/gpt-oss-120b": gptOss,
  "openai/gpt-oss-20b": gptOss,
};

const engineRopes = fixtures("hf").flatMap(({ model, ropes }) =>
  // Ropes with a softmax factor are deepseek_yarn; that package compares them.
  ropes
    .filter(({ ropeType, softmaxScaleFactor }) => ropeType === "yarn" && softmaxScaleFactor === 1)
    .map((record) => ({ model: record.layerType === null ? model : `${model} ${record.layerType}`, record })),
);

test("every rope of type yarn in transformers' fixtures is compared", () => {
  expect(engineRopes.map(({ model }) => model).sort()).toEqual(Object.keys(models).sort());
});

test.each(engineRopes)("transformers: $model", ({ model, record }) => {
  const { base, ...parameters } = models[model]!;
  const { headDim, rotaryDim, rotaryOffset = 0, pairing } = record;
  const rope = getRope({
    headDim,
    rotaryDim,
    rotaryOffset,
    base,
    pairing,
    parameters: { ropeType: "yarn", ...parameters },
  });
  compareFrequencies(rope, record);
  compareTables(rope, record);
  compareRotations(rope, record);
});

test.each(fixtures("truth").filter(({ request }) => request.parameters.ropeType === "yarn"))(
  "exact arithmetic: $name",
  (truth) => {
    compareTruth(getRopeUntyped({ ...truth.request, precision: "float64" }), truth);
  },
);

test("the list in transformers' own test: factor 10, 2048 positions, correction range 16 to 41", () => {
  const printed = fixtures("seeds").find(({ name }) => name === "hf-test-yarn")!;
  const { invFreq, request } = printed as unknown as { invFreq: number[]; request: UntypedRopeRequest };
  for (const precision of ["float32", "float64"] as const) {
    const rope = getRopeUntyped({ ...request, precision });
    expect(Array.from(rope.frequencies().invFreq, (value) => Number(value.toPrecision(5)))).toEqual(invFreq);
    expect(ruleOf(rope, "correctionLow")).toBe(16);
    expect(ruleOf(rope, "correctionHigh")).toBe(41);
    // Pairs before 16 are kept, those from 41 on are slowed down; the list itself shows it: 0.0001 is pair 48's 0.001 /
    // 10.
    expect(rope.explain().pairs.map(({ regime }) => regime)).toEqual([
      ...Array(17).fill("kept"),
      ...Array(24).fill("blended"),
      ...Array(23).fill("interpolated"),
    ]);
    expect(rope.attentionFactor).toBeCloseTo(0.1 * Math.log(10) + 1, 12);
  }
});

// Computed in float64 by another implementation of the formula; printed with seven significant digits.
test.each([
  {
    name: "gpt-oss, not rounded",
    yarn: gptOss,
    dim: 64,
    low: 8.0928,
    high: 17.398,
    amplitude: 1.34657359,
    values: { 8: 5.081327e-2, 15: 1.052602e-3, 16: 4.564839e-4, 31: 3.023511e-7 },
  },
  {
    name: "gpt-oss, rounded as ggml does",
    yarn: { ...gptOss, truncate: true },
    dim: 64,
    low: 8,
    high: 18,
    amplitude: 1.34657359,
    values: { 8: 5.081327e-2, 15: 1.206131e-3, 16: 5.809475e-4, 31: 3.023511e-7 },
  },
  {
    name: "Qwen2.5 × 4",
    yarn: qwen,
    dim: 128,
    low: 23,
    high: 40,
    amplitude: 1.138629436,
    values: { 16: 3.162278e-2, 31: 8.029597e-4, 32: 6.029412e-4, 63: 3.102344e-7 },
  },
  {
    name: "Ministral 3",
    yarn: { base: 1e6, factor: 16, originalMaxPosition: 16384 },
    dim: 128,
    low: 20,
    high: 37,
    amplitude: 1.277258872,
    values: { 16: 3.162278e-2, 31: 4.88163e-4, 32: 3.382353e-4, 63: 7.755861e-8 },
  },
  {
    name: "Mistral 4",
    yarn: { base: 1e4, factor: 128, originalMaxPosition: 8192 },
    dim: 64,
    low: 12,
    high: 25,
    amplitude: 1.485203026,
    values: { 8: 0.1, 15: 1.02819e-2, 16: 6.947115e-3, 31: 1.041814e-6 },
  },
  {
    name: "Kimi K2, both betas 1",
    yarn: { base: 5e4, factor: 32, originalMaxPosition: 4096, betaFast: 1, betaSlow: 1 },
    dim: 64,
    low: 19,
    high: 20,
    amplitude: 1.34657359,
    values: { 8: 6.687403e-2, 15: 6.271303e-3, 16: 4.472136e-3, 31: 8.764413e-7 },
  },
  {
    name: "DeepSeek-V4",
    yarn: { base: 1.6e5, factor: 16, originalMaxPosition: 65536 },
    dim: 64,
    low: 15,
    high: 25,
    amplitude: 1.277258872,
    values: { 8: 5e-2, 15: 3.635539e-3, 16: 2.265625e-3, 31: 5.680529e-7 },
  },
  {
    name: "Qwen3.5 × 4",
    yarn: { base: 1e7, factor: 4, originalMaxPosition: 262144 },
    dim: 64,
    low: 14,
    high: 22,
    amplitude: 1.138629436,
    values: { 8: 1.778279e-2, 15: 4.742398e-4, 16: 2.569351e-4, 31: 4.137043e-8 },
  },
  {
    name: "Qwen3-VL × 4",
    yarn: { base: 5e6, factor: 4, originalMaxPosition: 262144 },
    dim: 128,
    low: 29,
    high: 45,
    amplitude: 1.138629436,
    values: { 16: 2.114743e-2, 31: 5.157443e-4, 32: 3.843242e-4, 63: 6.362699e-8 },
  },
  {
    name: "Qwen3-VL × 4 as vLLM has it, range of 4 · L₀",
    yarn: { base: 5e6, factor: 4, originalMaxPosition: 1048576 },
    dim: 128,
    low: 35,
    high: 50,
    amplitude: 1.138629436,
    values: { 16: 2.114743e-2, 31: 5.690971e-4, 32: 4.472136e-4, 63: 6.362699e-8 },
  },
] satisfies {
  name: string;
  yarn: Yarn;
  dim: number;
  low: number;
  high: number;
  amplitude: number;
  values: Record<number, number>;
}[])("check values: $name", ({ yarn: { base, ...parameters }, dim, low, high, amplitude, values }) => {
  const rope = getRope({ headDim: dim, base, precision: "float64", parameters: { ropeType: "yarn", ...parameters } });
  const { invFreq } = rope.frequencies();
  for (const [pair, printed] of Object.entries(values)) {
    expect(Number(invFreq[Number(pair)]!.toPrecision(7))).toBe(printed);
  }
  expect(ruleOf(rope, "correctionLow")).toBeCloseTo(low, 4);
  expect(ruleOf(rope, "correctionHigh")).toBeCloseTo(high, 4);
  expect(rope.attentionFactor).toBeCloseTo(amplitude, 9);
});

/** Seed of the properties below; a failure prints it with the counterexample. */
const properties = { seed: 20260101, numRuns: 200 };

const anyYarn = fc.record({
  factor: fc.double({ min: 1, max: 128, noNaN: true }),
  originalMaxPosition: fc.integer({ min: 64, max: 1 << 20 }),
  base: fc.double({ min: 10, max: 1e8, noNaN: true }),
  pairs: fc.integer({ min: 1, max: 64 }),
  betas: fc.tuple(fc.double({ min: 0.1, max: 64, noNaN: true }), fc.double({ min: 0.1, max: 64, noNaN: true })),
  truncate: fc.boolean(),
});

test("frequencies lie between f / factor and f, and never rise from pair to pair", () => {
  fc.assert(
    fc.property(anyYarn, ({ factor, originalMaxPosition, base, pairs, betas, truncate }) => {
      const parameters = {
        ropeType: "yarn",
        factor,
        originalMaxPosition,
        betaFast: Math.max(...betas),
        betaSlow: Math.min(...betas),
        truncate,
      } as const;
      const { invFreq } = getRope({ headDim: 2 * pairs, base, precision: "float64", parameters }).frequencies();
      invFreq.forEach((frequency, i) => {
        // The unscaled frequency, here in float64: a power, good to some 1e-14 of itself.
        const plain = base ** (-i / pairs);
        expect(frequency).toBeLessThanOrEqual(plain * (1 + 1e-13));
        expect(frequency).toBeGreaterThanOrEqual((plain / factor) * (1 - 1e-13));
        if (i > 0) expect(frequency).toBeLessThanOrEqual(invFreq[i - 1]! * (1 + 1e-13));
      });
    }),
    properties,
  );
});

test("factor 1 is the original rope", () => {
  fc.assert(
    fc.property(anyYarn, ({ originalMaxPosition, base, pairs, betas, truncate }) => {
      const parameters = {
        ropeType: "yarn",
        factor: 1,
        originalMaxPosition,
        betaFast: Math.max(...betas),
        betaSlow: Math.min(...betas),
        truncate,
      } as const;
      const rope = getRope({ headDim: 2 * pairs, base, precision: "float64", parameters });
      rope
        .frequencies()
        .invFreq.forEach((frequency, i) => expect(Math.abs(frequency / base ** (-i / pairs) - 1)).toBeLessThan(1e-13));
      expect(rope.attentionFactor).toBe(1);
    }),
    properties,
  );
});

test("the amplitude is attentionFactor, else a ratio of magnitudes, else 0.1 ln s + 1; 1 up to factor 1", () => {
  const amplitude = (parameters: Partial<YarnParameters>) =>
    getRope({ headDim: 64, parameters: { ropeType: "yarn", factor: 40, originalMaxPosition: 4096, ...parameters } })
      .attentionFactor;
  // ln 40 = 3.68887945: magnitudes 1.36888795 for 1 and 1.26080378 for 0.707.
  expect(amplitude({})).toBeCloseTo(1.3688879454, 10);
  expect(amplitude({ attentionFactor: 0.8782488562869419 })).toBe(0.8782488562869419);
  expect(amplitude({ attentionFactor: 1, mscale: 0.707, mscaleAllDim: 1 })).toBe(1);
  expect(amplitude({ mscale: 1, mscaleAllDim: 1 })).toBe(1);
  expect(amplitude({ mscale: 0.707, mscaleAllDim: 1 })).toBeCloseTo(1.26080378 / 1.36888795, 7);
  expect(amplitude({ mscale: 1, mscaleAllDim: 0.707 })).toBeCloseTo(1.36888795 / 1.26080378, 7);
  expect(amplitude({ factor: 0.5 })).toBe(1);
});

test("telechat3-yarn is yarn with 0.07 in the amplitude", () => {
  const parameters = { factor: 4, originalMaxPosition: 32768 } as const;
  const telechat = getRope({ headDim: 128, base: 1e6, parameters: { ropeType: "telechat3-yarn", ...parameters } });
  // 0.07 ln 4 + 1, ln 4 = 1.3862943611
  expect(telechat.attentionFactor).toBeCloseTo(1.0970406053, 10);
  expect(telechat).toBe(
    getRope({ headDim: 128, base: 1e6, parameters: { ropeType: "yarn", magnitudeSlope: 0.07, ...parameters } }),
  );
  expect(telechat.frequencies().invFreq).toEqual(
    getRope({ headDim: 128, base: 1e6, parameters: { ropeType: "yarn", ...parameters } }).frequencies().invFreq,
  );
  expect(ruleOf(telechat, "attentionFactor")).toBe(telechat.attentionFactor);
});

test.each([
  ["sglang", "yarn-extrapolation-half"],
  ["ggml", "yarn-extrapolation-half"],
] as const)("an extrapolation factor of one half: %s", (engine, name) => {
  const record = fixtures(engine).find((fixture) => fixture.name === name) as EngineFixture;
  const { dialect: _, ...request } = record.request;
  const rope = getRopeUntyped({ ...request, maxPosition: null } as unknown as UntypedRopeRequest);
  const positions = record.positions as readonly number[];
  const { cos, sin } = rope.cosSin(positions);
  const { invFreq } = rope.frequencies();
  positions.forEach((position, row) =>
    record.pairs.forEach((pair, column) => {
      // The engine's float32 angle may be off by a few roundings of its steps, ggml's by one for each pair multiplied
      // up.
      const tolerance = rope.attentionFactor * (4 + pair) * 2 ** -24 * (1 + position * invFreq[pair]!);
      expect(Math.abs(cos[row * 64 + pair]! - record.cos[row]![column]!)).toBeLessThan(tolerance);
      expect(Math.abs(sin[row * 64 + pair]! - record.sin[row]![column]!)).toBeLessThan(tolerance);
    }),
  );
});

test("extrapolation 0 slows every pair down by the whole factor", () => {
  const rope = getRope({
    headDim: 64,
    precision: "float64",
    parameters: { ropeType: "yarn", factor: 8, originalMaxPosition: 4096, extrapolationFactor: 0 },
  });
  // Two roundings of a float64 and its power: 1e-14 is ten times that.
  rope
    .frequencies()
    .invFreq.forEach((frequency, i) => expect(Math.abs((8 * frequency) / 10000 ** (-i / 32) - 1)).toBeLessThan(1e-14));
  expect(new Set(rope.explain().pairs.map(({ regime }) => regime))).toEqual(new Set(["interpolated"]));
});

test("positions up to YaRN's extended length are admitted although maxPosition is the trained length", () => {
  const request = {
    headDim: 64,
    maxPosition: 32768,
    parameters: { ropeType: "yarn", factor: 4, originalMaxPosition: 32768 },
  } as const;
  expect(getRope(request).positionLimit).toBe(131072);
  expect(getRope({ ...request, maxPosition: 200_000 }).positionLimit).toBe(200_000);
});

test.each([
  { name: "betaFast below betaSlow", parameters: { betaFast: 1, betaSlow: 32 }, path: "parameters.betaFast" },
  { name: "mscale alone", parameters: { mscale: 1 }, path: "parameters.mscale" },
  { name: "mscaleAllDim alone", parameters: { mscaleAllDim: 1 }, path: "parameters.mscaleAllDim" },
  { name: "a factor of 0", parameters: { factor: 0 }, path: "parameters.factor" },
  { name: "a snake_case key", parameters: { beta_fast: 32 }, path: "parameters.beta_fast" },
  { name: "base 1, at which no pair turns slower than another", parameters: {}, base: 1, path: "base" },
])("refuses $name", ({ parameters, path, base = 10000 }) => {
  const request = {
    headDim: 64,
    base,
    parameters: { ropeType: "yarn", factor: 4, originalMaxPosition: 4096, ...parameters },
  };
  const error = thrown(() => getRopeUntyped(request));
  expect(error.code).toBe("ROPE_INVALID_PARAMETERS");
  expect(error.issues.map((issue) => issue.path)).toContain(path);
});

test("equal betas give a step of one pair, rounded or not", () => {
  const ropes = [true, false].map((truncate) =>
    getRope({
      headDim: 64,
      base: 50_000,
      parameters: { ropeType: "yarn", factor: 32, originalMaxPosition: 4096, betaFast: 1, betaSlow: 1, truncate },
    }),
  );
  // The bound is 19.16: pairs up to 19 turn more than once in 4096 positions, later pairs less.
  for (const rope of ropes) {
    expect(rope.explain().pairs.map(({ regime }) => regime)).toEqual([
      ...Array(20).fill("kept"),
      ...Array(12).fill("interpolated"),
    ]);
  }
});

test("importing the package registers one type and its alias, importing the formula none; the class can be registered elsewhere", async () => {
  expect(listRopeTypes().map(({ name, provider }) => [name, provider.source])).toEqual(
    ["telechat3-yarn", "yarn"].map((name) => [name, "@ropewalk/yarn@0.0.0"]),
  );
  const formula = await import("@ropewalk/yarn/formula");
  expect(listRopeTypes()).toHaveLength(2);
  expect(formula.yarnFrequencies).toBeTypeOf("function");
  const registry = createRegistry();
  registry.register("slower", new YarnProvider());
  const pairing: Pairing = "adjacent";
  expect(
    getRopeUntyped(
      {
        headDim: 64,
        pairing,
        parameters: { ropeType: "slower", factor: 4, originalMaxPosition: 4096 },
      } as UntypedRopeRequest,
      { registry },
    ).ropeType,
  ).toBe("slower");
});

function ruleOf(rope: ReturnType<typeof getRopeUntyped>, name: string): unknown {
  return rope.explain().rules.find((rule) => rule.name === name)?.value;
}

function thrown(run: () => unknown): RopeError {
  try {
    run();
  } catch (error) {
    if (RopeError.is(error)) return error;
    throw error;
  }
  throw new Error("expected a RopeError, got none");
}

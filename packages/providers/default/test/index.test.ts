import { conformance } from "@ropewalk/conformance";
import { compareFrequencies, compareRotations, compareTables, compareTruth } from "@ropewalk/conformance/golden";
import { getRope, listRopeTypes } from "@ropewalk/core";
import "@ropewalk/default";
import { rotate } from "@ropewalk/core/math";
import { bytes, fixtures } from "@ropewalk/goldens";
import { expect, test } from "vitest";

conformance(test, {
  ropeType: "default",
  cases: [
    { name: "64, base 10000", request: { headDim: 64 } },
    {
      name: "the first 24 of 96, base 500000, 8192 positions",
      request: { headDim: 96, partialRotaryFactor: 0.25, base: 500_000, maxPosition: 8192 },
    },
    { name: "two elements, adjacent", request: { headDim: 2, pairing: "adjacent" } },
  ],
});

// The base as each model's config.json has it (`rope_theta` and its older names, or the class's default).
const bases: Readonly<Record<number, readonly string[]>> = {
  10_000: [
    "EleutherAI/gpt-j-6b",
    "EleutherAI/gpt-neox-20b",
    "EleutherAI/pythia-6.9b-deduped",
    "THUDM/GLM-4-9B-0414",
    "THUDM/GLM-4.1V-9B-class-defaults",
    "XiaomiMiMo/MiMo-V2-Flash sliding_attention",
    "answerdotai/ModernBERT-base sliding_attention",
    "deepseek-ai/DeepSeek-V4-Flash main",
    "google/gemma-3-12b-it sliding_attention",
    "google/gemma-3-1b-it sliding_attention",
    "google/gemma-3-270m sliding_attention",
    "google/gemma-3-27b sliding_attention",
    "google/gemma-3-4b-it sliding_attention",
    "google/gemma-4-31B sliding_attention",
    "google/gemma-4-E2B sliding_attention",
    "microsoft/Phi-3-medium-4k-instruct",
    "microsoft/Phi-3-mini-4k-instruct",
    "microsoft/phi-2",
    "mistralai/Mistral-7B-v0.1",
    "stabilityai/stablelm-2-1_6b",
    "stepfun-ai/Step-3.7 sliding_attention",
  ],
  160_000: ["answerdotai/ModernBERT-base full_attention"],
  500_000: ["allenai/Olmo-3-7B-Instruct sliding_attention", "baidu/ERNIE-4.5-VL-28B-A3B", "meta-llama/Meta-Llama-3-8B"],
  1_000_000: [
    "Qwen/Qwen2-VL-7B-Instruct",
    "Qwen/Qwen2.5-7B-Instruct",
    "Qwen/Qwen2.5-VL-3B-Instruct",
    "Qwen/Qwen2.5-VL-7B-Instruct",
    "Qwen/Qwen3-30B-A3B",
    "Qwen/Qwen3-8B",
    "Qwen/Qwen3-Omni-talker",
    "google/gemma-3-1b-it full_attention",
    "google/gemma-3-270m full_attention",
    "mistralai/Mistral-7B-v0.3",
  ],
  5_000_000: [
    "HuggingFaceTB/SmolLM3-3B",
    "MiniMaxAI/MiniMax-M2",
    "Qwen/Qwen3-VL-30B-A3B-Instruct",
    "THUDM/glm-4-9b-chat-hf",
    "XiaomiMiMo/MiMo-V2-Flash full_attention",
  ],
  8_000_000: ["CohereForAI/c4ai-command-r-v01", "zai-org/GLM-5.2"],
  10_000_000: [
    "Qwen/Qwen2.5-14B-Instruct-1M",
    "Qwen/Qwen2.5-7B-Instruct-1M",
    "Qwen/Qwen3.5",
    "ibm-granite/granite-3.3-2b-base",
  ],
  75_000_000: ["CohereForAI/c4ai-command-r-plus"],
  1_000_000_000: ["mistralai/Mistral-Small-3.2-24B-Instruct-2506"],
};

const baseOf = new Map(
  Object.entries(bases).flatMap(([base, models]) => models.map((model) => [model, Number(base)] as const)),
);
const engineRopes = fixtures("hf").flatMap(({ model, ropes }) =>
  ropes
    .filter(({ ropeType }) => ropeType === "default")
    .map((record) => ({ model: record.layerType === null ? model : `${model} ${record.layerType}`, record })),
);

test("every rope of type default in transformers' fixtures is compared", () => {
  expect(engineRopes.map(({ model }) => model).sort()).toEqual([...baseOf.keys()].sort());
});

test.each(engineRopes)("transformers: $model", ({ model, record }) => {
  const { headDim, rotaryDim, rotaryOffset = 0, pairing } = record;
  const rope = getRope({
    headDim,
    rotaryDim,
    rotaryOffset,
    base: baseOf.get(model)!,
    pairing,
    parameters: { ropeType: "default" },
  });
  compareFrequencies(rope, record);
  compareTables(rope, record);
  compareRotations(rope, record);
});

test.each(fixtures("truth").filter(({ request }) => request.parameters.ropeType === "default"))(
  "exact arithmetic: $name",
  (truth) => {
    const { headDim, rotaryDim, base } = truth.request;
    compareTruth(
      getRope({ headDim, rotaryDim, base, precision: "float64", parameters: { ropeType: "default" } }),
      truth,
    );
  },
);

test("the frequencies printed in a walk-through of Hugging Face's LlamaRotaryEmbedding", () => {
  const printed = fixtures("seeds").find(({ name }) => name === "llama-rotary-embedding")!;
  const { invFreq, positions, angles, rotateHalf } = printed as unknown as {
    invFreq: number[];
    positions: number[];
    angles: number[][];
    rotateHalf: { input: number[]; output: number[] };
  };
  const rope = getRope({ headDim: 8, parameters: { ropeType: "default" } });
  // Printed with four decimals and three digits of mantissa.
  expect(Array.from(rope.frequencies().invFreq, (value) => Number(value.toFixed(4)))).toEqual(invFreq);
  const { cos, sin, shape } = rope.cosSin(positions, { width: "full" });
  expect(shape).toEqual([10, 8]);
  positions.forEach((_, row) => {
    for (let column = 0; column < 8; column++) {
      // The printed table repeats its columns: pair i belongs to elements i and i + 4. Its angles are the printed
      // digits, whose error of 5e-5 is the tolerance.
      expect(cos[row * 8 + column]).toBeCloseTo(Math.cos(angles[row]![column % 4]!), 4);
      expect(sin[row * 8 + column]).toBeCloseTo(Math.sin(angles[row]![column % 4]!), 4);
    }
  });
  // A quarter turn, cos 0 and sin 1, is the document's rotate_half.
  const turned = Float32Array.from(rotateHalf.input);
  rotate(turned, { headDim: 10, cos: new Float32Array(5), sin: new Float32Array(5).fill(1), pairing: "half" });
  expect(Array.from(turned)).toEqual(rotateHalf.output);
});

test("the answer asserted in ndrope's example, adjacent pairs", () => {
  const printed = fixtures("seeds").find(({ name }) => name === "ndrope-example")!;
  const { positions, input, output } = printed as unknown as { positions: number[]; input: number[]; output: number[] };
  const key = Float32Array.from(input);
  getRope({ headDim: 4, pairing: "adjacent", parameters: { ropeType: "default" } }).apply({ positions, key });
  // The example prints float32. Its sine and cosine may differ from ours in the last place, 4.8e-7 at 6.
  output.forEach((expected, i) => expect(Math.abs(key[i]! - expected)).toBeLessThanOrEqual(4.8e-7));
});

test.each(fixtures("onnx"))(
  "ONNX reference evaluator and node tests: $name",
  ({ name, layout, attributes, headDim, rotaryDim, heads, pairing, positions, cosCache, sinCache, input, output }) => {
    const floats = (base64: string) => new Float32Array(bytes(base64).buffer);
    const [batch, tokens] = layout.startsWith("[batch, heads")
      ? [input.shape[0]!, input.shape[2]!]
      : [input.shape[0]!, input.shape[1]!];
    const headFirst = layout.startsWith("[batch, heads");
    const view = (data: Float32Array) => ({
      data,
      shape: [batch, tokens, heads, headDim],
      strides: headFirst
        ? [heads * tokens * headDim, headDim, tokens * headDim, 1]
        : [tokens * heads * headDim, heads * headDim, headDim, 1],
    });
    const expected = floats(output.data);
    // Both sides compute in float32 with the same cos and sin: two products and a sum, three roundings each of at most
    // 2^-24 of values below 8 (inputs are standard normal): 6 · 8 · 2^-24.
    const near = (got: Float32Array) =>
      got.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThanOrEqual(2.9e-6));

    const given = floats(input.data);
    // Caches of three axes have a row for each token, and come without positions.
    expect(cosCache.shape.length).toBe(positions === null ? 3 : 2);
    rotate(view(given), {
      cos: { data: floats(cosCache.data), shape: cosCache.shape },
      sin: { data: floats(sinCache.data), shape: sinCache.shape },
      pairing,
      rotaryDim,
      ...(positions === null ? {} : { positions }),
    });
    near(given);

    // The caches hold cos and sin of row × 10000^(−2i/R), computed in float64, so that the exact rope must give the
    // same.
    expect(attributes["interleaved"]).toBe(pairing === "adjacent" ? 1 : 0);
    // The node tests have random caches.
    if (positions === null || name.startsWith("test_")) return;
    const whole = floats(input.data);
    getRope({ headDim, rotaryDim, pairing, precision: "float64", parameters: { ropeType: "default" } }).apply({
      positions,
      query: view(whole),
    });
    near(whole);
  },
);

test("importing the package registers one type, importing the formula none", async () => {
  expect(listRopeTypes().map(({ name, provider }) => [name, provider.source])).toEqual([
    ["default", "@ropewalk/default@0.0.0"],
  ]);
  const before = listRopeTypes().length;
  const formula = await import("@ropewalk/default/formula");
  expect(listRopeTypes()).toHaveLength(before);
  expect(formula.defaultFrequencies).toBeTypeOf("function");
});

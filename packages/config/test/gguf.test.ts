/** GGUF headers, compared with llama.cpp's graph of the same file and with the same model in transformers. */

import { ropeRequestsFromGguf, ropesFromConfig, ropesFromGguf } from "@ropewalk/config";
import type { GgufOptions } from "@ropewalk/config";
import type { RotaryEmbedding } from "@ropewalk/core";
import { fixtures, models } from "@ropewalk/goldens";
import type { LlamaCppFixture } from "@ropewalk/goldens";
import { describe, expect, test } from "vitest";
import { failure } from "./helpers.ts";
import type { Json } from "./helpers.ts";

const published = (id: string): Json => models().find((model) => model.id === id)!.config;

/** The header that the converter wrote, completed with keys that do not concern the rope. The fixture omits those. */
function header({ gguf, config: file }: LlamaCppFixture): Json {
  const { architecture, ...keys } = gguf as Json & { readonly architecture: string };
  const config = models().find((model) => model.file === file)!.config;
  const pattern = keys[`${architecture}.attention.sliding_window_pattern`];
  return {
    "general.architecture": architecture,
    [`${architecture}.embedding_length`]: config["hidden_size"],
    [`${architecture}.attention.head_count`]: config["num_attention_heads"],
    // The narrow model that ran has as many layers as its pattern.
    [`${architecture}.block_count`]: Array.isArray(pattern) ? pattern.length : (config["num_hidden_layers"] ?? 32),
    ...keys,
  };
}

const ropeOfLayer = (fixture: LlamaCppFixture, layer: number, options: GgufOptions = {}): RotaryEmbedding =>
  ropesFromGguf(header(fixture), { tensors: fixture.ggufTensors, capacity: fixture.n_ctx, ...options }).forLayer(
    layer,
  )!;

const layersOf = (tensors: readonly string[]): number[] =>
  tensors.flatMap((tensor) => /-(\d+)$/.exec(tensor)?.slice(1).map(Number) ?? []);

describe("the graph of the same file", () => {
  const every = fixtures("llama.cpp").flatMap((fixture) =>
    fixture.ropes.flatMap((record) =>
      record.shift === true ? [] : [{ name: `${fixture.name} ${record.tensors.at(-1)}`, fixture, record }],
    ),
  );

  test.each(every)("$name", ({ fixture, record }) => {
    const layers = layersOf(record.tensors);
    for (const layer of layers.length === 0 ? [0] : layers) {
      const rope = ropeOfLayer(fixture, layer);
      expect(rope).toMatchObject({
        rotaryDim: record.rotaryDim,
        pairing: record.pairing,
        base: record.operator.freq_base,
      });
      const positions = (record.positions as readonly number[]).filter((position) => position < rope.positionLimit);
      const table = rope.cosSin(positions);
      const { invFreq, attentionFactor } = rope.frequencies();
      const width = rope.rotaryDim / 2;
      positions.forEach((position, token) =>
        record.pairs.forEach((pair, column) => {
          // The angle is multiplied up from pair to pair, two float32 roundings each; a scale of 1/40 is rounded as
          // well.
          const tolerance = attentionFactor * 2 ** -24 * (8 + (12 + 2 * pair) * position * invFreq[pair]!);
          expect(
            Math.abs(table.cos[token * width + pair]! - record.cos[token]![column]!),
            `cos of pair ${pair} at ${position}`,
          ).toBeLessThan(tolerance);
          expect(
            Math.abs(table.sin[token * width + pair]! - record.sin[token]![column]!),
            `sin of pair ${pair} at ${position}`,
          ).toBeLessThan(tolerance);
        }),
      );
    }
  });

  test("layers without rope", () => {
    const smollm = fixtures("llama.cpp").find(({ model }) => model.includes("SmolLM3"))!;
    const { forLayer, byLayerType } = ropesFromGguf(header(smollm));
    expect([0, 1, 2, 3, 4, 7].map((layer) => forLayer(layer) === null)).toEqual([
      false,
      false,
      false,
      true,
      false,
      true,
    ]);
    expect([...byLayerType.keys()]).toEqual([null, "no_rope"]);
  });
});

describe("the same model in transformers", () => {
  /** Models for which llama.cpp has other numbers, with the pairs that differ. */
  const different: Readonly<Record<string, { readonly why: string; readonly pairs: (pair: number) => boolean }>> = {
    "openai/gpt-oss-20b": { why: "truncate: false does not reach the file", pairs: (pair) => pair >= 9 && pair <= 17 },
    "moonshotai/Kimi-K2-Instruct": {
      why: "beta_fast 1 is in the file, but its loader does not read it",
      pairs: (pair) => pair >= 9 && pair <= 19,
    },
  };
  const byModel = new Map(fixtures("hf").map((fixture) => [fixture.model, fixture]));
  const both = fixtures("llama.cpp").flatMap((fixture) => {
    const twin = byModel.get(fixture.model);
    return twin === undefined ? [] : [{ name: fixture.name, fixture, twin }];
  });

  test("is there for a dozen models and more", () => {
    expect(new Set(both.map(({ fixture }) => String(fixture.gguf["architecture"]))).size).toBeGreaterThanOrEqual(12);
    for (const id of Object.keys(different)) expect(both.map(({ name }) => name)).toContain(id);
  });

  test.each(both)("$name", ({ name, fixture, twin }) => {
    const ropes = ropesFromGguf(header(fixture), { tensors: fixture.ggufTensors, capacity: fixture.n_ctx });
    let compared = 0;
    for (const record of twin.ropes) {
      // There is a list for short texts and a list for long texts. The fixture's size of the context chose one.
      const isLong = fixture.ropes.some(({ operator }) => operator.freq_factors === "rope_factors_long.weight");
      if (fixture.ggufTensors["rope_factors_long.weight"] !== undefined && record.length! > 4096 !== isLong) continue;
      compared++;
      const rope = ropes.byLayerType.get(record.layerType) ?? ropes.byLayerType.get(null)!;
      const { invFreq, attentionFactor, softmaxScaleFactor } = rope.frequencies();
      expect(rope.rotaryDim).toBe(record.rotaryDim);
      // float32 numbers in the file, of magnitudes and their logarithms.
      expect(attentionFactor).toBeCloseTo(record.attentionFactor, 6);
      expect(softmaxScaleFactor).toBeCloseTo(record.softmaxScaleFactor, 6);
      const off = record.invFreq.flatMap((expected, pair) =>
        Math.abs(invFreq[pair]! / expected - 1) > 1e-6 ? [pair] : [],
      );
      // 1e-6: a factor that is a float32 quotient, and transformers' own few roundings.
      const expected =
        different[name] === undefined
          ? []
          : record.invFreq.flatMap((_, pair) => (different[name]!.pairs(pair) ? [pair] : []));
      expect(off, name).toEqual(expected);
    }
    expect(compared).toBeGreaterThan(0);
  });
});

/** Headers of models that did not run: keys and values as the converter writes them. */
describe("headers alone", () => {
  const qwen2vl = {
    "general.architecture": "qwen2vl",
    "qwen2vl.block_count": 28,
    "qwen2vl.context_length": 32768,
    "qwen2vl.embedding_length": 3584,
    "qwen2vl.attention.head_count": 28,
    "qwen2vl.rope.freq_base": 1e6,
  };

  test("Qwen2-VL: the instance that its config gives", () => {
    const ropes = ropesFromGguf({ ...qwen2vl, "qwen2vl.rope.dimension_sections": [16, 24, 24, 0] });
    expect(ropes.forLayer(27)).toBe(ropesFromConfig(published("Qwen/Qwen2-VL-7B-Instruct")).forLayer(27));
    expect(
      failure(() => ropesFromGguf({ ...qwen2vl, "qwen2vl.rope.dimension_sections": [16, 24, 25, 0] })).issues,
    ).toMatchObject([{ path: "qwen2vl.rope.dimension_sections", received: "16 + 24 + 25 + 0" }]);
  });

  test("Qwen3-VL: two pairs follow the fourth axis", () => {
    const rope = ropesFromGguf({
      "general.architecture": "qwen3vl",
      "qwen3vl.context_length": 262144,
      "qwen3vl.attention.key_length": 128,
      "qwen3vl.rope.freq_base": 5e6,
      "qwen3vl.rope.dimension_sections": [24, 20, 20, 0],
    }).byLayerType.get(null)!;
    expect(Array.from(rope.frequencies().axes).flatMap((axis, pair) => (axis === 3 ? [pair] : []))).toEqual([61, 62]);
  });

  test("Gemma 4: full layers have factors; a factor of 1e30 stops a pair", () => {
    const twin = fixtures("hf").find(({ model }) => model === "google/gemma-4-31B")!;
    const { ropes } = twin;
    const full = ropes.find(({ layerType }) => layerType === "full_attention")!;
    const factors = full.invFreq.map((frequency) => (frequency === 0 ? 1e30 : 1));
    const pattern = Array.from({ length: 60 }, (_, layer) => layer % 6 !== 5);
    const metadata = {
      ...{
        "general.architecture": "gemma4",
        "gemma4.block_count": 60,
        "gemma4.context_length": 262144,
        "gemma4.attention.key_length": 512,
        "gemma4.attention.key_length_swa": 256,
      },
      ...{
        "gemma4.rope.dimension_count": 512,
        "gemma4.rope.dimension_count_swa": 256,
        "gemma4.rope.freq_base": 1e6,
        "gemma4.rope.freq_base_swa": 1e4,
        "gemma4.attention.sliding_window_pattern": pattern,
      },
    };
    const { byLayerType, forLayer } = ropesFromGguf(metadata, {
      tensors: { "rope_freqs.weight": Float32Array.from(factors) },
    });
    for (const { layerType, invFreq, headDim } of ropes) {
      const rope = byLayerType.get(layerType)!;
      expect(rope).toMatchObject({ headDim, rotaryDim: headDim, pairing: "half" });
      rope
        .frequencies()
        .invFreq.forEach((frequency, pair) =>
          expect(Math.abs(frequency - invFreq[pair]!)).toBeLessThanOrEqual(1e-6 * invFreq[pair]! + 1e-29),
        );
    }
    expect([forLayer(4), forLayer(5)]).toEqual([
      byLayerType.get("sliding_attention"),
      byLayerType.get("full_attention"),
    ]);
  });

  test("Ministral 3: magnitudes that cancel", () => {
    const metadata = {
      ...{
        "general.architecture": "mistral3",
        "mistral3.context_length": 262144,
        "mistral3.attention.key_length": 128,
        "mistral3.rope.freq_base": 1e6,
        "mistral3.rope.scaling.type": "yarn",
        "mistral3.rope.scaling.factor": 16,
      },
      ...{
        "mistral3.rope.scaling.original_context_length": 16384,
        "mistral3.rope.scaling.yarn_beta_fast": 32,
        "mistral3.rope.scaling.yarn_beta_slow": 1,
        "mistral3.rope.scaling.yarn_log_multiplier": 1,
      },
    };
    const rope = ropesFromGguf(metadata).byLayerType.get(null)!;
    expect(rope).toMatchObject({ ropeType: "yarn", attentionFactor: 1, softmaxScaleFactor: 1, pairing: "adjacent" });
    const twin = ropesFromConfig(published("mistralai/Ministral-3-8B")).byLayerType.get(null)!;
    expect(rope.frequencies().invFreq).toEqual(twin.frequencies().invFreq);
  });

  test("Cohere 2: only layers of sliding attention have a rope", () => {
    const { byLayerType, forLayer } = ropesFromGguf({
      "general.architecture": "cohere2",
      "cohere2.block_count": 8,
      "cohere2.attention.key_length": 128,
      "cohere2.rope.freq_base": 50000,
      "cohere2.attention.sliding_window": 4096,
      "cohere2.rope.scaling.type": "none",
    });
    expect([...byLayerType]).toMatchObject([
      ["full_attention", null],
      ["sliding_attention", { base: 50000 }],
    ]);
    expect([0, 1, 2, 3, 7].map((layer) => forLayer(layer) === null)).toEqual([false, false, false, true, true]);
  });

  test("ModernBERT: the first of three layers is full", () => {
    const { forLayer } = ropesFromGguf({
      "general.architecture": "modern-bert",
      "modern-bert.block_count": 6,
      "modern-bert.attention.key_length": 64,
      "modern-bert.rope.freq_base": 160000,
      "modern-bert.rope.freq_base_swa": 10000,
      "modern-bert.attention.sliding_window": 128,
    });
    expect([0, 1, 2, 3].map((layer) => forLayer(layer)!.base)).toEqual([160000, 10000, 10000, 160000]);
  });

  test("Llama 4: every fourth layer has no rope, unless the window is 0", () => {
    const llama4 = {
      "general.architecture": "llama4",
      "llama4.block_count": 8,
      "llama4.attention.key_length": 128,
      "llama4.rope.freq_base": 500000,
    };
    expect([2, 3].map((layer) => ropesFromGguf(llama4).forLayer(layer) === null)).toEqual([false, true]);
    expect(ropesFromGguf({ ...llama4, "llama4.attention.sliding_window": 0 }).forLayer(3)).not.toBeNull();
  });
});

/** Rules that stand beside the rows of single architectures; `tooling/census` compares the rows themselves. */
describe("layers and lists", () => {
  const header = (architecture: string, more: Json): Json => ({
    "general.architecture": architecture,
    ...Object.fromEntries(
      Object.entries({ block_count: 4, "attention.key_length": 64, ...more }).map(([key, value]) => [
        `${architecture}.${key}`,
        value,
      ]),
    ),
  });
  const rotates = (metadata: Json): boolean[] => {
    const { forLayer } = ropesFromGguf(metadata);
    return [0, 1, 2, 3].map((layer) => forLayer(layer) !== null);
  };

  test("Granite 4: rope.scaling.finetuned false means no rope at all", () => {
    const granite = { "attention.head_count": 8, "attention.head_count_kv": [0, 2, 0, 2] };
    expect(rotates(header("granitehybrid", granite))).toEqual([false, true, false, true]);
    const bare = ropesFromGguf(header("granitehybrid", { ...granite, "rope.scaling.finetuned": false }));
    expect([...bare.byLayerType]).toEqual([["no_rope", null]]);
    expect(bare.rules.get("no_rope")).toEqual([
      {
        name: "ropeType",
        value: null,
        rule: "granitehybrid.rope.scaling.finetuned: false means no rope here, or a layer without heads",
      },
    ]);
    // The mixture of experts has the key and does not read it.
    expect(rotates(header("granitemoe", { "rope.scaling.finetuned": false }))).toEqual([true, true, true, true]);
  });

  test("Qwen3-Next: a list of the recurrent layers, or every layer but each fourth", () => {
    expect(rotates(header("qwen3next", {}))).toEqual([false, false, false, true]);
    expect(rotates(header("qwen3next", { full_attention_interval: 2 }))).toEqual([false, true, false, true]);
    const list = [true, false, false, true];
    expect(rotates(header("qwen3next", { "attention.recurrent_layers": list }))).toEqual([false, true, true, false]);
  });

  test("DeepSeek-V4: compressed layers have their own base and scaling; the indexer is named", () => {
    const ropes = ropesFromGguf(
      header("deepseek4", {
        "rope.dimension_count": 16,
        "rope.scaling.type": "yarn",
        "rope.scaling.factor": 4,
        "rope.scaling.original_context_length": 1024,
        context_length: 4096,
        "attention.compress_ratios": [0, 4, 128, 0],
        "attention.compress_rope_freq_base": 160000,
      }),
    );
    expect([0, 1, 2, 3].map((layer) => ropes.forLayer(layer)!.base)).toEqual([10000, 160000, 160000, 10000]);
    expect(ropes.byLayerType.get("main")).toMatchObject({ ropeType: "default", rotaryOffset: 48, rotaryDim: 16 });
    expect(ropes.byLayerType.get("compress")).toMatchObject({ ropeType: "yarn", attentionFactor: 1 });
    expect(ropes.notes.map(({ path }) => path)).toContain("deepseek4.attention.indexer.key_length");
  });

  test("layers that draft further tokens are not recurrent, and are a note", () => {
    const metadata = header("qwen3next", { block_count: 5, nextn_predict_layers: 1 });
    const { forLayer, notes } = ropesFromGguf(metadata, { tensors: {} });
    expect([3, 4].map((layer) => forLayer(layer) === null)).toEqual([false, false]);
    expect(notes).toMatchObject([{ kind: "implied", path: "qwen3next.nextn_predict_layers" }]);
    expect(ropesFromGguf(header("qwen3", { nextn_predict_layers: 1 }), { tensors: {} }).notes).toEqual([]);
    // Whether the file has rope tensors does not stand in its header.
    expect(ropesFromGguf(header("qwen3", {})).notes).toMatchObject([
      { path: "rope_freqs.weight", severity: "warning" },
    ]);
  });

  test("queries scaled by position: Llama 4, Ministral 3, Mistral 4", () => {
    const scales = (architecture: string, more: Json): unknown[] => {
      const { queryScaleOf } = ropesFromGguf(header(architecture, { context_length: 65536, ...more }));
      return [2, 3].map(queryScaleOf);
    };
    const temperature = (beta: number, length: number, offset: number): Json => ({
      rule: "temperature",
      beta,
      length,
      offset,
    });
    // llama4.cpp: floor scale 8192, scale 0.1, offset 1; layer 3 has no rope.
    expect(scales("llama4", {})).toEqual([null, temperature(0.1, 8192, 1)]);
    expect(scales("llama4", { "attention.sliding_window": 0 })).toEqual([null, null]);
    const beta = { "attention.temperature_scale": 0.25 };
    const ministral = scales("mistral3", { ...beta, "rope.scaling.original_context_length": 16384 });
    expect(ministral).toEqual([temperature(0.25, 16384, 0), temperature(0.25, 16384, 0)]);
    expect(scales("mistral3", beta)[0]).toEqual(temperature(0.25, 65536, 0));
    const latent = { "rope.dimension_count": 16, "attention.temperature_length": 8192 };
    expect(scales("mistral4", { ...beta, ...latent })[1]).toEqual(temperature(0.25, 8192, 0));
    expect(scales("mistral4", latent)).toEqual([null, null]);
    const { issues } = failure(() => scales("deepseek2", { ...beta, "rope.dimension_count": 16 }));
    expect(issues).toMatchObject([{ path: "deepseek2.attention.temperature_length" }]);
  });

  test("a list about rope that nothing reads is an issue, a number is a note", () => {
    const sections = header("qwen2", { "rope.dimension_sections": [16, 8, 8, 0] });
    expect(failure(() => ropesFromGguf(sections)).issues).toMatchObject([{ path: "qwen2.rope.dimension_sections" }]);
    const base = header("qwen2", { "rope.freq_base_swa": 500 });
    expect(ropesFromGguf(base, { tensors: {} }).notes).toMatchObject([
      { kind: "unused", path: "qwen2.rope.freq_base_swa" },
    ]);
  });

  test.each([
    ["a tensor that the loader does not read", "qwen2", {}, "rope_freqs.weight"],
    ["a list for a single number", "cohere2", { "attention.sliding_window_pattern": "SSSF" }, undefined],
    ["a list that is too short", "mimo2", { "attention.sliding_window_pattern": [1, 0] }, undefined],
    ["a list of texts", "mimo2", { "attention.sliding_window_pattern": ["a", "b", "c", "d"] }, undefined],
    ["no list where one has to be", "mimo2", {}, undefined],
    ["no base of compressed layers", "deepseek4", { "attention.compress_ratios": [0, 4, 0, 4] }, undefined],
    ["no ratios", "deepseek4", { "attention.compress_rope_freq_base": 160000 }, undefined],
    ["a first layer without heads", "lfm2", { "attention.head_count": [0, 8, 8, 8] }, undefined],
    ["a graph that is not known", "dflash", { "hyper_connection.count": 4 }, undefined],
    ["pairs of the first and the fourth axis", "qwen3vl", { "rope.dimension_sections": [32, 0, 0, 0] }, undefined],
  ])("refuses %s", (_, architecture, more, tensor) => {
    const tensors = tensor === undefined ? {} : { [tensor]: new Array<number>(32).fill(2) };
    const { code, issues } = failure(() => ropesFromGguf(header(architecture, more), { tensors }));
    expect(code).toBe("ROPE_CONFIG");
    expect(issues).toHaveLength(1);
  });
});

describe("what a header may hold", () => {
  const llama = {
    "general.architecture": "llama",
    "llama.context_length": 4096,
    "llama.attention.key_length": 128,
    "llama.rope.freq_base": 10000,
  };
  const only = (more: Json, options?: GgufOptions): RotaryEmbedding =>
    ropesFromGguf({ ...llama, ...more }, options).byLayerType.get(null)!;

  test("64-bit integers as bigints, and defaults", () => {
    expect(only({ "llama.context_length": 4096n, "llama.attention.key_length": 128n })).toBe(only({}));
    expect(only({ "llama.rope.freq_base": undefined })).toBe(only({}));
    expect(
      only({
        "llama.attention.key_length": undefined,
        "llama.embedding_length": 4096,
        "llama.attention.head_count": [32, 32],
      }),
    ).toBe(only({}));
  });

  test("the older spelling of a linear scale; none switches it off", () => {
    expect(only({ "llama.rope.scale_linear": 4 })).toBe(
      only({ "llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4 }),
    );
    expect(only({ "llama.rope.scale_linear": 4 }).ropeType).toBe("linear");
    expect(only({ "llama.rope.scaling.type": "none", "llama.rope.scaling.factor": 4 })).toBe(only({}));
  });

  test("a linear scale beside factors, and an amplitude by itself", () => {
    const tensors = { "rope_freqs.weight": new Array<number>(64).fill(2) };
    expect(only({ "llama.rope.scaling.factor": 4 }, { tensors }).frequencies().invFreq[1]).toBeCloseTo(
      10000 ** (-1 / 64) / 8,
      7,
    );
    expect(only({ "llama.rope.scaling.attn_factor": 1.25 })).toMatchObject({ attentionFactor: 1.25 });
    const yarn = {
      "llama.rope.scaling.type": "yarn",
      "llama.rope.scaling.factor": 4,
      "llama.rope.scaling.original_context_length": 1024,
    };
    expect(only({ ...yarn, "llama.rope.scaling.attn_factor": 0.5 }).attentionFactor).toBeCloseTo(
      (0.1 * Math.log(4) + 1) / 2,
      12,
    );
    expect(failure(() => only(yarn, { tensors })).issues).toMatchObject([{ path: "rope_freqs.weight" }]);
  });

  test("keys that its loader does not read", () => {
    const metadata = {
      ...llama,
      "llama.rope.scaling.finetuned": true,
      "llama.rope.scaling.yarn_beta_fast": 8,
      "tokenizer.ggml.model": "gpt2",
    };
    const { notes } = ropesFromGguf(metadata, { tensors: {} });
    expect(notes.map(({ kind, path }) => [kind, path])).toEqual([
      ["unused", "llama.rope.scaling.finetuned"],
      ["unused", "llama.rope.scaling.yarn_beta_fast"],
    ]);
  });

  test.each([
    ["nothing", {}, "general.architecture"],
    [
      "an unknown architecture",
      { "general.architecture": "toast", "toast.attention.key_length": 64 },
      "general.architecture",
    ],
    ["no size", { "general.architecture": "llama" }, "llama.attention.key_length"],
    ["a size that no model has", { ...llama, "llama.attention.key_length": 2 ** 40 }, "llama.attention.key_length"],
    ["an odd number of rotated elements", { ...llama, "llama.rope.dimension_count": 63 }, "llama.rope.dimension_count"],
    [
      "more rotated elements than a head has",
      { ...llama, "llama.rope.dimension_count": 2 ** 31 },
      "llama.rope.dimension_count",
    ],
    ["a type that does not exist", { ...llama, "llama.rope.scaling.type": "dynamic" }, "llama.rope.scaling.type"],
    ["text for a number", { ...llama, "llama.rope.freq_base": "10000" }, "llama.rope.freq_base"],
    ["more layers than any model has", { ...llama, "llama.block_count": 1e9 }, "llama.block_count"],
  ])("refuses %s", (_, metadata, path) => {
    const error = failure(() => ropesFromGguf(metadata));
    expect(error.code).toBe("ROPE_CONFIG");
    expect(error.issues.map((issue) => issue.path)).toContain(path);
  });

  test("an unknown architecture with a pairing that the caller knows", () => {
    expect(
      ropesFromGguf(
        { "general.architecture": "toast", "toast.attention.key_length": 64 },
        { pairing: "half" },
      ).byLayerType.get(null),
    ).toMatchObject({ headDim: 64, base: 10000 });
  });

  test("tensors of the wrong size, and prototype keys", () => {
    for (const bad of [
      new Float32Array(3),
      new Array<number>(64).fill(Number.NaN),
      { length: 1e9 },
      [..."x".repeat(64)] as unknown as number[],
    ]) {
      expect(failure(() => only({}, { tensors: { "rope_freqs.weight": bad } })).issues).toMatchObject([
        { path: "rope_freqs.weight" },
      ]);
    }
    for (const name of ["constructor", "__proto__", "toString"]) {
      expect(failure(() => ropesFromGguf({ "general.architecture": name })).code).toBe("ROPE_CONFIG");
    }
    expect(failure(() => ropesFromGguf(null)).code).toBe("ROPE_CONFIG");
  });

  test("each number names the key that gave it", () => {
    const { rules } = ropeRequestsFromGguf(llama).byLayerType.get(null)!;
    expect(rules).toContainEqual({ name: "base", value: 10000, rule: "llama.rope.freq_base" });
    expect(rules).toContainEqual({
      name: "pairing",
      value: "adjacent",
      rule: "how llama.cpp's graph of llama turns the file's weights",
      source: "llama_model_rope_type",
    });
  });
});

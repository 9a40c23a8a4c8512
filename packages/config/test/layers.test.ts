/** The rope of each layer, and the model of a file that is read. */

import { ropeRequestsFromConfig, ropesFromConfig } from "@ropewalk/config";
import { createRegistry } from "@ropewalk/core";
import { DefaultProvider } from "@ropewalk/default";
import { models } from "@ropewalk/goldens";
import { describe, expect, test } from "vitest";
import answers from "./fixtures/layers.json" with { type: "json" };
import { failure, issues, llama, notesAt } from "./helpers.ts";
import type { Json } from "./helpers.ts";

const published = (id: string): Json => models().find((model) => model.id === id)!.config;

/** The labels of the layers, one letter each: the first letter of the label, or `-` for the rope that all share. */
function layout(config: Json): string {
  const { layerCount, layerTypeOf } = ropeRequestsFromConfig(config);
  return Array.from({ length: layerCount! }, (_, layer) => layerTypeOf(layer)?.[0] ?? "-").join("");
}

interface Answer {
  readonly layers: number;
  readonly layerTypes: readonly string[] | null;
  readonly rotated: readonly number[] | null;
}

/**
 * In the modelling files of these families, only layers of sliding attention are rotated. None has linear attention.
 */
const ropeOnSlidingOnly = ["cohere2", "exaone4", "afmoe"];
const ropeOfType: Readonly<Record<string, string>> = {
  compressed_sparse_attention: "compress",
  heavily_compressed_attention: "compress",
};

/** Compares each layer with transformers' configuration class. */
function compareLayers(config: Json, { layers, layerTypes, rotated }: Answer): void {
  const { byLayerType, forLayer } = ropesFromConfig(config);
  const several = [...byLayerType].filter(([key, rope]) => key !== null && rope !== null).length > 1;
  for (let layer = 0; layer < layers; layer++) {
    const type = layerTypes?.[layer] ?? "full_attention";
    const none =
      rotated?.[layer] === 0 ||
      type === "linear_attention" ||
      (ropeOnSlidingOnly.includes(String(config["model_type"])) && type === "full_attention");
    const rope = forLayer(layer);
    expect(rope === null, `layer ${layer}`).toBe(none);
    if (several && !none) expect(rope, `layer ${layer}`).toBe(byLayerType.get(ropeOfType[type] ?? type));
  }
}

describe("layers", () => {
  const gemma = published("google/gemma-3-1b-it");
  const sliding = {
    model_type: "cohere2",
    hidden_size: 512,
    num_attention_heads: 4,
    num_hidden_layers: 8,
    rope_theta: 50000,
    sliding_window: 4096,
  };

  // f(ull) s(liding) l(inear) n(o rope) h(eavily compressed) m(ain) c(ompress)
  test.each<[string, Json, string]>([
    ["one rope for all", llama(), "----"],
    ["Gemma 3, every sixth", gemma, "sssssfsssssfsssssfsssssfss"],
    ["Gemma 3, another interval", { ...gemma, sliding_window_pattern: 2, num_hidden_layers: 5 }, "sfsfs"],
    [
      "Gemma 3, the interval of the class",
      { ...gemma, sliding_window_pattern: undefined, num_hidden_layers: 7 },
      "sssssfs",
    ],
    [
      "Gemma 3, a list beside the interval",
      { ...gemma, num_hidden_layers: 2, layer_types: ["full_attention", "sliding_attention"] },
      "fs",
    ],
    [
      "Gemma 3n, every fifth",
      { ...gemma, model_type: "gemma3n_text", sliding_window_pattern: undefined, num_hidden_layers: 6 },
      "ssssfs",
    ],
    [
      "ModernBERT, the first of three",
      { ...published("answerdotai/ModernBERT-base"), num_hidden_layers: 7 },
      "fssfssf",
    ],
    [
      "ModernBERT, the interval of the class",
      { ...published("answerdotai/ModernBERT-base"), global_attn_every_n_layers: undefined, num_hidden_layers: 7 },
      "fssfssf",
    ],
    ["MiMo, a list of codes", { ...published("XiaomiMiMo/MiMo-V2-Flash"), num_hidden_layers: 7 }, "fssssfs"],
    [
      "MiMo, the layout of the class",
      { ...published("XiaomiMiMo/MiMo-V2-Flash"), hybrid_layer_pattern: undefined, num_hidden_layers: 7 },
      "fssssfs",
    ],
    [
      "SmolLM3, every fourth without",
      {
        ...published("HuggingFaceTB/SmolLM3-3B"),
        layer_types: undefined,
        no_rope_layers: undefined,
        num_hidden_layers: 9,
      },
      "---n---n-",
    ],
    [
      "SmolLM3, another interval",
      {
        ...published("HuggingFaceTB/SmolLM3-3B"),
        layer_types: undefined,
        no_rope_layers: undefined,
        no_rope_layer_interval: 2,
        num_hidden_layers: 5,
      },
      "-n-n-",
    ],
    [
      "SmolLM3, a list",
      {
        ...published("HuggingFaceTB/SmolLM3-3B"),
        layer_types: undefined,
        no_rope_layers: [0, 1, 1],
        num_hidden_layers: 3,
      },
      "n--",
    ],
    [
      "Llama 4, an empty list",
      { model_type: "llama4_text", head_dim: 128, num_hidden_layers: 5, no_rope_layers: [] },
      "---n-",
    ],
    ["Cohere 2, only sliding layers", sliding, "---f---f"],
    [
      "EXAONE 4, a pattern in letters",
      { ...sliding, model_type: "exaone4", sliding_window_pattern: "LLG" },
      "--f--f--",
    ],
    ["EXAONE 4 without a window", { ...sliding, model_type: "exaone4", sliding_window: null }, "--------"],
    ["Qwen3-Next, linear attention", { model_type: "qwen3_next", num_hidden_layers: 8 }, "lll-lll-"],
    [
      "DeepSeek-V4, ratios",
      { ...published("deepseek-ai/DeepSeek-V4-Flash"), num_hidden_layers: 4, compress_ratios: [0, 4, 128, 0] },
      "mccm",
    ],
    [
      "a list that has one type",
      llama({ layer_types: ["full_attention", "full_attention", "full_attention", "full_attention"] }),
      "----",
    ],
    [
      "lists for multi-token prediction are longer",
      llama({ num_hidden_layers: 1, num_nextn_predict_layers: 1, layer_types: ["full_attention", "full_attention"] }),
      "-",
    ],
  ])("%s", (_, config, expected) => {
    expect(layout(config)).toBe(expected);
  });

  test.each(Object.entries(answers.classes as Readonly<Record<string, Answer>>))(
    "%s, thirteen layers as its class has them",
    (model_type, answer) => {
      if (answer.layers !== 13) return;
      compareLayers(
        {
          model_type,
          num_hidden_layers: 13,
          ...(["mimo_v2_flash", "qwen3_5_text"].includes(model_type) ? {} : { head_dim: 64 }),
          ...(model_type === "deepseek_v4" ? { qk_rope_head_dim: 32 } : {}),
        },
        answer,
      );
    },
  );

  test.each(Object.entries(answers.models as Readonly<Record<string, Answer>>))("%s, layer by layer", (id, answer) => {
    compareLayers(published(id), answer);
  });

  test("Gemma 4's last layer is full whatever the list says", () => {
    const config = {
      model_type: "gemma4_text",
      num_hidden_layers: 2,
      layer_types: ["full_attention", "sliding_attention"],
    };
    expect(layout(config)).toBe("ff");
    expect(notesAt(config, "layer_types[1]")).toMatchObject([{ kind: "differs" }]);
  });

  test("a layer without rope has null", () => {
    const ropes = ropesFromConfig(published("HuggingFaceTB/SmolLM3-3B"));
    expect([...ropes.byLayerType].map(([key, rope]) => [key, rope?.ropeType ?? null])).toEqual([
      [null, "default"],
      ["no_rope", null],
    ]);
    expect(ropes.forLayer(3)).toBeNull();
    expect(ropes.forLayer(4)).toBe(ropes.byLayerType.get(null));
  });

  test("null for a layer type means no rope there", () => {
    const config = llama({
      model_type: "qwen3",
      rope_theta: undefined,
      num_hidden_layers: 2,
      layer_types: ["sliding_attention", "full_attention"],
      rope_parameters: { sliding_attention: { rope_type: "default", rope_theta: 10000 }, full_attention: null },
    });
    const { forLayer } = ropesFromConfig(config);
    expect([forLayer(0)?.base, forLayer(1)]).toEqual([10000, null]);
  });

  test.each([-1, 4, 1.5, Number.NaN, "0"])("layer %j of four is an error", (layer) => {
    const { forLayer } = ropesFromConfig(llama());
    expect(failure(() => forLayer(layer as number))).toMatchObject({
      code: "ROPE_CONFIG",
      message: expect.stringContaining("an integer from 0 to 3"),
    });
  });

  test("without a number of layers, any layer of a shared rope will do", () => {
    const { byLayerType, forLayer } = ropesFromConfig(llama({ model_type: undefined, num_hidden_layers: undefined }));
    expect(forLayer(1000)).toBe(byLayerType.get(null));
    expect(failure(() => forLayer(-1)).code).toBe("ROPE_CONFIG");
  });

  test("ropes by layer type without layer_types: byLayerType works, forLayer does not guess", () => {
    const rope_parameters = { full_attention: { rope_theta: 7 }, sliding_attention: { rope_theta: 8 } };
    const { byLayerType, forLayer } = ropesFromConfig({ head_dim: 64, rope_parameters });
    expect([...byLayerType.values()].map((rope) => rope?.base)).toEqual([7, 8]);
    expect(failure(() => forLayer(0))).toMatchObject({
      code: "ROPE_CONFIG",
      message: expect.stringContaining("add layer_types"),
    });
    expect(issues({ head_dim: 64, rope_parameters, num_hidden_layers: 2 })).toEqual([
      "layer_types: which layers are of the types full_attention, sliding_attention, which have a rope each | nothing",
    ]);
    expect(
      issues({
        head_dim: 64,
        rope_parameters,
        layer_types: ["full_attention", "chunked_attention"],
      }),
    ).toEqual([
      'layer_types[1]: one of full_attention, sliding_attention, which have a rope each | "chunked_attention"',
    ]);
  });

  test("lists that contradict the number of layers", () => {
    expect(issues(llama({ layer_types: ["full_attention"] }))).toEqual([
      "layer_types: 4 entries, as num_hidden_layers says | 1",
    ]);
    expect(issues(llama({ no_rope_layers: [1] }))).toEqual([
      "no_rope_layers: a list of 4 entries, one for each layer | 1",
    ]);
  });

  test("a base for each layer", () => {
    const layer_types = ["full_attention", "sliding_attention", "full_attention", "sliding_attention"];
    const step = {
      model_type: "step3p5",
      head_dim: 64,
      num_hidden_layers: 4,
      layer_types,
      rope_theta: [5, 6, 5, 6],
      partial_rotary_factors: [0.5, 1, 0.5, 1],
    };
    const { byLayerType } = ropesFromConfig(step);
    expect([...byLayerType].map(([key, rope]) => [key, rope?.base, rope?.rotaryDim])).toEqual([
      ["full_attention", 5, 32],
      ["sliding_attention", 6, 64],
    ]);
    // The class has one rope for each type.
    expect(issues({ ...step, rope_theta: [5, 6, 7, 6] })).toEqual([
      "rope_theta[2]: 5, as rope_theta[0] says for another layer of full_attention | 7",
    ]);
    // A list, though all layers share a rope.
    expect(ropesFromConfig(llama({ rope_theta: [5, 5, 5, 5] })).byLayerType.get(null)?.base).toBe(5);
    const { forLayer } = ropesFromConfig(llama({ rope_theta: [5, 6, 5, 5] }));
    expect([0, 1, 2, 3].map((layer) => forLayer(layer)?.base)).toEqual([5, 6, 5, 5]);
    const typed = ropesFromConfig(llama({ layer_types, layer_rope_theta: [5, 6, 7, 6] }));
    expect([...typed.byLayerType.keys()]).toEqual(["theta 5", "theta 6", "theta 7"]);
  });

  test.each<[string, string, string, Json]>([
    ["gemma3_text", "full_attention", "rope_theta", {}],
    ["gemma3_text", "sliding_attention", "rope_local_base_freq", {}],
    ["modernbert", "full_attention", "global_rope_theta", {}],
    ["modernbert", "sliding_attention", "local_rope_theta", {}],
    ["mimo_v2_flash", "full_attention", "rope_theta", {}],
    ["mimo_v2_flash", "sliding_attention", "swa_rope_theta", {}],
    ["deepseek_v4", "main", "rope_theta", { qk_rope_head_dim: 64 }],
    ["deepseek_v4", "compress", "compress_rope_theta", { qk_rope_head_dim: 64 }],
  ])("%s takes the base of %s from %s", (model_type, label, key, more) => {
    const { byLayerType } = ropesFromConfig({
      model_type,
      head_dim: 128,
      max_position_embeddings: 512,
      ...more,
      [key]: 777,
    });
    expect([...byLayerType].flatMap(([name, rope]) => (rope?.base === 777 ? [name] : []))).toEqual([label]);
  });

  test("yarn_only_types says which layers are scaled", () => {
    const scaling = { rope_type: "yarn", factor: 2, original_max_position_embeddings: 64 };
    const step = {
      model_type: "step3p5",
      head_dim: 64,
      max_position_embeddings: 128,
      rope_theta: 5,
      rope_scaling: scaling,
    };
    const types = (config: Json) =>
      Object.fromEntries([...ropesFromConfig(config).byLayerType].map(([key, rope]) => [key, rope?.ropeType]));
    expect(types(step)).toEqual({ full_attention: "yarn", sliding_attention: "default" });
    expect(types({ ...step, yarn_only_types: ["sliding_attention"] })).toEqual({
      full_attention: "default",
      sliding_attention: "yarn",
    });
  });

  test("a base beside the layer types is a default, and an error if no type has it", () => {
    const nested = (more: Json) => ({
      head_dim: 64,
      layer_types: ["full_attention", "sliding_attention"],
      ...more,
    });
    const bases = (config: Json) => [...ropesFromConfig(config).byLayerType.values()].map((rope) => rope?.base);
    expect(
      bases(
        nested({
          rope_theta: 9,
          rope_parameters: { full_attention: { rope_theta: 7 }, sliding_attention: { rope_type: "default" } },
        }),
      ),
    ).toEqual([7, 9]);
    expect(
      bases(
        nested({
          rope_theta: 7,
          rope_parameters: { full_attention: { rope_theta: 7 }, sliding_attention: { rope_theta: 8 } },
        }),
      ),
    ).toEqual([7, 8]);
    expect(
      issues(
        nested({
          rope_theta: 9,
          rope_parameters: { full_attention: { rope_theta: 7 }, sliding_attention: { rope_theta: 8 } },
        }),
      ),
    ).toEqual(["rope_theta: one of 7, 8, which the layer types state | 9"]);
    const gemma5 = {
      ...gemma,
      rope_scaling: undefined,
      rope_theta: undefined,
      rope_parameters: { full_attention: { rope_theta: 1e6 }, sliding_attention: { rope_theta: 1e4 } },
    };
    expect(bases(gemma5)).toEqual([1e6, 1e4]);
    expect(issues({ ...gemma5, rope_local_base_freq: 5 })).toEqual([
      "rope_local_base_freq: 10000, as rope_parameters.sliding_attention.rope_theta says | 5",
    ]);
  });

  test("a rope for all beside ropes for each type", () => {
    const config = llama({
      num_hidden_layers: 1,
      layer_types: ["full_attention"],
      rope_parameters: { full_attention: { rope_theta: 10000 } },
      rope_scaling: { rope_type: "linear", factor: 2 },
    });
    expect(issues(config)).toEqual([
      "rope_scaling: nothing beside rope_parameters, which has a rope for each layer type | a rope for all layers",
    ]);
  });
});

describe("nested models", () => {
  const text = { hidden_size: 64, num_attention_heads: 2, rope_theta: 77, model_type: "qwen2" };
  const base = (config: Json) => ropesFromConfig(config).byLayerType.get(null)?.base;

  test.each(["text_config", "llm_config", "language_config", "thinker_config", "talker_config"])(
    "%s holds the text model",
    (key) => {
      expect(
        base({ model_type: "outer", [key]: text, vision_config: { hidden_size: 3, num_heads: 2, rope_theta: 1 } }),
      ).toBe(77);
    },
  );

  test("a model inside a model inside a model", () => {
    expect(base({ model_type: "outer", thinker_config: { audio_config: {}, text_config: text } })).toBe(77);
  });

  test("of several text models the first is read, with a note", () => {
    const config = {
      model_type: "outer",
      thinker_config: { text_config: text },
      talker_config: { ...text, rope_theta: 88 },
    };
    expect(base(config)).toBe(77);
    expect(notesAt(config, "talker_config")).toMatchObject([{ kind: "differs" }]);
  });

  test("an empty text_config is ignored", () => {
    expect(base({ ...text, text_config: {} })).toBe(77);
    expect(base({ ...text, text_config: null })).toBe(77);
  });

  test("a key of the outer model fills a gap of a text model without a type of its own", () => {
    const { model_type, ...plain } = text;
    expect(base({ model_type, rope_theta: 66, text_config: { ...plain, rope_theta: undefined } })).toBe(66);
    const config = { model_type: "outer", rope_theta: 66, text_config: { ...text, rope_theta: undefined } };
    expect(base(config)).toBe(10000);
    expect(notesAt(config, "rope_theta")).toMatchObject([{ kind: "differs", severity: "warning" }]);
  });

  test("if both models state a key, the inner model wins, with a note", () => {
    const both = { model_type: "outer", rope_theta: 66, text_config: text };
    expect(base(both)).toBe(77);
    expect(notesAt(both, "rope_theta")).toMatchObject([
      { kind: "differs", message: "text_config.rope_theta is used instead; its value differs." },
    ]);
  });

  test("paths name the place in the file", () => {
    const { byLayerType } = ropeRequestsFromConfig({ model_type: "outer", text_config: text });
    expect(byLayerType.get(null)!.rules).toContainEqual({ name: "base", value: 77, rule: "text_config.rope_theta" });
  });
});

describe("overrides", () => {
  test("override the file", () => {
    const rope = ropesFromConfig(llama(), {
      precision: "float64",
      maxPosition: 100,
      pairing: "adjacent",
    }).byLayerType.get(null)!;
    expect(rope).toMatchObject({ precision: "float64", maxPosition: 100, pairing: "adjacent" });
    expect(ropesFromConfig(llama(), { maxPosition: null }).byLayerType.get(null)!.maxPosition).toBeNull();
  });

  test("the caller's registry is used", () => {
    const registry = createRegistry();
    expect(failure(() => ropesFromConfig(llama(), { registry }))).toMatchObject({
      code: "ROPE_UNKNOWN_TYPE",
      message: expect.stringContaining('import "@ropewalk/default";'),
    });
    registry.register("default", new DefaultProvider());
    expect(ropesFromConfig(llama(), { registry }).byLayerType.get(null)!.ropeType).toBe("default");
  });

  test("the schema of a registered type decides which keys are read", () => {
    const registry = createRegistry();
    registry.register("vendor", {
      specificationVersion: 1,
      source: "vendor@1.0.0",
      parameters: { warmth: { type: "number", description: "of the vendor's own" } },
      frequencies: ({ rotaryDim }) => ({ invFreq: Array.from({ length: rotaryDim / 2 }, () => 1) }),
    });
    const { byLayerType, notes } = ropesFromConfig(
      llama({ rope_scaling: { rope_type: "vendor", warmth: 3, factor: 2 } }),
      { registry },
    );
    expect(byLayerType.get(null)!.spec.parameters).toEqual({ ropeType: "vendor", warmth: 3 });
    expect(notes).toMatchObject([{ kind: "unused", path: "rope_scaling.factor" }]);
  });
});

describe("position axes", () => {
  const vl = (rope_scaling: Json, more: Json = {}): Json => ({
    model_type: "qwen2_5_vl",
    hidden_size: 512,
    num_attention_heads: 8,
    max_position_embeddings: 1024,
    rope_theta: 1e6,
    rope_scaling,
    ...more,
  });
  const request = (config: Json) => ropeRequestsFromConfig(config).byLayerType.get(null)!.request!;

  test("sections of the file, or of the family", () => {
    const runs = (...sizes: readonly number[]): number[] =>
      sizes.flatMap((size, axis) => new Array<number>(size).fill(axis));
    const plain = { parameters: { ropeType: "default" } };
    expect(request(vl({ type: "mrope", mrope_section: [8, 12, 12] }))).toMatchObject({
      ...plain,
      axes: runs(8, 12, 12),
    });
    expect(request(vl({ type: "mrope" }, { head_dim: 128 }))).toMatchObject({ ...plain, axes: runs(16, 24, 24) });
    // After twenty cycles height and width are used up, and time has four pairs left.
    const turns = [...new Array(20).fill([0, 1, 2]).flat(), 0, 0, 0, 0];
    expect(request(vl({}, { model_type: "qwen3_vl", head_dim: 128 }))).toMatchObject({ ...plain, axes: turns });
  });

  test("the rule of the axes names their place in the file", () => {
    const { rules } = ropeRequestsFromConfig(vl({ type: "mrope", mrope_section: [8, 12, 12] })).byLayerType.get(null)!;
    expect(rules).toContainEqual({
      name: "axes",
      value: "a list of 32",
      rule: "rope_scaling.mrope_section: [8, 12, 12], sectioned",
    });
  });

  test("scaled frequencies get the axes beside them", () => {
    const scaling = { rope_type: "yarn", factor: 2, original_max_position_embeddings: 512, mrope_section: [1, 1, 2] };
    const { axes, parameters } = request(vl(scaling, { head_dim: 8 }));
    expect(parameters).toEqual({ ropeType: "yarn", factor: 2, originalMaxPosition: 512 });
    expect(axes).toEqual([0, 1, 2, 2]);
    // The fourth pair would follow time again: in the cyclic order, an axis has pairs only until its section is used
    // up.
    expect(request(vl({ ...scaling, mrope_section: [1, 2, 1] }, { head_dim: 8, model_type: "qwen3_vl" })).axes).toEqual(
      [0, 1, 2, 0],
    );
    expect(request(vl({ ...scaling, mrope_section: [2, 1, 1] }, { head_dim: 8, model_type: "qwen3_vl" })).axes).toEqual(
      [0, 1, 2, 0],
    );
    expect(request(vl({ mrope_section: [2, 1, 1] }, { head_dim: 8, model_type: "ernie4_5_vl_moe" })).axes).toEqual([
      1, 2, 1, 0,
    ]);
  });

  test("sections that do not fill the rotated part print the sum", () => {
    expect(issues(vl({ type: "mrope", mrope_section: [8, 12, 13] }))).toEqual([
      "rope_scaling.mrope_section: integers > 0 that add up to rotaryDim / 2 = 32 | 8 + 12 + 13 = 33",
    ]);
    expect(issues(vl({ type: "mrope", mrope_section: [8, 12, 11.5] }))).toEqual([
      "rope_scaling.mrope_section: integers > 0 that add up to rotaryDim / 2 = 32 | [8, 12, 11.5]",
    ]);
    expect(issues(vl({ type: "mrope", mrope_section: 32 }))).toEqual(["rope_scaling.mrope_section: a list | 32"]);
    expect(issues({ head_dim: 64, rope_scaling: { type: "mrope" } })).toEqual([
      "rope_scaling.mrope_section: the number of pairs of each position axis | nothing",
    ]);
  });

  test("the family decides about the order, a key that says otherwise is noted", () => {
    const config = vl({ type: "mrope", mrope_section: [8, 12, 12], mrope_interleaved: true });
    expect(request(config).axes?.slice(6, 10)).toEqual([0, 0, 1, 1]);
    expect(notesAt(config, "rope_scaling.mrope_interleaved")).toMatchObject([{ kind: "differs" }]);
    const unknown = {
      head_dim: 64,
      rope_scaling: { rope_type: "default", mrope_section: [8, 12, 12], mrope_interleaved: true },
    };
    expect(request(unknown).axes?.slice(6, 10)).toEqual([0, 1, 2, 0]);
    expect(
      notesAt(
        { ...unknown, rope_scaling: { mrope_section: [8, 12, 12], interleaved: true } },
        "rope_scaling.interleaved",
      ),
    ).toMatchObject([{ kind: "differs" }]);
  });
});

describe("scales of queries", () => {
  const scaleOf = (config: Json) => ropesFromConfig(config).byLayerType.get(null)!.spec.queryScale;

  test("Ministral 3: a temperature over the trained length", () => {
    const ministral = published("mistralai/Ministral-3-8B");
    expect(scaleOf(ministral)).toEqual({ rule: "temperature", beta: 0.1, length: 16384, offset: 0 });
    expect(ropesFromConfig(ministral).notes).toEqual([]);
  });

  test.each(["default", "linear"])(
    "Ministral 3 of rope type %s: its class reads the trained length all the same",
    (type) => {
      const config = (more: Json): Json => ({
        ...llama({}),
        model_type: "ministral3",
        rope_parameters: { rope_type: type, factor: 2, rope_theta: 10000, llama_4_scaling_beta: 0.1, ...more },
      });
      const trained = { original_max_position_embeddings: 64 };
      expect(scaleOf(config(trained))).toEqual({ rule: "temperature", beta: 0.1, length: 64, offset: 0 });
      expect(notesAt(config(trained), "rope_parameters.original_max_position_embeddings")).toEqual([]);
      expect(failure(() => ropesFromConfig(config({}))).issues).toMatchObject([
        { path: "rope_parameters.original_max_position_embeddings" },
      ]);
    },
  );

  test("Qwen 1: the logarithm of the length", () => {
    expect(scaleOf(published("Qwen/Qwen-7B-Chat"))).toEqual({ rule: "logn", length: 2048 });
    expect(scaleOf({ ...published("Qwen/Qwen-7B-Chat"), use_logn_attn: false })).toBeNull();
  });

  test("a class that does not read the key has none, with a note", () => {
    const config = llama({
      rope_scaling: { rope_type: "yarn", factor: 2, original_max_position_embeddings: 4096, llama_4_scaling_beta: 0.1 },
    });
    expect(scaleOf(config)).toBeNull();
    expect(notesAt(config, "rope_scaling.llama_4_scaling_beta")).toMatchObject([{ kind: "unused" }]);
  });
});

describe("pairing", () => {
  test.each([
    ["llama", "half"],
    ["cohere", "adjacent"],
    ["glm4", "adjacent"],
    ["glm4_moe", "half"],
    ["minicpm3", "half"],
    ["deepseek_v2", "adjacent"],
    ["ernie4_5", "adjacent"],
  ])("%s pairs by %s", (model_type, pairing) => {
    expect(
      ropesFromConfig({
        model_type,
        head_dim: 64,
        qk_rope_head_dim: model_type === "minicpm3" ? 32 : undefined,
      }).byLayerType.get(null)!.pairing,
    ).toBe(pairing);
  });

  test("rope_interleave is read if the class reads it", () => {
    const pairing = (config: Json) => ropesFromConfig(config).byLayerType.get(null)!.pairing;
    expect(pairing({ model_type: "deepseek_v3", qk_rope_head_dim: 64, rope_interleave: false })).toBe("half");
    const glm = { model_type: "glm_moe_dsa", qk_rope_head_dim: 64, rope_interleave: false };
    expect(pairing(glm)).toBe("adjacent");
    expect(notesAt(glm, "rope_interleave")).toMatchObject([{ kind: "differs" }]);
  });

  test("an unknown family of latent attention is read as DeepSeek", () => {
    const config = {
      qk_rope_head_dim: 64,
      qk_nope_head_dim: 128,
      rope_scaling: { rope_type: "yarn", factor: 2, original_max_position_embeddings: 64 },
    };
    expect(ropesFromConfig(config).byLayerType.get(null)!).toMatchObject({
      headDim: 64,
      pairing: "adjacent",
      ropeType: "deepseek_yarn",
    });
  });
});

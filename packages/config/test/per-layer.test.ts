/** What files say of single layers, and the second ropes of layers. */

import { ropesFromConfig } from "@ropewalk/config";
import type { DialectName } from "@ropewalk/config";
import { issues, llama, notesAt } from "./helpers.ts";
import type { Json } from "./helpers.ts";
import { describe, expect, test } from "vitest";

/** Base of each layer's rope; `null`: none. */
const bases = (config: Json): (number | null)[] => {
  const { forLayer } = ropesFromConfig(config);
  return [0, 1, 2, 3].map((layer) => forLayer(layer)?.base ?? null);
};

describe("lists with an entry for each layer", () => {
  test("layer_rope_theta: a base for each layer, 0 or null for none; it wins over rope_theta", () => {
    const config = llama({ rope_theta: 7, layer_rope_theta: [0, 5, null, 6] });
    expect(bases(config)).toEqual([null, 5, null, 6]);
    expect([...ropesFromConfig(config).byLayerType.keys()]).toEqual(["theta 5", "theta 6", "no_rope"]);
    expect(bases(llama({ layer_rope_theta: [0, 5, 0, 5] }))).toEqual([null, 5, null, 5]);
  });

  test("layers with equal bases have the same rope, under the label of their type", () => {
    const { byLayerType, forLayer } = ropesFromConfig(llama({ layer_rope_theta: [5, 0, 5, 0] }));
    expect([...byLayerType.keys()]).toEqual([null, "no_rope"]);
    expect(forLayer(0)).toBe(forLayer(2));
  });

  test("every layer of many may have a rope of its own; no two labels are equal", () => {
    const count = 2000;
    const layer_rope_theta = Array.from({ length: count }, (_, layer) => 10000 + (layer % 1000));
    const { byLayerType, forLayer } = ropesFromConfig(llama({ num_hidden_layers: count, layer_rope_theta }));
    expect([byLayerType.size, forLayer(1500)?.base]).toEqual([1000, 10500]);
    const per_layer_config = Object.fromEntries(
      [1, 2].map((layer) => [layer, { rope_parameters: { rope_type: "linear", rope_theta: 5, factor: layer + 1 } }]),
    );
    const { byLayerType: ropes } = ropesFromConfig(llama({ rope_theta: 5, per_layer_config }));
    expect(new Set([...ropes.values()].map((rope) => JSON.stringify(rope?.spec.parameters))).size).toBe(3);
  });

  test("a list that is too short, or no list, or no numbers", () => {
    expect(issues(llama({ layer_rope_theta: [5] }))).toEqual([
      "layer_rope_theta: a list of 4 entries, one for each layer | 1",
    ]);
    expect(issues(llama({ layer_rope_theta: 5 }))).toEqual(["layer_rope_theta: a list | 5"]);
    expect(issues(llama({ layer_rope_theta: [5, "6", 5, 5] }))).toEqual(['layer_rope_theta[1]: a finite number | "6"']);
    expect(issues(llama({ layer_rope_theta: [5, -6, 5, 5] }))).toEqual([
      "layer_rope_theta[1]: a number > 0, or 0 for a layer without rope | -6",
    ]);
  });

  test("entries beyond the layers are those of layers that predict further tokens", () => {
    expect(bases(llama({ rope_theta: [5, 6, 5, 6, 9] }))).toEqual([5, 6, 5, 6]);
  });

  test.each([
    ["no_rope_layers", [1, 0, 1, 1]],
    ["use_rope_layers", [true, false, true, true]],
    ["rope_layout", ["rope", "nope", "rope", "rope"]],
  ])("%s %j: which layers are rotated", (key, list) => {
    expect(bases(llama({ [key]: list }))).toEqual([10000, null, 10000, 10000]);
    expect(issues(llama({ [key]: [1, 2, 1, 1] }))).toEqual([
      `${key}[1]: 1 or true for a layer with a rope, 0 or false for one without | 2`,
    ]);
  });

  test("the lists that classes make for any number of layers", () => {
    const muse = { model_type: "muse_spark_text", num_hidden_layers: 4, hidden_size: 64, num_attention_heads: 1 };
    expect(bases(muse)).toEqual([500000, 500000, 500000, null]);
    expect(bases({ ...muse, num_hidden_layers: 5 })).toEqual([null, 500000, 500000, 500000]);
    expect(notesAt(muse, "layer_rope_theta")).toMatchObject([{ kind: "implied" }]);
    const smol = { model_type: "smollm3", num_hidden_layers: 4 };
    expect(bases(smol)).toEqual([2000000, 2000000, 2000000, null]);
    expect(bases({ ...smol, no_rope_layer_interval: 2 })).toEqual([2000000, null, 2000000, null]);
  });

  test("a few types of blocks again and again", () => {
    expect(bases({ model_type: "recurrent_gemma", num_hidden_layers: 4 })).toEqual([null, null, 10000, null]);
    const config = { model_type: "recurrent_gemma", block_types: ["recurrent", "attention"], num_hidden_layers: 4 };
    expect(bases(config)).toEqual([null, 10000, null, 10000]);
  });
});

describe("lists of layers", () => {
  test.each(["no_rope_layer_indices", "cross_attention_layers"])("%s: layers without rope", (key) => {
    expect(bases(llama({ [key]: [1, 3] }))).toEqual([10000, null, 10000, null]);
    expect(issues(llama({ [key]: ["1"] }))).toEqual([`${key}: layers, counted from 0 | "1"`]);
    expect(issues(llama({ [key]: [-1] }))).toEqual([`${key}: layers, counted from 0 | -1`]);
    // Llama's class reads neither, and the model has no layer 4.
    expect(notesAt(llama({ [key]: [4] }), key)).toMatchObject([{ severity: "warning" }, { severity: "warning" }]);
  });

  test("rope_scaling_layers: the layers that are scaled", () => {
    const rope_scaling = { rope_type: "linear", factor: 4 };
    const { byLayerType, forLayer } = ropesFromConfig(
      llama({ model_type: "molmo2_text", rope_scaling, rope_scaling_layers: [0, 2] }),
    );
    expect([0, 1, 2, 3].map((layer) => forLayer(layer)!.ropeType)).toEqual(["linear", "default", "linear", "default"]);
    expect([...byLayerType.keys()]).toEqual(["others", "unscaled"]);
  });

  test("layers that have attention: Bamba, and none if the file does not say", () => {
    const bamba = llama({ model_type: "bamba", attn_layer_indices: [2] });
    expect(bases(bamba)).toEqual([null, null, 10000, null]);
    expect(bases(llama({ model_type: "bamba" }))).toEqual([null, null, null, null]);
    expect(bases(llama({ model_type: "lfm2", full_attn_idxs: [0, 3] }))).toEqual([10000, null, null, 10000]);
  });

  test("a flag for each kind of attention", () => {
    const mixer_types = ["minicpm4", "lightning-attn", "lightning-attn", "minicpm4"];
    const config = llama({ model_type: "minicpm_sala", mixer_types });
    expect(bases(config)).toEqual([10000, 10000, 10000, 10000]);
    expect(bases({ ...config, attn_use_rope: false })).toEqual([null, 10000, 10000, null]);
    expect(bases({ ...config, lightning_use_rope: false })).toEqual([10000, null, null, 10000]);
  });
});

describe("settings of single layers", () => {
  const heads = (config: Json): number[] => {
    const { forLayer } = ropesFromConfig(config);
    return [0, 1, 2, 3].map((layer) => forLayer(layer)!.headDim);
  };

  test("by number, with and without zeros in front, and by layer type", () => {
    const layer_types = ["full_attention", "full_attention", "sliding_attention", "sliding_attention"];
    const config = llama({ head_dim: 64, layer_types });
    const per_layer_config = { "1": { head_dim: 32 }, "02": { head_dim: 128, num_key_value_heads: 1 } };
    expect(heads({ ...config, per_layer_config })).toEqual([64, 32, 128, 64]);
    expect(heads({ ...config, per_layer_config: { sliding_attention: { head_dim: 16 } } })).toEqual([64, 64, 16, 16]);
  });

  test("head sizes of the class: Gemma's full layers", () => {
    const sizes = (text: Json): unknown[] => {
      const { byLayerType } = ropesFromConfig({ model_type: "embedding_gemma2", text_config: text });
      return [...byLayerType.values()].map((rope) => rope?.headDim);
    };
    expect(sizes({ model_type: "embedding_gemma2_text" })).toEqual([512, 256]);
    expect(sizes({ model_type: "embedding_gemma2_text", global_head_dim: 128, head_dim: 64 })).toEqual([128, 64]);
  });

  test("a rope of their own", () => {
    const per_layer_config = { "3": { rope_parameters: { rope_type: "linear", rope_theta: 5, factor: 2 } } };
    const rope = ropesFromConfig(llama({ rope_theta: undefined, per_layer_config })).forLayer(3)!;
    expect(rope).toMatchObject({ base: 5, ropeType: "linear" });
  });

  test("layers that do not exist, and settings that are no objects", () => {
    expect(issues(llama({ per_layer_config: { "4": { head_dim: 8 } } }))).toEqual([
      "per_layer_config.4: a layer from 0 to 3 | 4",
    ]);
    expect(issues(llama({ per_layer_config: { "1": { head_dim: 8 }, "01": { head_dim: 16 } } }))).toEqual([
      "per_layer_config.01: one entry for layer 1 | two; the other is per_layer_config.1",
    ]);
    expect(issues(llama({ per_layer_config: [1] }))).toEqual([
      "per_layer_config: an object with layers or layer types as keys | [1]",
    ]);
    expect(issues(llama({ per_layer_config: { "1": 5 } }))).toEqual([
      "per_layer_config.1: an object with keys of a config | 5",
    ]);
  });
});

describe("keys that look like rope and that nothing reads", () => {
  test.each([
    ["global_rope", [1, 0]],
    ["rope_by_layer", { "3": 5 }],
    ["local_theta", [1]],
  ])("%s %j is an error", (key, value) => {
    expect(issues(llama({ [key]: value }))[0]).toMatch(new RegExp(`^${key}: a key that this version knows`));
  });

  test.each([
    ["global_rope", true],
    ["local_theta", 5],
    ["rope_by_layer", {}],
    ["rope_list", []],
  ])("%s %j is a warning", (key, value) => {
    expect(notesAt(llama({ [key]: value }), key)).toMatchObject([{ kind: "unused", severity: "warning" }]);
  });
});

describe("models inside of files", () => {
  const text = { model_type: "qwen2", hidden_size: 64, num_attention_heads: 2, rope_theta: 77 };
  const base = (config: Json) => ropesFromConfig(config).forLayer(0)?.base;

  test.each(["transformer_layer_config", "decoder_config", "vlm_config", "language_model", "my_own_lm"])(
    "%s in a file that is no model itself",
    (key) => {
      expect(base({ [key]: text, vision_config: { model_type: "clip_vision_model", hidden_size: 3 } })).toBe(77);
    },
  );

  test("a holder without its text model is an error", () => {
    expect(issues({ model_type: "lasr_ctc" })).toEqual([
      'model_type: a text model in encoder_config | "lasr_ctc", which holds models and is none',
    ]);
  });

  test("a holder whose own parts have no rope may hold a model with one", () => {
    expect(base({ model_type: "vision-encoder-decoder", decoder: text })).toBe(77);
    expect(base({ model_type: "encoder-decoder" })).toBeUndefined();
  });

  test("the class around knows the type of a text model that does not state it", () => {
    const { model_type: _, ...plain } = text;
    const llava = { model_type: "llava", text_config: { ...plain, hidden_size: undefined } };
    expect(ropesFromConfig(llava).forLayer(0)).toMatchObject({ headDim: 2048, base: 77 });
    // Older files have the keys of the text model at the top.
    expect(base({ model_type: "llava", ...plain })).toBe(77);
  });
});

describe("indexers of sparse attention", () => {
  const sparse = (model_type: string, more: Json = {}): Json => ({
    model_type,
    num_hidden_layers: 2,
    qk_rope_head_dim: 64,
    qk_nope_head_dim: 128,
    index_head_dim: 128,
    rope_theta: 10000,
    ...more,
  });

  test.each([
    ["deepseek_v32", "half", 0],
    ["axk2", "half", 0],
    ["glm_moe_dsa", "adjacent", 0],
    ["hy_v4", "half", 64],
  ])("%s: pairs are %s, from element %i on", (model_type, pairing, rotaryOffset) => {
    const { forLayer, indexerOf } = ropesFromConfig(sparse(model_type));
    expect(indexerOf(1)).toMatchObject({ headDim: 128, rotaryDim: 64, rotaryOffset, pairing, base: 10000 });
    expect([...indexerOf(1)!.frequencies().invFreq]).toEqual([...forLayer(1)!.frequencies().invFreq]);
    expect(indexerOf(0)).toBe(indexerOf(1));
  });

  test("layers that use the choice of another, and layer types without one", () => {
    const has = (config: Json, count: number): boolean[] => {
      const { indexerOf } = ropesFromConfig(config);
      return Array.from({ length: count }, (_, layer) => indexerOf(layer) !== null);
    };
    expect(has(sparse("hy_v4", { num_hidden_layers: 6 }), 6)).toEqual([true, true, false, false, false, true]);
    expect(has(sparse("hy_v4", { indexer_types: ["shared", "full"] }), 2)).toEqual([false, true]);
    const v4 = { model_type: "deepseek_v4", num_hidden_layers: 4, compress_ratios: [0, 4, 128, 4] };
    expect(has(v4, 4)).toEqual([false, true, false, true]);
    expect(ropesFromConfig(v4).indexerOf(1)).toMatchObject({ headDim: 128, rotaryDim: 64, rotaryOffset: 64 });
  });

  test("the key that other engines read", () => {
    const config = (flag: boolean): Json => sparse("glm_moe_dsa", { indexer_rope_interleave: flag });
    const pairing = (flag: boolean, dialect: DialectName): unknown =>
      ropesFromConfig(config(flag), { dialect }).indexerOf(0)!.pairing;
    expect([pairing(true, "vllm"), pairing(false, "vllm")]).toEqual(["adjacent", "half"]);
    expect([pairing(true, "hf"), pairing(false, "hf")]).toEqual(["adjacent", "adjacent"]);
    expect(notesAt(config(false), "indexer_rope_interleave")).toMatchObject([{ severity: "warning" }]);
  });

  test("a model without one, and a head that is too small", () => {
    expect(ropesFromConfig(sparse("deepseek_v3")).indexerOf(0)).toBeNull();
    expect(issues(sparse("deepseek_v32", { index_head_dim: 32 }))).toEqual([
      "index_head_dim: at least 64, the rotated elements of the layer | 32",
    ]);
  });
});

/**
 * How the rows of projections lie, compared with the classes that read them: transformers 5.24, or the code that was
 * published with a model.
 */

import { projectionShape, projectionShapeFromGguf } from "@ropewalk/config";
import { expect, test } from "vitest";
import type { Json } from "./helpers.ts";

const heads = { num_attention_heads: 8, num_key_value_heads: 2, hidden_size: 64 };

test.each<[model: string, how: string | undefined, more?: Json]>([
  // qkv.split([queries, keys, values]) of the whole result.
  ["phi3", "concatenated"],
  ["qwen", "concatenated"],
  ["baichuan", "concatenated"],
  ["dbrx", "concatenated", { attn_config: { kv_n_heads: 2 } }],
  // rearrange "(groups, queries + 2, elements)".
  ["internlm2", "per-group"],
  ["gpt_neox", "per-group"],
  ["falcon", "per-group"],
  ["persimmon", "per-group"],
  // mp_num = 4, and in each part queries, values, keys.
  ["codegen", "quarters"],
  // One group makes all at once, many make them by head.
  ["chatglm", "concatenated", { multi_query_attention: true, multi_query_group_num: 2 }],
  ["chatglm", "per-group"],
  ["llama", undefined],
])("%s: %s", (model, how, more) => {
  expect(projectionShape({ model_type: model, ...heads, ...more }).fused?.value).toBe(how);
});

test.each<[model: string, gated: boolean]>([
  ["qwen3_next", true],
  ["qwen3_5_text", true],
  ["qwen3_5_moe_text", true],
  ["qwen3", false],
  ["qwen3_moe", false],
])("%s: gates beside query heads: %s", (model, gated) => {
  expect(projectionShape({ model_type: model, ...heads }).gatedQuery).toEqual({
    value: gated,
    rule: `the class of ${model}`,
  });
});

test("what a file states, with its key, and null where it does not", () => {
  const { indexerHeads, keysAsValues, sharedKeyLayers } = projectionShape({ model_type: "llama", ...heads });
  expect([indexerHeads, keysAsValues, sharedKeyLayers]).toEqual([null, null, null]);
  expect(projectionShape({ model_type: "deepseek_v32", ...heads, index_n_heads: 64 }).indexerHeads).toEqual({
    value: 64,
    rule: "index_n_heads",
  });
  const gemma = {
    model_type: "gemma3n",
    text_config: { model_type: "gemma3n_text", ...heads, num_kv_shared_layers: 15 },
  };
  expect(projectionShape(gemma).sharedKeyLayers).toEqual({ value: 15, rule: "text_config.num_kv_shared_layers" });
  expect(projectionShape({ model_type: "gemma4_text", ...heads, attention_k_eq_v: true }).keysAsValues).toEqual({
    value: true,
    rule: "attention_k_eq_v",
  });
  expect(projectionShape({ model_type: "gemma4_text", ...heads, attention_k_eq_v: false }).keysAsValues?.value).toBe(
    false,
  );
  // Its class has no key for it: layers that do not slide have no values.
  expect(projectionShape({ model_type: "diffusion_gemma_text", ...heads }).keysAsValues).toEqual({
    value: true,
    rule: "the class of diffusion_gemma_text",
  });
});

test("another family's projections, and what is no config", () => {
  const made = { model_type: "made-up", ...heads };
  expect(projectionShape(made, { family: "internlm2" }).fused).toEqual({
    value: "per-group",
    rule: "the class of internlm2",
  });
  const error = (code: string): unknown => expect.objectContaining({ code });
  expect(() => projectionShape(made, { family: "made-up too" })).toThrow(error("ROPE_INVALID_PARAMETERS"));
  expect(() => projectionShape(made, { families: "llama" } as never)).toThrow(error("ROPE_INVALID_PARAMETERS"));
  expect(() => projectionShape(null)).toThrow(error("ROPE_CONFIG"));
  expect(() => projectionShape({ ...made, model_type: "llama", attention_k_eq_v: 1 })).toThrow(error("ROPE_CONFIG"));
});

test("GGUF: heads, gates, latent attention; heads by layer are not one number", () => {
  const metadata = (architecture: string, more: Json): Json => ({
    "general.architecture": architecture,
    ...Object.fromEntries(Object.entries(more).map(([key, value]) => [`${architecture}.${key}`, value])),
  });
  const counts = { "attention.head_count": 8, "attention.head_count_kv": 2, "attention.key_length": 16 };
  const plain = projectionShapeFromGguf(metadata("llama", counts));
  expect([plain.heads?.value, plain.keyHeads?.value, plain.headDim?.value]).toEqual([8, 2, 16]);
  expect([plain.gatedQuery.value, plain.fused?.value, plain.keysAsValues]).toEqual([false, "concatenated", null]);
  expect(projectionShapeFromGguf(metadata("qwen3next", counts)).gatedQuery.value).toBe(true);
  // Layers without attention have no heads.
  const some = projectionShapeFromGguf(metadata("llama", { ...counts, "attention.head_count_kv": [0, 2, 2] }));
  expect(some.keyHeads?.value).toBe(2);
  const many = projectionShapeFromGguf(metadata("llama", { ...counts, "attention.head_count_kv": [2, 4, 2] }));
  expect(many.keyHeads).toBe(null);
  const latent = projectionShapeFromGguf(
    metadata("deepseek2", {
      "attention.head_count": 16,
      "attention.head_count_kv": 1,
      "attention.key_length_mla": 192,
      "rope.dimension_count": 64,
      "attention.kv_lora_rank": 512,
    }),
  );
  expect([latent.keyHeads?.value, latent.latent?.unrotatedDim.value, latent.latent?.rotaryDim.value]).toEqual([
    1, 128, 64,
  ]);
});

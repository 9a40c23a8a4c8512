/** The heads of models, compared with their cards and papers. */

import { attentionShape } from "@ropewalk/config";
import { models } from "@ropewalk/goldens";
import { expect, test } from "vitest";
import { llama } from "./helpers.ts";
import type { Json } from "./helpers.ts";

const published = (id: string): Json => models().find((model) => model.id === id)!.config;

test("Llama 3.1 8B: 32 query heads of 128 share 8 key heads", () => {
  expect(attentionShape(published("meta-llama/Llama-3.1-8B"))).toEqual({
    heads: { value: 32, rule: "num_attention_heads" },
    keyHeads: { value: 8, rule: "num_key_value_heads" },
    headDim: { value: 128, rule: "hidden_size / num_attention_heads = 4096 / 32 = 128" },
    latent: null,
  });
});

test("DeepSeek-V3 (report §4.2): 128 heads of 128 + 64, ranks 1536 and 512, one rotated key", () => {
  const { heads, headDim, keyHeads, latent } = attentionShape(published("deepseek-ai/DeepSeek-V3"));
  expect([heads?.value, keyHeads?.value, headDim?.value]).toEqual([128, 1, 192]);
  expect(headDim?.rule).toBe("qk_nope_head_dim + qk_rope_head_dim = 128 + 64");
  expect(latent).toEqual({
    queryRank: { value: 1536, rule: "q_lora_rank" },
    keyValueRank: { value: 512, rule: "kv_lora_rank" },
    unrotatedDim: { value: 128, rule: "qk_nope_head_dim" },
    rotaryDim: { value: 64, rule: "qk_rope_head_dim" },
    valueDim: { value: 128, rule: "v_head_dim" },
  });
});

test.each<[string, Json, number | undefined, number | undefined]>([
  ["no key heads stated: as many as queries", llama(), 32, 32],
  [
    "Falcon 7B: one for all",
    { model_type: "falcon", hidden_size: 4544, num_attention_heads: 71, multi_query: true },
    71,
    1,
  ],
  [
    "Falcon 40B",
    {
      model_type: "falcon",
      hidden_size: 8192,
      num_attention_heads: 128,
      num_kv_heads: 8,
      multi_query: true,
      new_decoder_architecture: true,
    },
    128,
    8,
  ],
  ["ChatGLM", { model_type: "chatglm", hidden_size: 4096, num_attention_heads: 32, multi_query_group_num: 2 }, 32, 2],
  ["DBRX", { model_type: "dbrx", d_model: 6144, n_heads: 48, attn_config: { kv_n_heads: 8 } }, 48, 8],
  ["a text model inside", { model_type: "outer", text_config: llama({ num_key_value_heads: 4 }) }, 32, 4],
  ["a file without heads", { model_type: "toast" }, undefined, undefined],
  ["a file with head_dim only", { model_type: "toast", head_dim: 64 }, undefined, undefined],
])("%s", (_, config, heads, keyHeads) => {
  const shape = attentionShape(config);
  expect([shape.heads?.value, shape.keyHeads?.value]).toEqual([heads, keyHeads]);
  expect(shape.latent).toBeNull();
});

test("the rule is the place of the number in the file", () => {
  const { heads } = attentionShape({ model_type: "outer", text_config: llama() });
  expect(heads?.rule).toBe("text_config.num_attention_heads");
  expect(
    attentionShape({ model_type: "dbrx", d_model: 64, n_heads: 4, attn_config: { kv_n_heads: 2 } }).keyHeads?.rule,
  ).toBe("attn_config.kv_n_heads");
});

test("attention of Llama's kind if the file says so", () => {
  const config = published("deepseek-ai/DeepSeek-V3");
  expect(attentionShape({ ...config, use_mla: false, head_dim: 128 }).latent).toBeNull();
});

test("MLA without compressed queries (DeepSeek-V2-Lite)", () => {
  const { latent } = attentionShape({ ...published("deepseek-ai/DeepSeek-V3"), q_lora_rank: null });
  expect(latent?.queryRank).toBeNull();
});

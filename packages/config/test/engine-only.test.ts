/**
 * Families that transformers 5.24 does not have, or whose published spelling it reads on its own. Expected numbers are
 * typed from the engine that is named, with the frequency of pair i as `base^(−2i/R)`.
 */

import { ropesFromConfig } from "@ropewalk/config";
import { expect, test } from "vitest";
import { failure, notesAt, ulps } from "./helpers.ts";
import type { Json } from "./helpers.ts";

const size = { hidden_size: 1024, num_attention_heads: 8, num_hidden_layers: 8, max_position_embeddings: 32768 };
const each = (config: Json) => {
  const { forLayer } = ropesFromConfig(config);
  return Array.from({ length: config["num_hidden_layers"] as number }, (_, layer) => forLayer(layer));
};

test("dots3-note as published, with the numbers of transformers 5.24's Dots3NoteTextRotaryEmbedding", () => {
  const config = {
    model_type: "dots3_note_text",
    num_hidden_layers: 6,
    rope_theta: 5_000_000,
    swa_rope_theta: 20_000,
    swa_head_dim: 192,
    swa_qk_nope_head_dim: 160,
    swa_qk_rope_head_dim: 32,
  };
  const indexed = { width: 64, base: 5_000_000, second: 0.6175287365913391 };
  const sliding = { width: 32, base: 20_000, second: 0.5384998917579651 };
  const expected = [indexed, indexed, sliding, sliding, sliding, indexed];
  each(config).forEach((rope, layer) => {
    const { base, second, width } = expected[layer]!;
    expect(rope).toMatchObject({ base, headDim: width, rotaryDim: width, pairing: "adjacent" });
    expect(ulps(rope!.frequencies().invFreq[1]!, second)).toBeLessThanOrEqual(1);
  });
  const silent = each({ model_type: "dots3_note_text", num_hidden_layers: 6 });
  expect(silent.map((rope) => rope!.base)).toEqual([8e7, 8e7, 5e4, 5e4, 5e4, 8e7]);
});

test("PLaMo 3: sliding layers have rope_local_theta and no scaling; YaRN stands in flat keys", () => {
  const plamo: Json = { ...size, model_type: "plamo3", rope_theta: 1_000_000, rope_local_theta: 10_000 };
  // One of eight layers is full: llama.cpp `load_swa_pattern(ml, 8)`.
  const types = [...new Array<string>(7).fill("sliding_attention"), "full_attention"];
  for (const config of [plamo, { ...plamo, layer_types: types }, { ...plamo, rope_scaling_factor: 1 }]) {
    expect(each(config).map((rope) => [rope!.ropeType, rope!.base])).toEqual(
      types.map((type) => ["default", type === "full_attention" ? 1_000_000 : 10_000]),
    );
  }
  const long = each({ ...plamo, rope_scaling_factor: 4, initial_context_length: 8192 });
  expect(long[0]).toMatchObject({ ropeType: "default", base: 10_000 });
  expect(long[7]).toMatchObject({ ropeType: "yarn", base: 1_000_000 });
  expect(long[7]!.spec.parameters).toMatchObject({
    factor: 4,
    originalMaxPosition: 8192,
    betaFast: 32,
    betaSlow: 1,
    truncate: false,
  });
  const { issues } = failure(() =>
    ropesFromConfig({ ...plamo, rope_scaling_factor: "4", initial_context_length: 8192 }),
  );
  expect(issues).toMatchObject([{ path: expect.stringContaining("factor") }]);
});

test("Step-5: lists by layer, and yarn_only_types", () => {
  const config: Json = {
    ...size,
    num_hidden_layers: 4,
    model_type: "step5",
    head_dim: 128,
    layer_types: ["full_attention", "sliding_attention", "full_attention", "sliding_attention"],
    rope_theta: [5_000_000, 10_000, 5_000_000, 10_000],
    partial_rotary_factors: [0.5, 1, 0.5, 1],
    use_rope_layers: [true, true, false, true],
    rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 8192 },
    yarn_only_types: ["full_attention"],
  };
  const shown = (more: Json) =>
    each({ ...config, ...more }).map((rope) => rope && [rope.ropeType, rope.base, rope.rotaryDim]);
  expect(shown({})).toEqual([["yarn", 5e6, 64], ["default", 1e4, 128], null, ["default", 1e4, 128]]);
  // vLLM: `if yarn_only_types and layer_type not in yarn_only_types`
  expect(shown({ yarn_only_types: null })).toEqual([["yarn", 5e6, 64], ["yarn", 1e4, 128], null, ["yarn", 1e4, 128]]);
});

test("Spark 2.5: a share and a base for each layer type", () => {
  const silent = each({ ...size, num_hidden_layers: 4, model_type: "spark2_5" });
  expect(silent.map((rope) => [rope!.base, rope!.headDim, rope!.rotaryDim])).toEqual([
    ...new Array<number[]>(3).fill([10_000, 256, 256]),
    [5_000_000, 256, 64],
  ]);
  const rope_parameters = {
    full_attention: { rope_theta: 1_000_000, partial_rotary_factor: 0.5 },
    sliding_attention: { rope_theta: 20_000, partial_rotary_factor: 1 },
  };
  const stated = each({ ...size, num_hidden_layers: 4, model_type: "spark2_5", head_dim: 128, rope_parameters });
  expect(stated.slice(2).map((rope) => [rope!.base, rope!.rotaryDim])).toEqual([
    [20_000, 128],
    [1_000_000, 64],
  ]);
});

test("Moondream 3 rotates 32 of 64 elements, in halves", () => {
  const config: Json = {
    model_type: "moondream3_text",
    dim: 2048,
    n_heads: 32,
    num_hidden_layers: 1,
    max_context: 4096,
  };
  const [rope] = each(config);
  expect(rope).toMatchObject({ headDim: 64, rotaryDim: 32, base: 1_500_000, pairing: "half", maxPosition: 4096 });
  expect(rope!.frequencies().invFreq[5]).toBeCloseTo(1_500_000 ** (-10 / 32), 6);
});

test("Domyn's position_layers", () => {
  const config: Json = {
    ...size,
    num_hidden_layers: 3,
    model_type: "domyn_edge",
    rope_theta: 10_000,
    position_layers: ["rope", "nope", "rope"],
  };
  expect(each(config).map((rope) => rope?.base)).toEqual([10_000, undefined, 10_000]);
  const { issues } = failure(() => ropesFromConfig({ ...config, position_layers: ["rope", "alibi", "rope"] }));
  expect(issues).toMatchObject([{ path: "position_layers[1]", received: '"alibi"' }]);
});

test("Talkie turns backwards in its published weights", () => {
  expect(
    each({ ...size, num_hidden_layers: 1, model_type: "talkie", head_dim: 128, rope_theta: 1e4 })[0]!.spec,
  ).toMatchObject({
    direction: -1,
    pairing: "half",
  });
});

test("Kimi K3 never rotates; its drafter does", () => {
  const latent = { qk_rope_head_dim: 64, qk_nope_head_dim: 128, num_hidden_layers: 2, max_position_embeddings: 4096 };
  const model: Json = { ...latent, model_type: "kimi_k3", mla_use_nope: true };
  expect(each(model)).toEqual([null, null]);
  expect(notesAt(model, "mla_use_nope")).toMatchObject([{ kind: "implied" }]);
  expect(each({ ...latent, model_type: "k3_dspark" })[0]).toMatchObject({
    base: 50_000,
    headDim: 64,
    pairing: "adjacent",
  });
});

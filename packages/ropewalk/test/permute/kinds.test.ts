/**
 * Weights as fine-tuning and other engines write them, and what cannot be permuted: with an attention of the tests'
 * own, the products of queries and keys are the same before and after.
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { folder, normal, permuteHere, readSafetensors, ropewalk, writeConfig, writeSafetensors } from "../support.ts";
import { distance, scores } from "./attention.ts";
import type { AttentionModel, Weights } from "./attention.ts";

const llama = {
  model_type: "llama",
  hidden_size: 12,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 8,
  num_hidden_layers: 1,
  max_position_embeddings: 64,
  rope_theta: 10_000,
};

type Shapes = Readonly<Record<string, readonly number[]>>;

/** Random tensors of these shapes, under a prefix. */
function random(
  prefix: string,
  shapes: Shapes,
  seed = 1,
): Record<string, { shape: number[]; dtype: string; data: Float32Array }> {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape], i) => {
      const count = shape.reduce((product, size) => product * size, 1);
      const data = Float32Array.from(normal(count, 100 * seed + i), (value) => value / 2 + 0.1);
      return [`${prefix}.${name}`, { shape: [...shape], dtype: "F32", data }];
    }),
  );
}

const prefix = "model.layers.0.self_attn";
const rest: Shapes = { "v_proj.weight": [16, 12], "o_proj.weight": [12, 32] };
const plain: Shapes = { "q_proj.weight": [32, 12], "k_proj.weight": [16, 12], ...rest };
const separate = { kind: "separate", query: "q_proj", key: "k_proj" } as const;
const attention: AttentionModel = { prefix, heads: 4, keyHeads: 2, headDim: 8, base: 10_000, layout: separate };

const hidden = Array.from({ length: 4 }, (_, t) => [...normal(12, 7 + t)]);
const input = { hidden, positions: [0, 1, 5, 40] };

interface Kind {
  readonly shapes: Shapes;
  readonly model?: Partial<AttentionModel>;
  readonly config?: Readonly<Record<string, unknown>>;
  /** Names of the tensors that move, without the prefix. */
  readonly moved: readonly string[];
  /** The tensors of another file that belong to these: the model of an adapter. */
  readonly base?: Shapes;
}

const kinds: readonly (readonly [what: string, kind: Kind])[] = [
  [
    "PEFT: base_layer, lora_A and lora_B of an adapter by its name",
    {
      shapes: {
        "q_proj.base_layer.weight": [32, 12],
        "q_proj.lora_A.default.weight": [3, 12],
        "q_proj.lora_B.default.weight": [32, 3],
        "k_proj.base_layer.weight": [16, 12],
      },
      model: { scale: 2 },
      moved: ["q_proj.base_layer.weight", "q_proj.lora_B.default.weight", "k_proj.base_layer.weight"],
    },
  ],
  [
    "DoRA: a magnitude for each row",
    {
      shapes: {
        "q_proj.base_layer.weight": [32, 12],
        "q_proj.lora_A.default.weight": [3, 12],
        "q_proj.lora_B.default.weight": [32, 3],
        "q_proj.lora_magnitude_vector.default.weight": [32],
        "k_proj.weight": [16, 12],
        ...rest,
      },
      moved: [
        "q_proj.base_layer.weight",
        "q_proj.lora_B.default.weight",
        "q_proj.lora_magnitude_vector.default.weight",
        "k_proj.weight",
      ],
    },
  ],
  [
    "mlx-lm: lora_b is transposed, so its columns move",
    {
      shapes: {
        ...plain,
        "q_proj.lora_a": [12, 3],
        "q_proj.lora_b": [3, 32],
        "k_proj.lora_a": [12, 3],
        "k_proj.lora_b": [3, 16],
      },
      moved: ["q_proj.weight", "k_proj.weight", "q_proj.lora_b", "k_proj.lora_b"],
    },
  ],
  [
    "mlx-lm's DoRA",
    {
      shapes: {
        "q_proj.linear.weight": [32, 12],
        "q_proj.lora_a": [12, 3],
        "q_proj.lora_b": [3, 32],
        "q_proj.m": [32],
        "k_proj.weight": [16, 12],
        ...rest,
      },
      moved: ["q_proj.linear.weight", "q_proj.lora_b", "q_proj.m", "k_proj.weight"],
    },
  ],
  [
    "an adapter alone, of queries only",
    {
      shapes: {
        "q_proj.lora_A.weight": [3, 12],
        "q_proj.lora_B.weight": [32, 3],
        "v_proj.lora_A.weight": [3, 12],
        "v_proj.lora_B.weight": [16, 3],
      },
      base: plain,
      moved: ["q_proj.lora_B.weight"],
    },
  ],
  [
    "InternLM2: queries, key and value of one group after another",
    {
      shapes: { "wqkv.weight": [64, 12], "wo.weight": [12, 32] },
      config: { ...llama, model_type: "internlm2" },
      model: { layout: { kind: "fused", name: "wqkv", order: "per-group" } },
      moved: ["wqkv.weight"],
    },
  ],
  [
    "Qwen: all queries, keys and values with a bias",
    {
      shapes: { "c_attn.weight": [96, 12], "c_attn.bias": [96], "c_proj.weight": [12, 32] },
      config: { ...llama, model_type: "qwen", num_key_value_heads: 4 },
      model: { keyHeads: 4, layout: { kind: "fused", name: "c_attn", order: "concatenated" } },
      moved: ["c_attn.weight", "c_attn.bias"],
    },
  ],
  [
    "LoRA on a gated query projection: the rows of gates stay",
    {
      shapes: {
        ...plain,
        "q_proj.weight": [64, 12],
        "q_proj.lora_A.weight": [3, 12],
        "q_proj.lora_B.weight": [64, 3],
        "q_norm.weight": [8],
        "k_norm.weight": [8],
      },
      config: {
        ...llama,
        model_type: "qwen3_5_text",
        layer_types: ["full_attention"],
        rope_theta: undefined,
        rope_parameters: {
          rope_type: "default",
          rope_theta: 10_000,
          partial_rotary_factor: 1,
          mrope_section: [2, 1, 1],
        },
      },
      model: {
        layout: { ...separate, gated: true },
        norm: { names: ["q_norm", "k_norm"], kind: "rms", over: "head", lessOne: true },
      },
      moved: ["q_proj.weight", "q_proj.lora_B.weight", "k_proj.weight", "q_norm.weight", "k_norm.weight"],
    },
  ],
];

test.each(kinds)("%s", async (_, { base = {}, config = llama, model, moved, shapes }) => {
  const path = folder();
  const names = ["in", "out", "back"].map((name) => join(path, `${name}.safetensors`));
  const [first, second, third] = names as [string, string, string];
  const tensors = random(prefix, shapes);
  writeSafetensors(first, tensors);
  const settings = writeConfig(config);
  await permuteHere(first, second, { config: settings, from: "half", to: "adjacent" });
  const after = readSafetensors(second);
  const changed = Object.keys(after).filter(
    (name) => !Buffer.from(after[name]!.data.buffer).equals(Buffer.from(tensors[name]!.data.buffer)),
  );
  expect(changed.toSorted()).toEqual(moved.map((name) => `${prefix}.${name}`).toSorted());

  const how = { ...attention, ...model };
  let [old, now]: [Weights, Weights] = [tensors, after];
  if (Object.keys(base).length > 0) {
    // The model of the adapter is permuted too.
    const [whole, permuted] = [join(path, "whole.safetensors"), join(path, "permuted.safetensors")];
    writeSafetensors(whole, random(prefix, base, 2));
    await permuteHere(whole, permuted, { config: settings, from: "half", to: "adjacent" });
    [old, now] = [
      { ...tensors, ...random(prefix, base, 2) },
      { ...after, ...readSafetensors(permuted) },
    ];
  }
  const expected = scores(old, how, input, "half");
  // The same numbers in another order of sums.
  expect(distance(scores(now, how, input, "adjacent"), expected)).toBeLessThan(1e-9);
  expect(distance(scores(now, how, input, "half"), expected)).toBeGreaterThan(0.01);

  await permuteHere(second, third, { config: settings, from: "adjacent", to: "half" });
  expect(readFileSync(third).equals(readFileSync(first))).toBe(true);
});

test("Hunyuan's query_layernorm and key_layernorm: half to adjacent is the order 0, 4, 1, 5, 2, 6, 3, 7", async () => {
  const path = folder();
  const [from, to] = [join(path, "in.safetensors"), join(path, "out.safetensors")];
  const norms = { "query_layernorm.weight": [8], "key_layernorm.weight": [8] };
  const tensors = random(prefix, { ...plain, ...norms });
  for (const name of Object.keys(norms)) tensors[`${prefix}.${name}`]!.data = Float32Array.of(0, 1, 2, 3, 4, 5, 6, 7);
  writeSafetensors(from, tensors);
  const config = writeConfig({ ...llama, model_type: "hunyuan_v1_dense" });
  await permuteHere(from, to, { config, from: "half", to: "adjacent" });
  for (const name of Object.keys(norms)) {
    expect([...readSafetensors(to)[`${prefix}.${name}`]!.data], name).toEqual([0, 4, 1, 5, 2, 6, 3, 7]);
  }
});

const latent = {
  model_type: "deepseek_v32",
  hidden_size: 12,
  num_attention_heads: 2,
  num_key_value_heads: 2,
  num_hidden_layers: 1,
  kv_lora_rank: 10,
  q_lora_rank: 6,
  qk_nope_head_dim: 6,
  qk_rope_head_dim: 8,
  v_head_dim: 5,
  index_n_heads: 3,
  index_head_dim: 12,
  max_position_embeddings: 64,
  rope_theta: 10_000,
};
const indexed: Shapes = {
  "q_a_proj.weight": [6, 12],
  "q_a_layernorm.weight": [6],
  "q_b_proj.weight": [28, 6],
  "kv_a_proj_with_mqa.weight": [18, 12],
  "kv_a_layernorm.weight": [10],
  "kv_b_proj.weight": [22, 10],
  "o_proj.weight": [12, 10],
  "indexer.wq_b.weight": [36, 6],
  "indexer.wk.weight": [12, 12],
  "indexer.k_norm.weight": [12],
  "indexer.k_norm.bias": [12],
  "indexer.weights_proj.weight": [3, 12],
};

test("DeepSeek-V3.2: the indexer has halves of its own, so it stays when the attention becomes halves, and back", async () => {
  const path = folder();
  const names = ["in", "out", "back"].map((name) => join(path, `${name}.safetensors`));
  const [first, second, third] = names as [string, string, string];
  const tensors = random(prefix, indexed);
  writeSafetensors(first, tensors);
  const settings = writeConfig(latent);
  const lines = await permuteHere(first, second, { config: settings, from: "adjacent", to: "half" });
  expect(lines.join("\n")).toContain("4 tensors of indexers");
  const after = readSafetensors(second);
  for (const name of Object.keys(indexed)) {
    const isSame = Buffer.from(after[`${prefix}.${name}`]!.data.buffer).equals(
      Buffer.from(tensors[`${prefix}.${name}`]!.data.buffer),
    );
    expect(isSame, name).toBe(!["q_b_proj.weight", "kv_a_proj_with_mqa.weight"].includes(name));
  }
  await permuteHere(second, third, { config: settings, from: "half", to: "adjacent" });
  expect(readFileSync(third).equals(readFileSync(first))).toBe(true);
});

const twoLayers = { ...llama, num_hidden_layers: 2 };

test.each<[what: string, shapes: Shapes, config: Readonly<Record<string, unknown>>, words: readonly string[]]>([
  ["a norm by an unknown name", { ...plain, "q_rms.weight": [8] }, llama, ["q_rms.weight", "--leave-pattern"]],
  ["a scale of queries", { ...plain, per_dim_scale: [8] }, llama, ["per_dim_scale", "--leave-pattern"]],
  ["a key by an unknown name", { "q_proj.weight": [32, 12], "kk_proj.weight": [16, 12] }, llama, ["kk_proj.weight"]],
  ["queries alone", { "q_proj.weight": [32, 12], ...rest }, llama, ["no key projection", "index"]],
  ["keys alone", { "k_proj.weight": [16, 12], ...rest }, llama, ["no query projection"]],
  ["an unknown adapter", { ...plain, "q_proj.hada_w1_a": [32, 3] }, llama, ["q_proj.hada_w1_a"]],
  ["a convolution of queries and keys", { ...plain, "conv_qk.weight": [48, 1, 4] }, llama, ["conv_qk.weight"]],
  [
    "a transposed projection (Conv1D)",
    { "c_attn.weight": [12, 96], "c_proj.weight": [32, 12] },
    { ...llama, model_type: "qwen", num_key_value_heads: 4 },
    ["12 rows"],
  ],
  [
    "an indexer of a model that has none",
    { ...plain, "indexer.wk.weight": [12, 12] },
    llama,
    ["indexer.wk.weight", "no indexer"],
  ],
  [
    "keys and values in one projection (DeepSeek-V4)",
    { ...indexed, "kv_proj.weight": [8, 12] },
    latent,
    ["kv_proj.weight"],
  ],
  ["a latent norm of an unknown size", { ...indexed, "q_norm.weight": [7] }, latent, ["q_norm.weight", "7 elements"]],
  ["a norm of three heads", { ...plain, "q_norm.weight": [3, 8] }, llama, ["q_norm.weight", "1 or 4"]],
  ["no tensor of a layer", plain, twoLayers, ["layer 1", "index"]],
])("%s: refused by name, nothing written", async (_, shapes, config, words) => {
  const path = folder();
  const [from, to] = [join(path, "in.safetensors"), join(path, "out.safetensors")];
  writeSafetensors(from, random(prefix, shapes));
  const run = permuteHere(from, to, { config: writeConfig(config), from: "half", to: "adjacent" });
  const error = await run.then(
    () => undefined,
    (reason: unknown) => reason as Error & { code: string },
  );
  expect(error?.code).toBe("FILE_FORMAT");
  for (const word of words) expect(error!.message).toContain(word);
  expect(existsSync(to)).toBe(false);
});

test("keys that serve as values, which shows by the other layers: refused (Gemma 4)", async () => {
  const path = folder();
  const [from, to] = [join(path, "in.safetensors"), join(path, "out.safetensors")];
  const { "v_proj.weight": _, ...without } = plain;
  writeSafetensors(from, {
    ...random("model.layers.0.self_attn", plain),
    ...random("model.layers.1.self_attn", without),
  });
  await expect(permuteHere(from, to, { config: writeConfig(twoLayers), from: "half", to: "adjacent" })).rejects.toThrow(
    /layer 1 .* no value projection/,
  );
});

const sizes: Readonly<Record<string, number>> = { F32: 4, F16: 2, I32: 4, U32: 4, I64: 8, U8: 1, I8: 1, F8_E4M3: 1 };
type Stored = readonly [dtype: string, ...shape: number[]];

/** The tensors that each tool writes for a projection of `rows` and 128 columns. */
const quantised: readonly (readonly [tool: string, parts: (rows: number) => Readonly<Record<string, Stored>>])[] = [
  [
    "GPTQ",
    (rows) => ({
      qweight: ["I32", 16, rows],
      qzeros: ["I32", 1, rows / 8],
      scales: ["F16", 1, rows],
      g_idx: ["I32", 128],
    }),
  ],
  ["AWQ", (rows) => ({ qweight: ["I32", 128, rows / 8], qzeros: ["I32", 1, rows / 8], scales: ["F16", 1, rows] })],
  ["mlx-lm", (rows) => ({ weight: ["U32", rows, 16], scales: ["F16", rows, 2], biases: ["F16", rows, 2] })],
  [
    "bitsandbytes, 4 bits",
    (rows) => ({
      weight: ["U8", rows * 64, 1],
      "weight.absmax": ["U8", rows * 2],
      "weight.quant_map": ["F32", 16],
      "weight.nested_absmax": ["F32", 1],
      "weight.quant_state.bitsandbytes__nf4": ["U8", 90],
    }),
  ],
  ["bitsandbytes, 8 bits", (rows) => ({ weight: ["I8", rows, 128], SCB: ["F32", rows], weight_format: ["U8"] })],
  ["FP8 in blocks", (rows) => ({ weight: ["F8_E4M3", rows, 128], weight_scale_inv: ["F32", rows / 16, 8] })],
  ["FP8 by rows", (rows) => ({ weight: ["F8_E4M3", rows, 128], weight_scale: ["F32", rows, 1] })],
  [
    "compressed-tensors",
    (rows) => ({ weight_packed: ["I32", rows, 16], weight_scale: ["F16", rows, 1], weight_shape: ["I64", 2] }),
  ],
  ["NVFP4", (rows) => ({ weight: ["U8", rows, 64], weight_scale: ["F8_E4M3", rows, 8], weight_scale_2: ["F32"] })],
  ["HQQ", (rows) => ({ W_q: ["U8", rows * 64, 1], meta_scale: ["F16", rows, 1], meta_zero: ["F16", rows, 1] })],
];

const stored = ([dtype, ...shape]: Stored): { dtype: string; shape: number[]; data: Uint8Array } => ({
  dtype,
  shape,
  data: Uint8Array.from({ length: sizes[dtype]! * shape.reduce((a, b) => a * b, 1) }, (_, i) => i % 251),
});

test.each(quantised)("weights quantised by %s: refused, whichever projection has them", async (_, partsOf) => {
  const path = folder();
  const [from, to] = [join(path, "in.safetensors"), join(path, "out.safetensors")];
  const whole = random(prefix, { "q_proj.weight": [32, 128], "k_proj.weight": [16, 128] });
  for (const [name, rows] of [["q_proj", 32] as const, ["k_proj", 16] as const]) {
    const { [`${prefix}.${name}.weight`]: __, ...others } = whole;
    const parts = Object.entries(partsOf(rows)).map(([part, of]) => [`${prefix}.${name}.${part}`, stored(of)] as const);
    writeSafetensors(from, { ...others, ...Object.fromEntries(parts) });
    await expect(
      permuteHere(from, to, { config: writeConfig(llama), from: "half", to: "adjacent" }),
    ).rejects.toMatchObject({ code: "FILE_FORMAT", message: expect.stringContaining(`${prefix}.${name}`) });
    expect(existsSync(to)).toBe(false);
  }
});

test("FP8 with one scale for the whole tensor: its rows move", async () => {
  const path = folder();
  const [from, to] = [join(path, "in.safetensors"), join(path, "out.safetensors")];
  const tensors = {
    [`${prefix}.q_proj.weight`]: stored(["F8_E4M3", 32, 128]),
    [`${prefix}.q_proj.weight_scale`]: stored(["F32"]),
    [`${prefix}.q_proj.input_scale`]: stored(["F32", 1]),
    [`${prefix}.k_proj.weight`]: stored(["F8_E4M3", 16, 128]),
    [`${prefix}.k_proj.weight_scale`]: stored(["F32"]),
  };
  writeSafetensors(from, tensors);
  const [line] = await permuteHere(from, to, { config: writeConfig(llama), from: "half", to: "adjacent" });
  expect(line).toContain("2 tensors from half to adjacent, 3 as they were");
  const length = (file: Buffer): number => 8 + Number(file.readBigUInt64LE(0));
  const [before, after] = [readFileSync(from), readFileSync(to)];
  const row = (file: Buffer, index: number): Buffer =>
    file.subarray(length(file) + 128 * index, length(file) + 128 * (index + 1));
  // Of the first head: element 0, then 4, then 1.
  expect([0, 1, 2].map((i) => row(after, i))).toEqual([0, 4, 1].map((i) => row(before, i)));
});

test("an adapter of keys that serve as values by the config: refused (Gemma 4)", async () => {
  const path = folder();
  const [from, to] = [join(path, "in.safetensors"), join(path, "out.safetensors")];
  writeSafetensors(from, random(prefix, { "k_proj.lora_A.weight": [3, 12], "k_proj.lora_B.weight": [16, 3] }));
  const run = (config: object): Promise<unknown> =>
    permuteHere(from, to, { config: writeConfig(config), from: "half", to: "adjacent" });
  await expect(run({ ...llama, attention_k_eq_v: true })).rejects.toThrow(
    /k_proj\.lora_\w\.weight, but by attention_k_eq_v keys serve as values/,
  );
  expect(existsSync(to)).toBe(false);
  await run({ ...llama, attention_k_eq_v: false });
  expect(existsSync(to)).toBe(true);
});

test("names without numbers of layers: each attention has to be complete", async () => {
  const path = folder();
  const [from, to] = [join(path, "in.safetensors"), join(path, "out.safetensors")];
  const settings = { config: writeConfig(twoLayers), from: "half", to: "adjacent" };
  writeSafetensors(from, { ...random("first.self_attn", plain), ...random("second.self_attn", plain, 2) });
  expect((await permuteHere(from, to, settings))[0]).toContain("4 tensors");
  const { "k_proj.weight": _, ...without } = plain;
  writeSafetensors(from, { ...random("first.self_attn", plain), ...random("second.self_attn", without, 2) });
  await expect(permuteHere(from, join(path, "none"), settings)).rejects.toThrow(
    /second\.self_attn of .* no key projection/,
  );
});

test("a gate that has queries of its own: refused", async () => {
  const path = folder();
  const [from, to] = [join(path, "in.safetensors"), join(path, "out.safetensors")];
  writeSafetensors(from, random(prefix, { ...plain, "gate.q_proj.weight": [32, 12] }));
  await expect(permuteHere(from, to, { config: writeConfig(llama), from: "half", to: "adjacent" })).rejects.toThrow(
    /gate\.q_proj\.weight/,
  );
});

test("--leave-pattern settles what is not recognised; the rest is permuted", async () => {
  const path = folder();
  const [from, to] = [join(path, "in.safetensors"), join(path, "out.safetensors")];
  const shapes = { ...plain, "q_rms.weight": [8] };
  writeSafetensors(from, random(prefix, shapes));
  const [line] = await permuteHere(from, to, {
    config: writeConfig(llama),
    from: "half",
    to: "adjacent",
    leavePattern: String.raw`q_rms\.weight$`,
  });
  expect(line).toContain("2 tensors from half to adjacent, 3 as they were");
});

test("--query-pattern for a norm by another name", async () => {
  const path = folder();
  const [from, to] = [join(path, "in.safetensors"), join(path, "out.safetensors")];
  const tensors = random(prefix, { ...plain, "qk_rms_norm_q.weight": [8], "qk_rms_norm_k.weight": [8] });
  writeSafetensors(from, tensors);
  await permuteHere(from, to, {
    config: writeConfig(llama),
    from: "half",
    to: "adjacent",
    queryPattern: String.raw`qk_rms_norm_q`,
    keyPattern: String.raw`qk_rms_norm_k`,
  });
  const model: AttentionModel = {
    ...attention,
    norm: { names: ["qk_rms_norm_q", "qk_rms_norm_k"], kind: "rms", over: "head" },
  };
  const expected = scores(tensors, model, input, "half");
  expect(distance(scores(readSafetensors(to), model, input, "adjacent"), expected)).toBeLessThan(1e-9);
});

test("attentions in two places: refused, and each can be left", async () => {
  const path = folder();
  const from = join(path, "in.safetensors");
  writeSafetensors(from, {
    ...random("thinker.model.layers.0.self_attn", plain),
    ...random("talker.model.layers.0.self_attn", plain),
  });
  const settings = { config: writeConfig(llama), from: "half", to: "adjacent" };
  await expect(permuteHere(from, join(path, "none.safetensors"), settings)).rejects.toThrow(
    /several places.*--leave-pattern/,
  );
  const [line] = await permuteHere(from, join(path, "out.safetensors"), { ...settings, leavePattern: "^talker" });
  expect(line).toContain("2 tensors");
});

test("tensors over each other, also such that stay: refused", async () => {
  const path = folder();
  const [from, to] = [join(path, "in.safetensors"), join(path, "out.safetensors")];
  writeSafetensors(from, random(prefix, plain));
  const bytes = readFileSync(from);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Record<string, { data_offsets: number[] }>;
  const value = header[`${prefix}.v_proj.weight`]!;
  const query = header[`${prefix}.q_proj.weight`]!;
  value.data_offsets = [query.data_offsets[0]!, query.data_offsets[0]! + 4 * 16 * 12];
  const text = Buffer.from(JSON.stringify(header));
  const prefixBytes = Buffer.alloc(8);
  prefixBytes.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(from, Buffer.concat([prefixBytes, text, bytes.subarray(8 + length)]));
  await expect(permuteHere(from, to, { config: writeConfig(llama), from: "half", to: "adjacent" })).rejects.toThrow(
    /[qv]_proj\.weight and [^ ]*[qv]_proj\.weight lie over each other/,
  );
});

test("the command line: a tensor that is not recognised is named in one sentence, exit code 2", () => {
  const path = folder();
  const [from, to] = [join(path, "in.safetensors"), join(path, "out.safetensors")];
  writeSafetensors(from, random(prefix, { ...plain, "q_rms.weight": [8] }));
  const args = ["permute", from, to, "--config", writeConfig(llama), "--from", "half", "--to", "adjacent"];
  const run = ropewalk(args);
  expect(run).toMatchObject({ status: 2, stdout: "" });
  expect(run.stderr).toMatch(
    /^ropewalk: [^\n]*model\.layers\.0\.self_attn\.q_rms\.weight, which is not recognised[^\n]*\n$/,
  );
  expect(ropewalk([...args, "--leave-pattern", "q_rms"])).toMatchObject({ status: 0, stderr: "" });
});

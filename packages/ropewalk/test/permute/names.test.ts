/**
 * Random names: whatever a tensor is called, a model is permuted as a whole or refused. A name that is not understood
 * is never left behind in silence.
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { folder, permuteHere, readSafetensors, writeConfig, writeSafetensors } from "../support.ts";

const llama = {
  model_type: "llama",
  hidden_size: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 4,
  num_hidden_layers: 2,
  max_position_embeddings: 64,
  rope_theta: 10_000,
};
const latent = {
  model_type: "deepseek_v32",
  hidden_size: 3,
  num_attention_heads: 2,
  num_key_value_heads: 2,
  num_hidden_layers: 2,
  kv_lora_rank: 3,
  q_lora_rank: 5,
  qk_nope_head_dim: 2,
  qk_rope_head_dim: 4,
  v_head_dim: 2,
  index_n_heads: 3,
  index_head_dim: 6,
  max_position_embeddings: 64,
  rope_theta: 10_000,
};

type Layer = readonly (readonly [name: string, shape: readonly number[], moves: boolean])[];

const beside: Layer = [
  ["mlp.up_proj.weight", [5, 3], false],
  ["input_layernorm.weight", [3], false],
];

/** One layer of each kind, with what is to happen to each tensor. */
const layers: readonly (readonly [config: object, layer: Layer])[] = [
  [
    llama,
    [
      ["self_attn.q_proj.weight", [16, 3], true],
      ["self_attn.k_proj.weight", [8, 3], true],
      ["self_attn.q_proj.bias", [16], true],
      ["self_attn.k_proj.bias", [8], true],
      ["self_attn.q_norm.weight", [4], true],
      ["self_attn.k_norm.weight", [2, 4], true],
      ["self_attn.v_proj.weight", [8, 3], false],
      ["self_attn.o_proj.weight", [3, 16], false],
      ...beside,
    ],
  ],
  [
    llama,
    [
      ["attention.wq.base_layer.weight", [16, 3], true],
      ["attention.wq.lora_A.default.weight", [2, 3], false],
      ["attention.wq.lora_B.default.weight", [16, 2], true],
      ["attention.wq.lora_magnitude_vector.default.weight", [16], true],
      ["attention.wk.weight", [8, 3], true],
      ["attention.wk.lora_a", [3, 2], false],
      ["attention.wk.lora_b", [2, 8], true],
      ["attention.wv.weight", [8, 3], false],
      ["attention.wo.weight", [3, 16], false],
      ...beside,
    ],
  ],
  [
    { ...llama, model_type: "internlm2" },
    [
      ["attention.wqkv.weight", [32, 3], true],
      ["attention.wqkv.bias", [32], true],
      ["attention.query_layernorm.weight", [4], true],
      ["attention.key_layernorm.bias", [4], true],
      ["attention.wo.weight", [3, 16], false],
      ...beside,
    ],
  ],
  [
    latent,
    [
      ["self_attn.q_a_proj.weight", [5, 3], false],
      ["self_attn.q_a_layernorm.weight", [5], false],
      ["self_attn.q_b_proj.weight", [12, 5], true],
      ["self_attn.kv_a_proj_with_mqa.weight", [7, 3], true],
      ["self_attn.kv_a_layernorm.weight", [3], false],
      ["self_attn.kv_b_proj.weight", [8, 3], false],
      ["self_attn.o_proj.weight", [3, 4], false],
      ["self_attn.indexer.wq_b.weight", [18, 5], false],
      ["self_attn.indexer.wk.weight", [6, 3], false],
      ["self_attn.indexer.k_norm.weight", [6], false],
      ["self_attn.indexer.k_norm.bias", [6], false],
      ...beside,
    ],
  ],
];

/** Names of modules that exist, and that mean what they say: a norm called v_norm is one of values. */
const real = new Set(
  "q_proj k_proj v_proj o_proj g_proj wq wk wv wo q_norm k_norm v_norm q_a_proj q_b_proj kv_b_proj wq_b lora_A lora_B lora_a lora_b weight bias".split(
    " ",
  ),
);

/** Changes a part of a name: other letters, another order, one part less or more. */
const change = fc.record({
  part: fc.nat(),
  kind: fc.constantFrom("insert", "replace", "remove", "swap", "word", "drop", "add", "number"),
  at: fc.nat(),
  letter: fc.constantFrom(..."abkqvxz_019N"),
  word: fc.constantFrom(
    "q",
    "query",
    "k_rms",
    "rope_q",
    "scale",
    "proj",
    "norm",
    "attn2",
    "base",
    "qk_norm",
    "lora_C",
    "ln_q",
    "inner",
  ),
});
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

function changed(name: string, { at, kind, letter, part, word }: Change): string {
  const parts = name.split(".");
  const i = part % parts.length;
  const old = parts[i]!;
  const place = at % Math.max(1, old.length);
  const edits: Readonly<Record<Change["kind"], () => void>> = {
    insert: () => (parts[i] = old.slice(0, place) + letter + old.slice(place)),
    replace: () => (parts[i] = old.slice(0, place) + letter + old.slice(place + 1)),
    remove: () => (parts[i] = old.slice(0, place) + old.slice(place + 1)),
    swap: () => (parts[i] = [...old].reverse().join("")),
    word: () => (parts[i] = word),
    drop: () => void parts.splice(i, 1),
    add: () => void parts.splice(i, 0, word),
    number: () => (parts[i] = `${old}_${at % 10}`),
  };
  edits[kind]();
  const result = parts.join(".");
  // A part that becomes another real one is no misspelling.
  return parts[i] !== undefined && real.has(parts[i]) && parts[i] !== old ? name : result;
}

const some = fc.record({
  kind: fc.nat({ max: layers.length - 1 }),
  stack: fc.constantFrom("model.layers", "transformer.h", "base_model.model.model.layers", "layers"),
  changes: fc.array(fc.tuple(fc.nat(), change), { minLength: 1, maxLength: 4 }),
});

const path = folder();
let run = 0;

test("random names: all rows of queries and keys move, or nothing is written", async () => {
  const outcomes = { permuted: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(some, async ({ changes, kind, stack }) => {
      const [, layer] = layers[kind]!;
      const truth = [0, 1].flatMap((i) =>
        layer.map(([name, shape, moves]) => ({ name: `${stack}.${i}.${name}`, shape, moves })),
      );
      for (const [which, edit] of changes) {
        const one = truth[which % truth.length]!;
        const name = changed(one.name, edit);
        if (name !== "" && !truth.some((other) => other.name === name)) one.name = name;
      }
      const [from, to] = [join(path, `${++run}.safetensors`), join(path, `${run}-out.safetensors`)];
      const tensors = Object.fromEntries(truth.map(({ name, shape }) => [name, counted(shape)]));
      writeSafetensors(from, tensors);
      try {
        await permuteHere(from, to, { config: settings[kind]!, ...pairingsOf(kind) });
      } catch (error) {
        // A refusal, and no defect of ours.
        expect((error as { code?: string }).code).toMatch(/^(FILE_FORMAT|USAGE)$/);
        expect(existsSync(to)).toBe(false);
        outcomes.refused++;
        return;
      }
      outcomes.permuted++;
      const after = readSafetensors(to);
      for (const { moves, name } of truth) {
        const same = tensors[name]!.data.every((value, i) => value === after[name]!.data[i]);
        expect(same, `${name} of ${truth.map((one) => one.name).join(", ")}`).toBe(!moves);
      }
    }),
    { numRuns: 600 },
  );
  // Both happen: a changed name of values or of the feed-forward part may pass.
  expect(outcomes.permuted).toBeGreaterThan(10);
  expect(outcomes.refused).toBeGreaterThan(100);
}, 60_000);

/** Modules of an attention that are known, those that no layer here has included. */
const known = new Set(
  [
    "q_proj k_proj v_proj o_proj g_proj gate_proj out_proj c_q c_k c_v c_proj c_attn wq wk wv wo Wq Wk Wv Wo wqkv Wqkv",
    "qkv_proj query_key_value W_pack att_proj query key value dense dense_bias output_projection",
    "q_norm k_norm v_norm query_norm key_norm q_layernorm k_layernorm query_layernorm key_layernorm",
    "q_layer_norm k_layer_norm k_rope_only_layernorm attn_sub_norm inner_attn_ln subln gate gate_bias A dt_proj sinks sink bias masked_bias",
    "q_a_proj q_b_proj kv_a_proj_with_mqa kv_b_proj wq_a wq_b wkv_a wkv_a_with_mqa wkv_b q_a_layernorm q_a_norm",
    "kv_a_layernorm kv_a_norm rotary_emb rotary_pos_emb softmax_scaling lambda_q1 lambda_k1 lambda_q2 lambda_k2",
  ].flatMap((line) => line.split(" ")),
);

const word = fc.oneof(
  fc.constantFrom(
    ..."q k v qk qkv kv query key norm ln rms scale bias proj rope w head conv gate adapter lora".split(" "),
  ),
  fc.stringMatching(/^[a-zA-Z]{1,6}$/),
);
const module = fc
  .array(word, { minLength: 1, maxLength: 3 })
  .map((found) => found.join("_"))
  .filter((name) => !known.has(name));
/** What quantisation and adapters of other kinds put beside a weight, and any other part. */
const part = fc.oneof(
  fc.constantFrom(
    ..."qweight qzeros scales g_idx biases zeros weight_scale weight_scale_inv weight_zero_point weight_packed SCB".split(
      " ",
    ),
    ..."weight.absmax weight.quant_map weight.quant_state.bitsandbytes__nf4 weight.nested_absmax lora_A.default".split(
      " ",
    ),
    ..."lora_B.default lora_E hada_w1_a hada_w2_b lokr_w1 oft_R.default.weight vera_lambda_b.default ia3_l boft_s".split(
      " ",
    ),
    ..."modules_to_save.default.weight original_module.weight parametrizations.weight.original1 weight_g".split(" "),
  ),
  module.filter((name) => !/^(weight|bias|m|lora_[abAB]|lora_magnitude_vector)$/.test(name)),
);
/** The number of an own projection or norm of the layer, or another module. */
const inside = fc.oneof(
  fc.record({ beside: fc.nat(), path: part }),
  fc.record({
    beside: fc.constant(undefined),
    path: fc.oneof(
      module,
      fc.tuple(module, part).map((two) => two.join(".")),
    ),
  }),
  fc.record({
    beside: fc.constant(undefined),
    path: fc.tuple(module, fc.constantFrom("weight", "bias", "0.weight")).map((two) => two.join(".")),
  }),
);

test("a further tensor inside of an attention, under any name that is not known: refused with its name", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: layers.length - 1 }),
      fc.nat({ max: 1 }),
      inside,
      fc.constantFrom([4], [16], [2, 4], [16, 3], [1, 16], [3, 3]),
      async (kind, number, { beside: which, path: further }, shape) => {
        const [, layer] = layers[kind]!;
        const own = layer.filter(([, , moves]) => moves).map(([name]) => name.split(".").slice(0, 2).join("."));
        const attention = own[0]!.split(".")[0]!;
        const added = `model.layers.${number}.${which === undefined ? attention : own[which % own.length]!}.${further}`;
        const shapes = new Map<string, readonly number[]>([
          ...[0, 1].flatMap((i) => layer.map(([name, size]) => [`model.layers.${i}.${name}`, size] as const)),
          [added, shape],
        ]);
        const [from, to] = [join(path, `${++run}.safetensors`), join(path, `${run}-out.safetensors`)];
        writeSafetensors(from, Object.fromEntries([...shapes].map(([name, size]) => [name, counted(size)])));
        await expect(permuteHere(from, to, { config: settings[kind]!, ...pairingsOf(kind) })).rejects.toThrow(
          expect.objectContaining({ code: "FILE_FORMAT", message: expect.stringContaining(` ${added}`) }),
        );
        expect(existsSync(to)).toBe(false);
      },
    ),
    { numRuns: 500 },
  );
}, 60_000);

const settings = layers.map(([config]) => writeConfig(config));
const pairingsOf = (kind: number): { from: string; to: string } =>
  kind === 3 ? { from: "adjacent", to: "half" } : { from: "half", to: "adjacent" };
function counted(shape: readonly number[]): { dtype: string; shape: number[]; data: Float32Array } {
  const length = shape.reduce((product, size) => product * size, 1);
  return { dtype: "F32", shape: [...shape], data: Float32Array.from({ length }, (_, i) => i) };
}

/** `ropewalk permute` on GGUF files, which the test writes byte by byte. */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { folder, normal, permuteHere, ropewalk, writeConfig } from "../support.ts";
import { distance, scores } from "./attention.ts";
import type { AttentionModel, Numbers, Weights } from "./attention.ts";

interface GgufTensor {
  /** Rows first, as elsewhere in the tests; the file has them last. */
  readonly shape: readonly number[];
  readonly type: number;
  readonly data: Uint8Array;
}

type Value = number | string | boolean | readonly number[];

const uint32 = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer);
const uint64 = (value: number): Buffer => Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
const text = (value: string): Buffer => Buffer.concat([uint64(Buffer.byteLength(value)), Buffer.from(value)]);

/** Types of values by their number in the format: 4 uint32, 6 float32, 7 bool, 8 string, 9 list. */
function typed(value: Value): Buffer {
  if (typeof value === "string") return Buffer.concat([uint32(8), text(value)]);
  if (typeof value === "boolean") return Buffer.concat([uint32(7), Buffer.of(value ? 1 : 0)]);
  if (typeof value === "number") {
    return Number.isInteger(value)
      ? Buffer.concat([uint32(4), uint32(value)])
      : Buffer.concat([uint32(6), Buffer.from(Float32Array.of(value).buffer)]);
  }
  return Buffer.concat([uint32(9), uint32(4), uint64(value.length), ...value.map(uint32)]);
}

const aligned = (bytes: Uint8Array): Buffer => Buffer.concat([bytes, Buffer.alloc((32 - (bytes.length % 32)) % 32)]);

function writeGguf(
  path: string,
  values: Readonly<Record<string, Value>>,
  tensors: Readonly<Record<string, GgufTensor>>,
): string {
  let offset = 0;
  const infos = Object.entries(tensors).map(([name, { data, shape, type }]) => {
    const info = Buffer.concat([
      text(name),
      uint32(shape.length),
      ...shape.toReversed().map(uint64),
      uint32(type),
      uint64(offset),
    ]);
    offset += aligned(data).length;
    return info;
  });
  const header = Buffer.concat([
    Buffer.from("GGUF"),
    uint32(3),
    uint64(infos.length),
    uint64(Object.keys(values).length),
    ...Object.entries(values).flatMap(([key, value]) => [text(key), typed(value)]),
    ...infos,
  ]);
  writeFileSync(path, Buffer.concat([aligned(header), ...Object.values(tensors).map(({ data }) => aligned(data))]));
  return path;
}

/** The data of the tensors of a file with the same layout as `tensors`. */
function readBack(
  path: string,
  tensors: Readonly<Record<string, GgufTensor>>,
): Record<string, Uint8Array<ArrayBuffer>> {
  const bytes = readFileSync(path);
  const all = Object.entries(tensors);
  let start = bytes.length - all.reduce((sum, [, { data }]) => sum + aligned(data).length, 0);
  return Object.fromEntries(
    all.map(([name, { data }]) => {
      const own = Uint8Array.from(bytes.subarray(start, start + data.length));
      start += aligned(data).length;
      return [name, own];
    }),
  );
}

const bytesOf = (data: Float32Array | Uint16Array | Int8Array): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

let seed = 0;
const f32 = (...shape: number[]): GgufTensor => {
  const count = shape.reduce((product, size) => product * size, 1);
  return { shape, type: 0, data: bytesOf(Float32Array.from(normal(count, ++seed))) };
};

const toNumbers = (
  tensors: Readonly<Record<string, GgufTensor>>,
  data: Readonly<Record<string, Uint8Array>>,
): Weights =>
  Object.fromEntries(
    Object.entries(tensors).flatMap(([name, { shape, type }]): [string, Numbers][] =>
      type === 0 ? [[name, { shape, data: new Float32Array(Uint8Array.from(data[name]!).buffer) }]] : [],
    ),
  );

const metadata = (architecture: string, more: Readonly<Record<string, Value>> = {}): Record<string, Value> => ({
  "general.architecture": architecture,
  ...Object.fromEntries(
    Object.entries({
      block_count: 1,
      context_length: 64,
      embedding_length: 32,
      "attention.head_count": 4,
      "attention.head_count_kv": 2,
      "attention.key_length": 8,
      "rope.dimension_count": 8,
      ...more,
    }).map(([key, value]) => [`${architecture}.${key}`, value]),
  ),
});

const others = {
  "blk.0.attn_norm.weight": f32(32),
  "blk.0.ffn_up.weight": f32(6, 32),
  "token_embd.weight": f32(5, 32),
};
const plain = {
  ...others,
  "blk.0.attn_q.weight": f32(32, 32),
  "blk.0.attn_k.weight": f32(16, 32),
  "blk.0.attn_v.weight": f32(16, 32),
  "blk.0.attn_output.weight": f32(32, 32),
};
const separate = { kind: "separate", query: "attn_q", key: "attn_k" } as const;
const attention: AttentionModel = {
  prefix: "blk.0",
  heads: 4,
  keyHeads: 2,
  headDim: 8,
  base: 10_000,
  layout: separate,
};
const input = { hidden: [0, 1, 2].map((t) => [...normal(32, 50 + t)]), positions: [0, 3, 17] };

const kinds: readonly (readonly [
  string,
  Record<string, Value>,
  Record<string, GgufTensor>,
  Partial<AttentionModel>,
  "half" | "adjacent",
  number,
])[] = [
  [
    "Llama: adjacent pairs, biases",
    metadata("llama"),
    {
      ...plain,
      "blk.0.attn_q.bias": f32(32),
      "blk.0.attn_k.bias": f32(16),
      "rope_freqs.weight": { ...f32(4), data: bytesOf(new Float32Array(4).fill(1)) },
    },
    {},
    "adjacent",
    4,
  ],
  [
    "Qwen3: norms",
    metadata("qwen3"),
    { ...plain, "blk.0.attn_q_norm.weight": f32(8), "blk.0.attn_k_norm.weight": f32(8) },
    { norm: { names: ["attn_q_norm", "attn_k_norm"], kind: "rms", over: "head" } },
    "half",
    4,
  ],
  [
    "GPT-NeoX: its converter writes all queries, all keys, all values",
    metadata("gptneox", { "attention.head_count_kv": 4, "rope.dimension_count": 4 }),
    {
      ...others,
      "blk.0.attn_qkv.weight": f32(96, 32),
      "blk.0.attn_qkv.bias": f32(96),
      "blk.0.attn_output.weight": f32(32, 32),
    },
    { keyHeads: 4, rotaryDim: 4, layout: { kind: "fused", name: "attn_qkv", order: "concatenated" } },
    "half",
    2,
  ],
  [
    "Qwen3-Next: a gate in the query projection; the recurrent layer stays",
    metadata("qwen3next", { block_count: 4, full_attention_interval: 4, "rope.dimension_count": 4 }),
    {
      ...others,
      "blk.0.attn_qkv.weight": f32(96, 32),
      "blk.1.attn_qkv.weight": f32(96, 32),
      "blk.2.ssm_conv1d.weight": f32(4, 32),
      "blk.3.attn_q.weight": f32(64, 32),
      "blk.3.attn_k.weight": f32(16, 32),
      "blk.3.attn_v.weight": f32(16, 32),
    },
    { prefix: "blk.3", rotaryDim: 4, layout: { ...separate, gated: true } },
    "half",
    2,
  ],
];

test.each(kinds)(
  "%s: the same scores, and the inverse gives the same bytes",
  async (_, values, tensors, model, pairing, moved) => {
    const path = folder();
    const [from, to, again] = ["in", "out", "back"].map((name) => join(path, `${name}.gguf`)) as [
      string,
      string,
      string,
    ];
    writeGguf(from, values, tensors);
    const other = pairing === "half" ? "adjacent" : "half";
    const [line] = await permuteHere(from, to, { from: pairing, to: other });
    expect(line).toContain(`${moved} tensors from ${pairing} to ${other}`);
    const before = toNumbers(
      tensors,
      Object.fromEntries(Object.entries(tensors).map(([name, { data }]) => [name, data])),
    );
    const after = toNumbers(tensors, readBack(to, tensors));
    const how = { ...attention, ...model };
    const expected = scores(before, how, input, pairing);
    expect(distance(scores(after, how, input, other), expected)).toBeLessThan(1e-9);
    expect(distance(scores(after, how, input, pairing), expected)).toBeGreaterThan(0.01);
    await permuteHere(to, again, { from: other, to: pairing });
    expect(readFileSync(again).equals(readFileSync(from))).toBe(true);
  },
);

test("DeepSeek: the last rows of query heads, and of the one key", async () => {
  const path = folder();
  const [from, to] = [join(path, "in.gguf"), join(path, "out.gguf")];
  const rows = (count: number): GgufTensor => ({
    shape: [count, 1],
    type: 0,
    data: bytesOf(Float32Array.from({ length: count }, (_, i) => i)),
  });
  const tensors = {
    "blk.0.attn_q_a.weight": f32(6, 32),
    "blk.0.attn_q_a_norm.weight": f32(6),
    "blk.0.attn_q_b.weight": rows(12),
    "blk.0.attn_kv_a_mqa.weight": rows(7),
    "blk.0.attn_kv_a_norm.weight": f32(3),
    "blk.0.attn_k_b.weight": f32(2, 3, 2),
    "blk.0.attn_v_b.weight": f32(2, 2, 3),
    "blk.0.attn_output.weight": f32(32, 4),
  };
  const values = metadata("deepseek2", {
    "attention.head_count": 2,
    "attention.head_count_kv": 1,
    "attention.key_length": 7,
    "attention.key_length_mla": 6,
    "attention.kv_lora_rank": 3,
    "attention.q_lora_rank": 6,
    "rope.dimension_count": 4,
  });
  writeGguf(from, values, tensors);
  await permuteHere(from, to, { from: "adjacent", to: "half" });
  const after = readBack(to, tensors);
  const numbers = (name: string): number[] => [...new Float32Array(after[name]!.buffer)];
  expect(numbers("blk.0.attn_q_b.weight")).toEqual([0, 1, 2, 4, 3, 5, 6, 7, 8, 10, 9, 11]);
  expect(numbers("blk.0.attn_kv_a_mqa.weight")).toEqual([0, 1, 2, 3, 5, 4, 6]);
  for (const [name, { data }] of Object.entries(tensors)) {
    if (!/q_b|kv_a_mqa/.test(name)) expect(Buffer.from(after[name]!).equals(Buffer.from(data)), name).toBe(true);
  }
});

// Elements and bytes of a block, from the structures of ggml-common.h.
test.each<[name: string, type: number, elements: number, bytes: number]>([
  ["F16", 1, 1, 2],
  ["BF16", 30, 1, 2],
  ["Q8_0: a float16 and 32 bytes", 8, 32, 34],
  ["Q4_0: a float16 and 32 half bytes", 2, 32, 18],
  ["Q4_K: two float16, 12 bytes of scales, 256 half bytes", 12, 256, 144],
  ["Q6_K: 256 · 6 bits, 16 scales, a float16", 14, 256, 210],
  ["MXFP4: a scale and 32 half bytes", 39, 32, 17],
])("%s: a row moves as it is, because its blocks lie within it", async (_, type, elements, bytes) => {
  const path = folder();
  const [from, to] = [join(path, "in.gguf"), join(path, "out.gguf")];
  const columns = 256;
  const rowBytes = (columns / elements) * bytes;
  const tensor = (rows: number): GgufTensor => ({
    shape: [rows, columns],
    type,
    data: Uint8Array.from({ length: rows * rowBytes }, (__, i) => (Math.floor(i / rowBytes) * 7 + i) & 255),
  });
  const tensors = {
    "blk.0.attn_q.weight": tensor(32),
    "blk.0.attn_k.weight": tensor(16),
    "blk.0.attn_v.weight": tensor(16),
  };
  writeGguf(from, metadata("llama"), tensors);
  await permuteHere(from, to, { from: "adjacent", to: "half" });
  const after = readBack(to, tensors);
  const row = (data: Uint8Array, i: number): Buffer => Buffer.from(data.subarray(i * rowBytes, (i + 1) * rowBytes));
  const order = [0, 2, 4, 6, 1, 3, 5, 7];
  for (const [name, heads] of [
    ["blk.0.attn_q.weight", 4],
    ["blk.0.attn_k.weight", 2],
  ] as const) {
    for (let i = 0; i < heads * 8; i++) {
      const source = 8 * Math.floor(i / 8) + order[i % 8]!;
      expect(row(after[name]!, i).equals(row(tensors[name].data, source)), `${name} ${i}`).toBe(true);
    }
  }
  expect(Buffer.from(after["blk.0.attn_v.weight"]!).equals(Buffer.from(tensors["blk.0.attn_v.weight"].data))).toBe(
    true,
  );
});

test.each<
  [
    what: string,
    values: Record<string, Value>,
    tensors: Record<string, GgufTensor>,
    options: Record<string, string>,
    words: string,
  ]
>([
  [
    "an element type that is not known",
    metadata("llama"),
    { ...plain, "blk.0.attn_q.weight": { ...f32(32, 32), type: 99 } },
    {},
    "element type 99",
  ],
  [
    "rows that are no whole number of blocks",
    metadata("llama"),
    { ...plain, "blk.0.attn_q.weight": { ...f32(32, 24), type: 8 } },
    {},
    "multiple of 32",
  ],
  [
    "an unknown tensor of attention",
    metadata("llama"),
    { ...plain, "blk.0.attn_q_scale.weight": f32(8) },
    {},
    "blk.0.attn_q_scale.weight",
  ],
  [
    "an indexer",
    metadata("llama"),
    { ...plain, "blk.0.indexer.attn_k.weight": f32(8, 32) },
    {},
    "blk.0.indexer.attn_k.weight",
  ],
  ["queries alone", metadata("llama"), { ...others, "blk.0.attn_q.weight": f32(32, 32) }, {}, "no key projection"],
  [
    "another number of heads",
    metadata("llama", { "attention.head_count": 2 }),
    plain,
    {},
    "the config asks for 2 of 8",
  ],
  ["a part of a model", { ...metadata("llama"), "split.count": 3 }, plain, {}, "merge"],
  [
    "a config besides",
    metadata("llama"),
    plain,
    { config: writeConfig({ model_type: "llama" }) },
    "leave --config out",
  ],
  ["a model without rope", metadata("gpt2"), plain, {}, "nothing to permute"],
])("%s: refused, nothing written", async (_, values, tensors, options, words) => {
  const path = folder();
  const [from, to] = [join(path, "in.gguf"), join(path, "out.gguf")];
  writeGguf(from, values, tensors);
  await expect(permuteHere(from, to, { from: "adjacent", to: "half", ...options })).rejects.toThrow(words);
  expect(existsSync(to)).toBe(false);
});

test("the command line: a file cut off in its last tensor", () => {
  const path = folder();
  const from = writeGguf(join(path, "in.gguf"), metadata("llama"), plain);
  writeFileSync(from, readFileSync(from).subarray(0, -64));
  const run = ropewalk(["permute", from, join(path, "out.gguf"), "--from", "adjacent", "--to", "half"]);
  expect(run).toMatchObject({ status: 2, stdout: "" });
  expect(run.stderr).toMatch(/^ropewalk: [^\n]*cut off[^\n]*\n$/);
});

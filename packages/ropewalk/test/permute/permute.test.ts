/** `ropewalk permute`, as a process. The files come from a separate writer. */

import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { folder, ropewalk, writeConfig, writeSafetensors } from "../support.ts";

const llama = {
  model_type: "llama",
  hidden_size: 16,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 4,
  num_hidden_layers: 1,
  max_position_embeddings: 64,
  rope_theta: 10_000,
};

interface PermuteOptions {
  /** The path of a config; Llama's if absent. */
  readonly config?: string;
  readonly pairings?: readonly [from: string, to: string];
}

const permuteArguments = (
  input: string,
  output: string,
  { config = writeConfig(llama), pairings: [from, to] = ["half", "adjacent"] }: PermuteOptions = {},
): string[] => ["permute", input, output, "--config", config, "--from", from, "--to", to];

/** A matrix with the elements 100 · row + column: each element shows where it came from. */
const matrix = (rows: number, columns: number): Float32Array =>
  Float32Array.from({ length: rows * columns }, (_, i) => 100 * Math.floor(i / columns) + (i % columns));

interface Written {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly data: Float32Array;
}

/** A reader that shares no code with the command. */
function read(path: string): { readonly tensors: Readonly<Record<string, Written>>; readonly metadata: unknown } {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const { __metadata__: metadata, ...entries } = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Record<
    string,
    any
  >;
  const tensors = Object.fromEntries(
    Object.entries(entries).map(
      ([
        name,
        {
          data_offsets: [start, end],
          dtype,
          shape,
        },
      ]) => [
        name,
        {
          dtype,
          shape,
          data: new Float32Array(Uint8Array.from(bytes.subarray(8 + length + start, 8 + length + end)).buffer),
        },
      ],
    ),
  );
  return { tensors, metadata };
}

/** The row of the input for each row of the result. */
const origin = ({ data, shape: [rows = 0, columns = 1] }: Written): number[] =>
  Array.from({ length: rows }, (_, row) => data[row * columns]! / 100);

const sample = (): Record<string, { dtype: string; shape: number[]; data: Float32Array }> => ({
  "model.embed_tokens.weight": { dtype: "F32", shape: [5, 3], data: matrix(5, 3) },
  "model.layers.0.self_attn.q_proj.weight": { dtype: "F32", shape: [16, 3], data: matrix(16, 3) },
  "model.layers.0.self_attn.q_proj.bias": { dtype: "F32", shape: [16], data: matrix(16, 1) },
  "model.layers.0.self_attn.k_proj.weight": { dtype: "F32", shape: [8, 3], data: matrix(8, 3) },
  "model.layers.0.self_attn.v_proj.weight": { dtype: "F32", shape: [8, 3], data: matrix(8, 3) },
  "model.layers.0.self_attn.q_norm.weight": { dtype: "F32", shape: [4], data: matrix(4, 1) },
  "model.layers.0.self_attn.q_proj.lora_A.weight": { dtype: "F32", shape: [2, 3], data: matrix(2, 3) },
  "model.layers.0.self_attn.q_proj.lora_B.weight": { dtype: "F32", shape: [16, 2], data: matrix(16, 2) },
});

const heads = (count: number, order: readonly number[]): number[] =>
  Array.from({ length: count }, (_, head) => order.map((row) => head * order.length + row)).flat();

test("query and key rows are permuted head by head, with fewer key heads; all else is the same bytes", () => {
  const path = folder();
  const [input, output] = [join(path, "model.safetensors"), join(path, "out.safetensors")];
  writeSafetensors(input, sample(), { format: "pt" });
  const run = ropewalk(permuteArguments(input, output));
  expect(run).toMatchObject({ status: 0, stderr: "" });
  expect(run.stdout).toBe(`5 tensors from half to adjacent, 3 as they were → ${output}\n`);
  const { metadata, tensors } = read(output);
  expect(metadata).toEqual({ format: "pt" });
  const at = (name: string): Written => tensors[`model.layers.0.self_attn.${name}`]!;
  // half x0 x1 y0 y1 → adjacent x0 y0 x1 y1
  const order = [0, 2, 1, 3];
  expect(origin(at("q_proj.weight"))).toEqual(heads(4, order));
  expect(origin(at("q_proj.bias"))).toEqual(heads(4, order));
  expect(origin(at("q_proj.lora_B.weight"))).toEqual(heads(4, order));
  expect(origin(at("k_proj.weight"))).toEqual(heads(2, order));
  expect(origin(at("q_norm.weight"))).toEqual(order);
  const before = read(input).tensors;
  for (const name of [
    "model.embed_tokens.weight",
    "model.layers.0.self_attn.v_proj.weight",
    "model.layers.0.self_attn.q_proj.lora_A.weight",
  ]) {
    expect(tensors[name]).toEqual(before[name]);
  }
  // Columns go with their row.
  expect([...at("k_proj.weight").data.subarray(3, 6)]).toEqual([200, 201, 202]);

  const back = join(path, "back.safetensors");
  const again = ropewalk(permuteArguments(output, back, { pairings: ["adjacent", "half"] }));
  expect(again.status).toBe(0);
  expect(again.stdout).toContain("right only if this file was permuted before");
  expect(readFileSync(back).equals(readFileSync(input))).toBe(true);
});

test("in a partly rotated head, only the rotated rows are permuted", () => {
  const path = folder();
  const [input, output] = [join(path, "in.safetensors"), join(path, "out.safetensors")];
  writeSafetensors(input, {
    "gpt_neox.layers.0.attention.query_key_value.weight": { dtype: "F32", shape: [24, 2], data: matrix(24, 2) },
  });
  const config = writeConfig({
    model_type: "gpt_neox",
    hidden_size: 16,
    num_attention_heads: 1,
    head_dim: 8,
    num_hidden_layers: 1,
    max_position_embeddings: 64,
    rotary_pct: 0.5,
    rotary_emb_base: 10_000,
  });
  const args = permuteArguments(input, output, { config });
  // The order of a known family is known; another one is refused.
  const wrong = ropewalk([...args, "--fused", "concatenated"]);
  expect(wrong).toMatchObject({ status: 2, stdout: "" });
  expect(wrong.stderr).toContain("is per-group (the class of gpt_neox)");
  expect(existsSync(output)).toBe(false);
  expect(ropewalk(args)).toMatchObject({ status: 0, stderr: "" });
  const [weight] = Object.values(read(output).tensors);
  // One group: query, key, value, eight rows each, of which the first four of query and key are rotated.
  expect(origin(weight!)).toEqual([
    0, 2, 1, 3, 4, 5, 6, 7, 8, 10, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23,
  ]);
});

test("a fused projection of a family whose order is not known: --fused is needed", () => {
  const path = folder();
  const [input, output] = [join(path, "in.safetensors"), join(path, "out.safetensors")];
  writeSafetensors(input, {
    "model.layers.0.self_attn.qkv_proj.weight": { dtype: "F32", shape: [32, 1], data: matrix(32, 1) },
  });
  const unsaid = ropewalk(permuteArguments(input, output));
  expect(unsaid).toMatchObject({ status: 2, stdout: "" });
  expect(unsaid.stderr).toContain("--fused");
  expect(existsSync(output)).toBe(false);
});

test.each<["concatenated" | "per-group", number[]]>([
  ["concatenated", [0, 1, 2, 3, 4, 5]],
  ["per-group", [0, 1, 2, 4, 5, 6]],
])("--fused %s: heads of queries and keys, never of values", (fused, moved) => {
  const path = folder();
  const [input, output] = [join(path, "in.safetensors"), join(path, "out.safetensors")];
  writeSafetensors(input, {
    "model.layers.0.self_attn.qkv_proj.weight": { dtype: "F32", shape: [32, 1], data: matrix(32, 1) },
  });
  expect(ropewalk([...permuteArguments(input, output), "--fused", fused])).toMatchObject({ status: 0, stderr: "" });
  const [weight] = Object.values(read(output).tensors);
  expect(origin(weight!)).toEqual(
    Array.from({ length: 8 }, (_, head) =>
      (moved.includes(head) ? [0, 2, 1, 3] : [0, 1, 2, 3]).map((row) => 4 * head + row),
    ).flat(),
  );
});

test("Falcon's one key head for all query heads", () => {
  const path = folder();
  const [input, output] = [join(path, "in.safetensors"), join(path, "out.safetensors")];
  writeSafetensors(input, {
    "transformer.h.0.self_attention.query_key_value.weight": { dtype: "F32", shape: [20, 1], data: matrix(20, 1) },
  });
  const config = writeConfig({
    model_type: "falcon",
    hidden_size: 12,
    num_attention_heads: 3,
    num_hidden_layers: 1,
    multi_query: true,
    max_position_embeddings: 64,
    rope_theta: 10_000,
  });
  const args = permuteArguments(input, output, { config });
  expect(ropewalk(args)).toMatchObject({ status: 0, stderr: "" });
  const [weight] = Object.values(read(output).tensors);
  // Three query heads, one key head, and a value head that stays.
  expect(origin(weight!)).toEqual([...heads(4, [0, 2, 1, 3]), 16, 17, 18, 19]);
});

test("latent attention: the last rows of query heads, and of the one key", () => {
  const path = folder();
  const [input, output] = [join(path, "in.safetensors"), join(path, "out.safetensors")];
  writeSafetensors(input, {
    "model.layers.0.self_attn.q_b_proj.weight": { dtype: "F32", shape: [12, 1], data: matrix(12, 1) },
    "model.layers.0.self_attn.kv_a_proj_with_mqa.weight": { dtype: "F32", shape: [7, 1], data: matrix(7, 1) },
    "model.layers.0.self_attn.kv_b_proj.weight": { dtype: "F32", shape: [4, 1], data: matrix(4, 1) },
  });
  const config = writeConfig({
    model_type: "deepseek_v3",
    hidden_size: 16,
    num_attention_heads: 2,
    num_key_value_heads: 2,
    num_hidden_layers: 1,
    kv_lora_rank: 3,
    qk_nope_head_dim: 2,
    qk_rope_head_dim: 4,
    v_head_dim: 2,
    q_lora_rank: 3,
    max_position_embeddings: 64,
    rope_theta: 10_000,
  });
  expect(ropewalk(permuteArguments(input, output, { config, pairings: ["adjacent", "half"] }))).toMatchObject({
    status: 0,
    stderr: "",
  });
  const [query, key, other] = Object.values(read(output).tensors);
  expect(origin(query!)).toEqual([0, 1, 2, 4, 3, 5, 6, 7, 8, 10, 9, 11]);
  expect(origin(key!)).toEqual([0, 1, 2, 3, 5, 4, 6]);
  expect(origin(other!)).toEqual([0, 1, 2, 3]);
});

test("layers without rope are not changed", () => {
  const path = folder();
  const [input, output] = [join(path, "in.safetensors"), join(path, "out.safetensors")];
  const tensor = { dtype: "F32", shape: [8, 1], data: matrix(8, 1) };
  const query = { dtype: "F32", shape: [16, 1], data: matrix(16, 1) };
  writeSafetensors(input, {
    "model.layers.0.self_attn.k_proj.weight": tensor,
    "model.layers.0.self_attn.q_proj.weight": query,
    "model.layers.1.self_attn.k_proj.weight": tensor,
    "model.layers.1.self_attn.q_proj.weight": query,
    // What is not known in a layer without rope is not rotated.
    "model.layers.1.self_attn.q_scale": tensor,
  });
  const config = writeConfig({ ...llama, model_type: "smollm3", num_hidden_layers: 2, no_rope_layers: [1, 0] });
  const run = ropewalk(permuteArguments(input, output, { config }));
  expect(run).toMatchObject({ status: 0, stderr: "" });
  expect(run.stdout).toContain("2 projections of layers without rope");
  expect(Object.values(read(output).tensors).map(origin)).toEqual([
    heads(2, [0, 2, 1, 3]),
    heads(4, [0, 2, 1, 3]),
    heads(2, [0, 1, 2, 3]),
    heads(4, [0, 1, 2, 3]),
    heads(2, [0, 1, 2, 3]),
  ]);
});

test("names by pattern, and 16-bit elements", () => {
  const path = folder();
  const [input, output] = [join(path, "in.safetensors"), join(path, "out.safetensors")];
  writeSafetensors(input, {
    "blk.0.schluessel": { dtype: "BF16", shape: [4, 1], data: Uint16Array.of(0, 1, 2, 3) },
    "blk.0.fragen": { dtype: "BF16", shape: [4, 2], data: Uint16Array.of(0, 1, 10, 11, 20, 21, 30, 31) },
  });
  const args = permuteArguments(input, output, {
    config: writeConfig({ ...llama, num_attention_heads: 1, num_key_value_heads: 1 }),
  });
  const nothing = ropewalk(args);
  expect(nothing.status).toBe(2);
  expect(nothing.stderr).toContain("--query-pattern");
  // One of both is half done.
  const half = ropewalk([...args, "--query-pattern", "fragen$"]);
  expect(half).toMatchObject({ status: 2, stdout: "" });
  expect(half.stderr).toContain("--key-pattern");
  expect(existsSync(output)).toBe(false);
  const both = [...args, "--query-pattern", "fragen$", "--key-pattern", "schl"];
  expect(ropewalk(both)).toMatchObject({ status: 0, stderr: "" });
  const bytes = readFileSync(output);
  expect([...new Uint16Array(Uint8Array.from(bytes.subarray(bytes.length - 16)).buffer)]).toEqual([
    0, 1, 20, 21, 10, 11, 30, 31,
  ]);
});

test("an output that exists needs --force, which also replaces the input", () => {
  const path = folder();
  const input = join(path, "model.safetensors");
  writeSafetensors(input, sample());
  const args = permuteArguments(input, input);
  const before = readFileSync(input);
  expect(ropewalk(args)).toMatchObject({ status: 2, stdout: "" });
  expect(readFileSync(input).equals(before)).toBe(true);
  expect(ropewalk([...args, "--force"])).toMatchObject({ status: 0, stderr: "" });
  expect(origin(read(input).tensors["model.layers.0.self_attn.k_proj.weight"]!)).toEqual(heads(2, [0, 2, 1, 3]));
  expect(readdirSync(path)).toEqual(["model.safetensors"]);
});

const matrixOf = (rows: number): { dtype: string; shape: number[]; data: Float32Array } => ({
  dtype: "F32",
  shape: [rows, 1],
  data: matrix(rows, 1),
});

const oneTensor = (
  name: string,
  rows = 16,
  dtype = "F32",
): Record<string, { dtype: string; shape: number[]; data: Float32Array }> => ({
  [name]: { dtype, shape: [rows, 1], data: matrix(rows, 1) },
});

test.each<[what: string, tensors: Parameters<typeof writeSafetensors>[1], options: string[], words: string]>([
  [
    "another model's config",
    oneTensor("model.layers.0.self_attn.q_proj.weight", 12),
    [],
    "Is it the config of this file?",
  ],
  ["a quantised projection", { ...sample(), ...oneTensor("model.layers.0.self_attn.q_proj.qweight") }, [], "quantised"],
  [
    "scales of blocks",
    { ...sample(), ...oneTensor("model.layers.0.self_attn.q_proj.weight_scale_inv") },
    [],
    "quantised",
  ],
  ["packed elements", oneTensor("model.layers.0.self_attn.q_proj.weight", 16, "I32"), [], "packed rows"],
  ["no projection", oneTensor("model.embed_tokens.weight"), [], "--query-pattern"],
  ["a tower for pictures alone", oneTensor("vision_tower.layers.0.self_attn.q_proj.weight"), [], "--query-pattern"],
  [
    "a fused projection that does not add up",
    oneTensor("model.layers.0.self_attn.qkv_proj.weight", 16),
    ["--fused", "concatenated"],
    "are 32",
  ],
  ["an invalid pattern", sample(), ["--query-pattern", "("], "regular expression"],
  ["a pattern that fits nothing", sample(), ["--leave-pattern", "lora_C"], "--leave-pattern fits no tensor"],
  ["a query pattern with a slip", sample(), ["--query-pattern", "qproj"], "--query-pattern fits no tensor"],
  ["a key pattern with a slip", sample(), ["--key-pattern", "kproj"], "--key-pattern fits no tensor"],
  ["a fused pattern with a slip", sample(), ["--fused-pattern", "qkvproj"], "--fused-pattern fits no tensor"],
  ["two patterns for one tensor", sample(), ["--leave-pattern", "q_norm", "--query-pattern", "q_"], "say one of them"],
  ["a shape that its bytes do not have", { ...sample(), wide: { ...matrixOf(5), shape: [6, 1] } }, [], "needs 24"],
  ["the same pairing twice", sample(), ["--to", "half"], "nothing to permute"],
  ["an unknown pairing", sample(), ["--to", "neox"], "half, adjacent or blocks"],
])("%s: exit code 2, one sentence, no file", (_, tensors, options, words) => {
  const path = folder();
  const input = join(path, "in.safetensors");
  writeSafetensors(input, tensors);
  const { status, stdout, stderr } = ropewalk([...permuteArguments(input, join(path, "out.safetensors")), ...options]);
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toMatch(/^ropewalk: [^\n]+\n$/);
  expect(stderr).toContain(words);
  expect(readdirSync(path)).toEqual(["in.safetensors"]);
});

test("a file cut off, and an output folder that is not there", () => {
  const path = folder();
  const input = join(path, "in.safetensors");
  writeSafetensors(input, sample());
  const cut = join(path, "cut.safetensors");
  writeFileSync(cut, readFileSync(input).subarray(0, -4));
  const outside = join(path, "nowhere", "out.safetensors");
  expect(ropewalk(permuteArguments(cut, join(path, "out.safetensors")))).toMatchObject({ status: 2, stdout: "" });
  expect(ropewalk(permuteArguments(input, outside))).toMatchObject({ status: 2, stdout: "" });
  expect(readdirSync(path).toSorted()).toEqual(["cut.safetensors", "in.safetensors"]);
});

/** A sparse file of 512 MB, which takes little disk space. */
function large(path: string): string {
  const input = join(path, "model.safetensors");
  const columns = 2 ** 22;
  const header = JSON.stringify({
    "model.layers.0.self_attn.q_proj.weight": { dtype: "F16", shape: [16, columns], data_offsets: [0, 32 * columns] },
    "model.layers.0.self_attn.k_proj.weight": {
      dtype: "F16",
      shape: [8, columns],
      data_offsets: [32 * columns, 48 * columns],
    },
    "model.embed_tokens.weight": { dtype: "F16", shape: [40, columns], data_offsets: [48 * columns, 128 * columns] },
  });
  const descriptor = openSync(input, "w");
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(header.length));
  writeSync(descriptor, Buffer.concat([prefix, Buffer.from(header)]));
  ftruncateSync(descriptor, 8 + header.length + 128 * columns);
  closeSync(descriptor);
  return input;
}

const cli = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));

test.each<[signal: NodeJS.Signals, left: number]>([
  ["SIGKILL", 1],
  ["SIGTERM", 0],
  ["SIGINT", 0],
])(
  "after %s in the middle there is no output, the input is whole, and %d temporary files are left",
  async (signal, left) => {
    const path = folder();
    const input = large(path);
    const { mtimeMs, size } = statSync(input);
    const digest = (): string =>
      createHash("sha256")
        .update(readFileSync(input).subarray(0, 2 ** 20))
        .digest("hex");
    const before = digest();
    const child = spawn(process.execPath, [cli, ...permuteArguments(input, join(path, "out.safetensors"))], {
      stdio: "ignore",
    });
    const ended = new Promise<NodeJS.Signals | null>((resolve) => child.once("exit", (_, by) => resolve(by)));
    const temporary = (): string[] => readdirSync(path).filter((name) => name.endsWith(".tmp"));
    const written = (): number =>
      temporary().reduce(
        (sum, stage) => sum + (statSync(join(path, stage, "new", "0"), { throwIfNoEntry: false })?.size ?? 0),
        0,
      );
    while (child.exitCode === null && written() < 2 ** 22) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    child.kill(signal);
    // It ended by the signal. If it had finished before, this test would show nothing.
    expect(await ended).toBe(signal);
    expect(existsSync(join(path, "out.safetensors"))).toBe(false);
    expect(temporary()).toHaveLength(left);
    expect(statSync(input)).toMatchObject({ mtimeMs, size });
    expect(digest()).toBe(before);
  },
);

test.each<[what: string, put: (place: string) => void, force: boolean, words: string]>([
  ["a link", (place) => symlinkSync(`${place}.real`, place), true, "is a link"],
  ["a link to nothing, without --force", (place) => symlinkSync(`${place}.real`, place), false, "exists"],
  ["a folder", (place) => mkdirSync(place), true, "never replaced"],
  ["a pipe", (place) => void spawnSync("mkfifo", [place]), true, "no regular file"],
])("%s at the place of the result is refused and stays", (_, put, force, words) => {
  const path = folder();
  const [input, output] = [join(path, "in.safetensors"), join(path, "out.safetensors")];
  writeSafetensors(input, sample());
  put(output);
  const { status, stderr } = ropewalk([...permuteArguments(input, output), ...(force ? ["--force"] : [])]);
  expect(status).toBe(2);
  expect(stderr).toContain(words);
  expect(readdirSync(path).toSorted()).toEqual(["in.safetensors", "out.safetensors"]);
});

test("the config is never replaced; in place, mode and owner stay", () => {
  const path = folder();
  const input = join(path, "in.safetensors");
  const config = writeConfig(llama);
  writeSafetensors(input, sample());
  chmodSync(input, 0o600);
  const args = (output: string): string[] => [...permuteArguments(input, output, { config }), "--force"];
  const before = readFileSync(config);
  expect(ropewalk(args(config)).stderr).toContain("would be overwritten");
  expect(readFileSync(config)).toEqual(before);
  const { gid, uid } = statSync(input);
  expect(ropewalk(args(input)).status).toBe(0);
  expect(statSync(input)).toMatchObject({ gid, uid, mode: 0o100600 });
});

/** `.safetensors` files: what the reference parser refuses, `permute` and `apply` refuse, whatever they read of it. */

import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readSafetensors } from "../src/cli/safetensors.ts";
import { withFile } from "../src/cli/files.ts";
import { folder, permuteHere, writeConfig } from "./support.ts";

const query = "model.layers.0.self_attn.q_proj.weight";
const key = "model.layers.0.self_attn.k_proj.weight";
const config = writeConfig({
  model_type: "llama",
  hidden_size: 16,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 4,
  num_hidden_layers: 1,
  max_position_embeddings: 64,
  rope_theta: 10_000,
});

function write(header: string | Buffer, bytes: number): string {
  const path = join(folder(), "in.safetensors");
  const text = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(path, Buffer.concat([length, text, Buffer.alloc(bytes)]));
  return path;
}

const entry = (rows: number, start: number, more: Readonly<Record<string, unknown>> = {}): object => ({
  dtype: "F32",
  shape: [rows, 1],
  data_offsets: [start, start + 4 * rows],
  ...more,
});
/** Queries and keys of 16 and 8 rows, 96 bytes, and what else a case says. */
const json = (more: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify({ [query]: entry(16, 0), [key]: entry(8, 64), ...more });

/** safetensors 0.8.0 refuses each of these files too, but for a tensor twice, of which it takes the last. */
const refused: readonly (readonly [what: string, path: () => string])[] = [
  ["shape times type that is not the bytes", () => write(json({ more: entry(2, 96, { shape: [3, 1] }) }), 104)],
  ["an unknown type", () => write(json({ more: entry(2, 96, { dtype: "F99" }) }), 104)],
  [
    "a type by the name of a property of objects",
    () => write(json({ more: entry(2, 96, { dtype: "constructor" }) }), 104),
  ],
  ["a type by the name of the prototype", () => write(json({ more: entry(2, 96, { dtype: "__proto__" }) }), 104)],
  ["no type", () => write(json({ more: { shape: [2, 1], data_offsets: [96, 104] } }), 104)],
  ["no shape", () => write(json({ more: { dtype: "F32", data_offsets: [96, 104] } }), 104)],
  ["no offsets", () => write(json({ more: { dtype: "F32", shape: [2, 1] } }), 104)],
  ["null in place of a tensor", () => write(json({ more: null }), 96)],
  ["a number in place of a tensor", () => write(json({ more: 1 }), 96)],
  [
    "a tensor twice",
    () => write(json().replace("}}", `},${JSON.stringify(query)}:${JSON.stringify(entry(16, 0))}}`), 96),
  ],
  ["a key of a tensor twice", () => write(json().replace('"dtype":"F32"', '"dtype":"F32","dtype":"F16"'), 96)],
  ["a hole", () => write(json({ more: entry(2, 100) }), 108)],
  ["a hole before the first", () => write(json().replace("[0,64]", "[4,68]").replace("[64,96]", "[68,100]"), 100)],
  ["bytes behind the last", () => write(json(), 97)],
  ["a tensor beyond the file", () => write(json({ more: entry(2, 96) }), 100)],
  ["a tensor that ends before it begins", () => write(json({ more: entry(2, 96, { data_offsets: [104, 96] }) }), 96)],
  ["two tensors over each other", () => write(json({ "lm_head.weight": entry(16, 0) }), 96)],
  ["an empty tensor inside another", () => write(json({ none: entry(0, 4) }), 96)],
  ["metadata that is no text", () => write(json({ __metadata__: { format: 1 } }), 96)],
  ["metadata that is no object", () => write(json({ __metadata__: "pt" }), 96)],
  ["a byte order mark", () => write(`\uFEFF${json()}`, 96)],
  [
    "a byte that is no UTF-8",
    () => write(Buffer.concat([Buffer.from('{"'), Buffer.of(0xff), Buffer.from(json().slice(2))]), 96),
  ],
  ["a list as header", () => write("[]", 0)],
  ["something behind the header", () => write(`${json()} x`, 96)],
  ["a negative size", () => write(json({ more: entry(2, 96, { shape: [-2, -1] }) }), 104)],
  ["a fraction as size", () => write(json({ more: entry(2, 96, { shape: [2.5, 1] }) }), 104)],
  ["a size beyond 2^53", () => write(json().replace("[16,1]", "[16,1,99999999999999999999]"), 96)],
  ["sizes whose product is beyond 2^53", () => write(json({ more: entry(0, 96, { shape: [2 ** 40, 2 ** 40] }) }), 96)],
];

test.each(refused)("%s is refused", async (_, path) => {
  const input = path();
  const failure = expect.objectContaining({ code: "FILE_FORMAT" });
  // Also where another tensor is asked for.
  expect(() => withFile(input, (file) => readSafetensors(file).tensor(query))).toThrow(failure);
  const output = join(folder(), "out.safetensors");
  await expect(permuteHere(input, output, { config, from: "half", to: "adjacent" })).rejects.toMatchObject({
    code: "FILE_FORMAT",
  });
  expect(readdirSync(join(output, ".."))).toEqual([]);
});

test("the file that each case spoils is read; packed types, empty tensors and metadata too", async () => {
  const input = write(
    json({
      __metadata__: { format: "pt", "": "\\u0000" },
      // Six-bit elements: four of them in three bytes.
      packed: { dtype: "F6_E2M3", shape: [4], data_offsets: [96, 99] },
      none: { dtype: "BOOL", shape: [0, 7], data_offsets: [99, 99] },
      one: { dtype: "U8", shape: [], data_offsets: [99, 100] },
    }),
    100,
  );
  const [line] = await permuteHere(input, join(folder(), "out.safetensors"), { config, from: "half", to: "adjacent" });
  expect(line).toContain("2 tensors from half to adjacent, 3 as they were");
});

test("names as long as a header admits, and all tensors in one layer: in time by their number", async () => {
  const how = { config, from: "half", to: "adjacent" };
  // Before, 240 names of 50 000 parts did not end in four minutes.
  const deep = write(json({ [`model.layers.0.${"a.".repeat(2e6)}weight`]: entry(0, 96) }), 96);
  await expect(permuteHere(deep, join(folder(), "out.safetensors"), how)).rejects.toThrow("characters; at most");
  const many = Object.fromEntries(
    Array.from({ length: 65_000 }, (_, i) => [`model.layers.0.mlp.experts.${i}.weight`, entry(0, 96)]),
  );
  const [line] = await permuteHere(write(json(many), 96), join(folder(), "out.safetensors"), how);
  expect(line).toContain("65000 as they were");
});

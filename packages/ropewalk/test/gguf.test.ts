/** `ropewalk inspect model.gguf`, on files that the test writes byte by byte. */

import { truncateSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fixtures } from "@ropewalk/goldens";
import { expect, test } from "vitest";
import { documents, folder, model, ropewalk } from "./support.ts";

/** Key/values of a header: integers as uint32, other numbers as float32. */
type Value = number | string | { readonly float: number };

function text(value: string): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(value)));
  return Buffer.concat([length, Buffer.from(value)]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function float32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}

/** Types of values by their number in the format: 4 uint32, 6 float32, 8 string. */
function typed(value: Value): Buffer {
  if (typeof value === "string") return Buffer.concat([uint32(8), text(value)]);
  return typeof value === "number"
    ? Buffer.concat([uint32(4), uint32(value)])
    : Buffer.concat([uint32(6), float32(value.float)]);
}

const align = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc((32 - (bytes.length % 32)) % 32)]);

/** A GGUF file of version 3 with float32 tensors. The first tensor is a weight that is not read. */
function ggufBytes(
  values: Readonly<Record<string, Value>>,
  tensors: Readonly<Record<string, readonly number[]>> = {},
  elementType = 0,
): { readonly bytes: Buffer; readonly headerEnd: number } {
  const all = Object.entries({ "token_embd.weight": [1, 2, 3], ...tensors });
  const data = all.map(([, numbers]) => align(Buffer.concat(numbers.map(float32))));
  const offsets = data.map((_, i) => data.slice(0, i).reduce((sum, { length }) => sum + length, 0));
  const header = Buffer.concat([
    Buffer.from("GGUF"),
    uint32(3),
    uint64(all.length),
    uint64(Object.keys(values).length),
    ...Object.entries(values).flatMap(([key, value]) => [text(key), typed(value)]),
    ...all.flatMap(([name, { length }], i) => [
      text(name),
      uint32(1),
      uint64(length),
      uint32(elementType),
      uint64(offsets[i]!),
    ]),
  ]);
  return { bytes: Buffer.concat([align(header), ...data]), headerEnd: header.length };
}

function writeGguf(...parts: Parameters<typeof ggufBytes>): string {
  const path = join(folder(), "model.gguf");
  writeFileSync(path, ggufBytes(...parts).bytes);
  return path;
}

const llama = {
  "general.architecture": "llama",
  "llama.block_count": 32,
  "llama.context_length": 131072,
  "llama.embedding_length": 4096,
  "llama.attention.head_count": 32,
  "llama.rope.dimension_count": 128,
  "llama.rope.freq_base": { float: 500000 },
} as const;

/** The converter's factors for Llama 3.1: one divisor for each pair. */
const factors = Array.from({ length: 64 }, (_, pair) => {
  const wavelength = 2 * Math.PI * 500000 ** (pair / 64);
  if (wavelength < 8192 / 4) return 1;
  if (wavelength > 8192 / 1) return 8;
  const smooth = (8192 / wavelength - 1) / (4 - 1);
  return 1 / ((1 - smooth) / 8 + smooth);
});

test("Llama 3.1, whose file has rope_freqs.weight: the frequencies of its config", () => {
  const file = writeGguf(llama, { "rope_freqs.weight": factors });
  const run = ropewalk(["inspect", "--json", file]);
  expect(run).toMatchObject({ status: 0, stderr: "" });
  const [document] = documents(run);
  expect(document.file).toBe(file);
  expect(document.ropes).toMatchObject([
    {
      layerType: null,
      headDim: 128,
      rotaryDim: 128,
      pairing: "adjacent",
      base: 500000,
      maxPosition: 131072,
      attentionFactor: 1,
    },
  ]);
  const expected = fixtures("hf").find((fixture) => fixture.model === "meta-llama/Llama-3.1-8B")!.ropes[0]!.invFreq;
  expect(document.ropes[0].invFreq).toHaveLength(64);
  // The file holds factors rounded to float32, and transformers rounds a few times: 1e-6 is 8 of these roundings.
  expected.forEach((value, pair) =>
    expect(Math.abs(document.ropes[0].invFreq[pair] / value - 1), `pair ${pair}`).toBeLessThan(1e-6),
  );
  // Without the tensor, slow pairs are eight times faster: it was read.
  const [plain] = documents(ropewalk(["inspect", "--json", writeGguf(llama)]));
  expect(plain.ropes[0].invFreq[63] / expected[63]!).toBeCloseTo(8, 5);
});

test("Qwen2 with YaRN: the frequencies of its config", () => {
  const file = writeGguf({
    "general.architecture": "qwen2",
    "qwen2.block_count": 28,
    "qwen2.context_length": 131072,
    "qwen2.embedding_length": 3584,
    "qwen2.attention.head_count": 28,
    "qwen2.rope.freq_base": { float: 1000000 },
    "qwen2.rope.scaling.type": "yarn",
    "qwen2.rope.scaling.factor": { float: 4 },
    "qwen2.rope.scaling.original_context_length": 32768,
  });
  const [{ ropes }] = documents(ropewalk(["inspect", "--json", file]));
  const expected = fixtures("hf").find((fixture) => fixture.model === "Qwen/Qwen2.5-7B-Instruct-yarn")!.ropes[0]!;
  expect(ropes).toMatchObject([{ ropeType: "yarn", headDim: 128, pairing: "half", base: 1000000 }]);
  expect(ropes[0].attentionFactor).toBeCloseTo(expected.attentionFactor, 6);
  expected.invFreq.forEach((value, pair) =>
    expect(Math.abs(ropes[0].invFreq[pair] / value - 1), `pair ${pair}`).toBeLessThan(1e-6),
  );
  expect(ropewalk(["inspect", file]).stdout).toContain("all layers: yarn");
});

test("GGUF files of a folder are inspected beside its *.json files", () => {
  const path = folder();
  writeFileSync(join(path, "b.gguf"), ggufBytes(llama).bytes);
  writeFileSync(join(path, "a.json"), JSON.stringify({ head_dim: 8, rope_theta: 10000 }));
  expect(
    documents(ropewalk(["inspect", "--json", path])).map(({ file, ropes }) => [basename(file as string), ropes.length]),
  ).toEqual([
    ["a.json", 1],
    ["b.gguf", 1],
  ]);
});

test("a file that is cut off anywhere in its header or its rope tensor: exit code 2, one sentence", () => {
  const { bytes, headerEnd } = ggufBytes(llama, { "rope_freqs.weight": factors });
  const path = folder();
  const lengths = [
    0,
    3,
    4,
    7,
    12,
    23,
    24,
    40,
    100,
    250,
    headerEnd - 60,
    headerEnd - 8,
    headerEnd - 1,
    headerEnd,
    bytes.length - 256,
    bytes.length - 1,
  ];
  const files = lengths.map((length) => {
    const file = join(path, `${length}.gguf`);
    writeFileSync(file, bytes);
    truncateSync(file, length);
    return file;
  });
  const run = ropewalk(["inspect", "--json", ...files]);
  expect(run).toMatchObject({ status: 2, stderr: "" });
  expect(documents(run).map(({ error }) => error?.code as unknown)).toEqual(lengths.map(() => "FILE_FORMAT"));
  const spoken = ropewalk(["inspect", ...files]);
  expect(spoken).toMatchObject({ status: 2, stdout: "" });
  expect(spoken.stderr).toMatch(/^(ropewalk: [^\n]+\.gguf[^\n]+\n)+$/);
  expect(spoken.stderr.trimEnd().split("\n")).toHaveLength(lengths.length);
});

test.each<[what: string, write: (path: string) => void, code: string, words: string]>([
  ["that is JSON", (path) => writeFileSync(path, "{}"), "FILE_FORMAT", "is not a GGUF file"],
  ["that is not there", () => undefined, "FILE_NOT_FOUND", "does not exist"],
  [
    "of an unknown version",
    (path) => writeFileSync(path, Buffer.concat([Buffer.from("GGUF"), uint32(99), Buffer.alloc(64)])),
    "FILE_FORMAT",
    "version",
  ],
  [
    "whose rope tensor is of another element type",
    (path) => writeFileSync(path, ggufBytes(llama, { "rope_freqs.weight": factors }, 1).bytes),
    "FILE_FORMAT",
    "float32",
  ],
  [
    "with too few factors",
    (path) => writeFileSync(path, ggufBytes(llama, { "rope_freqs.weight": [1, 2] }).bytes),
    "ROPE_CONFIG",
    "rope_freqs.weight",
  ],
  [
    "without an architecture",
    (path) => writeFileSync(path, ggufBytes({}).bytes),
    "ROPE_CONFIG",
    "general.architecture",
  ],
])("a file %s: exit code 2, one sentence", (_, write, code, words) => {
  const file = join(folder(), "model.gguf");
  write(file);
  expect(documents(ropewalk(["inspect", "--json", file]))).toMatchObject([{ file, error: { code } }]);
  const { status, stdout, stderr } = ropewalk(["inspect", file]);
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toMatch(/^ropewalk: [^\n]+\n$/);
  expect(stderr).toContain(words);
});

test("commands that read a config refuse a GGUF file", () => {
  const file = writeGguf(llama);
  for (const args of [
    ["lint", file],
    ["diff", file, model("microsoft/phi-2")],
  ]) {
    const { status, stdout, stderr } = ropewalk(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(/^ropewalk: [^\n]+is not JSON[^\n]+\n$/);
  }
});

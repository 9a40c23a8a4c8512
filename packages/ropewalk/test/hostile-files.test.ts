/**
 * Files that nobody would write: larger than memory by what they claim, deep, endless, or no files at all. The command
 * says in one sentence why it does not read them, and takes little memory for it (docs/limits.md).
 */

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readJson, withFile } from "../src/cli/files.ts";
import { readGguf } from "../src/cli/gguf.ts";
import { parseJson } from "../src/cli/json.ts";
import { readSafetensors } from "../src/cli/safetensors.ts";
import { folder, ropewalk, writeNpy } from "./support.ts";
import type { Run } from "./support.ts";

const GiB = 2 ** 30;
/** Of a refused file, in MB; the command alone takes some 70. */
const mostMemory = 250;

const cli = fileURLToPath(new URL("../dist/cli.js", import.meta.url));
/** Prints the most memory of the process. Linux counts that of the process around it into `maxRSS`. */
const measure = `data:text/javascript,${encodeURIComponent(`
  import { readFileSync } from "node:fs";
  process.on("exit", () => {
    let size = process.resourceUsage().maxRSS;
    try { size = Number(/VmHWM:\\s*(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]); } catch {}
    process.stderr.write("\\nRSS " + size);
  });`)}`;

/** Runs the command for at most two minutes; `status` is null if it did not end. */
function run(args: readonly string[]): Run {
  return spawnSync(process.execPath, ["--import", measure, cli, ...args], {
    encoding: "utf8",
    env: { ...process.env, CI: "1", NO_COLOR: "1" },
    timeout: 120_000,
    killSignal: "SIGKILL",
    maxBuffer: 2 ** 28,
  });
}

/** A refused file: exit code 2, one sentence, bounded memory. */
function refusal(args: readonly string[]): string {
  const { status, stderr } = run(args);
  const [sentence, memory] = stderr.split("\nRSS ");
  expect({ status, lines: sentence!.trimEnd().split("\n").length }).toEqual({ status: 2, lines: 1 });
  expect(sentence).toMatch(/^ropewalk: /);
  expect(sentence).not.toContain("defect");
  expect(Number(memory) / 1024).toBeLessThan(mostMemory);
  return sentence!;
}

/** Writes a file; with a size it has zeros up to there, which take no place on the disk. */
function write(name: string, bytes: Uint8Array, size = bytes.length): string {
  const path = join(folder(), name);
  writeFileSync(path, bytes);
  truncateSync(path, size);
  return path;
}

const uint32 = (...values: number[]): Buffer => Buffer.from(Uint32Array.from(values).buffer);
const uint64 = (...values: number[]): Buffer => Buffer.from(BigUint64Array.from(values.map(BigInt)).buffer);
const text = (value: string): Buffer => Buffer.concat([uint64(Buffer.byteLength(value)), Buffer.from(value)]);

const number = (key: string, value: number): Buffer => Buffer.concat([text(key), uint32(4, value)]);
const llama = [
  Buffer.concat([text("general.architecture"), uint32(8), text("llama")]),
  number("llama.context_length", 8192),
  number("llama.embedding_length", 4096),
  number("llama.attention.head_count", 32),
];
const gguf = (values: readonly Buffer[], tensors: readonly Buffer[] = []): Buffer =>
  Buffer.concat([Buffer.from("GGUF"), uint32(3), uint64(tensors.length, values.length), ...values, ...tensors]);
const LIST = 9;
const listOf = (key: string, type: number, count: number): Buffer =>
  Buffer.concat([text(key), uint32(LIST, type), uint64(count)]);

test.each<[what: string, write: () => string, words: string]>([
  [
    "a tensor of factors of 3 GiB",
    () => {
      const tensor = Buffer.concat([text("rope_freqs.weight"), uint32(1), uint64((3 * GiB) / 4), uint32(0), uint64(0)]);
      return write("model.gguf", gguf(llama, [tensor]), 3 * GiB + 4096);
    },
    "at most 65536",
  ],
  [
    "24 bytes that claim ten million tensors",
    () => write("model.gguf", Buffer.concat([Buffer.from("GGUF"), uint32(3), uint64(9_999_999, 9_999_999)])),
    "more than its bytes can hold",
  ],
  [
    "zeros that are ten million tensors",
    () => write("model.gguf", Buffer.concat([Buffer.from("GGUF"), uint32(3), uint64(10_000_000, 0)]), GiB),
    "at most 65536",
  ],
  [
    "a list of 3 GiB",
    () => write("model.gguf", gguf([...llama, listOf("llama.rope.list", 0, 3 * GiB)]), 4 * GiB),
    "at most 65536",
  ],
  [
    "a list of ten million texts",
    () => write("model.gguf", gguf([...llama, listOf("llama.rope.list", 8, 10_000_000)]), GiB),
    "at most 65536",
  ],
  [
    "a text of 3 GiB",
    () =>
      write(
        "model.gguf",
        gguf([...llama, Buffer.concat([text("llama.rope.scaling.type"), uint32(8), uint64(3 * GiB)])]),
        4 * GiB,
      ),
    "rope.scaling.type",
  ],
  [
    "a name of 3 GiB",
    () => write("model.gguf", Buffer.concat([Buffer.from("GGUF"), uint32(3), uint64(0, 1), uint64(3 * GiB)]), 4 * GiB),
    "at most 256",
  ],
  [
    "lists in lists",
    () =>
      write(
        "model.gguf",
        gguf([
          Buffer.concat([
            text("llama.rope.list"),
            uint32(LIST),
            ...Array.from({ length: 1e5 }, () => Buffer.concat([uint32(LIST), uint64(1)])),
          ]),
        ]),
      ),
    "unknown type 9",
  ],
  ["a key twice", () => write("model.gguf", gguf([...llama, llama[1]!])), "twice"],
  ["JSON of 100 GiB", () => write("config.json", Buffer.from("{"), 100 * GiB), "at most 25000000"],
  [
    // An expression that begins to search anew at each quote takes hours.
    "JSON of four million escaped quotes",
    () => write("config.json", Buffer.from(`{"a":"${'\\"'.repeat(4e6)}`)),
    "is not JSON",
  ],
  ["JSON of 24 MB of brackets", () => write("config.json", Buffer.alloc(24e6, "[")), "200 levels"],
  [
    "JSON of 24 MB of objects",
    () => write("config.json", Buffer.from(`[${"{},".repeat(8e6 - 1)}{}]`)),
    "262144 values",
  ],
  [
    "JSON of 24 MB in one text",
    () => write("config.json", Buffer.from(`{"model_type":"${"ü".repeat(12e6)}"}`)),
    "model_type",
  ],
  [
    "JSON of 200000 lists that nothing reads",
    () =>
      write(
        "config.json",
        Buffer.from(
          `{"model_type":"llama",${Array.from({ length: 125_000 }, (_, i) => `"rope_${"ü".repeat(80)}${i}":[${i}]`).join()}}`,
        ),
      ),
    "125000 issues",
  ],
])("inspect: %s", (_, make, words) => {
  expect(refusal(["inspect", make()])).toContain(words);
});

const safetensors = (header: string | Buffer): Buffer =>
  Buffer.concat([uint64(Buffer.byteLength(header)), Buffer.from(header)]);

/** An `.npy` file of version 2 whose header has a length of its own. */
const npy = (length: number, header: string): Buffer =>
  Buffer.concat([Buffer.from([0x93]), Buffer.from("NUMPY"), Buffer.from([2, 0]), uint32(length), Buffer.from(header)]);
const dictionary = (descr: string, count: number): string =>
  `{'descr': '${descr}', 'fortran_order': False, 'shape': (${count},), }\n`;
const wide = (descr: string): (() => string) => {
  const header = dictionary(descr, (3 * GiB) / 4);
  return () => write("wide.npy", npy(header.length, header), 12 + header.length + 3 * GiB);
};

test.each<[what: string, make: () => string, words: string]>([
  ["an .npy header of 4 GiB", () => write("a.npy", npy(2 ** 32 - 100, dictionary("<f4", 4)), 2 ** 32), "at most 65535"],
  ["an .npy file of 3 GiB that fits no head", wide("<f4"), "has the shape"],
  [
    "a .safetensors header of 90 MB of brackets",
    () => write("a.safetensors", safetensors(Buffer.alloc(90e6, "["))),
    "at most 25000000",
  ],
  [
    "a .safetensors header of brackets",
    () => write("a.safetensors", safetensors(`{"query":${"[".repeat(24e6)}`)),
    "does not fit",
  ],
  [
    "a .safetensors header of objects",
    () => write("a.safetensors", safetensors(`{"query":[${"{},".repeat(8e6)}{}]}`)),
    "does not fit",
  ],
  [
    "a .safetensors header of 400000 tensors",
    () =>
      write(
        "a.safetensors",
        safetensors(
          `{${Array.from({ length: 400_000 }, (_, i) => `"${i}":{"dtype":"F4","shape":[0],"data_offsets":[0,0]}`).join()}}`,
        ),
      ),
    "65536 tensors",
  ],
  [
    "a .safetensors header of metadata",
    () =>
      write(
        "a.safetensors",
        safetensors(
          `{"__metadata__":{${Array.from({ length: 400_000 }, (_, i) => `"${i}":"${"ü".repeat(20)}"`).join()}}}`,
        ),
      ),
    "no tensor",
  ],
  [
    "a .safetensors tensor of 3 GiB that fits no head",
    () => {
      const bytes = safetensors(`{"query":{"dtype":"F32","shape":[${(3 * GiB) / 4}],"data_offsets":[0,${3 * GiB}]}}`);
      return write("a.safetensors", bytes, bytes.length + 3 * GiB);
    },
    "has the shape",
  ],
])("apply: %s", (_, make, words) => {
  const out = join(folder(), "out");
  const config = write("config.json", Buffer.from('{"head_dim":8,"rope_theta":10000}'));
  expect(refusal(["apply", config, "--query", make(), "--positions", "0:4", "--out", out])).toContain(words);
  expect(existsSync(out)).toBe(false);
});

test("apply: positions of 3 GiB", () => {
  const config = write("config.json", Buffer.from('{"head_dim":8,"rope_theta":10000}'));
  const query = writeNpy(join(folder(), "q.npy"), "<f4", [4, 1, 8], new Float32Array(32));
  const out = join(folder(), "out");
  const args = ["apply", config, "--query", query, "--positions", wide("<i4")(), "--out", out];
  expect(refusal(args)).toContain("at most 16777216");
});

const isWindows = process.platform === "win32";

test.skipIf(isWindows)("a named pipe, a device and a folder are not read, as an argument or in a folder", () => {
  const path = folder();
  execFileSync("mkfifo", [
    join(path, "pipe.json"),
    join(path, "pipe.gguf"),
    join(path, "pipe.npy"),
    join(path, "pipe.safetensors"),
  ]);
  const config = write("config.json", Buffer.from('{"head_dim":8,"rope_theta":10000}'));
  const pipe = (extension: string): string => join(path, `pipe.${extension}`);
  const apply = (query: string): string[] => [
    "apply",
    config,
    "--query",
    query,
    "--positions",
    "0:1",
    "--out",
    join(path, "out"),
  ];
  for (const args of [
    ["inspect", pipe("json")],
    ["inspect", pipe("gguf")],
    ["lint", pipe("json")],
    ["diff", config, pipe("json")],
    apply(pipe("npy")),
    apply(pipe("safetensors")),
    ["verify", "--vectors", pipe("json")],
    ["inspect", "/dev/zero"],
    ["lint", "/dev/zero"],
  ]) {
    expect(refusal(args), args.join(" ")).toContain("not a regular file");
  }
  expect(refusal(["lint", path])).toContain("it is a folder");
  const { status, stderr } = ropewalk(["inspect", path]);
  expect({ status, sentences: stderr.trimEnd().split("\n").length }).toEqual({ status: 2, sentences: 2 });
});

test("long runs of spaces and of dots in arguments and values, in linear time", () => {
  const spaces = " ".repeat(2e6);
  const values = `{"model_type":"llama","rope_${spaces}x":1,"rope_scaling":{"rope_type":"a${spaces}b"}}`;
  expect(refusal(["inspect", write("config.json", Buffer.from(values))])).toContain("is not registered");
  const config = write("config.json", Buffer.from('{"head_dim":8,"rope_theta":10000}'));
  const query = `${".safetensors#".repeat(9000)}\n`;
  expect(refusal(["apply", config, "--query", query, "--positions", "0:4", "--out", folder()])).toContain(
    "cannot read",
  );
});

test("a path that is too long", () => {
  for (const name of ["x".repeat(5000), " ".repeat(50_000), "x/".repeat(20_000)]) {
    expect(refusal(["inspect", join(folder(), name)])).toContain("cannot read");
  }
});

test("an output folder beyond one that is not there: the command ends, and what it made is removed if it fails", () => {
  const path = folder();
  const config = write("config.json", Buffer.from('{"head_dim":8,"rope_theta":10000}'));
  const query = writeNpy(join(folder(), "q.npy"), "<f4", [4, 1, 8], new Float32Array(32));
  const out = `${path}/missing/../y/z/../w`;
  expect(run(["apply", config, "--query", query, "--positions", "0:4", "--out", out])).toMatchObject({ status: 0 });
  expect(readdirSync(join(path, "y"))).toEqual(["w"]);
  expect(readdirSync(join(path, "y", "w"))).toEqual(["q.npy"]);
  expect(readdirSync(path)).toEqual(["y"]);
});

test("folders in each other, a thousand deep", () => {
  const path = folder();
  let inner = path;
  while (inner.length < 3000) mkdirSync((inner = join(inner, "a")));
  writeFileSync(join(inner, "config.json"), '{"head_dim":8,"rope_theta":10000}');
  expect(ropewalk(["inspect", path])).toMatchObject({ status: 0, stderr: "" });
});

test.each([
  ['{"a": Infinity, "b": -Infinity}', { a: Infinity, b: -Infinity }],
  ['[NaN,"NaN","\\\\",NaN]', [Number.NaN, "NaN", "\\", Number.NaN]],
  ['["\\"Infinity", Infinity]', ['"Infinity', Infinity]],
])("%s as Python reads it", (json, value) => {
  expect(parseJson(Buffer.from(json), "config.json")).toEqual(value);
});

test.each(["[1Infinity]", "[xNaN]", "[NaNx]", "[-NaN]", "{NaN: 1}", "[Infinit]", '["\u0001"]', '{"a":1}}'])(
  "%s is no JSON",
  (json) => {
    const path = write("config.json", Buffer.from(json));
    expect(() => readJson(path)).toThrow(expect.objectContaining({ code: "FILE_FORMAT" }));
  },
);

const entry = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}';

test.each<[what: string, header: string]>([
  ["a name twice", `{"a":${entry},"a":${entry}}`],
  ["a name twice, once with an escape", `{"a":${entry},"\\u0061":${entry}}`],
  ["a key twice", '{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}'],
  ["a byte order mark", `\uFEFF{"a":${entry}}`],
  ["a space before it", ` {"a":${entry}}`],
  ["a comma too many", `{"a":${entry},}`],
  ["something behind it", `{"a":${entry}}x`],
  ["metadata that are no text", `{"__metadata__":{"a":1},"a":${entry}}`],
  ["another key", '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}'],
  ["no dtype", '{"a":{"shape":[1],"data_offsets":[0,4]}}'],
  ["a dtype that is no text", '{"a":{"dtype":1,"shape":[1],"data_offsets":[0,4]}}'],
  ["three offsets", '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}'],
  ["one offset", '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}'],
  ["a size with a point", '{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}'],
  ["a size below zero", '{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}'],
  ["a size that begins with zero", '{"a":{"dtype":"F32","shape":[01],"data_offsets":[0,4]}}'],
  ["a size that is too large", '{"a":{"dtype":"F32","shape":[9007199254740993],"data_offsets":[0,4]}}'],
  ["no end", `{"a":${entry}`],
  ["a text without an end", '{"a'],
  ["an escape that JSON does not have", `{"\\x":${entry}}`],
  ["a control character", `{"\u0001":${entry}}`],
  ["a list", `[${entry}]`],
  ["nothing", ""],
])("a .safetensors header with %s is refused", (_, header) => {
  const path = write("a.safetensors", Buffer.concat([safetensors(header), Buffer.alloc(4)]));
  expect(() => withFile(path, readSafetensors)).toThrow(expect.objectContaining({ code: "FILE_FORMAT" }));
});

test("a .safetensors header with spaces, escapes and an empty name", () => {
  const header = `{ "__metadata__" : { "k\\n" : "v\\u00e9" } , "" :\n{"dtype":"F32" , "data_offsets":[ 0 ,4 ],"shape": [ ] } }   `;
  const path = write("a.safetensors", Buffer.concat([safetensors(header), Buffer.alloc(4)]));
  withFile(path, (file) => {
    const { metadata, names, tensor } = readSafetensors(file);
    expect({ metadata, names, ...tensor("") }).toMatchObject({ metadata: { "k\n": "vé" }, names: [""], shape: [] });
  });
});

test("a GGUF file of version 1, of a big-endian machine, and with values of all types", async () => {
  const first = Buffer.concat([
    Buffer.from("GGUF"),
    uint32(1, 0, 1),
    uint32(20),
    Buffer.from("general.architecture"),
    uint32(8, 5),
    Buffer.from("llama"),
  ]);
  expect((await readGguf(write("a.gguf", first))).metadata).toEqual({ "general.architecture": "llama" });

  const big = Buffer.alloc(24);
  big.write("GGUF");
  big.writeUInt32BE(3, 4);
  big.writeBigUInt64BE(1n, 16);
  const key = Buffer.from("\0\0\0\0\0\0\0\u0003a.b\0\0\0\u0004\0\0\0\u0007", "latin1");
  expect((await readGguf(write("a.gguf", Buffer.concat([big, key])))).metadata).toEqual({ "a.b": 7 });

  const value = (type: number, bytes: readonly number[]): Buffer =>
    Buffer.concat([text(`a.${type}`), uint32(type), Buffer.from(bytes)]);
  const values = [
    value(0, [255]),
    value(1, [255]),
    value(2, [255, 255]),
    value(3, [255, 255]),
    value(4, [255, 255, 255, 255]),
    value(5, [255, 255, 255, 255]),
    value(6, [0, 0, 128, 63]),
    value(7, [1]),
    value(
      10,
      Array.from({ length: 8 }, () => 255),
    ),
    value(
      11,
      Array.from({ length: 8 }, () => 255),
    ),
    value(12, [0, 0, 0, 0, 0, 0, 240, 63]),
    Buffer.concat([listOf("a.list", 2, 2), Buffer.from([1, 0, 2, 0])]),
    Buffer.concat([listOf("a.texts", 8, 2), text("b"), text("")]),
    Buffer.concat([listOf("tokenizer.ggml.tokens", 8, 3), text("b"), text("x".repeat(70_000)), text("")]),
    Buffer.concat([listOf("tokenizer.ggml.scores", 6, 2), Buffer.alloc(8)]),
    Buffer.concat([text("a.last"), uint32(8), text("end")]),
  ];
  expect((await readGguf(write("a.gguf", gguf(values)))).metadata).toEqual({
    "a.0": 255,
    "a.1": -1,
    "a.2": 65_535,
    "a.3": -1,
    "a.4": 2 ** 32 - 1,
    "a.5": -1,
    "a.6": 1,
    "a.7": true,
    "a.10": 2n ** 64n - 1n,
    "a.11": -1n,
    "a.12": 1,
    "a.list": [1, 2],
    "a.texts": ["b", ""],
    "a.last": "end",
  });
});

test("the places of tensors, with the alignment of the file", async () => {
  const tensor = (name: string, offset: number): Buffer =>
    Buffer.concat([text(name), uint32(2), uint64(4, 3), uint32(1), uint64(offset)]);
  const bytes = gguf([number("general.alignment", 64)], [tensor("a", 0), tensor("b", 64)]);
  const { infos } = await readGguf(write("a.gguf", bytes, 1024));
  const start = Math.ceil(bytes.length / 64) * 64;
  expect(infos).toEqual([
    { name: "a", type: 1, shape: [3, 4], start },
    { name: "b", type: 1, shape: [3, 4], start: start + 64 },
  ]);
});

test("lint, inspect and diff of a hundred thousand keys give short texts", () => {
  const keys = Array.from({ length: 100_000 }, (_, i) => `"rope_${i}":${i}`).join();
  const yarn = '"rope_scaling":{"type":"yarn","factor":4,"attn_factor":2,"original_max_position_embeddings":4096}';
  const config = write("config.json", Buffer.from(`{"model_type":"llama","rope_theta":10000,${yarn},${keys}}`));
  for (const [args, status] of [
    [["inspect", config], 0],
    [["lint", config], 1],
    [["diff", config, config], 0],
  ] as const) {
    const { status: exit, stdout } = run(args);
    expect({ status: exit, isShort: stdout.length < 50_000 }).toEqual({ status, isShort: true });
  }
});

test("a thousand ropes: some are printed, and lint compares all", () => {
  const types = Array.from({ length: 999 }, (_, i) => `t${i}`);
  const ropes = types.map((type, i) => [
    type,
    { rope_type: "yarn", rope_theta: 10_000 + i, factor: 4, attn_factor: 2, original_max_position_embeddings: 4096 },
  ]);
  const config = { model_type: "llama", head_dim: 8, num_hidden_layers: 999, layer_types: types };
  const path = write(
    "config.json",
    Buffer.from(JSON.stringify({ ...config, rope_parameters: Object.fromEntries(ropes) })),
  );
  expect(run(["inspect", path]).stdout).toContain("967 more ropes");
  const { findings } = JSON.parse(run(["lint", "--json", path]).stdout) as { findings: { effects: string[] }[] };
  expect(findings.length).toBeGreaterThan(0);
  expect(Math.max(...findings.map(({ effects }) => effects.length))).toBeLessThan(50);
});

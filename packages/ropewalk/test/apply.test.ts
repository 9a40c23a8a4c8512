/** `ropewalk apply`, as a process, on files. */

import { copyFileSync, linkSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from "@ropewalk/core/math";
import { bytes, fixtures } from "@ropewalk/goldens";
import { expect, test } from "vitest";
import { documents, folder, model, normal, ropewalk, writeNpy, writeSafetensors } from "./support.ts";
import type { Bytes } from "./support.ts";

/**
 * Each element type with its names in both formats and its conversions; `unit` is half the distance of numbers near 1.
 * With the default precision, cos and sin are float32 numbers for float64 tensors too, as in the engines.
 */
const types = {
  float64: {
    options: ["--precision", "float64"],
    npy: "<f8",
    safetensors: "F64",
    unit: 2 ** -53,
    encode: (values: Float64Array): Bytes => values,
    decode: (b: Uint8Array) => new Float64Array(aligned(b)),
  },
  float32: {
    options: [],
    npy: "<f4",
    safetensors: "F32",
    unit: 2 ** -24,
    encode: (values: Float64Array): Bytes => Float32Array.from(values),
    decode: (b: Uint8Array) => Float64Array.from(new Float32Array(aligned(b))),
  },
  float16: {
    options: [],
    npy: "<f2",
    safetensors: "F16",
    unit: 2 ** -11,
    encode: (values: Float64Array): Bytes => Uint16Array.from(values, toFloat16),
    decode: (b: Uint8Array) => Float64Array.from(new Uint16Array(aligned(b)), fromFloat16),
  },
  bfloat16: {
    options: [],
    npy: null,
    safetensors: "BF16",
    unit: 2 ** -8,
    encode: (values: Float64Array): Bytes => Uint16Array.from(values, toBfloat16),
    decode: (b: Uint8Array) => Float64Array.from(new Uint16Array(aligned(b)), fromBfloat16),
  },
} as const;

const aligned = (data: Uint8Array): ArrayBuffer => Uint8Array.from(data).buffer;

/** The data of an .npy file: everything after the line that ends the header. */
const npyData = (file: Buffer): Uint8Array => file.subarray(file.indexOf("\n") + 1);

function safetensorsData(file: Buffer, name: string): { header: Record<string, any>; data: Uint8Array } {
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, start)) as Record<string, any>;
  const [from, to] = header[name].data_offsets as [number, number];
  return { header, data: file.subarray(start + from, start + to) };
}

const difference = (a: Float64Array, b: Float64Array): number => {
  expect(a.length).toBe(b.length);
  return a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b[i]!)), 0);
};

/** Converts an engine's output in halves back to neighbours. */
function interleave(values: Float64Array, width: number): Float64Array {
  const half = width / 2;
  return values.map((_, at) => {
    const element = at % width;
    return values[at - element + (element % 2) * half + (element >> 1)]!;
  });
}

const goldens = [
  "microsoft/phi-2",
  "Qwen/Qwen2.5-7B-Instruct-yarn",
  "openai/gpt-oss-20b",
  "deepseek-ai/DeepSeek-V3",
].flatMap((id) => {
  const [rope] = fixtures("hf").find((fixture) => fixture.model === id)!.ropes;
  return rope!.rotated!.map((record) => [id, record.dtype, rope!, record] as const);
});

/** Standard normal inputs, and the amplitude 1.35 of gpt-oss: no rotated element is larger. */
const largest = 6;
/**
 * transformers rounds cos, sin, both products and the sum to the tensor's type, ropewalk the sum only: half a step
 * each.
 */
const roundings = 5 * largest;

test.each(goldens)(
  "%s in %s: the same result as transformers",
  (id, dtype, { headDim, rotaryDim, invFreq, pairing }, { positions, outputPairing, query, key }) => {
    const out = folder();
    const { safetensors, unit, decode } = types[dtype];
    const tensors = {
      query: { dtype: safetensors, shape: query.shape, data: bytes(query.input) },
      key: { dtype: safetensors, shape: key.shape, data: bytes(key.input) },
    };
    const file = writeSafetensors(join(folder(), "qk.safetensors"), tensors);
    const run = ropewalk([
      "apply",
      model(id),
      "--query",
      file,
      "--key",
      file,
      "--positions",
      positions.join(),
      "--max-position",
      "131072",
      "--out",
      out,
    ]);
    expect(run).toMatchObject({ status: 0, stderr: "" });
    const result = readFileSync(join(out, "qk.safetensors"));
    // A frequency may differ from the engine's by one or two float32 steps (inspect.test.ts); the angle differs by
    // position × step.
    const own: number[] = documents(ropewalk(["inspect", "--json", model(id)]))[0].ropes[0].invFreq;
    for (const [name, { output }] of Object.entries({ query, key })) {
      const { header, data } = safetensorsData(result, name);
      expect(header[name]).toMatchObject({ dtype: safetensors, shape: { query, key }[name]!.shape });
      const engine = decode(bytes(output));
      const expected = pairing === outputPairing ? engine : interleave(engine, headDim);
      const error = decode(data).map((value, at) => Math.abs(value - expected[at]!));
      const turn = (at: number): number => {
        const element = at % headDim;
        const pair = pairing === "half" ? element % invFreq.length : element >> 1;
        return element < rotaryDim
          ? positions[Math.floor((at * positions.length) / error.length)]! * Math.abs(own[pair]! - invFreq[pair]!)
          : 0;
      };
      expect(error.findIndex((value, at) => value > roundings * unit + largest * turn(at))).toBe(-1);
    }
  },
);

const yarn = model("Qwen/Qwen2.5-7B-Instruct-yarn");
const partial = model("microsoft/phi-2");

test.each(["float64", "float32", "float16"] as const)(
  ".npy in %s: apply, then invert, gives back the input under the same header",
  (dtype) => {
    const [input, rotated, back] = [folder(), folder(), folder()];
    const { npy, unit, encode, decode, options } = types[dtype];
    const shapes = { q: [7, 4, 128], k: [7, 2, 128] };
    for (const [name, shape] of Object.entries(shapes)) {
      writeNpy(
        join(input, `${name}.npy`),
        npy,
        shape,
        encode(
          normal(
            shape.reduce((a, b) => a * b),
            1,
          ),
        ),
      );
    }
    const step = (operation: string, from: string, to: string) =>
      ropewalk([
        "apply",
        yarn,
        "--operation",
        operation,
        "--query",
        join(from, "q.npy"),
        "--key",
        join(from, "k.npy"),
        "--positions",
        "100000:100007",
        "--out",
        to,
        ...options,
      ]);
    const forward = step("apply", input, rotated);
    expect(forward).toMatchObject({ status: 0, stderr: "" });
    expect(forward.stdout).toContain(`key [7, 2, 128] ${dtype} → ${join(rotated, "k.npy")}`);
    expect(step("invert", rotated, back)).toMatchObject({ status: 0, stderr: "" });

    for (const name of ["q.npy", "k.npy"]) {
      const [before, turned, after] = [input, rotated, back].map((path) => readFileSync(join(path, name))) as [
        Buffer,
        Buffer,
        Buffer,
      ];
      const headerLength = before.indexOf("\n") + 1;
      expect(turned.subarray(0, headerLength)).toEqual(before.subarray(0, headerLength));
      expect(difference(decode(npyData(turned)), decode(npyData(before)))).toBeGreaterThan(1);
      expect(difference(decode(npyData(after)), decode(npyData(before)))).toBeLessThan(roundings * unit);
    }
  },
);

test.each(["float64", "float32", "float16", "bfloat16"] as const)(
  ".safetensors in %s: apply, then invert; other tensors stay behind, metadata goes along",
  (dtype) => {
    const [input, rotated, back] = [folder(), folder(), folder()];
    const { safetensors, unit, encode, decode, options } = types[dtype];
    const tensors = {
      "layer.0.q": { dtype: safetensors, shape: [2, 5, 3, 80], data: encode(normal(2400, 2)) },
      other: { dtype: "I64", shape: [1], data: BigInt64Array.of(1n) },
      "layer.0.k": { dtype: safetensors, shape: [2, 5, 1, 80], data: encode(normal(800, 3)) },
    };
    writeSafetensors(join(input, "qk.safetensors"), tensors, { format: "pt" });
    const step = (operation: string, from: string, to: string) => {
      const file = join(from, "qk.safetensors");
      return ropewalk([
        "apply",
        partial,
        "--operation",
        operation,
        "--query",
        `${file}#layer.0.q`,
        "--key",
        `${file}#layer.0.k`,
        "--positions",
        "3,1,4,1,5",
        "--out",
        to,
        ...options,
      ]);
    };
    expect(step("apply", input, rotated)).toMatchObject({ status: 0, stderr: "" });
    expect(step("invert", rotated, back)).toMatchObject({ status: 0, stderr: "" });
    const after = readFileSync(join(back, "qk.safetensors"));
    for (const [name, { shape, data }] of Object.entries(tensors).filter(([tensor]) => tensor !== "other")) {
      const result = safetensorsData(after, name);
      expect(Object.keys(result.header).sort()).toEqual(["__metadata__", "layer.0.k", "layer.0.q"]);
      expect(result.header["__metadata__"]).toEqual({ format: "pt" });
      expect(result.header[name]).toMatchObject({ dtype: safetensors, shape });
      const original = decode(new Uint8Array(data.buffer));
      expect(difference(decode(result.data), original)).toBeLessThan(roundings * unit);
      // phi-2 rotates 32 of 80 elements; the others pass, bit for bit, also in the file in between.
      const turned = decode(safetensorsData(readFileSync(join(rotated, "qk.safetensors")), name).data);
      expect(turned.filter((_, at) => at % 80 >= 32)).toEqual(original.filter((_, at) => at % 80 >= 32));
      expect(difference(turned, original)).toBeGreaterThan(0.5);
    }
  },
);

/** Rotates one float32 query of phi-2's head and gives its numbers. */
function rotate(shape: readonly number[], data: Float64Array, ...options: readonly string[]): Float64Array {
  const [input, out] = [folder(), folder()];
  const file = writeNpy(join(input, "q.npy"), "<f4", shape, Float32Array.from(data));
  const run = ropewalk(["apply", partial, "--query", file, "--out", out, ...options]);
  expect(run).toMatchObject({ status: 0, stderr: "" });
  return types.float32.decode(npyData(readFileSync(join(out, "q.npy"))));
}

test("all ways to write positions give the same", () => {
  const data = normal(3 * 80, 4);
  const expected = rotate([3, 80], data, "--positions", "7:10");
  const integers = join(folder(), "positions.npy");
  for (const positions of ["7,8,9", "7:10:1", writeNpy(integers, "<i8", [3], BigInt64Array.of(7n, 8n, 9n))]) {
    expect(rotate([3, 80], data, "--positions", positions), positions).toEqual(expected);
  }
  expect(rotate([3, 80], data, "--positions", writeNpy(integers, "<i4", [3], Int32Array.of(7, 8, 9)))).toEqual(
    expected,
  );
  expect(rotate([3, 80], data, "--positions", "7:13:2")).not.toEqual(expected);
  expect(rotate([3, 80], data, "--positions", "7:12:2")).toEqual(rotate([3, 80], data, "--positions", "7,9,11"));
});

test("positions of a batch: a row for each", () => {
  const row = normal(2 * 80, 5);
  const batch = Float64Array.of(...row, ...row);
  const positions = writeNpy(join(folder(), "positions.npy"), "<i4", [2, 2], Int32Array.of(0, 1, 100, 101));
  const result = rotate([2, 2, 1, 80], batch, "--positions", positions);
  expect(result.subarray(0, 160)).toEqual(rotate([2, 80], row, "--positions", "0:2"));
  expect(result.subarray(160)).toEqual(rotate([2, 80], row, "--positions", "100:102"));
});

test("head-first files are the transposed token-first ones", () => {
  const [tokens, heads, width] = [5, 3, 80];
  const data = normal(2 * tokens * heads * width, 6);
  const transpose = (values: Float64Array): Float64Array => {
    const result = new Float64Array(values.length);
    for (let batch = 0; batch < 2; batch++) {
      for (let token = 0; token < tokens; token++) {
        for (let head = 0; head < heads; head++) {
          const from = ((batch * tokens + token) * heads + head) * width;
          result.set(values.subarray(from, from + width), ((batch * heads + head) * tokens + token) * width);
        }
      }
    }
    return result;
  };
  const expected = rotate([2, tokens, heads, width], data, "--positions", "10:15");
  expect(rotate([2, heads, tokens, width], transpose(data), "--positions", "10:15", "--layout", "head-first")).toEqual(
    transpose(expected),
  );
});

test("adjoint is invert except for the amplitude", () => {
  const [input, inverted, adjoint] = [folder(), folder(), folder()];
  const file = writeNpy(join(input, "q.npy"), "<f8", [2, 128], normal(256, 7));
  for (const [operation, out] of [
    ["invert", inverted],
    ["adjoint", adjoint],
  ] as const) {
    expect(
      ropewalk([
        "apply",
        yarn,
        "--operation",
        operation,
        "--query",
        file,
        "--positions",
        "5:7",
        "--precision",
        "float64",
        "--out",
        out,
      ]).status,
    ).toBe(0);
  }
  const [a, b] = [inverted, adjoint].map((out) => types.float64.decode(npyData(readFileSync(join(out, "q.npy"))))) as [
    Float64Array,
    Float64Array,
  ];
  const { attentionFactor } = fixtures("hf").find((fixture) => fixture.model === "Qwen/Qwen2.5-7B-Instruct-yarn")!
    .ropes[0]!;
  expect(
    difference(
      b,
      a.map((value) => value * attentionFactor ** 2),
    ),
  ).toBeLessThan(roundings * types.float64.unit);
});

const files = folder();
const q = writeNpy(join(files, "q.npy"), "<f4", [3, 2, 80], new Float32Array(480));
const k = writeNpy(join(files, "k.npy"), "<f4", [3, 1, 80], new Float32Array(240));
const integers = writeNpy(join(files, "integers.npy"), "<i4", [3, 2, 80], new Int32Array(480));
const headFirst = writeNpy(join(files, "head-first.npy"), "<f4", [2, 3, 80], new Float32Array(480));
const floats = writeNpy(join(files, "floats.npy"), "<f4", [3], Float32Array.of(0, 1, 2));
const negative = writeNpy(join(files, "negative.npy"), "<i4", [3], Int32Array.of(0, -1, 2));
const tensors = writeSafetensors(join(files, "qk.safetensors"), {
  query: { dtype: "F32", shape: [3, 2, 80], data: new Float32Array(480) },
});
const text = join(files, "text.npy");
writeFileSync(text, "not numpy");
const other = writeNpy(join(folder(), "q.npy"), "<f4", [3, 1, 80], new Float32Array(240));

test.each<[what: string, options: string[], words: string]>([
  ["a query that is not there", ["--query", join(files, "missing.npy"), "--positions", "0:3"], "does not exist"],
  ["a query of an unknown format", ["--query", partial, "--positions", "0:3"], ".npy"],
  ["a query in another format than its name says", ["--query", text, "--positions", "0:3"], "not an .npy file"],
  ["a query of integers", ["--query", integers, "--positions", "0:3"], "int32"],
  ["a query of another order of axes", ["--query", headFirst, "--positions", "0:3"], "--layout head-first"],
  ["a query of another headDim", ["--query", q, "--positions", "0:3", "--layout", "head-first"], "3 tokens"],
  ["fewer positions than tokens", ["--query", q, "--positions", "0:2"], "2 tokens"],
  ["more positions than tokens", ["--query", q, "--positions", "0:4"], "4 tokens"],
  [
    "one tensor that fits and one that does not",
    ["--query", q, "--key", headFirst, "--positions", "0:3"],
    "head-first.npy",
  ],
  ["no tensor", ["--positions", "0:3"], "--query"],
  ["no positions", ["--query", q], "--positions"],
  ["positions that run backwards", ["--query", q, "--positions", "3:0"], "start < end"],
  ["positions with step 0", ["--query", q, "--positions", "0:3:0"], "step > 0"],
  ["positions that are not integers", ["--query", q, "--positions", "0,1.5,2"], "1.5"],
  ["negative positions", ["--query", q, "--positions=-1,0,1"], "-1"],
  ["negative positions in a file", ["--query", q, "--positions", negative], "-1"],
  ["positions of floats", ["--query", q, "--positions", floats], "float32"],
  ["positions beyond what the model admits", ["--query", q, "--positions", "2047:2050"], "2048"],
  ["too many positions", ["--query", q, "--positions", "0:1000000000000"], "at most"],
  ["a tensor that the file lacks", ["--query", tensors, "--key", tensors, "--positions", "0:3"], '"key"'],
  ["one tensor as both", ["--query", tensors, "--key", `${tensors}#query`, "--positions", "0:3"], "same tensor"],
  ["results of equal names", ["--query", q, "--key", other, "--positions", "0:3"], "both be written"],
  ["a layer that is not a number", ["--query", q, "--positions", "0:3", "--layer", "one"], "--layer"],
  ["a layer beyond the last", ["--query", q, "--positions", "0:3", "--layer", "1000"], "1000"],
  ["an unknown layer type", ["--query", q, "--positions", "0:3", "--layer-type", "sliding"], "sliding"],
  ["an unknown operation", ["--query", q, "--positions", "0:3", "--operation", "back"], "--operation"],
  ["an unknown option", ["--query", q, "--positions", "0:3", "--inplace"], "--inplace"],
])("%s: exit code 2, one sentence, nothing written", (_, options, words) => {
  const parent = folder();
  const { status, stdout, stderr } = ropewalk(["apply", partial, "--out", join(parent, "out"), ...options]);
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toMatch(/^ropewalk: [^\n]+\n$/);
  expect(stderr).toContain(words);
  expect(readdirSync(parent)).toEqual([]);
});

test("a missing folder is made, with its parents", () => {
  const out = join(folder(), "new", "rotated");
  expect(ropewalk(["apply", partial, "--query", q, "--positions", "0:3", "--out", out])).toMatchObject({
    status: 0,
    stderr: "",
  });
  expect(readdirSync(out)).toEqual(["q.npy"]);
});

test.each<[what: string, out: string, words: string]>([
  ["is a file", q, "not a folder"],
  ["cannot be made", join(q, "rotated"), "not a folder"],
  ["is the folder of the input", files, "overwritten"],
])("a folder for results that %s: exit code 2, and the input is as it was", (_, out, words) => {
  const before = [readFileSync(q), readFileSync(k), readdirSync(files)];
  const { status, stderr } = ropewalk(["apply", partial, "--query", q, "--key", k, "--positions", "0:3", "--out", out]);
  expect(status).toBe(2);
  expect(stderr).toMatch(/^ropewalk: [^\n]+\n$/);
  expect(stderr).toContain(words);
  expect([readFileSync(q), readFileSync(k), readdirSync(files)]).toEqual(before);
});

test("a config with several ropes asks which", () => {
  const config = join(folder(), "config.json");
  const plain = { rope_type: "default", rope_theta: 10000 };
  writeFileSync(
    config,
    JSON.stringify({
      model_type: "gemma3_text",
      head_dim: 80,
      num_hidden_layers: 2,
      max_position_embeddings: 2048,
      layer_types: ["sliding_attention", "full_attention"],
      rope_parameters: { sliding_attention: plain, full_attention: { ...plain, rope_theta: 1_000_000 } },
    }),
  );
  const run = (...options: string[]) => {
    const out = folder();
    return { out, ...ropewalk(["apply", config, "--query", q, "--positions", "0:3", "--out", out, ...options]) };
  };
  const undecided = run();
  expect(undecided.status).toBe(2);
  expect(undecided.stderr).toContain("--layer");
  expect(run("--layer", "0").status).toBe(0);
  expect(run("--layer-type", "full_attention").status).toBe(0);
  expect(run("--layer", "0", "--layer-type", "full_attention").status).toBe(2);
});

/** Files of a folder with their contents; a folder in it as null. */
const contents = (path: string): Record<string, Buffer | null> =>
  Object.fromEntries(
    readdirSync(path, { withFileTypes: true }).map(({ name }) => [
      name,
      statSync(join(path, name)).isDirectory() ? null : readFileSync(join(path, name)),
    ]),
  );

const both = ["apply", partial, "--query", q, "--key", k, "--positions", "0:3", "--out"];

test("all results or none: one place is taken by a folder", () => {
  for (const force of [[], ["--force"]]) {
    const out = folder();
    mkdirSync(join(out, "k.npy"));
    writeFileSync(join(out, "q.npy"), "mine");
    const before = contents(out);
    const { status, stderr } = ropewalk([...both, out, ...force]);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^ropewalk: [^\n]+\n$/);
    expect(contents(out)).toEqual(before);
  }
});

test("results that exist are replaced with --force only", () => {
  const out = folder();
  writeFileSync(join(out, "q.npy"), "mine");
  const refused = ropewalk([...both, out]);
  expect(refused.status).toBe(2);
  expect(refused.stderr).toContain("--force");
  expect(contents(out)).toEqual({ "q.npy": Buffer.from("mine") });
  expect(ropewalk([...both, out, "--force"])).toMatchObject({ status: 0, stderr: "" });
  expect(Object.keys(contents(out))).toEqual(["k.npy", "q.npy"]);
  expect(readFileSync(join(out, "q.npy")).length).toBe(readFileSync(q).length);
});

test("whatever the command reads is never replaced: positions, config, a tensor under another name", () => {
  const [at, elsewhere] = [folder(), folder()];
  const positions = writeNpy(join(at, "p.npy"), "<i4", [3], Int32Array.of(0, 1, 2));
  const query = writeNpy(join(elsewhere, "p.npy"), "<f4", [3, 2, 80], new Float32Array(480));
  const config = join(at, "config.npy");
  copyFileSync(partial, config);
  const named = writeNpy(join(elsewhere, "config.npy"), "<f4", [3, 2, 80], new Float32Array(480));
  linkSync(q, join(at, "linked.npy"));
  const linked = writeNpy(join(elsewhere, "linked.npy"), "<f4", [3, 2, 80], new Float32Array(480));
  const before = contents(at);
  for (const args of [
    ["apply", partial, "--query", query, "--positions", positions],
    ["apply", config, "--query", named, "--positions", "0:3"],
    ["apply", partial, "--query", linked, "--key", q, "--positions", "0:3"],
  ]) {
    for (const force of [[], ["--force"]]) {
      const { status, stderr } = ropewalk([...args, "--out", at, ...force]);
      expect(status).toBe(2);
      expect(stderr).toContain("would be overwritten");
      expect(contents(at)).toEqual(before);
    }
  }
});

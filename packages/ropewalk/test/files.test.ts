/** File formats, compared with files that the reference implementations wrote (fixtures/make.py). */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fromBfloat16, fromFloat16 } from "@ropewalk/core/math";
import { afterAll, expect, test } from "vitest";
import { readJson, withFile } from "../src/cli/files.ts";
import { readNpy } from "../src/cli/npy.ts";
import { readSafetensors, safetensorsParts } from "../src/cli/safetensors.ts";
import type { StoredTensor } from "../src/cli/stored-tensor.ts";

const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
const folder = (): string => mkdtempSync(join(root, "ropewalk-files-"));
const root = mkdtempSync(join(tmpdir(), "ropewalk-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** The numbers that make.py stores in each float type. */
const values = [0, -1.5, 2, 0.25, 1024, -0.0078125];

function numbers({ dtype, data }: StoredTensor): number[] {
  const decode = { float16: fromFloat16, bfloat16: fromBfloat16 }[dtype as string] ?? Number;
  return Array.from(data as ArrayLike<number>, decode);
}

test.each(["float64", "float32", "float16"])("reads %s as NumPy writes it", (dtype) => {
  const tensor = withFile(fixture(`${dtype}.npy`), readNpy);
  expect(tensor).toMatchObject({ dtype, shape: [2, 3] });
  expect(numbers(tensor)).toEqual(values);
});

test.each([2, 3])("reads format version %i", (version) => {
  expect(numbers(withFile(fixture(`version-${version}.npy`), readNpy))).toEqual(values);
});

test.each(["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])(
  "reads %s as NumPy writes it",
  (dtype) => {
    const tensor = withFile(fixture(`${dtype}.npy`), readNpy);
    expect(tensor).toMatchObject({ dtype, shape: [3] });
    expect(numbers(tensor)).toEqual([0, 1, 100]);
  },
);

test("a scalar has no axes", () => {
  expect(withFile(fixture("scalar.npy"), readNpy)).toMatchObject({ shape: [], data: Float32Array.of(3) });
});

test.each([
  ["fortran.npy", "Fortran order"],
  ["big-endian.npy", "big-endian"],
  ["bfloat16.npy", "store bfloat16 as .safetensors"],
  ["complex.npy", '"<c8"'],
  ["records.npy", "records"],
  ["object.npy", '"|O"'],
  ["types.safetensors", "is not an .npy file"],
])("refuses %s with a sentence", (name, words) => {
  expect(() => withFile(fixture(name), readNpy)).toThrow(words);
});

test("a file cut off at any byte, or with bytes too many, is refused", () => {
  const whole = readFileSync(fixture("float32.npy"));
  const path = join(folder(), "cut.npy");
  for (let length = 0; length <= whole.length + 1; length++) {
    if (length === whole.length) continue;
    writeFileSync(path, Buffer.concat([whole, Buffer.alloc(1)]).subarray(0, length));
    expect(() => withFile(path, readNpy), `${length} bytes`).toThrow(expect.objectContaining({ code: "FILE_FORMAT" }));
  }
});

test.each(["float64", "float32", "float16", "bfloat16"])("reads %s as safetensors writes it", (dtype) => {
  const tensor = withFile(fixture("types.safetensors"), (file) => readSafetensors(file).tensor(dtype));
  expect(tensor).toMatchObject({ dtype, shape: [2, 3] });
  expect(numbers(tensor)).toEqual(values);
});

test("a tensor that a .safetensors file lacks, or holds in a type that is not read, is refused with a sentence", () => {
  const tensor = (name: string) => () =>
    withFile(fixture("types.safetensors"), (file) => readSafetensors(file).tensor(name));
  expect(tensor("query")).toThrow('has no tensor "query"; it has int64, float64');
  expect(tensor("constructor")).toThrow('has no tensor "constructor"');
  expect(tensor("bool")).toThrow("as BOOL");
});

test("a .safetensors file cut off at any byte is refused", () => {
  const whole = readFileSync(fixture("types.safetensors"));
  const path = join(folder(), "cut.safetensors");
  // "bool" comes last, so every cut damages a tensor that the test reads.
  for (let length = 0; length < whole.length - 1; length++) {
    writeFileSync(path, whole.subarray(0, length));
    expect(() => withFile(path, (file) => readSafetensors(file).tensor("float16")), `${length} bytes`).toThrow(
      expect.objectContaining({ code: "FILE_FORMAT" }),
    );
  }
});

test("written files equal those of the reference implementation", () => {
  const path = fixture("types.safetensors");
  const { names, metadata, tensor } = withFile(path, (file) => {
    const header = readSafetensors(file);
    return {
      ...header,
      tensor: header.names.filter((name) => name !== "bool").map((name) => [name, header.tensor(name)] as const),
    };
  });
  expect(names).toHaveLength(6);
  const bytes = Buffer.concat(safetensorsParts(Object.fromEntries(tensor), metadata));
  const start = (file: Buffer): number => 8 + Number(file.readBigUInt64LE(0));
  const header = (file: Buffer): Record<string, unknown> =>
    JSON.parse(file.toString("utf8", 8, start(file))) as Record<string, unknown>;
  const whole = readFileSync(path);
  const { bool: _, ...expected } = header(whole);
  expect(header(bytes)).toEqual(expected);
  expect(start(bytes) % 8).toBe(0);
  expect(bytes.subarray(start(bytes))).toEqual(whole.subarray(start(whole), -1));
});

test("JSON as Python writes it: Infinity and NaN outside of strings, a byte order mark", () => {
  const path = join(folder(), "config.json");
  writeFileSync(path, '\uFEFF{"limit": [0.0, Infinity, -Infinity], "nan": NaN, "text": "NaN \\" Infinity"}');
  expect(readJson(path)).toEqual({ limit: [0, Infinity, -Infinity], nan: Number.NaN, text: 'NaN " Infinity' });
});

test.each(["", "{", "{'a': 1}", "{a: NaN}"])("%j is not JSON, and the message has one line", (text) => {
  const path = join(folder(), "config.json");
  writeFileSync(path, text);
  expect(() => readJson(path)).toThrow(/^[^\n]*config\.json is not JSON: [^\n]*$/);
});

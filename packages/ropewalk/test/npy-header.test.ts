/** The header literal of `.npy` files: what NumPy writes is read, and nothing that it would read otherwise. */

import { join } from "node:path";
import { writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { withFile } from "../src/cli/files.ts";
import { readNpy } from "../src/cli/npy.ts";
import { folder } from "./support.ts";

/** A file of `count` float32 numbers under a header. */
function file(header: string, count = 6): string {
  const path = join(folder(), "a.npy");
  const length = Buffer.alloc(2);
  length.writeUInt16LE(Buffer.byteLength(header, "latin1"));
  writeFileSync(
    path,
    Buffer.concat([
      Buffer.from("\x93NUMPY\x01\x00", "latin1"),
      length,
      Buffer.from(header, "latin1"),
      Buffer.alloc(4 * count),
    ]),
  );
  return path;
}
const read = (header: string, count?: number) => withFile(file(header, count), readNpy);

/** A 2 by 3 array as NumPy 2.3, NumPy 1 under Python 2 (`L`) and other writers (quotes, order, no padding) say it. */
test.each([
  "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }          \n",
  "{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }\n",
  '{"shape": (2, 3,), "descr": "<f4", "fortran_order": False}',
  "{'shape':(2,3),'fortran_order':False,'descr':'<f4'}",
])("%j is read", (header) => {
  expect(read(header)).toMatchObject({ dtype: "float32", shape: [2, 3] });
});

test("no axes, one axis, an axis of 0", () => {
  const header = (shape: string): string => `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }\n`;
  expect(read(header("()"), 1).shape).toEqual([]);
  expect(read(header("(6,)")).shape).toEqual([6]);
  expect(read(header("(0, 3)"), 0).shape).toEqual([0, 3]);
});

/** One part of a right header is replaced. */
const wrong: readonly (readonly [what: string, part: string, by: string, words: string])[] = [
  ["a key twice, of which Python takes the last", "'shape'", "'fortran_order': True, 'shape'", "twice"],
  ["a further key", "'shape'", "'x': 1, 'shape'", 'the key "x"'],
  ["a missing key", "'descr': '<f4', ", "", "without descr"],
  ["sizes without a comma between them", "(2, 3)", "(2 3)", "does not fit"],
  ["two sizes that run together", "(2, 3)", "(4 9, 2, 16)", "does not fit"],
  ["a size in brackets, which is no tuple", "(2, 3)", "(6)", "does not fit"],
  ["a list of sizes", "(2, 3)", "[2, 3]", "does not fit"],
  ["a negative size", "(2, 3)", "(-2, -3)", "does not fit"],
  ["a size with a leading zero", "(2, 3)", "(02, 3)", "does not fit"],
  ["a size beyond 2^53", "(2, 3)", "(0, 99999999999999999999)", "does not fit"],
  ["a fraction", "(2, 3)", "(2.0, 3)", "does not fit"],
  ["a word that begins as False does", "False", "Falsey", "does not fit"],
  ["a truth in lower case", "False", "false", "does not fit"],
  ["a number as truth", "False", "0", "does not fit"],
  ["code", "False", "__import__('os').system('x')", "does not fit"],
  ["an escape in a string", "'<f4'", "'\\x3cf4'", "does not fit"],
  ["an open string", "'<f4'", "'<f4", "does not fit"],
  ["something after the dict", "}", "} + {}", "does not fit"],
  ["something before the dict", "{", "x = {", "does not fit"],
  ["no dict", "{", "", "does not fit"],
  ["a dict in a dict", "(2, 3)", "{'a': 1}", "does not fit"],
  ["two commas", "False,", "False,,", "does not fit"],
  ["a comment", "False,", "False, # x\n", "does not fit"],
  ["records", "'<f4'", "[('a', '<f4')]", "records"],
  ["a type by the name of a property of objects", "<f4", "constructor", '"constructor"'],
  ["a type by the name of the prototype", "<f4", "__proto__", '"__proto__"'],
  ["a type by the name of a method", "<f4", "toString", '"toString"'],
  ["no type", "<f4", "", '""'],
  ["65 axes", "(2, 3)", `(${"1, ".repeat(65)})`, "axes"],
];

test.each(wrong)("%s is refused", (_, part, by, words) => {
  const right = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";
  expect(right).toContain(part);
  expect(() => read(right.replace(part, () => by))).toThrow(expect.objectContaining({ code: "FILE_FORMAT" }));
  expect(() => read(right.replace(part, () => by))).toThrow(words);
});

test("a header cut off at any character is refused", () => {
  const right = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
  for (let length = 0; length < right.length; length++) {
    expect(() => read(right.slice(0, length)), right.slice(0, length)).toThrow(
      expect.objectContaining({ code: "FILE_FORMAT" }),
    );
  }
});

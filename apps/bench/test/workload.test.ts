import { expect, test } from "vitest";
import type { Contestant } from "../src/contestant.ts";
import { race } from "../src/race.ts";
import {
  bfloat16Bits,
  bfloat16Value,
  check,
  createInput,
  createWorkload,
  float16Bits,
  float16Value,
} from "../src/workload.ts";
import type { Workload } from "../src/workload.ts";

const workload = (dtype: "float32" | "float16" = "float32"): Workload =>
  createWorkload({ tokens: 2, pairing: "half", dtype, queryHeads: 2, keyHeads: 1 });

test("a tensor that was not rotated is wrong, and so is NaN", () => {
  const given = workload();
  const unrotated = check(given, given.pristine, "float32");
  expect(unrotated.error).toBeGreaterThan(unrotated.tolerance);
  const query = given.pristine.query.slice();
  query[0] = NaN;
  expect(check(given, { query, key: given.pristine.key }, "float32").error).toBe(Infinity);
});

test("a contestant with a wrong result is not timed", async () => {
  const wrong: Contestant = {
    name: "wrong",
    source: "here",
    angles: "float32",
    prepare: ({ working }) => ({ run: () => undefined, result: working }),
  };
  await expect(race(workload(), [wrong], [wrong], { seconds: 0, rounds: 1 })).rejects.toThrow(
    /^wrong, 2 tokens, half, float32: wrong by/,
  );
});

test("float16 bits and values are inverse, and rounding is to the nearest, ties to even", () => {
  for (let bits = 0; bits < 0x7c00; bits++) expect(float16Bits(float16Value(bits))).toBe(bits);
  // 1 + 2^-11 lies half-way between 1 and 1 + 2^-10; 1 + 3 · 2^-11 between two of which the upper is even.
  expect([1 + 2 ** -11, 1 + 2 ** -11 + 2 ** -20, 1 + 3 * 2 ** -11, -2, 2 ** -24].map(float16Bits)).toEqual([
    0x3c00, 0x3c01, 0x3c02, 0xc000, 1,
  ]);
});

test("bfloat16 bits and values are inverse, and rounding is to the nearest, ties to even", () => {
  for (let bits = 0; bits < 0x7f80; bits++) expect(bfloat16Bits(bfloat16Value(bits))).toBe(bits);
  expect(bfloat16Value(0xc040)).toBe(-3);
  // 1 + 2^-8 lies half-way between 1 and 1 + 2^-7; 1 + 3 · 2^-8 between two of which the upper is even.
  expect([1 + 2 ** -8, 1 + 2 ** -8 + 2 ** -20, 1 + 3 * 2 ** -8, -2].map(bfloat16Bits)).toEqual([
    0x3f80, 0x3f81, 0x3f82, 0xc000,
  ]);
});

test("infinity and NaN of 16 bits are wrong", () => {
  for (const [dtype, wrong] of [
    ["float16", [0x7c00, 0x7e00]],
    ["bfloat16", [0x7f80, 0x7fc0]],
  ] as const) {
    const given = createInput({ tokens: 1, pairing: "half", dtype, queryHeads: 1, keyHeads: 1 });
    for (const bits of wrong) {
      const key = given.pristine.key.slice();
      key[5] = bits;
      expect(check(given, { query: given.pristine.query, key }, "float32").error).toBe(Infinity);
    }
  }
});

/** The whole text of kernels, as data to be read; and that the tests of this package see a mistake in it. */

import { kernelText } from "@ropewalk/webgpu-backend/kernel";
import type { Kernel } from "@ropewalk/webgpu-backend/kernel";
import { afterAll, describe, expect, test } from "vitest";
import { bodyCases } from "./body.ts";
import { newDevice } from "./node-device.ts";
import { expectSeen } from "./planted.ts";

const base: Kernel = {
  headDim: 128,
  rotaryDim: 128,
  rotaryOffset: 0,
  blocks: 1,
  run: 4,
  heads: 1,
  tensors: [
    { name: "query", input: { memory: 0, dtype: "float32" } },
    { name: "key", input: { memory: 1, dtype: "float32" } },
  ],
  memories: [
    { writable: true, words: 4, atomic: false },
    { writable: true, words: 4, atomic: false },
  ],
  rows: { kind: "gathered" },
  nativeFloat16: false,
  workgroupSize: 256,
};

const kernels: Readonly<Record<string, Kernel>> = {
  "half, float32, query and key in place": base,
  "adjacent, a slice, key into a float16 cache": {
    ...base,
    headDim: 80,
    rotaryDim: 32,
    rotaryOffset: 16,
    blocks: 16,
    tensors: [
      base.tensors[0]!,
      { name: "key", input: { memory: 1, dtype: "float32" }, output: { memory: 2, dtype: "float16" } },
    ],
    memories: [
      base.memories[0]!,
      { writable: false, words: 4, atomic: false },
      { writable: true, words: 2, atomic: false },
    ],
  },
  "the same with float16 of the device": {
    ...base,
    headDim: 80,
    rotaryDim: 32,
    rotaryOffset: 16,
    blocks: 16,
    tensors: [{ name: "key", input: { memory: 0, dtype: "float32" }, output: { memory: 1, dtype: "float16" } }],
    memories: [
      { writable: false, words: 4, atomic: false },
      { writable: true, words: 2, atomic: false },
    ],
    nativeFloat16: true,
  },
  "half, bfloat16, eight at a time": {
    ...base,
    run: 8,
    tensors: [
      { name: "query", input: { memory: 0, dtype: "bfloat16" } },
      { name: "key", input: { memory: 1, dtype: "bfloat16" } },
    ],
  },
  "adjacent, a slice, float16 to bfloat16, eight at a time": {
    ...base,
    run: 8,
    headDim: 80,
    rotaryDim: 32,
    rotaryOffset: 16,
    blocks: 16,
    tensors: [{ name: "key", input: { memory: 0, dtype: "float16" }, output: { memory: 1, dtype: "bfloat16" } }],
    memories: [
      { writable: false, words: 4, atomic: false },
      { writable: true, words: 4, atomic: false },
    ],
  },
  "factored table, four heads of an invocation, a slice to out": {
    ...base,
    heads: 4,
    headDim: 96,
    rotaryDim: 64,
    tensors: [
      base.tensors[0]!,
      { name: "key", input: { memory: 1, dtype: "float32" }, output: { memory: 2, dtype: "float32" } },
    ],
    memories: [
      base.memories[0]!,
      { writable: false, words: 4, atomic: false },
      { writable: true, words: 4, atomic: false },
    ],
    rows: { kind: "factored", rounded: false, words: 1, axes: null },
  },
  "bfloat16 at odd addresses": {
    ...base,
    run: 1,
    headDim: 6,
    rotaryDim: 6,
    tensors: [{ name: "query", input: { memory: 0, dtype: "bfloat16" } }],
    memories: [{ writable: true, words: 1, atomic: true }],
  },
  "two blocks, three axes in cycles, int64 positions": {
    ...base,
    headDim: 16,
    rotaryDim: 16,
    blocks: 2,
    tensors: [base.tensors[0]!],
    memories: [base.memories[0]!],
    rows: { kind: "table", words: 2, axes: [0, 1, 2, 0, 1, 2, 0, 1] },
  },
  "factored table, rounded angles, pairs two at a time": {
    ...base,
    run: 2,
    headDim: 12,
    rotaryDim: 12,
    tensors: [base.tensors[1]!],
    memories: [base.memories[0]!, { writable: true, words: 2, atomic: false }],
    rows: { kind: "factored", rounded: true, words: 1, axes: null },
  },
};

test.each(Object.entries(kernels))("%s", async (name, kernel) => {
  await expect(kernelText(kernel)).toMatchFileSnapshot(`kernels/${name.replaceAll(/[^a-z0-9]+/gi, "-")}.wgsl`);
});

describe("a mistake in a kernel fails the body", async () => {
  const device = await newDevice();
  afterAll(() => device.destroy());

  test.each([
    // One invocation too few is one run of elements that stays as it was; one too many writes beyond, into the gap.
    {
      mistake: "the tail ends one invocation early",
      find: /index >= call\.count/,
      replacement: "index + 1u >= call.count",
      cases: ["query and key in place"],
    },
    {
      mistake: "the tail ends one invocation late",
      find: /index >= call\.count/,
      replacement: "index > call.count",
      cases: ["strides"],
    },
    {
      mistake: "an element is read after it was written (aliasing)",
      find: /y \* t\.cos \+ x \* t\.sin/,
      replacement: "y * t.cos + bitcast<Floats>(load_query(src + i)) * t.sin",
      cases: ["query and key in place"],
    },
    {
      mistake: "key is written where query is",
      find: /let src = call\.key_offset/,
      replacement: "let src = call.query_offset",
      cases: ["strides"],
    },
    {
      mistake: "sections in another order",
      find: /array<u32, (\d+)>\(0, /,
      replacement: "array<u32, $1>(1, ",
      cases: ["several axes"],
    },
    {
      mistake: "the axes of positions lie the other way",
      find: /axis \* call\.position_axis \+ row/,
      replacement: "(2u - axis) * call.position_axis + row",
      cases: ["several axes"],
    },
    {
      mistake: "the sign of the second element",
      find: /y \* t\.cos \+ x \* t\.sin/,
      replacement: "y * t.cos - x * t.sin",
      cases: ["query and key in place"],
    },
    {
      mistake: "elements that are not rotated, one run off",
      find: /let i = (\(unit - \d+u\)) \* /,
      replacement: "let i = ($1 + 1u) * ",
      cases: ["to out"],
    },
    {
      mistake: "float16 is cut off, not rounded",
      find: /bitcast<Words>\(abs\(value\) \+ bitcast<Floats>\(power\)\)/,
      replacement:
        "(bitcast<Words>(abs(value) + bitcast<Floats>(power)) & Words(0u)) + power + (((bits & Words(0x7fffffu)) | Words(0x800000u)) >> Words(13u))",
      cases: ["rounding to 16 bits"],
    },
    {
      mistake: "a position beyond the table is taken for the last",
      find: /return position\(0u, row\) < call\.position_limit;/,
      replacement: "return true;",
      cases: ["positions out of range"],
    },
    {
      mistake: "float16: a subnormal is taken for a normal number",
      find: /Words\(0x38800000u\)\) - Floats\(6\.103515625e-05\)/,
      replacement: "Words(0x38800000u))",
      cases: ["float16 and bfloat16"],
    },
    {
      mistake: "the second four of eight turn like the first",
      find: /let u = turn\(row, pair \+ 4u\);/,
      replacement: "let u = t;",
      cases: ["float16 and bfloat16"],
    },
    {
      mistake: "heads of an invocation: all are the first",
      find: /head \+ h, in_range/,
      replacement: "head, in_range",
      cases: ["heads that share"],
    },
    {
      mistake: "the rounding of the angle is forgotten",
      find: /let d = angle_rounding\([^;]*;/,
      replacement: "let d = 0.0;",
      cases: ["the factored table"],
    },
  ])("$mistake", (mistake) => expectSeen(device, mistake, bodyCases));
});

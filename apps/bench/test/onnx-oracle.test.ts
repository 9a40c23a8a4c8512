/**
 * onnxruntime's two native RotaryEmbedding kernels as an oracle for `apply`. With our cos and sin tables, its rotation
 * must equal ours. The comparison covers everything except the tables: pairing, rows chosen by positions, elements that
 * are not rotated, signs, layouts and strides.
 */

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { beforeAll, describe, expect, test } from "vitest";
import { getRope } from "@ropewalk/core";
import type { Pairing, RotaryEmbedding } from "@ropewalk/core";
import "@ropewalk/default";
import { writeModel } from "../src/onnx-model.ts";

const ROWS = 131072;
const BATCH = 2;
const HEADS = 3;
const POSITIONS = [
  [0, 1, 127, 257, 2049, 4096, 15962],
  [131071, 131070, 32768, 65535, 3, 0, 99999],
];
const TOKENS = POSITIONS[0]!.length;

// The largest difference that two correct kernels can have. Ours rounds both products and their sum to float32; theirs
// may fuse one product into the sum (FMA, on the processors that have it), which leaves out that product's rounding.
// So: once 2^-24 of a product, and 2^-24 of the sum in each, all bounded by |x·cos| + |y·sin| — 1.5 units in the last
// place of it. Measured on a processor with FMA: 2 · 2^-24.
const TOLERANCE = 3 * 2 ** -24;

interface Case {
  readonly domain: "com.microsoft" | "ai.onnx";
  readonly pairing: "half" | "adjacent";
  readonly layout: "head-first" | "token-first";
  readonly headDim: number;
  readonly rotaryDim: number;
}

const cases: Case[] = [];
for (const domain of ["com.microsoft", "ai.onnx"] as const) {
  for (const pairing of ["half", "adjacent"] as const) {
    for (const layout of ["head-first", "token-first"] as const) {
      // 24 and 40 pairs do not fill the vectors that kernels work in.
      for (const [headDim, rotaryDim] of [
        [64, 64],
        [64, 32],
        [80, 80],
        [64, 48],
      ] as const) {
        cases.push({ domain, pairing, layout, headDim, rotaryDim });
      }
    }
  }
}

/** `[cos, sin]` of all rows, from the rope itself. */
const tables = new Map<string, { rope: RotaryEmbedding; cos: Float32Array; sin: Float32Array }>();
beforeAll(() => {
  for (const { headDim, rotaryDim, pairing } of cases) {
    const name = nameOf(headDim, rotaryDim, pairing);
    if (tables.has(name)) continue;
    const rope = getRope({ headDim, rotaryDim, pairing, maxPosition: ROWS, parameters: { ropeType: "default" } });
    tables.set(name, { rope, ...(rope.cosSin({ start: 0, count: ROWS }) as { cos: Float32Array; sin: Float32Array }) });
  }
});
const nameOf = (headDim: number, rotaryDim: number, pairing: Pairing): string =>
  `${headDim} ${rotaryDim} ${String(pairing)}`;

/** The model's answer for `x`. */
async function onnx(
  { domain, pairing, headDim, rotaryDim }: Case,
  x: Float32Array,
  shape: number[],
  cos: Float32Array,
  sin: Float32Array,
): Promise<Float32Array> {
  const partial = rotaryDim < headDim ? { rotary_embedding_dim: rotaryDim } : {};
  const heads = shape.length === 3 || rotaryDim < headDim ? { num_heads: HEADS } : {};
  const model = writeModel({
    opsets: domain === "ai.onnx" ? { "": 23 } : { "": 17, [domain]: 1 },
    nodes: [
      {
        op: "RotaryEmbedding",
        domain: domain === "ai.onnx" ? "" : domain,
        inputs: domain === "ai.onnx" ? ["x", "cos", "sin", "positions"] : ["x", "positions", "cos", "sin"],
        outputs: ["y"],
        attributes: { interleaved: pairing === "adjacent" ? 1 : 0, ...partial, ...heads },
      },
    ],
    inputs: [
      { name: "x", type: "float32", shape },
      { name: "positions", type: "int64", shape: [BATCH, TOKENS] },
      { name: "cos", type: "float32", shape: [ROWS, rotaryDim / 2] },
      { name: "sin", type: "float32", shape: [ROWS, rotaryDim / 2] },
    ],
    outputs: [{ name: "y", type: "float32", shape }],
  });
  const session = await InferenceSession.create(model);
  const table = (data: Float32Array) => new Tensor("float32", data, [ROWS, rotaryDim / 2]);
  const positions = new Tensor("int64", BigInt64Array.from(POSITIONS.flat(), BigInt), [BATCH, TOKENS]);
  const { y } = await session.run({ x: new Tensor("float32", x, shape), positions, cos: table(cos), sin: table(sin) });
  await session.release();
  return y!.data as Float32Array;
}

/** The index of an element in memory. */
function indexOf({ layout, headDim }: Case, b: number, t: number, h: number, d: number): number {
  const head = layout === "head-first" ? (b * HEADS + h) * TOKENS + t : (b * TOKENS + t) * HEADS + h;
  return head * headDim + d;
}

describe.each(cases)("$domain, $pairing, $layout, $rotaryDim of $headDim", (one) => {
  const { pairing, layout, headDim, rotaryDim } = one;

  test("rotates as rope.apply does", async () => {
    const { rope, cos, sin } = tables.get(nameOf(headDim, rotaryDim, pairing))!;
    const x = Float32Array.from({ length: BATCH * TOKENS * HEADS * headDim }, (_, i) => Math.sin(i * 12.9898 + 1) * 3);
    const shape = layout === "head-first" ? [BATCH, HEADS, TOKENS, headDim] : [BATCH, TOKENS, HEADS * headDim];
    const expected = await onnx(one, x, shape, cos, sin);

    const strides =
      layout === "head-first"
        ? [HEADS * TOKENS * headDim, headDim, TOKENS * headDim, 1]
        : [TOKENS * HEADS * headDim, HEADS * headDim, headDim, 1];
    const ours = x.slice();
    rope.apply({ positions: POSITIONS, query: { data: ours, shape: [BATCH, TOKENS, HEADS, headDim], strides } });

    let rotated = 0;
    let worst = 0;
    for (let b = 0; b < BATCH; b++) {
      for (let t = 0; t < TOKENS; t++) {
        for (let h = 0; h < HEADS; h++) {
          for (let i = 0; i < rotaryDim / 2; i++) {
            const first = indexOf(one, b, t, h, pairing === "half" ? i : 2 * i);
            const second = first + (pairing === "half" ? rotaryDim / 2 : 1);
            const row = (POSITIONS[b]![t]! * rotaryDim) / 2 + i;
            const term = (u: number, v: number): number => Math.abs(x[u]! * cos[row]!) + Math.abs(x[v]! * sin[row]!);
            worst = Math.max(
              worst,
              Math.abs(ours[first]! - expected[first]!) / term(first, second),
              Math.abs(ours[second]! - expected[second]!) / term(second, first),
            );
            if (ours[first] !== x[first]) rotated++;
          }
          for (let d = rotaryDim; d < headDim; d++) {
            const index = indexOf(one, b, t, h, d);
            expect([ours[index], expected[index]]).toEqual([x[index], x[index]]);
          }
        }
      }
    }
    expect(worst).toBeLessThanOrEqual(TOLERANCE);
    // Position 0 does not change a tensor. Other positions are needed, so that an untouched tensor fails.
    expect(rotated).toBeGreaterThan((BATCH * TOKENS - 2) * HEADS * (rotaryDim / 2) * 0.75);
  });
});

// In a process of its own: onnxruntime-node 1.30 refuses float16 input where the global Float16Array exists.
test("float16: both kernels and both pairings, tables in float16", () => {
  const script = fileURLToPath(new URL("./onnx-float16.mjs", import.meta.url));
  const results = JSON.parse(execFileSync(process.execPath, [script], { encoding: "utf8" })) as {
    name: string;
    values: number;
    worst: number;
    changed: number;
  }[];
  expect(results.map(({ name }) => name)).toEqual([
    "com.microsoft half",
    "com.microsoft adjacent",
    "ai.onnx half",
    "ai.onnx adjacent",
  ]);
  for (const { values, worst, changed } of results) {
    expect(changed).toBeGreaterThan(values * 0.7);
    // Ours computes in float32 and rounds once, by 2^-11. Theirs may round each product and the sum to float16: three
    // times 2^-11 of |x·cos| + |y·sin|. Measured where the processor has no float16 arithmetic: equal bits.
    expect(worst).toBeLessThanOrEqual(4 * 2 ** -11);
  }
});

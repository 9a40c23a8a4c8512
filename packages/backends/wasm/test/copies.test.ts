/**
 * Tensors outside arenas: whatever is copied in however many runs and pieces, and whether kernels or JavaScript rotate
 * it, the bits of the whole memory are those of JavaScript.
 */

import { getRopeUntyped } from "@ropewalk/core";
import type { ElementType, RotaryEmbedding, TensorView } from "@ropewalk/core";
import { createArena } from "@ropewalk/wasm-backend";
import { expect, test, vi } from "vitest";
import { registry } from "./plain.ts";
import type { Geometry } from "./plain.ts";

const ropes = (geometry: Geometry): [js: RotaryEmbedding, wasm: RotaryEmbedding] => {
  const request = { ...geometry, parameters: { ropeType: "plain" } };
  return [getRopeUntyped(request, { registry, backend: "js" }), getRopeUntyped(request, { registry, backend: "wasm" })];
};

/** Numbers of a fixed seed. */
let state = 1;
const random = (below: number): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};
const oneOf = <T>(list: readonly T[]): T => list[random(list.length)]!;

/** Bits of float32: ordinary numbers, and now and then a zero, a denormal, an infinity, or a NaN with a payload. */
function singles(length: number): Float32Array {
  const bits = new Uint32Array(length);
  const odd = [0x80000000, 0, 0x00000001, 0x807fffff, 0x00800000, 0x7f800000, 0x7fc12345, 0xffc00001];
  for (let i = 0; i < length; i++) {
    // At most every fortieth, so that a pair has one of them at most, with heads of 8 and more.
    const isOdd = i % 41 === 0 && random(3) === 0;
    bits[i] = isOdd ? oneOf(odd) : ((random(2) << 31) | ((110 + random(30)) << 23) | random(1 << 23)) >>> 0;
  }
  return new Float32Array(bits.buffer);
}

type Elements = Float32Array | Float64Array | Uint16Array;
function elements(dtype: ElementType, length: number): Elements {
  if (dtype === "float32") return singles(length);
  if (dtype === "float64") return Float64Array.from(singles(length));
  // No NaN and no infinity of 16 bits.
  return Uint16Array.from(
    { length },
    () => (random(2) << 15) | (dtype === "float16" ? random(0x7800) : 0x3000 + random(0x1800)),
  );
}

/** A copy that does not begin where its buffer does. */
function inside<T extends Elements>(values: T): T {
  const View = values.constructor as new (length: number) => T;
  const view = new View(values.length + 3).subarray(3) as T;
  view.set(values);
  return view;
}

const wordsOf = (data: Elements): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** A layout of `[batch, tokens, heads, headDim]` with the length of its memory. */
function layout(kind: string, [b, t, h, d]: readonly [number, number, number, number]) {
  const dense = { strides: [t * h * d, h * d, d, 1], offset: 0, length: b * t * h * d };
  if (kind === "dense") {
    return dense;
  }
  if (kind === "behind") {
    return { ...dense, offset: 5, length: dense.length + 9 };
  }
  if (kind === "rows apart") {
    return { strides: [t * h * d + 11, h * d, d, 1], offset: 0, length: b * (t * h * d + 11) };
  }
  // As a query in a buffer with keys and values.
  if (kind === "fused") {
    return { strides: [t * (h + 3) * d, (h + 3) * d, d, 1], offset: d, length: b * t * (h + 3) * d };
  }
  if (kind === "head-first") {
    return { strides: [t * h * d, d, t * d, 1], offset: 0, length: b * t * h * d };
  }
  if (kind === "slots") {
    return { strides: [(t + 5) * h * d, d, (t + 5) * d, 1], offset: 3 * d, length: b * (t + 5) * h * d };
  }
  if (kind === "apart") {
    return { strides: [t * h * 2 * d, h * 2 * d, 2 * d, 1], offset: 1, length: b * t * h * 2 * d };
  }
  if (kind === "backwards") {
    return { strides: [t * h * d, -h * d, d, 1], offset: (t - 1) * h * d, length: b * t * h * d };
  }
  if (kind === "apart, head-first") {
    return { strides: [t * h * 2 * d, 2 * d, t * 2 * d, 1], offset: 0, length: b * t * h * 2 * d };
  }
  return { strides: [t * h * d * 2, h * d * 2, d * 2, 2], offset: 0, length: b * t * h * d * 2 };
}
const kinds = [
  "dense",
  "behind",
  "rows apart",
  "fused",
  "head-first",
  "slots",
  "apart",
  "backwards",
  "apart, head-first",
  "scattered",
] as const;

const geometries: readonly Geometry[] = [
  { headDim: 128, pairing: "half" },
  { headDim: 64, pairing: "adjacent" },
  { headDim: 128, pairing: { blocks: 2 } },
  { headDim: 80, rotaryDim: 32, pairing: "half" },
  { headDim: 24, rotaryDim: 18, rotaryOffset: 5, pairing: "adjacent" },
  { headDim: 192, rotaryDim: 64, rotaryOffset: 128, pairing: "half" },
  { headDim: 576, rotaryDim: 64, rotaryOffset: 512, pairing: "adjacent" },
];
const types: readonly ElementType[] = ["float32", "float32", "float64", "float16", "bfloat16"];

test.each(geometries.map((geometry) => [JSON.stringify(geometry), geometry] as const))(
  "in all layouts, types and sizes: %s",
  (_, geometry) => {
    const [js, wasm] = ropes(geometry);
    state = 7;
    for (let round = 0; round < 40; round++) {
      const isBatch = random(3) === 0;
      // Now and then more tokens than a piece holds, and a table larger than its area.
      const tokens = oneOf([1, 2, 3, 17, 64, 130, random(8) === 0 ? 700 : 5]);
      const shape = [
        oneOf([1, 2, 3]),
        tokens,
        tokens > 600 ? 1 : oneOf(geometry.headDim > 128 ? [1, 2] : [1, 2, 8, 13]),
        geometry.headDim,
      ] as const;
      const batched = [shape[0], tokens];
      const positions = isBatch
        ? Array.from({ length: batched[0]! }, () => Array.from({ length: tokens }, () => random(4096)))
        : { start: random(1000), count: tokens };
      const [from, to] = [oneOf(types), oneOf(types)];
      const source = layout(oneOf(kinds), shape);
      const target = layout(oneOf(kinds), shape);
      const isInPlace = random(2) === 0;
      const memory = elements(from, source.length);
      const cache = elements(to, target.length);
      const results = [js, wasm].map((rope) => {
        const [data, output] = [inside(memory), inside(cache)];
        const { length: _1, ...place } = source;
        const { length: _2, ...outPlace } = target;
        const key: TensorView = { data, dtype: from, shape: [...shape], ...place };
        const out: TensorView = { data: output, dtype: to, shape: [...shape], ...outPlace };
        rope.apply({ positions, key, ...(isInPlace ? {} : { out: { key: out } }) });
        return [wordsOf(data), wordsOf(output)];
      });
      const what = JSON.stringify({ round, shape, from, to, isInPlace, source, target });
      expect(Buffer.compare(results[1]![0]!, results[0]![0]!), `input, ${what}`).toBe(0);
      expect(Buffer.compare(results[1]![1]!, results[0]![1]!), `out, ${what}`).toBe(0);
    }
  },
);

test("an input that repeats its elements by strides of 0 is copied for each token", () => {
  const [js, wasm] = ropes({ headDim: 128, pairing: "half" });
  const data = singles(8 * 128);
  const results = [js, wasm].map((rope) => {
    const out = { data: new Float32Array(40 * 8 * 128), shape: [40, 8, 128] };
    rope.apply({
      positions: { start: 3, count: 40 },
      query: { data, shape: [40, 8, 128], strides: [0, 128, 1] },
      out: { query: out },
    });
    return wordsOf(out.data);
  });
  expect(Buffer.compare(results[0]!, results[1]!)).toBe(0);
});

/** The lengths of what is copied while `call` runs. */
function copies(call: () => void): number[] {
  const set = vi.spyOn(Float32Array.prototype, "set");
  call();
  const lengths = set.mock.calls.map(([source]) => source.length);
  set.mockRestore();
  return lengths;
}

test("kernels rotate what is worth two copies, JavaScript the rest", () => {
  const [, wasm] = ropes({ headDim: 64, pairing: "half" });
  const step = wasm.at({ start: 0, count: 64 });
  const dense = singles(64 * 8 * 64);
  step.apply({ query: dense });
  // In and out at once; cos and sin are there already.
  expect(copies(() => step.apply({ query: dense }))).toEqual([dense.length, dense.length]);
  const one = wasm.at([5]);
  one.apply({ query: singles(64) });
  expect(copies(() => one.apply({ query: singles(64) }))).toEqual([]);
  // Heads of 64 that lie apart: 512 runs each way.
  const apart = { data: singles(64 * 8 * 128), shape: [64, 8, 64], strides: [8 * 128, 128, 1] };
  expect(copies(() => step.apply({ query: apart }))).toEqual([]);
  // A part of a fused buffer: a run for each token.
  const fused = { data: singles(64 * 24 * 64), shape: [64, 8, 64], strides: [24 * 64, 64, 1], offset: 8 * 64 };
  expect(copies(() => step.apply({ query: fused }))).toEqual(Array.from({ length: 128 }, () => 8 * 64));
});

test("a table larger than its area is loaded in windows, which no piece crosses", () => {
  const [js, wasm] = ropes({ headDim: 128, pairing: "half" });
  // 3 heads: 85 tokens are a piece. 2000 tokens: 1 MB of cos and sin.
  const data = singles(2000 * 3 * 128);
  const [a, b] = [data.slice(), data.slice()];
  js.apply({ positions: { start: 9, count: 2000 }, key: a });
  wasm.apply({ positions: { start: 9, count: 2000 }, key: b });
  expect(Buffer.compare(wordsOf(a), wordsOf(b))).toBe(0);
  using tensor = createArena({ bytes: 4 << 20 }).float32([2000, 3, 128]);
  tensor.data.set(data);
  wasm.apply({ positions: { start: 9, count: 2000 }, key: tensor });
  expect(Buffer.compare(wordsOf(tensor.data.slice()), wordsOf(a))).toBe(0);
});

test("arrays whose memory moves, shrinks or grows between calls are read anew each time", () => {
  const [js, wasm] = ropes({ headDim: 64, pairing: "half" });
  type Resizable = ArrayBuffer & { resize(bytes: number): void };
  const ResizableBuffer = ArrayBuffer as unknown as new (bytes: number, options: object) => Resizable;
  const buffer = new ResizableBuffer(4 * 16 * 8 * 64, { maxByteLength: 4 * 32 * 8 * 64 });
  const tracking = new Float32Array(buffer);
  const values = singles(32 * 8 * 64);
  const check = (tokens: number): void => {
    const expected = values.slice(0, tokens * 8 * 64);
    tracking.set(expected);
    js.apply({ positions: { start: 0, count: tokens }, query: expected });
    wasm.apply({ positions: { start: 0, count: tokens }, query: tracking });
    expect(Buffer.compare(wordsOf(tracking), wordsOf(expected))).toBe(0);
  };
  check(16);
  buffer.resize(4 * 32 * 8 * 64);
  check(32);
  buffer.resize(4 * 8 * 8 * 64);
  check(8);
  structuredClone(buffer, { transfer: [buffer] });
  expect(() => wasm.apply({ positions: { start: 0, count: 8 }, query: tracking })).toThrow(
    expect.objectContaining({ code: "ROPE_SHAPE" }),
  );
});

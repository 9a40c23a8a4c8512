/** Accepted and refused layouts of tensors, and that a refused call writes nothing. */

import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { getRope } from "@ropewalk/core";
import type { ElementType, RotateArguments, Tensor, TensorView } from "@ropewalk/core";
import { bits, caught } from "./failures.ts";
import { testRegistry } from "./providers.ts";
import { encode, noise } from "./reference.ts";
import type { AnyArray } from "./reference.ts";

const registry = testRegistry();
const D = 8;
const rope = getRope({ headDim: D, rotaryDim: 6, rotaryOffset: 1, parameters: { ropeType: "plain" } }, { registry });

type Layout = Omit<Required<TensorView>, "data" | "dtype"> & { readonly length: number };

/** The index in memory of each element, in logical row-major order. */
function places({ shape, strides, offset }: Layout): number[] {
  return shape.reduce<number[]>(
    (starts, size, axis) =>
      starts.flatMap((start) => Array.from({ length: size }, (_, i) => start + i * strides[axis]!)),
    [offset],
  );
}

/** A buffer of noise that holds `values` where the layout says. */
function scatter(dtype: ElementType, values: ArrayLike<number>, layout: Layout): AnyArray {
  const data = encode(dtype, noise(layout.length, 99));
  places(layout).forEach((place, i) => (data[place] = encode(dtype, [values[i]!])[0]!));
  return data;
}
const gather = (data: AnyArray, layout: Layout): AnyArray => {
  const indices = places(layout);
  return data.slice(0, indices.length).map((_, i) => data[indices[i]!]!) as AnyArray;
};
const others = (data: AnyArray, layout: Layout): number[] => {
  const used = new Set(places(layout));
  return Array.from(data).filter((_, i) => !used.has(i));
};

const [B, T, H] = [2, 3, 4];
const hidden = H * D;
// shape, strides and offset in elements; `length` is that of the whole buffer.
const layouts: Record<string, Layout> = {
  "[tokens, hidden]": { shape: [T, hidden], strides: [hidden, 1], offset: 0, length: T * hidden },
  "[tokens, heads, headDim]": { shape: [T, H, D], strides: [hidden, D, 1], offset: 0, length: T * hidden },
  "[tokens, hidden], padded": { shape: [T, hidden], strides: [hidden + 5, 1], offset: 2, length: T * (hidden + 5) },
  "head-first": { shape: [T, H, D], strides: [D, T * D, 1], offset: 0, length: T * hidden },
  "head-first in a longer cache": { shape: [T, H, D], strides: [D, 16 * D, 1], offset: 5 * D, length: 16 * hidden },
  "padded heads": { shape: [T, H, D], strides: [H * 11, 11, 1], offset: 3, length: T * H * 11 },
  "tokens in reverse": { shape: [T, H, D], strides: [-hidden, D, 1], offset: (T - 1) * hidden, length: T * hidden },
  "everything in reverse": { shape: [T, H, D], strides: [-hidden, -D, -1], offset: T * hidden - 1, length: T * hidden },
  "every second element": { shape: [T, H, D], strides: [2 * hidden, 2 * D, 2], offset: 1, length: 2 * T * hidden },
  "transposed heads": { shape: [T, H, D], strides: [hidden, 1, H], offset: 0, length: T * hidden },
  "elements first": { shape: [T, H, D], strides: [H, 1, T * H], offset: 0, length: T * hidden },
  "the keys of a fused q, k, v": {
    shape: [T, H, D],
    strides: [3 * hidden, D, 1],
    offset: hidden,
    length: 3 * T * hidden,
  },
  "[batch, tokens, heads, headDim]": {
    shape: [B, T, H, D],
    strides: [T * hidden, hidden, D, 1],
    offset: 0,
    length: B * T * hidden,
  },
  "[batch, heads, tokens, headDim] in memory": {
    shape: [B, T, H, D],
    strides: [T * hidden, D, T * D, 1],
    offset: 0,
    length: B * T * hidden,
  },
  "tokens before batch": {
    shape: [B, T, H, D],
    strides: [hidden, B * hidden, D, 1],
    offset: 0,
    length: B * T * hidden,
  },
  "batch in reverse": {
    shape: [B, T, H, D],
    strides: [-T * hidden, hidden, D, 1],
    offset: T * hidden,
    length: B * T * hidden,
  },
};

describe.each(Object.entries(layouts))("%s", (_, layout) => {
  const batch = layout.shape.length === 4 ? B : 1;
  const values = noise(batch * T * hidden);
  const shared = [3, 0, 41];
  const perRow = [
    [3, 0, 41],
    [7, 7, 1],
  ].slice(0, batch);

  test.each<ElementType>(["float32", "float64", "float16", "bfloat16"])(
    "%s, in place and out: the numbers of a contiguous tensor, and nothing else",
    (dtype) => {
      for (const positions of [shared, perRow]) {
        const contiguous = { data: encode(dtype, values), shape: [batch, T, H, D], dtype };
        rope.apply({ positions, query: contiguous });

        const data = scatter(dtype, values, layout);
        const outside = others(data, layout);
        const { length: _length, ...where } = layout;
        rope.apply({ positions, query: { data, dtype, ...where } });
        expect(bits(gather(data, layout))).toEqual(bits(contiguous.data));
        expect(others(data, layout)).toEqual(outside);

        const source = scatter(dtype, values, layout);
        const before = bits(source);
        const target = encode(dtype, noise(layout.length, 5));
        const aside = others(target, layout);
        rope.apply({
          positions,
          query: { data: source, dtype, ...where },
          out: { query: { data: target, dtype, ...where } },
        });
        expect(bits(gather(target, layout))).toEqual(bits(contiguous.data));
        expect(bits(source)).toEqual(before);
        expect(others(target, layout)).toEqual(aside);
      }
    },
  );
});

test.each<ElementType>(["float32", "float64", "float16", "bfloat16"])("%s from any layout into any other", (dtype) => {
  const values = noise(T * hidden);
  const contiguous = { data: encode(dtype, values), shape: [T, H, D], dtype };
  rope.apply({ positions: [3, 0, 41], query: contiguous });
  const unbatched = Object.entries(layouts).filter(([, { shape }]) => shape.length < 4);
  for (const [from, source] of unbatched) {
    for (const [to, target] of unbatched) {
      const data = scatter(dtype, values, source);
      const out = encode(dtype, noise(target.length, 5));
      const outside = others(out, target);
      const view = (buffer: AnyArray, { length: _, ...where }: Layout) => ({ data: buffer, dtype, ...where });
      rope.apply({ positions: [3, 0, 41], query: view(data, source), out: { query: view(out, target) } });
      expect(bits(gather(out, target)), `${from} into ${to}`).toEqual(bits(contiguous.data));
      expect(others(out, target)).toEqual(outside);
    }
  }
});

describe("forms", () => {
  const positions = [1, 2];
  const values = noise(2 * D);
  const expected = () => {
    const data = Float32Array.from(values);
    rope.apply({ positions, query: { data, shape: [2, 1, D] } });
    return bits(data);
  };

  test("a bare array: heads follow from its length, and may differ between query and key", () => {
    for (const heads of [1, 2, 7]) {
      const query = Float32Array.from(noise(2 * heads * D));
      const key = Float32Array.from(noise(2 * D));
      const viaViews = [query.slice(), key.slice()] as const;
      const result = rope.apply({ positions, query, key });
      expect(result.query).toBe(query);
      expect(result.key).toBe(key);
      rope.apply({ positions, query: { data: viaViews[0], shape: [2, heads, D] } });
      rope.apply({ positions, key: { data: viaViews[1], shape: [2, 1, D] } });
      expect([query, key]).toEqual(viaViews);
    }
  });

  test("a bare array with positions of a batch is [batch, tokens, heads, headDim]", () => {
    const data = Float32Array.from(noise(4 * D));
    const view = data.slice();
    rope.apply({
      positions: [
        [1, 2],
        [3, 4],
      ],
      query: data,
    });
    rope.apply({
      positions: [
        [1, 2],
        [3, 4],
      ],
      query: { data: view, shape: [2, 2, 1, D] },
    });
    expect(data).toEqual(view);
  });

  test("shared positions with a batch: every row as if it were alone", () => {
    const data = Float32Array.from([...values, ...values]);
    rope.apply({ positions, query: { data, shape: [2, 2, 1, D] } });
    expect(bits(data.subarray(0, 2 * D))).toEqual(expected());
    expect(bits(data.subarray(2 * D))).toEqual(expected());
  });

  test("a subarray, with its own byte offset", () => {
    const whole = Float32Array.of(9, ...values, 9);
    rope.apply({ positions, query: whole.subarray(1, 1 + 2 * D) });
    expect(bits(whole.slice(1, -1))).toEqual(expected());
    expect([whole[0], whole.at(-1)]).toEqual([9, 9]);
  });

  test("shared memory", () => {
    const data = new Float32Array(new SharedArrayBuffer(2 * D * 4));
    data.set(values);
    rope.apply({ positions, query: data });
    expect(bits(data)).toEqual(expected());
  });

  test("an array and positions of another realm", () => {
    const [data, theirs] = runInNewContext(
      `[Float32Array.from(${JSON.stringify([...values])}), Int32Array.of(1, 2)]`,
    ) as [Float32Array, Int32Array];
    expect(data).not.toBeInstanceOf(Float32Array);
    rope.apply({ positions: theirs, query: data });
    expect(bits(data)).toEqual(expected());
  });

  test("no tokens, and no heads, are rotated to nothing", () => {
    const empty = new Float32Array(0);
    expect(rope.apply({ positions: [], query: empty, key: empty })).toEqual({ query: empty, key: empty });
    rope.apply({ positions: [], query: { data: Float32Array.of(1), shape: [0, 4, D] } });
    rope.apply({ positions, query: { data: empty, shape: [2, 0, D] } });
    rope.apply({ positions: { data: [], shape: [2, 0] }, query: { data: empty, shape: [2, 0, 4, D] } });
  });

  const { Float16Array: Float16 } = globalThis as { Float16Array?: unknown } as {
    Float16Array?: new (values: Iterable<number>) => Float32Array;
  };
  test.skipIf(Float16 === undefined)("Float16Array (absent before Node 24) is its bits", () => {
    const native = new Float16!(values) as unknown as Float32Array;
    const words = encode("float16", values);
    expect(bits(native)).toEqual(bits(words));
    rope.apply({ positions, query: native });
    rope.apply({ positions, query: { data: words as Uint16Array, shape: [2, 1, D], dtype: "float16" } });
    expect(bits(native)).toEqual(bits(words));

    const single = Float32Array.from(values);
    const cache = new Float16!(noise(2 * D)) as unknown as Float32Array;
    rope.apply({ positions, key: single, out: { key: { data: cache, shape: [2, 1, D], dtype: "float16" } } });
    expect(bits(cache)).not.toEqual(bits(words));
    expect(cache[0]).toBe(native[0]);
  });
});

describe("refused, with every tensor as it was", () => {
  const make = () => ({
    good: Float32Array.from(noise(2 * D)),
    bad: Float32Array.from(noise(4 * D, 7)),
    memory: Float32Array.from(noise(16 * D, 3)),
  });
  type Buffers = ReturnType<typeof make>;
  const view = (data: unknown, rest: object): Tensor => ({ data, shape: [2, 1, D], ...rest }) as Tensor;
  const nonsense = (value: unknown) => value as Tensor;

  test.each<[string, (buffers: Buffers) => RotateArguments]>([
    ["nothing", () => ({})],
    ["null", () => ({ key: nonsense(null) })],
    ["a number", () => ({ key: nonsense(5) })],
    ["a plain list", () => ({ key: nonsense([1, 2, 3, 4, 5, 6, 7, 8]) })],
    ["a list in a view", () => ({ key: view([1, 2, 3, 4, 5, 6, 7, 8], {}) })],
    ["an array of integers", () => ({ key: nonsense(new Int32Array(2 * D)) })],
    ["a cache of 8-bit integers", () => ({ key: nonsense(new Int8Array(2 * D)) })],
    ["a cache of 8-bit floats", () => ({ key: view(new Uint8Array(2 * D), { dtype: "float8_e4m3" }) })],
    ["a DataView", () => ({ key: nonsense(new DataView(new ArrayBuffer(8 * D))) })],
    ["bits without a dtype", () => ({ key: new Uint16Array(2 * D) })],
    ["bits with the dtype of floats", () => ({ key: view(new Uint16Array(2 * D), { dtype: "float32" }) })],
    ["floats with the dtype of bits", ({ bad }) => ({ key: view(bad, { dtype: "bfloat16" }) })],
    ["a dtype that is none", ({ bad }) => ({ key: view(bad, { dtype: "int8" }) })],
    ["a length that is no multiple", ({ bad }) => ({ key: bad.subarray(1) })],
    ["an empty array for two tokens", () => ({ key: new Float32Array(0) })],
    ["elements for no token", ({ bad }) => ({ key: view(bad, { shape: [0] }) })],
    ["another number of tokens", ({ bad }) => ({ key: view(bad, { shape: [4, 1, D] }) })],
    ["another headDim", ({ bad }) => ({ key: view(bad, { shape: [2, 2, D / 2] }) })],
    ["a hidden size that is no multiple", ({ bad }) => ({ key: view(bad, { shape: [2, D + 1] }) })],
    ["one axis", ({ bad }) => ({ key: view(bad, { shape: [2 * D] }) })],
    ["five axes", ({ bad }) => ({ key: view(bad, { shape: [1, 1, 2, 1, D] }) })],
    ["a size that is no integer", ({ bad }) => ({ key: view(bad, { shape: [2, 0.5, D] }) })],
    ["a negative size", ({ bad }) => ({ key: view(bad, { shape: [2, -1, D] }) })],
    ["a shape that is no list", ({ bad }) => ({ key: view(bad, { shape: 2 }) })],
    ["too few strides", ({ bad }) => ({ key: view(bad, { strides: [D, 1] }) })],
    ["strides that are no integers", ({ bad }) => ({ key: view(bad, { strides: [D, D, 0.5] }) })],
    ["a negative offset", ({ bad }) => ({ key: view(bad, { offset: -1 }) })],
    ["an offset that is no integer", ({ bad }) => ({ key: view(bad, { offset: NaN }) })],
    ["a shape beyond the end", ({ bad }) => ({ key: view(bad, { shape: [2, 3, D] }) })],
    ["an offset beyond the end", ({ bad }) => ({ key: view(bad, { offset: 2 * D + 1 }) })],
    ["strides beyond the end", ({ bad }) => ({ key: view(bad, { strides: [4 * D, D, 1] }) })],
    ["strides below the start", ({ bad }) => ({ key: view(bad, { strides: [-D, D, 1] }) })],
    ["sizes whose product is beyond all memory", ({ bad }) => ({ key: view(bad, { shape: [2, 2 ** 45, D] }) })],
    ["a broadcast tensor in place", ({ bad }) => ({ key: view(bad, { strides: [0, D, 1] }) })],
    ["tokens that overlap in place", ({ bad }) => ({ key: view(bad, { strides: [D - 1, D, 1] }) })],
    [
      "heads that overlap in place",
      ({ bad }) => ({ key: view(bad, { shape: [2, 2, D], strides: [2 * D, D - 2, 1] }) }),
    ],
    ["query and key the same", ({ good }) => ({ key: good })],
    [
      "query and key that share a token",
      ({ memory }) => ({ query: memory.subarray(0, 2 * D), key: memory.subarray(D, 3 * D) }),
    ],
    [
      "query and key that share one element",
      ({ memory }) => ({ query: memory.subarray(0, 2 * D), key: memory.subarray(2 * D - 1, 4 * D - 1) }),
    ],
    [
      "query and key that share memory as other types",
      ({ memory }) => ({ query: memory.subarray(0, 2 * D), key: new Float64Array(memory.buffer, 0, 2 * D) }),
    ],
    [
      "fused slices that overlap",
      ({ memory }) => ({
        query: view(memory, { strides: [3 * D, D, 1] }),
        key: view(memory, { strides: [3 * D, D, 1], offset: D - 1 }),
      }),
    ],
    [
      "fused slices that overlap across the period",
      ({ memory }) => ({
        query: view(memory, { strides: [3 * D, D, 1] }),
        key: view(memory, { strides: [3 * D, D, 1], offset: 2 * D + 1 }),
      }),
    ],
    [
      "out half over the input",
      ({ memory }) => ({ key: memory.subarray(0, 2 * D), out: { key: memory.subarray(D, 3 * D) } }),
    ],
    [
      "out that overlaps the input in every token",
      ({ memory }) => ({
        key: view(memory, { strides: [3 * D, D, 1] }),
        out: { key: view(memory, { strides: [3 * D, D, 1], offset: D - 1 }) },
      }),
    ],
    [
      "out that overlaps the input's next token",
      ({ memory }) => ({
        key: view(memory, { strides: [3 * D, D, 1] }),
        out: { key: view(memory, { strides: [3 * D, D, 1], offset: 2 * D + 1 }) },
      }),
    ],
    [
      "out over the input in another order",
      ({ bad }) => ({ key: view(bad, {}), out: { key: view(bad, { strides: [-D, D, 1], offset: D }) } }),
    ],
    [
      "out over the input as another type",
      () => {
        const words = Uint16Array.from(noise(2 * D, 4), (x) => Math.abs(x) * 1000);
        return { key: view(words, { dtype: "float16" }), out: { key: view(words, { dtype: "bfloat16" }) } };
      },
    ],
    [
      "out of the query over the key",
      ({ good, bad }) => ({
        query: good,
        key: bad.subarray(0, 2 * D),
        out: { query: bad.subarray(D, 3 * D), key: new Float32Array(2 * D) },
      }),
    ],
    [
      "both outs the same",
      ({ bad, memory }) => ({ key: bad, out: { query: memory.subarray(0, 2 * D), key: memory.subarray(0, 4 * D) } }),
    ],
    ["out that is broadcast", ({ bad, memory }) => ({ key: bad, out: { key: view(memory, { strides: [0, D, 1] }) } })],
    ["out with another number of heads", ({ bad, memory }) => ({ key: bad, out: { key: memory.subarray(0, 6 * D) } })],
    [
      "out with another number of rows",
      ({ bad, memory }) => ({
        key: view(bad, { shape: [2, 2, 1, D] }),
        out: { key: view(memory, { shape: [1, 2, 1, D] }) },
      }),
    ],
    ["out of the wrong type", ({ bad }) => ({ key: bad, out: { key: nonsense(new Int32Array(4 * D)) } })],
    [
      "out for a tensor that is not there",
      ({ memory }) => ({
        query: memory.subarray(0, 2 * D),
        key: undefined,
        out: { key: memory.subarray(2 * D, 4 * D) },
      }),
    ],
    ["out that is an array, not an object of arrays", ({ memory }) => ({ out: memory.subarray(0, 2 * D) as object })],
    ["out that names neither", () => ({ out: {} })],
    ["out that is null", () => ({ out: null as unknown as object })],
  ])("%s", (_, tensors) => {
    const buffers = make();
    const isEmpty = Object.keys(tensors(buffers)).length === 0;
    const request: RotateArguments = isEmpty ? {} : { query: buffers.good, ...tensors(buffers) };
    const before = Object.values(buffers).map(bits);
    // The case's own arrays must not change either.
    const own = () => Array.from(((request.key as TensorView | null | undefined)?.data ?? []) as ArrayLike<number>);
    const ownBefore = own();

    caught(() => rope.apply({ positions: [1, 2], ...request }), "ROPE_SHAPE");
    caught(() => rope.at([1, 2]).apply(request), "ROPE_SHAPE");
    caught(() => rope.invert({ positions: [1, 2], ...request }), "ROPE_SHAPE");
    expect(Object.values(buffers).map(bits)).toEqual(before);
    expect(own()).toEqual(ownBefore);
  });

  test.each(["stride", "byteOffset", "length"])("a tensor with the unknown key %s", (key) => {
    const { bad } = make();
    const before = bits(bad);
    const request = { positions: [1, 2], key: view(bad, { [key]: 64 }) };
    expect(caught(() => rope.apply(request), "ROPE_INVALID_PARAMETERS").message).toContain(`unknown key "${key}"`);
    expect(bits(bad)).toEqual(before);
  });

  test("a bad position, with good tensors", () => {
    const { good, bad } = make();
    const before = [bits(good), bits(bad)];
    caught(() => rope.apply({ positions: [1, -1], query: good, key: bad }), "ROPE_POSITION_RANGE");
    expect([bits(good), bits(bad)]).toEqual(before);
  });

  test("a detached buffer, and it is named", () => {
    const { good } = make();
    const detached = Float32Array.from(noise(2 * D));
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    const before = bits(good);
    for (const key of [detached, { data: detached, shape: [2, 1, D] }]) {
      const error = caught(() => rope.apply({ positions: [1, 2], query: good, key }), "ROPE_SHAPE");
      expect(error.message).toContain("detached");
    }
    caught(() => rope.apply({ positions: [1, 2], query: good, out: { query: detached } }), "ROPE_SHAPE");
    expect(bits(good)).toEqual(before);
  });
});

describe("memory that is shared without overlapping is accepted", () => {
  const memory = () => Float32Array.from(noise(2 * 6 * D, 11));
  const view = (data: Float32Array, offset: number, strides: readonly number[], heads = 1): TensorView => ({
    data,
    shape: [2, heads, D],
    strides,
    offset,
  });
  const alone = (v: TensorView): Uint8Array => {
    const copy = { ...v, data: (v.data as Float32Array).slice() };
    rope.apply({ positions: [1, 2], query: copy });
    return bits(gather(copy.data, { ...v, strides: v.strides!, offset: v.offset!, length: 0 }));
  };

  test.each<[string, (data: Float32Array) => [TensorView, TensorView]]>([
    [
      "side by side in each token: fused q, k, v",
      (data) => [view(data, 0, [6 * D, D, 1], 4), view(data, 4 * D, [6 * D, D, 1])],
    ],
    [
      "side by side in each token, the second first",
      (data) => [view(data, 4 * D, [6 * D, D, 1]), view(data, 0, [6 * D, D, 1], 4)],
    ],
    [
      "side by side in each head: fused q, k, v per head",
      (data) => [view(data, 0, [6 * D, 3 * D, 1], 2), view(data, D, [6 * D, 3 * D, 1], 2)],
    ],
    ["one after the other", (data) => [view(data, 0, [4 * D, D, 1], 4), view(data, 8 * D, [D, D, 1])]],
    ["token by token in turns", (data) => [view(data, 0, [2 * D, D, 1]), view(data, D, [2 * D, D, 1])]],
    ["in turns and in reverse", (data) => [view(data, 2 * D, [-2 * D, D, 1]), view(data, D, [2 * D, D, 1])]],
    ["element by element in turns", (data) => [view(data, 0, [2 * D, 2 * D, 2]), view(data, 1, [2 * D, 2 * D, 2])]],
  ])("%s", (_, make) => {
    const data = memory();
    const [query, key] = make(data);
    const expected = [alone(query), alone(key)];
    rope.apply({ positions: [1, 2], query, key });
    const read = (v: TensorView) => bits(gather(data, { ...v, strides: v.strides!, offset: v.offset!, length: 0 }));
    expect([read(query), read(key)]).toEqual(expected);
  });

  test("an input that is broadcast, or given twice, with outs of their own", () => {
    const one = Float32Array.from(noise(D));
    const out = new Float32Array(2 * D);
    const other = new Float32Array(2 * D);
    const broadcast = { data: one, shape: [2, 1, D], strides: [0, D, 1] };
    rope.apply({ positions: [1, 2], query: broadcast, key: broadcast, out: { query: out, key: other } });
    const repeated = Float32Array.of(...one, ...one);
    rope.apply({ positions: [1, 2], query: repeated });
    expect(bits(out)).toEqual(bits(repeated));
    expect(bits(other)).toEqual(bits(repeated));
  });

  test("out that is the input, as another array over the same memory", () => {
    const data = Float32Array.from(noise(2 * D));
    const same = data.slice();
    rope.apply({ positions: [1, 2], query: same });
    rope.apply({ positions: [1, 2], query: data, out: { query: new Float32Array(data.buffer) } });
    expect(bits(data)).toEqual(bits(same));
  });
});

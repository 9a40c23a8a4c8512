import { createRegistry, getRopeUntyped, RopeError } from "@ropewalk/core";
import type { ElementType, RopeProvider, RotaryEmbedding } from "@ropewalk/core";
import { createArena, wasmBackend } from "@ropewalk/wasm-backend";
import type { Arena } from "@ropewalk/wasm-backend";
import { expect, test, vi } from "vitest";
import { plain, registry } from "./plain.ts";
import type { Geometry } from "./plain.ts";

const rope = (geometry: Geometry): RotaryEmbedding =>
  getRopeUntyped({ ...geometry, parameters: { ropeType: "plain" } }, { registry });
const onWasm = (geometry: Geometry, arena?: Arena): RotaryEmbedding => rope(geometry).to("wasm", { arena });

const geometries: readonly Geometry[] = [
  { headDim: 128, pairing: "half" },
  { headDim: 128, pairing: "adjacent" },
  { headDim: 128, pairing: { blocks: 2 } },
  { headDim: 80, rotaryDim: 32, pairing: "half" },
  { headDim: 24, rotaryDim: 18, rotaryOffset: 6, pairing: "half" },
  { headDim: 24, rotaryDim: 18, rotaryOffset: 4, pairing: "adjacent" },
  { headDim: 2, pairing: "half" },
];

/** Deterministic numbers in [-2, 2). */
function noise(length: number, seed: number): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 30 - 2;
  });
}

const positionsOf = (tokens: number): number[] => Array.from({ length: tokens }, (_, t) => (t * 104729) % 1048576);

/** Every bit pattern but NaNs, of which only being one is compared. */
const bits = (length: number, dtype: ElementType): Uint16Array =>
  Uint16Array.from({ length }, (_, i) => {
    const pattern = (i * 2654435) & 0xffff;
    const exponent = dtype === "float16" ? 0x7c00 : 0x7f80;
    return (pattern & exponent) === exponent ? pattern & ~0x0400 & ~0x0080 : pattern;
  });

const label = (geometry: Geometry): string => JSON.stringify(geometry);

test.each(geometries.map((geometry) => [label(geometry), geometry] as const))(
  "equals JavaScript bit for bit: %s",
  (_, geometry) => {
    const arena = createArena({ bytes: 8 << 20 });
    for (const tokens of [1, 2, 7, 300]) {
      const shape = [tokens, 3, geometry.headDim];
      const length = tokens * 3 * geometry.headDim;
      const positions = positionsOf(tokens);
      const input = noise(length, tokens);
      const expected = input.slice();
      rope(geometry).apply({ positions, query: expected });

      const heap = input.slice();
      onWasm(geometry).apply({ positions, query: heap });
      expect(heap).toEqual(expected);

      using inArena = arena.float32(shape);
      inArena.data.set(input);
      onWasm(geometry, arena).apply({ positions, query: inArena });
      expect(inArena.data.slice()).toEqual(expected);

      const wide = Float64Array.from(input);
      const wideExpected = wide.slice();
      rope(geometry).apply({ positions, query: wideExpected });
      onWasm(geometry).apply({ positions, query: wide });
      expect(wide).toEqual(wideExpected);
    }
  },
);

test.each(["float16", "bfloat16"] as const)("%s: widened, rotated and rounded once, as JavaScript does", (dtype) => {
  for (const geometry of geometries) {
    const arena = createArena({ bytes: 1 << 20 });
    const shape = [21, 2, geometry.headDim];
    const input = bits(21 * 2 * geometry.headDim, dtype);
    const positions = positionsOf(21);
    const expected = input.slice();
    rope(geometry).apply({ positions, key: { data: expected, shape, dtype } });
    const heap = input.slice();
    onWasm(geometry).apply({ positions, key: { data: heap, shape, dtype } });
    using inArena = arena[dtype](shape);
    inArena.data.set(input);
    onWasm(geometry, arena).apply({ positions, key: inArena });

    const quiet = (data: Uint16Array): (number | "NaN")[] =>
      Array.from(data, (v) =>
        (v & (dtype === "float16" ? 0x7fff : 0x7fff)) > (dtype === "float16" ? 0x7c00 : 0x7f80) ? "NaN" : v,
      );
    expect(quiet(heap)).toEqual(quiet(expected));
    expect(quiet(inArena.data.slice())).toEqual(quiet(expected));
  }
});

test("rounding to 16 bits is JavaScript's for every kind of number", () => {
  const values = [
    0,
    -0,
    1,
    65504,
    65519.996,
    65520,
    1e9,
    -1e9,
    Infinity,
    -Infinity,
    2 ** -24,
    2 ** -25,
    2 ** -25 * 1.0001,
    2 ** -14,
    2 ** -14 * 0.9999,
    1 + 2 ** -11,
    1 + 3 * 2 ** -11,
    3.3895314e38,
    1e-40,
  ];
  const identity: RopeProvider = {
    ...plain,
    source: "still@1",
    frequencies: ({ rotaryDim }) => ({ invFreq: new Array(rotaryDim / 2).fill(0) }),
  };
  const still = createRegistry();
  still.register("still", identity);
  still.registerBackend(wasmBackend);
  const unturned = getRopeUntyped({ headDim: 2, parameters: { ropeType: "still" } }, { registry: still });
  // Partner 0 and angle 0: each element is itself, rounded.
  const query = Float32Array.from(values.flatMap((value) => [Number.isFinite(value) ? value : 0, 0]));
  for (const dtype of ["float16", "bfloat16"] as const) {
    const shape = [values.length, 1, 2];
    const positions = { start: 0, count: values.length };
    const [a, b] = [new Uint16Array(query.length), new Uint16Array(query.length)];
    unturned.apply({ positions, query, out: { query: { data: a, shape, dtype } } });
    unturned.to("wasm").apply({ positions, query, out: { query: { data: b, shape, dtype } } });
    expect(b).toEqual(a);
  }
});

test("every 16-bit pattern, and float32 of every exponent, are converted as in JavaScript", () => {
  const arena = createArena({ bytes: 8 << 20 });
  const geometry = { headDim: 128, pairing: "half" } as const;
  const isNaN16 = (bits: number, dtype: ElementType): boolean =>
    (bits & 0x7fff) > (dtype === "float16" ? 0x7c00 : 0x7f80);
  // Which NaN comes of a sum of two is the processor's choice.
  const known = (data: ArrayLike<number>, dtype: ElementType): number[] =>
    Array.from(data, (v) => (dtype === "float32" ? (Number.isNaN(v) ? Infinity : v) : isNaN16(v, dtype) ? -1 : v));
  const patterns = Uint16Array.from({ length: 65536 }, (_, i) => i);
  // Half of the bits of a float32 are arbitrary, so that all of it is, rounding ties among them.
  const singles = new Float32Array(
    Uint32Array.from(
      { length: 65536 },
      (_, i) => (i << 16) | ((Math.imul(i, 2654435761) >>> 16) & (i % 3 === 0 ? 0xe000 : 0xffff)),
    ).buffer,
  );
  const shape = [64, 8, 128];
  const positions = { start: 0, count: 64 };
  for (const from of ["float16", "bfloat16", "float32"] as const) {
    for (const to of ["float16", "bfloat16", "float32"] as const) {
      const source = from === "float32" ? singles : patterns;
      const make = (): Float32Array | Uint16Array =>
        to === "float32" ? new Float32Array(65536) : new Uint16Array(65536);
      const expected = make();
      rope(geometry).apply({
        positions,
        query: { data: source, shape, dtype: from },
        out: { query: { data: expected, shape, dtype: to } },
      });
      const heap = make();
      onWasm(geometry).apply({
        positions,
        query: { data: source, shape, dtype: from },
        out: { query: { data: heap, shape, dtype: to } },
      });
      expect(known(heap, to), `${from} to ${to}`).toEqual(known(expected, to));
      using input = arena[from](shape);
      using output = arena[to](shape);
      input.data.set(source);
      onWasm(geometry, arena).apply({ positions, query: input, out: { query: output } });
      expect(known(output.data, to), `${from} to ${to}, arena`).toEqual(known(expected, to));
    }
  }
});

test("tensors in another arena or in shared memory are copied through", () => {
  const geometry = { headDim: 32, pairing: "half" } as const;
  const [arena, other] = [createArena({ bytes: 1 << 16 }), createArena({ bytes: 1 << 16 })];
  const input = noise(4 * 32, 6);
  const positions = [3, 1, 4, 1_048_575];
  const expected = input.slice();
  rope(geometry).apply({ positions, query: expected });
  const query = other.float32([4, 1, 32]);
  query.data.set(input);
  const shared = new Float32Array(new SharedArrayBuffer(4 * 4 * 32));
  shared.set(input);
  onWasm(geometry, arena).apply({ positions, query, key: shared });
  expect(query.data.slice()).toEqual(expected);
  expect(shared.slice()).toEqual(expected);
  // From one memory into the other, and back as another type.
  using target = arena.bfloat16([4, 1, 32]);
  query.data.set(input);
  const bits16 = new Uint16Array(4 * 32);
  rope(geometry).apply({
    positions,
    query: input,
    out: { query: { data: bits16, shape: [4, 1, 32], dtype: "bfloat16" } },
  });
  onWasm(geometry, arena).apply({ positions, query, out: { query: target } });
  expect(target.data.slice()).toEqual(bits16);
});

test("every call uses its own tables: alternating steps and ropes, with cos and sin in between", () => {
  const arena = createArena({ bytes: 1 << 16 });
  const geometry = { headDim: 8, pairing: "half" } as const;
  using query = arena.float32([1, 1, 8]);
  const [wasm, js] = [onWasm(geometry, arena), rope(geometry)];
  const rotated = (
    by: { apply(tensors: { query: Float32Array | typeof query }): unknown },
    data: Float32Array | typeof query,
  ): number[] => {
    (ArrayBuffer.isView(data) ? data : data.data).fill(1);
    by.apply({ query: data });
    return Array.from(ArrayBuffer.isView(data) ? data : data.data);
  };
  const [a, b] = [wasm.at([5]), js.at([5])];
  const before = rotated(a, query);
  expect(before).toEqual(rotated(b, new Float32Array(8)));
  // A caller's copy: what is written to it is not rotated with.
  a.cos.fill(0.25);
  expect(rotated(a, query)).toEqual(before);
  wasm.at([6]).apply({ query });
  expect(rotated(a, query)).toEqual(before);
  const at = (rope: RotaryEmbedding, position: number) => ({
    apply: ({ query: tensor }: { query: Float32Array | typeof query }) =>
      rope.apply({ positions: [position], query: tensor }),
  });
  // cos and sin on their way out leave the table of a rotation alone.
  const asked = rotated(at(wasm, 5), query);
  wasm.cosSin([9]);
  expect(rotated(at(wasm, 5), query)).toEqual(asked);
  for (const position of [5, 5, 6, 5, 7, 7]) {
    expect(rotated(at(wasm, position), query)).toEqual(rotated(at(js, position), new Float32Array(8)));
  }
});

test("a tensor of any arena is rotated in place, with any option arena or none", () => {
  const geometry = { headDim: 64, rotaryDim: 32, pairing: "half" } as const;
  const [own, other] = [createArena({ bytes: 1 << 20 }), createArena({ bytes: 1 << 20, shared: true })];
  const positions = [7, 131071, 3];
  const input = noise(3 * 2 * 64, 5);
  const expected = input.slice();
  rope(geometry).apply({ positions, query: expected });
  for (const moved of [rope(geometry).to("wasm"), onWasm(geometry, own)]) {
    for (const arena of [own, other]) {
      using query = arena.float32([3, 2, 64]);
      using cache = (arena === own ? other : own).float32([3, 2, 64]);
      query.data.set(input);
      moved.apply({ positions, query, out: { query: cache } });
      expect(cache.data.slice()).toEqual(expected);
      // Copied through, its pieces would be set; cos and sin of three tokens are shorter.
      const set = vi.spyOn(Float32Array.prototype, "set");
      moved.apply({ positions, query });
      const copied = set.mock.calls.map(([source]) => source.length);
      set.mockRestore();
      expect(Math.max(0, ...copied)).toBeLessThanOrEqual(3 * 16);
      expect(query.data.slice()).toEqual(expected);
    }
  }
});

test("a fused write converts and places float32 keys in a 16-bit cache slot in one pass", () => {
  const geometry = { headDim: 64, rotaryDim: 32, pairing: "half" } as const;
  const arena = createArena({ bytes: 4 << 20 });
  const tokens = 40;
  const key = noise(tokens * 2 * 64, 9);
  using source = arena.float32([tokens, 2, 64]);
  source.data.set(key);
  // Head-first cache of 128 tokens; this step fills tokens 50 to 89.
  for (const dtype of ["float16", "bfloat16", "float64"] as const) {
    const view = <A extends Uint16Array | Float64Array>(data: A) => ({
      data,
      shape: [tokens, 2, 64],
      strides: [64, 128 * 64, 1],
      offset: 50 * 64,
      dtype,
    });
    const make = (): Uint16Array | Float64Array =>
      dtype === "float64" ? new Float64Array(2 * 128 * 64) : new Uint16Array(2 * 128 * 64);
    const [expected, heap] = [make(), make()];
    const positions = { start: 50, count: tokens };
    rope(geometry).apply({ positions, key, out: { key: view(expected) } });
    onWasm(geometry).apply({ positions, key, out: { key: view(heap) } });
    expect(heap).toEqual(expected);
    using cache = arena[dtype]([2, 128, 64]);
    onWasm(geometry, arena).apply({ positions, key: source, out: { key: view(cache.data) } });
    expect(cache.data.slice()).toEqual(expected);
  }
});

test("batches, strides, scattered elements and steps give the same bits", () => {
  const geometry = { headDim: 16, pairing: "adjacent" } as const;
  const positions = { data: [0, 5, 9, 131071, 1, 2], shape: [2, 3] };
  const data = noise(2 * 3 * 4 * 16 * 2, 3);
  const layouts = [
    { shape: [2, 3, 4, 16], strides: [3 * 64, 64, 16, 1] },
    { shape: [2, 3, 4, 16], strides: [3 * 64, 16, 48, 1] },
    { shape: [2, 3, 4, 16], strides: [3 * 128, 128, 32, 2], offset: 1 },
  ];
  for (const layout of layouts) {
    const [a, b] = [data.slice(), data.slice()];
    rope(geometry).apply({ positions, query: { data: a, ...layout } });
    onWasm(geometry)
      .at(positions)
      .apply({ query: { data: b, ...layout } });
    expect(b).toEqual(a);
  }
});

test("an arena frees memory, joins free pieces, and refuses a tensor when it is full", () => {
  const arena = createArena({ bytes: 1 << 20 });
  const all = arena.free;
  const tensors = Array.from({ length: 4 }, () => arena.float32([1000]));
  tensors[1]!.dispose();
  tensors[1]!.dispose();
  tensors[2]!.dispose();
  using joined = arena.float32([1990]);
  expect(joined.data.byteOffset).toBe(tensors[1]!.data.byteOffset);
  expect(() => arena.float64([1 << 20])).toThrow(expect.objectContaining({ code: "ROPE_BACKEND_UNAVAILABLE" }));
  joined.dispose();
  tensors[0]!.dispose();
  tensors[3]!.dispose();
  expect(arena.free).toBe(all);
  using whole = arena.float32([all / 4]);
  expect(whole.data.length).toBe(all / 4);
});

test("bad input is refused and leaves data untouched", () => {
  const arena = createArena({ bytes: 1 << 20 });
  const geometry = { headDim: 8, pairing: "half" } as const;
  const wasm = onWasm(geometry, arena);
  using query = arena.float32([2, 1, 8]);
  query.data.fill(3);
  const cases: readonly (readonly [string, () => unknown])[] = [
    ["ROPE_POSITION_RANGE", () => wasm.apply({ positions: [0, -1], query })],
    ["ROPE_SHAPE", () => wasm.apply({ positions: [0, 1, 2], query })],
    ["ROPE_SHAPE", () => wasm.apply({ positions: { start: 0, count: 1_000_000 }, query })],
    ["ROPE_SHAPE", () => wasm.apply({ positions: [0, 1], query, key: { data: query.data, shape: [2, 1, 8] } })],
    ["ROPE_SHAPE", () => arena.float32([-1])],
    ["ROPE_INVALID_PARAMETERS", () => createArena({ bytes: 0 })],
    ["ROPE_BACKEND_UNAVAILABLE", () => createArena({ bytes: 2 ** 40 })],
  ];
  for (const [code, run] of cases) {
    try {
      run();
      expect.unreachable(code);
    } catch (error) {
      expect(RopeError.is(error) && error.code).toBe(code);
    }
  }
  const detached = new Float32Array(16);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  expect(() => wasm.apply({ positions: [0, 1], query: detached })).toThrow(
    expect.objectContaining({ code: "ROPE_SHAPE" }),
  );
  expect(Array.from(query.data)).toEqual(new Array(16).fill(3));
});

test("shared memory rotates like private memory", () => {
  const arena = createArena({ bytes: 1 << 20, shared: true });
  const geometry = { headDim: 128, pairing: "half" } as const;
  const input = noise(5 * 128, 4);
  using query = arena.float32([5, 1, 128]);
  query.data.set(input);
  onWasm(geometry, arena).apply({ positions: positionsOf(5), query });
  rope(geometry).apply({ positions: positionsOf(5), query: input });
  expect(query.data.slice()).toEqual(input);
});

/** The pass in WebAssembly has the bits of the pass in JavaScript, in arenas and outside. */

import "@ropewalk/default";
import fc from "fast-check";
import { expect, test } from "vitest";
import { getRope } from "@ropewalk/core";
import type { CacheElementType, PassArguments, PassPlace, RmsNorm, RotaryEmbedding } from "@ropewalk/core";
import { createArena } from "@ropewalk/wasm-backend";
import type { Arena } from "@ropewalk/wasm-backend";

type Data = Float64Array | Float32Array | Uint16Array | Int8Array | Uint8Array;

/** Memory for one case: JavaScript's, or that of an arena. */
type Room = (bytes: number) => ArrayBufferLike;

interface Tensor {
  readonly heads: number;
  readonly dtype: CacheElementType;
  /** Elements between heads, between tokens and before the first. */
  readonly gaps: readonly [number, number, number];
  readonly headMajor: boolean;
  readonly slots: boolean;
  readonly seed: number;
}

const classes = {
  float64: Float64Array,
  float32: Float32Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int8: Int8Array,
  float8_e4m3: Uint8Array,
};

function* random(seed: number): Generator<number, never> {
  let state = (seed * 2654435761 + 1) >>> 0;
  for (;;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 32;
  }
}

/** A tensor with noise in its memory, also between its elements. */
function place(
  tensor: Tensor,
  tokens: number,
  headDim: number,
  allocate: (length: number) => Data,
): [PassPlace, Data[]] {
  const { heads, dtype, gaps, headMajor, slots, seed } = tensor;
  const rows = slots ? tokens + 3 : tokens;
  const [betweenHeads, betweenTokens, before] = gaps;
  const headStride = headMajor ? rows * (headDim + betweenTokens) + betweenHeads : headDim + betweenHeads;
  const tokenStride = headMajor ? headDim + betweenTokens : heads * headStride + betweenTokens;
  const data = allocate(before + heads * headStride + rows * tokenStride + headDim);
  const draw = random(seed);
  for (let i = 0; i < data.length; i++) {
    const value = (draw.next().value - 0.5) * 4;
    // Finite numbers of every type.
    if (dtype === "float16") data[i] = Math.floor(draw.next().value * 0x7c00) | (value < 0 ? 0x8000 : 0);
    else if (dtype === "bfloat16") data[i] = Math.floor(0x3800 + draw.next().value * 0x900) | (value < 0 ? 0x8000 : 0);
    else data[i] = value;
  }
  const view = { data, shape: [rows, heads, headDim], strides: [tokenStride, headStride, 1], offset: before, dtype };
  const arrays: Data[] = [data];
  const scales = dtype === "int8" ? new Float32Array(rows * heads) : undefined;
  if (scales !== undefined) arrays.push(scales);
  const cache = {
    ...view,
    ...(scales && { scales }),
    ...(dtype === "float8_e4m3" && { scale: 0.37 }),
  } as never;
  if (!slots) return [cache, arrays];
  const order = Array.from({ length: rows }, (_, i) => i)
    .map((slot) => [draw.next().value, slot] as const)
    .sort((a, b) => a[0] - b[0])
    .map(([, slot]) => slot);
  return [{ cache, slots: order.slice(0, tokens).map((slot, i) => (i % 5 === 3 ? -1 : slot)) }, arrays];
}

const element = fc.constantFrom<CacheElementType>("float32", "float16", "bfloat16");
const tensorOf = (dtype: fc.Arbitrary<CacheElementType>): fc.Arbitrary<Tensor> =>
  fc.record({
    heads: fc.integer({ min: 1, max: 5 }),
    dtype,
    gaps: fc.tuple(fc.nat(3), fc.nat(9), fc.nat(2)),
    headMajor: fc.boolean(),
    slots: fc.boolean(),
    seed: fc.nat(),
  });
const normOf = fc.option(
  fc.record({
    epsilon: fc.constantFrom(0, 1e-6, 1e-5),
    weighted: fc.boolean(),
    weightOffset: fc.constantFrom(0, 1),
    over: fc.constantFrom("head" as const, "heads" as const),
    when: fc.constantFrom("before" as const, "after" as const),
  }),
  { nil: undefined },
);
const scenes = fc.record({
  // Shapes whose vectors have tails, and that of most models.
  head: fc.constantFrom([128, 128, 0], [64, 32, 16], [80, 40, 0], [22, 14, 3], [6, 2, 4], [1030, 4, 0]),
  pairing: fc.constantFrom("half" as const, "adjacent" as const),
  tokens: fc.constantFrom(1, 2, 7, 33),
  query: tensorOf(element),
  key: tensorOf(element),
  value: tensorOf(element),
  outs: fc.tuple(
    ...Array.from({ length: 3 }, () =>
      fc.option(tensorOf(fc.constantFrom<CacheElementType>("float32", "float16", "bfloat16", "int8", "float8_e4m3")), {
        nil: undefined,
      }),
    ),
  ),
  norms: fc.tuple(normOf, normOf, normOf),
  queryScale: fc.boolean(),
  arena: fc.constantFrom("none", "all", "outputs"),
});
type Scene = typeof scenes extends fc.Arbitrary<infer T> ? T : never;

/** The call of a scene in memory of its own, and its arrays. */
function callOf(scene: Scene, rooms: readonly [Room, Room]): [PassArguments, Data[]] {
  const { tokens, head, norms } = scene;
  const headDim = head[0]!;
  const arrays: Data[] = [];
  const make = (tensor: Tensor, room: Room): PassPlace => {
    const View = classes[tensor.dtype];
    const [made, data] = place(tensor, tokens, headDim, (length) => {
      const bytes = length * View.BYTES_PER_ELEMENT;
      const buffer = room(bytes);
      const at = "at" in buffer ? (buffer as { at: number }).at : 0;
      return new View((buffer as { memory?: ArrayBuffer }).memory ?? (buffer as ArrayBuffer), at, length);
    });
    arrays.push(...data);
    return made;
  };
  const names = ["query", "key", "value"] as const;
  const call: Record<string, unknown> = { norm: {}, out: {} };
  names.forEach((name, i) => {
    const source = scene[name];
    // A value needs a destination.
    const given = scene.outs[i] ?? (name === "value" ? { ...source, seed: source.seed + 1 } : undefined);
    call[name] = make(source, rooms[0]);
    if (given !== undefined) {
      (call.out as Record<string, unknown>)[name] = make({ ...given, heads: source.heads }, rooms[1]);
    }
    const norm = norms[i];
    if (norm === undefined) return;
    const { weighted, weightOffset, ...rest } = norm;
    const draw = random(source.seed + 7);
    const count = norm.over === "heads" ? source.heads * headDim : headDim;
    const weight = Float32Array.from({ length: count }, () => draw.next().value * 2 - 0.5);
    (call.norm as Record<string, RmsNorm>)[name] = { ...rest, ...(weighted && { weight, weightOffset }) };
  });
  if (Object.keys(call.out as object).length === 0) delete call.out;
  if (scene.queryScale) call.queryScale = true;
  return [call as PassArguments, arrays];
}

const ropes = new Map<string, RotaryEmbedding>();
function ropeOf({ head: [headDim, rotaryDim, rotaryOffset], pairing }: Scene): RotaryEmbedding {
  const key = `${headDim} ${pairing}`;
  const known = ropes.get(key);
  if (known !== undefined) return known;
  const rope = getRope({
    headDim: headDim!,
    rotaryDim: rotaryDim!,
    rotaryOffset: rotaryOffset!,
    pairing,
    parameters: { ropeType: "default" },
    queryScale: { rule: "temperature", beta: 0.1, length: 16, offset: 1 },
  });
  ropes.set(key, rope);
  return rope;
}

const arena: Arena = createArena({ bytes: 1 << 24 });
let used = 0;
const inArena: Room = (bytes) => {
  const at = used;
  used += Math.ceil((bytes + 16) / 16) * 16;
  const base = arena.memory.buffer.byteLength - arena.bytes;
  return { memory: arena.memory.buffer, at: base + at } as never;
};
const inJavaScript: Room = (bytes) => new ArrayBuffer(bytes);

test("every case has the same bits in both", { timeout: 60_000 }, () => {
  let passes = 0;
  fc.assert(
    fc.property(scenes, (scene) => {
      const js = ropeOf(scene);
      const wasm = js.to("wasm");
      const positions = Int32Array.from({ length: scene.tokens }, (_, t) => t * 131 + (t % 3));
      const [expectedCall, expected] = callOf(scene, [inJavaScript, inJavaScript]);
      used = 0;
      const rooms = {
        none: [inJavaScript, inJavaScript],
        all: [inArena, inArena],
        outputs: [inJavaScript, inArena],
      } as const;
      const [call, arrays] = callOf(scene, rooms[scene.arena as "none"]);
      js.apply({ positions, ...expectedCall });
      wasm.apply({ positions, ...call });
      passes++;
      arrays.forEach((array, i) => {
        const same = expected[i]!;
        for (let k = 0; k < array.length; k++) {
          if (!Object.is(array[k], same[k])) {
            throw new Error(`array ${i}, element ${k}: expected ${same[k]}, got ${array[k]}`);
          }
        }
      });
    }),
    { numRuns: Number(process.env.ROPEWALK_PASS_RUNS ?? 300) },
  );
  expect(passes).toBeGreaterThanOrEqual(300);
});

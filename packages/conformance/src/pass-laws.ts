/**
 * The pass from projection to cache on a backend: norms, factors, values, slots, groups and 8-bit caches give what
 * JavaScript gives, or are refused as a whole.
 */

import "@ropewalk/core/pass";
import { RopeError } from "@ropewalk/core";
import type {
  CacheElementType,
  CacheView,
  PassArguments,
  PassPlace,
  RmsNorm,
  UntypedRopeRequest,
} from "@ropewalk/core";
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from "@ropewalk/core/math";
import { fail, sameBits } from "./assert.ts";
import type { Kit } from "./kit.ts";
import type { Law } from "./law.ts";
import { drawnSpots } from "./test-positions.ts";

const TOKENS = 5;
const FLOAT8_SCALE = 1 / 16;
const HEADS = { query: 4, key: 2, value: 2 } as const;
const names = ["query", "key", "value"] as const;

type Data = Float32Array | Uint16Array | Int8Array | Uint8Array;

/** The arrays of a call, by their meaning. */
type Arrays = Map<string, { readonly data: Data; readonly dtype: CacheElementType; readonly scales?: Float32Array }>;

/** A call in new memory. */
interface Made {
  readonly call: PassArguments;
  readonly arrays: Arrays;
}

interface Scene {
  readonly name: string;
  make(random: () => number, headDim: number): Made;
}

/** Numbers like those of projections, each a float32. */
const numbers = (random: () => number, count: number): Float32Array =>
  Float32Array.from({ length: count }, () => random() * 4 - 2);

function memory(dtype: CacheElementType, values: Float32Array): Data {
  if (dtype === "float32") return values;
  if (dtype === "int8") return new Int8Array(values.length);
  if (dtype === "float8_e4m3") return new Uint8Array(values.length);
  return Uint16Array.from(values, dtype === "float16" ? toFloat16 : toBfloat16);
}

/** A tensor of one element type, row-major, with noise in it, and its entry among the arrays. */
function tensor(
  arrays: Arrays,
  name: string,
  dtype: CacheElementType,
  shape: readonly number[],
  random: () => number,
): CacheView {
  const count = shape.reduce((a, b) => a * b);
  const data = memory(dtype, numbers(random, count));
  const scales = dtype === "int8" ? new Float32Array(count / shape.at(-1)!) : undefined;
  arrays.set(name, { data, dtype, ...(scales && { scales }) });
  return {
    data,
    dtype,
    shape,
    ...(scales && { scales: { data: scales, shape: [...shape.slice(0, -1), 1] } }),
    ...(dtype === "float8_e4m3" && { scale: FLOAT8_SCALE }),
  };
}

/** Contiguous query, key and value of one element type. */
function inputs(arrays: Arrays, dtype: CacheElementType, random: () => number, headDim: number): PassArguments {
  return Object.fromEntries(
    names.map((name) => [name, tensor(arrays, name, dtype, [TOKENS, HEADS[name], headDim], random)]),
  );
}

/** Contiguous destinations. */
function outputs(
  arrays: Arrays,
  types: Readonly<Record<(typeof names)[number], CacheElementType>>,
  random: () => number,
  headDim: number,
): Record<string, PassPlace> {
  return Object.fromEntries(
    names.map((name) => [name, tensor(arrays, `out.${name}`, types[name], [TOKENS, HEADS[name], headDim], random)]),
  );
}

/** A scene with norms: the same for query and key. */
const normScene = (name: string, settings: Omit<RmsNorm, "weight">, isWeighted: boolean): Scene => ({
  name,
  make(random, headDim) {
    const arrays: Arrays = new Map();
    const call = inputs(arrays, "float32", random, headDim);
    const norm = (heads: number): RmsNorm => {
      const weight = numbers(random, settings.over === "heads" ? heads * headDim : headDim);
      return { ...settings, ...(isWeighted && { weight }) };
    };
    const out = outputs(arrays, { query: "float32", key: "float32", value: "float32" }, random, headDim);
    return { call: { ...call, norm: { query: norm(HEADS.query), key: norm(HEADS.key) }, out }, arrays };
  },
});

const typeScene = (input: CacheElementType, output: CacheElementType): Scene => ({
  name: `${input} to ${output}`,
  make(random, headDim) {
    const arrays: Arrays = new Map();
    const call = inputs(arrays, input, random, headDim);
    return {
      call: { ...call, out: outputs(arrays, { query: input, key: output, value: output }, random, headDim) },
      arrays,
    };
  },
});

const slotScene = (dtype: CacheElementType): Scene => ({
  name: `slots of a cache of ${dtype}`,
  make(random, headDim) {
    const arrays: Arrays = new Map();
    const call = inputs(arrays, "float32", random, headDim);
    const cache = (name: "key" | "value"): PassPlace => ({
      cache: tensor(arrays, `out.${name}`, dtype, [3, 4, HEADS[name], headDim], random),
      slots: [7, 2, -1, 11, 3],
    });
    return { call: { ...call, out: { key: cache("key"), value: cache("value") } }, arrays };
  },
});

/** Groups of two queries with their key and value, in one buffer. */
const groupScene: Scene = {
  name: "heads in groups",
  make(random, headDim) {
    const data = numbers(random, TOKENS * 2 * 4 * headDim);
    const out = new Float32Array(TOKENS * 2 * headDim);
    const part = (heads: number, first: number): PassPlace => ({
      data,
      shape: [TOKENS, 2 * heads, headDim],
      strides: [8 * headDim, headDim, 1],
      offset: first * headDim,
      groups: { heads, stride: 4 * headDim },
    });
    const arrays: Arrays = new Map([
      ["packed", { data, dtype: "float32" }],
      ["out.value", { data: out, dtype: "float32" }],
    ]);
    const value = { data: out, shape: [TOKENS, 2, headDim] };
    return { call: { query: part(2, 0), key: part(1, 2), value: part(1, 3), out: { value } }, arrays };
  },
};

const scaleScene: Scene = {
  name: "factors of queries",
  make(random, headDim) {
    const arrays: Arrays = new Map();
    const { query } = inputs(arrays, "float32", random, headDim);
    return { call: { query, queryScale: true }, arrays };
  },
};

const scenes: readonly Scene[] = [
  normScene("norm of a head before", { epsilon: 1e-6 }, true),
  normScene("norm of a head with 1 + weight", { epsilon: 1e-6, weightOffset: 1 }, true),
  normScene("norm of all heads", { epsilon: 1e-5, over: "heads" }, true),
  normScene("norm of a head after, without a weight", { epsilon: 1e-5, when: "after" }, false),
  normScene("norm of all heads after", { epsilon: 1e-5, over: "heads", when: "after" }, true),
  scaleScene,
  groupScene,
  typeScene("float32", "float16"),
  typeScene("float32", "bfloat16"),
  typeScene("bfloat16", "bfloat16"),
  typeScene("float16", "float32"),
  typeScene("float32", "int8"),
  typeScene("float32", "float8_e4m3"),
  slotScene("float32"),
  slotScene("float16"),
  slotScene("int8"),
];

/** Heads whose vectors have a tail, and others; both pairings that every kernel has. */
function requests(kit: Kit): UntypedRopeRequest[] {
  const { spec } = kit.js();
  return [
    { ...spec, precision: "float32", pairing: "half" },
    { ...spec, precision: "float32", pairing: "adjacent", headDim: spec.headDim + 12, rotaryOffset: 4 },
  ];
}

const pass: Law = {
  group: "backend",
  name: "runs a pass from projection to cache as JavaScript does, or refuses it",
  remedy:
    "Execute each task as passTask of @ropewalk/core/pass does, in the order of docs/numerics.md; without a method `pass` core refuses the call.",
  async run(kit) {
    for (const [turn, request] of requests(kit).entries()) {
      const scaled = { ...request, queryScale: { rule: "temperature", beta: 0.1, length: 2, offset: 1 } };
      const js = kit.js(scaled as UntypedRopeRequest);
      const rope = await kit.rope(scaled as UntypedRopeRequest);
      const { positions } = drawnSpots(rope, undefined, TOKENS, 1);
      // A device compiles a kernel for each scene and request, which takes most of a second: there they take turns.
      for (const scene of scenes.filter((_, i) => kit.bitExact || i % 2 === turn)) {
        const make = (): Made => scene.make(kit.random(scene.name), request.headDim);
        const expected = make();
        const got = make();
        const what = `${scene.name}, ${JSON.stringify(request.pairing)} pairs`;
        js.apply({ positions, ...expected.call });
        try {
          await rope.apply({ positions, ...got.call } as never);
        } catch (error) {
          if (!RopeError.is(error) || error.code !== "ROPE_UNSUPPORTED") throw error;
          // A declared lack. Nothing may be written then.
          compare(got.arrays, make().arrays, `${what}, refused`, true);
          continue;
        }
        compare(got.arrays, expected.arrays, what, kit.bitExact);
      }
    }
  },
};

function compare(got: Arrays, expected: Arrays, what: string, isExact: boolean): void {
  for (const [name, { data, dtype, scales }] of got) {
    const other = expected.get(name)!;
    if (isExact) {
      sameBits(bytesOf(data), bytesOf(other.data), `${name}, ${what}`);
      if (scales !== undefined) sameBits(bytesOf(scales), bytesOf(other.scales!), `scales of ${name}, ${what}`);
      continue;
    }
    const [a, b] = [decoded(data, dtype, scales), decoded(other.data, dtype, other.scales)];
    const largest = b.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    // A device may fuse and add in another order, which may move a rounding by one step of the type.
    const step = {
      float64: 0,
      float32: 2 ** -19,
      float16: 2 ** -10,
      bfloat16: 2 ** -7,
      int8: 2 ** -6,
      float8_e4m3: 2 ** -3,
    };
    const tolerance = largest * step[dtype];
    a.forEach((value, i) => {
      if (!(Math.abs(value - b[i]!) <= tolerance)) {
        fail(`${name}, element ${i}, ${what}`, `${b[i]} ± ${tolerance}`, value);
      }
    });
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Data): Uint16Array =>
  Uint16Array.from(new Uint8Array(buffer, byteOffset, byteLength));

function decoded(data: Data, dtype: CacheElementType, scales: Float32Array | undefined): Float64Array {
  const perScale = scales === undefined ? 1 : data.length / scales.length;
  return Float64Array.from(data, (bits, i) => {
    if (dtype === "int8") return bits * scales![Math.floor(i / perScale)]!;
    if (dtype === "float16") return fromFloat16(bits);
    if (dtype === "bfloat16") return fromBfloat16(bits);
    return dtype === "float8_e4m3" ? fromFloat8(bits) * FLOAT8_SCALE : bits;
  });
}

/** By the fields of the format: 4 bits of exponent with bias 7, 3 of fraction. */
function fromFloat8(bits: number): number {
  const [exponent, fraction] = [(bits >> 3) & 15, (bits & 7) / 8];
  const magnitude = exponent === 0 ? fraction * 2 ** -6 : (1 + fraction) * 2 ** (exponent - 7);
  return bits < 128 ? magnitude : -magnitude;
}

export const passLaws: readonly Law[] = [pass];

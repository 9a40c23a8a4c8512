/**
 * The tests of the pass from projection to cache for every device. They need only the device: no runner, no file.
 */

import { getRopeUntyped, RopeError } from "@ropewalk/core";
import type { CacheElementType, CacheView, PassArguments, PassPlace, RmsNorm, RotaryEmbedding } from "@ropewalk/core";
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from "@ropewalk/core/math";
import type { EncodeArguments, EncodeResult, GpuCacheSlots, GpuPassArguments, GpuRope } from "@ropewalk/webgpu-backend";
import { bodyCases, registry } from "./body.ts";
import type { BodyCase } from "./body.ts";
import { bufferOf, bytesOf, noise } from "./on-device.ts";

export type Data =
  | Float32Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>;
export type GpuElement = Exclude<CacheElementType, "float64">;

/** A view whose memory the tests know. */
export interface View extends Omit<CacheView, "scales"> {
  readonly data: Data;
  readonly scales?: Float32Array<ArrayBuffer>;
}
export type Place = View | { readonly cache: View; readonly slots: readonly number[] };
const names = ["query", "key", "value"] as const;
type Name = (typeof names)[number];

export interface Call {
  readonly query?: Place;
  readonly key?: Place;
  readonly value?: Place;
  readonly norm?: Partial<Record<Name, RmsNorm>>;
  readonly queryScale?: boolean;
  readonly out?: Partial<Record<Name, Place>>;
}

/** How a call goes to the device. */
export interface Transport {
  /** Slots and weights in a buffer. */
  readonly hidden?: boolean;
  /** All tensors in one buffer. */
  readonly shared?: boolean;
}

const viewOf = (place: Place): View => ("cache" in place ? place.cache : place);
const placesOf = (call: Call): Place[] =>
  names.flatMap((name) => [call[name], call.out?.[name]]).filter((place) => place !== undefined);

/** Each array of a call once, with what its numbers are. */
function arraysOf(call: Call): Map<Data, View | "scales"> {
  const arrays = new Map<Data, View | "scales">();
  for (const view of placesOf(call).map(viewOf)) {
    arrays.set(view.data, view);
    if (view.scales !== undefined) arrays.set(view.scales, "scales");
  }
  return arrays;
}

/** A copy of a call with memory of its own, shared where the call shares it. */
export function copyOf(call: Call): Call {
  const copies = new Map(Array.from(arraysOf(call).keys(), (data) => [data, data.slice() as Data]));
  const copy = (place: Place): Place => {
    const { data, scales, ...rest } = viewOf(place);
    const view = {
      ...rest,
      data: copies.get(data)!,
      ...(scales && { scales: copies.get(scales) as Float32Array<ArrayBuffer> }),
    };
    return "cache" in place ? { ...place, cache: view } : view;
  };
  const all = (set: Partial<Record<Name, Place>>): Partial<Record<Name, Place>> =>
    Object.fromEntries(names.filter((name) => set[name] !== undefined).map((name) => [name, copy(set[name]!)]));
  return { ...call, ...all(call), ...(call.out && { out: all(call.out) }) };
}

/** The call on the device; `read` copies its memory back into the arrays that it came from. */
export function placeOnDevice(
  device: GPUDevice,
  call: Call,
  { hidden = false, shared = false }: Transport = {},
): { readonly tensors: GpuPassArguments; read(): Promise<void>; destroy(): void } {
  const arrays = Array.from(arraysOf(call).keys());
  let end = 0;
  const starts = new Map(
    arrays.map((data) => {
      const start = end;
      if (shared) end += Math.ceil(data.byteLength / 16) * 16 + 16;
      return [data, start];
    }),
  );
  const common = new Uint8Array(end);
  if (shared) {
    for (const [data, start] of starts) {
      common.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), start);
    }
  }
  const one = shared ? bufferOf(device, common) : undefined;
  const buffers = new Map(arrays.map((data) => [data, one ?? bufferOf(device, data)]));
  // Two numbers that are nobody's in front: offsets count.
  const hiddenWords = [7, 7];
  const hide = (words: Int32Array): number => {
    while (hiddenWords.length % 4 !== 2) hiddenWords.push(7);
    const at = hiddenWords.length;
    hiddenWords.push(...words);
    return at;
  };
  const later: ((buffer: GPUBuffer) => void)[] = [];
  const move = (place: Place): NonNullable<GpuPassArguments["query"]> => {
    const { data, scales, ...rest } = viewOf(place);
    const view = {
      ...rest,
      buffer: buffers.get(data)!,
      offset: (rest.offset ?? 0) + starts.get(data)! / data.BYTES_PER_ELEMENT,
      ...(scales && {
        scales: {
          buffer: buffers.get(scales)!,
          shape: [...rest.shape.slice(0, -1), 1],
          offset: starts.get(scales)! / 4,
        },
      }),
    } as NonNullable<GpuPassArguments["query"]>;
    if (!("cache" in place)) return view;
    const { slots } = place;
    if (!hidden) return { cache: view as never, slots };
    const moved = { cache: view as never, slots: { buffer: undefined as never, offset: hide(Int32Array.from(slots)) } };
    later.push((buffer) => (moved.slots.buffer = buffer as never));
    return moved;
  };
  const all = (set: Partial<Record<Name, Place>>): GpuPassArguments =>
    Object.fromEntries(names.filter((name) => set[name] !== undefined).map((name) => [name, move(set[name]!)]));
  const norm: Record<string, unknown> = {};
  for (const [name, settings] of Object.entries(call.norm ?? {})) {
    const weight = settings.weight as Float32Array | undefined;
    if (weight === undefined || !hidden) norm[name] = settings;
    else {
      const place = { buffer: undefined as never, offset: hide(new Int32Array(weight.slice().buffer)) };
      later.push((buffer) => (place.buffer = buffer as never));
      norm[name] = { ...settings, weight: place };
    }
  }
  const { queryScale } = call;
  const tensors: GpuPassArguments = {
    ...all(call),
    ...(call.norm && { norm }),
    ...(queryScale !== undefined && { queryScale }),
    ...(call.out && { out: all(call.out) }),
  };
  const secret = bufferOf(device, Int32Array.from(hiddenWords));
  later.forEach((fill) => fill(secret));
  return {
    tensors,
    async read() {
      const bytes = new Map<GPUBuffer, Uint8Array>();
      for (const [data, buffer] of buffers) {
        if (!bytes.has(buffer)) bytes.set(buffer, new Uint8Array(await bytesOf(device, buffer)));
        const start = starts.get(data)!;
        const own = bytes.get(buffer)!.subarray(start, start + data.byteLength);
        new Uint8Array(data.buffer, data.byteOffset, data.byteLength).set(own);
      }
    },
    destroy: () => [...buffers.values(), secret].forEach((buffer) => buffer.destroy()),
  };
}

type EncodeOptions = Omit<EncodeArguments, keyof GpuPassArguments>;

/** Runs a call on the device and writes its results to the call's arrays. */
export async function runOnDevice(
  device: GPUDevice,
  gpu: GpuRope,
  options: EncodeOptions,
  call: Call,
  transport?: Transport,
): Promise<EncodeResult> {
  const placed = placeOnDevice(device, call, transport);
  const encoder = device.createCommandEncoder();
  const result = gpu.encode(encoder, { ...options, ...placed.tensors });
  device.queue.submit([encoder.finish()]);
  await gpu.check();
  await placed.read();
  placed.destroy();
  return result;
}

/** Every number of float8_e4m3 by its fields. */
const float8 = (bits: number): number => {
  const [exponent, fraction, sign] = [(bits >> 3) & 15, bits & 7, bits & 128 ? -1 : 1];
  if (exponent === 15 && fraction === 7) return NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -9 : (8 + fraction) * 2 ** (exponent - 10));
};

/**
 * float32: squares are summed in another order, a root and a quotient are within 2.5 ulp on a device, and sums of
 * products may be fused: within 2^-20 of the largest number of the tensor, as for the goldens of the pass. Narrower
 * types: the same numbers, rounded once, so one that lies at the border of two may fall to either side: one step.
 */
export function compare(what: string, got: Call, expected: Call): void {
  const wanted = Array.from(arraysOf(expected).keys());
  Array.from(arraysOf(got)).forEach(([data, view], n) => {
    const other = wanted[n]!;
    const dtype = view === "scales" ? "float32" : (view.dtype ?? "float32");
    const number =
      dtype === "float16"
        ? fromFloat16
        : dtype === "bfloat16"
          ? fromBfloat16
          : dtype === "float8_e4m3"
            ? float8
            : (x: number) => x;
    const step = { float16: 2 ** -10, bfloat16: 2 ** -7, float8_e4m3: 2 ** -3, int8: 0, float32: 0, float64: 0 }[dtype];
    const least = { float16: 2 ** -24, float8_e4m3: 2 ** -9, int8: 1, bfloat16: 0, float32: 0, float64: 0 }[dtype];
    let largest = 0;
    if (dtype !== "int8") {
      for (const bits of other) largest = Math.max(largest, Math.abs(number(bits)) || 0);
    }
    for (let i = 0; i < other.length; i++) {
      if (data[i] === other[i]) continue;
      const [a, b] = [number(data[i]!), number(other[i]!)];
      if (!(Math.abs(a - b) <= step * Math.abs(b) + least + largest * 2 ** -20)) {
        throw new Error(`${what}: element ${i} of array ${n} (${dtype}) is ${a}, expected ${b}`);
      }
    }
  });
}

/** Runs a call on the device and in JavaScript, and compares all memory, gaps included. */
export async function agree(
  what: string,
  device: GPUDevice,
  gpu: GpuRope,
  options: { readonly positions: Parameters<RotaryEmbedding["at"]>[0] },
  call: Call,
  transport?: Transport,
): Promise<Call> {
  const [got, expected] = [copyOf(call), copyOf(call)];
  const { dispatches } = await runOnDevice(device, gpu, options, got, transport);
  ensure(dispatches === 1, `${what}: expected 1 dispatch, got ${dispatches}`);
  gpu.rope.apply({ ...options, ...(expected as PassArguments) });
  compare(what, got, expected);
  return got;
}

function ensure(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

export async function refused(code: string, call: () => unknown): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (RopeError.is(error) && error.code === code) return;
    throw error;
  }
  throw new Error(`expected ${code}, got no error from ${call}`);
}

/** A head: its size, and what of it is rotated how. */
export interface Head {
  readonly headDim: number;
  readonly rotaryDim?: number;
  readonly rotaryOffset?: number;
  readonly pairing: "half" | "adjacent" | { readonly blocks: number };
}

export const passRope = (device: GPUDevice, head: Head, amplitude = 1.138): Promise<GpuRope> =>
  getRopeUntyped(
    {
      ...head,
      queryScale: { rule: "temperature", beta: 0.1, length: 16, offset: 1 },
      parameters: { ropeType: "plain", amplitude } as { ropeType: string },
    } as never,
    { registry },
  ).to("webgpu", { device });

/** Numbers between -2 and 2 in an element type. */
export function elements(length: number, dtype: GpuElement, seed: number): Data {
  const numbers = noise(length, seed).map((x) => 2 * x);
  if (dtype === "float32") return numbers;
  if (dtype === "float16") return Uint16Array.from(numbers, toFloat16);
  if (dtype === "bfloat16") return Uint16Array.from(numbers, toBfloat16);
  if (dtype === "int8") return Int8Array.from(numbers, (x) => 60 * x);
  return Uint8Array.from(numbers, (x) => (Math.abs(x) * 63) | (x < 0 ? 128 : 0));
}

/** A tensor `[tokens, heads, headDim]` without gaps. */
export function tensor(tokens: number, heads: number, headDim: number, dtype: GpuElement = "float32", seed = 1): View {
  return {
    data: elements(tokens * heads * headDim, dtype, seed),
    shape: [tokens, heads, headDim],
    dtype,
    ...(dtype === "float8_e4m3" && { scale: 0.37 }),
    ...(dtype === "int8" && { scales: noise(tokens * heads, seed + 1).map((x) => Math.abs(x) / 50 + 0.01) }),
  };
}

const weightOf = (count: number, seed: number): Float32Array => noise(count, seed).map((x) => x + 0.75);

/** Numbers from a seed, for scenes. */
class Draw {
  #state: number;
  constructor(seed: number) {
    this.#state = Math.imul(seed + 1, 2654435761) >>> 0;
  }
  below(count: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * count);
  }
  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

/** A tensor with gaps between heads, tokens and before the first, tokens or heads outside, perhaps in slots. */
function scattered(draw: Draw, tokens: number, heads: number, headDim: number, dtype: GpuElement): Place {
  // An output has whole words of its own.
  const unit = dtype === "float32" ? 1 : dtype === "float16" || dtype === "bfloat16" ? 2 : 4;
  const gap = (most: number): number => unit * draw.below(Math.ceil(most / unit));
  const isInSlots = draw.below(3) === 0;
  const rows = isInSlots ? tokens + 3 : tokens;
  const [betweenHeads, betweenTokens, before] = draw.below(2) === 0 ? [0, 0, 0] : [gap(4), gap(10), gap(3)];
  const isHeadMajor = draw.below(2) === 0;
  const headStride = isHeadMajor ? rows * (headDim + betweenTokens) + betweenHeads : headDim + betweenHeads;
  const tokenStride = isHeadMajor ? headDim + betweenTokens : heads * headStride + betweenTokens;
  const length = before + heads * headStride + rows * tokenStride + headDim;
  const view: View = {
    ...tensor(rows, heads, headDim, dtype, draw.below(1e6)),
    data: elements(length, dtype, draw.below(1e6)),
    strides: [tokenStride, headStride, 1],
    offset: before,
  };
  if (!isInSlots) return view;
  const slots = Array.from({ length: rows }, (_, i) => i);
  for (let i = rows - 1; i > 0; i--) {
    const k = draw.below(i + 1);
    [slots[i], slots[k]] = [slots[k]!, slots[i]!];
  }
  return { cache: view, slots: slots.slice(0, tokens).map((slot, i) => (i % 5 === 3 ? -1 : slot)) };
}

const wide: readonly GpuElement[] = ["float32", "float16", "bfloat16"];
const all: readonly GpuElement[] = [...wide, "int8", "float8_e4m3"];
const wholeWords = (headDim: number): readonly GpuElement[] =>
  headDim % 4 === 0 ? all : headDim % 2 === 0 ? wide : ["float32"];

const heads: readonly Head[] = [
  { headDim: 128, pairing: "half" },
  { headDim: 64, rotaryDim: 32, rotaryOffset: 16, pairing: "adjacent" },
  { headDim: 80, rotaryDim: 40, pairing: "half" },
  { headDim: 96, rotaryDim: 48, rotaryOffset: 16, pairing: { blocks: 6 } },
  { headDim: 22, rotaryDim: 14, rotaryOffset: 3, pairing: "half" },
  { headDim: 6, rotaryDim: 2, rotaryOffset: 4, pairing: "adjacent" },
  { headDim: 25, rotaryDim: 18, rotaryOffset: 3, pairing: "adjacent" },
  { headDim: 320, rotaryDim: 64, pairing: "half" },
];

/** A random call. Inputs have types of 16 bits or more, as the outputs in place. */
export function scene(seed: number): {
  readonly head: Head;
  readonly tokens: number;
  readonly call: Call;
  readonly hidden: boolean;
} {
  const draw = new Draw(seed);
  const head = draw.of(heads);
  const { headDim } = head;
  const tokens = draw.of([1, 2, 7, 33]);
  const [call, norm, out]: [Partial<Record<Name, Place>>, Record<string, RmsNorm>, Partial<Record<Name, Place>>] = [
    {},
    {},
    {},
  ];
  for (const name of names) {
    if (name !== "query" && draw.below(4) === 0) continue;
    const count = draw.of([1, 2, 5, 8]);
    const types = wholeWords(headDim);
    call[name] = scattered(draw, tokens, count, headDim, draw.of(types.filter((type) => wide.includes(type))));
    if (name === "value" || draw.below(3) > 0) out[name] = scattered(draw, tokens, count, headDim, draw.of(types));
    if (draw.below(3) === 0) continue;
    const over = draw.of(["head", "heads"] as const);
    norm[name] = {
      epsilon: draw.of([0, 1e-6, 1e-5]),
      over,
      when: draw.of(["before", "after"] as const),
      ...(draw.below(4) > 0 && {
        weight: weightOf(over === "head" ? headDim : count * headDim, draw.below(1000)),
        weightOffset: draw.of([0, 1]),
      }),
    };
  }
  return {
    head,
    tokens,
    hidden: draw.below(2) === 0,
    call: {
      ...call,
      norm,
      ...(Object.keys(out).length > 0 && { out }),
      ...(draw.below(2) === 0 && { queryScale: true }),
    },
  };
}

/** More of them ran once, on both drivers of Node; each has a kernel of its own, which takes a second to compile. */
const SCENES = 6;

const half: Head = { headDim: 64, pairing: "half" };
const weighted = (headDim: number, seed: number, more: Partial<RmsNorm> = {}): RmsNorm => ({
  epsilon: 1e-6,
  weight: weightOf(headDim, seed),
  ...more,
});

/** What `check` says about wrong slots. */
async function slotFault(gpu: GpuRope): Promise<string> {
  try {
    await gpu.check();
  } catch (error) {
    if (RopeError.is(error) && error.code === "ROPE_SHAPE") {
      return /\d+ outside, the first of token \d+/.exec(error.message)![0];
    }
    throw error;
  }
  return "nothing";
}

export const passCases: readonly BodyCase[] = [
  {
    name: "pass: norm, rotation and a write to other types and strides, in one dispatch",
    float16: true,
    async run(device) {
      for (const [head, when] of [
        [heads[0]!, "before"],
        [heads[1]!, "after"],
      ] as const) {
        const { headDim } = head;
        using gpu = await passRope(device, head);
        {
          const norm = (seed: number): RmsNorm => weighted(headDim, seed, { when });
          await agree(
            `${headDim} ${when}`,
            device,
            gpu,
            { positions: [3, 131071, 0, 77, 5] },
            {
              query: tensor(5, 6, headDim, "float32", 1),
              key: tensor(5, 2, headDim, "float32", 2),
              value: tensor(5, 2, headDim, "float32", 3),
              norm: { query: norm(4), key: norm(5) },
              out: {
                key: {
                  data: new Uint16Array(2 * 9 * headDim),
                  dtype: "bfloat16",
                  shape: [5, 2, headDim],
                  strides: [headDim, 9 * headDim, 1],
                  offset: 2 * headDim,
                },
                value: tensor(5, 2, headDim, "float16", 6),
              },
            },
          );
        }
      }
    },
  },
  {
    name: "pass: random calls agree with JavaScript",
    isLong: true,
    async run(device) {
      for (let seed = 0; seed < SCENES; seed++) {
        const { head, tokens, call, hidden } = scene(seed);
        using gpu = await passRope(device, head);
        const positions = Array.from({ length: tokens }, (_, t) => t * 131 + (t % 3));
        // A shader may have eight storage buffers.
        const shared = seed % 2 === 0 || arraysOf(call).size > (hidden ? 4 : 6);
        await agree(`scene ${seed}`, device, gpu, { positions }, call, { hidden, shared });
      }
    },
  },
  {
    name: "pass: a norm over more heads than a workgroup has, in place",
    async run(device) {
      using gpu = await passRope(device, half);
      for (const when of ["before", "after"] as const) {
        const norm = { query: weighted(21 * 64, 4, { over: "heads", when }) };
        await agree(when, device, gpu, { positions: [3, 131071] }, { query: tensor(2, 21, 64), norm });
      }
    },
  },
  {
    name: "pass: packed projections, in groups and side by side, with batches that share positions or not",
    async run(device) {
      using gpu = await passRope(device, half);
      const [groups, queries, tokens] = [3, 2, 4];
      const group = (queries + 2) * 64;
      const data = elements(2 * tokens * groups * group, "float32", 1);
      const grouped = (count: number, offset: number): View => ({
        data,
        shape: [2, tokens, groups * count, 64],
        strides: [tokens * groups * group, groups * group, 64, 1],
        offset,
        groups: { heads: count, stride: group },
      });
      const calls = (): Call => ({
        query: grouped(queries, 0),
        key: grouped(1, queries * 64),
        value: grouped(1, (queries + 1) * 64),
        norm: { query: weighted(64, 4), key: weighted(64, 5) },
        out: { value: { data: elements(2 * tokens * groups * 64, "float32", 3), shape: [2, tokens, groups, 64] } },
      });
      await agree("shared positions", device, gpu, { positions: [1, 2, 500, 4] }, calls());
      const positions = { data: [1, 2, 500, 4, 9, 8, 7, 6], shape: [2, tokens] };
      await agree("positions of each row", device, gpu, { positions }, calls());
    },
  },
  {
    name: "pass: slots in a buffer: −1 writes nothing, and one outside neither, which check reports",
    async run(device) {
      using gpu = await passRope(device, half);
      const tokens = 5;
      for (const dtype of ["int32", "uint32"] as const) {
        const slots = [6, -1, dtype === "int32" ? -2 : 2 ** 32 - 2, 8, 0];
        const call = (good: readonly number[]): Call => ({
          key: tensor(tokens, 2, 64, "float32", 2),
          value: tensor(tokens, 2, 64, "float32", 3),
          norm: { key: weighted(64, 5) },
          out: {
            key: { cache: { ...tensor(8, 2, 64, "float16", 4), shape: [4, 2, 2, 64] }, slots: good },
            value: tensor(tokens, 2, 64, "float32", 5),
          },
        });
        const [got, expected] = [copyOf(call([6, -1, -1, -1, 0])), copyOf(call([6, -1, -1, -1, 0]))];
        const placed = placeOnDevice(device, got);
        const buffer = bufferOf(device, Int32Array.from([9, ...slots]));
        const out = placed.tensors.out!;
        const { cache } = out.key as GpuCacheSlots;
        const encoder = device.createCommandEncoder();
        const positions = [1, 2, 3, 4, 5];
        gpu.encode(encoder, {
          positions,
          ...placed.tensors,
          out: { ...out, key: { cache, slots: { buffer, offset: 1, dtype } } },
        });
        device.queue.submit([encoder.finish()]);
        const fault = await slotFault(gpu);
        ensure(fault === "2 outside, the first of token 2", `expected two faults from token 2, got ${fault}`);
        ensure((await slotFault(gpu)) === "nothing", "expected that check clears the faults");
        await placed.read();
        gpu.rope.apply({ positions, ...(expected as PassArguments) });
        compare(dtype, got, expected);
        placed.destroy();
        buffer.destroy();
      }
    },
  },
  {
    name: "pass: positions in a buffer; nothing is written for a token whose position is out of range",
    async run(device) {
      for (const tables of ["rows", "factored"] as const) {
        const js = (await passRope(device, half, 1)).rope;
        using gpu = await (js.to as (name: "webgpu", options: object) => Promise<GpuRope>)("webgpu", {
          device,
          tables,
        });
        const values = [3, 1000, 0, 999, 7];
        const positions = { buffer: bufferOf(device, Uint32Array.from(values)), shape: [5] };
        const call = (): Call => ({
          query: tensor(5, 3, 64, "float32", 1),
          key: tensor(5, 1, 64, "float32", 2),
          norm: { query: weighted(64, 4) },
          out: { key: tensor(5, 1, 64, "bfloat16", 5) },
        });
        const [got, expected] = [copyOf(call()), copyOf(call())];
        const placed = placeOnDevice(device, got);
        const encoder = device.createCommandEncoder();
        gpu.encode(encoder, { positions, length: 1000, ...placed.tensors });
        device.queue.submit([encoder.finish()]);
        let received: unknown = "no error";
        await gpu
          .check()
          .catch(
            (error) => (received = RopeError.is(error) && [error.code, error.facts["count"], error.facts["index"]]),
          );
        ensure(String(received) === "ROPE_POSITION_RANGE,1,1", `expected one wrong position, got ${String(received)}`);
        await placed.read();
        placed.destroy();
        for (const t of [0, 2, 3, 4]) {
          const one = (view: View): View => ({
            ...view,
            shape: [1, view.shape[1]!, 64],
            offset: t * view.shape[1]! * 64,
          });
          gpu.rope.apply({
            positions: [values[t]!],
            query: one(expected.query as View),
            key: one(expected.key as View),
            norm: expected.norm,
            out: { key: one(expected.out!.key as View) },
          } as PassArguments & { positions: number[] });
        }
        compare(tables, got, expected);
        await refused("ROPE_UNSUPPORTED", () =>
          gpu.prepare({ positions, length: 1000, ...placed.tensors, queryScale: true }),
        );
        positions.buffer.destroy();
      }
    },
  },
  {
    name: "pass: a step, whose factors are those of its positions",
    async run(device) {
      using gpu = await passRope(device, half);
      using step = gpu.at([40, 3]);
      const call = (): Call => ({
        query: tensor(2, 3, 64, "float32", 1),
        norm: { query: weighted(64, 4) },
        queryScale: true,
      });
      const [got, expected] = [copyOf(call()), copyOf(call())];
      const placed = placeOnDevice(device, got);
      await gpu.prepare({ positions: [40, 3], ...placed.tensors });
      const encoder = device.createCommandEncoder();
      const result = step.encode(encoder, placed.tensors);
      ensure(
        result.bytes === 2 * 2 * 3 * 64 * 4,
        `expected each element read and written once, got ${result.bytes} bytes`,
      );
      device.queue.submit([encoder.finish()]);
      await gpu.check();
      await placed.read();
      placed.destroy();
      gpu.rope.at([40, 3]).apply(expected as PassArguments);
      compare("step", got, expected);
      await refused("ROPE_UNSUPPORTED", () => step.encode(encoder, { ...placed.tensors, operation: "adjoint" }));
    },
  },
  {
    name: "pass: values of another head size alone; nothing at all is no dispatch",
    async run(device) {
      using gpu = await passRope(device, half);
      const call: Call = {
        value: { data: elements(3 * 2 * 48, "float32", 1), shape: [3, 2, 48] },
        out: { value: { cache: { ...tensor(4, 2, 48, "int8", 2) }, slots: [3, 0, 1] } },
      };
      await agree("values", device, gpu, { positions: [0, 1, 2] }, call);
      const empty = placeOnDevice(device, { key: tensor(0, 2, 64), norm: { key: weighted(64, 4) } });
      const { dispatches } = gpu.encode(device.createCommandEncoder(), { positions: [], ...empty.tensors });
      ensure(dispatches === 0, `expected no dispatch, got ${dispatches}`);
      empty.destroy();
    },
  },
  {
    name: "pass: typed arrays by way of the device, and keys that move in an int8 cache",
    isLong: true,
    async run(device) {
      for (const seed of [2, 9]) {
        const { head, tokens, call } = scene(seed);
        using gpu = await passRope(device, head);
        const positions = Array.from({ length: tokens }, (_, t) => t * 131);
        const [got, expected] = [copyOf(call), copyOf(call)];
        const result = await gpu.apply({ positions, ...(got as PassArguments) });
        for (const name of names) {
          ensure(result[name] === (got.out?.[name] ?? got[name]), `expected ${name} as it was passed`);
        }
        gpu.rope.apply({ positions, ...(expected as PassArguments) });
        compare(`scene ${seed}`, got, expected);
      }
      using gpu = await passRope(device, half, 1);
      // Views of one packed array, which share a buffer of the device, at an address that is no multiple of 16.
      const packed = (): Call => {
        const data = elements(2 + 3 * 256, "float32", 1).subarray(1);
        const view = (heads: number, offset: number): View => ({
          data,
          shape: [3, heads, 64],
          strides: [256, 64, 1],
          offset,
        });
        return {
          query: view(2, 0),
          key: view(1, 128),
          value: view(1, 192),
          out: {
            key: { cache: tensor(8, 1, 64, "int8", 2), slots: [6, -1, 2] },
            value: tensor(3, 1, 64, "float32", 3),
          },
        };
      };
      const [got, expected] = [packed(), packed()];
      const positions = [4, 5, 600];
      await gpu.apply({ positions, ...(got as PassArguments) });
      gpu.rope.apply({ positions, ...(expected as PassArguments) });
      compare("packed", got, expected);
      const move = { from: positions, to: [0, 1, 596] };
      const keys = got.out!.key as PassPlace;
      ensure((await gpu.shift({ keys, ...move })) === keys, "expected the keys as they were passed");
      gpu.rope.shift({ keys: expected.out!.key as PassPlace, ...move });
      compare("shift", got, expected);
    },
  },
  {
    name: "pass: rounding to 8 bits is to the nearest; float8 ends at 448",
    async run(device) {
      const numbers = Array.from({ length: 127 }, (_, bits) => float8(bits));
      const inputs = [
        ...numbers,
        ...numbers.slice(1).flatMap((x, i) => [(x + numbers[i]!) / 2, (x + numbers[i]!) / 2 + x * 2 ** -20]),
        ...[449, 1e9, 1e-9, 0],
      ];
      while (inputs.length % 64 > 0) inputs.push(0);
      const shape = [inputs.length / 128, 2, 64];
      const value: View = { data: Float32Array.from(inputs, (x, i) => (i % 3 === 0 ? -x : x)), shape };
      using gpu = await passRope(device, half);
      const positions = { start: 0, count: shape[0]! };
      const rounded = async (out: View): Promise<readonly [Data, Data]> => {
        const [got, expected] = [copyOf({ value, out: { value: out } }), copyOf({ value, out: { value: out } })];
        await runOnDevice(device, gpu, { positions }, got);
        gpu.rope.apply({ positions, ...(expected as PassArguments) });
        return [(got.out!.value as View).data, (expected.out!.value as View).data];
      };
      // A quotient by 1 is exact, so every bit is known.
      const [got, expected] = await rounded({
        data: new Uint8Array(inputs.length),
        shape,
        dtype: "float8_e4m3",
        scale: 1,
      });
      for (const [i, bits] of expected.entries()) {
        ensure(got[i] === bits, `float8 of ${value.data[i]}: expected ${bits}, got ${got[i]}`);
      }
      // A head whose largest is 127 has the scale 1, which a device may miss by an ulp: no number lies at a border.
      const steps = Float32Array.from({ length: 64 }, (_, i) =>
        i === 5 ? 127 : (i % 2 === 0 ? 1 : -1) * (i + (i % 3) * 0.49),
      );
      const out: View = { data: new Int8Array(64), dtype: "int8", scales: new Float32Array(1), shape: [1, 1, 64] };
      const call: Call = copyOf({ value: { data: steps, shape: [1, 1, 64] }, out: { value: out } });
      await runOnDevice(device, gpu, { positions: [0] }, call);
      const { data } = call.out!.value as View;
      for (const [i, x] of steps.entries()) {
        const nearest = Math.sign(x) * Math.round(Math.abs(x));
        ensure(data[i] === nearest, `int8 of ${x}: expected ${nearest}, got ${data[i]}`);
      }
    },
  },
  {
    name: "pass: what is wrong or would race is refused, and nothing is recorded",
    async run(device) {
      using gpu = await passRope(device, half);
      const buffer = bufferOf(device, new Uint8Array(1 << 16));
      const plain = bufferOf(device, new Uint8Array(1 << 14));
      const view = { buffer, shape: [2, 1, 64] };
      const key = { buffer: plain, shape: [2, 1, 64] };
      const cases: readonly (readonly [string, GpuPassArguments])[] = [
        // Two heads of 16-bit elements would share a word, two of 8-bit elements as well.
        ["ROPE_UNSUPPORTED", { key, out: { key: { ...view, dtype: "bfloat16", offset: 1 } }, norm: {} }],
        ["ROPE_UNSUPPORTED", { key, out: { key: { ...view, dtype: "float8_e4m3", scale: 1, strides: [66, 64, 1] } } }],
        ["ROPE_UNSUPPORTED", { key, out: { key: { ...view, dtype: "float16", strides: [128, 64, 2] } }, norm: {} }],
        ["ROPE_SHAPE", { key, out: { key: { ...view, dtype: "float8_e4m3" } } }],
        ["ROPE_SHAPE", { key, out: { key: { ...view, dtype: "int8", scale: 1 } } }],
        ["ROPE_SHAPE", { key, out: { key: { cache: { ...view, shape: [8, 1, 64] }, slots: [0, 8] } } }],
        ["ROPE_SHAPE", { key, out: { key: { cache: { ...view, shape: [8, 1, 64] }, slots: [1, 1] } } }],
        ["ROPE_SHAPE", { key, out: { key: { cache: { ...view, shape: [8, 1, 64] }, slots: { buffer } } } }],
        [
          "ROPE_SHAPE",
          { key, out: { key: { cache: { ...view, shape: [8, 1, 64] }, slots: { buffer: plain, offset: 4095 } } } },
        ],
        [
          "ROPE_SHAPE",
          {
            key: { cache: { ...view, shape: [8, 1, 64] }, slots: { buffer: plain } },
            out: { key: { cache: { ...view, shape: [8, 1, 64] }, slots: { buffer: plain, offset: 8 } } },
          },
        ],
        ["ROPE_SHAPE", { key, norm: { key: { epsilon: 0, weight: { buffer: plain } } } }],
        ["ROPE_SHAPE", { key, norm: { key: { epsilon: 0, weight: { buffer, offset: 1 << 14 } } } }],
        ["ROPE_SHAPE", { key, norm: { key: { epsilon: 0, weight: new Float32Array(63) } } }],
        ["ROPE_SHAPE", { key, value: view, out: { value: { ...key, offset: 32 } } }],
        ["ROPE_SHAPE", { key, value: view }],
        ["ROPE_SHAPE", { key: { ...key, groups: { heads: 1, stride: 64 } } }],
        ["ROPE_SHAPE", { key: new Float32Array(128) as never, norm: {} }],
        ["ROPE_INVALID_PARAMETERS", { key, norm: { key: {} as never } }],
        ["ROPE_INVALID_PARAMETERS", { key, norm: { key: { epsilon: 0, weight: { buffer, of: 1 } as never } } }],
        ["ROPE_INVALID_PARAMETERS", { key: { ...key, data: 1 } as never, norm: {} }],
        ["ROPE_UNSUPPORTED", { key, norm: { key: { epsilon: 0 } }, operation: "invert" } as GpuPassArguments],
      ];
      let passes = 0;
      const encoder = new Proxy(device.createCommandEncoder(), {
        get(target, name) {
          if (name === "beginComputePass") passes++;
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === "function" ? (value as () => unknown).bind(target) : value;
        },
      });
      for (const [code, call] of cases) {
        await refused(code, () => gpu.encode(encoder, { positions: [1, 2], ...call }));
      }
      ensure(passes === 0, `expected that nothing is recorded, got ${passes} passes`);
      const wide = await passRope(device, { headDim: 1032, pairing: "half" });
      const large = { buffer, shape: [2, 1, 1032] };
      await refused("ROPE_UNSUPPORTED", () => wide.encode(encoder, { positions: [1, 2], query: large, norm: {} }));
      wide.dispose();
      // Of typed arrays as well, and the array stays.
      const data = new Uint16Array(129);
      const odd = { data, dtype: "bfloat16" as const, shape: [1, 2, 64], offset: 1 };
      await refused("ROPE_UNSUPPORTED", () => gpu.apply({ positions: [1], query: odd, norm: {} }));
      await refused("ROPE_UNSUPPORTED", () => gpu.apply({ positions: [1], query: new Float64Array(64), norm: {} }));
      ensure(
        data.every((bits) => bits === 0),
        "expected that a refused call writes nothing",
      );
      await gpu.check();
      buffer.destroy();
      plain.destroy();
    },
  },
];

export const allCases: readonly BodyCase[] = [...bodyCases, ...passCases];

/** Wrong or missing arguments of the public functions and methods give RopeErrors, never a TypeError. */

import { getRope, RopeError } from "@ropewalk/core";
import "@ropewalk/default";
import * as webgpu from "@ropewalk/webgpu-backend";
import { probe } from "@ropewalk/webgpu-backend";
import * as kernels from "@ropewalk/webgpu-backend/kernel";
import type { Kernel } from "@ropewalk/webgpu-backend/kernel";
import { afterAll, describe, expect, test } from "vitest";
import { newDevice } from "./node-device.ts";
import { bufferOf, noise } from "./on-device.ts";

const device = await newDevice();
afterAll(() => device.destroy());

const junk: readonly unknown[] = [
  undefined,
  null,
  0,
  -1,
  1.5,
  NaN,
  7n,
  "",
  "x",
  true,
  {},
  { a: 1 },
  Object.create(null),
  [],
  [null],
  [{}],
  [[], [1]],
  () => undefined,
  Symbol("s"),
  new Map(),
  new Float32Array(8),
  new DataView(new ArrayBuffer(8)),
  { data: new Float32Array(8), shape: [1, 1, 8], stride: [1] },
  { buffer: null, shape: null },
  { buffer: {}, shape: [1, 1, 8] },
  { buffer: { size: 32 }, shape: [1, 1, 8] },
  { buffer: { size: 32, usage: "x" }, shape: [1, 1, 8] },
  // Buffers and passes by their looks.
  { buffer: { size: 32, usage: 0xff }, shape: [1, 1, 8] },
  { buffer: { size: 4, usage: 0xff }, shape: [1] },
  { setPipeline: 1 },
  { beginComputePass: () => undefined },
  { query: null, key: null, out: null },
  { kind: "table", words: 1 },
];

const js = getRope({ headDim: 8, parameters: { ropeType: "default" } });
const rope = await js.to("webgpu", { device });
const step = rope.at([0]);
afterAll(() => rope.dispose());
const query = { buffer: bufferOf(device, noise(8)), shape: [1, 1, 8] };
const positions = { buffer: bufferOf(device, Uint32Array.of(1)), shape: [1] };
const memory = { buffer: bufferOf(device, noise(8)), shape: [1, 1, 8] };
const scales = bufferOf(device, noise(1));
const pass = (): GPUCommandEncoder => device.createCommandEncoder();
const good = { positions: [0], query };
const host = { positions: [0], query: new Float32Array(8) };
const kernel: Kernel = {
  headDim: 8,
  rotaryDim: 8,
  rotaryOffset: 0,
  blocks: 1,
  run: 4,
  heads: 1,
  tensors: [{ name: "query", input: { memory: 0, dtype: "float32" } }],
  memories: [{ writable: true, words: 4, atomic: false }],
  rows: { kind: "gathered" },
  nativeFloat16: false,
  workgroupSize: 64,
};

type Call = readonly [(...given: never[]) => unknown, readonly unknown[]];

/** Each function with valid arguments. The test replaces each argument by each piece of junk, and leaves it out. */
const calls: Readonly<Record<string, Call>> = {
  probe: [probe, [{ device }]],
  "probe, device": [(given: never) => probe({ device: given }), [device]],
  "probe, gpu": [(gpu: never) => probe({ gpu }), [{ requestAdapter: async () => null }]],
  'rope.to("webgpu")': [(options: never) => js.to("webgpu", options), [{ device }]],
  'rope.to("webgpu"), device': [(given: never) => js.to("webgpu", { device: given }), [device]],
  'rope.to("webgpu"), tables': [(tables: never) => js.to("webgpu", { device, tables }), ["rows"]],
  'rope.to("webgpu"), signal': [(signal: never) => js.to("webgpu", { device, signal }), [AbortSignal.timeout(60_000)]],
  "rope.encode": [rope.encode.bind(rope), [pass(), good]],
  "rope.encode, target": [(target: never) => rope.encode(target, good), [pass()]],
  "rope.encode, positions": [(given: never) => rope.encode(pass(), { positions: given, query }), [[0]]],
  "rope.encode, positions in a buffer": [
    (given: never) => rope.encode(pass(), { positions: given, length: 8, query }),
    [positions],
  ],
  "rope.encode, length": [(length: never) => rope.encode(pass(), { positions, length, query }), [8]],
  "rope.encode, operation": [(operation: never) => rope.encode(pass(), { ...good, operation }), ["invert"]],
  "rope.encode, query": [(given: never) => rope.encode(pass(), { positions: [0], query: given }), [query]],
  "rope.encode, buffer": [
    (buffer: never) => rope.encode(pass(), { positions: [0], query: { ...query, buffer } }),
    [query.buffer],
  ],
  "rope.encode, out": [(out: never) => rope.encode(pass(), { ...good, out }), [{ query }]],
  "rope.encode, out.query": [(given: never) => rope.encode(pass(), { ...good, out: { query: given } }), [query]],
  "rope.encode, value": [
    (value: never) => rope.encode(pass(), { positions: [0], value, out: { value: memory } }),
    [query],
  ],
  "rope.encode, norm": [(norm: never) => rope.encode(pass(), { ...good, norm }), [{ query: { epsilon: 0 } }]],
  "rope.encode, a norm": [(given: never) => rope.encode(pass(), { ...good, norm: { query: given } }), [{ epsilon: 0 }]],
  "rope.encode, epsilon": [(epsilon: never) => rope.encode(pass(), { ...good, norm: { query: { epsilon } } }), [0]],
  "rope.encode, weight": [
    (weight: never) => rope.encode(pass(), { ...good, norm: { query: { epsilon: 0, weight } } }),
    [{ buffer: memory.buffer, offset: 0, dtype: "bfloat16" }],
  ],
  "rope.encode, queryScale": [(queryScale: never) => rope.encode(pass(), { ...good, queryScale }), [false]],
  "rope.encode, cache": [
    (cache: never) => rope.encode(pass(), { ...good, out: { query: { cache, slots: [0] } } }),
    [{ ...memory, dtype: "int8", scales: { buffer: scales, shape: [1, 1, 1] } }],
  ],
  "rope.encode, scales": [
    (given: never) => rope.encode(pass(), { ...good, out: { query: { ...memory, dtype: "int8", scales: given } } }),
    [{ buffer: scales, shape: [1, 1, 1] }],
  ],
  "rope.encode, scale": [
    (scale: never) => rope.encode(pass(), { ...good, out: { query: { ...memory, dtype: "float8_e4m3", scale } } }),
    [1],
  ],
  "rope.encode, slots": [
    (slots: never) => rope.encode(pass(), { ...good, out: { query: { cache: memory, slots } } }),
    [[0]],
  ],
  "rope.encode, slots in a buffer": [
    (buffer: never) => rope.encode(pass(), { ...good, out: { query: { cache: memory, slots: { buffer } } } }),
    [positions.buffer],
  ],
  "rope.encode, groups": [
    (groups: never) => rope.encode(pass(), { ...good, query: { ...query, strides: [8, 8, 1], groups } }),
    [{ heads: 1, stride: 8 }],
  ],
  "rope.prepare": [rope.prepare.bind(rope), [good, {}]],
  "rope.prepare, signal": [(signal: never) => rope.prepare(good, { signal }), [AbortSignal.timeout(60_000)]],
  "rope.at": [(given: never, options: never) => rope.at(given, options).dispose(), [[0], {}]],
  "step.encode": [step.encode.bind(step), [pass(), { query }]],
  "step.encode, operation": [(operation: never) => step.encode(pass(), { query, operation }), ["invert"]],
  "rope.apply": [rope.apply.bind(rope), [host, {}]],
  "rope.apply, query": [(given: never) => rope.apply({ positions: [0], query: given }), [new Float32Array(8)]],
  "rope.apply, signal": [(signal: never) => rope.apply(host, { signal }), [AbortSignal.timeout(60_000)]],
  "rope.invert": [rope.invert.bind(rope), [host, {}]],
  "rope.adjoint": [rope.adjoint.bind(rope), [host, {}]],
  "rope.shift": [rope.shift.bind(rope), [{ keys: new Float32Array(8), from: [0], to: [1] }, {}]],
  kernelText: [kernels.kernelText, [kernel]],
  callFields: [kernels.callFields, [kernel]],
  unitsPerHead: [kernels.unitsPerHead, [kernel]],
  ...Object.fromEntries(
    Object.entries(kernel).map(([key, value]): [string, Call] => [
      `kernelText, ${key}`,
      [(given: never) => kernels.kernelText({ ...kernel, [key]: given }), [value]],
    ]),
  ),
};

test("every function that the package exports is here", () => {
  const functions = Object.entries({ ...webgpu, ...kernels }).filter(([, value]) => typeof value === "function");
  expect(functions.map(([name]) => name).filter((name) => calls[name] === undefined)).toEqual([]);
});

describe.each(Object.entries(calls))("%s", (_, [call, right]) => {
  const outcome = async (given: readonly unknown[]): Promise<string> => {
    try {
      await call(...(given as never[]));
      return "accepted";
    } catch (error) {
      return RopeError.is(error) ? "RopeError" : `${String(error)} for ${given.map((value) => typeof value).join()}`;
    }
  };

  test("answers any arguments with a RopeError or a result", async () => {
    expect(await outcome(right)).toBe("accepted");
    const outcomes = new Set<string>();
    for (let length = 0; length < right.length; length++) outcomes.add(await outcome(right.slice(0, length)));
    for (let i = 0; i < right.length; i++) {
      for (const piece of junk) outcomes.add(await outcome(right.with(i, piece)));
    }
    expect([...outcomes].filter((text) => text !== "accepted" && text !== "RopeError")).toEqual([]);
    expect([...outcomes]).toContain("RopeError");
  });
});

test.each<[string, Partial<Kernel>]>([
  ["blocks that do not divide the pairs", { blocks: 3 }],
  ["rotated elements outside the head", { rotaryOffset: 2 }],
  ["a tensor without a memory", { memories: [] }],
  ["no tensor", { tensors: [] }],
])("kernelText refuses %s", (_, wrong) => {
  expect(() => kernels.kernelText({ ...kernel, ...wrong })).toThrow(
    expect.objectContaining({ code: "ROPE_INVALID_PARAMETERS" }),
  );
});

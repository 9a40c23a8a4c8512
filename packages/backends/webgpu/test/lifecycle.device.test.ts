/** The lifetime of buffers, tables and pipelines; and errors. */

import { createRegistry, getRopeUntyped, RopeError } from "@ropewalk/core";
import type { RopeProvider } from "@ropewalk/core";
import { probe, webgpuBackend } from "@ropewalk/webgpu-backend";
import type { GpuRope, GpuTensor } from "@ropewalk/webgpu-backend";
import { afterAll, expect, test } from "vitest";
import { gpuRope } from "./body.ts";
import { gpuOn, newDevice } from "./node-device.ts";
import { bufferOf, bytesOf, compare, noise, rotatedOnDevice } from "./on-device.ts";

const device = await newDevice();
afterAll(() => device.destroy());

const request = { headDim: 64, pairing: "half" } as const;

interface Counts {
  created: number;
  live: Set<object>;
  bytes: number;
  compiled: number;
  compiledAsync: number;
}

/** The device, counting what is asked of it. */
function counting(real: GPUDevice): { readonly device: GPUDevice; readonly counts: Counts } {
  const counts: Counts = { created: 0, live: new Set(), bytes: 0, compiled: 0, compiledAsync: 0 };
  const proxy = new Proxy(real, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (name === "createBuffer") {
        return (descriptor: GPUBufferDescriptor): GPUBuffer => {
          const buffer = target.createBuffer(descriptor);
          counts.created++;
          counts.live.add(buffer);
          counts.bytes += buffer.size;
          const destroy = buffer.destroy.bind(buffer);
          buffer.destroy = () => {
            counts.live.delete(buffer);
            return destroy();
          };
          return buffer;
        };
      }
      if (name === "createComputePipeline" || name === "createComputePipelineAsync") {
        return (descriptor: GPUComputePipelineDescriptor) => {
          counts[name === "createComputePipeline" ? "compiled" : "compiledAsync"]++;
          return target[name](descriptor);
        };
      }
      return typeof value === "function" ? (value as () => unknown).bind(target) : value;
    },
  });
  return { device: proxy, counts };
}

/** Not bit for bit: a device may fuse multiplication and addition. */
const near = (what: string, got: Float32Array<ArrayBuffer>, expected: Float32Array<ArrayBuffer>): void =>
  compare(what, { key: { data: got, shape: [got.length] } }, { key: { data: expected, shape: [expected.length] } });

function tensor(shape: readonly number[], on: GPUDevice = device): GpuTensor {
  return { buffer: bufferOf(on, noise(shape.reduce((a, b) => a * b, 1))), shape };
}

async function codeOf(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    return RopeError.is(error) ? error.code : String(error);
  }
  return "no error";
}

test("10 000 ropes leave no buffers after they are disposed", async () => {
  const { device: counted, counts } = counting(device);
  const query = tensor([1, 2, 64]);
  const positions = bufferOf(device, Uint32Array.from([5]));
  let afterFirst = 0;
  for (let i = 0; i < 10_000; i++) {
    using gpu = await gpuRope(counted, request);
    const encoder = device.createCommandEncoder();
    gpu.encode(encoder, { positions: [i], query });
    using step = gpu.at([i]);
    step.encode(encoder, { query });
    if (i % 10 === 0) gpu.encode(encoder, { positions: { buffer: positions, shape: [1] }, length: 10, query });
    device.queue.submit([encoder.finish()]);
    if (i === 999) {
      await device.queue.onSubmittedWorkDone();
      afterFirst = process.memoryUsage().rss;
    }
    if (i % 500 === 0) await device.queue.onSubmittedWorkDone();
  }
  await device.queue.onSubmittedWorkDone();
  expect(counts.created).toBeGreaterThan(20_000);
  expect(counts.live.size).toBe(0);
  // 9 000 ropes that each kept their 33 kB would be 300 MB; what the driver's allocator holds back levels off near 200.
  expect(process.memoryUsage().rss - afterFirst).toBeLessThan(250e6);
});

test("a long loop on one rope releases its buffers", async () => {
  const { device: counted, counts } = counting(device);
  using gpu = await gpuRope(counted, request);
  const query = tensor([1, 2, 64]);
  for (let i = 0; i < 1000; i++) {
    const encoder = device.createCommandEncoder();
    gpu.encode(encoder, { positions: [i], query });
    device.queue.submit([encoder.finish()]);
  }
  // 512 bytes of cos and sin and 256 of numbers a call.
  expect(counts.bytes).toBeLessThan(1000 * 1024);
  await gpu.check();
});

test("ropes of one device share pipelines and tables; the last one frees the table", async () => {
  const { device: counted, counts } = counting(device);
  const query = tensor([1, 2, 64]);
  const buffer = bufferOf(device, Uint32Array.from([5]));
  const run = (gpu: GpuRope): void => {
    const encoder = device.createCommandEncoder();
    gpu.encode(encoder, { positions: { buffer, shape: [1] }, length: 128, query });
    device.queue.submit([encoder.finish()]);
  };
  const [first, second] = [await gpuRope(counted, request), await gpuRope(counted, request)];
  run(first);
  const alone = counts.created;
  run(second);
  // Its numbers and its faults, but no table.
  expect(counts.created - alone).toBe(2);
  expect(counts.compiled).toBe(1);
  first.dispose();
  first.dispose();
  run(second);
  await second.check();
  second.dispose();
  expect(counts.live.size).toBe(0);
});

test("a rope whose frequencies depend on the length keeps a few tables only", async () => {
  const { stateOf } = (await import("../dist/device.js")) as {
    stateOf: (of: GPUDevice) => { readonly tables: ReadonlyMap<string, unknown> };
  };
  const growing: RopeProvider = {
    specificationVersion: 1,
    source: "growing@1.0.0",
    parameters: {},
    capabilities: { dependsOnLength: true },
    frequencies: ({ rotaryDim, length }) => ({
      invFreq: Array.from({ length: rotaryDim / 2 }, (_, i) => 1 / (i + length!)),
    }),
  };
  const registry = createRegistry();
  registry.register("growing", growing);
  registry.registerBackend(webgpuBackend);
  const rope = getRopeUntyped({ headDim: 64, parameters: { ropeType: "growing" } }, { registry });
  const gpu = await rope.to("webgpu", { device });
  const before = stateOf(device).tables.size;
  const buffer = bufferOf(device, Uint32Array.from([5]));
  for (let length = 10; length < 40; length++) {
    const query = tensor([1, 1, 64]);
    const encoder = device.createCommandEncoder();
    gpu.encode(encoder, { positions: { buffer, shape: [1] }, length, query });
    device.queue.submit([encoder.finish()]);
    const expected = noise(64);
    rope.apply({ positions: [5], length, query: expected });
    near(`length ${length}`, new Float32Array(await bytesOf(device, query.buffer as unknown as GPUBuffer)), expected);
  }
  expect(stateOf(device).tables.size - before).toBe(4);
  gpu.dispose();
  expect(stateOf(device).tables.size).toBe(before);
});

test("large uploads are freed with the rope", async () => {
  const { device: counted, counts } = counting(device);
  const gpu = await gpuRope(counted, request);
  const encoder = device.createCommandEncoder();
  const query = tensor([100, 2, 64]);
  for (const start of [0, 500, 1000]) gpu.encode(encoder, { positions: { start, count: 100 }, query });
  device.queue.submit([encoder.finish()]);
  gpu.dispose();
  expect(counts.created).toBeGreaterThan(3);
  expect(counts.live.size).toBe(0);
});

test("prepare compiles ahead; encode finds it", async () => {
  const { device: counted, counts } = counting(device);
  using gpu = await gpuRope(counted, { headDim: 48, pairing: "adjacent" });
  const args = { positions: [1], query: tensor([1, 2, 48]) };
  await gpu.prepare(args);
  const encoder = device.createCommandEncoder();
  gpu.encode(encoder, args);
  expect(counts).toMatchObject({ compiled: 0, compiledAsync: 1 });
  await gpu.check();
});

test("the caller's device outlives the rope; one of the rope's own does not", async () => {
  const given = await gpuRope(device, request);
  given.dispose();
  expect(
    await Promise.race([device.lost.then(() => "lost"), new Promise((resolve) => setTimeout(resolve, 20, "alive"))]),
  ).toBe("alive");

  const { rope } = given;
  const own = await rope.to("webgpu", { gpu: gpuOn("swiftShader") });
  const query = noise(2 * 64);
  const expected = query.slice();
  rope.apply({ positions: [3], query: expected });
  await own.apply({ positions: [3], query });
  near("own device", query, expected);
  own.dispose();
  await own.device.lost;
});

test("a disposed rope, step or lost device is an error, not a crash", async () => {
  const mortal = await newDevice();
  const query = tensor([1, 2, 64], mortal);
  const gpu = await gpuRope(mortal, request);
  const step = gpu.at([1]);
  const encoder = mortal.createCommandEncoder();
  step.dispose();
  step.dispose();
  expect(await codeOf(() => step.encode(encoder, { query }))).toBe("ROPE_BACKEND_UNAVAILABLE");
  const data = noise(128);
  const before = data.slice();
  const pending = codeOf(() => gpu.apply({ positions: [7], query: data }));
  mortal.destroy();
  await mortal.lost;
  // It may have finished before.
  if ((await pending) !== "no error") {
    expect(await pending).toBe("ROPE_BACKEND_UNAVAILABLE");
    expect(data).toEqual(before);
  }
  for (const call of [
    () => gpu.encode(encoder, { positions: [1], query }),
    () => gpu.apply({ positions: [1], query: data }),
    () => gpu.check(),
    () => gpu.at([1]),
  ]) {
    expect(await codeOf(call)).toBe("ROPE_BACKEND_UNAVAILABLE");
  }
  gpu.dispose();
  expect(await codeOf(() => gpu.encode(encoder, { positions: [1], query }))).toBe("ROPE_BACKEND_UNAVAILABLE");
});

test("what the device refuses comes out of check, once", async () => {
  using gpu = await gpuRope(device, request);
  const other = await newDevice();
  const complaints: string[] = [];
  device.onuncapturederror = (event) => complaints.push(event.error.message);
  const encoder = device.createCommandEncoder();
  gpu.encode(encoder, { positions: [1], query: tensor([1, 2, 64], other) });
  expect(await codeOf(() => gpu.check())).toBe("ROPE_BACKEND_UNAVAILABLE");
  expect(await codeOf(() => gpu.check())).toBe("no error");
  expect(complaints).toEqual([]);
  device.onuncapturederror = null;
  other.destroy();
});

test("out of memory is an error of the call", async () => {
  class GPUOutOfMemoryError {
    readonly message = "no room";
  }
  const full = new Proxy(device, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (name === "popErrorScope") return async () => (await target.popErrorScope()) ?? new GPUOutOfMemoryError();
      return typeof value === "function" ? (value as () => unknown).bind(target) : value;
    },
  });
  using gpu = await gpuRope(full, request);
  const query = noise(128);
  const before = query.slice();
  await expect(gpu.apply({ positions: [9], query })).rejects.toMatchObject({
    code: "ROPE_BACKEND_UNAVAILABLE",
    facts: { reason: "out-of-memory" },
  });
  expect(query).toEqual(before);
});

test("a signal stops waiting and nothing is written", async () => {
  using gpu = await gpuRope(device, { headDim: 32, rotaryDim: 12, pairing: "half" });
  const gone = AbortSignal.abort(new Error("not now"));
  const query = noise(64);
  const before = query.slice();
  await expect(gpu.apply({ positions: [5], query }, { signal: gone })).rejects.toThrow("not now");
  await expect(gpu.rope.to("webgpu", { device, signal: gone })).rejects.toThrow("not now");
  const controller = new AbortController();
  const preparing = gpu.prepare({ positions: [5], query: tensor([1, 2, 32]) }, { signal: controller.signal });
  const rotating = gpu.apply({ positions: [5], query }, { signal: controller.signal });
  controller.abort(new Error("too late"));
  await expect(preparing).rejects.toThrow("too late");
  await expect(rotating).rejects.toThrow("too late");
  expect(query).toEqual(before);
});

test("arguments that do not fit are refused before anything is recorded", async () => {
  using gpu = await gpuRope(device, { ...request, maxPosition: 100 });
  const query = tensor([2, 2, 64]);
  const plain = device.createBuffer({ size: 1024, usage: 0x08 });
  const buffer = bufferOf(device, Uint32Array.from([1, 2]));
  const never = new Proxy({} as GPUComputePassEncoder, {
    get: (_, name) => {
      throw new Error(`recorded ${String(name)}`);
    },
    // A pass by its looks.
    has: (_, name) => name === "setPipeline",
  });
  const cases: readonly (readonly [string, Parameters<GpuRope["encode"]>[1]])[] = [
    ["ROPE_POSITION_RANGE", { positions: [0, 100], query }],
    ["ROPE_POSITION_RANGE", { positions: [0, -1], query }],
    ["ROPE_SHAPE", { positions: [0, 1, 2], query }],
    ["ROPE_SHAPE", { positions: [0, 1] }],
    ["ROPE_SHAPE", { positions: [0, 1], query: { ...query, shape: [2, 3, 64] } }],
    ["ROPE_SHAPE", { positions: [0, 1], query: { ...query, offset: 1 } }],
    ["ROPE_SHAPE", { positions: [0, 1], query: { buffer: plain, shape: [2, 2, 64] } }],
    ["ROPE_SHAPE", { positions: [0, 1], query: noise(256) as unknown as GpuTensor }],
    ["ROPE_SHAPE", { positions: [0, 1], query: { ...query, dtype: "float64" as "float32" } }],
    ["ROPE_SHAPE", { positions: [0, 1], query, out: { key: query } }],
    ["ROPE_SHAPE", { positions: [0, 1], query, key: query }],
    ["ROPE_INVALID_PARAMETERS", { positions: [0, 1], query, values: query } as never],
    ["ROPE_INVALID_PARAMETERS", { positions: [0, 1], query: { ...query, stride: [1] } } as never],
    ["ROPE_INVALID_PARAMETERS", { positions: [0, 1], query, operation: "backwards" as "apply" }],
    ["ROPE_INVALID_PARAMETERS", { positions: { buffer, shape: [2] }, query }],
    ["ROPE_SHAPE", { positions: { buffer, shape: [3] }, length: 9, query }],
    ["ROPE_SHAPE", { positions: { buffer, shape: [2, 1, 1] }, length: 9, query }],
    ["ROPE_SHAPE", { positions: { buffer: query.buffer, shape: [2] }, length: 9, query }],
    ["ROPE_SHAPE", { positions: { buffer, shape: [1] }, length: 9, query }],
  ];
  for (const [code, args] of cases) {
    expect(await codeOf(() => gpu.encode(never, args)), JSON.stringify(Object.keys(args))).toBe(code);
  }
  for (const target of [undefined, null, 5, {}]) {
    expect(await codeOf(() => gpu.encode(target as never, { positions: [0, 1], query }))).toBe(
      "ROPE_INVALID_PARAMETERS",
    );
  }
  expect(await codeOf(() => gpu.apply({ positions: [1], query: new Float64Array(64) }))).toBe("ROPE_UNSUPPORTED");
  expect(await codeOf(() => gpu.rope.to("webgpu", { devise: device } as never))).toBe("ROPE_INVALID_PARAMETERS");
  expect(await codeOf(() => gpu.rope.to("webgpu", { device: {} as never }))).toBe("ROPE_INVALID_PARAMETERS");
  expect(gpu.encode(never, { positions: [], query: { buffer: query.buffer, shape: [0, 2, 64] } })).toEqual({
    dispatches: 0,
    bytes: 0,
  });
});

test("the error of a table that does not fit names the option tables", async () => {
  using gpu = await gpuRope(device, { headDim: 256, pairing: "half" });
  const buffer = bufferOf(device, Uint32Array.from([1]));
  const encoder = device.createCommandEncoder();
  const args = { positions: { buffer, shape: [1] }, length: 2 ** 22, query: tensor([1, 1, 256]) };
  expect(() => gpu.encode(encoder, args)).toThrow(/tables: "factored"/);
  using factored = await gpu.rope.to("webgpu", { device, tables: "factored" });
  expect(factored.encode(encoder, args).dispatches).toBe(1);
});

test("read once and written once: the bytes of a call", async () => {
  using gpu = await gpuRope(device, { headDim: 128, rotaryDim: 64, pairing: "half" });
  const query = tensor([4, 32, 128]);
  const key = tensor([4, 8, 128]);
  const cache: GpuTensor = {
    buffer: device.createBuffer({ size: 4 * 8 * 128 * 2, usage: 0x80 }),
    shape: [4, 8, 128],
    dtype: "float16",
  };
  const encoder = device.createCommandEncoder();
  const positions = [0, 1, 2, 3];
  // In place only the rotated half of each head moves; to a cache the whole head is read, and written as 16 bits.
  expect(gpu.encode(encoder, { positions, query, key })).toEqual({ dispatches: 1, bytes: 4 * 40 * 64 * 8 });
  expect(gpu.encode(encoder, { positions, query, key, out: { key: cache } })).toEqual({
    dispatches: 1,
    bytes: 4 * 32 * 64 * 8 + 4 * 8 * 128 * 6,
  });
});

test("probe reports the platform, and missing WebGPU is no error", async () => {
  expect(await probe()).toMatchObject({ available: false, reason: expect.stringContaining("navigator.gpu") });
  expect(await probe({ gpu: { requestAdapter: async () => null } })).toMatchObject({
    available: false,
    reason: expect.stringContaining("adapter"),
  });
  expect(await probe({ gpu: { requestAdapter: () => Promise.reject(new Error("driver gone")) } })).toMatchObject({
    available: false,
    reason: "driver gone",
  });
  expect(await probe({ gpu: gpuOn("swiftShader") })).toMatchObject({
    available: true,
    reason: "",
    float16: "integer",
    adapter: expect.stringMatching(/swiftshader/i),
  });
  expect(await probe({ device })).toMatchObject({ available: true, float16: "integer" });
  expect((await probe({ gpu: gpuOn("lavapipe") })).float16).toBe("native");
  const gpu = await gpuRope(device, request);
  await expect(gpu.rope.to("webgpu", {})).rejects.toMatchObject({ code: "ROPE_BACKEND_UNAVAILABLE" });
});

test("typed arrays go to the device and back with their gaps untouched", async () => {
  using gpu = await gpuRope(device, { headDim: 8, pairing: "adjacent" });
  const data = noise(100);
  const before = data.slice();
  const expected = data.slice();
  const view = { shape: [3, 2, 8], strides: [30, 11, 1], offset: 3 };
  gpu.rope.apply({ positions: [1, 2, 3], key: { data: expected, ...view } });
  const { key } = await gpu.apply({ positions: [1, 2, 3], key: { data, ...view } });
  expect((key as { data: Float32Array }).data).toBe(data);
  near("elements", data, expected);
  const untouched = (_: number, i: number): boolean => expected[i] === before[i];
  expect(data.filter(untouched)).toEqual(before.filter(untouched));
  expect(await bytesOf(device, bufferOf(device, data))).toEqual(data.buffer);
});

test("ropes of one spec and different providers do not share a table", async () => {
  const registry = createRegistry();
  registry.registerBackend(webgpuBackend);
  const provider = (frequency: number): RopeProvider => ({
    specificationVersion: 1,
    source: `frequency-${frequency}@1.0.0`,
    parameters: {},
    frequencies: ({ rotaryDim }) => ({ invFreq: new Array<number>(rotaryDim / 2).fill(frequency) }),
  });
  const positions = bufferOf(device, Uint32Array.of(1));
  for (const tables of ["rows", "factored"] as const) {
    const turned: number[] = [];
    const ropes: GpuRope[] = [];
    for (const frequency of [1, 0.5]) {
      const same = { headDim: 2, parameters: { ropeType: "same" } } as const;
      const rope = getRopeUntyped(same, { registry, provider: provider(frequency) });
      const gpu = await rope.to("webgpu", { device, tables });
      ropes.push(gpu);
      const query = { data: Float32Array.of(1, 0), shape: [1, 1, 2] };
      const result = await rotatedOnDevice(
        device,
        gpu,
        { positions: { buffer: positions, shape: [1] }, length: 2 },
        { query },
      );
      turned.push(result.query!.data[0]!);
    }
    for (const gpu of ropes) gpu.dispose();
    expect(turned[0]).toBeCloseTo(Math.cos(1), 6);
    expect(turned[1]).toBeCloseTo(Math.cos(0.5), 6);
  }
});

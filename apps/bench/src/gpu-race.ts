/**
 * Rotation on one WebGPU device, in Node or in a page: what each contestant asks of the device, whether its numbers are
 * right, and, on a real graphics card only, how long it takes next to copying the same bytes.
 */

import { getRope } from "@ropewalk/core";
import "@ropewalk/default";
import "@ropewalk/webgpu-backend";
import { check, createWorkload } from "./workload.ts";
import type { Check, Pairing, QueryAndKey, Workload } from "./workload.ts";

/** Query and key on the device, `[tokens, heads, headDim]`, float32. */
export interface GpuWorkload extends Workload {
  readonly query: GPUBuffer;
  readonly key: GPUBuffer;
}

/** A way to rotate them. */
export interface GpuContestant {
  readonly name: string;
  prepare(device: GPUDevice, workload: GpuWorkload): Promise<{
    /** One rotation of query and key, given to the device, not waited for. */
    run(): void | Promise<void>;
    /** Where the result lies. */
    readonly output: { readonly query: GPUBuffer; readonly key: GPUBuffer };
    /** Ends what was made. */
    dispose(): void | Promise<void>;
  }>;
}

/** One contestant on one workload. */
export interface GpuRow {
  readonly name: string;
  readonly tokens: number;
  readonly pairing: Pairing;
  /** Of one rotation, counted at the device. */
  readonly dispatches: number;
  /** Bytes of query and key elements that have to be read and written: the least that any rotation moves. */
  readonly bytes: number;
  /** Absent for copying. */
  readonly check: Check | undefined;
  /** Of one rotation; absent on a software adapter. */
  readonly milliseconds: number | undefined;
}

/** What a run found. */
export interface GpuReport {
  readonly adapter: string;
  /** Whether the adapter computes on the CPU: times of it would say nothing about a graphics card. */
  readonly software: boolean;
  readonly rows: readonly GpuRow[];
}

export const usage = { mapRead: 1, copySource: 4, copyTarget: 8, storage: 0x80 } as const;

/** ropewalk, in place, with the step's tables uploaded before, as a model's layers use it. */
export const ropewalk: GpuContestant = {
  name: "ropewalk webgpu, step",
  async prepare(device, { tokens, headDim, base, pairing, start, queryHeads, keyHeads, query, key }) {
    const gpu = await getRope({ headDim, base, pairing, parameters: { ropeType: "default" } }).to("webgpu", { device });
    const step = gpu.at({ start, count: tokens });
    const tensors = { query: { buffer: query, shape: [tokens, queryHeads, headDim] }, key: { buffer: key, shape: [tokens, keyHeads, headDim] } };
    return {
      output: { query, key },
      run() {
        const encoder = device.createCommandEncoder();
        step.encode(encoder, tensors);
        device.queue.submit([encoder.finish()]);
      },
      dispose: () => gpu.dispose(),
    };
  },
};

/** The limit: the same bytes read and written once. */
export const copying: GpuContestant = {
  name: "copyBufferToBuffer",
  async prepare(device, { query, key }) {
    const spare = [query, key].map(({ size }) => device.createBuffer({ size, usage: usage.copyTarget }));
    return {
      output: { query, key },
      run() {
        const encoder = device.createCommandEncoder();
        [query, key].forEach((buffer, i) => encoder.copyBufferToBuffer(buffer, 0, spare[i]!, 0, buffer.size));
        device.queue.submit([encoder.finish()]);
      },
      dispose: () => spare.forEach((buffer) => buffer.destroy()),
    };
  },
};

/** Runs every contestant on every size; all share the device and the buffers. */
export async function raceOnDevice(device: GPUDevice, info: GPUAdapterInfo, sizes: readonly number[], peers: readonly GpuContestant[]): Promise<GpuReport> {
  const adapter = [info.vendor, info.architecture, info.description].filter((part) => part !== "").join(" ");
  const software = info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|software/i.test(adapter);
  const counter = countDispatches(device);
  const rows: GpuRow[] = [];
  for (const pairing of ["half", "adjacent"] as const) {
    for (const tokens of sizes) {
      const workload = createWorkload({ tokens, pairing, dtype: "float32" });
      const [query, key] = [workload.pristine.query, workload.pristine.key].map((data) => device.createBuffer({ size: data.byteLength, usage: usage.storage | usage.copySource | usage.copyTarget })) as [GPUBuffer, GPUBuffer];
      const bytes = 2 * (query.size + key.size);
      for (const contestant of [ropewalk, ...peers, copying]) {
        device.queue.writeBuffer(query, 0, workload.pristine.query as Float32Array<ArrayBuffer>);
        device.queue.writeBuffer(key, 0, workload.pristine.key as Float32Array<ArrayBuffer>);
        const { run, output, dispose } = await contestant.prepare(device, { ...workload, query, key });
        counter.dispatches = 0;
        await run();
        await device.queue.onSubmittedWorkDone();
        const { dispatches } = counter;
        const rotated = contestant === copying ? undefined : check(workload, await read(device, output), "float32");
        rows.push({ name: contestant.name, tokens, pairing, dispatches, bytes, check: rotated, milliseconds: software ? undefined : await time(device, run) });
        await dispose();
      }
      query.destroy();
      key.destroy();
    }
  }
  counter.stop();
  return { adapter, software, rows };
}

/** Counts at the device, so that nobody has to be believed. */
function countDispatches(device: GPUDevice): { dispatches: number; stop(): void } {
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  const prototype = Object.getPrototypeOf(pass) as GPUComputePassEncoder;
  pass.end();
  encoder.finish();
  const { dispatchWorkgroups, dispatchWorkgroupsIndirect } = prototype;
  const counter = { dispatches: 0, stop: () => void Object.assign(prototype, { dispatchWorkgroups, dispatchWorkgroupsIndirect }) };
  prototype.dispatchWorkgroups = function (x, y, z) {
    counter.dispatches++;
    return dispatchWorkgroups.call(this, x, y ?? 1, z ?? 1);
  };
  prototype.dispatchWorkgroupsIndirect = function (buffer, offset) {
    counter.dispatches++;
    return dispatchWorkgroupsIndirect.call(this, buffer, offset);
  };
  return counter;
}

/** Milliseconds of one run: many given to the device at once, the best of several rounds. Nothing is read back. */
async function time(device: GPUDevice, run: () => void | Promise<void>): Promise<number> {
  const round = async (count: number): Promise<number> => {
    await device.queue.onSubmittedWorkDone();
    const start = performance.now();
    for (let i = 0; i < count; i++) await run();
    await device.queue.onSubmittedWorkDone();
    return performance.now() - start;
  };
  let count = 8;
  while ((await round(count)) < 50 && count < 1 << 14) count *= 2;
  const rounds: number[] = [];
  for (let i = 0; i < 7; i++) rounds.push((await round(count)) / count);
  return Math.min(...rounds);
}

async function read(device: GPUDevice, { query, key }: { readonly query: GPUBuffer; readonly key: GPUBuffer }): Promise<QueryAndKey> {
  const one = async (buffer: GPUBuffer): Promise<Float32Array> => {
    const staging = device.createBuffer({ size: buffer.size, usage: usage.copyTarget | usage.mapRead });
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, 0, staging, 0, buffer.size);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(1);
    const values = new Float32Array(staging.getMappedRange().slice(0));
    staging.destroy();
    return values;
  };
  return { query: await one(query), key: await one(key) };
}

/**
 * Rotation on one WebGPU device, in Node or in a page: the work that each contestant gives the device, a check of its
 * numbers and, on a real graphics card only, its time compared with copying the same bytes.
 */

import { getRope } from "@ropewalk/core";
import "@ropewalk/default";
import "@ropewalk/webgpu-backend";
import type { GpuRope, GpuRotateArguments } from "@ropewalk/webgpu-backend";
import { median } from "./median.ts";
import { check, createInput } from "./workload.ts";
import type { Check, Elements, GpuElementType, Input, Pairing, QueryAndKey } from "./workload.ts";

/** Query and key on the device, `[tokens, heads, headDim]`. */
export interface GpuWorkload extends Input {
  readonly query: GPUBuffer;
  readonly key: GPUBuffer;
}

/** A contestant that is ready to run. */
export interface GpuPrepared {
  /** One rotation of query and key: recorded by the race, or submitted by the contestant without waiting. */
  readonly step: { readonly record: (encoder: GPUCommandEncoder) => void } | { readonly run: () => Promise<void> };
  /** The buffers of the result. */
  readonly output: { readonly query: GPUBuffer; readonly key: GPUBuffer };
  /** Releases the contestant's resources. */
  dispose(): void | Promise<void>;
}

/** A way to rotate query and key. */
export interface GpuContestant {
  readonly name: string;
  /** Absent: all. */
  readonly dtypes?: readonly GpuElementType[];
  /** True if the result is a copy of the input, not its rotation. */
  readonly isCopy?: boolean;
  prepare(device: GPUDevice, workload: GpuWorkload): Promise<GpuPrepared>;
}

/** One contestant on one workload. */
export interface GpuRow {
  readonly name: string;
  readonly dtype: GpuElementType;
  readonly tokens: number;
  readonly pairing: Pairing;
  /** The dispatches of one rotation, counted at the device. */
  readonly dispatches: number;
  /** Bytes of query and key elements that are read and written: the smallest number for any rotation. */
  readonly bytes: number;
  /** Absent for copying. */
  readonly check: Check | undefined;
  /**
   * The time of one rotation when many are submitted together, by timestamps of the device. Absent without timestamps.
   */
  readonly device: Timing | undefined;
  /**
   * The time of one rotation that is recorded and submitted alone, by the clock of the host. Absent on a software
   * adapter.
   */
  readonly host: Timing | undefined;
}

/** Medians of rounds in which every contestant ran. */
export interface Timing {
  readonly milliseconds: number;
  /** The time of each limit / the time of this contestant, in the same round. */
  readonly ofLimit: Readonly<Record<string, number>>;
}

/** The results of a run. */
export interface GpuReport {
  readonly adapter: string;
  /** Whether the adapter computes on the CPU. Its times would say nothing about a graphics card. */
  readonly software: boolean;
  /** The features of the device, among those that matter here. */
  readonly features: readonly string[];
  readonly rows: readonly GpuRow[];
}

/** The workloads of a race. */
export interface GpuPlan {
  readonly tokens: readonly number[];
  readonly dtypes: readonly GpuElementType[];
  readonly pairings: readonly Pairing[];
}

/** The features to request, if the adapter has them. */
export const wantedFeatures: readonly GPUFeatureName[] = ["shader-f16", "timestamp-query"];

export const usage = { mapRead: 1, copySource: 4, copyTarget: 8, storage: 0x80, queryResolve: 0x200 } as const;

type Setting = Parameters<GpuContestant["prepare"]>[1];

/** ropewalk: `record` says how positions reach the rope, `elsewhere` whether results go to other buffers. */
const ropewalk = (
  name: string,
  {
    elsewhere = false,
    tables = "rows" as const,
  }: { readonly elsewhere?: boolean; readonly tables?: "rows" | "factored" },
  recorder: (
    gpu: GpuRope,
    tensors: GpuRotateArguments,
    setting: Setting,
    device: GPUDevice,
  ) => { record(encoder: GPUCommandEncoder): void; end(): void },
): GpuContestant => ({
  name,
  async prepare(device, setting) {
    const { tokens, headDim, base, pairing, dtype, queryHeads, keyHeads, query, key } = setting;
    const gpu = await getRope({ headDim, base, pairing, parameters: { ropeType: "default" } }).to("webgpu", {
      device,
      tables,
    });
    const tensorsIn = (queries: GPUBuffer, keys: GPUBuffer) => ({
      query: { buffer: queries, shape: [tokens, queryHeads, headDim], dtype },
      key: { buffer: keys, shape: [tokens, keyHeads, headDim], dtype },
    });
    const other = elsewhere ? sparesOf(device, setting) : undefined;
    const { record, end } = recorder(
      gpu,
      { ...tensorsIn(query, key), ...(other === undefined ? {} : { out: tensorsIn(other.query, other.key) }) },
      setting,
      device,
    );
    return {
      step: { record },
      output: other ?? { query, key },
      dispose() {
        end();
        gpu.dispose();
        other?.query.destroy();
        other?.key.destroy();
      },
    };
  },
});

/** The step's tables are uploaded before, as for the layers of a model. */
const byStep: Parameters<typeof ropewalk>[2] = (gpu, tensors, { start, tokens }) => {
  const step = gpu.at({ start, count: tokens });
  return { record: (encoder) => void step.encode(encoder, tensors), end: () => step.dispose() };
};

/** Positions in a buffer on the device. */
const byBuffer: Parameters<typeof ropewalk>[2] = (gpu, tensors, { start, tokens }, device) => {
  const buffer = device.createBuffer({ size: tokens * 4, usage: usage.storage | usage.copyTarget });
  device.queue.writeBuffer(
    buffer,
    0,
    Uint32Array.from({ length: tokens }, (_, t) => start + t),
  );
  const call = { positions: { buffer, shape: [tokens] }, length: start + tokens, ...tensors };
  return { record: (encoder) => void gpu.encode(encoder, call), end: () => buffer.destroy() };
};

const contestants: readonly GpuContestant[] = [
  ropewalk("ropewalk webgpu, step", {}, byStep),
  ropewalk("ropewalk webgpu, step, to out", { elsewhere: true }, byStep),
  ropewalk("ropewalk webgpu, positions in a buffer", {}, byBuffer),
  ropewalk("ropewalk webgpu, factored table", { tables: "factored" }, byBuffer),
];

/** A limit: the same bytes read and written once, by the platform's own copy. */
const platformCopy: GpuContestant = {
  name: "copyBufferToBuffer",
  isCopy: true,
  async prepare(device, setting) {
    const output = sparesOf(device, setting);
    const pairs = (["query", "key"] as const).map((name) => [setting[name], output[name]] as const);
    return {
      step: {
        record: (encoder) => pairs.forEach(([from, to]) => encoder.copyBufferToBuffer(from, 0, to, 0, from.size)),
      },
      output,
      dispose: () => pairs.forEach(([, to]) => to.destroy()),
    };
  },
};

/**
 * Another limit, because the platform's copy may not be the fastest: a plain kernel with two loads of 16 bytes per
 * invocation, as in the rotation.
 */
const kernelCopy: GpuContestant = {
  name: "copy kernel",
  isCopy: true,
  async prepare(device, setting) {
    const output = sparesOf(device, setting);
    const sources = [setting.query, setting.key];
    const targets = [output.query, output.key];
    const code = `@group(0) @binding(0) var<storage, read> query: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> key: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> query_out: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> key_out: array<vec4<u32>>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = (group.y * groups.x + group.x) * 512u + local;
  let j = i + 256u;
  let queries = arrayLength(&query);
  if (j < queries) {
    let a = query[i];
    let b = query[j];
    query_out[i] = a;
    query_out[j] = b;
  } else {
    copy(i);
    copy(j);
  }
}
fn copy(i: u32) {
  let queries = arrayLength(&query);
  if (i < queries) { query_out[i] = query[i]; } else if (i - queries < arrayLength(&key)) { key_out[i - queries] = key[i - queries]; }
}
`;
    const pipeline = device.createComputePipeline({
      layout: "auto",
      compute: { module: device.createShaderModule({ code }), entryPoint: "main" },
    });
    const group = device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [...sources, ...targets].map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
    const all = Math.ceil((setting.query.size + setting.key.size) / 16 / 512);
    const across = Math.min(all, device.limits.maxComputeWorkgroupsPerDimension);
    return {
      step: {
        record(encoder) {
          const pass = encoder.beginComputePass();
          pass.setPipeline(pipeline);
          pass.setBindGroup(0, group);
          pass.dispatchWorkgroups(across, Math.ceil(all / across));
          pass.end();
        },
      },
      output,
      dispose: () => targets.forEach((buffer) => buffer.destroy()),
    };
  },
};

/** The limits that all contestants are compared with. */
export const limits: readonly GpuContestant[] = [platformCopy, kernelCopy];

/** Runs every contestant on every size; all share the device and the buffers. */
export async function raceOnDevice(
  device: GPUDevice,
  info: GPUAdapterInfo,
  plan: GpuPlan,
  peers: readonly GpuContestant[],
): Promise<GpuReport> {
  const adapter = [info.vendor, info.architecture, info.description].filter((part) => part !== "").join(" ");
  const software = info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|software/i.test(adapter);
  const complaints: string[] = [];
  device.addEventListener("uncapturederror", (event) =>
    complaints.push((event as GPUUncapturedErrorEvent).error.message),
  );
  const counter = countDispatches(device);
  const clock = device.features.has("timestamp-query") ? new DeviceClock(device) : undefined;
  const rows: GpuRow[] = [];
  for (const dtype of plan.dtypes) {
    for (const pairing of plan.pairings) {
      for (const tokens of plan.tokens) {
        const input = createInput({ tokens, pairing, dtype });
        const [query, key] = [input.pristine.query, input.pristine.key].map((data) =>
          device.createBuffer({ size: data.byteLength, usage: usage.storage | usage.copySource | usage.copyTarget }),
        ) as [GPUBuffer, GPUBuffer];
        const runners: Runner[] = [];
        const checks: Pick<GpuRow, "name" | "dispatches" | "check">[] = [];
        for (const contestant of [...contestants, ...peers, ...limits]) {
          if (contestant.dtypes?.includes(dtype) === false) continue;
          device.queue.writeBuffer(query, 0, input.pristine.query as Float32Array<ArrayBuffer>);
          device.queue.writeBuffer(key, 0, input.pristine.key as Float32Array<ArrayBuffer>);
          const prepared = await contestant.prepare(device, { ...input, query, key });
          const { step, output } = prepared;
          const run = "run" in step ? step.run : (): void => submit(device, step.record);
          counter.dispatches = 0;
          await run();
          await device.queue.onSubmittedWorkDone();
          const { dispatches } = counter;
          const result = await read(device, output, dtype);
          if (
            contestant.isCopy &&
            !(same(result.query, input.pristine.query) && same(result.key, input.pristine.key))
          ) {
            throw new Error(`${contestant.name} does not copy`);
          }
          if (complaints.length > 0) throw new Error(`the device complains about ${contestant.name}: ${complaints[0]}`);
          checks.push({
            name: contestant.name,
            dispatches,
            check: contestant.isCopy ? undefined : check(input, result, "float32"),
          });
          runners.push({ name: contestant.name, prepared, run });
        }
        const onHost = software
          ? new Map<string, Timing>()
          : await lapsOf(
              runners,
              ({ run }) =>
                (count) =>
                  timeOnHost(device, run, count),
            );
        const onDevice =
          software || clock === undefined
            ? new Map<string, Timing>()
            : await lapsOf(runners, ({ prepared: { step } }) =>
                "run" in step ? undefined : (count) => clock.time(step.record, count),
              );
        for (const one of checks) {
          rows.push({
            ...one,
            dtype,
            tokens,
            pairing,
            bytes: 2 * (query.size + key.size),
            device: onDevice.get(one.name),
            host: onHost.get(one.name),
          });
        }
        for (const { prepared } of runners) await prepared.dispose();
        query.destroy();
        key.destroy();
      }
    }
  }
  counter.stop();
  clock?.destroy();
  return { adapter, software, features: wantedFeatures.filter((name) => device.features.has(name)), rows };
}

/** Buffers as large as query and key. They are not filled, so a missing result is detected. */
function sparesOf(device: GPUDevice, { query, key }: Setting): { readonly query: GPUBuffer; readonly key: GPUBuffer } {
  const like = ({ size }: GPUBuffer): GPUBuffer =>
    device.createBuffer({ size, usage: usage.storage | usage.copySource | usage.copyTarget });
  return { query: like(query), key: like(key) };
}

function same(a: Elements, b: Elements): boolean {
  // A loop, because `every` is slow for tens of millions of elements.
  for (let i = 0; i < b.length; i++) if (a[i] !== b[i]) return false;
  return a.length === b.length;
}

function submit(device: GPUDevice, record: (encoder: GPUCommandEncoder) => void): void {
  const encoder = device.createCommandEncoder();
  record(encoder);
  device.queue.submit([encoder.finish()]);
}

/** Counts dispatches at the device, independently of the contestants. */
function countDispatches(device: GPUDevice): { dispatches: number; stop(): void } {
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  const prototype = Object.getPrototypeOf(pass) as GPUComputePassEncoder;
  pass.end();
  encoder.finish();
  const { dispatchWorkgroups, dispatchWorkgroupsIndirect } = prototype;
  const counter = {
    dispatches: 0,
    stop: () => void Object.assign(prototype, { dispatchWorkgroups, dispatchWorkgroupsIndirect }),
  };
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

interface Runner {
  readonly name: string;
  readonly prepared: GpuPrepared;
  run(): void | Promise<void>;
}

/** Measures `count` rotations, in milliseconds. */
type Timer = (count: number) => Promise<number>;

const ROUNDS = 9;
/**
 * The duration of a lap. Implementations may round timestamps to 0.1 ms, which is 1 % of it. An idle card needs some
 * milliseconds to raise its clock rate.
 */
const LAP_MILLISECONDS = 10;
const MOST_IN_A_LAP = 512;

/**
 * One lap of each contestant per round. Each round starts with another contestant, so disturbances affect all of them.
 */
async function lapsOf(
  runners: readonly Runner[],
  timerOf: (runner: Runner) => Timer | undefined,
): Promise<Map<string, Timing>> {
  const entrants: { readonly name: string; readonly timer: Timer; readonly count: number; readonly laps: number[] }[] =
    [];
  for (const runner of runners) {
    const timer = timerOf(runner);
    if (timer === undefined) continue;
    let count = 1;
    for (let spent = 0; count < MOST_IN_A_LAP && spent < LAP_MILLISECONDS;) {
      spent = await timer(count);
      count = Math.min(
        MOST_IN_A_LAP,
        Math.max(count, Math.ceil((1.2 * count * LAP_MILLISECONDS) / Math.max(spent, LAP_MILLISECONDS / 8))),
      );
    }
    entrants.push({ name: runner.name, timer, count, laps: [] });
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < entrants.length; i++) {
      const { timer, count, laps } = entrants[(i + round) % entrants.length]!;
      laps.push((await timer(count)) / count);
    }
  }
  const own = entrants.filter(({ name }) => limits.some((limit) => limit.name === name));
  return new Map(
    entrants.map(({ name, laps }) => [
      name,
      {
        milliseconds: median(laps),
        ofLimit: Object.fromEntries(
          own.map((limit) => [limit.name, median(laps.map((lap, i) => limit.laps[i]! / lap))]),
        ),
      },
    ]),
  );
}

/**
 * The device's own clock: many rotations in one submission, one after the other, between two timestamps. Recording and
 * submitting are not included.
 */
class DeviceClock {
  readonly #device: GPUDevice;
  readonly #querySet: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #staging: GPUBuffer;

  constructor(device: GPUDevice) {
    this.#device = device;
    this.#querySet = device.createQuerySet({ type: "timestamp", count: 2 });
    this.#resolved = device.createBuffer({ size: 16, usage: usage.queryResolve | usage.copySource });
    this.#staging = device.createBuffer({ size: 16, usage: usage.copyTarget | usage.mapRead });
  }

  async time(record: (encoder: GPUCommandEncoder) => void, count: number): Promise<number> {
    await this.#device.queue.onSubmittedWorkDone();
    submit(this.#device, (encoder) => {
      record(encoder);
      this.#mark(encoder, 0);
      for (let i = 0; i < count; i++) record(encoder);
      this.#mark(encoder, 1);
      encoder.resolveQuerySet(this.#querySet, 0, 2, this.#resolved, 0);
      encoder.copyBufferToBuffer(this.#resolved, 0, this.#staging, 0, 16);
    });
    await this.#staging.mapAsync(1);
    const [start, end] = new BigUint64Array(this.#staging.getMappedRange());
    this.#staging.unmap();
    return Number(end! - start!) / 1e6;
  }

  destroy(): void {
    for (const own of [this.#querySet, this.#resolved, this.#staging]) own.destroy();
  }

  /** Writes a timestamp at the end of an empty pass, when all commands recorded before are done. */
  #mark(encoder: GPUCommandEncoder, index: number): void {
    encoder.beginComputePass({ timestampWrites: { querySet: this.#querySet, endOfPassWriteIndex: index } }).end();
  }
}

/** Submits each rotation alone and reads nothing back. */
async function timeOnHost(device: GPUDevice, run: () => void | Promise<void>, count: number): Promise<number> {
  await device.queue.onSubmittedWorkDone();
  const start = performance.now();
  for (let i = 0; i < count; i++) await run();
  await device.queue.onSubmittedWorkDone();
  return performance.now() - start;
}

async function read(
  device: GPUDevice,
  { query, key }: { readonly query: GPUBuffer; readonly key: GPUBuffer },
  dtype: GpuElementType,
): Promise<QueryAndKey> {
  const one = async (buffer: GPUBuffer): Promise<Elements> => {
    const staging = device.createBuffer({ size: buffer.size, usage: usage.copyTarget | usage.mapRead });
    submit(device, (encoder) => encoder.copyBufferToBuffer(buffer, 0, staging, 0, buffer.size));
    await staging.mapAsync(1);
    const bytes = staging.getMappedRange().slice(0);
    staging.destroy();
    return dtype === "float32" ? new Float32Array(bytes) : new Uint16Array(bytes);
  };
  return { query: await one(query), key: await one(key) };
}

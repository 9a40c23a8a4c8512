/**
 * A device and what is kept with it: compiled pipelines, tables, and whether it is lost.
 */

import { RopeError } from "@ropewalk/core";
import type { Gpu, GpuDevice } from "./gpu.ts";
import { kernelText } from "./kernel.ts";
import type { Kernel, KernelRole } from "./kernel-description.ts";
import type { DeviceTable } from "./table.ts";

/** What this package keeps of a device. It never destroys one that it was given. */
export class DeviceState {
  readonly device: GPUDevice;
  readonly limits: GPUSupportedLimits;
  readonly hasFloat16: boolean;
  /** By frequencies; see `table.ts`. */
  readonly tables: Map<string, DeviceTable> = new Map();
  readonly #pipelines = new Map<string, GPUComputePipeline>();
  readonly #compiling = new Map<string, Promise<GPUComputePipeline>>();
  #lost: { readonly reason: string; readonly message: string } | undefined;

  constructor(device: GPUDevice) {
    this.device = device;
    this.limits = device.limits;
    this.hasFloat16 = device.features.has("shader-f16");
    void device.lost.then((info) => (this.#lost = info));
  }

  /** @throws RopeError `ROPE_BACKEND_UNAVAILABLE` once the device is lost. */
  requireAlive(): void {
    if (this.#lost !== undefined) throw lostError(this.#lost);
  }

  /** The pipeline of a kernel, compiled at once if it is not there; the first dispatch may wait for it. */
  pipeline(kernel: Kernel): GPUComputePipeline {
    const key = keyOf(kernel);
    const known = this.#pipelines.get(key);
    if (known !== undefined) return known;
    const pipeline = this.device.createComputePipeline(this.#descriptor(kernel));
    this.#pipelines.set(key, pipeline);
    return pipeline;
  }

  /** The same without making anybody wait. @throws RopeError `ROPE_BACKEND_UNAVAILABLE` where the driver refuses it. */
  async compile(kernel: Kernel): Promise<GPUComputePipeline> {
    const key = keyOf(kernel);
    const known = this.#pipelines.get(key);
    if (known !== undefined) return known;
    let compiling = this.#compiling.get(key);
    if (compiling === undefined) {
      compiling = this.device.createComputePipelineAsync(this.#descriptor(kernel));
      this.#compiling.set(key, compiling);
    }
    try {
      const pipeline = await compiling;
      this.#pipelines.set(key, pipeline);
      return pipeline;
    } catch (cause) {
      this.requireAlive();
      throw new RopeError("ROPE_BACKEND_UNAVAILABLE", {
        what: "the device cannot compile the rotation",
        expected: "a pipeline",
        received: textOf(cause),
        remedy: "Report it with the adapter's name (probe tells it), and stay on another backend.",
        facts: { kernel },
      });
    } finally {
      this.#compiling.delete(key);
    }
  }

  #descriptor(kernel: Kernel): GPUComputePipelineDescriptor {
    const module = this.device.createShaderModule({ label: "ropewalk", code: kernelText(kernel) });
    return { label: "ropewalk", layout: "auto", compute: { module, entryPoint: "main" } };
  }
}

/** Text that no two kernels share. JSON would do, but takes as long as all the rest of recording a dispatch. */
function keyOf({ tensors, memories, rows, ...kernel }: Kernel): string {
  const role = (of: KernelRole | undefined): string => (of === undefined ? "" : `${of.memory}${of.dtype}`);
  const parts = {
    headDim: kernel.headDim,
    rotaryDim: kernel.rotaryDim,
    rotaryOffset: kernel.rotaryOffset,
    blocks: kernel.blocks,
    run: kernel.run,
    heads: kernel.heads,
    nativeFloat16: kernel.nativeFloat16,
    workgroupSize: kernel.workgroupSize,
    rows:
      rows.kind === "gathered"
        ? ""
        : `${rows.kind},${rows.kind === "factored" && rows.rounded},${rows.words},${rows.axes?.join(".")}`,
    tensors: tensors.map(({ name, input, output }) => `${name},${role(input)},${role(output)}`).join(),
    memories: memories.map(({ writable, words, atomic }) => `${writable},${words},${atomic}`).join(),
  } satisfies Record<keyof Kernel, string | number | boolean>;
  return Object.values(parts).join(" ");
}

const states = new WeakMap<GpuDevice, DeviceState>();

/** The state of a device, one however many ropes use it. */
export function stateOf(device: GpuDevice): DeviceState {
  let state = states.get(device);
  if (state === undefined) states.set(device, (state = new DeviceState(device as unknown as GPUDevice)));
  return state;
}

/** Why there may be none, in words that `probe` gives too. */
export const NO_WEBGPU: string = "this platform has no navigator.gpu";
export const NO_ADAPTER: string = "the platform has no adapter for WebGPU";

/** In place with gathered rows: table, query, key. */
const FEWEST_STORAGE_BUFFERS = 3;

/** What an adapter or device lacks for any rotation. */
export function lackOf({ maxStorageBuffersPerShaderStage }: GPUSupportedLimits): string | undefined {
  return maxStorageBuffersPerShaderStage < FEWEST_STORAGE_BUFFERS
    ? `a shader may use only ${maxStorageBuffersPerShaderStage} storage buffers, ${FEWEST_STORAGE_BUFFERS} are needed`
    : undefined;
}

/** What the platform has, if anything. */
export const platformGpu = (): Gpu | undefined => (globalThis as { navigator?: { gpu?: Gpu } }).navigator?.gpu;

/**
 * A device of our own, with the adapter's limits for buffers and with float16 where there is.
 *
 * @throws RopeError `ROPE_BACKEND_UNAVAILABLE` where there is none.
 */
export async function requestDevice(gpu: Gpu | undefined = platformGpu()): Promise<GPUDevice> {
  const unavailable = (received: string): RopeError =>
    new RopeError("ROPE_BACKEND_UNAVAILABLE", {
      what: "there is no WebGPU device",
      expected: "an adapter (Chrome 113, Safari 26, Firefox 141, or npm webgpu in Node)",
      received,
      remedy: "Pass { device }, or { gpu } where it is not navigator.gpu; or stay on another backend.",
    });
  if (gpu === undefined) throw unavailable(NO_WEBGPU);
  try {
    const adapter = (await gpu.requestAdapter({ powerPreference: "high-performance" })) as GPUAdapter | null;
    if (adapter === null) throw unavailable(NO_ADAPTER);
    const { maxBufferSize, maxStorageBufferBindingSize, maxStorageBuffersPerShaderStage } = adapter.limits;
    const requiredFeatures: GPUFeatureName[] = adapter.features.has("shader-f16") ? ["shader-f16"] : [];
    return await adapter.requestDevice({
      label: "ropewalk",
      requiredFeatures,
      requiredLimits: { maxBufferSize, maxStorageBufferBindingSize, maxStorageBuffersPerShaderStage },
    });
  } catch (cause) {
    throw RopeError.is(cause) ? cause : unavailable(textOf(cause));
  }
}

export const textOf = (cause: unknown): string =>
  cause instanceof Error ? cause.message : String((cause as { message?: unknown } | null)?.message ?? cause);

/** The error of a device that is gone. */
export function lostError({ reason, message }: { readonly reason: string; readonly message: string }): RopeError {
  return new RopeError("ROPE_BACKEND_UNAVAILABLE", {
    what: "the WebGPU device is lost",
    expected: "a working device",
    received: `${reason}: ${message}`,
    remedy: "Request a new device and move the rope to it.",
    facts: { reason },
  });
}

/** The error that a scope caught. */
export function scopeError(error: GPUError): RopeError {
  const memory =
    typeof GPUOutOfMemoryError !== "undefined"
      ? error instanceof GPUOutOfMemoryError
      : error.constructor.name === "GPUOutOfMemoryError";
  return memory
    ? new RopeError("ROPE_BACKEND_UNAVAILABLE", {
        what: "the device is out of memory",
        expected: "room for the tables and the tensors of a call",
        received: error.message,
        remedy: "Dispose what is not needed, or rotate fewer tokens at a time.",
        facts: { reason: "out-of-memory" },
      })
    : new RopeError("ROPE_BACKEND_UNAVAILABLE", {
        what: "the device refused what was asked of it",
        expected: "buffers of this device, alive, and within its limits",
        received: error.message,
        facts: { reason: "validation" },
      });
}

/** Rejects as soon as the signal says so. What was started goes on, and its result is kept for the next who asks. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    const stop = (): void => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

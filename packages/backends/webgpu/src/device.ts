/**
 * The state of a device: its compiled pipelines, its tables, and whether it is lost.
 */

import { RopeError } from "@ropewalk/core";
import type { RopeIssue } from "@ropewalk/core";
import { show } from "@ropewalk/core/backend";
import type { Gpu, GpuDevice } from "./gpu.ts";
import { kernelText } from "./kernel.ts";
import type { Kernel, KernelRole } from "./kernel-description.ts";
import { passKey } from "./pass-description.ts";
import type { PassKernel } from "./pass-description.ts";
import { passText } from "./pass-kernel.ts";
import type { DeviceTable } from "./table.ts";

/** A kernel that only rotates, or that of a pass. */
export type AnyKernel = Kernel | PassKernel;

/** The state that this package keeps for a device. It does not destroy a caller's device. */
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

  /** The pipeline of a kernel. A new kernel is compiled at once, and its first dispatch may wait. */
  pipeline(kernel: AnyKernel): GPUComputePipeline {
    const key = keyOf(kernel);
    const known = this.#pipelines.get(key);
    if (known !== undefined) return known;
    const pipeline = this.device.createComputePipeline(this.#descriptor(kernel));
    this.#pipelines.set(key, pipeline);
    return pipeline;
  }

  /**
   * The pipeline of a kernel, compiled asynchronously. @throws RopeError `ROPE_BACKEND_UNAVAILABLE` if the driver
   * refuses it.
   */
  async compile(kernel: AnyKernel): Promise<GPUComputePipeline> {
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
        remedy: "Report it with the adapter's name (see probe), and use another backend.",
        facts: { kernel },
      });
    } finally {
      this.#compiling.delete(key);
    }
  }

  #descriptor(kernel: AnyKernel): GPUComputePipelineDescriptor {
    const code = "kind" in kernel ? passText(kernel) : kernelText(kernel);
    const module = this.device.createShaderModule({ label: "ropewalk", code });
    return { label: "ropewalk", layout: "auto", compute: { module, entryPoint: "main" } };
  }
}

/** A text that differs for every kernel. JSON would take as long as the rest of recording a dispatch. */
const keyOf = (kernel: AnyKernel): string => ("kind" in kernel ? passKey(kernel) : rotationKey(kernel));

function rotationKey({ tensors, memories, rows, ...kernel }: Kernel): string {
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

/** The state of a device; all its ropes share one. */
export function stateOf(device: GpuDevice): DeviceState {
  let state = states.get(device);
  if (state === undefined) states.set(device, (state = new DeviceState(device as unknown as GPUDevice)));
  return state;
}

/** Reasons why there is no device, in the words of errors and of `probe`. */
export const NO_WEBGPU: string = "this platform has no navigator.gpu";
export const NO_ADAPTER: string = "the platform has no adapter for WebGPU";

/** For a rotation in place with gathered rows: table, query, key. */
const FEWEST_STORAGE_BUFFERS = 3;

/** The reason why an adapter or device cannot rotate at all, if there is one. */
export function lackOf({ maxStorageBuffersPerShaderStage }: GPUSupportedLimits): string | undefined {
  return maxStorageBuffersPerShaderStage < FEWEST_STORAGE_BUFFERS
    ? `a shader may use only ${maxStorageBuffersPerShaderStage} storage buffers, ${FEWEST_STORAGE_BUFFERS} are needed`
    : undefined;
}

/** `navigator.gpu`, if the platform has it. */
export const platformGpu = (): Gpu | undefined => (globalThis as { navigator?: { gpu?: Gpu } }).navigator?.gpu;

/**
 * Requests a device with the adapter's limits for buffers, and with float16 if the adapter has it.
 *
 * @throws RopeError `ROPE_BACKEND_UNAVAILABLE` if the platform has no adapter or refuses the device.
 */
export async function requestDevice(gpu: Gpu | undefined = platformGpu()): Promise<GPUDevice> {
  const unavailable = (received: string): RopeError =>
    new RopeError("ROPE_BACKEND_UNAVAILABLE", {
      what: "there is no WebGPU device",
      expected: "an adapter (Chrome 113, Safari 26, Firefox 141, or npm webgpu in Node)",
      received,
      remedy: "Pass { device }, or { gpu } if it is not navigator.gpu; or use another backend.",
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

/** The error of a lost device. */
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
        remedy: "Dispose ropes and buffers that are no longer needed, or rotate fewer tokens at a time.",
        facts: { reason: "out-of-memory" },
      })
    : refusedError(error.message);
}

/** The error of a call that the device or the platform refused. */
export const refusedError = (received: string): RopeError =>
  new RopeError("ROPE_BACKEND_UNAVAILABLE", {
    what: "the device refused the call",
    expected: "passes and buffers of this device, not destroyed, and within its limits",
    received,
    facts: { reason: "validation" },
  });

/** The mistakes in the options that name a device or a GPU. */
export function sourceIssues(device: GpuDevice | undefined, gpu: Gpu | undefined): RopeIssue[] {
  const issues: RopeIssue[] = [];
  if (device !== undefined && typeof device?.createComputePipeline !== "function") {
    issues.push({ path: "device", expected: "a GPUDevice", received: show(device) });
  }
  if (gpu !== undefined && typeof gpu?.requestAdapter !== "function") {
    issues.push({ path: "gpu", expected: "a GPU, like navigator.gpu", received: show(gpu) });
  }
  return issues;
}

export function signalIssues(signal: AbortSignal | undefined): RopeIssue[] {
  if (signal === undefined || typeof signal?.throwIfAborted === "function") return [];
  return [{ path: "signal", expected: "an AbortSignal", received: show(signal) }];
}

/** Rejects when the signal aborts. The work itself goes on. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    const stop = (): void => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/** Registers the backend `webgpu`: rotations on a WebGPU device, of the caller's buffers, with exact tables. */

import { registerBackend } from "@ropewalk/core";
import { checkKeys, invalid, show } from "@ropewalk/core/backend";
import type { BackendContext, RopeBackend } from "@ropewalk/core/backend";
import { abortable, requestDevice, stateOf } from "./device.ts";
import { DeviceRope } from "./device-rope.ts";
import type { GpuRope, TableKind } from "./gpu-rope.ts";
import type { Gpu, GpuDevice } from "./gpu.ts";

/** Options of `rope.to("webgpu", …)`. */
export interface WebGpuOptions {
  /** The device to rotate on; it stays the caller's and is never destroyed. Absent: one of the rope's own is requested. */
  readonly device?: GpuDevice | undefined;
  /** Where to request one; default `navigator.gpu`. */
  readonly gpu?: Gpu | undefined;
  /**
   * For positions in buffers of the device. `"rows"` (default): one row of cos and sin for each position below the length,
   * `8 · rotaryDim/2` bytes each, exact. `"factored"`: about `√length` rows and the addition theorem in the shader.
   */
  readonly tables?: TableKind | undefined;
  /** Gives up waiting for the device. */
  readonly signal?: AbortSignal | undefined;
}

declare module "@ropewalk/core" {
  interface RopeBackends {
    webgpu: { options: WebGpuOptions; rope: Promise<GpuRope> };
  }
}

/** @throws RopeError `ROPE_INVALID_PARAMETERS` */
function readOptions(options: unknown = {}): WebGpuOptions {
  checkKeys("the options of webgpu", options, ["device", "gpu", "tables", "signal"]);
  const given = options as WebGpuOptions;
  const { tables, device, gpu } = given;
  const issues = [];
  if (tables !== undefined && tables !== "rows" && tables !== "factored") {
    issues.push({ path: "tables", expected: '"rows" or "factored"', received: show(tables) });
  }
  if (device !== undefined && typeof device?.createComputePipeline !== "function") {
    issues.push({ path: "device", expected: "a GPUDevice", received: show(device) });
  }
  if (gpu !== undefined && typeof gpu?.requestAdapter !== "function") {
    issues.push({ path: "gpu", expected: "a GPU, like navigator.gpu", received: show(gpu) });
  }
  if (issues.length > 0) throw invalid("the options of webgpu", issues);
  return given;
}

async function create(context: BackendContext, options: unknown): Promise<GpuRope> {
  const { device, gpu, signal, tables = "rows" } = readOptions(options);
  signal?.throwIfAborted();
  if (device !== undefined) return new DeviceRope(context, stateOf(device), false, tables);
  const requested = requestDevice(gpu);
  try {
    return new DeviceRope(context, stateOf((await abortable(requested, signal)) as unknown as GpuDevice), true, tables);
  } catch (error) {
    // A caller who gave up waiting will not free it.
    void requested.then((own) => own.destroy()).catch(() => undefined);
    throw error;
  }
}

/** The backend, as a value. */
export const webgpuBackend: RopeBackend = Object.freeze({
  specificationVersion: 1,
  name: "webgpu",
  source: "@ropewalk/webgpu-backend@0.0.0",
  create,
});

registerBackend(webgpuBackend);

export { probe } from "./probe.ts";
export type { ProbeOptions, WebGpuProbe } from "./probe.ts";
export type {
  AsyncOptions,
  EncodeArguments,
  EncodeResult,
  GpuElementType,
  GpuPositions,
  GpuRope,
  GpuRotateArguments,
  GpuStep,
  GpuTensor,
  TableKind,
} from "./gpu-rope.ts";
export type { Gpu, GpuBuffer, GpuCommandEncoder, GpuComputePass, GpuDevice } from "./gpu.ts";

/** Registers the backend `webgpu`: rotation in the caller's buffers on a WebGPU device, with exact tables. */

import { registerBackend } from "@ropewalk/core";
import { checkKeys, invalid, show } from "@ropewalk/core/backend";
import type { BackendContext, RopeBackend } from "@ropewalk/core/backend";
import { abortable, requestDevice, signalIssues, sourceIssues, stateOf } from "./device.ts";
import { DeviceRope } from "./device-rope.ts";
import type { GpuRope, TableKind } from "./gpu-rope.ts";
import type { Gpu, GpuDevice } from "./gpu.ts";

/** Options of `rope.to("webgpu", …)`. */
export interface WebGpuOptions {
  /**
   * The device to rotate on, which stays the caller's. Default: the rope requests a device, and destroys it on
   * `dispose`.
   */
  readonly device?: GpuDevice | undefined;
  /** The GPU to request a device from. Default `navigator.gpu`. */
  readonly gpu?: Gpu | undefined;
  /**
   * The table for positions in buffers of the device. `"rows"` (default): one exact row of cos and sin for each
   * position below the length, `8 · rotaryDim/2` bytes each. `"factored"`: about `1024 + length/1024` rows, and the
   * addition theorem in the shader.
   */
  readonly tables?: TableKind | undefined;
  /** Aborts the wait for the device: the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

declare module "@ropewalk/core" {
  interface RopeBackends {
    webgpu: { options: WebGpuOptions; rope: Promise<GpuRope> };
  }
}

/** @throws RopeError `ROPE_INVALID_PARAMETERS` for an unknown or wrong option. */
function readOptions(options: unknown = {}): WebGpuOptions {
  const given = checkKeys("the options of webgpu", options, ["device", "gpu", "tables", "signal"]) as WebGpuOptions;
  const { tables, device, gpu, signal } = given;
  const issues = [...sourceIssues(device, gpu), ...signalIssues(signal)];
  if (tables !== undefined && tables !== "rows" && tables !== "factored") {
    issues.push({ path: "tables", expected: '"rows" or "factored"', received: show(tables) });
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
    // A caller that aborted cannot destroy the device.
    void requested.then((own) => own.destroy()).catch(() => undefined);
    throw error;
  }
}

/**
 * The backend, as a value. Importing the package registers it; `rope.to("webgpu", options)` resolves to a
 * {@link GpuRope}.
 *
 * The promise rejects with RopeError `ROPE_INVALID_PARAMETERS` for an unknown or wrong option, and with
 * `ROPE_BACKEND_UNAVAILABLE` if there is no device.
 *
 * @example
 * import "@ropewalk/default";
 * import "@ropewalk/webgpu-backend";
 *
 * const rope = getRope({ headDim: 128, parameters: { ropeType: "default" } });
 * const { available } = await probe();
 * const gpuRope = available ? await rope.to("webgpu") : undefined;
 */
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
  AtPositions,
  EncodeArguments,
  EncodeResult,
  GpuCacheElementType,
  GpuCacheSlots,
  GpuCacheView,
  GpuElementType,
  GpuPassArguments,
  GpuPlace,
  GpuPositions,
  GpuRmsNorm,
  GpuRope,
  GpuRotateArguments,
  GpuSlots,
  GpuStep,
  GpuStepArguments,
  GpuTensor,
  GpuWeight,
  TableKind,
} from "./gpu-rope.ts";
export type { Gpu, GpuBuffer, GpuCommandEncoder, GpuComputePass, GpuDevice } from "./gpu.ts";

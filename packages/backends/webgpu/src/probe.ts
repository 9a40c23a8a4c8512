/** Reports the WebGPU of the platform as data. */

import { checkKeys, invalid } from "@ropewalk/core/backend";
import { lackOf, NO_ADAPTER, NO_WEBGPU, platformGpu, sourceIssues, textOf } from "./device.ts";
import type { Gpu, GpuDevice } from "./gpu.ts";

/** The result of {@link probe}. */
export interface WebGpuProbe {
  /** Whether ropes can use this device or adapter. */
  readonly available: boolean;
  /** The reason why not, in a sentence; else empty. */
  readonly reason: string;
  /** Vendor, architecture and description, as far as the platform reports them. */
  readonly adapter: string;
  /** Whether the adapter is the platform's software fallback. */
  readonly fallback: boolean;
  /** The conversion of float16: by the device (`shader-f16`), or by integer operations on packed words. */
  readonly float16: "native" | "integer";
  /** Whether the device can measure the time of passes. */
  readonly timestamps: boolean;
  /** The most bytes of one buffer that a call can use. */
  readonly maxBindingBytes: number;
}

/** Options of {@link probe}. */
export interface ProbeOptions {
  /** A device to report, instead of the platform's adapter. */
  readonly device?: GpuDevice | undefined;
  /** The GPU to ask for an adapter. Default `navigator.gpu`. In Node: the result of `create` of npm `webgpu`. */
  readonly gpu?: Gpu | undefined;
}

/**
 * Reports the WebGPU of the platform, or of a device. A platform without WebGPU is a result, not an error. It creates
 * nothing that must be freed.
 *
 * @throws RopeError (as rejection) `ROPE_INVALID_PARAMETERS` for an unknown or wrong option.
 *
 * @example
 * const { available, reason } = await probe();
 * available || reason.length > 0; // true
 */
export async function probe(options: ProbeOptions = {}): Promise<WebGpuProbe> {
  const { device, gpu = platformGpu() } = checkKeys("the options of probe", options, ["device", "gpu"]);
  const issues = sourceIssues(device, options.gpu);
  if (issues.length > 0) throw invalid("the options of probe", issues);
  const missing = (reason: string): WebGpuProbe => ({
    available: false,
    reason,
    adapter: "",
    fallback: false,
    float16: "integer",
    timestamps: false,
    maxBindingBytes: 0,
  });
  try {
    const source = (device ?? (await gpu?.requestAdapter())) as
      | (GPUDevice & { adapterInfo?: GPUAdapterInfo })
      | GPUAdapter
      | null
      | undefined;
    if (source === undefined) return missing(NO_WEBGPU);
    if (source === null) return missing(NO_ADAPTER);
    const { features, limits } = source;
    const info = "info" in source ? source.info : source.adapterInfo;
    const lack = lackOf(limits);
    return {
      available: lack === undefined,
      reason: lack ?? "",
      adapter: [info?.vendor, info?.architecture, info?.description]
        .filter((part) => part !== undefined && part !== "")
        .join(" "),
      fallback: info?.isFallbackAdapter ?? false,
      float16: features.has("shader-f16") ? "native" : "integer",
      timestamps: features.has("timestamp-query"),
      maxBindingBytes: limits.maxStorageBufferBindingSize,
    };
  } catch (error) {
    return missing(textOf(error));
  }
}

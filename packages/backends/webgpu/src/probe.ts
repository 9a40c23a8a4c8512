/** What WebGPU can do here, as data. */

import { lackOf, NO_ADAPTER, NO_WEBGPU, platformGpu, textOf } from "./device.ts";
import type { Gpu, GpuDevice } from "./gpu.ts";

/** What `probe` found. */
export interface WebGpuProbe {
  /** Whether ropes can move to this device or adapter. */
  readonly available: boolean;
  /** Why not, in a sentence; empty where it can. */
  readonly reason: string;
  /** Vendor, architecture and description, as far as the platform tells them. */
  readonly adapter: string;
  /** Whether it is the platform's software fallback. */
  readonly fallback: boolean;
  /** How float16 is converted: by the device (`shader-f16`), or by integer operations on packed words. */
  readonly float16: "native" | "integer";
  /** Whether passes can be timed on the device. */
  readonly timestamps: boolean;
  /** Bytes of one binding: no more of one buffer can be used in a call. */
  readonly maxBindingBytes: number;
}

/** Where to look. */
export interface ProbeOptions {
  /** A device that exists already. */
  readonly device?: GpuDevice | undefined;
  /** Default `navigator.gpu`. In Node: what npm `webgpu` creates. */
  readonly gpu?: Gpu | undefined;
}

/** What WebGPU can do here. Never throws, and starts nothing that has to be ended. */
export async function probe({ device, gpu = platformGpu() }: ProbeOptions = {}): Promise<WebGpuProbe> {
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

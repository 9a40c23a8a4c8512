/** Devices of npm `webgpu` in Node, on the drivers of tooling/webgpu. */

import { webGpuEnvironment } from "@ropewalk/webgpu-environment";
import { create } from "webgpu";

const environment = webGpuEnvironment();

/** The two drivers: without and with float16 in shaders. */
export const drivers = { swiftShader: environment.swiftShader, lavapipe: environment.lavapipe };
export type Driver = keyof typeof drivers;

const opened = new Map<Driver, GPU>();

/** WebGPU on a driver. */
export function gpuOn(driver: Driver): GPU {
  let gpu = opened.get(driver);
  if (gpu === undefined) {
    // The Vulkan loader reads it when an instance is made.
    process.env["VK_DRIVER_FILES"] = drivers[driver];
    process.env["XDG_RUNTIME_DIR"] ??= "/tmp";
    opened.set(driver, (gpu = create([]) as unknown as GPU));
  }
  return gpu;
}

/** A new device with every feature and limit that the driver has. Throws where there is none: absence is a failure. */
export async function newDevice(driver: Driver = "swiftShader"): Promise<GPUDevice> {
  const adapter = await gpuOn(driver).requestAdapter();
  if (adapter === null) {
    throw new Error(`expected an adapter for ${drivers[driver]}, got none. Run tooling/webgpu/install.sh.`);
  }
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  const requiredFeatures = (["shader-f16", "timestamp-query"] as const).filter((name) => adapter.features.has(name));
  return adapter.requestDevice({ requiredFeatures, requiredLimits: { maxBufferSize, maxStorageBufferBindingSize } });
}

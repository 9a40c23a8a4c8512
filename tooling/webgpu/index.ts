/** The place of a WebGPU for tests without a graphics card. `install.sh` installs it. */

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Vulkan drivers that run on the CPU, and a browser. */
export interface WebGpuEnvironment {
  /** For `VK_DRIVER_FILES`: the driver inside Debian's chromium. No float16 in shaders. */
  readonly swiftShader: string;
  /** For `VK_DRIVER_FILES`: Mesa's driver, with float16 in shaders. */
  readonly lavapipe: string;
  /** The browser's executable. */
  readonly chromium: string;
  /** Flags for WebGPU on SwiftShader, headless and without network access. */
  readonly chromiumArguments: readonly string[];
}

/** Finds the drivers and the browser. @throws Error that says how to install missing parts. */
export function webGpuEnvironment(): WebGpuEnvironment {
  const swiftShader = process.env["ROPEWALK_SWIFTSHADER_ICD"] ?? "/usr/lib/chromium/vk_swiftshader_icd.json";
  const lavapipe =
    process.env["ROPEWALK_LAVAPIPE_ICD"] ?? fileURLToPath(new URL(".lavapipe/icd.json", import.meta.url));
  const chromium = process.env["ROPEWALK_CHROMIUM"] ?? "/usr/bin/chromium";
  const missing = [swiftShader, lavapipe, chromium].filter((file) => !existsSync(file));
  if (missing.length > 0) {
    throw new Error(
      `The WebGPU tests have nothing to run on: expected ${missing.join(" and ")}, got no such file. Run tooling/webgpu/install.sh (as root, on Debian).`,
    );
  }
  return {
    swiftShader,
    lavapipe,
    chromium,
    chromiumArguments: [
      "--no-sandbox",
      "--enable-unsafe-webgpu",
      "--use-webgpu-adapter=swiftshader",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  };
}

/** Vulkan drivers that run on the CPU, and a browser. */
export interface WebGpuEnvironment {
  /** For `VK_DRIVER_FILES`: the driver inside Debian's chromium. No float16 in shaders. */
  readonly swiftShader: string;
  /** For `VK_DRIVER_FILES`: Mesa's driver, with float16 in shaders. */
  readonly lavapipe: string;
  /** The browser's executable. */
  readonly chromium: string;
  /** Flags that make it offer WebGPU on SwiftShader, headless and without asking the network. */
  readonly chromiumArguments: readonly string[];
}

/** Where they are. @throws Error that says how to install what is missing. */
export function webGpuEnvironment(): WebGpuEnvironment;

/**
 * The WebGPU objects that callers pass, typed by structure: the types of `lib.dom`, `@webgpu/types` and npm `webgpu`
 * all fit, and a program without these types compiles.
 */

// The types need Symbol.dispose, whatever "lib" their user compiles with.
/// <reference lib="esnext.disposable" preserve="true" />

/** A `GPUDevice`. */
export interface GpuDevice {
  readonly features: { has(name: string): boolean };
  readonly limits: object;
  readonly queue: object;
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>;
  createComputePipeline(descriptor: any): object;
  createBuffer(descriptor: any): GpuBuffer;
}

/** A `GPUBuffer`. */
export interface GpuBuffer {
  /** Bytes. */
  readonly size: number;
  readonly usage: number;
  destroy(): void;
}

/** A `GPUComputePassEncoder`. */
export interface GpuComputePass {
  setPipeline(pipeline: any): void;
  dispatchWorkgroups(x: number, y?: number, z?: number): void;
}

/** A `GPUCommandEncoder`. */
export interface GpuCommandEncoder {
  beginComputePass(descriptor?: any): GpuComputePass;
}

/** A `GPU`: `navigator.gpu`, or the result of `create` of npm `webgpu`. */
export interface Gpu {
  requestAdapter(options?: any): Promise<object | null>;
}

/** Flags of the specification as numbers: in Node their namespaces are not global. */
export const usage = { mapRead: 0x01, copySource: 0x04, copyTarget: 0x08, uniform: 0x40, storage: 0x80 } as const;
export const MAP_READ = 1;

/** `Symbol.dispose`, or for older JavaScript engines the symbol that transpilers use. */
export const disposeSymbol: typeof Symbol.dispose =
  Symbol.dispose ?? (Symbol.for("Symbol.dispose") as typeof Symbol.dispose);

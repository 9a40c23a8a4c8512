/**
 * What a rope on a device offers; the implementation is `device-rope.ts`. WebGPU's objects are taken by structure.
 */

import type {
  AtOptions,
  ElementType,
  Positions,
  RopeCapabilities,
  RopeSpec,
  RotaryEmbedding,
  RotateArguments,
  RotateResult,
  ShiftArguments,
  Tensor,
} from "@ropewalk/core";
import type { Operation } from "@ropewalk/core/backend";
import type { GpuBuffer, GpuCommandEncoder, GpuComputePass, GpuDevice } from "./gpu.ts";

/** Element types of tensors on a device. */
export type GpuElementType = Exclude<ElementType, "float64">;

/** Queries or keys in a buffer of the device, which needs the usage `STORAGE`. */
export interface GpuTensor {
  readonly buffer: GpuBuffer;
  /** The logical `[batch, tokens, heads, headDim]`, `[tokens, heads, headDim]` or `[tokens, heads · headDim]`. */
  readonly shape: readonly number[];
  /** Elements between neighbours along each axis of `shape`; row-major contiguous if absent. */
  readonly strides?: readonly number[] | undefined;
  /** Index of the first element, in elements; 0 if absent. */
  readonly offset?: number | undefined;
  /** Default `"float32"`. */
  readonly dtype?: GpuElementType | undefined;
}

/** Tensors of one recorded rotation; at least one of `query` and `key`. */
export interface GpuRotateArguments {
  readonly query?: GpuTensor | undefined;
  readonly key?: GpuTensor | undefined;
  /**
   * Where results go; absent ones are rotated in place. Same logical shape, but any strides and element type: float32
   * keys go into a slot of a float16 cache in the same dispatch. An output may lie in the same buffer as an input, beside it.
   */
  readonly out?: { readonly query?: GpuTensor | undefined; readonly key?: GpuTensor | undefined } | undefined;
}

/** Positions in a buffer of the device, contiguous; it needs the usage `STORAGE`. */
export interface GpuPositions {
  readonly buffer: GpuBuffer;
  /** `[tokens]`, `[batch, tokens]`, or for a rope of several axes `[axes, tokens]`, `[axes, batch, tokens]`. */
  readonly shape: readonly number[];
  /** Index of the first position, in elements; 0 if absent. */
  readonly offset?: number | undefined;
  /** Default `"uint32"`. */
  readonly dtype?: "uint32" | "int32" | "int64" | undefined;
}

/** How positions in a buffer of the device find their cos and sin. */
export type TableKind = "rows" | "factored";

/** Options of a recorded rotation. */
export interface EncodeArguments extends GpuRotateArguments, AtOptions {
  /**
   * As `rope.apply` takes them; or in a buffer of the device. The host does not see those, so they need `length`: they
   * must be below it, and a token with one that is not passes unrotated and makes `check` fail.
   */
  readonly positions: Positions | GpuPositions;
  /** Which of the three maps; default `"apply"`. */
  readonly operation?: Operation | undefined;
}

/** What was recorded. */
export interface EncodeResult {
  /** 1, or 0 where there is nothing to rotate. */
  readonly dispatches: number;
  /** Bytes of tensor elements that the dispatch reads and writes. */
  readonly bytes: number;
}

/** Options of the asynchronous methods. */
export interface AsyncOptions {
  /** Rejects with the signal's reason. Nothing has been written then. */
  readonly signal?: AbortSignal | undefined;
}

/** cos and sin of one step's positions on the device, for every layer of the step. */
export interface GpuStep {
  /** `[tokens, rotaryDim/2]`, with `batch` in front where positions have one. */
  readonly shape: readonly number[];
  /** As `GpuRope.encode` with the step's positions. */
  encode(target: GpuComputePass | GpuCommandEncoder, tensors: GpuRotateArguments): EncodeResult;
  /** Frees its memory on the device; what has been submitted still runs. Calling it again does nothing. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/**
 * A rope on a WebGPU device.
 *
 * `encode` is synchronous and only records: arguments are checked before, so that an error records nothing. `apply` and
 * its relatives take typed arrays, copy them to the device and back.
 */
export interface GpuRope {
  readonly backend: "webgpu";
  /** The rope in JavaScript: tables, frequencies, everything that needs no device. */
  readonly rope: RotaryEmbedding;
  readonly spec: RopeSpec;
  readonly capabilities: Required<RopeCapabilities>;
  readonly positionLimit: number;
  readonly device: GpuDevice;

  /**
   * Records the rotation of query and key as one dispatch.
   *
   * @param target a compute pass (whose pipeline and bind group 0 it replaces), or a command encoder, on which it opens a
   * pass of its own. Submitting is the caller's.
   * @throws RopeError `ROPE_SHAPE`, `ROPE_POSITION_RANGE`, `ROPE_UNSUPPORTED`; `ROPE_BACKEND_UNAVAILABLE` once the device
   * is lost or the rope disposed. Nothing has been recorded then.
   */
  encode(target: GpuComputePass | GpuCommandEncoder, tensors: EncodeArguments): EncodeResult;
  /** Compiles what `encode` with these arguments needs, so that its first dispatch need not wait. Records nothing. */
  prepare(tensors: EncodeArguments, options?: AsyncOptions): Promise<void>;
  /** Uploads cos and sin of a step once, for use in every layer. */
  at(positions: Positions, options?: AtOptions): GpuStep;

  /** `rope.apply` on typed arrays: to the device and back. Resolves when the results have been written. */
  apply(
    tensors: RotateArguments & AtOptions & { readonly positions: Positions },
    options?: AsyncOptions,
  ): Promise<RotateResult>;
  invert(
    tensors: RotateArguments & AtOptions & { readonly positions: Positions },
    options?: AsyncOptions,
  ): Promise<RotateResult>;
  adjoint(
    tensors: RotateArguments & AtOptions & { readonly positions: Positions },
    options?: AsyncOptions,
  ): Promise<RotateResult>;
  shift(tensors: ShiftArguments, options?: AsyncOptions): Promise<Tensor>;

  /**
   * Resolves if nothing went wrong in what was submitted since the last call.
   *
   * @throws RopeError (as rejection) `ROPE_POSITION_RANGE` where positions of a buffer were not below `length`;
   * `ROPE_BACKEND_UNAVAILABLE` for what the device refused, or for want of its memory.
   */
  check(): Promise<void>;
  /**
   * Frees everything that the rope has on the device; a device that it was given lives on. Submit what was recorded
   * before. Calling it again does nothing.
   */
  dispose(): void;
  [Symbol.dispose](): void;
}

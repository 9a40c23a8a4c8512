/**
 * The public interface of a rope on a device; `device-rope.ts` implements it. WebGPU's objects are typed by structure.
 */

import type {
  AtOptions,
  CacheShiftArguments,
  CacheSlots,
  CacheView,
  ElementType,
  PassArguments,
  PassPlace,
  PassResult,
  Positions,
  RmsNorm,
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

/** Queries or keys in a buffer of the device. The buffer belongs to the caller. */
export interface GpuTensor {
  /** Needs the usage `STORAGE`. Several tensors may share a buffer if they have no element in common. */
  readonly buffer: GpuBuffer;
  /** The logical `[batch, tokens, heads, headDim]`, `[tokens, heads, headDim]` or `[tokens, heads · headDim]`. */
  readonly shape: readonly number[];
  /** Elements from one index to the next on each axis of `shape`. Default: row-major, contiguous. */
  readonly strides?: readonly number[] | undefined;
  /** Index of the first element, in elements. Default 0. */
  readonly offset?: number | undefined;
  /** Default `"float32"`. */
  readonly dtype?: GpuElementType | undefined;
}

/** Tensors of one recorded rotation; at least one of `query` and `key`. */
export interface GpuRotateArguments {
  readonly query?: GpuTensor | undefined;
  readonly key?: GpuTensor | undefined;
  /**
   * Destinations of the results. A tensor without one is rotated in place. A destination has the logical shape of its
   * input, but may have other strides and another element type: float32 keys go into a slot of a float16 cache in the
   * same dispatch. It may lie in the buffer of an input, without a common element.
   */
  readonly out?: { readonly query?: GpuTensor | undefined; readonly key?: GpuTensor | undefined } | undefined;
}

/** Element types of caches on a device. */
export type GpuCacheElementType = GpuElementType | "int8" | "float8_e4m3";

/**
 * A tensor of a cache on the device, or one whose heads lie in groups; see `CacheView` of core. Offset and strides
 * count elements, also those of 8 bits.
 *
 * What a call writes has whole 32-bit words: of 16-bit elements, head size, offset and strides are even; of 8-bit
 * elements, multiples of 4.
 */
export interface GpuCacheView extends Omit<GpuTensor, "dtype"> {
  /** Default `"float32"`. */
  readonly dtype?: GpuCacheElementType | undefined;
  /** For float8_e4m3, and required there: an element times this is the number. */
  readonly scale?: number | undefined;
  /** For int8, and required there: a float32 tensor of the same shape with 1 in the place of `headDim`. */
  readonly scales?: GpuTensor | undefined;
  readonly groups?: CacheView["groups"];
}

/** Slots in a buffer of the device, contiguous, one for each token. The host does not see them. */
export interface GpuSlots {
  /** Needs the usage `STORAGE`; the call must not write to it. */
  readonly buffer: GpuBuffer;
  /** Index of the first slot, in elements. Default 0. */
  readonly offset?: number | undefined;
  /** Default `"int32"`. In both, all bits set is −1, which leaves the token out. */
  readonly dtype?: "int32" | "uint32" | undefined;
}

/** Places of tokens in a cache on the device; see `CacheSlots` of core. */
export interface GpuCacheSlots {
  readonly cache: GpuCacheView;
  /**
   * Slots of the host are checked. For one in a buffer that is neither −1 nor in the cache, nothing is written, and
   * `check` rejects. No slot may occur twice: the device does not notice it, and one of the two tokens wins.
   */
  readonly slots: CacheSlots["slots"] | GpuSlots;
}

/** A tensor of a pass on the device. */
export type GpuPlace = GpuTensor | GpuCacheView | GpuCacheSlots;

/** A weight in a buffer of the device, contiguous. It may share the buffer with others, and with tensors. */
export interface GpuWeight {
  /** Needs the usage `STORAGE`. */
  readonly buffer: GpuBuffer;
  /** Index of the first element. Default 0. */
  readonly offset?: number | undefined;
  /** Default `"float32"`. */
  readonly dtype?: GpuElementType | undefined;
}

/**
 * Root mean square normalisation; see `RmsNorm` of core. The sum of squares has another order than JavaScript's, so
 * results differ in the last bits. A weight of the host is uploaded by each call.
 */
export interface GpuRmsNorm extends Omit<RmsNorm, "weight"> {
  readonly weight?: RmsNorm["weight"] | GpuWeight;
}

/**
 * Tensors of one recorded pass from projection to cache; see `PassArguments` of core. One dispatch does all of it.
 * Without `value`, norms, factors, and what only caches have, it is a rotation.
 */
export interface GpuPassArguments {
  readonly query?: GpuPlace | undefined;
  readonly key?: GpuPlace | undefined;
  /** Values, which are not rotated: they are written to `out.value`. */
  readonly value?: GpuPlace | undefined;
  /** Only with `"apply"`. */
  readonly norm?:
    | {
        readonly query?: GpuRmsNorm | undefined;
        readonly key?: GpuRmsNorm | undefined;
        readonly value?: GpuRmsNorm | undefined;
      }
    | undefined;
  /** Whether to multiply queries by the rope's factors. Only with `"apply"` and positions of the host. */
  readonly queryScale?: boolean | undefined;
  /** Destinations of the results; see {@link GpuRotateArguments}. */
  readonly out?:
    | {
        readonly query?: GpuPlace | undefined;
        readonly key?: GpuPlace | undefined;
        readonly value?: GpuPlace | undefined;
      }
    | undefined;
}

/** Positions in a buffer of the device, contiguous. */
export interface GpuPositions {
  /** Needs the usage `STORAGE`, and must not hold query, key or out. */
  readonly buffer: GpuBuffer;
  /** `[tokens]`, `[batch, tokens]`, or for a rope of several axes `[axes, tokens]`, `[axes, batch, tokens]`. */
  readonly shape: readonly number[];
  /** Index of the first position, in elements. Default 0. */
  readonly offset?: number | undefined;
  /** Default `"uint32"`. */
  readonly dtype?: "uint32" | "int32" | "int64" | undefined;
}

/**
 * The table of cos and sin for positions in a buffer: `"rows"`, one exact row for each position below the length; or
 * `"factored"`, about `1024 + length/1024` rows, of which a shader adds two angles (within 1.2e-7 of the exact values).
 */
export type TableKind = "rows" | "factored";

/** Tensors of one recorded rotation, and which map of the rope it is. */
export interface GpuStepArguments extends GpuPassArguments {
  /** `"apply"` (default), `"invert"` or `"adjoint"`; see the methods of `RotaryEmbedding`. */
  readonly operation?: Operation | undefined;
}

/** Options of a recorded rotation. */
export interface EncodeArguments extends GpuStepArguments, AtOptions {
  /**
   * Positions as `rope.apply` takes them, or in a buffer of the device. The host does not see positions in a buffer, so
   * they need `length`: a token with a position that is negative or not below it is not rotated, and `check` rejects. A
   * pass writes nothing for such a token.
   */
  readonly positions: Positions | GpuPositions;
}

/** The result of a recorded rotation. */
export interface EncodeResult {
  /** 1, or 0 if there is nothing to rotate. */
  readonly dispatches: number;
  /** Bytes of tensor elements that the dispatch reads and writes. */
  readonly bytes: number;
}

/** The positions of a call of typed arrays. */
export interface AtPositions extends AtOptions {
  readonly positions: Positions;
}

/** Options of the asynchronous methods. */
export interface AsyncOptions {
  /** Aborts the call: it rejects with the signal's reason, and writes nothing. */
  readonly signal?: AbortSignal | undefined;
}

/** cos and sin of the positions of one step on the device, for every layer of the step. */
export interface GpuStep {
  /** `[tokens, rotaryDim/2]`, with `batch` in front if positions have one. */
  readonly shape: readonly number[];
  /**
   * As `GpuRope.encode` at the step's positions, with the step's frequencies. The first call of `"invert"` and of
   * `"adjoint"` uploads their cos and sin.
   * @throws RopeError as `encode`; `ROPE_BACKEND_UNAVAILABLE` after `dispose`.
   */
  encode(target: GpuComputePass | GpuCommandEncoder, tensors: GpuStepArguments): EncodeResult;
  /**
   * Frees its memory on the device. Submitted commands still run; submit recorded ones before. A second call does
   * nothing.
   */
  dispose(): void;
  [Symbol.dispose](): void;
}

/**
 * A rope on a WebGPU device.
 *
 * `encode` is synchronous. It checks all arguments, then records: an error records nothing. `apply`, `invert`,
 * `adjoint` and `shift` take typed arrays, and copy them to the device and back. Every method throws, or rejects with,
 * RopeError `ROPE_INVALID_PARAMETERS` for an unknown key or a wrong option, and `ROPE_BACKEND_UNAVAILABLE` after the
 * device is lost or the rope disposed.
 *
 * float32 results equal JavaScript's within 1e-6, or bit for bit on a device without fused multiply-add. 16-bit
 * elements are computed in float32 and rounded once, to nearest, ties to even.
 */
export interface GpuRope {
  readonly backend: "webgpu";
  /** The rope in JavaScript, for tables, frequencies and everything else that needs no device. */
  readonly rope: RotaryEmbedding;
  readonly spec: RopeSpec;
  readonly capabilities: Required<RopeCapabilities>;
  readonly positionLimit: number;
  readonly device: GpuDevice;

  /**
   * Records the rotation of query and key, or their whole pass from projection to cache, as one dispatch.
   *
   * @param target a compute pass, whose pipeline and bind group 0 are replaced; or a command encoder, which gets a pass
   * of its own. The caller submits.
   * @throws RopeError `ROPE_SHAPE` for positions or tensors that do not fit each other or overlap;
   * `ROPE_POSITION_RANGE` for a position of the host outside the range; `ROPE_UNSUPPORTED` for an operation that the
   * type does not have, a norm of another operation than `"apply"`, a call beyond the device's limits, or outputs whose
   * words several heads share; `ROPE_BACKEND_UNAVAILABLE` if the platform refuses the call. Nothing is recorded then.
   */
  encode(target: GpuComputePass | GpuCommandEncoder, tensors: EncodeArguments): EncodeResult;
  /**
   * Compiles the kernel that `encode` needs for these arguments, so that its first dispatch does not wait. Records
   * nothing.
   */
  prepare(tensors: EncodeArguments, options?: AsyncOptions): Promise<void>;
  /** Uploads cos and sin of a step once, for every layer. @throws RopeError as `RotaryEmbedding.at`. */
  at(positions: Positions, options?: AtOptions): GpuStep;

  /**
   * `rope.apply` for typed arrays, by way of the device. Resolves when the results are written.
   * @throws RopeError (as rejection) as `rope.apply`; `ROPE_UNSUPPORTED` for float64, and as `encode`. Nothing is
   * written then.
   */
  apply(tensors: RotateArguments & AtPositions, options?: AsyncOptions): Promise<RotateResult>;
  apply(tensors: PassArguments & AtPositions, options?: AsyncOptions): Promise<PassResult>;
  invert(tensors: RotateArguments & AtPositions, options?: AsyncOptions): Promise<RotateResult>;
  invert(tensors: PassArguments & AtPositions, options?: AsyncOptions): Promise<PassResult>;
  adjoint(tensors: RotateArguments & AtPositions, options?: AsyncOptions): Promise<RotateResult>;
  adjoint(tensors: PassArguments & AtPositions, options?: AsyncOptions): Promise<PassResult>;
  shift(tensors: ShiftArguments, options?: AsyncOptions): Promise<Tensor>;
  shift(tensors: CacheShiftArguments, options?: AsyncOptions): Promise<PassPlace>;

  /**
   * Resolves if the device reported no error since the last call of `check`. Call it after the commands are submitted.
   *
   * @throws RopeError (as rejection) `ROPE_POSITION_RANGE` for positions in a buffer that are negative or not below
   * `length`; `ROPE_SHAPE` for slots in a buffer that the cache does not have; `ROPE_BACKEND_UNAVAILABLE` if the device
   * refused a call or is out of memory.
   */
  check(): Promise<void>;
  /**
   * Frees the rope's memory on the device, and the device if the rope requested it itself. Submit recorded commands
   * before. A second call does nothing.
   */
  dispose(): void;
  [Symbol.dispose](): void;
}

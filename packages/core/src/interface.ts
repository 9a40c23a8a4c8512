/**
 * The rope, as its users see it: what `getRope` returns, what its methods take and give.
 *
 * Nothing here runs; `rope.ts` implements it.
 */

import type { ElementArray, ElementType } from "./element-types.ts";
import type { Pairing } from "./pairing.ts";
import type { Positions } from "./positions.ts";
import type { Precision, RopeCapabilities, RopeRule } from "./provider.ts";
import type { RopeSpec } from "./request.ts";
import type { Tensor } from "./tensor.ts";

/** Tensors of one call; at least one of `query` and `key`. They may have different numbers of heads. */
export interface RotateArguments {
  readonly query?: Tensor | undefined;
  readonly key?: Tensor | undefined;
  /**
   * Where results go; absent ones are rotated in place. An output has the logical shape of its input, but may have
   * another element type and other strides: float32 keys go into a slot of a float16 cache in one pass.
   */
  readonly out?: { readonly query?: Tensor | undefined; readonly key?: Tensor | undefined } | undefined;
}

/** What a rotation returns: the tensors that were written, as the caller passed them. */
export interface RotateResult {
  readonly query: Tensor | undefined;
  readonly key: Tensor | undefined;
}

/** Options of a gather. */
export interface AtOptions {
  /**
   * The current length in tokens, for types whose frequencies depend on it. Default: the largest position + 1, as
   * Hugging Face computes it.
   */
  readonly length?: number | undefined;
}

/** Keys to move, and where; `length` says under which length they were rotated, where that matters. */
export interface ShiftArguments extends AtOptions {
  readonly keys: Tensor;
  readonly from: Positions;
  readonly to: Positions;
  /** Where the moved keys go; in place if absent. */
  readonly out?: Tensor | undefined;
}

/** Options of `cosSin`. */
export interface CosSinOptions extends AtOptions {
  /**
   * `"half"` (default): `rotaryDim/2` columns, one for each pair (ONNX Runtime, vLLM, flash-attention).
   * `"full"`: `rotaryDim` columns, each value at both elements of its pair (Hugging Face, ATB).
   */
  readonly width?: "half" | "full" | undefined;
  /** Element type of the result. Default `"float32"`; 16-bit types, rounded from float32, come as bits in a Uint16Array. */
  readonly dtype?: ElementType | undefined;
  /** Where they go: arrays of that type and of the result's length. New ones if absent; for a large table they cost as much as its values. */
  readonly out?: { readonly cos: ElementArray; readonly sin: ElementArray } | undefined;
}

/** cos and sin as arrays of the caller's own. */
export interface CosSin {
  /** `[tokens, columns]`, with `batch` in front where positions have one; row-major; amplitude included. */
  readonly shape: readonly number[];
  readonly cos: ElementArray;
  readonly sin: ElementArray;
}

/** The numbers that define a rope at one length. */
export interface Frequencies {
  /** `rotaryDim/2` angles per position, radians; exact float32 values for `precision: "float32"`. A copy. */
  readonly invFreq: Float64Array;
  /** Multiplies cos and sin. */
  readonly attentionFactor: number;
  /** For the attention layer: multiplies `1/√headDim`. Not part of cos and sin. */
  readonly softmaxScaleFactor: number;
  /** The position axis of each pair; all 0 for a rope of one axis. */
  readonly axes: Uint8Array;
}

/** `explain()`: every number with the rule that gave it, as plain data. */
export interface RopeExplanation {
  readonly spec: RopeSpec;
  readonly rules: readonly RopeRule[];
  readonly pairs: readonly {
    readonly pair: number;
    /** Elements of the head that form the pair. */
    readonly elements: readonly [number, number];
    readonly axis: number;
    readonly invFreq: number;
    /** Positions in one full turn, `2π/invFreq`; infinite where the pair is not rotated. */
    readonly wavelength: number;
    /** The provider's word for what it did with the pair, or `""`. */
    readonly regime: string;
  }[];
}

/** cos and sin of one step's positions, gathered once for use in every layer. */
export interface RotaryStep {
  /** `[tokens, rotaryDim/2]`, with `batch` in front where positions have one. */
  readonly shape: readonly number[];
  /** Amplitude included. A copy that belongs to the caller: writing into it changes no rotation. */
  readonly cos: Float32Array;
  readonly sin: Float32Array;
  /** `[tokens]` (or `[batch, tokens]`): what the attention layer multiplies queries by, where the rope has such a rule. */
  readonly queryScale: Float32Array | null;
  /** The effective length that the step's frequencies belong to; `null` for types that do not depend on the length. */
  readonly effectiveLength: number | null;
  /** Rotates like `rope.apply` with the step's positions. */
  apply(tensors: RotateArguments): RotateResult;
}

/** Backends by name, with their options and what `rope.to` gives; a backend package augments it. */
// oxlint-disable-next-line no-empty-interface -- the point of it: packages add to it
export interface RopeBackends {}

/**
 * Rotary position embedding: a frequency for each pair of elements of a head, and the rotation by position × frequency.
 *
 * For a pair `(x, y)` at position `p`, with `φ = direction · p · invFreq` and the amplitude `m = attentionFactor`:
 * `x' = m (x cos φ − y sin φ)`, `y' = m (y cos φ + x sin φ)`.
 *
 * Instances are shared and frozen. Every method checks all its arguments before it writes anything: an error leaves
 * every tensor untouched.
 */
export interface RotaryEmbedding {
  /** The whole rope as plain data. */
  readonly spec: RopeSpec;
  /** The canonical name of the type. */
  readonly ropeType: string;
  readonly headDim: number;
  readonly rotaryDim: number;
  readonly rotaryOffset: number;
  readonly base: number;
  readonly maxPosition: number | null;
  readonly pairing: Pairing;
  readonly precision: Precision;
  /** Positions must be below this: `maxPosition`, what the type extends it to, or 2^24 + 1. */
  readonly positionLimit: number;
  readonly capabilities: Required<RopeCapabilities>;
  /** The name of the backend that rotates: `"js"` for core's own. */
  readonly backend: string;
  /** Multiplies cos and sin (at the shortest length, where it depends on the length). */
  readonly attentionFactor: number;
  /** Multiplies the softmax scale; the attention layer must apply it. */
  readonly softmaxScaleFactor: number;

  /**
   * Rotates query and key by their positions, in place or to `out`.
   * @throws RopeError `ROPE_POSITION_RANGE`, `ROPE_SHAPE`.
   */
  apply(tensors: RotateArguments & AtOptions & { readonly positions: Positions }): RotateResult;
  /** Gathers cos and sin once, for use in every layer of a step. */
  at(positions: Positions, options?: AtOptions): RotaryStep;
  /**
   * cos and sin in the shape and element type that another engine takes: new arrays, or those of `out`.
   * @throws RopeError `ROPE_POSITION_RANGE`, `ROPE_SHAPE`, `ROPE_INVALID_PARAMETERS`. Nothing is written then.
   */
  cosSin(positions: Positions, options?: CosSinOptions): CosSin;
  /** The numbers behind the rope, at a current length of `length` tokens where the type depends on it. */
  frequencies(length?: number): Frequencies;
  /**
   * The true inverse: angle −φ and amplitude 1/m, so that `invert` undoes `apply`.
   * @throws RopeError as `apply`; `ROPE_UNSUPPORTED` for a type that is no rotation.
   */
  invert(tensors: RotateArguments & AtOptions & { readonly positions: Positions }): RotateResult;
  /**
   * The transposed map, which carries gradients backwards: angle −φ and the same amplitude m.
   * `dL/dx = m R(−φ) dL/dx'`.
   * @throws RopeError as `invert`.
   */
  adjoint(tensors: RotateArguments & AtOptions & { readonly positions: Positions }): RotateResult;
  /**
   * Moves rotated keys from one position to another, with amplitude 1: what was `apply`-ed at `from` becomes what
   * `apply` at `to` would give, up to rounding. `from` and `to` are absolute, so that repeated shifts do not drift.
   * @throws RopeError as `apply`; `ROPE_UNSUPPORTED` for a type that does not declare `canShift`.
   */
  shift(tensors: ShiftArguments): Tensor;
  /**
   * Names the frequencies in force at a length: keys that were rotated while it was another number are stale, and have
   * to be rotated anew from what they were before. `null` for types that do not depend on the length.
   */
  effectiveLength(length: number): number | null;
  /** Every number with the rule that gave it. */
  explain(length?: number): RopeExplanation;
  /**
   * The rope on another backend, registered by importing its package.
   * @throws RopeError `ROPE_BACKEND_UNAVAILABLE`.
   */
  to<N extends keyof RopeBackends>(backend: N, options?: BackendOptions<N>): BackendRope<N>;
  to<N extends string>(backend: N extends keyof RopeBackends ? never : N, options?: unknown): unknown;
}

/** The options that backend `N` takes. */
export type BackendOptions<N extends keyof RopeBackends> = RopeBackends[N] extends { options: infer O } ? O : never;
/** What `rope.to(N)` returns. */
export type BackendRope<N extends keyof RopeBackends> = RopeBackends[N] extends { rope: infer R } ? R : never;

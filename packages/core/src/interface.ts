/**
 * The public interface of a rope: the methods of the object that `getRope` returns, their arguments and results. Types
 * only; `rope.ts` implements it.
 */

import type { ElementArray, ElementType } from "./element-types.ts";
import type { Pairing } from "./pairing.ts";
import type { PassArguments, PassPlace, PassResult } from "./pass-arguments.ts";
import type { Positions } from "./positions.ts";
import type { Precision, RopeCapabilities, RopeRule } from "./provider.ts";
import type { RopeSpec } from "./request.ts";
import type { Tensor } from "./tensor.ts";

/**
 * The tensors of one call: `query`, `key`, or both. They belong to the caller.
 *
 * Their logical shape is `[batch, tokens, heads, headDim]`, `[tokens, heads, headDim]` or `[tokens, heads · headDim]`.
 * Both have the tokens of the positions; their numbers of heads may differ. They may share a buffer if they have no
 * element in common. float32 and float64 are computed in their own type. 16-bit elements are computed in float32, and
 * the result is rounded once, to nearest, ties to even.
 */
export interface RotateArguments {
  readonly query?: Tensor | undefined;
  readonly key?: Tensor | undefined;
  /**
   * Destinations of the results. A tensor without one is rotated in place. A destination has the logical shape of its
   * input, but may have another element type and other strides: float32 keys go into a slot of a float16 cache in one
   * pass. Elements that are not rotated are copied.
   */
  readonly out?: { readonly query?: Tensor | undefined; readonly key?: Tensor | undefined } | undefined;
}

/** The tensors that a rotation wrote, as the caller passed them: `out` if given, else the input. */
export interface RotateResult {
  readonly query: Tensor | undefined;
  readonly key: Tensor | undefined;
}

/** Options of calls that take positions. */
export interface AtOptions {
  /**
   * The current length in tokens, an integer ≥ 0, for types whose frequencies depend on it. Default: the largest
   * position + 1, as Hugging Face computes it.
   */
  readonly length?: number | undefined;
}

/**
 * Arguments of `shift`. `length` is the length under which the keys were rotated, which types that depend on it need:
 * it names the frequencies of both ends.
 */
export interface ShiftArguments extends AtOptions {
  /** Rotated keys, as `apply` takes them. */
  readonly keys: Tensor;
  /** The positions at which the keys were rotated. */
  readonly from: Positions;
  /** The positions that they get; same shape as `from`. */
  readonly to: Positions;
  /** Destination of the moved keys. Default: in place. */
  readonly out?: Tensor | undefined;
}

/** Arguments of `shift` for keys in a cache: they are read as numbers, moved, and rounded to their type again. */
export interface CacheShiftArguments extends Omit<ShiftArguments, "keys" | "out"> {
  readonly keys: PassPlace;
  readonly out?: PassPlace | undefined;
}

/** Options of `cosSin`, for cos and sin as two tables. */
export interface CosSinOptions extends AtOptions {
  /** `"separate"` (default); see {@link CosSinTableOptions} for one table. */
  readonly form?: "separate" | undefined;
  /**
   * `"half"` (default): `rotaryDim/2` columns, one for each pair (ONNX Runtime, vLLM, flash-attention).
   * `"full"`: `rotaryDim` columns, each value at both elements of its pair (Hugging Face, ATB).
   */
  readonly width?: "half" | "full" | undefined;
  /**
   * Element type of the result. Default `"float32"`. 16-bit types are rounded from float32 and come as bits in a
   * Uint16Array.
   */
  readonly dtype?: ElementType | undefined;
  /**
   * The arrays to write to, of that element type and of the length of the result. Default: new arrays; to allocate a
   * large table takes as long as to compute it.
   */
  readonly out?: { readonly cos: ElementArray; readonly sin: ElementArray } | undefined;
}

/** Options of `cosSin`, for cos and sin in one table. */
export interface CosSinTableOptions extends AtOptions {
  /**
   * `"concatenated"`: `[…, rotaryDim]`, each row the cos of all pairs, then their sin (vLLM and SGLang
   * `cos_sin_cache`).
   * `"interleaved"`: `[…, pairs, 2]`, cos and sin of each pair (TensorRT-LLM `rotary_cos_sin`, ggml).
   * `"complex"`: another word for `"interleaved"`, since complex numbers `cos + i·sin` lie in memory so: complex64 for
   * dtype `"float32"`, complex128 for `"float64"` (`freqs_cis` of Llama's own code; `torch.view_as_complex`).
   */
  readonly form: "concatenated" | "interleaved" | "complex";
  /** One column for each pair; these forms have no other width. */
  readonly width?: "half" | undefined;
  /** As in {@link CosSinOptions}; no 16-bit type for `"complex"`. */
  readonly dtype?: ElementType | undefined;
  /** The array to write to, of that element type and of the length of the result. Default: a new array. */
  readonly out?: ElementArray | undefined;
}

/** cos and sin in one array that belongs to the caller. */
export interface CosSinTable {
  /**
   * `[tokens, rotaryDim]` for `"concatenated"`, `[tokens, rotaryDim/2, 2]` for the others, with `batch` in front where
   * positions have one; row-major; amplitude included.
   */
  readonly shape: readonly number[];
  readonly data: ElementArray;
}

/** cos and sin as arrays that belong to the caller. */
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
  /** The factor of cos and sin; they include it. */
  readonly attentionFactor: number;
  /** The factor of the softmax scale `1/√headDim`. The attention layer must apply it; cos and sin do not include it. */
  readonly softmaxScaleFactor: number;
  /** The position axis of each pair; all 0 for a rope of one axis. A copy. */
  readonly axes: Uint8Array;
}

/** The result of `explain()`: every number with the rule that gave it. Plain data, a copy. */
export interface RopeExplanation {
  readonly spec: RopeSpec;
  readonly rules: readonly RopeRule[];
  readonly pairs: readonly {
    readonly pair: number;
    /** The two elements of the head that form the pair. */
    readonly elements: readonly [number, number];
    readonly axis: number;
    readonly invFreq: number;
    /** Positions in one full turn, `2π/invFreq`; infinite where the pair is not rotated. */
    readonly wavelength: number;
    /** The provider's word for its treatment of the pair (`"kept"`, `"interpolated"`), or `""`. */
    readonly regime: string;
  }[];
}

/** cos and sin of the positions of one step, computed once and used in every layer. Frozen. */
export interface RotaryStep {
  /** The shape of cos and sin: `[tokens, rotaryDim/2]`, with `batch` in front if positions have one. */
  readonly shape: readonly number[];
  /**
   * cos of every token and pair, attention factor included. A copy that belongs to the caller: to write to it changes
   * no rotation.
   */
  readonly cos: Float32Array;
  /** The same for sin. */
  readonly sin: Float32Array;
  /**
   * The factor of the queries of each token, `[tokens]` or `[batch, tokens]`, which the attention layer must apply;
   * `null` for a rope without `queryScale`.
   */
  readonly queryScale: Float32Array | null;
  /** The effective length of the step's frequencies; `null` for types that do not depend on the length. */
  readonly effectiveLength: number | null;
  /**
   * Rotates query and key as `rope.apply` does at the step's positions.
   * @throws RopeError `ROPE_SHAPE` for tensors that do not fit the step or overlap; `ROPE_INVALID_PARAMETERS` for an
   * unknown key; `ROPE_UNSUPPORTED` for a pass on a backend that only rotates. Nothing is written then.
   */
  apply(tensors: RotateArguments): RotateResult;
  apply(tensors: PassArguments): PassResult;
  /**
   * The inverse of the step's `apply`, as `rope.invert`, with the step's frequencies.
   * @throws RopeError as `apply`; `ROPE_UNSUPPORTED` for a type that declares `isRotation: false`.
   */
  invert(tensors: RotateArguments): RotateResult;
  invert(tensors: PassArguments): PassResult;
  /**
   * The transpose of the step's `apply`, as `rope.adjoint`, with the step's frequencies: the backward pass of a layer.
   * @throws RopeError as `invert`.
   */
  adjoint(tensors: RotateArguments): RotateResult;
  adjoint(tensors: PassArguments): PassResult;
}

/** The options and the result of `rope.to` by the backend's name. A backend package adds its own. */
// oxlint-disable-next-line no-empty-interface -- the point of it: packages add to it
export interface RopeBackends {}

/**
 * Rotary position embedding: a frequency for each pair of elements of a head, and the rotation by position × frequency.
 *
 * For a pair `(x, y)` at position `p`, with `φ = direction · p · invFreq` and the amplitude `m = attentionFactor`:
 * `x' = m (x cos φ − y sin φ)`, `y' = m (y cos φ + x sin φ)`.
 *
 * Instances are shared and frozen. Every method checks all its arguments before it writes: an error leaves every tensor
 * untouched. Every method throws `ROPE_INVALID_PARAMETERS` for an unknown key of its arguments or options.
 *
 * Source: Su et al., RoFormer (arXiv 2104.09864), §3.2.2; the amplitude: YaRN (arXiv 2309.00071), §3.4.
 */
export interface RotaryEmbedding {
  /** The whole rope as plain data. */
  readonly spec: RopeSpec;
  /** The name of the type, aliases resolved. */
  readonly ropeType: string;
  readonly headDim: number;
  readonly rotaryDim: number;
  readonly rotaryOffset: number;
  readonly base: number;
  readonly maxPosition: number | null;
  readonly pairing: Pairing;
  readonly precision: Precision;
  /**
   * All positions are below this: the larger of `maxPosition` and the context that the type extends it to. Without
   * `maxPosition`, and at most, 2^24 + 1.
   */
  readonly positionLimit: number;
  /** What the rope can do. */
  readonly capabilities: Required<RopeCapabilities>;
  /** The name of the backend that rotates: `"js"` for core's own. `getRope`'s option `backend` chooses. */
  readonly backend: string;
  /** The factor of cos and sin, which include it; at length 1 if it depends on the length. */
  readonly attentionFactor: number;
  /** The factor of the softmax scale, which the attention layer must apply; at length 1 if it depends on the length. */
  readonly softmaxScaleFactor: number;

  /**
   * Rotates query and key by their positions, in place or to `out`.
   * @returns the tensors that were written.
   * @throws RopeError `ROPE_POSITION_RANGE` for a position that is negative, no integer, or not below `positionLimit`;
   * `ROPE_SHAPE` for positions or tensors that do not fit each other, or tensors that overlap;
   * `ROPE_INVALID_PARAMETERS` for an unknown key or a length that is no integer ≥ 0.
   *
   * @example
   * import "@ropewalk/default";
   *
   * const rope = getRope({ headDim: 4, parameters: { ropeType: "default" } });
   * const data = Float32Array.of(1, 0, 0, 0);
   * rope.apply({ positions: [1], query: data });
   * data[0]; // 0.5403022766113281
   */
  apply(tensors: RotateArguments & AtOptions & { readonly positions: Positions }): RotateResult;
  apply(tensors: PassArguments & AtOptions & { readonly positions: Positions }): PassResult;
  /**
   * cos and sin of positions, computed once and used in every layer of a step.
   * @throws RopeError as `apply`.
   */
  at(positions: Positions, options?: AtOptions): RotaryStep;
  /**
   * cos and sin as `[tokens, columns]` or `[batch, tokens, columns]`, for engines that rotate themselves: new arrays,
   * or the arrays of `out`. `attentionFactor` is included. `form` gives them in one table.
   * @throws RopeError `ROPE_POSITION_RANGE` and `ROPE_SHAPE` for positions, as `apply`; `ROPE_SHAPE` for arrays of
   * `out` that do not fit or overlap; `ROPE_INVALID_PARAMETERS` for an unknown option, form, width or element type, and
   * for those that contradict each other. Nothing is written then.
   */
  cosSin(positions: Positions, options: CosSinTableOptions): CosSinTable;
  cosSin(positions: Positions, options?: CosSinOptions): CosSin;
  /**
   * Frequencies and factors of the rope, at a current length of `length` tokens (default 1) if the type depends on it.
   * @throws RopeError `ROPE_INVALID_PARAMETERS` for a length that is no integer ≥ 0.
   */
  frequencies(length?: number): Frequencies;
  /**
   * `direction / invFreq` of each pair: the positions for one radian, `rotaryDim/2` values, rounded once to float32;
   * `Infinity` for a pair that is not rotated. MLX takes them as `freqs` of `mx.fast.rope`, and divides. They hold no
   * `attentionFactor` and no axis. A copy.
   * @throws RopeError `ROPE_INVALID_PARAMETERS` for a length that is no integer ≥ 0.
   */
  periods(length?: number): Float32Array;
  /**
   * The inverse of `apply`: angle −φ and amplitude 1/m.
   * @throws RopeError as `apply`; `ROPE_UNSUPPORTED` for a type that declares `isRotation: false`.
   */
  invert(tensors: RotateArguments & AtOptions & { readonly positions: Positions }): RotateResult;
  invert(tensors: PassArguments & AtOptions & { readonly positions: Positions }): PassResult;
  /**
   * The transpose of `apply`, for the gradient of the input: angle −φ and the same amplitude m.
   * `dL/dx = m R(−φ) dL/dx'`.
   * @throws RopeError as `invert`.
   */
  adjoint(tensors: RotateArguments & AtOptions & { readonly positions: Positions }): RotateResult;
  adjoint(tensors: PassArguments & AtOptions & { readonly positions: Positions }): PassResult;
  /**
   * Moves rotated keys from one position to another, with amplitude 1. Keys that `apply` rotated at `from` become, up
   * to rounding, the keys that `apply` would give at `to`. Both are absolute positions, so repeated shifts do not
   * drift.
   * @returns the tensor that was written: `out` or `keys`.
   * @throws RopeError as `apply`; `ROPE_SHAPE` when `from` and `to` differ in shape; `ROPE_UNSUPPORTED` for a type that
   * does not declare `canShift`, unless it is a rotation that only depends on the length and `length` is given.
   */
  shift(tensors: ShiftArguments): Tensor;
  shift(tensors: CacheShiftArguments): PassPlace;
  /**
   * The effective length at `length` tokens: lengths with the same result have the same frequencies. Keys that were
   * rotated at another effective length are stale: rotate the unrotated keys again. `null` for types that do not depend
   * on the length.
   * @throws RopeError `ROPE_INVALID_PARAMETERS` for a length that is no integer ≥ 0.
   */
  effectiveLength(length: number): number | null;
  /**
   * Every number of the rope with the rule that gave it, at `length` tokens (default 1).
   * @throws RopeError `ROPE_INVALID_PARAMETERS` for a length that is no integer ≥ 0.
   */
  explain(length?: number): RopeExplanation;
  /**
   * The rope on another backend. Importing a backend's package registers it.
   * @throws RopeError `ROPE_BACKEND_UNAVAILABLE` when the backend is not registered or cannot run here;
   * `ROPE_INVALID_PARAMETERS` for options that the backend does not take.
   */
  to<N extends keyof RopeBackends>(backend: N, options?: BackendOptions<N>): BackendRope<N>;
  to<N extends string>(backend: N extends keyof RopeBackends ? never : N, options?: unknown): unknown;
}

/** The options that backend `N` takes. */
export type BackendOptions<N extends keyof RopeBackends> = RopeBackends[N] extends { options: infer O } ? O : never;
/** The result of `rope.to(N)`. */
export type BackendRope<N extends keyof RopeBackends> = RopeBackends[N] extends { rope: infer R } ? R : never;

/**
 * The arguments of a pass from projection to cache. `pass-check.ts` checks them.
 *
 * A call is a pass when it asks for more than a rotation: values, a norm, factors of queries, slots of a cache, 8-bit
 * elements, or heads in groups.
 */

import type { ElementType, TensorData } from "./element-types.ts";
import type { Tensor } from "./tensor.ts";

/** Element types of caches: those of tensors, and two of 8 bits. */
export type CacheElementType = ElementType | "int8" | "float8_e4m3";

/**
 * A tensor of a cache, or one whose heads lie in groups: a {@link TensorView} with more element types and places.
 *
 * - int8, in an `Int8Array`: the number is `element · scales[token, head]`. To write a head sets its scale to
 *   `max|x| / 127`.
 * - float8_e4m3, bits in a `Uint8Array` with `dtype`: the number is `element · scale`. Magnitudes beyond `448 · scale`
 *   become that.
 * - `groups` is for queries that share a buffer with the keys and values of their group.
 */
export interface CacheView {
  readonly data: TensorData | Int8Array | Uint8Array;
  readonly shape: readonly number[];
  readonly strides?: readonly number[] | undefined;
  readonly offset?: number | undefined;
  readonly dtype?: CacheElementType | undefined;
  /** For float8_e4m3, and required there: a finite number > 0, rounded to float32. */
  readonly scale?: number | undefined;
  /** For int8, and required there: a float32 tensor of the same shape with 1 in the place of `headDim`. */
  readonly scales?: Tensor | undefined;
  /**
   * Where heads do not have one stride: `heads` of them follow each other, and `stride` elements further the next group
   * begins. Queries of `g` groups of `n` heads beside one key and one value head each: `heads: n`,
   * `stride: (n + 2) · headDim`. Needs `strides`, and elements of 16 bits or more.
   */
  readonly groups?: { readonly heads: number; readonly stride: number } | undefined;
}

/** Places of tokens in a cache, as the slot mapping of a paged cache gives them. */
export interface CacheSlots {
  /** `[slots, heads, headDim]`, or `[blocks, slotsOfBlock, heads, headDim]`, in any order of memory. */
  readonly cache: CacheView;
  /**
   * The slot of each token, `[batch · tokens]`: slot `s` of blocks of `n` slots is slot `s mod n` of block
   * `floor(s / n)`. −1 leaves the token out: nothing is read or written for it. No slot may occur twice.
   */
  readonly slots: readonly number[] | Int32Array | Uint32Array | BigInt64Array;
}

/** A tensor of a pass. */
export type PassPlace = Tensor | CacheView | CacheSlots;

/**
 * Root mean square normalisation of queries, keys or values: `x · 1/√(Σx²/n + epsilon) · (weight + weightOffset)`.
 *
 * Everything is computed in float32 (float64 for float64 tensors) and rounds at each operation. The sum of a head has
 * the order that docs/numerics.md gives; sums of several heads are added in the order of heads.
 *
 * Source: Zhang and Sennrich, RMSNorm (arXiv 1910.07467), eq. 4. Qwen 3, OLMo 2, Gemma 3, HunYuan, Llama 4 (whose
 * `Llama4TextL2Norm` is this without a weight), transformers 5.24.
 */
export interface RmsNorm {
  /** Added to the mean of squares; finite, ≥ 0. Models differ, so it has no default. */
  readonly epsilon: number;
  /** `headDim` values; with `over: "heads"`, `heads · headDim`. Default: none. */
  readonly weight?: TensorData | { readonly data: TensorData; readonly dtype?: ElementType | undefined } | undefined;
  /** Added to each weight. Default 0; Gemma's is 1. */
  readonly weightOffset?: number | undefined;
  /** What one mean is taken over: `"head"` (default), or `"heads"`, all heads of a token (OLMo 2). */
  readonly over?: "head" | "heads" | undefined;
  /** `"before"` (default: Qwen 3, Gemma 3, OLMo 2) or `"after"` the rotation (HunYuan, Llama 4). */
  readonly when?: "before" | "after" | undefined;
}

/**
 * The tensors of a call that does more than to rotate: the pass from projection to cache. Each element is read once and
 * written once.
 *
 * In this order, for each tensor: `norm` before the rotation, the rotation (not of values), `norm` after it,
 * `queryScale`, rounding to the element type of the destination. The work is done in float32, for float64 tensors in
 * float64.
 */
export interface PassArguments {
  /** As `apply` takes it for a rotation, or a tensor of a cache, or one with heads in groups. */
  readonly query?: PassPlace | undefined;
  readonly key?: PassPlace | undefined;
  /**
   * Values, which are not rotated: they are written to `out.value`. Their heads may have another size than the rope's,
   * which the shape of a view gives.
   */
  readonly value?: PassPlace | undefined;
  /** Norms of the tensors. Only with `apply`. */
  readonly norm?:
    | {
        readonly query?: RmsNorm | undefined;
        readonly key?: RmsNorm | undefined;
        readonly value?: RmsNorm | undefined;
      }
    | undefined;
  /** Whether to multiply queries by the factors that `step.queryScale` reports. Default false. Only with `apply`. */
  readonly queryScale?: boolean | undefined;
  /** Destinations of the results; a query or key without one is rotated in place. */
  readonly out?:
    | {
        readonly query?: PassPlace | undefined;
        readonly key?: PassPlace | undefined;
        readonly value?: PassPlace | undefined;
      }
    | undefined;
}

/** The tensors that a pass wrote, as the caller passed them: `out` if given, else the input. */
export interface PassResult {
  readonly query: PassPlace | undefined;
  readonly key: PassPlace | undefined;
  readonly value: PassPlace | undefined;
}

/** Whether a call asks for more than a rotation. */
export function isPass(call: PassArguments): boolean {
  const { query, key, out } = call;
  return (
    call.value !== undefined ||
    call.norm !== undefined ||
    call.queryScale !== undefined ||
    isPassPlace(query) ||
    isPassPlace(key) ||
    (out !== undefined && out !== null && (out.value !== undefined || isPassPlace(out.query) || isPassPlace(out.key)))
  );
}

/** Whether a tensor is one that only a pass takes. No property is read, since a getter may answer once only. */
export const isPassPlace = (place: PassPlace | undefined): boolean =>
  typeof place === "object" &&
  place !== null &&
  !ArrayBuffer.isView(place) &&
  ("cache" in place || "scale" in place || "scales" in place || "groups" in place);

/**
 * Tensors: descriptions of the caller's memory. Nothing here copies or allocates elements.
 */

import { viewName } from "./element-types.ts";
import type { ElementArray, ElementType, TensorData } from "./element-types.ts";
import { shapeError, show } from "./errors.ts";
import { checkKeys } from "./keys.ts";

/**
 * Queries or keys:
 * - a typed array: contiguous `[tokens, heads, headDim]`, or `[batch, tokens, heads, headDim]` if positions have a
 *   batch; the number of heads follows from the length;
 * - `{ data, shape, strides?, offset?, dtype? }`: `shape` is the logical `[batch, tokens, heads, headDim]`,
 *   `[tokens, heads, headDim]` or `[tokens, heads · headDim]`. `strides` give the order in memory, in elements, one for
 *   each entry of `shape`: head-first is `shape [t, h, d]` with `strides [d, t·d, 1]`.
 *
 * `Uint16Array` holds the bits of float16 or bfloat16 and needs `dtype`.
 */
export type Tensor = TensorData | TensorView;

/** A tensor with an explicit shape. The memory is the caller's. */
export interface TensorView {
  readonly data: TensorData;
  /** The logical shape; see {@link Tensor}. */
  readonly shape: readonly number[];
  /** Elements from one index to the next on each axis of `shape`. Default: row-major, contiguous. */
  readonly strides?: readonly number[];
  /** Index of the first element. Default 0. */
  readonly offset?: number;
  /** Required for `Uint16Array`; otherwise it must agree with the array. */
  readonly dtype?: ElementType;
}

/** A checked tensor: every index that the shape can form lies inside `data`. */
export interface TensorLayout {
  readonly data: ElementArray;
  readonly dtype: ElementType;
  readonly batch: number;
  readonly tokens: number;
  readonly heads: number;
  readonly headDim: number;
  /** In elements. */
  readonly batchStride: number;
  readonly tokenStride: number;
  readonly headStride: number;
  readonly elementStride: number;
  readonly offset: number;
}

/** The sizes that a tensor must have. */
export interface TensorExpectation {
  /** Rows of the batch; `undefined` accepts any number, since all rows share positions. */
  readonly batch: number | undefined;
  readonly tokens: number;
  readonly headDim: number;
}

/**
 * Describes a tensor. Nothing is copied: the layout refers to the caller's memory.
 *
 * @param name for messages: `"query"`.
 * @throws RopeError `ROPE_SHAPE` when form, element type, shape, strides or offset are wrong, the sizes differ from
 * `expected`, or an index falls outside the data; `ROPE_INVALID_PARAMETERS` for an unknown key.
 */
export function resolveTensor(name: string, tensor: Tensor, expected: TensorExpectation): TensorLayout {
  return isArray(tensor) ? resolveContiguous(name, tensor, expected) : resolveView(name, tensor, expected);
}

function isArray(tensor: unknown): tensor is TensorData {
  return ArrayBuffer.isView(tensor);
}

function resolveContiguous(
  name: string,
  array: TensorData,
  { batch = 1, tokens, headDim }: TensorExpectation,
): TensorLayout {
  const { data, dtype } = elements(name, array, undefined);
  const rows = batch * tokens;
  const heads = rows === 0 ? 0 : data.length / (rows * headDim);
  if (!Number.isInteger(heads) || (heads === 0 && rows > 0) || (rows === 0 && data.length > 0)) {
    throw shapeError(
      name,
      `a multiple of ${batch > 1 ? `${batch} × ` : ""}${tokens} tokens × ${headDim} elements`,
      data.length === 0 ? emptyText(data) : `${data.length} elements`,
      "Pass { data, shape, strides } for another layout in memory.",
    );
  }
  return contiguous(data, dtype, batch, tokens, heads, headDim, 0);
}

/** Row-major, `[batch, tokens, heads, headDim]`. */
export function contiguous(
  data: ElementArray,
  dtype: ElementType,
  batch: number,
  tokens: number,
  heads: number,
  headDim: number,
  offset: number,
): TensorLayout {
  const tokenStride = heads * headDim;
  const batchStride = tokens * tokenStride;
  const headStride = headDim;
  return { data, dtype, batch, tokens, heads, headDim, batchStride, tokenStride, headStride, elementStride: 1, offset };
}

const viewKeys = ["data", "shape", "strides", "offset", "dtype"];
/** Comparisons, because a search through the list takes twice the time, for each tensor of each call. */
const isViewKey = (key: string): boolean =>
  key === "data" || key === "shape" || key === "dtype" || key === "strides" || key === "offset";

function resolveView(name: string, view: TensorView, expected: TensorExpectation): TensorLayout {
  if (typeof view !== "object" || view === null || !isArray(view.data) || !Array.isArray(view.shape)) {
    throw shapeError(name, "a typed array or { data, shape, strides?, offset?, dtype? }", show(view));
  }
  for (const key in view) if (!isViewKey(key)) checkKeys(`"${name}"`, view, viewKeys);
  const { data, dtype } = elements(name, view.data, view.dtype);
  return contiguousLayout(data, dtype, view, expected) ?? resolveLayout(name, data, dtype, view, expected);
}

/** The usual case in a few comparisons: `[tokens, heads, headDim]`, row-major, inside its data. */
function contiguousLayout(
  data: ElementArray,
  dtype: ElementType,
  { shape, strides, offset = 0 }: TensorView,
  { batch = 1, tokens, headDim }: TensorExpectation,
): TensorLayout | undefined {
  const heads = shape[1]!;
  if (strides !== undefined || batch !== 1 || shape.length !== 3 || shape[0] !== tokens || shape[2] !== headDim) {
    return undefined;
  }
  const isSized = Number.isSafeInteger(heads) && heads >= 0 && Number.isSafeInteger(offset) && offset >= 0;
  if (!isSized || offset + tokens * heads * headDim > data.length) return undefined;
  return contiguous(data, dtype, batch, tokens, heads, headDim, offset);
}

/**
 * Describes a tensor in memory of any kind. `data` is a typed array, or an object that stands for one (for a buffer on
 * a device) and has its `buffer`, `byteOffset`, `length` and `BYTES_PER_ELEMENT`.
 *
 * @throws RopeError `ROPE_SHAPE` when shape, strides or offset are wrong, the sizes differ from `expected`, or an index
 * falls outside the data.
 */
export function resolveLayout(
  name: string,
  data: ElementArray,
  dtype: ElementType,
  view: Pick<TensorView, "shape" | "strides" | "offset">,
  expected: TensorExpectation,
): TensorLayout {
  const { shape, strides, offset } = checkedView(name, view);
  const result = withHeads(name, data, dtype, shape, strides, offset, expected.headDim);
  const matches =
    result.tokens === expected.tokens &&
    result.headDim === expected.headDim &&
    (expected.batch === undefined || result.batch === expected.batch);
  if (!matches) {
    const wantedBatch = expected.batch === undefined ? (shape.length === 4 ? "batch, " : "") : `${expected.batch}, `;
    throw shapeError(
      name,
      `the logical shape [${wantedBatch}${expected.tokens}, heads, ${expected.headDim}]`,
      `[${shape.join(", ")}]`,
      "The shape is [batch?, tokens, heads, headDim] in any order of memory; strides give the order.",
    );
  }
  const { low, high } = extent(result);
  if (high >= data.length || low < 0) {
    throw shapeError(
      name,
      `indices within 0…${data.length - 1}`,
      data.length === 0 ? emptyText(data) : `indices ${low}…${high}`,
      "Check offset and strides (in elements, not bytes).",
    );
  }
  return result;
}

/** The place of a view in its data. */
export interface ViewPlace {
  readonly shape: readonly number[];
  /** Elements from one index to the next on each axis of `shape`; `undefined` for row-major. */
  readonly strides?: readonly number[] | undefined;
  /** Index of the first element. Default 0. */
  readonly offset?: number | undefined;
}

/**
 * The place of a view, checked by itself.
 *
 * @throws RopeError `ROPE_SHAPE` when shape, strides or offset are none, or do not fit each other.
 */
export function checkedView(name: string, view: ViewPlace): ViewPlace & { readonly offset: number } {
  const { shape, offset = 0 } = view;
  const strides = view.strides ?? undefined;
  if (!isSizes(shape)) throw shapeError(name, "a shape: a list of sizes", show(shape));
  if (
    strides !== undefined &&
    !(Array.isArray(strides) && strides.length === shape.length && strides.every(Number.isSafeInteger))
  ) {
    throw shapeError(name, `${shape.length} integer strides, one for each axis of the shape`, show(strides));
  }
  if (!Number.isSafeInteger(offset) || offset < 0) throw shapeError(name, "an integer offset ≥ 0", show(offset));
  return { shape, strides, offset };
}

/** Brings `[tokens, hidden]` and `[tokens, heads, headDim]` to four axes. */
function withHeads(
  name: string,
  data: ElementArray,
  dtype: ElementType,
  shape: readonly number[],
  strides: readonly number[] | undefined,
  offset: number,
  headDim: number,
): TensorLayout {
  const rank = shape.length;
  const isSplit = rank === 3 || rank === 4;
  if (!isSplit && !(rank === 2 && shape[1]! % headDim === 0)) {
    throw shapeError(
      name,
      `[batch, tokens, heads, ${headDim}], [tokens, heads, ${headDim}] or [tokens, heads × ${headDim}]`,
      `[${shape.join(", ")}]`,
    );
  }
  const batch = rank === 4 ? shape[0]! : 1;
  const tokens = shape[rank === 4 ? 1 : 0]!;
  const heads = isSplit ? shape[rank - 2]! : shape[1]! / headDim;
  const width = isSplit ? shape[rank - 1]! : headDim;
  const layout = contiguous(data, dtype, batch, tokens, heads, width, offset);
  if (strides === undefined) return layout;
  const elementStride = strides[rank - 1]!;
  return {
    ...layout,
    batchStride: rank === 4 ? strides[0]! : 0,
    tokenStride: strides[rank === 4 ? 1 : 0]!,
    headStride: isSplit ? strides[rank - 2]! : headDim * elementStride,
    elementStride,
  };
}

const typeOfArray: Readonly<Record<string, ElementType>> = {
  Float32Array: "float32",
  Float64Array: "float64",
  Float16Array: "float16",
};

function elements(
  name: string,
  data: TensorData,
  dtype: ElementType | undefined,
): { data: ElementArray; dtype: ElementType } {
  const kind = viewName(data);
  if (kind === "Uint16Array" && (dtype === "float16" || dtype === "bfloat16")) {
    return { data: data as Uint16Array, dtype };
  }
  const actual = typeOfArray[kind ?? ""];
  if (actual !== undefined && (dtype === undefined || dtype === actual)) {
    // A Float16Array is read as bits.
    const array = actual === "float16" ? new Uint16Array(data.buffer, data.byteOffset, data.length) : data;
    return { data: array as ElementArray, dtype: actual };
  }
  throw shapeError(
    name,
    'Float32Array, Float64Array, Float16Array, or a Uint16Array with dtype "float16" or "bfloat16"',
    `${kind}${dtype === undefined ? " without dtype" : ` with dtype ${show(dtype)}`}`,
  );
}

function isSizes(shape: unknown): shape is readonly number[] {
  if (!Array.isArray(shape)) return false;
  for (let axis = 0; axis < shape.length; axis++) {
    if (!Number.isSafeInteger(shape[axis]) || shape[axis] < 0) return false;
  }
  return true;
}

/** The smallest and largest index of a tensor in its data; `high < low` if it has no elements. */
export function extent(tensor: TensorLayout): { low: number; high: number } {
  const { batch, tokens, heads, headDim, offset } = tensor;
  if (batch * tokens * heads * headDim === 0) return { low: 0, high: -1 };
  const b = (batch - 1) * tensor.batchStride;
  const t = (tokens - 1) * tensor.tokenStride;
  const h = (heads - 1) * tensor.headStride;
  const e = (headDim - 1) * tensor.elementStride;
  return {
    low: offset + Math.min(b, 0) + Math.min(t, 0) + Math.min(h, 0) + Math.min(e, 0),
    high: offset + Math.max(b, 0) + Math.max(t, 0) + Math.max(h, 0) + Math.max(e, 0),
  };
}

function emptyText(data: ElementArray): string {
  return data.buffer.byteLength === 0 ? "0 elements (an empty or detached buffer)" : "0 elements";
}

/**
 * Tensors: descriptions of the caller's memory. Nothing here copies or allocates elements.
 */

import { arrayOf, trueView, viewName } from "./element-types.ts";
import type { ElementArray, ElementType, TensorData } from "./element-types.ts";
import { shapeError, show } from "./errors.ts";
import { checkKeys, own } from "./keys.ts";

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
      data.length === 0 ? emptyText : `${data.length} elements`,
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
  // Each property is read once: a getter may give another value the second time.
  const { data: given, shape, strides, offset, dtype: type } = own(view ?? {}) as TensorView;
  if (!isArray(given) || !Array.isArray(shape)) {
    throw shapeError(name, "a typed array or { data, shape, strides?, offset?, dtype? }", show(view));
  }
  for (const key in view) if (!isViewKey(key)) checkKeys(`"${name}"`, view, viewKeys);
  const { data, dtype } = elements(name, given, type);
  const place = { shape, strides, offset };
  return usualLayout(data, dtype, place, expected) ?? resolveLayout(name, data, dtype, place, expected);
}

/** The usual case in a few comparisons: `[tokens, heads, headDim]` inside its data, with strides ≥ 0 or row-major. */
function usualLayout(
  data: ElementArray,
  dtype: ElementType,
  { shape, strides, offset = 0 }: ViewPlace,
  { batch = 1, tokens, headDim }: TensorExpectation,
): TensorLayout | undefined {
  const heads = shape[1]!;
  if (batch !== 1 || shape.length !== 3 || shape[0] !== tokens || shape[2] !== headDim) return undefined;
  if (!isCount(heads) || !isCount(offset)) return undefined;
  if (strides === undefined) {
    if (offset + tokens * heads * headDim > data.length) return undefined;
    return contiguous(data, dtype, batch, tokens, heads, headDim, offset);
  }
  if (!Array.isArray(strides) || strides.length !== 3) return undefined;
  const tokenStride: unknown = strides[0];
  const headStride: unknown = strides[1];
  const elementStride: unknown = strides[2];
  if (!isCount(tokenStride) || !isCount(headStride) || !isCount(elementStride)) return undefined;
  const last = (tokens - 1) * tokenStride + (heads - 1) * headStride + (headDim - 1) * elementStride;
  if (tokens * heads === 0 || offset + last >= data.length) return undefined;
  const batchStride = 0;
  return { data, dtype, batch, tokens, heads, headDim, batchStride, tokenStride, headStride, elementStride, offset };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

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
  view: ViewPlace,
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
      data.length === 0 ? emptyText : `indices ${low}…${high}`,
      "Check offset and strides (in elements, not bytes).",
    );
  }
  return result;
}

/** The place of a view in its data. */
export interface ViewPlace {
  readonly shape: readonly number[];
  /** Elements from one index to the next on each axis of `shape`; `undefined` for row-major. */
  readonly strides?: readonly number[] | null | undefined;
  /** Index of the first element. Default 0. */
  readonly offset?: number | undefined;
}

/**
 * The place of a view, checked by itself: copies, which no code of the caller can change.
 *
 * @throws RopeError `ROPE_SHAPE` when shape, strides or offset are none, or do not fit each other.
 */
export function checkedView(
  name: string,
  view: ViewPlace,
): { readonly shape: number[]; readonly strides: number[] | undefined; readonly offset: number } {
  const { shape: sizes, strides: steps, offset = 0 } = view;
  const shape = integers(sizes, 0);
  if (shape === undefined) throw shapeError(name, "a shape: a list of sizes", show(sizes));
  const strides = integers(steps, -Infinity);
  if (strides?.length !== (steps == null ? undefined : shape.length)) {
    throw shapeError(name, `${shape.length} integer strides, one for each axis of the shape`, show(steps));
  }
  if (!Number.isSafeInteger(offset) || offset < 0) throw shapeError(name, "an integer offset ≥ 0", show(offset));
  return { shape, strides, offset };
}

/** A copy of a list of integers ≥ `least`; `undefined` for anything else. */
function integers(list: unknown, least: number): number[] | undefined {
  if (!Array.isArray(list)) return undefined;
  const copy: number[] = [];
  for (let i = 0, { length } = list; i < length; i++) {
    const item = list[i];
    if (!Number.isSafeInteger(item) || item < least) return undefined;
    copy.push(item);
  }
  return copy;
}

const emptyText = "0 elements (an empty or a detached array)";

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
  const isBits = kind === "Uint16Array" && (dtype === "float16" || dtype === "bfloat16");
  const actual = isBits ? dtype : typeOfArray[kind ?? ""];
  if (actual !== undefined && (dtype === undefined || dtype === actual)) {
    // A Float16Array is read as bits.
    return { data: trueView<ElementArray>(data, arrayOf(actual)), dtype: actual };
  }
  throw shapeError(
    name,
    'Float32Array, Float64Array, Float16Array, or a Uint16Array with dtype "float16" or "bfloat16"',
    `${kind ?? "DataView"}${dtype === undefined ? " without dtype" : ` with dtype ${show(dtype)}`}`,
  );
}

/** Whether a tensor has no element, whatever its other sizes. */
export const isEmpty = ({ batch, tokens, heads, headDim }: TensorLayout): boolean =>
  batch * tokens * heads * headDim === 0;

/** The most elements of something read whose strides of 0 repeat its data: 128 MiB in float64. */
const MOST_REPEATED = 2 ** 24;

/**
 * Checks what is read in full: its strides may be 0, so its data does not bound it.
 *
 * @throws RopeError `ROPE_SHAPE` for far more elements than the data has.
 */
export function requireBounded(name: string, { batch, tokens, heads, headDim, data }: TensorLayout): void {
  const count = batch * tokens * heads * headDim;
  if (count <= Math.max(data.length, MOST_REPEATED)) return;
  throw shapeError(name, `at most ${MOST_REPEATED} elements with strides of 0`, `${count}`);
}

/**
 * Checks that the memory of a described tensor is still there: a getter of a later tensor may have detached it, or made
 * it smaller. A view that no longer fits its memory is empty.
 *
 * @throws RopeError `ROPE_SHAPE`.
 */
export function requireMemory(name: string, tensor: TensorLayout): void {
  if (tensor.data.length === 0 && !isEmpty(tensor)) throw shapeError(name, "memory that stays", emptyText);
}

/** The smallest and largest index of a tensor in its data; `high < low` if it has no elements. */
export function extent(tensor: TensorLayout): { low: number; high: number } {
  const { batch, tokens, heads, headDim, offset } = tensor;
  if (isEmpty(tensor)) return { low: 0, high: -1 };
  const b = (batch - 1) * tensor.batchStride;
  const t = (tokens - 1) * tensor.tokenStride;
  const h = (heads - 1) * tensor.headStride;
  const e = (headDim - 1) * tensor.elementStride;
  return {
    low: offset + Math.min(b, 0) + Math.min(t, 0) + Math.min(h, 0) + Math.min(e, 0),
    high: offset + Math.max(b, 0) + Math.max(t, 0) + Math.max(h, 0) + Math.max(e, 0),
  };
}

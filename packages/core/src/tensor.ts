/**
 * Tensors: the caller's memory, described. Nothing here copies or allocates element data.
 */

import { viewName } from "./element-types.ts";
import type { ElementArray, ElementType, TensorData } from "./element-types.ts";
import { RopeError, show } from "./errors.ts";

/**
 * Queries or keys:
 * - a typed array: contiguous `[tokens, heads, headDim]`, or `[batch, tokens, heads, headDim]` where positions have a
 *   batch; the number of heads follows from the length;
 * - `{ data, shape, strides?, offset?, dtype? }`: `shape` is always the logical `[batch, tokens, heads, headDim]`,
 *   `[tokens, heads, headDim]` or `[tokens, heads · headDim]`, and `strides` (in elements, one for each entry of
 *   `shape`) say how it lies in memory: head-first is `shape [t, h, d]` with `strides [d, t·d, 1]`.
 *
 * `Uint16Array` holds the bits of float16 or bfloat16 and needs `dtype`.
 */
export type Tensor = TensorData | TensorView;

/** A tensor with an explicit shape. */
export interface TensorView {
  readonly data: TensorData;
  readonly shape: readonly number[];
  /** Elements between neighbours along each axis of `shape`; row-major contiguous if absent. */
  readonly strides?: readonly number[];
  /** Index of the first element; 0 if absent. */
  readonly offset?: number;
  /** Needed for `Uint16Array`; else it must agree with the array. */
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

/** What a tensor must agree with. */
export interface TensorExpectation {
  /** Rows of the batch that positions give, or `undefined` where they are shared by all rows. */
  readonly batch: number | undefined;
  readonly tokens: number;
  readonly headDim: number;
}

/** Describes a tensor. @throws RopeError `ROPE_SHAPE` when it cannot hold what `expected` says. */
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
      "Pass { data, shape } if it lies in memory in another way.",
    );
  }
  const tokenStride = heads * headDim;
  return {
    data,
    dtype,
    batch,
    tokens,
    heads,
    headDim,
    batchStride: tokens * tokenStride,
    tokenStride,
    headStride: headDim,
    elementStride: 1,
    offset: 0,
  };
}

function resolveView(name: string, view: TensorView, expected: TensorExpectation): TensorLayout {
  if (typeof view !== "object" || view === null || !isArray(view.data) || !Array.isArray(view.shape)) {
    throw shapeError(name, "a typed array or { data, shape, strides?, offset?, dtype? }", show(view));
  }
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
  const tokenStride = heads * headDim;
  const end = offset + tokens * tokenStride;
  if (
    !(Number.isSafeInteger(heads) && heads >= 0 && Number.isSafeInteger(offset) && offset >= 0 && end <= data.length)
  ) {
    return undefined;
  }
  return {
    data,
    dtype,
    batch,
    tokens,
    heads,
    headDim,
    batchStride: tokens * tokenStride,
    tokenStride,
    headStride: headDim,
    elementStride: 1,
    offset,
  };
}

/**
 * Describes a tensor in memory of any kind: `data` is a typed array, or an object with the `buffer`, `byteOffset`,
 * `length` and `BYTES_PER_ELEMENT` of one, where a backend's memory (a buffer on a device) is none.
 *
 * @throws RopeError `ROPE_SHAPE` when it cannot hold what `expected` says.
 */
export function resolveLayout(
  name: string,
  data: ElementArray,
  dtype: ElementType,
  view: Pick<TensorView, "shape" | "strides" | "offset">,
  expected: TensorExpectation,
): TensorLayout {
  const { shape, offset = 0 } = view;
  if (!isSizes(shape)) throw shapeError(name, "a shape: a list of sizes", show(shape));
  const strides = view.strides ?? undefined;
  if (
    strides !== undefined &&
    !(Array.isArray(strides) && strides.length === shape.length && strides.every(Number.isSafeInteger))
  ) {
    throw shapeError(name, `${shape.length} integer strides, one for each axis of the shape`, show(strides));
  }
  if (!Number.isSafeInteger(offset) || offset < 0) throw shapeError(name, "an integer offset ≥ 0", show(offset));
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
      "The shape is [batch?, tokens, heads, headDim] whatever the order in memory; say the order with strides.",
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
  if (strides === undefined) {
    return {
      data,
      dtype,
      batch,
      tokens,
      heads,
      headDim: width,
      batchStride: tokens * heads * width,
      tokenStride: heads * width,
      headStride: width,
      elementStride: 1,
      offset,
    };
  }
  const elementStride = strides[rank - 1]!;
  return {
    data,
    dtype,
    batch,
    tokens,
    heads,
    headDim: width,
    batchStride: rank === 4 ? strides[0]! : 0,
    tokenStride: strides[rank === 4 ? 1 : 0]!,
    headStride: isSplit ? strides[rank - 2]! : headDim * elementStride,
    elementStride,
    offset,
  };
}

function elements(
  name: string,
  data: TensorData,
  dtype: ElementType | undefined,
): { data: ElementArray; dtype: ElementType } {
  const kind = viewName(data);
  if (kind === "Uint16Array" && (dtype === "float16" || dtype === "bfloat16")) {
    return { data: data as Uint16Array, dtype };
  }
  const actual =
    kind === "Float32Array"
      ? "float32"
      : kind === "Float64Array"
        ? "float64"
        : kind === "Float16Array"
          ? "float16"
          : undefined;
  if (actual !== undefined && (dtype === undefined || dtype === actual)) {
    return {
      data: actual === "float16" ? new Uint16Array(data.buffer, data.byteOffset, data.length) : (data as ElementArray),
      dtype: actual,
    };
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

type Four = readonly [number, number, number, number];
const sizesOf = (t: TensorLayout): Four => [t.batch, t.tokens, t.heads, t.headDim];
const stridesOf = (t: TensorLayout): Four => [t.batchStride, t.tokenStride, t.headStride, t.elementStride];

/** The smallest and largest index of a tensor; `high < low` when it has no elements. */
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

/**
 * Refuses what would give a wrong result instead of an error: writing one element twice, or writing what another tensor
 * of the same call still reads. A tensor written over itself (in place) is fine.
 *
 * @throws RopeError `ROPE_SHAPE`.
 */
export function checkAliasing(
  tensors: readonly { readonly name: string; readonly input: TensorLayout; readonly output: TensorLayout }[],
): void {
  for (const { name, input, output } of tensors) {
    if (overlapsItself(output)) {
      throw shapeError(
        name,
        "strides that give every element its own place",
        `[${stridesOf(output).join(", ")}] for [${sizesOf(output).join(", ")}]`,
        "A broadcast (stride 0) tensor can be read, not rotated in place.",
      );
    }
    if (input !== output && !sameElements(input, output) && overlap(input, output)) {
      throw overlapError(`${name} and its out`);
    }
  }
  for (let i = 0; i < tensors.length; i++) {
    for (let k = i + 1; k < tensors.length; k++) {
      const a = tensors[i]!;
      const b = tensors[k]!;
      const isShared =
        overlap(a.output, b.output) ||
        (b.input !== b.output && overlap(a.output, b.input)) ||
        (a.input !== a.output && overlap(b.output, a.input));
      if (isShared) throw overlapError(`${a.name} and ${b.name}`);
    }
  }
}

function overlapError(which: string): RopeError {
  return shapeError(
    which,
    "memory that does not overlap, or exactly the same tensor",
    "tensors that share some elements",
    "Copy one of them first.",
  );
}

function sameElements(a: TensorLayout, b: TensorLayout): boolean {
  return (
    sameMemory(a, b) &&
    a.dtype === b.dtype &&
    firstByte(a) === firstByte(b) &&
    stridesOf(a).every((stride, i) => stride === stridesOf(b)[i] || sizesOf(a)[i] === 1)
  );
}

const sameMemory = (a: TensorLayout, b: TensorLayout): boolean => a.data.buffer === b.data.buffer;
const firstByte = (t: TensorLayout): number => t.data.byteOffset + t.offset * t.data.BYTES_PER_ELEMENT;

/** Whether elements are disjoint because each axis, as they are written, steps over everything inside it. */
function isNested(t: TensorLayout): boolean {
  const insideHead = (t.headDim - 1) * t.elementStride;
  const insideToken = insideHead + (t.heads - 1) * t.headStride;
  const insideRow = insideToken + (t.tokens - 1) * t.tokenStride;
  return (
    (t.elementStride > 0 || t.headDim === 1) &&
    (t.headStride > insideHead || t.heads === 1) &&
    (t.tokenStride > insideToken || t.tokens === 1) &&
    (t.batchStride > insideRow || t.batch === 1)
  );
}

/** Sufficient test for disjoint elements: sorted by stride, each axis steps over everything inside it. */
function overlapsItself(tensor: TensorLayout): boolean {
  // The usual case, without a list.
  if (isNested(tensor)) return false;
  const sizes = sizesOf(tensor);
  if (sizes.includes(0)) return false;
  const axes = stridesOf(tensor)
    .map((stride, axis) => ({ stride: Math.abs(stride), size: sizes[axis]! }))
    .filter(({ size }) => size > 1)
    .sort((a, b) => a.stride - b.stride);
  let reach = 0;
  for (const { stride, size } of axes) {
    if (stride <= reach) return true;
    reach += stride * (size - 1);
  }
  return false;
}

/**
 * Whether two tensors share bytes. Exact where a stride of one is a period of both, as in a fused buffer that holds q, k
 * and v side by side for each token or for each head; else by extent, which may see an overlap where there is none.
 */
function overlap(a: TensorLayout, b: TensorLayout): boolean {
  if (!sameMemory(a, b)) return false;
  const bytesA = byteExtent(a);
  const bytesB = byteExtent(b);
  if (bytesA.end <= bytesB.start || bytesB.end <= bytesA.start) return false;
  return !stridesOf(a).some(
    (stride) => stride !== 0 && disjointModulo(Math.abs(stride) * a.data.BYTES_PER_ELEMENT, a, b),
  );
}

/** Whether two tensors keep to different parts of every stretch of `period` bytes. */
function disjointModulo(period: number, a: TensorLayout, b: TensorLayout): boolean {
  const partA = byteExtent(onePeriod(period, a));
  const partB = byteExtent(onePeriod(period, b));
  const gap = (((partB.start - partA.start) % period) + period) % period;
  return gap >= partA.end - partA.start && gap + (partB.end - partB.start) <= period;
}

/** A tensor without the axes that step by whole periods: along them the same part is taken again. */
function onePeriod(period: number, t: TensorLayout): TensorLayout {
  const keep = (size: number, stride: number): number =>
    (stride * t.data.BYTES_PER_ELEMENT) % period === 0 ? 1 : size;
  return {
    ...t,
    batch: keep(t.batch, t.batchStride),
    tokens: keep(t.tokens, t.tokenStride),
    heads: keep(t.heads, t.headStride),
    headDim: keep(t.headDim, t.elementStride),
  };
}

/** First byte, and the byte after the last. */
function byteExtent(tensor: TensorLayout): { readonly start: number; readonly end: number } {
  const { low, high } = extent(tensor);
  const { byteOffset, BYTES_PER_ELEMENT } = tensor.data;
  return { start: byteOffset + low * BYTES_PER_ELEMENT, end: byteOffset + (high + 1) * BYTES_PER_ELEMENT };
}

function emptyText(data: ElementArray): string {
  return data.buffer.byteLength === 0 ? "0 elements (an empty or detached buffer)" : "0 elements";
}

function shapeError(name: string, expected: string, received: string, remedy?: string): RopeError {
  return new RopeError("ROPE_SHAPE", {
    what: `"${name}" does not fit`,
    expected,
    received,
    ...(remedy === undefined ? {} : { remedy }),
    facts: { tensor: name },
  });
}

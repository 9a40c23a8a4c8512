/**
 * Checks the tensors of one call together: no element is written twice, and none is read after it was written.
 */

import { shapeError } from "./errors.ts";
import type { RopeError } from "./errors.ts";
import { extent, requireMemory } from "./tensor.ts";
import type { TensorLayout } from "./tensor.ts";

type Four = readonly [number, number, number, number];
const sizesOf = (t: TensorLayout): Four => [t.batch, t.tokens, t.heads, t.headDim];
const stridesOf = (t: TensorLayout): Four => [t.batchStride, t.tokenStride, t.headStride, t.elementStride];

/**
 * Refuses tensors whose memory overlaps in a way that would give a wrong result. A tensor may be written over itself
 * (in place). Slices of one buffer may interleave, as in fused q, k and v. It is the last check before the first write,
 * so it also refuses memory that has become smaller since a layout was made.
 *
 * @param tensors checked layouts; `output` is the same object as `input` for a rotation in place.
 * @throws RopeError `ROPE_SHAPE` when an output writes one element twice, when an output shares some elements with its
 * own input, or with another tensor of the call, or when an index lies outside the data.
 */
export function checkAliasing(
  tensors: readonly { readonly name: string; readonly input: TensorLayout; readonly output: TensorLayout }[],
): void {
  for (const { name, input, output } of tensors) {
    requireMemory(name, input);
    requireMemory(name, output);
    if (overlapsItself(output)) {
      throw shapeError(
        name,
        "strides that give every element its own place",
        `[${stridesOf(output).join(", ")}] for [${sizesOf(output).join(", ")}]`,
        "A broadcast (stride 0) tensor can be read, not rotated in place.",
      );
    }
    if (input !== output && !sameElements(input, output) && overlap(spanOf(input), spanOf(output))) {
      throw overlapError(`${name} and its out`);
    }
  }
  if (tensors.length === 1) return;
  // Each once: to ask an array for its buffer takes longer than to compare.
  const spans = tensors.map(({ input, output }) => {
    const written = spanOf(output);
    return { written, read: input === output ? written : spanOf(input) };
  });
  for (let i = 0; i < spans.length; i++) {
    for (let k = i + 1; k < spans.length; k++) {
      const a = spans[i]!;
      const b = spans[k]!;
      const isShared =
        overlap(a.written, b.written) ||
        (b.read !== b.written && overlap(a.written, b.read)) ||
        (a.read !== a.written && overlap(b.written, a.read));
      if (isShared) throw overlapError(`${tensors[i]!.name} and ${tensors[k]!.name}`);
    }
  }
}

/** @throws RopeError `ROPE_SHAPE` when two tensors share bytes. */
export function requireApart(which: string, a: TensorLayout, b: TensorLayout): void {
  if (overlap(spanOf(a), spanOf(b))) throw overlapError(which);
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

/**
 * Whether the elements are disjoint because the stride of each axis, in the order of the shape, exceeds the extent
 * inside it.
 */
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

/**
 * Whether two indices may name one element. `false` is certain: sorted by stride, each axis steps over everything
 * inside it. `true` may be wrong for unusual strides.
 */
function overlapsItself(tensor: TensorLayout): boolean {
  // The usual case allocates nothing.
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
 * Whether two tensors share bytes. The answer is exact when a stride of one is a period of both, as in a fused buffer
 * that holds q, k and v side by side for each token or for each head. Otherwise the extents are compared, which may
 * report an overlap that does not exist.
 */
function overlap(a: Span, b: Span): boolean {
  if (a.buffer !== b.buffer || a.end <= b.start || b.end <= a.start) return false;
  const { layout } = a;
  return !stridesOf(layout).some(
    (stride) => stride !== 0 && disjointModulo(Math.abs(stride) * layout.data.BYTES_PER_ELEMENT, layout, b.layout),
  );
}

/** A tensor with its first byte and the byte after its last. */
interface Span {
  readonly layout: TensorLayout;
  readonly buffer: ArrayBufferLike;
  readonly start: number;
  readonly end: number;
}

function spanOf(layout: TensorLayout): Span {
  const { start, end } = byteExtent(layout);
  return { layout, buffer: layout.data.buffer, start, end };
}

/** Whether two tensors use different parts of every stretch of `period` bytes. */
function disjointModulo(period: number, a: TensorLayout, b: TensorLayout): boolean {
  const partA = byteExtent(onePeriod(period, a));
  const partB = byteExtent(onePeriod(period, b));
  const gap = (((partB.start - partA.start) % period) + period) % period;
  return gap >= partA.end - partA.start && gap + (partB.end - partB.start) <= period;
}

/** The tensor without the axes that step by whole periods: they use the same part of each period again. */
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

/** The first byte of a tensor, and the byte after its last. */
function byteExtent(tensor: TensorLayout): { readonly start: number; readonly end: number } {
  const { low, high } = extent(tensor);
  const { byteOffset, BYTES_PER_ELEMENT } = tensor.data;
  return { start: byteOffset + low * BYTES_PER_ELEMENT, end: byteOffset + (high + 1) * BYTES_PER_ELEMENT };
}

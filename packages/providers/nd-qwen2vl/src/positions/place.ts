/**
 * The primitive that all prompt builders share: tokens in segments, each placed after the one before.
 *
 * Every rule of a model family is a choice of segments. A segment says where its tokens stand from its start, and where
 * the next one starts. Text, grids and lists of offsets are enough for images, videos, canvases, sound and timestamps.
 */

import { checkKeys, shapeError, show } from "@ropewalk/core/backend";
import { checkedAxes, checkedCount, checkedList, checkedNumber, LARGEST, newPositions } from "./checks.ts";
import type { AxisPositions, Count, PositionArrays } from "./checks.ts";

/**
 * Where the next segment starts:
 * - `"count"`: as many positions on as this segment has tokens;
 * - `"max"`: one after its largest position on any axis;
 * - a number: that many positions on.
 */
export type SegmentAdvance = "count" | "max" | number;

/**
 * Tokens that are placed together; one of three kinds:
 * - `text`: a number of tokens that follow each other, with the same position on all axes;
 * - `grid`: the cells of a grid in row-major order. For each axis, a number of cells, which stand at 0, 1, 2, …, or the
 *   list of where they stand: the times of frames, centred rows;
 * - `offsets`: for each axis, one offset for each token: any order and any shape.
 *
 * Offsets count from where the segment starts. `origin` fixes an axis elsewhere: a number there means that offsets
 * count from that number, wherever the segment starts.
 */
export type PromptSegment =
  | { readonly text: Count }
  | (Block & { readonly grid: readonly (Count | ArrayLike<number>)[] })
  | (Block & { readonly offsets: readonly ArrayLike<number>[] });

interface Block {
  /** For each axis: `"start"`, or a position of its own. Default: `"start"` for all. */
  readonly origin?: readonly ("start" | number)[];
  readonly advance: SegmentAdvance;
}

/** The row that segments are placed in. */
export interface PlaceOptions<D extends keyof PositionArrays = "int32"> {
  /** The number of position axes. */
  readonly axes: number;
  /** The position of the first token: one for all axes, or one for each. Default 0. */
  readonly start?: Count | readonly Count[];
  /**
   * The numbers that positions are kept and added up in. `"int32"` (the default) takes integers only. `"float32"` is
   * for families with fractions (Qwen3-Omni); each sum is rounded to it, as torch does.
   */
  readonly dtype?: D;
}

/** The positions of a row of segments, and where it ends. */
export interface PlacedSegments<D extends keyof PositionArrays = "int32"> {
  /** `[axes, tokens]`. */
  readonly positions: AxisPositions<PositionArrays[D]>;
  /** For each axis, the position at which another segment would start. */
  readonly next: readonly number[];
  /**
   * The largest position of all; `start − 1` if there are no tokens. If `start` differs between axes, positions are
   * compared as if every axis started as the first.
   */
  readonly largest: number;
}

/**
 * Places segments one after the other: `position[axis] = start of the segment on the axis + offset[axis]`.
 *
 * @param segments in the order of the prompt.
 * @returns new memory, owned by the caller.
 * @throws RopeError `ROPE_SHAPE` for a segment, a size or an option of another form, and for positions that do not fit
 * into `dtype`; `ROPE_INVALID_PARAMETERS` for an unknown key.
 * @example
 * const image = { grid: [1, 2, 3], advance: "max" } as const;
 * place([{ text: 2 }, image, { text: 1 }], { axes: 3 }).positions.data;
 * // Int32Array [0, 1, 2, 2, 2, 2, 2, 2, 5,  0, 1, 2, 2, 2, 3, 3, 3, 5,  0, 1, 2, 3, 4, 2, 3, 4, 5]
 */
export function place<D extends keyof PositionArrays = "int32">(
  segments: readonly PromptSegment[],
  options: PlaceOptions<D>,
): PlacedSegments<D> {
  const { dtype = "int32" as D, start = 0 } = checkKeys("the options of place", options, ["axes", "start", "dtype"]);
  const axes = checkedAxes(options.axes);
  const starts = startOf(start, axes, dtype, "start");
  const blocks = checkedList(segments, "segments", "a list of segments").map((segment, i) =>
    blockOf(segment, axes, dtype, `segments[${i}]`),
  );
  const tokens = blocks.reduce((sum, { count }) => sum + count, 0);
  const data = newPositions(axes * tokens, "segments", dtype);
  const round = dtype === "float32" ? Math.fround : (sum: number): number => sum;
  const limit = dtype === "int32" ? LARGEST : Number.MAX_VALUE;
  // An axis that starts elsewhere keeps its distance from the first axis.
  const ahead = starts.map((start) => start - starts[0]!);
  let next = starts[0]!;
  let largest = round(next - 1);
  let at = 0;
  for (const { count, offset, origin, advance, name } of blocks) {
    let top = -Infinity;
    for (let axis = 0; axis < axes; axis++) {
      const from = origin?.[axis] ?? "start";
      const base = from === "start" ? next + ahead[axis]! : from;
      for (let token = 0; token < count; token++) {
        const position = round(base + offset(axis, token));
        if (!(Math.abs(position) <= limit)) throw shapeError(name, `positions up to ${limit}`, `${position}`);
        data[axis * tokens + at + token] = position;
        top = Math.max(top, position - ahead[axis]!);
      }
    }
    at += count;
    largest = Math.max(largest, top);
    if (advance !== "max") next = round(next + (advance === "count" ? count : advance));
    else if (count > 0) next = round(top + 1);
  }
  const positions = { data, shape: [axes, tokens] };
  return { positions, next: ahead.map((distance) => next + distance), largest };
}

/** The starts of all axes, given one number or one for each. */
export function startOf(
  start: Count | readonly Count[],
  axes: number,
  dtype: keyof PositionArrays,
  name: string,
): number[] {
  const single = typeof start === "number" || typeof start === "bigint";
  const starts = single ? new Array<Count>(axes).fill(start) : checkedList(start, name, `a number, or ${axes} of them`);
  if (starts.length !== axes) throw shapeError(name, `a number, or ${axes} of them`, `${starts.length}`);
  return starts.map((value, axis) => checkedNumber(value, single ? name : `${name}[${axis}]`, dtype));
}

/** A segment of any kind, checked. */
interface PlacedBlock {
  readonly count: number;
  offset(axis: number, token: number): number;
  readonly origin: Block["origin"];
  readonly advance: SegmentAdvance;
  /** Its name in messages. */
  readonly name: string;
}

function blockOf(segment: PromptSegment, axes: number, dtype: keyof PositionArrays, name: string): PlacedBlock {
  checkKeys(name, segment, ["text", "grid", "offsets", "origin", "advance"]);
  const kinds = ["text", "grid", "offsets"].filter((kind) => Object.hasOwn(segment, kind));
  if (kinds.length !== 1) throw shapeError(name, "text, grid or offsets, one of them", kinds.join(" and ") || "none");
  if ("text" in segment) {
    checkKeys(name, segment, ["text"]);
    const count = checkedCount(segment.text, `${name}.text`, 0);
    return { count, offset: (_, token) => token, origin: undefined, advance: "count", name };
  }
  const { advance, origin } = segment;
  if (advance !== "count" && advance !== "max") {
    if (typeof advance !== "number") throw shapeError(`${name}.advance`, '"count", "max" or a number', show(advance));
    checkedNumber(advance, `${name}.advance`, dtype);
  }
  if (origin !== undefined) {
    const from = checkedList(origin, `${name}.origin`, `"start" or a number for each of ${axes} axes`);
    if (from.length !== axes) throw shapeError(`${name}.origin`, `${axes} axes`, `${from.length}`);
    for (const value of from) if (value !== "start") checkedNumber(value, `${name}.origin`, dtype);
  }
  const shared = { origin, advance, name };
  if ("grid" in segment) return { ...shared, ...gridBlock(segment.grid, axes, dtype, `${name}.grid`) };
  const lists = checkedList(segment.offsets, `${name}.offsets`, "a list of offsets for each axis").map((list, axis) =>
    checkedOffsets(list, `${name}.offsets[${axis}]`, dtype),
  );
  const count = lists[0]?.length ?? 0;
  if (lists.length !== axes || lists.some((list) => list.length !== count)) {
    const received = lists.map(({ length }) => length).join(", ");
    throw shapeError(`${name}.offsets`, `${axes} lists of one length`, `lengths ${received}`);
  }
  return { ...shared, count, offset: (axis, token) => lists[axis]![token]! };
}

/** The cells of a grid, the last axis fastest. */
function gridBlock(
  grid: readonly (Count | ArrayLike<number>)[],
  axes: number,
  dtype: keyof PositionArrays,
  name: string,
): Pick<PlacedBlock, "count" | "offset"> {
  const sides = checkedList(grid, name, "cells or their offsets, for each axis").map((side, axis) =>
    typeof side === "object"
      ? checkedOffsets(side, `${name}[${axis}]`, dtype)
      : checkedCount(side, `${name}[${axis}]`, 0),
  );
  if (sides.length !== axes) throw shapeError(name, `${axes} axes`, `${sides.length}`);
  const sizes = sides.map((side) => (typeof side === "number" ? side : side.length));
  const inner = sizes.map((_, axis) => sizes.slice(axis + 1).reduce((product, size) => product * size, 1));
  const count = inner[0]! * sizes[0]!;
  if (!Number.isSafeInteger(count)) throw shapeError(name, "a grid that fits into memory", sizes.join(" × "));
  return {
    count,
    offset(axis, token) {
      const cell = Math.floor(token / inner[axis]!) % sizes[axis]!;
      const side = sides[axis]!;
      return typeof side === "number" ? cell : side[cell]!;
    },
  };
}

const checkedOffsets = (list: ArrayLike<number>, name: string, dtype: keyof PositionArrays): number[] =>
  checkedList(list, name, "a list of offsets").map((value, i) => checkedNumber(value, `${name}[${i}]`, dtype));

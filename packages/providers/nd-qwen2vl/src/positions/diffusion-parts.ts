/** The parts that the rules of image and video transformers are made of: sizes, numbers along a side, roundings. */

import { shapeError } from "@ropewalk/core/backend";
import { checkedCount, checkedList } from "./checks.ts";
import type { Count, PatchGrid } from "./checks.ts";
import type { ImageGrid } from "./diffusion-prompts.ts";
import type { PromptSegment } from "./place.ts";

const { fround } = Math;

/** Engines count in float32, which has all integers up to here. */
const LONGEST_SIDE = 2 ** 24;

/** A number of tokens. */
export function size(value: Count, name: string, least = 0): number {
  const tokens = checkedCount(value, name, least);
  if (tokens > LONGEST_SIDE) throw shapeError(name, `${LONGEST_SIDE} at most`, `${tokens}`);
  return tokens;
}

/** The rows and columns of an image, counted from 0. */
export function sides(grid: ImageGrid, name: string): [number[], number[]] {
  return counted(grid, name, 2, "[height, width]") as [number[], number[]];
}

/** The frames, rows and columns of a video, counted from 0. */
export function cube(grid: PatchGrid, name: string): [number[], number[], number[]] {
  return counted(grid, name, 3, "[frames, height, width]") as [number[], number[], number[]];
}

function counted(grid: readonly Count[], name: string, axes: number, expected: string): number[][] {
  const sizes = checkedList(grid, name, expected);
  if (sizes.length !== axes) throw shapeError(name, expected, `${sizes.length} numbers`);
  return sizes.map((length, axis) => run(0, size(length, `${name}[${axis}]`, 1)));
}

/** The elements of a list under its own name. */
export const listOf = <T>(value: ArrayLike<T>, name: string): T[] => checkedList(value, name, "a list");

/** A grid whose cells stand at the given places on each axis, wherever the segment before ends. */
export const block = (...grid: readonly (readonly number[])[]): PromptSegment => ({ grid, advance: 0 });

/** Tokens that stand at the same places on three axes. */
export const diagonal = (places: readonly number[]): PromptSegment => ({
  offsets: [places, places, places],
  advance: 0,
});

export const run = (from: number, length: number): number[] => Array.from({ length }, (_, i) => from + i);
export const zeros = (length: number): number[] => new Array<number>(length).fill(0);
export const moved = (places: readonly number[], by: number): number[] => places.map((place) => place + by);
/** A side counted from its centre: of 3 cells −2, −1, 0. */
export const centred = (length: number): number[] => run(Math.floor(length / 2) - length, length);

/** Where frame `k` starts, if the first stands for one frame of the video and each of the others for `merged`. */
export const causal = (k: number, merged: number): number => Math.max(merged * (k - 1) + 1, 0);

/** LTX: 32 × 32 pixels make a token. */
export const pixels = (side: number): number => 32 * side;

/** The middle between the start of cell `k` and that of the next. */
export const middleOf =
  (start: (k: number) => number) =>
  (k: number): number =>
    fround((start(k) + start(k + 1)) / 2);

/** LTX: coordinates in seconds and pixels as numbers from −1 to 1, each step rounded to float32. */
export const shares = (...coordinates: readonly (readonly number[])[]): PromptSegment =>
  block(...coordinates.map((list, axis) => list.map((c) => fround(2 * fround(c / LARGEST_OF[axis]!) - 1))));

/** Seconds, rows and columns. */
const LARGEST_OF = [20, 2048, 2048];

/**
 * CogVideoX: cells that are spread over the place that the video, made to fit, has in the middle of a base.
 *
 * @param fits whether this is the side that fills the base; else its place is as long as the other side makes it.
 */
export function cropped(own: number, other: number, base: number, otherBase: number, fits: boolean): number[] {
  const length = fits ? base : rounded((otherBase / other) * own);
  const start = rounded((base - length) / 2);
  return spread(start, ((start + length) * (own - 1)) / own, own);
}

/** torch.linspace in float32: from both ends to the middle. One cell stands at the start. */
function spread(start: number, end: number, cells: number): number[] {
  if (cells === 1) return [fround(start)];
  const step = fround((fround(end) - fround(start)) / (cells - 1));
  return Array.from({ length: cells }, (_, i) =>
    i < Math.floor(cells / 2)
      ? fround(fround(start) + fround(step * i))
      : fround(fround(end) - fround(step * (cells - 1 - i))),
  );
}

/** Python's round: halves go to the even number. */
function rounded(value: number): number {
  const below = Math.floor(value);
  const isHalf = value - below === 0.5;
  return isHalf ? below + (below % 2 === 0 ? 0 : 1) : Math.round(value);
}

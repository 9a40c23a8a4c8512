/** The rules by which image and video transformers count their tokens, as blocks of tokens for `place`. */

import { checkKeys, shapeError, show } from "@ropewalk/core/backend";
import { checkedCount, checkedList } from "./checks.ts";
import type { Count, PatchGrid } from "./checks.ts";
import type { DiffusionModel, DiffusionPrompt, ImageGrid } from "./diffusion-prompt.ts";
import type { PromptSegment } from "./place.ts";

export interface DiffusionRule<P extends DiffusionPrompt> {
  readonly axes: number;
  readonly dtype: "int32" | "float32";
  readonly keys: readonly Exclude<keyof P, "model">[];
  /** Blocks of tokens. Unless text moves them on, all count from 0. */
  segments(prompt: P): PromptSegment[];
}

/** The rule of each model; `DiffusionPrompt` has them in words. */
export const diffusionRules: {
  readonly [M in DiffusionModel]: DiffusionRule<Extract<DiffusionPrompt, { readonly model: M }>>;
} = {
  flux: {
    axes: 3,
    dtype: "int32",
    keys: ["text", "image", "reference"],
    segments: ({ image, reference, text }) => [
      block(zeros(count(text, "text")), [0], [0]),
      block([0], ...sides(image, "image")),
      ...(reference === undefined ? [] : [block([1], ...sides(reference, "reference"))]),
    ],
  },
  "flux-2": {
    axes: 4,
    dtype: "int32",
    keys: ["text", "image", "references"],
    segments: ({ image, references = [], text }) => [
      block([0], [0], [0], run(0, count(text, "text"))),
      block([0], ...sides(image, "image"), [0]),
      ...listOf(references, "references").map((reference, i) =>
        block([10 * (i + 1)], ...sides(reference, `references[${i}]`), [0]),
      ),
    ],
  },
  "longcat-image": {
    axes: 3,
    dtype: "int32",
    keys: ["text", "image", "reference"],
    segments({ image, reference, text }) {
      const start = count(text, "text");
      const words = run(0, start);
      const after = (grid: ImageGrid, name: string): number[][] => sides(grid, name).map((side) => moved(side, start));
      return [
        { offsets: [zeros(start), words, words], advance: 0 },
        block([1], ...after(image, "image")),
        ...(reference === undefined ? [] : [block([2], ...after(reference, "reference"))]),
      ];
    },
  },
  "qwen-image": {
    axes: 3,
    dtype: "int32",
    keys: ["text", "images"],
    segments({ images, text }) {
      const grids = centredImages(images);
      const blocks = grids.map(({ frames, rows, columns }, i) => block(run(i, frames), rows, columns));
      return [words(text, Math.max(...grids.map(({ half }) => half))), ...blocks];
    },
  },
  "qwen-image-layered": {
    axes: 3,
    dtype: "int32",
    keys: ["text", "images"],
    segments({ images, text }) {
      const grids = centredImages(images);
      const layers = grids.length - 1;
      const blocks = grids.map(({ frames, rows, columns }, i) => {
        if (i === layers && frames !== 1) throw shapeError(`images[${i}]`, "a condition of one frame", `${frames}`);
        return block(i === layers ? [-1] : run(i, frames), rows, columns);
      });
      return [words(text, Math.max(layers, ...grids.map(({ half }) => half))), ...blocks];
    },
  },
  "qwen-image-2.1": {
    axes: 3,
    dtype: "int32",
    keys: ["segments"],
    segments: ({ segments }) =>
      listOf(segments, "segments").map((segment, i) => {
        checkKeys(`segments[${i}]`, segment, ["text", "image"]);
        if ("text" in segment === "image" in segment)
          throw shapeError(`segments[${i}]`, "text or image", show(segment));
        if ("text" in segment) return { text: count(segment.text, `segments[${i}].text`) };
        const [rows, columns] = sides(segment.image, `segments[${i}].image`).map(({ length }) => centred(length));
        const advance = Math.max(rows!.length, columns!.length);
        return { grid: [[0], rows!, columns!], origin: ["start", 0, 0], advance };
      }),
  },
  "z-image": {
    axes: 3,
    dtype: "int32",
    keys: ["text", "image"],
    segments({ image, text }) {
      const words = filled(count(text, "text"));
      const [frames, rows, columns] = cube(image, "image");
      const tokens = frames.length * rows.length * columns.length;
      return [
        block(moved(frames, words + 1), rows, columns),
        block(zeros(filled(tokens) - tokens), [0], [0]),
        block(run(1, words), [0], [0]),
      ];
    },
  },
  "lumina-2": {
    axes: 3,
    dtype: "int32",
    keys: ["text", "image"],
    segments({ image, text }) {
      const words = count(text, "text");
      return [block(run(0, words), [0], [0]), block([words], ...sides(image, "image"))];
    },
  },
  framepack: {
    axes: 3,
    dtype: "int32",
    keys: ["frames", "image"],
    segments: ({ frames, image }) => [block(listOf(frames, "frames"), ...sides(image, "image"))],
  },
  ltx: {
    axes: 3,
    dtype: "float32",
    keys: ["grid", "frameRate"],
    segments({ frameRate, grid }) {
      const step = fround(8 / rate(frameRate));
      const [frames, rows, columns] = cube(grid, "grid");
      return [
        shares(
          frames.map((k) => fround(k * step)),
          rows.map(pixels),
          columns.map(pixels),
        ),
      ];
    },
  },
  "ltx-condition": {
    axes: 3,
    dtype: "float32",
    keys: ["grid", "frameRate", "firstFrame"],
    segments({ firstFrame = 0, frameRate, grid }) {
      const second = fround(1 / rate(frameRate));
      const [frames, rows, columns] = cube(grid, "grid");
      const times = moved(
        frames.map((k) => causal(k, 8)),
        count(firstFrame, "firstFrame"),
      );
      return [
        shares(
          times.map((frame) => fround(frame * second)),
          rows.map(pixels),
          columns.map(pixels),
        ),
      ];
    },
  },
  "ltx-2": {
    axes: 3,
    dtype: "float32",
    keys: ["grid", "frameRate"],
    segments({ frameRate, grid }) {
      const perSecond = fround(rate(frameRate));
      const [frames, rows, columns] = cube(grid, "grid");
      const start = (k: number): number => fround(causal(k, 8) / perSecond);
      return [shares(frames.map(middleOf(start)), rows.map(middleOf(pixels)), columns.map(middleOf(pixels)))];
    },
  },
  "ltx-2-audio": {
    axes: 1,
    dtype: "float32",
    keys: ["frames", "firstFrame"],
    segments({ firstFrame = 0, frames }) {
      const numbers = run(count(firstFrame, "firstFrame"), count(frames, "frames", 1));
      // 160 samples of 16000 in a second make a step.
      const start = (k: number): number => fround((causal(k, 4) * 160) / 16_000);
      return [shares(numbers.map(middleOf(start)))];
    },
  },
  cosmos: {
    axes: 3,
    dtype: "float32",
    keys: ["grid", "frameRate"],
    segments({ frameRate, grid }) {
      const [frames, rows, columns] = cube(grid, "grid");
      const perSecond = frameRate === undefined ? 24 : fround(rate(frameRate));
      return [
        block(
          frames.map((k) => fround(fround(k / perSecond) * 24)),
          rows,
          columns,
        ),
      ];
    },
  },
  "cogview-4": {
    axes: 2,
    dtype: "int32",
    keys: ["image"],
    segments: ({ image }) => [
      block(...sides(image, "image").map((side) => side.map((i) => Math.floor((256 * i) / side.length)))),
    ],
  },
  cogvideox: {
    axes: 3,
    dtype: "float32",
    keys: ["grid", "base"],
    segments({ base, grid }) {
      const [frames, rows, columns] = cube(grid, "grid");
      const [height, width] = sides(base, "base").map(({ length }) => length) as [number, number];
      const [tall, wide] = [rows.length, columns.length];
      // The video, scaled to fit into the base, lies in its middle.
      const isTall = tall / wide > height / width;
      const across = (own: number, other: number, ofBase: number, otherOfBase: number, fits: boolean): number[] => {
        const size = fits ? ofBase : rounded((otherOfBase / other) * own);
        const start = rounded((ofBase - size) / 2);
        return spread(start, ((start + size) * (own - 1)) / own, own);
      };
      return [block(frames, across(tall, wide, height, width, isTall), across(wide, tall, width, height, !isTall))];
    },
  },
};

const { fround } = Math;

/** A grid whose cells stand at the given places on each axis. */
const block = (...grid: readonly (readonly number[])[]): PromptSegment => ({ grid, advance: 0 });

/** Text that counts on three axes. */
function words(text: Count, from: number): PromptSegment {
  const places = run(from, count(text, "text"));
  return { offsets: [places, places, places], advance: 0 };
}

const run = (from: number, length: number): number[] => Array.from({ length }, (_, i) => from + i);
const zeros = (length: number): number[] => new Array<number>(length).fill(0);
const moved = (places: readonly number[], by: number): number[] => places.map((place) => place + by);
const centred = (length: number): number[] => run(Math.floor(length / 2) - length, length);

/** Z-Image fills sequences up to multiples of 32. */
const filled = (tokens: number): number => 32 * Math.ceil(tokens / 32);

/** The first frame stands for one frame of the video, each of the others for `merged`. */
const causal = (k: number, merged: number): number => Math.max(merged * (k - 1) + 1, 0);

/** LTX: 32 × 32 pixels make a token. */
const pixels = (side: number): number => 32 * side;

const middleOf =
  (start: (k: number) => number) =>
  (k: number): number =>
    fround(fround(start(k) + start(k + 1)) / 2);

/** LTX: coordinates in seconds and pixels as numbers from −1 to 1, each step rounded to float32. */
const shares = (...coordinates: readonly (readonly number[])[]): PromptSegment =>
  block(...coordinates.map((list, axis) => list.map((c) => fround(fround(2 * fround(c / LARGEST_OF[axis]!)) - 1))));

/** Seconds, rows and columns. */
const LARGEST_OF = [20, 2048, 2048];

/** torch.linspace in float32: from both ends to the middle. */
function spread(start: number, end: number, count: number): number[] {
  const step = count > 1 ? fround((fround(end) - fround(start)) / (count - 1)) : 0;
  return Array.from({ length: count }, (_, i) =>
    i < Math.floor(count / 2)
      ? fround(fround(start) + fround(step * i))
      : fround(fround(end) - fround(step * (count - 1 - i))),
  );
}

/** Python's round: halves go to the even number. */
function rounded(value: number): number {
  const below = Math.floor(value);
  const isHalf = value - below === 0.5;
  return isHalf ? below + (below % 2 === 0 ? 0 : 1) : Math.round(value);
}

const count = (value: Count, name: string, least = 0): number => checkedCount(value, name, least);

const listOf = <T>(value: ArrayLike<T>, name: string): T[] => checkedList(value, name, `a list of ${name}`);

/** The rows and columns of an image, counted from 0. */
function sides(grid: ImageGrid, name: string): number[][] {
  return places(grid, name, 2, "[height, width]");
}

/** The frames, rows and columns of a video, counted from 0. */
function cube(grid: PatchGrid, name: string): [number[], number[], number[]] {
  return places(grid, name, 3, "[frames, height, width]") as [number[], number[], number[]];
}

function places(grid: readonly Count[], name: string, axes: number, expected: string): number[][] {
  const sizes = checkedList(grid, name, expected);
  if (sizes.length !== axes) throw shapeError(name, expected, `${sizes.length} numbers`);
  return sizes.map((size, axis) => run(0, checkedCount(size, `${name}[${axis}]`, 1)));
}

/** QwenImage: rows and columns from the centre, and half of the longer side. */
function centredImages(
  images: readonly PatchGrid[],
): { readonly frames: number; readonly rows: number[]; readonly columns: number[]; readonly half: number }[] {
  const grids = listOf(images, "images");
  if (grids.length === 0) throw shapeError("images", "at least one image", "none");
  return grids.map((grid, i) => {
    const [frames, rows, columns] = cube(grid, `images[${i}]`);
    const half = Math.floor(Math.max(rows.length, columns.length) / 2);
    return { frames: frames.length, rows: centred(rows.length), columns: centred(columns.length), half };
  });
}

function rate(value: number): number {
  if (!Number.isFinite(value) || value <= 0) throw shapeError("frameRate", "frames per second > 0", show(value));
  return value;
}

/** The rules by which image and video transformers count their tokens, as segments for `place`. */

import { checkKeys, shapeError, show } from "@ropewalk/core/backend";
import { checkedPositive } from "./checks.ts";
import type { PatchGrid } from "./checks.ts";
import {
  block,
  causal,
  centred,
  cropped,
  cube,
  diagonal,
  listOf,
  middleOf,
  moved,
  pixels,
  run,
  shares,
  sides,
  size,
  zeros,
} from "./diffusion-parts.ts";
import type { DiffusionFamily, DiffusionPrompts, FractionalFamily, ImageGrid } from "./diffusion-prompts.ts";
import type { PromptSegment } from "./place.ts";

/** How a family counts. */
export interface DiffusionRule<F extends DiffusionFamily> {
  readonly axes: number;
  readonly dtype: F extends FractionalFamily ? "float32" : "int32";
  readonly keys: readonly (keyof DiffusionPrompts[F] & string)[];
  segments(prompt: DiffusionPrompts[F]): PromptSegment[];
}

const { fround } = Math;

/** Wan, HunyuanVideo: the cells of a video from 0 on. */
const fromZero: DiffusionRule<"wan" | "hunyuan-video"> = {
  axes: 3,
  dtype: "int32",
  keys: ["grid"],
  segments: ({ grid }) => [block(...cube(grid, "grid"))],
};

/** `DiffusionPrompts` has each rule in words. */
export const diffusionRules: { readonly [F in DiffusionFamily]: DiffusionRule<F> } = {
  flux: {
    axes: 3,
    dtype: "int32",
    keys: ["text", "image", "reference"],
    segments: ({ image, reference, text }) => [
      block(zeros(size(text, "text")), [0], [0]),
      block([0], ...sides(image, "image")),
      ...(reference === undefined ? [] : [block([1], ...sides(reference, "reference"))]),
    ],
  },
  "flux-2": {
    axes: 4,
    dtype: "int32",
    keys: ["text", "image", "references"],
    segments: ({ image, references = [], text }) => [
      block([0], [0], [0], run(0, size(text, "text"))),
      block([0], ...sides(image, "image"), [0]),
      ...listOf(references, "references").map((reference, i) =>
        block([10 * (i + 1)], ...sides(reference, `references[${i}]`), [0]),
      ),
    ],
  },
  "flux-3": {
    axes: 4,
    dtype: "float32",
    keys: ["text", "image", "references"],
    segments({ image, references = [], text }) {
      const halves = (grid: ImageGrid, name: string): number[][] =>
        sides(grid, name).map((side) => side.map((i) => i / 2));
      return [
        block([0], [0], [0], run(0, size(text, "text"))),
        block([0], ...halves(image, "image"), [0]),
        ...listOf(references, "references").map((reference, i) =>
          block([0], ...halves(reference, `references[${i}]`), [-(i + 1)]),
        ),
      ];
    },
  },
  "longcat-image": {
    axes: 3,
    dtype: "int32",
    keys: ["text", "image", "reference"],
    segments({ image, reference, text }) {
      const words = size(text, "text");
      const after = (grid: ImageGrid, name: string): number[][] => sides(grid, name).map((side) => moved(side, words));
      return [
        { offsets: [zeros(words), run(0, words), run(0, words)], advance: 0 },
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
      const { grids, half } = centredImages(images);
      return [
        diagonal(run(half, size(text, "text"))),
        ...grids.map(({ columns, frames, rows }, i) => block(run(i, frames), rows, columns)),
      ];
    },
  },
  "qwen-image-layered": {
    axes: 3,
    dtype: "int32",
    keys: ["text", "images"],
    segments({ images, text }) {
      const { grids, half } = centredImages(images);
      const layers = grids.length - 1;
      const frames = grids[layers]!.frames;
      if (frames !== 1) throw shapeError(`images[${layers}]`, "a condition of one frame", `${frames}`);
      return [
        diagonal(run(Math.max(layers, half), size(text, "text"))),
        ...grids.map(({ columns, frames, rows }, i) => block(i === layers ? [-1] : run(i, frames), rows, columns)),
      ];
    },
  },
  "qwen-image-2.1": {
    axes: 3,
    dtype: "int32",
    keys: ["segments"],
    segments: ({ segments }) =>
      listOf(segments, "segments").map((segment, i) => {
        const name = `segments[${i}]`;
        checkKeys(name, segment, ["text", "image"]);
        if ("text" in segment === "image" in segment) throw shapeError(name, "text or image", show(segment));
        if ("text" in segment) return { text: size(segment.text, `${name}.text`) };
        const [rows, columns] = sides(segment.image, `${name}.image`);
        return {
          grid: [[0], centred(rows.length), centred(columns.length)],
          origin: ["start", 0, 0],
          advance: Math.max(rows.length, columns.length),
        };
      }),
  },
  "z-image": {
    axes: 3,
    dtype: "int32",
    keys: ["text", "image"],
    segments({ image, text }) {
      const filled = (tokens: number): number => 32 * Math.ceil(tokens / 32);
      const words = filled(size(text, "text"));
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
      const words = size(text, "text");
      return [block(run(0, words), [0], [0]), block([words], ...sides(image, "image"))];
    },
  },
  wan: fromZero,
  "hunyuan-video": fromZero,
  "hunyuan-video-framepack": {
    axes: 3,
    dtype: "int32",
    keys: ["frames", "image"],
    segments: ({ frames, image }) => [block(listOf(frames, "frames"), ...sides(image, "image"))],
  },
  "hunyuan-image": {
    axes: 2,
    dtype: "int32",
    keys: ["image"],
    segments: ({ image }) => [block(...sides(image, "image"))],
  },
  ltx: {
    axes: 3,
    dtype: "float32",
    keys: ["grid", "frameRate"],
    segments({ frameRate, grid }) {
      const step = fround(8 / checkedPositive(frameRate, "frameRate"));
      return [videoShares(grid, (k) => fround(k * step))];
    },
  },
  "ltx-condition": {
    axes: 3,
    dtype: "float32",
    keys: ["grid", "frameRate", "firstFrame"],
    segments({ firstFrame = 0, frameRate, grid }) {
      const second = fround(1 / checkedPositive(frameRate, "frameRate"));
      const first = size(firstFrame, "firstFrame");
      return [videoShares(grid, (k) => fround((causal(k, 8) + first) * second))];
    },
  },
  "ltx-2": {
    axes: 3,
    dtype: "float32",
    keys: ["grid", "frameRate"],
    segments({ frameRate, grid }) {
      const perSecond = fround(checkedPositive(frameRate, "frameRate"));
      return [
        videoShares(
          grid,
          middleOf((k) => fround(causal(k, 8) / perSecond)),
          middleOf(pixels),
        ),
      ];
    },
  },
  "ltx-2-audio": {
    axes: 1,
    dtype: "float32",
    keys: ["frames", "firstFrame"],
    segments({ firstFrame = 0, frames }) {
      const numbers = run(size(firstFrame, "firstFrame"), size(frames, "frames", 1));
      // 160 samples of 16000 in a second make a step.
      return [shares(numbers.map(middleOf((k) => fround((causal(k, 4) * 160) / 16_000))))];
    },
  },
  cosmos: {
    axes: 3,
    dtype: "float32",
    keys: ["grid", "frameRate"],
    segments({ frameRate, grid }) {
      const [frames, rows, columns] = cube(grid, "grid");
      const perSecond = frameRate === undefined ? 24 : fround(checkedPositive(frameRate, "frameRate"));
      return [
        block(
          frames.map((k) => fround(fround(k / perSecond) * 24)),
          rows,
          columns,
        ),
      ];
    },
  },
  "cosmos-3": {
    axes: 3,
    dtype: "float32",
    keys: ["text", "grid", "frameRate", "sound"],
    segments({ frameRate, grid, sound, text }) {
      const words = size(text, "text");
      const [frames, rows, columns] = cube(grid, "grid");
      const times = (numbers: readonly number[], perSecond: number, each: number): number[] => {
        const rate = fround(perSecond / each);
        return numbers.map((k) => fround(fround(k / rate) * (24 / each)) + words + 15_000);
      };
      const video = block(times(frames, checkedPositive(frameRate, "frameRate"), 4), rows, columns);
      if (sound === undefined) return [diagonal(run(0, words)), video];
      checkKeys("sound", sound, ["frames", "frameRate"]);
      const tokens = run(0, size(sound.frames, "sound.frames", 1));
      const rate = checkedPositive(sound.frameRate, "sound.frameRate");
      return [diagonal(run(0, words)), video, block(times(tokens, rate, 1), [0], [0])];
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
      const isTall = tall / wide > height / width;
      return [block(frames, cropped(tall, wide, height, width, isTall), cropped(wide, tall, width, height, !isTall))];
    },
  },
};

/** QwenImage: rows and columns from the centre of each image, and half of the longest side of all. */
function centredImages(images: readonly PatchGrid[]): {
  readonly grids: { readonly frames: number; readonly rows: number[]; readonly columns: number[] }[];
  readonly half: number;
} {
  const cubes = listOf(images, "images").map((grid, i) => cube(grid, `images[${i}]`));
  if (cubes.length === 0) throw shapeError("images", "at least one image", "none");
  const grids = cubes.map(([frames, rows, columns]) => ({
    frames: frames.length,
    rows: centred(rows.length),
    columns: centred(columns.length),
  }));
  const longest = cubes.reduce((most, [, rows, columns]) => Math.max(most, rows.length, columns.length), 0);
  return { grids, half: Math.floor(longest / 2) };
}

/** LTX: a video whose frames and sides are measured in seconds and pixels. */
function videoShares(
  grid: PatchGrid,
  seconds: (frame: number) => number,
  measured: (side: number) => number = pixels,
): PromptSegment {
  const [frames, rows, columns] = cube(grid, "grid");
  return shares(frames.map(seconds), rows.map(measured), columns.map(measured));
}

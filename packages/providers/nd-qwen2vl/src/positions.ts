/**
 * Position builders: where each token of a grid, an image or a prompt stands, on every axis.
 *
 * Pure functions of integers. They return what `rope.apply` takes as `positions`, on memory of the caller's own. Where
 * engines changed or disagree on a rule, the rule is an option.
 */

import { checkKeys, shapeError, show } from "@ropewalk/core/backend";

/** Positions on several axes, as `rope.apply` takes them. */
export interface AxisPositions<A extends Int32Array | Float64Array = Int32Array> {
  readonly data: A;
  /** `[axes, tokens]` or `[axes, batch, tokens]`. */
  readonly shape: readonly number[];
}

type Count = number | bigint;

/**
 * All cells of a grid in row-major order: the last axis runs fastest.
 *
 * @param grid cells along each axis.
 * @returns `[grid.length, cells]`.
 * @throws RopeError `ROPE_SHAPE` unless it is a list of one integer ≥ 0 or more.
 * Source: the crate ndrope, `pos_nd`.
 * @example gridPositions([2, 2]).data // Int32Array [0, 0, 1, 1,  0, 1, 0, 1]
 */
export function gridPositions(grid: readonly Count[]): AxisPositions {
  const sizes = checkedList(grid, "grid", "cells along each axis").map((size, axis) =>
    checkedCount(size, `grid[${axis}]`, 0),
  );
  if (sizes.length === 0) throw shapeError("grid", "at least one axis", "none");
  const cells = sizes.reduce((product, size) => product * size, 1);
  const data = newPositions(sizes.length * cells, "grid");
  let inner = cells;
  sizes.forEach((size, axis) => {
    inner /= size || 1;
    for (let cell = 0; cell < cells; cell++) data[axis * cells + cell] = Math.floor(cell / inner) % size;
  });
  return { data, shape: [sizes.length, cells] };
}

/** An image or a video in patches: frames, rows, columns. */
export type PatchGrid = readonly [frames: Count, height: Count, width: Count];

/**
 * Rows and columns of the patches of images, in the order in which a vision tower that merges patches wants them: the
 * `mergeSize × mergeSize` patches that become one token stand next to each other.
 *
 * @param grids one `[frames, height, width]` for each image or video, in patches; height and width are multiples of
 * `mergeSize`. Frames repeat the same rows and columns.
 * @param mergeSize patches of a token along each side; 1 for a tower that does not merge.
 * @returns `[2, patches]`: row, column.
 * @throws RopeError `ROPE_SHAPE` when a grid is no three integers ≥ 1, or a side no multiple of `mergeSize`.
 * Source: Hugging Face transformers 5, Qwen2-VL `rot_pos_emb`; ndrope `pos_2d_qwen2vl_vit`.
 */
export function visionPositions(grids: readonly PatchGrid[], mergeSize = 2): AxisPositions {
  const merge = checkedCount(mergeSize, "mergeSize", 1);
  const sizes = checkedList(grids, "grids", "a list of [frames, height, width]").map((grid, i) =>
    patchGrid(grid, `grids[${i}]`, merge),
  );
  const patches = sizes.reduce((sum, [t, h, w]) => sum + t * h * w, 0);
  const data = newPositions(2 * patches, "grids");
  let at = 0;
  for (const [frames, height, width] of sizes) {
    for (let frame = 0; frame < frames; frame++) {
      for (let blockRow = 0; blockRow < height; blockRow += merge) {
        for (let blockColumn = 0; blockColumn < width; blockColumn += merge) {
          for (let row = 0; row < merge; row++) {
            for (let column = 0; column < merge; column++, at++) {
              data[at] = blockRow + row;
              data[patches + at] = blockColumn + column;
            }
          }
        }
      }
    }
  }
  return { data, shape: [2, patches] };
}

/** A token of text. What a token of a multimodal prompt stands for has the numbers of Hugging Face's `mm_token_type_ids`. */
export const TEXT: 0 = 0;
/** A token of an image, in {@link PromptOptions.modalities}. */
export const IMAGE: 1 = 1;
/** A token of a video. */
export const VIDEO: 2 = 2;

/** A prompt of text, images and videos, and the rules of its engine. */
export interface PromptOptions {
  /** What each token is: {@link TEXT}, {@link IMAGE} or {@link VIDEO}; `[batch][tokens]`. */
  readonly modalities: readonly ArrayLike<number>[];
  /** `[frames, height, width]` in patches of each image, in the order of the whole batch. */
  readonly images?: readonly PatchGrid[];
  /** The same of each video. */
  readonly videos?: readonly PatchGrid[];
  /** 1 for tokens that count, 0 for padding; `[batch][tokens]`. Absent: all count. */
  readonly attentionMask?: readonly ArrayLike<number>[];
  /** Patches of a token along each side. Default 2: the Qwen-VL family. */
  readonly mergeSize?: number;
  /**
   * How time runs through a video:
   * - `"frames"` (Qwen2-VL): frame `k` stands at `k`;
   * - `{ tokensPerSecond, secondsPerGrid }` (Qwen2.5-VL): at `floor(k · secondsPerGrid[video] · tokensPerSecond)`, the
   *   product first; `secondsPerGrid` defaults to 1 for each video;
   * - `"timestamps"` (Qwen3-VL): text with the time stands between frames, so each frame is an image of its own.
   */
  readonly time?:
    | "frames"
    | "timestamps"
    | { readonly tokensPerSecond: number; readonly secondsPerGrid?: readonly number[] };
  /**
   * Where text goes on after an image or a video: after the largest position in it (`"max"`: Hugging Face before 5.3,
   * vLLM, SGLang), or `max(height, width) / mergeSize` after its start, however many frames it has (`"grid"`: Hugging
   * Face from 5.3 on). They differ for videos only.
   */
  readonly advance: "max" | "grid";
}

/** Positions of a prompt, and what decoding goes on with. */
export interface PromptPositions {
  /** `[3, batch, tokens]`: time, height, width. Padding stands at 0. */
  readonly positions: AxisPositions;
  /**
   * For each row, the next position minus the number of tokens that count: a decoded token at index `n` (counted
   * without padding) stands at `n + delta` on every axis.
   */
  readonly deltas: readonly number[];
}

/**
 * Positions of text, images and videos on the axes time, height and width.
 *
 * Text stands at equal positions on all axes. An image or video that starts at `p` spans `p + frame time`, `p + row`,
 * `p + column`, rows and columns in merged patches.
 *
 * @returns int32 memory of the caller's own, and the deltas that decoding goes on with.
 * @throws RopeError `ROPE_SHAPE` when tokens, masks and grids do not agree in number or an option has another form,
 * `ROPE_INVALID_PARAMETERS` for an option that nothing reads.
 * Source: Qwen2-VL (arXiv 2409.12191) §2.1; Hugging Face transformers 5 `get_rope_index` of Qwen2-VL, Qwen2.5-VL, Qwen3-VL.
 */
export function promptPositions(options: PromptOptions): PromptPositions {
  checkKeys("the options of promptPositions", options, promptKeys);
  const { advance, images: imageGrids = [], mergeSize = 2, time = "frames", videos: videoGrids = [] } = options;
  if (advance !== "max" && advance !== "grid") {
    throw shapeError(
      "advance",
      '"max" or "grid"',
      show(advance),
      "Engines differ: say which rule the model was trained or is served with.",
    );
  }
  const merge = checkedCount(mergeSize, "mergeSize", 1);
  const modalities = checkedRows(options.modalities, "modalities");
  const batch = modalities.length;
  const tokens = modalities[0]?.length ?? 0;
  const masks = options.attentionMask === undefined ? undefined : checkedRows(options.attentionMask, "attentionMask");
  if (masks !== undefined && masks.length !== batch) {
    throw shapeError("attentionMask", `${batch} rows`, `${masks.length}`);
  }
  const images = visuals(imageGrids, "images", merge, false);
  const videos = visuals(videoGrids, "videos", merge, time === "timestamps");
  const timeOf = frameTimes(time, videoGrids.length);
  const data = newPositions(3 * batch * tokens, "modalities");
  const deltas: number[] = [];
  for (let row = 0; row < batch; row++) {
    const kinds = modalities[row]!;
    const mask = masks?.[row];
    if (kinds.length !== tokens || (mask !== undefined && mask.length !== tokens)) {
      throw shapeError(
        `row ${row}`,
        `${tokens} tokens, as in row 0`,
        `${kinds.length}${mask === undefined ? "" : ` with a mask of ${mask.length}`}`,
      );
    }
    const put = (token: number, axis: number, position: number): void => {
      if (position > LARGEST) throw shapeError("time", `positions up to ${LARGEST}`, `${position}`);
      data[(axis * batch + row) * tokens + token] = position;
    };
    const kept = Array.from(kinds.keys()).filter((i) => mask === undefined || counts(mask[i], `attentionMask[${row}]`));
    let next = 0;
    let largest = -1;
    for (let k = 0; k < kept.length;) {
      const kind = kinds[kept[k]!]!;
      if (kind === TEXT) {
        for (let axis = 0; axis < 3; axis++) put(kept[k]!, axis, next);
        largest = Math.max(largest, next++);
        k++;
        continue;
      }
      const visual = kind === IMAGE ? images.take(row) : kind === VIDEO ? videos.take(row) : undefined;
      if (visual === undefined) throw shapeError(`modalities[${row}]`, "0 (text), 1 (image) or 2 (video)", show(kind));
      const { frames, height, width } = visual;
      let top = next;
      for (let cell = 0; cell < frames * height * width; cell++, k++) {
        if (k >= kept.length || kinds[kept[k]!] !== kind) {
          throw shapeError(
            `modalities[${row}]`,
            `${frames} × ${height} × ${width} tokens for one ${kind === IMAGE ? "image" : "video"}`,
            `${cell}`,
            "Count merged patches.",
          );
        }
        const frame = Math.floor(cell / (height * width));
        const at = [timeOf(visual, frame), Math.floor(cell / width) % height, cell % width] as const;
        at.forEach((offset, axis) => {
          put(kept[k]!, axis, next + offset);
          top = Math.max(top, next + offset);
        });
      }
      largest = Math.max(largest, top);
      next = advance === "max" ? top + 1 : next + Math.max(height, width);
    }
    deltas.push(largest + 1 - kept.length);
  }
  images.finish();
  videos.finish();
  return { positions: { data, shape: [3, batch, tokens] }, deltas };
}

const promptKeys: readonly (keyof PromptOptions)[] = [
  "modalities",
  "images",
  "videos",
  "attentionMask",
  "mergeSize",
  "time",
  "advance",
];

interface Visual {
  /** In merged patches. */
  readonly frames: number;
  readonly height: number;
  readonly width: number;
  /** Its number among the visuals as they were given. */
  readonly index: number;
}

/** What the time axis adds in a frame of a visual; `videos` is their number. */
function frameTimes(
  time: NonNullable<PromptOptions["time"]>,
  videos: number,
): (visual: Visual, frame: number) => number {
  if (time === "frames" || time === "timestamps") return (_, frame) => frame;
  checkKeys("the option time", time, ["tokensPerSecond", "secondsPerGrid"]);
  const { secondsPerGrid = new Array<number>(videos).fill(1), tokensPerSecond } = time;
  checkedNumber(tokensPerSecond, "time.tokensPerSecond");
  const seconds = checkedList(secondsPerGrid, "time.secondsPerGrid", "seconds of each video").map((value, i) =>
    checkedNumber(value, `time.secondsPerGrid[${i}]`),
  );
  if (seconds.length !== videos) throw shapeError("time.secondsPerGrid", `${videos} numbers`, `${seconds.length}`);
  return ({ index }, frame) => Math.trunc(frame * (seconds[index] ?? 1) * tokensPerSecond);
}

/** Hands out grids one by one, and complains when there are too few or too many. */
function visuals(
  grids: readonly PatchGrid[],
  name: string,
  merge: number,
  perFrame: boolean,
): { take(row: number): Visual; finish(): void } {
  const list = checkedList(grids, name, "a list of [frames, height, width]").map((grid, index) => {
    const [frames, height, width] = patchGrid(grid, `${name}[${index}]`, merge);
    return { frames, height: height / merge, width: width / merge, index };
  });
  const total = perFrame ? list.reduce((sum, { frames }) => sum + frames, 0) : list.length;
  const runs = perFrame ? singleFrames(list) : list.values();
  let used = 0;
  return {
    take(row) {
      const { value } = runs.next();
      if (value === undefined) {
        throw shapeError(name, "a grid for each run of tokens", `${total} grids, used up in row ${row}`);
      }
      used++;
      return value;
    },
    finish() {
      if (used !== total) throw shapeError(name, `${used} grids, as many as the tokens show`, `${total}`);
    },
  };
}

function* singleFrames(list: readonly Visual[]): Generator<Visual, undefined> {
  for (const visual of list) {
    for (let frame = 0; frame < visual.frames; frame++) yield { ...visual, frames: 1 };
  }
  return undefined;
}

/**
 * Positions of packed sequences: each starts again at 0.
 *
 * @param seqlens tokens of each sequence.
 * @returns `[sum of seqlens]`.
 * @throws RopeError `ROPE_SHAPE` unless it is a list of integers ≥ 0.
 * @example packedPositions([3, 2]) // Int32Array [0, 1, 2, 0, 1]
 */
export function packedPositions(seqlens: ArrayLike<Count>): Int32Array {
  const lengths = checkedList(seqlens, "seqlens", "tokens of each sequence").map((length, i) =>
    checkedCount(length, `seqlens[${i}]`, 0),
  );
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const data = newPositions(total, "seqlens");
  let at = 0;
  for (const length of lengths) for (let t = 0; t < length; t++) data[at++] = t;
  return data;
}

/**
 * Positions of rows padded anywhere, from their attention mask: the running count of tokens that count, minus one.
 *
 * @param attentionMask `[batch][tokens]`, 1 for tokens that count.
 * @param options `fill`: the position of padding, which attention never sees (0: Hugging Face 5; 1: Hugging Face 4,
 * transformers.js). `past`: tokens already in the cache, which all positions are moved by.
 * @returns `[batch, tokens]`.
 * @throws RopeError `ROPE_SHAPE` when the mask is no list of rows of 0 and 1 with equal lengths, or an option is no integer;
 * `ROPE_INVALID_PARAMETERS` for an option that nothing reads.
 */
export function maskedPositions(
  attentionMask: readonly ArrayLike<Count>[],
  options: { readonly fill?: number; readonly past?: Count } = {},
): AxisPositions {
  checkKeys("the options of maskedPositions", options, ["fill", "past"]);
  const { fill = 0, past = 0 } = options;
  if (!Number.isSafeInteger(fill) || Math.abs(fill) > LARGEST) throw shapeError("fill", "an integer", show(fill));
  const offset = checkedCount(past, "past", 0);
  const masks = checkedRows(attentionMask, "attentionMask");
  const tokens = masks[0]?.length ?? 0;
  if (offset + tokens > LARGEST) throw shapeError("past", `positions up to ${LARGEST}`, `${offset + tokens}`);
  const data = newPositions(masks.length * tokens, "attentionMask");
  masks.forEach((mask, row) => {
    const name = `attentionMask[${row}]`;
    if (mask.length !== tokens) throw shapeError(name, `${tokens} tokens, as in row 0`, `${mask.length}`);
    let count = 0;
    mask.forEach((value, t) => {
      data[row * tokens + t] = counts(value, name) ? offset + count++ : fill;
    });
  });
  return { data, shape: [masks.length, tokens] };
}

/** Positions are 32-bit integers. */
const LARGEST = 2 ** 31 - 1;

/** Zeroed memory of the caller's own. */
function newPositions(count: number, name: string): Int32Array {
  try {
    return new Int32Array(count);
  } catch {
    throw shapeError(name, "a size that fits into memory", `${count} positions`);
  }
}

/** The elements of a list or typed array. */
function checkedList<T>(value: ArrayLike<T>, name: string, expected: string): T[] {
  if (!Array.isArray(value) && !(ArrayBuffer.isView(value) && "length" in value)) {
    throw shapeError(name, expected, show(value));
  }
  return Array.from(value as ArrayLike<T>);
}

function checkedRows<T>(value: readonly ArrayLike<T>[], name: string): T[][] {
  return checkedList(value, name, "a list of rows").map((row, i) =>
    checkedList(row, `${name}[${i}]`, "a row of tokens"),
  );
}

/** Whether a token counts, by the value of its mask. */
function counts(value: unknown, name: string): boolean {
  const number = typeof value === "symbol" ? Number.NaN : Number(value);
  if (typeof value === "object" || typeof value === "string" || (number !== 0 && number !== 1)) {
    throw shapeError(name, "1 for tokens that count, 0 for padding", show(value));
  }
  return number === 1;
}

function patchGrid(grid: PatchGrid, name: string, merge: number): readonly [number, number, number] {
  const sizes = checkedList<Count>(grid, name, "[frames, height, width]");
  if (sizes.length !== 3) throw shapeError(name, "[frames, height, width]", `${sizes.length} numbers`);
  const [frames, height, width] = sizes.map((size, axis) => checkedCount(size, `${name}[${axis}]`, 1)) as [
    number,
    number,
    number,
  ];
  if (height % merge !== 0 || width % merge !== 0) {
    throw shapeError(name, `height and width that are multiples of mergeSize ${merge}`, `${height} × ${width}`);
  }
  return [frames, height, width];
}

function checkedCount(value: Count, name: string, min: number): number {
  const number = typeof value === "bigint" ? Number(value) : value;
  if (!Number.isSafeInteger(number) || number < min) throw shapeError(name, `an integer ≥ ${min}`, show(value));
  return number;
}

function checkedNumber(value: number, name: string): number {
  if (!Number.isFinite(value) || value < 0) throw shapeError(name, "a finite number ≥ 0", show(value));
  return value;
}

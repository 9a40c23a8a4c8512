/**
 * Builds positions: the place of each token of a grid, an image or a prompt on every axis. The functions are pure. They
 * return new memory in the form that `rope.apply` takes as `positions`. Where engines disagree on a rule, the rule is
 * an option.
 */

import { checkKeys, shapeError, show } from "@ropewalk/core/backend";

/** Positions on several axes, in the form that `rope.apply` takes. */
export interface AxisPositions<A extends Int32Array | Float64Array = Int32Array> {
  readonly data: A;
  /** `[axes, tokens]` or `[axes, batch, tokens]`, row-major. */
  readonly shape: readonly number[];
}

type Count = number | bigint;

/**
 * Lists all cells of a grid in row-major order: the last axis runs fastest.
 *
 * @param grid the number of cells along each axis.
 * @returns `[grid.length, cells]` int32, in cells; new memory, owned by the caller.
 * @throws RopeError `ROPE_SHAPE` if `grid` is not a list of at least one integer ≥ 0.
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
 * Lists the rows and columns of the patches of images, in the order that a vision tower with merged patches needs: the
 * `mergeSize × mergeSize` patches of one token stand next to each other.
 *
 * @param grids one `[frames, height, width]` for each image or video, in patches; height and width are multiples of
 * `mergeSize`. Every frame has the same rows and columns.
 * @param mergeSize patches of a token along each side; 1 for a tower that does not merge.
 * @returns `[2, patches]` int32: row, column, in patches; new memory, owned by the caller.
 * @throws RopeError `ROPE_SHAPE` if a grid is not three integers ≥ 1, or if a side is not a multiple of `mergeSize`.
 * Source: Hugging Face transformers 5, Qwen2-VL `rot_pos_emb`; ndrope `pos_2d_qwen2vl_vit`.
 * @example visionPositions([[1, 2, 4]]).data // Int32Array [0, 0, 1, 1, 0, 0, 1, 1,  0, 1, 0, 1, 2, 3, 2, 3]
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

/**
 * A token of text. The numbers of {@link TEXT}, {@link IMAGE} and {@link VIDEO} are those of Hugging Face's
 * `mm_token_type_ids`.
 */
export const TEXT: 0 = 0;
/** A token of an image, in {@link PromptOptions.modalities}. */
export const IMAGE: 1 = 1;
/** A token of a video. */
export const VIDEO: 2 = 2;

/** A prompt of text, images and videos, and the rules of its engine. */
export interface PromptOptions {
  /** The kind of each token: {@link TEXT}, {@link IMAGE} or {@link VIDEO}; `[batch][tokens]`. */
  readonly modalities: readonly ArrayLike<number>[];
  /** `[frames, height, width]` in patches for each image, in the order of the whole batch. */
  readonly images?: readonly PatchGrid[];
  /** The same for each video. */
  readonly videos?: readonly PatchGrid[];
  /** 1 for real tokens, 0 for padding; `[batch][tokens]`. Absent: there is no padding. */
  readonly attentionMask?: readonly ArrayLike<number>[];
  /** Patches of a token along each side. Default 2: the Qwen-VL family. */
  readonly mergeSize?: number;
  /**
   * The time of the frames of a video:
   * - `"frames"` (Qwen2-VL): frame `k` has time `k`;
   * - `{ tokensPerSecond, secondsPerGrid }` (Qwen2.5-VL): `floor(k · secondsPerGrid[video] · tokensPerSecond)`, with
   *   the product computed first; `secondsPerGrid` is 1 for each video by default;
   * - `"timestamps"` (Qwen3-VL): text with the time stands between frames, so each frame is an image of its own.
   */
  readonly time?:
    | "frames"
    | "timestamps"
    | { readonly tokensPerSecond: number; readonly secondsPerGrid?: readonly number[] };
  /**
   * Where text continues after an image or a video: after the largest position in it (`"max"`: Hugging Face before 5.3,
   * vLLM, SGLang), or `max(height, width) / mergeSize` after its start, for any number of frames (`"grid"`: Hugging
   * Face from 5.3 on). The two differ for videos only.
   */
  readonly advance: "max" | "grid";
}

/** Positions of a prompt, and the deltas for decoding. */
export interface PromptPositions {
  /** `[3, batch, tokens]` int32: time, height, width. Padding has position 0. */
  readonly positions: AxisPositions;
  /**
   * For each row, the next position minus the number of real tokens. A decoded token at index `n` (counted without
   * padding) has position `n + delta` on every axis.
   */
  readonly deltas: readonly number[];
}

/**
 * Computes the positions of text, images and videos on the axes time, height and width.
 *
 * A text token has the same position on all axes. In an image or video that starts at `p`, a token has `p + frame
 * time`, `p + row`, `p + column`, with rows and columns counted in merged patches.
 *
 * @returns new int32 memory, owned by the caller, and the deltas for decoding.
 * @throws RopeError `ROPE_SHAPE` if tokens, masks and grids differ in number or an option has another form;
 * `ROPE_INVALID_PARAMETERS` for an unknown option.
 * Source: Qwen2-VL (arXiv 2409.12191) §2.1; Hugging Face transformers 5 `get_rope_index` of Qwen2-VL, Qwen2.5-VL,
 * Qwen3-VL.
 * @example
 * const modalities = [[TEXT, IMAGE, IMAGE, TEXT]];
 * const { positions, deltas } = promptPositions({ modalities, images: [[1, 2, 4]], advance: "grid" });
 * positions.data; // Int32Array [0, 1, 1, 3, 0, 1, 1, 3, 0, 1, 2, 3]
 * deltas; // [0]
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
  /** Its number in the list that the caller gave. */
  readonly index: number;
}

/** The time that a frame of a video adds to its start. `videos` is the number of videos. */
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

/** Gives out grids one by one, and refuses too few or too many. */
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
 * Computes the positions of packed sequences: each sequence starts again at 0.
 *
 * @param seqlens the number of tokens of each sequence.
 * @returns `[sum of seqlens]` int32, in tokens; new memory, owned by the caller.
 * @throws RopeError `ROPE_SHAPE` if `seqlens` is not a list of integers ≥ 0.
 * Source: `position_ids` of flattened batches in Hugging Face transformers 5, `DataCollatorWithFlattening`.
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
 * Computes the positions of padded rows from their attention mask: the running count of real tokens, minus one. Padding
 * may stand anywhere.
 *
 * @param attentionMask `[batch][tokens]`, 1 for real tokens, 0 for padding.
 * @param options `fill`: the position of padding, which attention never sees (0: Hugging Face 5; 1: Hugging Face 4,
 * transformers.js). `past`: the number of tokens already in the cache; it is added to all positions of real tokens.
 * @returns `[batch, tokens]` int32, in tokens; new memory, owned by the caller.
 * @throws RopeError `ROPE_SHAPE` if the mask is not a list of rows of 0 and 1 with equal lengths, or if an option is
 * not an integer; `ROPE_INVALID_PARAMETERS` for an unknown option.
 * Source: `position_ids` from `attention_mask` in Hugging Face transformers 5 and 4, and in transformers.js.
 * @example maskedPositions([[0, 1, 1, 1]]).data // Int32Array [0, 0, 1, 2]
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

/** New memory, filled with 0. */
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

/** Whether a token is real, by the value of its mask. */
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

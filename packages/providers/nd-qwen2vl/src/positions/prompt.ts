/** The positions of prompts of text, images and videos. */

import { checkKeys, shapeError, show } from "@ropewalk/core/backend";
import { checkedCount, checkedList, checkedNumber, checkedRows, LARGEST, newPositions, patchGrid } from "./checks.ts";
import type { AxisPositions, PatchGrid } from "./checks.ts";
import { counts } from "./masks.ts";

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

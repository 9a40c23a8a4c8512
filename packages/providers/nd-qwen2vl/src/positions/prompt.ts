/** The positions of prompts of text, images and videos. */

import { checkKeys, nearest, shapeError, show } from "@ropewalk/core/backend";
import { checkedCount, checkedList, checkedRows, patchGrid } from "./checks.ts";
import type { Count, PatchGrid } from "./checks.ts";
import type { PromptSegment } from "./place.ts";
import { placeRows, rowKeys } from "./rows.ts";
import type { PromptPositions, PromptRowOptions } from "./rows.ts";

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
export interface PromptOptions extends PromptRowOptions {
  /** The kind of each token: {@link TEXT}, {@link IMAGE} or {@link VIDEO}; `[batch][tokens]`. */
  readonly modalities: readonly ArrayLike<Count>[];
  /** `[frames, height, width]` in patches for each image, in the order of the whole batch. */
  readonly images?: readonly PatchGrid[];
  /** The same for each video. */
  readonly videos?: readonly PatchGrid[];
  /** Patches of a token along each side. Default 2: the Qwen-VL family. */
  readonly mergeSize?: number;
  /**
   * The time of the frames of a video:
   * - `"frames"` (Qwen2-VL, the default): frame `k` has time `k`;
   * - {@link VideoTime} (Qwen2.5-VL): seconds, in parts of a second;
   * - `"timestamps"` (Qwen3-VL): text with the time stands between frames, so each frame is an image of its own.
   */
  readonly time?: "frames" | "timestamps" | VideoTime;
  /**
   * Where text continues after an image or a video: after the largest position in it (`"max"`: Hugging Face before 5.3,
   * vLLM, SGLang), or `max(height, width) / mergeSize` after its start, for any number of frames (`"grid"`: Hugging
   * Face from 5.3 on). The two differ for videos only.
   */
  readonly advance: "max" | "grid";
}

/**
 * Frame `k` of a video has the time `trunc(k · (secondsPerGrid · tokensPerSecond))`. Seconds are rounded to float32
 * first: both engines get them as a float32 tensor.
 */
export interface VideoTime {
  /** The positions of one second; `tokens_per_second` of the vision config. */
  readonly tokensPerSecond: number;
  /** The seconds between two frames, for each video; `second_per_grid_ts` of the processor. */
  readonly secondsPerGrid?: ArrayLike<number>;
  /**
   * The rounding of the two products. They lie near integers, so engines differ by one position: `"float32"` (the
   * default) is Hugging Face, `"float64"` is vLLM.
   */
  readonly precision?: "float32" | "float64";
}

/**
 * Computes the positions of text, images and videos on the axes time, height and width.
 *
 * A text token has the same position on all axes. In an image or video that starts at `p`, a token has `p + frame
 * time`, `p + row`, `p + column`, with rows and columns counted in merged patches. Images and videos are taken from
 * their lists in the order of their tokens: row by row, sequence by sequence.
 *
 * @returns `[3, batch, tokens]`, new int32 memory, owned by the caller, and the deltas for decoding.
 * @throws RopeError `ROPE_SHAPE` if tokens, masks, grids and seconds differ in number or an option has another form;
 * `ROPE_INVALID_PARAMETERS` for an unknown option.
 * Source: Qwen2-VL (arXiv 2409.12191) §2.1; Hugging Face transformers 5 `get_rope_index` of Qwen2-VL, Qwen2.5-VL,
 * Qwen3-VL; vLLM 0.33 `get_mrope_input_positions` of Qwen2.5-VL.
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
  const tokens = modalities[0]?.length ?? 0;
  const kinds = modalities.map((row, i) => {
    if (row.length !== tokens) throw shapeError(`modalities[${i}]`, `${tokens} tokens, as in row 0`, `${row.length}`);
    return row.map((kind) => modality(kind, `modalities[${i}]`));
  });
  const images = visuals(imageGrids, "images", merge, false);
  const videos = visuals(videoGrids, "videos", merge, time === "timestamps");
  const timesOf = frameTimes(time, videoGrids.length);
  const placed = placeRows(modalities.length, tokens, options, {
    axes: 3,
    dtype: "int32",
    segmentsOf({ row, columns }) {
      const kept = columns.map((column) => kinds[row]![column]!);
      const segments: PromptSegment[] = [];
      for (let k = 0; k < kept.length;) {
        const kind = kept[k]!;
        const run = runOf(kept, k);
        if (kind === TEXT) {
          segments.push({ text: run });
          k += run;
          continue;
        }
        const visual = kind === IMAGE ? images.take(row) : videos.take(row);
        const { frames, height, width } = visual;
        if (frames * height * width > run) {
          throw shapeError(
            `modalities[${row}]`,
            `${frames} × ${height} × ${width} tokens for one ${kind === IMAGE ? "image" : "video"}`,
            `${run}`,
            "Count merged patches.",
          );
        }
        segments.push({
          grid: [kind === IMAGE ? frames : timesOf(visual), height, width],
          advance: advance === "max" ? "max" : Math.max(height, width),
        });
        k += frames * height * width;
      }
      return segments;
    },
  });
  images.finish();
  videos.finish();
  return placed;
}

const promptKeys: readonly (keyof PromptOptions)[] = [
  ...rowKeys,
  "modalities",
  "images",
  "videos",
  "mergeSize",
  "time",
  "advance",
];

function modality(kind: Count, name: string): 0 | 1 | 2 {
  const number = typeof kind === "bigint" ? Number(kind) : kind;
  if (number === TEXT || number === IMAGE || number === VIDEO) return number;
  throw shapeError(name, "0 (text), 1 (image) or 2 (video)", show(kind));
}

/** How many tokens from `first` on are of one kind. */
function runOf(kinds: readonly number[], first: number): number {
  let end = first + 1;
  while (end < kinds.length && kinds[end] === kinds[first]) end++;
  return end - first;
}

interface Visual {
  /** In merged patches. */
  readonly frames: number;
  readonly height: number;
  readonly width: number;
  /** Its number in the list that the caller gave. */
  readonly index: number;
}

/** The times that the frames of a video add to its start: their number, where they count 0, 1, 2, … */
function frameTimes(
  time: NonNullable<PromptOptions["time"]>,
  videos: number,
): (visual: Visual) => number | readonly number[] {
  if (time === "frames" || time === "timestamps") return ({ frames }) => frames;
  if (typeof time !== "object" || time === null) {
    const near = typeof time === "string" ? nearest(time, ["frames", "timestamps"]) : undefined;
    throw shapeError(
      "time",
      '"frames", "timestamps" or { tokensPerSecond, secondsPerGrid }',
      show(time),
      near && `Did you mean ${JSON.stringify(near)}?`,
    );
  }
  checkKeys("the option time", time, ["tokensPerSecond", "secondsPerGrid", "precision"]);
  const { precision = "float32", secondsPerGrid = [], tokensPerSecond } = time;
  if (precision !== "float32" && precision !== "float64") {
    throw shapeError("time.precision", '"float32" (Hugging Face) or "float64" (vLLM)', show(precision));
  }
  positive(tokensPerSecond, "time.tokensPerSecond");
  const seconds = checkedList(secondsPerGrid, "time.secondsPerGrid", "the seconds of each video");
  if (seconds.length !== videos) {
    throw shapeError("time.secondsPerGrid", `the seconds of ${videos} videos`, `${seconds.length}`);
  }
  const round = precision === "float32" ? Math.fround : (product: number): number => product;
  const steps = seconds.map((value, i) =>
    round(Math.fround(positive(value, `time.secondsPerGrid[${i}]`)) * round(tokensPerSecond)),
  );
  return ({ frames, index }) => Array.from({ length: frames }, (_, k) => Math.trunc(round(k * steps[index]!)));
}

function positive(value: number, name: string): number {
  if (!Number.isFinite(value) || value <= 0) throw shapeError(name, "a number above 0", show(value));
  return value;
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

/** The positions of prompts of text, images and videos. */

import { checkKeys, nearest, shapeError, show } from "@ropewalk/core/backend";
import { checkedCount, checkedList, checkedPositive } from "./checks.ts";
import type { PromptPositions } from "./rows.ts";
import { IMAGE, placeVisuals, TEXT, VIDEO, visualPromptKeys } from "./visuals.ts";
import type { Visual, VisualPromptOptions } from "./visuals.ts";

/** A prompt of text, images and videos, and the rules of its engine. */
export interface PromptOptions extends VisualPromptOptions {
  /** Frames of a video that one token stands for; `temporal_merge_size`. Default 1; Ernie 4.5 VL has 2. */
  readonly temporalMergeSize?: number;
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
  const {
    advance,
    temporalMergeSize = 1,
    time = "frames",
    videos = [],
  } = checkKeys("the options of promptPositions", options, promptKeys);
  if (advance !== "max" && advance !== "grid") {
    throw shapeError(
      "advance",
      '"max" or "grid"',
      show(advance),
      "Engines differ: say which rule the model was trained or is served with.",
    );
  }
  const merged = checkedCount(temporalMergeSize, "temporalMergeSize", 1);
  const timesOf = frameTimes(time, checkedList(videos, "videos", "a list of [frames, height, width]").length);
  return placeVisuals(options, {
    axes: 3,
    dtype: "int32",
    kinds: [TEXT, IMAGE, VIDEO],
    framesApart: time === "timestamps",
    temporalMerge: merged,
    segmentsOf: (visual) => {
      const { frames, height, kind, width } = visual;
      const times = kind === IMAGE ? frames : timesOf(visual);
      return [{ grid: [times, height, width], advance: advance === "max" ? "max" : Math.max(height, width) }];
    },
  });
}

const promptKeys: readonly (keyof PromptOptions)[] = [...visualPromptKeys, "temporalMergeSize", "time", "advance"];

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
  const {
    precision = "float32",
    secondsPerGrid = [],
    tokensPerSecond,
  } = checkKeys("the option time", time, ["tokensPerSecond", "secondsPerGrid", "precision"]);
  if (precision !== "float32" && precision !== "float64") {
    throw shapeError("time.precision", '"float32" (Hugging Face) or "float64" (vLLM)', show(precision));
  }
  checkedPositive(tokensPerSecond, "time.tokensPerSecond");
  const seconds = checkedList(secondsPerGrid, "time.secondsPerGrid", "the seconds of each video");
  if (seconds.length !== videos) {
    throw shapeError("time.secondsPerGrid", `the seconds of ${videos} videos`, `${seconds.length}`);
  }
  const round = precision === "float32" ? Math.fround : (product: number): number => product;
  const steps = seconds.map((value, i) =>
    round(Math.fround(checkedPositive(value, `time.secondsPerGrid[${i}]`)) * round(tokensPerSecond)),
  );
  return ({ frames, index }) => Array.from({ length: frames }, (_, k) => Math.trunc(round(k * steps[index]!)));
}

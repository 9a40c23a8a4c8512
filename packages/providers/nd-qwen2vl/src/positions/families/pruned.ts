/** The positions of prompts whose videos are pruned: an engine drops the tokens that hardly change between frames. */

import { checkKeys, shapeError, show } from "@ropewalk/core/backend";
import { checkedCount, checkedList, checkedPositive, newPositions, patchGrid } from "../checks.ts";
import type { Count, PatchGrid } from "../checks.ts";
import { rowKeys } from "../rows.ts";
import type { PromptPositions, PromptRowOptions } from "../rows.ts";
import { checkedKinds, IMAGE, placeVisuals, TEXT, VIDEO, visualPromptKeys } from "../visuals.ts";
import type { VisualPromptOptions } from "../visuals.ts";

/** The options of {@link prunedVideoPositions}. */
export interface PrunedVideoOptions extends Omit<VisualPromptOptions, keyof PromptRowOptions> {
  /** The model, whose rules differ. */
  readonly family: "qwen2.5-vl" | "qwen3-vl";
  /** The kinds of the tokens before pruning; one row: `[1][tokens]`. */
  readonly modalities: readonly ArrayLike<Count>[];
  /** For each video, 1 (or `true`) for each token that stays and 0 for the others. */
  readonly kept: readonly ArrayLike<Count | boolean>[];
  /** Of Qwen2.5-VL: the positions of one second; `tokens_per_second` of the vision config. */
  readonly tokensPerSecond?: number;
  /** Of Qwen2.5-VL: the seconds between two frames, for each video. The engine cuts them to whole seconds. */
  readonly secondsPerGrid?: ArrayLike<number>;
  /** The position of the first token. Default 0. */
  readonly start?: Count;
}

/**
 * Computes the positions of the tokens of a prompt that are left after its videos were pruned (EVS, VidCom2).
 *
 * Tokens that stay keep the positions that they have in the whole prompt. In Qwen3-VL that is the prompt of
 * `promptPositions` with `time: "timestamps"`. In Qwen2.5-VL frame `k` has the time `k · tokensPerSecond ·
 * ⌊secondsPerGrid⌋`, and text goes on `width / mergeSize` after the start of an image or a video.
 *
 * @returns `[3, 1, tokens that stay]`, new int32 memory, owned by the caller; the delta for decoding counts the tokens
 * that stay.
 * @throws RopeError `ROPE_SHAPE` if tokens, grids, seconds and `kept` differ in number or an option has another form;
 * `ROPE_INVALID_PARAMETERS` for an unknown option.
 * Source: vLLM 0.33 `recompute_mrope_positions` with Qwen2.5-VL and Qwen3-VL, where it finds all videos: in a prompt
 * with more text than video before a video, it takes the video before it again.
 * @example
 * const prompt = { modalities: [[TEXT, VIDEO, VIDEO, TEXT, VIDEO, VIDEO, TEXT]], videos: [[2, 2, 4]] as const };
 * prunedVideoPositions({ family: "qwen3-vl", ...prompt, kept: [[1, 1, 0, 1]] }).positions.data;
 * // Int32Array [0, 1, 1, 3, 4, 6,  0, 1, 1, 3, 4, 6,  0, 1, 2, 3, 5, 6]
 */
export function prunedVideoPositions(options: PrunedVideoOptions): PromptPositions {
  const own = ["family", "kept", "tokensPerSecond", "secondsPerGrid", "start"];
  const prompt = visualPromptKeys.filter((key) => !(rowKeys as readonly string[]).includes(key));
  const {
    family,
    images = [],
    kept,
    mergeSize = 2,
    modalities,
    start = 0,
  } = checkKeys("the options of prunedVideoPositions", options, [...prompt, ...own]);
  const videos = checkedList(options.videos === undefined ? [] : options.videos, "videos", "a list of grids");
  if (family !== "qwen2.5-vl" && family !== "qwen3-vl") {
    throw shapeError("family", '"qwen2.5-vl" or "qwen3-vl"', show(family));
  }
  const { kinds, tokens } = checkedKinds(modalities, [TEXT, IMAGE, VIDEO]);
  if (kinds.length !== 1) throw shapeError("modalities", "one row", `${kinds.length}`, "Prune one prompt at a time.");
  const steps = frameSteps(options, videos.length);
  const whole = placeVisuals(
    { modalities, images, videos, mergeSize, start: [start] },
    {
      axes: 3,
      dtype: "int32",
      kinds: [TEXT, IMAGE, VIDEO],
      framesApart: steps === undefined,
      segmentsOf: ({ frames, height, index, kind, width }) => {
        if (steps === undefined) return [{ grid: [1, height, width], advance: "max" }];
        const step = kind === VIDEO ? steps[index]! : 1;
        const times = Array.from({ length: frames }, (_, k) => Math.trunc(k * step));
        return [{ grid: [times, height, width], advance: width }];
      },
    },
  );
  const stays = keptTokens(kept, videos, mergeSize).values();
  const columns = [...kinds[0]!.keys()].filter((i) => kinds[0]![i] !== VIDEO || stays.next().value === true);
  const data = newPositions(3 * columns.length, "modalities");
  for (let axis = 0; axis < 3; axis++) {
    columns.forEach((column, i) => (data[axis * columns.length + i] = whole.positions.data[axis * tokens + column]!));
  }
  const largest = data.reduce((most, position) => Math.max(most, position), checkedCount(start, "start", 0) - 1);
  return { positions: { data, shape: [3, 1, columns.length] }, deltas: [largest + 1 - columns.length] };
}

/** Positions from frame to frame, for each of `videos`; none if each frame is an image of its own. */
function frameSteps(
  { family, secondsPerGrid, tokensPerSecond }: PrunedVideoOptions,
  videos: number,
): readonly number[] | undefined {
  if (family === "qwen3-vl") {
    if (secondsPerGrid === undefined && tokensPerSecond === undefined) return undefined;
    throw shapeError("secondsPerGrid and tokensPerSecond", "neither: frames of Qwen3-VL have no times", "some");
  }
  const given = secondsPerGrid === undefined ? [] : secondsPerGrid;
  const seconds = checkedList(given, "secondsPerGrid", "the seconds of each video");
  if (seconds.length !== videos) {
    throw shapeError("secondsPerGrid", `the seconds of ${videos} videos`, `${seconds.length}`);
  }
  if (videos === 0) return [];
  const perSecond = checkedPositive(tokensPerSecond, "tokensPerSecond");
  return seconds.map((value, i) => perSecond * Math.trunc(checkedPositive(value, `secondsPerGrid[${i}]`)));
}

/** Whether each token of each video stays, one after the other. */
function keptTokens(
  kept: readonly ArrayLike<Count | boolean>[],
  videos: readonly PatchGrid[],
  mergeSize: number,
): boolean[] {
  const lists = checkedList(kept, "kept", "marks for the tokens of each video");
  if (lists.length !== videos.length) throw shapeError("kept", `${videos.length} videos`, `${lists.length}`);
  return lists.flatMap((list, video) => {
    const [frames, height, width] = patchGrid(videos[video]!, `videos[${video}]`, mergeSize);
    const count = (frames * height * width) / mergeSize ** 2;
    const marks = checkedList(list, `kept[${video}]`, "0 or 1 for each token");
    if (marks.length !== count) throw shapeError(`kept[${video}]`, `${count} tokens, as the grid`, `${marks.length}`);
    return marks.map((mark, i) => {
      const number = ["number", "bigint", "boolean"].includes(typeof mark) ? Number(mark) : NaN;
      if (number !== 0 && number !== 1) throw shapeError(`kept[${video}][${i}]`, "0 or 1", show(mark));
      return number === 1;
    });
  });
}

/**
 * The positions of Qwen's Omni models: text, images, videos, sound, and videos whose sound stands between their frames.
 */

import { checkKeys, shapeError, show } from "@ropewalk/core/backend";
import { checkedCount, checkedList, checkedPositive } from "../checks.ts";
import type { PromptSegment } from "../place.ts";
import { placeRows } from "../rows.ts";
import type { PromptPositions } from "../rows.ts";
import { AUDIO, checkedKinds, grids, IMAGE, requireTokens, runsOf, TEXT, VIDEO, visualPromptKeys } from "../visuals.ts";
import type { Visual, VisualPromptOptions } from "../visuals.ts";

/** The models that {@link omniPositions} knows, and the numbers that their positions are kept in. */
export interface OmniPositionArrays {
  readonly "qwen2.5-omni": Int32Array;
  readonly "qwen3-omni": Float32Array;
}

/** The options of {@link omniPositions}. */
export interface OmniOptions<F extends keyof OmniPositionArrays> extends VisualPromptOptions {
  /**
   * The model:
   * - `"qwen2.5-omni"`: times of frames are cut to integers; the two tokens that begin a video with its sound share one
   *   position, and so do the two that end it;
   * - `"qwen3-omni"`: times are fractions, so the rope needs `fractionalPositions: true`.
   */
  readonly family: F;
  /** The positions of one second; `position_id_per_seconds` of the config. */
  readonly positionsPerSecond: number;
  /** The seconds between two frames, for each video; `video_second_per_grid` of the processor. */
  readonly secondsPerGrid?: ArrayLike<number>;
  /** Whether each video carries its sound: its tokens and those of the sound mixed, in one run. Default `false`. */
  readonly audioInVideo?: boolean;
}

/**
 * Computes the positions of prompts with images, videos and sound on the axes time, height and width.
 *
 * Sound counts like text: one position for each token, the same on all axes. A token of an image or video that starts
 * at `p` has `p + time`, `p + row`, `p + column`; frame `k` has the time `k · secondsPerGrid · positionsPerSecond`. A
 * video and its sound start at the same position, each with its own rule, in the order of their tokens. Text goes on
 * after the largest position; after a video with sound, that is the largest of the tokens of one kind that stand last.
 * A media is begun and ended by tokens of text, two and two if a video carries its sound.
 *
 * @param options `modalities` may have {@link AUDIO}. The length of a sound is the number of its tokens.
 * @returns `[3, batch, tokens]`, int32 or, for Qwen3-Omni, float32; new memory, owned by the caller, and the deltas for
 * decoding. Padding has position 0 (Hugging Face: 1 for Qwen2.5-Omni).
 * @throws RopeError `ROPE_SHAPE` if tokens, masks, grids and seconds differ in number, a run of tokens mixes kinds
 * without `audioInVideo`, or an option has another form; `ROPE_INVALID_PARAMETERS` for an unknown option.
 * Source: Hugging Face transformers 5.24 `get_rope_index` of Qwen2.5-Omni and Qwen3-Omni.
 * @example
 * const modalities = [[TEXT, TEXT, VIDEO, AUDIO, AUDIO, VIDEO, TEXT, TEXT]];
 * const video = { videos: [[2, 2, 2]], secondsPerGrid: [0.08], audioInVideo: true } as const;
 * omniPositions({ family: "qwen2.5-omni", positionsPerSecond: 25, modalities, ...video }).positions.data.slice(0, 8);
 * // Int32Array [0, 0, 1, 1, 2, 3, 4, 4]
 */
export function omniPositions<F extends keyof OmniPositionArrays>(
  options: OmniOptions<F>,
): PromptPositions<OmniPositionArrays[F]> {
  const {
    audioInVideo = false,
    family,
    images: imageGrids = [],
    mergeSize = 2,
    videos: videoGrids = [],
  } = checkKeys("the options of omniPositions", options, [
    ...visualPromptKeys,
    "family",
    "positionsPerSecond",
    "secondsPerGrid",
    "audioInVideo",
  ]);
  if (family !== "qwen2.5-omni" && family !== "qwen3-omni") {
    throw shapeError("family", '"qwen2.5-omni" or "qwen3-omni"', show(family));
  }
  if (typeof audioInVideo !== "boolean") throw shapeError("audioInVideo", "true or false", show(audioInVideo));
  const whole = family === "qwen2.5-omni";
  const merge = checkedCount(mergeSize, "mergeSize", 1);
  const { kinds, tokens } = checkedKinds(options.modalities, [TEXT, IMAGE, VIDEO, AUDIO]);
  const images = grids(imageGrids, IMAGE, { merge });
  const videos = grids(videoGrids, VIDEO, { merge });
  const timeOf = frameTime(options, whole);
  const placed = placeRows(kinds.length, tokens, options, {
    axes: 3,
    dtype: whole ? "int32" : "float32",
    segmentsOf({ row, columns }) {
      const name = `modalities[${row}]`;
      const runs = mediaRuns(columns.map((column) => kinds[row]![column]!));
      // The tokens of text that begin or end a video with sound.
      const begins = runs.map((_, i) => (runs[i + 1] === undefined ? 0 : bounds(runs[i + 1]!)));
      const ends = runs.map((_, i) => (i === 0 ? 0 : bounds(runs[i - 1]!)));
      return runs.flatMap((run, i): PromptSegment[] => {
        const count = run.length;
        if (run[0] === TEXT) {
          const end = Math.min(ends[i]!, count);
          const begin = Math.min(begins[i]!, count - end);
          if ((ends[i] === 2 && end < 2) || (begins[i] === 2 && begin < 2)) throw shapeError(name, around, `${count}`);
          return [bound(end, whole), { text: count - end - begin }, bound(begin, whole)];
        }
        const kind = run.includes(VIDEO) ? VIDEO : run[0]!;
        const others = run.filter((one) => one !== kind);
        if (others.some((one) => one !== AUDIO || !audioInVideo)) {
          throw shapeError(name, "text between media, unless sound stands in a video (audioInVideo)", "none");
        }
        if (kind === AUDIO) return [{ text: count }];
        const visual = (kind === IMAGE ? images : videos).take(row);
        const { frames, height, width } = visual;
        const cells = frames * height * width;
        const shown = count - others.length;
        requireTokens(visual, cells, shown, row);
        if (shown > cells) throw shapeError(name, `${cells} tokens, as the grid has`, `${shown}`);
        const times = Array.from({ length: frames }, (_, frame) => timeOf(visual, frame));
        if (kind === IMAGE || !audioInVideo) return [{ grid: [times, height, width], advance: "max" }];
        if (others.length === 0) throw shapeError(name, "sound in each video, because of audioInVideo", "none");
        if (i === 0 || i === runs.length - 1) throw shapeError(name, around, "0");
        return mixed(run, times, height, width);
      });
    },
  });
  images.finish();
  videos.finish();
  return placed as PromptPositions<OmniPositionArrays[F]>;
}

const around = "two tokens of text before and after a video with its sound";

/** Runs of text alone, and runs of anything else. */
function mediaRuns(kinds: readonly number[]): number[][] {
  return runsOf(kinds.map((kind) => (kind === TEXT ? 0 : 1))).map(({ from, count }) => kinds.slice(from, from + count));
}

/** The tokens of text on each side of media. */
const bounds = (run: readonly number[]): number => (run.includes(VIDEO) && run.includes(AUDIO) ? 2 : 1);

/** Tokens that begin or end media. The two of a video with sound share a position in Qwen2.5-Omni. */
function bound(count: number, whole: boolean): PromptSegment {
  if (count < 2 || !whole) return { text: count };
  const offsets = new Array<number>(count).fill(0);
  return { offsets: [offsets, offsets, offsets], advance: 1 };
}

/**
 * A video and its sound, which both start where the segment does. The tokens that stand last say where text goes on.
 */
function mixed(run: readonly number[], times: readonly number[], height: number, width: number): PromptSegment[] {
  let cell = 0;
  let sound = 0;
  const offsets = run.map((kind) => {
    if (kind === AUDIO) return new Array<number>(3).fill(sound++);
    const frame = Math.floor(cell / (height * width));
    const row = Math.floor(cell / width) % height;
    return [times[frame]!, row, cell++ % width];
  });
  const { from } = runsOf(run).at(-1)!;
  const part = (tokens: readonly number[][], advance: 0 | "max"): PromptSegment => ({
    offsets: [0, 1, 2].map((axis) => tokens.map((offset) => offset[axis]!)),
    advance,
  });
  return [part(offsets.slice(0, from), 0), part(offsets.slice(from), "max")];
}

/** The time of a frame of a video, rounded as the engine rounds; images have none. */
function frameTime(
  { positionsPerSecond, secondsPerGrid = [], videos = [] }: OmniOptions<keyof OmniPositionArrays>,
  whole: boolean,
): (visual: Visual, frame: number) => number {
  const perSecond = checkedPositive(positionsPerSecond, "positionsPerSecond");
  const seconds = checkedList(secondsPerGrid, "secondsPerGrid", "the seconds of each video").map((value, i) =>
    Math.fround(checkedPositive(value, `secondsPerGrid[${i}]`)),
  );
  const count = checkedList(videos, "videos", "a list of [frames, height, width]").length;
  if (seconds.length !== count) {
    throw shapeError("secondsPerGrid", `the seconds of ${count} videos`, `${seconds.length}`);
  }
  return ({ index, kind }, frame) => {
    const elapsed = kind === IMAGE ? frame : Math.fround(frame * seconds[index]!);
    const time = Math.fround(elapsed * Math.fround(perSecond));
    return whole ? Math.trunc(time) : time;
  };
}

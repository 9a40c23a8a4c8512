/**
 * Prompts of text, images and videos as segments: reads the kinds of tokens, and gives each run of image or video
 * tokens the next grid. What a grid's tokens look like is the family's.
 */

import { shapeError, show } from "@ropewalk/core/backend";
import { checkedCount, checkedList, checkedRows, patchGrid } from "./checks.ts";
import type { Count, PatchGrid, PositionArrays } from "./checks.ts";
import type { PromptSegment } from "./place.ts";
import { placeRows, rowKeys } from "./rows.ts";
import type { PromptPositions, PromptRowOptions } from "./rows.ts";

/**
 * A token of text. The numbers of {@link TEXT}, {@link IMAGE}, {@link VIDEO} and {@link AUDIO} are those of Hugging
 * Face's `mm_token_type_ids`.
 */
export const TEXT: 0 = 0;
/** A token of an image. */
export const IMAGE: 1 = 1;
/** A token of a video. */
export const VIDEO: 2 = 2;
/** A token of sound. */
export const AUDIO: 3 = 3;

const names = ["text", "image", "video", "audio"] as const;

/** A prompt of text and images, and the layout of its rows. */
export interface ImagePromptOptions extends PromptRowOptions {
  /** The kind of each token: {@link TEXT}, {@link IMAGE} or another; `[batch][tokens]`. */
  readonly modalities: readonly ArrayLike<Count>[];
  /** `[frames, height, width]` in patches for each image, in the order of the whole batch. */
  readonly images?: readonly PatchGrid[];
  /** Patches of a token along each side. Default 2: the Qwen-VL family. */
  readonly mergeSize?: number;
}

/** A prompt of text, images and videos, and the layout of its rows. */
export interface VisualPromptOptions extends ImagePromptOptions {
  /** `[frames, height, width]` in patches for each video, in the order of the whole batch. */
  readonly videos?: readonly PatchGrid[];
}

export const imagePromptKeys: readonly (keyof ImagePromptOptions)[] = [...rowKeys, "modalities", "images", "mergeSize"];
export const visualPromptKeys: readonly (keyof VisualPromptOptions)[] = [...imagePromptKeys, "videos"];

/** A grid that stands in the prompt, in merged patches. */
export interface Visual {
  readonly kind: 1 | 2;
  readonly frames: number;
  readonly height: number;
  readonly width: number;
  /** Its number in the list that the caller gave. */
  readonly index: number;
}

/** How a family places the tokens of images and videos. */
export interface VisualRules<D extends keyof PositionArrays> {
  readonly axes: number;
  readonly dtype: D;
  /** The kinds that its prompts have, text among them. */
  readonly kinds: readonly number[];
  /** Whether each frame of a video counts as an image of its own. */
  readonly framesApart?: boolean;
  /** Frames of a video's token. */
  readonly temporalMerge?: number;
  /** The tokens of an image or a video in a run of `run` tokens. Default `frames × height × width`. */
  tokensOf?(visual: Visual, run: number): number;
  /** Its segments, given how many tokens that is. `last`: no other image or video follows in the sequence. */
  segmentsOf(visual: Visual, tokens: number, last: boolean): readonly PromptSegment[];
}

/** Places prompts of text, images and videos. Keys are the caller's to check. */
export function placeVisuals<D extends keyof PositionArrays>(
  options: VisualPromptOptions,
  rules: VisualRules<D>,
): PromptPositions<PositionArrays[D]> {
  const { images: imageGrids = [], mergeSize = 2, videos: videoGrids = [] } = options;
  const merge = checkedCount(mergeSize, "mergeSize", 1);
  const { kinds, tokens } = checkedKinds(options.modalities, rules.kinds);
  const images = grids(imageGrids, IMAGE, { merge });
  const videos = grids(videoGrids, VIDEO, { ...rules, merge });
  const placed = placeRows(kinds.length, tokens, options, {
    axes: rules.axes,
    dtype: rules.dtype,
    segmentsOf({ row, columns }) {
      const runs = runsOf(columns.map((column) => kinds[row]![column]!));
      const lastMedia = runs.findLastIndex(({ kind }) => kind !== TEXT);
      return runs.flatMap(({ kind, count }, i): readonly PromptSegment[] => {
        if (kind === TEXT) return [{ text: count }];
        const segments: PromptSegment[] = [];
        for (let left = count; left > 0;) {
          const visual = (kind === IMAGE ? images : videos).take(row);
          const size = rules.tokensOf?.(visual, left) ?? visual.frames * visual.height * visual.width;
          requireTokens(visual, size, left, row);
          left -= size;
          segments.push(...rules.segmentsOf(visual, size, i === lastMedia && left === 0));
        }
        return segments;
      });
    },
  });
  images.finish();
  videos.finish();
  return placed;
}

/** Refuses a run of tokens that is too short for its grid. */
export function requireTokens({ kind, frames, height, width }: Visual, size: number, run: number, row: number): void {
  if (size <= run) return;
  const cells = frames * height * width === size ? `${frames} × ${height} × ${width}` : `${size}`;
  throw shapeError(`modalities[${row}]`, `${cells} tokens for one ${names[kind]}`, `${run}`, "Count merged patches.");
}

/** The kinds of all tokens as numbers, and the length of the rows. */
export function checkedKinds(
  modalities: readonly ArrayLike<Count>[],
  allowed: readonly number[],
): { kinds: number[][]; tokens: number } {
  const rows = checkedRows(modalities, "modalities");
  const tokens = rows[0]?.length ?? 0;
  const kinds = rows.map((row, i) => {
    if (row.length !== tokens) throw shapeError(`modalities[${i}]`, `${tokens} tokens, as in row 0`, `${row.length}`);
    return row.map((kind) => {
      const number = typeof kind === "bigint" ? Number(kind) : kind;
      if (allowed.includes(number)) return number;
      const each = allowed.map((known) => `${known} (${names[known]})`);
      throw shapeError(`modalities[${i}]`, `${each.slice(0, -1).join(", ")} or ${each.at(-1)}`, show(kind));
    });
  });
  return { kinds, tokens };
}

/** Tokens of one kind that stand side by side. */
export interface Run {
  readonly kind: number;
  readonly from: number;
  readonly count: number;
}

export function runsOf(kinds: readonly number[]): Run[] {
  const starts = [...kinds.keys()].filter((i) => kinds[i] !== kinds[i - 1]);
  return starts.map((from, i) => ({ kind: kinds[from]!, from, count: (starts[i + 1] ?? kinds.length) - from }));
}

/** Gives out grids one by one, and refuses too few or too many. */
export function grids(
  given: readonly PatchGrid[],
  kind: 1 | 2,
  { framesApart = false, merge, temporalMerge = 1 }: { framesApart?: boolean; merge: number; temporalMerge?: number },
): { take(row: number): Visual; finish(): void } {
  const name = `${names[kind]}s`;
  const list = checkedList(given, name, "a list of [frames, height, width]").map((grid, index): Visual => {
    const [frames, height, width] = patchGrid(grid, `${name}[${index}]`, merge);
    if (frames % temporalMerge !== 0) {
      throw shapeError(`${name}[${index}]`, `frames that are a multiple of ${temporalMerge}`, `${frames}`);
    }
    return { kind, frames: frames / temporalMerge, height: height / merge, width: width / merge, index };
  });
  const total = framesApart ? list.reduce((sum, { frames }) => sum + frames, 0) : list.length;
  const runs = framesApart ? singleFrames(list) : list.values();
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

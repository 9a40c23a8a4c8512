/** The positions of MiniCPM-V's prompts: a thumbnail and the slices that detail it share one canvas. */

import { checkKeys, shapeError, show } from "@ropewalk/core/backend";
import { checkedCount, checkedList, checkedNumber, checkedRows } from "../checks.ts";
import type { Count } from "../checks.ts";
import type { PromptSegment } from "../place.ts";
import { placeRows, rowKeys } from "../rows.ts";
import type { PromptPositions, PromptRowOptions } from "../rows.ts";
import { checkedKinds, IMAGE, runsOf, TEXT, VIDEO } from "../visuals.ts";

/** A thumbnail or a slice in patches: rows, columns. */
export type CropSize = readonly [height: Count, width: Count];

/** The ids of the tokens that the layout of a canvas is read from; the keys of the config, in other letters. */
export interface CanvasTokens {
  readonly imageStart: Count;
  readonly imageEnd: Count;
  readonly sliceStart: Count;
  readonly sliceEnd: Count;
  readonly newline: Count;
}

/** The options of {@link miniCpmVPositions}. */
export interface MiniCpmVOptions extends PromptRowOptions {
  /** The ids of the tokens; `[batch][tokens]`. */
  readonly inputIds: readonly ArrayLike<Count>[];
  /** The kind of each token: {@link TEXT}, {@link IMAGE} or {@link VIDEO}; `[batch][tokens]`. */
  readonly modalities: readonly ArrayLike<Count>[];
  readonly tokens: CanvasTokens;
  /** The size of each thumbnail and slice of images, in the order of the whole batch; `target_sizes`. */
  readonly images?: readonly CropSize[];
  /** The same for the frames of videos; `target_sizes_videos`. */
  readonly videos?: readonly CropSize[];
  /** Patches of a token along each side: 4, or 2 if `downsample_mode` is `"4x"`. */
  readonly mergeSize: 2 | 4;
}

/**
 * Computes the positions of MiniCPM-V 4.7's prompts on the axes time, height and width.
 *
 * The slices of an image lie side by side on a canvas, and the thumbnail is stretched over it. All tokens of an image,
 * marks and newlines too, have its start as time. The token before a thumbnail stands one before the canvas, the one
 * after it at the far corner; those around a slice at the slice's corners; a newline between rows of slices at the
 * right edge. The next image or text starts `max(canvas height, canvas width) + 1` after the start. A frame of a video
 * is an image.
 *
 * @returns `[3, batch, tokens]`, new int32 memory, owned by the caller, and the deltas for decoding.
 * @throws RopeError `ROPE_SHAPE` if tokens, masks and sizes differ in number, an image has no token before it, or an
 * option has another form; `ROPE_INVALID_PARAMETERS` for an unknown option.
 * Source: Hugging Face transformers 5.24 `get_rope_index` of MiniCPM-V 4.7.
 * @example
 * const tokens = { imageStart: 1, imageEnd: 2, sliceStart: 3, sliceEnd: 4, newline: 5 };
 * const inputIds = [[9, 1, 8, 8, 2, 9]];
 * const modalities = [[TEXT, TEXT, IMAGE, IMAGE, TEXT, TEXT]];
 * miniCpmVPositions({ inputIds, modalities, tokens, images: [[4, 8]], mergeSize: 4 }).positions.data;
 * // Int32Array [0, 1, 1, 1, 1, 4,  0, 0, 1, 1, 2, 4,  0, 0, 1, 2, 3, 4]
 */
export function miniCpmVPositions(options: MiniCpmVOptions): PromptPositions {
  const {
    images: imageSizes = [],
    mergeSize,
    videos: videoSizes = [],
  } = checkKeys("the options of miniCpmVPositions", options, [
    ...rowKeys,
    "inputIds",
    "modalities",
    "tokens",
    "images",
    "videos",
    "mergeSize",
  ]);
  if (mergeSize !== 2 && mergeSize !== 4) throw shapeError("mergeSize", "2 or 4", show(mergeSize));
  const marks = checkedMarks(options.tokens);
  const { kinds, tokens } = checkedKinds(options.modalities, [TEXT, IMAGE, VIDEO]);
  const ids = checkedRows(options.inputIds, "inputIds").map((row, i) => {
    if (row.length !== tokens) throw shapeError(`inputIds[${i}]`, `${tokens} tokens, as modalities`, `${row.length}`);
    return row.map((id, k) => checkedNumber(id, `inputIds[${i}][${k}]`, "int32"));
  });
  if (ids.length !== kinds.length) throw shapeError("inputIds", `${kinds.length} rows, as modalities`, `${ids.length}`);
  const images = sizes(imageSizes, "images", mergeSize);
  const videos = sizes(videoSizes, "videos", mergeSize);
  const placed = placeRows(kinds.length, tokens, options, {
    axes: 3,
    dtype: "int32",
    segmentsOf({ row, columns, start }) {
      const rowIds = columns.map((column) => ids[row]![column]!);
      const frames = framesOf(
        rowIds,
        columns.map((column) => kinds[row]![column]!),
        marks,
        `modalities[${row}]`,
      );
      const segments: PromptSegment[] = [];
      let at = 0;
      for (const frame of frames) {
        segments.push({ text: frame.from - at });
        // Nothing stands before position 0.
        const before = frame.from === 0 && start[0] === 0 ? 0 : -1;
        const take = (frame.kind === IMAGE ? images : videos).take;
        segments.push(canvas(frame, before, (crop) => take(row, crop.end - crop.from)));
        at = frame.end;
      }
      return [...segments, { text: rowIds.length - at }];
    },
  });
  images.finish();
  videos.finish();
  return placed;
}

type Marks = { readonly [K in keyof CanvasTokens]: number };

function checkedMarks(tokens: CanvasTokens): Marks {
  const names = ["imageStart", "imageEnd", "sliceStart", "sliceEnd", "newline"] as const;
  checkKeys("the option tokens", tokens, names);
  return Object.fromEntries(names.map((name) => [name, checkedCount(tokens[name], `tokens.${name}`, 0)])) as Marks;
}

/** The tokens of a thumbnail or a slice. */
interface Crop {
  readonly from: number;
  readonly end: number;
}

/** A thumbnail with its slices, from the token before it to the last mark after it. */
interface Frame extends Crop {
  readonly kind: number;
  readonly thumbnail: Crop;
  readonly slices: readonly Crop[];
}

/** Finds the frames of a sequence. A run of image or video tokens after a slice's mark belongs to the frame before. */
function framesOf(ids: readonly number[], kinds: readonly number[], marks: Marks, name: string): Frame[] {
  const found: { kind: number; thumbnail: Crop; slices: Crop[] }[] = [];
  for (const { kind, from, count } of runsOf(kinds)) {
    if (kind === TEXT) continue;
    if (from === 0) throw shapeError(name, "a token of text before an image", "none");
    const crop = { from, end: from + count };
    if (ids[from - 1] === marks.sliceStart && found.length > 0) found.at(-1)!.slices.push(crop);
    else found.push({ kind, thumbnail: crop, slices: [] });
  }
  const all = Object.values(marks);
  return found.map((frame, i) => {
    const limit = found[i + 1] === undefined ? ids.length : found[i + 1]!.thumbnail.from - 1;
    let { end } = frame.slices.at(-1) ?? frame.thumbnail;
    while (end < limit && all.includes(ids[end]!)) end++;
    return { ...frame, from: frame.thumbnail.from - 1, end };
  });
}

/** The offsets of a frame's tokens from where its canvas starts. */
function canvas(frame: Frame, before: number, sizeOf: (crop: Crop) => readonly [number, number]): PromptSegment {
  const { from, end, slices, thumbnail } = frame;
  const rows = new Array<number>(end - from).fill(0);
  const columns = new Array<number>(end - from).fill(0);
  const put = (token: number, row: number, column: number): void => {
    if (token >= end) return;
    rows[token - from] = row;
    columns[token - from] = column;
  };
  const fill = (crop: Crop, across: readonly number[], down: readonly number[]): void => {
    for (let token = crop.from; token < crop.end; token++) {
      const cell = token - crop.from;
      put(token, down[Math.floor(cell / across.length)]!, across[cell % across.length]!);
    }
  };
  const small = sizeOf(thumbnail);
  const details = slices.map(sizeOf);
  const perRow = slicesPerRow(slices);
  // The first slice gives the size of all places.
  const [sliceHeight, sliceWidth] = details[0] ?? small;
  const height = slices.length === 0 ? sliceHeight : sliceHeight * (slices.length / perRow);
  const width = slices.length === 0 ? sliceWidth : sliceWidth * perRow;
  put(from, before, before);
  put(thumbnail.end, height, width);
  fill(thumbnail, spread(width, small[1]), spread(height, small[0]));
  slices.forEach((slice, k) => {
    const [high, wide] = details[k]!;
    const top = Math.floor(k / perRow) * sliceHeight;
    const left = (k % perRow) * sliceWidth;
    put(slice.from - 1, top, left);
    put(slice.end, top + high - 1, left + wide - 1);
    fill(slice, counted(left, wide), counted(top, high));
    const next = slices[k + 1];
    if (next === undefined || next.from - slice.end <= 2) return;
    for (let token = slice.end + 1; token < next.from - 1; token++) {
      put(token, (Math.floor(k / perRow) + 1) * sliceHeight - 1, perRow * sliceWidth);
    }
  });
  return { offsets: [rows.map(() => 0), rows, columns], advance: Math.max(height, width) + 1 };
}

/** The slices up to the first newline; all of them, if the rows are then not equally long. */
function slicesPerRow(slices: readonly Crop[]): number {
  const lineEnd = slices.findIndex((slice, k) => k + 1 < slices.length && slices[k + 1]!.from - slice.end > 2);
  const perRow = lineEnd + 1 || slices.length;
  return slices.length % perRow === 0 ? perRow : slices.length;
}

const counted = (first: number, count: number): number[] => Array.from({ length: count }, (_, i) => first + i);

/**
 * `count` places spread over 0 to `size − 1`, rounded to integers, halves to the even one. The steps are those of
 * torch's `linspace` in float32, which counts from the nearer end.
 */
function spread(size: number, count: number): number[] {
  const step = count === 1 ? 0 : Math.fround((size - 1) / (count - 1));
  return Array.from({ length: count }, (_, i) => {
    const fromStart = i < Math.floor(count / 2) || count === 1;
    const place = fromStart ? Math.fround(step * i) : Math.fround(size - 1 - Math.fround(step * (count - i - 1)));
    const down = Math.floor(place);
    const rest = place - down;
    return rest > 0.5 || (rest === 0.5 && down % 2 === 1) ? down + 1 : down;
  });
}

/** Gives out sizes one by one, in tokens, and refuses too few, too many and those that the tokens contradict. */
function sizes(
  given: readonly CropSize[],
  name: string,
  merge: number,
): { take(row: number, tokens: number): readonly [number, number]; finish(): void } {
  const list = checkedList(given, name, "a list of [height, width]").map((size, i) => {
    const sides = checkedList<Count>(size, `${name}[${i}]`, "[height, width]").map((side, axis) =>
      checkedCount(side, `${name}[${i}][${axis}]`, 1),
    );
    if (sides.length !== 2) throw shapeError(`${name}[${i}]`, "[height, width]", `${sides.length} numbers`);
    if (sides.some((side) => side % merge !== 0)) {
      throw shapeError(`${name}[${i}]`, `multiples of mergeSize ${merge}`, sides.join(" × "));
    }
    return [sides[0]! / merge, sides[1]! / merge] as const;
  });
  let used = 0;
  return {
    take(row, tokens) {
      const size = list[used++];
      if (size === undefined) {
        throw shapeError(name, "a size for each run of tokens", `${list.length}, used up in row ${row}`);
      }
      if (size[0] * size[1] !== tokens) {
        throw shapeError(`modalities[${row}]`, `${size[0]} × ${size[1]} tokens for one crop`, `${tokens}`);
      }
      return size;
    },
    finish() {
      if (used !== list.length) throw shapeError(name, `${used} sizes, as many as the tokens show`, `${list.length}`);
    },
  };
}

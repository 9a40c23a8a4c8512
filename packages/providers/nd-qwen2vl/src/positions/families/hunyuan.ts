/** The positions of Tencent's Hunyuan models: images whose rows end with a token of their own. */

import { checkKeys, shapeError, show } from "@ropewalk/core/backend";
import { checkedCount } from "../checks.ts";
import type { Count } from "../checks.ts";
import type { PromptSegment } from "../place.ts";
import type { PromptPositions } from "../rows.ts";
import { IMAGE, imagePromptKeys, placeVisuals, TEXT, VIDEO, visualPromptKeys } from "../visuals.ts";
import type { ImagePromptOptions, VisualPromptOptions } from "../visuals.ts";

/** The options of {@link hunyuanVlPositions}. */
export interface HunyuanVlOptions extends ImagePromptOptions {
  /** The number of sections of the model's rope: 4, or 3 without the axis of plain positions. Default 4. */
  readonly axes?: 3 | 4;
  /** The number of images before these: in the cache, or in an earlier part of the batch. Default 0. */
  readonly firstImage?: Count;
}

/**
 * Computes the positions of HunyuanVL's prompts on the axes position, width, height and image.
 *
 * Text has its plain position on all axes. An image has `height / mergeSize` rows of `width / mergeSize + 1` tokens,
 * the last of which ends the row. Its tokens keep the plain position on the first axis; on the others they have
 * `column`, `row` and the number of the image in the batch. The tokens that begin and end an image may be marked as
 * image too; they count as text.
 *
 * @returns `[axes, batch, tokens]`, new int32 memory, owned by the caller, and the deltas for decoding.
 * @throws RopeError `ROPE_SHAPE` if tokens, masks and images differ in number or an option has another form;
 * `ROPE_INVALID_PARAMETERS` for an unknown option.
 * Source: Hugging Face transformers 5.24 `get_rope_index` of HunYuanVL.
 * @example
 * const modalities = [[TEXT, IMAGE, IMAGE, IMAGE, TEXT]];
 * hunyuanVlPositions({ modalities, images: [[1, 2, 4]] }).positions.data;
 * // Int32Array [0, 1, 2, 3, 4,  0, 0, 1, 2, 4,  0, 0, 0, 0, 4,  0, 0, 0, 0, 4]
 */
export function hunyuanVlPositions(options: HunyuanVlOptions): PromptPositions {
  const { axes = 4, firstImage = 0 } = checkKeys("the options of hunyuanVlPositions", options, [
    ...imagePromptKeys,
    "axes",
    "firstImage",
  ]);
  if (axes !== 3 && axes !== 4) throw shapeError("axes", "3 or 4, the sections of the rope", show(axes));
  const first = checkedCount(firstImage, "firstImage", 0);
  return placeVisuals(options, {
    axes,
    dtype: "int32",
    kinds: [TEXT, IMAGE],
    tokensOf: ({ height, width }, run) => {
      const size = height * (width + 1);
      return run === size + 2 ? run : size;
    },
    segmentsOf: ({ height, index, width }, tokens) => {
      const size = height * (width + 1);
      const cells = Array.from({ length: size }, (_, cell) => cell);
      const columns = cells.map((cell) => cell % (width + 1));
      const rows = cells.map((cell) => Math.floor(cell / (width + 1)));
      const image: PromptSegment = {
        offsets: [cells, columns, rows, cells.map(() => first + index)].slice(-axes),
        origin: (["start", 0, 0, 0] as const).slice(-axes),
        advance: "count",
      };
      return tokens === size ? [image] : [{ text: 1 }, image, { text: 1 }];
    },
  });
}

/**
 * Computes the positions of HY-V4-VL's prompts on the axes time, height and width.
 *
 * A frame of an image or a video has `height / mergeSize` rows of `width / mergeSize + 1` tokens, the last of which
 * ends the row. A token of a frame that starts at `p` has `p`, `p + row`, `p + column`. The next frame or the text
 * starts `max(height / mergeSize, width / mergeSize + 1)` further on.
 *
 * @returns `[3, batch, tokens]`, new int32 memory, owned by the caller, and the deltas for decoding.
 * @throws RopeError `ROPE_SHAPE` if tokens, masks and grids differ in number or an option has another form;
 * `ROPE_INVALID_PARAMETERS` for an unknown option.
 * Source: Hugging Face transformers 5.24 `get_rope_index` of HY-V4-VL.
 * @example
 * const modalities = [[TEXT, VIDEO, VIDEO, VIDEO, VIDEO, TEXT]];
 * hyV4VlPositions({ modalities, videos: [[2, 2, 2]] }).positions.data;
 * // Int32Array [0, 1, 1, 3, 3, 5,  0, 1, 1, 3, 3, 5,  0, 1, 2, 3, 4, 5]
 */
export function hyV4VlPositions(options: VisualPromptOptions): PromptPositions {
  checkKeys("the options of hyV4VlPositions", options, visualPromptKeys);
  return placeVisuals(options, {
    axes: 3,
    dtype: "int32",
    kinds: [TEXT, IMAGE, VIDEO],
    tokensOf: ({ frames, height, width }) => frames * height * (width + 1),
    segmentsOf: ({ frames, height, width }) =>
      new Array<PromptSegment>(frames).fill({ grid: [1, height, width + 1], advance: Math.max(height, width + 1) }),
  });
}

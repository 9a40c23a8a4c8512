/** The positions of GLM-Image: a prompt of text and source images, and the images that it then draws. */

import { checkKeys, shapeError } from "@ropewalk/core/backend";
import { checkedList, patchGrid } from "../checks.ts";
import type { AxisPositions, PatchGrid } from "../checks.ts";
import { place } from "../place.ts";
import type { PromptSegment } from "../place.ts";
import { promptPositions } from "../prompt.ts";
import { sequencesOf } from "../rows.ts";
import type { PromptPositions } from "../rows.ts";
import { imagePromptKeys } from "../visuals.ts";
import type { ImagePromptOptions } from "../visuals.ts";

/** The options of {@link glmImagePositions}. */
export interface GlmImageOptions extends Omit<ImagePromptOptions, "mergeSize" | "packed" | "cuSeqlens" | "past"> {
  /** For each row, `[1, height, width]` of the images to draw, in the order of `image_grid_thw`. */
  readonly generated: readonly (readonly PatchGrid[])[];
}

/** The positions of a prompt, and those of the tokens that it generates. */
export interface GlmImagePositions extends PromptPositions {
  /** For each row, `[3, tokens to draw + 1]` int32. */
  readonly generated: readonly AxisPositions[];
}

/**
 * Computes the positions of GLM-Image on the axes time, height and width.
 *
 * The prompt is placed as by {@link promptPositions}, with one token for each cell of an image. The images to draw
 * follow, the last of the list first: a token of an image that starts at `p` has `p`, `p + row`, `p + column`, and the
 * next starts `max(height, width)` further on. One position for the token that ends them closes the list.
 *
 * @returns the positions of the prompt, its deltas, and `generated`; new memory, owned by the caller.
 * @throws RopeError `ROPE_SHAPE` if tokens, masks, images and rows differ in number or an option has another form;
 * `ROPE_INVALID_PARAMETERS` for an unknown option.
 * Source: Hugging Face transformers 5.24 `get_rope_index` of GLM-Image.
 * @example
 * glmImagePositions({ modalities: [[TEXT, TEXT]], generated: [[[1, 1, 2]]] }).generated[0]?.data;
 * // Int32Array [2, 2, 4,  2, 2, 4,  2, 3, 4]
 */
export function glmImagePositions(options: GlmImageOptions): GlmImagePositions {
  const other = ["mergeSize", "packed", "cuSeqlens", "past"];
  const prompt = imagePromptKeys.filter((key) => !other.includes(key));
  const { generated, ...shown } = checkKeys("the options of glmImagePositions", options, [...prompt, "generated"]);
  const { deltas, positions } = promptPositions({ ...shown, mergeSize: 1, advance: "grid" });
  const [, batch = 0, tokens = 0] = positions.shape;
  const rows = checkedList(generated, "generated", "the images of each row");
  if (rows.length !== batch) throw shapeError("generated", `${batch} rows`, `${rows.length}`);
  const sequences = sequencesOf(batch, tokens, options);
  const drawn = rows.map((row, i) => {
    const images = checkedList(row, `generated[${i}]`, "a list of [1, height, width]").map((grid, k): PromptSegment => {
      const [frames, height, width] = patchGrid(grid, `generated[${i}][${k}]`, 1);
      if (frames !== 1) throw shapeError(`generated[${i}][${k}]`, "one frame", `${frames}`);
      return { grid: [1, height, width], advance: Math.max(height, width) };
    });
    const start = deltas[i]! + sequences[i]!.columns.length;
    return place([...images.reverse(), { text: 1 }], { axes: 3, start }).positions;
  });
  return { positions, deltas, generated: drawn };
}

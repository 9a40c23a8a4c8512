/** The positions of Isaac's prompts: images whose rows and columns count from 0, wherever they stand. */

import { checkKeys } from "@ropewalk/core/backend";
import type { PromptPositions } from "../rows.ts";
import { IMAGE, imagePromptKeys, placeVisuals, TEXT } from "../visuals.ts";
import type { ImagePromptOptions } from "../visuals.ts";

/**
 * Computes the positions of Isaac's prompts on the axes time, height and width.
 *
 * A token of an image that starts at `p` has `p`, `row`, `column`, in merged patches. Text after the last image goes on
 * at `p + 1`; text between images, after the largest position of the image before it.
 *
 * @param options `mergeSize` is `pixel_shuffle_scale_factor` of the vision config. An image has one frame.
 * @returns `[3, batch, tokens]`, new int32 memory, owned by the caller, and the deltas for decoding.
 * @throws RopeError `ROPE_SHAPE` if tokens, masks and images differ in number or an option has another form;
 * `ROPE_INVALID_PARAMETERS` for an unknown option.
 * Source: vLLM 0.33 `get_mrope_input_positions` of Isaac.
 * @example
 * const modalities = [[TEXT, TEXT, IMAGE, IMAGE, TEXT]];
 * isaacPositions({ modalities, images: [[1, 2, 4]] }).positions.data;
 * // Int32Array [0, 1, 2, 2, 3,  0, 1, 0, 0, 3,  0, 1, 0, 1, 3]
 */
export function isaacPositions(options: ImagePromptOptions): PromptPositions {
  checkKeys("the options of isaacPositions", options, imagePromptKeys);
  return placeVisuals(options, {
    axes: 3,
    dtype: "int32",
    kinds: [TEXT, IMAGE],
    segmentsOf: ({ height, width }, _, last) => [
      { grid: [1, height, width], origin: ["start", 0, 0], advance: last ? 1 : "max" },
    ],
  });
}

/**
 * Positions of image and video transformers: text, images, reference images, frames and sound on the axes of each
 * family. Sizes count tokens, that is patches.
 */

import { checkKeys, nearest, shapeError, show } from "@ropewalk/core/backend";
import type { AxisPositions } from "./checks.ts";
import type { DiffusionFamily, DiffusionPrompt, FractionalFamily } from "./diffusion-prompts.ts";
import { diffusionRules } from "./diffusion-rules.ts";
import type { DiffusionRule } from "./diffusion-rules.ts";
import { place } from "./place.ts";

/**
 * Computes the positions of the tokens of an image or video transformer, as its pipeline or its rotary module counts
 * them.
 *
 * @param prompt the family, and the sizes that it has, in tokens; {@link DiffusionPrompts} has the rule of each.
 * @returns `[axes, tokens]`, new memory, owned by the caller: int32, or float32 where positions are fractions, with the
 * engine's roundings.
 * @throws RopeError `ROPE_SHAPE` for an unknown family, or for sizes of another form; `ROPE_INVALID_PARAMETERS` for a
 * key that the family does not have.
 * Source: diffusers 0.42.1; its pipelines of Flux 1 to 3, LongCat-Image, LTX with conditions, Cosmos 3 and CogVideoX,
 * and the rotary modules of the others.
 * @example
 * diffusionPositions({ family: "lumina-2", text: 2, image: [1, 2] }).data;
 * // Int32Array [0, 1, 2, 2,  0, 0, 0, 0,  0, 0, 0, 1]
 */
export function diffusionPositions<F extends DiffusionFamily>(
  prompt: DiffusionPrompt<F>,
): AxisPositions<F extends FractionalFamily ? Float32Array : Int32Array> {
  const { family } = Object(prompt) as { readonly family?: unknown };
  if (typeof family !== "string" || !Object.hasOwn(diffusionRules, family)) {
    const known = Object.keys(diffusionRules);
    const near = typeof family === "string" ? nearest(family, known) : undefined;
    const remedy = near === undefined ? undefined : `Did you mean ${show(near)}?`;
    throw shapeError("family", known.join(", "), show(family), remedy);
  }
  const { axes, dtype, keys, segments } = diffusionRules[family as F] as DiffusionRule<DiffusionFamily>;
  checkKeys(`the options of diffusionPositions for ${family}`, prompt, ["family", ...keys]);
  return place(segments(prompt), { axes, dtype }).positions as AxisPositions<never>;
}

/**
 * Positions of image and video transformers: text, images, reference images and frames on the axes of each model. Sizes
 * count tokens, that is patches. Models that only number their grid from 0 (Wan, HunyuanVideo, HunyuanImage) need
 * `gridPositions` and nothing else.
 */

import { checkKeys, nearest, shapeError, show } from "@ropewalk/core/backend";
import type { AxisPositions } from "./checks.ts";
import type { DiffusionModel, DiffusionPrompt, FractionalModel } from "./diffusion-prompt.ts";
import { diffusionRules } from "./diffusion-rules.ts";
import type { DiffusionRule } from "./diffusion-rules.ts";
import { place } from "./place.ts";

/**
 * Computes the positions of the tokens of an image or video transformer, as its pipeline or its rotary module counts
 * them.
 *
 * @param prompt the model, and the sizes that it has, in tokens; {@link DiffusionPrompt} has the rule of each.
 * @returns `[axes, tokens]`, new memory, owned by the caller: int32, or float32 where positions are fractions, with the
 * engine's roundings.
 * @throws RopeError `ROPE_SHAPE` for an unknown model, or for sizes of another form; `ROPE_INVALID_PARAMETERS` for a
 * key that the model does not have.
 * Source: diffusers 0.42.1; its pipelines of Flux, Flux 2, LongCat-Image, LTX with conditions and CogVideoX, and the
 * rotary modules of the others.
 * @example
 * diffusionPositions({ model: "lumina-2", text: 2, image: [1, 2] }).data;
 * // Int32Array [0, 1, 2, 2,  0, 0, 0, 0,  0, 0, 0, 1]
 */
export function diffusionPositions<P extends DiffusionPrompt>(
  prompt: P,
): AxisPositions<P["model"] extends FractionalModel ? Float32Array : Int32Array> {
  const { model } = Object(prompt) as { readonly model?: unknown };
  if (typeof model !== "string" || !Object.hasOwn(diffusionRules, model)) {
    const near = typeof model === "string" ? nearest(model, Object.keys(diffusionRules)) : undefined;
    throw shapeError(
      "model",
      Object.keys(diffusionRules).join(", "),
      show(model),
      near === undefined ? undefined : `Did you mean ${show(near)}?`,
    );
  }
  const { axes, dtype, keys, segments } = diffusionRules[model as DiffusionModel] as DiffusionRule<DiffusionPrompt>;
  checkKeys(`the options of diffusionPositions for ${model}`, prompt, ["model", ...keys]);
  return place(segments(prompt), { axes, dtype }).positions as AxisPositions<never>;
}

/**
 * Builds positions: the place of each token of a grid, an image or a prompt on every axis. The functions are pure. They
 * return new memory in the form that `rope.apply` takes as `positions`. Where engines disagree on a rule, the rule is
 * an option. Nothing here registers a rope type.
 */

export { decodePositions, slicePositions } from "./decode.ts";
export { diffusionPositions } from "./diffusion.ts";
export { gridPositions, visionPositions } from "./grids.ts";
export { maskedPositions } from "./masks.ts";
export { packedPositions } from "./packed.ts";
export { place } from "./place.ts";
export { promptPositions } from "./prompt.ts";
export { AUDIO, IMAGE, TEXT, VIDEO } from "./visuals.ts";
export { glmImagePositions } from "./families/glm-image.ts";
export { hunyuanVlPositions, hyV4VlPositions } from "./families/hunyuan.ts";
export { isaacPositions } from "./families/isaac.ts";
export { miniCpmVPositions } from "./families/minicpm.ts";
export { omniPositions } from "./families/omni.ts";
export { prunedVideoPositions } from "./families/pruned.ts";
export type { GlmImageOptions, GlmImagePositions } from "./families/glm-image.ts";
export type { HunyuanVlOptions } from "./families/hunyuan.ts";
export type { CanvasTokens, CropSize, MiniCpmVOptions } from "./families/minicpm.ts";
export type { OmniOptions, OmniPositionArrays } from "./families/omni.ts";
export type { PrunedVideoOptions } from "./families/pruned.ts";
export type { AxisPositions, PatchGrid, PositionArrays } from "./checks.ts";
export type { DecodeOptions } from "./decode.ts";
export type {
  DiffusionFamily,
  DiffusionPrompt,
  DiffusionPrompts,
  FractionalFamily,
  ImageGrid,
} from "./diffusion-prompts.ts";
export type { MaskedOptions } from "./masks.ts";
export type { SegmentAdvance, PlacedSegments, PlaceOptions, PromptSegment } from "./place.ts";
export type { PromptOptions, VideoTime } from "./prompt.ts";
export type { ImagePromptOptions, VisualPromptOptions } from "./visuals.ts";
export type { PromptPast, PromptPositions, PromptRowOptions } from "./rows.ts";

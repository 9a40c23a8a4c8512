/**
 * Builds positions: the place of each token of a grid, an image or a prompt on every axis. The functions are pure. They
 * return new memory in the form that `rope.apply` takes as `positions`. Where engines disagree on a rule, the rule is
 * an option. Nothing here registers a rope type.
 */

export { gridPositions, visionPositions } from "./grids.ts";
export { maskedPositions } from "./masks.ts";
export { packedPositions } from "./packed.ts";
export { IMAGE, promptPositions, TEXT, VIDEO } from "./prompt.ts";
export type { AxisPositions, PatchGrid } from "./checks.ts";
export type { PromptOptions, PromptPositions } from "./prompt.ts";

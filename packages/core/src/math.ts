/**
 * The parts of core that need no registry: arithmetic for formulas, element types, pairings, and rotation by tables of
 * your own.
 */

export { doubleDouble, float32, float64, inverseFrequencies, remainder, toNumber } from "./arithmetic.ts";
export type { Arithmetic, DoubleDouble, Real } from "./arithmetic.ts";
export { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from "./element-types.ts";
export { angleGradient } from "./gradient.ts";
export type { AngleGradientOptions } from "./gradient.ts";
export { normGradient } from "./norm-gradient.ts";
export type { NormGradient } from "./norm-gradient.ts";
export type { RmsNorm } from "./pass-arguments.ts";
export { blockCount, canonicalPairing, pairElements } from "./pairing.ts";
export { permuteRows, rowOrder } from "./permute.ts";
export type { PermuteOptions, Rows } from "./permute.ts";
export { rotate } from "./rotate.ts";
export type { RotateOptions, TableData } from "./rotate.ts";

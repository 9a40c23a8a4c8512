/**
 * Factors for queries that grow with the position, which some models have beside their rope.
 *
 * They are no part of the rotation: a step reports them and the attention layer multiplies, since some models do so only
 * in layers without rope.
 */

import { show } from "./errors.ts";
import type { RopeIssue } from "./errors.ts";

/**
 * - `"temperature"`: `1 + beta · ln(1 + floor((p + offset) / length))` at position `p`. Llama 4 (beta 0.1, length 8192,
 *   offset 1, layers without rope), Ministral 3 and Mistral 4 (`llama_4_scaling_beta`, the original context, offset 0).
 * - `"logn"`: `ln(p + 1) / ln(length)` where `p + 1 > length`, else 1. Qwen 1 (`use_logn_attn`).
 */
export type QueryScale =
  | { readonly rule: "temperature"; readonly beta: number; readonly length: number; readonly offset: number }
  | { readonly rule: "logn"; readonly length: number };

const fields = { temperature: ["rule", "beta", "length", "offset"], logn: ["rule", "length"] } as const;

/** The checked rule, or `null`; complains into `issues`. */
export function parseQueryScale(given: unknown, issues: RopeIssue[]): QueryScale | null {
  if (given === null) return null;
  const scale = given as Record<string, unknown>;
  const rule = typeof given === "object" ? scale["rule"] : undefined;
  const known = rule === "temperature" || rule === "logn" ? fields[rule] : undefined;
  const isLength = Number.isSafeInteger(scale["length"]) && (scale["length"] as number) > 1;
  const rest = rule === "logn" || (Number.isFinite(scale["beta"]) && (scale["offset"] === 0 || scale["offset"] === 1));
  if (
    known !== undefined &&
    isLength &&
    rest &&
    Object.keys(scale).every((key) => (known as readonly string[]).includes(key))
  ) {
    return Object.freeze(Object.fromEntries(known.map((key) => [key, scale[key]]))) as unknown as QueryScale;
  }
  issues.push({
    path: "queryScale",
    expected:
      '{ rule: "temperature", beta, length, offset: 0 or 1 } or { rule: "logn", length }, length an integer > 1',
    received: show(given),
  });
  return null;
}

/** The factor of each position, float32. */
export function queryScales(scale: QueryScale, positions: Float64Array): Float32Array {
  return Float32Array.from(positions, (p) => {
    if (scale.rule === "logn") return p + 1 > scale.length ? Math.log(p + 1) / Math.log(scale.length) : 1;
    return 1 + scale.beta * Math.log(1 + Math.floor((p + scale.offset) / scale.length));
  });
}

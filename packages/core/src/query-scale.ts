/**
 * Factors of queries by their position, which some models have beside their rope.
 *
 * They are not part of the rotation, since some models use them only in layers without rope: a step reports the
 * factors, and the attention layer multiplies. A rule is registered by its name, like a rope type; three rules are
 * built in.
 */

import type { ParameterSchema } from "./parameters.ts";

/** The parameters of each rule by its name. A package that registers a rule adds its own. */
export interface QueryScaleParametersByRule {
  /** `beta` ≥ 0, `length` in tokens, `offset` 0 or 1. */
  temperature: { readonly beta: number; readonly length: number; readonly offset: number };
  /** `length` in tokens. */
  logn: { readonly length: number };
  /** `alpha` and `length` in tokens. */
  logarithm: { readonly alpha: number; readonly length: number };
}

/**
 * A rule with its parameters. The factor of a query at position `p`:
 * - `"temperature"`: `1 + beta · ln(1 + floor((p + offset) / length))`. Llama 4 (beta 0.1, length 8192, offset 1,
 *   layers without rope), Ministral 3 and Mistral 4 (`llama_4_scaling_beta`, the original context, offset 0).
 * - `"logn"`: `ln(p + 1) / ln(length)` where `p + 1 > length`, else 1. Qwen 1 (`use_logn_attn`).
 * - `"logarithm"`: `1 + alpha · ln(max((p + 1) / length, 1))`. Inkling (`log_scaling_alpha`, `log_scaling_n_floor`;
 *   layers without rope), transformers 5.24.
 */
export type QueryScale = {
  [Rule in keyof QueryScaleParametersByRule]: { readonly rule: Rule } & QueryScaleParametersByRule[Rule];
}[keyof QueryScaleParametersByRule];

/**
 * A rule for the factor of queries by their position, as a value. `registerQueryScale` gives it a name. It has no
 * state.
 *
 * A step evaluates `scale` once for each token, at the token's position on the first axis, and reports the factors in
 * float32 as `step.queryScale`. The rotation does not apply them.
 */
export interface QueryScaleRule<P = any> {
  /** Version of the contract that the rule was written against: 1. */
  readonly specificationVersion: number;
  /** Package and version. Registering the same source again does nothing. */
  readonly source: string;
  /** Every parameter of the rule. Keys that are not here are errors. */
  readonly parameters: ParameterSchema<P>;
  /** The factor at a position. Pure. Computed in float64; core rounds the result to float32. */
  scale(position: number, parameters: P): number;
}

type Parameters<Rule extends keyof QueryScaleParametersByRule> = QueryScaleParametersByRule[Rule];

const length = { type: "integer", min: 2, description: "tokens" } as const;
const core = { specificationVersion: 1, source: "@ropewalk/core" };

/** The rules that need no registration. */
export const builtInQueryScales: ReadonlyMap<string, QueryScaleRule> = /* @__PURE__ */ new Map<string, QueryScaleRule>([
  [
    "temperature",
    {
      ...core,
      parameters: {
        beta: { type: "number", description: "growth" },
        length,
        offset: { type: "integer", min: 0, max: 1, description: "added to the position" },
      },
      scale: (p, { beta, length: steps, offset }: Parameters<"temperature">) =>
        1 + beta * Math.log(1 + Math.floor((p + offset) / steps)),
    },
  ],
  [
    "logn",
    {
      ...core,
      parameters: { length },
      scale: (p, { length: trained }: Parameters<"logn">) =>
        p + 1 > trained ? Math.log(p + 1) / Math.log(trained) : 1,
    },
  ],
  [
    "logarithm",
    {
      ...core,
      parameters: { alpha: { type: "number", description: "growth" }, length },
      scale: (p, { alpha, length: floor }: Parameters<"logarithm">) =>
        1 + alpha * Math.log(Math.max((p + 1) / floor, 1)),
    },
  ],
]);

/** The sentences of `rope.explain()` about LongRoPE, made from the formula's result. */

import type { RopeSettings, RopeRule } from "@ropewalk/core";
import { toNumber } from "@ropewalk/core/math";
import type { LongropeFrequencies } from "./formula.ts";
import type { LongropeParameters } from "./parameters.ts";

/** The rule of each number, and the regime of each pair: `"kept"` or `"rescaled"`. */
export function explainLongrope(
  { attentionFactor, isLong }: LongropeFrequencies,
  parameters: Required<LongropeParameters>,
  { maxPosition }: RopeSettings,
): { rules: RopeRule[]; regimes: string[] } {
  const { capacity, originalMaxPosition, selection } = parameters;
  const name = isLong ? "long" : "short";
  const comparison = `is ${isLong ? "" : "not "}above ${parameters.switchLength ?? originalMaxPosition}`;
  const mscale = parameters[`${name}Mscale`];
  return {
    rules: [
      { name: "originalMaxPosition", value: originalMaxPosition, rule: "given" },
      {
        name: "factorList",
        value: `${name}Factor`,
        rule: {
          "by-current-length": `the current length ${comparison}`,
          "by-capacity": `the capacity ${capacity ?? maxPosition} ${comparison}, for the whole run`,
          long: "given, at every length",
          short: "given, at every length",
        }[selection],
        source: "Hugging Face longrope_frequency_update; vLLM",
      },
      {
        name: "attentionFactor",
        value: toNumber(attentionFactor),
        rule: mscale === null ? amplitudeRule(parameters, maxPosition) : `${name}Mscale, given`,
        source: mscale === null ? "Hugging Face; vLLM" : "vLLM; Hugging Face phimoe",
      },
    ],
    regimes: parameters[`${name}Factor`].map((slowdown) => (slowdown === 1 ? "kept" : "rescaled")),
  };
}

function amplitudeRule(
  { attentionFactor, factor, originalMaxPosition }: Required<LongropeParameters>,
  maxPosition: number | null,
): string {
  if (attentionFactor !== null) return "given";
  const stated = factor === null ? `s = maxPosition ${maxPosition} / ${originalMaxPosition}` : `s = factor ${factor}`;
  const isLonger = (factor ?? maxPosition! / originalMaxPosition) > 1;
  return isLonger ? `√(1 + ln s / ln ${originalMaxPosition}) with ${stated}` : `1, since ${stated} is not above 1`;
}

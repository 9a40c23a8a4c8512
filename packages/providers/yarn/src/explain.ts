/** The sentences of `rope.explain()` about YaRN, made from the formula's result. */

import type { RopeRule } from "@ropewalk/core";
import { toNumber } from "@ropewalk/core/math";
import type { Real } from "@ropewalk/core/math";
import type { YarnFrequencyParameters, YarnParameters } from "./parameters.ts";

/** The parts of a formula's result that are explained. */
interface Explained {
  readonly high: Real;
  readonly low: Real;
  readonly shares: readonly Real[];
}

/** The rules of YaRN's frequencies, and the regime of each pair: `"kept"`, `"blended"` or `"interpolated"`. */
export function explainYarnFrequencies(
  { high, low, shares }: Explained,
  { betaFast, betaSlow, extrapolationFactor, factor, originalMaxPosition, truncate }: Required<YarnFrequencyParameters>,
): { rules: RopeRule[]; regimes: string[] } {
  const turns = `turns in ${originalMaxPosition} positions, ${truncate ? "" : "not "}rounded outwards`;
  const source = "YaRN §3.2; Hugging Face";
  return {
    rules: [
      { name: "factor", value: factor, rule: "given" },
      { name: "originalMaxPosition", value: originalMaxPosition, rule: "given" },
      {
        name: "extrapolationFactor",
        value: extrapolationFactor,
        rule: "share of their frequency that fast pairs keep",
        source: "SGLang; ggml",
      },
      {
        name: "correctionLow",
        value: toNumber(low),
        rule: `pairs up to here are kept: more than betaFast ${betaFast} ${turns}`,
        source,
      },
      {
        name: "correctionHigh",
        value: toNumber(high),
        rule: `pairs from here on are slowed down by ${factor}: less than betaSlow ${betaSlow} ${turns}`,
        source,
      },
    ],
    // A share between 0 and 1 is not an index.
    regimes: shares.map((share) => ["interpolated", "kept"][toNumber(share)] ?? "blended"),
  };
}

/** The rules of YaRN's frequencies and amplitude, and the regime of each pair. */
export function explainYarn(
  result: Explained & { readonly attentionFactor: Real },
  parameters: Required<YarnParameters>,
): { rules: RopeRule[]; regimes: string[] } {
  const { attentionFactor, factor, magnitudeSlope, mscale, mscaleAllDim } = parameters;
  const { rules, regimes } = explainYarnFrequencies(result, parameters);
  rules.push({
    name: "attentionFactor",
    value: toNumber(result.attentionFactor),
    rule:
      attentionFactor !== null
        ? "given"
        : mscale !== null
          ? `M(mscale ${mscale}) / M(mscaleAllDim ${mscaleAllDim}), M(k) = ${magnitudeSlope} k ln ${factor} + 1`
          : factor <= 1
            ? "1, since factor ≤ 1"
            : `${magnitudeSlope} ln ${factor} + 1`,
    source: "YaRN §3.4; Hugging Face",
  });
  return { rules, regimes };
}

/** What `rope.explain()` says of the rope type `cope`. */

import type { RopeFrequencies } from "@ropewalk/core";
import { AUTHORS_PAIRS } from "./parameters.ts";
import type { CopeParameters } from "./parameters.ts";

/** @param count how many of the pairs are clipped: given, or the default. */
export function explainCope(
  count: number,
  pairs: number,
  { clippedPairs, clipping }: Required<CopeParameters>,
): Pick<RopeFrequencies, "rules" | "regimes"> {
  const first = pairs - count;
  const how = clipping === "soft" ? "turn (1 + cos)/2 times as fast, from 1 down to 0" : "stand still";
  const rule = clippedPairs === null ? `default: ${AUTHORS_PAIRS}, or all of fewer` : "given";
  const isStopped = (pair: number): boolean => clipping === "hard" || (pair === pairs - 1 && count > 1);
  return {
    rules: [
      {
        name: "clippedPairs",
        value: count,
        rule: count === 0 ? `${rule}: plain RoPE` : `${rule}: pairs ${first} to ${pairs - 1} ${how}`,
        source: "hrlics/CoPE, clip_low_n",
      },
    ],
    regimes: Array.from({ length: pairs }, (_, pair) =>
      pair < first || (clipping === "soft" && pair === first) ? "kept" : isStopped(pair) ? "stopped" : "slowed",
    ),
  };
}

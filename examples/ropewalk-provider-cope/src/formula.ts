/**
 * CoPE, clipped RoPE: the slowest pairs, which never complete a turn in training, are slowed down further, each more than
 * the one before it, and the last one does not turn at all.
 *
 * `invFreq[i] = base^(−2i/R) · (1 + cos(π k/(c − 1)))/2` with `k = i − (R/2 − c)` for the last `c` = `clippedPairs` pairs,
 * `base^(−2i/R)` for those before them; amplitude 1. Hard clipping stops all `c` pairs: `invFreq[i] = 0`.
 *
 * Source: Li, Ren, Yuille and Wang, CoPE: Clipped RoPE as A Scalable Free Lunch for Long Context LLMs (arXiv 2602.05258).
 * Order of operations: the authors' code, hrlics/CoPE at ed52ba5, `modeling_cope.py`, on PyTorch.
 */

import type { FrequencyRequest, ParameterSchema, RopeFrequencies, RopeIssue, RopeSettings } from "@ropewalk/core";
import { inverseFrequencies } from "@ropewalk/core/math";
import type { Arithmetic, Real } from "@ropewalk/core/math";
import { cosine } from "./cosine.ts";

/** Parameters of the rope type `cope`. */
export interface CopeParameters {
  /** `c`: how many of the slowest pairs are clipped; absent: {@link AUTHORS_PAIRS}, or all where there are fewer. */
  readonly clippedPairs?: number | null;
  /** `"soft"` is CoPE; `"hard"` is what the paper compares it with. */
  readonly clipping?: "soft" | "hard";
}

/** The authors clip 20 of the 64 pairs of Llama 3 (`clip_low_n`). */
export const AUTHORS_PAIRS = 20;

/** Schema of the rope type `cope`, with the source of each default. */
export const copeParameters: ParameterSchema<CopeParameters> = {
  clippedPairs: {
    type: "integer",
    min: 0,
    default: null,
    description: "how many of the slowest pairs are clipped; absent: 20, or all of fewer (hrlics/CoPE, clip_low_n)",
  },
  clipping: {
    type: "string",
    oneOf: ["soft", "hard"],
    default: "soft",
    description: "soft: by a cosine, which is CoPE (arXiv 2602.05258); hard: the HardClip that it is compared with",
  },
};

/** What the schema cannot say: a head has no more pairs to clip than it has. */
export function checkCope({ clippedPairs }: Required<CopeParameters>, { rotaryDim }: RopeSettings): RopeIssue[] {
  const pairs = rotaryDim / 2;
  if (clippedPairs === null || clippedPairs <= pairs) return [];
  return [
    { path: "parameters.clippedPairs", expected: `≤ ${pairs}, the number of pairs`, received: `${clippedPairs}` },
  ];
}

/**
 * Computes the frequencies of the rope type `cope`.
 *
 * @param request settings and arithmetic: float32 gives the authors' numbers, double-double the true values.
 * @returns a new list of `rotaryDim/2` frequencies in radians per position.
 */
export function copeFrequencies(
  { array, base, rotaryDim }: FrequencyRequest,
  { clippedPairs, clipping }: Required<CopeParameters>,
): RopeFrequencies {
  const pairs = rotaryDim / 2;
  const count = clippedPairs ?? Math.min(AUTHORS_PAIRS, pairs);
  const first = pairs - count;
  const weight = (pair: number): Real => (clipping === "hard" ? 0 : softWeight(pair - first, count, array));
  const invFreq = inverseFrequencies(base, rotaryDim, array).map((frequency, pair) =>
    pair < first ? frequency : array.multiply(frequency, weight(pair)),
  );
  return { invFreq, ...explanation(count, pairs, clippedPairs === null, clipping) };
}

/**
 * `(1 + cos(π k/(c − 1)))/2`: 1 for the first of `c` clipped pairs, 0 for the last. A single pair keeps its frequency.
 *
 * The angles are those of PyTorch's `linspace`, which counts from the nearer end.
 */
function softWeight(k: number, count: number, { pi, add, subtract, multiply, divide }: Arithmetic): Real {
  if (count === 1) return 1;
  const step = divide(pi, count - 1);
  const angle = k < count / 2 ? multiply(step, k) : subtract(pi, multiply(step, count - 1 - k));
  return multiply(0.5, add(1, cosine(angle)));
}

/** What `rope.explain()` says. */
function explanation(
  count: number,
  pairs: number,
  isDefault: boolean,
  clipping: "soft" | "hard",
): Pick<RopeFrequencies, "rules" | "regimes"> {
  const first = pairs - count;
  const how = clipping === "soft" ? "turn (1 + cos)/2 times as fast, from 1 down to 0" : "stand still";
  const rule = isDefault ? `default: ${AUTHORS_PAIRS}, or all of fewer` : "given";
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

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

import type { FrequencyRequest, RopeFrequencies } from "@ropewalk/core";
import { inverseFrequencies } from "@ropewalk/core/math";
import type { Arithmetic, Real } from "@ropewalk/core/math";
import { cosine } from "./cosine.ts";
import { explainCope } from "./explain.ts";
import { AUTHORS_PAIRS } from "./parameters.ts";
import type { CopeParameters } from "./parameters.ts";

export { checkCope, copeParameters } from "./parameters.ts";
export type { CopeParameters } from "./parameters.ts";

/**
 * Computes the frequencies of the rope type `cope`.
 *
 * @param request settings and arithmetic: float32 gives the authors' numbers, double-double the true values.
 * @returns a new list of `rotaryDim/2` frequencies in radians per position.
 */
export function copeFrequencies(
  { array, base, rotaryDim }: FrequencyRequest,
  parameters: Required<CopeParameters>,
): RopeFrequencies {
  const { clippedPairs, clipping } = parameters;
  const pairs = rotaryDim / 2;
  const count = clippedPairs ?? Math.min(AUTHORS_PAIRS, pairs);
  const first = pairs - count;
  const weight = (pair: number): Real => (clipping === "hard" ? 0 : softWeight(pair - first, count, array));
  const invFreq = inverseFrequencies(base, rotaryDim, array).map((frequency, pair) =>
    pair < first ? frequency : array.multiply(frequency, weight(pair)),
  );
  return { invFreq, ...explainCope(count, pairs, parameters) };
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

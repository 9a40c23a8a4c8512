/**
 * A complete provider, to read beside src/formula.ts: linear position interpolation. It is tested, not published, and
 * may be deleted with its test.
 *
 * `invFreq[i] = base^(−2i/rotaryDim) / factor`; amplitude 1.
 *
 * Source: Chen et al., Extending Context Window of Large Language Models via Positional Interpolation (arXiv
 * 2306.15595), §3; order of operations as in Hugging Face transformers 5, `_compute_linear_scaling_rope_parameters`.
 */

import type { FrequencyRequest, RopeFrequencies, RopeProvider } from "@ropewalk/core";
import { inverseFrequencies } from "@ropewalk/core/math";

interface LinearParameters {
  readonly factor: number;
}

function linearFrequencies(
  { array, base, rotaryDim }: FrequencyRequest,
  { factor }: LinearParameters,
): RopeFrequencies {
  const plain = inverseFrequencies(base, rotaryDim, array);
  return {
    invFreq: plain.map((frequency) => array.divide(frequency, factor)),
    // For explain(): which rule gave each number, and what happened to each pair.
    rules: [{ name: "factor", value: factor, rule: "given: every frequency is divided by it" }],
    regimes: plain.map(() => "interpolated"),
  };
}

export const linear: RopeProvider<LinearParameters> = {
  specificationVersion: 1,
  source: "linear-example@1.0.0",
  parameters: {
    factor: { type: "number", above: 0, description: "context extension; no default: every engine requires it" },
  },
  frequencies: linearFrequencies,
};

/** The sentences of `rope.explain()` about DeepSeek's YaRN, made from the formula's result. */

import type { RopeRule } from "@ropewalk/core";
import { toNumber } from "@ropewalk/core/math";
import { explainYarnFrequencies } from "@ropewalk/yarn/formula";
import type { DeepseekYarnFrequencies } from "./formula.ts";
import type { DeepseekYarnParameters } from "./parameters.ts";

/** The rules of YaRN's frequencies and of both amplitudes, and the regime of each pair. */
export function explainDeepseekYarn(
  result: DeepseekYarnFrequencies,
  parameters: Required<DeepseekYarnParameters>,
): { rules: RopeRule[]; regimes: string[] } {
  const { attentionFactor, factor, foldIntoSoftmax, mscale, mscaleAllDim } = parameters;
  const { rules, regimes } = explainYarnFrequencies(result, parameters);
  rules.push(
    {
      name: "attentionFactor",
      value: toNumber(result.attentionFactor),
      rule:
        attentionFactor === null
          ? `M(mscale ${mscale}) / M(mscaleAllDim ${mscaleAllDim}), M(k) = 0.1 k ln ${factor} + 1`
          : "given",
      source: "vLLM",
    },
    {
      name: "softmaxScaleFactor",
      value: toNumber(result.softmaxScaleFactor),
      rule: !foldIntoSoftmax
        ? "1, since foldIntoSoftmax is false"
        : mscaleAllDim === 0
          ? "1, since mscaleAllDim is 0"
          : `M(mscaleAllDim ${mscaleAllDim})²; the attention layer multiplies its scale by it`,
      source: "DeepSeek-V2; vLLM; Hugging Face",
    },
  );
  return { rules, regimes };
}

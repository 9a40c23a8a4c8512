/** The sentences of `rope.explain()` about dynamic NTK-aware scaling, made from the formula's result. */

import type { RopeSettings, RopeRule } from "@ropewalk/core";
import { toNumber } from "@ropewalk/core/math";
import type { DynamicFrequencies } from "./formula.ts";
import type { DynamicParameters } from "./parameters.ts";

/** The rule of each number, and the regime of each pair: `"kept"` or `"stretched"`. */
export function explainDynamic(
  { invFreq, n, scaledBase, trained }: DynamicFrequencies,
  { factor, lengthStep, maxTrainedPosition, selection }: Required<DynamicParameters>,
  { base, rotaryDim }: RopeSettings,
): { rules: RopeRule[]; regimes: string[] } {
  const follows = selection === "by-current-length";
  const steps = lengthStep === "doubling";
  return {
    rules: [
      { name: "factor", value: factor, rule: "given: how steeply the base grows with the length" },
      {
        name: "trainedLength",
        value: trained,
        rule: maxTrainedPosition === null ? "maxPosition, since maxTrainedPosition is absent" : "maxTrainedPosition",
      },
      {
        name: "scheduleLength",
        value: n,
        rule: `the ${follows ? "current length" : "capacity"}, at least the trained length${steps ? ", rounded up to the trained length times a power of 2" : ""}`,
        source: steps
          ? "Qwen 1, get_ntk_alpha"
          : follows
            ? "Hugging Face dynamic_frequency_update"
            : "vLLM DynamicNTKScalingRotaryEmbedding",
      },
      {
        name: "scaledBase",
        value: toNumber(scaledBase),
        rule:
          n === trained
            ? `base ${base}: the length is not above the trained one`
            : `base ${base} · (${factor} · ${n}/${trained} − ${factor - 1})^(R/(R − 2)), R = ${rotaryDim}`,
        source: "YaRN §3.3; Hugging Face _compute_dynamic_ntk_parameters",
      },
    ],
    regimes: invFreq.map((_, i) => (i === 0 || n === trained ? "kept" : "stretched")),
  };
}

/** The sentences of `rope.explain()` about Llama 3.1's context extension, made from the formula's result. */

import type { RopeRule } from "@ropewalk/core";
import type { Llama3Frequencies } from "./formula.ts";
import type { Llama3Parameters } from "./parameters.ts";

/** The rule of each number. */
export function explainLlama3(
  { fastWavelength, slowWavelength }: Llama3Frequencies,
  { factor, highFreqFactor, lowFreqFactor, originalMaxPosition }: Llama3Parameters,
): RopeRule[] {
  const source = "Hugging Face _compute_llama3_parameters";
  return [
    { name: "factor", value: factor, rule: "given: slow pairs become this many times slower" },
    { name: "originalMaxPosition", value: originalMaxPosition, rule: "given: the trained context" },
    {
      name: "slowWavelength",
      value: slowWavelength,
      rule: `originalMaxPosition / lowFreqFactor ${lowFreqFactor}: pairs with a longer wavelength are slowed down by ${factor}`,
      source,
    },
    {
      name: "fastWavelength",
      value: fastWavelength,
      rule: `originalMaxPosition / highFreqFactor ${highFreqFactor}: pairs with a shorter wavelength are kept`,
      source,
    },
  ];
}

/** Registers the rope type `llama3`. */

import { registerRopeType } from "@ropewalk/core";
import type { FrequencyRequest, ParameterSchema, RopeFrequencies, RopeProvider } from "@ropewalk/core";
import { __esDecorate, __runInitializers } from "@ropewalk/core/decorators";
import { explainLlama3 } from "./explain.ts";
import { llama3Frequencies } from "./formula.ts";
import { checkLlama3, llama3Parameters } from "./parameters.ts";
import type { Llama3Parameters } from "./parameters.ts";

declare module "@ropewalk/core" {
  interface RopeParametersByType {
    llama3: Llama3Parameters;
  }
}

/**
 * Llama 3.1's context extension, as a provider.
 *
 * @example
 * import "@ropewalk/llama3";
 *
 * const rope = getRope({
 *   headDim: 4,
 *   base: 1e8,
 *   precision: "float64",
 *   parameters: { ropeType: "llama3", factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPosition: 8192 },
 * });
 * rope.frequencies().invFreq; // [1, 0.0000125]
 */
@registerRopeType("llama3")
export class Llama3Provider implements RopeProvider<Llama3Parameters> {
  readonly specificationVersion = 1;
  readonly source = "@ropewalk/llama3@0.0.0";
  readonly parameters: ParameterSchema<Llama3Parameters> = llama3Parameters;
  readonly check: typeof checkLlama3 = checkLlama3;

  frequencies(request: FrequencyRequest, parameters: Llama3Parameters): RopeFrequencies {
    const result = llama3Frequencies(request, parameters);
    return { ...result, rules: explainLlama3(result, parameters) };
  }
}

export { llama3Frequencies } from "./formula.ts";
export { llama3Parameters } from "./parameters.ts";
export type { Llama3Frequencies } from "./formula.ts";
export type { Llama3Parameters } from "./parameters.ts";

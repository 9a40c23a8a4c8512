/** Parameters of Llama 3.1's context extension, the engines that require them, and checks for contradictions. */

import type { ParameterSchema, RopeIssue } from "@ropewalk/core";

/** Parameters of the rope type `llama3`. */
export interface Llama3Parameters {
  /** The slowdown factor of slow pairs. */
  readonly factor: number;
  /** Turns over `originalMaxPosition` below which a pair is slowed down by the whole `factor`. */
  readonly lowFreqFactor: number;
  /** Turns above which a pair is kept. */
  readonly highFreqFactor: number;
  /** `L₀`: the trained length in tokens. */
  readonly originalMaxPosition: number;
}

/** Schema of the rope type `llama3`. No parameter has a default, because Hugging Face and vLLM require all four. */
export const llama3Parameters: ParameterSchema<Llama3Parameters> = {
  factor: { type: "number", above: 0, description: "slowdown of slow pairs; required by Hugging Face, vLLM" },
  lowFreqFactor: {
    type: "number",
    above: 0,
    description: "turns below which a pair is slowed down; required by Hugging Face, vLLM (Llama 3.1: 1)",
  },
  highFreqFactor: {
    type: "number",
    above: 0,
    description: "turns above which a pair is kept; required by Hugging Face, vLLM (Llama 3.1: 4)",
  },
  originalMaxPosition: {
    type: "integer",
    min: 1,
    description: "trained context L₀ in tokens; required by Hugging Face, vLLM (Llama 3.1: 8192)",
  },
};

/** Contradictions between parameters; `[]` if there are none. */
export function checkLlama3({ highFreqFactor, lowFreqFactor }: Llama3Parameters): RopeIssue[] {
  if (highFreqFactor >= lowFreqFactor) return [];
  return [
    {
      path: "parameters.highFreqFactor",
      expected: `≥ lowFreqFactor (${lowFreqFactor})`,
      received: `${highFreqFactor}`,
      remedy: "highFreqFactor counts the turns of fast pairs; are the two swapped?",
    },
  ];
}

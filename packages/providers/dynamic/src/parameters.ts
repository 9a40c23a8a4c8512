/** Parameters of dynamic NTK-aware scaling, the source of each default, and checks for contradictions. */

import type { ParameterSchema, RopeSettings, RopeIssue } from "@ropewalk/core";

/** Parameters of the rope type `dynamic`; its alias `qwen_dynamic` presets `factor` and `lengthStep`. */
export interface DynamicParameters {
  /** How steeply the base grows: at `n = 2L` the bracket is `factor + 1`. */
  readonly factor: number;
  /** `L`: the trained length in tokens. Absent: `maxPosition` of the request. */
  readonly maxTrainedPosition?: number | null;
  /** The length `n`: the current length, or a capacity fixed for the run. */
  readonly selection?: "by-current-length" | "by-capacity";
  /** Whether `n` is that length itself or the next `L · 2^k`. */
  readonly lengthStep?: "token" | "doubling";
  /** `n` of `by-capacity`, in tokens. Absent: `maxPosition` of the request. */
  readonly capacity?: number | null;
}

/** Schema of the rope type `dynamic`, with the source of each default. */
export const dynamicParameters: ParameterSchema<DynamicParameters> = {
  factor: { type: "number", above: 0, description: "growth of the base; required by every engine" },
  maxTrainedPosition: {
    type: "integer",
    min: 1,
    default: null,
    description: "trained context L in tokens; absent: maxPosition (Hugging Face, vLLM)",
  },
  selection: {
    type: "string",
    oneOf: ["by-current-length", "by-capacity"],
    default: "by-current-length",
    description: "what the base follows: the length at hand (Hugging Face), or one fixed for the run (vLLM, SGLang)",
  },
  lengthStep: {
    type: "string",
    oneOf: ["token", "doubling"],
    default: "token",
    description: "when the base grows: at each token (Hugging Face), or at doublings of L (Qwen 1)",
  },
  capacity: {
    type: "integer",
    min: 1,
    default: null,
    description: "length of by-capacity in tokens; absent: maxPosition (vLLM)",
  },
};

/** Contradictions between parameters; `[]` if there are none. */
export function checkDynamic(
  { capacity, maxTrainedPosition, selection }: Required<DynamicParameters>,
  { maxPosition, rotaryDim }: RopeSettings,
): RopeIssue[] {
  const issues: RopeIssue[] = [];
  if (rotaryDim <= 2) {
    issues.push({
      path: "rotaryDim",
      expected: "≥ 4",
      received: `${rotaryDim}`,
      remedy: "The exponent R/(R − 2) needs more than one pair.",
    });
  }
  if (maxTrainedPosition === null && maxPosition === null) {
    issues.push({
      path: "maxPosition",
      expected: "the trained context length",
      received: "nothing",
      remedy: "Give maxPosition, or maxTrainedPosition in the parameters.",
    });
  }
  if (selection === "by-capacity" && capacity === null && maxPosition === null) {
    issues.push({
      path: "parameters.capacity",
      expected: "the length that frequencies are fixed for",
      received: "nothing",
      remedy: "Give capacity, or maxPosition.",
    });
  }
  if (selection === "by-current-length" && capacity !== null) {
    issues.push({
      path: "parameters.capacity",
      expected: 'nothing with the selection "by-current-length"',
      received: `${capacity}, which has no effect`,
      remedy: 'Remove it, or select "by-capacity".',
    });
  }
  return issues;
}

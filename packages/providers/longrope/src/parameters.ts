/** Parameters of LongRoPE, the source of each default, and checks for contradictions. */

import type { ParameterSchema, RopeSettings, RopeIssue } from "@ropewalk/core";

/** How one of the two lists is chosen. */
export type LongropeSelection = "by-current-length" | "by-capacity" | "long" | "short";

/** Parameters of the rope type `longrope`. */
export interface LongropeParameters {
  /** Slowdown of each pair in short texts; `rotaryDim/2` values. */
  readonly shortFactor: readonly number[];
  /** Slowdown of each pair in long texts; `rotaryDim/2` values. */
  readonly longFactor: readonly number[];
  /** `L₀`: the trained length in tokens. */
  readonly originalMaxPosition: number;
  /** `s`: how many times longer the context becomes. Absent: `maxPosition / originalMaxPosition`. */
  readonly factor?: number | null;
  /** Multiplies cos and sin. Replaces the rule. */
  readonly attentionFactor?: number | null;
  /** The same for the short list only. */
  readonly shortMscale?: number | null;
  /** The same for the long list only. */
  readonly longMscale?: number | null;
  /** How one of the two lists is chosen. */
  readonly selection?: LongropeSelection;
  /** The length for the selection `by-capacity`, in tokens. Absent: `maxPosition` of the request. */
  readonly capacity?: number | null;
  /** The longest text that uses the short list, in tokens. Absent: `originalMaxPosition`. */
  readonly switchLength?: number | null;
}

/** Schema of the rope type `longrope`, with the source of each default. */
export const longropeParameters: ParameterSchema<LongropeParameters> = {
  shortFactor: { type: "numbers", above: 0, description: "slowdown of each pair in short texts; from the model" },
  longFactor: { type: "numbers", above: 0, description: "slowdown of each pair in long texts; from the model" },
  // At least 2, because the amplitude divides by ln L₀.
  originalMaxPosition: { type: "integer", min: 2, description: "trained context L₀ in tokens" },
  factor: {
    type: "number",
    above: 0,
    default: null,
    description: "context extension s; absent: maxPosition / L₀ (Hugging Face, vLLM)",
  },
  attentionFactor: {
    type: "number",
    above: 0,
    default: null,
    description: "amplitude; absent: √(1 + ln s / ln L₀) (Hugging Face, vLLM)",
  },
  shortMscale: { type: "number", above: 0, default: null, description: "amplitude under the short list (vLLM)" },
  longMscale: { type: "number", above: 0, default: null, description: "amplitude under the long list (vLLM)" },
  selection: {
    type: "string",
    oneOf: ["by-current-length", "by-capacity", "long", "short"],
    default: "by-current-length",
    description: "what chooses the list; Hugging Face: the current length",
  },
  capacity: {
    type: "integer",
    min: 1,
    default: null,
    description: "length of by-capacity in tokens; absent: maxPosition (vLLM)",
  },
  switchLength: {
    type: "integer",
    min: 1,
    default: null,
    description: "longest text of the short list in tokens; absent: L₀ (Hugging Face, vLLM)",
  },
};

/** Contradictions between parameters; `[]` if there are none. */
export function checkLongrope(
  parameters: Required<LongropeParameters>,
  { maxPosition, rotaryDim }: RopeSettings,
): RopeIssue[] {
  const issues: RopeIssue[] = [];
  const { attentionFactor, capacity, factor, longMscale, selection, shortMscale, switchLength } = parameters;
  const refuse = (name: string, expected: string, received: string, remedy?: string): void => {
    issues.push({ path: `parameters.${name}`, expected, received, remedy });
  };
  const unused = (name: string, value: number | null): void => {
    if (value === null) return;
    refuse(name, `nothing with the selection "${selection}"`, `${value}, which has no effect`, "Remove it.");
  };
  for (const name of ["shortFactor", "longFactor"] as const) {
    const { length } = parameters[name];
    if (length !== rotaryDim / 2) refuse(name, `${rotaryDim / 2} values, one for each pair`, `${length} values`);
  }
  const mscales = [shortMscale, longMscale].filter((value) => value !== null).length;
  if (attentionFactor !== null && mscales > 0) {
    refuse("attentionFactor", "nothing beside shortMscale or longMscale", `${attentionFactor}`, "Give one of the two.");
  }
  if (maxPosition === null && factor === null && attentionFactor === null && mscales < 2) {
    refuse("factor", "the context extension", "nothing", "Give factor, attentionFactor, or maxPosition.");
  }
  if (selection !== "by-capacity") unused("capacity", capacity);
  else if (maxPosition === null && capacity === null) {
    refuse("capacity", "the length that the list is chosen for", "nothing", "Give capacity, or maxPosition.");
  }
  if (selection === "long" || selection === "short") unused("switchLength", switchLength);
  return issues;
}

/**
 * Given frequencies: a list, for frequencies that no formula gives because they were learned with the model or fitted
 * afterwards.
 *
 * `invFreq` is the list itself: one value for each pair in radians per position. The value 0 does not rotate the pair,
 * a negative value rotates it backwards. cos and sin are multiplied by `attentionFactor`. `base` has no effect.
 *
 * Source: checkpoints that store `inv_freq` (the rotary buffer of Hugging Face transformers, saved with the weights).
 */

import type { FrequencyRequest, ParameterSchema, RopeFrequencies, RopeSettings, RopeIssue } from "@ropewalk/core";

/** Parameters of the rope type `given`. */
export interface GivenParameters {
  /** Angle per position of each pair, in radians; `rotaryDim/2` values. */
  readonly invFreq: readonly number[];
  /** Multiplies cos and sin. */
  readonly attentionFactor?: number;
}

/** Schema of the rope type `given`. */
export const givenParameters: ParameterSchema<GivenParameters> = {
  invFreq: { type: "numbers", description: "angle per position of each pair, in radians; from the checkpoint" },
  attentionFactor: { type: "number", above: 0, default: 1, description: "multiplies cos and sin; 1: no scaling" },
};

/** Contradictions with the settings; `[]` if there are none. */
export function checkGiven({ invFreq }: Required<GivenParameters>, { rotaryDim }: RopeSettings): RopeIssue[] {
  if (invFreq.length === rotaryDim / 2) return [];
  return [
    {
      path: "parameters.invFreq",
      expected: `${rotaryDim / 2} values, one for each pair of rotaryDim ${rotaryDim}`,
      received: `${invFreq.length} values`,
      ...(invFreq.length === rotaryDim
        ? { remedy: "A list with each value twice is that of elements: give one half." }
        : {}),
    },
  ];
}

/**
 * Returns the frequencies and amplitude of the rope type `given`: the parameters themselves, in a new list of
 * `rotaryDim/2` values in radians per position. With `precision: "float32"` core rounds each frequency to float32, as a
 * tensor does.
 *
 * Source: checkpoints that store `inv_freq`.
 */
export function givenFrequencies(
  { base }: FrequencyRequest,
  { attentionFactor, invFreq }: Required<GivenParameters>,
): RopeFrequencies {
  return {
    invFreq,
    attentionFactor,
    rules: [
      { name: "invFreq", value: `${invFreq.length} values`, rule: `given, so that base ${base} has no effect` },
      { name: "attentionFactor", value: attentionFactor, rule: "given; 1 otherwise" },
    ],
    regimes: invFreq.map((frequency) => (frequency === 0 ? "still" : "given")),
  };
}

/**
 * @@type@@: what happens to the frequencies, in a sentence.
 *
 * `invFreq[i] = …`: the formula in one line; amplitude 1.
 *
 * Source: where the formula stands (paper, equation), and whose order of operations it follows (engine, version).
 */

import type { FrequencyRequest, ParameterSchema, RopeFrequencies } from "@ropewalk/core";
import { inverseFrequencies } from "@ropewalk/core/math";

/** Parameters of the rope type `@@type@@`. */
export interface __Name__Parameters {
  /** How many times more slowly the pairs turn. */
  readonly factor: number;
}

/** Schema of the rope type `@@type@@`, with the source of each default. */
export const __name__Parameters: ParameterSchema<__Name__Parameters> = {
  factor: { type: "number", above: 0, description: "how many times more slowly the pairs turn; no default" },
};

/**
 * Computes the frequencies of the rope type `@@type@@`.
 *
 * @param request settings and arithmetic: float32 gives the engines' numbers, double-double the true values.
 * @returns a new list of `rotaryDim/2` frequencies in radians per position.
 */
export function __name__Frequencies(
  { array, base, rotaryDim }: FrequencyRequest,
  { factor }: Required<__Name__Parameters>,
): RopeFrequencies {
  // Most formulas begin with the plain frequencies; otherwise take this line and the import out.
  const plain = inverseFrequencies(base, rotaryDim, array);
  // Write the formula here, with `array.divide` and its like instead of `/` and `Math`: return { invFreq }.
  throw new Error(`src/formula.ts: the formula is not written yet: ${plain.length} frequencies, factor ${factor}`);
}

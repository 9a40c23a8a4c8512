/**
 * @@type@@: what happens to the frequencies, in a sentence.
 *
 * `invFreq[i] = …`: the formula in one line; amplitude 1.
 *
 * Source: where the formula stands (paper, equation), and whose order of operations it follows (engine, version).
 */

/** @import { FrequencyRequest, ParameterSchema, RopeFrequencies } from "@ropewalk/core" */
import { inverseFrequencies } from "@ropewalk/core/math";

/**
 * Parameters of the rope type `@@type@@`.
 *
 * @typedef {object} __Name__Parameters
 * @property {number} factor how many times more slowly the pairs turn
 */

/**
 * Schema of the rope type `@@type@@`, with the source of each default.
 *
 * @type {ParameterSchema<__Name__Parameters>}
 */
export const __name__Parameters = {
  factor: { type: "number", above: 0, description: "how many times more slowly the pairs turn; no default" },
};

/**
 * Computes the frequencies of the rope type `@@type@@`.
 *
 * @param {FrequencyRequest} request settings and arithmetic: float32 gives the engines' numbers, double-double the true
 * values.
 * @param {Required<__Name__Parameters>} parameters
 * @returns {RopeFrequencies} a new list of `rotaryDim/2` frequencies in radians per position.
 */
export function __name__Frequencies({ array, base, rotaryDim }, { factor }) {
  // Most formulas begin with the plain frequencies; otherwise take this line and the import out.
  const plain = inverseFrequencies(base, rotaryDim, array);
  // Write the formula here, with `array.divide` and its like instead of `/` and `Math`: return { invFreq }.
  throw new Error(`src/formula.js: the formula is not written yet: ${plain.length} frequencies, factor ${factor}`);
}

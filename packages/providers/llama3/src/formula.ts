/**
 * The context extension of Llama 3.1: slow pairs are slowed down, fast ones kept, by their wavelength.
 *
 * With `λ = 2π/f` the wavelength of a pair and `L₀` the trained length: a pair whose wavelength fits more than
 * `highFreqFactor` times into `L₀` keeps its frequency `f`, one that fits less than `lowFreqFactor` times gets `f/factor`, and
 * in between `((1 − t)/factor + t) f` with `t = (L₀/λ − low)/(high − low)`. cos and sin are not scaled.
 *
 * Equal factors make a step: nothing is in between, and a wavelength that fits exactly gets `f/factor` (vLLM, t = 0;
 * Hugging Face would divide zero by zero there).
 *
 * Source: Llama 3 models (arXiv 2407.21783), published code; operations and their order as in Hugging Face
 * transformers 5, `_compute_llama3_parameters`.
 */

import type { FrequencyRequest, ParameterSchema, RopeFrequencies, RopeIssue } from "@ropewalk/core";
import { inverseFrequencies, toNumber } from "@ropewalk/core/math";

/** Parameters of the rope type `llama3`. */
export interface Llama3Parameters {
  /** By how much slow pairs are slowed down. */
  readonly factor: number;
  /** Turns over `originalMaxPosition` below which a pair is slowed down by the whole `factor`. */
  readonly lowFreqFactor: number;
  /** Turns above which a pair is kept. */
  readonly highFreqFactor: number;
  /** `L₀`: the context length that the model was trained with, in tokens. */
  readonly originalMaxPosition: number;
}

export const llama3Parameters: ParameterSchema<Llama3Parameters> = {
  factor: {
    type: "number",
    above: 0,
    description: "slowdown of slow pairs; no default: Hugging Face and vLLM require it",
  },
  lowFreqFactor: {
    type: "number",
    above: 0,
    description: "turns below which a pair is slowed down; no default: Hugging Face and vLLM require it (Llama 3.1: 1)",
  },
  highFreqFactor: {
    type: "number",
    above: 0,
    description: "turns above which a pair is kept; no default: Hugging Face and vLLM require it (Llama 3.1: 4)",
  },
  originalMaxPosition: {
    type: "integer",
    min: 1,
    description: "trained context length L₀ in tokens; no default: Hugging Face and vLLM require it (Llama 3.1: 8192)",
  },
};

/** Contradictions that single parameters do not show. */
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

/** Frequencies of the rope type `llama3`. */
export function llama3Frequencies(
  { array, base, rotaryDim, scalar }: FrequencyRequest,
  { factor, highFreqFactor, lowFreqFactor, originalMaxPosition }: Llama3Parameters,
): RopeFrequencies {
  const { add, divide, multiply, subtract } = array;
  // Rounded as the wavelengths that they are compared with.
  const slowWavelength = toNumber(multiply(1, scalar.divide(originalMaxPosition, lowFreqFactor)));
  const fastWavelength = toNumber(multiply(1, scalar.divide(originalMaxPosition, highFreqFactor)));
  const fullTurn = scalar.multiply(2, scalar.pi);
  const width = scalar.subtract(highFreqFactor, lowFreqFactor);

  const regimes: string[] = [];
  const invFreq = inverseFrequencies(base, rotaryDim, array).map((frequency) => {
    // A number divided by a tensor is a reciprocal and a product in torch, hence the two roundings.
    const wavelength = multiply(divide(1, frequency), fullTurn);
    const stepped = toNumber(width) === 0 && toNumber(wavelength) === slowWavelength;
    if (toNumber(wavelength) > slowWavelength || stepped) {
      regimes.push("interpolated");
      return divide(frequency, factor);
    }
    if (toNumber(wavelength) < fastWavelength) {
      regimes.push("kept");
      return frequency;
    }
    regimes.push("blended");
    const turns = multiply(divide(1, wavelength), originalMaxPosition);
    const smooth = divide(subtract(turns, lowFreqFactor), width);
    return add(divide(multiply(subtract(1, smooth), frequency), factor), multiply(smooth, frequency));
  });

  const source = "Hugging Face _compute_llama3_parameters";
  return {
    invFreq,
    rules: [
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
    ],
    regimes,
  };
}

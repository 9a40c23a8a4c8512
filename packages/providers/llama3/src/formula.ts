/**
 * The context extension of Llama 3.1: pairs of long wavelength are slowed down, pairs of short wavelength are kept.
 *
 * With `λ = 2π/f` the wavelength of a pair and `L₀` the trained length: if the wavelength fits more than
 * `highFreqFactor` times into `L₀`, the pair keeps its frequency `f`. If it fits less than `lowFreqFactor` times, the
 * pair gets `f/factor`. In between it gets `((1 − t)/factor + t) f` with `t = (L₀/λ − low)/(high − low)`. cos and sin
 * are not scaled.
 *
 * Equal factors give a step: no pair is in between, and a wavelength that fits exactly gets `f/factor` (vLLM, t = 0;
 * Hugging Face would divide zero by zero there).
 *
 * Source: Llama 3 models (arXiv 2407.21783), published code; operations and their order as in Hugging Face transformers
 * 5, `_compute_llama3_parameters`.
 */

import type { FrequencyRequest } from "@ropewalk/core";
import { inverseFrequencies, toNumber } from "@ropewalk/core/math";
import type { Real } from "@ropewalk/core/math";
import type { Llama3Parameters } from "./parameters.ts";

export { llama3Parameters } from "./parameters.ts";
export type { Llama3Parameters } from "./parameters.ts";

/** The result of {@link llama3Frequencies}. */
export interface Llama3Frequencies {
  /** `rotaryDim/2` values in radians per position. */
  readonly invFreq: Real[];
  /** The case of each pair. */
  readonly regimes: ("kept" | "blended" | "interpolated")[];
  /** `L₀ / lowFreqFactor`, in positions. */
  readonly slowWavelength: number;
  /** `L₀ / highFreqFactor`, in positions. */
  readonly fastWavelength: number;
}

/**
 * Computes the frequencies of the rope type `llama3`; the formula stands at the head of this file.
 *
 * @param request settings and arithmetic: float32 gives the engines' numbers, double-double the true values.
 * @returns a new list of `rotaryDim/2` frequencies in radians per position, and the wavelengths that separate the
 * regimes.
 * Source: Llama 3 models (arXiv 2407.21783), published code; Hugging Face transformers 5 `_compute_llama3_parameters`.
 */
export function llama3Frequencies(
  { array, base, rotaryDim, scalar }: FrequencyRequest,
  { factor, highFreqFactor, lowFreqFactor, originalMaxPosition }: Llama3Parameters,
): Llama3Frequencies {
  const { add, divide, multiply, subtract } = array;
  // Rounded like the wavelengths that they are compared with.
  const slowWavelength = toNumber(multiply(1, scalar.divide(originalMaxPosition, lowFreqFactor)));
  const fastWavelength = toNumber(multiply(1, scalar.divide(originalMaxPosition, highFreqFactor)));
  const fullTurn = scalar.multiply(2, scalar.pi);
  const width = scalar.subtract(highFreqFactor, lowFreqFactor);

  const regimes: Llama3Frequencies["regimes"] = [];
  const invFreq = inverseFrequencies(base, rotaryDim, array).map((frequency) => {
    // torch divides a number by a tensor as a reciprocal and a product. This gives two roundings.
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
  return { invFreq, regimes, slowWavelength, fastWavelength };
}

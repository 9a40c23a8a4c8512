/**
 * Dynamic NTK-aware scaling: the base grows with the current length, so that a short text is rotated as in training and
 * a long one by slower pairs.
 *
 * With `n` the current length and `L` the trained one, at `n > L`:
 * `base' = base · (factor · n/L − (factor − 1))^(R/(R−2))`, `invFreq[i] = base'^(−2i/R)`; at `n ≤ L`, `base' = base`.
 * cos and sin are not scaled. The slowest pair is slowed down by the whole bracket, the first one not at all.
 *
 * Keys cached at one length are stale at another. Engines agree on the formula and differ in what `n` is:
 * the length of the sequence (Hugging Face, mlx-lm), the same rounded up to the next `L · 2^k` (the first Qwen models, with
 * factor 2: their `2^⌈log2(n/L) + 1⌉ − 1` is the bracket), a length fixed for the run (vLLM: its maximum length;
 * SGLang: `factor · L`). `selection`, `lengthStep` and `capacity` say which.
 *
 * Source: bloc97 and emozilla (2023), "Dynamically Scaled RoPE"; YaRN (arXiv 2309.00071), §2.4 and §3.3; operations and
 * their order as in Hugging Face transformers 5, `_compute_dynamic_ntk_parameters`.
 */

import type { FrequencyRequest, ParameterSchema, RopeFrequencies, RopeGeometry, RopeIssue } from "@ropewalk/core";
import { inverseFrequencies, toNumber } from "@ropewalk/core/math";
import type { Real } from "@ropewalk/core/math";

/** Parameters of the rope type `dynamic`; its alias `qwen_dynamic` presets `factor` and `lengthStep`. */
export interface DynamicParameters {
  /** How steeply the base grows: at `n = 2L` the bracket is `factor + 1`. */
  readonly factor: number;
  /** `L`: the context length that the model was trained with, in tokens. Absent: `maxPosition` of the request. */
  readonly maxTrainedPosition?: number | null;
  /** What `n` is: the length at hand, or a capacity fixed for the run. */
  readonly selection?: "by-current-length" | "by-capacity";
  /** Whether `n` is that length itself, or the next `L · 2^k`. */
  readonly lengthStep?: "token" | "doubling";
  /** `n` of `by-capacity`, in tokens. Absent: `maxPosition` of the request. */
  readonly capacity?: number | null;
}

export const dynamicParameters: ParameterSchema<DynamicParameters> = {
  factor: { type: "number", above: 0, description: "growth of the base; no default: every engine requires it" },
  maxTrainedPosition: {
    type: "integer",
    min: 1,
    default: null,
    description:
      "trained context length L in tokens; absent: maxPosition (Hugging Face, which reads no other length here; vLLM)",
  },
  selection: {
    type: "string",
    oneOf: ["by-current-length", "by-capacity"],
    default: "by-current-length",
    description:
      "whether frequencies follow the length at hand (Hugging Face, mlx-lm: the default) or are fixed for the run (vLLM, SGLang)",
  },
  lengthStep: {
    type: "string",
    oneOf: ["token", "doubling"],
    default: "token",
    description:
      "whether every token more gives another ladder (Hugging Face, mlx-lm: the default), or every doubling of L (Qwen 1)",
  },
  capacity: {
    type: "integer",
    min: 1,
    default: null,
    description: "length n of by-capacity in tokens; absent: maxPosition (vLLM; SGLang: factor · maxPosition)",
  },
};

/** Contradictions that single parameters do not show. */
export function checkDynamic(
  { capacity, maxTrainedPosition, selection }: Required<DynamicParameters>,
  { maxPosition, rotaryDim }: RopeGeometry,
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

/** `n`, never below `L`: lengths up to `L` share one ladder. `length` counts with the selection `by-current-length` only. */
export function dynamicLength(
  length: number | null,
  { capacity, lengthStep, maxTrainedPosition, selection }: Required<DynamicParameters>,
  { maxPosition }: RopeGeometry,
): number {
  const trained = (maxTrainedPosition ?? maxPosition)!;
  const wanted = selection === "by-capacity" ? (capacity ?? maxPosition) : length;
  const n = Math.max(wanted ?? trained, trained);
  return lengthStep === "token" ? n : trained * 2 ** Math.ceil(Math.log2(n / trained));
}

/**
 * `base · (factor · n/L − (factor − 1))^(R/(R−2))`. Engines that follow each token hold the length in a tensor, so they
 * compute this in float32, except for the power, whose exponent stays a Python float; the others compute in Python
 * floats throughout.
 */
export function dynamicBase(
  n: number,
  trained: number,
  { factor, lengthStep, selection }: Required<DynamicParameters>,
  { array, base, rotaryDim, scalar }: FrequencyRequest,
): Real {
  if (n === trained) return base;
  const { divide, multiply, subtract } = selection === "by-current-length" && lengthStep === "token" ? array : scalar;
  const bracket = subtract(divide(multiply(factor, n), trained), scalar.subtract(factor, 1));
  return multiply(base, scalar.power(bracket, scalar.divide(rotaryDim, rotaryDim - 2)));
}

/** Frequencies of the rope type `dynamic` at one length. */
export function dynamicFrequencies(
  request: FrequencyRequest,
  parameters: Required<DynamicParameters>,
): RopeFrequencies {
  const { array, base, length, maxPosition, rotaryDim } = request;
  const { factor, lengthStep, maxTrainedPosition, selection } = parameters;
  const trained = (maxTrainedPosition ?? maxPosition)!;
  const n = dynamicLength(length, parameters, request);
  const scaledBase = dynamicBase(n, trained, parameters, request);
  const invFreq = inverseFrequencies(scaledBase, rotaryDim, array);
  const follows = selection === "by-current-length";
  return {
    invFreq,
    // The base grows without a bound where it follows the length: core's own limit of positions is the only one.
    extendedMaxPosition: follows ? Number.POSITIVE_INFINITY : n,
    rules: [
      { name: "factor", value: factor, rule: "given: how steeply the base grows with the length" },
      {
        name: "trainedLength",
        value: trained,
        rule:
          maxTrainedPosition === null ? "maxPosition, since maxTrainedPosition is absent" : "maxTrainedPosition, given",
      },
      {
        name: "scheduleLength",
        value: n,
        rule: `${follows ? "the current length" : "the capacity, fixed for the run"}, or the trained length if that is larger${lengthStep === "token" ? "" : "; rounded up to the trained length times a power of 2"}`,
        source:
          lengthStep === "doubling"
            ? "Qwen 1, get_ntk_alpha"
            : follows
              ? "Hugging Face dynamic_frequency_update"
              : "vLLM DynamicNTKScalingRotaryEmbedding",
      },
      {
        name: "scaledBase",
        value: toNumber(scaledBase),
        rule:
          n === trained
            ? `base ${base} as it is: the length is not above the trained one`
            : `base ${base} · (${factor} · ${n}/${trained} − ${factor - 1})^(R/(R − 2)), R = ${rotaryDim}`,
        source: "YaRN §3.3; Hugging Face _compute_dynamic_ntk_parameters",
      },
    ],
    regimes: invFreq.map((_, i) => (i === 0 || n === trained ? "kept" : "stretched")),
  };
}

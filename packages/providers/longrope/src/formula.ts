/**
 * LongRoPE: every pair is slowed down by a factor of its own, found by search and published with the model; one list for
 * short texts, one for long ones.
 *
 * `invFreq[i] = 1 / (e[i] · base^(2i/R))` with `e` the list in force. cos and sin are multiplied by
 * `√(1 + ln s / ln L₀)`, s = `factor` (else `maxPosition / L₀`) and `L₀ = originalMaxPosition`, and by 1 where s ≤ 1; the list
 * in force does not change that.
 *
 * Keys cached under one list are stale under the other. Engines differ in what chooses: the length at hand (Hugging
 * Face: long when it exceeds `L₀`; SGLang one token later), a length fixed for the run (vLLM, llama.cpp), or nothing
 * (mlx-lm: always long). `selection`, `capacity` and `switchLength` say which.
 *
 * Source: Ding et al., LongRoPE (arXiv 2402.13753); the amplitude is of Phi-3's published code. Operations and their
 * order as in Hugging Face transformers 5, `_compute_longrope_parameters`; `shortMscale` and `longMscale` as in vLLM,
 * `Phi3LongRoPEScaledRotaryEmbedding`.
 */

import type { FrequencyRequest, ParameterSchema, RopeFrequencies, RopeGeometry, RopeIssue } from "@ropewalk/core";
import { toNumber } from "@ropewalk/core/math";
import type { Real } from "@ropewalk/core/math";

/** What chooses between the two lists. */
export type LongropeSelection = "by-current-length" | "by-capacity" | "long" | "short";

/** Parameters of the rope type `longrope`. */
export interface LongropeParameters {
  /** Slowdown of each pair in short texts; `rotaryDim/2` values. */
  readonly shortFactor: readonly number[];
  /** Slowdown of each pair in long texts; `rotaryDim/2` values. */
  readonly longFactor: readonly number[];
  /** `L₀`: the context length that the model was trained with, in tokens. */
  readonly originalMaxPosition: number;
  /** `s`: how many times longer the context becomes. Absent: `maxPosition / originalMaxPosition`. */
  readonly factor?: number | null;
  /** Multiplies cos and sin, instead of the rule. */
  readonly attentionFactor?: number | null;
  /** The same, only while the short list is in force. */
  readonly shortMscale?: number | null;
  /** The same, only while the long list is in force. */
  readonly longMscale?: number | null;
  /** What chooses between the lists. */
  readonly selection?: LongropeSelection;
  /** The length that `by-capacity` goes by, in tokens. Absent: `maxPosition` of the request. */
  readonly capacity?: number | null;
  /** The longest text that the short list is for, in tokens. Absent: `originalMaxPosition`. */
  readonly switchLength?: number | null;
}

export const longropeParameters: ParameterSchema<LongropeParameters> = {
  shortFactor: {
    type: "numbers",
    above: 0,
    description: "slowdown of each pair in short texts; no default: published with the model",
  },
  longFactor: {
    type: "numbers",
    above: 0,
    description: "slowdown of each pair in long texts; no default: published with the model",
  },
  // From 2 on: the amplitude divides by ln L₀.
  originalMaxPosition: {
    type: "integer",
    min: 2,
    description: "trained context length L₀ in tokens; no default: every engine requires it",
  },
  factor: {
    type: "number",
    above: 0,
    default: null,
    description: "context extension s; absent: maxPosition / originalMaxPosition (Hugging Face; vLLM always)",
  },
  attentionFactor: {
    type: "number",
    above: 0,
    default: null,
    description: "amplitude of cos and sin; absent: √(1 + ln s / ln L₀) (Hugging Face, vLLM)",
  },
  shortMscale: {
    type: "number",
    above: 0,
    default: null,
    description: "amplitude under the short list; absent: as attentionFactor (vLLM)",
  },
  longMscale: {
    type: "number",
    above: 0,
    default: null,
    description: "amplitude under the long list; absent: as attentionFactor (vLLM)",
  },
  selection: {
    type: "string",
    oneOf: ["by-current-length", "by-capacity", "long", "short"],
    default: "by-current-length",
    description:
      "what chooses the list: the length at hand (Hugging Face: the default), a capacity fixed for the run (vLLM, llama.cpp), or nothing (mlx-lm: long)",
  },
  capacity: {
    type: "integer",
    min: 1,
    default: null,
    description:
      "length of by-capacity in tokens; absent: maxPosition (vLLM: max_model_len, llama.cpp: the size of the context)",
  },
  switchLength: {
    type: "integer",
    min: 1,
    default: null,
    description:
      "longest text of the short list; absent: originalMaxPosition (Hugging Face, vLLM; SGLang: originalMaxPosition + 1)",
  },
};

/** Contradictions that single parameters do not show. */
export function checkLongrope(
  parameters: Required<LongropeParameters>,
  { maxPosition, rotaryDim }: RopeGeometry,
): RopeIssue[] {
  const issues: RopeIssue[] = [];
  const { attentionFactor, capacity, factor, longMscale, selection, shortMscale, switchLength } = parameters;
  for (const name of ["shortFactor", "longFactor"] as const) {
    const { length } = parameters[name];
    if (length !== rotaryDim / 2) {
      issues.push({
        path: `parameters.${name}`,
        expected: `${rotaryDim / 2} values, one for each pair of rotaryDim ${rotaryDim}`,
        received: `${length} values`,
      });
    }
  }
  const mscales = [shortMscale, longMscale].filter((value) => value !== null).length;
  if (attentionFactor !== null && mscales > 0) {
    issues.push({
      path: "parameters.attentionFactor",
      expected: "nothing beside shortMscale or longMscale",
      received: `${attentionFactor}`,
      remedy: "Both set the amplitude: give one of the two.",
    });
  }
  if (factor === null && maxPosition === null && attentionFactor === null && mscales < 2) {
    issues.push({
      path: "parameters.factor",
      expected: "the context extension, from which the amplitude follows",
      received: "nothing",
      remedy: "Give factor, attentionFactor, or maxPosition.",
    });
  }
  if (selection === "by-capacity" && capacity === null && maxPosition === null) {
    issues.push({
      path: "parameters.capacity",
      expected: "the length that the list is chosen for",
      received: "nothing",
      remedy: "Give capacity, or maxPosition.",
    });
  }
  if (selection !== "by-capacity" && capacity !== null) {
    issues.push({
      path: "parameters.capacity",
      expected: `nothing with the selection ${JSON.stringify(selection)}`,
      received: `${capacity}, which has no effect`,
      remedy: 'Remove it, or select "by-capacity".',
    });
  }
  if ((selection === "long" || selection === "short") && switchLength !== null) {
    issues.push({
      path: "parameters.switchLength",
      expected: `nothing with the selection ${JSON.stringify(selection)}`,
      received: `${switchLength}, which has no effect`,
      remedy: "Remove it.",
    });
  }
  return issues;
}

/** Which list is in force; `length` counts with the selection `by-current-length` only. */
export function longropeIsLong(
  length: number | null,
  { capacity, originalMaxPosition, selection, switchLength }: Required<LongropeParameters>,
  { maxPosition }: RopeGeometry,
): boolean {
  if (selection === "long" || selection === "short") return selection === "long";
  const deciding = selection === "by-capacity" ? (capacity ?? maxPosition) : length;
  return (deciding ?? 0) > (switchLength ?? originalMaxPosition);
}

/** One length for each list: the longest text of the short one, or one token more. */
export function longropeSchedule(
  length: number,
  parameters: Required<LongropeParameters>,
  geometry: RopeGeometry,
): number {
  const switchLength = parameters.switchLength ?? parameters.originalMaxPosition;
  return longropeIsLong(length, parameters, geometry) ? switchLength + 1 : switchLength;
}

/** Frequencies and amplitude of the rope type `longrope` at one length. */
export function longropeFrequencies(
  request: FrequencyRequest,
  parameters: Required<LongropeParameters>,
): RopeFrequencies {
  const { array, base, length, rotaryDim } = request;
  const { divide, multiply, power } = array;
  const { factor, originalMaxPosition, selection, switchLength } = parameters;
  const isLong = longropeIsLong(length, parameters, request);
  const list = isLong ? parameters.longFactor : parameters.shortFactor;
  const amplitude = longropeAmplitude(isLong, request, parameters);
  const reason = {
    "by-current-length": `the current length is ${isLong ? "above" : "not above"} ${switchLength ?? originalMaxPosition}`,
    "by-capacity": `the capacity ${parameters.capacity ?? request.maxPosition} is ${isLong ? "above" : "not above"} ${switchLength ?? originalMaxPosition}, for the whole run`,
    long: "given, at every length",
    short: "given, at every length",
  }[selection];
  return {
    invFreq: list.map((slowdown, i) => divide(1, multiply(slowdown, power(base, divide(2 * i, rotaryDim))))),
    attentionFactor: amplitude.value,
    ...(factor === null ? {} : { extendedMaxPosition: factor * originalMaxPosition }),
    rules: [
      { name: "originalMaxPosition", value: originalMaxPosition, rule: "given: the trained context" },
      {
        name: "factorList",
        value: isLong ? "longFactor" : "shortFactor",
        rule: reason,
        source: "Hugging Face longrope_frequency_update; vLLM Phi3LongRoPEScaledRotaryEmbedding",
      },
      { name: "attentionFactor", value: toNumber(amplitude.value), rule: amplitude.rule, source: amplitude.source },
    ],
    regimes: list.map((slowdown) => (slowdown === 1 ? "kept" : "rescaled")),
  };
}

function longropeAmplitude(
  isLong: boolean,
  { maxPosition, scalar }: FrequencyRequest,
  parameters: Required<LongropeParameters>,
): { value: Real; rule: string; source: string } {
  const { attentionFactor, factor, originalMaxPosition } = parameters;
  const source = "Hugging Face _compute_longrope_parameters; vLLM";
  const mscale = isLong ? parameters.longMscale : parameters.shortMscale;
  if (mscale !== null) {
    return {
      value: mscale,
      rule: `${isLong ? "longMscale" : "shortMscale"}, given`,
      source: "vLLM; Hugging Face phimoe",
    };
  }
  if (attentionFactor !== null) return { value: attentionFactor, rule: "given", source };
  const extension = factor ?? scalar.divide(maxPosition!, originalMaxPosition);
  const stated =
    factor === null
      ? `maxPosition / originalMaxPosition = ${maxPosition} / ${originalMaxPosition}`
      : `factor ${factor}`;
  if (toNumber(extension) <= 1) return { value: 1, rule: `1, since ${stated} is not above 1`, source };
  const { add, divide, log, sqrt } = scalar;
  return {
    value: sqrt(add(1, divide(log(extension), log(originalMaxPosition)))),
    rule: `√(1 + ln s / ln ${originalMaxPosition}) with s = ${stated}`,
    source,
  };
}

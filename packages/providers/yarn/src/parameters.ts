/** Parameters of YaRN, the source of each default, and checks for contradictions. */

import type { ParameterSchema, RopeSettings, RopeIssue } from "@ropewalk/core";

/** The parameters of YaRN that the frequencies follow from. */
export interface YarnFrequencyParameters {
  /** `s`: how many times longer the context becomes. */
  readonly factor: number;
  /** `L₀`: the trained length in tokens. */
  readonly originalMaxPosition: number;
  /** Turns over `originalMaxPosition` above which a pair is kept. */
  readonly betaFast?: number;
  /** Turns below which a pair is slowed down by the whole `factor`. */
  readonly betaSlow?: number;
  /** Round the ends of the blended range outwards to whole pairs. */
  readonly truncate?: boolean;
  /** `e`: the share of their frequency that fast pairs keep, from 0 (slowed down like the others) to 1. */
  readonly extrapolationFactor?: number;
}

/** Parameters of the rope type `yarn`. */
export interface YarnParameters extends YarnFrequencyParameters {
  /** Multiplies cos and sin. Replaces the rule. */
  readonly attentionFactor?: number | null;
  /** With `mscaleAllDim`: the amplitude is the ratio of the two magnitudes. */
  readonly mscale?: number | null;
  /** The denominator of that ratio; it needs `mscale`. */
  readonly mscaleAllDim?: number | null;
  /** `a` of the amplitude `a ln(factor) + 1`. */
  readonly magnitudeSlope?: number;
}

/** Schema of {@link YarnFrequencyParameters}, with the source of each default. */
export const yarnFrequencyParameters: ParameterSchema<YarnFrequencyParameters> = {
  factor: { type: "number", above: 0, description: "context extension s" },
  originalMaxPosition: { type: "integer", min: 1, description: "trained context L₀ in tokens" },
  betaFast: { type: "number", above: 0, default: 32, description: "turns above which pairs are kept; YaRN §3.2" },
  betaSlow: { type: "number", above: 0, default: 1, description: "turns below which pairs are slowed down; YaRN §3.2" },
  truncate: { type: "boolean", default: true, description: "round the blended range to whole pairs; Hugging Face" },
  extrapolationFactor: {
    type: "number",
    min: 0,
    max: 1,
    default: 1,
    description: "share of their frequency that fast pairs keep; YaRN §3.2",
  },
};

/**
 * Schema of the rope type `yarn`, with the source of each default. A bundler can drop a pure call, but not a spread.
 */
export const yarnParameters: ParameterSchema<YarnParameters> = /* @__PURE__ */ Object.assign(
  {},
  yarnFrequencyParameters,
  {
    attentionFactor: { type: "number", above: 0, default: null, description: "amplitude; absent: YaRN §3.4" },
    mscale: { type: "number", above: 0, default: null, description: "numerator of the amplitude; Hugging Face" },
    mscaleAllDim: {
      type: "number",
      above: 0,
      default: null,
      description: "denominator of the amplitude; Hugging Face",
    },
    magnitudeSlope: {
      type: "number",
      min: 0,
      default: 0.1,
      description: "a of the amplitude a ln s + 1; YaRN §3.4",
    },
  } satisfies Partial<ParameterSchema<YarnParameters>>,
);

/** Contradictions between parameters of YaRN's frequencies; `[]` if there are none. */
export function checkYarnFrequencies(
  { betaFast, betaSlow }: Required<YarnFrequencyParameters>,
  { base }: RopeSettings,
): RopeIssue[] {
  const issues: RopeIssue[] = [];
  if (betaFast < betaSlow) {
    issues.push({
      path: "parameters.betaFast",
      expected: `≥ betaSlow ${betaSlow}`,
      received: `${betaFast}`,
      remedy: "Are the two swapped?",
    });
  }
  if (base <= 1) {
    issues.push({ path: "base", expected: "> 1", received: `${base}` });
  }
  return issues;
}

/** Contradictions between parameters of the rope type `yarn`; `[]` if there are none. */
export function checkYarn(parameters: Required<YarnParameters>, settings: RopeSettings): RopeIssue[] {
  const issues = checkYarnFrequencies(parameters, settings);
  const { mscale, mscaleAllDim } = parameters;
  if ((mscale === null) !== (mscaleAllDim === null)) {
    const given = mscale === null ? "mscaleAllDim" : "mscale";
    issues.push({
      path: `parameters.${given}`,
      expected: "mscale and mscaleAllDim, or neither",
      received: `${given} alone`,
    });
  }
  return issues;
}

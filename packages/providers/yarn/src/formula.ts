/**
 * YaRN: context extension by slowing down slow pairs and keeping fast ones.
 *
 * A pair that turns more than `betaFast` times over the original context keeps its frequency, one that turns less than
 * `betaSlow` times is slowed down by `factor`, and in between the two are blended linearly over the pair index. cos and
 * sin are multiplied by `0.1 ln(factor) + 1`, so logits by its square. TeleChat3 has 0.07 there.
 *
 * Source: Peng et al., YaRN (arXiv 2309.00071), §3.2 to §3.4; operations, their order and the reading of parameters as
 * in Hugging Face transformers 5, `_compute_yarn_parameters`.
 */

import type {
  FrequencyRequest,
  ParameterSchema,
  RopeFrequencies,
  RopeGeometry,
  RopeIssue,
  RopeRule,
} from "@ropewalk/core";
import { inverseFrequencies, toNumber } from "@ropewalk/core/math";
import type { Arithmetic, Real } from "@ropewalk/core/math";

/** What of YaRN says which pairs are kept and which slowed down. */
export interface YarnLadderParameters {
  /** `s`: how many times longer the context becomes. */
  readonly factor: number;
  /** `L₀`: the context length that the model was trained with, in tokens. */
  readonly originalMaxPosition: number;
  /** Turns over `originalMaxPosition` above which a pair is kept. */
  readonly betaFast?: number;
  /** Turns below which a pair is slowed down by the whole `factor`. */
  readonly betaSlow?: number;
  /** Round the ends of the blended range outwards to whole pairs. */
  readonly truncate?: boolean;
  /** `e`: how far a fast pair keeps its frequency, from 0 (slowed down like the others) to 1. */
  readonly extrapolationFactor?: number;
}

/** Parameters of the rope type `yarn`. */
export interface YarnParameters extends YarnLadderParameters {
  /** Multiplies cos and sin, instead of the rule. */
  readonly attentionFactor?: number | null;
  /** With `mscaleAllDim`: the amplitude is the ratio of the two magnitudes. */
  readonly mscale?: number | null;
  readonly mscaleAllDim?: number | null;
  /** `a` of the amplitude `a ln(factor) + 1`. */
  readonly magnitudeSlope?: number;
}

export const yarnLadderParameters: ParameterSchema<YarnLadderParameters> = {
  factor: { type: "number", above: 0, description: "context extension s; no default: every engine requires it" },
  originalMaxPosition: {
    type: "integer",
    min: 1,
    description: "trained context length L₀ in tokens; no default: every engine requires it",
  },
  betaFast: {
    type: "number",
    above: 0,
    default: 32,
    description: "turns above which a pair is kept; 32: YaRN §3.2, Hugging Face, vLLM",
  },
  betaSlow: {
    type: "number",
    above: 0,
    default: 1,
    description: "turns below which a pair is slowed down; 1: YaRN §3.2, Hugging Face, vLLM",
  },
  truncate: {
    type: "boolean",
    default: true,
    description: "round the blended range to whole pairs; true: Hugging Face, vLLM",
  },
  extrapolationFactor: {
    type: "number",
    min: 0,
    max: 1,
    default: 1,
    description:
      "how far fast pairs keep their frequency; 1: YaRN §3.2, Hugging Face, vLLM (SGLang and ggml have a setting)",
  },
};

export const yarnParameters: ParameterSchema<YarnParameters> = {
  ...yarnLadderParameters,
  attentionFactor: {
    type: "number",
    above: 0,
    default: null,
    description: "amplitude of cos and sin; absent: by rule (YaRN §3.4)",
  },
  mscale: {
    type: "number",
    above: 0,
    default: null,
    description: "numerator magnitude; read together with mscaleAllDim only (Hugging Face)",
  },
  mscaleAllDim: {
    type: "number",
    above: 0,
    default: null,
    description: "denominator magnitude; read together with mscale only (Hugging Face)",
  },
  magnitudeSlope: {
    type: "number",
    min: 0,
    default: 0.1,
    description: "a of the amplitude a ln s + 1; 0.1: YaRN §3.4, Hugging Face, vLLM (telechat3-yarn: 0.07)",
  },
};

/** Contradictions in a YaRN ladder that single parameters do not show. */
export function checkYarnLadder(
  { betaFast, betaSlow }: Required<YarnLadderParameters>,
  { base }: RopeGeometry,
): RopeIssue[] {
  const issues: RopeIssue[] = [];
  if (betaFast < betaSlow) {
    issues.push({
      path: "parameters.betaFast",
      expected: `≥ betaSlow (${betaSlow})`,
      received: `${betaFast}`,
      remedy: "betaFast counts the turns of fast pairs; are the two swapped?",
    });
  }
  if (base <= 1) {
    issues.push({ path: "base", expected: "> 1, so that frequencies fall from pair to pair", received: `${base}` });
  }
  return issues;
}

/** Contradictions in the parameters of `yarn`. */
export function checkYarn(parameters: Required<YarnParameters>, geometry: RopeGeometry): RopeIssue[] {
  const issues = checkYarnLadder(parameters, geometry);
  const { mscale, mscaleAllDim } = parameters;
  if ((mscale === null) !== (mscaleAllDim === null)) {
    const [given, missing] = mscale === null ? ["mscaleAllDim", "mscale"] : ["mscale", "mscaleAllDim"];
    issues.push({
      path: `parameters.${given}`,
      expected: `${missing} as well`,
      received: `${given} alone, which has no effect`,
      remedy: "Give both, or attentionFactor, or neither.",
    });
  }
  return issues;
}

/**
 * The pair index, as a real number, whose wavelength fits `turns` times into the original context:
 * `R ln(L₀ / (2π turns)) / (2 ln base)`.
 */
export function yarnCorrectionIndex(
  turns: number,
  originalMaxPosition: number,
  { rotaryDim, base, scalar }: FrequencyRequest,
): Real {
  const { divide, log, multiply, pi } = scalar;
  const wavelength = divide(originalMaxPosition, multiply(multiply(turns, 2), pi));
  return divide(multiply(rotaryDim, log(wavelength)), multiply(2, log(base)));
}

/** First and last index of the blended range, clamped to `[0, rotaryDim − 1]` as Hugging Face does. */
export function yarnCorrectionRange(
  { betaFast, betaSlow, originalMaxPosition, truncate }: Required<YarnLadderParameters>,
  request: FrequencyRequest,
): { low: Real; high: Real } {
  let low = yarnCorrectionIndex(betaFast, originalMaxPosition, request);
  let high = yarnCorrectionIndex(betaSlow, originalMaxPosition, request);
  if (truncate) [low, high] = [Math.floor(toNumber(low)), Math.ceil(toNumber(high))];
  if (toNumber(low) < 0) low = 0;
  if (toNumber(high) > request.rotaryDim - 1) high = request.rotaryDim - 1;
  // A range of no width would divide by zero; with a thousandth the ramp is a step.
  if (toNumber(low) === toNumber(high)) high = request.scalar.add(high, 0.001);
  return { low, high };
}

/** How far pair `i` is into the blended range: 0 up to `low`, 1 from `high` on. */
export function yarnRamp(i: number, low: Real, high: Real, { subtract, divide }: Arithmetic, scalar: Arithmetic): Real {
  const ramp = divide(subtract(i, low), scalar.subtract(high, low));
  if (toNumber(ramp) <= 0) return 0;
  return toNumber(ramp) >= 1 ? 1 : ramp;
}

/** `M(s, k) = a k ln s + 1` with `a = 0.1`, and 1 for `s ≤ 1`: the magnitude that keeps the entropy of attention (YaRN §3.4). */
export function yarnMagnitude(
  factor: number,
  mscale: number,
  { add, divide, log, multiply }: Arithmetic,
  slope = 0.1,
): Real {
  if (factor <= 1) return 1;
  const growth = multiply(mscale, log(factor));
  // A tenth is no binary fraction: dividing by 10 stays exact in a longer arithmetic.
  return add(slope === 0.1 ? divide(growth, 10) : multiply(slope, growth), 1);
}

/** The ladder of YaRN with the rules that gave it; amplitudes are the caller's to add. */
export function yarnLadder(
  request: FrequencyRequest,
  parameters: Required<YarnLadderParameters>,
): Pick<RopeFrequencies, "invFreq" | "extendedMaxPosition"> & { rules: RopeRule[]; regimes: string[] } {
  const { array, base, rotaryDim, scalar } = request;
  const { add, divide, multiply, subtract } = array;
  const { extrapolationFactor, factor, originalMaxPosition } = parameters;
  const { low, high } = yarnCorrectionRange(parameters, request);

  const regimes: string[] = [];
  const invFreq = inverseFrequencies(base, rotaryDim, array).map((kept, i) => {
    const ramp = yarnRamp(i, low, high, array, scalar);
    regimes.push(
      ramp === 1 || extrapolationFactor === 0
        ? "interpolated"
        : ramp === 0 && extrapolationFactor === 1
          ? "kept"
          : "blended",
    );
    const power = array.power(base, divide(2 * i, rotaryDim));
    const slowed = divide(1, multiply(factor, power));
    const keep = multiply(subtract(1, ramp), extrapolationFactor);
    return add(multiply(slowed, subtract(1, keep)), multiply(kept, keep));
  });
  const rules: RopeRule[] = [
    { name: "factor", value: factor, rule: "given: the context becomes this many times longer" },
    { name: "originalMaxPosition", value: originalMaxPosition, rule: "given: the trained context" },
    {
      name: "correctionLow",
      value: toNumber(low),
      rule: `pairs up to here are kept: they turn more than betaFast = ${parameters.betaFast} times in ${originalMaxPosition} positions${parameters.truncate ? ", rounded down" : ", not rounded (truncate: false)"}`,
      source: "YaRN §3.2; Hugging Face find_correction_range",
    },
    {
      name: "correctionHigh",
      value: toNumber(high),
      rule: `pairs from here on are slowed down by ${factor}: they turn less than betaSlow = ${parameters.betaSlow} times${parameters.truncate ? ", rounded up" : ", not rounded (truncate: false)"}`,
      source: "YaRN §3.2; Hugging Face find_correction_range",
    },
    ...(extrapolationFactor === 1
      ? []
      : [
          {
            name: "extrapolationFactor",
            value: extrapolationFactor,
            rule: `given: of a fast pair's own frequency only ${extrapolationFactor} is kept, the rest is slowed down`,
            source: "SGLang YaRNScalingRotaryEmbedding; ggml ext_factor",
          },
        ]),
  ];
  return { invFreq, extendedMaxPosition: factor * originalMaxPosition, rules, regimes };
}

/** Frequencies and amplitude of the rope type `yarn`. */
export function yarnFrequencies(request: FrequencyRequest, parameters: Required<YarnParameters>): RopeFrequencies {
  const { rules, ...ladder } = yarnLadder(request, parameters);
  const { value, rule } = yarnAmplitude(request, parameters);
  rules.push({
    name: "attentionFactor",
    value: toNumber(value),
    rule,
    source: "YaRN §3.4; Hugging Face _compute_yarn_parameters",
  });
  return { ...ladder, attentionFactor: value, rules };
}

function yarnAmplitude(
  { scalar }: FrequencyRequest,
  { factor, attentionFactor, magnitudeSlope, mscale, mscaleAllDim }: Required<YarnParameters>,
): { value: Real; rule: string } {
  if (attentionFactor !== null) return { value: attentionFactor, rule: "given" };
  if (mscale !== null && mscaleAllDim !== null) {
    const value = scalar.divide(
      yarnMagnitude(factor, mscale, scalar, magnitudeSlope),
      yarnMagnitude(factor, mscaleAllDim, scalar, magnitudeSlope),
    );
    return {
      value,
      rule: `M(${factor}, mscale ${mscale}) / M(${factor}, mscaleAllDim ${mscaleAllDim}) with M(s, k) = ${magnitudeSlope} k ln s + 1`,
    };
  }
  return {
    value: yarnMagnitude(factor, 1, scalar, magnitudeSlope),
    rule: factor <= 1 ? "1, since factor ≤ 1" : `${magnitudeSlope} ln ${factor} + 1`,
  };
}

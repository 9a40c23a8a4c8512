/**
 * The numbers of a rope at a length: the result of the provider's formula, checked because other packages may supply
 * providers, and the fields of the request that apply to any formula.
 */

import { doubleDouble, float32, float64, isReal, remainder, toNumber } from "./arithmetic.ts";
import type { Real } from "./arithmetic.ts";
import { declaredCapabilities } from "./capabilities.ts";
import { angleFrequencies } from "./cos-sin.ts";
import type { AngleFrequencies } from "./cos-sin.ts";
import { listOf } from "./element-types.ts";
import { invalid, show } from "./errors.ts";
import { own } from "./keys.ts";
import { POSITION_LIMIT } from "./positions.ts";
import { answerOf, isRecord } from "./provider.ts";
import type { FrequencyRequest, RopeCapabilities, RopeFrequencies, RopeProvider, RopeRule } from "./provider.ts";
import type { RopeSpec } from "./request.ts";

/** The numbers of a rope at one length: the provider's result, checked and copied, with the axes of the request. */
export interface FrequenciesAtLength {
  /**
   * The effective length, which stands for all lengths with the same frequencies; `null` for types that do not depend
   * on it.
   */
  readonly length: number | null;
  readonly attentionFactor: number;
  readonly softmaxScaleFactor: number;
  readonly extendedMaxPosition: number;
  readonly rules: readonly RopeRule[];
  readonly regimes: readonly string[];
  /** Of each pair, in radians per position, whatever the direction. */
  readonly invFreq: Float64Array;
  /** The same with the sign of the direction, as angles are made of them. */
  readonly angles: AngleFrequencies;
  /** The position axis of each pair; `undefined` for one axis. */
  readonly axisOfPair: readonly number[] | undefined;
}

/**
 * The number of effective lengths whose frequencies are kept. A decoding loop under dynamic scaling adds one at each
 * length.
 */
export const LENGTHS_KEPT = 4;

/** The frequencies of one rope, shared by all its backends. */
export class RopeNumbers {
  readonly spec: RopeSpec;
  readonly provider: RopeProvider;
  readonly capabilities: Required<RopeCapabilities>;
  readonly #parameters: Record<string, unknown>;
  readonly #known = new Map<number | null, FrequenciesAtLength>();

  constructor(spec: RopeSpec, provider: RopeProvider) {
    const { ropeType: _, ...parameters } = spec.parameters;
    this.spec = spec;
    this.provider = provider;
    this.#parameters = parameters;
    const declared = declaredCapabilities(provider, parameters, spec);
    const axisCount = spec.axes === null ? declared.axisCount : Math.max(...spec.axes) + 1;
    this.capabilities = Object.freeze({ ...declared, axisCount, fractionalPositions: spec.fractionalPositions });
  }

  /**
   * The numbers at a length in tokens. @throws RopeError `ROPE_INVALID_PARAMETERS` for a length that is no integer ≥ 0.
   */
  at(length: number): FrequenciesAtLength {
    if (!Number.isSafeInteger(length) || length < 0) {
      throw invalid("the call", [{ path: "length", expected: "an integer ≥ 0", received: show(length) }]);
    }
    const key = this.capabilities.dependsOnLength ? this.#effectiveLength(length) : null;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const made = this.#make(key);
    if (this.#known.size >= LENGTHS_KEPT) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(key, made);
    return made;
  }

  #effectiveLength(length: number): number {
    const { provider } = this;
    return answerOf(provider, (refuse) => {
      const answer: unknown = provider.effectiveLength
        ? provider.effectiveLength(length, this.#parameters, this.spec)
        : length;
      return Number.isFinite(answer) ? (answer as number) : refuse("a finite length", answer);
    });
  }

  #make(length: number | null): FrequenciesAtLength {
    const { spec, provider, capabilities } = this;
    const { headDim, rotaryDim, base, maxPosition, precision } = spec;
    const array = precision === "float64" ? doubleDouble : float32;
    const scalar = precision === "float64" ? doubleDouble : float64;
    const request: FrequencyRequest = { headDim, rotaryDim, base, maxPosition, precision, length, scalar, array };
    const { invFreq: held, ...others } = answerOf(provider, (refuse) =>
      checkedFrequencies(provider.frequencies(request, this.#parameters), spec, capabilities.axisCount, refuse),
    );
    const invFreq = held.map((frequency, pair) => {
      const factor = spec.pairFactors?.[pair] ?? 1;
      // Factors of 1 leave every bit as it is.
      return factor === 1 ? frequency : array.multiply(frequency, factor);
    });
    if (!invFreq.every(givesAngles)) {
      const expected = `factors that leave every angle ${small}`;
      throw invalid("the rope", [{ path: "pairFactors", expected, received: show(spec.pairFactors) }]);
    }
    // A rope that turns backwards turns by negative frequencies; those that it reports stay the engine's.
    const turned = spec.direction === 1 ? invFreq : invFreq.map((frequency) => array.multiply(frequency, -1));
    return Object.freeze({
      length,
      ...others,
      invFreq: Float64Array.from(invFreq, toNumber),
      angles: angleFrequencies(turned, precision),
    });
  }
}

const small = "finite up to position 2^24";

/** Whether the angle of every position is finite, in float32 as well. */
const givesAngles = (frequency: Real): boolean =>
  Number.isFinite(Math.fround(toNumber(frequency) * POSITION_LIMIT + remainder(frequency)));

/** Whether cos and sin stay finite in float32 when they are multiplied by a factor, and when they are divided by it. */
const isFactor = (factor: number): boolean =>
  [factor, 1 / factor].every((value) => Math.fround(value) > 0 && Math.fround(value) < Infinity);

const valueOf = (given: unknown): number => (isReal(given) ? toNumber(given) : NaN);

/**
 * A formula's result as core holds it, a copy.
 *
 * @throws RopeError `ROPE_INVALID_PARAMETERS` when it has a wrong length or a number that cannot be used.
 */
function checkedFrequencies(
  answer: RopeFrequencies,
  spec: RopeSpec,
  axisCount: number,
  refuse: (expected: string, received: unknown) => never,
): Omit<FrequenciesAtLength, "length" | "invFreq" | "angles"> & { readonly invFreq: readonly Real[] } {
  const pairs = spec.rotaryDim / 2;
  const require = (isMet: boolean | undefined, expected: string, received: unknown): void => {
    if (isMet !== true) refuse(expected, received);
  };
  const {
    invFreq,
    attentionFactor = 1,
    softmaxScaleFactor = 1,
    extendedMaxPosition = 0,
    axes,
    rules: given = [],
    regimes: words = [],
  } = own({ ...answer, ...(spec.axes && { axes: spec.axes }) });
  // Engines hold frequencies in float32, so the last step of a formula is rounded here if the provider did not.
  const held = listOf(invFreq)?.map((frequency) =>
    spec.precision === "float64" && isReal(frequency) ? frequency : Math.fround(valueOf(frequency)),
  );
  require(held?.length === pairs &&
    held.every(givesAngles), `${pairs} frequencies whose angles are ${small}`, held?.map(toNumber) ?? invFreq);
  // A pair on an axis without positions would keep cos and sin at zero.
  const axisOfPair = listOf(axes) as number[] | undefined;
  const isAxis = (axis: number): boolean => Number.isInteger(axis) && axis >= 0 && axis < axisCount;
  const axesFit = axes === undefined ? axisCount === 1 : axisOfPair?.length === pairs && axisOfPair.every(isAxis);
  require(axesFit, `${pairs} axes, each an integer from 0 to ${axisCount - 1}`, axes);
  const factors = [valueOf(attentionFactor), valueOf(softmaxScaleFactor)] as const;
  require(factors.every(isFactor), "attentionFactor and softmaxScaleFactor finite and > 0 in float32", factors);
  // NaN is not equal to itself.
  require(+extendedMaxPosition === extendedMaxPosition, "extendedMaxPosition to be a number", extendedMaxPosition);
  const rules = listOf(given) as RopeRule[] | undefined;
  const regimes = listOf(words) as string[] | undefined;
  const areLists = regimes && rules?.every(isRecord);
  require(areLists, "lists of rules and regimes", [given, words]);
  return {
    invFreq: held!,
    attentionFactor: factors[0],
    softmaxScaleFactor: factors[1],
    extendedMaxPosition,
    rules: rules!,
    regimes: regimes!,
    axisOfPair,
  };
}

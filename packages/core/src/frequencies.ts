/**
 * The numbers of a rope at a length: the result of the provider's formula, checked because other packages may supply
 * providers, and the fields of the request that apply to any formula.
 */

import { doubleDouble, float32, float64, toNumber } from "./arithmetic.ts";
import type { Real } from "./arithmetic.ts";
import { declaredCapabilities } from "./capabilities.ts";
import { angleFrequencies } from "./cos-sin.ts";
import type { AngleFrequencies } from "./cos-sin.ts";
import { invalid, RopeError, show } from "./errors.ts";
import type { FrequencyRequest, RopeCapabilities, RopeFrequencies, RopeProvider } from "./provider.ts";
import type { RopeSpec } from "./request.ts";

/** The numbers of a rope at one length. */
export interface FrequenciesAtLength {
  /**
   * The effective length, which stands for all lengths with the same frequencies; `null` for types that do not depend
   * on it.
   */
  readonly length: number | null;
  /** The provider's result, with the axes of the request. */
  readonly given: RopeFrequencies;
  readonly attentionFactor: number;
  readonly softmaxScaleFactor: number;
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
const LENGTHS_KEPT = 4;

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
    const { spec, provider } = this;
    if (!Number.isSafeInteger(length) || length < 0) {
      throw invalid("the call", [{ path: "length", expected: "an integer ≥ 0", received: show(length) }]);
    }
    const key = this.capabilities.dependsOnLength
      ? (provider.effectiveLength?.(length, this.#parameters, spec) ?? length)
      : null;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const made = this.#make(key);
    if (this.#known.size >= LENGTHS_KEPT) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(key, made);
    return made;
  }

  #make(length: number | null): FrequenciesAtLength {
    const { spec, provider, capabilities } = this;
    const { headDim, rotaryDim, base, maxPosition, precision } = spec;
    const array = precision === "float64" ? doubleDouble : float32;
    const scalar = precision === "float64" ? doubleDouble : float64;
    const request: FrequencyRequest = { headDim, rotaryDim, base, maxPosition, precision, length, scalar, array };
    const formula = provider.frequencies(request, this.#parameters) ?? {};
    const given = spec.axes === null ? formula : { ...formula, axes: spec.axes };
    checkFrequencies(given, rotaryDim / 2, capabilities.axisCount, provider.source);
    const invFreq = Array.from(given.invFreq, (frequency, pair): Real => {
      // Engines hold frequencies in float32, so the last step of a formula is rounded here if the provider did not.
      const held = precision === "float64" ? frequency : Math.fround(toNumber(frequency));
      const factor = spec.pairFactors?.[pair] ?? 1;
      return factor === 1 ? held : array.multiply(held, factor);
    });
    // A rope that turns backwards turns by negative frequencies; those that it reports stay the engine's.
    const turned = spec.direction === 1 ? invFreq : invFreq.map((frequency) => array.multiply(frequency, -1));
    if (!invFreq.every((frequency) => Number.isFinite(toNumber(frequency)))) {
      const expected = "factors that leave every frequency finite";
      throw invalid("the rope", [{ path: "pairFactors", expected, received: show(spec.pairFactors) }]);
    }
    return Object.freeze({
      length,
      given,
      attentionFactor: toNumber(given.attentionFactor ?? 1),
      softmaxScaleFactor: toNumber(given.softmaxScaleFactor ?? 1),
      invFreq: Float64Array.from(invFreq, toNumber),
      angles: angleFrequencies(turned, precision),
      axisOfPair: given.axes,
    });
  }
}

/**
 * @throws RopeError `ROPE_INVALID_PARAMETERS` when the provider's result has a wrong length or a number that cannot be
 * used.
 */
function checkFrequencies(
  { invFreq, axes, attentionFactor = 1, softmaxScaleFactor = 1, extendedMaxPosition = 0 }: RopeFrequencies,
  pairs: number,
  axisCount: number,
  source: string,
): void {
  const refuse = (expected: string, received: string): never => {
    throw new RopeError("ROPE_INVALID_PARAMETERS", {
      what: `the provider ${source} gave a result that cannot be used`,
      expected,
      received,
      remedy:
        "Check the parameters: a very large base or factor makes frequencies overflow. Otherwise report it to the provider.",
    });
  };
  const numbers = Array.from(invFreq ?? [], toNumber);
  if (numbers.length !== pairs || !numbers.every(Number.isFinite)) {
    refuse(`${pairs} finite frequencies`, `${numbers.length} numbers: ${show(numbers)}`);
  }
  // A pair on an axis without positions would keep cos and sin at zero.
  const axesFit = axes === undefined ? axisCount === 1 : axes.length === pairs;
  if (!axesFit || axes?.every((axis) => Number.isInteger(axis) && axis >= 0 && axis < axisCount) === false) {
    refuse(`${pairs} axes, each an integer from 0 to ${axisCount - 1}`, show(axes));
  }
  const factors = [toNumber(attentionFactor), toNumber(softmaxScaleFactor)];
  if (!factors.every((factor) => Number.isFinite(factor) && factor > 0)) {
    refuse("attentionFactor and softmaxScaleFactor finite and > 0", factors.join(" and "));
  }
  if (Number.isNaN(extendedMaxPosition)) refuse("extendedMaxPosition to be a number", "NaN");
}

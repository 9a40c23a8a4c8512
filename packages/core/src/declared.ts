/**
 * What a provider declares and gives, checked before a rope is made of it: providers come from anywhere.
 */

import { toNumber } from "./arithmetic.ts";
import { RopeError, show } from "./errors.ts";
import type { RopeCapabilities, RopeFrequencies } from "./provider.ts";
import type { RopeRegistration } from "./registry.ts";
import type { RopeSpec } from "./request.ts";

/** What a rope can do, with every default filled in. @throws RopeError `ROPE_INVALID_PARAMETERS` for axes on a type that has its own. */
export function capabilitiesOf(spec: RopeSpec, { provider }: RopeRegistration): Required<RopeCapabilities> {
  const { ropeType: _, ...parameters } = spec.parameters;
  const declared =
    typeof provider.capabilities === "function" ? provider.capabilities(parameters, spec) : provider.capabilities;
  const {
    isRotation = true,
    dependsOnLength = false,
    canShift = isRotation && !dependsOnLength,
    fractionalPositions = false,
    axisCount = 1,
  } = declared ?? {};
  if (spec.axes !== null && axisCount > 1) {
    throw new RopeError("ROPE_INVALID_PARAMETERS", {
      what: `the rope type ${JSON.stringify(spec.parameters.ropeType)} has position axes of its own`,
      expected: "no axes in the request",
      received: `axes for ${Math.max(...spec.axes) + 1}`,
      remedy: "Use the type's own parameters for its axes, or a type of one axis.",
      issues: [{ path: "axes", expected: "nothing", received: show(spec.axes) }],
    });
  }
  return Object.freeze({
    isRotation,
    canShift,
    dependsOnLength,
    fractionalPositions,
    axisCount: spec.axes === null ? axisCount : Math.max(...spec.axes) + 1,
  });
}

/** @throws RopeError `ROPE_INVALID_PARAMETERS` for frequencies that no rope can have. */
export function checkFrequencies(
  { invFreq, axes, attentionFactor = 1, softmaxScaleFactor = 1, extendedMaxPosition = 0 }: RopeFrequencies,
  pairs: number,
  axisCount: number,
  source: string,
): void {
  const refuse = (expected: string, received: string): never => {
    throw new RopeError("ROPE_INVALID_PARAMETERS", {
      what: `the provider ${source} gave what cannot be used`,
      expected,
      received,
      remedy:
        "Check the parameters (a base or factor so large that a frequency is no finite number?), or report it to the provider.",
    });
  };
  if (invFreq.length !== pairs || !invFreq.every((value) => Number.isFinite(toNumber(value)))) {
    refuse(`${pairs} finite frequencies`, `${invFreq.length} numbers: ${show(invFreq.map(toNumber))}`);
  }
  // An axis without positions would leave the pair's cos and sin at zero.
  if (
    axes !== undefined &&
    !(axes.length === pairs && axes.every((axis) => Number.isInteger(axis) && axis >= 0 && axis < axisCount))
  ) {
    refuse(`${pairs} axes, each an integer from 0 to ${axisCount - 1}`, show(axes));
  }
  const factors = [toNumber(attentionFactor), toNumber(softmaxScaleFactor)];
  if (!factors.every((factor) => Number.isFinite(factor) && factor > 0)) {
    refuse("attentionFactor and softmaxScaleFactor finite and > 0", factors.join(" and "));
  }
  if (Number.isNaN(extendedMaxPosition)) refuse("extendedMaxPosition to be a number", "NaN");
}

/**
 * `rope.explain()`: every number with the rule that gave it.
 */

import type { FrequenciesAtLength } from "./frequencies.ts";
import type { RopeExplanation } from "./interface.ts";
import { pairElements } from "./pairing.ts";
import type { RopeRule } from "./provider.ts";
import type { RopeSpec } from "./request.ts";

/** The facts of a rope that its spec and its frequencies do not hold. */
export interface ExplainedLimit {
  readonly positionLimit: number;
  /** Where the limit comes from. */
  readonly limitReason: string;
  /** The provider, as `package@version`. */
  readonly source: string;
}

/** The explanation of a rope, all copies: a caller may change it without effect on the next. */
export function explainRope(
  spec: RopeSpec,
  { rules: given, regimes, axisOfPair, attentionFactor, softmaxScaleFactor, invFreq: ofPairs }: FrequenciesAtLength,
  { positionLimit, limitReason, source }: ExplainedLimit,
): RopeExplanation {
  const { headDim, rotaryDim, rotaryOffset, pairing } = spec;
  const { first, distance } = pairElements(pairing, rotaryDim);
  const [x, last] = [first[0]! + rotaryOffset, rotaryOffset + rotaryDim - 1];
  const rules: RopeRule[] = [
    { name: "ropeType", value: spec.parameters.ropeType, rule: `registered by ${source}` },
    { name: "headDim", value: headDim, rule: "given by the request" },
    {
      name: "rotaryDim",
      value: rotaryDim,
      rule:
        rotaryDim === headDim ? "the whole head" : `elements ${rotaryOffset} to ${last} of each head; the others pass`,
    },
    { name: "base", value: spec.base, rule: "given, or 10000 (RoFormer §3.3)" },
    {
      name: "pairing",
      value: typeof pairing === "string" ? pairing : `{ blocks: ${pairing.blocks} }`,
      rule: `pair i is elements (${x}, ${x + distance}), …`,
    },
    {
      name: "precision",
      value: spec.precision,
      rule:
        spec.precision === "float32"
          ? "angle = float32(position) × float32(invFreq), as in the engines that train models"
          : "angle exact, in float64 with its rounding error carried along",
    },
    { name: "positionLimit", value: positionLimit, rule: limitReason },
  ];
  if (spec.direction === -1) rules.push({ name: "direction", value: -1, rule: "given: turns by −φ" });
  if (spec.pairFactors !== null) {
    rules.push({ name: "pairFactors", value: spec.pairFactors.length, rule: "given: invFreq[i] · pairFactors[i]" });
  }
  if (spec.axes !== null) {
    rules.push({ name: "axes", value: Math.max(...spec.axes) + 1, rule: "given: an axis for each pair" });
  }
  if (spec.fractionalPositions) rules.push({ name: "fractionalPositions", value: true, rule: "given, or of the type" });
  if (spec.queryScale !== null) {
    rules.push({
      name: "queryScale",
      value: spec.queryScale.rule,
      rule: "given: steps report it, attention multiplies",
    });
  }
  const named = new Set(given.map(({ name }) => name));
  if (!named.has("attentionFactor")) {
    rules.push({ name: "attentionFactor", value: attentionFactor, rule: "the type does not scale cos and sin" });
  }
  if (!named.has("softmaxScaleFactor")) {
    rules.push({ name: "softmaxScaleFactor", value: softmaxScaleFactor, rule: "the type does not scale the softmax" });
  }
  for (const rule of given) rules.push({ ...rule });
  const pairs = Array.from(ofPairs, (invFreq, pair) => {
    const element = rotaryOffset + first[pair]!;
    return {
      pair,
      elements: [element, element + distance] as const,
      axis: axisOfPair?.[pair] ?? 0,
      invFreq,
      wavelength: (2 * Math.PI) / Math.abs(invFreq),
      regime: regimes[pair] ?? "",
    };
  });
  return { spec, rules, pairs };
}

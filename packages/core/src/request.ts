/**
 * From what a caller asks for to what a rope is: validation, defaults, and the one canonical form of equal requests.
 */

import { declaredCapabilities } from "./capabilities.ts";
import { invalid, issue, show } from "./errors.ts";
import type { RopeIssue } from "./errors.ts";
import { headIssues } from "./head.ts";
import { canonicalPairing, isSize, pairingIssues } from "./pairing.ts";
import type { Pairing } from "./pairing.ts";
import { parseParameters } from "./parameters.ts";
import type { ParameterSchema } from "./parameters.ts";
import { checkSpecificationVersion, isSpelling, SPECIFICATION_VERSION } from "./provider.ts";
import type { Precision, RopeSettings, RopeProvider, RopeRegistration } from "./provider.ts";
import type { QueryScale, QueryScaleRule } from "./query-scale.ts";

/** A request whose parameters are not checked by the compiler; `RopeRequest` in `index.ts` narrows them by type. */
export interface UntypedRopeRequest {
  /** Elements of one attention head. */
  readonly headDim: number;
  /** How many of them are rotated; default `headDim`. Even. */
  readonly rotaryDim?: number | undefined;
  /** The same as a share of `headDim`; the product is truncated, as every engine does. */
  readonly partialRotaryFactor?: number | undefined;
  /** The first rotated element of a head; default 0. The last R of D: `D − R`. */
  readonly rotaryOffset?: number | undefined;
  /** `theta`. Default 10000: RoFormer §3.3, and `rope_theta` of Hugging Face configs that do not say. */
  readonly base?: number | undefined;
  /** Positions must be below this (or below what the type extends it to). Absent: up to 2^24. */
  readonly maxPosition?: number | null | undefined;
  /** Which two elements form a pair. Default: what the type declares, else `"half"` (Hugging Face `rotate_half`). */
  readonly pairing?: Pairing | undefined;
  /**
   * The position axis that turns each pair, `rotaryDim/2` integers from 0, for ropes of several axes whose frequencies
   * are those of a type of one axis (M-RoPE over any scaling). Absent: what the type says, else one axis.
   */
  readonly axes?: readonly number[] | null | undefined;
  /** The rotation turns by +φ (1, default) or by −φ (−1: nanochat). Other logits, so another rope. */
  readonly direction?: 1 | -1 | undefined;
  /**
   * Factors of single pairs: `invFreq[i] · pairFactors[i]`, `rotaryDim/2` finite numbers, for what a model has learned
   * (LeRoPE, Mistral Large 4: `exp(alpha[i])` of the checkpoint). Absent: none.
   */
  readonly pairFactors?: readonly number[] | null | undefined;
  /**
   * Positions need not be integers and may be negative: seconds, normalised coordinates. For types that do not depend on the
   * length. Default: what the type declares.
   */
  readonly fractionalPositions?: boolean | undefined;
  /** A factor for queries that depends on the position; steps report it as `queryScale`. Absent: none. */
  readonly queryScale?: QueryScale | null | undefined;
  /**
   * How the angle is rounded. `"float32"` (default): as the engines that trained the models do, bit-compatible with
   * Hugging Face transformers up to the last place. `"float64"`: exact; cos and sin within one float32 ulp of the true
   * value at every position up to 2^24.
   */
  readonly precision?: Precision | undefined;
  /** The type and its own parameters. */
  readonly parameters: { readonly ropeType: string };
  /** Present in `rope.spec`; need not be given. */
  readonly specificationVersion?: number | undefined;
}

/**
 * A rope as plain data: JSON-safe, complete, canonical. `getRope(spec)` gives the same rope, also in a worker or from a
 * file, wherever the type is registered.
 */
export interface RopeSpec extends RopeSettings {
  readonly specificationVersion: 1;
  readonly rotaryOffset: number;
  readonly pairing: Pairing;
  /** `null`: one axis, or what the type says. */
  readonly axes: readonly number[] | null;
  readonly direction: 1 | -1;
  readonly pairFactors: readonly number[] | null;
  readonly fractionalPositions: boolean;
  readonly queryScale: QueryScale | null;
  readonly precision: Precision;
  /** The canonical type name (aliases resolved) and every parameter, defaults filled in. */
  readonly parameters: { readonly ropeType: string; readonly [name: string]: unknown };
}

/** A request that was found valid. */
export interface ParsedRequest {
  readonly spec: RopeSpec;
  /** The type that the spec names. */
  readonly registration: RopeRegistration;
  readonly provider: RopeProvider;
}

/** Where the names in a request are looked up. */
export interface Names {
  /** The type that the request names. @throws RopeError `ROPE_UNKNOWN_TYPE`. */
  ropeType(name: unknown): RopeRegistration;
  /** A type that another one is rewritten to. @throws RopeError `ROPE_UNKNOWN_TYPE`. */
  registered(name: unknown): RopeRegistration;
  /** The rules of `queryScale` by name. */
  readonly queryScales: ReadonlyMap<string, QueryScaleRule>;
}

/** What core itself knows of a request's fields; heads, pairings and axes have checks of their own. */
const given = { type: "any", default: null, description: "" } as const;
const fields: ParameterSchema<Record<keyof UntypedRopeRequest, any>> = {
  headDim: given,
  rotaryDim: given,
  partialRotaryFactor: { type: "number", above: 0, max: 1, default: null, description: "" },
  rotaryOffset: { ...given, default: 0 },
  base: { type: "number", above: 0, default: 10000, description: "" },
  maxPosition: { type: "integer", min: 1, default: null, description: "" },
  pairing: given,
  axes: given,
  direction: { type: "number", oneOf: [1, -1], default: 1, description: "" },
  pairFactors: { type: "numbers", default: null, description: "" },
  fractionalPositions: { type: "boolean", default: false, description: "" },
  queryScale: given,
  precision: { type: "string", oneOf: ["float32", "float64"], default: "float32", description: "" },
  parameters: given,
  specificationVersion: given,
};

/** @throws RopeError `ROPE_UNKNOWN_TYPE`, `ROPE_SPEC_VERSION`, or `ROPE_INVALID_PARAMETERS` with every issue there is. */
export function parseRequest(request: UntypedRopeRequest, names: Names, isRewritten = false): ParsedRequest {
  if (typeof request !== "object" || request === null) {
    throw invalid("the rope request", [issue("request", "an object with headDim and parameters", request)]);
  }
  if (request.specificationVersion !== undefined) {
    checkSpecificationVersion(request.specificationVersion, "the request");
  }
  const issues: RopeIssue[] = [];
  const { rotaryOffset, base, maxPosition, ...given } = parseParameters(fields, request as never, "", issues);
  const { headDim } = request;
  const { direction, fractionalPositions, precision } = given;
  if (typeof given.parameters !== "object" || given.parameters === null || Array.isArray(given.parameters)) {
    throw invalid("the rope request", [issue("parameters", "an object with ropeType", request.parameters), ...issues]);
  }
  const { ropeType, ...own } = given.parameters;
  const registration = isRewritten ? names.registered(ropeType) : names.ropeType(ropeType);
  const { name, provider } = registration;

  const share = given.partialRotaryFactor;
  const fromShare = isSize(headDim) && typeof share === "number" ? Math.trunc(headDim * share) : null;
  const { rotaryDim = fromShare ?? headDim, pairing = provider.defaults?.pairing ?? "half" } = request;
  issues.push(...headIssues({ headDim, rotaryDim, rotaryOffset }));
  if (rotaryDim !== (fromShare ?? rotaryDim)) {
    const product = `${fromShare} = trunc(headDim ${headDim} · partialRotaryFactor ${share})`;
    issues.push(issue("rotaryDim", product, rotaryDim, "Give one of the two."));
  }
  issues.push(...pairingIssues(pairing, rotaryDim));
  const pairs = isSize(rotaryDim) && rotaryDim % 2 === 0 ? rotaryDim / 2 : undefined;
  const axes = parseAxes(given.axes, pairs, issues);
  const factors: readonly number[] | null = given.pairFactors ?? null;
  if (factors !== null && factors.length !== (pairs ?? factors.length)) {
    issues.push(issue("pairFactors", `${pairs} finite numbers, one for each pair`, factors));
  }
  const queryScale = parseQueryScale(given.queryScale, names.queryScales, issues);
  const values = parseParameters<Record<string, unknown>>(
    provider.parameters,
    { ...registration.presets, ...own },
    "parameters.",
    issues,
  );
  const refuse = (): void => {
    if (issues.length === 0) return;
    throw invalid(`the request for a rope of type ${JSON.stringify(name)}`, issues, { ropeType: name });
  };
  refuse();
  // What a type says of its parameters and of the rest needs all of them.
  const settings = { headDim, rotaryDim, rotaryOffset, base, maxPosition };
  issues.push(...(provider.check?.(values, settings) ?? []));
  const refuseAxes = (has: boolean): void => {
    if (!has || given.axes === null) return;
    const remedy = "Use the type's own parameters for its axes, or a type of one axis.";
    issues.push(issue("axes", "nothing, since the type has axes of its own", given.axes, remedy));
  };
  if (isSpelling(provider)) {
    refuse();
    const { partialRotaryFactor: _, ...rest } = request;
    const meant = provider.rewrite(values, settings);
    refuseAxes(meant.axes !== undefined);
    refuse();
    if (isRewritten) throw invalid("a spelling", [issue("parameters.ropeType", "a type with a formula", name)]);
    return parseRequest({ ...rest, ...settings, pairing, ...meant }, names, true);
  }
  const capabilities = declaredCapabilities(provider, values, settings);
  refuseAxes(capabilities.axisCount > 1);
  if (fractionalPositions && capabilities.dependsOnLength) {
    const expected = "false, since the type depends on the length, which counts tokens";
    issues.push(issue("fractionalPositions", expected, true));
  }
  refuse();
  const spec: RopeSpec = {
    specificationVersion: SPECIFICATION_VERSION,
    ...settings,
    pairing: canonicalPairing(pairing, rotaryDim),
    axes,
    direction,
    // Factors of 1 are none.
    pairFactors: factors?.some((factor) => factor !== 1) === true ? factors : null,
    fractionalPositions: fractionalPositions || capabilities.fractionalPositions,
    queryScale,
    precision,
    parameters: Object.freeze({ ropeType: registration.ropeType, ...values }),
  };
  return { spec: Object.freeze(spec), registration, provider };
}

/**
 * The number of axes is not limited by anything but that each has a pair, and that an axis is a byte. `null` for one axis,
 * which needs no list.
 */
function parseAxes(given: unknown, pairs: number | undefined, issues: RopeIssue[]): readonly number[] | null {
  if (given === null) return null;
  const isList = Array.isArray(given) || ArrayBuffer.isView(given);
  const axes: number[] = isList ? Array.from(given as ArrayLike<number>) : [];
  const bytes = axes.length > 0 && axes.every((axis) => Number.isInteger(axis) && axis >= 0 && axis < 256);
  const count = bytes ? Math.max(...axes) + 1 : 0;
  if (bytes && axes.length === (pairs ?? axes.length) && new Set(axes).size === count) {
    return count === 1 ? null : Object.freeze(axes);
  }
  issues.push(issue("axes", `${pairs ?? ""} integers, one for each pair, that name every axis from 0 on`, given));
  return null;
}

function parseQueryScale(given: unknown, rules: Names["queryScales"], issues: RopeIssue[]): QueryScale | null {
  if (given === null) return null;
  const { rule, ...own } = (typeof given === "object" ? given : {}) as { readonly rule?: unknown };
  const known = rules.get(rule as string);
  if (known !== undefined) {
    return Object.freeze({
      rule,
      ...parseParameters<object>(known.parameters, own, "queryScale.", issues),
    }) as QueryScale;
  }
  const expected = `an object with rule: ${[...rules.keys()].map(show).join(", ")}`;
  issues.push(issue("queryScale", expected, rule ?? given, "registerQueryScale adds rules."));
  return null;
}

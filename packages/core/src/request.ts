/**
 * From a caller's request to the spec of a rope: checks, defaults, and one canonical form for equal requests.
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
  /** Number of rotated elements, even. Default `headDim`. */
  readonly rotaryDim?: number | undefined;
  /** `rotaryDim` as a share of `headDim`; the product is truncated, as in every engine. */
  readonly partialRotaryFactor?: number | undefined;
  /** Index of the first rotated element. Default 0. To rotate the last elements: `headDim − rotaryDim`. */
  readonly rotaryOffset?: number | undefined;
  /** `theta`. Default 10000: RoFormer §3.3, and Hugging Face configs without `rope_theta`. */
  readonly base?: number | undefined;
  /** Positions must be below this, or below the context that the type extends it to. Default: up to 2^24. */
  readonly maxPosition?: number | null | undefined;
  /** Which two elements form a pair. Default: the type's own, else `"half"` (Hugging Face `rotate_half`). */
  readonly pairing?: Pairing | undefined;
  /**
   * The position axis of each pair, `rotaryDim/2` integers from 0: gives several axes to a type of one axis (M-RoPE over any
   * scaling). Default: the type's own axes, else one axis.
   */
  readonly axes?: readonly number[] | null | undefined;
  /** 1 (default) rotates by +φ, −1 by −φ as nanochat does. The logits differ, so it is another rope. */
  readonly direction?: 1 | -1 | undefined;
  /**
   * Learned factors of single frequencies: `invFreq[i] · pairFactors[i]`, `rotaryDim/2` finite numbers (LeRoPE, Mistral Large
   * 4: `exp(alpha[i])` of the checkpoint). Default: none.
   */
  readonly pairFactors?: readonly number[] | null | undefined;
  /**
   * Whether positions may be fractions and negative: seconds, normalised coordinates. Only for types that do not depend on
   * the length. Default: the type's own.
   */
  readonly fractionalPositions?: boolean | undefined;
  /** The rule for a factor of queries by their position; steps report it as `queryScale`. Default: none. */
  readonly queryScale?: QueryScale | null | undefined;
  /**
   * How the angle is rounded. `"float32"` (default): as in the engines that train models; equal to Hugging Face transformers
   * up to the last place. `"float64"`: exact; cos and sin within one float32 ulp of the true value at every position up to
   * 2^24.
   */
  readonly precision?: Precision | undefined;
  /** The type and its own parameters. */
  readonly parameters: { readonly ropeType: string };
  /** 1, as in `rope.spec`. May be left out. */
  readonly specificationVersion?: number | undefined;
}

/**
 * A rope as plain data: complete, canonical, safe for JSON, frozen. `getRope(spec)` gives the same rope, also in a worker or
 * from a file, if the type is registered there. The fields are those of {@link UntypedRopeRequest}.
 */
export interface RopeSpec extends RopeSettings {
  readonly specificationVersion: 1;
  readonly rotaryOffset: number;
  readonly pairing: Pairing;
  /** `null`: one axis, or the type's own axes. */
  readonly axes: readonly number[] | null;
  readonly direction: 1 | -1;
  readonly pairFactors: readonly number[] | null;
  readonly fractionalPositions: boolean;
  readonly queryScale: QueryScale | null;
  readonly precision: Precision;
  /** The canonical type name (aliases resolved) and every parameter, defaults filled in. */
  readonly parameters: { readonly ropeType: string; readonly [name: string]: unknown };
}

/** The result of a valid request. */
export interface ParsedRequest {
  readonly spec: RopeSpec;
  /** The registration of the spec's type. */
  readonly registration: RopeRegistration;
  readonly provider: RopeProvider;
}

/** Looks up the names in a request. */
export interface Names {
  /** The type that the caller names. @throws RopeError `ROPE_UNKNOWN_TYPE`. */
  ropeType(name: unknown): RopeRegistration;
  /** The type that a spelling names. @throws RopeError `ROPE_UNKNOWN_TYPE`. */
  registered(name: unknown): RopeRegistration;
  /** The rules of `queryScale` by name. */
  readonly queryScales: ReadonlyMap<string, QueryScaleRule>;
}

/** The rules of a request's fields. Heads, pairings and axes (`any`) have checks of their own. */
const fields: ParameterSchema<Record<keyof UntypedRopeRequest, any>> = {
  headDim: { type: "any", default: null, description: "" },
  rotaryDim: { type: "any", default: null, description: "" },
  partialRotaryFactor: { type: "number", above: 0, max: 1, default: null, description: "" },
  rotaryOffset: { type: "any", default: 0, description: "" },
  base: { type: "number", above: 0, default: 10000, description: "" },
  maxPosition: { type: "integer", min: 1, default: null, description: "" },
  pairing: { type: "any", default: null, description: "" },
  axes: { type: "any", default: null, description: "" },
  direction: { type: "number", oneOf: [1, -1], default: 1, description: "" },
  pairFactors: { type: "numbers", default: null, description: "" },
  fractionalPositions: { type: "boolean", default: false, description: "" },
  queryScale: { type: "any", default: null, description: "" },
  precision: { type: "string", oneOf: ["float32", "float64"], default: "float32", description: "" },
  parameters: { type: "any", default: null, description: "" },
  specificationVersion: { type: "any", default: null, description: "" },
};

/** Checks a request. @throws RopeError `ROPE_UNKNOWN_TYPE`, `ROPE_SPEC_VERSION`, or `ROPE_INVALID_PARAMETERS` with every issue. */
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
  // The type's own check needs valid values of all fields.
  const settings = { headDim, rotaryDim, rotaryOffset, base, maxPosition };
  issues.push(...(provider.check?.(values, settings) ?? []));
  const refuseAxes = (has: boolean): void => {
    if (!has || given.axes === null) return;
    const remedy = "Use the type's own parameters for its axes, or a type of one axis.";
    issues.push(issue("axes", "no axes, since the type has its own", given.axes, remedy));
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
    const expected = "false, since the type depends on the length, a number of tokens";
    issues.push(issue("fractionalPositions", expected, true));
  }
  refuse();
  const spec: RopeSpec = {
    specificationVersion: SPECIFICATION_VERSION,
    ...settings,
    pairing: canonicalPairing(pairing, rotaryDim),
    axes,
    direction,
    // Factors of 1 change nothing.
    pairFactors: factors?.some((factor) => factor !== 1) === true ? factors : null,
    fractionalPositions: fractionalPositions || capabilities.fractionalPositions,
    queryScale,
    precision,
    parameters: Object.freeze({ ropeType: registration.ropeType, ...values }),
  };
  return { spec: Object.freeze(spec), registration, provider };
}

/**
 * The axes of a request; `null` for one axis. Every axis from 0 on must have a pair, and axes must fit a byte.
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
  issues.push(issue("axes", `${pairs ?? ""} integers, one for each pair, with every axis from 0 on`, given));
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

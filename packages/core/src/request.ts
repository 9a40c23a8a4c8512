/**
 * From what a caller asks for to what a rope is: validation, defaults, and the one canonical form of equal requests.
 */

import { declaredCapabilities } from "./capabilities.ts";
import { invalid, show } from "./errors.ts";
import type { RopeIssue } from "./errors.ts";
import { headIssues } from "./head.ts";
import { unknownKeys } from "./keys.ts";
import { canonicalPairing, isSize, pairingIssues } from "./pairing.ts";
import type { Pairing } from "./pairing.ts";
import { parseParameters } from "./parameters.ts";
import { checkSpecificationVersion, SPECIFICATION_VERSION } from "./provider.ts";
import type { Precision, RopeCapabilities, RopeGeometry, RopeRegistration } from "./provider.ts";
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
export interface RopeSpec extends RopeGeometry {
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

const requestKeys = [
  "headDim",
  "rotaryDim",
  "partialRotaryFactor",
  "rotaryOffset",
  "base",
  "maxPosition",
  "pairing",
  "axes",
  "direction",
  "pairFactors",
  "fractionalPositions",
  "queryScale",
  "precision",
  "parameters",
  "specificationVersion",
];

/** @throws RopeError `ROPE_UNKNOWN_TYPE`, `ROPE_SPEC_VERSION`, or `ROPE_INVALID_PARAMETERS` with every issue there is. */
export function parseRequest(request: UntypedRopeRequest, names: Names, isRewritten = false): ParsedRequest {
  const anonymous = "the rope request";
  if (typeof request !== "object" || request === null) {
    const expected = "an object with headDim and parameters";
    throw invalid(anonymous, [{ path: "request", expected, received: show(request) }]);
  }
  if (request.specificationVersion !== undefined) {
    checkSpecificationVersion(request.specificationVersion, "the request");
  }
  const given = request.parameters as Readonly<Record<string, unknown>> | null | undefined;
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    const issues = unknownKeys(request, requestKeys, "");
    throw invalid(anonymous, [
      { path: "parameters", expected: "an object with ropeType", received: show(given) },
      ...issues,
    ]);
  }
  const { ropeType, ...own } = given;
  const registration = isRewritten ? names.registered(ropeType) : names.ropeType(ropeType);
  const { provider } = registration;

  const issues = unknownKeys(request, requestKeys, "");
  const geometry = parseGeometry(request, issues);
  const { rotaryDim } = geometry;
  const pairs = isSize(rotaryDim) && rotaryDim % 2 === 0 ? rotaryDim / 2 : undefined;
  const { pairing = provider.defaults?.pairing ?? "half", precision = "float32", direction = 1 } = request;
  issues.push(...pairingIssues(pairing, rotaryDim));
  const check = (path: string, value: unknown, valid: boolean, expected: string): void => {
    if (!valid) issues.push({ path, expected, received: show(value) });
  };
  check("direction", direction, direction === 1 || direction === -1, "1 or -1");
  check("precision", precision, precision === "float32" || precision === "float64", '"float32" or "float64"');
  const axes = parseAxes(request.axes ?? null, pairs, issues);
  const pairFactors = parsePairFactors(request.pairFactors ?? null, pairs, issues);
  const queryScale = parseQueryScale(request.queryScale ?? null, names.queryScales, issues);
  const { fractionalPositions = false } = request;
  check("fractionalPositions", fractionalPositions, typeof fractionalPositions === "boolean", "true or false");

  const parsed = parseParameters<Record<string, unknown>>(
    provider.parameters,
    { ...registration.presets, ...own },
    "parameters",
  );
  if ("issues" in parsed) issues.push(...parsed.issues);
  else if (issues.length === 0) {
    issues.push(...(provider.check?.(parsed.values, geometry) ?? []));
    issues.push(
      ...typeIssues(declaredCapabilities(provider, parsed.values, geometry), request.axes, fractionalPositions),
    );
  }
  const subject = `the request for a rope of type ${JSON.stringify(registration.name)}`;
  if (issues.length > 0 || "issues" in parsed) throw invalid(subject, issues, { ropeType: registration.name });

  if (provider.rewrite !== undefined && !isRewritten) {
    const { partialRotaryFactor: _, ...rest } = request;
    return parseRequest({ ...rest, ...geometry, pairing, ...provider.rewrite(parsed.values, geometry) }, names, true);
  }
  const parameters = { ropeType: registration.ropeType, ...parsed.values };
  const spec: RopeSpec = {
    specificationVersion: SPECIFICATION_VERSION,
    ...geometry,
    pairing: canonicalPairing(pairing, rotaryDim),
    axes,
    direction,
    pairFactors,
    fractionalPositions:
      fractionalPositions || declaredCapabilities(provider, parsed.values, geometry).fractionalPositions,
    queryScale,
    precision,
    parameters: Object.freeze(parameters),
  };
  return { spec: Object.freeze(spec), registration };
}

type Geometry = RopeGeometry & { readonly rotaryOffset: number };

function parseGeometry(request: UntypedRopeRequest, issues: RopeIssue[]): Geometry {
  const { headDim, base = 10000, partialRotaryFactor: share, rotaryOffset = 0 } = request;
  const maxPosition = request.maxPosition ?? null;
  const check = (path: string, value: unknown, valid: boolean, expected: string, remedy?: string): void => {
    if (!valid) issues.push({ path, expected, received: show(value), ...(remedy === undefined ? {} : { remedy }) });
  };
  const isShare = typeof share === "number" && share > 0 && share <= 1;
  check("partialRotaryFactor", share, share === undefined || isShare, "a number > 0 and ≤ 1");
  const fromShare = isShare && isSize(headDim) ? Math.trunc(headDim * share) : undefined;
  const { rotaryDim = fromShare ?? headDim } = request;
  issues.push(...headIssues({ headDim, rotaryDim, rotaryOffset }));
  if (fromShare !== undefined) {
    const product = `${fromShare} = trunc(headDim ${headDim} · partialRotaryFactor ${share})`;
    check("rotaryDim", rotaryDim, rotaryDim === fromShare, product, "Give one of the two.");
  }
  check("base", base, Number.isFinite(base) && base > 0, "a finite number > 0");
  check("maxPosition", maxPosition, maxPosition === null || isSize(maxPosition), "an integer > 0");
  return { headDim, rotaryDim, rotaryOffset, base, maxPosition };
}

/** A list as it may come: JSON's, or a typed array's. */
const listOf = (value: unknown): unknown[] =>
  Array.isArray(value) || ArrayBuffer.isView(value) ? Array.from(value as ArrayLike<unknown>) : [];

/**
 * The number of axes is not limited by anything but that each has a pair, and that an axis is a byte. `null` for one axis,
 * which needs no list.
 */
function parseAxes(given: unknown, pairs: number | undefined, issues: RopeIssue[]): readonly number[] | null {
  if (given === null) return null;
  const axes = listOf(given) as number[];
  const bytes = axes.length > 0 && axes.every((axis) => Number.isInteger(axis) && axis >= 0 && axis < 256);
  const count = bytes ? Math.max(...axes) + 1 : 0;
  if (bytes && axes.length === (pairs ?? axes.length) && new Set(axes).size === count) {
    return count === 1 ? null : Object.freeze(axes);
  }
  const expected = `${pairs === undefined ? "" : `${pairs} `}integers, one for each pair, that name every axis from 0 on`;
  issues.push({ path: "axes", expected, received: show(given) });
  return null;
}

/** `null` where every factor is 1. */
function parsePairFactors(given: unknown, pairs: number | undefined, issues: RopeIssue[]): readonly number[] | null {
  if (given === null) return null;
  const factors = listOf(given) as number[];
  if (factors.length === (pairs ?? factors.length) && factors.every(Number.isFinite)) {
    return factors.every((factor) => factor === 1) ? null : Object.freeze(factors);
  }
  const expected = `${pairs === undefined ? "" : `${pairs} `}finite numbers, one for each pair`;
  issues.push({ path: "pairFactors", expected, received: show(given) });
  return null;
}

function parseQueryScale(given: unknown, rules: Names["queryScales"], issues: RopeIssue[]): QueryScale | null {
  if (given === null) return null;
  const { rule, ...own } = (typeof given === "object" ? given : {}) as { readonly rule?: unknown };
  const known = rules.get(rule as string);
  if (known === undefined) {
    const expected = `an object with rule: ${[...rules.keys()].map((name) => JSON.stringify(name)).join(", ")}`;
    issues.push({
      path: "queryScale",
      expected,
      received: show(rule ?? given),
      remedy: "registerQueryScale adds rules.",
    });
    return null;
  }
  const parsed = parseParameters<Record<string, unknown>>(known.parameters, own, "queryScale");
  if ("values" in parsed) return Object.freeze({ rule, ...parsed.values }) as unknown as QueryScale;
  issues.push(...parsed.issues);
  return null;
}

/** What a request asks for that its type cannot do. */
function typeIssues(
  { axisCount, dependsOnLength }: Required<RopeCapabilities>,
  axes: UntypedRopeRequest["axes"],
  fractionalPositions: boolean,
): RopeIssue[] {
  const issues: RopeIssue[] = [];
  if (axisCount > 1 && (axes ?? null) !== null) {
    const remedy = "Use the type's own parameters for its axes, or a type of one axis.";
    issues.push({
      path: "axes",
      expected: "nothing, since the type has axes of its own",
      received: show(axes),
      remedy,
    });
  }
  if (fractionalPositions && dependsOnLength) {
    const expected = "false, since the type depends on the length, which counts tokens";
    issues.push({ path: "fractionalPositions", expected, received: "true" });
  }
  return issues;
}

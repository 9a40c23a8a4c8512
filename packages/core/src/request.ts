/**
 * From a caller's request to the spec of a rope: checks, defaults, and one canonical form for equal requests.
 */

import { declaredCapabilities } from "./capabilities.ts";
import { listOf } from "./element-types.ts";
import { invalid, issue, show } from "./errors.ts";
import type { RopeIssue } from "./errors.ts";
import { headIssues } from "./head.ts";
import { own } from "./keys.ts";
import { canonicalPairing, isSize, pairingIssues } from "./pairing.ts";
import type { Pairing } from "./pairing.ts";
import { parseParameters } from "./parameters.ts";
import type { FieldRule } from "./parameters.ts";
import { plainCopy } from "./plain-data.ts";
import { answerOf, checkSpecificationVersion, isRecord, isSpelling, SPECIFICATION_VERSION } from "./provider.ts";
import type {
  Precision,
  RewrittenRequest,
  RopeCapabilities,
  RopeProvider,
  RopeRegistration,
  RopeSettings,
} from "./provider.ts";
import { builtInQueryScales } from "./query-scale.ts";
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
   * The position axis of each pair, `rotaryDim/2` integers from 0: gives several axes to a type of one axis (M-RoPE
   * over any scaling). Default: the type's own axes, else one axis.
   */
  readonly axes?: readonly number[] | null | undefined;
  /** 1 (default) rotates by +φ, −1 by −φ as nanochat does. The logits differ, so it is another rope. */
  readonly direction?: 1 | -1 | undefined;
  /**
   * Learned factors of single frequencies: `invFreq[i] · pairFactors[i]`, `rotaryDim/2` finite numbers (LeRoPE, Mistral
   * Large 4: `exp(alpha[i])` of the checkpoint). Default: none.
   */
  readonly pairFactors?: readonly number[] | null | undefined;
  /**
   * Whether positions may be fractions and negative: seconds, normalised coordinates. Only for types that do not depend
   * on the length. Default: the type's own.
   */
  readonly fractionalPositions?: boolean | undefined;
  /** The rule for a factor of queries by their position; steps report it as `queryScale`. Default: none. */
  readonly queryScale?: QueryScale | null | undefined;
  /**
   * How the angle is rounded. `"float32"` (default): as in the engines that train models; equal to Hugging Face
   * transformers up to the last place. `"float64"`: exact; cos and sin within one float32 ulp of the true value at
   * every position up to 2^24.
   */
  readonly precision?: Precision | undefined;
  /** The type and its own parameters. */
  readonly parameters: { readonly ropeType: string };
  /** 1, as in `rope.spec`. May be left out. */
  readonly specificationVersion?: number | undefined;
}

/**
 * A rope as plain data: complete, canonical, safe for JSON, frozen. `getRope(spec)` gives the same rope, also in a
 * worker or from a file, if the type is registered there. The fields are those of {@link UntypedRopeRequest}.
 */
export interface RopeSpec extends RopeSettings {
  readonly specificationVersion: typeof SPECIFICATION_VERSION;
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

/** The rules of a request's fields. Heads, pairings, axes and query scales (`any`) have checks of their own. */
const elsewhere: FieldRule = { type: "any", default: null };
const fields: Readonly<Record<keyof UntypedRopeRequest, FieldRule>> = {
  headDim: elsewhere,
  rotaryDim: elsewhere,
  partialRotaryFactor: { type: "number", above: 0, max: 1, default: null },
  rotaryOffset: { ...elsewhere, default: 0 },
  base: { type: "number", above: 0, default: 10000 },
  maxPosition: { type: "integer", min: 1, default: null },
  pairing: elsewhere,
  axes: elsewhere,
  direction: { type: "number", oneOf: [1, -1], default: 1 },
  pairFactors: { type: "numbers", default: null },
  fractionalPositions: { type: "boolean", default: null },
  queryScale: elsewhere,
  precision: { type: "string", oneOf: ["float32", "float64"], default: "float32" },
  parameters: elsewhere,
  specificationVersion: elsewhere,
};

/** A request's fields after the schema, with the gaps that issues leave. */
interface Fields {
  readonly partialRotaryFactor: number | null;
  readonly rotaryOffset: number;
  readonly base: number;
  readonly maxPosition: number | null;
  readonly axes: unknown;
  readonly direction: 1 | -1;
  readonly pairFactors: readonly number[] | null | undefined;
  readonly fractionalPositions: boolean | null;
  readonly queryScale: unknown;
  readonly precision: Precision;
  readonly parameters: { readonly ropeType?: unknown } | null;
}

/**
 * Checks a request and makes its spec.
 *
 * @param isRewritten whether a spelling gave the request, so that its type is looked up among the registered ones.
 * @throws RopeError `ROPE_UNKNOWN_TYPE`, `ROPE_SPEC_VERSION`, or `ROPE_INVALID_PARAMETERS` with every issue there is.
 */
export function parseRequest(request: UntypedRopeRequest, names: Names, isRewritten = false): ParsedRequest {
  if (!isRecord(request)) {
    throw invalid("the rope request", [issue("request", "an object with headDim and parameters", request)]);
  }
  if (request.specificationVersion !== undefined) {
    checkSpecificationVersion(request.specificationVersion, "the request");
  }
  const issues: RopeIssue[] = [];
  const given: Fields = parseParameters<any>(fields, request as never, "", issues);
  if (!isRecord(given.parameters)) {
    throw invalid("the rope request", [issue("parameters", "an object with ropeType", request.parameters), ...issues]);
  }
  const { ropeType, ...parameters } = given.parameters as { readonly ropeType?: unknown };
  const registration = isRewritten ? names.registered(ropeType) : names.ropeType(ropeType);
  const { name, presets, provider } = registration;
  const refuse = (): void => {
    if (issues.length === 0) return;
    throw invalid(`the request for a rope of type ${JSON.stringify(name)}`, issues, { ropeType: name });
  };

  const { pairing = provider.defaults?.pairing ?? "half" } = request;
  const settings = parseSettings(request, given, issues);
  const { rotaryDim } = settings;
  issues.push(...pairingIssues(pairing, rotaryDim));
  const pairs = isSize(rotaryDim) && rotaryDim % 2 === 0 ? rotaryDim / 2 : undefined;
  const axes = parseAxes(given.axes, pairs, issues);
  const pairFactors = parsePairFactors(given.pairFactors ?? null, pairs, issues);
  const queryScale = parseQueryScale(given.queryScale, names.queryScales, issues);
  const all = { ...presets, ...parameters };
  const values = answerOf(provider, () => parseParameters(provider.parameters, all, "parameters.", issues));
  refuse();
  // The type's own check needs valid values of all fields.
  const found = answerOf(provider, (refuse) => {
    const answer: unknown = provider.check === undefined ? [] : provider.check(values, settings);
    const list = (listOf(answer) as RopeIssue[] | undefined) ?? refuse("a list of issues", answer);
    return list.map(({ path, ...rest }) => ({ path, ...rest }));
  });
  issues.push(...found);
  refuse();

  if (isSpelling(provider)) {
    const meant = answerOf(
      provider,
      () => plainCopy(provider.rewrite(values, settings), `the answer of ${provider.source}`) as RewrittenRequest,
    );
    issues.push(...spellingIssues(meant, given, isRewritten));
    refuse();
    const { partialRotaryFactor: _, ...rest } = request;
    const rewritten = { axes: meant.axes ?? request.axes, parameters: meant.parameters };
    return parseRequest(own({ ...rest, ...settings, pairing, ...rewritten }), names, true);
  }
  const declared = declaredCapabilities(provider, values, settings);
  issues.push(...capabilityIssues(declared, given));
  refuse();
  const spec: RopeSpec = {
    specificationVersion: SPECIFICATION_VERSION,
    ...settings,
    pairing: canonicalPairing(pairing, rotaryDim),
    axes,
    direction: given.direction,
    pairFactors,
    fractionalPositions: given.fractionalPositions ?? declared.fractionalPositions,
    queryScale,
    precision: given.precision,
    parameters: Object.freeze({ ropeType: registration.ropeType, ...(values as object) }),
  };
  return { spec: Object.freeze(spec), registration, provider };
}

/** Head, base and limit. */
function parseSettings(
  request: UntypedRopeRequest,
  { partialRotaryFactor: share, rotaryOffset, base, maxPosition }: Fields,
  issues: RopeIssue[],
): RopeSettings & { readonly rotaryOffset: number } {
  const { headDim } = request;
  const fromShare = isSize(headDim) && typeof share === "number" ? Math.trunc(headDim * share) : undefined;
  const { rotaryDim = fromShare ?? headDim } = request;
  issues.push(...headIssues({ headDim, rotaryDim, rotaryOffset }));
  if (rotaryDim !== (fromShare ?? rotaryDim)) {
    const product = `${fromShare} = trunc(headDim ${headDim} · partialRotaryFactor ${share})`;
    issues.push(issue("rotaryDim", product, rotaryDim, "Give one of the two."));
  }
  return { headDim, rotaryDim, rotaryOffset, base, maxPosition };
}

const ownAxes = (axes: unknown): RopeIssue => {
  const remedy = "Use the type's own parameters for its axes, or a type of one axis.";
  return issue("axes", "nothing, since the type has axes of its own", axes, remedy);
};

/** What a request asks for that its type cannot do. */
function capabilityIssues(
  { axisCount, dependsOnLength, fractionalPositions }: Required<RopeCapabilities>,
  given: Fields,
): RopeIssue[] {
  const issues: RopeIssue[] = [];
  if (axisCount > 1 && given.axes !== null) issues.push(ownAxes(given.axes));
  if (fractionalPositions && given.fractionalPositions === false) {
    issues.push(issue("fractionalPositions", "true, or nothing, since the type takes fractions", false));
  }
  if (given.fractionalPositions === true && dependsOnLength && !fractionalPositions) {
    const expected = "false, since the type depends on the length, which counts tokens";
    issues.push(issue("fractionalPositions", expected, true));
  }
  return issues;
}

/** What is wrong with the request that a spelling gave. */
function spellingIssues(meant: RewrittenRequest | undefined, given: Fields, isRewritten: boolean): RopeIssue[] {
  if (isRewritten || typeof meant?.parameters !== "object") {
    return [issue("parameters.ropeType", "a spelling that gives a request of a type with a formula", meant)];
  }
  return meant.axes !== undefined && given.axes !== null ? [ownAxes(given.axes)] : [];
}

/** `null` where every factor is 1. */
function parsePairFactors(
  factors: readonly number[] | null,
  pairs: number | undefined,
  issues: RopeIssue[],
): readonly number[] | null {
  if (factors !== null && factors.length !== (pairs ?? factors.length)) {
    issues.push(issue("pairFactors", `${pairs} finite numbers, one for each pair`, factors));
  }
  return factors?.some((factor) => factor !== 1) === true ? factors : null;
}

/**
 * The axes of a request; `null` for one axis. Every axis from 0 on must have a pair, and axes must fit a byte.
 */
function parseAxes(given: unknown, pairs: number | undefined, issues: RopeIssue[]): readonly number[] | null {
  if (given === null) return null;
  const axes = (listOf(given) ?? []) as number[];
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
  const { rule, ...rest } = (typeof given === "object" ? given : {}) as { readonly rule?: unknown };
  const known = rules.get(rule as string);
  if (known !== undefined) {
    // Another copy of core may have registered it. Core's own are the same under every contract.
    if (!builtInQueryScales.has(rule as string)) {
      checkSpecificationVersion(known.specificationVersion, `the query scale ${known.source}`);
    }
    return Object.freeze({
      rule,
      ...parseParameters<object>(known.parameters, rest, "queryScale.", issues),
    }) as QueryScale;
  }
  const expected = `an object with rule: ${[...rules.keys()].map(show).join(", ")}`;
  issues.push(issue("queryScale", expected, rule ?? given, "registerQueryScale adds rules."));
  return null;
}

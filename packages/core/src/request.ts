/**
 * From what a caller asks for to what a rope is: validation, defaults, and the one canonical form of equal requests.
 */

import { RopeError, show } from "./errors.ts";
import type { RopeIssue } from "./errors.ts";
import { blockCount, canonicalPairing } from "./pairing.ts";
import type { Pairing } from "./pairing.ts";
import { parseParameters, unknownKey } from "./parameters.ts";
import { SPECIFICATION_VERSION } from "./provider.ts";
import type { Precision, RopeGeometry } from "./provider.ts";
import { checkSpecificationVersion } from "./registry.ts";
import type { RopeRegistration } from "./registry.ts";

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
  /** Positions must be below this (or below what the type extends it to). Absent: below 2^24. */
  readonly maxPosition?: number | null | undefined;
  /** Which two elements form a pair. Default: what the type declares, else `"half"` (Hugging Face `rotate_half`). */
  readonly pairing?: Pairing | undefined;
  /**
   * How the angle is rounded. `"float32"` (default): as the engines that trained the models do, bit-compatible with
   * Hugging Face transformers up to the last place. `"float64"`: exact; cos and sin within one float32 ulp of the true
   * value at every position below 2^24.
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
  readonly precision: Precision;
  /** The canonical type name (aliases resolved) and every parameter, defaults filled in. */
  readonly parameters: { readonly ropeType: string; readonly [name: string]: unknown };
}

/** A request that was found valid. */
export interface ParsedRequest {
  readonly spec: RopeSpec;
  readonly registration: RopeRegistration;
}

const requestKeys = ["headDim", "rotaryDim", "partialRotaryFactor", "rotaryOffset", "base", "maxPosition", "pairing", "precision", "parameters", "specificationVersion"];

/**
 * Positions are proven exact below this: float32, in which engines hold positions, has every integer up to 2^24.
 */
export const POSITION_LIMIT: number = 2 ** 24;

/** @throws RopeError `ROPE_UNKNOWN_TYPE`, `ROPE_SPEC_VERSION`, or `ROPE_INVALID_PARAMETERS` with every issue there is. */
export function parseRequest(request: UntypedRopeRequest, lookUp: (name: unknown) => RopeRegistration): ParsedRequest {
  if (typeof request !== "object" || request === null) {
    throw invalid([{ path: "request", expected: "an object with headDim and parameters", received: show(request) }]);
  }
  if (request.specificationVersion !== undefined) checkSpecificationVersion(request.specificationVersion, "the request");
  const given = request.parameters as Readonly<Record<string, unknown>> | null | undefined;
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw invalid([{ path: "parameters", expected: "an object with ropeType", received: show(given) }]);
  }
  const { ropeType, ...own } = given;
  const registration = lookUp(ropeType);
  const { provider } = registration;

  const issues: RopeIssue[] = [];
  for (const key of Object.keys(request)) {
    if (!requestKeys.includes(key)) issues.push(unknownKey(key, requestKeys, "", (request as unknown as Record<string, unknown>)[key]));
  }
  const geometry = parseGeometry(request, issues);
  const pairing = parsePairing(request.pairing ?? provider.defaults?.pairing ?? "half", geometry.rotaryDim, issues);
  const { precision = "float32" } = request;
  if (precision !== "float32" && precision !== "float64") {
    issues.push({ path: "precision", expected: '"float32" or "float64"', received: show(precision) });
  }
  const parsed = parseParameters<Record<string, unknown>>(provider.parameters, { ...registration.presets, ...own }, "parameters");
  if ("issues" in parsed) issues.push(...parsed.issues);
  else if (issues.length === 0) issues.push(...(provider.check?.(parsed.values, geometry) ?? []));
  if (issues.length > 0 || "issues" in parsed) throw invalid(issues, registration.name);

  const parameters = { ropeType: registration.ropeType, ...parsed.values };
  const spec: RopeSpec = { specificationVersion: SPECIFICATION_VERSION, ...geometry, pairing, precision, parameters: Object.freeze(parameters) };
  return { spec: Object.freeze(spec), registration };
}

type Geometry = RopeGeometry & { readonly rotaryOffset: number };

function parseGeometry(request: UntypedRopeRequest, issues: RopeIssue[]): Geometry {
  const { headDim, base = 10000, partialRotaryFactor: share, rotaryOffset = 0 } = request;
  const maxPosition = request.maxPosition ?? null;
  const expectNumber = (path: string, value: unknown, valid: boolean, expected: string, remedy?: string): void => {
    if (!valid) issues.push({ path, expected, received: show(value), ...(remedy === undefined ? {} : { remedy }) });
  };
  const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;
  expectNumber("headDim", headDim, isSize(headDim), "an integer > 0");
  expectNumber("base", base, Number.isFinite(base) && base > 0, "a finite number > 0");
  expectNumber("maxPosition", maxPosition, maxPosition === null || isSize(maxPosition), "an integer > 0");

  const shareValid = share === undefined || (typeof share === "number" && share > 0 && share <= 1);
  expectNumber("partialRotaryFactor", share, shareValid, "a number > 0 and ≤ 1");
  const fromShare = share === undefined || !shareValid ? headDim : Math.trunc(headDim * share);
  const rotaryDim = request.rotaryDim ?? fromShare;
  if (request.rotaryDim !== undefined && share !== undefined && shareValid && request.rotaryDim !== fromShare) {
    expectNumber("rotaryDim", rotaryDim, false, `${fromShare} = trunc(headDim ${headDim} · partialRotaryFactor ${share})`, "Give one of the two.");
  }
  const even = isSize(rotaryDim) && rotaryDim % 2 === 0;
  expectNumber("rotaryDim", rotaryDim, even && rotaryDim <= headDim, `an even integer > 0 and ≤ headDim (${show(headDim)})`, "Elements are rotated in pairs.");
  const offsetValid = Number.isSafeInteger(rotaryOffset) && rotaryOffset >= 0 && rotaryOffset + rotaryDim <= headDim;
  expectNumber("rotaryOffset", rotaryOffset, offsetValid, "an integer ≥ 0 with rotaryOffset + rotaryDim ≤ headDim");
  return { headDim, rotaryDim, rotaryOffset, base, maxPosition };
}

function parsePairing(pairing: unknown, rotaryDim: number, issues: RopeIssue[]): Pairing {
  const blocks = typeof pairing === "object" && pairing !== null ? (pairing as { blocks?: unknown }).blocks : undefined;
  const named = pairing === "half" || pairing === "adjacent";
  const cut = Number.isSafeInteger(blocks) && (blocks as number) > 0 && Number.isInteger(rotaryDim / 2 / (blocks as number)) && Object.keys(pairing as object).length === 1;
  if (named || cut) return rotaryDim % 2 === 0 && rotaryDim > 0 ? canonicalPairing(pairing as Pairing, rotaryDim) : (pairing as Pairing);
  issues.push({ path: "pairing", expected: `"half", "adjacent" or { blocks: n } with n dividing rotaryDim/2 = ${rotaryDim / 2}`, received: show(pairing) });
  return "half";
}

function invalid(issues: readonly RopeIssue[], ropeType?: string): RopeError {
  const which = ropeType === undefined ? "the rope request" : `the request for a rope of type ${JSON.stringify(ropeType)}`;
  const count = issues.length === 1 ? "1 issue" : `${issues.length} issues`;
  return new RopeError("ROPE_INVALID_PARAMETERS", { what: `${which} has ${count}`, issues, facts: { ropeType } });
}

/** The shape of rotation that a spec asks for. */
export function rotationShape({ rotaryDim, rotaryOffset, pairing }: Pick<RopeSpec, "rotaryDim" | "rotaryOffset" | "pairing">): { rotaryDim: number; rotaryOffset: number; blocks: number } {
  return { rotaryDim, rotaryOffset, blocks: blockCount(pairing, rotaryDim) };
}

/**
 * Text that is equal for equal plain data whatever the order of keys; distinguishes everything that could matter
 * (`NaN` from `null`, `"1"` from `1`). Typed arrays equal lists. Keys whose value is `undefined` count as absent.
 */
export function canonicalText(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value !== "object" || value === null) return Object.is(value, -0) ? "0" : `${String(value)}${typeof value === "bigint" ? "n" : ""}`;
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return `[${Array.from(value as ArrayLike<unknown>, canonicalText).join()}]`;
  const record = value as Readonly<Record<string, unknown>>;
  let text = "{";
  for (const key of Object.keys(record).sort()) {
    if (record[key] !== undefined) text += `${JSON.stringify(key)}:${canonicalText(record[key])},`;
  }
  return `${text}}`;
}

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
import { parseQueryScale } from "./query-scale.ts";
import type { QueryScale } from "./query-scale.ts";
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
  /** Positions must be below this (or below what the type extends it to). Absent: up to 2^24. */
  readonly maxPosition?: number | null | undefined;
  /** Which two elements form a pair. Default: what the type declares, else `"half"` (Hugging Face `rotate_half`). */
  readonly pairing?: Pairing | undefined;
  /**
   * The position axis that turns each pair, `rotaryDim/2` integers from 0, for ropes of several axes whose frequencies
   * are those of a type of one axis (M-RoPE over any scaling). Absent: what the type says, else one axis.
   */
  readonly axes?: readonly number[] | null | undefined;
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
  readonly axes: readonly number[] | null;
  readonly queryScale: QueryScale | null;
  readonly precision: Precision;
  /** The canonical type name (aliases resolved) and every parameter, defaults filled in. */
  readonly parameters: { readonly ropeType: string; readonly [name: string]: unknown };
}

/** A request that was found valid. */
export interface ParsedRequest {
  readonly spec: RopeSpec;
  readonly registration: RopeRegistration;
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
  "queryScale",
  "precision",
  "parameters",
  "specificationVersion",
];

/** @throws RopeError `ROPE_UNKNOWN_TYPE`, `ROPE_SPEC_VERSION`, or `ROPE_INVALID_PARAMETERS` with every issue there is. */
export function parseRequest(request: UntypedRopeRequest, lookUp: (name: unknown) => RopeRegistration): ParsedRequest {
  if (typeof request !== "object" || request === null) {
    throw invalid([{ path: "request", expected: "an object with headDim and parameters", received: show(request) }]);
  }
  if (request.specificationVersion !== undefined) {
    checkSpecificationVersion(request.specificationVersion, "the request");
  }
  const given = request.parameters as Readonly<Record<string, unknown>> | null | undefined;
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw invalid([{ path: "parameters", expected: "an object with ropeType", received: show(given) }]);
  }
  const { ropeType, ...own } = given;
  const registration = lookUp(ropeType);
  const { provider } = registration;

  const issues: RopeIssue[] = [];
  for (const key of Object.keys(request)) {
    if (!requestKeys.includes(key)) {
      issues.push(unknownKey(key, requestKeys, "", (request as unknown as Record<string, unknown>)[key]));
    }
  }
  const geometry = parseGeometry(request, issues);
  const { pairing: wanted = provider.defaults?.pairing ?? "half" } = request;
  const pairing = parsePairing(wanted, geometry.rotaryDim, issues);
  const axes = parseAxes(request.axes ?? null, geometry.rotaryDim, issues);
  const queryScale = parseQueryScale(request.queryScale ?? null, issues);
  const { precision = "float32" } = request;
  if (precision !== "float32" && precision !== "float64") {
    issues.push({ path: "precision", expected: '"float32" or "float64"', received: show(precision) });
  }
  const parsed = parseParameters<Record<string, unknown>>(
    provider.parameters,
    { ...registration.presets, ...own },
    "parameters",
  );
  if ("issues" in parsed) issues.push(...parsed.issues);
  else if (issues.length === 0) issues.push(...(provider.check?.(parsed.values, geometry) ?? []));
  if (issues.length > 0 || "issues" in parsed) throw invalid(issues, registration.name);

  const parameters = { ropeType: registration.ropeType, ...parsed.values };
  const spec: RopeSpec = {
    specificationVersion: SPECIFICATION_VERSION,
    ...geometry,
    pairing,
    axes,
    queryScale,
    precision,
    parameters: Object.freeze(parameters),
  };
  return { spec: Object.freeze(spec), registration };
}

/** Far beyond any model, and small enough that a mistake does not cost all memory. */
const LARGEST_HEAD = 65536;

type Geometry = RopeGeometry & { readonly rotaryOffset: number };

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;
const isEvenSize = (value: unknown): value is number => isSize(value) && value % 2 === 0;

function parseGeometry(request: UntypedRopeRequest, issues: RopeIssue[]): Geometry {
  const { headDim, base = 10000, partialRotaryFactor: share, rotaryOffset = 0 } = request;
  const maxPosition = request.maxPosition ?? null;
  const check = (path: string, value: unknown, valid: boolean, expected: string, remedy?: string): boolean => {
    if (!valid) issues.push({ path, expected, received: show(value), ...(remedy === undefined ? {} : { remedy }) });
    return valid;
  };
  const headValid = check(
    "headDim",
    headDim,
    isSize(headDim) && headDim <= LARGEST_HEAD,
    `an integer > 0 and ≤ ${LARGEST_HEAD}`,
  );
  check("base", base, Number.isFinite(base) && base > 0, "a finite number > 0");
  check("maxPosition", maxPosition, maxPosition === null || isSize(maxPosition), "an integer > 0");
  const shareValid = check(
    "partialRotaryFactor",
    share,
    share === undefined || (typeof share === "number" && share > 0 && share <= 1),
    "a number > 0 and ≤ 1",
  );

  // What is measured against something that is itself wrong stays unsaid: one mistake, one issue.
  const fromShare = share !== undefined && shareValid && headValid ? Math.trunc(headDim * share) : undefined;
  const { rotaryDim = fromShare ?? headDim } = request;
  const derived = request.rotaryDim === undefined;
  let dimValid = headValid || !derived;
  if (dimValid) {
    const fits = isEvenSize(rotaryDim) && (!headValid || rotaryDim <= headDim);
    dimValid = check(
      "rotaryDim",
      rotaryDim,
      fits,
      `an even integer > 0${headValid ? ` and ≤ headDim (${headDim})` : ""}`,
      "Elements are rotated in pairs.",
    );
  }
  if (dimValid && !derived && fromShare !== undefined && rotaryDim !== fromShare) {
    dimValid = check(
      "rotaryDim",
      rotaryDim,
      false,
      `${fromShare} = trunc(headDim ${headDim} · partialRotaryFactor ${String(share)})`,
      "Give one of the two.",
    );
  }
  const offsetValid =
    Number.isSafeInteger(rotaryOffset) &&
    rotaryOffset >= 0 &&
    (!headValid || !dimValid || rotaryOffset + rotaryDim <= headDim);
  check("rotaryOffset", rotaryOffset, offsetValid, "an integer ≥ 0 with rotaryOffset + rotaryDim ≤ headDim");
  return { headDim, rotaryDim, rotaryOffset, base, maxPosition };
}

function parsePairing(pairing: unknown, rotaryDim: unknown, issues: RopeIssue[]): Pairing {
  const blocks = typeof pairing === "object" && pairing !== null ? (pairing as { blocks?: unknown }).blocks : undefined;
  const pairs = isEvenSize(rotaryDim) ? rotaryDim / 2 : undefined;
  const cut =
    isSize(blocks) && (pairs === undefined || pairs % blocks === 0) && Object.keys(pairing as object).length === 1;
  if (pairing === "half" || pairing === "adjacent" || cut) {
    return pairs === undefined ? "half" : canonicalPairing(pairing as Pairing, 2 * pairs);
  }
  issues.push({
    path: "pairing",
    expected: `"half", "adjacent" or { blocks: n } with n dividing rotaryDim/2${pairs === undefined ? "" : ` = ${pairs}`}`,
    received: show(pairing),
  });
  return "half";
}

/** The number of axes is not limited by anything but that each has a pair, and that an axis is a byte. */
function parseAxes(axes: unknown, rotaryDim: unknown, issues: RopeIssue[]): readonly number[] | null {
  if (axes === null) return null;
  const list = Array.isArray(axes) || ArrayBuffer.isView(axes) ? Array.from(axes as ArrayLike<unknown>) : [];
  const pairs = isEvenSize(rotaryDim) ? rotaryDim / 2 : list.length;
  const bytes =
    list.length > 0 &&
    list.length === pairs &&
    list.every((axis) => Number.isInteger(axis) && (axis as number) >= 0 && (axis as number) < 256);
  const valid = bytes && new Set(list).size === Math.max(...(list as number[])) + 1;
  if (!valid) {
    issues.push({
      path: "axes",
      expected: `${isEvenSize(rotaryDim) ? `${pairs} ` : ""}integers, one for each pair, that name every axis from 0 on`,
      received: show(axes),
    });
  }
  return valid ? Object.freeze(list as number[]) : null;
}

function invalid(issues: readonly RopeIssue[], ropeType?: string): RopeError {
  const which =
    ropeType === undefined ? "the rope request" : `the request for a rope of type ${JSON.stringify(ropeType)}`;
  const count = issues.length === 1 ? "1 issue" : `${issues.length} issues`;
  return new RopeError("ROPE_INVALID_PARAMETERS", { what: `${which} has ${count}`, issues, facts: { ropeType } });
}

/** The shape of rotation that a spec asks for. */
export function rotationShape({
  rotaryDim,
  rotaryOffset,
  pairing,
}: Pick<RopeSpec, "rotaryDim" | "rotaryOffset" | "pairing">): {
  rotaryDim: number;
  rotaryOffset: number;
  blocks: number;
} {
  return { rotaryDim, rotaryOffset, blocks: blockCount(pairing, rotaryDim) };
}

/** Data that is nested deeper (a cycle is) or has more entries in all is no request; reading it could take forever. */
const MOST_LEVELS = 16;
const MOST_ENTRIES = 2 ** 16;

interface ReadSoFar {
  entries: number;
}

function entriesOf<T extends ArrayLike<unknown>>(list: T, level: number, read: ReadSoFar): T {
  // A DataView has no length.
  read.entries += list.length || 0;
  if (level > MOST_LEVELS) throw new RangeError(`more than ${MOST_LEVELS} levels, or a cycle`);
  if (read.entries > MOST_ENTRIES) throw new RangeError(`more than ${MOST_ENTRIES} entries`);
  return list;
}

/**
 * A copy of a request's own enumerable data: read once, so that what is parsed is what the cache remembers, whatever
 * getters, prototypes and proxies it came with.
 *
 * @throws RopeError `ROPE_INVALID_PARAMETERS` when it cannot be read.
 */
export function plainCopy(request: unknown): UntypedRopeRequest {
  const read = { entries: 0 };
  const copy = (value: unknown, level: number): unknown => {
    if (typeof value !== "object" || value === null) return value;
    if (ArrayBuffer.isView(value)) return entriesOf(value as unknown as ArrayLike<unknown>, level, read);
    if (Array.isArray(value)) return Array.from(entriesOf(value, level, read), (item) => copy(item, level + 1));
    return Object.fromEntries(
      entriesOf(Object.keys(value), level, read).map((key) => [
        key,
        copy((value as Record<string, unknown>)[key], level + 1),
      ]),
    );
  };
  try {
    return copy(request, 0) as UntypedRopeRequest;
  } catch (cause) {
    throw invalid([
      {
        path: "request",
        expected: "plain data: numbers, strings, booleans, lists and objects",
        received: `something that cannot be read (${show(cause instanceof Error ? cause.message : cause)})`,
      },
    ]);
  }
}

/**
 * The one error class of the project, and the form of its messages.
 *
 * Every message says what is wrong, what was expected, what was received, and what to do. Codes are stable; the wording
 * may change. Recognise an error with {@link RopeError.is}, never with `instanceof`: two copies of core may be loaded.
 */

/**
 * Stable codes, one for each kind of failure:
 * - `ROPE_UNKNOWN_TYPE`: the type is not registered;
 * - `ROPE_TYPE_CONFLICT`: another source has registered the name;
 * - `ROPE_INVALID_PARAMETERS`: a request, an option or an argument is wrong; `issues` lists every mistake;
 * - `ROPE_CONFIG`: a model's `config.json` has no usable rope, or contradicts itself;
 * - `ROPE_SHAPE`: tensors, positions or tables do not fit each other, or overlap;
 * - `ROPE_POSITION_RANGE`: a position is outside the range of the rope;
 * - `ROPE_UNSUPPORTED`: the type, the backend or the device cannot do it;
 * - `ROPE_BACKEND_UNAVAILABLE`: the backend is not registered, or its device or memory is missing;
 * - `ROPE_SPEC_VERSION`: core does not know the version of a spec, provider or backend.
 */
export type RopeErrorCode =
  | "ROPE_UNKNOWN_TYPE"
  | "ROPE_TYPE_CONFLICT"
  | "ROPE_INVALID_PARAMETERS"
  | "ROPE_CONFIG"
  | "ROPE_SHAPE"
  | "ROPE_POSITION_RANGE"
  | "ROPE_UNSUPPORTED"
  | "ROPE_BACKEND_UNAVAILABLE"
  | "ROPE_SPEC_VERSION";

/** One mistake in a request or an argument. `ROPE_INVALID_PARAMETERS` carries all mistakes at once. */
export interface RopeIssue {
  /** Property path of the mistake: `parameters.factor`. */
  readonly path: string;
  /** The values that are accepted, as text. */
  readonly expected: string;
  /** The value that came, as short text. */
  readonly received: string;
  /** A way to put it right, for instance the nearest valid key. */
  readonly remedy?: string | undefined;
}

/** The parts of a {@link RopeError}. The message holds all parts except `facts`; all parts except `what` are fields. */
export interface RopeErrorParts {
  /** The problem, in one clause. */
  readonly what: string;
  readonly expected?: string | undefined;
  readonly received?: string | undefined;
  readonly remedy?: string | undefined;
  readonly issues?: readonly RopeIssue[] | undefined;
  /** Values for programs: `{ position, index, limit }`. */
  readonly facts?: Readonly<Record<string, unknown>> | undefined;
}

const brand = Symbol.for("ropewalk.error.v1");

/** A failure that ropewalk reports. `code` is stable; the other fields hold the parts of the message. */
export class RopeError extends Error {
  readonly code: RopeErrorCode;
  /** The values that are accepted, when there is one mistake; otherwise see `issues`. */
  readonly expected: string | undefined;
  /** The value that came instead, as short text. */
  readonly received: string | undefined;
  /** A way to put it right. */
  readonly remedy: string | undefined;
  /** Every mistake, for errors that may report several; else empty. */
  readonly issues: readonly RopeIssue[];
  /** Values for programs, such as the position and the limit; frozen. */
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(code: RopeErrorCode, parts: RopeErrorParts) {
    super(message(parts));
    this.name = "RopeError";
    this.code = code;
    this.expected = parts.expected;
    this.received = parts.received;
    this.remedy = parts.remedy;
    this.issues = Object.freeze([...(parts.issues ?? [])]);
    this.facts = Object.freeze({ ...parts.facts });
    Object.defineProperty(this, brand, { value: true });
  }

  /** Whether `value` is a RopeError, of this or of another loaded copy of core. */
  static is(value: unknown): value is RopeError {
    return typeof value === "object" && value !== null && (value as Record<symbol, unknown>)[brand] === true;
  }
}

function message({ what, expected, received, remedy, issues }: RopeErrorParts): string {
  let text = what;
  if (expected !== undefined) text += `: expected ${expected}`;
  if (received !== undefined) text += expected === undefined ? `: got ${received}` : `, got ${received}`;
  text += ".";
  if (remedy !== undefined) text += ` ${remedy}`;
  for (const issue of issues ?? []) {
    text += `\n  - ${issue.path}: expected ${issue.expected}, got ${issue.received}.`;
    if (issue.remedy !== undefined) text += ` ${issue.remedy}`;
  }
  return text;
}

/** A `ROPE_SHAPE` error: the argument `name` has the wrong form. `facts.tensor` is the name. */
export function shapeError(name: string, expected: string, received: string, remedy?: string): RopeError {
  const what = `"${name}" does not fit`;
  return new RopeError("ROPE_SHAPE", { what, expected, received, remedy, facts: { tensor: name } });
}

/** An issue about the value at a path; the value becomes short text. */
export function issue(path: string, expected: string, value: unknown, remedy?: string): RopeIssue {
  return { path, expected, received: show(value), ...(remedy === undefined ? {} : { remedy }) };
}

/** A `ROPE_INVALID_PARAMETERS` error with every issue. Its message begins "2 issues in ", then `what`. */
export function invalid(what: string, issues: readonly RopeIssue[], facts?: RopeErrorParts["facts"]): RopeError {
  const count = issues.length === 1 ? "1 issue" : `${issues.length} issues`;
  return new RopeError("ROPE_INVALID_PARAMETERS", { what: `${count} in ${what}`, issues, facts });
}

/** Any value as short text for a message. Never throws, never prints a whole array. */
export function show(value: unknown): string {
  try {
    return describe(value);
  } catch {
    return "something that cannot be shown";
  }
}

function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return value.name === "" ? "a function" : `the function ${value.name}`;
  if (Array.isArray(value)) {
    const short = value.length <= 8 && !value.some(Array.isArray);
    return short
      ? `[${value.map(show).join(", ")}]`
      : `a list of ${value.length}${Array.isArray(value[0]) ? " lists" : ""}`;
  }
  if (ArrayBuffer.isView(value)) {
    return `${value.constructor.name}(${(value as { length?: number }).length ?? value.byteLength})`;
  }
  if (typeof value === "object" && value !== null) return `an object with ${describeKeys(value)}`;
  return String(value);
}

function describeKeys(value: object): string {
  const keys = Object.keys(value);
  if (keys.length === 0) return "no keys";
  const names = keys.slice(0, 8).map((key) => (key.length > 60 ? `${key.slice(0, 57)}...` : key));
  return `the keys ${names.join(", ")}${keys.length > 8 ? ", …" : ""}`;
}

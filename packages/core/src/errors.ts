/**
 * The one error class of the project, and the form of its messages.
 *
 * Every message says what is wrong, what was expected, what came, and what to do. Codes are stable; wording is free.
 * Recognise an error with {@link RopeError.is}, never with `instanceof`: two copies of core may be loaded.
 */

/** Stable codes; each stands for one kind of failure that a caller may want to handle. */
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

/** One thing that is wrong with a request; `ROPE_INVALID_PARAMETERS` carries all of them at once. */
export interface RopeIssue {
  /** Where, as a property path: `parameters.factor`. */
  readonly path: string;
  /** What would be accepted. */
  readonly expected: string;
  /** What came, as short text. */
  readonly received: string;
  /** What to do instead, for instance the nearest valid key. */
  readonly remedy?: string | undefined;
}

/** The parts of a {@link RopeError}. The message is built from all but `facts`, and all but `what` are its fields. */
export interface RopeErrorParts {
  readonly what: string;
  readonly expected?: string | undefined;
  readonly received?: string | undefined;
  readonly remedy?: string | undefined;
  readonly issues?: readonly RopeIssue[] | undefined;
  readonly facts?: Readonly<Record<string, unknown>> | undefined;
}

const brand = Symbol.for("ropewalk.error.v1");

/** Any failure that ropewalk reports. `code` is stable; the other fields hold what the message is built from. */
export class RopeError extends Error {
  readonly code: RopeErrorCode;
  /** What would have been accepted, where one thing is wrong; `issues` say it of each. */
  readonly expected: string | undefined;
  /** What came instead, as short text. */
  readonly received: string | undefined;
  /** What to do. */
  readonly remedy: string | undefined;
  readonly issues: readonly RopeIssue[];
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

  /** Whether `value` is a RopeError of this or of another loaded copy of core. */
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

/** `ROPE_SHAPE`: an argument called `name` does not have the form that it must have. `facts.tensor` is the name. */
export function shapeError(name: string, expected: string, received: string, remedy?: string): RopeError {
  const what = `"${name}" does not fit`;
  return new RopeError("ROPE_SHAPE", { what, expected, received, remedy, facts: { tensor: name } });
}

/** One thing that is wrong: the value at a path, shown as short text. */
export function issue(path: string, expected: string, value: unknown, remedy?: string): RopeIssue {
  return { path, expected, received: show(value), ...(remedy === undefined ? {} : { remedy }) };
}

/** `ROPE_INVALID_PARAMETERS` with every issue: "2 issues in " and `what`. */
export function invalid(what: string, issues: readonly RopeIssue[], facts?: RopeErrorParts["facts"]): RopeError {
  const count = issues.length === 1 ? "1 issue" : `${issues.length} issues`;
  return new RopeError("ROPE_INVALID_PARAMETERS", { what: `${count} in ${what}`, issues, facts });
}

/** Short text of any value for a message: never throws, never prints a whole array. */
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

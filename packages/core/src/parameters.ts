/**
 * Parameter schemas: a provider states its parameters as data, and everything that depends on them (parsing, errors,
 * defaults, documentation, the command line) reads the same statement, so that they cannot drift apart.
 */

import { viewName } from "./element-types.ts";
import { issue } from "./errors.ts";
import type { RopeIssue } from "./errors.ts";
import { unknownKeys } from "./keys.ts";

/** What one parameter may be. Ranges are inclusive unless named `above` or `below`. */
export interface ParameterRule {
  readonly type: "number" | "integer" | "boolean" | "string" | "numbers";
  /** Without it the parameter must be given. `null` means "not set": the formula then follows its rule for absence. */
  readonly default?: number | boolean | string | readonly number[] | null;
  readonly min?: number;
  readonly max?: number;
  readonly above?: number;
  readonly below?: number;
  /** Accepted values of a string or a number. */
  readonly oneOf?: readonly (string | number)[];
  /** One line: what it is, its unit, and where the default comes from. */
  readonly description: string;
}

/** A rule that may also leave a value to another check. */
export type FieldRule = Omit<ParameterRule, "type"> & { readonly type: ParameterRule["type"] | "any" };

/** The rules of all parameters of a rope type, by their camelCase name. */
export type ParameterSchema<P = Record<string, unknown>> = { readonly [K in keyof P]-?: ParameterRule };

/**
 * Checks `raw` against a schema and fills in defaults.
 *
 * @param raw the caller's object; never mutated, read once. A key whose value is `undefined` counts as absent, `null` as
 * absent where the default is `null`.
 * @param prefix of the issue paths: `"parameters."`.
 * @param issues gets every issue found.
 * @returns the frozen values in the schema's order; those with issues are missing.
 */
export function parseParameters<P>(
  schema: { readonly [K in keyof P]-?: FieldRule },
  raw: Readonly<Record<string, unknown>>,
  prefix: string,
  issues: RopeIssue[],
): P {
  const rules = Object.entries(schema as Readonly<Record<string, FieldRule>>);
  issues.push(...unknownKeys(raw, Object.keys(schema), prefix));
  const values: Record<string, unknown> = {};
  for (const [key, rule] of rules) {
    const given = Object.hasOwn(raw, key) ? raw[key] : undefined;
    if (given === undefined || (given === null && rule.default === null)) {
      if (rule.default !== undefined) values[key] = rule.default;
      else issues.push({ ...issue(prefix + key, describeRule(rule), "", rule.description), received: "nothing" });
      continue;
    }
    const value = checkValue(rule, given);
    if (value === undefined) issues.push(issue(prefix + key, describeRule(rule), given));
    else values[key] = value;
  }
  return Object.freeze(values) as P;
}

function checkValue(rule: FieldRule, given: unknown): unknown {
  const { type, oneOf } = rule;
  if (type === "any") return given;
  if (oneOf !== undefined && !oneOf.includes(given as string)) return undefined;
  if (type === "boolean" || type === "string") return typeof given === type ? given : undefined;
  if (type === "numbers") {
    if (!Array.isArray(given) && ["DataView", undefined].includes(viewName(given))) return undefined;
    const list = Array.from(given as ArrayLike<unknown>);
    return list.every((item) => inRange(rule, item)) ? Object.freeze(list) : undefined;
  }
  return inRange(rule, given) && (type === "number" || Number.isSafeInteger(given)) ? given : undefined;
}

function inRange({ min, max, above, below }: FieldRule, value: unknown): value is number {
  return (
    typeof value === "number" &&
    Number.isFinite(value) &&
    (min === undefined || value >= min) &&
    (max === undefined || value <= max) &&
    (above === undefined || value > above) &&
    (below === undefined || value < below)
  );
}

const nouns: Readonly<Record<FieldRule["type"], string>> = {
  number: "a finite number",
  integer: "an integer",
  boolean: "true or false",
  string: "a string",
  numbers: "a list of finite numbers",
  any: "a value",
};

function describeRule({ type, min, max, above, below, oneOf }: FieldRule): string {
  if (oneOf !== undefined) return `one of ${oneOf.map((value) => JSON.stringify(value)).join(", ")}`;
  const limits = Object.entries({ "≥": min, ">": above, "≤": max, "<": below })
    .filter(([, limit]) => limit !== undefined)
    .map(([sign, limit]) => `${sign} ${limit}`);
  return [nouns[type], limits.join(" and ")].join(" ").trimEnd();
}

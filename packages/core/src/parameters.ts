/**
 * Parameter schemas: a provider declares its parameters as data. Parsing, errors, defaults, documentation and the
 * command line all read this one declaration.
 */

import { listOf } from "./element-types.ts";
import { issue } from "./errors.ts";
import type { RopeIssue } from "./errors.ts";
import { unknownKeys } from "./keys.ts";

/** The accepted values of one parameter. `min` and `max` are inclusive; `above` and `below` are exclusive. */
export interface ParameterRule {
  /** `"numbers"` is a list or a typed array of finite numbers. */
  readonly type: "number" | "integer" | "boolean" | "string" | "numbers";
  /** The value of an absent parameter. Without a default the parameter is required. `null` means "not set". */
  readonly default?: number | boolean | string | readonly number[] | null;
  readonly min?: number;
  readonly max?: number;
  readonly above?: number;
  readonly below?: number;
  /** The accepted strings or numbers, if only these are. */
  readonly oneOf?: readonly (string | number)[];
  /** One line: the meaning of the parameter, its unit, and the origin of the default. */
  readonly description: string;
}

/** A rule that may also leave a value to another check. */
export type FieldRule = Omit<ParameterRule, "type" | "description"> & {
  readonly type: ParameterRule["type"] | "any";
  readonly description?: string;
};

/** The rules of all parameters of a rope type, by their camelCase name. */
export type ParameterSchema<P = Record<string, unknown>> = { readonly [K in keyof P]-?: ParameterRule };

/**
 * Checks `raw` against a schema and fills in defaults.
 *
 * @param raw the caller's object; read once, never changed. A value `undefined` counts as absent, and so does `null` if
 * the default is `null`.
 * @param prefix of the issue paths: `"parameters."`.
 * @param issues receives every issue.
 * @returns the frozen values in the schema's order, without the wrong ones.
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
    const list = listOf(given);
    return list?.every((item) => inRange(rule, item)) === true ? Object.freeze(list) : undefined;
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

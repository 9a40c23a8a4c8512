/**
 * Parameter schemas: a provider states its parameters as data, and everything that depends on them (parsing, errors,
 * defaults, documentation, the command line) reads the same statement, so that they cannot drift apart.
 */

import { viewName } from "./element-types.ts";
import { show } from "./errors.ts";
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
  /** Accepted values of a string. */
  readonly oneOf?: readonly string[];
  /** One line: what it is, its unit, and where the default comes from. */
  readonly description: string;
}

/** The rules of all parameters of a rope type, by their camelCase name. */
export type ParameterSchema<P = Record<string, unknown>> = { readonly [K in keyof P]-?: ParameterRule };

/**
 * Checks `raw` against a schema and fills in defaults.
 *
 * @param raw the caller's object; never mutated, read once. A key whose value is `undefined` counts as absent, `null` as
 * absent where the default is `null`.
 * @param path prefix of the issue paths.
 * @returns the frozen values in the schema's order, or every issue found, never both.
 */
export function parseParameters<P>(
  schema: ParameterSchema<P>,
  raw: Readonly<Record<string, unknown>>,
  path: string,
): { readonly values: P } | { readonly issues: RopeIssue[] } {
  const rules = schema as Readonly<Record<string, ParameterRule>>;
  const issues = unknownKeys(raw, Object.keys(rules), path);
  const values: Record<string, unknown> = {};
  for (const [key, rule] of Object.entries(rules)) {
    const given = Object.hasOwn(raw, key) ? raw[key] : undefined;
    if (given === undefined || (given === null && rule.default === null)) {
      if (rule.default === undefined) {
        issues.push({
          path: `${path}.${key}`,
          expected: describeRule(rule),
          received: "nothing",
          remedy: rule.description,
        });
      } else {
        values[key] = rule.default;
      }
      continue;
    }
    const value = checkValue(rule, given);
    if (value === undefined) {
      issues.push({ path: `${path}.${key}`, expected: describeRule(rule), received: show(given) });
    } else values[key] = value;
  }
  return issues.length > 0 ? { issues } : { values: Object.freeze(values) as P };
}

function checkValue(rule: ParameterRule, given: unknown): unknown {
  if (rule.type === "boolean") return typeof given === "boolean" ? given : undefined;
  if (rule.type === "string") {
    return typeof given === "string" && (rule.oneOf === undefined || rule.oneOf.includes(given)) ? given : undefined;
  }
  if (rule.type === "numbers") {
    if (!Array.isArray(given) && ["DataView", undefined].includes(viewName(given))) return undefined;
    const list = Array.from(given as ArrayLike<unknown>);
    return list.every((item) => inRange(rule, item)) ? Object.freeze(list) : undefined;
  }
  if (!inRange(rule, given)) return undefined;
  return rule.type === "integer" && !Number.isSafeInteger(given) ? undefined : given;
}

function inRange({ min, max, above, below }: ParameterRule, value: unknown): value is number {
  return (
    typeof value === "number" &&
    Number.isFinite(value) &&
    (min === undefined || value >= min) &&
    (max === undefined || value <= max) &&
    (above === undefined || value > above) &&
    (below === undefined || value < below)
  );
}

function describeRule({ type, min, max, above, below, oneOf }: ParameterRule): string {
  if (oneOf !== undefined) return `one of ${oneOf.map((value) => JSON.stringify(value)).join(", ")}`;
  const noun = {
    number: "a finite number",
    integer: "an integer",
    boolean: "true or false",
    string: "a string",
    numbers: "a list of finite numbers",
  }[type];
  const limits = [
    min === undefined ? "" : `≥ ${min}`,
    above === undefined ? "" : `> ${above}`,
    max === undefined ? "" : `≤ ${max}`,
    below === undefined ? "" : `< ${below}`,
  ].filter((limit) => limit !== "");
  return limits.length === 0 ? noun : `${noun} ${limits.join(" and ")}`;
}

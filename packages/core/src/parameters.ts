/**
 * Parameter schemas: a provider states its parameters as data, and everything that depends on them (parsing, errors,
 * defaults, documentation, the command line) reads the same statement, so that they cannot drift apart.
 */

import { viewName } from "./element-types.ts";
import { RopeError, show } from "./errors.ts";
import type { RopeIssue } from "./errors.ts";

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
  const issues: RopeIssue[] = [];
  const rules = schema as Readonly<Record<string, ParameterRule>>;
  const values: Record<string, unknown> = {};
  for (const key of Object.keys(raw)) {
    if (!Object.hasOwn(rules, key)) issues.push(unknownKey(key, Object.keys(rules), path, raw[key]));
  }
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

/** What other engines call a field of a request (docs/vocabulary.md), for the hint beside an unknown key. */
const otherWords: Readonly<Record<string, string>> = Object.assign(Object.create(null) as object, {
  theta: "base",
  ropetheta: "base",
  headsize: "headDim",
  dim: "rotaryDim",
  maxpositionembeddings: "maxPosition",
  originalmaxpositionembeddings: "originalMaxPosition",
  interleaved: "pairing",
  isneoxstyle: "pairing",
});

/** The issue for a key that nothing reads, with the nearest key that is read. */
export function unknownKey(key: string, known: readonly string[], path: string, value: unknown): RopeIssue {
  const word =
    otherWords[
      key
        .slice(0, 64)
        .replace(/[_\-\s]/g, "")
        .toLowerCase()
    ];
  const near = word !== undefined && known.includes(word) ? word : nearest(key, known);
  return {
    path: (path === "" ? key : `${path}.${key}`).slice(0, 100),
    expected: known.length === 0 ? "no parameters" : `one of ${known.join(", ")}`,
    received: `the unknown key ${show(key)} with ${show(value)}`,
    remedy: near === undefined ? "Remove it." : `Did you mean ${JSON.stringify(near)}?`,
  };
}

/**
 * Refuses a key that nothing reads: misspelt, it would be left out without a word.
 *
 * @throws RopeError `ROPE_INVALID_PARAMETERS`.
 */
export function checkKeys(what: string, given: object, known: readonly string[]): void {
  for (const key in given) {
    if (known.includes(key)) continue;
    throw new RopeError("ROPE_INVALID_PARAMETERS", {
      what: `${what} have a key that nothing reads`,
      issues: [unknownKey(key, known, "", (given as Record<string, unknown>)[key])],
    });
  }
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

/** The candidate that differs least from `word`, if one is near enough to be a likely misspelling. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const plain = (text: string): string =>
    text
      .slice(0, 64)
      .replace(/[_\-\s]/g, "")
      .toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(plain(word).length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(plain(word), plain(candidate));
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Levenshtein's distance: the least number of inserted, deleted and replaced characters. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replace, previous[j]! + 1, row[j - 1]! + 1));
    }
    previous = row;
  }
  return previous[b.length]!;
}

/** The numbers that a case may expect, and the check of them. */

import type { RopeIssue } from "@ropewalk/core";
import { checkKeys, show } from "@ropewalk/core/backend";

/** Numbers of a case from outside: an engine that was run, a table of a paper, a calculation by hand. */
export interface ExpectedNumbers {
  /** Where the numbers come from: engine and version, paper and equation, or the calculation. */
  readonly source: string;
  /** The number of significant digits that the source prints, 1 to 17. Default: all. */
  readonly digits?: number;
  /** The length in tokens that the numbers belong to, for types that depend on it. */
  readonly length?: number;
  /** Radians per position of each pair, `rotaryDim/2` values. */
  readonly invFreq?: readonly number[];
  /** The factor of cos and sin. */
  readonly attentionFactor?: number;
  /** The factor of the softmax scale. */
  readonly softmaxScaleFactor?: number;
  /** The positions of the rows of `cos` and `sin`. */
  readonly positions?: readonly number[];
  /** `[positions][pairs]`, amplitude included. */
  readonly cos?: readonly (readonly number[])[];
  /** `[positions][pairs]`, amplitude included. */
  readonly sin?: readonly (readonly number[])[];
}

const keys = [
  "source",
  "digits",
  "length",
  "invFreq",
  "attentionFactor",
  "softmaxScaleFactor",
  "positions",
  "cos",
  "sin",
] as const;
const compared = ["invFreq", "attentionFactor", "softmaxScaleFactor", "cos", "sin"] as const;

/** The mistakes in the `expected` of a case. @throws RopeError for an unknown key. */
export function expectedIssues(given: unknown, path: string): RopeIssue[] {
  if (given === undefined) return [];
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    return [{ path, expected: "an object of numbers with their source, or nothing", received: show(given) }];
  }
  checkKeys(path, given, keys);
  const held = given as Readonly<Record<(typeof keys)[number], unknown>>;
  const issues: RopeIssue[] = [];
  const expect = (key: string, holds: boolean, expected: string, value: unknown): void => {
    if (!holds) issues.push({ path: `${path}.${key}`, expected, received: show(value) });
  };
  const isList = (value: unknown): value is readonly number[] =>
    Array.isArray(value) && Array.from(value as unknown[]).every(Number.isFinite);
  const isCount = (value: unknown, least: number, most: number): boolean =>
    value === undefined || (Number.isInteger(value) && (value as number) >= least && (value as number) <= most);
  const { source, digits, length, invFreq, positions } = held;
  const isText = typeof source === "string" && source.trim() !== "";
  expect("source", isText, "where the numbers come from: engine and version, paper and equation, calculation", source);
  expect("digits", isCount(digits, 1, 17), "an integer from 1 to 17", digits);
  expect("length", isCount(length, 0, Number.MAX_SAFE_INTEGER), "an integer ≥ 0", length);
  expect("invFreq", invFreq === undefined || isList(invFreq), "a list of finite numbers", invFreq);
  expect("positions", positions === undefined || isList(positions), "a list of positions", positions);
  for (const key of ["attentionFactor", "softmaxScaleFactor"] as const) {
    expect(key, held[key] === undefined || Number.isFinite(held[key]), "a finite number", held[key]);
  }
  const rows = isList(positions) ? positions.length : 0;
  for (const key of ["cos", "sin"] as const) {
    const list = held[key];
    const fits = list === undefined || (Array.isArray(list) && list.length === rows && rows > 0 && list.every(isList));
    expect(key, fits, `a list of numbers for each of ${rows} positions`, list);
  }
  expect(
    "source",
    compared.some((key) => held[key] !== undefined),
    `one of ${compared.join(", ")} beside it`,
    held,
  );
  return issues;
}

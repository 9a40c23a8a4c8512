/** What a new package is asked for, and what an answer may be. */

import type { RopeIssue } from "@ropewalk/core";
import { invalid, show } from "@ropewalk/core/backend";
import validatePackageName from "validate-npm-package-name";
import { takenNames } from "./taken-names.ts";

/** A provider adds a rope type, a backend another place to rotate. */
export type PackageKind = "provider" | "backend";

export type Language = "typescript" | "javascript";

/** Everything that differs between two new packages. */
export interface Answers {
  readonly kind: PackageKind;
  readonly language: Language;
  /** The package's name on npm: `rope-step`, `@someone/rope-step`. */
  readonly name: string;
  /** The name of the rope type or of the backend, as requests write it: `step`, `half_speed`. */
  readonly type: string;
  /** One sentence, for package.json and the README. */
  readonly description: string;
  /** Who holds the copyright: for package.json and LICENSE. */
  readonly author: string;
  /** Whether the package has a workflow for GitHub Actions. */
  readonly workflow: boolean;
}

/** The values of answers that have a choice. */
export const choices: { readonly kind: readonly PackageKind[]; readonly language: readonly Language[] } = {
  kind: ["provider", "backend"],
  language: ["typescript", "javascript"],
};

const line = "one line of text, without a control character";
const rules: { readonly [Key in keyof Answers]: (value: unknown, kind: unknown) => string | undefined } = {
  kind: (value) => oneOf(choices.kind, value),
  language: (value) => oneOf(choices.language, value),
  name: packageNameRule,
  type: typeRule,
  description: (value) => (isLine(value) ? undefined : line),
  author: (value) => (isLine(value) ? undefined : line),
  workflow: (value) => (typeof value === "boolean" ? undefined : "true or false"),
};

export const questions: readonly (keyof Answers)[] = Object.keys(rules) as (keyof Answers)[];

/** The mistake in one answer; `undefined` if there is none. @param kind decides which names are taken. */
export function answerIssue(question: keyof Answers, value: unknown, kind?: unknown): RopeIssue | undefined {
  const expected = rules[question](value, kind);
  return expected === undefined ? undefined : { path: question, expected, received: show(value) };
}

/**
 * Checks answers.
 *
 * @throws RopeError `ROPE_INVALID_PARAMETERS` with every mistake.
 */
export function requireAnswers(answers: Readonly<Record<string, unknown>>): Answers {
  const issues = questions.flatMap((question) => answerIssue(question, answers[question], answers["kind"]) ?? []);
  for (const key of Object.keys(answers)) {
    if (key in rules) continue;
    issues.push({ path: key, expected: `one of ${questions.join(", ")}`, received: show(answers[key]) });
  }
  if (issues.length > 0) throw invalid("the answers for the new package", issues);
  return answers as unknown as Answers;
}

/** The last part of a package's name, without what such names begin or end with: `@me/rope-step` → `step`. */
export function proposedType(packageName: string): string {
  const word = packageName.replace(/^@[^/]*\//, "").toLowerCase();
  const bare = word
    .replace(/^(?:ropewalk|rope)-(?:provider-|backend-)?/, "")
    .replace(/-(?:rope|provider|backend)$/, "");
  const words = (bare.match(/[a-z0-9]+/g) ?? []).map((part) => part.replace(/^[0-9]+/, ""));
  return words.filter((part) => part !== "").join("_");
}

function oneOf(values: readonly string[], value: unknown): string | undefined {
  return values.includes(value as string) ? undefined : values.join(" or ");
}

function packageNameRule(value: unknown): string | undefined {
  if (typeof value !== "string") return "a name for npm, such as rope-step or @someone/rope-step";
  const { validForNewPackages, errors = [], warnings = [] } = validatePackageName(value);
  if (!validForNewPackages) return `a name that npm accepts: ${[...errors, ...warnings].join("; ")}`;
  return /^(?:@ropewalk\/|(?:create-)?ropewalk$)/.test(value)
    ? "a name outside @ropewalk, which is this project's"
    : undefined;
}

/** Names become parts of identifiers (`HalfSpeedProvider`) and keys of JSON, so they are plain words. */
function typeRule(value: unknown, kind: unknown): string | undefined {
  if (typeof value !== "string" || !isWords(value) || value.length > 64) {
    return "words of small letters and digits joined by _ or -, each beginning with a letter, such as half_speed";
  }
  const taken = kind === "backend" ? takenNames.backend : takenNames.provider;
  return taken.includes(value)
    ? `a name that no package of this project registers: ${taken.join(", ")} are taken`
    : undefined;
}

function isWords(text: string): boolean {
  return text.split(/[_-]/).every((word) => /^[a-z][a-z0-9]*$/.test(word));
}

function isLine(value: unknown): boolean {
  return typeof value === "string" && value.trim() === value && value !== "" && !/[\p{Cc}\u2028\u2029]/u.test(value);
}

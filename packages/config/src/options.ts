/** The options of a reading: a misspelt one would be left out without a word. */

import { RopeError } from "@ropewalk/core";
import type { RopeIssue } from "@ropewalk/core";
import type { ConfigOptions } from "./reading.ts";
import { show } from "./report.ts";

const known: Readonly<Record<keyof ConfigOptions, true>> = { registry: true, precision: true, maxPosition: true, pairing: true, dialect: true, capacity: true };

/** @throws RopeError `ROPE_INVALID_PARAMETERS` for an option that nothing reads, with the nearest one that is read. */
export function checkOptions(options: ConfigOptions): void {
  const names = Object.keys(known);
  const issues = Object.entries(options).flatMap(([name, value]): RopeIssue[] =>
    Object.hasOwn(known, name) ? [] : [{ path: name.slice(0, 60), expected: `one of ${names.join(", ")}`, received: show(value), remedy: `Did you mean ${JSON.stringify(nearest(name.slice(0, 60), names))}?` }],
  );
  if (issues.length > 0) throw new RopeError("ROPE_INVALID_PARAMETERS", { what: "the options have a key that nothing reads", issues });
}

function nearest(word: string, candidates: readonly string[]): string {
  return candidates.reduce((best, candidate) => (distance(word, candidate) < distance(word, best) ? candidate : best));
}

/** Levenshtein's distance, letters of either case alike. */
function distance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (const [i, letter] of [...a.toLowerCase()].entries()) {
    const row = [i + 1];
    for (let j = 0; j < b.length; j++) row.push(Math.min(above[j]! + (letter === b[j]!.toLowerCase() ? 0 : 1), above[j + 1]! + 1, row[j]! + 1));
    above = row;
  }
  return above[b.length]!;
}

/**
 * Unknown keys: a misspelt key gives an error, so that it is not ignored.
 */

import { invalid, issue, show } from "./errors.ts";
import type { RopeIssue } from "./errors.ts";

/**
 * The object itself; where something has added to `Object.prototype`, a copy that inherits nothing, so that no value
 * comes from there.
 */
export function own<T>(given: T): T {
  // oxlint-disable-next-line no-unreachable-loop -- one key is enough
  for (const _ in Object.prototype) return Object.assign(Object.create(null) as object, given) as T;
  return given;
}

/**
 * Checks that an argument is an object with known keys only. It does not read the values.
 *
 * @param what the subject of the message: `"the options of at"`.
 * @param given the caller's argument.
 * @param known the keys that the caller may use.
 * @returns `given`, by its own keys.
 * @throws RopeError `ROPE_INVALID_PARAMETERS` for a value that is no object, and for unknown keys: all of them at once,
 * each with the nearest known key.
 */
export function checkKeys<T>(what: string, given: T, known: readonly string[]): T {
  // A typed array has a key for each element.
  if (typeof given !== "object" || given === null || ArrayBuffer.isView(given)) {
    throw invalid(what, [issue("it", `an object with ${known.join(", ")}`, given)]);
  }
  // The usual case allocates nothing.
  for (const key in given) {
    if (!known.includes(key) && Object.hasOwn(given, key)) throw invalid(what, unknownKeys(given, known, ""));
  }
  return own(given);
}

/** One issue for each unknown key of `given`. */
export function unknownKeys(given: object, known: readonly string[], prefix: string): RopeIssue[] {
  const issues: RopeIssue[] = [];
  for (const key of Object.keys(given)) if (!known.includes(key)) issues.push(unknownKey(key, known, prefix, given));
  return issues;
}

/** Other engines' names of request fields (docs/vocabulary.md), for the hint beside an unknown key. */
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

function unknownKey(key: string, known: readonly string[], prefix: string, given: object): RopeIssue {
  const word = otherWords[plain(key)];
  const near = word !== undefined && known.includes(word) ? word : nearest(key, known);
  return {
    path: (prefix + key).slice(0, 100),
    expected: known.length === 0 ? "no parameters" : `one of ${known.join(", ")}`,
    received: `the unknown key ${show(key)} with ${show((given as Record<string, unknown>)[key])}`,
    remedy: near === undefined ? "Remove it." : `Did you mean ${JSON.stringify(near)}?`,
  };
}

const plain = (text: string): string =>
  text
    .slice(0, 64)
    .replace(/[_\-\s]/g, "")
    .toLowerCase();

/** The candidate nearest to `word`, if `word` is likely a misspelling of it. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(plain(word).length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(plain(word), plain(candidate));
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** The Levenshtein distance: the least number of inserted, deleted and replaced characters. */
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

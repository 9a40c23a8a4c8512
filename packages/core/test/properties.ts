/** Property tests that can be repeated: the seed stands in the test's name. ROPEWALK_SEED chooses another. */

import fc from "fast-check";
import { test } from "vitest";

const seed = Number(process.env["ROPEWALK_SEED"] ?? 20260704);

/** A test of a property for many random values. */
export function holds<T extends [unknown, ...unknown[]]>(
  name: string,
  arbitraries: { [K in keyof T]: fc.Arbitrary<T[K]> },
  law: (...values: T) => void,
  runs: number = 100,
): void {
  test(`${name} (ROPEWALK_SEED=${seed})`, () => {
    fc.assert(fc.property<T>(...arbitraries, law), { seed, numRuns: runs });
  });
}

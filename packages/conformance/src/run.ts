/** The suite without a test runner: results as data. */

import { partsOf } from "./assert.ts";
import type { LawGroup } from "./law.ts";
import { readOptions } from "./options.ts";
import type { ConformanceOptions } from "./options.ts";
import { lawRuns } from "./runs.ts";

/** Why a law failed. */
export interface LawFailure {
  /** The subject of the check that failed, with variant, case and seed. */
  readonly what: string;
  readonly expected: string;
  readonly received: string;
  /** What to change in the provider or the backend. */
  readonly remedy: string;
}

/** A law and the case that it is about to run on. */
export interface LawStart {
  readonly group: LawGroup;
  readonly law: string;
  /** The name of the case; `null` for a law about all cases together. */
  readonly case: string | null;
}

/** The result of one law for one case. */
export interface LawResult {
  readonly group: LawGroup;
  readonly law: string;
  /** The name of the case; `null` for a law about all cases together. */
  readonly case: string | null;
  readonly status: "passed" | "failed" | "not applicable";
  /** The seed of the test data. The same seed and cases repeat the result. */
  readonly seed: number;
  /** Why the law does not apply; `null` if it does. */
  readonly reason: string | null;
  /** `null` unless the law failed. */
  readonly failure: LawFailure | null;
}

/**
 * Runs the suite without a test runner, one law after the other.
 *
 * The laws are those of `conformance`, with the same options.
 *
 * @param onStart called before each law: a watcher then knows which one never ends.
 * @returns one result for each law and case, in the order of the suite.
 * @throws RopeError as `conformance`, before any law runs. A law that fails is a result and throws nothing.
 *
 * @example
 * import { casesFor, runConformance } from "@ropewalk/conformance";
 * import "rope-mine";
 *
 * const results = await runConformance({ ropeType: "mine", cases: casesFor({ ropeType: "mine" }) });
 * const failed = results.filter(({ status }) => status === "failed");
 */
export async function runConformance(
  options: ConformanceOptions,
  onStart?: (law: LawStart) => void,
): Promise<readonly LawResult[]> {
  const run = readOptions(options);
  const { seed } = run.target;
  const results: LawResult[] = [];
  for (const item of lawRuns(run)) {
    const { group, law, remedy } = item;
    const start: LawStart = { group, law, case: item.case };
    onStart?.(start);
    const named = { ...start, seed };
    try {
      const reason = item.notApplicable();
      if (reason === undefined) await item.run();
      const status = reason === undefined ? "passed" : "not applicable";
      results.push({ ...named, status, reason: reason ?? null, failure: null });
    } catch (error) {
      const what = "the law ended with an error that is not its own";
      const parts = partsOf(error) ?? { what, expected: "none", received: String(error) };
      results.push({ ...named, status: "failed", reason: null, failure: { ...parts, remedy } });
    }
  }
  return results;
}

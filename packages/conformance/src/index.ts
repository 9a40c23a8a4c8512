/**
 * The suite that a rope provider or a backend must pass: the laws of rotary position embedding, tested through the
 * public interface of `@ropewalk/core` with the runner of your choice. It depends on core only.
 */

import { partsOf } from "./assert.ts";
import { checkTest, readOptions } from "./options.ts";
import type { ConformanceOptions, TestFunction } from "./options.ts";
import { lawRuns } from "./runs.ts";

/**
 * Defines the tests that a provider or a backend must pass: one for each law and case.
 *
 * Each case is varied over pairings, rounding of the angle, place of the rotated elements in the head, element types,
 * batches, lengths and layouts. Test data comes from a seed, which every message has. The capabilities of the type
 * decide how a law applies: a declared feature must work, an undeclared one must throw. A test that fails throws an
 * Error.
 *
 * @param test the runner's function; called once for each test, while `conformance` runs.
 * @throws RopeError `ROPE_INVALID_PARAMETERS` when an argument is wrong, when the options have neither type nor
 * provider, no case, or two cases of one name; `ROPE_SPEC_VERSION` for a provider of another contract version. No test
 * is defined then.
 *
 * @example
 * import { conformance } from "@ropewalk/conformance";
 * import "rope-mine";
 * import { test } from "vitest";
 *
 * conformance(test, { ropeType: "mine", cases: [{ name: "factor 4", request: { headDim: 128, parameters: { factor: 4 }
 * } }] });
 */
export function conformance(test: TestFunction, options: ConformanceOptions): void {
  checkTest(test);
  for (const { title, group, remedy, notApplicable, run } of lawRuns(readOptions(options))) {
    // A case says by itself whether it expects numbers; of other laws only a rope can say whether they apply.
    if (group === "numbers" && notApplicable() !== undefined) continue;
    test(title, async () => {
      try {
        if (notApplicable() === undefined) await run();
      } catch (error) {
        throw withRemedy(error, remedy);
      }
    });
  }
}

/** The same error, so that its stack stays, with the remedy in its message. */
function withRemedy(error: unknown, remedy: string): unknown {
  if (partsOf(error) !== undefined) (error as Error).message += `.\n${remedy}`;
  return error;
}

export { casesFor } from "./cases.ts";
export { runConformance } from "./run.ts";
export type { CasesForOptions } from "./cases.ts";
export type { ExpectedNumbers } from "./expected.ts";
export type { LawFailure, LawResult, LawStart } from "./run.ts";
export type { ConformanceCase, ConformanceOptions, TestFunction } from "./options.ts";
export type { BackendUnderTest, RopeUnderTest, StepUnderTest } from "./kit.ts";
export type { LawGroup } from "./law.ts";

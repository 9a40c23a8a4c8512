/**
 * The suite that a rope provider or a backend must pass: the laws of rotary position embedding, tested through the
 * public interface of `@ropewalk/core` with the runner of your choice. It depends on core only.
 */

import { backendLaws } from "./backend-laws.ts";
import { Kit } from "./kit.ts";
import type { Law, ProviderLaw } from "./law.ts";
import { memoryLaws } from "./memory-laws.ts";
import { readArguments } from "./options.ts";
import type { ConformanceOptions, TestFunction } from "./options.ts";
import { providerLaws, requestLaws } from "./provider-laws.ts";
import { rotationLaws } from "./rotation-laws.ts";
import { tableLaws } from "./table-laws.ts";

const caseLaws: readonly Law[] = [...requestLaws, ...tableLaws, ...rotationLaws, ...memoryLaws];

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
  const { target, cases, only } = readArguments(test, options);
  const { ropeType, backend } = target;
  const kits = cases.map(
    ({ name, request }) => new Kit(target, name, { ...request, parameters: { ...request.parameters, ropeType } }),
  );
  const title = backend === undefined ? ropeType : `${ropeType} on ${backend.name}`;
  const isChosen = ({ group }: Law | ProviderLaw): boolean => only.includes(group);

  for (const law of providerLaws.filter(isChosen)) test(`${title} ${law.name}`, () => law.run(kits));
  const laws = backend === undefined ? caseLaws : [...caseLaws, ...backendLaws];
  for (const law of laws.filter(isChosen)) {
    for (const kit of kits) test(`${title} (${kit.name}) ${law.name}`, () => law.run(kit));
  }
}

export type { ConformanceCase, ConformanceOptions, TestFunction } from "./options.ts";
export type { BackendUnderTest, RopeUnderTest, StepUnderTest } from "./kit.ts";
export type { LawGroup } from "./law.ts";

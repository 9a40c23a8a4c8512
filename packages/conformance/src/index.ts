/**
 * The suite that a rope provider or a backend must pass: the laws of rotary position embedding, checked through the
 * public surface of `@ropewalk/core` with the runner of your choice. Depends on core only.
 */

import type { RopeProvider, RopeRegistry, RopeSpelling, UntypedRopeRequest } from "@ropewalk/core";
import { backendLaws } from "./backend-laws.ts";
import { Kit, sharedRegistry } from "./kit.ts";
import type { BackendUnderTest, Target } from "./kit.ts";
import type { Law, LawGroup, ProviderLaw } from "./law.ts";
import { memoryLaws } from "./memory-laws.ts";
import { providerLaws, requestLaws } from "./provider-laws.ts";
import { rotationLaws } from "./rotation-laws.ts";
import { tableLaws } from "./table-laws.ts";

/** `test` of vitest, `node:test`, Jest, or Mocha's `it`. */
export type TestFunction = (name: string, run: () => void | Promise<void>) => unknown;

/** One way to ask for a rope of the type; the suite varies pairing, precision and the rotated slice itself. */
export interface ConformanceCase {
  /** Part of the tests' names. */
  readonly name: string;
  /** A request; `parameters.ropeType` may be left out. */
  readonly request: Omit<UntypedRopeRequest, "parameters"> & {
    readonly parameters?: Readonly<Record<string, unknown>>;
  };
}

/** What to test. */
export interface ConformanceOptions {
  /** The type's name. Needed unless `provider` is given. */
  readonly ropeType?: string;
  /** Where the type and the backend are registered; default: the registry that packages register in when imported. */
  readonly registry?: RopeRegistry;
  /** The provider as a value, or its class, instead of through a registry. */
  readonly provider?: RopeProvider | RopeSpelling | (new () => RopeProvider | RopeSpelling);
  /** At least one; together they should use every parameter of the type. */
  readonly cases: readonly ConformanceCase[];
  /** Default `"js"`. Another backend runs the same laws, and is compared with JavaScript. */
  readonly backend?: "js" | BackendUnderTest;
  /** Groups of laws to run; default all that apply. */
  readonly only?: readonly LawGroup[];
  readonly skip?: readonly LawGroup[];
  /** Of the test data; it is in every message. Default 1. */
  readonly seed?: number;
}

const caseLaws: readonly Law[] = [...requestLaws, ...tableLaws, ...rotationLaws, ...memoryLaws];

/**
 * Defines the tests that a provider, or a backend, must pass: one for each law and case.
 *
 * Cases are varied over pairings, rounding of the angle, position of the rotated elements in the head, element types,
 * batches, lengths and layouts; data is drawn from a seed that stands in every message. What a type declares in its
 * capabilities decides how a law applies: declared features must work, undeclared ones must throw.
 *
 * @param test the runner's function; called at once for each test, while `conformance` runs.
 * @throws Error when the options name no provider or no case, or two cases alike.
 *
 * @example
 * import { conformance } from "@ropewalk/conformance";
 * import "rope-mine";
 * import { test } from "vitest";
 *
 * conformance(test, { ropeType: "mine", cases: [{ name: "factor 4", request: { headDim: 128, parameters: { factor: 4 } } }] });
 */
export function conformance(test: TestFunction, options: ConformanceOptions): void {
  const { registry = sharedRegistry, provider, backend = "js", only, skip = [], seed = 1 } = options;
  const ropeType = options.ropeType ?? (provider === undefined ? undefined : "provider-under-test");
  if (ropeType === undefined) throw new Error("conformance: expected ropeType or provider, got neither");
  if (options.cases.length === 0) throw new Error("conformance: expected at least one case, got none");
  const names = options.cases.map(({ name }) => name);
  if (new Set(names).size < names.length) {
    throw new Error(`conformance: expected cases of different names, got ${names.join(", ")}`);
  }

  const given = typeof provider === "function" ? new provider() : provider;
  const target: Target = { ropeType, registry, given, backend: backend === "js" ? undefined : backend, seed };
  const kits = options.cases.map(
    ({ name, request }) => new Kit(target, name, { ...request, parameters: { ...request.parameters, ropeType } }),
  );
  const title = target.backend === undefined ? ropeType : `${ropeType} on ${target.backend.name}`;
  const chosen = ({ group }: Law | ProviderLaw): boolean =>
    !skip.includes(group) && (only === undefined || only.includes(group));

  for (const law of providerLaws.filter(chosen)) test(`${title} ${law.name}`, () => law.run(kits));
  const laws = target.backend === undefined ? caseLaws : [...caseLaws, ...backendLaws];
  for (const law of laws.filter(chosen)) {
    for (const kit of kits) test(`${title} (${kit.name}) ${law.name}`, () => law.run(kit));
  }
}

export type { BackendUnderTest, RopeUnderTest } from "./kit.ts";
export type { LawGroup } from "./law.ts";

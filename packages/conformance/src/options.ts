/**
 * The arguments of `conformance`, and the check of them.
 */

import { createRegistry } from "@ropewalk/core";
import type { RopeIssue, RopeProvider, RopeRegistry, RopeSpelling, UntypedRopeRequest } from "@ropewalk/core";
import { checkKeys, invalid, show } from "@ropewalk/core/backend";
import { sharedRegistry } from "./kit.ts";
import type { BackendUnderTest, Target } from "./kit.ts";
import { expectedIssues } from "./expected.ts";
import type { ExpectedNumbers } from "./expected.ts";
import { lawGroups } from "./law.ts";
import type { LawGroup } from "./law.ts";

/** `test` of vitest, `node:test` or Jest, or Mocha's `it`. */
export type TestFunction = (name: string, run: () => void | Promise<void>) => unknown;

/** One request for a rope of the type. The suite varies pairing, precision and the rotated slice itself. */
export interface ConformanceCase {
  /** Part of the tests' names; different for each case. */
  readonly name: string;
  /** A request; `parameters.ropeType` may be left out. */
  readonly request: Omit<UntypedRopeRequest, "parameters"> & {
    readonly parameters?: Readonly<Record<string, unknown>>;
  };
  /** Numbers from outside that the rope of the request must have. */
  readonly expected?: ExpectedNumbers;
}

/** Options of {@link conformance}. */
export interface ConformanceOptions {
  /** The name of the type. Required unless `provider` is given. */
  readonly ropeType?: string;
  /** The registry of the type and of the backend. Default: the registry that packages register in when imported. */
  readonly registry?: RopeRegistry;
  /** The provider as a value, or its class, instead of a name in a registry. */
  readonly provider?: RopeProvider | RopeSpelling | (new () => RopeProvider | RopeSpelling);
  /** At least one case. Together the cases should use every parameter of the type. */
  readonly cases: readonly ConformanceCase[];
  /** The backend to test. Default `"js"`. Another backend runs the same laws, and is also compared with JavaScript. */
  readonly backend?: "js" | BackendUnderTest;
  /** The groups of laws to run. Default: all that apply. */
  readonly only?: readonly LawGroup[];
  /** The groups of laws to leave out. Default: none. */
  readonly skip?: readonly LawGroup[];
  /** The seed of the test data, an integer; every message has it. Default 1. */
  readonly seed?: number;
}

/** The options of one run, checked. */
export interface Run {
  readonly target: Target;
  readonly cases: readonly ConformanceCase[];
  readonly only: readonly LawGroup[];
}

const optionKeys = ["ropeType", "registry", "provider", "cases", "backend", "only", "skip", "seed"];
const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isName = (value: unknown): value is string => typeof value === "string" && value !== "";

/** Checks the runner's test function. @throws RopeError `ROPE_INVALID_PARAMETERS`. */
export function checkTest(test: TestFunction): void {
  if (typeof test === "function") return;
  const expected = "the runner's test function";
  throw invalid("the call of conformance", [{ path: "test", expected, received: show(test) }]);
}

/**
 * Checks the options of a run.
 *
 * @throws RopeError `ROPE_INVALID_PARAMETERS` with every issue; as `registry.register` for a value that is no provider.
 */
export function readOptions(options: ConformanceOptions): Run {
  checkKeys("the options of conformance", options, optionKeys);
  const { ropeType, registry = sharedRegistry, provider, cases, backend = "js", seed = 1 } = options;
  const { only = lawGroups, skip = [] } = options;
  const issues: RopeIssue[] = [];
  const expect = (path: string, holds: boolean, expected: string, value: unknown): void => {
    if (!holds) issues.push({ path, expected, received: show(value) });
  };

  expect("ropeType", ropeType === undefined || isName(ropeType), "the name of a rope type", ropeType);
  expect("ropeType", ropeType !== undefined || provider !== undefined, "a name, or a provider instead", ropeType);
  expect("registry", typeof registry?.require === "function", "a registry that createRegistry() made", registry);
  const isProvider = provider === undefined || isObject(provider) || isClass(provider);
  expect("provider", isProvider, "a provider or its class", provider);
  expect("seed", Number.isSafeInteger(seed), "an integer", seed);
  for (const [path, groups] of Object.entries({ only, skip })) {
    const areGroups = Array.isArray(groups) && groups.every((group) => lawGroups.includes(group));
    expect(path, areGroups, `a list of ${lawGroups.join(", ")}`, groups);
  }
  if (backend !== "js") {
    const { name, bitExact, adapt } = (backend ?? {}) as Partial<BackendUnderTest>;
    if (isObject(backend)) checkKeys("the backend", backend, ["name", "options", "bitExact", "adapt"]);
    expect("backend", isName(name), '"js" or { name, options?, bitExact?, adapt? }', backend);
    expect("backend.bitExact", bitExact === undefined || typeof bitExact === "boolean", "true or false", bitExact);
    expect("backend.adapt", adapt === undefined || typeof adapt === "function", "a function", adapt);
  }
  if (!Array.isArray(cases) || cases.length === 0) {
    expect("cases", false, "a list of at least one { name, request }", cases);
  } else {
    (cases as readonly ConformanceCase[]).forEach((item, i) => issues.push(...caseIssues(item, `cases[${i}]`)));
    const names = cases.map((item: ConformanceCase | null | undefined) => item?.name);
    expect("cases", new Set(names).size === names.length, "cases of different names", names);
  }
  if (issues.length > 0) throw invalid("the options of conformance", issues);

  const given = typeof provider === "function" ? new provider() : provider;
  const type = ropeType ?? "provider-under-test";
  // An empty registry has the checks of a provider.
  if (given !== undefined) createRegistry().register(type, given);
  return {
    target: { ropeType: type, registry, given, backend: backend === "js" ? undefined : backend, seed },
    cases,
    only: only.filter((group) => !skip.includes(group)),
  };
}

/** Whether a function may be called with `new`: an arrow function may not. */
const isClass = (value: unknown): boolean =>
  typeof value === "function" && (value as { prototype?: unknown }).prototype !== undefined;

function caseIssues(item: ConformanceCase, path: string): RopeIssue[] {
  if (!isObject(item)) return [{ path, expected: "{ name, request }", received: show(item) }];
  checkKeys(path, item, ["name", "request", "expected"]);
  const { name, request, expected } = item;
  const issues: RopeIssue[] = expectedIssues(expected, `${path}.expected`);
  if (!isName(name)) issues.push({ path: `${path}.name`, expected: "a name", received: show(name) });
  if (!isObject(request)) {
    issues.push({ path: `${path}.request`, expected: "a request for a rope", received: show(request) });
  } else if (request.parameters !== undefined && !isObject(request.parameters)) {
    const received = show(request.parameters);
    issues.push({ path: `${path}.request.parameters`, expected: "an object, or nothing", received });
  }
  return issues;
}

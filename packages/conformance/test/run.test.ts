/** Results as data, cases from a schema, and the numbers that a case expects. */

import { casesFor, runConformance } from "@ropewalk/conformance";
import type { ConformanceOptions, ExpectedNumbers, LawResult } from "@ropewalk/conformance";
import type { RopeProvider } from "@ropewalk/core";
import { inverseFrequencies } from "@ropewalk/core/math";
import { expect, test } from "vitest";
import { ExampleProvider, cases, changed, expectingCases, outcomes } from "./fixture.ts";

const failed = (results: readonly LawResult[]): LawResult[] => results.filter(({ status }) => status === "failed");

test("results are those of the tests that a runner gets, and say which seed and case they are of", async () => {
  const options: ConformanceOptions = { provider: ExampleProvider, cases: expectingCases, skip: ["memory"], seed: 5 };
  const started: string[] = [];
  const results = await runConformance(options, ({ law }) => started.push(law));
  expect(results.map(({ law }) => law)).toEqual(started);
  expect(results.map(({ law }) => law)).toEqual((await outcomes(options)).map(({ law }) => law));
  expect(failed(results)).toEqual([]);
  expect(new Set(results.map(({ seed }) => seed))).toEqual(new Set([5]));
  expect(results[0]).toMatchObject({
    group: "registration",
    case: null,
    status: "passed",
    reason: null,
    failure: null,
  });
  expect(results.at(-1)).toMatchObject({ group: "rotation", case: "gain" });
});

test("a failure has its parts and a remedy; an error of the formula is a failure too", async () => {
  const source = await runConformance({ provider: changed({ source: "rope-example" }), cases, only: ["registration"] });
  expect(failed(source)).toEqual([
    {
      group: "registration",
      law: "names its package and version, and a contract that core knows",
      case: null,
      seed: 1,
      status: "failed",
      reason: null,
      failure: {
        what: "source",
        expected: '"package@1.2.3"',
        received: "rope-example",
        remedy: expect.stringContaining('"name@version"'),
      },
    },
  ]);
  const broken = changed({
    frequencies: () => {
      throw new TypeError("broken");
    },
  });
  const results = await runConformance({ provider: broken, cases, only: ["tables"] });
  expect(results.length).toBeGreaterThan(5);
  const received = expect.stringContaining('got "broken"') as string;
  for (const { failure } of results) expect(failure).toMatchObject({ received });
});

test("laws that say nothing about a case are not applicable, with the reason", async () => {
  const results = await runConformance({
    provider: changed({ capabilities: { isRotation: false } }),
    cases,
    only: ["numbers", "rotation"],
  });
  expect(failed(results)).toEqual([]);
  const reasons = new Set(results.flatMap(({ reason, status }) => (status === "not applicable" ? [reason] : [])));
  expect(reasons).toEqual(new Set(["the case expects no numbers", "the type declares isRotation: false"]));
});

test("wrong options are refused before a law runs", async () => {
  for (const options of [
    undefined,
    null,
    {},
    { provider: ExampleProvider },
    { provider: ExampleProvider, cases: [] },
  ]) {
    await expect(runConformance(options as never)).rejects.toMatchObject({ code: "ROPE_INVALID_PARAMETERS" });
  }
});

test.each<[string, object, string]>([
  ["no source", { invFreq: [1] }, "source"],
  ["nothing beside the source", { source: "by hand" }, "source"],
  ["a word as a number", { source: "by hand", attentionFactor: "1" }, "attentionFactor"],
  ["NaN", { source: "by hand", invFreq: [Number.NaN] }, "invFreq"],
  ["a hole", { source: "by hand", invFreq: Array.from({ length: 2 }) }, "invFreq"],
  ["half a digit", { source: "by hand", invFreq: [1], digits: 2.5 }, "digits"],
  ["rows without positions", { source: "by hand", cos: [[1]] }, "cos"],
  ["too few rows", { source: "by hand", positions: [0, 1], sin: [[1]] }, "sin"],
  ["a negative length", { source: "by hand", invFreq: [1], length: -1 }, "length"],
])("expected numbers with %s are refused", async (_name, expected, key) => {
  const item = { ...cases[0]!, expected: expected as ExpectedNumbers };
  await expect(runConformance({ provider: ExampleProvider, cases: [item] })).rejects.toMatchObject({
    code: "ROPE_INVALID_PARAMETERS",
    issues: expect.arrayContaining([expect.objectContaining({ path: `cases[0].expected.${key}` })]),
  });
});

test("an unknown key of expected numbers is refused, with the nearest one", async () => {
  const expected = { source: "by hand", invFrec: [1] } as unknown as ExpectedNumbers;
  const run = runConformance({ provider: ExampleProvider, cases: [{ ...cases[0]!, expected }] });
  await expect(run).rejects.toThrow(/invFrec.*invFreq/s);
});

const provider = (members: Partial<RopeProvider<any>>): RopeProvider => changed(members);

test("cases from a schema set what is required, and what has no value by default", () => {
  expect(casesFor({ provider: new ExampleProvider() }).map(({ name, request }) => [name, request.parameters])).toEqual([
    ["required parameters", { factor: 4 }],
    ["a part of the head", { factor: 4 }],
  ]);
  const two = provider({
    parameters: {
      ...new ExampleProvider().parameters,
      first: { type: "integer", min: 1, default: null, description: "one of two; absent: none" },
      second: { type: "string", oneOf: ["a", "b"], default: null, description: "the other; absent: none" },
    },
    check: ({ first, second }) =>
      (first === null) === (second === null)
        ? []
        : [{ path: "parameters.first", expected: "both or neither", received: "one" }],
  });
  expect(casesFor({ provider: two }).at(-1)).toMatchObject({
    name: "with first and second",
    request: { parameters: { first: 8192, second: "a" } },
  });
});

test("cases from a schema set an option beside which another parameter has an effect", async () => {
  const shaped = provider({
    parameters: {
      ...new ExampleProvider().parameters,
      mode: { type: "string", oneOf: ["plain", "bent"], default: "plain", description: "form; plain: the paper" },
      bend: { type: "number", min: 1, default: 2, description: "divides frequencies where mode is bent; the paper" },
    },
    frequencies: ({ base, rotaryDim, array }, { factor, gain, mode, bend }) => ({
      invFreq: inverseFrequencies(base, rotaryDim, array).map((value) =>
        array.divide(mode === "bent" ? array.divide(value, bend) : value, factor),
      ),
      attentionFactor: gain,
      rules: [{ name: "attentionFactor", value: gain, rule: "given" }],
    }),
  });
  const made = casesFor({ provider: shaped });
  expect(made.map(({ name }) => name)).toEqual(["required parameters", "a part of the head", 'with mode "bent"']);
  expect(failed(await runConformance({ provider: shaped, cases: made, only: ["parameters"] }))).toEqual([]);
});

test("a schema that gives no valid request, and options without a type, are refused", () => {
  const never = provider({ check: () => [{ path: "parameters.factor", expected: "a miracle", received: "none" }] });
  expect(() => casesFor({ provider: never })).toThrow(/a miracle.*Write cases/s);
  expect(() => casesFor({})).toThrow(expect.objectContaining({ code: "ROPE_INVALID_PARAMETERS" }));
  expect(() => casesFor({ ropeType: "nobody" })).toThrow(expect.objectContaining({ code: "ROPE_UNKNOWN_TYPE" }));
});

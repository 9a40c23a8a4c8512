/** The values that a provider's schema accepts, rule by rule. */

import { describe, expect, test } from "vitest";
import { getRopeUntyped } from "@ropewalk/core";
import type { ParameterRule, RopeProvider } from "@ropewalk/core";
import { caught } from "./failures.ts";
import { plain } from "./providers.ts";

const withRule = (rule: Omit<ParameterRule, "description">): RopeProvider => ({
  ...plain,
  parameters: { value: { ...rule, description: "what it is" } },
});
const parse = (provider: RopeProvider, parameters: object) =>
  getRopeUntyped({ headDim: 4, parameters: { ropeType: "any", ...parameters } }, { provider }).spec.parameters["value"];

const numbers = (...values: number[]) => values as unknown[];
describe.each<[string, Omit<ParameterRule, "description">, unknown[], unknown[]]>([
  ["number", { type: "number" }, numbers(0, -1.5, 1e300, 5e-324), [NaN, Infinity, "1", 1n, true, [1], {}, null]],
  ["number, min and max inclusive", { type: "number", min: 0, max: 1 }, numbers(0, 0.5, 1), numbers(-1e-9, 1.0000001)],
  ["number, above and below exclusive", { type: "number", above: 0, below: 1 }, numbers(1e-9, 0.999), numbers(0, 1)],
  ["integer", { type: "integer" }, numbers(0, -3, 2 ** 53 - 1), [0.5, 2 ** 53, NaN, "3", 3n]],
  ["integer in a range", { type: "integer", min: 1, max: 3 }, numbers(1, 2, 3), numbers(0, 4)],
  ["boolean", { type: "boolean" }, [true, false], [0, 1, "true", null, {}]],
  ["string", { type: "string" }, ["", "anything"], [0, true, null, ["a"], Object("boxed")]],
  ["string of a list", { type: "string", oneOf: ["slow", "fast"] }, ["slow", "fast"], ["Slow", "", "slow "]],
  ["numbers", { type: "numbers" }, [[], [1, 2]], [[1, NaN], ["1"], [null], [[1]], "1,2", { 0: 1, length: 1 }, 3]],
  ["numbers in a range", { type: "numbers", above: 0, max: 2 }, [[1, 2]], [[1, 0], [3]]],
])("%s", (_, rule, accepted, refused) => {
  const provider = withRule(rule);
  test.each(accepted.map((value) => [value]))("accepts %j", (value) => {
    expect(parse(provider, { value })).toEqual(value);
  });

  test.each(refused.map((value) => [String(typeof value === "object" ? JSON.stringify(value) : value), value]))(
    "refuses %s",
    (_text, value) => {
      const error = caught(() => parse(provider, { value }), "ROPE_INVALID_PARAMETERS");
      expect(error.issues).toHaveLength(1);
      expect(error.issues[0]).toMatchObject({ path: "parameters.value" });
    },
  );

  test("without a default must be given", () => {
    for (const parameters of [{}, { value: undefined }]) {
      expect(caught(() => parse(provider, parameters), "ROPE_INVALID_PARAMETERS").issues).toEqual([
        expect.objectContaining({ path: "parameters.value", received: "nothing", remedy: "what it is" }),
      ]);
    }
  });
});

test("typed arrays become lists of the numbers they hold", () => {
  const provider = withRule({ type: "numbers" });
  for (const value of [Float32Array.of(0.1), Float64Array.of(0.1), Int8Array.of(3), Uint32Array.of(3)]) {
    expect(parse(provider, { value })).toEqual([value[0]]);
  }
});

test("a default is used as it is, and null means not set only where the default says so", () => {
  expect(parse(withRule({ type: "number", default: 3 }), {})).toBe(3);
  expect(parse(withRule({ type: "number", default: null }), {})).toBeNull();
  expect(parse(withRule({ type: "number", default: null }), { value: null })).toBeNull();
  caught(() => parse(withRule({ type: "number", default: 3 }), { value: null }), "ROPE_INVALID_PARAMETERS");
});

describe("an unknown key", () => {
  const provider: RopeProvider = {
    ...plain,
    parameters: Object.fromEntries(
      ["betaFast", "betaSlow", "attentionFactor"].map((name) => [
        name,
        { type: "number", default: 1, description: "" },
      ]),
    ),
  };
  test.each([
    ["beta_fast", "betaFast"],
    ["BETASLOW", "betaSlow"],
    ["betaFats", "betaFast"],
    ["attention-factor", "attentionFactor"],
    ["atentionFactor", "attentionFactor"],
    ["mscale", undefined],
    ["x".repeat(400), undefined],
  ])("%s: the nearest is %s", (key, nearest) => {
    const [issue] = caught(() => parse(provider, { [key]: 2 }), "ROPE_INVALID_PARAMETERS").issues;
    expect(issue!.remedy).toBe(nearest === undefined ? "Remove it." : `Did you mean "${nearest}"?`);
    expect(issue!.expected).toBe("one of betaFast, betaSlow, attentionFactor");
  });

  test("of a type without parameters", () => {
    expect(caught(() => parse(plain, { factor: 2 }), "ROPE_INVALID_PARAMETERS").issues[0]!.expected).toBe(
      "no parameters",
    );
  });
});

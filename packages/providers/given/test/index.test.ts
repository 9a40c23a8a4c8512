import { conformance } from "@ropewalk/conformance";
import { getRope, getRopeUntyped, RopeError } from "@ropewalk/core";
import { float32, inverseFrequencies } from "@ropewalk/core/math";
import { fixtures } from "@ropewalk/goldens";
import { compareFrequencies, compareRotations, compareTables } from "@ropewalk/conformance/golden";
import { expect, test } from "vitest";
import "../src/index.ts";

const learned = [1.25, 0.5, -0.125, 0, 0.03, 0.003, 0.0003, 0.00003];
conformance(test, {
  ropeType: "given",
  cases: [
    { name: "as a checkpoint has them", request: { headDim: 16, parameters: { invFreq: learned } } },
    {
      name: "half of the head, with an amplitude",
      request: { headDim: 32, rotaryDim: 16, parameters: { invFreq: learned, attentionFactor: 1.5 } },
    },
  ],
});

// The rope of the list that transformers computed for Llama 3.1 is transformers' rope.
test("the frequencies of an engine give the engine's rope", () => {
  const { ropes } = fixtures("hf").find(({ ropes: [rope] }) => rope!.ropeType === "llama3")!;
  const record = ropes[0]!;
  const rope = getRope({
    headDim: record.headDim,
    rotaryDim: record.rotaryDim,
    parameters: { ropeType: "given", invFreq: record.invFreq },
  });
  compareFrequencies(rope, record);
  compareTables(rope, record);
  compareRotations(rope, record);
});

test("the plain frequencies give the plain rope, for any base", () => {
  const invFreq = inverseFrequencies(500_000, 64, float32) as number[];
  const request = { headDim: 64, parameters: { ropeType: "given", invFreq } } as const;
  for (const base of [2, 10_000, 1e6]) {
    expect([...getRope({ ...request, base }).frequencies().invFreq]).toEqual(invFreq);
  }
});

test("by hand: a still pair keeps its elements, a negative frequency turns backwards", () => {
  const half = Math.PI / 2;
  const invFreq = [half, -half, 0];
  const rope = getRope({
    headDim: 6,
    pairing: "adjacent",
    precision: "float64",
    parameters: { ropeType: "given", invFreq },
  });
  const query = Float64Array.of(1, 2, 1, 2, 1, 2);
  rope.apply({ positions: [1], query });
  // A quarter turn takes (1, 2) to (−2, 1), and backwards to (2, −1); 2^-51 is a last place of 2.
  [-2, 1, 2, -1, 1, 2].forEach((x, i) => expect(Math.abs(query[i]! - x)).toBeLessThan(2 ** -51));
});

test("explain() says that the base has no effect", () => {
  const { pairs, rules } = getRope({ headDim: 4, parameters: { ropeType: "given", invFreq: [1, 0] } }).explain();
  expect(pairs.map(({ regime }) => regime)).toEqual(["given", "still"]);
  expect(rules).toContainEqual({ name: "invFreq", value: "2 values", rule: "given, so that base 10000 has no effect" });
  expect(rules).toContainEqual(expect.objectContaining({ name: "attentionFactor", value: 1 }));
});

test.each([
  ["too few values", { invFreq: [1, 2, 3] }, /expected 4 values, one for each pair of rotaryDim 8, got 3 values/],
  ["a value for each element", { invFreq: [1, 2, 3, 4, 1, 2, 3, 4] }, /got 8 values.*give one half/],
  ["no list", {}, /parameters\.invFreq/],
  ["NaN", { invFreq: [1, 2, 3, Number.NaN] }, /finite/],
  ["infinity", { invFreq: [1, 2, 3, Number.NEGATIVE_INFINITY] }, /finite/],
  ["an amplitude of 0", { invFreq: [1, 2, 3, 4], attentionFactor: 0 }, /parameters\.attentionFactor/],
  ["a misspelt key", { inv_freq: [1, 2, 3, 4] }, /Did you mean "invFreq"/],
])("refuses %s", (_, parameters, text) => {
  const rope = (): unknown => getRopeUntyped({ headDim: 8, parameters: { ropeType: "given", ...parameters } });
  expect(rope).toThrow(RopeError);
  expect(rope).toThrow(text);
});

test("parameters are checked by the compiler", () => {
  // @ts-expect-error -- invFreq must be given
  expect(() => getRope({ headDim: 8, parameters: { ropeType: "given" } })).toThrow(/parameters\.invFreq/);
});

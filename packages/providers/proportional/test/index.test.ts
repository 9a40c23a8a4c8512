import { conformance } from "@ropewalk/conformance";
import { compareFrequencies, compareRotations, compareTables, compareTruth } from "@ropewalk/conformance/golden";
import { getRope, getRopeUntyped } from "@ropewalk/core";
import type { RopeRequest } from "@ropewalk/core";
import { float32, inverseFrequencies } from "@ropewalk/core/math";
import { fixtures } from "@ropewalk/goldens";
import { expect, test } from "vitest";
import type { ProportionalParameters } from "../src/index.ts";
import "../src/index.ts";

conformance(test, {
  ropeType: "proportional",
  cases: [
    { name: "as Gemma 4", request: { headDim: 32, base: 1_000_000, parameters: { partialRotaryFactor: 0.25 } } },
    {
      name: "half of the pairs, factor 8",
      request: { headDim: 16, maxPosition: 4096, parameters: { partialRotaryFactor: 0.5, factor: 8 } },
    },
    {
      name: "as K2-Horizon",
      request: { headDim: 16, parameters: { partialRotaryFactor: 0.5, denominator: "rotated" } },
    },
  ],
});

const proportional = (parameters: ProportionalParameters, request: Partial<RopeRequest> = {}): RopeRequest => ({
  headDim: 512,
  base: 1_000_000,
  ...request,
  parameters: { ropeType: "proportional", ...parameters },
});
const gemma4 = proportional({ partialRotaryFactor: 0.25 });

const engineRopes = fixtures("hf").flatMap(({ model, ropes }) =>
  ropes.filter(({ ropeType }) => ropeType === "proportional").map((record) => ({ model, record })),
);

test("every rope of type proportional in transformers' fixtures is compared", () => {
  expect(engineRopes.map(({ model }) => model).toSorted()).toEqual(["google/gemma-4-31B", "google/gemma-4-E2B"]);
});

test.each(engineRopes)("transformers: $model", ({ record }) => {
  const rope = getRope(gemma4);
  compareFrequencies(rope, record);
  compareTables(rope, record);
  compareRotations(rope, record);
});

test.each(fixtures("truth").filter(({ request }) => request.parameters.ropeType === "proportional"))(
  "exact arithmetic: $name",
  (truth) => {
    compareTruth(getRopeUntyped({ ...truth.request, precision: "float64" }), truth);
  },
);

test("a share of 1 and a factor of 1, the defaults, are the plain frequencies, bit for bit", () => {
  expect([...getRope(proportional({})).frequencies().invFreq]).toEqual(inverseFrequencies(1_000_000, 512, float32));
});

test("the factor divides, the share only cuts", () => {
  const plain = inverseFrequencies(1_000_000, 512, float32) as number[];
  const { invFreq } = getRope(proportional({ partialRotaryFactor: 0.25, factor: 8 })).frequencies();
  expect([...invFreq]).toEqual(plain.map((f, i) => (i < 64 ? f / 8 : 0)));
});

test("the denominator rotated: the frequencies of a head of the rotated elements, in pairs of the whole head", () => {
  const request = { headDim: 128, base: 1_000_000 };
  const rotated = { partialRotaryFactor: 0.25, denominator: "rotated", factor: 2 } as const;
  const rope = getRope({ ...proportional(rotated, request), precision: "float64" });
  // R = 32, D = 128: 16 pairs turn by 1e6^(−2i/32) / 2; pair i is elements i and i + 64.
  const { invFreq } = rope.frequencies();
  for (let i = 0; i < 64; i++) expect(invFreq[i]).toBeCloseTo(i < 16 ? 1e6 ** (-i / 16) / 2 : 0, 14);
  expect(rope.explain().pairs[15]!.elements).toEqual([15, 79]);
  expect(rope.explain().rules).toContainEqual(expect.objectContaining({ name: "denominator", value: 32 }));
  const none = proportional({ partialRotaryFactor: 0, denominator: "rotated" }, request);
  expect([...getRope(none).frequencies().invFreq]).toEqual(new Array<number>(64).fill(0));
});

test("elements of pairs beyond the share pass bit for bit at every position", () => {
  const query = Float32Array.from({ length: 512 }, (_, i) => Math.sin(i + 1));
  const before = query.slice();
  getRope(gemma4).apply({ positions: [131_071], query });
  const moved = [...query.keys()].filter((i) => query[i] !== before[i]);
  // Pairs 0 to 63: elements i and i + 256.
  expect(moved).toEqual([...Array.from({ length: 64 }, (_, i) => i), ...Array.from({ length: 64 }, (_, i) => 256 + i)]);
});

test("a share that is not a whole number of pairs is rounded down", () => {
  // 10 · 0.33 / 2 = 1.65
  const turned = (partialRotaryFactor: number): number =>
    getRope(proportional({ partialRotaryFactor }, { headDim: 10 }))
      .frequencies()
      .invFreq.filter((f) => f !== 0).length;
  expect([0, 0.19, 0.2, 0.33, 0.4, 0.99, 1].map(turned)).toEqual([0, 0, 1, 1, 2, 4, 5]);
});

test("explain() says which pairs are still", () => {
  const { pairs, rules } = getRope(gemma4).explain();
  expect(rules).toContainEqual(expect.objectContaining({ name: "turnedPairs", value: 64 }));
  expect(pairs[63]).toMatchObject({ regime: "kept", elements: [63, 319] });
  expect(pairs[64]).toMatchObject({ regime: "still", invFreq: 0, wavelength: Number.POSITIVE_INFINITY });
});

test.each([
  ["a rotary dimension below the head's", proportional({}, { rotaryDim: 128 }), "rotaryDim"],
  ["the share in the request", proportional({}, { partialRotaryFactor: 0.25 }), "rotaryDim"],
  ["a share above 1", proportional({ partialRotaryFactor: 1.5 }), "parameters.partialRotaryFactor"],
  ["another denominator", proportional({ denominator: "pairs" as "head" }), "parameters.denominator"],
  ["a factor of 0", proportional({ factor: 0 }), "parameters.factor"],
])("refuses %s", (_, bad, path) => {
  expect(() => getRope(bad)).toThrow(
    expect.objectContaining({ code: "ROPE_INVALID_PARAMETERS", issues: [expect.objectContaining({ path })] }),
  );
});

test("parameters are checked by the compiler", () => {
  // @ts-expect-error -- a number
  expect(() => getRope({ headDim: 8, parameters: { ropeType: "proportional", factor: "8" } })).toThrow(
    /parameters\.factor/,
  );
  // @ts-expect-error -- no such parameter
  expect(() => getRope({ headDim: 8, parameters: { ropeType: "proportional", rotaryFactor: 0.5 } })).toThrow(
    /partialRotaryFactor/,
  );
});

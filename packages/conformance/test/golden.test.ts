import {
  compareFrequencies,
  compareRotations,
  compareTables,
  compareTruth,
  float32Ulp,
} from "@ropewalk/conformance/golden";
import type { EngineRecord, TruthRecord } from "@ropewalk/conformance/golden";
import { getRopeUntyped } from "@ropewalk/core";
import type { RotaryEmbedding, UntypedRopeRequest } from "@ropewalk/core";
import { fixtures } from "@ropewalk/goldens";
import { describe, expect, test } from "vitest";
import { ExampleProvider } from "./fixture.ts";

// With factor 1 and gain 1 the example is the original rope.
const rope = (request: Omit<UntypedRopeRequest, "parameters">, gain = 1): RotaryEmbedding =>
  getRopeUntyped(
    { ...request, parameters: { ropeType: "example", factor: 1, gain } as { ropeType: string } },
    { provider: example },
  );
const example = new ExampleProvider();

const engine: EngineRecord = fixtures("hf").find(({ model }) => model === "mistralai/Mistral-7B-v0.3")!.ropes[0]!;
const mistral = { headDim: 128, base: 1_000_000 };
const truth: TruthRecord = fixtures("truth").find(({ name }) => name === "default-128-1000000")!;

const all = (compared: RotaryEmbedding, record: EngineRecord): void => {
  compareFrequencies(compared, record);
  compareTables(compared, record);
  compareRotations(compared, record);
};

/** `record` with one number of a table replaced. */
function edited<T extends number | string>(
  table: readonly (readonly T[])[],
  row: number,
  column: number,
  change: (value: T) => T,
): T[][] {
  return table.map((values, i) => values.map((value, j) => (i === row && j === column ? change(value) : value)));
}

test("an engine's record and the truth agree with the rope that they describe", () => {
  all(rope(mistral), engine);
  compareTruth(rope({ ...mistral, precision: "float64" }), truth);
});

test("pairings of blocks are compared by their number, not as objects", () => {
  const blocks = rope({ ...mistral, pairing: { blocks: 2 } });
  compareFrequencies(blocks, { ...engine, pairing: { blocks: 2 } });
  expect(() => compareFrequencies(blocks, { ...engine, pairing: { blocks: 4 } })).toThrow(/^pairing: expected/);
});

describe("a record that differs is noticed", () => {
  const row = engine.positions.indexOf(131071);
  const third = {
    ...engine,
    invFreq: engine.invFreq.map((value, i) => (i === 3 ? value + 3 * float32Ulp(value) : value)),
  };
  test.each<[string, RotaryEmbedding, EngineRecord, RegExp]>([
    ["a frequency by 3 ulp", rope(mistral), third, /^invFreq of pair 3: expected .* ± 2 ulp/],
    ["the base by a thousandth", rope({ ...mistral, base: 1_001_000 }), engine, /^invFreq of pair/],
    ["the attention factor", rope(mistral, 1 + 2 ** -48), engine, /^attentionFactor: expected 1, got/],
    ["the pairing", rope({ ...mistral, pairing: "adjacent" }), engine, /^pairing: expected "half", got "adjacent"/],
    ["the rounding of angles", rope({ ...mistral, precision: "float64" }), engine, /^precision of the rope/],
    [
      "a cosine by 4 ulp",
      rope(mistral),
      { ...engine, cos: edited(engine.cos, row, 2, (value) => value + 4 * float32Ulp(value)) },
      /^cos of pair \d+ at position 131071: expected the engine's/,
    ],
    [
      "the sign of a sine",
      rope(mistral),
      { ...engine, sin: edited(engine.sin, row, 2, (value) => -value) },
      /^sin of pair \d+ at position 131071/,
    ],
    [
      "where the pairs are put",
      rope(mistral),
      { ...engine, rotated: engine.rotated!.map((part) => ({ ...part, outputPairing: "adjacent" as const })) },
      /^element [01] of pair 0 of float32 query at position/,
    ],
    [
      "the key's elements",
      rope(mistral),
      {
        ...engine,
        rotated: engine.rotated!.map((part) => ({ ...part, key: { ...part.key, output: part.key.input } })),
      },
      /^element [01] of pair 0 of float32 key at position/,
    ],
    [
      "an element that is not rotated",
      rope({ headDim: 128, rotaryDim: 64, base: 1_000_000 }),
      { ...engine, rotaryDim: 64 },
      /^number of frequencies/,
    ],
  ])("%s", (_name, compared, record, message) => {
    expect(() => all(compared, record)).toThrow(message);
  });

  test("bfloat16 that was rotated by a neighbouring position", () => {
    const part = engine.rotated!.find(({ dtype }) => dtype === "bfloat16")!;
    expect(() =>
      compareRotations(rope(mistral), {
        ...engine,
        rotated: [{ ...part, positions: part.positions.map((p) => p + 1) }],
      }),
    ).toThrow(/bfloat16 query at position/);
  });

  test.each<[string, RotaryEmbedding, TruthRecord, RegExp]>([
    [
      "a frequency in the fifteenth digit",
      rope({ ...mistral, precision: "float64" }),
      { ...truth, invFreqHigh: truth.invFreqHigh.map((value, i) => (i === 5 ? value * (1 + 1e-15) : value)) },
      /^invFreq of pair 5/,
    ],
    ["float32 angles", rope(mistral), truth, /^precision/],
    [
      "a cosine by 2 ulp",
      rope({ ...mistral, precision: "float64" }),
      { ...truth, cos: edited(truth.cos, 4, 1, (value) => String(Number(value) * (1 + 2 ** -22))) },
      /^cos of pair/,
    ],
    [
      "a sine near zero",
      rope({ ...mistral, precision: "float64" }),
      {
        ...truth,
        nearZero: truth.nearZero.map((value) => ({ ...value, sin: String(Number(value.sin) * (1 + 2 ** -22)) })),
      },
      /^sin of pair/,
    ],
    [
      "no position that the rope admits",
      rope({ ...mistral, precision: "float64", maxPosition: 1 }),
      { ...truth, positions: truth.positions.slice(1), cos: truth.cos.slice(1), sin: truth.sin.slice(1) },
      /^positions of the truth/,
    ],
  ])("%s", (_name, compared, record, message) => {
    expect(() => compareTruth(compared, record)).toThrow(message);
  });
});

test("the distance to the next float32", () => {
  // From the format: 24 significant bits, the smallest number 2^-149.
  expect([1, -1.5, 2, 0, 2 ** -140, 3e-5].map(float32Ulp)).toEqual([
    2 ** -23,
    2 ** -23,
    2 ** -22,
    2 ** -149,
    2 ** -149,
    2 ** -39,
  ]);
});

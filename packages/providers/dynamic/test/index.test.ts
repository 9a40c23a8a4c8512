import { conformance } from "@ropewalk/conformance";
import {
  compareFrequencies,
  compareRotations,
  compareTables,
  compareTruth,
  float32Ulp,
} from "@ropewalk/conformance/golden";
import { getRope, getRopeUntyped } from "@ropewalk/core";
import type { Positions, RopeRequest, RotaryEmbedding } from "@ropewalk/core";
import { float32, inverseFrequencies } from "@ropewalk/core/math";
import { fixtures } from "@ropewalk/goldens";
import { describe, expect, test } from "vitest";
import type { DynamicParameters } from "../src/index.ts";
import "../src/index.ts";

conformance(test, {
  ropeType: "dynamic",
  cases: [
    { name: "as InternLM2", request: { headDim: 16, base: 1_000_000, maxPosition: 32_768, parameters: { factor: 2 } } },
    {
      name: "short context, by length",
      request: { headDim: 16, maxPosition: 64, parameters: { factor: 2.5, maxTrainedPosition: 48 } },
    },
    {
      name: "short context, by capacity",
      request: {
        headDim: 16,
        maxPosition: 64,
        parameters: { factor: 2.5, maxTrainedPosition: 48, selection: "by-capacity", capacity: 160 },
      },
    },
    {
      name: "by doublings",
      request: { headDim: 16, maxPosition: 64, parameters: { factor: 2, lengthStep: "doubling" } },
    },
  ],
});

const dynamic = (parameters: Partial<DynamicParameters> = {}, request: Partial<RopeRequest> = {}): RopeRequest => ({
  headDim: 128,
  base: 1_000_000,
  maxPosition: 32_768,
  ...request,
  parameters: { ropeType: "dynamic", factor: 2, ...parameters },
});
const plain = (base: number): number[] => inverseFrequencies(base, 128, float32) as number[];

const engineRopes = fixtures("hf").flatMap(({ model, ropes }) =>
  // With an alpha it is the type dynamic_alpha; its package compares it.
  ropes
    .filter(({ engineRopeType, ropeType }) => ropeType === "dynamic" && engineRopeType === undefined)
    .map((record) => ({ model, length: record.length, record })),
);

test("every rope of type dynamic in transformers' fixtures is compared", () => {
  expect(engineRopes.map(({ length, model }) => `${model} at ${length}`)).toEqual(
    [32_768, 65_536, 131_072].map((length) => `internlm/internlm2-chat-7b at ${length}`),
  );
});

test.each(engineRopes)("transformers: $model at length $length", ({ record }) => {
  const rope = getRope(dynamic());
  compareFrequencies(rope, record);
  compareTables(rope, record);
  compareRotations(rope, record);
});

test.each(fixtures("truth").filter(({ request }) => request.parameters.ropeType === "dynamic"))(
  "exact arithmetic: $name",
  (truth) => {
    const { length, ...request } = truth.request;
    const rope = getRopeUntyped({ ...request, precision: "float64" });
    const { positionLimit, precision, rotaryDim } = rope;
    const atLength = {
      positionLimit,
      precision,
      rotaryDim,
      frequencies: () => rope.frequencies(length!),
      cosSin: (positions: Positions) => rope.cosSin(positions, { length: length! }),
    };
    compareTruth(atLength as RotaryEmbedding, truth);
  },
);

test("the list in transformers' own test: factor 10, 2048 positions, length 16384", () => {
  const printed = fixtures("seeds").find(({ name }) => name === "hf-test-dynamic") as unknown as { invFreq: number[] };
  const { invFreq } = getRope(dynamic({ factor: 10 }, { base: 10_000, maxPosition: 2048 })).frequencies(16_384);
  // Half of the fifth digit is up to 5e-5 of the value; the rest is room for float32.
  for (const [i, expected] of printed.invFreq.entries()) {
    expect(Math.abs(invFreq[i]! / expected - 1), `pair ${i}`).toBeLessThan(5.1e-5);
  }
});

describe("by the current length", () => {
  const rope = getRope(dynamic());

  test("up to the trained length it is the plain rope, bit for bit", () => {
    for (const length of [0, 1, 4096, 32_767, 32_768]) {
      expect([...rope.frequencies(length).invFreq]).toEqual(plain(1_000_000));
    }
  });

  test("also where factor · L / L − (factor − 1) does not round to 1", () => {
    // 0.1 · 3 / 3 − (0.1 − 1) is 1.0000000000000002 in float64.
    const odd = getRope(dynamic({ factor: 0.1 }, { maxPosition: 3 }));
    expect([...odd.frequencies(3).invFreq]).toEqual(plain(1_000_000));
  });

  test("every length above it has its own frequencies: the longer the text, the lower", () => {
    let before = rope.frequencies(32_768).invFreq;
    for (const length of [32_769, 40_000, 65_536, 1_048_576]) {
      const { invFreq } = rope.frequencies(length);
      expect(invFreq[0]).toBe(1);
      for (let i = 1; i < 64; i++) expect(invFreq[i], `pair ${i} at ${length}`).toBeLessThanOrEqual(before[i]!);
      expect(invFreq[63]).toBeLessThan(before[63]!);
      before = invFreq;
    }
  });

  test("the slowest pair is slowed down by the bracket factor · n/L − (factor − 1)", () => {
    const exact = getRope(dynamic({}, { precision: "float64" }));
    const slowdown = exact.frequencies(1).invFreq[63]! / exact.frequencies(4 * 32_768).invFreq[63]!;
    // 2 · 4 − 1; the quotient of two float64 roundings.
    expect(slowdown).toBeCloseTo(7, 12);
  });

  test("a step names its effective length, and steps of different effective lengths do not mix", () => {
    const short = rope.at([0, 32_767]);
    const long = rope.at([0, 32_767, 40_000]);
    expect([short.effectiveLength, long.effectiveLength]).toEqual([32_768, 40_001]);
    expect(rope.at([5], { length: 40_001 }).effectiveLength).toBe(40_001);
    expect(short.cos.slice(64)).not.toEqual(long.cos.slice(64, 128));
    // A rope keeps no state of a sequence: a long text does not change the frequencies of the next short text.
    expect(rope.at([0, 32_767])).toMatchObject({ effectiveLength: 32_768, cos: short.cos, sin: short.sin });
  });

  test("after a thousand decoding steps a rope gives the same as a new rope", () => {
    const used = getRope(dynamic({ factor: 3 }));
    for (let position = 32_768; position < 33_768; position++) used.at([position]);
    expect(used.frequencies(33_000).invFreq).toEqual(
      getRope(dynamic({ factor: 3, maxTrainedPosition: 32_768 })).frequencies(33_000).invFreq,
    );
  });

  test("says that it depends on the length, and does not shift", () => {
    expect(rope.capabilities).toMatchObject({ dependsOnLength: true, canShift: false });
    expect(() => rope.shift({ keys: new Float32Array(128), from: [1], to: [2] })).toThrow(
      expect.objectContaining({ code: "ROPE_UNSUPPORTED" }),
    );
  });

  test("positions are admitted up to core's own limit", () =>
    expect(rope.positionLimit).toBe(getRope(dynamic({}, { maxPosition: 16 })).positionLimit));
});

describe("by capacity", () => {
  test("vLLM's default is the plain rope", () => {
    const rope = getRope(dynamic({ selection: "by-capacity" }));
    for (const length of [1, 32_768, 100_000]) expect([...rope.frequencies(length).invFreq]).toEqual(plain(1_000_000));
  });

  test("vLLM with a shorter trained length scales once, and not at or below it", () => {
    const request = { headDim: 64, base: 1000 };
    const rope = (maxPosition: number): readonly number[] => [
      ...getRope(
        dynamic({ maxTrainedPosition: 2048, selection: "by-capacity" }, { ...request, maxPosition }),
      ).frequencies().invFreq,
    ];
    expect(rope(512)).toEqual(rope(2048));
    // 1000 · (2 · 4096/2048 − 1)^(64/62) = 3108.2477; its last frequency, base^(−62/64), by hand.
    expect(rope(4096)[31]).toBeCloseTo(1 / (1000 ** (62 / 64) * 3), 9);
  });

  test("SGLang's capacity of factor · L gives the base 3052773.67 of InternLM2 at every length", () => {
    const rope = getRope(dynamic({ selection: "by-capacity", capacity: 65_536 }));
    const scaled = rope.explain().rules.find(({ name }) => name === "scaledBase")!.value as number;
    expect(scaled).toBeCloseTo(3_052_773.67, 2);
    expect(rope.at([0]).effectiveLength).toBeNull();
    expect(rope.frequencies(1).invFreq).toEqual(rope.frequencies(200_000).invFreq);
    expect(rope.positionLimit).toBe(65_536);
  });

  test("does not depend on the length, and shifts", () => {
    expect(getRope(dynamic({ selection: "by-capacity" })).capabilities).toMatchObject({
      dependsOnLength: false,
      canShift: true,
    });
  });
});

describe("qwen_dynamic, the first Qwen models' rule", () => {
  const request = { headDim: 128, maxPosition: 2048, parameters: { ropeType: "qwen_dynamic" } } as const;

  test("is dynamic with presets", () => {
    expect(getRope(request).spec.parameters).toMatchObject({
      ropeType: "dynamic",
      factor: 2,
      lengthStep: "doubling",
      selection: "by-current-length",
    });
    expect(getRope(request)).toBe(
      getRope({ ...request, parameters: { ropeType: "dynamic", factor: 2, lengthStep: "doubling" } }),
    );
  });

  // Lengths up to 2048 · 2^k share alpha 2^(k+1) − 1 (get_ntk_alpha of the published code), and base 10000 ·
  // alpha^(128/126) in float64.
  test.each([
    [1, 2048, 10_000],
    [2048, 2048, 10_000],
    [2049, 4096, 30_527.7367488067],
    [3000, 4096, 30_527.7367488067],
    [4096, 4096, 30_527.7367488067],
    [4097, 8192, 72_195.86008650938],
    [8192, 8192, 72_195.86008650938],
  ])("length %i: effective length %i, base %d", (length, effectiveLength, base) => {
    const rope = getRope(request);
    expect(rope.effectiveLength(length)).toBe(effectiveLength);
    // Two float64 roundings, printed with 16 digits.
    expect(rope.explain(length).rules.find(({ name }) => name === "scaledBase")!.value as number).toBeCloseTo(base, 9);
  });

  test("frequencies at length 3000, evaluated with 40 digits", () => {
    const printed = [
      [1, "0.85099429134121622994"],
      [17, "0.064380299803413848368"],
      [40, "0.0015742216106369159919"],
      [63, "0.000038492732822981939322"],
    ] as const;
    const { invFreq } = getRope({ ...request, precision: "float64" }).frequencies(3000);
    for (const [pair, digits] of printed) expect(invFreq[pair]).toBe(Number(digits));
  });

  test("frequencies at length 3000, of the published steps run in torch 2.15", () => {
    const printed = [
      [1, 0.8509942889213562],
      [17, 0.06438030302524567],
      [40, 0.0015742216492071748],
      [63, 3.849273343803361e-5],
    ] as const;
    const { invFreq } = getRope(request).frequencies(3000);
    // torch's float32 power is not always correctly rounded: 1 ulp.
    for (const [pair, expected] of printed) {
      expect(Math.abs(invFreq[pair]! - expected), `pair ${pair}`).toBeLessThanOrEqual(float32Ulp(expected));
    }
  });

  test("a text of any length needs few sets of frequencies", () => {
    const effectiveLengths = new Set(Array.from({ length: 1000 }, (_, i) => getRope(request).effectiveLength(i * 131)));
    expect([...effectiveLengths]).toEqual([2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072]);
  });
});

describe("refuses contradictions", () => {
  const request: Partial<RopeRequest> = { maxPosition: null };
  test.each([
    ["no trained length", dynamic({}, request), "maxPosition"],
    ["no capacity", dynamic({ selection: "by-capacity", maxTrainedPosition: 10 }, request), "parameters.capacity"],
    ["a capacity without effect", dynamic({ capacity: 10 }), "parameters.capacity"],
    ["a single pair", dynamic({}, { rotaryDim: 2 }), "rotaryDim"],
    ["a factor of 0", dynamic({ factor: 0 }), "parameters.factor"],
    ["half a token", dynamic({ maxTrainedPosition: 2.5 }), "parameters.maxTrainedPosition"],
    ["an unknown selection", dynamic({ selection: "long" as "by-capacity" }), "parameters.selection"],
  ])("%s", (_, bad, path) => {
    expect(() => getRope(bad)).toThrow(
      expect.objectContaining({ code: "ROPE_INVALID_PARAMETERS", issues: [expect.objectContaining({ path })] }),
    );
  });
});

test("parameters are checked by the compiler", () => {
  // @ts-expect-error -- factor must be given
  expect(() => getRope({ headDim: 8, maxPosition: 8, parameters: { ropeType: "dynamic" } })).toThrow(
    /parameters\.factor/,
  );
  expect(() =>
    // @ts-expect-error -- no such selection
    getRope({ headDim: 8, maxPosition: 8, parameters: { ropeType: "dynamic", factor: 2, selection: "always" } }),
  ).toThrow(/selection/);
  expect(() =>
    // @ts-expect-error -- alpha belongs to another type
    getRope({ headDim: 8, maxPosition: 8, parameters: { ropeType: "dynamic", factor: 2, alpha: 2 } }),
  ).toThrow(/alpha/);
});

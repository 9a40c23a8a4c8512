import { conformance } from "@ropewalk/conformance";
import {
  compareFrequencies,
  compareRotations,
  compareTables,
  compareTruth,
  float32Ulp,
} from "@ropewalk/conformance/golden";
import { getRope, getRopeUntyped, listRopeTypes } from "@ropewalk/core";
import type { Positions, RopeRequest, RotaryEmbedding } from "@ropewalk/core";
import { float32, inverseFrequencies } from "@ropewalk/core/math";
import { fixtures, models } from "@ropewalk/goldens";
import { describe, expect, test } from "vitest";
import type { LongropeParameters } from "../src/index.ts";
import "../src/index.ts";

conformance(test, {
  ropeType: "longrope",
  cases: [
    {
      name: "by length",
      request: {
        headDim: 16,
        rotaryDim: 8,
        maxPosition: 16_384,
        parameters: { shortFactor: [1, 1.25, 1.5, 2], longFactor: [1, 2, 8, 16], originalMaxPosition: 4096 },
      },
    },
    {
      name: "by length, an amplitude for each list",
      request: {
        headDim: 8,
        maxPosition: 256,
        parameters: {
          shortFactor: [1, 1, 1, 1],
          longFactor: [1, 2, 8, 16],
          originalMaxPosition: 32,
          shortMscale: 1.1,
          longMscale: 1.25,
          switchLength: 33,
        },
      },
    },
    {
      name: "by capacity",
      request: {
        headDim: 8,
        parameters: {
          shortFactor: [1, 1, 1, 1],
          longFactor: [1, 2, 8, 16],
          originalMaxPosition: 32,
          factor: 8,
          selection: "by-capacity",
          capacity: 200,
        },
      },
    },
    {
      name: "long",
      request: {
        headDim: 8,
        maxPosition: 256,
        parameters: {
          shortFactor: [1, 1, 1, 1],
          longFactor: [1, 2, 8, 16],
          originalMaxPosition: 32,
          attentionFactor: 1.5,
          selection: "long",
        },
      },
    },
  ],
});

const small: LongropeParameters = {
  shortFactor: [1, 1.25, 1.5, 2],
  longFactor: [1, 2, 8, 16],
  originalMaxPosition: 4096,
};
const longrope = (parameters: Partial<LongropeParameters> = {}, request: Partial<RopeRequest> = {}): RopeRequest => ({
  headDim: 8,
  maxPosition: 16_384,
  ...request,
  parameters: { ropeType: "longrope", ...small, ...parameters },
});
/** √(1 + ln 4 / ln 4096) = √(7/6), since 4096 = 4^6. */
const amplitude = Math.sqrt(7 / 6);

// Head and rotated part of each model; its lists are read from its config.json.
const sizes: Readonly<Record<string, { readonly headDim: number; readonly rotaryDim: number }>> = {
  "microsoft/Phi-3-medium-128k-instruct": { headDim: 128, rotaryDim: 128 },
  "microsoft/Phi-3-mini-128k-instruct": { headDim: 96, rotaryDim: 96 },
  "microsoft/Phi-4-mini-instruct": { headDim: 128, rotaryDim: 96 },
};

function published(model: string, parameters: Partial<LongropeParameters> = {}): RopeRequest {
  const lists = models().find(({ id }) => id === model)!.config["rope_scaling"] as {
    readonly short_factor: number[];
    readonly long_factor: number[];
  };
  return {
    ...sizes[model]!,
    maxPosition: 131_072,
    parameters: {
      ropeType: "longrope",
      shortFactor: lists.short_factor,
      longFactor: lists.long_factor,
      originalMaxPosition: 4096,
      ...parameters,
    },
  };
}

const engineRopes = fixtures("hf").flatMap(({ model, ropes }) =>
  ropes.filter(({ ropeType }) => ropeType === "longrope").map((record) => ({ model, length: record.length, record })),
);

test("every rope of type longrope in transformers' fixtures is compared", () => {
  expect([...new Set(engineRopes.map(({ model }) => model))].toSorted()).toEqual(Object.keys(sizes));
  expect(new Set(engineRopes.map(({ length }) => length))).toEqual(new Set([4096, 4097, 131_072]));
});

test.each(engineRopes)("transformers: $model at length $length", ({ model, record }) => {
  const rope = getRope(published(model));
  compareFrequencies(rope, record);
  compareTables(rope, record);
  compareRotations(rope, record);
  // The list, chosen without a length, gives the same.
  const fixed = getRope(published(model, { selection: record.length! > 4096 ? "long" : "short" }));
  compareFrequencies(fixed, record);
  compareTables(fixed, record);
});

test.each(fixtures("truth").filter(({ request }) => request.parameters.ropeType === "longrope"))(
  "exact arithmetic: $name",
  (truth) => {
    const { length, maxPosition: _, parameters, ...request } = truth.request;
    // With the factor that maxPosition 131072 implies, but no maxPosition, all positions of the record are admitted.
    const rope = getRopeUntyped({
      ...request,
      precision: "float64",
      parameters: { ...parameters, factor: 32 } as typeof parameters,
    });
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

test("lists of ones are the plain frequencies, bit for bit", () => {
  const ones = [1, 1, 1, 1];
  const rope = getRope(longrope({ shortFactor: ones, longFactor: ones }));
  for (const length of [1, 10_000]) {
    expect([...rope.frequencies(length).invFreq]).toEqual(inverseFrequencies(10_000, 8, float32));
  }
});

describe("by the current length", () => {
  const rope = getRope(longrope());
  const [short, long] = [rope.frequencies(4096).invFreq, rope.frequencies(4097).invFreq];

  test("the short list is used up to originalMaxPosition, the long list above", () => {
    const plain = inverseFrequencies(10_000, 8, float32) as number[];
    for (let i = 0; i < 4; i++) {
      // e · base^x and its reciprocal, against the reciprocal of the plain frequency.
      for (const [got, expected] of [
        [short[i]!, plain[i]! / small.shortFactor[i]!],
        [long[i]!, plain[i]! / small.longFactor[i]!],
      ] as const) {
        expect(Math.abs(got - expected)).toBeLessThanOrEqual(2 * float32Ulp(expected));
      }
    }
    for (const length of [0, 1, 4095]) expect(rope.frequencies(length).invFreq).toEqual(short);
    for (const length of [5000, 16_384]) expect(rope.frequencies(length).invFreq).toEqual(long);
  });

  test("there are two effective lengths, and their tables never mix", () => {
    const steps = [rope.at([0, 4095]), rope.at([0, 4096]), rope.at([0, 4095]), rope.at([4095], { length: 9000 })];
    expect(steps.map(({ effectiveLength }) => effectiveLength)).toEqual([4096, 4097, 4096, 4097]);
    const [first, second, third, fourth] = steps;
    expect(third!.cos).toEqual(first!.cos);
    expect(second!.cos.slice(4)).not.toEqual(first!.cos.slice(4));
    expect(fourth!.cos).not.toEqual(first!.cos.slice(4));
  });

  test("the amplitude does not switch", () => {
    expect(rope.frequencies(1).attentionFactor).toBe(rope.frequencies(16_384).attentionFactor);
    expect(rope.attentionFactor).toBeCloseTo(amplitude, 15);
  });

  test("says that it depends on the length, and does not shift without one", () => {
    expect(rope.capabilities).toMatchObject({ dependsOnLength: true, canShift: false });
    expect(() => rope.shift({ keys: new Float32Array(8), from: [1], to: [2] })).toThrow(
      expect.objectContaining({ code: "ROPE_UNSUPPORTED", remedy: expect.stringContaining("length") }),
    );
  });

  test("a length names the list for both ends of a shift", () => {
    const { headDim } = rope;
    const keys = (): Float64Array => Float64Array.from({ length: headDim }, (_, i) => Math.sin(i + 1));
    const at = (position: number, length: number): Float64Array => {
      const key = keys();
      rope.apply({ positions: [position], key, length });
      return key;
    };
    for (const length of [5001, 4096]) {
      const moved = at(length - 1, length);
      rope.shift({ keys: moved, from: [length - 1], to: [10], length });
      // Two rotations by float32 angles and table values, of elements up to 1.4 times the amplitude.
      const expected = at(10, length);
      moved.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(8 * 2 ** -24 * 1.5 * amplitude));
    }
    expect(at(10, 5001)).not.toEqual(at(10, 4096));
  });

  test("SGLang's switch, one token later", () => {
    const later = getRope(longrope({ switchLength: 4097 }));
    expect(later.frequencies(4097).invFreq).toEqual(short);
    expect(later.frequencies(4098).invFreq).toEqual(long);
  });

  test("explain() says which list is used, and why", () => {
    const list = (length: number): unknown => rope.explain(length).rules.find(({ name }) => name === "factorList");
    expect(list(1)).toMatchObject({ value: "shortFactor", rule: "the current length is not above 4096" });
    expect(list(5000)).toMatchObject({ value: "longFactor", rule: "the current length is above 4096" });
  });
});

describe("chosen once for the run", () => {
  const [short, long] = [getRope(longrope()).frequencies(1).invFreq, getRope(longrope()).frequencies(5000).invFreq];

  test.each([
    ["by the request's maxPosition", longrope({ selection: "by-capacity" }), long],
    ["by a capacity above the trained context", longrope({ selection: "by-capacity", capacity: 4097 }), long],
    ["by a capacity within it", longrope({ selection: "by-capacity", capacity: 4096 }), short],
    ["long", longrope({ selection: "long" }), long],
    ["short", longrope({ selection: "short" }), short],
  ] as [string, RopeRequest, Float64Array][])("%s", (_, request, expected) => {
    const rope = getRope(request);
    for (const length of [1, 4096, 4097, 16_384]) expect(rope.frequencies(length).invFreq).toEqual(expected);
    expect(rope.at([0]).effectiveLength).toBeNull();
    expect(rope.capabilities).toMatchObject({ dependsOnLength: false, canShift: true });
    // The capacity chooses the list; the amplitude stays that of the model's own maximum.
    expect(rope.attentionFactor).toBeCloseTo(amplitude, 15);
  });
});

describe("amplitude", () => {
  const at = (parameters: Partial<LongropeParameters>, request: Partial<RopeRequest> = {}): number[] => {
    const rope = getRope(longrope(parameters, request));
    return [1, 16_384].map((length) => rope.frequencies(length).attentionFactor);
  };

  test("follows factor if it is given, not maxPosition", () => {
    // √(1 + ln 64 / ln 4096) = √(3/2)
    for (const value of at({ factor: 64 })) expect(value).toBeCloseTo(Math.sqrt(1.5), 15);
  });

  test("is 1 if the context is not extended", () => {
    expect(at({ factor: 1 })).toEqual([1, 1]);
    expect(at({ factor: 0.5 })).toEqual([1, 1]);
    expect(at({}, { maxPosition: 4096 })).toEqual([1, 1]);
  });

  test("is attentionFactor if that is given", () => expect(at({ attentionFactor: 1.5 })).toEqual([1.5, 1.5]));

  test("switches with the list if each list has its own", () => {
    expect(at({ shortMscale: 1.25, longMscale: 1.5 })).toEqual([1.25, 1.5]);
    expect(at({ shortMscale: 1.243163121016122, selection: "short" })).toEqual([1.243163121016122, 1.243163121016122]);
  });

  test("falls back to the rule for the list without one, as in vLLM", () => {
    const [short, long] = at({ longMscale: 1.5 });
    expect(short).toBeCloseTo(amplitude, 15);
    expect(long).toBe(1.5);
  });

  test("needs no maxPosition if both are given", () => {
    expect(at({ shortMscale: 1.25, longMscale: 1.5 }, { maxPosition: null })).toEqual([1.25, 1.5]);
  });
});

test("positions are admitted up to factor · originalMaxPosition", () => {
  expect(getRope(longrope()).positionLimit).toBe(16_384);
  expect(getRope(longrope({ factor: 32 })).positionLimit).toBe(131_072);
});

test("su is another name of it", () => {
  expect(listRopeTypes().find(({ name }) => name === "su")).toMatchObject({ ropeType: "longrope", presets: {} });
  expect(getRope({ ...longrope(), parameters: { ropeType: "su", ...small } })).toBe(getRope(longrope()));
});

test.each([
  ["a short list of the wrong length", longrope({ shortFactor: [1, 1, 1] }), "parameters.shortFactor"],
  ["a long list of the wrong length", longrope({ longFactor: [1, 1, 1, 1, 1] }), "parameters.longFactor"],
  [
    "lists made for another rotary dimension",
    longrope({ shortFactor: [1, 1], longFactor: [1, 1] }),
    "parameters.shortFactor",
  ],
  ["a factor of 0 in a list", longrope({ longFactor: [1, 1, 0, 1] }), "parameters.longFactor"],
  ["no extension at all", longrope({}, { maxPosition: null }), "parameters.factor"],
  ["two amplitudes", longrope({ attentionFactor: 1, shortMscale: 1.2 }), "parameters.attentionFactor"],
  ["no capacity", longrope({ selection: "by-capacity", factor: 4 }, { maxPosition: null }), "parameters.capacity"],
  ["a capacity without effect", longrope({ capacity: 10 }), "parameters.capacity"],
  ["a switch without effect", longrope({ selection: "long", switchLength: 10 }), "parameters.switchLength"],
  ["a trained context of one token", longrope({ originalMaxPosition: 1 }), "parameters.originalMaxPosition"],
])("refuses %s", (_, bad, path) => {
  expect(() => getRope(bad)).toThrow(
    expect.objectContaining({
      code: "ROPE_INVALID_PARAMETERS",
      issues: expect.arrayContaining([expect.objectContaining({ path })]),
    }),
  );
});

test("parameters are checked by the compiler", () => {
  const { longFactor: _, ...incomplete } = small;
  // @ts-expect-error -- longFactor must be given
  expect(() => getRope({ headDim: 8, maxPosition: 8192, parameters: { ropeType: "longrope", ...incomplete } })).toThrow(
    /longFactor/,
  );
  expect(() =>
    // @ts-expect-error -- no such selection
    getRope({ headDim: 8, maxPosition: 8192, parameters: { ropeType: "su", ...small, selection: "always" } }),
  ).toThrow(/selection/);
});

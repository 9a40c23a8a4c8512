/**
 * Every form of positions, seen through `cosSin`: in a rope of one pair with frequency 1, each position is the angle.
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { getRope, getRopeUntyped } from "@ropewalk/core";
import type { Positions, RopeProvider } from "@ropewalk/core";
import { caught } from "./failures.ts";
import { heldBytes } from "./memory.ts";
import { holds } from "./properties.ts";
import { fine, grid, plain, testRegistry } from "./providers.ts";

const registry = testRegistry();
const make = (ropeType: "plain" | "fine" | "grid", maxPosition: number | null = null) =>
  getRope(
    { headDim: ropeType === "grid" ? 4 : 2, base: 1, maxPosition, precision: "float64", parameters: { ropeType } },
    { registry },
  );
const rope = make("plain");

/** The positions that were understood, from cos and sin of angles below π. */
function understood(positions: Positions, of = rope): number[] {
  const { cos, sin } = of.cosSin(positions, { dtype: "float64" });
  return Array.from(cos, (c, i) => Math.round(Math.atan2(sin[i]!, c) * 1e6) / 1e6 + 0);
}

/** An angle as `understood` gives it back, between −π and π. */
const wrapped = (angle: number): number => Math.round(Math.atan2(Math.sin(angle), Math.cos(angle)) * 1e6) / 1e6;

const nonsense = (value: unknown) => value as Positions;
const holdsItself: unknown[] = [];
holdsItself.push(holdsItself);

describe("accepted", () => {
  test.each<[string, Positions]>([
    ["number[]", [2, 0, 3]],
    ["Int32Array", Int32Array.of(2, 0, 3)],
    ["Uint32Array", Uint32Array.of(2, 0, 3)],
    ["BigInt64Array", BigInt64Array.of(2n, 0n, 3n)],
    ["BigUint64Array", BigUint64Array.of(2n, 0n, 3n)],
    ["{ data, shape } of one axis", { data: [2, 0, 3], shape: [3] }],
    ["-0, which is 0", [2, -0, 3]],
  ])("%s", (_, positions) => {
    expect(rope.cosSin(positions).shape).toEqual([3, 1]);
    expect(understood(positions)).toEqual([2, 0, 3]);
  });

  test.each<[string, Positions, number[], number[]]>([
    ["a run", { start: 1, count: 3 }, [3, 1], [1, 2, 3]],
    ["a run from a bigint", { start: 1n, count: 2 }, [2, 1], [1, 2]],
    ["a run of none", { start: 7, count: 0 }, [0, 1], []],
    // A rank of round-robin context parallelism: positions 0, 2, 4.
    ["a run with a step", { start: 0, count: 3, step: 2 }, [3, 1], [0, 2, 4].map(wrapped)],
    ["a run of one with a step beyond the limit", { start: 3, count: 1, step: 2 ** 30 }, [1, 1], [3]],
    ["a run of none with a step", { start: 7, count: 0, step: 5 }, [0, 1], []],
    ["every second element", { data: [1, 9, 2, 9, 3], shape: [3], strides: [2] }, [3, 1], [1, 2, 3]],
    ["a slice", { data: Int32Array.of(9, 9, 1, 2, 3), shape: [3], offset: 2 }, [3, 1], [1, 2, 3]],
    ["backwards", { data: [1, 2, 3], shape: [3], strides: [-1], offset: 2 }, [3, 1], [3, 2, 1]],
    ["one row for all of a batch", { data: [1, 2, 3], shape: [2, 3], strides: [0, 1] }, [2, 3, 1], [1, 2, 3, 1, 2, 3]],
    ["columns", { data: [0, 3, 1, 2, 2, 1], shape: [2, 3], strides: [1, 2] }, [2, 3, 1], [0, 1, 2, 3, 2, 1]],
    ["64-bit, in part", { data: BigInt64Array.of(9n, 1n, 2n), shape: [2], offset: 1 }, [2, 1], [1, 2]],
    ["none of a list", { data: [], shape: [2, 0], strides: [5, 5], offset: 9 }, [2, 0, 1], []],
    [
      "nested lists as [batch, tokens]",
      [
        [0, 1, 2],
        [3, 2, 1],
      ],
      [2, 3, 1],
      [0, 1, 2, 3, 2, 1],
    ],
    [
      "{ data, shape } as [batch, tokens]",
      { data: Int32Array.of(0, 1, 2, 3, 2, 1), shape: [2, 3] },
      [2, 3, 1],
      [0, 1, 2, 3, 2, 1],
    ],
    ["an empty list", [], [0, 1], []],
    ["a batch of nothing", { data: [], shape: [2, 0] }, [2, 0, 1], []],
  ])("%s", (_, positions, shape, values) => {
    expect(rope.cosSin(positions).shape).toEqual(shape);
    expect(understood(positions)).toEqual(values);
  });

  test("[axes, tokens] and [axes, batch, tokens] for two axes", () => {
    const both = make("grid");
    // Pair 0 follows axis 0, pair 1 axis 1.
    expect(
      both.cosSin([
        [1, 2],
        [3, 0],
      ]).shape,
    ).toEqual([2, 2]);
    expect(
      understood(
        [
          [1, 2],
          [3, 0],
        ],
        both,
      ),
    ).toEqual([1, 3, 2, 0]);
    // Two axes, one row of a batch, three tokens; then three rows of one token.
    const data = Int32Array.of(1, 2, 3, 0, 1, 2);
    for (const [batch, tokens] of [
      [1, 3],
      [3, 1],
    ] as const) {
      expect(both.cosSin({ data, shape: [2, batch, tokens] }).shape).toEqual([batch, tokens, 2]);
      expect(understood({ data, shape: [2, batch, tokens] }, both)).toEqual([1, 0, 2, 1, 3, 2]);
    }
  });

  test("between the integers and below zero, where the type says so", () => {
    const between = make("fine");
    expect(understood([0.5, -1.25, 2], between)).toEqual([0.5, -1.25, 2]);
    expect(understood(Float64Array.of(0.5, -1.25), between)).toEqual([0.5, -1.25]);
    expect(understood(Float32Array.of(0.5, -1.25), between)).toEqual([0.5, -1.25]);
    expect(understood({ start: -1.5, count: 3 }, between)).toEqual([-1.5, -0.5, 0.5]);
    expect(understood({ start: -2, count: 4 }, between)).toEqual([-2, -1, 0, 1]);
    expect(understood({ start: 1, count: 4, step: -0.5 }, between)).toEqual([1, 0.5, 0, -0.5]);
    expect(understood({ data: Float32Array.of(0.5, 9, -1), shape: [2], strides: [2] }, between)).toEqual([0.5, -1]);
  });

  test("the caller's list is copied", () => {
    const positions = Int32Array.of(1, 2);
    const step = rope.at(positions);
    positions.fill(0);
    const data = Float32Array.of(1, 0, 1, 0);
    step.apply({ query: data });
    expect(data[0]).toBeCloseTo(Math.cos(1), 6);
  });
});

describe("ROPE_SHAPE", () => {
  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["null", null],
    ["one number", 3],
    ["text", "0:4"],
    ["an empty object", {}],
    ["an array of another type", Int16Array.of(1, 2)],
    ["fractional arrays, which the type does not declare", Float32Array.of(1, 2)],
    ["rows of different length", [[1, 2], [3]]],
    ["rows as data", { data: [[1], [2]], shape: [2] }],
    ["a list in rows", [[1, 2], 3]],
    ["a count that is no integer", { start: 0, count: 1.5 }],
    ["a count below zero", { start: 0, count: -1 }],
    ["no count", { start: 0 }],
    ["a step of 0", { start: 0, count: 2, step: 0 }],
    ["a negative step, which the type does not declare", { start: 5, count: 2, step: -1 }],
    ["a fractional step, which the type does not declare", { start: 0, count: 2, step: 0.5 }],
    ["a step in text", { start: 0, count: 1, step: "1" }],
    ["null for a step", { start: 0, count: 1, step: null }],
    ["a 64-bit step", { start: 0, count: 2, step: 1n }],
    ["strides of another length", { data: [1, 2], shape: [2], strides: [1, 1] }],
    ["fractional strides", { data: [1, 2], shape: [2], strides: [0.5] }],
    ["one number for strides", { data: [1, 2], shape: [2], strides: 1 }],
    ["an offset below zero", { data: [1, 2], shape: [2], offset: -1 }],
    ["an offset in text", { data: [1, 2], shape: [1], offset: "1" }],
    ["a stride beyond the data", { data: [1, 2, 3], shape: [2], strides: [3] }],
    ["a stride before the data", { data: [1, 2, 3], shape: [2], strides: [-2], offset: 1 }],
    ["an offset beyond the data", { data: [1, 2, 3], shape: [3], offset: 1 }],
    ["a stride far beyond the data", { data: [1, 2], shape: [2, 1], strides: [Number.MAX_SAFE_INTEGER, 1] }],
    ["data without shape", { data: [1, 2] }],
    ["a shape that is no list", { data: [1, 2], shape: 2 }],
    ["a negative size", { data: [1, 2], shape: [-2] }],
    ["data and shape that differ", { data: [1, 2, 3], shape: [2, 2] }],
    ["a shape far larger than its data", { data: [1], shape: [2 ** 30, 2 ** 20] }],
    ["three axes of shape", { data: [1, 2, 3, 4], shape: [1, 2, 2] }],
    ["no axis of shape", { data: [1], shape: [] }],
  ])("%s", (_, positions) => {
    caught(() => rope.cosSin(nonsense(positions)), "ROPE_SHAPE");
  });

  test.each<[string, Positions]>([
    ["a flat list", [1, 2]],
    ["a run", { start: 0, count: 2 }],
    ["as many rows as there are not axes", [[1], [2], [3]]],
    ["one row", [[1, 2]]],
    ["a flat shape", { data: [1, 2], shape: [2] }],
  ])("%s for two axes: positions are never repeated silently", (_, positions) => {
    caught(() => make("grid").cosSin(positions), "ROPE_SHAPE");
  });
});

test.each<[string, unknown]>([
  ["a run with the step of other engines", { start: 0, count: 3, stride: 2 }],
  ["a run with an end", { start: 0, count: 3, end: 6 }],
  ["a view with one stride", { data: [0, 1, 2], shape: [3], stride: [1] }],
  ["a view with an offset in bytes", { data: [0, 1, 2], shape: [2], byteOffset: 4 }],
  ["a view with a step", { data: [0, 1, 2], shape: [3], step: 2 }],
])("%s: unknown keys are never ignored", (_, positions) => {
  caught(() => rope.cosSin(nonsense(positions)), "ROPE_INVALID_PARAMETERS");
  const query = new Float32Array(6).fill(1);
  caught(() => rope.apply({ positions: nonsense(positions), query }), "ROPE_INVALID_PARAMETERS");
  expect(query.every((value) => value === 1)).toBe(true);
});

holds(
  "a view is the list of the elements that its strides name, or is refused without a read outside its data",
  [
    fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 24 }),
    fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 2 }),
    fc.array(fc.integer({ min: -8, max: 8 }), { minLength: 2, maxLength: 2 }),
    fc.integer({ min: 0, max: 24 }),
  ],
  (data, shape, list, offset) => {
    const strides = list.slice(0, shape.length);
    const rows = shape.length === 2 ? shape[0]! : 1;
    const places = Array.from({ length: rows * shape.at(-1)! }, (_, i) => {
      const [row, token] = [Math.floor(i / shape.at(-1)!), i % shape.at(-1)!];
      return offset + (shape.length === 2 ? row * strides[0]! : 0) + token * strides.at(-1)!;
    });
    const view = { data, shape, strides, offset };
    if (places.every((place) => place >= 0 && place < data.length)) {
      expect(rope.cosSin(view)).toEqual(rope.cosSin({ data: places.map((place) => data[place]!), shape }));
    } else {
      caught(() => rope.cosSin(view), "ROPE_SHAPE");
    }
  },
);

holds(
  "a run is the list start + i · step, and the turns of one are those of the other",
  [fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 9 }), fc.integer({ min: 1, max: 5 })],
  (start, count, step) => {
    const list = Array.from({ length: count }, (_, i) => start + i * step);
    expect(rope.cosSin({ start, count, step })).toEqual(rope.cosSin(list));
    const [run, same] = [new Float32Array(2 * count).fill(1), new Float32Array(2 * count).fill(1)];
    // One after the other, and after a run of the same ends: what is kept of one call must not answer for another.
    rope.apply({ positions: list, query: same });
    rope.apply({ positions: { start, count, step }, query: run });
    expect(run).toEqual(same);
    rope.apply({ positions: { start, count, step: 1 }, query: run.fill(1) });
    rope.apply({ positions: list.map((_, i) => start + i), query: same.fill(1) });
    expect(run).toEqual(same);
  },
);

describe("ROPE_POSITION_RANGE", () => {
  test.each<[string, unknown, number]>([
    ["a negative position", [0, -1], 1],
    ["a negative 64-bit position", BigInt64Array.of(0n, -1n), 1],
    ["a fraction", [1.5], 0],
    ["NaN", [0, 1, NaN], 2],
    ["infinity", [Infinity], 0],
    ["the first beyond 2^24", [2 ** 24 + 1], 0],
    ["a bigint beyond 2^53", BigUint64Array.of(2n ** 53n + 1n), 0],
    ["the largest 64-bit integer", BigUint64Array.of(2n ** 64n - 1n), 0],
    ["a negative that would wrap to 0 in 32 bits", [-(2 ** 32)], 0],
    ["a string", ["3"], 0],
    ["null", [0, null], 1],
    ["true", [true], 0],
    ["a hole", [0, , 2], 1],
    ["a symbol", [Symbol("3")], 0],
    ["an object that turns into a number", [{ valueOf: () => 3 }], 0],
    ["a list of typed arrays", [Int32Array.of(1)], 0],
    ["lists of lists of lists", [[[1]]], 0],
    ["a list that holds itself", holdsItself, 0],
    ["a run from NaN", { start: NaN, count: 2 ** 40 }, 0],
    ["a run from nowhere", { start: undefined, count: 2 ** 40 }, 0],
    ["a run from a string", { start: "0", count: 1 }, 0],
    ["a run from −2^50", { start: -(2 ** 50), count: 2 ** 50 }, 0],
    ["a run from −∞", { start: -Infinity, count: 4 }, 0],
    ["a run that ends too late", { start: 1, count: 2 ** 24 + 1 }, 2 ** 24],
    ["a run of 2^53 − 1", { start: 0, count: Number.MAX_SAFE_INTEGER }, Number.MAX_SAFE_INTEGER - 1],
    ["a run from a half", { start: 0.5, count: 1 }, 0],
    ["a run that steps too far", { start: 0, count: 3, step: 2 ** 23 + 1 }, 2],
    ["a run whose step overflows", { start: 0, count: 3, step: Number.MAX_SAFE_INTEGER }, 2],
    ["a negative position in a view", { data: [0, -1, 0], shape: [2], strides: [1] }, 1],
  ])("%s", (_, positions, index) => {
    const error = caught(() => rope.cosSin(nonsense(positions)), "ROPE_POSITION_RANGE");
    expect(error.facts).toMatchObject({ index, limit: 2 ** 24 + 1 });
  });

  test.each<[string, Positions]>([
    ["NaN", [NaN]],
    ["−∞, whose angle has no cosine", [-Infinity]],
    ["a number so low that its angle overflows", [-1e300]],
    ["the first below −2^24", [-(2 ** 24) - 1]],
    ["a run that steps below −2^24", { start: 0, count: 3, step: -(2 ** 23) - 1 }],
  ])("%s even where fractions are admitted", (_, positions) => {
    caught(() => make("fine").cosSin(positions), "ROPE_POSITION_RANGE");
  });

  test("a run that is far too long costs no memory", async () => {
    const before = await heldBytes();
    caught(() => rope.cosSin({ start: 0, count: 2 ** 40 }), "ROPE_POSITION_RANGE");
    caught(() => make("fine").cosSin({ start: 0, count: 2 ** 40, step: 2 ** -30 }), "ROPE_SHAPE");
    caught(() => rope.cosSin({ data: [0], shape: [2 ** 20, 2 ** 20], strides: [0, 0] }), "ROPE_SHAPE");
    caught(() => rope.cosSin({ data: [0], shape: [2 ** 52, 2 ** 52], strides: [0, 0] }), "ROPE_SHAPE");
    expect((await heldBytes()) - before).toBeLessThan(2 ** 20);
  });
});

describe("the limit", () => {
  const extended: RopeProvider = {
    ...plain,
    source: "extended@1",
    frequencies: (request) => ({ ...plain.frequencies(request, {}), extendedMaxPosition: 100.5 }),
  };
  test.each<[string, number | null, RopeProvider, number]>([
    ["maxPosition", 32, plain, 32],
    ["what the type extends it to, rounded down", 32, extended, 100],
    ["maxPosition, where the type extends to less", 200, extended, 200],
    ["2^24, inclusive, where maxPosition is absent", null, plain, 2 ** 24 + 1],
    ["2^24, inclusive, where the type extends an unknown one", null, extended, 2 ** 24 + 1],
    ["2^24, inclusive, where maxPosition lies beyond", 2 ** 25, plain, 2 ** 24 + 1],
    ["maxPosition, where fractions are admitted", 32, fine, 32],
  ])("is %s", (_, maxPosition, provider, limit) => {
    const limited = getRopeUntyped({ headDim: 4, maxPosition, parameters: { ropeType: "any" } }, { provider });
    expect(limited.positionLimit).toBe(limit);
    expect(limited.cosSin([limit - 1]).shape).toEqual([1, 2]);
    expect(caught(() => limited.cosSin([limit]), "ROPE_POSITION_RANGE").facts["limit"]).toBe(limit);
    expect(limited.cosSin({ start: limit - 2, count: 2 }).shape).toEqual([2, 2]);
    caught(() => limited.cosSin({ start: limit - 2, count: 3 }), "ROPE_POSITION_RANGE");
  });

  test("holds for every axis", () => {
    const both = getRopeUntyped({ headDim: 4, maxPosition: 8, parameters: { ropeType: "any" } }, { provider: grid });
    caught(
      () =>
        both.cosSin([
          [0, 1],
          [0, 8],
        ]),
      "ROPE_POSITION_RANGE",
    );
  });
});

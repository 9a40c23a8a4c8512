import { RopeError } from "@ropewalk/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { gridPositions, place } from "../src/positions/index.ts";
import type { PositionArrays, PromptSegment } from "../src/positions/index.ts";

const seed = Number(process.env["ROPEWALK_SEED"] ?? 20_261_128);
const runs = { seed, numRuns: 200 };
const lists = (segments: readonly PromptSegment[], axes: number): number[][] => {
  const { data, shape } = place(segments, { axes }).positions;
  expect(shape).toEqual([axes, data.length / axes]);
  return Array.from({ length: axes }, (_, axis) => [...data.subarray(axis * shape[1]!, (axis + 1) * shape[1]!)]);
};

test("text, a grid and offsets, each after the one before, with every rule", () => {
  // By hand. Text 0 1; the image starts at 2, its sides are 2 and 3, so "max" goes on at 5; one token of text is there;
  // the canvas starts at 6 and goes on 4 later; the last token stands at 10.
  const segments: PromptSegment[] = [
    { text: 2 },
    { grid: [1, 2, 3], advance: "max" },
    { text: 1 },
    {
      offsets: [
        [0, 0],
        [-1, 3],
        [2, 2],
      ],
      advance: 4,
    },
    { text: 1 },
  ];
  expect(lists(segments, 3)).toEqual([
    [0, 1, 2, 2, 2, 2, 2, 2, 5, 6, 6, 10],
    [0, 1, 2, 2, 2, 3, 3, 3, 5, 5, 9, 10],
    [0, 1, 2, 3, 4, 2, 3, 4, 5, 8, 8, 10],
  ]);
  const { largest, next } = place(segments.slice(0, 4), { axes: 3 });
  expect({ largest, next }).toEqual({ largest: 9, next: [10, 10, 10] });
});

test("HunyuanVL: four axes, of which three do not start where the segment does", () => {
  // Run of transformers: text, 8 image tokens (a marker, 2 rows of 2 + 1, a marker), text; axis 0 counts all tokens.
  const grid = {
    offsets: [
      [0, 1, 2, 3, 4, 5],
      [0, 1, 2, 0, 1, 2],
      [0, 0, 0, 1, 1, 1],
      [0, 0, 0, 0, 0, 0],
    ],
    origin: ["start", 0, 0, 0],
    advance: "count",
  } as const;
  expect(lists([{ text: 2 }, grid, { text: 2 }], 4)).toEqual([
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [0, 1, 0, 1, 2, 0, 1, 2, 8, 9],
    [0, 1, 0, 0, 0, 1, 1, 1, 8, 9],
    [0, 1, 0, 0, 0, 0, 0, 0, 8, 9],
  ]);
});

test("each axis has its own start, and keeps its distance", () => {
  const image = { grid: [1, 2, 2], advance: "max" } as const;
  const { positions, next, largest } = place([image, { text: 1 }], { axes: 3, start: [57, 60n, 57] });
  expect([...positions.data]).toEqual([57, 57, 57, 57, 59, 60, 60, 61, 61, 62, 57, 58, 57, 58, 59]);
  expect({ next, largest }).toEqual({ next: [60, 63, 60], largest: 59 });
});

test("a grid may list where its cells stand, on any axis", () => {
  const centred = { grid: [[0, 5], [-1, 0], 1], origin: [0, 0, 7], advance: 1 } as const;
  expect(lists([{ text: 1 }, centred, { text: 1 }], 3)).toEqual([
    [0, 0, 0, 5, 5, 2],
    [0, -1, 0, -1, 0, 2],
    [0, 7, 7, 7, 7, 2],
  ]);
});

test("float32 adds as torch does, float64 as JavaScript", () => {
  // torch 2.15: t = tensor([0, 0.3435]); [*t, *(arange(2) + (t.max() + 1))]. Adding 2 at once would give 2.3434999.
  const segments: PromptSegment[] = [{ grid: [[0, 0.3435]], advance: "max" }, { text: 2 }];
  const of = (dtype: "float32" | "float64"): number[] => [...place(segments, { axes: 1, dtype }).positions.data];
  expect(of("float32")).toEqual([0, 0.3434999883174896, 1.343500018119812, 2.3435001373291016]);
  expect(of("float64")).toEqual([0, 0.3435, 0.3435 + 1, 0.3435 + 1 + 1]);
  expect(place([], { axes: 1, dtype: "float32" }).positions.data).toBeInstanceOf(Float32Array);
  // Beyond the largest float32 number.
  expect(() => place([{ grid: [[1e39]], advance: 1 }], { axes: 1, dtype: "float32" })).toThrow(
    expect.objectContaining({ code: "ROPE_SHAPE" }),
  );
});

const segment = (axes: number): fc.Arbitrary<PromptSegment> => {
  const offset = fc.integer({ min: -9, max: 99 });
  const advance = fc.oneof(fc.constantFrom("count" as const, "max" as const), fc.integer({ min: 0, max: 50 }));
  const side = fc.oneof(fc.integer({ min: 0, max: 4 }), fc.array(offset, { maxLength: 4 }));
  const sides = fc.array(side, { minLength: axes, maxLength: axes });
  const columns = fc.array(fc.array(offset, { minLength: axes, maxLength: axes }), { maxLength: 6 });
  return fc.oneof(
    fc.record({ text: fc.integer({ min: 0, max: 9 }) }),
    fc.record({ grid: sides, advance }),
    fc.record({
      offsets: columns.map((tokens) => Array.from({ length: axes }, (_, axis) => tokens.map((token) => token[axis]!))),
      advance,
    }),
  );
};
const row = fc.integer({ min: 1, max: 5 }).chain((axes) =>
  fc.record({
    axes: fc.constant(axes),
    segments: fc.array(segment(axes), { maxLength: 6 }),
    start: fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: axes, maxLength: axes }),
  }),
);

test("law: a start moves every axis by itself", () => {
  fc.assert(
    fc.property(row, ({ axes, segments, start }) => {
      const still = place(segments, { axes });
      const moved = place(segments, { axes, start });
      const tokens = still.positions.shape[1]!;
      expect([...moved.positions.data]).toEqual(
        Array.from(still.positions.data, (position, i) => position + start[Math.floor(i / (tokens || 1))]!),
      );
      expect(moved.next).toEqual(still.next.map((next, axis) => next + start[axis]!));
    }),
    runs,
  );
});

test("law: the rest of a row starts where its beginning ends", () => {
  fc.assert(
    fc.property(row, fc.nat(6), ({ axes, segments, start }, cut) => {
      const whole = lists(segments, axes);
      const first = place(segments.slice(0, cut), { axes });
      const rest = place(segments.slice(cut), { axes, start: first.next });
      const tokens = first.positions.shape[1]!;
      const restTokens = rest.positions.shape[1]!;
      whole.forEach((list, axis) => {
        expect(list).toEqual([
          ...first.positions.data.subarray(axis * tokens, (axis + 1) * tokens),
          ...rest.positions.data.subarray(axis * restTokens, (axis + 1) * restTokens),
        ]);
      });
      expect(start.length).toBe(axes);
    }),
    runs,
  );
});

test("law: a grid alone is gridPositions", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 4 }), (grid) => {
      expect(place([{ grid, advance: "max" }], { axes: grid.length }).positions).toEqual(gridPositions(grid));
    }),
    runs,
  );
});

const grid = { grid: [1, 2, 2], advance: "max" } as const;
const segments: readonly [string, unknown][] = [
  ["none", undefined],
  ["no object", 5],
  ["no kind", { advance: "max" }],
  ["two kinds", { ...grid, text: 1 }],
  ["half a token", { text: 1.5 }],
  ["text with a rule", { text: 1, advance: "max" }],
  ["no rule", { grid: [1, 2, 2] }],
  ["a rule that does not exist", { ...grid, advance: "grid" }],
  ["a rule of no number", { ...grid, advance: NaN }],
  ["another number of axes", { ...grid, grid: [2, 2] }],
  ["a negative side", { ...grid, grid: [1, -2, 2] }],
  ["a side of text", { ...grid, grid: [1, "2", 2] }],
  ["fractions as int32", { ...grid, grid: [[0, 0.5], 2, 2] }],
  ["offsets of no number", { offsets: [[NaN], [0], [0]], advance: 1 }],
  ["offsets of unequal length", { offsets: [[0], [0, 1], [0]], advance: 1 }],
  ["offsets of another number of axes", { offsets: [[0], [0]], advance: 1 }],
  ["an origin of another number of axes", { ...grid, origin: [0] }],
  ["an origin of no number", { ...grid, origin: ["start", "end", 0] }],
  ["positions beyond 32 bits", { ...grid, origin: ["start", 2 ** 31 - 1, 0] }],
  ["more than memory holds", { ...grid, grid: [2 ** 50, 2, 2] }],
  ["sides whose product is no number", { ...grid, grid: [0, ...new Array<number>(24).fill(2 ** 52)] }],
  ["an unknown key", { ...grid, times: [0] }],
];
describe("place refuses a segment with", () => {
  test.each(segments)("%s", (name, one) => {
    expect(() => place([{ text: 1 }, one as PromptSegment], { axes: name.startsWith("sides") ? 25 : 3 })).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^ROPE_(SHAPE|INVALID_PARAMETERS)$/) as string }),
    );
  });
});
test.each<[string, unknown]>([
  ["no axes", {}],
  ["half an axis", { axes: 0.5 }],
  ["more axes than a rope has", { axes: 257 }],
  ["axes without end", { axes: 2 ** 45 }],
  ["a start of no number", { axes: 3, start: NaN }],
  ["starts for other axes", { axes: 3, start: [0, 0] }],
  ["a start that is null", { axes: 3, start: null }],
  ["an unknown dtype", { axes: 3, dtype: "float16" }],
  ["the name of a method as dtype", { axes: 3, dtype: "toString" }],
  ["an unknown key", { axes: 3, starts: 1 }],
  ["null", null],
])("place refuses options with %s", (_, options) => {
  try {
    place([{ text: 1 }], options as { axes: number; dtype: keyof PositionArrays });
    expect.unreachable();
  } catch (error) {
    expect(RopeError.is(error), `${error as Error}`).toBe(true);
  }
});

import { RopeError } from "@ropewalk/core";
import { fixtures } from "@ropewalk/goldens";
import { describe, expect, test } from "vitest";
import { gridPositions, maskedPositions, packedPositions, promptPositions, visionPositions } from "../src/positions.ts";
import type { PatchGrid, PromptOptions } from "../src/positions.ts";

const prompts = fixtures("positions").flatMap(({ model, module, mergeSize, tokensPerSecond, cases }) =>
  cases.map((entry) => ({
    name: `${model}: ${entry.name}`,
    entry,
    options: {
      modalities: entry.modalities,
      images: (entry.images ?? []) as unknown as PatchGrid[],
      videos: (entry.videos ?? []) as unknown as PatchGrid[],
      ...(entry.mask === undefined ? {} : { attentionMask: entry.mask }),
      mergeSize,
      advance: "grid",
      time: /^(qwen3|glm4v)/.test(module)
        ? "timestamps"
        : tokensPerSecond === null
          ? "frames"
          : {
              tokensPerSecond,
              ...(entry.secondsPerGrid === undefined ? {} : { secondsPerGrid: entry.secondsPerGrid }),
            },
    } satisfies PromptOptions as PromptOptions,
  })),
);

test.each(prompts)("transformers' get_rope_index: $name", ({ entry, options }) => {
  const { positions, deltas } = promptPositions(options);
  expect([...positions.data]).toEqual(entry.positions.flat(2));
  expect(positions.shape).toEqual([3, entry.modalities.length, entry.modalities[0]!.length]);
  expect(deltas).toEqual(entry.delta);
});

test("engines differ in where text goes on after a video, not after an image", () => {
  // rope-position facts: a video (8, 4, 4) that starts at 5 ends at 12; text goes on at 13, or at 5 + 4/2 = 7.
  const modalities = [[0, 0, 0, 0, 0, ...new Array<number>(32).fill(2), 0]];
  const next = (advance: "max" | "grid"): number =>
    promptPositions({ modalities, videos: [[8, 4, 4]], advance }).positions.data[37]!;
  expect([next("max"), next("grid")]).toEqual([13, 7]);
  const image = [[0, 1, 1, 1, 1, 1, 1, 0]];
  const after = (advance: "max" | "grid"): number =>
    promptPositions({ modalities: image, images: [[1, 4, 6]], advance }).positions.data[7]!;
  expect([after("max"), after("grid")]).toEqual([4, 4]);
});

describe("ndrope, run with cargo", () => {
  const cases = fixtures("ndrope").flatMap((fixture) => (fixture.kind === "positions" ? fixture.cases : []));
  test.each(cases.map((entry) => [`${entry.function} ${entry.grid.join(" × ")}`, entry] as const))(
    "%s",
    (_, { function: name, grid, positions }) => {
      const { data, shape } = name === "pos_nd" ? gridPositions(grid) : visionPositions([[1, grid[0]!, grid[1]!]]);
      expect([...data]).toEqual(positions.flat());
      expect(shape).toEqual([positions.length, positions[0]!.length]);
    },
  );
  test("are all compared", () =>
    expect(new Set(cases.map(({ function: name }) => name))).toEqual(new Set(["pos_nd", "pos_2d_qwen2vl_vit"])));
});

test.each(fixtures("vision").filter(({ builder }) => Array.isArray(builder["positions"])))(
  "transformers' patch order: $model",
  ({ builder }) => {
    const { grid, mergeSize, positions } = builder as unknown as {
      grid: [number, number, number];
      mergeSize: number;
      positions: number[][];
    };
    const built = visionPositions([grid], mergeSize);
    expect([...built.data]).toEqual(positions.flat());
    expect(visionPositions([grid.map(BigInt) as unknown as PatchGrid], mergeSize)).toEqual(built);
  },
);

test("packed and padded text", () => {
  expect([...packedPositions([3, 0, 2])]).toEqual([0, 1, 2, 0, 1]);
  expect([...packedPositions([2n, 1n])]).toEqual([0, 1, 0]);
  const mask = [
    [0, 0, 1, 1],
    [1, 1, 1, 1],
  ];
  expect([...maskedPositions(mask).data]).toEqual([0, 0, 0, 1, 0, 1, 2, 3]);
  expect([...maskedPositions(mask, { fill: 1, past: 10 }).data]).toEqual([1, 1, 10, 11, 10, 11, 12, 13]);
});

test("several images follow each other, frames repeat", () => {
  const { data, shape } = visionPositions([
    [2, 2, 2],
    [1, 2, 4],
  ]);
  expect(shape).toEqual([2, 16]);
  expect([...data.subarray(0, 16)]).toEqual([0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1]);
  expect([...data.subarray(16)]).toEqual([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3]);
});

const prompt = (options: Partial<PromptOptions>): PromptOptions => ({
  modalities: [[0, 1, 1, 1, 1, 0]],
  images: [[1, 4, 4]],
  advance: "max",
  ...options,
});
test.each<[string, () => unknown]>([
  ["no rule of advance", () => promptPositions({ ...prompt({}), advance: undefined as never })],
  ["too few tokens for an image", () => promptPositions(prompt({ modalities: [[0, 1, 1, 1, 0]] }))],
  ["an image without a grid", () => promptPositions(prompt({ images: [] }))],
  [
    "a grid without an image",
    () =>
      promptPositions(
        prompt({
          images: [
            [1, 4, 4],
            [1, 4, 4],
          ],
        }),
      ),
  ],
  ["a grid that does not merge", () => promptPositions(prompt({ images: [[1, 5, 4]] }))],
  ["a kind that is none", () => promptPositions(prompt({ modalities: [[0, 3, 0]], images: [] }))],
  ["rows of unequal length", () => promptPositions(prompt({ modalities: [[0, 1, 1, 1, 1, 0], [0]] }))],
  ["a mask of another length", () => promptPositions(prompt({ attentionMask: [[1, 1]] }))],
  ["a negative size", () => gridPositions([2, -1])],
  ["half a token", () => packedPositions([1.5])],
  ["rows of masks of unequal length", () => maskedPositions([[1], [1, 1]])],
])("refuses %s", (_, build) => {
  try {
    build();
    expect.unreachable();
  } catch (error) {
    expect(RopeError.is(error) && error.code).toBe("ROPE_SHAPE");
  }
});

import { RopeError } from "@ropewalk/core";
import { fixtures } from "@ropewalk/goldens";
import { describe, expect, test } from "vitest";
import {
  gridPositions,
  maskedPositions,
  packedPositions,
  promptPositions,
  visionPositions,
} from "../src/positions/index.ts";
import type { PatchGrid, PromptOptions } from "../src/positions/index.ts";

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
          : // Without seconds, the engine takes 1 for each video.
            { tokensPerSecond, secondsPerGrid: entry.secondsPerGrid ?? (entry.videos ?? []).map(() => 1) },
    } satisfies PromptOptions as PromptOptions,
  })),
);

test.each(prompts)("transformers' get_rope_index: $name", ({ entry, options }) => {
  const { positions, deltas } = promptPositions(options);
  expect([...positions.data]).toEqual(entry.positions.flat(2));
  expect(positions.shape).toEqual([3, entry.modalities.length, entry.modalities[0]!.length]);
  expect(deltas).toEqual(entry.delta);
});

test("engines differ in where text continues after a video, not after an image", () => {
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
  ["a missing advance", () => promptPositions({ ...prompt({}), advance: undefined as never })],
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
  ["an unknown kind of token", () => promptPositions(prompt({ modalities: [[0, 3, 0]], images: [] }))],
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

const wrong: readonly unknown[] = [
  undefined,
  null,
  5,
  "x",
  {},
  [],
  true,
  Symbol("s"),
  () => 5,
  [[]],
  [{}],
  [null],
  new DataView(new ArrayBuffer(8)),
];
const builders: Readonly<Record<string, (value: never, ...more: never[]) => unknown>> = {
  gridPositions,
  maskedPositions,
  packedPositions,
  promptPositions,
  visionPositions,
};
/** Empty lists that give an empty batch. */
const empty: Readonly<Record<string, readonly string[]>> = {
  maskedPositions: ["[]", "[[]]"],
  packedPositions: ["[]"],
  visionPositions: ["[]"],
};

describe.each(Object.entries(builders))("%s refuses with an error of its own", (name, build) => {
  test.each(wrong.map((value) => [value] as const))("%o", (value) => {
    const given = Array.isArray(value) ? JSON.stringify(value) : "";
    if (empty[name]?.includes(given)) build(value as never);
    else expect(RopeError.is(thrownBy(() => build(value as never)))).toBe(true);
  });
});

test.each(["images", "videos", "attentionMask", "mergeSize", "time", "advance", "modalities"] as const)(
  "promptPositions refuses a wrong %s",
  (key) => {
    const options = prompt({});
    for (const value of wrong) {
      const absent = value === undefined && key !== "advance" && key !== "modalities" && key !== "images";
      const none = Array.isArray(value) && value.length === 0 && key === "videos";
      const build = (): unknown => promptPositions({ ...options, [key]: value as never });
      if (absent || none) build();
      else expect(RopeError.is(thrownBy(build)), `${key}: ${typeof value}`).toBe(true);
    }
  },
);

test.each<[string, () => unknown, RegExp]>([
  [
    "promptPositions",
    () => promptPositions({ ...prompt({}), mergesize: 2 } as never),
    /"mergesize".*Did you mean "mergeSize"/,
  ],
  ["time", () => promptPositions(prompt({ time: { tokenPerSecond: 2 } as never })), /Did you mean "tokensPerSecond"/],
  ["maskedPositions", () => maskedPositions([[1]], { filled: 1 } as never), /Did you mean "fill"/],
])("a misspelt key in the options of %s is named, with the nearest", (_, build, text) => {
  expect(build).toThrow(expect.objectContaining({ code: "ROPE_INVALID_PARAMETERS" }));
  expect(build).toThrow(text);
});

const video = { modalities: [[2, 2]], images: [], videos: [[2, 2, 2]] } satisfies Partial<PromptOptions>;
test.each<[string, () => unknown]>([
  ["a wrong merge size of a tower", () => visionPositions([[1, 4, 4]], "2" as never)],
  ["a fraction as fill", () => maskedPositions([[0]], { fill: 0.5 })],
  ["a mask of other numbers", () => maskedPositions([[-10_000]])],
  ["a mask of text", () => promptPositions(prompt({ attentionMask: [["1", "1", "1", "1", "1", "1"]] as never }))],
  ["a past beyond 32 bits", () => maskedPositions([[1]], { past: 2 ** 31 })],
  ["more than memory holds", () => gridPositions([2 ** 40, 2 ** 40])],
  ["more sequences than memory holds", () => packedPositions([Number.MAX_SAFE_INTEGER, 1])],
  [
    "more frames than tokens",
    () => promptPositions(prompt({ ...video, videos: [[2 ** 40, 2, 2]], time: "timestamps" })),
  ],
  [
    "times beyond 32 bits",
    () => promptPositions(prompt({ ...video, time: { tokensPerSecond: 2 ** 40, secondsPerGrid: [1] } })),
  ],
  [
    "no tokens per second",
    () => promptPositions(prompt({ ...video, time: { tokensPerSecond: Number.NaN, secondsPerGrid: [1] } })),
  ],
  [
    "seconds of another number of videos",
    () => promptPositions(prompt({ ...video, time: { tokensPerSecond: 1, secondsPerGrid: [1, 1] } })),
  ],
])("refuses %s", (_, build) => {
  expect(build).toThrow(expect.objectContaining({ code: "ROPE_SHAPE" }));
});

test("masks may hold bigints and booleans", () => {
  expect([...maskedPositions([[0n, 1n, 1n]]).data]).toEqual([0, 0, 1]);
  expect([...maskedPositions([[false, true]] as never).data]).toEqual([0, 0]);
  const mask = [BigInt64Array.of(0n, 1n, 1n, 1n, 1n, 1n)] as never;
  expect(promptPositions(prompt({ attentionMask: mask })).deltas).toEqual([-2]);
});

function thrownBy(build: () => unknown): unknown {
  try {
    build();
  } catch (error) {
    return error;
  }
  return undefined;
}

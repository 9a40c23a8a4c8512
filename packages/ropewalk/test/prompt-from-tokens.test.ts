import { RopeError } from "@ropewalk/core";
import { fixtures } from "@ropewalk/goldens";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { promptPositionsFromTokens } from "../src/index.ts";
import type { PromptTokens } from "../src/index.ts";

const prompts = fixtures("positions/tokens").flatMap(({ cases, configs }) =>
  cases.map((entry, i) => {
    const { attentionMask, config, imageGrids, inputIds, secondsPerGrid, videoGrids } = entry;
    const options: PromptTokens = {
      config: configs[config],
      inputIds,
      attentionMask,
      imageGrids,
      secondsPerGrid,
      videoGrids,
    };
    return { name: `${configs[config]!.model_type}, prompt ${i}`, entry, options };
  }),
);

test.each(prompts)("transformers' positions: $name", ({ entry, options }) => {
  const prompt = promptPositionsFromTokens(options);
  const { deltas, positions } = prompt;
  const [batch, tokens] = [entry.inputIds.length, entry.inputIds[0]!.length];
  expect([...positions.data].map(Number)).toEqual(entry.positions);
  expect(positions.shape).toEqual([3, batch, tokens]);
  expect([...deltas.data].map(Number)).toEqual(entry.deltas);
  expect(deltas.shape).toEqual([batch, 1]);
  const { positions: after, steps } = entry.decoded;
  const decoded = promptPositionsFromTokens({
    config: options.config,
    inputIds: entry.inputIds.map(() => new Array<number>(steps).fill(1000)),
    past: prompt,
  });
  expect([...decoded.positions.data].map(Number)).toEqual(after);
  expect(decoded).toMatchObject({ deltas, cacheDeltas: prompt.cacheDeltas, length: tokens + steps });
});

test("the goldens have every family, every padding, images and videos", () => {
  expect(new Set(prompts.map(({ name }) => name.split(",")[0])).size).toBe(16);
  const count = (has: (options: PromptTokens) => boolean): number =>
    prompts.filter(({ options }) => has(options)).length;
  const masked = (row: (mask: readonly number[]) => boolean): number =>
    prompts.filter(({ entry }) => entry.attentionMask?.some(row)).length;
  expect(count(({ attentionMask }) => attentionMask === undefined)).toBeGreaterThan(20);
  expect(masked(([first]) => first === 0)).toBeGreaterThan(20);
  expect(masked((mask) => mask.at(-1) === 0)).toBeGreaterThan(20);
  expect(count(({ imageGrids, videoGrids }) => imageGrids != null && videoGrids != null)).toBeGreaterThan(40);
});

test("rows may be nested lists or tensors, of numbers or bigints", () => {
  for (const { options } of prompts) {
    const expected = promptPositionsFromTokens(options);
    const tensor = (rows: unknown, key: "dims" | "shape"): never => {
      const list = rows as number[][] | undefined;
      return (list && {
        data: BigInt64Array.from(list.flat(), BigInt),
        [key]: [list.length, list[0]!.length],
      }) as never;
    };
    const { attentionMask, imageGrids, inputIds, videoGrids } = options;
    for (const key of ["dims", "shape"] as const) {
      const made = {
        ...options,
        inputIds: tensor(inputIds, key),
        attentionMask: tensor(attentionMask, key) ?? null,
        imageGrids: tensor(imageGrids, key) ?? null,
        videoGrids: tensor(videoGrids, key) ?? null,
      };
      expect(promptPositionsFromTokens(made)).toEqual(expected);
    }
  }
});

describe("laws on random prompts", () => {
  const [start, end, image, video] = [1, 2, 7, 8];
  const config = { model_type: "qwen2_vl", image_token_id: image, video_token_id: video };
  const side = fc.integer({ min: 1, max: 4 });
  const part = fc.oneof(
    fc.array(fc.constantFrom(3, 4, 5), { maxLength: 4 }).map((ids) => ({ ids, images: [], videos: [] })),
    fc.tuple(side, side).map(([h, w]) => ({
      ids: [start, ...new Array<number>(h * w).fill(image), end],
      images: [[1, 2 * h, 2 * w]],
      videos: [],
    })),
    fc.tuple(side, side, side).map(([t, h, w]) => ({
      ids: [start, ...new Array<number>(t * h * w).fill(video), end],
      images: [],
      videos: [[t, 2 * h, 2 * w]],
    })),
  );
  type Part = typeof part extends fc.Arbitrary<infer T> ? T : never;
  const rows = fc.array(fc.array(part, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 3 });
  const idsOf = (parts: readonly Part[]): number[] => [3, ...parts.flatMap(({ ids }) => ids)];
  const gridsOf = (batch: readonly (readonly Part[])[]): Pick<PromptTokens, "imageGrids" | "videoGrids"> => ({
    imageGrids: batch.flat().flatMap(({ images }) => images),
    videoGrids: batch.flat().flatMap(({ videos }) => videos),
  });
  const padded = (all: number[][], left: boolean): Pick<PromptTokens, "inputIds" | "attentionMask"> => {
    const longest = Math.max(...all.map(({ length }) => length));
    const pad = <T>(row: T[], filling: T): T[] => {
      const lack = new Array<T>(longest - row.length).fill(filling);
      return left ? [...lack, ...row] : [...row, ...lack];
    };
    return {
      inputIds: all.map((row) => pad(row, 0)),
      attentionMask: all.map((row) =>
        pad(
          row.map(() => 1),
          0,
        ),
      ),
    };
  };

  test("what is decoded, or comes in a second turn, stands where it would stand in one prompt", () => {
    const law = fc.property(rows, rows, fc.boolean(), (first, second, left) => {
      const batch = Math.min(first.length, second.length);
      const turns = [first.slice(0, batch), second.slice(0, batch)] as const;
      const [one, two] = turns.map(
        (turn) => ({ config, ...gridsOf(turn), ...padded(turn.map(idsOf), left), advance: "max" }) as const,
      );
      const begun = promptPositionsFromTokens(one!);
      const rest = promptPositionsFromTokens({ ...two!, past: begun });
      const join = (a: unknown, b: unknown): number[][] =>
        (a as number[][]).map((row, i) => [...row, ...(b as number[][])[i]!]);
      const whole = promptPositionsFromTokens({
        ...one!,
        ...gridsOf(turns[0].map((parts, i) => [...parts, ...turns[1][i]!])),
        inputIds: join(one!.inputIds, two!.inputIds),
        attentionMask: join(one!.attentionMask, two!.attentionMask),
      });
      const tail = [...whole.positions.data].filter((_, i) => i % whole.length >= begun.length);
      expect([...rest.positions.data]).toEqual(tail);
      expect(rest).toMatchObject({ deltas: whole.deltas, cacheDeltas: whole.cacheDeltas, length: whole.length });
    });
    fc.assert(law);
  });

  test("padding changes the position of no token, and a row is as it is alone", () => {
    const law = fc.property(rows, fc.boolean(), (batch, left) => {
      const options = { config, ...gridsOf(batch), ...padded(batch.map(idsOf), left) };
      const { deltas, positions } = promptPositionsFromTokens(options);
      const mask = (options.attentionMask as number[][]).flat();
      const real = [...positions.data].filter((_, i) => mask[i % mask.length] === 1);
      const alone = batch.map((parts) =>
        promptPositionsFromTokens({ config, inputIds: [idsOf(parts)], ...gridsOf([parts]) }),
      );
      const axis = (which: number): bigint[] =>
        alone.flatMap(({ positions: { data } }) => [
          ...data.subarray((which * data.length) / 3, ((which + 1) * data.length) / 3),
        ]);
      expect(real).toEqual([0, 1, 2].flatMap(axis));
      expect([...deltas.data]).toEqual(alone.flatMap((one) => [...one.deltas.data]));
      expect(alone.every((one) => one.deltas.data[0] === one.cacheDeltas.data[0])).toBe(true);
    });
    fc.assert(law);
  });
});

const qwen = { config: { model_type: "qwen2_vl" }, inputIds: [[1, 151655, 151655, 2]], imageGrids: [[1, 2, 4]] };
const after = { config: { model_type: "qwen2_vl" }, inputIds: [[3]] };
const past = { length: 4, deltas: [[0]], cacheDeltas: [[0]] };
const clip = { config: { model_type: "qwen2_5_vl" }, inputIds: [[1, 151656, 151656, 2]], videoGrids: [[2, 2, 2]] };

test.each<[string, () => unknown, string, RegExp]>([
  [
    "an image without a grid",
    () => promptPositionsFromTokens({ ...qwen, imageGrids: null }),
    "ROPE_SHAPE",
    /"imageGrids" does not fit.*none for token 1 of row 0/,
  ],
  [
    "too few tokens",
    () => promptPositionsFromTokens({ ...qwen, imageGrids: [[1, 4, 4]] }),
    "ROPE_SHAPE",
    /"inputIds\[0\]" does not fit: expected 4 tokens of an image in a row, one for 2 × 2 patches of imageGrids\[0\] = 1 × 4 × 4, got 2 fewer/,
  ],
  [
    "too few at the end",
    () => promptPositionsFromTokens({ ...qwen, inputIds: [[1, 151655]] }),
    "ROPE_SHAPE",
    /got 1 fewer/,
  ],
  [
    "too many tokens",
    () => promptPositionsFromTokens({ ...qwen, imageGrids: [[1, 2, 2]] }),
    "ROPE_SHAPE",
    /none for token 2 of row 0/,
  ],
  [
    "a grid without tokens",
    () => promptPositionsFromTokens({ ...qwen, inputIds: [[1, 2]] }),
    "ROPE_SHAPE",
    /imageGrids\[0\], for which there are no tokens/,
  ],
  [
    "a video's grid for an image",
    () => promptPositionsFromTokens({ ...qwen, imageGrids: undefined, videoGrids: [[1, 2, 4]] }),
    "ROPE_SHAPE",
    /"imageGrids"/,
  ],
  [
    "a grid that does not merge",
    () => promptPositionsFromTokens({ ...qwen, imageGrids: [[1, 3, 4]] }),
    "ROPE_SHAPE",
    /multiples of 1 × 2 × 2.*got 1 × 3 × 4/,
  ],
  [
    "a grid of two numbers",
    () => promptPositionsFromTokens({ ...qwen, imageGrids: [[2, 4]] }),
    "ROPE_SHAPE",
    /got 2 numbers/,
  ],
  [
    "odd frames of Ernie",
    () =>
      promptPositionsFromTokens({
        config: { model_type: "ernie4_5_vl_moe" },
        inputIds: [[1, 103367]],
        videoGrids: [[3, 2, 2]],
      }),
    "ROPE_SHAPE",
    /multiples of 2 × 2 × 2/,
  ],
  ["no seconds", () => promptPositionsFromTokens(clip), "ROPE_SHAPE", /"secondsPerGrid".*1 videos, got nothing/],
  [
    "seconds of another number of videos",
    () => promptPositionsFromTokens({ ...clip, secondsPerGrid: [1, 1] }),
    "ROPE_SHAPE",
    /secondsPerGrid/,
  ],
  [
    "seconds that are no number",
    () => promptPositionsFromTokens({ ...clip, secondsPerGrid: [Number.NaN] }),
    "ROPE_SHAPE",
    /secondsPerGrid/,
  ],
  [
    "seconds that are no list",
    () => promptPositionsFromTokens({ ...clip, secondsPerGrid: 1 as never }),
    "ROPE_SHAPE",
    /secondsPerGrid/,
  ],
  [
    "seconds that nothing reads",
    () => promptPositionsFromTokens({ ...qwen, secondsPerGrid: [1] }),
    "ROPE_INVALID_PARAMETERS",
    /nothing for qwen2_vl/,
  ],
  [
    "an unknown option",
    () => promptPositionsFromTokens({ ...qwen, image_grid_thw: [] } as never),
    "ROPE_INVALID_PARAMETERS",
    /image_grid_thw/,
  ],
  [
    "an unknown model",
    () => promptPositionsFromTokens({ ...qwen, config: { model_type: "llama" } }),
    "ROPE_CONFIG",
    /llama/,
  ],
  ["no config", () => promptPositionsFromTokens({ ...qwen, config: undefined }), "ROPE_CONFIG", /config/],
  ["no options", () => promptPositionsFromTokens(undefined as never), "ROPE_INVALID_PARAMETERS", /options/],
  [
    "ids of text",
    () => promptPositionsFromTokens({ ...qwen, inputIds: ["12"] as never }),
    "ROPE_SHAPE",
    /inputIds\[0\]/,
  ],
  ["fractions", () => promptPositionsFromTokens({ ...qwen, inputIds: [[0.5]] }), "ROPE_SHAPE", /inputIds\[0\]/],
  [
    "a tensor of one axis",
    () => promptPositionsFromTokens({ ...qwen, inputIds: { data: [1, 2], dims: [2] } }),
    "ROPE_SHAPE",
    /shape \[2\]/,
  ],
  [
    "a tensor of another size",
    () => promptPositionsFromTokens({ ...qwen, inputIds: { data: [1, 2], dims: [1, 3] } }),
    "ROPE_SHAPE",
    /2 elements of shape \[1, 3\]/,
  ],
  [
    "a tensor without sizes",
    () => promptPositionsFromTokens({ ...qwen, inputIds: { data: [1, 2] } as never }),
    "ROPE_SHAPE",
    /inputIds/,
  ],
  [
    "a mask of other numbers",
    () => promptPositionsFromTokens({ ...qwen, attentionMask: [[2, 1, 1, 1]] }),
    "ROPE_SHAPE",
    /attentionMask/,
  ],
  [
    "a mask of symbols",
    () => promptPositionsFromTokens({ ...qwen, attentionMask: [[Symbol("s"), 1, 1, 1]] as never }),
    "ROPE_SHAPE",
    /attentionMask/,
  ],
  [
    "a mask of another length",
    () => promptPositionsFromTokens({ ...qwen, attentionMask: [[1, 1]] }),
    "ROPE_SHAPE",
    /attentionMask\[0\]/,
  ],
  [
    "rows of unequal length",
    () => promptPositionsFromTokens({ ...qwen, inputIds: [[1, 151655, 151655], [1]] }),
    "ROPE_SHAPE",
    /inputIds\[1\].*3 tokens, as in row 0, got 1/,
  ],
  [
    "an unknown advance",
    () => promptPositionsFromTokens({ ...qwen, advance: "min" as never }),
    "ROPE_SHAPE",
    /advance/,
  ],
  [
    "a negative cache",
    () => promptPositionsFromTokens({ ...after, past: { ...past, length: -1 } }),
    "ROPE_SHAPE",
    /past\.length/,
  ],
  [
    "deltas of another batch",
    () => promptPositionsFromTokens({ ...after, past: { ...past, deltas: [[0], [0]] } }),
    "ROPE_SHAPE",
    /past\.deltas.*1 rows, got 2 rows/,
  ],
  [
    "deltas of two columns",
    () => promptPositionsFromTokens({ ...after, past: { ...past, cacheDeltas: [[0, 1]] } }),
    "ROPE_SHAPE",
    /past\.cacheDeltas/,
  ],
  [
    "deltas of other prompts",
    () => promptPositionsFromTokens({ ...after, past: { ...past, deltas: [[-1]] } }),
    "ROPE_SHAPE",
    /Pass the result of one call/,
  ],
  [
    "a misspelt past",
    () => promptPositionsFromTokens({ ...after, past: { ...past, len: 2 } as never }),
    "ROPE_INVALID_PARAMETERS",
    /the option past[^]*"len"/,
  ],
])("refuses %s", (_, build, code, text) => {
  try {
    build();
    expect.unreachable();
  } catch (error) {
    expect(RopeError.is(error) && error.code, String(error)).toBe(code);
    expect((error as Error).message).toMatch(text);
  }
});

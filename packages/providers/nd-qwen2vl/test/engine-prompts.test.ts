/** promptPositions against the engines' own builders, run on random prompts, and against their frame times. */

import { bytes, fixtures } from "@ropewalk/goldens";
import { describe, expect, test } from "vitest";
import { promptPositions } from "../src/positions/index.ts";
import type { PatchGrid, PromptOptions } from "../src/positions/index.ts";

/** The rule of each family. Families with builders of their own are not among them. */
const rules: Readonly<Record<string, Pick<PromptOptions, "advance"> & { time?: "timestamps"; precision?: "float64" }>> =
  {
    qwen2_vl: { advance: "grid" },
    qwen2_5_vl: { advance: "grid" },
    qwen3_vl: { advance: "grid", time: "timestamps" },
    "vllm-qwen2_vl": { advance: "max" },
    "vllm-qwen2_5_vl": { advance: "max", precision: "float64" },
    "vllm-qwen3_vl": { advance: "max", time: "timestamps" },
    "vllm-keye": { advance: "max", time: "timestamps" },
    "vllm-keye_vl1_5": { advance: "max", time: "timestamps" },
    "vllm-bailing_moe_v3_vl": { advance: "max" },
    // Two tokens stand between the frames of a video.
    "vllm-openpangu_vl": { advance: "grid", time: "timestamps" },
    ernie4_5_vl_moe: { advance: "grid" },
    "vllm-ernie45_vl": { advance: "max" },
  };
const digits = (rows: readonly string[]): number[][] => rows.map((row) => Array.from(row, Number));

const families = fixtures("positions/prompts").filter(({ family }) => Object.hasOwn(rules, family));
test("every family of the list has prompts", () =>
  expect(families.map(({ family }) => family).sort()).toEqual(Object.keys(rules).sort()));

describe.each(families)("$entry of $source.engine $source.version", ({ family, prompts, settings }) => {
  const { advance, precision, time } = rules[family]!;
  test.each(prompts.map((prompt, i) => [i, prompt] as const))("prompt %i", (_, prompt) => {
    const { images = [], mask, mergeSize = settings.mergeSize, videos = [] } = prompt;
    const { temporalMergeSize, tokensPerSecond } = settings;
    // Without seconds, the engines take 1 for each video.
    const secondsPerGrid = prompt.secondsPerGrid ?? videos.map(() => 1);
    const options: PromptOptions = {
      modalities: digits(prompt.modalities),
      images: images as unknown as PatchGrid[],
      videos: videos as unknown as PatchGrid[],
      ...(mask === undefined ? {} : { attentionMask: digits(mask) }),
      ...(mergeSize === undefined ? {} : { mergeSize }),
      ...(temporalMergeSize === undefined ? {} : { temporalMergeSize }),
      ...(time === undefined ? {} : { time }),
      ...(tokensPerSecond === undefined
        ? {}
        : { time: { tokensPerSecond, secondsPerGrid, ...(precision === undefined ? {} : { precision }) } }),
      advance,
    };
    const { positions, deltas } = promptPositions(options);
    expect([...positions.data]).toEqual(prompt.positions.flat(2));
    expect(deltas).toEqual(prompt.deltas);
  });
});

describe.each(fixtures("positions/time"))("frame times of $source.engine $source.version", (fixture) => {
  const { frames, secondsPerGrid, times, tokensPerSecond } = fixture;
  test.each(Object.entries(times))("seconds given as %s: 400 rates of 400 frames", (given, { longer, steps }) => {
    const precision = given === "vllm" ? "float64" : "float32";
    const bits = bytes(longer);
    const wrong = steps.filter((step, rate) => {
      // transformers multiplies seconds of a list in float64. A processor gives a float32 tensor, the rule here:
      // the two are the same for products with a power of two.
      if (given === "float64" && tokensPerSecond[rate] === 25) return false;
      const expected = [0];
      for (let k = 1; k < frames; k++) {
        const bit = rate * (frames - 1) + k - 1;
        expected.push(expected[k - 1]! + step + ((bits[bit >> 3]! >> (bit & 7)) & 1));
      }
      const time = {
        tokensPerSecond: tokensPerSecond[rate]!,
        secondsPerGrid: [secondsPerGrid[rate]!],
        precision,
      } as const;
      const modalities = [new Array<number>(frames).fill(2)];
      const { positions } = promptPositions({ modalities, videos: [[frames, 2, 2]], time, advance: "grid" });
      return expected.some((position, k) => position !== positions.data[k]);
    });
    expect(wrong).toEqual([]);
    expect(steps.length).toBe(400);
  });
});

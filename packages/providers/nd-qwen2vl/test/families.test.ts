/** The builders of families with rules of their own, against the engines' builders, run on random prompts. */

import { RopeError } from "@ropewalk/core";
import { fixtures } from "@ropewalk/goldens";
import type { AnsweredPrompt, PromptsFixture } from "@ropewalk/goldens";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  AUDIO,
  glmImagePositions,
  hunyuanVlPositions,
  hyV4VlPositions,
  IMAGE,
  isaacPositions,
  miniCpmVPositions,
  omniPositions,
  prunedVideoPositions,
  TEXT,
  VIDEO,
} from "../src/positions/index.ts";
import type { AxisPositions, CropSize, PatchGrid } from "../src/positions/index.ts";

const seed = Number(process.env["ROPEWALK_SEED"] ?? 20_261_128);
const runs = { seed, numRuns: 150 };

interface Answer {
  readonly positions: AxisPositions<Int32Array | Float32Array>;
  readonly deltas: readonly number[];
  readonly generated?: readonly AxisPositions[];
}
type Build = (prompt: AnsweredPrompt, settings: PromptsFixture["settings"]) => Answer;

const digits = (rows: readonly string[]): number[][] => rows.map((row) => Array.from(row, Number));
/** What the engine was given, as the builders take it. */
const given = ({ images, mask, modalities, videos }: AnsweredPrompt) => ({
  modalities: digits(modalities),
  ...(mask === undefined ? {} : { attentionMask: digits(mask) }),
  ...(images === undefined ? {} : { images: images as unknown as PatchGrid[] }),
  ...(videos === undefined ? {} : { videos: videos as unknown as PatchGrid[] }),
});

const marks = { imageStart: 1, imageEnd: 2, sliceStart: 3, sliceEnd: 4, newline: 5 };
const canvas: Build = (prompt) => {
  const { images, videos, ...rows } = given(prompt);
  return miniCpmVPositions({
    ...rows,
    ...(images === undefined ? {} : { images: images as unknown as CropSize[] }),
    ...(videos === undefined ? {} : { videos: videos as unknown as CropSize[] }),
    inputIds: prompt.markers!.map((row) => Array.from(row, (mark) => "<>()n".indexOf(mark) + 1)),
    tokens: marks,
    mergeSize: prompt.mergeSize as 2 | 4,
  });
};

/** The modalities before pruning: the engine's prompt has only the tokens that stay. */
function unpruned({ frames, kept = [], modalities, videos = [] }: AnsweredPrompt, merge: number): number[][] {
  const row = digits(modalities)[0]!;
  const cells = videos.map((grid) => (grid[1]! * grid[2]!) / merge ** 2);
  const whole: number[] = [];
  let video = 0;
  let frame = 0;
  row.forEach((kind, i) => {
    if (kind !== VIDEO) whole.push(kind);
    const starts = frames === undefined ? kind === VIDEO && row[i - 1] !== VIDEO : frames.includes(i);
    if (!starts) return;
    whole.push(...new Array<number>(frames === undefined ? kept[video]!.length : cells[video]!).fill(VIDEO));
    if (frames === undefined || ++frame === videos[video]![0]) {
      video++;
      frame = 0;
    }
  });
  return [whole];
}
const pruned =
  (family: "qwen2_5_vl" | "qwen3_vl"): Build =>
  (prompt, { mergeSize, tokensPerSecond }) => {
    const { attentionMask: _, ...rows } = given(prompt);
    const seconds = prompt.secondsPerGrid;
    return prunedVideoPositions({
      ...rows,
      family,
      modalities: unpruned(prompt, mergeSize!),
      kept: digits(prompt.kept!),
      ...(seconds === undefined ? {} : { secondsPerGrid: seconds, tokensPerSecond: tokensPerSecond! }),
    });
  };

const omni =
  (family: "qwen2_5_omni" | "qwen3_omni_moe"): Build =>
  (prompt, { positionsPerSecond }) =>
    omniPositions({
      ...given(prompt),
      family,
      positionsPerSecond: positionsPerSecond!,
      audioInVideo: prompt.audioInVideo!,
      ...(prompt.secondsPerGrid === undefined ? {} : { secondsPerGrid: prompt.secondsPerGrid }),
    });

const builders: Readonly<Record<string, Build>> = {
  qwen2_5_omni: omni("qwen2_5_omni"),
  qwen3_omni_moe: omni("qwen3_omni_moe"),
  hunyuan_vl: (prompt) => hunyuanVlPositions({ ...given(prompt), axes: prompt.positions.length as 3 | 4 }),
  hy_v4_vl: (prompt) => hyV4VlPositions(given(prompt)),
  minicpmv4_7: canvas,
  glm_image: (prompt) =>
    glmImagePositions({ ...given(prompt), generated: prompt.generated as unknown as PatchGrid[][] }),
  "vllm-isaac": (prompt) => isaacPositions(given(prompt)),
  "vllm-evs-qwen2_5_vl": pruned("qwen2_5_vl"),
  "vllm-evs-qwen3_vl": pruned("qwen3_vl"),
};

const families = fixtures("positions/prompts").filter(({ family }) => Object.hasOwn(builders, family));

test("every builder has at least 30 prompts", () => {
  expect(families.map(({ family }) => family).sort()).toEqual(Object.keys(builders).sort());
  for (const { prompts } of families) expect(prompts.length).toBeGreaterThanOrEqual(30);
});

describe.each(families)("$entry of $source.engine $source.version", ({ family, prompts, settings }) => {
  test.each(prompts.map((prompt, i) => [i, prompt] as const))("prompt %i", (_, prompt) => {
    const { deltas, generated, positions } = builders[family]!(prompt, settings);
    // Padding has position 0 here; the engine writes 1 in some families, and attention never sees it.
    const real = prompt.mask?.map((row) => Array.from(row, (one) => one === "1"));
    const expected = prompt.positions.map((axis) =>
      axis.map((row, i) => row.map((position, token) => (real?.[i]?.[token] === false ? 0 : position))),
    );
    expect([...positions.data]).toEqual(expected.flat(2));
    expect(positions.shape).toEqual([expected.length, expected[0]!.length, expected[0]![0]!.length]);
    if (prompt.deltas !== undefined) expect(deltas).toEqual(prompt.deltas);
    generated?.forEach(({ data, shape }, row) => {
      // The engine repeats the last token in rows that draw less.
      const tokens = prompt.decoding!.map((axis) => axis[row]!);
      const padded = [0, 1, 2].map((axis) =>
        tokens[axis]!.map((_, t) => data[axis * shape[1]! + Math.min(t, shape[1]! - 1)]!),
      );
      expect(padded).toEqual(tokens);
    });
  });
});
void [AUDIO, IMAGE, TEXT, RopeError, fc, runs];

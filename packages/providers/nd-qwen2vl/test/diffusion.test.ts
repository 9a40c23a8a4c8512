import { RopeError } from "@ropewalk/core";
import { fixtures } from "@ropewalk/goldens";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { diffusionPositions, gridPositions } from "../src/positions/index.ts";
import type { DiffusionPrompt } from "../src/positions/index.ts";

const goldens = fixtures("positions/diffusion");
/** Models that number their grid from 0 and do nothing else. */
const grids = new Set(["wan", "hunyuan-video", "hunyuan-image"]);

describe.each(goldens)("diffusers' positions: $model", ({ model, cases }) => {
  test.each(cases.map((entry, i) => [i, entry] as const))("case %i", (_, { prompt, positions, shape }) => {
    const built = grids.has(model)
      ? gridPositions(prompt["grid"] as number[])
      : diffusionPositions({ model, ...prompt } as DiffusionPrompt);
    expect(built.shape).toEqual(shape);
    expect([...built.data]).toEqual(positions);
  });
});

/** The census as a test: every measured class has the rope of its file, and the check sees what it has to see. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { classFactsText } from "../class-facts.ts";
import { compareAll, compareModel } from "../compare.ts";
import { pageText, readmeCounts } from "../page.ts";
import { readCensus } from "../results.ts";
import type { Census, MeasuredModel, MeasuredRope } from "../results.ts";

const census = readCensus("transformers");
const outcomes = compareAll(census);
const censusOfMlx = readCensus("mlx-lm");
const ofMlx = compareAll(censusOfMlx);

test("no class of transformers is silently different", () => {
  const different = outcomes.filter(({ result }) => result === "different");
  expect(different.map(({ modelType, file, why }) => `${modelType} (${file}): ${why}`)).toEqual([]);
});

test("no class of mlx-lm is silently different", () => {
  const different = ofMlx.filter(({ result }) => result === "different");
  expect(different.map(({ modelType, file, why }) => `${modelType} (${file}): ${why}`)).toEqual([]);
  expect(ofMlx.filter(({ result }) => result === "equal").length).toBeGreaterThan(75);
});

test("the census has every class, and most of those with a rope were run", () => {
  expect(Object.keys(census.models).length).toBeGreaterThan(800);
  expect(outcomes.filter(({ file, result }) => file === "full" && result === "equal").length).toBeGreaterThan(200);
});

test("the page and the table of defaults are up to date", () => {
  const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");
  expect(read("docs/coverage.md") === pageText(outcomes, ofMlx), "docs/coverage.md: npm run census").toBe(true);
  expect(read("README.md")).toContain(readmeCounts(outcomes, ofMlx));
  expect(read("packages/config/src/facts/class-facts.ts") === classFactsText(), "class-facts.ts: npm run census").toBe(
    true,
  );
});

describe("a planted fault is found by name", () => {
  /** What the check says of a class if the engine had done something else. */
  const say = (modelType: string, change: (model: MeasuredModel, all: Census) => Census | MeasuredModel): string => {
    const made = change(census.models[modelType]!, census);
    const all = "models" in made ? made : census;
    const model = "models" in made ? made.models[modelType]! : made;
    return compareModel(modelType, model, all)[0]!.why;
  };
  const withRope = (model: MeasuredModel, more: Partial<MeasuredRope>): MeasuredModel => ({
    ...model,
    ropes: model.ropes!.map((rope) => ({ ...rope, ...more })),
  });

  test("a wrong pairing", () => {
    expect(say("qwen3", (model) => withRope(model, { pairing: "adjacent" }))).toBe(
      "layer 0: element 0 is paired with 64, and element 0 with 1 in the class",
    );
  });

  test("a flipped direction", () => {
    expect(say("qwen3", (model) => withRope(model, { direction: -1 }))).toBe("layer 0: pair 0 turns the other way");
  });

  test("a lost layer exception", () => {
    expect(say("smollm3", (model) => ({ ...model, layers: model.layers!.map(() => 0) }))).toBe(
      "layer 3: no rope, and the class rotates",
    );
  });

  test("a wrong base", () => {
    const other = census.models["mixtral"]!.ropes![0]!.frequencies;
    expect(say("qwen3", (model) => withRope(model, { frequencies: other }))).toMatch(
      /^layer 0: pair 1 has frequency 0\.86\d+ instead of 0\.80\d+$/,
    );
  });

  test("a wrong amplitude, another axis, another slice of the head", () => {
    expect(say("qwen3", (model) => withRope(model, { attentionFactor: 1.2 }))).toBe(
      "layer 0: amplitude 1 instead of 1.2",
    );
    const axes = Array.from({ length: 64 }, (_, pair) => pair % 2);
    expect(say("qwen3", (model) => withRope(model, { axes }))).toBe("layer 0: pair 1 follows axis 0 instead of 1");
    expect(say("phi", (model) => withRope(model, { rotaryOffset: 2 }))).toMatch(/^layer 0: element 0 is paired/);
  });

  test("in mlx-lm: a class that is not listed, and a listed class that is equal", () => {
    const { variants, ...model } = censusOfMlx.models["llama"]!;
    expect(variants?.["yarn"]?.ropes?.[0]?.attentionFactor).toBeCloseTo(1 + 0.1 * Math.log(4), 6);
    const say = (name: string, made: MeasuredModel): string[] =>
      compareAll({ ...censusOfMlx, models: { [name]: made } }).flatMap(({ modelType, result, why }) =>
        modelType === name ? [`${result}: ${why}`] : [],
      );
    expect(say("llama", model)).toEqual(["equal: "]);
    expect(say("llama", withRope(model, { pairing: "adjacent" }))).toEqual([
      "different: layer 0: element 0 is paired with 64, and element 0 with 1 in the class",
    ]);
    const { variants: _, ...glm } = censusOfMlx.models["glm"]!;
    expect(say("glm", glm)).toEqual(["differs with reason: layer 0: 64 rotated elements instead of 128"]);
    expect(say("glm", { ...model, full: { ...model.full, model_type: "llama" } })).toEqual([
      "equal: ",
      "different: it is listed as different, and is not",
    ]);
  });
});

/** Transformers of diffusers, compared with what their rope modules answered; `fixtures/diffusers_ropes.py` ran them. */

import { readFileSync } from "node:fs";
import { ropesFromConfig } from "@ropewalk/config";
import { describe, expect, test } from "vitest";
import { diffuserNames, diffuserOf } from "../src/facts/diffusers.ts";
import { deepFreeze, failure } from "./helpers.ts";
import type { Json } from "./helpers.ts";

interface Fixture {
  readonly classes: readonly { readonly config: Json; readonly answer: number }[];
  /** The query 1, 2, 3, … after rotation at each position. */
  readonly answers: readonly { readonly positions: readonly number[][]; readonly output: readonly number[][] }[];
}

const { answers, classes } = JSON.parse(
  readFileSync(new URL("fixtures/diffusers.json", import.meta.url), "utf8"),
) as Fixture;

describe.each(classes)("$config._class_name in diffusers", ({ answer, config }) => {
  const isWide = diffuserOf(String(config["_class_name"]))!.kind === "wide";

  test("rotates the same elements by the same angles", () => {
    const ropes = ropesFromConfig(deepFreeze(structuredClone(config)), { precision: "float64" });
    const rope = ropes.forLayer(0)!;
    const { output, positions } = answers[answer]!;
    expect(output.length).toBe(2);
    positions.forEach((position, i) => {
      const query = Float64Array.from({ length: rope.headDim }, (_, element) => element + 1);
      rope.apply({ positions: position.map((coordinate) => [coordinate]), query });
      // LTX: angles up to 10000 · π/2, rounded to float32 four times. Others: up to 64 rad, of frequencies in float32.
      const turn = isWide ? 10_000 * (Math.PI / 2) * 4 * 2 ** -24 : 64 * 3 * 2 ** -24;
      query.forEach((value, element) => {
        const difference = Math.abs(value - output[i]![element]!);
        expect(difference, `position ${position}, element ${element}`).toBeLessThan(2 * rope.headDim * turn);
      });
    });
  });

  test("says what its positions are", () => {
    const { axes } = ropesFromConfig(config).positionsOf(0)!;
    expect(axes.length).toBe(answers[answer]!.positions[0]!.length);
  });

  test("the defaults of the class are those of the fixture", () => {
    const { _class_name, ...stated } = config;
    // LTX's fixture has two heads, CogVideoX rotates only if its flag is set.
    const flags = Object.fromEntries(Object.entries(stated).filter(([, value]) => value === true));
    const silent = ropesFromConfig({ _class_name, ...flags });
    if (!isWide) expect(silent.forLayer(0)).toBe(ropesFromConfig(config).forLayer(0));
    else expect(silent.forLayer(0)!.headDim).toBe(_class_name === "LTX2VideoTransformer3DModel" ? 4096 : 2048);
  });
});

test("every class of the table that rotates ran", () => {
  const rotates = diffuserNames().filter((name) => ["axes", "wide", "cyclic"].includes(diffuserOf(name)!.kind));
  const ran = new Set(classes.map(({ config }) => config["_class_name"]));
  // The same class as JoyImageEdit's, for several images.
  expect(rotates.filter((name) => !ran.has(name))).toEqual(["JoyImageEditPlusTransformer3DModel"]);
});

void failure;

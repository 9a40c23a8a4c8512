/** Positions of image and video transformers, against diffusers, run on random sizes. */

import { RopeError } from "@ropewalk/core";
import { fixtures } from "@ropewalk/goldens";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { diffusionRules } from "../src/positions/diffusion-rules.ts";
import { diffusionPositions } from "../src/positions/index.ts";
import type { DiffusionFamily, DiffusionPrompt } from "../src/positions/index.ts";

const seed = Number(process.env["ROPEWALK_SEED"] ?? 20_261_128);
const goldens = fixtures("positions/diffusion");
const families = Object.keys(diffusionRules) as DiffusionFamily[];
const promptOf = (family: string, sizes: object): DiffusionPrompt => ({ family, ...sizes }) as DiffusionPrompt;
/** A call with options of any form. */
const build = (prompt: unknown) => diffusionPositions(prompt as DiffusionPrompt);

test("every family has a golden, of at least 12 sizes", () => {
  expect(goldens.map(({ family }) => family).sort()).toEqual([...families].sort());
  for (const { cases } of goldens) expect(cases.length).toBeGreaterThanOrEqual(12);
});

describe.each(goldens)("diffusers' positions: $family", ({ cases, family }) => {
  test.each(cases.map((entry, i) => [i, entry] as const))("case %i", (_, { positions, prompt, shape }) => {
    const built = diffusionPositions(promptOf(family, prompt));
    expect(built.shape).toEqual(shape);
    expect([...built.data]).toEqual(positions);
  });
});

test("fractions are float32, everything else int32; the types say which", () => {
  const whole: Int32Array = diffusionPositions({ family: "wan", grid: [1, 2n, 2] }).data;
  const fractions: Float32Array = diffusionPositions({ family: "flux-3", text: 1, image: [1, 2] }).data;
  expect([...whole]).toEqual([0, 0, 0, 0, 0, 0, 1, 1, 0, 1, 0, 1]);
  expect([...fractions]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0.5, 0, 0, 0]);
  const unions: (Int32Array | Float32Array)[] = goldens.map(
    ({ cases, family }) => diffusionPositions(promptOf(family, cases[0]!.prompt)).data,
  );
  expect(unions.some((data) => data instanceof Int32Array)).toBe(true);
});

test("an unknown family is refused, with the nearest name", () => {
  const error = { code: "ROPE_SHAPE", message: expect.stringContaining('"flux-2"') };
  expect(() => build({ family: "flux-22", text: 1, image: [1, 1] })).toThrow(expect.objectContaining(error));
  for (const prompt of [undefined, null, {}, "flux", { family: "toString" }, { family: 1 }]) {
    expect(() => build(prompt)).toThrow(expect.objectContaining({ code: "ROPE_SHAPE" }));
  }
});

test("sizes that no side can have are refused before memory is taken", () => {
  for (const text of [2 ** 24 + 1, 2 ** 40, 1e300, -1, 0.5, NaN, "3"]) {
    expect(() => build({ family: "qwen-image", text, images: [[1, 1, 1]] })).toThrow(
      expect.objectContaining({ code: "ROPE_SHAPE" }),
    );
  }
});

test("no image, and a condition of two frames, are refused", () => {
  for (const prompt of [
    { family: "qwen-image", text: 1, images: [] },
    { family: "qwen-image-layered", text: 1, images: [] },
    {
      family: "qwen-image-layered",
      text: 1,
      images: [
        [1, 1, 1],
        [2, 1, 1],
      ],
    },
  ]) {
    expect(() => build(prompt)).toThrow(expect.objectContaining({ code: "ROPE_SHAPE" }));
  }
});

/** The golden prompts, with one place of one of them changed. */
const places = goldens.flatMap(({ cases, family }) =>
  cases.flatMap(({ prompt }) => pathsOf(prompt).map((path) => ({ family, prompt, path }))),
);
function pathsOf(value: unknown): (string | number)[][] {
  if (typeof value !== "object" || value === null) return [[]];
  const inner = Object.entries(value).flatMap(([key, each]) => pathsOf(each).map((path) => [key, ...path]));
  return [[], ...inner];
}
function changed(value: unknown, path: readonly (string | number)[], put: unknown): unknown {
  if (path.length === 0) return put;
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<string | number, unknown>;
  copy[path[0]!] = changed(copy[path[0]!], path.slice(1), put);
  return copy;
}
const odd = fc.oneof(
  fc.integer({ min: -2, max: 9 }),
  fc.bigInt({ min: -2n, max: 9n }),
  fc.double(),
  fc.constantFrom(2 ** 24 + 1, 2 ** 31, 2 ** 53, Number.MAX_VALUE, 1e-320, 10n ** 30n),
  fc.constantFrom<unknown>(Symbol("x"), new Date(0), new Map(), () => 1, /x/, Object.create(null), new Proxy({}, {})),
  fc.array(fc.integer({ min: -1, max: 4 }), { maxLength: 4 }),
  fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }).map((list) => Float32Array.from(list)),
  fc.anything({ withBigInt: true, withTypedArray: true, maxDepth: 2 }),
);

test("any value anywhere gives positions or a RopeError", () => {
  let answers = 0;
  let errors = 0;
  fc.assert(
    fc.property(fc.constantFrom(...places), odd, ({ family, path, prompt }, put) => {
      const input = changed(prompt, path, put);
      try {
        const { data, shape } = build(typeof input === "object" && input !== null ? { family, ...input } : input);
        const { axes } = diffusionRules[family as DiffusionFamily];
        answers++;
        expect(shape).toEqual([axes, data.length / axes]);
        expect(data.every(Number.isFinite)).toBe(true);
      } catch (error) {
        if (!RopeError.is(error)) throw error;
        errors++;
      }
    }),
    { seed, numRuns: 4000 },
  );
  expect(Math.min(answers, errors)).toBeGreaterThan(300);
});

test("a key that a family does not have is refused, at any depth", () => {
  const isObject = (value: unknown): boolean => typeof value === "object" && value !== null && !Array.isArray(value);
  const at = (value: unknown, path: readonly (string | number)[]): unknown =>
    path.reduce((inner, key) => (inner as Record<string | number, unknown>)[key], value);
  const objects = places.filter(({ path, prompt }) => isObject(at(prompt, path)));
  fc.assert(
    fc.property(fc.constantFrom(...objects), fc.string({ minLength: 1 }), ({ family, path, prompt }, key) => {
      fc.pre(!["text", "image", ...diffusionRules[family as DiffusionFamily].keys, "family"].includes(key as never));
      const object = at(prompt, path) as object;
      const input = changed(prompt, path, Object.fromEntries([...Object.entries(object), [key, 1]]));
      expect(() => build({ family, ...(input as object) })).toThrow(
        expect.objectContaining({ code: "ROPE_INVALID_PARAMETERS" }),
      );
    }),
    { seed, numRuns: 500 },
  );
});

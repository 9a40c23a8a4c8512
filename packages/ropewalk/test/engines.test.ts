/** docs/engines.md is correct: its code runs, and what it says of MLX's frequencies holds for those that MLX made. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fixtures } from "@ropewalk/goldens";
import { getRopeUntyped } from "ropewalk";
import { expect, test } from "vitest";

const page = readFileSync(new URL("../../../docs/engines.md", import.meta.url), "utf8");

test("the code of the page, one block after the other, prints what its comments say", () => {
  const code = [...page.matchAll(/```js\n([^]*?)```/g)].map(([, block]) => block).join("\n");
  const said = [...code.matchAll(/^\s*console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text]) => text);
  expect(said.length).toBeGreaterThan(14);
  const printed = execFileSync(process.execPath, ["--input-type=module", "--eval", code], {
    cwd: new URL("..", import.meta.url),
    encoding: "utf8",
  });
  expect(printed.trimEnd().split("\n")).toEqual(said);
});

// Types whose requests say what mlx-lm computes; it reads other keys than ours for the rest.
const alike = [
  "llama3-32",
  "llama3-8",
  "proportional-factor",
  "proportional",
  "yarn-4",
  "yarn-betas",
  "yarn-mscale-both",
];
const lists = fixtures("mlx").filter(({ name }) => alike.includes(name));

/** Units in the last place between two float32 numbers of one sign. */
function ulps(a: number, b: number): number {
  const [x, y] = new Uint32Array(Float32Array.of(a, b).buffer);
  return Math.abs(x! - y!);
}

test("MLX's own lists are there", () => {
  expect(lists.map(({ name }) => name)).toEqual(alike);
});

test.each(lists)(
  "periods are the freqs of mlx-lm: $name",
  ({ request: { dialect: _, ...request }, invFreqReciprocals }) => {
    const periods = getRopeUntyped(request).periods();
    const theirs = invFreqReciprocals!.map((value) => value ?? Infinity);
    expect(periods).toHaveLength(theirs.length);
    periods.forEach((period, i) => {
      expect(Number.isFinite(period), `pair ${i}`).toBe(Number.isFinite(theirs[i]!));
      // The frequencies are within 2 units, as everywhere; the reciprocal is rounded once more.
      if (Number.isFinite(period)) expect(ulps(period, theirs[i]!), `pair ${i}`).toBeLessThanOrEqual(3);
    });
  },
);

test.each(lists)("MLX turns by position · (1 / period) in float32: $name", ({ positions, pairs, cos, ...rest }) => {
  const { fround } = Math;
  const theirs = rest.invFreqReciprocals!.map((value) => value ?? Infinity);
  const amplitude = rest.attentionFactor ?? 1;
  (positions as readonly number[]).forEach((position, t) =>
    (pairs as readonly number[]).forEach((pair, i) => {
      const angle = fround(position * fround(1 / theirs[pair]!));
      // cos and sin of a float32 angle to two units, the amplitude's product to one more: of numbers below the
      // amplitude.
      expect(Math.abs(cos[t]![i]! - amplitude * Math.cos(angle))).toBeLessThanOrEqual(3 * 2 ** -23 * amplitude);
    }),
  );
});

test.each([
  { headDim: 128, base: 500_000 },
  { headDim: 128, base: 10_000 },
  { headDim: 64, base: 1_000_000 },
  { headDim: 80, rotaryDim: 32, base: 10_000 },
])("1 / period gives back every frequency of a plain rope: %j", (request) => {
  const rope = getRopeUntyped({ ...request, parameters: { ropeType: "default" } });
  expect(Float64Array.from(rope.periods(), (period) => Math.fround(1 / period))).toEqual(rope.frequencies().invFreq);
});

test("and of another rope every frequency to one unit", () => {
  for (const { request } of lists) {
    const { dialect: _, ...own } = request;
    const rope = getRopeUntyped(own);
    const { invFreq } = rope.frequencies();
    rope.periods().forEach((period, i) => expect(ulps(Math.fround(1 / period), invFreq[i]!)).toBeLessThanOrEqual(1));
  }
});

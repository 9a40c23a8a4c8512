/** The plot, compared with drawings by hand. */

import { expect, test } from "vitest";
import { plotWavelengths, short } from "../src/cli/plot.ts";
import type { PlottedPair } from "../src/cli/plot.ts";

const plain = (text: string): string => text;
const palette = { bold: plain, dim: plain, green: plain, yellow: plain, cyan: plain, red: plain };
const pairs = (...wavelengths: number[]): PlottedPair[] =>
  wavelengths.map((wavelength, pair) => ({ pair, wavelength, regime: "" }));

/** Three decades of ten columns each. */
const draw = (drawn: readonly PlottedPair[], positions: number | null): string =>
  plotWavelengths(drawn, {
    context: positions === null ? null : { word: "context", positions },
    width: 31,
    palette,
  }).join("\n");

test("columns are logarithmic; the context is marked in each line that does not cover it", () => {
  expect(draw(pairs(10, 100, 1000, 10_000), 1000)).toBe(
    `
pairs  wavelength                     context 1000
0      10          ━                   │
1      100                   ━         │
2      1k                              ━
3      10k                             │         ━
                   ┴─────────┴─────────┴─────────┴
                   10        100       1k      10k
`.slice(1, -1),
  );
});

test("many neighbouring pairs share a line; a new regime, or the end of rotation, begins a new line", () => {
  const many = pairs(...Array.from({ length: 40 }, (_, i) => 10 ** (1 + i / 13)), Infinity, Infinity).map((one) => ({
    ...one,
    regime: one.pair < 20 ? "kept" : "slowed",
  }));
  const lines = draw(many, null).split("\n").slice(1, -2);
  expect(lines.map((line) => line.slice(0, 13).trim().split(" ")[0])).toEqual([
    "0–2",
    "3–5",
    "6–8",
    "9–11",
    "12–14",
    "15–17",
    "18–19",
    "20–22",
    "23–25",
    "26–28",
    "29–31",
    "32–34",
    "35–37",
    "38–39",
    "40–41",
  ]);
  expect(lines.at(-1)).toMatch(/^40–41 +not rotated +slowed$/);
});

test("nothing rotated, and no context, still draws", () => {
  expect(draw(pairs(Infinity), null)).toContain("not rotated");
});

test.each([
  [6.2832, "6.28"],
  [999.4, "999"],
  [999.6, "1k"],
  [35_300, "35.3k"],
  [999_600, "1M"],
  [2.0253e7, "20.3M"],
  [0.5, "0.5"],
  [2e15, "2.00e+15"],
])("%d is short %s", (value, text) => {
  expect(short(value)).toBe(text);
});

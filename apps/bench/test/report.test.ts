/** The published speeds agree with the committed report. */

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { published } from "../src/published.ts";
import type { Report } from "../src/report.ts";
import { rows } from "../src/rows.ts";

const committed = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");
const report = JSON.parse(committed("docs/speed.json")) as Report;
const readme = committed("README.md");
const files = published(report, readme);

test.each(["README.md", "docs/speed.md", "docs/speed.svg", "docs/speed.json"])(
  "%s is what npm run bench:report writes",
  (path) => {
    expect(files[path]).toBe(committed(path));
  },
);

test("README keeps nothing of an older report, and text outside the marks does not change", () => {
  const between = /(?<=<!-- bench:start -->)[^]*(?=<!-- bench:end -->)/;
  const stale = readme.replace(between, "\nan older table\n");
  expect(stale).toContain("an older table");
  expect(published(report, stale)["README.md"]).toBe(readme);
  expect(() => published(report, stale.replace("<!-- bench:end -->", ""))).toThrow(
    /README.md: expected <!-- bench:start -->/,
  );
});

test("every contestant in README's table has run, and has a line in the chart", () => {
  const names = report.races[0]!.results.map(({ name }) => name);
  for (const { name, label, short } of rows) {
    expect(names).toContain(name);
    expect(files["README.md"]).toMatch(
      new RegExp(`^\\| ${label.replaceAll(/[().]/g, "\\$&")} \\|( [\\d.]+ \\|)+$`, "m"),
    );
    expect(files["docs/speed.svg"]).toContain(`>${short}</text>`);
  }
});

test("a contestant that did not run has a dash", () => {
  const [race] = report.races;
  const results = race!.results.filter(({ name }) => name !== "tfjs, wasm");
  const other = published({ ...report, races: [{ ...race!, results }] }, readme);
  expect(other["README.md"]).toContain("| tfjs, WebAssembly | – |");
  expect(other["docs/speed.svg"]).not.toContain(">tfjs<");
});

test.each([[report.races], [report.races.slice(0, 1)]])("all places in the chart are within it", (races) => {
  const svg = published({ ...report, races }, readme)["docs/speed.svg"]!;
  const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)!.map(Number);
  const places = [...svg.matchAll(/[ML]([^\sHL"]+) ([^\sHL"]+)|cx="([^"]+)" cy="([^"]+)"/g)].map(
    ([, a, b, c, d]) => [Number(a ?? c), Number(b ?? d)] as const,
  );
  expect(places.length).toBeGreaterThan(3 * rows.length);
  expect(places.filter(([x, y]) => !(x > 0 && x < width! && y > 0 && y < height!))).toEqual([]);
});

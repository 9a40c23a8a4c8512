import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { groupsOf } from "../src/report.ts";
import type { Report } from "../src/report.ts";
import { mainGroup } from "../src/speed-page.ts";

const folder = mkdtempSync(join(tmpdir(), "ropewalk-bench-"));
const file = join(folder, "report.json");
let output = "";
let report: Report;

// A separate process, as in `npm run bench`: the float16 contestants need a process without Float16Array.
beforeAll(() => {
  const main = fileURLToPath(new URL("../dist/main.js", import.meta.url));
  output = execFileSync(process.execPath, [main, "--smoke", "--json", file], { encoding: "utf8" });
  report = JSON.parse(readFileSync(file, "utf8")) as Report;
});
afterAll(() => rmSync(folder, { recursive: true }));

test("every contestant rotates float32 in both pairings, within rounding of the reference", () => {
  const all = [
    "ropewalk, arrays, apply",
    "ropewalk js, apply",
    "ropewalk js, step",
    "ropewalk wasm, arena, step",
    "onnxruntime-node, 1 thread",
    "onnxruntime-node, 2 threads",
    "onnxruntime-web, wasm",
    "tfjs, wasm",
    "jax-js, wasm, jit",
    "loop, tables",
    "loop, cos and sin inside",
    "copy, TypedArray.set",
  ];
  const races = report.races.filter(({ dtype, cold }) => dtype === "float32" && !cold);
  expect(races.map(({ pairing, tokens }) => `${pairing} ${tokens}`)).toEqual([
    "half 1",
    "half 3",
    "adjacent 1",
    "adjacent 3",
  ]);
  for (const { results } of races) {
    expect(results.map(({ name }) => name)).toEqual(expect.arrayContaining(all));
    for (const { check } of results) expect(check.error).toBeLessThanOrEqual(check.tolerance);
  }
});

test("what one type and pairing cost with cold caches is a table of its own", () => {
  const cold = report.races.filter((race) => race.cold);
  expect(cold.map(({ dtype, pairing, tokens }) => `${dtype} ${pairing} ${tokens}`)).toEqual([
    "float32 half 1",
    "float32 half 3",
  ]);
  const titles = groupsOf(report.races).map(({ title, members }) => `${title.split(":")[0]} ${members.length}`);
  expect(titles).toEqual([
    "float32, half 2",
    "float32, half, cold 2",
    "float32, adjacent 2",
    "float16, half 2",
    "float16, adjacent 2",
  ]);
  expect(mainGroup(report).members.some((race) => race.cold)).toBe(false);
});

test("ropewalk and both builds of onnxruntime rotate float16", () => {
  for (const { results } of report.races.filter(({ dtype }) => dtype === "float16")) {
    expect(results.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["ropewalk js, step", "onnxruntime-node, 1 thread", "onnxruntime-web, wasm"]),
    );
  }
});

test("the report has the computer, the software, and every ratio to the two yardsticks", () => {
  expect(report.machine).toMatchObject({
    node: process.versions.node,
    date: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    cpu: expect.any(String),
  });
  const { results } = report.races[0]!;
  expect(results.map(({ source }) => source)).toEqual(
    expect.arrayContaining([expect.stringMatching(/^@ropewalk\/core \d/), "onnxruntime-node 1.30.0"]),
  );
  for (const { timesFasterThan } of results) {
    expect(Object.keys(timesFasterThan).sort()).toEqual([report.limit, report.yardstick].sort());
  }
  expect(results.find(({ name }) => name === report.yardstick)!.timesFasterThan[report.yardstick]).toBe(1);
});

test("cos and sin of the plain loop, of JavaScript and of WebAssembly are equal bit for bit", () => {
  const { rows, pairs, ways } = report.costs.tables;
  expect([rows, pairs]).toEqual([256, 64]);
  expect(ways.map(({ name, arrays, differentValues }) => `${name}, ${arrays}: ${differentValues}`)).toEqual(
    ["plain loop", "rope.cosSin, JavaScript", "rope.cosSin, WebAssembly"].flatMap((name) => [
      `${name}, new: 0`,
      `${name}, given: 0`,
    ]),
  );
});

test("a rope keeps no table of the positions that it has seen", () => {
  const { positions, oneTokenKilobytes, allTokensKilobytes } = report.costs.memory;
  expect(positions).toBe(2048);
  // A table of 64 float32 pairs would take 1024 kB. The last row and the frequencies take a few.
  expect(oneTokenKilobytes).toBeLessThan(64);
  expect(allTokensKilobytes).toBeLessThan(64);
});

test("keys rotated into a cache equal keys that are rotated, then copied", () => {
  // Compared bit for bit before they are timed.
  expect(report.costs.fusedWrites.map(({ tokens, dtype }) => `${tokens} ${dtype}`)).toEqual(
    [1, 128, 2048].flatMap((tokens) => ["float32", "float16", "bfloat16"].map((dtype) => `${tokens} ${dtype}`)),
  );
});

test("a smoke test prints no times", () => {
  const count = report.races.flatMap(({ results }) => results).length;
  expect(output.endsWith(`\n${count} results checked\n`)).toBe(true);
  expect(output).not.toMatch(/µs|ms\b/);
});

test("every contestant of the pass gives the layer's queries, keys and values", () => {
  const pass = fileURLToPath(new URL("../dist/pass-race.js", import.meta.url));
  // Each result is compared with float64 before it is timed.
  const text = execFileSync(process.execPath, [pass, "--smoke"], { encoding: "utf8" });
  expect(text).toBe("14 results checked\n");
});

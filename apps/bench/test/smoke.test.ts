import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Report } from "../src/report.ts";

const folder = mkdtempSync(join(tmpdir(), "ropewalk-bench-"));
const file = join(folder, "report.json");
let output = "";
let report: Report;

// A process of its own, as `npm run bench` has it: the float16 contestants need a world without Float16Array.
beforeAll(() => {
  const main = fileURLToPath(new URL("../dist/main.js", import.meta.url));
  output = execFileSync(process.execPath, [main, "--smoke", "--json", file], { encoding: "utf8" });
  report = JSON.parse(readFileSync(file, "utf8")) as Report;
});
afterAll(() => rmSync(folder, { recursive: true }));

test("every contestant rotates float32 in both pairings, within rounding of the reference", () => {
  const all = ["ropewalk js, apply", "ropewalk js, step", "ropewalk wasm, arena, step", "onnxruntime-node, 1 thread", "onnxruntime-node, 2 threads", "onnxruntime-web, wasm", "tfjs, wasm", "jax-js, wasm, jit", "loop, tables", "loop, cos and sin inside", "copy, TypedArray.set"];
  const races = report.races.filter(({ dtype }) => dtype === "float32");
  expect(races.map(({ pairing, tokens }) => `${pairing} ${tokens}`)).toEqual(["half 1", "half 3", "adjacent 1", "adjacent 3"]);
  for (const { results } of races) {
    expect(results.map(({ name }) => name)).toEqual(expect.arrayContaining(all));
    for (const { check } of results) expect(check.error).toBeLessThanOrEqual(check.tolerance);
  }
});

test("ropewalk and both builds of onnxruntime rotate float16", () => {
  for (const { results } of report.races.filter(({ dtype }) => dtype === "float16")) {
    expect(results.map(({ name }) => name)).toEqual(expect.arrayContaining(["ropewalk js, step", "onnxruntime-node, 1 thread", "onnxruntime-web, wasm"]));
  }
});

test("the report says what ran where, and everybody's ratio to the two yardsticks", () => {
  expect(report.machine).toMatchObject({ node: process.versions.node, date: expect.stringMatching(/^\d{4}-\d\d-\d\dT/), cpu: expect.any(String) });
  const { results } = report.races[0]!;
  expect(results.map(({ source }) => source)).toEqual(expect.arrayContaining([expect.stringMatching(/^@ropewalk\/core \d/), "onnxruntime-node 1.30.0"]));
  for (const { timesFasterThan } of results) expect(Object.keys(timesFasterThan).sort()).toEqual([report.limit, report.yardstick].sort());
  expect(results.find(({ name }) => name === report.yardstick)!.timesFasterThan[report.yardstick]).toBe(1);
});

test("the tables of the plain loop and of cosSin are equal bit for bit", () => {
  expect(report.costs.table).toMatchObject({ rows: 256, pairs: 64, differentValues: 0 });
});

test("a rope keeps a block of rows for one position, not the whole table", () => {
  // 128 rows of 64 float32 pairs, twice, and a mark for each row: 64.1 kB; collection may free a little more meanwhile.
  expect(report.costs.memory.oneTokenKilobytes).toBeLessThan(100);
});

test("a smoke test prints no times", () => {
  const count = report.races.flatMap(({ results }) => results).length;
  expect(output.endsWith(`\n${count} results checked\n`)).toBe(true);
  expect(output).not.toMatch(/µs|ms\b/);
});

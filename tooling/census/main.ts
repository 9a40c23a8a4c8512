/**
 * Compares every measured class with the ropes of its file, and writes `docs/coverage.md` and the table of the
 * classes' defaults. `--check`: writes nothing, and fails if a class is silently different or a file is not up to date.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { classFactsText } from "./class-facts.ts";
import { compareAll } from "./compare.ts";
import { ggufCounts } from "./gguf.ts";
import { pageText, readmeCounts } from "./page.ts";
import { readCensus } from "./results.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const readme = readFileSync(`${root}README.md`, "utf8");
const outcomes = compareAll();
const ofMlx = compareAll(readCensus("mlx-lm"));
const files: readonly (readonly [string, string])[] = [
  ["packages/config/src/facts/class-facts.ts", classFactsText()],
  ["docs/coverage.md", pageText(outcomes, ofMlx)],
  [
    "README.md",
    readme.replace(/(<!-- coverage -->)[^]*?(<!-- \/coverage -->)/, `$1${readmeCounts(outcomes, ofMlx)}$2`),
  ],
];

const isCheck = process.argv.includes("--check");
const different = [...outcomes, ...ofMlx].filter(({ result }) => result === "different");
for (const { engine, modelType, file, why } of different) {
  console.error(`${engine} ${modelType} (${file}): ${why}`);
}
const ofGguf = ggufCounts().different;
for (const text of ofGguf) console.error(`llama.cpp ${text}`);
let stale = 0;
for (const [path, text] of files) {
  if (readFileSync(root + path, "utf8") === text) continue;
  if (isCheck) {
    stale++;
    console.error(`${path} is not up to date: npm run census`);
  } else writeFileSync(root + path, text);
}
const all = different.length + ofGguf.length;
console.log(
  `${outcomes.length} files of model classes, ${ofMlx.length} of mlx-lm and ${ggufCounts().equal} GGUF headers, ${all} silently different.`,
);
process.exitCode = all + stale === 0 ? 0 : 1;

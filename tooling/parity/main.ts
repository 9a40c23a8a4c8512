/**
 * `npm run parity`: writes packages/ropewalk/vectors.json and docs/parity.md; `--check` only says whether both are up
 * to date.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { collect } from "./collect.ts";
import { page, vectorsText } from "./page.ts";

const check = process.argv.includes("--check");
const root = new URL("../../", import.meta.url);
const files: [path: string, text: string][] = [
  ["packages/ropewalk/vectors.json", vectorsText(collect({ whole: false }))],
  ["docs/parity.md", page(collect())],
];
for (const [path, text] of files) {
  const url = new URL(path, root);
  if (check && readFileSync(url, "utf8") !== text) {
    console.error(`${path} is out of date: run npm run parity.`);
    process.exitCode = 1;
  } else if (!check) {
    writeFileSync(url, text);
    console.log(`${path} ${Math.round(Buffer.byteLength(text) / 1024)} kB`);
  }
}

/**
 * `npm run bench:report -- FILE`: writes docs/speed.json, docs/speed.md, docs/speed.svg and README's table from a
 * `--json` file.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { fromCaller } from "./machine.ts";
import { published } from "./published.ts";
import type { Report } from "./report.ts";

const { positionals } = parseArgs({ allowPositionals: true });
if (positionals.length !== 1) {
  throw new Error(`Expected one file, which npm run bench -- --json FILE has written; got ${positionals.length}.`);
}
const report = JSON.parse(readFileSync(fromCaller(positionals[0]!), "utf8")) as Report;
if (report.version !== 1) {
  throw new Error(
    `${positionals[0]}: expected a report of version 1, got ${String(report.version)}; run npm run bench -- --json again.`,
  );
}

const root = new URL("../../../", import.meta.url);
for (const [path, text] of Object.entries(published(report, readFileSync(new URL("README.md", root), "utf8")))) {
  writeFileSync(new URL(path, root), text);
  console.log(`${path} ${Math.ceil(Buffer.byteLength(text) / 1024)} kB`);
}

/**
 * `npm run community`: checks community.json and its reports, and writes docs/community.md; `--check` writes nothing.
 * `--fetch` also asks the npm registry whether the packages are there with their keyword; tests never do.
 */

import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { checkCommunity, problemText } from "./check.ts";
import { readJson, readListing } from "./listing.ts";
import type { Entry, Report } from "./listing.ts";
import { communityPage, pageFile } from "./page.ts";

const root = path.join(import.meta.dirname, "../..");

/** What npm knows about an entry, where it differs from the report. */
function published({ name, kind, report }: Entry): string[] {
  const { version } = (readJson(path.join(root, report)) as Report).package;
  const asked = spawnSync("npm", ["view", `${name}@${version}`, "keywords", "--json"], { encoding: "utf8" });
  if (asked.status !== 0) return [`${name}@${version}: npm does not have it, or cannot be asked. Publish it first.`];
  const keywords = asked.stdout.trim() === "" ? [] : (JSON.parse(asked.stdout) as unknown);
  if (Array.isArray(keywords) && keywords.includes(`ropewalk-${kind}`)) return [];
  return [`${name}@${version} on npm: expected the keyword ropewalk-${kind}, got ${JSON.stringify(keywords)}.`];
}

const problems = checkCommunity(root).map(problemText);
const { packages } = problems.length === 0 ? readListing(root) : { packages: [] };
if (process.argv.includes("--fetch")) {
  // Examples are on no registry.
  problems.push(...packages.filter(({ report }) => !report.startsWith("examples/")).flatMap(published));
}
for (const problem of problems) console.error(problem);
if (problems.length > 0) {
  process.exitCode = 1;
} else {
  const text = communityPage(root);
  const file = path.join(root, pageFile);
  if (!process.argv.includes("--check")) {
    writeFileSync(file, text);
    console.log(`${pageFile}: ${packages.length} packages`);
  } else if (readFileSync(file, "utf8") !== text) {
    console.error(`${pageFile} is out of date: run npm run community.`);
    process.exitCode = 1;
  }
}

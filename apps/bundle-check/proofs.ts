/**
 * `node apps/bundle-check/proofs.ts [words]`: what docs/packaging.md says of the packed packages, under every compiler
 * and bundler. Prints one line for each proof and their counts; words choose test files by their names.
 *
 * The tests are those of `npm test`; only the versions of TypeScript are more, which take a minute. Build before.
 */

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.resolve(import.meta.dirname, "../..");
/** About documents and the generator of new packages, not about the packages. */
const others = ["create.test.ts", "docs.test.ts"];
const words = process.argv.slice(2);
const files = readdirSync(path.join(import.meta.dirname, "test"))
  .filter((file) => file.endsWith(".test.ts") && !others.includes(file))
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)));
if (files.length === 0) {
  console.error(`No test file has ${words.join(" or ")} in its name.`);
  process.exit(1);
}

const vitest = path.join(path.dirname(fileURLToPath(import.meta.resolve("vitest/package.json"))), "vitest.mjs");
const { status } = spawnSync(
  process.execPath,
  [vitest, "run", ...files.map((file) => path.join("apps/bundle-check/test", file))],
  { cwd: root, stdio: "inherit", env: { ...process.env, ROPEWALK_PROOFS: "full" } },
);
process.exitCode = status ?? 1;

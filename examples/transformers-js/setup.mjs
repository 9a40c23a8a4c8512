/** Installs this example: transformers.js from the registry, and the packages of this checkout, packed as for release. */

import { execSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";

const here = import.meta.dirname;
const root = path.join(here, "../..");
const run = (command, cwd) => execSync(command, { cwd, stdio: "inherit" });

const packed = path.join(here, "packed");
rmSync(packed, { recursive: true, force: true });
mkdirSync(packed);
run("npm run --silent build", root);
const providers = readdirSync(path.join(root, "packages/providers")).map((name) => `packages/providers/${name}`);
for (const folder of ["packages/core", "packages/config", ...providers, "packages/ropewalk"]) {
  run(`npx -y pnpm@12.21.0 pack --pack-destination "${packed}"`, path.join(root, folder));
}
const tarballs = readdirSync(packed).map((name) => `"./packed/${name}"`);
// transformers.js needs no install script to run on the CPU.
run(`npm install --no-save --no-package-lock --ignore-scripts --no-audit --no-fund ${tarballs.join(" ")}`, here);

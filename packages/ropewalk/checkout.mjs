/**
 * `node checkout.mjs <module> …` runs a module of this package from a checkout of the repository, in the caller's
 * folder. First it installs and builds anything that is missing; it prints only failures. Not published.
 */

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = new URL("../../", import.meta.url);

function prepare(command) {
  const env = { ...process.env, TURBO_TELEMETRY_DISABLED: "1" };
  const { status, stdout, stderr } = spawnSync(command, {
    cwd: fileURLToPath(root),
    env,
    shell: true,
    encoding: "utf8",
  });
  if (status === 0) return;
  process.stderr.write(`${stdout}${stderr}\nropewalk: "${command}" failed in the repository.\n`);
  process.exit(1);
}

const installed = ["node_modules/turbo", "packages/ropewalk/node_modules"].every((path) =>
  existsSync(new URL(path, root)),
);
if (!installed) prepare("npm run --silent setup");
// By path: without npm, node_modules/.bin is not on PATH.
prepare(
  `${process.platform === "win32" ? "node_modules\\.bin\\turbo" : "node_modules/.bin/turbo"} run build --filter=ropewalk --output-logs=errors-only`,
);

// npm runs scripts in the repository's root; paths on the command line are the caller's.
process.chdir(process.env.INIT_CWD ?? ".");
const [module] = process.argv.splice(2, 1);
await import(new URL(module, import.meta.url));

/**
 * `npm run new:provider -- NAME [--type TYPE] [--description SENTENCE] [--engines hf,vllm]`: a provider in
 * packages/providers/NAME, with its entries everywhere else, the lock file, and the pages that are generated.
 */

import { execFileSync } from "node:child_process";
import path from "node:path";
import { parseArgs } from "node:util";
import { addProvider } from "./new-provider.ts";

const root = path.join(import.meta.dirname, "../..");
const usage = "npm run new:provider -- NAME [--type TYPE] [--description SENTENCE] [--engines hf,vllm]";

function main(): void {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { type: { type: "string" }, description: { type: "string" }, engines: { type: "string" } },
  });
  const [folder] = positionals;
  if (folder === undefined || positionals.length > 1) {
    throw new Error(`expected one name, got ${positionals.length}: ${usage}`);
  }
  const type = values.type ?? folder.replaceAll("-", "_");
  const description = values.description ?? `The rope type ${type}, as a ropewalk provider.`;
  const engines = values.engines?.split(",") ?? [];
  const files = addProvider(root, { folder, type, description, engines });

  const run = (command: string, ...args: string[]): void => {
    console.log(`$ ${[command, ...args].join(" ")}`);
    execFileSync(path.join(root, "node_modules/.bin", command), args, {
      cwd: root,
      stdio: "inherit",
      env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1" },
    });
  };
  run("oxfmt", ...files.filter((file) => /\.(?:ts|json)$/.test(file)));
  run("pnpm", "install", "--lockfile-only", "--loglevel=error");
  run("pnpm", "install", "--frozen-lockfile", "--loglevel=error");
  run("turbo", "run", "build", "--output-logs=errors-only");
  run("node", "tooling/api/main.ts");
  run("node", "tooling/parity/main.ts");
  console.log(`
${files.join("\n")}
pnpm-lock.yaml
packages/providers/${folder}/api.md
packages/ropewalk/api.md
docs/parity.md

What is left is what only you know:
- packages/providers/${folder}/src/formula.ts: the formula and the schema. Its parameters also stand in
  packages/config/src/facts/rope-types.ts and in the cases of conformance.json.
- packages/providers/${folder}/README.md: when to use it, sources, differences between engines.
- tooling/goldens: golden values, then a test that reads them.
An engine that reads keys of its own for the type: packages/config/src/facts/keys.ts.
Until the formula is written, npx vitest run packages/providers/${folder} fails; until golden values are compared, lint does.`);
}

try {
  main();
} catch (error) {
  console.error(`new:provider: ${(error as Error).message}`);
  process.exitCode = 1;
}

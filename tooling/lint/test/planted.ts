/**
 * A small workspace that keeps every rule, written to a temporary folder, with violations planted in it.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";
import { checkWorkspace } from "../check-workspace.ts";
import type { Finding } from "../workspace.ts";

type Json = Record<string, unknown>;

const entry = (module: string): Json => ({ types: `./dist/${module}.d.ts`, default: `./dist/${module}.js` });

const coreAsPeer: Json = {
  peerDependencies: { "@ropewalk/core": "workspace:>=1.2.0 <3.0.0" },
  devDependencies: { "@ropewalk/core": "workspace:^" },
};

function manifest(folder: string, name: string, more: Json): string {
  const common = {
    name,
    version: "1.2.0",
    description: "One sentence.",
    license: "MIT",
    type: "module",
    engines: { node: ">=20" },
    repository: { type: "git", url: "https://example.org/ropewalk.git", directory: folder },
    files: ["dist", "src"],
    sideEffects: false,
    exports: { ".": entry("index") },
    publishConfig: { access: "public" },
  };
  return JSON.stringify({ ...common, ...more }, null, 2);
}

function provider(id: string, type: string, formula: string, more: Json = {}): Record<string, string> {
  const folder = `packages/providers/${id}`;
  const shape = {
    sideEffects: ["./dist/index.js", "./src/index.ts"],
    exports: { ".": entry("index"), "./formula": entry("formula") },
  };
  return {
    [`${folder}/package.json`]: manifest(folder, `@ropewalk/${id}`, { ...shape, ...coreAsPeer, ...more }),
    [`${folder}/src/index.ts`]: `import { registerRopeType } from "@ropewalk/core";
import { frequencies } from "./formula.ts";
@registerRopeType("${type}", { aliases: { old_${type}: {} } })
export class Provider { readonly source = "@ropewalk/${id}@1.2.0"; frequencies = frequencies; }
`,
    [`${folder}/src/formula.ts`]: formula,
    [`${folder}/test/${id}.test.ts`]: `import { Provider } from "@ropewalk/${id}";\n`,
    [`${folder}/README.md`]: `# ${id}\n`,
    [`${folder}/tsconfig.json`]: "{}",
    [`${folder}/tsconfig.test.json`]: "{}",
  };
}

const healthy: Readonly<Record<string, string>> = {
  "packages/core/package.json": manifest("packages/core", "@ropewalk/core", {}),
  "packages/core/src/index.ts": `// Comments may name yarn, wasm and any engine.
import { fallback } from "./registry.ts";
import type { Registry } from "./registry.ts";
export { fallback } from "./registry.ts";
export const defaultRegistry: Registry = { default: fallback, text: "the default of a linear ramp" };
`,
  "packages/core/src/provider.ts": "export const SPECIFICATION_VERSION = 1;\n",
  "packages/core/src/registry.ts": `export interface Registry { default: number; text: string }
export const fallback = 1;
`,
  ...provider(
    "default",
    "default",
    `import type { Request } from "@ropewalk/core";\nexport const frequencies = (request: Request): number => 1;\n`,
  ),
  ...provider(
    "yarn",
    "yarn",
    `import type { Request } from "@ropewalk/core";\nimport { pi } from "@ropewalk/core/math";\nexport const frequencies = (request: Request): number => pi;\n`,
  ),
  ...provider(
    "deepseek-yarn",
    "deepseek_yarn",
    `import { frequencies as plain } from "@ropewalk/yarn/formula";\nexport const frequencies = plain;\n`,
    {
      dependencies: { "@ropewalk/yarn": "workspace:^" },
    },
  ),
  "packages/config/package.json": manifest("packages/config", "@ropewalk/config", coreAsPeer),
  "packages/config/src/index.ts": `import { getRope } from "@ropewalk/core";\nexport const ropes = getRope;\n`,
  "packages/backends/fast/package.json": manifest("packages/backends/fast", "@ropewalk/fast-backend", {
    ...coreAsPeer,
    sideEffects: ["./dist/index.js"],
  }),
  "packages/backends/fast/src/index.ts": `import { registerBackend } from "@ropewalk/core";\nregisterBackend({ name: "fast", source: "@ropewalk/fast-backend@1.2.0" });\n`,
  "packages/ropewalk/package.json": manifest("packages/ropewalk", "ropewalk", {
    bin: { ropewalk: "./dist/cli.js" },
    dependencies: { "@ropewalk/core": "workspace:^", "@ropewalk/yarn": "workspace:^", citty: "1.0.0" },
  }),
  "packages/ropewalk/src/index.ts": `import "@ropewalk/yarn";\nexport { getRope } from "@ropewalk/core";\n`,
  "packages/ropewalk/src/cli.ts": `import { readFileSync } from "node:fs";\nimport { run } from "citty";\nimport { getRope } from "./index.ts";\nrun(readFileSync, getRope);\n`,
  "apps/bench/package.json": JSON.stringify({
    name: "@ropewalk/bench",
    private: true,
    dependencies: { "@ropewalk/core": "workspace:^" },
  }),
  "apps/bench/src/main.ts": `import { readFileSync } from "node:fs";\nimport { getRope } from "@ropewalk/core";\ngetRope(readFileSync);\n`,
  "tooling/goldens/package.json": JSON.stringify({ name: "@ropewalk/goldens", private: true }),
};

/** Text of a file, a change of its text, a change of its JSON, or `null` to remove it. */
export type Change =
  | string
  | null
  | { readonly replace: readonly [string, string] }
  | { readonly json: (manifest: any) => void };

/** The findings in the correct workspace after `changes`. */
export function findingsAfter(changes: Readonly<Record<string, Change>>): Finding[] {
  return checkWorkspace(plant(changes));
}

/** Writes the correct workspace with `changes` and returns its root. It is removed after the test. */
export function plant(changes: Readonly<Record<string, Change>>): string {
  const root = mkdtempSync(path.join(tmpdir(), "ropewalk-lint-"));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const files = new Map(Object.entries(healthy));
  for (const [file, change] of Object.entries(changes)) {
    const before = files.get(file);
    if (change === null) files.delete(file);
    else if (typeof change === "string") files.set(file, change);
    else if (before === undefined) throw new Error(`there is no ${file} to change`);
    else if ("json" in change) {
      const value = JSON.parse(before);
      change.json(value);
      files.set(file, JSON.stringify(value));
    } else if (before.includes(change.replace[0])) files.set(file, before.replace(...change.replace));
    else throw new Error(`${file} does not hold ${change.replace[0]}`);
  }
  for (const [file, text] of files) {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), text);
  }
  return root;
}

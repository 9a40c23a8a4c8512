/** The files of a provider in this repository, from the templates of `npm create ropewalk`. */

import { readFileSync } from "node:fs";
import path from "node:path";
import { contractVersion, corePeerRange } from "@ropewalk/workspace";
import type { Manifest } from "@ropewalk/workspace";
import { fill, sharedManifest } from "create-ropewalk";
import type { Words } from "create-ropewalk";

/** A rope type to be. */
export interface NewProvider {
  /** The folder in `packages/providers`, and the package's name after `@ropewalk/`. */
  readonly folder: string;
  readonly type: string;
  readonly description: string;
  /** Engines that build the type, by the names of config's dialects: `hf`, `vllm`. */
  readonly engines: readonly string[];
}

/** The package.json of a provider in this repository. Dependencies on other packages are added by hand. */
export function ourManifest(
  root: string,
  { folder, description }: Omit<NewProvider, "type" | "engines">,
): Readonly<Record<string, unknown>> {
  const core = JSON.parse(readFileSync(path.join(root, "packages/core/package.json"), "utf8")) as Manifest;
  const { license, type, engines, sideEffects, exports } = sharedManifest("provider", "ts");
  return {
    name: `@ropewalk/${folder}`,
    version: "0.0.0",
    description,
    license,
    type,
    engines,
    keywords: ["ropewalk-provider", "rope", "rotary position embedding", "transformer"],
    repository: {
      type: "git",
      url: "https://github.com/ropewalk/ropewalk.git",
      directory: `packages/providers/${folder}`,
    },
    files: ["dist", "src", "conformance.json", "!src/**/*.test.ts"],
    sideEffects,
    exports,
    scripts: { build: "tsc -p tsconfig.json", typecheck: "tsc -p tsconfig.test.json" },
    peerDependencies: { "@ropewalk/core": corePeerRange(contractVersion(root), core.version) },
    devDependencies: {
      "@ropewalk/conformance": "workspace:*",
      "@ropewalk/core": "workspace:^",
      "@ropewalk/goldens": "workspace:*",
      "@ropewalk/typescript-config": "workspace:*",
      "@types/node": "catalog:",
      typescript: "catalog:",
      vitest: "catalog:",
    },
    publishConfig: { access: "public", provenance: true },
  };
}

/** The text of a template for a provider, by its place: `common/LICENSE`. */
export function template(root: string, file: string): string {
  return readFileSync(path.join(root, "packages/create-ropewalk/templates", file), "utf8");
}

/** The files of the package, by their place in it. */
export function providerFiles(root: string, provider: NewProvider): ReadonlyMap<string, string> {
  const words: Words = {
    package: `@ropewalk/${provider.folder}`,
    version: "0.0.0",
    type: provider.type,
    description: provider.description,
    author: "the ropewalk authors",
    year: "",
  };
  const filled = (file: string): string => fill(template(root, file), words);
  // The settings are the same in every provider.
  const settings = (file: string): string => readFileSync(path.join(root, "packages/providers/linear", file), "utf8");
  return new Map([
    ["package.json", `${JSON.stringify(ourManifest(root, provider), null, 2)}\n`],
    ["LICENSE", readFileSync(path.join(root, "LICENSE"), "utf8")],
    ["README.md", withoutSection(filled("provider/README.md").replace(/\n!\[.*\n/, ""))],
    ["conformance.json", filled("provider/conformance.json")],
    ["tsconfig.json", settings("tsconfig.json")],
    ["tsconfig.test.json", settings("tsconfig.test.json")],
    ["src/formula.ts", filled("provider-ts/src/formula.ts")],
    ["src/index.ts", withHelpers(filled("provider-ts/src/index.ts"))],
    ["test/index.test.ts", withVitest(filled("provider-ts/test/index.test.ts"))],
  ]);
}

/** The steps before a release are for packages elsewhere; here docs/add-a-provider.md has them. */
function withoutSection(readme: string): string {
  return `${cut(readme, /\n## [\s\S]*$/).trimEnd()}\n`;
}

/** Here the code that `tsc` writes for a decorator calls functions of core (docs/decisions/0002). */
function withHelpers(index: string): string {
  const helpers = 'import { __esDecorate, __runInitializers } from "@ropewalk/core/decorators";\n';
  return put(index, /^import \{ \w+Frequencies/m, helpers);
}

/** Tests here run under vitest on the source; numbers from outside are golden values, which lint asks for. */
function withVitest(test: string): string {
  const own = cut(test, /^test\("a case expects[^\n]*\n/m).replace(' } from "node:test"', ' } from "vitest"');
  const body = own.replace(/^import "@ropewalk\/[^\n]*\n/m, 'import "../src/index.ts";\n');
  return `${sortedImports(body)}test.todo("numbers from outside");\n`;
}

/** The import of the runner stands behind those of packages. */
function sortedImports(test: string): string {
  const runner = 'import { test } from "vitest";\n';
  return put(cut(test, /^import \{ test \} from "vitest";\n/m), /^import "\.\.\/src\/index\.ts";/m, runner);
}

function cut(text: string, part: RegExp): string {
  if (!part.test(text)) throw new Error(`the template has no ${part}: bring tooling/new-provider in step with it.`);
  return text.replace(part, "");
}

function put(text: string, before: RegExp, line: string): string {
  if (!before.test(text)) throw new Error(`the template has no ${before}: bring tooling/new-provider in step with it.`);
  return text.replace(before, (found) => line + found);
}

/** The package.json of a provider or a backend: a new one of somebody else's, and those of this repository. */

import { SPECIFICATION_VERSION } from "@ropewalk/core";
import type { Answers } from "./answers.ts";

/** Ranges of the packages that a new package is written for and built with, by package. */
export type Versions = Readonly<Record<"@ropewalk/core" | "@ropewalk/conformance" | "ropewalk" | BuildTool, string>>;

/** What builds and checks a new package. */
type BuildTool = "@types/node" | "oxlint" | "publint" | "typescript";

/** Where a package's registration stands, as source. */
const registers = (extension: string): string => `./src/index.${extension}`;

/** The fields that users of a provider or backend rely on: the same in every such package, whoever publishes it. */
export function sharedManifest(kind: Answers["kind"], extension: "ts" | "js"): Readonly<Record<string, unknown>> {
  return {
    license: "MIT",
    type: "module",
    engines: { node: ">=20" },
    // Bundlers drop a registration that is not listed, and keep unused code where the field is missing.
    sideEffects: ["./dist/index.js", registers(extension)],
    exports: {
      ".": entry("index"),
      ...(kind === "provider" ? { "./formula": entry("formula") } : {}),
    },
  };
}

/** The package.json of a new package. */
export function newManifest(answers: Answers, versions: Versions): Readonly<Record<string, unknown>> {
  const { kind, language, name, description, author } = answers;
  const extension = language === "typescript" ? "ts" : "js";
  const { license, type, engines, sideEffects, exports } = sharedManifest(kind, extension);
  const { "@ropewalk/core": core, ...tools } = versions;
  return {
    name,
    version: firstVersion,
    description,
    license,
    author,
    type,
    engines,
    keywords: [`ropewalk-${kind}`, "rope", "rotary position embedding", "transformer"],
    files: ["dist", "src", "conformance.json"],
    sideEffects,
    exports,
    scripts: {
      build: "tsc -p tsconfig.json",
      typecheck: "tsc -p tsconfig.test.json",
      lint: "oxlint",
      test: `npm run build && node --test test/*.test.${extension}`,
      conformance:
        "npm run build && ropewalk conformance ./dist/index.js --report conformance-report.json --badge conformance.svg --force",
      check: "npm run lint && npm test && npm run conformance && npm run typecheck && publint --strict",
      prepack: "npm run build",
      prepublishOnly: "npm run check",
    },
    // Core is a peer: two copies share one registry, but not one cache. Every core that accepts the contract will do:
    // those of this contract and of the next one, of which neither comes after core's major version.
    peerDependencies: { "@ropewalk/core": `>=${core.replace("^", "")} <${SPECIFICATION_VERSION + 2}.0.0` },
    devDependencies: Object.fromEntries(
      Object.entries({ ...tools, "@ropewalk/core": core }).sort(([a], [b]) => (a < b ? -1 : 1)),
    ),
    ...(name.startsWith("@") ? { publishConfig: { access: "public" } } : {}),
  };
}

/** Version of a new package; it stands in its source literal as well. */
export const firstVersion = "0.1.0";

/** Types first: a resolver takes the first condition that it knows. */
function entry(module: string): Readonly<Record<string, string>> {
  return { types: `./dist/${module}.d.ts`, default: `./dist/${module}.js` };
}

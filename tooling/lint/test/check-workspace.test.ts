import { spawnSync } from "node:child_process";
import path from "node:path";
import { expect, test } from "vitest";
import { checkWorkspace } from "../check-workspace.ts";
import { guestNames } from "../rules/core.ts";
import { readWorkspace } from "../workspace.ts";
import { findingsAfter, plant } from "./planted.ts";
import type { Change } from "./planted.ts";

const root = path.resolve(import.meta.dirname, "../../..");

test("a workspace that keeps the rules has no finding", () => {
  expect(findingsAfter({})).toEqual([]);
});

/** The file and the rule of the one finding that a planted violation must cause, and a part of its message. */
type Planted = [violation: string, changes: Record<string, Change>, rule: string, file: string, message: RegExp];
const planted: Planted[] = [
  // Dependencies between packages.
  [
    "a provider imports another provider's main entry",
    {
      "packages/providers/yarn/src/index.ts": {
        replace: ["import { frequencies }", 'import "@ropewalk/default";\nimport { frequencies }'],
      },
    },
    "dependency-rule",
    "packages/providers/yarn/src/index.ts",
    /@ropewalk\/default/,
  ],
  [
    "deepseek-yarn imports yarn's main entry",
    { "packages/providers/deepseek-yarn/src/formula.ts": { replace: ["@ropewalk/yarn/formula", "@ropewalk/yarn"] } },
    "dependency-rule",
    "packages/providers/deepseek-yarn/src/formula.ts",
    /"provider" imports @ropewalk\/yarn:/,
  ],
  [
    "a provider imports a formula that is not in the list of compositions",
    { "packages/providers/yarn/src/formula.ts": `export { frequencies } from "@ropewalk/default/formula";\n` },
    "dependency-rule",
    "packages/providers/yarn/src/formula.ts",
    /compositions/,
  ],
  [
    "a provider imports a type of another provider",
    {
      "packages/providers/yarn/src/index.ts": {
        replace: ["import { frequencies }", 'import type { P } from "@ropewalk/default";\nimport { frequencies }'],
      },
    },
    "dependency-rule",
    "packages/providers/yarn/src/index.ts",
    /@ropewalk\/default/,
  ],
  [
    "a provider imports a library",
    {
      "packages/providers/yarn/src/formula.ts": `import { pi } from "mathjs";\nexport const frequencies = (): number => pi;\n`,
    },
    "dependency-rule",
    "packages/providers/yarn/src/formula.ts",
    /mathjs/,
  ],
  [
    "config imports a provider",
    { "packages/config/src/index.ts": `import "@ropewalk/yarn";\n` },
    "dependency-rule",
    "packages/config/src/index.ts",
    /"config" imports @ropewalk\/yarn/,
  ],
  [
    "config loads a provider dynamically",
    { "packages/config/src/index.ts": `export const load = (): Promise<unknown> => import("@ropewalk/yarn");\n` },
    "dependency-rule",
    "packages/config/src/index.ts",
    /"config" imports @ropewalk\/yarn/,
  ],
  [
    "a backend imports a provider",
    { "packages/backends/fast/src/index.ts": { replace: ["import", 'import "@ropewalk/yarn";\nimport'] } },
    "dependency-rule",
    "packages/backends/fast/src/index.ts",
    /"backend" imports/,
  ],
  [
    "core imports a package",
    { "packages/core/src/registry.ts": { replace: ["export const", 'import "tslib";\nexport const'] } },
    "dependency-rule",
    "packages/core/src/registry.ts",
    /core imports nothing/,
  ],
  [
    "the command line imports what its manifest does not list",
    { "packages/ropewalk/src/cli.ts": { replace: ['"citty"', '"yargs"'] } },
    "dependency-rule",
    "packages/ropewalk/src/cli.ts",
    /yargs/,
  ],
  [
    "core has a dependency",
    { "packages/core/package.json": { json: (m) => (m.dependencies = { tslib: "2.0.0" }) } },
    "declared-dependencies",
    "packages/core/package.json",
    /tslib/,
  ],
  [
    "core is a dependency of a provider instead of a peer",
    { "packages/providers/yarn/package.json": { json: (m) => (m.dependencies = { "@ropewalk/core": "workspace:^" }) } },
    "declared-dependencies",
    "packages/providers/yarn/package.json",
    /Make it a peer/,
  ],
  [
    "core is no peer of a provider",
    { "packages/providers/yarn/package.json": { json: (m) => delete m.peerDependencies } },
    "declared-dependencies",
    "packages/providers/yarn/package.json",
    /"peerDependencies" has @ropewalk\/core as undefined/,
  ],
  [
    "core is pinned by a provider",
    { "packages/providers/yarn/package.json": { json: (m) => (m.peerDependencies["@ropewalk/core"] = "workspace:*") } },
    "declared-dependencies",
    "packages/providers/yarn/package.json",
    /workspace:\*/,
  ],
  [
    "a provider shuts out a core that accepts it",
    { "packages/providers/yarn/package.json": { json: (m) => (m.peerDependencies["@ropewalk/core"] = "workspace:^") } },
    "declared-dependencies",
    "packages/providers/yarn/package.json",
    /expected "workspace:>=x\.y\.z <3\.0\.0"/,
  ],
  [
    "a provider lets in a core that refuses it",
    {
      "packages/providers/yarn/package.json": {
        json: (m) => (m.peerDependencies["@ropewalk/core"] = "workspace:>=1.2.0 <4.0.0"),
      },
    },
    "declared-dependencies",
    "packages/providers/yarn/package.json",
    /expected "workspace:>=x\.y\.z <3\.0\.0"/,
  ],
  [
    "a provider is not built with this core",
    { "packages/providers/yarn/package.json": { json: (m) => (m.devDependencies["@ropewalk/core"] = "^1.2.0") } },
    "declared-dependencies",
    "packages/providers/yarn/package.json",
    /expected "workspace:\^"/,
  ],
  [
    "a provider has a second peer",
    {
      "packages/providers/yarn/package.json": {
        json: (m) => (m.peerDependencies["@ropewalk/default"] = "workspace:^"),
      },
    },
    "declared-dependencies",
    "packages/providers/yarn/package.json",
    /@ropewalk\/default/,
  ],
  [
    "a test imports another package's source by path",
    { "packages/providers/yarn/test/yarn.test.ts": `import "../../default/src/index.ts";\n` },
    "foreign-files",
    "packages/providers/yarn/test/yarn.test.ts",
    /outside packages\/providers\/yarn/,
  ],
  [
    "an app imports a package's source by name",
    { "apps/bench/src/main.ts": `import "@ropewalk/core/src/index.ts";\n` },
    "foreign-files",
    "apps/bench/src/main.ts",
    /entry that @ropewalk\/core exports/,
  ],
  ...(
    [
      ["load each other", 'import { defaultRegistry } from "./index.ts";\nexport const last = defaultRegistry;\n'],
      ["take types of each other", 'import type { Rope } from "./index.ts";\nexport type Last = Rope;\n'],
      ["hand types on to each other", 'export type { Rope } from "./index.ts";\n'],
      ["name types of each other", 'export type Last = import("./index.ts").Rope;\n'],
    ] as const
  ).map(([what, code]): Planted => [
    `two modules ${what}`,
    { "packages/core/src/registry.ts": { replace: ["export interface", `${code}export interface`] } },
    "import-cycle",
    "packages/core/src/index.ts",
    /index\.ts → packages\/core\/src\/registry\.ts → packages\/core\/src\/index\.ts/,
  ]),
  [
    "two packages need each other",
    { "packages/core/package.json": { json: (m) => (m.devDependencies = { "@ropewalk/yarn": "workspace:^" }) } },
    "package-cycle",
    "packages/core/package.json",
    /core → @ropewalk\/yarn → @ropewalk\/core/,
  ],
  [
    "a file that does not parse",
    { "packages/providers/yarn/src/index.ts": { replace: ["export class", "export class class"] } },
    "syntax",
    "packages/providers/yarn/src/index.ts",
    /does not parse/,
  ],
  [
    "export *",
    { "packages/config/src/index.ts": `export * from "@ropewalk/core";\n` },
    "export-star",
    "packages/config/src/index.ts",
    /names one by one/,
  ],
  [
    "a provider loads a Node built-in",
    { "packages/providers/yarn/src/formula.ts": `import { cpus } from "node:os";\nexport const frequencies = cpus;\n` },
    "node-built-in",
    "packages/providers/yarn/src/formula.ts",
    /node:os/,
  ],
  [
    "a built-in without its prefix",
    { "packages/core/src/registry.ts": { replace: ["export const", 'import "fs";\nexport const'] } },
    "node-built-in",
    "packages/core/src/registry.ts",
    /fs/,
  ],
  [
    "the library entry of the command line's package loads a built-in",
    {
      "packages/ropewalk/src/index.ts": { replace: ["export", 'import "./cli.ts";\nexport'] },
      "packages/ropewalk/src/cli.ts": {
        replace: ['import { getRope } from "./index.ts";\nrun(readFileSync, getRope);', "run(readFileSync);"],
      },
    },
    "node-built-in",
    "packages/ropewalk/src/cli.ts",
    /library entry/,
  ],
  [
    "tooling needs a product",
    { "tooling/goldens/package.json": { json: (m) => (m.dependencies = { "@ropewalk/config": "workspace:^" }) } },
    "tooling",
    "tooling/goldens/package.json",
    /devDependencies/,
  ],

  // Time by the length of the input.
  [
    "a regular expression that backtracks",
    { "packages/core/src/registry.ts": { replace: ["= 1", "= /(?:a+)+$/.test(String(1)) ? 1 : 2"] } },
    "linear-regular-expression",
    "packages/core/src/registry.ts",
    /repeats the group \(\?:a\+\)/,
  ],
  [
    "a regular expression made of a text",
    { "packages/core/src/registry.ts": { replace: ["= 1", "= new RegExp(String(1)).lastIndex"] } },
    "linear-regular-expression",
    "packages/core/src/registry.ts",
    /expected a literal/,
  ],

  // Names of types and devices in core.
  [
    "core compares a rope type's name",
    { "packages/core/src/registry.ts": { replace: ["= 1", '= Number("x" === "yarn")'] } },
    "core-names-no-guest",
    "packages/core/src/registry.ts",
    /"yarn"/,
  ],
  [
    "core compares an ordinary word that is a type's name",
    { "packages/core/src/registry.ts": { replace: ["= 1", '= Number("x" !== "default")'] } },
    "core-names-no-guest",
    "packages/core/src/registry.ts",
    /"default"/,
  ],
  [
    "core names a type in a template",
    { "packages/core/src/registry.ts": { replace: ["= 1", "= `for deepseek_yarn ropes`.length"] } },
    "core-names-no-guest",
    "packages/core/src/registry.ts",
    /deepseek_yarn/,
  ],
  [
    "core has an identifier of a type",
    { "packages/core/src/registry.ts": { replace: ["fallback = 1", "fallback = 1, oldYarnRamp = 2"] } },
    "core-names-no-guest",
    "packages/core/src/registry.ts",
    /old_yarn/,
  ],
  [
    "core names a device",
    { "packages/core/src/registry.ts": { replace: ["fallback = 1", "fallback = 1, useWebGPU = false"] } },
    "core-names-no-guest",
    "packages/core/src/registry.ts",
    /webgpu/,
  ],
  [
    "core names a registered backend",
    { "packages/core/src/registry.ts": { replace: ["= 1", '= "fast".length'] } },
    "core-names-no-guest",
    "packages/core/src/registry.ts",
    /"fast"/,
  ],

  // Anatomy of a provider.
  [
    "no formula",
    {
      "packages/providers/default/src/formula.ts": null,
      "packages/providers/default/src/index.ts": {
        replace: ['import { frequencies } from "./formula.ts";\n', "const frequencies = 1;\n"],
      },
    },
    "provider-anatomy",
    "packages/providers/default/src/formula.ts",
    /missing/,
  ],
  [
    "no README",
    { "packages/providers/yarn/README.md": null },
    "provider-anatomy",
    "packages/providers/yarn/README.md",
    /missing/,
  ],
  [
    "no test",
    { "packages/providers/yarn/test/yarn.test.ts": null },
    "provider-anatomy",
    "packages/providers/yarn/test",
    /no \*\.test\.ts/,
  ],
  [
    "the built entry is not listed as a side effect",
    { "packages/providers/yarn/package.json": { json: (m) => (m.sideEffects = ["./src/index.ts"]) } },
    "provider-anatomy",
    "packages/providers/yarn/package.json",
    /sideEffects/,
  ],
  [
    "more than the entry is listed as a side effect",
    { "packages/providers/yarn/package.json": { json: (m) => m.sideEffects.push("./dist/formula.js") } },
    "provider-anatomy",
    "packages/providers/yarn/package.json",
    /exactly/,
  ],
  [
    "no ./formula entry",
    { "packages/providers/yarn/package.json": { json: (m) => delete m.exports["./formula"] } },
    "provider-anatomy",
    "packages/providers/yarn/package.json",
    /exports\["\.\/formula"\]/,
  ],
  [
    "the formula loads the registry",
    {
      "packages/providers/yarn/src/formula.ts": {
        replace: ["import type { Request }", "import { SPECIFICATION_VERSION, type Request }"],
      },
    },
    "pure-formula",
    "packages/providers/yarn/src/formula.ts",
    /core\/math/,
  ],
  [
    "the formula names the registry",
    {
      "packages/providers/yarn/src/formula.ts": `import type { registerRopeType } from "@ropewalk/core";\nexport const frequencies = 1;\n`,
    },
    "pure-formula",
    "packages/providers/yarn/src/formula.ts",
    /registerRopeType/,
  ],
  [
    "a module beside the formula loads the registry",
    {
      "packages/providers/yarn/src/formula.ts": `export { frequencies } from "./ramp.ts";\n`,
      "packages/providers/yarn/src/ramp.ts": `import { show } from "@ropewalk/core";\nexport const frequencies = show;\n`,
    },
    "pure-formula",
    "packages/providers/yarn/src/ramp.ts",
    /core\/math/,
  ],
  [
    "a second file registers",
    {
      "packages/providers/yarn/src/alias.ts": `import { registerRopeType } from "@ropewalk/core";\nregisterRopeType("rope_y")(null);\n`,
    },
    "one-side-effect",
    "packages/providers/yarn/src/alias.ts",
    /only file/,
  ],
  [
    "nothing registers",
    { "packages/providers/yarn/src/index.ts": `export const source = { source: "@ropewalk/yarn@1.2.0" };\n` },
    "one-side-effect",
    "packages/providers/yarn/src/index.ts",
    /registers no type/,
  ],

  // Manifests.
  [
    "no license",
    { "packages/providers/yarn/package.json": { json: (m) => delete m.license } },
    "manifest",
    "packages/providers/yarn/package.json",
    /"license": expected MIT/,
  ],
  [
    "another license than the repository's",
    { LICENSE: "MIT\n", "packages/providers/yarn/LICENSE": "BSD\n" },
    "license",
    "packages/providers/yarn/LICENSE",
    /copy of the repository's/,
  ],
  [
    "another version of Node in engines",
    { "packages/config/package.json": { json: (m) => (m.engines.node = ">=24") } },
    "manifest",
    "packages/config/package.json",
    /engines\.node/,
  ],
  [
    "no engines",
    { "packages/config/package.json": { json: (m) => delete m.engines } },
    "manifest",
    "packages/config/package.json",
    /engines\.node/,
  ],
  [
    "no repository",
    { "packages/core/package.json": { json: (m) => delete m.repository.url } },
    "manifest",
    "packages/core/package.json",
    /repository\.url/,
  ],
  [
    "a copied repository folder",
    { "packages/core/package.json": { json: (m) => (m.repository.directory = "packages/providers/yarn") } },
    "manifest",
    "packages/core/package.json",
    /repository\.directory/,
  ],
  [
    "no sideEffects field",
    { "packages/core/package.json": { json: (m) => delete m.sideEffects } },
    "manifest",
    "packages/core/package.json",
    /sideEffects/,
  ],
  [
    "an entry without types",
    { "packages/core/package.json": { json: (m) => (m.exports["./math"] = { default: "./dist/math.js" }) } },
    "manifest",
    "packages/core/package.json",
    /exports\["\.\/math"\]/,
  ],
  [
    "types after the code",
    {
      "packages/core/package.json": {
        json: (m) => (m.exports["."] = { default: "./dist/index.js", types: "./dist/index.d.ts" }),
      },
    },
    "manifest",
    "packages/core/package.json",
    /types first/,
  ],
  [
    "a source literal of another version",
    { "packages/providers/yarn/package.json": { json: (m) => (m.version = "1.3.0") } },
    "version-literal",
    "packages/providers/yarn/src/index.ts",
    /expected "@ropewalk\/yarn@1\.3\.0"/,
  ],
  [
    "a source literal of another package",
    {
      "packages/backends/fast/src/index.ts": {
        replace: ["@ropewalk/fast-backend@1.2.0", "@ropewalk/slow-backend@1.2.0"],
      },
    },
    "version-literal",
    "packages/backends/fast/src/index.ts",
    /slow-backend/,
  ],
  [
    "a source literal where nothing keeps it up to date",
    { "packages/providers/yarn/src/ramp.ts": `export const provider = { source: "@ropewalk/yarn@1.2.0" };\n` },
    "version-literal",
    "packages/providers/yarn/src/ramp.ts",
    /expected in packages\/providers\/yarn\/src\/index\.ts/,
  ],
  [
    "no source literal",
    { "packages/providers/yarn/src/index.ts": { replace: ['source = "@ropewalk/yarn@1.2.0"', "source = String()"] } },
    "version-literal",
    "packages/providers/yarn/src/index.ts",
    /no source literal/,
  ],
  [
    "a public app",
    { "apps/bench/package.json": { json: (m) => delete m.private } },
    "private",
    "apps/bench/package.json",
    /private/,
  ],

  // Rules for single statements.
  [
    "a file's URL is taken for a path",
    {
      "packages/providers/yarn/test/yarn.test.ts": 'export const file = new URL("x.json", import.meta.url).pathname;\n',
    },
    "url-pathname",
    "packages/providers/yarn/test/yarn.test.ts",
    /fileURLToPath/,
  ],
  [
    "a file's URL is taken for a path, through a variable",
    {
      "apps/bench/src/main.ts":
        'const here = new URL(".", import.meta.url);\nexport const folder = here["pathname"];\n',
    },
    "url-pathname",
    "apps/bench/src/main.ts",
    /fileURLToPath/,
  ],
  [
    "a file's URL is taken apart",
    { "apps/bench/src/main.ts": "export const { pathname } = new URL(import.meta.url);\n" },
    "url-pathname",
    "apps/bench/src/main.ts",
    /fileURLToPath/,
  ],
  [
    "a comment is wider than code may be",
    { "apps/bench/src/main.ts": `/**\n * ${"word ".repeat(24)}\n */\nexport const a = 1;\n` },
    "comment-width",
    "apps/bench/src/main.ts",
    /expected at most 120/,
  ],
  [
    "an error is recognised by its class",
    {
      "packages/ropewalk/src/index.ts": {
        replace: [
          "export",
          'import { RopeError } from "@ropewalk/core";\nexport const failed = (error: unknown): boolean => error instanceof RopeError;\nexport',
        ],
      },
    },
    "rope-error-is",
    "packages/ropewalk/src/index.ts",
    /RopeError\.is/,
  ],
  [
    "a test recognises an error by its class, through a namespace",
    {
      "packages/providers/yarn/test/yarn.test.ts":
        'import * as core from "@ropewalk/core";\nexport const failed = (error: unknown): boolean => error instanceof core.RopeError;\n',
    },
    "rope-error-is",
    "packages/providers/yarn/test/yarn.test.ts",
    /RopeError\.is/,
  ],
  ...(
    [
      ["is read", "(config: any): number => config.rope_theta"],
      ["is read by its text", '(config: any): number => config["rope_theta"]'],
      ["is read by a template", "(config: any): number => config[`rope_theta`]"],
      ["is taken apart", "({ rope_theta: theta }: any): number => theta"],
      ["is a type's key", "(config: { rope_theta: number }): unknown => config"],
      ["is listed", '["rope_theta"]'],
      ["of GGUF is read", '(metadata: any): number => metadata["llama.rope.freq_base"]'],
    ] as const
  ).map(([what, code]): Planted => [
    `a key of a config ${what} outside of config`,
    { "packages/ropewalk/src/heads.ts": `export const heads = ${code};\n` },
    "snake-case-only-in-config",
    "packages/ropewalk/src/heads.ts",
    /rope_theta|freq_base/,
  ]),

  // Paths of one computer. They are joined here, so that this file does not contain them.
  [
    "a home folder",
    { "README.md": `See ${["", "home", "someone", "notes.md"].join("/")}.\n` },
    "machine-traces",
    "README.md",
    /one machine/,
  ],
  [
    "a path in a fixture",
    { "tooling/goldens/a.json": JSON.stringify({ command: `python ${["", "work", "main", "x.py"].join("/")}` }) },
    "machine-traces",
    "tooling/goldens/a.json",
    /one machine/,
  ],
  [
    "a path of Windows",
    { "README.md": ["C:", "Users", "someone"].join("\\") },
    "machine-traces",
    "README.md",
    /one machine/,
  ],
  [
    "a registry in a lockfile",
    { "pnpm-lock.yaml": `resolution: {${"tar"}ball: https://example.org/x.tgz}\n` },
    "machine-traces",
    "pnpm-lock.yaml",
    /registry/,
  ],
  [
    "a registry in a document",
    { "README.md": ["registry", "npmjs", "org"].join(".") },
    "machine-traces",
    "README.md",
    /registry/,
  ],
  ["a registry setting", { ".npmrc": `${"regis"}try=https://example.org/\n` }, "machine-traces", ".npmrc", /registry/],
];

test.each(planted)("is refused: %s", (_, changes, rule, file, message) => {
  expect(findingsAfter(changes)).toContainEqual(
    expect.objectContaining({ rule, file, message: expect.stringMatching(message) }),
  );
});

test("comments may name anything, and core may use English words that are names of types", () => {
  const findings = findingsAfter({
    "packages/core/src/registry.ts": { replace: ["= 1", '= "a dynamic, linear, proportional default".length'] },
  });
  expect(findings).toEqual([]);
});

test("pathnames of web URLs, RopeError.is, and keys in config or in a sentence are allowed", () => {
  const code = `import { RopeError } from "@ropewalk/core";
export const route = (request: any): string => new URL(request.url, "http://localhost").pathname + location.pathname;
export const failed = (error: unknown): boolean => RopeError.is(error) || error instanceof Error;
export const text = "the key rope_theta of deepseek_yarn, or " + \`\${failed}rope_theta\`;
export const type = "deepseek_yarn";
`;
  const keys = "export const theta = (config: any): number => config.rope_theta;\n";
  expect(
    findingsAfter({
      "packages/ropewalk/src/words.ts": code,
      "packages/config/src/keys.ts": keys,
      "packages/ropewalk/test/keys.test.ts": keys,
    }),
  ).toEqual([]);
});

test("a package in a package's fixtures follows its own rules", () => {
  expect(
    findingsAfter({
      "apps/bench/fixtures/other/package.json": "{}",
      "apps/bench/fixtures/other/index.js": 'export * from "x";\n',
    }),
  ).toEqual([]);
});

test("a violation among correct files makes exactly one finding", () => {
  const findings = findingsAfter({ "packages/config/src/index.ts": `import "@ropewalk/yarn";\n` });
  expect(findings).toHaveLength(1);
  expect(findings[0]).toMatchObject({ line: 1 });
});

test("the names of this workspace's types and backends are found, so that core is checked for them", () => {
  expect(guestNames(readWorkspace(root))).toEqual(
    expect.arrayContaining(["deepseek_yarn", "default", "webgpu", "yarn"]),
  );
});

test("files that git ignores are not checked; all others are, tracked or not", () => {
  const trace = ["", "home", "someone", "x"].join("/");
  const folder = plant({ ".gitignore": "ignored.md\n", "ignored.md": trace, "seen.md": trace });
  spawnSync("git", ["init", "--quiet"], { cwd: folder });
  expect(checkWorkspace(folder).map(({ file }) => file)).toEqual(["seen.md"]);
});

test("the command fails on a finding and prints its place and reason", () => {
  const command = path.join(root, "tooling/lint/check-workspace.ts");
  const clean = spawnSync(process.execPath, [command, plant({})], { encoding: "utf8" });
  expect(clean).toMatchObject({ status: 0, stdout: "The workspace keeps its rules.\n", stderr: "" });
  const broken = spawnSync(process.execPath, [command, plant({ "packages/providers/yarn/README.md": null })], {
    encoding: "utf8",
  });
  expect(broken).toMatchObject({ status: 1, stdout: "1 finding.\n" });
  expect(broken.stderr).toBe(
    "packages/providers/yarn/README.md\n  provider-anatomy: is missing: every provider has it (docs/add-a-provider.md).\n",
  );
});

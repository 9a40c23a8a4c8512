/** The packed packages are complete, can be resolved, and hold no traces of their build. */

import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import type { Manifest } from "@ropewalk/workspace";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { parseAst } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { install, publicPackages, root, tool } from "./packed.ts";
import type { Installation } from "./packed.ts";

let installed: Installation;
beforeAll(async () => {
  installed = await install();
}, 60_000);
// There is nothing to remove if installing failed.
afterAll(() => (installed as Installation | undefined)?.remove());

const contents = (name: string): string[] =>
  readdirSync(path.join(installed.folder, "node_modules", name), { recursive: true, encoding: "utf8" }).filter(
    (file) => !file.includes("node_modules"),
  );
const read = (name: string, file: string): string =>
  readFileSync(path.join(installed.folder, "node_modules", name, file), "utf8");

/** Whether code still holds a decorator. Parsed, not searched, because shaders and comments hold an `@` too. */
function holdsDecorator(code: string): boolean {
  let found = false;
  JSON.stringify(parseAst(code), (key, value: unknown) => {
    if (key === "decorators" && Array.isArray(value) && value.length > 0) found = true;
    return typeof value === "bigint" ? null : value;
  });
  return found;
}

test.each([
  ["tsc with target ESNext", '@registerRopeType("yarn")\nexport class YarnProvider {}', true],
  ["rolldown", 'var YarnProvider = @registerRopeType("yarn") class {}', true],
  ["a static method", "class A { @registerRopeType('yarn') static make() {} }", true],
  ["WGSL", "const shader = `\n@group(0) @binding(0) var<storage> x: array<f32>;`;", false],
  [
    "tsc with target ES2022",
    '/** @registerRopeType("yarn") */\nlet YarnProvider = (() => { let _classDecorators = [registerRopeType("yarn")]; })();',
    false,
  ],
])("a decorator is found where there is one: %s", (_, code, expected) => expect(holdsDecorator(code)).toBe(expected));

test("docs/packaging.md names the versions of the tools that prove it", () => {
  const page = readFileSync(path.join(root, "docs/packaging.md"), "utf8");
  const { devDependencies } = JSON.parse(
    readFileSync(path.join(import.meta.dirname, "../package.json"), "utf8"),
  ) as Manifest;
  const tools = Object.keys(devDependencies ?? {}).filter((name) =>
    /^(esbuild|rollup|rolldown|vite|webpack|bun|@swc\/core|@babel\/core|tsdown|publint|typescript.*|@arethetypeswrong\/core)$/.test(
      name,
    ),
  );
  expect(tools.length).toBe(16);
  const versions = tools.map(
    (name) => (JSON.parse(readFileSync(tool(name, "package.json"), "utf8")) as Manifest).version,
  );
  expect(versions.filter((version) => !page.includes(` ${version}`))).toEqual([]);
});

describe.each(publicPackages.map(({ name }) => name))("%s", (name) => {
  test("holds code, types and its license, and no tests", () => {
    // What create-ropewalk writes for others has tests of its own.
    const files = contents(name).filter((file) => !file.startsWith("templates"));
    expect(files).toContain("LICENSE");
    expect(files).toContain("package.json");
    expect(files.filter((file) => file.endsWith(".js")).length).toBeGreaterThan(0);
    expect(files.filter((file) => /(^|\/)test\/|\.test\.|tsbuildinfo|\.tgz$/.test(file))).toEqual([]);
    // Every module has a declaration file.
    for (const file of files.filter((candidate) => /^dist\/.*\.js$/.test(candidate) && !candidate.includes("cli"))) {
      expect(files).toContain(file.replace(/\.js$/, ".d.ts"));
    }
  });

  test("holds no decorator that was not lowered", () => {
    const files = contents(name).filter((candidate) => candidate.endsWith(".js"));
    expect(files.filter((file) => holdsDecorator(read(name, file)))).toEqual([]);
  });

  test("depends on published versions of its siblings, not on the workspace", () => {
    const manifest = JSON.parse(read(name, "package.json")) as Manifest;
    const wanted = Object.entries({ ...manifest.dependencies, ...manifest.peerDependencies }).filter(([dependency]) =>
      /^(@ropewalk\/|ropewalk$)/.test(dependency),
    );
    const published = /^(\^\d+\.\d+\.\d+|>=\d+\.\d+\.\d+(-0)? <\d+\.0\.0)$/;
    for (const [dependency, range] of wanted) expect(range, dependency).toMatch(published);
  });

  test("source maps lead to sources that are in the package", () => {
    const files = new Set(contents(name));
    for (const file of [...files].filter((candidate) => candidate.endsWith(".map"))) {
      const { sources } = JSON.parse(read(name, file)) as { sources: string[] };
      for (const source of sources) expect(files).toContain(path.posix.join(path.posix.dirname(file), source));
    }
  });

  test("publint finds nothing", async () => {
    const { messages, pkg } = await publint({
      pkgDir: path.join(installed.folder, "node_modules", name),
      pack: false,
      level: "warning",
      strict: true,
    });
    expect(messages.map((message) => formatMessage(message, pkg, { color: false }))).toEqual([]);
  });

  test("types resolve for every way of importing that ESM-only packages have", async () => {
    const tarball = installed.tarballs.get(name)!;
    const result = await checkPackage(createPackageFromTarballData(new Uint8Array(readFileSync(tarball))));
    expect(result.types).toMatchObject({ kind: "included" });
    // The profile "esm-only": resolution as in Node 10 and require from CommonJS are not supported.
    const ignored = new Set(["node10", "node16-cjs"]);
    const problems =
      "problems" in result
        ? result.problems.filter((problem) => !("resolutionKind" in problem && ignored.has(problem.resolutionKind)))
        : [];
    expect(problems).toEqual([]);
  });
});

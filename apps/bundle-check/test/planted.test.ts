/**
 * A package with three mistakes that no test of numbers finds: each is found by the packed command line, which names
 * the cure, and by the tools that authors may use besides.
 */

import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { execute, install } from "./packed.ts";
import type { Installation } from "./packed.ts";

let installed: Installation;
let folder: string;
beforeAll(async () => {
  installed = await install();
  folder = path.join(installed.folder, "planted");
  cpSync(path.join(import.meta.dirname, "../fixtures/rope-stretched"), folder, { recursive: true });
  const manifest = path.join(folder, "package.json");
  const { peerDependencies, exports, ...rest } = JSON.parse(readFileSync(manifest, "utf8")) as Record<string, unknown>;
  expect(Object.keys(exports as object)).toEqual([".", "./formula"]);
  writeFileSync(
    manifest,
    JSON.stringify({
      ...rest,
      sideEffects: false,
      dependencies: peerDependencies,
      exports: { ".": { default: "./index.js" }, "./formula": { default: "./formula.js" } },
    }),
  );
  for (const file of ["index.d.ts", "formula.d.ts"]) rmSync(path.join(folder, file));
}, 60_000);
// There is nothing to remove if installing failed.
afterAll(() => (installed as Installation | undefined)?.remove());

test("the command line names each mistake and its cure", async () => {
  const cli = path.join(installed.folder, "node_modules/ropewalk/dist/cli.js");
  const report = await execute(process.execPath, [cli, "conformance", "index.js"], folder).then(
    () => "nothing failed",
    ({ message }: Error) => message,
  );
  expect(report).toMatch(/\b3 failed/);
  const cures = [
    'Write "sideEffects": ["./index.js"]',
    "Move @ropewalk/core from dependencies to peerDependencies (and devDependencies)",
    "Emit declarations (declaration: true, or a .d.ts by hand for JavaScript)",
  ];
  expect(cures.filter((cure) => !report.includes(cure))).toEqual([]);
});

test("are-the-types-wrong finds no types in it", async () => {
  const tarball = (await execute("npm", ["pack", "--silent"], folder)).trim();
  const data = new Uint8Array(readFileSync(path.join(folder, tarball)));
  expect(await checkPackage(createPackageFromTarballData(data))).toMatchObject({ types: false });
});

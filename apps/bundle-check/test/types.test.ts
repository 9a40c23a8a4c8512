/**
 * The types of the packed packages, as strangers compile them: every entry, with skipLibCheck off and the smallest lib,
 * and a provider that emits its declarations one file at a time.
 *
 * `npm test` takes the oldest and the newest compiler; with ROPEWALK_PROOFS=full (proofs.ts sets it) all of them.
 */

import { cpSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { targetOf } from "@ropewalk/workspace";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { execute, install, publicPackages, tool } from "./packed.ts";
import type { Installation } from "./packed.ts";

const fixtures = path.join(import.meta.dirname, "../fixtures");

let installed: Installation;
let consumer: string;
beforeAll(async () => {
  installed = await install([path.join(fixtures, "rope-stretched")]);
  consumer = path.join(installed.folder, "consumer");
  cpSync(path.join(fixtures, "consumer"), consumer, { recursive: true });
  writeFileSync(path.join(consumer, "every.ts"), importing(entries()));
  writeFileSync(path.join(consumer, "without-dom.ts"), importing(entries().filter(({ needsDom }) => !needsDom)));
}, 60_000);
// There is nothing to remove if installing failed.
afterAll(() => (installed as Installation | undefined)?.remove());

/** Every entry that has types. The backends' types use those of WebAssembly and of AbortSignal. */
function entries(): { readonly name: string; readonly needsDom: boolean }[] {
  return publicPackages.flatMap(({ name, kind, manifest }) =>
    Object.entries(manifest.exports ?? {})
      .filter(([, target]) => targetOf(target).types !== undefined)
      .map(([entry]) => ({ name: path.posix.join(name, entry), needsDom: kind === "backend" || name === "ropewalk" })),
  );
}

function importing(list: readonly { readonly name: string }[]): string {
  const imports = list.map(({ name }, i) => `import * as entry${i} from ${JSON.stringify(name)};`);
  return [...imports, `export const all: readonly object[] = [${list.map((_, i) => `entry${i}`).join()}];`].join("\n");
}

const oldest = "typescript-5.2";
const newest = "typescript";
const compilers = [oldest, "typescript-5.4", "typescript-5.9", "typescript-6.0", newest].map((name) => ({
  name,
  version: (JSON.parse(readFileSync(tool(name, "package.json"), "utf8")) as { version: string }).version,
}));
const isFull = process.env["ROPEWALK_PROOFS"] === "full";
const chosen = compilers.filter(({ name }) => isFull || name === oldest || name === newest);

const resolutions = {
  nodenext: { module: "NodeNext", moduleResolution: "NodeNext" },
  bundler: { module: "ESNext", moduleResolution: "Bundler" },
};

let made = 0;
/** Compiles files of the consumer. @throws Error with the compiler's output, if it finds anything. */
async function compile(compiler: string, files: readonly string[], compilerOptions: object): Promise<void> {
  const settings = path.join(consumer, `tsconfig.${made++}.json`);
  // What Node 20 and its contemporaries have: nothing newer may be needed to read the types.
  const options = { target: "ES2022", lib: ["ES2022"], noEmit: true, ...compilerOptions };
  writeFileSync(settings, JSON.stringify({ extends: "./tsconfig.json", compilerOptions: options, files, include: [] }));
  await execute(process.execPath, [tool(compiler, "bin/tsc"), "-p", settings], consumer);
}

describe.each(chosen)("TypeScript $version", ({ name }) => {
  const some = Object.entries(resolutions).filter(([key]) => isFull || (key === "nodenext") === (name === oldest));

  test.each(some)("module %s: every entry compiles", (_, options) =>
    compile(name, ["every.ts"], { ...options, lib: ["ES2022", "DOM"] }),
  );

  test.each(some)(
    "module %s: without types of browsers, all but the backends and every form of registration compile, and wrong code does not",
    (_, options) => compile(name, ["without-dom.ts", "console.d.ts", "main.ts", "class.ts", "refused.ts"], options),
  );
});

test("every package is among them", () => {
  const withTypes = publicPackages.filter(({ manifest }) => manifest.exports !== undefined);
  expect(withTypes.filter(({ name }) => !entries().some((entry) => entry.name.startsWith(name)))).toEqual([]);
  expect(entries().length).toBeGreaterThan(2 * 11);
});

test("a package without its types is found: these checks can fail", async () => {
  const folder = path.join(installed.folder, "node_modules/rope-untyped");
  cpSync(path.join(installed.folder, "node_modules/rope-stretched"), folder, {
    recursive: true,
    filter: (file) => !file.endsWith(".d.ts"),
  });
  writeFileSync(path.join(consumer, "untyped.ts"), importing([{ name: "rope-untyped" }]));
  await expect(compile(newest, ["untyped.ts"], resolutions.nodenext)).rejects.toThrow(/error TS7016/);
});

describe("isolatedDeclarations", () => {
  const isolated = { ...resolutions.nodenext, noEmit: false, declaration: true, isolatedDeclarations: true };

  test("a provider emits its declarations, and others use them", async () => {
    const outDir = path.join(consumer, "declarations");
    const files = ["console.d.ts", "main.ts"];
    await compile(newest, files, { ...isolated, emitDeclarationOnly: true, outDir });
    expect(readFileSync(path.join(outDir, "main.d.ts"), "utf8")).toContain('declare module "@ropewalk/core"');
    for (const { name } of chosen) await compile(name, ["use.ts"], resolutions.nodenext);
  });

  test("an export without its type is found: this check can fail", async () => {
    await expect(compile(newest, ["refused.ts"], { ...isolated, outDir: "nowhere" })).rejects.toThrow(/error TS9010/);
  });
});

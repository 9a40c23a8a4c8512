/** The committed pages agree with the build, and a changed signature makes the test fail. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { publishedPackages, workspacePackages } from "@ropewalk/workspace";
import { expect, onTestFinished, test } from "vitest";
import { report } from "../report.ts";

const root = path.resolve(import.meta.dirname, "../../..");

test.each(publishedPackages(root))("the page of $name says what it exports", (item) => {
  const committed = readFileSync(path.join(root, item.folder, "api.md"), "utf8");
  const message = `${item.folder}/api.md is not what the package exports. Where the change is meant, run npm run api and commit it.`;
  expect(report(root, item), message).toBe(committed);
});

const declarations = {
  "index.d.ts": `/** A comment with export declare function none(): void; */
import type { Inner } from "./inner.ts";
import type { Foreign } from "@ropewalk/core";
/** An overload. */
export declare function turn(x: number): Inner;
export declare function turn(x: string, /* in between */ y?: Foreign): Inner;
export declare class Rope<T extends Foreign> {
    #private;
    private readonly secret;
    /** Kept. */
    readonly source = "@ropewalk/small@1.2.0";
    private constructor();
    at(x: T): void;
}
declare const local: number;
export { local as renamed };
export { helper, type Other } from "./inner.ts";
export type { Tool } from "./inner.ts";
export { getRope } from "@ropewalk/core";
export type { Tensor } from "@ropewalk/core";
declare module "@ropewalk/core" {
    interface RopeParametersByType {
        small: Inner;
    }
}
`,
  "inner.d.ts": `export interface Inner extends Deep {
    readonly deep: Deep[];
    readonly unused: "Far";
}
interface Deep {
    readonly far: typeof local;
}
interface Far {}
declare const local: "inner";
export type Other = Inner | null;
export declare class Tool {}
export declare const helper: (x: number) => number, second: 2;
export {};
`,
};

/** The page of a package with these declarations. */
function pageOf(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(path.join(tmpdir(), "ropewalk-api-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const entry = (name: string): object => ({ types: `./dist/${name}.d.ts`, default: `./dist/${name}.js` });
  const manifest = {
    name: "@ropewalk/small",
    version: "1.2.0",
    exports: { ".": entry("index"), "./inner": entry("inner"), "./package.json": "./package.json" },
  };
  mkdirSync(path.join(folder, "packages/small/dist"), { recursive: true });
  writeFileSync(path.join(folder, "packages/small/package.json"), JSON.stringify(manifest));
  for (const [file, text] of Object.entries(files)) writeFileSync(path.join(folder, "packages/small/dist", file), text);
  return report(folder, workspacePackages(folder)[0]!);
}

test("names are sorted and stand there once, with the types of their signatures, without comments and private members", () => {
  expect(pageOf(declarations)).toBe(`# @ropewalk/small

What the package exports. Written by \`npm run api\` from the built declarations, without their comments.

## @ropewalk/small

\`\`\`ts
type Other = Inner | null;
class Rope<T extends Foreign> {
  readonly source = "@ropewalk/small@…";
  at(x: T): void;
}
export type { Tensor } from "@ropewalk/core";
class Tool {}
export type { Tool };
export { getRope } from "@ropewalk/core";
const helper: (x: number) => number;
const local: number;
export { local as renamed };
function turn(x: number): Inner;
function turn(x: string,  y?: Foreign): Inner;
\`\`\`

\`\`\`ts
declare module "@ropewalk/core" {
  interface RopeParametersByType {
    small: Inner;
  }
}
\`\`\`

## @ropewalk/small/inner

\`\`\`ts
interface Inner extends Deep {
  readonly deep: Deep[];
  readonly unused: "Far";
}
export { Other } from "@ropewalk/small";
export { Tool } from "@ropewalk/small";
export { helper } from "@ropewalk/small";
const second: 2;
\`\`\`

Not exported, but part of what is:

\`\`\`ts
interface Deep {
  readonly far: typeof local;
}
const local: "inner";
\`\`\`
`);
});

test.each([
  ["a parameter", "index.d.ts", "turn(x: number)", "turn(x: bigint)"],
  ["an overload", "index.d.ts", "export declare function turn(x: number): Inner;\n", ""],
  ["a member", "index.d.ts", "at(x: T)", "at(x: T, y: T)"],
  ["a name", "index.d.ts", "local as renamed", "local as reborn"],
  ["a type that is not exported", "inner.d.ts", "readonly far:", "readonly far?:"],
  ["whether a class is exported as a type only", "index.d.ts", "export type { Tool }", "export { Tool }"],
  ["the origin of a name", "index.d.ts", '{ getRope } from "@ropewalk/core"', '{ getRope } from "@ropewalk/yarn"'],
  ["a declaration that extends another package", "index.d.ts", "small: Inner", "large: Inner"],
] as const)("a change of %s changes the page", (_, file, before, after) => {
  expect(declarations[file]).toContain(before);
  const changed = { ...declarations, [file]: declarations[file].replace(before, after) };
  expect(pageOf(changed)).not.toBe(pageOf(declarations));
});

test("versions and comments do not change the page", () => {
  const page = pageOf(declarations);
  expect(
    pageOf({ ...declarations, "index.d.ts": declarations["index.d.ts"].replace("Kept.", "Said otherwise.") }),
  ).toBe(page);
  expect(page).not.toContain("1.2.0");
});

test("a package that is not built, and export *, are refused", () => {
  expect(() => pageOf({ "index.d.ts": declarations["index.d.ts"] })).toThrow(
    /inner\.d\.ts does not exist.*npm run build/,
  );
  expect(() => pageOf({ ...declarations, "inner.d.ts": 'export * from "./other.ts";\n' })).toThrow(/exports by name/);
});

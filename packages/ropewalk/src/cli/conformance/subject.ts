/** The package under test: its module, the manifest above it, and its files. */

import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { CliFailure } from "../failure.ts";
import { readJson } from "../files.ts";

/** The fields of a package.json that the laws read; nothing of it is trusted to have its form. */
export interface SubjectManifest {
  readonly name: string;
  readonly version: string;
  readonly keywords?: unknown;
  readonly exports?: unknown;
  readonly main?: unknown;
  readonly types?: unknown;
  readonly files?: unknown;
  readonly sideEffects?: unknown;
  readonly dependencies?: unknown;
  readonly peerDependencies?: unknown;
  readonly optionalDependencies?: unknown;
}

/** A package as it lies on the disk. */
export interface Subject {
  /** Absolute path of the folder of package.json. */
  readonly folder: string;
  /** Absolute path of the module. */
  readonly module: string;
  /** The module as manifests write it: `./dist/index.js`. */
  readonly entry: string;
  readonly manifest: SubjectManifest;
}

/**
 * Finds the package of a built module.
 *
 * @throws CliFailure when the module is no JavaScript file, or no package.json with name and version lies above it.
 */
export function readSubject(path: string): Subject {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) {
    throw new CliFailure("FILE_NOT_FOUND", `${path} does not exist. Build the package first, then give its module.`);
  }
  if (!stats.isFile() || !/\.m?js$/.test(path)) {
    const expected = "expected the built module of a package, for example ./dist/index.js";
    throw new CliFailure(
      "USAGE",
      `${path} is ${stats.isDirectory() ? "a folder" : "no .js or .mjs file"}: ${expected}.`,
    );
  }
  // The real path: a linked package has its manifest where its files are.
  const module = realpathSync(resolve(path));
  for (let folder = dirname(module); ; folder = dirname(folder)) {
    const file = join(folder, "package.json");
    if (existsSync(file)) {
      const manifest = readJson(file) as SubjectManifest | null;
      const { name, version } = Object(manifest) as Partial<SubjectManifest>;
      if (typeof name === "string" && typeof version === "string") {
        const entry = `./${relative(folder, module).replaceAll("\\", "/")}`;
        return { folder, module, entry, manifest: manifest as SubjectManifest };
      }
      // A manifest with nothing but "type" lies beside built files of some packages.
      if (name !== undefined || version !== undefined) {
        throw new CliFailure("FILE_FORMAT", `${file} needs a name and a version, both strings.`);
      }
    }
    if (folder === dirname(folder)) {
      throw new CliFailure("FILE_NOT_FOUND", `no package.json with name and version lies above ${path}.`);
    }
  }
}

/** Relative imports and exports of a module's text, and literal dynamic imports. */
const importPattern =
  /\b(?:from|import)[ \t]{0,8}\(?[ \t]{0,8}(?:"(\.{1,2}\/[^"\n]{1,200})"|'(\.{1,2}\/[^'\n]{1,200})')/g;

/** The module and every module of the package that it imports, with their text. */
export function ownModules({ folder, module }: Subject): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const open = [module];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (found.has(file)) continue;
    const text = readFileSync(file, "utf8");
    found.set(file, text);
    for (const [, double, single] of text.matchAll(importPattern)) {
      const target = resolve(dirname(file), double ?? single!);
      const inside = !relative(folder, target).startsWith("..");
      // Text that only looks like an import, in a comment for instance, names no file.
      if (inside && statSync(target, { throwIfNoEntry: false })?.isFile() === true) open.push(target);
    }
  }
  return found;
}

/** Reads the templates, and writes all files of a package or none. */

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { CreateFailure } from "./failure.ts";
import type { Versions } from "./manifest.ts";
import type { Files } from "./render.ts";

const home = fileURLToPath(new URL("..", import.meta.url));

/** The files below `templates`. */
export function readTemplates(): Files {
  const folder = path.join(home, "templates");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => statSync(path.join(folder, file)).isFile())
    .sort();
  return new Map(
    files.map((file) => [file.replaceAll(path.sep, "/"), readFileSync(path.join(folder, file), "utf8")] as const),
  );
}

/** The fields of this package's own manifest that versions come from. */
interface OwnManifest {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

const own = JSON.parse(readFileSync(path.join(home, "package.json"), "utf8")) as OwnManifest;

export const ownVersion: string = own.version;

/**
 * The versions that this package was published with, so that every release writes packages for its own core.
 *
 * @throws CreateFailure in the repository, where the manifest names the workspace and not a version.
 */
export function ownVersions(): Versions {
  const versionOf = (name: string): string => {
    const version = { ...own.devDependencies, ...own.dependencies }[name] ?? "";
    if (!/^\^?\d/.test(version)) {
      throw new CreateFailure(
        `create-ropewalk runs from its packed form: expected a version of ${name} in its package.json, got ${JSON.stringify(version)}. In the repository use npm run new:provider.`,
      );
    }
    return version.startsWith("^") ? version : `^${version}`;
  };
  return {
    "@ropewalk/conformance": versionOf("@ropewalk/conformance"),
    "@ropewalk/core": versionOf("@ropewalk/core"),
    "@types/node": versionOf("@types/node"),
    oxlint: versionOf("oxlint"),
    publint: versionOf("publint"),
    ropewalk: versionOf("ropewalk"),
    typescript: versionOf("typescript"),
  };
}

/** Why nothing can be written to a folder; `undefined` if it does not exist, or is empty. */
export function folderIssue(folder: string): string | undefined {
  if (folder === "") return "expected a folder for the new package, got an empty name";
  // A link that leads nowhere is there too.
  const stats = statSync(folder, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if (!stats.isDirectory()) return `${folder} is a file: expected a new folder, or an empty one`;
  const [first] = readdirSync(folder);
  return first === undefined ? undefined : `${folder} holds ${first}: expected a new folder, or an empty one`;
}

/**
 * Writes all files into a folder that is new or empty. They are written beside it first and moved as a whole, so that
 * a failure leaves nothing.
 *
 * @throws CreateFailure when something is in the folder, or the file system refuses.
 */
export function writePackage(folder: string, files: Files): void {
  const issue = folderIssue(folder);
  if (issue !== undefined) throw new CreateFailure(`${issue}. Nothing was written.`);
  const target = path.resolve(folder);
  const isNew = !existsSync(target);
  let madeParent: string | undefined;
  let draft: string | undefined;
  const moved: string[] = [];
  try {
    madeParent = mkdirSync(path.dirname(target), { recursive: true });
    // An empty folder may be the working directory, so it stays, and its content moves into it.
    draft = mkdtempSync(path.join(isNew ? path.dirname(target) : target, ".create-ropewalk-"));
    for (const [file, text] of files) {
      const place = path.join(draft, file);
      mkdirSync(path.dirname(place), { recursive: true });
      writeFileSync(place, text, { flag: "wx" });
    }
    if (isNew) {
      renameSync(draft, target);
      return;
    }
    for (const name of readdirSync(draft)) {
      renameSync(path.join(draft, name), path.join(target, name));
      moved.push(name);
    }
    rmSync(draft, { recursive: true });
  } catch (error) {
    for (const made of [...moved.map((name) => path.join(target, name)), draft, madeParent]) {
      if (made !== undefined) rmSync(made, { recursive: true, force: true });
    }
    throw new CreateFailure(`${folder} cannot be written: ${(error as Error).message}. Nothing was left behind.`);
  }
}

/**
 * Copies of the workspace in which versions are changed: with a history of their own, so that neither the workspace nor
 * its git is touched.
 */

import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { publishedPackages, workspacePackages } from "@ropewalk/workspace";
import { syncVersions } from "./sync-versions.ts";

export type Bump = "none" | "patch" | "minor" | "major";

export interface Release {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly bump: Bump;
}

const changesetCommand = fileURLToPath(import.meta.resolve("@changesets/cli/bin.js"));

/** The files that versions depend on: manifests, entries and literals. */
const copied = (root: string): string[] => [
  ...["package.json", "pnpm-workspace.yaml", "pnpm-lock.yaml", ".changeset"],
  ...workspacePackages(root).flatMap(({ folder }) =>
    ["package.json", "CHANGELOG.md", "src/index.ts"].map((file) => `${folder}/${file}`),
  ),
];

/** Calls `use` with a copy of these files, committed on a branch `main`. The copy is removed afterwards. */
export function withCopy(root: string, use: (copy: string) => void): void {
  const copy = temporaryFolder();
  try {
    for (const file of copied(root)) copyFile(root, copy, file);
    mkdirSync(path.join(copy, "node_modules/@changesets"), { recursive: true });
    // The changelog generator of .changeset/config.json is looked up from the copy.
    symlinkSync(path.resolve(path.dirname(changesetCommand)), path.join(copy, "node_modules/@changesets/cli"), "dir");
    start(copy);
    use(copy);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

export function temporaryFolder(): string {
  return realpathSync(mkdtempSync(path.join(tmpdir(), "ropewalk-release-")));
}

/**
 * Writes all that packages are built and packed from to `copy`, and `examples`. Their dependencies have to be installed
 * there.
 */
export function copyWhole(root: string, copy: string): void {
  const folders = ["packages", "tooling/typescript", "examples"];
  const tracked = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", ...folders];
  const ownTests = /^packages\/((providers|backends)\/)?[^/]+\/test\//;
  const files = git(root, ...tracked)
    .split("\0")
    .filter((file) => file !== "" && !ownTests.test(file));
  for (const file of new Set([...copied(root), ...files, "LICENSE"])) copyFile(root, copy, file);
  start(copy);
}

function copyFile(root: string, copy: string, file: string): void {
  if (!existsSync(path.join(root, file))) return;
  cpSync(path.join(root, file), path.join(copy, file), { recursive: true });
}

function start(copy: string): void {
  writeFileSync(path.join(copy, ".gitignore"), "node_modules\ndist\n.npmrc\n");
  git(copy, "init", "--quiet", "--initial-branch=main");
  commit(copy);
}

function git(cwd: string, ...args: readonly string[]): string {
  return execFileSync(
    "git",
    ["-c", "user.name=rehearsal", "-c", "user.email=rehearsal@localhost", "-c", "commit.gpgsign=false", ...args],
    { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] },
  );
}

export function commit(copy: string): void {
  git(copy, "add", "--all");
  git(copy, "commit", "--quiet", "--allow-empty", "--no-verify", "--message=rehearsal");
}

/** Runs changesets in a copy. Prints only failures. */
export function changeset(copy: string, ...args: readonly string[]): void {
  try {
    execFileSync(process.execPath, [changesetCommand, ...args], {
      cwd: copy,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`changeset ${args.join(" ")} failed:\n${stdout}${stderr}`, { cause: error });
  }
}

/** Applies all entries of a copy and returns the releases. */
export function release(copy: string): Release[] {
  const before = new Map(publishedPackages(copy).map(({ name, manifest }) => [name, manifest.version]));
  changeset(copy, "version");
  syncVersions(copy);
  commit(copy);
  return publishedPackages(copy).map(({ name, manifest: { version } }) => {
    const from = before.get(name) ?? "";
    return { name, from, to: version, bump: bumpBetween(from, version) };
  });
}

function bumpBetween(from: string, to: string): Bump {
  const [a, b] = [from, to].map((version) => version.split("-")[0]?.split(".").map(Number) ?? []);
  const index = [0, 1, 2].findIndex((i) => a?.[i] !== b?.[i]);
  return index === -1 ? "none" : ((["major", "minor", "patch"] as const)[index] ?? "none");
}

/** Applies a change of one package alone and returns the releases. */
export function releaseOf(copy: string, name: string, bump: Exclude<Bump, "none">): Release[] {
  writeFileSync(path.join(copy, ".changeset/rehearsal.md"), `---\n"${name}": ${bump}\n---\n\nRehearsed a change.\n`);
  commit(copy);
  return release(copy);
}

/** Sets every public package of a copy to one version. */
export function setVersions(copy: string, version: string): void {
  for (const { folder } of publishedPackages(copy)) {
    const file = path.join(copy, folder, "package.json");
    writeFileSync(file, readFileSync(file, "utf8").replace(/"version": "[^"]*"/, `"version": "${version}"`));
  }
  syncVersions(copy);
  commit(copy);
}

/** Packages that a change of core would bump by more than a patch, though they did not change. */
export function draggedAlong(releases: readonly Release[], core = "@ropewalk/core"): Release[] {
  return releases.filter(({ name, bump }) => name !== core && (bump === "minor" || bump === "major"));
}

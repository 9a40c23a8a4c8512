/**
 * `npm run release:rehearse`: shows the releases of the pending changeset entries, and those of a later change of core
 * alone. It works in a copy with its own history and does not touch the workspace or its git.
 */

import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
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
  const copy = mkdtempSync(path.join(tmpdir(), "ropewalk-release-"));
  try {
    for (const file of copied(root).filter((name) => existsSync(path.join(root, name)))) {
      cpSync(path.join(root, file), path.join(copy, file), { recursive: true });
    }
    mkdirSync(path.join(copy, "node_modules/@changesets"), { recursive: true });
    // The changelog generator of .changeset/config.json is looked up from the copy.
    symlinkSync(path.resolve(path.dirname(changesetCommand)), path.join(copy, "node_modules/@changesets/cli"), "dir");
    writeFileSync(path.join(copy, ".gitignore"), "node_modules\n");
    git(copy, "init", "--quiet", "--initial-branch=main");
    commit(copy);
    use(copy);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

function git(cwd: string, ...args: readonly string[]): string {
  return execFileSync(
    "git",
    ["-c", "user.name=rehearsal", "-c", "user.email=rehearsal@localhost", "-c", "commit.gpgsign=false", ...args],
    { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] },
  );
}

function commit(copy: string): void {
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

function table(title: string, releases: readonly Release[]): string {
  const moved = releases.filter(({ bump }) => bump !== "none");
  const width = Math.max(0, ...moved.map(({ name }) => name.length));
  const rows = moved.map(({ name, from, to, bump }) => `  ${name.padEnd(width)}  ${from} → ${to}  ${bump}`);
  return [title, ...(rows.length === 0 ? ["  nothing"] : rows), ""].join("\n");
}

/** Prints the three releases. @returns the packages that core drags along. */
function rehearse(copy: string): Release[] {
  console.log(table("The pending entries release:", release(copy)));
  const atZero = releaseOf(copy, "@ropewalk/core", "minor");
  console.log(table("After that, a minor change of core alone releases:", atZero));
  setVersions(copy, "1.0.0");
  const atOne = releaseOf(copy, "@ropewalk/core", "minor");
  console.log(table("The same from 1.0.0 on:", atOne));
  return [...draggedAlong(atZero), ...draggedAlong(atOne)];
}

if (import.meta.main) {
  withCopy(path.resolve(import.meta.dirname, "../.."), (copy) => {
    try {
      const dragged = rehearse(copy);
      if (dragged.length === 0) return;
      console.error(
        `A minor change of core must leave its peers at a patch at most: ${dragged.map(({ name, bump }) => `${name} (${bump})`).join(", ")}.`,
      );
    } catch (error) {
      console.error((error as Error).message);
    }
    process.exitCode = 1;
  });
}

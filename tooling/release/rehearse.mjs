/**
 * `npm run release:rehearse`: what the pending changeset entries would release, and what a later change of core alone
 * would. Everything happens in a copy with a history of its own; the workspace and its git are not touched.
 */

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { publicPackages } from "./packages.mjs";
import { syncVersions } from "./sync-versions.mjs";

/**
 * @typedef {"none" | "patch" | "minor" | "major"} Bump
 * @typedef {{ name: string, from: string, to: string, bump: Bump }} Release
 */

const changesetCommand = fileURLToPath(import.meta.resolve("@changesets/cli/bin.js"));

/** A copy of what git tracks or would track, committed on a branch `main`, for `use`; removed afterwards. */
export function withCopy(/** @type {string} */ root, /** @type {(copy: string) => void} */ use) {
  const copy = mkdtempSync(path.join(tmpdir(), "ropewalk-release-"));
  try {
    const files = execFileSync(
      "git",
      ["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate", "-z"],
      { cwd: root, encoding: "utf8", maxBuffer: 2 ** 28 },
    );
    for (const file of files.split("\0")) {
      // Versions depend on manifests, entries and literals; goldens are many and say nothing here.
      if (
        !/^(package\.json|pnpm-workspace\.yaml|pnpm-lock\.yaml|\.changeset\/.*|(packages|packages\/providers|packages\/backends|apps|tooling)\/[^/]+\/(package\.json|CHANGELOG\.md|src\/index\.ts))$/.test(
          file,
        )
      ) {
        continue;
      }
      mkdirSync(path.dirname(path.join(copy, file)), { recursive: true });
      cpSync(path.join(root, file), path.join(copy, file));
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

function git(/** @type {string} */ cwd, /** @type {string[]} */ ...args) {
  return execFileSync(
    "git",
    ["-c", "user.name=rehearsal", "-c", "user.email=rehearsal@localhost", "-c", "commit.gpgsign=false", ...args],
    { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] },
  );
}

function commit(/** @type {string} */ copy) {
  git(copy, "add", "--all");
  git(copy, "commit", "--quiet", "--allow-empty", "--no-verify", "--message=rehearsal");
}

/** Runs changesets in a copy, quietly unless it fails. */
export function changeset(/** @type {string} */ copy, /** @type {string[]} */ ...args) {
  try {
    execFileSync(process.execPath, [changesetCommand, ...args], {
      cwd: copy,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  } catch (error) {
    const { stdout, stderr } = /** @type {any} */ (error);
    throw new Error(`changeset ${args.join(" ")} failed:\n${stdout}${stderr}`, { cause: error });
  }
}

/**
 * Applies all entries of a copy and says what came of it.
 * @returns {Release[]}
 */
export function release(/** @type {string} */ copy) {
  const before = new Map(publicPackages(copy).map(({ name, version }) => [name, version]));
  changeset(copy, "version");
  syncVersions(copy);
  commit(copy);
  return publicPackages(copy).map(({ name, version }) => {
    const from = before.get(name) ?? "";
    return { name, from, to: version, bump: bumpBetween(from, version) };
  });
}

/** @returns {Bump} */
function bumpBetween(/** @type {string} */ from, /** @type {string} */ to) {
  const [a, b] = [from, to].map((version) => version.split("-")[0]?.split(".").map(Number) ?? []);
  const index = [0, 1, 2].findIndex((i) => a?.[i] !== b?.[i]);
  return index === -1 ? "none" : (/** @type {const} */ (["major", "minor", "patch"])[index] ?? "none");
}

/** Releases a change of one package alone. */
export function releaseOf(
  /** @type {string} */ copy,
  /** @type {string} */ name,
  /** @type {Exclude<Bump, "none">} */ bump,
) {
  writeFileSync(path.join(copy, ".changeset/rehearsal.md"), `---\n"${name}": ${bump}\n---\n\nRehearsed a change.\n`);
  commit(copy);
  return release(copy);
}

/** Sets every public package of a copy to a version, as if all had been released so. */
export function setVersions(/** @type {string} */ copy, /** @type {string} */ version) {
  for (const { folder } of publicPackages(copy)) {
    const file = path.join(copy, folder, "package.json");
    writeFileSync(file, readFileSync(file, "utf8").replace(/"version": "[^"]*"/, `"version": "${version}"`));
  }
  syncVersions(copy);
  commit(copy);
}

/** Packages that a change of core would bump by more than a patch: their users would have to act for nothing. */
export function draggedAlong(/** @type {Release[]} */ releases, core = "@ropewalk/core") {
  return releases.filter(({ name, bump }) => name !== core && (bump === "minor" || bump === "major"));
}

/** @returns {string} */
function table(/** @type {string} */ title, /** @type {Release[]} */ releases) {
  const moved = releases.filter(({ bump }) => bump !== "none");
  const width = Math.max(0, ...moved.map(({ name }) => name.length));
  const rows = moved.map(({ name, from, to, bump }) => `  ${name.padEnd(width)}  ${from} → ${to}  ${bump}`);
  return [title, ...(rows.length === 0 ? ["  nothing"] : rows), ""].join("\n");
}

/** Prints the three releases. @returns the packages that core drags along. */
function rehearse(/** @type {string} */ copy) {
  console.log(table("The pending entries release:", release(copy)));
  const atZero = releaseOf(copy, "@ropewalk/core", "minor");
  console.log(table("After that, a minor change of core alone releases:", atZero));
  setVersions(copy, "1.0.0");
  const atOne = releaseOf(copy, "@ropewalk/core", "minor");
  console.log(table("The same from 1.0.0 on:", atOne));
  return [...draggedAlong(atZero), ...draggedAlong(atOne)];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  withCopy(path.resolve(import.meta.dirname, "../.."), (copy) => {
    try {
      const dragged = rehearse(copy);
      if (dragged.length === 0) return;
      console.error(
        `A minor change of core must leave its peers at a patch at most: ${dragged.map(({ name, bump }) => `${name} (${bump})`).join(", ")}.`,
      );
    } catch (error) {
      console.error(/** @type {Error} */ (error).message);
    }
    process.exitCode = 1;
  });
}

/**
 * Checks that the changeset entries are usable and that every changed package has one.
 *
 * `changeset status` alone needs a base branch, which a fresh, detached or shallow clone may lack. It also accepts one
 * entry for all changes. So this program reads the entries itself, runs `status` in a copy with its own history, and
 * compares with the last release in the history of this clone.
 */

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { parseChangesetFile } from "@changesets/parse";
import { publishedPackages } from "@ropewalk/workspace";
import { changeset, withCopy } from "./copy.ts";

interface Entry {
  readonly file: string;
  readonly summary: string;
  readonly releases: readonly { readonly name: string; readonly type: string }[];
}

export interface Result {
  readonly entries: number;
  /** The number of packages that the entries name. */
  readonly packages: number;
  /** Every problem, as one line each. */
  readonly problems: readonly string[];
}

export function checkChangesets(root: string): Result {
  const problems: string[] = [];
  const packages = publishedPackages(root);
  const names = new Set(packages.map(({ name }) => name));
  const entries = readEntries(root, problems);
  for (const { file, releases, summary } of entries) {
    if (releases.length === 0) problems.push(`${file}: names no package. Name those whose published code has changed.`);
    for (const { name } of releases) {
      if (!names.has(name)) {
        problems.push(
          `${file}: names ${name}, which is no published package. Expected one of ${[...names].join(", ")}.`,
        );
      }
    }
    // A user reads this sentence in the changelog.
    if (!/^[A-Z][^\n]*\.$/.test(summary)) {
      problems.push(`${file}: expected one sentence in the past tense, got ${JSON.stringify(summary)}.`);
    }
  }

  const named = new Set(entries.flatMap(({ releases }) => releases.map(({ name }) => name)));
  const since = lastRelease(root);
  for (const { name, folder, manifest } of packages) {
    if (named.has(name)) continue;
    const released = existsSync(path.join(root, folder, "CHANGELOG.md"));
    if (!released && manifest.version === "0.0.0") {
      problems.push(`${folder}: ${name} was never released and no entry names it. Run npm run changeset.`);
    } else if (changedSince(root, since, folder)) {
      problems.push(
        `${folder}: published files have changed since the last release and no entry names ${name}. Run npm run changeset.`,
      );
    }
  }

  if (problems.length === 0) {
    withCopy(root, (copy) => {
      try {
        changeset(copy, "status", "--output=plan.json");
        const plan = JSON.parse(readFileSync(path.join(copy, "plan.json"), "utf8")) as Pick<Entry, "releases">;
        const planned = new Set(plan.releases.map(({ name }) => name));
        for (const name of named) {
          if (!planned.has(name)) problems.push(`changeset status leaves out ${name}, which an entry names.`);
        }
      } catch (error) {
        problems.push((error as Error).message);
      }
    });
  }
  return { entries: entries.length, packages: named.size, problems };
}

function readEntries(root: string, problems: string[]): Entry[] {
  const folder = path.join(root, ".changeset");
  return readdirSync(folder)
    .filter((name) => name.endsWith(".md") && name !== "README.md")
    .sort()
    .flatMap((name) => {
      const file = `.changeset/${name}`;
      try {
        return [{ file, ...parseChangesetFile(readFileSync(path.join(folder, name), "utf8")) }];
      } catch (error) {
        problems.push(`${file}: ${(error as Error).message.split("\n")[0]}`);
        return [];
      }
    });
}

/** The last commit that wrote a changelog; else the oldest commit of this clone. */
function lastRelease(root: string): string | undefined {
  const git = (...args: readonly string[]): string => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();
  return (
    git("log", "-1", "--format=%H", "--", ":(glob)packages/**/CHANGELOG.md") ||
    git("rev-list", "--max-parents=0", "HEAD").split("\n").at(-1)
  );
}

/** Whether the published files of a package have changed. Its tests and its README do not count. */
function changedSince(root: string, commit: string | undefined, folder: string): boolean {
  if (commit === undefined) return false;
  const files = execFileSync("git", ["diff", "--name-only", commit, "--", `${folder}/src`, `${folder}/package.json`], {
    cwd: root,
    encoding: "utf8",
  });
  return files.trim() !== "";
}

if (import.meta.main) {
  const { entries, packages, problems } = checkChangesets(
    path.resolve(process.argv[2] ?? path.join(import.meta.dirname, "../..")),
  );
  for (const problem of problems) console.error(problem);
  console.log(
    problems.length === 0
      ? `${entries} changeset entries for ${packages} packages; changeset status accepts them.`
      : `${problems.length} problem${problems.length === 1 ? "" : "s"} with changeset entries.`,
  );
  process.exitCode = problems.length === 0 ? 0 : 1;
}

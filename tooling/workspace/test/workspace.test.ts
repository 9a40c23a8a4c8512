import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { groups, publishedPackages, workspacePackages } from "../index.ts";

const root = path.resolve(import.meta.dirname, "../../..");

test("the folders of packages are those that pnpm installs", () => {
  const [, list] = /^packages: \[(.*)\]$/m.exec(readFileSync(path.join(root, "pnpm-workspace.yaml"), "utf8"))!;
  expect(list!.split(", ")).toEqual(groups.map((group) => `${group}/*`));
});

test("packages are found with their kind; the published ones are those below packages", () => {
  const kinds = Object.fromEntries(workspacePackages(root).map(({ folder, kind }) => [folder, kind]));
  expect(kinds).toMatchObject({
    "packages/core": "core",
    "packages/ropewalk": "command",
    "packages/providers/yarn": "provider",
    "packages/backends/webgpu": "backend",
    "apps/bench": "app",
    "tooling/workspace": "tooling",
  });
  expect(publishedPackages(root).map(({ folder }) => folder)).toEqual(
    Object.keys(kinds).filter((folder) => folder.startsWith("packages/")),
  );
});

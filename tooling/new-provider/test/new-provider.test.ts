/** `npm run new:provider` on a copy of this workspace. */

import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { conformance } from "@ropewalk/conformance";
import { unregisterRopeType } from "@ropewalk/core";
import { checkWorkspace } from "@ropewalk/lint";
import { expect, onTestFinished, test } from "vitest";
import { addProvider } from "../new-provider.ts";

const root = path.join(import.meta.dirname, "../../..");
const halfSpeed = {
  folder: "half-speed",
  type: "half_speed",
  description: "Half speed, as a ropewalk provider.",
  engines: [],
};

/** The files that the command reads or changes, and everything that its lint reads. */
function copyOfWorkspace(): string {
  const copy = realpathSync(mkdtempSync(path.join(tmpdir(), "ropewalk ü ")));
  onTestFinished(() => rmSync(copy, { recursive: true, force: true }));
  const isOurs = (file: string): boolean => !/[/\\](?:node_modules|dist|fixtures|\.turbo)$/.test(file);
  for (const folder of ["packages", "tooling/lint", "tooling/parity", "README.md", "LICENSE"]) {
    cpSync(path.join(root, folder), path.join(copy, folder), { recursive: true, filter: isOurs });
  }
  return copy;
}

/** Texts by path of all files below a folder. */
function contents(folder: string): ReadonlyMap<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files.map((entry) => {
      const file = path.join(entry.parentPath, entry.name);
      return [path.relative(folder, file).replaceAll(path.sep, "/"), readFileSync(file, "latin1")] as const;
    }),
  );
}

test("writes the package and every entry, and the workspace keeps its rules", () => {
  const copy = copyOfWorkspace();
  expect(checkWorkspace(copy)).toEqual([]);
  const before = contents(copy);
  const files = addProvider(copy, halfSpeed);
  const after = contents(copy);
  expect(files.toSorted()).toEqual([...after.keys()].filter((file) => after.get(file) !== before.get(file)).sort());
  expect(checkWorkspace(copy)).toEqual([]);

  // Where it adds, it adds lines and changes none, but for the row of README.md.
  for (const file of files.filter((changed) => before.has(changed) && changed !== "README.md")) {
    const lines = after.get(file)!.split("\n");
    expect(lines.filter((line) => !/half[-_]?speed/i.test(line))).toEqual(before.get(file)!.split("\n"));
  }
  expect(after.get("README.md")).toContain("[`half-speed`](packages/providers/half-speed) | rope types of one axis");
});

test("docs/add-a-provider.md lists the files that it changes", () => {
  const page = readFileSync(path.join(root, "docs/add-a-provider.md"), "utf8");
  const table = page.slice(page.indexOf("## In this repository"));
  // A word of core's joins the list of ordinary words; two engines build the type.
  const copy = copyOfWorkspace();
  const files = addProvider(copy, { ...halfSpeed, folder: "angle", type: "angle", engines: ["hf", "vllm"] });
  expect(readFileSync(path.join(copy, "tooling/lint/rules/core.ts"), "utf8")).toMatch(
    /^const ordinary = new Set\(\[.*, "angle"\]\);$/m,
  );
  const facts = (file: string): string => readFileSync(path.join(copy, "packages/config/src/facts", file), "utf8");
  expect(facts("dialects.ts").match(/"angle"/g)).toHaveLength(2);
  expect(facts("dialects.ts")).toMatch(/name: "hf",[^\]]*ropeTypes: \[[^\]]*, "angle"\]/);
  expect(facts("dialects.ts")).toMatch(/name: "vllm",[^\]]*ropeTypes: \[[^\]]*, "angle"\]/);
  expect(facts("keys.ts")).toMatch(/key: "factor",\n *ropeTypes: \[[^\]]*, "angle"\]/);
  const outside = files.filter((file) => !file.startsWith("packages/providers/") && !file.startsWith(".changeset/"));
  expect(outside).toContain("tooling/lint/rules/core.ts");
  const listed = [...table.matchAll(/^ *\| (`.*`) \|/gm)].flatMap(([, cell]) => {
    const names = [...cell!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);
    // `packages/config/test/helpers.ts`, `package.json`: the second stands in the first one's package.
    return names.map((name) =>
      name === "package.json" ? `${/^packages\/\w+/.exec(names[0]!)![0]}/package.json` : name,
    );
  });
  for (const file of outside) expect(listed).toContain(file);
});

test("the package builds, fails the suite, and passes it when only its formula is written", async () => {
  const copy = copyOfWorkspace();
  addProvider(copy, halfSpeed);
  const home = path.join(copy, "packages/providers/half-speed");
  // What an installation would link.
  symlinkSync(path.join(root, "packages/providers/linear/node_modules"), path.join(home, "node_modules"), "dir");
  const tsc = path.join(home, "node_modules/typescript/bin/tsc");
  const failures = async (round: number): Promise<string[]> => {
    execFileSync(process.execPath, [tsc, "-p", "tsconfig.json"], { cwd: home, stdio: "pipe" });
    unregisterRopeType("half_speed");
    const entry = pathToFileURL(path.join(home, "dist/index.js")).href;
    // Another query is another module for Node; its formula needs one too.
    const code = path.join(home, "dist/index.js");
    writeFileSync(code, readFileSync(code, "utf8").replaceAll("./formula.js", `./formula.js?${round}`));
    await import(/* @vite-ignore */ `${entry}?${round}`);
    const failed: string[] = [];
    const runs: [string, () => void | Promise<void>][] = [];
    const cases = [{ name: "factor 4", request: { headDim: 32, parameters: { factor: 4 } } }];
    conformance((name, run) => runs.push([name, run]), { ropeType: "half_speed", cases });
    for (const [name, run] of runs) {
      try {
        await run();
      } catch (error) {
        failed.push(`${name}: ${(error as Error).message}`);
      }
    }
    return failed;
  };
  const before = await failures(1);
  expect(before.length).toBeGreaterThan(10);
  expect(before.join("\n")).toContain("the formula is not written yet");

  const formula = path.join(home, "src/formula.ts");
  const text = readFileSync(formula, "utf8");
  const filled = text.replace(
    /throw new Error\(.*not written yet.*\);/,
    "return { invFreq: plain.map((frequency) => array.divide(frequency, factor)) };",
  );
  expect(filled).not.toBe(text);
  writeFileSync(formula, filled);
  expect(await failures(2)).toEqual([]);
  // The tests of the package compile too.
  execFileSync(process.execPath, [tsc, "-p", "tsconfig.test.json"], { cwd: home, stdio: "pipe" });
  unregisterRopeType("half_speed");
});

test.each([
  ["a folder in capitals", { folder: "Half" }, /the folder "Half"/],
  ["a folder that is there", { folder: "yarn" }, /packages\/providers\/yarn is there already/],
  ["a path", { folder: "../x" }, /the folder/],
  ["a type that is registered", { type: "yarn" }, /the type: .*taken/],
  ["a type that is no word", { type: "2d" }, /the type: expected words/],
  ["no description", { description: "" }, /the description/],
  [
    "an engine that no dialect is of",
    { engines: ["hf", "tgi"] },
    /expected name: "tgi", once, or one of "hf", "vllm",/,
  ],
])("%s is refused before anything is written", (_, change, message) => {
  expect(() => addProvider(root, { ...halfSpeed, ...change })).toThrow(message);
});

test("a failure puts everything back: no place for an entry, or a file that cannot be written", () => {
  const copy = copyOfWorkspace();
  const readme = path.join(copy, "README.md");
  const text = readFileSync(readme, "utf8");
  writeFileSync(readme, "# another\n");
  const changed = contents(copy);
  expect(() => addProvider(copy, halfSpeed)).toThrow(/README\.md: expected .* once, got 0 times/);
  expect(contents(copy)).toEqual(changed);
  writeFileSync(readme, text);

  // The entry of the changelog is written last; a file where its folder should be stops it.
  writeFileSync(path.join(copy, ".changeset"), "");
  const before = contents(copy);
  expect(() => addProvider(copy, halfSpeed)).toThrow(/\.changeset/);
  expect(contents(copy)).toEqual(before);
  expect(existsSync(path.join(copy, "packages/providers/half-speed"))).toBe(false);
});

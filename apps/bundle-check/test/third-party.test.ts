/**
 * The packages and the app in `examples`, as their authors and users have them: copied out of this repository, with
 * packed packages and nothing else of ours. No network: other libraries come from this workspace.
 */

import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Manifest } from "@ropewalk/workspace";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { linkPackage, linkTools } from "./link-tools.ts";
import { execute, install, root } from "./packed.ts";
import type { Installation } from "./packed.ts";

const packages = [
  {
    name: "ropewalk-provider-cope",
    published: ["LICENSE", "README.md", "conformance.json", "dist", "package.json", "src"],
  },
  {
    name: "ropewalk-backend-trace",
    published: ["LICENSE", "README.md", "conformance.mjs", "package.json", "src", "types.d.ts"],
  },
] as const;
const names = packages.map(({ name }) => name);

let installed: Installation;
/** A folder with a space in its path, from which no package of this repository is found by accident. */
let place: string;
beforeAll(async () => {
  installed = await install();
  place = `${installed.folder} third party`;
  for (const name of [...names, "app"]) {
    cpSync(path.join(root, "examples", name), path.join(place, name), {
      recursive: true,
      filter: (file) => !/^(?:node_modules|dist)$/.test(path.basename(file)),
    });
    linkDependencies(path.join(place, name));
    if (name !== "app") await publish(name);
  }
}, 120_000);
// There is nothing to remove if installing failed.
afterAll(() => {
  if ((installed as Installation | undefined) === undefined) return;
  installed.remove();
  rmSync(place, { recursive: true, force: true });
});

function manifestOf(folder: string): Manifest {
  return JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8")) as Manifest;
}

/** Puts into node_modules what the manifest names: packed packages, and libraries of this workspace. */
function linkDependencies(folder: string): void {
  const { dependencies, devDependencies } = manifestOf(folder);
  const modules = path.join(folder, "node_modules");
  const wanted = Object.keys({ ...dependencies, ...devDependencies });
  const isPacked = (name: string): boolean => installed.tarballs.has(name) || (names as string[]).includes(name);
  for (const name of wanted.filter(isPacked)) {
    linkPackage(modules, name, path.join(installed.folder, "node_modules", name));
  }
  linkTools(
    modules,
    wanted.filter((name) => !isPacked(name)),
  );
}

/** Packs a package of an example, and unpacks it where its users find it. */
async function publish(name: string): Promise<void> {
  const packed = path.join(installed.folder, "packed");
  const printed = await npm(name, "pack", "--silent", "--pack-destination", packed);
  const target = path.join(installed.folder, "node_modules", name);
  mkdirSync(target);
  const tarball = path.join(packed, printed.trim().split("\n").at(-1)!);
  await execute("tar", ["xzf", tarball, "-C", target, "--strip-components=1"], place);
}

function npm(example: string, ...args: string[]): Promise<string> {
  return execute("npm", args, path.join(place, example));
}

/** How many tests passed and failed, from the last lines of node:test. */
function counts(report: string): { pass: number; fail: number } {
  const count = (word: string): number => Number(new RegExp(String.raw`^\S+ ${word} (\d+)$`, "m").exec(report)?.[1]);
  return { pass: count("pass"), fail: count("fail") };
}

/** The lowest version of a range as these manifests write it, `^0.1.0` or `>=0.1.0 <3.0.0`, and the first beyond it. */
function bounds(range: string): { from: number[]; below: number[] } {
  const [, sign, from, below] = /^(\^|>=)(\d+\.\d+\.\d+)(?: <(\d+\.\d+\.\d+))?$/.exec(range) ?? [];
  const isRange = from !== undefined && (sign === ">=") === (below !== undefined);
  if (!isRange) throw new Error(`${range}: no range of releases`);
  const [major, minor] = numbersOf(from) as [number, number];
  return {
    from: numbersOf(from),
    below: below === undefined ? (major > 0 ? [major + 1, 0, 0] : [0, minor + 1, 0]) : numbersOf(below),
  };
}

const numbersOf = (version: string): number[] => version.split(".").map(Number);

function isBefore(a: readonly number[], b: readonly number[]): boolean {
  const different = a.findIndex((value, i) => value !== b[i]);
  return different >= 0 && a[different]! < b[different]!;
}

/** The first release will be 0.1.0. */
const releaseOf = (version: string): number[] => numbersOf(version === "0.0.0" ? "0.1.0" : version);

test.each([...names, "app"])("%s asks for what is released", (name) => {
  const { dependencies, devDependencies, peerDependencies } = manifestOf(path.join(root, "examples", name));
  const current = (dependency: string): number[] =>
    releaseOf(manifestOf(path.join(installed.folder, "node_modules", dependency)).version);
  for (const [dependency, range] of Object.entries({ ...dependencies, ...devDependencies })) {
    const isOurs = installed.tarballs.has(dependency);
    const { from } = bounds(range);
    expect(isOurs && isBefore(current(dependency), from), `${dependency}@${range} is released`).toBe(false);
  }
  for (const [dependency, range] of Object.entries(peerDependencies ?? {})) {
    const { from, below } = bounds(range);
    const admits = !isBefore(current(dependency), from) && isBefore(current(dependency), below);
    expect(admits, `${dependency}@${range} admits the core of this repository`).toBe(true);
  }
});

describe.each(packages)("$name", ({ name, published }) => {
  test("passes its own checks, and the suite of the command line as its committed report says", async () => {
    interface Report {
      readonly package: unknown;
      readonly passed: boolean;
      readonly counts: { readonly passed: number };
      readonly types: unknown;
      readonly backends: unknown;
    }
    const read = (): Report =>
      JSON.parse(readFileSync(path.join(place, name, "conformance-report.json"), "utf8")) as Report;
    const committed = read();
    rmSync(path.join(place, name, "conformance-report.json"));
    const printed = await npm(name, "run", "check");
    expect(printed).toMatch(/All good!/);
    const { pass, fail } = counts(printed);
    expect(fail).toBe(0);
    expect(pass).toBeGreaterThan(50);

    const { package: subject, types, backends, passed, counts: results } = read();
    expect({ subject, types, backends, passed }).toEqual({
      subject: committed.package,
      types: committed.types,
      backends: committed.backends,
      passed: true,
    });
    expect(committed.passed).toBe(true);
    const badge = readFileSync(path.join(place, name, "conformance.svg"), "utf8");
    expect(badge).toContain(`${results.passed} of ${results.passed} passed`);
  });

  test("has a README whose example runs, and prints what it shows", async () => {
    const readme = readFileSync(path.join(root, "examples", name, "README.md"), "utf8");
    const [, code, shown = ""] = /```js\n([\s\S]*?)```\n(?:\n```\n([\s\S]*?)```\n)?/.exec(readme)!;
    const file = path.join(installed.folder, `${name}.js`);
    writeFileSync(file, code!);
    expect(await execute(process.execPath, [file], installed.folder)).toBe(shown);
  });

  test("publishes what runs, with core as its only peer", () => {
    const folder = path.join(installed.folder, "node_modules", name);
    expect(readdirSync(folder).sort()).toEqual(published);
    const { dependencies, peerDependencies } = manifestOf(folder);
    expect([dependencies, Object.keys(peerDependencies ?? {})]).toEqual([undefined, ["@ropewalk/core"]]);
  });
});

test("the app is type-checked and bundled, and prints the engines' numbers and what its README shows", async () => {
  expect(counts(await npm("app", "test"))).toEqual({ pass: 2, fail: 0 });
  const readme = readFileSync(path.join(root, "examples/app/README.md"), "utf8");
  const printed = await npm("app", "start", "--silent");
  expect(readme).toContain(`\n\`\`\`\n${printed}\`\`\`\n`);
});

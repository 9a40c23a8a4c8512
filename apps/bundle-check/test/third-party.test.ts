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
  { name: "ropewalk-provider-cope", published: ["LICENSE", "README.md", "dist", "package.json", "src"] },
  { name: "ropewalk-backend-trace", published: ["LICENSE", "README.md", "package.json", "src", "types.d.ts"] },
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

/** Whether a range as these manifests write it, `^0.1.0`, admits a version; before the first release there is 0.1.0. */
function admits(range: string, version: string): boolean {
  const [, major, minor, patch] = /^\^(\d+)\.(\d+)\.(\d+)$/.exec(range)?.map(Number) ?? [];
  const [a, b, c] = (version === "0.0.0" ? "0.1.0" : version).split(".").map(Number);
  if (major === undefined || major !== a) return false;
  return major === 0 ? minor === b && patch! <= c! : minor! < b! || (minor === b && patch! <= c!);
}

test.each([...names, "app"])("%s asks for what is published, in versions that are published", (name) => {
  const { dependencies, devDependencies, peerDependencies } = manifestOf(path.join(root, "examples", name));
  for (const [dependency, range] of [dependencies, devDependencies, peerDependencies].flatMap((list) =>
    Object.entries(list ?? {}),
  )) {
    const folder = path.join(installed.folder, "node_modules", dependency);
    if (installed.tarballs.has(dependency) || (names as string[]).includes(dependency)) {
      expect(admits(range, manifestOf(folder).version), `${dependency}@${range}`).toBe(true);
    } else {
      expect(range, dependency).toMatch(/^\^\d+\.\d+\.\d+$/);
    }
  }
});

describe.each(packages)("$name", ({ name, published }) => {
  test("passes its own checks", async () => {
    const report = await npm(name, "run", "check");
    expect(report).toMatch(/All good!/);
    const { pass, fail } = counts(report);
    expect(fail).toBe(0);
    expect(pass).toBeGreaterThan(50);
  });

  test("passes the suite of the command line, as its committed report says", async () => {
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
    await npm(name, "run", "conformance");
    const { package: subject, types, backends, passed, counts: results } = read();
    expect({ package: subject, types, backends }).toEqual({
      package: committed.package,
      types: committed.types,
      backends: committed.backends,
    });
    expect([passed, committed.passed]).toEqual([true, true]);
    expect(results.passed).toBeGreaterThan(50);
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

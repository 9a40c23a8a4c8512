/**
 * `npm create ropewalk`, from its packed form: each kind of package is made, built, seen to fail, completed by its one
 * formula, checked, packed, and used by somebody else. No network: tools come from this workspace.
 */

import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Manifest } from "@ropewalk/workspace";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { linkCommands, linkTools } from "./link-tools.ts";
import { execute, install, nodes } from "./packed.ts";
import type { Installation } from "./packed.ts";

let installed: Installation;
beforeAll(async () => {
  installed = await install();
  const modules = path.join(installed.folder, "node_modules");
  linkTools(modules, ["@types/node", "oxlint", "publint", "typescript"]);
  linkCommands(modules, "ropewalk", path.join(modules, "ropewalk"));
}, 60_000);
// There is nothing to remove if installing failed.
afterAll(() => (installed as Installation | undefined)?.remove());

/** Runs the command on the oldest installed Node. */
async function create(...args: string[]): Promise<string> {
  const { command } = (await nodes()).at(-1)!;
  const cli = path.join(installed.folder, "node_modules/create-ropewalk/dist/cli.js");
  return execute(command, [cli, ...args], installed.folder);
}

/** How many tests passed and failed, from the last lines of node:test. */
function counts(report: string): { pass: number; fail: number } {
  const count = (word: string): number => Number(new RegExp(String.raw`^\S+ ${word} (\d+)$`, "m").exec(report)?.[1]);
  return { pass: count("pass"), fail: count("fail") };
}

const linear = "return { invFreq: plain.map((frequency) => array.divide(frequency, factor)) };";
const turn = "return [round(x * cos) - round(y * sin), round(y * cos) + round(x * sin)];";

/** What somebody else does with the package, and what that prints. */
const useProvider = (name: string): string => `
import { getRope, listRopeTypes } from "@ropewalk/core";
import * as formula from "${name}/formula";
const before = listRopeTypes().length;
await import("${name}");
const rope = getRope({ headDim: 4, base: 10_000, precision: "float64", parameters: { ropeType: "half_speed", factor: 2 } });
console.log(JSON.stringify([before, Object.keys(formula), [...rope.frequencies().invFreq]]));
`;
/** A quarter turn of (3, 4) is (−4, 3). */
const useBackend = (name: string): string => `
import { getRope } from "@ropewalk/core";
import "${name}";
const provider = { specificationVersion: 1, source: "x@1.0.0", parameters: {}, frequencies: () => ({ invFreq: [Math.PI / 2] }) };
const rope = getRope({ headDim: 2, parameters: { ropeType: "x" } }, { provider }).to("half_speed");
const query = Float32Array.of(3, 4);
rope.apply({ positions: [1], query });
console.log(JSON.stringify([rope.backend, [...query].map(Math.round)]));
`;

const providerPrints = [0, ["halfSpeedFrequencies", "halfSpeedParameters"], [0.5, 0.005]];
const backendPrints = ["half_speed", [-4, 3]];

describe.each([
  {
    kind: "provider",
    language: "typescript",
    file: "src/formula.ts",
    formula: linear,
    use: useProvider,
    prints: providerPrints,
  },
  {
    kind: "provider",
    language: "javascript",
    file: "src/formula.js",
    formula: linear,
    use: useProvider,
    prints: providerPrints,
  },
  {
    kind: "backend",
    language: "typescript",
    file: "src/kernel.ts",
    formula: turn,
    use: useBackend,
    prints: backendPrints,
  },
  {
    kind: "backend",
    language: "javascript",
    file: "src/kernel.js",
    formula: turn,
    use: useBackend,
    prints: backendPrints,
  },
])("$kind, $language", ({ kind, language, file, formula, use, prints }) => {
  const name = `rope-${kind}-${language}`;
  const folder = (): string => path.join(installed.folder, name);
  const npm = (...args: string[]): Promise<string> => execute("npm", args, folder());

  test("is made, fails until its formula is written, and then passes everything", async () => {
    const start = performance.now();
    const said = await create(name, "--kind", kind, "--language", language, "--type", "half_speed", "--yes");
    expect(said).toContain(file);
    const lint = await npm("run", "lint");
    expect(lint).toMatch(/0 errors/);

    const failure = await npm("test").then(
      () => "",
      (error: Error) => error.message,
    );
    expect(failure).toContain("the formula is not written yet");
    const before = counts(failure);
    expect(before.fail).toBeGreaterThan(20);
    // The example beside it passes.
    expect(before.pass).toBeGreaterThan(20);
    const made = performance.now();

    const source = readFileSync(path.join(folder(), file), "utf8");
    const filled = source.replace(/ *throw new Error\(.*not written yet.*\);/, `  ${formula}`);
    expect(filled).not.toBe(source);
    writeFileSync(path.join(folder(), file), filled);
    const report = await npm("run", "check");
    expect(report).toMatch(/All good!/);
    expect(counts(report)).toEqual({ pass: before.pass + before.fail, fail: 0 });
    // The packed command wrote report and badge.
    const conformance = JSON.parse(readFileSync(path.join(folder(), "conformance-report.json"), "utf8")) as object;
    const keywords = expect.arrayContaining([`ropewalk-${kind}`]) as unknown;
    expect(conformance).toMatchObject({ passed: true, package: { name, version: "0.1.0", keywords } });
    expect(readFileSync(path.join(folder(), "conformance.svg"), "utf8")).toMatch(/(\d+) of \1 passed/);
    const seconds = (from: number, to: number): string => ((to - from) / 1000).toFixed(1);
    console.log(
      `${kind}, ${language}: made and seen to fail in ${seconds(start, made)} s; formula filled, all checks passed in ${seconds(made, performance.now())} s`,
    );
  });

  test("packs what its users need, and works where only core is", async () => {
    const [tarball] = (await npm("pack", "--silent")).trim().split("\n").slice(-1);
    const user = path.join(installed.folder, `user-of-${name}`);
    mkdirSync(user);
    writeFileSync(path.join(user, "package.json"), JSON.stringify({ name: "user", private: true, type: "module" }));
    const core = installed.tarballs.get("@ropewalk/core")!;
    await execute(
      "npm",
      ["install", "--offline", "--no-audit", "--no-fund", "--ignore-scripts", core, path.join(folder(), tarball!)],
      user,
    );
    const packed = path.join(user, "node_modules", name);
    expect(readdirSync(packed).sort()).toEqual([
      "LICENSE",
      "README.md",
      "conformance.json",
      "dist",
      "package.json",
      "src",
    ]);
    const manifest = JSON.parse(readFileSync(path.join(packed, "package.json"), "utf8")) as Manifest;
    expect(manifest.dependencies).toBeUndefined();
    expect(Object.keys(manifest.peerDependencies ?? {})).toEqual(["@ropewalk/core"]);
    expect(existsSync(path.join(packed, "node_modules"))).toBe(false);
    writeFileSync(path.join(user, "main.js"), use(name));
    expect(JSON.parse(await execute(process.execPath, ["main.js"], user))).toEqual(prints);
  });
});

/** Documents that hold code or numbers are run: what they show is what happens. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fixtures } from "@ropewalk/goldens";
import { afterAll, beforeAll, expect, test } from "vitest";
import { execute, install, nodes, root, tool } from "./packed.ts";
import type { Installation } from "./packed.ts";

let installed: Installation;
beforeAll(async () => {
  installed = await install();
}, 60_000);
// Nothing to remove where installing failed.
afterAll(() => (installed as Installation | undefined)?.remove());

const read = (file: string): string => readFileSync(path.join(root, "docs", file), "utf8");

test("add-a-provider.md: its files compile under strict settings, and its tests pass, the conformance suite among them", async () => {
  const blocks = [...read("add-a-provider.md").matchAll(/```(ts|json)\n([\s\S]*?)```/g)].map(([, language, text]) => ({
    language: language!,
    text: text!,
  }));
  const files = new Map(
    blocks.filter(({ language }) => language === "ts").map(({ text }) => [/^\/\/ (\S+)\n/.exec(text)![1]!, text]),
  );
  expect([...files.keys()]).toEqual(["src/formula.ts", "src/index.ts", "src/plain.ts", "test/index.test.ts"]);

  const folder = path.join(installed.folder, "rope-step");
  for (const [file, text] of files) {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), text);
  }
  // Both forms of registration in one run.
  const both = files
    .get("test/index.test.ts")!
    .replace(
      'import "../src/index.ts";',
      'import "../src/index.ts";\nimport { step } from "../src/plain.ts";\nassert.equal(step.source, "rope-step@1.0.0");',
    );
  writeFileSync(path.join(folder, "test/index.test.ts"), both);

  const manifest = JSON.parse(blocks.find(({ language }) => language === "json")!.text) as {
    sideEffects: string[];
    exports: Record<string, unknown>;
  };
  writeFileSync(path.join(folder, "package.json"), JSON.stringify(manifest));
  const linear = JSON.parse(
    readFileSync(path.join(root, "packages/providers/linear/package.json"), "utf8"),
  ) as typeof manifest;
  // What the page tells to write is what a provider of this repository has.
  expect(manifest.sideEffects).toEqual(linear.sideEffects);
  expect(manifest.exports).toEqual(linear.exports);

  const base = JSON.parse(readFileSync(path.join(root, "tooling/typescript/base.json"), "utf8")) as {
    compilerOptions: object;
  };
  const compilerOptions = {
    ...base.compilerOptions,
    types: ["node"],
    typeRoots: [path.join(root, "apps/bundle-check/node_modules/@types")],
    rootDir: ".",
    outDir: "dist",
    declaration: true,
  };
  writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["src", "test"] }));
  await execute(process.execPath, [tool("typescript", "bin/tsc"), "-p", "tsconfig.json"], folder);
  // The oldest Node that the machine has; decorator.test.ts runs the suite on all.
  const { command } = (await nodes()).at(-1)!;
  const report = await execute(command, ["--test-reporter=tap", "dist/test/index.test.js"], folder);
  expect(report).toMatch(/^# fail 0$/m);
  expect(Number(/^# pass (\d+)$/m.exec(report)?.[1])).toBeGreaterThan(5);
});

test("numerics.md: the table of what float32 does to angles", () => {
  const rows = [...read("numerics.md").matchAll(/^\| (\d+) \| (\d+) \| (\d+) \| (\S+) \| (\S+) \|$/gm)].map(
    ([, ...cells]) => cells.map(Number),
  );
  expect(rows.length).toBeGreaterThan(5);
  expect(rows.map(([base, dim, position]) => [base, dim, position, ...float32Errors(base!, dim!, position!)])).toEqual(
    rows,
  );
});

/** The largest error over all pairs of a float32 angle and of its cosine, two digits, against frequencies of many digits. */
function float32Errors(base: number, dim: number, position: number): [number, number] {
  const truth = fixtures("truth").find(({ name }) => name === `default-${dim}-${base}`)!;
  // In units of 2^-100, of which float64 frequencies and float32 angles are whole multiples.
  const units = (value: number): bigint => BigInt(value * 2 ** 100);
  let [angle, cosine] = [0, 0];
  truth.invFreqHigh.forEach((high, i) => {
    const frequency = Math.fround(1 / Math.fround(base ** Math.fround((2 * i) / dim)));
    const rounded = Math.fround(position * frequency);
    const exact = BigInt(position) * (units(high) + BigInt(Math.round(truth.invFreqLow[i]! * 2 ** 100)));
    const error = Number(units(rounded) - exact) / 2 ** 100;
    angle = Math.max(angle, Math.abs(error));
    cosine = Math.max(cosine, Math.abs(Math.cos(rounded) - Math.cos(rounded - error)));
  });
  return [Number(angle.toExponential(1)), Number(cosine.toExponential(1))];
}

test("every relative link in the documents leads somewhere", () => {
  for (const [file, text] of [
    "README.md",
    "CONTRIBUTING.md",
    "AGENTS.md",
    "docs/add-a-provider.md",
    "docs/numerics.md",
    "docs/vocabulary.md",
    "docs/decisions/README.md",
  ].map((name) => [name, readFileSync(path.join(root, name), "utf8")] as const)) {
    for (const [, target] of text.matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
      expect(existsSync(path.join(root, path.dirname(file), target!)), `${file}: ${target}`).toBe(true);
    }
  }
});

/** Runs the code in documents and doc comments, and checks the numbers that they show. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fixtures } from "@ropewalk/goldens";
import { afterAll, beforeAll, expect, test } from "vitest";
import { check, examplesIn, examplesOf, exportersFor, moduleOf } from "./examples.ts";
import { execute, install, nodes, publicPackages, root, tool } from "./packed.ts";
import type { Installation } from "./packed.ts";

let installed: Installation;
beforeAll(async () => {
  installed = await install();
}, 60_000);
// There is nothing to remove if installing failed.
afterAll(() => (installed as Installation | undefined)?.remove());

const read = (file: string): string => readFileSync(path.join(root, "docs", file), "utf8");

/** Compiles a folder under the settings of this repository. */
async function compile(folder: string, options: object, include: readonly string[]): Promise<void> {
  const base = JSON.parse(readFileSync(path.join(root, "tooling/typescript/base.json"), "utf8")) as {
    compilerOptions: object;
  };
  const compilerOptions = {
    ...base.compilerOptions,
    types: ["node"],
    typeRoots: [path.join(root, "apps/bundle-check/node_modules/@types")],
    ...options,
  };
  writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include }));
  await execute(process.execPath, [tool("typescript", "bin/tsc"), "-p", "tsconfig.json"], folder);
}

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
  // The page's manifest agrees with a provider of this repository.
  expect(manifest.sideEffects).toEqual(linear.sideEffects);
  expect(manifest.exports).toEqual(linear.exports);

  await compile(folder, { rootDir: ".", outDir: "dist" }, ["src", "test"]);
  // The oldest installed Node; decorator.test.ts runs the suite on all.
  const { command } = (await nodes()).at(-1)!;
  const report = await execute(command, ["--test-reporter=tap", "dist/test/index.test.js"], folder);
  expect(report).toMatch(/^# fail 0$/m);
  expect(Number(/^# pass (\d+)$/m.exec(report)?.[1])).toBeGreaterThan(5);
});

/** Packages of others that examples import: a third-party provider and a test runner. */
const foreign = {
  "rope-mine": `import { registerRopeType } from "@ropewalk/core";
import { linearFrequencies, linearParameters } from "@ropewalk/linear/formula";
registerRopeType("mine")({ specificationVersion: 1, source: "rope-mine@1.0.0", parameters: linearParameters, frequencies: linearFrequencies });
`,
  vitest: 'export { test } from "node:test";\n',
};

test("doc comments: every @example compiles, runs, and gives what its comments say", async () => {
  const all = publicPackages.map((item) => ({ item, ...examplesOf(item) }));
  // No example is left out.
  expect(all.reduce((sum, { examples }) => sum + examples.length, 0)).toBe(
    all.reduce((sum, { written }) => sum + written, 0),
  );
  const folder = path.join(installed.folder, "examples");
  for (const [name, code] of Object.entries(foreign)) {
    const place = path.join(folder, "node_modules", name);
    mkdirSync(place, { recursive: true });
    writeFileSync(path.join(place, "package.json"), JSON.stringify({ name, type: "module", exports: "./index.js" }));
    writeFileSync(path.join(place, "index.js"), code);
    writeFileSync(path.join(place, "index.d.ts"), code.startsWith("export") ? code : "export {};\n");
  }
  writeFileSync(path.join(folder, "check.ts"), check);
  const modules = all.flatMap(({ item, examples }) => {
    const exporters = exportersFor(item.name, publicPackages);
    return examples.map((example) => ({
      name: `example${example.place.replaceAll(/\W+/g, "-")}`,
      code: moduleOf(example, exporters),
    }));
  });
  expect(modules.length).toBeGreaterThan(5);
  expect(modules.filter(({ code }) => code.includes("\ncheck(")).length).toBeGreaterThan(3);
  for (const { name, code } of modules) writeFileSync(path.join(folder, `${name}.ts`), code);
  // Examples do not mark imports of types, and they may declare names that they do not use.
  await compile(
    folder,
    { verbatimModuleSyntax: false, isolatedModules: false, isolatedDeclarations: false, noUnusedLocals: false },
    ["*.ts"],
  );
  const { command } = (await nodes()).at(-1)!;
  for (const { name } of modules) await execute(command, [`${name}.js`], folder);
});

test.each([
  ["a list without brackets", "[0, 2]", "0, 2"],
  ["a list", "[0, 2]", "[0, 2]"],
  ["an array with its class", "Int32Array.of(0, 2)", "Int32Array [0, 2]"],
  ["a number", "const half = 1 / 2", "0.5"],
])("a comment that gives %s is checked, and a wrong one is noticed", async (_, code, said) => {
  const run = (comment: string): Promise<string> => {
    const place = path.join(installed.folder, "check");
    mkdirSync(place, { recursive: true });
    writeFileSync(path.join(place, "check.ts"), check);
    const [example] = examplesIn(`/**\n * Words.\n *\n * @example ${code}; // ${comment}\n * @throws RopeError\n */\n`);
    const file = path.join(place, "example.ts");
    writeFileSync(file, moduleOf({ place: "here:4", package: "x", text: example!.text }, new Map()));
    return execute(process.execPath, [file], place);
  };
  await expect(run(said)).resolves.toBe("");
  await expect(run(said.replace(/.(?=\W*$)/, "7"))).rejects.toThrow(/here:4: the comment says/);
});

test("an example is the text after its tag; decorators and further examples are recognised", () => {
  const source = `/** @example one */\nconst a = 1;\n/**\n * Words.\n * @example\n * @decorated()\n * class A {}\n * @example\n * \`\`\`ts\n * two;\n * \`\`\`\n * @returns three\n */\n// @example four\n`;
  expect(examplesIn(source)).toEqual([
    { line: 1, text: "one" },
    { line: 5, text: "@decorated()\nclass A {}" },
    { line: 8, text: "two;" },
  ]);
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

/**
 * The largest error over all pairs of a float32 angle and of its cosine, two digits, against frequencies of many
 * digits.
 */
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
    "docs/engines.md",
    "docs/numerics.md",
    "docs/vocabulary.md",
    "docs/decisions/README.md",
    "examples/app/README.md",
    "examples/ropewalk-backend-trace/README.md",
    "examples/ropewalk-provider-cope/README.md",
  ].map((name) => [name, readFileSync(path.join(root, name), "utf8")] as const)) {
    for (const [, target] of text.matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
      expect(existsSync(path.join(root, path.dirname(file), target!)), `${file}: ${target}`).toBe(true);
    }
  }
});

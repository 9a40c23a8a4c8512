/** The suite under the four runners that authors use, each as a process in a temporary folder without a network. */

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const packages = fileURLToPath(new URL("../node_modules", import.meta.url));
const own = fileURLToPath(new URL("..", import.meta.url));

/** A provider with a sound formula, or with one that gives other numbers at each call. */
const provider = (sound: boolean): string => `
  let calls = 0;
  export const provider = {
    specificationVersion: 1,
    source: "rope-octaves@1.0.0",
    parameters: {},
    frequencies: ({ rotaryDim }) => ({
      invFreq: Array.from({ length: rotaryDim / 2 }, (_, i) => 2 ** -i${sound ? "" : " / (1 + calls++ / 1024)"}),
    }),
  };
`;

/** By hand: 2^0 and 2^-1. */
const suite = (runner: string): string => `
  ${runner}
  import { conformance } from "@ropewalk/conformance";
  import { provider } from "./provider.js";

  const expected = { source: "by hand", invFreq: [1, 0.5] };
  const cases = [{ name: "4", request: { headDim: 4 }, expected }];
  conformance(test, { provider, cases, only: ["registration", "parameters", "numbers", "tables"] });
`;

/** Registration 2, of all cases 2; parameters 6, numbers 1, tables 7. */
const TESTS = 18;
const LAW = "gives the same numbers every time, also after other requests";
const REMEDY = "Make frequencies pure";

interface Runner {
  readonly name: string;
  /** The line that brings `test`. */
  readonly test: string;
  readonly file: string;
  /** Arguments of Node. */
  readonly args: readonly string[];
  readonly settings?: Readonly<Record<string, string>>;
  /** What it prints when all pass. */
  readonly passed: RegExp;
}

const runners: readonly Runner[] = [
  {
    name: "vitest",
    test: 'import { test } from "vitest";',
    file: "suite.test.js",
    args: ["node_modules/vitest/vitest.mjs", "run", "--no-color"],
    passed: new RegExp(`Tests\\s+${TESTS} passed \\(${TESTS}\\)`),
  },
  {
    name: "node:test",
    test: 'import { test } from "node:test";',
    file: "suite.test.js",
    args: ["--test", "--test-reporter=tap", "suite.test.js"],
    passed: new RegExp(`# pass ${TESTS}\n# fail 0`),
  },
  {
    name: "Mocha",
    test: "const test = globalThis.it;",
    file: "suite.test.js",
    // No time limit: a busy machine takes longer than its two seconds.
    args: ["node_modules/mocha/bin/mocha.js", "--no-color", "--timeout", "0", "suite.test.js"],
    passed: new RegExp(`${TESTS} passing`),
  },
  {
    name: "Jest",
    test: 'import { test } from "@jest/globals";',
    file: "suite.test.js",
    // Jest reads ES modules only with this flag of Node.
    args: ["--experimental-vm-modules", "node_modules/jest/bin/jest.js", "--no-color", "--testTimeout=600000"],
    settings: { "jest.config.json": JSON.stringify({ transform: {}, testEnvironment: "node", watchman: false }) },
    passed: new RegExp(`Tests:\\s+${TESTS} passed, ${TESTS} total`),
  },
];

function run(
  { args, file, settings = {}, test: line }: Runner,
  sound: boolean,
): { status: number | null; text: string } {
  const folder = realpathSync(mkdtempSync(path.join(tmpdir(), "ropewalk-")));
  const files = {
    "package.json": JSON.stringify({ name: "rope-octaves", version: "1.0.0", type: "module" }),
    "provider.js": provider(sound),
    [file]: suite(line),
    ...settings,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
  mkdirSync(path.join(folder, "node_modules/@ropewalk"), { recursive: true });
  const links = {
    vitest: "vitest",
    mocha: "mocha",
    jest: "jest",
    "@ropewalk/core": "@ropewalk/core",
  };
  for (const [name, target] of Object.entries(links)) {
    symlinkSync(realpathSync(path.join(packages, target)), path.join(folder, "node_modules", name), "junction");
  }
  symlinkSync(own, path.join(folder, "node_modules/@ropewalk/conformance"), "junction");
  // The settings of the runner that runs this file must not reach the one under test.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(VITEST|JEST|MOCHA|NODE_OPTIONS|NODE_ENV|NODE_TEST|TEST$)/.test(name),
    ),
  );
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: folder,
    encoding: "utf8",
    env: { ...env, CI: "1", NO_COLOR: "1" },
  });
  return { status, text: stdout + stderr };
}

test.each(runners)("a sound provider passes under $name, and a wrong one fails with law and remedy", (runner) => {
  const sound = run(runner, true);
  expect(sound.text).toMatch(runner.passed);
  expect(sound.status).toBe(0);
  const wrong = run(runner, false);
  expect(wrong.text).toContain(LAW);
  expect(wrong.text).toContain(REMEDY);
  expect(wrong.text).not.toMatch(runner.passed);
  expect(wrong.status).not.toBe(0);
});

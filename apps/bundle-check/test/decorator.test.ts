/**
 * The decorator and its plain form, compiled by every compiler with the packed packages, and run on every installed
 * Node. One of the imported providers is a third-party package.
 */

import { cpSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compiled, kept, older, standard } from "./compilers.ts";
import { execute, install, nodes, tool } from "./packed.ts";
import type { Installation, NodeBinary } from "./packed.ts";

const fixtures = path.join(import.meta.dirname, "../fixtures");

let installed: Installation;
let runtimes: NodeBinary[];
let consumer: string;
beforeAll(async () => {
  [installed, runtimes] = await Promise.all([install([path.join(fixtures, "rope-stretched")]), nodes()]);
  consumer = path.join(installed.folder, "consumer");
  cpSync(path.join(fixtures, "consumer"), consumer, { recursive: true });
}, 60_000);
// There is nothing to remove if installing failed.
afterAll(() => (installed as Installation | undefined)?.remove());

const tsc = (...args: string[]): Promise<string> =>
  execute(process.execPath, [tool("typescript", "bin/tsc"), ...args], consumer);

/** headDim 4, base 10000: 1 and 0.01 radians per position in float32; a power of two divides them exactly. */
const halved = (factor: number): number[] => [1 / factor, Math.fround(0.01) / factor];
const byHand = {
  invFreq: {
    decorated_class: halved(4),
    decorated_method: halved(4),
    plain_class: halved(4),
    plain_function: halved(4),
    plain_value: halved(4),
    stretched: halved(4),
    doubled: halved(2),
    // Both pairs turn more than 32 times in 32768 positions: kept.
    yarn: halved(1),
  },
  registered: [
    "decorated_class",
    "decorated_method",
    "doubled",
    "plain_class",
    "plain_function",
    "plain_value",
    "stretched",
    "yarn",
  ],
  returned: "consumer-value@1.0.0",
};

/** What a module throws when it is imported, on each Node. */
const failures = (module: string): Promise<string[]> =>
  Promise.all(
    runtimes.map(({ command }) =>
      execute(command, [module], consumer).then(
        () => "nothing",
        (error: Error) => error.message,
      ),
    ),
  );

test.each(Object.entries(standard))("%s: every form registers", async (name, compile) => {
  const { module, error } = await compiled(name, compile, path.join(consumer, "main.ts"));
  expect(error).toBeUndefined();
  expect(readFileSync(module, "utf8")).not.toMatch(/^\s*@\w/m);
  for (const { command } of runtimes) expect(JSON.parse(await execute(command, [module], consumer))).toEqual(byHand);
});

describe.each(Object.entries(older))("%s", (name, compile) => {
  test("a decorated class registers: these rules call the decorator as the plain form does", async () => {
    const { module, error } = await compiled(name, compile, path.join(consumer, "class.ts"));
    expect(error).toBeUndefined();
    for (const { command } of runtimes) {
      expect(JSON.parse(await execute(command, [module], consumer))).toEqual({
        invFreq: halved(2),
        registered: ["only_class"],
      });
    }
  });

  test("a decorated method is refused, and the error names the setting", async () => {
    const { module, error } = await compiled(name, compile, path.join(consumer, "main.ts"));
    // The types say it too, where they are checked.
    if (name.startsWith("tsc")) expect(error?.message).toMatch(/main\.ts\(\d+,\d+\): error TS1241/);
    else expect(error).toBeUndefined();
    for (const message of await failures(module)) {
      expect(message).toContain(
        '@registerRopeType("decorated_method") cannot decorate this: expected a class or a static method, got a member, by the rules of experimentalDecorators (Babel, swc: legacy), which have to be off.',
      );
      expect(message).toContain("ROPE_UNSUPPORTED");
    }
  });
});

test.each(Object.entries(kept))("%s leaves the @, and no engine loads it", async (name, compile) => {
  const { module, error } = await compiled(name, compile, path.join(consumer, "class.ts"));
  expect(error).toBeUndefined();
  expect(readFileSync(module, "utf8")).toMatch(/@\w+\(["`]only_class["`]\)/);
  for (const message of await failures(module)) expect(message).toContain("SyntaxError");
});

describe("tsc", () => {
  test("refuses invalid code", async () => {
    await tsc("-p", "tsconfig.json", "--noEmit");
  });

  test("resolves the types as bundlers do", async () => {
    await tsc("-p", "tsconfig.json", "--module", "esnext", "--moduleResolution", "bundler", "--noEmit");
  });

  test("finds errors in this set-up", async () => {
    writeFileSync(
      path.join(consumer, "wrong.ts"),
      'import { getRope } from "@ropewalk/core";\nimport "@ropewalk/yarn";\ngetRope({ headDim: 4, parameters: { ropeType: "yarn" } });\n',
    );
    writeFileSync(
      path.join(consumer, "tsconfig.wrong.json"),
      JSON.stringify({ extends: "./tsconfig.json", include: ["wrong.ts"], compilerOptions: { noEmit: true } }),
    );
    await expect(tsc("-p", "tsconfig.wrong.json")).rejects.toThrow(/wrong\.ts\(3,\d+\): error TS/);
  });
});

test("a third-party provider passes the packed conformance suite, on Node's own runner", async () => {
  cpSync(path.join(fixtures, "rope-stretched/suite.mjs"), path.join(installed.folder, "suite.mjs"));
  for (const { command } of runtimes) {
    const report = await execute(command, ["--test-reporter=tap", "suite.mjs"], installed.folder);
    expect(report).toMatch(/^# fail 0$/m);
    expect(Number(/^# pass (\d+)$/m.exec(report)?.[1])).toBeGreaterThan(5);
  }
});

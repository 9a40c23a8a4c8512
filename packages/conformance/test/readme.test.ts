import { conformance, runConformance } from "@ropewalk/conformance";
import type { ConformanceOptions } from "@ropewalk/conformance";
import { registerRopeType } from "@ropewalk/core";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ExampleProvider } from "./fixture.ts";

const folder = new URL("..", import.meta.url);
const readme = readFileSync(new URL("README.md", folder), "utf8");

test("the README's example for vitest passes", async () => {
  const [, code = ""] = /```ts\n([^]*?)```/.exec(readme) ?? [];
  registerRopeType("mine")(ExampleProvider);
  const runs: (() => void | Promise<void>)[] = [];
  // Its imports are what this file passes instead.
  new Function("conformance", "test", code.replace(/^import .*$/gm, ""))(
    conformance,
    (_name: string, run: () => void) => runs.push(run),
  );
  expect(runs.length).toBeGreaterThan(60);
  for (const run of runs) await run();
  // Seventy tests in one, on a machine that may be busy.
}, 300_000);

test("the README's example for node:test passes", () => {
  const [, code = ""] = /```js\n([^]*?)```/.exec(readme) ?? [];
  const output = execFileSync(process.execPath, ["--test-reporter=tap", "--input-type=module", "--eval", code], {
    cwd: folder,
    encoding: "utf8",
  });
  expect(output).toMatch(/# pass 4\d\n# fail 0/);
});

test("the README's cases as data pass, and their numbers are compared", async () => {
  const [, text = ""] = /```json\n([^]*?)```/.exec(readme) ?? [];
  const { cases } = JSON.parse(text) as Pick<ConformanceOptions, "cases">;
  const results = await runConformance({ provider: ExampleProvider, cases, only: ["numbers"] });
  expect(results.map(({ status, failure }) => ({ status, failure }))).toEqual([{ status: "passed", failure: null }]);
});

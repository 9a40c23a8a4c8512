/** The demo of `npm start` runs, shows what it promises, and fits on two screens. */

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

test.each([
  ["wasm", {}],
  ["js", { ROPEWALK_BACKEND: "js" }],
])("the demo runs on the backend %s, and every law that it measures holds", (backend, variables) => {
  const { FORCE_COLOR: _1, ROPEWALK_BACKEND: _2, ...inherited } = process.env;
  const env = { ...inherited, ...variables };
  const demo = fileURLToPath(new URL("../demo/main.mjs", import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [demo], { encoding: "utf8", env });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toContain("All hold.");
  expect(stdout).toContain(` ms on the backend ${backend}, `);
  const lines = stdout.split("\n");
  expect(lines.length).toBeLessThan(60);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(130);
  expect(stdout).not.toContain("\u001B[");
});

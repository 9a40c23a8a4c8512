/** The demo of `npm start` runs, shows what it promises, and fits on two screens. */

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

test("the demo runs, and every law that it measures holds", () => {
  const { FORCE_COLOR: _, ...env } = process.env;
  const demo = fileURLToPath(new URL("../demo/main.mjs", import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [demo], { encoding: "utf8", env });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toContain("All hold.");
  const lines = stdout.split("\n");
  expect(lines.length).toBeLessThan(60);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(130);
  expect(stdout).not.toContain("\u001B[");
});

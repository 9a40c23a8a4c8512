/** `ropewalk conformance` tests this backend by what conformance.mjs gives it. */

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

test("ropewalk conformance passes on the built package", () => {
  const cli = fileURLToPath(new URL("../../../ropewalk/dist/cli.js", import.meta.url));
  const cwd = fileURLToPath(new URL("..", import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, "conformance", "./dist/index.js"], {
    cwd,
    encoding: "utf8",
  });
  expect(stdout + stderr).toContain("✓ equals JavaScript in every layout and element type  1 of 1");
  expect(status).toBe(0);
});

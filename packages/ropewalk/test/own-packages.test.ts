/** `ropewalk conformance` on every provider of this project, and on its backends that need no device. */

import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { ropewalk } from "./support.ts";

const packages = fileURLToPath(new URL("../..", import.meta.url));
// WebGPU needs a device. Its tests run the same laws on the conformance.mjs that the command would read.
const folders = ["providers", "backends"]
  .flatMap((group) => readdirSync(`${packages}/${group}`).map((name) => `${group}/${name}`))
  .filter((folder) => folder !== "backends/webgpu");

test.each(folders)("%s passes with the cases that it publishes", (folder) => {
  const { status, stdout, stderr } = ropewalk(["conformance", "./dist/index.js"], { cwd: `${packages}/${folder}` });
  expect({ status, stderr }, stdout).toEqual({ status: 0, stderr: "" });
  expect(stdout).not.toContain("cases made from the schema");
});

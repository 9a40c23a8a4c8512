/** The race on a graphics card, on an adapter that is none: counts and correctness. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { webGpuEnvironment } from "@ropewalk/webgpu-environment";
import { expect, test } from "vitest";
import type { GpuReport } from "../src/gpu-race.ts";

function run(...options: string[]): GpuReport {
  const folder = mkdtempSync(join(tmpdir(), "ropewalk-gpu-"));
  const file = join(folder, "report.json");
  const main = fileURLToPath(new URL("../dist/gpu.js", import.meta.url));
  execFileSync(process.execPath, [main, "--tokens", "1,5", "--json", file, ...options], { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, VK_DRIVER_FILES: webGpuEnvironment().swiftShader } });
  const report = JSON.parse(readFileSync(file, "utf8")) as GpuReport;
  rmSync(folder, { recursive: true });
  return report;
}

test.each([
  ["Chromium", [], { "ropewalk webgpu, step": 1, "onnxruntime-web webgpu": 2, copyBufferToBuffer: 0 }],
  ["Dawn", ["--dawn"], { "ropewalk webgpu, step": 1, copyBufferToBuffer: 0 }],
] as const)("%s: one dispatch for query and key, right numbers, no times of a software adapter", (_, options, dispatches) => {
  const { software, adapter, rows } = run(...options);
  expect(adapter).toMatch(/swiftshader/i);
  expect(software).toBe(true);
  for (const [name, count] of Object.entries(dispatches)) {
    const own = rows.filter((row) => row.name === name);
    expect(own.map(({ pairing, tokens }) => `${pairing} ${tokens}`)).toEqual(["half 1", "half 5", "adjacent 1", "adjacent 5"]);
    for (const row of own) {
      expect(row).toMatchObject({ dispatches: count, bytes: row.tokens * 40 * 128 * 4 * 2 });
      expect(row).not.toHaveProperty("milliseconds");
      if (name !== "copyBufferToBuffer") expect(row.check!.error).toBeLessThanOrEqual(row.check!.tolerance);
    }
  }
});

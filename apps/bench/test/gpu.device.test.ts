/** The race for graphics cards, run on a software adapter: counts and correctness. */

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
  execFileSync(process.execPath, [main, "--tokens", "1,5", "--json", file, ...options], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, VK_DRIVER_FILES: webGpuEnvironment().swiftShader },
  });
  const report = JSON.parse(readFileSync(file, "utf8")) as GpuReport;
  rmSync(folder, { recursive: true });
  return report;
}

const forms = {
  "ropewalk webgpu, step": 1,
  "ropewalk webgpu, step, to out": 1,
  "ropewalk webgpu, positions in a buffer": 1,
  "ropewalk webgpu, factored table": 1,
  copyBufferToBuffer: 0,
  "copy kernel": 1,
};

test.each([
  ["Chromium", ["float32"], [], { ...forms, "onnxruntime-web webgpu": 2 }],
  ["Dawn", ["float32", "float16", "bfloat16"], ["--dawn", "--dtype", "float32,float16,bfloat16"], forms],
] as const)(
  "%s: one dispatch for query and key, right numbers, no times of a software adapter",
  (_, dtypes, options, dispatches) => {
    const { software, adapter, rows } = run(...options);
    expect(adapter).toMatch(/swiftshader/i);
    expect(software).toBe(true);
    expect(new Set(rows.map(({ name }) => name))).toEqual(new Set(Object.keys(dispatches)));
    for (const [name, count] of Object.entries(dispatches)) {
      const own = rows.filter((row) => row.name === name);
      expect(own.map(({ dtype, pairing, tokens }) => `${dtype} ${pairing} ${tokens}`)).toEqual(
        dtypes.flatMap((dtype) => [`${dtype} half 1`, `${dtype} half 5`, `${dtype} adjacent 1`, `${dtype} adjacent 5`]),
      );
      for (const row of own) {
        expect(row).toMatchObject({
          dispatches: count,
          bytes: row.tokens * 40 * 128 * (row.dtype === "float32" ? 4 : 2) * 2,
        });
        expect(row).not.toHaveProperty("device");
        expect(row).not.toHaveProperty("host");
        if (!name.startsWith("copy")) expect(row.check!.error).toBeLessThanOrEqual(row.check!.tolerance);
      }
    }
  },
);

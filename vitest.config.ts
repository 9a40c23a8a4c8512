import { globSync } from "node:fs";
import { standardDecorators } from "@ropewalk/vitest-config";
import ClosingLine from "@ropewalk/vitest-config/closing-line";
import { configDefaults, defineConfig } from "vitest/config";
import { webGpuEnvironment } from "./tooling/webgpu/index.ts";
import { groups } from "./tooling/workspace/index.ts";

/** Tests that need Chromium and drivers for WebGPU, which are not in the npm registry. */
const onDevice = "{packages/backends,apps}/*/test/**/*.device.test.ts";

/** Why those tests cannot run here; CI demands them, so there they fail instead. */
function whyNoDevice(): string | undefined {
  if (process.env["ROPEWALK_REQUIRE_WEBGPU"] === "1") return undefined;
  try {
    webGpuEnvironment();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

const deviceTests = (): string[] => globSync(onDevice, { exclude: (name) => name === "node_modules" });

const reason = whyNoDevice();

export default defineConfig({
  plugins: [standardDecorators()],
  test: {
    include: groups.map((group) => `${group}/*/test/**/*.test.ts`),
    exclude: reason === undefined ? configDefaults.exclude : [...configDefaults.exclude, onDevice],
    // apps/bundle-check/proofs.ts prints one line for each proof.
    reporters: [
      process.env["ROPEWALK_PROOFS"] === "full" ? "verbose" : "default",
      new ClosingLine(reason === undefined ? undefined : { files: deviceTests(), reason }),
    ],
    // The default leaves a core free: on two cores, half of the time.
    maxWorkers: "100%",
    // Against hanging alone: a machine that does other things besides may take twenty times as long.
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
});

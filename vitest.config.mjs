import * as fs from "node:fs";
import { standardDecorators } from "@ropewalk/vitest-config";
import ClosingLine from "@ropewalk/vitest-config/closing-line";
import { configDefaults, defineConfig } from "vitest/config";
import { webGpuEnvironment } from "./tooling/webgpu/index.mjs";

const include = ["{packages,packages/providers,packages/backends,apps,tooling}/*/test/**/*.test.ts"];
/** Tests that need Chromium and drivers for WebGPU, which are not in the npm registry. */
const onDevice = "{packages/backends,apps}/*/test/**/*.device.test.ts";

/** Why those tests cannot run here; CI demands them, so there they fail instead. */
function whyNoDevice() {
  if (process.env["ROPEWALK_REQUIRE_WEBGPU"] === "1") return undefined;
  try {
    webGpuEnvironment();
    return undefined;
  } catch (error) {
    return error.message;
  }
}

/** Their files; Node 20, which cannot list them, gives the pattern. */
const deviceTests = () => fs.globSync?.(onDevice, { exclude: (name) => name === "node_modules" }) ?? [onDevice];

const reason = whyNoDevice();

export default defineConfig({
  plugins: [standardDecorators()],
  test: {
    include,
    exclude: reason === undefined ? configDefaults.exclude : [...configDefaults.exclude, onDevice],
    reporters: ["default", new ClosingLine(reason === undefined ? undefined : { files: deviceTests(), reason })],
    testTimeout: 60_000,
  },
});

import { standardDecorators } from "@ropewalk/vitest-config";
import ClosingLine from "@ropewalk/vitest-config/closing-line";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [standardDecorators()],
  test: {
    include: ["{packages,apps,tooling}/*/test/**/*.test.ts"],
    reporters: ["default", new ClosingLine()],
    testTimeout: 60_000,
  },
});

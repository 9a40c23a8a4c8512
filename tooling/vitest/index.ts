import { transform } from "esbuild";
import type { Plugin } from "vitest/config";

/**
 * Lowers standard (TC39) decorators for vitest. Its own transformer leaves the `@`, which no JavaScript engine parses.
 * Changes only TypeScript files with a decorator at the start of a line; `tsc` does the same in the build.
 */
export function standardDecorators(): Plugin {
  return {
    name: "ropewalk:standard-decorators",
    enforce: "pre",
    async transform(code, id) {
      const file = id.split("?")[0] ?? id;
      const isSource = /\.[cm]?tsx?$/.test(file) && !file.includes("/node_modules/");
      if (!isSource || !/^\s*@\w/m.test(code)) return undefined;
      const lowered = await transform(code, {
        loader: "ts",
        target: "es2022",
        sourcemap: true,
        sourcefile: file,
        tsconfigRaw: { compilerOptions: { useDefineForClassFields: true, verbatimModuleSyntax: true } },
      });
      return { code: lowered.code, map: lowered.map };
    },
  };
}

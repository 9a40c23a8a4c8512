/** The size of ropewalk in a page: minified by esbuild, compressed by brotli. Prints a table. */

import path from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { brotli as compressed, ceiling, target } from "./budgets.ts";
import { install, providers } from "./packed.ts";
import type { Installation } from "./packed.ts";

let installed: Installation;
beforeAll(async () => {
  installed = await install();
}, 60_000);
// There is nothing to remove if installing failed.
afterAll(() => (installed as Installation | undefined)?.remove());

/** Peers are measured separately, as core is. */
const peersOf = (name: string): string[] =>
  Object.keys(providers.find((provider) => provider.name === name)!.manifest.peerDependencies ?? {});

async function weigh(code: string, external: readonly string[]): Promise<{ minified: number; brotli: number }> {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: installed.folder },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    external: [...external],
    write: false,
    absWorkingDir: path.resolve(installed.folder),
  });
  const bytes = outputFiles[0]!.contents;
  return { minified: bytes.length, brotli: compressed(bytes) };
}

test("core and every provider keep their budget", async () => {
  const parts = [
    // With the helpers of decorators that every provider calls.
    {
      name: "@ropewalk/core",
      code: 'export * from "@ropewalk/core"; export * from "@ropewalk/core/decorators";',
      external: [],
      kind: "core" as const,
    },
    // The formula of another package counts too, because importing the provider downloads it.
    ...providers.map(({ name }) => ({
      name,
      code: `import ${JSON.stringify(name)};`,
      external: [
        "@ropewalk/core",
        "@ropewalk/core/backend",
        "@ropewalk/core/decorators",
        "@ropewalk/core/math",
        ...peersOf(name),
      ],
      kind: "provider" as const,
    })),
  ];
  const rows = [];
  for (const { name, code, external, kind } of parts) {
    rows.push({ name, ...(await weigh(code, external)), target: target[kind], ceiling: ceiling[kind] });
  }
  const width = Math.max(...rows.map(({ name }) => name.length));
  const lines = rows.map(
    ({ name, minified, brotli, target: goal }) =>
      `${name.padEnd(width)}  ${String(minified).padStart(6)}  ${String(brotli).padStart(6)}  ${String(goal).padStart(6)}  ${brotli <= goal ? "kept" : `missed by ${brotli - goal}`}`,
  );
  console.log([`${"bytes".padEnd(width)}    mini.  brotli  target`, ...lines].join("\n"));
  expect(rows.filter(({ brotli, ceiling: most }) => brotli > most)).toEqual([]);
});

test("rotation with given tables does not include the registry", async () => {
  const { brotli } = await weigh('import { rotate } from "@ropewalk/core/math"; globalThis.rotate = rotate;', []);
  const whole = await weigh('export * from "@ropewalk/core";', []);
  expect(brotli).toBeLessThan(0.6 * whole.brotli);
});

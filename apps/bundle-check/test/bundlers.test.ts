/**
 * A provider registers itself when it is imported, and a bundler drops code that seems unused. Here four bundlers
 * bundle the packed packages: imported providers are registered, other providers are not in the bundle.
 */

import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundlers } from "./bundle.ts";
import { execute, install, nodes, providers } from "./packed.ts";
import type { Installation, NodeBinary } from "./packed.ts";

let installed: Installation;
let runtimes: NodeBinary[];
beforeAll(async () => {
  [installed, runtimes] = await Promise.all([install(), nodes()]);
}, 60_000);
// There is nothing to remove if installing failed.
afterAll(() => (installed as Installation | undefined)?.remove());

const report = `
import { getRopeUntyped, listRopeTypes } from "@ropewalk/core";
// Types, without their aliases.
const types = listRopeTypes().filter(({ name, ropeType }) => name === ropeType).map(({ name }) => name);
const request = { headDim: 4, parameters: { ropeType: "yarn", factor: 4, originalMaxPosition: 32768 } };
const yarn = types.includes("yarn") ? getRopeUntyped(request).frequencies() : undefined;
console.log(JSON.stringify({ types, invFreq: yarn && [...yarn.invFreq], attentionFactor: yarn?.attentionFactor }));
`;

/**
 * By hand: pair 0 has 1 radian per position and pair 1 has 10000^(-1/2) = 0.01, rounded to float32; both turn more than
 * 32 times in 32768 positions, so YaRN keeps them. The amplitude is 0.1 ln 4 + 1.
 */
const yarnByHand = { invFreq: [1, Math.fround(0.01)], attentionFactor: 0.1 * Math.log(4) + 1 };

const all = { types: expect.arrayContaining(["deepseek_yarn", "default", "yarn"]), ...yarnByHand };

const entries: Readonly<Record<string, { code: string; expected: unknown }>> = {
  "a bare import": { code: `import "@ropewalk/yarn";${report}`, expected: { types: ["yarn"], ...yarnByHand } },
  "an import of a name that is not used": {
    code: `import { YarnProvider } from "@ropewalk/yarn";${report}`,
    expected: { types: ["yarn"], ...yarnByHand },
  },
  "every provider at once": {
    code: `${providers.map(({ name }) => `import ${JSON.stringify(name)};`).join("\n")}${report}`,
    expected: all,
  },
  "the package that registers every provider": {
    code: `import { getRope } from "ropewalk";\nglobalThis.getRope = getRope;${report}`,
    expected: all,
  },
};

let made = 0;
function write(code: string): string {
  const folder = path.join(installed.folder, `entry-${made++}`);
  mkdirSync(folder);
  writeFileSync(path.join(folder, "entry.mjs"), code);
  return path.join(folder, "entry.mjs");
}

async function output(file: string): Promise<unknown[]> {
  return Promise.all(
    runtimes.map(async ({ command }) => JSON.parse(await execute(command, [file], path.dirname(file))) as unknown),
  );
}

/** The output of an entry without a bundler, on each Node. */
const unbundled = new Map<string, Promise<unknown[]>>();

describe.each(Object.entries(bundlers))("%s", (_, bundle) => {
  test.each(Object.entries(entries))("keeps the registrations: %s", async (name, { code, expected }) => {
    const entry = write(code);
    const results = await output(await bundle(entry, path.dirname(entry)));
    for (const result of results) expect(result).toEqual(expected);
    // For all providers of the repository: no type is lost.
    if (!unbundled.has(name)) unbundled.set(name, output(entry));
    expect(results).toEqual(await unbundled.get(name));
  });

  test("bundles a formula without the registry and without a registration", async () => {
    const entry = write(
      'import { yarnFrequencies } from "@ropewalk/yarn/formula";\nglobalThis.formula = yarnFrequencies;\nconsole.log(JSON.stringify({ formula: typeof globalThis.formula, registry: typeof globalThis[Symbol.for("ropewalk.registry.v1")] }));',
    );
    const file = await bundle(entry, path.dirname(entry));
    for (const result of await output(file)) expect(result).toEqual({ formula: "function", registry: "undefined" });
    const code = readFileSync(file, "utf8");
    expect(code).toContain("betaFast");
    expect(code).not.toContain("ROPE_TYPE_CONFLICT");
  });
});

test.each(Object.entries(bundlers))(
  "%s would lose a registration that sideEffects does not list: these checks can fail",
  async (_, bundle) => {
    const folder = path.join(installed.folder, `unlisted-${made++}`);
    cpSync(path.join(installed.folder, "node_modules/@ropewalk"), path.join(folder, "node_modules/@ropewalk"), {
      recursive: true,
    });
    const manifest = path.join(folder, "node_modules/@ropewalk/yarn/package.json");
    writeFileSync(
      manifest,
      JSON.stringify({ ...(JSON.parse(readFileSync(manifest, "utf8")) as object), sideEffects: false }),
    );
    writeFileSync(path.join(folder, "entry.mjs"), entries["a bare import"]!.code);
    for (const result of await output(await bundle(path.join(folder, "entry.mjs"), folder))) {
      expect(result).toEqual({ types: [] });
    }
  },
);

test("bundles also run on the oldest supported Node, if it is installed", () => {
  // Not an assertion: the log shows the versions of Node for the tests above.
  console.log(`bundles ran on Node ${runtimes.map(({ version }) => version).join(" and ")}`);
  expect(runtimes.length).toBeGreaterThan(0);
});

/**
 * A provider registers itself when it is imported, and a bundler drops code that seems unused. Here six bundlers
 * bundle the packed packages: imported providers are registered, and what is not used
 * costs nothing.
 */

import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { transform } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { brotli, ceiling } from "./budgets.ts";
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
const yarn = { types: ["yarn"], ...yarnByHand };

/** What strangers' programs do with the packages, and what has to be true of their bundles under every bundler. */
interface Claim {
  readonly code: string;
  /** What the bundle prints; without a bundler it prints the same. */
  readonly prints: unknown;
  /** Text that the bundle holds, or must not hold. */
  readonly holds?: readonly string[];
  readonly lacks?: readonly string[];
  /** The claim above whose bundle has as many bytes. */
  readonly weighs?: string;
  /** The most that it may weigh, as budgets.ts weighs. */
  readonly budget?: number;
}

/** Where the code of a provider is, its source is: `@ropewalk/llama3@1.0.0`. */
const sourcesBut = (...left: readonly string[]): string[] =>
  providers.filter(({ name }) => !left.includes(name)).map(({ name }) => `${name}@`);

const importAll = (entry: string): string =>
  providers.map(({ name }, i) => `import * as unused${i} from ${JSON.stringify(name + entry)};`).join("\n");

const nothing = 'console.log("null");';

const claims: Readonly<Record<string, Claim>> = {
  "a bare import registers, and brings no other provider": {
    code: `import "@ropewalk/yarn";${report}`,
    prints: yarn,
    holds: ["ROPE_TYPE_CONFLICT"],
    lacks: sourcesBut("@ropewalk/yarn"),
    budget: ceiling.core + ceiling.provider,
  },
  "an import of a name that is not used registers": {
    code: `import { YarnProvider } from "@ropewalk/yarn";${report}`,
    prints: yarn,
    weighs: "a bare import registers, and brings no other provider",
  },
  "formulas of all providers cost nothing where they are not used": {
    code: `import "@ropewalk/yarn";${importAll("/formula")}${report}`,
    prints: yarn,
    weighs: "a bare import registers, and brings no other provider",
  },
  "every provider at once": {
    code: `${providers.map(({ name }) => `import ${JSON.stringify(name)};`).join("\n")}${report}`,
    prints: all,
    holds: sourcesBut(),
  },
  "the package that registers every provider": {
    code: `import { getRope } from "ropewalk";\nglobalThis.getRope = getRope;${report}`,
    prints: all,
  },
  "a formula registers nothing and brings no registry": {
    code: `import { yarnFrequencies } from "@ropewalk/yarn/formula";
      globalThis.formula = yarnFrequencies;
      console.log(JSON.stringify({ formula: typeof globalThis.formula, registry: typeof globalThis[Symbol.for("ropewalk.registry.v1")] }));`,
    prints: { formula: "function", registry: "undefined" },
    holds: ["betaFast"],
    lacks: ["ROPE_TYPE_CONFLICT", ...sourcesBut()],
  },
  "a program without rope": { code: nothing, prints: null },
  "core and formulas cost nothing where they are not used": {
    code: `import * as core from "@ropewalk/core"; import * as math from "@ropewalk/core/math"; import * as backend from "@ropewalk/core/backend";${importAll("/formula")}${nothing}`,
    prints: null,
    weighs: "a program without rope",
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

/** The output of a claim's code without a bundler, on each Node. */
const unbundled = new Map<string, Promise<unknown[]>>();

/** Minified by one minifier, since rollup has none; bundlers put the name of the file into their code. */
async function minified(file: string): Promise<Uint8Array> {
  const { code } = await transform(readFileSync(file, "utf8"), { minify: true, format: "esm", target: "es2022" });
  return Buffer.from(code);
}

describe.each(Object.entries(bundlers))("%s", (_, bundle) => {
  const weights = new Map<string, Uint8Array>();

  test.each(Object.entries(claims))("%s", async (name, { code, prints, holds = [], lacks = [], weighs, budget }) => {
    const entry = write(code);
    const file = await bundle(entry, path.dirname(entry));
    const results = await output(file);
    for (const result of results) expect(result).toEqual(prints);
    // For all providers of the repository: no type is lost.
    if (!unbundled.has(name)) unbundled.set(name, output(entry));
    expect(results).toEqual(await unbundled.get(name));

    const text = readFileSync(file, "utf8");
    expect(holds.filter((part) => !text.includes(part))).toEqual([]);
    expect(lacks.filter((part) => text.includes(part))).toEqual([]);
    weights.set(name, await minified(file));
    if (weighs !== undefined) expect(weights.get(name)!.length).toBe(weights.get(weighs)!.length);
    if (budget !== undefined) expect(brotli(weights.get(name)!)).toBeLessThanOrEqual(budget);
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
    writeFileSync(path.join(folder, "entry.mjs"), Object.values(claims)[0]!.code);
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

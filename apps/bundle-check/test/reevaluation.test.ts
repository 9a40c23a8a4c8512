/**
 * Development servers evaluate a changed module again, and what it imports perhaps too. A provider that is evaluated
 * again registers nothing new: no conflict, the first provider stays, ropes stay the same objects.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createServer, createServerModuleRunner } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runWebpack } from "./bundle.ts";
import { execute, install, nodes } from "./packed.ts";
import type { Installation, NodeBinary } from "./packed.ts";

let installed: Installation;
let runtimes: NodeBinary[];
beforeAll(async () => {
  [installed, runtimes] = await Promise.all([install(), nodes()]);
}, 60_000);
// There is nothing to remove if installing failed.
afterAll(() => (installed as Installation | undefined)?.remove());

/**
 * A program that evaluates the provider twice: `first` and `again` are its classes. Aliases count as well, so more than
 * one name is compared.
 */
const compare = (first: string, again: string): string => `
const registrations = () => listRopeTypes().map(({ name, provider }) => [name, provider]);
const request = { headDim: 4, parameters: { ropeType: "yarn", factor: 4, originalMaxPosition: 32768 } };
${first}
const before = registrations();
const rope = getRopeUntyped(request);
${again}
const after = registrations();
console.log(JSON.stringify({
  evaluatedTwice: one.YarnProvider !== two.YarnProvider,
  names: after.map(([name]) => name),
  sameProviders: before.length === after.length && before.every(([name, provider], i) => after[i][0] === name && after[i][1] === provider),
  sameRope: getRopeUntyped(request) === rope,
}));
`;

const unchanged = { evaluatedTwice: true, names: ["telechat3-yarn", "yarn"], sameProviders: true, sameRope: true };

function write(name: string, code: string): string {
  const folder = path.join(installed.folder, path.basename(name, path.extname(name)));
  mkdirSync(folder);
  writeFileSync(path.join(folder, name), code);
  return path.join(folder, name);
}

test("a module that is imported again under another address", async () => {
  const file = write(
    "query.mjs",
    `import { getRopeUntyped, listRopeTypes } from "@ropewalk/core";
    ${compare(
      'const one = await import("@ropewalk/yarn");',
      'const two = await import(import.meta.resolve("@ropewalk/yarn") + "?t=1");',
    )}`,
  );
  for (const { command } of runtimes) {
    expect(JSON.parse(await execute(command, [file], installed.folder))).toEqual(unchanged);
  }
});

test("a provider whose source changes with each evaluation is a conflict: these checks can fail", async () => {
  write(
    "changing.mjs",
    `import { registerRopeType } from "@ropewalk/core";
    registerRopeType("changing")({ specificationVersion: 1, source: "rope-changing@" + Math.random(), parameters: {}, frequencies() {} });`,
  );
  const file = write(
    "changed.mjs",
    'await import("../changing/changing.mjs");\nawait import("../changing/changing.mjs?t=1");',
  );
  await expect(execute(process.execPath, [file], installed.folder)).rejects.toThrow("ROPE_TYPE_CONFLICT");
});

test("webpack: a module whose instance is dropped and made again, as its hot replacement does", async () => {
  const entry = write(
    "entry.cjs",
    `const { getRopeUntyped, listRopeTypes } = require("@ropewalk/core");
    ${compare(
      'const one = require("@ropewalk/yarn");',
      'delete require.cache[require.resolve("@ropewalk/yarn")];\nconst two = require("@ropewalk/yarn");',
    )}`,
  );
  const folder = path.dirname(entry);
  const output = { path: folder, filename: "bundle.cjs" };
  const file = await runWebpack({ mode: "development", devtool: false, entry, output });
  for (const { command } of runtimes) expect(JSON.parse(await execute(command, [file], folder))).toEqual(unchanged);
});

test("vite's development server: a changed file of a program, with a provider and core that it loads again", async () => {
  const entry = write(
    "main.js",
    `import { getRopeUntyped, listRopeTypes } from "@ropewalk/core";
    import { YarnProvider } from "@ropewalk/yarn";
    const request = { headDim: 4, parameters: { ropeType: "yarn", factor: 4, originalMaxPosition: 32768 } };
    const { provider } = listRopeTypes().find(({ name }) => name === "yarn");
    (globalThis.evaluations ??= []).push({ YarnProvider, getRopeUntyped, provider, invFreq: [...getRopeUntyped(request).frequencies().invFreq] });
    if (import.meta.hot) import.meta.hot.accept();`,
  );
  const server = await createServer({
    root: path.dirname(entry),
    configFile: false,
    logLevel: "silent",
    server: { middlewareMode: true, ws: false },
    appType: "custom",
    // As packages of a workspace are: evaluated by vite, not by Node.
    ssr: { noExternal: true },
    optimizeDeps: { noDiscovery: true },
  });
  const global = globalThis as { evaluations?: Record<string, unknown>[] };
  try {
    const runner = createServerModuleRunner(server.environments.ssr, { hmr: false });
    await runner.import(entry);
    // What a change of a file of the packages does to them.
    server.environments.ssr.moduleGraph.invalidateAll();
    runner.clearCache();
    await runner.import(entry);
    const [first, second] = global.evaluations ?? [];
    expect(global.evaluations).toHaveLength(2);
    expect(second!["YarnProvider"]).not.toBe(first!["YarnProvider"]);
    expect(second!["getRopeUntyped"]).not.toBe(first!["getRopeUntyped"]);
    expect(second!["provider"]).toBe(first!["provider"]);
    expect(second!["invFreq"]).toEqual([1, Math.fround(0.01)]);
    await runner.close();
  } finally {
    delete global.evaluations;
    delete (globalThis as Record<symbol, unknown>)[Symbol.for("ropewalk.registry.v1")];
    await server.close();
  }
});

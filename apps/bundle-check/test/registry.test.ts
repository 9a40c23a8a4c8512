/** Two physical copies of core, as package managers can make them: one registry, one kind of error, each type once. */

import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { duplicate, execute, install, nodes, providers } from "./packed.ts";
import type { Installation, NodeBinary } from "./packed.ts";

let installed: Installation;
let runtimes: NodeBinary[];
beforeAll(async () => {
  [installed, runtimes] = await Promise.all([install(), nodes()]);
  // A package manager that cannot share core gives the package yarn its own copy.
  duplicate(installed, "@ropewalk/core", "@ropewalk/yarn");
}, 60_000);
// There is nothing to remove if installing failed.
afterAll(() => (installed as Installation | undefined)?.remove());

async function runOnAll(name: string, code: string): Promise<unknown[]> {
  const file = path.join(installed.folder, name);
  writeFileSync(file, code);
  return Promise.all(
    runtimes.map(async ({ command }) => JSON.parse(await execute(command, [file], installed.folder)) as unknown),
  );
}

const copies = `
import * as ours from "@ropewalk/core";
import "@ropewalk/yarn";
const theirs = await import(new URL("./node_modules/@ropewalk/yarn/node_modules/@ropewalk/core/dist/index.js", import.meta.url).href);
// Types, without their aliases.
const typesOf = (core) => core.listRopeTypes().filter(({ name, ropeType }) => name === ropeType).map(({ name }) => name);
`;

test("a provider with its own copy of core registers in the shared registry", async () => {
  const results = await runOnAll(
    "shared.mjs",
    `${copies}
    const rope = ours.getRopeUntyped({ headDim: 4, parameters: { ropeType: "yarn", factor: 4, originalMaxPosition: 32768 } });
    console.log(JSON.stringify({
      twoCopies: ours.getRope !== theirs.getRope,
      ours: typesOf(ours),
      theirs: typesOf(theirs),
      invFreq: [...rope.frequencies().invFreq],
    }));`,
  );
  for (const result of results) {
    expect(result).toEqual({ twoCopies: true, ours: ["yarn"], theirs: ["yarn"], invFreq: [1, Math.fround(0.01)] });
  }
});

test.each([
  ["core alone", 'import "@ropewalk/core"; import "@ropewalk/core/math"; import "@ropewalk/core/backend";', []],
  ["every formula", providers.map(({ name }) => `import ${JSON.stringify(`${name}/formula`)};`).join("\n"), []],
  ["a provider that uses another provider's formula", 'import "@ropewalk/deepseek-yarn";', ["deepseek_yarn"]],
])("what is registered by importing %s", async (name, imports, expected) => {
  const results = await runOnAll(
    `${name.replaceAll(/\W/g, "-")}.mjs`,
    `${imports}\nconsole.log(JSON.stringify([...(globalThis[Symbol.for("ropewalk.registry.v1")]?.types.values() ?? [])].filter(({ name, ropeType }) => name === ropeType).map(({ name }) => name)));`,
  );
  for (const result of results) expect(result).toEqual(expected);
});

test("the package `ropewalk` registers every provider", async () => {
  const types = (imports: string): string =>
    `${imports}\nconst { listRopeTypes } = await import("@ropewalk/core");\nconsole.log(JSON.stringify(listRopeTypes().map(({ name }) => name)));`;
  const together = await runOnAll("together.mjs", types('import "ropewalk";'));
  expect(together).toEqual(
    await runOnAll("one-by-one.mjs", types(providers.map(({ name }) => `import ${JSON.stringify(name)};`).join("\n"))),
  );
});

test("the error for a config whose type is not registered names the package to import", async () => {
  const names = JSON.stringify(providers.map(({ name }) => name));
  const results = await runOnAll(
    "leads.mjs",
    `import { createRegistry, listRopeTypes } from "@ropewalk/core";
    import { ropesFromConfig } from "@ropewalk/config";
    const wrong = [];
    let led = 0;
    for (const name of ${names}) {
      const before = new Set(listRopeTypes().map(({ name }) => name));
      await import(name);
      for (const type of listRopeTypes().map(({ name }) => name).filter((type) => !before.has(type))) {
        const config = { model_type: "llama", hidden_size: 4096, num_attention_heads: 32, max_position_embeddings: 8192, rope_parameters: { rope_type: type, rope_theta: 10000, factor: 2 } };
        try {
          ropesFromConfig(config, { registry: createRegistry() });
        } catch ({ code, facts }) {
          // A name that configs do not use has no package; an alias is read as its type.
          if (code !== "ROPE_UNKNOWN_TYPE" || facts.package === null) continue;
          led++;
          if (facts.package !== name) wrong.push([type, facts.package, name]);
        }
      }
    }
    console.log(JSON.stringify({ wrong, some: led > 4 }));`,
  );
  for (const result of results) expect(result).toEqual({ wrong: [], some: true });
});

test("each copy recognises the errors of the other, which instanceof does not", async () => {
  const results = await runOnAll(
    "errors.mjs",
    `${copies}
    let error;
    try { theirs.getRopeUntyped({ headDim: 4, parameters: { ropeType: "no such type" } }); } catch (caught) { error = caught; }
    console.log(JSON.stringify({ instance: error instanceof ours.RopeError, branded: ours.RopeError.is(error), code: error.code, registered: error.facts.registered.filter((name) => typesOf(ours).includes(name)) }));`,
  );
  for (const result of results) {
    expect(result).toEqual({ instance: false, branded: true, code: "ROPE_UNKNOWN_TYPE", registered: ["yarn"] });
  }
});

test("the default executor is shared: what one copy registered serves the ropes of the other", async () => {
  const results = await runOnAll(
    "executor.mjs",
    `${copies}
    const request = { headDim: 4, parameters: { ropeType: "yarn", factor: 4, originalMaxPosition: 32768 } };
    const before = theirs.getRopeUntyped(request).backend;
    await import("@ropewalk/wasm-backend/auto");
    const backends = [ours, theirs].map((core) => [core.getRopeUntyped(request).backend, core.getRopeUntyped(request, { backend: "js" }).backend]);
    console.log(JSON.stringify([before, ...backends]));`,
  );
  for (const result of results) expect(result).toEqual(["js", ["wasm", "js"], ["wasm", "js"]]);
});

test("unregistering through one copy evicts the ropes of the other", async () => {
  const results = await runOnAll(
    "evicted.mjs",
    `${copies}
    const request = { headDim: 4, parameters: { ropeType: "yarn", factor: 4, originalMaxPosition: 32768 } };
    ours.getRopeUntyped(request);
    const before = ours.ropeCacheStatistics().size;
    theirs.unregisterRopeType("yarn");
    let code;
    try { ours.getRopeUntyped(request); } catch (error) { code = error.code; }
    console.log(JSON.stringify({ before, after: ours.ropeCacheStatistics().size, code }));`,
  );
  for (const result of results) expect(result).toEqual({ before: 1, after: 0, code: "ROPE_UNKNOWN_TYPE" });
});

test("the same provider loaded twice is one registration; another source under its name is refused with both names", async () => {
  duplicate(installed, "@ropewalk/yarn", "@ropewalk/deepseek-yarn");
  const results = await runOnAll(
    "twice.mjs",
    `${copies}
    const again = await import(new URL("./node_modules/@ropewalk/deepseek-yarn/node_modules/@ropewalk/yarn/dist/index.js", import.meta.url).href);
    const once = await import("@ropewalk/yarn");
    class Impostor { specificationVersion = 1; source = "rope-impostor@1.0.0"; parameters = {}; frequencies() { return { invFreq: [] }; } }
    let refused;
    try { ours.registerRopeType("yarn")(Impostor); } catch ({ code, facts }) { refused = { code, facts }; }
    console.log(JSON.stringify({ twoClasses: again.YarnProvider !== once.YarnProvider, types: typesOf(ours), sources: [...new Set(ours.listRopeTypes().map(({ provider }) => provider.source))], refused }));`,
  );
  const source = expect.stringMatching(/^@ropewalk\/yarn@\d+\.\d+\.\d+$/);
  const refused = {
    code: "ROPE_TYPE_CONFLICT",
    facts: { name: "yarn", registered: source, rejected: "rope-impostor@1.0.0" },
  };
  for (const result of results) {
    expect(result).toEqual({ twoClasses: true, types: ["yarn"], sources: [source], refused });
  }
});

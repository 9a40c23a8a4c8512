/** The exports and registrations of `ropewalk`. */

import { readdirSync, readFileSync } from "node:fs";
import { models } from "@ropewalk/goldens";
import { getRope, listRopeTypes, ropesFromConfig } from "ropewalk";
import { expect, test } from "vitest";

const packages = new URL("../../", import.meta.url);
const providers = readdirSync(new URL("providers/", packages));
const read = (path: string): string => readFileSync(new URL(path, packages), "utf8");

test("what registers a rope type is a dependency, and is imported; so is the fastest executor", () => {
  const imported = [...read("ropewalk/src/index.ts").matchAll(/^import "(.+)";$/gm)].map(([, name]) => name);
  const { dependencies } = JSON.parse(read("ropewalk/package.json")) as { dependencies: Record<string, string> };
  const expected = [...providers, "wasm-backend/auto"].map((name) => `@ropewalk/${name}`);
  expect(providers.length).toBeGreaterThan(10);
  expect(imported.toSorted()).toEqual(expected.toSorted());
  const packages = imported.map((name) => name!.split("/", 2).join("/"));
  expect(Object.keys(dependencies)).toEqual(expect.arrayContaining(packages));
});

/**
 * The names that a file exports, with the module that they come from (`undefined`: the file itself). Types are marked.
 */
function exportsOf(path: string): { readonly name: string; readonly from: string | undefined }[] {
  const text = read(path);
  const lists = [...text.matchAll(/^export (type )?\{([^}]*)\} from "([^"]+)";$/gm)].flatMap(([, type, names, from]) =>
    names!.split(",").flatMap((name) => (name.trim() === "" ? [] : [{ name: `${type ?? ""}${name.trim()}`, from }])),
  );
  const own = [...text.matchAll(/^export (interface|type|class|function|const) (\w+)/gm)].map(([, kind, name]) => ({
    name: kind === "interface" || kind === "type" ? `type ${name}` : name!,
    from: undefined,
  }));
  return [...lists, ...own];
}

test("everything public of core and config, builders of positions and parameters of every type are exported", () => {
  const mine = new Set(exportsOf("ropewalk/src/index.ts").map(({ name }) => name));
  const groups = {
    core: exportsOf("core/src/index.ts"),
    config: exportsOf("config/src/index.ts"),
    positions: exportsOf("providers/nd-qwen2vl/src/index.ts").filter(
      ({ from }) => from === "./axes.ts" || from === "./positions/index.ts",
    ),
    parameters: providers.flatMap((name) =>
      exportsOf(`providers/${name}/src/index.ts`).filter((one) => /^type \w+Parameters$/.test(one.name)),
    ),
  };
  for (const [group, names] of Object.entries(groups)) {
    expect(names.length, group).toBeGreaterThan(10);
    expect(
      names.map(({ name }) => name).filter((name) => !mine.has(name)),
      group,
    ).toEqual([]);
  }
});

test("the same at run time, with identical objects", async () => {
  const all = (await import("ropewalk")) as Record<string, unknown>;
  for (const [path, some] of [
    ["@ropewalk/core", "getRope"],
    ["@ropewalk/config", "fromAtb"],
  ] as const) {
    const whole = (await import(path)) as Record<string, unknown>;
    expect(Object.keys(whole)).toContain(some);
    for (const [name, value] of Object.entries(whole)) expect(all[name], name).toBe(value);
  }
  expect(all).toMatchObject({
    TEXT: expect.anything(),
    promptPositions: expect.any(Function),
    sectionedAxes: expect.any(Function),
  });
});

test.each(models())("$id: its config.json gives ropes, with nothing else imported", ({ config }) => {
  const { byLayerType } = ropesFromConfig(config);
  for (const rope of byLayerType.values()) expect(rope?.frequencies().invFreq.length ?? 0).toBeGreaterThanOrEqual(0);
});

test("parameters of every type are known to the compiler", () => {
  const rope = getRope({
    headDim: 128,
    base: 500_000,
    parameters: { ropeType: "llama3", factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPosition: 8192 },
  });
  expect(rope.ropeType).toBe("llama3");
  expect(() =>
    getRope({
      headDim: 128,
      parameters: {
        ropeType: "llama3",
        factor: 8,
        lowFreqFactor: 1,
        highFreqFactor: 4,
        originalMaxPosition: 8192,
        // @ts-expect-error -- llama3 has no betaFast
        betaFast: 32,
      },
    }),
  ).toThrow("betaFast");
  expect(listRopeTypes().map(({ name }) => name)).toContain("mrope");
});

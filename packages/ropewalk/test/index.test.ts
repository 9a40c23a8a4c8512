/** What importing `ropewalk` brings. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { models } from "@ropewalk/goldens";
import { getRope, listRopeTypes, ropesFromConfig } from "ropewalk";
import { expect, test } from "vitest";

const packages = new URL("../../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, packages), "utf8");

test("every package of this repository that registers a rope type is a dependency, and is imported", () => {
  const providers = readdirSync(packages).filter((name) => existsSync(new URL(`${name}/src/index.ts`, packages)) && read(`${name}/src/index.ts`).includes("\n@registerRopeType("));
  const imported = [...read("ropewalk/src/index.ts").matchAll(/^import "(.+)";$/gm)].map(([, name]) => name);
  const { dependencies } = JSON.parse(read("ropewalk/package.json")) as { dependencies: Record<string, string> };
  expect(providers.length).toBeGreaterThan(10);
  expect(imported.toSorted()).toEqual(providers.map((name) => `@ropewalk/${name}`).toSorted());
  expect(Object.keys(dependencies)).toEqual(expect.arrayContaining(imported));
});

test.each(models())("$id: its config.json gives ropes, with nothing else imported", ({ config }) => {
  const { byLayerType } = ropesFromConfig(config);
  for (const rope of byLayerType.values()) expect(rope?.frequencies().invFreq.length ?? 0).toBeGreaterThanOrEqual(0);
});

test("parameters of every type are known to the compiler", () => {
  const rope = getRope({ headDim: 128, base: 500_000, parameters: { ropeType: "llama3", factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPosition: 8192 } });
  expect(rope.ropeType).toBe("llama3");
  // @ts-expect-error -- llama3 has no betaFast
  expect(() => getRope({ headDim: 128, parameters: { ropeType: "llama3", factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPosition: 8192, betaFast: 32 } })).toThrow("betaFast");
  expect(listRopeTypes().map(({ name }) => name)).toContain("mrope");
});

import { readFileSync } from "node:fs";
import { test } from "node:test";
import { conformance } from "@ropewalk/conformance";
import type { BackendUnderTest, ConformanceCase } from "@ropewalk/conformance";
import { createRegistry } from "@ropewalk/core";
import type { RopeProvider } from "@ropewalk/core";
import type { RopeBackend } from "@ropewalk/core/backend";
import { inverseFrequencies } from "@ropewalk/core/math";

/** A rope type with an amplitude. A backend never learns which type it rotates, so one is enough. */
const plain: RopeProvider<{ readonly amplitude: number }> = {
  specificationVersion: 1,
  source: "plain-test@1.0.0",
  parameters: { amplitude: { type: "number", default: 1.138, description: "of cos and sin; any but 1" } },
  frequencies: ({ base, rotaryDim, array }, { amplitude }) => ({
    invFreq: inverseFrequencies(base, rotaryDim, array),
    attentionFactor: amplitude,
  }),
};

/** The cases are data: `ropewalk conformance` reads the same file. */
const file = JSON.parse(readFileSync(new URL("../conformance.json", import.meta.url), "utf8")) as {
  readonly cases: readonly ConformanceCase[];
  readonly backend: BackendUnderTest;
};
export const cases: readonly ConformanceCase[] = file.cases;

/** Runs the suite on a backend, in a registry of its own. */
export function backendLaws(backend: RopeBackend, chosen: readonly ConformanceCase[] = cases): void {
  const registry = createRegistry();
  registry.register("plain", plain);
  registry.registerBackend(backend);
  conformance(test, {
    ropeType: "plain",
    registry,
    backend: { ...file.backend, name: backend.name },
    only: ["rotation", "memory", "backend"],
    cases: chosen,
  });
}

/** @import { BackendUnderTest, ConformanceCase } from "@ropewalk/conformance" */
/** @import { RopeProvider } from "@ropewalk/core" */
/** @import { RopeBackend } from "@ropewalk/core/backend" */
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { conformance } from "@ropewalk/conformance";
import { createRegistry } from "@ropewalk/core";
import { inverseFrequencies } from "@ropewalk/core/math";

/**
 * A rope type with an amplitude. A backend never learns which type it rotates, so one is enough.
 *
 * @type {RopeProvider<{ readonly amplitude: number }>}
 */
const plain = {
  specificationVersion: 1,
  source: "plain-test@1.0.0",
  parameters: { amplitude: { type: "number", default: 1.138, description: "of cos and sin; any but 1" } },
  frequencies: ({ base, rotaryDim, array }, { amplitude }) => ({
    invFreq: inverseFrequencies(base, rotaryDim, array),
    attentionFactor: amplitude,
  }),
};

/**
 * The cases are data: `ropewalk conformance` reads the same file.
 *
 * @type {{ readonly cases: readonly ConformanceCase[]; readonly backend: BackendUnderTest }}
 */
const file = JSON.parse(readFileSync(new URL("../conformance.json", import.meta.url), "utf8"));
export const { cases } = file;

/**
 * Runs the suite on a backend, in a registry of its own.
 *
 * @param {RopeBackend} backend
 * @param {readonly ConformanceCase[]} [chosen]
 */
export function backendLaws(backend, chosen = cases) {
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

/** @import { ConformanceCase } from "@ropewalk/conformance" */
/** @import { RopeProvider } from "@ropewalk/core" */
/** @import { RopeBackend } from "@ropewalk/core/backend" */
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

/** Add heads of the sizes that your kernel treats in ways of their own: vector widths, unrolled loops. */
export const cases = [
  { name: "heads of 6", request: { headDim: 6 } },
  { name: "heads of 64", request: { headDim: 64 } },
  { name: "3 blocks of 18 of 24", request: { headDim: 24, rotaryDim: 18, rotaryOffset: 5, pairing: { blocks: 3 } } },
];

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
    // For a backend that rounds less often than core (fused multiply-add): bitExact: false.
    backend: { name: backend.name },
    only: ["rotation", "memory", "backend"],
    cases: chosen,
  });
}

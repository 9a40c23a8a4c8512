/** The suite that every backend passes: with tensors in JavaScript's memory, and with the same tensors in an arena. */

import { conformance } from "@ropewalk/conformance";
import type { ConformanceCase } from "@ropewalk/conformance";
import { createRegistry } from "@ropewalk/core";
import type { RopeProvider } from "@ropewalk/core";
import { inverseFrequencies } from "@ropewalk/core/math";
import { createArena, wasmBackend } from "@ropewalk/wasm-backend";
import { describe, test } from "vitest";
import { inArena } from "./in-arena.ts";

const plain: RopeProvider = {
  specificationVersion: 1,
  source: "test@1.0.0",
  parameters: { amplitude: { type: "number", default: 1.138, description: "of cos and sin" } },
  frequencies: ({ base, rotaryDim, array }, { amplitude }: { amplitude: number }) => ({
    invFreq: inverseFrequencies(base, rotaryDim, array),
    attentionFactor: amplitude,
  }),
};
const registry = createRegistry();
registry.register("plain", plain);
registry.registerBackend(wasmBackend);

// Head sizes on both sides of a vector's four floats and of the lengths that kernels have loops for.
const cases: readonly ConformanceCase[] = [2, 6, 64, 80, 128, 192].map((headDim) => ({
  name: `heads of ${headDim}`,
  request: { headDim },
}));
const blocks: readonly ConformanceCase[] = [
  { name: "2 blocks of 64", request: { headDim: 64, pairing: { blocks: 2 } } },
  { name: "5 blocks of 80", request: { headDim: 80, pairing: { blocks: 5 } } },
  { name: "3 blocks of 18 of 24", request: { headDim: 24, rotaryDim: 18, rotaryOffset: 5, pairing: { blocks: 3 } } },
];

describe("plain arrays", () => {
  conformance(test, {
    ropeType: "plain",
    registry,
    backend: { name: "wasm" },
    only: ["rotation", "memory", "backend"],
    cases: [...cases, ...blocks],
  });
});

describe("an arena", () => {
  const arena = createArena({ bytes: 32 << 20 });
  conformance(test, {
    ropeType: "plain",
    registry,
    backend: { name: "wasm", options: { arena }, adapt: (rope) => inArena(rope, arena) },
    only: ["rotation", "memory", "backend"],
    cases: [...cases.filter(({ request }) => request.headDim === 128 || request.headDim === 6), ...blocks],
  });
});

describe("a shared arena", () => {
  const arena = createArena({ bytes: 32 << 20, shared: true });
  conformance(test, {
    ropeType: "plain",
    registry,
    backend: { name: "wasm", options: { arena }, adapt: (rope) => inArena(rope, arena) },
    only: ["backend"],
    cases: cases.slice(1, 2),
  });
});

/** An isolated registry with the original rope, at an amplitude, and the backend. */

import { createRegistry } from "@ropewalk/core";
import type { Pairing, RopeProvider, RopeRegistry } from "@ropewalk/core";
import { inverseFrequencies } from "@ropewalk/core/math";
import { wasmBackend } from "@ropewalk/wasm-backend";

export const plain: RopeProvider = {
  specificationVersion: 1,
  source: "test@1",
  parameters: {},
  frequencies: ({ base, rotaryDim, array }) => ({
    invFreq: inverseFrequencies(base, rotaryDim, array),
    attentionFactor: 1.138,
  }),
};
export const registry: RopeRegistry = createRegistry();
registry.register("plain", plain);
registry.registerBackend(wasmBackend);

export interface Geometry {
  readonly headDim: number;
  readonly rotaryDim?: number;
  readonly rotaryOffset?: number;
  readonly pairing: Pairing;
}

/**
 * Rope types for core's tests, since core has none of its own. Each is the smallest provider with one capability.
 */

import { createRegistry } from "@ropewalk/core";
import type { FrequencyRequest, RopeFrequencies, RopeIssue, RopeProvider, RopeRegistry } from "@ropewalk/core";
import { inverseFrequencies } from "@ropewalk/core/math";

/** Parameters of `tuned`, one for each kind of rule. */
export interface TunedParameters {
  readonly factor: number;
  readonly steps?: number;
  readonly smooth?: boolean;
  readonly mode?: "slow" | "fast";
  readonly weights?: readonly number[] | Float32Array | Float64Array | null;
  readonly amplitude?: number | null;
}

declare module "@ropewalk/core" {
  interface RopeParametersByType {
    plain: {};
    tuned: TunedParameters;
    "tuned-twice": Omit<TunedParameters, "factor">;
    stepped: {};
    grid: {};
    fine: {};
    warp: {};
  }
}

const common = { specificationVersion: 1, source: "core-tests@1.0.0", parameters: {} } as const;
const plainOf = ({ base, rotaryDim, array }: FrequencyRequest): RopeFrequencies => ({
  invFreq: inverseFrequencies(base, rotaryDim, array),
});

/** The frequencies of the original rope. */
export const plain: RopeProvider = { ...common, frequencies: plainOf };

/** Frequencies divided by `factor`; every other parameter is there to be parsed. */
export const tuned: RopeProvider = {
  ...common,
  parameters: {
    factor: { type: "number", above: 0, max: 1000, description: "divides every frequency" },
    steps: { type: "integer", min: 1, default: 1, description: "no effect" },
    smooth: { type: "boolean", default: false, description: "no effect" },
    mode: { type: "string", oneOf: ["slow", "fast"], default: "slow", description: "no effect" },
    weights: { type: "numbers", above: 0, default: null, description: "no effect" },
    amplitude: { type: "number", above: 0, default: null, description: "multiplies cos and sin; absent: 1" },
  },
  check({ mode, smooth }: TunedParameters): RopeIssue[] {
    return mode === "fast" && smooth
      ? [{ path: "parameters.smooth", expected: 'false with mode "fast"', received: "true" }]
      : [];
  },
  frequencies(request: FrequencyRequest, { factor, amplitude }: TunedParameters): RopeFrequencies {
    const { divide } = request.array;
    return {
      invFreq: inverseFrequencies(request.base, request.rotaryDim, request.array).map((f) => divide(f, factor)),
      attentionFactor: amplitude ?? 1,
      softmaxScaleFactor: 2,
      rules: [{ name: "factor", value: factor, rule: "given" }],
      regimes: new Array<string>(request.rotaryDim / 2).fill("stretched"),
    };
  },
};

/** Frequencies depend on the length, rounded up to a power of two, at least 16. */
export const stepped: RopeProvider = {
  ...common,
  capabilities: { dependsOnLength: true },
  effectiveLength: (length: number) => 2 ** Math.ceil(Math.log2(Math.max(16, length))),
  frequencies({ base, rotaryDim, array, length }: FrequencyRequest): RopeFrequencies {
    return { invFreq: inverseFrequencies(base * (length! / 16), rotaryDim, array), attentionFactor: length! / 16 };
  },
};

/** Two position axes that take turns from pair to pair. */
export const grid: RopeProvider = {
  ...common,
  capabilities: { axisCount: 2 },
  frequencies: (request: FrequencyRequest) => ({
    ...plainOf(request),
    axes: Array.from({ length: request.rotaryDim / 2 }, (_, i) => i % 2),
  }),
};

/** The same with fractional and negative positions. */
export const fine: RopeProvider = { ...common, capabilities: { fractionalPositions: true }, frequencies: plainOf };

/** Declares that it is no rotation. */
export const warp: RopeProvider = { ...common, capabilities: { isRotation: false }, frequencies: plainOf };

/** A registry with all of them. */
export function testRegistry(): RopeRegistry {
  const registry = createRegistry();
  registry.register("plain", plain);
  registry.register("tuned", tuned, { aliases: { "tuned-twice": { factor: 2 } } });
  registry.register("stepped", stepped);
  registry.register("grid", grid);
  registry.register("fine", fine);
  registry.register("warp", warp);
  return registry;
}

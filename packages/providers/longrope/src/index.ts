/** Registers the rope type `longrope`, also under its older name `su`. */

import { registerRopeType } from "@ropewalk/core";
import type {
  FrequencyRequest,
  ParameterSchema,
  RopeCapabilities,
  RopeFrequencies,
  RopeProvider,
} from "@ropewalk/core";
import { __esDecorate, __runInitializers } from "@ropewalk/core/decorators";
import { explainLongrope } from "./explain.ts";
import { longropeFrequencies, longropeEffectiveLength } from "./formula.ts";
import { checkLongrope, longropeParameters } from "./parameters.ts";
import type { LongropeParameters } from "./parameters.ts";

declare module "@ropewalk/core" {
  interface RopeParametersByType {
    longrope: LongropeParameters;
    su: LongropeParameters;
  }
}

/**
 * LongRoPE, as a provider.
 *
 * @example
 * import "@ropewalk/longrope";
 *
 * const rope = getRope({
 *   headDim: 4,
 *   base: 10000,
 *   maxPosition: 131072,
 *   precision: "float64",
 *   parameters: { ropeType: "longrope", shortFactor: [1, 1], longFactor: [1, 2], originalMaxPosition: 4096 },
 * });
 * rope.frequencies(4096).invFreq; // [1, 0.01]
 * rope.frequencies(4097).invFreq; // [1, 0.005]
 */
@registerRopeType("longrope", { aliases: ["su"] })
export class LongropeProvider implements RopeProvider<Required<LongropeParameters>> {
  readonly specificationVersion = 1;
  readonly source = "@ropewalk/longrope@0.0.0";
  readonly parameters: ParameterSchema<LongropeParameters> = longropeParameters;
  readonly check: typeof checkLongrope = checkLongrope;
  readonly effectiveLength: typeof longropeEffectiveLength = longropeEffectiveLength;

  capabilities({ selection }: Required<LongropeParameters>): RopeCapabilities {
    return { dependsOnLength: selection === "by-current-length" };
  }

  frequencies(request: FrequencyRequest, parameters: Required<LongropeParameters>): RopeFrequencies {
    const result = longropeFrequencies(request, parameters);
    return { ...result, ...explainLongrope(result, parameters, request) };
  }
}

export { longropeFrequencies } from "./formula.ts";
export { longropeParameters } from "./parameters.ts";
export type { LongropeFrequencies } from "./formula.ts";
export type { LongropeParameters, LongropeSelection } from "./parameters.ts";

/** Registers the rope type `dynamic`, and `qwen_dynamic`, the same type with presets. */

import { registerRopeType } from "@ropewalk/core";
import type {
  FrequencyRequest,
  ParameterSchema,
  RopeCapabilities,
  RopeFrequencies,
  RopeProvider,
} from "@ropewalk/core";
import { __esDecorate, __runInitializers } from "@ropewalk/core/decorators";
import { explainDynamic } from "./explain.ts";
import { dynamicFrequencies, dynamicEffectiveLength } from "./formula.ts";
import { checkDynamic, dynamicParameters } from "./parameters.ts";
import type { DynamicParameters } from "./parameters.ts";

declare module "@ropewalk/core" {
  interface RopeParametersByType {
    dynamic: DynamicParameters;
    qwen_dynamic: Partial<DynamicParameters>;
  }
}

/**
 * Dynamic NTK-aware scaling, as a provider.
 *
 * @example
 * import "@ropewalk/dynamic";
 *
 * const parameters = { ropeType: "dynamic", factor: 2, maxTrainedPosition: 4096 } as const;
 * const rope = getRope({ headDim: 4, base: 10000, precision: "float64", parameters });
 * rope.frequencies(4096).invFreq; // [1, 0.01]
 * rope.frequencies(8192).invFreq[1]?.toFixed(8); // 0.00333333
 */
@registerRopeType("dynamic", { aliases: { qwen_dynamic: { factor: 2, lengthStep: "doubling" } } })
export class DynamicProvider implements RopeProvider<Required<DynamicParameters>> {
  readonly specificationVersion = 1;
  readonly source = "@ropewalk/dynamic@0.0.0";
  readonly parameters: ParameterSchema<DynamicParameters> = dynamicParameters;
  readonly check: typeof checkDynamic = checkDynamic;
  readonly effectiveLength: typeof dynamicEffectiveLength = dynamicEffectiveLength;

  capabilities({ selection }: Required<DynamicParameters>): RopeCapabilities {
    return { dependsOnLength: selection === "by-current-length" };
  }

  frequencies(request: FrequencyRequest, parameters: Required<DynamicParameters>): RopeFrequencies {
    const result = dynamicFrequencies(request, parameters);
    return { ...result, ...explainDynamic(result, parameters, request) };
  }
}

export { dynamicFrequencies } from "./formula.ts";
export { dynamicParameters } from "./parameters.ts";
export type { DynamicFrequencies } from "./formula.ts";
export type { DynamicParameters } from "./parameters.ts";

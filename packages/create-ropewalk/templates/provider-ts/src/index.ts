/** Registers the rope type `@@type@@`. */

import { registerRopeType } from "@ropewalk/core";
import type { FrequencyRequest, ParameterSchema, RopeFrequencies, RopeProvider } from "@ropewalk/core";
import { __name__Frequencies, __name__Parameters } from "./formula.ts";
import type { __Name__Parameters } from "./formula.ts";

declare module "@ropewalk/core" {
  interface RopeParametersByType {
    "@@type@@": __Name__Parameters;
  }
}

/** @@type@@, as a provider. */
@registerRopeType("@@type@@")
export class __Name__Provider implements RopeProvider<Required<__Name__Parameters>> {
  readonly specificationVersion = 1;
  readonly source = "@@package@@@@@version@@";
  readonly parameters: ParameterSchema<__Name__Parameters> = __name__Parameters;

  frequencies(request: FrequencyRequest, parameters: Required<__Name__Parameters>): RopeFrequencies {
    return __name__Frequencies(request, parameters);
  }
}

export { __name__Frequencies, __name__Parameters } from "./formula.ts";
export type { __Name__Parameters } from "./formula.ts";

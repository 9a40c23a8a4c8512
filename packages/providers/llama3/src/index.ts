/** Registers the rope type `llama3`. */

import { registerRopeType } from "@ropewalk/core";
import type { FrequencyRequest, ParameterSchema, RopeFrequencies, RopeIssue, RopeProvider } from "@ropewalk/core";
import { __esDecorate, __runInitializers } from "@ropewalk/core/decorators";
import { checkLlama3, llama3Frequencies, llama3Parameters } from "./formula.ts";
import type { Llama3Parameters } from "./formula.ts";

declare module "@ropewalk/core" {
  interface RopeParametersByType {
    llama3: Llama3Parameters;
  }
}

/** Llama 3.1's context extension, as a provider. */
@registerRopeType("llama3")
export class Llama3Provider implements RopeProvider<Llama3Parameters> {
  readonly specificationVersion = 1;
  readonly source = "@ropewalk/llama3@0.0.0";
  readonly parameters: ParameterSchema<Llama3Parameters> = llama3Parameters;

  check(parameters: Llama3Parameters): RopeIssue[] {
    return checkLlama3(parameters);
  }

  frequencies(request: FrequencyRequest, parameters: Llama3Parameters): RopeFrequencies {
    return llama3Frequencies(request, parameters);
  }
}

export { llama3Frequencies, llama3Parameters } from "./formula.ts";
export type { Llama3Parameters } from "./formula.ts";

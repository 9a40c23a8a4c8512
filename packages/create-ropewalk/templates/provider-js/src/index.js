/// <reference path="./rope-types.d.ts" preserve="true" />
/** Registers the rope type `@@type@@`. */

/** @import { RopeProvider } from "@ropewalk/core" */
/** @import { __Name__Parameters } from "./formula.js" */
import { registerRopeType } from "@ropewalk/core";
import { __name__Frequencies, __name__Parameters } from "./formula.js";

/**
 * @@type@@, as a provider.
 *
 * @type {RopeProvider<Required<__Name__Parameters>>}
 */
export const __name__Provider = registerRopeType("@@type@@")({
  specificationVersion: 1,
  source: "@@package@@@@@version@@",
  parameters: __name__Parameters,
  frequencies: __name__Frequencies,
});

export { __name__Frequencies, __name__Parameters };

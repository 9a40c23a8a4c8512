/**
 * The capabilities that a type declares, with every default filled in.
 */

import { own } from "./keys.ts";
import { isSize } from "./pairing.ts";
import { answerOf, isRecord } from "./provider.ts";
import type { RopeCapabilities, RopeSettings, RopeProvider } from "./provider.ts";

/**
 * The capabilities of a type's ropes with these parameters.
 *
 * @throws RopeError `ROPE_INVALID_PARAMETERS` when the type declares none that can be used.
 */
export function declaredCapabilities(
  provider: RopeProvider,
  parameters: Readonly<Record<string, unknown>>,
  settings: RopeSettings,
): Required<RopeCapabilities> {
  return answerOf(provider, (refuse) => {
    const { capabilities = {} } = provider;
    const declared = typeof capabilities === "function" ? capabilities(parameters, settings) : capabilities;
    const { isRotation = true, dependsOnLength = false, fractionalPositions = false, axisCount = 1 } = own(declared);
    const { canShift = isRotation && !dependsOnLength } = declared;
    const flags = { isRotation, canShift, dependsOnLength, fractionalPositions };
    const areFlags = Object.values(flags).every((flag) => typeof flag === "boolean");
    // A promise would have every default.
    if (isRecord(declared) && !("then" in declared) && areFlags && isSize(axisCount)) {
      return { ...flags, axisCount };
    }
    return refuse("capabilities true or false, axisCount ≥ 1", declared);
  });
}

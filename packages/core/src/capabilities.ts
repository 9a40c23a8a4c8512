/**
 * The capabilities that a type declares, with every default filled in.
 */

import { show } from "./errors.ts";
import { isSize } from "./pairing.ts";
import { answerOf, unusableAnswer } from "./provider.ts";
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
  const { source, capabilities = {} } = provider;
  return answerOf(provider, () => {
    const declared = typeof capabilities === "function" ? capabilities(parameters, settings) : capabilities;
    const { isRotation = true, dependsOnLength = false, fractionalPositions = false, axisCount = 1 } = declared;
    const { canShift = isRotation && !dependsOnLength } = declared;
    const flags = [isRotation, canShift, dependsOnLength, fractionalPositions];
    // A promise would have every default.
    const isRead = typeof declared === "object" && !("then" in declared) && isSize(axisCount) && axisCount <= 256;
    if (!isRead || !flags.every((flag) => typeof flag === "boolean")) {
      throw unusableAnswer(source, "capabilities: true or false, and axisCount from 1 to 256", show(declared));
    }
    return { isRotation, canShift, dependsOnLength, fractionalPositions, axisCount };
  });
}

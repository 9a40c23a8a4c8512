/**
 * The capabilities that a type declares, with every default filled in.
 */

import type { RopeCapabilities, RopeSettings, RopeProvider } from "./provider.ts";

/** The capabilities of a type's ropes with these parameters. */
export function declaredCapabilities(
  { capabilities }: RopeProvider,
  parameters: Readonly<Record<string, unknown>>,
  settings: RopeSettings,
): Required<RopeCapabilities> {
  const declared = (typeof capabilities === "function" ? capabilities(parameters, settings) : capabilities) ?? {};
  const { isRotation = true, dependsOnLength = false, fractionalPositions = false, axisCount = 1 } = declared;
  const { canShift = isRotation && !dependsOnLength } = declared;
  return { isRotation, canShift, dependsOnLength, fractionalPositions, axisCount };
}

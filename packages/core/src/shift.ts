/**
 * Turns that move rotated keys from one position to another.
 */

import { allocate } from "./element-types.ts";
import { shapeError } from "./errors.ts";
import type { FrequenciesAtLength } from "./frequencies.ts";
import type { ResolvedPositions } from "./positions.ts";
import { cosSinAt, givenTurns } from "./turns.ts";
import type { Turns } from "./turns.ts";

/**
 * cos and sin of the angle at `target` minus the angle at `source`, each rounded as in a table row; amplitude 1. Both
 * are absolute positions, so repeated shifts do not drift.
 *
 * @throws RopeError `ROPE_SHAPE` if the two differ in shape.
 */
export function turnsBetween(
  { angles, axisOfPair, length }: FrequenciesAtLength,
  source: ResolvedPositions,
  target: ResolvedPositions,
): Turns {
  if (source.tokens !== target.tokens || source.batch !== target.batch) {
    throw shapeError("to", `the shape of "from", ${shapeText(source)}`, shapeText(target));
  }
  const pairs = angles.invFreq.length;
  const count = source.values.length / source.axes;
  const cos = allocate("float64", count * pairs);
  const sin = allocate("float64", count * pairs);
  for (let axis = 0; axis < source.axes; axis++) {
    for (let row = 0; row < count; row++) {
      const a = cosSinAt(angles, source.values[axis * count + row]!);
      const b = cosSinAt(angles, target.values[axis * count + row]!);
      for (let i = 0; i < pairs; i++) {
        if (axisOfPair !== undefined && axisOfPair[i] !== axis) continue;
        cos[row * pairs + i] = b.cos[i]! * a.cos[i]! + b.sin[i]! * a.sin[i]!;
        sin[row * pairs + i] = b.sin[i]! * a.cos[i]! - b.cos[i]! * a.sin[i]!;
      }
    }
  }
  return givenTurns(source, length, cos, sin);
}

const shapeText = ({ batch, tokens }: ResolvedPositions): string =>
  batch === undefined ? `[${tokens}]` : `[${batch}, ${tokens}]`;

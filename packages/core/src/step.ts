/**
 * `rope.at(positions)`: the turns of one step, for every layer.
 */

import type { RotaryStep } from "./interface.ts";
import type { PassArguments } from "./pass-arguments.ts";
import { queryFactors } from "./plan.ts";
import type { Operation, PositionTurns } from "./turns.ts";

/**
 * Makes a step.
 *
 * @param queryScale the factor of queries at a position; `null` for a rope without such a rule.
 * @param rotate rotates tensors by the turns of an operation.
 */
export function stepOf(
  turns: PositionTurns,
  queryScale: ((position: number) => number) | null,
  rotate: (operation: Operation, tensors: PassArguments) => any,
): RotaryStep {
  const { batch, tokens } = turns.positions;
  const { angles, length } = turns.frequencies;
  const shape = [...(batch === undefined ? [] : [batch]), tokens, angles.invFreq.length];
  // Copies, made on first access, because the turns are shared.
  let cos: Float32Array | undefined;
  let sin: Float32Array | undefined;
  return Object.freeze({
    shape: Object.freeze(shape),
    get cos() {
      return (cos ??= turns.table("float32").cos.slice() as Float32Array);
    },
    get sin() {
      return (sin ??= turns.table("float32").sin.slice() as Float32Array);
    },
    queryScale: queryScale === null ? null : queryFactors(turns.positions, queryScale),
    effectiveLength: length,
    apply: (tensors: PassArguments) => rotate("apply", tensors),
    invert: (tensors: PassArguments) => rotate("invert", tensors),
    adjoint: (tensors: PassArguments) => rotate("adjoint", tensors),
  });
}

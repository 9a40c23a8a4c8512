/**
 * The kernels on one memory, and what lies in its areas at the moment.
 */

import type { Ladder, RotationTable } from "@ropewalk/core/backend";
import type { Arena } from "./arena.ts";
import { areas, createMemory, instantiate } from "./kernel.ts";
import type { Kernels } from "./kernel.ts";

export interface Machine {
  readonly kernels: Kernels;
  readonly buffer: ArrayBufferLike;
  /** All of the memory, which never grows: views of it are made once. */
  readonly float32: Float32Array;
  readonly float64: Float64Array;
  readonly uint16: Uint16Array;
  /** The cos of the table that lies whole in its area. Of a larger one only pieces do, which nobody asks for again. */
  loaded: RotationTable["cos"] | undefined;
  /** Whose frequencies lie in their area. */
  ladder: Ladder | undefined;
}

/** A machine on a memory of its own, or on an arena's, which set the areas aside. */
export function createMachine(arena: Arena | undefined): Machine {
  const memory = arena?.memory ?? createMemory(areas.end, false);
  const { buffer } = memory;
  return {
    kernels: instantiate(memory, arena?.shared ?? false),
    buffer,
    float32: new Float32Array(buffer),
    float64: new Float64Array(buffer),
    uint16: new Uint16Array(buffer),
    loaded: undefined,
    ladder: undefined,
  };
}

/**
 * The kernels on one memory, and what lies in its areas at the moment.
 *
 * A machine belongs to a memory, not to a rope: rotations are synchronous, so all ropes share its areas. A tensor is
 * rotated where it lies, in whichever arena, by the machine of that arena.
 */

import type { AngleFrequencies, RotationTable } from "@ropewalk/core/backend";
import { arenaOf } from "./arena.ts";
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
  table: RotationTable["cos"] | undefined;
  /** The frequencies that lie in their area. */
  frequencies: AngleFrequencies | undefined;
}

const machines = new WeakMap<ArrayBufferLike, Machine>();
let withoutArena: Machine | undefined;

/** The machine of an arena, or the one for tensors that lie in none. */
export function machineFor(arena: Arena | undefined): Machine {
  if (arena === undefined) return (withoutArena ??= createMachine(createMemory(areas.end, false), false));
  const { buffer } = arena.memory;
  let machine = machines.get(buffer);
  if (machine === undefined) machines.set(buffer, (machine = createMachine(arena.memory, arena.shared)));
  return machine;
}

/** The machine of the arena that has this memory, if one has. */
export function machineAt(buffer: ArrayBufferLike): Machine | undefined {
  const known = machines.get(buffer);
  if (known !== undefined) return known;
  const arena = arenaOf(buffer);
  return arena === undefined ? undefined : machineFor(arena);
}

function createMachine(memory: WebAssembly.Memory, shared: boolean): Machine {
  const { buffer } = memory;
  return {
    kernels: instantiate(memory, shared),
    buffer,
    float32: new Float32Array(buffer),
    float64: new Float64Array(buffer),
    uint16: new Uint16Array(buffer),
    table: undefined,
    frequencies: undefined,
  };
}

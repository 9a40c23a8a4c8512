/**
 * A memory with the kernels on it, and what lies in its areas at the moment.
 *
 * It belongs to no rope: rotations are synchronous, so all ropes share its areas. A tensor is rotated where it lies, in
 * whichever arena, by the kernels on the memory of that arena.
 */

import type { AngleFrequencies, RotationTable } from "@ropewalk/core/backend";
import { arenaOf } from "./arena.ts";
import type { Arena } from "./arena.ts";
import { areas, createMemory, instantiate } from "./kernel.ts";
import type { Kernels } from "./kernel.ts";

export interface KernelMemory {
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

const memories = new WeakMap<ArrayBufferLike, KernelMemory>();
let withoutArena: KernelMemory | undefined;

/** The memory of an arena with its kernels, or the one for tensors that lie in none. */
export function memoryFor(arena: Arena | undefined): KernelMemory {
  if (arena === undefined) return (withoutArena ??= createKernelMemory(createMemory(areas.end, false), false));
  const { buffer } = arena.memory;
  let memory = memories.get(buffer);
  if (memory === undefined) memories.set(buffer, (memory = createKernelMemory(arena.memory, arena.shared)));
  return memory;
}

/** The same of the arena that owns a buffer, if one does. */
export function memoryAt(buffer: ArrayBufferLike): KernelMemory | undefined {
  const known = memories.get(buffer);
  if (known !== undefined) return known;
  const arena = arenaOf(buffer);
  return arena === undefined ? undefined : memoryFor(arena);
}

function createKernelMemory(wasmMemory: WebAssembly.Memory, shared: boolean): KernelMemory {
  const { buffer } = wasmMemory;
  return {
    kernels: instantiate(wasmMemory, shared),
    buffer,
    float32: new Float32Array(buffer),
    float64: new Float64Array(buffer),
    uint16: new Uint16Array(buffer),
    table: undefined,
    frequencies: undefined,
  };
}

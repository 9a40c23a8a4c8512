/**
 * A memory with kernels, and the current contents of its areas.
 *
 * All ropes share the areas, since rotations are synchronous. Each arena has its own kernels, which rotate its tensors
 * in place.
 */

import { knownArena } from "./arena.ts";
import type { Arena } from "./arena.ts";
import { areas, createMemory, instantiate, PASS_ONES, PASS_SCALES } from "./kernel.ts";
import type { KernelMemory } from "./kernel.ts";

let withoutArena: KernelMemory | undefined;

/** The memory of an arena with its kernels; without an arena, the memory for tensors outside arenas. */
export function memoryFor(arena: Arena | undefined): KernelMemory {
  if (arena === undefined) return (withoutArena ??= createKernelMemory(createMemory(areas.end, false), false));
  return memoryAt(arena.memory.buffer)!;
}

/** The memory of the arena of a buffer; `undefined` for a buffer outside arenas. */
export function memoryAt(buffer: ArrayBufferLike): KernelMemory | undefined {
  // One look-up, also for a buffer that is none: each tensor of each call asks.
  const known = knownArena(buffer);
  if (known === undefined) return undefined;
  return (known.kernels ??= createKernelMemory(known.arena.memory, known.arena.shared));
}

function createKernelMemory(wasmMemory: WebAssembly.Memory, shared: boolean): KernelMemory {
  const { buffer } = wasmMemory;
  const float32 = new Float32Array(buffer);
  float32.fill(1, (areas.pass + PASS_ONES) / 4, (areas.pass + PASS_SCALES) / 4);
  return {
    kernels: instantiate(wasmMemory, shared),
    buffer,
    float32,
    float64: new Float64Array(buffer),
    uint16: new Uint16Array(buffer),
    arguments: { words: new Uint32Array(buffer, areas.pass, 64), floats: new Float32Array(buffer, areas.pass, 64) },
    table: undefined,
    cos: 0,
    sin: 0,
    pieces: [undefined, undefined],
    frequencies: undefined,
  };
}

/** Registers the backend `wasm`: rotations by SIMD kernels, bit for bit as JavaScript's. */

import { registerBackend, RopeError } from "@ropewalk/core";
import type { RotaryEmbedding } from "@ropewalk/core";
import type { BackendContext, RopeBackend } from "@ropewalk/core/backend";
import type { Arena } from "./arena.ts";
import { createExecutor } from "./executor.ts";
import { createMachine } from "./machine.ts";
import type { Machine } from "./machine.ts";
import { ThreadPool } from "./pool.ts";
import type { Pool } from "./pool.ts";

/** Options of `rope.to("wasm", …)`. */
export interface WasmOptions {
  /** Tensors that lie in this arena are rotated where they are; others are copied through. */
  readonly arena?: Arena | undefined;
  /** Threads for tensors of 2^20 elements and more that lie in the pool's arena. Results are those of one thread. */
  readonly pool?: Pool | undefined;
}

declare module "@ropewalk/core" {
  interface RopeBackends {
    wasm: { options: WasmOptions; rope: RotaryEmbedding };
  }
}

const machines = new WeakMap<Arena, Machine>();
let machineWithoutArena: Machine | undefined;

/** One machine for each arena, however many ropes use it: rotations are synchronous and share its areas. */
function machineFor(arena: Arena | undefined): Machine {
  if (arena === undefined) return (machineWithoutArena ??= createMachine(undefined));
  let machine = machines.get(arena);
  if (machine === undefined) machines.set(arena, (machine = createMachine(arena)));
  return machine;
}

/** The backend, as a value. */
export const wasmBackend: RopeBackend = Object.freeze({
  specificationVersion: 1,
  name: "wasm",
  source: "@ropewalk/wasm-backend@0.0.0",
  create({ withExecutor }: BackendContext, options: unknown = {}) {
    const { pool, arena = pool?.arena } = options as WasmOptions;
    if (pool !== undefined && !(pool instanceof ThreadPool && pool.arena === arena)) {
      throw new RopeError("ROPE_INVALID_PARAMETERS", {
        what: "the pool does not fit",
        expected: "a pool that createPool of this package made for the same arena",
        received: "another one",
      });
    }
    return withExecutor(createExecutor(machineFor(arena), pool));
  },
});

registerBackend(wasmBackend);

export { createArena } from "./arena.ts";
export type { Arena, ArenaTensor } from "./arena.ts";
export { createPool } from "./pool.ts";
export type { Pool, PoolOptions, PoolWorker } from "./pool.ts";

/** Registers the backend `wasm`: rotations by SIMD kernels, bit for bit as JavaScript's. */

import { registerBackend } from "@ropewalk/core";
import type { RotaryEmbedding } from "@ropewalk/core";
import { checkKeys, invalid, show } from "@ropewalk/core/backend";
import type { BackendContext, RopeBackend } from "@ropewalk/core/backend";
import { arenaOf } from "./arena.ts";
import type { Arena } from "./arena.ts";
import { createExecutor } from "./executor.ts";
import { memoryFor } from "./kernel-memory.ts";
import { ThreadPool } from "./pool.ts";
import type { Pool } from "./pool.ts";

/** Options of `rope.to("wasm", …)`. */
export interface WasmOptions {
  /**
   * Where the kernels work on tensors that lie in no arena: they are copied through its memory instead of one of the backend's
   * own. A tensor of any arena is rotated where it lies, with or without this.
   */
  readonly arena?: Arena | undefined;
  /** Threads for tensors of 2^20 elements and more that lie in the pool's arena. Results are those of one thread. */
  readonly pool?: Pool | undefined;
}

declare module "@ropewalk/core" {
  interface RopeBackends {
    wasm: { options: WasmOptions; rope: RotaryEmbedding };
  }
}

/** The backend, as a value. */
export const wasmBackend: RopeBackend = Object.freeze({
  specificationVersion: 1,
  name: "wasm",
  source: "@ropewalk/wasm-backend@0.0.0",
  create({ withExecutor }: BackendContext, options: unknown = {}) {
    checkKeys("the options of wasm", options, ["arena", "pool"]);
    const { pool, arena = pool?.arena } = options as WasmOptions;
    const issues = [];
    if (arena !== undefined && arenaOf((arena as Partial<Arena> | null)?.memory?.buffer) === undefined) {
      issues.push({ path: "arena", expected: "an arena that createArena of this package made", received: show(arena) });
    }
    if (pool !== undefined && !(pool instanceof ThreadPool && pool.arena === arena)) {
      const expected = "a pool that createPool of this package made for the same arena";
      issues.push({ path: "pool", expected, received: show(pool) });
    }
    if (issues.length > 0) throw invalid("the options of wasm", issues);
    return withExecutor(createExecutor(memoryFor(arena), pool as ThreadPool | undefined));
  },
});

registerBackend(wasmBackend);

export { createArena } from "./arena.ts";
export type { Arena, ArenaTensor } from "./arena.ts";
export { createPool } from "./pool.ts";
export type { Pool, PoolOptions, PoolWorker } from "./pool.ts";

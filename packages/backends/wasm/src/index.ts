/** Registers the backend `wasm`: rotation by SIMD kernels, with the same bits as JavaScript. */

import { registerBackend } from "@ropewalk/core";
import type { RotaryEmbedding } from "@ropewalk/core";
import { checkKeys, invalid, show } from "@ropewalk/core/backend";
import type { BackendContext, RopeBackend, RotationExecutor } from "@ropewalk/core/backend";
import { isArena } from "./arena.ts";
import type { Arena } from "./arena.ts";
import { createExecutor } from "./executor.ts";
import { memoryFor } from "./kernel-memory.ts";
import { ThreadPool } from "./pool.ts";
import type { Pool } from "./pool.ts";

/** Options of `rope.to("wasm", …)`. */
export interface WasmOptions {
  /**
   * The arena through which tensors outside arenas are copied. Default: the pool's arena, else memory of the backend.
   * Tensors in an arena are rotated in place, with or without this option.
   */
  readonly arena?: Arena | undefined;
  /** Threads for tensors of 2^20 elements and more in the pool's arena. The results are the same as with one thread. */
  readonly pool?: Pool | undefined;
}

declare module "@ropewalk/core" {
  interface RopeBackends {
    wasm: { options: WasmOptions; rope: RotaryEmbedding };
  }
}

/**
 * The backend, as a value. Importing the package registers it; `rope.to("wasm", options)` returns a
 * {@link RotaryEmbedding}.
 *
 * `create` throws RopeError `ROPE_INVALID_PARAMETERS` for an unknown option, an arena or a pool that this package did
 * not make, or a pool of another arena; `ROPE_BACKEND_UNAVAILABLE` without WebAssembly SIMD.
 *
 * @example
 * import "@ropewalk/default";
 * import "@ropewalk/wasm-backend";
 *
 * const rope = getRope({ headDim: 4, parameters: { ropeType: "default" } }).to("wasm");
 * const data = Float32Array.of(1, 0, 0, 0);
 * rope.apply({ positions: [1], query: data });
 * data[0]; // 0.5403022766113281
 */
export const wasmBackend: RopeBackend = Object.freeze({
  specificationVersion: 1,
  name: "wasm",
  source: "@ropewalk/wasm-backend@0.0.0",
  create({ withExecutor }: BackendContext, options: unknown = {}) {
    const { pool, arena = pool?.arena } = checkKeys("the options of wasm", options, ["arena", "pool"]) as WasmOptions;
    const issues = [];
    if (arena !== undefined && !isArena(arena)) {
      issues.push({ path: "arena", expected: "an arena that createArena of this package made", received: show(arena) });
    }
    if (pool !== undefined && !(pool instanceof ThreadPool && pool.arena === arena)) {
      const expected = "a pool that createPool of this package made for the same arena";
      issues.push({ path: "pool", expected, received: show(pool) });
    }
    if (issues.length > 0) throw invalid("the options of wasm", issues);
    if (arena === undefined) return withExecutor(executor());
    return withExecutor(createExecutor(memoryFor(arena), pool as ThreadPool | undefined));
  },
  executor,
});

let shared: RotationExecutor | undefined;

/** The executor without options. @throws RopeError `ROPE_BACKEND_UNAVAILABLE`. */
function executor(): RotationExecutor {
  return (shared ??= createExecutor(memoryFor(undefined)));
}

registerBackend(wasmBackend);

export { createArena } from "./arena.ts";
export type { Arena, ArenaTensor } from "./arena.ts";
export { createPool } from "./pool.ts";
export type { Pool, PoolOptions, PoolWorker } from "./pool.ts";

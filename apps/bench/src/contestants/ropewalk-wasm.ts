import { getRope } from "@ropewalk/core";
import type { RotaryEmbedding, Tensor } from "@ropewalk/core";
import "@ropewalk/default";
import { createArena, createPool } from "@ropewalk/wasm-backend";
import type { Arena } from "@ropewalk/wasm-backend";
import type { Contestant } from "../contestant.ts";
import { versionOf } from "../machine.ts";
import type { Elements, Workload } from "../workload.ts";

const source = `@ropewalk/wasm-backend ${versionOf("@ropewalk/wasm-backend")}`;

function ropeOf({ headDim, base, pairing }: Workload, arena?: Arena): RotaryEmbedding {
  return getRope({ headDim, base, pairing, maxPosition: 131072, parameters: { ropeType: "default" } }).to("wasm", { arena });
}

/** Queries and keys in an arena, where nobody copies them. */
function tensorsInArena({ pristine, dtype, tokens, headDim, queryHeads, keyHeads }: Workload, shared = false): { arena: Arena; query: Tensor; key: Tensor; result: { query: Elements; key: Elements } } {
  const arena = createArena({ bytes: pristine.query.byteLength + pristine.key.byteLength + 2 ** 20, shared });
  const query = arena[dtype]([tokens, queryHeads, headDim]);
  const key = arena[dtype]([tokens, keyHeads, headDim]);
  query.data.set(pristine.query);
  key.data.set(pristine.key);
  return { arena, query, key, result: { query: query.data, key: key.data } };
}

/** One call for everything, in place. */
export const wasmArenaApply: Contestant = {
  name: "ropewalk wasm, arena, apply",
  source,
  angles: "float32",
  prepare(workload) {
    const { arena, query, key, result } = tensorsInArena(workload);
    const rope = ropeOf(workload, arena);
    const tensors = { query, key, positions: { start: workload.start, count: workload.tokens } };
    return { run: () => rope.apply(tensors), result };
  },
};

/** What a model does in all layers but the first of a step, in place. */
export const wasmArenaStep: Contestant = {
  name: "ropewalk wasm, arena, step",
  source,
  angles: "float32",
  prepare(workload) {
    const { arena, query, key, result } = tensorsInArena(workload);
    const step = ropeOf(workload, arena).at({ start: workload.start, count: workload.tokens });
    const tensors = { query, key };
    return { run: () => step.apply(tensors), result };
  },
};

/** Arrays of JavaScript's own memory, which are copied through. In place. */
export const wasmArraysApply: Contestant = {
  name: "ropewalk wasm, arrays, apply",
  source,
  angles: "float32",
  prepare(workload) {
    const { working, dtype, tokens, headDim, queryHeads, keyHeads, start } = workload;
    const rope = ropeOf(workload);
    const tensor = (data: Elements, heads: number): Tensor => (dtype === "float32" ? data : { data, dtype, shape: [tokens, heads, headDim] });
    const tensors = { query: tensor(working.query, queryHeads), key: tensor(working.key, keyHeads), positions: { start, count: tokens } };
    return { run: () => rope.apply(tensors), result: working };
  },
};

/** Like {@link wasmArenaStep} with two threads, for what is large enough to be shared. */
export const wasmThreadsStep: Contestant = {
  name: "ropewalk wasm, 2 threads, step",
  source,
  angles: "float32",
  async prepare(workload) {
    const { working, tokens, headDim, base, pairing, start } = workload;
    // Smaller ones are rotated by one thread.
    if (working.query.length < 2 ** 20) return undefined;
    const { arena, query, key, result } = tensorsInArena(workload, true);
    const pool = createPool({ arena, threads: 2 });
    await pool.ready;
    const step = getRope({ headDim, base, pairing, maxPosition: 131072, parameters: { ropeType: "default" } }).to("wasm", { pool }).at({ start, count: tokens });
    const tensors = { query, key };
    return { run: () => step.apply(tensors), result, dispose: () => pool.dispose() };
  },
};

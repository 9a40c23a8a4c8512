import type { Tensor } from "@ropewalk/core";
import { createArena, createPool } from "@ropewalk/wasm-backend";
import type { Contestant } from "../contestant.ts";
import { versionOf } from "../machine.ts";
import type { Elements, Workload } from "../workload.ts";
import { ropeOf } from "./ropewalk.ts";

const source = `@ropewalk/wasm-backend ${versionOf("@ropewalk/wasm-backend")}`;

function tensor({ tokens, headDim, dtype }: Workload, data: Elements, heads: number): Tensor {
  return { data, dtype, shape: [tokens, heads, headDim] };
}

/** One call for everything, in place, in the arena of the workload. */
export const wasmArenaApply: Contestant = {
  name: "ropewalk wasm, arena, apply",
  source,
  angles: "float32",
  prepare(workload) {
    const { arena, working, queryHeads, keyHeads, start, tokens } = workload;
    const rope = ropeOf(workload).to("wasm", { arena });
    const tensors = {
      query: tensor(workload, working.query, queryHeads),
      key: tensor(workload, working.key, keyHeads),
      positions: { start, count: tokens },
    };
    return { run: () => rope.apply(tensors), result: working };
  },
};

/** The call of all layers after the first of a step, in place. */
export const wasmArenaStep: Contestant = {
  name: "ropewalk wasm, arena, step",
  source,
  angles: "float32",
  prepare(workload) {
    const { arena, working, queryHeads, keyHeads, start, tokens } = workload;
    const step = ropeOf(workload).to("wasm", { arena }).at({ start, count: tokens });
    const tensors = {
      query: tensor(workload, working.query, queryHeads),
      key: tensor(workload, working.key, keyHeads),
    };
    return { run: () => step.apply(tensors), result: working };
  },
};

/** Arrays outside the arena, which are copied in and out. In place. */
export const wasmArraysApply: Contestant = {
  name: "ropewalk wasm, arrays, apply",
  source,
  angles: "float32",
  prepare(workload) {
    const { pristine, queryHeads, keyHeads, start, tokens } = workload;
    // Arrays of its own: the backend knows the workload's memory as an arena, whatever its options.
    const own = { query: pristine.query.slice(), key: pristine.key.slice() };
    const rope = ropeOf(workload).to("wasm");
    const tensors = {
      query: tensor(workload, own.query, queryHeads),
      key: tensor(workload, own.key, keyHeads),
      positions: { start, count: tokens },
    };
    return { run: () => rope.apply(tensors), result: own };
  },
};

/** Like {@link wasmArenaStep} with two threads and its own shared memory, for tensors that are large enough. */
export const wasmThreadsStep: Contestant = {
  name: "ropewalk wasm, 2 threads, step",
  source,
  angles: "float32",
  async prepare(workload) {
    const { pristine, dtype, tokens, headDim, queryHeads, keyHeads, start } = workload;
    // One thread rotates smaller tensors.
    if (pristine.query.length < 2 ** 20) return undefined;
    const arena = createArena({ bytes: pristine.query.byteLength + pristine.key.byteLength + 2 ** 20, shared: true });
    const query = arena[dtype]([tokens, queryHeads, headDim]);
    const key = arena[dtype]([tokens, keyHeads, headDim]);
    query.data.set(pristine.query);
    key.data.set(pristine.key);
    const pool = createPool({ arena, threads: 2 });
    await pool.ready;
    const step = ropeOf(workload).to("wasm", { arena, pool }).at({ start, count: tokens });
    const tensors = { query, key };
    return {
      run: () => step.apply(tensors),
      result: { query: query.data, key: key.data },
      dispose: () => pool.dispose(),
    };
  },
};

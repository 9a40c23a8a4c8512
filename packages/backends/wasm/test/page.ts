/** Runs in a page: bundled by the test, imports the package as a page does. */

import { getRope } from "@ropewalk/core";
import "@ropewalk/default";
import { createArena, createPool } from "@ropewalk/wasm-backend";
import type { Pool } from "@ropewalk/wasm-backend";

const pairings = ["half", "adjacent", { blocks: 2 }] as const;
const noise = (length: number): Float32Array => Float32Array.from({ length }, (_, i) => Math.sin(i * i));
const differing = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).filter((value, i) => !Object.is(value, b[i])).length;

/** How many values differ from JavaScript's, in plain arrays and in an arena; and how many were compared. */
function rotate(): { plain: number; arena: number; values: number } {
  const arena = createArena({ bytes: 1 << 20 });
  const found = { plain: 0, arena: 0, values: 0 };
  for (const pairing of pairings) {
    const rope = getRope({ headDim: 64, pairing, parameters: { ropeType: "default" } });
    const positions = { start: 131_000, count: 9 };
    const expected = noise(9 * 5 * 64);
    const plain = expected.slice();
    const tensor = arena.float32([9, 5, 64]);
    tensor.data.set(expected);
    rope.apply({ positions, query: expected });
    rope.to("wasm").apply({ positions, query: plain });
    rope.to("wasm", { arena }).apply({ positions, query: tensor });
    found.plain += differing(plain, expected);
    found.arena += differing(tensor.data, expected);
    found.values += expected.length;
    tensor.dispose();
  }
  return found;
}

/** How many bits of 16-bit results, and how many values of cos and sin, differ from JavaScript's. */
function sixteenBitsAndRows(): { float16: number; bfloat16: number; rows: number } {
  const rope = getRope({ headDim: 128, base: 500_000, parameters: { ropeType: "default" } });
  const positions = [0, 1, 257, 131_071, 1_048_575];
  const sixteen = (dtype: "float16" | "bfloat16"): number => {
    const tensor = (data: Uint16Array) => ({ data, shape: [5, 3, 128], dtype });
    const [expected, given] = [new Uint16Array(5 * 3 * 128), new Uint16Array(5 * 3 * 128)];
    const query = { data: noise(5 * 3 * 128), shape: [5, 3, 128] };
    rope.apply({ positions, query, out: { query: tensor(expected) } });
    rope.to("wasm").apply({ positions, query, out: { query: tensor(given) } });
    rope.apply({ positions, query: tensor(expected) });
    rope.to("wasm").apply({ positions, query: tensor(given) });
    return differing(given, expected);
  };
  const [js, wasm] = [rope.cosSin(positions), rope.to("wasm").cosSin(positions)];
  return {
    float16: sixteen("float16"),
    bfloat16: sixteen("bfloat16"),
    rows: differing(wasm.cos, js.cos) + differing(wasm.sin, js.sin),
  };
}

/** The same with threads, on the page's main thread, which must not sleep. */
async function rotateWithThreads(): Promise<{ running: number; differing: number }> {
  const arena = createArena({ bytes: 32 << 20, shared: true });
  const pool: Pool = createPool({ arena, threads: 2 });
  await pool.ready;
  const { running } = pool;
  const rope = getRope({ headDim: 128, parameters: { ropeType: "default" } });
  const positions = { start: 5, count: 1025 };
  const tensor = arena.float32([1025, 16, 128]);
  const expected = noise(tensor.data.length);
  tensor.data.set(expected);
  rope.apply({ positions, query: expected });
  rope.to("wasm", { pool }).apply({ positions, query: tensor });
  pool.dispose();
  return { running, differing: differing(tensor.data, expected) };
}

/** The code of the error that asking for threads gives. */
function refusal(): unknown {
  try {
    createPool({ arena: createArena({ bytes: 1 << 20, shared: true }) });
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return undefined;
}

const page = { rotate, sixteenBitsAndRows, rotateWithThreads, refusal };
export type Page = typeof page;
Object.assign(globalThis, { page });

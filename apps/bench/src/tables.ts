/** The costs of a rope other than rotation: tables, instances, memory. */

import { clearRopeCache, getRope } from "@ropewalk/core";
import type { RopeRequest } from "@ropewalk/core";
import "@ropewalk/default";
import "@ropewalk/wasm-backend";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { fusedWrites } from "./fused.ts";
import type { FusedWrite } from "./fused.ts";
import { median } from "./median.ts";

/** A way to make cos and sin of `rows` positions, and its cost. */
export interface TableCost {
  readonly name: string;
  /**
   * Whether the arrays were new (which includes the operating system's work for their memory) or given by the caller.
   */
  readonly arrays: "new" | "given";
  readonly milliseconds: number;
  readonly timesFasterThanPlainLoop: number;
  /** Values that differ from the plain loop's, out of `2 · rows · pairs`. */
  readonly differentValues: number;
}

export interface Costs {
  readonly tables: { readonly rows: number; readonly pairs: number; readonly ways: readonly TableCost[] };
  readonly getRope: { readonly hitMicroseconds: number; readonly missMicroseconds: number };
  readonly memory: {
    readonly positions: number;
    /** Kilobytes of typed arrays that a rope keeps after one token at the last position, and after a token at each. */
    readonly oneTokenKilobytes: number;
    readonly allTokensKilobytes: number;
  };
  readonly fusedWrites: readonly FusedWrite[];
}

const request = (base: number): RopeRequest => ({
  headDim: 128,
  base,
  maxPosition: 131072,
  parameters: { ropeType: "default" },
});

export function measureCosts({ rows, rounds }: { readonly rows: number; readonly rounds: number }): Costs {
  return {
    tables: tables(rows, rounds),
    getRope: instances(rounds),
    memory: memory(8 * rows),
    fusedWrites: fusedWrites(rounds),
  };
}

type Table = { readonly cos: Float32Array; readonly sin: Float32Array };

function tables(rows: number, rounds: number): Costs["tables"] {
  const pairs = 64;
  const positions = { start: 0, count: rows };
  const empty = (): Table => ({ cos: new Float32Array(rows * pairs), sin: new Float32Array(rows * pairs) });
  const rope = getRope(request(500_000), { backend: "js" });
  const wasm = getRope(request(500_000), { backend: "wasm" });
  const makers: readonly (readonly [string, (out: Table | undefined) => Table])[] = [
    ["plain loop", (out = empty()) => plainTable(rows, pairs, 500_000, out)],
    ["rope.cosSin, JavaScript", (out) => rope.cosSin(positions, { out }) as Table],
    ["rope.cosSin, WebAssembly", (out) => wasm.cosSin(positions, { out }) as Table],
  ];
  const given = empty();
  // Memory pages do not exist before the first write.
  given.cos.fill(1);
  given.sin.fill(1);
  const ways = makers.flatMap(([name, make]) => [
    { name, make, arrays: "new" as const, out: undefined, times: [] as number[], differentValues: 0 },
    { name, make, arrays: "given" as const, out: given, times: [] as number[], differentValues: 0 },
  ]);
  const reference = plainTable(rows, pairs, 500_000, empty());
  for (let round = 0; round < rounds; round++) {
    for (const way of ways) {
      const made = timed(way.times, () => way.make(way.out));
      way.differentValues = count(made.cos, reference.cos) + count(made.sin, reference.sin);
    }
  }
  return {
    rows,
    pairs,
    ways: ways.map(({ name, arrays, times, differentValues }) => {
      const plain = ways.find((other) => other.name === "plain loop" && other.arrays === arrays)!;
      return {
        name,
        arrays,
        milliseconds: median(times),
        timesFasterThanPlainLoop: median(times.map((time, round) => plain.times[round]! / time)),
        differentValues,
      };
    }),
  };
}

function plainTable(rows: number, pairs: number, base: number, { cos, sin }: Table): Table {
  const { fround } = Math;
  const invFreq = Float32Array.from({ length: pairs }, (_, i) => 1 / fround(base ** fround(i / pairs)));
  for (let position = 0; position < rows; position++) {
    for (let i = 0; i < pairs; i++) {
      const angle = fround(position * invFreq[i]!);
      cos[position * pairs + i] = Math.cos(angle);
      sin[position * pairs + i] = Math.sin(angle);
    }
  }
  return { cos, sin };
}

function instances(rounds: number): Costs["getRope"] {
  const hits: number[] = [];
  const misses: number[] = [];
  const calls = 1000;
  for (let round = 0; round < 5 * rounds; round++) {
    clearRopeCache();
    // Each miss is a new request.
    timed(misses, () => repeat(100, (i) => getRope(request(1000 + i))));
    timed(hits, () => repeat(calls, () => getRope(request(1099))));
  }
  return { hitMicroseconds: (median(hits) * 1000) / calls, missMicroseconds: (median(misses) * 1000) / 100 };
}

function memory(positions: number): Costs["memory"] {
  clearRopeCache();
  const rope = getRope({ ...request(500_000), maxPosition: positions });
  const query = new Float32Array(128);
  const before = arrayBytes();
  rope.apply({ positions: [positions - 1], query });
  const one = arrayBytes() - before;
  for (let position = 0; position < positions; position++) rope.apply({ positions: [position], query });
  const all = arrayBytes() - before;
  // Keeps the rope and its memory alive until here.
  rope.apply({ positions: [0], query });
  return { positions, oneTokenKilobytes: Math.round(one / 1024), allTokensKilobytes: Math.round(all / 1024) };
}

/** Bytes of typed arrays in use, after garbage collection. */
function arrayBytes(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  collect();
  return process.memoryUsage().arrayBuffers;
}

function timed<T>(times: number[], work: () => T): T {
  const start = performance.now();
  const result = work();
  times.push(performance.now() - start);
  return result;
}

function repeat(times: number, work: (index: number) => unknown): void {
  for (let i = 0; i < times; i++) work(i);
}

function count(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let different = 0;
  for (let i = 0; i < b.length; i++) if (!Object.is(a[i], b[i])) different++;
  return different;
}

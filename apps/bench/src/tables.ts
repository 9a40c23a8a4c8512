/** What a rope costs before it rotates anything: tables, instances, memory. */

import { clearRopeCache, getRope } from "@ropewalk/core";
import type { RopeRequest } from "@ropewalk/core";
import "@ropewalk/default";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { median } from "./race.ts";

/** Times in milliseconds unless said otherwise. */
export interface Costs {
  readonly table: {
    readonly rows: number;
    readonly pairs: number;
    /** `Math.cos` and `Math.sin` for each pair, float32 angles, into two arrays. */
    readonly plainLoop: number;
    /** `rope.cosSin` of a rope that has not been asked before. */
    readonly cosSin: number;
    /** `rope.cosSin` of the same positions again. */
    readonly cosSinAgain: number;
    readonly timesFasterThanPlainLoop: number;
    /** The values of the two that differ, out of `2 · rows · pairs`. */
    readonly differentValues: number;
  };
  readonly getRope: { readonly hitMicroseconds: number; readonly missMicroseconds: number };
  readonly memory: {
    /** Kilobytes of typed arrays that a rope keeps after one token at the last position, and after all of them. */
    readonly oneTokenKilobytes: number;
    readonly allTokensKilobytes: number;
  };
}

const request = (base: number): RopeRequest => ({ headDim: 128, base, maxPosition: 131072, parameters: { ropeType: "default" } });

export function measureCosts({ rows, rounds }: { readonly rows: number; readonly rounds: number }): Costs {
  return { table: tables(rows, rounds), getRope: instances(rounds), memory: memory(rows) };
}

function tables(rows: number, rounds: number): Costs["table"] {
  const pairs = 64;
  const positions = { start: 0, count: rows };
  const times: Record<"plainLoop" | "cosSin" | "cosSinAgain", number[]> = { plainLoop: [], cosSin: [], cosSinAgain: [] };
  let differentValues = 0;
  for (let round = 0; round < rounds; round++) {
    const plain = timed(times.plainLoop, () => plainTable(rows, pairs, 500_000));
    clearRopeCache();
    const rope = getRope(request(500_000));
    const own = timed(times.cosSin, () => rope.cosSin(positions));
    timed(times.cosSinAgain, () => rope.cosSin(positions));
    differentValues = count(own.cos, plain.cos) + count(own.sin, plain.sin);
  }
  const { plainLoop, cosSin, cosSinAgain } = times;
  return {
    rows,
    pairs,
    plainLoop: median(plainLoop),
    cosSin: median(cosSin),
    cosSinAgain: median(cosSinAgain),
    timesFasterThanPlainLoop: median(cosSin.map((time, round) => plainLoop[round]! / time)),
    differentValues,
  };
}

function plainTable(rows: number, pairs: number, base: number): { cos: Float32Array; sin: Float32Array } {
  const { fround } = Math;
  const invFreq = Float32Array.from({ length: pairs }, (_, i) => 1 / fround(base ** fround(i / pairs)));
  const cos = new Float32Array(rows * pairs);
  const sin = new Float32Array(rows * pairs);
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
    // Each miss is a request that was not made before.
    timed(misses, () => repeat(100, (i) => getRope(request(1000 + i))));
    timed(hits, () => repeat(calls, () => getRope(request(1099))));
  }
  return { hitMicroseconds: (median(hits) * 1000) / calls, missMicroseconds: (median(misses) * 1000) / 100 };
}

function memory(rows: number): Costs["memory"] {
  clearRopeCache();
  const rope = getRope(request(500_000));
  const before = arrayBytes();
  rope.apply({ positions: [rows - 1], query: new Float32Array(128) });
  const one = arrayBytes() - before;
  rope.at({ start: 0, count: rows });
  const all = arrayBytes() - before;
  // Keeps the rope, and with it its tables, alive until here.
  rope.apply({ positions: [0], query: new Float32Array(128) });
  return { oneTokenKilobytes: Math.round(one / 1024), allTokensKilobytes: Math.round(all / 1024) };
}

/** Bytes of typed arrays in use, after everything unused has been collected. */
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

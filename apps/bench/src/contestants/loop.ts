/**
 * The loops that people write, in two forms found in every other repository: with cos and sin computed for each pair
 * where it is rotated, and with tables made before. In place, float32 only.
 */

import type { Contestant } from "../contestant.ts";
import type { Pairing, Workload } from "../workload.ts";

function rotateWithPow(data: Float32Array, heads: number, { tokens, headDim, start, base, pairing }: Workload): void {
  for (let t = 0; t < tokens; t++) {
    for (let h = 0; h < heads; h++) {
      const offset = (t * heads + h) * headDim;
      for (let i = 0; i < headDim / 2; i++) {
        const angle = (start + t) / Math.pow(base, (2 * i) / headDim);
        const cos = Math.cos(angle);
        const sin = Math.sin(angle);
        const a = offset + (pairing === "half" ? i : 2 * i);
        const b = pairing === "half" ? a + headDim / 2 : a + 1;
        const x = data[a]!;
        const y = data[b]!;
        data[a] = x * cos - y * sin;
        data[b] = x * sin + y * cos;
      }
    }
  }
}

function rotateWithTables(data: Float32Array, heads: number, tokens: number, headDim: number, pairing: Pairing, cos: Float32Array, sin: Float32Array): void {
  for (let t = 0; t < tokens; t++) {
    for (let h = 0; h < heads; h++) {
      const offset = (t * heads + h) * headDim;
      for (let i = 0; i < headDim / 2; i++) {
        const c = cos[(t * headDim) / 2 + i]!;
        const s = sin[(t * headDim) / 2 + i]!;
        const a = offset + (pairing === "half" ? i : 2 * i);
        const b = pairing === "half" ? a + headDim / 2 : a + 1;
        const x = data[a]!;
        const y = data[b]!;
        data[a] = x * c - y * s;
        data[b] = x * s + y * c;
      }
    }
  }
}

const source = "20 lines of TypeScript";

export const loopWithPow: Contestant = {
  name: "loop, cos and sin inside",
  source,
  angles: "float64",
  prepare(workload) {
    const { query, key } = workload.working;
    if (!(query instanceof Float32Array && key instanceof Float32Array)) return undefined;
    return {
      run() {
        rotateWithPow(query, workload.queryHeads, workload);
        rotateWithPow(key, workload.keyHeads, workload);
      },
      result: workload.working,
    };
  },
};

export const loopWithTables: Contestant = {
  name: "loop, tables",
  source,
  angles: "float64",
  prepare({ working, tokens, headDim, queryHeads, keyHeads, start, base, pairing }) {
    const { query, key } = working;
    if (!(query instanceof Float32Array && key instanceof Float32Array)) return undefined;
    const angle = (index: number): number => (start + Math.floor(index / (headDim / 2))) * base ** ((-2 * (index % (headDim / 2))) / headDim);
    const cos = Float32Array.from({ length: (tokens * headDim) / 2 }, (_, index) => Math.cos(angle(index)));
    const sin = Float32Array.from({ length: (tokens * headDim) / 2 }, (_, index) => Math.sin(angle(index)));
    return {
      run() {
        rotateWithTables(query, queryHeads, tokens, headDim, pairing, cos, sin);
        rotateWithTables(key, keyHeads, tokens, headDim, pairing, cos, sin);
      },
      result: working,
    };
  },
};

/**
 * The loops that many repositories contain, in two forms: with cos and sin computed inside the loop, and with tables
 * made before. In place, float32 only.
 */

import type { Contestant } from "../contestant.ts";
import type { Workload } from "../workload.ts";

/**
 * Constants of such a loop, which is written for one model: the sizes, and the distance to the partner of an element.
 */
interface Sizes {
  readonly tokens: number;
  readonly half: number;
  readonly step: number;
  readonly distance: number;
}

const sizesOf = ({ tokens, headDim, pairing }: Workload): Sizes => {
  const half = headDim / 2;
  return pairing === "half" ? { tokens, half, step: 1, distance: half } : { tokens, half, step: 2, distance: 1 };
};

function rotateWithPow(
  data: Float32Array,
  heads: number,
  { tokens, half, step, distance }: Sizes,
  start: number,
  base: number,
): void {
  for (let t = 0; t < tokens; t++) {
    for (let h = 0; h < heads; h++) {
      const offset = (t * heads + h) * half * 2;
      for (let i = 0; i < half; i++) {
        const angle = (start + t) / Math.pow(base, i / half);
        const cos = Math.cos(angle);
        const sin = Math.sin(angle);
        const a = offset + i * step;
        const b = a + distance;
        const x = data[a]!;
        const y = data[b]!;
        data[a] = x * cos - y * sin;
        data[b] = x * sin + y * cos;
      }
    }
  }
}

function rotateWithTables(
  data: Float32Array,
  heads: number,
  { tokens, half, step, distance }: Sizes,
  cos: Float32Array,
  sin: Float32Array,
): void {
  for (let t = 0; t < tokens; t++) {
    for (let h = 0; h < heads; h++) {
      const offset = (t * heads + h) * half * 2;
      for (let i = 0; i < half; i++) {
        const c = cos[t * half + i]!;
        const s = sin[t * half + i]!;
        const a = offset + i * step;
        const b = a + distance;
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
    const { working, queryHeads, keyHeads, start, base } = workload;
    const { query, key } = working;
    if (!(query instanceof Float32Array && key instanceof Float32Array)) return undefined;
    const sizes = sizesOf(workload);
    return {
      run() {
        rotateWithPow(query, queryHeads, sizes, start, base);
        rotateWithPow(key, keyHeads, sizes, start, base);
      },
      result: working,
    };
  },
};

export const loopWithTables: Contestant = {
  name: "loop, tables",
  source,
  angles: "float64",
  prepare(workload) {
    const { working, queryHeads, keyHeads, start, base } = workload;
    const { query, key } = working;
    if (!(query instanceof Float32Array && key instanceof Float32Array)) return undefined;
    const sizes = sizesOf(workload);
    const { tokens, half } = sizes;
    const cos = new Float32Array(tokens * half);
    const sin = new Float32Array(tokens * half);
    for (let t = 0; t < tokens; t++) {
      for (let i = 0; i < half; i++) {
        const angle = (start + t) / Math.pow(base, i / half);
        cos[t * half + i] = Math.cos(angle);
        sin[t * half + i] = Math.sin(angle);
      }
    }
    return {
      run() {
        rotateWithTables(query, queryHeads, sizes, cos, sin);
        rotateWithTables(key, keyHeads, sizes, cos, sin);
      },
      result: working,
    };
  },
};

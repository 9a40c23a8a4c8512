/** Attention scores without weights: query and key are ones. */

import type { RotaryEmbedding } from "@ropewalk/core";

/**
 * The score `⟨R(d) q, R(0) k⟩/headDim` of the first query head and the first key head, for each distance `d`. Without a
 * rope it is 1.
 */
export function scores(
  rope: RotaryEmbedding,
  heads: { query: number; key: number },
  distances: readonly number[],
): number[] {
  const { headDim } = rope.spec;
  // [tokens, heads, headDim]
  const query = new Float32Array(distances.length * heads.query * headDim).fill(1);
  const key = new Float32Array(heads.key * headDim).fill(1);
  rope.apply({ positions: distances, query });
  rope.apply({ positions: [0], key });
  return distances.map((_, token) => {
    const start = token * heads.query * headDim;
    let sum = 0;
    for (let i = 0; i < headDim; i++) sum += query[start + i]! * key[i]!;
    return sum / headDim;
  });
}

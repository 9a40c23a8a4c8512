/** The positions of packed text. */

import { checkedCount, checkedList, newPositions } from "./checks.ts";
import type { Count } from "./checks.ts";

/**
 * Computes the positions of packed sequences: each sequence starts again at 0.
 *
 * @param seqlens the number of tokens of each sequence.
 * @returns `[sum of seqlens]` int32, in tokens; new memory, owned by the caller.
 * @throws RopeError `ROPE_SHAPE` if `seqlens` is not a list of integers ≥ 0.
 * Source: `position_ids` of flattened batches in Hugging Face transformers 5, `DataCollatorWithFlattening`.
 * @example packedPositions([3, 2]) // Int32Array [0, 1, 2, 0, 1]
 */
export function packedPositions(seqlens: ArrayLike<Count>): Int32Array {
  const lengths = checkedList(seqlens, "seqlens", "tokens of each sequence").map((length, i) =>
    checkedCount(length, `seqlens[${i}]`, 0),
  );
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const data = newPositions(total, "seqlens");
  let at = 0;
  for (const length of lengths) for (let t = 0; t < length; t++) data[at++] = t;
  return data;
}

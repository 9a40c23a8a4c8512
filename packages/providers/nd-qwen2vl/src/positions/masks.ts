/** Attention masks, and the positions of padded text. */

import { checkKeys, shapeError, show } from "@ropewalk/core/backend";
import { checkedCount, checkedRows, LARGEST, newPositions } from "./checks.ts";
import type { AxisPositions, Count } from "./checks.ts";

/**
 * Computes the positions of padded rows from their attention mask: the running count of real tokens, minus one. Padding
 * may stand anywhere.
 *
 * @param attentionMask `[batch][tokens]`, 1 for real tokens, 0 for padding.
 * @param options `fill`: the position of padding, which attention never sees (0: Hugging Face 5; 1: Hugging Face 4,
 * transformers.js). `past`: the number of tokens already in the cache; it is added to all positions of real tokens.
 * @returns `[batch, tokens]` int32, in tokens; new memory, owned by the caller.
 * @throws RopeError `ROPE_SHAPE` if the mask is not a list of rows of 0 and 1 with equal lengths, or if an option is
 * not an integer; `ROPE_INVALID_PARAMETERS` for an unknown option.
 * Source: `position_ids` from `attention_mask` in Hugging Face transformers 5 and 4, and in transformers.js.
 * @example maskedPositions([[0, 1, 1, 1]]).data // Int32Array [0, 0, 1, 2]
 */
export function maskedPositions(
  attentionMask: readonly ArrayLike<Count>[],
  options: { readonly fill?: number; readonly past?: Count } = {},
): AxisPositions {
  checkKeys("the options of maskedPositions", options, ["fill", "past"]);
  const { fill = 0, past = 0 } = options;
  if (!Number.isSafeInteger(fill) || Math.abs(fill) > LARGEST) throw shapeError("fill", "an integer", show(fill));
  const offset = checkedCount(past, "past", 0);
  const masks = checkedRows(attentionMask, "attentionMask");
  const tokens = masks[0]?.length ?? 0;
  if (offset + tokens > LARGEST) throw shapeError("past", `positions up to ${LARGEST}`, `${offset + tokens}`);
  const data = newPositions(masks.length * tokens, "attentionMask");
  masks.forEach((mask, row) => {
    const name = `attentionMask[${row}]`;
    if (mask.length !== tokens) throw shapeError(name, `${tokens} tokens, as in row 0`, `${mask.length}`);
    let count = 0;
    mask.forEach((value, t) => {
      data[row * tokens + t] = counts(value, name) ? offset + count++ : fill;
    });
  });
  return { data, shape: [masks.length, tokens] };
}

/** Whether a token is real, by the value of its mask. */
export function counts(value: unknown, name: string): boolean {
  const number = typeof value === "symbol" ? Number.NaN : Number(value);
  if (typeof value === "object" || typeof value === "string" || (number !== 0 && number !== 1)) {
    throw shapeError(name, "1 for tokens that count, 0 for padding", show(value));
  }
  return number === 1;
}

/** The positions of padded and packed text, from attention masks. */

import { checkKeys, shapeError, show } from "@ropewalk/core/backend";
import { checkedRows, LARGEST, newPositions } from "./checks.ts";
import type { AxisPositions, Count } from "./checks.ts";
import { pastTokens, sequencesOf } from "./rows.ts";

/** The options of {@link maskedPositions}. */
export interface MaskedOptions {
  /**
   * The position of padding, which attention never sees. 0 (the default): Hugging Face 5; 1: Hugging Face 4,
   * transformers.js.
   */
  readonly fill?: number;
  /**
   * Tokens already in the cache: one number for all sequences, or one for each. It is added to the positions of real
   * tokens. Default 0.
   */
  readonly past?: Count | readonly Count[];
  /**
   * Whether the mask holds segment ids (`segment_ids`; LLaMA-Factory's `neat_packing`): 0 for padding, and one number
   * from 1 for all tokens of a sequence. Each sequence starts again. Default `false`.
   */
  readonly packed?: boolean;
}

/**
 * Computes the positions of padded rows from their attention mask: the running count of real tokens, minus one. Padding
 * may stand anywhere.
 *
 * @param attentionMask `[batch][tokens]`, 1 (or `true`) for real tokens, 0 for padding; segment ids with `packed`.
 * @returns `[batch, tokens]` int32, in tokens; new memory, owned by the caller.
 * @throws RopeError `ROPE_SHAPE` if the mask is not a list of rows of 0 and 1 with equal lengths, if segment ids do not
 * stand side by side, or if an option is not an integer; `ROPE_INVALID_PARAMETERS` for an unknown option.
 * Source: `position_ids` from `attention_mask` in Hugging Face transformers 5 and 4, and in transformers.js.
 * @example
 * maskedPositions([[0, 1, 1, 1]]).data; // Int32Array [0, 0, 1, 2]
 * maskedPositions([[1, 1, 2, 2, 2, 0]], { packed: true }).data; // Int32Array [0, 1, 0, 1, 2, 0]
 */
export function maskedPositions(
  attentionMask: readonly ArrayLike<Count | boolean>[],
  options: MaskedOptions = {},
): AxisPositions {
  const {
    fill = 0,
    packed = false,
    past = 0,
  } = checkKeys("the options of maskedPositions", options, ["fill", "past", "packed"]);
  if (!Number.isSafeInteger(fill) || Math.abs(fill) > LARGEST) throw shapeError("fill", "an integer", show(fill));
  const masks = checkedRows(attentionMask, "attentionMask");
  const tokens = masks[0]?.length ?? 0;
  const sequences = sequencesOf(masks.length, tokens, { attentionMask: masks, packed });
  const offsets = pastTokens(past, sequences.length, "past");
  const data = newPositions(masks.length * tokens, "attentionMask").fill(fill);
  sequences.forEach(({ row, columns }, i) => {
    const last = offsets[i]! + columns.length;
    if (last > LARGEST) throw shapeError("past", `positions up to ${LARGEST}`, `${last}`);
    columns.forEach((column, token) => {
      data[row * tokens + column] = offsets[i]! + token;
    });
  });
  return { data, shape: [masks.length, tokens] };
}

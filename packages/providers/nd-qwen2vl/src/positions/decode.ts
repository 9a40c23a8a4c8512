/** Positions of what comes after a prompt, and of its parts. */

import { checkKeys, shapeError, show, trueView, viewName } from "@ropewalk/core/backend";
import { checkedAxes, checkedCount, checkedList } from "./checks.ts";
import type { AxisPositions } from "./checks.ts";
import { placeRows } from "./rows.ts";
import type { PromptPast } from "./rows.ts";

/** What {@link decodePositions} needs to know. */
export interface DecodeOptions {
  /** What stands in the cache: its real tokens, and the deltas of the prompt. */
  readonly past: PromptPast;
  /** The number of new tokens of each row. Default 1. */
  readonly count?: number;
  /** The number of position axes. Default 3. */
  readonly axes?: number;
}

/**
 * Computes the positions of decoded tokens: `past.tokens + past.deltas[row] + i` on every axis, for the new tokens `i`.
 *
 * @returns `[axes, batch, count]` int32; new memory, owned by the caller.
 * @throws RopeError `ROPE_SHAPE` for numbers of another form; `ROPE_INVALID_PARAMETERS` for an unknown option.
 * Source: Hugging Face transformers 5, `compute_3d_position_ids` of Qwen2-VL with a cache.
 * @example decodePositions({ past: { tokens: 6, deltas: [-2] } }).data // Int32Array [4, 4, 4]
 */
export function decodePositions(options: DecodeOptions): AxisPositions {
  const { axes = 3, count = 1, past } = checkKeys("the options of decodePositions", options, ["past", "count", "axes"]);
  checkKeys("the option past", past, ["tokens", "deltas"]);
  checkedAxes(axes);
  checkedCount(count, "count", 0);
  const batch = checkedList(past.deltas, "past.deltas", "the delta of each row").length;
  const segmentsOf = (): [{ readonly text: number }] => [{ text: count }];
  return placeRows(batch, count, { past }, { axes, dtype: "int32", segmentsOf }).positions;
}

/**
 * Copies the positions of some consecutive tokens: a chunk of a prompt, as in chunked prefill. What a token's position
 * is never depends on the tokens after it, so the chunks of a prompt are the parts of its positions.
 *
 * @param positions of all tokens: the last size of the shape counts them.
 * @param begin the first token, counted with padding.
 * @param end the token after the last.
 * @returns the same shape with `end − begin` tokens; new memory, owned by the caller.
 * @throws RopeError `ROPE_SHAPE` if positions have another form, or if the tokens are not among them.
 * @example slicePositions(gridPositions([2, 2]), 1, 3).data // Int32Array [0, 1,  1, 0]
 */
export function slicePositions<A extends Int32Array | Float32Array | Float64Array>(
  positions: AxisPositions<A>,
  begin: number,
  end: number,
): AxisPositions<A> {
  const { data: given, shape: sizes } = checkKeys("the positions", positions, ["data", "shape"]);
  const shape = checkedList(sizes, "positions.shape", "a list of sizes").map((size, i) =>
    checkedCount(size, `positions.shape[${i}]`, 0),
  );
  const size = shape.reduce((product, n) => product * n, 1);
  const View = { Int32Array, Float32Array, Float64Array }[viewName(given) as "Int32Array"];
  if (View === undefined) {
    throw shapeError("positions.data", "an Int32Array, Float32Array or Float64Array", show(given));
  }
  const data = trueView(given, View as unknown as new () => Int32Array);
  if (shape.length === 0 || size !== data.length) {
    throw shapeError("positions.data", `the positions of the shape [${shape.join(", ")}]`, `${data.length}`);
  }
  const tokens = shape.at(-1)!;
  checkedCount(begin, "begin", 0);
  checkedCount(end, "end", begin);
  if (end > tokens) throw shapeError("end", `at most the ${tokens} tokens`, `${end}`);
  const rows = size / (tokens || 1);
  const count = end - begin;
  const chunk = data.slice(0, rows * count) as unknown as A;
  for (let row = 0; row < rows; row++) {
    chunk.set(data.subarray(row * tokens + begin, row * tokens + end), row * count);
  }
  return { data: chunk, shape: [...shape.slice(0, -1), count] };
}

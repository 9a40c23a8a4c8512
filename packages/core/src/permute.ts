/**
 * Weights for another pairing: reorders the rows of a query or key projection, so that a rope with the other pairing
 * gives the same attention.
 *
 * One model pairs elements `i` and `i + R/2` of a head, another `2i` and `2i + 1`. With their rows in the matching
 * order, both compute the same products of queries and keys. Rows are only moved, so nothing is rounded. Permute the
 * rows of queries and keys alike, and leave the rows of values.
 */

import { lengthOf, trueView, viewName } from "./element-types.ts";
import { shapeError, show } from "./errors.ts";
import { requireHead } from "./head.ts";
import { checkKeys } from "./keys.ts";
import { isSize, pairElements } from "./pairing.ts";
import type { Pairing } from "./pairing.ts";

/** The two pairings, and the rotated elements of a head. */
export interface PermuteOptions {
  /** Elements of one head. The number of heads follows from the number of rows. */
  readonly headDim: number;
  /** The pairing that the rows have. */
  readonly from: Pairing;
  /** The pairing that the result has. */
  readonly to: Pairing;
  /** Number of rotated elements, even. Default: the whole head. The other rows stay in place. */
  readonly rotaryDim?: number | undefined;
  /** Index of the first rotated element. Default 0. */
  readonly rotaryOffset?: number | undefined;
}

/**
 * The permutation of the rows of one head: row `i` of the result is row `order[i]` of the input.
 *
 * @returns a new array of `headDim` indices.
 * @throws RopeError `ROPE_SHAPE` for sizes or pairings that do not fit each other; `ROPE_INVALID_PARAMETERS` for an
 * unknown option.
 *
 * @example
 * rowOrder({ headDim: 4, from: "half", to: "adjacent" }); // 0, 2, 1, 3
 */
export function rowOrder(options: PermuteOptions): Uint32Array {
  return orderOf(checkKeys("the options of rowOrder", options, orderKeys));
}

const orderKeys = ["headDim", "from", "to", "rotaryDim", "rotaryOffset"];

function orderOf({ from, headDim, rotaryDim = headDim, rotaryOffset = 0, to }: PermuteOptions): Uint32Array {
  requireHead("rows cannot be permuted", { headDim, rotaryDim, rotaryOffset }, { from, to });
  const order = Uint32Array.from({ length: headDim }, (_, row) => row);
  const [source, target] = [pairElements(from, rotaryDim), pairElements(to, rotaryDim)];
  source.first.forEach((first, pair) => {
    order[rotaryOffset + target.first[pair]!] = rotaryOffset + first;
    order[rotaryOffset + target.first[pair]! + target.distance] = rotaryOffset + first + source.distance;
  });
  return order;
}

/** An array of rows: any typed array. Elements that JavaScript has no array for can be passed as bytes. */
export interface Rows {
  readonly length: number;
  subarray(start: number, end: number): this;
  slice(): this;
  set(source: this, offset: number): void;
}

/**
 * The rows of a query or key projection in the order of another pairing.
 *
 * @param rows `[heads · headDim, columns]`, row-major: a weight as `nn.Linear` stores it (columns are inputs), a bias
 * or the weight of a norm over one head (1 column), LoRA's B. Only read.
 * @param options `columns` is the number of array elements in one row; default 1.
 * @returns a new array of the same type and size.
 * @throws RopeError `ROPE_SHAPE` when the size is no whole number of heads, or sizes and pairings do not fit each
 * other; `ROPE_INVALID_PARAMETERS` for an unknown option.
 *
 * Source: the permutation in Hugging Face `convert_llama_weights_to_hf.py` (adjacent → half), and its inverse in
 * llama.cpp's conversion (half → adjacent).
 *
 * @example
 * permuteRows(Float32Array.of(0, 1, 2, 3), { headDim: 4, from: "half", to: "adjacent" }); // 0, 2, 1, 3
 */
export function permuteRows<T extends Rows>(
  rows: T,
  options: PermuteOptions & { readonly columns?: number | undefined },
): T {
  const given = checkKeys("the options of permuteRows", options, [...orderKeys, "columns"]);
  const { columns = 1 } = given;
  const order = orderOf(given);
  const size = isSize(columns) ? order.length * columns : NaN;
  const length = ArrayBuffer.isView(rows) ? lengthOf(rows) : undefined;
  if (length === undefined || length % size !== 0) {
    const expected = `a typed array [heads · ${order.length}, ${show(columns)}] of a whole number of heads`;
    throw shapeError("rows", expected, length === undefined ? show(rows) : `${length} elements`);
  }
  const source = trueView(rows, (globalThis as any)[viewName(rows)!] as new () => Rows);
  const result = source.slice();
  for (let head = 0; head < length; head += size) {
    order.forEach((from, row) => {
      if (from === row) return;
      result.set(source.subarray(head + from * columns, head + (from + 1) * columns), head + row * columns);
    });
  }
  return result as T;
}

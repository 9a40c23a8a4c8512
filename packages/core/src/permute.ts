/**
 * Weights between pairings: the rows of a projection, reordered so that a rotation with another pairing gives the same
 * attention.
 *
 * A head that pairs elements `i` and `i + R/2` and one that pairs `2i` and `2i + 1` compute the same products of queries
 * and keys when the rows that make the elements stand in the other order. Nothing is computed, so nothing is rounded.
 * Queries and keys must be permuted alike; values must not be.
 */

import { shapeError, show } from "./errors.ts";
import { requireHead } from "./head.ts";
import { checkKeys } from "./keys.ts";
import { isSize, pairElements } from "./pairing.ts";
import type { Pairing } from "./pairing.ts";

/** Between which pairings, and which elements of a head are rotated. */
export interface PermuteOptions {
  /** Elements of one head: the number of heads follows from the size, so queries and keys may differ in it. */
  readonly headDim: number;
  /** The pairing of the rows as they are. */
  readonly from: Pairing;
  /** The pairing that they get. */
  readonly to: Pairing;
  /** Default: the whole head. The other rows stay where they are. */
  readonly rotaryDim?: number | undefined;
  /** Default 0. */
  readonly rotaryOffset?: number | undefined;
}

/**
 * Where the rows of one head come from: row `i` of the result is row `order[i]` of the input.
 *
 * @throws RopeError `ROPE_SHAPE` for sizes or pairings that do not fit each other.
 */
export function rowOrder(options: PermuteOptions): Uint32Array {
  checkKeys("the options of rowOrder", options, orderKeys);
  return orderOf(options);
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

/** What can be permuted: any typed array, also the bytes of elements that JavaScript has no array for. */
export interface Rows {
  readonly length: number;
  subarray(start: number, end: number): this;
  slice(): this;
  set(source: this, offset: number): void;
}

/**
 * The rows of a query or key projection in the order of another pairing.
 *
 * @param rows `[heads · headDim, columns]`, row-major: a weight as `nn.Linear` stores it (columns are inputs), a bias or the
 * weight of a norm over one head (1 column), LoRA's B. Not changed.
 * @param options `columns` is the number of array elements in one row; default 1.
 * @returns a new array of the same size.
 * @throws RopeError `ROPE_SHAPE` when the size is no whole number of heads, or as {@link rowOrder}.
 *
 * Source: the permutation in Hugging Face `convert_llama_weights_to_hf.py` (adjacent → half) and llama.cpp's
 * conversion (half → adjacent), which are each other's inverse.
 *
 * @example
 * permuteRows(Float32Array.of(0, 1, 2, 3), { headDim: 4, from: "half", to: "adjacent" }); // 0, 2, 1, 3
 */
export function permuteRows<T extends Rows>(
  rows: T,
  options: PermuteOptions & { readonly columns?: number | undefined },
): T {
  checkKeys("the options of permuteRows", options, [...orderKeys, "columns"]);
  const { columns = 1, headDim } = options;
  const order = orderOf(options);
  const size = isSize(columns) ? headDim * columns : NaN;
  if (!ArrayBuffer.isView(rows) || rows.length % size !== 0) {
    const expected = `a typed array [heads · ${headDim}, ${show(columns)}] of a whole number of heads`;
    throw shapeError("rows", expected, ArrayBuffer.isView(rows) ? `${rows.length} elements` : show(rows));
  }
  const result = rows.slice();
  for (let head = 0; head < rows.length; head += size) {
    order.forEach((source, row) => {
      if (source === row) return;
      result.set(rows.subarray(head + source * columns, head + (source + 1) * columns), head + row * columns);
    });
  }
  return result;
}

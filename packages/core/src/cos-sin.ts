/**
 * The forms in which `cosSin` hands out cos and sin: a column for each pair or each rotated element, in any element type,
 * in new arrays or the caller's.
 */

import { allocate, storeElements } from "./element-types.ts";
import type { ElementArray, ElementType } from "./element-types.ts";
import { RopeError } from "./errors.ts";
import { pairElements } from "./pairing.ts";
import type { Pairing } from "./pairing.ts";
import type { CosSinOptions } from "./rotary-embedding.ts";
import { checkAliasing, resolveTensor } from "./tensor.ts";

/** The pair that each column belongs to: `rotaryDim/2` of them, or `rotaryDim`. */
export function columnsOf(width: "half" | "full", pairing: Pairing, rotaryDim: number): Uint32Array {
  if (width === "half") return Uint32Array.from({ length: rotaryDim / 2 }, (_, i) => i);
  const { first, distance } = pairElements(pairing, rotaryDim);
  const columns = new Uint32Array(rotaryDim);
  first.forEach((element, pair) => {
    columns[element] = pair;
    columns[element + distance] = pair;
  });
  return columns;
}

/** Values `[rows, pairs]` as `[rows, columns]` of a type, row-major, in `target` or a new array; 16-bit types round from float32. */
export function inForm(
  values: Float32Array | Float64Array,
  columns: Uint32Array,
  pairs: number,
  dtype: ElementType,
  target?: ElementArray,
): ElementArray {
  const rows = values.length / pairs;
  const row = new Float64Array(columns.length);
  const result = target ?? allocate(dtype, rows * columns.length);
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < columns.length; i++) row[i] = values[r * pairs + columns[i]!]!;
    storeElements(dtype, result, r * columns.length, 1, row, 0, columns.length);
  }
  return result;
}

/**
 * The memory of the caller's arrays, which stay the caller's.
 *
 * @throws RopeError `ROPE_SHAPE` for arrays of another type or length, and for two that overlap. Nothing is written then.
 */
export function cosSinTargets(
  out: NonNullable<CosSinOptions["out"]>,
  dtype: ElementType,
  length: number,
): { readonly cos: ElementArray; readonly sin: ElementArray } {
  const [cos, sin] = (["cos", "sin"] as const).map((part) => {
    const name = `out.${part}`;
    const layout = resolveTensor(
      name,
      { data: out?.[part], dtype, shape: [1, 1, length] },
      { batch: undefined, tokens: 1, headDim: length },
    );
    if (layout.data.length !== length) {
      throw new RopeError("ROPE_SHAPE", {
        what: `"${name}" does not fit`,
        expected: `${length} elements`,
        received: `${layout.data.length}`,
      });
    }
    return { name, input: layout, output: layout };
  });
  checkAliasing([cos!, sin!]);
  return { cos: cos!.output.data, sin: sin!.output.data };
}

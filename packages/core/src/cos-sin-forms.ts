/**
 * The forms of the result of `cosSin`: one column for each pair or for each rotated element, any element type, in new
 * arrays or in the caller's.
 */

import { allocate, storeElements } from "./element-types.ts";
import type { ElementArray, ElementType } from "./element-types.ts";
import type { CosSinWriter } from "./cos-sin.ts";
import { invalid, shapeError, show } from "./errors.ts";
import type { FrequenciesAtLength } from "./frequencies.ts";
import type { CosSin, CosSinOptions } from "./interface.ts";
import { checkKeys } from "./keys.ts";
import { pairElements } from "./pairing.ts";
import type { Pairing } from "./pairing.ts";
import type { ResolvedPositions } from "./positions.ts";
import type { RopeSpec } from "./request.ts";
import { checkAliasing } from "./aliasing.ts";
import { resolveTensor } from "./tensor.ts";
import { gatherCosSin } from "./turns.ts";
import type { CosSinArrays } from "./turns.ts";

export const cosSinKeys: readonly string[] = ["width", "dtype", "length", "out"];
const elementTypes = ["float64", "float32", "float16", "bfloat16"];

/**
 * cos and sin of positions in the form that the options name.
 *
 * @throws RopeError `ROPE_INVALID_PARAMETERS` for an unknown width or element type, `ROPE_SHAPE` for arrays that do not
 * fit.
 */
export function cosSinInForm(
  positions: ResolvedPositions,
  numbers: FrequenciesAtLength,
  { pairing, rotaryDim }: RopeSpec,
  { width = "half", dtype = "float32", out }: CosSinOptions,
  write: CosSinWriter,
): CosSin {
  const issues = [];
  if (width !== "half" && width !== "full") {
    issues.push({ path: "width", expected: '"half" or "full"', received: show(width) });
  }
  if (!elementTypes.includes(dtype)) {
    issues.push({ path: "dtype", expected: `one of ${elementTypes.join(", ")}`, received: show(dtype) });
  }
  if (issues.length > 0) throw invalid("the call of cosSin", issues);
  const { batch, tokens } = positions;
  const columns = columnsOf(width, pairing, rotaryDim);
  const shape = [...(batch === undefined ? [] : [batch]), tokens, columns.length];
  const size = (batch ?? 1) * tokens * columns.length;
  const targets = out === undefined ? undefined : cosSinTargets(out, dtype, size);
  const isDirect = width === "half" && (dtype === "float32" || dtype === "float64");
  const factor = numbers.attentionFactor;
  const form = { dtype: dtype === "float64" ? dtype : "float32", cosFactor: factor, sinFactor: factor } as const;
  const made = gatherCosSin(
    numbers,
    positions,
    form,
    write,
    isDirect ? (targets as CosSinArrays | undefined) : undefined,
  );
  if (isDirect) return { shape, ...made };
  const pairs = rotaryDim / 2;
  return {
    shape,
    cos: inForm(made.cos, columns, pairs, dtype, targets?.cos),
    sin: inForm(made.sin, columns, pairs, dtype, targets?.sin),
  };
}

/** The pair of each column: `rotaryDim/2` columns for `"half"`, `rotaryDim` for `"full"`. */
function columnsOf(width: "half" | "full", pairing: Pairing, rotaryDim: number): Uint32Array {
  if (width === "half") return Uint32Array.from({ length: rotaryDim / 2 }, (_, i) => i);
  const { first, distance } = pairElements(pairing, rotaryDim);
  const columns = new Uint32Array(rotaryDim);
  first.forEach((element, pair) => {
    columns[element] = pair;
    columns[element + distance] = pair;
  });
  return columns;
}

/**
 * Values `[rows, pairs]` as `[rows, columns]` of an element type, row-major, in `target` or a new array. 16-bit types
 * are rounded from float32.
 */
function inForm(
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
 * The caller's arrays, checked.
 *
 * @throws RopeError `ROPE_SHAPE` for arrays of another type or length, and for arrays that overlap. Nothing is written
 * then.
 */
function cosSinTargets(
  out: NonNullable<CosSinOptions["out"]>,
  dtype: ElementType,
  length: number,
): { readonly cos: ElementArray; readonly sin: ElementArray } {
  checkKeys("the arrays of out", out, ["cos", "sin"]);
  const [cos, sin] = (["cos", "sin"] as const).map((part) => {
    const name = `out.${part}`;
    const layout = resolveTensor(
      name,
      { data: out?.[part], dtype, shape: [1, 1, length] },
      { batch: undefined, tokens: 1, headDim: length },
    );
    if (layout.data.length !== length) throw shapeError(name, `${length} elements`, `${layout.data.length}`);
    return { name, input: layout, output: layout };
  });
  checkAliasing([cos!, sin!]);
  return { cos: cos!.output.data, sin: sin!.output.data };
}

/**
 * The forms of the result of `cosSin`: two tables or one, a column for each pair or for each rotated element, any
 * element type, in new arrays or in the caller's.
 */

import { allocate, storeElements } from "./element-types.ts";
import type { ElementArray, ElementType } from "./element-types.ts";
import type { CosSinWriter } from "./cos-sin.ts";
import { invalid, issue, shapeError, show } from "./errors.ts";
import type { RopeIssue } from "./errors.ts";
import type { FrequenciesAtLength } from "./frequencies.ts";
import type { CosSin, CosSinOptions, CosSinTable, CosSinTableOptions } from "./interface.ts";
import { checkKeys } from "./keys.ts";
import { pairElements } from "./pairing.ts";
import type { Pairing } from "./pairing.ts";
import type { ResolvedPositions } from "./positions.ts";
import type { RopeSpec } from "./request.ts";
import { checkAliasing } from "./aliasing.ts";
import { resolveTensor } from "./tensor.ts";
import { gatherCosSin } from "./turns.ts";
import type { CosSinArrays } from "./turns.ts";

export const cosSinKeys: readonly string[] = ["form", "width", "dtype", "length", "out"];
const elementTypes = ["float64", "float32", "float16", "bfloat16"];

/**
 * cos and sin of positions in the form that the options name.
 *
 * @throws RopeError `ROPE_INVALID_PARAMETERS` for an unknown form, width or element type, and for those that contradict
 * each other; `ROPE_SHAPE` for arrays that do not fit.
 */
export function cosSinInForm(
  positions: ResolvedPositions,
  numbers: FrequenciesAtLength,
  { pairing, rotaryDim }: RopeSpec,
  options: CosSinOptions | CosSinTableOptions,
  write: CosSinWriter,
): CosSin | CosSinTable {
  const { form = "separate", width = "half", dtype = "float32", out } = options;
  const isOne = form !== "separate";
  const issues: RopeIssue[] = [];
  const oneOf = (path: string, accepted: readonly string[], given: string): void => {
    if (!accepted.includes(given)) issues.push(issue(path, `one of ${accepted.join(", ")}${beside}`, given));
  };
  let beside = "";
  oneOf("form", ["separate", "concatenated", "interleaved", "complex"], form);
  if (isOne) beside = ` beside the form ${show(form)}`;
  oneOf("width", isOne ? ["half"] : ["half", "full"], width);
  // complex64 and complex128.
  oneOf("dtype", form === "complex" ? elementTypes.slice(0, 2) : elementTypes, dtype);
  if (issues.length > 0) throw invalid("the call of cosSin", issues);

  const { batch, tokens } = positions;
  const pairs = rotaryDim / 2;
  const columns = columnsOf(width, pairing, rotaryDim);
  const leading = [...(batch === undefined ? [] : [batch]), tokens];
  const size = (batch ?? 1) * tokens * columns.length;
  const given = givenArrays(out, isOne);
  const [cosTarget, sinTarget] = targetsOf(given, dtype, isOne ? 2 * size : size);
  const factor = numbers.attentionFactor;
  const rounding = { dtype: dtype === "float64" ? dtype : "float32", cosFactor: factor, sinFactor: factor } as const;
  const isAsMade = !isOne && width === "half" && dtype === rounding.dtype;
  const into = isAsMade && cosTarget !== undefined ? ({ cos: cosTarget, sin: sinTarget } as CosSinArrays) : undefined;
  const made = gatherCosSin(numbers, positions, rounding, write, into);
  if (isAsMade) return { shape: [...leading, pairs], cos: given[0] ?? made.cos, sin: given[1] ?? made.sin };
  const cos = cosTarget ?? allocate(dtype, isOne ? 2 * size : size);
  const sin = isOne ? cos : (sinTarget ?? allocate(dtype, size));
  const stride = isOne && form !== "concatenated" ? 2 : 1;
  const rowLength = isOne ? rotaryDim : columns.length;
  store(made.cos, columns, pairs, dtype, cos, 0, stride, rowLength);
  store(made.sin, columns, pairs, dtype, sin, !isOne ? 0 : stride === 2 ? 1 : pairs, stride, rowLength);
  const shape = [...leading, ...(stride === 2 ? [pairs, 2] : [rowLength])];
  return isOne ? { shape, data: given[0] ?? cos } : { shape, cos: given[0] ?? cos, sin: given[1] ?? sin };
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
 * Values `[rows, pairs]` as `[rows, columns]` of an element type, from index `first` on, with a stride between columns
 * and a length from row to row. 16-bit types are rounded from float32.
 */
function store(
  values: Float32Array | Float64Array,
  columns: Uint32Array,
  pairs: number,
  dtype: ElementType,
  target: ElementArray,
  first: number,
  stride: number,
  rowLength: number,
): void {
  const row = new Float64Array(columns.length);
  for (let from = 0, to = first; from < values.length; from += pairs, to += rowLength) {
    for (let i = 0; i < columns.length; i++) row[i] = values[from + columns[i]!]!;
    storeElements(dtype, target, to, stride, row, 0, columns.length);
  }
}

/** The caller's array or two arrays; none if the caller gave none. */
function givenArrays(out: CosSinOptions["out"] | CosSinTableOptions["out"], isOne: boolean): ElementArray[] {
  if (out === undefined) return [];
  if (isOne) return [out as ElementArray];
  const { cos, sin } = checkKeys("the arrays of out", out as NonNullable<CosSinOptions["out"]>, ["cos", "sin"]);
  return [cos, sin];
}

/**
 * The memory of the caller's arrays.
 *
 * @throws RopeError `ROPE_SHAPE` for arrays of another type or length, and for arrays that overlap. Nothing is written
 * then.
 */
function targetsOf(given: readonly ElementArray[], dtype: ElementType, length: number): ElementArray[] {
  const checked = given.map((data, i) => {
    const name = given.length === 1 ? "out" : i === 0 ? "out.cos" : "out.sin";
    const view = { data, dtype, shape: [1, 1, length] };
    const layout = resolveTensor(name, view, { batch: undefined, tokens: 1, headDim: length });
    if (layout.data.length !== length) throw shapeError(name, `${length} elements`, `${layout.data.length}`);
    return { name, input: layout, output: layout };
  });
  checkAliasing(checked);
  return checked.map(({ output }) => output.data);
}

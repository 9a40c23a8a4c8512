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
import type { TensorLayout } from "./tensor.ts";
import { gatherCosSin } from "./turns.ts";
import type { CosSinArrays } from "./turns.ts";

export const cosSinKeys: readonly string[] = ["form", "width", "dtype", "length", "out"];
const elementTypes = ["float32", "float64", "float16", "bfloat16"];

/** Where cos or sin goes: the first element, and the elements from one column to the next. Rows follow each other. */
interface Place {
  readonly data: ElementArray;
  readonly first: number;
  readonly stride: number;
}

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
  const require = (path: string, accepted: readonly string[], given: string): void => {
    const beside = isOne && path !== "form" ? ` beside the form ${show(form)}` : "";
    if (!accepted.includes(given)) issues.push(issue(path, `one of ${accepted.join(", ")}${beside}`, given));
  };
  require("form", ["separate", "concatenated", "interleaved", "complex"], form);
  require("width", isOne ? ["half"] : ["half", "full"], width);
  // No engine has complex numbers of 16-bit parts.
  require("dtype", form === "complex" ? elementTypes.slice(0, 2) : elementTypes, dtype);
  if (issues.length > 0) throw invalid("the call of cosSin", issues);

  const { batch, tokens } = positions;
  const pairs = rotaryDim / 2;
  const columns = columnsOf(width, pairing, rotaryDim);
  const leading = [...(batch === undefined ? [] : [batch]), tokens];
  const size = (batch ?? 1) * tokens * columns.length;
  const factor = numbers.attentionFactor;
  const rounding = { dtype: dtype === "float64" ? dtype : "float32", cosFactor: factor, sinFactor: factor } as const;
  const gather = (target?: CosSinArrays): CosSinArrays => gatherCosSin(numbers, positions, rounding, write, target);
  if (isOne) {
    const data = out === undefined ? allocate(dtype, 2 * size) : ownArray("out", out, dtype, 2 * size).data;
    const [sinAt, stride] = form === "concatenated" ? [pairs, 1] : [1, 2];
    const { cos, sin } = gather();
    store(cos, columns, pairs, dtype, { data, first: 0, stride }, rotaryDim);
    store(sin, columns, pairs, dtype, { data, first: sinAt, stride }, rotaryDim);
    return { shape: [...leading, ...(stride === 1 ? [rotaryDim] : [pairs, 2])], data };
  }
  const shape = [...leading, columns.length];
  const targets = out === undefined ? undefined : cosSinTargets(out as NonNullable<CosSinOptions["out"]>, dtype, size);
  if (width === "half" && dtype === rounding.dtype) return { shape, ...gather(targets as CosSinArrays | undefined) };
  const made = gather();
  const [cos, sin] = (["cos", "sin"] as const).map((part) => {
    const data = targets?.[part] ?? allocate(dtype, size);
    store(made[part], columns, pairs, dtype, { data, first: 0, stride: 1 }, columns.length);
    return data;
  });
  return { shape, cos: cos!, sin: sin! };
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

/** Values `[rows, pairs]` as `[rows, columns]` of an element type. 16-bit types are rounded from float32. */
function store(
  values: Float32Array | Float64Array,
  columns: Uint32Array,
  pairs: number,
  dtype: ElementType,
  { data, first, stride }: Place,
  rowLength: number,
): void {
  const row = new Float64Array(columns.length);
  for (let from = 0, to = first; from < values.length; from += pairs, to += rowLength) {
    for (let i = 0; i < columns.length; i++) row[i] = values[from + columns[i]!]!;
    storeElements(dtype, data, to, stride, row, 0, columns.length);
  }
}

/** An array of the caller's, checked. @throws RopeError `ROPE_SHAPE` for an array of another type or length. */
function ownArray(name: string, data: unknown, dtype: ElementType, length: number): TensorLayout {
  const view = { data: data as ElementArray, dtype, shape: [1, 1, length] };
  const layout = resolveTensor(name, view, { batch: undefined, tokens: 1, headDim: length });
  if (layout.data.length !== length) throw shapeError(name, `${length} elements`, `${layout.data.length}`);
  return layout;
}

/**
 * The caller's two arrays, checked.
 *
 * @throws RopeError `ROPE_SHAPE` for arrays of another type or length, and for arrays that overlap. Nothing is written
 * then.
 */
function cosSinTargets(
  out: NonNullable<CosSinOptions["out"]>,
  dtype: ElementType,
  length: number,
): { readonly cos: ElementArray; readonly sin: ElementArray } {
  if (ArrayBuffer.isView(out)) throw shapeError("out", "{ cos, sin }", show(out), "One array is for the other forms.");
  checkKeys("the arrays of out", out, ["cos", "sin"]);
  const [cos, sin] = (["cos", "sin"] as const).map((part) => {
    const layout = ownArray(`out.${part}`, out?.[part], dtype, length);
    return { name: `out.${part}`, input: layout, output: layout };
  });
  checkAliasing([cos!, sin!]);
  return { cos: cos!.output.data, sin: sin!.output.data };
}

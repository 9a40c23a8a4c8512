/**
 * Rotation by cos and sin that the caller supplies.
 */

import { allocate, lengthOf, loadElements } from "./element-types.ts";
import type { ElementType, TensorData } from "./element-types.ts";
import { shapeError, show } from "./errors.ts";
import { requireHead, rotationShape } from "./head.ts";
import { checkKeys, own } from "./keys.ts";
import { pairElements } from "./pairing.ts";
import type { Pairing } from "./pairing.ts";
import { resolvePositions } from "./positions.ts";
import type { Positions, ResolvedPositions } from "./positions.ts";
import { rotateTask } from "./kernel.ts";
import type { RotationTable, RotationTask } from "./kernel.ts";
import { checkAliasing } from "./aliasing.ts";
import { checkedView, contiguous, isEmpty, requireBounded, resolveTensor } from "./tensor.ts";
import type { Tensor, TensorLayout } from "./tensor.ts";

/**
 * A table of cos or sin, only read: a typed array, row-major, or `{ data, shape?, strides?, offset?, dtype? }`. The
 * shape is `[rows, columns]`, or `[batch, tokens, columns]` with a row for each token of each batch row; a batch of 1
 * serves all rows. Strides and offset count elements and need a shape. Bits of a 16-bit type need a dtype.
 */
export type TableData =
  | TensorData
  | {
      readonly data: TensorData;
      readonly dtype?: ElementType | undefined;
      readonly shape?: readonly number[] | undefined;
      readonly strides?: readonly number[] | undefined;
      readonly offset?: number | undefined;
    };

/** Options of {@link rotate}. */
export interface RotateOptions {
  /**
   * `[rows, rotaryDim/2]`, or `[rows, rotaryDim]` with each value at both elements of its pair; or either with `[batch,
   * tokens]` in front, and no `positions`.
   */
  readonly cos: TableData;
  /** Like `cos`, of the same shape. */
  readonly sin: TableData;
  /** Which two elements form a pair. */
  readonly pairing: Pairing;
  /** Elements of one head. Required for a bare typed array; default for a view: the last size of its shape. */
  readonly headDim?: number | undefined;
  /** Number of rotated elements, even. Default: the whole head. */
  readonly rotaryDim?: number | undefined;
  /** Index of the first rotated element. Default 0. */
  readonly rotaryOffset?: number | undefined;
  /**
   * Columns of cos and sin: `rotaryDim/2` (`"half"`), `rotaryDim` with equal values at both elements of a pair
   * (`"full"`), or `rotaryDim` with a value for each element (`"element"`: V-JEPA 2, whose two elements of a pair turn
   * by different angles, which is no rotation). Absent: `"half"` or `"full"`, by the shape of the table. For a table
   * without a shape: what gives a row to each token of a view without `positions`; else `"half"`, and an error where
   * all rows could as well be doubled ones, also of another pairing.
   */
  readonly width?: "half" | "full" | "element" | undefined;
  /** The table row of each token, `[tokens]` or `[batch, tokens]`. Default: row `t` for token `t`. */
  readonly positions?: Positions | undefined;
  /** Destination of the result, of the same logical shape. Default: in place. */
  readonly out?: Tensor | undefined;
}

const optionKeys = ["cos", "sin", "pairing", "headDim", "rotaryDim", "rotaryOffset", "width", "positions", "out"];

/**
 * Rotates one tensor by given cos and sin: `x' = x·cos − y·sin`, `y' = y·cos + x·sin` for each pair `(x, y)`.
 *
 * float32 and float64 are computed in their own type. 16-bit elements are computed in float32 with every product and
 * sum rounded, and the result is rounded once more. Elements that are not rotated keep their bits.
 *
 * @param tensor queries or keys, `[batch, tokens, heads, headDim]`, `[tokens, heads, headDim]` or
 * `[tokens, heads · headDim]`; rotated in place without `out`.
 * @returns the tensor that was written: `out` or `tensor`.
 * @throws RopeError `ROPE_SHAPE` when tensor, tables and `out` do not fit each other or overlap; `ROPE_POSITION_RANGE`
 * for a position without a row; `ROPE_INVALID_PARAMETERS` for an unknown option. Nothing is written then.
 *
 * Source: Su et al., RoFormer (arXiv 2104.09864), eq. 34; ONNX RotaryEmbedding 23 with `cos_cache` and `sin_cache`, of
 * two axes with `position_ids` and of three axes without.
 *
 * @example
 * const quarterTurn = { cos: Float32Array.of(0, 0), sin: Float32Array.of(1, 1) };
 * rotate(Float32Array.of(1, 2, 3, 4), { ...quarterTurn, pairing: "half", headDim: 4 }); // [-3, -4, 1, 2]
 */
export function rotate(tensor: Tensor, options: RotateOptions): Tensor {
  const given = checkKeys("the options of rotate", options, optionKeys);
  const { pairing, positions, out, rotaryOffset = 0 } = given;
  const shape = shapeOf(tensor);
  const headDim = (given.headDim ?? shape?.at(-1)) as number;
  const { rotaryDim = headDim } = given;
  requireHead("the options of rotate do not fit", { headDim, rotaryDim, rotaryOffset }, { pairing });
  const cos = readTable("cos", given.cos);
  const sin = readTable("sin", given.sin);
  const tableShape = cos.shape;
  if (tableShape?.join() !== sin.shape?.join() || cos.values.length !== sin.values.length) {
    throw shapeError("cos and sin", "two tables of the same shape", `${tableText(cos)} and ${tableText(sin)}`);
  }
  const isDoubled = (by: Pairing): boolean => [cos, sin].every((table) => looksDoubled(table.values, by, rotaryDim));
  const {
    width = impliedWidth(cos, positions === undefined ? tokensOf(shape) : undefined, pairing, rotaryDim, isDoubled),
  } = given;
  if (width !== "half" && width !== "full" && width !== "element") {
    throw shapeError("width", '"half", "full" or "element"', show(width));
  }
  const perRow = width === "half" ? rotaryDim / 2 : rotaryDim;
  const rows = cos.values.length / perRow;
  if (!Number.isInteger(rows) || (tableShape !== undefined && tableShape.at(-1) !== perRow)) {
    throw shapeError("cos and sin", `rows of ${perRow} values`, tableText(cos));
  }
  if (width === "full" && !isDoubled(pairing)) {
    const remedy = 'Is the table in the order of the other pairing? Say width: "element" if the values really differ.';
    throw shapeError("cos and sin", "equal values at both elements of every pair", "values that differ", remedy);
  }
  const { batch, tokens, values } = tableRows(rows, tableShape, shape, positions);
  const input = resolveTensor("tensor", tensor, { batch, tokens, headDim });
  const output = out === undefined ? input : resolveTensor("out", out, { batch, tokens, headDim });
  if (input.batch !== output.batch || input.heads !== output.heads) {
    throw shapeError(
      "out",
      `${input.batch} × ${tokens} × ${input.heads} heads like the tensor`,
      `${output.batch} × ${tokens} × ${output.heads}`,
    );
  }
  checkAliasing([{ name: "tensor", input, output }]);
  if (isEmpty(input)) return out ?? tensor;

  const { first, distance } = pairElements(pairing, rotaryDim);
  const pick = ({ values: table }: Table, distant: number): Float32Array | Float64Array => {
    const pairs = rotaryDim / 2;
    const rows = allocate(input.dtype === "float64" ? "float64" : "float32", values.length * pairs);
    for (let t = 0; t < values.length; t++) {
      const row = values[t]! * perRow;
      for (let i = 0; i < pairs; i++) rows[t * pairs + i] = table[row + (width === "half" ? i : first[i]! + distant)]!;
    }
    return rows;
  };
  const tableAt = (distant: number): RotationTable => ({
    cos: pick(cos, distant),
    sin: pick(sin, distant),
    batched: batch !== undefined,
  });
  const task = { input, output, ...rotationShape({ rotaryDim, rotaryOffset, pairing }), table: tableAt(0) };
  // The second elements of the pairs by their own cos and sin, kept until the first ones are written.
  const second = width === "element" ? rotatedCopy({ ...task, table: tableAt(distance) }) : undefined;
  rotateTask(task);
  if (second !== undefined) {
    copyElements(
      second,
      output,
      Array.from(first, (element) => rotaryOffset + element + distance),
    );
  }
  return out ?? tensor;
}

/** The result of a task in memory of its own, row-major. */
function rotatedCopy(task: RotationTask): TensorLayout {
  const { batch, tokens, heads, headDim, dtype } = task.output;
  const copy = contiguous(allocate(dtype, batch * tokens * heads * headDim), dtype, batch, tokens, heads, headDim, 0);
  rotateTask({ ...task, output: copy });
  return copy;
}

/** Copies some elements of every head between tensors of one shape and type. */
function copyElements(source: TensorLayout, target: TensorLayout, elements: readonly number[]): void {
  for (let b = 0; b < source.batch; b++) {
    for (let t = 0; t < source.tokens; t++) {
      for (let h = 0; h < source.heads; h++) {
        const from = source.offset + b * source.batchStride + t * source.tokenStride + h * source.headStride;
        const to = target.offset + b * target.batchStride + t * target.tokenStride + h * target.headStride;
        for (const element of elements) target.data[to + element * target.elementStride] = source.data[from + element]!;
      }
    }
  }
}

/** The shape of a view; a bare array has none. */
function shapeOf(tensor: Tensor): readonly number[] | undefined {
  const { shape } = own(tensor ?? {}) as { shape?: unknown };
  if (shape === undefined || Array.isArray(shape)) return shape;
  throw shapeError("tensor", "a typed array or { data, shape, strides?, offset?, dtype? }", show(tensor));
}

const tokensOf = (shape: readonly number[] | undefined): number | undefined =>
  shape?.length === 4 ? shape[1] : shape?.[0];

/** A table that was read. */
interface Table {
  /** Row-major. */
  readonly values: Float64Array;
  /** `undefined` for a table without a shape. */
  readonly shape: readonly number[] | undefined;
}

function readTable(name: string, table: TableData): Table {
  // A copy, so that each property is read once.
  const view = own(ArrayBuffer.isView(table) ? { data: table } : { ...(table as Exclude<TableData, TensorData>) });
  const { shape, strides, offset } = view;
  if (!ArrayBuffer.isView(view.data)) {
    throw shapeError(name, "a typed array or { data, shape?, strides?, offset?, dtype? }", show(table));
  }
  if (shape === undefined && (strides ?? offset) !== undefined) {
    throw shapeError(name, "a shape beside strides or offset", "no shape");
  }
  const sizesOf = shape === undefined ? [1, lengthOf(view.data) ?? 0] : shape;
  const place = checkedView(name, { shape: sizesOf, strides, offset });
  const rank = place.shape.length;
  if (rank !== 2 && rank !== 3) {
    throw shapeError(name, "the shape [rows, columns] or [batch, tokens, columns]", show(shape));
  }
  // As a tensor of one head.
  const four = <T>(list: readonly T[], batch: T, head: T): T[] => [
    rank === 3 ? list[0]! : batch,
    list[rank - 2]!,
    head,
    list[rank - 1]!,
  ];
  const sizes = four(place.shape, 1, 1);
  const [batch, tokens, , headDim] = sizes as [number, number, number, number];
  const tensor = { ...view, shape: sizes, ...(place.strides && { strides: four(place.strides, 0, 0) }) };
  const layout = resolveTensor(name, tensor as Tensor, { batch, tokens, headDim });
  requireBounded(name, layout);
  const values = allocate("float64", batch * tokens * headDim);
  for (let row = 0; row * headDim < values.length; row++) {
    const from = layout.offset + Math.floor(row / tokens) * layout.batchStride + (row % tokens) * layout.tokenStride;
    loadElements(layout.dtype, layout.data, from, layout.elementStride, values, row * headDim, headDim);
  }
  return { values, shape };
}

const tableText = ({ values, shape }: Table): string =>
  shape === undefined ? `${values.length} values` : `[${shape.join(", ")}]`;

/** The table row of each token. */
function tableRows(
  rows: number,
  table: readonly number[] | undefined,
  tensor: readonly number[] | undefined,
  positions: Positions | undefined,
): Pick<ResolvedPositions, "batch" | "tokens" | "values"> {
  const tokens = tokensOf(tensor) ?? rows;
  if (table?.length === 3 && table[0] !== 1) {
    if (positions !== undefined) {
      throw shapeError("positions", "none beside a table with a row for each token", show(positions));
    }
    return { batch: table[0], tokens: table[1]!, values: Float64Array.from({ length: rows }, (_, row) => row) };
  }
  const isForAll = tensor?.length === 4 && tensor[0]! > 1 && tensor[0]! * tokens === rows;
  if (isForAll && table === undefined && positions === undefined) {
    throw shapeError(
      "cos and sin",
      "a shape, [batch, tokens, columns] or [rows, columns], since their rows fit both",
      "no shape",
    );
  }
  return resolvePositions(positions ?? { start: 0, count: tokens }, {
    axes: 1,
    fractional: false,
    limit: rows,
    limitReason: "the rows of cos and sin",
  });
}

/** Whether the table may have `rotaryDim` columns: both elements of every pair have equal values. */
function looksDoubled(values: Float64Array, pairing: Pairing, rotaryDim: number): boolean {
  const { first, distance } = pairElements(pairing, rotaryDim);
  if (values.length % rotaryDim !== 0) return false;
  for (let row = 0; row < values.length; row += rotaryDim) {
    for (const element of first) if (values[row + element] !== values[row + element + distance]) return false;
  }
  return true;
}

function impliedWidth(
  { values: { length }, shape }: Table,
  tokens: number | undefined,
  pairing: Pairing,
  rotaryDim: number,
  isDoubled: (pairing: Pairing) => boolean,
): "half" | "full" {
  if (shape !== undefined) return shape.at(-1) === rotaryDim ? "full" : "half";
  if (tokens !== undefined && length === (tokens * rotaryDim) / 2) return "half";
  const isOurs = isDoubled(pairing);
  if (isOurs && tokens !== undefined && length === tokens * rotaryDim) return "full";
  if (!isOurs && !isDoubled("half") && !isDoubled("adjacent")) return "half";
  const remedy = isOurs ? undefined : "As doubled rows they are in the order of another pairing.";
  throw shapeError("cos and sin", 'width: "half" or "full", since their rows fit both', "no width", remedy);
}

/**
 * Rotation by cos and sin that the caller supplies.
 */

import { allocate, loadElements } from "./element-types.ts";
import type { ElementType, TensorData } from "./element-types.ts";
import { shapeError, show } from "./errors.ts";
import { requireHead, rotationShape } from "./head.ts";
import { checkKeys } from "./keys.ts";
import { pairElements } from "./pairing.ts";
import type { Pairing } from "./pairing.ts";
import { resolvePositions } from "./positions.ts";
import type { Positions } from "./positions.ts";
import { rotateTask } from "./kernel.ts";
import type { RotationTable, RotationTask } from "./kernel.ts";
import { checkAliasing } from "./aliasing.ts";
import { contiguous, resolveTensor } from "./tensor.ts";
import type { Tensor, TensorLayout } from "./tensor.ts";

/** A table of cos or sin: a typed array, or `{ data, dtype }` for the bits of a 16-bit type. Only read. */
export type TableData = TensorData | { readonly data: TensorData; readonly dtype?: ElementType | undefined };

/** Options of {@link rotate}. */
export interface RotateOptions {
  /** `[rows, rotaryDim/2]`, or `[rows, rotaryDim]` with each value at both elements of its pair; row-major. */
  readonly cos: TableData;
  /** Like `cos`, with as many rows. */
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
   * by different angles, which is no rotation). Absent: for a view without `positions`, what gives a row to each token;
   * else `"half"`, and an error where all rows could as well be doubled ones.
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
 * Source: Su et al., RoFormer (arXiv 2104.09864), eq. 34; ONNX RotaryEmbedding 23 with `cos_cache` and `sin_cache`.
 *
 * @example
 * const quarterTurn = { cos: Float32Array.of(0, 0), sin: Float32Array.of(1, 1) };
 * rotate(Float32Array.of(1, 2, 3, 4), { ...quarterTurn, pairing: "half", headDim: 4 }); // [-3, -4, 1, 2]
 */
export function rotate(tensor: Tensor, options: RotateOptions): Tensor {
  checkKeys("the options of rotate", options, optionKeys);
  const { pairing, positions, out, rotaryOffset = 0 } = options;
  const shape = shapeOf(tensor);
  const headDim = (options.headDim ?? shape?.at(-1)) as number;
  const { rotaryDim = headDim } = options;
  requireHead("the options of rotate do not fit", { headDim, rotaryDim, rotaryOffset }, { pairing });
  const cosValues = valuesOf("cos", options.cos);
  const sinValues = valuesOf("sin", options.sin);
  const doubled = (): boolean => [cosValues, sinValues].every((values) => looksDoubled(values, pairing, rotaryDim));
  const width =
    options.width ??
    impliedWidth(cosValues.length, rotaryDim, positions === undefined ? tokensOf(shape) : undefined, doubled);
  if (width !== "half" && width !== "full" && width !== "element") {
    throw shapeError("width", '"half", "full" or "element"', show(width));
  }
  if (width === "full" && !doubled()) {
    const remedy = 'Is the table in the order of the other pairing? Say width: "element" if the values really differ.';
    throw shapeError("cos and sin", "equal values at both elements of every pair", "values that differ", remedy);
  }
  const perRow = width === "half" ? rotaryDim / 2 : rotaryDim;
  const cos = rowsOf("cos", cosValues, perRow);
  const sin = rowsOf("sin", sinValues, perRow);
  if (cos.rows !== sin.rows) throw shapeError("cos and sin", "the same number of rows", `${cos.rows} and ${sin.rows}`);

  const index = positions ?? { start: 0, count: tokensOf(shape) ?? cos.rows };
  const { batch, tokens, values } = resolvePositions(index, {
    axes: 1,
    fractional: false,
    limit: cos.rows,
    limitReason: "the rows of cos and sin",
  });
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

  const { first, distance } = pairElements(pairing, rotaryDim);
  const pick = ({ values: table }: { values: Float64Array }, distant: number): Float32Array | Float64Array => {
    const pairs = rotaryDim / 2;
    const rows =
      input.dtype === "float64" ? new Float64Array(values.length * pairs) : new Float32Array(values.length * pairs);
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
  const { shape } = (tensor ?? {}) as { shape?: unknown };
  if (shape === undefined || Array.isArray(shape)) return shape;
  throw shapeError("tensor", "a typed array or { data, shape, strides?, offset?, dtype? }", show(tensor));
}

const tokensOf = (shape: readonly number[] | undefined): number | undefined =>
  shape?.length === 4 ? shape[1] : shape?.[0];

function valuesOf(name: string, table: TableData): Float64Array {
  const view = ArrayBuffer.isView(table)
    ? { data: table as TensorData }
    : (table as { data: TensorData; dtype?: ElementType } | undefined);
  if (!ArrayBuffer.isView(view?.data)) throw shapeError(name, "a typed array or { data, dtype? }", show(table));
  const { data, dtype } = resolveTensor(
    name,
    { ...view, shape: [1, view.data.length] },
    { batch: undefined, tokens: 1, headDim: view.data.length },
  );
  const values = new Float64Array(data.length);
  loadElements(dtype, data, 0, 1, values, 0, data.length);
  return values;
}

function rowsOf(name: string, values: Float64Array, perRow: number): { values: Float64Array; rows: number } {
  if (values.length % perRow !== 0) throw shapeError(name, `rows of ${perRow} values`, `${values.length} values`);
  return { values, rows: values.length / perRow };
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
  length: number,
  rotaryDim: number,
  tokens: number | undefined,
  doubled: () => boolean,
): "half" | "full" {
  if (tokens !== undefined && length === (tokens * rotaryDim) / 2) return "half";
  if (!doubled()) return "half";
  if (tokens !== undefined && length === tokens * rotaryDim) return "full";
  throw shapeError("cos and sin", 'width: "half" or "full", since their rows fit both', "no width");
}

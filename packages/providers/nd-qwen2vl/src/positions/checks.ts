/** Checks of arguments that all builders of positions share. */

import { listOf, shapeError, show } from "@ropewalk/core/backend";

/** Positions on several axes, in the form that `rope.apply` takes. */
export interface AxisPositions<A extends Int32Array | Float32Array | Float64Array = Int32Array> {
  readonly data: A;
  /** `[axes, tokens]` or `[axes, batch, tokens]`, row-major. */
  readonly shape: readonly number[];
}

export type Count = number | bigint;

/** An image or a video in patches: frames, rows, columns. */
export type PatchGrid = readonly [frames: Count, height: Count, width: Count];

/** The largest position that fits into 32 bits. */
export const LARGEST: number = 2 ** 31 - 1;

/** The arrays that positions may be kept in. */
export interface PositionArrays {
  readonly int32: Int32Array;
  readonly float32: Float32Array;
  readonly float64: Float64Array;
}

const makers: { readonly [D in keyof PositionArrays]: (count: number) => PositionArrays[D] } = {
  int32: (count) => new Int32Array(count),
  float32: (count) => new Float32Array(count),
  float64: (count) => new Float64Array(count),
};

/** New memory, filled with 0. */
export function newPositions(count: number, name: string): Int32Array;
export function newPositions<D extends keyof PositionArrays>(count: number, name: string, dtype: D): PositionArrays[D];
export function newPositions(
  count: number,
  name: string,
  dtype: keyof PositionArrays = "int32",
): PositionArrays[keyof PositionArrays] {
  if (!Object.hasOwn(makers, dtype)) throw shapeError("dtype", Object.keys(makers).join(", "), show(dtype));
  try {
    return makers[dtype](count);
  } catch {
    throw shapeError(name, "a size that fits into memory", `${count} positions`);
  }
}

/** As many as core takes positions. Holes of a list take no memory, but time. */
const MOST_ITEMS = 2 ** 25;

/** The elements of a list or typed array, a copy. */
export function checkedList<T>(value: ArrayLike<T>, name: string, expected: string): T[] {
  const list = listOf(value, MOST_ITEMS) as T[] | undefined;
  if (list === undefined) throw shapeError(name, expected, show(value));
  return list;
}

export function checkedRows<T>(value: readonly ArrayLike<T>[], name: string): T[][] {
  return checkedList(value, name, "a list of rows").map((row, i) =>
    checkedList(row, `${name}[${i}]`, "the list of one row"),
  );
}

export function patchGrid(grid: PatchGrid, name: string, merge: number): readonly [number, number, number] {
  const sizes = checkedList<Count>(grid, name, "[frames, height, width]");
  if (sizes.length !== 3) throw shapeError(name, "[frames, height, width]", `${sizes.length} numbers`);
  const [frames, height, width] = sizes.map((size, axis) => checkedCount(size, `${name}[${axis}]`, 1)) as [
    number,
    number,
    number,
  ];
  if (height % merge !== 0 || width % merge !== 0) {
    throw shapeError(name, `height and width that are multiples of mergeSize ${merge}`, `${height} × ${width}`);
  }
  return [frames, height, width];
}

export function checkedCount(value: Count, name: string, min: number): number {
  const number = typeof value === "bigint" ? Number(value) : value;
  if (!Number.isSafeInteger(number) || number < min) throw shapeError(name, `an integer ≥ ${min}`, show(value));
  return number;
}

/** A number as it is given: any finite one, or only integers of 32 bits. */
export function checkedNumber(value: Count, name: string, dtype: keyof PositionArrays): number {
  const number = typeof value === "bigint" ? Number(value) : value;
  const fits = dtype === "int32" ? Number.isInteger(number) && Math.abs(number) <= LARGEST : Number.isFinite(number);
  if (!fits) throw shapeError(name, dtype === "int32" ? "an integer of 32 bits" : "a finite number", show(value));
  return number;
}

/** A finite number above 0: seconds, positions of a second. */
export function checkedPositive(value: unknown, name: string): number {
  if (typeof value === "number" && Number.isFinite(value) && value > 0) return value;
  throw shapeError(name, "a number above 0", show(value));
}

/** A number of position axes, as many as a rope may have. */
export function checkedAxes(value: number): number {
  const axes = checkedCount(value, "axes", 1);
  if (axes > 256) throw shapeError("axes", "256 axes at most", `${axes}`);
  return axes;
}

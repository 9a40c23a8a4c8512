/** Checks of arguments that all builders of positions share. */

import { shapeError, show } from "@ropewalk/core/backend";

/** Positions on several axes, in the form that `rope.apply` takes. */
export interface AxisPositions<A extends Int32Array | Float64Array = Int32Array> {
  readonly data: A;
  /** `[axes, tokens]` or `[axes, batch, tokens]`, row-major. */
  readonly shape: readonly number[];
}

export type Count = number | bigint;

/** An image or a video in patches: frames, rows, columns. */
export type PatchGrid = readonly [frames: Count, height: Count, width: Count];

/** Positions are 32-bit integers. */
export const LARGEST: number = 2 ** 31 - 1;

/** New memory, filled with 0. */
export function newPositions(count: number, name: string): Int32Array {
  try {
    return new Int32Array(count);
  } catch {
    throw shapeError(name, "a size that fits into memory", `${count} positions`);
  }
}

/** The elements of a list or typed array. */
export function checkedList<T>(value: ArrayLike<T>, name: string, expected: string): T[] {
  if (!Array.isArray(value) && !(ArrayBuffer.isView(value) && "length" in value)) {
    throw shapeError(name, expected, show(value));
  }
  return Array.from(value as ArrayLike<T>);
}

export function checkedRows<T>(value: readonly ArrayLike<T>[], name: string): T[][] {
  return checkedList(value, name, "a list of rows").map((row, i) =>
    checkedList(row, `${name}[${i}]`, "a row of tokens"),
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

export function checkedNumber(value: number, name: string): number {
  if (!Number.isFinite(value) || value < 0) throw shapeError(name, "a finite number ≥ 0", show(value));
  return value;
}

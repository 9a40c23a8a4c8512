/** The cells of grids and the patches of images. */

import { shapeError } from "@ropewalk/core/backend";
import { checkedCount, checkedList, newPositions, patchGrid } from "./checks.ts";
import type { AxisPositions, Count, PatchGrid } from "./checks.ts";

/**
 * Lists all cells of a grid in row-major order: the last axis runs fastest.
 *
 * @param grid the number of cells along each axis.
 * @returns `[grid.length, cells]` int32, in cells; new memory, owned by the caller.
 * @throws RopeError `ROPE_SHAPE` if `grid` is not a list of at least one integer ≥ 0.
 * Source: the crate ndrope, `pos_nd`.
 * @example gridPositions([2, 2]).data // Int32Array [0, 0, 1, 1,  0, 1, 0, 1]
 */
export function gridPositions(grid: readonly Count[]): AxisPositions {
  const sizes = checkedList(grid, "grid", "cells along each axis").map((size, axis) =>
    checkedCount(size, `grid[${axis}]`, 0),
  );
  if (sizes.length === 0) throw shapeError("grid", "at least one axis", "none");
  const cells = sizes.reduce((product, size) => product * size, 1);
  const data = newPositions(sizes.length * cells, "grid");
  let inner = cells;
  sizes.forEach((size, axis) => {
    inner /= size || 1;
    for (let cell = 0; cell < cells; cell++) data[axis * cells + cell] = Math.floor(cell / inner) % size;
  });
  return { data, shape: [sizes.length, cells] };
}

/**
 * Lists the rows and columns of the patches of images, in the order that a vision tower with merged patches needs: the
 * `mergeSize × mergeSize` patches of one token stand next to each other.
 *
 * @param grids one `[frames, height, width]` for each image or video, in patches; height and width are multiples of
 * `mergeSize`. Every frame has the same rows and columns.
 * @param mergeSize patches of a token along each side; 1 for a tower that does not merge.
 * @returns `[2, patches]` int32: row, column, in patches; new memory, owned by the caller.
 * @throws RopeError `ROPE_SHAPE` if a grid is not three integers ≥ 1, or if a side is not a multiple of `mergeSize`.
 * Source: Hugging Face transformers 5, Qwen2-VL `rot_pos_emb`; ndrope `pos_2d_qwen2vl_vit`.
 * @example visionPositions([[1, 2, 4]]).data // Int32Array [0, 0, 1, 1, 0, 0, 1, 1,  0, 1, 0, 1, 2, 3, 2, 3]
 */
export function visionPositions(grids: readonly PatchGrid[], mergeSize = 2): AxisPositions {
  const merge = checkedCount(mergeSize, "mergeSize", 1);
  const sizes = checkedList(grids, "grids", "a list of [frames, height, width]").map((grid, i) =>
    patchGrid(grid, `grids[${i}]`, merge),
  );
  const patches = sizes.reduce((sum, [t, h, w]) => sum + t * h * w, 0);
  const data = newPositions(2 * patches, "grids");
  let at = 0;
  for (const [frames, height, width] of sizes) {
    for (let frame = 0; frame < frames; frame++) {
      for (let blockRow = 0; blockRow < height; blockRow += merge) {
        for (let blockColumn = 0; blockColumn < width; blockColumn += merge) {
          for (let row = 0; row < merge; row++) {
            for (let column = 0; column < merge; column++, at++) {
              data[at] = blockRow + row;
              data[patches + at] = blockColumn + column;
            }
          }
        }
      }
    }
  }
  return { data, shape: [2, patches] };
}

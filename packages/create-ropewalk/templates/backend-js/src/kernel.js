/**
 * The rotation of one tensor: `x' = x·cos − y·sin`, `y' = y·cos + x·sin` for each pair `(x, y)`.
 *
 * This kernel reads and writes one element at a time, which is slow and right. Replace it step by step with what makes
 * the backend worth having, and keep its tests passing.
 */

/** @import { RotationTask } from "@ropewalk/core/backend" */
import { copyUnrotated } from "@ropewalk/core/backend";
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from "@ropewalk/core/math";

/**
 * One tensor, its element type and where its elements lie, as core describes it.
 *
 * @typedef {RotationTask["input"]} Tensor
 */

/**
 * Rotates a pair.
 *
 * @param {number} x
 * @param {number} y
 * @param {number} cos
 * @param {number} sin
 * @param {(value: number) => number} round rounds to float32, or does nothing for float64 data. Rounding each product
 * and each sum gives the bits of core's JavaScript.
 * @returns {readonly [number, number]} the new pair.
 */
function rotatePair(x, y, cos, sin, round) {
  // Write the formula above here.
  throw new Error(`src/kernel.js: the formula is not written yet: ${[x, y, cos, sin].map(round).join(" ")}`);
}

/**
 * Rotates a tensor. Core has checked the task; input and output are the same memory or share no element. Elements that
 * are not rotated keep their bits.
 *
 * @param {RotationTask} task
 */
export function rotateTensor(task) {
  const { input, output, table, rotaryDim, rotaryOffset, blocks } = task;
  const pairs = rotaryDim / 2;
  // Inside a block of 2w elements, element j pairs with j + w.
  const width = pairs / blocks;
  const round = input.dtype === "float64" ? (/** @type {number} */ value) => value : Math.fround;
  const isInPlace = input.data === output.data && input.offset === output.offset;
  if (!isInPlace) copyUnrotated(task);
  for (let batch = 0; batch < input.batch; batch++) {
    for (let token = 0; token < input.tokens; token++) {
      const row = ((table.batched ? batch * input.tokens : 0) + token) * pairs;
      for (let head = 0; head < input.heads; head++) {
        for (let pair = 0; pair < pairs; pair++) {
          const first = rotaryOffset + Math.floor(pair / width) * 2 * width + (pair % width);
          const x = read(input, placeOf(input, batch, token, head, first));
          const y = read(input, placeOf(input, batch, token, head, first + width));
          const [newX, newY] = rotatePair(x, y, table.cos[row + pair] ?? 0, table.sin[row + pair] ?? 0, round);
          write(output, placeOf(output, batch, token, head, first), round(newX));
          write(output, placeOf(output, batch, token, head, first + width), round(newY));
        }
      }
    }
  }
}

/**
 * @param {Tensor} tensor
 * @param {number} batch
 * @param {number} token
 * @param {number} head
 * @param {number} element
 */
function placeOf(tensor, batch, token, head, element) {
  const { offset, batchStride, tokenStride, headStride, elementStride } = tensor;
  return offset + batch * batchStride + token * tokenStride + head * headStride + element * elementStride;
}

/**
 * @param {Tensor} tensor
 * @param {number} place
 */
function read({ data, dtype }, place) {
  const value = data[place] ?? 0;
  if (!(data instanceof Uint16Array)) return value;
  return dtype === "bfloat16" ? fromBfloat16(value) : fromFloat16(value);
}

/**
 * @param {Tensor} tensor
 * @param {number} place
 * @param {number} value
 */
function write({ data, dtype }, place, value) {
  if (!(data instanceof Uint16Array)) data[place] = value;
  else data[place] = dtype === "bfloat16" ? toBfloat16(value) : toFloat16(value);
}

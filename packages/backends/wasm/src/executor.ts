/**
 * Rotates with the WebAssembly kernels, in arenas and in JavaScript's memory.
 *
 * A tensor in an arena is rotated in place. A tensor in JavaScript's memory is copied through the memory of the kernels
 * in pieces that stay in the processor's cache; where that would take longer than to rotate it, JavaScript rotates.
 */

import { copyUnrotated, rotateTask } from "@ropewalk/core/backend";
import type { RotationExecutor, RotationTask, TensorLayout } from "@ropewalk/core/backend";
import type { PassTask } from "@ropewalk/core/pass";
import { copyIn, copyOut, isTokenMajor, pieceOf, runsOf, viewFor, viewOf } from "./copies.ts";
import { areas, PIECE_BYTES, SCRATCH_BYTES, SCRATCH_PER_ELEMENT, TABLE_BYTES, typeNumber } from "./kernel.ts";
import { memoryAt } from "./kernel-memory.ts";
import type { Copyable, KernelMemory } from "./kernel.ts";
import { runPass } from "./pass.ts";
import type { ThreadPool } from "./pool.ts";
import { cosSinWriter } from "./cos-sin.ts";

/**
 * Makes an executor.
 *
 * @param home the memory for cos and sin, and for copies of tensors outside arenas.
 * @param pool helps with large tensors in its arena.
 */
export function createExecutor(home: KernelMemory, pool?: ThreadPool): RotationExecutor {
  return Object.freeze({
    name: "wasm",
    rotate(tasks: readonly RotationTask[]) {
      for (const task of tasks) {
        // Once for each tensor: asking an array for its buffer takes 8 ns.
        const { buffer } = task.input.data;
        const memory = buffer === home.buffer ? home : (memoryAt(buffer) ?? memoryOfOutput(task, home));
        rotateOne(memory, task, buffer === memory.buffer, pool);
      }
    },
    pass: (tasks: readonly PassTask[]) => runPass(home, tasks),
    writeCosSin: cosSinWriter(home),
  });
}

/** Where a tensor that lies in no arena is rotated: at its output, if that lies in one. */
function memoryOfOutput({ input, output }: RotationTask, home: KernelMemory): KernelMemory {
  return (input === output ? undefined : memoryAt(output.data.buffer)) ?? home;
}

/** The fewest elements for threads: 256 tokens of 32 heads of 128. Smaller tensors are done before threads wake up. */
const SHARED_ELEMENTS = 1 << 20;
/** The bytes of cos and sin that are loaded at a time where not all fit: they stay in the cache until they are used. */
const LOADED_BYTES = TABLE_BYTES / 4;

/** Bytes of an element. Comparisons, because to ask an array of any type for it takes 20 ns. */
const bytesOf = ({ dtype }: TensorLayout): 2 | 4 | 8 => (dtype === "float32" ? 4 : dtype === "float64" ? 8 : 2);
/** Bytes of the numbers that cos and sin of a tensor are. */
const widthOf = ({ dtype }: TensorLayout): 4 | 8 => (dtype === "float64" ? 8 : 4);

function rotateOne(
  memory: KernelMemory,
  task: RotationTask,
  sourceIsHere: boolean,
  pool: ThreadPool | undefined,
): void {
  const { input, output, rotaryDim } = task;
  const targetIsHere = input === output ? sourceIsHere : output.data.buffer === memory.buffer;
  // Core rotates what the kernels cannot: scattered elements, float64 to another type, wide heads.
  const isScattered = input.elementStride !== 1 || output.elementStride !== 1;
  const isMixed64 = input.dtype !== output.dtype && (input.dtype === "float64" || output.dtype === "float64");
  if (isScattered || isMixed64 || rotaryDim * SCRATCH_PER_ELEMENT > SCRATCH_BYTES) return rotateTask(task);
  if (sourceIsHere && targetIsHere) rotateHere(memory, task, pool);
  else if (input === output && isDense(input)) rotateDense(memory, task);
  else rotateCopies(memory, task, sourceIsHere, targetIsHere);
}

const isDense = ({ batch, tokens, heads, headDim, batchStride, tokenStride, headStride }: TensorLayout): boolean =>
  headStride === headDim && tokenStride === heads * headDim && (batch === 1 || batchStride === tokens * tokenStride);

/** Rotates a tensor that lies in the memory of the kernels, as does its output. */
function rotateHere(memory: KernelMemory, task: RotationTask, pool: ThreadPool | undefined): void {
  const { input, output, rotaryDim, rotaryOffset } = task;
  const { tokens, heads, batch } = input;
  if (rotaryDim < input.headDim && input !== output) copyUnrotated(task);
  const sourceBytes = bytesOf(input);
  const targetBytes = bytesOf(output);
  const source = input.data.byteOffset + (input.offset + rotaryOffset) * sourceBytes;
  const target = input === output ? source : output.data.byteOffset + (output.offset + rotaryOffset) * targetBytes;
  const threads =
    pool !== undefined &&
    tokens * heads * rotaryDim >= SHARED_ELEMENTS &&
    pool.arena.memory.buffer === memory.buffer &&
    pool.canShare(heads * rotaryDim * Math.max(sourceBytes, targetBytes))
      ? pool
      : undefined;
  const rows = rowsAtOnce(task);
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < tokens; t += rows) {
      const count = Math.min(rows, tokens - t);
      loadTables(memory, task, b, t, count);
      rotateRows(
        memory,
        task,
        memory.cos,
        source + (b * input.batchStride + t * input.tokenStride) * sourceBytes,
        input.tokenStride * sourceBytes,
        input.headStride * sourceBytes,
        target + (b * output.batchStride + t * output.tokenStride) * targetBytes,
        output.tokenStride * targetBytes,
        output.headStride * targetBytes,
        count,
        threads,
      );
    }
  }
}

/**
 * Rotates a tensor without gaps outside the memory of the kernels in place: the usual call, which has as little to do
 * as it can. {@link rotateCopies} would give the same, later.
 */
function rotateDense(memory: KernelMemory, task: RotationTask): void {
  const { input, rotaryDim, rotaryOffset } = task;
  const { batch, tokens, headDim, tokenStride } = input;
  const data = input.data as Copyable;
  const bytes = bytesOf(input);
  const fit = rowsAtOnce(task);
  const piece = Math.min(Math.floor(PIECE_BYTES / (tokenStride * bytes)), fit, tokens);
  // A token larger than the area.
  if (piece === 0 || isSlower(task, piece, 2)) return rotateTask(task);
  const rows = fit < tokens ? fit - (fit % piece) : tokens;
  const rowBytes = (rotaryDim / 2) * widthOf(input);
  const staging = viewFor(memory, input);
  const first = areas.source / bytes;
  const place = areas.source + rotaryOffset * bytes;
  const token = tokenStride * bytes;
  const head = headDim * bytes;
  for (let b = 0, index = input.offset; b < batch; b++) {
    for (let t = 0; t < tokens; t += piece) {
      const count = Math.min(piece, tokens - t);
      const length = count * tokenStride;
      if (t % rows === 0) loadTables(memory, task, b, t, Math.min(rows, tokens - t));
      staging.set(length === data.length ? data : viewOf(input, data.buffer, data.byteOffset, index, length), first);
      const cos = memory.cos + (t % rows) * rowBytes;
      rotateRows(memory, task, cos, place, token, head, place, token, head, count, undefined);
      data.set(pieceOf(memory, input, length), index);
      index += length;
    }
  }
}

/** Rotates a tensor that does not lie in the memory of the kernels, or whose output does not. */
function rotateCopies(memory: KernelMemory, task: RotationTask, sourceIsHere: boolean, targetIsHere: boolean): void {
  const { input, output, rotaryDim, rotaryOffset } = task;
  const { tokens, heads, headDim, batch } = input;
  const sourceBytes = bytesOf(input);
  const targetBytes = bytesOf(output);
  const fit = rowsAtOnce(task);
  const room = Math.floor(PIECE_BYTES / (heads * headDim * Math.max(sourceBytes, targetBytes)));
  const piece = Math.min(room, fit, tokens);
  // A token larger than the areas.
  if (piece === 0) return rotateTask(task);
  let from = sourceIsHere ? undefined : runsOf(input, piece);
  let to = targetIsHere ? undefined : input === output ? from : runsOf(output, piece);
  if (isSlower(task, piece, (from?.count ?? 0) + (to?.count ?? 0))) return rotateTask(task);
  const rows = fit < tokens ? fit - (fit % piece) : tokens;

  // A copy that keeps element type and layout is rotated in place, and returns with its elements that are not rotated.
  const isOneCopy =
    input === output ||
    (!sourceIsHere && !targetIsHere && input.dtype === output.dtype && isTokenMajor(input) === isTokenMajor(output));
  const hasGaps = rotaryDim < headDim && !isOneCopy;
  if (hasGaps) copyUnrotated(task);
  const source = (from === undefined ? input.data.byteOffset : areas.source) + rotaryOffset * sourceBytes;
  const targetArea = isOneCopy ? areas.source : areas.target;
  const target = (to === undefined ? output.data.byteOffset : targetArea) + rotaryOffset * targetBytes;
  const rowBytes = (rotaryDim / 2) * widthOf(input);
  let counted = piece;
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < tokens; t += piece) {
      const count = Math.min(piece, tokens - t);
      if (count !== counted) {
        // The last piece of a row of the batch is shorter.
        counted = count;
        if (from !== undefined) from = runsOf(input, count);
        if (to !== undefined) to = input === output ? from : runsOf(output, count);
      }
      if (t % rows === 0) loadTables(memory, task, b, t, Math.min(rows, tokens - t));
      const sourceIndex = input.offset + b * input.batchStride + t * input.tokenStride;
      const targetIndex = output.offset + b * output.batchStride + t * output.tokenStride;
      if (from !== undefined) copyIn(input, sourceIndex, from, memory, areas.source);
      if (hasGaps && to !== undefined) copyIn(output, targetIndex, to, memory, targetArea);
      rotateRows(
        memory,
        task,
        memory.cos + (t % rows) * rowBytes,
        from === undefined ? source + sourceIndex * sourceBytes : source,
        (from ?? input).tokenStride * sourceBytes,
        (from ?? input).headStride * sourceBytes,
        to === undefined ? target + targetIndex * targetBytes : target,
        (to ?? output).tokenStride * targetBytes,
        (to ?? output).headStride * targetBytes,
        count,
        undefined,
      );
      if (to !== undefined) copyOut(output, targetIndex, to, memory, targetArea);
    }
  }
}

/**
 * Whether JavaScript, which has the same bits, would be faster with `piece` tokens than `runs` copies and a kernel: for
 * small tensors, and for layouts in many small runs. Nanoseconds, as measured; a factor of two does not matter.
 */
function isSlower({ input, rotaryDim }: RotationTask, piece: number, runs: number): boolean {
  const { heads, headDim } = input;
  const bytes = bytesOf(input);
  const inJavaScript = piece * heads * rotaryDim * (bytes === 2 ? 3 : 1);
  return inJavaScript < 300 + 80 * runs + (piece * heads * headDim * bytes) / 12;
}

/**
 * The tokens whose cos and sin are loaded at a time: all, if the table fits. Of larger ones few, a multiple of the
 * tokens of any piece, which stay in the cache until they are used.
 */
function rowsAtOnce({ input, rotaryDim, table }: RotationTask): number {
  const width = widthOf(input);
  return table.cos.length * 2 * width <= TABLE_BYTES ? input.tokens : Math.floor(LOADED_BYTES / (rotaryDim * width));
}

/**
 * Copies cos and sin to the area of the kernels: the whole table if it fits, else those of `count` tokens of batch row
 * `b` from token `first` on. `memory.cos` and `memory.sin` are then the addresses of that token's.
 */
function loadTables(
  memory: KernelMemory,
  { input, rotaryDim, table }: RotationTask,
  b: number,
  first: number,
  count: number,
): void {
  const { cos, sin, batched } = table;
  const width = widthOf(input);
  const pairs = rotaryDim / 2;
  const row = (batched ? b * input.tokens : 0) + first;
  const isWhole = cos.length * 2 * width <= TABLE_BYTES;
  const length = isWhole ? cos.length : count * pairs;
  memory.cos = areas.tables + (isWhole ? row * pairs * width : 0);
  memory.sin = memory.cos + length * width;
  // Tables never change, so a loaded table is not loaded again.
  if (isWhole && memory.table === cos) return;
  memory.table = isWhole ? cos : undefined;
  const target = width === 8 ? memory.float64 : memory.float32;
  const at = areas.tables / width;
  const start = row * pairs;
  target.set(isWhole ? cos : cos.subarray(start, start + length), at);
  target.set(isWhole ? sin : sin.subarray(start, start + length), at + length);
}

/** Calls the kernel for `count` tokens. All places are addresses, all strides bytes. */
function rotateRows(
  { kernels, cos: firstCos, sin: firstSin }: KernelMemory,
  { input, output, blocks, rotaryDim }: RotationTask,
  cos: number,
  source: number,
  sourceToken: number,
  sourceHead: number,
  target: number,
  targetToken: number,
  targetHead: number,
  count: number,
  pool: ThreadPool | undefined,
): void {
  const types = typeNumber(input.dtype) + 4 * typeNumber(output.dtype);
  const pairs = rotaryDim / 2;
  const width = pairs / blocks;
  const sin = cos + firstSin - firstCos;
  const { heads } = input;
  const { scratch } = areas;
  if (pool === undefined) {
    kernels.rotate(
      types,
      source,
      sourceToken,
      sourceHead,
      target,
      targetToken,
      targetHead,
      cos,
      sin,
      scratch,
      count,
      heads,
      blocks,
      width,
    );
    return;
  }
  pool.run(
    kernels,
    [
      types,
      source,
      sourceToken,
      sourceHead,
      target,
      targetToken,
      targetHead,
      cos,
      sin,
      scratch,
      count,
      heads,
      blocks,
      width,
    ],
    pairs * widthOf(input),
    rotaryDim * bytesOf(input),
  );
}

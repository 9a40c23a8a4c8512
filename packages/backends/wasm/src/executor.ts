/**
 * Rotates with the WebAssembly kernels, in arenas and in JavaScript's memory.
 *
 * A tensor in an arena is rotated in place. A tensor in JavaScript's memory is copied through the memory of the kernels
 * in pieces that stay in the processor's cache.
 */

import { copyUnrotated, rotateTask } from "@ropewalk/core/backend";
import type { PassTask, RotationExecutor, RotationTable, RotationTask, TensorLayout } from "@ropewalk/core/backend";
import { areas, PIECE_BYTES, SCRATCH_BYTES, SCRATCH_PER_ELEMENT, TABLE_BYTES, typeNumber } from "./kernel.ts";
import { memoryAt } from "./kernel-memory.ts";
import type { KernelMemory } from "./kernel-memory.ts";
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

const widthOf = ({ dtype }: TensorLayout): 4 | 8 => (dtype === "float64" ? 8 : 4);

function rotateOne(
  memory: KernelMemory,
  task: RotationTask,
  sourceIsHere: boolean,
  pool: ThreadPool | undefined,
): void {
  const { input, output, rotaryDim, table } = task;
  const { heads, tokens, batch } = input;
  const width = widthOf(input);
  const tablesPerToken = rotaryDim * width;
  const targetIsHere = input === output ? sourceIsHere : output.data.buffer === memory.buffer;
  const isDirect = sourceIsHere && targetIsHere;
  const largestElement = Math.max(input.data.BYTES_PER_ELEMENT, output.data.BYTES_PER_ELEMENT);
  const step = Math.floor(
    isDirect
      ? TABLE_BYTES / tablesPerToken
      : Math.min(TABLE_BYTES / tablesPerToken, PIECE_BYTES / (heads * rotaryDim * largestElement)),
  );
  // Core rotates what the kernels cannot: scattered elements, float64 to another type, a token larger than the areas.
  const isScattered = input.elementStride !== 1 || output.elementStride !== 1;
  const isMixed64 = input.dtype !== output.dtype && (width === 8 || output.dtype === "float64");
  if (isScattered || isMixed64 || step === 0 || rotaryDim * SCRATCH_PER_ELEMENT > SCRATCH_BYTES) {
    return rotateTask(task);
  }
  const inPlace = input.data === output.data && input.offset === output.offset;
  if (!inPlace && rotaryDim < input.headDim) copyUnrotated(task);
  const threads =
    isDirect &&
    tokens * heads * rotaryDim >= SHARED_ELEMENTS &&
    pool?.arena.memory.buffer === memory.buffer &&
    pool.canShare(heads * rotaryDim * largestElement)
      ? pool
      : undefined;
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < tokens; t += step) {
      const count = Math.min(step, tokens - t);
      loadTables(
        memory,
        table,
        ((table.batched ? b * tokens : 0) + t) * (rotaryDim / 2),
        (count * rotaryDim) / 2,
        width,
      );
      rotatePiece(memory, task, b, t, count, sourceIsHere, targetIsHere, threads);
    }
  }
}

/** Copies `length` values of cos, then of sin, to the area of the kernels. */
function loadTables(
  memory: KernelMemory,
  { cos, sin }: RotationTable,
  first: number,
  length: number,
  width: 4 | 8,
): void {
  const isWhole = length === cos.length;
  // Tables never change, so a loaded table is not loaded again.
  if (isWhole && memory.table === cos) return;
  memory.table = isWhole ? cos : undefined;
  const target = width === 8 ? memory.float64 : memory.float32;
  const at = areas.tables / width;
  target.set(isWhole ? cos : cos.subarray(first, first + length), at);
  target.set(isWhole ? sin : sin.subarray(first, first + length), at + length);
}

/** Rotates `count` tokens of batch row `b` from token `first` on. Their tables are loaded. */
function rotatePiece(
  memory: KernelMemory,
  { input, output, blocks, rotaryDim, rotaryOffset }: RotationTask,
  b: number,
  first: number,
  count: number,
  sourceIsHere: boolean,
  targetIsHere: boolean,
  pool: ThreadPool | undefined,
): void {
  const { kernels } = memory;
  const { heads } = input;
  const source = input.offset + b * input.batchStride + first * input.tokenStride + rotaryOffset;
  const target = output.offset + b * output.batchStride + first * output.tokenStride + rotaryOffset;
  const packedToken = heads * rotaryDim;
  if (!sourceIsHere) {
    copyIn(input, source, viewFor(memory, input), areas.source / input.data.BYTES_PER_ELEMENT, count, rotaryDim);
  }

  const sourceBytes = input.data.BYTES_PER_ELEMENT;
  const from = sourceIsHere ? input.data.byteOffset + source * sourceBytes : areas.source;
  const fromToken = (sourceIsHere ? input.tokenStride : packedToken) * sourceBytes;
  const fromHead = (sourceIsHere ? input.headStride : rotaryDim) * sourceBytes;
  const targetBytes = output.data.BYTES_PER_ELEMENT;
  // A copy that keeps its element type is rotated in place before it returns.
  const staged = !sourceIsHere && input.dtype === output.dtype ? areas.source : areas.target;
  const to = targetIsHere ? output.data.byteOffset + target * targetBytes : staged;
  const toToken = (targetIsHere ? output.tokenStride : packedToken) * targetBytes;
  const toHead = (targetIsHere ? output.headStride : rotaryDim) * targetBytes;

  const types = typeNumber(input.dtype) + 4 * typeNumber(output.dtype);
  const pairs = rotaryDim / 2;
  const sin = areas.tables + count * pairs * widthOf(input);
  if (pool === undefined) {
    kernels.rotate(
      types,
      from,
      fromToken,
      fromHead,
      to,
      toToken,
      toHead,
      areas.tables,
      sin,
      areas.scratch,
      count,
      heads,
      blocks,
      pairs / blocks,
    );
  } else {
    pool.run(
      kernels,
      [
        types,
        from,
        fromToken,
        fromHead,
        to,
        toToken,
        toHead,
        areas.tables,
        sin,
        areas.scratch,
        count,
        heads,
        blocks,
        pairs / blocks,
      ],
      pairs * widthOf(input),
      rotaryDim * sourceBytes,
    );
  }
  if (!targetIsHere) copyOut(viewFor(memory, output), staged / targetBytes, output, target, count, rotaryDim);
}

type Copyable = Float32Array | Float64Array | Uint16Array;

function viewFor({ float32, float64, uint16 }: KernelMemory, { dtype }: TensorLayout): Copyable {
  if (dtype === "float64") return float64;
  return dtype === "float32" ? float32 : uint16;
}

/** Whether the rotated elements of all tokens are contiguous. */
const isPacked = ({ tokenStride, headStride, heads }: TensorLayout, rotaryDim: number): boolean =>
  headStride === rotaryDim && tokenStride === heads * rotaryDim;

/** Copies the rotated elements of `count` tokens to `staging` from index `at` on, contiguous. */
function copyIn(
  tensor: TensorLayout,
  index: number,
  staging: Copyable,
  at: number,
  count: number,
  rotaryDim: number,
): void {
  const data = tensor.data as Copyable;
  if (isPacked(tensor, rotaryDim)) {
    staging.set(data.subarray(index, index + count * tensor.tokenStride), at);
    return;
  }
  for (let t = 0, to = at; t < count; t++) {
    for (let h = 0; h < tensor.heads; h++, to += rotaryDim) {
      const start = index + t * tensor.tokenStride + h * tensor.headStride;
      staging.set(data.subarray(start, start + rotaryDim), to);
    }
  }
}

/** The reverse of {@link copyIn}. */
function copyOut(
  staging: Copyable,
  at: number,
  tensor: TensorLayout,
  index: number,
  count: number,
  rotaryDim: number,
): void {
  const data = tensor.data as Copyable;
  if (isPacked(tensor, rotaryDim)) {
    data.set(staging.subarray(at, at + count * tensor.tokenStride), index);
    return;
  }
  for (let t = 0, from = at; t < count; t++) {
    for (let h = 0; h < tensor.heads; h++, from += rotaryDim) {
      data.set(staging.subarray(from, from + rotaryDim), index + t * tensor.tokenStride + h * tensor.headStride);
    }
  }
}

/**
 * Rotates with the WebAssembly kernels, wherever a tensor lies.
 *
 * A tensor in the arena is rotated where it is. One in JavaScript's memory passes through a staging area in pieces that
 * stay in the processor's cache. 16-bit elements are widened to float32, rotated, and rounded back once.
 */

import { copyUnrotated, rotateTask } from "@ropewalk/core/backend";
import type { RotationExecutor, RotationTable, RotationTask, TensorLayout } from "@ropewalk/core/backend";
import type { Arena } from "./arena.ts";
import { createMemory, instantiate, PIECE_BYTES, STAGING_BYTES, TABLE_BYTES } from "./kernel.ts";
import type { Kernels } from "./kernel.ts";
import { LARGEST_SHARED_HEAD } from "./pool.ts";
import type { Job, ThreadPool } from "./pool.ts";

/** The kernels on a memory of tensors, and the areas in it that belong to the executor. */
export interface Machine {
  readonly kernels: Kernels;
  readonly buffer: ArrayBufferLike;
  /** All of the memory, which never grows: views of it are made once. */
  readonly float32: Float32Array;
  readonly float64: Float64Array;
  readonly uint16: Uint16Array;
  /** cos and sin of a piece, `TABLE_BYTES`; then room for a piece that lies elsewhere. Addresses, multiples of 16. */
  readonly tables: number;
  readonly staging: number;
  /** The cos of which `tables` holds `loadedLength` values from `loadedFirst` on, and of its sin: query and key share them. */
  loaded: RotationTable["cos"] | undefined;
  loadedFirst: number;
  loadedLength: number;
}

/** A machine of its own memory, or on an arena that set the area aside. */
export function createMachine(arena: Arena | undefined): Machine {
  const memory = arena?.memory ?? createMemory(STAGING_BYTES + 64, false);
  const { buffer } = memory;
  const tables = arena?.staging ?? 64;
  return {
    kernels: instantiate(memory, arena?.shared ?? false),
    buffer,
    float32: new Float32Array(buffer),
    float64: new Float64Array(buffer),
    uint16: new Uint16Array(buffer),
    tables,
    staging: tables + TABLE_BYTES,
    loaded: undefined,
    loadedFirst: 0,
    loadedLength: 0,
  };
}

/** The executor on a machine: tensors in its memory are not copied, others pass through its staging area. */
export function createExecutor(machine: Machine, pool?: ThreadPool): RotationExecutor {
  return Object.freeze({
    name: "wasm",
    rotate(tasks: readonly RotationTask[]) {
      machine.loaded = undefined;
      for (const task of tasks) rotateOne(machine, task, pool);
      // Nobody's tables are kept alive.
      machine.loaded = undefined;
    },
  });
}

type Floats = Float32Array | Float64Array;

/** Fewer bytes are rotated sooner than threads wake up. */
const SHARED_BYTES = 1 << 22;

const is16bit = ({ dtype }: TensorLayout): boolean => dtype === "float16" || dtype === "bfloat16";

function rotateOne(machine: Machine, task: RotationTask, pool: ThreadPool | undefined): void {
  const { input, output, rotaryDim, table } = task;
  const { heads, tokens, batch } = input;
  const width = input.dtype === "float64" ? 8 : 4;
  const tablesPerToken = rotaryDim * width;
  // The tables of one token twice over, as the kernel for neighbours spreads them.
  const roomForTables = TABLE_BYTES - 2 * tablesPerToken;
  const isDirect = input.data.buffer === machine.buffer && output.data.buffer === machine.buffer && !is16bit(input) && input.dtype === output.dtype;
  const room = isDirect ? roomForTables : Math.min(roomForTables, PIECE_BYTES);
  const perToken = isDirect ? tablesPerToken : Math.max(tablesPerToken, heads * rotaryDim * width);
  // What the kernels are not made for is core's: scattered elements, float64 rounded to 16 bits, a token beyond the area.
  const isScattered = input.elementStride !== 1 || output.elementStride !== 1;
  if (isScattered || (width === 8 && is16bit(output)) || perToken > room) return rotateTask(task);
  if (heads === 0 || tokens === 0) return;
  const inPlace = input.data === output.data && input.offset === output.offset;
  if (!inPlace && rotaryDim < input.headDim) copyUnrotated(task);
  const step = Math.floor(room / perToken);
  const isShared = isDirect && tokens * heads * rotaryDim * width >= SHARED_BYTES && rotaryDim <= LARGEST_SHARED_HEAD && pool?.isComplete === true;
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < tokens; t += step) {
      const count = Math.min(step, tokens - t);
      loadTables(machine, table, ((table.batched ? b * tokens : 0) + t) * (rotaryDim / 2), (count * rotaryDim) / 2, width);
      rotatePiece(machine, task, b, t, count, width, isShared ? pool : undefined);
    }
  }
}

/** Puts `length` values of cos, and behind them those of sin, where the kernels read them. */
function loadTables(machine: Machine, { cos, sin }: RotationTable, first: number, length: number, width: 4 | 8): void {
  if (machine.loaded === cos && machine.loadedFirst === first && machine.loadedLength === length) return;
  machine.loaded = cos;
  machine.loadedFirst = first;
  machine.loadedLength = length;
  const target = floatsOf(machine, width);
  const at = machine.tables / width;
  const isWhole = length === cos.length;
  target.set(isWhole ? cos : cos.subarray(first, first + length), at);
  target.set(isWhole ? sin : sin.subarray(first, first + length), at + length);
}

/** Rotates `count` tokens from `first` on of batch row `b`, whose tables have been loaded. */
function rotatePiece(machine: Machine, { input, output, blocks, rotaryDim, rotaryOffset }: RotationTask, b: number, first: number, count: number, width: 4 | 8, pool: ThreadPool | undefined): void {
  const { kernels, buffer, tables, staging } = machine;
  const { heads } = input;
  // Packed [count, heads, rotaryDim]: as floats, and behind them as 16-bit elements on their way in or out.
  const headBytes = rotaryDim * width;
  const tokenBytes = heads * headBytes;
  const elements = count * heads * rotaryDim;
  const halves = align(staging + count * tokenBytes);
  const source = input.offset + b * input.batchStride + first * input.tokenStride + rotaryOffset;
  const target = output.offset + b * output.batchStride + first * output.tokenStride + rotaryOffset;
  const sourceIsHere = input.data.buffer === buffer;
  const targetIsHere = output.data.buffer === buffer;

  let from = staging;
  let fromToken = tokenBytes;
  let fromHead = headBytes;
  if (is16bit(input)) {
    const brain = input.dtype === "bfloat16";
    if (sourceIsHere) kernels.widen(address(input, source), input.tokenStride * 2, input.headStride * 2, staging, count, heads, rotaryDim, brain);
    else {
      copyIn(input, source, machine.uint16, halves / 2, count, rotaryDim);
      kernels.widen(halves, heads * rotaryDim * 2, rotaryDim * 2, staging, count, heads, rotaryDim, brain);
    }
  } else if (sourceIsHere) {
    from = address(input, source);
    fromToken = input.tokenStride * width;
    fromHead = input.headStride * width;
  } else {
    copyIn(input, source, floatsOf(machine, width), staging / width, count, rotaryDim);
  }

  const direct = targetIsHere && output.data.BYTES_PER_ELEMENT === width;
  const to = direct ? address(output, target) : staging;
  const toToken = direct ? output.tokenStride * width : tokenBytes;
  const toHead = direct ? output.headStride * width : headBytes;
  const pairs = rotaryDim / 2;
  const sin = tables + count * pairs * width;
  const kernel = width === 8 ? "rotateBlocks64" : blocks === pairs ? "rotateAdjacent32" : "rotateBlocks32";
  if (pool !== undefined) {
    const job: Job = { kernel, source: from, sourceToken: fromToken, sourceHead: fromHead, target: to, targetToken: toToken, targetHead: toHead, cos: tables, sin, tableToken: pairs * width, tokens: count, heads, blocks, width: pairs / blocks };
    pool.run(job, (part, scratch) => runPart(kernels, part, scratch));
  } else if (width === 8) kernels.rotateBlocks64(from, fromToken, fromHead, to, toToken, toHead, tables, sin, count, heads, blocks, pairs / blocks);
  else if (blocks === pairs) kernels.rotateAdjacent32(from, fromToken, fromHead, to, toToken, toHead, tables, sin, align(sin + count * pairs * width), count, heads, pairs);
  else kernels.rotateBlocks32(from, fromToken, fromHead, to, toToken, toHead, tables, sin, count, heads, blocks, pairs / blocks);
  if (direct) return;

  if (!is16bit(output)) {
    copyOut(floatsOf(machine, width), staging / width, elements, output, target, count, rotaryDim);
    return;
  }
  const brain = output.dtype === "bfloat16";
  if (targetIsHere) kernels.narrow(staging, address(output, target), output.tokenStride * 2, output.headStride * 2, count, heads, rotaryDim, brain);
  else {
    kernels.narrow(staging, halves, heads * rotaryDim * 2, rotaryDim * 2, count, heads, rotaryDim, brain);
    copyOut(machine.uint16, halves / 2, elements, output, target, count, rotaryDim);
  }
}

/** The caller's part of what threads do. */
function runPart(kernels: Kernels, { kernel, source, sourceToken, sourceHead, target, targetToken, targetHead, cos, sin, tokens, heads, blocks, width }: Job, scratch: number): void {
  if (kernel === "rotateAdjacent32") kernels.rotateAdjacent32(source, sourceToken, sourceHead, target, targetToken, targetHead, cos, sin, scratch, tokens, heads, blocks);
  else kernels[kernel](source, sourceToken, sourceHead, target, targetToken, targetHead, cos, sin, tokens, heads, blocks, width);
}

const align = (address: number): number => (address + 15) & ~15;
const address = ({ data }: TensorLayout, index: number): number => data.byteOffset + index * data.BYTES_PER_ELEMENT;
const floatsOf = ({ float32, float64 }: Machine, width: 4 | 8): Floats => (width === 8 ? float64 : float32);

type Copyable = Floats | Uint16Array;

/** Whether the rotated elements of the tokens of a tensor lie one after the other. */
const isPacked = ({ tokenStride, headStride, heads }: TensorLayout, rotaryDim: number): boolean => headStride === rotaryDim && tokenStride === heads * rotaryDim;

/** Copies the rotated elements of `count` tokens to `staging`, packed, from `at` on. */
function copyIn(tensor: TensorLayout, index: number, staging: Copyable, at: number, count: number, rotaryDim: number): void {
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

function copyOut(staging: Copyable, at: number, elements: number, tensor: TensorLayout, index: number, count: number, rotaryDim: number): void {
  const data = tensor.data as Copyable;
  if (isPacked(tensor, rotaryDim)) {
    data.set(staging.subarray(at, at + elements), index);
    return;
  }
  for (let t = 0, from = at; t < count; t++) {
    for (let h = 0; h < tensor.heads; h++, from += rotaryDim) {
      data.set(staging.subarray(from, from + rotaryDim), index + t * tensor.tokenStride + h * tensor.headStride);
    }
  }
}

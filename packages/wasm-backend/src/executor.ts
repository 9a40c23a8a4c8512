/**
 * Rotates with the WebAssembly kernels, wherever a tensor lies.
 *
 * A tensor in the arena is rotated where it is. One in JavaScript's memory passes through a staging area in pieces that
 * stay in the processor's cache. 16-bit elements are widened to float32, rotated, and rounded back once.
 */

import { copyUnrotated, rotateTask } from "@ropewalk/core/backend";
import type { RotationExecutor, RotationTask, TensorLayout } from "@ropewalk/core/backend";
import type { Arena } from "./arena.ts";
import { createMemory, instantiate, PIECE_BYTES, STAGING_BYTES } from "./kernel.ts";
import type { Kernels } from "./kernel.ts";

/** The kernels on a memory of tensors, and the areas in it that belong to the executor. */
export interface Machine {
  readonly kernels: Kernels;
  readonly memory: WebAssembly.Memory;
  /** First byte of an area of `STAGING_BYTES`. */
  readonly staging: number;
}

/** A machine of its own memory, or on an arena that set the area aside. */
export function createMachine(arena: Arena | undefined): Machine {
  const memory = arena?.memory ?? createMemory(STAGING_BYTES + 64, false);
  return { memory, kernels: instantiate(memory, arena?.shared ?? false), staging: arena?.staging ?? 64 };
}

/** The executor on a machine: tensors in its memory are not copied, others pass through its staging area. */
export function createExecutor(machine: Machine): RotationExecutor {
  return Object.freeze({ name: "wasm", rotate: (tasks: readonly RotationTask[]) => tasks.forEach((task) => rotateOne(machine, task)) });
}

const bytesOf = { float64: 8, float32: 4, float16: 2, bfloat16: 2 } as const;
const is16bit = ({ dtype }: TensorLayout): boolean => dtype === "float16" || dtype === "bfloat16";

function rotateOne(machine: Machine, task: RotationTask): void {
  const { input, output, rotaryDim } = task;
  const { heads, tokens } = input;
  const width = input.dtype === "float64" ? 8 : 4;
  const perToken = (heads + 1) * rotaryDim * width;
  // What the kernels are not made for is core's: scattered elements, float64 rounded to 16 bits, a token beyond the area.
  const scattered = input.elementStride !== 1 || output.elementStride !== 1;
  if (scattered || (width === 8 && is16bit(output)) || perToken > 4 * PIECE_BYTES) return rotateTask(task);
  if (heads === 0 || tokens === 0) return;
  const inPlace = input.data === output.data && input.offset === output.offset;
  if (!inPlace && rotaryDim < input.headDim) copyUnrotated(task);
  const step = Math.max(1, Math.floor(PIECE_BYTES / perToken));
  for (let b = 0; b < input.batch; b++) {
    for (let t = 0; t < tokens; t += step) rotatePiece(machine, task, b, t, Math.min(step, tokens - t), width);
  }
}

/** Rotates `count` tokens from `first` on of batch row `b`. */
function rotatePiece(machine: Machine, { input, output, table, blocks, rotaryDim, rotaryOffset }: RotationTask, b: number, first: number, count: number, width: 4 | 8): void {
  const { kernels, memory, staging } = machine;
  const { heads } = input;
  const pairs = rotaryDim / 2;
  const floats = (at: number, length: number): Float32Array | Float64Array => (width === 8 ? new Float64Array(memory.buffer, at, length) : new Float32Array(memory.buffer, at, length));

  const row = ((table.batched ? b * input.tokens : 0) + first) * pairs;
  const cos = staging;
  const sin = cos + count * pairs * width;
  floats(cos, count * pairs).set(table.cos.subarray(row, row + count * pairs));
  floats(sin, count * pairs).set(table.sin.subarray(row, row + count * pairs));

  // Packed [count, heads, rotaryDim]: as floats, and behind them as 16-bit elements on their way in or out.
  const packed = align(sin + count * pairs * width);
  const elements = count * heads * rotaryDim;
  const halves = align(packed + elements * width);
  const source = place(machine, input, b, first, rotaryOffset);
  const target = place(machine, output, b, first, rotaryOffset);

  let from = { at: packed, token: heads * rotaryDim * width, head: rotaryDim * width };
  if (source.pointer !== undefined && !is16bit(input)) {
    from = { at: source.pointer, token: input.tokenStride * width, head: input.headStride * width };
  } else if (is16bit(input)) {
    const brain = input.dtype === "bfloat16";
    if (source.pointer !== undefined) kernels.widen(source.pointer, input.tokenStride * 2, input.headStride * 2, packed, count, heads, rotaryDim, brain);
    else {
      copyIn(input, source.index, new Uint16Array(memory.buffer, halves, elements), count, rotaryDim);
      kernels.widen(halves, heads * rotaryDim * 2, rotaryDim * 2, packed, count, heads, rotaryDim, brain);
    }
  } else {
    copyIn(input, source.index, floats(packed, elements), count, rotaryDim);
  }

  const direct = target.pointer !== undefined && bytesOf[output.dtype] === width;
  const to = direct ? { at: target.pointer!, token: output.tokenStride * width, head: output.headStride * width } : { at: packed, token: heads * rotaryDim * width, head: rotaryDim * width };
  const per = pairs / blocks;
  if (width === 8) kernels.rotateBlocks64(from.at, from.token, from.head, to.at, to.token, to.head, cos, sin, count, heads, blocks, per);
  else if (per === 1) kernels.rotateAdjacent32(from.at, from.token, from.head, to.at, to.token, to.head, cos, sin, count, heads, pairs);
  else kernels.rotateBlocks32(from.at, from.token, from.head, to.at, to.token, to.head, cos, sin, count, heads, blocks, per);
  if (direct) return;

  if (!is16bit(output)) {
    copyOut(floats(packed, elements), output, target.index, count, rotaryDim);
    return;
  }
  const brain = output.dtype === "bfloat16";
  if (target.pointer !== undefined) kernels.narrow(packed, target.pointer, output.tokenStride * 2, output.headStride * 2, count, heads, rotaryDim, brain);
  else {
    kernels.narrow(packed, halves, heads * rotaryDim * 2, rotaryDim * 2, count, heads, rotaryDim, brain);
    copyOut(new Uint16Array(memory.buffer, halves, elements), output, target.index, count, rotaryDim);
  }
}

const align = (address: number): number => (address + 15) & ~15;

/** Where the first rotated element of a token lies: its index, and its address if it is in the machine's memory. */
function place({ memory }: Machine, tensor: TensorLayout, b: number, token: number, rotaryOffset: number): { index: number; pointer: number | undefined } {
  const index = tensor.offset + b * tensor.batchStride + token * tensor.tokenStride + rotaryOffset;
  const inMemory = tensor.data.buffer === memory.buffer;
  return { index, pointer: inMemory ? tensor.data.byteOffset + index * tensor.data.BYTES_PER_ELEMENT : undefined };
}

type Copyable = Float64Array | Float32Array | Uint16Array;

/** Whether the rotated elements of the tokens of a tensor lie one after the other. */
const isPacked = ({ tokenStride, headStride, heads }: TensorLayout, rotaryDim: number): boolean => headStride === rotaryDim && tokenStride === heads * rotaryDim;

function copyIn(tensor: TensorLayout, index: number, packed: Copyable, count: number, rotaryDim: number): void {
  const data = tensor.data as Copyable;
  if (isPacked(tensor, rotaryDim)) {
    packed.set(data.subarray(index, index + packed.length));
    return;
  }
  for (let t = 0, at = 0; t < count; t++) {
    for (let h = 0; h < tensor.heads; h++, at += rotaryDim) {
      const start = index + t * tensor.tokenStride + h * tensor.headStride;
      packed.set(data.subarray(start, start + rotaryDim), at);
    }
  }
}

function copyOut(packed: Copyable, tensor: TensorLayout, index: number, count: number, rotaryDim: number): void {
  const data = tensor.data as Copyable;
  if (isPacked(tensor, rotaryDim)) {
    data.set(packed, index);
    return;
  }
  for (let t = 0, at = 0; t < count; t++) {
    for (let h = 0; h < tensor.heads; h++, at += rotaryDim) {
      data.set(packed.subarray(at, at + rotaryDim), index + t * tensor.tokenStride + h * tensor.headStride);
    }
  }
}

/**
 * The pass of typed arrays by way of the device: upload, one dispatch, and copy back.
 *
 * Tensors may be views of one packed array, and a shader has few bindings, so all memory goes to one buffer of the
 * device: of each ArrayBuffer what lies between the first and the last byte that a tensor uses. Only the elements of
 * outputs are written back.
 */

import type { RotationShape, Turns } from "@ropewalk/core/backend";
import type { PassTask, PassTensor } from "@ropewalk/core/pass";
import type { DeviceState } from "./device.ts";
import type { PassSlots } from "./device-tensors.ts";
import { dispatch } from "./dispatch.ts";
import { MAP_READ, usage } from "./gpu.ts";
import { passBindings, planPass, spanOf } from "./pass-plan.ts";
import { deviceMemory } from "./plan.ts";
import { interleaveRows } from "./table.ts";
import type { ReadBack } from "./transfer.ts";
import type { Uploads } from "./uploads.ts";

/** A checked pass of typed arrays. */
export interface HostPass {
  /** Without tables. */
  readonly tasks: readonly PassTask[];
  readonly slots: PassSlots;
  readonly turns: Turns;
  readonly shape: RotationShape;
}

/** A buffer with the used parts of arrays. */
interface Regions {
  readonly buffer: GPUBuffer;
  /** What is added to a byte of an ArrayBuffer to get its place in the buffer; a multiple of 16. */
  readonly moves: ReadonlyMap<ArrayBufferLike, number>;
}

/** Uploads, records and submits. The buffers that it creates are added to `own`. */
export function startPass(
  state: DeviceState,
  uploads: Uploads,
  { tasks, slots, turns, shape }: HostPass,
  own: GPUBuffer[],
): readonly ReadBack[] {
  const { device } = state;
  if (tasks.length === 0) return [];
  const regions = uploadRegions(device, tasks, own);
  const there = (tensor: PassTensor): PassTensor => {
    const { layout, scales } = tensor;
    const { data, dtype } = layout;
    const offset = layout.offset + (data.byteOffset + regions.moves.get(data.buffer)!) / data.BYTES_PER_ELEMENT;
    const memory = deviceMemory(regions.buffer, dtype) as unknown as typeof data;
    return { ...tensor, layout: { ...layout, data: memory, offset }, scales: scales && there(scales) };
  };
  const moved = tasks.map((task): PassTask => {
    const input = there(task.input);
    return { ...task, input, output: task.output === task.input ? input : there(task.output) };
  });
  const request = { ...shape, slots, rows: { kind: "gathered" }, batched: turns.batch !== undefined } as const;
  const plan = planPass({ ...request, tasks: moved, positionValues: {} }, state);
  if (plan === undefined) return [];
  const entries = passBindings(plan, uploads, {
    table() {
      const { cos, sin } = turns.table("float32");
      const rows = interleaveRows(cos as Float32Array, sin as Float32Array, shape.rotaryDim / 2);
      return uploads.write(rows, usage.storage, false);
    },
  });
  const encoder = device.createCommandEncoder({ label: "ropewalk" });
  dispatch(device, encoder, state.pipeline(plan.kernel), entries, plan.groups);
  const result = readOutputs(device, encoder, regions, tasks, own);
  device.queue.submit([encoder.finish()]);
  return [result];
}

/** The used parts of all arrays, one after another in one buffer. */
function uploadRegions(device: GPUDevice, tasks: readonly PassTask[], own: GPUBuffer[]): Regions {
  const spans = new Map<ArrayBufferLike, { low: number; high: number; isRead: boolean }>();
  const add = (tensor: PassTensor, isRead: boolean): void => {
    const { data } = tensor.layout;
    const { low, high } = spanOf(tensor);
    const span = spans.get(data.buffer) ?? { low: Infinity, high: 0, isRead: false };
    span.low = Math.min(span.low, data.byteOffset + low * data.BYTES_PER_ELEMENT);
    span.high = Math.max(span.high, data.byteOffset + high * data.BYTES_PER_ELEMENT);
    span.isRead ||= isRead;
    spans.set(data.buffer, span);
    if (tensor.scales !== undefined) add(tensor.scales, isRead);
  };
  for (const { input, output } of tasks) {
    add(input, true);
    if (output !== input) add(output, false);
  }
  const moves = new Map<ArrayBufferLike, number>();
  let size = 0;
  for (const [memory, { low, high }] of spans) {
    const start = Math.floor(low / 16) * 16;
    moves.set(memory, size - start);
    size += Math.ceil((high - start) / 16) * 16;
  }
  const kinds = usage.storage | usage.copyTarget | usage.copySource;
  const buffer = device.createBuffer({ label: "ropewalk", size, usage: kinds });
  own.push(buffer);
  for (const [memory, { low, high, isRead }] of spans) {
    if (!isRead) continue;
    const start = Math.floor(low / 16) * 16;
    const bytes = new Uint8Array(Math.ceil((high - start) / 16) * 16);
    bytes.set(new Uint8Array(memory, start, high - start));
    device.queue.writeBuffer(buffer, start + moves.get(memory)!, bytes);
  }
  return { buffer, moves };
}

/** Records the copy of the buffer; `write` copies the elements of the outputs. */
function readOutputs(
  device: GPUDevice,
  encoder: GPUCommandEncoder,
  { buffer, moves }: Regions,
  tasks: readonly PassTask[],
  own: GPUBuffer[],
): ReadBack {
  const { size } = buffer;
  const staging = device.createBuffer({ label: "ropewalk", size, usage: usage.copyTarget | usage.mapRead });
  own.push(staging);
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, size);
  return {
    map: () => staging.mapAsync(MAP_READ),
    write() {
      const bytes = new Uint8Array(staging.getMappedRange());
      for (const task of tasks) {
        for (const tensor of [task.output, task.output.scales]) {
          if (tensor === undefined) continue;
          const memory = tensor.layout.data.buffer;
          const target = new Uint8Array(memory);
          const move = moves.get(memory)!;
          eachRun(task, tensor, (first, length) =>
            target.set(bytes.subarray(first + move, first + move + length), first),
          );
        }
      }
    },
  };
}

/** Calls `use` for each run of bytes that a task writes to a tensor. */
function eachRun(
  { batch, tokens, heads, input, output }: PassTask,
  { layout, rows, groupHeads, groupStride }: PassTensor,
  use: (first: number, length: number) => void,
): void {
  const { data, offset, batchStride, tokenStride, headStride, elementStride, headDim } = layout;
  const size = data.BYTES_PER_ELEMENT;
  const isDense = elementStride === 1;
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < tokens; t++) {
      const token = b * tokens + t;
      if ((input.rows?.[token] ?? 0) < 0 || (output.rows?.[token] ?? 0) < 0) continue;
      const row = rows === undefined ? offset + b * batchStride + t * tokenStride : rows[token]!;
      for (let h = 0; h < heads; h++) {
        const first = row + Math.floor(h / groupHeads) * groupStride + (h % groupHeads) * headStride;
        const at = data.byteOffset + first * size;
        if (isDense) use(at, headDim * size);
        else for (let i = 0; i < headDim; i++) use(at + i * elementStride * size, size);
      }
    }
  }
}

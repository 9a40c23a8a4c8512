/**
 * From the checked tasks of a pass to one dispatch: its kernel, its parts of buffers, its numbers, and the values that
 * the host uploads for it.
 *
 * What two invocations would race for is refused: each invocation writes whole words, so outputs of 16 bits need even
 * offsets and strides, outputs of 8 bits multiples of four.
 */

import { RopeError } from "@ropewalk/core";
import { extent, shapeError } from "@ropewalk/core/backend";
import type { RotationShape, TensorLayout } from "@ropewalk/core/backend";
import { loadWeight } from "@ropewalk/core/pass";
import type { CacheLayout, PassNorm, PassTask, PassTensor } from "@ropewalk/core/pass";
import type { HiddenSlots, PassSlots } from "./device-tensors.ts";
import { numbered } from "./dispatch.ts";
import type { BoundResource } from "./dispatch.ts";
import { usage } from "./gpu.ts";
import { FIRST_MEMORY } from "./kernel.ts";
import type { KernelRows } from "./kernel-description.ts";
import { CHUNK, hasLists, lanesOfTensor, passFields } from "./pass-description.ts";
import type { PassKernel, PassKernelNorm, PassKernelTensor, PassRole } from "./pass-description.ts";
import { hasFaults } from "./pass-kernel.ts";
import { fold, memoryOf, partsOf, requireFewBuffers } from "./plan.ts";
import type { BoundRange, BufferUse, Part, PlanLimits } from "./plan.ts";
import type { Uploads } from "./uploads.ts";

/** The input of a plan. */
export interface PassRequest extends RotationShape {
  /** Query, key, value, without those that have no element. */
  readonly tasks: readonly PassTask[];
  readonly slots: PassSlots;
  readonly rows: KernelRows;
  /** Whether each batch row has its own positions. */
  readonly batched: boolean;
  /** The values of the fields of positions. */
  readonly positionValues: Readonly<Record<string, number>>;
}

/** A dispatch, ready to be recorded. */
export interface PassPlan {
  readonly kernel: PassKernel;
  readonly call: ArrayBuffer;
  /** The kernel's memories in order. */
  readonly ranges: readonly BoundRange[];
  /** Weights, slots and factors of the host; `undefined` if the kernel has none. */
  readonly lists: Uint32Array<ArrayBuffer> | undefined;
  readonly groups: readonly [number, number];
  readonly bytes: number;
}

/** The most rounds of a workgroup: its values stay in registers. */
const MOST_ROUNDS = 64;
const NONE = 0xffffffff;

/** A task with its name and its sides: `[prefix, path, tensor]`. */
interface Named {
  readonly name: PassTask["name"];
  readonly task: PassTask;
  readonly sides: readonly (readonly [string, string, PassTensor])[];
}

/**
 * The plan of one dispatch; `undefined` if no tensor has an element.
 *
 * @throws RopeError `ROPE_UNSUPPORTED` for a call beyond the device's limits, or one whose invocations would share
 * words or whose heads are too large; `ROPE_SHAPE` for a buffer whose last bytes cannot be bound, or for slots in a
 * buffer that the call writes.
 */
export function planPass(
  { tasks, slots: allSlots, rows, batched, positionValues, rotaryDim, rotaryOffset, blocks }: PassRequest,
  { limits, hasFloat16 }: PlanLimits,
): PassPlan | undefined {
  if (tasks.length === 0) return undefined;
  const workgroupSize = Math.min(256, limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX);
  const named = tasks.map((task): Named => {
    const { name } = task;
    const sides: Named["sides"] =
      task.output === task.input
        ? [[name, name, task.input]]
        : [
            [name, name, task.input],
            [`${name}_out`, `out.${name}`, task.output],
          ];
    return { name, task, sides };
  });
  for (const { name, task, sides } of named) {
    const { headDim, norm, heads } = task;
    const shape = { headDim, norm: norm && { heads: norm.overHeads ? heads : null } };
    const { lanes, rounds } = lanesOfTensor({ ...shape, norm: shape.norm ?? null }, workgroupSize);
    if (lanes > workgroupSize) throw tooLarge(name, `heads of at most ${workgroupSize * CHUNK} elements`, `${headDim}`);
    if (rounds > MOST_ROUNDS) {
      throw tooLarge(name, `a norm over at most ${MOST_ROUNDS} rounds of a workgroup`, `${heads} heads of ${headDim}`);
    }
    requireOwnWords(...(sides.at(-1)!.slice(1) as [string, PassTensor]));
  }

  const uses = named.flatMap(({ task, sides }) => [
    ...sides.flatMap(([, path, tensor]) => {
      const slots = allSlots.get(`${path}.slots`);
      return [
        useOf(tensor, tensor === task.output),
        ...(tensor.scales === undefined ? [] : [useOf(tensor.scales, tensor === task.output)]),
        ...(slots === undefined || slots instanceof Float64Array ? [] : [useOfWords(slots)]),
      ];
    }),
    ...[deviceWeight(task.norm)].filter((weight) => weight !== undefined).map(useOfWeight),
  ]);
  const parts = partsOf(uses, limits);
  const partOf = (buffer: GPUBuffer): number => parts.findIndex(({ range }) => range.buffer === buffer);
  for (const [path, slots] of allSlots) {
    if (slots instanceof Float64Array) continue;
    const index = partOf(slots.buffer);
    if (index >= 0 && parts[index]!.memory.writable) {
      throw shapeError(path, "a buffer that the call does not write", "the buffer of a tensor that it writes");
    }
  }

  const width = rotaryDim / 2 / blocks;
  const multiples = [rotaryOffset, width === 1 ? rotaryDim : width];
  const kernel: PassKernel = {
    kind: "pass",
    rotaryDim,
    rotaryOffset,
    blocks,
    run: multiples.every((multiple) => multiple % CHUNK === 0) ? CHUNK : 1,
    tensors: named.map(({ name, task, sides }): PassKernelTensor => {
      const roles = sides.map(([, path, tensor]) => roleOf(tensor, allSlots.get(`${path}.slots`), partOf));
      return {
        name,
        headDim: task.headDim,
        rotated: name !== "value",
        input: roles[0]!,
        output: roles[1] ?? null,
        norm: normOf(task, partOf),
        factors: task.factors !== undefined,
      };
    }),
    memories: parts.map(({ memory: { writable, words } }) => ({ writable, words })),
    rows,
    nativeFloat16: hasFloat16 && uses.some(({ isFloat16 }) => isFloat16),
    workgroupSize,
  };
  const isRotated = kernel.tensors.some(({ rotated }) => rotated);
  const bound =
    parts.length +
    Number(isRotated) +
    Number(hasLists(kernel)) +
    Number(rows.kind !== "gathered") +
    Number(hasFaults(kernel));
  requireFewBuffers(bound, limits);

  const lists = new Lists();
  const numbers: Record<string, number> = {
    tokens: tasks[0]!.tokens,
    batch_rows: batched ? tasks[0]!.tokens : 0,
    ...positionValues,
  };
  let end = 0;
  named.forEach(({ name, task, sides }, t) => {
    const tensor = kernel.tensors[t]!;
    const { batch, tokens, heads, norm } = task;
    const places = batch * tokens;
    const shape = lanesOfTensor(tensor, workgroupSize);
    end += norm?.overHeads === true ? places : Math.ceil((places * heads) / shape.heads);
    numbers[`${name}_end`] = end;
    numbers[`${name}_heads`] = heads;
    numbers[`${name}_places`] = places;
    for (const [prefix, path, side] of sides) {
      const { layout, groupHeads, groupStride, scale, scales } = side;
      placeNumbers(numbers, prefix, layout, parts);
      numbers[`${prefix}_group`] = groupStride;
      numbers[`${prefix}_group_heads`] = groupHeads;
      numbers[`${prefix}_scale`] = scale;
      if (scales !== undefined) placeNumbers(numbers, `${prefix}_scales`, scales.layout, parts);
      const slots = allSlots.get(`${path}.slots`);
      if (slots === undefined) continue;
      numbers[`${prefix}_block`] = layout.tokens;
      numbers[`${prefix}_limit`] = layout.batch * layout.tokens;
      numbers[`${prefix}_slots`] =
        slots instanceof Float64Array
          ? lists.add(Uint32Array.from(slots, (slot) => (slot < 0 ? NONE : slot)))
          : slots.offset - offsetOf(slots.buffer, parts) / 4;
    }
    if (norm !== undefined) {
      numbers[`${name}_epsilon`] = norm.epsilon;
      const weight = deviceWeight(norm);
      if (weight !== undefined) {
        const { buffer, BYTES_PER_ELEMENT } = memoryOf(weight);
        numbers[`${name}_weight`] = weight.offset - offsetOf(buffer, parts) / BYTES_PER_ELEMENT;
        numbers[`${name}_term`] = norm.weightOffset;
      } else if (norm.weight !== undefined) {
        const values = new Float32Array(norm.weight.headDim);
        loadWeight(norm, values, 0);
        numbers[`${name}_weight`] = lists.add(padded(values, task.headDim));
      }
    }
    if (task.factors !== undefined) numbers[`${name}_factors`] = lists.add(bitsOf(task.factors));
  });
  const { groups, span } = fold(end * workgroupSize, workgroupSize, limits);
  numbers["span"] = span / workgroupSize;
  const bytes = tasks.reduce((sum, { batch, tokens, heads, headDim, input, output }) => {
    const size = memoryOf(input.layout).BYTES_PER_ELEMENT + memoryOf(output.layout).BYTES_PER_ELEMENT;
    return sum + batch * tokens * heads * headDim * size;
  }, 0);
  return {
    kernel,
    call: packed(kernel, numbers),
    ranges: parts.map(({ range }) => range),
    lists: hasLists(kernel) ? lists.words() : undefined,
    groups,
    bytes,
  };
}

/** The buffers of a dispatch beside its tensors. */
export interface PassResources {
  table(): BoundRange;
  /** Of a kernel with positions. */
  readonly positions?: BoundRange | undefined;
  /** Of a kernel that counts tokens that it leaves out. */
  faults?(): BoundRange;
}

/** What the kernel of a pass binds: no table without queries and keys, and faults only where there may be some. */
export function passBindings(
  { kernel, call, ranges, lists }: PassPlan,
  uploads: Uploads,
  { table, positions, faults }: PassResources,
): BoundResource[] {
  const uniform = uploads.write(new Uint8Array(call), usage.uniform, false);
  const uploaded = lists && uploads.write(new Uint8Array(lists.buffer), usage.storage, false);
  const counted = hasFaults(kernel) ? faults?.() : undefined;
  const further = [uploaded, positions, counted].filter((range) => range !== undefined);
  const isRotated = kernel.tensors.some(({ rotated }) => rotated);
  return [
    ...numbered([uniform]),
    ...(isRotated ? [{ binding: 1, resource: table() }] : []),
    ...numbered([...ranges, ...further], FIRST_MEMORY),
  ];
}

const tooLarge = (name: string, expected: string, received: string): RopeError =>
  new RopeError("ROPE_UNSUPPORTED", {
    what: `"${name}" is too large for a pass on the device`,
    expected,
    received,
    remedy: "Call norm and rotation one after another.",
  });

/** The distances of a tensor's elements that occur, in elements. */
function distances({ layout, groupHeads, groupStride }: PassTensor): number[] {
  const { offset, batch, batchStride, tokens, tokenStride, heads, headStride, headDim } = layout;
  return [
    offset,
    headDim,
    batch > 1 ? batchStride : 0,
    tokens > 1 ? tokenStride : 0,
    Math.min(heads, groupHeads) > 1 ? headStride : 0,
    heads > groupHeads ? groupStride : 0,
  ];
}

const isDense = ({ layout: { elementStride, headDim } }: PassTensor): boolean => elementStride === 1 || headDim === 1;

/** @throws RopeError `ROPE_UNSUPPORTED` for an output whose elements share words with those of another invocation. */
function requireOwnWords(path: string, tensor: PassTensor): void {
  const shared = 4 / memoryOf(tensor.layout).BYTES_PER_ELEMENT;
  if (shared === 1 || (isDense(tensor) && distances(tensor).every((distance) => distance % shared === 0))) return;
  throw new RopeError("ROPE_UNSUPPORTED", {
    what: `"${path}" has elements that share 32-bit words`,
    expected: `contiguous heads whose size, offset and strides are multiples of ${shared} elements of ${tensor.layout.dtype}`,
    received: `[${distances(tensor).join(", ")}]`,
    remedy: "Two invocations would write one word. Pad the heads, or use float32.",
  });
}

const isAligned = (tensor: PassTensor): boolean =>
  isDense(tensor) && distances(tensor).every((distance) => distance % CHUNK === 0);

interface PassUse extends BufferUse {
  readonly isFloat16: boolean;
}

/** The first element of a tensor, and the one after its last. */
export function spanOf({ layout, groupHeads, groupStride }: PassTensor): {
  readonly low: number;
  readonly high: number;
} {
  const group = { ...layout, heads: Math.min(layout.heads, groupHeads) } as TensorLayout;
  const { low, high } = extent(group);
  return { low, high: high + 1 + (Math.ceil(layout.heads / groupHeads) - 1) * groupStride };
}

function useOf(tensor: PassTensor, writable: boolean): PassUse {
  const { layout } = tensor;
  const { buffer, BYTES_PER_ELEMENT: bytes } = memoryOf(layout);
  const { low, high } = spanOf(tensor);
  return {
    buffer,
    low: low * bytes,
    high: high * bytes,
    writable,
    atomic: false,
    words: isAligned(tensor) ? bytes : 1,
    isFloat16: layout.dtype === "float16",
  };
}

const useOfWords = ({ buffer, offset, count }: HiddenSlots): PassUse => ({
  buffer,
  low: offset * 4,
  high: (offset + count) * 4,
  writable: false,
  atomic: false,
  words: 1,
  isFloat16: false,
});

/** A weight in a buffer of the device. */
const deviceWeight = (norm: PassNorm | undefined): TensorLayout | undefined =>
  norm?.weight !== undefined && !ArrayBuffer.isView(norm.weight.data) ? norm.weight : undefined;

function useOfWeight(weight: TensorLayout): PassUse {
  const { buffer, BYTES_PER_ELEMENT: bytes } = memoryOf(weight);
  const low = weight.offset * bytes;
  const high = low + weight.headDim * bytes;
  return { buffer, low, high, writable: false, atomic: false, words: 1, isFloat16: weight.dtype === "float16" };
}

/** The first byte of the bound part of a buffer. */
const offsetOf = (buffer: GPUBuffer, parts: readonly Part[]): number =>
  parts.find(({ range }) => range.buffer === buffer)!.range.offset;

function roleOf(
  tensor: PassTensor,
  slots: Float64Array | HiddenSlots | undefined,
  partOf: (buffer: GPUBuffer) => number,
): PassRole {
  const { layout, groupHeads, scales } = tensor;
  return {
    memory: partOf(memoryOf(layout).buffer),
    dtype: layout.dtype as PassRole["dtype"],
    aligned: isAligned(tensor),
    grouped: groupHeads < layout.heads,
    slots: slots === undefined ? null : slots instanceof Float64Array ? "list" : partOf(slots.buffer),
    scales: scales === undefined ? null : partOf(memoryOf(scales.layout).buffer),
  };
}

function normOf({ norm, heads, headDim }: PassTask, partOf: (buffer: GPUBuffer) => number): PassKernelNorm | null {
  if (norm === undefined) return null;
  const there = deviceWeight(norm);
  const weight: PassKernelNorm["weight"] =
    there === undefined
      ? norm.weight === undefined
        ? null
        : "list"
      : {
          memory: partOf(memoryOf(there).buffer),
          dtype: there.dtype as PassRole["dtype"],
          aligned: there.offset % CHUNK === 0 && headDim % CHUNK === 0,
        };
  return { after: norm.after, heads: norm.overHeads ? heads : null, weight };
}

function placeNumbers(
  numbers: Record<string, number>,
  prefix: string,
  layout: CacheLayout,
  parts: readonly Part[],
): void {
  const { buffer, BYTES_PER_ELEMENT } = memoryOf(layout);
  numbers[`${prefix}_offset`] = layout.offset - offsetOf(buffer, parts) / BYTES_PER_ELEMENT;
  numbers[`${prefix}_batch`] = layout.batchStride;
  numbers[`${prefix}_token`] = layout.tokenStride;
  numbers[`${prefix}_head`] = layout.headStride;
  numbers[`${prefix}_element`] = layout.elementStride;
}

/** A weight as words, each head padded to whole chunks. */
function padded(weight: Float32Array, headDim: number): Uint32Array {
  const words = bitsOf(weight);
  if (headDim % CHUNK === 0) return words;
  const width = Math.ceil(headDim / CHUNK) * CHUNK;
  const rows = weight.length / headDim;
  const result = new Uint32Array(rows * width);
  for (let row = 0; row < rows; row++) result.set(words.subarray(row * headDim, (row + 1) * headDim), row * width);
  return result;
}

const bitsOf = ({ buffer, byteOffset, length }: Float32Array): Uint32Array =>
  new Uint32Array(buffer, byteOffset, length);

/** Values of the host in one buffer, each list from a multiple of a chunk on. */
class Lists {
  readonly #lists: { readonly at: number; readonly list: Uint32Array }[] = [];
  #end = 0;

  /** The index of the first word. */
  add(list: Uint32Array): number {
    const at = this.#end;
    this.#lists.push({ at, list });
    this.#end = Math.ceil((at + list.length) / CHUNK) * CHUNK;
    return at;
  }

  words(): Uint32Array<ArrayBuffer> {
    const words = new Uint32Array(this.#end);
    for (const { at, list } of this.#lists) words.set(list, at);
    return words;
  }
}

function packed(kernel: PassKernel, numbers: Readonly<Record<string, number>>): ArrayBuffer {
  const fields = passFields(kernel);
  const words = new DataView(new ArrayBuffer(fields.length * 4));
  fields.forEach(({ name, type }, i) => {
    if (type === "f32") words.setFloat32(4 * i, numbers[name]!, true);
    // Negative strides rely on the shader's arithmetic modulo 2^32.
    else words.setUint32(4 * i, numbers[name]!, true);
  });
  return words.buffer;
}

/**
 * From checked layouts to one dispatch: its kernel, its parts of buffers, and its numbers.
 */

import { RopeError } from "@ropewalk/core";
import { extent } from "@ropewalk/core/backend";
import type { RotationShape, TensorLayout } from "@ropewalk/core/backend";
import type { CacheElementType } from "@ropewalk/core/pass";
import { callFields } from "./kernel.ts";
import { unitsOf } from "./kernel-description.ts";
import type {
  Kernel,
  KernelElement,
  KernelMemory,
  KernelRole,
  KernelRows,
  KernelTensor,
  Run,
} from "./kernel-description.ts";

/** Memory on a device, in the place of a typed array in a layout. */
export interface DeviceMemory {
  readonly buffer: GPUBuffer;
  readonly byteOffset: 0;
  readonly length: number;
  readonly BYTES_PER_ELEMENT: number;
}

/**
 * One tensor to rotate; `output` is `input` itself for a rotation in place. The `data` of layouts is a
 * {@link DeviceMemory}.
 */
export interface PlannedTensor {
  readonly name: "query" | "key";
  readonly input: TensorLayout;
  readonly output: TensorLayout;
}

/** The input of a plan. */
export interface PlanRequest extends RotationShape {
  readonly tensors: readonly PlannedTensor[];
  readonly rows: KernelRows;
  /** Whether each batch row has its own positions. */
  readonly batched: boolean;
  /** The values of further fields of `call`. */
  readonly values?: Readonly<Record<string, number>>;
}

/** A part of a buffer, in bytes. */
export interface BoundRange {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
}

/** A dispatch, ready to be recorded. */
export interface Plan {
  readonly kernel: Kernel;
  /** The contents of the uniform `call`. */
  readonly call: ArrayBuffer;
  /** The kernel's memories in order. */
  readonly ranges: readonly BoundRange[];
  readonly groups: readonly [number, number];
  /** Bytes of tensor elements read and written. */
  readonly bytes: number;
}

/** The properties of a device that a plan depends on. */
export interface PlanLimits {
  readonly limits: GPUSupportedLimits;
  readonly hasFloat16: boolean;
}

/** Memory on a device for a layout. */
export function deviceMemory(buffer: GPUBuffer, dtype: CacheElementType): DeviceMemory {
  const BYTES_PER_ELEMENT = dtype === "float32" ? 4 : dtype === "int8" || dtype === "float8_e4m3" ? 1 : 2;
  return { buffer, byteOffset: 0, length: Math.floor(buffer.size / BYTES_PER_ELEMENT), BYTES_PER_ELEMENT };
}

export const memoryOf = ({ data }: { readonly data: object }): DeviceMemory => data as unknown as DeviceMemory;

/**
 * The plan of one dispatch; `undefined` if no tensor has an element.
 *
 * @throws RopeError `ROPE_UNSUPPORTED` for a call beyond the device's limits; `ROPE_SHAPE` for a buffer whose last
 * bytes cannot be bound.
 */
export function planDispatch(request: PlanRequest, { limits, hasFloat16 }: PlanLimits): Plan | undefined {
  const tensors = request.tensors.filter(({ input }) => input.batch * input.tokens * input.heads > 0);
  const [first] = tensors;
  if (first === undefined) return undefined;
  const { batch, tokens, headDim } = first.input;
  const run = longestRun(request, tensors);
  const parts = memoryParts(tensors, run, limits);

  const roleOf = (layout: TensorLayout): KernelRole => ({
    memory: parts.findIndex(({ range }) => range.buffer === memoryOf(layout).buffer),
    dtype: layout.dtype as KernelElement,
  });
  const own: Omit<Kernel, "heads"> = {
    headDim,
    rotaryDim: request.rotaryDim,
    rotaryOffset: request.rotaryOffset,
    blocks: request.blocks,
    run,
    tensors: tensors.map(({ name, input, output }): KernelTensor =>
      output === input ? { name, input: roleOf(input) } : { name, input: roleOf(input), output: roleOf(output) },
    ),
    memories: parts.map(({ memory }) => memory),
    rows: request.rows,
    nativeFloat16:
      hasFloat16 && tensors.some(({ input, output }) => input.dtype === "float16" || output.dtype === "float16"),
    workgroupSize: Math.min(256, limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX),
  };
  const heads = tensors.reduce((sum, { input }) => sum + input.heads, 0);
  const { rotated, copied } = unitsOf(own);
  const all = batch * tokens * heads * (rotated + copied);
  const kernel: Kernel = { ...own, heads: sharedHeads(own, tensors, all) };
  const bound = kernel.memories.length + (request.rows.kind === "gathered" ? 1 : 3);
  requireFewBuffers(bound, limits);

  const count = all / kernel.heads;
  const { groups, span } = fold(count, kernel.workgroupSize, limits);
  const values: Record<string, number> = {
    count,
    span,
    tokens,
    batch_rows: request.batched ? tokens : 0,
    heads: heads / kernel.heads,
    query_heads: first.input.heads,
    ...request.values,
  };
  for (const { name, input, output } of tensors) {
    Object.assign(values, layoutValues(name, input, parts));
    if (output !== input) Object.assign(values, layoutValues(`${name}_out`, output, parts));
  }
  const bytes = tensors.reduce((sum, { input, output }) => {
    const moved = input.batch * input.tokens * input.heads * (output === input ? request.rotaryDim : headDim);
    return sum + moved * (memoryOf(input).BYTES_PER_ELEMENT + memoryOf(output).BYTES_PER_ELEMENT);
  }, 0);
  return { kernel, call: packed(kernel, values), ranges: parts.map(({ range }) => range), groups, bytes };
}

/** @throws RopeError `ROPE_UNSUPPORTED` for more storage buffers than a shader may use. */
export function requireFewBuffers(bound: number, { maxStorageBuffersPerShaderStage: most }: GPUSupportedLimits): void {
  if (bound <= most) return;
  throw new RopeError("ROPE_UNSUPPORTED", {
    what: "the call uses too many buffers",
    expected: `at most ${most} storage buffers (maxStorageBuffersPerShaderStage)`,
    received: `${bound}`,
    remedy: "Request the device with a higher limit, rotate in place, or rotate query and key in two calls.",
    facts: { bound },
  });
}

/** The largest run that divides every offset and stride, and the rotated and copied parts of a head. */
function longestRun({ rotaryDim, rotaryOffset, blocks }: RotationShape, tensors: readonly PlannedTensor[]): Run {
  const layouts = tensors.flatMap(({ input, output }) => [input, output]);
  const width = rotaryDim / 2 / blocks;
  const multiples = [rotaryOffset, width === 1 ? rotaryDim : width];
  for (const { input, output } of tensors) {
    if (output !== input) multiples.push(input.headDim - rotaryDim);
    for (const t of [input, output]) {
      if (t.elementStride !== 1 && t.headDim > 1) return 1;
      multiples.push(
        t.offset,
        t.batch > 1 ? t.batchStride : 0,
        t.tokens > 1 ? t.tokenStride : 0,
        t.heads > 1 ? t.headStride : 0,
      );
    }
  }
  // Loads of 16 bytes: with narrower loads, instructions and not memory limit a graphics card.
  const longest: readonly Run[] = layouts.every((layout) => memoryOf(layout).BYTES_PER_ELEMENT === 2)
    ? [8, 4, 2]
    : [4, 2];
  return longest.find((run) => multiples.every((multiple) => multiple % run === 0)) ?? 1;
}

/** Enough invocations to keep a large graphics card busy. */
const FEWEST_INVOCATIONS = 1 << 16;

/**
 * Heads of one invocation. To compute cos and sin takes longer than to move the elements of a head. So heads share cos
 * and sin, as many as possible while the device still has enough invocations.
 */
function sharedHeads(
  { rows }: Omit<Kernel, "heads">,
  tensors: readonly PlannedTensor[],
  invocations: number,
): Kernel["heads"] {
  if (rows.kind !== "factored") return 1;
  return (
    ([8, 4, 2] as const).find(
      (count) => invocations / count >= FEWEST_INVOCATIONS && tensors.every(({ input }) => input.heads % count === 0),
    ) ?? 1
  );
}

/** A use of a part of a buffer, in bytes. */
export interface BufferUse {
  readonly buffer: GPUBuffer;
  readonly low: number;
  /** The byte after the last. */
  readonly high: number;
  readonly writable: boolean;
  readonly atomic: boolean;
  /** 32-bit words of one load. */
  readonly words: number;
}

/** A buffer's part and its binding. */
export interface Part {
  readonly memory: KernelMemory;
  readonly range: BoundRange;
}

/** Each buffer once, from the first to the last byte that a tensor uses. */
function memoryParts(tensors: readonly PlannedTensor[], run: Run, limits: GPUSupportedLimits): Part[] {
  const uses: BufferUse[] = [];
  for (const { input, output } of tensors) {
    for (const layout of new Set([input, output])) {
      const { buffer, BYTES_PER_ELEMENT: bytes } = memoryOf(layout);
      const { low, high } = extent(layout);
      uses.push({
        buffer,
        low: low * bytes,
        high: (high + 1) * bytes,
        writable: layout === output,
        // Two invocations may write the halves of one word.
        atomic: layout === output && bytes === 2 && run === 1,
        words: Math.max(1, (run * bytes) / 4),
      });
    }
  }
  return partsOf(uses, limits);
}

/** Each buffer once, from the first to the last byte of its uses. */
export function partsOf(uses: readonly BufferUse[], limits: GPUSupportedLimits): Part[] {
  const buffers = new Map<
    GPUBuffer,
    { low: number; high: number; writable: boolean; atomic: boolean; words: Set<number> }
  >();
  for (const { buffer, low, high, writable, atomic, words } of uses) {
    const part = buffers.get(buffer) ?? { low: Infinity, high: 0, writable: false, atomic: false, words: new Set() };
    part.low = Math.min(part.low, low);
    part.high = Math.max(part.high, high);
    part.writable ||= writable;
    part.atomic ||= atomic;
    part.words.add(words);
    buffers.set(buffer, part);
  }
  return Array.from(buffers, ([buffer, { low, high, writable, atomic, words }]) => {
    const alignment = Math.max(16, limits.minStorageBufferOffsetAlignment);
    const offset = Math.floor(low / alignment) * alignment;
    const size = Math.ceil((high - offset) / 4) * 4;
    if (offset + size > buffer.size) {
      throw new RopeError("ROPE_SHAPE", {
        what: "the last element of a tensor cannot be bound",
        expected: "a buffer whose size is a multiple of 4 bytes",
        received: `${buffer.size} bytes`,
      });
    }
    if (size > limits.maxStorageBufferBindingSize) {
      throw new RopeError("ROPE_UNSUPPORTED", {
        what: "a call spans too much of one buffer",
        expected: `at most ${limits.maxStorageBufferBindingSize} bytes (maxStorageBufferBindingSize)`,
        received: `${size} bytes`,
        remedy: "Request the device with a higher limit, or rotate fewer tokens at a time.",
        facts: { bytes: size },
      });
    }
    const [single] = words;
    return {
      memory: { writable, atomic, words: atomic || words.size > 1 ? 1 : (single as 1 | 2 | 4) },
      range: { buffer, offset, size },
    };
  });
}

/**
 * Splits workgroups into rows if they are too many for one row: as few rows as possible, of equal length, because empty
 * workgroups take time.
 */
export function fold(
  count: number,
  workgroupSize: number,
  limits: GPUSupportedLimits,
): { groups: readonly [number, number]; span: number } {
  const all = Math.ceil(count / workgroupSize);
  const most = limits.maxComputeWorkgroupsPerDimension;
  const y = Math.ceil(all / most);
  const x = Math.ceil(all / y);
  // The last row may go beyond `count`; its indices must not overflow.
  if (y > most || x * y * workgroupSize > 2 ** 32) {
    throw new RopeError("ROPE_UNSUPPORTED", {
      what: "the call is too large for one dispatch",
      expected: "less than 2^32 invocations",
      received: `${count}`,
      remedy: "Rotate fewer tokens at a time.",
    });
  }
  return { groups: [x, y], span: x * workgroupSize };
}

function layoutValues(name: string, layout: TensorLayout, parts: readonly Part[]): Record<string, number> {
  const { buffer, BYTES_PER_ELEMENT } = memoryOf(layout);
  const { range } = parts.find((part) => part.range.buffer === buffer)!;
  const { offset, batchStride, tokenStride, headStride, elementStride } = layout;
  return {
    [`${name}_offset`]: offset - range.offset / BYTES_PER_ELEMENT,
    [`${name}_batch`]: batchStride,
    [`${name}_token`]: tokenStride,
    [`${name}_head`]: headStride,
    [`${name}_element`]: elementStride,
  };
}

function packed(kernel: Kernel, values: Readonly<Record<string, number>>): ArrayBuffer {
  const fields = callFields(kernel);
  const words = new DataView(new ArrayBuffer(fields.length * 4));
  fields.forEach((name, i) => {
    if (name.endsWith("factor")) words.setFloat32(4 * i, values[name]!, true);
    // Negative strides rely on the shader's arithmetic modulo 2^32.
    else words.setUint32(4 * i, values[name]!, true);
  });
  return words.buffer;
}

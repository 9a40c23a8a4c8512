/**
 * Tensors and positions in buffers of the device, checked as far as the host can.
 */

import type { Positions, RopeError } from "@ropewalk/core";
import { checkKeys, resolveLayout, shapeError, show } from "@ropewalk/core/backend";
import type { TensorExpectation, TensorLayout } from "@ropewalk/core/backend";
import type { CacheElementType, CacheLayout, PassMemory } from "@ropewalk/core/pass";
import { usage } from "./gpu.ts";
import type { GpuElementType, GpuPositions, GpuSlots, GpuTensor } from "./gpu-rope.ts";
import { deviceMemory } from "./plan.ts";
import type { BoundRange } from "./plan.ts";

const elementTypes: readonly CacheElementType[] = ["float32", "float16", "bfloat16"];
const cacheTypes: readonly CacheElementType[] = [...elementTypes, "int8", "float8_e4m3"];

/** Describes a tensor. @throws RopeError `ROPE_SHAPE`; `ROPE_INVALID_PARAMETERS` for an unknown key. */
export function resolveGpuTensor(name: string, tensor: GpuTensor, expected: TensorExpectation): TensorLayout {
  if (typeof tensor !== "object" || tensor === null || typeof tensor.buffer?.size !== "number") {
    const isArray = ArrayBuffer.isView(tensor) || ArrayBuffer.isView((tensor as { data?: unknown } | null)?.data);
    const wanted = "{ buffer, shape, strides?, offset?, dtype? } with a GPUBuffer";
    throw shapeError(name, wanted, isArray ? "a typed array" : show(tensor), "Use apply for typed arrays.");
  }
  const {
    buffer,
    shape,
    strides,
    offset,
    dtype = "float32",
  } = checkKeys(`"${name}"`, tensor, ["buffer", "shape", "strides", "offset", "dtype"]);
  if (!elementTypes.includes(dtype)) throw shapeError(name, `dtype ${elementTypes.join(", ")}`, show(dtype));
  requireStorage(name, buffer);
  const memory = deviceMemory(buffer as unknown as GPUBuffer, dtype) as unknown as TensorLayout["data"];
  const view = { shape, ...(strides === undefined ? {} : { strides }), ...(offset === undefined ? {} : { offset }) };
  return resolveLayout(name, memory, dtype, view, expected);
}

/** Slots in a buffer, which the host does not see. */
export interface HiddenSlots {
  readonly buffer: GPUBuffer;
  /** In elements. */
  readonly offset: number;
  readonly count: number;
}

/** The slots of a pass by path: `"out.key.slots"`. */
export type PassSlots = Map<string, Float64Array | HiddenSlots>;

/** Buffers of the device as the memory of a pass, whose slots go to `found`. */
export function passMemory(found: PassSlots): PassMemory {
  return {
    key: "buffer",
    tensor: (name, tensor, expected) => resolveGpuTensor(name, tensor as GpuTensor, expected),
    elements(name, buffer, dtype = "float32", place, expected): CacheLayout {
      if (typeof (buffer as GpuTensor["buffer"] | undefined)?.size !== "number") {
        const wanted = "{ buffer, shape, … } with a GPUBuffer, or { cache, slots }";
        throw shapeError(name, wanted, `buffer ${show(buffer)}`, "Typed arrays: rope.apply in JavaScript.");
      }
      if (!cacheTypes.includes(dtype)) throw shapeError(name, `dtype ${cacheTypes.join(", ")}`, show(dtype));
      requireStorage(name, buffer as GpuTensor["buffer"]);
      const memory = deviceMemory(buffer as GPUBuffer, dtype) as unknown as TensorLayout["data"];
      return { ...resolveLayout(name, memory, "float32", place, expected), dtype };
    },
    slots(name, slots, count, check) {
      if (!isHidden(slots)) {
        const checked = check();
        found.set(name, checked);
        return checked;
      }
      const { buffer, offset } = flat(name, slots, count, ["int32", "uint32"]);
      found.set(name, { buffer, offset, count });
      return Float64Array.of(NaN);
    },
    weight(name, weight, count, check) {
      if (!isHidden(weight)) return check();
      const { buffer, offset, dtype } = flat(name, weight, count, ["float32", "float16", "bfloat16"]);
      const memory = deviceMemory(buffer, dtype) as unknown as TensorLayout["data"];
      return resolveLayout(
        name,
        memory,
        dtype,
        { shape: [1, 1, count], offset },
        { batch: 1, tokens: 1, headDim: count },
      );
    },
  };
}

const isHidden = (given: unknown): given is GpuSlots =>
  typeof given === "object" && given !== null && !ArrayBuffer.isView(given) && "buffer" in given;

/** Values in a row in a buffer. */
function flat<T extends "int32" | "uint32" | GpuElementType>(
  name: string,
  given: object,
  count: number,
  types: readonly T[],
): { readonly buffer: GPUBuffer; readonly offset: number; readonly dtype: T } {
  const {
    buffer,
    offset = 0,
    dtype = types[0]!,
  } = checkKeys(`"${name}"`, given, ["buffer", "offset", "dtype"]) as {
    readonly buffer: GpuTensor["buffer"];
    readonly offset?: number;
    readonly dtype?: T;
  };
  if (!types.includes(dtype)) throw shapeError(name, `dtype ${types.join(", ")}`, show(dtype));
  if (typeof buffer?.size !== "number") throw shapeError(name, "a GPUBuffer with GPUBufferUsage.STORAGE", "no buffer");
  requireStorage(name, buffer);
  const bytes = dtype === "float16" || dtype === "bfloat16" ? 2 : 4;
  if (!Number.isSafeInteger(offset) || offset < 0 || (offset + count) * bytes > buffer.size) {
    throw shapeError(name, `${count} elements of ${dtype} from offset ${show(offset)} on`, `${buffer.size} bytes`);
  }
  return { buffer: buffer as unknown as GPUBuffer, offset, dtype };
}

function requireStorage(name: string, buffer: GpuTensor["buffer"]): void {
  const given: unknown = buffer.usage;
  if (typeof given === "number" && (given & usage.storage) !== 0) return;
  const shown = typeof given === "number" ? `0x${given.toString(16)}` : show(given);
  throw shapeError(name, "a buffer with GPUBufferUsage.STORAGE", `usage ${shown}`);
}

/** Positions in a buffer, for a dispatch. */
export interface DevicePositions {
  readonly batch: number | undefined;
  readonly tokens: number;
  /** 32-bit words of one position. */
  readonly words: 1 | 2;
  readonly range: BoundRange;
  /** The first position, counted from the start of the range. */
  readonly first: number;
}

export const isOnDevice = (positions: Positions | GpuPositions): positions is GpuPositions =>
  typeof positions === "object" && positions !== null && "buffer" in positions && !ArrayBuffer.isView(positions);

/** Describes positions in a buffer. @throws RopeError as {@link resolveGpuTensor}. */
export function resolveGpuPositions(
  positions: GpuPositions,
  axisCount: number,
  limits: GPUSupportedLimits,
): DevicePositions {
  const {
    buffer,
    shape,
    offset = 0,
    dtype = "uint32",
  } = checkKeys('"positions"', positions, ["buffer", "shape", "offset", "dtype"]);
  const misfit = (expected: string, received: string): RopeError => shapeError("positions", expected, received);
  if (dtype !== "uint32" && dtype !== "int32" && dtype !== "int64") {
    throw misfit('dtype "uint32", "int32" or "int64"', show(dtype));
  }
  if (typeof buffer?.size !== "number") throw misfit("a GPUBuffer with GPUBufferUsage.STORAGE", "no buffer");
  requireStorage("positions", buffer);
  const sizes = Array.isArray(shape) && shape.every((size) => Number.isSafeInteger(size) && size >= 0) ? shape : [];
  const own = axisCount === 1 ? sizes : sizes[0] === axisCount ? sizes.slice(1) : [];
  if (own.length !== 1 && own.length !== 2) {
    const axes = axisCount === 1 ? "" : `${axisCount}, `;
    throw misfit(`the shape [${axes}tokens] or [${axes}batch, tokens]`, show(shape));
  }
  const words = dtype === "int64" ? 2 : 1;
  const count = sizes.reduce((product, size) => product * size, 1);
  const end = (offset + count) * 4 * words;
  if (!Number.isSafeInteger(offset) || offset < 0 || end > buffer.size) {
    throw misfit(`${offset + count} elements of ${dtype}`, `${buffer.size} bytes`);
  }
  const alignment = limits.minStorageBufferOffsetAlignment;
  const start = Math.floor((offset * 4 * words) / alignment) * alignment;
  return {
    batch: own.length === 2 ? own[0] : undefined,
    tokens: own.at(-1)!,
    words,
    range: { buffer: buffer as unknown as GPUBuffer, offset: start, size: Math.max(4, end - start) },
    first: offset - start / (4 * words),
  };
}

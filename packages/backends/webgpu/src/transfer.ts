/**
 * Copies typed arrays to the device and back. The whole memory range of a tensor is uploaded; only the tensor's own
 * elements are written back.
 */

import { extent } from "@ropewalk/core/backend";
import type { TensorLayout } from "@ropewalk/core/backend";
import { MAP_READ, usage } from "./gpu.ts";
import { deviceMemory } from "./plan.ts";

/** A layout on the device for the caller's tensor. With `fill` its elements are copied. */
export function upload(device: GPUDevice, layout: TensorLayout, own: GPUBuffer[], fill: boolean): TensorLayout {
  const { low, high } = extent(layout);
  const count = high < low ? 0 : high - low + 1;
  const bytes = Math.max(16, Math.ceil((count * layout.data.BYTES_PER_ELEMENT) / 4) * 4);
  const buffer = device.createBuffer({
    label: "ropewalk",
    size: bytes,
    usage: usage.storage | usage.copyTarget | usage.copySource,
  });
  own.push(buffer);
  if (fill && count > 0) {
    const part = layout.data.subarray(low, high + 1);
    // Writes have whole words of 4 bytes.
    const whole =
      part.byteLength % 4 === 0 ? part : Uint16Array.from({ length: part.length + 1 }, (_, i) => part[i] ?? 0);
    device.queue.writeBuffer(buffer, 0, whole as Uint16Array<ArrayBuffer>);
  }
  return {
    ...layout,
    data: deviceMemory(buffer, layout.dtype) as unknown as TensorLayout["data"],
    offset: layout.offset - (count === 0 ? layout.offset : low),
  };
}

/** The copy of one tensor back to the caller's memory. */
export interface ReadBack {
  /** Resolves when the device has written its result. */
  map(): Promise<void>;
  /** Copies the tensor's elements to the caller's memory. */
  write(): void;
}

/** Records the copy of a tensor on the device; `target` is the caller's. */
export function readBack(
  device: GPUDevice,
  encoder: GPUCommandEncoder,
  layout: TensorLayout,
  target: TensorLayout,
  own: GPUBuffer[],
): ReadBack {
  const { buffer } = layout.data as unknown as { buffer: GPUBuffer };
  const staging = device.createBuffer({
    label: "ropewalk",
    size: buffer.size,
    usage: usage.copyTarget | usage.mapRead,
  });
  own.push(staging);
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, buffer.size);
  return {
    map: () => staging.mapAsync(MAP_READ),
    write() {
      const bytes = staging.getMappedRange();
      // As integers: a NaN that passes through a JavaScript number may lose its payload.
      const from = layout.dtype === "float32" ? new Uint32Array(bytes) : new Uint16Array(bytes);
      const { data } = target;
      const to =
        layout.dtype === "float32" ? new Uint32Array(data.buffer, data.byteOffset, data.length) : (data as Uint16Array);
      copyElements(from, layout, to, target);
    },
  };
}

function copyElements(
  from: Uint32Array | Uint16Array,
  source: TensorLayout,
  to: Uint32Array | Uint16Array,
  target: TensorLayout,
): void {
  const { batch, tokens, heads, headDim, elementStride } = target;
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < tokens; t++) {
      for (let h = 0; h < heads; h++) {
        const a = source.offset + b * source.batchStride + t * source.tokenStride + h * source.headStride;
        const z = target.offset + b * target.batchStride + t * target.tokenStride + h * target.headStride;
        if (elementStride === 1) to.set(from.subarray(a, a + headDim), z);
        else for (let i = 0; i < headDim; i++) to[z + i * elementStride] = from[a + i * elementStride]!;
      }
    }
  }
}

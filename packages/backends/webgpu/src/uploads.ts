/**
 * Uploads of small data: the numbers of a call, rows of a table.
 *
 * The caller may submit a recorded command at any later time, so its bytes are never written again. Small pieces share
 * chunks, which are filled from front to back. A full chunk is released; the platform frees it when no command refers
 * to it.
 */

import { usage } from "./gpu.ts";
import type { BoundRange } from "./plan.ts";

const CHUNK_BYTES = 1 << 15;

export class Uploads {
  readonly #device: GPUDevice;
  readonly #alignment: number;
  readonly #own = new Set<GPUBuffer>();
  /** Released buffers; `dispose` destroys those that still exist. */
  #letGo: WeakRef<GPUBuffer>[] = [];
  #look = 16;
  #chunk: GPUBuffer | undefined;
  #used = 0;

  constructor(device: GPUDevice) {
    const { minStorageBufferOffsetAlignment, minUniformBufferOffsetAlignment } = device.limits;
    this.#device = device;
    this.#alignment = Math.max(16, minStorageBufferOffsetAlignment, minUniformBufferOffsetAlignment);
  }

  /**
   * Copies data to the device, for a binding of usage `kind`.
   * @param own whether the data gets its own buffer, which `free` destroys.
   */
  write(data: Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>, kind: number, own: boolean): BoundRange {
    const size = Math.max(16, data.byteLength);
    if (own || size > CHUNK_BYTES / 8) {
      const buffer = this.#device.createBuffer({ label: "ropewalk", size, usage: kind | usage.copyTarget });
      if (own) this.#own.add(buffer);
      else this.#forget(buffer);
      this.#device.queue.writeBuffer(buffer, 0, data);
      return { buffer, offset: 0, size };
    }
    if (this.#chunk === undefined || this.#used + size > CHUNK_BYTES) {
      if (this.#chunk !== undefined) this.#forget(this.#chunk);
      this.#chunk = this.#device.createBuffer({
        label: "ropewalk",
        size: CHUNK_BYTES,
        usage: usage.uniform | usage.storage | usage.copyTarget,
      });
      this.#used = 0;
    }
    const buffer = this.#chunk;
    const offset = this.#used;
    this.#used = Math.ceil((offset + size) / this.#alignment) * this.#alignment;
    this.#device.queue.writeBuffer(buffer, offset, data);
    return { buffer, offset, size };
  }

  /** Destroys a buffer that `write` created with `own`. */
  free(buffer: GPUBuffer): void {
    if (this.#own.delete(buffer)) buffer.destroy();
  }

  dispose(): void {
    for (const buffer of this.#own) buffer.destroy();
    this.#own.clear();
    this.#chunk?.destroy();
    this.#chunk = undefined;
    for (const reference of this.#letGo) reference.deref()?.destroy();
    this.#letGo = [];
  }

  #forget(buffer: GPUBuffer): void {
    // The list is cleaned when it has doubled, which costs almost nothing for each buffer.
    if (this.#letGo.length >= this.#look) {
      this.#letGo = this.#letGo.filter((reference) => reference.deref() !== undefined);
      this.#look = 2 * this.#letGo.length + 16;
    }
    this.#letGo.push(new WeakRef(buffer));
  }
}

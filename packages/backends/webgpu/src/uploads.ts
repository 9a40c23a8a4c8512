/**
 * Small data on its way to the device: the numbers of a call, rows of a table.
 *
 * A recorded command may wait for its submission as long as the caller likes, so bytes that one refers to are never
 * written again. Small pieces share chunks that are filled from front to back; a full chunk is let go and freed by the
 * platform when no command refers to it any more.
 */

import { usage } from "./gpu.ts";
import type { BoundRange } from "./plan.ts";

const CHUNK_BYTES = 1 << 15;

export class Uploads {
  readonly #device: GPUDevice;
  readonly #alignment: number;
  readonly #own = new Set<GPUBuffer>();
  /** What has been let go, to be freed with the rope if it still exists then. */
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
   * Copies data to the device, to be bound as `kind`.
   * @param own whether it gets a buffer of its own, to be freed with `free`.
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

  /** Frees a buffer of its own. */
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
    // Looking through the list each time it has doubled costs nothing per buffer.
    if (this.#letGo.length >= this.#look) {
      this.#letGo = this.#letGo.filter((reference) => reference.deref() !== undefined);
      this.#look = 2 * this.#letGo.length + 16;
    }
    this.#letGo.push(new WeakRef(buffer));
  }
}

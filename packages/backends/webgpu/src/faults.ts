/**
 * Wrong positions and slots in buffers, which only shaders see: their number and the first token.
 */

import { RopeError } from "@ropewalk/core";
import { shapeError } from "@ropewalk/core/backend";
import { lostError, textOf } from "./device.ts";
import type { DeviceState } from "./device.ts";
import { MAP_READ, usage } from "./gpu.ts";
import type { BoundRange } from "./plan.ts";

/** Four words: the number of wrong positions and the complement of the first token, the same of slots. */
const BYTES = 16;

export class Faults {
  readonly #state: DeviceState;
  #buffer: GPUBuffer | undefined;

  constructor(state: DeviceState) {
    this.#state = state;
  }

  /** The memory in which a shader counts wrong positions and slots. */
  range(): BoundRange {
    this.#buffer ??= this.#state.device.createBuffer({
      label: "ropewalk faults",
      size: BYTES,
      usage: usage.storage | usage.copySource | usage.copyTarget,
    });
    return { buffer: this.#buffer, offset: 0, size: BYTES };
  }

  /**
   * Reads and clears the counts. @throws RopeError `ROPE_POSITION_RANGE`, `ROPE_SHAPE` for slots,
   * `ROPE_BACKEND_UNAVAILABLE`.
   */
  async check(): Promise<void> {
    if (this.#buffer === undefined) return;
    const { device } = this.#state;
    const staging = device.createBuffer({ label: "ropewalk", size: BYTES, usage: usage.copyTarget | usage.mapRead });
    try {
      const encoder = device.createCommandEncoder({ label: "ropewalk" });
      encoder.copyBufferToBuffer(this.#buffer, 0, staging, 0, BYTES);
      encoder.clearBuffer(this.#buffer);
      device.queue.submit([encoder.finish()]);
      await staging.mapAsync(MAP_READ);
      const [count, place, wrongSlots, slotPlace] = new Uint32Array(staging.getMappedRange());
      if (count === 0 && wrongSlots !== 0) {
        const received = `${wrongSlots} outside, the first of token ${~slotPlace! >>> 0}`;
        const remedy = "For these tokens nothing was written. −1 leaves a token out.";
        throw shapeError("slots in a buffer", "slots of the cache, or −1", received, remedy);
      }
      if (count === 0) return;
      const token = ~place! >>> 0;
      throw new RopeError("ROPE_POSITION_RANGE", {
        what: "positions in a buffer are out of range",
        expected: "integers ≥ 0 and below the option length",
        received: `${count} tokens outside, the first at index ${token}`,
        remedy: "These tokens were not rotated. Pass the length of the sequence with these tokens.",
        facts: { count, index: token },
      });
    } catch (cause) {
      if (RopeError.is(cause)) throw cause;
      this.#state.requireAlive();
      throw lostError({ reason: "unknown", message: textOf(cause) });
    } finally {
      staging.destroy();
    }
  }

  dispose(): void {
    this.#buffer?.destroy();
  }
}

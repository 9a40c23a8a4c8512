/**
 * Wrong positions in buffers, which only shaders see: their number and the first token.
 */

import { RopeError } from "@ropewalk/core";
import { lostError, textOf } from "./device.ts";
import type { DeviceState } from "./device.ts";
import { MAP_READ, usage } from "./gpu.ts";
import type { BoundRange } from "./plan.ts";

export class Faults {
  readonly #state: DeviceState;
  #buffer: GPUBuffer | undefined;

  constructor(state: DeviceState) {
    this.#state = state;
  }

  /** The memory in which a shader counts wrong positions. */
  range(): BoundRange {
    this.#buffer ??= this.#state.device.createBuffer({
      label: "ropewalk faults",
      size: 8,
      usage: usage.storage | usage.copySource | usage.copyTarget,
    });
    return { buffer: this.#buffer, offset: 0, size: 8 };
  }

  /** Reads and clears the count. @throws RopeError `ROPE_POSITION_RANGE`, `ROPE_BACKEND_UNAVAILABLE`. */
  async check(): Promise<void> {
    if (this.#buffer === undefined) return;
    const { device } = this.#state;
    const staging = device.createBuffer({ label: "ropewalk", size: 8, usage: usage.copyTarget | usage.mapRead });
    try {
      const encoder = device.createCommandEncoder({ label: "ropewalk" });
      encoder.copyBufferToBuffer(this.#buffer, 0, staging, 0, 8);
      encoder.clearBuffer(this.#buffer);
      device.queue.submit([encoder.finish()]);
      await staging.mapAsync(MAP_READ);
      const [count, place] = new Uint32Array(staging.getMappedRange());
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

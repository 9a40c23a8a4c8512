/**
 * Tables of cos and sin for positions in buffers. The host computes them; ropes and layers with the same frequencies on
 * a device share them.
 */

import { RopeError } from "@ropewalk/core";
import type { RotaryEmbedding } from "@ropewalk/core";
import { usage } from "./gpu.ts";
import type { TableKind } from "./gpu-rope.ts";
import { FACTOR } from "./kernel-rows.ts";

/** One array from cos and sin: row after row, cos before sin. */
export function interleaveRows(cos: Float32Array, sin: Float32Array, pairs: number): Float32Array<ArrayBuffer> {
  const rows = new Float32Array(2 * cos.length);
  for (let row = 0; row * pairs < cos.length; row++) {
    rows.set(cos.subarray(row * pairs, (row + 1) * pairs), 2 * row * pairs);
    rows.set(sin.subarray(row * pairs, (row + 1) * pairs), (2 * row + 1) * pairs);
  }
  return rows;
}

/** Rows are computed in multiples of `STEP_ROWS`, and at most `MOST_ROWS_AT_ONCE` in one upload. */
const STEP_ROWS = 128;
const MOST_ROWS_AT_ONCE = 4096;

/** A table that grows at its end. Its rows never change. */
export class DeviceTable {
  readonly #device: GPUDevice;
  readonly #rowFloats: number;
  readonly #make: (first: number, count: number) => Float32Array<ArrayBuffer>;
  readonly #what: string;
  #buffer: GPUBuffer | undefined;
  #capacity = 0;
  #filled = 0;
  #users = 0;

  constructor(
    device: GPUDevice,
    what: string,
    rowFloats: number,
    make: (first: number, count: number) => Float32Array<ArrayBuffer>,
  ) {
    this.#device = device;
    this.#what = what;
    this.#rowFloats = rowFloats;
    this.#make = make;
  }

  /**
   * The table with at least `rows` rows.
   *
   * To grow, it copies on the device and uploads the new rows; no call waits. Commands that are not submitted yet may
   * use the old buffer, so it is released, not destroyed.
   */
  reserve(rows: number): GPUBuffer {
    const rowBytes = 4 * this.#rowFloats;
    if (rows > this.#capacity) {
      const { maxStorageBufferBindingSize, maxBufferSize } = this.#device.limits;
      const most = Math.floor(Math.min(maxStorageBufferBindingSize, maxBufferSize) / rowBytes);
      if (rows > most) {
        throw new RopeError("ROPE_UNSUPPORTED", {
          what: `the table of ${this.#what} does not fit the device`,
          expected: `at most ${most} rows (maxStorageBufferBindingSize)`,
          received: `${rows}`,
          remedy: 'Request the device with a higher limit, or move the rope with tables: "factored".',
          facts: { rows, most },
        });
      }
      const capacity = Math.min(most, Math.max(rows, 2 * this.#capacity, STEP_ROWS));
      const buffer = this.#device.createBuffer({
        label: `ropewalk table of ${this.#what}`,
        size: capacity * rowBytes,
        usage: usage.storage | usage.copySource | usage.copyTarget,
      });
      if (this.#buffer !== undefined && this.#filled > 0) {
        const encoder = this.#device.createCommandEncoder({ label: "ropewalk" });
        encoder.copyBufferToBuffer(this.#buffer, 0, buffer, 0, this.#filled * rowBytes);
        this.#device.queue.submit([encoder.finish()]);
      }
      this.#buffer = buffer;
      this.#capacity = capacity;
    }
    const end = Math.min(this.#capacity, Math.ceil(rows / STEP_ROWS) * STEP_ROWS);
    while (this.#filled < end) {
      const count = Math.min(MOST_ROWS_AT_ONCE, end - this.#filled);
      this.#device.queue.writeBuffer(this.#buffer!, this.#filled * rowBytes, this.#make(this.#filled, count));
      this.#filled += count;
    }
    return this.#buffer!;
  }

  retain(): void {
    this.#users++;
  }

  /** Removes one user. Returns whether no user is left. */
  release(): boolean {
    return --this.#users === 0;
  }

  destroy(): void {
    this.#buffer?.destroy();
  }
}

/** A device with its tables by kind, length and rope. */
export interface TableHome {
  readonly device: GPUDevice;
  readonly tables: Map<string, DeviceTable>;
}

/** A table with the text that no other table of its device has. */
export interface SharedTable {
  readonly key: string;
  readonly table: DeviceTable;
}

/**
 * The table of a rope at a length: one for all ropes on the device that turn by the same numbers, whatever gave them. A
 * spec would not do: another provider may stand behind the same name.
 */
export function sharedTable(state: TableHome, rope: RotaryEmbedding, kind: TableKind, length: number): SharedTable {
  const { invFreq, attentionFactor } = rope.frequencies(length);
  const { precision, positionLimit, capabilities, spec } = rope;
  const { axisCount } = capabilities;
  const key = [kind, spec.direction, precision, attentionFactor, positionLimit, axisCount, ...invFreq].join(" ");
  const known = state.tables.get(key);
  if (known !== undefined) return { key, table: known };
  const table = kind === "rows" ? rowsTable(state.device, rope, length) : factoredTable(state.device, rope, length);
  state.tables.set(key, table);
  return { key, table };
}

/** One row for each position: cos and sin of all pairs, as `rope.cosSin` gives them. */
function rowsTable(device: GPUDevice, rope: RotaryEmbedding, length: number): DeviceTable {
  const { rotaryDim, positionLimit, ropeType } = rope;
  const { axisCount } = rope.capabilities;
  return new DeviceTable(device, ropeType, rotaryDim, (first, count) => {
    // The table is filled in whole steps; the last step may go beyond the positions that the rope accepts.
    const admitted = Math.max(0, Math.min(count, positionLimit - first));
    const run = Float64Array.from({ length: axisCount * admitted }, (_, i) => first + (i % admitted));
    const { cos, sin } = rope.cosSin(
      axisCount === 1 ? { start: first, count: admitted } : { data: Array.from(run), shape: [axisCount, admitted] },
      { length },
    );
    const rows = new Float32Array(count * rotaryDim);
    rows.set(interleaveRows(cos as Float32Array, sin as Float32Array, rotaryDim / 2));
    return rows;
  });
}

/**
 * Row 0 holds each frequency as a mantissa ≥ 0, of which the shader takes whole bits, and a scale with the sign. Then
 * follow the positions below `FACTOR` and the multiples of `FACTOR`: cos and sin of exact angles as sums of two floats,
 * amplitude 1.
 */
function factoredTable(device: GPUDevice, rope: RotaryEmbedding, length: number): DeviceTable {
  const invFreq = rope.frequencies(length).invFreq.map((frequency) => rope.spec.direction * frequency);
  const pairs = invFreq.length;
  const { fround } = Math;
  return new DeviceTable(device, rope.ropeType, 4 * pairs, (first, count) => {
    const rows = new Float32Array(count * 4 * pairs);
    for (let row = first; row < first + count; row++) {
      const position = row <= FACTOR ? row - 1 : (row - 1 - FACTOR) * FACTOR;
      for (let i = 0; i < pairs; i++) {
        const frequency = invFreq[i]!;
        const scale = frequency === 0 ? 1 : 2 ** (Math.floor(Math.log2(Math.abs(frequency))) - 23);
        const cos = Math.cos(position * frequency);
        const sin = Math.sin(position * frequency);
        const entry =
          row === 0
            ? [Math.abs(frequency) / scale, Math.sign(frequency) * scale, 0, 0]
            : [fround(cos), fround(sin), cos - fround(cos), sin - fround(sin)];
        rows.set(entry, ((row - first) * pairs + i) * 4);
      }
    }
    return rows;
  });
}

/** Rows of a factored table that has every position below `limit`. */
export const factoredRows = (limit: number): number => 1 + FACTOR + Math.ceil(limit / FACTOR);

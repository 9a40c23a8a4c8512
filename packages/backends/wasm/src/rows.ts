/**
 * cos and sin by the kernels.
 */

import { LARGEST_ANGLE, writeRows } from "@ropewalk/core/backend";
import type { Ladder, RowWriter } from "@ropewalk/core/backend";
import { areas, LADDER_BYTES, TABLE_BYTES } from "./kernel.ts";
import type { Machine } from "./machine.ts";

/** Writes rows with the bits of core's JavaScript, two angles at a time; leaves to core those that the areas or the kernels are not made for. */
export function rowWriter(machine: Machine): RowWriter {
  return (ladder, first, rows, cos, sin, start) => {
    const { invFreq, precision, steepest } = ladder;
    const width = precision === "float32" ? 4 : 8;
    const rowBytes = invFreq.length * width;
    // A row's last vector may write beyond it: between cos and sin, and behind, are 16 bytes to spare.
    const step = Math.floor((TABLE_BYTES / 2 - 16) / rowBytes);
    const isTooLarge =
      step === 0 ||
      (invFreq.length + 3) * 16 > LADDER_BYTES ||
      Math.max(Math.abs(first), Math.abs(first + rows)) * steepest > LARGEST_ANGLE;
    if (isTooLarge) return writeRows(ladder, first, rows, cos, sin, start);
    loadLadder(machine, ladder);
    machine.loaded = undefined;
    const pairs = invFreq.length;
    const view = width === 4 ? machine.float32 : machine.float64;
    for (let row = 0; row < rows; row += step) {
      const count = Math.min(step, rows - row);
      const sinArea = areas.tables + align(count * rowBytes + 16);
      if (width === 4) {
        machine.kernels.writeRows32(areas.ladder, pairs, first + row, count, areas.tables, sinArea, areas.turn);
      } else {
        machine.kernels.writeRows64(
          areas.ladder,
          restArea(pairs),
          pairs,
          first + row,
          count,
          areas.tables,
          sinArea,
          areas.turn,
        );
      }
      const at = start + row * pairs;
      cos.set(view.subarray(areas.tables / width, areas.tables / width + count * pairs), at);
      sin.set(view.subarray(sinArea / width, sinArea / width + count * pairs), at);
    }
  };
}

const align = (bytes: number): number => (bytes + 15) & ~15;
const restArea = (pairs: number): number => areas.ladder + align(pairs * 8);

function loadLadder(machine: Machine, ladder: Ladder): void {
  if (machine.ladder === ladder) return;
  machine.ladder = ladder;
  const { invFreq, rest, precision } = ladder;
  const pairs = invFreq.length;
  // Zeros where a vector reaches beyond the last frequency.
  if (precision === "float32") {
    machine.float32.fill(0, areas.ladder / 4, areas.ladder / 4 + pairs + 3);
    machine.float32.set(invFreq, areas.ladder / 4);
    return;
  }
  machine.float64.fill(0, areas.ladder / 8, restArea(pairs) / 8 + pairs + 1);
  machine.float64.set(invFreq, areas.ladder / 8);
  machine.float64.set(rest, restArea(pairs) / 8);
}

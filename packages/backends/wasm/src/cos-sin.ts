/**
 * cos and sin by the kernels.
 */

import { LARGEST_ANGLE, writeCosSin } from "@ropewalk/core/backend";
import type { AngleFrequencies, CosSinWriter } from "@ropewalk/core/backend";
import { areas, FREQUENCY_BYTES, ROW_BYTES } from "./kernel.ts";
import type { KernelMemory } from "./kernel.ts";

/**
 * Writes rows with the same bits as core's JavaScript, two angles at a time. Core writes the rows that do not fit the
 * areas, and those whose angles are too large for the kernels.
 */
export function cosSinWriter(memory: KernelMemory): CosSinWriter {
  return (frequencies, first, rows, cos, sin, start) => {
    const { invFreq, precision, steepest } = frequencies;
    const width = precision === "float32" ? 4 : 8;
    const rowBytes = invFreq.length * width;
    // The last vector of a row may write beyond it, so 16 bytes stay free after cos and after sin.
    const step = Math.floor((ROW_BYTES / 2 - 16) / rowBytes);
    // From the second piece on a fraction would be rounded twice: the piece's first position, and the row's.
    const isSplitFraction = rows > step && !Number.isInteger(first);
    const isTooLarge =
      step === 0 ||
      isSplitFraction ||
      (invFreq.length + 3) * 16 > FREQUENCY_BYTES ||
      Math.max(Math.abs(first), Math.abs(first + rows)) * steepest > LARGEST_ANGLE;
    if (isTooLarge) return writeCosSin(frequencies, first, rows, cos, sin, start);
    loadFrequencies(memory, frequencies);
    const pairs = invFreq.length;
    const view = width === 4 ? memory.float32 : memory.float64;
    for (let row = 0; row < rows; row += step) {
      const count = Math.min(step, rows - row);
      const sinArea = areas.source + align(count * rowBytes + 16);
      if (width === 4) {
        memory.kernels.writeRows32(areas.frequencies, pairs, first + row, count, areas.source, sinArea, areas.circle);
      } else {
        memory.kernels.writeRows64(
          areas.frequencies,
          restArea(pairs),
          pairs,
          first + row,
          count,
          areas.source,
          sinArea,
          areas.circle,
        );
      }
      const at = start + row * pairs;
      cos.set(view.subarray(areas.source / width, areas.source / width + count * pairs), at);
      sin.set(view.subarray(sinArea / width, sinArea / width + count * pairs), at);
    }
  };
}

const align = (bytes: number): number => (bytes + 15) & ~15;
const restArea = (pairs: number): number => areas.frequencies + align(pairs * 8);

function loadFrequencies(memory: KernelMemory, frequencies: AngleFrequencies): void {
  if (memory.frequencies === frequencies) return;
  memory.frequencies = frequencies;
  const { invFreq, rest, precision } = frequencies;
  const pairs = invFreq.length;
  // Zeros after the last frequency, where a vector may read.
  if (precision === "float32") {
    memory.float32.fill(0, areas.frequencies / 4, areas.frequencies / 4 + pairs + 3);
    memory.float32.set(invFreq, areas.frequencies / 4);
    return;
  }
  memory.float64.fill(0, areas.frequencies / 8, restArea(pairs) / 8 + pairs + 1);
  memory.float64.set(invFreq, areas.frequencies / 8);
  memory.float64.set(rest, restArea(pairs) / 8);
}

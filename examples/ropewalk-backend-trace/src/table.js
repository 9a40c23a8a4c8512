/** Records as text, a line for each. */

/** @import { TraceRecord } from "../types.js" */

const heads = ["call", "label", "tensor", "shape", "type", "read", "written", "where", "note"];

/** @param {readonly TraceRecord[]} records */
export function table(records) {
  const rows = [heads, ...records.map(cells)];
  const widths = heads.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/**
 * @param {TraceRecord} record
 * @returns {string[]}
 */
function cells({ call, label, tensor, input, output, bytesRead, bytesWritten, inPlace, vectors, rotatedBefore }) {
  const layout = output.isContiguous ? "" : ", strided";
  return [
    String(call),
    label,
    String(tensor),
    input.shape.join("×"),
    input.dtype === output.dtype ? input.dtype : `${input.dtype} → ${output.dtype}`,
    `${bytesRead} B`,
    `${bytesWritten} B`,
    `${inPlace ? "in place" : "to out"}, bytes ${output.firstByte}–${output.endByte}${layout}`,
    rotatedBefore === null
      ? ""
      : `${rotatedBefore.vectors} of ${vectors} heads as call ${rotatedBefore.call} left them`,
  ];
}

import { referenceTables } from "../workload.ts";
import type { Workload } from "../workload.ts";

/**
 * cos and sin for each element, `[tokens, headDim]`; sin is negative for the first element of a pair. The rotation is
 * then x · cos + partner(x) · sin, for engines that have no rotary operation.
 */
export function signedTables(workload: Workload): { cos: Float32Array; sin: Float32Array } {
  const { tokens, headDim, pairing } = workload;
  const pairs = headDim / 2;
  const tables = referenceTables(workload, "float32");
  const cos = new Float32Array(tokens * headDim);
  const sin = new Float32Array(tokens * headDim);
  for (let t = 0; t < tokens; t++) {
    for (let i = 0; i < pairs; i++) {
      const first = t * headDim + (pairing === "half" ? i : 2 * i);
      const second = first + (pairing === "half" ? pairs : 1);
      cos[first] = cos[second] = tables.cos[t * pairs + i]!;
      sin[second] = tables.sin[t * pairs + i]!;
      sin[first] = -sin[second]!;
    }
  }
  return { cos, sin };
}

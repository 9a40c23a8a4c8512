import "@tensorflow/tfjs-backend-wasm";
import { add, concat, dispose, matMul, mul, setBackend, split, tensor, tidy } from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import type { Contestant } from "../contestant.ts";
import { versionOf } from "../machine.ts";
import type { Workload } from "../workload.ts";
import { signedTables } from "./signed-tables.ts";

/**
 * TensorFlow.js on WebAssembly with one thread, the most that it supports in Node. It has no rotary operation. These
 * forms were the fastest of several.
 *
 * Timed as in a layer of a model: tensors are in its memory before and after. A run makes new tensors and frees those
 * of the run before. The time does not include copying results out of its memory.
 */
export const tfjsWasm: Contestant = {
  name: "tfjs, wasm",
  source: `@tensorflow/tfjs-backend-wasm ${versionOf("@tensorflow/tfjs-backend-wasm")}`,
  angles: "float32",
  async prepare(workload) {
    if (workload.dtype !== "float32") return undefined;
    await setBackend("wasm");
    const { tokens, headDim, queryHeads, keyHeads, working } = workload;
    const tables = signedTables(workload);
    const cos = tensor(tables.cos, [tokens, 1, headDim]);
    const sin = tensor(tables.sin, [tokens, 1, headDim]);
    const query = tensor(working.query, [tokens, queryHeads, headDim]);
    const key = tensor(working.key, [tokens, keyHeads, headDim]);
    const { partner, matrix } = partners(workload);

    const rotated = (x: Tensor): Tensor => add(mul(x, cos), mul(partner(x), sin));
    let outputs: Tensor[] = [];
    return {
      run() {
        dispose(outputs);
        outputs = tidy(() => [rotated(query), rotated(key)]);
      },
      get result() {
        const [rotatedQuery, rotatedKey] = outputs.map((output) => output.dataSync() as Float32Array);
        return { query: rotatedQuery!, key: rotatedKey! };
      },
      dispose: () => dispose([...outputs, query, key, cos, sin, ...matrix]),
    };
  },
};

/**
 * Swaps the elements of each pair: by halves, or by a product with a matrix of zeros and ones. From 128 tokens on, the
 * product takes less than half the time of `gather`, `reverse` or `stack` on a last axis of two.
 */
function partners({ pairing, headDim }: Workload): { partner: (x: Tensor) => Tensor; matrix: Tensor[] } {
  if (pairing === "half") {
    const partner = (x: Tensor): Tensor => {
      const [first, second] = split(x, 2, -1);
      return concat([second!, first!], -1);
    };
    return { partner, matrix: [] };
  }
  const ones = Float32Array.from({ length: headDim * headDim }, (_, i) =>
    Math.floor(i / headDim) === ((i % headDim) ^ 1) ? 1 : 0,
  );
  const matrix = tensor(ones, [1, headDim, headDim]);
  return { partner: (x) => matMul(x, matrix), matrix: [matrix] };
}

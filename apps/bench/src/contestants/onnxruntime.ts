import type * as Onnxruntime from "onnxruntime-node";
import type { Contestant } from "../contestant.ts";
import { versionOf } from "../machine.ts";
import { writeModel } from "../onnx-model.ts";
import { float16Bits, referenceTables } from "../workload.ts";
import type { Elements, Workload } from "../workload.ts";

// The addon of 1.30 does not know the Float16Array that Node 24 has, and refuses float16 input where the global exists.
Reflect.deleteProperty(globalThis, "Float16Array");
const { InferenceSession, Tensor } = (await import("onnxruntime-node")) as unknown as typeof Onnxruntime;

/**
 * onnxruntime's native kernel of `com.microsoft` RotaryEmbedding. One graph has a node for queries and a node for keys,
 * so the cost of a call counts once. Outputs are preallocated. The layout is `[1, tokens, heads · headDim]`, as for all
 * other contestants; it is faster than `[1, heads, tokens, headDim]`.
 */
function onnxruntime(threads: number): Contestant {
  return {
    name: `onnxruntime-node, ${threads} thread${threads === 1 ? "" : "s"}`,
    source: `onnxruntime-node ${versionOf("onnxruntime-node")}`,
    angles: "float32",
    async prepare(workload) {
      const { spare, queryHeads, keyHeads } = workload;
      const session = await InferenceSession.create(modelOf(workload), {
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
        executionMode: "sequential",
        executionProviders: ["cpu"],
      });
      const feeds = feedsOf(workload, Tensor);
      const fetches = {
        rotated_query: tensorOf(workload, Tensor, spare.query, queryHeads),
        rotated_key: tensorOf(workload, Tensor, spare.key, keyHeads),
      };
      return { run: () => session.run(feeds, fetches), isAsync: true, result: spare, dispose: () => session.release() };
    },
  };
}

type TensorClass = typeof Onnxruntime.Tensor;

function tensorOf(
  { dtype, tokens, headDim }: Workload,
  Tensor: TensorClass,
  data: Elements,
  heads: number,
): Onnxruntime.Tensor {
  return new Tensor(dtype, data, [1, tokens, heads * headDim]);
}

/** The inputs of {@link modelOf}, for any build of onnxruntime. */
export function feedsOf(workload: Workload, Tensor: TensorClass): Record<string, Onnxruntime.Tensor> {
  const { tokens, dtype, start, headDim, queryHeads, keyHeads, working } = workload;
  // Rows up to the last position. Rows before the first position are never read.
  const tables = referenceTables(workload, "float32");
  const table = (values: Float64Array): Onnxruntime.Tensor => {
    const rows =
      dtype === "float32"
        ? new Float32Array((start + tokens) * (headDim / 2))
        : new Uint16Array((start + tokens) * (headDim / 2));
    rows.set(dtype === "float32" ? values : Uint16Array.from(values, float16Bits), start * (headDim / 2));
    return new Tensor(dtype, rows, [start + tokens, headDim / 2]);
  };
  const positions = new Tensor(
    "int64",
    BigInt64Array.from({ length: tokens }, (_, t) => BigInt(start + t)),
    [1, tokens],
  );
  return {
    query: tensorOf(workload, Tensor, working.query, queryHeads),
    key: tensorOf(workload, Tensor, working.key, keyHeads),
    positions,
    cos: table(tables.cos),
    sin: table(tables.sin),
  };
}

/** A graph with a node for queries and a node for keys. */
export function modelOf({ dtype, pairing, headDim, queryHeads, keyHeads }: Workload): Uint8Array {
  const value = (name: string, heads: number) => ({ name, type: dtype, shape: [1, "tokens", heads * headDim] });
  const table = (name: string) => ({ name, type: dtype, shape: ["rows", headDim / 2] });
  return writeModel({
    opsets: { "": 17, "com.microsoft": 1 },
    nodes: ["query", "key"].map((name) => ({
      op: "RotaryEmbedding",
      domain: "com.microsoft",
      inputs: [name, "positions", "cos", "sin"],
      outputs: [`rotated_${name}`],
      attributes: { interleaved: pairing === "adjacent" ? 1 : 0 },
    })),
    inputs: [
      value("query", queryHeads),
      value("key", keyHeads),
      { name: "positions", type: "int64", shape: [1, "tokens"] },
      table("cos"),
      table("sin"),
    ],
    outputs: [value("rotated_query", queryHeads), value("rotated_key", keyHeads)],
  });
}

export const onnxruntimeOneThread: Contestant = onnxruntime(1);
export const onnxruntimeTwoThreads: Contestant = onnxruntime(2);

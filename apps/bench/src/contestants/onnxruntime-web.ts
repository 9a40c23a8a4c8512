import { env, InferenceSession, Tensor } from "onnxruntime-web/wasm";
import type { Contestant } from "../contestant.ts";
import { versionOf } from "../machine.ts";
import type { Elements } from "../workload.ts";
// This one also takes Float16Array out of the world: with it, results would be numbers instead of bits.
import { feedsOf, modelOf } from "./onnxruntime.ts";

env.wasm.numThreads = 1;

/**
 * The same kernel and model as onnxruntime-node's, compiled to WebAssembly. Its memory cannot be reached from outside: a
 * run copies inputs in and new outputs out, and both are timed. Outputs that are given would be returned unwritten.
 */
export const onnxruntimeWeb: Contestant = {
  name: "onnxruntime-web, wasm",
  source: `onnxruntime-web ${versionOf("onnxruntime-web")}`,
  angles: "float32",
  async prepare(workload) {
    const session = await InferenceSession.create(modelOf(workload), { executionProviders: ["wasm"] });
    // It leaves Node's Worker behind as a global, by which jax-js would take this for a page that shares memory, and fail.
    Reflect.deleteProperty(globalThis, "Worker");
    const feeds = feedsOf(workload, Tensor);
    let outputs: InferenceSession.OnnxValueMapType = {};
    return {
      async run() {
        outputs = await session.run(feeds);
      },
      isAsync: true,
      get result() {
        return { query: outputs["rotated_query"]!.data as Elements, key: outputs["rotated_key"]!.data as Elements };
      },
      dispose: () => session.release(),
    };
  },
};

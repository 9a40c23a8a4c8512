import { env, InferenceSession, Tensor } from "onnxruntime-web/wasm";
import type { Contestant } from "../contestant.ts";
import { versionOf } from "../machine.ts";
import type { Elements } from "../workload.ts";
// This import also removes the global Float16Array. With it, results would be numbers instead of bits.
import { feedsOf, modelOf } from "./onnxruntime.ts";

env.wasm.numThreads = 1;

/**
 * The same kernel and model as onnxruntime-node's, compiled to WebAssembly. Its memory cannot be accessed from outside:
 * a run copies inputs in and new outputs out, and both are timed. It does not write to outputs that the caller gives.
 */
export const onnxruntimeWeb: Contestant = {
  name: "onnxruntime-web, wasm",
  source: `onnxruntime-web ${versionOf("onnxruntime-web")}`,
  angles: "float32",
  async prepare(workload) {
    const session = await InferenceSession.create(modelOf(workload), { executionProviders: ["wasm"] });
    // It sets a global Worker. jax-js would then assume a page with shared memory, and fail.
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

/** The race in a page, with onnxruntime-web on the same device and the same buffers. */

import type * as OnnxRuntime from "onnxruntime-web/webgpu";
import { raceOnDevice, usage } from "./gpu-race.ts";
import type { GpuContestant, GpuPlan, GpuReport } from "./gpu-race.ts";
import { writeModel } from "./onnx-model.ts";
import { referenceTables } from "./workload.ts";

type Runtime = typeof OnnxRuntime;

/** Its RotaryEmbedding for query and for key, in one graph; inputs and outputs are buffers. */
const onnxruntime = (ort: Runtime): GpuContestant => ({
  name: "onnxruntime-web webgpu",
  dtypes: ["float32"],
  async prepare(device, workload) {
    const { tokens, headDim, pairing, queryHeads, keyHeads, query, key } = workload;
    const table = [tokens, headDim / 2];
    const shapes = { query: [1, tokens, queryHeads * headDim], key: [1, tokens, keyHeads * headDim] };
    const node = (name: string) => ({
      op: "RotaryEmbedding",
      domain: "com.microsoft",
      inputs: [name, "position_ids", "cos", "sin"],
      outputs: [`${name}_rotated`],
      attributes: { interleaved: pairing === "adjacent" ? 1 : 0 },
    });
    const model = writeModel({
      opsets: { "": 17, "com.microsoft": 1 },
      nodes: [node("query"), node("key")],
      inputs: [
        { name: "query", type: "float32", shape: shapes.query },
        { name: "key", type: "float32", shape: shapes.key },
        { name: "position_ids", type: "int64", shape: [1, tokens] },
        { name: "cos", type: "float32", shape: table },
        { name: "sin", type: "float32", shape: table },
      ],
      outputs: [
        { name: "query_rotated", type: "float32", shape: shapes.query },
        { name: "key_rotated", type: "float32", shape: shapes.key },
      ],
    });
    const session = await ort.InferenceSession.create(model, { executionProviders: ["webgpu"] });
    const onDevice = (data: Float32Array | BigInt64Array): GPUBuffer => {
      const buffer = device.createBuffer({
        size: Math.ceil(data.byteLength / 16) * 16,
        usage: usage.storage | usage.copySource | usage.copyTarget,
      });
      device.queue.writeBuffer(buffer, 0, data as Float32Array<ArrayBuffer>);
      return buffer;
    };
    // Rows of the workload's own positions: its operator looks them up by index.
    const { cos, sin } = referenceTables(workload, "float32");
    const positions = BigInt64Array.from({ length: tokens }, (_, t) => BigInt(t));
    const own = [
      onDevice(positions),
      onDevice(Float32Array.from(cos)),
      onDevice(Float32Array.from(sin)),
      onDevice(new Float32Array(query.size / 4)),
      onDevice(new Float32Array(key.size / 4)),
    ] as const;
    const tensor = (buffer: GPUBuffer, dims: number[], dataType: "float32" | "int64" = "float32") =>
      ort.Tensor.fromGpuBuffer(buffer as never, { dataType, dims });
    const feeds = {
      query: tensor(query, shapes.query),
      key: tensor(key, shapes.key),
      position_ids: tensor(own[0], [1, tokens], "int64"),
      cos: tensor(own[1], table),
      sin: tensor(own[2], table),
    };
    const fetches = { query_rotated: tensor(own[3], shapes.query), key_rotated: tensor(own[4], shapes.key) };
    return {
      output: { query: own[3], key: own[4] },
      step: { run: async () => void (await session.run(feeds, fetches)) },
      async dispose() {
        await session.release();
        for (const buffer of own) buffer.destroy();
      },
    };
  },
});

async function race(plan: GpuPlan): Promise<GpuReport> {
  const script = "/ort.webgpu.bundle.min.mjs";
  const ort = (await import(script)) as Runtime;
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = "/";
  // Its first session makes the device. All contestants use that device.
  const value = { type: "float32", shape: [1] } as const;
  const first = writeModel({
    opsets: { "": 17 },
    nodes: [{ op: "Neg", domain: "", inputs: ["x"], outputs: ["y"], attributes: {} }],
    inputs: [{ name: "x", ...value }],
    outputs: [{ name: "y", ...value }],
  });
  await ort.InferenceSession.create(first, { executionProviders: ["webgpu"] });
  const device = (await ort.env.webgpu.device) as GPUDevice;
  return raceOnDevice(device, device.adapterInfo, plan, [onnxruntime(ort)]);
}

export type Race = typeof race;
(globalThis as unknown as { race: Race }).race = race;

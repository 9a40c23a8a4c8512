/** In a page: a tensor that onnxruntime-web left on the GPU is rotated there, next to onnxruntime's own operator. */

import { getRope } from "@ropewalk/core";
import "@ropewalk/default";
import "@ropewalk/webgpu-backend";
import type * as OnnxRuntime from "onnxruntime-web/webgpu";
import { modelOf } from "./onnx-model.ts";

export interface Interop {
  /** The hidden state that the session made, rotated by ropewalk in place, and by onnxruntime. */
  readonly ours: number[];
  readonly theirs: number[];
  readonly input: number[];
  /** Whether onnxruntime's tensor was on the GPU all the time. */
  readonly location: string;
}

async function rotate(positions: readonly number[], headDim: number, heads: number): Promise<Interop> {
  const script = "/ort.webgpu.bundle.min.mjs";
  const ort = (await import(script)) as typeof OnnxRuntime;
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = "/";
  const tokens = positions.length;
  const shape = [1, tokens, heads * headDim];
  const length = tokens * heads * headDim;
  const options: OnnxRuntime.InferenceSession.SessionOptions = {
    executionProviders: ["webgpu"],
    preferredOutputLocation: "gpu-buffer",
  };

  // Any model whose output stays on the GPU; this one halves.
  const halve = await ort.InferenceSession.create(
    modelOf({
      op: "Mul",
      inputs: [
        { name: "x", type: 1, shape },
        { name: "half", type: 1, shape: [1] },
      ],
      output: { name: "hidden", type: 1, shape },
    }),
    options,
  );
  const x = Float32Array.from({ length }, (_, i) => 2 * Math.sin(i * 0.7));
  const { hidden } = await halve.run({
    x: new ort.Tensor("float32", x, shape),
    half: new ort.Tensor("float32", Float32Array.of(0.5), [1]),
  });

  const rope = getRope({ headDim, base: 10_000, parameters: { ropeType: "default" } });
  const table = rope.cosSin({ start: 0, count: Math.max(...positions) + 1 });
  const rotary = await ort.InferenceSession.create(
    modelOf({
      op: "RotaryEmbedding",
      domain: "com.microsoft",
      inputs: [
        { name: "input", type: 1, shape },
        { name: "position_ids", type: 7, shape: [1, tokens] },
        { name: "cos_cache", type: 1, shape: table.shape },
        { name: "sin_cache", type: 1, shape: table.shape },
      ],
      output: { name: "output", type: 1, shape },
    }),
    options,
  );
  const { output } = await rotary.run({
    input: hidden!,
    position_ids: new ort.Tensor("int64", BigInt64Array.from(positions, BigInt), [1, tokens]),
    cos_cache: new ort.Tensor("float32", table.cos as Float32Array, table.shape),
    sin_cache: new ort.Tensor("float32", table.sin as Float32Array, table.shape),
  });

  const device = await ort.env.webgpu.device;
  using gpu = await rope.to("webgpu", { device });
  const encoder = device.createCommandEncoder();
  gpu.encode(encoder, {
    positions,
    query: { buffer: hidden!.gpuBuffer as GPUBuffer, shape: [tokens, heads * headDim] },
  });
  device.queue.submit([encoder.finish()]);
  await gpu.check();

  const { location } = hidden!;
  return {
    ours: Array.from((await hidden!.getData()) as Float32Array),
    theirs: Array.from((await output!.getData()) as Float32Array),
    input: Array.from(x, (v) => Math.fround(v / 2)),
    location,
  };
}

export type RotateInPage = typeof rotate;
(globalThis as unknown as { rotate: RotateInPage }).rotate = rotate;

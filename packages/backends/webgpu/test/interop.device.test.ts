/** Tensors of other libraries, rotated where they lie. */

import { getRope } from "@ropewalk/core";
import "@ropewalk/default";
import "@ropewalk/webgpu-backend";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { globals } from "webgpu";
import { openPage } from "./chromium.ts";
import { gpuOn } from "./node-device.ts";
import { noise } from "./on-device.ts";
import type { Interop, RotateInPage } from "./onnxruntime-page.ts";

/** Both sides compute in float32 from the same tables; they differ in fused roundings at most. */
function near(got: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(got.length).toBe(expected.length);
  for (let i = 0; i < got.length; i++) expect(Math.abs(got[i]! - expected[i]!), `element ${i}`).toBeLessThan(1e-6);
}

declare const globalThis: { readonly rotate: RotateInPage };

test("onnxruntime-web: a tensor in a gpu-buffer, next to its own RotaryEmbedding", async () => {
  const dist = dirname(createRequire(import.meta.url).resolve("onnxruntime-web/webgpu"));
  const names = [
    "ort.webgpu.bundle.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
  ];
  const { page, close } = await openPage(
    "onnxruntime-page.ts",
    Object.fromEntries(names.map((name) => [name, join(dist, name)])),
  );
  try {
    const positions = [0, 1, 5, 127, 2047];
    const [headDim, heads] = [64, 3];
    const { ours, theirs, input, location }: Interop = await page.evaluate(([a, b, c]) => globalThis.rotate(a, b, c), [
      positions,
      headDim,
      heads,
    ] as const);
    expect(location).toBe("gpu-buffer");
    near(ours, theirs);
    const expected = Float32Array.from(input);
    getRope({ headDim, base: 10_000, parameters: { ropeType: "default" } }).apply({ positions, query: expected });
    near(ours, expected);
  } finally {
    await close();
  }
});

test("tfjs: a tensor of its WebGPU backend", async () => {
  // It looks for a browser, and for the names of the flags.
  Object.assign(global, globals);
  Object.defineProperty(global, "navigator", {
    value: { gpu: gpuOn("swiftShader"), userAgent: "node" },
    configurable: true,
  });
  const tf = await import("@tensorflow/tfjs-core");
  await import("@tensorflow/tfjs-backend-webgpu");
  await tf.setBackend("webgpu");
  await tf.ready();
  // It computes small tensors on the CPU.
  tf.env().set("WEBGPU_CPU_FORWARD", false);
  const { device } = tf.backend() as unknown as { device: GPUDevice };

  const [tokens, heads, headDim] = [7, 4, 32];
  const values = noise(tokens * heads * headDim);
  const hidden = tf.mul(tf.tensor(values, [tokens, heads, headDim]), 0.5);
  // Runs what is queued and hands the buffer out; `tensorRef` is the tensor of it.
  const { buffer, tensorRef } = hidden.dataToGPU();
  const rope = getRope({ headDim, pairing: "adjacent", parameters: { ropeType: "default" } });
  using gpu = await rope.to("webgpu", { device });
  const positions = [0, 1, 2, 3, 500, 131071, 7];
  const encoder = device.createCommandEncoder();
  gpu.encode(encoder, {
    positions,
    query: { buffer: buffer as unknown as GPUBuffer, shape: [tokens, heads, headDim] },
  });
  device.queue.submit([encoder.finish()]);
  await gpu.check();

  const expected = values.map((value) => value / 2);
  rope.apply({ positions, query: expected });
  near((await tensorRef.data()) as Float32Array, expected);
  // And it goes on computing with it.
  near((await tf.add(tensorRef, 0).data()) as Float32Array, expected);
});

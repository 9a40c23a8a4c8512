/** How far the factored table is from the exact one; the README states these numbers. */

import type { UntypedRopeRequest } from "@ropewalk/core";
import { afterAll, expect, test } from "vitest";
import { gpuRope } from "./body.ts";
import { newDevice } from "./node-device.ts";
import type { Driver } from "./node-device.ts";
import { bufferOf, rotatedOnDevice } from "./on-device.ts";

const devices: GPUDevice[] = [];
afterAll(() => devices.forEach((device) => device.destroy()));

/** Largest difference of cos and sin from the correctly rounded ones. */
async function largestError(
  driver: Driver,
  precision: "float32" | "float64",
  limit: number,
  more: Partial<UntypedRopeRequest> = {},
): Promise<number> {
  const device = await newDevice(driver);
  devices.push(device);
  const pairs = 64;
  const tokens = 4000;
  using gpu = await gpuRope(
    device,
    { headDim: 2 * pairs, pairing: "half", precision, base: 500_000, ...more },
    "factored",
    1,
  );
  // Golden ratio: spread over the whole range, in no step of the table's.
  const positions = Uint32Array.from({ length: tokens }, (_, i) => Math.floor(((i * 0.6180339887498949) % 1) * limit));
  // The pair (1, 0) becomes (cos, sin).
  const data = new Float32Array(tokens * 2 * pairs).map((_, i) => (i % (2 * pairs) < pairs ? 1 : 0));
  const buffer = bufferOf(device, positions);
  const { query } = await rotatedOnDevice(
    device,
    gpu,
    { positions: { buffer, shape: [tokens] }, length: limit },
    { query: { data, shape: [tokens, 1, 2 * pairs] } },
  );
  const { cos, sin } = gpu.rope.at(positions);
  let largest = 0;
  for (let t = 0; t < tokens; t++) {
    for (let i = 0; i < pairs; i++) {
      const at = t * 2 * pairs + i;
      largest = Math.max(
        largest,
        Math.abs(query!.data[at]! - cos[t * pairs + i]!),
        Math.abs(query!.data[at + pairs]! - sin[t * pairs + i]!),
      );
    }
  }
  buffer.destroy();
  return largest;
}

// Half an ulp of a float32 below 1 is 6e-8: one rounding of the sum, one of the table that it is compared with.
test.each([
  ["swiftShader", "float64", 2 ** 20],
  ["swiftShader", "float32", 2 ** 20],
  ["swiftShader", "float64", 2 ** 24],
  ["swiftShader", "float32", 2 ** 24],
  ["lavapipe", "float32", 2 ** 20],
] as const)("%s, %s angles, positions below %i: cos and sin within 1.3e-7", async (driver, precision, limit) => {
  const error = await largestError(driver, precision, limit);
  expect(error).toBeGreaterThan(0);
  expect(error).toBeLessThan(1.3e-7);
});

test.each([
  ["backwards", { direction: -1 }],
  ["with factors of either sign", { pairFactors: Array.from({ length: 64 }, (_, i) => (i % 3) - 0.75) }],
] as const)("%s: the same", async (_, more) => {
  for (const precision of ["float32", "float64"] as const) {
    expect(await largestError("swiftShader", precision, 2 ** 20, more)).toBeLessThan(1.3e-7);
  }
});

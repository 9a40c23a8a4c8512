/** Ropes given as data, on a device against JavaScript. Runs in Node and in a browser. */

import { getRopeUntyped } from "@ropewalk/core";
import type { RopeSpec } from "@ropewalk/core";
import "@ropewalk/deepseek-yarn";
import "@ropewalk/default";
import "@ropewalk/dynamic";
import "@ropewalk/dynamic-alpha";
import "@ropewalk/linear";
import "@ropewalk/llama3";
import "@ropewalk/longrope";
import "@ropewalk/nd-qwen2vl";
import "@ropewalk/ntk";
import "@ropewalk/proportional";
import "@ropewalk/yarn";
import "@ropewalk/webgpu-backend";
import { agree, noise } from "./on-device.ts";

export interface GoldenSpec {
  readonly name: string;
  readonly spec: RopeSpec;
  /** Where frequencies depend on it. */
  readonly length: number | null;
}

/** The typical bug of this field is zero at position 0 and grows. */
export const POSITIONS: readonly number[] = [0, 1, 127, 257, 2049, 4096, 15962, 32768, 131071, 1048575];

/** Rotates query and key of every rope by the positions; returns what differs. */
export async function compareGoldens(
  device: GPUDevice,
  specs: readonly GoldenSpec[],
  positions: readonly number[],
): Promise<string[]> {
  const failures: string[] = [];
  for (const { name, spec, length } of specs) {
    try {
      // Positions that a model does not admit are compared as well: the longest are where wrong angles show.
      const rope = getRopeUntyped({
        ...spec,
        maxPosition: Math.max(spec.maxPosition ?? 0, ...positions.map((position) => position + 1)),
      });
      using gpu = await rope.to("webgpu", { device });
      const { axisCount } = rope.capabilities;
      // Each axis begins at another of the positions.
      const values = Array.from({ length: axisCount }, (_, axis) =>
        positions.map((_, t) => positions[(t + axis) % positions.length]!),
      ).flat();
      const tokens = positions.length;
      const data = { data: values, shape: axisCount === 1 ? [tokens] : [axisCount, tokens] };
      const shape = (heads: number): number[] => [tokens, heads, rope.headDim];
      const tensors = {
        query: { data: noise(tokens * 2 * rope.headDim, 1), shape: shape(2) },
        key: { data: noise(tokens * rope.headDim, 2), shape: shape(1) },
      };
      await agree(name, device, gpu, { positions: data, ...(length === null ? {} : { length }) }, tensors);
    } catch (error) {
      failures.push(`${name}: ${String(error)}`);
    }
  }
  return failures;
}

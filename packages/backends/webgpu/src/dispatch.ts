/**
 * Records one dispatch.
 */

import type { GpuCommandEncoder, GpuComputePass } from "./gpu.ts";
import type { BoundRange } from "./plan.ts";

/** A resource and its binding. */
export interface BoundResource {
  readonly binding: number;
  readonly resource: BoundRange;
}

/** Resources in the order of their bindings. */
export const numbered = (resources: readonly BoundRange[], first = 0): BoundResource[] =>
  resources.map((resource, i) => ({ binding: first + i, resource }));

/** Records one dispatch. */
export function dispatch(
  device: GPUDevice,
  target: GpuComputePass | GpuCommandEncoder,
  pipeline: GPUComputePipeline,
  entries: BoundResource[],
  groups: readonly [number, number],
): void {
  const bindGroup = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries,
  });
  const own =
    "beginComputePass" in target
      ? (target.beginComputePass({ label: "ropewalk" }) as unknown as GPUComputePassEncoder)
      : undefined;
  const pass = own ?? (target as unknown as GPUComputePassEncoder);
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, bindGroup);
  pass.dispatchWorkgroups(groups[0], groups[1]);
  own?.end();
}

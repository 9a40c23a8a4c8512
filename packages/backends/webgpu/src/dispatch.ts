/**
 * Records one dispatch.
 */

import type { GpuCommandEncoder, GpuComputePass } from "./gpu.ts";
import type { BoundRange } from "./plan.ts";

/** Records one dispatch. Resources are in the order of their bindings; the first is the uniform `call`. */
export function dispatch(
  device: GPUDevice,
  target: GpuComputePass | GpuCommandEncoder,
  pipeline: GPUComputePipeline,
  resources: readonly BoundRange[],
  groups: readonly [number, number],
): void {
  const bindGroup = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: resources.map((resource, binding) => ({ binding, resource })),
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

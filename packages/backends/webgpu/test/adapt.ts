/** What the conformance suite needs of a rope on a device. */

import type { RopeUnderTest } from "@ropewalk/conformance";
import type { RotateArguments, RotateResult, RotaryEmbedding, Tensor, TensorView } from "@ropewalk/core";
import type { GpuRope } from "@ropewalk/webgpu-backend";

const isFloat64 = (tensor: Tensor | undefined): boolean =>
  tensor instanceof Float64Array || (tensor !== undefined && "data" in tensor && tensor.data instanceof Float64Array);

/**
 * float32 keys on the device, widened into a float64 output. A device may fuse multiplication and addition, and then
 * JavaScript's numbers, which every other float64 tensor gets here, are not its own in the last bit.
 */
async function widened(gpu: GpuRope, call: Parameters<GpuRope["apply"]>[0], target: TensorView): Promise<RotateResult> {
  const { shape, data, offset = 0, strides = rowMajor(shape) } = target;
  const single = new Float32Array(shape.reduce((product, size) => product * size, 1));
  await gpu.apply({ ...call, out: { key: { data: single, shape } } });
  const own = rowMajor(shape);
  single.forEach((value, index) => {
    const place = shape.reduce(
      (sum, size, axis) => sum + (Math.floor(index / own[axis]!) % size) * strides[axis]!,
      offset,
    );
    (data as Float64Array)[place] = value;
  });
  return { query: undefined, key: target };
}

const rowMajor = (shape: readonly number[]): number[] =>
  shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));

/**
 * The methods that the laws use, on the device. WebGPU has no float64; those tensors stay in JavaScript, as the package
 * says.
 */
export function adapt(gpu: GpuRope, rope: RotaryEmbedding): RopeUnderTest {
  const on = ({ query, key, out }: RotateArguments): Pick<GpuRope | RotaryEmbedding, "apply" | "invert" | "adjoint"> =>
    [query, key, out?.query, out?.key].some(isFloat64) ? rope : gpu;
  return {
    spec: gpu.spec,
    capabilities: gpu.capabilities,
    positionLimit: gpu.positionLimit,
    attentionFactor: gpu.rope.attentionFactor,
    frequencies: (length) => gpu.rope.frequencies(length),
    cosSin: (positions, options) => gpu.rope.cosSin(positions, options),
    async apply(tensors) {
      const target = tensors.out?.key;
      if (isFloat64(target) && tensors.query === undefined && !isFloat64(tensors.key)) {
        return widened(gpu, tensors, target as TensorView);
      }
      return on(tensors).apply(tensors);
    },
    invert: async (tensors) => on(tensors).invert(tensors),
    adjoint: async (tensors) => on(tensors).adjoint(tensors),
    shift: async (tensors) => (isFloat64(tensors.keys) || isFloat64(tensors.out) ? rope : gpu).shift(tensors),
    at: (positions, options) => ({
      ...rope.at(positions, options),
      apply: async (tensors) => on(tensors).apply({ positions, ...options, ...tensors }),
      invert: async (tensors) => on(tensors).invert({ positions, ...options, ...tensors }),
      adjoint: async (tensors) => on(tensors).adjoint({ positions, ...options, ...tensors }),
    }),
  };
}

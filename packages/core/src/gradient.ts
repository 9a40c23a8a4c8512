/**
 * The derivative of a rotation by its angles, for ropes whose frequencies or positions are learned. `rope.adjoint`
 * gives the derivative by the elements.
 */

import { allocate, loadElements } from "./element-types.ts";
import { shapeError, show } from "./errors.ts";
import { requireHead } from "./head.ts";
import { checkKeys, own } from "./keys.ts";
import { pairElements } from "./pairing.ts";
import type { Pairing } from "./pairing.ts";
import { isEmpty, requireBounded, requireMemory, resolveTensor } from "./tensor.ts";
import type { TensorView } from "./tensor.ts";

/** Options of {@link angleGradient}: the elements of a head that were rotated. */
export interface AngleGradientOptions {
  /** Which two elements form a pair. */
  readonly pairing: Pairing;
  /** Number of rotated elements, even. Default: the whole head. */
  readonly rotaryDim?: number | undefined;
  /** Index of the first rotated element. Default 0. */
  readonly rotaryOffset?: number | undefined;
}

/**
 * `dL/dφ` of each token and pair, summed over heads: for the rotated pair `(x', y')` and the incoming gradient
 * `(g_x, g_y)`, `dL/dφ = g_y x' − g_x y'`, for any amplitude.
 *
 * With `φ = p · invFreq` it gives `dL/dinvFreq[i] = Σ_t p[t] · dφ[t, i]` and `dL/dp[t] = Σ_i invFreq[i] · dφ[t, i]`.
 *
 * @param rotated the result of the rotation, a view of any element type; only read.
 * @param gradient `dL/d rotated`, a view of the same shape; only read.
 * @returns a new array of float64 `[batch · tokens, rotaryDim/2]`, computed in float64.
 * @throws RopeError `ROPE_SHAPE` when a tensor is no view, the two differ in shape, or head and pairing do not fit;
 * `ROPE_INVALID_PARAMETERS` for an unknown option.
 *
 * @example
 * const rotated = { data: Float32Array.of(3, 4), shape: [1, 1, 2] };
 * const gradient = { data: Float32Array.of(1, 2), shape: [1, 1, 2] };
 * angleGradient(rotated, gradient, { pairing: "half" }); // [2]
 */
export function angleGradient(rotated: TensorView, gradient: TensorView, options: AngleGradientOptions): Float64Array {
  const given = checkKeys("the options of angleGradient", options, ["pairing", "rotaryDim", "rotaryOffset"]);
  const shape = own(rotated as Partial<TensorView> | null | undefined)?.shape;
  if (!Array.isArray(shape)) throw shapeError("rotated", "{ data, shape, strides?, offset?, dtype? }", show(rotated));
  const headDim = shape.at(-1) as number;
  const { pairing, rotaryDim: dim = headDim, rotaryOffset = 0 } = given;
  requireHead("the gradient cannot be formed", { headDim, rotaryDim: dim, rotaryOffset }, { pairing });
  const tokens = shape.length === 4 ? shape[1]! : shape[0]!;
  const output = resolveTensor("rotated", rotated, { batch: undefined, tokens, headDim });
  const incoming = resolveTensor("gradient", gradient, { batch: undefined, tokens, headDim });
  if (output.batch !== incoming.batch || output.heads !== incoming.heads) {
    throw shapeError("gradient", `[${shape.join(", ")}] like rotated`, `${incoming.heads} heads`);
  }
  const { first, distance } = pairElements(pairing, dim);
  requireBounded("rotated", output);
  requireMemory("rotated", output);
  const result = allocate("float64", output.batch * tokens * first.length);
  if (isEmpty(output)) return result;
  const [z, g] = [new Float64Array(dim), new Float64Array(dim)];
  for (let b = 0; b < output.batch; b++) {
    for (let t = 0; t < tokens; t++) {
      const row = (b * tokens + t) * first.length;
      for (let h = 0; h < output.heads; h++) {
        for (const [tensor, target] of [
          [output, z],
          [incoming, g],
        ] as const) {
          const start =
            tensor.offset +
            b * tensor.batchStride +
            t * tensor.tokenStride +
            h * tensor.headStride +
            rotaryOffset * tensor.elementStride;
          loadElements(tensor.dtype, tensor.data, start, tensor.elementStride, target, 0, dim);
        }
        for (let i = 0; i < first.length; i++) {
          const [x, y] = [first[i]!, first[i]! + distance];
          result[row + i]! += g[y]! * z[x]! - g[x]! * z[y]!;
        }
      }
    }
  }
  return result;
}

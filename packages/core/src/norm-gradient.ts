/**
 * The backward pass of a norm, for attention layers that normalise queries and keys.
 */

import { allocate, loadElements } from "./element-types.ts";
import { shapeError, show } from "./errors.ts";
import { own } from "./keys.ts";
import type { RmsNorm } from "./pass-arguments.ts";
import { checkNorm } from "./pass-norm.ts";
import { loadWeight } from "./pass-kernel.ts";
import { requireBounded, requireMemory, resolveTensor } from "./tensor.ts";
import type { TensorLayout, TensorView } from "./tensor.ts";

/** The gradients of a norm, in float64. */
export interface NormGradient {
  /** `dL/dx`, `[batch, tokens, heads, headDim]`, row-major. */
  readonly input: Float64Array;
  /** `dL/dweight`, as many values as the weight has, summed over everything else; `null` without a weight. */
  readonly weight: Float64Array | null;
}

/**
 * The gradient of `y = x · r · w` with `r = 1/√(Σx²/n + epsilon)`: `dL/dx = r (w g − x r² Σ(w g x)/n)` and
 * `dL/dw = Σ x r g`.
 *
 * With a norm before the rotation, `gradient` is what `step.adjoint` makes of `dL/d rotated`, and `input` is the
 * projection. With a norm after it, `input` is the rotated tensor, and `step.adjoint` is applied to the result.
 *
 * @param input what was normalised, a view of any element type; only read.
 * @param gradient `dL/dy`, a view of the same shape; only read.
 * @param norm as in the call of `apply`; `when` does not matter.
 * @returns new arrays, computed in float64.
 * @throws RopeError `ROPE_SHAPE` when a tensor is no view, the two differ in shape, or the weight does not fit;
 * `ROPE_INVALID_PARAMETERS` for a wrong setting of the norm.
 *
 * @example
 * const input = { data: Float64Array.of(3, 4), shape: [1, 1, 2] };
 * const gradient = { data: Float64Array.of(1, 0), shape: [1, 1, 2] };
 * // Along the input nothing changes: its length is divided out.
 * const [x = 0, y = 0] = normGradient(input, gradient, { epsilon: 0 }).input;
 * Math.abs(3 * x + 4 * y) < 1e-15; // true
 */
export function normGradient(input: TensorView, gradient: TensorView, norm: RmsNorm): NormGradient {
  const x = describe("input", input);
  const g = describe("gradient", gradient);
  const { batch, tokens, heads, headDim } = x;
  if (g.batch !== batch || g.tokens !== tokens || g.heads !== heads || g.headDim !== headDim) {
    throw shapeError("gradient", `[${batch}, ${tokens}, ${heads}, ${headDim}] like input`, show(gradient.shape));
  }
  const checked = checkNorm("norm", norm, heads, headDim);
  const { overHeads, epsilon } = checked;
  const width = overHeads ? heads * headDim : headDim;
  const weight = new Float64Array(width).fill(1);
  if (checked.weight !== undefined) loadWeight(checked, weight, 0);
  const ofWeight = checked.weight === undefined ? null : new Float64Array(width);
  const values = allValues(x);
  const incoming = allValues(g);
  const result = allocate("float64", values.length);
  for (let start = 0; start < values.length; start += width) {
    let squares = 0;
    let products = 0;
    for (let i = 0; i < width; i++) {
      squares += values[start + i]! ** 2;
      products += weight[i]! * incoming[start + i]! * values[start + i]!;
    }
    const r = 1 / Math.sqrt(squares / width + epsilon);
    for (let i = 0; i < width; i++) {
      const value = values[start + i]!;
      const given = incoming[start + i]!;
      result[start + i] = r * (weight[i]! * given - value * r * r * (products / width));
      if (ofWeight !== null) ofWeight[i]! += value * r * given;
    }
  }
  return { input: result, weight: ofWeight };
}

function describe(name: string, view: TensorView): TensorLayout {
  const shape = own(view as Partial<TensorView> | null | undefined)?.shape;
  if (!Array.isArray(shape)) throw shapeError(name, "{ data, shape, strides?, offset?, dtype? }", show(view));
  const tokens = (shape.length === 4 ? shape[1] : shape[0]) as number;
  const layout = resolveTensor(name, view, { batch: undefined, tokens, headDim: shape.at(-1) as number });
  requireBounded(name, layout);
  requireMemory(name, layout);
  return layout;
}

/** All elements, row-major. */
function allValues(tensor: TensorLayout): Float64Array {
  const { batch, tokens, heads, headDim, dtype, data, elementStride } = tensor;
  const values = allocate("float64", batch * tokens * heads * headDim);
  for (let row = 0; row * headDim < values.length; row++) {
    const h = row % heads;
    const t = Math.floor(row / heads) % tokens;
    const b = Math.floor(row / (heads * tokens));
    const start = tensor.offset + b * tensor.batchStride + t * tensor.tokenStride + h * tensor.headStride;
    loadElements(dtype, data, start, elementStride, values, row * headDim, headDim);
  }
  return values;
}

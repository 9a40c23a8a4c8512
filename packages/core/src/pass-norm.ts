/**
 * The check of a norm: for a pass, and for its gradient.
 */

import { lengthOf } from "./element-types.ts";
import type { ElementType, TensorData } from "./element-types.ts";
import { invalid, issue, shapeError, show } from "./errors.ts";
import type { RopeIssue } from "./errors.ts";
import { checkKeys, own } from "./keys.ts";
import type { RmsNorm } from "./pass-arguments.ts";
import type { PassNorm } from "./pass-kernel.ts";
import { resolveTensor } from "./tensor.ts";
import type { TensorLayout } from "./tensor.ts";

const normKeys = ["epsilon", "weight", "weightOffset", "over", "when"];

/**
 * A checked norm of a tensor of `heads · headDim` elements a token.
 *
 * @param weightOf describes the weight, `count` values; `check` does it for JavaScript's memory.
 * @throws RopeError `ROPE_INVALID_PARAMETERS` for a wrong setting; `ROPE_SHAPE` for a weight that does not fit.
 */
export function checkNorm(
  path: string,
  given: RmsNorm,
  heads: number,
  headDim: number,
  weightOf: (name: string, weight: unknown, count: number, check: () => TensorLayout) => TensorLayout = (
    ...[, , , check]
  ) => check(),
): PassNorm {
  const { epsilon, weight, weightOffset, over = "head", when = "before" } = checkKeys(path, given, normKeys);
  const isRight =
    Number.isFinite(epsilon) &&
    epsilon >= 0 &&
    (weightOffset === undefined || (weight !== undefined && Number.isFinite(weightOffset))) &&
    (over === "head" || over === "heads") &&
    (when === "before" || when === "after");
  if (!isRight) throw invalid(path, normIssues(given));
  const overHeads = over === "heads";
  const count = overHeads ? heads * headDim : headDim;
  const name = weightNames[path] ?? `${path}.weight`;
  return {
    epsilon,
    weight: weight === undefined ? undefined : weightOf(name, weight, count, () => checkWeight(name, weight, count)),
    weightOffset: weightOffset ?? 0,
    overHeads,
    after: when === "after",
  };
}

function normIssues({ epsilon, weight, weightOffset, over = "head", when = "before" }: RmsNorm): RopeIssue[] {
  const issues: RopeIssue[] = [];
  if (!(Number.isFinite(epsilon) && epsilon >= 0)) issues.push(issue("epsilon", "a finite number ≥ 0", epsilon));
  if (weightOffset !== undefined && (weight === undefined || !Number.isFinite(weightOffset))) {
    issues.push(issue("weightOffset", "a finite number, beside a weight", weightOffset));
  }
  if (over !== "head" && over !== "heads") issues.push(issue("over", '"head" or "heads"', over));
  if (when !== "before" && when !== "after") issues.push(issue("when", '"before" or "after"', when));
  return issues;
}

/** Made once: to join a name at each call takes longer than to check the weight. */
const weightNames: Readonly<Record<string, string>> = {
  "norm.query": "norm.query.weight",
  "norm.key": "norm.key.weight",
  "norm.value": "norm.value.weight",
};

function checkWeight(name: string, given: NonNullable<RmsNorm["weight"]>, count: number): TensorLayout {
  const isArray = ArrayBuffer.isView(given);
  const view = isArray ? { data: given } : { ...own(given as { data: TensorData; dtype?: ElementType }) };
  const { data, dtype }: { data: TensorData; dtype?: ElementType } = isArray
    ? view
    : checkKeys(`"${name}"`, view, ["data", "dtype"]);
  if (lengthOf(data) !== count) throw shapeError(name, `${count} values`, `${lengthOf(data) ?? show(given)}`);
  const tensor = dtype === undefined ? data : { data, shape: [1, 1, count], dtype };
  return resolveTensor(name, tensor, { batch: 1, tokens: 1, headDim: count });
}

/**
 * The check of a kernel's description, for callers that embed the WGSL text.
 */

import { checkKeys, invalid, show } from "@ropewalk/core/backend";
import type { Kernel, KernelMemory, KernelRole, KernelRows, KernelTensor } from "./kernel-description.ts";

interface Rule {
  readonly expected: string;
  accepts(value: unknown): boolean;
}

const isSize = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) > 0;
const isIndex = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const listOf =
  <T>(accepts: (item: Partial<T>) => boolean) =>
  (value: unknown): boolean =>
    Array.isArray(value) && value.every((item: unknown) => accepts((item ?? {}) as Partial<T>));

const isRole = ({ memory, dtype }: Partial<KernelRole>): boolean =>
  isIndex(memory) && (dtype === "float32" || dtype === "float16" || dtype === "bfloat16");
const isTensor = ({ name, input, output }: Partial<KernelTensor>): boolean =>
  (name === "query" || name === "key") && isRole(input ?? {}) && (output === undefined || isRole(output ?? {}));
const isMemory = ({ writable, words, atomic }: Partial<KernelMemory>): boolean =>
  typeof writable === "boolean" && typeof atomic === "boolean" && [1, 2, 4].includes(words!);

function isRows(value: unknown): boolean {
  const rows = (value ?? {}) as Partial<Extract<KernelRows, { kind: "factored" }>> | Partial<KernelRows>;
  if (rows.kind === "gathered") return true;
  const isTable = rows.kind === "table" || (rows.kind === "factored" && typeof rows.rounded === "boolean");
  if (!isTable) return false;
  const { words, axes } = rows as Partial<Extract<KernelRows, { kind: "table" }>>;
  const areAxes = axes === null || (Array.isArray(axes) && axes.length > 0 && axes.every(isIndex));
  return (words === 1 || words === 2) && areAxes;
}

const size: Rule = { expected: "an integer > 0", accepts: isSize };
const run: Rule = { expected: "1, 2, 4 or 8", accepts: (value) => [1, 2, 4, 8].includes(value as number) };
const rules: Readonly<Record<keyof Kernel, Rule>> = {
  headDim: size,
  rotaryDim: size,
  rotaryOffset: { expected: "an integer ≥ 0", accepts: isIndex },
  blocks: size,
  run,
  heads: run,
  tensors: { expected: "a list of { name, input, output? }", accepts: listOf(isTensor) },
  memories: { expected: "a list of { writable, words, atomic }", accepts: listOf(isMemory) },
  rows: { expected: '{ kind: "gathered" }, or kind "table" or "factored" with words and axes', accepts: isRows },
  nativeFloat16: { expected: "true or false", accepts: (value) => typeof value === "boolean" },
  workgroupSize: size,
};
export const kernelKeys = Object.keys(rules) as readonly (keyof Kernel)[];

/**
 * Checks the named fields of a kernel.
 *
 * @throws RopeError `ROPE_INVALID_PARAMETERS` with every issue.
 */
export function checkKernel(kernel: Partial<Kernel>, keys: readonly (keyof Kernel)[]): void {
  checkKeys("the kernel", kernel, kernelKeys);
  // The usual case allocates nothing.
  if (keys.every((key) => rules[key].accepts(kernel[key]))) return;
  const wrong = keys.filter((key) => !rules[key].accepts(kernel[key]));
  throw invalid(
    "the kernel",
    wrong.map((key) => ({ path: key, expected: rules[key].expected, received: show(kernel[key]) })),
  );
}

/** Checks a whole kernel. @throws RopeError as {@link checkKernel}. */
export function checkWholeKernel(kernel: Kernel): void {
  checkKernel(kernel, kernelKeys);
  const { headDim, rotaryDim, rotaryOffset, blocks, tensors, memories } = kernel;
  const issues = [];
  if (rotaryDim % (2 * blocks) !== 0 || rotaryOffset + rotaryDim > headDim) {
    const received = `${blocks} blocks of ${rotaryDim} elements from ${rotaryOffset} in a head of ${headDim}`;
    issues.push({ path: "blocks", expected: "equal blocks of whole pairs inside the head", received });
  }
  const indices = tensors.flatMap(({ input, output }) => [input.memory, output?.memory ?? input.memory]);
  if (tensors.length === 0 || Math.max(...indices) >= memories.length) {
    const received = `memories ${indices.join(", ")} of ${memories.length}`;
    issues.push({ path: "tensors", expected: "at least one tensor, each in one of the memories", received });
  }
  if (issues.length > 0) throw invalid("the kernel", issues);
}

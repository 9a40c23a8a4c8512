/**
 * What the text of a kernel depends on, and how an invocation's work follows from it.
 *
 * An invocation rotates `run` elements and their partners (or, where partners are neighbours, `run` elements of both), as
 * vectors of at most four.
 */

/** Element types that a kernel reads and writes. It computes in float32. */
export type KernelElement = "float32" | "float16" | "bfloat16";

/** Elements of one tensor in one of the bound memories. */
export interface KernelRole {
  /** Index into `memories`. */
  readonly memory: number;
  readonly dtype: KernelElement;
}

/** One tensor. `output` is absent where it is rotated in place. */
export interface KernelTensor {
  readonly name: "query" | "key";
  readonly input: KernelRole;
  readonly output?: KernelRole | undefined;
}

/** One bound buffer: WebGPU forbids binding a buffer twice when it is written, so each is bound once. */
export interface KernelMemory {
  readonly writable: boolean;
  /** 32-bit words of one element of the WGSL array. */
  readonly words: 1 | 2 | 4;
  /** Where two invocations may write halves of one word. */
  readonly atomic: boolean;
}

/** Positions in a buffer of the device. */
export interface KernelPositions {
  /** 32-bit words of one position: 2 for 64-bit integers. */
  readonly words: 1 | 2;
  /** The position axis of each pair; `null` where there is one axis. */
  readonly axes: readonly number[] | null;
}

/** Where cos and sin come from. Positions beyond the table's limit are not rotated, but reported. */
export type KernelRows =
  /** One row for each token, gathered by the host. */
  | { readonly kind: "gathered" }
  /** A table with a row for each position. */
  | ({ readonly kind: "table" } & KernelPositions)
  /** Two small tables whose angles add up; `rounded` says that angles are those of `precision: "float32"`. */
  | ({ readonly kind: "factored"; readonly rounded: boolean } & KernelPositions);

/** Loads of more than 16 bytes do not exist. */
export type Run = 1 | 2 | 4 | 8;

/** Everything that the text of a kernel depends on. */
export interface Kernel {
  readonly headDim: number;
  readonly rotaryDim: number;
  readonly rotaryOffset: number;
  readonly blocks: number;
  /** Elements of one load: all strides and offsets are multiples of it. 8 where all elements have 16 bits. */
  readonly run: Run;
  /** Heads of one invocation, which share cos and sin; it divides those of every tensor. */
  readonly heads: 1 | 2 | 4 | 8;
  readonly tensors: readonly KernelTensor[];
  readonly memories: readonly KernelMemory[];
  readonly rows: KernelRows;
  /** Convert float16 by the device's own instructions (needs `shader-f16`), not by integer operations. */
  readonly nativeFloat16: boolean;
  readonly workgroupSize: number;
}

/** Invocations for one head: rotated ones first, then those that copy what is not rotated. */
export function unitsPerHead({ headDim, rotaryDim, run, tensors, ...kernel }: Omit<Kernel, "heads">): {
  readonly rotated: number;
  readonly copied: number;
} {
  const copies = tensors.some(({ output }) => output !== undefined);
  return {
    rotated: rotaryDim / 2 / pairsPerUnit({ rotaryDim, run, ...kernel }),
    copied: copies ? (headDim - rotaryDim) / run : 0,
  };
}

/** Whether partners are neighbours that one load brings together. */
export function isInterleaved({ rotaryDim, blocks, run }: Pick<Kernel, "rotaryDim" | "blocks" | "run">): boolean {
  return blocks === rotaryDim / 2 && run > 1;
}

/** Pairs that one invocation rotates in one head. */
export function pairsPerUnit(kernel: Pick<Kernel, "rotaryDim" | "blocks" | "run">): number {
  return isInterleaved(kernel) ? kernel.run / 2 : kernel.run;
}

/** Elements of one vector: WGSL has none of eight. */
export const lanesOf = ({ run }: Pick<Kernel, "run">): 1 | 2 | 4 => (run === 8 ? 4 : run);

/** Pairs whose cos and sin come together. */
export const turnSize = (kernel: Pick<Kernel, "rotaryDim" | "blocks" | "run">): number =>
  Math.min(4, pairsPerUnit(kernel));

/** The WGSL type of so many numbers. */
export const vector = (size: number, type: string): string => (size === 1 ? type : `vec${size}<${type}>`);

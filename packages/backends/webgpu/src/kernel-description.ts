/**
 * The description of a kernel, which determines its text, and the work of an invocation.
 *
 * An invocation rotates `run` elements and their partners, or, if partners are neighbours, `run` elements with both. It
 * uses vectors of at most four elements.
 */

/** Element types that a kernel reads and writes. It computes in float32. */
export type KernelElement = "float32" | "float16" | "bfloat16";

/** The memory and the element type of a tensor. */
export interface KernelRole {
  /** Index into `memories`. */
  readonly memory: number;
  readonly dtype: KernelElement;
}

/** One tensor. A tensor without `output` is rotated in place. */
export interface KernelTensor {
  readonly name: "query" | "key";
  readonly input: KernelRole;
  readonly output?: KernelRole | undefined;
}

/** One bound buffer. Each buffer is bound once, because WebGPU forbids two bindings of a buffer that is written. */
export interface KernelMemory {
  /** Whether the kernel writes to it. */
  readonly writable: boolean;
  /** 32-bit words of one element of the WGSL array. */
  readonly words: 1 | 2 | 4;
  /** Whether two invocations may write the halves of one word. */
  readonly atomic: boolean;
}

/** Positions in a buffer of the device. */
export interface KernelPositions {
  /** 32-bit words of one position: 2 for 64-bit integers. */
  readonly words: 1 | 2;
  /** The position axis of each pair; `null` for one axis. */
  readonly axes: readonly number[] | null;
}

/** The source of cos and sin. Tokens with a position beyond the table's limit are not rotated, but reported. */
export type KernelRows =
  /** One row for each token, which the host computed. */
  | { readonly kind: "gathered" }
  /** A table with a row for each position. */
  | ({ readonly kind: "table" } & KernelPositions)
  /** Two small tables, whose angles are added. `rounded`: angles are rounded as for `precision: "float32"`. */
  | ({ readonly kind: "factored"; readonly rounded: boolean } & KernelPositions);

/** Elements of one load. No load has more than 16 bytes. */
export type Run = 1 | 2 | 4 | 8;

/** The description of a kernel. Equal descriptions have the same text. Head sizes and pairing are those of a rope. */
export interface Kernel {
  readonly headDim: number;
  readonly rotaryDim: number;
  readonly rotaryOffset: number;
  readonly blocks: number;
  /** Elements of one load; it divides all strides and offsets. 8 only if all elements have 16 bits. */
  readonly run: Run;
  /** Heads of one invocation, which share cos and sin; it divides the number of heads of every tensor. */
  readonly heads: 1 | 2 | 4 | 8;
  readonly tensors: readonly KernelTensor[];
  readonly memories: readonly KernelMemory[];
  readonly rows: KernelRows;
  /** Whether the device's own instructions convert float16 (needs `shader-f16`), not integer operations. */
  readonly nativeFloat16: boolean;
  readonly workgroupSize: number;
}

/**
 * The number of invocations for one head: `rotated` of them rotate pairs, then `copied` of them copy elements that are
 * not rotated.
 */
export function unitsOf({ headDim, rotaryDim, run, tensors, ...kernel }: Omit<Kernel, "heads">): {
  readonly rotated: number;
  readonly copied: number;
} {
  const copies = tensors.some(({ output }) => output !== undefined);
  return {
    rotated: rotaryDim / 2 / pairsPerUnit({ rotaryDim, run, ...kernel }),
    copied: copies ? (headDim - rotaryDim) / run : 0,
  };
}

/** Whether partners are neighbours, so that one load has both. */
export function isInterleaved({ rotaryDim, blocks, run }: Pick<Kernel, "rotaryDim" | "blocks" | "run">): boolean {
  return blocks === rotaryDim / 2 && run > 1;
}

/** Pairs that one invocation rotates in one head. */
export function pairsPerUnit(kernel: Pick<Kernel, "rotaryDim" | "blocks" | "run">): number {
  return isInterleaved(kernel) ? kernel.run / 2 : kernel.run;
}

/** Elements of one vector; WGSL has no vectors of eight. */
export const lanesOf = ({ run }: Pick<Kernel, "run">): 1 | 2 | 4 => (run === 8 ? 4 : run);

/** Pairs of one `Turn`. */
export const turnSize = (kernel: Pick<Kernel, "rotaryDim" | "blocks" | "run">): number =>
  Math.min(4, pairsPerUnit(kernel));

/** The WGSL type of `size` numbers. */
export const vector = (size: number, type: string): string => (size === 1 ? type : `vec${size}<${type}>`);

/**
 * The description of a kernel for the pass from projection to cache, which determines its text.
 *
 * An invocation owns chunks of {@link CHUNK} elements: it loads them, and it alone writes them, so that whole words of
 * any element type have one writer. The chunks of a head belong to neighbouring invocations of one workgroup, which sum
 * their squares and exchange the partners of pairs in the workgroup's memory.
 */

import type { KernelElement, KernelRows } from "./kernel-description.ts";

/** Elements of one invocation at a time: a word of 8-bit elements. */
export const CHUNK = 4;

/** Element types that the kernel of a pass reads and writes. It computes in float32. */
export type PassElement = KernelElement | "int8" | "float8_e4m3";

/** Where elements lie. */
export interface PassRole {
  /** Index into `memories`. */
  readonly memory: number;
  readonly dtype: PassElement;
  /** Whether one load has a chunk: offsets, strides and the head are multiples of it. */
  readonly aligned: boolean;
  /** Whether heads lie in groups. */
  readonly grouped: boolean;
  /** Where the slots of tokens are: `"list"`, or the index of a memory; `null` without slots. */
  readonly slots: "list" | number | null;
  /** The memory with the scales of int8. */
  readonly scales: number | null;
}

export interface PassKernelNorm {
  readonly after: boolean;
  /** The number of heads that one mean is taken over; `null` for one head. */
  readonly heads: number | null;
  readonly weight: "list" | Pick<PassRole, "memory" | "dtype" | "aligned"> | null;
}

/** One tensor. A tensor without `output` is written where it was read. */
export interface PassKernelTensor {
  readonly name: "query" | "key" | "value";
  readonly headDim: number;
  readonly rotated: boolean;
  readonly input: PassRole;
  readonly output: PassRole | null;
  readonly norm: PassKernelNorm | null;
  /** Whether each token has a factor. */
  readonly factors: boolean;
}

/** The description of a kernel. Equal descriptions have the same text. */
export interface PassKernel {
  readonly kind: "pass";
  readonly rotaryDim: number;
  readonly rotaryOffset: number;
  readonly blocks: number;
  /** `CHUNK` if the pairs of a chunk are whole, or have their partners in one other chunk; else 1. */
  readonly run: 1 | 4;
  readonly tensors: readonly PassKernelTensor[];
  /** Bound buffers, each once; `words` of one element of the WGSL array. */
  readonly memories: readonly { readonly writable: boolean; readonly words: 1 | 2 | 4 }[];
  readonly rows: KernelRows;
  readonly nativeFloat16: boolean;
  readonly workgroupSize: number;
}

/** How the heads of a tensor lie in a workgroup. */
export interface PassLanes {
  /** Invocations of a head, one for each chunk. */
  readonly lanes: number;
  /** Heads of a workgroup at a time. */
  readonly heads: number;
  /** Rounds of a workgroup: 1, or as many as all heads of a token need. */
  readonly rounds: number;
}

export function lanesOfTensor(
  { headDim, norm }: { readonly headDim: number; readonly norm: Pick<PassKernelNorm, "heads"> | null },
  workgroupSize: number,
): PassLanes {
  const lanes = Math.ceil(headDim / CHUNK);
  const heads = Math.floor(workgroupSize / lanes);
  const over = norm?.heads ?? null;
  return { lanes, heads, rounds: over === null ? 1 : Math.ceil(over / heads) };
}

/** Whether the kernel has lists of the host: weights, slots, factors. */
export const hasLists = ({ tensors }: Pick<PassKernel, "tensors">): boolean =>
  tensors.some(
    ({ input, output, norm, factors }) =>
      factors || norm?.weight === "list" || input.slots === "list" || output?.slots === "list",
  );

/** Whether slots lie in a buffer, where only the shader sees them. */
export const hasDeviceSlots = ({ tensors }: Pick<PassKernel, "tensors">): boolean =>
  tensors.some(({ input, output }) => typeof input.slots === "number" || typeof output?.slots === "number");

/** A field of the uniform `call`. */
export interface PassField {
  readonly name: string;
  readonly type: "u32" | "f32";
}

/** The fields of the uniform `call`, in order. */
export function passFields({ tensors, rows }: Pick<PassKernel, "tensors" | "rows">): PassField[] {
  const fields: PassField[] = [];
  const add = (type: PassField["type"], ...names: string[]): void => {
    for (const name of names) fields.push({ name, type });
  };
  add("u32", "span", "tokens", "batch_rows");
  if (rows.kind !== "gathered") {
    add("u32", "position_offset", "position_axis", "position_limit");
    add("f32", "cos_factor", "sin_factor");
  }
  for (const { name, input, output, norm, factors } of tensors) {
    add("u32", `${name}_end`, `${name}_heads`, `${name}_places`);
    for (const [prefix, role] of [
      [name, input],
      [`${name}_out`, output],
    ] as const) {
      if (role === null) continue;
      add("u32", `${prefix}_offset`, `${prefix}_batch`, `${prefix}_token`, `${prefix}_head`);
      if (!role.aligned) add("u32", `${prefix}_element`);
      if (role.grouped) add("u32", `${prefix}_group`, `${prefix}_group_heads`);
      if (role.slots !== null) add("u32", `${prefix}_slots`, `${prefix}_block`);
      if (typeof role.slots === "number") add("u32", `${prefix}_limit`);
      if (role.scales !== null) {
        add("u32", ...["offset", "batch", "token", "head"].map((part) => `${prefix}_scales_${part}`));
      }
      if (role.dtype === "float8_e4m3") add("f32", `${prefix}_scale`);
    }
    if (norm !== null) {
      add("f32", `${name}_epsilon`);
      if (norm.weight !== null) add("u32", `${name}_weight`);
      if (typeof norm.weight === "object" && norm.weight !== null) add("f32", `${name}_term`);
    }
    if (factors) add("u32", `${name}_factors`);
  }
  return fields;
}

/** A text that differs for every kernel. */
export function passKey({ tensors, memories, rows, ...kernel }: PassKernel): string {
  const place = (role: Partial<PassRole>): string =>
    `${role.memory},${role.dtype},${role.aligned},${role.grouped},${role.slots},${role.scales}`;
  const rowsKey = rows.kind === "gathered" ? "" : `${rows.words},${rows.axes?.join(".")}`;
  return [
    Object.values(kernel).join(","),
    rows.kind,
    rows.kind === "factored" && rows.rounded,
    rowsKey,
    ...memories.map(({ writable, words }) => `${writable}${words}`),
    ...tensors.map(({ name, headDim, rotated, input, output, norm, factors }) => {
      const weight =
        norm === null || norm.weight === null || norm.weight === "list" ? norm?.weight : place(norm.weight);
      return [
        `${name},${headDim},${rotated},${factors}`,
        place(input),
        output && place(output),
        norm && `${norm.after},${norm.heads},${weight}`,
      ].join(";");
    }),
  ].join(" ");
}

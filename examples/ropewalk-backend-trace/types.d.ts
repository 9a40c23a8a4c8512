/** The types of the package, by hand: what is published is what runs. */

import type { ElementType, RotaryEmbedding } from "@ropewalk/core";
import type { RopeBackend } from "@ropewalk/core/backend";

/** One rotated tensor of one call. */
export interface TraceRecord {
  /** Counts the calls of all ropes of the trace, from 1. */
  readonly call: number;
  /** The label of the rope: a layer, a model. */
  readonly label: string;
  /** Counts the tensors of the call, from 0: query before key. */
  readonly tensor: number;
  readonly input: TensorRecord;
  /** Equals `input` for a rotation in place. */
  readonly output: TensorRecord;
  readonly inPlace: boolean;
  /** Heads of all tokens of all rows. */
  readonly vectors: number;
  readonly rotatedElements: number;
  /** Bytes of the tensor, without cos and sin. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /**
   * How many heads had, before the rotation, exactly the bits that an earlier call wrote there, and the earliest such
   * call: they are rotated twice. `null` if none. Right for `invert`, `adjoint` and `shift`; a fault for `apply`.
   */
  readonly rotatedBefore: { readonly vectors: number; readonly call: number } | null;
  /** Of the rotation alone. */
  readonly milliseconds: number;
}

/** Where a tensor lies. */
export interface TensorRecord {
  /** The caller's memory, to be compared with `===`. */
  readonly buffer: ArrayBufferLike;
  /** The bytes of `buffer` from `firstByte` up to, without, `endByte`. */
  readonly firstByte: number;
  readonly endByte: number;
  readonly dtype: ElementType;
  /** `[batch, tokens, heads, headDim]`. */
  readonly shape: readonly [number, number, number, number];
  /** Whether each row of the batch is one piece, token by token and head by head. */
  readonly isContiguous: boolean;
}

export interface Trace {
  /** A copy of the list, oldest first. */
  readonly records: readonly TraceRecord[];
  /** Forgets the records, and what was written. */
  clear(): void;
  /** The records as text, a line for each. */
  table(): string;
}

/** Options of `rope.to("trace", …)`. */
export interface TraceOptions {
  /** Where to record; several ropes may share it. */
  readonly trace: Trace;
  /** Stands in the records of this rope. Default: `""`. */
  readonly label?: string;
}

/** Makes an empty trace. Its records name the caller's memory, and keep it until `clear`; nothing of it is copied. */
export function createTrace(): Trace;

/** The backend, as a value; importing the package registers it. */
export const traceBackend: RopeBackend;

declare module "@ropewalk/core" {
  interface RopeBackends {
    trace: { options: TraceOptions; rope: RotaryEmbedding };
  }
}

/**
 * The compiled kernels, and the areas of their memory.
 */

import { RopeError } from "@ropewalk/core";
import type { ElementType } from "@ropewalk/core";
import { partsOfCircle } from "@ropewalk/core/backend";
import type { AngleFrequencies, RotationTable } from "@ropewalk/core/backend";
import { KERNELS, MEMORY_FLAGS } from "./kernels.ts";

/** The exports of `assembly/index.ts`. Pointers and strides are in bytes. */
export interface Kernels {
  rotate(
    types: number,
    source: number,
    sourceToken: number,
    sourceHead: number,
    target: number,
    targetToken: number,
    targetHead: number,
    cos: number,
    sin: number,
    scratch: number,
    tokens: number,
    heads: number,
    blocks: number,
    width: number,
  ): void;
  /** `args`: the address of the arguments, in the order of `assembly/pass.ts`. */
  pass(args: number): void;
  writeRows32(
    frequencies: number,
    pairs: number,
    first: number,
    rows: number,
    cos: number,
    sin: number,
    turn: number,
  ): void;
  writeRows64(
    frequencies: number,
    rests: number,
    pairs: number,
    first: number,
    rows: number,
    cos: number,
    sin: number,
    turn: number,
  ): void;
}

/** A memory with its kernels, and what its areas hold now. */
export interface KernelMemory {
  readonly kernels: Kernels;
  readonly buffer: ArrayBufferLike;
  /** Views of the whole memory, made once, since it never grows. */
  readonly float32: Float32Array;
  readonly float64: Float64Array;
  readonly uint16: Uint16Array;
  /** The arguments of a pass, as integers and as float32. */
  readonly arguments: { readonly words: Uint32Array; readonly floats: Float32Array };
  /** The cos of the table in its area; `undefined` if the area has only a piece of a larger table. */
  table: RotationTable["cos"] | undefined;
  /** The addresses of cos and sin of the token that was loaded last. */
  cos: number;
  sin: number;
  /** The views of pieces that were used last. */
  pieces: readonly [Copyable | undefined, Copyable | undefined];
  /** The frequencies in their area. */
  frequencies: AngleFrequencies | undefined;
}

/** An array that is copied to one of the same type. */
export interface Copyable extends ArrayLike<number> {
  readonly buffer: ArrayBufferLike;
  readonly byteOffset: number;
  readonly byteLength: number;
  readonly BYTES_PER_ELEMENT: number;
  set(source: ArrayLike<number>, at: number): void;
}

/** The kernels' number of an element type. Comparisons are faster than a look-up by name. */
export function typeNumber(dtype: ElementType): number {
  if (dtype === "float32") return 0;
  if (dtype === "float16") return 1;
  return dtype === "bfloat16" ? 2 : 3;
}

/** The most bytes of one piece of a copied tensor, so that it stays in the second-level cache. */
export const PIECE_BYTES: number = 128 * 1024;
/** The most bytes of cos and sin while they are computed: both areas for pieces, which are free then. */
export const ROW_BYTES: number = 2 * PIECE_BYTES;
/** The most bytes of the tables of one piece. */
export const TABLE_BYTES: number = 256 * 1024;
/** Bytes of scratch memory of one thread, and the bytes that `rotate` needs for each rotated element of a head. */
export const SCRATCH_BYTES: number = 16 * 1024;
export const SCRATCH_PER_ELEMENT = 16;
/** Bytes of the frequencies and their parts beyond float64. */
export const FREQUENCY_BYTES: number = 16 * 1024;

/**
 * The area of a pass: 256 bytes of arguments, 1024 ones, then from these offsets on the scales of a copied piece, rows
 * of three tensors, factors of 1024 tokens each, and the weight of a norm.
 */
const PASS_BYTES = 65536;
export const PASS_ONES = 256;
export const PASS_SCALES: number = PASS_ONES + 1024 * 4;
export const PASS_ROWS: number = PASS_SCALES + 8192;
export const PASS_FACTORS: number = PASS_ROWS + 3 * 1024 * 4;
/** The most bytes of a weight. */
export const PASS_WEIGHTS: number = PASS_BYTES - PASS_FACTORS - 1024 * 4;

/** `[512, 2]` float64. */
const CIRCLE_BYTES = 512 * 2 * 8;

const CIRCLE = 4096;
const FREQUENCIES = CIRCLE + CIRCLE_BYTES;
const SCRATCH = FREQUENCIES + FREQUENCY_BYTES;
const TABLES = SCRATCH + SCRATCH_BYTES;
const SOURCE = TABLES + TABLE_BYTES;
const TARGET = SOURCE + PIECE_BYTES;

/** The address of each area of a memory; multiples of 16. The kernels' own constants lie below. */
export const areas: {
  readonly [name in "circle" | "frequencies" | "scratch" | "tables" | "source" | "target" | "pass" | "end"]: number;
} = {
  /** cos and sin of the parts of the circle, as in core. */
  circle: CIRCLE,
  frequencies: FREQUENCIES,
  scratch: SCRATCH,
  tables: TABLES,
  /** A piece of a copied tensor; also cos and sin while they are computed. */
  source: SOURCE,
  target: TARGET,
  /** What a pass needs beside tables and tensors. */
  pass: TARGET + PIECE_BYTES,
  end: TARGET + PIECE_BYTES + PASS_BYTES,
};

const modules = new Map<boolean, WebAssembly.Module>();

/**
 * The kernels for shared or private memory, compiled once each. They differ in one bit, the kind of the imported
 * memory.
 */
export function kernelModule(shared: boolean): WebAssembly.Module {
  let module = modules.get(shared);
  if (module === undefined) {
    const text = atob(KERNELS);
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    if (shared) bytes[MEMORY_FLAGS]! |= 2;
    modules.set(shared, (module = new WebAssembly.Module(bytes)));
  }
  return module;
}

/** A memory of fixed size: it never grows, so views of it never detach. */
export function createMemory(bytes: number, shared: boolean): WebAssembly.Memory {
  const pages = Math.ceil(bytes / 65536);
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
  } catch (cause) {
    throw new RopeError("ROPE_BACKEND_UNAVAILABLE", {
      what: `the platform provides no ${shared ? "shared " : ""}WebAssembly memory of ${pages * 65536} bytes`,
      expected: shared
        ? "at most 4 GiB, as much free, and cross-origin isolation on a page"
        : "at most 4 GiB, and as much free",
      received: cause instanceof Error ? cause.message : String(cause),
      remedy: "Ask for fewer bytes.",
      facts: { bytes: pages * 65536, shared },
    });
  }
}

/** Instantiates the kernels on a memory. @throws RopeError `ROPE_BACKEND_UNAVAILABLE` without WebAssembly SIMD. */
export function instantiate(memory: WebAssembly.Memory, shared: boolean): Kernels {
  try {
    const { exports } = new WebAssembly.Instance(kernelModule(shared), { env: { memory } });
    new Float64Array(memory.buffer, areas.circle).set(partsOfCircle());
    // An object of its own: to look up a property of a module's exports takes longer.
    const { rotate, pass, writeRows32, writeRows64 } = exports as unknown as Kernels;
    return { rotate, pass, writeRows32, writeRows64 };
  } catch (cause) {
    throw new RopeError("ROPE_BACKEND_UNAVAILABLE", {
      what: "the WebAssembly kernels cannot run here",
      expected: "WebAssembly with SIMD (Node 16, Chrome 91, Firefox 89, Safari 16.4)",
      received: cause instanceof Error ? cause.message : String(cause),
      remedy: "Stay on the JavaScript backend.",
    });
  }
}

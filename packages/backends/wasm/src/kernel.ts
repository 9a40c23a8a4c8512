/**
 * The compiled kernels on one memory, and how that memory is divided.
 */

import { RopeError } from "@ropewalk/core";
import type { ElementType } from "@ropewalk/core";
import { partsOfCircle } from "@ropewalk/core/backend";
import { KERNELS, MEMORY_FLAGS } from "./kernels.ts";

/** What `assembly/index.ts` exports. Pointers and strides are bytes. */
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

/** Element types as the kernels number them. Comparisons, since a look-up by name takes longer. */
export function typeNumber(dtype: ElementType): number {
  if (dtype === "float32") return 0;
  if (dtype === "float16") return 1;
  return dtype === "bfloat16" ? 2 : 3;
}

/** Most bytes of one piece that passes through: it stays in a cache of the second level. */
export const PIECE_BYTES: number = 128 * 1024;
/** What cos and sin of some rows may take while they are made: both areas for pieces, in which nothing lies then. */
export const ROW_BYTES: number = 2 * PIECE_BYTES;
/** What the tables of one piece may take. */
export const TABLE_BYTES: number = 256 * 1024;
/** Scratch memory of one thread, and what `rotate` needs of it for each rotated element of a head. */
export const SCRATCH_BYTES: number = 16 * 1024;
export const SCRATCH_PER_ELEMENT = 16;
/** Frequencies and what float64 lacks of them. */
export const FREQUENCY_BYTES: number = 16 * 1024;

/** `[512, 2]` float64. */
const CIRCLE_BYTES = 512 * 2 * 8;

const CIRCLE = 4096;
const FREQUENCIES = CIRCLE + CIRCLE_BYTES;
const SCRATCH = FREQUENCIES + FREQUENCY_BYTES;
const TABLES = SCRATCH + SCRATCH_BYTES;
const SOURCE = TABLES + TABLE_BYTES;
const TARGET = SOURCE + PIECE_BYTES;

/** Where each area of a memory begins; multiples of 16. The kernels' own constants lie below. */
export const areas: {
  readonly [name in "circle" | "frequencies" | "scratch" | "tables" | "source" | "target" | "end"]: number;
} = {
  /** cos and sin of the parts of a circle, as core has them. */
  circle: CIRCLE,
  frequencies: FREQUENCIES,
  scratch: SCRATCH,
  tables: TABLES,
  /** A piece of a tensor that lies elsewhere, on its way in and out; between calls, cos and sin while they are made. */
  source: SOURCE,
  target: TARGET,
  end: TARGET + PIECE_BYTES,
};

const modules = new Map<boolean, WebAssembly.Module>();

/** The kernels for one kind of memory, compiled once. They differ in one bit: whether the memory they import is shared. */
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
      what: `no WebAssembly memory of ${pages * 65536} bytes could be had${shared ? " as shared memory" : ""}`,
      expected: shared
        ? "at most 4 GiB, free, on a page that is cross-origin isolated"
        : "at most 4 GiB, and as much free",
      received: cause instanceof Error ? cause.message : String(cause),
      remedy: "Ask for fewer bytes.",
      facts: { bytes: pages * 65536, shared },
    });
  }
}

/** Instantiates the kernels on a memory. @throws RopeError `ROPE_BACKEND_UNAVAILABLE` where there is no WebAssembly SIMD. */
export function instantiate(memory: WebAssembly.Memory, shared: boolean): Kernels {
  try {
    const { exports } = new WebAssembly.Instance(kernelModule(shared), { env: { memory } });
    new Float64Array(memory.buffer, areas.circle).set(partsOfCircle());
    return exports as unknown as Kernels;
  } catch (cause) {
    throw new RopeError("ROPE_BACKEND_UNAVAILABLE", {
      what: "the WebAssembly kernels cannot run here",
      expected: "WebAssembly with SIMD (Node 16, Chrome 91, Firefox 89, Safari 16.4)",
      received: cause instanceof Error ? cause.message : String(cause),
      remedy: "Stay on the JavaScript backend.",
    });
  }
}

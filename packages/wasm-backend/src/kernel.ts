/**
 * One instance of the compiled kernels on one memory.
 */

import { RopeError } from "@ropewalk/core";
import { KERNELS, KERNELS_SHARED } from "./kernels.ts";

/** What `assembly/index.ts` exports. Pointers and strides are bytes. */
export interface Kernels {
  rotateBlocks32(source: number, sourceToken: number, sourceHead: number, target: number, targetToken: number, targetHead: number, cos: number, sin: number, tokens: number, heads: number, blocks: number, width: number): void;
  rotateAdjacent32(source: number, sourceToken: number, sourceHead: number, target: number, targetToken: number, targetHead: number, cos: number, sin: number, wide: number, tokens: number, heads: number, pairs: number): void;
  rotateBlocks64: Kernels["rotateBlocks32"];
  widen(source: number, sourceToken: number, sourceHead: number, target: number, tokens: number, heads: number, count: number, brain: boolean): void;
  narrow(source: number, target: number, targetToken: number, targetHead: number, tokens: number, heads: number, count: number, brain: boolean): void;
}

/** Most bytes of one piece that passes through the staging area: it stays in a cache of the second level. */
export const PIECE_BYTES: number = 128 * 1024;

/** What the tables of one piece may take. */
export const TABLE_BYTES: number = 256 * 1024;

/** What rotations need beside tensors: tables, a piece as floats, and the same piece as 16-bit elements. */
export const STAGING_BYTES: number = TABLE_BYTES + 2 * PIECE_BYTES;

const modules = new Map<string, WebAssembly.Module>();

function moduleOf(base64: string): WebAssembly.Module {
  let module = modules.get(base64);
  if (module === undefined) {
    const text = atob(base64);
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    modules.set(base64, (module = new WebAssembly.Module(bytes)));
  }
  return module;
}

/** The kernels for shared memory, compiled: workers get them as they are. */
export const sharedModule = (): WebAssembly.Module => moduleOf(KERNELS_SHARED);

/** A memory of fixed size: it never grows, so views of it never detach. */
export function createMemory(bytes: number, shared: boolean): WebAssembly.Memory {
  const pages = Math.ceil(bytes / 65536);
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
  } catch (cause) {
    throw new RopeError("ROPE_BACKEND_UNAVAILABLE", {
      what: `no WebAssembly memory of ${pages * 65536} bytes could be had${shared ? " as shared memory" : ""}`,
      expected: shared ? "at most 4 GiB, free, on a page that is cross-origin isolated" : "at most 4 GiB, and as much free",
      got: cause instanceof Error ? cause.message : String(cause),
      remedy: "Ask for fewer bytes.",
      facts: { bytes: pages * 65536, shared },
    });
  }
}

/** Instantiates the kernels on a memory. @throws RopeError `ROPE_BACKEND_UNAVAILABLE` where there is no WebAssembly SIMD. */
export function instantiate(memory: WebAssembly.Memory, shared: boolean): Kernels {
  try {
    const { exports } = new WebAssembly.Instance(moduleOf(shared ? KERNELS_SHARED : KERNELS), { env: { memory } });
    return exports as unknown as Kernels;
  } catch (cause) {
    throw new RopeError("ROPE_BACKEND_UNAVAILABLE", {
      what: "the WebAssembly kernels cannot run here",
      expected: "WebAssembly with SIMD (Node 16, Chrome 91, Firefox 89, Safari 16.4)",
      got: cause instanceof Error ? cause.message : String(cause),
      remedy: "Stay on the JavaScript backend.",
    });
  }
}

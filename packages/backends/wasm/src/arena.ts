/**
 * Memory that tensors and kernels share, so that a rotation copies nothing.
 */

// The types need Symbol.dispose, whatever "lib" their user compiles with.
/// <reference lib="esnext.disposable" preserve="true" />

import { RopeError } from "@ropewalk/core";
import type { ElementType, TensorView } from "@ropewalk/core";
import { checkKeys, invalid, listOf, shapeError, show } from "@ropewalk/core/backend";
import { areas, createMemory } from "./kernel.ts";
import type { KernelMemory } from "./kernel.ts";

/** A tensor in an arena: row-major, contiguous, aligned to 16 bytes. Free it with `using` or `dispose`. */
export interface ArenaTensor<
  A extends Float64Array | Float32Array | Uint16Array = Float64Array | Float32Array | Uint16Array,
> extends TensorView {
  /**
   * A view of the arena's memory; a Uint16Array holds the bits of a 16-bit type. After `dispose` another tensor may use
   * the memory.
   */
  readonly data: A;
  /** As given to the arena; a frozen copy. */
  readonly shape: readonly number[];
  readonly dtype: ElementType;
  /** Frees the memory. A second call does nothing. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/** A fixed block of memory for tensors. */
export interface Arena {
  readonly memory: WebAssembly.Memory;
  /** Whether the memory is a `SharedArrayBuffer`. */
  readonly shared: boolean;
  /** Bytes for tensors, at least as many as requested. */
  readonly bytes: number;
  /** Free bytes; they may lie in several pieces. */
  readonly free: number;
  /**
   * Allocates a tensor of zeros. Any shape is allowed; a rotation needs one that `Tensor` of core describes.
   * @throws RopeError `ROPE_SHAPE` when `shape` is no list of integers ≥ 0; `ROPE_BACKEND_UNAVAILABLE` when no free
   * piece is large enough.
   */
  float32(shape: readonly number[]): ArenaTensor<Float32Array>;
  /** As `float32`, of 8 bytes an element. */
  float64(shape: readonly number[]): ArenaTensor<Float64Array>;
  /** As `float32`, of 2 bytes an element, as bits. */
  float16(shape: readonly number[]): ArenaTensor<Uint16Array>;
  /** As `float32`, of 2 bytes an element, as bits. */
  bfloat16(shape: readonly number[]): ArenaTensor<Uint16Array>;
}

/** `Symbol.dispose`, or for older JavaScript engines the symbol that transpilers use. */
export const disposeSymbol: typeof Symbol.dispose =
  Symbol.dispose ?? (Symbol.for("Symbol.dispose") as typeof Symbol.dispose);

const elementBytes = { float64: 8, float32: 4, float16: 2, bfloat16: 2 } as const;

/**
 * Makes an arena. It reserves its memory at once and never grows, so the views of its tensors never detach.
 *
 * @param options `bytes`: room for tensors, rounded up to whole pages of 64 KiB. `shared` (default false): use a
 * `SharedArrayBuffer`, in which a pool of threads can rotate.
 * @throws RopeError `ROPE_INVALID_PARAMETERS` for an unknown option, a size that is no integer > 0, or `shared` that is
 * no boolean; `ROPE_BACKEND_UNAVAILABLE` when the platform does not provide the memory.
 *
 * @example
 * const arena = createArena({ bytes: 1 << 20 });
 * const tensor = arena.float32([2, 8, 64]);
 * tensor.data.length; // 1024
 * tensor.dispose();
 * arena.free === arena.bytes; // true
 */
export function createArena(options: { readonly bytes: number; readonly shared?: boolean }): Arena {
  const { bytes, shared = false } = checkKeys("the options of createArena", options, ["bytes", "shared"]);
  if (!Number.isSafeInteger(bytes) || bytes <= 0) {
    const expected = "an integer number of bytes > 0";
    throw invalid("the options of createArena", [{ path: "bytes", expected, received: show(bytes) }]);
  }
  if (typeof shared !== "boolean") {
    throw invalid("the options of createArena", [
      { path: "shared", expected: "true or false", received: show(shared) },
    ]);
  }
  const arena = new FixedArena(createMemory(bytes + areas.end, shared), shared);
  arenas.set(arena.memory.buffer, { arena, kernels: undefined });
  return arena;
}

/** An arena, and its memory with kernels once something was rotated there. */
export interface KnownArena {
  readonly arena: Arena;
  kernels: KernelMemory | undefined;
}

/** The arenas by their memory: the memory of a tensor identifies its arena. */
const arenas = new WeakMap<ArrayBufferLike, KnownArena>();

/** The arena of a memory; `undefined` for other memory. */
export const knownArena = (buffer: ArrayBufferLike): KnownArena | undefined => arenas.get(buffer);

/** Whether a value is an arena that {@link createArena} made. */
export const isArena = (value: unknown): value is Arena => value instanceof FixedArena;

class FixedArena implements Arena {
  readonly memory: WebAssembly.Memory;
  readonly shared: boolean;
  /** Free pieces, by address; neighbours are joined. */
  readonly #pieces: { start: number; end: number }[];

  constructor(memory: WebAssembly.Memory, shared: boolean) {
    this.memory = memory;
    this.shared = shared;
    this.#pieces = [{ start: areas.end, end: memory.buffer.byteLength }];
  }

  get bytes(): number {
    return this.memory.buffer.byteLength - areas.end;
  }
  get free(): number {
    return this.#pieces.reduce((sum, { start, end }) => sum + end - start, 0);
  }

  float32(shape: readonly number[]): ArenaTensor<Float32Array> {
    return this.#allocate("float32", shape, (at, length) => new Float32Array(this.memory.buffer, at, length));
  }
  float64(shape: readonly number[]): ArenaTensor<Float64Array> {
    return this.#allocate("float64", shape, (at, length) => new Float64Array(this.memory.buffer, at, length));
  }
  float16(shape: readonly number[]): ArenaTensor<Uint16Array> {
    return this.#allocate("float16", shape, (at, length) => new Uint16Array(this.memory.buffer, at, length));
  }
  bfloat16(shape: readonly number[]): ArenaTensor<Uint16Array> {
    return this.#allocate("bfloat16", shape, (at, length) => new Uint16Array(this.memory.buffer, at, length));
  }

  #allocate<A extends Float64Array | Float32Array | Uint16Array>(
    dtype: ElementType,
    given: readonly number[],
    view: (at: number, length: number) => A,
  ): ArenaTensor<A> {
    const shape = Array.isArray(given) ? (listOf(given) as number[] | undefined) : undefined;
    if (shape?.every((size) => Number.isSafeInteger(size) && size >= 0) !== true) {
      throw shapeError("shape", "a list of integers ≥ 0", show(given));
    }
    const length = shape.reduce((product, size) => product * size, 1);
    const size = Math.ceil((length * elementBytes[dtype]) / 16) * 16;
    const index = this.#pieces.findIndex(({ start, end }) => end - start >= size);
    if (index === -1) {
      throw new RopeError("ROPE_BACKEND_UNAVAILABLE", {
        what: `the arena has no room for ${dtype} [${shape.join(", ")}]`,
        expected: `${size} free bytes in one piece`,
        received: `${this.free} free of ${this.bytes}, the largest piece ${Math.max(0, ...this.#pieces.map(({ start, end }) => end - start))}`,
        remedy: "Dispose tensors that are no longer needed, or create a larger arena.",
        facts: { bytes: size, free: this.free },
      });
    }
    const start = this.#pieces[index]!.start;
    this.#pieces[index]!.start += size;
    if (this.#pieces[index]!.start === this.#pieces[index]!.end) this.#pieces.splice(index, 1);
    const data = view(start, length);
    data.fill(0);
    let live = true;
    const dispose = (): void => {
      if (live) this.#release(start, start + size);
      live = false;
    };
    // `dispose` is not enumerable: core accepts only the keys of a tensor.
    const tensor = { data, shape: Object.freeze(shape), dtype };
    Object.defineProperties(tensor, { dispose: { value: dispose }, [disposeSymbol]: { value: dispose } });
    return Object.freeze(tensor) as ArenaTensor<A>;
  }

  #release(start: number, end: number): void {
    if (start === end) return;
    let index = this.#pieces.findIndex((piece) => piece.start > start);
    if (index === -1) index = this.#pieces.length;
    this.#pieces.splice(index, 0, { start, end });
    const [before, piece, after] = [this.#pieces[index - 1], this.#pieces[index]!, this.#pieces[index + 1]];
    if (after?.start === piece.end) {
      piece.end = after.end;
      this.#pieces.splice(index + 1, 1);
    }
    if (before?.end === piece.start) {
      before.end = piece.end;
      this.#pieces.splice(index, 1);
    }
  }
}

/**
 * Memory that tensors and kernels share, so that rotating copies nothing.
 */

import { RopeError } from "@ropewalk/core";
import type { ElementType, TensorView } from "@ropewalk/core";
import { checkKeys, invalid, shapeError, show } from "@ropewalk/core/backend";
import { areas, createMemory } from "./kernel.ts";

/** A tensor in an arena: row-major, aligned to 16 bytes. Use `using`, or call `dispose`, to free it. */
export interface ArenaTensor<
  A extends Float64Array | Float32Array | Uint16Array = Float64Array | Float32Array | Uint16Array,
> extends TensorView {
  /** A view of the arena's memory. It stays valid, but after `dispose` another tensor may lie there. */
  readonly data: A;
  readonly shape: readonly number[];
  readonly dtype: ElementType;
  /** Frees the memory. Calling it again does nothing. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/** A fixed block of memory that tensors are allocated from. */
export interface Arena {
  readonly memory: WebAssembly.Memory;
  readonly shared: boolean;
  /** Bytes for tensors in all, and how many of them are free (perhaps in several pieces). */
  readonly bytes: number;
  readonly free: number;
  /** Allocates a tensor, zeroed. @throws RopeError `ROPE_BACKEND_UNAVAILABLE` when it does not fit. */
  float32(shape: readonly number[]): ArenaTensor<Float32Array>;
  float64(shape: readonly number[]): ArenaTensor<Float64Array>;
  float16(shape: readonly number[]): ArenaTensor<Uint16Array>;
  bfloat16(shape: readonly number[]): ArenaTensor<Uint16Array>;
}

/** `Symbol.dispose` where the engine has it; else the symbol that transpilers agree on. */
export const disposeSymbol: typeof Symbol.dispose =
  Symbol.dispose ?? (Symbol.for("Symbol.dispose") as typeof Symbol.dispose);

const elementBytes = { float64: 8, float32: 4, float16: 2, bfloat16: 2 } as const;

/**
 * Makes an arena.
 *
 * @param bytes its size; memory is reserved at once and never grows, so that views never detach.
 * @param shared a `SharedArrayBuffer`, which workers can rotate in too.
 * @throws RopeError `ROPE_BACKEND_UNAVAILABLE` when the memory cannot be had.
 */
export function createArena(options: { readonly bytes: number; readonly shared?: boolean }): Arena {
  checkKeys("the options of createArena", options, ["bytes", "shared"]);
  const { bytes, shared = false } = options;
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
  arenas.set(arena.memory.buffer, arena);
  return arena;
}

/** The arenas by their memory, so that a tensor is known for what it is wherever it turns up. */
const arenas = new WeakMap<ArrayBufferLike, Arena>();

/** The arena that has this memory, if one has. */
export const arenaOf = (buffer: ArrayBufferLike | undefined): Arena | undefined =>
  buffer === undefined ? undefined : arenas.get(buffer);

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
    shape: readonly number[],
    view: (at: number, length: number) => A,
  ): ArenaTensor<A> {
    if (!Array.isArray(shape) || !shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
      throw shapeError("shape", "a list of integers ≥ 0", show(shape));
    }
    const length = shape.reduce((product, size) => product * size, 1);
    const size = Math.ceil((length * elementBytes[dtype]) / 16) * 16;
    const index = this.#pieces.findIndex(({ start, end }) => end - start >= size);
    if (index === -1) {
      throw new RopeError("ROPE_BACKEND_UNAVAILABLE", {
        what: `the arena has no room for ${dtype} [${shape.join(", ")}]`,
        expected: `${size} free bytes in one piece`,
        received: `${this.free} free of ${this.bytes}, the largest piece ${Math.max(0, ...this.#pieces.map(({ start, end }) => end - start))}`,
        remedy: "Dispose tensors that are not needed any more, or create a larger arena.",
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
    // Its enumerable keys are those of any tensor.
    const tensor = { data, shape: Object.freeze([...shape]), dtype };
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

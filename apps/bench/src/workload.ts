/**
 * The timed workload: rotating the queries and keys of some tokens. The reference result is computed in float64 without
 * ropewalk's code.
 */

import { createArena } from "@ropewalk/wasm-backend";
import type { Arena } from "@ropewalk/wasm-backend";

export type Pairing = "half" | "adjacent";
export type ElementType = "float32" | "float16";
/** The element types that devices rotate. */
export type GpuElementType = ElementType | "bfloat16";
export type Elements = Float32Array | Uint16Array;

/** Queries and keys, each `[tokens, heads, headDim]`, contiguous; 16-bit numbers as bits. */
export interface QueryAndKey {
  readonly query: Elements;
  readonly key: Elements;
}

/** The input of a rotation: sizes and numbers. */
export interface Input {
  readonly tokens: number;
  readonly pairing: Pairing;
  readonly dtype: GpuElementType;
  readonly queryHeads: number;
  readonly keyHeads: number;
  readonly headDim: number;
  readonly base: number;
  /** The first position; the others follow it. */
  readonly start: number;
  /** Never written to. */
  readonly pristine: QueryAndKey;
}

/** One line of the benchmark: the input, and the memory that all contestants share. */
export interface Workload extends Input {
  readonly dtype: ElementType;
  /** The arena of `working`, so that kernels that need an arena do not have to copy. */
  readonly arena: Arena;
  /** The memory that contestants read. Contestants that work in place also write to it. */
  readonly working: QueryAndKey;
  /** The memory for results of contestants that cannot work in place. */
  readonly spare: QueryAndKey;
}

export interface InputOptions<T extends GpuElementType> {
  readonly tokens: number;
  readonly pairing: Pairing;
  readonly dtype: T;
  readonly queryHeads?: number;
  readonly keyHeads?: number;
}

/** The period of the random numbers: a prime, so that different heads and tokens have different numbers. */
const PERIOD = 1_048_573;

/** Attention of a model of some 8 billion parameters (Llama 3, Qwen 2.5): 32 query and 8 key heads of 128. */
export function createInput<T extends GpuElementType>({
  tokens,
  pairing,
  dtype,
  queryHeads = 32,
  keyHeads = 8,
}: InputOptions<T>): Input & { readonly dtype: T } {
  const headDim = 128;
  const random = randomNumbers(tokens);
  const round = dtype === "float16" ? float16Bits : dtype === "bfloat16" ? bfloat16Bits : (value: number) => value;
  const fill = (heads: number): Elements => {
    const values =
      dtype === "float32" ? new Float32Array(tokens * heads * headDim) : new Uint16Array(tokens * heads * headDim);
    const own = Math.min(values.length, PERIOD);
    for (let i = 0; i < own; i++) values[i] = round(random() * 4 - 2);
    for (let i = own; i < values.length; i += own) values.copyWithin(i, 0, Math.min(own, values.length - i));
    return values;
  };
  return {
    tokens,
    pairing,
    dtype,
    queryHeads,
    keyHeads,
    headDim,
    base: 500_000,
    start: 77,
    pristine: { query: fill(queryHeads), key: fill(keyHeads) },
  };
}

/** An input with memory for contestants. */
export function createWorkload(options: InputOptions<ElementType>): Workload {
  const input = createInput(options);
  const { pristine, dtype } = input;
  const arena = createArena({ bytes: pristine.query.byteLength + pristine.key.byteLength + 4096 });
  const inArena = (values: Elements): Elements => arena[dtype]([values.length]).data;
  const workload = {
    ...input,
    arena,
    working: { query: inArena(pristine.query), key: inArena(pristine.key) },
    spare: { query: pristine.query.slice(), key: pristine.key.slice() },
  };
  reset(workload);
  return workload;
}

/** Restores the working memory. */
export function reset({ pristine, working }: Workload): void {
  working.query.set(pristine.query);
  working.key.set(pristine.key);
}

/** cos and sin of each token and pair, `[tokens, headDim/2]`, with angles in float32 or float64. */
export function referenceTables(
  { tokens, headDim, base, start }: Pick<Input, "tokens" | "headDim" | "base" | "start">,
  angles: "float32" | "float64",
): { cos: Float64Array; sin: Float64Array } {
  const pairs = headDim / 2;
  const cos = new Float64Array(tokens * pairs);
  const sin = new Float64Array(tokens * pairs);
  const { fround } = Math;
  for (let i = 0; i < pairs; i++) {
    const exact = base ** ((-2 * i) / headDim);
    const rounded = fround(1 / fround(base ** fround((2 * i) / headDim)));
    for (let t = 0; t < tokens; t++) {
      const angle = angles === "float32" ? fround((start + t) * rounded) : (start + t) * exact;
      cos[t * pairs + i] = Math.cos(angle);
      sin[t * pairs + i] = Math.sin(angle);
    }
  }
  return { cos, sin };
}

/** The distance of a result from the reference. */
export interface Check {
  /** The largest `|result − reference| / (|x| + |y|)`, for the elements x and y of a pair. */
  readonly error: number;
  /** The largest error that is allowed. */
  readonly tolerance: number;
}

/**
 * Compares rotated queries and keys with the reference.
 *
 * The tolerance: cos and sin, two products and a sum round once each, by 2^-24 in float32, and `|x| + |y|` bounds both
 * products and their sum, so four roundings make 2^-22. float16 results and, where the engine wants them so, tables
 * round by 2^-11: 2^-9 covers four of them; bfloat16 by 2^-8, which makes 2^-6.
 */
export function check(workload: Input, result: QueryAndKey, angles: "float32" | "float64"): Check {
  const tables = referenceTables(workload, angles);
  const { pristine, queryHeads, keyHeads, dtype } = workload;
  const error = Math.max(
    largestError(workload, pristine.query, result.query, queryHeads, tables),
    largestError(workload, pristine.key, result.key, keyHeads, tables),
  );
  return { error, tolerance: { float32: 2 ** -22, float16: 2 ** -9, bfloat16: 2 ** -6 }[dtype] };
}

function largestError(
  { tokens, headDim, pairing, dtype }: Input,
  given: Elements,
  result: Elements,
  heads: number,
  { cos, sin }: { cos: Float64Array; sin: Float64Array },
): number {
  const pairs = headDim / 2;
  // A table of all 16-bit values, because decoding tens of millions of elements takes longer than rotating them.
  const values =
    dtype === "float32"
      ? undefined
      : Float64Array.from({ length: 1 << 16 }, (_, bits) =>
          dtype === "float16" ? float16Value(bits) : bfloat16Value(bits),
        );
  const value = (elements: Elements, index: number): number =>
    values === undefined ? elements[index]! : values[elements[index]!]!;
  let largest = 0;
  for (let head = 0; head < tokens * heads; head++) {
    const row = Math.floor(head / heads) * pairs;
    for (let i = 0; i < pairs; i++) {
      const first = head * headDim + (pairing === "half" ? i : 2 * i);
      const second = pairing === "half" ? first + pairs : first + 1;
      const x = value(given, first);
      const y = value(given, second);
      const c = cos[row + i]!;
      const s = sin[row + i]!;
      const error = Math.max(
        Math.abs(value(result, first) - (x * c - y * s)),
        Math.abs(value(result, second) - (y * c + x * s)),
      );
      const relative = error / (Math.abs(x) + Math.abs(y));
      // NaN counts as an error and is kept for the following pairs.
      if (!(relative <= largest)) largest = Number.isNaN(relative) ? Infinity : relative;
    }
  }
  return largest;
}

/** xorshift32: numbers that look random in [0, 1), the same in every run. */
function randomNumbers(seed: number): () => number {
  let state = seed * 2654435761 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** The nearest float16 of a normal number. */
export function float16Bits(value: number): number {
  if (value === 0) return 0;
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(value))), -14);
  const steps = Math.abs(value) / 2 ** (exponent - 10);
  const rounded = Math.round(steps) - (Math.round(steps) - steps === 0.5 && Math.round(steps) % 2 === 1 ? 1 : 0);
  return (value < 0 ? 0x8000 : 0) + (exponent + 14) * 1024 + rounded;
}

/** The value of float16 bits. */
export function float16Value(bits: number): number {
  const exponent = (bits >> 10) & 31;
  if (exponent === 31) return NaN;
  const magnitude = exponent === 0 ? (bits & 1023) * 2 ** -24 : ((bits & 1023) + 1024) * 2 ** (exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

const word = new Uint32Array(1);
const single = new Float32Array(word.buffer);

/** The nearest bfloat16 of a finite number: ties to even. */
export function bfloat16Bits(value: number): number {
  single[0] = value;
  return (word[0]! + 0x7fff + ((word[0]! >>> 16) & 1)) >>> 16;
}

/** The value of bfloat16 bits. */
export function bfloat16Value(bits: number): number {
  word[0] = bits << 16;
  return single[0]!;
}

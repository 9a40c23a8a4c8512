/**
 * Elements in WGSL: loads and stores of words, and the conversions of 16-bit elements to float32 and back.
 */

import { lanesOf, vector } from "./kernel-description.ts";
import type { Kernel, KernelElement, KernelRole } from "./kernel-description.ts";

/** Splits packed words into 16-bit elements, and joins them. */
export const halves = (lanes: 2 | 4): string =>
  lanes === 2
    ? `fn split(w: u32) -> Words { return Words(w & 0xffffu, w >> 16u); }
fn join(h: Words) -> u32 { return h.x | (h.y << 16u); }
`
    : `fn split(w: vec2<u32>) -> Words { return Words(w.x & 0xffffu, w.x >> 16u, w.y & 0xffffu, w.y >> 16u); }
fn join(h: Words) -> vec2<u32> { return h.xz | (h.yw << vec2<u32>(16u)); }
`;

/**
 * float16 for shaders without `shader-f16`, in few integer operations: these limit a graphics card more than its memory
 * does.
 *
 * From float16: every WGSL has `unpack2x16float`, but a device may read subnormal numbers as 0. So subnormal numbers
 * are computed from normal ones.
 *
 * To float16: `pack2x16float` may round up or down. Adding 2^13 times the power of two of a value rounds its mantissa
 * to 10 bits, to nearest, ties to even. The bits of the sum then hold that mantissa with its leading bit. Below 2^-14
 * the power stays the same.
 */
export const float16 = (
  lanes: 1 | 2 | 4,
): string => `fn from_float16(w: ${vector(Math.max(1, lanes / 2), "u32")}) -> Floats {
  let half = ${lanes === 1 ? "w" : "split(w)"};
  let size = half & Words(0x7fffu);
  let small = bitcast<Words>(bitcast<Floats>((size << Words(13u)) + Words(0x38800000u)) - Floats(6.103515625e-05)); // of 2^-24
  let value = ${lanes === 1 ? "unpack2x16float(w).x" : lanes === 2 ? "unpack2x16float(w)" : "Floats(unpack2x16float(w.x), unpack2x16float(w.y))"};
  return select(value, bitcast<Floats>(small | ((half & Words(0x8000u)) << Words(16u))), size < Words(0x400u));
}
// To the nearest, ties to even.
fn to_float16(value: Floats) -> Words {
  let bits = bitcast<Words>(value);
  let power = max((bits & Words(0x7f800000u)) + Words(0x6800000u), Words(0x3f000000u));
  let sum = bitcast<Words>(abs(value) + bitcast<Floats>(power));
  let largest = select(Words(0x7c00u), Words(0x7e00u), (bits & Words(0x7fffffffu)) > Words(0x7f800000u)); // infinity, NaN
  let half = min(sum - power + (power >> Words(13u)) - Words(0x1f800u), largest);
  return half | ((bits >> Words(16u)) & Words(0x8000u));
}
`;

/** bfloat16 is the upper half of a float32. */
export const bfloat16 = `fn from_bfloat16(half: Words) -> Floats { return bitcast<Floats>(half << Words(16u)); }
// To the nearest, ties to even.
fn to_bfloat16(value: Floats) -> Words {
  let bits = bitcast<Words>(value);
  let half = (bits + Words(0x7fffu) + ((bits >> Words(16u)) & Words(1u))) >> Words(16u);
  return select(half, (bits >> Words(16u)) | Words(0x40u), (bits & Words(0x7fffffffu)) > Words(0x7f800000u));
}
`;

/** The WGSL type of the words of `run` elements. */
export function wordsType({ run }: Kernel, dtype: KernelElement): string {
  return dtype === "float32" ? vector(run, "u32") : vector(Math.max(1, run / 2), "u32");
}

const letters = ["x", "y", "z", "w"] as const;

/** A function like `load_query`: the words of `run` elements of a memory, from element `e` on. */
export function loadText(kernel: Kernel, name: string, { memory, dtype }: KernelRole): string {
  const { run } = kernel;
  const { words, atomic } = kernel.memories[memory]!;
  const head = `fn load_${name}(e: u32) -> ${wordsType(kernel, dtype)} {`;
  const word = (index: string): string =>
    atomic ? `atomicLoad(&memory${memory}[${index}])` : `memory${memory}[${index}]`;
  const wanted = dtype === "float32" ? run : run / 2;
  if (wanted < 1) return `${head} return (${word("e / 2u")} >> (16u * (e & 1u))) & 0xffffu; }`;
  if (wanted === words) return `${head} return ${word(run === 1 ? "e" : `e / ${run}u`)}; }`;
  const first = dtype === "float32" ? "e" : "e / 2u";
  return `${head} let i = ${first}; return ${vector(wanted, "u32")}(${Array.from({ length: wanted }, (_, k) => word(k === 0 ? "i" : `i + ${k}u`)).join(", ")}); }`;
}

/** A function like `store_query`: the reverse of {@link loadText}. */
export function storeText(kernel: Kernel, name: string, { memory, dtype }: KernelRole): string {
  const { run } = kernel;
  const { words, atomic } = kernel.memories[memory]!;
  const head = `fn store_${name}(e: u32, w: ${wordsType(kernel, dtype)}) {`;
  const wanted = dtype === "float32" ? run : run / 2;
  // Another invocation may write the other half of the word, but not this half, so two steps are safe.
  if (wanted < 1) {
    return `${head} let s = 16u * (e & 1u); atomicAnd(&memory${memory}[e / 2u], ~(0xffffu << s)); atomicOr(&memory${memory}[e / 2u], w << s); }`;
  }
  if (atomic) return `${head} atomicStore(&memory${memory}[e], w); }`;
  if (wanted === words) return `${head} memory${memory}[${run === 1 ? "e" : `e / ${run}u`}] = w; }`;
  const first = dtype === "float32" ? "e" : "e / 2u";
  return `${head} let i = ${first};${Array.from({ length: wanted }, (_, k) => ` memory${memory}[${k === 0 ? "i" : `i + ${k}u`}] = w.${letters[k]};`).join("")} }`;
}

/** What the conversions of a kernel depend on. */
type ElementForm = Pick<Kernel, "run" | "nativeFloat16">;

/** `Floats` from the words of a vector of elements. */
export function decoded(kernel: ElementForm, dtype: KernelElement, words: string): string {
  const lanes = lanesOf(kernel);
  const { nativeFloat16 } = kernel;
  if (dtype === "float32") return `bitcast<Floats>(${words})`;
  if (dtype === "float16" && nativeFloat16) {
    return lanes === 1 ? `Floats(bitcast<vec2<f16>>(${words}).x)` : `Floats(bitcast<vec${lanes}<f16>>(${words}))`;
  }
  return `from_${dtype}(${lanes === 1 || dtype === "float16" ? words : `split(${words})`})`;
}

/** The words of `Floats`, rounded to the element type. */
export function encoded(kernel: ElementForm, dtype: KernelElement, value: string): string {
  const lanes = lanesOf(kernel);
  const { nativeFloat16 } = kernel;
  if (dtype === "float32") return `bitcast<Words>(${value})`;
  if (dtype === "float16" && nativeFloat16) {
    return lanes === 1
      ? `bitcast<u32>(vec2<f16>(f16(${value}), 0.0h))`
      : `bitcast<${vector(lanes / 2, "u32")}>(vec${lanes}<f16>(${value}))`;
  }
  return lanes === 1 ? `to_${dtype}(${value})` : `join(to_${dtype}(${value}))`;
}

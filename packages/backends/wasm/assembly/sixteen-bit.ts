/**
 * float16 and bfloat16 to float32 and back.
 *
 * Eight elements at a time, by the shortest way that is right for normal numbers, zeros and subnormal numbers. One
 * comparison at the end finds other elements (infinities, NaN, results beyond the range), and then the head is
 * converted again by the slower way. Constants are read from memory: as literals they would be built for every vector,
 * which takes half of the time.
 */

// prettier-ignore
const constants: usize = memory.data<u32>([
  0x7fffffff, 0x7fffffff, 0x7fffffff, 0x7fffffff, // all but the sign of a float32
  0x7f800000, 0x7f800000, 0x7f800000, 0x7f800000, // its exponent
  0x38800000, 0x38800000, 0x38800000, 0x38800000, // 2^-14, the smallest normal float16
  0x06800000, 0x06800000, 0x06800000, 0x06800000, // 13 more in the exponent
  0x0001c400, 0x0001c400, 0x0001c400, 0x0001c400, // the exponent of 2^-14 where float16 has it
  0x80008000, 0x80008000, 0x80008000, 0x80008000, // the sign of a float16
  0x8fffe000, 0x8fffe000, 0x8fffe000, 0x8fffe000, // sign, exponent and fraction of a float16 where float32 has them
  0x77800000, 0x77800000, 0x77800000, 0x77800000, // 2^112
  0x00007fff, 0x00007fff, 0x00007fff, 0x00007fff, // half of bfloat16's last place, less one
  0x00000001, 0x00000001, 0x00000001, 0x00000001,
], 16);

/** From here on magnitudes become infinity in float16. */
const HALF_OVERFLOW: i32 = 0x477ff000;
const SINGLE_INFINITY: i32 = 0x7f800000;

/** float16 bits in each 32-bit lane to float32; infinities and NaN too. */
// @ts-ignore: decorator
@inline function anyHalfToSingle(h: v128): v128 {
  const magnitude = v128.and(h, i32x4.splat(0x7fff));
  const value = f32x4.mul(i32x4.shl(magnitude, 13), f32x4.splat(reinterpret<f32>(0x77800000)));
  const special = i32x4.ge_s(magnitude, i32x4.splat(0x7c00));
  const sign = i32x4.shl(v128.and(h, i32x4.splat(0x8000)), 16);
  return v128.or(v128.or(value, v128.and(special, i32x4.splat(0x7f800000))), sign);
}

/** The nearest float16, ties to even, of any float32. */
// @ts-ignore: decorator
@inline function anySingleToHalf(v: v128): v128 {
  const magnitude = v128.and(v, i32x4.splat(0x7fffffff));
  const nan = v128.or(i32x4.splat(0x7e00), v128.and(i32x4.shr_u(magnitude, 13), i32x4.splat(0x3ff)));
  let result = roundToHalf(magnitude, i32x4.splat(0x7f800000), i32x4.splat(0x38800000), i32x4.splat(0x06800000), i32x4.splat(0x1c400));
  result = v128.bitselect(i32x4.splat(0x7c00), result, i32x4.ge_s(magnitude, i32x4.splat(HALF_OVERFLOW)));
  result = v128.bitselect(nan, result, i32x4.gt_s(magnitude, i32x4.splat(SINGLE_INFINITY)));
  return v128.or(result, v128.and(i32x4.shr_u(v, 16), i32x4.splat(0x8000)));
}

/**
 * The nearest float16, ties to even, of a magnitude below 65520.
 *
 * Its exponent e, at least −14, gives `m = 2^(e+13)`. In `magnitude + m` the last place is float16's, so the addition
 * rounds; what it adds to the bits of m is the fraction with its leading 1, or without one below 2^-14.
 */
// @ts-ignore: decorator
@inline function roundToHalf(magnitude: v128, exponentBits: v128, smallest: v128, thirteen: v128, bias: v128): v128 {
  const exponent = i32x4.max_s(v128.and(magnitude, exponentBits), smallest);
  const m = i32x4.add(exponent, thirteen);
  const fraction = i32x4.sub(f32x4.add(magnitude, m), m);
  return i32x4.add(fraction, i32x4.sub(i32x4.shr_u(exponent, 13), bias));
}

/** The nearest bfloat16, ties to even, of any float32. */
// @ts-ignore: decorator
@inline function anySingleToBrain(v: v128): v128 {
  const nan = v128.or(i32x4.shr_u(v, 16), i32x4.splat(0x40));
  return v128.bitselect(nan, roundToBrain(v, i32x4.splat(0x7fff), i32x4.splat(1)), f32x4.ne(v, v));
}

/** The same for everything but NaN. */
// @ts-ignore: decorator
@inline function roundToBrain(v: v128, nearlyHalf: v128, one: v128): v128 {
  const odd = v128.and(i32x4.shr_u(v, 16), one);
  return i32x4.shr_u(i32x4.add(i32x4.add(v, nearlyHalf), odd), 16);
}

/** `count` elements of float16 to float32. */
export function widenHalf(source: usize, target: usize, count: usize): void {
  const places = v128.load(constants, 96);
  const scale = v128.load(constants, 112);
  const bytes = count << 1;
  const end16 = source + (bytes & ~15);
  let x = source;
  let to = target;
  let largest = i16x8.splat(0);
  while (x < end16) {
    const h = v128.load(x);
    largest = i16x8.max_u(largest, i16x8.shl(h, 1));
    v128.store(to, f32x4.mul(v128.and(i32x4.shl(i32x4.extend_low_i16x8_s(h), 13), places), scale));
    v128.store(to, f32x4.mul(v128.and(i32x4.shl(i32x4.extend_high_i16x8_s(h), 13), places), scale), 16);
    x += 16; to += 32;
  }
  if (v128.any_true(i16x8.ge_u(largest, i16x8.splat(<i16>0xf800)))) {
    x = source;
    to = target;
    while (x < end16) {
      v128.store(to, anyHalfToSingle(v128.load16x4_u(x)));
      x += 8; to += 16;
    }
  }
  const end = source + bytes;
  while (x < end) {
    store<u32>(to, i32x4.extract_lane(anyHalfToSingle(i32x4.splat(load<u16>(x))), 0));
    x += 2; to += 4;
  }
}

/** `count` elements of bfloat16 to float32: every one has its own. */
export function widenBrain(source: usize, target: usize, count: usize): void {
  const bytes = count << 1;
  const end16 = source + (bytes & ~15);
  let x = source;
  let to = target;
  while (x < end16) {
    const b = v128.load(x);
    v128.store(to, i32x4.shl(i32x4.extend_low_i16x8_u(b), 16));
    v128.store(to, i32x4.shl(i32x4.extend_high_i16x8_u(b), 16), 16);
    x += 16; to += 32;
  }
  const end = source + bytes;
  while (x < end) {
    store<u32>(to, <u32>load<u16>(x) << 16);
    x += 2; to += 4;
  }
}

/** `count` elements of float32 to float16, rounded to nearest, ties to even. */
export function narrowHalf(source: usize, target: usize, count: usize): void {
  const unsigned = v128.load(constants);
  const exponentBits = v128.load(constants, 16);
  const smallest = v128.load(constants, 32);
  const thirteen = v128.load(constants, 48);
  const bias = v128.load(constants, 64);
  const signs = v128.load(constants, 80);
  const bytes = count << 1;
  const end16 = target + (bytes & ~15);
  let x = source;
  let to = target;
  let largest = i32x4.splat(0);
  while (to < end16) {
    const low = v128.load(x);
    const high = v128.load(x, 16);
    const lowMagnitude = v128.and(low, unsigned);
    const highMagnitude = v128.and(high, unsigned);
    largest = i32x4.max_s(i32x4.max_s(largest, lowMagnitude), highMagnitude);
    const magnitude = i16x8.narrow_i32x4_u(roundToHalf(lowMagnitude, exponentBits, smallest, thirteen, bias), roundToHalf(highMagnitude, exponentBits, smallest, thirteen, bias));
    const sign = v128.and(i16x8.narrow_i32x4_s(i32x4.shr_s(low, 16), i32x4.shr_s(high, 16)), signs);
    v128.store(to, v128.or(magnitude, sign));
    x += 32; to += 16;
  }
  if (v128.any_true(i32x4.ge_s(largest, i32x4.splat(HALF_OVERFLOW)))) {
    x = source;
    to = target;
    while (to < end16) {
      v128.store(to, i16x8.narrow_i32x4_u(anySingleToHalf(v128.load(x)), anySingleToHalf(v128.load(x, 16))));
      x += 32; to += 16;
    }
  }
  const end = target + bytes;
  while (to < end) {
    store<u16>(to, <u16>i32x4.extract_lane(anySingleToHalf(i32x4.splat(load<u32>(x))), 0));
    x += 4; to += 2;
  }
}

/** `count` elements of float32 to bfloat16, rounded to nearest, ties to even. */
export function narrowBrain(source: usize, target: usize, count: usize): void {
  const nearlyHalf = v128.load(constants, 128);
  const one = v128.load(constants, 144);
  const bytes = count << 1;
  const end16 = target + (bytes & ~15);
  let x = source;
  let to = target;
  let nan = i32x4.splat(0);
  while (to < end16) {
    const low = v128.load(x);
    const high = v128.load(x, 16);
    nan = v128.or(v128.or(nan, f32x4.ne(low, low)), f32x4.ne(high, high));
    v128.store(to, i16x8.narrow_i32x4_u(roundToBrain(low, nearlyHalf, one), roundToBrain(high, nearlyHalf, one)));
    x += 32; to += 16;
  }
  if (v128.any_true(nan)) {
    x = source;
    to = target;
    while (to < end16) {
      v128.store(to, i16x8.narrow_i32x4_u(anySingleToBrain(v128.load(x)), anySingleToBrain(v128.load(x, 16))));
      x += 32; to += 16;
    }
  }
  const end = target + bytes;
  while (to < end) {
    store<u16>(to, <u16>i32x4.extract_lane(anySingleToBrain(i32x4.splat(load<u32>(x))), 0));
    x += 4; to += 2;
  }
}

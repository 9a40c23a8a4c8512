/**
 * The pass from projection to cache: norm, rotation, factor, and the write to the destination, head by head. A head is
 * read from memory once and written once; between the two it lies in the first-level cache.
 *
 * All pointers and strides are bytes. The arguments lie in memory, in the order of the constants below; `fields` in
 * `src/pass.ts` has the same order. Work is done in float32, in the order of core's `pass-kernel.ts`, so that the bits
 * are the same. Where there is no norm, weight or factor, elements are multiplied by 1, which changes none.
 */

import { narrowBrain, narrowHalf, widenBrain, widenHalf } from "./sixteen-bit";
import { spread } from "./turn";

/** Element types; `typeNumber` in `src/kernel.ts` and `src/pass.ts` have the same numbers. */
const FLOAT32 = 0;
const FLOAT16 = 1;
const BFLOAT16 = 2;
const INT8 = 4;

/** A row that is left out. */
const NO_ROW: usize = 0xffffffff;

/** `norm`: none, before the rotation, after it. */
const BEFORE = 1;
const AFTER = 2;

// Offsets of the arguments. Rows are addresses of tokens; where `rows` is 0, tokens have one stride.
const TOKENS: usize = 0;
const HEADS: usize = 4;
const HEAD_DIM: usize = 8;
const ROTARY_OFFSET: usize = 12;
const BLOCKS: usize = 16;
const WIDTH: usize = 20;
const COS: usize = 24;
const SIN: usize = 28;
const SCRATCH: usize = 32;
const NORM: usize = 36;
const OVER_HEADS: usize = 40;
const EPSILON: usize = 44;
const WEIGHT: usize = 48;
const WEIGHT_STEP: usize = 52;
const FACTORS: usize = 56;
const SOURCE_TYPE: usize = 60;
const SOURCE: usize = 64;
const SOURCE_ROWS: usize = 68;
const SOURCE_TOKEN: usize = 72;
const SOURCE_HEAD: usize = 76;
const SOURCE_GROUP_HEADS: usize = 80;
const SOURCE_GROUP: usize = 84;
const TARGET_TYPE: usize = 88;
const TARGET: usize = 92;
const TARGET_ROWS: usize = 96;
const TARGET_TOKEN: usize = 100;
const TARGET_HEAD: usize = 104;
const TARGET_GROUP_HEADS: usize = 108;
const TARGET_GROUP: usize = 112;
const SCALE: usize = 116;
const SCALES: usize = 120;
const SCALE_ROWS: usize = 124;
const SCALE_TOKEN: usize = 128;
const SCALE_HEAD: usize = 132;

/** Executes the arguments at `a`. */
export function pass(a: usize): void {
  const tokens = load<i32>(a, TOKENS);
  const heads = load<i32>(a, HEADS);
  const headDim = load<i32>(a, HEAD_DIM);
  const blocks = load<i32>(a, BLOCKS);
  const width = load<i32>(a, WIDTH);
  const norm = load<i32>(a, NORM);
  const overHeads = load<i32>(a, OVER_HEADS) != 0;
  const epsilon = load<f32>(a, EPSILON);
  const factors = load<usize>(a, FACTORS);
  const sourceType = load<i32>(a, SOURCE_TYPE);
  const targetType = load<i32>(a, TARGET_TYPE);
  const row = <usize>(blocks * width) << 2;
  const head = <usize>headDim << 2;
  const wide = load<usize>(a, SCRATCH);
  // One head as it was read, and one as it will be written.
  const read = wide + (row << 2);
  const made = read + head;
  // Nothing is done to elements on their way.
  const isCopy = norm == 0 && row == 0 && factors == 0;
  let cos = load<usize>(a, COS);
  let sin = load<usize>(a, SIN);
  for (let t = 0; t < tokens; t++) {
    const from = rowAt(a, SOURCE, SOURCE_ROWS, SOURCE_TOKEN, t);
    const to = rowAt(a, TARGET, TARGET_ROWS, TARGET_TOKEN, t);
    if (from != NO_ROW && to != NO_ROW) {
      const factor = factors == 0 ? <f32>1 : load<f32>(factors + (<usize>t << 2));
      const scales = targetType == INT8 ? rowAt(a, SCALES, SCALE_ROWS, SCALE_TOKEN, t) : 0;
      if (width == 1) spread(cos, sin, row, wide);
      let shared: f32 = 1;
      if (norm == BEFORE && overHeads) {
        let sum: f32 = 0;
        for (let h = 0; h < heads; h++) {
          sum += sumOfSquares(headAsFloats(sourceType, sourceHead(a, from, h), read, headDim), headDim);
        }
        shared = inverseRoot(sum, heads * headDim, epsilon);
      }
      if (norm == AFTER && overHeads) {
        let sum: f32 = 0;
        for (let h = 0; h < heads; h++) {
          const x = headAsFloats(sourceType, sourceHead(a, from, h), read, headDim);
          turnHead(a, x, made, ones(a), 1, 1, cos, sin, wide);
          sum += sumOfSquares(made, headDim);
        }
        shared = inverseRoot(sum, heads * headDim, epsilon);
      }
      for (let h = 0; h < heads; h++) {
        const source = sourceHead(a, from, h);
        const target = to + placeOf(a, h, TARGET_HEAD, TARGET_GROUP_HEADS, TARGET_GROUP);
        if (isCopy && sourceType == targetType) {
          memory.copy(target, source, head >> (sourceType == FLOAT32 ? 0 : 1));
          continue;
        }
        const x = headAsFloats(sourceType, source, read, headDim);
        const y = targetType == FLOAT32 ? target : made;
        const weight = load<usize>(a, WEIGHT) + <usize>h * load<usize>(a, WEIGHT_STEP);
        if (norm == AFTER) {
          turnHead(a, x, made, ones(a), 1, 1, cos, sin, wide);
          const f = overHeads ? shared : inverseRoot(sumOfSquares(made, headDim), headDim, epsilon);
          scaleElements(made, y, weight, headDim, f, factor);
        } else if (!isCopy) {
          const f = norm == BEFORE && !overHeads ? inverseRoot(sumOfSquares(x, headDim), headDim, epsilon) : shared;
          turnHead(a, x, y, weight, f, factor, cos, sin, wide);
        }
        const z = isCopy ? x : y;
        if (targetType == FLOAT32) {
          if (isCopy) memory.copy(target, x, head);
        } else if (targetType == FLOAT16) narrowHalf(z, target, headDim);
        else if (targetType == BFLOAT16) narrowBrain(z, target, headDim);
        else if (targetType == INT8) quantise(z, target, headDim, scales + <usize>h * load<usize>(a, SCALE_HEAD));
        else narrowFloat8(z, target, headDim, load<f32>(a, SCALE));
      }
    }
    cos += row;
    sin += row;
  }
}

// @ts-ignore: decorator
@inline function rowAt(a: usize, first: usize, rows: usize, step: usize, t: i32): usize {
  const list = load<usize>(a + rows);
  if (list != 0) return load<usize>(list + (<usize>t << 2));
  return load<usize>(a + first) + <usize>t * load<usize>(a + step);
}

// @ts-ignore: decorator
@inline function placeOf(a: usize, h: i32, step: usize, groupHeads: usize, group: usize): usize {
  const size = load<i32>(a + groupHeads);
  if (h < size) return <usize>h * load<usize>(a + step);
  return <usize>(h / size) * load<usize>(a + group) + <usize>(h % size) * load<usize>(a + step);
}

// @ts-ignore: decorator
@inline function sourceHead(a: usize, from: usize, h: i32): usize {
  return from + placeOf(a, h, SOURCE_HEAD, SOURCE_GROUP_HEADS, SOURCE_GROUP);
}

/** The address of a weight of ones: it lies behind the arguments. */
// @ts-ignore: decorator
@inline function ones(a: usize): usize {
  return a + 256;
}

/** The address of a head as float32: its own, or `room`. */
// @ts-ignore: decorator
@inline function headAsFloats(type: i32, source: usize, room: usize, count: i32): usize {
  if (type == FLOAT32) return source;
  if (type == FLOAT16) widenHalf(source, room, count);
  else widenBrain(source, room, count);
  return room;
}

// @ts-ignore: decorator
@inline function inverseRoot(sum: f32, count: i32, epsilon: f32): f32 {
  return <f32>1 / sqrt<f32>(sum / <f32>count + epsilon);
}

/** `Σ x²`: square `i` goes to sum `i mod 16`, and the sums are added as core does. */
function sumOfSquares(x: usize, count: i32): f32 {
  let a = f32x4.splat(0);
  let b = f32x4.splat(0);
  let c = f32x4.splat(0);
  let d = f32x4.splat(0);
  const end = x + (<usize>count << 2);
  const end64 = end - ((<usize>count << 2) & 63);
  while (x < end64) {
    const v = v128.load(x);
    const w = v128.load(x, 16);
    const y = v128.load(x, 32);
    const z = v128.load(x, 48);
    a = f32x4.add(a, f32x4.mul(v, v));
    b = f32x4.add(b, f32x4.mul(w, w));
    c = f32x4.add(c, f32x4.mul(y, y));
    d = f32x4.add(d, f32x4.mul(z, z));
    x += 64;
  }
  for (let k = 0; x < end; k++, x += 16) {
    let v = f32x4.splat(0);
    // A sum does not change by the squares of the zeros.
    if (x + 16 <= end) v = v128.load(x);
    else {
      v = f32x4.replace_lane(v, 0, load<f32>(x));
      if (x + 4 < end) v = f32x4.replace_lane(v, 1, load<f32>(x, 4));
      if (x + 8 < end) v = f32x4.replace_lane(v, 2, load<f32>(x, 8));
    }
    v = f32x4.mul(v, v);
    if (k == 0) a = f32x4.add(a, v);
    else if (k == 1) b = f32x4.add(b, v);
    else if (k == 2) c = f32x4.add(c, v);
    else d = f32x4.add(d, v);
  }
  const v = f32x4.add(f32x4.add(a, b), f32x4.add(c, d));
  return (
    f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3))
  );
}

/** `y = x · f · weight · g`, each product rounded. */
function scaleElements(x: usize, y: usize, weight: usize, count: i32, f: f32, g: f32): void {
  const vf = f32x4.splat(f);
  const vg = f32x4.splat(g);
  const bytes = <usize>count << 2;
  const end = x + bytes;
  const end16 = end - (bytes & 15);
  while (x < end16) {
    v128.store(y, f32x4.mul(f32x4.mul(f32x4.mul(v128.load(x), vf), v128.load(weight)), vg));
    x += 16; y += 16; weight += 16;
  }
  while (x < end) {
    store<f32>(y, load<f32>(x) * f * load<f32>(weight) * g);
    x += 4; y += 4; weight += 4;
  }
}

/** Multiplies a head by `f` and its weight, rotates it, and multiplies it by `g`; `x` and `y` may be the same. */
function turnHead(a: usize, x: usize, y: usize, weight: usize, f: f32, g: f32, cos: usize, sin: usize, wide: usize): void {
  const blocks = load<i32>(a, BLOCKS);
  const width = load<i32>(a, WIDTH);
  const headDim = load<i32>(a, HEAD_DIM);
  const first = load<i32>(a, ROTARY_OFFSET);
  const dim = (blocks * width) << 1;
  if (first > 0) scaleElements(x, y, weight, first, f, g);
  const start = <usize>first << 2;
  if (width == 1) turnNeighbours(x + start, y + start, weight + start, dim, f, g, wide);
  else if (dim > 0) turnBlocks(x + start, y + start, weight + start, blocks, <usize>width << 2, f, g, cos, sin);
  const rest = first + dim;
  const after = <usize>rest << 2;
  if (rest < headDim) scaleElements(x + after, y + after, weight + after, headDim - rest, f, g);
}

// @ts-ignore: decorator
@inline function turnBlocks(
  x: usize, to: usize, weight: usize,
  blocks: i32, bytes: usize, f: f32, g: f32, c: usize, s: usize,
): void {
  const vf = f32x4.splat(f);
  const vg = f32x4.splat(g);
  const move = to - x;
  // The weight has the place of x in the same distance.
  const w = weight - x;
  for (let b = 0; b < blocks; b++) {
    let y = x + bytes;
    const end = c + bytes;
    const end16 = end - (bytes & 15);
    while (c < end16) {
      const vc = v128.load(c);
      const vs = v128.load(s);
      const vx = f32x4.mul(f32x4.mul(v128.load(x), vf), v128.load(x + w));
      const vy = f32x4.mul(f32x4.mul(v128.load(y), vf), v128.load(y + w));
      v128.store(x + move, f32x4.mul(f32x4.sub(f32x4.mul(vx, vc), f32x4.mul(vy, vs)), vg));
      v128.store(y + move, f32x4.mul(f32x4.add(f32x4.mul(vy, vc), f32x4.mul(vx, vs)), vg));
      x += 16; y += 16; c += 16; s += 16;
    }
    while (c < end) {
      const vc = load<f32>(c);
      const vs = load<f32>(s);
      const vx = load<f32>(x) * f * load<f32>(x + w);
      const vy = load<f32>(y) * f * load<f32>(y + w);
      store<f32>(x + move, (vx * vc - vy * vs) * g);
      store<f32>(y + move, (vy * vc + vx * vs) * g);
      x += 4; y += 4; c += 4; s += 4;
    }
    x = y;
  }
}

/** Neighbours, by what `spread` wrote to `wide`. */
// @ts-ignore: decorator
@inline function turnNeighbours(x: usize, y: usize, weight: usize, dim: i32, f: f32, g: f32, wide: usize): void {
  const vf = f32x4.splat(f);
  const vg = f32x4.splat(g);
  const bytes = <usize>dim << 2;
  let c = wide;
  let s = wide + bytes;
  const end = c + bytes;
  const end16 = end - (bytes & 15);
  while (c < end16) {
    const v = f32x4.mul(f32x4.mul(v128.load(x), vf), v128.load(weight));
    const swapped = i8x16.shuffle(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
    v128.store(y, f32x4.mul(f32x4.add(f32x4.mul(v, v128.load(c)), f32x4.mul(swapped, v128.load(s))), vg));
    x += 16; y += 16; weight += 16; c += 16; s += 16;
  }
  if (c < end) {
    const vc = load<f32>(c);
    const vs = load<f32>(s, 4);
    const vx = load<f32>(x) * f * load<f32>(weight);
    const vy = load<f32>(x, 4) * f * load<f32>(weight, 4);
    store<f32>(y, (vx * vc - vy * vs) * g);
    store<f32>(y, (vy * vc + vx * vs) * g, 4);
  }
}

/** `count` float32 to int8 by the scale `max|x| / 127`, which is written to `scale`. */
function quantise(x: usize, y: usize, count: i32, scale: usize): void {
  let largest = f32x4.splat(0);
  const bytes = <usize>count << 2;
  const end = x + bytes;
  const end16 = end - (bytes & 15);
  let at = x;
  for (; at < end16; at += 16) largest = f32x4.max(largest, f32x4.abs(v128.load(at)));
  let most = max<f32>(
    max<f32>(f32x4.extract_lane(largest, 0), f32x4.extract_lane(largest, 1)),
    max<f32>(f32x4.extract_lane(largest, 2), f32x4.extract_lane(largest, 3)),
  );
  for (; at < end; at += 4) most = max<f32>(most, abs<f32>(load<f32>(at)));
  const step = most / 127;
  store<f32>(scale, step);
  const divisor = f32x4.splat(step);
  const end64 = end - (bytes & 63);
  for (; x < end64; x += 64, y += 16) {
    const low = i16x8.narrow_i32x4_s(toInteger(v128.load(x), divisor), toInteger(v128.load(x, 16), divisor));
    const high = i16x8.narrow_i32x4_s(toInteger(v128.load(x, 32), divisor), toInteger(v128.load(x, 48), divisor));
    v128.store(y, i8x16.narrow_i16x8_s(low, high));
  }
  for (; x < end; x += 4, y++) {
    store<u8>(y, <u8>i32x4.extract_lane(toInteger(f32x4.splat(load<f32>(x)), divisor), 0));
  }
}

/** A quotient as an integer from −127 to 127, ties to even; 0 for NaN. */
// @ts-ignore: decorator
@inline function toInteger(x: v128, divisor: v128): v128 {
  const quotient = f32x4.min(f32x4.max(f32x4.div(x, divisor), f32x4.splat(-127)), f32x4.splat(127));
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(quotient));
}

/** `count` float32, divided by `scale`, to float8_e4m3. */
function narrowFloat8(x: usize, y: usize, count: i32, scale: f32): void {
  const divisor = f32x4.splat(scale);
  const bytes = <usize>count << 2;
  const end = x + bytes;
  const end64 = end - (bytes & 63);
  for (; x < end64; x += 64, y += 16) {
    const low = i16x8.narrow_i32x4_u(toFloat8(v128.load(x), divisor), toFloat8(v128.load(x, 16), divisor));
    const high = i16x8.narrow_i32x4_u(toFloat8(v128.load(x, 32), divisor), toFloat8(v128.load(x, 48), divisor));
    v128.store(y, i8x16.narrow_i16x8_u(low, high));
  }
  for (; x < end; x += 4, y++) {
    store<u8>(y, <u8>i32x4.extract_lane(toFloat8(f32x4.splat(load<f32>(x)), divisor), 0));
  }
}

/** As core's `toFloat8`, in four lanes. */
// @ts-ignore: decorator
@inline function toFloat8(x: v128, divisor: v128): v128 {
  const v = f32x4.div(x, divisor);
  const magnitude = v128.and(v, i32x4.splat(0x7fffffff));
  const odd = v128.and(i32x4.shr_u(magnitude, 20), i32x4.splat(1));
  const rounded = i32x4.add(i32x4.add(i32x4.sub(magnitude, i32x4.splat(0x3c000000)), i32x4.splat(0x7ffff)), odd);
  const small = i32x4.sub(f32x4.add(magnitude, f32x4.splat(16384)), i32x4.splat(0x46800000));
  let bits = v128.bitselect(i32x4.shr_u(rounded, 20), small, i32x4.ge_s(magnitude, i32x4.splat(0x3c800000)));
  bits = v128.bitselect(i32x4.splat(0x7e), bits, i32x4.ge_s(magnitude, i32x4.splat(0x43e00000)));
  bits = v128.bitselect(i32x4.splat(0x7f), bits, i32x4.gt_s(magnitude, i32x4.splat(0x7f800000)));
  return v128.or(bits, v128.and(i32x4.shr_u(v, 24), i32x4.splat(0x80)));
}

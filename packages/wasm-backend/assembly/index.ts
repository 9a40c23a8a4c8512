/**
 * Rotation kernels (AssemblyScript, SIMD).
 *
 * All pointers are bytes, all strides bytes. One call rotates `tokens × heads` heads; cos and sin lie as
 * `[tokens, pairs]` in the compute type. Products and sums round one by one, without fused multiply-add, so that
 * results are those of the JavaScript kernels bit for bit. Source and target may be the same memory.
 */

/** `[x0, y0, x1, y1]` becomes `[y0, x0, y1, x1]`. */
// @ts-ignore: decorator
@inline function swapNeighbours(v: v128): v128 {
  return i8x16.shuffle(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
}

/** Pairs of a block lie `width` apart: `x' = x c − y s`, `y' = y c + x s`. */
export function rotateBlocks32(
  source: usize, sourceToken: isize, sourceHead: isize,
  target: usize, targetToken: isize, targetHead: isize,
  cos: usize, sin: usize,
  tokens: i32, heads: i32, blocks: i32, width: i32,
): void {
  const bytes = (<usize>width) << 2;
  const row = (<usize>blocks) * bytes;
  const vectors = bytes & ~15;
  for (let t = 0; t < tokens; t++) {
    let x = source;
    let z = target;
    for (let h = 0; h < heads; h++) {
      let c = cos;
      let s = sin;
      let xb = x;
      let zb = z;
      for (let b = 0; b < blocks; b++) {
        let j: usize = 0;
        for (; j < vectors; j += 16) {
          const vx = v128.load(xb + j);
          const vy = v128.load(xb + bytes + j);
          const vc = v128.load(c + j);
          const vs = v128.load(s + j);
          v128.store(zb + j, f32x4.sub(f32x4.mul(vx, vc), f32x4.mul(vy, vs)));
          v128.store(zb + bytes + j, f32x4.add(f32x4.mul(vy, vc), f32x4.mul(vx, vs)));
        }
        for (; j < bytes; j += 4) {
          const vx = load<f32>(xb + j);
          const vy = load<f32>(xb + bytes + j);
          const vc = load<f32>(c + j);
          const vs = load<f32>(s + j);
          store<f32>(zb + j, vx * vc - vy * vs);
          store<f32>(zb + bytes + j, vy * vc + vx * vs);
        }
        xb += bytes << 1;
        zb += bytes << 1;
        c += bytes;
        s += bytes;
      }
      x += sourceHead;
      z += targetHead;
    }
    source += sourceToken;
    target += targetToken;
    cos += row;
    sin += row;
  }
}

/** Pairs are neighbours. */
export function rotateAdjacent32(
  source: usize, sourceToken: isize, sourceHead: isize,
  target: usize, targetToken: isize, targetHead: isize,
  cos: usize, sin: usize,
  tokens: i32, heads: i32, pairs: i32,
): void {
  const row = (<usize>pairs) << 2;
  const vectors = row & ~15;
  const alternate = f32x4(-1, 1, -1, 1);
  for (let t = 0; t < tokens; t++) {
    let x = source;
    let z = target;
    for (let h = 0; h < heads; h++) {
      let i: usize = 0;
      for (; i < vectors; i += 16) {
        const c = v128.load(cos + i);
        const s = v128.load(sin + i);
        const v0 = v128.load(x + (i << 1));
        const v1 = v128.load(x + (i << 1) + 16);
        const c0 = i8x16.shuffle(c, c, 0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7);
        const c1 = i8x16.shuffle(c, c, 8, 9, 10, 11, 8, 9, 10, 11, 12, 13, 14, 15, 12, 13, 14, 15);
        const s0 = f32x4.mul(alternate, i8x16.shuffle(s, s, 0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7));
        const s1 = f32x4.mul(alternate, i8x16.shuffle(s, s, 8, 9, 10, 11, 8, 9, 10, 11, 12, 13, 14, 15, 12, 13, 14, 15));
        v128.store(z + (i << 1), f32x4.add(f32x4.mul(v0, c0), f32x4.mul(swapNeighbours(v0), s0)));
        v128.store(z + (i << 1) + 16, f32x4.add(f32x4.mul(v1, c1), f32x4.mul(swapNeighbours(v1), s1)));
      }
      for (; i < row; i += 4) {
        const vx = load<f32>(x + (i << 1));
        const vy = load<f32>(x + (i << 1) + 4);
        const c = load<f32>(cos + i);
        const s = load<f32>(sin + i);
        store<f32>(z + (i << 1), vx * c - vy * s);
        store<f32>(z + (i << 1) + 4, vy * c + vx * s);
      }
      x += sourceHead;
      z += targetHead;
    }
    source += sourceToken;
    target += targetToken;
    cos += row;
    sin += row;
  }
}

/** {@link rotateBlocks32} in float64. */
export function rotateBlocks64(
  source: usize, sourceToken: isize, sourceHead: isize,
  target: usize, targetToken: isize, targetHead: isize,
  cos: usize, sin: usize,
  tokens: i32, heads: i32, blocks: i32, width: i32,
): void {
  const bytes = (<usize>width) << 3;
  const row = (<usize>blocks) * bytes;
  const vectors = bytes & ~15;
  for (let t = 0; t < tokens; t++) {
    let x = source;
    let z = target;
    for (let h = 0; h < heads; h++) {
      let c = cos;
      let s = sin;
      let xb = x;
      let zb = z;
      for (let b = 0; b < blocks; b++) {
        let j: usize = 0;
        for (; j < vectors; j += 16) {
          const vx = v128.load(xb + j);
          const vy = v128.load(xb + bytes + j);
          const vc = v128.load(c + j);
          const vs = v128.load(s + j);
          v128.store(zb + j, f64x2.sub(f64x2.mul(vx, vc), f64x2.mul(vy, vs)));
          v128.store(zb + bytes + j, f64x2.add(f64x2.mul(vy, vc), f64x2.mul(vx, vs)));
        }
        for (; j < bytes; j += 8) {
          const vx = load<f64>(xb + j);
          const vy = load<f64>(xb + bytes + j);
          const vc = load<f64>(c + j);
          const vs = load<f64>(s + j);
          store<f64>(zb + j, vx * vc - vy * vs);
          store<f64>(zb + bytes + j, vy * vc + vx * vs);
        }
        xb += bytes << 1;
        zb += bytes << 1;
        c += bytes;
        s += bytes;
      }
      x += sourceHead;
      z += targetHead;
    }
    source += sourceToken;
    target += targetToken;
    cos += row;
    sin += row;
  }
}

// @ts-ignore: decorator
@inline function halfToSingle(h: v128): v128 {
  // Exponent and fraction moved into float32's places, then the exponent's bias corrected by an exact product.
  const magnitude = v128.and(h, i32x4.splat(0x7fff));
  const value = f32x4.mul(i32x4.shl(magnitude, 13), f32x4.splat(reinterpret<f32>(0x77800000)));
  const special = i32x4.ge_s(magnitude, i32x4.splat(0x7c00));
  const sign = i32x4.shl(v128.and(h, i32x4.splat(0x8000)), 16);
  return v128.or(v128.or(value, v128.and(special, i32x4.splat(0x7f800000))), sign);
}

// @ts-ignore: decorator
@inline function singleToHalf(v: v128): v128 {
  const magnitude = v128.and(v, i32x4.splat(0x7fffffff));
  const sign = v128.and(i32x4.shr_u(v, 16), i32x4.splat(0x8000));
  const odd = v128.and(i32x4.shr_u(magnitude, 13), i32x4.splat(1));
  const normal = i32x4.shr_u(i32x4.add(i32x4.add(magnitude, i32x4.splat(0xfff - 0x38000000)), odd), 13);
  // Below the smallest normal number: adding 1/2 lets the addition round to multiples of 2^-24.
  const small = i32x4.sub(f32x4.add(magnitude, f32x4.splat(0.5)), i32x4.splat(0x3f000000));
  const nan = v128.or(i32x4.splat(0x7e00), v128.and(i32x4.shr_u(magnitude, 13), i32x4.splat(0x3ff)));
  let result = v128.bitselect(small, normal, i32x4.lt_s(magnitude, i32x4.splat(0x38800000)));
  result = v128.bitselect(i32x4.splat(0x7c00), result, i32x4.ge_s(magnitude, i32x4.splat(0x477ff000)));
  result = v128.bitselect(nan, result, i32x4.gt_s(magnitude, i32x4.splat(0x7f800000)));
  return v128.or(result, sign);
}

// @ts-ignore: decorator
@inline function singleToBrain(v: v128): v128 {
  const odd = v128.and(i32x4.shr_u(v, 16), i32x4.splat(1));
  const rounded = i32x4.shr_u(i32x4.add(i32x4.add(v, i32x4.splat(0x7fff)), odd), 16);
  const nan = v128.or(i32x4.shr_u(v, 16), i32x4.splat(0x40));
  return v128.bitselect(nan, rounded, i32x4.gt_s(v128.and(v, i32x4.splat(0x7fffffff)), i32x4.splat(0x7f800000)));
}

/** 16-bit elements of `tokens × heads` heads to float32, `count` of each head, packed one after the other. */
export function widen(source: usize, sourceToken: isize, sourceHead: isize, target: usize, tokens: i32, heads: i32, count: i32, brain: bool): void {
  const bytes = (<usize>count) << 1;
  const vectors = bytes & ~7;
  for (let t = 0; t < tokens; t++) {
    let x = source;
    for (let h = 0; h < heads; h++) {
      let j: usize = 0;
      for (; j < vectors; j += 8) {
        const bits = v128.load16x4_u(x + j);
        v128.store(target + (j << 1), brain ? i32x4.shl(bits, 16) : halfToSingle(bits));
      }
      for (; j < bytes; j += 2) {
        const bits = i32x4.splat(load<u16>(x + j));
        store<u32>(target + (j << 1), i32x4.extract_lane(brain ? i32x4.shl(bits, 16) : halfToSingle(bits), 0));
      }
      target += bytes << 1;
      x += sourceHead;
    }
    source += sourceToken;
  }
}

/** The reverse of {@link widen}: packed float32 to 16-bit elements, rounded to nearest, ties to even. */
export function narrow(source: usize, target: usize, targetToken: isize, targetHead: isize, tokens: i32, heads: i32, count: i32, brain: bool): void {
  const bytes = (<usize>count) << 1;
  const vectors = bytes & ~7;
  for (let t = 0; t < tokens; t++) {
    let z = target;
    for (let h = 0; h < heads; h++) {
      let j: usize = 0;
      for (; j < vectors; j += 8) {
        const value = v128.load(source + (j << 1));
        const bits = brain ? singleToBrain(value) : singleToHalf(value);
        v128.store64_lane(z + j, i16x8.narrow_i32x4_u(bits, bits), 0);
      }
      for (; j < bytes; j += 2) {
        const value = i32x4.splat(load<u32>(source + (j << 1)));
        store<u16>(z + j, <u16>i32x4.extract_lane(brain ? singleToBrain(value) : singleToHalf(value), 0));
      }
      source += bytes << 1;
      z += targetHead;
    }
    target += targetToken;
  }
}

/**
 * Rotation kernels (AssemblyScript, SIMD).
 *
 * All pointers are bytes, all strides bytes. One call rotates `tokens × heads` heads; cos and sin lie as
 * `[tokens, pairs]` in the compute type. Products and sums round one by one, without fused multiply-add, so that
 * results are those of the JavaScript kernels bit for bit. Source and target may be the same memory.
 *
 * Each kernel is written once, with the distance from source to target as an argument, and compiled twice: where that
 * is the constant 0, half the address arithmetic falls away, and with it the spilled registers that cost more than the
 * multiplications. Two heads at a time share the loads of cos and sin.
 */

/** Rotates the elements at `x + at` and `y + at`, as many as fit a vector, into those at the same places plus `move`. */
// @ts-ignore: decorator
@inline function turnVector<T>(x: usize, y: usize, move: usize, c: v128, s: v128, at: usize): void {
  const vx = v128.load(x + at);
  const vy = v128.load(y + at);
  v128.store(x + move + at, v128.sub<T>(v128.mul<T>(vx, c), v128.mul<T>(vy, s)));
  v128.store(y + move + at, v128.add<T>(v128.mul<T>(vy, c), v128.mul<T>(vx, s)));
}

// @ts-ignore: decorator
@inline function turnScalar<T extends number>(x: usize, y: usize, move: usize, c: T, s: T): void {
  const vx = load<T>(x);
  const vy = load<T>(y);
  store<T>(x + move, <T>(vx * c) - <T>(vy * s));
  store<T>(y + move, <T>(vy * c) + <T>(vx * s));
}

/** Two heads, at `x` and `p`. */
// @ts-ignore: decorator
@inline function turnTwoHeads<T extends number>(x: usize, p: usize, moveX: usize, moveP: usize, c: usize, s: usize, blocks: i32, bytes: usize): void {
  for (let b = 0; b < blocks; b++) {
    let y = x + bytes;
    let r = p + bytes;
    const end = c + bytes;
    const end64 = c + (bytes & ~63);
    while (c < end64) {
      let vc = v128.load(c);
      let vs = v128.load(s);
      turnVector<T>(x, y, moveX, vc, vs, 0);
      turnVector<T>(p, r, moveP, vc, vs, 0);
      vc = v128.load(c, 16);
      vs = v128.load(s, 16);
      turnVector<T>(x, y, moveX, vc, vs, 16);
      turnVector<T>(p, r, moveP, vc, vs, 16);
      vc = v128.load(c, 32);
      vs = v128.load(s, 32);
      turnVector<T>(x, y, moveX, vc, vs, 32);
      turnVector<T>(p, r, moveP, vc, vs, 32);
      vc = v128.load(c, 48);
      vs = v128.load(s, 48);
      turnVector<T>(x, y, moveX, vc, vs, 48);
      turnVector<T>(p, r, moveP, vc, vs, 48);
      x += 64; y += 64; p += 64; r += 64; c += 64; s += 64;
    }
    const end16 = end - (bytes & 15);
    while (c < end16) {
      const vc = v128.load(c);
      const vs = v128.load(s);
      turnVector<T>(x, y, moveX, vc, vs, 0);
      turnVector<T>(p, r, moveP, vc, vs, 0);
      x += 16; y += 16; p += 16; r += 16; c += 16; s += 16;
    }
    while (c < end) {
      const vc = load<T>(c);
      const vs = load<T>(s);
      turnScalar<T>(x, y, moveX, vc, vs);
      turnScalar<T>(p, r, moveP, vc, vs);
      x += sizeof<T>(); y += sizeof<T>(); p += sizeof<T>(); r += sizeof<T>(); c += sizeof<T>(); s += sizeof<T>();
    }
    x = y;
    p = r;
  }
}

// @ts-ignore: decorator
@inline function turnOneHead<T extends number>(x: usize, move: usize, c: usize, s: usize, blocks: i32, bytes: usize): void {
  for (let b = 0; b < blocks; b++) {
    let y = x + bytes;
    const end = c + bytes;
    const end16 = end - (bytes & 15);
    while (c < end16) {
      turnVector<T>(x, y, move, v128.load(c), v128.load(s), 0);
      x += 16; y += 16; c += 16; s += 16;
    }
    while (c < end) {
      turnScalar<T>(x, y, move, load<T>(c), load<T>(s));
      x += sizeof<T>(); y += sizeof<T>(); c += sizeof<T>(); s += sizeof<T>();
    }
    x = y;
  }
}

// @ts-ignore: decorator
@inline function rotateBlocks<T extends number>(
  source: usize, sourceToken: isize, sourceHead: isize,
  move: usize, moveToken: isize, moveHead: isize,
  cos: usize, sin: usize,
  tokens: i32, heads: i32, blocks: i32, width: i32,
): void {
  const bytes = <usize>width * sizeof<T>();
  const row = <usize>blocks * bytes;
  for (let t = 0; t < tokens; t++) {
    let x = source;
    let m = move;
    for (let h = 1; h < heads; h += 2) {
      turnTwoHeads<T>(x, x + sourceHead, m, m + moveHead, cos, sin, blocks, bytes);
      x += sourceHead << 1;
      m += moveHead << 1;
    }
    if (heads & 1) turnOneHead<T>(x, m, cos, sin, blocks, bytes);
    source += sourceToken;
    move += moveToken;
    cos += row;
    sin += row;
  }
}

/** Pairs of a block lie `width` apart: `x' = x c − y s`, `y' = y c + x s`. */
export function rotateBlocks32(
  source: usize, sourceToken: isize, sourceHead: isize,
  target: usize, targetToken: isize, targetHead: isize,
  cos: usize, sin: usize,
  tokens: i32, heads: i32, blocks: i32, width: i32,
): void {
  if (source == target && sourceToken == targetToken && sourceHead == targetHead) {
    rotateBlocks<f32>(source, sourceToken, sourceHead, 0, 0, 0, cos, sin, tokens, heads, blocks, width);
  } else {
    rotateBlocks<f32>(source, sourceToken, sourceHead, target - source, targetToken - sourceToken, targetHead - sourceHead, cos, sin, tokens, heads, blocks, width);
  }
}

/** {@link rotateBlocks32} in float64. */
export function rotateBlocks64(
  source: usize, sourceToken: isize, sourceHead: isize,
  target: usize, targetToken: isize, targetHead: isize,
  cos: usize, sin: usize,
  tokens: i32, heads: i32, blocks: i32, width: i32,
): void {
  if (source == target && sourceToken == targetToken && sourceHead == targetHead) {
    rotateBlocks<f64>(source, sourceToken, sourceHead, 0, 0, 0, cos, sin, tokens, heads, blocks, width);
  } else {
    rotateBlocks<f64>(source, sourceToken, sourceHead, target - source, targetToken - sourceToken, targetHead - sourceHead, cos, sin, tokens, heads, blocks, width);
  }
}

/** cos and sin of one token with each value twice, as neighbours need them: `[c0, c0, c1, c1, …]`, `[−s0, s0, −s1, s1, …]`. */
function spread(cos: usize, sin: usize, row: usize, wide: usize): void {
  // The sign bit of the first of each two: x − y s is x + y (−s), bit for bit.
  const sign = i32x4(0x80000000, 0, 0x80000000, 0);
  const wideSin = wide + (row << 1);
  const vectors = row & ~15;
  let i: usize = 0;
  for (; i < vectors; i += 16) {
    const c = v128.load(cos + i);
    const s = v128.load(sin + i);
    const to = i << 1;
    v128.store(wide + to, i8x16.shuffle(c, c, 0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7));
    v128.store(wide + to, i8x16.shuffle(c, c, 8, 9, 10, 11, 8, 9, 10, 11, 12, 13, 14, 15, 12, 13, 14, 15), 16);
    v128.store(wideSin + to, v128.xor(sign, i8x16.shuffle(s, s, 0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7)));
    v128.store(wideSin + to, v128.xor(sign, i8x16.shuffle(s, s, 8, 9, 10, 11, 8, 9, 10, 11, 12, 13, 14, 15, 12, 13, 14, 15)), 16);
  }
  for (; i < row; i += 4) {
    const to = i << 1;
    store<f32>(wide + to, load<f32>(cos + i));
    store<f32>(wide + to, load<f32>(cos + i), 4);
    store<f32>(wideSin + to, -load<f32>(sin + i));
    store<f32>(wideSin + to, load<f32>(sin + i), 4);
  }
}

/** Rotates two neighbouring pairs `[x0, y0, x1, y1]`. */
// @ts-ignore: decorator
@inline function turnNeighbours(x: usize, move: usize, c: usize, s: usize, at: usize): void {
  const v = v128.load(x + at);
  const swapped = i8x16.shuffle(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
  v128.store(x + move + at, f32x4.add(f32x4.mul(v, v128.load(c + at)), f32x4.mul(swapped, v128.load(s + at))));
}

// @ts-ignore: decorator
@inline function rotateAdjacent(
  source: usize, sourceToken: isize, sourceHead: isize,
  move: usize, moveToken: isize, moveHead: isize,
  cos: usize, sin: usize, wide: usize,
  tokens: i32, heads: i32, pairs: i32,
): void {
  const row = <usize>pairs << 2;
  const bytes = row << 1;
  for (let t = 0; t < tokens; t++) {
    spread(cos, sin, row, wide);
    // One head after the other: two at a time save loads, but main memory then delivers at a third of its speed.
    for (let h = 0; h < heads; h++) {
      let x = source + <usize>h * sourceHead;
      const m = move + <usize>h * moveHead;
      let c = wide;
      let s = wide + bytes;
      const end = c + bytes;
      const end64 = c + (bytes & ~63);
      while (c < end64) {
        turnNeighbours(x, m, c, s, 0);
        turnNeighbours(x, m, c, s, 16);
        turnNeighbours(x, m, c, s, 32);
        turnNeighbours(x, m, c, s, 48);
        x += 64; c += 64; s += 64;
      }
      const end16 = end - (bytes & 15);
      while (c < end16) {
        turnNeighbours(x, m, c, s, 0);
        x += 16; c += 16; s += 16;
      }
      if (c < end) turnScalar<f32>(x, x + 4, m, load<f32>(c), load<f32>(s, 4));
    }
    source += sourceToken;
    move += moveToken;
    cos += row;
    sin += row;
  }
}

/** Pairs are neighbours. `wide` has room for `4 · pairs` floats. */
export function rotateAdjacent32(
  source: usize, sourceToken: isize, sourceHead: isize,
  target: usize, targetToken: isize, targetHead: isize,
  cos: usize, sin: usize, wide: usize,
  tokens: i32, heads: i32, pairs: i32,
): void {
  if (source == target && sourceToken == targetToken && sourceHead == targetHead) {
    rotateAdjacent(source, sourceToken, sourceHead, 0, 0, 0, cos, sin, wide, tokens, heads, pairs);
  } else {
    rotateAdjacent(source, sourceToken, sourceHead, target - source, targetToken - sourceToken, targetHead - sourceHead, cos, sin, wide, tokens, heads, pairs);
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

// @ts-ignore: decorator
@inline function widenAll(source: usize, sourceToken: isize, sourceHead: isize, target: usize, tokens: i32, heads: i32, count: i32, brain: bool): void {
  const bytes = <usize>count << 1;
  for (let t = 0; t < tokens; t++) {
    let head = source;
    for (let h = 0; h < heads; h++) {
      let x = head;
      const end = x + bytes;
      const end16 = x + (bytes & ~15);
      while (x < end16) {
        const low = v128.load16x4_u(x);
        const high = v128.load16x4_u(x, 8);
        v128.store(target, brain ? i32x4.shl(low, 16) : halfToSingle(low));
        v128.store(target, brain ? i32x4.shl(high, 16) : halfToSingle(high), 16);
        x += 16; target += 32;
      }
      while (x < end) {
        const bits = i32x4.splat(load<u16>(x));
        store<u32>(target, i32x4.extract_lane(brain ? i32x4.shl(bits, 16) : halfToSingle(bits), 0));
        x += 2; target += 4;
      }
      head += sourceHead;
    }
    source += sourceToken;
  }
}

// @ts-ignore: decorator
@inline function narrowAll(source: usize, target: usize, targetToken: isize, targetHead: isize, tokens: i32, heads: i32, count: i32, brain: bool): void {
  const bytes = <usize>count << 1;
  for (let t = 0; t < tokens; t++) {
    let head = target;
    for (let h = 0; h < heads; h++) {
      let z = head;
      const end = z + bytes;
      const end16 = z + (bytes & ~15);
      while (z < end16) {
        const low = v128.load(source);
        const high = v128.load(source, 16);
        v128.store(z, i16x8.narrow_i32x4_u(brain ? singleToBrain(low) : singleToHalf(low), brain ? singleToBrain(high) : singleToHalf(high)));
        z += 16; source += 32;
      }
      while (z < end) {
        const value = i32x4.splat(load<u32>(source));
        store<u16>(z, <u16>i32x4.extract_lane(brain ? singleToBrain(value) : singleToHalf(value), 0));
        z += 2; source += 4;
      }
      head += targetHead;
    }
    target += targetToken;
  }
}

/** 16-bit elements of `tokens × heads` heads to float32, `count` of each head, packed one after the other. */
export function widen(source: usize, sourceToken: isize, sourceHead: isize, target: usize, tokens: i32, heads: i32, count: i32, brain: bool): void {
  if (brain) widenAll(source, sourceToken, sourceHead, target, tokens, heads, count, true);
  else widenAll(source, sourceToken, sourceHead, target, tokens, heads, count, false);
}

/** The reverse of {@link widen}: packed float32 to 16-bit elements, rounded to nearest, ties to even. */
export function narrow(source: usize, target: usize, targetToken: isize, targetHead: isize, tokens: i32, heads: i32, count: i32, brain: bool): void {
  if (brain) narrowAll(source, target, targetToken, targetHead, tokens, heads, count, true);
  else narrowAll(source, target, targetToken, targetHead, tokens, heads, count, false);
}

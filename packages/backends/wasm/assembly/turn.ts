/**
 * The multiply-add: one or two heads by the cos and sin of one token.
 *
 * Products and sums round one by one, without fused multiply-add, so that results are those of the JavaScript kernels
 * bit for bit. `move` is the distance from source to target in bytes: where it is the constant 0, half the address
 * arithmetic falls away, and with it the spilled registers that cost more than the multiplications.
 */

/**
 * Rotates the elements at `x + at` and `y + at`, as many as fit a vector, into those at the same places plus `move`.
 */
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

/** Two heads, at `x` and `p`, which share the loads of cos and sin. `bytes` are those of one block's cos. */
// @ts-ignore: decorator
@inline export function turnTwoHeads<T extends number>(x: usize, p: usize, moveX: usize, moveP: usize, c: usize, s: usize, blocks: i32, bytes: usize): void {
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

/** One head. */
// @ts-ignore: decorator
@inline export function turnOneHead<T extends number>(x: usize, move: usize, c: usize, s: usize, blocks: i32, bytes: usize): void {
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

/**
 * cos and sin of one token with each value twice, as neighbours need them: `[c0, c0, c1, c1, …]`,
 * `[−s0, s0, −s1, s1, …]`.
 */
export function spread(cos: usize, sin: usize, row: usize, wide: usize): void {
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

/** One head of neighbours, by what {@link spread} wrote to `wide`; `bytes` are those of the head. */
// @ts-ignore: decorator
@inline export function turnNeighboursOfHead(x: usize, move: usize, wide: usize, bytes: usize): void {
  let c = wide;
  let s = wide + bytes;
  const end = c + bytes;
  const end64 = c + (bytes & ~63);
  while (c < end64) {
    turnNeighbours(x, move, c, s, 0);
    turnNeighbours(x, move, c, s, 16);
    turnNeighbours(x, move, c, s, 32);
    turnNeighbours(x, move, c, s, 48);
    x += 64; c += 64; s += 64;
  }
  const end16 = end - (bytes & 15);
  while (c < end16) {
    turnNeighbours(x, move, c, s, 0);
    x += 16; c += 16; s += 16;
  }
  if (c < end) turnScalar<f32>(x, x + 4, move, load<f32>(c), load<f32>(s, 4));
}

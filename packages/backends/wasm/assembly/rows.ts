/**
 * cos and sin of position × frequency, two angles at a time, with the operations of core's `cos-sin.ts` and
 * `trigonometry.ts` in the same order, so that the bits are the same.
 *
 * All pointers are in bytes. `turn` holds cos and sin of `n · π/256` side by side, 512 times. Frequencies are padded
 * with zeros to whole vectors of 16 bytes, and a row's last vector may write beyond it, where the next row comes.
 */

// prettier-ignore
const constants: usize = memory.data<f64>([
  81.48733086305042, // 256 / π
  6755399441055744, // 1.5 · 2^52: adding and subtracting it rounds to an integer
  0.012271847575902939, -1.2728178511167698e-09, 4.2111741079360304e-17, // π/256 in three parts
  -0.16666666666666666, 0.008333333333333333, // sin: −1/3!, 1/5!
  -0.4999999999991519, 0.04166659386159033, // cos − 1
  134217729, // 2^27 + 1, which splits a float64 into halves
], 16);

// @ts-ignore: decorator
@inline function constant(index: usize): v128 {
  return v128.load64_splat(constants + (index << 3));
}

/** Writes cos and sin of two angles, as float32 or float64. */
// @ts-ignore: decorator
@inline function writeCosSin<T>(x: v128, turn: usize, cos: usize, sin: usize): void {
  const rounder = constant(1);
  const shifted = f64x2.add(f64x2.mul(x, constant(0)), rounder);
  const n = f64x2.sub(shifted, rounder);
  const r = f64x2.sub(f64x2.sub(f64x2.sub(x, f64x2.mul(n, constant(2))), f64x2.mul(n, constant(3))), f64x2.mul(n, constant(4)));
  const z = f64x2.mul(r, r);
  const s = f64x2.add(r, f64x2.mul(f64x2.mul(r, z), f64x2.add(constant(5), f64x2.mul(z, constant(6)))));
  const cosMinus1 = f64x2.mul(z, f64x2.add(constant(7), f64x2.mul(z, constant(8))));
  // The low bits of the shifted number are those of n.
  const first = v128.load(turn + ((<usize>i64x2.extract_lane(shifted, 0) & 511) << 4));
  const second = v128.load(turn + ((<usize>i64x2.extract_lane(shifted, 1) & 511) << 4));
  const a = i8x16.shuffle(first, second, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
  const b = i8x16.shuffle(first, second, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
  const c = f64x2.add(a, f64x2.sub(f64x2.mul(a, cosMinus1), f64x2.mul(b, s)));
  const d = f64x2.add(b, f64x2.add(f64x2.mul(b, cosMinus1), f64x2.mul(a, s)));
  if (sizeof<T>() == 4) {
    v128.store64_lane(cos, f32x4.demote_f64x2_zero(c), 0);
    v128.store64_lane(sin, f32x4.demote_f64x2_zero(d), 0);
  } else {
    v128.store(cos, c);
    v128.store(sin, d);
  }
}

/**
 * Rows of positions `first`, `first + 1`, …: the angle is the float32 product of both factors. Frequencies are float32.
 */
export function writeRows32(frequencies: usize, pairs: i32, first: f64, rows: i32, cos: usize, sin: usize, turn: usize): void {
  const bytes = <usize>pairs << 2;
  for (let row = 0; row < rows; row++) {
    const position = f32x4.splat(<f32>(first + <f64>row));
    for (let i: usize = 0; i < bytes; i += 16) {
      const angles = f32x4.mul(position, v128.load(frequencies + i));
      writeCosSin<f32>(f64x2.promote_low_f32x4(angles), turn, cos + i, sin + i);
      const high = i8x16.shuffle(angles, angles, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15);
      writeCosSin<f32>(f64x2.promote_low_f32x4(high), turn, cos + i + 8, sin + i + 8);
    }
    cos += bytes;
    sin += bytes;
  }
}

/**
 * The same with exact angles: the part that the float64 product loses, and the part of the frequency that float64 does
 * not hold, rotate the result by their first-order term.
 */
export function writeRows64(frequencies: usize, rests: usize, pairs: i32, first: f64, rows: i32, cos: usize, sin: usize, turn: usize): void {
  const bytes = <usize>pairs << 3;
  for (let row = 0; row < rows; row++) {
    const p = f64x2.splat(first + <f64>row);
    const headP = head(p);
    const tailP = f64x2.sub(p, headP);
    for (let i: usize = 0; i < bytes; i += 16) {
      const f = v128.load(frequencies + i);
      const angle = f64x2.mul(p, f);
      writeCosSin<f64>(angle, turn, cos + i, sin + i);
      // Dekker's product: the halves' products are exact.
      const headF = head(f);
      const tailF = f64x2.sub(f, headF);
      let lost = f64x2.sub(f64x2.mul(headP, headF), angle);
      lost = f64x2.add(lost, f64x2.mul(headP, tailF));
      lost = f64x2.add(lost, f64x2.mul(tailP, headF));
      lost = f64x2.add(lost, f64x2.mul(tailP, tailF));
      const small = f64x2.add(lost, f64x2.mul(p, v128.load(rests + i)));
      const c = v128.load(cos + i);
      const s = v128.load(sin + i);
      v128.store(cos + i, f64x2.sub(c, f64x2.mul(s, small)));
      v128.store(sin + i, f64x2.add(s, f64x2.mul(c, small)));
    }
    cos += bytes;
    sin += bytes;
  }
}

// @ts-ignore: decorator
@inline function head(a: v128): v128 {
  const wide = f64x2.mul(constant(9), a);
  return f64x2.sub(wide, f64x2.sub(wide, a));
}

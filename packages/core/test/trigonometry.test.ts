import { expect, test } from "vitest";
import { cosSinOf, cosSinOfLarge } from "../src/trigonometry.ts";

// An evaluation in fixed point with 320 fractional bits: more than the float64 nearest to a multiple of π/2 cancels.
const BITS = 320n;
const ONE = 1n << BITS;

/** arctan(1/n) by its series. */
function inverseTangent(n: bigint): bigint {
  let sum = 0n;
  let power = ONE / n;
  for (let k = 1n; power !== 0n; k += 2n) {
    sum += k % 4n === 1n ? power / k : -(power / k);
    power /= n * n;
  }
  return sum;
}
// Machin, 1706.
const TURN = 8n * (4n * inverseTangent(5n) - inverseTangent(239n));

const view = new DataView(new ArrayBuffer(8));
function fixed(value: number): bigint {
  view.setFloat64(0, value);
  const exponent = Math.max((view.getUint16(0) >> 4) & 2047, 1);
  const whole = BigInt(value / 2 ** (exponent - 1075));
  return exponent < 1075 ? (whole << BITS) >> BigInt(1075 - exponent) : whole << (BITS + BigInt(exponent - 1075));
}

function exactCosSin(angle: number): readonly [cos: bigint, sin: bigint] {
  const x = fixed(angle) % TURN;
  const sums: [bigint, bigint] = [0n, 0n];
  let term = ONE;
  for (let n = 0n; term !== 0n; n++) {
    sums[Number(n % 2n)]! += n % 4n < 2n ? term : -term;
    term = (term * x) / (ONE * (n + 1n));
  }
  return sums;
}

const magnitude = (value: bigint): bigint => (value < 0n ? -value : value);

/** The largest error, as a share of what is promised. */
function worst(angles: Float64Array): number {
  const cos = new Float64Array(angles.length);
  const sin = new Float64Array(angles.length);
  cosSinOf(angles, cos, sin, 0);
  let largest = 0;
  angles.forEach((angle, i) => {
    exactCosSin(angle).forEach((exact, which) => {
      const error = Number(magnitude(fixed((which === 0 ? cos : sin)[i]!) - exact)) / Number(ONE);
      // The listed value and the sum round once each, by 2^-54 at most; what is summed is good to 2^-58.
      const near1 = 2 ** -53 + 2 ** -57;
      // π/256 is known to some 2^-107 and taken up to 2^31 times: 2^-75 remains next to a zero. Half a step beside it,
      // the listed value and the remainder cancel to half, which doubles what they lost.
      const near0 = 2 ** -51 * (Number(magnitude(exact)) / Number(ONE)) + 2 ** -75;
      largest = Math.max(largest, error / Math.min(near1, near0));
    });
  });
  return largest;
}

/** Numbers that look random and are the same in every run. */
function* mixed(count: number): Generator<number> {
  let state = 12345;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 32;
  }
}

test.each<[string, Iterable<number>]>([
  ["less than a turn", [...mixed(2000)].map((u) => u * 7)],
  ["less than a step", [...mixed(500)].map((u) => u * 0.01)],
  ["tiny", [...mixed(200)].map((u) => u * 1e-9)],
  ["the float32 angles of long contexts", [...mixed(2000)].map((u) => Math.fround(u * 131071))],
  ["float64 angles up to 2^24", [...mixed(2000)].map((u) => u * 2 ** 24)],
  ["integer angles", [0, 1, 2, 3, 22, 355, 710, 103993, 15962, 131071, 1048575, 16777215, 16777216]],
  ["negative ones", [...mixed(500)].map((u) => -u * 131071)],
  // At the seams of the reduction, where the remainder is largest or cancels most.
  ["next to multiples of π/512", [...mixed(2000)].map((u) => (Math.floor(u * 2 ** 31) * Math.PI) / 512)],
  ["next to the first multiples of π/512", [...mixed(2000)].map((u) => (Math.floor(u * 64) * Math.PI) / 512)],
  ["next to multiples of π/2", [...mixed(2000)].map((u) => (Math.floor(u * 2 ** 23) * Math.PI) / 2)],
])("cos and sin of %s agree with 320 bits", (_, angles) => {
  expect(worst(Float64Array.from(angles))).toBeLessThan(1);
});

test("beyond 2^24 the engine's own functions answer, and position 0 is exact", () => {
  const cos = new Float64Array(4);
  const sin = new Float64Array(4);
  const angles = Float64Array.of(0, -0, 3e7, 1e300);
  cosSinOf(angles, cos, sin, 0);
  cosSinOfLarge(angles, cos, sin, 0);
  expect([...cos]).toEqual([1, 1, Math.cos(3e7), Math.cos(1e300)]);
  expect([...sin]).toEqual([0, 0, Math.sin(3e7), Math.sin(1e300)]);
});

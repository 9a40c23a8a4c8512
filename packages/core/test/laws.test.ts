/** The laws of every rotation, for random ropes, positions and data. */

import fc from "fast-check";
import { describe, expect } from "vitest";
import { getRope } from "@ropewalk/core";
import type { Pairing, RopeRequest, RotaryEmbedding } from "@ropewalk/core";
import { bits } from "./failures.ts";
import { holds } from "./properties.ts";
import { testRegistry } from "./providers.ts";
import { noise, pairsOf } from "./reference.ts";

const registry = testRegistry();

/** Geometry of a rope: 1 to 12 pairs anywhere in the head, in any pairing that fits. */
const geometries = fc
  .record({
    pairs: fc.integer({ min: 1, max: 12 }),
    before: fc.integer({ min: 0, max: 5 }),
    after: fc.integer({ min: 0, max: 5 }),
    base: fc.double({ min: 2, max: 1e7, noNaN: true }),
  })
  .chain(({ pairs, before, after, base }) =>
    fc
      .constantFrom<Pairing>(
        "half",
        "adjacent",
        ...Array.from({ length: pairs }, (_, i) => i + 1)
          .filter((blocks) => pairs % blocks === 0)
          .map((blocks) => ({ blocks })),
      )
      .map((pairing) => ({
        headDim: before + 2 * pairs + after,
        rotaryDim: 2 * pairs,
        rotaryOffset: before,
        base,
        pairing,
      })),
  );
type Geometry = typeof geometries extends fc.Arbitrary<infer G> ? G : never;

const positions = fc.integer({ min: 0, max: 2 ** 23 });
const seeds = fc.integer({ min: 1, max: 2 ** 31 - 2 });
const amplitudes = fc.double({ min: 0.25, max: 4, noNaN: true });

const exact = (geometry: Geometry, amplitude = 1): RotaryEmbedding =>
  getRope({ ...geometry, precision: "float64", parameters: { ropeType: "tuned", factor: 1, amplitude } }, { registry });
const rotated = (rope: RotaryEmbedding, data: Float64Array, position: number): Float64Array => {
  const result = data.slice();
  rope.apply({ positions: [position], query: result });
  return result;
};
const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
const norm = (a: Float64Array): number => Math.sqrt(dot(a, a));
const rotatedPart = (data: Float64Array, { rotaryOffset, rotaryDim }: Geometry): Float64Array =>
  data.slice(rotaryOffset, rotaryOffset + rotaryDim);

/**
 * Float64 data and exact angles: cos and sin are right to 2^-52 at every position, and each of the few operations of a
 * law rounds once; 64 units leave room for a dozen of them.
 */
const EPSILON = 64 * 2 ** -53;
const near = (actual: number, expected: number, scale: number) =>
  expect(Math.abs(actual - expected)).toBeLessThanOrEqual(EPSILON * scale);

describe("exact angles, float64 data, positions up to 2^23", () => {
  holds(
    "the norm of each pair is kept, times the amplitude",
    [geometries, amplitudes, positions, seeds],
    (geometry, amplitude, position, seed) => {
      const data = noise(geometry.headDim, seed);
      const result = rotated(exact(geometry, amplitude), data, position);
      for (const [x, y] of pairsOf(geometry.pairing, geometry.rotaryDim)) {
        const length = (of: Float64Array) => Math.hypot(of[geometry.rotaryOffset + x]!, of[geometry.rotaryOffset + y]!);
        near(length(result), amplitude * length(data), amplitude * 4);
      }
    },
  );

  holds(
    "⟨R(m)q, R(n)k⟩ depends on m − n only",
    [geometries, positions, positions, positions, seeds],
    (geometry, m, n, shift, seed) => {
      const rope = exact(geometry);
      const [query, key] = [noise(geometry.headDim, seed), noise(geometry.headDim, (seed % 1000) + 7)];
      const logit = (a: number, b: number) =>
        dot(rotatedPart(rotated(rope, query, a), geometry), rotatedPart(rotated(rope, key, b), geometry));
      near(logit(m + shift, n + shift), logit(m, n), norm(query) * norm(key));
    },
  );

  holds(
    "R(a)R(b) = R(a + b), with the amplitude of each",
    [geometries, amplitudes, positions, positions, seeds],
    (geometry, amplitude, a, b, seed) => {
      const rope = exact(geometry, amplitude);
      const data = noise(geometry.headDim, seed);
      const twice = rotated(rope, rotated(rope, data, a), b);
      const once = rotatedPart(rotated(rope, data, a + b), geometry);
      rotatedPart(twice, geometry).forEach((value, i) => near(value, once[i]! * amplitude, amplitude ** 2 * 4));
    },
  );

  holds("invert undoes apply", [geometries, amplitudes, positions, seeds], (geometry, amplitude, position, seed) => {
    const rope = exact(geometry, amplitude);
    const data = noise(geometry.headDim, seed);
    const back = rotated(rope, data, position);
    rope.invert({ positions: [position], key: back });
    back.forEach((value, i) => near(value, data[i]!, 4));
  });

  holds(
    "adjoint is the transpose: ⟨A x, y⟩ = ⟨x, Aᵀ y⟩",
    [geometries, amplitudes, positions, seeds],
    (geometry, amplitude, position, seed) => {
      const rope = exact(geometry, amplitude);
      const [x, y] = [noise(geometry.headDim, seed), noise(geometry.headDim, (seed % 1000) + 7)];
      const back = y.slice();
      rope.adjoint({ positions: [position], query: back });
      near(dot(rotated(rope, x, position), y), dot(x, back), (amplitude + 1) * norm(x) * norm(y));
    },
  );

  holds(
    "a shifted key is the key rotated there",
    [geometries, amplitudes, positions, positions, seeds],
    (geometry, amplitude, from, to, seed) => {
      const rope = exact(geometry, amplitude);
      const data = noise(geometry.headDim, seed);
      const moved = rotated(rope, data, from);
      rope.shift({ keys: moved, from: [from], to: [to] });
      rotated(rope, data, to).forEach((value, i) => near(moved[i]!, value, amplitude * 4));
    },
  );

  holds(
    "position 0 is the identity, times the amplitude",
    [geometries, amplitudes, seeds],
    (geometry, amplitude, seed) => {
      const data = noise(geometry.headDim, seed);
      const { rotaryOffset, rotaryDim } = geometry;
      rotated(exact(geometry, amplitude), data, 0).forEach((value, i) => {
        const isRotated = i >= rotaryOffset && i < rotaryOffset + rotaryDim;
        expect(value).toBe(isRotated ? data[i]! * amplitude : data[i]!);
      });
    },
  );
});

describe("bit for bit", () => {
  const single = (geometry: Geometry, more: Partial<RopeRequest> = {}) =>
    getRope({ ...geometry, ...more, parameters: { ropeType: "plain" } }, { registry });
  const tokens = fc.array(positions, { minLength: 1, maxLength: 9 });
  const heads = fc.integer({ min: 1, max: 4 });
  const apply = (rope: RotaryEmbedding, at: readonly number[], data: Float32Array) => {
    rope.apply({ positions: at, query: data });
    return data;
  };
  const dataOf = (count: number, seed: number) => Float32Array.from(noise(count, seed));

  holds(
    "every pairing is half, of permuted elements",
    [geometries, tokens, heads, seeds],
    (geometry, at, headCount, seed) => {
      const { headDim, rotaryOffset, rotaryDim, pairing } = geometry;
      const data = dataOf(at.length * headCount * headDim, seed);
      // To where element x of pair i goes so that it becomes pair i of the half pairing.
      const permute = (source: Float32Array, back: boolean) => {
        const result = source.slice();
        for (let head = 0; head < source.length; head += headDim) {
          pairsOf(pairing, rotaryDim).forEach(([x, y], i) => {
            const [a, b] = [
              [x, i],
              [y, i + rotaryDim / 2],
            ] as const;
            for (const [own, half] of [a, b]) {
              if (back) result[head + rotaryOffset + own] = source[head + rotaryOffset + half]!;
              else result[head + rotaryOffset + half] = source[head + rotaryOffset + own]!;
            }
          });
        }
        return result;
      };
      const viaHalf = permute(apply(single(geometry, { pairing: "half" }), at, permute(data, false)), true);
      expect(bits(apply(single(geometry), at, data))).toEqual(bits(viaHalf));
    },
  );

  holds(
    "elements outside the rotated ones stay",
    [geometries, tokens, heads, seeds],
    (geometry, at, headCount, seed) => {
      const { headDim, rotaryOffset, rotaryDim } = geometry;
      const data = dataOf(at.length * headCount * headDim, seed);
      const before = data.slice();
      apply(single(geometry), at, data);
      data.forEach((value, i) => {
        const element = i % headDim;
        if (element < rotaryOffset || element >= rotaryOffset + rotaryDim) expect(value).toBe(before[i]);
      });
    },
  );

  holds(
    "tokens, rows and heads do not know of each other",
    [geometries, tokens, heads, seeds],
    (geometry, at, headCount, seed) => {
      const { headDim } = geometry;
      const rope = single(geometry);
      const data = dataOf(at.length * headCount * headDim, seed);
      const alone = Float32Array.from(
        at.flatMap((position, t) =>
          Array.from({ length: headCount }, (_, h) => [
            ...apply(rope, [position], data.slice((t * headCount + h) * headDim, (t * headCount + h + 1) * headDim)),
          ]).flat(),
        ),
      );
      const batch = data.slice();
      rope.apply({ positions: at.map((position) => [position]), query: batch });
      expect(bits(batch)).toEqual(bits(alone));
      expect(bits(apply(rope, at, data))).toEqual(bits(alone));
    },
  );

  holds(
    "in place and out of place agree, with any earlier contents of out",
    [geometries, tokens, heads, seeds],
    (geometry, at, headCount, seed) => {
      const rope = single(geometry);
      const data = dataOf(at.length * headCount * geometry.headDim, seed);
      const out = new Float32Array(data.length).fill(NaN);
      rope.apply({ positions: at, key: data, out: { key: out } });
      expect(bits(out)).toEqual(bits(apply(rope, at, data)));
    },
  );

  holds("equal positions on all axes are one axis", [geometries, tokens, seeds], (geometry, at, seed) => {
    const axes = Array.from({ length: geometry.rotaryDim / 2 }, (_, i) => i % 3).map((axis, _, all) =>
      Math.min(axis, all.length - 1),
    );
    const several = single(geometry, { axes });
    const data = dataOf(at.length * geometry.headDim, seed);
    const one = data.slice();
    const count = Math.max(...axes) + 1;
    several.apply({ positions: count === 1 ? at : Array.from({ length: count }, () => at), query: data });
    expect(bits(data)).toEqual(bits(apply(single(geometry), at, one)));
  });

  holds("a factor of 1 changes nothing", [geometries, tokens, seeds], (geometry, at, seed) => {
    const neutral = getRope({ ...geometry, parameters: { ropeType: "tuned", factor: 1 } }, { registry });
    const data = dataOf(at.length * geometry.headDim, seed);
    expect(bits(apply(neutral, at, data.slice()))).toEqual(bits(apply(single(geometry), at, data)));
  });

  holds("fractional types agree with others at whole positions", [geometries, tokens, seeds], (geometry, at, seed) => {
    const fine = getRope({ ...geometry, parameters: { ropeType: "fine" } }, { registry });
    const data = dataOf(at.length * geometry.headDim, seed);
    expect(bits(apply(fine, at, data.slice()))).toEqual(bits(apply(single(geometry), at, data)));
  });
});

describe("between the integers and below zero", () => {
  const reals = fc.double({ min: -1e6, max: 1e6, noNaN: true });
  const fine = (geometry: Geometry) =>
    getRope({ ...geometry, precision: "float64", parameters: { ropeType: "fine" } }, { registry });

  holds("R(−p) undoes R(p), and R(a)R(b) = R(a + b)", [geometries, reals, reals, seeds], (geometry, a, b, seed) => {
    const rope = fine(geometry);
    const data = noise(geometry.headDim, seed);
    rotated(rope, rotated(rope, data, a), -a).forEach((value, i) => near(value, data[i]!, 4));
    // a + b is itself rounded: by a unit of at most 2e6, which turns the fastest pair by as much.
    const sum = rotated(rope, data, a + b);
    rotated(rope, rotated(rope, data, a), b).forEach((value, i) =>
      expect(Math.abs(value - sum[i]!)).toBeLessThanOrEqual(4 * (EPSILON + 2e6 * 2 ** -53)),
    );
  });
});

describe("float32, as engines compute", () => {
  // The angle is rounded: at positions below 256, by at most 2^-17, so logits of 2 · 24 products move by little more.
  const close = fc.integer({ min: 0, max: 255 });
  holds(
    "⟨R(m)q, R(n)k⟩ depends on m − n, within the rounding of the angle",
    [geometries, close, close, close, seeds],
    (geometry, m, n, shift, seed) => {
      const rope = getRope({ ...geometry, parameters: { ropeType: "plain" } }, { registry });
      const part = (position: number, key: number) => {
        const data = Float32Array.from(noise(geometry.headDim, key));
        rope.apply({ positions: [position], query: data });
        return rotatedPart(Float64Array.from(data), geometry);
      };
      const logit = (a: number, b: number) => dot(part(a, seed), part(b, (seed % 1000) + 7));
      const scale = norm(part(0, seed)) * norm(part(0, (seed % 1000) + 7));
      // Four rotations, each with an angle of up to 510 rounded to float32, and a few roundings of data.
      expect(Math.abs(logit(m + shift, n + shift) - logit(m, n))).toBeLessThanOrEqual(
        scale * (4 * 510 * 2 ** -24 + 16 * 2 ** -24),
      );
    },
  );
});

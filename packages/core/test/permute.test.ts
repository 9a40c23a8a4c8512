/** Weights for another pairing: the attention stays the same, and the permutation keeps every bit. */

import { permuteRows, rotate, rowOrder } from "@ropewalk/core/math";
import { RopeError } from "@ropewalk/core";
import type { Pairing } from "@ropewalk/core";
import fc from "fast-check";
import { expect, test } from "vitest";

test("the order as transformers and llama.cpp write it: view (heads, 2, pairs), swapped", () => {
  // half: x0 x1 x2 | y0 y1 y2; adjacent: x0 y0 x1 y1 x2 y2.
  expect([...rowOrder({ headDim: 6, from: "half", to: "adjacent" })]).toEqual([0, 3, 1, 4, 2, 5]);
  expect([...rowOrder({ headDim: 6, from: "adjacent", to: "half" })]).toEqual([0, 2, 4, 1, 3, 5]);
  // Two blocks of two pairs each: x0 x1 y0 y1 | x2 x3 y2 y3.
  expect([...rowOrder({ headDim: 8, from: "adjacent", to: { blocks: 2 } })]).toEqual([0, 2, 1, 3, 4, 6, 5, 7]);
});

test("rows beyond the rotated ones stay, before and behind", () => {
  expect([...rowOrder({ headDim: 8, rotaryDim: 4, rotaryOffset: 3, from: "half", to: "adjacent" })]).toEqual([
    0, 1, 2, 3, 5, 4, 6, 7,
  ]);
});

const pairings = (pairs: number): fc.Arbitrary<Pairing> => {
  const divisors = Array.from({ length: pairs }, (_, i) => i + 1).filter((n) => pairs % n === 0);
  return fc.oneof(
    fc.constantFrom<Pairing>("half", "adjacent"),
    fc.constantFrom(...divisors).map((blocks) => ({ blocks })),
  );
};

const cases = fc
  .record({
    pairs: fc.integer({ min: 1, max: 12 }),
    before: fc.integer({ min: 0, max: 3 }),
    behind: fc.integer({ min: 0, max: 3 }),
    heads: fc.integer({ min: 1, max: 3 }),
    columns: fc.integer({ min: 1, max: 4 }),
  })
  .chain((sizes) => fc.record({ sizes: fc.constant(sizes), from: pairings(sizes.pairs), to: pairings(sizes.pairs) }))
  .map(({ sizes: { before, behind, columns, heads, pairs }, ...rest }) => ({
    ...rest,
    heads,
    columns,
    headDim: 2 * pairs + before + behind,
    rotaryDim: 2 * pairs,
    rotaryOffset: before,
  }));

test("two opposite permutations restore the input, and each row is a whole row of the input", () => {
  fc.assert(
    fc.property(cases, ({ columns, from, headDim, heads, rotaryDim, rotaryOffset, to }) => {
      const rows = Float32Array.from({ length: heads * headDim * columns }, (_, i) => i);
      const there = permuteRows(rows, { headDim, rotaryDim, rotaryOffset, columns, from, to });
      expect(permuteRows(there, { headDim, rotaryDim, rotaryOffset, columns, from: to, to: from })).toEqual(rows);
      for (let row = 0; row < heads * headDim; row++) {
        const start = there[row * columns]!;
        expect([...there.subarray(row * columns, (row + 1) * columns)]).toEqual(
          Array.from({ length: columns }, (_, i) => start + i),
        );
        expect(Math.floor(start / columns / headDim)).toBe(Math.floor(row / headDim));
      }
    }),
  );
});

test("products of rotated queries and keys are the same, with more query heads than key heads", () => {
  fc.assert(
    fc.property(
      cases,
      fc.infiniteStream(fc.double({ min: -1, max: 1, noNaN: true })),
      ({ from, headDim, rotaryDim, rotaryOffset, to }, stream) => {
        const take = (count: number): Float64Array => Float64Array.from({ length: count }, () => stream.next().value);
        const [inputs, tokens, queryHeads, keyHeads] = [3, 2, 4, 2];
        const [query, key, x] = [
          take(queryHeads * headDim * inputs),
          take(keyHeads * headDim * inputs),
          take(tokens * inputs),
        ];
        const angles = take(tokens * (rotaryDim / 2)).map((value) => 7 * value);
        const scores = (q: Float64Array, k: Float64Array, pairing: Pairing): number[] => {
          const project = (weight: Float64Array, heads: number): Float64Array => {
            const out = Float64Array.from({ length: tokens * heads * headDim }, (_, i) => {
              const [token, row] = [Math.floor(i / (heads * headDim)), i % (heads * headDim)];
              return Array.from(
                { length: inputs },
                (__, j) => weight[row * inputs + j]! * x[token * inputs + j]!,
              ).reduce((sum, value) => sum + value, 0);
            });
            rotate(
              { data: out, shape: [tokens, heads, headDim] },
              { cos: angles.map(Math.cos), sin: angles.map(Math.sin), pairing, rotaryDim, rotaryOffset },
            );
            return out;
          };
          const [Q, K] = [project(q, queryHeads), project(k, keyHeads)];
          return Array.from({ length: queryHeads }, (_, head) => {
            let sum = 0;
            for (let i = 0; i < headDim; i++) {
              sum += Q[head * headDim + i]! * K[(keyHeads + Math.floor((head * keyHeads) / queryHeads)) * headDim + i]!;
            }
            return sum;
          });
        };
        const before = scores(query, key, from);
        const options = { headDim, rotaryDim, rotaryOffset, columns: inputs, from, to };
        const after = scores(permuteRows(query, options), permuteRows(key, options), to);
        // The same products in another order of summation: 30 terms of size 9 at most.
        before.forEach((value, head) => expect(Math.abs(after[head]! - value)).toBeLessThan(1e-12));
      },
    ),
    { numRuns: 50 },
  );
});

test("the input is not changed, and bytes do as well as numbers", () => {
  const bytes = Uint8Array.of(0, 1, 10, 11, 20, 21, 30, 31);
  expect([...permuteRows(bytes, { headDim: 4, columns: 2, from: "half", to: "adjacent" })]).toEqual([
    0, 1, 20, 21, 10, 11, 30, 31,
  ]);
  expect([...bytes]).toEqual([0, 1, 10, 11, 20, 21, 30, 31]);
});

test.each<[what: string, options: object, words: RegExp]>([
  ["half a head", { headDim: 5, rotaryDim: 4, from: "half", to: "adjacent" }, /whole number of heads/],
  ["an odd rotaryDim", { headDim: 3, from: "half", to: "adjacent" }, /rotaryDim: expected an even integer/],
  [
    "a slice beyond the head",
    { headDim: 4, rotaryDim: 4, rotaryOffset: 2, from: "half", to: "adjacent" },
    /rotaryOffset/,
  ],
  ["an unknown pairing", { headDim: 4, from: "halves", to: "adjacent" }, /from: expected/],
  ["blocks that do not divide", { headDim: 4, from: "half", to: { blocks: 3 } }, /to: expected/],
  ["no column", { headDim: 4, columns: 0, from: "half", to: "adjacent" }, /whole number of heads/],
])("%s is refused", (_, options, words) => {
  const call = (): unknown => permuteRows(new Float32Array(8), options as never);
  expect(call).toThrow(RopeError);
  expect(call).toThrow(words);
});

import { fromAtb } from "@ropewalk/config";
import { getRope } from "@ropewalk/core";
import "@ropewalk/default";
import { fromFloat16, rotate, toFloat16 } from "@ropewalk/core/math";
import { expect, test } from "vitest";

/** The rotation of ATB's documentation: cut the head into coeff/2 parts, rotate each by halves. */
function naive(
  x: readonly number[],
  cos: readonly number[],
  sin: readonly number[],
  parts: number,
  rotated: number,
): number[] {
  const out = [...x];
  const size = rotated / parts;
  for (let part = 0; part < parts; part++) {
    for (let j = 0; j < size / 2; j++) {
      const [a, b] = [part * size + j, part * size + j + size / 2];
      out[a] = x[a]! * cos[a]! - x[b]! * sin[a]!;
      out[b] = x[b]! * cos[b]! + x[a]! * sin[b]!;
    }
  }
  return out;
}

const headDim = 16;
test.each([
  [2, 1, 16],
  [4, 2, 16],
  [8, 4, 8],
  [16, 8, 16],
])("rotaryCoeff %i of a head of 16", (rotaryCoeff, parts, rotated) => {
  const { width, ...fields } = fromAtb({ rotaryCoeff, headDim });
  const rope = getRope({ ...fields, precision: "float64", parameters: { ropeType: "default" } });
  const positions = [0, 3, 70_000];
  const { cos, sin, shape } = rope.cosSin(positions, { width, dtype: "float64" });
  expect(shape).toEqual([3, rotated]);
  const x = Float64Array.from({ length: 3 * 2 * headDim }, (_, i) => Math.sin(i));
  const expected = Array.from({ length: 6 }, (_, row) => {
    const at = Math.floor(row / 2) * rotated;
    return naive(
      [...x.subarray(row * headDim, (row + 1) * headDim)],
      [...cos.subarray(at, at + rotated)],
      [...sin.subarray(at, at + rotated)],
      parts,
      rotated,
    );
  }).flat();
  // [ntokens, hiddenSize], and the same tensor with four axes.
  const flat = x.slice();
  rope.apply({ positions, query: { data: flat, shape: [3, 2 * headDim] } });
  const four = x.slice();
  rope.apply({ positions, query: { data: four, shape: [1, 3, 2, headDim] } });
  expect(four).toEqual(flat);
  flat.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 14));
});

test("the example of ATB's documentation: ones everywhere, rotaryCoeff left at 4, float16", () => {
  const { pairing, rotaryDim, width } = fromAtb({ rotaryCoeff: 4, headDim: 8 });
  const ones = (length: number): Uint16Array => new Uint16Array(length).fill(toFloat16(1));
  const query = { data: ones(4 * 16), shape: [4, 2, 8], dtype: "float16" } as const;
  rotate(query, {
    cos: { data: ones(4 * 8), dtype: "float16" },
    sin: { data: ones(4 * 8), dtype: "float16" },
    pairing,
    rotaryDim,
    width,
  });
  // x cos − y sin = 0, y cos + x sin = 2, in each quarter of the head.
  expect(Array.from(query.data, fromFloat16)).toEqual(new Array(8).fill([0, 0, 2, 2, 0, 0, 2, 2]).flat());
});

test.each([
  [3, 16],
  [32, 16],
  [4, 6],
  [2, 7],
  [0, 8],
  [NaN, 8],
])("refuses rotaryCoeff %d, headDim %d", (rotaryCoeff, size) => {
  expect(() => fromAtb({ rotaryCoeff, headDim: size })).toThrow(expect.objectContaining({ code: "ROPE_CONFIG" }));
});

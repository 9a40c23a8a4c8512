/** Lists and arrays that lie about their length. */

import { expect, test } from "vitest";
import { decodePositions, slicePositions } from "../src/positions/index.ts";

const shapeError = expect.objectContaining({ code: "ROPE_SHAPE" });

test("an array that says that it is longer has its own length", () => {
  class Lying extends Int32Array {
    override get length(): number {
      return 6;
    }
  }
  expect(() => slicePositions({ data: new Lying(3), shape: [1, 6] }, 0, 6)).toThrow(shapeError);
  const data = new Lying([1, 2, 3]);
  expect([...slicePositions({ data, shape: [1, 3] }, 1, 3).data]).toEqual([2, 3]);
});

test("a list of holes without end is refused at once", () => {
  expect(() => decodePositions({ past: { tokens: 1, deltas: new Array<number>(2 ** 32 - 1) } })).toThrow(shapeError);
});

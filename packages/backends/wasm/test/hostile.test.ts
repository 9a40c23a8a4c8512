/** Arrays and shapes that lie: in an arena, all tensors are neighbours in one memory. */

import { getRope } from "@ropewalk/core";
import "@ropewalk/default";
import { createArena } from "@ropewalk/wasm-backend";
import { expect, test } from "vitest";

const rope = getRope({ headDim: 64, parameters: { ropeType: "default" } });
const positions = { start: 1, count: 4 };

test.each(["length", "byteOffset", "buffer", "BYTES_PER_ELEMENT"])(
  "an array whose %s lies changes its own elements and no neighbour's",
  (property) => {
    const arena = createArena({ bytes: 1 << 20 });
    const expected = new Float32Array(4 * 2 * 64).fill(1);
    rope.apply({ positions, query: expected });
    for (const lie of [0, 64, 2 ** 20, 2 ** 40, -256, NaN, new ArrayBuffer(1 << 20)]) {
      class Lying extends Float32Array {}
      Object.defineProperty(Lying.prototype, property, { get: () => lie });
      using before = arena.float32([4, 2, 64]);
      using tensor = arena.float32([4, 2, 64]);
      using after = arena.float32([4, 2, 64]);
      for (const { data } of [before, tensor, after]) data.fill(1);
      const { buffer, byteOffset, length } = tensor.data;
      const data = new Lying(buffer as ArrayBuffer, byteOffset, length);
      rope.to("wasm", { arena }).apply({ positions, query: { data, shape: [4, 2, 64] } });
      expect(tensor.data).toEqual(expected);
      for (const neighbour of [before, after]) expect(neighbour.data.every((value) => value === 1)).toBe(true);
    }
  },
);

test("a tensor without elements is no work, whatever its other sizes", () => {
  const arena = createArena({ bytes: 1 << 16 });
  using none = arena.float32([0]);
  const wasm = rope.to("wasm", { arena });
  for (const data of [none.data, new Float32Array(0)]) {
    wasm.apply({ positions: [], query: { data, shape: [1e10, 0, 1, 64] } });
    wasm.apply({ positions: [1], query: { data, shape: [2 ** 40, 1, 0, 64] } });
    wasm.apply({ positions: [1], key: { data, shape: [0, 1, 2 ** 40, 64] } });
  }
});

test("a shape of holes without end is refused at once", () => {
  const arena = createArena({ bytes: 1 << 16 });
  class Endless extends Array<number> {
    override *[Symbol.iterator](): ArrayIterator<number> {
      for (;;) yield 1;
    }
  }
  const shapes: readonly number[][] = [new Array<number>(2 ** 32 - 1), Object.assign(new Endless(), { length: 2 })];
  for (const shape of shapes) {
    expect(() => arena.float32(shape)).toThrow(expect.objectContaining({ code: "ROPE_SHAPE" }));
  }
  using one = arena.float32(Endless.from([2, 3]));
  expect(one.shape).toEqual([2, 3]);
});

/**
 * cos and sin made by the kernels are core's, bit for bit; core's are held against arbitrary precision in its own
 * tests.
 */

import { createRegistry, getRopeUntyped } from "@ropewalk/core";
import type { Precision, RopeProvider, RotaryEmbedding } from "@ropewalk/core";
import { inverseFrequencies } from "@ropewalk/core/math";
import { wasmBackend } from "@ropewalk/wasm-backend";
import { expect, test } from "vitest";

const registry = createRegistry();
registry.registerBackend(wasmBackend);
const plain: RopeProvider = {
  specificationVersion: 1,
  source: "plain@1",
  parameters: {},
  capabilities: { fractionalPositions: true },
  frequencies: ({ base, rotaryDim, array }) => ({
    invFreq: inverseFrequencies(base, rotaryDim, array),
    attentionFactor: 1.2345,
  }),
};
registry.register("plain", plain);
// Angles beyond 2^24, for which the kernels are not made.
registry.register("steep", {
  ...plain,
  source: "steep@1",
  frequencies: ({ rotaryDim }) => ({ invFreq: Array.from({ length: rotaryDim / 2 }, (_, i) => 3 - i / 7) }),
});
registry.register("plane", {
  ...plain,
  source: "plane@1",
  capabilities: { axisCount: 2 },
  frequencies: ({ base, rotaryDim, array }) => ({
    invFreq: inverseFrequencies(base, rotaryDim, array),
    axes: Array.from({ length: rotaryDim / 2 }, (_, i) => i % 2),
  }),
});

const ropeOf = (ropeType: string, headDim: number, precision: Precision): RotaryEmbedding =>
  getRopeUntyped({ headDim, base: 500_000, precision, parameters: { ropeType } }, { registry });

/** Compares bit for bit, and names the first value that differs: a listing of them all would take minutes. */
function expectSameBits(given: ArrayLike<number>, expected: ArrayLike<number>, what = ""): void {
  expect(given.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    if (!Object.is(given[i], expected[i])) expect.fail(`${what} value ${i}: expected ${expected[i]}, got ${given[i]}`);
  }
}

const long = [0, 1, 127, 257, 2049, 4096, 15962, 32768, 131071, 1_048_575, 2 ** 24];

test.each(["float32", "float64"] as const)("rows of every width, precision %s", (precision) => {
  for (const headDim of [2, 4, 6, 10, 16, 24, 64, 80, 126, 128, 256, 2048, 4096]) {
    const rope = ropeOf("plain", headDim, precision);
    const wasm = rope.to("wasm");
    for (const positions of [long, { start: 1_048_000, count: 70 }, [5, 6, 7, 1, 2, 9]]) {
      for (const dtype of ["float32", "float64"] as const) {
        const [a, b] = [rope.cosSin(positions, { dtype }), wasm.cosSin(positions, { dtype })];
        expectSameBits(b.cos, a.cos, `${headDim} ${dtype}`);
        expectSameBits(b.sin, a.sin, `${headDim} ${dtype}`);
      }
    }
  }
});

test.each(["float32", "float64"] as const)(
  "positions between the integers and below zero, precision %s",
  (precision) => {
    const rope = ropeOf("plain", 128, precision);
    const positions = [-0.5, -3, 0.1, 1.1, 2.1, 1e6 + 0.3, 131071.123456789, -(2 ** 24)];
    const [a, b] = [
      rope.cosSin(positions, { dtype: precision }),
      rope.to("wasm").cosSin(positions, { dtype: precision }),
    ];
    expectSameBits(b.cos, a.cos);
    expectSameBits(b.sin, a.sin);
  },
);

test("a long run of fractions is rounded once, wherever its pieces begin", () => {
  for (const precision of ["float32", "float64"] as const) {
    const rope = ropeOf("plain", 128, precision);
    for (const start of [0.123456789012345, -0.7310585786300049, 0.3]) {
      const positions = { start, count: 1200 };
      const [a, b] = [
        rope.cosSin(positions, { dtype: precision }),
        rope.to("wasm").cosSin(positions, { dtype: precision }),
      ];
      expectSameBits(b.cos, a.cos, `${precision} from ${start}`);
      expectSameBits(b.sin, a.sin, `${precision} from ${start}`);
    }
  }
});

test("more rows than the area for them holds, also into arrays of the caller's", () => {
  for (const precision of ["float32", "float64"] as const) {
    const rope = ropeOf("plain", 128, precision);
    const positions = { start: 130_000, count: 3001 };
    const expected = rope.cosSin(positions, { dtype: precision });
    const length = 3001 * 64;
    const out =
      precision === "float32"
        ? { cos: new Float32Array(length), sin: new Float32Array(length) }
        : { cos: new Float64Array(length), sin: new Float64Array(length) };
    const given = rope.to("wasm").cosSin(positions, { dtype: precision, out });
    expect(given.cos).toBe(out.cos);
    expectSameBits(out.cos, expected.cos);
    expectSameBits(out.sin, expected.sin);
  }
});

test("several axes; angles that the kernels are not made for", () => {
  const plane = ropeOf("plane", 36, "float32");
  const positions = { data: [...long, ...[...long].reverse()], shape: [2, long.length] };
  expectSameBits(plane.to("wasm").cosSin(positions).sin, plane.cosSin(positions).sin);
  const steep = ropeOf("steep", 12, "float64");
  expectSameBits(steep.to("wasm").cosSin(long, { dtype: "float64" }).sin, steep.cosSin(long, { dtype: "float64" }).sin);
});

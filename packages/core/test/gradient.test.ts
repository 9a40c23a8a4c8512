import { createRegistry, getRopeUntyped } from "@ropewalk/core";
import type { Pairing } from "@ropewalk/core";
import { angleGradient } from "@ropewalk/core/math";
import { describe, expect, test } from "vitest";

/** Deterministic numbers in [-1, 1). */
function noise(length: number, seed: number): Float64Array {
  let state = seed;
  return Float64Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

const amplitude = 1.3;
/** A rope with the given frequencies, as learned ones would be. */
function learned(invFreq: readonly number[], pairing: Pairing) {
  const registry = createRegistry();
  registry.register("learned", {
    specificationVersion: 1,
    source: "gradient-test@1",
    parameters: {},
    capabilities: { fractionalPositions: true },
    frequencies: () => ({ invFreq, attentionFactor: amplitude }),
  });
  return getRopeUntyped(
    { headDim: 10, rotaryDim: 8, rotaryOffset: 1, pairing, precision: "float64", parameters: { ropeType: "learned" } },
    { registry },
  );
}

const shape = [3, 2, 10];
const x = noise(60, 1);
const weights = noise(60, 2);
const frequencies = [1, 0.3, 0.07, 0.01];
const positions = [0, 2.5, 40];

/** L = Σ w · rotated, whose gradient by the rotated elements is w. */
function loss(invFreq: readonly number[], at: readonly number[], pairing: Pairing, input: Float64Array): number {
  const query = input.slice();
  learned(invFreq, pairing).apply({ positions: Float64Array.from(at), query: { data: query, shape } });
  return query.reduce((sum, value, i) => sum + value * weights[i]!, 0);
}

/** Central difference: its error is of the order of step², times a third derivative of up to 40³ · 60. */
const slope = (f: (step: number) => number, step = 1e-5): number => (f(step) - f(-step)) / (2 * step);
const moved = (list: readonly number[], index: number, by: number): number[] =>
  list.map((value, i) => (i === index ? value + by : value));

describe.each(["half", "adjacent", { blocks: 2 }] as Pairing[])("pairing %j", (pairing) => {
  const rope = learned(frequencies, pairing);
  const rotated = x.slice();
  rope.apply({ positions: Float64Array.from(positions), query: { data: rotated, shape } });
  const angles = angleGradient(
    { data: rotated, shape },
    { data: weights, shape },
    { pairing, rotaryDim: 8, rotaryOffset: 1 },
  );

  test("by the frequencies", () => {
    frequencies.forEach((_, i) => {
      const analytic = positions.reduce((sum, p, t) => sum + p * angles[t * 4 + i]!, 0);
      expect(analytic).toBeCloseTo(
        slope((step) => loss(moved(frequencies, i, step), positions, pairing, x)),
        4,
      );
    });
  });

  test("by the positions", () => {
    positions.forEach((_, t) => {
      const analytic = frequencies.reduce((sum, f, i) => sum + f * angles[t * 4 + i]!, 0);
      expect(analytic).toBeCloseTo(
        slope((step) => loss(frequencies, moved(positions, t, step), pairing, x)),
        6,
      );
    });
  });

  test("by the elements: adjoint, which keeps the amplitude", () => {
    const backward = weights.slice();
    rope.adjoint({ positions: Float64Array.from(positions), query: { data: backward, shape } });
    for (const element of [0, 1, 4, 9, 25, 38, 59]) {
      const moveX = (step: number): Float64Array => x.map((value, i) => (i === element ? value + step : value));
      expect(backward[element]).toBeCloseTo(
        slope((step) => loss(frequencies, positions, pairing, moveX(step))),
        7,
      );
    }
  });
});

test("refuses what does not fit", () => {
  const view = { data: x, shape };
  for (const run of [
    () => angleGradient(view, { data: weights.subarray(0, 30), shape: [3, 1, 10] }, { pairing: "half" }),
    () => angleGradient(view, view, { pairing: "half", rotaryDim: 7 }),
    () => angleGradient(view, view, { pairing: { blocks: 3 }, rotaryDim: 8 }),
    () => angleGradient(view, view, { pairing: "half", rotaryDim: 10, rotaryOffset: 2 }),
  ]) {
    expect(run).toThrow(expect.objectContaining({ code: "ROPE_SHAPE" }));
  }
});

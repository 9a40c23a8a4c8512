/** Types whose frequencies depend on the current length: the effective length of a call, and that two never mix. */

import { describe, expect, test } from "vitest";
import { getRope, getRopeUntyped } from "@ropewalk/core";
import type { FrequencyRequest, RopeProvider } from "@ropewalk/core";
import { bits, caught } from "./failures.ts";
import { heldBytes } from "./memory.ts";
import { plain, stepped, testRegistry } from "./providers.ts";
import { frequency, noise, rotateReference } from "./reference.ts";

const registry = testRegistry();
const rope = getRope(
  { headDim: 8, base: 100, precision: "float64", parameters: { ropeType: "stepped" } },
  { registry },
);

/**
 * The formula of `stepped`: the base grows with the length, rounded up to a power of two; the amplitude grows with it.
 */
const expected = (positions: readonly number[], scheduled: number) =>
  rotateReference(noise(positions.length * 8), [1, positions.length, 1, 8], {
    rotaryDim: 8,
    pairing: "half",
    angle: (pair, token) => positions[token]! * frequency(100 * (scheduled / 16), 8, pair),
    amplitude: scheduled / 16,
  });
// Values of up to 2√2 times the amplitude; angles of up to 100 in float64 on both sides.
const close = (actual: Float64Array, values: readonly number[]) =>
  values.forEach((value, i) => expect(Math.abs(actual[i]! - value)).toBeLessThan(1e-12));

const applied = (positions: readonly number[], length?: number, of = rope) => {
  const data = noise(positions.length * 8);
  of.apply({ positions, query: data, length });
  return data;
};

test.each([
  [[0, 1], undefined, 16],
  [[0, 15], undefined, 16],
  [[0, 16], undefined, 32],
  [[100], undefined, 128],
  [[0, 1], 100, 128],
  [[100], 16, 16],
  [[], undefined, 16],
])("positions %j at length %s: effective length %i", (positions, length, scheduled) => {
  close(applied(positions, length), expected(positions, scheduled));
  expect(rope.at(positions, { length }).effectiveLength).toBe(scheduled);
  expect(rope.effectiveLength(length ?? Math.max(-1, ...positions) + 1)).toBe(scheduled);
});

test("every method takes the length", () => {
  const { cos } = rope.cosSin([1], { length: 100 });
  expect(cos[0]).toBeCloseTo(8 * Math.cos(1), 5);
  expect(rope.frequencies(100).invFreq[1]).toBeCloseTo(frequency(800, 8, 1), 12);
  expect(rope.frequencies(100).attentionFactor).toBe(8);
  expect(rope.attentionFactor, "at the shortest length").toBe(1);
  expect(rope.explain(100).rules.find(({ name }) => name === "attentionFactor")?.value).toBe(8);

  const data = applied([1, 2], 100);
  rope.invert({ positions: [1, 2], key: data, length: 100 });
  close(data, [...noise(16)]);
  const back = noise(16);
  rope.adjoint({ positions: [1, 2], query: back, length: 100 });
  close(
    back,
    rotateReference(noise(16), [1, 2, 1, 8], {
      rotaryDim: 8,
      pairing: "half",
      angle: (pair, token) => -(token + 1) * frequency(800, 8, pair),
      amplitude: 8,
    }),
  );
});

test("shift takes it too, for a type that depends on it and declares canShift", () => {
  const movable: RopeProvider = {
    ...stepped,
    source: "movable@1",
    capabilities: { dependsOnLength: true, canShift: true },
  };
  const moving = getRopeUntyped(
    { headDim: 8, base: 100, precision: "float64", parameters: { ropeType: "any" } },
    { provider: movable },
  );
  const keys = applied([1, 2], 100, moving);
  moving.shift({ keys, from: [1, 2], to: [5, 7], length: 100 });
  close(keys, [...applied([5, 7], 100, moving)]);
  const defaulted = noise(16);
  moving.shift({ keys: defaulted, from: [1, 2], to: [60, 61] });
  close(
    defaulted,
    rotateReference(noise(16), [1, 2, 1, 8], {
      rotaryDim: 8,
      pairing: "half",
      angle: (pair) => 59 * frequency(400, 8, pair),
    }),
  );
});

test("shift of a type that depends on it needs it: one length names the frequencies of both ends", () => {
  const keys = applied([90, 3], 100);
  const error = caught(() => rope.shift({ keys, from: [90, 3], to: [10, 4] }), "ROPE_UNSUPPORTED");
  expect(error.remedy).toMatch(/\blength\b/);
  expect(bits(keys)).toEqual(bits(applied([90, 3], 100)));
  rope.shift({ keys, from: [90, 3], to: [10, 4], length: 100 });
  // Not the frequencies that a sequence of 11 tokens has.
  close(keys, [...applied([10, 4], 100)]);
  expect(applied([10, 4], 100)).not.toEqual(applied([10, 4]));
});

test("no length makes a shift of what is no rotation", () => {
  const warped: RopeProvider = {
    ...stepped,
    source: "warped@1",
    capabilities: { dependsOnLength: true, isRotation: false },
  };
  const none = getRopeUntyped({ headDim: 8, parameters: { ropeType: "any" } }, { provider: warped });
  const error = caught(() => none.shift({ keys: noise(8), from: [1], to: [2], length: 16 }), "ROPE_UNSUPPORTED");
  expect(error.remedy).not.toMatch(/\blength\b/);
});

test("a step's inverse and transpose keep its positions and its frequencies, whatever is called in between", () => {
  const list = [1, 2];
  const step = rope.at(list, { length: 20 });
  list.fill(9);
  for (let length = 1; length < 5000; length *= 2) rope.adjoint({ positions: [0], query: noise(8), length });
  for (const operation of ["invert", "adjoint", "invert"] as const) {
    const [mine, theirs] = [noise(16), noise(16)];
    const singles = [Float32Array.from(mine), Float32Array.from(mine)] as const;
    step[operation]({ query: mine, key: singles[0] });
    rope[operation]({ positions: [1, 2], length: 20, query: theirs, key: singles[1] });
    expect(bits(mine)).toEqual(bits(theirs));
    expect(bits(singles[0])).toEqual(bits(singles[1]));
  }
  const back = noise(16);
  step.apply({ query: back });
  step.invert({ query: back });
  close(back, [...noise(16)]);
});

test("a step of what is no rotation has neither", () => {
  const warp = getRope({ headDim: 8, parameters: { ropeType: "warp" } }, { registry });
  const step = warp.at([1]);
  for (const operation of ["invert", "adjoint"] as const) {
    const query = noise(8);
    caught(() => step[operation]({ query }), "ROPE_UNSUPPORTED");
    expect(query).toEqual(noise(8));
  }
  caught(() => rope.at([1]).invert({ keys: noise(8) } as never), "ROPE_INVALID_PARAMETERS");
});

test("a step keeps the effective length it was made under", () => {
  const step = rope.at([1, 2], { length: 20 });
  for (let length = 1; length < 5000; length *= 2) rope.at([0], { length });
  const data = noise(16);
  step.apply({ query: data });
  close(data, expected([1, 2], 32));
  expect(step.effectiveLength).toBe(32);
});

test("effective lengths never mix, in any order of calls", () => {
  const fresh = () =>
    getRope(
      { headDim: 8, base: 100, precision: "float64", parameters: { ropeType: "stepped" } },
      { registry: testRegistry() },
    );
  const lengths = [16, 1000, 32, 64, 16, 2000, 128, 1000, 17, 1, 4000, 64];
  const one = fresh();
  for (const length of lengths) {
    const alone = fresh();
    for (const positions of [[3], [0, 1, 2], [length - 1, 3]]) {
      expect(bits(applied(positions, length, one))).toEqual(bits(applied(positions, length, alone)));
    }
  }
});

test("lengths of one effective length share its frequencies, and few effective lengths are kept", async () => {
  let computed = 0;
  const counting: RopeProvider = {
    ...stepped,
    source: "counting@1",
    frequencies: (request: FrequencyRequest) => (computed++, stepped.frequencies(request, {})),
  };
  const counted = getRopeUntyped({ headDim: 8, parameters: { ropeType: "any" } }, { provider: counting });
  // The shortest length and the longest, to see that their numbers are finite.
  expect(computed).toBe(2);
  for (let length = 17; length <= 32; length++) counted.at([0], { length });
  expect(computed).toBe(3);

  const before = await heldBytes();
  const wide = getRopeUntyped(
    { headDim: 256, parameters: { ropeType: "any" } },
    { provider: { ...stepped, source: "each@1", effectiveLength: (length: number) => length } },
  );
  for (let length = 1; length <= 500; length++) wide.at([0], { length });
  // A block of 128 rows of 128 pairs, cos and sin in float32, is 128 KiB; five hundred of them would be 64 MiB.
  expect((await heldBytes()) - before).toBeLessThan(4 * 2 ** 20);
  expect(wide.at([0], { length: 1 }).effectiveLength).toBe(1);
});

describe("a length", () => {
  test.each([[-1], [1.5], [NaN], [Infinity], ["100"], [100n]])("%s is refused, and nothing is written", (length) => {
    const data = noise(8);
    caught(() => rope.apply({ positions: [1], query: data, length: length as number }), "ROPE_INVALID_PARAMETERS");
    caught(() => rope.at([1], { length: length as number }), "ROPE_INVALID_PARAMETERS");
    caught(() => rope.cosSin([1], { length: length as number }), "ROPE_INVALID_PARAMETERS");
    caught(() => rope.frequencies(length as number), "ROPE_INVALID_PARAMETERS");
    expect(data).toEqual(noise(8));
  });

  test("is without effect where the type does not depend on it", () => {
    const plain = getRope({ headDim: 8, parameters: { ropeType: "plain" } }, { registry });
    expect(plain.cosSin([5], { length: 1000 })).toEqual(plain.cosSin([5]));
    expect(plain.at([5], { length: 1000 }).effectiveLength).toBeNull();
    expect(plain.effectiveLength(1000)).toBeNull();
  });

  test("is the largest position + 1, whole, where positions are fractional", () => {
    const seen: number[] = [];
    const both: RopeProvider = {
      ...plain,
      source: "both@1",
      capabilities: { dependsOnLength: true, fractionalPositions: true },
      effectiveLength: (length: number) => (seen.push(length), length),
    };
    const fractional = getRopeUntyped({ headDim: 8, parameters: { ropeType: "any" } }, { provider: both });
    fractional.cosSin([0.5, 2.75]);
    fractional.cosSin([-5.5]);
    expect(seen.slice(-2)).toEqual([3, 0]);
  });

  test("without an effective length, every length is one", () => {
    const { effectiveLength: _, ...every } = stepped;
    const each = getRopeUntyped(
      { headDim: 8, parameters: { ropeType: "any" } },
      { provider: { ...every, source: "every@1" } },
    );
    expect(each.effectiveLength(17)).toBe(17);
  });
});

test("capabilities may follow from the parameters", () => {
  const provider: RopeProvider = {
    ...stepped,
    source: "either@1",
    parameters: { fixed: { type: "boolean", default: false, description: "keep the shortest effective length" } },
    capabilities: ({ fixed }: { fixed: boolean }) => ({ dependsOnLength: !fixed }),
    frequencies: (request: FrequencyRequest) => stepped.frequencies({ ...request, length: request.length ?? 16 }, {}),
  };
  const of = (fixed: boolean) =>
    getRopeUntyped({ headDim: 8, parameters: { ropeType: "any", fixed } as { ropeType: string } }, { provider });
  expect(of(false).effectiveLength(100)).toBe(128);
  expect(of(true).effectiveLength(100)).toBeNull();
  expect(of(true).capabilities).toMatchObject({ dependsOnLength: false, canShift: true });
  expect(of(false).capabilities).toMatchObject({ dependsOnLength: true, canShift: false });
});

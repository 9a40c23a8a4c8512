/**
 * Fields of a request that hold for every type: direction, factors of pairs, fractions, axes, rewriting types, wide
 * heads.
 */

import { describe, expect, test } from "vitest";
import { getRopeUntyped } from "@ropewalk/core";
import type { RopeSpelling, RotaryEmbedding, UntypedRopeRequest } from "@ropewalk/core";
import { bits, caught } from "./failures.ts";
import { plain, testRegistry } from "./providers.ts";
import { frequency, noise, rotateReference } from "./reference.ts";

const registry = testRegistry();
const rope = (more: object, ropeType = "plain", own: object = {}): RotaryEmbedding =>
  getRopeUntyped({ headDim: 8, ...more, parameters: { ropeType, ...own } } as UntypedRopeRequest, { registry });

describe("direction", () => {
  test("−1 turns by −φ, by hand: (1, 0) at position 1 becomes (cos 1, −sin 1)", () => {
    const query = Float64Array.of(1, 0);
    rope({ headDim: 2, direction: -1, precision: "float64" }).apply({ positions: [1], query });
    expect(query[0]).toBeCloseTo(0.5403023058681398, 15);
    expect(query[1]).toBeCloseTo(-0.8414709848078965, 15);
  });

  test.each(["float32", "float64"] as const)(
    "tables, rotation and shift of %s are those of negative positions",
    (precision) => {
      const [forward, backward] = [rope({ precision }), rope({ precision, direction: -1 })];
      const positions = [0, 1, 127, 4096, 131071, 1_048_575];
      const [a, b] = [forward.cosSin(positions), backward.cosSin(positions)];
      expect(b.cos).toEqual(a.cos);
      expect(Array.from(b.sin)).toEqual(Array.from(a.sin, (value) => 0 - value));
      const data = Float32Array.from(noise(6 * 8));
      const turned = data.slice();
      backward.apply({ positions, query: turned });
      const undone = data.slice();
      // Amplitude 1: the inverse of one direction is the other.
      forward.invert({ positions, query: undone });
      expect(bits(turned)).toEqual(bits(undone));
      backward.shift({ keys: turned, from: positions, to: [5, 5, 5, 5, 5, 5] });
      const moved = data.slice();
      backward.apply({ positions: [5, 5, 5, 5, 5, 5], query: moved });
      turned.forEach((value, i) => expect(Math.abs(value - moved[i]!)).toBeLessThan(4e-6));
    },
  );

  test("it is part of the rope's identity, and explained", () => {
    expect(rope({ direction: 1 })).toBe(rope({}));
    expect(rope({ direction: -1 })).not.toBe(rope({}));
    const { rules, pairs } = rope({ direction: -1 }).explain();
    expect(rules).toContainEqual({ name: "direction", value: -1, rule: "given: turns by −φ" });
    // The frequencies are the engine's; the direction is a part of its own.
    expect(pairs[0]).toMatchObject({ invFreq: 1, wavelength: 2 * Math.PI });
    expect(rope({ direction: -1 }).frequencies()).toEqual(rope({}).frequencies());
  });

  test.each([[0], [2], ["-1"], [null]])("%j is none", (direction) => {
    expect(caught(() => rope({ direction }), "ROPE_INVALID_PARAMETERS").issues[0]?.path).toBe("direction");
  });
});

describe("pairFactors", () => {
  test("multiply the frequency of each pair, in the arithmetic of the precision", () => {
    const pairFactors = [1, 0.3, 2, -0.5];
    const single = rope({ pairFactors }).frequencies().invFreq;
    const double = rope({ pairFactors, precision: "float64" }).frequencies().invFreq;
    const { invFreq } = rope({}).frequencies();
    for (let i = 0; i < 4; i++) {
      expect(single[i]).toBe(Math.fround(invFreq[i]! * Math.fround(pairFactors[i]!)));
      expect(double[i]).toBeCloseTo(frequency(10000, 8, i) * pairFactors[i]!, 16);
    }
  });

  test("of 1 are the same rope; a longrope-like list of others is another", () => {
    expect(rope({ pairFactors: [1, 1, 1, 1] })).toBe(rope({}));
    expect(rope({ pairFactors: Float32Array.of(1, 2, 1, 1) })).toBe(rope({ pairFactors: [1, 2, 1, 1] }));
    expect(rope({ pairFactors: [1, 2, 1, 1] })).not.toBe(rope({}));
  });

  test.each([[[1, 2]], [[1, 2, 3, Infinity]], [[1, 2, 3, "4"]], [7]])("%j are none", (pairFactors) => {
    expect(caught(() => rope({ pairFactors }), "ROPE_INVALID_PARAMETERS").issues[0]?.path).toBe("pairFactors");
  });

  test("that make a frequency overflow are refused", () => {
    caught(() => rope({ pairFactors: [1e39, 1, 1, 1] }), "ROPE_INVALID_PARAMETERS");
  });
});

describe("fractionalPositions", () => {
  test("a type of whole positions takes seconds if the request says so", () => {
    caught(() => rope({}).apply({ positions: [0.5], query: new Float32Array(8) }), "ROPE_POSITION_RANGE");
    const { cos, sin } = rope({ fractionalPositions: true, precision: "float64" }).cosSin([0.5, -1.25]);
    expect(cos[0]).toBe(Math.fround(Math.cos(0.5)));
    expect(sin[4]).toBe(Math.fround(Math.sin(-1.25)));
    expect(rope({ fractionalPositions: true }).capabilities.fractionalPositions).toBe(true);
  });

  test("a request may repeat or omit the type's own value", () => {
    expect(rope({ fractionalPositions: true }, "fine")).toBe(rope({}, "fine"));
    expect(rope({}, "fine").spec.fractionalPositions).toBe(true);
    // It cannot be taken away, and must not be ignored.
    const { issues } = caught(() => rope({ fractionalPositions: false }, "fine"), "ROPE_INVALID_PARAMETERS");
    expect(issues.map(({ path }) => path)).toEqual(["fractionalPositions"]);
  });

  test("a type that depends on the length refuses them", () => {
    const { issues } = caught(() => rope({ fractionalPositions: true }, "stepped"), "ROPE_INVALID_PARAMETERS");
    expect(issues).toHaveLength(1);
    expect(issues[0]?.path).toBe("fractionalPositions");
  });
});

describe("axes", () => {
  test("one axis for all pairs needs no list", () => {
    expect(rope({ axes: [0, 0, 0, 0] })).toBe(rope({}));
  });

  test("a type with axes of its own takes none, not even those of one axis", () => {
    for (const axes of [
      [0, 1, 0, 1],
      [0, 0, 0, 0],
    ]) {
      expect(caught(() => rope({ axes }, "grid"), "ROPE_INVALID_PARAMETERS").issues[0]?.path).toBe("axes");
    }
  });
});

describe("a spelling of requests", () => {
  const runs: RopeSpelling = {
    specificationVersion: 1,
    source: "core-tests@1.0.0",
    parameters: { first: { type: "integer", min: 1, description: "pairs of axis 0" } },
    defaults: { pairing: "adjacent" },
    rewrite: ({ first }: { first: number }, { rotaryDim }) => ({
      parameters: { ropeType: "plain" },
      axes: Array.from({ length: rotaryDim / 2 }, (_, i) => (i < first ? 0 : 1)),
    }),
  };
  const rewriting = testRegistry();
  rewriting.register("runs", runs);
  rewriting.register("loop", {
    ...runs,
    rewrite: () => ({ parameters: { ropeType: "loop", first: 1 } }),
  });
  const of = (request: object): RotaryEmbedding =>
    getRopeUntyped(request as UntypedRopeRequest, { registry: rewriting });

  test("gives the same instance as the request that is meant", () => {
    const meant = of({ headDim: 8, pairing: "adjacent", axes: [0, 1, 1, 1], parameters: { ropeType: "plain" } });
    const request = { headDim: 8, parameters: { ropeType: "runs", first: 1 } };
    expect(of(request)).toBe(meant);
    expect(of(request)).toBe(meant);
    expect(meant.ropeType).toBe("plain");
    expect(of({ ...request, pairing: "half" })).not.toBe(meant);
    expect(of({ ...request, partialRotaryFactor: 1, direction: -1 }).spec).toMatchObject({ direction: -1 });
  });

  test("keeps its own checks", () => {
    const { issues } = caught(
      () => of({ headDim: 8, parameters: { ropeType: "runs", first: 0, second: 1 } }),
      "ROPE_INVALID_PARAMETERS",
    );
    expect(issues.map(({ path }) => path)).toEqual(["parameters.second", "parameters.first"]);
  });

  test("that leads to a spelling is refused", () => {
    caught(() => of({ headDim: 8, parameters: { ropeType: "loop", first: 1 } }), "ROPE_INVALID_PARAMETERS");
  });

  test("takes no axes beside its own, not even those of one axis", () => {
    for (const axes of [
      [0, 1, 0, 1],
      [0, 0, 0, 0],
    ]) {
      const get = () => of({ headDim: 8, axes, parameters: { ropeType: "runs", first: 1 } });
      expect(caught(get, "ROPE_INVALID_PARAMETERS").issues.map(({ path }) => path)).toEqual(["axes"]);
    }
  });

  test("an error names the missing type that a spelling means", () => {
    const alone = testRegistry();
    alone.register("runs", runs);
    alone.unregister("plain");
    const get = () =>
      getRopeUntyped({ headDim: 8, parameters: { ropeType: "runs", first: 1 } as never }, { registry: alone });
    expect(caught(get, "ROPE_UNKNOWN_TYPE").facts["ropeType"]).toBe("plain");
  });

  test("given as a value, it is asked anew when the type that it leads to is another", () => {
    const again = testRegistry();
    const request = { headDim: 8, parameters: { ropeType: "any", first: 1 } } as UntypedRopeRequest;
    const get = () => getRopeUntyped(request, { registry: again, provider: runs });
    const before = get();
    expect(get()).toBe(before);
    again.unregister("plain");
    caught(get, "ROPE_UNKNOWN_TYPE");
    again.register("plain", { ...plain, source: "other@1" });
    expect(get()).not.toBe(before);
  });

  test("a request's own axes stay where the spelling has none", () => {
    const registry = testRegistry();
    registry.register("alias", { ...runs, parameters: {}, rewrite: () => ({ parameters: { ropeType: "plain" } }) });
    const axes = [0, 1, 0, 1];
    const get = (ropeType: string) =>
      getRopeUntyped({ headDim: 8, pairing: "half", axes, parameters: { ropeType } }, { registry });
    expect(get("alias")).toBe(get("plain"));
  });

  test("a new registration of its name is asked anew", () => {
    const again = testRegistry();
    again.register("runs", runs);
    const request = { headDim: 8, parameters: { ropeType: "runs", first: 1 } } as UntypedRopeRequest;
    const before = getRopeUntyped(request, { registry: again });
    again.unregister("runs");
    again.register("runs", { ...runs, rewrite: () => ({ parameters: { ropeType: "plain" } }) });
    expect(getRopeUntyped(request, { registry: again })).not.toBe(before);
  });
});

describe("a wide head", () => {
  // The whole hidden vector of a token: 32 heads of 128, rotated as one, with another frequency for each pair of all
  // heads.
  const headDim = 4096;

  test.each(["half", "adjacent", { blocks: 32 }] as const)("is rotated like any other, %j", (pairing) => {
    const wide = rope({ headDim, pairing, precision: "float64" });
    const positions = [3, 131071];
    const data = noise(2 * headDim);
    const query = data.slice();
    wide.apply({ positions, query });
    const expected = rotateReference(data, [1, 2, 1, headDim], {
      rotaryDim: headDim,
      pairing,
      angle: (pair, token) => positions[token]! * frequency(10000, headDim, pair),
    });
    // float64 angles of the reference are off by 131071 · 2^-53 relative to 131071 radians.
    query.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-9));
  });

  test("has a largest size", () => {
    caught(() => rope({ headDim: 65538 }), "ROPE_INVALID_PARAMETERS");
    expect(rope({ headDim: 65536 }).rotaryDim).toBe(65536);
  });
});

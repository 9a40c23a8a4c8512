/** The forms of the result of `cosSin`; `turns.test.ts` tests the values. */

import { describe, expect, test } from "vitest";
import { getRope, getRopeUntyped } from "@ropewalk/core";
import type { ElementType, Pairing, RopeProvider, RopeRequest } from "@ropewalk/core";
import { toBfloat16, toFloat16 } from "@ropewalk/core/math";
import { caught } from "./failures.ts";
import { testRegistry } from "./providers.ts";
import { pairsOf } from "./reference.ts";

const registry = testRegistry();
const ropeOf = (
  request: Omit<RopeRequest, "parameters">,
  parameters: RopeRequest["parameters"] = { ropeType: "plain" },
) => getRope({ ...request, parameters }, { registry });

const pairings: Pairing[] = ["half", "adjacent", { blocks: 2 }, { blocks: 4 }];
const positions = [0, 1, 5, 127, 999];

describe("cosSin", () => {
  // An amplitude that float32 does not hold exactly.
  const amplitude = 1.2345678;
  const rope = (pairing: Pairing) =>
    ropeOf({ headDim: 16, base: 500, pairing }, { ropeType: "tuned", factor: 1, amplitude });

  test.each(pairings)("full is half at both elements of each pair: %s", (pairing) => {
    const half = rope(pairing).cosSin(positions);
    const full = rope(pairing).cosSin(positions, { width: "full" });
    expect(half.shape).toEqual([5, 8]);
    expect(full.shape).toEqual([5, 16]);
    pairsOf(pairing, 16).forEach(([x, y], pair) => {
      for (let t = 0; t < 5; t++) {
        for (const name of ["cos", "sin"] as const) {
          expect(full[name][t * 16 + x]).toBe(half[name][t * 8 + pair]);
          expect(full[name][t * 16 + y]).toBe(half[name][t * 8 + pair]);
        }
      }
    });
  });

  test("amplitude is included, in float32 as the engines multiply", () => {
    const { cos, sin } = rope("half").cosSin(positions, { dtype: "float64" });
    const { invFreq } = rope("half").frequencies();
    positions.forEach((position, t) =>
      invFreq.forEach((f, i) => {
        const angle = Math.fround(position * f);
        expect(cos[t * 8 + i]).toBe(Math.fround(Math.fround(Math.cos(angle)) * Math.fround(amplitude)));
        expect(sin[t * 8 + i]).toBe(Math.fround(Math.fround(Math.sin(angle)) * Math.fround(amplitude)));
      }),
    );
  });

  test.each(["half", "full"] as const)("in every element type, rounded from float32: %s", (width) => {
    const single = rope("adjacent").cosSin(positions, { width });
    expect(single.cos).toBeInstanceOf(Float32Array);
    const of = (dtype: ElementType) => rope("adjacent").cosSin(positions, { width, dtype });
    for (const name of ["cos", "sin"] as const) {
      expect(of("float64")[name]).toEqual(Float64Array.from(single[name]));
      expect(of("float16")[name]).toEqual(Uint16Array.from(single[name], toFloat16));
      expect(of("bfloat16")[name]).toEqual(Uint16Array.from(single[name], toBfloat16));
    }
  });

  test("exact angles in float64 are not rounded to float32", () => {
    const exact = ropeOf({ headDim: 2, base: 1, precision: "float64" });
    const { cos, sin } = exact.cosSin([1], { dtype: "float64" });
    // Digits of cos 1 and sin 1: OEIS A049470, A049469.
    expect(Math.abs(cos[0]! - 0.5403023058681398)).toBeLessThanOrEqual(2 ** -53);
    expect(Math.abs(sin[0]! - 0.8414709848078965)).toBeLessThanOrEqual(2 ** -53);
    expect(exact.cosSin([1]).cos[0]).toBe(Math.fround(0.5403023058681398));
  });

  test("a caller may write to the result", () => {
    const first = rope("half").cosSin(positions);
    const kept = first.cos.slice();
    first.cos.fill(9);
    rope("half").frequencies().invFreq.fill(9);
    expect(rope("half").cosSin(positions).cos).toEqual(kept);
  });
});

describe("forms of one table", () => {
  const rope = ropeOf({ headDim: 16, base: 500 }, { ropeType: "tuned", factor: 1, amplitude: 1.25 });
  const batches = { data: [0, 1, 5, 127, 999, 3], shape: [2, 3] };

  test.each(["float32", "float64", "float16", "bfloat16"] as const)(
    "are the separate tables in another order, %s",
    (dtype) => {
      for (const [given, leading] of [
        [positions, [5]],
        [batches, [2, 3]],
      ] as const) {
        const { cos, sin } = rope.cosSin(given, { dtype });
        const concatenated = rope.cosSin(given, { form: "concatenated", dtype });
        const interleaved = rope.cosSin(given, { form: "interleaved", dtype });
        expect(concatenated.shape).toEqual([...leading, 16]);
        expect(interleaved.shape).toEqual([...leading, 8, 2]);
        expect(concatenated.data.length).toBe(2 * cos.length);
        cos.forEach((_, i: number) => {
          const [row, pair] = [Math.floor(i / 8), i % 8];
          expect(concatenated.data[16 * row + pair]).toBe(cos[i]);
          expect(concatenated.data[16 * row + 8 + pair]).toBe(sin[i]);
          expect(interleaved.data[2 * i]).toBe(cos[i]);
          expect(interleaved.data[2 * i + 1]).toBe(sin[i]);
        });
      }
    },
  );

  test("complex is another word for interleaved: complex64 and complex128", () => {
    for (const dtype of ["float32", "float64"] as const) {
      expect(rope.cosSin(positions, { form: "complex", dtype })).toEqual(
        rope.cosSin(positions, { form: "interleaved", dtype }),
      );
    }
  });

  test("to an array of the caller's", () => {
    const out = new Float32Array(5 * 16).fill(7);
    const given = rope.cosSin(positions, { form: "concatenated", out });
    expect(given.data).toBe(out);
    expect(given).toEqual(rope.cosSin(positions, { form: "concatenated" }));
    for (const wrong of [out.subarray(1), new Float64Array(80), new Uint16Array(80), { cos: out, sin: out }]) {
      caught(() => rope.cosSin(positions, { form: "interleaved", out: wrong as Float32Array }), "ROPE_SHAPE");
    }
    caught(() => rope.cosSin(positions, { out: out as never }), "ROPE_INVALID_PARAMETERS");
    expect(given).toEqual(rope.cosSin(positions, { form: "concatenated" }));
  });

  test.each<[string, object, readonly string[]]>([
    ["an unknown form", { form: "packed" }, ["form"]],
    ["null", { form: null }, ["form", "width"]],
    ["doubled columns in one table", { form: "concatenated", width: "full" }, ["width"]],
    ["complex numbers of bfloat16", { form: "complex", dtype: "bfloat16" }, ["dtype"]],
    ["complex numbers of float16", { form: "complex", dtype: "float16" }, ["dtype"]],
    ["all at once", { form: "complex", width: "full", dtype: "float8" }, ["width", "dtype"]],
  ])("refuses %s", (_, options, paths) => {
    const out = new Float32Array(80).fill(7);
    const error = caught(
      () => rope.cosSin(positions, { width: "full", ...options, out } as never),
      "ROPE_INVALID_PARAMETERS",
    );
    expect(error.issues.map(({ path }) => path).filter((path) => path !== "width" || paths.includes("width"))).toEqual(
      paths,
    );
    expect(out.every((value) => value === 7)).toBe(true);
  });
});

describe("periods", () => {
  const reciprocal = (f: number): number => (f === 0 ? Infinity : Math.fround(1 / f));

  test("are 1 / invFreq, rounded once to float32, of either precision", () => {
    for (const precision of ["float32", "float64"] as const) {
      const rope = ropeOf({ headDim: 128, base: 500_000, precision });
      expect(rope.periods()).toEqual(Float32Array.from(rope.frequencies().invFreq, reciprocal));
    }
  });

  test("are infinite where a pair is not rotated, and negative where a rope turns backwards", () => {
    const gaps: RopeProvider = {
      specificationVersion: 1,
      source: "gaps@1",
      parameters: {},
      frequencies: () => ({ invFreq: [1, 0, 0.5, 0] }),
    };
    const of = (direction: 1 | -1) =>
      getRopeUntyped({ headDim: 8, direction, parameters: { ropeType: "any" } }, { provider: gaps }).periods();
    expect(of(1)).toEqual(Float32Array.of(1, Infinity, 2, Infinity));
    expect(of(-1)).toEqual(Float32Array.of(-1, Infinity, -2, Infinity));
  });

  test("follow the length, and are copies", () => {
    const rope = ropeOf({ headDim: 8, base: 100 }, { ropeType: "stepped" });
    expect(rope.periods(100)).toEqual(Float32Array.from(rope.frequencies(100).invFreq, reciprocal));
    expect(rope.periods(100)).not.toEqual(rope.periods());
    rope.periods().fill(9);
    expect(rope.periods()).toEqual(rope.periods(1));
    caught(() => rope.periods(1.5), "ROPE_INVALID_PARAMETERS");
  });
});

describe("arrays of the caller's", () => {
  const rope = ropeOf({ headDim: 128 });
  test.each([
    ["half", "float32", Float32Array, 64],
    ["full", "float32", Float32Array, 128],
    ["half", "float64", Float64Array, 64],
    ["full", "bfloat16", Uint16Array, 128],
    ["half", "float16", Uint16Array, 64],
  ] as const)("%s, %s", (width, dtype, Kind, columns) => {
    const out = { cos: new Kind(3 * columns), sin: new Kind(3 * columns) };
    out.cos.fill(7);
    const given = rope.cosSin([1, 2, 131071], { width, dtype, out });
    const made = rope.cosSin([1, 2, 131071], { width, dtype });
    expect(given.cos).toBe(out.cos);
    expect(given).toEqual(made);
  });

  test("of the wrong form are refused and stay as they were", () => {
    const floats = (length: number): Float32Array => new Float32Array(length).fill(7);
    const memory = floats(128);
    const bad: readonly (readonly [object, string])[] = [
      [{ cos: floats(63), sin: floats(64) }, "out.cos"],
      [{ cos: floats(64), sin: new Float64Array(64) }, "out.sin"],
      [{ cos: floats(64) }, "out.sin"],
      [{ cos: memory.subarray(0, 64), sin: memory.subarray(63, 127) }, "overlap"],
    ];
    for (const [out, what] of bad) {
      expect(() => rope.cosSin([1], { out: out as never })).toThrow(
        expect.objectContaining({ code: "ROPE_SHAPE", message: expect.stringContaining(what) }),
      );
      for (const array of Object.values(out) as Float32Array[]) {
        expect(array.every((value) => value === 7 || value === 0)).toBe(true);
      }
    }
    rope.cosSin([1], { out: { cos: memory.subarray(0, 64), sin: memory.subarray(64) } });
    expect(memory[0]).toBe(rope.cosSin([1]).cos[0]);
  });
});

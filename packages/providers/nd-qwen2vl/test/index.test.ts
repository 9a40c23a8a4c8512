import { conformance } from "@ropewalk/conformance";
import { compareFrequencies } from "@ropewalk/conformance/golden";
import { getRope, getRopeUntyped, RopeError } from "@ropewalk/core";
import type { Positions, RotaryEmbedding } from "@ropewalk/core";
import { fromFloat16, toFloat16 } from "@ropewalk/core/math";
import { bytes, fixtures } from "@ropewalk/goldens";
import { describe, expect, test } from "vitest";
import { cyclicAxes, sectionedAxes } from "../src/axes.ts";
import { MropeProvider } from "../src/index.ts";

describe("mrope", () => {
  conformance(test, {
    ropeType: "mrope",
    cases: [
      { name: "as Qwen2-VL", request: { headDim: 16, base: 1_000_000, parameters: { sections: [2, 3, 3] } } },
      {
        name: "as Qwen3-VL",
        request: { headDim: 16, base: 5_000_000, parameters: { sections: [4, 2, 2], order: "cyclic" } },
      },
    ],
  });
});
describe("nd", () => {
  conformance(test, {
    ropeType: "nd",
    cases: [
      { name: "as Qwen2-VL's tower", request: { headDim: 16, parameters: { axisCount: 2 } } },
      { name: "as Flux", request: { headDim: 16, parameters: { sections: [2, 3, 3] } } },
      { name: "as MoonViT", request: { headDim: 16, parameters: { axisCount: 2, order: "alternating" } } },
      { name: "with still pairs", request: { headDim: 16, parameters: { sections: [2, 3], padFront: 1, padEnd: 2 } } },
      {
        name: "as DINOv3",
        request: {
          headDim: 16,
          base: 100,
          fractionalPositions: true,
          parameters: { axisCount: 2, angleScale: 2 * Math.PI },
        },
      },
    ],
  });
});

const floats = (base64: string): Float32Array => new Float32Array(bytes(base64).slice().buffer);
const nested = (rows: readonly (readonly number[])[], fractional = false): Positions => ({
  data: fractional ? Float64Array.from(rows.flat()) : rows.flat(),
  shape: [rows.length, rows[0]!.length],
});
const fractionalRows = (rows: readonly (readonly number[])[]): boolean =>
  rows.some((row) => row.some((p) => !Number.isInteger(p) || p < 0));

/** Largest difference. The limit 3e-7 is 2.5 ulp of 1: one ulp of the frequency and the error of the engine's sine. */
const farthest = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  expect(a.length).toBe(b.length);
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i]! - b[i]!));
  return most;
};

test("axes are lists", () => {
  expect(sectionedAxes([1, 0, 2])).toEqual([0, 2, 2]);
  // Qwen3-VL's [24, 20, 20]: height up to pair 58, width up to 59, time has the remaining pairs.
  const axes = cyclicAxes([24, 20, 20]);
  expect(axes.slice(0, 6)).toEqual([0, 1, 2, 0, 1, 2]);
  expect(axes.slice(57)).toEqual([0, 1, 2, 0, 0, 0, 0]);
  expect([0, 1, 2].map((axis) => axes.filter((a) => a === axis).length)).toEqual([24, 20, 20]);
});

// Models of shared frequencies: sections and order as their config.json or configuration class has them.
const mropeModels = {
  "Qwen/Qwen2-VL-7B-Instruct": { headDim: 128, base: 1_000_000, sections: [16, 24, 24] },
  "Qwen/Qwen2.5-VL-3B-Instruct": { headDim: 128, base: 1_000_000, sections: [16, 24, 24] },
  "Qwen/Qwen2.5-VL-7B-Instruct": { headDim: 128, base: 1_000_000, sections: [16, 24, 24] },
  "Qwen/Qwen3-VL-30B-A3B-Instruct": { headDim: 128, base: 5_000_000, sections: [24, 20, 20], order: "cyclic" },
  "Qwen/Qwen3.5": { headDim: 256, rotaryDim: 64, base: 10_000_000, sections: [11, 11, 10], order: "cyclic" },
  "THUDM/GLM-4.1V-9B-class-defaults": {
    headDim: 128,
    rotaryDim: 64,
    base: 10_000,
    sections: [8, 12, 12],
    pairing: "adjacent",
  },
} as const;
const engineRopes = fixtures("hf").flatMap(({ model, ropes }) =>
  ropes.filter(({ axisOfPair }) => axisOfPair !== undefined).map((record) => ({ model, record })),
);

test.each(engineRopes.filter(({ model }) => model in mropeModels))(
  "transformers, time, height and width apart: $model",
  ({ model, record }) => {
    const { sections, ...rest } = mropeModels[model as keyof typeof mropeModels];
    const { order = "sectioned", ...fields } = rest as typeof rest & { order?: "cyclic" };
    const rope = getRope({ ...fields, parameters: { ropeType: "mrope", sections, order } });
    expect([...rope.frequencies().axes]).toEqual(record.axisOfPair);
    compareFrequencies(rope, record);
    const { grid } = record;
    if (grid?.pairs !== undefined) {
      const { cos, sin } = rope.cosSin(nested(grid.positions));
      grid.cos.forEach((row, t) =>
        grid.pairs!.forEach((pair, column) => {
          const at = t * (rope.rotaryDim / 2) + pair;
          // An ulp of the frequency turns by position × ulp: 40000 × 2^-25 for the fast pairs.
          expect(Math.abs(cos[at]! - row[column]!)).toBeLessThan(1.3e-3);
          expect(Math.abs(sin[at]! - grid.sin[t]![column]!)).toBeLessThan(1.3e-3);
        }),
      );
    }
    const given = grid?.rotated;
    expect(given?.outputPairing).toBe(rope.pairing);
    for (const { shape, input, output } of [given!.query, given!.key]) {
      const data = floats(input);
      rope.apply({ positions: nested(grid!.positions), query: { data, shape } });
      // Elements are below 4, of two products each: 8 times what an ulp of a frequency turns, at 731 and at 40021.
      const near = 4 * shape[1]! * shape[2]!;
      expect(farthest(data.subarray(0, near), floats(output).subarray(0, near))).toBeLessThan(8 * 731 * 2 ** -24);
      expect(farthest(data, floats(output))).toBeLessThan(8 * 40021 * 2 ** -25);
    }
  },
);

test.each(fixtures("vision").filter(({ builder }) => builder.grid !== undefined))(
  "transformers' vision tower: $model",
  (fixture) => {
    const shared = fixture.module.startsWith("pixtral");
    const rope = getRope({
      headDim: fixture.headDim,
      pairing: fixture.pairing,
      parameters: { ropeType: "nd", axisCount: 2, frequencies: shared ? "shared" : "restart" },
    });
    const positions = nested(fixture.positions!);
    const { cos, sin } = rope.cosSin(positions);
    expect(farthest(cos, fixture.cos.flat())).toBeLessThan(1.3e-4);
    expect(farthest(sin, fixture.sin.flat())).toBeLessThan(1.3e-4);
    const { query } = fixture.rotated;
    const rotated = floats(query.input);
    rope.apply({ positions, query: { data: rotated, shape: query.shape } });
    expect(farthest(rotated, floats(query.output))).toBeLessThan(5e-4);
  },
);

test("DINOv3: normalised coordinates count turns", () => {
  const fixture = fixtures("vision").find(({ model }) => model.startsWith("facebook/dinov3"))!;
  const [rows, columns] = (fixture.builder as { patches: [number, number] }).patches;
  const rope = getRope({
    headDim: 64,
    base: 100,
    pairing: "half",
    fractionalPositions: true,
    parameters: { ropeType: "nd", axisCount: 2, angleScale: 2 * Math.PI },
  });
  const grid = Array.from({ length: rows * columns }, (_, i) => [Math.floor(i / columns), i % columns] as const);
  const positions = nested(
    [grid.map(([y]) => (2 * (y + 0.5)) / rows - 1), grid.map(([, x]) => (2 * (x + 0.5)) / columns - 1)],
    true,
  );
  const { cos, sin } = rope.cosSin(positions);
  expect(farthest(cos, fixture.cos.flat())).toBeLessThan(1e-6);
  expect(farthest(sin, fixture.sin.flat())).toBeLessThan(1e-6);
});

test("Llama 4's tower: frequencies for x and for y, counted from 1; the class token is not rotated", () => {
  const fixture = fixtures("vision").find(({ model }) => model.startsWith("meta-llama"))!;
  const { side } = fixture.builder as { side: number };
  const { tokens } = fixture as unknown as { tokens: number[] };
  const rope = getRope({ headDim: 88, pairing: "adjacent", parameters: { ropeType: "nd", axisCount: 2 } });
  const isClass = (t: number): boolean => t === side * side;
  const { cos, sin } = rope.cosSin(
    nested([
      tokens.map((t) => (isClass(t) ? 0 : (t % side) + 1)),
      tokens.map((t) => (isClass(t) ? 0 : Math.floor(t / side) + 1)),
    ]),
  );
  expect(farthest(cos, fixture.cos.flat())).toBeLessThan(2e-6);
  expect(farthest(sin, fixture.sin.flat())).toBeLessThan(2e-6);
});

const isLtx = ({ name }: { name: string }): boolean => name.startsWith("ltx");
const diffusion = fixtures("diffusers").filter((fixture) => !isLtx(fixture));

// The heads of LTX share the pairs of one wide head. Of 21 pairs of an axis, pair k turns by 10000^(k/20) · π/2,
// rising: base^(-k/21) with base 10000^(-21/20).
test.each(fixtures("diffusers").filter(isLtx))("diffusers, one wide head: $name", (fixture) => {
  const { axisOfPair, heads, positions, rotated, shape } = fixture as unknown as {
    axisOfPair: number[];
    heads?: number;
    positions: number[][];
    rotated: { tokens: number[]; input: string; output: string; dtype: string }[];
    shape: [number, number];
  };
  const rope = getRope({
    headDim: 2 * shape[1],
    fractionalPositions: true,
    base: 10_000 ** (-21 / 20),
    pairing: fixture.pairing === "half" ? { blocks: heads! } : "adjacent",
    precision: "float64",
    parameters: {
      ropeType: "nd",
      axisCount: 3,
      order: "alternating",
      padFront: 1,
      angleScale: Math.PI / 2,
    },
  });
  expect(rope.explain().pairs.map(({ axis, regime }) => (regime === "still" ? -1 : axis))).toEqual(axisOfPair);
  const centred = positions.map((axis) => axis.map((share) => 2 * share - 1));
  const { cos, sin } = rope.cosSin(nested(centred, true));
  // Angles reach 10000 · π/2; the engine rounds share, coordinate, frequency and angle to float32, half an ulp each.
  const turn = 10_000 * (Math.PI / 2) * 4 * 2 ** -24;
  expect(farthest(cos, floats(fixture.cos))).toBeLessThan(turn);
  expect(farthest(sin, floats(fixture.sin))).toBeLessThan(turn);
  const { input, output, tokens } = rotated.find(({ dtype }) => dtype === "float32")!;
  const query = floats(input);
  rope.apply({
    positions: nested(
      centred.map((axis) => tokens.map((t) => axis[t]!)),
      true,
    ),
    query,
  });
  // Elements are below 4, of two products each.
  expect(farthest(query, floats(output))).toBeLessThan(8 * turn);
});

test.each(diffusion)("diffusers: $name", (fixture) => {
  const { base, headDim, positions, sections } = fixture;
  const fractional = fractionalRows(positions);
  const bases = Array.isArray(base) ? base : null;
  const pairing =
    fixture.pairing === "half within each axis"
      ? { blocks: sections.length }
      : (fixture.pairing as "half" | "adjacent");
  const rope: RotaryEmbedding = getRope({
    headDim,
    base: bases === null ? (base as number) : 10_000,
    pairing,
    precision: "float64",
    fractionalPositions: fractional,
    parameters: { ropeType: "nd", sections, bases },
  });
  const { cos, sin } = rope.cosSin(nested(positions, fractional));
  // Engines that keep float32 angles are off the exact one by up to 2^-23 of it, below 1e-5 for grids of this size.
  expect(farthest(cos, floats(fixture.cos))).toBeLessThan(1e-5);
  expect(farthest(sin, floats(fixture.sin))).toBeLessThan(1e-5);
});

test.each(fixtures("ndrope").filter((fixture) => fixture.kind === "rotation"))(
  "ndrope, run with cargo: $name",
  (fixture) => {
    const { request, positions, shape, strides, offset, rotated } = fixture;
    const [heads, tokens, headDim] = shape as [number, number, number];
    const [headStride, tokenStride, elementStride] = strides as [number, number, number];
    const input = floats(fixture.input);
    const largest = Math.max(...positions.flat());
    for (const { pairing, dtype, output } of rotated) {
      const precision = dtype === "float64" ? "float64" : "float32";
      const rope = getRope({
        headDim: request.headDim,
        base: request.base,
        pairing,
        precision,
        parameters: { ropeType: "nd", sections: request.parameters.sections, denominator: "largest" },
      });
      const { buffer } = bytes(output).slice();
      const expected =
        dtype === "float64"
          ? new Float64Array(buffer)
          : dtype === "float32"
            ? new Float32Array(buffer)
            : Float32Array.from(new Uint16Array(buffer), fromFloat16);
      for (const list of [Uint32Array.from(positions.flat()), BigUint64Array.from(positions.flat(), BigInt)]) {
        const data =
          dtype === "float64"
            ? Float64Array.from(input)
            : dtype === "float32"
              ? input.slice()
              : Uint16Array.from(input, toFloat16);
        rope.apply({
          positions: positions.length === 1 ? list : { data: list, shape: [positions.length, tokens] },
          query: {
            data,
            dtype,
            shape: [tokens, heads, headDim],
            strides: [tokenStride, headStride, elementStride],
            offset,
          },
        });
        const numbers = data instanceof Uint16Array ? Float32Array.from(data, fromFloat16) : data;
        // Elements are below 4, where one place is 2^-9, 2^-22 or 2^-51; a last place of a frequency turns by position
        // × it.
        const place = { float16: 2 ** -9, float32: 2 ** -21, float64: 2 ** -50 }[dtype];
        const turn = largest * (dtype === "float64" ? 2 ** -51 : 2 ** -23);
        expect(farthest(numbers, expected)).toBeLessThanOrEqual(place + turn);
      }
    }
  },
);

/** Bits of float64 are those of the formula: `precision: "float64"` rounds once. */
const ndByHand = (headDim: number, parameters: object): { invFreq: number[]; axes: number[]; regimes: unknown[] } => {
  const rope = getRopeUntyped({ headDim, precision: "float64", parameters: { ropeType: "nd", ...parameters } });
  const { invFreq, axes } = rope.frequencies();
  return { invFreq: [...invFreq], axes: [...axes], regimes: rope.explain().pairs.map(({ regime }) => regime) };
};

// By hand: of two pairs of an axis, base 10000, the second turns by 10000^(-1/2) = 0.01; of four in one list they are
// 1, 0.1, 0.01, 0.001.
test.each([
  [
    "MoonViT: pair 2k is x, pair 2k + 1 is y, both with frequency k",
    8,
    { axisCount: 2 },
    [1, 1, 0.01, 0.01],
    [0, 1, 0, 1],
  ],
  ["three axes", 12, { axisCount: 3 }, [1, 1, 1, 0.01, 0.01, 0.01], [0, 1, 2, 0, 1, 2]],
  ["with bases", 8, { axisCount: 2, bases: [100, 16] }, [1, 1, 0.1, 0.25], [0, 1, 0, 1]],
  ["a shared list", 8, { axisCount: 2, frequencies: "shared" }, [1, 0.1, 0.01, 0.001], [0, 1, 0, 1]],
])("by hand, alternating axes: %s", (_, headDim, parameters, invFreq, axes) => {
  expect(ndByHand(headDim, { order: "alternating", ...parameters })).toMatchObject({ invFreq, axes });
});

test("by hand: still pairs stand in front of those of the axes and behind", () => {
  expect(ndByHand(16, { sections: [2, 1], padFront: 2, padEnd: 3 })).toEqual({
    invFreq: [0, 0, 1, 0.01, 1, 0, 0, 0],
    axes: [0, 0, 0, 0, 1, 0, 0, 0],
    regimes: ["still", "still", "axis 0", "axis 0", "axis 1", "still", "still", "still"],
  });
  // An even split covers the rotated pairs only, and so does a shared list: 1, 0.1, 0.01, 0.001 for four.
  expect(ndByHand(12, { axisCount: 2, padEnd: 2 }).invFreq).toEqual([1, 0.01, 1, 0.01, 0, 0]);
  expect(ndByHand(12, { axisCount: 2, padFront: 2, frequencies: "shared" }).invFreq).toEqual([
    0, 0, 1, 0.01, 0.1, 0.001,
  ]);
  expect(ndByHand(12, { axisCount: 2, padFront: 1, padEnd: 1, order: "alternating" })).toMatchObject({
    invFreq: [0, 1, 1, 0.01, 0.01, 0],
    axes: [0, 0, 1, 0, 1, 0],
  });
});

test("still pairs keep their elements, bit for bit", () => {
  const rope = getRope({
    headDim: 16,
    pairing: "adjacent",
    parameters: { ropeType: "nd", sections: [2, 1], padFront: 2, padEnd: 3 },
  });
  const query = Float32Array.from({ length: 16 }, (_, i) => Math.fround(1 / (i + 3)));
  const before = query.slice();
  rope.apply({ positions: nested([[731], [40_021]]), query });
  const moved = [...query.keys()].filter((i) => query[i] !== before[i]);
  expect(moved).toEqual([4, 5, 6, 7, 8, 9]);
});

test("alternating and sectioned axes have the same pairs in another order", () => {
  for (const axisCount of [1, 2, 3, 4]) {
    for (const size of [1, 2, 5]) {
      const headDim = 2 * axisCount * size;
      const runs = ndByHand(headDim, { axisCount });
      const turns = ndByHand(headDim, { axisCount, order: "alternating" });
      for (let axis = 0; axis < axisCount; axis++) {
        for (let k = 0; k < size; k++) {
          const [at, from] = [axisCount * k + axis, axis * size + k];
          expect([turns.axes[at], turns.invFreq[at]]).toEqual([runs.axes[from], runs.invFreq[from]]);
        }
      }
    }
  }
});

test("mrope is rewritten to default with axes", () => {
  const provider = new MropeProvider();
  expect(provider.rewrite({ sections: [2, 1, 1], order: "sectioned" })).toEqual({
    parameters: { ropeType: "default" },
    axes: [0, 0, 1, 2],
  });
  expect(provider.rewrite({ sections: [2, 1, 1], order: "cyclic" }).axes).toEqual([0, 1, 2, 0]);
});

test("the example on ndrope's page", () => {
  const rope = getRope({ headDim: 4, pairing: "adjacent", parameters: { ropeType: "nd", axisCount: 1 } });
  const x = Float32Array.from({ length: 8 }, (_, i) => i);
  rope.apply({ positions: Uint32Array.of(0, 1), query: { data: x, shape: [2, 1, 4], strides: [4, 8, 1] } });
  expect([...x]).toEqual([0, 1, 2, 3, -2.0461454, 6.067395, 5.9297013, 7.059649].map(Math.fround));
});

test("equal positions on all axes give the rope of one axis", () => {
  const fields = { headDim: 32, base: 10_000 } as const;
  const mrope = getRope({ ...fields, parameters: { ropeType: "mrope", sections: [4, 6, 6], order: "cyclic" } });
  const one = getRope({ ...fields, parameters: { ropeType: "nd", axisCount: 1 } });
  const text = [0, 1, 257, 131071];
  expect(mrope.cosSin([text, text, text]).cos).toEqual(one.cosSin(text).cos);
});

test("frequencies of any one-axis type take axes in the request", () => {
  const axes = cyclicAxes([6, 5, 5]);
  const rope = getRope({ headDim: 32, axes, parameters: { ropeType: "nd", axisCount: 1 } });
  const mrope = getRope({ headDim: 32, parameters: { ropeType: "mrope", sections: [6, 5, 5], order: "cyclic" } });
  const positions = nested([
    [1, 2],
    [30, 40],
    [500, 600],
  ]);
  expect(rope.cosSin(positions)).toEqual(mrope.cosSin(positions));
});

test.each([
  ["sections that do not add up", { ropeType: "mrope", sections: [16, 24, 25] }, "16 + 24 + 25 = 65"],
  ["sections of elements", { ropeType: "mrope", sections: [32, 48, 48] }, "32 + 48 + 48 = 128"],
  ["an unknown order", { ropeType: "mrope", sections: [16, 24, 24], order: "interleaved" }, "sectioned"],
  ["neither count nor sections", { ropeType: "nd" }, "neither"],
  ["both, and they differ", { ropeType: "nd", axisCount: 2, sections: [16, 24, 24] }, "the number of sections"],
  ["a split that leaves a rest", { ropeType: "nd", axisCount: 3 }, "add up"],
  [
    "shared frequencies, unequal shares",
    { ropeType: "nd", sections: [16, 24, 24], frequencies: "shared" },
    "equal sections",
  ],
  ["alternating axes, unequal shares", { ropeType: "nd", sections: [16, 48], order: "alternating" }, "equal sections"],
  ["a shared list with bases", { ropeType: "nd", axisCount: 1, bases: [9], frequencies: "shared" }, "nothing, since"],
  ["sections that leave out the still pairs", { ropeType: "nd", sections: [32, 32], padEnd: 4 }, "add up to 60"],
  ["nothing but still pairs", { ropeType: "nd", axisCount: 1, padFront: 60, padEnd: 4 }, "less than 64"],
  ["more still pairs than pairs", { ropeType: "nd", axisCount: 2, padFront: 40, padEnd: 30 }, "got 70"],
  ["half a still pair", { ropeType: "nd", axisCount: 2, padEnd: 0.5 }, "an integer"],
  ["bases that miss an axis", { ropeType: "nd", axisCount: 2, bases: [10_000] }, "one for each axis"],
])("refuses %s", (_, parameters, text) => {
  expect(() => getRopeUntyped({ headDim: 128, parameters })).toThrow(
    expect.objectContaining({ code: "ROPE_INVALID_PARAMETERS", message: expect.stringContaining(text) }),
  );
});

test("positions must have a row for each axis", () => {
  const rope = getRope({ headDim: 16, parameters: { ropeType: "mrope", sections: [2, 3, 3] } });
  for (const positions of [[0, 1, 2], { data: [0, 1], shape: [2, 1] }, { start: 0, count: 4 }]) {
    expect(() => rope.cosSin(positions)).toThrow(expect.objectContaining({ code: "ROPE_SHAPE" }));
  }
});

test("sections are whole numbers of pairs; an axis of an M-RoPE has one at least, since positions have a row for it", () => {
  const code = (call: () => unknown): unknown => {
    try {
      return call();
    } catch (error) {
      return RopeError.is(error) ? error.code : error;
    }
  };
  for (const sections of [undefined, null, "abc", 7, [-1], [1.5], [1e10], ["2"]]) {
    expect(
      code(() => sectionedAxes(sections as never)),
      String(sections),
    ).toBe("ROPE_SHAPE");
    expect(
      code(() => cyclicAxes(sections as never)),
      String(sections),
    ).toBe("ROPE_SHAPE");
  }
  for (const sections of [
    [4, 4, 0],
    [8, 0, 0],
    [4, 0, 4],
  ]) {
    const parameters = { ropeType: "mrope", sections } as const;
    expect(code(() => getRope({ headDim: 16, parameters }))).toBe("ROPE_INVALID_PARAMETERS");
  }
});

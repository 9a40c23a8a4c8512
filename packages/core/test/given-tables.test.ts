/** `rotate` of core/math: rotation by cos and sin that the caller supplies. */

import { describe, expect, test } from "vitest";
import { getRope } from "@ropewalk/core";
import type { ElementType, Pairing, Tensor } from "@ropewalk/core";
import { fromFloat16, rotate } from "@ropewalk/core/math";
import type { RotateOptions } from "@ropewalk/core/math";
import { bits, caught } from "./failures.ts";
import { testRegistry } from "./providers.ts";
import { asTensor, encode, noise, pairsOf, rotateReference } from "./reference.ts";

const registry = testRegistry();
const pairings: Pairing[] = ["half", "adjacent", { blocks: 2 }, { blocks: 4 }];
const ROWS = 32;

/** Tables of cos and sin of `row · (pair + 1) / 10`, as an engine would hold them. */
const angle = (pair: number, row: number) => (row * (pair + 1)) / 10;
const table = (of: (angle: number) => number, pairs: number) =>
  Float32Array.from({ length: ROWS * pairs }, (_, i) => of(angle(i % pairs, Math.floor(i / pairs))));
const cos = table(Math.cos, 8);
const sin = table(Math.sin, 8);

// Float32 tables, products and sums: three units of |x·c| + |y·s|, which is below 4.
const close = (actual: ArrayLike<number>, expected: readonly number[]) =>
  expected.forEach((value, i) => expect(Math.abs(actual[i]! - value)).toBeLessThanOrEqual(3 * 2 ** -24 * 4));

describe.each(
  pairings.map((pairing) => ({ pairing, name: typeof pairing === "string" ? pairing : `${pairing.blocks} blocks` })),
)("$name", ({ pairing }) => {
  test("row t for token t, or the row of each token's position", () => {
    const data = Float32Array.from(noise(ROWS * 2 * 16));
    const expected = rotateReference(data, [1, ROWS, 2, 16], { rotaryDim: 16, pairing, angle });
    expect(rotate(data, { cos, sin, pairing, headDim: 16 })).toBe(data);
    close(data, expected);

    const positions = [31, 0, 7, 7];
    const picked = Float32Array.from(noise(4 * 2 * 16));
    const placed = rotateReference(picked, [1, 4, 2, 16], {
      rotaryDim: 16,
      pairing,
      angle: (pair, token) => angle(pair, positions[token]!),
    });
    rotate(picked, { cos, sin, pairing, headDim: 16, positions });
    close(picked, placed);
  });

  test("partial, from an offset, out of place, in a batch with rows of its own", () => {
    const positions = [
      [1, 2, 3],
      [9, 8, 7],
    ];
    const data = Float32Array.from(noise(2 * 3 * 2 * 24));
    const out = Float32Array.from(noise(data.length, 4));
    const view = { data, shape: [2, 3, 2, 24] };
    const target = { data: out, shape: [2, 3, 2, 24] };
    const expected = rotateReference(data, [2, 3, 2, 24], {
      rotaryDim: 16,
      rotaryOffset: 5,
      pairing,
      angle: (pair, t, b) => angle(pair, positions[b]![t]!),
    });
    expect(rotate(view, { cos, sin, pairing, rotaryDim: 16, rotaryOffset: 5, positions, out: target })).toBe(target);
    close(out, expected);
    expect([...data]).toEqual([...Float32Array.from(noise(data.length))]);
  });

  test("tables of a rope give the rope's own bits, in half and full width and every element type", () => {
    const rope = getRope(
      {
        headDim: 24,
        rotaryDim: 16,
        rotaryOffset: 8,
        pairing,
        parameters: { ropeType: "tuned", factor: 2, amplitude: 1.25 },
      },
      { registry },
    );
    const positions = [3, 1, 4];
    for (const width of ["half", "full"] as const) {
      const given = rope.cosSin(positions, { width });
      for (const dtype of ["float64", "float32", "float16", "bfloat16"] as const) {
        const mine = encode(dtype, noise(3 * 2 * 24));
        const theirs = mine.slice();
        rope.apply({ positions, query: asTensor(dtype, mine, [3, 2, 24]) });
        const headDim = dtype === "float32" || dtype === "float64" ? 24 : undefined;
        rotate(asTensor(dtype, theirs, [3, 2, 24]), {
          cos: given.cos,
          sin: given.sin,
          width,
          pairing,
          headDim,
          rotaryDim: 16,
          rotaryOffset: 8,
        });
        expect(bits(theirs)).toEqual(bits(mine));
      }
    }
  });
});

test.each<ElementType>(["float16", "bfloat16", "float64"])("tables in %s", (dtype) => {
  const rope = getRope({ headDim: 16, parameters: { ropeType: "plain" } }, { registry });
  const given = rope.cosSin({ start: 0, count: 4 }, { dtype });
  const widened = rope.cosSin({ start: 0, count: 4 }, { dtype: "float64" });
  const data = Float32Array.from(noise(4 * 16));
  const expected = rotateReference(data, [1, 4, 1, 16], {
    rotaryDim: 16,
    pairing: "half",
    angle: (pair, token) => Math.atan2(widened.sin[token * 8 + pair]!, widened.cos[token * 8 + pair]!),
  });
  rotate(data, { cos: { data: given.cos, dtype }, sin: { data: given.sin, dtype }, pairing: "half", headDim: 16 });
  // The table's own rounding: a unit of its type for cos and for sin.
  const unit = { float16: 2 ** -11, bfloat16: 2 ** -8, float64: 0 }[dtype as "float16"];
  expected.forEach((value, i) => expect(Math.abs(data[i]! - value)).toBeLessThanOrEqual(4 * (unit + 3 * 2 ** -24)));
});

test("rows beyond the tokens of a view are not used", () => {
  const data = Float32Array.from(noise(2 * 16));
  const bare = data.slice();
  rotate({ data, shape: [2, 1, 16] }, { cos, sin, pairing: "half" });
  rotate(bare, { cos: cos.subarray(0, 16), sin: sin.subarray(0, 16), pairing: "half", headDim: 16 });
  expect(bits(data)).toEqual(bits(bare));
});

test("the tables are never written to, even if out overlaps only them", () => {
  const ones = Float32Array.from(cos);
  const view: Tensor = { data: Float32Array.from(noise(16)), shape: [1, 1, 16] };
  rotate(view, { cos: ones, sin, pairing: "half", positions: [3], out: { data: ones, shape: [1, 1, 16] } });
  const apart: Tensor = { data: new Float32Array(16), shape: [1, 1, 16] };
  rotate(view, { cos, sin, pairing: "half", positions: [3], out: apart });
  expect([...ones.subarray(0, 16)]).toEqual([...(apart.data as Float32Array)]);
});

describe("refused, with the tensor as it was", () => {
  const nonsense = (value: unknown) => value as never;
  // Tensor and, where a case wants it, out in one memory.
  const memory = Float32Array.from(noise(64));
  const data = memory.subarray(0, 32);
  test.each<[string, Partial<RotateOptions>]>([
    ["no headDim for a bare array", { headDim: undefined }],
    ["a headDim of 0", { headDim: 0 }],
    ["an odd rotaryDim", { rotaryDim: 15 }],
    ["a rotaryDim beyond the head", { rotaryDim: 18 }],
    ["an offset beyond the head", { rotaryDim: 8, rotaryOffset: 9 }],
    ["a negative offset", { rotaryDim: 8, rotaryOffset: -1 }],
    ["a bigint for headDim", { headDim: nonsense(16n) }],
    ["no pairing", { pairing: nonsense(undefined) }],
    ["a pairing that is none", { pairing: nonsense("interleaved") }],
    ["null for pairing", { pairing: nonsense(null) }],
    ["blocks that do not divide", { pairing: { blocks: 3 } }],
    ["blocks between the integers", { pairing: { blocks: 1.6 } }],
    ["negative blocks", { pairing: { blocks: -2 } }],
    ["a width that is none", { width: nonsense("double") }],
    ["no cos", { cos: nonsense(undefined) }],
    ["null for sin", { sin: nonsense(null) }],
    ["a list for cos", { cos: nonsense([1, 2, 3]) }],
    ["integers for cos", { cos: nonsense(new Int32Array(16)) }],
    ["bits without a dtype", { cos: new Uint16Array(16), sin: new Uint16Array(16) }],
    ["an empty table", { cos: new Float32Array(0), sin: new Float32Array(0) }],
    ["cos of another length than sin", { sin: sin.subarray(8) }],
    ["a table of broken rows", { cos: cos.subarray(1), sin: sin.subarray(1) }],
    ["half-width tables read as full", { width: "full", cos: cos.subarray(0, 8), sin: sin.subarray(0, 8) }],
    ["more rows than tokens for a bare array", { positions: undefined }],
    ["out with other heads", { out: new Float32Array(4 * 16) }],
    ["out half over the tensor", { out: { data: memory, shape: [2, 1, 16], offset: 8 } }],
    ["out that is no tensor", { out: nonsense(3) }],
  ])("%s", (_, options) => {
    const before = bits(data);
    caught(() => rotate(data, { cos, sin, pairing: "half", headDim: 16, positions: [1, 2], ...options }), "ROPE_SHAPE");
    expect(bits(data)).toEqual(before);
  });

  test.each([
    ["null", null],
    ["undefined", undefined],
    ["a number", 3],
    ["a view without data", { shape: [1, 1, 16] }],
    ["a shape that is no list", { data: new Float32Array(16), shape: 16 }],
    ["a shape that is null", { data: new Float32Array(16), shape: null }],
  ])("a tensor that is %s", (_, tensor) => {
    caught(() => rotate(nonsense(tensor), { cos, sin, pairing: "half", headDim: 16 }), "ROPE_SHAPE");
  });

  test("an option that nothing reads", () => {
    const before = bits(data);
    const options = { cos, sin, pairing: "half", headDim: 16, positions: [1, 2], interleaved: true } as const;
    caught(() => rotate(data, options), "ROPE_INVALID_PARAMETERS");
    expect(bits(data)).toEqual(before);
  });

  test.each([
    ["without a row", [1, ROWS]],
    ["below zero", [-1, 0]],
    ["between rows", [0.5, 1]],
  ])("a position %s", (_, positions) => {
    const before = bits(data);
    caught(() => rotate(data, { cos, sin, pairing: "half", headDim: 16, positions }), "ROPE_POSITION_RANGE");
    expect(bits(data)).toEqual(before);
  });
});

describe("a table of unclear width", () => {
  const rope = getRope({ headDim: 8, parameters: { ropeType: "plain" } }, { registry });
  const positions = [3, 4];
  const full = rope.cosSin(positions, { width: "full" }) as { cos: Float32Array; sin: Float32Array };
  const half = rope.cosSin(positions) as { cos: Float32Array; sin: Float32Array };
  const input = Float32Array.from(noise(2 * 8));
  const expected = input.slice();
  rope.apply({ positions, query: expected });

  test("of a view gives each token a row", () => {
    for (const { cos, sin } of [full, half]) {
      const data = input.slice();
      rotate({ data, shape: [2, 1, 8] }, { cos, sin, pairing: "half" });
      expect(data).toEqual(expected);
    }
  });

  test("is required if doubled rows could be read as twice as many", () => {
    for (const options of [{ headDim: 8 }, { headDim: 8, positions: [0, 1] }]) {
      const data = input.slice();
      caught(() => rotate(data, { cos: full.cos, sin: full.sin, pairing: "half", ...options }), "ROPE_SHAPE");
      expect(data).toEqual(input);
      rotate(data, { cos: full.cos, sin: full.sin, pairing: "half", width: "full", ...options });
      expect(data).toEqual(expected);
    }
  });
});

describe("a table with a shape", () => {
  const [batch, heads, tokens, head] = [2, 3, 4, 16];
  const own = Array.from({ length: batch * tokens }, (_, i) => (7 * i) % 11);
  const tableOf = (of: (angle: number) => number): Float32Array =>
    Float32Array.from({ length: own.length * 8 }, (_, i) => of(angle(i % 8, own[Math.floor(i / 8)]!)));
  const data = Float32Array.from(noise(batch * heads * tokens * head));
  // [batch, heads, tokens, headDim] in memory, as ONNX has it.
  const tensor = (values: Float32Array): Tensor => ({
    data: values,
    shape: [batch, tokens, heads, head],
    strides: [heads * tokens * head, head, tokens * head, 1],
  });
  const rows = { cos: tableOf(Math.cos), sin: tableOf(Math.sin) };
  const rotated = (pairing: Pairing, options: Partial<RotateOptions>): Float32Array => {
    const values = data.slice();
    rotate(tensor(values), { cos: rows.cos, sin: rows.sin, pairing, ...options });
    return values;
  };
  /** The same by a position in a table of all rows. */
  const expected = (pairing: Pairing): Float32Array =>
    rotated(pairing, { cos, sin, positions: { data: own, shape: [batch, tokens] } });
  const shape = [batch, tokens, 8];

  test.each(pairings)("[batch, tokens, pairs]: the row of each token of each batch row, %j", (pairing) => {
    const given = { cos: { data: rows.cos, shape }, sin: { data: rows.sin, shape } };
    expect(rotated(pairing, given)).toEqual(expected(pairing));
    // And not the first rows for all, as a table without a batch would give.
    expect(
      rotated(pairing, { ...given, cos: { data: rows.cos, shape: [8, 8] }, sin: { data: rows.sin, shape: [8, 8] } }),
    ).not.toEqual(expected(pairing));
    const bare = data.slice();
    rotate(bare, { ...given, pairing, headDim: head });
    expect(bits(bare)).not.toEqual(bits(data));
  });

  test.each(pairings)("[batch, tokens, rotaryDim], doubled by the pairing, %j", (pairing) => {
    const doubled = (values: Float32Array) => {
      const made = new Float32Array(2 * values.length);
      pairsOf(pairing, 16).forEach(([x, y], pair) => {
        for (let row = 0; row < own.length; row++) made[16 * row + x] = made[16 * row + y] = values[8 * row + pair]!;
      });
      return { data: made, shape: [batch, tokens, 16] };
    };
    expect(rotated(pairing, { cos: doubled(rows.cos), sin: doubled(rows.sin) })).toEqual(expected(pairing));
  });

  test("strides, an offset and a 16-bit type are those of a view", () => {
    // Tokens outermost, a gap before each row, elements backwards.
    const place = (values: Float32Array) => {
      const memory = new Float32Array(tokens * batch * 10);
      values.forEach((value, i) => {
        const [b, t, pair] = [Math.floor(i / 32), Math.floor(i / 8) % 4, i % 8];
        memory[t * 20 + b * 10 + 9 - pair] = value;
      });
      return { data: memory, shape, strides: [10, 20, -1], offset: 9 };
    };
    expect(rotated("half", { cos: place(rows.cos), sin: place(rows.sin) })).toEqual(expected("half"));
    const short = (values: Float32Array) => ({
      data: encode("float16", [...values]) as Uint16Array,
      dtype: "float16" as const,
    });
    const widened = (values: Float32Array) => Float32Array.from(short(values).data, fromFloat16);
    expect(rotated("half", { cos: { ...short(rows.cos), shape }, sin: { ...short(rows.sin), shape } })).toEqual(
      rotated("half", { cos: { data: widened(rows.cos), shape }, sin: { data: widened(rows.sin), shape } }),
    );
  });

  test("a batch of 1 serves all rows, with positions or without", () => {
    const one = { cos: { data: cos, shape: [1, ROWS, 8] }, sin: { data: sin, shape: [1, ROWS, 8] } };
    expect(rotated("half", { ...one, positions: { data: own, shape: [batch, tokens] } })).toEqual(expected("half"));
    expect(rotated("half", one)).toEqual(rotated("half", { cos, sin, positions: { start: 0, count: tokens } }));
  });

  test("without a shape, rows for all tokens of all batch rows could be either", () => {
    const error = caught(() => rotated("half", {}), "ROPE_SHAPE");
    expect(error.expected).toMatch(/\[batch, tokens, columns\]/);
    expect(rotated("half", { positions: { start: 0, count: tokens } })).not.toEqual(data);
  });

  test.each<[string, Partial<RotateOptions>]>([
    ["positions beside rows for each token", { positions: { start: 0, count: tokens } }],
    ["cos and sin of different shapes", { sin: { data: rows.sin, shape: [8, 8] } }],
    ["a shape for cos alone", { sin: rows.sin }],
    ["another batch", { cos: { data: rows.cos, shape: [4, 2, 8] }, sin: { data: rows.sin, shape: [4, 2, 8] } }],
    ["rows for fewer tokens", { cos: { data: rows.cos, shape: [2, 3, 8] }, sin: { data: rows.sin, shape: [2, 3, 8] } }],
    [
      "another number of columns",
      { cos: { data: rows.cos, shape: [2, 8, 4] }, sin: { data: rows.sin, shape: [2, 8, 4] } },
    ],
    ["a width that the shape contradicts", { width: "full" }],
    ["four axes", { cos: { data: rows.cos, shape: [2, 1, 4, 8] }, sin: { data: rows.sin, shape: [2, 1, 4, 8] } }],
    ["one axis", { cos: { data: rows.cos, shape: [64] }, sin: { data: rows.sin, shape: [64] } }],
    [
      "a shape beyond the data",
      { cos: { data: rows.cos, shape: [2, 5, 8] }, sin: { data: rows.sin, shape: [2, 5, 8] } },
    ],
    ["strides of another length", { cos: { data: rows.cos, shape, strides: [8, 1] } }],
    ["an offset beyond the data", { cos: { data: rows.cos, shape, offset: 1 } }],
    ["strides without a shape", { cos: { data: rows.cos, strides: [8, 1] }, sin: rows.sin }],
    ["an offset without a shape", { cos: { data: rows.cos, offset: 0 }, sin: rows.sin }],
    ["a table of nothing, repeated without end", { cos: { data: rows.cos, shape: [2 ** 40, 8], strides: [0, 1] } }],
  ])("refuses %s", (_, options) => {
    const values = data.slice();
    const given = {
      cos: { data: rows.cos, shape },
      sin: { data: rows.sin, shape },
      pairing: "half",
      ...options,
    } as const;
    caught(() => rotate(tensor(values), given), "ROPE_SHAPE");
    expect(values).toEqual(data);
  });

  test("an unknown key of a table", () => {
    const values = data.slice();
    const given = { data: rows.cos, shape, stride: [32, 8, 1] };
    caught(
      () => rotate(tensor(values), { cos: given, sin: { data: rows.sin, shape }, pairing: "half" }),
      "ROPE_INVALID_PARAMETERS",
    );
    expect(values).toEqual(data);
  });
});

describe("a table that is doubled for another pairing", () => {
  const rope = getRope({ headDim: 8, parameters: { ropeType: "plain" } }, { registry });
  // Two tokens and rows for two: as rows of half width they would be four.
  const doubled = (pairing: Pairing) => {
    const { cos: halfCos, sin: halfSin } = rope.cosSin([3, 4]);
    const of = (values: Float32Array): Float32Array => {
      const made = new Float32Array(16);
      pairsOf(pairing, 8).forEach(([x, y], pair) => {
        for (const row of [0, 1]) made[8 * row + x] = made[8 * row + y] = values[4 * row + pair]!;
      });
      return made;
    };
    return { cos: of(halfCos as Float32Array), sin: of(halfSin as Float32Array) };
  };

  test.each([
    ["half", "adjacent"],
    ["adjacent", "half"],
    ["half", { blocks: 2 }],
    ["adjacent", { blocks: 2 }],
  ] as const)("doubled for %j is refused for %j, in every form", (of, pairing) => {
    const table = doubled(of);
    const shaped = { cos: { data: table.cos, shape: [2, 8] }, sin: { data: table.sin, shape: [2, 8] } };
    for (const options of [
      table,
      { ...table, width: "full" as const },
      { ...table, positions: [0, 1] },
      { ...table, headDim: 8, positions: [0, 1], width: "full" as const },
      shaped,
      { ...shaped, positions: [1, 0] },
    ]) {
      const data = Float32Array.from(noise(16));
      caught(() => rotate({ data, shape: [2, 1, 8] }, { pairing, ...options }), "ROPE_SHAPE");
      expect(data).toEqual(Float32Array.from(noise(16)));
    }
  });

  test("half-width tables are never taken for doubled ones", () => {
    // A cache with more rows than tokens, and with exactly twice as many.
    for (const rows of [3, 4, 8, 9]) {
      const { cos: c, sin: s } = rope.cosSin({ start: 0, count: rows }) as { cos: Float32Array; sin: Float32Array };
      for (const pairing of ["half", "adjacent", { blocks: 2 }] as const) {
        const [data, same] = [Float32Array.from(noise(16)), Float32Array.from(noise(16))];
        rotate({ data, shape: [2, 1, 8] }, { cos: c, sin: s, pairing });
        rotate({ data: same, shape: [2, 1, 8] }, { cos: c, sin: s, pairing, width: "half", positions: [0, 1] });
        expect(data).toEqual(same);
      }
    }
    // All at position 0, where all values coincide, with a row for each token.
    const { cos: c, sin: s } = rope.cosSin([0, 0]) as { cos: Float32Array; sin: Float32Array };
    const data = Float32Array.from(noise(16));
    rotate({ data, shape: [2, 1, 8] }, { cos: c, sin: s, pairing: "adjacent" });
    expect(data).toEqual(Float32Array.from(noise(16)));
  });
});

describe('width: "element"', () => {
  /**
   * V-JEPA 2's table of one axis of d elements: cos and sin of p · ω at element e, ω_k = 10000^(−k/(d/2)), k = e mod
   * d/2.
   */
  const d = 8;
  const angles = (position: number): number[] =>
    Array.from({ length: d }, (_, e) => position * 10_000 ** (-(e % (d / 2)) / (d / 2)));
  const cos = Float64Array.from([...angles(1), ...angles(131_071)], Math.cos);
  const sin = Float64Array.from([...angles(1), ...angles(131_071)], Math.sin);

  test.each(["half", "adjacent", { blocks: 2 }] as const)(
    "each element by its own angle, %j, by the definition",
    (pairing) => {
      const data = noise(2 * 3 * (d + 2));
      const expected = data.slice();
      for (let t = 0; t < 2; t++) {
        for (let h = 0; h < 3; h++) {
          const at = (t * 3 + h) * (d + 2) + 1;
          for (const [x, y] of pairsOf(pairing, d)) {
            const [a, b] = [data[at + x]!, data[at + y]!];
            expected[at + x] = a * cos[t * d + x]! - b * sin[t * d + x]!;
            expected[at + y] = b * cos[t * d + y]! + a * sin[t * d + y]!;
          }
        }
      }
      const tensor = { data: data.slice(), shape: [2, 3, d + 2] };
      rotate(tensor, { cos, sin, pairing, rotaryDim: d, rotaryOffset: 1, width: "element" });
      expect(tensor.data).toEqual(expected);
      const out = { data: new Float64Array(2 * 3 * (d + 2)), shape: [2, 3, d + 2], strides: [d + 2, 2 * (d + 2), 1] };
      rotate(
        { data, shape: [2, 3, d + 2] },
        { cos, sin, pairing, rotaryDim: d, rotaryOffset: 1, width: "element", out },
      );
      expect(out.data[(2 + 1) * (d + 2) + 1]).toBe(expected[(3 + 1) * (d + 2) + 1]);
      expect(out.data[(2 + 1) * (d + 2) + 7]).toBe(expected[(3 + 1) * (d + 2) + 7]);
    },
  );

  test("a table of the other pairing is no table of doubled values", () => {
    const tensor = { data: new Float32Array(2 * d).fill(1), shape: [2, 1, d] };
    const error = caught(() => rotate(tensor, { cos, sin, pairing: "adjacent", width: "full" }), "ROPE_SHAPE");
    expect(error.remedy).toMatch(/other pairing/);
    expect(tensor.data.every((value) => value === 1)).toBe(true);
  });
});

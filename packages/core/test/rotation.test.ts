/** The rotation itself, against complex numbers. */

import { describe, expect, test } from "vitest";
import { getRope } from "@ropewalk/core";
import type { ElementType, Pairing, RopeRequest, Tensor, TensorView } from "@ropewalk/core";
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from "@ropewalk/core/math";
import { bits } from "./failures.ts";
import { testRegistry } from "./providers.ts";
import { asTensor, decode, encode, frequency, noise, pairsOf, rotateReference } from "./reference.ts";
import type { AnyArray, Shape } from "./reference.ts";

const registry = testRegistry();
const ropeOf = (
  request: Omit<RopeRequest, "parameters">,
  parameters: RopeRequest["parameters"] = { ropeType: "plain" },
) => getRope({ ...request, parameters }, { registry });

const dtypes = ["float64", "float32", "float16", "bfloat16"] as const;
const pairings: Pairing[] = ["half", "adjacent", { blocks: 2 }, { blocks: 4 }];
const nameOf = (pairing: Pairing) => (typeof pairing === "string" ? pairing : `${pairing.blocks} blocks`);
const positions = [0, 1, 5, 127, 999];

/** Unit roundoff: half the distance of 1 to the next number. */
const unit = { float64: 2 ** -53, float32: 2 ** -24, float16: 2 ** -11, bfloat16: 2 ** -8 };

/**
 * The rounding error of `x' = x·c − y·s`. In float32, c and s, each product and the sum are rounded: at most three
 * units of |x·c| + |y·s|. In 16 bits the result is rounded once more; below the normal range of float16 that is half of
 * its spacing 2^-24. In float64 the angle's own error dominates: an angle of up to 1000 rounded to 53 bits, in the
 * reference as in the code.
 */
function tolerance(dtype: ElementType, expected: number, largest: number): number {
  if (dtype === "float64") return 2 * 1000 * unit.float64 * largest;
  const computed = 3 * unit.float32 * 2 * largest;
  return dtype === "float32" ? computed : computed + unit[dtype] * Math.abs(expected) + 2 ** -25;
}

function expectClose(dtype: ElementType, actual: AnyArray, expected: readonly number[]): void {
  const largest = Math.max(...expected.map(Math.abs), 2);
  decode(dtype, actual).forEach((value, i) => {
    const error = Math.abs(value - expected[i]!);
    if (!(error <= tolerance(dtype, expected[i]!, largest))) {
      expect.fail(
        `element ${i} is ${value} instead of ${expected[i]}, ${error / tolerance(dtype, expected[i]!, largest)} times the tolerance`,
      );
    }
  });
}

describe.each(pairings.map((pairing) => ({ name: nameOf(pairing), pairing })))("$name", ({ pairing }) => {
  const wholeHead = { headDim: 16, rotaryDim: 16, rotaryOffset: 0 };
  const lastPart = { headDim: 24, rotaryDim: 16, rotaryOffset: 8 };
  const slice = { headDim: 21, rotaryDim: 16, rotaryOffset: 3 };

  test.each(
    dtypes.flatMap((dtype) =>
      [wholeHead, lastPart, slice].map((geometry) => ({
        dtype,
        geometry,
        part: `${geometry.rotaryDim} of ${geometry.headDim} from ${geometry.rotaryOffset}`,
      })),
    ),
  )("$dtype, $part: as complex numbers", ({ dtype, geometry }) => {
    const shape: Shape = [1, positions.length, 3, geometry.headDim];
    const data = encode(dtype, noise(shape.reduce((a, b) => a * b)));
    const angle = (pair: number, token: number) => positions[token]! * frequency(500, 16, pair);
    const expected = rotateReference(decode(dtype, data), shape, { ...geometry, pairing, angle, amplitude: 1.5 });

    const rope = ropeOf(
      { ...geometry, pairing, base: 500, precision: "float64" },
      { ropeType: "tuned", factor: 1, amplitude: 1.5 },
    );
    rope.apply({ positions, key: asTensor(dtype, data, shape) });
    expectClose(dtype, data, expected);
  });

  test.each(dtypes)(
    "%s with float32 angles: the angle is the float32 product of float32 position and frequency",
    (dtype) => {
      // Far out, where rounding the angle moves it by far more than the tolerance.
      const far = [2 ** 20 + 1, 2 ** 24 - 1];
      const shape: Shape = [1, 2, 1, 16];
      const rope = ropeOf({ headDim: 16, pairing, base: 500 });
      const { invFreq } = rope.frequencies();
      expect([...invFreq]).toEqual(Array.from(invFreq, Math.fround));
      const data = encode(dtype, noise(32));
      const single = rotateReference(decode(dtype, data), shape, {
        rotaryDim: 16,
        pairing,
        angle: (pair, token) => Math.fround(far[token]! * invFreq[pair]!),
      });
      const exact = rotateReference(decode(dtype, data), shape, {
        rotaryDim: 16,
        pairing,
        angle: (pair, token) => far[token]! * frequency(500, 16, pair),
      });
      expect(Math.max(...single.map((value, i) => Math.abs(value - exact[i]!)))).toBeGreaterThan(0.01);
      rope.apply({ positions: far, query: asTensor(dtype, data, shape) });
      // Tables hold float32 values for every element type.
      const tableError = 3 * unit.float32 * 4;
      decode(dtype, data).forEach((value, i) =>
        expect(Math.abs(value - single[i]!)).toBeLessThanOrEqual(tolerance(dtype, single[i]!, 2) + tableError),
      );
    },
  );

  test.each(dtypes)("%s: in place, out of place, in a step, in a batch: the same bits", (dtype) => {
    const rope = ropeOf({ headDim: 21, rotaryDim: 16, rotaryOffset: 3, pairing });
    const shape = [5, 3, 21];
    const source = encode(dtype, noise(5 * 3 * 21));
    const inPlace = source.slice();
    rope.apply({ positions, query: asTensor(dtype, inPlace, shape) });

    const out = encode(dtype, noise(source.length, 8));
    const result = rope.apply({
      positions,
      query: asTensor(dtype, source, shape),
      out: { query: asTensor(dtype, out, shape) },
    });
    expect(decode(dtype, source)).toEqual(decode(dtype, encode(dtype, noise(5 * 3 * 21))));
    expect(((result.query as TensorView).data ?? result.query) as AnyArray).toBe(out);

    const stepped = source.slice();
    const step = rope.at(positions);
    step.apply({ key: asTensor(dtype, stepped, shape) });

    const batch = encode(dtype, [...decode(dtype, source), ...decode(dtype, source)]);
    rope.apply({ positions: [positions, positions], query: asTensor(dtype, batch, [2, ...shape]) });

    const tokenByToken = source.slice();
    positions.forEach((position, t) =>
      rope.apply({
        positions: [position],
        query: asTensor(dtype, tokenByToken.subarray(t * 63, t * 63 + 63), [1, 3, 21]),
      }),
    );

    for (const [name, data] of Object.entries({
      out,
      stepped,
      first: batch.slice(0, source.length),
      second: batch.slice(source.length),
      tokenByToken,
    })) {
      expect(bits(data), name).toEqual(bits(inPlace));
    }
  });

  test("query and key of one call are rotated alike, with any numbers of heads and element types", () => {
    const rope = ropeOf({ headDim: 16, pairing });
    for (const [queryType, keyType] of [
      ["float32", "float16"],
      ["float64", "float32"],
      ["bfloat16", "float64"],
    ] as const) {
      const query = encode(queryType, noise(5 * 4 * 16));
      const key = encode(keyType, noise(5 * 16, 9));
      const alone = [query.slice(), key.slice()] as const;
      rope.apply({ positions, query: asTensor(queryType, query, [5, 4, 16]), key: asTensor(keyType, key, [5, 1, 16]) });
      rope.apply({ positions, query: asTensor(queryType, alone[0], [5, 4, 16]) });
      rope.apply({ positions, query: asTensor(keyType, alone[1], [5, 1, 16]) });
      expect([bits(query), bits(key)]).toEqual(alone.map(bits));
    }
  });

  test.each(dtypes)("%s: elements that are not rotated keep every bit, also those of a NaN", (dtype) => {
    // A signalling NaN with a payload; a JavaScript number may quiet it.
    const words = { float64: [0x00c0ffee, 0x7ff40000], float32: [0x7fa0ffee], float16: [0x7d55], bfloat16: [0x7fa5] }[
      dtype
    ];
    const Word = dtype === "float32" || dtype === "float64" ? Uint32Array : Uint16Array;
    const poison = (data: AnyArray, indices: readonly number[]) => {
      const raw = new Word(data.buffer as ArrayBuffer);
      for (const index of indices) words.forEach((word, i) => (raw[index * words.length + i] = word));
      return data;
    };
    const rope = ropeOf({ headDim: 21, rotaryDim: 16, rotaryOffset: 3, pairing });
    const outside = [0, 1, 2, 19, 20];
    const check = (data: AnyArray, stride: number) => {
      const raw = new Word(data.buffer as ArrayBuffer);
      for (const index of outside) {
        words.forEach((word, i) => expect(raw[index * stride * words.length + i]).toBe(word));
      }
    };
    for (const stride of [1, 2]) {
      const layout = { shape: [1, 1, 21], strides: [21 * stride, 21 * stride, stride], dtype };
      const data = poison(
        encode(dtype, noise(21 * stride)),
        outside.map((i) => i * stride),
      );
      const out = encode(dtype, noise(21 * stride, 3));
      rope.apply({ positions: [7], query: { data, ...layout }, out: { query: { data: out, ...layout } } });
      check(out, stride);
      rope.apply({ positions: [7], query: { data, ...layout } });
      check(data, stride);
    }
  });

  test("float32: both products and their sum are rounded, nothing is fused", () => {
    const rope = ropeOf({ headDim: 16, pairing });
    const { fround } = Math;
    // Odd and even numbers of heads: they may take different ways.
    for (const heads of [1, 2, 3]) {
      const data = Float32Array.from(noise(5 * heads * 16, heads));
      const expected = data.slice();
      const { cos, sin } = rope.cosSin(positions);
      for (let head = 0; head < 5 * heads; head++) {
        pairsOf(pairing, 16).forEach(([a, b], pair) => {
          const at = Math.floor(head / heads) * 8 + pair;
          const [x, y] = [data[head * 16 + a]!, data[head * 16 + b]!];
          expected[head * 16 + a] = fround(x * cos[at]!) - fround(y * sin[at]!);
          expected[head * 16 + b] = fround(y * cos[at]!) + fround(x * sin[at]!);
        });
      }
      rope.apply({ positions, query: data });
      expect(bits(data)).toEqual(bits(expected));
    }
  });

  test("a NaN or infinity spoils its own pair only", () => {
    const rope = ropeOf({ headDim: 16, pairing });
    const clean = Float32Array.from(noise(2 * 2 * 16));
    const spoilt = clean.slice();
    const [x, y] = pairsOf(pairing, 16)[3]!;
    spoilt[16 + x] = NaN;
    spoilt[48 + y] = Infinity;
    rope.apply({ positions: [3, 4], query: clean });
    rope.apply({ positions: [3, 4], query: spoilt });
    spoilt.forEach((value, i) => {
      if ([16 + x, 16 + y, 48 + x, 48 + y].includes(i)) expect(Number.isFinite(value)).toBe(false);
      else expect(value).toBe(clean[i]);
    });
  });
});

describe("into another element type, in one pass", () => {
  const shape: [number, number, number] = [5, 2, 21];
  const rope = ropeOf({ headDim: 21, rotaryDim: 16, rotaryOffset: 3 });
  const keys = () => Float32Array.from(noise(5 * 2 * 21));
  const rotated = () => {
    const data = keys();
    rope.apply({ positions, key: data });
    return data;
  };

  test.each([
    ["float16", toFloat16],
    ["bfloat16", toBfloat16],
  ] as const)("float32 keys into a slot of a %s cache [heads, slots, headDim]", (dtype, to) => {
    const slots = 64;
    const cache = encode(dtype, noise(2 * slots * 21, 6)) as Uint16Array;
    const before = cache.slice();
    const data = keys();
    rope.apply({
      positions,
      key: data,
      out: { key: { data: cache, shape, strides: [21, slots * 21, 1], offset: 10 * 21, dtype } },
    });
    expect(data).toEqual(keys());
    const expected = rotated();
    cache.forEach((word, i) => {
      const [head, slot, element] = [Math.floor(i / (slots * 21)), Math.floor(i / 21) % slots, i % 21];
      const token = slot - 10;
      const written = token >= 0 && token < 5;
      if (word !== (written ? to(expected[(token * 2 + head) * 21 + element]!) : before[i])) {
        expect.fail(`slot ${slot} of head ${head}, element ${element}`);
      }
    });
  });

  test.each([
    ["float16", fromFloat16],
    ["bfloat16", fromBfloat16],
  ] as const)("%s into float32: the result is not rounded to 16 bits", (dtype, from) => {
    const words = encode(dtype, noise(5 * 2 * 21)) as Uint16Array;
    const out = new Float32Array(words.length);
    rope.apply({ positions, key: { data: words, shape, dtype }, out: { key: out } });
    const widened = Float32Array.from(words, from);
    rope.apply({ positions, key: widened });
    expect(bits(out)).toEqual(bits(widened));
  });

  test("float16 into bfloat16 and back", () => {
    const words = encode("float16", noise(5 * 2 * 21)) as Uint16Array;
    const out = new Uint16Array(words.length);
    rope.apply({
      positions,
      key: { data: words, shape, dtype: "float16" },
      out: { key: { data: out, shape, dtype: "bfloat16" } },
    });
    const widened = Float32Array.from(words, fromFloat16);
    rope.apply({ positions, key: widened });
    expect([...out]).toEqual(Array.from(widened, toBfloat16));
  });

  test("float64 into float32 is computed in float64, and float32 into float64 in float32", () => {
    const wide = Float64Array.from(noise(5 * 2 * 21));
    const out = new Float32Array(wide.length);
    rope.apply({ positions, key: wide, out: { key: out } });
    rope.apply({ positions, key: wide });
    expect(out).toEqual(Float32Array.from(wide));

    const result = new Float64Array(out.length);
    rope.apply({ positions, key: keys(), out: { key: result } });
    expect(result).toEqual(Float64Array.from(rotated()));
  });

  test("a NaN stays a NaN, infinities infinite, also outside the rotated elements", () => {
    const data = new Float32Array(5 * 2 * 21);
    new Uint32Array(data.buffer).set([0x7f800001, 0x7f800000, 0xff800000, 0x7f800001]);
    const out = new Uint16Array(data.length);
    for (const [dtype, from] of [
      ["float16", fromFloat16],
      ["bfloat16", fromBfloat16],
    ] as const) {
      rope.apply({ positions, key: data, out: { key: { data: out, shape, dtype } } });
      expect(Array.from(out.subarray(0, 4), from)).toEqual([NaN, Infinity, -Infinity, NaN]);
    }
  });
});

describe("invert, adjoint, shift", () => {
  const amplitude = 1.25;
  const scaled = (request: Partial<RopeRequest> = {}) =>
    ropeOf({ headDim: 16, base: 500, precision: "float64", ...request }, { ropeType: "tuned", factor: 2, amplitude });
  const shape: Shape = [1, 5, 2, 16];
  const data = () => Float64Array.from(noise(160));
  const angle = (pair: number, token: number) => (positions[token]! * frequency(500, 16, pair)) / 2;
  const close = (actual: Float64Array, expected: readonly number[]) => expectClose("float64", actual, expected);

  test("invert turns by −φ and divides by the amplitude", () => {
    const keys = data();
    scaled().invert({ positions, key: keys });
    close(
      keys,
      rotateReference(data(), shape, {
        rotaryDim: 16,
        pairing: "half",
        angle: (pair, token) => -angle(pair, token),
        amplitude: 1 / amplitude,
      }),
    );
  });

  test("adjoint turns by −φ and multiplies by the amplitude", () => {
    const gradient = data();
    scaled().adjoint({ positions, query: gradient });
    close(
      gradient,
      rotateReference(data(), shape, {
        rotaryDim: 16,
        pairing: "half",
        angle: (pair, token) => -angle(pair, token),
        amplitude,
      }),
    );
  });

  test.each(dtypes)("both take out, and %s", (dtype) => {
    for (const method of ["invert", "adjoint"] as const) {
      const inPlace = encode(dtype, noise(160));
      const source = inPlace.slice();
      const out = source.slice().fill(0);
      scaled()[method]({ positions, key: { data: source, shape, dtype }, out: { key: { data: out, shape, dtype } } });
      scaled()[method]({ positions, key: { data: inPlace, shape, dtype } });
      expect(bits(out)).toEqual(bits(inPlace));
    }
  });

  test.each([
    ["forwards", [0, 1, 5, 127, 900], [50, 51, 55, 177, 950]],
    ["backwards", [100, 101, 105, 227, 999], [0, 1, 5, 127, 899]],
    ["each by its own way", [0, 10, 20, 30, 40], [40, 30, 20, 10, 0]],
    ["nowhere", [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]],
  ])("shift moves keys %s, and does not scale them again", (_, from, to) => {
    const keys = data();
    const returned = scaled().shift({ keys, from, to });
    expect(returned).toBe(keys);
    const turn = (pair: number, token: number) => ((to[token]! - from[token]!) * frequency(500, 16, pair)) / 2;
    close(keys, rotateReference(data(), shape, { rotaryDim: 16, pairing: "half", angle: turn }));
  });

  test("shift takes out, a batch, and 16-bit data", () => {
    const words = encode("float16", noise(64)) as Uint16Array;
    const out = new Uint16Array(64);
    const from = [
      [1, 2],
      [3, 4],
    ];
    const to = [
      [0, 1],
      [9, 8],
    ];
    const view = (buffer: Uint16Array): Tensor => ({ data: buffer, shape: [2, 2, 1, 16], dtype: "float16" });
    scaled().shift({ keys: view(words), from, to, out: view(out) });
    expect([...words]).toEqual([...encode("float16", noise(64))]);
    const expected = rotateReference(decode("float16", words), [2, 2, 1, 16], {
      rotaryDim: 16,
      pairing: "half",
      angle: (pair, t, b) => ((to[b]![t]! - from[b]![t]!) * frequency(500, 16, pair)) / 2,
    });
    expectClose("float16", out, expected);
  });

  test("a shifted key equals the key rotated at the new position", () => {
    // With float32 angles too: the shift turns by the difference of the rounded angles.
    for (const precision of ["float32", "float64"] as const) {
      const rope = scaled({ precision });
      const far = positions.map((position) => position + 2 ** 20);
      const [moved, direct] = [data(), data()];
      rope.apply({ positions, key: moved });
      rope.shift({ keys: moved, from: positions, to: far });
      rope.apply({ positions: far, key: direct });
      const error = Math.max(...moved.map((value, i) => Math.abs(value - direct[i]!)));
      // float32 tables: cos and sin of both rotations, and of the amplitude's product, are rounded to float32.
      expect(error).toBeLessThan(precision === "float64" ? 1e-9 : 12 * unit.float32);
    }
  });

  test("a thousand shifts there and back do not drift beyond their own rounding", () => {
    const rope = ropeOf({ headDim: 16, precision: "float64" });
    const keys = Float64Array.from(noise(16));
    for (let i = 0; i < 1000; i++) {
      rope.shift({ keys, from: [i], to: [i + 1] });
    }
    const direct = Float64Array.from(noise(16));
    rope.shift({ keys: direct, from: [0], to: [1000] });
    // A thousand roundings of a unit each, and as many errors of an angle's float64 cosine.
    keys.forEach((value, i) => expect(Math.abs(value - direct[i]!)).toBeLessThan(4 * 1000 * unit.float64 * 2));
  });
});

describe("several axes", () => {
  const grid = ropeOf({ headDim: 8, base: 100, precision: "float64" }, { ropeType: "grid" });
  const places = [
    [3, 1, 4],
    [1, 5, 9],
  ];
  const byAxis = (pair: number, token: number) => places[pair % 2]![token]! * frequency(100, 8, pair);

  test("each pair turns by the position on its own axis", () => {
    const data = Float64Array.from(noise(24));
    grid.apply({ positions: places, query: data });
    expectClose(
      "float64",
      data,
      rotateReference(noise(24), [1, 3, 1, 8], { rotaryDim: 8, pairing: "half", angle: byAxis }),
    );
    expect([...grid.frequencies().axes]).toEqual([0, 1, 0, 1]);
  });

  test("shift, invert and steps use the axes too", () => {
    const moved = Float64Array.from(noise(24));
    const zero = [
      [0, 0, 0],
      [0, 0, 0],
    ];
    grid.shift({ keys: moved, from: zero, to: places });
    const direct = Float64Array.from(noise(24));
    grid.at(places).apply({ key: direct });
    expectClose("float64", moved, [...direct]);
    grid.invert({ positions: places, key: direct });
    expectClose("float64", direct, [...noise(24)]);
  });

  test("axes in the request, over a type of one axis", () => {
    const axes = [0, 1, 0, 1];
    const rope = ropeOf({ headDim: 8, base: 100, precision: "float64", axes });
    expect(rope.capabilities.axisCount).toBe(2);
    expect([...rope.frequencies().axes]).toEqual(axes);
    expect(
      ropeOf({ headDim: 8, base: 100, precision: "float64", axes: Uint8Array.from(axes) as unknown as number[] }),
    ).toBe(rope);
    const [mine, theirs] = [Float32Array.from(noise(24)), Float32Array.from(noise(24))];
    rope.apply({ positions: places, query: mine });
    grid.apply({ positions: places, query: theirs });
    expect(bits(mine)).toEqual(bits(theirs));
    const one = ropeOf({ headDim: 8, axes: [0, 0, 0, 0] });
    expect(one.cosSin([1, 2]).shape).toEqual([2, 4]);
  });
});

describe("a step", () => {
  const rope = ropeOf({ headDim: 16 }, { ropeType: "tuned", factor: 2, amplitude: 1.5 });

  test("has the tables of its positions, and serves every layer", () => {
    const step = rope.at(positions);
    const { cos, sin, shape } = rope.cosSin(positions);
    expect(step).toMatchObject({ cos, sin, shape, effectiveLength: null });
    expect(
      rope.at([
        [1, 2],
        [3, 4],
        [5, 6],
      ]).shape,
    ).toEqual([3, 2, 8]);
    for (let layer = 0; layer < 3; layer++) {
      for (const dtype of dtypes) {
        const viaStep = encode(dtype, noise(5 * 2 * 16, layer + 1));
        const viaApply = viaStep.slice();
        step.apply({ query: asTensor(dtype, viaStep, [5, 2, 16]) });
        rope.apply({ positions, query: asTensor(dtype, viaApply, [5, 2, 16]) });
        expect(bits(viaStep)).toEqual(bits(viaApply));
      }
    }
  });

  test("cos and sin are copies: scribbled on, they change neither this step, nor another, nor the rope", () => {
    const step = rope.at(positions);
    const other = rope.at(positions);
    const expected = Float32Array.from(noise(80));
    rope.apply({ positions, query: expected });
    expect(step.cos).toBe(step.cos);
    step.cos.fill(0);
    step.sin.fill(0);
    const data = Float32Array.from(noise(80));
    step.apply({ query: data });
    expect(bits(data)).toEqual(bits(expected));
    expect(other.cos).toEqual(rope.cosSin(positions).cos);
    expect(other.cos[0]).toBe(1.5);
  });

  test("is frozen", () => {
    const step = rope.at(positions);
    expect(Object.isFrozen(step) && Object.isFrozen(step.shape)).toBe(true);
  });
});

test("explain gives every number with its rule", () => {
  const rope = ropeOf(
    { headDim: 24, rotaryDim: 16, rotaryOffset: 8, pairing: "adjacent", maxPosition: 100 },
    { ropeType: "tuned", factor: 2, amplitude: 1.5 },
  );
  const { spec, rules, pairs } = rope.explain();
  expect(spec).toBe(rope.spec);
  const values = Object.fromEntries(rules.map(({ name, value }) => [name, value]));
  expect(values).toMatchObject({
    ropeType: "tuned",
    headDim: 24,
    rotaryDim: 16,
    base: 10000,
    pairing: "adjacent",
    precision: "float32",
    positionLimit: 100,
    factor: 2,
    attentionFactor: 1.5,
    softmaxScaleFactor: 2,
  });
  expect(rules.every(({ rule }) => rule.length > 0)).toBe(true);
  expect(pairs).toHaveLength(8);
  expect(pairs[3]).toEqual({
    pair: 3,
    elements: [14, 15],
    axis: 0,
    invFreq: rope.frequencies().invFreq[3],
    wavelength: (2 * Math.PI) / rope.frequencies().invFreq[3]!,
    regime: "stretched",
  });
  expect(JSON.parse(JSON.stringify(rope.explain()))).toEqual(rope.explain());
});

test("a rope says what it is", () => {
  const rope = ropeOf(
    { headDim: 24, partialRotaryFactor: 0.69, base: 500, maxPosition: 100, pairing: { blocks: 4 } },
    { ropeType: "tuned", factor: 2, amplitude: 1.5 },
  );
  // trunc(24 · 0.69) = trunc(16.56) = 16
  expect(rope).toMatchObject({
    ropeType: "tuned",
    headDim: 24,
    rotaryDim: 16,
    rotaryOffset: 0,
    base: 500,
    maxPosition: 100,
    pairing: { blocks: 4 },
    precision: "float32",
    positionLimit: 100,
    backend: "js",
    attentionFactor: 1.5,
    softmaxScaleFactor: 2,
  });
  expect(rope.capabilities).toEqual({
    isRotation: true,
    canShift: true,
    dependsOnLength: false,
    fractionalPositions: false,
    axisCount: 1,
  });
  expect(rope.frequencies()).toMatchObject({ attentionFactor: 1.5, softmaxScaleFactor: 2 });
});

/** The pass from projection to cache: norms, factors, slots, 8-bit elements, groups. */

import "@ropewalk/core/pass";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { getRope } from "@ropewalk/core";
import type { PassArguments, PassPlace, RmsNorm, RotaryEmbedding } from "@ropewalk/core";
import { normGradient, toBfloat16, toFloat16 } from "@ropewalk/core/math";
import { bits, caught } from "./failures.ts";
import { testRegistry } from "./providers.ts";
import { noise } from "./reference.ts";

const registry = testRegistry();
const D = 8;
const rope = getRope({ headDim: D, rotaryDim: 6, rotaryOffset: 1, parameters: { ropeType: "plain" } }, { registry });
const scaled = getRope(
  {
    headDim: D,
    parameters: { ropeType: "plain" },
    queryScale: { rule: "temperature", beta: 0.1, length: 4, offset: 1 },
  },
  { registry },
);
const positions = [3, 9, 40];
const T = positions.length;
const floats = (count: number, seed: number): Float32Array => Float32Array.from(noise(count, seed));

/** The order of sums that docs/numerics.md gives, written as the tree that it is. */
function squares(x: Float32Array): number {
  const { fround } = Math;
  const sums = Array.from({ length: 16 }, (_, j) =>
    [...x].filter((_, i) => i % 16 === j).reduce((sum, v) => fround(sum + fround(v * v)), 0),
  );
  const add = (a: number, b: number): number => fround(a + b);
  const v = [0, 1, 2, 3].map((j) => add(add(sums[j]!, sums[j + 4]!), add(sums[j + 8]!, sums[j + 12]!)));
  return add(add(v[0]!, v[1]!), add(v[2]!, v[3]!));
}

/** One norm by its formula; every operation rounds to float32. */
function normReference(x: Float32Array, heads: number, norm: RmsNorm): Float32Array {
  const { fround } = Math;
  const result = new Float32Array(x.length);
  const width = norm.over === "heads" ? heads * D : D;
  for (let start = 0; start < x.length; start += width) {
    let sum = 0;
    for (let h = 0; h < width; h += D) sum = fround(sum + squares(x.subarray(start + h, start + h + D)));
    const mean = fround(sum / width);
    const factor = fround(1 / fround(Math.sqrt(fround(mean + fround(norm.epsilon)))));
    for (let i = 0; i < width; i++) {
      const weight =
        norm.weight === undefined
          ? 1
          : fround((norm.weight as Float32Array)[i % width]! + fround(norm.weightOffset ?? 0));
      result[start + i] = fround(fround(x[start + i]! * factor) * weight);
    }
  }
  return result;
}

const rotated = (x: Float32Array, of: RotaryEmbedding = rope): Float32Array => {
  const copy = x.slice();
  of.apply({ positions, query: copy });
  return copy;
};

describe("norm", () => {
  const heads = 4;
  const cases: Record<string, RmsNorm> = {
    "Qwen 3": { epsilon: 1e-6, weight: floats(D, 5) },
    "Gemma 3": { epsilon: 1e-6, weight: floats(D, 5), weightOffset: 1 },
    "OLMo 2": { epsilon: 1e-5, weight: floats(heads * D, 5), over: "heads" },
    HunYuan: { epsilon: 1e-5, weight: floats(D, 5), when: "after" },
    "Llama 4": { epsilon: 1e-5, when: "after" },
  };
  test.each(Object.entries(cases))("%s equals norm and rotation one after the other, bit for bit", (_, norm) => {
    const x = floats(T * heads * D, 1);
    const expected =
      norm.when === "after" ? normReference(rotated(x), heads, norm) : rotated(normReference(x, heads, norm));
    const query = x.slice();
    rope.apply({ positions, query, norm: { query: norm } });
    expect(bits(query)).toEqual(bits(expected));
    const key = x.slice();
    const out = new Float32Array(x.length);
    expect(rope.at(positions).apply({ key, norm: { key: norm }, out: { key: out } }).key).toBe(out);
    expect(bits(out)).toEqual(bits(expected));
    expect(key).toEqual(x);
  });

  test("float64 is computed in float64", () => {
    const x = noise(T * D, 1);
    const weight = noise(D, 2);
    const query = x.slice();
    rope.apply({ positions, query, norm: { query: { epsilon: 1e-6, weight, when: "before" } } });
    const normalised = x.map((v, i) => {
      const head = x.subarray(i - (i % D), i - (i % D) + D);
      return (v / Math.sqrt(head.reduce((sum, y) => sum + y * y, 0) / D + 1e-6)) * weight[i % D]!;
    });
    rope.apply({ positions, query: normalised });
    // A few roundings of 2^-53 relative to values below 8.
    query.forEach((v, i) => expect(Math.abs(v - normalised[i]!)).toBeLessThan(1e-14));
  });

  test("values may be normalised in place, and are not rotated", () => {
    const value = floats(T * D, 1);
    const expected = normReference(value, 1, { epsilon: 1e-6 });
    rope.apply({ positions, value, norm: { value: { epsilon: 1e-6 } } });
    expect(bits(value)).toEqual(bits(expected));
  });

  test("weights of 16 bits are those numbers", () => {
    const weight = floats(D, 5);
    const half = Uint16Array.from(weight, toBfloat16);
    const wide = new Float32Array(new Uint32Array(Array.from(half, (b) => b << 16)).buffer);
    const [a, b] = [floats(T * D, 1), floats(T * D, 1)];
    rope.apply({ positions, query: a, norm: { query: { epsilon: 0, weight: { data: half, dtype: "bfloat16" } } } });
    rope.apply({ positions, query: b, norm: { query: { epsilon: 0, weight: wide } } });
    expect(bits(a)).toEqual(bits(b));
  });
});

test("queryScale multiplies queries after the rotation by the factors that the step reports", () => {
  const [query, key] = [floats(T * D, 1), floats(T * D, 2)];
  const expected = rotated(query, scaled);
  const step = scaled.at(positions);
  step.queryScale!.forEach((factor, t) => {
    for (let i = t * D; i < (t + 1) * D; i++) expected[i] = Math.fround(expected[i]! * factor);
  });
  const expectedKey = rotated(key, scaled);
  scaled.apply({ positions, query, key, queryScale: true });
  expect(bits(query)).toEqual(bits(expected));
  expect(bits(key)).toEqual(bits(expectedKey));
  expect(step.queryScale![2]).toBeGreaterThan(1.2);
});

describe("packed query, key and value", () => {
  test("views of one buffer are rotated in place and written to caches", () => {
    const [q, kv] = [2, 1];
    const row = (q + 2 * kv) * D;
    const data = floats(T * row, 1);
    const view = (heads: number, offset: number): PassPlace => ({
      data,
      shape: [T, heads, D],
      strides: [row, D, 1],
      offset,
    });
    const before = data.slice();
    const [keys, values] = [new Uint16Array(T * D), new Float32Array(T * D)];
    rope.apply({
      positions,
      query: view(q, 0),
      key: view(kv, q * D),
      value: view(kv, (q + kv) * D),
      out: { key: { data: keys, dtype: "float16", shape: [T, 1, D] }, value: values },
    });
    for (let t = 0; t < T; t++) {
      const part = (from: number, heads: number): Float32Array =>
        before.slice(t * row + from * D, t * row + (from + heads) * D);
      const turned = (x: Float32Array): Float32Array => {
        rope.apply({ positions: [positions[t]!], query: x });
        return x;
      };
      expect(data.slice(t * row, t * row + q * D)).toEqual(turned(part(0, q)));
      expect(data.slice(t * row + q * D, (t + 1) * row)).toEqual(part(q, 2));
      expect(keys.slice(t * D, (t + 1) * D)).toEqual(Uint16Array.from(turned(part(q, 1)), toFloat16));
      expect(values.slice(t * D, (t + 1) * D)).toEqual(part(q + 1, 1));
    }
  });

  test("groups of queries with their key and value, as GPT-NeoX and InternLM 2 pack them", () => {
    const [groups, of] = [3, 2];
    const group = (of + 2) * D;
    const row = groups * group;
    const packed = floats(T * row, 1);
    const data = packed.slice();
    const grouped = (heads: number, offset: number): PassPlace => ({
      data,
      shape: [T, groups * heads, D],
      strides: [row, D, 1],
      offset,
      groups: { heads, stride: group },
    });
    const value = new Float32Array(T * groups * D);
    rope.apply({
      positions,
      query: grouped(of, 0),
      key: grouped(1, of * D),
      value: grouped(1, (of + 1) * D),
      out: { value },
    });
    const heads = (from: number, count: number): Float32Array =>
      Float32Array.from(
        Array.from({ length: T * groups }, (_, i) => [
          ...packed.slice(i * group + from * D, i * group + (from + count) * D),
        ]).flat(),
      );
    const [query, key] = [heads(0, of), heads(of, 1)];
    rope.apply({ positions, query, key });
    for (let i = 0; i < T * groups; i++) {
      expect(data.slice(i * group, i * group + of * D)).toEqual(query.slice(i * of * D, (i + 1) * of * D));
      expect(data.slice(i * group + of * D, i * group + (of + 1) * D)).toEqual(key.slice(i * D, (i + 1) * D));
    }
    expect(value).toEqual(heads(of + 1, 1));
  });
});

describe("slots of a paged cache", () => {
  const [blocks, size, heads] = [4, 2, 2];
  test("each token goes to its slot, and −1 writes nothing", () => {
    const key = floats(T * heads * D, 1);
    const data = new Float32Array(blocks * size * heads * D).fill(7);
    // Heads before slots in each block.
    const cache = { data, shape: [blocks, size, heads, D], strides: [size * heads * D, D, size * D, 1] };
    rope.apply({ positions, key, out: { key: { cache, slots: BigInt64Array.of(5n, -1n, 2n) } } });
    const expected = rotated(key);
    const at = (slot: number, h: number): Float32Array => {
      const start = Math.floor(slot / size) * size * heads * D + h * size * D + (slot % size) * D;
      return data.slice(start, start + D);
    };
    const head = (t: number, h: number): Float32Array => expected.slice((t * heads + h) * D, (t * heads + h + 1) * D);
    for (let h = 0; h < heads; h++) {
      expect(at(5, h)).toEqual(head(0, h));
      expect(at(2, h)).toEqual(head(2, h));
      for (const untouched of [0, 1, 3, 4, 6, 7]) expect(at(untouched, h)).toEqual(new Float32Array(D).fill(7));
    }
    expect(key).toEqual(floats(T * heads * D, 1));
  });

  test("keys that lie in slots are read from there", () => {
    const data = floats(8 * D, 1);
    const query = new Float32Array(T * D);
    rope.apply({ positions, query: { cache: { data, shape: [8, 1, D] }, slots: [6, 0, 3] }, out: { query } });
    expect(query).toEqual(rotated(Float32Array.of(...[6, 0, 3].flatMap((s) => [...data.slice(s * D, (s + 1) * D)]))));
  });

  const refused: Record<string, (cache: Float32Array) => PassArguments> = {
    "a slot beyond the cache": (data) => ({ out: { key: { cache: { data, shape: [8, 1, D] }, slots: [0, 8, 1] } } }),
    "a slot below −1": (data) => ({ out: { key: { cache: { data, shape: [8, 1, D] }, slots: [0, -2, 1] } } }),
    "a slot that is no integer": (data) => ({
      out: { key: { cache: { data, shape: [8, 1, D] }, slots: [0, 0.5, 1] } },
    }),
    "a slot twice": (data) => ({ out: { key: { cache: { data, shape: [8, 1, D] }, slots: [3, 1, 3] } } }),
    "too few slots": (data) => ({ out: { key: { cache: { data, shape: [8, 1, D] }, slots: [3, 1] } } }),
    "other heads": (data) => ({ out: { key: { cache: { data, shape: [4, 2, D] }, slots: [3, 1, 0] } } }),
    "slots of five axes": (data) => ({ out: { key: { cache: { data, shape: [1, 2, 2, 2, D] }, slots: [3, 1, 0] } } }),
    "no slots": (data) => ({ out: { key: { cache: { data, shape: [8, 1, D] } } as never } }),
    "tokens that move inside a cache": (data) => ({
      key: { cache: { data, shape: [8, 1, D] }, slots: [0, 1, 2] },
      out: { key: { cache: { data, shape: [8, 1, D] }, slots: [1, 2, 0] } },
    }),
  };
  test.each(Object.entries(refused))("%s is refused before anything is written", (_, call) => {
    const data = floats(8 * D, 3);
    const [before, key] = [data.slice(), floats(T * D, 1)];
    caught(() => rope.apply({ positions, key, ...call(data) }), "ROPE_SHAPE");
    expect(data).toEqual(before);
    expect(key).toEqual(floats(T * D, 1));
  });
});

describe("8-bit caches", () => {
  /** Every number of float8_e4m3, by the definition of its fields. */
  const float8 = Array.from({ length: 127 }, (_, i) => {
    const [exponent, fraction] = [i >> 3, i & 7];
    return exponent === 0 ? (fraction / 8) * 2 ** -6 : (1 + fraction / 8) * 2 ** (exponent - 7);
  });
  const wide = getRope(
    { headDim: 256, rotaryDim: 2, rotaryOffset: 254, parameters: { ropeType: "plain" } },
    { registry },
  );

  test("float8_e4m3 rounds to nearest, ties to even, and stops at 448", () => {
    const inputs = [...float8, ...float8.slice(1).map((v, i) => (v + float8[i]!) / 2), 449, 1e9, Infinity, NaN];
    const value = new Float32Array(256).map((_, i) => (i < inputs.length ? inputs[i]! : 0));
    const data = new Uint8Array(256);
    const cache = { data, dtype: "float8_e4m3", scale: 1, shape: [1, 1, 256] } as const;
    wide.apply({ positions: [0], value, out: { value: cache } });
    for (let i = 0; i < 127; i++) expect(data[i], `${float8[i]}`).toBe(i);
    for (let i = 0; i < 126; i++) expect(data[127 + i], `above ${float8[i]}`).toBe(i + (i % 2));
    expect([...data.slice(253)]).toEqual([126, 126, 126]);
    const negative = new Uint8Array(256);
    wide.apply({ positions: [0], value: value.map((v) => -v), out: { value: { ...cache, data: negative } } });
    for (let i = 0; i < 127; i++) expect(negative[i]).toBe(i + 128);
    const last = new Float32Array(256).fill(NaN);
    wide.apply({ positions: [0], value: last, out: { value: { ...cache, data: negative } } });
    expect(negative[0]! & 127).toBe(127);
  });

  test("a float8 cache with a scale gives its numbers back", () => {
    const data = Uint8Array.from({ length: 256 }, (_, i) => (i % 128 === 127 ? 0 : i));
    const value = new Float32Array(256);
    wide.apply({
      positions: [0],
      value: { data, dtype: "float8_e4m3", scale: 0.5, shape: [1, 1, 256] },
      out: { value },
    });
    for (let i = 0; i < 256; i++) {
      const number = i % 128 === 127 ? 0 : float8[i % 128]! / 2;
      expect(value[i]).toBe(i < 128 || number === 0 ? (i === 128 ? -0 : number) : -number);
    }
  });

  test("int8: the scale of a head is its largest magnitude / 127, and every element is within half a step", () => {
    fc.assert(
      fc.property(
        fc.float32Array({ minLength: 2 * D, maxLength: 2 * D, noNaN: true, noDefaultInfinity: true }),
        (given) => {
          const x = given.map((v) => (Math.abs(v) > 1e30 ? v * 1e-10 : v));
          const [data, scales] = [new Int8Array(2 * D), new Float32Array(2)];
          const cache = { data, scales, shape: [1, 2, D] };
          rope.apply({ positions: [0], value: x, out: { value: cache } });
          for (let h = 0; h < 2; h++) {
            const head = x.slice(h * D, (h + 1) * D);
            expect(scales[h]).toBe(Math.fround(Math.max(...head.map(Math.abs)) / 127));
            head.forEach((v, i) => {
              // Half a step, and the rounding of scale and quotient; a scale below 2^-126 has no relative accuracy.
              const bound = scales[h]! * (0.5 + 127 * 2 ** -23) + 127 * 2 ** -149;
              expect(Math.abs(data[h * D + i]! * scales[h]! - v)).toBeLessThanOrEqual(bound);
            });
          }
        },
      ),
    );
  });

  test("int8: a head with NaN has the scale NaN, one with an infinity the scale infinity", () => {
    const [data, scales] = [new Int8Array(2 * D), new Float32Array(2)];
    const value = floats(2 * D, 1);
    [value[1], value[D]] = [NaN, -Infinity];
    rope.apply({ positions: [0], value, out: { value: { data, scales, shape: [1, 2, D] } } });
    expect([...scales]).toEqual([NaN, Infinity]);
    expect([...data]).toEqual(new Array(2 * D).fill(0));
  });

  test("shift moves quantised keys in their slots, within two roundings", () => {
    const [data, scales] = [new Int8Array(6 * D), new Float32Array(6)];
    const place = { cache: { data, scales, shape: [6, 1, D] }, slots: [4, 1, 2] };
    const key = floats(T * D, 1);
    rope.apply({ positions, key, out: { key: place } });
    const to = [0, 6, 37];
    expect(rope.shift({ keys: place, from: positions, to })).toBe(place);
    const expected = key.slice();
    rope.apply({ positions: to, key: expected });
    place.slots.forEach((slot, t) => {
      const head = expected.slice(t * D, (t + 1) * D);
      const largest = Math.max(...key.slice(t * D, (t + 1) * D).map(Math.abs)) * Math.SQRT2;
      for (let i = 0; i < D; i++) {
        // Half a step of each rounding; the first is turned, which may sum the errors of two elements.
        const bound = (largest / 127) * (Math.SQRT1_2 + 0.5) * 1.02;
        expect(Math.abs(data[slot * D + i]! * scales[slot]! - head[i]!)).toBeLessThan(bound);
      }
    });
    expect(scales[0]).toBe(0);
  });

  const refused: Record<string, () => PassPlace> = {
    "float8 without a scale": () => ({ data: new Uint8Array(T * D), dtype: "float8_e4m3", shape: [T, 1, D] }),
    "float8 without a dtype": () => ({ data: new Uint8Array(T * D), scale: 1, shape: [T, 1, D] }),
    "float8 with the scale 0": () => ({
      data: new Uint8Array(T * D),
      dtype: "float8_e4m3",
      scale: 0,
      shape: [T, 1, D],
    }),
    "int8 without scales": () => ({ data: new Int8Array(T * D), shape: [T, 1, D] }),
    "int8 with scales of other heads": () => ({
      data: new Int8Array(T * D),
      scales: floats(2 * T, 1),
      shape: [T, 1, D],
    }),
    "int8 with float64 scales": () => ({ data: new Int8Array(T * D), scales: noise(T), shape: [T, 1, D] }),
    "a scale for float32": () => ({
      cache: { data: new Float32Array(T * D), scale: 2, shape: [T, 1, D] },
      slots: [0, 1, 2],
    }),
  };
  test.each(Object.entries(refused))("%s is refused", (_, place) => {
    const key = floats(T * D, 1);
    caught(() => rope.apply({ positions, key, out: { key: place() } }), "ROPE_SHAPE");
  });
});

describe("errors", () => {
  const query = (): Float32Array => floats(T * D, 1);
  test.each<[string, () => PassArguments]>([
    [
      "a weight of another length",
      () => ({ query: query(), norm: { query: { epsilon: 0, weight: floats(D + 1, 1) } } }),
    ],
    ["a norm without its tensor", () => ({ query: query(), norm: { key: { epsilon: 0 } } })],
    ["values without a destination", () => ({ query: query(), value: query() })],
    [
      "values over queries",
      () => {
        const q = query();
        return { query: q, value: floats(T * D, 2), out: { value: q } };
      },
    ],
    ["nothing", () => ({ norm: {} })],
    ["a destination without its tensor", () => ({ query: query(), out: { value: query() } })],
    ["factors without queries", () => ({ key: query(), queryScale: true })],
  ])("%s", (_, call) => void caught(() => scaled.apply({ positions, ...call() }), "ROPE_SHAPE"));

  test.each<[string, object]>([
    ["no epsilon", { norm: { query: {} } }],
    ["a negative epsilon", { norm: { query: { epsilon: -1 } } }],
    ["an unknown key", { norm: { query: { epsilon: 1, eps: 1 } } }],
    ["an offset without a weight", { norm: { query: { epsilon: 1, weightOffset: 1 } } }],
    ["over another axis", { norm: { query: { epsilon: 1, over: "tokens" } } }],
    ["another order", { norm: { query: { epsilon: 1, when: "never" } } }],
    ["a norm of another tensor", { norm: { gate: { epsilon: 1 } } }],
    ["a factor as queryScale", { queryScale: 2 }],
    ["factors of a rope without them", { queryScale: true }],
  ])("%s", (_, call) => {
    const given = query();
    caught(() => rope.apply({ positions, query: given, ...call } as never), "ROPE_INVALID_PARAMETERS");
    expect(given).toEqual(query());
  });

  test("norms and factors belong to apply", () => {
    for (const operation of ["invert", "adjoint"] as const) {
      caught(() => rope[operation]({ positions, query: query(), norm: { query: { epsilon: 1 } } }), "ROPE_UNSUPPORTED");
      caught(() => scaled.at(positions)[operation]({ query: query(), queryScale: true }), "ROPE_UNSUPPORTED");
    }
  });

  test("a backend that only rotates refuses a pass", () => {
    const local = testRegistry();
    local.registerBackend({
      specificationVersion: 1,
      name: "rotates",
      source: "test@1.0.0",
      create: ({ withExecutor }) => withExecutor({ name: "rotates", rotate: () => {} }),
    });
    const on = getRope({ headDim: D, parameters: { ropeType: "plain" } }, { registry: local }).to(
      "rotates",
    ) as RotaryEmbedding;
    const error = caught(() => on.apply({ positions, query: query(), norm: {} }), "ROPE_UNSUPPORTED");
    expect(error.facts.backend).toBe("rotates");
  });
});

describe("the gradient of norm and rotation", () => {
  const weight = noise(D, 9);
  const norms: Record<string, RmsNorm> = {
    before: { epsilon: 1e-3, weight, weightOffset: 1 },
    after: { epsilon: 1e-3, weight, when: "after" },
    "over heads, without a weight": { epsilon: 1e-3, over: "heads" },
  };
  test.each(Object.entries(norms))("%s: it is that of finite differences", (_, norm) => {
    const shape = [T, 2, D];
    const x = noise(T * 2 * D, 1);
    const incoming = noise(T * 2 * D, 2);
    // L = Σ incoming · apply(x).
    const loss = (input: Float64Array, settings: RmsNorm): number => {
      const query = input.slice();
      rope.apply({ positions, query, norm: { query: settings } });
      return query.reduce((sum, v, i) => sum + v * incoming[i]!, 0);
    };
    const view = (data: Float64Array) => ({ data, shape });
    const turned = incoming.slice();
    const step = rope.at(positions);
    let gradient: Float64Array;
    let ofWeight: Float64Array | null;
    if (norm.when === "after") {
      const between = x.slice();
      step.apply({ query: between });
      ({ input: gradient, weight: ofWeight } = normGradient(view(between), view(incoming), norm));
      step.adjoint({ query: gradient });
    } else {
      step.adjoint({ query: turned });
      ({ input: gradient, weight: ofWeight } = normGradient(view(x), view(turned), norm));
    }
    const h = 1e-5;
    // Central differences: h² times the third derivative, and 1e-16 / h of rounding.
    x.forEach((_value, i) => {
      const [up, down] = [x.slice(), x.slice()];
      up[i]! += h;
      down[i]! -= h;
      expect(Math.abs((loss(up, norm) - loss(down, norm)) / (2 * h) - gradient[i]!), `x[${i}]`).toBeLessThan(1e-8);
    });
    ofWeight?.forEach((value, i) => {
      const changed = (by: number): RmsNorm => ({ ...norm, weight: weight.map((w, k) => (k === i ? w + by : w)) });
      const slope = (loss(x, changed(h)) - loss(x, changed(-h))) / (2 * h);
      expect(Math.abs(slope - value), `weight[${i}]`).toBeLessThan(1e-8);
    });
    expect(ofWeight === null).toBe(norm.weight === undefined);
  });

  test("tensors that do not fit are refused", () => {
    const x = { data: noise(D), shape: [1, 1, D] };
    caught(() => normGradient(x, { data: noise(2 * D), shape: [1, 2, D] }, { epsilon: 0 }), "ROPE_SHAPE");
    caught(() => normGradient(noise(D) as never, x, { epsilon: 0 }), "ROPE_SHAPE");
    caught(() => normGradient(x, x, { epsilon: 0, weight: noise(D + 1) }), "ROPE_SHAPE");
    caught(() => normGradient(x, x, {} as never), "ROPE_INVALID_PARAMETERS");
  });
});

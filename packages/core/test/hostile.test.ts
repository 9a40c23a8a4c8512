/**
 * Arguments, arrays and providers that lie. Nothing may be written outside of what was described, nothing may take time
 * or memory that the data does not, and every refusal is a RopeError.
 */

import { afterEach, describe, expect, test } from "vitest";
import { createRegistry, getRopeUntyped, ropeCacheStatistics, RopeError } from "@ropewalk/core";
import type { RopeProvider, RotaryEmbedding, UntypedRopeRequest } from "@ropewalk/core";
import { angleGradient, inverseFrequencies, permuteRows, rotate } from "@ropewalk/core/math";
import { bits, caught } from "./failures.ts";
import { plain, stepped, testRegistry } from "./providers.ts";

const registry = testRegistry();
const ropeOf = (request: object): RotaryEmbedding => getRopeUntyped(request as UntypedRopeRequest, { registry });
const rope = ropeOf({ headDim: 16, parameters: { ropeType: "plain" } });

describe("a tensor without elements is no work, whatever its other sizes", () => {
  const huge = [1e10, 0, 1, 16];
  const none = (dtype?: string) => ({
    data: dtype === undefined ? new Float32Array(0) : new Uint16Array(0),
    ...(dtype && { dtype }),
  });
  const tensor = (shape: readonly number[], dtype?: string) => ({ ...none(dtype), shape }) as never;

  test("apply, a step, shift, in every element type", () => {
    for (const dtype of [undefined, "float16", "bfloat16"]) {
      rope.apply({ positions: [], query: tensor(huge, dtype) });
      rope.apply({ positions: [0], query: tensor([0, 1, 2 ** 40, 16], dtype) });
      rope.apply({
        positions: [0],
        query: tensor([2 ** 40, 1, 0, 16], dtype),
        out: { query: tensor([2 ** 40, 1, 0, 16]) },
      });
      rope.at([0]).invert({ key: tensor([2 ** 50, 1, 0, 16], dtype) });
      rope.shift({ keys: tensor(huge, dtype), from: [], to: [] });
    }
  });

  test("no table for tokens without heads", () => {
    const wide = ropeOf({ headDim: 65536, parameters: { ropeType: "plain" } });
    // The table would be of 2^39 numbers.
    wide.apply({ positions: { start: 0, count: 2 ** 24 }, query: tensor([2 ** 24, 0, 65536]) });
  });

  test("rotation by given tables, and the gradient", () => {
    const table = { data: new Float32Array(0), shape: [1e10, 0] };
    caught(() => rotate(tensor(huge), { cos: table, sin: table, pairing: "half" }), "ROPE_SHAPE");
    const row = new Float32Array(8);
    rotate(tensor([2 ** 40, 1, 0, 16]), { cos: row, sin: row, pairing: "half" });
    expect(angleGradient(tensor(huge), tensor(huge), { pairing: "half" })).toHaveLength(0);
  });
});

describe("memory that the platform does not provide is a RopeError", () => {
  const wide = ropeOf({ headDim: 65536, parameters: { ropeType: "plain" } });
  const all = { start: 0, count: 2 ** 24 };
  test.each<[string, () => unknown]>([
    ["cosSin", () => wide.cosSin(all)],
    ["cosSin in one table", () => wide.cosSin(all, { form: "concatenated", dtype: "bfloat16" })],
    ["a step", () => wide.at(all).cos],
    [
      "the gradient of repeated elements",
      () => {
        const view = { data: new Float32Array(16), shape: [2 ** 40, 1, 1, 16], strides: [0, 0, 0, 1] };
        return angleGradient(view, view, { pairing: "half" });
      },
    ],
    [
      "positions that say that they are many",
      () =>
        rope.at(
          new (class extends Int32Array {
            override get length(): number {
              return 2 ** 40;
            }
          })(2),
        ).cos.length === 16 || expect.fail("read its length"),
    ],
  ])("%s", (name, action) => {
    if (name.startsWith("positions")) action();
    else caught(action, "ROPE_SHAPE");
  });
});

describe("arrays that lie about themselves", () => {
  /** A class whose named property answers something else from its second reading on, or at once. */
  const lying = (property: string, lie: unknown, honestReadings: number) => {
    class Lying extends Float32Array {}
    let readings = 0;
    const { get } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Float32Array.prototype) as object, property)!;
    Object.defineProperty(Lying.prototype, property, {
      get(this: unknown) {
        return readings++ < honestReadings ? (get!.call(this) as unknown) : lie;
      },
    });
    return Lying;
  };
  const strided = { shape: [2, 1, 16], strides: [32, 16, 1], offset: 8 };

  test.each(["length", "byteOffset", "buffer", "byteLength"] as const)("%s", (property) => {
    for (const honest of [0, 1, 2, 3, 5, 8]) {
      for (const lie of [0, 8, 4096, 2 ** 40, -64, NaN, undefined, new ArrayBuffer(1 << 16)]) {
        const memory = new Float32Array(256).fill(1);
        const expected = memory.slice();
        rope.apply({ positions: [1, 2], query: { data: expected.subarray(64, 160), ...strided } });
        const data = new (lying(property, lie, honest))(memory.buffer, 64 * 4, 96);
        rope.apply({ positions: [1, 2], query: { data, ...strided } });
        expect(bits(memory)).toEqual(bits(expected));
        // A lie about the length does not let more be written.
        caught(() => rope.apply({ positions: [1, 2], query: { data, ...strided, offset: 64 } }), "ROPE_SHAPE");
        expect(bits(memory)).toEqual(bits(expected));
      }
    }
  });

  test("a property of the array's own", () => {
    const memory = new Float32Array(256).fill(1);
    const data = Object.defineProperties(memory.subarray(64, 80), {
      length: { get: () => 4096 },
      byteOffset: { get: () => 0 },
      set: { get: () => expect.fail("called") as never },
      subarray: { get: () => expect.fail("called") as never },
    });
    rope.apply({ positions: [1], query: { data, shape: [1, 1, 16] }, out: { query: memory.subarray(16, 32) } });
    rope.apply({ positions: [1], query: data });
    expect(memory.subarray(0, 16).every((value) => value === 1)).toBe(true);
    expect(memory.subarray(80).every((value) => value === 1)).toBe(true);
    expect(memory[64]).not.toBe(1);
  });

  test("cosSin writes to no more than its arrays", () => {
    const memory = new Float32Array(64);
    const cos = new (lying("length", 8, 0))(memory.buffer, 0, 8);
    const sin = new (lying("byteOffset", 0, 0))(memory.buffer, 32 * 4, 8);
    const result = rope.cosSin([1], { out: { cos, sin } });
    expect(result.cos).toBe(cos);
    expect(memory.subarray(32, 40)).toEqual(rope.cosSin([1]).sin);
    const short = new (lying("length", 8, 0))(memory.buffer, 0, 4);
    caught(() => rope.cosSin([1], { out: { cos: short, sin } }), "ROPE_SHAPE");
  });

  test("rows to permute, tables, and lists in a request", () => {
    const rows = new (lying("length", 2 ** 40, 0))(4);
    rows.set([0, 1, 2, 3]);
    expect([...permuteRows(rows, { headDim: 4, from: "half", to: "adjacent" })]).toEqual([0, 2, 1, 3]);
    // A Buffer's slice shares its memory.
    const buffer = Buffer.from([0, 1, 2, 3]);
    expect([...permuteRows(buffer, { headDim: 4, from: "half", to: "adjacent" })]).toEqual([0, 2, 1, 3]);
    expect([...buffer]).toEqual([0, 1, 2, 3]);
    const cos = new (lying("length", 2 ** 40, 0))(8);
    const data = new Float32Array(16).fill(1);
    rotate(data, { cos, sin: new Float32Array(8).fill(1), pairing: "half", headDim: 16 });
    expect([...data]).toEqual([...new Array(8).fill(-1), ...new Array(8).fill(1)]);
    class Endless extends Array<number> {
      override *[Symbol.iterator](): ArrayIterator<number> {
        for (;;) yield 1;
      }
    }
    const weights = Endless.from({ length: 2 }, () => 1);
    const own = ropeOf({ headDim: 16, parameters: { ropeType: "tuned", factor: 2, weights } });
    expect(own.spec.parameters["weights"]).toEqual([1, 1]);
  });
});

describe("getters that change memory while a call is checked", () => {
  const good = { shape: [1, 1, 16] };
  const detach = (buffer: ArrayBuffer): void => void structuredClone(buffer, { transfer: [buffer] });

  test.each(["data", "shape", "strides", "offset", "dtype"])("a key whose %s detaches the query", (name) => {
    const query = new Float32Array(16).fill(1);
    const key = new Float32Array(16).fill(1);
    const evil = {
      data: key,
      ...good,
      get [name]() {
        detach(query.buffer);
        return name === "data" ? key : name === "shape" ? good.shape : undefined;
      },
    };
    caught(() => rope.apply({ positions: [1], query, key: evil }), "ROPE_SHAPE");
    expect([...key]).toEqual(new Array(16).fill(1));
  });

  test("an out whose shape makes the buffer of its input smaller", () => {
    type Resizable = ArrayBuffer & { resize(bytes: number): void };
    const buffer = Reflect.construct(ArrayBuffer, [64, { maxByteLength: 64 }]) as Resizable;
    const query = new Float32Array(buffer);
    query.fill(1);
    const out = {
      data: new Float32Array(16),
      get shape() {
        buffer.resize(32);
        return good.shape;
      },
    };
    caught(() => rope.apply({ positions: [1], query, out: { query: out } }), "ROPE_SHAPE");
    expect([...out.data]).toEqual(new Array(16).fill(0));
  });

  test("each property of a view is read once", () => {
    const reads: string[] = [];
    const view = new Proxy(
      { data: new Float32Array(32), shape: [1, 1, 16], strides: [16, 16, 1], offset: 16 },
      {
        get(target, key) {
          reads.push(String(key));
          return Reflect.get(target, key) as unknown;
        },
      },
    );
    rope.apply({ positions: [1], query: view });
    expect(reads.sort()).toEqual(["data", "dtype", "offset", "shape", "strides"]);
  });

  test("a shape that changes between two readings describes what was checked", () => {
    const data = new Float32Array(64).fill(1);
    let readings = 0;
    const shape = new Proxy([1, 1, 16], {
      get: (target, key) => (key === "0" || key === "1" ? (readings++ < 3 ? 1 : 4) : Reflect.get(target, key)),
    });
    for (const strides of [undefined, [16, 16, 1]]) {
      readings = 0;
      try {
        rope.apply({ positions: [1], query: { data: data.subarray(0, 16), shape, ...(strides && { strides }) } });
      } catch (error) {
        expect(RopeError.is(error)).toBe(true);
      }
      expect(data.subarray(16).every((value) => value === 1)).toBe(true);
    }
  });
});

describe("the instance cache is bounded in bytes", () => {
  const wide = (base: number, more: object = {}) => ({
    headDim: 65536,
    base,
    ...more,
    parameters: { ropeType: "plain" },
  });
  test.each<[string, (i: number) => object]>([
    ["wide heads", (i) => wide(i + 2)],
    ["long lists", (i) => wide(2, { pairFactors: Array.from({ length: 32768 }, (_, k) => 1 + (k + i) / 1e6) })],
    ["several lengths", (i) => ({ ...wide(i + 2), parameters: { ropeType: "stepped" } })],
  ])("%s", (_, request) => {
    const own = testRegistry();
    const get = (i: number) => getRopeUntyped(request(i) as UntypedRopeRequest, { registry: own });
    const count = 80;
    let last = get(0);
    for (let i = 1; i < count; i++) last = get(i);
    const { size, bytes, byteCapacity, evictions } = ropeCacheStatistics(own);
    expect(byteCapacity).toBe(2 ** 26);
    expect(bytes).toBeLessThanOrEqual(byteCapacity);
    // No rope holds less than its frequencies.
    expect(bytes).toBeGreaterThan(size * 32768 * 8);
    expect(size + evictions).toBe(count);
    expect(evictions).toBeGreaterThan(0);
    expect(get(count - 1)).toBe(last);
  });

  test("usual heads are bounded in number alone", () => {
    const own = testRegistry();
    for (let i = 0; i < 256; i++) {
      getRopeUntyped({ headDim: 128, base: 2 + i, parameters: { ropeType: "plain" } }, { registry: own });
    }
    expect(ropeCacheStatistics(own)).toMatchObject({ size: 256, evictions: 0 });
  });
});

describe("results are finite", () => {
  const tuned = (amplitude: number, more: object = {}) => ({
    headDim: 16,
    ...more,
    parameters: { ropeType: "tuned", factor: 1, amplitude },
  });
  test.each<[string, object]>([
    ["an amplitude beyond float32", tuned(1e308)],
    ["an amplitude that float32 rounds to infinity", tuned(3.41e38)],
    ["an amplitude whose inverse is not finite", tuned(1e-39)],
    ["the same with exact angles", tuned(1e300, { precision: "float64" })],
    ["the smallest base", { headDim: 16, base: 5e-324, parameters: { ropeType: "plain" } }],
    ["the smallest base, exact", { headDim: 4, base: 5e-324, precision: "float64", parameters: { ropeType: "plain" } }],
    ["angles beyond float32 at the last position", { headDim: 4, base: 1e-70, parameters: { ropeType: "plain" } }],
    ["factors of pairs", { headDim: 4, pairFactors: [1e300, 1], parameters: { ropeType: "plain" } }],
    [
      "factors of pairs, exact",
      { headDim: 4, pairFactors: [1e300, 1], precision: "float64", parameters: { ropeType: "plain" } },
    ],
    ["a length that the rope may reach", { headDim: 4, maxPosition: 2 ** 23, parameters: { ropeType: "growing" } }],
  ])("%s is refused when the rope is made", (_, request) => {
    const own = testRegistry();
    own.register("growing", {
      ...stepped,
      effectiveLength: (length: number) => length,
      frequencies: ({ length, rotaryDim }) => ({
        invFreq: new Array<number>(rotaryDim / 2).fill(1),
        attentionFactor: 10 ** (length! / 2 ** 17),
      }),
    });
    caught(() => getRopeUntyped(request as UntypedRopeRequest, { registry: own }), "ROPE_INVALID_PARAMETERS");
  });

  test("at the edge of what is accepted", () => {
    const edges: readonly object[] = [
      tuned(3.4e38),
      tuned(2 ** -126),
      { headDim: 4, base: 2 ** -206, precision: "float64", parameters: { ropeType: "plain" } },
      { headDim: 4, base: 2 ** -126, parameters: { ropeType: "plain" } },
    ];
    for (const request of edges) {
      const own = ropeOf(request);
      const positions = [0, 1, 12345, 2 ** 24];
      for (const dtype of ["float32", "float64"] as const) {
        const { cos, sin } = own.cosSin(positions, { dtype });
        for (const values of [cos, sin]) expect((values as Float32Array).every(Number.isFinite)).toBe(true);
        const data = dtype === "float32" ? new Float32Array(4 * own.headDim) : new Float64Array(4 * own.headDim);
        data.fill(1e-3);
        own.apply({ positions, query: data });
        expect((data as Float32Array).every(Number.isFinite)).toBe(true);
      }
    }
  });
});

describe("a provider that answers what it should not is named", () => {
  const answers: readonly (readonly [string, unknown])[] = [
    ["undefined", undefined],
    ["null", null],
    ["a number", 5],
    ["text", "no"],
    ["a symbol", Symbol("no")],
    ["a bigint", 1n],
    ["a promise", Promise.resolve({})],
    ["a function", () => ({})],
    ["a list of holes", new Array(8)],
    ["a list of null", new Array(8).fill(null)],
    ["a long list of holes", new Array(2 ** 32 - 1)],
    ["a revoked proxy", (({ proxy, revoke }) => (revoke(), proxy))(Proxy.revocable({}, {}))],
  ];
  const fine = { invFreq: new Array<number>(8).fill(0.5) };
  const source = "liar@1.0.0";
  const request = { headDim: 16, parameters: { ropeType: "liar" } };
  const use = (provider: object): void => {
    const own = createRegistry();
    own.register("liar", { ...plain, source, ...provider } as RopeProvider);
    own.register("plain", plain);
    const made = getRopeUntyped(request, { registry: own });
    made.explain();
    made.apply({ positions: [1], query: new Float32Array(16) });
    made.effectiveLength(7);
  };
  const refused = (provider: object): void => {
    const error = caught(() => use(provider), "ROPE_INVALID_PARAMETERS");
    expect(error.message).toContain(source);
  };
  const parts = (...names: string[]) =>
    answers.flatMap(([what, answer]) => names.map((name) => [name, what, answer] as const));

  test.each(answers)("frequencies: %s", (_, answer) => refused({ frequencies: () => answer }));
  test.each(
    parts("invFreq", "attentionFactor", "softmaxScaleFactor", "axes", "extendedMaxPosition", "rules", "regimes"),
  )("%s: %s", (name, what, answer) => {
    // Absent parts have defaults, and the words of regimes may be anything.
    const isFine =
      (what === "undefined" && name !== "invFreq") ||
      (what === "a number" && /Factor$|Position$/.test(name)) ||
      (name === "regimes" && (what === "a list of holes" || what === "a list of null"));
    const provider = { frequencies: () => ({ ...fine, [name]: answer }) };
    if (isFine) use(provider);
    else refused(provider);
  });
  test.each(answers)("capabilities: %s", (_, answer) => refused({ capabilities: () => answer }));
  test.each(parts("isRotation", "canShift", "dependsOnLength", "fractionalPositions", "axisCount"))(
    "capability %s: %s",
    (name, what, answer) => {
      const provider = { capabilities: { [name]: answer } };
      if (what === "undefined") use(provider);
      else refused(provider);
    },
  );
  test.each(answers)("check: %s", (_, answer) => refused({ check: () => answer }));
  test.each(answers)("effectiveLength: %s", (what, answer) => {
    const provider = {
      capabilities: { dependsOnLength: true },
      effectiveLength: () => answer,
      frequencies: () => fine,
    };
    if (what === "a number") use(provider);
    else refused(provider);
  });
  test.each(answers)("rewrite: %s", (_, answer) => {
    const error = caught(() => use({ frequencies: undefined, rewrite: () => answer }), "ROPE_INVALID_PARAMETERS");
    expect(error.message).toMatch(/liar/);
  });
  test.each(answers)("a parameter's rule: %s", (what, answer) => {
    if (typeof answer !== "object" && what !== "undefined") return;
    const error = caught(() => use({ parameters: { size: answer } }), "ROPE_INVALID_PARAMETERS");
    expect(error.message).toMatch(/liar/);
  });
  test.each([
    ["frequencies", {}],
    ["capabilities", {}],
    ["check", {}],
    ["effectiveLength", { capabilities: { dependsOnLength: true } }],
  ])("%s that throws", (name, more) => {
    refused({
      ...more,
      [name]() {
        throw new TypeError("a mistake inside");
      },
    });
  });

  test("what it changes later does not reach the rope", () => {
    const invFreq = new Array<number>(8).fill(0.5);
    const made = getRopeUntyped(request, { provider: { ...plain, source, frequencies: () => ({ invFreq }) } });
    invFreq.fill(NaN);
    expect([...made.frequencies().invFreq]).toEqual(new Array(8).fill(0.5));
  });
});

describe("a property on Object.prototype changes nothing", () => {
  const pollute = (name: string, value: unknown): void => {
    // oxlint-disable-next-line no-extend-native -- as a faulty script on the page would
    Object.defineProperty(Object.prototype, name, { value, enumerable: true, configurable: true, writable: true });
  };
  const names = [
    ...["evil", "pairing", "axes", "rotaryDim", "partialRotaryFactor", "specificationVersion", "queryScale"],
    ...[
      "offset",
      "strides",
      "dtype",
      "out",
      "length",
      "start",
      "step",
      "data",
      "query",
      "registry",
      "provider",
      "width",
    ],
    ...["rules", "attentionFactor", "rotaryOffset", "columns", "aliases", "buffer"],
  ];
  afterEach(() => {
    for (const name of names) delete (Object.prototype as Record<string, unknown>)[name];
  });

  /** Every kind of call, as text. */
  const results = (): string => {
    const own = testRegistry();
    own.register("spelled", {
      specificationVersion: 1,
      source: "spelled@1.0.0",
      parameters: {},
      rewrite: () => ({ parameters: { ropeType: "plain" } }),
    });
    const made = ["plain", "grid", "spelled"].map((ropeType) =>
      getRopeUntyped({ headDim: 16, parameters: { ropeType } }, { registry: own }),
    );
    const data = Float32Array.from({ length: 16 }, (_, i) => i);
    made[0]!.apply({ positions: [3], query: { data, shape: [1, 1, 16] } });
    made[0]!.apply({ positions: { data: [1, 2], shape: [2] }, query: new Float32Array(32) });
    made[0]!.apply({ positions: { start: 1, count: 2 }, query: new Float32Array(32), key: new Float32Array(32) });
    made[0]!.at([3]).apply({ query: data, out: { query: new Float32Array(16) } });
    rotate(data, { cos: new Float32Array(8), sin: new Float32Array(8).fill(1), pairing: "half", headDim: 16 });
    const view = { data, shape: [1, 1, 16] };
    return JSON.stringify([
      made.map(({ spec }) => spec),
      [...data],
      [...permuteRows(data, { headDim: 16, from: "half", to: "adjacent" })],
      [...angleGradient(view, view, { pairing: "half" })],
      made[0]!.cosSin([1], { form: "complex" }).shape,
    ]);
  };

  test.each(names)("%s", (name) => {
    const expected = results();
    pollute(name, name === "axes" ? [0, 1, 0, 1, 0, 1, 0, 1] : name === "pairing" ? "adjacent" : 2);
    const found = results();
    delete (Object.prototype as Record<string, unknown>)[name];
    expect(found).toBe(expected);
  });
});

test("inverseFrequencies takes numbers of its number systems only", () => {
  caught(() => inverseFrequencies({ hi: 1 } as never, 4, undefined as never), "ROPE_INVALID_PARAMETERS");
});

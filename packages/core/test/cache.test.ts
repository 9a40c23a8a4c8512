import { beforeEach, describe, expect, test } from "vitest";
import { clearRopeCache, getRope, getRopeUntyped, ropeCacheStatistics } from "@ropewalk/core";
import type { RopeRequest, UntypedRopeRequest } from "@ropewalk/core";
import { caught } from "./failures.ts";
import { testRegistry } from "./providers.ts";
import type { TunedParameters } from "./providers.ts";

let registry = testRegistry();
beforeEach(() => {
  registry = testRegistry();
});
const get = (request: object) => getRopeUntyped(request as UntypedRopeRequest, { registry });

const tunedRequest = (parameters: Partial<TunedParameters> = {}, request: Partial<RopeRequest> = {}): RopeRequest => ({
  headDim: 64,
  ...request,
  parameters: { ropeType: "tuned", factor: 4, ...parameters },
});

describe("an equal request gives the same instance", () => {
  test.each<[string, object]>([
    ["again", { headDim: 64, base: 500, parameters: { ropeType: "tuned", factor: 4, weights: [1, 2] } }],
    [
      "in another order of keys",
      { parameters: { weights: [1, 2], factor: 4, ropeType: "tuned" }, base: 500, headDim: 64 },
    ],
    [
      "with a Float64Array for a list",
      { headDim: 64, base: 500, parameters: { ropeType: "tuned", factor: 4, weights: Float64Array.of(1, 2) } },
    ],
    [
      "with a Float32Array for a list",
      { headDim: 64, base: 500, parameters: { ropeType: "tuned", factor: 4, weights: Float32Array.of(1, 2) } },
    ],
    [
      "with what is absent undefined",
      {
        headDim: 64,
        base: 500,
        rotaryDim: undefined,
        parameters: { ropeType: "tuned", factor: 4, weights: [1, 2], mode: undefined },
      },
    ],
    [
      "with null for what is not set",
      {
        headDim: 64,
        base: 500,
        maxPosition: null,
        parameters: { ropeType: "tuned", factor: 4, weights: [1, 2], amplitude: null },
      },
    ],
    [
      "with defaults written out",
      {
        headDim: 64,
        base: 500,
        rotaryDim: 64,
        rotaryOffset: 0,
        pairing: "half",
        precision: "float32",
        specificationVersion: 1,
        parameters: {
          ropeType: "tuned",
          factor: 4,
          weights: [1, 2],
          steps: 1,
          smooth: false,
          mode: "slow",
          amplitude: null,
        },
      },
    ],
    [
      "with the share of the head",
      { headDim: 64, base: 500, partialRotaryFactor: 1, parameters: { ropeType: "tuned", factor: 4, weights: [1, 2] } },
    ],
    [
      "with the pairing as blocks",
      { headDim: 64, base: 500, pairing: { blocks: 1 }, parameters: { ropeType: "tuned", factor: 4, weights: [1, 2] } },
    ],
    [
      "with an offset of -0",
      { headDim: 64, base: 500, rotaryOffset: -0, parameters: { ropeType: "tuned", factor: 4, weights: [1, 2] } },
    ],
    ["under an alias", { headDim: 64, base: 500, parameters: { ropeType: "tuned-twice", factor: 4, weights: [1, 2] } }],
    [
      "without a prototype",
      Object.assign(Object.create(null), {
        headDim: 64,
        base: 500,
        parameters: { ropeType: "tuned", factor: 4, weights: [1, 2] },
      }),
    ],
  ])("%s", (_, request) => {
    const rope = get({ headDim: 64, base: 500, parameters: { ropeType: "tuned", factor: 4, weights: [1, 2] } });
    expect(get(request)).toBe(rope);
    expect(get(request)).toBe(rope);
    expect(ropeCacheStatistics(registry)).toMatchObject({ size: 1, misses: 1, hits: 2 });
  });

  test("that is frozen, as is its spec all the way down", () => {
    const rope = get(tunedRequest({ weights: [1, 2] }, { pairing: { blocks: 4 } }));
    for (const value of [
      rope,
      rope.spec,
      rope.capabilities,
      rope.spec.parameters,
      rope.spec.pairing,
      rope.spec.parameters["weights"],
    ]) {
      expect(Object.isFrozen(value)).toBe(true);
    }
  });

  test("also after the caller changes its request", () => {
    const weights = [1, 2];
    const request = { headDim: 64, parameters: { ropeType: "tuned", factor: 4, weights } };
    const rope = get(request);
    weights[0] = 5;
    request.headDim = 32;
    expect(rope.spec).toMatchObject({ headDim: 64, parameters: { weights: [1, 2] } });
    expect(get(request)).not.toBe(rope);
  });

  test("through its spec, also from JSON", () => {
    const rope = get(
      tunedRequest(
        { weights: Float32Array.of(0.1, 2) },
        {
          pairing: { blocks: 4 },
          partialRotaryFactor: 0.5,
          rotaryOffset: 32,
          maxPosition: 99,
          base: 1e6,
          precision: "float64",
        },
      ),
    );
    expect(get(rope.spec)).toBe(rope);
    expect(get(JSON.parse(JSON.stringify(rope.spec)) as object)).toBe(rope);
    expect(get(structuredClone(rope.spec))).toBe(rope);
    expect(rope.spec).toEqual({
      specificationVersion: 1,
      headDim: 64,
      rotaryDim: 32,
      rotaryOffset: 32,
      base: 1e6,
      maxPosition: 99,
      pairing: { blocks: 4 },
      axes: null,
      direction: 1,
      pairFactors: null,
      fractionalPositions: false,
      queryScale: null,
      precision: "float64",
      parameters: {
        ropeType: "tuned",
        factor: 4,
        steps: 1,
        smooth: false,
        mode: "slow",
        weights: [Math.fround(0.1), 2],
        amplitude: null,
      },
    });
  });
});

describe("a request that differs in one field gives another instance", () => {
  test.each<[string, RopeRequest]>([
    ["headDim", tunedRequest({}, { headDim: 128 })],
    ["rotaryDim", tunedRequest({}, { rotaryDim: 32 })],
    ["partialRotaryFactor", tunedRequest({}, { partialRotaryFactor: 0.25 })],
    ["rotaryOffset", tunedRequest({}, { rotaryDim: 32, rotaryOffset: 32 })],
    ["base", tunedRequest({}, { base: 10001 })],
    ["maxPosition", tunedRequest({}, { maxPosition: 4096 })],
    ["pairing", tunedRequest({}, { pairing: "adjacent" })],
    ["pairing, blocks", tunedRequest({}, { pairing: { blocks: 2 } })],
    ["axes", tunedRequest({}, { axes: Array.from({ length: 32 }, (_, i) => i % 2) })],
    ["precision", tunedRequest({}, { precision: "float64" })],
    ["parameters.ropeType", { headDim: 64, parameters: { ropeType: "plain" } }],
    ["parameters.factor", tunedRequest({ factor: 4 + 2 ** -50 })],
    ["parameters.steps", tunedRequest({ steps: 2 })],
    ["parameters.smooth", tunedRequest({ smooth: true })],
    ["parameters.mode", tunedRequest({ mode: "fast" })],
    ["parameters.weights", tunedRequest({ weights: [1] })],
    ["parameters.weights, none of them", tunedRequest({ weights: [] })],
    ["parameters.amplitude", tunedRequest({ amplitude: 1 })],
  ])("%s", (_, request) => {
    const rope = getRope(tunedRequest(), { registry });
    const other = getRope(request, { registry });
    expect(other).not.toBe(rope);
    expect(other.spec).not.toEqual(rope.spec);
    expect(getRope(request, { registry })).toBe(other);
    expect(getRope(tunedRequest(), { registry })).toBe(rope);
  });

  test("lists that only look alike", () => {
    const lists = [[1, 2, 3], [1, 23], [12, 3], [123], [1, 2], [2, 1]];
    expect(new Set(lists.map((weights) => get(tunedRequest({ weights })))).size).toBe(lists.length);
  });

  test("NaN is not null, nor a number its text", () => {
    const rope = get(tunedRequest({ amplitude: null }));
    caught(() => get(tunedRequest({ amplitude: NaN })), "ROPE_INVALID_PARAMETERS");
    caught(() => get({ ...tunedRequest(), maxPosition: NaN }), "ROPE_INVALID_PARAMETERS");
    caught(() => get({ ...tunedRequest(), headDim: "64" }), "ROPE_INVALID_PARAMETERS");
    caught(() => get(tunedRequest({ factor: "4" as unknown as number })), "ROPE_INVALID_PARAMETERS");
    caught(() => get(tunedRequest({ factor: 4n as unknown as number })), "ROPE_INVALID_PARAMETERS");
    expect(get(tunedRequest())).toBe(rope);
  });

  test("the same request in another registry, or of another provider", () => {
    const request = { headDim: 64, parameters: { ropeType: "plain" } };
    const provider = registry.get("plain")!.provider;
    const ropes = [
      get(request),
      getRopeUntyped(request, { registry: testRegistry() }),
      getRopeUntyped(request, { provider }),
      getRopeUntyped(request, { provider: { ...provider } }),
    ];
    expect(new Set(ropes).size).toBe(4);
  });
});

describe("the cache", () => {
  test("is bounded, drops the least recently used rope, and counts it", () => {
    const { capacity } = ropeCacheStatistics(registry);
    const numbered = (base: number) => getRope(tunedRequest({}, { base }), { registry });
    const first = numbered(1);
    const second = numbered(2);
    for (let base = 3; base <= 300; base++) {
      numbered(base);
      expect(numbered(1)).toBe(first);
    }
    expect(ropeCacheStatistics(registry)).toEqual({
      size: capacity,
      capacity,
      bytes: expect.any(Number),
      byteCapacity: 2 ** 26,
      misses: 300,
      hits: 298,
      evictions: 300 - capacity,
    });
    expect(capacity).toBeLessThanOrEqual(256);
    expect(numbered(1)).toBe(first);
    expect(numbered(2)).not.toBe(second);
    expect(second.frequencies().invFreq, "ropes in use stay valid").toHaveLength(32);
  });

  test("does not remember requests that failed", () => {
    for (let i = 0; i < 300; i++) {
      caught(() => get({ headDim: 64, parameters: { ropeType: `absent-${i}` } }), "ROPE_UNKNOWN_TYPE");
    }
    expect(ropeCacheStatistics(registry)).toMatchObject({ size: 0, misses: 0, hits: 0 });
  });

  test("is emptied by clearRopeCache, with its statistics", () => {
    const rope = get(tunedRequest());
    get(tunedRequest());
    clearRopeCache(registry);
    expect(ropeCacheStatistics(registry)).toMatchObject({ size: 0, misses: 0, hits: 0, evictions: 0 });
    expect(get(tunedRequest())).not.toBe(rope);
    expect(get(rope.spec)).toBe(get(tunedRequest()));
  });

  test("for a provider as a value is emptied with the cache of its registry", () => {
    const provider = registry.get("plain")!.provider;
    const request = { headDim: 64, parameters: { ropeType: "plain" } };
    const rope = getRopeUntyped(request, { registry, provider });
    expect(getRopeUntyped(request, { registry, provider })).toBe(rope);
    clearRopeCache(registry);
    expect(getRopeUntyped(request, { registry, provider })).not.toBe(rope);
  });

  test("is separate for each registry", () => {
    const other = testRegistry();
    const rope = getRopeUntyped(tunedRequest() as UntypedRopeRequest, { registry: other });
    clearRopeCache(registry);
    expect(getRopeUntyped(tunedRequest() as UntypedRopeRequest, { registry: other })).toBe(rope);
  });
});

describe("a hostile request gives a RopeError", () => {
  const parameters = { ropeType: "tuned", factor: 4 };
  const cyclic: Record<string, unknown> = { headDim: 64 };
  cyclic["parameters"] = cyclic;
  const cyclicList: unknown[] = [];
  cyclicList.push(cyclicList);
  const wide = Object.fromEntries(Array.from({ length: 1e5 }, (_, i) => [`key${i}`, i]));
  // A hundred lists of a hundred lists …: little memory, for ever to read.
  const laughs = Array.from({ length: 8 }).reduce<unknown>((inner) => new Array(100).fill(inner), 1);
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const throwing = (error: unknown) => ({
    get parameters(): never {
      throw error;
    },
  });

  test.each<[string, unknown]>([
    ["undefined", undefined],
    ["null", null],
    ["a number", 64],
    ["a string", "plain"],
    ["a symbol", Symbol("plain")],
    ["a list", [64]],
    ["a function", () => parameters],
    ["an own key __proto__", JSON.parse('{"headDim":64,"__proto__":{"parameters":{"ropeType":"plain"}}}')],
    [
      "an own key __proto__ in parameters",
      JSON.parse('{"headDim":64,"parameters":{"ropeType":"plain","__proto__":{}}}'),
    ],
    ["a parameter constructor", { headDim: 64, parameters: { ...parameters, constructor: 1 } }],
    ["a parameter hasOwnProperty", { headDim: 64, parameters: { ...parameters, hasOwnProperty: 1 } }],
    ["fields on the prototype", Object.create({ headDim: 64, parameters })],
    ["blocks on the prototype", { headDim: 64, pairing: Object.create({ blocks: 2 }), parameters }],
    ["a getter that throws", throwing(new TypeError("no"))],
    ["a getter that throws what is no error", throwing(undefined)],
    ["a revoked proxy", revoked.proxy],
    ["a revoked proxy inside", { headDim: 64, parameters: revoked.proxy }],
    ["a cycle", cyclic],
    ["a cycle of lists", { headDim: 64, parameters: { ...parameters, weights: cyclicList } }],
    ["a hundred thousand keys", wide],
    ["a hundred thousand parameters", { headDim: 64, parameters: wide }],
    ["a list of 2^32 − 1 holes", { headDim: 64, parameters: { ...parameters, weights: new Array(2 ** 32 - 1) } }],
    ["an array of 2^27 numbers", { headDim: 64, parameters: { ...parameters, weights: new Uint8Array(2 ** 27) } }],
    ["lists of lists of lists …", { headDim: 64, parameters: { ...parameters, weights: laughs } }],
    [
      "lists of lists of lists … behind a DataView",
      { headDim: 64, parameters: { ...parameters, mode: new DataView(new ArrayBuffer(8)), weights: laughs } },
    ],
    [
      "a DataView for a list",
      { headDim: 64, parameters: { ...parameters, weights: new DataView(new ArrayBuffer(8)) } },
    ],
    ["bigints for a list", { headDim: 64, parameters: { ...parameters, weights: BigInt64Array.of(1n) } }],
    ["a key of a million letters", { headDim: 64, ["x".repeat(1e6)]: 1, parameters }],
    ["a bigint headDim", { headDim: 64n, parameters }],
    ["a bigint headDim with a share", { headDim: 64n, partialRotaryFactor: 0.5, parameters }],
    ["a symbol for headDim", { headDim: Symbol("64"), partialRotaryFactor: 0.5, rotaryOffset: 1, parameters }],
    ["a symbol for rotaryDim", { headDim: 64, rotaryDim: Symbol("64"), parameters }],
    ["a bigint rotaryDim", { headDim: 64, rotaryDim: 64n, parameters }],
    ["null for rotaryDim", { headDim: 64, rotaryDim: null, parameters }],
    ["null for pairing", { headDim: 64, pairing: null, parameters }],
    ["an object that turns into a number", { headDim: { valueOf: () => 64 }, parameters }],
    ["a function whose text is a number", { headDim: Object.assign(() => 64, { toString: () => "64" }), parameters }],
    [
      "symbols for everything",
      {
        headDim: Symbol(),
        base: Symbol(),
        pairing: Symbol(),
        precision: Symbol(),
        maxPosition: Symbol(),
        parameters: { ...parameters, mode: Symbol() },
      },
    ],
    ["axes of symbols", { headDim: 4, axes: [Symbol(), Symbol()], parameters }],
    ["axes for a bigint rotaryDim", { headDim: 4, rotaryDim: 4n, axes: [0, 1], parameters }],
    ["axes with a gap", { headDim: 4, axes: [0, 2], parameters }],
    ["too few axes", { headDim: 4, axes: [0], parameters }],
    ["one number of axes", { headDim: 4, axes: 2, parameters }],
    [
      "a query scale named like a method",
      { headDim: 64, queryScale: { rule: "constructor", length: 2, beta: 1, offset: 0 }, parameters },
    ],
    [
      "a query scale whose name throws",
      {
        headDim: 64,
        queryScale: { rule: { toString: () => expect.fail("read") }, length: 2, beta: 1, offset: 0 },
        parameters,
      },
    ],
    ["no parameters", { headDim: 64 }],
    ["parameters that are a list", { headDim: 64, parameters: ["plain"] }],
    ["blocks that do not divide", { headDim: 64, pairing: { blocks: 5 }, parameters }],
    ["a half block", { headDim: 64, pairing: { blocks: 0.5 }, parameters }],
    ["blocks and more", { headDim: 64, pairing: { blocks: 2, width: 16 }, parameters }],
    ["a head of 2^53", { headDim: 2 ** 53, parameters }],
    ["a base of 0", { headDim: 64, base: 0, parameters }],
    ["an infinite base", { headDim: 64, base: Infinity, parameters }],
  ])("%s", (_, request) => {
    // The rope that some of these requests imitate.
    get({ headDim: 64, parameters });
    const error = caught(() => get(request as object), "ROPE_INVALID_PARAMETERS");
    expect(error.issues.length).toBeGreaterThan(0);
    expect(error.message.length).toBeLessThan(10_000);
    expect(ropeCacheStatistics(registry)).toMatchObject({ size: 1, hits: 0 });
  });

  test("that reads differently every time is parsed as it was read", () => {
    let reads = 0;
    const moody = {
      headDim: 64,
      get base() {
        return 1000 * ++reads;
      },
      parameters,
    };
    const ropes = [get(moody), get(moody), get(moody)];
    for (const rope of ropes) expect(get({ headDim: 64, base: rope.base, parameters })).toBe(rope);
  });

  test("with symbols as keys, which are no data, is the request without them", () => {
    expect(get({ headDim: 64, [Symbol("note")]: 1, parameters })).toBe(get({ headDim: 64, parameters }));
  });
});

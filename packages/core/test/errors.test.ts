/** Every code, provoked through the public interface. Only this file asserts messages. */

import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { createRegistry, getRope, getRopeUntyped, listRopeTypes, RopeError } from "@ropewalk/core";
import { caught } from "./failures.ts";
import { plain, testRegistry, warp } from "./providers.ts";

let registry = testRegistry();
beforeEach(() => {
  registry = testRegistry();
});
const rope = (maxPosition = 8) => getRope({ headDim: 4, maxPosition, parameters: { ropeType: "plain" } }, { registry });
const untyped = (request: object) => () =>
  getRopeUntyped(request as Parameters<typeof getRopeUntyped>[0], { registry });

describe("ROPE_UNKNOWN_TYPE", () => {
  test("lists what is registered, and invents no package", () => {
    const error = caught(untyped({ headDim: 4, parameters: { ropeType: "quite_new" } }), "ROPE_UNKNOWN_TYPE");
    expect(error.message).toMatchInlineSnapshot(
      `"the rope type "quite_new" is not registered: expected one of fine, grid, plain, stepped, tuned, tuned-twice, warp, got "quite_new". Import the package that provides it, or register it with registerRopeType."`,
    );
    expect(error.facts).toEqual({
      ropeType: "quite_new",
      registered: ["fine", "grid", "plain", "stepped", "tuned", "tuned-twice", "warp"],
      nearest: undefined,
    });
  });

  test("names the nearest type", () => {
    const error = caught(untyped({ headDim: 4, parameters: { ropeType: "Plian" } }), "ROPE_UNKNOWN_TYPE");
    expect(error.message).toMatchInlineSnapshot(
      `"the rope type "Plian" is not registered: expected one of fine, grid, plain, stepped, tuned, tuned-twice, warp, got "Plian". Did you mean "plain"? Else import the package that provides it."`,
    );
    expect(error.facts["nearest"]).toBe("plain");
  });

  test("of an empty registry", () => {
    const error = caught(() => createRegistry().require("any"), "ROPE_UNKNOWN_TYPE");
    expect(error.message).toMatchInlineSnapshot(
      `"the rope type "any" is not registered: expected a registered type (none is registered), got "any". Import the package that provides it, or register it with registerRopeType."`,
    );
  });

  test.each<[string, unknown]>([
    ["undefined", undefined],
    ["null", null],
    ["a number", 3],
    ["a bigint", 3n],
    ["a symbol", Symbol("plain")],
    ["a list", ["plain"]],
    ["an object without a prototype", Object.create(null)],
    ["an object that turns into text", { toString: () => "plain" }],
    ["__proto__", "__proto__"],
    ["constructor", "constructor"],
    ["a million letters", "x".repeat(1e6)],
  ])("for a name that is none: %s", (_, ropeType) => {
    const error = caught(untyped({ headDim: 4, parameters: { ropeType } }), "ROPE_UNKNOWN_TYPE");
    expect(error.message.length).toBeLessThan(500);
    expect(error.facts["nearest"]).toBeUndefined();
  });
});

test("ROPE_UNKNOWN_TYPE for a name that is not the request's own", () => {
  caught(untyped({ headDim: 4, parameters: Object.create({ ropeType: "plain" }) as object }), "ROPE_UNKNOWN_TYPE");
});

test("ROPE_TYPE_CONFLICT names both sources", () => {
  const error = caught(
    () => registry.register("plain", { ...plain, source: "another-package@2.0.0" }),
    "ROPE_TYPE_CONFLICT",
  );
  expect(error.message).toMatchInlineSnapshot(
    `"the rope type "plain" is already registered: expected a free name, or the same source core-tests@1.0.0, got a second registration from another-package@2.0.0. Import one of the two packages only, unregister the other first, or use createRegistry()."`,
  );
  expect(error.facts).toEqual({ name: "plain", registered: plain.source, rejected: "another-package@2.0.0" });

  const backend = { specificationVersion: 1, name: "abacus", source: "a@1", create: () => undefined };
  registry.registerBackend(backend);
  registry.registerBackend({ ...backend });
  expect(
    caught(() => registry.registerBackend({ ...backend, source: "b@1" }), "ROPE_TYPE_CONFLICT").message,
  ).toMatchInlineSnapshot(
    `"the backend "abacus" is already registered: expected a free name, or the same source a@1, got a second registration from b@1. Import one of the two packages only, unregister the other first, or use createRegistry()."`,
  );
});

describe("ROPE_INVALID_PARAMETERS", () => {
  test("has every issue of the request at once", () => {
    const error = caught(
      untyped({
        headDim: 63,
        base: "10000",
        maxPosition: 0,
        pairing: "interleaved",
        precision: "double",
        rotaryDimension: 32,
        rotaryOffset: -1,
        parameters: {
          ropeType: "tuned",
          factor: -4,
          Factor: 4,
          mode: "quick",
          smooth: "yes",
          steps: 1.5,
          weights: [1, "2"],
        },
      }),
      "ROPE_INVALID_PARAMETERS",
    );
    expect(error.message).toMatchInlineSnapshot(`
      "13 issues in the request for a rope of type "tuned".
        - rotaryDimension: expected one of headDim, rotaryDim, partialRotaryFactor, rotaryOffset, base, maxPosition, pairing, axes, direction, pairFactors, fractionalPositions, queryScale, precision, parameters, specificationVersion, got the unknown key "rotaryDimension" with 32. Remove it.
        - base: expected a finite number > 0, got "10000".
        - maxPosition: expected an integer ≥ 1, got 0.
        - precision: expected one of "float32", "float64", got "double".
        - rotaryDim: expected an even integer > 0 and ≤ headDim (63), got 63. Elements are rotated in pairs.
        - rotaryOffset: expected an integer ≥ 0 with rotaryOffset + rotaryDim ≤ headDim, got -1.
        - pairing: expected "half", "adjacent" or { blocks: n } with n dividing rotaryDim/2, got "interleaved".
        - parameters.Factor: expected one of factor, steps, smooth, mode, weights, amplitude, got the unknown key "Factor" with 4. Did you mean "factor"?
        - parameters.factor: expected a finite number > 0 and ≤ 1000, got -4.
        - parameters.steps: expected an integer ≥ 1, got 1.5.
        - parameters.smooth: expected true or false, got "yes".
        - parameters.mode: expected one of "slow", "fast", got "quick".
        - parameters.weights: expected a list of finite numbers > 0, got [1, "2"]."
    `);
    expect(error.issues).toHaveLength(13);
    expect(error.issues[7]).toMatchObject({ path: "parameters.Factor", remedy: 'Did you mean "factor"?' });
    expect(error.facts).toEqual({ ropeType: "tuned" });
  });

  test("one mistake is one issue", () => {
    expect(caught(untyped({ parameters: { ropeType: "plain" } }), "ROPE_INVALID_PARAMETERS").message)
      .toMatchInlineSnapshot(`
        "1 issue in the request for a rope of type "plain".
          - headDim: expected an integer > 0 and ≤ 65536, got undefined."
      `);
  });

  test("describes a missing parameter", () => {
    expect(caught(untyped({ headDim: 4, parameters: { ropeType: "tuned" } }), "ROPE_INVALID_PARAMETERS").message)
      .toMatchInlineSnapshot(`
        "1 issue in the request for a rope of type "tuned".
          - parameters.factor: expected a finite number > 0 and ≤ 1000, got nothing. divides every frequency"
      `);
  });

  test("prints the arithmetic of a contradiction", () => {
    const request = { headDim: 128, rotaryDim: 32, partialRotaryFactor: 0.5, parameters: { ropeType: "plain" } };
    expect(caught(untyped(request), "ROPE_INVALID_PARAMETERS").message).toMatchInlineSnapshot(`
      "1 issue in the request for a rope of type "plain".
        - rotaryDim: expected 64 = trunc(headDim 128 · partialRotaryFactor 0.5), got 32. Give one of the two."
    `);
  });

  test("carries what the provider's own check finds", () => {
    const error = caught(
      untyped({ headDim: 4, parameters: { ropeType: "tuned", factor: 2, mode: "fast", smooth: true } }),
      "ROPE_INVALID_PARAMETERS",
    );
    expect(error.message).toMatchInlineSnapshot(`
      "1 issue in the request for a rope of type "tuned".
        - parameters.smooth: expected false with mode "fast", got true."
    `);
  });

  test("names a misspelt argument before anything is rotated", () => {
    const tensor = () => Float32Array.of(1, 2, 3, 4);
    const [query, keys] = [tensor(), tensor()];
    const step = rope().at([1]);
    for (const act of [
      () => rope().apply({ positions: [1], query, keys } as object as { positions: number[] }),
      () => step.apply({ query, keys } as object),
      () => rope().invert({ positions: [1], query, keys } as object as { positions: number[] }),
    ]) {
      expect(caught(act, "ROPE_INVALID_PARAMETERS").issues).toEqual([
        expect.objectContaining({ path: "keys", remedy: 'Did you mean "key"?' }),
      ]);
    }
    expect(caught(() => step.apply({ query, keys } as object), "ROPE_INVALID_PARAMETERS").message)
      .toMatchInlineSnapshot(`
        "1 issue in the arguments.
          - keys: expected one of query, key, out, value, norm, queryScale, got the unknown key "keys" with Float32Array(4). Did you mean "key"?"
      `);
    caught(
      () => rope().apply({ positions: [1], query, out: { query: tensor(), keys } as object }),
      "ROPE_INVALID_PARAMETERS",
    );
    caught(
      () => rope().shift({ keys, form: [1], from: [1], to: [0] } as Parameters<ReturnType<typeof rope>["shift"]>[0]),
      "ROPE_INVALID_PARAMETERS",
    );
    caught(() => rope().cosSin([1], { widht: "full" } as object), "ROPE_INVALID_PARAMETERS");
    caught(() => rope().at([1], { lenght: 4 } as object), "ROPE_INVALID_PARAMETERS");
    expect([query, keys]).toEqual([tensor(), tensor()]);
  });

  test("of options", () => {
    expect(caught(() => rope().cosSin([0], { width: "both" as "half" }), "ROPE_INVALID_PARAMETERS").message)
      .toMatchInlineSnapshot(`
        "1 issue in the call of cosSin.
          - width: expected one of half, full, got "both"."
      `);
    expect(caught(() => rope().cosSin([0], { dtype: "int8" as "float32" }), "ROPE_INVALID_PARAMETERS").message)
      .toMatchInlineSnapshot(`
        "1 issue in the call of cosSin.
          - dtype: expected one of float64, float32, float16, bfloat16, got "int8"."
      `);
    expect(caught(() => rope().frequencies(-1), "ROPE_INVALID_PARAMETERS").message).toMatchInlineSnapshot(`
      "1 issue in the call.
        - length: expected an integer ≥ 0, got -1."
    `);
  });
});

test("ROPE_SHAPE names the tensor", () => {
  const error = caught(() => rope().apply({ positions: [0, 1], query: new Float32Array(12) }), "ROPE_SHAPE");
  expect(error.message).toMatchInlineSnapshot(
    `""query" does not fit: expected a multiple of 2 tokens × 4 elements, got 12 elements. Pass { data, shape, strides } for another layout in memory."`,
  );
  expect(error.facts).toEqual({ tensor: "query" });
  expect(
    caught(() => rope().apply({ positions: [0], key: { data: new Float32Array(8), shape: [2, 1, 4] } }), "ROPE_SHAPE")
      .message,
  ).toMatchInlineSnapshot(
    `""key" does not fit: expected the logical shape [1, heads, 4], got [2, 1, 4]. The shape is [batch?, tokens, heads, headDim] in any order of memory; strides give the order."`,
  );
  expect(
    caught(() => rope().apply({ positions: [0], query: new Uint16Array(4) }), "ROPE_SHAPE").message,
  ).toMatchInlineSnapshot(
    `""query" does not fit: expected Float32Array, Float64Array, Float16Array, or a Uint16Array with dtype "float16" or "bfloat16", got Uint16Array without dtype."`,
  );
  expect(caught(() => rope().apply({ positions: [0] }), "ROPE_SHAPE").message).toMatchInlineSnapshot(
    `""query" does not fit: expected query, key, or both, got neither."`,
  );
});

test("ROPE_POSITION_RANGE says where the limit comes from", () => {
  const error = caught(() => rope().cosSin([0, 8]), "ROPE_POSITION_RANGE");
  expect(error.message).toMatchInlineSnapshot(
    `"the position at index 1 is out of range: expected an integer ≥ 0 and < 8 (maxPosition), got 8. If the model really admits it, extend maxPosition."`,
  );
  expect(error.facts).toEqual({ position: 8, index: 1, limit: 8 });
  expect(caught(() => rope(2 ** 30).cosSin([2 ** 25]), "ROPE_POSITION_RANGE").message).toMatchInlineSnapshot(
    `"the position at index 0 is out of range: expected an integer ≥ 0 and < 16777217 (2^24, up to which float32 holds every integer), got 33554432. Count from a nearer start: only differences of positions matter."`,
  );
  expect(caught(() => rope().cosSin([-1]), "ROPE_POSITION_RANGE").message).toMatchInlineSnapshot(
    `"the position at index 0 is out of range: expected an integer ≥ 0 and < 8 (maxPosition), got -1. A decoding step's position is its absolute token index."`,
  );
});

describe("ROPE_UNSUPPORTED", () => {
  const warped = () => getRopeUntyped({ headDim: 4, parameters: { ropeType: "warp" } }, { provider: warp });
  test.each(["invert", "adjoint"] as const)("%s of a type that is no rotation", (method) => {
    const query = Float32Array.of(1, 2, 3, 4);
    const error = caught(() => warped()[method]({ positions: [1], query }), "ROPE_UNSUPPORTED");
    expect(error.facts).toEqual({ ropeType: "warp", capability: "isRotation" });
    expect([...query]).toEqual([1, 2, 3, 4]);
  });

  test("shift of a type that does not declare it", () => {
    const error = caught(() => warped().shift({ keys: new Float32Array(4), from: [1], to: [0] }), "ROPE_UNSUPPORTED");
    expect(error.message).toMatchInlineSnapshot(
      `"shift is not defined for the rope type "warp": expected a type that declares canShift, got canShift: false. Keep the tensors as they were before the rotation."`,
    );
  });

  test("shift of a type whose frequencies depend on the length", () => {
    const dependent = getRope({ headDim: 4, parameters: { ropeType: "stepped" } }, { registry });
    caught(() => dependent.shift({ keys: new Float32Array(4), from: [1], to: [0] }), "ROPE_UNSUPPORTED");
  });
});

test("ROPE_BACKEND_UNAVAILABLE invents no package", () => {
  expect(caught(() => rope().to("abacus"), "ROPE_BACKEND_UNAVAILABLE").message).toMatchInlineSnapshot(
    `"the backend "abacus" is not registered: expected a registered backend (none is registered), got "abacus". Import the package that provides it."`,
  );
  registry.registerBackend({ specificationVersion: 1, name: "slide-rule", source: "a@1", create: () => undefined });
  const error = caught(() => rope().to("abacus"), "ROPE_BACKEND_UNAVAILABLE");
  expect(error.facts).toEqual({ backend: "abacus", registered: ["slide-rule"] });
});

describe("ROPE_SPEC_VERSION", () => {
  test.each([
    [2, "core", "Upgrade @ropewalk/core, the older of the two."],
    [0, "other", "Upgrade the request, the older of the two."],
    [1.5, null, "Give core's SPECIFICATION_VERSION."],
    ["1", null, "Give core's SPECIFICATION_VERSION."],
    [null, null, "Give core's SPECIFICATION_VERSION."],
  ])("of a spec: %s", (specificationVersion, outdated, remedy) => {
    const error = caught(untyped({ ...rope().spec, specificationVersion }), "ROPE_SPEC_VERSION");
    expect(error.facts).toEqual({ supported: 1, received: specificationVersion, outdated });
    expect(error.remedy).toBe(remedy);
  });

  test("of what another copy of core, which knows its contract, has put into the shared registry", () => {
    const shared = (globalThis as any)[Symbol.for("ropewalk.registry.v1")];
    const contract = { specificationVersion: 2, source: "future@1.0.0" };
    shared.types.set("future", {
      name: "future",
      ropeType: "future",
      provider: { ...plain, ...contract },
      presets: {},
    });
    shared.backends.set("future", { ...contract, name: "future", create: () => "a backend" });
    shared.queryScales.set("future", { ...contract, parameters: {}, scale: () => 1 });
    onTestFinished(() => [shared.types, shared.backends, shared.queryScales].forEach((map) => map.delete("future")));
    const facts = { supported: 1, received: 2, outdated: "core" };
    const request = { headDim: 8, parameters: { ropeType: "future" } };
    for (const use of [
      () => getRopeUntyped(request),
      () => getRopeUntyped(request, { provider: plain }).to("future"),
      () => getRopeUntyped({ ...request, queryScale: { rule: "future" } } as never, { provider: plain }),
    ]) {
      const error = caught(use, "ROPE_SPEC_VERSION");
      expect(error.message).toContain(
        "future@1.0.0 has a specification version that this @ropewalk/core does not know",
      );
      expect(error.facts).toEqual(facts);
    }
    // Nothing of it is hidden: what is registered can be listed.
    expect(listRopeTypes().map(({ name }) => name)).toContain("future");
  });

  test("of a provider", () => {
    const future = { ...plain, specificationVersion: 2 };
    expect(caught(() => registry.register("future", future), "ROPE_SPEC_VERSION").message).toMatchInlineSnapshot(
      `"the provider core-tests@1.0.0 has a specification version that this @ropewalk/core does not know: expected 1, got 2. Upgrade @ropewalk/core, the older of the two."`,
    );
    expect(registry.get("future")).toBeUndefined();
  });

  test("of a backend", () => {
    const future = { specificationVersion: 2, name: "abacus", source: "a@1", create: () => undefined };
    expect(caught(() => registry.registerBackend(future), "ROPE_SPEC_VERSION").message).toMatchInlineSnapshot(
      `"the backend a@1 has a specification version that this @ropewalk/core does not know: expected 1, got 2. Upgrade @ropewalk/core, the older of the two."`,
    );
  });
});

describe("RopeError", () => {
  test("is recognised by brand across copies", async () => {
    // A query gives the module a second identity, as a second installed copy has.
    const copy = (await import(
      /* @vite-ignore */ new URL("./errors.js?copy", import.meta.resolve("@ropewalk/core")).href
    )) as { RopeError: typeof RopeError };
    expect(copy.RopeError).not.toBe(RopeError);
    const theirs = new copy.RopeError("ROPE_CONFIG", { what: "a config says two things" });
    expect(theirs).not.toBeInstanceOf(RopeError);
    expect(RopeError.is(theirs)).toBe(true);
    expect(copy.RopeError.is(new RopeError("ROPE_CONFIG", { what: "x" }))).toBe(true);
  });

  test.each([[undefined], [null], [3], ["ROPE_SHAPE"], [new Error("x")], [{ code: "ROPE_SHAPE", name: "RopeError" }]])(
    "is nothing else: %s",
    (value) => {
      expect(RopeError.is(value)).toBe(false);
    },
  );

  test("is an Error with frozen facts", () => {
    const error = caught(untyped({ headDim: 0, parameters: { ropeType: "plain" } }), "ROPE_INVALID_PARAMETERS");
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe("RopeError");
    expect(Object.isFrozen(error.facts) && Object.isFrozen(error.issues)).toBe(true);
    expect(Object.keys(error)).not.toContain("brand");
  });
});

describe("hints in other engines' words", () => {
  const provider = { specificationVersion: 1, source: "hints@1", parameters: {}, frequencies: () => ({ invFreq: [] }) };
  const issue = (request: object, options: object = { provider }) =>
    caught(
      () => getRopeUntyped({ headDim: 64, parameters: { ropeType: "none" }, ...request }, options),
      "ROPE_INVALID_PARAMETERS",
    ).issues[0]!;

  test.each([
    ["theta", "base"],
    ["rope_theta", "base"],
    ["head_size", "headDim"],
    ["max_position_embeddings", "maxPosition"],
    ["is_neox_style", "pairing"],
  ])("%s is %s here", (word, here) => {
    expect(issue({ [word]: 1 }).remedy).toBe(`Did you mean "${here}"?`);
  });

  test("a misspelt option of getRope is refused", () => {
    expect(issue({}, { registy: 1 }).remedy).toBe('Did you mean "registry"?');
  });

  test("a head that would cost all memory is refused at once", () => {
    expect(issue({ headDim: 2 ** 30 }).path).toBe("headDim");
  });
});

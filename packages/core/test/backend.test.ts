/** The contract with backends: a backend gets checked tasks, and returns a whole rope. */

import { describe, expect, test } from "vitest";
import { getRope, registerBackend, defaultRegistry } from "@ropewalk/core";
import type { BackendOptions, BackendRope, RopeRegistry, RotaryEmbedding } from "@ropewalk/core";
import { resolvePositions, resolveTensor, checkAliasing, rotateTask } from "@ropewalk/core/backend";
import type { BackendContext, RopeBackend, RotationTask } from "@ropewalk/core/backend";
import { bits, caught } from "./failures.ts";
import { testRegistry } from "./providers.ts";
import { noise } from "./reference.ts";

declare module "@ropewalk/core" {
  interface RopeBackends {
    abacus: { options: { readonly beads: number }; rope: RotaryEmbedding };
  }
}

/** A synchronous backend that rotates as core does and records its tasks. */
function abacus(log: RotationTask[][] = []): RopeBackend {
  return {
    specificationVersion: 1,
    name: "abacus",
    source: "core-tests@1.0.0",
    create: ({ withExecutor }, options) => {
      if ((options as { beads?: unknown } | undefined)?.beads === 0) throw new TypeError("no beads");
      return withExecutor({
        name: "abacus",
        rotate(tasks) {
          log.push([...tasks]);
          tasks.forEach(rotateTask);
        },
      });
    },
  };
}

function setUp() {
  const registry = testRegistry();
  const log: RotationTask[][] = [];
  registry.registerBackend(abacus(log));
  const rope = getRope(
    {
      headDim: 8,
      rotaryDim: 4,
      rotaryOffset: 2,
      pairing: "adjacent",
      maxPosition: 16,
      parameters: { ropeType: "tuned", factor: 2, amplitude: 1.5 },
    },
    { registry },
  );
  return { registry, log, rope, moved: rope.to("abacus", { beads: 7 }) };
}

test("a rope on another backend is the same rope with another executor", () => {
  const { rope, moved } = setUp();
  expect(moved).not.toBe(rope);
  expect(moved.backend).toBe("abacus");
  expect(rope.backend).toBe("js");
  expect(moved.spec).toBe(rope.spec);
  expect(Object.isFrozen(moved)).toBe(true);
  expect(moved.cosSin([1, 2])).toEqual(rope.cosSin([1, 2]));
  expect(moved.explain()).toEqual(rope.explain());
  expect(moved.to("abacus", { beads: 1 }).backend).toBe("abacus");
});

test("its executor gets one checked task for each tensor, in one call", () => {
  const { rope, moved, log } = setUp();
  const query = Float32Array.from(noise(2 * 3 * 8));
  const key = Float64Array.from(noise(2 * 8));
  const cache = new Uint16Array(64);
  const expected = [query.slice(), key.slice()] as const;
  moved.apply({
    positions: [3, 4],
    query,
    key,
    out: { key: { data: cache, shape: [2, 1, 8], strides: [16, 8, 1], offset: 8, dtype: "bfloat16" } },
  });

  expect(log).toHaveLength(1);
  const [first, second] = log[0]!;
  expect(first).toMatchObject({
    rotaryDim: 4,
    rotaryOffset: 2,
    blocks: 2,
    input: {
      dtype: "float32",
      batch: 1,
      tokens: 2,
      heads: 3,
      headDim: 8,
      tokenStride: 24,
      headStride: 8,
      elementStride: 1,
      offset: 0,
    },
    table: { batched: false },
  });
  const isMemoryOf = (a: ArrayBufferView, b: ArrayBufferView): boolean =>
    a.buffer === b.buffer && a.byteOffset === b.byteOffset && a.byteLength === b.byteLength;
  expect(isMemoryOf(first!.input.data, query)).toBe(true);
  expect(first!.output).toBe(first!.input);
  expect(second).toMatchObject({
    input: { dtype: "float64", heads: 1 },
    output: { dtype: "bfloat16", offset: 8, tokenStride: 16 },
  });
  expect(isMemoryOf(second!.output.data, cache)).toBe(true);
  // Tables: float32 for float32 data, float64 for float64, amplitude included.
  expect(first!.table.cos).toEqual(rope.cosSin([3, 4]).cos);
  expect(second!.table.sin).toEqual(rope.cosSin([3, 4], { dtype: "float64" }).sin);

  rope.apply({ positions: [3, 4], query: expected[0] });
  expect(bits(query)).toEqual(bits(expected[0]));
});

test("steps, invert, adjoint and shift go the same way", () => {
  const { rope, moved, log } = setUp();
  const data = Float32Array.from(noise(16));
  const same = data.slice();
  for (const [of, array] of [
    [moved, data],
    [rope, same],
  ] as const) {
    of.at([1, 2]).apply({ query: array });
    of.invert({ positions: [3, 4], query: array });
    of.adjoint({ positions: [[5], [6]], query: array });
    of.shift({ keys: array, from: [1, 2], to: [5, 0] });
  }
  expect(log).toHaveLength(4);
  expect(log[2]![0]!.table.batched).toBe(true);
  expect(log.flat().every(({ table }) => table.cos.length === 4 && table.sin.length === 4)).toBe(true);
  expect(bits(data)).toEqual(bits(same));
});

test("turns of equal positions are the same, of any form; others, another operation or length are others", () => {
  const { registry } = setUp();
  let context: BackendContext | undefined;
  registry.registerBackend({
    specificationVersion: 1,
    name: "taker",
    source: "core-tests@1.0.0",
    create: (given) => (context = given),
  });
  getRope({ headDim: 8, parameters: { ropeType: "stepped" } }, { registry }).to("taker");
  const turns = (...given: Parameters<BackendContext["turns"]>) => context!.turns(...given);
  const first = turns([3, 4], "apply");
  expect(turns({ start: 3, count: 2 }, "apply")).toBe(first);
  expect(turns(Int32Array.of(3, 4), "apply", {})).toBe(first);
  expect(turns([[3, 4]], "apply")).not.toBe(first);
  expect(turns([3, 4], "invert")).not.toBe(first);
  expect(turns([3, 4], "apply", { length: 100 }).table("float32").cos).not.toEqual(first.table("float32").cos);
  // A list that the caller changes is another one.
  const list = [5, 6];
  const before = turns(list, "apply");
  list[1] = 7;
  expect(turns(list, "apply")).not.toBe(before);
  // However many there are, they are the same; only their tables are not kept.
  const many = { start: 0, count: 2 ** 17 };
  const large = getRope({ headDim: 16, parameters: { ropeType: "plain" } }, { registry });
  large.to("taker");
  expect(turns(many, "apply")).toBe(turns(many, "apply"));
  expect(turns(many, "apply").table("float32")).not.toBe(turns(many, "apply").table("float32"));
  for (const operation of ["rotate", undefined]) {
    caught(() => turns([1], operation as "apply"), "ROPE_INVALID_PARAMETERS");
  }
  for (const executor of [undefined, null, {}]) {
    caught(() => context!.withExecutor(executor as never), "ROPE_INVALID_PARAMETERS");
  }
  caught(() => context!.check(first, { query: new Float32Array(16), kay: 1 } as never), "ROPE_INVALID_PARAMETERS");
  expect(context!.check(turns([1, 2], "apply"), { query: new Float32Array(32) })).toHaveLength(1);
});

test("query and key of a long call share one table, also where turns keep none", () => {
  const { moved, log } = setUp();
  const { headDim } = moved;
  const tokens = 2 ** 18 + 1; // 2 pairs: more than the 2^19 values of cos that a plan keeps
  const tensor = (): Float32Array => new Float32Array(tokens * headDim);
  moved.apply({ positions: Array.from({ length: tokens }, (_, i) => i % 16), query: tensor(), key: tensor() });
  const [query, key] = log[0]!;
  expect(key!.table).toBe(query!.table);
});

test("nothing reaches the executor that core refuses", () => {
  const { moved, log } = setUp();
  const data = new Float32Array(16);
  caught(() => moved.apply({ positions: [1, 16], query: data }), "ROPE_POSITION_RANGE");
  caught(() => moved.apply({ positions: [1, 2], query: data, key: data }), "ROPE_SHAPE");
  caught(() => moved.apply({ positions: [1, 2], query: data, key: new Float32Array(9) }), "ROPE_SHAPE");
  expect(log).toEqual([]);
});

test("backend and rope share tables and effective lengths", () => {
  const { registry } = setUp();
  const rope = getRope({ headDim: 8, parameters: { ropeType: "stepped" } }, { registry });
  const moved = rope.to("abacus", { beads: 1 });
  expect(moved.effectiveLength(100)).toBe(rope.effectiveLength(100));
  expect(moved.cosSin([99])).toEqual(rope.cosSin([99]));
});

test("a provider as a value has the backends of the given registry", () => {
  const { registry } = setUp();
  const provider = registry.get("plain")!.provider;
  const request = { headDim: 8, parameters: { ropeType: "plain" } } as const;
  const without = getRope(request, { provider, registry: testRegistry() });
  const [rope, again] = [getRope(request, { provider, registry }), getRope(request, { provider, registry })];
  expect(again).toBe(rope);
  expect(rope.to("abacus", { beads: 1 }).backend).toBe("abacus");
  caught(() => without.to("abacus", { beads: 1 }), "ROPE_BACKEND_UNAVAILABLE");
});

test("an error of a backend passes through, and its result need not be a rope", () => {
  const { rope, registry } = setUp();
  expect(() => rope.to("abacus", { beads: 0 })).toThrow(new TypeError("no beads"));
  const promise = Promise.resolve("later");
  registry.registerBackend({
    specificationVersion: 1,
    name: "postal",
    source: "core-tests@1.0.0",
    create: () => promise,
  });
  expect(rope.to("postal")).toBe(promise);
});

test("options and result are typed", () => {
  const options: BackendOptions<"abacus"> = { beads: 7 };
  const typed = (rope: RotaryEmbedding): BackendRope<"abacus"> => rope.to("abacus", options);
  expect(typed(setUp().rope).backend).toBe("abacus");
  const wrong = (rope: RotaryEmbedding) => {
    // @ts-expect-error -- beads are a number
    rope.to("abacus", { beads: "7" });
    // @ts-expect-error -- and not misspelt
    rope.to("abacus", { bead: 7 });
    return rope.to("known-at-run-time-only", { anything: true });
  };
  expect(wrong).toBeTypeOf("function");
});

describe("registerBackend", () => {
  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["null", null],
    ["no name", { ...abacus(), name: "" }],
    ["no source", { ...abacus(), source: undefined }],
    ["nothing to create", { ...abacus(), create: undefined }],
  ])("refuses %s", (_, backend) => {
    caught(() => testRegistry().registerBackend(backend as RopeBackend), "ROPE_INVALID_PARAMETERS");
  });

  test("registers in the default registry, for ropes made without one", () => {
    registerBackend(abacus());
    const provider = testRegistry().get("plain")!.provider;
    expect(
      getRope({ headDim: 8, parameters: { ropeType: "plain" } }, { provider }).to("abacus", { beads: 1 }).backend,
    ).toBe("abacus");
    expect((defaultRegistry as RopeRegistry).requireBackend("abacus").source).toBe("core-tests@1.0.0");
  });

  test.each([[undefined], [3n], [Symbol("abacus")], ["__proto__"]])("no backend is named %s", (name) => {
    caught(() => setUp().rope.to(name as string), "ROPE_BACKEND_UNAVAILABLE");
  });
});

describe("@ropewalk/core/backend, for backends of another kind", () => {
  test("checks tensors and positions, and finds overlaps", () => {
    const positions = resolvePositions([1, 2], { axes: 1, fractional: false, limit: 4, limitReason: "test" });
    expect(positions).toEqual({ axes: 1, batch: undefined, tokens: 2, values: Float64Array.of(1, 2), largest: 2 });
    const data = new Float32Array(16);
    const layout = resolveTensor("query", data, { batch: undefined, tokens: 2, headDim: 8 });
    expect(layout).toMatchObject({ heads: 1, dtype: "float32" });
    caught(() => resolveTensor("query", data, { batch: undefined, tokens: 3, headDim: 8 }), "ROPE_SHAPE");
    checkAliasing([{ name: "query", input: layout, output: layout }]);
    caught(
      () =>
        checkAliasing([
          { name: "query", input: layout, output: layout },
          { name: "key", input: layout, output: layout },
        ]),
      "ROPE_SHAPE",
    );
  });
});

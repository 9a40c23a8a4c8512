/** Wrong or missing arguments of any public function are RopeErrors, never a TypeError of the engine. */

import { describe, expect, test } from "vitest";
import * as core from "@ropewalk/core";
import { createRegistry, getRopeUntyped, RopeError } from "@ropewalk/core";
import * as math from "@ropewalk/core/math";
import { testRegistry } from "./providers.ts";

const junk: readonly unknown[] = [
  undefined,
  null,
  0,
  -1,
  1.5,
  NaN,
  Infinity,
  7n,
  "",
  "x",
  "__proto__",
  true,
  {},
  { a: 1 },
  Object.create(null),
  [],
  [null],
  [[], [1]],
  () => undefined,
  Symbol("s"),
  new Date(0),
  new Map(),
  new Float32Array(3),
  new DataView(new ArrayBuffer(8)),
  new Uint8Array(4),
  Float64Array.of(NaN),
  { data: new Float32Array(8), shape: [1, 1, 8], stride: [1] },
  { data: null, shape: null },
  { shape: [1, 1, 8] },
  { start: null, count: null },
  { start: 0, count: 1, step: 2 },
  { query: null, key: null, out: null },
  { positions: [0], query: new Float32Array(8), out: new Float32Array(8) },
  { headDim: 8, parameters: null },
];

const registry = testRegistry();
const rope = getRopeUntyped({ headDim: 8, parameters: { ropeType: "plain" } }, { registry });
const grid = getRopeUntyped({ headDim: 8, parameters: { ropeType: "grid" } }, { registry });
const fine = getRopeUntyped({ headDim: 8, parameters: { ropeType: "fine" } }, { registry });
const step = rope.at([0]);
const view = { data: new Float32Array(8), shape: [1, 1, 8] };
const good = { positions: [0], query: new Float32Array(8) };

/** Each function with valid arguments. The test replaces each argument by each piece of junk, and leaves it out. */
const calls: Readonly<Record<string, readonly [(...given: never[]) => unknown, readonly unknown[]]>> = {
  getRope: [core.getRope, [{ headDim: 8, parameters: { ropeType: "plain" } }, { registry }]],
  getRopeUntyped: [getRopeUntyped, [{ headDim: 8, parameters: { ropeType: "plain" } }, { registry }]],
  "getRopeUntyped, registry": [(given: never) => getRopeUntyped(rope.spec, { registry: given }), [registry]],
  "getRopeUntyped, provider": [
    (given: never) => getRopeUntyped(rope.spec, { provider: given }),
    [registry.get("plain")!.provider],
  ],
  clearRopeCache: [core.clearRopeCache, [createRegistry()]],
  ropeCacheStatistics: [core.ropeCacheStatistics, [createRegistry()]],
  createRegistry: [core.createRegistry, []],
  register: [createRegistry().register.bind(registry), ["new", registry.get("plain")!.provider, {}]],
  unregister: [(name: never) => registry.unregister(name), ["nobody"]],
  get: [(name: never) => registry.get(name), ["plain"]],
  require: [(name: never) => registry.require(name), ["plain"]],
  requireBackend: [(name: never) => registry.requireBackend(name), ["js"]],
  registerBackend: [core.registerBackend, [null]],
  registerQueryScale: [core.registerQueryScale, ["", null]],
  registerRopeType: [core.registerRopeType, ["arguments-test", {}]],
  "registerRopeType()": [
    core.registerRopeType("arguments-test", { registry: createRegistry() }) as () => unknown,
    [null],
  ],
  "registerRopeType() as a decorator": [
    core.registerRopeType("arguments-test", { registry: createRegistry() }) as () => unknown,
    [class {}, { kind: "field", name: "x" }],
  ],
  unregisterRopeType: [core.unregisterRopeType, ["nobody"]],
  listRopeTypes: [core.listRopeTypes, []],
  "rope.apply": [rope.apply.bind(rope), [good]],
  "rope.apply, positions": [(positions: never) => rope.apply({ positions, query: new Float32Array(8) }), [[0]]],
  "grid.apply, positions": [(positions: never) => grid.apply({ positions, query: new Float32Array(8) }), [[[0], [0]]]],
  "rope.apply, query": [(query: never) => rope.apply({ positions: [0], query }), [view]],
  "rope.apply, out": [
    (out: never) => rope.apply({ positions: [0], query: new Float32Array(8), out }),
    [{ query: view }],
  ],
  "rope.apply, out.query": [
    (query: never) => rope.apply({ positions: [0], query: new Float32Array(8), out: { query } }),
    [view],
  ],
  "rope.apply, length": [(length: never) => rope.apply({ ...good, length }), [5]],
  "rope.apply, shape": [(shape: never) => rope.apply({ positions: [0], query: { ...view, shape } }), [[1, 1, 8]]],
  "rope.apply, strides": [(strides: never) => rope.apply({ positions: [0], query: { ...view, strides } }), [[8, 8, 1]]],
  "rope.apply, offset": [(offset: never) => rope.apply({ positions: [0], query: { ...view, offset } }), [0]],
  "rope.apply, dtype": [(dtype: never) => rope.apply({ positions: [0], query: { ...view, dtype } }), ["float32"]],
  "rope.apply, step": [
    (given: never) => rope.apply({ positions: { start: 0, count: 1, step: given }, query: new Float32Array(8) }),
    [2],
  ],
  "fine.apply, step": [
    (given: never) => fine.apply({ positions: { start: 0, count: 1, step: given }, query: new Float32Array(8) }),
    [0.5],
  ],
  ...Object.fromEntries(
    Object.entries({ data: [0], shape: [1], strides: [1], offset: 0 }).map(([name, right]) => [
      `rope.apply, positions.${name}`,
      [
        (given: never) =>
          rope.apply({
            positions: { data: [0], shape: [1], strides: [1], offset: 0, [name]: given },
            query: new Float32Array(8),
          }),
        [right],
      ],
    ]),
  ),
  "rope.invert": [rope.invert.bind(rope), [good]],
  "rope.adjoint": [rope.adjoint.bind(rope), [good]],
  "rope.at": [rope.at.bind(rope), [[0], {}]],
  "step.apply": [step.apply.bind(step), [{ query: new Float32Array(8) }]],
  "step.invert": [step.invert.bind(step), [{ query: new Float32Array(8) }]],
  "step.adjoint": [step.adjoint.bind(step), [{ query: new Float32Array(8) }]],
  "rope.cosSin": [rope.cosSin.bind(rope), [[0], {}]],
  "rope.cosSin, out": [
    (out: never) => rope.cosSin([0], { out }),
    [{ cos: new Float32Array(4), sin: new Float32Array(4) }],
  ],
  "rope.cosSin, form": [(form: never) => rope.cosSin([0], { form }), ["complex"]],
  "rope.cosSin, form and out": [
    (form: never, out: never) => rope.cosSin([0], { form, out }),
    ["concatenated", new Float32Array(8)],
  ],
  "rope.cosSin, width": [(width: never) => rope.cosSin([0], { width }), ["full"]],
  "rope.cosSin, dtype": [(dtype: never) => rope.cosSin([0], { dtype }), ["float16"]],
  "rope.frequencies": [rope.frequencies.bind(rope), [1]],
  "rope.periods": [rope.periods.bind(rope), [1]],
  "rope.shift": [rope.shift.bind(rope), [{ keys: new Float32Array(8), from: [0], to: [1] }]],
  "rope.shift, keys": [(keys: never) => rope.shift({ keys, from: [0], to: [1] }), [view]],
  "rope.effectiveLength": [rope.effectiveLength.bind(rope), [1]],
  "rope.explain": [rope.explain.bind(rope), [1]],
  "rope.to": [rope.to.bind(rope) as () => unknown, ["nowhere", {}]],
  rotate: [math.rotate, [view, { cos: new Float32Array(4), sin: new Float32Array(4), pairing: "half" }]],
  "rotate, cos": [
    (cos: never) => math.rotate(view, { cos, sin: new Float32Array(4), pairing: "half" }),
    [new Float32Array(4)],
  ],
  ...Object.fromEntries(
    Object.entries({ data: new Float32Array(4), shape: [1, 4], strides: [4, 1], offset: 0, dtype: "float32" }).map(
      ([name, right]) => [
        `rotate, cos.${name}`,
        [
          (given: never) =>
            math.rotate(view, {
              cos: { data: new Float32Array(4), shape: [1, 4], [name]: given },
              sin: { data: new Float32Array(4), shape: [1, 4] },
              pairing: "half",
            }),
          [right],
        ],
      ],
    ),
  ),
  permuteRows: [math.permuteRows, [new Float32Array(8), { headDim: 8, from: "half", to: "adjacent" }]],
  rowOrder: [math.rowOrder, [{ headDim: 8, from: "half", to: "adjacent" }]],
  normGradient: [math.normGradient, [view, view, { epsilon: 0 }]],
  angleGradient: [math.angleGradient, [view, view, { pairing: "half" }]],
  blockCount: [math.blockCount, ["half", 8]],
  canonicalPairing: [math.canonicalPairing, ["half", 8]],
  pairElements: [math.pairElements, ["half", 8]],
  inverseFrequencies: [math.inverseFrequencies, [10000, 8, math.float64]],
};

/** Functions from numbers to numbers, like those of Math: the language converts or refuses other values. */
const arithmetic = new Set([
  "doubleDouble",
  "float32",
  "float64",
  "remainder",
  "toNumber",
  "fromBfloat16",
  "fromFloat16",
  "toBfloat16",
  "toFloat16",
]);
const values = new Set(["RopeError", "SPECIFICATION_VERSION", "defaultRegistry"]);

test("every function that core exports is here", () => {
  const names = [...Object.keys(core), ...Object.keys(math)].filter(
    (name) => !arithmetic.has(name) && !values.has(name),
  );
  expect(names.filter((name) => calls[name] === undefined)).toEqual([]);
});

describe.each(Object.entries(calls))("%s", (_, [call, right]) => {
  const outcome = (given: readonly unknown[]): string | undefined => {
    try {
      call(...(given as never[]));
      return undefined;
    } catch (error) {
      return RopeError.is(error)
        ? undefined
        : `${String(error)} for ${given.map((value) => (Array.isArray(value) ? "list" : typeof value)).join(", ")}`;
    }
  };

  test("answers any arguments with a RopeError or a result", () => {
    const failures = new Set<string | undefined>();
    for (let length = 0; length < right.length; length++) failures.add(outcome(right.slice(0, length)));
    for (let i = 0; i < right.length; i++) {
      for (const piece of junk) failures.add(outcome(right.with(i, piece)));
    }
    failures.delete(undefined);
    expect([...failures]).toEqual([]);
  });
});

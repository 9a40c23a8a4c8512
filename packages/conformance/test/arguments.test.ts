/** Wrong or missing arguments of the public functions give RopeErrors, never a TypeError. */

import { conformance } from "@ropewalk/conformance";
import * as golden from "@ropewalk/conformance/golden";
import type { EngineRecord, TruthRecord } from "@ropewalk/conformance/golden";
import { createRegistry, getRopeUntyped, RopeError } from "@ropewalk/core";
import { fixtures } from "@ropewalk/goldens";
import { describe, expect, test } from "vitest";
import { cases, ExampleProvider } from "./fixture.ts";

const junk: readonly unknown[] = [
  undefined,
  null,
  0,
  -1,
  1.5,
  NaN,
  7n,
  "",
  "x",
  true,
  {},
  { a: 1 },
  Object.create(null),
  [],
  [null],
  [[], [1]],
  [Symbol("s")],
  ["x", "x"],
  () => undefined,
  Symbol("s"),
  new Map(),
  new Float32Array(3),
  { name: "x" },
  { name: "x", request: null },
];

const provider = new ExampleProvider();
const parameters = { ropeType: "example", factor: 1, gain: 1 } as { ropeType: string };
const request = { headDim: 128, base: 1_000_000, parameters };
const rope = getRopeUntyped(request, { provider });
const exact = getRopeUntyped({ ...request, precision: "float64" }, { provider });
const engine: EngineRecord = fixtures("hf").find(({ model }) => model === "mistralai/Mistral-7B-v0.3")!.ropes[0]!;
const truth: TruthRecord = fixtures("truth").find(({ name }) => name === "default-128-1000000")!;

const define = (): void => undefined;
const options = { provider, cases };

/** Whether a value is refused with a RopeError; `accepted` if nothing was thrown, else the error. */
function outcome(call: () => unknown): string {
  try {
    call();
    return "accepted";
  } catch (error) {
    return RopeError.is(error) ? "RopeError" : String(error);
  }
}

/** `right` with the value at one key, or missing. */
const replaced = (right: object, key: string, value: unknown): object => ({ ...right, [key]: value });

describe("conformance", () => {
  test("without arguments, or with another test function or options", () => {
    expect(outcome(() => (conformance as () => void)())).toBe("RopeError");
    for (const piece of junk) {
      const isFunction = typeof piece === "function";
      const wrongTest = outcome(() => conformance(piece as never, options));
      expect(wrongTest, typeof piece).toBe(isFunction ? "accepted" : "RopeError");
      const wrongOptions = outcome(() => conformance(define, piece as never));
      expect(wrongOptions, typeof piece).toBe("RopeError");
    }
    expect(outcome(() => conformance(define, options))).toBe("accepted");
  });

  test.each(["ropeType", "registry", "provider", "cases", "backend", "only", "skip", "seed"])("%s", (key) => {
    for (const piece of junk) {
      const result = outcome(() => conformance(define, replaced(options, key, piece) as never));
      expect(["accepted", "RopeError"], String(result)).toContain(result);
    }
  });

  test.each<[string, object, string]>([
    ["an unknown option", { ...options, onyl: ["memory"] }, "onyl"],
    ["neither type nor provider", { cases }, "ropeType"],
    ["no cases", { provider }, "cases"],
    ["an empty list of cases", { provider, cases: [] }, "cases"],
    ["two cases of one name", { provider, cases: [cases[0], cases[0]] }, "cases"],
    ["a case without a request", { provider, cases: [{ name: "x" }] }, "cases[0].request"],
    ["a case without a name", { provider, cases: [{ request: { headDim: 8 } }] }, "cases[0].name"],
    ["a case with an unknown key", { provider, cases: [{ ...cases[0], parameters: {} }] }, "parameters"],
    ["an unknown group", { ...options, only: ["speed"] }, "only"],
    ["an unknown group to skip", { ...options, skip: ["speed"] }, "skip"],
    ["a backend without a name", { ...options, backend: {} }, "backend"],
    ["an unknown key of the backend", { ...options, backend: { name: "wasm", exact: true } }, "exact"],
    ["a seed that is no integer", { ...options, seed: 0.5 }, "seed"],
    ["a registry that is none", { ropeType: "example", cases, registry: new Map() }, "registry"],
  ])("refuses %s before it defines a test", (_, given, path) => {
    let defined = 0;
    const call = (): void => conformance(() => defined++, given as never);
    expect(call).toThrow(expect.objectContaining({ code: "ROPE_INVALID_PARAMETERS" }));
    try {
      call();
    } catch (error) {
      expect((error as RopeError).issues.map((issue) => issue.path)).toContain(path);
    }
    expect(defined).toBe(0);
  });

  test("refuses a value that is no provider, and a provider of another contract version", () => {
    const notOne = { provider: { source: "x@1.0.0" }, cases } as never;
    expect(() => conformance(define, notOne)).toThrow(expect.objectContaining({ code: "ROPE_INVALID_PARAMETERS" }));
    const future = { provider: Object.assign(new ExampleProvider(), { specificationVersion: 99 }), cases };
    expect(() => conformance(define, future)).toThrow(expect.objectContaining({ code: "ROPE_SPEC_VERSION" }));
  });

  test("a type that is not registered fails its tests, not their definition", () => {
    const given = { ropeType: "missing", registry: createRegistry(), cases };
    expect(outcome(() => conformance(define, given))).toBe("accepted");
  });
});

/** The comparisons with valid arguments, and the fields of the record that each reads. */
const comparisons: Readonly<
  Record<string, readonly [(...given: never[]) => void, unknown, object, readonly string[], readonly string[]]>
> = {
  compareFrequencies: [
    golden.compareFrequencies,
    rope,
    engine,
    ["headDim", "rotaryDim", "pairing", "invFreq", "attentionFactor", "softmaxScaleFactor"],
    ["rotaryOffset", "length"],
  ],
  compareTables: [golden.compareTables, rope, engine, ["invFreq", "positions", "pairs", "cos", "sin"], ["length"]],
  compareRotations: [golden.compareRotations, rope, engine, ["invFreq"], ["rotated", "length"]],
  compareTruth: [
    golden.compareTruth,
    exact,
    truth,
    ["attentionFactor", "softmaxScaleFactor", "invFreqHigh", "positions", "pairs", "cos", "sin", "nearZero"],
    [],
  ],
};

test("every comparison is here", () => {
  const names = Object.keys(golden).filter((name) => name !== "float32Ulp");
  expect(Object.keys(comparisons).sort()).toEqual(names.sort());
});

describe.each(Object.entries(comparisons))("%s", (_, [compare, compared, record, required, optional]) => {
  const call = (...given: readonly unknown[]): string => outcome(() => compare(...(given as never[])));

  test("another rope or record, or none", () => {
    expect(call(compared, record)).toBe("accepted");
    expect(call()).toBe("RopeError");
    expect(call(compared)).toBe("RopeError");
    for (const piece of junk) {
      expect(call(piece, record), typeof piece).toBe("RopeError");
      expect(call(compared, piece), typeof piece).toBe("RopeError");
    }
  });

  test.each([...required, ...optional])("record.%s", (field) => {
    if (required.includes(field)) expect(call(compared, replaced(record, field, undefined))).toBe("RopeError");
    for (const piece of junk) {
      // A plausible value that differs is a failed comparison: an Error that names the expected number.
      expect(call(compared, replaced(record, field, piece))).toMatch(/^(accepted|RopeError|Error: .+expected .+)$/);
    }
  });
});

test.each(["dtype", "positions", "outputPairing", "query", "key"])("record.rotated[0].%s", (field) => {
  const [part] = engine.rotated!;
  const wrong = [...junk, { shape: [1, 1, 128], input: "?", output: "" }, { shape: [2, 2, 2], input: "", output: "" }];
  for (const piece of wrong) {
    const record = { ...engine, rotated: [replaced(part!, field, piece)] };
    const result = outcome(() => golden.compareRotations(rope, record as EngineRecord));
    expect(result, typeof piece).toMatch(/^(RopeError|Error: .+expected .+)$/);
  }
});

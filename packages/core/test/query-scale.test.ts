import { createRegistry, getRopeUntyped } from "@ropewalk/core";
import type { QueryScale, QueryScaleRule } from "@ropewalk/core";
import { expect, test } from "vitest";

const registry = createRegistry();
registry.register("still", {
  specificationVersion: 1,
  source: "query-scale-test@1",
  parameters: {},
  frequencies: ({ rotaryDim }) => ({ invFreq: new Array<number>(rotaryDim / 2).fill(1) }),
});
const rope = (queryScale?: unknown) =>
  getRopeUntyped({ headDim: 4, queryScale: queryScale as QueryScale, parameters: { ropeType: "still" } }, { registry });

test("Llama 4's temperature counts from 1, Ministral 3's from 0", () => {
  // 1 + 0.1 ln 2 and 1 + 0.1 ln 3, rounded to float32.
  const [two, three] = [Math.fround(1.0693147180559946), Math.fround(1.109861228866811)];
  const llama = rope({ rule: "temperature", beta: 0.1, length: 8192, offset: 1 }).at([0, 8190, 8191, 16383]);
  expect(Array.from(llama.queryScale!)).toEqual([1, 1, two, three]);
  const ministral = rope({ rule: "temperature", beta: 0.1, length: 16384, offset: 0 }).at([16383, 16384, 32768]);
  expect(Array.from(ministral.queryScale!)).toEqual([1, two, three]);
});

test("Qwen's logn begins where the trained length ends", () => {
  const step = rope({ rule: "logn", length: 2048 }).at({ data: [0, 2047, 2048, 4194303], shape: [2, 2] });
  // ln 2049 / ln 2048, and ln 2^22 / ln 2^11 = 2.
  expect(Array.from(step.queryScale!)).toEqual([1, 1, Math.fround(1.0000640234), 2]);
});

test("a step reports the factors, does not apply them, and they are part of the rope's identity", () => {
  const scale = { rule: "temperature", beta: 0.1, length: 2, offset: 0 };
  const [plain, scaled] = [rope(), rope(scale)];
  expect(plain.at([3]).queryScale).toBeNull();
  expect(plain).not.toBe(scaled);
  expect(rope({ offset: 0, length: 2, beta: 0.1, rule: "temperature" })).toBe(scaled);
  const [a, b] = [Float32Array.of(1, 2, 3, 4), Float32Array.of(1, 2, 3, 4)];
  plain.apply({ positions: [3], query: a });
  scaled.apply({ positions: [3], query: b });
  expect(b).toEqual(a);
});

test.each([
  [{ rule: "other", length: 5 }],
  [{ rule: "logn" }],
  [{ rule: "logn", length: 1 }],
  [{ rule: "temperature", beta: 0.1, length: 4 }],
  [{ rule: "logn", length: 4, beta: 1 }],
  [3],
])("refuses %j", (queryScale) => {
  expect(() => rope(queryScale)).toThrow(expect.objectContaining({ code: "ROPE_INVALID_PARAMETERS" }));
});

test("Inkling's logarithm begins at the length", () => {
  const step = rope({ rule: "logarithm", alpha: 0.25, length: 1024 }).at([0, 1023, 2047, 1_048_575]);
  // 1 + 0.25 ln 2 and 1 + 0.25 ln 1024.
  expect(Array.from(step.queryScale!)).toEqual([
    1,
    1,
    Math.fround(1.1732867951399863),
    Math.fround(2.7328679513998633),
  ]);
});

test("a caller registers a rule of its own by a name", () => {
  const rule: QueryScaleRule<{ slope: number }> = {
    specificationVersion: 1,
    source: "rope-slope@1.0.0",
    parameters: { slope: { type: "number", above: 0, default: 2, description: "growth" } },
    scale: (position, { slope }) => slope * position,
  };
  registry.registerQueryScale("slope", rule);
  registry.registerQueryScale("slope", rule);
  expect(rope({ rule: "slope" }).spec.queryScale).toEqual({ rule: "slope", slope: 2 });
  expect(rope({ rule: "slope", slope: 2 })).toBe(rope({ rule: "slope" }));
  expect(Array.from(rope({ rule: "slope", slope: 3 }).at([0, 5]).queryScale!)).toEqual([0, 15]);
  expect(() => rope({ rule: "slope", slope: 0 })).toThrow(expect.objectContaining({ code: "ROPE_INVALID_PARAMETERS" }));
  expect(() => registry.registerQueryScale("slope", { ...rule, source: "other@1" })).toThrow(
    expect.objectContaining({ code: "ROPE_TYPE_CONFLICT" }),
  );
  expect(() => registry.registerQueryScale("temperature", rule)).toThrow(
    expect.objectContaining({ code: "ROPE_TYPE_CONFLICT" }),
  );
  for (const bad of [undefined, null, {}, { ...rule, scale: 1 }, { ...rule, source: "" }]) {
    expect(() => registry.registerQueryScale("bad", bad as never)).toThrow(
      expect.objectContaining({ code: "ROPE_INVALID_PARAMETERS" }),
    );
  }
  expect(() => registry.registerQueryScale("late", { ...rule, specificationVersion: 9 })).toThrow(
    expect.objectContaining({ code: "ROPE_SPEC_VERSION" }),
  );
});

test("a position without a value is refused, also beyond float32", () => {
  const scale = { rule: "temperature", beta: 0.1, length: 8192, offset: 0 } as const;
  const fractional = getRopeUntyped(
    { headDim: 4, fractionalPositions: true, queryScale: scale, parameters: { ropeType: "still" } },
    { registry },
  );
  expect(fractional.at([0.5]).queryScale![0]).toBe(1);
  for (const position of [-0.5, -10_000]) {
    expect(() => fractional.at([position])).toThrow(expect.objectContaining({ code: "ROPE_POSITION_RANGE" }));
  }
  expect(() => rope({ ...scale, beta: 1e39 }).at([8192])).toThrow(
    expect.objectContaining({ code: "ROPE_POSITION_RANGE" }),
  );
});

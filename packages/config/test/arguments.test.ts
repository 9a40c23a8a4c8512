/** Wrong and missing arguments of every public function: each gives a RopeError that says what was expected. */

import {
  attentionShape,
  dialects,
  fromAtb,
  ropeRequestsFromConfig,
  ropeRequestsFromGguf,
  ropesFromConfig,
  ropesFromGguf,
} from "@ropewalk/config";
import { describe, expect, test } from "vitest";
import { failure, llama } from "./helpers.ts";

const header = {
  "general.architecture": "llama",
  "llama.context_length": 4096,
  "llama.attention.key_length": 64,
  "llama.block_count": 2,
};
/** Each public function with a valid first argument. */
const functions: Readonly<Record<string, readonly [(...given: readonly any[]) => unknown, unknown]>> = {
  ropesFromConfig: [ropesFromConfig, llama()],
  ropeRequestsFromConfig: [ropeRequestsFromConfig, llama()],
  ropesFromGguf: [ropesFromGguf, header],
  ropeRequestsFromGguf: [ropeRequestsFromGguf, header],
};
const nothingUsable: readonly unknown[] = [
  undefined,
  null,
  5,
  Number.NaN,
  7n,
  true,
  "{}",
  Symbol("config"),
  [],
  [1],
  () => {},
  new Float32Array(2),
];

describe.each(Object.entries(functions))("%s", (_, [call, right]) => {
  test("a valid first argument", () => {
    expect(call(right)).toBeTypeOf("object");
    expect(call(right, undefined)).toBeTypeOf("object");
    expect(call(right, {})).toBeTypeOf("object");
  });

  test.each(nothingUsable.map((value) => [value]))("%o instead of a file", (value) => {
    const error = failure(() => call(value));
    expect(error.code).toBe("ROPE_CONFIG");
    expect(error.message).toMatch(/: expected .*, got (?!undefined)/);
  });

  test("no argument, and an empty file", () => {
    expect(failure(() => call()).received).toBe("nothing");
    expect(failure(() => call({})).code).toBe("ROPE_CONFIG");
  });

  test.each([[null], [5], ["float32"], [[]], [() => {}], [true]])("%o instead of options", (options) => {
    const error = failure(() => call(right, options));
    expect(error).toMatchObject({
      code: "ROPE_INVALID_PARAMETERS",
      issues: [{ path: "options", expected: "an object" }],
    });
  });

  test.each<[string, unknown, string]>([
    ["precison", "float32", "ROPE_INVALID_PARAMETERS"],
    ["toString", 1, "ROPE_INVALID_PARAMETERS"],
    ["capacity", "4096", "ROPE_INVALID_PARAMETERS"],
    ["capacity", -1, "ROPE_INVALID_PARAMETERS"],
    ["capacity", null, "ROPE_INVALID_PARAMETERS"],
    ["registry", null, "ROPE_INVALID_PARAMETERS"],
    ["registry", {}, "ROPE_INVALID_PARAMETERS"],
    ["registry", "default", "ROPE_INVALID_PARAMETERS"],
  ])("the option %s: %o", (option, value, code) => {
    const error = failure(() => call(right, { [option]: value }));
    expect(error.code).toBe(code);
    expect(error.issues.map(({ path }) => path)).toEqual([option]);
  });
});

// Requests are data: core refuses an invalid rope when it builds it.
describe.each([
  ["ropesFromConfig", ropesFromConfig, llama()],
  ["ropesFromGguf", ropesFromGguf, header],
] as const)("%s", (_, call, right) => {
  test.each<[string, unknown]>([
    ["precision", "float16"],
    ["precision", null],
    ["maxPosition", 1.5],
    ["maxPosition", "4096"],
    ["pairing", "neox"],
    ["pairing", null],
    ["pairing", { blocks: 3n }],
    ["pairing", { blocks: 0 }],
  ])("the option %s: %o", (option, value) => {
    const error = failure(() => call(right, { [option]: value }));
    expect(error.code).toBe("ROPE_INVALID_PARAMETERS");
    expect(error.issues.map(({ path }) => path)).toEqual([option]);
  });

  test.each([["0"], [1.5], [-1], [Number.NaN], [undefined], [null], [1n], [{}], [Symbol("layer")]])(
    "layer %o",
    (layer) => {
      const { forLayer, queryScaleOf } = call(right);
      for (const ask of [forLayer, queryScaleOf]) {
        const error = failure(() => ask(layer as number));
        expect(error).toMatchObject({
          code: "ROPE_CONFIG",
          expected: expect.stringMatching(/^an integer from 0 to \d$/),
        });
        expect(error.received).not.toBe("undefined");
      }
    },
  );
});

describe("dialects", () => {
  const { yarn, ...withoutYarn } = dialects.vllm;
  test.each<[string, unknown]>([
    ["an unknown name", "vlm"],
    ["a name of Object.prototype", "constructor"],
    ["a number", 5],
    ["null", null],
    ["nothing in it", {}],
    ["a list", [dialects.hf]],
    ["a profile without yarn", withoutYarn],
    ["a knob of yarn that is missing", { ...dialects.vllm, yarn: { ...yarn, betas: undefined } }],
    ["text instead of a list", { ...dialects.vllm, ropeTypes: "default" }],
    ["a number instead of an object", { ...dialects.vllm, longrope: 1 }],
  ])("%s", (_, dialect) => {
    const error = failure(() => ropesFromConfig(llama(), { dialect: dialect as "hf" }));
    expect(error).toMatchObject({ code: "ROPE_CONFIG", expected: expect.stringContaining("hf, vllm, sglang") });
  });

  test("the message names the knob", () => {
    const dialect = { ...dialects.vllm, yarn: { ...yarn, betas: undefined } } as unknown as typeof dialects.vllm;
    expect(failure(() => ropesFromConfig(llama(), { dialect })).message).toContain("yarn.betas");
  });

  test("a copy with a knob changed is a dialect", () => {
    const dialect = { ...dialects.hf, name: "mine", partialRotary: "always" } as const;
    expect(ropesFromConfig(llama({ partial_rotary_factor: 0.5 }), { dialect }).forLayer(0)?.rotaryDim).toBe(64);
  });
});

describe("tensors of a GGUF file", () => {
  test.each<[unknown, string]>([
    [null, "tensors"],
    [5, "tensors"],
    [[], "tensors"],
    [{ "rope_freqs.weigth": [1] }, "rope_freqs.weigth"],
    [{ "rope_freqs.weight": 5 }, "rope_freqs.weight"],
    [{ "rope_freqs.weight": null }, "rope_freqs.weight"],
    [{ "rope_freqs.weight": [1, 2] }, "rope_freqs.weight"],
    [{ "rope_freqs.weight": new Array(32).fill("1") }, "rope_freqs.weight"],
    [{ "rope_factors_long.weight": new Float32Array(32) }, "rope_factors_long.weight"],
  ])("%o", (tensors, path) => {
    const error = failure(() => ropesFromGguf(header, { tensors: tensors as object }));
    expect(error.issues.map((issue) => issue.path)).toEqual([path]);
  });
});

describe("fromAtb", () => {
  test.each(
    [...nothingUsable, {}, { rotaryCoeff: 2 }, { headDim: 64 }, { rotaryCoeff: "2", headDim: 64 }].map((v) => [v]),
  )("%o", (rope) => {
    const error = failure(() => fromAtb(rope as Parameters<typeof fromAtb>[0]));
    expect(error.code).toBe("ROPE_CONFIG");
    expect(error.message).not.toContain("undefined");
  });

  test("an unknown key", () => {
    const rope = { rotaryCoeff: 2, headDim: 64, headdim: 64 };
    expect(failure(() => fromAtb(rope)).issues).toMatchObject([{ path: "headdim" }]);
  });
});

describe("attentionShape", () => {
  test.each(nothingUsable.map((value) => [value]))("%o", (config) => {
    expect(failure(() => attentionShape(config)).code).toBe("ROPE_CONFIG");
  });

  test("invalid numbers of heads", () => {
    const error = failure(() => attentionShape(llama({ num_attention_heads: 0, num_key_value_heads: "8" })));
    expect(error.issues.map(({ path }) => path)).toEqual(["num_attention_heads", "num_key_value_heads"]);
  });
});

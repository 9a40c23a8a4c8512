/** Any file gives ropes or a RopeError in finite time, and is not changed. */

import { ropeRequestsFromConfig, ropesFromConfig } from "@ropewalk/config";
import { RopeError } from "@ropewalk/core";
import { models } from "@ropewalk/goldens";
import fc from "fast-check";
import { expect, test } from "vitest";
import { deepFreeze, failure, llama } from "./helpers.ts";
import type { Json } from "./helpers.ts";

const keys = [
  ...[
    "model_type",
    "hidden_size",
    "num_attention_heads",
    "head_dim",
    "qk_rope_head_dim",
    "qk_nope_head_dim",
    "num_hidden_layers",
    "max_position_embeddings",
  ],
  ...[
    "rope_theta",
    "rope_scaling",
    "rope_parameters",
    "partial_rotary_factor",
    "rotary_dim",
    "rotary_pct",
    "layer_types",
    "no_rope_layers",
    "sliding_window_pattern",
  ],
  ...[
    "rope_type",
    "type",
    "factor",
    "original_max_position_embeddings",
    "beta_fast",
    "beta_slow",
    "mscale",
    "mscale_all_dim",
    "attention_factor",
    "attn_factor",
    "truncate",
  ],
  ...[
    "mrope_section",
    "alpha",
    "text_config",
    "thinker_config",
    "full_attention",
    "sliding_attention",
    "yarn_only_types",
    "position_embedding_type",
    "alibi",
    "rope_ratio",
  ],
  ...["__proto__", "constructor", "toString", "hasOwnProperty", "ropeType", "length"],
];
const words = [
  "llama",
  "gemma3_text",
  "deepseek_v3",
  "deepseek_v4",
  "phi3",
  "qwen3_5",
  "step3p5",
  "bert",
  "toast",
  "yarn",
  "default",
  "su",
  "mrope",
  "dynamic",
  "full_attention",
  "sliding_attention",
  "constructor",
  "",
  "LLG",
];
const numbers = [
  0,
  1,
  -1,
  2,
  3,
  4,
  32,
  40,
  64,
  0.25,
  0.334,
  128,
  4096,
  8192,
  131072,
  1e6,
  1e308,
  -1e308,
  5e-324,
  NaN,
  Infinity,
  2 ** 53,
];

const leaf = fc.oneof(
  fc.constantFrom<unknown>(...numbers),
  fc.constantFrom<unknown>(...words),
  fc.boolean(),
  fc.constant(null),
  fc.array(fc.constantFrom<unknown>(...numbers, ...words), { maxLength: 6 }),
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    leaf,
    fc
      .array(fc.tuple(fc.constantFrom(...keys), tie("tree")), { maxLength: 8 })
      .map((entries) => Object.fromEntries(entries)),
  ),
}));

/** A real config with a few keys replaced, at the top or in its rope dictionary. */
const nearValid = fc
  .tuple(
    fc.constantFrom(...models()),
    fc.array(fc.tuple(fc.constantFrom(...keys), tree), { maxLength: 3 }),
    fc.array(fc.tuple(fc.constantFrom(...keys), tree), { maxLength: 3 }),
  )
  .map(([{ config }, outer, inner]): Json => {
    const scaling = config["rope_scaling"];
    const changed =
      typeof scaling === "object" && scaling !== null
        ? { rope_scaling: { ...scaling, ...Object.fromEntries(inner) } }
        : {};
    return { ...config, ...changed, ...Object.fromEntries(outer) };
  });

// A fixed seed: a failure repeats everywhere. fast-check prints it with the case.
const options = { seed: 20_261_122, numRuns: 4000 };

function ropesOrRopeError(config: unknown): void {
  const before = structuredClone(config);
  try {
    const { byLayerType, notes } = ropesFromConfig(deepFreeze(config));
    expect(byLayerType.size).toBeGreaterThan(0);
    for (const { path, message } of notes) expect(path !== "" && /[.:]$/.test(message)).toBe(true);
  } catch (error) {
    if (!RopeError.is(error)) throw error;
    expect(["ROPE_CONFIG", "ROPE_UNKNOWN_TYPE", "ROPE_INVALID_PARAMETERS"]).toContain(error.code);
    expect(error.message).not.toMatch(/\[object|undefined/);
  }
  expect(config).toEqual(before);
}

test("any JSON", () => {
  fc.assert(fc.property(tree, ropesOrRopeError), options);
});

test("real configs with a few keys replaced", () => {
  fc.assert(fc.property(nearValid, ropesOrRopeError), options);
});

test("names of Object.prototype are ordinary keys", () => {
  const hostile = JSON.parse(
    '{"__proto__": {"rope_theta": 5, "head_dim": 2}, "constructor": {"rope_theta": 5}, "rope_scaling": {"__proto__": {"factor": 9}, "rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 8192}}',
  ) as Json;
  const config = Object.defineProperty({ ...llama(), rope_scaling: hostile["rope_scaling"] }, "__proto__", {
    value: { head_dim: 2 },
    enumerable: true,
  });
  const { byLayerType } = ropesFromConfig(config);
  expect(byLayerType.get(null)).toMatchObject({ headDim: 128, base: 10000 });
  expect(byLayerType.get(null)!.spec.parameters["factor"]).toBe(4);
  expect(({} as Json)["factor"]).toBeUndefined();
  for (const name of ["constructor", "__proto__", "toString"]) {
    expect(failure(() => ropesFromConfig(llama({ rope_scaling: { rope_type: name, factor: 2 } }))).code).toBe(
      "ROPE_UNKNOWN_TYPE",
    );
    expect(failure(() => ropesFromConfig({ model_type: name, hidden_size: 64, num_attention_heads: 2 })).code).toBe(
      "ROPE_CONFIG",
    );
  }
});

test("inherited keys are not read", () => {
  const config = Object.assign(
    Object.create({ rope_theta: 5, head_dim: 2 }) as object,
    llama({ rope_theta: undefined }),
  );
  expect(ropesFromConfig(config).byLayerType.get(null)).toMatchObject({ base: 10000, headDim: 128 });
});

test("reading an object that contains itself ends", () => {
  const config: Record<string, unknown> = { ...llama() };
  config["text_config"] = config;
  expect(ropesFromConfig(config).byLayerType.get(null)?.headDim).toBe(128);
});

test("sizes that no model has are refused before anything is allocated", () => {
  expect(failure(() => ropeRequestsFromConfig(llama({ num_hidden_layers: 1e12 }))).issues).toMatchObject([
    { path: "num_hidden_layers", expected: "at most 10000 layers" },
  ]);
  expect(failure(() => ropeRequestsFromConfig(llama({ head_dim: 2 ** 40 }))).issues).toMatchObject([
    { path: "head_dim", expected: "at most 65536" },
  ]);
});

/**
 * Configs that are far larger than any model's. Each case ends, which it did not in minutes where work grew with the
 * square of a size, and its report stays short.
 */

import { ropeRequestsFromConfig, ropesFromConfig, ropesFromGguf } from "@ropewalk/config";
import { RopeError } from "@ropewalk/core";
import { expect, test } from "vitest";
import { failure, llama } from "./helpers.ts";
import type { Json } from "./helpers.ts";

const many = 100_000;

const keys = (count: number, entry: (i: number) => readonly [key: string, value: unknown]): Json =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => entry(i)));
const list = <T>(count: number, value: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => value(i));

const header: Json = {
  "general.architecture": "llama",
  "llama.context_length": 8192,
  "llama.embedding_length": 4096,
  "llama.attention.head_count": 32,
  "llama.block_count": 32,
};

/** Some 100 notes of each of a few kinds. */
const mostNotes = 250;
const mostCharacters = 100_000;

test.each<[what: string, config: Json, folded: number]>([
  ["keys that nothing reads", llama(keys(many, (i) => [`rope_${i}`, i])), many - 101],
  [
    "keys of the model around",
    { model_type: "x", text_config: llama(), ...keys(many, (i) => [`rope_${i}`, i]) },
    many - 101,
  ],
  ["models beside the one that is read", keys(many, (i) => [`model_${i}`, llama()]), many - 102],
  [
    "keys of a tower",
    {
      model_type: "qwen2_vl_vision",
      embed_dim: 1280,
      num_heads: 16,
      depth: 32,
      ...keys(many, (i) => [`rope_${i}`, i]),
    },
    many - 101,
  ],
])("%s", (_, config, folded) => {
  const { notes } = ropesFromConfig(config);
  expect(notes.length).toBeLessThan(mostNotes);
  expect(JSON.stringify(notes).length).toBeLessThan(mostCharacters);
  expect(notes.map(({ message }) => message).join("\n")).toContain(`Up to ${folded} more notes of this kind`);
});

test("100 notes of a kind are listed, and 101", () => {
  for (const count of [100, 101]) {
    const { notes } = ropesFromConfig(llama(keys(count, (i) => [`rope_${i}`, i])));
    expect(notes.filter(({ kind }) => kind === "unused")).toHaveLength(count);
    expect(JSON.stringify(notes)).not.toContain("more notes");
  }
});

test("many issues: the first are listed, all are counted", () => {
  const error = failure(() => ropesFromConfig(llama(keys(many, (i) => [`rope_${i}`, [1]]))));
  expect(error.issues).toHaveLength(101);
  expect(error.message).toContain(`it has ${many} issues`);
  expect(error.issues.at(-1)!.remedy).toContain(`${many - 101} more issues`);
  expect(error.message.length).toBeLessThan(mostCharacters);
});

test("keys of a GGUF header that nothing reads, and lists", () => {
  const { notes } = ropesFromGguf({ ...header, ...keys(many, (i) => [`llama.rope.k${i}`, i]) });
  expect(notes.length).toBeLessThan(mostNotes);
  const error = failure(() => ropesFromGguf({ ...header, ...keys(many, (i) => [`llama.rope.k${i}`, [1]]) }));
  expect(error.issues).toHaveLength(101);
});

const layers = 10_000;
const layer_types = list(layers, (i) => `type_${i}`);
const rope = (i: number): Json => ({ rope_type: "default", rope_theta: 10_000 + i });

test.each<[what: string, config: Json, expected: string | RegExp]>([
  [
    "layer types with a rope each",
    llama({ num_hidden_layers: layers, layer_types, rope_parameters: keys(layers, (i) => [`type_${i}`, rope(i)]) }),
    "at most 1000 keys",
  ],
  [
    "layer types with a rope each, and as many numbers beside them",
    llama({ rope_parameters: { ...keys(many, (i) => [`n${i}`, i]), ...keys(many, (i) => [`type_${i}`, rope(i)]) } }),
    "at most 1000 keys",
  ],
  [
    "keys of a rope dictionary",
    llama({ rope_scaling: { rope_type: "linear", factor: 2, ...keys(many, (i) => [`k${i}`, i]) } }),
    "at most 1000 keys",
  ],
  [
    "keys of a layer type's dictionary",
    llama({ rope_parameters: { full_attention: keys(many, (i) => [`k${i}`, i]) } }),
    "at most 1000 keys",
  ],
  [
    "bases of layers",
    llama({ num_hidden_layers: layers, rope_theta: list(layers, (i) => i + 1) }),
    "at most 1000 different",
  ],
  [
    "bases of layers, and keys that nothing reads",
    llama({
      num_hidden_layers: layers,
      rope_theta: list(layers, (i) => i + 1),
      ...keys(many, (i) => [`rope_${i}`, i]),
    }),
    "at most 1000 different",
  ],
  [
    "shares of layers",
    llama({ num_hidden_layers: layers, partial_rotary_factors: list(layers, (i) => 1 - i / 1e9) }),
    "at most 1000 different",
  ],
  [
    "settings of layers",
    llama({ num_hidden_layers: layers, per_layer_config: keys(layers, (i) => [`${i}`, { rope_theta: i + 1 }]) }),
    "at most 1000 different",
  ],
  [
    "settings of more layers than there are",
    llama({ per_layer_config: keys(many, (i) => [`${i}`, { rope_theta: i + 1 }]) }),
    "at most 10000 keys",
  ],
  [
    "keys for a layer type of many layers",
    llama({
      num_hidden_layers: layers,
      layer_types: list(layers, () => "full_attention"),
      per_layer_config: { full_attention: keys(many, (i) => [`rope_${i}`, i]) },
    }),
    "at most 1000 keys",
  ],
  ["sections", llama({ rope_scaling: { rope_type: "mrope", mrope_section: list(many, () => 1) } }), `${many} sections`],
  [
    "factors",
    llama({
      original_max_position_embeddings: 4096,
      num_hidden_layers: 1000,
      rope_theta: list(1000, (i) => i + 1),
      rope_scaling: { rope_type: "longrope", short_factor: list(many, () => 1), long_factor: list(many, () => 2) },
    }),
    `got a list of ${many}`,
  ],
  [
    "objects in a dictionary that many layers share",
    llama({
      num_hidden_layers: 900,
      rope_theta: list(900, (i) => i + 1),
      rope_scaling: { rope_type: "yarn", factor: 2, attention_factor: keys(many, (i) => [`k${i}`, { a: i }]) },
    }),
    "a number, a text, or a list of these",
  ],
  [
    "lists of lists in a dictionary that many layers share",
    llama({
      num_hidden_layers: 900,
      rope_theta: list(900, (i) => i + 1),
      rope_scaling: { rope_type: "yarn", factor: 2, beta_fast: [list(many, () => 1)] },
    }),
    "a number, a text, or a list of these",
  ],
  [
    "objects where many layers look for a number",
    llama({
      num_hidden_layers: 900,
      rope_theta: list(900, (i) => i + 1),
      head_dim: keys(many, (i) => [`k${i}`, i]),
    }),
    "head_dim: expected an integer > 0",
  ],
  [
    "parameters of an unknown type",
    llama({
      num_hidden_layers: 900,
      rope_theta: list(900, (i) => i + 1),
      rope_scaling: { rope_type: "mine", ...keys(900, (i) => [`k${i}`, i]) },
    }),
    "at most 20000 parameters",
  ],
  [
    "elements of heads",
    llama({
      num_hidden_layers: 1000,
      per_layer_config: keys(1000, (i) => [`${i}`, { head_dim: 65_536 - 2 * i }]),
    }),
    "at most 262144 elements",
  ],
])("%s: refused in a sentence", (_, config, expected) => {
  const error = failure(() => ropesFromConfig(config));
  expect(error.code).toBe("ROPE_CONFIG");
  expect(error.message).toMatch(expected);
  expect(error.message.length).toBeLessThan(mostCharacters);
});

test.each<[what: string, more: Json]>([
  ["layers without rope", { nope_layers: list(many, (i) => i) }],
  ["flags of layers", { no_rope_layers: list(many, (i) => i % 2) }],
  ["layers with attention", { full_attn_idxs: list(many, (i) => i) }],
  ["layer types that have no rope of their own", { layer_types }],
  ["shares of a few values", { partial_rotary_factors: list(many, (i) => (1 + (i % 64)) / 64) }],
])("%s: read", (_, more) => {
  const { byLayerType, notes } = ropesFromConfig(llama({ num_hidden_layers: layers, ...more }));
  expect(byLayerType.size).toBeLessThan(100);
  expect(notes.length).toBeLessThan(mostNotes);
});

test("a thousand ropes that differ in one factor: one request each, and equal ones share it", () => {
  const types = (step: number): Json =>
    llama({
      num_hidden_layers: 1000,
      layer_types: list(1000, (i) => `t${i}`),
      rope_parameters: keys(1000, (i) => [`t${i}`, { rope_type: "linear", factor: 1 + i * step }]),
    });
  const requests = (config: Json): number =>
    new Set([...ropeRequestsFromConfig(config).byLayerType.values()].map(({ request }) => request)).size;
  expect([requests(types(1)), requests(types(0))]).toEqual([1000, 1]);
});

test("a name of a million characters stays out of messages", () => {
  const name = `rope_${"x".repeat(1e6)}`;
  const around = { [name]: llama({ per_layer_config: keys(4, (i) => [`${i}`, { rope_theta: i + 1 }]), [name]: 1 }) };
  const { byLayerType, notes, rules } = ropesFromConfig(around);
  expect(byLayerType.size).toBe(4);
  expect(JSON.stringify([notes, [...rules]]).length).toBeLessThan(mostCharacters);
  const ofType = llama({ rope_scaling: { rope_type: name } });
  expect(failure(() => ropesFromConfig(ofType)).message.length).toBeLessThan(2000);
  const ofLayers = llama({ layer_types: list(4, () => name), rope_parameters: { other: {}, [`${name}y`]: {} } });
  expect(failure(() => ropesFromConfig(ofLayers)).message.length).toBeLessThan(2000);
});

test("objects in each other, a hundred thousand deep, in two places that are compared", () => {
  const deep = (): Json => {
    let inner: Json = { a: 1 };
    for (let i = 0; i < many; i++) inner = { a: inner };
    return inner;
  };
  const dictionary = (): Json => ({ ...deep(), rope_type: "default" });
  const outcome = (config: Json): unknown => {
    try {
      return ropesFromConfig(config).byLayerType.size;
    } catch (error) {
      return RopeError.is(error) ? error.code : error;
    }
  };
  const inner = llama({ rope_x: deep() });
  expect(outcome(llama({ rope_scaling: dictionary(), rope_parameters: dictionary() }))).toBe("ROPE_CONFIG");
  expect(outcome({ model_type: "llava", text_config: inner, rope_x: deep() })).toBe(1);
  const around = { model_type: "llava", text_config: { ...inner, model_type: undefined }, rope_x: deep() };
  expect(outcome(around)).toBe("ROPE_CONFIG");
});

test.each<[what: string, config: Json, path: string]>([
  [
    "ministral3",
    {
      model_type: "ministral3",
      rope_parameters: {
        ...{ rope_type: "yarn", rope_theta: 1e6, factor: 4, original_max_position_embeddings: 8192 },
        llama_4_scaling_beta: 1e308,
      },
    },
    "rope_parameters.llama_4_scaling_beta",
  ],
  ["llama4_text", { model_type: "llama4_text", attn_scale: -1e37 }, "attn_scale"],
])("a scale of queries that overflows: %s", (_, config, path) => {
  const error = failure(() => ropesFromConfig(config));
  expect(error.issues.map((issue) => issue.path)).toEqual([path]);
});

test.each<[what: string, more: Json, place: string]>([
  ["a base", { rope_theta: 5e-324 }, "rope_theta"],
  ["a small base", { rope_theta: 1e-308 }, "rope_theta"],
  ["a factor", { rope_scaling: { rope_type: "linear", factor: 1e-308 } }, "rope_scaling.factor"],
  [
    "factors",
    {
      original_max_position_embeddings: 4096,
      rope_scaling: { rope_type: "longrope", short_factor: list(64, () => 5e-324), long_factor: list(64, () => 1) },
    },
    "rope_theta",
  ],
])("frequencies that overflow because of %s: an issue with the numbers of the file", (_, more, place) => {
  const error = failure(() => ropesFromConfig(llama(more)));
  expect(error.code).toBe("ROPE_INVALID_PARAMETERS");
  expect(error.issues).not.toHaveLength(0);
  expect(error.message).toContain(place);
  expect(error.message).not.toContain("0 issues");
});

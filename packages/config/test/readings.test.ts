/** Configs that no fixture of the goldens leads to, compared with the engines that ran (fixtures/readings.py). */

import { readFileSync } from "node:fs";
import { ropeRequestsFromConfig, ropesFromConfig } from "@ropewalk/config";
import type { DialectName } from "@ropewalk/config";
import type { RotaryEmbedding } from "@ropewalk/core";
import { describe, expect, test } from "vitest";
import { failure } from "./helpers.ts";
import type { Json } from "./helpers.ts";

interface Reading {
  readonly dialect: DialectName;
  readonly name: string;
  readonly config: Json;
  /** Absent where the engine refuses the config. */
  readonly invFreq?: readonly number[];
  readonly amplitude?: number;
  /** The length of the text, where the frequencies depend on it. */
  readonly length?: number;
  /** Given to the engine, since the config does not say it. */
  readonly pairing?: "adjacent";
  /** The axis of each pair. */
  readonly axes?: readonly number[];
  /** The elements of each pair that turns. */
  readonly pairs?: readonly (readonly number[])[];
  /** The engine's own message. */
  readonly refused?: string;
}

const { records } = JSON.parse(readFileSync(new URL("fixtures/readings.json", import.meta.url), "utf8")) as {
  readonly records: readonly Reading[];
};

/** Types of which no package has the formula. */
const refused: Readonly<Record<string, string>> = { "grok-yarn-log": "rope_type" };

/** The elements of each pair that turns. */
function pairsOf({ headDim, pairing, rotaryDim, rotaryOffset }: RotaryEmbedding["spec"], invFreq: readonly number[]) {
  expect(headDim).toBeGreaterThanOrEqual(rotaryDim + rotaryOffset);
  return invFreq.flatMap((frequency, i) => {
    if (frequency === 0) return [];
    const [first, second] = pairing === "half" ? [i, i + rotaryDim / 2] : [2 * i, 2 * i + 1];
    return [[rotaryOffset + first, rotaryOffset + second]];
  });
}

const read = records.filter(({ name, refused: message }) => message === undefined && refused[name] === undefined);

test.each(read)("$name in $dialect", (reading) => {
  const { amplitude, axes, config, dialect, invFreq, length, pairing, pairs } = reading;
  const rope = ropesFromConfig(config, { dialect, pairing }).forLayer(0)!;
  const frequencies = rope.frequencies(length);
  const turning = [...frequencies.invFreq].filter((frequency) => frequency !== 0);
  expect(turning).toHaveLength(invFreq!.length);
  // A power and a few operations in float32, whose roundings differ by the order of operations.
  invFreq!.forEach((expected, i) => expect(Math.abs(turning[i]! / expected - 1)).toBeLessThan(8 * 2 ** -24));
  expect(frequencies.attentionFactor).toBeCloseTo(amplitude!, 6);
  if (axes !== undefined) expect([...frequencies.axes]).toEqual(axes);
  if (pairs !== undefined) expect(pairsOf(rope.spec, [...frequencies.invFreq])).toEqual(pairs);
});

test.each(records.filter(({ refused: message }) => message !== undefined))(
  "$name is refused in $dialect, as there: $refused",
  ({ config, dialect }) => {
    const { code, message } = failure(() => ropesFromConfig(config, { dialect }));
    expect(code).toBe("ROPE_CONFIG");
    expect(message).toContain("onnxruntime-genai");
  },
);

test.each(Object.entries(refused))("%s is refused at %s, with the reason", (name, path) => {
  const { config, dialect } = records.find((record) => record.name === name)!;
  expect(failure(() => ropeRequestsFromConfig(config, { dialect })).issues).toMatchObject([
    { path, remedy: expect.stringContaining("no type of this library") },
  ]);
});

describe("Ling and Ming", () => {
  /** inclusionAI/Ling-3.0-flash-VL, the keys that concern its rope; its sections stand beside the text model. */
  const ling: Json = {
    architectures: ["BailingMoeV3VLForConditionalGeneration"],
    model_type: "bailing_moe_v3_vl",
    mrope_section: [8, 12, 12],
    text_config: {
      model_type: "bailing_hybrid",
      qk_rope_head_dim: 64,
      qk_nope_head_dim: 128,
      num_hidden_layers: 6,
      rope_parameters: { rope_type: "default", rope_theta: 600000 },
    },
  };
  /** Height and width by turns, then time: vLLM's own run has the same. */
  const { axes } = records.find(({ name }) => name === "bailing-mrope")!;
  const readLing = (config: Json, dialect: DialectName = "hf") => ropesFromConfig(config, { dialect }).forLayer(5)!;
  const withParameters = (more: Json): Json => ({
    ...ling,
    text_config: { ...(ling["text_config"] as Json), rope_parameters: { rope_theta: 600000, ...more } },
  });

  test.each(["hf", "vllm", "sglang"] as const)("sections beside the text model in %s", (dialect) => {
    const rope = readLing(ling, dialect);
    expect(rope).toMatchObject({ pairing: "adjacent", rotaryDim: 64, base: 600000, ropeType: "default" });
    expect([...rope.frequencies().axes]).toEqual(axes);
  });

  test("a text model has one axis", () => {
    const { mrope_section: _, ...text } = ling;
    expect(new Set(readLing(text).frequencies().axes)).toEqual(new Set([0]));
  });

  test.each([[[8, 12, 10, 2]], [[8, 14, 10]], [[16, 16]], [[0, 16, 16]], [[12, 12, 12]]])(
    "%j is refused",
    (sections) => {
      const { issues } = failure(() => readLing({ ...ling, mrope_section: sections }));
      expect(new Set(issues.map(({ path }) => path))).toEqual(new Set(["mrope_section"]));
    },
  );

  test("only SGLang scales these axes", () => {
    const scaled = withParameters({ rope_type: "yarn", factor: 4, original_max_position_embeddings: 8192 });
    expect(readLing(scaled, "sglang").attentionFactor).toBeCloseTo(0.1 * Math.log(4) + 1, 12);
    expect(failure(() => readLing(scaled, "vllm")).issues).toMatchObject([
      { path: "text_config.rope_parameters.rope_type", expected: expect.stringContaining("vLLM requires") },
    ]);
  });

  test("engines without the name of the type, or without video_rope", () => {
    const named = withParameters({ rope_type: "bailing_mrope", mrope_section: [8, 12, 12] });
    expect(failure(() => readLing(named, "sglang")).issues).toMatchObject([
      { path: "text_config.rope_parameters.rope_type", received: '"bailing_mrope"' },
    ]);
    const plain = { head_dim: 64, rope_parameters: { rope_theta: 1e4, mrope_section: [8, 12, 12], video_rope: true } };
    const config = { ...plain, rope_parameters: { rope_type: "default", ...plain.rope_parameters } };
    const axesIn = (dialect: DialectName) => [
      ...ropesFromConfig(config, { dialect }).byLayerType.get(null)!.frequencies().axes,
    ];
    expect(axesIn("sglang")).toEqual(axes);
    // Runs: 8 pairs of time, 12 of height, 12 of width.
    expect(axesIn("vllm")).toEqual([8, 12, 12].flatMap((size, axis) => new Array<number>(size).fill(axis)));
  });
});

describe("K2-Horizon", () => {
  const { config } = records.find(({ name }) => name === "k2-horizon")!;
  const readK2 = (more: Json) => ropesFromConfig({ ...config, ...more }).forLayer(0)!;

  test("some pairs of the whole head turn", () => {
    expect(readK2({})).toMatchObject({ ropeType: "proportional", rotaryDim: 128, pairing: "half" });
    expect(readK2({}).spec.parameters).toMatchObject({ denominator: "rotated", partialRotaryFactor: 0.5, factor: 1 });
  });

  test.each([[130], [63], [0], ["64"]])("%j rotated elements are refused", (rope_head_dim) => {
    expect(failure(() => readK2({ rope_head_dim })).issues).toMatchObject([{ path: "rope_head_dim" }]);
  });

  test("YaRN scales a whole head only, as in SGLang", () => {
    const yarn = { rope_type: "yarn", rope_theta: 1e6, factor: 2, original_max_position_embeddings: 4096 };
    expect(readK2({ rope_parameters: yarn, rope_head_dim: 128 })).toMatchObject({ ropeType: "yarn", rotaryDim: 128 });
    expect(failure(() => readK2({ rope_parameters: yarn })).issues).toMatchObject([{ path: "rope_head_dim" }]);
  });
});

test("onnxruntime-genai has several axes for the original rope only", () => {
  const scaled = { rope_type: "yarn", factor: 4, original_max_position_embeddings: 32768, beta_fast: 32, beta_slow: 1 };
  const config = (more: Json): Json => ({
    model_type: "qwen2_5_vl_text",
    hidden_size: 1024,
    num_attention_heads: 8,
    max_position_embeddings: 131072,
    rope_parameters: { rope_type: "default", rope_theta: 1e6, mrope_section: [16, 24, 24], ...more },
  });
  expect(ropesFromConfig(config({}), { dialect: "ort-genai" }).byLayerType.get(null)!.spec.axes).toHaveLength(64);
  expect(failure(() => ropesFromConfig(config(scaled), { dialect: "ort-genai" })).issues).toMatchObject([
    { path: "rope_parameters.rope_type", received: '"yarn"' },
  ]);
});

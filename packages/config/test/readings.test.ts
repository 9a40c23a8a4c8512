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
  readonly invFreq: readonly number[];
  readonly amplitude: number;
  /** Given to the engine, since the config does not say it. */
  readonly pairing?: "adjacent";
  /** The axis of each pair. */
  readonly axes?: readonly number[];
  /** The elements of each pair that turns. */
  readonly pairs?: readonly (readonly number[])[];
  /** Why this library refuses what the engine reads. */
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

test.each(records.filter(({ name }) => refused[name] === undefined))(
  "$name in $dialect",
  ({ amplitude, axes, config, dialect, invFreq, pairing, pairs }) => {
    const rope = ropesFromConfig(config, { dialect, pairing }).forLayer(0)!;
    const frequencies = rope.frequencies();
    const turning = [...frequencies.invFreq].filter((frequency) => frequency !== 0);
    expect(turning).toHaveLength(invFreq.length);
    // A power and a few operations in float32, whose roundings differ by the order of operations.
    invFreq.forEach((expected, i) => expect(Math.abs(turning[i]! / expected - 1)).toBeLessThan(8 * 2 ** -24));
    expect(frequencies.attentionFactor).toBeCloseTo(amplitude, 6);
    if (axes !== undefined) expect([...frequencies.axes]).toEqual(axes);
    if (pairs !== undefined) expect(pairsOf(rope.spec, [...frequencies.invFreq])).toEqual(pairs);
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
  const read = (config: Json, dialect: DialectName = "hf") => ropesFromConfig(config, { dialect }).forLayer(5)!;
  const withParameters = (more: Json): Json => ({
    ...ling,
    text_config: { ...(ling["text_config"] as Json), rope_parameters: { rope_theta: 600000, ...more } },
  });

  test.each(["hf", "vllm", "sglang"] as const)("sections beside the text model in %s", (dialect) => {
    const rope = read(ling, dialect);
    expect(rope).toMatchObject({ pairing: "adjacent", rotaryDim: 64, base: 600000, ropeType: "default" });
    expect([...rope.frequencies().axes]).toEqual(axes);
  });

  test("a text model has one axis", () => {
    const { mrope_section: _, ...text } = ling;
    expect(new Set(read(text).frequencies().axes)).toEqual(new Set([0]));
  });

  test.each([[[8, 12, 10, 2]], [[8, 14, 10]], [[16, 16]], [[0, 16, 16]], [[12, 12, 12]]])(
    "%j is refused",
    (sections) => {
      const { issues } = failure(() => read({ ...ling, mrope_section: sections }));
      expect(new Set(issues.map(({ path }) => path))).toEqual(new Set(["mrope_section"]));
    },
  );

  test("only SGLang scales these axes", () => {
    const scaled = withParameters({ rope_type: "yarn", factor: 4, original_max_position_embeddings: 8192 });
    expect(read(scaled, "sglang").attentionFactor).toBeCloseTo(0.1 * Math.log(4) + 1, 12);
    expect(failure(() => read(scaled, "vllm")).issues).toMatchObject([
      { path: "text_config.rope_parameters.rope_type", expected: expect.stringContaining("vLLM requires") },
    ]);
  });

  test("engines without the name of the type, or without video_rope", () => {
    const named = withParameters({ rope_type: "bailing_mrope", mrope_section: [8, 12, 12] });
    expect(failure(() => read(named, "sglang")).issues).toMatchObject([
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
  const read = (more: Json) => ropesFromConfig({ ...config, ...more }).forLayer(0)!;

  test("some pairs of the whole head turn", () => {
    expect(read({})).toMatchObject({ ropeType: "proportional", rotaryDim: 128, pairing: "half" });
    expect(read({}).spec.parameters).toMatchObject({ denominator: "rotated", partialRotaryFactor: 0.5, factor: 1 });
  });

  test.each([[130], [63], [0], ["64"]])("%j rotated elements are refused", (rope_head_dim) => {
    expect(failure(() => read({ rope_head_dim })).issues).toMatchObject([{ path: "rope_head_dim" }]);
  });

  test("YaRN scales a whole head only, as in SGLang", () => {
    const yarn = { rope_type: "yarn", rope_theta: 1e6, factor: 2, original_max_position_embeddings: 4096 };
    expect(read({ rope_parameters: yarn, rope_head_dim: 128 })).toMatchObject({ ropeType: "yarn", rotaryDim: 128 });
    expect(failure(() => read({ rope_parameters: yarn })).issues).toMatchObject([{ path: "rope_head_dim" }]);
  });
});

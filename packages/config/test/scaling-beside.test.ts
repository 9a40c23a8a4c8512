/** Scaling keys among the model's own keys: Nomic and Grok. What SGLang does with Grok's is in readings.test.ts. */

import { ropeRequestsFromConfig, ropesFromConfig } from "@ropewalk/config";
import type { DialectName } from "@ropewalk/config";
import { describe, expect, test } from "vitest";
import { failure, notesAt } from "./helpers.ts";
import type { Json } from "./helpers.ts";

describe("Nomic", () => {
  /** nomic-ai/nomic-embed-text-v1, the keys that concern its rope. */
  const nomic: Json = {
    architectures: ["NomicBertModel"],
    model_type: "nomic_bert",
    n_embd: 768,
    n_head: 12,
    n_layer: 12,
    n_positions: 8192,
    max_trained_positions: 2048,
    rotary_emb_base: 1000,
    rotary_emb_fraction: 1,
    rotary_emb_interleaved: false,
    rotary_emb_scale_base: null,
    rotary_scaling_factor: 2,
  };

  test("the base grows beyond the trained length, as in the published code", () => {
    const rope = ropesFromConfig(nomic, { precision: "float64" }).forLayer(0)!;
    expect(rope).toMatchObject({ headDim: 64, rotaryDim: 64, base: 1000, pairing: "half", attentionFactor: 1 });
    for (const [length, n] of [
      [1, 2048],
      [2048, 2048],
      [2049, 2049],
      [8192, 8192],
    ] as const) {
      // base · (s n/L − (s − 1))^(d/(d − 2)) with s = 2, L = 2048, d = 64
      const base = 1000 * (2 * (n / 2048) - 1) ** (64 / 62);
      const { invFreq } = rope.frequencies(length);
      for (const i of [0, 1, 17, 31]) expect(invFreq[i]! / base ** ((-2 * i) / 64)).toBeCloseTo(1, 12);
    }
    expect(notesAt(nomic, "rotary_scaling_factor")).toMatchObject([
      { kind: "differs", message: expect.stringContaining("the class in transformers 5.24, vLLM and llama.cpp") },
    ]);
  });

  test.each(["vllm", "llama.cpp"] as const)("%s rotates as in training at every length", (dialect) => {
    const { forLayer, notes } = ropesFromConfig(nomic, { dialect });
    expect(forLayer(0)).toMatchObject({ ropeType: "default", base: 1000 });
    expect(notes.map(({ path }) => path)).toContain("rotary_scaling_factor");
  });

  test("2048 is the trained length of the class", () => {
    const { forLayer, notes } = ropesFromConfig({ ...nomic, max_trained_positions: null });
    expect(forLayer(0)!.spec.parameters).toMatchObject({ factor: 2, maxTrainedPosition: 2048 });
    expect(notes).toContainEqual(expect.objectContaining({ kind: "implied", path: "max_trained_positions" }));
  });

  test("without the factor, nothing is scaled", () => {
    expect(ropesFromConfig({ ...nomic, rotary_scaling_factor: null }).forLayer(0)!.ropeType).toBe("default");
  });

  test("a file that transformers has saved has a rope dictionary, which is read instead", () => {
    const saved = { ...nomic, rope_parameters: { rope_type: "default", rope_theta: 1000 } };
    expect(ropesFromConfig(saved).forLayer(0)!.ropeType).toBe("default");
    expect(notesAt(saved, "rotary_scaling_factor")).toMatchObject([{ kind: "differs" }]);
  });

  test.each([[0], [-2], ["2"], [Number.NaN], [[2]]])("%j is not a factor", (rotary_scaling_factor) => {
    const error = failure(() => ropesFromConfig({ ...nomic, rotary_scaling_factor }));
    const text = JSON.stringify(error.issues);
    expect(text).toContain("rotary_scaling_factor");
  });
});

describe("Grok", () => {
  /** xai-org/grok-2 */
  const grok: Json = {
    architectures: ["Grok1ForCausalLM"],
    model_type: "git",
    hidden_size: 8192,
    num_attention_heads: 64,
    num_hidden_layers: 64,
    head_dim: 128,
    max_position_embeddings: 131072,
    rope_theta: 208533496,
    rope_type: "original",
    original_max_position_embeddings: 8192,
    scaling_factor: 16,
    extrapolation_factor: 1,
    attn_factor: 1,
    beta_fast: 8,
    beta_slow: 1,
  };
  const rope = (more: Json, dialect: DialectName = "hf") =>
    ropesFromConfig({ ...grok, ...more }, { dialect, precision: "float64" }).forLayer(0)!;

  test("the published file keeps the frequencies, and scales them in llama.cpp", () => {
    for (const dialect of ["hf", "sglang"] as const) {
      expect(rope({}, dialect)).toMatchObject({ ropeType: "default", base: 208533496, attentionFactor: 1 });
    }
    // Its converter writes YaRN with the file's betas, which the loader of Grok reads. The amplitude is the rule's.
    const scaled = rope({}, "llama.cpp");
    expect(scaled).toMatchObject({ ropeType: "yarn", attentionFactor: expect.closeTo(0.1 * Math.log(16) + 1, 14) });
    // R · ln(8192 / (2π · 8)) / (2 ln base) = 17.01…, R · ln(8192 / 2π) / (2 ln base) = 23.95…: pairs 17 to 24
    const { invFreq } = scaled.frequencies();
    const slowdown = (i: number): number => 208533496 ** ((-2 * i) / 128) / invFreq[i]!;
    expect([slowdown(17), slowdown(24)]).toEqual([expect.closeTo(1, 9), expect.closeTo(16, 9)]);
    // The share (i − 17) / 7 of the way from ω to ω / 16.
    expect(1 / slowdown(20)).toBeCloseTo(1 - 3 / 7 + 3 / 7 / 16, 9);
    expect(notesAt(grok, "rope_type")).toMatchObject([{ kind: "differs" }, { kind: "alias" }]);
  });

  test.each(["yarn_log", "theta_scale", "yarn_linear"])("llama.cpp's converter writes no %s", (rope_type) => {
    expect(rope({ rope_type }, "llama.cpp")).toMatchObject({ ropeType: "default", base: 208533496 });
  });

  test("a key that theta_scale needs", () => {
    const error = failure(() => rope({ rope_type: "theta_scale", scaling_factor: null }));
    expect(error.issues).toMatchObject([{ path: "scaling_factor", received: "nothing" }]);
  });

  test("each number names its place in the file", () => {
    const { rules } = ropeRequestsFromConfig({ ...grok, rope_type: "yarn" }).byLayerType.get(null)!;
    expect(rules).toContainEqual({ name: "parameters.factor", value: 16, rule: "scaling_factor" });
    expect(rules).toContainEqual({ name: "parameters.betaFast", value: 8, rule: "beta_fast" });
  });

  test("the temperature of its logits is a warning", () => {
    expect(notesAt({ ...grok, attn_temperature_len: 1024 }, "attn_temperature_len")).toMatchObject([
      { kind: "differs", severity: "warning" },
    ]);
    expect(notesAt({ ...grok, attn_temperature_len: -1 }, "attn_temperature_len")).toEqual([]);
  });

  test("a Llama does not have these keys, and a note says so", () => {
    const llama = { ...grok, architectures: ["LlamaForCausalLM"], model_type: "llama", rope_type: "yarn" };
    expect(ropesFromConfig(llama).forLayer(0)!.ropeType).toBe("default");
    expect(notesAt(llama, "rope_type")).toMatchObject([{ kind: "unused" }]);
  });

  test.each([["yarn_log"], ["dynamic"], ["llama3"], [5], [""]])("%j is refused", (rope_type) => {
    const { issues } = failure(() => ropeRequestsFromConfig({ ...grok, rope_type }));
    expect(new Set(issues.map(({ path }) => path))).toEqual(new Set(["rope_type"]));
  });
});

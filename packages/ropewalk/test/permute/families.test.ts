/**
 * Permuted weights of real model classes: with the other pairing they give the numbers of transformers.
 *
 * The numbers are those of one attention of each class, tiny and random (`tooling/goldens/fixtures/permute`).
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bytes, fixtures } from "@ropewalk/goldens";
import { expect, test } from "vitest";
import { folder, permuteHere, readSafetensors, writeConfig, writeSafetensors } from "../support.ts";
import { distance, indexerScores, scores } from "./attention.ts";
import type { AttentionModel, Norm, TestPairing, Weights } from "./attention.ts";

interface Case extends Pick<AttentionModel, "layout" | "rotaryDim" | "norm" | "prefix"> {
  readonly pairing: TestPairing;
  readonly keyHeads?: number;
  readonly moved: number;
}

const inLayer = "model.layers.0.self_attn";
const separate = { kind: "separate", query: "q_proj", key: "k_proj" } as const;
const rms = (names: Norm["names"], more: Partial<Norm> = {}): Norm => ({ names, kind: "rms", over: "head", ...more });
const layerNorm = (names: Norm["names"]): Norm => rms(names, { kind: "layer" });
const latent = { kind: "latent", unrotated: 6, rank: 10, valueDim: 5 } as const;

/** What each class does, written from its source. */
const cases: Readonly<Record<string, Case>> = {
  llama: { prefix: inLayer, layout: separate, pairing: "half", moved: 4 },
  qwen3: { prefix: inLayer, layout: separate, norm: rms(["q_norm", "k_norm"]), pairing: "half", moved: 4 },
  cohere: { prefix: inLayer, layout: separate, norm: layerNorm(["q_norm", "k_norm"]), pairing: "adjacent", moved: 4 },
  hunyuan_v1_dense: {
    prefix: inLayer,
    layout: separate,
    norm: rms(["query_layernorm", "key_layernorm"], { after: true }),
    pairing: "half",
    moved: 4,
  },
  phi3: {
    prefix: inLayer,
    layout: { kind: "fused", name: "qkv_proj", order: "concatenated" },
    rotaryDim: 4,
    pairing: "half",
    moved: 1,
  },
  gpt_neox: {
    prefix: "gpt_neox.layers.0.attention",
    layout: { kind: "fused", name: "query_key_value", order: "per-group" },
    rotaryDim: 4,
    keyHeads: 4,
    pairing: "half",
    moved: 2,
  },
  persimmon: {
    prefix: inLayer,
    layout: { kind: "fused", name: "query_key_value", order: "per-group" },
    norm: layerNorm(["q_layernorm", "k_layernorm"]),
    rotaryDim: 4,
    keyHeads: 4,
    pairing: "half",
    moved: 6,
  },
  codegen: {
    prefix: "transformer.h.0.attn",
    layout: { kind: "fused", name: "qkv_proj", order: "quarters" },
    rotaryDim: 4,
    keyHeads: 4,
    pairing: "adjacent",
    moved: 1,
  },
  dbrx: {
    prefix: "transformer.blocks.0.norm_attn_norm.attn",
    layout: { kind: "fused", name: "Wqkv", order: "concatenated" },
    pairing: "half",
    moved: 1,
  },
  stablelm: {
    prefix: inLayer,
    layout: separate,
    norm: layerNorm(["q_layernorm", "k_layernorm"]),
    rotaryDim: 4,
    pairing: "half",
    moved: 8,
  },
  olmo2: {
    prefix: inLayer,
    layout: separate,
    norm: rms(["q_norm", "k_norm"], { over: "all" }),
    pairing: "half",
    moved: 4,
  },
  glm4: { prefix: inLayer, layout: separate, rotaryDim: 4, pairing: "adjacent", moved: 4 },
  deepseek_v3: { prefix: inLayer, layout: latent, keyHeads: 4, pairing: "adjacent", moved: 2 },
  deepseek_v2: { prefix: inLayer, layout: latent, keyHeads: 4, pairing: "adjacent", moved: 2 },
  qwen3_next: {
    prefix: inLayer,
    layout: { ...separate, gated: true },
    norm: rms(["q_norm", "k_norm"], { lessOne: true }),
    rotaryDim: 4,
    pairing: "half",
    moved: 4,
  },
  glm_moe_dsa: { prefix: inLayer, layout: latent, keyHeads: 4, pairing: "adjacent", moved: 6 },
};

const all = fixtures("permute").map((fixture) => ({ ...fixture, type: fixture.config["model_type"] as string }));

test("every fixture has a case", () => {
  expect(all.map(({ type }) => type).toSorted()).toEqual(Object.keys(cases).toSorted());
});

test.each(all)(
  "$type: $special",
  async ({ config, hidden, indexerScores: ofIndexer, positions, scores: expected, tensors, type }) => {
    const { moved, pairing, ...how } = cases[type]!;
    const other = pairing === "half" ? "adjacent" : "half";
    const rope = config["rope_parameters"] as { readonly rope_theta: number } | undefined;
    const eps = (config["rms_norm_eps"] ?? config["layer_norm_eps"]) as number | undefined;
    const model: AttentionModel = {
      heads: 4,
      keyHeads: 2,
      headDim: 8,
      base: rope?.rope_theta ?? 10_000,
      ...how,
      // The norms of latent attention have the default of their class.
      ...(eps === undefined || how.layout.kind === "latent" ? {} : { eps }),
    };
    const input = { hidden, positions };
    const before: Weights = Object.fromEntries(
      Object.entries(tensors).map(([name, { data, shape }]) => [
        name,
        { shape, data: new Float32Array(bytes(data).buffer) },
      ]),
    );
    // transformers rounds frequencies, cosines and norms to float32: some 1e-7 of sums of about ten products near 1.
    const tolerance = 2e-5;
    expect(distance(scores(before, model, input, pairing), expected)).toBeLessThan(tolerance);

    const path = folder();
    const [first, second, third] = ["in", "out", "back"].map((name) => join(path, `${name}.safetensors`)) as [
      string,
      string,
      string,
    ];
    writeSafetensors(
      first,
      Object.fromEntries(
        Object.entries(tensors).map(([name, { data, shape }]) => [name, { dtype: "F32", shape, data: bytes(data) }]),
      ),
    );
    const settings = writeConfig(config);
    const [line] = await permuteHere(first, second, { config: settings, from: pairing, to: other });
    expect(line!.split(" ")[0]).toBe(String(moved));

    const after = readSafetensors(second);
    expect(distance(scores(after, model, input, other), expected)).toBeLessThan(tolerance);
    // The pairing does matter: with the old one, the numbers are others.
    expect(distance(scores(after, model, input, pairing), expected)).toBeGreaterThan(0.01);
    if (ofIndexer !== undefined) {
      const sizes = {
        heads: config["index_n_heads"] as number,
        headDim: config["index_head_dim"] as number,
        rotaryDim: 8,
      };
      expect(distance(indexerScores(before, model, sizes, input, pairing), ofIndexer)).toBeLessThan(tolerance);
      expect(distance(indexerScores(after, model, sizes, input, other), ofIndexer)).toBeLessThan(tolerance);
      expect(distance(indexerScores(after, model, sizes, input, pairing), ofIndexer)).toBeGreaterThan(0.01);
    }

    await permuteHere(second, third, { config: settings, from: other, to: pairing });
    expect(readFileSync(third).equals(readFileSync(first))).toBe(true);
  },
);

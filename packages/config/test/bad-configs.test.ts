/**
 * Configs that other loaders read wrongly or refuse, each with the correct reading. Groups: names and defaults,
 * dimensions, YaRN.
 */

import { ropeRequestsFromConfig, ropesFromConfig } from "@ropewalk/config";
import { models } from "@ropewalk/goldens";
import { describe, expect, test } from "vitest";
import { deepFreeze, failure, issues, llama, notesAt, registryOf, ulps } from "./helpers.ts";
import type { Json } from "./helpers.ts";

const only = (config: Json) => {
  const { byLayerType } = ropesFromConfig(config);
  expect([...byLayerType.keys()]).toEqual([null]);
  return byLayerType.get(null)!;
};
const published = (id: string): Json => models().find((model) => model.id === id)!.config;
const yarn = (more: Json = {}): Json =>
  llama({
    max_position_embeddings: 32768,
    rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 32768, ...more },
  });
const deepseek = (scaling: Json): Json => {
  const config = published("deepseek-ai/DeepSeek-V3");
  return { ...config, rope_scaling: { ...(config["rope_scaling"] as Json), ...scaling } };
};

describe("names, spellings and defaults", () => {
  test("`type` is an old spelling of `rope_type`", () => {
    const scaling = { factor: 4, original_max_position_embeddings: 32768 };
    expect(only(llama({ rope_scaling: { type: "yarn", ...scaling } }))).toBe(
      only(llama({ rope_scaling: { rope_type: "yarn", ...scaling } })),
    );
    expect(only(llama({ rope_scaling: { type: "yarn", rope_type: "yarn", ...scaling } }))).toBe(
      only(llama({ rope_scaling: { type: "yarn", ...scaling } })),
    );
  });

  test("`type` and `rope_type` that differ are two statements", () => {
    expect(issues(yarn({ type: "linear" }))).toEqual([
      'rope_scaling.type: "yarn", as rope_scaling.rope_type says | "linear"',
    ]);
  });

  test("names of one type do not differ", () => {
    const phi = published("microsoft/Phi-3-medium-128k-instruct");
    expect(only({ ...phi, rope_scaling: { ...(phi["rope_scaling"] as Json), rope_type: "longrope" } })).toBe(only(phi));
  });

  test("a name that Phi-3 gave to longrope means longrope there, and YaRN elsewhere", () => {
    const scaling = { type: "yarn", factor: 4, original_max_position_embeddings: 32768 };
    const request = ropeRequestsFromConfig(llama({ model_type: "phi3", rope_scaling: scaling })).byLayerType.get(
      null,
    )!.request!;
    expect(request.parameters.ropeType).toBe("longrope");
    expect(only(llama({ rope_scaling: scaling })).ropeType).toBe("yarn");
  });

  test.each([null, {}, { rope_type: "default" }, { type: "default" }, undefined])(
    "rope_scaling %j is the original rope",
    (rope_scaling) => {
      expect(only(llama({ rope_scaling }))).toBe(only(llama()));
      expect(only(llama({ rope_parameters: rope_scaling }))).toBe(only(llama()));
    },
  );

  test("a key that the type does not read is noted, with where it belongs", () => {
    const config = llama({ rope_scaling: { rope_type: "default", mrope_section: [16, 24, 24], factor: 2 } });
    expect(ropesFromConfig(config).notes).toEqual([
      {
        kind: "unused",
        path: "rope_scaling.mrope_section",
        message: "mrope_section belongs to models of several position axes; the class of this model has one.",
        severity: "info",
      },
      {
        kind: "unused",
        path: "rope_scaling.factor",
        message: "factor belongs to linear, dynamic, ntk, yarn and others; a rope of type default does not read it.",
        severity: "info",
      },
    ]);
  });

  test("a key that no engine reads is noted", () => {
    expect(notesAt(yarn({ finetuned: true }), "rope_scaling.finetuned")).toMatchObject([
      {
        kind: "unused",
        message: "finetuned marks a checkpoint that was trained with the scaling; no engine reads it.",
      },
    ]);
    expect(notesAt(yarn({ betafast: 3 }), "rope_scaling.betafast")).toMatchObject([
      { kind: "unused", message: "Nothing reads betafast = 3 for a rope of type yarn." },
    ]);
    expect(notesAt(llama({ rope_thetta: 1 }), "rope_thetta")).toMatchObject([
      { kind: "unused", message: "Nothing reads rope_thetta = 1." },
    ]);
  });

  test("a parameter that core knows and no engine reads from a config is not read", () => {
    const config = llama({
      rope_scaling: { rope_type: "dynamic", factor: 2, capacity: 100, selection: "by-capacity" },
    });
    expect(only(config).spec.parameters).toMatchObject({ factor: 2, capacity: null, selection: "by-current-length" });
    expect(notesAt(config, "rope_scaling.capacity")).toMatchObject([{ kind: "unused" }]);
  });

  test("keys that the type reads are not noted", () => {
    expect(
      ropesFromConfig(yarn({ truncate: false, beta_fast: 32, beta_slow: 1, attention_factor: 1.2 })).notes,
    ).toEqual([]);
  });

  test("an unknown type is an error, never a plain rope", () => {
    const error = failure(() => ropesFromConfig(llama({ rope_scaling: { rope_type: "proportionl", factor: 4 } })));
    expect(error).toMatchObject({ code: "ROPE_UNKNOWN_TYPE", facts: { package: null } });
    expect(failure(() => ropesFromConfig(llama({ rope_scaling: { rope_type: "yarm", factor: 4 } }))).message).toContain(
      'Did you mean "yarn"?',
    );
  });

  test.each([
    ["dynamic", "@ropewalk/dynamic"],
    ["linear", "@ropewalk/linear"],
    ["llama3", "@ropewalk/llama3"],
    ["proportional", "@ropewalk/proportional"],
    ["telechat3-yarn", "@ropewalk/yarn"],
    ["deepseek_llama_scaling", "@ropewalk/deepseek-yarn"],
    ["openpangu", null],
    ["ntk", "@ropewalk/ntk"],
    ["su", "@ropewalk/longrope"],
  ])("the type %s is in %s", (rope_type, packageName) => {
    expect(
      failure(() =>
        ropesFromConfig(llama({ rope_scaling: { rope_type, factor: 4 } }), { registry: registryOf("default") }),
      ).facts,
    ).toMatchObject({ package: packageName });
  });

  test("numbers of a scaling without a type are an error, since every engine would drop them", () => {
    expect(issues(llama({ rope_scaling: { factor: 4 } }))).toEqual([
      "rope_scaling.rope_type: the name of a rope type, since factor is given | nothing",
    ]);
  });

  test("rope_scaling that is no dictionary, and a type that is no name", () => {
    expect(issues(llama({ rope_scaling: "yarn" }))).toEqual(['rope_scaling: an object or null | "yarn"']);
    expect(issues(llama({ rope_scaling: [4] }))).toEqual(["rope_scaling: an object or null | [4]"]);
    expect(issues(llama({ rope_scaling: { rope_type: 4, factor: 2 } }))).toContain(
      "rope_scaling.rope_type: the name of a rope type | 4",
    );
  });

  test("a default never replaces a base that the file states", () => {
    const half = { rope_parameters: { rope_type: "default" } };
    expect(only(llama({ ...half, rope_theta: 500000 })).base).toBe(500000);
    expect(
      only(llama({ rope_parameters: { rope_type: "default", rope_theta: 500000 }, rope_theta: undefined })).base,
    ).toBe(500000);
    expect(only({ ...llama(half), model_type: "mixtral", rope_theta: 7 }).base).toBe(7);
  });

  test("two bases are two statements", () => {
    expect(issues(llama({ rope_theta: 10000, rope_parameters: { rope_theta: 500000 } }))).toEqual([
      "rope_theta: 500000, as rope_parameters.rope_theta says | 10000",
    ]);
    expect(issues(llama({ rotary_emb_base: 20000 }))).toEqual(["rotary_emb_base: 10000, as rope_theta says | 20000"]);
  });

  test("a base that the class does not read is a warning; one that it leaves behind is none", () => {
    const neox = { ...published("EleutherAI/gpt-neox-20b"), rope_theta: 20000 };
    expect(only(neox).base).toBe(10000);
    expect(notesAt(neox, "rope_theta")).toMatchObject([{ kind: "differs", severity: "warning" }]);
    // transformers saves the old default beside the new base.
    const saved = { model_type: "cohere2_moe", rope_theta: 10000, rope_parameters: { rope_theta: 54321 } };
    expect(ropesFromConfig(saved).forLayer(0)?.base).toBe(54321);
    expect(issues({ ...saved, rope_theta: 20000 })).toHaveLength(1);
  });

  test("rope_parameters and rope_scaling may both stand, as long as they agree", () => {
    const scaling = { rope_type: "yarn", factor: 4, original_max_position_embeddings: 8192 };
    expect(only(llama({ rope_scaling: scaling, rope_parameters: { ...scaling, rope_theta: 10000 } }))).toBe(
      only(llama({ rope_scaling: scaling })),
    );
    expect(issues(llama({ rope_scaling: scaling, rope_parameters: { ...scaling, factor: 8 } }))).toEqual([
      "rope_scaling.factor: 8, as rope_parameters.factor says | 4",
    ]);
  });

  test("a wrong number is refused in the words of the file", () => {
    const error = failure(() => ropesFromConfig(yarn({ factor: "4", truncate: 1 })));
    expect(error.code).toBe("ROPE_INVALID_PARAMETERS");
    expect(error.issues.map(({ path, remedy }) => [path, remedy])).toEqual([
      ["parameters.factor", "In the config: rope_scaling.factor."],
      ["parameters.truncate", "In the config: rope_scaling.truncate."],
    ]);
  });

  test("every parameter of the file reaches the rope", () => {
    const plain = only(yarn());
    for (const more of [
      { factor: 8 },
      { original_max_position_embeddings: 65536 },
      { beta_fast: 16 },
      { beta_slow: 2 },
      { truncate: false },
      { attention_factor: 1.5 },
      { mscale: 0.5, mscale_all_dim: 0.7 },
    ]) {
      expect(only(yarn(more)), JSON.stringify(more)).not.toBe(plain);
    }
  });

  test.each([undefined, null, 3, "{}", [], true])("%j is no config", (config) => {
    expect(failure(() => ropesFromConfig(config))).toMatchObject({ code: "ROPE_CONFIG" });
  });

  test.each([
    ["bert", {}],
    ["gpt2", { n_embd: 768, n_head: 12 }],
    ["bloom", { n_embd: 768, n_head: 12 }],
    ["falcon", { alibi: true, hidden_size: 4544, num_attention_heads: 71 }],
    ["mpt", { attn_config: { alibi: true } }],
    [undefined, { position_embedding_type: "absolute", hidden_size: 64, num_attention_heads: 2, rope_theta: 1 }],
    [undefined, { rotary: false, n_embd: 4096, n_head: 16, rope_theta: 1 }],
  ])("%s with %j has no rope in any layer, and a note says why", (model_type, more) => {
    const { forLayer, notes } = ropesFromConfig({ model_type, ...more });
    expect(forLayer(0)).toBeNull();
    expect(notes.map(({ message }) => message).join()).toMatch(
      /No layer.*(positions|ALiBi|nope|absolute|nothing is rotated)/,
    );
  });

  test.each([
    ["modernbert", { position_embedding_type: "absolute" }, "info"],
    ["llama", { position_embedding_type: "nope", hidden_size: 64, num_attention_heads: 2 }, "warning"],
  ])("%s with %j rotates, since its class does not read the key", (model_type, more, severity) => {
    const { forLayer, notes } = ropesFromConfig({ model_type, ...more });
    expect(forLayer(0)).not.toBeNull();
    expect(notes.filter(({ path }) => path === "position_embedding_type")).toMatchObject([{ severity }]);
    expect(ropesFromConfig({ model_type: "llama", alibi: true }).forLayer(0)).not.toBeNull();
  });

  test("a class without rope and a file that says rotary: published code may rotate, so it is refused", () => {
    const jina = { model_type: "xlm-roberta", position_embedding_type: "rotary", rotary_emb_base: 20000 };
    expect(issues(jina)).toEqual(['position_embedding_type: no rope: the class of xlm-roberta has none | "rotary"']);
    expect(ropesFromConfig({ model_type: "gpt2", rope_theta: 5 }).notes).toMatchObject([{ severity: "warning" }]);
  });

  test("a file without any rope key: the error says what is missing", () => {
    expect(issues({})).toEqual([
      "rope_theta: rope_theta, rope_scaling, rope_parameters or another key of a rope, or a known model_type | none of these keys and no model_type",
    ]);
    expect(issues({ rope_theta: 1 })).toEqual([
      "head_dim: head_dim, or hidden_size and num_attention_heads | none of them",
    ]);
    expect(issues({ rope_theta: 1, hidden_size: 4096 })).toEqual([
      "head_dim: head_dim, or hidden_size and num_attention_heads | hidden_size",
    ]);
  });

  test("an unknown model_type is refused, and read as the family that the caller names", () => {
    const config = {
      model_type: "toast",
      hidden_size: 64,
      num_attention_heads: 2,
      rope_theta: 10000,
      partial_rotary_factor: 0.5,
    };
    const error = failure(() => ropesFromConfig(config));
    expect(error.issues).toMatchObject([
      { path: "model_type", received: '"toast"', remedy: expect.stringContaining('family: "llama"') },
    ]);
    expect(failure(() => ropesFromConfig({ ...config, model_type: "lama" })).issues[0]!.remedy).toMatch(
      /^Did you mean "llama"\?/,
    );
    const readAs = (family: string) => ropesFromConfig(config, { family }).byLayerType.get(null);
    expect(readAs("llama")).toMatchObject({ headDim: 32, rotaryDim: 32, pairing: "half", maxPosition: null });
    // Its class does not read this name of the share: 0.25 · 32.
    expect(readAs("gpt_neox")).toMatchObject({ rotaryDim: 8, pairing: "half" });
    expect(readAs("glm4")).toMatchObject({ rotaryDim: 16, pairing: "adjacent" });
    expect(readAs("cohere")).toMatchObject({ rotaryDim: 32, pairing: "adjacent" });
    expect(failure(() => readAs("lama"))).toMatchObject({
      code: "ROPE_INVALID_PARAMETERS",
      issues: [{ path: "family", remedy: 'Did you mean "llama"?' }],
    });
  });

  test("a file without model_type is read as what it says, with a warning", () => {
    const config = { hidden_size: 64, num_attention_heads: 2, rope_theta: 10000, partial_rotary_factor: 0.5 };
    expect(only(config)).toMatchObject({ rotaryDim: 16, pairing: "half", maxPosition: null });
    expect(notesAt(config, "model_type")).toMatchObject([{ kind: "implied", severity: "warning" }]);
  });

  test("all contradictions of a file come at once", () => {
    expect(
      issues(
        llama({
          num_attention_heads: 33,
          rope_theta: "ten",
          num_hidden_layers: 0,
          rope_scaling: { rope_type: "yarn", type: "linear", factor: 4, original_max_position_embeddings: 4096 },
          max_position_embeddings: -1,
        }),
      ),
    ).toHaveLength(5);
  });
});

describe("dimensions", () => {
  test("a quotient that is no integer prints the arithmetic", () => {
    expect(issues(llama({ num_attention_heads: 33 }))).toEqual([
      `head_dim: a head dimension that is an integer | hidden_size / num_attention_heads = 4096 / 33 = ${4096 / 33}`,
    ]);
  });

  test("head_dim that the file states has precedence over the quotient", () => {
    expect(only(llama({ num_attention_heads: 33, head_dim: 96 })).headDim).toBe(96);
    expect(only(llama({ head_dim: null })).headDim).toBe(128);
  });

  test("an odd head dimension, and a share of nothing, are refused", () => {
    expect(failure(() => ropesFromConfig(llama({ head_dim: 127 })))).toMatchObject({ code: "ROPE_INVALID_PARAMETERS" });
    const error = failure(() => ropesFromConfig({ ...published("microsoft/phi-2"), partial_rotary_factor: 0.01 }));
    expect(error.issues).toMatchObject([
      { path: "rotaryDim", received: "0", remedy: expect.stringContaining("trunc(0.01 · 80) = 0") },
    ]);
  });

  test("a share is truncated", () => {
    // 192 · 0.334 = 64.128
    const ropes = ropesFromConfig(published("XiaomiMiMo/MiMo-V2-Flash"));
    expect(ropes.byLayerType.get("full_attention")?.rotaryDim).toBe(64);
  });

  test("a partial rotary factor that the family's class ignores is ignored, with a note", () => {
    const config = llama({ partial_rotary_factor: 0.5 });
    expect(only(config)).toBe(only(llama()));
    expect(notesAt(config, "partial_rotary_factor")).toMatchObject([
      { kind: "differs", message: expect.stringContaining("vLLM rotates the first 64") },
    ]);
    expect(only(yarn()).rotaryDim).toBe(128);
    expect(only({ ...yarn(), partial_rotary_factor: 0.5 }).rotaryDim).toBe(64);
  });

  test("a share and a number of elements have to agree", () => {
    const phi = published("microsoft/phi-2");
    expect(only({ ...phi, rotary_dim: 32 })).toBe(only(phi));
    expect(issues({ ...phi, rotary_dim: 40 })).toEqual([
      "rotary_dim: trunc(partial_rotary_factor · head_dim) = trunc(0.4 · 80) = 32 | 40",
    ]);
    expect(issues({ ...published("EleutherAI/pythia-6.9b-deduped"), partial_rotary_factor: 0.5 })).toEqual([
      "rotary_pct: 0.5, as partial_rotary_factor says | 0.25",
    ]);
  });

  test("the slice of latent attention, and keys that may stand beside it", () => {
    const config = published("deepseek-ai/DeepSeek-V3");
    const rope = only(config);
    expect(rope).toMatchObject({ headDim: 64, rotaryDim: 64, pairing: "adjacent", ropeType: "deepseek_yarn" });
    expect(only({ ...config, head_dim: 64 })).toBe(rope);
    expect(only({ ...config, head_dim: 192 })).toBe(rope);
    expect(issues({ ...config, head_dim: "100" })).toHaveLength(1);
    // The slice's share of the whole head, as transformers saves it for Mistral 4.
    expect(only({ ...config, partial_rotary_factor: 64 / 192 })).toBe(rope);
    expect(only({ ...config, rope_interleave: false }).pairing).toBe("half");
  });

  test("the last elements of a head", () => {
    expect(issues({ ...published("deepseek-ai/DeepSeek-V4-Flash"), partial_rotary_factor: 0.25 })).toEqual([
      "qk_rope_head_dim: trunc(partial_rotary_factor · head_dim) = trunc(0.25 · 512) = 128 | 64",
    ]);
    expect(ropesFromConfig(published("deepseek-ai/DeepSeek-V4-Flash")).byLayerType.get("compress")).toMatchObject({
      headDim: 512,
      rotaryDim: 64,
      rotaryOffset: 448,
    });
  });
});

describe("YaRN", () => {
  test("two magnitudes of 1 give amplitude 1; in latent attention the softmax gets the rest", () => {
    expect(only(yarn({ mscale: 1, mscale_all_dim: 1 })).attentionFactor).toBe(1);
    expect(only(published("deepseek-ai/DeepSeek-V3"))).toMatchObject({
      attentionFactor: 1,
      softmaxScaleFactor: expect.closeTo((0.1 * Math.log(40) + 1) ** 2, 12),
    });
  });

  test("an amplitude that the file states is used as it is", () => {
    expect(only(yarn({ attention_factor: 1.25 })).attentionFactor).toBe(1.25);
    expect(only(yarn({ attention_factor: 1.25, mscale: 1, mscale_all_dim: 0.5 })).attentionFactor).toBe(1.25);
  });

  test("attn_factor is not attention_factor", () => {
    const config = published("deepseek-ai/DeepSeek-R1-0528-Qwen3-8B");
    expect(only(config).attentionFactor).toBeCloseTo(1.138629436, 9);
    expect(notesAt(config, "rope_scaling.attn_factor")).toEqual([
      {
        kind: "differs",
        path: "rope_scaling.attn_factor",
        message:
          "attn_factor is not read by transformers, whose key is attention_factor; SGLang and older versions of vLLM multiply by it: cos and sin would be multiplied by 1 instead of 1.138629.",
        severity: "info",
      },
    ]);
  });

  test.each([
    { mscale: 0.7 },
    { mscale_all_dim: 0.7 },
    { mscale: 0.7, mscale_all_dim: 0 },
    { mscale: 0, mscale_all_dim: 0.7 },
  ])("%j has no effect, with a note", (more) => {
    const config = yarn(more);
    expect(only(config)).toBe(only(yarn()));
    expect(ropesFromConfig(config).notes.map(({ kind }) => kind)).toEqual(Object.keys(more).map(() => "differs"));
  });

  test("in latent attention mscale_all_dim counts for the softmax by itself", () => {
    const amplitude = 0.1 * Math.log(40) + 1;
    // Transformers: 0.1 ln s + 1 for cos and sin, (0.1 k ln s + 1)² for the softmax.
    expect(only(deepseek({ mscale: null }))).toMatchObject({
      attentionFactor: expect.closeTo(amplitude, 12),
      softmaxScaleFactor: expect.closeTo(amplitude ** 2, 12),
    });
    expect(only(deepseek({ mscale: 0.7, mscale_all_dim: 0 }))).toMatchObject({
      attentionFactor: expect.closeTo(amplitude, 12),
      softmaxScaleFactor: 1,
    });
  });

  test("truncate is read, and true where it is absent", () => {
    expect(only(yarn({ truncate: true }))).toBe(only(yarn()));
    expect(only(yarn({ truncate: false }))).not.toBe(only(yarn()));
  });

  test("truncate inside a layer type is honoured, with a note", () => {
    const olmo = published("allenai/Olmo-3-7B-Instruct");
    const full_attention = { ...(olmo["rope_scaling"] as Json), rope_theta: 500000 };
    const nested = {
      ...olmo,
      rope_scaling: undefined,
      rope_theta: undefined,
      rope_parameters: {
        full_attention: { ...full_attention, truncate: false },
        sliding_attention: { rope_theta: 500000 },
      },
    };
    const { byLayerType, notes } = ropesFromConfig(nested);
    expect(byLayerType.get("full_attention")?.spec.parameters["truncate"]).toBe(false);
    expect(notes).toMatchObject([{ kind: "differs", path: "rope_parameters.full_attention.truncate" }]);
    const around = {
      ...nested,
      rope_parameters: { full_attention, sliding_attention: { rope_theta: 500000 }, truncate: false },
    };
    expect(ropesFromConfig(around).byLayerType.get("full_attention")).toBe(byLayerType.get("full_attention"));
    const both = {
      ...around,
      rope_parameters: { ...around.rope_parameters, full_attention: { ...full_attention, truncate: true } },
    };
    expect(ropesFromConfig(both).byLayerType.get("full_attention")?.spec.parameters["truncate"]).toBe(true);
  });

  test("swapped betas are an error, betas of 0 are absent", () => {
    expect(failure(() => ropesFromConfig(yarn({ beta_fast: 1, beta_slow: 32 })))).toMatchObject({
      code: "ROPE_INVALID_PARAMETERS",
      issues: [{ path: "parameters.betaFast" }],
    });
    expect(only(yarn({ beta_fast: 0, beta_slow: 0 }))).toBe(only(yarn()));
    expect(notesAt(yarn({ beta_fast: 0 }), "rope_scaling.beta_fast")).toMatchObject([
      { kind: "differs", message: "0 counts as absent in transformers, so 32 is used; vLLM and SGLang divide by it." },
    ]);
  });

  test("a factor that does not reach the promised length is a warning with the arithmetic", () => {
    const config = llama({
      max_position_embeddings: 131072,
      rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 4096 },
    });
    const warning = { kind: "differs", path: "max_position_embeddings", severity: "warning" };
    const message =
      "factor · original_max_position_embeddings = 4 · 4096 = 16384 is below max_position_embeddings = 131072";
    expect(notesAt(config, "max_position_embeddings")).toMatchObject([
      { ...warning, message: expect.stringContaining(message) },
    ]);
    expect(notesAt(deepseek({ factor: 10 }), "max_position_embeddings")).toMatchObject([warning]);
    expect(notesAt(yarn(), "max_position_embeddings")).toEqual([]);
  });

  test("such a file is scaled by its factor, as transformers 5.24 does", () => {
    const config = llama({
      hidden_size: 1024,
      num_attention_heads: 8,
      rope_scaling: { rope_type: "yarn", factor: 2, original_max_position_embeddings: 2048 },
    });
    // `LlamaRotaryEmbedding`: attention_scaling, and inv_freq of pairs 20, 40 and 63.
    expect(only(config).attentionFactor).toBeCloseTo(1.0693147180559945, 14);
    const { invFreq } = only(config).frequencies();
    const expected = [0.05173540115356445, 0.0016443845815956593, 5.773909651907161e-5];
    [20, 40, 63].forEach((pair, i) => expect(ulps(invFreq[pair]!, expected[i]!)).toBeLessThanOrEqual(1));
  });

  test("a model whose length is left as it was trained may be extended", () => {
    expect(only(yarn())).toMatchObject({ maxPosition: 32768, positionLimit: 131072 });
  });

  test("an absent factor is the ratio of the lengths", () => {
    const config = llama({
      max_position_embeddings: 131072,
      rope_scaling: { rope_type: "yarn", factor: null, original_max_position_embeddings: 32768 },
    });
    expect(only(config)).toBe(
      only({ ...config, rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 32768 } }),
    );
    expect(notesAt(config, "rope_scaling.factor")).toMatchObject([
      { kind: "implied", message: expect.stringContaining("131072 / 32768 = 4") },
    ]);
  });

  test("an absent trained length is the promised length", () => {
    const config = llama({ max_position_embeddings: 32768, rope_scaling: { rope_type: "yarn", factor: 4 } });
    expect(only(config)).toBe(only(yarn()));
    expect(notesAt(config, "rope_scaling.original_max_position_embeddings")).toMatchObject([{ kind: "implied" }]);
    expect(
      failure(() => ropesFromConfig({ ...config, model_type: undefined, max_position_embeddings: undefined })).issues,
    ).toMatchObject([{ path: "parameters.originalMaxPosition", received: "nothing" }]);
  });

  test("a trained length beside the dictionary wins over a trained length inside", () => {
    const config = { ...yarn(), original_max_position_embeddings: 16384 };
    expect(only(config).spec.parameters["originalMaxPosition"]).toBe(16384);
    expect(notesAt(config, "rope_scaling.original_max_position_embeddings")).toMatchObject([{ kind: "differs" }]);
  });
});

test("a frozen config can be read", () => {
  expect(ropesFromConfig(deepFreeze(yarn())).notes).toEqual([]);
});

test("requests need no provider", () => {
  const { byLayerType } = ropeRequestsFromConfig(
    llama({
      rope_scaling: {
        rope_type: "llama3",
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 4096,
      },
    }),
  );
  const { request, rules } = byLayerType.get(null)!;
  expect(request).toEqual({
    headDim: 128,
    rotaryDim: 128,
    base: 10000,
    maxPosition: 8192,
    pairing: "half",
    parameters: { ropeType: "llama3", factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPosition: 4096 },
  });
  expect(rules).toContainEqual({
    name: "headDim",
    value: 128,
    rule: "hidden_size / num_attention_heads = 4096 / 32 = 128",
  });
  expect(rules).toContainEqual({ name: "parameters.factor", value: 8, rule: "rope_scaling.factor" });
});

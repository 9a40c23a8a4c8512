/**
 * Models whose rope stands at an unusual place in the file, or whose attention never applies the rope of the file. The
 * behaviour of transformers 5.23 was seen by running its classes.
 */

import { ropeRequestsFromConfig, ropeRequestsFromGguf, ropesFromConfig } from "@ropewalk/config";
import { describe, expect, test } from "vitest";
import { failure, issues, llama, notesAt } from "./helpers.ts";
import type { Json } from "./helpers.ts";

const requestOf = (config: Json) => ropeRequestsFromConfig(config).byLayerType.get(null)!.request!;

describe("the base at other places", () => {
  const dbrx = {
    model_type: "dbrx",
    d_model: 6144,
    n_heads: 48,
    max_seq_len: 32768,
    attn_config: { rope_theta: 500000 },
  };

  test("DBRX has it in attn_config", () => {
    expect(requestOf(dbrx)).toMatchObject({ headDim: 128, base: 500000, maxPosition: 32768 });
    expect(notesAt(dbrx, "attn_config.rope_theta")).toMatchObject([
      { kind: "differs", message: expect.stringContaining("rotates with 10000") },
    ]);
    expect(ropesFromConfig(dbrx).notes.filter(({ message }) => message.includes("does not state the base"))).toEqual(
      [],
    );
  });

  test.each([["500000"], [Number.NaN], [0], [-1]])("%j there is not a base", (rope_theta) => {
    expect(issues({ ...dbrx, attn_config: { rope_theta } })).toHaveLength(1);
  });

  test("Phi-3-small calls it rope_embedding_base", () => {
    expect(requestOf(llama({ model_type: undefined, rope_theta: undefined, rope_embedding_base: 1000000 })).base).toBe(
      1000000,
    );
  });

  test("null for a base gives a note", () => {
    expect(notesAt(llama({ rope_theta: null }), "rope_theta")).toMatchObject([
      { kind: "implied", message: expect.stringContaining("The file says null for the base") },
    ]);
    const inside = llama({ rope_theta: undefined, rope_parameters: { rope_type: "default", rope_theta: null } });
    expect(notesAt(inside, "rope_parameters.rope_theta")).toMatchObject([
      { kind: "implied", message: expect.stringContaining("The file says null") },
    ]);
  });

  test.each([[Number.NaN], ["10000"], [Infinity], [true], [{}]])("%j is not a base", (rope_theta) => {
    expect(issues(llama({ rope_theta }))).toHaveLength(1);
    expect(
      issues(llama({ rope_theta: undefined, rope_parameters: { rope_type: "default", rope_theta } })),
    ).toHaveLength(1);
  });
});

describe("keys of a rope that is never applied", () => {
  const size = {
    hidden_size: 64,
    num_attention_heads: 2,
    num_hidden_layers: 3,
    rope_theta: 10000,
    max_position_embeddings: 4096,
  };
  const none: readonly (readonly [string, Json])[] = [
    ["nemotron_h", {}],
    ["nemotron_h", { rope_theta: undefined }],
    ["zamba2", {}],
    ["zamba2", { use_mem_rope: false, layers_block_type: ["mamba", "mamba", "hybrid"] }],
    ["baichuan", { hidden_size: 5120, num_attention_heads: 40, rope_theta: undefined }],
    ["granitemoehybrid", { position_embedding_type: "nope" }],
    ["granitemoehybrid", { position_embedding_type: null, layer_types: ["mamba", "attention", "mamba"] }],
    ["olmo_hybrid", { rope_theta: null }],
    ["olmo_hybrid", { rope_theta: undefined, rope_parameters: { rope_theta: null, rope_type: "default" } }],
    ["kimi_linear", { mla_use_nope: true, head_dim: 72, qk_rope_head_dim: 64, qk_nope_head_dim: 128 }],
    ["esm", { rope_theta: undefined }],
  ];

  test.each(none)("%s with %j has no rope in any layer, and a note", (model_type, more) => {
    const ropes = ropesFromConfig({ ...size, model_type, ...more });
    expect([0, 1, 2].map((layer) => ropes.forLayer(layer))).toEqual([null, null, null]);
    expect(
      ropes.notes.filter(({ message }) => message.startsWith(`No layer of ${model_type} has a rope`)),
    ).toHaveLength(1);
    expect(failure(() => ropes.forLayer(3))).toMatchObject({ code: "ROPE_CONFIG" });
  });

  const some: readonly (readonly [string, Json, number])[] = [
    ["zamba2", { use_mem_rope: true }, 64],
    ["baichuan", {}, 32],
    ["granitemoehybrid", { position_embedding_type: "rope", layer_types: ["attention", "mamba", "mamba"] }, 32],
    ["esm", { position_embedding_type: "rotary", rope_theta: undefined }, 32],
  ];

  test.each(some)("%s with %j has one of %i elements", (model_type, more, headDim) => {
    expect(ropesFromConfig({ ...size, model_type, ...more }).forLayer(0)?.spec).toMatchObject({
      headDim,
      base: 10000,
      pairing: "half",
    });
  });
});

test("a head_dim that latent attention does not use is a note", () => {
  const config = {
    model_type: "deepseek_v3",
    head_dim: 72,
    qk_rope_head_dim: 64,
    qk_nope_head_dim: 128,
    rope_theta: 10000,
  };
  expect(requestOf(config).headDim).toBe(64);
  expect(notesAt(config, "head_dim")).toMatchObject([
    { kind: "differs", message: expect.stringContaining("128 + 64 = 192") },
  ]);
});

describe("Inkling has no rope; queries grow with the logarithm of the position", () => {
  const inkling: Json = {
    model_type: "inkling_mm_model",
    text_config: { model_type: "inkling_text", num_hidden_layers: 12, head_dim: 128, log_scaling_n_floor: 65536 },
  };
  const text = (more: Json): Json => ({ ...inkling, text_config: { ...(inkling["text_config"] as Json), ...more } });
  const scaled = { rule: "logarithm", alpha: 0.1, length: 65536 };

  test("in every sixth layer, which is not sliding", () => {
    const { forLayer, queryScaleOf } = ropesFromConfig(inkling);
    const layers = Array.from({ length: 12 }, (_, layer) => layer);
    expect(layers.map(forLayer)).toEqual(layers.map(() => null));
    expect(layers.map(queryScaleOf)).toEqual(layers.map((layer) => ([5, 11].includes(layer) ? scaled : null)));
    expect(notesAt(inkling, "text_config.log_scaling_n_floor")).toMatchObject([{ kind: "implied" }]);
  });

  test("in the layers that the file lists", () => {
    const types = ["hybrid", ...new Array<string>(11).fill("hybrid_sliding")];
    for (const file of [text({ layer_types: types }), text({ local_layer_ids: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] })]) {
      const { queryScaleOf } = ropesFromConfig(file);
      expect([0, 1, 5, 11].map(queryScaleOf)).toEqual([scaled, null, null, null]);
    }
  });

  test("without a floor there is none; the class of Inkling 2 has one", () => {
    expect(ropesFromConfig(text({ log_scaling_n_floor: null })).queryScaleOf(5)).toBeNull();
    const second = { ...inkling, text_config: { model_type: "inkling2_text", num_hidden_layers: 12 } };
    expect(ropesFromConfig(second).queryScaleOf(5)).toEqual({ rule: "logarithm", alpha: 0.1, length: 128000 });
    expect(ropesFromConfig(text({ log_scaling_alpha: 0.25 })).queryScaleOf(5)).toMatchObject({ alpha: 0.25 });
  });

  test.each([[0], [-1], ["65536"], [1.5]])("%j is not a floor", (log_scaling_n_floor) => {
    expect(failure(() => ropesFromConfig(text({ log_scaling_n_floor }))).issues).toMatchObject([
      { path: "text_config.log_scaling_n_floor" },
    ]);
  });
});

describe("bad input stays short and named", () => {
  test("the error for an unknown option names the nearest known option", () => {
    const error = failure(() => ropesFromConfig(llama(), { precison: "float64" } as object));
    expect(error).toMatchObject({
      code: "ROPE_INVALID_PARAMETERS",
      issues: [{ path: "precison", remedy: 'Did you mean "precision"?' }],
    });
    expect(failure(() => ropeRequestsFromConfig(llama(), { max_position: 1 } as object)).issues).toMatchObject([
      { remedy: 'Did you mean "maxPosition"?' },
    ]);
    expect(failure(() => ropeRequestsFromGguf({}, { tensor: {} } as object)).issues).toMatchObject([
      { remedy: 'Did you mean "tensors"?' },
    ]);
    expect(ropesFromConfig(llama(), { precision: "float64", capacity: 1 }).forLayer(0)?.spec.precision).toBe("float64");
  });

  test("a million sections are not printed", () => {
    const sections = new Array<number>(1_000_000).fill(0);
    const vision = (mrope_section: readonly unknown[]): Json =>
      llama({ model_type: "qwen2_vl", rope_scaling: { type: "mrope", mrope_section } });
    expect(failure(() => ropesFromConfig(vision(sections))).message.length).toBeLessThan(1000);
    expect(failure(() => ropesFromConfig(vision(sections.map(String)))).message.length).toBeLessThan(1000);
    expect(issues(vision([16, 24]))).toEqual([
      "rope_scaling.mrope_section: integers > 0 that add up to rotaryDim / 2 = 64 | 16 + 24 = 40",
    ]);
  });

  test.each(["hf", "vllm", "sglang", "llama.cpp", "mlx", "mindie", "ort-genai"] as const)(
    "a share below 0 with several axes is a RopeError (%s)",
    (dialect) => {
      const talker = llama({
        model_type: "qwen3_tts_talker",
        partial_rotary_factor: -1,
        rope_scaling: { type: "mrope", interleaved: true, mrope_section: [24, 20, 20] },
      });
      for (const config of [talker, { model_type: "qwen3_tts", talker_config: talker }]) {
        try {
          ropesFromConfig(config, { dialect });
        } catch (error) {
          expect(error).toMatchObject({ name: "RopeError" });
        }
      }
    },
  );
});

describe("PhiMoE", () => {
  const size = { hidden_size: 64, num_attention_heads: 4, max_position_embeddings: 131072, rope_theta: 10000 };
  const scaling = {
    rope_type: "longrope",
    short_factor: new Array(8).fill(1),
    long_factor: new Array(8).fill(4),
    short_mscale: 1.2,
    long_mscale: 1.5,
    original_max_position_embeddings: 4096,
  };
  const phimoe = { ...size, model_type: "phimoe", rope_scaling: scaling };

  // transformers 5.23's PhimoeRotaryEmbedding at these lengths: pair 1 turns by 0.3162 at both, amplitude 1.2 and 1.5.
  test.each([
    [4096, 1.2],
    [4097, 1.5],
  ])("a text of %i tokens has the short list and the amplitude %f", (length, amplitude) => {
    const step = ropesFromConfig(phimoe).forLayer(0)!.frequencies(length);
    expect(step.invFreq[1]).toBeCloseTo(0.3162, 4);
    expect(step.attentionFactor).toBe(amplitude);
    expect(notesAt(phimoe, "rope_scaling.long_factor")).toMatchObject([{ kind: "differs" }]);
  });

  test("other engines take the long list", () => {
    expect(ropesFromConfig(phimoe, { dialect: "vllm" }).forLayer(0)!.frequencies(4097).invFreq[1]).toBeCloseTo(
      0.3162 / 4,
      4,
    );
  });

  test("the two magnitudes are required, and attention_factor has no effect", () => {
    const { long_mscale, ...rest } = scaling;
    expect(long_mscale).toBe(1.5);
    expect(issues({ ...phimoe, rope_scaling: rest })).toHaveLength(1);
    expect(ropesFromConfig({ ...phimoe, rope_scaling: { ...scaling, attention_factor: 3 } }).forLayer(0)).toBe(
      ropesFromConfig(phimoe).forLayer(0),
    );
  });

  test("Phi-3's class reads neither magnitude", () => {
    const phi3 = { ...phimoe, model_type: "phi3" };
    const rope = ropesFromConfig(phi3).forLayer(0)!;
    // √(1 + ln 32 / ln 4096)
    expect(rope.frequencies(10).attentionFactor).toBeCloseTo(Math.sqrt(1 + 5 / 12), 6);
    expect(rope.frequencies(4097).invFreq[1]).toBeCloseTo(0.3162 / 4, 4);
    for (const key of ["short_mscale", "long_mscale"]) {
      expect(notesAt(phi3, `rope_scaling.${key}`)).toMatchObject([{ kind: "differs" }]);
    }
  });
});

test("a share that the class does not read beside its own rope dictionary is a warning", () => {
  // transformers 5.24: from_dict({ model_type, key: 0.5 }).rope_parameters has the share of the class.
  const cases = [
    ["gpt_neox", "partial_rotary_factor", 24],
    ["gpt_neox", "rotary_pct", 48],
    ["bamba", "partial_rotary_factor", 64],
    ["glm4", "partial_rotary_factor", 64],
    ["gemma4_text", "partial_rotary_factor", 256],
  ] as const;
  for (const [model_type, key, rotaryDim] of cases) {
    const file = { model_type, [key]: model_type === "bamba" ? 0.75 : 0.5 };
    const isRead = key === "rotary_pct" || model_type === "glm4";
    const rope = [...ropesFromConfig(file).byLayerType.values()].findLast((each) => each !== null)!;
    expect(rope.rotaryDim, model_type).toBe(rotaryDim);
    expect(
      notesAt(file, key).some(({ severity }) => severity === "warning"),
      `${model_type}, ${key}`,
    ).toBe(!isRead);
  }
});

test("Phi-3-small states the amplitude of each list", () => {
  // Phi-3-small-128k-instruct as published; its own code and vLLM take the amplitudes as they stand.
  const longrope = {
    type: "su",
    short_factor: new Array<number>(64).fill(1),
    long_factor: new Array<number>(64).fill(2),
    short_mscale: 1.243163121016122,
    long_mscale: 1.243163121016122,
    original_max_position_embeddings: 8192,
  };
  const file = llama({
    model_type: "phi3small",
    rope_theta: undefined,
    rope_embedding_base: 1000000,
    max_position_embeddings: 131072,
    rope_scaling: longrope,
  });
  const rope = ropesFromConfig(file).forLayer(0)!;
  expect(rope.frequencies(8192).attentionFactor).toBe(1.243163121016122);
  expect(rope.frequencies(131072).attentionFactor).toBe(1.243163121016122);
  expect(notesAt(file, "rope_scaling.short_mscale")).toEqual([]);
});

describe("Llama 4 scales queries in layers without rope", () => {
  const llama4 = {
    model_type: "llama4_text",
    hidden_size: 5120,
    num_attention_heads: 40,
    num_hidden_layers: 8,
    no_rope_layers: [1, 1, 1, 0, 1, 1, 1, 0],
  };

  test("the numbers are data, and a note has the formula", () => {
    const ropes = ropesFromConfig({ ...llama4, attn_temperature_tuning: true, attn_scale: 0.2, floor_scale: 4096 });
    expect(ropes.forLayer(3)).toBeNull();
    expect(ropes.queryScaleOf(3)).toEqual({ rule: "temperature", beta: 0.2, length: 4096, offset: 1 });
    expect(ropes.queryScaleOf(0)).toBeNull();
    expect(ropes.rules.get("no_rope")).toMatchObject([{ name: "ropeType" }, { name: "queryScale" }]);
    expect(ropes.notes).toContainEqual(
      expect.objectContaining({
        path: "attn_temperature_tuning",
        message: expect.stringContaining("1 + attn_scale · ln(1 + floor((p + 1) / floor_scale)) with 0.2 and 4096"),
      }),
    );
    expect(failure(() => ropes.queryScaleOf(8))).toMatchObject({ code: "ROPE_CONFIG" });
  });

  test("the class's numbers if the file states none; no scale if the file says false", () => {
    expect(ropesFromConfig(llama4).queryScaleOf(7)).toEqual({
      rule: "temperature",
      beta: 0.1,
      length: 8192,
      offset: 1,
    });
    expect(ropesFromConfig({ ...llama4, attn_temperature_tuning: 4 }).queryScaleOf(7)).toMatchObject({ beta: 0.1 });
    expect(ropesFromConfig({ ...llama4, attn_temperature_tuning: false }).queryScaleOf(7)).toBeNull();
    expect(ropesFromConfig({ ...llama4, model_type: "smollm3" }).queryScaleOf(7)).toBeNull();
  });

  test("the query scale of a rope is the scale of its layers", () => {
    expect(ropesFromConfig(llama({ use_logn_attn: true, seq_length: 2048 })).queryScaleOf(0)).toEqual({
      rule: "logn",
      length: 2048,
    });
  });
});

describe("keys that the published code of a model reads", () => {
  test("rotary_emb_interleaved is Nomic's pairing", () => {
    const nomic = { model_type: "nomic_bert", n_embd: 768, n_head: 12, rotary_emb_base: 1000 };
    expect(requestOf({ ...nomic, rotary_emb_interleaved: false }).pairing).toBe("half");
    expect(requestOf({ ...nomic, rotary_emb_interleaved: true }).pairing).toBe("adjacent");
    expect(notesAt({ ...nomic, rotary_emb_interleaved: true }, "rotary_emb_interleaved")).toMatchObject([
      { kind: "differs" },
    ]);
    expect(requestOf(llama({ rotary_emb_interleaved: true })).pairing).toBe("half");
    expect(notesAt(llama({ rotary_emb_interleaved: true }), "rotary_emb_interleaved")).toMatchObject([
      { kind: "differs" },
    ]);
  });

  test("MPT with a rope in attn_config", () => {
    const mpt = (more: Json): Json => ({
      model_type: "mpt",
      d_model: 4096,
      n_heads: 32,
      n_layers: 2,
      max_seq_len: 2048,
      attn_config: { alibi: false, rope: true, rope_theta: 500000, ...more },
    });
    expect(requestOf(mpt({}))).toMatchObject({
      headDim: 128,
      base: 500000,
      maxPosition: 2048,
      pairing: "half",
      parameters: { ropeType: "default" },
    });
    expect(
      requestOf(
        mpt({ rope_impl: "hf", rope_hf_config: { type: "no_scaling", factor: 1 }, rope_dail_config: { type: "xpos" } }),
      ).base,
    ).toBe(500000);
    expect(issues(mpt({ rope_impl: "hf", rope_hf_config: { type: "linear", factor: 2 } }))).toEqual([
      'attn_config.rope_hf_config.type: "no_scaling" | "linear"',
    ]);
    expect(issues(mpt({ rope_impl: "dail", rope_dail_config: { type: "xpos" } }))).toEqual([
      'attn_config.rope_dail_config.type: "original" | "xpos"',
    ]);
    expect(ropesFromConfig(mpt({ rope: false })).forLayer(0)).toBeNull();
    expect(ropesFromConfig(mpt({ alibi: true })).forLayer(0)).toBeNull();
  });

  test("DeepSeek without latent attention has Llama's rope", () => {
    const tiny = {
      model_type: "deepseek_vl_v2",
      language_config: {
        model_type: "deepseek_v2",
        use_mla: false,
        hidden_size: 1280,
        num_attention_heads: 10,
        num_hidden_layers: 12,
        qk_nope_head_dim: 0,
        qk_rope_head_dim: 0,
        max_position_embeddings: 4096,
      },
    };
    expect(requestOf(tiny)).toMatchObject({ headDim: 128, rotaryDim: 128, pairing: "half", base: 10000 });
    expect(notesAt(tiny, "language_config.use_mla")).toMatchObject([{ kind: "differs" }]);
    expect(issues({ ...tiny, language_config: { ...tiny.language_config, use_mla: true } })).toEqual([
      "language_config.qk_nope_head_dim: an integer > 0 | 0",
      "language_config.qk_rope_head_dim: an integer > 0 | 0",
    ]);
  });
});

describe("facts of a class that concern more than frequencies", () => {
  // By hand: pair 0 of a plain rope turns by 1 rad at position 1, and nanochat's by −1 rad.
  test.each([
    ["llama", 1],
    ["nanochat", -1],
  ] as const)("%s turns by %i rad", (model_type, direction) => {
    const rope = ropesFromConfig({ model_type, hidden_size: 8, num_attention_heads: 2 }).forLayer(0)!;
    expect(rope.spec.direction).toBe(direction);
    const query = Float64Array.of(1, 0, 0, 0);
    rope.apply({ positions: [1], query });
    expect([...query]).toEqual([expect.closeTo(Math.cos(1), 6), 0, expect.closeTo(direction * Math.sin(1), 6), 0]);
  });

  // By hand: pair 0 of axis 0 has the frequency 2π, so the coordinate 0.25 turns it by π/2.
  test("DINOv3 takes fractions as positions, Pixtral does not", () => {
    const tower = { hidden_size: 16, num_attention_heads: 2, rope_theta: 100 };
    const dinov3 = ropesFromConfig({ ...tower, model_type: "dinov3_vit" }).forLayer(0)!;
    expect(dinov3.spec.fractionalPositions).toBe(true);
    const query = Float64Array.of(1, 0, 0, 0, 0, 0, 0, 0);
    dinov3.apply({ positions: [[0.25], [0]], query });
    expect(query[0]).toBeCloseTo(0, 6);
    expect(query[4]).toBeCloseTo(1, 6);

    const pixtral = ropesFromConfig({ ...tower, model_type: "pixtral" }).forLayer(0)!;
    expect(pixtral.spec.fractionalPositions).toBe(false);
    expect(failure(() => pixtral.apply({ positions: [[0.25], [0]], query })).code).toBe("ROPE_POSITION_RANGE");
  });
});

describe("engines that contradict each other", () => {
  test("HY-V4: halves in transformers, adjacent elements elsewhere, for the same weights", () => {
    const config: Json = { model_type: "hy_v4", rope_theta: 10000, qk_rope_head_dim: 64, num_hidden_layers: 2 };
    const pairings = (["hf", "vllm", "sglang", "llama.cpp"] as const).map(
      (dialect) => ropeRequestsFromConfig(config, { dialect }).byLayerType.get(null)!.request!.pairing,
    );
    // `rotate_half`; `is_neox_style=False`; DeepSeek's class; `LLAMA_ROPE_TYPE_NORM`, without a permutation.
    expect(pairings).toEqual(["half", "adjacent", "adjacent", "adjacent"]);
    expect(notesAt(config, "model_type")).toMatchObject([{ kind: "differs", severity: "warning" }]);
  });

  test("EXAONE 3 whose file does not state the base", () => {
    const config: Json = { model_type: "exaone", head_dim: 128 };
    expect(notesAt(config, "rope_theta")).toMatchObject([
      { kind: "implied" },
      { kind: "differs", severity: "warning", message: expect.stringContaining("10000") },
    ]);
    expect(notesAt({ ...config, rope_theta: 1e6 }, "rope_theta")).toEqual([]);
  });
});

/**
 * Facts about a model's rope that stand in its code and not in its config.json: one row for each family, found by
 * `model_type`. Numbers that a configuration class sets are in `class-facts.ts`.
 *
 * Source of every row: the family's classes in Hugging Face transformers 5.24, which the census ran; `docs/coverage.md`
 * says for which the rope is equal. Rows marked "remote code" follow the code that is published with the model. To add
 * a family, add a row.
 */

import { isObject } from "../locate/found.ts";
import type { JsonObject } from "../locate/found.ts";
import { classesWithoutRope, classFacts } from "./class-facts.ts";
import type { AxisOrder, ClassFacts, Family, IndexerFacts, LayerRope, LayerRule, ScalingBeside } from "./family.ts";

const row = (names: string, family: Family): [string, Family][] =>
  names
    .trim()
    .split(/\s+/)
    .map((name) => [name, family]);

const sliding = "sliding_attention";
const full = "full_attention";

const slidingPattern = (interval: number): Extract<LayerRule, { kind: "interval" }> => ({
  kind: "interval",
  keys: ["sliding_window_pattern", "_sliding_window_pattern"],
  interval,
  at: "last",
  match: full,
  other: sliding,
});
const hybridAttention: LayerRule = {
  kind: "interval",
  keys: ["full_attention_interval"],
  interval: 4,
  at: "last",
  match: full,
  other: "linear_attention",
};

/** Gemma 3: full layers slow and perhaps scaled, sliding layers fast and never scaled. */
const gemma3: Family = {
  readsRopeTypeOnly: true,
  layerRopes: {
    [full]: { thetaKeys: ["rope_theta"], scaled: true, defaults: { rope_theta: 1_000_000 } },
    [sliding]: { thetaKeys: ["rope_local_base_freq"], scaled: false, defaults: { rope_theta: 10_000 } },
  },
  layerRule: slidingPattern(6),
  defaults: { head_dim: 256, max_position_embeddings: 131_072 },
};

const gemma4: Family = {
  layerRopes: {
    [full]: {
      thetaKeys: ["rope_theta"],
      scaled: true,
      defaults: { rope_type: "proportional", rope_theta: 1_000_000, partial_rotary_factor: 0.25 },
      headDimKeys: ["global_head_dim"],
    },
    [sliding]: { thetaKeys: ["rope_local_base_freq"], scaled: false, defaults: { rope_theta: 10_000 } },
  },
  layerRule: { ...slidingPattern(6), endsWithMatch: true },
  defaults: { head_dim: 256, global_head_dim: 512, max_position_embeddings: 131_072 },
};

const inkling = (floor: number | null): Family => ({
  rotatesIf: {
    key: "model_type",
    rotates: () => false,
    otherwise: "its attention has a learned bias of relative distance",
  },
  layerRule: { kind: "indices", key: "local_layer_ids", match: "hybrid_sliding", others: "hybrid", interval: 6 },
  logarithm: { on: "hybrid", others: "hybrid_sliding", alpha: 0.1, floor },
});

const indexer = (pairing: "half" | "adjacent"): IndexerFacts => ({ headDimKeys: ["index_head_dim"], pairing });
const latent: Family = { pairing: "adjacent", latent: true, softmaxMagnitude: true };

const mrope = (sections: readonly number[], order: AxisOrder): Pick<Family, "axes"> => ({ axes: { sections, order } });

/** The spelling of Grok-2. Files of families that are not in the table may have it too. */
export const topLevelScaling: ScalingBeside = {
  mark: "rope_type",
  keys: {
    rope_type: "rope_type",
    factor: "scaling_factor",
    extrapolation_factor: "extrapolation_factor",
    attn_factor: "attn_factor",
    beta_fast: "beta_fast",
    beta_slow: "beta_slow",
    original_max_position_embeddings: "original_max_position_embeddings",
  },
  halfKey: "rope_rotate_half_dims",
  defaults: {},
};

/** Halves of the whole head, as Llama; what differs are numbers, which the configuration class sets. */
const asLlama = `
  apertus apertus1p5_text arcee aria_text bitnet chameleon csm csm_depth_decoder_model cwm dbrx
  deepseek_ocr2_text dia_decoder dia_encoder diffllama doge dory dots1 emu3_text_model esmc eurobert evolla
  EvollaModel falcon_h1 flex_olmo gemma gemma2 gpt_oss gradium_phonon_tts granite granite4_vision_text
  granite_docling_text granite_swa granitemoe granitemoe_swa granitemoeshared gte higgs_audio_v2 hrm_text
  hunyuan_v1_dense hunyuan_v1_moe hy_v3 hyperclovax idefics iquestcoder jais2 jetmoe jina_embeddings_v3
  kyutai_speech_to_text lfm2 lfm2_moe lfm3 llama mellum mimi mimi_decoder mimi_encoder minimax ministral mistral
  mixtral mllama mllama_text_model molmo2_text moshi muse_glimmer_assistant
  neucodec olmo olmo2 olmoe pocket_tts_audio_tokenizer pocket_tts_audio_tokenizer_decoder
  pocket_tts_audio_tokenizer_encoder qwen2 qwen2_moe qwen3 qwen3_moe qwen3_omni_moe_talker_code_predictor
  seed_oss smollm3 starcoder2 t5_gemma_module timesfm2_5 ultrabert unlimited_ocr_text vaultgemma
  voxtral_realtime_text xcodec2
`;
/** The same in code that is published with the models. */
const asLlamaInRemoteCode = `
  aquila bailing_moe deepseek dots_ocr Dream internlm internlm2 internlm3 llada llama_bidirec llava_llama
  llava_mistral llava_qwen mimo minicpm minicpmo minicpmv nemotron-nas new orion skywork telechat3 xverse
  Yi yi
`;

/** One entry for each `model_type`. */
export const rows: readonly (readonly [string, Family])[] = [
  ...row(asLlama, {}),
  ...row(asLlamaInRemoteCode, {}),
  ...row("exaone", {
    disputed: { base: "The code published with EXAONE 3 has 10000; the class of transformers 5.24 has 500000." },
  }),
  ...row("falcon RefinedWeb RefinedWebModel", { readsAlibi: true }),
  // Weights are permuted on loading.
  ...row("pocket_tts", { checkpointPairing: "adjacent" }),
  // The list says which layers have a rope; their base is that of the dictionary.
  ...row("muse_glimmer_text muse_spark_text", { layerThetasAreFlags: true }),
  // The rotation is backwards: transformers 5.24 `rotate_half` of nanochat is (y, −x); mlx-lm 0.32 negates the
  // frequencies.
  ...row("nanochat", { direction: -1 }),
  ...row("phimoe", { longrope: "short-list" }),
  ...row("phi3small", { longrope: "amplitudes" }),
  ...row("nomic_bert", {
    readsInterleave: true,
    scalingBeside: {
      mark: "rotary_scaling_factor",
      ropeType: "dynamic",
      keys: { factor: "rotary_scaling_factor", max_trained_positions: "max_trained_positions" },
      defaults: { max_trained_positions: 2048 },
      note: "The base grows with the length beyond max_trained_positions, as in the code published with the model; the class in transformers 5.24, vLLM and llama.cpp rotate as in training at every length.",
    },
  }),
  // SGLang's class, which its publisher names. The published file has the model_type of another model.
  ...row("grok grok-1 grok_1", {
    readsPartial: true,
    scalingBeside: {
      ...topLevelScaling,
      unheld: {
        attn_temperature_len:
          "SGLang multiplies logits by ln p / ln(attn_temperature_len) at positions p beyond it; llama.cpp does not, and neither does queryScaleOf.",
      },
      note: '"original" keeps the frequencies, and YaRN does not scale cos and sin, as in SGLang; llama.cpp reads both names as YaRN and scales.',
    },
  }),
  ...row("openai_privacy_filter", {
    pairing: "adjacent",
  }),
  ...row("ministral3", {
    readsTemperature: true,
  }),

  // Only a part of the head is rotated.
  // The base is rotary_emb_base in files of this class.
  ...row("gpt_neox gpt_neox_japanese", { readsPartial: true, ignored: ["rope_theta"] }),
  ...row("stablelm stablelm_epoch", { readsPartial: true, defaults: { partial_rotary_factor: 0.25 } }),
  ...row("bamba", { readsPartial: true, attentionOn: "attn_layer_indices" }),
  ...row("phi persimmon nemotron glm4_moe", { readsPartial: true }),
  ...row("phi3 phi3_v phi4_multimodal phi4mm", { readsPartial: true, typeNames: { yarn: "longrope", su: "longrope" } }),
  ...row("glm_image_text", { ...mrope([8, 12, 12], "sectioned"), readsPartial: true }),
  ...row("recurrent_gemma", { readsPartial: true, blockTypes: ["recurrent", "recurrent", "attention"] }),
  ...row("laguna sarvam_moe zaya", { readsPartial: true }),
  ...row("nemotron3_5_transcribe_word_timestamp", { readsPartial: true, shareOfDefaultRope: true }),
  ...row("moonshine moonshine_streaming", { pairing: "adjacent", readsPartial: true }),
  ...row("solar_open", { readsPartial: true }),
  ...row("minimax_m3_vl minimax_m3_vl_text", { readsPartial: true, ignored: ["rotary_dim"] }),
  ...row("minimax_m2", {
    readsPartial: true,
  }),
  ...row("qwen3_next", {
    readsPartial: true,
    layerRule: hybridAttention,
  }),
  // Remote code; only layers of softmax attention are rotated.
  ...row("minimax_m1 minimax_text_01", {
    readsPartial: true,
    layerRule: { kind: "codes", key: "attn_type_list", codes: { "0": "linear_attention", "1": full }, fallback: null },
  }),
  ...row("qwen", { readsPartial: true }),

  // Adjacent elements.
  ...row("blt_global_transformer blt_local_decoder blt_local_encoder blt_patcher", { pairing: "adjacent" }),
  ...row("pe_audio_encoder pe_audio_video_encoder pe_video_encoder roformer", { pairing: "adjacent" }),
  ...row("cohere", { pairing: "adjacent" }),
  ...row("ernie4_5", { pairing: "adjacent" }),
  ...row("ernie4_5_moe", { pairing: "adjacent" }),
  ...row("helium", { pairing: "adjacent" }),
  ...row("glm glm4", {
    pairing: "adjacent",
    readsPartial: true,
  }),
  // The base is a constant of the code.
  ...row("gptj codegen", { pairing: "adjacent", readsPartial: true, defaults: { rope_theta: 10_000, rotary_dim: 64 } }),
  // Remote code: the first half of the head, base 10000 · rope_ratio.
  // Ling 1.5 and 2, Phi 1 and 1.5 as first published.
  ...row("bailing_moe_v2 phi-msft mixformer-sequential", { readsPartial: true }),
  ...row("chatglm", {
    pairing: "adjacent",
    refusedIf: {
      key: "position_encoding_2d",
      why: "its first version has two position axes, each on one half of the head",
    },
    readsPartial: true,
    ratioKey: "rope_ratio",
    defaults: { partial_rotary_factor: 0.5, rope_theta: 10_000 },
  }),

  // Latent attention.
  ...row("deepseek_v2 deepseek_vl_v2", latent),
  ...row("deepseek_v32 axk2", { ...latent, indexer: indexer("half") }),
  ...row("glm_moe_dsa", { ...latent, indexer: { ...indexer("adjacent"), interleaveKey: "indexer_rope_interleave" } }),
  // The published file has keys of its own for sliding layers, of which transformers 5.24 makes a rope for each type.
  ...row("dots3_note_text", {
    ...latent,
    indexer: { ...indexer("adjacent"), onlyOn: ["indexed_attention"] },
    scalingDropsBases: true,
    layerRopes: {
      indexed_attention: { thetaKeys: ["rope_theta"], scaled: true, defaults: { rope_theta: 80_000_000 } },
      [full]: { thetaKeys: ["rope_theta"], scaled: true, defaults: { rope_theta: 80_000_000 } },
      [sliding]: {
        thetaKeys: ["swa_rope_theta"],
        scaled: true,
        defaults: { rope_theta: 50_000 },
        headDimKeys: ["swa_qk_rope_head_dim"],
      },
    },
  }),
  ...row("sarvam_mla", { ...latent, readsInterleave: true }),
  // Remote code.
  ...row("pangu_ultra_moe", latent),
  ...row("deepseek_v3 kimi_k2 kimi_k25 axk1 youtu glm4_moe_lite", { ...latent, readsInterleave: true }),
  ...row("longcat_flash", { ...latent }),
  // With images and video: Ling, Ming. Their sections stand beside text_config.
  ...row("bailing_hybrid", { ...latent, axes: { order: "time-last" } }),
  ...row("mistral4", {
    ...latent,
    readsInterleave: true,
    readsTemperature: true,
  }),
  ...row("mistral_large4_text", {
    ...latent,
    learnedExponents: "lerope.alpha",
    indexer: indexer("adjacent"),
  }),
  ...row("minicpm3", { ...latent, pairing: "half" }),
  ...row("hy_v4", {
    ...latent,
    pairing: "half",
    disputed: {
      pairing:
        "Pairs are halves in transformers 5.24, which does not reorder the weights; vLLM 0.33, SGLang 0.5.23 and llama.cpp rotate adjacent elements of the same weights: choose a dialect, or the option pairing.",
    },
    indexer: { ...indexer("half"), rotatesLast: true },
  }),
  ...row("hy_v4_vl_text", {
    ...latent,
    ...mrope([12, 10, 10], "cyclic"),
    indexer: { ...indexer("adjacent"), rotatesLast: true },
  }),
  ...row("deepseek_v4", {
    pairing: "adjacent",
    latent: true,
    rotatesLast: true,
    readsPartial: true,
    indexer: { ...indexer("adjacent"), rotatesLast: true, onlyOn: ["compressed_sparse_attention"] },
    layerRopes: {
      main: { thetaKeys: ["rope_theta"], scaled: false, defaults: { rope_theta: 10_000 } },
      compress: {
        thetaKeys: ["compress_rope_theta"],
        scaled: true,
        defaults: { rope_theta: 160_000, attention_factor: 1 },
      },
    },
    ropeOfLayerType: new Map([
      [sliding, "main"],
      ["compressed_sparse_attention", "compress"],
      ["heavily_compressed_attention", "compress"],
    ]),
    layerRule: {
      kind: "codes",
      key: "compress_ratios",
      codes: { "0": sliding, "4": "compressed_sparse_attention", "128": "heavily_compressed_attention" },
      fallback: (layer) =>
        layer >= 2 && layer % 2 === 1 ? "compressed_sparse_attention" : "heavily_compressed_attention",
    },
  }),

  // A rope for each layer type.
  ...row("gemma3 gemma3_text", gemma3),
  ...row("gemma3n gemma3n_text", {
    ...gemma3,
    layerRule: slidingPattern(5),
    defaults: { head_dim: 256, max_position_embeddings: 32_768 },
  }),
  ...row("t5gemma2_text t5gemma2_decoder", gemma3),
  ...row("embedding_gemma2_text", {
    ...gemma3,
    layerRule: { ...slidingPattern(6), endsWithMatch: true },
    layerRopes: { ...gemma3.layerRopes, [full]: { ...gemma3.layerRopes![full]!, headDimKeys: ["global_head_dim"] } },
    defaults: { global_head_dim: 512 },
  }),
  ...row("gemma4 gemma4_text gemma4_unified gemma4_unified_text diffusion_gemma_text", gemma4),
  ...row("modernbert modernbert-decoder", {
    readsRopeTypeOnly: true,
    layerRopes: {
      [full]: { thetaKeys: ["global_rope_theta"], scaled: true, defaults: { rope_theta: 160_000 } },
      [sliding]: { thetaKeys: ["local_rope_theta"], scaled: true, defaults: { rope_theta: 10_000 } },
    },
    layerRule: {
      kind: "interval",
      keys: ["global_attn_every_n_layers"],
      interval: 3,
      at: "first",
      match: full,
      other: sliding,
    },
  }),
  ...row("olmo3", {
    readsRopeTypeOnly: true,
    layerRopes: {
      [full]: { thetaKeys: ["rope_theta"], scaled: true, defaults: { rope_theta: 500_000 } },
      [sliding]: { thetaKeys: [], scaled: false, defaults: { rope_theta: 500_000 } },
    },
    layerRule: slidingPattern(4),
  }),
  ...row("mimo_v2_flash mimo_v2", {
    readsPartial: true,
    defaults: { head_dim: 192 },
    layerRopes: {
      [full]: {
        thetaKeys: ["rope_theta"],
        scaled: true,
        defaults: { rope_theta: 5_000_000, partial_rotary_factor: 0.334 },
      },
      [sliding]: {
        thetaKeys: ["swa_rope_theta"],
        scaled: false,
        defaults: { rope_theta: 10_000, partial_rotary_factor: 0.334 },
        headDimKeys: ["swa_head_dim"],
      },
    },
    layerRule: {
      kind: "codes",
      key: "hybrid_layer_pattern",
      codes: { "0": full, "1": sliding },
      fallback: (layer) => (layer === 0 || (layer + 1) % 6 === 0 ? full : sliding),
    },
  }),
  // Bases and shares are lists with one number for each layer.
  ...row("step3p5 step3p7", {
    layerKeys: ["use_rope_layers"],
    readsPartial: true,
    readsRopeTypeOnly: true,
    layerRopes: {
      [full]: { thetaKeys: ["rope_theta"], scaled: true, defaults: { rope_theta: 10_000 } },
      [sliding]: { thetaKeys: ["rope_theta"], scaled: false, defaults: { rope_theta: 10_000 } },
    },
  }),

  // Engines alone have these; the source is beside each.
  // Remote code; llama.cpp's converter spells out its flat keys of YaRN, vLLM 0.33 its bases.
  ...row("plamo3", {
    layerRopes: {
      [full]: { thetaKeys: ["rope_theta"], scaled: true, defaults: {} },
      [sliding]: { thetaKeys: ["rope_local_theta"], scaled: false, defaults: {} },
    },
    layerRule: slidingPattern(8),
    scalingBeside: {
      mark: "rope_scaling_factor",
      neutral: 1,
      ropeType: "yarn",
      keys: { factor: "rope_scaling_factor", original_max_position_embeddings: "initial_context_length" },
      defaults: {},
      constants: { beta_fast: 32, beta_slow: 1, truncate: false },
    },
  }),
  // vLLM 0.33 `models/step5`: scaled in every layer type unless `yarn_only_types` lists some.
  ...row("step5", {
    layerKeys: ["use_rope_layers"],
    readsPartial: true,
    layerRopes: {
      [full]: { thetaKeys: ["rope_theta"], scaled: true, defaults: { rope_theta: 500_000 } },
      [sliding]: { thetaKeys: ["rope_theta"], scaled: true, defaults: { rope_theta: 500_000 } },
    },
    layerRule: {
      kind: "interval",
      keys: ["sliding_window_pattern"],
      interval: 2,
      at: "last",
      match: full,
      other: sliding,
    },
  }),
  // SGLang 0.5.23 `Spark2_5Config`.
  ...row("spark2_5", {
    readsPartial: true,
    defaults: { head_dim: 256 },
    layerRopes: {
      [full]: {
        thetaKeys: ["rope_theta"],
        scaled: true,
        defaults: { rope_theta: 5_000_000, partial_rotary_factor: 0.25 },
      },
      [sliding]: { thetaKeys: ["rope_theta"], scaled: true, defaults: { rope_theta: 10_000 } },
    },
    layerRule: slidingPattern(4),
  }),
  // vLLM 0.33 `moondream3.py`: 32 elements of a head.
  ...row("moondream3 moondream3_text", {
    readsPartial: true,
    defaults: { rotary_dim: 32, rope_theta: 1_500_000 },
  }),
  // vLLM 0.33 `domyn_edge.py`, `iquest_loopcoder.py`: as Llama; the first lists layers without rope.
  ...row("domyn_edge iquest_loopcoder iquestloopcoder", { layerKeys: ["position_layers"] }),
  // llama.cpp's converter absorbs the backward rotation into the weights of the second halves.
  ...row("talkie", { direction: -1 }),
  // vLLM 0.33: the model never rotates, its drafter does.
  ...row("kimi_k3", {
    ...latent,
    rotatesIf: {
      key: "mla_use_nope",
      rotates: () => false,
      otherwise: "its attention never rotates, whatever mla_use_nope says",
    },
  }),
  ...row("k3_dspark", { ...latent, defaults: { rope_theta: 50_000 } }),

  // P.RoPE: some pairs of the whole head turn, with the frequencies of a head of these elements. vLLM 0.33, run.
  ...row("k2_horizon xllm", {
    defaultType: { ropeType: "proportional", denominator: "rotated" },
    rotatedKey: "rope_head_dim",
  }),

  // Layers without rope.
  ...row("cohere2", { pairing: "adjacent", ropeOnlyOn: [sliding], layerRule: slidingPattern(4) }),
  ...row("cohere2_moe", {
    pairing: "adjacent",
    ignored: ["rope_scaling"],
    ropeOnlyOn: [sliding],
    layerRule: slidingPattern(4),
    defaults: { head_dim: 128 },
  }),
  ...row("kolibri1 flint lara_mini", { ropeOnlyOn: [sliding], layerKeys: ["no_rope_layer_indices"] }),
  ...row("exaone4 exaone_moe", { ropeOnlyOn: [sliding], layerRule: slidingPattern(4) }),
  ...row("afmoe", { ropeOnlyOn: [sliding], layerRule: slidingPattern(4) }),
  ...row("llama4 llama4_text", {
    pairing: "adjacent",
    noRopeTemperature: { attn_scale: 0.1, floor_scale: 8192 },
  }),

  // Rope in some of the family's models, or keys of a rope that its attention never applies.
  ...row("granitemoehybrid", {
    rotatesIf: {
      key: "position_embedding_type",
      rotates: (type) => type === "rope",
      otherwise: 'its class rotates only for the position_embedding_type "rope"',
    },
  }),
  ...row("zamba2", {
    headWidths: 2,
    ignored: ["kv_channels"],
    rotatesIf: {
      key: "use_mem_rope",
      rotates: (flag) => flag === true,
      otherwise: "its class rotates only if use_mem_rope is true",
    },
  }),
  ...row("nemotron_h", {
    rotatesIf: {
      key: "rope_theta",
      rotates: () => false,
      otherwise: "its attention never rotates, whatever the file says",
    },
  }),
  ...row("kimi_linear", {
    ...latent,
    rotatesIf: {
      key: "mla_use_nope",
      rotates: () => false,
      otherwise: "its attention never rotates, whatever mla_use_nope says",
    },
  }),
  ...row("glm5_next_text", {
    rotatesIf: {
      key: "qk_rope_head_dim",
      rotates: (size) => size !== 0,
      otherwise: "qk_rope_head_dim is 0, so its latent attention has no rotated slice",
    },
  }),
  // The rotation comes before the projections to query and key.
  ...row("wav2vec2-conformer wav2vec2-bert seamless_m4t", {
    remark: "Its class turns the hidden vector before the projections to query and key, as heads of the same size.",
    rotatesIf: {
      key: "position_embeddings_type",
      rotates: (type) => type === "rotary",
      otherwise: 'its class rotates only for the position_embeddings_type "rotary"',
    },
  }),
  // Remote code; a flag for each kind of attention.
  ...row("minicpm_sala", {
    rotatesKeys: { minicpm4: "attn_use_rope", "lightning-attn": "lightning_use_rope" },
    layerRopes: {
      minicpm4: { thetaKeys: ["rope_theta"], scaled: true, defaults: {} },
      "lightning-attn": { thetaKeys: ["rope_theta"], scaled: true, defaults: {}, headDimKeys: ["lightning_head_dim"] },
    },
  }),
  ...row("esm", {
    rotatesIf: {
      key: "position_embedding_type",
      rotates: (type) => type === "rotary",
      otherwise: 'its class rotates only for the position_embedding_type "rotary"',
    },
  }),
  // Queries of layers that are not sliding grow with the logarithm of the position. transformers 5.24.
  ...row("inkling_mm_model inkling_text", inkling(null)),
  ...row("inkling2 inkling2_text", inkling(128_000)),
  ...row("inkling2_loop inkling2_loop_text", inkling(8192)),
  // Remote code; llama.cpp goes by the number of layers, which comes to the same.
  ...row("baichuan", {
    rotatesIf: {
      key: "hidden_size",
      rotates: (width) => width !== 5120,
      otherwise: "Baichuan 13B, whose attention has a bias by distance (ALiBi)",
    },
  }),

  // Several position axes.
  ...row("qwen2_vl qwen2_vl_text qwen2_5_vl qwen2_5_vl_text qwen2_5_omni qwen2_5_omni_thinker qwen2_5_omni_text", {
    ...mrope([16, 24, 24], "sectioned"),
    defaults: { rope_theta: 1_000_000 },
  }),
  ...row("qwen2_5_omni_talker", {
    ...mrope([16, 24, 24], "sectioned"),
    defaults: { head_dim: 128, rope_theta: 1_000_000 },
  }),
  ...row("paddleocr_vl paddleocr_vl_text", {
    ...mrope([16, 24, 24], "sectioned"),
    defaults: { head_dim: 128, rope_theta: 500_000 },
  }),
  ...row("qwen3_vl qwen3_vl_text", {
    ...mrope([24, 20, 20], "cyclic"),
    defaults: { head_dim: 128, rope_theta: 500_000 },
  }),
  ...row("qwen3_vl_moe qwen3_vl_moe_text", { ...mrope([24, 20, 20], "cyclic") }),
  ...row("qwen3_omni_moe qwen3_omni_moe_thinker qwen3_omni_moe_text", {
    ...mrope([24, 20, 20], "cyclic"),
    defaults: { rope_theta: 1_000_000 },
  }),
  ...row("qwen3_omni_moe_talker_text qwen3_tts qwen3_tts_talker", mrope([24, 20, 20], "cyclic")),
  ...row("qwen3_5 qwen3_5_text qwen3_5_moe qwen3_5_moe_text", {
    ...mrope([11, 11, 10], "cyclic"),
    readsPartial: true,
    defaults: { head_dim: 256, partial_rotary_factor: 0.25 },
    layerRule: hybridAttention,
  }),
  ...row("qwen4_exp_text", {
    ...mrope([11, 11, 10], "cyclic"),
    readsPartial: true,
    indexer: { ...indexer("half"), headDimKeys: ["indexer_head_dim", "head_dim"] },
  }),
  ...row("neomme", { axes: { count: 2, order: "cyclic" }, readsPartial: true }),
  ...row("cohere_compass_text", mrope([24, 20, 20], "cyclic")),
  ...row("cosmos3_edge_text", mrope([24, 20, 20], "cyclic")),
  ...row("glm4v glm4v_text glm_ocr glm_ocr_text", {
    ...mrope([8, 12, 12], "sectioned"),
    pairing: "adjacent",
    readsPartial: true,
  }),
  ...row("glm4v_moe glm4v_moe_text", {
    ...mrope([8, 12, 12], "sectioned"),
    readsPartial: true,
    defaults: { partial_rotary_factor: 0.5 },
  }),
  ...row("ernie4_5_vl_moe ernie4_5_vl_moe_text ernie4_5_moe_vl", {
    ...mrope([22, 22, 20], "alternating"),
    pairing: "adjacent",
    defaults: { rope_theta: 500_000 },
  }),
  ...row("hunyuan_vl hunyuan_vl_text", {
    axes: {
      order: "sectioned",
      note: "Sections count pairs, as in llama.cpp and mlx-vlm; transformers counts elements. There the two elements of a pair follow different axes, which is not a rotation.",
    },
  }),

  // transformers 5.24 and vLLM 0.33 build no rope for it; so are the released checkpoints.
  ...row("olmo_hybrid", { nullBaseIsNone: true }),
  ...row("beam", {
    remark:
      "Queries of its layers without rope are multiplied by (1 + (p + 1) / 2048)^0.1 at position p (measured); no rule of this library does it.",
  }),

  // No head of it can be rotated as a rope does.
  ...row("qwen2_5_omni_dit", {
    refused: "one head of its attention is rotated, and its pairs are adjacent elements before and halves after",
  }),
  ...row("musicflamingo", { refused: "it turns the outputs of its audio encoder by time, before any attention" }),
  ...row("clvp_encoder", {
    refused: "its attention rotates values too, and the queries before they are split into heads",
  }),

  // No rope.
  ...row(
    "bert roberta xlm-roberta camembert distilbert albert electra gpt2 gpt_neo gpt_bigcode opt bart mbart clip clip_text_model siglip ctrl openai-gpt biogpt",
    {
      noRope: "its positions are learned or sinusoidal embeddings",
    },
  ),
  ...row("t5 mt5 umt5 mpnet deberta deberta-v2 xlnet", {
    noRope: "its positions are biases or embeddings of relative distance",
  }),
  ...row("bloom mpt", { noRope: "attention is biased by distance (ALiBi)" }),
  ...row("mamba mamba2 falcon_mamba rwkv", { noRope: "it has no attention" }),
];

const families: ReadonlyMap<string, Family> = new Map(rows);

/** Models whose `model_type` is that of another model, or none. */
const architectures: ReadonlyMap<unknown, string> = new Map([
  ["Grok1ForCausalLM", "grok"],
  ["Grok1ModelForCausalLM", "grok"],
]);

/** The `model_type` that the `architectures` of a config stand for, whatever `model_type` says; mostly `undefined`. */
export function modelTypeOfArchitectures(names: unknown): string | undefined {
  return Array.isArray(names) ? architectures.get(names[0]) : undefined;
}

/** All names of families. */
export function familyNames(): string[] {
  const ofClasses = [...Object.keys(classFacts), ...classesWithoutRope];
  return [...families.keys(), ...ofClasses.filter((name) => familyOf(name) !== undefined)];
}

const known = new Map<string, Family | undefined>();

/**
 * The facts of a `model_type`: its row, completed by what its configuration class sets; `undefined` for a family that
 * is not known.
 */
export function familyOf(modelType: string): Family | undefined {
  if (!known.has(modelType)) known.set(modelType, findFamily(modelType));
  return known.get(modelType);
}

function findFamily(modelType: string): Family | undefined {
  const row = families.get(modelType);
  const ofClass = classOf(modelType);
  if (row === undefined && classesWithoutRope.has(modelType)) {
    return { noRope: "its class in transformers does not rotate queries and keys" };
  }
  // What a class with a rope does has to stand in a row.
  const isHolder = ofClass.nested !== undefined && ofClass.values === undefined;
  if (row === undefined) return isHolder ? holderOf(ofClass.nested!) : undefined;
  return completed(ofClass, row);
}

/** A row, completed by what the configuration class of its `model_type` sets. */
export function completedFamily(modelType: string, row: Family): Family {
  return completed(classOf(modelType), row);
}

const completed = (ofClass: ClassFacts, row: Family): Family => ({
  ...familyOfClass(ofClass),
  ...row,
  ...merged(ofClass, row),
});

/** A class that is no model: without rope if none of the models that it holds has one. */
function holderOf(holds: Readonly<Record<string, string>>): Family {
  const isBare = Object.values(holds).every((name) => familyOf(name)?.noRope !== undefined);
  return isBare ? { holds, noRope: "none of the models that it holds rotates queries and keys" } : { holds };
}

/** What a class sets; for the row of a class that holds a text model, what the class of the latter sets. */
function classOf(modelType: string): ClassFacts {
  const facts = Object.hasOwn(classFacts, modelType) ? classFacts[modelType]! : {};
  const text = ["text_config", "thinker_config"].map((key) => facts.nested?.[key]).find((name) => name !== undefined);
  return families.has(modelType) && facts.values === undefined && text !== undefined ? classOf(text) : facts;
}

/** The default values of a class, replaced by those of its row. */
function merged(ofClass: ClassFacts, row: Family | undefined): Pick<Family, "defaults"> {
  const defaults = Object.entries({ ...familyOfClass(ofClass).defaults, ...row?.defaults });
  return { defaults: Object.fromEntries(defaults.filter(([key]) => row?.ignored?.includes(key) !== true)) };
}

/** The default values of a configuration class as facts of a family. */
function familyOfClass({ values = {}, lists, dictionaryBase, ignoresBaseBeside, shareKeys }: ClassFacts): Family {
  const { rope_parameters: rope, ...others } = values;
  // Bases beside the dictionary, which the class keeps and does not read where the dictionary has them.
  const bases = Object.entries(rope === undefined ? {} : others).filter(([key]) => key.endsWith("rope_theta"));
  const shared = {
    ...(lists === undefined ? {} : { lists }),
    ...(bases.length === 0 ? {} : { leftBases: Object.fromEntries(bases) }),
    ...(dictionaryBase === undefined ? {} : { dictionaryBase }),
    ...(ignoresBaseBeside === undefined ? {} : { ignoresBaseBeside }),
    ...(shareKeys === undefined ? {} : { shareKeys }),
  };
  if (!isObject(rope)) return { ...shared, defaults: others };
  const ofTypes = Object.entries(rope).filter(([, value]) => value === null || isObject(value));
  if (ofTypes.length > 0) {
    const layerRopes = ofTypes.map(([label, value]): [string, LayerRope] => [
      label,
      {
        thetaKeys: [],
        scaled: false,
        defaults: (value ?? {}) as JsonObject,
        ...(value === null ? { noRope: true } : {}),
      },
    ]);
    return { ...shared, defaults: others, layerRopes: Object.fromEntries(layerRopes) };
  }
  const { rope_theta, partial_rotary_factor, ...scaling } = rope;
  const defaults = {
    ...others,
    ...(rope_theta === undefined ? {} : { rope_theta }),
    ...(partial_rotary_factor === undefined ? {} : { partial_rotary_factor }),
  };
  const isScaled = scaling["rope_type"] !== "default" && scaling["rope_type"] !== "axial";
  return { ...shared, defaults, ...(isScaled ? { defaultRope: rope } : {}) };
}

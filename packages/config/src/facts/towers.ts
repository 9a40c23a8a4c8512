/**
 * Facts about vision, video and audio towers that stand in their code and not in a config: one row for each tower,
 * found by `model_type`.
 *
 * Source of every row: the tower's class in Hugging Face transformers 5.24. A test compares each tower that rotates
 * with what its class answered when it ran (`test/fixtures/towers.py`). Rows marked "remote code" follow the code that
 * is published with the model. To add a tower, add a row.
 */

import type { Family } from "./family.ts";
import type { AxialTower, Tower, TowerPart, TowerRope } from "./tower.ts";

const row = (names: string, tower: Tower): [string, Tower][] => names.split(" ").map((name) => [name, tower]);

type Sizes = AxialTower["sizes"];
const axial = (name: string, sizes: Sizes, more: Omit<Partial<AxialTower>, "kind"> = {}): [string, Tower] => [
  name,
  { kind: "axial", part: "vision", sizes, ...more },
];
const line = (names: string, part: TowerPart, family: Family): [string, Tower][] =>
  row(names, { kind: "line", part, family });
const none = (part: TowerPart, why: string, names: string): [string, Tower][] =>
  row(names, { kind: "none", part, why });

const widthFirst: TowerRope = { axes: ["width", "height"] };
/** Llama 4, Inkling and Muse give the class token the position 0, or none, and patches the positions from 1 on. */
const from1: TowerRope = { ...widthFirst, counting: "from 1" };
/** MoonViT: the axes by turns, each with all frequencies. */
const byTurns = { axisCount: 2, order: "alternating" };
const dino: Omit<AxialTower, "kind" | "part" | "sizes"> = {
  base: 100,
  counting: "centres from -1 to 1",
  parameters: { axisCount: 2, angleScale: 2 * Math.PI },
  fractionalPositions: true,
  remark: "Class and register tokens are not rotated.",
};
/** Attention to earlier frames. Its keys in the config have a prefix. */
const memory = (layers: number): Omit<AxialTower, "kind" | "part"> => ({
  ...widthFirst,
  sizes: [256, 1, layers],
  isModel: true,
  pairing: "adjacent",
  keys: [["memory_attention_hidden_size"], ["memory_attention_num_attention_heads"], ["memory_attention_num_layers"]],
  remark:
    "This is the rope of the memory attention. The keys of several frames have the same positions, and tokens of object pointers are not rotated.",
});

const embeddings = "its positions are embeddings that are added to the patches, or biases";
const frames = "its positions are embeddings that are added to the frames";
const relative = "its attention has embeddings or biases of relative distance";
const convolutions = "it has no attention, or attention without positions";

const towers: ReadonlyMap<string, Tower> = new Map([
  // As Qwen2-VL: rows, then columns, each with frequencies of its own.
  axial("qwen2_vl_vision", [1280, 16, 32], {
    // hidden_size is the width after merging.
    keys: [["embed_dim"], ["num_heads", "num_attention_heads"], ["depth", "num_hidden_layers"]],
  }),
  axial("qwen2_5_vl_vision", [3584, 16, 32]),
  axial("qwen2_5_omni_vision_encoder", [3584, 16, 32]),
  axial("exaone4_5_vision", [3584, 16, 32]),
  ...["qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe", "qwen4_exp", "cohere_compass", "paddleocr_vl"].map((name) =>
    axial(`${name}_vision`, [1152, 16, 27]),
  ),
  axial("qwen3_omni_moe_vision_encoder", [1152, 16, 27]),
  axial("glm4v_vision", [1536, 12, 24]),
  axial("glm4v_moe_vision", [1536, 12, 24]),
  axial("glm5_next_vision", [1024, 16, 24]),
  axial("glm_ocr_vision", [1024, 16, 24]),
  axial("ernie4_5_vl_moe_vision", [1280, 16, 32]),
  axial("dots3_note_vision_encoder", [1536, 24, 42]),
  axial("video_llama_3_vision", [768, 12, 12]),
  axial("mlcd_vision_model", [1664, 16, 48], {
    remark: "The class token turns by learned angles (class_pos_emb in the weights), not by a position.",
  }),
  axial("lfm3_vl_vision", [1024, 16, 14], {
    base: 1_000_000,
    layers: {
      typeOf: (layer, fields) =>
        String(fields.list("layer_types")?.value[layer] ?? (layer < 2 || layer % 2 === 1 ? "conv" : "full_attention")),
      ropes: { full_attention: {}, conv: null },
    },
  }),

  // Other orders, countings and pairings.
  axial("step3p5_vision", [1536, 16, 47], { ...widthFirst, checkpointPairing: "adjacent" }),
  axial("muse_spark_vision", [1536, 16, 50], from1),
  axial("muse_glimmer_vision", [1536, 16, 50], from1),
  axial("inkling2_vision", [1024, 16, 23], {
    ...from1,
    pairing: "adjacent",
    remark: "The class token in front of each image has the position (0, 0).",
  }),
  axial("llama4_vision_model", [768, 16, 34], {
    ...from1,
    pairing: "adjacent",
    remark: "The class token after the patches is not rotated: give it the position (0, 0).",
  }),
  axial("kimi_k25_vision", [1152, 16, 27], {
    ...widthFirst,
    parameters: byTurns,
    checkpointPairing: "adjacent",
    // As in the file that is published with Kimi K2.5.
    keys: [
      ["hidden_size", "vt_hidden_size"],
      ["num_attention_heads", "vt_num_attention_heads"],
      ["num_hidden_layers", "vt_num_hidden_layers"],
    ],
  }),
  // Remote code of Kimi-VL: the same tower, whose class leaves the weights as they are.
  axial("moonvit", [1152, 16, 27], { ...widthFirst, parameters: byTurns, pairing: "adjacent" }),
  axial("pixtral", [1024, 16, 24], {
    parameters: { axisCount: 2, frequencies: "shared" },
    remark: "Weights in Mistral's own format (consolidated.safetensors) have adjacent elements as pairs.",
  }),
  axial("gemma4_vision", [768, 12, 16], {
    ...widthFirst,
    headDim: 64,
    base: 100,
    pairing: { blocks: 2 },
    fractionalPositions: true,
    remark: "Padding has the position −1 on both axes, so this rope takes negative positions.",
  }),
  axial("minimax_m3_vl_vision", [1280, 16, 32], {
    axes: ["time", "height", "width"],
    // An even number of elements for each axis; the rest of the head is not rotated.
    rotated: (headDim) => 6 * Math.floor(headDim / 6),
  }),
  axial("dinov3_vit", [384, 6, 12], dino),
  axial("sapiens2", [1024, 16, 24], dino),
  axial("eomt_dinov3", [1024, 16, 24], dino),
  axial("sam3_vit_model", [1024, 16, 32], {
    ...widthFirst,
    pairing: "adjacent",
    layers: {
      typeOf: (layer, fields) =>
        (fields.list("global_attn_indexes")?.value ?? [7, 15, 23, 31]).includes(layer) ? "global" : "window",
      ropes: { window: {}, global: { counting: "scaled to a window", fractionalPositions: true } },
    },
    remark:
      "Layers with windows count within the window. Global layers multiply the coordinates by window_size / (image_size / patch_size).",
  }),
  axial("sam2_video", [256, 1, 4], memory(4)),
  axial("sam3_tracker_video", [256, 1, 4], memory(4)),
  axial("edgetam_video", [256, 1, 2], memory(2)),
  axial("efficientloftr", [256, 8, 4], {
    wide: true,
    counting: "from 1",
    pairing: "adjacent",
    parameters: byTurns,
    keys: [["hidden_size"], ["num_attention_heads"], ["num_attention_layers"]],
    remark: "The rope turns the whole vector, before it is cut into heads: give tensors of one head.",
  }),

  // One position axis.
  ...line("lasr_encoder", "audio", {}),
  ...line("voxtral_realtime_encoder", "audio", { defaults: { head_dim: 64 } }),
  ...line("nemotron3_diarization_audio", "audio", { readsPartial: true }),
  ...line("glmasr_encoder dots3_note_audio_encoder", "audio", {
    readsPartial: true,
    defaults: { partial_rotary_factor: 0.5 },
  }),
  ...line("nemotron3_5_transcribe_asr_audio", "audio", {
    readsPartial: true,
    shareOfDefaultRope: true,
    defaults: { partial_rotary_factor: 0.5 },
  }),
  ...line("pe_audio_encoder pe_audio_video_encoder", "audio", {
    pairing: "adjacent",
    defaults: { head_dim: 128, rope_theta: 20_000 },
  }),
  ...line("pe_video_encoder", "vision", { pairing: "adjacent", defaults: { head_dim: 128, rope_theta: 20_000 } }),
  ...line("deepseek_ocr2_encoder", "vision", {}),

  // The tower stands inside.
  ...row("sam3_vision_model", { kind: "around", part: "vision", key: "backbone_config" }),
  ...row("deepseek_ocr2_vision", { kind: "around", part: "vision", key: "encoder_config" }),
  ...row("nemotron3_5_transcribe_audio", { kind: "around", part: "audio", key: "asr_config" }),

  // No rope.
  ...none(
    "vision",
    embeddings,
    "aimv2_vision_model altclip_vision_model beit blip_2_vision_model blip_vision_model bridgetower_vision_model chinese_clip_vision_model clip_vision_model clipseg_vision_model cosmos3_edge_vision deit dinov2 dinov2_with_registers flava_image_model florence_vision git_vision_model glm_image_vision got_ocr2_vision granite_docling_vision groupvit_vision_model hunyuan_vl_vision hy_v4_vl_vision idefics2_vision idefics3_vision idefics_vision ijepa instructblip_vision_model instructblipvideo_vision_model internvl_vision intern_vit_6b janus_vision_model kosmos_2_5_vision_model kosmos_2_vision_model metaclip_2_vision_model minicpm_ocr_vision minicpmv4_6_vision minicpmv4_7_vision mllama_vision_model molmo2_vision ovis2_vision owlv2_vision_model owlvit_vision_model phi4_multimodal_vision pix2struct_vision_model pp_chart2table_vision pp_formulanet_vision qianfan_ocr_vision radio sam_hq_vision_model sam_vision_model deepseek_ocr2_sam_vision_model unlimited_ocr_sam_vision_model siglip2_vision_model siglip_vision_model slanext_vision smolvlm_vision swin swinv2 tipsv2_vision_model unlimited_ocr_vision unlimited_ocr_vision_encoder videomae videoprism_vision_model vit vit_mae vivit xclip_vision_model",
  ),
  ...none(
    "vision",
    convolutions,
    "align_vision_model apertus1p5_vision_tokenizer convnext convnextv2 edgetam_vision_model gemma3n_vision gemma4_unified_vision inkling_vision resnet sam2_vision_model sam2_hiera_det_model",
  ),
  ...none(
    "audio",
    frames,
    "audio-spectrogram-transformer audioflamingo3_encoder clap_audio_model fun_asr_nano_encoder moss_transcribe_diarize_audio omniasr_audio qwen2_5_omni_audio_encoder qwen2_audio_encoder qwen3_asr_encoder qwen3_omni_moe_audio_encoder voxtral_encoder whisper",
  ),
  ...none(
    "audio",
    relative,
    "gemma3n_audio gemma4_audio granite_speech5_encoder granite_speech_encoder granite_speech_plus_encoder nemotron_asr_streaming_encoder parakeet_encoder phi4_multimodal_audio",
  ),
  ...none(
    "audio",
    convolutions,
    "dac encodec gemma4_unified_audio hubert inkling_audio moonshine_streaming_encoder muse_spark_audio vibevoice_acoustic_tokenizer vibevoice_acoustic_tokenizer_encoder wav2vec2 wavlm wavtokenizer_encoder",
  ),

  // No rotation that a rope can hold.
  ...row("vjepa2", {
    kind: "refused",
    part: "vision",
    why: "the two elements of a pair turn by different frequencies, which is not a rotation",
    remedy: "Multiply by cos and sin tables of your own, with one value for each element.",
  }),
  ...row("lightglue", {
    kind: "refused",
    part: "vision",
    why: "its angles are learned mixes of both coordinates",
    remedy: "Make cos and sin from posenc.projector in the weights, and call rotate of @ropewalk/core/math.",
  }),
  ...row("esmfold2", {
    kind: "refused",
    part: "vision",
    why: "its atoms turn by their places in space, and the file does not say which part is meant",
    remedy:
      "Make the rope with getRope: type nd, with num_spatial_rope_pairs_per_axis three times and num_uid_rope_pairs as sections, their two base frequencies as bases, and padEnd for the other pairs of the head.",
  }),
  ...row("timm_wrapper timm_backbone", {
    kind: "refused",
    part: "vision",
    why: "the tower is a model of timm, and the file does not state its rope",
    remedy:
      "Look the model up in timm: most have embeddings; those with rope need a request of the type nd or their own tables.",
  }),
]);

/** The row of a `model_type`; `undefined` for a tower that is not in the table. */
export function towerOf(modelType: string): Tower | undefined {
  return towers.get(modelType);
}

/** All names of towers in the table. */
export function towerNames(): string[] {
  return [...towers.keys()];
}

/**
 * The tower of models whose files do not name it, where it is not called `<model_type>_vision`. Files of transformers 4
 * often leave the `model_type` of a tower out, or repeat the model's.
 */
const towersOfModels: ReadonlyMap<string, string> = new Map(
  (
    [
      ["vision", "qwen2_5_omni qwen2_5_omni_thinker", "qwen2_5_omni_vision_encoder"],
      ["vision", "qwen3_omni_moe qwen3_omni_moe_thinker", "qwen3_omni_moe_vision_encoder"],
      ["vision", "colqwen2", "qwen2_vl_vision"],
      ["vision", "hyperclovax_vision_v2", "qwen2_5_vl_vision"],
      ["vision", "cosmos3_omni", "qwen3_vl_vision"],
      ["vision", "glm46v glmga", "glm4v_vision"],
      ["vision", "ernie4_5_moe_vl", "ernie4_5_vl_moe_vision"],
      ["vision", "dots3_note", "dots3_note_vision_encoder"],
      ["vision", "step3p7", "step3p5_vision"],
      ["vision", "kimi_vl", "moonvit"],
      ["vision", "inkling2_loop", "inkling2_vision"],
      ["vision", "diffusion_gemma", "gemma4_vision"],
      ["vision", "llama4", "llama4_vision_model"],
      ["vision", "mistral3 mistral_large4 lighton_ocr", "pixtral"],
      ["vision", "pe_video", "pe_video_encoder"],
      ["audio", "glmasr", "glmasr_encoder"],
      ["audio", "dots3_note", "dots3_note_audio_encoder"],
      ["audio", "lasr_ctc", "lasr_encoder"],
      ["audio", "voxtral_realtime", "voxtral_realtime_encoder"],
      ["audio", "nemotron3_diarization", "nemotron3_diarization_audio"],
      ["audio", "pe_audio", "pe_audio_encoder"],
      ["audio", "pe_audio_video", "pe_audio_video_encoder"],
    ] as const
  ).flatMap(([part, models, tower]) => models.split(" ").map((model) => [`${part} ${model}`, tower] as const)),
);

/** A tower as it is in a model, where the model makes a difference. */
export function asInModel(tower: Tower, model: string): Tower {
  if (model === "musicflamingo" && tower.kind === "none") {
    return { ...tower, why: `${tower.why}; the model turns what comes out of it by time, which is no rope of a head` };
  }
  // Mistral's own format, in which pairs are adjacent elements.
  return model === "mistral_large4" && tower.kind === "axial" ? { ...tower, checkpointPairing: "adjacent" } : tower;
}

/** The tower of a model whose file does not name it. */
export function towerNameOf(model: string, part: TowerPart): string | undefined {
  const named = towersOfModels.get(`${part} ${model}`) ?? `${model}_${part}`;
  return towers.has(named) ? named : undefined;
}

/**
 * Model types, or single files of them ("model_type (variant)"), that ropewalk refuses although the class takes them,
 * each with the reason. The check fails for a refusal that is not in this list, and for an entry that is not refused.
 */
export const refused: Readonly<Record<string, string>> = {
  glm4_moe: "the small config has heads of 42 elements, whose half is odd; published files have 128",
  "nomic_bert (interleaved)":
    "read with a warning: the code published with the model has adjacent pairs for this key, the class in transformers ignores it",
  "nomic_bert (baseKey)": "two bases, of which the class reads one",
  clvp_encoder: "its attention rotates values too, before they are split into heads",
  "gemma3_text (v4)": "the scaling is under `type`, which the class does not read: it would rotate unscaled in silence",
  "gemma3n_text (v4)": "the same",
  "t5gemma2_text (v4)": "the same",
  "olmo3 (v4)": "the same",
  "modernbert (v4)": "the same",
  "modernbert-decoder (v4)": "the same",
  "step3p5 (v4)": "the same",
  "step3p5 (thetas)": "bases that differ inside a layer type: the class takes the first, vLLM each layer's own",
};

/**
 * Model types whose class in mlx-lm rotates otherwise than transformers' class. The dialect "mlx" says how keys are
 * read, not what each class does. The check fails for a difference that is not in this list, and for an entry that is
 * equal.
 */
export const differsInMlx: Readonly<Record<string, string>> = {
  falcon_h1: "heads have 64 elements if the file has no `head_dim`; published files have the key",
  glm: "the whole head rotates: `partial_rotary_factor` is not read",
  granitemoehybrid: "attention rotates if `position_embedding_type` is null",
  internlm3: "`head_dim` is not read: heads have `hidden_size / num_attention_heads` elements",
  minimax: "`rotary_dim` elements rotate; transformers' class rotates the whole head",
  minimax_m3_vl: "`rotary_dim` elements rotate; transformers' class does not read the key",
};

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

/**
 * Model types, or single files of them ("model_type (variant)"), that ropewalk refuses although the class takes them,
 * each with the reason. The check fails for a refusal that is not in this list, and for an entry that is not refused.
 */
export const refused: Readonly<Record<string, string>> = {
  glm4_moe: "the small config has heads of 42 elements, whose half is odd; published files have 128",
  "gemma3_text (v4)": "the scaling is under `type`, which the class does not read: it would rotate unscaled in silence",
  "gemma3n_text (v4)": "the same",
  "olmo3 (v4)": "the same",
  "step3p5 (v4)": "the same",
  "step3p5 (thetas)": "bases that differ inside a layer type: the class takes the first, vLLM each layer's own",
  "qwen3_5_text (partial)": "sections that do not fill the rotated part",
  "qwen3_5_moe_text (partial)": "sections that do not fill the rotated part",
};

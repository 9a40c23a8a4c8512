/**
 * What each engine does with each key about rope, as data for tools that tell people about their file. Versions are
 * those of `dialects`.
 */

import type { DialectName } from "./dialect.ts";

/** What an engine does with a key. */
export interface KeyUse {
  /** `"otherwise"`: read, but not as transformers reads it; `note` says how. */
  readonly use: "read" | "ignored" | "otherwise" | "refused";
  readonly note?: string;
}

/** A key of a config, and who reads it. */
export interface KeyFacts {
  readonly key: string;
  /** The types that have it, as configs name them; empty: all. */
  readonly ropeTypes: readonly string[];
  /** What it says. */
  readonly meaning: string;
  readonly engines: Readonly<Record<DialectName, KeyUse>>;
  /** What to write so that more engines agree; absent where nothing better is known. */
  readonly instead?: string;
}

const read: KeyUse = { use: "read" };
const ignored: KeyUse = { use: "ignored" };
const refused = (note: string): KeyUse => ({ use: "refused", note });
const otherwise = (note: string): KeyUse => ({ use: "otherwise", note });
const silent = (note: string): KeyUse => ({ use: "ignored", note });

/** All six in the order of the columns below. */
function uses(
  hf: KeyUse,
  vllm: KeyUse,
  sglang: KeyUse,
  llamaCpp: KeyUse,
  mlx: KeyUse,
  mindie: KeyUse,
): KeyFacts["engines"] {
  return { hf, vllm, sglang, "llama.cpp": llamaCpp, mlx, mindie };
}
const byAll: KeyFacts["engines"] = uses(read, read, read, read, read, read);

const yarns = ["yarn", "deepseek_yarn", "telechat3-yarn", "deepseek_llama_scaling"];
const classOnly = silent("the family's class fixes it");

/** One row for each key. */
export const keyFacts: readonly KeyFacts[] = [
  // Every type.
  { key: "rope_theta", ropeTypes: [], meaning: "base of the frequencies", engines: byAll },
  {
    key: "rope_type",
    ropeTypes: [],
    meaning: "how frequencies are scaled",
    engines: uses(read, read, read, read, otherwise("type is looked at first"), read),
  },
  {
    key: "type",
    ropeTypes: [],
    meaning: "older name of rope_type",
    engines: uses(
      otherwise("only where rope_type is absent"),
      refused("where it differs from rope_type"),
      otherwise("only where rope_type is absent"),
      otherwise("only where rope_type is absent"),
      read,
      ignored,
    ),
    instead: "rope_type alone",
  },
  {
    key: "partial_rotary_factor",
    ropeTypes: [],
    meaning: "share of a head that is rotated",
    engines: uses(
      otherwise("classes of Llama's and Qwen's kind ignore it for the default type"),
      otherwise("read for every family; 0 < f ≤ 1, else an error"),
      otherwise("read for every family"),
      otherwise("by the family's converter"),
      otherwise("by the family's class"),
      otherwise("by the family's class"),
    ),
  },
  {
    key: "rope_dim",
    ropeTypes: [],
    meaning: "number of rotated elements",
    engines: uses(ignored, read, ignored, ignored, ignored, ignored),
    instead: "partial_rotary_factor",
  },
  {
    key: "rope_interleave",
    ropeTypes: [],
    meaning: "whether pairs are adjacent elements (latent attention)",
    engines: uses(
      otherwise("DeepSeek-V3 and its relatives only"),
      silent("always adjacent there"),
      silent("always adjacent there"),
      silent("by architecture"),
      silent("by class"),
      silent("by class"),
    ),
  },
  {
    key: "max_position_embeddings",
    ropeTypes: [],
    meaning: "promised length in tokens",
    engines: byAll,
  },
  {
    key: "original_max_position_embeddings",
    ropeTypes: [...yarns, "longrope", "llama3"],
    meaning: "trained length in tokens",
    engines: uses(
      otherwise("beside the dictionary it overrides the one inside"),
      otherwise("as transformers, whose class is asked first"),
      otherwise("absent: the promised length"),
      read,
      otherwise("absent: 4096 for yarn, 8192 for llama3"),
      read,
    ),
    instead: "the same number beside and inside the dictionary",
  },
  {
    key: "factor",
    ropeTypes: ["linear", "dynamic", "ntk", ...yarns, "longrope", "llama3", "proportional"],
    meaning: "context extension",
    engines: uses(
      otherwise("absent in yarn and longrope: promised / trained length"),
      otherwise("required; linear wants a float; longrope and proportional ignore it"),
      otherwise("absent: 1; linear wants a float; longrope and proportional ignore it"),
      otherwise("longrope ignores it: promised / trained length"),
      otherwise("longrope ignores it: promised / trained length"),
      read,
    ),
    instead: "a number with a decimal point, equal to max_position_embeddings / original_max_position_embeddings",
  },

  // YaRN.
  {
    key: "attention_factor",
    ropeTypes: [...yarns, "longrope"],
    meaning: "amplitude of cos and sin",
    engines: uses(
      read,
      otherwise("read by yarn, not by deepseek_yarn and longrope"),
      ignored,
      silent("converted to yarn_attn_factor, which the loader overwrites"),
      ignored,
      silent("hidden by mscale, whose default is 1"),
    ),
  },
  {
    key: "attn_factor",
    ropeTypes: yarns,
    meaning: "factor of the amplitude",
    engines: uses(
      ignored,
      silent("older versions multiplied by it"),
      read,
      silent("converted to yarn_attn_factor, which the loader overwrites"),
      ignored,
      ignored,
    ),
    instead: "attention_factor, the whole amplitude",
  },
  {
    key: "extrapolation_factor",
    ropeTypes: yarns,
    meaning: "how far fast pairs keep their frequency",
    engines: uses(
      ignored,
      silent("older versions read it"),
      read,
      silent("converted; only Grok's loader reads it back"),
      ignored,
      ignored,
    ),
    instead: "nothing: 1 is what all engines do without it",
  },
  {
    key: "beta_fast",
    ropeTypes: yarns,
    meaning: "turns above which a pair is kept",
    engines: uses(
      otherwise("0 counts as 32"),
      read,
      read,
      silent("converted; only the loaders of Grok and Mistral 3 read it back, others take 32"),
      read,
      read,
    ),
  },
  {
    key: "beta_slow",
    ropeTypes: yarns,
    meaning: "turns below which a pair is slowed down",
    engines: uses(
      otherwise("0 counts as 1"),
      read,
      read,
      silent("converted; only the loaders of Grok and Mistral 3 read it back, others take 1"),
      read,
      read,
    ),
  },
  {
    key: "mscale",
    ropeTypes: yarns,
    meaning: "numerator of the amplitude",
    engines: uses(
      otherwise("with mscale_all_dim only, and if neither is 0"),
      otherwise("yarn: as transformers; deepseek_yarn: by itself, absent 1"),
      otherwise("yarn: if both are given, 0 included; deepseek_yarn: by itself, absent 1; with mrope_section an error"),
      silent("taken to be 1, or mscale_all_dim"),
      otherwise("by itself, absent 1"),
      otherwise("yarn: the amplitude itself, absent 1"),
    ),
    instead: "attention_factor for yarn; mscale = mscale_all_dim for latent attention",
  },
  {
    key: "mscale_all_dim",
    ropeTypes: yarns,
    meaning: "denominator of the amplitude, and the softmax's magnitude",
    engines: uses(
      otherwise("for cos and sin with mscale only; for the softmax by itself"),
      otherwise("yarn: as transformers; deepseek_yarn: by itself, absent 0"),
      otherwise("yarn: if both are given, 0 included; deepseek_yarn: by itself, absent 0; with mrope_section an error"),
      otherwise("latent attention and Mistral 3 only, as yarn_log_multiplier"),
      otherwise("by itself, absent 0"),
      otherwise("deepseek_yarn only"),
    ),
  },
  {
    key: "truncate",
    ropeTypes: yarns,
    meaning: "whether the blended range is rounded to whole pairs",
    engines: uses(
      otherwise("beside the layer types only, where each has its own rope"),
      otherwise("yarn only, not deepseek_yarn"),
      otherwise("yarn only, not deepseek_yarn"),
      silent("always rounded"),
      silent("always rounded"),
      silent("always rounded"),
    ),
  },
  {
    key: "apply_yarn_scaling",
    ropeTypes: yarns,
    meaning: "false: amplitude 1",
    engines: uses(
      ignored,
      silent("older versions read it"),
      ignored,
      ignored,
      ignored,
      silent("hidden by mscale, whose default is 1"),
    ),
    instead: "attention_factor 1",
  },

  // LongRoPE, Llama 3, dynamic, ntk.
  {
    key: "short_factor",
    ropeTypes: ["longrope", "su"],
    meaning: "slowdown of each pair in short texts",
    engines: uses(
      read,
      otherwise("chosen once, by max_model_len"),
      otherwise("up to one token later than transformers"),
      otherwise("chosen once, by the size of the context"),
      silent("the long list always"),
      refused("unknown type"),
    ),
  },
  {
    key: "long_factor",
    ropeTypes: ["longrope", "su"],
    meaning: "slowdown of each pair in long texts",
    engines: uses(
      read,
      otherwise("chosen once, by max_model_len"),
      read,
      otherwise("chosen once, by the size of the context"),
      otherwise("at every length"),
      refused("unknown type"),
    ),
  },
  {
    key: "short_mscale",
    ropeTypes: ["longrope", "su"],
    meaning: "amplitude in short texts",
    engines: uses(otherwise("PhiMoE's class only"), read, read, ignored, ignored, refused("unknown type")),
  },
  {
    key: "long_mscale",
    ropeTypes: ["longrope", "su"],
    meaning: "amplitude in long texts",
    engines: uses(
      otherwise("PhiMoE's class only"),
      read,
      read,
      ignored,
      otherwise("PhiMoE's class only"),
      refused("unknown type"),
    ),
  },
  {
    key: "low_freq_factor",
    ropeTypes: ["llama3"],
    meaning: "turns below which a pair is slowed down",
    engines: uses(
      read,
      read,
      otherwise("absent: 1"),
      otherwise("absent: 1; baked into rope_freqs"),
      otherwise("absent: 1"),
      read,
    ),
  },
  {
    key: "high_freq_factor",
    ropeTypes: ["llama3"],
    meaning: "turns above which a pair is kept",
    engines: uses(
      read,
      read,
      otherwise("absent: 4"),
      otherwise("absent: 4; baked into rope_freqs"),
      otherwise("absent: 4"),
      read,
    ),
  },
  {
    key: "alpha",
    ropeTypes: ["dynamic", "xdrope"],
    meaning: "fixed growth of the base",
    engines: uses(
      otherwise("Hunyuan's classes only"),
      read,
      read,
      otherwise("Hunyuan only, baked into freq_base"),
      otherwise("Hunyuan's class only"),
      ignored,
    ),
  },
  {
    key: "max_trained_positions",
    ropeTypes: ["dynamic"],
    meaning: "trained length of the dynamic type",
    engines: uses(ignored, read, ignored, ignored, ignored, ignored),
  },
  {
    key: "mixed_b",
    ropeTypes: ["ntk"],
    meaning: "exponent of the mixed form",
    engines: uses(
      ignored,
      read,
      refused("unknown type"),
      refused("unknown type"),
      refused("unknown type"),
      refused("unknown type"),
    ),
  },

  // Several position axes.
  {
    key: "mrope_section",
    ropeTypes: [],
    meaning: "pairs of each position axis",
    engines: uses(
      otherwise("families with several axes only"),
      read,
      otherwise("rescaled without a word where they do not add up"),
      read,
      silent("text only: one axis"),
      otherwise("by the family's class"),
    ),
  },
  {
    key: "mrope_interleaved",
    ropeTypes: [],
    meaning: "axes take turns instead of runs",
    engines: uses(
      classOnly,
      otherwise("absent: runs"),
      otherwise("absent: runs"),
      silent("by architecture"),
      ignored,
      classOnly,
    ),
  },
  {
    key: "interleaved",
    ropeTypes: [],
    meaning: "the same, in some configs of Qwen3's speech models",
    engines: uses(classOnly, ignored, ignored, silent("by architecture"), ignored, ignored),
    instead: "mrope_interleaved",
  },
  {
    key: "mrope_interleaved_glm",
    ropeTypes: [],
    meaning: "axes take turns, passing over those whose share is used up",
    engines: uses(ignored, ignored, read, ignored, ignored, ignored),
  },
  {
    key: "xdrope_section",
    ropeTypes: ["xdrope", "dynamic"],
    meaning: "pairs of each of four position axes",
    engines: uses(
      otherwise("read as mrope_section"),
      refused("unknown type"),
      refused("unknown type"),
      otherwise("as dimension_sections"),
      refused("unknown type"),
      refused("unknown type"),
    ),
  },

  // Beside the frequencies.
  {
    key: "llama_4_scaling_beta",
    ropeTypes: [],
    meaning: "factor of queries that grows with the position",
    engines: uses(
      otherwise("Ministral 3 and Mistral 4 only"),
      read,
      read,
      otherwise("as temperature keys"),
      ignored,
      ignored,
    ),
  },
  {
    key: "use_fope",
    ropeTypes: ["default"],
    meaning: "learned mixing of frequencies",
    engines: uses(ignored, read, read, ignored, ignored, ignored),
  },
  {
    key: "num_inv_freq",
    ropeTypes: ["default"],
    meaning: "frequencies that are mixed",
    engines: uses(ignored, read, read, ignored, ignored, ignored),
  },
  {
    key: "fope_sep_head",
    ropeTypes: ["default"],
    meaning: "one matrix for each head",
    engines: uses(ignored, read, read, ignored, ignored, ignored),
  },
  {
    key: "fope_init_factor",
    ropeTypes: ["default"],
    meaning: "scale of fresh matrices",
    engines: uses(ignored, read, read, ignored, ignored, ignored),
  },
  {
    key: "dual_chunk_attention_config",
    ropeTypes: [],
    meaning: "positions folded into chunks",
    engines: uses(ignored, read, read, ignored, ignored, ignored),
  },
  {
    key: "finetuned",
    ropeTypes: [],
    meaning: "marks a checkpoint that was trained with the scaling",
    engines: uses(ignored, ignored, ignored, silent("stored, and used for nothing"), ignored, ignored),
  },
].map((facts) => Object.freeze(facts));

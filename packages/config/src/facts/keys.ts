/**
 * What each engine does with each rope key of a config, as data for tools that explain a file to its user. Versions are
 * those of `dialects`.
 */

import type { AmplitudeRule, Dialect, DialectName } from "./dialect.ts";
import { dialects } from "./dialects.ts";

/** Matches keys that only a model with rope has. */
export const ropeKey: RegExp =
  /^(rope|rotary|mrope|xdrope|partial_rotary|qk_rope|nope|yarn|llama_4_scaling$|use_scaled_rope)|_rope_|_(rope|theta|rotary)$|rope_theta|rotary_emb/;

/** What an engine does with a key. */
export interface KeyUse {
  /** `"otherwise"`: read, but not as transformers reads it; `note` says how. */
  readonly use: "read" | "ignored" | "otherwise" | "refused";
  readonly note?: string;
}

/** A rope key of a config, and what each engine does with it. */
export interface KeyFacts {
  readonly key: string;
  /** The types that have this key, as configs name them; empty: all types. */
  readonly ropeTypes: readonly string[];
  /** Set if the key may also stand beside the rope dictionary, among the model's own keys. Absent: only inside it. */
  readonly besideDictionary?: true;
  /** What the key means. */
  readonly meaning: string;
  readonly engines: Readonly<Record<DialectName, KeyUse>>;
  /** What to write instead so that more engines agree; absent if no better spelling is known. */
  readonly instead?: string;
}

const read: KeyUse = { use: "read" };
const ignored: KeyUse = { use: "ignored" };
const refused = (note: string): KeyUse => ({ use: "refused", note });
const otherwise = (note: string): KeyUse => ({ use: "otherwise", note });
const silent = (note: string): KeyUse => ({ use: "ignored", note });

/** All engines, in the order of the columns below. */
function uses(
  hf: KeyUse,
  vllm: KeyUse,
  sglang: KeyUse,
  llamaCpp: KeyUse,
  mlx: KeyUse,
  mindie: KeyUse,
  ortGenai: KeyUse,
): KeyFacts["engines"] {
  return { hf, vllm, sglang, "llama.cpp": llamaCpp, mlx, mindie, "ort-genai": ortGenai };
}

type Notes = Readonly<Partial<Record<DialectName, string>>>;

/**
 * What each engine does with a key that is controlled by a knob of its dialect. Knob and fact cannot disagree this way.
 * A note on a key that is read says how it is read otherwise.
 *
 * @param ropeType the only type that has the key. An engine that refuses the type refuses the key.
 */
function byKnob(isRead: (dialect: Dialect) => boolean, notes: Notes = {}, ropeType?: string): KeyFacts["engines"] {
  const useIn = (name: DialectName): KeyUse => {
    const { familyTypes, otherTypes, ropeTypes } = dialects[name];
    const known = [ropeTypes, ...Object.values(familyTypes).map((family) => family.ropeTypes)].flat();
    if (ropeType !== undefined && otherTypes === "refused" && !known.includes(ropeType)) {
      return refused("unknown type");
    }
    const note = notes[name];
    if (isRead(dialects[name])) return note === undefined ? read : otherwise(note);
    return note === undefined ? ignored : silent(note);
  };
  return uses(
    useIn("hf"),
    useIn("vllm"),
    useIn("sglang"),
    useIn("llama.cpp"),
    useIn("mlx"),
    useIn("mindie"),
    useIn("ort-genai"),
  );
}

/** Llama 3's numbers of turns: a note where the engine has a default. */
function turnsOfLlama3(knob: "absentLowFreqFactor" | "absentHighFreqFactor"): KeyFacts["engines"] {
  const notes: Partial<Record<DialectName, string>> = {};
  for (const [name, { llama3 }] of Object.entries(dialects) as [DialectName, Dialect][]) {
    const baked = name === "llama.cpp" ? "; baked into rope_freqs" : "";
    if (llama3[knob] !== "refused") notes[name] = `absent: ${llama3[knob]}${baked}`;
  }
  notes["ort-genai"] = "Llama's class only; required";
  return byKnob(() => true, notes, "llama3");
}

const byAll: KeyFacts["engines"] = uses(read, read, read, read, read, read, read);

const yarns = ["yarn", "deepseek_yarn", "telechat3-yarn", "deepseek_llama_scaling"];
const classFixesIt = "the family's class fixes it";

/** Names under which files state the share of a head that rotates. */
export const shareNames: readonly string[] = [
  "partial_rotary_factor",
  "rotary_pct",
  "rope_pct",
  "rotary_percent",
  "rotary_emb_fraction",
];

const readsMscale = (rule: AmplitudeRule): boolean => rule === "mscale-ratio" || rule === "mscale-verbatim";
const orderFrom =
  (key: string) =>
  ({ mrope }: Dialect): boolean =>
    mrope.order === "by-key" && mrope.interleavedKeys.includes(key);

/** One row for each key. */
export const keyFacts: readonly KeyFacts[] = (
  [
    // Every type.
    { key: "rope_theta", ropeTypes: [], besideDictionary: true, meaning: "base of the frequencies", engines: byAll },
    {
      key: "rope_type",
      ropeTypes: [],
      meaning: "how frequencies are scaled",
      engines: uses(read, read, read, read, otherwise("type is looked at first"), read, read),
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
        otherwise("only where rope_type is absent; longrope requires it"),
      ),
      instead: "rope_type alone",
    },
    {
      key: "partial_rotary_factor",
      ropeTypes: [],
      besideDictionary: true,
      meaning: "share of a head that is rotated",
      engines: uses(
        otherwise("classes of Llama's and Qwen's kind ignore it for the default type"),
        otherwise("read for every family; 0 < f ≤ 1, else an error"),
        otherwise("read for every family"),
        otherwise("by the family's converter"),
        otherwise("by the family's class"),
        otherwise("by the family's class"),
        otherwise("read for every family; an error with yarn"),
      ),
    },
    {
      key: "rope_dim",
      ropeTypes: [],
      besideDictionary: true,
      meaning: "number of rotated elements",
      engines: uses(ignored, read, ignored, ignored, ignored, ignored, ignored),
      instead: "partial_rotary_factor",
    },
    {
      key: "rope_interleave",
      ropeTypes: [],
      besideDictionary: true,
      meaning: "whether pairs are adjacent elements (latent attention)",
      engines: uses(
        otherwise("DeepSeek-V3 and its relatives only"),
        silent("always adjacent there"),
        silent("always adjacent there"),
        silent("by architecture"),
        silent("by class"),
        silent("by class"),
        silent("by class"),
      ),
    },
    {
      key: "max_position_embeddings",
      ropeTypes: [],
      besideDictionary: true,
      meaning: "promised length in tokens",
      engines: byAll,
    },
    {
      key: "original_max_position_embeddings",
      ropeTypes: [...yarns, "longrope", "llama3"],
      besideDictionary: true,
      meaning: "trained length in tokens",
      engines: uses(
        otherwise("beside the dictionary it overrides the one inside"),
        otherwise("as transformers, whose class reads the file first"),
        otherwise("absent: the promised length"),
        read,
        otherwise("absent: 4096 for yarn, 8192 for llama3"),
        read,
        otherwise("beside the dictionary it overrides the one inside"),
      ),
      instead: "the same number beside and inside the dictionary",
    },
    {
      key: "factor",
      ropeTypes: ["linear", "dynamic", "ntk", ...yarns, "longrope", "llama3", "proportional"],
      meaning: "context extension",
      engines: uses(
        otherwise("null in yarn, absent in longrope: promised / trained length"),
        otherwise("required; linear wants a float; longrope and proportional ignore it"),
        otherwise("absent: 1; linear wants a float; longrope and proportional ignore it"),
        otherwise("absent in yarn: no scaling; longrope ignores it: promised / trained length"),
        otherwise("longrope ignores it: promised / trained length"),
        read,
        otherwise("required; longrope ignores it: promised / trained length"),
      ),
      instead: "a number with a decimal point, equal to max_position_embeddings / original_max_position_embeddings",
    },

    // YaRN.
    {
      key: "attention_factor",
      ropeTypes: [...yarns, "longrope"],
      meaning: "amplitude of cos and sin",
      engines: byKnob(({ yarn }) => yarn.amplitude.includes("attention_factor"), {
        vllm: "read by yarn, not by deepseek_yarn and longrope",
        "llama.cpp": "converted to yarn_attn_factor, which the loader overwrites",
        mindie: "hidden by mscale, whose default is 1",
      }),
    },
    {
      key: "attn_factor",
      ropeTypes: yarns,
      meaning: "factor of the amplitude",
      engines: byKnob(({ yarn }) => yarn.amplitudeFactors.includes("attn_factor"), {
        vllm: "older versions multiplied by it",
        "llama.cpp": "converted to yarn_attn_factor, which the loader overwrites",
      }),
      instead: "attention_factor, the whole amplitude",
    },
    {
      key: "extrapolation_factor",
      ropeTypes: yarns,
      meaning: "how far fast pairs keep their frequency",
      engines: byKnob(({ yarn }) => yarn.extrapolation === "stated", {
        vllm: "older versions read it",
        "llama.cpp": "converted; only Grok's loader reads it back",
      }),
      instead: "nothing: 1 is what all engines do without it",
    },
    {
      key: "beta_fast",
      ropeTypes: yarns,
      meaning: "turns above which a pair is kept",
      engines: byKnob(({ yarn }) => yarn.betas === "stated", {
        "ort-genai": "required",
        hf: "0 counts as 32",
        "llama.cpp": "converted; only the loaders of Grok and Mistral 3 read it back, others take 32",
      }),
    },
    {
      key: "beta_slow",
      ropeTypes: yarns,
      meaning: "turns below which a pair is slowed down",
      engines: byKnob(({ yarn }) => yarn.betas === "stated", {
        "ort-genai": "required",
        hf: "0 counts as 1",
        "llama.cpp": "converted; only the loaders of Grok and Mistral 3 read it back, others take 1",
      }),
    },
    {
      key: "mscale",
      ropeTypes: yarns,
      meaning: "numerator of the amplitude",
      engines: byKnob(({ deepseekYarn, yarn }) => [...yarn.amplitude, ...deepseekYarn.amplitude].some(readsMscale), {
        hf: "with mscale_all_dim only, and if neither is 0",
        "ort-genai": "without mscale_all_dim the amplitude itself",
        vllm: "yarn: as transformers; deepseek_yarn: by itself, absent 1",
        sglang: "yarn: if both are given, 0 included; deepseek_yarn: by itself, absent 1; with mrope_section an error",
        "llama.cpp": "taken to be 1, or mscale_all_dim",
        mlx: "by itself, absent 1",
        mindie: "yarn: the amplitude itself, absent 1",
      }),
      instead: "attention_factor for yarn; mscale = mscale_all_dim for latent attention",
    },
    {
      key: "mscale_all_dim",
      ropeTypes: yarns,
      meaning: "denominator of the amplitude, and the softmax's magnitude",
      engines: byKnob(
        ({ yarn, deepseekYarn }) =>
          [yarn, deepseekYarn].some(({ amplitude }) => amplitude.includes("mscale-ratio")) ||
          deepseekYarn.softmax === "mscale_all_dim",
        {
          "ort-genai": "with mscale only",
          hf: "for cos and sin with mscale only; for the softmax by itself",
          vllm: "yarn: as transformers; deepseek_yarn: by itself, absent 0",
          sglang:
            "yarn: if both are given, 0 included; deepseek_yarn: by itself, absent 0; with mrope_section an error",
          "llama.cpp": "latent attention and Mistral 3 only, as yarn_log_multiplier",
          mlx: "by itself, absent 0",
          mindie: "deepseek_yarn only",
        },
      ),
    },
    {
      key: "truncate",
      ropeTypes: yarns,
      meaning: "whether the blended range is rounded to whole pairs",
      engines: byKnob(({ yarn }) => yarn.truncate === "stated", {
        hf: "beside the layer types only, where each has its own rope",
        vllm: "yarn only, not deepseek_yarn",
        sglang: "yarn only, not deepseek_yarn",
        "llama.cpp": "always rounded",
        mlx: "always rounded",
        mindie: "always rounded",
        "ort-genai": "never rounded",
      }),
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
        ignored,
      ),
      instead: "attention_factor 1",
    },

    // LongRoPE, Llama 3, dynamic, ntk.
    {
      key: "short_factor",
      ropeTypes: ["longrope", "su"],
      meaning: "slowdown of each pair in short texts",
      engines: byKnob(
        ({ longrope }) => longrope.selection !== "long",
        {
          "ort-genai": "Phi-3's class only",
          vllm: "chosen once, by max_model_len",
          sglang: "up to one token later than transformers",
          "llama.cpp": "chosen once, by the size of the context",
          mlx: "the long list always",
        },
        "longrope",
      ),
    },
    {
      key: "long_factor",
      ropeTypes: ["longrope", "su"],
      meaning: "slowdown of each pair in long texts",
      engines: byKnob(
        () => true,
        {
          "ort-genai": "Phi-3's class only",
          vllm: "chosen once, by max_model_len",
          "llama.cpp": "chosen once, by the size of the context",
          mlx: "at every length",
        },
        "longrope",
      ),
    },
    {
      key: "short_mscale",
      ropeTypes: ["longrope", "su"],
      meaning: "amplitude in short texts",
      engines: byKnob(
        ({ longrope }) => longrope.amplitudeKeys.includes("short_mscale"),
        { hf: "the classes of PhiMoE and Phi-3-small only", "ort-genai": "Phi-3's class only" },
        "longrope",
      ),
    },
    {
      key: "long_mscale",
      ropeTypes: ["longrope", "su"],
      meaning: "amplitude in long texts",
      engines: {
        ...byKnob(
          ({ longrope }) => longrope.amplitudeKeys.includes("long_mscale"),
          { hf: "the classes of PhiMoE and Phi-3-small only", "ort-genai": "Phi-3's class only" },
          "longrope",
        ),
        // A class of its own there; the knob is the type's.
        mlx: otherwise("PhiMoE's class only"),
      },
    },
    {
      key: "low_freq_factor",
      ropeTypes: ["llama3"],
      meaning: "turns below which a pair is slowed down",
      engines: turnsOfLlama3("absentLowFreqFactor"),
    },
    {
      key: "high_freq_factor",
      ropeTypes: ["llama3"],
      meaning: "turns above which a pair is kept",
      engines: turnsOfLlama3("absentHighFreqFactor"),
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
        otherwise("Hunyuan's class only"),
      ),
    },
    {
      key: "max_trained_positions",
      ropeTypes: ["dynamic"],
      meaning: "trained length of the dynamic type",
      engines: byKnob(({ dynamic }) => dynamic.trainedKey === "max_trained_positions"),
    },
    {
      key: "rotary_scaling_factor",
      ropeTypes: [],
      besideDictionary: true,
      meaning: "factor of the dynamic type beyond max_trained_positions (Nomic)",
      engines: uses(
        otherwise("as in the code published with the model; the class in transformers ignores it"),
        silent("texts end at max_trained_positions unless the caller gives a rope dictionary"),
        ignored,
        silent("texts end at max_trained_positions"),
        ignored,
        ignored,
        ignored,
      ),
    },
    {
      key: "mixed_b",
      ropeTypes: ["ntk"],
      meaning: "exponent of the mixed form",
      engines: byKnob(({ ropeTypes }) => ropeTypes.includes("ntk"), {}, "ntk"),
    },

    // Several position axes.
    {
      key: "mrope_section",
      ropeTypes: [],
      meaning: "pairs of each position axis",
      engines: byKnob(({ mrope }) => mrope.axes === "all", {
        hf: "families with several axes only",
        sglang: "rescaled without a warning if they do not add up",
        mlx: "text only: one axis",
        mindie: "by the family's class",
      }),
    },
    {
      key: "mrope_interleaved",
      ropeTypes: [],
      meaning: "axes are cyclic instead of runs",
      engines: byKnob(orderFrom("mrope_interleaved"), {
        hf: classFixesIt,
        vllm: "absent: runs",
        sglang: "absent: runs",
        "llama.cpp": "by architecture",
        mindie: classFixesIt,
      }),
    },
    {
      key: "interleaved",
      ropeTypes: [],
      meaning: "the same, in some configs of Qwen3's speech models",
      engines: byKnob(orderFrom("interleaved"), { hf: classFixesIt, "llama.cpp": "by architecture" }),
      instead: "mrope_interleaved",
    },
    {
      key: "mrope_interleaved_glm",
      ropeTypes: [],
      meaning: "axes are cyclic; an axis whose pairs are used up is skipped",
      engines: uses(ignored, ignored, read, ignored, ignored, ignored, ignored),
    },
    {
      key: "video_rope",
      ropeTypes: ["default", "yarn"],
      meaning: "axes are height and width by turns, then time, as in bailing_mrope",
      engines: byKnob(({ mrope }) => mrope.videoRope === "read", {
        hf: "as SGLang",
        vllm: "rope_type bailing_mrope says it",
      }),
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
        ignored,
      ),
    },
    {
      key: "use_fope",
      ropeTypes: ["default"],
      meaning: "learned mixing of frequencies",
      engines: uses(ignored, read, read, ignored, ignored, ignored, ignored),
    },
    {
      key: "num_inv_freq",
      ropeTypes: ["default"],
      meaning: "frequencies that are mixed",
      engines: uses(ignored, read, read, ignored, ignored, ignored, ignored),
    },
    {
      key: "fope_sep_head",
      ropeTypes: ["default"],
      meaning: "one matrix for each head",
      engines: uses(ignored, read, read, ignored, ignored, ignored, ignored),
    },
    {
      key: "fope_init_factor",
      ropeTypes: ["default"],
      meaning: "scale of fresh matrices",
      engines: uses(ignored, read, read, ignored, ignored, ignored, ignored),
    },
    {
      key: "dual_chunk_attention_config",
      ropeTypes: [],
      besideDictionary: true,
      meaning: "positions folded into chunks",
      engines: uses(ignored, read, read, ignored, ignored, ignored, ignored),
    },
    {
      key: "finetuned",
      ropeTypes: [],
      meaning: "marks a checkpoint that was trained with the scaling",
      engines: uses(ignored, ignored, ignored, silent("stored, but not used"), ignored, ignored, ignored),
    },
  ] satisfies KeyFacts[]
).map((facts) => Object.freeze(facts));

/**
 * How an engine reads a config.json, as data: one value for each knob in which engines differ. Code looks at knobs
 * only, never at a dialect's name.
 */

/** The names of the dialects that come with this package. */
export type DialectName = "hf" | "vllm" | "sglang" | "llama.cpp" | "mlx" | "mindie" | "ort-genai";

/**
 * A source of YaRN's amplitude of cos and sin. `M(s, k) = 0.1 k ln s + 1`.
 *
 * `"attention_factor"`: that key. `"mscale-ratio"`: `M(s, mscale) / M(s, mscale_all_dim)`. `"mscale-verbatim"`:
 * `mscale` itself. `"overall-only"`: 1 if `mscale_all_dim` is set, because the loader uses it for both. `"magnitude"`:
 * `M(s, 1)`.
 */
export type AmplitudeRule = "attention_factor" | "mscale-ratio" | "mscale-verbatim" | "overall-only" | "magnitude";

/** The knobs of YaRN and of DeepSeek's YaRN. */
export interface YarnDialect {
  /** The sources of the amplitude, in order. The first that applies is used. */
  readonly amplitude: readonly AmplitudeRule[];
  /**
   * When `"mscale-ratio"` applies: if both keys are set and not 0; if both are set, 0 included; or always. With
   * `"always"`, a missing key has the value `absentMscale` or `absentMscaleAllDim`.
   */
  readonly mscales: "both-not-zero" | "both-stated" | "always";
  readonly absentMscale: number;
  readonly absentMscaleAllDim: number;
  /** Keys that multiply the amplitude. */
  readonly amplitudeFactors: readonly string[];
  /** Whether `beta_fast` and `beta_slow` are read. If not, they are 32 and 1. */
  readonly betas: "stated" | "standard";
  /** Whether a beta of 0 counts as absent or is an error. */
  readonly zeroBeta: "standard" | "refused";
  /** Whether absent betas are 32 and 1, or an error. */
  readonly absentBetas: "standard" | "refused";
  /** Whether `truncate: false` is read. If not, the blended range is always or never rounded to whole pairs. */
  readonly truncate: "stated" | "always" | "never";
  /** Whether the blended range has to lie inside the pairs: `0 < low < high < D/2 − 1`. */
  readonly range: "any" | "inside";
  /** Whether a part of a head can be scaled. */
  readonly part: "any" | "whole-head";
  /** Whether `extrapolation_factor` is read. */
  readonly extrapolation: "stated" | "ignored";
  /** A factor of the trained length from which the blended range is computed, for ropes of several position axes. */
  readonly lengthsWithAxes: number;
}

/** One engine's reading of a config. Frozen, plain data. */
export interface Dialect {
  readonly name: string;
  readonly engine: string;
  readonly version: string;
  /** The types that the engine builds, as configs name them. */
  readonly ropeTypes: readonly string[];
  /** What happens with another type: it is built if it is registered here, or refused as in the engine. */
  readonly otherTypes: "built" | "refused";
  /** Families whose classes build other types, and what these classes do with the others. */
  readonly familyTypes: Readonly<
    Record<string, { readonly ropeTypes: readonly string[]; readonly others: "refused" | "ignored" }>
  >;
  /** The families with a rope for each layer type that the engine has; `"any"`: it reads such files of every family. */
  readonly layeredFamilies: "any" | readonly string[];
  /** Which key wins if `rope_type` and `type` name different types; `"agree"`: this is an error. */
  readonly typeKey: "agree" | "rope_type" | "type";
  /** Type names that the engine reads as another type. */
  readonly typeNames: Readonly<Record<string, string>>;
  /** Scaling keys that stand among the model's own keys. */
  readonly beside: {
    /** The type that the engine builds for a name there, if it is another one. */
    readonly typeNames: Readonly<Record<string, string>>;
    /** Whether YaRN's amplitude is applied, or cos and sin are not scaled. */
    readonly amplitude: "applied" | "one";
    /** Whether `rotary_scaling_factor` of Nomic is read. */
    readonly dynamic: "read" | "ignored";
  };
  /**
   * Whether a partial rotary factor of a `default` rope is always read, or only if transformers' class of the family
   * reads it.
   */
  readonly partialRotary: "by-class" | "always";
  /** Families whose pairing the engine has otherwise than transformers, the indexer's too. */
  readonly familyPairings: Readonly<Record<string, "half" | "adjacent">>;
  /** Whether `rope_parameters`, the spelling of transformers 5, is read for every family. */
  readonly ropeParameters: "read" | "by-class";
  /** Whether `indexer_rope_interleave` sets the pairs of an indexer. transformers fixes them by class. */
  readonly indexerInterleave: "by-class" | "by-key";
  readonly originalLength: {
    /** Whether the trained length beside the rope dictionary wins over the trained length inside it. */
    readonly precedence: "beside" | "inside";
    /** The value of a missing trained length, by type: the promised length, a number, or an error. */
    readonly absent: Readonly<Record<"yarn" | "llama3" | "longrope", "max-position" | "refused" | number>>;
  };
  /**
   * What a missing `factor` of YaRN means: promised / trained length if the file says `null` for it, and an error if it
   * does not mention it; always an error; no scaling; or a number.
   */
  readonly absentFactor: "ratio-if-null" | "refused" | "unscaled" | number;
  readonly yarn: YarnDialect;
  /** For latent attention that multiplies its softmax scale by a magnitude. */
  readonly deepseekYarn: YarnDialect & {
    /** Whether `mscale_all_dim` also multiplies the softmax scale. */
    readonly softmax: "mscale_all_dim" | "none";
  };
  readonly longrope: {
    /**
     * What chooses the list: the current length, the length that the engine was started for, or nothing (always the
     * long list).
     */
    readonly selection: "by-current-length" | "by-capacity" | "long";
    /** The short list is used up to the trained length plus this number of tokens. */
    readonly shortBeyond: number;
    /** Whether the amplitude follows `factor`, or always promised / trained length. */
    readonly factor: "stated" | "ratio-of-lengths";
    /** Which of `attention_factor`, `short_mscale` and `long_mscale` are read. */
    readonly amplitudeKeys: readonly string[];
    /**
     * Whether PhiMoE's class has its own rule: it uses the short list at every length and changes only the amplitude,
     * from `short_mscale` to `long_mscale`. No other class reads these two keys then.
     */
    readonly ofClass: boolean;
    /**
     * Whether the engine takes the rule of the amplitude from `type`, which it requires: YaRN's `0.1 ln s + 1` if that
     * is `"yarn"`.
     */
    readonly byType: boolean;
  };
  readonly dynamic: {
    /**
     * The length in the formula: the current length, or the promised length times 1 or `factor`. `"ignored"`: the base
     * does not change. `"refused"`: there is `dynamic` with `alpha` only.
     */
    readonly length: "current" | "promised" | "promised-times-factor" | "ignored" | "refused";
    /** The key of the trained length; `null`: the promised length is the trained length. */
    readonly trainedKey: string | null;
  };
  readonly llama3: {
    readonly absentLowFreqFactor: number | "refused";
    readonly absentHighFreqFactor: number | "refused";
  };
  readonly proportional: { readonly factor: "stated" | "ignored" };
  readonly mrope: {
    /** Whether the engine reads positions of several axes. `"first"`: it reads one axis only (text). */
    readonly axes: "all" | "first";
    /** The keys that say whether the axes are assigned cyclically. */
    readonly interleavedKeys: readonly string[];
    /** Whether the family's class or the key sets the order of axes. */
    readonly order: "by-class" | "by-key";
    /** Whether frequencies of several axes may be scaled. */
    readonly scaled: "read" | "refused";
    /** Whether `video_rope` says that the order is that of `bailing_mrope`. */
    readonly videoRope: "read" | "ignored";
    /** Whether frequencies of the order of `bailing_mrope` may be scaled. */
    readonly timeLast: "any-type" | "default-only";
    /** What happens with sections that do not add up to the number of pairs. */
    readonly wrongSum: "refused" | "rescaled";
    /** The axis of pairs that remain in the cyclic order: the first axis, or an extra axis that is always 0. */
    readonly spare: "first" | "own";
  };
}

/**
 * How an engine reads a config.json, as data: a value for each knob in which engines differ. Code that turns a config into
 * facts looks at knobs only, never at a dialect's name.
 */

/** The names of the dialects that come with this package. */
export type DialectName = "hf" | "vllm" | "sglang" | "llama.cpp" | "mlx" | "mindie";

/**
 * Where YaRN's amplitude of cos and sin comes from; `M(s, k) = 0.1 k ln s + 1`.
 *
 * `"attention_factor"`: that key. `"mscale-ratio"`: `M(s, mscale) / M(s, mscale_all_dim)`. `"mscale-verbatim"`: `mscale`
 * itself. `"overall-only"`: 1 where `mscale_all_dim` is set, since the loader takes it for both. `"magnitude"`: `M(s, 1)`.
 */
export type AmplitudeRule = "attention_factor" | "mscale-ratio" | "mscale-verbatim" | "overall-only" | "magnitude";

/** The knobs of YaRN and of DeepSeek's YaRN. */
export interface YarnDialect {
  /** The first that applies. */
  readonly amplitude: readonly AmplitudeRule[];
  /**
   * When `"mscale-ratio"` applies: both keys set and not 0; both set, 0 being a number like others; or always, a missing
   * key counting as `absentMscale` or `absentMscaleAllDim`.
   */
  readonly mscales: "both-not-zero" | "both-stated" | "always";
  readonly absentMscale: number;
  readonly absentMscaleAllDim: number;
  /** Keys that multiply the amplitude. */
  readonly amplitudeFactors: readonly string[];
  /** Whether `beta_fast` and `beta_slow` are read; else they are 32 and 1. */
  readonly betas: "stated" | "standard";
  /** Whether a beta of 0 counts as absent, or is an error. */
  readonly zeroBeta: "standard" | "refused";
  /** Whether `truncate: false` is read, or the range is always rounded to whole pairs. */
  readonly truncate: "stated" | "always";
  /** Whether `extrapolation_factor` is read. */
  readonly extrapolation: "stated" | "ignored";
  /** The range of blended pairs is that of so many times the trained length, where there are several position axes. */
  readonly lengthsWithAxes: number;
}

/** One engine's reading of a config. Frozen, plain data. */
export interface Dialect {
  readonly name: string;
  readonly engine: string;
  readonly version: string;
  /** The types that the engine builds, as configs name them. */
  readonly ropeTypes: readonly string[];
  /** What becomes of another type: built if it is registered here, or refused as the engine does. */
  readonly otherTypes: "built" | "refused";
  /** Which key wins where `rope_type` and `type` name two types; `"agree"`: an error. */
  readonly typeKey: "agree" | "rope_type" | "type";
  /** Type names that the engine reads as another type. */
  readonly typeNames: Readonly<Record<string, string>>;
  /** Whether a share beside a plain rope counts where transformers' class of the family ignores it. */
  readonly partialRotary: "by-class" | "always";
  readonly originalLength: {
    /** Whether a trained length beside the rope dictionary has precedence over the one in it. */
    readonly precedence: "beside" | "inside";
    /** What a missing one is, by type: the promised length, a number, or an error. */
    readonly absent: Readonly<Record<"yarn" | "llama3" | "longrope", "max-position" | "refused" | number>>;
  };
  /** What a missing factor of YaRN is: promised / trained length, a number, or an error. */
  readonly absentFactor: "ratio-of-lengths" | "refused" | number;
  readonly yarn: YarnDialect;
  /** For latent attention whose softmax has a magnitude. */
  readonly deepseekYarn: YarnDialect & {
    /** Whether `mscale_all_dim` also multiplies the softmax scale. */
    readonly softmax: "mscale_all_dim" | "none";
  };
  readonly longrope: {
    /** What chooses the list: the length at hand, the length that the engine was started for, or nothing. */
    readonly selection: "by-current-length" | "by-capacity" | "long";
    /** By how many tokens the short list outlasts the trained length. */
    readonly shortBeyond: number;
    /** Whether the amplitude follows `factor`, or promised / trained length whatever `factor` says. */
    readonly factor: "stated" | "ratio-of-lengths";
    /** Which of `attention_factor`, `short_mscale` and `long_mscale` are read. */
    readonly amplitudeKeys: readonly string[];
    /**
     * Whether PhiMoE's class counts. It takes the short list at every length and changes its amplitude only, from
     * `short_mscale` to `long_mscale`; no other class reads the two then.
     */
    readonly ofClass: boolean;
  };
  readonly dynamic: {
    /** The formula's length: the current one, or the promised one times 1 or `factor`; `"ignored"`: the base stays. */
    readonly length: "current" | "promised" | "promised-times-factor" | "ignored";
    /** The key of the trained length; `null`: the promised length is it. */
    readonly trainedKey: string | null;
  };
  readonly llama3: {
    readonly absentLowFreqFactor: number | "refused";
    readonly absentHighFreqFactor: number | "refused";
  };
  readonly proportional: { readonly factor: "stated" | "ignored" };
  readonly mrope: {
    /** Whether positions of several axes are known at all; `"first"`: text only. */
    readonly axes: "all" | "first";
    /** The keys that say whether axes take turns. */
    readonly interleavedKeys: readonly string[];
    /** Whether the family's class or the key decides about the order of axes. */
    readonly order: "by-class" | "by-key";
    /** What becomes of sections that do not add up to the pairs. */
    readonly wrongSum: "refused" | "rescaled";
    /** The axis of pairs that are left over where axes take turns: the first, or one of their own that is always 0. */
    readonly spare: "first" | "own";
  };
}

/**
 * How engines read one and the same config.json, as data. A dialect is a value for each knob in which they differ; the
 * code that turns a config into parameters looks at knobs only, never at a dialect's name, so that a profile of
 * your own (a copy with a knob changed) is as good as these.
 *
 * Sources: transformers 5.23, vLLM 0.33.0, SGLang 0.5.23, mlx-lm 0.32.2 and llama.cpp's converter and loader as of
 * llama-cpp-python 0.3.36, each run for the fixtures of `@ropewalk/goldens`; MindIE-LLM of April 2026, read, not run.
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
  /** Whether `truncate: false` is heard, or the range is always rounded to whole pairs. */
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

const hfYarn: YarnDialect = {
  amplitude: ["attention_factor", "mscale-ratio", "magnitude"],
  mscales: "both-not-zero",
  absentMscale: 1,
  absentMscaleAllDim: 0,
  amplitudeFactors: [],
  betas: "stated",
  zeroBeta: "standard",
  truncate: "stated",
  extrapolation: "ignored",
  lengthsWithAxes: 1,
};

const hf: Dialect = {
  name: "hf",
  engine: "transformers",
  version: "5.23",
  ropeTypes: ["default", "mrope", "linear", "dynamic", "yarn", "longrope", "su", "llama3", "proportional", "xdrope"],
  otherTypes: "built",
  typeKey: "agree",
  typeNames: {},
  partialRotary: "by-class",
  originalLength: {
    precedence: "beside",
    absent: { yarn: "max-position", llama3: "max-position", longrope: "max-position" },
  },
  absentFactor: "ratio-of-lengths",
  yarn: hfYarn,
  deepseekYarn: { ...hfYarn, softmax: "mscale_all_dim" },
  longrope: {
    selection: "by-current-length",
    shortBeyond: 0,
    factor: "stated",
    amplitudeKeys: ["attention_factor", "short_mscale", "long_mscale"],
    ofClass: true,
  },
  dynamic: { length: "current", trainedKey: null },
  llama3: { absentLowFreqFactor: "refused", absentHighFreqFactor: "refused" },
  proportional: { factor: "stated" },
  mrope: {
    axes: "all",
    interleavedKeys: ["mrope_interleaved", "interleaved"],
    order: "by-class",
    wrongSum: "refused",
    spare: "first",
  },
};

// vLLM lets transformers' configuration class put the dictionary in order before it reads it.
const vllm: Dialect = {
  ...hf,
  name: "vllm",
  engine: "vLLM",
  version: "0.33.0",
  ropeTypes: [
    "default",
    "mrope",
    "linear",
    "dynamic",
    "ntk",
    "yarn",
    "telechat3-yarn",
    "deepseek_yarn",
    "deepseek_llama_scaling",
    "longrope",
    "su",
    "llama3",
    "proportional",
    "mllama4",
    "openpangu",
    "bailing_mrope",
  ],
  otherTypes: "refused",
  partialRotary: "always",
  absentFactor: "refused",
  yarn: { ...hfYarn, zeroBeta: "refused", lengthsWithAxes: 4 },
  deepseekYarn: {
    ...hfYarn,
    zeroBeta: "refused",
    amplitude: ["mscale-ratio"],
    mscales: "always",
    truncate: "always",
    softmax: "mscale_all_dim",
  },
  longrope: {
    selection: "by-capacity",
    shortBeyond: 0,
    factor: "ratio-of-lengths",
    amplitudeKeys: ["short_mscale", "long_mscale"],
    ofClass: false,
  },
  dynamic: { length: "promised", trainedKey: "max_trained_positions" },
  proportional: { factor: "ignored" },
  mrope: { ...hf.mrope, interleavedKeys: ["mrope_interleaved"], order: "by-key" },
};

const sglang: Dialect = {
  ...hf,
  name: "sglang",
  engine: "SGLang",
  version: "0.5.23",
  ropeTypes: ["default", "linear", "dynamic", "yarn", "deepseek_yarn", "longrope", "llama3", "proportional"],
  otherTypes: "refused",
  typeKey: "rope_type",
  partialRotary: "always",
  originalLength: {
    precedence: "inside",
    absent: { yarn: "max-position", llama3: "max-position", longrope: "max-position" },
  },
  absentFactor: 1,
  yarn: {
    ...hfYarn,
    zeroBeta: "refused",
    amplitude: ["mscale-ratio", "magnitude"],
    mscales: "both-stated",
    amplitudeFactors: ["attn_factor"],
    extrapolation: "stated",
  },
  deepseekYarn: {
    ...hfYarn,
    zeroBeta: "refused",
    amplitude: ["mscale-ratio"],
    mscales: "always",
    amplitudeFactors: ["attn_factor"],
    truncate: "always",
    extrapolation: "stated",
    softmax: "mscale_all_dim",
  },
  longrope: {
    selection: "by-current-length",
    shortBeyond: 1,
    factor: "ratio-of-lengths",
    amplitudeKeys: ["short_mscale", "long_mscale"],
    ofClass: false,
  },
  dynamic: { length: "promised-times-factor", trainedKey: null },
  llama3: { absentLowFreqFactor: 1, absentHighFreqFactor: 4 },
  proportional: { factor: "ignored" },
  mrope: { axes: "all", interleavedKeys: ["mrope_interleaved"], order: "by-key", wrongSum: "rescaled", spare: "first" },
};

// What its converter writes into a GGUF file and its loaders read back. Elements pair as in the published weights:
// the converter may reorder them, which `ropesFromGguf` follows.
const llamaCpp: Dialect = {
  ...hf,
  name: "llama.cpp",
  engine: "llama.cpp",
  version: "llama-cpp-python 0.3.36",
  ropeTypes: ["default", "mrope", "linear", "dynamic", "yarn", "longrope", "su", "llama3", "proportional"],
  otherTypes: "refused",
  typeKey: "rope_type",
  originalLength: { precedence: "inside", absent: { yarn: "refused", llama3: 8192, longrope: "refused" } },
  yarn: { ...hfYarn, zeroBeta: "refused", amplitude: ["magnitude"], betas: "standard", truncate: "always" },
  deepseekYarn: {
    ...hfYarn,
    zeroBeta: "refused",
    amplitude: ["overall-only", "magnitude"],
    betas: "standard",
    truncate: "always",
    softmax: "mscale_all_dim",
  },
  longrope: { selection: "by-capacity", shortBeyond: 0, factor: "ratio-of-lengths", amplitudeKeys: [], ofClass: false },
  dynamic: { length: "ignored", trainedKey: null },
  llama3: { absentLowFreqFactor: 1, absentHighFreqFactor: 4 },
  mrope: { axes: "all", interleavedKeys: [], order: "by-class", wrongSum: "refused", spare: "own" },
};

const mlx: Dialect = {
  ...hf,
  name: "mlx",
  engine: "mlx-lm",
  version: "0.32.2",
  ropeTypes: [
    "default",
    "mrope",
    "linear",
    "dynamic",
    "yarn",
    "deepseek_yarn",
    "telechat3-yarn",
    "longrope",
    "llama3",
    "proportional",
  ],
  otherTypes: "refused",
  typeKey: "type",
  typeNames: { "telechat3-yarn": "yarn" },
  originalLength: { precedence: "inside", absent: { yarn: 4096, llama3: 8192, longrope: "refused" } },
  absentFactor: "refused",
  yarn: { ...hfYarn, zeroBeta: "refused", amplitude: ["mscale-ratio"], mscales: "always", truncate: "always" },
  deepseekYarn: {
    ...hfYarn,
    zeroBeta: "refused",
    amplitude: ["mscale-ratio"],
    mscales: "always",
    truncate: "always",
    softmax: "mscale_all_dim",
  },
  longrope: { selection: "long", shortBeyond: 0, factor: "ratio-of-lengths", amplitudeKeys: [], ofClass: false },
  llama3: { absentLowFreqFactor: 1, absentHighFreqFactor: 4 },
  mrope: { ...hf.mrope, axes: "first" },
};

const mindie: Dialect = {
  ...hf,
  name: "mindie",
  engine: "MindIE-LLM",
  version: "2026-04",
  ropeTypes: ["default", "linear", "dynamic", "yarn", "deepseek_yarn", "llama3"],
  otherTypes: "refused",
  typeKey: "rope_type",
  originalLength: { precedence: "inside", absent: { yarn: "refused", llama3: "refused", longrope: "refused" } },
  absentFactor: "refused",
  yarn: { ...hfYarn, zeroBeta: "refused", amplitude: ["mscale-verbatim"], truncate: "always" },
  deepseekYarn: {
    ...hfYarn,
    zeroBeta: "refused",
    amplitude: ["mscale-ratio"],
    mscales: "always",
    truncate: "always",
    softmax: "mscale_all_dim",
  },
};

/** The dialects by name; `"hf"` is the default everywhere. */
export const dialects: Readonly<Record<DialectName, Dialect>> = deepFreeze({
  hf,
  vllm,
  sglang,
  "llama.cpp": llamaCpp,
  mlx,
  mindie,
});

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    for (const inner of Object.values(Object.freeze(value))) deepFreeze(inner);
  }
  return value;
}

export { keyFacts } from "./key-facts.ts";
export type { KeyFacts, KeyUse } from "./key-facts.ts";

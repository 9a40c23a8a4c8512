/**
 * Facts about an architecture's rope that stand in llama.cpp's code and not in the GGUF file: one row for each value of
 * `general.architecture`. The converter reorders the weights of some families (Llama's pairs become adjacent), so a
 * pairing may differ from that of the same model's config.json.
 *
 * Source: llama.cpp as of llama-cpp-python 0.3.36. The rows are what its graphs rotate, layer by layer:
 * `tooling/census/results/llama.cpp.json`. To add an architecture, add a row.
 */

/** Layers of sliding attention with a rope of their own. */
export interface SlidingRope {
  /**
   * One of this number of layers is full, the last or the first of them. `"listed"`: the file has to list the layers;
   * `"all"`: every layer.
   */
  readonly layers: number | "listed" | "all";
  readonly fullAt?: "first" | "last";
  /**
   * Its base: that of the full layers whatever the file says, or `rope.freq_base_swa`, which is the base of the full
   * layers, or 10000, if the file has none.
   */
  readonly base: "full" | "same" | "standard";
  /** What of the file's scaling applies to these layers: all of it, the amplitude without the factor, or nothing. */
  readonly scaling: "all" | "amplitude" | "none";
  /** All layers are full without `attention.sliding_window`, or only if it is 0. Absent: they are not. */
  readonly onlyWithWindow?: "stated" | "unless 0";
  /** A model of another number of layers has full layers only. */
  readonly onlyWithLayers?: number;
}

/** Layers without rope. */
export type LayersWithoutRope =
  /** The layers of full attention; `leadingDense`: but not the first `leading_dense_block_count` layers. */
  | { readonly kind: "full"; readonly leadingDense?: boolean }
  /**
   * The last or first of each `interval`; with `"first"`, none in a model of that number of layers.
   *
   * `ifNoWindow`: with a window of 0 all layers have a rope, or all but the last one of the model. `isAbsentNone`: no
   * window in the file means the same.
   */
  | {
      readonly kind: "interval";
      readonly interval: number;
      readonly at: "first" | "last";
      readonly ifNoWindow?: "none" | "model's last";
      readonly isAbsentNone?: boolean;
    }
  /** Those with `false` in the list `attention.rope_pattern`. */
  | { readonly kind: "pattern" }
  /** All of them, if `rope.scaling.finetuned` is `false`. */
  | { readonly kind: "finetuned" }
  /** All of them, in a model of another number of layers. */
  | { readonly kind: "unless"; readonly layers: number }
  /**
   * Recurrent layers: those in the list `attention.recurrent_layers`, else all but the last of each
   * `full_attention_interval`, which is `interval` if the file has none.
   */
  | { readonly kind: "recurrent"; readonly interval: number };

/** The facts of an architecture. */
export interface GgufArchitecture {
  /** `LLAMA_ROPE_TYPE_NORM` is `"adjacent"`, `_NEOX` is `"half"`. */
  readonly pairing: "adjacent" | "half";
  /**
   * Several position axes if the file has `rope.dimension_sections`, in runs or cyclically. The pairing is then `half`.
   * `ifTwo`: only if the first two sections are not 0.
   */
  readonly axes?: { readonly order: "sectioned" | "cyclic"; readonly ifTwo?: boolean };
  readonly sliding?: SlidingRope;
  readonly layersWithoutRope?: LayersWithoutRope;
  /** Layers with no heads have no attention. Other graphs know none. */
  readonly allowsNoHeads?: boolean;
  /**
   * The graph takes the sizes of each layer. Absent: those of the first layer for all layers. `"full by half"`: full
   * layers rotate half of `rope.dimension_count`.
   */
  readonly sizes?: "by layer" | "by layer, full by half";
  /** The last elements of a head are rotated, not the first. */
  readonly rotatesLast?: boolean;
  /** Latent attention: the rotated slice is a tensor of its own. */
  readonly latent?: boolean;
  /** The graph rotates the whole head with base 10000, whatever the file says. */
  readonly isFixed?: boolean;
  /**
   * Layers that `attention.compress_ratios` compresses have the base `attention.compress_rope_freq_base` and the file's
   * scaling without its amplitude. All others are unscaled.
   */
  readonly compresses?: boolean;
  /** The base is multiplied by a power of `rope.scaling.alpha`. */
  readonly readsAlpha?: boolean;
  /** Its loader reads the betas of YaRN. Other loaders use 32 and 1. */
  readonly readsBetas?: boolean;
  /** The first beta if the file has none; absent: 32. */
  readonly betaFast?: number;
  /** Its loader reads `yarn_ext_factor`. */
  readonly readsExtrapolation?: boolean;
  /** Its loader reads `yarn_log_multiplier`: unchanged, or as a tenth of the magnitude. */
  readonly logMultiplier?: "magnitude" | "tenth";
  /** The same magnitude is used as `mscale` if it is not 1. */
  readonly overallIsMscale?: boolean;
  /**
   * The tensors of factors that the loader reads: `rope_freqs.weight`, the long and the short list, or both kinds.
   * `"unused"`: it reads them and the graph does not. Absent: none; the loader refuses a file that has them.
   */
  readonly factors?: "one list" | "two lists" | "any" | "unused";
  /** `rope_freqs.weight` applies to full layers only. */
  readonly factorsOnFullOnly?: boolean;
  /**
   * Queries are scaled by their position: by the file's `attention.temperature_scale` and `temperature_length`, or with
   * the trained length instead; in Llama 4, unless the window is 0, in layers without rope by the values of the loader.
   */
  readonly temperature?: "temperature_length" | "trained length" | "layers without rope";
  /** A second rope of each layer, in what chooses the keys; it is not read. */
  readonly hasIndexer?: boolean;
  /** Why the graph of some files is not known. */
  readonly unknownIf?: { readonly key: string; readonly why: string };
  /** It has no rope. */
  readonly noRope?: boolean;
}

const rows = (names: string, facts: GgufArchitecture): [string, GgufArchitecture][] =>
  names.split(" ").map((name) => [name, facts]);

const adjacent: GgufArchitecture = { pairing: "adjacent" };
const half: GgufArchitecture = { pairing: "half" };
const likeFull = (layers: SlidingRope["layers"], more: Partial<SlidingRope> = {}): SlidingRope => ({
  layers,
  base: "same",
  scaling: "all",
  ...more,
});
const ofItsOwn = (layers: SlidingRope["layers"], more: Partial<SlidingRope> = {}): SlidingRope => ({
  layers,
  base: "standard",
  scaling: "amplitude",
  ...more,
});
const unscaled = (layers: SlidingRope["layers"], more: Partial<SlidingRope> = {}): SlidingRope => ({
  layers,
  base: "full",
  scaling: "none",
  onlyWithWindow: "stated",
  ...more,
});
const latent: GgufArchitecture = { pairing: "adjacent", latent: true };
const latentTenth: GgufArchitecture = { ...latent, logMultiplier: "tenth" };
const fixed: GgufArchitecture = { pairing: "half", isFixed: true };
const fullHaveNone: LayersWithoutRope = { kind: "full" };
const everyFourthHasNone: LayersWithoutRope = { kind: "interval", interval: 4, at: "last" };
const finetunedOnly: LayersWithoutRope = { kind: "finetuned" };
const everyFourthAttends: LayersWithoutRope = { kind: "recurrent", interval: 4 };
const cyclic: GgufArchitecture = { pairing: "half", axes: { order: "cyclic" } };
const inRuns: GgufArchitecture = { pairing: "half", axes: { order: "sectioned" } };
const inRunsIfTwo: GgufArchitecture = { pairing: "half", axes: { order: "sectioned", ifTwo: true } };

const architectures: ReadonlyMap<string, GgufArchitecture> = new Map([
  ...rows(
    "internlm2 xverse command-r olmo arctic deepseek chatglm chameleon bailingmoe neo-bert ernie4_5 ernie4_5-moe maincoder pockettts",
    adjacent,
  ),
  ...rows("llada", { pairing: "adjacent", factors: "unused" }),
  ...rows("arcee nanbeige eagle3", { pairing: "adjacent", factors: "one list" }),
  ...rows("llama llama-embed minicpm granitemoe", { pairing: "adjacent", factors: "any" }),
  ...rows("deci", { pairing: "adjacent", factors: "any", allowsNoHeads: true }),
  ...rows("granite", { pairing: "adjacent", factors: "any", layersWithoutRope: finetunedOnly }),
  ...rows("granitehybrid", {
    pairing: "adjacent",
    factors: "one list",
    layersWithoutRope: finetunedOnly,
    allowsNoHeads: true,
  }),
  ...rows("graniteswitch", { pairing: "adjacent", layersWithoutRope: finetunedOnly }),
  ...rows("granite_swa", { pairing: "adjacent", factors: "any", layersWithoutRope: { kind: "pattern" } }),
  ...rows("baichuan", { pairing: "adjacent", layersWithoutRope: { kind: "unless", layers: 32 } }),
  ...rows("mistral3", {
    pairing: "adjacent",
    factors: "any",
    readsBetas: true,
    logMultiplier: "magnitude",
    temperature: "trained length",
  }),
  ...rows("plm", latent),
  ...rows("hy_v4 glm-dsa", { ...latent, hasIndexer: true }),
  ...rows("bailingmoe3", { ...latent, allowsNoHeads: true, axes: { order: "sectioned", ifTwo: true } }),
  ...rows("deepseek2", { ...latentTenth, overallIsMscale: true, temperature: "temperature_length" }),
  ...rows("mistral4", { ...latentTenth, temperature: "temperature_length" }),
  ...rows("deepseek32", { ...latentTenth, hasIndexer: true }),
  ...rows("dots3note", {
    ...latent,
    hasIndexer: true,
    sliding: { layers: "listed", base: "standard", scaling: "all" },
  }),
  ...rows("deepseek4", {
    pairing: "adjacent",
    rotatesLast: true,
    compresses: true,
    hasIndexer: true,
    sliding: { layers: "all", base: "full", scaling: "all" },
  }),
  ...rows("smollm3", { pairing: "adjacent", layersWithoutRope: everyFourthHasNone }),
  ...rows("llama4", {
    pairing: "adjacent",
    factors: "one list",
    sliding: likeFull(4, { onlyWithWindow: "unless 0" }),
    temperature: "layers without rope",
    layersWithoutRope: { kind: "interval", interval: 4, at: "last", ifNoWindow: "model's last" },
  }),
  ...rows("cohere2", { pairing: "adjacent", sliding: likeFull(4, { base: "full" }), layersWithoutRope: fullHaveNone }),
  ...rows("cohere2moe", {
    pairing: "adjacent",
    sliding: likeFull(4, { base: "full", fullAt: "first" }),
    layersWithoutRope: { kind: "full", leadingDense: true },
  }),
  ...rows("muse-glimmer", {
    pairing: "adjacent",
    sliding: { layers: 4, base: "same", scaling: "amplitude" },
    layersWithoutRope: fullHaveNone,
  }),
  ...rows("glm4", { ...inRunsIfTwo, pairing: "adjacent" }),

  ...rows(
    "falcon dbrx jina-bert-v3 nomic-bert nomic-bert-moe eurobert stablelm bitnet qwen qwen2 dream qwen2moe qwen3 qwen3moe",
    half,
  ),
  ...rows(
    "llada-moe rnd1 olmoe phi2 plamo gemma starcoder2 openelm gptneox codeshell orion nemotron bailingmoe2 dots1",
    half,
  ),
  ...rows("hunyuan-moe hy_v3 jais2 seed_oss grovemoe minimax-m2 talkie hrm_text", half),
  ...rows("lfm2 lfm2moe plamo2", { pairing: "half", allowsNoHeads: true }),
  ...rows("exaone", { pairing: "half", factors: "one list" }),
  ...rows("apertus", { pairing: "half", factors: "any" }),
  ...rows("phi3 phimoe", { pairing: "half", factors: "two lists" }),
  ...rows("falcon-h1 pangu-embedded", { pairing: "half", factors: "unused" }),
  ...rows("cogvlm", { ...fixed, factors: "unused" }),
  ...rows("deepseek2-ocr", fixed),
  ...rows("minimax-m3", { pairing: "half", hasIndexer: true }),
  ...rows("minimax-01", { pairing: "half", layersWithoutRope: { kind: "recurrent", interval: 8 } }),
  ...rows("qwen3next", { pairing: "half", layersWithoutRope: everyFourthAttends }),
  ...rows("grok", { pairing: "half", readsBetas: true, betaFast: 8, readsExtrapolation: true }),
  ...rows("minicpm3", { pairing: "half", latent: true, factors: "two lists" }),
  ...rows("glm4moe", inRunsIfTwo),
  ...rows("hunyuan_vl", { ...inRunsIfTwo, readsAlpha: true }),
  ...rows("hunyuan-dense", { pairing: "half", readsAlpha: true }),
  ...rows("qwen2vl paddleocr", inRuns),
  ...rows("dflash", {
    ...inRuns,
    factors: "one list",
    sliding: likeFull("listed", { base: "full", onlyWithWindow: "stated" }),
    unknownIf: { key: "hyper_connection.count", why: "the drafting model of DeepSeek-V4 has another graph" },
  }),
  ...rows("qwen3vl qwen3vlmoe qwen3tts", cyclic),
  ...rows("qwen35 qwen35moe", { ...cyclic, layersWithoutRope: everyFourthAttends }),
  ...rows("qwen4exp", { ...cyclic, layersWithoutRope: everyFourthAttends, hasIndexer: true }),
  ...rows("gemma2", { pairing: "half", sliding: likeFull(2) }),
  ...rows("gemma3", { pairing: "half", sliding: ofItsOwn(6, { onlyWithWindow: "stated" }) }),
  ...rows("gemma3n", { pairing: "half", sliding: ofItsOwn(5) }),
  ...rows("gemma-embedding", { pairing: "half", sliding: ofItsOwn(6) }),
  ...rows("gemma4 gemma4-assistant", {
    pairing: "half",
    sliding: ofItsOwn("listed"),
    sizes: "by layer",
    factors: "one list",
    factorsOnFullOnly: true,
  }),
  ...rows("modern-bert", { pairing: "half", sliding: ofItsOwn(3, { fullAt: "first", onlyWithWindow: "stated" }) }),
  ...rows("plamo3", { pairing: "half", sliding: ofItsOwn(8, { onlyWithWindow: "stated" }) }),
  ...rows("olmo2 mellum", { pairing: "half", sliding: unscaled(4) }),
  ...rows("laguna", {
    pairing: "half",
    sliding: unscaled(4, { base: "same", fullAt: "first" }),
    sizes: "by layer",
  }),
  ...rows("gpt-oss", { pairing: "half", sliding: likeFull(2) }),
  ...rows("exaone4", {
    pairing: "half",
    factors: "one list",
    sliding: likeFull(4, { base: "full", onlyWithLayers: 64 }),
    layersWithoutRope: fullHaveNone,
  }),
  ...rows("exaone-moe", {
    pairing: "half",
    factors: "one list",
    sliding: likeFull(4, { base: "full" }),
    layersWithoutRope: fullHaveNone,
  }),
  ...rows("maple", {
    pairing: "half",
    sliding: likeFull("listed"),
    sizes: "by layer",
    layersWithoutRope: fullHaveNone,
  }),
  ...rows("spark2_5", { pairing: "half", sliding: likeFull("listed"), sizes: "by layer" }),
  ...rows("afmoe", {
    pairing: "half",
    sliding: likeFull(4, { onlyWithWindow: "stated" }),
    layersWithoutRope: everyFourthHasNone,
  }),
  ...rows("smallthinker", {
    pairing: "half",
    sliding: likeFull(4, { fullAt: "first", onlyWithWindow: "stated" }),
    layersWithoutRope: { kind: "interval", interval: 4, at: "first", ifNoWindow: "none", isAbsentNone: true },
  }),
  ...rows("mimo2", { pairing: "half", sliding: ofItsOwn("listed") }),
  ...rows("step35", {
    pairing: "half",
    sliding: ofItsOwn("listed"),
    sizes: "by layer, full by half",
    factors: "any",
    factorsOnFullOnly: true,
  }),

  ...rows(
    "clip gpt2 gptj mpt refact bloom starcoder bert jina-bert-v2 t5 t5encoder jais mamba mamba2 jamba nemotron_h nemotron_h_moe kimi-linear kimi-k3 glm5-next",
    { pairing: "half", noRope: true },
  ),
  ...rows("rwkv6 rwkv6qwen2 rwkv7 arwkv7 wavtokenizer-dec", { pairing: "half", noRope: true }),
]);

/** The row of an architecture; `undefined` for one that is not in the table. */
export function architectureOf(name: string): GgufArchitecture | undefined {
  return architectures.get(name);
}

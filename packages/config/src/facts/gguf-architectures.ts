/**
 * Facts about an architecture's rope that stand in llama.cpp's code and not in the GGUF file: one row for each value of
 * `general.architecture`. The converter reorders the weights of some families (Llama's pairs become adjacent), so a
 * pairing may differ from that of the same model's config.json.
 *
 * Source: llama.cpp as of llama-cpp-python 0.3.36, `llama_model_rope_type` and the loader and graph of each model. To
 * add an architecture, add a row.
 */

/** Layers of sliding attention with a rope of their own. */
export interface SlidingRope {
  /** One of this number of layers is full, the last or the first of them. `null`: the file has to list the layers. */
  readonly interval: number | null;
  readonly fullAt?: "first" | "last";
  /** Its base if the file has no `rope.freq_base_swa`: the base of the full layers, or 10000. */
  readonly base: "same" | "standard";
  /** Whether the scaling of the file also applies to these layers. */
  readonly scaled: boolean;
  /** Without `attention.sliding_window` all layers are full. */
  readonly onlyWithWindow?: boolean;
}

/** The facts of an architecture. */
export interface GgufArchitecture {
  /** `LLAMA_ROPE_TYPE_NORM` is `"adjacent"`, `_NEOX` is `"half"`. */
  readonly pairing: "adjacent" | "half";
  /**
   * Several position axes if the file has `rope.dimension_sections`, in runs or cyclically. The pairing is then `half`.
   */
  readonly axes?: "sectioned" | "cyclic";
  readonly sliding?: SlidingRope;
  /**
   * Layers without rope: the full layers, or the last or first of each `n`. If the window is 0, or absent, all layers
   * have a rope.
   */
  readonly noRopeLayers?:
    | "full"
    | { readonly interval: number; readonly at: "first" | "last"; readonly unlessWindow?: "zero" | "absent" };
  /** Latent attention: the rotated slice is a tensor of its own. */
  readonly latent?: boolean;
  /** Its loader reads the betas of YaRN. Other loaders use 32 and 1. */
  readonly readsBetas?: boolean;
  /** Its loader reads `yarn_ext_factor`. */
  readonly readsExtrapolation?: boolean;
  /** Its loader reads `yarn_log_multiplier`: unchanged, or as a tenth of the magnitude. */
  readonly logMultiplier?: "magnitude" | "tenth";
  /** The same magnitude is used as `mscale` if it is not 1. */
  readonly overallIsMscale?: boolean;
  /** `rope_freqs.weight` applies to full layers only. */
  readonly factorsOnFullOnly?: boolean;
  /** It has no rope. */
  readonly noRope?: boolean;
}

const rows = (names: string, facts: GgufArchitecture): [string, GgufArchitecture][] =>
  names.split(" ").map((name) => [name, facts]);

const adjacent: GgufArchitecture = { pairing: "adjacent" };
const half: GgufArchitecture = { pairing: "half" };
const slidingLikeFull = (interval: number, more: Partial<SlidingRope> = {}): SlidingRope => ({
  interval,
  base: "same",
  scaled: true,
  ...more,
});
const slidingOfItsOwn = (interval: number | null, more: Partial<SlidingRope> = {}): SlidingRope => ({
  interval,
  base: "standard",
  scaled: false,
  ...more,
});
const latent: GgufArchitecture = { pairing: "adjacent", latent: true, logMultiplier: "tenth" };

const architectures: ReadonlyMap<string, GgufArchitecture> = new Map([
  ...rows(
    "llama llada deci baichuan starcoder internlm2 minicpm xverse command-r olmo arctic deepseek chatglm granite granitemoe granitehybrid",
    adjacent,
  ),
  ...rows(
    "chameleon bailingmoe neo-bert arcee ernie4_5 ernie4_5-moe eagle3 llama-embed maincoder nanbeige plm",
    adjacent,
  ),
  ...rows("mistral3", { pairing: "adjacent", readsBetas: true, logMultiplier: "magnitude" }),
  ...rows("deepseek2", { ...latent, overallIsMscale: true }),
  ...rows("deepseek32", latent),
  ...rows("smollm3", { pairing: "adjacent", noRopeLayers: { interval: 4, at: "last" } }),
  ...rows("llama4", { pairing: "adjacent", noRopeLayers: { interval: 4, at: "last", unlessWindow: "zero" } }),
  ...rows("cohere2 cohere2moe", { pairing: "adjacent", sliding: slidingLikeFull(4), noRopeLayers: "full" }),
  ...rows("glm4", { pairing: "adjacent", axes: "sectioned" }),

  ...rows(
    "falcon falcon-h1 dbrx bert jina-bert-v3 nomic-bert nomic-bert-moe eurobert stablelm bitnet qwen qwen2 dream qwen2moe qwen3 qwen3moe",
    half,
  ),
  ...rows(
    "llada-moe rnd1 olmoe phi2 phi3 phimoe plamo plamo2 gemma starcoder2 openelm gptneox codeshell orion nemotron exaone bailingmoe2 dots1",
    half,
  ),
  ...rows(
    "hunyuan-moe hunyuan-dense hy_v3 jais2 lfm2 lfm2moe seed_oss grovemoe apertus minimax-m2 cogvlm pangu-embedded qwen3next",
    half,
  ),
  ...rows("grok", { pairing: "half", readsBetas: true, readsExtrapolation: true }),
  ...rows("minicpm3", { pairing: "half", latent: true }),
  ...rows("glm4moe hunyuan_vl qwen2vl paddleocr", { pairing: "half", axes: "sectioned" }),
  ...rows("qwen3vl qwen3vlmoe qwen35 qwen35moe", { pairing: "half", axes: "cyclic" }),
  ...rows("gemma2", { pairing: "half", sliding: slidingLikeFull(2) }),
  ...rows("gemma3", { pairing: "half", sliding: slidingOfItsOwn(6, { onlyWithWindow: true }) }),
  ...rows("gemma3n", { pairing: "half", sliding: slidingOfItsOwn(5) }),
  ...rows("gemma-embedding", { pairing: "half", sliding: slidingOfItsOwn(6) }),
  ...rows("gemma4", { pairing: "half", sliding: slidingOfItsOwn(null), factorsOnFullOnly: true }),
  ...rows("modern-bert", { pairing: "half", sliding: slidingOfItsOwn(3, { fullAt: "first", onlyWithWindow: true }) }),
  ...rows("olmo2", { pairing: "half", sliding: slidingLikeFull(4, { scaled: false, onlyWithWindow: true }) }),
  ...rows("gpt-oss", { pairing: "half", sliding: slidingLikeFull(2) }),
  ...rows("exaone4 exaone-moe", {
    pairing: "half",
    sliding: slidingLikeFull(4, { onlyWithWindow: true }),
    noRopeLayers: "full",
  }),
  ...rows("afmoe", {
    pairing: "half",
    sliding: slidingLikeFull(4, { onlyWithWindow: true }),
    noRopeLayers: { interval: 4, at: "last" },
  }),
  ...rows("smallthinker", { pairing: "half", noRopeLayers: { interval: 4, at: "first", unlessWindow: "absent" } }),
  ...rows("mimo2", { pairing: "half", sliding: slidingOfItsOwn(null) }),
  ...rows("step35", { pairing: "half", sliding: slidingOfItsOwn(null), factorsOnFullOnly: true }),

  ...rows(
    "clip gpt2 gptj mpt refact bloom mamba mamba2 jamba jina-bert-v2 t5 t5encoder jais rwkv6 rwkv6qwen2 rwkv7 arwkv7 wavtokenizer-dec nemotron_h nemotron_h_moe kimi-linear",
    {
      pairing: "half",
      noRope: true,
    },
  ),
]);

/** The row of an architecture; `undefined` for one that is not in the table. */
export function architectureOf(name: string): GgufArchitecture | undefined {
  return architectures.get(name);
}

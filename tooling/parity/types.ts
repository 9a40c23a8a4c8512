/**
 * Every rope type that an engine or a config names, with its package or parameter here, or the reason why there is
 * none.
 */

export const types: readonly { readonly names: string; readonly here: string }[] = [
  {
    names: "`default`, `mrope` as a type, no dictionary",
    here: "`@ropewalk/default`, `@ropewalk/nd-qwen2vl` where sections are given",
  },
  { names: "`linear`", here: "`@ropewalk/linear`" },
  { names: "`ntk`, with and without `mixed_b`", here: "`@ropewalk/ntk`" },
  { names: "`dynamic`; Qwen 1 `use_dynamic_ntk`", here: "`@ropewalk/dynamic`; its alias `qwen_dynamic`" },
  { names: "`dynamic` with `alpha`, `xdrope`", here: "`@ropewalk/dynamic-alpha`, with axes where sections are given" },
  {
    names: "`yarn`, `telechat3-yarn`",
    here: "`@ropewalk/yarn`; the second an alias with another slope of the amplitude, which no engine that was run builds (vLLM 0.33 and SGLang 0.5.23 refuse the name, mlx-lm reads it as the first)",
  },
  {
    names: "`deepseek_yarn`, `deepseek_llama_scaling`",
    here: "`@ropewalk/deepseek-yarn`; the second leaves the softmax alone",
  },
  { names: "`longrope`, `su`", here: "`@ropewalk/longrope`" },
  { names: "`llama3`", here: "`@ropewalk/llama3`" },
  {
    names: "`proportional`; P.RoPE (K2-Horizon)",
    here: "`@ropewalk/proportional`; the second with the denominator `rotated`",
  },
  { names: "`mllama4`", here: "`@ropewalk/nd-qwen2vl`, type `nd`: Llama 4's vision tower" },
  { names: "axes with a base each (Cosmos)", here: "`@ropewalk/nd-qwen2vl`, type `nd` with `bases`" },
  {
    names: "`mrope_section`, `mrope_interleaved`",
    here: "`@ropewalk/nd-qwen2vl`, or `axes` beside any type of one axis",
  },
  { names: "`bailing_mrope`, `video_rope`", here: "`default` or `yarn` with `axes`; `@ropewalk/config` writes them" },
  {
    names: "Grok's `original`, `yarn_linear`, `theta_scale`, beside the model",
    here: "`default`, `yarn`, and `default` with another base; `@ropewalk/config` reads them",
  },
  {
    names: "Grok's `yarn_log`",
    here: "not built: it interpolates the logarithms of frequencies; no published file has it",
  },
  { names: "`ernie45_vl`", here: "`default` with `axes`; `@ropewalk/config` writes them" },
  {
    names: "`openpangu`",
    here: "`default` with `axes`; the order is not derived from a config, since one family has it",
  },
  {
    names: "`deepseek_v4` (`main`, `compress`)",
    here: "`default` and `deepseek_yarn` with `rotaryOffset`, by layer type",
  },
  { names: "`llama_4_scaling_beta`, Llama 4 and Qwen query scales", here: "`queryScale` of any rope" },
  {
    names: "layers without rope (`no_rope_layers`, null in a dictionary)",
    here: "`null` in `byLayerType` and from `forLayer`",
  },
  {
    names: "`dual_chunk`",
    here: "not built: keys at position modulo a chunk and five queries at once, which one attention kernel reads; each of them is `default` at positions that the caller computes",
  },
  {
    names: "`fope`",
    here: "not built: learned matrices mix the frequencies, so no pair is turned; it needs the model's weights",
  },
  {
    names: "XPos",
    here: "not built: an amplitude that depends on the position and differs between queries and keys; Datadog's Toto has it",
  },
  {
    names: "learned frequencies, one list for all heads or one for each",
    here: "`@ropewalk/given`; a list for each head as one wide head",
  },
  { names: "learned factors of frequencies (LeRoPE, Mistral Large 4)", here: "`pairFactors` of any rope" },
  { names: "angles of the other sign (nanochat)", here: "`direction: -1` of any rope" },
  {
    names: "learned frequencies whose pairs mix the axes (timm `mixed`, Mochi)",
    here: "not built: such a pair has no axis of its own; `rotate` takes any table",
  },
  {
    names: "`pixel` bands (timm, rotary-embedding-torch)",
    here: "`@ropewalk/given` with `axes`",
  },
  { names: "LTX", here: "`nd` with `padFront`, as one head as wide as all heads together" },
];

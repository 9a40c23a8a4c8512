/**
 * How engines read the same config.json, as data. A dialect has one value for each knob in which engines differ. Code
 * looks at knobs only, never at a dialect's name. A profile of your own (a copy with a knob changed) therefore works as
 * these do.
 *
 * Sources: transformers 5.24, vLLM 0.33.0, SGLang 0.5.23, mlx-lm 0.32.2 and llama.cpp's converter and loader as of
 * llama-cpp-python 0.3.36, each run for the fixtures of `@ropewalk/goldens`; onnxruntime-genai 0.18.0, run for
 * `test/fixtures/readings.json`; MindIE-LLM of April 2026, read, not run.
 */

import type { Dialect, DialectName, YarnDialect } from "./dialect.ts";

const hfYarn: YarnDialect = {
  amplitude: ["attention_factor", "mscale-ratio", "magnitude"],
  mscales: "both-not-zero",
  absentMscale: 1,
  absentMscaleAllDim: 0,
  amplitudeFactors: [],
  betas: "stated",
  zeroBeta: "standard",
  absentBetas: "standard",
  truncate: "stated",
  range: "any",
  part: "any",
  extrapolation: "ignored",
  lengthsWithAxes: 1,
};

const hf: Dialect = {
  name: "hf",
  engine: "transformers",
  version: "5.24",
  ropeTypes: ["default", "mrope", "linear", "dynamic", "yarn", "longrope", "su", "llama3", "proportional", "xdrope"],
  otherTypes: "built",
  familyTypes: {},
  familyPairings: {},
  ropeParameters: "read",
  indexerInterleave: "by-class",
  layeredFamilies: "any",
  typeKey: "agree",
  typeNames: {},
  // Nomic's published code, and SGLang's class of Grok: transformers 5.24 has neither.
  beside: {
    typeNames: { original: "default", yarn_linear: "yarn" },
    amplitude: "one",
    dynamic: "read",
  },
  partialRotary: "by-class",
  originalLength: {
    precedence: "beside",
    absent: { yarn: "max-position", llama3: "max-position", longrope: "max-position" },
  },
  absentFactor: "ratio-if-null",
  yarn: hfYarn,
  deepseekYarn: { ...hfYarn, softmax: "mscale_all_dim" },
  longrope: {
    selection: "by-current-length",
    shortBeyond: 0,
    factor: "stated",
    amplitudeKeys: ["attention_factor", "short_mscale", "long_mscale"],
    ofClass: true,
    byType: false,
  },
  dynamic: { length: "current", trainedKey: null },
  llama3: { absentLowFreqFactor: "refused", absentHighFreqFactor: "refused" },
  proportional: { factor: "stated" },
  mrope: {
    axes: "all",
    interleavedKeys: ["mrope_interleaved", "interleaved"],
    order: "by-class",
    scaled: "read",
    videoRope: "read",
    timeLast: "any-type",
    wrongSum: "refused",
    spare: "first",
  },
};

/** The checkpoint's pairs are adjacent, say vLLM and llama.cpp; SGLang rotates as in DeepSeek's class. */
const ofHyV4 = { hy_v4: "adjacent" } as const;

// transformers' configuration class normalizes the dictionary before vLLM reads it.
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
  beside: { ...hf.beside, dynamic: "ignored" },
  familyPairings: ofHyV4,
  indexerInterleave: "by-key",
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
    byType: false,
  },
  dynamic: { length: "promised", trainedKey: "max_trained_positions" },
  proportional: { factor: "ignored" },
  mrope: {
    ...hf.mrope,
    interleavedKeys: ["mrope_interleaved"],
    order: "by-key",
    videoRope: "ignored",
    timeLast: "default-only",
  },
};

const sglang: Dialect = {
  ...hf,
  name: "sglang",
  engine: "SGLang",
  version: "0.5.23",
  ropeTypes: ["default", "linear", "dynamic", "yarn", "deepseek_yarn", "longrope", "llama3", "proportional"],
  otherTypes: "refused",
  typeKey: "rope_type",
  familyPairings: ofHyV4,
  indexerInterleave: "by-key",
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
    byType: false,
  },
  dynamic: { length: "promised-times-factor", trainedKey: null },
  llama3: { absentLowFreqFactor: 1, absentHighFreqFactor: 4 },
  proportional: { factor: "ignored" },
  mrope: { ...hf.mrope, interleavedKeys: ["mrope_interleaved"], order: "by-key", wrongSum: "rescaled" },
};

// What its converter writes into a GGUF file and its loaders read. The pairing is that of the published weights. The
// converter may reorder the weights; `ropesFromGguf` follows that.
const llamaCpp: Dialect = {
  ...hf,
  name: "llama.cpp",
  engine: "llama.cpp",
  version: "llama-cpp-python 0.3.36",
  ropeTypes: ["default", "mrope", "linear", "dynamic", "yarn", "longrope", "su", "llama3", "proportional"],
  otherTypes: "refused",
  typeKey: "rope_type",
  familyPairings: ofHyV4,
  // Its converter of Grok takes "original" for a mistake, and writes no other type.
  beside: {
    typeNames: { original: "yarn", yarn_linear: "default", yarn_log: "default", theta_scale: "default" },
    amplitude: "applied",
    dynamic: "ignored",
  },
  originalLength: { precedence: "inside", absent: { yarn: "refused", llama3: 8192, longrope: "refused" } },
  absentFactor: "unscaled",
  yarn: { ...hfYarn, zeroBeta: "refused", amplitude: ["magnitude"], betas: "standard", truncate: "always" },
  deepseekYarn: {
    ...hfYarn,
    zeroBeta: "refused",
    amplitude: ["overall-only", "magnitude"],
    betas: "standard",
    truncate: "always",
    softmax: "mscale_all_dim",
  },
  longrope: {
    selection: "by-capacity",
    shortBeyond: 0,
    factor: "ratio-of-lengths",
    amplitudeKeys: [],
    ofClass: false,
    byType: false,
  },
  dynamic: { length: "ignored", trainedKey: null },
  llama3: { absentLowFreqFactor: 1, absentHighFreqFactor: 4 },
  mrope: { ...hf.mrope, interleavedKeys: [], videoRope: "ignored", spare: "own" },
};

const mlx: Dialect = {
  ...hf,
  name: "mlx",
  engine: "mlx-lm",
  version: "0.32.2",
  ropeParameters: "by-class",
  indexerInterleave: "by-key",
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
  longrope: {
    selection: "long",
    shortBeyond: 0,
    factor: "ratio-of-lengths",
    amplitudeKeys: [],
    ofClass: false,
    byType: false,
  },
  llama3: { absentLowFreqFactor: 1, absentHighFreqFactor: 4 },
  mrope: { ...hf.mrope, axes: "first", videoRope: "ignored" },
};

const mindie: Dialect = {
  ...hf,
  mrope: { ...hf.mrope, videoRope: "ignored" },
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

// transformers' configuration class normalizes the dictionary before the builder reads it.
const genaiYarn: YarnDialect = {
  ...hfYarn,
  amplitude: ["mscale-ratio", "mscale-verbatim", "magnitude"],
  absentMscale: 0,
  zeroBeta: "refused",
  absentBetas: "refused",
  truncate: "never",
  range: "inside",
  part: "whole-head",
};
const ofLlama = { ropeTypes: ["default", "llama3"], others: "ignored" } as const;
const ofPhi = { ropeTypes: ["default", "longrope", "su"], others: "refused" } as const;
const ofGemma4 = { ropeTypes: ["default", "proportional"], others: "refused" } as const;

const ortGenai: Dialect = {
  ...hf,
  name: "ort-genai",
  engine: "onnxruntime-genai",
  version: "0.18.0",
  ropeTypes: ["default", "mrope", "linear", "yarn"],
  otherTypes: "refused",
  familyTypes: {
    llama: ofLlama,
    nemotron: ofLlama,
    smollm3: ofLlama,
    hunyuan_v1_dense: { ropeTypes: ["default", "dynamic"], others: "ignored" },
    phi3: ofPhi,
    phi4_multimodal: ofPhi,
    gemma4: ofGemma4,
    gemma4_text: ofGemma4,
    gemma4_unified: ofGemma4,
    gemma4_unified_text: ofGemma4,
  },
  layeredFamilies: ["gemma4", "gemma4_text", "gemma4_unified", "gemma4_unified_text"],
  beside: { ...hf.beside, dynamic: "ignored" },
  partialRotary: "always",
  absentFactor: "refused",
  yarn: genaiYarn,
  deepseekYarn: { ...genaiYarn, softmax: "none" },
  longrope: {
    selection: "by-current-length",
    shortBeyond: 0,
    factor: "ratio-of-lengths",
    amplitudeKeys: ["short_mscale", "long_mscale"],
    ofClass: false,
    byType: true,
  },
  dynamic: { length: "refused", trainedKey: null },
  proportional: { factor: "ignored" },
  mrope: { ...hf.mrope, interleavedKeys: [], scaled: "refused", videoRope: "ignored" },
};

/** The dialects by name; `"hf"` is the default everywhere. */
export const dialects: Readonly<Record<DialectName, Dialect>> = deepFreeze({
  hf,
  vllm,
  sglang,
  "llama.cpp": llamaCpp,
  mlx,
  mindie,
  "ort-genai": ortGenai,
});

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    for (const inner of Object.values(Object.freeze(value))) deepFreeze(inner);
  }
  return value;
}

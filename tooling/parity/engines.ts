/**
 * The engines, and the limits of distance for each.
 *
 * `angle`: the largest difference of an angle in roundings, which are multiples of position × invFreq × 2^-24, beyond
 * the effect of different stated frequencies. `places`: an additional limit for cos and sin, in float32 ulp. `why` has
 * the reason for each number.
 */

import type { Engine } from "./vectors.ts";

export const engines: Readonly<Record<string, Engine>> = {
  hf: {
    title: "transformers",
    angle: 0,
    places: 2,
    why: "frequencies are stated, so angles follow; cos, amplitude and their product round once each",
  },
  truth: {
    title: "exact (mpmath)",
    angle: 0,
    places: 1,
    why: "precision float64 is rounded once, from an exact value",
  },
  vllm: {
    title: "vLLM",
    angle: 4,
    places: 2,
    why: "frequencies are not stated: two ulp each, and position / factor × invFreq rounds twice",
  },
  sglang: { title: "SGLang", angle: 4, places: 2, why: "as vLLM, whose code it started from" },
  mlx: {
    title: "MLX",
    angle: 40,
    places: 4,
    why: "exp2(−d · log2 base) in float32: two roundings of an exponent up to 20 are worth 2 ln base ≤ 28 roundings of a frequency, and exp2 has some of its own",
  },
  ggml: {
    title: "ggml",
    angle: 0,
    running: 2,
    places: 4,
    why: "θ is a running product: pair i has 2 i roundings, those of theta_scale included",
  },
  "llama.cpp": { title: "llama.cpp", angle: 0, running: 2, places: 4, why: "as ggml, which it calls" },
  ndrope: { title: "ndrope", angle: 4, places: 2, why: "powf in float32" },
  diffusers: {
    title: "diffusers",
    angle: 4,
    places: 2,
    why: "frequencies in float64 or float32 by model, the table in float32",
  },
  onnx: { title: "ONNX reference", angle: 0, places: 2, why: "rotation with given tables" },
  onnxruntime: { title: "ONNX Runtime", angle: 0, places: 2, why: "rotation with given tables" },
};

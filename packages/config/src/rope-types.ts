/**
 * The names of rope types, as configs write them, and what each type reads.
 *
 * A type that is not registered is an error of core; this table lets that error name the package to import, and lets a
 * config be read without any provider at hand.
 */

/** What is known of a type without its package. */
export interface RopeTypeFacts {
  readonly package: string;
  /** Its parameters, as core writes them. A registered provider's own schema has precedence. */
  readonly parameters: readonly string[];
}

const yarnLadder = ["factor", "originalMaxPosition", "betaFast", "betaSlow", "truncate"];
const axes = ["sections", "assignment", "ladder"];

const facts: Readonly<Record<string, RopeTypeFacts>> = {
  default: { package: "@ropewalk/default", parameters: [] },
  linear: { package: "@ropewalk/linear", parameters: ["factor"] },
  dynamic: { package: "@ropewalk/dynamic", parameters: ["factor"] },
  dynamic_alpha: { package: "@ropewalk/dynamic", parameters: ["alpha"] },
  qwen_dynamic: { package: "@ropewalk/dynamic", parameters: ["originalMaxPosition"] },
  ntk: { package: "@ropewalk/ntk", parameters: ["factor", "mixedB"] },
  yarn: { package: "@ropewalk/yarn", parameters: [...yarnLadder, "attentionFactor", "mscale", "mscaleAllDim"] },
  deepseek_yarn: { package: "@ropewalk/deepseek-yarn", parameters: [...yarnLadder, "attentionFactor", "mscale", "mscaleAllDim"] },
  deepseek_llama_scaling: { package: "@ropewalk/deepseek-yarn", parameters: [...yarnLadder, "attentionFactor", "mscale", "mscaleAllDim"] },
  "telechat3-yarn": { package: "@ropewalk/yarn", parameters: [...yarnLadder, "attentionFactor"] },
  longrope: { package: "@ropewalk/longrope", parameters: ["factor", "originalMaxPosition", "shortFactor", "longFactor", "attentionFactor", "shortMscale", "longMscale"] },
  llama3: { package: "@ropewalk/llama3", parameters: ["factor", "originalMaxPosition", "lowFreqFactor", "highFreqFactor"] },
  proportional: { package: "@ropewalk/proportional", parameters: ["factor", "partialRotaryFactor"] },
  fope: { package: "@ropewalk/fope", parameters: ["numInvFreq", "fopeSepHead", "fopeInitFactor"] },
  dual_chunk: { package: "@ropewalk/dual-chunk", parameters: ["chunkSize", "localSize", "originalMaxPosition"] },
  mrope: { package: "@ropewalk/nd-qwen2vl", parameters: axes },
  xdrope: { package: "@ropewalk/nd-qwen2vl", parameters: [...axes, "alpha"] },
  openpangu: { package: "@ropewalk/nd-qwen2vl", parameters: axes },
  ernie45_vl: { package: "@ropewalk/nd-qwen2vl", parameters: axes },
  axial: { package: "@ropewalk/nd-qwen2vl", parameters: [] },
  mllama4: { package: "@ropewalk/nd-qwen2vl", parameters: [] },
  pixtral: { package: "@ropewalk/nd-qwen2vl", parameters: [] },
  dinov3: { package: "@ropewalk/nd-qwen2vl", parameters: [] },
};

/** What is known of a type; `undefined` for a name that no package of this project claims. */
export function ropeTypeFacts(name: string): RopeTypeFacts | undefined {
  return Object.hasOwn(facts, name) ? facts[name] : undefined;
}

/** The types that read a parameter, for "it belongs to …". */
export function typesThatRead(parameter: string): string[] {
  return Object.keys(facts).filter((name) => facts[name]?.parameters.includes(parameter));
}

/** Names that are another name of a type wherever they stand. */
const aliases: ReadonlyMap<string, string> = new Map([["su", "longrope"]]);

/** The canonical name of a type. */
export function canonicalTypeName(name: string): string {
  return aliases.get(name) ?? name;
}

/** Keys of a rope dictionary whose name in core is not their camelCase form. */
const parameterNames: ReadonlyMap<string, string> = new Map([
  ["original_max_position_embeddings", "originalMaxPosition"],
  ["mrope_section", "sections"],
  ["xdrope_section", "sections"],
]);

/** `beta_fast` → `betaFast`: what core calls a key of a rope dictionary. */
export function parameterName(key: string): string {
  return parameterNames.get(key) ?? key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** Keys that are read by other code than a rope of this library, and what to know about each. */
export const strangers: ReadonlyMap<string, string> = new Map([
  ["finetuned", "marks a checkpoint that was trained with the scaling; no engine reads it"],
  ["attn_factor", "is read by vLLM and SGLang for YaRN only; the key of transformers is attention_factor"],
  ["extrapolation_factor", "is read by vLLM and SGLang only, where 1 changes nothing; transformers ignores it"],
  ["apply_yarn_scaling", "is read by vLLM and MindIE only, where false leaves out the amplitude; transformers ignores it"],
  ["llama_4_scaling_beta", "scales queries by position in the attention layer and does not touch the rope"],
  ["position_id_per_seconds", "belongs to the builder of position ids"],
  ["max_trained_positions", "is read by vLLM's dynamic type only"],
]);

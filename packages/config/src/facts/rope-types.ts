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

const yarnFrequencies = ["factor", "originalMaxPosition", "betaFast", "betaSlow", "truncate"];
const yarn = [...yarnFrequencies, "attentionFactor", "mscale", "mscaleAllDim"];

const facts: Readonly<Record<string, RopeTypeFacts>> = {
  default: { package: "@ropewalk/default", parameters: [] },
  linear: { package: "@ropewalk/linear", parameters: ["factor"] },
  dynamic: { package: "@ropewalk/dynamic", parameters: ["factor"] },
  // Qwen 1: the base grows at doublings of the trained length.
  qwen_dynamic: { package: "@ropewalk/dynamic", parameters: ["maxTrainedPosition"] },
  dynamic_alpha: { package: "@ropewalk/dynamic-alpha", parameters: ["alpha"] },
  ntk: { package: "@ropewalk/ntk", parameters: ["factor", "mixedB"] },
  yarn: { package: "@ropewalk/yarn", parameters: yarn },
  "telechat3-yarn": { package: "@ropewalk/yarn", parameters: yarn },
  deepseek_yarn: { package: "@ropewalk/deepseek-yarn", parameters: yarn },
  deepseek_llama_scaling: { package: "@ropewalk/deepseek-yarn", parameters: yarn },
  longrope: {
    package: "@ropewalk/longrope",
    parameters: [
      "factor",
      "originalMaxPosition",
      "shortFactor",
      "longFactor",
      "attentionFactor",
      "shortMscale",
      "longMscale",
    ],
  },
  llama3: {
    package: "@ropewalk/llama3",
    parameters: ["factor", "originalMaxPosition", "lowFreqFactor", "highFreqFactor"],
  },
  given: { package: "@ropewalk/given", parameters: ["invFreq", "attentionFactor"] },
  proportional: { package: "@ropewalk/proportional", parameters: ["factor", "partialRotaryFactor"] },
  // Sections and order come from more than one key of a config, so they are read by themselves.
  mrope: { package: "@ropewalk/nd-qwen2vl", parameters: [] },
  nd: { package: "@ropewalk/nd-qwen2vl", parameters: [] },
};

/** What is known of a type; `undefined` for a name that no package of this project claims. */
export function ropeTypeFacts(name: string): RopeTypeFacts | undefined {
  return Object.hasOwn(facts, name) ? facts[name] : undefined;
}

/** All types that a package of this project provides. */
export function ropeTypeNames(): string[] {
  return Object.keys(facts);
}

/** The types that read a parameter, for "it belongs to …". */
export function typesThatRead(parameter: string): string[] {
  return ropeTypeNames().filter((name) => facts[name]?.parameters.includes(parameter));
}

/** Names that are another name of a type wherever they stand. mrope and xdrope say which axes there are, not which frequencies. */
const aliases: ReadonlyMap<string, string> = new Map([
  ["su", "longrope"],
  ["mrope", "default"],
  ["xdrope", "dynamic"],
]);

/** The canonical name of a type of frequencies. */
export function canonicalTypeName(name: string): string {
  return aliases.get(name) ?? name;
}

/** `beta_fast` → `betaFast`: what core calls a key of a rope dictionary. */
export function parameterName(key: string): string {
  if (key === "original_max_position_embeddings") return "originalMaxPosition";
  return key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** Keys that are read by other code than a rope of this library, and what to know about each. */
export const whatReadsInstead: ReadonlyMap<string, string> = new Map([
  ["finetuned", "marks a checkpoint that was trained with the scaling; no engine reads it"],
  ["attn_factor", "is read by SGLang for YaRN only; the key of transformers is attention_factor"],
  ["extrapolation_factor", "is read by SGLang only, where 1 changes nothing; transformers and vLLM ignore it"],
  [
    "apply_yarn_scaling",
    "was read by older versions of vLLM, where false left out the amplitude; transformers ignores it",
  ],
  ["mrope_section", "belongs to models of several position axes; the class of this model has one"],
  ["xdrope_section", "belongs to models of several position axes; the class of this model has one"],
  [
    "llama_4_scaling_beta",
    "scales queries by their position in Ministral 3 and Mistral 4; the class of this model does not read it",
  ],
  ["position_id_per_seconds", "belongs to the builder of position ids"],
  ["max_trained_positions", "is read by vLLM's dynamic type only"],
]);

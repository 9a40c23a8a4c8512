/**
 * The names of rope types, as configs write them, and the parameters of each type.
 *
 * Core refuses a type that is not registered. With this table the error names the package to import, and a config can
 * be read without any provider.
 */

/** Facts about a type that are known without its package. */
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
  proportional: { package: "@ropewalk/proportional", parameters: ["factor", "partialRotaryFactor", "denominator"] },
  // Sections and order come from several keys of a config, so `axes.ts` reads them.
  mrope: { package: "@ropewalk/nd-qwen2vl", parameters: [] },
  nd: { package: "@ropewalk/nd-qwen2vl", parameters: [] },
};

/** The facts of a type; `undefined` for a name that no package of this project provides. */
export function ropeTypeFacts(name: string): RopeTypeFacts | undefined {
  return Object.hasOwn(facts, name) ? facts[name] : undefined;
}

/** All types that packages of this project provide. */
export function ropeTypeNames(): string[] {
  return Object.keys(facts);
}

/** The types that have a parameter, for "it belongs to …". */
export function typesThatRead(parameter: string): string[] {
  return ropeTypeNames().filter((name) => facts[name]?.parameters.includes(parameter));
}

/** Other names of a type. `mrope`, `xdrope` and `bailing_mrope` say which axes there are, not which frequencies. */
const aliases: ReadonlyMap<string, string> = new Map([
  ["su", "longrope"],
  ["mrope", "default"],
  ["xdrope", "dynamic"],
  // Ling and Ming: `axes.ts` reads the order of their axes.
  ["bailing_mrope", "default"],
]);

/** The canonical name of a type of frequencies. */
export function canonicalTypeName(name: string): string {
  return aliases.get(name) ?? name;
}

/** The name of a key of a rope dictionary in core: `beta_fast` → `betaFast`. */
export function parameterName(key: string): string {
  if (key === "original_max_position_embeddings") return "originalMaxPosition";
  return key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** Keys that no rope of this library reads, each with what is known about it. */
export const whatReadsInstead: ReadonlyMap<string, string> = new Map([
  ["finetuned", "marks a checkpoint that was trained with the scaling; no engine reads it"],
  ["attn_factor", "is read by SGLang for YaRN only; the key of transformers is attention_factor"],
  ["extrapolation_factor", "is read by SGLang only, and 1 changes nothing there; transformers and vLLM ignore it"],
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

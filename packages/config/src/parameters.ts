/** The parameters of a rope type: what of a dictionary the type reads, in core's words, after the engine's rules. */

import type { RopeRegistry } from "@ropewalk/core";
import { applyEngineRules } from "./engine-rules.ts";
import type { Parameters } from "./engine-rules.ts";
import { agree } from "./fields.ts";
import type { Fields, Found } from "./fields.ts";
import type { Reading } from "./reading.ts";
import type { ReadType } from "./rope-type.ts";
import { parameterName, ropeTypeFacts } from "./rope-types.ts";
import type { RopeEntry } from "./spelling.ts";

/** `parameters` of a request, and where in the file each of them stood. */
export interface ReadParameters {
  readonly values: { readonly ropeType: string; readonly [name: string]: unknown };
  readonly places: ReadonlyMap<string, Found>;
}

/** Keys of a rope dictionary that are no parameters of a ladder: they are read elsewhere. */
const notParameters: ReadonlySet<string> = new Set(["rope_type", "type", "rope_theta", "partial_rotary_factor", "rope_dim", "max_position_embeddings", "use_fope", "attn_factor", "mrope_section", "xdrope_section", "mrope_interleaved", "interleaved"]);

export function readParameters(entry: RopeEntry, dictionary: Fields, type: ReadType, maxPosition: Found<number> | undefined, share: Found<number> | undefined, reading: Reading): ReadParameters {
  const { model, options, report } = reading;
  const { ladder } = type;
  const readable = parametersOf(ladder, options.registry);
  const places: Parameters = new Map();
  for (const key of dictionary.keys()) {
    const name = parameterName(key);
    if (notParameters.has(key) || name === "ropeType" || (readable !== undefined && !readable.includes(name))) continue;
    places.set(name, agree(dictionary.all(key), report)!);
  }
  if (share !== undefined) places.set("partialRotaryFactor", share);
  const amplitude = entry.facts.defaults["attention_factor"];
  if (ladder === "yarn" && typeof amplitude === "number" && !places.has("attentionFactor")) {
    places.set("attentionFactor", { value: amplitude, path: `the configuration class of ${model.modelType}`, key: "attention_factor" });
  }
  const trained = ladder === "qwen_dynamic" ? model.fields.size("seq_length") : undefined;
  if (trained !== undefined) places.set("originalMaxPosition", trained);
  const outerOriginal = model.fields.size("original_max_position_embeddings");
  applyEngineRules(ladder, places, { dictionary, nested: entry.nested, maxPosition, outerOriginal, report });

  const axes = readAxes(dictionary, type, places, reading);
  const own = Object.fromEntries([...places].filter(([name]) => name !== "sections").map(([name, { value }]) => [name, value]));
  return { values: { ropeType: type.value, ...axes, ...own }, places };
}

/**
 * For types with several position axes: the sections, how axes are assigned to pairs, and the type of the frequencies if
 * that is not the original one.
 */
function readAxes(dictionary: Fields, { value, ladder }: ReadType, places: Parameters, { model, report }: Reading): Readonly<Record<string, unknown>> {
  const { family, modelType } = model;
  if (value === ladder && value !== "xdrope" && value !== "openpangu") return {};
  const sections = dictionary.list("mrope_section", "xdrope_section");
  const flag = dictionary.flag("mrope_interleaved", "interleaved");
  if (sections !== undefined) places.set("sections", sections);
  if (flag?.key === "interleaved") report.note("differs", flag.path, "interleaved is read as mrope_interleaved; vLLM and SGLang know only the latter and would cut the axes into sections.");
  const stated = flag === undefined ? undefined : flag.value ? "cyclic" : "sectioned";
  const assignment = family.axes?.assignment ?? stated ?? "sectioned";
  if (stated !== undefined && stated !== assignment) {
    report.note("differs", flag!.path, `The class of ${modelType} in transformers assigns axes to pairs in its own way (${assignment}) whatever ${flag!.key} says; vLLM follows the key.`);
  }
  const scaled = value === ladder || ladder === "default" ? {} : { ladder };
  return { sections: sections?.value ?? family.axes?.sections ?? null, assignment, ...scaled };
}

/** What a type reads: the registered provider's schema, else the built-in list, else everything. */
function parametersOf(ropeType: string, registry: RopeRegistry | undefined): readonly string[] | undefined {
  const provider = registry?.get(ropeType)?.provider;
  return provider === undefined ? ropeTypeFacts(ropeType)?.parameters : Object.keys(provider.parameters);
}

/** The parameters of a rope type: what of a dictionary the type reads, in core's words, after the engine's rules. */

import type { QueryScale, RopeRegistry, UntypedRopeRequest } from "@ropewalk/core";
import { applyEngineRules } from "./engine-rules.ts";
import { agree } from "./fields.ts";
import type { Fields, Found } from "./fields.ts";
import type { Explained, Reading } from "./reading.ts";
import type { Report } from "./report.ts";
import { parameterName, ropeTypeFacts } from "./rope-types.ts";
import type { Parameters } from "./rule.ts";
import type { RopeEntry, TextModel } from "./spelling.ts";

/** Keys of a rope dictionary that are no parameters of a type: they are read elsewhere. */
const notParameters: ReadonlySet<string> = new Set([
  ...[
    "rope_type",
    "type",
    "rope_theta",
    "partial_rotary_factor",
    "rope_dim",
    "max_position_embeddings",
    "use_fope",
    "attn_factor",
  ],
  ...["mrope_section", "xdrope_section", "mrope_interleaved", "interleaved", "llama_4_scaling_beta"],
]);

/** The parameters of a type by their name in core, each with the place where it stood. */
export function readParameters(
  entry: RopeEntry,
  dictionary: Fields,
  ropeType: string,
  maxPosition: Found<number> | undefined,
  share: Found<number> | undefined,
  severalAxes: boolean,
  reading: Reading,
): Parameters {
  const { dialect, model, options, report } = reading;
  const { defaultType } = model.family;
  const isRead = parametersOf(ropeType, options.registry);
  const found: Parameters = new Map();
  for (const key of dictionary.keys()) {
    const name = parameterName(key);
    if (!notParameters.has(key) && name !== "ropeType" && isRead(name)) {
      found.set(name, agree(dictionary.all(key), report)!);
    }
  }
  const add = (name: string, value: unknown): unknown =>
    found.has(name) || found.set(name, { value, key: name, path: `the class of ${model.modelType}` });
  if (share !== undefined) found.set("partialRotaryFactor", share);
  if (ropeType === "yarn" && entry.facts.defaults["attention_factor"] !== undefined) {
    add("attentionFactor", entry.facts.defaults["attention_factor"]);
  }
  if (ropeType === defaultType?.ropeType) {
    for (const [name, value] of Object.entries(defaultType)) if (name !== "ropeType") add(name, value);
  }
  const trained = ropeType === "qwen_dynamic" ? model.fields.size("seq_length") : undefined;
  if (trained !== undefined) found.set("maxTrainedPosition", trained);

  const outerOriginal = model.fields.size("original_max_position_embeddings");
  applyEngineRules(ropeType, found, {
    dictionary,
    nested: entry.nested,
    maxPosition,
    outerOriginal,
    report,
    dialect,
    severalAxes,
    shortListOnly: model.family.shortListOnly === true,
    capacity: options.capacity,
  });
  return found;
}

/** What a type reads: of a registered one what its schema has, as far as it is a key of configs; else the built-in list. */
function parametersOf(ropeType: string, registry: RopeRegistry | undefined): (name: string) => boolean {
  const listed = ropeTypeFacts(ropeType)?.parameters;
  const schema = registry?.get(ropeType)?.provider.parameters;
  return (name) =>
    (listed === undefined || listed.includes(name)) && (schema === undefined || Object.hasOwn(schema, name));
}

/**
 * The factor of queries that some models have beside their rope.
 *
 * Source: Hugging Face transformers 5, `get_llama_4_attn_scale` of Ministral 3 and Mistral 4; the published code of Qwen 1.
 */
export function readQueryScale(
  dictionary: Fields,
  parameters: Parameters,
  { model }: Reading,
): Explained<NonNullable<UntypedRopeRequest["queryScale"]>> | undefined {
  const { fields, family } = model;
  const beta = family.readsTemperature === true ? dictionary.number("llama_4_scaling_beta") : undefined;
  const length = parameters.get("originalMaxPosition")?.value;
  if (beta !== undefined && typeof length === "number") {
    return { value: { rule: "temperature", beta: beta.value, length, offset: 0 }, rule: beta.path };
  }
  const logn = fields.flag("use_logn_attn");
  const trained = logn?.value === true ? fields.size("seq_length") : undefined;
  return trained === undefined ? undefined : { value: { rule: "logn", length: trained.value }, rule: logn!.path };
}

/**
 * The factor of queries in layers that have no rope, which no rope can carry.
 *
 * Source: Hugging Face transformers 5, `Llama4TextAttention`.
 */
export function readBareQueryScale({ fields, family }: TextModel, report: Report): Explained<QueryScale> | undefined {
  const standard = family.bareTemperature;
  // Published files have a number for true.
  const tuning = fields.first("attn_temperature_tuning");
  if (standard === undefined || tuning?.value === false || tuning?.value === 0) return undefined;
  const beta = fields.number("attn_scale")?.value ?? standard.attn_scale;
  const length = fields.size("floor_scale")?.value ?? standard.floor_scale;
  const rule = `1 + attn_scale · ln(1 + floor((p + 1) / floor_scale)) with ${beta} and ${length}`;
  report.note(
    "implied",
    tuning?.path ?? fields.pathOf("attn_temperature_tuning"),
    `In layers without rope queries are multiplied by ${rule} at position p: queryScaleOf(layer).`,
  );
  return { value: Object.freeze({ rule: "temperature", beta, length, offset: 1 }), rule };
}

/**
 * Where the facts of a rope stand in a config.json: which of several nested models is the text model, and which JSON
 * object describes the rope of which layer type. Everything after this step sees one shape, whatever the file's version.
 *
 * Spellings: `rope_theta` with `rope_scaling` (transformers 4), `rope_parameters` (transformers 5), the same for each
 * layer type, and the families' own keys of earlier years.
 */

import { agree, Fields, isObject, join } from "./fields.ts";
import type { Found, JsonObject } from "./fields.ts";
import { familyOf } from "./families.ts";
import type { Family, LayerRopeFacts } from "./families.ts";
import { show } from "./report.ts";
import type { Report } from "./report.ts";

/** The text model of a config. */
export interface TextModel {
  /** Its keys, with those of the models around it behind them. */
  readonly fields: Fields;
  readonly path: string;
  readonly modelType: string | null;
  readonly family: Family;
  /** False where the family is not in the table and was read as a Llama. */
  readonly known: boolean;
}

/** The rope of one layer type, found but not yet read. */
export interface RopeEntry {
  /** `null` where all layers share it. */
  readonly label: string | null;
  /** What describes it; `null` where the file says that these layers have no rope. */
  readonly dictionary: Fields | null;
  /** Keys outside the dictionary that hold its base. */
  readonly thetaKeys: readonly string[];
  readonly headDimKeys: readonly string[];
  readonly defaults: JsonObject;
  /** True where the dictionary belongs to this layer type alone. */
  readonly nested: boolean;
}

/** Objects that hold the text model of a multimodal config, in the order in which they are looked for. */
const textModelKeys = ["text_config", "llm_config", "language_config", "language_model_config", "thinker_config", "talker_config"];

/** The innermost text model. Descends at most a few levels, so that a cyclic object ends too. */
export function findTextModel(config: JsonObject, report: Report): TextModel {
  const path: { record: JsonObject; path: string }[] = [{ record: config, path: "" }];
  for (let depth = 0; depth < 4; depth++) {
    const inner = path[0]!;
    const present = textModelKeys.filter((key) => Object.hasOwn(inner.record, key) && isObject(inner.record[key]) && Object.keys(inner.record[key]).length > 0);
    const [key, ...others] = present;
    if (key === undefined) break;
    for (const other of others) {
      report.note("differs", join(inner.path, other), `This is a model of its own; the ropes are those of ${join(inner.path, key)}, read ${other} alone for the other.`);
    }
    path.unshift({ record: inner.record[key] as JsonObject, path: join(inner.path, key) });
  }
  const types = path.map(({ record }) => (Object.hasOwn(record, "model_type") ? record["model_type"] : undefined)).filter((type) => typeof type === "string");
  const modelType = types.find((type) => familyOf(type) !== undefined) ?? types[0] ?? null;
  const family = modelType === null ? undefined : familyOf(modelType);
  const fields = new Fields(path, report);
  return { fields, path: path[0]!.path, modelType, family: family ?? {}, known: family !== undefined };
}

/** The rope dictionaries of a model, one for each layer type that has its own. */
export function findRopes(model: TextModel, report: Report): RopeEntry[] {
  const { fields, family } = model;
  const dictionaries = fields.all("rope_parameters", "rope_scaling").filter((found): found is Found & { value: JsonObject } => {
    if (isObject(found.value)) return Object.keys(found.value).length > 0;
    report.issue(found.path, "an object or null", show(found.value));
    return false;
  });
  const nested = dictionaries.filter(({ value }) => isNested(value, model));
  const flat = dictionaries.filter((found) => !nested.includes(found));
  if (nested.length > 0) return nestedEntries(nested, flat, model, report);

  const records = flat.map(({ value, path }) => ({ record: value, path }));
  if (family.layerRopes === undefined) {
    return [{ label: null, dictionary: new Fields(records, report), thetaKeys: sharedThetaKeys, headDimKeys: [], defaults: {}, nested: false }];
  }
  const scaledTypes = fields.list("yarn_only_types")?.value;
  return Object.entries(family.layerRopes).map(([label, facts]) => {
    const scaled = scaledTypes === undefined ? facts.scaled : scaledTypes.includes(label);
    return entryOf(label, new Fields(scaled ? records : [], report), facts, false);
  });
}

/** Keys of the base, where all layers share one. `rotary_emb_base`: GPT-NeoX, Qwen 1. */
const sharedThetaKeys = ["rope_theta", "rotary_emb_base", "rotary_base", "rope_base"];

function entryOf(label: string, dictionary: Fields | null, facts: LayerRopeFacts | undefined, nested: boolean): RopeEntry {
  return { label, dictionary, thetaKeys: facts?.thetaKeys ?? [], headDimKeys: facts?.headDimKeys ?? [], defaults: facts?.defaults ?? {}, nested };
}

/** A dictionary is nested when an entry of it is itself a dictionary, or `null` under the name of a layer type. */
function isNested(dictionary: JsonObject, { fields, family }: TextModel): boolean {
  const labels = new Set(Object.keys(family.layerRopes ?? {}));
  const layerTypes = fields.first("layer_types")?.value;
  if (Array.isArray(layerTypes)) for (const label of layerTypes) if (typeof label === "string") labels.add(label);
  return Object.keys(dictionary).some((key) => isObject(dictionary[key]) || labels.has(key));
}

function nestedEntries(nested: readonly (Found & { value: JsonObject })[], flat: readonly (Found & { value: JsonObject })[], model: TextModel, report: Report): RopeEntry[] {
  for (const { path } of flat) {
    report.issue(path, `nothing beside ${nested[0]!.path}, which has a rope for each layer type`, "an object for all layers", "Keep one of the two.");
  }
  const { layerRopes } = model.family;
  const labels = new Set(nested.flatMap(({ value }) => Object.keys(value).filter((key) => isObject(value[key]) || value[key] === null)));
  for (const label of Object.keys(layerRopes ?? {})) labels.add(label);
  const shared = nested.map(({ value, path }) => ({ path, record: Object.fromEntries(Object.entries(value).filter(([key]) => !labels.has(key))) }));
  return [...labels].map((label) => {
    const facts = layerRopes !== undefined && Object.hasOwn(layerRopes, label) ? layerRopes[label] : undefined;
    const own = nested.filter(({ value }) => Object.hasOwn(value, label));
    const records = own.filter(({ value }) => isObject(value[label])).map(({ value, path }) => ({ record: value[label] as JsonObject, path: join(path, label) }));
    const silenced = own.length > 0 && records.length === 0 && facts === undefined;
    return entryOf(label, silenced ? null : new Fields([...records, ...shared], report), facts, true);
  });
}

/**
 * The base that stands outside the dictionary, perhaps as a list with one number for each layer.
 *
 * @param layersOf the layers that use the rope, for lists.
 */
export function findTheta(fields: Fields, entry: RopeEntry, layers: readonly number[], report: Report): Found | undefined {
  const places = fields.all(...entry.thetaKeys).map((found) => perLayer(found, layers, report));
  const present = places.filter((found) => found !== undefined);
  return agree(present, report);
}

/** The one value of a list per layer at all of `layers`; a value that is no list is returned as it is. */
export function perLayer(found: Found, layers: readonly number[], report: Report): Found | undefined {
  if (!Array.isArray(found.value)) return found;
  const list = found.value as readonly unknown[];
  const [first, ...others] = layers.length === 0 ? list.keys() : layers;
  const odd = others.find((layer) => list[layer] !== list[first!]);
  if (first === undefined || odd !== undefined) {
    const received = first === undefined ? "an empty list" : `${show(list[first])} in layer ${first} and ${show(list[odd!])} in layer ${odd}`;
    report.issue(found.path, "one value for all layers of a type", received, "Give layer_types that tell these layers apart.");
    return undefined;
  }
  return { value: list[first], path: `${found.path}[${first}]` };
}

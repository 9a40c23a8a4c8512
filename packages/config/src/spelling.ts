/**
 * Where the facts of a rope stand in a config.json: which of several nested models is the text model, and which JSON
 * object describes the rope of which layer type. Everything after this step sees one shape, whatever the file's version.
 *
 * Spellings: `rope_theta` with `rope_scaling` (transformers 4), `rope_parameters` (transformers 5), either of them for
 * each layer type, and the families' own keys of earlier years.
 */

import { agree, asNumber, Fields, isObject, isText, join, own } from "./fields.ts";
import type { Found, JsonObject, Level } from "./fields.ts";
import { familyOf } from "./families.ts";
import type { Family, LayerRopeFacts } from "./families.ts";
import { show } from "./report.ts";
import type { Report } from "./report.ts";

/** The text model of a config. */
export interface TextModel {
  /** Its keys, with those of the models around it behind them. */
  readonly fields: Fields;
  readonly modelType: string | null;
  readonly family: Family;
  /** False where the family is not in the table. */
  readonly known: boolean;
}

/** The rope of one layer type, found but not yet read. */
export interface RopeEntry {
  /** `null` where all layers share it. */
  readonly label: string | null;
  /** What describes it; `null` where the file says that these layers have no rope. */
  readonly dictionary: Fields | null;
  /** True where the dictionary belongs to this layer type alone. */
  readonly nested: boolean;
  readonly facts: LayerRopeFacts;
}

/** Objects that hold the text model of a multimodal config, in the order in which they are looked for. */
const textModelKeys = [
  "text_config",
  "llm_config",
  "language_config",
  "language_model_config",
  "thinker_config",
  "talker_config",
];

/** Enough for `thinker_config.text_config`, and an end for objects that contain themselves. */
const deepest = 4;

export function findTextModel(config: JsonObject, report: Report): TextModel {
  let inner: { readonly record: JsonObject; readonly path: string } = { record: config, path: "" };
  const nesting = [inner];
  while (nesting.length < deepest) {
    const models = textModelKeys.flatMap((key) => {
      const record = own(inner.record, key);
      return isObject(record) && Object.keys(record).length > 0 ? [{ record, path: join(inner.path, key) }] : [];
    });
    const [chosen, ...others] = models;
    if (chosen === undefined) break;
    for (const { path } of others) {
      report.note(
        "differs",
        path,
        `This is a model of its own; the ropes are those of ${chosen.path}, so read ${path} by itself for the others.`,
      );
    }
    nesting.unshift((inner = chosen));
  }
  const fields = new Fields(
    nesting.map((place, level) => ({ ...place, level })),
    report,
  );
  const types = nesting.map(({ record }) => own(record, "model_type")).filter(isText);
  const modelType = types.find((type) => familyOf(type) !== undefined) ?? types[0] ?? null;
  const family = modelType === null ? undefined : familyOf(modelType);
  if (family?.latent === true && fields.flag("use_mla")?.value === false) {
    report.note(
      "differs",
      fields.first("use_mla")!.path,
      `Attention is Llama's, as in the code that the model is published with; the class of ${modelType} in transformers has latent attention only.`,
    );
    return { fields, modelType, family: {}, known: true };
  }
  return { fields, modelType, family: family ?? {}, known: family !== undefined };
}

/** Keys of the base, where all layers share one. `rotary_emb_base`: GPT-NeoX, Qwen 1; `rope_embedding_base`: Phi-3-small. */
const shared: LayerRopeFacts = {
  thetaKeys: ["rope_theta", "rotary_emb_base", "rotary_base", "rope_base", "rope_embedding_base"],
  scaled: true,
  defaults: {},
};

/** The rope dictionaries of a model, one for each layer type that has its own. */
export function findRopes(model: TextModel, report: Report): RopeEntry[] {
  const { fields, family } = model;
  const dictionaries = fields.all("rope_parameters", "rope_scaling").filter((found): found is Found<JsonObject> => {
    if (isObject(found.value)) return Object.keys(found.value).length > 0;
    report.issue(found.path, "an object or null", show(found.value));
    return false;
  });
  const nested = dictionaries.filter(({ value }) => isNested(value, model));
  const flat = dictionaries.filter((found) => !nested.includes(found));
  if (nested.length > 0) return nestedEntries(nested, flat, model, report);

  const levels = flat.map(({ value, path }) => ({ record: value, path, level: 0 }));
  if (levels.length === 0 && family.defaultRope !== undefined) {
    levels.push({ record: family.defaultRope, path: "rope_parameters", level: 0 });
    report.note(
      "implied",
      fields.pathOf("rope_parameters"),
      `The file has no rope dictionary; the configuration class of ${model.modelType} sets one of type ${show(family.defaultRope["rope_type"])}.`,
    );
  }
  if (family.layerRopes === undefined) {
    return [{ label: null, dictionary: new Fields(levels, report), nested: false, facts: shared }];
  }
  const scaledTypes = fields.list("yarn_only_types")?.value;
  return Object.entries(family.layerRopes).map(([label, facts]) => {
    const scaled = scaledTypes === undefined ? facts.scaled : scaledTypes.includes(label);
    return { label, dictionary: new Fields(scaled ? levels : [], report), nested: false, facts };
  });
}

/**
 * A dictionary is nested when a key of it is the name of a layer type, or when it holds objects and nothing that a rope
 * dictionary has.
 */
function isNested(dictionary: JsonObject, { fields, family }: TextModel): boolean {
  const keys = Object.keys(dictionary);
  const labels = new Set<unknown>(Object.keys(family.layerRopes ?? {}));
  const layerTypes = fields.first("layer_types")?.value;
  if (Array.isArray(layerTypes)) for (const label of layerTypes) labels.add(label);
  if (keys.some((key) => labels.has(key))) return true;
  const flat = ["rope_type", "type", "factor", "rope_theta"].some((key) => own(dictionary, key) !== undefined);
  return !flat && keys.some((key) => isObject(dictionary[key]));
}

function nestedEntries(
  nested: readonly Found<JsonObject>[],
  flat: readonly Found[],
  { family, fields }: TextModel,
  report: Report,
): RopeEntry[] {
  for (const { path } of flat) {
    report.issue(
      path,
      `nothing beside ${nested[0]!.path}, which has a rope for each layer type`,
      "a rope for all layers",
      "Keep one of the two.",
    );
  }
  const layerTypes = fields.first("layer_types")?.value;
  const isLabel = (key: string, value: unknown): boolean =>
    isObject(value) ||
    (Array.isArray(layerTypes) && layerTypes.includes(key)) ||
    (value === null && key.endsWith("attention"));
  const labels = new Set(Object.keys(family.layerRopes ?? {}));
  for (const { value } of nested) for (const key of Object.keys(value)) if (isLabel(key, value[key])) labels.add(key);

  // Numbers beside the layer types hold for all of them.
  const around: Level[] = nested.map(({ value, path }) => ({
    path,
    level: 1,
    record: Object.fromEntries(Object.entries(value).filter(([key]) => !labels.has(key))),
  }));
  return [...labels].map((label) => {
    const known =
      family.layerRopes !== undefined && Object.hasOwn(family.layerRopes, label) ? family.layerRopes[label] : undefined;
    const facts = known ?? { thetaKeys: [], scaled: true, defaults: {} };
    const mine = nested.filter(({ value }) => Object.hasOwn(value, label));
    const levels = mine.flatMap(({ value, path }): Level[] => {
      const record = value[label];
      if (isObject(record)) return [{ record, path: join(path, label), level: 0 }];
      if (record !== null) report.issue(join(path, label), "an object, or null for layers without rope", show(record));
      return [];
    });
    // A family that always has a rope of this type fills null with its own.
    const silenced = mine.length > 0 && levels.length === 0 && known === undefined;
    return { label, dictionary: silenced ? null : new Fields([...levels, ...around], report), nested: true, facts };
  });
}

/** The base that stands outside the dictionary, under the entry's own keys. */
export function findOuterBase(
  { fields }: TextModel,
  keys: readonly string[],
  layers: readonly number[],
  report: Report,
): Found<number> | undefined {
  const places = fields.all(...keys).flatMap((found) => perLayer(found, layers, report) ?? []);
  return agree(
    places.flatMap((found) => asNumber(found, report) ?? []),
    report,
  );
}

/**
 * The one value that a list per layer has at all of `layers`; what is no list is returned as it is.
 *
 * @param layers empty where the number of layers is not known: then the whole list has to agree.
 */
export function perLayer(found: Found, layers: readonly number[], report: Report): Found | undefined {
  if (!Array.isArray(found.value)) return found;
  const list = found.value as readonly unknown[];
  const [first, ...others] = layers.length === 0 ? list.keys() : layers;
  const odd = others.find((layer) => list[layer] !== list[first!]);
  if (first === undefined || odd !== undefined) {
    const received =
      first === undefined
        ? "an empty list"
        : `${show(list[first])} in layer ${first} and ${show(list[odd!])} in layer ${odd}`;
    report.issue(
      found.path,
      "one value for all layers of a type",
      received,
      "Give layer_types that tell these layers apart.",
    );
    return undefined;
  }
  return { value: list[first], path: `${found.path}[${first}]`, key: found.key };
}

/**
 * Finds the JSON object that describes the rope of each group of layers.
 *
 * Spellings: `rope_theta` with `rope_scaling` (transformers 4); `rope_parameters` (transformers 5); either of them for
 * each layer type; and older keys of single families.
 */

import { show } from "@ropewalk/core/backend";
import type { Family, LayerRope } from "../facts/family.ts";
import type { Report } from "../report.ts";
import { scalingBeside } from "./beside.ts";
import { Fields } from "./fields.ts";
import type { Level } from "./fields.ts";
import { entriesOf, isObject, join, listed, own, shown } from "./found.ts";
import type { Found, JsonObject } from "./found.ts";
import { everyLayer, findLayers } from "./layers.ts";
import { mostInside, mostKeys } from "../limits.ts";
import type { Located, RopeEntry, TextModel } from "./located.ts";
import { findIndexers, splitByLayer } from "./per-layer.ts";

/**
 * The ropes of a model, and the layers that have them.
 *
 * @param noRope why no layer has a rope; `undefined` if layers have one.
 */
export function findRopes(
  model: TextModel,
  noRope: string | undefined,
  report: Report,
): Pick<Located, "entries" | "layers" | "hasIndexer"> {
  if (noRope === undefined) {
    const entries = findEntries(model, report);
    const layers = findLayers(model, entries, report);
    return { ...splitByLayer(entries, layers, model, report), hasIndexer: findIndexers(model, layers, report) };
  }
  const { logarithm } = model.family;
  const labels = logarithm === undefined ? [null] : [logarithm.on, logarithm.others];
  const entries = labels.map((label) => ({
    label,
    dictionary: new Fields([], report),
    noRope,
    nested: false,
    spelled: unspelled,
  }));
  const layers = logarithm === undefined ? everyLayer(model, report) : findLayers(model, entries, report);
  return { entries, layers, hasIndexer: () => false };
}

/** Keys of the base that all layers share. `rotary_emb_base`: GPT-NeoX, Qwen 1; `rope_embedding_base`: Phi-3-small. */
const shared: LayerRope = {
  thetaKeys: [
    "rope_theta",
    "rotary_emb_base",
    "rotary_base",
    "rope_base",
    "rope_embedding_base",
    "rotary_embedding_base",
  ],
  scaled: true,
  defaults: {},
};

/** For a rope that the family's row does not mention. */
const unspelled: LayerRope = { thetaKeys: [], scaled: true, defaults: {} };

/** The rope dictionaries of a model, one for each layer type that has its own. */
function findEntries(model: TextModel, report: Report): RopeEntry[] {
  const { fields, family } = model;
  const dictionaries = fields.all("rope_parameters", "rope_scaling").filter((found): found is Found<JsonObject> => {
    if (!isObject(found.value)) {
      report.issue(found.path, "an object or null", show(found.value));
      return false;
    }
    return isSmall(found.value, found.path, report) && Object.keys(found.value).length > 0;
  });
  const nested = dictionaries.filter(({ value }) => isNested(value, model));
  const flat = dictionaries.filter((found) => !nested.includes(found));
  if (nested.length > 0) return nestedEntries(nested, flat, model, report);

  const levels: Level[] = flat.flatMap(({ value, path }) =>
    isPlain(value, path, report) ? [{ record: value, path, level: 0 }] : [],
  );
  const outside = scalingBeside(model, levels.length > 0, report);
  if (outside !== undefined) levels.push(outside);
  if (levels.length === 0 && family.defaultRope !== undefined) {
    levels.push({ record: family.defaultRope, path: "rope_parameters", level: 0 });
    report.note(
      "implied",
      fields.pathOf("rope_parameters"),
      `The file has no rope dictionary; the configuration class of ${model.modelType} sets one of type ${show(family.defaultRope["rope_type"])}.`,
    );
  }
  if (family.layerRopes === undefined) {
    const beside = outside === undefined ? {} : ({ beside: true } as const);
    return [{ label: null, dictionary: new Fields(levels, report), nested: false, spelled: shared, ...beside }];
  }
  checkFlat(flat, family, report);
  const scaledTypes = fields.list("yarn_only_types")?.value;
  return Object.entries(family.layerRopes).map(([label, spelled]) => {
    const scaled = scaledTypes === undefined ? spelled.scaled : scaledTypes.includes(label);
    const entry = { label, dictionary: new Fields(scaled ? levels : [], report), nested: false, spelled };
    return spelled.noRope === true ? { ...entry, noRope: `the class of ${model.modelType} has none` } : entry;
  });
}

/** One dictionary for all layers in a family with a rope for each layer type. */
function checkFlat(flat: readonly Found<JsonObject>[], family: Family, report: Report): void {
  const ropes = Object.entries(family.layerRopes ?? {});
  for (const { key, path, value } of flat) {
    // transformers merges rope_scaling, which is older, and takes rope_parameters by layer type only.
    const isMerged =
      key === "rope_scaling" && family.scalingDropsBases !== true && ropes.some(([, { scaled }]) => scaled);
    if (!isMerged && ropes.some(([, { defaults }]) => Object.keys(defaults).length > 0)) {
      const types = listed(ropes.map(([label]) => label));
      report.issue(
        path,
        `a rope for each of the layer types ${types}`,
        "one rope",
        "The class reads it by layer type.",
      );
    }
    const type = family.readsRopeTypeOnly === true ? own(value, "type") : undefined;
    if (type !== undefined && type !== "default" && own(value, "rope_type") === undefined) {
      report.issue(
        join(path, "type"),
        "rope_type, which is all that transformers 5.24 reads in families with a rope for each layer type",
        show(type),
        "Write it as rope_type.",
      );
    }
  }
}

/** Whether a dictionary has no more keys than any config; if it has, it is not read. */
function isSmall(dictionary: JsonObject, path: string, report: Report): boolean {
  const { length } = Object.keys(dictionary);
  if (length > mostKeys) report.issue(path, `at most ${mostKeys} keys`, `${length}`);
  return length <= mostKeys;
}

/**
 * Whether the values of a dictionary are numbers, texts, and lists of these, as in every config; a few objects are read
 * too, for the message about them.
 */
function isPlain(dictionary: JsonObject, path: string, report: Report): boolean {
  for (const [key, value] of Object.entries(dictionary)) {
    const held: readonly unknown[] = Array.isArray(value) ? value : [value];
    const inside = held.reduce<number>(
      (sum, each) => sum + (typeof each === "object" ? entriesOf(each, mostInside) : 0),
      0,
    );
    if (inside <= mostInside) continue;
    report.issue(join(path, key), "a number, a text, or a list of these", show(value));
    return false;
  }
  return true;
}

/**
 * A dictionary is nested if one of its keys is the name of a layer type, or if it holds objects and no key of a rope
 * dictionary.
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
  const types = new Set<unknown>(Array.isArray(layerTypes) ? layerTypes : []);
  const isLabel = (key: string, value: unknown): boolean =>
    isObject(value) || types.has(key) || (value === null && key.endsWith("attention"));
  const labels = new Set(Object.keys(family.layerRopes ?? {}));
  for (const { value } of nested) for (const key of Object.keys(value)) if (isLabel(key, value[key])) labels.add(key);

  // Numbers beside the layer types apply to all layer types.
  const around = nested.flatMap(({ value, path }): Level[] => {
    const record = Object.fromEntries(Object.entries(value).filter(([key]) => !labels.has(key)));
    return isPlain(record, path, report) ? [{ record, path, level: 1 }] : [];
  });
  return [...labels].map((label) => {
    const known =
      family.layerRopes !== undefined && Object.hasOwn(family.layerRopes, label) ? family.layerRopes[label] : undefined;
    const mine = nested.filter(({ value }) => Object.hasOwn(value, label));
    const levels = mine.flatMap(({ value, path }): Level[] => {
      const record = value[label];
      if (isObject(record)) {
        const place = join(path, label);
        const isRead = isSmall(record, place, report) && isPlain(record, place, report);
        return isRead ? [{ record, path: place, level: 0 }] : [];
      }
      if (record !== null) report.issue(join(path, label), "an object, or null for layers without rope", shown(record));
      return [];
    });
    const entry = { label, nested: true, spelled: known ?? unspelled };
    // In a family that always has a rope of this type, null means the family's defaults.
    return mine.length > 0 && levels.length === 0 && (known === undefined || known.noRope === true)
      ? { ...entry, dictionary: new Fields([], report), noRope: "null in the file: these layers have no rope" }
      : { ...entry, dictionary: new Fields([...levels, ...around], report) };
  });
}

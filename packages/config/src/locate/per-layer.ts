/**
 * What a file says about single layers beside their type: lists with an entry for each layer, lists of layers, and
 * settings of single layers. Every list becomes statements about layers; layers with equal statements share a rope.
 */

import { noRopeLabel } from "../facts/fact.ts";
import type { LayerPattern } from "../facts/family.ts";
import type { Report } from "../report.ts";
import { Fields } from "./fields.ts";
import { asNumber, isList, isObject, join, shown } from "./found.ts";
import { mostKeys, mostLayers, mostRopes } from "../limits.ts";
import type { Found, JsonObject } from "./found.ts";
import type { Layers, RopeEntry, TextModel } from "./located.ts";

/** What a file says about one layer. */
interface Statement {
  /** Why the layer has no rope. */
  readonly noRope?: string;
  /** Its base. */
  readonly theta?: Found<number>;
  /** The share of its heads that is rotated. */
  readonly share?: Found<number>;
  /** The scaling of the file does not apply to it. */
  readonly unscaled?: true;
  /** Keys that it has for itself, before those of the model. */
  readonly own?: Own;
}

/** Keys of one layer, or of the layers of a type. */
interface Own {
  readonly record: JsonObject;
  readonly path: string;
  /** Layers with equal texts have equal keys. */
  readonly key: string;
}

/** Statements about layers, counted from 0. */
type Statements = (layer: number) => Statement | undefined;

/** Reads one kind of list. `undefined`: the file has none. */
type Reader = (at: Reading) => Statements | undefined;

interface Reading {
  readonly model: TextModel;
  readonly layers: Layers;
  readonly report: Report;
}

/** Later readers have precedence where two state the same thing. */
const readers: readonly Reader[] = [thetas, layerThetas, shares, rotated, bare, withAttention, scaled, settings];

/** Splits the ropes of layer types into those of single layers, where the file tells layers of a type apart. */
export function splitByLayer(
  entries: readonly RopeEntry[],
  layers: Layers,
  model: TextModel,
  report: Report,
): { readonly entries: readonly RopeEntry[]; readonly layers: Layers } {
  const found = readers.flatMap((reader) => reader({ model, layers, report }) ?? []);
  if (found.length === 0) return { entries, layers };
  const statementOf = (layer: number): Statement => Object.assign({}, ...found.map((of) => of(layer))) as Statement;
  const byLabel = new Map(entries.map((entry) => [entry.label, entry]));

  // With an unknown number of layers, no layer beyond those of a list has a statement.
  const all = Array.from({ length: layers.count ?? 0 }, (_, layer): LayerGroup => {
    const statement = statementOf(layer);
    const label = layers.labelOf(layer);
    const entry = statement.noRope === undefined && label !== undefined ? byLabel.get(label) : undefined;
    const key = entry === undefined ? "" : keyOf(statement, entry.label);
    return { label: statement.noRope === undefined ? label : noRopeLabel, statement, entry, key };
  });
  const keys = new Map<RopeEntry | undefined, Set<string>>();
  for (const { entry, key } of all) keys.set(entry, (keys.get(entry) ?? new Set()).add(key));
  const names = new Map<string, string | null>();
  const used = new Set<string | null>([noRopeLabel, ...all.map(({ label }) => label ?? null)]);
  const split: RopeEntry[] = [];
  const firsts = new Map<string | null, Statement>();
  const labels = all.map(({ label, statement, entry, key }, layer) => {
    if (entry === undefined) return label;
    const known = names.get(key);
    if (known !== undefined || names.has(key)) return known;
    if (split.length >= mostRopes) {
      const { own, share, theta } = statement;
      const expected = `at most ${mostRopes} different ropes`;
      report.issue((theta ?? share ?? own)?.path ?? "", expected, `one more, from layer ${layer}`);
      report.throwIfBroken();
    }
    checkType(firsts.get(entry.label), statement, entry.label, model, report);
    if (!firsts.has(entry.label)) firsts.set(entry.label, statement);
    const isWhole = keys.get(entry)!.size === 1;
    const name = isWhole ? entry.label : nameOf(statement, entry.label, used, layer);
    names.set(key, name);
    split.push({ ...entry, label: name, ...ownOf(statement, entry, model, report) });
    return name;
  });
  const kept = entries.filter(({ label }) => !firsts.has(label));
  return {
    entries: [...split, ...kept],
    layers: {
      count: layers.count,
      typeOf: (layer) => layers.typeOf(layer),
      labelOf: (layer) => (layer < labels.length ? labels[layer] : layers.labelOf(layer)),
    },
  };
}

/** A layer, with the rope of its type; `undefined` for layers without one. */
interface LayerGroup {
  readonly label: string | null | undefined;
  readonly statement: Statement;
  readonly entry: RopeEntry | undefined;
  readonly key: string;
}

/** A class with one rope for each layer type takes the first entry of a list for all layers of a type. */
function checkType(
  first: Statement | undefined,
  { theta, share }: Statement,
  label: string | null,
  { family, modelType }: TextModel,
  report: Report,
): void {
  if (first === undefined || label === null || family.layerRopes?.[label] === undefined) return;
  for (const [mine, other] of [
    [theta, first.theta],
    [share, first.share],
  ] as const) {
    if (mine === undefined || mine.value === other?.value) continue;
    report.issue(
      mine.path,
      `${shown(other?.value)}, as ${other?.path ?? "the model"} says for another layer of ${label}`,
      shown(mine.value),
      `The class of ${modelType} has one rope for each layer type; give layer_types that tell these layers apart.`,
    );
  }
}

/** Layers with equal keys have the same rope. */
function keyOf({ theta, share, unscaled, own }: Statement, label: string | null): string {
  return textOf([label, theta?.value, share?.value, unscaled, own?.key]);
}

/** A text for values. Objects are told apart by identity; equal ropes are merged later. */
function textOf(values: readonly unknown[]): string {
  return values
    .map((value) =>
      typeof value === "object" && value !== null ? numberOf(value) : `${typeof value}:${String(value)}`,
    )
    .join("|");
}

const numbers = new WeakMap<object, string>();
let last = 0;

/** A number for an object. */
function numberOf(value: object): string {
  const known = numbers.get(value) ?? `object:${++last}`;
  numbers.set(value, known);
  return known;
}

/** A label for layers of one type that differ from others of that type. No two are equal. */
function nameOf(
  { theta, share, unscaled, own }: Statement,
  label: string | null,
  used: Set<string | null>,
  layer: number,
): string {
  const parts = [
    ...(label === null ? [] : [label]),
    ...(theta === undefined ? [] : [`theta ${theta.value}`]),
    ...(share === undefined ? [] : [`partial ${share.value}`]),
    ...(unscaled === undefined ? [] : ["unscaled"]),
    // The name is cut; it shows the first keys only.
    ...Object.entries(own?.record ?? {})
      .slice(0, 8)
      .map(([key, value]) => `${join("", key)} ${shown(value)}`),
  ];
  const isBare = parts.length === (label === null ? 0 : 1);
  const short = (isBare ? [...parts, "others"] : parts).join(" ").slice(0, 100);
  const name = used.has(short) ? `${short} (from layer ${layer})` : short;
  used.add(name);
  return name;
}

/** The changes of an entry for layers with a statement. */
function ownOf(
  { theta, share, unscaled, own }: Statement,
  { dictionary, spelled }: RopeEntry,
  { fields }: TextModel,
  report: Report,
): Partial<RopeEntry> {
  const dictionaries = ["rope_parameters", "rope_scaling"].flatMap((key) => {
    const record = own?.record[key];
    return isObject(record) ? [{ record, path: join(own!.path, key), level: 0 }] : [];
  });
  return {
    ...(theta === undefined ? {} : { theta }),
    ...(share === undefined ? {} : { share }),
    ...(unscaled === undefined ? {} : { dictionary: dictionary.only("rope_theta", "partial_rotary_factor") }),
    ...(dictionaries.length === 0 ? {} : { dictionary: new Fields(dictionaries, report) }),
    ...(own === undefined ? {} : { fields: fields.within(own) }),
    ...(own?.record["head_dim"] === undefined ? {} : { spelled: { ...spelled, headDimKeys: [] } }),
  };
}

/** `rope_theta` as a list: Step 3.5. */
function thetas({ model: { fields }, layers, report }: Reading): Statements | undefined {
  const found = fields.all("rope_theta").find(({ value }) => isList(value));
  const list = found && forEachLayer(found, layers, report);
  return list && ((layer) => baseOf(list(layer), report));
}

/** A base for each layer; 0 or null: no rope. Granite SWA, Muse Spark. */
function layerThetas({ model, layers, report }: Reading): Statements | undefined {
  const { fields, family, modelType } = model;
  const key = "layer_rope_theta";
  const found = fields.list(key);
  if (found !== undefined) {
    const list = forEachLayer(found, layers, report);
    const isFlag = family.layerThetasAreFlags === true;
    if (isFlag) noteFlags(found, model, report);
    return (
      list &&
      ((layer) => {
        const { theta, ...rest } = baseOf(list(layer), report);
        return theta === undefined || isFlag ? rest : { ...rest, theta };
      })
    );
  }
  const pattern = patternOf(family.lists?.[key], layers.count);
  // If the class has one base for all layers, the file's own is that one.
  if (pattern === undefined || !pattern.includes(0)) return undefined;
  report.note(
    "implied",
    fields.pathOf(key),
    `The file does not say which layers have no rope; the configuration class of ${modelType} sets it.`,
  );
  return (layer) => (pattern[layer] === 0 ? { noRope: `${key} of the class of ${modelType} is 0` } : undefined);
}

/** A warning if the list has another base than the dictionary, whose base the class takes for all layers. */
function noteFlags(
  { path, value }: Found<readonly unknown[]>,
  { family, fields, modelType }: TextModel,
  report: Report,
): void {
  const dictionary = fields.first("rope_parameters", "rope_scaling")?.value;
  const base = (isObject(dictionary) ? dictionary["rope_theta"] : undefined) ?? family.defaults?.["rope_theta"];
  const other = value.find((each) => each !== 0 && each !== null && each !== base);
  if (other === undefined) return;
  const message = `The class of ${modelType} takes from it only which layers have a rope; their base is ${shown(base)}, not ${shown(other)}.`;
  report.note("differs", path, message, "warning");
}

function baseOf(found: Found, report: Report): Statement {
  if (found.value === 0 || found.value === null) return { noRope: `${found.path} = ${shown(found.value)}` };
  const theta = asNumber(found, report);
  return theta === undefined ? {} : { theta };
}

/** `partial_rotary_factors`: Step 3.5. */
function shares({ model: { fields }, layers, report }: Reading): Statements | undefined {
  const found = fields.first("partial_rotary_factors");
  const list = found && isList(found.value) ? forEachLayer(found, layers, report) : undefined;
  if (list === undefined) return undefined;
  return (layer) => {
    const share = asNumber(list(layer), report);
    return share === undefined ? {} : { share };
  };
}

/** Lists that say whether a layer is rotated. `no_rope_layers` has 1 for a layer that is, despite its name. */
const flagKeys = ["no_rope_layers", "use_rope_layers", "rope_layers", "rope_layout", "position_layers"];
const yes: readonly unknown[] = [1, true, "rope", "rotary"];
const no: readonly unknown[] = [0, false, null, "nope", "none"];

function rotated({ model, layers, report }: Reading): Statements | undefined {
  const { fields, family, modelType } = model;
  const interval = fields.size("no_rope_layer_interval");
  const found = fields.all(...flagKeys).find(({ value }) => !isList(value) || value.length > 0);
  for (const each of [found, interval]) noteForeign(each, model, report);
  if (found !== undefined) {
    const list = forEachLayer(found, layers, report);
    return (
      list &&
      ((layer) => {
        const { value, path } = list(layer);
        if (no.includes(value)) return { noRope: `${path} = ${shown(value)}` };
        if (!yes.includes(value)) {
          report.issue(path, "1 or true for a layer with a rope, 0 or false for one without", shown(value));
        }
        return {};
      })
    );
  }
  const key = "no_rope_layers";
  const pattern = patternOf(family.lists?.[key], layers.count);
  if (pattern === undefined && interval === undefined) return undefined;
  const isBare = (layer: number): boolean =>
    interval === undefined ? pattern![layer] === 0 : (layer + 1) % interval.value === 0;
  report.note(
    "implied",
    fields.pathOf(key),
    interval === undefined
      ? `The file does not list the layers without rope; the configuration class of ${modelType} sets them.`
      : `The file does not list the layers without rope; every ${interval.value}th has none, as ${interval.path} says.`,
  );
  return (layer) => (isBare(layer) ? { noRope: "as the class sets it" } : undefined);
}

/** A warning for a list that a class of transformers does not read. The ropes follow the file. */
function noteForeign(found: Found | undefined, { family, known, modelType }: TextModel, report: Report): void {
  if (found === undefined || !known || family.layerKeys?.includes(found.key) === true) return;
  if (["no_rope_layers", found.key].some((key) => family.lists?.[key] !== undefined)) return;
  const message = `The class of ${modelType} in transformers does not read it, and rotates every layer; these ropes follow the file.`;
  report.note("differs", found.path, message, "warning");
}

/** Lists of the layers without rope: Flint; the layers of Llama 3.2 Vision that look at images. */
const bareKeys = ["no_rope_layer_indices", "cross_attention_layers", "nope_layers"];

function bare({ model, layers, report }: Reading): Statements | undefined {
  const { fields, family } = model;
  const lists = bareKeys.flatMap((key) => {
    const found = fields.list(key) ?? constantOf(family.lists?.[key], key, model);
    if (fields.has(key)) noteForeign(found, model, report);
    return found === undefined ? [] : [{ ...found, value: indices(found, layers, report) }];
  });
  if (lists.length === 0) return undefined;
  return (layer) => {
    const holder = lists.find(({ value }) => value.has(layer));
    return holder === undefined ? undefined : { noRope: `${holder.path} has ${layer}` };
  };
}

/** Lists of the layers that have attention; the others mix tokens in other ways. Bamba, older files of LFM 2. */
function withAttention({ model: { fields, family, modelType }, layers, report }: Reading): Statements | undefined {
  const key = family.attentionOn ?? "full_attn_idxs";
  const found = fields.list(key);
  if (found === undefined && family.attentionOn === undefined) return undefined;
  const list = found === undefined ? new Set<number>() : indices(found, layers, report);
  const why = found?.path ?? `${key} of the class of ${modelType}`;
  return (layer) => (list.has(layer) ? undefined : { noRope: `${why} does not have ${layer}` });
}

/** `rope_scaling_layers`: the layers to which the scaling of the file applies. Molmo 2. */
function scaled({ model: { fields }, layers, report }: Reading): Statements | undefined {
  const found = fields.list("rope_scaling_layers");
  if (found === undefined) return undefined;
  const list = indices(found, layers, report);
  return (layer) => (list.has(layer) ? undefined : { unscaled: true });
}

/**
 * Which layers have an indexer. `indexer_types`: `"full"` for layers with one, `"shared"` for those that use its choice
 * (Hunyuan 4). In some families, layers of one type only.
 */
export function findIndexers(model: TextModel, layers: Layers, report: Report): (layer: number) => boolean {
  const { fields, family } = model;
  if (family.indexer === undefined) return () => false;
  const key = "indexer_types";
  const { onlyOn } = family.indexer;
  const found = fields.list(key);
  const list = found && forEachLayer(found, layers, report);
  const pattern = patternOf(family.lists?.[key], layers.count);
  return (layer) => {
    const isShared = (list?.(layer).value ?? pattern?.[layer]) === "shared";
    return !isShared && (onlyOn === undefined || onlyOn.includes(String(layers.typeOf(layer))));
  };
}

/** Keys of `per_layer_config` that concern a rope. */
const ownKeys =
  /rope|rotary|^(head_dim|kv_channels|attention_head_dim|head_size|hidden_size|num_attention_heads|qk_nope_head_dim|max_position_embeddings)$/;

/** `per_layer_config`: settings of single layers, by their number (`"5"`, `"05"`) or by layer type. */
function settings({ model: { fields }, layers, report }: Reading): Statements | undefined {
  const found = fields.first("per_layer_config");
  if (found === undefined) return undefined;
  if (!isObject(found.value)) {
    report.issue(found.path, "an object with layers or layer types as keys", shown(found.value));
    return undefined;
  }
  const entries = Object.entries(found.value);
  if (entries.length > mostLayers) {
    report.issue(found.path, `at most ${mostLayers} keys, one for each layer`, `${entries.length}`);
    return undefined;
  }
  const types = fields.first("layer_types")?.value;
  const named = entries.flatMap(([key, value]) => {
    const path = join(found.path, key);
    if (!isObject(value)) {
      if (value !== null) report.issue(path, "an object with keys of a config", shown(value));
      return [];
    }
    const mine = Object.entries(value).filter(([each]) => ownKeys.test(each));
    if (mine.length > mostKeys) report.issue(path, `at most ${mostKeys} keys of a rope`, `${mine.length}`);
    const record = Object.fromEntries(mine.slice(0, mostKeys));
    const isNumber = /^\d{1,5}$/.test(key);
    if (isNumber && layers.count !== null && Number(key) >= layers.count) {
      report.issue(path, `a layer from 0 to ${layers.count - 1}`, key);
    }
    const own = { record, path, key: textOf(Object.entries(record).flat()) };
    return mine.length === 0 ? [] : [{ at: isNumber ? Number(key) : key, own }];
  });
  if (named.length === 0) return undefined;
  const typeOf = (layer: number): unknown => (isList(types) ? types[layer] : layers.labelOf(layer));
  const byName = new Map<unknown, Own>();
  for (const { at, own } of named) {
    const other = byName.get(at);
    if (other !== undefined) report.issue(own.path, `one entry for layer ${at}`, `two; the other is ${other.path}`);
    byName.set(at, own);
  }
  return (layer) => {
    const mine = byName.get(layer) ?? byName.get(typeOf(layer));
    return mine && { own: mine };
  };
}

/** The entries of a list with one for each layer. A list may go on with those of layers that predict further tokens. */
function forEachLayer(found: Found, { count }: Layers, report: Report): ((layer: number) => Found) | undefined {
  const list = isList(found.value) ? found.value : undefined;
  if (list === undefined || (count !== null && list.length < count)) {
    const expected =
      count === null ? "a list with an entry for each layer" : `a list of ${count} entries, one for each layer`;
    report.issue(found.path, expected, list === undefined ? shown(found.value) : `${list.length}`);
    return undefined;
  }
  return (layer) => ({ value: list[layer], path: `${found.path}[${layer}]`, key: found.key });
}

/** A list of layers by their number. */
function indices({ path, value }: Found<readonly unknown[]>, { count }: Layers, report: Report): ReadonlySet<number> {
  const isLayer = (layer: unknown): layer is number =>
    Number.isSafeInteger(layer) && (layer as number) >= 0 && (count === null || (layer as number) < count);
  const wrong = value.find((layer) => !isLayer(layer));
  if (Number.isSafeInteger(wrong) && (wrong as number) >= 0) {
    report.note(
      "differs",
      path,
      `The model has ${count} layers, so its layer ${wrong as number} does not exist.`,
      "warning",
    );
  } else if (wrong !== undefined) report.issue(path, "layers, counted from 0", shown(wrong));
  return new Set(value.filter(isLayer));
}

/** The list that a class makes for a number of layers. */
export function patternOf(pattern: LayerPattern | undefined, count: number | null): readonly unknown[] | undefined {
  if (pattern === undefined || count === null || !("period" in pattern)) return undefined;
  const { prefix = [], period } = pattern;
  const list = Array.from({ length: count }, (_, i) => prefix[i] ?? period[(i - prefix.length) % period.length]);
  if (pattern.from === "last") return list.reverse();
  return pattern.end === undefined ? list : [...list.slice(0, -1), pattern.end];
}

function constantOf(
  pattern: LayerPattern | undefined,
  key: string,
  { modelType }: TextModel,
): Found<readonly unknown[]> | undefined {
  if (pattern === undefined || !("constant" in pattern)) return undefined;
  return { value: pattern.constant, path: `${key} of the class of ${modelType}`, key };
}

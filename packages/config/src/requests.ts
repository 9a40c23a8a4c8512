/**
 * From a config to rope requests: plain data, with the rule behind each number. Nothing is built here and no provider is
 * needed.
 */

import { RopeError } from "@ropewalk/core";
import type { Pairing, Precision, RopeRegistry, RopeRule, UntypedRopeRequest } from "@ropewalk/core";
import { applyEngineRules, whyUnused } from "./engine-rules.ts";
import type { Parameters } from "./engine-rules.ts";
import { agree, isObject, keyOf } from "./fields.ts";
import type { Fields, Found, FoundNumber } from "./fields.ts";
import { findLayers, typesWithoutAttention } from "./layers.ts";
import type { Layers } from "./layers.ts";
import { Report, show } from "./report.ts";
import type { ConfigNote } from "./report.ts";
import { canonicalTypeName, parameterName, ropeTypeFacts } from "./rope-types.ts";
import { findRopes, findTextModel, findTheta, perLayer } from "./spelling.ts";
import type { RopeEntry, TextModel } from "./spelling.ts";

/** Overrides of what the file says. */
export interface ConfigOptions {
  /** Where a type's parameters are looked up; a type that is not registered there is read by a built-in list. */
  readonly registry?: RopeRegistry | undefined;
  readonly precision?: Precision | undefined;
  /** `null`: no limit but that of exact positions. */
  readonly maxPosition?: number | null | undefined;
  readonly pairing?: Pairing | undefined;
}

/** The rope of one layer type, as data. */
export interface LayerRopeRequest {
  /** `null` where all layers that have a rope share it. */
  readonly layerType: string | null;
  /** `null` for layers without rope. */
  readonly request: UntypedRopeRequest | null;
  /** Why each number is what it is, with the keys of the file. */
  readonly rules: readonly RopeRule[];
  /** Where in the file each parameter stood, by its name. */
  readonly paths: ReadonlyMap<string, string>;
}

/** What a config asks for. */
export interface RopeRequests {
  readonly modelType: string | null;
  readonly byLayerType: ReadonlyMap<string | null, LayerRopeRequest>;
  /** The number of layers; `null` where the file does not say. */
  readonly layerCount: number | null;
  /**
   * The key in `byLayerType` of a layer, from 0.
   * @throws RopeError `ROPE_CONFIG` for a layer that the model does not have.
   */
  layerTypeOf(layer: number): string | null;
  readonly notes: readonly ConfigNote[];
}

/** The key in `byLayerType` of layers that `no_rope_layers` leaves out. */
const skipped = "no_rope";

/**
 * Reads the parsed config.json of a model.
 *
 * @param config never mutated; only own keys are read.
 * @throws RopeError `ROPE_CONFIG` with every contradiction, or with what is missing.
 */
export function ropeRequestsFromConfig(config: unknown, options: ConfigOptions = {}): RopeRequests {
  if (!isObject(config)) throw new RopeError("ROPE_CONFIG", { what: "a config is not an object", expected: "the parsed JSON of a model's config.json", got: show(config), remedy: "Pass JSON.parse(text)." });
  const report = new Report();
  const model = findTextModel(config, report);
  checkHasRope(model, report);
  report.throwIfBroken();

  const layers = findLayers(model, report);
  const entries = findRopes(model, report);
  const labelOf = ropeLabels(model, entries, layers, report);
  const requests = entries.map((entry) => readEntry(entry, { model, layers, labelOf, options, report }));
  checkOuterValues(model, entries, requests, report);
  noteUnread(model, entries, requests, report);
  report.throwIfBroken();

  const byLayerType = new Map<string | null, LayerRopeRequest>(requests.map((request) => [request.layerType, request]));
  for (let layer = 0; layer < (layers.count ?? 0); layer++) {
    const label = labelOf(layer);
    if (!byLayerType.has(label)) byLayerType.set(label, { layerType: label, request: null, rules: [], paths: new Map() });
  }
  return Object.freeze({
    modelType: model.modelType,
    byLayerType,
    layerCount: layers.count,
    layerTypeOf: (layer: number) => {
      if (Number.isSafeInteger(layer) && layer >= 0 && (layers.count === null || layer < layers.count)) return labelOf(layer);
      throw new RopeError("ROPE_CONFIG", { what: "the model has no such layer", expected: layers.count === null ? "an integer ≥ 0" : `an integer from 0 to ${layers.count - 1}`, got: show(layer) });
    },
    notes: Object.freeze(report.notes),
  });
}

/** Refuses models that have no rope, and files that do not speak of one. */
function checkHasRope({ fields, family, modelType, known }: TextModel, report: Report): void {
  const position = fields.first("position_embedding_type");
  const byKey = position !== undefined && typeof position.value === "string" && !["rope", "rotary"].includes(position.value);
  const alibi = fields.first("alibi");
  const attention = fields.first("attn_config");
  const nestedAlibi = isObject(attention?.value) && attention.value["alibi"] === true;
  if (family.ropeless !== undefined) {
    report.issue("model_type", "a model with rotary position embedding", `${show(modelType)}: ${family.ropeless}`);
  } else if (alibi?.value === true || nestedAlibi) {
    report.issue(nestedAlibi ? `${attention!.path}.alibi` : alibi!.path, "a model with rotary position embedding", "true: attention is biased by distance (ALiBi)");
  } else if (byKey) {
    report.issue(position.path, '"rope" or "rotary"', show(position.value), "This model has no rotary position embedding.");
  } else if (!known) {
    const evidence = fields.keys().some((key) => /^(rope_|rotary|partial_rotary|qk_rope|kv_rope)|rope_(theta|base|scaling|parameters|ratio)/.test(key));
    if (!evidence) {
      const received = modelType === null ? "none of these keys and no model_type" : `none of these keys, and the model_type ${show(modelType)} is not known`;
      report.issue("rope_theta", "rope_theta, rope_scaling, rope_parameters or another key that speaks of rope, or a known model_type", received, "Is this the config.json of a language model?");
    } else {
      const which = modelType === null ? "There is no model_type" : `The model_type ${show(modelType)} is not in the table`;
      report.note("implied", "model_type", `${which}; pairs are halves and the first elements of a head are rotated, as in Llama, unless the file says otherwise.`);
    }
  }
}

/** The key in `byLayerType` of each layer. */
function ropeLabels({ family, fields }: TextModel, entries: readonly RopeEntry[], layers: Layers, report: Report): (layer: number) => string | null {
  const labels = new Set(entries.map(({ label }) => label));
  const shared = labels.has(null);
  // EXAONE-4 without a sliding window rotates every layer.
  const onlyOn = family.ropeOnlyOn !== undefined && !fields.isNull("sliding_window") ? family.ropeOnlyOn : undefined;
  const labelOf = (layer: number): string | null => {
    if (layers.isSkipped(layer)) return skipped;
    const type = layers.typeOf(layer);
    if (type === null) return shared ? null : (entries[0]?.label ?? null);
    if (typesWithoutAttention.includes(type) && !labels.has(type)) return type;
    if (onlyOn !== undefined && !onlyOn.includes(type)) return type;
    if (shared) return null;
    return family.ropeOfLayerType?.[type] ?? type;
  };
  if (!shared) {
    for (let layer = 0; layer < (layers.count ?? 0); layer++) {
      const type = layers.typeOf(layer);
      const label = labelOf(layer);
      if (type !== null && label === type && !labels.has(label) && !typesWithoutAttention.includes(type)) {
        report.issue(`layer_types[${layer}]`, `one of ${[...labels].join(", ")}, which have a rope`, show(type));
      }
    }
  }
  return labelOf;
}

interface ReadContext {
  readonly model: TextModel;
  readonly layers: Layers;
  readonly labelOf: (layer: number) => string | null;
  readonly options: ConfigOptions;
  readonly report: Report;
}

/** A number of a request with the reason for it. */
interface Explained<T> {
  readonly value: T;
  readonly rule: string;
  readonly source?: string;
}

function readEntry(entry: RopeEntry, context: ReadContext): LayerRopeRequest {
  const { label, dictionary } = entry;
  if (dictionary === null) return { layerType: label, request: null, rules: [{ name: "ropeType", value: null, rule: "null in the file: these layers have no rope" }], paths: new Map() };
  const { model, options } = context;
  const maxPosition = readMaxPosition(model, dictionary, context.report);
  const { ropeType, ladder, typeRule } = readType(entry, dictionary, context);
  const headDim = readHeadDim(entry, context);
  const rotated = readRotated(entry, dictionary, ladder, headDim, context);
  const base = readBase(entry, dictionary, context);
  const pairing = readPairing(context);
  const { parameters, paths } = readParameters(entry, dictionary, ropeType, ladder, maxPosition, rotated.share, context);

  const limit = options.maxPosition === undefined ? maxPosition?.value : (options.maxPosition ?? undefined);
  const request: UntypedRopeRequest = {
    headDim: headDim?.value ?? 0,
    ...(rotated.rotaryDim === undefined ? {} : { rotaryDim: rotated.rotaryDim.value }),
    ...(rotated.rotaryOffset === undefined ? {} : { rotaryOffset: rotated.rotaryOffset.value }),
    base: base.value,
    ...(limit === undefined ? {} : { maxPosition: limit }),
    pairing: pairing.value,
    ...(options.precision === undefined ? {} : { precision: options.precision }),
    parameters,
  };
  const rules: RopeRule[] = [];
  const add = (name: string, explained: Explained<unknown> | undefined): void => {
    if (explained === undefined) return;
    const { value, rule, source } = explained;
    const plain = typeof value === "object" && value !== null ? JSON.stringify(value) : (value as string | number | boolean | null);
    rules.push(source === undefined ? { name, value: plain, rule } : { name, value: plain, rule, source });
  };
  add("ropeType", { value: ropeType, rule: typeRule });
  add("headDim", headDim);
  add("rotaryDim", rotated.rotaryDim ?? (headDim && { value: headDim.value, rule: rotated.rule }));
  add("rotaryOffset", rotated.rotaryOffset);
  add("base", base);
  add("maxPosition", options.maxPosition === undefined ? maxPosition && { value: maxPosition.value, rule: maxPosition.path } : { value: options.maxPosition, rule: "given by the caller" });
  add("pairing", pairing);
  for (const [name, path] of paths) add(name, { value: showParameter(parameters, name), rule: path });
  return Object.freeze({ layerType: label, request: Object.freeze(request), rules: Object.freeze(rules), paths });
}

function showParameter(parameters: Readonly<Record<string, unknown>>, name: string): unknown {
  const inLadder = isObject(parameters["ladder"]) ? parameters["ladder"][name] : undefined;
  const value = parameters[name] ?? inLadder;
  return Array.isArray(value) && value.length > 8 ? show(value) : value;
}

const maxPositionKeys = ["max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "seq_length", "n_ctx"];

function readMaxPosition({ fields, family, modelType }: TextModel, dictionary: Fields, report: Report): FoundNumber | undefined {
  const inside = dictionary.number(["max_position_embeddings"], true);
  const found = fields.number(maxPositionKeys, true) ?? inside;
  if (found !== undefined) return found;
  const implied = family.defaults?.["max_position_embeddings"];
  if (typeof implied !== "number") return undefined;
  report.note("implied", "max_position_embeddings", `The file does not state it; ${implied} is the default of the configuration class of ${modelType}.`);
  return { value: implied, path: "max_position_embeddings" };
}

/** Numbers that only a scaled rope has. */
const scalingKeys = ["factor", "alpha", "short_factor", "long_factor", "low_freq_factor", "beta_fast"];

/** The type of the request, and the ladder under it: they differ for ropes with several position axes. */
function readType(entry: RopeEntry, dictionary: Fields, { model, report }: ReadContext): { ropeType: string; ladder: string; typeRule: string } {
  const { family } = model;
  const stated = [...dictionary.all("rope_type"), ...dictionary.all("type")].filter(({ value, path }) => {
    if (typeof value === "string" && value !== "") return true;
    report.issue(path, "the name of a rope type", show(value));
    return false;
  }) as (Found & { value: string })[];
  // mrope says which axes there are, not which frequencies.
  const resolved = stated.map(({ value }) => resolveType(value === "mrope" ? "default" : value, dictionary, model));
  const other = resolved.findIndex((name) => name !== resolved[0]);
  if (other > 0) report.issue(stated[other]!.path, `${show(stated[0]!.value)}, as ${stated[0]!.path} says`, show(stated[other]!.value), "The file says two things; correct or remove one of them.");

  const implied = entry.defaults["rope_type"];
  const first = stated[0];
  if (first === undefined && typeof implied !== "string") {
    const scaling = dictionary.all(...scalingKeys)[0];
    if (scaling !== undefined) report.issue(`${dictionary.path}.rope_type`, `the name of a rope type, since ${keyOf(scaling)} is given`, "nothing", "Without a type no engine scales; add rope_type, or remove the numbers.");
  }
  const ladder = resolved[0] ?? resolveType(typeof implied === "string" ? implied : "default", dictionary, model);
  for (const { value, path } of stated) {
    if (canonicalTypeName(value) !== value || (value !== ladder && value !== "mrope" && value !== "default")) report.note("alias", path, `${show(value)} is read as the type ${ladder}.`);
  }
  const rule = first === undefined ? (implied === undefined ? "no type in the file: the original rope" : `the class of ${model.modelType}`) : first.path;

  const sections = dictionary.has("mrope_section") || dictionary.has("xdrope_section");
  const axes = sections || family.axes !== undefined || stated.some(({ value }) => value === "mrope");
  if (!axes || ladder === "openpangu") return { ropeType: ladder, ladder, typeRule: rule };
  const ropeType = ladder === "xdrope" ? "xdrope" : (family.axes?.ropeType ?? "mrope");
  return { ropeType, ladder, typeRule: `${rule}, with ${sections ? "sections" : "the position axes of the family"}` };
}

function resolveType(name: string, dictionary: Fields, { family, fields, known }: TextModel): string {
  if (family.typeNames !== undefined && Object.hasOwn(family.typeNames, name)) return family.typeNames[name]!;
  const canonical = canonicalTypeName(name);
  if (canonical === "dynamic" && dictionary.first("alpha")?.value) return family.axes?.ropeType === "xdrope" ? "xdrope" : "dynamic_alpha";
  const latent = family.softmaxMagnitude ?? (!known && fields.has("qk_rope_head_dim"));
  if (canonical === "yarn" && latent) return "deepseek_yarn";
  if (canonical !== "default") return canonical;
  if (dictionary.flag("use_fope")?.value === true) return "fope";
  if (fields.flag("use_dynamic_ntk")?.value === true) return "qwen_dynamic";
  return family.defaultType ?? "default";
}

const headDimKeys = ["head_dim", "kv_channels", "attention_head_dim", "head_size"];
const widthKeys = ["hidden_size", "n_embd", "d_model", "dim"];
const headKeys = ["num_attention_heads", "n_head", "n_heads", "num_heads"];

/** Explicit, then the slice of latent attention, then the class's own, then width / heads. */
function readHeadDim(entry: RopeEntry, { model, report }: ReadContext): Explained<number> | undefined {
  const { fields, family, modelType, known } = model;
  const ofClass = (key: string): Explained<number> | undefined => {
    const value = family.defaults?.[key];
    return typeof value === "number" ? { value, rule: `${key} is not in the file; default of the configuration class of ${modelType}` } : undefined;
  };
  for (const key of entry.headDimKeys) {
    const found = fields.number([key], true);
    const own = found === undefined ? ofClass(key) : { value: found.value, rule: found.path };
    if (own !== undefined) return own;
  }
  const explicit = fields.number(headDimKeys, true);
  const slice = fields.number(["qk_rope_head_dim"], true);
  if (slice !== undefined && (family.latent ?? !known) && family.rotatesLast !== true) {
    if (explicit !== undefined) checkSlice(explicit, slice, fields, report);
    return { value: slice.value, rule: `${slice.path}: the slice of a head that latent attention rotates`, source: "DeepSeek-V2 §2.1" };
  }
  if (explicit !== undefined) return { value: explicit.value, rule: explicit.path };
  const standard = ofClass("head_dim");
  if (standard !== undefined) {
    report.note("implied", "head_dim", `The file does not state it; ${standard.value} is the default of the configuration class of ${modelType}.`);
    return standard;
  }
  const width = fields.number(widthKeys, true);
  const heads = fields.number(headKeys, true);
  if (width === undefined || heads === undefined) {
    const missing = width === undefined ? (heads === undefined ? "none of them" : `${heads.path} alone`) : `${width.path} alone`;
    report.issue("head_dim", "head_dim, or hidden_size and num_attention_heads", missing);
    return undefined;
  }
  const value = width.value / heads.value;
  const arithmetic = `${keyOf(width)} / ${keyOf(heads)} = ${width.value} / ${heads.value} = ${value}`;
  if (!Number.isInteger(value)) {
    report.issue("head_dim", "a head dimension that is an integer", arithmetic, "State head_dim, or correct the two.");
    return undefined;
  }
  return { value, rule: arithmetic };
}

/** A head dimension beside the slice may be the slice, or the whole head; nothing else fits. */
function checkSlice(explicit: FoundNumber, slice: FoundNumber, fields: Fields, report: Report): void {
  const rest = fields.number(["qk_nope_head_dim"], true);
  if (explicit.value === slice.value || rest === undefined) return;
  if (explicit.value === slice.value + rest.value) return;
  const sum = `${rest.value} + ${slice.value} = ${rest.value + slice.value}`;
  report.issue(explicit.path, `qk_rope_head_dim (${slice.value}) or qk_nope_head_dim + qk_rope_head_dim = ${sum}`, `${explicit.value}`);
}

interface Rotated {
  readonly rotaryDim?: Explained<number>;
  readonly rotaryOffset?: Explained<number>;
  /** The share of a head, where the type takes it as a parameter. */
  readonly share?: Found;
  readonly rule: string;
}

const shareKeys = ["partial_rotary_factor", "rotary_pct", "rope_pct", "rotary_percent", "rotary_emb_fraction"];

/** How many elements of a head are rotated, and which. */
function readRotated(entry: RopeEntry, dictionary: Fields, ladder: string, headDim: Explained<number> | undefined, context: ReadContext): Rotated {
  const { model, report } = context;
  const { fields, family, known, modelType } = model;
  const inside = dictionary.all("partial_rotary_factor");
  const lists = fields.all("partial_rotary_factors").map((found) => perLayer(found, layersOf(entry, context), report));
  const outside = [...fields.all(...shareKeys), ...lists.filter((found) => found !== undefined)];
  const share = agree(entry.nested && inside.length > 0 ? inside : [...inside, ...outside], report);
  const width = agree([...dictionary.all("rope_dim"), ...fields.all("rotary_dim")], report, true);
  const whole = { rule: "all of the head" };
  const total = headDim?.value;
  if (total === undefined) return whole;

  if (family.rotatesLast === true) {
    const slice = fields.number(["qk_rope_head_dim"], true);
    const implied = standardShare(entry, family);
    const rotaryDim = slice?.value ?? Math.trunc(total * (share?.value ?? implied ?? 1));
    return {
      rotaryDim: { value: rotaryDim, rule: slice?.path ?? share?.path ?? `default of the configuration class of ${modelType}` },
      rotaryOffset: { value: total - rotaryDim, rule: `headDim − rotaryDim: ${modelType} rotates the last elements of a head` },
      rule: "",
    };
  }
  if (ladder === "proportional") {
    const implied = standardShare(entry, family);
    const found = share ?? (implied === undefined ? undefined : { value: implied, path: `default of the configuration class of ${modelType}` });
    return { ...(found === undefined ? {} : { share: found }), rule: "all of the head; the pairs beyond the share turn by 0" };
  }
  if (share === undefined && width === undefined) {
    const implied = standardShare(entry, family);
    const dim = family.defaults?.["rotary_dim"];
    if (implied === undefined && typeof dim !== "number") return whole;
    const rotaryDim = typeof dim === "number" ? dim : Math.trunc(total * implied!);
    const key = typeof dim === "number" ? "rotary_dim" : "partial_rotary_factor";
    report.note("implied", key, `The file does not state it; ${dim ?? implied} is the default of the configuration class of ${modelType}.`);
    return { rotaryDim: { value: rotaryDim, rule: `${key} ${dim ?? implied} is the default of the configuration class of ${modelType}` }, rule: "" };
  }
  const fromShare = share === undefined ? undefined : Math.trunc(total * share.value);
  if (fromShare !== undefined && width !== undefined && fromShare !== width.value) {
    report.issue(width.path, `trunc(${keyOf(share!)} · head_dim) = trunc(${share!.value} · ${total}) = ${fromShare}`, `${width.value}`, "The file says two things; correct or remove one of them.");
  }
  const rotaryDim = width?.value ?? fromShare!;
  const rule = width?.path ?? `trunc(${share!.path} · headDim) = trunc(${share!.value} · ${total})`;
  const { path } = width ?? share!;
  if (rotaryDim !== total && known && family.readsPartial !== true) {
    if (ladder === "default") {
      report.note("differs", path, `The class of ${modelType} in transformers rotates all ${total} elements of a head whatever ${keyOf({ value: 0, path })} says; vLLM rotates the first ${rotaryDim}.`);
      return whole;
    }
    report.note("differs", path, `The first ${rotaryDim} elements of a head are rotated, as vLLM does; the class of ${modelType} in transformers cannot run a scaled rope on a part of the head.`);
  }
  return { rotaryDim: { value: rotaryDim, rule }, rule };
}

function standardShare(entry: RopeEntry, family: TextModel["family"]): number | undefined {
  const value = entry.defaults["partial_rotary_factor"] ?? family.defaults?.["partial_rotary_factor"];
  return typeof value === "number" ? value : undefined;
}

/** The layers that use an entry; empty where the number of layers is not known. */
function layersOf({ label }: RopeEntry, { layers, labelOf }: ReadContext): number[] {
  return Array.from({ length: Math.min(layers.count ?? 0, 10_000) }, (_, layer) => layer).filter((layer) => labelOf(layer) === label);
}

function readBase(entry: RopeEntry, dictionary: Fields, context: ReadContext): Explained<number> {
  const { model, report } = context;
  const { fields, family, modelType } = model;
  const inside = dictionary.all("rope_theta", "base", "rope_base");
  const layers = layersOf(entry, context);
  const outside = inside.length > 0 && entry.nested ? undefined : findTheta(fields, entry, layers, report);
  const found = agree(outside === undefined ? inside : [...inside, outside], report) ?? (entry.nested ? findTheta(fields, { ...entry, thetaKeys: ["rope_theta"] }, layers, report) : undefined);
  if (found !== undefined) {
    const value = Number(found.value);
    if (keyOf(found) !== "rope_theta" && !found.path.includes("rope_theta[")) report.note("alias", found.path, `${keyOf(found)} is read as the base of the rope.`);
    if (!(value > 0)) report.issue(found.path, "a number > 0", show(found.value));
    return { value, rule: found.path };
  }
  const standard = entry.defaults["rope_theta"] ?? family.defaults?.["rope_theta"];
  const value = typeof standard === "number" ? standard : 10_000;
  const whose = typeof standard === "number" ? `of the configuration class of ${modelType}` : "of transformers";
  const ratio = modelType === "chatglm" ? fields.number(["rope_ratio"]) : undefined;
  if (ratio !== undefined) return { value: value * ratio.value, rule: `${value} · ${ratio.path} = ${value} · ${ratio.value}`, source: "the model's own code" };
  report.note("implied", entry.label === null ? "rope_theta" : `rope_theta of ${entry.label}`, `The file does not state it; ${value} is the default ${whose}.`);
  return { value, rule: `rope_theta is not in the file; default ${whose}` };
}

function readPairing({ model, options, report }: ReadContext): Explained<Pairing> {
  const { family, fields, modelType, known } = model;
  if (options.pairing !== undefined) return { value: options.pairing, rule: "given by the caller" };
  const latent = !known && fields.has("qk_rope_head_dim");
  const flag = family.pairingKey !== undefined || latent ? fields.flag(family.pairingKey ?? "rope_interleave") : undefined;
  if (flag !== undefined) return { value: flag.value ? "adjacent" : "half", rule: flag.path };
  if (latent) {
    report.note("implied", "model_type", "Latent attention pairs adjacent elements, as in DeepSeek-V2 and V3.");
    return { value: "adjacent", rule: "latent attention, as in DeepSeek" };
  }
  return { value: family.pairing ?? "half", rule: known ? `the class of ${modelType}` : "Hugging Face rotate_half, for want of a known model_type" };
}

/** The parameters of the type, and where each stood. */
function readParameters(
  entry: RopeEntry,
  dictionary: Fields,
  ropeType: string,
  ladder: string,
  maxPosition: FoundNumber | undefined,
  share: Found | undefined,
  { model, options, report }: ReadContext,
): { parameters: UntypedRopeRequest["parameters"] & Readonly<Record<string, unknown>>; paths: Map<string, string> } {
  const { fields, family } = model;
  const readable = parametersOf(ladder, options.registry);
  const found: Parameters = new Map();
  for (const key of dictionary.keys()) {
    const name = parameterName(key);
    if (name === "sections" || (readable !== undefined && !readable.includes(name)) || notParameters.has(key)) continue;
    found.set(name, dictionary.first(key)!);
  }
  if (share !== undefined) found.set("partialRotaryFactor", share);
  if (ladder === "yarn" && !found.has("attentionFactor") && typeof entry.defaults["attention_factor"] === "number") {
    found.set("attentionFactor", { value: entry.defaults["attention_factor"], path: `the class of ${model.modelType}` });
  }
  if (ladder === "qwen_dynamic") {
    const trained = fields.number(["seq_length"], true);
    if (trained !== undefined) found.set("originalMaxPosition", trained);
  }
  const outerOriginal = fields.number(["original_max_position_embeddings"], true);
  applyEngineRules(ladder, found, { dictionary, nested: entry.nested, maxPosition, outerOriginal, report });

  const paths = new Map([...found].map(([name, { path }]) => [name, path]));
  const values = Object.fromEntries([...found].map(([name, { value }]) => [name, value]));
  if (ropeType === ladder && !dictionary.has("mrope_section")) return { parameters: { ropeType, ...values }, paths };

  const sections = dictionary.first("mrope_section", "xdrope_section");
  const order = dictionary.flag("mrope_interleaved", "interleaved");
  if (sections !== undefined) paths.set("sections", sections.path);
  const cyclic = order === undefined ? family.axes?.assignment === "cyclic" : order.value;
  const axes = { sections: sections?.value ?? family.axes?.sections ?? null, assignment: cyclic ? "cyclic" : "sectioned" };
  const inner = ladder === ropeType ? values : ladder === "default" ? {} : { ladder: { ropeType: ladder, ...values } };
  return { parameters: { ropeType, ...axes, ...inner }, paths };
}

/** Keys of a rope dictionary that are read elsewhere. */
const notParameters: ReadonlySet<string> = new Set(["rope_type", "type", "rope_theta", "base", "rope_base", "rope_dim", "max_position_embeddings", "use_fope", "attn_factor", "mrope_interleaved", "interleaved"]);

/** What a type reads: the registered provider's schema, else the built-in list, else everything. */
function parametersOf(ropeType: string, registry: RopeRegistry | undefined): readonly string[] | undefined {
  const provider = registry?.get(ropeType)?.provider;
  return provider === undefined ? ropeTypeFacts(ropeType)?.parameters : Object.keys(provider.parameters);
}

/** A base beside a rope for each layer type is a default for those; it contradicts when none of them has it. */
function checkOuterValues({ fields }: TextModel, entries: readonly RopeEntry[], requests: readonly LayerRopeRequest[], report: Report): void {
  if (!entries.some(({ nested }) => nested)) return;
  const outer = fields.number(["rope_theta"]);
  const bases = requests.flatMap(({ request }) => (request?.base === undefined ? [] : [request.base]));
  if (outer !== undefined && !bases.includes(outer.value)) {
    report.issue(outer.path, `one of ${bases.join(", ")}, which the layer types state`, `${outer.value}`, "The file says two things; correct or remove one of them.");
  }
}

/** Keys that look like rope and that nothing has read. */
function noteUnread({ fields }: TextModel, entries: readonly RopeEntry[], requests: readonly LayerRopeRequest[], report: Report): void {
  const dualChunk = fields.first("dual_chunk_attention_config");
  if (dualChunk !== undefined) report.note("differs", dualChunk.path, "transformers ignores it and attends plainly; vLLM and SGLang fold positions into chunks (type dual_chunk).");
  entries.forEach(({ dictionary }, index) => {
    const ropeType = requests[index]?.request?.parameters.ropeType ?? "none";
    for (const unread of dictionary?.unread() ?? []) report.note("unused", unread.path, whyUnused(keyOf(unread), unread.value, ropeType));
  });
  const seen = new Set(["rope_parameters", "rope_scaling"]);
  for (const unread of fields.unread()) {
    const key = keyOf(unread);
    if (!seen.has(key) && /^(rope|rotary|mrope|xdrope|yarn|partial_rotary)|_rope_|rope_theta/.test(key)) {
      report.note("unused", unread.path, `Nothing reads ${key} = ${isObject(unread.value) ? "{…}" : show(unread.value)}.`);
    }
  }
}

/** Reads the base, the pairing and the query scale. They do not depend on the type of the rope. */

import type { Pairing, QueryScale } from "@ropewalk/core";
import type { Fact, RopeFacts } from "../facts/fact.ts";
import type { Fields } from "../locate/fields.ts";
import { agree, asNumber, isObject, join, own, shown } from "../locate/found.ts";
import type { Found, JsonObject } from "../locate/found.ts";
import type { Located, RopeEntry, TextModel } from "../locate/located.ts";
import type { Report } from "../report.ts";

/** The facts of a rope that do not depend on its type. */
export type BaseFacts = Pick<RopeFacts, "base" | "pairing" | "queryScale">;

/** @param trained the trained length, if the type has one. */
export function readBase(entry: RopeEntry, trained: unknown, located: Located): BaseFacts {
  const queryScale = readQueryScale(entry.dictionary, trained, located);
  return {
    base: readTheta(entry, located),
    pairing: readPairing(located),
    ...(queryScale === undefined ? {} : { queryScale }),
  };
}

/** The base: in the dictionary, beside it, in `attn_config`, or the default of the family. */
function readTheta(entry: RopeEntry, located: Located): Fact<number> {
  const { model, report } = located;
  const { dictionary, label, nested, spelled, theta } = entry;
  if (theta !== undefined) {
    if (theta.value < 0) report.issue(theta.path, "a number > 0, or 0 for a layer without rope", shown(theta.value));
    return { value: theta.value, rule: theta.path };
  }
  checkAttentionSettings(model, report);
  // Lists say it layer by layer (`locate/per-layer.ts`).
  const outer = (keys: readonly string[]): Found<number>[] =>
    model.fields.all(...keys).flatMap((found) => (Array.isArray(found.value) ? [] : (asNumber(found, report) ?? [])));
  const inside = dictionary.all("rope_theta").flatMap((found) => asNumber(found, report) ?? []);
  // If each layer type has its own rope, rope_theta beside them is the default for types that state none.
  const isOwn = (key: string): boolean => !(nested && inside.length > 0 && key === "rope_theta");
  const isLeft = ({ key, value }: Found<number>): boolean =>
    inside.length > 0 && model.family.leftBases?.[key] === value && inside[0]!.value !== value;
  const outside = agree(
    outer(spelled.thetaKeys.filter(isOwn)).filter((found) => !isLeft(found)),
    report,
  );
  const found =
    agree([...inside, ...(outside === undefined ? [] : [outside])], report) ??
    (nested ? agree(outer(["rope_theta"]), report) : undefined);
  if (found === undefined) return baseInAttention(located) ?? impliedBase(entry, model, report);
  if (found.key !== "rope_theta") {
    const ofLabel = label === null ? "" : ` of ${label}`;
    report.note("alias", found.path, `${found.key} is read as the base of the rope${ofLabel}.`);
  }
  if (found.value <= 0) report.issue(found.path, "a number > 0", shown(found.value));
  return { value: found.value, rule: found.path };
}

/** The default base of the family's code, or of transformers. A note says where the file can state it. */
function impliedBase({ dictionary, label, spelled }: RopeEntry, model: TextModel, report: Report): Fact<number> {
  const { fields, family, modelType } = model;
  const ofDictionary = fields.has("rope_parameters", "rope_scaling") ? family.dictionaryBase : undefined;
  const standard = spelled.defaults["rope_theta"] ?? ofDictionary ?? family.defaults?.["rope_theta"];
  const value = typeof standard === "number" ? standard : 10_000;
  const whose = typeof standard === "number" ? `of the code of ${modelType}` : "of transformers";
  const ratio = family.ratioKey === undefined ? undefined : fields.number(family.ratioKey);
  // ChatGLM's code stores original_rope, and computes the same with either value.
  if (family.ratioKey !== undefined) fields.first("original_rope");
  if (ratio !== undefined) {
    return {
      value: value * ratio.value,
      rule: `${value} · ${ratio.key} = ${value} · ${ratio.value}`,
      source: "the model's own code",
    };
  }
  const ofLabel = label === null ? "" : ` of ${label}`;
  const places: readonly (readonly [string, Fields])[] = [
    ["rope_theta", dictionary],
    ...spelled.thetaKeys.map((key) => [key, fields] as const),
  ];
  const isNull = places.find(([key, place]) => place.isNull(key));
  const [path, why] =
    isNull === undefined
      ? [fields.pathOf(spelled.thetaKeys[0] ?? "rope_theta"), `The file does not state the base${ofLabel}`]
      : [isNull[1].pathOf(isNull[0]), `The file says null for the base${ofLabel}, as JSON does for NaN`];
  report.note("implied", path, `${why}; ${value} is the default ${whose}.`);
  if (family.disputed?.base !== undefined) report.note("differs", path, family.disputed.base, "warning");
  return { value, rule: `rope_theta is not in the file; default ${whose}` };
}

/** The base in `attn_config`: DBRX, MPT. */
function baseInAttention({ model, report }: Located): Fact<number> | undefined {
  const { fields, modelType } = model;
  const found = fields.first("attn_config");
  const settings = isObject(found?.value) ? found.value : {};
  const value = own(settings, "rope_theta");
  if (found === undefined || value === undefined) return undefined;
  const base = asNumber({ value, path: join(found.path, "rope_theta"), key: "rope_theta" }, report);
  if (base === undefined) return undefined;
  if (base.value <= 0) report.issue(base.path, "a number > 0", shown(base.value));
  if (modelType === "dbrx" && base.value !== 10_000) {
    report.note(
      "differs",
      base.path,
      `${base.value} is the base that the model was trained with; transformers 5.23 does not read it and rotates with 10000.`,
    );
  }
  return { value: base.value, rule: base.path };
}

/**
 * Checks MPT's rope in `attn_config`, as MPT's own code reads it. Frequencies other than the original ones are refused.
 */
function checkAttentionSettings({ fields }: TextModel, report: Report): void {
  const found = fields.first("attn_config");
  const settings: JsonObject = isObject(found?.value) ? found.value : {};
  if (found === undefined || settings["rope"] !== true) return;
  const { path } = found;
  report.note(
    "differs",
    `${path}.rope`,
    "The pairing is half, as in the code published with the model; the class in transformers has no rope.",
  );
  for (const [key, original] of [
    ["rope_dail_config", "original"],
    ["rope_hf_config", "no_scaling"],
  ] as const) {
    const value = settings[key];
    if (!isObject(value) || (key === "rope_hf_config") !== (settings["rope_impl"] === "hf")) continue;
    if ((value["type"] ?? original) !== original) {
      const remedy = "Write the rope as rope_theta and rope_scaling beside attn_config.";
      report.issue(`${path}.${key}.type`, shown(original), shown(value["type"]), remedy);
    }
  }
}

/** The pairing. Few configs state it; usually the family determines it. */
function readPairing({ dialect, model, report }: Located): Fact<Pairing> {
  const { family, fields, modelType, known } = model;
  if (family.disputed?.pairing !== undefined) {
    report.note("differs", fields.pathOf("model_type"), family.disputed.pairing, "warning");
  }
  const ofEngine = modelType === null ? undefined : dialect.familyPairings[modelType];
  if (ofEngine !== undefined) return { value: ofEngine, rule: `the class of ${modelType}`, source: dialect.engine };
  const latent = !known && fields.has("qk_rope_head_dim");
  const standard = family.pairing ?? (latent ? "adjacent" : "half");
  const flag = fields.flag("rope_interleave") ?? fields.flag("rotary_emb_interleaved");
  if (flag !== undefined) {
    const value = flag.value ? "adjacent" : "half";
    if (value === standard || family.readsInterleave === true || !known) {
      if (known && flag.key === "rotary_emb_interleaved" && flag.value) {
        report.note(
          "differs",
          flag.path,
          `The pairs are adjacent elements, as in the code published with the model; the class of ${modelType} in transformers has halves.`,
          "warning",
        );
      }
      return { value, rule: flag.path };
    }
    report.note(
      "differs",
      flag.path,
      `The class of ${modelType} in transformers does not read ${flag.key}; its pairs are ${standard === "half" ? "halves" : "adjacent elements"}.`,
    );
  }
  if (known) return { value: standard, rule: `the class of ${modelType}`, source: "Hugging Face transformers 5" };
  const rule = latent ? "latent attention, as in DeepSeek-V3" : "halves, because the model_type is not known";
  return { value: standard, rule };
}

/**
 * The query scale that some models have in addition to their rope.
 *
 * Source: Hugging Face transformers 5, `get_llama_4_attn_scale` of Ministral 3 and Mistral 4; the published code of
 * Qwen 1.
 */
function readQueryScale(
  dictionary: Fields,
  length: unknown,
  { model: { fields, family }, report }: Located,
): Fact<QueryScale> | undefined {
  const beta = family.readsTemperature === true ? dictionary.scale("llama_4_scaling_beta") : undefined;
  if (beta !== undefined) {
    // The class reads it under every rope type, also those without a trained length.
    const trained = typeof length === "number" ? length : dictionary.size("original_max_position_embeddings")?.value;
    if (trained !== undefined) {
      const value = Object.freeze({ rule: "temperature", beta: beta.value, length: trained, offset: 0 } as const);
      return { value, rule: beta.path };
    }
    const path = dictionary.pathOf("original_max_position_embeddings");
    report.issue(path, "the trained length in tokens, beside llama_4_scaling_beta", "nothing");
  }
  const logn = fields.flag("use_logn_attn");
  const trained = logn?.value === true ? fields.size("seq_length") : undefined;
  if (trained === undefined) return undefined;
  return { value: Object.freeze({ rule: "logn", length: trained.value } as const), rule: logn!.path };
}

/**
 * The query scale of layers that have no rope. No rope can hold it.
 *
 * Source: Hugging Face transformers 5, `Llama4TextAttention`.
 */
export function readNoRopeQueryScale({ fields, family }: TextModel, report: Report): Fact<QueryScale> | undefined {
  const standard = family.noRopeTemperature;
  // Published files have a number instead of true.
  const tuning = fields.first("attn_temperature_tuning");
  if (standard === undefined || tuning?.value === false || tuning?.value === 0) return undefined;
  const beta = fields.scale("attn_scale")?.value ?? standard.attn_scale;
  const length = fields.size("floor_scale")?.value ?? standard.floor_scale;
  const rule = `1 + attn_scale · ln(1 + floor((p + 1) / floor_scale)) with ${beta} and ${length}`;
  report.note(
    "implied",
    tuning?.path ?? fields.pathOf("attn_temperature_tuning"),
    `In layers without rope queries are multiplied by ${rule} at position p: queryScaleOf(layer).`,
  );
  return { value: Object.freeze({ rule: "temperature", beta, length, offset: 1 }), rule };
}

/**
 * The query scale of a family without rope, for the layers with a label; `undefined` for layers that have none.
 *
 * Source: Hugging Face transformers 5.24, `InklingAttention`, `Inkling2LogScale`.
 */
export function readLogarithm(
  label: string | null,
  { fields, family }: TextModel,
  report: Report,
): Fact<QueryScale> | undefined {
  const { logarithm } = family;
  if (logarithm === undefined || label !== logarithm.on) return undefined;
  const key = "log_scaling_n_floor";
  const length = fields.size(key)?.value ?? (fields.isNull(key) ? null : logarithm.floor);
  const alpha = fields.scale("log_scaling_alpha")?.value ?? logarithm.alpha;
  if (length === null) return undefined;
  const rule = `1 + log_scaling_alpha · ln(max((p + 1) / ${key}, 1)) with ${alpha} and ${length}`;
  report.note(
    "implied",
    fields.first(key)?.path ?? fields.pathOf(key),
    `In layers of the type ${label} queries, and the bias of relative distance, are multiplied by ${rule} at position p: queryScaleOf(layer).`,
  );
  return { value: Object.freeze({ rule: "logarithm", alpha, length }), rule };
}

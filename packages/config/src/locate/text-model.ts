/**
 * Finds the text model in a config.json, which may hold several models, and whether that model has a rope. After
 * `locate`, all code sees one shape, whatever the version of the file.
 */

import { RopeError } from "@ropewalk/core";
import { nearest, show } from "@ropewalk/core/backend";
import { familyNames, familyOf, modelTypeOfArchitectures } from "../facts/families.ts";
import type { Family } from "../facts/family.ts";
import { ropeKey, shareNames } from "../facts/keys.ts";
import { dialectOf } from "../options.ts";
import type { ConfigOptions } from "../options.ts";
import { Report } from "../report.ts";
import { findRopes } from "./dictionaries.ts";
import { Fields } from "./fields.ts";
import { isObject, isText, join, own, shown } from "./found.ts";
import type { JsonObject } from "./found.ts";
import type { Located, TextModel } from "./located.ts";

/**
 * Finds the text model of a config, its rope dictionaries and its layers.
 *
 * @param config the parsed config.json; only own keys are read, and it is never changed.
 * @param options checked already.
 * @throws RopeError `ROPE_CONFIG` if `config` is not an object, if its family is not known, or for an unknown dialect.
 */
export function locate(config: unknown, options: ConfigOptions): Located {
  const dialect = dialectOf(options.dialect);
  const report = new Report();
  const model = findTextModel(config, report, options.family);
  checkFamily(model, report);
  report.throwIfBroken();
  const why = whyNoRope(model, report);
  report.throwIfBroken();
  const { family, fields } = model;
  if (why === undefined && family.remark !== undefined) {
    report.note("differs", fields.pathOf("model_type"), family.remark, "warning");
  }
  return { model, dialect, options, report, ...findRopes(model, why, report) };
}

/** Keys of the text model in a config of several models, in the order of the search. */
const textModelKeys = [
  "text_config",
  "llm_config",
  "language_config",
  "language_model_config",
  "language_model",
  "thinker_config",
  "talker_config",
];

/** Keys that hold the text model in configs that are no model themselves. */
const otherTextModelKeys = [
  "transformer_layer_config",
  "global_config",
  "vlm_config",
  "decoder_config",
  "decoder",
  "text_encoder",
  "encoder_config",
  "encoder",
];

/** Enough for `thinker_config.text_config`; also ends the search in objects that contain themselves. */
const deepest = 4;

interface Place {
  readonly record: JsonObject;
  readonly path: string;
}

/** @throws RopeError `ROPE_CONFIG` if `config` is not an object. */
export function requireObject(config: unknown): JsonObject {
  if (isObject(config)) return config;
  throw new RopeError("ROPE_CONFIG", {
    what: "a config is not an object",
    expected: "the parsed JSON of a model's config.json",
    received: shown(config),
    remedy: typeof config === "string" ? "Pass JSON.parse(text)." : "Read the file and parse it.",
  });
}

/**
 * Finds the text model of a config.
 *
 * @param like the family that the caller names, for a model that is not known.
 * @throws RopeError `ROPE_CONFIG` if `config` is not an object.
 */
export function findTextModel(given: unknown, report: Report, like?: string): TextModel {
  const config = requireObject(given);
  let inner: Place = { record: config, path: "" };
  const nesting = [inner];
  const outside: Place[] = [];
  for (let depth = 1; depth < deepest; depth++) {
    const [chosen, ...others] = modelsInside(inner);
    if (chosen === undefined) break;
    for (const { path } of others) {
      report.note(
        "differs",
        path,
        `This is another model. The ropes here are those of ${chosen.path}; read ${path} separately for its ropes.`,
        "warning",
      );
    }
    // A model with a type of its own takes nothing from the models around it.
    if (typeOf(chosen) !== undefined) outside.unshift(...nesting.splice(0));
    nesting.unshift((inner = chosen));
  }
  const around = new Fields(
    outside.map((place, level) => ({ ...place, level })),
    report,
  );
  const modelType = like ?? findType(nesting, config);
  const stated = modelType === null ? undefined : familyOf(modelType);
  const family = like === undefined || stated === undefined ? stated : withoutSizes(stated);
  const fields = new Fields(
    nesting.map((place, level) => ({ ...place, record: withoutIgnored(place, family, modelType, report), level })),
    report,
  );
  if (family?.latent === true && fields.flag("use_mla")?.value === false) {
    report.note(
      "differs",
      fields.first("use_mla")!.path,
      `Attention is Llama's, as in the code published with the model; the class of ${modelType} in transformers has latent attention only.`,
    );
    return { fields, around, modelType, family: {}, known: true };
  }
  return { fields, around, modelType, family: family ?? {}, known: family !== undefined };
}

/** Keys of a class's defaults that concern how it rotates. */
const ropeDefaults = /rope|rotary/;

/** A family whose sizes are those of another model. */
function withoutSizes({ defaults = {}, lists: _, ...family }: Family): Family {
  return {
    ...family,
    defaults: Object.fromEntries(Object.entries(defaults).filter(([key]) => ropeDefaults.test(key))),
  };
}

/** The keys that the class of a family reads. */
function withoutIgnored(
  { record, path }: Place,
  family: Family | undefined,
  modelType: string | null,
  report: Report,
): JsonObject {
  const hasDictionary = ["rope_parameters", "rope_scaling"].some((key) => isObject(record[key]));
  const bases = family?.ignoresBaseBeside === true ? ["rope_theta"] : [];
  const { shareKeys } = family ?? {};
  // Beside a name that is read, it stays: two shares that contradict each other are an error.
  const isShared = shareKeys?.some((key) => own(record, key) !== undefined) === true;
  const shares = shareKeys === undefined || isShared ? [] : shareNames.filter((key) => !shareKeys.includes(key));
  const beside = hasDictionary ? [] : [...bases, ...shares];
  const ignored = [...(family?.ignored ?? []), ...beside].filter((key) => own(record, key) !== undefined);
  for (const key of ignored) {
    // GPT-NeoX's base under both names, or the default.
    if (key === "rope_theta" && record[key] === (own(record, "rotary_emb_base") ?? 10_000)) continue;
    if (shareNames.includes(key) && record[key] === family?.defaults?.["partial_rotary_factor"]) continue;
    const message = `The class of ${modelType} in transformers does not read ${key} = ${shown(record[key])}. This rope does the same.`;
    report.note("differs", join(path, key), message, "warning");
  }
  return ignored.length === 0
    ? record
    : Object.fromEntries(Object.entries(record).filter(([key]) => !ignored.includes(key)));
}

const typeOf = ({ record }: Place): string | undefined => {
  const type = own(record, "model_type");
  return isText(type) ? type : undefined;
};

/** The models in a config that may be its text model, the likeliest first. */
function modelsInside(outer: Place): Place[] {
  const at = (key: string): Place[] => {
    const record = own(outer.record, key);
    return isObject(record) && Object.keys(record).length > 0 ? [{ record, path: join(outer.path, key) }] : [];
  };
  const named = textModelKeys.flatMap(at);
  const type = typeOf(outer);
  if (named.length > 0 || (type !== undefined && isModel(familyOf(type)))) return named;
  const others = otherTextModelKeys.flatMap(at);
  if (others.length > 0) return others;
  // Any other key, if what it holds is a model with a rope.
  const keys = Object.keys(outer.record).filter((key) => !textModelKeys.includes(key));
  return keys.flatMap(at).filter((place) => {
    const inside = typeOf(place);
    const family = inside === undefined ? undefined : familyOf(inside);
    return isModel(family) && family?.noRope === undefined;
  });
}

/** Whether a family is a model, and not only a holder of models. */
const isModel = (family: Family | undefined): boolean => family !== undefined && family.holds === undefined;

/** The `model_type` of the innermost model; the class of the model around it knows it if the file does not state it. */
function findType(nesting: readonly Place[], config: JsonObject): string | null {
  const [inner] = nesting;
  const byArchitecture = modelTypeOfArchitectures(own(config, "architectures"));
  if (byArchitecture !== undefined) return byArchitecture;
  const types = nesting.flatMap((place) => typeOf(place) ?? []);
  const key = inner!.path.split(".").at(-1)!;
  const outerType = own(config, "model_type");
  const holder = isText(outerType) ? familyOf(outerType)?.holds : undefined;
  // A text model without a type, or the keys of a text model in a class that holds one.
  const ofHolder =
    holder?.[key] ?? (inner!.path === "" ? textModelKeys.flatMap((each) => holder?.[each] ?? [])[0] : undefined);
  if (typeOf(inner!) === undefined || inner!.path === "") {
    if (ofHolder !== undefined && familyOf(ofHolder) !== undefined) return ofHolder;
  }
  return types.find((type) => familyOf(type) !== undefined) ?? types[0] ?? null;
}

/** The value of `position_embedding_type` for a model whose attention uses no positions. */
const noPositions = "nope";

/** Why no layer has a rope; `undefined` if layers have one. */
function whyNoRope(model: TextModel, report: Report): string | undefined {
  const found = findWhyNoRope(model, report);
  if (found === undefined) return undefined;
  const speaks = model.fields.keys().some((key) => ropeKey.test(key) && !isEmpty(model.fields.first(key)?.value));
  const message = `No layer of ${model.modelType ?? "this model"} has a rope: ${found.why}.`;
  report.note("implied", found.path, message, model.family.noRope !== undefined && speaks ? "warning" : "info");
  return found.why;
}

const isEmpty = (value: unknown): boolean => value === undefined || value === false;

interface NoRopeReason {
  readonly why: string;
  readonly path: string;
}

function findWhyNoRope({ fields, family, known, modelType }: TextModel, report: Report): NoRopeReason | undefined {
  const alibi = "attention is biased by distance (ALiBi)";
  const settings = fields.first("attn_config");
  const inSettings = isObject(settings?.value) ? settings.value : {};
  if (inSettings["alibi"] === true) return { why: alibi, path: `${settings!.path}.alibi` };
  const position = fields.first("position_embedding_type");
  const isRotary = isText(position?.value) && /rope|rotary/i.test(position.value);
  if (family.noRope !== undefined && inSettings["rope"] !== true) {
    if (isRotary) {
      report.issue(
        position!.path,
        `no rope: the class of ${modelType} has none`,
        show(position!.value),
        "If code that is published with the model rotates, name a model that rotates alike: { family: … }, or --family.",
      );
    }
    return { why: family.noRope, path: fields.pathOf("model_type") };
  }
  // What a class does not read does not count; without a class, the file does.
  const flag = fields.first("alibi");
  if (flag?.value === true && (!known || family.readsAlibi === true)) return { why: alibi, path: flag.path };
  const rotary = fields.first("rotary");
  if (rotary?.value === false && !known) return { why: "the file says that nothing is rotated", path: rotary.path };
  if (family.nullBaseIsNone === true) {
    const dictionary = fields.first("rope_parameters", "rope_scaling");
    const inside = isObject(dictionary?.value) && dictionary.value["rope_theta"] === null;
    if (inside || fields.isNull("rope_theta")) {
      return { why: "its base is null", path: inside ? `${dictionary!.path}.rope_theta` : fields.pathOf("rope_theta") };
    }
  }
  if (family.rotatesIf?.key !== "position_embedding_type" && isText(position?.value) && !isRotary) {
    const why =
      position.value === noPositions ? "its attention uses no positions" : `its positions are ${position.value}`;
    if (!known) return { why, path: position.path };
    const severity = position.value === noPositions ? "warning" : "info";
    report.note("differs", position.path, `The class of ${modelType} does not read it, and rotates.`, severity);
  }
  const { rotatesIf } = family;
  if (rotatesIf === undefined) return undefined;
  const found = fields.first(rotatesIf.key);
  const value = found?.value ?? family.defaults?.[rotatesIf.key];
  if (rotatesIf.rotates(value)) return undefined;
  return { why: rotatesIf.otherwise, path: found?.path ?? fields.pathOf(rotatesIf.key) };
}

/** Refuses a model that is not known: what its code does with positions cannot be guessed. */
function checkFamily({ family, fields, modelType, known }: TextModel, report: Report): void {
  const path = fields.pathOf("model_type");
  if (family.refused !== undefined) {
    report.issue(path, "a model whose heads a rope can rotate", `${show(modelType)}: ${family.refused}`);
  }
  const { refusedIf } = family;
  if (refusedIf !== undefined && fields.first(refusedIf.key)?.value === true) {
    report.issue(fields.pathOf(refusedIf.key), "a model whose heads one rope rotates", `true: ${refusedIf.why}`);
  }
  if (family.holds !== undefined && family.noRope === undefined) {
    report.issue(
      path,
      `a text model in ${Object.keys(family.holds).join(" or ")}`,
      `${show(modelType)}, which holds models and is none`,
      "Is this the whole file?",
    );
  }
  if (known) return;
  if (modelType !== null) {
    const near = nearest(modelType, familyNames());
    const meant = near === undefined ? "" : `Did you mean ${show(near)}? `;
    report.issue(
      path,
      "the model_type of a known family",
      show(modelType),
      `${meant}If its attention rotates as that of a known model does, name that model: { family: "llama" }, or --family llama.`,
    );
    return;
  }
  if (fields.keys().some((key) => ropeKey.test(key) && fields.has(key))) {
    report.note(
      "implied",
      path,
      "There is no model_type; pairs are halves, and the first elements of a head are rotated, unless the file says otherwise.",
      "warning",
    );
    return;
  }
  report.issue(
    "rope_theta",
    "rope_theta, rope_scaling, rope_parameters or another key of a rope, or a known model_type",
    "none of these keys and no model_type",
    "Is this the config.json of a language model?",
  );
}

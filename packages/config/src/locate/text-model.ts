/**
 * Finds the text model in a config.json, which may hold several models, and whether that model has a rope. After
 * `locate`, all code sees one shape, whatever the version of the file.
 */

import { RopeError } from "@ropewalk/core";
import { show } from "@ropewalk/core/backend";
import { familyOf, modelTypeOfArchitectures } from "../facts/families.ts";
import { ropeKey } from "../facts/keys.ts";
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
 * @throws RopeError `ROPE_CONFIG` if `config` is not an object, if the model has no rope, or for an unknown dialect.
 */
export function locate(config: unknown, options: ConfigOptions): Located {
  const dialect = dialectOf(options.dialect);
  const report = new Report();
  const model = findTextModel(config, report);
  checkHasRope(model, report);
  report.throwIfBroken();
  return { model, dialect, options, report, ...findRopes(model, whyNoRope(model, report), report) };
}

/** Objects that hold the text model of a multimodal config, in the order of the search. */
const textModelKeys = [
  "text_config",
  "llm_config",
  "language_config",
  "language_model_config",
  "thinker_config",
  "talker_config",
];

/** Enough for `thinker_config.text_config`; also ends the search in objects that contain themselves. */
const deepest = 4;

/** @throws RopeError `ROPE_CONFIG` if `config` is not an object. */
export function findTextModel(config: unknown, report: Report): TextModel {
  if (!isObject(config)) {
    throw new RopeError("ROPE_CONFIG", {
      what: "a config is not an object",
      expected: "the parsed JSON of a model's config.json",
      received: shown(config),
      remedy: typeof config === "string" ? "Pass JSON.parse(text)." : "Read the file and parse it.",
    });
  }
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
        `This is another model. The ropes here are those of ${chosen.path}; read ${path} separately for its ropes.`,
      );
    }
    nesting.unshift((inner = chosen));
  }
  const fields = new Fields(
    nesting.map((place, level) => ({ ...place, level })),
    report,
  );
  const types = nesting.map(({ record }) => own(record, "model_type")).filter(isText);
  const modelType =
    modelTypeOfArchitectures(fields.first("architectures")?.value) ??
    types.find((type) => familyOf(type) !== undefined) ??
    types[0] ??
    null;
  const family = modelType === null ? undefined : familyOf(modelType);
  if (family?.latent === true && fields.flag("use_mla")?.value === false) {
    report.note(
      "differs",
      fields.first("use_mla")!.path,
      `Attention is Llama's, as in the code published with the model; the class of ${modelType} in transformers has latent attention only.`,
    );
    return { fields, modelType, family: {}, known: true };
  }
  return { fields, modelType, family: family ?? {}, known: family !== undefined };
}

/** The value of `position_embedding_type` for a model whose attention uses no positions. */
const noPositions = "nope";

/** Why no layer has a rope, in a family where some models have one; `undefined` if layers have one. */
function whyNoRope({ fields, family, modelType }: TextModel, report: Report): string | undefined {
  const position = fields.first("position_embedding_type");
  const { key, rotates, otherwise } =
    position?.value === noPositions
      ? { key: "position_embedding_type", rotates: () => false, otherwise: "its attention uses no positions" }
      : (family.rotatesIf ?? { key: undefined, rotates: () => true, otherwise: "" });
  if (key === undefined) return undefined;
  const found = fields.first(key);
  if (rotates(found?.value)) return undefined;
  const where = found?.path ?? fields.pathOf(key);
  report.note("implied", where, `No layer of ${modelType ?? "this model"} has a rope: ${otherwise}.`);
  return otherwise;
}

/** Refuses models that have no rope, and files that do not mention one. */
function checkHasRope({ fields, family, modelType, known }: TextModel, report: Report): void {
  const speaks = fields.keys().some((key) => ropeKey.test(key) && fields.has(key));
  const position = fields.first("position_embedding_type");
  const alibi = fields.first("alibi");
  const attention = fields.first("attn_config");
  const rotary = fields.first("rotary");
  const settings = isObject(attention?.value) ? attention.value : {};
  const inSettings = settings["rope"] === true;
  const expected = "a model with rotary position embedding";
  const remedy = "This model has no rotary position embedding.";
  if (family.noRope !== undefined && !speaks && !inSettings) {
    report.issue("model_type", expected, `${show(modelType)}: ${family.noRope}`);
  } else if (alibi?.value === true) {
    report.issue(alibi.path, expected, "true: attention is biased by distance (ALiBi)");
  } else if (settings["alibi"] === true) {
    report.issue(`${attention!.path}.alibi`, expected, "true: attention is biased by distance (ALiBi)");
  } else if (
    typeof position?.value === "string" &&
    position.value !== noPositions &&
    !/rope|rotary/i.test(position.value)
  ) {
    report.issue(position.path, '"rope" or "rotary"', show(position.value), remedy);
  } else if (rotary?.value === false) {
    report.issue(rotary.path, "true", "false", remedy);
  } else if (known || inSettings) {
    return;
  } else if (!speaks) {
    const which = modelType === null ? "no model_type" : `the model_type ${show(modelType)} is not known`;
    report.issue(
      "rope_theta",
      "rope_theta, rope_scaling, rope_parameters or another key of a rope, or a known model_type",
      `none of these keys${modelType === null ? " and" : ", and"} ${which}`,
      "Is this the config.json of a language model?",
    );
  } else {
    const which =
      modelType === null
        ? "There is no model_type"
        : `The model_type ${show(modelType)} is not in the table of families`;
    report.note(
      "implied",
      fields.pathOf("model_type"),
      `${which}; pairs are halves, and the first elements of a head are rotated, unless the file says otherwise.`,
    );
  }
}

/** Whether a config speaks of rope at all, and which of its keys nothing has read. */

import { whyUnused } from "./engine-rules.ts";
import { isObject } from "./fields.ts";
import type { JsonObject } from "./fields.ts";
import { show } from "./report.ts";
import type { Report } from "./report.ts";
import type { RopeEntry, TextModel } from "./spelling.ts";

/** Keys that only a model with rope has. */
const ropeKey = /^(rope|rotary|mrope|xdrope|partial_rotary|qk_rope)|_rope_|rope_theta/;

/** What `position_embedding_type` says of a model whose attention knows no positions. */
const withoutPositions = "nope";

/** Why no layer of a model that may have a rope does; `undefined` where they have one. */
export function whyBare({ fields, family, modelType }: TextModel, report: Report): string | undefined {
  const position = fields.first("position_embedding_type");
  const key = position?.value === withoutPositions ? "position_embedding_type" : family.ropeIf?.key;
  if (key === undefined) return undefined;
  const found = fields.first(key);
  const why = position?.value === withoutPositions ? "its attention knows no positions" : family.ropeIf!.otherwise;
  if (position?.value !== withoutPositions && family.ropeIf!.rotates(found?.value)) return undefined;
  report.note(
    "implied",
    found?.path ?? fields.pathOf(key),
    `No layer of ${modelType ?? "this model"} has a rope: ${why}.`,
  );
  return why;
}

/** Refuses models that have no rope, and files that do not speak of one. */
export function checkHasRope({ fields, family, modelType, known }: TextModel, report: Report): void {
  const speaks = fields.keys().some((key) => ropeKey.test(key) && fields.has(key));
  const position = fields.first("position_embedding_type");
  const alibi = fields.first("alibi");
  const attention = fields.first("attn_config");
  const rotary = fields.first("rotary");
  const settings = isObject(attention?.value) ? attention.value : {};
  const inSettings = settings["rope"] === true;
  const expected = "a model with rotary position embedding";
  if (family.ropeless !== undefined && !speaks && !inSettings) {
    report.issue("model_type", expected, `${show(modelType)}: ${family.ropeless}`);
  } else if (alibi?.value === true) {
    report.issue(alibi.path, expected, "true: attention is biased by distance (ALiBi)");
  } else if (settings["alibi"] === true) {
    report.issue(`${attention!.path}.alibi`, expected, "true: attention is biased by distance (ALiBi)");
  } else if (
    typeof position?.value === "string" &&
    position.value !== withoutPositions &&
    !/rope|rotary/i.test(position.value)
  ) {
    report.issue(
      position.path,
      '"rope" or "rotary"',
      show(position.value),
      "This model has no rotary position embedding.",
    );
  } else if (rotary?.value === false) {
    report.issue(rotary.path, "true", "false", "This model has no rotary position embedding.");
  } else if (inSettings) {
    checkSettings(settings, attention!.path, report);
  } else if (!known && !speaks) {
    const received =
      modelType === null
        ? "none of these keys and no model_type"
        : `none of these keys, and the model_type ${show(modelType)} is not known`;
    report.issue(
      "rope_theta",
      "rope_theta, rope_scaling, rope_parameters or another key of a rope, or a known model_type",
      received,
      "Is this the config.json of a language model?",
    );
  } else if (!known) {
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

/** MPT's rope among the settings of attention, as its own code has it; frequencies other than the original ones are not read. */
function checkSettings(settings: JsonObject, path: string, report: Report): void {
  report.note(
    "differs",
    `${path}.rope`,
    "Halves are rotated, as in the code that the model is published with; the class in transformers has no rope.",
  );
  for (const [key, original] of [
    ["rope_dail_config", "original"],
    ["rope_hf_config", "no_scaling"],
  ] as const) {
    const value = settings[key];
    if (!isObject(value) || (key === "rope_hf_config") !== (settings["rope_impl"] === "hf")) continue;
    if ((value["type"] ?? original) !== original) {
      report.issue(
        `${path}.${key}.type`,
        show(original),
        show(value["type"]),
        "Write the rope as rope_theta and rope_scaling beside attn_config.",
      );
    }
  }
}

/** Notes every key that looks like rope and that nothing has read. */
export function noteUnread(
  { fields }: TextModel,
  entries: readonly RopeEntry[],
  ropeTypes: readonly string[],
  report: Report,
): void {
  const chunks = fields.first("dual_chunk_attention_config");
  if (chunks !== undefined) {
    report.note(
      "differs",
      chunks.path,
      "transformers ignores it and rotates plainly, and so does this rope; vLLM and SGLang fold positions into chunks (type dual_chunk).",
    );
  }
  entries.forEach(({ dictionary }, index) => {
    for (const { key, path, value } of dictionary?.unread() ?? []) {
      report.note("unused", path, whyUnused(key, value, ropeTypes[index]!));
    }
  });
  for (const { key, path, value } of fields.unread()) {
    if (ropeKey.test(key)) report.note("unused", path, `Nothing reads ${key} = ${show(value)}.`);
  }
}

/**
 * A number beside a rope for each layer type is a default for those that do not state it. When all do, and differently,
 * the file says two things.
 */
export function checkAround({ fields }: TextModel, entries: readonly RopeEntry[], report: Report): void {
  for (const key of ["rope_theta", "partial_rotary_factor"]) {
    const outer = fields.first(key);
    const inner = entries.flatMap(({ dictionary, nested }) => (nested ? [dictionary?.first(key)?.value] : []));
    if (
      outer === undefined ||
      Array.isArray(outer.value) ||
      inner.length === 0 ||
      inner.includes(undefined) ||
      inner.includes(outer.value)
    ) {
      continue;
    }
    report.issue(
      outer.path,
      `one of ${inner.map(show).join(", ")}, which the layer types state`,
      show(outer.value),
      "The file says two things; correct or remove one of them.",
    );
  }
}

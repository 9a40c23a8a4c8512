/** The facts that do not depend on the rope's type: head dimension, what of it is rotated, base, length, pairing. */

import type { Pairing } from "@ropewalk/core";
import { agree, asNumber, isObject, join, own } from "./fields.ts";
import type { Fields, Found } from "./fields.ts";
import type { Explained, Reading } from "./reading.ts";
import { show } from "./report.ts";
import { findOuterBase, perLayer } from "./spelling.ts";
import type { RopeEntry, TextModel } from "./spelling.ts";

const maxPositionKeys = [
  "max_position_embeddings",
  "n_positions",
  "max_seq_len",
  "max_sequence_length",
  "seq_length",
  "n_ctx",
];

/** The length that the file promises. */
export function readMaxPosition(dictionary: Fields, { model, report }: Reading): Found<number> | undefined {
  const found = model.fields.size(...maxPositionKeys) ?? dictionary.size("max_position_embeddings");
  if (found !== undefined) return found;
  const [key] = maxPositionKeys as [string];
  const standard = classDefault(key, model);
  if (standard === undefined) return undefined;
  report.note(
    "implied",
    model.fields.pathOf(key),
    `The file does not state it; ${standard.value} is the default ${standard.whose}.`,
  );
  return { value: standard.value, path: `${key} (default ${standard.whose})`, key };
}

/** The part of a head that latent attention rotates, which is a tensor of its own there. */
function latentSlice({ fields, family, known }: TextModel): Found<number> | undefined {
  return (family.latent ?? !known) && family.rotatesLast !== true ? fields.size("qk_rope_head_dim") : undefined;
}

/** More than any model has; a larger number is a mistake in the file, and would only cost memory. */
export const largestHead = 65_536;

/** Explicit; else the slice of latent attention; else the family's own; else width / heads. */
export function readHeadDim(entry: RopeEntry, reading: Reading): Explained<number> | undefined {
  const found = findHeadDim(entry, reading);
  if (found === undefined || found.value <= largestHead) return found;
  reading.report.issue("head_dim", `at most ${largestHead}`, `${found.value} (${found.rule})`);
  return undefined;
}

function findHeadDim({ facts }: RopeEntry, { model, report }: Reading): Explained<number> | undefined {
  const { fields } = model;
  for (const key of facts.headDimKeys ?? []) {
    const found = fields.size(key);
    if (found !== undefined) return { value: found.value, rule: found.path };
    const standard = classDefault(key, model);
    if (standard !== undefined) {
      return { value: standard.value, rule: `${key} is not in the file; default ${standard.whose}` };
    }
  }
  const explicit = fields.size("head_dim", "kv_channels", "attention_head_dim", "head_size");
  const slice = latentSlice(model);
  if (slice !== undefined) {
    const rest = fields.size("qk_nope_head_dim");
    if (
      explicit !== undefined &&
      rest !== undefined &&
      explicit.value !== slice.value &&
      explicit.value !== slice.value + rest.value
    ) {
      report.note(
        "differs",
        explicit.path,
        `${explicit.key} = ${explicit.value} is neither qk_rope_head_dim (${slice.value}) nor qk_nope_head_dim + qk_rope_head_dim = ${rest.value} + ${slice.value} = ${rest.value + slice.value}; latent attention does not use it.`,
      );
    }
    return {
      value: slice.value,
      rule: `${slice.path}: the slice of a head that latent attention rotates`,
      source: "DeepSeek-V2 §2.1.3",
    };
  }
  if (explicit !== undefined) return { value: explicit.value, rule: explicit.path };
  const standard = classDefault("head_dim", model);
  if (standard !== undefined) {
    report.note(
      "implied",
      fields.pathOf("head_dim"),
      `The file does not state it; ${standard.value} is the default ${standard.whose}.`,
    );
    return { value: standard.value, rule: `head_dim is not in the file; default ${standard.whose}` };
  }
  const width = fields.size("hidden_size", "n_embd", "d_model", "dim");
  const heads = fields.size("num_attention_heads", "n_head", "n_heads", "num_heads");
  if (width === undefined || heads === undefined) {
    report.issue(
      "head_dim",
      "head_dim, or hidden_size and num_attention_heads",
      width?.path ?? heads?.path ?? "none of them",
    );
    return undefined;
  }
  const { headWidths: times = 1 } = model.family;
  const value = (times * width.value) / heads.value;
  const arithmetic = `${times === 1 ? "" : `${times} · `}${width.key} / ${heads.key} = ${times === 1 ? "" : `${times} · `}${width.value} / ${heads.value} = ${value}`;
  if (Number.isInteger(value)) return { value, rule: arithmetic };
  report.issue("head_dim", "a head dimension that is an integer", arithmetic, "State head_dim, or correct the two.");
  return undefined;
}

/** What of a head is rotated. */
export interface Rotated {
  readonly rotaryDim: Explained<number>;
  readonly rotaryOffset?: Explained<number>;
  /** The share of a head as the file has it, for types that take it as a parameter. */
  readonly share?: Found<number> | undefined;
}

/**
 * How many elements of a head are rotated, and which. A share is truncated, as every engine does.
 *
 * @param headDim total elements of a head.
 * @param ropeType `proportional` takes the share itself.
 */
export function readRotated(
  entry: RopeEntry,
  dictionary: Fields,
  ropeType: string,
  headDim: number,
  reading: Reading,
): Rotated {
  const { dialect, model, report } = reading;
  const { family, known, modelType } = model;
  const whole = { value: headDim, rule: "all of the head" };
  const share = readShare(entry, dictionary, reading);
  // A share beside latent attention is the slice's share of the whole head.
  if (latentSlice(model) !== undefined) return { rotaryDim: whole };
  if (ropeType === "proportional") {
    return {
      rotaryDim: { value: headDim, rule: "all of the head; pairs beyond the share turn by 0" },
      share: share ?? impliedShare(entry, model),
    };
  }
  const stated = statedWidth(dictionary, share, headDim, reading);
  if (stated === undefined) {
    const implied = impliedWidth(entry, headDim, reading) ?? whole;
    return family.rotatesLast === true ? lastElements(implied, headDim, modelType) : { rotaryDim: implied };
  }
  const { value, key, path, rule } = stated;
  if (family.rotatesLast === true) return lastElements({ value, rule }, headDim, modelType);
  if (value !== headDim && known && family.readsPartial !== true && dialect.partialRotary === "by-class") {
    if (ropeType === "default") {
      report.note(
        "differs",
        path,
        `The class of ${modelType} in transformers rotates all ${headDim} elements of a head whatever ${key} says, and so does this rope; vLLM rotates the first ${value}.`,
      );
      return { rotaryDim: whole };
    }
    report.note(
      "differs",
      path,
      `The first ${value} elements of a head are rotated, as vLLM does; the class of ${modelType} in transformers cannot rotate a part of the head.`,
    );
  }
  return { rotaryDim: { value, rule } };
}

function lastElements(rotaryDim: Explained<number>, headDim: number, modelType: string | null): Rotated {
  return {
    rotaryDim,
    rotaryOffset: {
      value: headDim - rotaryDim.value,
      rule: `headDim − rotaryDim: ${modelType} rotates the last elements of a head`,
    },
  };
}

/** A number of elements that the file states, directly or by a share; both have to agree. */
function statedWidth(
  dictionary: Fields,
  share: Found<number> | undefined,
  headDim: number,
  { model, report }: Reading,
): (Found<number> & { readonly rule: string }) | undefined {
  const { fields, family } = model;
  const width = agree(
    [
      ...sizes(dictionary, "rope_dim"),
      ...sizes(fields, "rotary_dim"),
      ...(family.rotatesLast === true ? sizes(fields, "qk_rope_head_dim") : []),
    ],
    report,
  );
  if (share === undefined) return width && { ...width, rule: width.path };
  const value = Math.trunc(headDim * share.value);
  const arithmetic = `trunc(${share.key} · head_dim) = trunc(${share.value} · ${headDim}) = ${value}`;
  if (width === undefined) return { ...share, value, rule: arithmetic };
  if (width.value !== value) {
    report.issue(width.path, arithmetic, `${width.value}`, "The file says two things; correct or remove one of them.");
  }
  return { ...width, rule: width.path };
}

/** The number of elements that the family's code rotates where the file does not say. */
function impliedWidth(entry: RopeEntry, headDim: number, { model, report }: Reading): Explained<number> | undefined {
  const width = classDefault("rotary_dim", model)?.value;
  const share = impliedShare(entry, model)?.value;
  if (width === undefined && share === undefined) return undefined;
  const [key, value] = width === undefined ? ["partial_rotary_factor", share] : ["rotary_dim", width];
  report.note(
    "implied",
    model.fields.pathOf(key as string),
    `The file does not state it; ${value} is the default of the code of ${model.modelType}.`,
  );
  return {
    value: width ?? Math.trunc(headDim * share!),
    rule: `${key} ${value} is the default of the code of ${model.modelType}`,
  };
}

const shareKeys = ["partial_rotary_factor", "rotary_pct", "rope_pct", "rotary_percent", "rotary_emb_fraction"];

function readShare(
  entry: RopeEntry,
  dictionary: Fields,
  { model, layers, report }: Reading,
): Found<number> | undefined {
  const inside = dictionary.all("partial_rotary_factor");
  const lists = model.fields
    .all("partial_rotary_factors")
    .flatMap((found) => perLayer(found, layers.using(entry.label), report) ?? []);
  const outside = [...model.fields.all(...shareKeys), ...lists];
  const places = entry.nested && inside.length > 0 ? inside : [...inside, ...outside];
  return agree(
    places.flatMap((found) => asNumber(found, report) ?? []),
    report,
  );
}

function impliedShare({ facts }: RopeEntry, model: TextModel): Found<number> | undefined {
  const key = "partial_rotary_factor";
  const value = facts.defaults[key] ?? model.family.defaults?.[key];
  return typeof value === "number"
    ? { value, key, path: `default of the configuration class of ${model.modelType}` }
    : undefined;
}

function sizes(fields: Fields, key: string): Found<number>[] {
  return fields.size(key) === undefined ? [] : (fields.all(key) as Found<number>[]);
}

/** The base: in the dictionary, beside it, or the family's own. */
export function readBase(entry: RopeEntry, dictionary: Fields, reading: Reading): Explained<number> {
  const { model, layers, report } = reading;
  const { fields, family, modelType } = model;
  const { facts, label, nested } = entry;
  const using = layers.using(label);
  const inside = dictionary.all("rope_theta").flatMap((found) => asNumber(found, report) ?? []);
  // Beside a rope for each layer type, rope_theta is a default for those that have none.
  const ownKeys = nested && inside.length > 0 ? facts.thetaKeys.filter((key) => key !== "rope_theta") : facts.thetaKeys;
  const outside = findOuterBase(model, ownKeys, using, report);
  const found =
    agree([...inside, ...(outside === undefined ? [] : [outside])], report) ??
    (nested ? findOuterBase(model, ["rope_theta"], using, report) : undefined);
  if (found !== undefined) {
    if (found.key !== "rope_theta") {
      report.note(
        "alias",
        found.path,
        `${found.key} is read as the base of the rope${label === null ? "" : ` of ${label}`}.`,
      );
    }
    if (found.value <= 0) report.issue(found.path, "a number > 0", show(found.value));
    return { value: found.value, rule: found.path };
  }
  const inAttention = attentionBase(reading);
  if (inAttention !== undefined) return inAttention;
  const standard = facts.defaults["rope_theta"] ?? family.defaults?.["rope_theta"];
  const value = typeof standard === "number" ? standard : 10_000;
  const whose = typeof standard === "number" ? `of the code of ${modelType}` : "of transformers";
  const ratio = family.ratioKey === undefined ? undefined : fields.number(family.ratioKey);
  if (ratio !== undefined) {
    return {
      value: value * ratio.value,
      rule: `${value} · ${ratio.key} = ${value} · ${ratio.value}`,
      source: "the model's own code",
    };
  }
  const key = facts.thetaKeys[0] ?? "rope_theta";
  const ofLabel = label === null ? "" : ` of ${label}`;
  const places: readonly (readonly [string, Fields])[] = [
    ["rope_theta", dictionary],
    ...facts.thetaKeys.map((name) => [name, fields] as const),
  ];
  const silent = places.find(([name, place]) => place.isNull(name));
  if (silent === undefined) {
    report.note(
      "implied",
      fields.pathOf(key),
      `The file does not state the base${ofLabel}; ${value} is the default ${whose}.`,
    );
  } else {
    report.note(
      "implied",
      silent[1].pathOf(silent[0]),
      `The file says null for the base${ofLabel}, as JSON does for a number that is none (NaN); ${value} is the default ${whose}.`,
    );
  }
  return { value, rule: `rope_theta is not in the file; default ${whose}` };
}

/** The base among the settings of attention: DBRX, MPT. */
function attentionBase({ model, report }: Reading): Explained<number> | undefined {
  const { fields, modelType } = model;
  const settings = fields.first("attn_config");
  const record = isObject(settings?.value) ? settings.value : {};
  const value = own(record, "rope_theta");
  if (settings === undefined || value === undefined) return undefined;
  const path = join(settings.path, "rope_theta");
  const found = asNumber({ value, path, key: "rope_theta" }, report);
  if (found === undefined) return undefined;
  if (found.value <= 0) report.issue(path, "a number > 0", show(found.value));
  if (modelType === "dbrx" && found.value !== 10_000) {
    report.note(
      "differs",
      path,
      `${show(found.value)} is the base that the model was trained with; transformers 5.23 leaves it where it stands and rotates with 10000.`,
    );
  }
  return { value: found.value, rule: path };
}

/** Which two elements form a pair. No config says it; the family does. */
export function readPairing({ model, options, report }: Reading): Explained<Pairing> {
  const { family, fields, modelType, known } = model;
  const latent = !known && fields.has("qk_rope_head_dim");
  const standard = family.pairing ?? (latent ? "adjacent" : "half");
  const flag = fields.flag("rope_interleave") ?? fields.flag("rotary_emb_interleaved");
  if (options.pairing !== undefined) return { value: options.pairing, rule: "given by the caller" };
  if (flag !== undefined) {
    const value = flag.value ? "adjacent" : "half";
    if (value === standard || family.readsInterleave === true || !known) {
      if (known && flag.key === "rotary_emb_interleaved" && flag.value) {
        report.note(
          "differs",
          flag.path,
          `The pairs are adjacent elements, as the code reads that the model is published with; the class of ${modelType} in transformers has halves.`,
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
  return {
    value: standard,
    rule: latent ? "latent attention, as in DeepSeek-V3" : "halves, for want of a known model_type",
  };
}

function classDefault(
  key: string,
  { family, modelType }: TextModel,
): { readonly value: number; readonly whose: string } | undefined {
  const value = family.defaults?.[key];
  return typeof value === "number" ? { value, whose: `of the configuration class of ${modelType}` } : undefined;
}

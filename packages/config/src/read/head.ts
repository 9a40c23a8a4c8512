/** Reads the elements of a head: how many there are, how many are rotated, and where they start. */

import type { Fact, RopeFacts } from "../facts/fact.ts";
import { shareNames } from "../facts/keys.ts";
import { largestHead } from "../limits.ts";
import type { Fields } from "../locate/fields.ts";
import { agree, asNumber, isSize } from "../locate/found.ts";
import type { Found } from "../locate/found.ts";
import type { Located, RopeEntry, TextModel } from "../locate/located.ts";
import type { Report } from "../report.ts";

/** A head, and the part of it that is rotated. */
export interface HeadFacts extends Pick<RopeFacts, "headDim" | "rotaryDim" | "rotaryOffset"> {
  /** The partial rotary factor of the file, for the type that has it as a parameter (`proportional`). */
  readonly share?: Found<number>;
}

/** Returns `undefined` and reports an issue if the file states nothing usable. */
export function readHead(entry: RopeEntry, ropeType: string, located: Located): HeadFacts | undefined {
  const headDim = readHeadDim(entry.spelled.headDimKeys ?? [], located);
  return headDim && { headDim, ...readRotated(entry, ropeType, headDim.value, located) };
}

/** The keys of the head dimension. */
const headDimKeys = ["head_dim", "kv_channels", "attention_head_dim", "head_size"];
const widthKeys = ["hidden_size", "n_embd", "d_model", "dim"];
export const headCountKeys: readonly string[] = [
  "num_attention_heads",
  "n_head",
  "n_heads",
  "num_heads",
  "encoder_num_attention_heads",
  "decoder_num_attention_heads",
];

/** Keys of the rotated slice of latent attention. The second is that of openPangu. */
const latentSliceKeys = ["qk_rope_head_dim", "attention_qk_rope_dim"];

/** The part of a head that latent attention rotates. It is a separate tensor there. */
export function latentSlice({ fields, family, known, modelType }: TextModel): Found<number> | undefined {
  const isLatent = (family.latent ?? !known) && family.rotatesLast !== true;
  if (!isLatent) return undefined;
  const key = "qk_rope_head_dim";
  const value = family.defaults?.[key];
  const ofClass = isSize(value) ? { value, key, path: `${key} of the class of ${modelType}` } : undefined;
  return fields.size(...latentSliceKeys) ?? ofClass;
}

/** Whether a head dimension is stated, follows from stated numbers, or is a constant of the family. */
export function saysHeadDim({ fields, family }: TextModel): boolean {
  const isQuotient = fields.size(...widthKeys) !== undefined && fields.size(...headCountKeys) !== undefined;
  return isQuotient || fields.has("qk_rope_head_dim", ...headDimKeys) || family.defaults?.["head_dim"] !== undefined;
}

/**
 * The head dimension of the rotated tensor: the stated one; else the slice of latent attention; else the family's
 * default; else width / heads.
 *
 * @param ownKeys keys of a head dimension that only some layers have.
 */
export function readHeadDim(
  ownKeys: readonly string[],
  { model, report }: Pick<Located, "model" | "report">,
): Fact<number> | undefined {
  const headDim = findHeadDim(ownKeys, { model, report });
  if (headDim === undefined || headDim.value <= largestHead) return headDim;
  report.issue("head_dim", `at most ${largestHead}`, `${headDim.value} (${headDim.rule})`);
  return undefined;
}

function findHeadDim(
  ownKeys: readonly string[],
  { model, report }: Pick<Located, "model" | "report">,
): Fact<number> | undefined {
  const { fields, modelType } = model;
  const ofClass = `default of the configuration class of ${modelType}`;
  for (const key of ownKeys) {
    const found = fields.size(key);
    if (found !== undefined) return { value: found.value, rule: found.path };
    const standard = classDefault(key, model);
    if (standard !== undefined) return { value: standard, rule: `${key} is not in the file; ${ofClass}` };
  }
  const places = headDimKeys.flatMap((key) => fields.size(key) ?? []);
  const stated = agree(places, report);
  const slice = latentSlice(model);
  if (slice !== undefined) {
    const rest = fields.size("qk_nope_head_dim");
    const sizes = rest && [slice.value, rest.value + slice.value];
    if (stated !== undefined && rest !== undefined && !sizes!.includes(stated.value)) {
      report.note(
        "differs",
        stated.path,
        `${stated.key} = ${stated.value} is neither qk_rope_head_dim (${slice.value}) nor qk_nope_head_dim + qk_rope_head_dim = ${rest.value} + ${slice.value} = ${rest.value + slice.value}; latent attention does not use it.`,
      );
    }
    return {
      value: slice.value,
      rule: `${slice.path}: the slice of a head that latent attention rotates`,
      source: "DeepSeek-V2 §2.1.3",
    };
  }
  if (stated !== undefined) return { value: stated.value, rule: stated.path };
  const standard = classDefault("head_dim", model);
  if (standard !== undefined) {
    report.note("implied", fields.pathOf("head_dim"), `The file does not state it; ${standard} is the ${ofClass}.`);
    return { value: standard, rule: `head_dim is not in the file; ${ofClass}` };
  }
  const width = fields.size(...widthKeys) ?? classSize(widthKeys, model, report);
  const heads = fields.size(...headCountKeys) ?? classSize(headCountKeys, model, report);
  if (width === undefined || heads === undefined) {
    const got = width?.path ?? heads?.path ?? "none of them";
    report.issue("head_dim", "head_dim, or hidden_size and num_attention_heads", got);
    return undefined;
  }
  const { headWidths = 1 } = model.family;
  const times = headWidths === 1 ? "" : `${headWidths} · `;
  const value = (headWidths * width.value) / heads.value;
  const arithmetic = `${times}${width.key} / ${heads.key} = ${times}${width.value} / ${heads.value} = ${value}`;
  if (Number.isInteger(value)) return { value, rule: arithmetic };
  report.issue("head_dim", "a head dimension that is an integer", arithmetic, "State head_dim, or correct the two.");
  return undefined;
}

/** The number of rotated elements of a head, and their start. A share is truncated, as in every engine. */
function readRotated(
  entry: RopeEntry,
  ropeType: string,
  headDim: number,
  located: Located,
): Omit<HeadFacts, "headDim"> {
  const { dialect, model, report } = located;
  const { family, known, modelType } = model;
  const whole = { value: headDim, rule: "all of the head" };
  const stated = statedShare(entry, located);
  // In latent attention, a share of the whole head gives the slice.
  if (latentSlice(model) !== undefined) return { rotaryDim: whole };
  const ofPairs = shareOfPairs(ropeType, headDim, located);
  if (ropeType === "proportional") {
    const share = stated ?? ofPairs ?? classShare(entry, model);
    const rotaryDim = { value: headDim, rule: "all of the head; pairs beyond the share have frequency 0" };
    return { rotaryDim, ...(share === undefined ? {} : { share }) };
  }
  const width = statedWidth(entry.dictionary, stated, headDim, located);
  if (family.rotatesLast === true) {
    const rotaryDim = width ?? classWidth(entry, headDim, located) ?? whole;
    const rule = `headDim − rotaryDim: ${modelType} rotates the last elements of a head`;
    return { rotaryDim, rotaryOffset: { value: headDim - rotaryDim.value, rule } };
  }
  if (width === undefined) return { rotaryDim: classWidth(entry, headDim, located) ?? whole };
  const { value, key, path, rule } = width;
  const isIgnored = known && family.readsPartial !== true && dialect.partialRotary === "by-class";
  if (value === headDim || !isIgnored) return { rotaryDim: { value, rule } };
  if (ropeType === "default") {
    report.note(
      "differs",
      path,
      `The class of ${modelType} in transformers rotates all ${headDim} elements of a head and does not read ${key}. This rope does the same; vLLM rotates the first ${value}.`,
    );
    return { rotaryDim: whole };
  }
  report.note(
    "differs",
    path,
    `The first ${value} elements of a head are rotated, as vLLM does; the class of ${modelType} in transformers cannot rotate a part of the head.`,
  );
  return { rotaryDim: { value, rule } };
}

/** The share of pairs that turn, for a family that states their elements. Other types than `proportional` have all. */
function shareOfPairs(ropeType: string, headDim: number, { model, report }: Located): Found<number> | undefined {
  const { rotatedKey } = model.family;
  const found = rotatedKey === undefined ? undefined : model.fields.size(rotatedKey);
  if (found === undefined) return undefined;
  const isScaled = ropeType !== "proportional";
  if (found.value > headDim || found.value % 2 === 1 || (isScaled && found.value !== headDim)) {
    const expected = isScaled
      ? `head_dim = ${headDim}: no type of this library scales some pairs of the whole head`
      : `an even number up to head_dim = ${headDim}`;
    report.issue(found.path, expected, `${found.value}`);
  }
  return { ...found, value: found.value / headDim, path: `${found.path} / head_dim = ${found.value} / ${headDim}` };
}

/** The number of rotated elements that the file states, directly or as a share. Both have to agree. */
function statedWidth(
  dictionary: Fields,
  share: Found<number> | undefined,
  headDim: number,
  { model, report }: Located,
): (Found<number> & Fact<number>) | undefined {
  const { fields, family } = model;
  const sizes = (of: Fields, key: string): Found<number>[] =>
    of.size(key) === undefined ? [] : (of.all(key) as Found<number>[]);
  const slice = family.rotatesLast === true ? sizes(fields, "qk_rope_head_dim") : [];
  const width = agree([...sizes(dictionary, "rope_dim"), ...sizes(fields, "rotary_dim"), ...slice], report);
  if (share === undefined) return width && { ...width, rule: width.path };
  const value = Math.trunc(headDim * share.value);
  const arithmetic = `trunc(${share.key} · head_dim) = trunc(${share.value} · ${headDim}) = ${value}`;
  if (width === undefined) return { ...share, value, rule: arithmetic };
  if (width.value !== value) {
    report.issue(width.path, arithmetic, `${width.value}`, "The file says two things; correct or remove one of them.");
  }
  return { ...width, rule: width.path };
}

function statedShare({ dictionary, nested, share }: RopeEntry, { model, report }: Located): Found<number> | undefined {
  const inside = dictionary.all("partial_rotary_factor");
  const outside = [...model.fields.all(...shareNames), ...(share === undefined ? [] : [share])];
  const places = nested && inside.length > 0 ? inside : [...inside, ...outside];
  return agree(
    places.flatMap((found) => asNumber(found, report) ?? []),
    report,
  );
}

/** The default number of rotated elements in the family's code. */
function classWidth(entry: RopeEntry, headDim: number, { model, report }: Located): Fact<number> | undefined {
  const width = classDefault("rotary_dim", model);
  const share = classShare(entry, model)?.value;
  if (width === undefined && share === undefined) return undefined;
  const [key, value] = width === undefined ? ["partial_rotary_factor", share] : ["rotary_dim", width];
  const ofCode = `${value} is the default of the code of ${model.modelType}`;
  report.note("implied", model.fields.pathOf(key as string), `The file does not state it; ${ofCode}.`);
  return { value: width ?? Math.trunc(headDim * share!), rule: `${key} ${ofCode}` };
}

function classShare({ dictionary, spelled }: RopeEntry, { family, modelType }: TextModel): Found<number> | undefined {
  if (family.shareOfDefaultRope === true && dictionary.keys().length > 0) return undefined;
  const key = "partial_rotary_factor";
  const value = spelled.defaults[key] ?? family.defaults?.[key];
  return typeof value === "number"
    ? { value, key, path: `default of the configuration class of ${modelType}` }
    : undefined;
}

/** A size that the configuration class sets where the file is silent. */
function classSize(
  keys: readonly string[],
  { family, fields, modelType }: TextModel,
  report: Report,
): Found<number> | undefined {
  const key = keys.find((each) => isSize(family.defaults?.[each]));
  if (key === undefined) return undefined;
  const value = family.defaults![key] as number;
  const ofClass = `the default of the configuration class of ${modelType}`;
  report.note("implied", fields.pathOf(key), `The file does not state it; ${value} is ${ofClass}.`);
  return { value, key, path: ofClass };
}

function classDefault(key: string, { family }: TextModel): number | undefined {
  const value = family.defaults?.[key];
  return typeof value === "number" ? value : undefined;
}

/** The position axis of each pair, for models whose positions have several axes (text, images, video). */

import type { Dialect } from "../facts/dialect.ts";
import type { Fact } from "../facts/fact.ts";
import type { AxisOrder } from "../facts/family.ts";
import type { Fields } from "../locate/fields.ts";
import { shown } from "../locate/found.ts";
import type { Located } from "../locate/located.ts";
import type { Report } from "../report.ts";

/** The axis of pairs that remain in the cyclic order: the first axis, or an extra one. */
type Spare = Dialect["mrope"]["spare"];

/**
 * The position axis of each pair, for a model of several axes; `undefined` for one axis.
 *
 * @param pairs the number of pairs, to which the sections have to add up.
 * @param isNamed whether the type in the file names several axes (`mrope`, `xdrope`).
 */
export function readAxes(
  dictionary: Fields,
  pairs: number,
  isNamed: boolean,
  { dialect, model, report }: Located,
): Fact<readonly number[]> | undefined {
  const { family, modelType } = model;
  const { axes, spare, wrongSum } = dialect.mrope;
  const timeLast = isTimeLast(dictionary, { dialect, model });
  const stated =
    dictionary.list("mrope_section", "xdrope_section") ??
    (timeLast ? (model.fields.list("mrope_section") ?? model.around.list("mrope_section")) : undefined);
  if (stated === undefined && dictionary.has("mrope_section", "xdrope_section")) return undefined;
  const sections = stated?.value ?? family.axes?.sections ?? evenSections(family.axes?.count, pairs);
  const path = stated?.path ?? dictionary.pathOf("mrope_section");
  if (sections === undefined) {
    if (isNamed) report.issue(path, "the number of pairs of each position axis", "nothing");
    return undefined;
  }
  if (axes === "first") {
    report.note("differs", path, `${dialect.engine} rotates by one position axis only. This is correct for text.`);
    return undefined;
  }
  const remedy = "Sections count pairs, not elements.";
  if (sections.length > pairs) {
    report.issue(path, `integers > 0 that add up to rotaryDim / 2 = ${pairs}`, `${sections.length} sections`, remedy);
    return undefined;
  }
  let whole = sections.filter((size): size is number => Number.isSafeInteger(size) && (size as number) > 0);
  let sum = whole.reduce((total, size) => total + size, 0);
  if (wrongSum === "rescaled" && !timeLast && sum !== pairs && sum > 0 && whole.length === sections.length) {
    report.note(
      "differs",
      path,
      `The sections add up to ${sum}, not to rotaryDim / 2 = ${pairs}; ${dialect.engine} multiplies them, and other engines refuse them.`,
    );
    whole = rescaled(whole, pairs);
    sum = pairs;
  }
  // A class's own sections may leave pairs over, which then follow the first axis.
  const isShort = stated === undefined && family.axes?.order === "cyclic" && sum < pairs;
  if (whole.length < sections.length || (sum !== pairs && !isShort)) {
    const isWhole = whole.length === sections.length;
    const first = sections
      .slice(0, 8)
      .map(shown)
      .join(isWhole ? " + " : ", ");
    const more = sections.length > 8 ? `${isWhole ? " +" : ","} … (${sections.length} sections)` : "";
    report.issue(
      path,
      `integers > 0 that add up to rotaryDim / 2 = ${pairs}`,
      isWhole ? `${first}${more} = ${sum}` : `[${first}${more}]`,
      remedy,
    );
    return undefined;
  }
  if (timeLast) checkTimeLast(whole, path, dictionary, { dialect, report });
  if (family.axes?.note !== undefined) {
    report.note("differs", path, family.axes.note);
  }
  const order = timeLast ? "time-last" : readOrder(dictionary, family.axes?.order, modelType, dialect, report);
  const fact = axesFact(whole, order, spare, stated?.path ?? `the class of ${modelType}`);
  if (!isShort) return fact;
  const rest = new Array<number>(pairs - sum).fill(0);
  return {
    value: Object.freeze([...fact.value, ...rest]),
    rule: `${fact.rule}; ${pairs - sum} more pairs follow axis 0`,
  };
}

/**
 * Whether the axes have the order of `bailing_mrope`: by the type, by `video_rope` in engines that read it, or by the
 * family.
 */
export function isTimeLast(dictionary: Fields, { dialect, model }: Pick<Located, "dialect" | "model">): boolean {
  if (model.family.axes?.order === "time-last") return true;
  if (dictionary.all("rope_type", "type").some(({ value }) => value === "bailing_mrope")) return true;
  return dialect.mrope.videoRope === "read" && dictionary.flag("video_rope")?.value === true;
}

/** Checks what the engines of `bailing_mrope` require. */
function checkTimeLast(
  sections: readonly number[],
  path: string,
  dictionary: Fields,
  { dialect, report }: Pick<Located, "dialect" | "report">,
): void {
  if (sections.length !== 3 || sections[1] !== sections[2]) {
    const expected = "[time, height, width] with equal sections of height and width";
    report.issue(path, expected, `[${sections.join(", ")}]`, "Pairs follow height and width by turns.");
  }
  const type = dictionary.first("rope_type", "type");
  if (dialect.mrope.timeLast === "default-only" && type !== undefined && !isPlain(type.value)) {
    const expected = `"default" with these axes, as ${dialect.engine} requires`;
    report.issue(type.path, expected, shown(type.value));
  }
}

const isPlain = (type: unknown): boolean => type === "default" || type === "bailing_mrope";

/** Equal sections; the first takes a pair more than the second if they do not divide. */
function evenSections(count: number | undefined, pairs: number): readonly number[] | undefined {
  if (count === undefined) return undefined;
  return Array.from({ length: count }, (_, axis) => Math.ceil((pairs - axis) / count));
}

/** The axis of each pair as a fact. Its rule names the sections. */
export function axesFact(
  sections: readonly number[],
  order: AxisOrder,
  spare: Spare,
  path: string,
): Fact<readonly number[]> {
  const short = sections.length > 8 ? `${sections.length} sections` : `[${sections.join(", ")}]`;
  return { value: Object.freeze(axisOfEachPair(sections, order, spare)), rule: `${path}: ${short}, ${order}` };
}

/** Sections scaled so that they add up to `pairs`, truncated. The last section takes the remainder. */
function rescaled(sections: readonly number[], pairs: number): number[] {
  const sum = sections.reduce((total, size) => total + size, 0);
  const first = sections.slice(0, -1).map((size) => Math.trunc((size * pairs) / sum));
  return [...first, pairs - first.reduce((total, size) => total + size, 0)];
}

function readOrder(
  dictionary: Fields,
  ofClass: AxisOrder | undefined,
  modelType: string | null,
  { engine, mrope }: Dialect,
  report: Report,
): AxisOrder {
  const flag = mrope.interleavedKeys.length === 0 ? undefined : dictionary.flag(...mrope.interleavedKeys);
  // Ernie's order is a class of its own in every engine.
  if (mrope.order === "by-key" && ofClass !== "alternating") {
    const order = flag?.value === true ? "cyclic" : "sectioned";
    if (ofClass !== undefined && ofClass !== order) {
      report.note(
        "differs",
        flag?.path ?? dictionary.pathOf("mrope_interleaved"),
        `${engine} follows this key: the axes are ${order}; the class of ${modelType} in transformers has them ${ofClass}.`,
      );
    }
    return order;
  }
  if (flag?.key === "interleaved") {
    report.note(
      "differs",
      flag.path,
      "interleaved is read as mrope_interleaved; vLLM and SGLang read only the latter and would use runs.",
    );
  }
  const stated = flag === undefined ? undefined : flag.value ? "cyclic" : "sectioned";
  const order = ofClass ?? stated ?? "sectioned";
  if (stated !== undefined && stated !== order) {
    report.note(
      "differs",
      flag!.path,
      `The class of ${modelType} in transformers assigns axes to pairs in its own order (${order}) and does not read ${flag!.key}; vLLM follows the key.`,
    );
  }
  return order;
}

/**
 * The axis of each pair.
 *
 * `sectioned`: runs (Qwen2-VL). `cyclic`: pair `i` has axis `i mod n` while `i < n · sections[axis]`, else axis 0
 * (Qwen3-VL) or an extra axis (ggml). `alternating`: the first two sections in alternation as axes 1 and 2, then the
 * third as axis 0 (Ernie 4.5 VL, whose sections are height, width, time). `time-last`: the same order of axes for
 * sections of time, height, width (Ling and Ming: vLLM's `bailing_mrope`).
 *
 * `@ropewalk/nd-qwen2vl` has the first two as `sectionedAxes` and `cyclicAxes`. This package must not import a
 * provider, and does not need one: the axes stand in the request.
 *
 * Source: Hugging Face transformers 5, `apply_multimodal_rotary_pos_emb`, `apply_interleaved_mrope`,
 * `Ernie4_5_VLMoeTextRotaryEmbedding`; vLLM 0.33 `BailingMRotaryEmbedding`.
 */
function axisOfEachPair(sections: readonly number[], order: AxisOrder, spare: Spare): number[] {
  if (order === "sectioned") return sections.flatMap((size, axis) => new Array<number>(size).fill(axis));
  const count = sections.length;
  const pairs = sections.reduce((total, size) => total + size, 0);
  const spatial = pairs - (sections[order === "time-last" ? 0 : 2] ?? 0);
  return Array.from({ length: pairs }, (_, i) => {
    if (order === "alternating" || order === "time-last") return i < spatial ? 1 + (i % 2) : 0;
    return i < count * sections[i % count]! ? i % count : spare === "first" ? 0 : count;
  });
}

/** Which position axis turns which pair, for models whose positions have several axes (text, images, video). */

import type { Dialect } from "./dialects.ts";
import type { AxisOrder } from "./families.ts";
import type { Fields } from "./fields.ts";
import type { Explained, Reading } from "./reading.ts";
import { show } from "./report.ts";

/** Sections of pairs and how they are given to axes. */
export interface Sections {
  readonly sections: readonly number[];
  readonly order: AxisOrder;
  /** Whose pairs are those that are left over where axes take turns: the first axis's, or an axis's of their own. */
  readonly spare: Dialect["mrope"]["spare"];
}

/**
 * The sections of a model of several axes; `undefined` for one axis.
 *
 * @param pairs how many pairs there are: the sections have to add up to them.
 */
export function readSections(
  dictionary: Fields,
  pairs: number,
  { dialect, model, report }: Reading,
): Explained<Sections> | undefined {
  const { family, known, modelType } = model;
  const { axes, spare, wrongSum } = dialect.mrope;
  // A text model of one axis does not get others by a key that its class ignores.
  const named = dictionary.all("rope_type", "type").some(({ value }) => value === "mrope" || value === "xdrope");
  if (known && family.axes === undefined && !named) return undefined;
  const stated = dictionary.list("mrope_section", "xdrope_section");
  if (stated === undefined && dictionary.has("mrope_section", "xdrope_section")) return undefined;
  const sections = stated?.value ?? family.axes?.sections;
  if (sections === undefined) {
    if (named) report.issue(dictionary.pathOf("mrope_section"), "the number of pairs of each position axis", "nothing");
    return undefined;
  }
  if (axes === "first") {
    report.note(
      "differs",
      stated?.path ?? dictionary.pathOf("mrope_section"),
      `${dialect.engine} rotates by one position axis only, which is right for text.`,
    );
    return undefined;
  }
  let whole = sections.filter((size): size is number => Number.isSafeInteger(size) && (size as number) >= 0);
  let sum = whole.reduce((total, size) => total + size, 0);
  if (wrongSum === "rescaled" && sum !== pairs && sum > 0 && whole.length === sections.length) {
    report.note(
      "differs",
      stated?.path ?? dictionary.pathOf("mrope_section"),
      `The sections add up to ${sum}, not to rotaryDim / 2 = ${pairs}; ${dialect.engine} multiplies them, and other engines refuse them.`,
    );
    whole = rescaled(whole, pairs);
    sum = pairs;
  }
  if (whole.length < sections.length || sum !== pairs) {
    const rest = sections.length > 8 ? `, … (${sections.length})` : "";
    const received =
      whole.length < sections.length
        ? `[${sections.slice(0, 8).map(show).join(", ")}${rest}]`
        : `${whole.slice(0, 8).join(" + ")}${sections.length > 8 ? ` + … (${sections.length} sections)` : ""} = ${sum}`;
    report.issue(
      stated?.path ?? dictionary.pathOf("mrope_section"),
      `integers that add up to rotaryDim / 2 = ${pairs}`,
      received,
      "Sections count pairs, not elements.",
    );
    return undefined;
  }
  if (family.axes?.note !== undefined) {
    report.note("differs", stated?.path ?? dictionary.pathOf("mrope_section"), family.axes.note);
  }
  return {
    value: { sections: whole, order: readOrder(dictionary, family.axes?.order, modelType, dialect, report), spare },
    rule: stated?.path ?? `the class of ${modelType}`,
  };
}

/** Sections times what makes them add up, truncated; the last takes what is left. */
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
  report: Reading["report"],
): AxisOrder {
  const flag = mrope.interleavedKeys.length === 0 ? undefined : dictionary.flag(...mrope.interleavedKeys);
  // Ernie's is a class of its own in every engine.
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
      "interleaved is read as mrope_interleaved; vLLM and SGLang know only the latter and would cut the axes into runs.",
    );
  }
  const stated = flag === undefined ? undefined : flag.value ? "cyclic" : "sectioned";
  const order = ofClass ?? stated ?? "sectioned";
  if (stated !== undefined && stated !== order) {
    report.note(
      "differs",
      flag!.path,
      `The class of ${modelType} in transformers gives axes to pairs in its own way (${order}) whatever ${flag!.key} says; vLLM follows the key.`,
    );
  }
  return order;
}

/**
 * The axis of each pair.
 *
 * `sectioned`: runs (Qwen2-VL). `cyclic`: pair `i` takes axis `i mod n` while `i < n · sections[axis]`, else axis 0
 * (Qwen3-VL) or an axis of its own (ggml). `alternating`: the first two sections by turns as axes 1 and 2, then the third as axis 0 (Ernie 4.5 VL, whose
 * sections are height, width, time).
 *
 * Source: Hugging Face transformers 5, `apply_multimodal_rotary_pos_emb`, `apply_interleaved_mrope`,
 * `Ernie4_5_VLMoeTextRotaryEmbedding`.
 */
export function axisOfEachPair({ sections, order, spare }: Sections): number[] {
  const count = sections.length;
  if (order === "sectioned") return sections.flatMap((size, axis) => new Array<number>(size).fill(axis));
  const pairs = sections.reduce((total, size) => total + size, 0);
  const spatial = pairs - (sections[2] ?? 0);
  return Array.from({ length: pairs }, (_, i) => {
    if (order === "alternating") return i < spatial ? 1 + (i % 2) : 0;
    return i < count * sections[i % count]! ? i % count : spare === "first" ? 0 : count;
  });
}

/**
 * GGUF metadata → facts. Reads the key/values of a file's header and its rope tensors as llama.cpp's loader and graph
 * do.
 *
 * Source: llama.cpp as of llama-cpp-python 0.3.36, `load_hparams`, `llama_context` and `ggml_rope_ext`.
 */

import type { QueryScale } from "@ropewalk/core";
import { isSameRope, noRope, noRopeLabel } from "../facts/fact.ts";
import type { Fact, LayerFacts, ModelFacts } from "../facts/fact.ts";
import { shown } from "../locate/found.ts";
import type { GgufOptions } from "../options.ts";
import type { Report } from "../report.ts";
import { GgufFile } from "./gguf-file.ts";
import { readGgufLayers } from "./gguf-layers.ts";
import { readGgufScaling } from "./gguf-scaling.ts";
import { largestHead } from "../limits.ts";

/**
 * The facts of each layer of a GGUF file.
 *
 * @param metadata numbers may be bigints; never changed.
 * @param options checked already.
 * @throws RopeError `ROPE_CONFIG` with every issue.
 */
export function readGguf(metadata: unknown, options: GgufOptions): ModelFacts {
  const file = new GgufFile(metadata, options);
  const { architecture, report } = file;
  refuseUnknownGraph(file);
  const layers = readGgufLayers(file);
  if (architecture.noRope === true) {
    report.throwIfBroken();
    return factsWithoutRope(file, layers.count);
  }
  const kinds = Array.from({ length: layers.count ?? 0 }, (_, layer) => layers.kindOf(layer));
  const full = readRope(file, false, layers.isFirstSliding);
  const sliding = layers.hasSliding ? readRope(file, true, layers.isFirstSliding) : undefined;
  const without = architecture.layersWithoutRope;
  const isBare = sliding !== undefined && without?.kind === "full" && without.leadingDense !== true;
  const isShared = !isBare && (sliding === undefined || isSameRope(full, sliding));

  const names = architecture.compresses === true ? ["compress", "main"] : ["full_attention", "sliding_attention"];
  const [fullLabel, slidingLabel] = isShared ? [null, null] : (names as [string, string]);
  // Full layers without rope are a type of their own; others are single layers.
  const noneLabel = isBare ? fullLabel : noRopeLabel;
  const labelOf = (layer: number): string | null =>
    ({ none: noneLabel, sliding: slidingLabel, full: fullLabel })[layers.kindOf(layer)];
  const none = noRope(whyNone(file), layers.hasSliding ? queryScaleWithoutRope(file) : undefined);
  const byLabel = new Map<string | null, LayerFacts>();
  if (layers.count === null || kinds.some((kind) => kind !== "none") || isBare) {
    byLabel.set(fullLabel, isBare ? none : full);
    if (slidingLabel !== null && sliding !== undefined) byLabel.set(slidingLabel, sliding);
  }
  if (kinds.includes("none")) byLabel.set(noneLabel, none);
  if (layers.own !== layers.count && byLabel.size > 1) {
    const what = `Layers ${layers.own} and later draft further tokens. They have a graph of their own, with which this was not compared.`;
    report.note("implied", file.key("nextn_predict_layers"), what);
  }
  file.noteUnread();
  noteTensors(options, report);
  report.throwIfBroken();
  return {
    modelType: file.name,
    dialect: { value: "llama.cpp", rule: "read as llama.cpp's loader does" },
    byLabel,
    layerCount: layers.count,
    labelOf,
    notes: report.notes,
  };
}

/** A header does not tell whether the file has rope tensors, which change frequencies. */
function noteTensors({ tensors }: GgufOptions, report: Report): void {
  if (tensors !== undefined) return;
  const message =
    "The file's tensors were not given. If it has rope_freqs.weight or rope_factors_long.weight and rope_factors_short.weight (Llama 3.1, Gemma 4, Phi-3), pass them as options.tensors: they change the frequencies. If it has none, pass {}.";
  report.note("implied", "rope_freqs.weight", message, "warning");
}

/** The facts of an architecture whose graph rotates nothing. */
function factsWithoutRope(file: GgufFile, layerCount: number | null): ModelFacts {
  const why = `llama.cpp's graph of ${file.name} rotates nothing`;
  file.report.note("implied", "general.architecture", `No layer of ${file.name} has a rope: ${why}.`);
  return {
    modelType: file.name,
    dialect: { value: "llama.cpp", rule: "read as llama.cpp's loader does" },
    byLabel: new Map([[null, noRope(why)]]),
    layerCount,
    labelOf: () => null,
    notes: file.report.notes,
  };
}

function whyNone(file: GgufFile): string {
  return file.architecture.layersWithoutRope?.kind === "finetuned"
    ? `${file.key("rope.scaling.finetuned")}: false means no rope here, or a layer without heads`
    : "layers of this type have no rope";
}

/** Files whose graph the table does not describe, and a second rope that is not read. */
function refuseUnknownGraph(file: GgufFile): void {
  const { unknownIf, hasIndexer } = file.architecture;
  if (unknownIf !== undefined && (file.number(unknownIf.key)?.value ?? 0) > 0) {
    const { key, why } = unknownIf;
    file.report.issue(file.key(key), `nothing: ${why}, which is not known here`, shown(file.value(key)));
  }
  if (hasIndexer === true) {
    const what = "The indexer that chooses the keys rotates its own heads; that rope is not read.";
    file.report.note("unused", file.key("attention.indexer.key_length"), what);
  }
}

/** The facts of the layers with full attention, or with sliding attention. */
function readRope(file: GgufFile, isSliding: boolean, isFirstSliding: boolean): LayerFacts {
  const { architecture } = file;
  const sizes = readSizes(file, isSliding, isFirstSliding);
  const base = readBase(file, isSliding, sizes);
  const promised = file.size("context_length");
  // The report has the reason.
  if (sizes === undefined) return noRope("no head dimension");
  const { headDim, rotaryDim } = sizes;
  const pairs = rotaryDim.value / 2;
  const axes = readAxes(file, pairs);
  const rest = headDim.value - rotaryDim.value;
  return {
    ...readGgufScaling(file, isSliding, pairs),
    ...sizes,
    ...(architecture.rotatesLast === true && rest > 0
      ? { rotaryOffset: { value: rest, rule: `the graph of ${file.name} rotates the last elements` } }
      : {}),
    base,
    maxPosition: promised ?? { value: null, rule: "not in the file" },
    pairing: {
      value: axes === undefined ? architecture.pairing : "half",
      rule: `how llama.cpp's graph of ${file.name} turns the file's weights`,
      source: "llama_model_rope_type",
    },
    ...(axes === undefined ? {} : { axes }),
    ...readQueryScale(file),
  };
}

/** Llama 4 scales the queries of layers without rope, unless its window is 0. */
function queryScaleWithoutRope({ architecture, name }: GgufFile): Fact<QueryScale> | undefined {
  if (architecture.temperature !== "layers without rope") return undefined;
  const value = Object.freeze({ rule: "temperature", beta: 0.1, length: 8192, offset: 1 } as const);
  return { value, rule: `llama.cpp's loader of ${name}`, source: "llm_graph_input_attn_temp" };
}

/** The scale of queries by their position in layers with a rope. */
function readQueryScale(file: GgufFile): { readonly queryScale?: Fact<QueryScale> } {
  const { temperature } = file.architecture;
  if (temperature === undefined || temperature === "layers without rope") return {};
  const beta = file.scale("attention.temperature_scale");
  if (beta === undefined || beta.value === 0) return {};
  const length =
    temperature === "temperature_length"
      ? file.size("attention.temperature_length")
      : (file.size("rope.scaling.original_context_length") ?? file.size("context_length"));
  if (length === undefined) {
    const key = temperature === "temperature_length" ? "attention.temperature_length" : "context_length";
    file.report.issue(file.key(key), "the length of the scale of queries, in tokens", "nothing");
    return {};
  }
  const value = Object.freeze({ rule: "temperature", beta: beta.value, length: length.value, offset: 0 } as const);
  const rule = `${beta.rule} ${beta.value}, ${length.rule} ${length.value}`;
  return { queryScale: { value, rule, source: "llm_graph_input_attn_temp" } };
}

type Sizes = { readonly headDim: Fact<number>; readonly rotaryDim: Fact<number> } | undefined;

function readBase(file: GgufFile, isSliding: boolean, sizes: Sizes): Fact<number> {
  const { architecture } = file;
  if (architecture.isFixed === true) {
    return { value: 10_000, rule: `the graph of ${file.name} has this base, whatever the file says` };
  }
  const standard = (key: string): Fact<number> => ({
    value: 10_000,
    rule: `llama.cpp's default; ${key} is not in the file`,
  });
  const full = withAlpha(file, file.number("rope.freq_base") ?? standard("rope.freq_base"), sizes);
  if (architecture.compresses === true && !isSliding) {
    const name = "attention.compress_rope_freq_base";
    const found = file.number(name);
    if (found === undefined) file.report.issue(file.key(name), "the base of compressed layers", "nothing");
    return found ?? full;
  }
  const rule = architecture.sliding?.base;
  if (!isSliding || rule === undefined || rule === "full") return full;
  const key = "rope.freq_base_swa";
  return file.number(key) ?? (rule === "same" ? full : standard(key));
}

/** Hunyuan: base · alpha^(d / (d − 2)), in float32. */
function withAlpha(file: GgufFile, base: Fact<number>, sizes: Sizes): Fact<number> {
  if (file.architecture.readsAlpha !== true || sizes === undefined) return base;
  const alpha = file.number("rope.scaling.alpha");
  const d = sizes.headDim.value;
  if (alpha === undefined || alpha.value <= 0 || d <= 2) return base;
  const power = Math.fround(Math.fround(alpha.value) ** Math.fround(d / (d - 2)));
  const value = Math.fround(Math.fround(base.value) * power);
  return { value, rule: `${base.rule} · ${alpha.rule}^(d / (d − 2)), d = ${d}`, source: "load_arch_hparams" };
}

/** The elements of a head, and the number of rotated elements. */
function readSizes(file: GgufFile, isSliding: boolean, isFirstSliding: boolean): Sizes {
  const { architecture } = file;
  // Most graphs take the sizes of the first layer for all layers.
  const isOwn = architecture.sizes === undefined ? isFirstSliding : isSliding;
  const size = (name: string): Fact<number> | undefined => {
    const full = file.size(name);
    const own = architecture.sliding === undefined ? undefined : file.size(`${name}_swa`);
    return isOwn ? (own ?? full) : full;
  };
  const width = file.size("embedding_length");
  const heads = file.value("attention.head_count");
  const count: unknown = Array.isArray(heads) ? heads[0] : heads;
  if (count === 0) {
    file.report.issue(
      file.key("attention.head_count"),
      "heads in the first layer, of which llama.cpp takes the sizes",
      shown(heads),
      "Its graph of this file rotates no element.",
    );
  }
  const quotient =
    width !== undefined && typeof count === "number" && count > 0
      ? { value: width.value / count, rule: `embedding_length / attention.head_count = ${width.value} / ${count}` }
      : undefined;
  const whole = size("attention.key_length") ?? quotient;
  const stated =
    architecture.isFixed === true ? undefined : halved(size("rope.dimension_count"), whole, file, isSliding);
  const headDim =
    architecture.latent === true && stated !== undefined
      ? { ...stated, rule: `${stated.rule}: the slice of a head that latent attention rotates` }
      : (whole ?? stated);
  if (headDim === undefined || !Number.isInteger(headDim.value) || headDim.value > largestHead) {
    file.report.issue(
      file.key("attention.key_length"),
      `the elements of a head, an integer up to ${largestHead}`,
      headDim?.rule ?? "nothing",
      "Or give embedding_length and attention.head_count.",
    );
    return undefined;
  }
  const rotaryDim = stated ?? { value: headDim.value, rule: "all of the head" };
  if (rotaryDim.value % 2 === 0 && rotaryDim.value <= headDim.value) return { headDim, rotaryDim };
  file.report.issue(
    file.key("rope.dimension_count"),
    `an even number up to ${headDim.value} (${headDim.rule})`,
    `${rotaryDim.value} (${rotaryDim.rule})`,
  );
  return undefined;
}

/** Step-3.5 writes the number of rotated elements of its sliding layers. Full layers rotate half of them. */
function halved(
  stated: Fact<number> | undefined,
  whole: Fact<number> | undefined,
  { architecture }: GgufFile,
  isSliding: boolean,
): Fact<number> | undefined {
  if (architecture.sizes !== "by layer, full by half" || isSliding) return stated;
  const all = stated ?? whole;
  return all && { value: Math.floor(all.value / 2), rule: `half of ${all.rule}` };
}

/** The axis of each pair. In ggml, pairs that remain in the cyclic order have an extra axis. */
function readAxes(file: GgufFile, pairs: number): Fact<readonly number[]> | undefined {
  const rule = file.architecture.axes;
  const list = rule === undefined ? undefined : file.list("rope.dimension_sections");
  if (rule === undefined || list === undefined) return undefined;
  const sections = list.filter((size): size is number => Number.isSafeInteger(size) && (size as number) >= 0);
  const sum = sections.reduce((total, size) => total + size, 0);
  const isValid = sections.length === list.length && list.length <= mostSections;
  const [time = 0, height = 0, width = 0] = sections;
  if (isValid && (sum === 0 || (rule.ifTwo === true && (time === 0 || height === 0)))) return undefined;
  const key = file.key("rope.dimension_sections");
  if (!isValid || sum !== pairs) {
    const expected = `up to ${mostSections} integers that add up to rotaryDim / 2 = ${pairs}`;
    file.report.issue(key, expected, list.slice(0, 8).map(shown).join(" + "));
    return undefined;
  }
  const ends = sections.map((_, axis) => sections.slice(0, axis + 1).reduce((total, size) => total + size, 0));
  const cyclic = (pair: number): number => (pair < 3 * [time, height, width][pair % 3]! ? pair % 3 : extraAxis);
  const inRuns = (pair: number): number => ends.findIndex((end) => pair < end);
  const value = Array.from({ length: pairs }, (_, pair) => (rule.order === "cyclic" ? cyclic(pair) : inRuns(pair)));
  if (value.every((axis) => axis === 0)) return undefined;
  const last = Math.max(...value);
  if (Array.from({ length: last }, (_, axis) => value.includes(axis)).includes(false)) {
    file.report.issue(key, "pairs of every axis up to the last one", sections.join(" + "));
    return undefined;
  }
  return { value: Object.freeze(value), rule: `${key}: [${sections.join(", ")}], ${rule.order}` };
}

const mostSections = 4;
const extraAxis = 3;

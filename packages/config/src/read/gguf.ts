/**
 * GGUF metadata → facts. Reads the key/values of a file's header and its rope tensors as llama.cpp's loader and graph
 * do.
 *
 * Source: llama.cpp as of llama-cpp-python 0.3.36, `load_hparams`, `llama_context` and `ggml_rope_ext`.
 */

import { isSameRope, noRope, noRopeLabel } from "../facts/fact.ts";
import type { Fact, LayerFacts, ModelFacts } from "../facts/fact.ts";
import { shown } from "../locate/found.ts";
import { mostLayers } from "../locate/layers.ts";
import type { GgufOptions } from "../options.ts";
import { axesFact } from "./axes.ts";
import { GgufFile } from "./gguf-file.ts";
import { readGgufScaling } from "./gguf-scaling.ts";
import { largestHead } from "./head.ts";

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
  const layerCount = readLayerCount(file);
  const isSliding = slidingLayers(file, layerCount);
  const hasNoRope = layersWithoutRope(file);
  const full = readRope(file, false);
  const sliding = isSliding === undefined ? undefined : readRope(file, true);
  const noneOnFull = architecture.noRopeLayers === "full" && sliding !== undefined;
  const isShared = !noneOnFull && (sliding === undefined || isSameRope(full, sliding));

  const [fullLabel, slidingLabel] = isShared ? [null, null] : ["full_attention", "sliding_attention"];
  const labelOf = (layer: number): string | null =>
    hasNoRope(layer) ? noRopeLabel : isSliding?.(layer) === true ? slidingLabel : fullLabel;
  const none = noRope("layers of this type have no rope");
  const byLabel = new Map<string | null, LayerFacts>([[fullLabel, noneOnFull ? none : full]]);
  if (slidingLabel !== null && sliding !== undefined) byLabel.set(slidingLabel, sliding);
  if (Array.from({ length: layerCount ?? 0 }, (_, layer) => hasNoRope(layer)).includes(true)) {
    byLabel.set(noRopeLabel, none);
  }
  file.noteUnread();
  report.throwIfBroken();
  return {
    modelType: file.name,
    dialect: { value: "llama.cpp", rule: "read as llama.cpp's loader does" },
    byLabel,
    layerCount,
    labelOf,
    notes: report.notes,
  };
}

function readLayerCount(file: GgufFile): number | null {
  const count = file.size("block_count")?.value ?? null;
  if (count === null || count <= mostLayers) return count;
  file.report.issue(file.key("block_count"), `at most ${mostLayers} layers`, `${count}`);
  return null;
}

/** Which layers have sliding attention with a rope of their own; `undefined`: none. */
function slidingLayers(file: GgufFile, count: number | null): ((layer: number) => boolean) | undefined {
  const { sliding } = file.architecture;
  const hasWindow = (): boolean => (file.number("attention.sliding_window")?.value ?? 0) > 0;
  if (sliding === undefined || (sliding.onlyWithWindow === true && !hasWindow())) return undefined;
  const name = "attention.sliding_window_pattern";
  const pattern = file.value(name);
  if (Array.isArray(pattern)) {
    if (count !== null && pattern.length < count) {
      file.report.issue(file.key(name), `${count} entries, one for each layer`, `${pattern.length}`);
    }
    return (layer) => pattern[layer] === true || pattern[layer] === 1;
  }
  const interval = typeof pattern === "number" ? pattern : sliding.interval;
  if (interval === null) {
    file.report.issue(file.key(name), "a list of the layers with sliding attention", shown(pattern));
    return undefined;
  }
  const full = sliding.fullAt === "first" ? 0 : interval - 1;
  return (layer) => interval === 0 || layer % interval !== full;
}

function layersWithoutRope(file: GgufFile): (layer: number) => boolean {
  const { noRopeLayers } = file.architecture;
  if (typeof noRopeLayers !== "object") return () => false;
  const { at, interval, unlessWindow } = noRopeLayers;
  const window = file.number("attention.sliding_window")?.value;
  const hasNoWindow = window === 0 || (window === undefined && unlessWindow === "absent");
  if (unlessWindow !== undefined && hasNoWindow) return () => false;
  const chosen = at === "first" ? 0 : interval - 1;
  return (layer) => layer % interval === chosen;
}

/** The facts of the layers with full attention, or with sliding attention. */
function readRope(file: GgufFile, isSliding: boolean): LayerFacts {
  const sizes = readSizes(file, isSliding);
  const base = readBase(file, isSliding);
  const promised = file.size("context_length");
  // The report has the reason.
  if (sizes === undefined) return noRope("no head dimension");
  const pairs = sizes.rotaryDim.value / 2;
  const axes = readAxes(file, pairs);
  return {
    ...readGgufScaling(file, isSliding, pairs),
    ...sizes,
    base,
    maxPosition: promised ?? { value: null, rule: "not in the file" },
    pairing: {
      value: axes === undefined ? file.architecture.pairing : "half",
      rule: `how llama.cpp's graph of ${file.name} turns the file's weights`,
      source: "llama_model_rope_type",
    },
    ...(axes === undefined ? {} : { axes }),
  };
}

function readBase(file: GgufFile, isSliding: boolean): Fact<number> {
  const standard = (key: string): Fact<number> => ({
    value: 10_000,
    rule: `llama.cpp's default; ${key} is not in the file`,
  });
  const full = file.number("rope.freq_base") ?? standard("rope.freq_base");
  if (!isSliding) return full;
  const key = "rope.freq_base_swa";
  return file.number(key) ?? (file.architecture.sliding?.base === "same" ? full : standard(key));
}

/** The elements of a head, and the number of rotated elements. */
function readSizes(
  file: GgufFile,
  isSliding: boolean,
): { readonly headDim: Fact<number>; readonly rotaryDim: Fact<number> } | undefined {
  const size = (name: string): Fact<number> | undefined =>
    (isSliding ? file.size(`${name}_swa`) : undefined) ?? file.size(name);
  const width = file.size("embedding_length");
  const heads = file.value("attention.head_count");
  const count = Array.isArray(heads)
    ? (heads as readonly unknown[]).find((value) => typeof value === "number" && value > 0)
    : heads;
  const quotient =
    width !== undefined && typeof count === "number" && count > 0
      ? { value: width.value / count, rule: `embedding_length / attention.head_count = ${width.value} / ${count}` }
      : undefined;
  const whole = size("attention.key_length") ?? quotient;
  const stated = size("rope.dimension_count");
  const headDim =
    file.architecture.latent === true && stated !== undefined
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

/** The axis of each pair. In ggml, pairs that remain in the cyclic order have an extra axis. */
function readAxes(file: GgufFile, pairs: number): Fact<readonly number[]> | undefined {
  const order = file.architecture.axes;
  const list = order === undefined ? undefined : file.list("rope.dimension_sections");
  if (order === undefined || list === undefined) return undefined;
  const sections = list.filter((size): size is number => Number.isSafeInteger(size) && (size as number) >= 0);
  while (sections.length > 1 && sections.at(-1) === 0) sections.pop();
  const sum = sections.reduce((total, size) => total + size, 0);
  if (sum === 0 && sections.length > 0) return undefined;
  const key = file.key("rope.dimension_sections");
  if (sections.length > 0 && sum === pairs) return axesFact(sections, order, "own", key);
  const expected = `integers that add up to rotaryDim / 2 = ${pairs}`;
  file.report.issue(key, expected, list.slice(0, 8).map(shown).join(" + "));
  return undefined;
}

/** Which layers of a GGUF file have which rope: full attention, sliding attention, or none. */

import type { GgufArchitecture } from "../facts/gguf-architectures.ts";
import { shown } from "../locate/found.ts";
import { mostLayers } from "../limits.ts";
import type { GgufFile } from "./gguf-file.ts";

/** In DeepSeek-V4, layers that are compressed count as full, and the others as sliding. */
export type LayerKind = "full" | "sliding" | "none";

export interface GgufLayers {
  /** The number of layers; `null` if the file does not state it. */
  readonly count: number | null;
  /** The number of layers without those that draft further tokens. */
  readonly own: number | null;
  /** Whether the layers are of two kinds that may have different ropes. */
  readonly hasSliding: boolean;
  /** Whether the first layer has sliding attention. */
  readonly isFirstSliding: boolean;
  kindOf(layer: number): LayerKind;
}

type Is = (layer: number) => boolean;

/** Reads the kind of each layer. */
export function readGgufLayers(file: GgufFile): GgufLayers {
  const count = readCount(file);
  const drafting = file.number("nextn_predict_layers")?.value ?? 0;
  // Layers that draft further tokens stand behind the model's own.
  const own = count === null ? null : count - drafting;
  const isSliding = slidingLayers(file, own);
  const isCompressed = file.architecture.compresses === true ? compressedLayers(file, own) : undefined;
  const hasNone = layersWithoutRope(file, own, isSliding);
  const hasNoHeads = layersWithoutHeads(file);
  return {
    count,
    own,
    hasSliding: isSliding !== undefined,
    isFirstSliding: isSliding?.(0) === true,
    kindOf(layer) {
      if (hasNone(layer) || hasNoHeads(layer)) return "none";
      const isFull = isCompressed?.(layer) ?? isSliding?.(layer) !== true;
      return isFull ? "full" : "sliding";
    },
  };
}

function readCount(file: GgufFile): number | null {
  const count = file.size("block_count")?.value ?? null;
  if (count === null || count <= mostLayers) return count;
  file.report.issue(file.key("block_count"), `at most ${mostLayers} layers`, `${count}`);
  return null;
}

/** A list with an entry for each layer of the model itself: `true`, or a number that is not 0, says yes. */
function listed(file: GgufFile, name: string, list: readonly unknown[], own: number | null): Is {
  if (own !== null && list.length < own) {
    file.report.issue(file.key(name), `${own} entries, one for each layer`, `${list.length}`);
  }
  const bad = list.find((value) => typeof value !== "boolean" && typeof value !== "number");
  if (bad !== undefined) file.report.issue(file.key(name), "true or false, or a number, for each layer", shown(bad));
  return (layer) => list[layer] === true || (typeof list[layer] === "number" && list[layer] !== 0);
}

/** Which layers have sliding attention; `undefined`: none. */
function slidingLayers(file: GgufFile, own: number | null): Is | undefined {
  const { sliding } = file.architecture;
  if (sliding === undefined) return undefined;
  const window = file.number("attention.sliding_window")?.value;
  if (sliding.onlyWithWindow !== undefined && !hasWindow(window, sliding.onlyWithWindow)) return undefined;
  if (sliding.onlyWithLayers !== undefined && own !== sliding.onlyWithLayers) return undefined;
  if (sliding.layers === "all") return () => true;
  const name = "attention.sliding_window_pattern";
  const pattern = file.value(name);
  if (Array.isArray(pattern)) return listed(file, name, pattern, own);
  if (sliding.layers === "listed") {
    file.report.issue(file.key(name), "a list of the layers with sliding attention", shown(pattern));
    return undefined;
  }
  const interval = file.number(name)?.value ?? sliding.layers;
  const full = sliding.fullAt === "first" ? 0 : interval - 1;
  return (layer) => (own === null || layer < own) && (interval === 0 || layer % interval !== full);
}

/** Whether there is a window. A file without the key has one, or none. */
function hasWindow(window: number | undefined, rule: "stated" | "unless 0"): boolean {
  return window === undefined ? rule === "unless 0" : window > 0;
}

/** DeepSeek-V4: the ratio of each layer; 0 for a layer that is not compressed. */
function compressedLayers(file: GgufFile, own: number | null): Is {
  const name = "attention.compress_ratios";
  const list = file.list(name);
  if (list !== undefined) return listed(file, name, list, own);
  file.report.issue(file.key(name), "a list with the ratio of each layer", "nothing");
  return () => false;
}

/** Layers that have no heads attend to nothing: recurrent layers, or none at all. */
function layersWithoutHeads(file: GgufFile): Is {
  const names = ["attention.head_count", "attention.head_count_kv"];
  const lists = names.map((name) => ({ name, list: file.value(name) }));
  const isNone: Is = (layer) => lists.some(({ list }) => Array.isArray(list) && list[layer] === 0);
  if (file.architecture.allowsNoHeads === true) return isNone;
  for (const { name, list } of lists) {
    if (!Array.isArray(list) || !list.includes(0)) continue;
    file.report.issue(file.key(name), `heads in each layer; the graph of ${file.name} knows no other`, shown(list));
  }
  return () => false;
}

function layersWithoutRope(file: GgufFile, own: number | null, isSliding: Is | undefined): Is {
  const rule = file.architecture.layersWithoutRope;
  const every = (): boolean => true;
  const never = (): boolean => false;
  switch (rule?.kind) {
    case undefined:
      return never;
    case "full": {
      const dense = rule.leadingDense === true ? (file.number("leading_dense_block_count")?.value ?? 0) : 0;
      return isSliding === undefined ? never : (layer) => layer >= dense && !isSliding(layer);
    }
    case "interval":
      return byInterval(file, rule, own);
    case "pattern": {
      const name = "attention.rope_pattern";
      const list = file.list(name);
      if (list === undefined) return never;
      const rotates = listed(file, name, list, own);
      return (layer) => !rotates(layer);
    }
    case "finetuned":
      return file.flag("rope.scaling.finetuned") === false ? every : never;
    case "unless":
      return own !== null && own !== rule.layers ? every : never;
    case "recurrent":
      return recurrentLayers(file, rule.interval, own);
  }
}

type Interval = Extract<GgufArchitecture["layersWithoutRope"], { readonly kind: "interval" }>;

function byInterval(file: GgufFile, { interval, at, ifNoWindow, isAbsentNone }: Interval, own: number | null): Is {
  if (ifNoWindow !== undefined) {
    const window = file.number("attention.sliding_window")?.value;
    if (!hasWindow(window, isAbsentNone === true ? "stated" : "unless 0")) {
      return (layer) => ifNoWindow === "model's last" && own !== null && layer === own - 1;
    }
  }
  // SmallThinker's graph takes an interval that is the number of layers for "none".
  if (at === "first" && own === interval) return () => false;
  const chosen = at === "first" ? 0 : interval - 1;
  return (layer) => layer % interval === chosen;
}

function recurrentLayers(file: GgufFile, standard: number, own: number | null): Is {
  const name = "attention.recurrent_layers";
  const stated = file.value(name);
  if (Array.isArray(stated)) return listed(file, name, stated, own);
  if (stated !== undefined) file.report.issue(file.key(name), "a list of the recurrent layers", shown(stated));
  const interval = file.size("full_attention_interval")?.value ?? standard;
  return (layer) => (own === null || layer < own) && (layer + 1) % interval !== 0;
}

/** Finds the type of each layer: from `layer_types`, or from the pattern of the family. */

import { noRopeLabel } from "../facts/fact.ts";
import type { LayerRule } from "../facts/family.ts";
import type { Report } from "../report.ts";
import { isSize, listed, shown } from "./found.ts";
import type { Found } from "./found.ts";
import { mostLayers } from "../limits.ts";
import type { Layers, RopeEntry, TextModel } from "./located.ts";
import { patternOf } from "./per-layer.ts";

/** Layer types without attention, in any family. */
const withoutAttention: readonly string[] = ["linear_attention", "conv", "mamba", "mamba2", "recurrent", "mlp", "moe"];

/** Keys of a list with the type of each layer. `mixer_types`: MiniCPM-SALA. */
const typeKeys = ["layer_types", "mixer_types", "layers_block_type"];

/** The layers of a model, each with the label of its rope. */
export function findLayers(model: TextModel, entries: readonly RopeEntry[], report: Report): Layers {
  const { fields, family } = model;
  const list = fields.list(...typeKeys);
  const count = countLayers(model, list, report);
  const typeOf =
    list === undefined ? typesByRule(family.layerRule, model, count, report) : statedTypes(list, model, report);

  const labels = new Set<unknown>(entries.map(({ label }) => label));
  const shared = labels.has(null);
  // EXAONE-4 without a sliding window rotates every layer.
  const onlyOn = fields.isNull("sliding_window") ? undefined : family.ropeOnlyOn;
  const labelOf = (layer: number): string | null | undefined => {
    const type = typeOf(layer);
    if (typeof type !== "string") return shared ? null : undefined;
    const flag = family.rotatesKeys?.[type];
    if (flag !== undefined && fields.flag(flag)?.value === false) return noRopeLabel;
    const label = family.ropeOfLayerType?.get(type) ?? type;
    if (labels.has(label)) return label;
    if (withoutAttention.includes(type) || (onlyOn !== undefined && !onlyOn.includes(type))) return type;
    return shared ? null : undefined;
  };
  const all = Array.from({ length: count ?? 0 }, (_, layer) => labelOf(layer));
  const lost = all.indexOf(undefined);
  if (lost >= 0) {
    const names = listed(labels);
    if (list === undefined) {
      report.issue("layer_types", `which layers are of the types ${names}, which have a rope each`, "nothing");
    } else report.issue(`${list.path}[${lost}]`, `one of ${names}, which have a rope each`, shown(list.value[lost]));
  }
  return { count, typeOf, labelOf };
}

/** The layers of a model without rope. */
export function everyLayer(model: TextModel, report: Report): Layers {
  const count = countLayers(model, model.fields.list(...typeKeys), report);
  return { count, typeOf: () => undefined, labelOf: () => null };
}

const countKeys = ["num_hidden_layers", "n_layer", "num_layers", "n_layers"];

/** The number of layers of the configuration class. */
function classCount({ family }: TextModel): number | undefined {
  return countKeys.map((key) => family.defaults?.[key]).find(isSize);
}

function countLayers(model: TextModel, list: Found<readonly unknown[]> | undefined, report: Report): number | null {
  const { fields } = model;
  const stated = fields.size(...countKeys);
  const extra = fields.number("num_nextn_predict_layers")?.value ?? 0;
  const count = stated?.value ?? list?.value.length ?? classCount(model) ?? null;
  if (count !== null && count > mostLayers) {
    report.issue((stated ?? list)!.path, `at most ${mostLayers} layers`, `${count}`);
    return null;
  }
  if (
    list !== undefined &&
    stated !== undefined &&
    list.value.length !== stated.value &&
    list.value.length !== stated.value + extra
  ) {
    report.issue(list.path, `${stated.value} entries, as ${stated.path} says`, `${list.value.length}`);
  }
  return count;
}

/** `layer_types` of the file. */
function statedTypes(
  { path, value: types }: Found<readonly unknown[]>,
  { family, modelType }: TextModel,
  report: Report,
): (layer: number) => unknown {
  const rule = family.layerRule;
  const last = types.length - 1;
  if (rule?.kind !== "interval" || rule.endsWithMatch !== true || last < 0 || types[last] === rule.match) {
    return (layer) => types[layer];
  }
  report.note(
    "differs",
    `${path}[${last}]`,
    `The configuration class of ${modelType} in transformers makes the last layer ${rule.match}. These ropes do the same; other engines follow the list.`,
  );
  return (layer) => (layer === last ? rule.match : types[layer]);
}

function typesByRule(
  rule: LayerRule | undefined,
  { family, fields, modelType }: TextModel,
  count: number | null,
  report: Report,
): (layer: number) => string | undefined {
  const pattern = patternOf(family.lists?.["layer_types"], count);
  // Recurrent Gemma: a few types, again and again.
  const cycle = fields.list("block_types")?.value ?? family.blockTypes ?? [];
  if (cycle.length > 0) return (layer) => cycle[layer % cycle.length] as string;
  if (rule === undefined && pattern !== undefined) {
    if (new Set(pattern).size > 1) {
      report.note(
        "implied",
        fields.pathOf("layer_types"),
        `The file does not say which layers are of which type; the configuration class of ${modelType} sets it.`,
      );
    }
    return (layer) => pattern[layer] as string;
  }
  if (rule === undefined) return () => undefined;
  if (rule.kind === "indices") {
    const list = fields.list(rule.key)?.value;
    if (list !== undefined) {
      const indices = new Set(list);
      return (layer) => (indices.has(layer) ? rule.match : rule.others);
    }
    report.note(
      "implied",
      fields.pathOf(rule.key),
      `The file does not list these layers; all but every ${rule.interval}th are ${rule.match}, as in the configuration class of ${modelType}.`,
    );
    return (layer) => ((layer + 1) % rule.interval === 0 ? rule.others : rule.match);
  }
  if (rule.kind === "codes") {
    const list = fields.list(rule.key);
    if (list !== undefined) {
      return (layer) =>
        Object.hasOwn(rule.codes, String(list.value[layer])) ? rule.codes[String(list.value[layer])] : undefined;
    }
    if (rule.fallback === null) return () => undefined;
    report.note(
      "implied",
      fields.pathOf(rule.key),
      `The file does not say which layers are of which type; the configuration class of ${modelType} sets it.`,
    );
    return rule.fallback;
  }
  const interval = fields.first(...rule.keys);
  if (typeof interval?.value === "string" && /^[LG]+$/.test(interval.value)) {
    // EXAONE-4: L(ocal) and G(lobal).
    const letters = interval.value;
    return (layer) => (letters[layer % letters.length] === "G" ? rule.match : rule.other);
  }
  if (interval === undefined) {
    report.note(
      "implied",
      fields.pathOf(rule.keys[0]!),
      `The file does not say which layers are of which type; one of ${rule.interval} is ${rule.match}, as in the configuration class of ${modelType}.`,
    );
  }
  const size = fields.size(...rule.keys)?.value ?? rule.interval;
  const chosen = rule.at === "first" ? 0 : size - 1;
  const last = rule.endsWithMatch === true && count !== null ? count - 1 : null;
  return (layer) => (layer % size === chosen || layer === last ? rule.match : rule.other);
}

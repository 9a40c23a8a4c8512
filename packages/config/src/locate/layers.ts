/**
 * Finds the rope of each layer: from `layer_types`, from the pattern of the family, and from lists of layers without
 * rope.
 */

import { noRopeLabel } from "../facts/fact.ts";
import type { LayerRule } from "../facts/family.ts";
import type { Report } from "../report.ts";
import { shown } from "./found.ts";
import type { Found } from "./found.ts";
import type { Layers, RopeEntry, TextModel } from "./located.ts";

/** Layer types that mix tokens without attention, in any family. */
const withoutAttention: readonly string[] = ["linear_attention", "conv", "mamba", "recurrent"];

/** No model has more layers. A larger number is a mistake in the file. */
export const mostLayers = 10_000;

/** The layers of a model, each with the label of its rope. */
export function findLayers(model: TextModel, entries: readonly RopeEntry[], report: Report): Layers {
  const { fields, family } = model;
  const list = fields.list("layer_types");
  const count = countLayers(model, list, report);
  const typeOf =
    list === undefined ? typesByRule(family.layerRule, model, count, report) : statedTypes(list, model, report);
  const hasNoRope = layersWithoutRope(model, count, report);

  const labels = new Set<unknown>(entries.map(({ label }) => label));
  const shared = labels.has(null);
  // EXAONE-4 without a sliding window rotates every layer.
  const onlyOn = fields.isNull("sliding_window") ? undefined : family.ropeOnlyOn;
  const labelOf = (layer: number): string | null | undefined => {
    if (hasNoRope(layer)) return noRopeLabel;
    const type = typeOf(layer);
    if (typeof type !== "string") return shared ? null : undefined;
    const label = family.ropeOfLayerType?.get(type) ?? type;
    if (labels.has(label)) return label;
    if (withoutAttention.includes(type) || (onlyOn !== undefined && !onlyOn.includes(type))) return type;
    return shared ? null : undefined;
  };
  const all = Array.from({ length: count ?? 0 }, (_, layer) => labelOf(layer));
  const lost = all.indexOf(undefined);
  if (lost >= 0) {
    const names = [...labels].join(", ");
    if (list === undefined) {
      report.issue("layer_types", `which layers are of the types ${names}, which have a rope each`, "nothing");
    } else report.issue(`${list.path}[${lost}]`, `one of ${names}, which have a rope each`, shown(list.value[lost]));
  }
  return { count, labelOf, labelled: (label) => all.flatMap((other, layer) => (other === label ? [layer] : [])) };
}

function countLayers(
  { fields }: TextModel,
  list: Found<readonly unknown[]> | undefined,
  report: Report,
): number | null {
  const stated = fields.size("num_hidden_layers", "n_layer", "num_layers", "n_layers");
  const extra = fields.number("num_nextn_predict_layers")?.value ?? 0;
  const count = stated?.value ?? list?.value.length ?? null;
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
  { fields, modelType }: TextModel,
  count: number | null,
  report: Report,
): (layer: number) => string | undefined {
  if (rule === undefined) return () => undefined;
  if (rule.kind === "indices") {
    const list = fields.list(rule.key)?.value;
    if (list !== undefined) return (layer) => (list.includes(layer) ? rule.match : rule.others);
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
  const pattern = fields.first(...rule.keys);
  if (typeof pattern?.value === "string" && /^[LG]+$/.test(pattern.value)) {
    // EXAONE-4: L(ocal) and G(lobal).
    const letters = pattern.value;
    return (layer) => (letters[layer % letters.length] === "G" ? rule.match : rule.other);
  }
  if (pattern === undefined) {
    report.note(
      "implied",
      fields.pathOf(rule.keys[0]!),
      `The file does not say which layers are of which type; one of ${rule.interval} is ${rule.match}, as in the configuration class of ${modelType}.`,
    );
  }
  const interval = fields.size(...rule.keys)?.value ?? rule.interval;
  const chosen = rule.at === "first" ? 0 : interval - 1;
  const last = rule.endsWithMatch === true && count !== null ? count - 1 : null;
  return (layer) => (layer % interval === chosen || layer === last ? rule.match : rule.other);
}

/** `no_rope_layers` has 1 for a layer that is rotated and 0 for a layer that is not. */
function layersWithoutRope(
  { fields, family, modelType }: TextModel,
  count: number | null,
  report: Report,
): (layer: number) => boolean {
  const list = fields.list("no_rope_layers");
  const stated = fields.size("no_rope_layer_interval");
  if (list !== undefined && list.value.length > 0) {
    if (count !== null && list.value.length !== count) {
      report.issue(list.path, `${count} entries, one for each layer`, `${list.value.length}`);
    }
    return (layer) => !list.value[layer];
  }
  if (family.noRopeInterval === undefined) return () => false;
  const interval = stated?.value ?? family.noRopeInterval;
  report.note(
    "implied",
    fields.pathOf("no_rope_layers"),
    `The file does not list the layers without rope; every ${interval}th has none, as in the configuration class of ${modelType}.`,
  );
  return (layer) => (layer + 1) % interval === 0;
}

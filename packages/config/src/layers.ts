/** Which layer is of which type: `layer_types`, or the pattern that a family uses in its place. */

import type { LayerRule } from "./families.ts";
import type { TextModel } from "./spelling.ts";
import type { Report } from "./report.ts";

/** The layers of a model. */
export interface Layers {
  /** How many there are; `null` where the file does not say. */
  readonly count: number | null;
  /** The type of a layer; `null` where the file tells no types apart. */
  typeOf(layer: number): string | null;
  /** Whether `no_rope_layers`, or a family's interval, leaves the layer without rope. */
  isSkipped(layer: number): boolean;
}

/** Layer types that mix tokens without attention, in whatever family. */
export const typesWithoutAttention: readonly string[] = ["linear_attention", "conv", "mamba", "recurrent"];

const countKeys = ["num_hidden_layers", "n_layer", "num_layers", "n_layers"];

export function findLayers(model: TextModel, report: Report): Layers {
  const { fields, family } = model;
  const stated = fields.number(countKeys, true);
  const list = fields.list("layer_types");
  const extra = fields.number(["num_nextn_predict_layers"])?.value ?? 0;
  if (list !== undefined && stated !== undefined && list.value.length !== stated.value && list.value.length !== stated.value + extra) {
    report.issue(list.path, `${stated.value} entries, as ${stated.path} says`, `${list.value.length}`);
  }
  const count = stated?.value ?? list?.value.length ?? null;
  const typeOf = list === undefined ? typesByRule(family.layerRule, model, report) : (layer: number) => nameAt(list.value, layer);
  return { count, typeOf, isSkipped: skippedLayers(model, count, report) };
}

function nameAt(list: readonly unknown[], layer: number): string | null {
  const name = list[layer];
  return typeof name === "string" ? name : null;
}

function typesByRule(rule: LayerRule | undefined, { fields, modelType }: TextModel, report: Report): (layer: number) => string | null {
  if (rule === undefined) return () => null;
  if (rule.kind === "codes") {
    const list = fields.list(rule.key);
    if (list !== undefined) return (layer) => rule.codes[String(list.value[layer])] ?? null;
    if (rule.fallback === null) return () => null;
    report.note("implied", rule.key, `The file does not say which layers are of which type; they are laid out as the configuration class of ${modelType} does.`);
    return rule.fallback;
  }
  const pattern = fields.first(...rule.keys);
  if (typeof pattern?.value === "string" && /^[LG]+$/.test(pattern.value)) {
    const letters = pattern.value;
    return (layer) => (letters[layer % letters.length] === "G" ? rule.match : rule.other);
  }
  const stated = pattern === undefined ? undefined : fields.number(rule.keys, true);
  if (pattern === undefined) {
    report.note("implied", rule.keys[0]!, `The file does not say which layers are of which type; each ${rule.interval}th is ${rule.match}, as in the configuration class of ${modelType}.`);
  }
  const interval = stated?.value ?? rule.interval;
  const chosen = rule.at === "first" ? 0 : interval - 1;
  return (layer) => (layer % interval === chosen ? rule.match : rule.other);
}

/** `no_rope_layers` has 1 for a layer that is rotated and 0 for one that is not. */
function skippedLayers({ fields, family }: TextModel, count: number | null, report: Report): (layer: number) => boolean {
  const list = fields.list("no_rope_layers");
  const interval = fields.number(["no_rope_layer_interval"], true)?.value ?? family.noRopeInterval;
  if (list !== undefined && list.value.length > 0) {
    if (count !== null && list.value.length !== count) report.issue(list.path, `${count} entries, one for each layer`, `${list.value.length}`);
    return (layer) => !list.value[layer];
  }
  if (family.noRopeInterval === undefined || interval === undefined) return () => false;
  return (layer) => (layer + 1) % interval === 0;
}

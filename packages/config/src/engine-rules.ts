/**
 * How transformers 5 reads the numbers of one rope dictionary: what it implies, what it ignores, and which statements
 * cannot both be true. Other engines read some places differently; those are notes.
 *
 * Source: Hugging Face transformers 5.23, `modeling_rope_utils.py`; vLLM and SGLang of August 2026 for the notes.
 */

import type { Fields, Found } from "./fields.ts";
import { show } from "./report.ts";
import type { Report } from "./report.ts";
import { parameterName, strangers, typesThatRead } from "./rope-types.ts";

/** What is set for a type, by parameter name. */
export type Parameters = Map<string, Found>;

/** What the rules may look at besides the dictionary. */
export interface RuleContext {
  readonly dictionary: Fields;
  /** The dictionary belongs to one layer type. */
  readonly nested: boolean;
  readonly maxPosition: Found<number> | undefined;
  /** `original_max_position_embeddings` beside the dictionary. */
  readonly outerOriginal: Found<number> | undefined;
  readonly report: Report;
}

type Rule = (parameters: Parameters, context: RuleContext) => void;

/** The trained length, where the type needs one. */
const originalLength: Rule = (parameters, { nested, maxPosition, outerOriginal, report, dictionary }) => {
  const name = "originalMaxPosition";
  const own = parameters.get(name);
  if (outerOriginal !== undefined && own !== undefined && own.value !== outerOriginal.value) {
    const [winner, loser] = nested ? [own, outerOriginal] : [outerOriginal, own];
    report.note("differs", loser.path, `${loser.path} = ${show(loser.value)} gives way to ${winner.path} = ${show(winner.value)}, as in transformers; other engines read the rope dictionary only.`);
    parameters.set(name, winner);
  } else if (own === undefined && outerOriginal !== undefined) {
    parameters.set(name, outerOriginal);
  } else if (own === undefined && maxPosition !== undefined) {
    parameters.set(name, maxPosition);
    report.note("implied", dictionary.pathOf("original_max_position_embeddings"), `The trained length is not stated; transformers takes ${maxPosition.key} = ${maxPosition.value}, and vLLM refuses the file.`);
  }
};

/** A factor that is left out is the ratio of the two lengths. */
const impliedFactor: Rule = (parameters, { dictionary, maxPosition, report }) => {
  const original = numberOf(parameters, "originalMaxPosition");
  if (parameters.has("factor") || maxPosition === undefined || original === undefined) return;
  const path = dictionary.pathOf("factor");
  const factor = maxPosition.value / original;
  parameters.set("factor", { value: factor, path: `${maxPosition.key} / original_max_position_embeddings = ${maxPosition.value} / ${original}`, key: "factor" });
  report.note("implied", path, `The factor is not stated; it follows as ${maxPosition.key} / original_max_position_embeddings = ${maxPosition.value} / ${original} = ${factor}.`);
};

/** An explicit factor has to reach the length that the file promises, unless the file leaves the length as trained. */
const reachableLength: Rule = (parameters, { maxPosition, report }) => {
  const factor = numberOf(parameters, "factor");
  const original = numberOf(parameters, "originalMaxPosition");
  if (factor === undefined || original === undefined || maxPosition === undefined) return;
  if (maxPosition.value <= original || maxPosition.value <= factor * original) return;
  report.issue(
    maxPosition.path,
    `at most factor · original_max_position_embeddings = ${factor} · ${original} = ${factor * original}`,
    `${factor} · ${original} = ${factor * original} < ${maxPosition.value}`,
    `Correct one of the three: factor ${maxPosition.value / original} would reach ${maxPosition.value}.`,
  );
};

/** transformers writes `beta or default`, so that 0 counts as absent. */
const zeroBetas: Rule = (parameters, { report }) => {
  for (const [name, standard] of [["betaFast", 32], ["betaSlow", 1]] as const) {
    const found = parameters.get(name);
    if (found?.value !== 0) continue;
    parameters.delete(name);
    report.note("differs", found.path, `0 counts as absent in transformers, so ${standard} is used; vLLM divides by it.`);
  }
};

/** `mscale` and `mscale_all_dim` count only together, and only if neither is 0. */
const magnitudes: Rule = (parameters, { report }) => {
  const first = parameters.get("mscale");
  const second = parameters.get("mscaleAllDim");
  const set = (found: Found | undefined): boolean => found !== undefined && found.value !== 0;
  if (set(first) && set(second)) return;
  for (const [name, found] of [["mscale", first], ["mscaleAllDim", second]] as const) {
    if (found === undefined) continue;
    parameters.delete(name);
    report.note("differs", found.path, `${found.key} = ${show(found.value)} has no effect in transformers, which reads mscale and mscale_all_dim only if both are set and not 0; SGLang and the DeepSeek code read each by itself.`);
  }
};

/**
 * The same for DeepSeek's two magnitudes: the one of cos and sin follows {@link magnitudes}, the one of the softmax needs
 * only `mscale_all_dim`.
 */
const deepseekMagnitudes: Rule = (parameters, context) => {
  const overall = parameters.get("mscaleAllDim");
  const factor = numberOf(parameters, "factor");
  const alone = overall !== undefined && overall.value !== 0 && !truthy(parameters.get("mscale"));
  magnitudes(parameters, context);
  if (!alone || factor === undefined) return;
  parameters.set("mscaleAllDim", overall);
  // Without mscale, transformers gives cos and sin the plain YaRN amplitude.
  if (!parameters.has("attentionFactor")) parameters.set("attentionFactor", { value: yarnAmplitude(factor), path: `0.1 ln ${factor} + 1, since mscale is not set`, key: "attention_factor" });
};

const truthy = (found: Found | undefined): boolean => found !== undefined && found.value !== 0;

/** `attn_factor` looks like `attention_factor`, and is read by other engines. */
const attnFactor: Rule = (parameters, { dictionary, report }) => {
  const found = dictionary.first("attn_factor");
  if (found === undefined) return;
  const factor = numberOf(parameters, "factor");
  const stated = numberOf(parameters, "attentionFactor");
  const here = stated ?? (factor === undefined ? undefined : yarnAmplitude(factor));
  const arithmetic =
    typeof found.value === "number" && here !== undefined && factor !== undefined && !parameters.has("mscale")
      ? `: cos and sin would be multiplied by ${trim(yarnAmplitude(factor) * found.value)} instead of ${trim(here)}`
      : "";
  report.note("differs", found.path, `attn_factor is not read by transformers, whose key is attention_factor; vLLM and SGLang multiply by it${arithmetic}.`);
};

/** transformers looks for `truncate` beside the layer types, not inside them. */
const nestedTruncate: Rule = (parameters, { nested, report }) => {
  const found = parameters.get("truncate");
  if (!nested || found === undefined || found.value !== false) return;
  report.note("differs", found.path, "truncate is honoured here as its place suggests; transformers 5.23 reads it beside the layer types only and would round the range to whole pairs.");
};

const yarn = [originalLength, impliedFactor, reachableLength, zeroBetas, attnFactor, nestedTruncate];

const rules: Readonly<Record<string, readonly Rule[]>> = {
  yarn: [...yarn, magnitudes],
  deepseek_yarn: [...yarn, deepseekMagnitudes],
  longrope: [originalLength, impliedFactor],
  llama3: [originalLength],
};

/** Changes `parameters` to what transformers computes with, and says so. */
export function applyEngineRules(ropeType: string, parameters: Parameters, context: RuleContext): void {
  if (!Object.hasOwn(rules, ropeType)) return;
  for (const rule of rules[ropeType]!) rule(parameters, context);
}

/** One sentence for a key that a rope of this type does not read. */
export function whyUnused(key: string, value: unknown, ropeType: string): string {
  const known = strangers.get(key);
  if (known !== undefined) return `${key} ${known}.`;
  const types = typesThatRead(parameterName(key));
  if (types.length > 0) return `${key} belongs to ${types.slice(0, 4).join(", ")}${types.length > 4 ? " and others" : ""}; a rope of type ${ropeType} does not read it.`;
  return `Nothing reads ${key} = ${show(value)} for a rope of type ${ropeType}.`;
}

/** `0.1 ln s + 1` (YaRN §3.4), and 1 for `s ≤ 1`. */
function yarnAmplitude(factor: number): number {
  return factor <= 1 ? 1 : 0.1 * Math.log(factor) + 1;
}

function numberOf(parameters: Parameters, name: string): number | undefined {
  const value = parameters.get(name)?.value;
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

const trim = (value: number): string => String(Number(value.toPrecision(7)));


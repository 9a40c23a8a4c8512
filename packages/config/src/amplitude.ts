/**
 * YaRN's amplitude of cos and sin, as a dialect computes it: which keys count, and in which order. What the provider would
 * find by itself is left to it; the rest becomes an explicit `attentionFactor`.
 */

import type { AmplitudeRule, YarnDialect } from "./dialects.ts";
import { numberOf } from "./engine-rules.ts";
import type { Parameters, Rule, RuleContext } from "./engine-rules.ts";
import type { Found } from "./fields.ts";
import { show } from "./report.ts";

/** `0.1 k ln s + 1` (YaRN §3.4), and 1 for `s ≤ 1`. */
export function yarnMagnitude(factor: number, mscale = 1): number {
  return factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1;
}

/** An amplitude, with the keys that gave it. */
interface Amplitude {
  readonly by: AmplitudeRule;
  readonly value: number;
  readonly rule: string;
}

const notZero = (found: Found | undefined): boolean => found !== undefined && found.value !== 0;

/** The amplitude of the first rule that applies; `undefined` where the numbers it needs are missing or no numbers. */
function findAmplitude(parameters: Parameters, { amplitude, absentMscale, absentMscaleAllDim, mscales }: YarnDialect): Amplitude | undefined {
  const factor = numberOf(parameters, "factor");
  const stated = parameters.get("attentionFactor");
  const [first, second] = [parameters.get("mscale"), parameters.get("mscaleAllDim")];
  const [over, under] = [numberOf(parameters, "mscale"), numberOf(parameters, "mscaleAllDim")];
  const both = { "both-not-zero": notZero(first) && notZero(second), "both-stated": first !== undefined && second !== undefined, always: true }[mscales];
  for (const by of amplitude) {
    if (by === "attention_factor" && stated !== undefined) return typeof stated.value === "number" ? { by, value: stated.value, rule: stated.path } : undefined;
    if (by === "mscale-verbatim") {
      const value = over ?? absentMscale;
      if (value !== 0) return { by, value, rule: first === undefined ? `${value}, which this engine takes for a missing mscale` : `${first.path}, taken as it is` };
    }
    if (by === "overall-only" && notZero(second)) return { by, value: 1, rule: `1: ${second!.path} counts as mscale too` };
    if (factor === undefined) return undefined;
    if (by === "mscale-ratio" && both) {
      const [mscale, overall] = [over ?? absentMscale, under ?? absentMscaleAllDim];
      return { by, value: yarnMagnitude(factor, mscale) / yarnMagnitude(factor, overall), rule: `M(${factor}, mscale ${mscale}) / M(${factor}, mscale_all_dim ${overall}) with M(s, k) = 0.1 k ln s + 1` };
    }
    if (by === "magnitude") return { by, value: yarnMagnitude(factor), rule: factor <= 1 ? "1, since factor ≤ 1" : `0.1 ln ${factor} + 1` };
  }
  return undefined;
}

const keyOf = { attentionFactor: "attention_factor", mscale: "mscale", mscaleAllDim: "mscale_all_dim" } as const;

/** Says of each key of the amplitude that had no effect why not. */
function noteUnheard(parameters: Parameters, heard: readonly (keyof typeof keyOf)[], rules: YarnDialect, { dialect, report }: RuleContext): void {
  for (const name of Object.keys(keyOf) as (keyof typeof keyOf)[]) {
    const found = parameters.get(name);
    if (found === undefined || heard.includes(name)) continue;
    const pairWise = name !== "attentionFactor" && rules.mscales !== "always" && rules.amplitude.includes("mscale-ratio");
    const reason = pairWise
      ? `${dialect.engine}, which reads mscale and mscale_all_dim only if both are set${rules.mscales === "both-not-zero" ? " and not 0" : ""}; ${rules.mscales === "both-not-zero" ? "SGLang and the DeepSeek code read each by itself" : "transformers also wants both not to be 0"}`
      : `${dialect.engine} ${dialect.version}`;
    report.note("differs", found.path, `${found.key} = ${show(found.value)} has no effect in ${reason}.`);
  }
}

/** Sets what the provider needs to know of the amplitude. `keepsOverall`: `mscaleAllDim` also counts for the softmax. */
function amplitudeRule(knobs: (context: RuleContext) => YarnDialect, keepsOverall: (context: RuleContext) => boolean): Rule {
  return (parameters, context) => {
    const rules = knobs(context);
    const { dictionary, dialect } = context;
    const found = findAmplitude(parameters, rules);
    const factors = rules.amplitudeFactors.flatMap((key) => dictionary.number(key) ?? []);
    const overall = parameters.get("mscaleAllDim");
    const softmax = keepsOverall(context) && notZero(overall);
    // Not computable: the provider says what is missing.
    if (found === undefined) return;

    const ratio = found.by === "mscale-ratio" ? (["mscale", "mscaleAllDim"] as const) : [];
    const heard = [...(found.by === "attention_factor" ? (["attentionFactor"] as const) : []), ...(found.by === "mscale-verbatim" ? (["mscale"] as const) : []), ...ratio];
    // Beside an explicit amplitude, two magnitudes are not unheard of: they are outranked, as the file wants.
    const outranked = found.by === "attention_factor" && notZero(parameters.get("mscale")) && notZero(overall) ? (["mscale", "mscaleAllDim"] as const) : [];
    noteUnheard(parameters, [...heard, ...outranked, ...(softmax || found.by === "overall-only" ? (["mscaleAllDim"] as const) : [])], rules, context);

    // What the provider computes by itself from the same keys.
    const same = factors.length === 0 && (found.by === "attention_factor" || (found.by === "mscale-ratio" && (keepsOverall(context) || (notZero(parameters.get("mscale")) && notZero(overall)))) || (found.by === "magnitude" && !softmax));
    if (!heard.includes("attentionFactor" as never)) parameters.delete("attentionFactor");
    if (ratio.length === 0 && outranked.length === 0) parameters.delete("mscale");
    if (ratio.length === 0 && outranked.length === 0 && !softmax) parameters.delete("mscaleAllDim");
    if (same) return;
    const value = factors.reduce((product, { value: factor }) => product * factor, found.value);
    const rule = [found.rule, ...factors.map(({ path, value: factor }) => `${path} ${factor}`)].join(" · ");
    if (!softmax) parameters.delete("mscaleAllDim");
    parameters.delete("mscale");
    parameters.set("attentionFactor", { value, path: rule, key: "attention_factor", source: `${dialect.engine} ${dialect.version}` });
  };
}

/** The amplitude of `yarn`. */
export const yarnAmplitude: Rule = amplitudeRule(({ dialect }) => dialect.yarn, () => false);

/** The amplitude of `deepseek_yarn`, whose `mscaleAllDim` is the softmax's too. */
export const deepseekAmplitude: Rule = amplitudeRule(({ dialect }) => dialect.deepseekYarn, ({ dialect }) => dialect.deepseekYarn.softmax === "mscale_all_dim");

/** A note where `attn_factor` stands and is not read: it looks like `attention_factor`. */
export const unheardAttnFactor: Rule = (parameters, { dictionary, dialect, report }) => {
  const found = dictionary.first("attn_factor");
  if (found === undefined || dialect.yarn.amplitudeFactors.includes("attn_factor")) return;
  const factor = numberOf(parameters, "factor");
  const stated = numberOf(parameters, "attentionFactor");
  const here = stated ?? (factor === undefined ? undefined : yarnMagnitude(factor));
  const trim = (value: number): string => String(Number(value.toPrecision(7)));
  const arithmetic =
    typeof found.value === "number" && here !== undefined && factor !== undefined && !parameters.has("mscale")
      ? `: cos and sin would be multiplied by ${trim(yarnMagnitude(factor) * found.value)} instead of ${trim(here)}`
      : "";
  report.note("differs", found.path, `attn_factor is not read by ${dialect.engine}${dialect.yarn.amplitude.includes("attention_factor") ? ", whose key is attention_factor" : ""}; SGLang and older versions of vLLM multiply by it${arithmetic}.`);
};

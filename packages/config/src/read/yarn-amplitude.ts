/**
 * YaRN's amplitude of cos and sin, as a dialect computes it: which keys are read, and in which order. If the provider
 * computes the same value, it is left to the provider. Otherwise it becomes an explicit `attentionFactor`.
 */

import type { AmplitudeRule, Dialect, YarnDialect } from "../facts/dialect.ts";
import { shown } from "../locate/found.ts";
import type { Found } from "../locate/found.ts";
import { engineOf, numberOf } from "./rule.ts";
import type { Parameters, Rule, RuleContext } from "./rule.ts";

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

/** The amplitude of the first rule that applies; `undefined` if a number that it needs is missing or invalid. */
function findAmplitude(
  parameters: Parameters,
  { amplitude, absentMscale, absentMscaleAllDim, mscales }: YarnDialect,
): Amplitude | undefined {
  const factor = numberOf(parameters, "factor");
  const stated = parameters.get("attentionFactor");
  const [first, second] = [parameters.get("mscale"), parameters.get("mscaleAllDim")];
  const [over, under] = [numberOf(parameters, "mscale"), numberOf(parameters, "mscaleAllDim")];
  const both = {
    "both-not-zero": notZero(first) && notZero(second),
    "both-stated": first !== undefined && second !== undefined,
    always: true,
  }[mscales];
  for (const by of amplitude) {
    if (by === "attention_factor" && stated !== undefined) {
      return typeof stated.value === "number" ? { by, value: stated.value, rule: stated.path } : undefined;
    }
    if (by === "mscale-verbatim") {
      const value = over ?? absentMscale;
      if (value !== 0) {
        return {
          by,
          value,
          rule:
            first === undefined
              ? `${value}, which this engine takes for a missing mscale`
              : `${first.path}, taken as it is`,
        };
      }
    }
    if (by === "overall-only" && notZero(second)) {
      return { by, value: 1, rule: `1: ${second!.path} counts as mscale too` };
    }
    if (factor === undefined) return undefined;
    if (by === "mscale-ratio" && both) {
      const [mscale, overall] = [over ?? absentMscale, under ?? absentMscaleAllDim];
      return {
        by,
        value: yarnMagnitude(factor, mscale) / yarnMagnitude(factor, overall),
        rule: `M(${factor}, mscale ${mscale}) / M(${factor}, mscale_all_dim ${overall}) with M(s, k) = 0.1 k ln s + 1`,
      };
    }
    if (by === "magnitude") {
      return { by, value: yarnMagnitude(factor), rule: factor <= 1 ? "1, since factor ≤ 1" : `0.1 ln ${factor} + 1` };
    }
  }
  return undefined;
}

/** The parameters that give an amplitude. */
const amplitudeParameters = ["attentionFactor", "mscale", "mscaleAllDim"] as const;
type AmplitudeParameter = (typeof amplitudeParameters)[number];

/** The parameters that each rule reads. */
const readBy: Readonly<Record<AmplitudeRule, readonly AmplitudeParameter[]>> = {
  attention_factor: ["attentionFactor"],
  "mscale-ratio": ["mscale", "mscaleAllDim"],
  "mscale-verbatim": ["mscale"],
  "overall-only": ["mscaleAllDim"],
  magnitude: [],
};

/** A sentence about a key that had no effect. */
function whyNoEffect(
  name: AmplitudeParameter,
  found: Found,
  { amplitude, mscales }: YarnDialect,
  { engine, version }: Dialect,
): string {
  const what = `${found.key} = ${shown(found.value)} has no effect in ${engine}`;
  if (name === "attentionFactor" || mscales === "always" || !amplitude.includes("mscale-ratio")) {
    return `${what} ${version}.`;
  }
  const others =
    mscales === "both-not-zero"
      ? " and not 0; SGLang and the DeepSeek code read each by itself"
      : "; transformers also wants both not to be 0";
  return `${what}, which reads mscale and mscale_all_dim only if both are set${others}.`;
}

/**
 * Sets the parameters from which the provider computes the amplitude. DeepSeek's provider also uses `mscaleAllDim` for
 * the softmax.
 */
function amplitudeRule(knobs: (dialect: Dialect) => YarnDialect, isDeepseek: boolean): Rule {
  return (parameters, context) => {
    const { beside, dictionary, dialect, report, timeLast } = context;
    noteAttnFactor(parameters, context);
    if (beside && dialect.beside.amplitude === "one") {
      const path = "the class of Grok does not scale cos and sin";
      return { attentionFactor: { value: 1, path, key: "attention_factor", source: "SGLang 0.5.23" } };
    }
    const stated = knobs(dialect);
    // SGLang's class of this order reads no mscale.
    const rules =
      timeLast && stated.mscales === "both-stated" ? { ...stated, amplitude: ["magnitude"] as const } : stated;
    const found = findAmplitude(parameters, rules);
    // Not computable here: the provider reports what is missing.
    if (found === undefined) return {};
    const bothSet = notZero(parameters.get("mscale")) && notZero(parameters.get("mscaleAllDim"));
    const ofSoftmax =
      isDeepseek && dialect.deepseekYarn.softmax === "mscale_all_dim" && notZero(parameters.get("mscaleAllDim"));
    const factors = rules.amplitudeFactors.flatMap((key) => dictionary.number(key) ?? []);

    // The provider computes this value itself from the parameters.
    const byProvider =
      factors.length === 0 &&
      (found.by === "attention_factor" ||
        (found.by === "mscale-ratio" && bothSet) ||
        (found.by === "magnitude" && !ofSoftmax));
    const kept = new Set<AmplitudeParameter>(byProvider ? readBy[found.by] : []);
    // An explicit amplitude wins over the two magnitudes, as the file says. They are not ignored keys.
    if (byProvider && found.by === "attention_factor" && bothSet) {
      for (const name of readBy["mscale-ratio"]) kept.add(name);
    }
    if (ofSoftmax) kept.add("mscaleAllDim");

    const changes: Record<string, Found | undefined> = {};
    for (const name of amplitudeParameters) {
      const stated = parameters.get(name);
      if (stated === undefined || kept.has(name)) continue;
      changes[name] = undefined;
      if (!readBy[found.by].includes(name)) {
        report.note("differs", stated.path, whyNoEffect(name, stated, rules, dialect));
      }
    }
    if (byProvider) return changes;
    const value = factors.reduce((product, { value: factor }) => product * factor, found.value);
    const rule = [found.rule, ...factors.map(({ path, value: factor }) => `${path} ${factor}`)].join(" · ");
    return {
      ...changes,
      attentionFactor: { value, path: rule, key: "attention_factor", source: engineOf(dialect) },
    };
  };
}

/** The amplitude of `yarn`. */
export const yarnAmplitude: Rule = amplitudeRule(({ yarn }) => yarn, false);

/** The amplitude of `deepseek_yarn`. Its `mscaleAllDim` also applies to the softmax. */
export const deepseekAmplitude: Rule = amplitudeRule(({ deepseekYarn }) => deepseekYarn, true);

/** Adds a note if `attn_factor` is set and not read, because it looks like `attention_factor`. */
function noteAttnFactor(parameters: Parameters, { dictionary, dialect, report }: RuleContext): void {
  // 1 changes nothing where it is read.
  const found = dictionary.first("attn_factor");
  if (found === undefined || found.value === 1 || dialect.yarn.amplitudeFactors.includes("attn_factor")) return;
  const factor = numberOf(parameters, "factor");
  const stated = numberOf(parameters, "attentionFactor");
  const here = stated ?? (factor === undefined ? undefined : yarnMagnitude(factor));
  const trim = (value: number): string => String(Number(value.toPrecision(7)));
  const arithmetic =
    typeof found.value === "number" && here !== undefined && factor !== undefined && !parameters.has("mscale")
      ? `: cos and sin would be multiplied by ${trim(yarnMagnitude(factor) * found.value)} instead of ${trim(here)}`
      : "";
  report.note(
    "differs",
    found.path,
    `attn_factor is not read by ${dialect.engine}${dialect.yarn.amplitude.includes("attention_factor") ? ", whose key is attention_factor" : ""}; SGLang and older versions of vLLM multiply by it${arithmetic}.`,
  );
}

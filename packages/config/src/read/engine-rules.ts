/**
 * How an engine reads the numbers of one rope dictionary: which values it fills in, which keys it ignores, and which
 * statements contradict each other. Each rule looks at a knob of the dialect, never at the dialect's name.
 *
 * Source: as in `facts/dialects.ts`.
 */

import type { Dialect } from "../facts/dialect.ts";
import type { RopeFacts } from "../facts/fact.ts";
import { shown } from "../locate/found.ts";
import { dynamicRule, llama3Rule, longropeOfClass, longropeRule, proportionalRule } from "./other-type-rules.ts";
import { changed, dropped, engineOf, implied, numberOf, ratioOfLengths } from "./rule.ts";
import type { Parameters, Rule, RuleContext } from "./rule.ts";
import { deepseekAmplitude, yarnAmplitude } from "./yarn-amplitude.ts";

/** Reads the trained length, for types that need it. */
const originalLength =
  (type: keyof Dialect["originalLength"]["absent"]): Rule =>
  (parameters, { nested, maxPosition, outerOriginal, report, dialect, dictionary }) => {
    const name = "originalMaxPosition";
    const key = "original_max_position_embeddings";
    const inside = parameters.get(name);
    const path = dictionary.pathOf(key);
    if (inside !== undefined && outerOriginal !== undefined && inside.value !== outerOriginal.value) {
      const insideFirst = dialect.originalLength.precedence === "inside";
      const [winner, loser] = nested || insideFirst ? [inside, outerOriginal] : [outerOriginal, inside];
      report.note(
        "differs",
        loser.path,
        `${loser.path} = ${shown(loser.value)} gives way to ${winner.path} = ${shown(winner.value)}, as in ${dialect.engine}; ${insideFirst ? "transformers looks beside the rope dictionary first" : "other engines read the rope dictionary only"}.`,
      );
      return { [name]: winner };
    }
    if (inside !== undefined) return {};
    if (outerOriginal !== undefined) return { [name]: outerOriginal };
    const absent = dialect.originalLength.absent[type];
    if (absent === "refused") {
      report.issue(path, `the trained length, which ${engineOf(dialect)} requires`, "nothing");
      return {};
    }
    const taken =
      absent === "max-position" ? maxPosition : implied(key, absent, `default of ${engineOf(dialect)}`, dialect);
    if (taken === undefined) return {};
    const what = absent === "max-position" ? `${taken.key} = ${shown(taken.value)}` : `${absent}`;
    report.note("implied", path, `The trained length is not stated; ${dialect.engine} takes ${what}.`);
    return { [name]: taken };
  };

/** Fills in a missing factor. */
const absentFactor =
  (knob: (dialect: Dialect) => Dialect["absentFactor"] | "ratio-of-lengths"): Rule =>
  (parameters, { dictionary, maxPosition, report, dialect }) => {
    if (parameters.has("factor")) return {};
    const path = dictionary.pathOf("factor");
    const absent = knob(dialect);
    const original = numberOf(parameters, "originalMaxPosition");
    if (absent === "refused" || (absent === "ratio-if-null" && !dictionary.isNull("factor"))) {
      const orNull = absent === "refused" ? "" : " (null: promised / trained length)";
      report.issue(path, `a number, which ${engineOf(dialect)} requires${orNull}`, "nothing");
      return {};
    }
    if (typeof absent === "number") {
      report.note("implied", path, `The factor is not stated; ${dialect.engine} takes ${absent}.`);
      return { factor: implied("factor", absent, `default of ${engineOf(dialect)}`, dialect) };
    }
    if (maxPosition === undefined || original === undefined) return {};
    const factor = ratioOfLengths(maxPosition, original);
    report.note("implied", path, `The factor is not stated; it follows as ${factor.path} = ${factor.value}.`);
    return { factor };
  };

/** Notes that `factor` does not reach the length that the file promises. Engines load such a file. */
const reachableLength: Rule = (parameters, { maxPosition, report }) => {
  const factor = numberOf(parameters, "factor");
  const original = numberOf(parameters, "originalMaxPosition");
  if (factor === undefined || original === undefined || maxPosition === undefined) return {};
  if (maxPosition.value <= original || maxPosition.value <= factor * original) return {};
  const ratio = maxPosition.value / original;
  report.note(
    "differs",
    maxPosition.path,
    `factor · original_max_position_embeddings = ${factor} · ${original} = ${factor * original} is below ${maxPosition.key} = ${maxPosition.value}; factor ${ratio} would reach it. Engines scale by ${factor}; transformers warns.`,
    "warning",
  );
  return {};
};

type Knobs = (dialect: Dialect) => Dialect["yarn"];

/** Handles betas that the engine does not read, and betas of 0. */
const turns =
  (knobs: Knobs, name: string, key: string, standard: number): Rule =>
  (parameters, context) => {
    const { absentBetas, betas, zeroBeta } = knobs(context.dialect);
    const found = parameters.get(name);
    if (found === undefined) {
      if (absentBetas === "refused") {
        const { dialect, dictionary, report } = context;
        report.issue(dictionary.pathOf(key), `a number > 0, which ${engineOf(dialect)} requires`, "nothing");
      }
      return {};
    }
    // The engines that ignore them elsewhere read Grok's.
    if (betas === "standard" && !context.beside) {
      return found.value === standard
        ? { [name]: undefined }
        : dropped(name, parameters, context, `: ${standard} is used.`);
    }
    if (found.value !== 0 || zeroBeta === "refused") return {};
    // transformers writes `beta or default`.
    context.report.note(
      "differs",
      found.path,
      `0 counts as absent in ${context.dialect.engine}, so ${standard} is used; vLLM and SGLang divide by it.`,
    );
    return { [name]: undefined };
  };

/**
 * Whether the blended range may end between two pairs. transformers looks for `truncate` beside the layer types, not
 * inside.
 */
const truncation =
  (knobs: Knobs): Rule =>
  (parameters, { dialect, nested, report }) => {
    const { truncate } = knobs(dialect);
    const found = parameters.get("truncate");
    if (truncate === "never") {
      const path = `the range is never rounded in ${dialect.engine}`;
      if (found?.value === true) {
        const message = `truncate is not read by ${dialect.engine}: the range is not rounded to whole pairs.`;
        report.note("differs", found.path, message);
      }
      return { truncate: implied("truncate", false, path, dialect) };
    }
    if (found?.value !== false) return {};
    const isIgnored = truncate === "always";
    if (isIgnored || nested) {
      report.note(
        "differs",
        found.path,
        isIgnored
          ? `truncate is not read by ${dialect.engine}: the range is rounded to whole pairs.`
          : "truncate is read inside a layer type here; transformers 5.23 reads it only beside the layer types and would round the range to whole pairs.",
      );
    }
    return isIgnored ? { truncate: undefined } : {};
  };

/** Reads `extrapolation_factor` if the engine has it. */
const extrapolation =
  (knobs: Knobs): Rule =>
  (_, { beside, dictionary, dialect }) => {
    if (knobs(dialect).extrapolation === "ignored" && !beside) return {};
    const found = dictionary.number("extrapolation_factor");
    return found === undefined ? {} : { extrapolationFactor: { ...found, source: engineOf(dialect) } };
  };

/**
 * The rules of each type, in order: the trained length first, because a missing factor follows from it; then the
 * factor, from which reach and amplitude follow; the amplitude last.
 */
const yarnRules = (knobs: Knobs, amplitude: Rule): readonly Rule[] => [
  originalLength("yarn"),
  absentFactor((dialect) => dialect.absentFactor),
  reachableLength,
  turns(knobs, "betaFast", "beta_fast", 32),
  turns(knobs, "betaSlow", "beta_slow", 1),
  truncation(knobs),
  extrapolation(knobs),
  amplitude,
];
const yarn = yarnRules((dialect) => dialect.yarn, yarnAmplitude);
const deepseekYarn = yarnRules((dialect) => dialect.deepseekYarn, deepseekAmplitude);

const rules: Readonly<Record<string, readonly Rule[]>> = {
  yarn,
  "telechat3-yarn": yarn,
  deepseek_yarn: deepseekYarn,
  deepseek_llama_scaling: deepseekYarn,
  longrope: [originalLength("longrope"), absentFactor(() => "ratio-of-lengths"), longropeOfClass, longropeRule],
  llama3: [originalLength("llama3"), llama3Rule],
  dynamic: [dynamicRule],
  proportional: [proportionalRule],
};

/** Applies the rules of a type to the parameters of the file. Each rule sees the result of the rules before it. */
export function applyEngineRules(ropeType: string, parameters: Parameters, context: RuleContext): Parameters {
  const own = Object.hasOwn(rules, ropeType) ? rules[ropeType]! : [];
  return own.reduce((before, rule) => changed(before, rule(before, context)), parameters);
}

/** vLLM multiplies the length of YaRN's table for several axes before it computes the blended range. */
export function lengthWithAxes(ropeType: string, parameters: Parameters, dialect: Dialect): Parameters {
  const times = dialect.yarn.lengthsWithAxes;
  const name = "originalMaxPosition";
  const original = numberOf(parameters, name);
  if (rules[ropeType] !== yarn || times === 1 || original === undefined) return parameters;
  const path = `${times} · ${parameters.get(name)!.path}, with several position axes`;
  return changed(parameters, {
    [name]: implied("original_max_position_embeddings", times * original, path, dialect),
  });
}

/**
 * Checks YaRN against what the engine can build: a whole head, and a blended range inside its pairs. The range ends at
 * the pairs that turn β times within the trained length: `D/2 · ln(L₀/(2πβ)) / ln base`.
 */
export function checkYarnFits(
  ropeType: string,
  parameters: Parameters,
  { base, headDim, rotaryDim }: Pick<RopeFacts, "base" | "headDim" | "rotaryDim">,
  { dialect, report }: Pick<RuleContext, "dialect" | "report">,
): void {
  if (rules[ropeType] !== yarn) return;
  const { part, range } = dialect.yarn;
  if (part === "whole-head" && rotaryDim.value !== headDim.value) {
    const expected = `all ${headDim.value} elements of a head, which ${engineOf(dialect)} requires for YaRN`;
    report.issue("partial_rotary_factor", expected, `${rotaryDim.value} (${rotaryDim.rule})`);
    return;
  }
  // The provider refuses what is no number.
  const [length, fast, slow] = ["originalMaxPosition", "betaFast", "betaSlow"].map((name) =>
    numberOf(parameters, name),
  );
  if (range === "any" || length === undefined || fast === undefined || slow === undefined) return;
  const end = (beta: number): number =>
    ((headDim.value / 2) * Math.log(length / (2 * Math.PI * beta))) / Math.log(base.value);
  const [low, high] = [end(fast), end(slow)];
  const last = headDim.value / 2 - 1;
  if (0 < low && low < high && high < last) return;
  report.issue(
    parameters.get("originalMaxPosition")!.path,
    `a blended range inside pairs 0 to ${last}, which ${engineOf(dialect)} requires`,
    `pairs ${Number(low.toPrecision(6))} to ${Number(high.toPrecision(6))}`,
  );
}

/**
 * How an engine reads the numbers of one rope dictionary: what it implies, what it ignores, and which statements cannot
 * both be true. Each rule looks at a knob of the dialect, never at its name.
 *
 * Source: as in `dialects.ts`.
 */

import { deepseekAmplitude, unheardAttnFactor, yarnAmplitude } from "./amplitude.ts";
import type { Dialect } from "./dialects.ts";
import type { Found } from "./fields.ts";
import { show } from "./report.ts";
import { numberOf } from "./rule.ts";
import type { Parameters, Rule, RuleContext } from "./rule.ts";
import { parameterName, strangers, typesThatRead } from "./rope-types.ts";

const whose = ({ engine, version }: Dialect): string => `${engine} ${version}`;

/** The trained length, where the type needs one. */
const originalLength =
  (type: keyof Dialect["originalLength"]["absent"]): Rule =>
  (parameters, { nested, maxPosition, outerOriginal, report, dialect, dictionary }) => {
    const name = "originalMaxPosition";
    const own = parameters.get(name);
    const absent = dialect.originalLength.absent[type];
    const path = dictionary.pathOf("original_max_position_embeddings");
    if (outerOriginal !== undefined && own !== undefined && own.value !== outerOriginal.value) {
      const inside = nested || dialect.originalLength.precedence === "inside";
      const [winner, loser] = inside ? [own, outerOriginal] : [outerOriginal, own];
      report.note(
        "differs",
        loser.path,
        `${loser.path} = ${show(loser.value)} gives way to ${winner.path} = ${show(winner.value)}, as in ${dialect.engine}; ${dialect.originalLength.precedence === "inside" ? "transformers looks beside the rope dictionary first" : "other engines read the rope dictionary only"}.`,
      );
      parameters.set(name, winner);
    } else if (own === undefined && outerOriginal !== undefined) {
      parameters.set(name, outerOriginal);
    } else if (own === undefined && absent === "max-position" && maxPosition !== undefined) {
      parameters.set(name, maxPosition);
      report.note(
        "implied",
        path,
        `The trained length is not stated; ${dialect.engine} takes ${maxPosition.key} = ${maxPosition.value}.`,
      );
    } else if (own === undefined && absent === "refused") {
      report.issue(path, `the trained length, which ${whose(dialect)} requires`, "nothing");
    } else if (own === undefined && typeof absent === "number") {
      parameters.set(name, {
        value: absent,
        path: `default of ${whose(dialect)}`,
        key: "original_max_position_embeddings",
        source: whose(dialect),
      });
      report.note("implied", path, `The trained length is not stated; ${dialect.engine} takes ${absent}.`);
    }
  };

const ratioOfLengths = (maxPosition: Found<number>, original: number): Found<number> => ({
  value: maxPosition.value / original,
  path: `${maxPosition.key} / original_max_position_embeddings = ${maxPosition.value} / ${original}`,
  key: "factor",
});

/** A factor that is left out. */
const impliedFactor =
  (absent: (dialect: Dialect) => Dialect["absentFactor"]): Rule =>
  (parameters, { dictionary, maxPosition, report, dialect }) => {
    if (parameters.has("factor")) return;
    const path = dictionary.pathOf("factor");
    const rule = absent(dialect);
    const original = numberOf(parameters, "originalMaxPosition");
    if (rule === "refused") {
      report.issue(path, `a number, which ${whose(dialect)} requires`, "nothing");
    } else if (typeof rule === "number") {
      parameters.set("factor", {
        value: rule,
        path: `default of ${whose(dialect)}`,
        key: "factor",
        source: whose(dialect),
      });
      report.note("implied", path, `The factor is not stated; ${dialect.engine} takes ${rule}.`);
    } else if (maxPosition !== undefined && original !== undefined) {
      const factor = ratioOfLengths(maxPosition, original);
      parameters.set("factor", factor);
      report.note("implied", path, `The factor is not stated; it follows as ${factor.path} = ${factor.value}.`);
    }
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

const standardBetas = [
  ["betaFast", 32],
  ["betaSlow", 1],
] as const;

/** Turns that are not read, or that are 0. */
const betas =
  (knobs: (dialect: Dialect) => Dialect["yarn"]): Rule =>
  (parameters, { dialect, report }) => {
    const { betas: reading, zeroBeta } = knobs(dialect);
    for (const [name, standard] of standardBetas) {
      const found = parameters.get(name);
      if (found === undefined) continue;
      if (reading === "standard") {
        parameters.delete(name);
        if (found.value !== standard) {
          report.note(
            "differs",
            found.path,
            `${found.key} = ${show(found.value)} is not read by ${dialect.engine}: ${standard} is used.`,
          );
        }
      } else if (found.value === 0 && zeroBeta === "standard") {
        // transformers writes `beta or default`.
        parameters.delete(name);
        report.note(
          "differs",
          found.path,
          `0 counts as absent in ${dialect.engine}, so ${standard} is used; vLLM and SGLang divide by it.`,
        );
      }
    }
  };

/** Whether the blended range may end between two pairs. transformers looks for `truncate` beside the layer types, not inside. */
const truncation =
  (knobs: (dialect: Dialect) => Dialect["yarn"]): Rule =>
  (parameters, { dialect, nested, report }) => {
    const found = parameters.get("truncate");
    if (found?.value !== false) return;
    if (knobs(dialect).truncate === "always") {
      parameters.delete("truncate");
      report.note(
        "differs",
        found.path,
        `truncate is not read by ${dialect.engine}: the range is rounded to whole pairs.`,
      );
    } else if (nested) {
      report.note(
        "differs",
        found.path,
        "truncate is honoured here as its place suggests; transformers 5.23 reads it beside the layer types only and would round the range to whole pairs.",
      );
    }
  };

/** How far fast pairs keep their frequency, where the engine has a key for it. */
const extrapolation =
  (knobs: (dialect: Dialect) => Dialect["yarn"]): Rule =>
  (parameters, { dictionary, dialect }) => {
    if (knobs(dialect).extrapolation === "ignored") return;
    const found = dictionary.number("extrapolation_factor");
    if (found !== undefined) parameters.set("extrapolationFactor", { ...found, source: whose(dialect) });
  };

/** vLLM lengthens the table of several axes before it computes the range of blended pairs. */
const lengthWithAxes: Rule = (parameters, { dialect, severalAxes }) => {
  const times = dialect.yarn.lengthsWithAxes;
  const original = numberOf(parameters, "originalMaxPosition");
  if (!severalAxes || times === 1 || original === undefined) return;
  parameters.set("originalMaxPosition", {
    value: times * original,
    path: `${times} · ${parameters.get("originalMaxPosition")!.path}, with several position axes`,
    key: "original_max_position_embeddings",
    source: whose(dialect),
  });
};

/** Removes a parameter that the engine does not read. */
function drop(parameters: Parameters, name: string, { dialect, report }: RuleContext): void {
  const found = parameters.get(name);
  if (found === undefined || !parameters.delete(name)) return;
  report.note(
    "differs",
    found.path,
    `${found.key} = ${show(found.value)} is not read by ${dialect.engine} for this type.`,
  );
}

/** The lists and amplitudes that a class of its own takes. */
const longropeOfClass: Rule = (parameters, context) => {
  const { dialect, dictionary, report, shortListOnly } = context;
  const mscales = [
    ["shortMscale", "short_mscale"],
    ["longMscale", "long_mscale"],
  ] as const;
  if (!dialect.longrope.ofClass) return;
  if (!shortListOnly) {
    for (const [name] of mscales) drop(parameters, name, context);
    return;
  }
  drop(parameters, "attentionFactor", context);
  for (const [name, key] of mscales) {
    if (!parameters.has(name)) {
      report.issue(
        dictionary.pathOf(key),
        `a number, which the class of this family in ${whose(dialect)} requires`,
        "nothing",
      );
    }
  }
  const [short, long] = [parameters.get("shortFactor"), parameters.get("longFactor")];
  if (short === undefined || long === undefined) return;
  parameters.set("longFactor", { ...short, path: `${short.path}, at every length`, source: whose(dialect) });
  report.note(
    "differs",
    long.path,
    `The class of this family in ${whose(dialect)} divides by short_factor at every length, and so does this rope; only the amplitude becomes long_mscale. vLLM and SGLang divide by long_factor.`,
  );
};

const longrope: Rule = (parameters, context) => {
  const { capacity, dialect, maxPosition, report } = context;
  const { amplitudeKeys, factor, selection, shortBeyond } = dialect.longrope;
  for (const [name, key] of [
    ["attentionFactor", "attention_factor"],
    ["shortMscale", "short_mscale"],
    ["longMscale", "long_mscale"],
  ] as const) {
    if (!amplitudeKeys.includes(key)) drop(parameters, name, context);
  }
  const original = numberOf(parameters, "originalMaxPosition");
  if (factor === "ratio-of-lengths" && maxPosition !== undefined && original !== undefined) {
    const stated = parameters.get("factor");
    const implied = ratioOfLengths(maxPosition, original);
    if (stated !== undefined && stated.value !== implied.value) {
      report.note(
        "differs",
        stated.path,
        `factor = ${show(stated.value)} is not read by ${dialect.engine}, which takes ${implied.path} = ${implied.value}.`,
      );
    }
    parameters.set("factor", { ...implied, source: whose(dialect) });
  }
  const say = (name: string, value: unknown, why: string): unknown =>
    parameters.set(name, { value, path: why, key: name, source: whose(dialect) });
  if (selection !== "by-current-length") say("selection", selection, `what chooses the list in ${dialect.engine}`);
  if (selection === "by-capacity" && (capacity ?? maxPosition) !== undefined) {
    say(
      "capacity",
      capacity ?? maxPosition!.value,
      capacity === undefined ? `${maxPosition!.path}: the engine's default` : "given by the caller",
    );
  }
  if (shortBeyond > 0 && original !== undefined) {
    say(
      "switchLength",
      original + shortBeyond,
      `original_max_position_embeddings + ${shortBeyond}: the last token that the short list serves`,
    );
  }
};

const dynamic: Rule = (parameters, { dialect, dictionary, maxPosition }) => {
  const { length, trainedKey } = dialect.dynamic;
  const trained = trainedKey === null ? undefined : dictionary.size(trainedKey);
  const source = whose(dialect);
  if (trained !== undefined) parameters.set("maxTrainedPosition", { ...trained, source });
  if (length !== "promised" && length !== "promised-times-factor") return;
  const factor = length === "promised" ? 1 : numberOf(parameters, "factor");
  parameters.set("selection", {
    value: "by-capacity",
    path: `the length is fixed for the run in ${dialect.engine}`,
    key: "selection",
    source,
  });
  if (maxPosition === undefined || factor === undefined) return;
  if (trained === undefined) parameters.set("maxTrainedPosition", { ...maxPosition, source });
  parameters.set("capacity", {
    value: Math.floor(maxPosition.value * factor),
    path: factor === 1 ? maxPosition.path : `factor · ${maxPosition.path}`,
    key: "capacity",
    source,
  });
};

const llama3: Rule = (parameters, { dialect, dictionary, report }) => {
  const { absentHighFreqFactor, absentLowFreqFactor } = dialect.llama3;
  for (const [name, key, absent] of [
    ["lowFreqFactor", "low_freq_factor", absentLowFreqFactor],
    ["highFreqFactor", "high_freq_factor", absentHighFreqFactor],
  ] as const) {
    if (parameters.has(name) || absent === "refused") continue;
    parameters.set(name, { value: absent, path: `default of ${whose(dialect)}`, key, source: whose(dialect) });
    report.note(
      "implied",
      dictionary.pathOf(key),
      `The file does not state it; ${absent} is the default of ${dialect.engine}.`,
    );
  }
};

const proportional: Rule = (parameters, context) => {
  if (context.dialect.proportional.factor === "ignored") drop(parameters, "factor", context);
};

const absentFactor = impliedFactor((dialect) => dialect.absentFactor);
const yarnRules = (knobs: (dialect: Dialect) => Dialect["yarn"]): Rule[] => [
  originalLength("yarn"),
  absentFactor,
  reachableLength,
  betas(knobs),
  unheardAttnFactor,
  truncation(knobs),
  extrapolation(knobs),
];
const yarn = [...yarnRules((dialect) => dialect.yarn), yarnAmplitude, lengthWithAxes];
const deepseekYarn = [...yarnRules((dialect) => dialect.deepseekYarn), deepseekAmplitude];

const rules: Readonly<Record<string, readonly Rule[]>> = {
  yarn,
  "telechat3-yarn": yarn,
  deepseek_yarn: deepseekYarn,
  deepseek_llama_scaling: deepseekYarn,
  longrope: [originalLength("longrope"), impliedFactor(() => "ratio-of-lengths"), longropeOfClass, longrope],
  llama3: [originalLength("llama3"), llama3],
  dynamic: [dynamic],
  proportional: [proportional],
};

/** Changes `parameters` to what the dialect's engine computes with, and says so. */
export function applyEngineRules(ropeType: string, parameters: Parameters, context: RuleContext): void {
  if (!Object.hasOwn(rules, ropeType)) return;
  for (const rule of rules[ropeType]!) rule(parameters, context);
}

/** One sentence for a key that a rope of this type does not read. */
export function whyUnused(key: string, value: unknown, ropeType: string): string {
  const known = strangers.get(key);
  if (known !== undefined) return `${key} ${known}.`;
  const types = typesThatRead(parameterName(key));
  if (types.length > 0) {
    return `${key} belongs to ${types.slice(0, 4).join(", ")}${types.length > 4 ? " and others" : ""}; a rope of type ${ropeType} does not read it.`;
  }
  return `Nothing reads ${key} = ${show(value)} for a rope of type ${ropeType}.`;
}

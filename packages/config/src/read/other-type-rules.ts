/** The engine rules of the types other than YaRN: longrope, dynamic, llama3, proportional. */

import type { Dialect } from "../facts/dialect.ts";
import { shown } from "../locate/found.ts";
import type { Found } from "../locate/found.ts";
import { dropped, engineOf, implied, numberOf, ratioOfLengths } from "./rule.ts";
import type { Changes, Rule } from "./rule.ts";

const notForThisType = " for this type.";
const mscales = [
  ["shortMscale", "short_mscale"],
  ["longMscale", "long_mscale"],
] as const;

/** The lists and amplitudes of the classes of PhiMoE and Phi-3-small. */
export const longropeOfClass: Rule = (parameters, context) => {
  const { dialect, dictionary, longropeOfFamily, report } = context;
  if (!dialect.longrope.ofClass) return {};
  const drop = (name: string): Changes => dropped(name, parameters, context, notForThisType);
  if (longropeOfFamily === "amplitudes") return {};
  if (longropeOfFamily === undefined) return Object.assign({}, ...mscales.map(([name]) => drop(name))) as Changes;
  for (const [name, key] of mscales) {
    if (!parameters.has(name)) {
      const expected = `a number, which the class of this family in ${engineOf(dialect)} requires`;
      report.issue(dictionary.pathOf(key), expected, "nothing");
    }
  }
  const [short, long] = [parameters.get("shortFactor"), parameters.get("longFactor")];
  if (short === undefined || long === undefined) return drop("attentionFactor");
  report.note(
    "differs",
    long.path,
    `The class of this family in ${engineOf(dialect)} divides by short_factor at every length, and so does this rope; only the amplitude becomes long_mscale. vLLM and SGLang divide by long_factor.`,
  );
  const longFactor = { ...short, path: `${short.path}, at every length`, source: engineOf(dialect) };
  return { ...drop("attentionFactor"), longFactor };
};

/** Which amplitudes are read, which factor gives the amplitude, and what chooses the list. */
export const longropeRule: Rule = (parameters, context) => {
  const { capacity, dialect, dictionary, maxPosition, report } = context;
  const { amplitudeKeys, byType, factor, selection, shortBeyond } = dialect.longrope;
  const changes: Record<string, Found | undefined> = {};
  for (const [name, key] of [["attentionFactor", "attention_factor"], ...mscales] as const) {
    if (!amplitudeKeys.includes(key)) Object.assign(changes, dropped(name, parameters, context, notForThisType));
  }
  const original = numberOf(parameters, "originalMaxPosition");
  if (factor === "ratio-of-lengths" && maxPosition !== undefined && original !== undefined) {
    const stated = parameters.get("factor");
    const ratio = ratioOfLengths(maxPosition, original);
    if (stated !== undefined && stated.value !== ratio.value) {
      report.note(
        "differs",
        stated.path,
        `factor = ${shown(stated.value)} is not read by ${dialect.engine}, which takes ${ratio.path} = ${ratio.value}.`,
      );
    }
    changes["factor"] = { ...ratio, source: engineOf(dialect) };
  }
  const set = (name: string, value: unknown, why: string): void => {
    changes[name] = implied(name, value, why, dialect);
  };
  if (byType) {
    const type = dictionary.first("type");
    if (type === undefined) {
      report.issue(dictionary.pathOf("type"), `the type, which ${engineOf(dialect)} reads`, "nothing");
    }
    const promised = maxPosition?.value;
    if (type?.value === "yarn" && promised !== undefined && original !== undefined) {
      const why = `0.1 ln(${promised} / ${original}) + 1, since ${type.path} is "yarn"`;
      for (const [name] of mscales) {
        if (!parameters.has(name)) set(name, promised > original ? 0.1 * Math.log(promised / original) + 1 : 1, why);
      }
    }
  }
  if (selection !== "by-current-length") set("selection", selection, `what chooses the list in ${dialect.engine}`);
  if (selection === "by-capacity") {
    if (capacity !== undefined) set("capacity", capacity, "given by the caller");
    else if (maxPosition !== undefined) {
      set("capacity", maxPosition.value, `${maxPosition.path}: the engine's default`);
    }
  }
  if (shortBeyond > 0 && original !== undefined) {
    const why = `original_max_position_embeddings + ${shortBeyond}: the last token that the short list serves`;
    set("switchLength", original + shortBeyond, why);
  }
  return changes;
};

/** Nomic's own code, whatever the engine does with a rope dictionary. */
const ofNomic: Dialect["dynamic"] = { length: "current", trainedKey: "max_trained_positions" };

/** Whether the base grows with the current length or is fixed for the run. */
export const dynamicRule: Rule = (parameters, { beside, dialect, dictionary, maxPosition }) => {
  const { length, trainedKey } = beside ? ofNomic : dialect.dynamic;
  const stated = trainedKey === null ? undefined : dictionary.size(trainedKey);
  const source = beside ? "the code published with the model" : engineOf(dialect);
  const maxTrainedPosition = stated && { ...stated, source };
  if (length !== "promised" && length !== "promised-times-factor") {
    return maxTrainedPosition === undefined ? {} : { maxTrainedPosition };
  }
  const factor = length === "promised" ? 1 : numberOf(parameters, "factor");
  const why = `the length is fixed for the run in ${dialect.engine}`;
  const selection = implied("selection", "by-capacity", why, dialect);
  if (maxPosition === undefined || factor === undefined) {
    return { ...(maxTrainedPosition === undefined ? {} : { maxTrainedPosition }), selection };
  }
  const path = factor === 1 ? maxPosition.path : `factor · ${maxPosition.path}`;
  return {
    maxTrainedPosition: maxTrainedPosition ?? { ...maxPosition, source },
    selection,
    capacity: implied("capacity", Math.floor(maxPosition.value * factor), path, dialect),
  };
};

/** The two frequency factors of `llama3`. Some engines have defaults for them. */
export const llama3Rule: Rule = (parameters, { dialect, dictionary, report }) => {
  const { absentHighFreqFactor, absentLowFreqFactor } = dialect.llama3;
  const changes: Record<string, Found> = {};
  for (const [name, key, absent] of [
    ["lowFreqFactor", "low_freq_factor", absentLowFreqFactor],
    ["highFreqFactor", "high_freq_factor", absentHighFreqFactor],
  ] as const) {
    if (parameters.has(name) || absent === "refused") continue;
    changes[name] = implied(key, absent, `default of ${engineOf(dialect)}`, dialect);
    const message = `The file does not state it; ${absent} is the default of ${dialect.engine}.`;
    report.note("implied", dictionary.pathOf(key), message);
  }
  return changes;
};

/** Whether the frequencies of the rotated share are divided by `factor`. */
export const proportionalRule: Rule = (parameters, context) =>
  context.dialect.proportional.factor === "ignored" ? dropped("factor", parameters, context, notForThisType) : {};

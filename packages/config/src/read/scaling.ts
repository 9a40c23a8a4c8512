/** Reads the type of a rope dictionary, in core's spelling, and the parameters of that type. */

import type { RopeRegistry } from "@ropewalk/core";
import type { Dialect } from "../facts/dialect.ts";
import type { Fact, RopeFacts } from "../facts/fact.ts";
import { canonicalTypeName, parameterName, ropeTypeFacts } from "../facts/rope-types.ts";
import type { Fields } from "../locate/fields.ts";
import { agree, isText, shown } from "../locate/found.ts";
import type { Found } from "../locate/found.ts";
import type { Located, RopeEntry, TextModel } from "../locate/located.ts";
import type { Report } from "../report.ts";
import { isTimeLast } from "./axes.ts";
import { applyEngineRules } from "./engine-rules.ts";
import type { Parameters } from "./rule.ts";

/** The type of a rope, with its parameters as the dialect's engine reads them. */
export interface ScalingFacts extends Pick<RopeFacts, "ropeType" | "maxPosition"> {
  readonly parameters: Parameters;
  /** Whether the type in the file names several position axes (`mrope`, `xdrope`). */
  readonly namesAxes: boolean;
}

export function readScaling(entry: RopeEntry, located: Located): ScalingFacts {
  const { dictionary } = entry;
  const { dialect, model, options, report } = located;
  const stated = statedTypes(dictionary, report);
  const ropeType = readType(entry, stated, located);
  const promised = readMaxPosition(dictionary, model, report);
  const parameters = applyEngineRules(ropeType.value, statedParameters(entry, ropeType.value, located), {
    dictionary,
    nested: entry.nested,
    maxPosition: promised,
    outerOriginal: model.fields.size("original_max_position_embeddings"),
    report,
    dialect,
    beside: entry.beside === true,
    timeLast: isTimeLast(entry.dictionary, located),
    longropeOfFamily: model.family.longrope,
    capacity: options.capacity,
  });
  const namesAxes = stated.some(({ value }) => ["mrope", "xdrope", "bailing_mrope"].includes(value));
  const maxPosition =
    promised === undefined ? { value: null, rule: "not in the file" } : { value: promised.value, rule: promised.path };
  return { ropeType, parameters, maxPosition, namesAxes };
}

const maxPositionKeys = [
  "max_position_embeddings",
  "n_positions",
  "max_seq_len",
  "max_sequence_length",
  "seq_length",
  "n_ctx",
  "max_context",
];

/** The length that the file promises, in tokens. */
function readMaxPosition(dictionary: Fields, model: TextModel, report: Report): Found<number> | undefined {
  const { fields, family, modelType } = model;
  const stated = fields.size(...maxPositionKeys) ?? dictionary.size("max_position_embeddings");
  const key = "max_position_embeddings";
  const value = family.defaults?.[key];
  if (stated !== undefined || typeof value !== "number") return stated;
  const whose = `of the configuration class of ${modelType}`;
  report.note("implied", fields.pathOf(key), `The file does not state it; ${value} is the default ${whose}.`);
  return { value, path: `${key} (default ${whose})`, key };
}

/** Numbers that only a scaled rope has. */
const scalingKeys = ["factor", "alpha", "short_factor", "long_factor", "low_freq_factor", "beta_fast"];

function statedTypes(dictionary: Fields, report: Report): readonly Found<string>[] {
  return dictionary.all("rope_type", "type").filter((found): found is Found<string> => {
    if (isText(found.value)) return true;
    report.issue(found.path, "the name of a rope type", shown(found.value));
    return false;
  });
}

/** The type of the frequencies. The axis of each pair is read separately (`axes.ts`). */
function readType(entry: RopeEntry, all: readonly Found<string>[], { dialect, model, report }: Located): Fact<string> {
  const { dictionary } = entry;
  const stated = preferred(all, dialect, report);
  const types = stated.map(({ value }) => typeBehind(value, entry, model, dialect));
  if (types.some((type) => type !== types[0])) agree(stated, report);

  const [first] = stated;
  if (first !== undefined) {
    const value = types[0]!;
    const isBeside = value === "default" || value === (model.family.scalingBeside?.ropeType ?? "yarn");
    if (entry.beside === true && !isBeside) {
      const expected = "original, yarn, yarn_linear or theta_scale";
      const remedy =
        value === "yarn_log"
          ? "It interpolates the logarithms of frequencies, which no type of this library does."
          : undefined;
      report.issue(first.path, expected, shown(first.value), remedy);
    }
    const named = ofFamily(first.value, model);
    const ofClass = ownTypes(model, dialect);
    const ropeTypes = ofClass?.ropeTypes ?? dialect.ropeTypes;
    const isBuilt =
      entry.beside === true || ropeTypes.includes(named) || (named === "mrope" && model.family.axes !== undefined);
    if (dialect.otherTypes === "refused" && !isBuilt && ofClass?.others !== "ignored") {
      const has = `a type that ${dialect.engine} ${dialect.version} has${ofClass === undefined ? "" : " for this family"}`;
      report.issue(first.path, `${has}: ${ropeTypes.join(", ")}`, shown(first.value));
    }
    if (dialect.otherTypes === "built" && !isBuilt && ofClass === undefined && ropeTypeFacts(named) !== undefined) {
      const message = `${dialect.engine} has no type ${shown(first.value)} for this model and refuses it; this rope is what other engines make of it.`;
      report.note("differs", first.path, message, "warning");
    }
    if (ofClass?.others === "ignored" && !isBuilt) {
      const message = `${dialect.engine} ignores the type ${shown(first.value)} in this family and rotates without scaling.`;
      report.note("differs", first.path, message);
      return { value, rule: `${first.path}, which ${dialect.engine} ignores in this family` };
    }
    if (dialect.dynamic.length === "refused" && value === "dynamic") {
      const expected = `a number, which ${dialect.engine} ${dialect.version} requires for dynamic`;
      report.issue(dictionary.pathOf("alpha"), expected, shown(dictionary.first("alpha")?.value));
    }
    if (named === "yarn" && value === "default" && ofClass === undefined && entry.beside !== true) {
      const message = `Without a factor ${dialect.engine} does not scale; transformers refuses the file.`;
      report.note("differs", dictionary.pathOf("factor"), message, "warning");
    }
    if (
      value !== first.value &&
      !["mrope", "bailing_mrope"].includes(first.value) &&
      first.value !== model.family.scalingBeside?.ropeType
    ) {
      report.note("alias", first.path, `${shown(first.value)} is read as the type ${value}.`);
    }
    return { value, rule: first.path };
  }
  const ofClass = entry.spelled.defaults["rope_type"];
  if (isText(ofClass)) {
    const rule = `what the configuration class of ${model.modelType} sets`;
    return { value: typeBehind(ofClass, entry, model, dialect), rule };
  }
  const scaling = scalingKeys.find((key) => dictionary.has(key));
  if (scaling !== undefined) {
    report.issue(
      dictionary.pathOf("rope_type"),
      `the name of a rope type, since ${scaling} is given`,
      "nothing",
      `Without it transformers ignores ${scaling}; add rope_type, or remove the numbers.`,
    );
  }
  const value = typeBehind("default", entry, model, dialect);
  return { value, rule: "no type in the file: the original rope" };
}

/** The places that the engine reads: both keys, or the first of them that is set. */
function preferred(
  stated: readonly Found<string>[],
  { engine, typeKey }: Dialect,
  report: Report,
): readonly Found<string>[] {
  const winner = stated.find(({ key }) => key === typeKey);
  if (typeKey === "agree" || winner === undefined) return stated;
  for (const { path, value } of stated) {
    if (value === winner.value) continue;
    const first = `${engine} looks at ${winner.path} = ${shown(winner.value)} first`;
    report.note("differs", path, `${first}; transformers and vLLM refuse two types.`);
  }
  return [winner];
}

/** The type that the family's configuration class makes of a name. */
function ofFamily(name: string, { family }: TextModel): string {
  return family.typeNames !== undefined && Object.hasOwn(family.typeNames, name) ? family.typeNames[name]! : name;
}

/** The types of the family's class in the engine, if it has its own. */
function ownTypes({ modelType }: TextModel, { familyTypes }: Dialect): Dialect["familyTypes"][string] | undefined {
  return modelType !== null && Object.hasOwn(familyTypes, modelType) ? familyTypes[modelType] : undefined;
}

/** The type that a name stands for. It may depend on the family and on other keys. */
function typeBehind(stated: string, entry: RopeEntry, model: TextModel, dialect: Dialect): string {
  const { dictionary } = entry;
  const { family, fields, known } = model;
  if (entry.beside === true) return typeBeside(stated, dialect);
  const { dynamic, typeNames } = dialect;
  const name = ofFamily(stated, model);
  const ofClass = ownTypes(model, dialect);
  if (ofClass?.others === "ignored" && !ofClass.ropeTypes.includes(name)) return "default";
  const canonical = canonicalTypeName(Object.hasOwn(typeNames, name) ? typeNames[name]! : name);
  if (canonical === "dynamic" && dictionary.first("alpha")?.value) return "dynamic_alpha";
  if (canonical === "dynamic" && dynamic.length === "ignored") return "default";
  if (canonical === "yarn" && dialect.absentFactor === "unscaled" && !dictionary.has("factor")) return "default";
  if (canonical === "yarn" && (family.softmaxMagnitude ?? (!known && fields.has("qk_rope_head_dim")))) {
    return "deepseek_yarn";
  }
  if (canonical !== "default") return canonical;
  if (dictionary.flag("use_fope")?.value === true) return "fope";
  if (fields.flag("use_dynamic_ntk")?.value === true) return "qwen_dynamic";
  return family.defaultType?.ropeType ?? "default";
}

/** The type that a name among the model's own keys stands for. `theta_scale` is the original rope of another base. */
function typeBeside(name: string, { beside }: Dialect): string {
  const type = Object.hasOwn(beside.typeNames, name) ? beside.typeNames[name]! : name;
  if (type === "dynamic" && beside.dynamic === "ignored") return "default";
  return type === "theta_scale" ? "default" : type;
}

/** Keys of a rope dictionary that are not parameters of a type. Other code reads them. */
const notParameters: ReadonlySet<string> = new Set([
  ...["rope_type", "type", "rope_theta", "partial_rotary_factor", "rope_dim", "max_position_embeddings", "use_fope"],
  ...["attn_factor", "mrope_section", "xdrope_section", "mrope_interleaved", "interleaved", "llama_4_scaling_beta"],
]);

/** The parameters of the type by their name in core, as the file and the family's class state them. */
function statedParameters(entry: RopeEntry, ropeType: string, { model, options, report }: Located): Parameters {
  const { defaults } = entry.spelled;
  const isRead = parametersOf(ropeType, options.registry);
  const found = new Map<string, Found>();
  for (const key of entry.dictionary.keys()) {
    const name = parameterName(key);
    if (!notParameters.has(key) && name !== "ropeType" && isRead(name)) {
      found.set(name, agree(entry.dictionary.all(key), report)!);
    }
  }
  const ofClass = (name: string, value: unknown): void => {
    if (!found.has(name)) found.set(name, { value, key: name, path: `the class of ${model.modelType}` });
  };
  if (ropeType === "yarn" && !entry.nested && defaults["attention_factor"] !== undefined) {
    ofClass("attentionFactor", defaults["attention_factor"]);
  }
  const { defaultType } = model.family;
  if (ropeType === defaultType?.ropeType) {
    for (const [name, value] of Object.entries(defaultType)) if (name !== "ropeType") ofClass(name, value);
  }
  const trained = ropeType === "qwen_dynamic" ? model.fields.size("seq_length") : undefined;
  if (trained !== undefined) found.set("maxTrainedPosition", trained);
  return found;
}

/**
 * Which parameters a type has: for a registered type those of its schema that are keys of configs, else the built-in
 * list.
 */
function parametersOf(ropeType: string, registry: RopeRegistry | undefined): (name: string) => boolean {
  const listed = ropeTypeFacts(ropeType)?.parameters;
  const schema = registry?.get(ropeType)?.provider.parameters;
  return (name) =>
    (listed === undefined || listed.includes(name)) && (schema === undefined || Object.hasOwn(schema, name));
}

/**
 * The base of Grok's `theta_scale`: `base^(ln(s · L / 2π) / ln(L / 2π))`, with the factor s and the trained length L.
 *
 * Source: SGLang 0.5.23 `ScalingRotaryEmbedding`.
 */
export function thetaScaled<T extends Pick<RopeFacts, "base">>(
  facts: T,
  { beside, dictionary }: RopeEntry,
  { dialect, report }: Located,
): T {
  const name = beside === true ? dictionary.first("rope_type")?.value : undefined;
  if (name !== "theta_scale" || Object.hasOwn(dialect.beside.typeNames, name)) return facts;
  const factor = dictionary.number("factor");
  const length = dictionary.size("original_max_position_embeddings");
  if (factor === undefined || length === undefined) {
    const key = factor === undefined ? "factor" : "original_max_position_embeddings";
    report.issue(dictionary.pathOf(key), "a number, which theta_scale requires", "nothing");
    return facts;
  }
  const { base } = facts;
  const exponent = Math.log((length.value * factor.value) / (2 * Math.PI)) / Math.log(length.value / (2 * Math.PI));
  const rule = `(${base.rule})^(ln(${factor.path} · ${length.path} / 2π) / ln(${length.path} / 2π)): theta_scale`;
  return { ...facts, base: { value: base.value ** exponent, rule, source: "SGLang 0.5.23" } };
}

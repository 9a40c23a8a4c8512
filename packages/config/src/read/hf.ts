/** config.json → facts: the values in the file, completed by the family's code and the dialect's engine. */

import { noRope, noRopeLabel } from "../facts/fact.ts";
import type { Fact, LayerFacts, ModelFacts, RopeFacts } from "../facts/fact.ts";
import { ropeKey } from "../facts/keys.ts";
import { parameterName, typesThatRead, whatReadsInstead } from "../facts/rope-types.ts";
import { isSize, shown } from "../locate/found.ts";
import type { Found } from "../locate/found.ts";
import type { Located, RopeEntry, TextModel } from "../locate/located.ts";
import { readAxes } from "./axes.ts";
import { readBase, readLogarithm, readNoRopeQueryScale } from "./base.ts";
import { checkYarnFits, lengthWithAxes } from "./engine-rules.ts";
import { readHead } from "./head.ts";
import { changed } from "./rule.ts";
import { readScaling, thetaScaled } from "./scaling.ts";

/**
 * The facts of each layer of a config.
 *
 * @throws RopeError `ROPE_CONFIG` with every contradiction, or with every missing value.
 */
export function readConfig(located: Located): ModelFacts {
  const { dialect, entries, layers, model, report } = located;
  const byLabel = new Map<string | null, LayerFacts>(entries.map((entry) => [entry.label, readRope(entry, located)]));
  const labels = Array.from({ length: layers.count ?? 0 }, (_, layer) => layers.labelOf(layer) ?? null);
  const queryScale = labels.includes(noRopeLabel) ? readNoRopeQueryScale(model, report) : undefined;
  checkAround(located);
  checkLayered(located);
  noteUnread(
    located,
    entries.map(({ label }) => byLabel.get(label)!.ropeType.value ?? "none"),
  );
  report.throwIfBroken();

  for (const label of labels) {
    if (byLabel.has(label)) continue;
    byLabel.set(label, noRope("layers of this type have no rope", label === noRopeLabel ? queryScale : undefined));
  }
  return {
    modelType: model.modelType,
    dialect: { value: dialect.name, rule: `read as ${dialect.engine} ${dialect.version} does` },
    byLabel,
    layerCount: layers.count,
    labelOf: layers.labelOf,
    notes: report.notes,
  };
}

/** The facts of the layers that one entry of the file describes. */
function readRope(entry: RopeEntry, whole: Located): LayerFacts {
  const { report } = whole;
  if (entry.noRope !== undefined) return noRope(entry.noRope, readLogarithm(entry.label, whole.model, report));
  const located = entry.fields === undefined ? whole : { ...whole, model: { ...whole.model, fields: entry.fields } };
  const { dialect, model } = located;
  const { namesAxes, parameters: stated, ...scaling } = readScaling(entry, located);
  const { ropeType } = scaling;
  const head = readHead(entry, ropeType.value, located);
  const base = thetaScaled(readBase(entry, stated.get("originalMaxPosition")?.value, located), entry, located);
  // The report has the reason and the other issues.
  if (head === undefined) return noRope("no head dimension");
  const { share, ...rotated } = head;
  const { headDim, rotaryDim } = rotated;

  // A text model of one axis stays so if its class ignores the key. Core refuses a width that no head has.
  const mayHaveAxes = namesAxes || model.family.axes !== undefined || !model.known;
  const isWidth = rotaryDim.value > 0 && rotaryDim.value % 2 === 0 && rotaryDim.value <= headDim.value;
  const axes = mayHaveAxes && isWidth ? readAxes(entry.dictionary, rotaryDim.value / 2, namesAxes, located) : undefined;
  let parameters = axes === undefined ? stated : lengthWithAxes(ropeType.value, stated, dialect);
  if (axes !== undefined && dialect.mrope.scaled === "refused" && ropeType.value !== "default") {
    const expected = `"default", which ${dialect.engine} ${dialect.version} requires for several position axes`;
    report.issue(entry.dictionary.pathOf("rope_type"), expected, shown(ropeType.value));
  }
  checkYarnFits(ropeType.value, stated, { ...base, ...rotated }, located);
  if (share !== undefined) parameters = changed(parameters, { partialRotaryFactor: share });
  const factors = readPairFactors(rotaryDim.value / 2, located);
  const facts: RopeFacts = {
    ...scaling,
    ...rotated,
    ...base,
    ...(axes === undefined ? {} : { axes }),
    ...(factors === undefined ? {} : { pairFactors: factors }),
    ...ofClass(model),
    parameters: Object.fromEntries(Array.from(parameters, ([name, found]) => [name, factOf(found)])),
  };
  const indexer = readIndexer(entry, facts, located);
  return indexer === undefined ? facts : { ...facts, indexer };
}

/**
 * Learned factors of the frequencies.
 *
 * Source: Hugging Face transformers 5.24, `MistralLarge4LeRoPE`: ω · e^α.
 */
function readPairFactors(
  pairs: number,
  { model: { family, fields, modelType }, options, report }: Located,
): Fact<readonly number[]> | undefined {
  const name = family.learnedExponents;
  if (name === undefined) return undefined;
  const alpha = options.weights?.[name];
  const path = `weights[${JSON.stringify(name)}]`;
  const list = alpha !== undefined && alpha.length === pairs ? Array.from(alpha) : [];
  if (list.length !== pairs || list.some((value) => !Number.isFinite(value))) {
    report.issue(
      path,
      `${pairs} finite numbers, the weight ${name} of the checkpoint`,
      alpha === undefined ? "nothing" : `${alpha.length} values`,
      `Each frequency of ${modelType} is multiplied by e^α with a learned α, so the config alone does not tell the rope. Pass { weights: { ${JSON.stringify(name)}: … } }; zeros give the rope before training.`,
    );
    return undefined;
  }
  const value = Object.freeze(list.map((each) => Math.fround(Math.exp(each))));
  return { value, rule: `e^α with ${path}`, source: `the class of ${fields.path === "" ? modelType : fields.path}` };
}

/** The rope of the indexer: the frequencies of the layer, on a head of another size. */
function readIndexer(
  { label }: RopeEntry,
  facts: RopeFacts,
  { model: { family, fields, modelType }, report }: Located,
): RopeFacts | undefined {
  const { indexer } = family;
  if (indexer === undefined || (indexer.onlyOn !== undefined && (label === null || !isOn(indexer.onlyOn, label)))) {
    return undefined;
  }
  const stated = fields.size(...indexer.headDimKeys);
  const standard = indexer.headDimKeys.map((key) => family.defaults?.[key]).find(isSize);
  const rule = `the class of ${modelType}`;
  if (stated === undefined && standard === undefined) return undefined;
  const headDim = stated === undefined ? { value: standard!, rule } : { value: stated.value, rule: stated.path };
  const { rotaryOffset: _, queryScale: __, ...shared } = facts;
  if (headDim.value < facts.rotaryDim.value) {
    report.issue(
      headDim.rule,
      `at least ${facts.rotaryDim.value}, the rotated elements of the layer`,
      `${headDim.value}`,
    );
  }
  const flag = indexer.interleaveKey === undefined ? undefined : fields.flag(indexer.interleaveKey);
  const pairing: Fact<"half" | "adjacent"> =
    flag === undefined
      ? { value: indexer.pairing, rule }
      : { value: flag.value ? "adjacent" : "half", rule: flag.path, source: "vLLM 0.33, SGLang 0.5.23" };
  const offset = headDim.value - facts.rotaryDim.value;
  return {
    ...shared,
    headDim,
    pairing,
    ...(indexer.rotatesLast === true && offset > 0
      ? { rotaryOffset: { value: offset, rule: "the last elements of a head" } }
      : {}),
  };
}

/** Whether layers with a label are of one of some types; a label may go on after the type. */
const isOn = (types: readonly string[], label: string): boolean =>
  types.some((type) => label === type || label.startsWith(`${type} `));

/** Facts of a model's class that concern more than frequencies and that no key of a file states. */
function ofClass({ family, modelType }: TextModel): Pick<RopeFacts, "direction" | "fractionalPositions"> {
  const { direction, fractionalPositions } = family;
  const rule = `what the class of ${modelType} does`;
  return {
    ...(direction === undefined ? {} : { direction: { value: direction, rule } }),
    ...(fractionalPositions === undefined ? {} : { fractionalPositions: { value: fractionalPositions, rule } }),
  };
}

/** A found value as a fact; its place is the reason for it. */
const factOf = ({ value, path, source }: Found): Fact<unknown> => ({
  value,
  rule: path,
  ...(source === undefined ? {} : { source }),
});

/**
 * If each layer type has its own rope, a number beside them is the default for types that state none. If all types
 * state it with other values, the file contradicts itself.
 */
function checkAround({ entries, model, report }: Located): void {
  for (const key of ["rope_theta", "partial_rotary_factor"]) {
    const outer = model.fields.first(key);
    const inner = entries.flatMap(({ dictionary, nested }) => (nested ? [dictionary.first(key)?.value] : []));
    const isDefault = inner.length === 0 || inner.includes(undefined) || inner.includes(outer?.value);
    if (outer === undefined || Array.isArray(outer.value) || isDefault) continue;
    report.issue(
      outer.path,
      `one of ${inner.map(shown).join(", ")}, which the layer types state`,
      shown(outer.value),
      "The file says two things; correct or remove one of them.",
    );
  }
}

/** Some engines have a rope for each layer type in a few families only. */
function checkLayered({ dialect, entries, model, report }: Located): void {
  const { layeredFamilies } = dialect;
  if (layeredFamilies === "any" || entries.length === 1 || layeredFamilies.includes(model.modelType ?? "")) return;
  const engine = `${dialect.engine} ${dialect.version}`;
  const expected = `one rope for all layers, since ${engine} has several in ${layeredFamilies.join(", ")} only`;
  report.issue("model_type", expected, shown(model.modelType));
}

/**
 * Every key that looks like a rope key and was never read: a note, and an issue if it is a list or an object, because
 * then some layer has another rope than the one that was read.
 */
function noteUnread({ entries, model: { fields }, report }: Located, ropeTypes: readonly string[]): void {
  const chunks = fields.first("dual_chunk_attention_config");
  if (chunks !== undefined) {
    report.note(
      "differs",
      chunks.path,
      "transformers ignores it and rotates by plain positions. This rope does the same; vLLM and SGLang fold positions into chunks (type dual_chunk).",
    );
  }
  entries.forEach(({ dictionary }, index) => {
    for (const { key, path, value } of dictionary.unread()) {
      report.note("unused", path, whyUnused(key, value, ropeTypes[index]!));
    }
  });
  // A model without rope may have any keys.
  if (entries.every(({ noRope: why }) => why !== undefined)) return;
  for (const { key, path, value } of fields.unread()) {
    if (!ropeKey.test(key)) continue;
    if (typeof value !== "object" || value === null || Object.keys(value).length === 0) {
      report.note("unused", path, `Nothing reads ${key} = ${shown(value)}.`, "warning");
    } else {
      report.issue(
        path,
        "a key that this version knows, since a list or an object says which layers differ",
        shown(value),
        "Remove the key if the ropes are right without it.",
      );
    }
  }
}

/** One sentence for a key that a rope of this type does not read. */
function whyUnused(key: string, value: unknown, ropeType: string): string {
  const known = whatReadsInstead.get(key);
  if (known !== undefined) return `${key} ${known}.`;
  const types = typesThatRead(parameterName(key));
  if (types.length === 0) return `Nothing reads ${key} = ${shown(value)} for a rope of type ${ropeType}.`;
  const names = `${types.slice(0, 4).join(", ")}${types.length > 4 ? " and others" : ""}`;
  return `${key} belongs to ${names}; a rope of type ${ropeType} does not read it.`;
}

/** config.json → facts: the values in the file, completed by the family's code and the dialect's engine. */

import type { Pairing } from "@ropewalk/core";
import { hasRope, noRope, noRopeLabel } from "../facts/fact.ts";
import type { Fact, LayerFacts, ModelFacts, RopeFacts } from "../facts/fact.ts";
import { ropeKey } from "../facts/keys.ts";
import { parameterName, typesThatRead, whatReadsInstead } from "../facts/rope-types.ts";
import { mostElements, mostParameters, mostRopes } from "../limits.ts";
import type { Fields } from "../locate/fields.ts";
import { entriesOf, isEqual, listed, shown } from "../locate/found.ts";
import type { Found } from "../locate/found.ts";
import type { Located, RopeEntry, TextModel } from "../locate/located.ts";
import type { Report } from "../report.ts";
import { readAxes } from "./axes.ts";
import { readBase, readLogarithm, readNoRopeQueryScale } from "./base.ts";
import { checkYarnFits, lengthWithAxes } from "./engine-rules.ts";
import { readHead } from "./head.ts";
import { readIndexer, readPairFactors } from "./indexer.ts";
import { changed } from "./rule.ts";
import { readScaling, thetaScaled } from "./scaling.ts";

/**
 * The facts of each layer of a config.
 *
 * @throws RopeError `ROPE_CONFIG` with every contradiction, or with every missing value.
 */
export function readConfig(located: Located): ModelFacts {
  const { dialect, entries, layers, model, report } = located;
  const byLabel = readRopes(located);
  const labels = Array.from({ length: layers.count ?? 0 }, (_, layer) => layers.labelOf(layer) ?? null);
  const queryScale = labels.includes(noRopeLabel) ? readNoRopeQueryScale(model, report) : undefined;
  checkAround(located);
  if (dialect.ropeParameters === "by-class" && model.fields.has("rope_parameters")) {
    const message = `Many classes of ${dialect.engine} read rope_theta and rope_scaling only, and rotate by their own defaults then (docs/coverage.md). These ropes follow the file.`;
    report.note("differs", model.fields.pathOf("rope_parameters"), message, "warning");
  }
  checkLayered(located);
  noteCheckpoint(model.family.checkpointPairing, model.fields, report);
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
    hasIndexer: located.hasIndexer,
    notes: report.notes,
  };
}

/** The facts of all entries. Work and memory go by the elements of heads and by parameters, which have limits. */
function readRopes(located: Located): Map<string | null, LayerFacts> {
  const { entries, report } = located;
  if (entries.length > mostRopes) {
    report.issue("rope_parameters", `at most ${mostRopes} different ropes`, `${entries.length}`);
    report.throwIfBroken();
  }
  const byLabel = new Map<string | null, LayerFacts>();
  let elements = 0;
  let parameters = 0;
  for (const entry of entries) {
    const facts = readRope(entry, located);
    byLabel.set(entry.label, facts);
    if (!hasRope(facts)) continue;
    elements += facts.headDim.value;
    parameters += Object.keys(facts.parameters).length;
    if (elements <= mostElements && parameters <= mostParameters) continue;
    const [path, expected, many] =
      elements > mostElements
        ? ["head_dim", `at most ${mostElements} elements of heads in all ropes together`, elements]
        : [entry.dictionary.path, `at most ${mostParameters} parameters in all ropes together`, parameters];
    report.issue(path, expected, `${many} in ${byLabel.size} of ${entries.length} ropes`);
    report.throwIfBroken();
  }
  return byLabel;
}

/** The facts of the layers that one entry of the file describes. */
function readRope(entry: RopeEntry, whole: Located): LayerFacts {
  if (entry.noRope !== undefined) {
    return noRope(entry.noRope, readLogarithm(entry.label, whole.model, whole.report));
  }
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
  for (const { path, value } of stated.values()) {
    if (entriesOf(value, headDim.value) <= headDim.value) continue;
    located.report.issue(path, `at most ${headDim.value} values, the elements of a head`, () => shown(value));
    return noRope("a list that no head has");
  }

  // A text model of one axis stays so if its class ignores the key. Core refuses a width that no head has.
  const mayHaveAxes = namesAxes || model.family.axes !== undefined || !model.known;
  const isWidth = rotaryDim.value > 0 && rotaryDim.value % 2 === 0 && rotaryDim.value <= headDim.value;
  const axes = mayHaveAxes && isWidth ? readAxes(entry.dictionary, rotaryDim.value / 2, namesAxes, located) : undefined;
  let parameters = axes === undefined ? stated : lengthWithAxes(ropeType.value, stated, dialect);
  if (axes !== undefined && dialect.mrope.scaled === "refused" && ropeType.value !== "default") {
    const expected = `"default", which ${dialect.engine} ${dialect.version} requires for several position axes`;
    located.report.issue(entry.dictionary.pathOf("rope_type"), expected, shown(ropeType.value));
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
  const indexer = readIndexer(facts, located);
  return indexer === undefined ? facts : { ...facts, indexer };
}

/** Facts of a model's class that concern more than frequencies and that no key of a file states. */
function ofClass({ family, modelType }: TextModel): Pick<RopeFacts, "checkpointPairing" | "direction"> {
  const { checkpointPairing, direction } = family;
  const rule = `what the class of ${modelType} does`;
  return {
    ...(direction === undefined ? {} : { direction: { value: direction, rule } }),
    ...(checkpointPairing === undefined ? {} : { checkpointPairing: { value: checkpointPairing, rule } }),
  };
}

/** A note about published weights whose pairs are not those of the class. */
export function noteCheckpoint(pairing: Pairing | undefined, fields: Fields, report: Report): void {
  if (pairing === undefined) return;
  const pairs = pairing === "adjacent" ? "adjacent elements" : shown(pairing);
  report.note(
    "differs",
    fields.pathOf("model_type"),
    `transformers permutes the weights of queries and keys on loading; in the published weights the pairs are ${pairs}.`,
  );
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
    const isLeft = outer !== undefined && model.family.leftBases?.[key] === outer.value;
    if (outer === undefined || Array.isArray(outer.value) || isDefault || isLeft) continue;
    report.issue(
      outer.path,
      `one of ${listed(new Set(inner.map(shown)))}, which the layer types state`,
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
function noteUnread({ entries, model: { around, fields }, report }: Located, ropeTypes: readonly string[]): void {
  const chunks = fields.first("dual_chunk_attention_config");
  if (chunks !== undefined) {
    report.note(
      "differs",
      chunks.path,
      "transformers ignores it and rotates by plain positions. This rope does the same; vLLM and SGLang fold positions into chunks (type dual_chunk).",
    );
  }
  // Groups of layers may share a dictionary.
  const said = new Map<Fields, string>();
  entries.forEach(({ dictionary }, index) => {
    const ropeType = ropeTypes[index]!;
    if (said.get(dictionary) === ropeType) return;
    said.set(dictionary, ropeType);
    for (const { key, path, value } of dictionary.unread()) {
      report.note("unused", path, whyUnused(key, value, ropeType));
    }
  });
  // A model without rope may have any keys.
  if (entries.every(({ noRope: why }) => why !== undefined)) return;
  for (const { key, path, value } of around.unread()) {
    const inner = fields.first(key);
    if (!ropeKey.test(key) || isEqual(value, inner?.value)) continue;
    const message =
      inner === undefined
        ? `It is not read: it stands beside the text model ${fields.path}, which does not state it.`
        : `${inner.path} is used instead; its value differs.`;
    report.note("differs", path, message, "warning");
  }
  for (const { key, path, value } of fields.unread()) {
    if (!ropeKey.test(key)) continue;
    if (typeof value !== "object" || value === null || Object.keys(value).length === 0) {
      // What is switched off changes nothing.
      report.note("unused", path, `Nothing reads ${key} = ${shown(value)}.`, value === false ? "info" : "warning");
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

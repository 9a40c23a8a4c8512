/**
 * From a config to rope requests: plain data, with the rule behind each number. Nothing is built here and no provider is
 * needed.
 */

import { RopeError } from "@ropewalk/core";
import type { QueryScale, RopeRule, UntypedRopeRequest } from "@ropewalk/core";
import { dialects } from "./dialects.ts";
import type { Dialect } from "./dialects.ts";
import { checkAround, checkHasRope, noteUnread, whyBare } from "./evidence.ts";
import { isObject } from "./fields.ts";
import { readBase, readHeadDim, readMaxPosition, readPairing, readRotated } from "./geometry.ts";
import { findLayers, withoutRope } from "./layers.ts";
import type { Layers } from "./layers.ts";
import { axisOfEachPair, readSections } from "./axes.ts";
import { checkOptions } from "./options.ts";
import { readBareQueryScale, readParameters, readQueryScale } from "./parameters.ts";
import type { ConfigOptions, Explained, Reading } from "./reading.ts";
import { Report, show } from "./report.ts";
import type { ConfigNote } from "./report.ts";
import { readType } from "./rope-type.ts";
import { findRopes, findTextModel } from "./spelling.ts";
import type { RopeEntry } from "./spelling.ts";

/** The rope of one layer type, as data. */
export interface LayerRopeRequest {
  /** `null` where all layers that have a rope share it. */
  readonly layerType: string | null;
  /** `null` for layers without rope. */
  readonly request: UntypedRopeRequest | null;
  /** The factor of queries in layers without rope: Llama 4. Absent: none, or that of the request. */
  readonly queryScale?: QueryScale;
  /** Why each number is what it is, in the words of the file. */
  readonly rules: readonly RopeRule[];
}

/** What a config asks for. */
export interface RopeRequests {
  /** The `model_type` whose facts were used. */
  readonly modelType: string | null;
  /**
   * By layer type; the key is `null` where all layers that have a rope share it. Layers that `no_rope_layers` leaves out
   * have the key `"no_rope"`.
   */
  readonly byLayerType: ReadonlyMap<string | null, LayerRopeRequest>;
  /** The number of layers; `null` where the file does not say. */
  readonly layerCount: number | null;
  /**
   * The key in `byLayerType` of a layer, counted from 0.
   * @throws RopeError `ROPE_CONFIG` for a layer that the model does not have, or whose type the file does not tell.
   */
  layerTypeOf(layer: number): string | null;
  readonly notes: readonly ConfigNote[];
}

/**
 * Reads the parsed config.json of a model.
 *
 * @param config never mutated; only own keys are read.
 * @param options overrides of what the file says.
 * @throws RopeError `ROPE_CONFIG` with every contradiction, or with what is missing; `ROPE_INVALID_PARAMETERS` for an
 * option that nothing reads.
 */
export function ropeRequestsFromConfig(config: unknown, options: ConfigOptions = {}): RopeRequests {
  if (!isObject(config)) {
    throw new RopeError("ROPE_CONFIG", {
      what: "a config is not an object",
      expected: "the parsed JSON of a model's config.json",
      received: show(config),
      remedy: typeof config === "string" ? "Pass JSON.parse(text)." : "Read the file and parse it.",
    });
  }
  checkOptions(options);
  const dialect = dialectOf(options.dialect);
  const report = new Report();
  const model = findTextModel(config, report);
  checkHasRope(model, report);
  report.throwIfBroken();

  const bare = whyBare(model, report);
  const entries = bare === undefined ? findRopes(model, report) : [withoutDictionary];
  const layers = findLayers(model, entries, report);
  const reading: Reading = { model, layers, options, report, dialect };
  const requests = entries.map((entry) => (bare === undefined ? readEntry(entry, reading) : noRope(null, bare)));
  const isBare = Array.from({ length: layers.count ?? 0 }, (_, layer) => layers.ropeOf(layer)).includes(withoutRope);
  const bareScale = isBare ? readBareQueryScale(model, report) : undefined;
  checkAround(model, entries, report);
  noteUnread(
    model,
    entries,
    requests.map(({ request }) => request?.parameters.ropeType ?? "none"),
    report,
  );
  report.throwIfBroken();
  return Object.freeze({
    modelType: model.modelType,
    byLayerType: byLayerType(requests, layers, bareScale),
    layerCount: layers.count,
    layerTypeOf: (layer: number) => layerTypeOf(layer, layers),
    notes: Object.freeze(report.notes),
  });
}

/** What stands for the ropes of a model that has none. */
const withoutDictionary: RopeEntry = {
  label: null,
  dictionary: null,
  nested: false,
  facts: { thetaKeys: [], scaled: false, defaults: {} },
};

/** @throws RopeError `ROPE_CONFIG` for a name that no profile has. */
function dialectOf(given: ConfigOptions["dialect"]): Dialect {
  if (typeof given === "object" && given !== null) return given;
  const name = given ?? "hf";
  if (Object.hasOwn(dialects, name)) return dialects[name];
  throw new RopeError("ROPE_CONFIG", {
    what: "there is no such dialect",
    expected: `one of ${Object.keys(dialects).join(", ")}, or a profile like them`,
    received: show(given),
  });
}

function readEntry(entry: RopeEntry, reading: Reading): LayerRopeRequest {
  const { dictionary, label } = entry;
  if (dictionary === null) return noRope(label, "null in the file: these layers have no rope");
  const { options } = reading;
  const maxPosition = readMaxPosition(dictionary, reading);
  const type = readType(entry, dictionary, reading);
  const headDim = readHeadDim(entry, reading);
  const rotated = headDim && readRotated(entry, dictionary, type.value, headDim.value, reading);
  const base = readBase(entry, dictionary, reading);
  const pairing = readPairing(reading);
  // A width that no head has is core's to refuse.
  const width = rotated?.rotaryDim.value ?? 0;
  const sane = headDim !== undefined && width > 0 && width % 2 === 0 && width <= headDim.value;
  const sections = sane ? readSections(dictionary, width / 2, reading) : undefined;
  const places = readParameters(
    entry,
    dictionary,
    type.value,
    maxPosition,
    rotated?.share,
    sections !== undefined,
    reading,
  );
  const queryScale = readQueryScale(dictionary, places, reading);
  // The report has the reason, and what else is wrong.
  if (headDim === undefined || rotated === undefined) return noRope(label, "no head dimension");
  const { rotaryDim, rotaryOffset } = rotated;
  const limit: Explained<number | null> =
    options.maxPosition !== undefined
      ? { value: options.maxPosition, rule: "given by the caller" }
      : { value: maxPosition?.value ?? null, rule: maxPosition?.path ?? "not in the file" };
  const own = Object.fromEntries([...places].map(([name, { value }]) => [name, value]));
  // The original frequencies with axes in a usual order are a type; other frequencies get the axes beside them.
  const axes = sections && axisOfEachPair(sections.value);
  const isUsual =
    sections !== undefined && sections.value.order !== "alternating" && !axes!.includes(sections.value.sections.length);
  const isMrope = isUsual && type.value === "default";
  const parameters = isMrope
    ? { ropeType: "mrope", sections: sections.value.sections, order: sections.value.order }
    : { ropeType: type.value, ...own };

  const request: UntypedRopeRequest = {
    headDim: headDim.value,
    rotaryDim: rotaryDim.value,
    ...(rotaryOffset === undefined ? {} : { rotaryOffset: rotaryOffset.value }),
    base: base.value,
    maxPosition: limit.value,
    pairing: pairing.value,
    ...(axes === undefined || isMrope ? {} : { axes }),
    ...(queryScale === undefined ? {} : { queryScale: queryScale.value }),
    ...(options.precision === undefined ? {} : { precision: options.precision }),
    parameters: Object.freeze(parameters),
  };
  const { dialect } = reading;
  const rules: RopeRule[] = [
    ruleOf("dialect", { value: dialect.name, rule: `read as ${dialect.engine} ${dialect.version} does` }),
    ruleOf("ropeType", { ...type, value: parameters.ropeType }),
    ruleOf("headDim", headDim),
    ruleOf("rotaryDim", rotaryDim),
    ...(rotaryOffset === undefined ? [] : [ruleOf("rotaryOffset", rotaryOffset)]),
    ruleOf("base", base),
    ruleOf("maxPosition", limit),
    ruleOf("pairing", {
      ...pairing,
      value: typeof pairing.value === "string" ? pairing.value : JSON.stringify(pairing.value),
    }),
    ...(sections === undefined
      ? []
      : [
          ruleOf("sections", { ...sections, value: sections.value.sections }),
          ruleOf("order", { ...sections, value: sections.value.order }),
        ]),
    ...(queryScale === undefined
      ? []
      : [ruleOf("queryScale", { ...queryScale, value: JSON.stringify(queryScale.value) })]),
    ...[...places].map(([name, { value, path, source }]) =>
      ruleOf(`parameters.${name}`, { value, rule: path, ...(source === undefined ? {} : { source }) }),
    ),
  ];
  return Object.freeze({ layerType: label, request: Object.freeze(request), rules: Object.freeze(rules) });
}

/** A rule as data, lists cut short. */
export function ruleOf(name: string, { value, rule: why, source }: Explained<unknown>): RopeRule {
  const list = Array.isArray(value) && value.length <= 8 ? `[${value.map(show).join(",")}]` : show(value);
  const plain =
    typeof value === "object" && value !== null
      ? list
      : typeof value === "bigint"
        ? `${value}`
        : (value as string | number | boolean | null);
  return Object.freeze({ name, value: plain, rule: why, ...(source === undefined ? {} : { source }) });
}

function noRope(layerType: string | null, why: string, queryScale?: Explained<QueryScale>): LayerRopeRequest {
  const rules = [
    ruleOf("ropeType", { value: null, rule: why }),
    ...(queryScale === undefined
      ? []
      : [ruleOf("queryScale", { ...queryScale, value: JSON.stringify(queryScale.value) })]),
  ];
  return Object.freeze({
    layerType,
    request: null,
    ...(queryScale === undefined ? {} : { queryScale: queryScale.value }),
    rules: Object.freeze(rules),
  });
}

/** The ropes of the entries, and the keys of layers that have none. */
function byLayerType(
  requests: readonly LayerRopeRequest[],
  layers: Layers,
  bareScale: Explained<QueryScale> | undefined,
): ReadonlyMap<string | null, LayerRopeRequest> {
  const map = new Map(requests.map((request) => [request.layerType, request]));
  for (let layer = 0; layer < (layers.count ?? 0); layer++) {
    const label = layers.ropeOf(layer) ?? null;
    if (!map.has(label)) {
      map.set(label, noRope(label, "layers of this type have no rope", label === withoutRope ? bareScale : undefined));
    }
  }
  return map;
}

/** @throws RopeError `ROPE_CONFIG` for a layer that is not there, or that the file does not speak of. */
export function layerTypeOf(layer: number, { count, ropeOf }: Pick<Layers, "count" | "ropeOf">): string | null {
  if (!Number.isSafeInteger(layer) || layer < 0 || (count !== null && layer >= count)) {
    throw new RopeError("ROPE_CONFIG", {
      what: "the model has no such layer",
      expected: count === null ? "an integer ≥ 0" : `an integer from 0 to ${count - 1}`,
      received: show(layer),
    });
  }
  const label = ropeOf(layer);
  if (label !== undefined) return label;
  throw new RopeError("ROPE_CONFIG", {
    what: `the config does not tell of which type layer ${layer} is`,
    expected: "layer_types, or the key from which the family derives it",
    received: "neither",
    remedy: "Use byLayerType, or add layer_types to the config.",
  });
}

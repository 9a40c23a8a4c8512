/**
 * From facts to rope requests: plain data, with the rule behind each number. Only this file makes requests, for every
 * file format. It builds no rope and needs no provider.
 */

import { RopeError } from "@ropewalk/core";
import type { Pairing, QueryScale, RopeRule, UntypedRopeRequest } from "@ropewalk/core";
import { hasRope, isSameRope } from "./facts/fact.ts";
import type { Fact, LayerFacts, ModelFacts, RopeFacts } from "./facts/fact.ts";
import type { TowerPositions } from "./facts/tower.ts";
import { isObject, shown } from "./locate/found.ts";
import type { RequestOverrides } from "./options.ts";
import type { ConfigNote } from "./report.ts";

/** The rope of the layers with one label, as data. Frozen. */
export interface LayerRopeRequest {
  /** The label of these layers: their type, or `null` if all layers that have a rope share it. */
  readonly layerType: string | null;
  /** The request; `null` for layers without rope. Layers with equal facts share one request. */
  readonly request: UntypedRopeRequest | null;
  /** The second rope of these layers, that of their indexer; `indexerOf` says which of them have one. */
  readonly indexer?: UntypedRopeRequest;
  /** The query scale of layers without rope (Llama 4). Absent: none, or the request has it. */
  readonly queryScale?: QueryScale;
  /** What the positions of a tower are, which the caller makes. Absent: positions count tokens. */
  readonly positions?: TowerPositions;
  /**
   * The pairs in the published weights, where transformers permutes them on loading: with those weights as they are,
   * use this as `pairing`. Absent: those of the request.
   */
  readonly checkpointPairing?: Pairing;
  /** The reason for each number, with its place in the file. */
  readonly rules: readonly RopeRule[];
}

/** The rope requests of a file. Frozen. */
export interface RopeRequests {
  /** The `model_type` whose facts were used; for a GGUF file, the architecture. */
  readonly modelType: string | null;
  /**
   * Requests by the label of layers: a layer type; `null` if all layers that have a rope share it; `"no_rope"` for
   * layers that have no rope because of a list or an interval in the file; or a name for a group of layers that differ
   * only in numbers (`"theta 10000"`).
   */
  readonly byLayerType: ReadonlyMap<string | null, LayerRopeRequest>;
  /** The number of layers; `null` if the file does not state it. */
  readonly layerCount: number | null;
  /**
   * The key in `byLayerType` of a layer, counted from 0.
   *
   * @throws RopeError `ROPE_CONFIG` for a layer that the model does not have, or whose type the file does not state.
   */
  layerTypeOf(layer: number): string | null;
  /**
   * The second rope of a layer, counted from 0: that of its indexer; `null` if it has none.
   *
   * @throws RopeError `ROPE_CONFIG` as `layerTypeOf`.
   */
  indexerOf(layer: number): UntypedRopeRequest | null;
  readonly notes: readonly ConfigNote[];
}

/** The requests for all layers of a model. */
export function toRequests(model: ModelFacts, overrides: RequestOverrides): RopeRequests {
  // By their values, so that a model of many ropes takes time by their number and not by its square.
  const made = new Map<string, { readonly facts: RopeFacts; readonly request: UntypedRopeRequest }[]>();
  const requestOf = (facts: RopeFacts): UntypedRopeRequest => {
    const key = textOf(facts);
    const alike = made.get(key) ?? [];
    made.set(key, alike);
    const known = alike.find((other) => isSameRope(other.facts, facts));
    if (known !== undefined) return known.request;
    const request = toRequest(facts, overrides);
    alike.push({ facts, request });
    return request;
  };
  const byLayerType = new Map(
    Array.from(model.byLabel, ([label, facts]): [string | null, LayerRopeRequest] => {
      const { queryScale } = facts;
      const indexer = hasRope(facts) && facts.indexer !== undefined ? { indexer: requestOf(facts.indexer) } : {};
      const rope = hasRope(facts)
        ? { request: requestOf(facts), ...indexer, ...besideRequest(facts) }
        : { request: null, ...(queryScale === undefined ? {} : { queryScale: queryScale.value }) };
      const rules = rulesOf(hasRope(facts) ? withOverrides(facts, overrides) : facts, model.dialect);
      return [label, Object.freeze({ layerType: label, ...rope, rules: Object.freeze(rules) })];
    }),
  );
  return Object.freeze({
    modelType: model.modelType,
    byLayerType,
    layerCount: model.layerCount,
    layerTypeOf: (layer: number) => layerTypeOf(layer, model),
    indexerOf: (layer: number) => {
      const request = byLayerType.get(layerTypeOf(layer, model))?.indexer;
      return request !== undefined && model.hasIndexer?.(layer) === true ? request : null;
    },
    notes: Object.freeze([...model.notes]),
  });
}

/** A text that is the same for equal facts; different facts seldom have the same one. */
function textOf({ indexer: _, parameters, ...fields }: RopeFacts): string {
  const values = (of: Readonly<Record<string, Fact<unknown>>>): unknown[] =>
    Object.keys(of)
      .sort()
      .map((name) => [name, of[name]!.value]);
  try {
    return JSON.stringify([values(fields), values(parameters)]);
  } catch {
    // Not JSON: compared one by one.
    return "";
  }
}

/** Facts of a layer that no request holds. */
function besideRequest({
  checkpointPairing,
  positions,
}: RopeFacts): Pick<LayerRopeRequest, "checkpointPairing" | "positions"> {
  return {
    ...(positions === undefined ? {} : { positions: positions.value }),
    ...(checkpointPairing === undefined ? {} : { checkpointPairing: checkpointPairing.value }),
  };
}

/** The fields of a request that are facts of a layer, in the order of `rules`. */
const requestFields = [
  "headDim",
  "rotaryDim",
  "rotaryOffset",
  "base",
  "maxPosition",
  "pairing",
  "axes",
  "direction",
  "pairFactors",
  "fractionalPositions",
  "queryScale",
] as const satisfies readonly (keyof RopeFacts & keyof UntypedRopeRequest)[];

/**
 * The rope request that facts describe. Axes are always given as the axis of each pair, so equal ropes have equal
 * requests.
 */
export function toRequest(facts: RopeFacts, overrides: RequestOverrides): UntypedRopeRequest {
  const plainFacts = withOverrides(facts, overrides);
  const { checkpointPairing: _, indexer: __, parameters, positions: ___, ropeType, ...fields } = plainFacts;
  const plain = (of: Readonly<Record<string, Fact<unknown>>>): object =>
    Object.fromEntries(Object.entries(of).map(([name, { value }]) => [name, value]));
  const { precision } = overrides;
  return Object.freeze({
    ...(plain(fields) as Omit<UntypedRopeRequest, "parameters">),
    ...(precision === undefined ? {} : { precision }),
    parameters: Object.freeze({ ropeType: ropeType.value, ...plain(parameters) }),
  });
}

/** The caller's options override the file. */
function withOverrides(facts: RopeFacts, { maxPosition, pairing }: RequestOverrides): RopeFacts {
  const rule = "given by the caller";
  return {
    ...facts,
    ...(maxPosition === undefined ? {} : { maxPosition: { value: maxPosition, rule } }),
    ...(pairing === undefined ? {} : { pairing: { value: pairing, rule } }),
  };
}

function rulesOf(facts: LayerFacts, dialect: Fact<string>): RopeRule[] {
  if (!hasRope(facts)) {
    const { ropeType, queryScale } = facts;
    return [ruleOf("ropeType", ropeType), ...(queryScale === undefined ? [] : [ruleOf("queryScale", queryScale)])];
  }
  return [
    ruleOf("dialect", dialect),
    ruleOf("ropeType", facts.ropeType),
    ...[...requestFields, "positions", "checkpointPairing"].flatMap((name) => {
      const fact = facts[name as (typeof requestFields)[number]];
      return fact === undefined ? [] : [ruleOf(name, fact)];
    }),
    ...Object.entries(facts.parameters).map(([name, fact]) => ruleOf(`parameters.${name}`, fact)),
    ...indexerRules(facts),
  ];
}

/** The rules of an indexer's own fields. */
function indexerRules({ indexer }: RopeFacts): RopeRule[] {
  if (indexer === undefined) return [];
  return (["headDim", "rotaryDim", "rotaryOffset", "pairing"] as const).flatMap((name) =>
    indexer[name] === undefined ? [] : [ruleOf(`indexer.${name}`, indexer[name])],
  );
}

/** A rule as data. Long lists are shortened and objects become text. */
function ruleOf(name: string, { value, rule, source }: Fact<unknown>): RopeRule {
  return Object.freeze({ name, value: plainValue(value), rule, ...(source === undefined ? {} : { source }) });
}

function plainValue(value: unknown): RopeRule["value"] {
  if (value === null || typeof value === "number" || typeof value === "boolean" || typeof value === "string") {
    return value;
  }
  if (Array.isArray(value) && value.length > 8) return `a list of ${value.length}`;
  if (isPositions(value)) return `${value.axes.join(", ")}; ${value.counting}`;
  try {
    const text = JSON.stringify(value);
    return text.length > 200 ? shown(value) : text;
  } catch {
    return shown(value);
  }
}

const isPositions = (value: unknown): value is TowerPositions =>
  isObject(value) && Array.isArray(value["axes"]) && typeof value["counting"] === "string";

/** @throws RopeError `ROPE_CONFIG` for a layer that does not exist, or whose type the file does not state. */
function layerTypeOf(layer: number, { labelOf, layerCount }: ModelFacts): string | null {
  if (!Number.isSafeInteger(layer) || layer < 0 || (layerCount !== null && layer >= layerCount)) {
    throw new RopeError("ROPE_CONFIG", {
      what: "the model has no such layer",
      expected: layerCount === null ? "an integer ≥ 0" : `an integer from 0 to ${layerCount - 1}`,
      received: shown(layer),
    });
  }
  const label = labelOf(layer);
  if (label !== undefined) return label;
  throw new RopeError("ROPE_CONFIG", {
    what: `the config does not tell of which type layer ${layer} is`,
    expected: "layer_types, or the key from which the family derives it",
    received: "neither",
    remedy: "Use byLayerType, or add layer_types to the config.",
  });
}

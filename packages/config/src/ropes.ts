/**
 * The public functions: from a file to its ropes.
 *
 * A reader turns a file into facts, and facts become requests. Core's `getRope` makes a rope from each request.
 */

import { defaultRegistry, getRopeUntyped, RopeError } from "@ropewalk/core";
import type {
  Pairing,
  QueryScale,
  RopeIssue,
  RopeRegistry,
  RopeRule,
  RotaryEmbedding,
  UntypedRopeRequest,
} from "@ropewalk/core";
import { invalid, show } from "@ropewalk/core/backend";
import { ropeTypeFacts } from "./facts/rope-types.ts";
import type { TowerPositions } from "./facts/tower.ts";
import { listed } from "./locate/found.ts";
import { checkGgufOptions, checkOptions } from "./options.ts";
import type { ConfigOptions, GgufOptions } from "./options.ts";
import { readGguf } from "./read/gguf.ts";
import { readPart } from "./read/part.ts";
import { folded } from "./report.ts";
import type { ConfigNote } from "./report.ts";
import { toRequests } from "./request.ts";
import type { LayerRopeRequest, RopeRequests } from "./request.ts";

/** The ropes of a model. Frozen; ropes are immutable and shared. */
export interface ModelRopes {
  /**
   * The rope of each layer type; `null` for layers without rope. The key is `null` if all layers that have a rope share
   * it, and `"no_rope"` for layers that `no_rope_layers` excludes.
   */
  readonly byLayerType: ReadonlyMap<string | null, RotaryEmbedding | null>;
  /**
   * The rope of a layer, counted from 0; `null` if it has none.
   *
   * @throws RopeError `ROPE_CONFIG` for a layer that the model does not have, or whose type the file does not state.
   */
  forLayer(layer: number): RotaryEmbedding | null;
  /**
   * The second rope of a layer, counted from 0: that of the indexer that picks keys for sparse attention
   * (DeepSeek-V3.2, GLM-5). Its head has another size than the layer's. `null` if the layer has no indexer, or one
   * without rope.
   *
   * @throws RopeError `ROPE_CONFIG` as `forLayer`.
   */
  indexerOf(layer: number): RotaryEmbedding | null;
  /**
   * The query scale of a layer, by which the attention layer multiplies queries; `null` if it has none. For a layer
   * with a rope it is the scale of the rope, whose steps give it as numbers. Llama 4 has one in its layers without
   * rope.
   *
   * @throws RopeError `ROPE_CONFIG` as `forLayer`.
   */
  queryScaleOf(layer: number): QueryScale | null;
  /**
   * What the positions of a tower's layer are: the coordinate of each axis, and how patches are counted. The caller
   * makes them. `null` where positions count tokens, and for layers without rope.
   *
   * @throws RopeError `ROPE_CONFIG` as `forLayer`.
   */
  positionsOf(layer: number): TowerPositions | null;
  /**
   * The pairs in the published weights of a layer, where transformers permutes them on loading. With those weights as
   * they are, pass it as the option `pairing`. `null`: the rope's own pairing, or no rope.
   *
   * @throws RopeError `ROPE_CONFIG` as `forLayer`.
   */
  checkpointPairingOf(layer: number): Pairing | null;
  /**
   * Why each number of a layer type's rope was read: its place in the file, or the rule and its source.
   * `rope.explain()` has what the type computes from them.
   */
  readonly rules: ReadonlyMap<string | null, readonly RopeRule[]>;
  /** Remarks about the file: unused keys, implied numbers, old spellings, engines that differ. */
  readonly notes: readonly ConfigNote[];
}

/**
 * Reads the rope requests of a model's config.json: plain data, with the rule behind each number. Needs no provider.
 *
 * @param config the parsed JSON; only own keys are read, and it is never changed. Nothing of it is kept except lists of
 * parameters.
 * @param options overrides, and the dialect that is followed.
 * @returns frozen data; lengths in tokens, dimensions in elements of a head.
 * @throws RopeError `ROPE_CONFIG` with every contradiction and every missing value; `ROPE_INVALID_PARAMETERS` for an
 * unknown option, or an option without a usable value.
 * Source: configuration and modelling classes of Hugging Face transformers 5.24; the engines of `dialects`.
 * @example
 * const { byLayerType } = ropeRequestsFromConfig(JSON.parse(text));
 * byLayerType.get(null)?.request?.headDim; // 128
 */
export function ropeRequestsFromConfig(config: unknown, options: ConfigOptions = {}): RopeRequests {
  checkOptions(options);
  return toRequests(readPart(config, options), options);
}

/**
 * Builds the ropes that a model's config.json describes, in any spelling of Hugging Face transformers 4 and 5.
 *
 * Equal ropes are the same instance, for every spelling and however often a config is read. Numbers are read as in
 * transformers 5, or as in the engine of `options.dialect`. `notes` lists where engines differ and where a rule filled
 * in a number.
 *
 * @param config the parsed JSON; never changed.
 * @param options overrides, and the registry whose providers are used (default: the shared registry).
 * @returns ropes by layer type. They are immutable and shared with all callers.
 * @throws RopeError `ROPE_CONFIG` if the file states nothing usable or contradicts itself (with every issue);
 * `ROPE_UNKNOWN_TYPE` if the package of a type is not imported (`facts.package` names it); `ROPE_INVALID_PARAMETERS` if
 * the type refuses a number, or for an unknown option.
 * Source: configuration and modelling classes of Hugging Face transformers 5.24; the engines of `dialects`.
 * @example
 * import { ropesFromConfig } from "@ropewalk/config";
 * import "@ropewalk/default";
 * import "@ropewalk/yarn";
 *
 * const ropes = ropesFromConfig(JSON.parse(text));
 * ropes.forLayer(0)?.apply({ positions: { start: 0, count: 16 }, query, key });
 */
export function ropesFromConfig(config: unknown, options: ConfigOptions = {}): ModelRopes {
  checkOptions(options);
  const { registry = defaultRegistry } = options;
  return buildRopes(ropeRequestsFromConfig(config, { ...options, registry }), registry);
}

/**
 * Reads the rope requests of a GGUF file's header. The result is that of {@link ropeRequestsFromConfig}.
 *
 * @param metadata the key/values of the file (`general.architecture`, `llama.rope.freq_base`, …); numbers may be
 * bigints. Never changed.
 * @param options overrides, and the rope tensors of the file.
 * @throws RopeError as {@link ropeRequestsFromConfig}.
 *
 * Source: llama.cpp as of llama-cpp-python 0.3.36, `load_hparams`, `llama_context` and `ggml_rope_ext`.
 */
export function ropeRequestsFromGguf(metadata: unknown, options: GgufOptions = {}): RopeRequests {
  checkGgufOptions(options);
  return toRequests(readGguf(metadata, options), options);
}

/**
 * Builds the ropes that the header of a GGUF file describes, as llama.cpp rotates.
 *
 * @param metadata as for {@link ropeRequestsFromGguf}.
 * @param options overrides, the registry, and the rope tensors of the file.
 * @returns as {@link ropesFromConfig}.
 * @throws RopeError as {@link ropesFromConfig}.
 * Source: as {@link ropeRequestsFromGguf}.
 * @example
 * import { ropesFromGguf } from "@ropewalk/config";
 * import "@ropewalk/default";
 *
 * const ropes = ropesFromGguf({
 *   "general.architecture": "llama",
 *   "llama.context_length": 8192,
 *   "llama.embedding_length": 4096,
 *   "llama.attention.head_count": 32,
 *   "llama.rope.freq_base": 500000,
 * });
 * ropes.forLayer(0)?.pairing; // "adjacent"
 */
export function ropesFromGguf(metadata: unknown, options: GgufOptions = {}): ModelRopes {
  const requests = ropeRequestsFromGguf(metadata, options);
  return buildRopes(requests, options.registry ?? defaultRegistry);
}

/** Builds the ropes of a file; the same for every file format. */
function buildRopes(
  { byLayerType: requests, indexerOf, layerTypeOf, notes }: RopeRequests,
  registry: RopeRegistry,
): ModelRopes {
  const byLayerType = new Map<string | null, RotaryEmbedding | null>();
  const indexers = new Map<string | null, RotaryEmbedding>();
  // Layers with equal facts share a request, which is built once.
  const built = new Map<UntypedRopeRequest, RotaryEmbedding>();
  const build = (layer: LayerRopeRequest, request: UntypedRopeRequest): RotaryEmbedding => {
    const rope = built.get(request) ?? buildRope(layer, request, registry);
    built.set(request, rope);
    return rope;
  };
  const failures: RopeError[] = [];
  for (const [layerType, request] of requests) {
    try {
      byLayerType.set(layerType, request.request && build(request, request.request));
      if (request.indexer !== undefined) indexers.set(layerType, build(request, request.indexer));
    } catch (error) {
      if (!RopeError.is(error)) throw error;
      failures.push(error);
    }
  }
  if (failures.length > 0) throw combined(failures);
  const rules = new Map([...requests].map(([layerType, request]) => [layerType, request.rules]));
  const queryScaleOf = (layer: number): QueryScale | null => {
    const of = requests.get(layerTypeOf(layer));
    return of?.request?.queryScale ?? of?.queryScale ?? null;
  };
  return Object.freeze({
    byLayerType,
    rules,
    forLayer: (layer: number) => byLayerType.get(layerTypeOf(layer)) ?? null,
    indexerOf: (layer: number) => (indexerOf(layer) === null ? null : (indexers.get(layerTypeOf(layer)) ?? null)),
    queryScaleOf,
    positionsOf: (layer: number) => requests.get(layerTypeOf(layer))?.positions ?? null,
    checkpointPairingOf: (layer: number) => requests.get(layerTypeOf(layer))?.checkpointPairing ?? null,
    notes,
  });
}

function buildRope(
  { layerType, rules }: LayerRopeRequest,
  request: UntypedRopeRequest,
  registry: RopeRegistry,
): RotaryEmbedding {
  const { ropeType } = request.parameters;
  const which =
    layerType === null
      ? `the rope of type ${show(ropeType)}`
      : `the rope of ${listed([layerType])}, of type ${show(ropeType)},`;
  try {
    return getRopeUntyped(request, { registry });
  } catch (error) {
    if (!RopeError.is(error)) throw error;
    if (error.code === "ROPE_UNKNOWN_TYPE") throw unknownType(error, ropeType, layerType, registry);
    if (error.code !== "ROPE_INVALID_PARAMETERS") throw error;
    const issues = error.issues.length === 0 ? [withNumbers(error, rules)] : error.issues;
    throw invalid(which, folded(issues.map((issue) => withOrigin(issue, rules))), { ...error.facts, layerType });
  }
}

/** Core's error, completed with the package to import. Core does not know package names. */
function unknownType(error: RopeError, ropeType: string, layerType: string | null, registry: RopeRegistry): RopeError {
  const known = ropeTypeFacts(ropeType)?.package ?? null;
  const { nearest } = error.facts;
  const registered = registry.list().map(({ name }) => name);
  const elsewhere =
    typeof nearest === "string"
      ? `Did you mean ${JSON.stringify(nearest)}?`
      : "No package is known to provide it: check the spelling, or register a provider with registerRopeType.";
  return new RopeError("ROPE_UNKNOWN_TYPE", {
    what: `the rope type ${show(ropeType)}${layerType === null ? "" : ` of ${listed([layerType])}`} is not registered`,
    expected: registered.length === 0 ? "a registered type (none is registered)" : `one of ${registered.join(", ")}`,
    received: show(ropeType),
    remedy: known === null ? elsewhere : `Import the package that provides it: import ${JSON.stringify(known)};`,
    facts: { ...error.facts, ropeType, layerType, package: known },
  });
}

/**
 * Core's error about what a provider computed, as an issue. No single number is wrong then, so it lists the numbers of
 * the file.
 */
function withNumbers({ expected, message, received, remedy }: RopeError, rules: LayerRopeRequest["rules"]): RopeIssue {
  const numbers = rules.filter(({ name, value }) => typeof value === "number" && /^(base$|parameters\.)/.test(name));
  const stated = listed(
    numbers.map(({ name, rule, value }) => `${name.replace("parameters.", "")} ${value} (${rule})`),
  );
  return {
    path: "parameters",
    expected: expected ?? "numbers that this type can use",
    received: received ?? message,
    remedy: `${remedy === undefined ? "" : `${remedy} `}In the config: ${stated}.`,
  };
}

/** Adds the place in the file to an issue about a refused number. */
function withOrigin(issue: RopeIssue, rules: LayerRopeRequest["rules"]): RopeIssue {
  const origin = rules.find(({ name }) => name === issue.path)?.rule;
  if (origin === undefined) return issue;
  const remedy = issue.remedy === undefined ? "" : `${issue.remedy} `;
  return { ...issue, remedy: `${remedy}In the config: ${origin}.` };
}

/** An unknown type first, because nothing else helps without its package; else all issues together. */
function combined(failures: readonly RopeError[]): RopeError {
  const unknown = failures.find(({ code }) => code === "ROPE_UNKNOWN_TYPE");
  if (unknown !== undefined) return unknown;
  if (failures.length === 1) return failures[0]!;
  return new RopeError("ROPE_INVALID_PARAMETERS", {
    what: `${failures.length} ropes of this file are not valid`,
    issues: folded(failures.flatMap(({ issues }) => [...issues])),
  });
}

/**
 * The public functions: from a file to its ropes.
 *
 * A file is located, read into facts, and the facts become requests; core's `getRope` makes a rope of each.
 */

import { defaultRegistry, getRopeUntyped, RopeError } from "@ropewalk/core";
import type { QueryScale, RopeIssue, RopeRegistry, RopeRule, RotaryEmbedding } from "@ropewalk/core";
import { invalid } from "@ropewalk/core/backend";
import { ropeTypeFacts } from "./facts/rope-types.ts";
import { locate } from "./locate/text-model.ts";
import { checkGgufOptions, checkOptions } from "./options.ts";
import type { ConfigOptions, GgufOptions } from "./options.ts";
import { readGguf } from "./read/gguf.ts";
import { readConfig } from "./read/hf.ts";
import type { ConfigNote } from "./report.ts";
import { toRequests } from "./request.ts";
import type { LayerRopeRequest, RopeRequests } from "./request.ts";

/** The ropes of a model. */
export interface ModelRopes {
  /**
   * Each layer type's rope, `null` for layers without rope. The key is `null` where all layers that have a rope share
   * it; layers that `no_rope_layers` leaves out have the key `"no_rope"`.
   */
  readonly byLayerType: ReadonlyMap<string | null, RotaryEmbedding | null>;
  /**
   * The rope of a layer, counted from 0; `null` if it has none.
   * @throws RopeError `ROPE_CONFIG` for a layer that the model does not have, or whose type the file does not tell.
   */
  forLayer(layer: number): RotaryEmbedding | null;
  /**
   * The factor of a layer's queries, which the attention layer multiplies by; `null` if it has none. For layers with a rope it
   * is the rope's own, which its steps report as numbers; Llama 4 has one in its layers without rope.
   * @throws RopeError `ROPE_CONFIG` as `forLayer`.
   */
  queryScaleOf(layer: number): QueryScale | null;
  /**
   * Why each number of a layer type's rope was read as it was: the place in the file, or the rule that filled in and whose it
   * is. What the type then computes from them is in `rope.explain()`.
   */
  readonly rules: ReadonlyMap<string | null, readonly RopeRule[]>;
  /** What is worth knowing about the file: unused keys, implied numbers, old spellings, engines that differ. */
  readonly notes: readonly ConfigNote[];
}

/**
 * What a model's config.json asks for, as plain data with the rule behind each number; needs no provider.
 *
 * @param config the parsed JSON; never mutated, only own keys are read, and nothing of it is kept but lists of parameters.
 * @param options overrides of what the file says, and whose reading of it is followed.
 * @throws RopeError `ROPE_CONFIG` with every contradiction, or with what is missing; `ROPE_INVALID_PARAMETERS` for an
 * option that nothing reads or that has no usable value.
 */
export function ropeRequestsFromConfig(config: unknown, options: ConfigOptions = {}): RopeRequests {
  checkOptions(options);
  return toRequests(readConfig(locate(config, options)), options);
}

/**
 * The ropes that a model's config.json describes, in any spelling of Hugging Face transformers 4 and 5.
 *
 * Equal ropes are the same instance, whatever the spelling and however often a config is read. Numbers are read as
 * transformers 5 reads them, or as the engine of `options.dialect` does; where engines differ, or a rule had to fill in,
 * `notes` says so.
 *
 * @param config the parsed JSON; never mutated.
 * @param options overrides, and the registry whose providers are used (default: the shared one).
 * @throws RopeError `ROPE_CONFIG` when the file says nothing usable, or two things (with every issue);
 * `ROPE_UNKNOWN_TYPE` when the type's package is not imported (`facts.package` names it); `ROPE_INVALID_PARAMETERS` when
 * the type refuses a number, or nothing reads an option.
 *
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
 * What the header of a GGUF file asks for, as {@link ropeRequestsFromConfig} gives it.
 *
 * @param metadata the file's key/values (`general.architecture`, `llama.rope.freq_base`, …); numbers may be bigints. Never
 * mutated.
 * @param options overrides, and the file's tensors about rope.
 * @throws RopeError as {@link ropeRequestsFromConfig}.
 */
export function ropeRequestsFromGguf(metadata: unknown, options: GgufOptions = {}): RopeRequests {
  checkGgufOptions(options);
  return toRequests(readGguf(metadata, options), options);
}

/**
 * The ropes that the header of a GGUF file describes, as llama.cpp turns them.
 *
 * @param metadata as for {@link ropeRequestsFromGguf}.
 * @throws RopeError as {@link ropesFromConfig}.
 */
export function ropesFromGguf(metadata: unknown, options: GgufOptions = {}): ModelRopes {
  const requests = ropeRequestsFromGguf(metadata, options);
  return buildRopes(requests, options.registry ?? defaultRegistry);
}

/** Builds what was read; the same for every file format. */
function buildRopes({ byLayerType: requests, layerTypeOf, notes }: RopeRequests, registry: RopeRegistry): ModelRopes {
  const byLayerType = new Map<string | null, RotaryEmbedding | null>();
  const failures: RopeError[] = [];
  for (const [layerType, request] of requests) {
    try {
      byLayerType.set(layerType, build(request, registry));
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
    queryScaleOf,
    notes,
  });
}

function build({ request, layerType, rules }: LayerRopeRequest, registry: RopeRegistry): RotaryEmbedding | null {
  if (request === null) return null;
  const { ropeType } = request.parameters;
  const which =
    layerType === null
      ? `the rope of type ${JSON.stringify(ropeType)}`
      : `the rope of ${layerType}, of type ${JSON.stringify(ropeType)},`;
  try {
    return getRopeUntyped(request, { registry });
  } catch (error) {
    if (!RopeError.is(error)) throw error;
    if (error.code === "ROPE_UNKNOWN_TYPE") throw unknownType(error, ropeType, layerType, registry);
    if (error.code !== "ROPE_INVALID_PARAMETERS") throw error;
    const issues = error.issues.map((issue) => withOrigin(issue, rules));
    throw invalid(which, issues, { ...error.facts, layerType });
  }
}

/** Core's error with the package to import, which core cannot know. */
function unknownType(error: RopeError, ropeType: string, layerType: string | null, registry: RopeRegistry): RopeError {
  const known = ropeTypeFacts(ropeType)?.package ?? null;
  const { nearest } = error.facts;
  const registered = registry.list().map(({ name }) => name);
  const elsewhere =
    typeof nearest === "string"
      ? `Did you mean ${JSON.stringify(nearest)}?`
      : "No package is known to provide it: check the spelling, or register a provider with registerRopeType.";
  return new RopeError("ROPE_UNKNOWN_TYPE", {
    what: `the rope type ${JSON.stringify(ropeType)}${layerType === null ? "" : ` of ${layerType}`} is not registered`,
    expected: registered.length === 0 ? "a registered type (none is registered)" : `one of ${registered.join(", ")}`,
    received: JSON.stringify(ropeType),
    remedy: known === null ? elsewhere : `Import the package that provides it: import ${JSON.stringify(known)};`,
    facts: { ...error.facts, ropeType, layerType, package: known },
  });
}

/** Says where in the file a refused number stood. */
function withOrigin(issue: RopeIssue, rules: LayerRopeRequest["rules"]): RopeIssue {
  const origin = rules.find(({ name }) => name === issue.path)?.rule;
  if (origin === undefined) return issue;
  const remedy = issue.remedy === undefined ? "" : `${issue.remedy} `;
  return { ...issue, remedy: `${remedy}In the config: ${origin}.` };
}

/** An unknown type first, since nothing else helps without its package; else all issues together. */
function combined(failures: readonly RopeError[]): RopeError {
  const unknown = failures.find(({ code }) => code === "ROPE_UNKNOWN_TYPE");
  if (unknown !== undefined) return unknown;
  if (failures.length === 1) return failures[0]!;
  return new RopeError("ROPE_INVALID_PARAMETERS", {
    what: `${failures.length} ropes of this file are not valid`,
    issues: failures.flatMap(({ issues }) => [...issues]),
  });
}

/** From requests to ropes. */

import { defaultRegistry, getRopeUntyped, RopeError } from "@ropewalk/core";
import type { RopeIssue, RopeRegistry, RotaryEmbedding } from "@ropewalk/core";
import type { ConfigNote } from "./report.ts";
import { ropeRequestsFromConfig } from "./requests.ts";
import type { ConfigOptions, LayerRopeRequest } from "./requests.ts";
import { ropeTypeFacts } from "./rope-types.ts";

/** The ropes of a model. */
export interface ModelRopes {
  /**
   * Each layer type's rope, `null` for layers without rope. The key is `null` where all layers that have a rope share
   * it; layers that `no_rope_layers` leaves out have the key `"no_rope"`.
   */
  readonly byLayerType: ReadonlyMap<string | null, RotaryEmbedding | null>;
  /**
   * The rope of a layer, counted from 0; `null` if it has none.
   * @throws RopeError `ROPE_CONFIG` for a layer that the model does not have.
   */
  forLayer(layer: number): RotaryEmbedding | null;
  /** What is worth knowing about the file: unused keys, implied numbers, old spellings, engines that differ. */
  readonly notes: readonly ConfigNote[];
}

/**
 * The ropes that a model's config.json describes, in any spelling of Hugging Face transformers 4 and 5.
 *
 * Equal ropes are the same instance, whatever the spelling and however often the config is read.
 *
 * @param config the parsed JSON; never mutated.
 * @param options overrides, and the registry whose providers are used (default: the shared one).
 * @throws RopeError `ROPE_CONFIG` when the file says nothing usable, or two things (with every issue);
 * `ROPE_UNKNOWN_TYPE` when the type's package is not imported (`facts.package` names it); `ROPE_INVALID_PARAMETERS` when
 * the type refuses a number.
 *
 * @example
 * import { ropesFromConfig } from "@ropewalk/config";
 * import "@ropewalk/default";
 * import "@ropewalk/yarn";
 *
 * const ropes = ropesFromConfig(JSON.parse(text));
 * ropes.forLayer(0)?.apply({ positions, query, key });
 */
export function ropesFromConfig(config: unknown, options: ConfigOptions = {}): ModelRopes {
  const { registry = defaultRegistry } = options;
  const { byLayerType: requests, layerTypeOf, notes } = ropeRequestsFromConfig(config, { ...options, registry });
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
  if (failures.length > 0) throw worst(failures);
  return Object.freeze({ byLayerType, forLayer: (layer: number) => byLayerType.get(layerTypeOf(layer)) ?? null, notes });
}

function build({ request, layerType, paths }: LayerRopeRequest, registry: RopeRegistry): RotaryEmbedding | null {
  if (request === null) return null;
  const where = layerType === null ? "" : ` of ${layerType}`;
  try {
    return getRopeUntyped(request, { registry });
  } catch (error) {
    if (!RopeError.is(error)) throw error;
    if (error.code === "ROPE_UNKNOWN_TYPE") throw unknownType(error, request.parameters.ropeType, where, registry);
    if (error.code !== "ROPE_INVALID_PARAMETERS") throw error;
    const issues = error.issues.map((issue) => inTheWordsOfTheFile(issue, paths));
    throw new RopeError(error.code, { what: `the rope${where}, of type ${JSON.stringify(request.parameters.ropeType)}, has ${issues.length === 1 ? "1 issue" : `${issues.length} issues`}`, issues, facts: error.facts });
  }
}

function unknownType(error: RopeError, ropeType: string, where: string, registry: RopeRegistry): RopeError {
  const known = ropeTypeFacts(ropeType)?.package;
  const registered = registry.list().map(({ name }) => name);
  return new RopeError("ROPE_UNKNOWN_TYPE", {
    what: `the rope type ${JSON.stringify(ropeType)}${where} is not registered`,
    expected: registered.length === 0 ? "a registered type (none is registered)" : `one of ${registered.join(", ")}`,
    got: JSON.stringify(ropeType),
    remedy: known === undefined ? "No package is known to provide it: check the spelling, or register a provider with registerRopeType." : `Import the package that provides it: import ${JSON.stringify(known)}.`,
    facts: { ...error.facts, ropeType, package: known ?? null },
  });
}

/** `parameters.factor` → `rope_scaling.factor`, where the file has it. */
function inTheWordsOfTheFile(issue: RopeIssue, paths: ReadonlyMap<string, string>): RopeIssue {
  const name = issue.path.replace(/^parameters\./, "");
  return { ...issue, path: paths.get(name) ?? issue.path };
}

/** An unknown type first, since nothing helps without its package; else all issues together. */
function worst(failures: readonly RopeError[]): RopeError {
  const [first, ...others] = failures;
  const unknown = failures.find(({ code }) => code === "ROPE_UNKNOWN_TYPE");
  if (unknown !== undefined) return unknown;
  if (others.length === 0) return first!;
  return new RopeError("ROPE_INVALID_PARAMETERS", { what: `${failures.length} ropes of this config are not valid`, issues: failures.flatMap(({ issues }) => [...issues]) });
}

/**
 * Plans `ropewalk permute`: decides on every tensor of every attention, and refuses the model if it cannot.
 *
 * A query that moves without its key, or a key without its norm, gives other attention and no error. So every tensor of
 * an attention is known to move, known to stay, or refused by its name; and every layer with a rope has to have both
 * queries and keys.
 */

import type { FusedOrder, ModelRopes, ProjectionShape, RopeRequests, RotaryEmbedding } from "../../index.ts";
import { CliFailure } from "../failure.ts";
import { layoutOf } from "./layout.ts";
import type { Layout } from "./layout.ts";
import {
  attendsElsewhere,
  attentionOf,
  isBesideAttention,
  isDrafting,
  isTower,
  meaningByPattern,
  meaningOf,
  parseName,
} from "./names.ts";
import type { Meaning, Naming, Role, TensorName } from "./names.ts";
import type { SourceTensor } from "./source.ts";

export interface PlanOptions {
  readonly queryPattern?: string;
  readonly keyPattern?: string;
  readonly fusedPattern?: string;
  readonly leavePattern?: string;
  readonly fused?: FusedOrder;
}

/** What a config or a GGUF header says of a model. */
export interface ModelShape {
  readonly ropes: ModelRopes;
  readonly layerCount: RopeRequests["layerCount"];
  readonly projections: ProjectionShape;
}

/** A tensor whose rows are permuted. */
export interface PlannedTensor extends Layout {
  readonly tensor: SourceTensor;
}

export interface Plan {
  /** The tensors to permute, in the order of files and bytes. */
  readonly moves: readonly PlannedTensor[];
  /** Query and key projections of layers that have no rope. */
  readonly withoutRope: number;
  /** Tensors of indexers whose pairs are not those of the attention. They stay. */
  readonly otherIndexer: number;
  /** The pairing of the published files of the config's family. */
  readonly published: RotaryEmbedding["pairing"];
}

/** A tensor with what its name says. */
interface Named extends TensorName, Meaning {
  readonly tensor: SourceTensor;
  /** The path of its attention in its layer; `undefined` outside of attention. */
  readonly attention: string | undefined;
}

/** @throws CliFailure if a tensor is not recognised, cannot be permuted correctly, or if none would be permuted. */
export function planPermutation(
  tensors: readonly SourceTensor[],
  naming: Naming,
  path: string,
  model: ModelShape,
  options: PlanOptions,
): Plan {
  const named = nameAll(tensors, naming, options);
  const movable = named.filter(({ role }) => isProjection(role));
  if (movable.length === 0) {
    const unknown = named.find(({ isUnknownPart }) => isUnknownPart);
    if (unknown !== undefined) throw unrecognised(unknown);
    throw new CliFailure(
      "USAGE",
      `nothing in ${path} looks like a query or key projection of a layer with rope; say which tensors are with --query-pattern and --key-pattern (regular expressions).`,
    );
  }
  const stack = mainStack(movable, path);
  const moves: PlannedTensor[] = [];
  const pairings = new Map<string, RotaryEmbedding["pairing"]>();
  const layers = new Map<number | null, Named[]>();
  let withoutRope = 0;
  let otherIndexer = 0;

  for (const one of named) {
    const { attention, layer, role, tensor } = one;
    if (one.stack !== stack && !isDrafting(one)) {
      if (role === "unknown" && !isBesideAttention(one) && !isOneNumber(tensor)) throw unrecognised(one);
      continue;
    }
    const rope = ropeOf(one, stack, model);
    if (rope === null) {
      if (isProjection(role)) withoutRope++;
      continue;
    }
    if (one.stack === stack) add(layers, layer, one);
    if (attention !== undefined && attendsElsewhere(attention)) continue;
    if (role === "unknown") {
      if ((attention === undefined && isBesideAttention(one)) || isOneNumber(tensor)) continue;
      throw unrecognised(one);
    }
    if (role === "left" || role === "value" || one.lie === "none") continue;
    const main = rope.attention;
    const pairing = rope.published;
    pairings.set(JSON.stringify(pairing), pairing);
    const isIndexer = role.startsWith("indexer");
    if (isIndexer && rope.indexer !== null && JSON.stringify(rope.indexer.pairing) !== JSON.stringify(main.pairing)) {
      otherIndexer++;
      continue;
    }
    const { projections } = model;
    const layout = layoutOf(tensor, role, one.lie, {
      rope: main,
      indexer: rope.indexer,
      projections,
      fused: options.fused,
    });
    if (layout !== undefined) moves.push({ ...layout, tensor });
  }
  checkComplete(layers, path, model);
  const [published, other] = pairings.values();
  if (other !== undefined) {
    throw new CliFailure(
      "FILE_FORMAT",
      `the layers of ${path} pair elements in two ways, ${[...pairings.keys()].join(" and ")}: one permutation cannot be right for all.`,
    );
  }
  moves.sort((a, b) => a.tensor.file - b.tensor.file || a.tensor.start - b.tensor.start);
  if (published === undefined || moves.length === 0) {
    throw new CliFailure("USAGE", `no layer of ${path} with queries and keys has a rope: there is nothing to permute.`);
  }
  return { moves, withoutRope, otherIndexer, published };
}

/** One number says nothing about elements: it is a scale of a whole tensor. */
const isOneNumber = ({ shape }: SourceTensor): boolean => shape.every((size) => size === 1);

const isProjection = (role: Role): boolean => role === "query" || role === "key" || role === "fused";

/** The meaning of each tensor: by the patterns of the user, else by the table. */
function nameAll(tensors: readonly SourceTensor[], naming: Naming, options: PlanOptions): Named[] {
  const patterns = [
    { option: "--query-pattern", role: "query", text: options.queryPattern },
    { option: "--key-pattern", role: "key", text: options.keyPattern },
    { option: "--fused-pattern", role: "fused", text: options.fusedPattern },
    { option: "--leave-pattern", role: "left", text: options.leavePattern },
  ].flatMap(({ option, role, text }) => {
    if (text === undefined) return [];
    return [
      { option, role: role as "query" | "key" | "fused" | "left", expression: expression(option, text), used: false },
    ];
  });
  const named = tensors.flatMap((tensor): Named[] => {
    const name = parseName(tensor.name);
    const fitting = patterns.filter((pattern) => pattern.expression.test(tensor.name));
    for (const pattern of fitting) pattern.used = true;
    const [pattern, other] = fitting;
    if (other !== undefined) {
      throw new CliFailure("USAGE", `${tensor.name} fits ${pattern!.option} and ${other.option}: say one of them.`);
    }
    if (pattern?.role === "left") return [];
    if (pattern !== undefined) {
      const { module, ...meaning } = meaningByPattern(normRole(pattern.role, name), name);
      return [{ ...name, ...meaning, tensor, attention: module.slice(0, -1).join(".") }];
    }
    // Towers have ropes of their own.
    if (isTower(name)) return [];
    return [{ ...name, role: "unknown", lie: "none", adapter: false, tensor, attention: undefined }];
  });
  const unused = patterns.find(({ used }) => !used);
  if (unused !== undefined) {
    throw new CliFailure("USAGE", `${unused.option} fits no tensor; leave it out, or correct it.`);
  }
  // Which modules are attentions shows only when all names were seen.
  const attentions = new Set<string>();
  const keyOf = ({ stack, layer }: TensorName, attention: string): string => JSON.stringify([stack, layer, attention]);
  for (const one of named) {
    const attention = one.attention ?? attentionOf(one, naming);
    if (attention !== undefined) attentions.add(keyOf(one, attention));
  }
  return named.map((one) => {
    if (one.role !== "unknown") return one;
    const { inside } = one;
    for (let length = 0; length < inside.length; length++) {
      const attention = inside.slice(0, length).join(".");
      if (attentions.has(keyOf(one, attention))) {
        return { ...one, ...meaningOf(inside.slice(length), naming), attention };
      }
    }
    return { ...one, adapter: inside.some((word) => word.startsWith("lora_")) };
  });
}

/** A pattern may fit norms too, which have elements where projections have rows. */
const normRole = (role: "query" | "key" | "fused", { name }: TensorName): Role =>
  /norm/i.test(name) && role !== "fused" ? `${role}-norm` : role;

function expression(option: string, text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new CliFailure("USAGE", `${option} is no regular expression: ${(error as Error).message}.`);
  }
}

/** The stack of layers whose rope the config describes. */
function mainStack(movable: readonly Named[], path: string): string {
  const isCross = ({ attention }: Named): boolean => attention !== undefined && attendsElsewhere(attention);
  const own = movable.filter((one) => !isDrafting(one) && !isCross(one));
  const found = new Map((own.length > 0 ? own : movable).map((one) => [one.layer === null ? "" : one.stack, one]));
  const [first, second] = found.values();
  if (second === undefined) return first!.layer === null ? "" : first!.stack;
  throw new CliFailure(
    "FILE_FORMAT",
    `${path} has attentions in several places, such as ${first!.name} and ${second.name}; the config describes the ropes of one. Leave the others with --leave-pattern (a regular expression of tensor names).`,
  );
}

interface LayerRope {
  readonly attention: RotaryEmbedding;
  readonly indexer: RotaryEmbedding | null;
  readonly published: RotaryEmbedding["pairing"];
}

/** The rope of a tensor's layer; `null` for a layer without rope. */
function ropeOf(name: Named, stack: string, { layerCount, ropes }: ModelShape): LayerRope | null {
  const { layer } = name;
  const labels = [...ropes.byLayerType.values()];
  const isOwn = name.stack === stack && layer !== null && (layerCount === null || layer < layerCount);
  if (isOwn) {
    const attention = ropes.forLayer(layer);
    return (
      attention && {
        attention,
        indexer: ropes.indexerOf(layer),
        published: ropes.checkpointPairingOf(layer) ?? attention.pairing,
      }
    );
  }
  // Layers that draft tokens come after the model's own, and are not in its lists.
  const distinct = new Set(labels.filter((rope) => rope !== null));
  const [attention] = distinct;
  if (attention === undefined) return null;
  if (distinct.size > 1) {
    if (name.role === "unknown" && name.attention === undefined && isBesideAttention(name)) return null;
    throw new CliFailure(
      "FILE_FORMAT",
      `${name.tensor.path} holds ${name.name}, and the config has several ropes: expected a name with layers.<number> of the model's own layers, to know which is meant. Say --leave-pattern to leave it.`,
    );
  }
  const like = Array.from({ length: layerCount ?? 0 }, (_, i) => i).find((i) => ropes.forLayer(i) === attention);
  return {
    attention,
    indexer: like === undefined ? null : ropes.indexerOf(like),
    published: (like === undefined ? null : ropes.checkpointPairingOf(like)) ?? attention.pairing,
  };
}

function unrecognised({ isUnknownPart, name, tensor: { path } }: Named): CliFailure {
  return new CliFailure(
    "FILE_FORMAT",
    isUnknownPart === true
      ? `${path} holds ${name}: a part of a projection that is not known. If it is quantised, blocks or scales may span rows: permute before quantising. If it is not of the output rows, say --leave-pattern.`
      : `${path} holds ${name}, which is not recognised: if it belongs to queries or keys, the attention would be wrong without it. Say what it is with --query-pattern or --key-pattern, or leave it with --leave-pattern.`,
  );
}

/** Every layer with a rope has queries and keys, and keys are not used as values. */
function checkComplete(
  layers: ReadonlyMap<number | null, readonly Named[]>,
  path: string,
  { layerCount, projections, ropes }: ModelShape,
): void {
  const all = [...layers.values()].flat();
  // The file of an adapter has what was trained.
  if (all.every(({ adapter }) => adapter)) {
    const key = all.find(({ role }) => role === "key");
    if (key !== undefined && projections.keysAsValues?.value === true) {
      throw new CliFailure(
        "FILE_FORMAT",
        `${path} holds ${key.name}, but by ${projections.keysAsValues.rule} keys serve as values, which a permutation would change.`,
      );
    }
    return;
  }
  const makesValues = all.some(({ adapter, role }) => role === "value" && !adapter);
  const sharing = projections.sharedKeyLayers?.value ?? 0;
  for (const [layer, own] of layers) {
    if (layer === null) {
      // Names without understood numbers of layers: each attention has to be complete.
      for (const [attention, ofOne] of byAttention(own)) {
        checkAttention(ofOne, attention === "" ? path : `${attention} of ${path}`, { makesValues, sharesKeys: false });
      }
      continue;
    }
    const sharesKeys = layerCount !== null && layer >= layerCount - sharing;
    checkAttention(own, `layer ${layer} of ${path}`, { makesValues, sharesKeys });
  }
  if (layerCount === null || layers.has(null)) return;
  for (let layer = 0; layer < layerCount; layer++) {
    if (!layers.has(layer) && ropes.forLayer(layer) !== null) {
      throw new CliFailure(
        "FILE_FORMAT",
        `${path} has no tensor of layer ${layer}, which has a rope by the config. If the model lies in several files, give their index (*.safetensors.index.json).`,
      );
    }
  }
}

/** Adds to a list of a map. In place, because a hostile file may have all its tensors in one layer. */
function add<K>(lists: Map<K, Named[]>, key: K, one: Named): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [one]);
  else list.push(one);
}

function byAttention(own: readonly Named[]): ReadonlyMap<string, readonly Named[]> {
  const found = new Map<string, Named[]>();
  for (const one of own) {
    const { attention } = one;
    if (attention === undefined || attendsElsewhere(attention)) continue;
    add(found, attention, one);
  }
  return found;
}

interface Expected {
  /** The file has projections of values. */
  readonly makesValues: boolean;
  /** The keys of another layer are used. */
  readonly sharesKeys: boolean;
}

function checkAttention(own: readonly Named[], where: string, { makesValues, sharesKeys }: Expected): void {
  // A bias alone is no projection.
  const has = (...roles: readonly Role[]): boolean =>
    own.some(({ adapter, lie, role }) => !adapter && roles.includes(role) && (lie === "rows" || role === "value"));
  const missing = !has("query", "fused") ? "query" : !has("key", "fused") && !sharesKeys ? "key" : undefined;
  if (missing !== undefined) {
    throw new CliFailure(
      "FILE_FORMAT",
      `${where} has a rope, but no ${missing} projection was recognised among ${sample(own)}: name it with --${missing}-pattern. If the model lies in several files, give their index (*.safetensors.index.json).`,
    );
  }
  if (makesValues && has("key") && !has("value", "fused")) {
    throw new CliFailure(
      "FILE_FORMAT",
      `${where} has no value projection, and other layers have one: its keys may serve as values, which a permutation would change (${sample(own)}).`,
    );
  }
}

/** Names to show: those of attentions, if there are any. */
const sample = (own: readonly Named[]): string => {
  const inside = own.filter(({ attention }) => attention !== undefined);
  const names = (inside.length > 0 ? inside : own).map(({ name }) => name);
  return names.length > 6 ? `${names.slice(0, 6).join(", ")}, … (${names.length})` : names.join(", ");
};

/** Compares the ropes that ropewalk reads from a file with what the engine's class did when it was run. */

import { getRope, RopeError, ropesFromConfig } from "ropewalk";
import type { ConfigOptions, DialectName, ModelRopes, Pairing, QueryScale, RotaryEmbedding } from "ropewalk";
import { differsInMlx, refused } from "./refused.ts";
import { readCensus } from "./results.ts";
import type { Census, MeasuredModel, MeasuredRope, Measurement, Variant } from "./results.ts";

/** What came of one file. */
export interface Outcome {
  readonly engine: string;
  readonly modelType: string;
  /** `full`, `saved`, or the name of a variant. */
  readonly file: string;
  readonly result: "equal" | "no rope" | "refused" | "differs with reason" | "different" | "not probed";
  /** The first difference, or the reason. */
  readonly why: string;
}

/** The outcomes of every model of an engine's census. */
export function compareAll(census: Census = readCensus("transformers")): Outcome[] {
  const outcomes = Object.entries(census.models)
    .flatMap(([name, model]) => compareModel(name, model, census))
    .map(judged);
  const known = new Set(
    outcomes.flatMap(({ file, modelType, result }) =>
      result === "refused" || result === "differs with reason" ? [modelType, `${modelType} (${file})`] : [],
    ),
  );
  const { engine } = census.source;
  const stale = Object.keys(reasonsOf(engine)).filter((name) => !known.has(name));
  const why = `it is listed as ${engine === mlx ? "different" : "refused"}, and is not`;
  return [
    ...outcomes,
    ...stale.map((modelType): Outcome => ({ engine, modelType, file: "full", result: "different", why })),
  ];
}

/**
 * A refusal without a reason in the list is a difference. A difference of which a warning speaks is not silent, if it
 * is in the list. Classes of mlx-lm may differ from transformers', if they are in the list.
 */
function judged(outcome: Outcome): Outcome {
  const { engine, result, why } = outcome;
  if (reasonFor(outcome) !== undefined) {
    if (engine === mlx) return result === "different" ? { ...outcome, result: "differs with reason" } : outcome;
    return why.endsWith(warned) ? { ...outcome, result: "refused" } : outcome;
  }
  if (result !== "refused") return outcome;
  return { ...outcome, result: "different", why: `refused, and not in the list of refusals: ${why}` };
}

const mlx = "mlx-lm";

const reasonsOf = (engine: string): Readonly<Record<string, string>> => (engine === mlx ? differsInMlx : refused);

/** The end of a difference of which a warning speaks. */
const warned = " (with a warning)";

/** Why a file may be refused, or differ. */
export const reasonFor = ({ engine, file, modelType }: Outcome): string | undefined =>
  reasonsOf(engine)[modelType] ?? reasonsOf(engine)[`${modelType} (${file})`];

/** Weights that a class multiplies into its frequencies; a fresh model has zeros there, as the census found it. */
const zeros: ConfigOptions = { weights: { "lerope.alpha": new Float32Array(32) } };

/** The dialect that reads files as an engine does. Absent: the default, transformers'. */
const dialectOf: Readonly<Record<string, DialectName>> = { [mlx]: "mlx" };

/**
 * Measured frequencies come from float32 rotations at several positions: a part in 10^6. A frequency below 1e-7 turns
 * too little to be measured well.
 */
const relativeError = 1e-5;
const absoluteError = 3e-8;

/** One outcome for each file of a model. */
export function compareModel(modelType: string, model: MeasuredModel, census: Census): Outcome[] {
  const { engine } = census.source;
  const outcomes: Outcome[] = [];
  const add = (file: string, measured: Measurement, config: Readonly<Record<string, unknown>>): void => {
    const isNormed = normAfterRope.includes(modelType);
    outcomes.push({ engine, modelType, file, ...compareFile(config, measured, census, isNormed) });
  };
  if (model.status === "notProbed") {
    return [{ engine, modelType, file: "full", result: "not probed", why: model.reason ?? "" }];
  }
  if (model.full !== undefined) add("full", oneAxis(model), model.full);
  if (model.saved !== undefined) add("saved", oneAxis(model), model.saved);
  for (const [name, variant] of Object.entries(model.variants ?? {})) {
    // What the engine does not take has no right answer.
    const measured = variant.same === true ? model : (variant as Measurement);
    if (measured.status === undefined || measured.status === "notProbed") continue;
    add(name, measured, variantOf(model, variant));
  }
  return outcomes;
}

/** A rope of the class's own file for which no axes were found has one. Variants were run along one axis only. */
function oneAxis(model: MeasuredModel): Measurement {
  const zeros = (rope: MeasuredRope): number[] => new Array<number>(rope.rotaryDim / 2).fill(0);
  const ropes = model.ropes?.map((rope) =>
    rope.axes === undefined && rope.rotaryDim !== undefined && rope.indexer !== true
      ? { ...rope, axes: zeros(rope) }
      : rope,
  );
  return ropes === undefined ? model : { ...model, ropes };
}

/** A file with keys taken away and others put over it, in the text model where the file has one. */
function variantOf({ full, saved }: MeasuredModel, { set, unset = [] }: Variant): Readonly<Record<string, unknown>> {
  const whole = saved ?? full ?? {};
  const text = whole["text_config"];
  const change = (file: Readonly<Record<string, unknown>>): Record<string, unknown> => ({
    ...Object.fromEntries(Object.entries(file).filter(([key]) => !unset.includes(key))),
    ...set,
  });
  return isObject(text) && !Object.hasOwn(set, "text_config") ? { ...whole, text_config: change(text) } : change(whole);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

type Comparison = Pick<Outcome, "result" | "why">;

function compareFile(
  config: Readonly<Record<string, unknown>>,
  measured: Measurement,
  census: Census,
  isNormed: boolean,
): Comparison {
  let ropes: ModelRopes;
  try {
    const learned = JSON.stringify(config).includes("mistral_large4") ? zeros : {};
    ropes = ropesFromConfig(config, { ...learned, dialect: dialectOf[census.source.engine] });
  } catch (error) {
    if (!RopeError.is(error)) throw error;
    const why = error.issues[0] === undefined ? error.message : issueText(error);
    return { result: "refused", why };
  }
  const layers = measured.layers ?? [];
  const difference =
    measured.status === "rotates"
      ? compareLayers(layers, measured, ropes, census, blocksWithAttention(config, layers.length), isNormed)
      : compareNone(layers.length, ropes);
  const said = ropes.notes.some(({ severity }) => severity === "warning");
  if (difference !== undefined) return { result: "different", why: `${difference}${said ? warned : ""}` };
  return { result: measured.status === "rotates" ? "equal" : "no rope", why: "" };
}

function issueText({ issues }: RopeError): string {
  const [{ path, expected, received }] = issues as unknown as [(typeof issues)[number]];
  return `${path}: expected ${expected}, got ${received}`;
}

function compareNone(count: number, ropes: ModelRopes): string | undefined {
  for (let layer = 0; layer < Math.max(count, 1); layer++) {
    if (ropes.forLayer(layer) !== null) return `layer ${layer}: a rope, and the class does not rotate`;
  }
  return undefined;
}

function compareLayers(
  layers: readonly (number | null)[],
  measured: Measurement,
  ropes: ModelRopes,
  census: Census,
  blocks: readonly number[],
  isNormed: boolean,
): string | undefined {
  for (const [position, index] of layers.entries()) {
    const layer = blocks[position] ?? position;
    const difference = compareLayer(index, layer, measured, ropes, census, isNormed);
    if (difference !== undefined) return `layer ${layer}: ${difference}`;
    if (measured.indexers === undefined) continue;
    const own = measured.indexers[position] ?? null;
    const ofIndexer = compareRope(own, ropes.indexerOf(layer), measured, census);
    if (ofIndexer !== undefined) return `indexer of layer ${layer}: ${ofIndexer}`;
  }
  return undefined;
}

/**
 * The numbers of a file's layers for the attentions that were measured. Dory counts its MLP blocks as layers, and the
 * census found attentions only.
 */
function blocksWithAttention(config: Readonly<Record<string, unknown>>, attentions: number): number[] {
  const types = config["layer_types"];
  if (!Array.isArray(types) || types.length === attentions) return [];
  return types.flatMap((type, layer) => (type === "mlp" ? [] : [layer]));
}

/** Layers without rope may multiply their queries by a factor of the position. */
function compareLayer(
  index: number | null,
  layer: number,
  measured: Measurement,
  ropes: ModelRopes,
  census: Census,
  isNormed: boolean,
): string | undefined {
  const engine = index === null ? undefined : measured.ropes![index]!;
  if (engine === undefined || engine.rotaryDim !== undefined) {
    const rope = ropes.forLayer(layer);
    const difference = compareRope(index, rope, measured, census, ropes.positionsOf(layer)?.axes);
    return difference ?? (rope === null || engine === undefined ? undefined : compareFactors(rope, engine, isNormed));
  }
  if (ropes.forLayer(layer) !== null) return "a rope, and the class does not rotate";
  // A warning says it where no rule does it.
  if (ropes.notes.some(({ message, severity }) => severity === "warning" && message.startsWith("Queries"))) {
    return undefined;
  }
  return compareScale(engine, scaleAt(ropes.queryScaleOf(layer)));
}

function compareRope(
  index: number | null,
  rope: RotaryEmbedding | null,
  { ropes = [] }: Measurement,
  { frequencies }: Census,
  names?: readonly string[],
): string | undefined {
  if (index === null || rope === null) {
    if (index === null && rope === null) return undefined;
    return rope === null ? "no rope, and the class rotates" : "a rope, and the class does not rotate";
  }
  const engine = ropes[index]!;
  const theirs = pairsOfEngine(engine, frequencies[engine.frequencies]!);
  const isSlice = rope.headDim < engine.headDim && rope.headDim === engine.rotaryDim;
  if (!isSlice && rope.headDim !== engine.headDim) {
    return `a head of ${rope.headDim} elements instead of ${engine.headDim}`;
  }
  const ours = pairsOfRope(rope, isSlice ? engine.rotaryOffset : 0, names);
  if (ours.length !== theirs.length) return `${2 * ours.length} rotated elements instead of ${2 * theirs.length}`;
  for (const [i, pair] of theirs.entries()) {
    // Normalised coordinates have a unit of their own along each axis: the census counted patches.
    const first = theirs.findIndex(({ axis }) => axis === pair.axis);
    const unit = rope.spec.fractionalPositions ? theirs[first]!.frequency / ours[first]!.frequency : 1;
    const mine = { ...ours[i]!, frequency: unit * ours[i]!.frequency };
    if (mine.first !== pair.first || mine.second !== pair.second) {
      return `element ${mine.first} is paired with ${mine.second}, and element ${pair.first} with ${pair.second} in the class`;
    }
    if (pair.axis !== undefined && mine.axis !== pair.axis) {
      return `pair ${i} follows axis ${mine.axis} instead of ${pair.axis}`;
    }
    if (Math.sign(mine.frequency) !== Math.sign(pair.frequency)) return `pair ${i} turns the other way`;
    if (Math.abs(mine.frequency - pair.frequency) > relativeError * Math.abs(pair.frequency) + absoluteError) {
      return `pair ${i} has frequency ${mine.frequency} instead of ${pair.frequency}`;
    }
  }
  return undefined;
}

/** Classes that normalise queries and keys after the rotation: the norm takes the amplitude away again. */
const normAfterRope: readonly string[] = [
  "hunyuan_v1_dense",
  "hunyuan_v1_moe",
  "hunyuan_vl_text",
  "llama4_text",
  "nanochat",
];

/** Amplitude and query scale. Those of indexers were not measured. */
function compareFactors(rope: RotaryEmbedding, engine: MeasuredRope, isNormed: boolean): string | undefined {
  const { attentionFactor } = rope.frequencies(shortLength);
  const { attentionFactor: measured = isNormed ? attentionFactor : 1 } = engine;
  if (Math.abs(attentionFactor - measured) > 1e-5 * measured) {
    return `amplitude ${attentionFactor} instead of ${measured}`;
  }
  return compareScale(engine, scaleAt(rope.spec.queryScale));
}

/** Frequencies that depend on the length were measured in short texts. */
const shortLength = 64;

/** The factor of queries at a position, by a rule that is reported and not applied. */
function scaleAt(scale: QueryScale | null): (position: number) => number {
  if (scale === null) return () => 1;
  const rope = getRope({ headDim: 2, queryScale: scale, parameters: { ropeType: "default" } });
  return (position) => rope.at([position]).queryScale![0]!;
}

function compareScale({ queryScale }: MeasuredRope, scaleOf: (position: number) => number): string | undefined {
  for (const [position, factor] of Object.entries(queryScale ?? {})) {
    // Measured against position 0.
    const ours = scaleOf(Number(position)) / scaleOf(0);
    if (Math.abs(ours - factor) > 1e-4 * factor) {
      return `queries at position ${position} are multiplied by ${ours} instead of ${factor}`;
    }
  }
  return undefined;
}

/** A pair that turns: its elements in the whole head, its axis, and its frequency with its direction. */
interface Pair {
  readonly first: number;
  readonly second: number;
  /** `undefined`: not measured. */
  readonly axis: number | string | undefined;
  readonly frequency: number;
}

const axisNames = { t: "time", h: "height", w: "width" } as const;

function pairsOfEngine(rope: MeasuredRope, list: readonly number[]): Pair[] {
  const { direction, pairing, rotaryDim, rotaryOffset } = rope;
  const elements = rope.pairs ?? pairsOf(pairing === "adjacent" ? rotaryDim / 2 : 1, rotaryDim, rotaryOffset);
  return turning(
    elements.map(([first, second], i) => ({
      first,
      second,
      axis: axisNames[rope.axes?.[i] as keyof typeof axisNames] ?? rope.axes?.[i],
      frequency: direction * list[i]!,
    })),
  );
}

function pairsOfRope(rope: RotaryEmbedding, offset: number, names: readonly string[] | undefined): Pair[] {
  const { invFreq, axes } = rope.frequencies(shortLength);
  const { pairing, rotaryDim, rotaryOffset, direction } = rope.spec;
  const elements = pairsOf(blocksOf(pairing, rotaryDim), rotaryDim, rotaryOffset + offset);
  return turning(
    elements.map(([first, second], i) => ({
      first,
      second,
      axis: names?.[axes[i] ?? 0] ?? axes[i] ?? 0,
      frequency: direction * invFreq[i]!,
    })),
  );
}

/** Halves are one block, adjacent elements a block for each pair. */
const blocksOf = (pairing: Pairing, rotaryDim: number): number =>
  pairing === "half" ? 1 : pairing === "adjacent" ? rotaryDim / 2 : pairing.blocks;

/** The elements of each pair: the first and the second half of each block. */
function pairsOf(blocks: number, rotaryDim: number, offset: number): (readonly [number, number])[] {
  const pairs = rotaryDim / 2 / blocks;
  return Array.from({ length: rotaryDim / 2 }, (_, i) => {
    const first = offset + 2 * pairs * Math.floor(i / pairs) + (i % pairs);
    return [first, first + pairs];
  });
}

/** The pairs that turn, by their first element. What turns by less than can be measured counts as still. */
const turning = (pairs: readonly Pair[]): Pair[] =>
  pairs.filter(({ frequency }) => Math.abs(frequency) > absoluteError).sort((a, b) => a.first - b.first);

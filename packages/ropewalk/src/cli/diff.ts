/** `ropewalk diff`: the differences between the ropes of two configs, in words and numbers. */

import { ropeRequestsFromConfig, ropesFromConfig } from "../index.ts";
import type { ModelRopes, RopeSpec, RotaryEmbedding } from "../index.ts";
import { wholeNumber } from "./arguments.ts";
import { readJson } from "./files.ts";
import type { Palette } from "./plot.ts";

/** Options as the command line gives them. */
export interface DiffOptions {
  readonly json?: boolean;
  readonly length?: string;
  readonly family?: string;
}

type Fact = string | number | boolean | null;

/** The difference of two lists of frequencies at the length `length`. */
export interface FrequencyDifference {
  /** The number of pairs whose frequencies differ by more than rounding. */
  readonly pairs: number;
  readonly of: number;
  readonly first: number;
  readonly last: number;
  /** Frequency in the second config / frequency in the first, at the pair where it is farthest from 1. */
  readonly ratio: number;
  readonly ratioPair: number;
  /** The largest difference of an angle at position `length`, in radians. */
  readonly angle: number;
  readonly anglePair: number;
  /** The first position at which an angle is off by one radian. */
  readonly radianAt: number;
  readonly length: number;
}

/** The ropes of one layer type in both configs. */
export interface RopeDifference {
  /** The layer types that are compared; `null`: all layers of a config. */
  readonly layerTypes: readonly [string | null, string | null];
  readonly equal: boolean;
  readonly facts: readonly { readonly name: string; readonly values: readonly [Fact, Fact] }[];
  /** `null` if they are the same, or if their numbers differ. */
  readonly frequencies: FrequencyDifference | null;
  /** Amplitudes of cos and sin. Logits are multiplied by their square. */
  readonly attentionFactor: readonly [number, number] | null;
  readonly softmaxScaleFactor: readonly [number, number] | null;
}

export interface ConfigDifference {
  readonly files: readonly [string, string];
  readonly equal: boolean;
  readonly ropes: readonly RopeDifference[];
  /** Layers, counted from 0, whose rope differs; `null` if a config does not state the number of layers. */
  readonly layers: readonly number[] | null;
}

/** The limit for differences by rounding: both sides have float32 frequencies, which differ by a few last places. */
const ROUNDING = 2 ** -21;

/** Compares two config.json files. @throws CliFailure, RopeError if a file cannot be read. */
export function diff(paths: readonly [string, string], { family, length }: DiffOptions): ConfigDifference {
  const configs = [readJson(paths[0]), readJson(paths[1])] as const;
  const [a, b] = [ropesFromConfig(configs[0], { family }), ropesFromConfig(configs[1], { family })];
  const at = length === undefined ? undefined : wholeNumber("--length", length, 1);
  const ropes = matched(a, b).map(([left, right]) =>
    compare([left, right], [a.byLayerType.get(left) ?? null, b.byLayerType.get(right) ?? null], at),
  );
  const layers = differingLayers(configs, [a, b], family);
  return {
    files: paths,
    equal: ropes.every(({ equal }) => equal) && (layers === null || layers.length === 0),
    ropes,
    layers,
  };
}

/**
 * Pairs of layer types to compare: those of equal name. If a config has only one rope, it is compared with each rope of
 * the other.
 */
export function matched(
  { byLayerType: a }: ModelRopes,
  { byLayerType: b }: ModelRopes,
): [string | null, string | null][] {
  if (a.size === 1 || b.size === 1) {
    return [...a.keys()].flatMap((left) => [...b.keys()].map((right): [string | null, string | null] => [left, right]));
  }
  return [...new Set([...a.keys(), ...b.keys()])].map((key) => [
    a.has(key) || !a.has(null) ? key : null,
    b.has(key) || !b.has(null) ? key : null,
  ]);
}

function compare(
  layerTypes: RopeDifference["layerTypes"],
  [a, b]: readonly [RotaryEmbedding | null, RotaryEmbedding | null],
  length: number | undefined,
): RopeDifference {
  if (a === null || b === null) {
    const facts =
      a === b ? [] : [{ name: "ropeType", values: [a?.ropeType ?? "none", b?.ropeType ?? "none"] as const }];
    return {
      layerTypes,
      equal: facts.length === 0,
      facts,
      frequencies: null,
      attentionFactor: null,
      softmaxScaleFactor: null,
    };
  }
  const facts = changedFacts(a, b);
  const numbers = compareNumbers(a, b, length ?? Math.min(a.positionLimit, b.positionLimit));
  return {
    layerTypes,
    equal: facts.length === 0 && Object.values(numbers).every((difference) => difference === null),
    facts,
    ...numbers,
  };
}

/**
 * The differences between the numbers of two ropes at a length; `null` for numbers that are equal except for rounding.
 */
export function compareNumbers(
  a: RotaryEmbedding,
  b: RotaryEmbedding,
  length: number,
): Pick<RopeDifference, "frequencies" | "attentionFactor" | "softmaxScaleFactor"> {
  const [left, right] = [a.frequencies(length), b.frequencies(length)];
  const pairOf = (name: "attentionFactor" | "softmaxScaleFactor"): [number, number] | null =>
    Math.abs(left[name] / right[name] - 1) < ROUNDING ? null : [left[name], right[name]];
  return {
    frequencies: compareFrequencies(left.invFreq, right.invFreq, length),
    attentionFactor: pairOf("attentionFactor"),
    softmaxScaleFactor: pairOf("softmaxScaleFactor"),
  };
}

/** The fields in which two specs differ, with each parameter on its own. */
function changedFacts(a: RotaryEmbedding, b: RotaryEmbedding): RopeDifference["facts"] {
  const flat = ({ positionLimit, spec }: RotaryEmbedding): Map<string, unknown> => {
    const {
      parameters,
      specificationVersion: _,
      precision: __,
      ...settings
    } = spec as RopeSpec & Record<string, unknown>;
    const { ropeType, ...own } = parameters;
    return new Map<string, unknown>([
      ["ropeType", ropeType],
      ...Object.entries(settings),
      ["positionLimit", positionLimit],
      ...Object.entries(own).map(([name, value]): [string, unknown] => [`parameters.${name}`, value]),
    ]);
  };
  const [left, right] = [flat(a), flat(b)];
  return [...new Set([...left.keys(), ...right.keys()])].flatMap((name) => {
    const values = [fact(left.get(name)), fact(right.get(name))] as const;
    return values[0] === values[1] ? [] : [{ name, values }];
  });
}

const fact = (value: unknown): Fact =>
  value === undefined ? null : typeof value === "object" && value !== null ? JSON.stringify(value) : (value as Fact);

function compareFrequencies(a: ArrayLike<number>, b: ArrayLike<number>, length: number): FrequencyDifference | null {
  if (a.length !== b.length) return null;
  const differing: number[] = [];
  const distance = (pair: number): number => (a[pair] === b[pair] ? 0 : Math.abs(Math.log(b[pair]! / a[pair]!)));
  for (let pair = 0; pair < a.length; pair++) if (distance(pair) > ROUNDING) differing.push(pair);
  if (differing.length === 0) return null;
  const largest = (measure: (pair: number) => number): number =>
    differing.reduce((best, pair) => (measure(pair) > measure(best) ? pair : best));
  const [ratioPair, anglePair] = [largest(distance), largest((pair) => Math.abs(a[pair]! - b[pair]!))];
  const step = Math.abs(a[anglePair]! - b[anglePair]!);
  return {
    pairs: differing.length,
    of: a.length,
    first: differing[0]!,
    last: differing.at(-1)!,
    ratio: b[ratioPair]! / a[ratioPair]!,
    ratioPair,
    angle: step * length,
    anglePair,
    radianAt: Math.ceil(1 / step),
    length,
  };
}

function differingLayers(
  configs: readonly [unknown, unknown],
  [a, b]: readonly [ModelRopes, ModelRopes],
  family: string | undefined,
): number[] | null {
  const counts = configs.map((config) => ropeRequestsFromConfig(config, { family }).layerCount);
  if (counts.includes(null)) return null;
  return Array.from({ length: Math.min(...(counts as number[])) }, (_, layer) => layer).filter(
    (layer) => a.forLayer(layer) !== b.forLayer(layer),
  );
}

const number = (value: number): string => String(Number(value.toPrecision(7)));

/** The comparison as text. */
export function diffText(
  { equal, files, layers, ropes }: ConfigDifference,
  { bold, cyan, dim, green, yellow }: Palette,
): string {
  const title = `${bold(cyan(files[0]))} ${dim("→")} ${bold(cyan(files[1]))}`;
  if (equal) return `${title}\n${green("✓")} the same ropes in the same layers`;
  const sections = ropes.map(({ layerTypes, equal: same, ...difference }) => {
    const [left, right] = layerTypes.map((name) => (name === null ? "all layers" : `layers of type ${name}`));
    const heading = bold(left === right ? left! : `${left} → ${right}`);
    return same
      ? `${heading}: ${green("the same")}`
      : [heading, ...sentences(difference).map((line) => `  ${yellow("•")} ${line}`)].join("\n");
  });
  if (layers !== null && layers.length > 0) sections.push(`${bold("layers whose rope differs")}: ${ranges(layers)}`);
  return `${title}\n\n${sections.join("\n\n")}`;
}

function sentences({ facts, ...numbers }: Omit<RopeDifference, "layerTypes" | "equal">): string[] {
  const lines = [
    ...facts.map(({ name, values }) => `${name}: ${values[0] ?? "–"} → ${values[1] ?? "–"}`),
    ...numberSentences(numbers),
  ];
  const comparable = !facts.some(({ name, values }) => name === "rotaryDim" || values.includes("none"));
  return numbers.frequencies === null && comparable ? [...lines, "frequencies: the same"] : lines;
}

/** Differences of numbers, a sentence each. */
export function numberSentences({
  attentionFactor,
  frequencies,
  softmaxScaleFactor,
}: Pick<RopeDifference, "frequencies" | "attentionFactor" | "softmaxScaleFactor">): string[] {
  const lines: string[] = [];
  if (frequencies !== null) {
    const { angle, anglePair, first, last, length, of, pairs, radianAt, ratio, ratioPair } = frequencies;
    const where =
      pairs === 1
        ? `pair ${first}`
        : pairs === last - first + 1
          ? `pairs ${first} to ${last}`
          : `${pairs} pairs from ${first} to ${last}`;
    lines.push(`${where} of ${of} turn at another speed, by ×${number(ratio)} at pair ${ratioPair}`);
    lines.push(
      `at position ${length} the angle of pair ${anglePair} differs by ${number(angle)} rad (${number(angle / (2 * Math.PI))} turns), by one radian from position ${radianAt} on`,
    );
  }
  if (attentionFactor !== null) {
    lines.push(
      `cos and sin × ${number(attentionFactor[0])} → ${number(attentionFactor[1])}, so that logits change by ×${number((attentionFactor[1] / attentionFactor[0]) ** 2)}`,
    );
  }
  if (softmaxScaleFactor !== null) {
    lines.push(`the softmax scale × ${number(softmaxScaleFactor[0])} → ${number(softmaxScaleFactor[1])}`);
  }
  return lines;
}

/** `0, 1, 2, 5` as `0–2, 5`. */
function ranges(list: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const value of list) {
    const run = runs.at(-1);
    if (run?.[1] === value - 1) run[1] = value;
    else runs.push([value, value]);
  }
  return runs.map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`)).join(", ");
}

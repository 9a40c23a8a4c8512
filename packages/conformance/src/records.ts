/**
 * The records that the golden comparisons take, and the checks of their arguments. A missing or misshapen field gives a
 * RopeError; a number that differs fails the comparison.
 */

import type { Pairing, RopeIssue, RotaryEmbedding } from "@ropewalk/core";
import { invalid, show } from "@ropewalk/core/backend";

/** A tensor before and after the rotation, contiguous. */
export interface EncodedTensor {
  /** `[tokens, heads, headDim]`. */
  readonly shape: readonly number[];
  /** The elements before the rotation: their bytes, little-endian, in base64. */
  readonly input: string;
  /** The elements after it, in the same form. */
  readonly output: string;
}

/** The results of an engine for one rope. Every number that the engine holds in float32 is exactly that float32. */
export interface EngineRecord {
  readonly headDim: number;
  readonly rotaryDim: number;
  readonly rotaryOffset?: number;
  readonly pairing: Pairing;
  /** The current length of the call in tokens; `null` if frequencies do not depend on it. */
  readonly length: number | null;
  readonly attentionFactor: number;
  readonly softmaxScaleFactor: number;
  /** Radians per position, `rotaryDim/2` values. */
  readonly invFreq: readonly number[];
  /** The positions of the rows of `cos` and `sin`. */
  readonly positions: readonly number[];
  /** The pairs of the columns of `cos` and `sin`. */
  readonly pairs: readonly number[];
  /** `[position][sampled pair]`, attention factor included. */
  readonly cos: readonly (readonly number[])[];
  readonly sin: readonly (readonly number[])[];
  /** Rotated tensors; positions of the tokens, `[tokens]`. */
  readonly rotated?: readonly {
    readonly dtype: "float32" | "bfloat16" | "float16";
    readonly positions: readonly number[];
    /** The pairing of the engine's output, which may differ from the pairing of its input. */
    readonly outputPairing: Pairing;
    readonly query: EncodedTensor;
    readonly key: EncodedTensor;
  }[];
}

/** The results of arithmetic with many digits. Decimal strings have at least 20 significant digits. */
export interface TruthRecord {
  readonly attentionFactor: string;
  readonly softmaxScaleFactor: string;
  /** The nearest double to each frequency. */
  readonly invFreqHigh: readonly number[];
  /** The positions of the rows of `cos` and `sin`. */
  readonly positions: readonly number[];
  /** The pairs of the columns of `cos` and `sin`. */
  readonly pairs: readonly number[];
  /** `[position][sampled pair]`, attention factor included. */
  readonly cos: readonly (readonly string[])[];
  readonly sin: readonly (readonly string[])[];
  /** Single values at which cos or sin is almost zero. */
  readonly nearZero: readonly {
    readonly position: number;
    readonly pair: number;
    readonly cos: string;
    readonly sin: string;
  }[];
}

interface Rule {
  readonly expected: string;
  accepts(value: unknown): boolean;
}

const isNumber = (value: unknown): value is number => typeof value === "number";
const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isDecimal = (value: unknown): boolean =>
  typeof value === "string" && value.trim() !== "" && Number.isFinite(Number(value));
const listOf =
  (accepts: (item: unknown) => boolean) =>
  (value: unknown): value is unknown[] =>
    Array.isArray(value) && value.every(accepts);

const number: Rule = { expected: "a number", accepts: isNumber };
const size: Rule = { expected: "an integer ≥ 0", accepts: isSize };
const numbers: Rule = { expected: "a list of numbers", accepts: listOf(isNumber) };
const decimal: Rule = { expected: "a decimal number as text", accepts: isDecimal };
const optional = ({ expected, accepts }: Rule): Rule => ({
  expected: `${expected}, null or nothing`,
  accepts: (value) => value === undefined || value === null || accepts(value),
});

/** Values at each position and sampled pair. */
function table(positions: unknown, pairs: unknown, item: Rule): Rule {
  const [rows, columns] = [positions, pairs].map((list) => (Array.isArray(list) ? list.length : 0));
  return {
    expected: `${rows} lists of ${columns} entries, each ${item.expected}`,
    accepts: (value) =>
      listOf((row) => listOf(item.accepts)(row) && row.length === columns)(value) && value.length === rows,
  };
}

/** Indices of pairs. */
function pairsBelow(frequencies: unknown): Rule {
  const count = Array.isArray(frequencies) ? frequencies.length : 0;
  return {
    expected: `a list of pairs below ${count}`,
    accepts: listOf((pair) => isSize(pair) && pair < count),
  };
}

const pairing: Rule = {
  expected: "a pairing",
  accepts: (value) => {
    const isBlocks = typeof value === "object" && value !== null && isSize((value as { blocks?: unknown }).blocks);
    return value === "half" || value === "adjacent" || isBlocks;
  },
};

const length = optional(size);
const amplitudes = { attentionFactor: number, softmaxScaleFactor: number };

function fieldIssues(path: string, value: unknown, rules: Readonly<Record<string, Rule>>): RopeIssue[] {
  if (typeof value !== "object" || value === null) {
    return [{ path, expected: `an object with ${Object.keys(rules).join(", ")}`, received: show(value) }];
  }
  return Object.entries(rules).flatMap(([name, { expected, accepts }]) => {
    const field = (value as Record<string, unknown>)[name];
    return accepts(field) ? [] : [{ path: `${path}.${name}`, expected, received: show(field) }];
  });
}

/** One list of issues for the whole call, thrown if there is one. */
function require(call: string, rope: RotaryEmbedding, methods: readonly string[], issues: readonly RopeIssue[]): void {
  const isRope = methods.every(
    (name) => typeof (rope as unknown as Record<string, unknown> | null | undefined)?.[name] === "function",
  );
  const wrongRope = isRope ? [] : [{ path: "rope", expected: "a rope that getRope returned", received: show(rope) }];
  if (wrongRope.length + issues.length > 0) throw invalid(`the call of ${call}`, [...wrongRope, ...issues]);
}

/** @throws RopeError `ROPE_INVALID_PARAMETERS` for arguments that `compareFrequencies` cannot use. */
export function requireFrequencies(rope: RotaryEmbedding, record: EngineRecord): void {
  const rules = {
    ...{ headDim: size, rotaryDim: size, rotaryOffset: optional(size), pairing, length },
    ...amplitudes,
    invFreq: numbers,
  };
  require("compareFrequencies", rope, ["frequencies"], fieldIssues("record", record, rules));
}

/** @throws RopeError `ROPE_INVALID_PARAMETERS` for arguments that `compareTables` cannot use. */
export function requireTables(rope: RotaryEmbedding, record: EngineRecord): void {
  const { positions, pairs, invFreq } = (record ?? {}) as Partial<EngineRecord>;
  const values = table(positions, pairs, number);
  const rules = { length, invFreq: numbers, positions: numbers, pairs: pairsBelow(invFreq), cos: values, sin: values };
  require("compareTables", rope, ["frequencies", "cosSin"], fieldIssues("record", record, rules));
}

const bytesOf: ReadonlyMap<unknown, number> = new Map([
  ["float32", 4],
  ["float16", 2],
  ["bfloat16", 2],
]);

/** A tensor of a record, for elements of `bytes` bytes. */
function encoded(bytes: number): Rule {
  const isEncoded = (text: unknown, count: number): boolean => {
    try {
      return typeof text === "string" && atob(text).length === count * bytes;
    } catch {
      return false;
    }
  };
  return {
    expected: "{ shape: [tokens, heads, headDim], input, output } with as many elements in base64",
    accepts: (value) => {
      const { shape, input, output } = (value ?? {}) as { shape?: unknown; input?: unknown; output?: unknown };
      if (!listOf(isSize)(shape) || shape.length !== 3) return false;
      const count = (shape as number[]).reduce((product, length) => product * length, 1);
      return isEncoded(input, count) && isEncoded(output, count);
    },
  };
}

/** @throws RopeError `ROPE_INVALID_PARAMETERS` for arguments that `compareRotations` cannot use. */
export function requireRotations(rope: RotaryEmbedding, record: EngineRecord): void {
  const rotated = optional({ expected: "a list of rotations", accepts: Array.isArray });
  const issues = fieldIssues("record", record, { length, invFreq: numbers, rotated });
  const parts: unknown = (record as Partial<EngineRecord> | null | undefined)?.rotated;
  for (const [i, part] of Array.isArray(parts) ? parts.entries() : []) {
    const bytes = bytesOf.get((part as { dtype?: unknown } | null | undefined)?.dtype) ?? 0;
    const dtype = { expected: [...bytesOf.keys()].join(", "), accepts: () => bytes > 0 };
    const rules = { dtype, positions: numbers, outputPairing: pairing, query: encoded(bytes), key: encoded(bytes) };
    issues.push(...fieldIssues(`record.rotated[${i}]`, part, rules));
  }
  require("compareRotations", rope, ["frequencies", "apply"], issues);
}

/** @throws RopeError `ROPE_INVALID_PARAMETERS` for arguments that `compareTruth` cannot use. */
export function requireTruth(rope: RotaryEmbedding, truth: TruthRecord): void {
  const { positions, pairs, invFreqHigh } = (truth ?? {}) as Partial<TruthRecord>;
  const values = table(positions, pairs, decimal);
  const samplePairs = pairsBelow(invFreqHigh);
  const sample = { position: number, pair: { ...size, accepts: (pair: unknown) => samplePairs.accepts([pair]) } };
  const nearZero: Rule = {
    expected: "a list of { position, pair, cos, sin }",
    accepts: listOf((item) => fieldIssues("", item, { ...sample, cos: decimal, sin: decimal }).length === 0),
  };
  const rules = {
    ...{ attentionFactor: decimal, softmaxScaleFactor: decimal, invFreqHigh: numbers, positions: numbers },
    ...{ pairs: samplePairs, cos: values, sin: values, nearZero },
  };
  require("compareTruth", rope, ["frequencies", "cosSin"], fieldIssues("truth", truth, rules));
}

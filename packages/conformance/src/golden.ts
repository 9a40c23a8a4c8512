/**
 * Comparison with numbers from outside: what an engine computed, or what arithmetic without rounding gives.
 *
 * A law cannot tell one frequency from another; these can. Each function throws an Error at the first number that is
 * farther away than its tolerance, and the tolerances say why they are what they are. Unlike the laws, they do not vary
 * anything: the rope that is passed must be the one that the record describes.
 */

import type { Pairing, RotaryEmbedding } from "@ropewalk/core";
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from "@ropewalk/core/math";
import { equal, fail, isFar } from "./assert.ts";
import { pairsOf } from "./numbers.ts";

/** Elements `[tokens, heads, headDim]`, little-endian, in base64. */
export interface EncodedTensor {
  readonly shape: readonly number[];
  readonly input: string;
  readonly output: string;
}

/** What an engine computed for one rope in float32. Numbers that stand for a float32 are that float32. */
export interface EngineRecord {
  readonly headDim: number;
  readonly rotaryDim: number;
  readonly rotaryOffset?: number;
  readonly pairing: Pairing;
  /** The current length of the call, where frequencies depend on it. */
  readonly length: number | null;
  readonly attentionFactor: number;
  readonly softmaxScaleFactor: number;
  readonly invFreq: readonly number[];
  readonly positions: readonly number[];
  /** The pairs that cos and sin were sampled at. */
  readonly pairs: readonly number[];
  /** `[position][sampled pair]`, attention factor included. */
  readonly cos: readonly (readonly number[])[];
  readonly sin: readonly (readonly number[])[];
  readonly rotated?: readonly {
    readonly dtype: "float32" | "bfloat16" | "float16";
    readonly positions: readonly number[];
    /** Where the engine puts the elements of a pair; it may differ from where it reads them. */
    readonly outputPairing: Pairing;
    readonly query: EncodedTensor;
    readonly key: EncodedTensor;
  }[];
}

/** What arithmetic of many digits gives. Decimal strings have at least 20 significant digits. */
export interface TruthRecord {
  readonly attentionFactor: string;
  readonly softmaxScaleFactor: string;
  /** The nearest double to each frequency. */
  readonly invFreqHigh: readonly number[];
  readonly positions: readonly number[];
  readonly pairs: readonly number[];
  /** `[position][sampled pair]`, attention factor included. */
  readonly cos: readonly (readonly string[])[];
  readonly sin: readonly (readonly string[])[];
  /** Single values where cos or sin nearly vanishes. */
  readonly nearZero: readonly {
    readonly position: number;
    readonly pair: number;
    readonly cos: string;
    readonly sin: string;
  }[];
}

/** The distance from a float32 to the next one of larger size. */
export function float32Ulp(value: number): number {
  const size = Math.abs(value);
  return size < 2 ** -126 ? 2 ** -149 : 2 ** (Math.floor(Math.log2(Math.fround(size))) - 23);
}

const optionsAt = ({ length }: { readonly length?: number | null }): { readonly length?: number } =>
  length === null || length === undefined ? {} : { length };

/**
 * Frequencies within 2 float32 ulp of the engine's, and both factors.
 *
 * 2 ulp: the engine's own steps are float32 operations whose last bit depends on its power function; following them
 * step by step leaves one ulp or two, a wrong step more.
 */
export function compareFrequencies(rope: RotaryEmbedding, record: EngineRecord): void {
  equal(rope.precision, "float32", "precision of the rope that is compared with an engine");
  for (const name of ["headDim", "rotaryDim"] as const) equal(rope[name], record[name], name);
  equal(rope.rotaryOffset, record.rotaryOffset ?? 0, "rotaryOffset");
  equal(rope.pairing, record.pairing, "pairing");
  const { invFreq, attentionFactor, softmaxScaleFactor } = rope.frequencies(record.length ?? undefined);
  equal(invFreq.length, record.invFreq.length, "number of frequencies");
  record.invFreq.forEach((expected, pair) => {
    if (isFar(invFreq[pair]!, expected, 2 * float32Ulp(expected))) {
      fail(`invFreq of pair ${pair}`, `${expected} ± 2 ulp`, invFreq[pair]);
    }
  });
  // The engine computes both in float64 from the same formula; the last bits depend on the order of operations.
  for (const [name, got, expected] of [
    ["attentionFactor", attentionFactor, record.attentionFactor],
    ["softmaxScaleFactor", softmaxScaleFactor, record.softmaxScaleFactor],
  ] as const) {
    if (isFar(got, expected, 4 * 2 ** -53 * expected)) fail(name, expected, got);
  }
}

/**
 * cos and sin against the engine's, and against the correctly rounded value at the engine's own float32 angle.
 *
 * Where a frequency equals the engine's, the angles are equal bit for bit, and cos and sin lie within 2 ulp of the exact
 * value at that angle (cos, the amplitude and their product round once each: 1.5 ulp) and within 2 ulp of what the engine
 * has. Where a frequency is off by an ulp or two, the angle is off by that times the position, and its own rounding may
 * fall to another side, half an ulp of the angle for each of the two: cos and sin may differ by as much more.
 */
export function compareTables(rope: RotaryEmbedding, record: EngineRecord): void {
  const { invFreq, attentionFactor } = rope.frequencies(record.length ?? undefined);
  const pairs = rope.rotaryDim / 2;
  const table = rope.cosSin(record.positions, optionsAt(record));
  record.positions.forEach((position, row) => {
    record.pairs.forEach((pair, column) => {
      const engineFrequency = record.invFreq[pair]!;
      const angle = Math.fround(position * engineFrequency);
      const difference = Math.abs(invFreq[pair]! - engineFrequency);
      const slack = difference === 0 ? 0 : attentionFactor * (position * difference + float32Ulp(angle));
      for (const [name, engine, exact] of [
        ["cos", record.cos, Math.cos(angle)],
        ["sin", record.sin, Math.sin(angle)],
      ] as const) {
        const got = table[name][row * pairs + pair]!;
        for (const [whose, expected] of [
          ["the exact value at the engine's angle", attentionFactor * exact],
          ["the engine's", engine[row]![column]!],
        ] as const) {
          const tolerance = slack + 2 * float32Ulp(expected);
          if (isFar(got, expected, tolerance)) {
            fail(`${name} of pair ${pair} at position ${position}`, `${whose} ${expected} ± ${tolerance}`, got);
          }
        }
      }
    });
  });
}

/** The largest relative error of one rounding. */
const unit = { float32: 2 ** -24, float16: 2 ** -11, bfloat16: 2 ** -8 } as const;

/**
 * Query and key after rotation against the engine's, as a share of the length `r` of the rotated pair.
 *
 * float32: 2 ulp of cos and of sin, below 2^-22 together for a sum of two products, and three roundings of 2^-24 on each
 * side: 10 · 2^-24. 16-bit types: an engine that multiplies in them rounds cos and sin, each product and the sum, that is
 * `(√2 + √2 + 1) u`, while ropewalk computes in float32 and rounds once: `5 u` in all, and engines that compute in float32
 * stay far within. Where a frequency is off by an ulp, the angle adds position times that.
 *
 * Elements that are not rotated must be the same bits.
 */
export function compareRotations(rope: RotaryEmbedding, record: EngineRecord): void {
  const { invFreq, attentionFactor } = rope.frequencies(record.length ?? undefined);
  for (const { dtype, positions, outputPairing, ...tensors } of record.rotated ?? []) {
    for (const [name, { shape, input, output }] of Object.entries(tensors)) {
      const given = decode(dtype, input);
      const wanted = decode(dtype, output);
      const data =
        dtype === "float32"
          ? Float32Array.from(given)
          : Uint16Array.from(given, dtype === "float16" ? toFloat16 : toBfloat16);
      rope.apply({ positions, key: { data, shape, dtype }, ...optionsAt(record) });
      const got =
        dtype === "float32" ? data : Float32Array.from(data, dtype === "float16" ? fromFloat16 : fromBfloat16);

      const [, heads, headDim] = shape as [number, number, number];
      const from = pairsOf(rope);
      const to = pairsOf({ ...rope.spec, pairing: outputPairing });
      const rotatedElements = new Set(from.flat());
      for (let head = 0; head < got.length; head += headDim) {
        const position = positions[Math.floor(head / (heads * headDim))]!;
        const where = `${dtype} ${name} at position ${position}`;
        from.forEach(([x, y], pair) => {
          const r = attentionFactor * Math.hypot(given[head + x]!, given[head + y]!);
          const difference = Math.abs(invFreq[pair]! - record.invFreq[pair]!);
          const turned = difference === 0 ? 0 : position * difference + float32Ulp(position * invFreq[pair]!);
          const tolerance =
            r * (turned + (dtype === "float32" ? 10 : 5) * unit[dtype]) + (dtype === "float16" ? 2 ** -24 : 0);
          for (const side of [0, 1] as const) {
            const [ours, theirs] = [got[head + [x, y][side]!]!, wanted[head + to[pair]![side]]!];
            if (isFar(ours, theirs, tolerance)) {
              fail(`element ${side} of pair ${pair} of ${where}`, `${theirs} ± ${tolerance}`, ours);
            }
          }
        });
        for (let i = 0; i < headDim; i++) {
          if (!rotatedElements.has(i) && !Object.is(got[head + i], wanted[head + i])) {
            fail(`element ${i}, which is not rotated, of ${where}`, wanted[head + i], got[head + i]);
          }
        }
      }
    }
  }
}

function decode(dtype: keyof typeof unit, base64: string): Float32Array {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  if (dtype === "float32") return new Float32Array(bytes.buffer);
  return Float32Array.from(new Uint16Array(bytes.buffer), dtype === "float16" ? fromFloat16 : fromBfloat16);
}

/**
 * A rope of `precision: "float64"` against arithmetic of many digits.
 *
 * Frequencies and factors within 2 float64 ulp (the formula's last operation and the rounding to one double); cos and sin
 * as float32 within 1 ulp of the exact value, at every position and however near zero they come.
 * Positions that the rope does not admit are left out; at least one must remain.
 */
export function compareTruth(rope: RotaryEmbedding, truth: TruthRecord): void {
  equal(rope.precision, "float64", "precision of the rope that is compared with the truth");
  const { invFreq, attentionFactor, softmaxScaleFactor } = rope.frequencies();
  equal(invFreq.length, truth.invFreqHigh.length, "number of frequencies");
  const double = (name: string, got: number, expected: number): void => {
    if (isFar(got, expected, 2 ** -52 * Math.abs(expected))) fail(name, `${expected} ± 2 ulp of float64`, got);
  };
  truth.invFreqHigh.forEach((expected, pair) => double(`invFreq of pair ${pair}`, invFreq[pair]!, expected));
  double("attentionFactor", attentionFactor, Number(truth.attentionFactor));
  double("softmaxScaleFactor", softmaxScaleFactor, Number(truth.softmaxScaleFactor));

  const single = (name: string, got: number, exact: string, where: string): void => {
    const expected = Number(exact);
    if (isFar(got, expected, float32Ulp(expected))) fail(`${name} ${where}`, `${exact} ± 1 float32 ulp`, got);
  };
  const samples = truth.positions.flatMap((position, row) =>
    truth.pairs.map((pair, column) => ({
      position,
      pair,
      cos: truth.cos[row]![column]!,
      sin: truth.sin[row]![column]!,
    })),
  );
  const admitted = [...samples, ...truth.nearZero].filter(({ position }) => position < rope.positionLimit);
  if (admitted.length === 0) fail("positions of the truth", `some below ${rope.positionLimit}`, "none");
  const table = rope.cosSin(admitted.map(({ position }) => position));
  const pairs = rope.rotaryDim / 2;
  admitted.forEach(({ position, pair, cos, sin }, row) => {
    single("cos", table.cos[row * pairs + pair]!, cos, `of pair ${pair} at position ${position}`);
    single("sin", table.sin[row * pairs + pair]!, sin, `of pair ${pair} at position ${position}`);
  });
}

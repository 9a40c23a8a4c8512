/**
 * Comparisons with numbers from outside: the results of an engine, or of arithmetic with many digits. Laws alone cannot
 * find a wrong frequency.
 *
 * Each function throws an Error at the first number outside its tolerance; its comment derives the tolerance. Nothing
 * is varied: the rope must be the one that the record describes.
 */

import type { RotaryEmbedding } from "@ropewalk/core";
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from "@ropewalk/core/math";
import { equal, fail, isFar, sameData } from "./assert.ts";
import { pairsOf } from "./numbers.ts";
import { requireFrequencies, requireRotations, requireTables, requireTruth } from "./records.ts";
import type { EngineRecord, TruthRecord } from "./records.ts";

export type { EncodedTensor, EngineRecord, TruthRecord } from "./records.ts";

/** The distance from a float32 to the next float32 of larger size; 2^-149 for 0 and subnormal numbers. */
export function float32Ulp(value: number): number {
  const size = Math.abs(value);
  return size < 2 ** -126 ? 2 ** -149 : 2 ** (Math.floor(Math.log2(Math.fround(size))) - 23);
}

const optionsAt = ({ length }: { readonly length?: number | null }): { readonly length?: number } =>
  length === null || length === undefined ? {} : { length };

/**
 * Compares head, pairing, frequencies and factors of a rope with an engine's.
 *
 * Frequencies must agree within 2 float32 ulp. The engine's steps are float32 operations, and the last bit depends on
 * its power function: the same steps differ by one or two ulp, a wrong step by more. The factors must agree within 4 ·
 * 2^-53.
 *
 * @param rope of precision `"float32"`.
 * @throws Error at the first number that differs.
 * @throws RopeError `ROPE_INVALID_PARAMETERS` for a value that is no rope, or for missing or wrong fields of the
 * record.
 */
export function compareFrequencies(rope: RotaryEmbedding, record: EngineRecord): void {
  requireFrequencies(rope, record);
  equal(rope.precision, "float32", "precision of the rope that is compared with an engine");
  for (const name of ["headDim", "rotaryDim"] as const) equal(rope[name], record[name], name);
  equal(rope.rotaryOffset, record.rotaryOffset ?? 0, "rotaryOffset");
  sameData(rope.pairing, record.pairing, "pairing");
  const { invFreq, attentionFactor, softmaxScaleFactor } = rope.frequencies(record.length ?? undefined);
  equal(invFreq.length, record.invFreq.length, "number of frequencies");
  record.invFreq.forEach((expected, pair) => {
    if (isFar(invFreq[pair]!, expected, 2 * float32Ulp(expected))) {
      fail(`invFreq of pair ${pair}`, `${expected} ± 2 ulp`, invFreq[pair]);
    }
  });
  // The engine computes both in float64 by the same formula; the last bits depend on the order of operations.
  for (const [name, got, expected] of [
    ["attentionFactor", attentionFactor, record.attentionFactor],
    ["softmaxScaleFactor", softmaxScaleFactor, record.softmaxScaleFactor],
  ] as const) {
    if (isFar(got, expected, 4 * 2 ** -53 * expected)) fail(name, expected, got);
  }
}

/**
 * Compares cos and sin of a rope with an engine's, and with the exact values at the engine's float32 angle.
 *
 * If a frequency equals the engine's, the angles are equal bit for bit. Then cos and sin lie within 2 ulp of the exact
 * value (cos, the amplitude and their product round once each: 1.5 ulp), and within 2 ulp of the engine's value. If a
 * frequency differs by an ulp or two, the angle differs by that times the position, and each of the two angles rounds
 * by half an ulp of its own: cos and sin may differ by as much more.
 *
 * @throws Error at the first number that differs.
 * @throws RopeError `ROPE_INVALID_PARAMETERS` for a value that is no rope, or for missing or wrong fields of the
 * record; `ROPE_POSITION_RANGE` for a position that the rope does not accept.
 */
export function compareTables(rope: RotaryEmbedding, record: EngineRecord): void {
  requireTables(rope, record);
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
 * Rotates the record's query and key by `rope.apply`, and compares the result with the engine's. A record without
 * `rotated` passes.
 *
 * Tolerances are shares of `r`, the length of the pair times the attention factor, with the unit roundoff `u` of the
 * element type:
 * - float32: 10 · 2^-24. cos and sin differ by 2 ulp, below 2^-22 for a sum of two products; and each side rounds three
 *   times by 2^-24.
 * - float16, bfloat16: 5 u. An engine that multiplies in 16 bits rounds cos and sin, each product and the sum, which is
 *   `(√2 + √2 + 1) u`; ropewalk computes in float32 and rounds once.
 * - If a frequency differs by an ulp, the angle adds the position times that difference.
 *
 * Elements that are not rotated must have the same bits.
 *
 * @throws Error at the first element that differs.
 * @throws RopeError `ROPE_INVALID_PARAMETERS` for a value that is no rope, or for missing or wrong fields of the
 * record; `ROPE_POSITION_RANGE` and `ROPE_SHAPE` for positions and shapes that the rope does not accept.
 */
export function compareRotations(rope: RotaryEmbedding, record: EngineRecord): void {
  requireRotations(rope, record);
  const { invFreq, attentionFactor } = rope.frequencies(record.length ?? undefined);
  for (const { dtype, positions, outputPairing, query, key } of record.rotated ?? []) {
    for (const [name, { shape, input, output }] of Object.entries({ query, key })) {
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
 * Compares a rope of `precision: "float64"` with the results of arithmetic with many digits.
 *
 * Frequencies and factors must agree within 2 float64 ulp: the last operation of the formula, and the rounding to one
 * double. cos and sin in float32 must lie within 1 ulp of the exact value at every position, also near zero. Positions
 * that the rope does not accept are skipped.
 *
 * @throws Error at the first number that differs; also if the rope accepts none of the positions.
 * @throws RopeError `ROPE_INVALID_PARAMETERS` for a value that is no rope, or for missing or wrong fields of the
 * record.
 */
export function compareTruth(rope: RotaryEmbedding, truth: TruthRecord): void {
  requireTruth(rope, truth);
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

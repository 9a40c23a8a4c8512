/** Numbers from outside that a case holds beside its request, so that an author writes data and no test. */

import { allNear, fail, isFar } from "./assert.ts";
import { float32Ulp } from "./golden.ts";
import type { Law } from "./law.ts";
import type { ExpectedNumbers } from "./expected.ts";

/** Half a unit of the last printed digit of a number; 0 where the source prints all digits. */
function printed(value: number, digits: number | undefined): number {
  if (digits === undefined || value === 0) return 0;
  return 0.5 * 10 ** (Math.floor(Math.log10(Math.abs(value))) + 1 - digits);
}

/**
 * Tolerances, beside half a unit of the last printed digit:
 * - frequencies: 2 float32 ulp with float32 angles, as `compareFrequencies` derives it; else 4 · 2^-53 of the value,
 *   for a source that computes in float64;
 * - factors: 4 · 2^-53 of the value, which both sides compute in float64 in some order;
 * - cos and sin: 2^-22 times the amplitude, two float32 ulp of a number below 1. Where a frequency differs from the
 *   expected one, the angle differs by that times the position, and rounds by an ulp.
 */
const expectation: Law = {
  group: "numbers",
  name: "gives the numbers from outside that the case expects",
  remedy:
    "Compare the formula with its source step by step, in that order of operations; or correct the case, if its numbers are not the source's.",
  notApplicable: ({ expected }) => (expected === undefined ? "the case expects no numbers" : undefined),
  run(kit) {
    const expected = kit.expected as ExpectedNumbers;
    const rope = kit.js();
    const { source, digits, length, positions = [] } = expected;
    const got = rope.frequencies(length);
    const where = `(${kit.name}; ${source})`;
    const exact = (value: number): number => 4 * 2 ** -53 * Math.abs(value);
    if (expected.invFreq !== undefined) {
      const wanted = expected.invFreq;
      const rounding = rope.precision === "float32" ? (value: number) => 2 * float32Ulp(value) : exact;
      allNear(
        got.invFreq,
        wanted,
        (pair) => rounding(wanted[pair]!) + printed(wanted[pair]!, digits),
        `invFreq ${where}`,
      );
    }
    for (const name of ["attentionFactor", "softmaxScaleFactor"] as const) {
      const wanted = expected[name];
      if (wanted === undefined) continue;
      const tolerance = exact(wanted) + printed(wanted, digits);
      if (isFar(got[name], wanted, tolerance)) fail(`${name} ${where}`, `${wanted} ± ${tolerance}`, got[name]);
    }
    if (positions.length === 0) return;
    const table = rope.cosSin(positions, length === undefined ? {} : { length });
    const pairs = rope.rotaryDim / 2;
    for (const name of ["cos", "sin"] as const) {
      expected[name]?.forEach((row, index) => {
        const position = positions[index]!;
        allNear(
          table[name].subarray(index * pairs, (index + 1) * pairs),
          row,
          (pair) => {
            const difference = Math.abs(got.invFreq[pair]! - (expected.invFreq?.[pair] ?? got.invFreq[pair]!));
            const angle = difference === 0 ? 0 : position * difference + float32Ulp(position * got.invFreq[pair]!);
            return got.attentionFactor * (2 ** -22 + angle) + printed(row[pair]!, digits);
          },
          `${name} at position ${position} ${where}`,
        );
      });
    }
  },
};

export const numberLaws: readonly Law[] = [expectation];

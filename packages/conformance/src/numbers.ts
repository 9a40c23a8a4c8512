/**
 * The rotation as the suite computes it: from the frequencies, in float64, by the definition. It uses nothing else of
 * the code under test.
 */

import type { ElementType, Pairing, RopeSpec } from "@ropewalk/core";
import type { RopeUnderTest } from "./kit.ts";
import type { TestPositions } from "./test-positions.ts";
import type { Shape } from "./tensors.ts";
import { unitRoundoff } from "./tensors.ts";

/** The two elements of each pair of a head. `n` blocks, each rotated by halves; `adjacent` is blocks of two. */
export function pairsOf({
  pairing,
  rotaryDim,
  rotaryOffset,
}: Pick<RopeSpec, "pairing" | "rotaryDim" | "rotaryOffset">): (readonly [number, number])[] {
  const pairs = rotaryDim / 2;
  const width = pairs / blocksOf(pairing, pairs);
  return Array.from({ length: pairs }, (_, i) => {
    const first = rotaryOffset + 2 * (i - (i % width)) + (i % width);
    return [first, first + width] as const;
  });
}

function blocksOf(pairing: Pairing, pairs: number): number {
  if (pairing === "half") return 1;
  return pairing === "adjacent" ? pairs : pairing.blocks;
}

/** The angles of a rope at some positions. */
export interface Angles {
  readonly amplitude: number;
  readonly cos: (row: number, pair: number) => number;
  readonly sin: (row: number, pair: number) => number;
  /** The absolute value of the angle of a pair. */
  readonly size: (row: number, pair: number) => number;
}

/** Angles by the definition: `position × invFreq`, rounded as `precision` says. */
export function anglesOf(rope: RopeUnderTest, { values, axes }: TestPositions, length?: number): Angles {
  const { invFreq, attentionFactor, axes: axisOfPair } = rope.frequencies(length);
  const rows = values.length / axes;
  const { fround } = Math;
  const angle = (row: number, pair: number): number => {
    const position = values[axisOfPair[pair]! * rows + row]!;
    return rope.spec.precision === "float32"
      ? fround(fround(position) * fround(invFreq[pair]!))
      : position * invFreq[pair]!;
  };
  return {
    amplitude: attentionFactor,
    cos: (row, pair) => Math.cos(angle(row, pair)),
    sin: (row, pair) => Math.sin(angle(row, pair)),
    size: (row, pair) => Math.abs(angle(row, pair)),
  };
}

/**
 * The tolerance of a rotated element, as a share of the length of its rotated pair.
 *
 * All in float64: `invFreq` is reported as one double, half an ulp off, and so is its product with the position. The
 * angle is uncertain by 2^-52 of itself; a dozen roundings of 2^-53 come on top. Otherwise cos, sin, the amplitude,
 * their product, two products and a sum are rounded to float32: at most 8 roundings of 2^-24. A 16-bit result is
 * rounded once more.
 */
export function share(rope: RopeUnderTest, dtype: ElementType, angle: number): number {
  if (dtype === "float64") return rope.spec.precision === "float64" ? angle * 2 ** -52 + 16 * 2 ** -53 : 8 * 2 ** -24;
  const exactAngle = rope.spec.precision === "float64" ? angle * 2 ** -52 : 0;
  return 8 * 2 ** -24 + exactAngle + (dtype === "float32" ? 0 : unitRoundoff(dtype));
}

/** Half the distance of neighbours near zero, where the exponent of a type ends. A share does not cover it. */
export function floorOf(dtype: ElementType): number {
  return dtype === "float16" ? 2 ** -25 : 2 ** -140;
}

/**
 * The difference in angle that is allowed between two rotations whose positions have the same sum: 0 for exact angles,
 * else half a float32 ulp of each rounded angle, which is at most 2^-24 of it.
 */
export function angleSlack(rope: RopeUnderTest, ...sizes: readonly number[]): number {
  return rope.spec.precision === "float64" ? 0 : sizes.reduce((sum, size) => sum + size, 0) * 2 ** -24;
}

/**
 * Calls `visit` for each rotated pair of a block, with its row of positions, its pair and the indices of its elements.
 */
export function eachPair(
  spec: RopeSpec,
  tested: TestPositions,
  [batch, tokens, heads, headDim]: Shape,
  visit: (row: number, pair: number, x: number, y: number) => void,
): void {
  const pairs = pairsOf(spec);
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < tokens; t++) {
      const row = tested.batch === undefined ? t : b * tokens + t;
      for (let h = 0; h < heads; h++) {
        const head = ((b * tokens + t) * heads + h) * headDim;
        pairs.forEach(([x, y], pair) => visit(row, pair, head + x, head + y));
      }
    }
  }
}

/**
 * The positions that the suite uses.
 */

import type { Positions, RotaryEmbedding } from "@ropewalk/core";

/** The positions of most laws: the typical error of this field is zero at position 0 and grows with the position. */
const probes = [0, 1, 127, 257, 2049, 4096, 15962, 32768, 131071, 1_048_575];

/** The part of a rope that positions depend on. */
type Limits = Pick<RotaryEmbedding, "capabilities" | "positionLimit">;

/** Positions as numbers, and in the form for a rope. */
export interface TestPositions {
  readonly axes: number;
  /** `undefined`: one list for all rows. */
  readonly batch: number | undefined;
  readonly tokens: number;
  /** `[axes, batch, tokens]`. */
  readonly values: readonly number[];
  readonly largest: number;
  /** The argument for the rope. */
  readonly positions: Positions;
}

/** The probes that a rope accepts, and its last position. All are at least `room` below the limit. */
export function admitted({ positionLimit }: Limits, room = 0): number[] {
  const limit = positionLimit - room;
  const within = probes.filter((probe) => probe < limit);
  return within.length === probes.length || limit <= 1 ? within : [...within, limit - 1];
}

/** Positions for a rope: `pick(row, axis)` for each token of each batch row. */
export function testPositionsOf(
  { capabilities: { axisCount: axes } }: Limits,
  batch: number | undefined,
  tokens: number,
  pick: (row: number, axis: number) => number,
): TestPositions {
  const rows = (batch ?? 1) * tokens;
  const values = Array.from({ length: axes * rows }, (_, i) => pick(i % rows, Math.floor(i / rows)));
  const shape = batch === undefined ? [tokens] : [batch, tokens];
  const flat = axes === 1 && batch === undefined;
  const positions = flat ? values : { data: values, shape: axes === 1 ? shape : [axes, ...shape] };
  return { axes, batch, tokens, values, largest: Math.max(-1, ...values), positions };
}

/** One token for each accepted probe. With several axes, each axis has the probes in another order. */
export function probeSpots(rope: Limits, room = 0): TestPositions {
  const list = admitted(rope, room);
  return testPositionsOf(rope, undefined, list.length, (row, axis) => list[(row + 3 * axis) % list.length]!);
}

/** Positions from the list of probes, from the `start`-th on; batch rows differ. */
export function drawnSpots(rope: Limits, batch: number | undefined, tokens: number, start: number): TestPositions {
  const list = admitted(rope);
  return testPositionsOf(
    rope,
    batch,
    tokens,
    (row, axis) => list[(start + row + Math.floor(row / tokens) + 3 * axis) % list.length]!,
  );
}

/** Positions moved, each by its own amount. */
export function moved(rope: Limits, tested: TestPositions, by: (row: number, axis: number) => number): TestPositions {
  const rows = tested.values.length / tested.axes;
  return testPositionsOf(
    rope,
    tested.batch,
    tested.tokens,
    (row, axis) => tested.values[axis * rows + row]! + by(row, axis),
  );
}

/**
 * The option `length` for all calls of one law, so that a type that depends on the length keeps the same frequencies;
 * empty for other types.
 */
export function lengthFor({ capabilities }: Limits, ...tested: readonly TestPositions[]): { readonly length?: number } {
  return capabilities.dependsOnLength ? { length: Math.max(...tested.map(({ largest }) => largest)) + 1 } : {};
}

/**
 * Positions: all accepted forms, checked once and kept as one flat list.
 */

import { viewName } from "./element-types.ts";
import { RopeError, shapeError, show } from "./errors.ts";
import { checkKeys } from "./keys.ts";

/** A flat list of positions. 64-bit integers must lie within ±2^53. */
export type PositionArray = readonly number[] | Int32Array | Uint32Array | BigInt64Array | BigUint64Array;

/**
 * Positions of the tokens, counted from the start of the sequence:
 * - a flat list, or `{ start, count }` for consecutive positions: shape `[tokens]`, shared by all rows of a batch;
 * - `{ data, shape }` or nested lists: `[batch, tokens]`, or `[axes, tokens]` and `[axes, batch, tokens]` for a rope of
 *   several axes.
 *
 * They are integers from 0. Ropes that declare `fractionalPositions` also take fractions, negative positions,
 * Float32Array and Float64Array.
 */
export type Positions =
  | PositionArray
  | Float32Array
  | Float64Array
  | readonly (readonly number[])[]
  | { readonly start: number | bigint; readonly count: number }
  | { readonly data: PositionArray | Float32Array | Float64Array; readonly shape: readonly number[] };

/** Checked positions. Immutable: the same object stands for the same positions. */
export interface ResolvedPositions {
  readonly axes: number;
  /** Rows of the batch; `undefined` if all rows share one list. */
  readonly batch: number | undefined;
  readonly tokens: number;
  /** `[axes, batch, tokens]`, row-major; a copy that never changes. */
  readonly values: Float64Array;
  /** The largest position; −1 if there is none. */
  readonly largest: number;
}

/**
 * The first position that no rope takes. Engines hold positions in float32, which has every integer up to 2^24; and
 * `precision: "float64"` is proven up to there. Fractional positions may go as far below zero.
 */
export const POSITION_LIMIT: number = 2 ** 24 + 1;

/** The rules that positions must keep. */
export interface PositionRules {
  /** The number of axes that the rope takes. */
  readonly axes: number;
  /** Whether fractions and negative numbers are accepted. */
  readonly fractional: boolean;
  /** Positions must be below this. */
  readonly limit: number;
  /** Where the limit comes from, for the message. */
  readonly limitReason: string;
}

/**
 * Checks positions and copies them.
 *
 * @param known the result of an earlier call with the same rules. It is returned itself if the positions are equal.
 * @throws RopeError `ROPE_SHAPE` for a form or shape that is not accepted; `ROPE_INVALID_PARAMETERS` for an unknown
 * key; `ROPE_POSITION_RANGE` for a position that is negative, not an integer, or not below the limit.
 */
export function resolvePositions(input: Positions, rules: PositionRules, known?: ResolvedPositions): ResolvedPositions {
  if (isRun(input)) return resolveRun(input, rules, known);
  const { data, shape } = flatten(input, rules);
  const [axes, batch, tokens] = splitShape(shape, rules.axes);
  const count = axes * (batch ?? 1) * tokens;
  if (data.length !== count) throw misfit(`${count} positions for the shape [${shape.join(", ")}]`, `${data.length}`);
  const values = new Float64Array(count);
  let largest = -1;
  for (let i = 0; i < count; i++) {
    const given: unknown = data[i];
    // Number() would silently convert a string, null or true.
    const value = typeof given === "number" || typeof given === "bigint" ? Number(given) : NaN;
    const admitted = rules.fractional ? value > -POSITION_LIMIT : Number.isInteger(value) && value >= 0;
    if (!admitted || value >= rules.limit) throw rangeError(given, i, rules);
    values[i] = value;
    if (value > largest) largest = value;
  }
  if (known !== undefined && known.batch === batch && known.tokens === tokens && sameValues(known.values, values)) {
    return known;
  }
  return { axes, batch, tokens, values, largest };
}

/** Compares by `===`: 0 and −0 are the same position. */
function sameValues(a: Float64Array, b: Float64Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

type Run = Extract<Positions, { readonly start: number | bigint }>;

const isRun = (input: Positions): input is Run => typeof input === "object" && input !== null && "start" in input;

/** Consecutive positions: a check of the first and the last covers all. */
function resolveRun(run: Run, rules: PositionRules, known: ResolvedPositions | undefined): ResolvedPositions {
  checkKeys("positions", run, ["start", "count"]);
  const { start: first, count } = run;
  const { axes, fractional, limit } = rules;
  if (!Number.isSafeInteger(count) || count < 0) {
    throw misfit("{ start, count } with an integer count ≥ 0", `count ${show(count)}`);
  }
  if (axes !== 1) splitShape([count], axes);
  const start = typeof first === "number" || typeof first === "bigint" ? Number(first) : NaN;
  const admitted = fractional ? start > -POSITION_LIMIT : Number.isInteger(start) && start >= 0;
  if (!admitted || start >= limit) throw rangeError(first, 0, rules);
  // Checked before the allocation: a run that is too long must not take memory.
  if (start + count > limit) throw rangeError(start + count - 1, count - 1, rules);
  if (known !== undefined && isTheRun(known, start, count)) return known;
  const values = new Float64Array(count);
  for (let i = 0; i < count; i++) values[i] = start + i;
  return { axes, batch: undefined, tokens: count, values, largest: count === 0 ? -1 : Math.max(-1, start + count - 1) };
}

/** Whether resolved positions are the `count` positions from `start` on; no list is made. */
function isTheRun({ axes, batch, tokens, values, largest }: ResolvedPositions, start: number, count: number): boolean {
  const fits = axes === 1 && batch === undefined && tokens === count && count > 0;
  if (!fits || values[0] !== start || largest !== Math.max(-1, start + count - 1)) return false;
  for (let i = 1; i < count; i++) if (values[i] !== start + i) return false;
  return true;
}

function flatten(
  input: Positions,
  rules: PositionRules,
): { data: ArrayLike<number | bigint>; shape: readonly number[] } {
  const { fractional } = rules;
  if (isList(input, fractional)) return { data: input, shape: [input.length] };
  if (Array.isArray(input)) {
    const rows = input as readonly (readonly number[])[];
    const width = rows[0]!.length;
    if (rows.some((row) => !Array.isArray(row) || row.length !== width)) {
      throw misfit("nested lists of equal length", show(rows.map((row) => row?.length)));
    }
    return { data: rows.flat(), shape: [rows.length, width] };
  }
  if (typeof input === "object" && input !== null) {
    if ("data" in input) {
      checkKeys("positions", input, ["data", "shape"]);
      const { data, shape } = input;
      const valid =
        isList(data, fractional) && Array.isArray(shape) && shape.every((n) => Number.isSafeInteger(n) && n >= 0);
      if (!valid) throw misfit("{ data: a list of positions, shape: a list of sizes }", show(input));
      return { data, shape };
    }
  }
  throw misfit(
    "number[], Int32Array, Uint32Array, BigInt64Array, BigUint64Array, { start, count } or { data, shape }",
    show(input),
  );
}

function isList(input: unknown, fractional: boolean): input is ArrayLike<number | bigint> {
  if (Array.isArray(input)) return !Array.isArray(input[0]);
  const accepted = fractional ? [...wholeArrays, "Float32Array", "Float64Array"] : wholeArrays;
  return accepted.includes(viewName(input) ?? "");
}

const wholeArrays = ["Int32Array", "Uint32Array", "BigInt64Array", "BigUint64Array"];

function splitShape(shape: readonly number[], axes: number): readonly [number, number | undefined, number] {
  const [a, b, c] = shape;
  if (axes === 1) {
    if (shape.length === 1) return [1, undefined, a!];
    if (shape.length === 2) return [1, a!, b!];
    throw misfit("positions of shape [tokens] or [batch, tokens]", `[${shape.join(", ")}]`);
  }
  if (a === axes && shape.length === 2) return [axes, undefined, b!];
  if (a === axes && shape.length === 3) return [axes, b!, c!];
  throw misfit(
    `positions of shape [${axes}, tokens] or [${axes}, batch, tokens], one row for each axis`,
    `[${shape.join(", ")}]`,
    "Text tokens have equal positions on all axes: repeat the row.",
  );
}

function misfit(expected: string, received: string, remedy?: string): RopeError {
  return shapeError("positions", expected, received, remedy);
}

function rangeError(value: unknown, index: number, { fractional, limit, limitReason }: PositionRules): RopeError {
  const tooLarge = (typeof value === "number" || typeof value === "bigint") && value >= limit;
  return new RopeError("ROPE_POSITION_RANGE", {
    what: `the position at index ${index} is out of range`,
    expected: `${fractional ? `a number ≥ ${1 - POSITION_LIMIT} and` : "an integer ≥ 0 and"} < ${limit} (${limitReason})`,
    received: show(value),
    remedy: !tooLarge
      ? "A decoding step's position is its absolute token index."
      : limit === POSITION_LIMIT
        ? "Count from a nearer start: only differences of positions matter."
        : `If the model really admits it, extend ${limitReason}.`,
    facts: { position: value, index, limit },
  });
}

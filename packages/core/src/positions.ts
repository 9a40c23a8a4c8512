/**
 * Positions: all accepted forms, checked once and kept as one flat list.
 */

import { allocate, lengthOf, listOf, viewName } from "./element-types.ts";
import { RopeError, shapeError, show } from "./errors.ts";
import { checkKeys, own } from "./keys.ts";
import { isSize } from "./pairing.ts";
import { checkedView } from "./tensor.ts";
import type { ViewPlace } from "./tensor.ts";

/** A flat list of positions. 64-bit integers must lie within ±2^53. */
export type PositionArray = readonly number[] | Int32Array | Uint32Array | BigInt64Array | BigUint64Array;

/**
 * Positions of the tokens, counted from the start of the sequence:
 * - a flat list: shape `[tokens]`, shared by all rows of a batch;
 * - `{ start, count, step? }`: the positions `start + i · step`, shape `[tokens]`; `step` is an integer ≥ 1, default 1.
 *   Rank `r` of `n` has `{ start: r, count, step: n }` in round-robin context parallelism;
 * - `{ data, shape, strides?, offset? }` or nested lists: `[batch, tokens]`, or `[axes, tokens]` and
 *   `[axes, batch, tokens]` for a rope of several axes. `strides` and `offset` count elements of `data`, as those of
 *   tensors; stride 0 repeats a row.
 *
 * They are integers from 0. Ropes that declare `fractionalPositions` also take fractions, negative positions,
 * Float32Array, Float64Array, and any finite `step` other than 0.
 */
export type Positions =
  | PositionArray
  | Float32Array
  | Float64Array
  | readonly (readonly number[])[]
  | { readonly start: number | bigint; readonly count: number; readonly step?: number | undefined }
  | {
      readonly data: PositionArray | Float32Array | Float64Array;
      readonly shape: readonly number[];
      readonly strides?: readonly number[] | undefined;
      readonly offset?: number | undefined;
    };

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
  const { data: given, shape, place } = flatten(input, rules);
  const [axes, batch, tokens] = splitShape(shape, rules.axes);
  const count = axes * (batch ?? 1) * tokens;
  const data = place === undefined ? given : placed(given, place, count);
  const length = lengthOf(data);
  if (length !== count) throw misfit(`${count} positions for the shape [${shape.join(", ")}]`, `${length}`);
  const values = allocate("float64", count);
  let largest = -1;
  for (let i = 0; i < count; i++) {
    const position: unknown = data[i];
    // Number() would silently convert a string, null or true.
    const value = typeof position === "number" || typeof position === "bigint" ? Number(position) : NaN;
    if (!isAdmitted(value, rules)) throw rangeError(position, i, rules);
    values[i] = value;
    if (value > largest) largest = value;
  }
  if (known !== undefined && known.batch === batch && known.tokens === tokens && sameValues(known.values, values)) {
    return known;
  }
  return { axes, batch, tokens, values, largest };
}

const isAdmitted = (value: number, { fractional, limit }: PositionRules): boolean =>
  (fractional ? value > -POSITION_LIMIT : Number.isInteger(value) && value >= 0) && value < limit;

/** Compares by `===`: 0 and −0 are the same position. */
function sameValues(a: Float64Array, b: Float64Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

type Run = Extract<Positions, { readonly start: number | bigint }>;

const isRun = (input: Positions): input is Run => typeof input === "object" && input !== null && "start" in own(input);

/**
 * The most positions of a form whose memory does not grow with them: every integer that a rope takes, and every
 * negative one. More must not take memory.
 */
const MOST_POSITIONS = 2 * POSITION_LIMIT;

function requireFew(count: number): void {
  if (count > MOST_POSITIONS) throw misfit(`at most ${MOST_POSITIONS} positions`, `${count}`);
}

/** Evenly spaced positions: a check of the first and the last covers all. */
function resolveRun(run: Run, rules: PositionRules, known: ResolvedPositions | undefined): ResolvedPositions {
  const { start: first, count, step = 1 } = checkKeys("positions", run, ["start", "count", "step"]);
  const { axes, fractional } = rules;
  const isStep = step === 1 || (fractional ? Number.isFinite(step) && step !== 0 : isSize(step));
  if (!Number.isSafeInteger(count) || count < 0 || !isStep) {
    const steps = fractional ? "a finite step other than 0" : "an integer step ≥ 1";
    throw misfit(`an integer count ≥ 0 and ${steps}`, `count ${show(count)} and step ${show(step)}`);
  }
  const start = typeof first === "number" || typeof first === "bigint" ? Number(first) : NaN;
  if (known !== undefined && isTheRun(known, start, step, count)) return known;
  if (axes !== 1) splitShape([count], axes);
  if (!isAdmitted(start, rules)) throw rangeError(first, 0, rules);
  // Checked before the allocation: a run that is too long must not take memory.
  const last = count === 0 ? start : start + (count - 1) * step;
  if (!isAdmitted(last, rules)) throw rangeError(last, count - 1, rules);
  requireFew(count);
  const values = new Float64Array(count);
  for (let i = 0; i < count; i++) values[i] = start + i * step;
  return { axes, batch: undefined, tokens: count, values, largest: count === 0 ? -1 : Math.max(-1, start, last) };
}

/** Whether resolved positions are `count` positions from `start` on, `step` apart; no list is made. */
function isTheRun(
  { axes, batch, tokens, values }: ResolvedPositions,
  start: number,
  step: number,
  count: number,
): boolean {
  const fits = axes === 1 && batch === undefined && tokens === count && count > 0;
  // A step of another length, or of a decoding loop, differs in its last position.
  if (!fits || values[count - 1] !== start + (count - 1) * step) return false;
  for (let i = 0; i < count; i++) if (values[i] !== start + i * step) return false;
  return true;
}

function flatten(
  input: Positions,
  rules: PositionRules,
): { data: ArrayLike<number | bigint>; shape: readonly number[]; place?: ViewPlace } {
  const { fractional } = rules;
  if (isList(input, fractional)) return { data: input, shape: [lengthOf(input)!] };
  if (Array.isArray(input)) {
    const rows = listOf(input, MOST_POSITIONS)?.map((row) =>
      Array.isArray(row) ? (listOf(row, MOST_POSITIONS) as number[]) : undefined,
    );
    const width = rows?.[0]?.length;
    if (rows === undefined || width === undefined || rows.some((row) => row?.length !== width)) {
      throw misfit("nested lists of equal length", show(rows?.map((row) => row?.length)));
    }
    return { data: rows.flat() as number[], shape: [rows.length, width] };
  }
  if (typeof input === "object" && input !== null && "data" in input) {
    const keys = ["data", "shape", "strides", "offset"];
    const { data, shape: sizes, strides, offset } = checkKeys("positions", input, keys);
    if (isList(data, fractional)) {
      const place = checkedView("positions", { shape: sizes, strides, offset });
      const { shape } = place;
      return (strides ?? offset) === undefined ? { data, shape } : { data, shape, place };
    }
  }
  throw misfit(
    "number[], Int32Array, Uint32Array, BigInt64Array, BigUint64Array, { start, count, step? } or { data, shape, … }",
    show(input),
  );
}

/** The `count` elements of a view in the order of its shape. */
function placed(
  data: ArrayLike<number | bigint>,
  { shape, strides, offset = 0 }: ViewPlace,
  count: number,
): (number | bigint)[] {
  const length = lengthOf(data)!;
  // Strides of 0 repeat elements, so the data does not bound the count.
  if (count > length) requireFew(count);
  // An axis without elements leaves no place, whatever the sizes of the others.
  let places = count === 0 ? [] : [offset];
  let inside = count;
  shape.forEach((size, axis) => {
    inside /= size;
    const stride = strides?.[axis] ?? inside;
    places = places.flatMap((place) => Array.from({ length: size }, (_, i) => place + i * stride));
  });
  const outside = places.find((place) => !(place >= 0 && place < length));
  if (outside !== undefined) {
    throw misfit(`indices within 0…${length - 1}`, `index ${outside}`, "Strides and offset count elements.");
  }
  return places.map((place) => data[place]!);
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

/**
 * Rows of prompts: which tokens of a batch form a sequence, where each sequence starts, and what is padding. All prompt
 * builders take these options; a family only says which segments a sequence has.
 */

import { checkKeys, shapeError, show } from "@ropewalk/core/backend";
import { checkedCount, checkedList, checkedNumber, checkedRows, LARGEST, newPositions } from "./checks.ts";
import type { AxisPositions, Count, PositionArrays } from "./checks.ts";
import { place, startOf } from "./place.ts";
import type { PromptSegment } from "./place.ts";

/** What a cache holds of each sequence, for prompts that go on after it. */
export interface PromptPast {
  /** Real tokens in the cache, without padding: one number for all sequences, or one for each. */
  readonly tokens: Count | readonly Count[];
  /** The deltas that the builder gave for what is in the cache; 0 for text alone. */
  readonly deltas: readonly number[];
}

/**
 * How the tokens of a batch are laid out. A row is one sequence, unless it is packed: then each of its sequences is
 * placed as if it stood alone.
 */
export interface PromptRowOptions {
  /**
   * 1 (or `true`) for real tokens, 0 for padding, which may stand anywhere; `[batch][tokens]`. With `packed`, the
   * number of each token's sequence. Absent: there is no padding.
   */
  readonly attentionMask?: readonly ArrayLike<Count | boolean>[];
  /**
   * Whether `attentionMask` holds segment ids (`segment_ids`; LLaMA-Factory's `neat_packing`): 0 for padding, and one
   * number from 1 for all tokens of a sequence: `[1, 1, 2, 2, 0]`. Default `false`.
   */
  readonly packed?: boolean;
  /**
   * The other form of packing, as flash attention has it (`cu_seqlens`): for each row, where its sequences begin, and
   * the number of its tokens: `[0, 6, 12]`.
   */
  readonly cuSeqlens?: readonly ArrayLike<Count>[];
  /**
   * The position of the first token: one for all sequences, or for each sequence one number, or one for each axis.
   * Default 0. Deltas then count from there; with `past`, they count from the start of the cache.
   */
  readonly start?: Count | readonly (Count | readonly Count[])[];
  /** What stands in the cache. Sequences start at `tokens + delta`. Instead of `start`. */
  readonly past?: PromptPast;
}

/** The keys of {@link PromptRowOptions}. */
export const rowKeys: readonly (keyof PromptRowOptions)[] = ["attentionMask", "packed", "cuSeqlens", "start", "past"];

/** Positions of prompts, and the deltas for decoding. */
export interface PromptPositions<A extends Int32Array | Float32Array | Float64Array = Int32Array> {
  /** `[axes, batch, tokens]`. Padding has position 0, unless a builder says otherwise. */
  readonly positions: AxisPositions<A>;
  /**
   * For each sequence (a row, unless rows are packed), the next position minus the number of its real tokens. A decoded
   * token at index `n` (counted without padding) has position `n + delta` on every axis. If axes start at different
   * positions, that is the first axis, and the others keep their distance.
   */
  readonly deltas: readonly number[];
}

/** The tokens of one sequence. */
export interface Sequence {
  readonly row: number;
  /** The places of its real tokens in the row, ascending. */
  readonly columns: readonly number[];
}

/** The tokens of one sequence, and the position of the first on each axis. */
interface StartedSequence extends Sequence {
  readonly start: readonly number[];
}

/** What a family adds to {@link PromptRowOptions}. */
export interface RowRules<D extends keyof PositionArrays> {
  readonly axes: number;
  readonly dtype: D;
  /** The position of padding. */
  readonly fill?: number;
  /** The segments of a sequence: together as many tokens as its columns. Called in order. */
  segmentsOf(sequence: StartedSequence): readonly PromptSegment[];
}

/** Places all sequences of a batch of `batch` rows of `tokens` tokens. Keys are the caller's to check. */
export function placeRows<D extends keyof PositionArrays>(
  batch: number,
  tokens: number,
  options: PromptRowOptions,
  { axes, dtype, fill = 0, segmentsOf }: RowRules<D>,
): PromptPositions<PositionArrays[D]> {
  const sequences = sequencesOf(batch, tokens, options);
  const { starts, before } = startsOf(sequences.length, options, axes, dtype);
  const data = newPositions(axes * batch * tokens, "positions", dtype);
  data.fill(fill);
  const round = dtype === "float32" ? Math.fround : (sum: number): number => sum;
  const deltas = sequences.map((sequence, i) => {
    const { row, columns } = sequence;
    const start = starts[i]!;
    const placed = place(segmentsOf({ ...sequence, start }), { axes, start, dtype });
    if (placed.positions.shape[1] !== columns.length) {
      throw shapeError(`row ${row}`, `${columns.length} tokens, as its segments have`, `${placed.positions.shape[1]}`);
    }
    for (let axis = 0; axis < axes; axis++) {
      const to = (axis * batch + row) * tokens;
      columns.forEach((column, token) => {
        data[to + column] = placed.positions.data[axis * columns.length + token]!;
      });
    }
    return round(round(placed.largest + 1) - before[i]! - columns.length);
  });
  return { positions: { data, shape: [axes, batch, tokens] }, deltas };
}

/** The sequences of a batch, row by row. */
export function sequencesOf(
  batch: number,
  tokens: number,
  options: Pick<PromptRowOptions, "attentionMask" | "packed" | "cuSeqlens">,
): Sequence[] {
  const { cuSeqlens, packed = false } = options;
  if (typeof packed !== "boolean") throw shapeError("packed", "true or false", show(packed));
  if (packed && cuSeqlens !== undefined) {
    throw shapeError("cuSeqlens", "no packed beside it", "both", "Give the sequences in one way.");
  }
  const masks = rowsOf(options.attentionMask, "attentionMask", batch);
  if (packed && masks === undefined) throw shapeError("attentionMask", "segment ids, because of packed", "none");
  const bounds = rowsOf(cuSeqlens, "cuSeqlens", batch);
  return Array.from({ length: batch }, (_, row) => {
    const mask =
      masks?.[row] === undefined ? undefined : checkedMask(masks[row]!, tokens, packed, `attentionMask[${row}]`);
    if (packed) return segments(mask!, `attentionMask[${row}]`).map((columns) => ({ row, columns }));
    const ends = bounds === undefined ? [0, tokens] : checkedBounds(bounds[row]!, tokens, `cuSeqlens[${row}]`);
    return ends.slice(1).map((end, i) => {
      const columns = Array.from({ length: end - ends[i]! }, (__, j) => ends[i]! + j);
      return { row, columns: mask === undefined ? columns : columns.filter((column) => mask[column] === 1) };
    });
  }).flat();
}

function rowsOf<T>(value: readonly ArrayLike<T>[] | undefined, name: string, batch: number): T[][] | undefined {
  if (value === undefined) return undefined;
  const rows = checkedRows(value, name);
  if (rows.length !== batch) throw shapeError(name, `${batch} rows`, `${rows.length}`);
  return rows;
}

/** A row of a mask as numbers: 0 for padding, 1 for real tokens, or segment ids. */
function checkedMask(mask: readonly unknown[], tokens: number, packed: boolean, name: string): number[] {
  if (mask.length !== tokens) throw shapeError(name, `${tokens} tokens`, `${mask.length}`);
  return mask.map((value) => {
    const number =
      typeof value === "number" || typeof value === "bigint" || typeof value === "boolean" ? Number(value) : NaN;
    if (Number.isInteger(number) && number >= 0 && number <= (packed ? LARGEST : 1)) return number;
    const expected = packed ? "segment ids from 1, or 0 for padding" : "1 for tokens that count, 0 for padding";
    const ids = !packed && Number.isInteger(number) && number > 1;
    throw shapeError(name, expected, show(value), ids ? "Are these segment ids? Then say packed: true." : undefined);
  });
}

/** The columns of each segment of a row, in order. */
function segments(ids: readonly number[], name: string): number[][] {
  const found = new Map<number, number[]>();
  let last = 0;
  ids.forEach((id, column) => {
    if (id === 0) return;
    const columns = found.get(id);
    if (columns === undefined) found.set(id, [column]);
    else if (id === last) columns.push(column);
    else throw shapeError(name, "the tokens of a segment side by side", `segment ${id} again after segment ${last}`);
    last = id;
  });
  return [...found.values()];
}

function checkedBounds(row: readonly Count[], tokens: number, name: string): number[] {
  const bounds = row.map((bound, i) => checkedCount(bound, `${name}[${i}]`, 0));
  const rises = bounds.every((bound, i) => i === 0 || bound >= bounds[i - 1]!);
  if (bounds.length < 2 || bounds[0] !== 0 || bounds.at(-1) !== tokens || !rises) {
    throw shapeError(name, `rising numbers from 0 to the ${tokens} tokens of the row`, show(row));
  }
  return bounds;
}

/** Where each sequence starts on each axis, and how many of its tokens stand before. */
function startsOf(
  count: number,
  { past, start }: Pick<PromptRowOptions, "past" | "start">,
  axes: number,
  dtype: keyof PositionArrays,
): { starts: number[][]; before: number[] } {
  if (past === undefined) {
    const each = typeof start === "object" ? checkedList(start, "start", "the start of each sequence") : undefined;
    if (each !== undefined && each.length !== count) throw shapeError("start", `${count} sequences`, `${each.length}`);
    const starts = Array.from({ length: count }, (_, i) =>
      each === undefined
        ? promptStart((start as Count | undefined) ?? 0, axes, dtype, "start")
        : promptStart(each[i]!, axes, dtype, `start[${i}]`),
    );
    return { starts, before: new Array<number>(count).fill(0) };
  }
  if (start !== undefined) throw shapeError("start", "no past beside it", "both", "Say in one way where rows start.");
  checkKeys("the option past", past, ["tokens", "deltas"]);
  const deltas = checkedList(past.deltas, "past.deltas", "the delta of each sequence");
  const before = pastTokens(past.tokens, count, "past.tokens");
  if (deltas.length !== count) throw shapeError("past.deltas", `${count} sequences`, `${deltas.length}`);
  const starts = before.map((tokens, i) =>
    promptStart(tokens + checkedNumber(deltas[i]!, `past.deltas[${i}]`, dtype), axes, dtype, `past.deltas[${i}]`),
  );
  return { starts, before };
}

/** The start of a sequence on each axis: prompts count from 0. */
function promptStart(
  start: Count | readonly Count[],
  axes: number,
  dtype: keyof PositionArrays,
  name: string,
): number[] {
  const starts = startOf(start, axes, dtype, name);
  for (const value of starts) if (value < 0) throw shapeError(name, "a position ≥ 0", `${value}`);
  return starts;
}

/** The tokens in the cache, for each of `count` sequences. */
export function pastTokens(past: Count | readonly Count[], count: number, name: string): number[] {
  const each = typeof past === "object" ? checkedList(past, name, "the tokens of each sequence") : undefined;
  if (each !== undefined && each.length !== count) throw shapeError(name, `${count} sequences`, `${each.length}`);
  if (each === undefined) return new Array<number>(count).fill(checkedCount(past as Count, name, 0));
  return each.map((tokens, i) => checkedCount(tokens, `${name}[${i}]`, 0));
}

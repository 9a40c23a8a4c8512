/**
 * Positions of prompts with images and videos, from what a JavaScript engine has: a config, token ids and grids. The
 * rules are those of `promptRules`, the positions those of `promptPositions`; here are tensors in and tensors out.
 */

import { promptRules } from "@ropewalk/config";
import type { PromptRules } from "@ropewalk/config";
import { checkKeys, invalid, shapeError, show } from "@ropewalk/core/backend";
import { IMAGE, promptPositions, TEXT, VIDEO } from "@ropewalk/nd-qwen2vl/positions";
import type { PromptOptions } from "@ropewalk/nd-qwen2vl/positions";

/** A list of numbers, as plain array or typed array. */
export type IntegerList = ArrayLike<number | bigint | boolean>;

/** Integers in rows: nested lists, or a row-major tensor with `dims` (transformers.js, ONNX Runtime) or `shape`. */
export type IntegerRows =
  | readonly IntegerList[]
  | { readonly data: IntegerList; readonly dims: readonly number[] }
  | { readonly data: IntegerList; readonly shape: readonly number[] };

/** A row-major tensor of 64-bit integers; its memory is the caller's. */
export interface IntegerTensor {
  readonly data: BigInt64Array;
  readonly shape: readonly number[];
}

/** A prompt in tokens. `null` and `undefined` both say that something is not there. */
export interface PromptTokens {
  /** The parsed config.json of the whole model, or the `config` of a model of transformers.js. */
  readonly config: unknown;
  /** `[batch, tokens]`, with one image token for each merged patch. */
  readonly inputIds: IntegerRows;
  /** `[batch, tokens]`: 1 for real tokens, 0 for padding. Absent: there is no padding. */
  readonly attentionMask?: IntegerRows | null | undefined;
  /** `[images, 3]`: frames, height and width of each image in patches, in the order of the whole batch. */
  readonly imageGrids?: IntegerRows | null | undefined;
  /** `[videos, 3]`: the same for each video. */
  readonly videoGrids?: IntegerRows | null | undefined;
  /** Seconds between the frames of each video, for Qwen2.5-VL, which needs them wherever there is a video. */
  readonly secondsPerGrid?: ArrayLike<number> | { readonly data: ArrayLike<number> } | null | undefined;
  /** Where text continues after a video. Absent: as `promptRules` says, `"grid"`. */
  readonly advance?: "grid" | "max" | undefined;
  /** What stands in the cache before these tokens: the result of the call before. Absent: nothing. */
  readonly past?: TokenPast | null | undefined;
}

/** What stands in the cache: a {@link PromptTokenPositions}, or those parts of it that positions go on from. */
export interface TokenPast {
  /** The length of the cache, padding included. After text was decoded, it alone has grown. */
  readonly length: number;
  readonly deltas: IntegerRows;
  readonly cacheDeltas: IntegerRows;
}

/** The positions of a prompt in tokens, and what goes on from there needs. */
export interface PromptTokenPositions {
  /** `[3, batch, tokens]`: time, height, width. Padding has position 0. */
  readonly positions: IntegerTensor;
  /**
   * `[batch, 1]`: the next position minus the number of real tokens, as `get_rope_index` of Hugging Face 5 gives it. A
   * decoded token has the number of real tokens before it, plus delta.
   */
  readonly deltas: IntegerTensor;
  /**
   * `[batch, 1]`: the next position minus the length of the row with its padding, as transformers.js and Hugging Face 4
   * add it to the length of the cache. Equal to `deltas` where nothing is padded.
   */
  readonly cacheDeltas: IntegerTensor;
  /** The length of the cache with this prompt, padding included. */
  readonly length: number;
}

/**
 * Computes the positions of a prompt of token ids on the axes time, height and width, as the model that `config`
 * describes was trained with them.
 *
 * A text token has the same position `p` on all axes. In an image or video that starts at `p`, a token has `p + time`,
 * `p + row`, `p + column`, with rows and columns counted in merged patches. With `past`, positions go on after a cache:
 * the first token has `past.length + cacheDelta` on all axes, be it decoded text or a turn with images of its own.
 *
 * @returns int64 in new memory, owned by the caller: what `get_rope_index` returns, and deltas of both conventions.
 * @throws RopeError `ROPE_CONFIG` as {@link promptRules}; `ROPE_SHAPE` if image or video tokens do not fit the grids,
 * or if an argument has another form; `ROPE_INVALID_PARAMETERS` for an unknown option, or for seconds that the model
 * has no use for.
 * Source: Hugging Face transformers 5.24, `get_rope_index` and `compute_3d_position_ids` of the families that
 * `promptRules` knows, and their processors' `create_mm_token_type_ids`; for `cacheDeltas`, transformers.js 4.3,
 * `prepare_inputs_for_generation`.
 * @example
 * import { promptPositionsFromTokens } from "ropewalk";
 *
 * const config = { model_type: "qwen2_vl" };
 * // An image of one row and two columns.
 * const inputIds = [[1, 151652, 151655, 151655, 151653, 2]];
 * const prompt = promptPositionsFromTokens({ config, inputIds, imageGrids: [[1, 2, 4]] });
 * prompt.positions.data; // BigInt64Array [0, 1, 2, 2, 4, 5, 0, 1, 2, 2, 4, 5, 0, 1, 2, 3, 4, 5]
 * prompt.deltas.data; // BigInt64Array [0]
 * const decoded = promptPositionsFromTokens({ config, inputIds: [[3]], past: prompt });
 * decoded.positions.data; // BigInt64Array [6, 6, 6]
 */
export function promptPositionsFromTokens(options: PromptTokens): PromptTokenPositions {
  checkKeys("the options of promptPositionsFromTokens", options, promptTokenKeys);
  const rules = promptRules(options.config);
  const ids = rowsOf(options.inputIds, "inputIds").map((row, i) => row.map((id) => integer(id, `inputIds[${i}]`, 0)));
  const [batch, tokens] = [ids.length, ids[0]?.length ?? 0];
  const uneven = ids.findIndex((row) => row.length !== tokens);
  if (uneven > 0) {
    throw shapeError(`inputIds[${uneven}]`, `${tokens} tokens, as in row 0`, `${ids[uneven]!.length}`, "Pad rows.");
  }
  const masks = options.attentionMask == null ? undefined : rowsOf(options.attentionMask, "attentionMask");
  const merge = rules.mergeSize.value;
  const images = gridsOf(options.imageGrids, "imageGrids", [1, merge, merge]);
  const videos = gridsOf(options.videoGrids, "videoGrids", [rules.temporalMergeSize.value, merge, merge]);
  const past = options.past == null ? undefined : pastOf(options.past, batch);
  const modalities = ids.map((row) => kindsOf(row, rules));
  const real = modalities.map((row, i) => row.filter((_, token) => !isPadding(masks?.[i]?.[token])));
  checkRuns(real, IMAGE, merge, "imageGrids", images.entries());
  const isSplit = rules.time.value === "timestamps";
  checkRuns(real, VIDEO, merge, "videoGrids", isSplit ? frameByFrame(videos) : videos.entries());

  const { deltas, positions } = promptPositions({
    modalities,
    images,
    videos,
    mergeSize: merge,
    advance: options.advance ?? rules.advance.value,
    time: timeOf(rules, options.secondsPerGrid, videos.length),
    ...(past === undefined ? {} : { past }),
    // promptPositions refuses masks of anything but 0 and 1.
    ...(masks === undefined ? {} : { attentionMask: masks as readonly number[][] }),
  });
  const length = (options.past?.length ?? 0) + tokens;
  const cacheDeltas = deltas.map((delta, row) => delta + (past?.tokens[row] ?? 0) + real[row]!.length - length);
  return {
    positions: { data: BigInt64Array.from(positions.data, BigInt), shape: [3, batch, tokens] },
    deltas: { data: BigInt64Array.from(deltas, BigInt), shape: [batch, 1] },
    cacheDeltas: { data: BigInt64Array.from(cacheDeltas, BigInt), shape: [batch, 1] },
    length,
  };
}

const promptTokenKeys: readonly (keyof PromptTokens)[] = [
  "config",
  "inputIds",
  "attentionMask",
  "imageGrids",
  "videoGrids",
  "secondsPerGrid",
  "advance",
  "past",
];

type Grid = readonly [frames: number, height: number, width: number];

/** What the cache holds of each row: its real tokens, and the deltas that count from them. */
function pastOf(past: TokenPast, batch: number): { readonly tokens: number[]; readonly deltas: number[] } {
  checkKeys("the option past", past, ["positions", "deltas", "cacheDeltas", "length"]);
  const length = integer(past.length, "past.length", 0);
  const column = (value: unknown, name: string): number[] => {
    const rows = rowsOf(value, name);
    if (rows.length !== batch || rows.some((row) => row.length !== 1)) {
      throw shapeError(name, `one number for each of ${batch} rows`, `${rows.length} rows`);
    }
    return rows.map(([delta]) => integer(delta, name, -length));
  };
  const deltas = column(past.deltas, "past.deltas");
  const cacheDeltas = column(past.cacheDeltas, "past.cacheDeltas");
  // length + cacheDelta = real tokens + delta: both are the next position.
  const tokens = deltas.map((delta, row) => length + cacheDeltas[row]! - delta);
  if (tokens.some((count) => count < 0 || count > length)) {
    throw shapeError("past", `deltas of at most ${length} real tokens`, show(tokens), "Pass the result of one call.");
  }
  return { tokens, deltas };
}

const isPadding = (mask: unknown): boolean => mask === 0 || mask === 0n || mask === false;

/** The kind of each token of a row. */
function kindsOf(ids: readonly number[], rules: PromptRules): (typeof TEXT | typeof IMAGE | typeof VIDEO)[] {
  const { aroundVideo, imageToken, videoToken } = rules;
  // As GLM's processors do: inside means that more videos have begun than ended.
  let inside = 0;
  return ids.map((id) => {
    if (id === aroundVideo?.start.value) inside++;
    if (id === aroundVideo?.end.value) inside--;
    if (id === imageToken.value) return inside > 0 ? VIDEO : IMAGE;
    return id === videoToken.value ? VIDEO : TEXT;
  });
}

/** Checks that the runs of one kind of token are as long as the grids say, in the words of tokens and grids. */
function checkRuns(
  rows: readonly (readonly number[])[],
  kind: typeof IMAGE | typeof VIDEO,
  merge: number,
  name: string,
  grids: Iterator<readonly [index: number, grid: Grid]>,
): void {
  const what = kind === IMAGE ? "an image" : "a video";
  let left = 0;
  let shown = "";
  for (const [row, kinds] of rows.entries()) {
    for (const [token, is] of kinds.entries()) {
      if (is === kind && left === 0) {
        const { done, value } = grids.next();
        if (done === true) {
          throw shapeError(name, `a grid for each run of tokens of ${what}`, `none for token ${token} of row ${row}`);
        }
        const [index, [frames, height, width]] = value;
        left = (frames * height * width) / merge ** 2;
        shown = `${left} tokens of ${what} in a row, one for ${merge} × ${merge} patches of ${name}[${index}] = ${frames} × ${height} × ${width}`;
      }
      if (is === kind) left--;
      else if (left > 0) throw misfit(row, shown, left);
    }
    if (left > 0) throw misfit(row, shown, left);
  }
  const { done, value } = grids.next();
  if (done !== true) {
    throw shapeError(name, "as many grids as the tokens show", `${name}[${value[0]}], for which there are no tokens`);
  }
}

function misfit(row: number, expected: string, left: number): Error {
  return shapeError(
    `inputIds[${row}]`,
    expected,
    `${left} fewer`,
    "Repeat the placeholder once for each merged patch.",
  );
}

function* frameByFrame(videos: readonly Grid[]): Generator<readonly [number, Grid], undefined> {
  for (const [index, [frames, height, width]] of videos.entries()) {
    for (let frame = 0; frame < frames; frame++) yield [index, [1, height, width]];
  }
  return undefined;
}

function timeOf(rules: PromptRules, given: PromptTokens["secondsPerGrid"], videos: number): PromptOptions["time"] & {} {
  const { time, tokensPerSecond } = rules;
  if (time.value !== "seconds") {
    if (given == null) return time.value;
    throw invalid("the options of promptPositionsFromTokens", [
      {
        path: "secondsPerGrid",
        expected: `nothing for ${rules.family.value}, which has no use for it`,
        received: show(given),
      },
    ]);
  }
  if (given == null && videos > 0) {
    throw shapeError(
      "secondsPerGrid",
      `the seconds between the frames of each of ${videos} videos`,
      "nothing",
      "It is the processor's second_per_grid_ts; transformers takes 1 where it is not there.",
    );
  }
  const { data = given } = Object(given) as { readonly data?: unknown };
  const seconds = given == null ? [] : elements(data, "secondsPerGrid", "a list of seconds");
  return { tokensPerSecond: tokensPerSecond!.value, secondsPerGrid: seconds as number[] };
}

/** The grids in patches, but with merged frames. `merges`: what makes one token, along each axis. */
function gridsOf(value: PromptTokens["imageGrids"], name: string, merges: Grid): Grid[] {
  if (value == null) return [];
  return rowsOf(value, name).map((row, i) => {
    if (row.length !== 3) throw shapeError(`${name}[${i}]`, "[frames, height, width]", `${row.length} numbers`);
    const sizes = row.map((size) => integer(size, `${name}[${i}]`, 1));
    if (sizes.some((size, axis) => size % merges[axis]! !== 0)) {
      throw shapeError(`${name}[${i}]`, `multiples of ${merges.join(" × ")}, which make one token`, sizes.join(" × "));
    }
    return [sizes[0]! / merges[0], sizes[1]!, sizes[2]!];
  });
}

/** The rows of a nested list or of a tensor. */
function rowsOf(value: unknown, name: string): unknown[][] {
  const expected = "rows of integers, or a tensor { data, dims } of two axes";
  if (Array.isArray(value)) return value.map((row, i) => elements(row, `${name}[${i}]`, "a row of integers"));
  const { data, dims, shape = dims } = Object(value) as { data?: unknown; dims?: unknown; shape?: unknown };
  if (data === undefined || shape === undefined) throw shapeError(name, expected, show(value));
  const all = elements(data, `${name}.data`, "the elements of a tensor");
  const sizes = elements(shape, `${name}.dims`, "the sizes of a tensor").map((size) =>
    integer(size, `${name}.dims`, 0),
  );
  if (sizes.length !== 2 || sizes[0]! * sizes[1]! !== all.length) {
    throw shapeError(name, expected, `${all.length} elements of shape [${sizes.join(", ")}]`);
  }
  const [count, length] = sizes as [number, number];
  return Array.from({ length: count }, (_, row) => all.slice(row * length, (row + 1) * length));
}

function elements(value: unknown, name: string, expected: string): unknown[] {
  if (!Array.isArray(value) && !(ArrayBuffer.isView(value) && "length" in value)) {
    throw shapeError(name, expected, show(value));
  }
  return Array.from(value as ArrayLike<unknown>);
}

function integer(value: unknown, name: string, least: number): number {
  const number = typeof value === "bigint" ? Number(value) : value;
  if (!Number.isSafeInteger(number) || (number as number) < least) {
    throw shapeError(name, `an integer ≥ ${least}`, show(value));
  }
  return number as number;
}

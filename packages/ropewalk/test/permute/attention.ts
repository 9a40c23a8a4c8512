/**
 * An attention of the tests' own, in plain loops and float64: products of rotated queries and keys from the weights of
 * a file. It shares no code with the package. It is compared with transformers before it judges anything.
 */

/** A tensor as numbers. */
export interface Numbers {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

export type Weights = Readonly<Record<string, Numbers>>;
export type Scores = readonly (readonly (readonly number[])[])[];
type Vector = number[];

export interface Norm {
  readonly names: readonly [query: string, key: string];
  /** `layer` takes the mean away. */
  readonly kind: "rms" | "layer";
  readonly over: "head" | "all";
  readonly after?: boolean;
  /** The weights are stored less 1. */
  readonly lessOne?: boolean;
}

export interface AttentionModel {
  /** `model.layers.0.self_attn` */
  readonly prefix: string;
  readonly heads: number;
  readonly keyHeads: number;
  readonly headDim: number;
  readonly rotaryDim?: number;
  readonly base: number;
  readonly eps?: number;
  readonly norm?: Norm;
  /** How queries and keys come out of projections. */
  readonly layout:
    | { readonly kind: "separate"; readonly query: string; readonly key: string; readonly gated?: boolean }
    | { readonly kind: "fused"; readonly name: string; readonly order: "concatenated" | "per-group" | "quarters" }
    | { readonly kind: "latent"; readonly unrotated: number; readonly rank: number; readonly valueDim: number };
  /** LoRA: the update is this factor times B A. */
  readonly scale?: number;
}

export type TestPairing = "half" | "adjacent";

/** Products of each query with each key, by query head. */
export function scores(
  weights: Weights,
  model: AttentionModel,
  input: { readonly hidden: readonly (readonly number[])[]; readonly positions: readonly number[] },
  pairing: TestPairing,
): Scores {
  const { heads, keyHeads } = model;
  const tokens = input.hidden.map((x, t) => token(weights, model, [...x], input.positions[t]!, pairing));
  return Array.from({ length: heads }, (_, head) =>
    tokens.map(({ queries }) =>
      tokens.map(({ keys }) => dot(queries[head]!, keys[Math.floor((head * keyHeads) / heads)]!)),
    ),
  );
}

function token(
  weights: Weights,
  model: AttentionModel,
  x: Vector,
  position: number,
  pairing: TestPairing,
): { queries: Vector[]; keys: Vector[] } {
  const { base, headDim, norm, rotaryDim = headDim } = model;
  const raw = model.layout.kind === "latent" ? latent(weights, model, x) : plain(weights, model, x);
  const sides = [raw.queries, raw.keys].map((side, which) => {
    let vectors = side;
    const normed = (): void => {
      if (norm !== undefined) vectors = normalise(weights, model, norm, norm.names[which]!, vectors);
    };
    if (norm?.after !== true) normed();
    vectors = vectors.map((vector) => rotate(vector, { position, base, rotaryDim, first: raw.first, pairing }));
    if (norm?.after === true) normed();
    return vectors;
  });
  return { queries: sides[0]!, keys: sides[1]! };
}

/** Queries and keys before norms. `first`: the first rotated element. */
interface Raw {
  readonly queries: Vector[];
  readonly keys: Vector[];
  readonly first: number;
}

function plain(weights: Weights, model: AttentionModel, x: Vector): Raw {
  const { heads, headDim, keyHeads, layout, prefix, scale } = model;
  if (layout.kind === "separate") {
    const queries = chunks(linear(weights, `${prefix}.${layout.query}`, x, scale), headDim * (layout.gated ? 2 : 1));
    const keys = chunks(linear(weights, `${prefix}.${layout.key}`, x, scale), headDim);
    return { queries: queries.map((query) => query.slice(0, headDim)), keys, first: 0 };
  }
  if (layout.kind !== "fused") throw new Error("another layout");
  const all = chunks(linear(weights, `${prefix}.${layout.name}`, x, scale), headDim);
  const queries: Vector[] = [];
  const keys: Vector[] = [];
  if (layout.order === "concatenated") {
    queries.push(...all.slice(0, heads));
    keys.push(...all.slice(heads, heads + keyHeads));
  } else if (layout.order === "per-group") {
    for (const group of grouped(all, heads / keyHeads + 2)) {
      queries.push(...group.slice(0, -2));
      keys.push(group.at(-2)!);
    }
  } else {
    // Query, value, key in each of four parts.
    for (const part of grouped(all, (3 * heads) / 4)) {
      queries.push(...part.slice(0, heads / 4));
      keys.push(...part.slice(heads / 2));
    }
  }
  return { queries, keys, first: 0 };
}

function latent(weights: Weights, { eps = 1e-6, heads, layout, prefix }: AttentionModel, x: Vector): Raw {
  if (layout.kind !== "latent") throw new Error("another layout");
  const { rank, unrotated, valueDim } = layout;
  const compressed = compressedQuery(weights, prefix, x, eps);
  const query =
    compressed === undefined
      ? linear(weights, `${prefix}.q_proj`, x)
      : linear(weights, `${prefix}.q_b_proj`, compressed);
  const both = linear(weights, `${prefix}.kv_a_proj_with_mqa`, x);
  const inner = weigh(unit(both.slice(0, rank), eps), weights[`${prefix}.kv_a_layernorm.weight`]!, 0, 0);
  const open = chunks(linear(weights, `${prefix}.kv_b_proj`, inner), unrotated + valueDim);
  const shared = both.slice(rank);
  return {
    queries: chunks(query, query.length / heads),
    keys: open.map((head) => [...head.slice(0, unrotated), ...shared]),
    first: unrotated,
  };
}

export function compressedQuery(weights: Weights, prefix: string, x: Vector, eps: number): Vector | undefined {
  const norm = weights[`${prefix}.q_a_layernorm.weight`];
  return norm && weigh(unit(linear(weights, `${prefix}.q_a_proj`, x), eps), norm, 0, 0);
}

/** The products of an indexer: its heads are rotated in their first elements, its one key is normed before. */
export function indexerScores(
  weights: Weights,
  { base, prefix, eps = 1e-6 }: Pick<AttentionModel, "prefix" | "base" | "eps">,
  { heads, headDim, rotaryDim }: { readonly heads: number; readonly headDim: number; readonly rotaryDim: number },
  input: { readonly hidden: readonly (readonly number[])[]; readonly positions: readonly number[] },
  pairing: TestPairing,
): Scores {
  const tokens = input.hidden.map((row, t) => {
    const x = [...row];
    const turn = (vector: Vector): Vector =>
      rotate(vector, { position: input.positions[t]!, base, rotaryDim, first: 0, pairing });
    const queries = chunks(
      linear(weights, `${prefix}.indexer.wq_b`, compressedQuery(weights, prefix, x, eps)!),
      headDim,
    );
    const key = unit(linear(weights, `${prefix}.indexer.wk`, x), 1e-6, true);
    const weighed = weigh(key, weights[`${prefix}.indexer.k_norm.weight`]!, 0, 0);
    const bias = weights[`${prefix}.indexer.k_norm.bias`]!;
    return { queries: queries.map(turn), key: turn(weighed.map((value, i) => value + bias.data[i]!)) };
  });
  return Array.from({ length: heads }, (_, head) =>
    tokens.map(({ queries }) => tokens.map(({ key }) => dot(queries[head]!, key))),
  );
}

function normalise(weights: Weights, model: AttentionModel, norm: Norm, name: string, heads: Vector[]): Vector[] {
  const { eps = 1e-6, prefix } = model;
  const centred = norm.kind === "layer";
  const more = norm.lessOne === true ? 1 : 0;
  const normed =
    norm.over === "all"
      ? chunks(unit(heads.flat(), eps, centred), heads[0]!.length)
      : heads.map((head) => unit(head, eps, centred));
  return normed.map((head, i) => {
    const own = `${prefix}.${name}.norms.${i}`;
    const at = weights[`${own}.weight`] === undefined ? `${prefix}.${name}` : own;
    const weight = weights[`${at}.weight`]!;
    const bias = weights[`${at}.bias`];
    // One head's weights, or those of all heads one after another.
    const start = weight.data.length > head.length ? i * head.length : 0;
    const result = weigh(head, weight, start, more);
    return bias === undefined ? result : result.map((value, j) => value + bias.data[start + j]!);
  });
}

const weigh = (vector: Vector, weight: Numbers, start: number, more: number): Vector =>
  vector.map((value, i) => value * (weight.data[start + i]! + more));

function unit(vector: Vector, eps: number, centred = false): Vector {
  const mean = centred ? vector.reduce((sum, value) => sum + value, 0) / vector.length : 0;
  const moved = vector.map((value) => value - mean);
  const size = Math.sqrt(moved.reduce((sum, value) => sum + value * value, 0) / vector.length + eps);
  return moved.map((value) => value / size);
}

interface Turn {
  readonly position: number;
  readonly base: number;
  readonly rotaryDim: number;
  readonly first: number;
  readonly pairing: TestPairing;
}

function rotate(vector: Vector, { base, first, pairing, position, rotaryDim }: Turn): Vector {
  const result = [...vector];
  for (let pair = 0; pair < rotaryDim / 2; pair++) {
    const angle = position * base ** ((-2 * pair) / rotaryDim);
    const a = first + (pairing === "half" ? pair : 2 * pair);
    const b = pairing === "half" ? a + rotaryDim / 2 : a + 1;
    result[a] = vector[a]! * Math.cos(angle) - vector[b]! * Math.sin(angle);
    result[b] = vector[b]! * Math.cos(angle) + vector[a]! * Math.sin(angle);
  }
  return result;
}

/** W x + b, with what adapters add: PEFT's and mlx-lm's LoRA, and DoRA. */
function linear(weights: Weights, name: string, x: Vector, scale = 1): Vector {
  const find = (...names: string[]): Numbers | undefined => {
    const key = names.map((each) => `${name}.${each}`).find((each) => weights[each] !== undefined);
    return key === undefined ? undefined : weights[key];
  };
  const weight = find("weight", "base_layer.weight", "linear.weight")!;
  const bias = find("bias", "base_layer.bias", "linear.bias");
  const [rows, columns] = weight.shape as [number, number];
  const matrix = Array.from({ length: rows }, (_, i) =>
    Array.from({ length: columns }, (__, j) => weight.data[i * columns + j]!),
  );
  const [a, b] = [find("lora_A.default.weight", "lora_A.weight"), find("lora_B.default.weight", "lora_B.weight")];
  const [down, up] = [find("lora_a"), find("lora_b")];
  const add = (update: (i: number, j: number) => number): void =>
    matrix.forEach((row, i) => row.forEach((value, j) => (row[j] = value + scale * update(i, j))));
  if (a !== undefined && b !== undefined) {
    const [rank] = a.shape as [number];
    add((i, j) => sum(rank, (r) => b.data[i * rank + r]! * a.data[r * columns + j]!));
  }
  if (down !== undefined && up !== undefined) {
    const [, rank] = down.shape as [number, number];
    add((i, j) => sum(rank, (r) => down.data[j * rank + r]! * up.data[r * rows + i]!));
  }
  const magnitude = find("lora_magnitude_vector.default.weight", "lora_magnitude_vector", "m");
  if (magnitude !== undefined) {
    matrix.forEach((row, i) => {
      const length = Math.hypot(...row);
      row.forEach((value, j) => (row[j] = (magnitude.data[i]! * value) / length));
    });
  }
  return matrix.map((row, i) => dot(row, x) + (bias?.data[i] ?? 0));
}

const sum = (count: number, of: (i: number) => number): number => {
  let total = 0;
  for (let i = 0; i < count; i++) total += of(i);
  return total;
};

const dot = (a: readonly number[], b: readonly number[]): number => sum(a.length, (i) => a[i]! * b[i]!);

const grouped = <T>(list: readonly T[], size: number): T[][] =>
  Array.from({ length: list.length / size }, (_, i) => list.slice(i * size, (i + 1) * size));

const chunks = (vector: Vector, size: number): Vector[] => grouped(vector, size);

/** The largest difference of two lists of scores. */
export function distance(a: Scores, b: Scores): number {
  const [left, right] = [a.flat(2), b.flat(2)];
  if (left.length !== right.length) throw new Error(`${left.length} and ${right.length} scores`);
  return Math.max(...left.map((value, i) => Math.abs(value - right[i]!)));
}

/** Where in a tensor the rows of rotated heads lie. */

import type { FusedOrder, ProjectionShape, RotaryEmbedding } from "../../index.ts";
import { CliFailure } from "../failure.ts";
import { isNorm } from "./names.ts";
import type { Lie, Role } from "./names.ts";
import type { SourceTensor } from "./source.ts";

/** A run of heads. The rows of each head are permuted. */
export interface Run {
  readonly first: number;
  readonly heads: number;
}

/** A head, and the part of it that is rotated, in rows. */
export interface Head {
  readonly headDim: number;
  readonly rotaryDim: number;
  readonly rotaryOffset: number;
}

/** A tensor whose rows are permuted. What is moved is called a row here: a row of a matrix, or a single element. */
export interface Layout extends Head {
  readonly rowBytes: number;
  readonly runs: readonly Run[];
}

/** What is known of the tensors of one attention. */
export interface Attention {
  readonly rope: RotaryEmbedding;
  readonly indexer: RotaryEmbedding | null;
  readonly projections: ProjectionShape;
  /** How a fused projection lies, if the user says it. */
  readonly fused: FusedOrder | undefined;
}

/**
 * @returns the rows to permute, or `undefined` for a tensor that has none: the norm of compressed queries.
 * @throws CliFailure if the tensor does not fit the config, or does not lie in rows.
 */
export function layoutOf(tensor: SourceTensor, role: Role, lie: Lie, attention: Attention): Layout | undefined {
  const { shape, start, end, path, name } = tensor;
  // A bias that a pattern of the user fits has one axis.
  const axes = lie === "elements" ? shape.length > 0 : shape.length === 2 || (lie === "rows" && shape.length === 1);
  if (shape.includes(0) || !axes) {
    throw new CliFailure(
      "FILE_FORMAT",
      `${path} gives ${name} the shape [${shape.join(", ")}]; expected ${lie === "elements" ? "elements" : "rows and columns"}.`,
    );
  }
  if (tensor.packed) {
    throw new CliFailure(
      "FILE_FORMAT",
      `${path} holds ${name} as ${tensor.dtype}: packed rows cannot be moved; expected floating-point weights.`,
    );
  }
  const count = shape.reduce((product, size) => product * size, 1);
  // A transposed matrix is as many vectors as it has rows.
  const rows = lie === "rows" ? shape[0]! : lie === "columns" ? shape[1]! : count;
  const times = lie === "columns" ? shape[0]! : 1;
  const rowBytes = (end - start) / (rows * times);
  if (!Number.isInteger(rowBytes)) {
    throw new CliFailure("FILE_FORMAT", `${path} holds ${name} as ${tensor.dtype}, whose rows do not end at bytes.`);
  }
  const found = runsOf(tensor, role, rows, attention);
  if (found === undefined) return undefined;
  const { head, runs } = found;
  const repeated = Array.from({ length: times }, (_, i) =>
    runs.map((run) => ({ ...run, first: run.first + i * rows })),
  ).flat();
  return { ...head, rowBytes, runs: repeated };
}

interface Found {
  readonly head: Head;
  readonly runs: readonly Run[];
}

function runsOf(tensor: SourceTensor, role: Role, rows: number, attention: Attention): Found | undefined {
  if (role.startsWith("indexer")) return indexerRuns(tensor, role, rows, attention);
  const { projections, rope } = attention;
  if (isNorm(role)) return normRuns(tensor, role, rows, attention);
  const head = projectionHead(role, attention);
  if (role === "fused") return { head, runs: fusedRuns(tensor, rows, head.headDim, attention) };
  const heads = role === "key" ? projections.keyHeads : projections.heads;
  const { headDim } = head;
  if (role === "query" && projections.gatedQuery.value) {
    const plain = heads === null ? undefined : heads.value * headDim;
    if (rows === plain) return { head, runs: [{ first: 0, heads: heads!.value }] };
    const count = wholeHeads(tensor, rows, 2 * headDim, heads && [heads.value], "its gate included, ");
    return { head, runs: Array.from({ length: count }, (_, i) => ({ first: 2 * i * rope.headDim, heads: 1 })) };
  }
  return { head, runs: [{ first: 0, heads: wholeHeads(tensor, rows, headDim, heads && [heads.value]) }] };
}

/** In latent attention the rotated rows come last, in query heads and in the one shared key. */
function projectionHead(role: Role, { projections: { latent }, rope }: Attention): Head {
  const { headDim, rotaryDim, rotaryOffset } = rope;
  if (latent === null) return { headDim, rotaryDim, rotaryOffset };
  const { value: before } = role === "key" ? latent.keyValueRank : latent.unrotatedDim;
  return { headDim: before + headDim, rotaryDim, rotaryOffset: before + rotaryOffset };
}

/** A norm covers one head, or all heads, each with its own weights or together. */
function normRuns(tensor: SourceTensor, role: Role, rows: number, attention: Attention): Found | undefined {
  const { latent, heads, keyHeads } = attention.projections;
  const counts = role === "key-norm" ? keyHeads : heads;
  if (latent === null) {
    const head = projectionHead(role, attention);
    const covered = wholeHeads(tensor, rows, head.headDim, counts && [1, counts.value]);
    return { head, runs: [{ first: 0, heads: covered }] };
  }
  // Latent attention: of the compressed queries, of a head, or of its rotated part.
  const { headDim, rotaryDim, rotaryOffset } = attention.rope;
  const before = latent.unrotatedDim.value;
  const fits: readonly (readonly [rows: number | undefined, head: Head | undefined])[] = [
    [role === "query-norm" ? latent.queryRank?.value : latent.keyValueRank.value, undefined],
    [before + headDim, { headDim: before + headDim, rotaryDim, rotaryOffset: before + rotaryOffset }],
    [headDim, { headDim, rotaryDim, rotaryOffset }],
  ];
  const fitting = fits.filter(([size]) => size === rows);
  if (fitting.length !== 1) {
    throw new CliFailure(
      "FILE_FORMAT",
      `${tensor.path} gives ${tensor.name} ${rows} elements; in latent attention it is not clear what they are: expected ${fits.flatMap(([size]) => size ?? []).join(", ")}, each of another meaning. Say --leave-pattern if it is no norm of what is rotated.`,
    );
  }
  const head = fitting[0]![1];
  return head && { head, runs: [{ first: 0, heads: 1 }] };
}

function indexerRuns(tensor: SourceTensor, role: Role, rows: number, attention: Attention): Found {
  const { indexer, projections } = attention;
  if (indexer === null) {
    throw new CliFailure(
      "FILE_FORMAT",
      `${tensor.path} holds ${tensor.name}, but by the config this layer has no indexer with a rope. Is it the config of this file? Say --leave-pattern if the indexer is not rotated.`,
    );
  }
  const { headDim, rotaryDim, rotaryOffset } = indexer;
  const expected = role === "indexer-query" ? projections.indexerHeads && [projections.indexerHeads.value] : [1];
  const heads = wholeHeads(tensor, rows, headDim, expected);
  return { head: { headDim, rotaryDim, rotaryOffset }, runs: [{ first: 0, heads }] };
}

function wholeHeads(
  { name, path }: SourceTensor,
  rows: number,
  headDim: number,
  expected: readonly number[] | null,
  what = "",
): number {
  const heads = rows / headDim;
  if (!Number.isInteger(heads) || (expected !== null && !expected.includes(heads))) {
    const counts = expected === null ? "heads" : [...new Set(expected)].join(" or ");
    const sizes = expected === null ? "" : ` = ${[...new Set(expected)].map((count) => count * headDim).join(" or ")}`;
    throw new CliFailure(
      "FILE_FORMAT",
      `${path} gives ${name} ${rows} rows; ${what}the config asks for ${counts} of ${headDim}${sizes}. Is it the config of this file?`,
    );
  }
  return heads;
}

/** The rows of queries and keys in a fused projection. Values are not permuted. */
function fusedRuns(tensor: SourceTensor, rows: number, headDim: number, attention: Attention): Run[] {
  const { name, path } = tensor;
  const { fused, heads, keyHeads } = attention.projections;
  const order = orderOf(tensor, fused?.value, fused?.rule, attention.fused);
  const [query, key] = [heads?.value, keyHeads?.value];
  if (query === undefined || key === undefined || query % key !== 0) {
    throw new CliFailure(
      "FILE_FORMAT",
      `the config does not say how many heads ${name} has: expected num_attention_heads, and num_key_value_heads that divide it.`,
    );
  }
  if (rows !== (query + 2 * key) * headDim) {
    throw new CliFailure(
      "FILE_FORMAT",
      `${path} gives ${name} ${rows} rows; ${query} query heads and 2 · ${key} key and value heads of ${headDim} are ${(query + 2 * key) * headDim}. Is it the config of this file?`,
    );
  }
  if (order === "concatenated") return [{ first: 0, heads: query + key }];
  if (order === "per-group") {
    const group = query / key;
    return Array.from({ length: key }, (_, i) => ({ first: i * (group + 2) * headDim, heads: group + 1 }));
  }
  if (key !== query || query % 4 !== 0) {
    throw new CliFailure(
      "FILE_FORMAT",
      `${name} has four parts, which ${query} heads do not fill. Is it the config of this file?`,
    );
  }
  const quarter = query / 4;
  return Array.from({ length: 4 }, (_, part) => {
    const first = 3 * part * quarter * headDim;
    return [
      { first, heads: quarter },
      { first: first + 2 * quarter * headDim, heads: quarter },
    ];
  }).flat();
}

function orderOf(
  { name, path }: SourceTensor,
  known: FusedOrder | undefined,
  rule: string | undefined,
  stated: FusedOrder | undefined,
): FusedOrder {
  if (known !== undefined && stated !== undefined && known !== stated) {
    throw new CliFailure("USAGE", `--fused says ${stated}, but ${name} is ${known} (${rule}): leave --fused out.`);
  }
  const order = known ?? stated;
  if (order !== undefined) return order;
  throw new CliFailure(
    "USAGE",
    `${path} holds ${name}, which makes queries, keys and values at once: say how they lie with --fused concatenated (all queries, all keys, all values: Phi-3) or --fused per-group (queries, key and value of one group after another: GPT-NeoX, Falcon).`,
  );
}

/** Plans `ropewalk permute`: finds the rows of each tensor that belong to rotated heads. */

import { attentionShape, ropesFromConfig } from "../index.ts";
import type { AttentionShape, LatentShape, ModelRopes, RotaryEmbedding } from "../index.ts";
import { CliFailure } from "./failure.ts";
import type { SafetensorsHeader } from "./safetensors.ts";

/** The order of heads in the rows of a fused projection, which makes queries, keys and values together. */
export type Fused = "concatenated" | "per-group";

export interface PlanOptions {
  readonly queryPattern?: string;
  readonly keyPattern?: string;
  readonly fusedPattern?: string;
  readonly fused?: Fused;
  readonly family?: string;
}

/** A run of heads in the rows of a tensor. The rows of each head are permuted. */
export interface RowRun {
  readonly firstRow: number;
  readonly heads: number;
}

/** A tensor whose rows are permuted. */
export interface PlannedTensor {
  readonly name: string;
  /** The number of rows. */
  readonly rows: number;
  readonly rowBytes: number;
  readonly start: number;
  readonly headDim: number;
  readonly rotaryDim: number;
  readonly rotaryOffset: number;
  readonly runs: readonly RowRun[];
}

export interface Plan {
  /** The tensors to permute, in the order of the file. */
  readonly tensors: readonly PlannedTensor[];
  /** Query and key projections of layers that have no rope. */
  readonly withoutRope: number;
  /** The pairing of the published files of the config's family. */
  readonly published: RotaryEmbedding["pairing"];
}

/** The end of a name: `.weight` or `.bias`, also of LoRA's B, whose rows are those of the projection. */
const PARTS = String.raw`(?:\.lora_B(?:\.\w+)?)?\.(?:weight|bias)$`;
const queries = new RegExp(String.raw`(?:^|\.)(?:q_proj|wq|query|q_norm|q_layernorm|q_b_proj)${PARTS}`);
const keys = new RegExp(String.raw`(?:^|\.)(?:k_proj|wk|key|k_norm|k_layernorm|kv_a_proj_with_mqa)${PARTS}`);
const fusedNames = new RegExp(String.raw`(?:^|\.)(?:qkv_proj|query_key_value|Wqkv|c_attn|attn_qkv)${PARTS}`);
/** Names of projections whose rows cannot be moved one by one: quantised blocks, scales. */
const packed =
  /(?:^|\.)(?:q_proj|k_proj|wq|wk|qkv_proj|query_key_value|Wqkv|q_b_proj|kv_a_proj_with_mqa)\.(?!weight$|bias$|lora_[AB]\b|base_layer\b).*$/;
/** Vision and audio towers have other ropes. */
const towers = /(?:^|\.)(?:vision|visual|image|audio|vit)(?:_|\.|\w*\.)/;

/** @throws CliFailure if a tensor cannot be permuted correctly, or if no tensor would be permuted. */
export function planPermutation(header: SafetensorsHeader, config: unknown, path: string, options: PlanOptions): Plan {
  const ropes = ropesFromConfig(config, { family: options.family });
  const attention = attentionShape(config);
  const patterns = {
    query: pattern("--query-pattern", options.queryPattern) ?? queries,
    key: pattern("--key-pattern", options.keyPattern) ?? keys,
    fused: pattern("--fused-pattern", options.fusedPattern) ?? fusedNames,
  };
  const tensors: PlannedTensor[] = [];
  let withoutRope = 0;

  for (const name of header.names) {
    const custom =
      options.queryPattern !== undefined || options.keyPattern !== undefined || options.fusedPattern !== undefined;
    if (towers.test(name) && !custom) continue;
    const role = (["query", "key", "fused"] as const).find((key) => patterns[key].test(name));
    if (role === undefined) {
      if (packed.test(name)) {
        throw new CliFailure(
          "FILE_FORMAT",
          `${path} holds ${name}: a quantised projection, whose blocks may span rows; expected .weight and .bias in a plain element type. Permute before quantising.`,
        );
      }
      continue;
    }
    const { dtype, end, shape, start } = header.extent(name);
    const [rows] = shape;
    if (rows === undefined || rows === 0) {
      throw new CliFailure(
        "FILE_FORMAT",
        `${path} gives ${name} the shape [${shape.join(", ")}]; a projection has rows.`,
      );
    }
    if ((end - start) % rows !== 0 || /^[IU]\d|^F[48]_E2M1|^F4/.test(dtype)) {
      throw new CliFailure(
        "FILE_FORMAT",
        `${path} holds ${name} as ${dtype}: packed rows cannot be moved; expected floating-point weights.`,
      );
    }
    const rope = ropeOfTensor(name, ropes, path);
    if (rope === null) {
      withoutRope++;
      continue;
    }
    const head = headOf(role, name, rope, attention.latent);
    const runs =
      role === "fused"
        ? fusedRuns(name, rows, head.headDim, attention, options.fused, path)
        : [
            {
              firstRow: 0,
              heads: wholeHeads(name, rows, head.headDim, expectedHeads(role, name, attention), path),
            },
          ];
    tensors.push({ name, rows, rowBytes: (end - start) / rows, start, ...head, runs });
  }
  if (tensors.length === 0) {
    throw new CliFailure(
      "USAGE",
      `nothing in ${path} looks like a query or key projection of a layer with rope; say which tensors are with --query-pattern and --key-pattern (regular expressions).`,
    );
  }
  tensors.sort((a, b) => a.start - b.start);
  tensors.forEach(({ name, rows, rowBytes, start }, i) => {
    const next = tensors[i + 1];
    if (next !== undefined && next.start < start + rows * rowBytes) {
      throw new CliFailure("FILE_FORMAT", `${path} lets ${name} and ${next.name} lie over each other.`);
    }
  });
  const published = [...ropes.byLayerType.values()].find((rope) => rope !== null);
  return { tensors, withoutRope, published: published!.pairing };
}

function pattern(option: string, text: string | undefined): RegExp | undefined {
  if (text === undefined) return undefined;
  try {
    return new RegExp(text);
  } catch (error) {
    throw new CliFailure("USAGE", `${option} is no regular expression: ${(error as Error).message}.`);
  }
}

/** The rope of the layer in a tensor's name; `null` for a layer without rope. */
function ropeOfTensor(name: string, { byLayerType, forLayer }: ModelRopes, path: string): RotaryEmbedding | null {
  const distinct = new Set(byLayerType.values());
  if (distinct.size === 1) return [...distinct][0]!;
  const layer = /(?:^|\.)(?:layers?|h|blocks?|blk)\.(\d+)\./.exec(name)?.[1];
  if (layer === undefined) {
    throw new CliFailure(
      "FILE_FORMAT",
      `${path} holds ${name}, and the config has several ropes: expected a name with layers.<number>, to know which is meant.`,
    );
  }
  return forLayer(Number(layer));
}

type Head = Pick<PlannedTensor, "headDim" | "rotaryDim" | "rotaryOffset">;

/**
 * The rows of a head that are rotated. In latent attention they come last, in query heads and in the one shared key.
 */
function headOf(
  role: "query" | "key" | "fused",
  name: string,
  { headDim, rotaryDim, rotaryOffset }: RotaryEmbedding,
  latent: LatentShape | null,
): Head {
  if (latent === null || /norm/.test(name)) return { headDim, rotaryDim, rotaryOffset };
  const { value: before } = role === "key" ? latent.keyValueRank : latent.unrotatedDim;
  return { headDim: before + headDim, rotaryDim, rotaryOffset: before + rotaryOffset };
}

function expectedHeads(
  role: "query" | "key",
  name: string,
  { heads, keyHeads }: AttentionShape,
): readonly number[] | undefined {
  const count = role === "key" ? keyHeads : heads;
  if (count === null) return undefined;
  // A norm covers one head, or all heads.
  return /norm/.test(name) ? [1, count.value] : [count.value];
}

function wholeHeads(
  name: string,
  rows: number,
  headDim: number,
  expected: readonly number[] | undefined,
  path: string,
): number {
  const heads = rows / headDim;
  if (!Number.isInteger(heads) || (expected !== undefined && !expected.includes(heads))) {
    throw new CliFailure(
      "FILE_FORMAT",
      `${path} gives ${name} ${rows} rows; the config asks for ${expected === undefined ? "heads" : expected.join(" or ")} of ${headDim}${expected === undefined ? "" : ` = ${expected.map((count) => count * headDim).join(" or ")}`}. Is it the config of this file?`,
    );
  }
  return heads;
}

/** The rows of queries and keys in a fused projection. Values are not permuted. */
function fusedRuns(
  name: string,
  rows: number,
  headDim: number,
  { heads, keyHeads }: AttentionShape,
  fused: Fused | undefined,
  path: string,
): RowRun[] {
  if (fused === undefined) {
    throw new CliFailure(
      "USAGE",
      `${path} holds ${name}, which makes queries, keys and values at once: say how they lie with --fused concatenated (all queries, all keys, all values: Phi-3) or --fused per-group (queries, key and value of one group after another: GPT-NeoX, Falcon).`,
    );
  }
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
      `${path} gives ${name} ${rows} rows; ${query} query heads and 2 · ${key} key and value heads of ${headDim} are ${(query + 2 * key) * headDim}.`,
    );
  }
  if (fused === "concatenated") return [{ firstRow: 0, heads: query + key }];
  const group = query / key;
  return Array.from({ length: key }, (_, i) => ({ firstRow: i * (group + 2) * headDim, heads: group + 1 }));
}

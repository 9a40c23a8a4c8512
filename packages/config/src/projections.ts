/** Which rows of the weights of query and key projections belong to which head. */

import { attentionShape } from "./attention-shape.ts";
import type { AttentionShape, LatentShape } from "./attention-shape.ts";
import type { Fact } from "./facts/fact.ts";
import { gatedArchitectures, projectionFactsOf } from "./facts/projections.ts";
import type { FusedOrder } from "./facts/projections.ts";
import { isSize } from "./locate/found.ts";
import type { Found } from "./locate/found.ts";
import { findTextModel } from "./locate/text-model.ts";
import { checkOptions } from "./options.ts";
import { GgufFile } from "./read/gguf-file.ts";
import { Report } from "./report.ts";

/** Rows of projections by head. Frozen. Sizes count rows of a weight, which are elements of a head. */
export interface ProjectionShape extends AttentionShape {
  /** The order of heads where one projection makes queries, keys and values; `null` if not known for this family. */
  readonly fused: Fact<FusedOrder> | null;
  /**
   * Whether each query head has twice the rows: its own, then those of a gate of the attention's output (Qwen3-Next,
   * Qwen3.5).
   */
  readonly gatedQuery: Fact<boolean>;
  /** The number of query heads of an indexer (DeepSeek-V3.2); `null` if the file does not state it. */
  readonly indexerHeads: Fact<number> | null;
  /** The number of last layers that use the keys of earlier layers (Gemma 3n); `null` if the file does not state it. */
  readonly sharedKeyLayers: Fact<number> | null;
  /**
   * Whether some layers use their keys, before the rotation, as values (Gemma 4). Rows of such keys cannot be
   * reordered. `null` if neither the file nor its class says so.
   */
  readonly keysAsValues: Fact<boolean> | null;
}

/**
 * Reads which rows of the projections belong to which head, from a config.json.
 *
 * @param config the parsed JSON, as for {@link attentionShape}.
 * @param options `family`: the known model whose projections are as this one's, by its `model_type`.
 * @returns a frozen object that shares no memory with `config`.
 * @throws RopeError `ROPE_CONFIG` as {@link attentionShape}; `ROPE_INVALID_PARAMETERS` for an unknown option or family.
 * Source: modelling classes of Hugging Face transformers 5.24, and the code published with the models that it does not
 * have.
 * @example
 * projectionShape({ model_type: "internlm2", num_attention_heads: 32 }).fused?.value; // "per-group"
 */
export function projectionShape(
  config: unknown,
  options: { readonly family?: string | undefined } = {},
): ProjectionShape {
  checkOptions(options);
  const { family } = options;
  const report = new Report();
  const { fields, modelType } = findTextModel(config, report, family);
  const { gatedQuery, keysAsValues, ...facts } = projectionFactsOf(modelType);
  const rule = `the class of ${modelType}`;
  // ChatGLM without groups makes query, key and value of one head after another.
  const ofChatGlm = fields.flag("multi_query_attention")?.value === true ? "concatenated" : "per-group";
  const fused = modelType === "chatglm" ? ofChatGlm : facts.fused;
  const indexerHeads = factOf(fields.size("index_n_heads"));
  const shared = fields.number("num_kv_shared_layers");
  const areValues = fields.flag("attention_k_eq_v");
  report.throwIfBroken();
  return Object.freeze({
    ...attentionShape(config),
    fused: fused === undefined ? null : Object.freeze({ value: fused, rule }),
    gatedQuery: Object.freeze({ value: gatedQuery === true, rule }),
    indexerHeads,
    sharedKeyLayers: factOf(shared),
    keysAsValues:
      factOf(areValues) ?? (keysAsValues === undefined ? null : Object.freeze({ value: keysAsValues, rule })),
  });
}

/**
 * Reads which rows of the projections belong to which head, from the header of a GGUF file.
 *
 * @param metadata the key/values of the file, as for `ropesFromGguf`.
 * @returns a frozen object. A number of heads that differs by layer is `null`.
 * @throws RopeError `ROPE_CONFIG` if the header does not name an architecture that is known, or if a count or size is
 * not an integer > 0.
 * Source: llama.cpp as of llama-cpp-python 0.3.36: its graphs' views of `attn_q` and `attn_qkv`.
 * @example
 * projectionShapeFromGguf({ "general.architecture": "llama", "llama.attention.head_count": 32 }).heads?.value; // 32
 */
export function projectionShapeFromGguf(metadata: unknown): ProjectionShape {
  const file = new GgufFile(metadata, {});
  const heads = sameForAll(file, "attention.head_count");
  const latent = file.architecture.latent === true ? latentOfGguf(file) : null;
  const keyHeads =
    latent === null
      ? file.value("attention.head_count_kv") === undefined
        ? heads
        : sameForAll(file, "attention.head_count_kv")
      : Object.freeze({ value: 1, rule: "latent attention has one rotated key" });
  const headDim = file.size("attention.key_length_mla") ?? file.size("attention.key_length") ?? null;
  const sharedKeyLayers = file.number("attention.shared_kv_layers") ?? null;
  file.report.throwIfBroken();
  const rule = `llama.cpp's graph of ${file.name}`;
  return Object.freeze({
    heads,
    keyHeads,
    headDim: headDim && Object.freeze(headDim),
    latent,
    fused: Object.freeze({
      value: "concatenated",
      rule: "llama.cpp's converters write queries, keys and values in this order",
    }),
    gatedQuery: Object.freeze({ value: gatedArchitectures.includes(file.name), rule }),
    indexerHeads: null,
    sharedKeyLayers: sharedKeyLayers && Object.freeze(sharedKeyLayers),
    keysAsValues: null,
  });
}

/** A count that the file may state for each layer. */
function sameForAll(file: GgufFile, name: string): Fact<number> | null {
  const stated = file.value(name);
  if (!Array.isArray(stated)) return file.size(name) ?? null;
  // Layers without attention have 0 heads.
  const counts = new Set((stated as unknown[]).filter((count) => count !== 0));
  const [count] = counts;
  return counts.size === 1 && isSize(count) ? Object.freeze({ value: count, rule: file.key(name) }) : null;
}

function latentOfGguf(file: GgufFile): LatentShape | null {
  const whole = file.size("attention.key_length_mla") ?? file.size("attention.key_length");
  const rotaryDim = file.size("rope.dimension_count");
  const keyValueRank = file.size("attention.kv_lora_rank");
  if (whole === undefined || rotaryDim === undefined || keyValueRank === undefined) return null;
  const unrotated = whole.value - rotaryDim.value;
  if (unrotated < 0) {
    file.report.issue(file.key("rope.dimension_count"), `at most ${whole.value} (${whole.rule})`, `${rotaryDim.value}`);
  }
  return Object.freeze({
    queryRank: file.size("attention.q_lora_rank") ?? null,
    keyValueRank,
    unrotatedDim: { value: unrotated, rule: `${whole.rule} − ${rotaryDim.rule}` },
    rotaryDim,
    valueDim: file.size("attention.value_length_mla") ?? file.size("attention.value_length") ?? null,
  });
}

const factOf = <T>(found: Found<T> | undefined): Fact<T> | null =>
  found === undefined ? null : Object.freeze({ value: found.value, rule: found.path });

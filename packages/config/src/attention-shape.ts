/** The heads of a model's attention. They tell which rows of a weight belong to which head. */

import type { Fact } from "./facts/fact.ts";
import { isObject, isSize, join, own } from "./locate/found.ts";
import type { Found } from "./locate/found.ts";
import type { TextModel } from "./locate/located.ts";
import { findTextModel } from "./locate/text-model.ts";
import { headCountKeys, latentSlice, readHeadDim, saysHeadDim } from "./read/head.ts";
import { Report } from "./report.ts";

/**
 * The heads of a model's attention. Frozen. Sizes count elements of a head, which are rows of a projection's weight.
 */
export interface AttentionShape {
  /** The number of query heads; `null` if the file does not state it. */
  readonly heads: Fact<number> | null;
  /** The number of key heads. Each serves `heads / keyHeads` query heads. `null` if the file does not state it. */
  readonly keyHeads: Fact<number> | null;
  /**
   * Elements of one query head; in latent attention, the rotated and the unrotated part together. `null` if the file
   * does not state it. Some layer types have another head dimension (Gemma 4); `rope.headDim` of those layers has it.
   */
  readonly headDim: Fact<number> | null;
  /** The parts of latent attention (DeepSeek-V2); `null` if the model has none. */
  readonly latent: LatentShape | null;
}

/** The parts of latent attention (DeepSeek-V2 §2.1). */
export interface LatentShape {
  /** Elements of the compressed query; `null` if the model does not compress queries. */
  readonly queryRank: Fact<number> | null;
  /** Elements of the compressed keys and values. In the projection's weight, the one rotated key follows them. */
  readonly keyValueRank: Fact<number>;
  /** Elements of a head that are not rotated. They come first. */
  readonly unrotatedDim: Fact<number>;
  /** Elements of a head that are rotated. */
  readonly rotaryDim: Fact<number>;
  /** Elements of a value head; `null` if the file does not state it. */
  readonly valueDim: Fact<number> | null;
}

/**
 * Reads the heads that a config.json describes. Each number comes with its place in the file.
 *
 * @param config the parsed JSON; only own keys are read, and it is never changed. In nested models, the text model is
 * read.
 * @returns sizes in elements and counts of heads; a frozen object that shares no memory with `config`.
 * @throws RopeError `ROPE_CONFIG` if `config` is not an object, or if a count or size is not an integer > 0.
 * Source: configuration classes of Hugging Face transformers 5.24; DeepSeek-V2 §2.1.
 * @example
 * attentionShape(JSON.parse(text)).headDim?.value; // 128
 */
export function attentionShape(config: unknown): AttentionShape {
  const report = new Report();
  const model = findTextModel(config, report);
  const heads = factOf(model.fields.size(...headCountKeys) ?? inAttention(model, "n_heads"));
  const latent = latentShape(model);
  const whole = saysHeadDim(model) ? (readHeadDim([], { model, report }) ?? null) : null;
  const headDim = latent === null ? whole : sum(latent.unrotatedDim, latent.rotaryDim);
  const keyHeads = latent === null ? (statedKeyHeads(model) ?? heads) : one("latent attention has one rotated key");
  report.throwIfBroken();
  return Object.freeze({ heads, keyHeads, headDim, latent });
}

/** The keys of Llama, Falcon, older Falcon, ChatGLM and Step. DBRX and MPT state it in `attn_config`. */
const keyHeadKeys = [
  "num_key_value_heads",
  "num_kv_heads",
  "n_head_kv",
  "multi_query_group_num",
  "num_attention_groups",
];

function statedKeyHeads(model: TextModel): Fact<number> | null | undefined {
  const { fields } = model;
  // Falcon 7B has one key for all heads, whatever num_kv_heads says. Falcon's later models have another architecture.
  const isOne = fields.flag("multi_query");
  if (isOne?.value === true && fields.flag("new_decoder_architecture")?.value !== true) return one(isOne.path);
  const found = fields.size(...keyHeadKeys) ?? inAttention(model, "kv_n_heads");
  return found === undefined ? undefined : factOf(found);
}

/** A size in `attn_config`. */
function inAttention({ fields }: TextModel, key: string): Found<number> | undefined {
  const settings = fields.first("attn_config");
  const value = isObject(settings?.value) ? own(settings.value, key) : undefined;
  return isSize(value) ? { value, key, path: join(settings!.path, key) } : undefined;
}

function latentShape(model: TextModel): LatentShape | null {
  const { fields } = model;
  const rotaryDim = factOf(latentSlice(model));
  const keyValueRank = factOf(fields.size("kv_lora_rank"));
  const unrotatedDim = factOf(fields.size("qk_nope_head_dim"));
  if (rotaryDim === null || keyValueRank === null || unrotatedDim === null) return null;
  return Object.freeze({
    queryRank: factOf(fields.size("q_lora_rank")),
    keyValueRank,
    unrotatedDim,
    rotaryDim,
    valueDim: factOf(fields.size("v_head_dim")),
  });
}

const one = (rule: string): Fact<number> => Object.freeze({ value: 1, rule });

const sum = (a: Fact<number>, b: Fact<number>): Fact<number> =>
  Object.freeze({ value: a.value + b.value, rule: `${a.rule} + ${b.rule} = ${a.value} + ${b.value}` });

const factOf = (found: Found<number> | undefined): Fact<number> | null =>
  found === undefined ? null : Object.freeze({ value: found.value, rule: found.path });

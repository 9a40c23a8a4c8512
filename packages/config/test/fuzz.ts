/**
 * Random configs and headers, most of them wrong. Each has to give ropes or a RopeError quickly, and must not be
 * changed.
 *
 * `node packages/config/test/fuzz.ts [count] [seed]` prints what came back, how long it took and the most memory that
 * the process held; a failure prints its number, from which the same input comes again.
 */

import { readFileSync } from "node:fs";
import { dialects, ropesFromConfig, ropesFromGguf } from "@ropewalk/config";
import type { ConfigOptions, DialectName, GgufOptions } from "@ropewalk/config";
import { RopeError } from "@ropewalk/core";
import { fixtures, models, modelsV5 } from "@ropewalk/goldens";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import "@ropewalk/deepseek-yarn";
import "@ropewalk/default";
import "@ropewalk/dynamic";
import "@ropewalk/dynamic-alpha";
import "@ropewalk/given";
import "@ropewalk/linear";
import "@ropewalk/llama3";
import "@ropewalk/longrope";
import "@ropewalk/nd-qwen2vl";
import "@ropewalk/ntk";
import "@ropewalk/proportional";
import "@ropewalk/yarn";

type Json = Record<string, unknown>;

/**
 * Numbers in [0, 1), the same for the same seed: Weyl sequence through a 32-bit mixer (Steele, Lea, Flood: SplitMix).
 */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
  };
}

const keys = [
  ...[
    "model_type",
    "hidden_size",
    "num_attention_heads",
    "head_dim",
    "qk_rope_head_dim",
    "qk_nope_head_dim",
    "num_hidden_layers",
    "max_position_embeddings",
  ],
  ...[
    "rope_theta",
    "rope_scaling",
    "rope_parameters",
    "partial_rotary_factor",
    "partial_rotary_factors",
    "rotary_dim",
    "rope_dim",
    "rotary_pct",
    "layer_types",
  ],
  ...[
    "no_rope_layers",
    "no_rope_layer_interval",
    "sliding_window_pattern",
    "sliding_window",
    "rope_interleave",
    "rope_local_base_freq",
    "swa_rope_theta",
  ],
  ...[
    "rope_type",
    "type",
    "factor",
    "original_max_position_embeddings",
    "beta_fast",
    "beta_slow",
    "mscale",
    "mscale_all_dim",
    "attention_factor",
    "attn_factor",
  ],
  ...[
    "extrapolation_factor",
    "truncate",
    "short_factor",
    "long_factor",
    "short_mscale",
    "long_mscale",
    "low_freq_factor",
    "high_freq_factor",
    "alpha",
    "mixed_b",
  ],
  ...[
    "max_trained_positions",
    "mrope_section",
    "mrope_interleaved",
    "interleaved",
    "xdrope_section",
    "use_fope",
    "use_dynamic_ntk",
    "use_logn_attn",
    "seq_length",
  ],
  ...[
    "llama_4_scaling_beta",
    "text_config",
    "llm_config",
    "thinker_config",
    "full_attention",
    "sliding_attention",
    "main",
    "compress",
    "yarn_only_types",
  ],
  ...[
    "position_embedding_type",
    "alibi",
    "rope_ratio",
    "hybrid_layer_pattern",
    "compress_ratios",
    "attn_type_list",
    "dual_chunk_attention_config",
  ],
  ...[
    "layer_rope_theta",
    "rope_scaling_layers",
    "per_layer_config",
    "cross_attention_layers",
    "use_rope_layers",
    "no_rope_layer_indices",
    "attn_layer_indices",
    "mixer_types",
    "block_types",
    "index_head_dim",
    "indexer_rope_interleave",
    "head_rope",
  ],
  ...["__proto__", "constructor", "toString", "hasOwnProperty", "ropeType", "length", "capacity", "selection", ""],
];
const families = models().flatMap(({ config }) =>
  typeof config["model_type"] === "string" ? [config["model_type"]] : [],
);
const words = [
  ...families,
  ...[
    "bert",
    "toast",
    "yarn",
    "default",
    "su",
    "mrope",
    "xdrope",
    "dynamic",
    "linear",
    "ntk",
    "llama3",
    "longrope",
    "proportional",
    "deepseek_yarn",
  ],
  ...[
    "telechat3-yarn",
    "deepseek_llama_scaling",
    "full_attention",
    "sliding_attention",
    "linear_attention",
    "constructor",
    "__proto__",
    "",
    "LLG",
    "L".repeat(10_000),
  ],
];
const numbers = [
  0,
  -0,
  1,
  -1,
  2,
  3,
  4,
  7,
  32,
  40,
  63,
  64,
  0.1,
  0.25,
  0.334,
  128,
  4096,
  8192,
  131072,
  1e6,
  1e-30,
  1e308,
  -1e308,
  5e-324,
  2 ** 31,
  2 ** 53,
  NaN,
  Infinity,
  -Infinity,
];
const hugeList: readonly number[] = new Array<number>(200_000).fill(1);

const fixture = (name: string): Json =>
  JSON.parse(readFileSync(new URL(`fixtures/${name}.json`, import.meta.url), "utf8")) as Json;
const towers = Object.values(fixture("towers")["towers"] as Record<string, { readonly config: Json }>);
const diffusers = fixture("diffusers")["classes"] as readonly { readonly config: Json }[];
const configs = [...models(), ...modelsV5()].map(({ config }) => config as Json);
/** Configs of towers, alone or in a model's config, and of diffusion transformers. */
const parts = [
  ...towers.flatMap(({ config }) => [config, { model_type: "x", vision_config: config }, { audio_config: config }]),
  ...diffusers.map(({ config }) => config),
];
const census = JSON.parse(
  readFileSync(new URL("../../../tooling/census/results/llama.cpp.json", import.meta.url), "utf8"),
) as { readonly architectures: Readonly<Record<string, { readonly metadata?: Json }>> };
const headers = [
  ...fixtures("llama.cpp").map(({ gguf, ggufTensors, n_ctx }) => ({
    metadata: { "general.architecture": gguf["architecture"], ...gguf } as Json,
    tensors: ggufTensors,
    capacity: n_ctx,
  })),
  ...Object.values(census.architectures).flatMap(({ metadata }) =>
    metadata === undefined ? [] : [{ metadata, tensors: {}, capacity: 512 }],
  ),
];
/** Keys of a header that decide which layers have which rope. */
const layerKeys = [
  "rope.dimension_count",
  "rope.dimension_count_swa",
  "rope.dimension_sections",
  "rope.scaling.alpha",
  "rope.scaling.finetuned",
  "rope.scaling.type",
  "attention.sliding_window",
  "attention.sliding_window_pattern",
  "attention.rope_pattern",
  "attention.recurrent_layers",
  "attention.compress_ratios",
  "attention.head_count",
  "attention.head_count_kv",
  "full_attention_interval",
  "leading_dense_block_count",
  "nextn_predict_layers",
  "hyper_connection.count",
  "block_count",
];
const dialectNames = Object.keys(dialects) as DialectName[];

/** One case's sources of chance. */
class Chance {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = randomOf(seed);
  }

  below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  oneIn(count: number): boolean {
    return this.below(count) === 0;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  leaf(): unknown {
    switch (this.below(12)) {
      case 0:
        return null;
      case 1:
        return this.oneIn(2);
      case 2:
        return this.oneIn(4) ? undefined : 2n ** 70n;
      case 3:
        return Array.from({ length: this.below(8) }, () => (this.oneIn(2) ? this.pick(numbers) : this.pick(words)));
      case 4:
        return new Array<unknown>(this.pick([1, 16, 32, 48, 64, 100])).fill(
          this.oneIn(4) ? this.pick(words) : this.pick(numbers),
        );
      case 5:
        return this.oneIn(40) ? hugeList : new Float32Array(this.below(4));
      case 6:
      case 7:
        return this.pick(words);
      case 8:
        return (this.#random() - 0.2) * 10 ** this.below(9);
      default:
        return this.pick(numbers);
    }
  }

  tree(depth: number): unknown {
    if (depth === 0 || this.oneIn(3)) return this.leaf();
    return this.record(depth - 1, this.below(9));
  }

  record(depth: number, size: number): Json {
    const made: Json = {};
    for (let i = 0; i < size; i++) define(made, this.pick(keys), this.tree(depth));
    return made;
  }

  /** A real config with keys replaced, removed or added, at the top or in one of its objects. */
  mutant(config: Json): Json {
    const copy = structuredClone(config);
    const inner = Object.values(copy).filter(
      (value): value is Json => typeof value === "object" && value !== null && !Array.isArray(value),
    );
    for (let changes = this.below(4); changes > 0; changes--) {
      const target = inner.length > 0 && this.oneIn(2) ? this.pick(inner) : copy;
      const own = Object.keys(target);
      const key = own.length > 0 && this.oneIn(2) ? this.pick(own) : this.pick(keys);
      if (this.oneIn(5)) delete target[key];
      else define(target, key, this.tree(2));
    }
    if (this.oneIn(30)) define(copy, "rope_scaling", { rope_type: this.pick(words), factor: 2 });
    return copy;
  }
}

/** Assigning to `__proto__` would set the prototype. */
function define(record: Json, key: string, value: unknown): void {
  Object.defineProperty(record, key, { value, enumerable: true, configurable: true, writable: true });
}

export interface FuzzReport {
  readonly cases: number;
  readonly ropes: number;
  /** How often each error code came. */
  readonly errors: Readonly<Record<string, number>>;
  /** The slowest case, in milliseconds. */
  readonly slowest: { readonly milliseconds: number; readonly number: number };
}

/** The outcome of one case; everything but ropes and a RopeError is thrown on. */
function outcome(number: number): string {
  const chance = new Chance(Math.imul(number + 1, 0x9e3779b1));
  const read = (): unknown => {
    if (number % 6 === 5) {
      const part = chance.pick(["text", "vision", "audio", undefined] as const);
      return ropesFromConfig(chance.mutant(chance.pick(parts)), { part });
    }
    if (chance.oneIn(5)) {
      const { metadata, tensors, capacity } = chance.pick(headers);
      const architecture = String(metadata["general.architecture"]);
      const changed = chance.mutant(metadata);
      if (chance.oneIn(2)) define(changed, chance.pick(Object.keys(metadata)), chance.leaf());
      if (chance.oneIn(2)) {
        define(changed, `${architecture}.${chance.pick(layerKeys)}`, chance.leaf());
      }
      const options = {
        tensors: chance.oneIn(5) ? ({ "rope_freqs.weight": chance.leaf() } as GgufOptions["tensors"]) : tensors,
        capacity,
      };
      return ropesFromGguf(changed, options);
    }
    const config = chance.oneIn(3)
      ? chance.oneIn(20)
        ? chance.leaf()
        : chance.record(3, chance.below(14))
      : chance.mutant(chance.pick(configs));
    const options: ConfigOptions = {
      ...(chance.oneIn(2) ? { dialect: chance.pick(dialectNames) } : {}),
      ...(chance.oneIn(3) ? { family: chance.pick(families) } : {}),
      ...(chance.oneIn(8) ? { capacity: chance.pick([1, 4096, 131072]) } : {}),
    };
    return ropesFromConfig(config, options);
  };
  try {
    read();
    return "ropes";
  } catch (error) {
    if (RopeError.is(error) && !/undefined|\[object/.test(error.message)) return error.code;
    throw new Error(`case ${number}: ${error instanceof Error ? error.stack : String(error)}`, { cause: error });
  }
}

/** Runs `count` cases from number `first` on. */
export function fuzz(count: number, first = 0): FuzzReport {
  const seen = new Map<string, number>();
  let slowest = { milliseconds: 0, number: first };
  for (let number = first; number < first + count; number++) {
    const begin = performance.now();
    const what = outcome(number);
    const milliseconds = performance.now() - begin;
    if (milliseconds > slowest.milliseconds) slowest = { milliseconds, number };
    seen.set(what, (seen.get(what) ?? 0) + 1);
  }
  const { ropes = 0, ...errors } = Object.fromEntries(seen);
  return { cases: count, ropes, errors, slowest };
}

const [, script, count = "10000", seed = "0"] = process.argv;
if (script !== undefined && import.meta.url === pathToFileURL(script).href) {
  const begin = performance.now();
  const report = fuzz(Number(count), Number(seed));
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  process.stdout.write(
    `${JSON.stringify(report, null, 2)}\n${seconds} s, at most ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB\n`,
  );
}

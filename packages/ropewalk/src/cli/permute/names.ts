/**
 * What a tensor is, by its name: one table of modules and one of their parts.
 *
 * A name has a layer (`model.layers.3`), modules (`self_attn.q_proj`) and a part (`weight`, `lora_B.default.weight`).
 * What stands beside a query or key projection and is in no table is not guessed: `unknown`.
 *
 * Source: the modules of every text model in Hugging Face transformers 5.24; PEFT 0.18; mlx-lm 0.32; the models that
 * came with code of their own (InternLM2, Qwen, Baichuan, DeepSeek); llama.cpp's `LLM_TENSOR_NAMES`.
 */

/** What a module does with queries and keys. */
export type Role =
  | "query"
  | "key"
  | "fused"
  | "query-norm"
  | "key-norm"
  | "indexer-query"
  | "indexer-key"
  | "indexer-key-norm"
  /** Makes values. It stays, and tells that keys do not serve as values. */
  | "value"
  | "left"
  | "unknown";

/** How the output elements of a projection lie in a tensor. */
export type Lie =
  /** Each is a row of a matrix. */
  | "rows"
  /** Each is an element. */
  | "elements"
  /** Each is a column of a matrix. */
  | "columns"
  /** They do not: the tensor belongs to the input. */
  | "none";

/** The file format, which decides on names. */
export type Naming = "safetensors" | "gguf";

const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== "");

/** Modules of an attention, and where they have inner modules, their paths. */
const attentionModules: Readonly<Record<Exclude<Role, "unknown">, readonly string[]>> = {
  query: words("q_proj wq Wq query c_q q_b_proj wq_b"),
  key: words("k_proj wk Wk key c_k kv_a_proj_with_mqa wkv_a wkv_a_with_mqa"),
  fused: words("qkv_proj query_key_value Wqkv wqkv c_attn W_pack att_proj"),
  "query-norm": words("q_norm q_layernorm query_layernorm query_norm q_layer_norm"),
  "key-norm": words("k_norm k_layernorm key_layernorm key_norm k_layer_norm k_rope_only_layernorm"),
  "indexer-query": words("indexer.wq_b"),
  "indexer-key": words("indexer.wk"),
  "indexer-key-norm": words("indexer.k_norm"),
  value: words("v_proj wv Wv value c_v kv_b_proj wkv_b"),
  left: [
    ...words("o_proj out_proj wo Wo dense c_proj dense_bias output_projection"),
    // The compressed query, keys and values of latent attention are not rotated.
    ...words("q_a_proj wq_a q_a_layernorm q_a_norm kv_a_layernorm kv_a_norm"),
    // Gates and scales of the output, sinks, scales of the softmax; values, not elements of queries or keys.
    ...words("gate_proj g_proj gate gate_bias A dt_proj sinks sink attn_sub_norm inner_attn_ln v_norm softmax_scaling"),
    ...words("lambda_q1 lambda_k1 lambda_q2 lambda_k2 subln"),
    // The indexer's weights by head.
    ...words("indexer.weights_proj"),
    // Frequencies go by pair. Buffers of old files.
    ...words("rotary_emb rotary_pos_emb masked_bias bias"),
  ],
};

/** Modules of a layer in llama.cpp. Its attention has no module of its own. */
const ggufModules: Readonly<Record<Exclude<Role, "unknown">, readonly string[]>> = {
  query: words("attn_q attn_q_b"),
  key: words("attn_k attn_kv_a_mqa"),
  fused: words("attn_qkv"),
  "query-norm": words("attn_q_norm"),
  "key-norm": words("attn_k_norm"),
  "indexer-query": [],
  "indexer-key": [],
  "indexer-key-norm": [],
  value: words("attn_v attn_kv_b attn_v_b"),
  left: [
    ...words("attn_output attn_output_norm attn_out attn_norm attn_norm_2 attn_post_norm attn_sub_norm attn_sinks"),
    // Latent attention: k_b is the unrotated part of keys, of the compressed ones.
    ...words("attn_q_a attn_q_a_norm attn_kv_a_norm attn_k_b attn_gate attn_rot_embd attn_v_norm"),
  ],
};

/** Modules of a layer in llama.cpp that are no part of attention, by the beginning of their names. */
const ggufOthers =
  /^(?:ffn|ssm|time_mix|channel_mix|shortconv|post|layer|exp|nextn|inp_gate|proj|per_layer|altup|laurel|rope|cross_attn|enc|dec)(?:_|$)/;

/** Where keys and queries come from elsewhere, nothing is rotated. */
const withoutRope = new Set(words("cross_attn cross_attention crossattention encoder_attn inter_attention"));

/** Words in the names of towers for pictures and sound, and of what joins them to the text. Their ropes are others. */
const towers = new Set([
  ...words("vision visual image audio speech video vit clip siglip sam vq vqmodel timm tokenizer"),
  ...words("projector resampler perceiver qformer connector aligner abstractor"),
]);

/** Words in the names of layers that draft further tokens. They are as the model's own. */
const drafting = new Set(words("mtp nextn"));

/** Words in the names of modules beside an attention: a name has one of these, and may have further words. */
const besideWords = new Set([
  ...words("mlp mlps moe ffn ff feedforward feed experts expert router intermediate channel ple altup laurel"),
  ...words("norm norms layernorm rmsnorm ln enorm hnorm conv mamba ssm linear temporal embed head eh hc hyper ada"),
  ...words("residual lambda lambdas gate adapter per output inv rotary"),
]);
const furtherWords = new Set([
  ...words(
    "input post pre final layer self attn attention sa operator cross audio block sparse shared forward projection",
  ),
  ...words("connection scale dense up down proj tokens emb freq rms w"),
]);

/** Words in the names of what stands outside of layers. */
const outsideWords = new Set(
  words(
    "embeddings embedding wte wpe lm emb tok token tokens vocab score classifier logits alpha heads scale dense projection",
  ),
);
const isAttentionWord = (word: string): boolean => word === "attn" || word === "attention";

/** Words of names that speak of queries and keys. */
const suspects = new Set(words("q k qk qkv query key queries keys wq wk wqkv qkvz"));

/**
 * Parts of a module. `*` stands for the name of an adapter, `#` for a number.
 *
 * LoRA's A reads the input, so it stays; its B has the rows of the projection, in mlx-lm transposed. DoRA's magnitude
 * has an element for each row. StableLM has one norm for each head.
 */
const parts: readonly (readonly [path: string, lie: Lie, adapter?: true])[] = [
  ["weight", "rows"],
  ["bias", "elements"],
  ["base_layer.weight", "rows"],
  ["base_layer.bias", "elements"],
  ["linear.weight", "rows"],
  ["linear.bias", "elements"],
  ["norms.#.weight", "elements"],
  ["norms.#.bias", "elements"],
  ["lora_A.weight", "none", true],
  ["lora_A.*.weight", "none", true],
  ["lora_B.weight", "rows", true],
  ["lora_B.*.weight", "rows", true],
  ["lora_B.bias", "elements", true],
  ["lora_B.*.bias", "elements", true],
  ["lora_magnitude_vector", "elements", true],
  ["lora_magnitude_vector.weight", "elements", true],
  ["lora_magnitude_vector.*", "elements", true],
  ["lora_magnitude_vector.*.weight", "elements", true],
  ["lora_a", "none", true],
  ["lora_b", "columns", true],
  ["m", "elements", true],
];

type Table = ReadonlyMap<string, Role>;

const tableOf = (modules: Readonly<Record<string, readonly string[]>>): Table =>
  new Map(Object.entries(modules).flatMap(([role, paths]) => paths.map((path) => [path, role as Role] as const)));

const tables: Readonly<Record<Naming, Table>> = { safetensors: tableOf(attentionModules), gguf: tableOf(ggufModules) };
const projections = new Set([...attentionModules.query, ...attentionModules.key, ...attentionModules.fused]);

/** A name in its parts. */
export interface TensorName {
  readonly name: string;
  /** What stands before the number of the layer: `model.layers`. */
  readonly stack: string;
  /** `null` for a tensor outside of layers. */
  readonly layer: number | null;
  /** What follows, or the whole name. */
  readonly inside: readonly string[];
}

const stacks = new Set(words("layers layer h blocks block blk"));

export function parseName(name: string): TensorName {
  const segments = name.split(".");
  const at = segments.findIndex((word, i) => stacks.has(word) && /^\d{1,6}$/.test(segments[i + 1] ?? ""));
  if (at < 0) return { name, stack: "", layer: null, inside: segments };
  return {
    name,
    stack: segments.slice(0, at + 1).join("."),
    layer: Number(segments[at + 1]),
    inside: segments.slice(at + 2),
  };
}

const wordsOf = (path: string): string[] => path.toLowerCase().split(/[._\-\d]+/);

export const isTower = ({ inside, layer, stack }: TensorName): boolean =>
  wordsOf(layer === null ? inside.join(".") : stack).some((word) => towers.has(word));

export const isDrafting = ({ stack }: TensorName): boolean => wordsOf(stack).some((word) => drafting.has(word));

/** Whether a tensor is known to be no part of an attention: in a layer by its first module, else by its last ones. */
export function isBesideAttention(name: TensorName): boolean {
  const { inside, layer } = name;
  if (isSuspect(name)) return false;
  if (layer === null) {
    const found = wordsOf(inside.slice(-3).join("."));
    // A number may be that of a layer, whose name is not understood.
    if (!/\d/.test(name.name)) return !found.some(isAttentionWord);
    return found.some((word) => besideWords.has(word) || outsideWords.has(word)) && !found.some(isAttentionWord);
  }
  // BERT's and ESM's queries and keys are in attention.self; attention.output and attention.LayerNorm are beside them.
  const [first = "", second = ""] = inside;
  const path = first === "attention" && ["output", "LayerNorm"].includes(second) ? second : first;
  const found = wordsOf(path).filter((word) => word !== "");
  return (
    found.some((word) => besideWords.has(word)) &&
    found.every((word) => besideWords.has(word) || furtherWords.has(word))
  );
}

/** Whether a name speaks of queries or keys. */
export const isSuspect = ({ inside }: TensorName): boolean => speaksOfQueriesOrKeys(inside);

const speaksOfQueriesOrKeys = (path: readonly string[]): boolean =>
  wordsOf(path.join(".")).some((word) => suspects.has(word));

/**
 * The path of the attention that a tensor belongs to, within its layer: the parent of the first module that is a
 * projection. `undefined`: it has none in its name.
 */
export function attentionOf({ inside, layer }: TensorName, naming: Naming): string | undefined {
  // In llama.cpp's names, an attention has no module of its own.
  if (naming === "gguf") return layer === null ? undefined : "";
  const at = inside.findIndex((word) => projections.has(word));
  if (at < 0) return undefined;
  const path = inside.slice(0, at);
  if (path.at(-1) === "indexer") path.pop();
  return path.join(".");
}

/** An attention to other tokens than its own. */
export const attendsElsewhere = (attention: string): boolean =>
  attention.split(".").some((word) => withoutRope.has(word));

/** What a tensor is within its attention. */
export interface Meaning {
  readonly role: Role;
  readonly lie: Lie;
  /** It belongs to an adapter, whose file need not have the other projections. */
  readonly adapter: boolean;
  /** The module is known, but not this part of it. */
  readonly isUnknownPart?: true;
}

/** @param path the name within the attention. */
export function meaningOf(path: readonly string[], naming: Naming): Meaning {
  const adapter = path.some((word) => word.startsWith("lora_"));
  for (let end = path.length; end > 0; end--) {
    const role = tables[naming].get(path.slice(0, end).join("."));
    if (role === undefined) continue;
    if (role === "left" || role === "value") {
      // A gate may have queries of its own.
      return { role: speaksOfQueriesOrKeys(path.slice(end)) ? "unknown" : role, lie: "none", adapter };
    }
    const part = partOf(path.slice(end));
    if (part === undefined) return { role: "unknown", lie: "none", adapter, isUnknownPart: true };
    return { role, ...part, lie: lieOf(role, part.lie) };
  }
  const isOther = naming === "gguf" && (ggufOthers.test(path[0] ?? "") || !isAboutAttention(path));
  return { role: isOther ? "left" : "unknown", lie: "none", adapter };
}

/** The role that a pattern of the user gives; the part is read from the name. */
export function meaningByPattern(role: Role, { inside }: TensorName): Meaning & { readonly module: readonly string[] } {
  for (let start = 1; start < inside.length; start++) {
    const part = partOf(inside.slice(start));
    if (part === undefined) continue;
    return { role, ...part, lie: lieOf(role, part.lie), module: inside.slice(0, start) };
  }
  return { role, lie: lieOf(role, "rows"), adapter: false, module: inside };
}

/** The weight of a norm has elements, whatever its shape: `[headDim]`, or `[heads, headDim]`. */
const lieOf = (role: Role, lie: Lie): Lie => (isNorm(role) && lie === "rows" ? "elements" : lie);

export const isNorm = (role: Role): boolean => role.endsWith("-norm");

function partOf(path: readonly string[]): { readonly lie: Lie; readonly adapter: boolean } | undefined {
  const fits = (pattern: string): boolean => {
    const words = pattern.split(".");
    return (
      words.length === path.length &&
      words.every((word, i) => (word === "*" ? true : word === "#" ? /^\d+$/.test(path[i]!) : word === path[i]))
    );
  };
  const found = parts.find(([pattern]) => fits(pattern));
  return found && { lie: found[1], adapter: found[2] === true };
}

const isAboutAttention = (path: readonly string[]): boolean => {
  const found = wordsOf(path.join("."));
  return speaksOfQueriesOrKeys(path) || found.some((word) => word.startsWith("attn") || word === "indexer");
};

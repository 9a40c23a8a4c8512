/** Whole files of each format, small, from which the damaged ones are made. */

export type Format = "safetensors" | "npy" | "gguf" | "json";

/** A model of one layer, as the config of the other files too. */
export const config = {
  model_type: "llama",
  hidden_size: 16,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 4,
  num_hidden_layers: 1,
  max_position_embeddings: 64,
  rope_theta: 10_000,
};

/** The tensor for `apply`. `permute` leaves it as it is. */
export const rotated = "model.embed_tokens.weight";

export function safetensors(): Buffer {
  let end = 0;
  const tensor = (...shape: number[]): object => ({
    dtype: "F32",
    shape,
    data_offsets: [end, (end += 4 * shape.reduce((a, b) => a * b, 1))],
  });
  const at = "model.layers.0.self_attn";
  const header = JSON.stringify({
    __metadata__: { format: "pt" },
    [`${at}.q_proj.weight`]: tensor(16, 3),
    [`${at}.k_proj.weight`]: tensor(8, 3),
    [`${at}.v_proj.weight`]: tensor(8, 3),
    [rotated]: tensor(3, 4, 4),
  });
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, Buffer.from(header), numbered(end)]);
}

export function npy(): Buffer {
  const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4, 4), }".padEnd(117) + "\n";
  return Buffer.concat([Buffer.from("\x93NUMPY\x01\x00\x76\x00", "latin1"), Buffer.from(header), numbered(192)]);
}

export function gguf(): Buffer {
  const uint32 = (...values: number[]): Buffer => Buffer.from(Uint32Array.from(values).buffer);
  const uint64 = (...values: number[]): Buffer => Buffer.from(BigUint64Array.from(values.map(BigInt)).buffer);
  const text = (value: string): Buffer => Buffer.concat([uint64(value.length), Buffer.from(value)]);
  const number = (key: string, value: number): Buffer => Buffer.concat([text(key), uint32(4, value)]);
  const values = [
    Buffer.concat([text("general.architecture"), uint32(8), text("llama")]),
    number("llama.context_length", 64),
    number("llama.embedding_length", 16),
    number("llama.block_count", 1),
    number("llama.attention.head_count", 4),
    number("llama.attention.head_count_kv", 2),
    Buffer.concat([text("llama.rope.freq_base"), uint32(6), Buffer.from(Float32Array.of(10_000).buffer)]),
    Buffer.concat([text("tokenizer.ggml.tokens"), uint32(9, 8), uint64(2), text("a"), text("b")]),
  ];
  let offset = 0;
  const tensor = (name: string, ...shape: number[]): Buffer => {
    const info = Buffer.concat([text(name), uint32(shape.length), uint64(...shape), uint32(0), uint64(offset)]);
    offset += Math.ceil((4 * shape.reduce((a, b) => a * b, 1)) / 32) * 32;
    return info;
  };
  const tensors = [
    tensor("blk.0.attn_q.weight", 3, 16),
    tensor("blk.0.attn_k.weight", 3, 8),
    tensor("blk.0.attn_v.weight", 3, 8),
    tensor("rope_freqs.weight", 2),
  ];
  const header = Buffer.concat([
    Buffer.from("GGUF"),
    uint32(3),
    uint64(tensors.length, values.length),
    ...values,
    ...tensors,
  ]);
  const data = numbered(offset);
  data.writeFloatLE(1, offset - 32);
  data.writeFloatLE(1, offset - 28);
  return Buffer.concat([header, Buffer.alloc((32 - (header.length % 32)) % 32), data]);
}

/** Configs whose keys are read in different ways. */
export const configs: readonly object[] = [
  config,
  { ...config, rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 16 } },
  {
    ...config,
    rope_scaling: {
      rope_type: "longrope",
      short_factor: [1, 1],
      long_factor: [2, 2],
      original_max_position_embeddings: 16,
    },
  },
  {
    ...config,
    model_type: "gemma3_text",
    num_hidden_layers: 2,
    layer_types: ["sliding_attention", "full_attention"],
    rope_parameters: {
      sliding_attention: { rope_type: "default", rope_theta: 10_000 },
      full_attention: { rope_type: "linear", factor: 8, rope_theta: 1_000_000 },
    },
  },
  { ...config, model_type: "qwen2_vl", rope_scaling: { type: "mrope", mrope_section: [1, 1, 0] } },
  { weight_map: { "model.layers.0.self_attn.q_proj.weight": "a.safetensors" }, metadata: { total_size: 1 } },
];

/** Numbers from 0 on, a byte each, so that every lost byte shows. */
const numbered = (length: number): Buffer => Buffer.from(Uint8Array.from({ length }, (_, i) => i));

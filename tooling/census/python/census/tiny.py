"""A configuration with small counts. What decides the rope keeps its default: head sizes, shares, sections, patterns."""

import re
from typing import Any

LAYERS = 12
PLAIN_LAYERS = 4  # where no key speaks of a pattern of layers
PATTERNS = re.compile(r"pattern|interval|every|layer_types?|layers_block|no_rope|period|types|_layers_|layer_list|per_layer|offset|first_k|compress|_freq|layer_idx|layer_ids|rope_layers")
HEADS = 2
VOCABULARY = 128

# Counts, by name of key. The first rule that matches a key decides.
LAYER_KEYS = re.compile(
    r"^(num_hidden_layers|n_layers?|num_layers|decoder_layers|encoder_layers|num_(decoder|encoder)_layers|"
    r"(decoder|encoder)_num_hidden_layers|n_(encoder|decoder)_layers|num_(encoder|decoder)_blocks)$"
)
HEAD_KEYS = re.compile(
    r"^(num_attention_heads|n_heads?|num_heads|(decoder|encoder)_(attention_heads|num_attention_heads)|"
    r"num_(decoder|encoder)_attention_heads|attention_heads)$"
)
KEY_HEAD_KEYS = re.compile(r"^((decoder|encoder)_)?(num_key_value_heads|num_kv_heads|n_kv_heads|n_head_kv|multi_query_group_num)$")
WIDTH_KEYS = re.compile(r"^(hidden_size|n_embd|d_model|dim|embed_dim|(decoder|encoder)_hidden_size|word_embed_proj_dim|emb_dim)$")
INNER_KEYS = re.compile(
    r"^(\w*intermediate_size\w*|n_inner|ffn_dim|d_ff|(decoder|encoder)_ffn_dim|ffn_hidden_size|mlp_hidden_size|"
    r"\w*moe_hidden_size|dff|encoder_ffn_dim|expert_ffn_hidden_size|dense_ffn_hidden_size|shared_expert_intermediate)$"
)
SMALL = {
    "q_lora_rank": 48,
    "kv_lora_rank": 32,
    "o_lora_rank": 16,
    "num_experts": 4,
    "n_routed_experts": 4,
    "num_local_experts": 4,
    "moe_num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_topk": 2,
    "moe_k": 2,
    "top_k_experts": 2,
    "num_experts_per_token": 2,
    "n_group": 1,
    "topk_group": 1,
    "num_expert_group": 1,
    "vocab_size_per_layer_input": VOCABULARY,
    "hidden_size_per_layer_input": 16,
    "zero_expert_num": 1,
    "n_shared_experts": 1,
    "index_n_heads": 4,
    "num_kv_shared_layers": 2,
    "linear_num_key_heads": 1,
    "linear_num_value_heads": 2,
    "num_key_value_heads_linear": 1,
    "mamba_chunk_size": 16,
    "chunk_size": 16,
    "num_nextn_predict_layers": 0,
    "num_mtp_modules": 0,
}


def integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def first(values: dict, pattern: re.Pattern) -> Any:
    for key, value in values.items():
        if pattern.match(key) and integer(value):
            return value
    return None


def head_size(values: dict) -> int | None:
    for key in ("head_dim", "attention_head_dim", "d_kv", "kv_channels", "attention_key_size"):
        if integer(values.get(key)) and values[key] > 0:
            return values[key]
    width, heads = first(values, WIDTH_KEYS), first(values, HEAD_KEYS)
    if width and heads:
        return width // heads
    return None


def small_counts(values: dict, wide: bool = True, layers: int = LAYERS) -> dict:
    """`values` is the default configuration as a dictionary. Returns the keys to set. `wide`: the
    width stays heads times head size; not needed where the head size is a key of its own."""
    counts: dict[str, Any] = {}
    size = head_size(values)
    default_heads = first(values, HEAD_KEYS)
    default_layers = first(values, LAYER_KEYS)
    heads = HEADS if not default_heads or default_heads >= HEADS else default_heads
    if default_layers and not PATTERNS.search(" ".join(values)):
        layers = min(layers, PLAIN_LAYERS)
    own = integer(values.get("head_dim"))
    width = 64 if own and not wide else heads * size if size else None
    for key, value in values.items():
        if re.search(r"(_token_id|_token_ids|_token_index|_index)$", key) and value is not None:
            if integer(value) and value >= VOCABULARY:
                counts[key] = VOCABULARY - 1
            elif isinstance(value, list) and all(integer(item) for item in value):
                counts[key] = [min(item, VOCABULARY - 1) for item in value]
        if not integer(value) or value <= 0:
            continue
        if LAYER_KEYS.match(key):
            counts[key] = layers if value > layers or key == "num_hidden_layers" else value
        elif HEAD_KEYS.match(key):
            counts[key] = heads
        elif KEY_HEAD_KEYS.match(key):
            counts[key] = heads if value == default_heads else max(1, min(value, heads // 2))
        elif WIDTH_KEYS.match(key) and width and (default_heads or own):
            counts[key] = width
        elif INNER_KEYS.match(key):
            counts[key] = min(value, 32)
        elif re.search(r"vocab_size$", key):
            counts[key] = min(value, VOCABULARY) if value > 8 else value
        elif key in SMALL:
            counts[key] = min(value, SMALL[key])
    return counts


def trimmed_lists(values: dict, counts: dict) -> dict:
    """Lists with one entry per layer, cut to the new number of layers."""
    default_layers, layers = first(values, LAYER_KEYS), first(counts, LAYER_KEYS)
    if not default_layers or not layers:
        return {}
    lists = {}
    for key, value in values.items():
        if isinstance(value, list) and len(value) == default_layers:
            lists[key] = value[:layers] if layers <= len(value) else value + value[-1:] * (layers - len(value))
    return lists

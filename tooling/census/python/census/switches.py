"""Keys that switch something in one family, by model type. Each takes the small configuration of the text model."""

from typing import Callable


def layers(text) -> int:
    return text.num_hidden_layers


def thetas(text) -> dict:
    bases = [10000.0, 0.0, 500000.0, 10000.0]
    return {"set": {"layer_rope_theta": [bases[layer % 4] for layer in range(layers(text))]}}


def types(*names: str) -> Callable:
    return lambda text: {"set": {"layer_types": [names[layer % len(names)] for layer in range(layers(text))]}}


def keys(**values) -> Callable:
    return lambda text: {"set": values}


def flags(*pattern: int) -> Callable:
    return lambda text: {"set": {"no_rope_layers": [pattern[layer % len(pattern)] for layer in range(layers(text))]}}


SLIDING, FULL = "sliding_attention", "full_attention"
alternating = types(FULL, SLIDING)
no_window = keys(sliding_window=None)
gemma_v4 = lambda text: {"set": {"rope_theta": 54321.0, "rope_local_base_freq": 1234.0}, "unset": ["rope_parameters"]}
interleave = {"interleaveTrue": keys(rope_interleave=True), "interleaveFalse": keys(rope_interleave=False)}

SWITCHES: dict[str, dict[str, Callable]] = {
    "afmoe": {"types": alternating},
    "bailing_hybrid": interleave,
    "clvp_encoder": {"noRotary": keys(use_rotary_embedding=False)},
    "codegen": {"rotaryDim": keys(rotary_dim=32), "rotaryDimNull": keys(rotary_dim=None)},
    "cohere2": {"types": alternating, "noWindow": no_window, "pattern": lambda text: {"set": {"sliding_window_pattern": 3}, "unset": ["layer_types"]}},
    "cohere2_moe": {"types": alternating, "noWindow": no_window},
    "deepseek_v2": interleave,
    "deepseek_v3": interleave,
    "deepseek_v32": {**interleave, "indexerTrue": keys(indexer_rope_interleave=True), "indexerFalse": keys(indexer_rope_interleave=False)},
    "axk1": interleave,
    "axk2": {**interleave, "indexerTrue": keys(indexer_rope_interleave=True)},
    "dots3_note_text": interleave,
    "embedding_gemma2_text": {"types": alternating, "globalHeadDim": keys(global_head_dim=128)},
    "esm": {"rotary": keys(position_embedding_type="rotary"), "absolute": keys(position_embedding_type="absolute")},
    "exaone4": {"types": alternating, "noWindow": no_window, "pattern": lambda text: {"set": {"sliding_window_pattern": "LLLG"}, "unset": ["layer_types"]}},
    "exaone_moe": {"types": alternating, "noWindow": no_window},
    "falcon": {"alibi": keys(alibi=True)},
    "gemma3_text": {"types": alternating, "v4theta": gemma_v4, "pattern": lambda text: {"set": {"sliding_window_pattern": 3}, "unset": ["layer_types"]}},
    "gemma3n_text": {"v4theta": gemma_v4},
    "gemma4_text": {"types": alternating, "globalHeadDim": keys(global_head_dim=128)},
    "glm4_moe_lite": interleave,
    "glm_moe_dsa": {**interleave, "indexerFalse": keys(indexer_rope_interleave=False)},
    "gpt_neox": {"pct": lambda text: {"set": {"rotary_pct": 0.5, "rotary_emb_base": 54321}, "unset": ["rope_parameters"]}},
    "gptj": {"rotaryDim": keys(rotary_dim=32), "rotaryDimNull": keys(rotary_dim=None)},
    "granite_swa": {"thetas": thetas},
    "granitemoe_swa": {"thetas": thetas},
    "granitemoehybrid": {"rope": keys(position_embedding_type="rope"), "nope": keys(position_embedding_type="nope"), "none": keys(position_embedding_type=None)},
    "kimi_linear": {"nope": keys(mla_use_nope=True), "rope": keys(mla_use_nope=False)},
    "lfm3": {"types": alternating},
    "llama4_text": {"interval2": lambda text: {"set": {"no_rope_layer_interval": 2}, "unset": ["no_rope_layers"]}, "flags": flags(0, 1, 1), "temperature": keys(attn_temperature_tuning=True, floor_scale=16, attn_scale=0.1), "untuned": keys(attn_temperature_tuning=False)},
    "longcat_flash": interleave,
    "mimo_v2": {"types": alternating},
    "minimax_m2": {"rotaryDim": keys(rotary_dim=32)},
    "mistral4": interleave,
    "mistral_large4_text": {**interleave, "interval2": lambda text: {"set": {"no_rope_layer_interval": 2}, "unset": ["no_rope_layers"]}, "flags": flags(0, 1, 1)},
    "mllama_text_model": {"cross": keys(cross_attention_layers=[1, 3])},
    "modernbert": {"v4theta": lambda text: {"set": {"global_rope_theta": 54321.0, "local_rope_theta": 1234.0}, "unset": ["rope_parameters"]}, "every2": lambda text: {"set": {"global_attn_every_n_layers": 2}, "unset": ["layer_types"]}},
    "molmo2_text": {"scaledLayers": lambda text: {"set": {"rope_scaling_layers": [0, 2], "rope_parameters": {"rope_type": "yarn", "rope_theta": 1000000.0, "factor": 4.0, "original_max_position_embeddings": 1024}}}},
    "muse_spark_text": {"thetas": thetas},
    "muse_glimmer_text": {"thetas": thetas},
    "nemotron_h": {"theta": keys(rope_theta=54321.0)},
    "nomic_bert": {"interleaved": keys(rotary_emb_interleaved=True), "baseKey": keys(rotary_emb_base=54321)},
    "olmo3": {"types": alternating},
    "olmo_hybrid": {"nullTheta": keys(rope_parameters={"rope_theta": None, "rope_type": "default"}), "nullDictionary": keys(rope_parameters=None)},
    "persimmon": {"factorKey": lambda text: {"set": {"partial_rotary_factor": 0.25}, "unset": ["rope_parameters"]}},
    "phi": {"factorKey": lambda text: {"set": {"partial_rotary_factor": 0.25}, "unset": ["rope_parameters"]}},
    "phi3": {"factorKey": lambda text: {"set": {"partial_rotary_factor": 0.25}, "unset": ["rope_parameters"]}},
    "roformer": {"rotaryValue": keys(rotary_value=True)},
    "smollm3": {"interval2": lambda text: {"set": {"no_rope_layer_interval": 2}, "unset": ["no_rope_layers"]}, "flags": flags(0, 1, 1)},
    "step3p5": {"thetas": lambda text: {"set": {"rope_theta": [10000.0, 500000.0, 10000.0, 10000.0] * 3, "partial_rotary_factors": [0.5, 1.0, 1.0, 1.0] * 3}, "unset": ["rope_parameters"]}, "types": alternating},
    "youtu": interleave,
    "zamba2": {"memRope": keys(use_mem_rope=True), "hybridRope": keys(use_mem_rope=True, use_long_context=True)},
    "zaya": {"types": types("hybrid", "hybrid_sliding")},
}

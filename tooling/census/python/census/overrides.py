"""What the generic rules cannot know. `set` overrides counts of the text model, `first` are arguments without which the
class cannot be made at all, `whole` are arguments of the composite that must agree with its text model, `largest` is the number of parameters up to
which the class is run all the same, `with` are further arguments of the run."""

import torch


def noise(model, *shape: int) -> torch.Tensor:
    """The same row everywhere: what another part of the model would give. No position may show in it."""
    row = torch.randn(shape[-1], generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    return row.to(model.dtype).expand(shape)


HYBRID = ["mamba", "mamba", "attention", "mamba"]

OVERRIDES: dict[str, dict] = {
    "apertus1p5": {"set": {"vocab_size": 266560}},
    "bamba": {"set": {"attn_layer_indices": [1, 4]}},
    "canary": {"whole": lambda text: {"vocab_size": text.vocab_size}},
    "chameleon": {"first": {"vq_config": {}, "vocabulary_map": {"<image>": 5}}},
    "csm": {"class": "CsmBackboneModel", "ids": 32},
    "dbrx": {"first": {"attn_config": {"kv_n_heads": 1, "rope_theta": 10000.0, "clip_qkv": 8.0}}},
    "deepseek_v2": {"set": {"num_experts_per_tok": 2, "n_routed_experts": 4, "first_k_dense_replace": 1}},
    "dots1": {"set": {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1}},
    "dots3_note": {
        "largest": 400_000_000,
        "whole": lambda text: {"vision_config": {"adapter_out_dim": text.hidden_size}, "audio_config": {"adapter_out_dim": text.hidden_size}},
    },
    "dots3_note_text": {"largest": 400_000_000},
    "esm": {"set": {"vocab_size": 64, "mask_token_id": 32, "pad_token_id": 1}},
    "fun_asr_nano": {"whole": lambda text: {"adaptor_config": {"hidden_size": text.hidden_size, "intermediate_size": text.hidden_size // 4}}},
    "evolla": {"largest": 800_000_000},
    "glm4_moe": {"set": {"head_dim": 128, "hidden_size": 256}},
    "gradium_phonon_tts": {"set": {"hidden_size": 768}},
    "granite_docling": {"whole": lambda text: {"vision_config": {"out_hidden_size": text.hidden_size}}},
    "granitemoehybrid": {"set": {"layer_types": HYBRID, "num_hidden_layers": 4}},
    "idefics": {
        "largest": 400_000_000,
        "with": lambda model, ids: {
            "image_encoder_embeddings": noise(model, ids.shape[0], 1, 2, model.config.vision_config.embed_dim),
            "image_attention_mask": torch.ones(*ids.shape[:2], 1, dtype=torch.long),
        },
    },
    "inkling2": {"whole": lambda text: {"vision_config": {"text_hidden_size": text.hidden_size}}},
    "inkling2_loop": {"whole": lambda text: {"vision_config": {"text_hidden_size": text.hidden_size}}},
    "dia_decoder": {
        "ids": 9,
        "with": lambda model, ids: {"encoder_hidden_states": noise(model, ids.shape[0], 1, model.config.cross_hidden_size)},
    },
    "mamba2": {"set": {"n_groups": 1, "num_heads": 8, "head_dim": 64, "hidden_size": 256, "expand": 2}},
    "hunyuan_vl": {"set": {"head_dim": 128, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [16, 16, 16, 16]}}},
    "hunyuan_vl_text": {"set": {"head_dim": 128, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [16, 16, 16, 16]}}},
    "moshi_depth": {"with": lambda model, ids: {"last_hidden_state": noise(model, *ids.shape[:2], model.config.input_size)}},
    "muse_spark": {"whole": lambda text: {"audio_config": {"out_hidden_size": text.hidden_size}, "out_hidden_size": text.hidden_size}},
    "ministral": {"set": {"head_dim": 128}},
    "nemotron": {"set": {"num_key_value_heads": 1}},
    "phi4_multimodal": {"largest": 900_000_000},
    "qwen2_5_omni_talker": {"set": {"embedding_size": 256, "hidden_size": 256}},
    "qwen3_omni_moe_talker_code_predictor": {"embeds": True},
    "qwen3_omni_moe_talker_text": {"set": {"shared_expert_intermediate_size": 32}},
    "t5_gemma_module": {"class": "T5GemmaDecoder", "with": lambda model, ids: {"encoder_hidden_states": noise(model, ids.shape[0], 1, model.config.cross_attention_hidden_size)}},
    "voxtral_realtime_text": {"with": lambda model, ids: {"t_cond": noise(model, 1, model.config.hidden_size)}},
    "lfm2_moe": {"set": {"layer_types": ["conv", "conv", "full_attention", "conv"], "num_hidden_layers": 4}},
}

# The defaults of these classes do not fit together; the values are those of the released models.
SHARED: list[tuple[set[str], dict]] = [
    (
        {"glm4v", "glm4v_text", "glm46v", "glmga", "glm_image", "glm_image_text"},
        {"set": {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5, "mrope_section": [8, 12, 12]}}},
    ),
    ({"qwen3_omni_moe", "qwen3_omni_moe_thinker", "qwen3_omni_moe_text"}, {"set": {"hidden_size": 256}}),
    (
        {"qwen4_exp", "qwen4_exp_text"},
        {"set": {"indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 256, "indexer_budget": 64, "indexer_compress_ratio": 4}},
    ),
    ({"step3p5", "step3p7"}, {"set": {"sliding_window": 512}}),
    ({"t5gemma2_text", "t5gemma2_decoder", "t5gemma2_encoder"}, {"set": {"dropout_rate": 0.0}}),
    ({"glm4v_moe", "glm4v_moe_text"}, {"set": {"hidden_size": 256}}),
    ({"hunyuan_v1_dense", "hunyuan_v1_moe"}, {"set": {"head_dim": 128}}),
    (
        {"diffusion_gemma", "diffusion_gemma_text"},
        {"set": {"num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 32}},
    ),
    ({"deepseek_ocr2", "deepseek_ocr2_text"}, {"set": {"mlp_layer_types": ["dense"] + ["sparse"] * 3, "num_hidden_layers": 4, "num_experts_per_tok": 2, "n_routed_experts": 4}}),
    (
        {"cohere_compass", "cohere_compass_text"},
        {
            "set": {
                "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [24, 20, 20]}}
            }
        },
    ),
    (
        {"kimi_linear"},
        {"set": {"linear_attn_config": {"num_heads": 2, "head_dim": 32, "short_conv_kernel_size": 4, "kda_layers": [1, 2, 3, 5, 6, 7], "full_attn_layers": [4, 8]}, "num_hidden_layers": 8}},
    ),
]

# The path from a composite configuration to the text model, where get_text_config is ambiguous.
TEXT: dict[str, list[str]] = {
    "musicgen": ["decoder"],
    "musicgen_melody": ["decoder"],
}

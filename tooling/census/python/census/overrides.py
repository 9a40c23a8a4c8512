"""What the generic rules cannot know. `set` overrides counts of the text model, `first` are arguments without which the
class cannot be made at all, `whole` are arguments of the composite that must agree with its text model."""

HYBRID = ["mamba", "mamba", "attention", "mamba"]

OVERRIDES: dict[str, dict] = {
    "apertus1p5": {"set": {"vocab_size": 266560}},
    "canary": {"whole": lambda text: {"vocab_size": text.vocab_size}},
    "dbrx": {"first": {"attn_config": {"kv_n_heads": 1, "rope_theta": 10000.0}}},
    "deepseek_v2": {"set": {"num_experts_per_tok": 2, "n_routed_experts": 4, "first_k_dense_replace": 1}},
    "dots1": {"set": {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1}},
    "esm": {"set": {"vocab_size": 64, "mask_token_id": 32, "pad_token_id": 1}},
    "fun_asr_nano": {"whole": lambda text: {"adaptor_config": {"hidden_size": text.hidden_size}}},
    "gradium_phonon_tts": {"set": {"hidden_size": 768}},
    "granite_docling": {"whole": lambda text: {"vision_config": {"out_hidden_size": text.hidden_size}}},
    "granitemoehybrid": {"set": {"layer_types": HYBRID, "num_hidden_layers": 4}},
    "inkling2": {"whole": lambda text: {"vision_config": {"text_hidden_size": text.hidden_size}}},
    "inkling2_loop": {"whole": lambda text: {"vision_config": {"text_hidden_size": text.hidden_size}}},
    "lfm2_moe": {"set": {"layer_types": ["conv", "conv", "full_attention", "conv"], "num_hidden_layers": 4}},
}

# The defaults of these classes do not fit together; the values are those of the released models.
SHARED: list[tuple[set[str], dict]] = [
    (
        {"glm4v", "glm4v_text", "glm46v", "glmga", "glm_image", "glm_image_text"},
        {"set": {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5, "mrope_section": [8, 12, 12]}}},
    ),
    ({"glm4v_moe", "glm4v_moe_text"}, {"set": {"hidden_size": 256}}),
    ({"hunyuan_v1_dense", "hunyuan_v1_moe", "hunyuan_vl", "hunyuan_vl_text"}, {"set": {"head_dim": 128}}),
    (
        {"diffusion_gemma", "diffusion_gemma_text"},
        {"set": {"num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 32}},
    ),
    ({"deepseek_ocr2", "deepseek_ocr2_text"}, {"set": {"mlp_layer_types": ["dense"] + ["sparse"] * 3, "num_hidden_layers": 4}}),
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

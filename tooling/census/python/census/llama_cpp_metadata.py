"""The metadata that each architecture is built from, and the cases that change its rope.

The sizes are as small as the graphs allow. A key that a loader does not read has no effect, so most architectures share
one list; keys and kinds of values are those of the loaders."""

LAYERS = 8
PAIRS = 16
HEAD = 2 * PAIRS
CONTEXT = 512

# The tensors of factors, one number for each pair. None below 1: the angles of position 1 stay below half a turn.
TENSORS = {
    "rope_freqs.weight": [1 + pair / 4 for pair in range(64)],
    "rope_factors_long.weight": [2 + pair / 8 for pair in range(64)],
    "rope_factors_short.weight": [1 + pair / 16 for pair in range(64)],
}


def words(count: int) -> list[str]:
    return [f"tok_{index}" for index in range(count)]


def common(name: str) -> dict:
    layers, width, heads, inner = LAYERS, 2 * HEAD, 2, 64
    values = {
        "vocab_size": 64, "context_length": CONTEXT, "embedding_length": width, "features_length": width,
        "block_count": layers, "leading_dense_block_count": 1, "feed_forward_length": inner,
        "use_parallel_residual": False, "logit_scale": 1.0, "time_mix_extra_dim": 32, "time_decay_extra_dim": 32,
        "attention.head_count": heads, "attention.head_count_kv": heads,
        "attention.max_alibi_bias": 8.0, "attention.clamp_kqv": 1.0,
        "attention.layer_norm_epsilon": 1e-5, "attention.layer_norm_rms_epsilon": 1e-5,
        "attention.group_norm_epsilon": 1e-5, "attention.group_norm_groups": 8,
        "attention.q_lora_rank": 32, "attention.kv_lora_rank": 32, "attention.relative_buckets_count": 8,
        "attention.sliding_window": 64,
        "attention.indexer.head_count": 64, "attention.indexer.key_length": 128, "attention.indexer.top_k": 4096,
        "attention.indexer.block_size": 4, "attention.indexer.kpool": 4, "attention.indexer.kpool_select_tail": True,
        "attention.indexer.local_blocks": 1, "attention.temperature_length": 8192, "attention.temperature_scale": 0.5,
        "expert_feed_forward_length": inner, "expert_shared_feed_forward_length": inner, "expert_latent_length": inner,
        "expert_chunk_feed_forward_length": inner,
        "interleave_moe_layer_step": 2, "expert_count": 2, "expert_used_count": 2, "expert_shared_count": 1,
        "expert_gating_func": 2, "expert_group_scale": 1.0, "experts_per_group": 1, "expert_weights_scale": 1.0,
        "expert_weights_norm": True,
        "posnet.embedding_length": width, "posnet.block_count": layers, "convnext.embedding_length": width,
        "convnext.block_count": layers, "ssm.inner_size": 2 * width, "ssm.conv_kernel": 4, "ssm.state_size": 32, "ssm.time_step_rank": heads,
        "ssm.group_count": 2, "kda.head_dim": 32, "kda.safe_gate": True, "kda.gate_lower_bound": -5.0,
        "wkv.head_size": width // heads, "shortconv.l_cache": 3, "residual_scale": 3.5, "attn_res.block_size": 12,
        "activation.situ_beta": 4.0, "activation.situ_linear_beta": 25.0, "embedding_scale": 1.0,
        "attention.scale": 0.125, "swiglu_clamp_exp": 7.0,
        "hyper_connection.count": 4, "hyper_connection.sinkhorn_iterations": 2, "hyper_connection.epsilon": 1e-6,
        "hyper_connection.low_rank": 8, "hyper_connection.magnitude": 2.0,
        "rope.freq_base": 20000.0,
    }
    return values


LATENT = {
    "attention.head_count_kv": 1, "attention.key_length": 32 + HEAD, "attention.value_length": 32,
    "attention.key_length_mla": 16 + HEAD, "attention.value_length_mla": 16, "rope.dimension_count": HEAD,
}
FROM_LISTS = [True, False, True, True, False, False, True, False]
EVERY_FOURTH_ATTENDS = [0, 0, 0, 2, 0, 0, 0, 2]
EVERY_FOURTH_LATENT = [0, 0, 0, 1, 0, 0, 0, 1]
DENSE = {"expert_count": None, "expert_used_count": None}
BERT = {**DENSE, "attention.causal": False, "tokenizer.ggml.token_type_count": 2}

GEMMA4 = {
    "attention.key_length": 64, "attention.value_length": 64, "attention.key_length_swa": 32,
               "attention.value_length_swa": 32, "attention.sliding_window_pattern": [True, True, True, True, False, True, True, False],
               "rope.dimension_count": 64, "rope.dimension_count_swa": 32, "rope.freq_base_swa": 10000.0,
               "embedding_length_per_layer_input": 16, "attention.shared_kv_layers": 0, **DENSE,
}

CHANGES: dict[str, dict] = {
    "gemma3n": {"block_count": 22, "embedding_length": 32, "attention.head_count": 1, "attention.head_count_kv": 1},
    "gemma4": GEMMA4,
    "deepseek4": {"embedding_length": 256, "attention.head_count": 4, "attention.head_count_kv": 1,
                  "attention.key_length": 64, "attention.value_length": 64, "rope.dimension_count": HEAD,
                  "attention.output_group_count": 4, "attention.output_lora_rank": 32, "attention.q_lora_rank": 32,
                  "attention.compress_ratios": [0, 0, 4, 128, 4, 0, 128, 4], "attention.compress_rope_freq_base": 160000.0,
                  "hash_layer_count": 0, "swiglu_clamp_exp": 10.0, "expert_gating_func": 4},
    "nemotron_h": {"feed_forward_length": [0, 0, 64] * 2 + [0, 64], "attention.head_count_kv": [2, 0, 0] * 2 + [2, 0], **DENSE},
    "nemotron_h_moe": {"feed_forward_length": [0, 0, 64] * 2 + [0, 64], "attention.head_count_kv": [2, 0, 0] * 2 + [2, 0]},
    "qwen3tts": {"vocab_size": 3072, "rope.dimension_sections": [6, 5, 5, 0], **DENSE},
    # Two loaders know a model by its number of layers.
    "exaone4": {"block_count": 64, **DENSE},
    "baichuan": {"block_count": 32, **DENSE}, "chameleon": {"vocab_size": 10240, **DENSE},
    "rwkv6qwen2": {"token_shift_count": 1},
    **{name: {"attention.decay_lora_rank": 16, "attention.iclr_lora_rank": 16, "attention.value_residual_mix_lora_rank": 16,
              "attention.gate_lora_rank": 16, **({"token_shift_count": 1} if name == "arwkv7" else {})} for name in ("rwkv7", "arwkv7")},
    "graniteswitch": {"adapters.count": 1, "adapters.lora_rank": 4, "adapters.token_ids_activate": [60],
                      "adapters.token_ids_substitute": [7], **DENSE},
    "gemma4-assistant": {**GEMMA4, "embedding_length": 128, "embedding_length_out": 64, "nextn_predict_layers": LAYERS},
    "eagle3": {"block_count": 1, "target_layers": [1, 2, 3], "target_hidden_size": 64, **DENSE},
    "dflash": {"target_layers": [1, 2, 3], "attention.sliding_window_pattern": [True, False] * 4, "hyper_connection.count": None, **DENSE},
    "hrm_text": {"block_count": 6, "hrm.layers_per_stack": 1, "hrm.h_cycles": 2, "hrm.l_cycles": 2, **DENSE},
    "dots3note": {**LATENT, "attention.kv_lora_rank_swa": 32, "attention.key_length_swa": 32 + HEAD,
                  "attention.value_length_swa": 32, "attention.key_length_mla_swa": 16 + HEAD,
                  "attention.value_length_mla_swa": 16, "rope.freq_base_swa": 10000.0,
                  "attention.sliding_window_pattern": [False, True, True, True, False, True, True, True],
                  "attention.indexer.types": [1, 0, 0, 0, 1, 0, 0, 0]},
    "hy_v4": {**LATENT, "attention.indexer.types": [1, 0] * 4, "swiglu_clamp_exp": 10.0},
    "glm5-next": {**LATENT, "attention.key_length": 32, "attention.key_length_mla": 16, "rope.dimension_count": 0,
                  "attention.head_count_kv": EVERY_FOURTH_LATENT},
    "kimi-linear": {**LATENT, "attention.head_count_kv": EVERY_FOURTH_LATENT},
    "kimi-k3": {**LATENT, "attention.head_count_kv": EVERY_FOURTH_LATENT},
    "bailingmoe3": {**LATENT, "attention.head_count_kv": EVERY_FOURTH_LATENT, "kda.safe_gate": None},
    "minimax-m3": {"attention.indexer.head_count": 2},
    "deepseek2": LATENT, "deepseek32": LATENT, "glm-dsa": LATENT, "mistral4": LATENT,
    "deepseek2-ocr": {"rope.freq_base": 10000.0},
    "plm": {**LATENT, **DENSE, "attention.head_count_kv": 2, "attention.key_length": 16 + HEAD, "attention.value_length": 16},
    "minicpm3": {**LATENT, **DENSE, "attention.head_count_kv": 2, "attention.key_length": 16 + HEAD, "attention.value_length": 16},
    "kimi-k2": LATENT,
    "qwen2vl": {"rope.dimension_sections": [4, 6, 6, 0], **DENSE},
    "qwen3vl": {"rope.dimension_sections": [6, 5, 5, 0], **DENSE}, "qwen3vlmoe": {"rope.dimension_sections": [6, 5, 5, 0]},
    "qwen35": {"rope.dimension_sections": [6, 5, 5, 0], **DENSE}, "qwen35moe": {"rope.dimension_sections": [6, 5, 5, 0]},
    "paddleocr": {"rope.dimension_sections": [4, 6, 6, 0], **DENSE},
    "llama": DENSE, "llama-embed": DENSE, "mistral3": DENSE, "minicpm": DENSE, "granite": DENSE, "refact": DENSE,
    "granitemoe": {}, "deci": DENSE, "hunyuan_vl": DENSE, "hunyuan-dense": DENSE,
    "muse-glimmer": {"attention.sliding_window_pattern": FROM_LISTS, **DENSE},
    "granite_swa": {"attention.sliding_window_pattern": FROM_LISTS, **DENSE},
    "maple": {"attention.sliding_window_pattern": FROM_LISTS},
    "mimo2": {"attention.sliding_window_pattern": FROM_LISTS}, "step35": {"attention.sliding_window_pattern": FROM_LISTS},
    "spark2_5": {"attention.sliding_window_pattern": FROM_LISTS},
    "bert": BERT, "nomic-bert": BERT, "nomic-bert-moe": {**BERT, "expert_count": 2, "expert_used_count": 2, "moe_every_n_layers": 2},
    "neo-bert": BERT, "jina-bert-v2": BERT, "jina-bert-v3": BERT, "eurobert": BERT, "modern-bert": BERT, "gemma-embedding": BERT,
}
for hybrid in ("plamo2", "jamba", "granitehybrid", "lfm2", "lfm2moe"):
    CHANGES[hybrid] = {**CHANGES.get(hybrid, {}), "attention.head_count_kv": EVERY_FOURTH_ATTENDS,
                       **(DENSE if hybrid in ("plamo2", "granitehybrid", "lfm2") else {})}
PLE = {
    "attention.compress_ratios": [4] * LAYERS, "ple.layers": [0], "ple.ngram_size": 3, "ple.heads_per_ngram": 2,
    "ple.conv_kernel": 4, "ple.eos_token_id": 0, "embedding_length_per_layer_input": 16,
    "ple.layer_multipliers": [1, 3, 5], "ple.head_offsets": [0, 64, 128, 192], "ple.head_vocab_sizes": [64] * 4,
}
CHANGES["plamo2"]["ssm.group_count"] = 0
CHANGES["qwen4exp"] = {**PLE, "attention.indexer.key_length": 32, "attention.indexer.head_count": 2, "rope.dimension_sections": [6, 5, 5, 0], "ssm.inner_size": 64}
CHANGES["glm5-next"].update(PLE)
for delta in ("qwen3next", "qwen35", "qwen35moe"):
    CHANGES[delta] = {**CHANGES.get(delta, {}), "ssm.inner_size": 64}

# Drafting models, and a model that they draft for. They share parts of it.
TARGETS = {"eagle3": "llama", "dflash": "llama", "gemma4-assistant": "gemma4"}

# Drafting models that are given features of their target beside tokens.
WITH_FEATURES = ("eagle3", "gemma4-assistant")

# Encoders without logits.
EMBEDDING = ("bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2", "jina-bert-v3", "eurobert",
             "gemma-embedding", "llama-embed")

# Models that the loader cannot make out of metadata alone.
FROM_FILE = ("gemma4-assistant",)

# Graphs that hold for one token only.
ONE_TOKEN = ("plm",)

REASONS = {
    "clip": "only the quantizer has it; no graph",
    "gptj": "the loader has no graph",
    "wavtokenizer-dec": "a decoder of sound, no language model",
    "rwkv6qwen2": "its graph crashes on metadata alone",
}


def skipped(name: str) -> str | None:
    return REASONS.get(name)


YARN = {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 128}
EVERY_YARN_KEY = {
    "rope.scaling.yarn_beta_fast": 4.0, "rope.scaling.yarn_beta_slow": 0.25, "rope.scaling.yarn_ext_factor": 0.5,
    "rope.scaling.yarn_attn_factor": 1.5, "rope.scaling.yarn_log_multiplier": 0.5, "rope.scaling.attn_factor": 1.25,
}

# What each case changes. `None` takes a key out.
CASES: dict[str, dict] = {
    "plain": {},
    "silent": {"rope.freq_base": None},
    "sliding base": {"rope.freq_base_swa": 700.0},
    "partial": {"attention.key_length": HEAD, "attention.value_length": HEAD, "rope.dimension_count": 16},
    "sliding sizes": {"attention.key_length": HEAD, "attention.value_length": HEAD, "rope.dimension_count": HEAD,
                      "rope.dimension_count_swa": 16},
    "sliding heads": {"attention.key_length": HEAD, "attention.value_length": HEAD, "attention.key_length_swa": 16,
                      "attention.value_length_swa": 16, "rope.dimension_count": HEAD, "rope.dimension_count_swa": 16},
    "linear": {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0},
    "no scaling, with a factor": {"rope.scaling.type": "none", "rope.scaling.factor": 4.0},
    "amplitude": {"rope.scaling.attn_factor": 1.25},
    "yarn": YARN,
    "yarn, every key": {**YARN, **EVERY_YARN_KEY},
    "yarn, log multiplier": {**YARN, "rope.scaling.yarn_log_multiplier": 0.1},
    "yarn, no extrapolation": {**YARN, "rope.scaling.yarn_ext_factor": 0.0},
    "factors": {},
    "long factors": {"rope.scaling.type": "longrope", "rope.scaling.original_context_length": 128},
    "not finetuned": {"rope.scaling.finetuned": False},
    "no window": {"attention.sliding_window": None},
    "window of 0": {"attention.sliding_window": 0},
    "interval of 3": {"attention.sliding_window_pattern": 3},
    "listed layers": {"attention.sliding_window_pattern": FROM_LISTS},
    "rope pattern": {"attention.rope_pattern": [True, True, False, True, False, True, True, False]},
    "alpha": {"rope.scaling.alpha": 1000.0},
    "sections": {"rope.dimension_sections": [4, 6, 6, 0]},
    "four sections": {"rope.dimension_sections": [4, 4, 4, 4]},
    "one section": {"rope.dimension_sections": [16, 0, 0, 0]},
    "few layers": {"block_count": 4},
    "heads by layer": {"attention.head_count": [2, 0, 0] * 2 + [2, 0], "attention.head_count_kv": [2, 0, 0] * 2 + [2, 0]},
    "no heads in the first layer": {"attention.head_count": EVERY_FOURTH_ATTENDS, "attention.head_count_kv": EVERY_FOURTH_ATTENDS,
                                    "attention.key_length": HEAD, "attention.value_length": HEAD},
    "every second attends": {"full_attention_interval": 2},
    "listed recurrent layers": {"attention.recurrent_layers": FROM_LISTS},
}


def metadata_of(name: str, case: str) -> tuple[dict, dict, int]:
    """Key/values, the tensors that do not hold ones, and the size of the context."""
    values = {**common(name), **CHANGES.get(name, {}), **CASES[case]}
    layers = values["block_count"]
    for key, value in values.items():
        # Lists by layer are repeated or cut where there are more or fewer layers.
        if isinstance(value, list) and key.startswith("attention.") and len(value) == LAYERS and layers != LAYERS:
            values[key] = [value[layer % LAYERS] for layer in range(layers)]
    count = values["vocab_size"]
    header = {
        "general.architecture": name,
        **{key if key.startswith("tokenizer.") else f"{name}.{key}": value for key, value in values.items() if value is not None},
        "xielu.alpha_n": 1.0, "xielu.alpha_p": 1.0, "xielu.beta": 1.0, "xielu.eps": 1e-7,
        "tokenizer.ggml.model": "test", "tokenizer.ggml.tokens": words(count), "tokenizer.ggml.scores": [0.0] * count,
    }
    tensors = {
        "factors": {key: TENSORS[key] for key in ("rope_freqs.weight",)},
        "long factors": {key: TENSORS[key] for key in ("rope_factors_long.weight", "rope_factors_short.weight")},
    }.get(case, {})
    return header, tensors, CONTEXT

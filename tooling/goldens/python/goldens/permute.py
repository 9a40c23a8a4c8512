"""Scores of one attention of tiny random models in transformers, with its weights: for the permutation of weights.

The test permutes the weights, computes the scores with an attention of its own and the other pairing, and has to get
the same numbers. Sizes are small, layouts are those of the classes.
"""

import contextlib
import copy
from unittest import mock

import numpy as np
import torch
import transformers
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from . import hf
from .paths import FIXTURES
from .writing import exact, pack, write

POSITIONS = [0, 1, 5, 40]
COMMON = {
    "hidden_size": 24, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 1, "head_dim": 8,
    "intermediate_size": 16, "vocab_size": 16, "max_position_embeddings": 64, "pad_token_id": 0,
}
EXPERTS = {"n_routed_experts": 2, "num_experts_per_tok": 1, "n_group": 1, "topk_group": 1, "moe_intermediate_size": 8, "n_shared_experts": 1, "first_k_dense_replace": 1}
LATENT = {**EXPERTS, "num_key_value_heads": 4, "q_lora_rank": 12, "kv_lora_rank": 10, "qk_nope_head_dim": 6, "qk_rope_head_dim": 8, "v_head_dim": 5}

# name → (model_type, class, settings, what is special)
MODELS = {
    "llama": ("llama", "LlamaForCausalLM", {"attention_bias": True}, "biases"),
    "qwen3": ("qwen3", "Qwen3ForCausalLM", {}, "a norm of each head before the rotation"),
    "cohere": ("cohere", "CohereForCausalLM", {"hidden_size": 32, "head_dim": None, "use_qk_norm": True}, "a norm with weights for each head; adjacent pairs"),
    "hunyuan_v1_dense": ("hunyuan_v1_dense", "HunYuanDenseV1ForCausalLM", {}, "a norm after the rotation"),
    "phi3": ("phi3", "Phi3ForCausalLM", {"hidden_size": 32, "head_dim": None, "partial_rotary_factor": 0.5}, "queries, keys and values in one projection, half of the head"),
    "gpt_neox": ("gpt_neox", "GPTNeoXForCausalLM", {"num_key_value_heads": None, "hidden_size": 32, "head_dim": None, "rotary_pct": 0.5}, "one projection, head by head, with biases, half of the head"),
    "persimmon": ("persimmon", "PersimmonForCausalLM", {"num_key_value_heads": None, "hidden_size": 32, "head_dim": None, "partial_rotary_factor": 0.5}, "one projection, and LayerNorms with biases"),
    "codegen": ("codegen", "CodeGenForCausalLM", {"n_embd": 32, "n_head": 4, "n_layer": 1, "n_positions": 64, "n_ctx": 64, "n_inner": 16, "rotary_dim": 4}, "one projection in four parts, adjacent pairs"),
    "dbrx": ("dbrx", "DbrxForCausalLM", {"d_model": 32, "n_heads": 4, "n_layers": 1, "max_seq_len": 64, "attn_config": {"kv_n_heads": 2, "rope_theta": 10000.0, "clip_qkv": 100.0}, "ffn_config": {"ffn_hidden_size": 16, "moe_num_experts": 2, "moe_top_k": 1, "hidden_size": 32}}, "one projection"),
    "stablelm": ("stablelm", "StableLmForCausalLM", {"hidden_size": 32, "head_dim": None, "qk_layernorm": True, "partial_rotary_factor": 0.5}, "a norm for each head, each a module"),
    "olmo2": ("olmo2", "Olmo2ForCausalLM", {"hidden_size": 32, "head_dim": None}, "one norm over all heads"),
    "glm4": ("glm4", "Glm4ForCausalLM", {"partial_rotary_factor": 0.5, "attention_bias": True}, "adjacent pairs on half of the head, biases"),
    "deepseek_v3": ("deepseek_v3", "DeepseekV3ForCausalLM", LATENT, "latent attention"),
    "deepseek_v2": ("deepseek_v2", "DeepseekV2ForCausalLM", {**LATENT, "q_lora_rank": None, "topk_method": "greedy"}, "latent attention without compressed queries"),
    "qwen3_next": ("qwen3_next", "Qwen3NextForCausalLM", {"layer_types": ["full_attention"], "partial_rotary_factor": 0.5, "num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 8, "shared_expert_intermediate_size": 8}, "a gate in the query projection"),
    "glm_moe_dsa": ("glm_moe_dsa", "GlmMoeDsaForCausalLM", {**LATENT, "index_n_heads": 3, "index_head_dim": 12, "index_topk": 4, "mlp_layer_types": ["dense"]}, "latent attention with an indexer"),
}


class Captured(Exception):
    """The layers after the first attention need not run."""


def run(names=None) -> None:
    torch.set_num_threads(1)
    for name, (model_type, class_name, settings, what) in MODELS.items():
        if names is None or name in names:
            print(name, write(FIXTURES / "permute" / f"{name}.json", record(model_type, class_name, settings, what)))


def record(model_type: str, class_name: str, settings: dict, what: str) -> dict:
    config_class = CONFIG_MAPPING[model_type]
    own = ("n_embd" in settings or "d_model" in settings)
    values = {key: value for key, value in {**({"vocab_size": 16} if own else COMMON), **settings}.items() if value is not None or key == "q_lora_rank"}
    config = config_class(**values)
    captured = []

    def attention(_module, query, key, *_, **__):
        captured.append((query.detach(), key.detach()))
        raise Captured

    ALL_ATTENTION_FUNCTIONS.register("captured", attention)
    config._attn_implementation = "captured"
    torch.manual_seed(0)
    model = getattr(transformers, class_name)(copy.deepcopy(config)).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            # float32 numbers, so that the file holds them; the run is in float64.
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3 + (0.5 if parameter.ndim == 1 else 0))
    weights = {key: value.detach().clone() for key, value in model.state_dict().items() if kept(key)}
    model.double()
    inputs = []
    handle = next(module for name, module in model.named_modules() if is_attention(name)).register_forward_pre_hook(
        lambda _module, args, kwargs: inputs.append((kwargs.get("hidden_states") if "hidden_states" in kwargs else args[0]).detach()), with_kwargs=True
    )
    indexed = []
    with torch.no_grad(), index_scores(model, indexed), contextlib.suppress(Captured):
        # An indexer needs a mask; this one hides nothing.
        mask = {"attention_mask": torch.zeros(1, 1, 4, 4, dtype=torch.float64)} if "index_topk" in settings else {}
        model(input_ids=torch.tensor([[3, 1, 4, 7]]), position_ids=torch.tensor([POSITIONS]), use_cache=False, **mask)
    handle.remove()
    ((query, key),) = captured
    key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
    scores = torch.matmul(query, key.transpose(2, 3))[0]
    return {
        "source": {**hf.source(""), "command": "python -m goldens permute"},
        "model": class_name,
        "special": what,
        "config": plain(config, values),
        "positions": POSITIONS,
        # [tokens, width], what the attention gets
        "hidden": rounded(inputs[0][0]),
        # [heads][query][key], products of rotated queries and keys, not scaled
        "scores": rounded(scores),
        **({"indexerScores": rounded(indexed[0][0].permute(1, 0, 2))} if indexed else {}),
        "tensors": {name: {"shape": list(value.shape), "data": pack(value.float().numpy().astype(np.float32))} for name, value in weights.items()},
    }


def rounded(tensor: torch.Tensor) -> list:
    """Eight digits: the frequencies are float32."""
    return [[float(f"{x:.8g}") for x in row] for row in tensor.tolist()] if tensor.ndim == 2 else [rounded(row) for row in tensor]


def kept(name: str) -> bool:
    return any(f".{word}." in name for word in ("self_attn", "attn", "attention", "self_attention"))


def is_attention(name: str) -> bool:
    return name.split(".")[-1] in ("self_attn", "attn", "attention", "self_attention")


def plain(config, values: dict) -> dict:
    """The settings as a file has them."""
    text = config.to_dict()
    keys = ["model_type", *values, "rope_parameters", "rms_norm_eps", "layer_norm_eps"]
    return {key: text[key] for key in keys if key in text and text[key] is not None}


def index_scores(model, found: list):
    """Records the first product that an indexer makes: queries by keys, for each head."""
    indexers = [module for name, module in model.named_modules() if name.endswith("indexer")]
    matmul = torch.matmul
    active = []

    def recorded(a, b, *rest, **more):
        result = matmul(a, b, *rest, **more)
        if active and not found:
            found.append(result.detach())
        return result

    for indexer in indexers:
        indexer.register_forward_pre_hook(lambda *_: active.append(True))
        indexer.register_forward_hook(lambda *_: active.clear())
    return mock.patch("torch.matmul", recorded)

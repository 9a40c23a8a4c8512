"""What an attention in transformers gets: queries, keys and values after its norms and its rotation, with the
projections before them, float32. Models are tiny and random, the attention modules are the classes' own.
"""

import contextlib
import copy

import numpy as np
import torch
import transformers
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from . import hf
from .paths import FIXTURES
from .writing import exact, pack, write

POSITIONS = [0, 1, 127, 4097]
COMMON = {
    "hidden_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 1, "head_dim": 24,
    "intermediate_size": 16, "vocab_size": 16, "max_position_embeddings": 8192, "pad_token_id": 0,
}
HEAD = {"over": "head", "when": "before", "weightOffset": 0}

# name → (model_type, class, settings, norms by tensor, names of the projections). The norms say what the class does;
# weight names the parameter. The numbers show whether it is so.
MODELS = {
    "qwen3": ("qwen3", "Qwen3ForCausalLM", {}, {"query": {**HEAD, "weight": "q_norm"}, "key": {**HEAD, "weight": "k_norm"}}, None),
    "gemma3": ("gemma3_text", "Gemma3ForCausalLM", {"layer_types": ["full_attention"], "query_pre_attn_scalar": 24}, {name: {**HEAD, "weight": f"{name[0]}_norm", "weightOffset": 1} for name in ("query", "key")}, None),
    "gemma3n": ("gemma3n_text", "Gemma3nForCausalLM", {"layer_types": ["full_attention"], "num_kv_shared_layers": 0, "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 16, "altup_num_inputs": 2, "laurel_rank": 4, "activation_sparsity_pattern": [0.0]}, {"query": {**HEAD, "weight": "q_norm"}, "key": {**HEAD, "weight": "k_norm"}, "value": HEAD}, None),
    "olmo2": ("olmo2", "Olmo2ForCausalLM", {"head_dim": None}, {name: {**HEAD, "over": "heads", "weight": f"{name[0]}_norm"} for name in ("query", "key")}, None),
    "hunyuan_v1_dense": ("hunyuan_v1_dense", "HunYuanDenseV1ForCausalLM", {}, {name: {**HEAD, "when": "after", "weight": f"{name}_layernorm"} for name in ("query", "key")}, None),
    "llama4": ("llama4_text", "Llama4ForCausalLM", {"no_rope_layers": [1], "layer_types": ["full_attention"], "moe_layers": [], "intermediate_size_mlp": 16, "num_local_experts": 1, "use_qk_norm": True, "attn_temperature_tuning": False}, {name: {**HEAD, "when": "after"} for name in ("query", "key")}, None),
    "minimax_m2": ("minimax_m2", "MiniMaxM2ForCausalLM", {"rotary_dim": 12, "num_local_experts": 2, "num_experts_per_tok": 1}, {name: {**HEAD, "over": "heads", "weight": f"{name[0]}_norm"} for name in ("query", "key")}, None),
    "ministral3": ("ministral3", "Ministral3ForCausalLM", {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "llama_4_scaling_beta": 0.1, "original_max_position_embeddings": 64}}, {}, None),
    "phi3": ("phi3", "Phi3ForCausalLM", {"head_dim": None, "partial_rotary_factor": 0.5}, {}, "qkv_proj"),
    "gpt_neox": ("gpt_neox", "GPTNeoXForCausalLM", {"num_key_value_heads": None, "head_dim": None, "rotary_pct": 0.5}, {}, "query_key_value"),
}


class Captured(Exception):
    """The layers after the first attention need not run."""


def run(names=None) -> None:
    torch.set_num_threads(1)
    for name, (model_type, class_name, settings, norms, packed) in MODELS.items():
        if names is None or name in names:
            print(name, write(FIXTURES / "pass" / f"{name}.json", record(model_type, class_name, settings, norms, packed)))


def record(model_type: str, class_name: str, settings: dict, norms: dict, packed: str | None) -> dict:
    values = {key: value for key, value in {**COMMON, **settings}.items() if value is not None}
    config = CONFIG_MAPPING[model_type](**values)
    captured = []

    def attention(_module, query, key, value, *_, **__):
        captured.append([tensor.detach().clone() for tensor in (query, key, value)])
        raise Captured

    ALL_ATTENTION_FUNCTIONS.register("captured", attention)
    config._attn_implementation = "captured"
    torch.manual_seed(0)
    model = getattr(transformers, class_name)(copy.deepcopy(config)).eval().float()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3 + (0.5 if parameter.ndim == 1 else 0))
    module = next(module for name, module in model.named_modules() if name.split(".")[-1] in ("self_attn", "attention"))
    projections = {}
    for name in ("q_proj", "k_proj", "v_proj", packed):
        part = getattr(module, name, None) if name else None
        if part is not None:
            part.register_forward_hook(lambda _module, _args, output, name=name: projections.__setitem__(name, output.detach().clone()))
    tokens = len(POSITIONS)
    with torch.no_grad(), contextlib.suppress(Captured):
        model(input_ids=torch.tensor([[3, 1, 4, 7]]), position_ids=torch.tensor([POSITIONS]), use_cache=False)
    query, key, value = captured[0]
    head_dim = query.shape[-1]
    names = {"q_proj": "query", "k_proj": "key", "v_proj": "value", packed: "packed"}
    return {
        "source": {**hf.source(""), "command": "python -m goldens pass"},
        "model": class_name,
        "config": plain(config, values),
        "positions": POSITIONS,
        "headDim": head_dim,
        "norms": {name: described(module, settings) for name, settings in norms.items()},
        # [tokens, width], what the projections give
        "projections": {names[name]: array(tensor.reshape(tokens, -1)) for name, tensor in projections.items()},
        # [tokens, heads, headDim], what the attention gets
        "query": array(query[0].transpose(0, 1)),
        "key": array(key[0].transpose(0, 1)),
        "value": array(value[0].transpose(0, 1)),
    }


def described(module, settings: dict) -> dict:
    """The settings of a norm with its weight and epsilon."""
    norm = getattr(module, settings.get("weight") or "qk_norm", None) or module.v_norm
    epsilon = next(getattr(norm, name) for name in ("variance_epsilon", "eps") if hasattr(norm, name))
    weight = {"weight": exact(norm.weight.detach().numpy().reshape(-1))} if "weight" in settings else {}
    return {**settings, "epsilon": epsilon, **weight}


def array(tensor: torch.Tensor) -> dict:
    return {"shape": list(tensor.shape), "data": pack(tensor.contiguous().numpy().astype(np.float32))}


def plain(config, values: dict) -> dict:
    """The settings as a file has them."""
    text = config.to_dict()
    keys = ["model_type", *values, "rope_parameters", "rms_norm_eps"]
    return {key: text[key] for key in keys if key in text and text[key] is not None}

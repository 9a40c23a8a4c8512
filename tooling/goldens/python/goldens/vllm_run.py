"""vLLM's rotary embedding modules on the CPU. `VLLM_PACKAGE` names the folder that the wheel was unpacked in."""

import os
import types
from importlib.metadata import Distribution
from pathlib import Path

import torch

from . import serving, stand_ins
from .sampling import members
from .scenarios import SCENARIOS, Scenario, plain, scaled
from .serving import Case
from .writing import exact, pack

ROOT = Path(os.environ.get("VLLM_PACKAGE", "."))
NAME = "vllm.model_executor.layers.rotary_embedding"
limits = types.SimpleNamespace(max_model_len=131072)

rotary = stand_ins.install(ROOT, "vllm", NAME, {
    "vllm._aiter_ops": {"rocm_aiter_ops": types.SimpleNamespace(is_triton_rotary_embed_enabled=lambda: False)},
    "vllm.config": {"get_current_vllm_config": lambda: types.SimpleNamespace(model_config=limits)},
    "vllm.distributed": {
        "get_tensor_model_parallel_rank": lambda: 0, "get_tensor_model_parallel_world_size": lambda: 1,
    },
    "vllm.logger": {"init_logger": stand_ins.logger},
    "vllm.model_executor.custom_op": {"CustomOp": stand_ins.Operator, "PluggableLayer": stand_ins.Operator},
    "vllm.platforms": {"current_platform": stand_ins.Platform()},
    "vllm.triton_utils": {"tl": stand_ins.Kernels, "triton": stand_ins.Kernels},
    "vllm.utils.flashinfer": {"has_flashinfer": lambda: False},
    "vllm.utils.torch_utils": {"direct_register_custom_op": lambda **_: None, "async_tensor_h2d": None},
})
rotary.dual_chunk_rope.torch = stand_ins.OnTheProcessor()


def version() -> str:
    (folder,) = ROOT.glob("vllm-*.dist-info")
    return Distribution.at(folder).version


def source(name: str) -> dict:
    return {
        "engine": "vllm-project/vllm",
        "version": version(),
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "path": "forward_native: the pure torch path; imports from outside the folder are stand-ins (stand_ins.py)",
        "command": f"VLLM_PACKAGE=<folder> python -m goldens vllm --name {name}",
    }


def get_rope(settings: dict, dtype: torch.dtype, max_model_len: int = 131072):
    limits.max_model_len = max_model_len
    rotary._ROPE_DICT.clear()
    return rotary.get_rope(**settings, dtype=dtype)


def settings_of(scenario: Scenario, **more) -> dict:
    parameters = {**scenario.scaling, "rope_theta": scenario.base}
    if scenario.rotary != scenario.head_dim:
        parameters["rope_dim"] = scenario.rotary
    parameters.update(more)
    return {
        "head_size": scenario.head_dim,
        "max_position": scenario.max_position,
        "is_neox_style": scenario.pairing == "half",
        "rope_parameters": parameters,
    }


NOTES = {
    "yarn-attn-factor": "attn_factor is not read: the amplitude is 0.1 ln 4 + 1",
    "yarn-extrapolation-half": "extrapolation_factor is not read",
    "proportional-factor": "factor is not read",
    "dynamic-2": "without max_trained_positions the base stays what it was: plain RoPE",
    "ntk": "the base times 8, and each frequency divided by 8^(2/R) besides",
}
EQUIVALENT = {
    "yarn-attn-factor": {"attnFactor": None},
    "yarn-extrapolation-half": {"extrapolationFactor": None},
    "proportional-factor": {"factor": None},
    "dynamic-2": {"ropeType": "default", "factor": None},
}
ROTATED = {"default", "default-adjacent-partial", "yarn-4", "longrope-phi-4-mini", "linear-8", "deepseek-yarn-v3"}
ABSENT = {"telechat3-yarn"}


def of_scenario(name: str, scenario: Scenario) -> Case:
    settings = settings_of(scenario)
    equivalent = scenario.changed(EQUIVALENT[name]) if name in EQUIVALENT else None
    return Case(
        scenario, settings, lambda dtype: get_rope(settings, dtype), NOTES.get(name), equivalent,
        length=131072 if scenario.scaling["rope_type"] == "longrope" else None,
        positions=POSITIONS_OF.get(scenario.scaling["rope_type"]), rotated=name in ROTATED,
    )


# The long and short tables lie in one buffer, so its length says nothing about the positions.
POSITIONS_OF = {"longrope": [0, 1, 127, 257, 2049, 4095, 4096, 15962, 32767, 32768, 131071]}


def mrope(head_dim, base, sections, pairing="half", rotary_dim=None, assignment="sectioned", **more) -> Case:
    scenario = scaled(head_dim, base, 65536, {"rope_type": "default", "mrope_section": sections, **more},
                      pairing=pairing, rotary_dim=rotary_dim)
    settings = settings_of(scenario)
    parameters = {"ropeType": "mrope", "sections": sections, "assignment": assignment}
    return Case(scenario, settings, lambda dtype: get_rope(settings, dtype), axes=3, parameters=parameters)


def cases() -> dict:
    made = {name: of_scenario(name, scenario) for name, scenario in SCENARIOS.items() if name not in ABSENT}

    trained = scaled(128, 1000000.0, 131072, {"rope_type": "dynamic", "factor": 2.0, "max_trained_positions": 32768})
    settings = settings_of(trained)
    made["dynamic-2-max-trained"] = Case(
        trained, settings, lambda dtype, s=settings: get_rope(s, dtype),
        "fixed for the run: the formula's length is max_position, its trained length max_trained_positions",
        length=131072,
    )
    for model in ("longrope-phi-4-mini", "longrope-phi-3-mini"):
        scenario = SCENARIOS[model]
        settings = settings_of(scenario)
        made[f"{model}-short"] = Case(
            scenario, settings, lambda dtype, s=settings: get_rope(s, dtype, max_model_len=4096),
            "max_model_len 4096: the short factors for the whole run, the amplitude as for the long ones",
            length=4096, positions=[0, 1, 127, 257, 2049, 4095],
        )
    mscales = scaled(96, 10000.0, 131072, {
        **SCENARIOS["longrope-phi-3-mini"].scaling, "short_mscale": 1.1, "long_mscale": 1.3,
    })
    settings = settings_of(mscales)
    for kind, limit, last in (("long", 131072, 131071), ("short", 4096, 4095)):
        made[f"longrope-mscales-{kind}"] = Case(
            mscales, settings, lambda dtype, s=settings, m=limit: get_rope(s, dtype, max_model_len=m),
            f"{kind}_mscale is the amplitude", length=limit, positions=[0, 1, 257, last],
        )
    factor = scaled(128, 1000000.0, 131072, {
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768, "mscale": 1.0, "mscale_all_dim": 0,
    })
    settings = settings_of(factor)
    made["yarn-mscale-all-dim-zero"] = Case(
        factor, settings, lambda dtype, s=settings: get_rope(s, dtype), "mscale_all_dim 0 counts as not given",
        equivalent=factor.changed({"mscale": None, "mscaleAllDim": None}),
    )
    llama_scaling = scaled(
        64, 10000.0, 163840, {
            "rope_type": "deepseek_llama_scaling", "factor": 40.0, "original_max_position_embeddings": 4096,
            "mscale": 0.707, "mscale_all_dim": 0.707,
        }, pairing="adjacent",
    )
    settings = settings_of(llama_scaling)
    made["deepseek-llama-scaling"] = Case(llama_scaling, settings, lambda dtype, s=settings: get_rope(s, dtype))

    made["mrope-qwen2-vl"] = mrope(128, 1000000.0, [16, 24, 24])
    made["mrope-qwen2-vl"].rotated = True
    made["mrope-qwen3-vl"] = mrope(128, 5000000.0, [24, 20, 20], assignment="cyclic", mrope_interleaved=True)
    made["mrope-qwen3.5"] = mrope(256, 10000000.0, [11, 11, 10], assignment="cyclic", rotary_dim=64, mrope_interleaved=True)
    made["mrope-glm-4v"] = mrope(128, 500000.0, [8, 12, 12], pairing="adjacent", rotary_dim=64)
    for name, sections, interleaved in (("qwen2.5-vl", [16, 24, 24], False), ("qwen3-vl", [24, 20, 20], True)):
        scaling = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768,
                   "mrope_section": sections, "mrope_interleaved": interleaved}
        scenario = scaled(128, 5000000.0 if interleaved else 1000000.0, 131072, scaling)
        settings = settings_of(scenario)
        made[f"mrope-yarn-{name}"] = Case(
            scenario, settings, lambda dtype, s=settings: get_rope(s, dtype),
            "the range of blended pairs is computed from four times original_max_position_embeddings, because the class "
            "enlarges the length for its table first",
            axes=3,
            parameters={"ropeType": "mrope", "sections": sections, "assignment": "cyclic" if interleaved else "sectioned",
                        "frequencies": {"ropeType": "yarn", "factor": 4.0, "originalMaxPosition": 32768}},
            equivalent={"ropeType": "mrope", "sections": sections, "assignment": "cyclic" if interleaved else "sectioned",
                        "frequencies": {"ropeType": "yarn", "factor": 4.0, "originalMaxPosition": 131072}},
        )
    ernie = plain(128, 500000.0, 65536, pairing="adjacent")
    settings = {"head_size": 128, "rotary_dim": 128, "max_position_embeddings": 65536, "base": 500000.0,
                "is_neox_style": False, "mrope_section": [22, 22, 20]}
    made["ernie45-vl"] = Case(
        ernie, settings, lambda dtype, s=settings: ernie_class()(**s, dtype=dtype), axes=3,
        parameters={"ropeType": "ernie45_vl", "sections": [22, 22, 20]},
        note="the class itself, not get_rope; sections are height, width, time",
    )
    pangu = scaled(128, 1000000.0, 65536, {"rope_type": "openpangu", "mrope_section": [24, 20, 20], "mrope_interleaved": True})
    settings = settings_of(pangu)
    made["openpangu"] = Case(
        pangu, settings, lambda dtype, s=settings: get_rope(s, dtype), axes=3,
        note="each pair takes the axis that is furthest behind its share and was not just taken; the last takes the first",
    )
    v4 = scaled(
        512, 160000.0, 1048576, {
            "rope_type": "deepseek_yarn", "factor": 16.0, "original_max_position_embeddings": 65536, "beta_fast": 32,
            "beta_slow": 1, "mscale": 0, "mscale_all_dim": 0,
        }, rotary_dim=64, pairing="adjacent",
    )
    settings = settings_of(v4, is_deepseek_v4=True)
    for inverse in (False, True):
        made[f"deepseek-v4{'-inverse' if inverse else ''}"] = Case(
            v4, settings, lambda dtype, s=settings: get_rope(s, dtype), offset=448,
            turn=lambda rope, x, p, i=inverse: rope(p, x.clone(), x.clone(), inverse=i)[0],
            note="the last 64 elements of the head" + ("; inverse=True, as for the attention output" if inverse else ""),
            parameters={"ropeType": "deepseek_yarn", "factor": 16.0, "originalMaxPosition": 65536, "betaFast": 32, "betaSlow": 1,
                        "mscale": 0, "mscaleAllDim": 0},
            more={"inverse": True} if inverse else {},
        )
    made["dual-chunk"] = dual_chunk
    made["fope"] = fope
    made["llama-4-vision"] = llama4_vision
    return made


def ernie_class():
    from importlib import import_module

    return import_module(f"{NAME}.ernie45_vl_rope").Ernie4_5_VLRotaryEmbedding


def dual_chunk(name: str) -> dict:
    """Five queries for one key: each is a plain rope at a position that the class chooses."""
    head_dim, base, chunk, local = 64, 10000000.0, 4096, 512
    settings = {
        "head_size": head_dim, "max_position": 16384, "is_neox_style": True, "rope_parameters": {"rope_theta": base},
        "dual_chunk_attention_config": {"chunk_size": chunk, "local_size": local},
    }
    rope = get_rope(settings, torch.float32)
    positions = [0, 1, 511, 512, 3583, 3584, 3585, 4096, 7167, 7168, 10000, 16383]
    unit = torch.from_numpy(serving.unit_heads(len(positions), head_dim, head_dim, "half")).reshape(len(positions), -1)
    query, key = rope(torch.tensor(positions), unit.clone(), unit.clone())
    pairs = [0, 1, 4, 8, 12, 16, 20, 24, 30, 31]
    first, second = (members(head_dim, "half")[i][pairs] for i in range(2))
    parts = ["intra", "successor", "inter", "successorCritical", "interCritical"]
    # With one head the last axis is five heads one after the other.
    pieces = dict(zip(parts, query.reshape(len(positions), 5, head_dim).unbind(1)))
    pieces["key"] = key.reshape(len(positions), head_dim)
    return {
        "source": source(name),
        "name": name,
        "entry": "vllm.model_executor.layers.rotary_embedding.get_rope -> DualChunkRotaryEmbedding",
        "settings": settings,
        "request": {
            "headDim": head_dim, "rotaryDim": head_dim, "base": base, "maxPosition": 16384, "pairing": "half", "dialect": "vllm",
            "parameters": {"ropeType": "dual_chunk", "chunkSize": chunk, "localSize": local},
        },
        "positions": positions,
        "pairs": pairs,
        "turned": {
            part: {
                "cos": [exact(row) for row in turned[:, first].numpy()],
                "sin": [exact(row) for row in turned[:, second].numpy()],
            }
            for part, turned in pieces.items()
        },
    }


def fope(name: str) -> dict:
    """Not a rotation: cos and sin are mixed by learned matrices, which are given here."""
    head_dim, base, kv_heads, kept = 32, 10000.0, 2, 10
    settings = {
        "head_size": head_dim, "max_position": 4096, "is_neox_style": True,
        "rope_parameters": {"rope_theta": base, "rope_type": "default", "use_fope": True, "num_key_value_heads": kv_heads,
                            "num_inv_freq": kept, "fope_sep_head": True, "fope_init_factor": 0.1},
    }
    rope = get_rope(settings, torch.float32)
    generator = torch.Generator().manual_seed(5)
    shape = (kv_heads, kept, kept)
    cos_mix, sin_mix = (torch.eye(kept) + 0.1 * torch.randn(shape, generator=generator) for _ in range(2))
    for parameter, mix in ((rope.cos_coef, cos_mix), (rope.sin_coef, sin_mix)):
        parameter.data = mix.clone().contiguous()
    rope.cos_sin_cache = rope._compute_cos_sin_cache()
    positions = [0, 1, 127, 257, 2049, 4095]
    x = torch.from_numpy(serving.heads(len(positions), kv_heads, head_dim))
    where = torch.tensor(positions)
    flat = x.reshape(len(positions), -1)
    query, key = rope(where, flat.clone(), flat.clone())
    assert torch.equal(query, key)
    table = rope.cos_sin_cache[where]
    return {
        "source": source(name),
        "name": name,
        "entry": "vllm.model_executor.layers.rotary_embedding.get_rope -> FourierRotaryEmbedding",
        "settings": settings,
        "request": {
            "headDim": head_dim, "rotaryDim": head_dim, "base": base, "maxPosition": 4096, "pairing": "half", "dialect": "vllm",
            "parameters": {"ropeType": "fope", "frequencyCount": kept, "separateHeads": True, "keyValueHeads": kv_heads},
        },
        "invFreq": exact(rope.inv_freq.numpy()),
        "positions": positions,
        # [keyValueHeads, kept, kept], input index before output index.
        "mixing": {"shape": list(shape), "cos": pack(cos_mix.numpy()), "sin": pack(sin_mix.numpy())},
        # [tokens, keyValueHeads, headDim]: doubled, and 1 in both where no frequency was kept.
        "table": {
            "shape": list(table.chunk(2, dim=-1)[0].shape),
            "cos": pack(table.chunk(2, dim=-1)[0].contiguous().numpy()),
            "sin": pack(table.chunk(2, dim=-1)[1].contiguous().numpy()),
        },
        "rotated": [{
            "dtype": "float32", "tokens": list(range(len(positions))), "shape": list(x.shape),
            "input": pack(x.numpy()), "output": pack(query.reshape(x.shape).contiguous().numpy()),
        }],
    }


def llama4_vision(name: str) -> dict:
    """A grid of 4 by 4 patches and the class token, which comes last."""
    head_dim = 16
    settings = {"head_size": head_dim, "max_position": 16, "is_neox_style": False,
                "rope_parameters": {"rope_type": "mllama4", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}}
    rope = get_rope(settings, torch.complex64)
    tokens = rope.cos_sin_cache.shape[0]
    unit = torch.zeros(1, tokens, 1, head_dim)
    unit[..., 0::2] = 1
    query, key = rope(unit.clone(), unit.clone())
    assert torch.equal(query, key)
    turned = query[0, :, 0]
    return {
        "source": source(name),
        "name": name,
        "entry": f"{NAME}.get_rope -> Llama4VisionRotaryEmbedding",
        "settings": {**settings, "dtype": "complex64"},
        "request": {
            "headDim": head_dim, "rotaryDim": head_dim, "base": 10000.0, "pairing": "adjacent", "dialect": "vllm",
            "parameters": {"ropeType": "mllama4", "grid": [4, 4]},
        },
        "note": "tokens are the patches row by row, then the class token",
        "positions": list(range(tokens)),
        "pairs": list(range(head_dim // 2)),
        "cos": [exact(row) for row in turned[:, 0::2].numpy()],
        "sin": [exact(row) for row in turned[:, 1::2].numpy()],
    }


def refused() -> dict:
    def attempt(parameters, **more):
        settings = {"head_size": 128, "max_position": 4096, "is_neox_style": True, "rope_parameters": parameters, **more}
        return lambda: get_rope(settings, torch.float32)

    return {
        "telechat3-yarn": attempt(settings_of(SCENARIOS["telechat3-yarn"])["rope_parameters"]),
        "su": attempt({"rope_type": "su", "factor": 2.0}),
        "xdrope": attempt({"rope_type": "xdrope", "alpha": 1000.0, "xdrope_section": [16, 16, 16, 16]}),
        "linear with an integer factor": attempt({"rope_type": "linear", "factor": 8}),
        "yarn without factor": attempt({"rope_type": "yarn", "original_max_position_embeddings": 4096}),
        "yarn with factor null": attempt({"rope_type": "yarn", "factor": None, "original_max_position_embeddings": 4096}),
        "yarn without original_max_position_embeddings": attempt({"rope_type": "yarn", "factor": 4.0}),
        "llama3 without low_freq_factor": attempt({"rope_type": "llama3", "factor": 8.0, "high_freq_factor": 4.0,
                                                   "original_max_position_embeddings": 8192}),
        "dynamic without factor and alpha": attempt({"rope_type": "dynamic"}),
        "mrope sections that do not sum up": attempt({"rope_type": "default", "mrope_section": [16, 16, 16]}),
        "fope without a matrix per head": attempt({
            "rope_theta": 10000.0, "use_fope": True, "num_key_value_heads": 2, "num_inv_freq": 10, "fope_sep_head": False,
            "fope_init_factor": 0.1,
        }),
        "partial_rotary_factor above 1": attempt({"rope_type": "default", "partial_rotary_factor": 1.5}),
    }


def run(names: list[str] | None) -> None:
    serving.run("vllm", cases(), refused(), source, f"{NAME}.get_rope", names)

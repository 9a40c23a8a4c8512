"""Rotary modules of general libraries, on the CPU: timm, lucidrains' rotary-embedding-torch and the torch part of
flash-attn. `FLASH_ATTENTION` names the unpacked source archive of the last, which is imported without its kernels."""

import importlib
import os
import sys
import types
from importlib.metadata import version
from pathlib import Path

import torch

from .paths import FIXTURES
from .sampling import heads
from .writing import exact, pack, write

TOKENS = 12


def tensor(x: torch.Tensor) -> dict:
    return {"shape": list(x.shape), "data": pack(x.detach().float().contiguous().numpy())}


def made(engine: str, release: str, name: str, entry: str, settings: dict, pairing: str, width: int, **rest) -> dict:
    return {
        "source": {
            "engine": engine, "version": release, "torch": torch.__version__,
            "command": f"python -m goldens libraries --name {name}",
        },
        "name": name, "entry": entry, "settings": settings, "pairing": pairing, "headDim": width, **rest,
    }


def heads_of(tokens: int, width: int) -> torch.Tensor:
    """[1, heads, tokens, headDim]"""
    return torch.from_numpy(heads(tokens, 2, width)).transpose(0, 1)[None]


def timm_case(name: str, kind: str, settings: dict, half: bool) -> dict:
    sincos = importlib.import_module("timm.layers.pos_embed_sincos")
    shape = [3, 4]
    module = getattr(sincos, kind)(**settings)
    embed = module.get_embed(shape)
    width = settings["dim"]
    sin, cos = embed.chunk(2, dim=-1)
    x = heads_of(TOKENS, width)
    y = sincos.apply_rot_embed_cat(x, embed, half=half)
    pick = slice(0, width // 2) if half else slice(0, None, 2)
    return made(
        "huggingface/pytorch-image-models (timm)", version("timm"), name, f"{kind}, apply_rot_embed_cat", settings,
        "half" if half else "adjacent", width, grid=shape, cos=tensor(cos[:, pick]), sin=tensor(sin[:, pick]), input=tensor(x),
        output=tensor(y),
    )


def lucidrains(name: str, settings: dict, offset: int = 0, grid: list | None = None) -> dict:
    library = importlib.import_module("rotary_embedding_torch")
    module = library.RotaryEmbedding(**settings)
    engine = ("lucidrains/rotary-embedding-torch", version("rotary-embedding-torch"), name)
    if grid is not None:
        angles = module.get_axial_freqs(*grid)
        width = angles.shape[-1]
        x = heads_of(TOKENS, width).reshape(1, 2, *grid, width)
        y = library.apply_rotary_emb(angles, x)
        return made(
            *engine, "RotaryEmbedding.get_axial_freqs, apply_rotary_emb", settings, "adjacent", width, grid=grid,
            invFreq=exact(module.freqs.detach().numpy()), angles=tensor(angles.reshape(TOKENS, width)[:, 0::2]),
            input=tensor(x.flatten(2, -2)), output=tensor(y.flatten(2, -2)),
        )
    width = settings["dim"]
    x = heads_of(TOKENS, width)
    frequencies = exact(module.freqs.detach().numpy())
    if settings.get("use_xpos"):
        query, key = module.rotate_queries_and_keys(x, x)
        return made(*engine, "RotaryEmbedding.rotate_queries_and_keys", settings, "adjacent", width, invFreq=frequencies,
                    positions=list(range(TOKENS)), input=tensor(x), query=tensor(query), key=tensor(key))
    y = module.rotate_queries_or_keys(x, offset=offset)
    return made(*engine, "RotaryEmbedding.rotate_queries_or_keys", {**settings, "offset": offset}, "adjacent", width,
                invFreq=frequencies, positions=[offset + t for t in range(TOKENS)], input=tensor(x), output=tensor(y))


def flash(name: str, settings: dict) -> dict:
    root = Path(os.environ.get("FLASH_ATTENTION", "."))
    for package in ("flash_attn", "flash_attn.layers", "flash_attn.ops", "flash_attn.ops.triton"):
        if package not in sys.modules:
            sys.modules[package] = types.ModuleType(package)
            sys.modules[package].__path__ = [str(root.joinpath(*package.split(".")))]
    sys.modules["flash_attn.ops.triton.rotary"] = types.ModuleType("flash_attn.ops.triton.rotary")
    sys.modules["flash_attn.ops.triton.rotary"].apply_rotary = None  # the kernel for graphics cards
    rotary = importlib.import_module("flash_attn.layers.rotary")
    module = rotary.RotaryEmbedding(**settings)
    module._update_cos_sin_cache(TOKENS, device=torch.device("cpu"), dtype=torch.float32)
    x = torch.from_numpy(heads(TOKENS, 2, 32))[None]  # [1, tokens, heads, headDim]
    tables = {"query": (module._cos_cached, module._sin_cached)}
    if settings.get("scale_base"):
        tables["key"] = (module._cos_k_cached, module._sin_k_cached)
    turned = {
        part: tensor(rotary.apply_rotary_emb_torch(x, cos, sin, interleaved=settings["interleaved"]).transpose(1, 2))
        for part, (cos, sin) in tables.items()
    }
    return made(
        "Dao-AILab/flash-attention", "2.8.3.post2", name, "RotaryEmbedding._update_cos_sin_cache, apply_rotary_emb_torch",
        settings, "adjacent" if settings["interleaved"] else "half", 32, rotaryDim=settings["dim"], invFreq=exact(module.inv_freq.numpy()),
        positions=list(range(TOKENS)), cos=tensor(module._cos_cached), sin=tensor(module._sin_cached), input=tensor(x.transpose(1, 2)),
        **turned,
    )


CASES = {
    "timm-pixels": lambda n: timm_case(n, "RotaryEmbeddingCat", {"dim": 32, "max_res": 224, "in_pixels": True}, False),
    "timm-pixels-linear": lambda n: timm_case(
        n, "RotaryEmbeddingCat", {"dim": 32, "max_res": 64, "in_pixels": True, "linear_bands": True}, False),
    "timm-index": lambda n: timm_case(n, "RotaryEmbeddingCat", {"dim": 32, "temperature": 10000.0, "in_pixels": False}, False),
    "timm-index-resized": lambda n: timm_case(
        n, "RotaryEmbeddingCat", {"dim": 32, "temperature": 10000.0, "in_pixels": False, "ref_feat_shape": [6, 8]}, False),
    "timm-index-xy-half": lambda n: timm_case(
        n, "RotaryEmbeddingCat",
        {"dim": 32, "temperature": 100.0, "in_pixels": False, "grid_indexing": "xy", "rotate_half": True}, True),
    "timm-dinov3": lambda n: timm_case(n, "RotaryEmbeddingDinoV3", {"dim": 32, "temperature": 100.0}, True),
    "timm-dinov3-max": lambda n: timm_case(
        n, "RotaryEmbeddingDinoV3", {"dim": 32, "temperature": 100.0, "normalize_coords": "max"}, True),
    "timm-mrope": lambda n: timm_case(n, "RotaryEmbeddingMRope", {"dim": 64, "mrope_section": [8, 12, 12]}, True),
    "lucidrains-language": lambda n: lucidrains(n, {"dim": 32}, offset=100),
    "lucidrains-interpolated": lambda n: lucidrains(n, {"dim": 32, "interpolate_factor": 4.0}),
    "lucidrains-rescaled": lambda n: lucidrains(n, {"dim": 32, "theta_rescale_factor": 8.0}),
    "lucidrains-xpos": lambda n: lucidrains(n, {"dim": 32, "use_xpos": True}),
    "lucidrains-pixels": lambda n: lucidrains(n, {"dim": 16, "freqs_for": "pixel", "max_freq": 256}, grid=[3, 4]),
    "lucidrains-axes": lambda n: lucidrains(n, {"dim": 16}, grid=[3, 4]),
    "flash-attn-half": lambda n: flash(n, {"dim": 32, "base": 10000.0, "interleaved": False, "scale_base": None}),
    "flash-attn-partial-adjacent": lambda n: flash(n, {"dim": 16, "base": 10000.0, "interleaved": True, "scale_base": None}),
    "flash-attn-xpos": lambda n: flash(n, {"dim": 32, "base": 10000.0, "interleaved": False, "scale_base": 512}),
}


def run(names: list[str] | None) -> None:
    torch.set_num_threads(1)
    for name, make in CASES.items():
        if names and name not in names:
            continue
        print(f"{name}: {write(FIXTURES / 'libraries' / f'{name}.json', make(name))} bytes", flush=True)

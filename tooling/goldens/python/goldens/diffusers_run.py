"""The rotary embeddings of image and video transformers in diffusers, on the CPU. cos, sin and rotations are the
engine's. Positions that a module takes from the shape of its input are written down beside them, and the table is checked
to be the one that those positions give."""

import itertools
import math
import platform
from dataclasses import dataclass, field
from types import SimpleNamespace

import diffusers
import numpy as np
import torch
from diffusers.models import embeddings
from diffusers.models.transformers import (
    transformer_cogview4, transformer_cosmos, transformer_flux, transformer_flux2, transformer_hunyuan_video, transformer_ltx,
    transformer_ltx2, transformer_lumina2, transformer_qwenimage, transformer_wan, transformer_z_image,
)

from .paths import FIXTURES
from .sampling import heads
from .writing import pack, write


@dataclass
class Made:
    entry: str
    settings: dict
    axes: list
    sections: list  # pairs per axis
    base: float | list
    positions: list  # [axis][token]
    cos: torch.Tensor  # [token, pair]
    sin: torch.Tensor
    pairing: str
    rotate: object  # [1, tokens, heads, headDim] -> the same
    note: str | None = None
    grid: list | None = None
    # Where the frequencies are not base^(-k / section) of the position itself.
    angle: object = None
    more: dict = field(default_factory=dict)
    order: np.ndarray | None = None  # axis of pair, where sections do not follow one another


def grid_of(*sizes) -> list:
    return [list(axis) for axis in zip(*itertools.product(*(range(size) for size in sizes)))]


def flux() -> Made:
    ids = diffusers.FluxPipeline._prepare_latent_image_ids(1, 3, 4, "cpu", torch.float32)
    ids = torch.cat((torch.zeros(2, 3), ids))
    module = transformer_flux.FluxPosEmbed(theta=10000, axes_dim=[16, 56, 56])
    cos, sin = module(ids)
    return Made(
        "FluxPosEmbed, FluxPipeline._prepare_latent_image_ids", {"theta": 10000, "axes_dim": [16, 56, 56]},
        ["unused", "height", "width"], [8, 28, 28], 10000.0, ids.T.tolist(), cos[:, 0::2], sin[:, 0::2], "adjacent",
        lambda x: embeddings.apply_rotary_emb(x, (cos, sin), sequence_dim=1),
        "two text tokens, then an image of 3 by 4; frequencies and angles in float64, the table in float32", [3, 4],
    )


def flux2() -> Made:
    latents = torch.zeros(1, 4, 3, 4)
    ids = diffusers.Flux2Pipeline._prepare_latent_ids(latents)[0]
    text = diffusers.Flux2Pipeline._prepare_text_ids(torch.zeros(1, 3, 8))[0]
    ids = torch.cat((text, ids))
    module = transformer_flux2.Flux2PosEmbed(theta=2000, axes_dim=[32, 32, 32, 32])
    cos, sin = module(ids)
    return Made(
        "Flux2PosEmbed, Flux2Pipeline._prepare_text_ids, _prepare_latent_ids", {"theta": 2000, "axes_dim": [32, 32, 32, 32]},
        ["time", "height", "width", "text"], [16, 16, 16, 16], 2000.0, ids.T.tolist(), cos[:, 0::2], sin[:, 0::2], "adjacent",
        lambda x: embeddings.apply_rotary_emb(x, (cos, sin), sequence_dim=1),
        "three text tokens, then an image of 3 by 4", [3, 4],
    )


def qwen_image(centred: bool) -> Made:
    module = transformer_qwenimage.QwenEmbedRope(theta=10000, axes_dim=[16, 56, 56], scale_rope=centred)
    frames, height, width, text = 2, 3, 4, 3
    image, words = module([(frames, height, width)], device=torch.device("cpu"), max_txt_seq_len=text)
    table = torch.cat((image, words))
    t, h, w = grid_of(frames, height, width)
    start = max(height // 2, width // 2) if centred else max(height, width)
    if centred:
        h, w = [p - (height - height // 2) for p in h], [p - (width - width // 2) for p in w]
    tail = [start + k for k in range(text)]
    return Made(
        "QwenEmbedRope", {"theta": 10000, "axes_dim": [16, 56, 56], "scale_rope": centred},
        ["time", "height", "width"], [8, 28, 28], 10000.0, [t + tail, h + tail, w + tail], table.real, table.imag, "adjacent",
        lambda x: transformer_qwenimage.apply_rotary_emb_qwen(x, table, use_real=False),
        "two frames of 3 by 4, then three text tokens", [frames, height, width],
    )


def z_image() -> Made:
    ids = torch.tensor([[1, 0, 0], [2, 0, 0], *([3, h, w] for h in range(3) for w in range(4))])
    module = transformer_z_image.RopeEmbedder(theta=256.0, axes_dims=[32, 48, 48], axes_lens=[1536, 512, 512])
    table = module(ids)

    def rotate(x):
        captured = {}
        processor = transformer_z_image.ZSingleStreamAttnProcessor()
        width = x.shape[-1]
        attention = SimpleNamespace(
            heads=x.shape[2], to_q=torch.nn.Identity(), to_k=torch.nn.Identity(), to_v=torch.nn.Identity(), norm_q=None,
            norm_k=None, to_out=[torch.nn.Identity(), torch.nn.Identity()],
        )
        with captured_attention(transformer_z_image, captured):
            processor(attention, x.reshape(1, -1, x.shape[2] * width), freqs_cis=table[None])
        return captured["query"]

    return Made(
        "RopeEmbedder, ZSingleStreamAttnProcessor", {"theta": 256.0, "axes_dims": [32, 48, 48], "axes_lens": [1536, 512, 512]},
        ["time", "height", "width"], [16, 24, 24], 256.0, ids.T.tolist(), table.real, table.imag, "adjacent", rotate,
        "two caption tokens, then an image of 3 by 4; ids written down as the transformer makes them", [3, 4],
    )


class captured_attention:
    """The attention function of a module, replaced by one that keeps the query it is given."""

    def __init__(self, module, captured: dict):
        self.module, self.captured, self.original = module, captured, module.dispatch_attention_fn

    def __enter__(self):
        def keep(query, key, value, **_):
            self.captured["query"] = query
            return query

        self.module.dispatch_attention_fn = keep

    def __exit__(self, *_):
        self.module.dispatch_attention_fn = self.original


def lumina2() -> Made:
    module = transformer_lumina2.Lumina2RotaryPosEmbed(theta=10000, axes_dim=[32, 32, 32], axes_lens=[300, 512, 512])
    _, _, _, table, _, _ = module(torch.zeros(1, 4, 6, 8), torch.ones(1, 3, dtype=torch.int64))
    table = table[0]
    t, h, w = grid_of(1, 3, 4)
    zeros = [0, 0, 0]
    return Made(
        "Lumina2RotaryPosEmbed", {"theta": 10000, "axes_dim": [32, 32, 32], "axes_lens": [300, 512, 512]},
        ["text", "height", "width"], [16, 16, 16], 10000.0, [[0, 1, 2] + [3] * len(t), zeros + h, zeros + w],
        table.real.float(), table.imag.float(), "adjacent",
        lambda x: embeddings.apply_rotary_emb(x, table[None], use_real=False),
        "three caption tokens, then an image of 3 by 4 after patches of 2; the table is complex128, written here in float32",
        [3, 4],
    )


def hunyuan_video() -> Made:
    module = transformer_hunyuan_video.HunyuanVideoRotaryPosEmbed(2, 1, [16, 56, 56], 256.0)
    cos, sin = module(torch.zeros(1, 4, 2, 6, 8))
    return Made(
        "HunyuanVideoRotaryPosEmbed", {"patch_size": 2, "patch_size_t": 1, "rope_dim": [16, 56, 56], "theta": 256.0},
        ["time", "height", "width"], [8, 28, 28], 256.0, grid_of(2, 3, 4), cos[:, 0::2], sin[:, 0::2], "adjacent",
        lambda x: embeddings.apply_rotary_emb(x, (cos, sin), sequence_dim=1), None, [2, 3, 4],
    )


def wan() -> Made:
    module = transformer_wan.WanRotaryPosEmbed(128, (1, 2, 2), 1024)
    cos, sin = module(torch.zeros(1, 4, 2, 6, 8))

    def rotate(x):
        captured = {}
        attention = transformer_wan.WanAttention(dim=x.shape[2] * 128, heads=x.shape[2], dim_head=128)
        for name in ("to_q", "to_k", "to_v", "norm_q", "norm_k"):
            setattr(attention, name, torch.nn.Identity())
        attention.to_out = torch.nn.ModuleList([torch.nn.Identity(), torch.nn.Identity()])
        with captured_attention(transformer_wan, captured):
            transformer_wan.WanAttnProcessor()(attention, x.flatten(2), rotary_emb=(cos, sin))
        return captured["query"]

    return Made(
        "WanRotaryPosEmbed, WanAttnProcessor", {"attention_head_dim": 128, "patch_size": [1, 2, 2], "max_seq_len": 1024},
        ["time", "height", "width"], [22, 21, 21], 10000.0, grid_of(2, 3, 4), cos[0, :, 0, 0::2], sin[0, :, 0, 1::2],
        "adjacent", rotate, "frequencies and angles in float64, the table in float32", [2, 3, 4],
    )


def ltx() -> Made:
    dim, base = 128, 10000.0
    module = transformer_ltx.LTXVideoRotaryPosEmbed(dim=dim)
    frames, height, width = 2, 3, 4
    scale = (8 / 25, 32, 32)
    cos, sin = (t[0] for t in module(torch.zeros(1, 24, dim), frames, height, width, scale))
    padding = dim % 6
    t, h, w = grid_of(frames, height, width)
    positions = [[p * scale[0] / 20 for p in t], [p * scale[1] / 2048 for p in h], [p * scale[2] / 2048 for p in w]]
    per_axis = dim // 6
    order = np.concatenate((np.full(padding // 2, -1), np.tile([0, 1, 2], per_axis)))

    def angle(position, axis, index):
        if axis < 0:
            return 0.0
        k = (index - padding // 2) // 3
        return base ** (k / (per_axis - 1)) * math.pi / 2 * (2 * position - 1)

    return Made(
        "LTXVideoRotaryPosEmbed, apply_rotary_emb of transformer_ltx",
        {"dim": dim, "base_num_frames": 20, "base_height": 2048, "base_width": 2048, "theta": base,
         "rope_interpolation_scale": list(scale)},
        ["time", "height", "width"], [per_axis] * 3, base, positions, cos[:, 0::2], sin[:, 0::2], "adjacent",
        lambda x: transformer_ltx.apply_rotary_emb(x.flatten(2), (cos[None], sin[None])).reshape(x.shape),
        "over the whole inner width, before it is cut into heads; positions are shares of (20 frames, 2048, 2048); the "
        "frequency of pair k of an axis is base^(k / (n - 1)) * pi / 2, of 2 * position - 1; the first dim % 6 elements "
        "are not turned, then the axes take turns pair by pair",
        [frames, height, width], angle, {"padding": padding}, order,
    )


def ltx2(split: bool) -> Made:
    dim, base, head_count = 128, 10000.0, 2
    module = transformer_ltx2.LTX2AudioVideoRotaryPosEmbed(
        dim=dim, rope_type="split" if split else "interleaved", num_attention_heads=head_count, base_num_frames=20,
    )
    frames, height, width = 3, 2, 2
    coords = module.prepare_video_coords(1, frames, height, width, torch.device("cpu"), fps=24.0)
    cos, sin = module(coords)
    middle = (coords[..., 0] + coords[..., 1])[0] / 2
    positions = [(middle[i] / size).tolist() for i, size in enumerate((20, 2048, 2048))]
    per_axis = dim // 6
    padding = dim // 2 - 3 * per_axis
    order = np.concatenate((np.full(padding, -1), np.tile([0, 1, 2], per_axis)))

    def angle(position, axis, index):
        if axis < 0:
            return 0.0
        k = (index - padding) // 3
        return base ** (k / (per_axis - 1)) * math.pi / 2 * (2 * position - 1)

    if split:
        table = [t[0].swapaxes(0, 1).reshape(t.shape[2], -1) for t in (cos, sin)]
        rotate = lambda x: transformer_ltx2.apply_split_rotary_emb(x.flatten(2), (cos, sin)).reshape(x.shape)
    else:
        table = [t[0, :, 0::2] for t in (cos, sin)]
        rotate = lambda x: transformer_ltx2.apply_interleaved_rotary_emb(x.flatten(2), (cos, sin)).reshape(x.shape)
    return Made(
        "LTX2AudioVideoRotaryPosEmbed, prepare_video_coords, "
        + ("apply_split_rotary_emb" if split else "apply_interleaved_rotary_emb"),
        {"dim": dim, "theta": base, "rope_type": "split" if split else "interleaved", "num_attention_heads": head_count,
         "double_precision": True, "causal_offset": 1, "scale_factors": [8, 32, 32], "fps": 24.0},
        ["time", "height", "width"], [per_axis] * 3, base, positions, *table, "half" if split else "adjacent", rotate,
        "as LTX, with frequencies in float64; positions are the middles of patches in seconds and pixels, as shares of "
        "(20, 2048, 2048)" + ("; pairs are cut into heads first, each head then turned half against half" if split else ""),
        [frames, height, width], angle, {"padding": 2 * padding, "heads": head_count}, order,
    )


def cogvideox() -> Made:
    crops, size, frames = ((2, 0), (10, 12)), (4, 6), 2
    cos, sin = embeddings.get_3d_rotary_pos_embed(64, crops, size, frames)
    t, h, w = grid_of(frames, *size)
    h = [crops[0][0] + (crops[1][0] * (size[0] - 1) / size[0] - crops[0][0]) * p / (size[0] - 1) for p in h]
    w = [crops[0][1] + (crops[1][1] * (size[1] - 1) / size[1] - crops[0][1]) * p / (size[1] - 1) for p in w]
    return Made(
        "get_3d_rotary_pos_embed", {"embed_dim": 64, "crops_coords": crops, "grid_size": size, "temporal_size": frames},
        ["time", "height", "width"], [8, 12, 12], 10000.0, [t, h, w], cos[:, 0::2], sin[:, 0::2], "adjacent",
        lambda x: embeddings.apply_rotary_emb(x, (cos, sin), sequence_dim=1),
        "height and width run evenly from the crop's start to stop * (n - 1) / n", [frames, *size],
    )


def cogview4() -> Made:
    module = transformer_cogview4.CogView4RotaryPosEmbed(dim=128, patch_size=2, rope_axes_dim=(256, 256))
    cos, sin = module(torch.zeros(1, 4, 6, 8))
    h, w = grid_of(3, 4)
    h, w = [p * 256 // 3 for p in h], [p * 256 // 4 for p in w]
    return Made(
        "CogView4RotaryPosEmbed", {"dim": 128, "patch_size": 2, "rope_axes_dim": [256, 256], "theta": 10000.0},
        ["height", "width"], [32, 32], 10000.0, [h, w], cos[:, :64], sin[:, :64], "half",
        lambda x: embeddings.apply_rotary_emb(x, (cos, sin), use_real_unbind_dim=-2, sequence_dim=1),
        "an image of 3 by 4 stretched over 256 by 256, rounded down", [3, 4],
    )


def cosmos() -> Made:
    module = transformer_cosmos.CosmosRotaryPosEmbed(hidden_size=128, max_size=(128, 240, 240), patch_size=(1, 2, 2))
    cos, sin = module(torch.zeros(1, 4, 2, 6, 8), fps=30)
    t, h, w = grid_of(2, 3, 4)
    per = [22, 21, 21]
    bases = [10000.0 * 2.0 ** (44 / 42), 10000.0, 10000.0]
    return Made(
        "CosmosRotaryPosEmbed", {"hidden_size": 128, "max_size": [128, 240, 240], "patch_size": [1, 2, 2], "base_fps": 24,
                                 "rope_scale": [2.0, 1.0, 1.0], "fps": 30},
        ["time", "height", "width"], per, bases, [[p / 30 * 24 for p in t], h, w], cos[:, :64], sin[:, :64], "half",
        lambda x: embeddings.apply_rotary_emb(x, (cos, sin), use_real_unbind_dim=-2, sequence_dim=1),
        "the base of each axis is 10000 * scale^(dim / (dim - 2)); time counts in frames of 24 per second", [2, 3, 4],
    )


def allegro() -> Made:
    size, frames, scale = (3, 4), 2, (2.0, 2.0, 2.0)
    table = embeddings.get_3d_rotary_pos_embed_allegro(96, ((0, 0), size), size, frames, scale)
    (t_cos, t_sin), (h_cos, h_sin), (w_cos, w_sin), grid_t, grid_h, grid_w = table
    t, h, w = grid_of(frames, *size)
    parts_cos = [part[torch.tensor(at)][:, :16] for part, at in ((t_cos, t), (h_cos, h), (w_cos, w))]
    parts_sin = [part[torch.tensor(at)][:, :16] for part, at in ((t_sin, t), (h_sin, h), (w_sin, w))]
    where = [torch.tensor([at]) for at in (t, h, w)]

    def rotate(x):
        turned = embeddings.apply_rotary_emb_allegro(
            x.transpose(1, 2), ((t_cos, t_sin), (h_cos, h_sin), (w_cos, w_sin)), where
        )
        return turned.transpose(1, 2)

    return Made(
        "get_3d_rotary_pos_embed_allegro, apply_rotary_emb_allegro",
        {"embed_dim": 96, "crops_coords": [[0, 0], size], "grid_size": size, "temporal_size": frames, "interpolation_scale": scale},
        ["time", "height", "width"], [16, 16, 16], 10000.0, [[p / s for p in at] for at, s in zip((t, h, w), scale)],
        torch.cat(parts_cos, dim=1), torch.cat(parts_sin, dim=1), "half within each axis", rotate,
        "the head is cut into three parts of 32, each turned half against half by its own axis", [frames, *size],
    )


CASES = {
    "flux": flux,
    "flux-2": flux2,
    "qwen-image": lambda: qwen_image(True),
    "qwen-image-from-corner": lambda: qwen_image(False),
    "z-image": z_image,
    "lumina-2": lumina2,
    "hunyuan-video": hunyuan_video,
    "wan": wan,
    "ltx": ltx,
    "ltx-2": lambda: ltx2(False),
    "ltx-2-split": lambda: ltx2(True),
    "cogvideox": cogvideox,
    "cogview-4": cogview4,
    "cosmos": cosmos,
    "allegro": allegro,
}


def check(made: Made, axis_of_pair: np.ndarray) -> None:
    """The positions beside the table are those of the table."""
    positions = np.array(made.positions, dtype=np.float64)
    angles = np.zeros(tuple(made.cos.shape))
    first = {axis: int(np.argmax(axis_of_pair == axis)) for axis in set(axis_of_pair.tolist())}
    for index, axis in enumerate(axis_of_pair):
        for token in range(len(angles)):
            if made.angle is not None:
                angles[token, index] = made.angle(positions[axis, token], axis, index)
            else:
                base = made.base[axis] if isinstance(made.base, list) else made.base
                angles[token, index] = positions[axis, token] * base ** (-(index - first[axis]) / made.sections[axis])
    # The largest angle is about 2e4 (LTX), of which half a unit of float32 is 1e-3.
    allowed = 4e-7 * (1 + np.abs(angles))
    assert (np.abs(np.cos(angles) - made.cos.numpy()) < allowed).all()
    assert (np.abs(np.sin(angles) - made.sin.numpy()) < allowed).all()


def fixture(name: str) -> dict:
    made = CASES[name]()
    tokens, pairs = made.cos.shape
    axis_of_pair = made.order if made.order is not None else np.repeat(np.arange(len(made.sections)), made.sections)
    assert len(axis_of_pair) == pairs
    check(made, axis_of_pair)
    head_count = made.more.get("heads", 2 if made.angle is None else 1)
    width = 2 * pairs // (head_count if made.angle is not None else 1)
    rotated = []
    for dtype, kind in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        x = torch.from_numpy(heads(tokens, head_count, width))[None].to(kind)
        y = made.rotate(x)
        assert y.shape == x.shape and y.dtype == kind, (y.shape, y.dtype)
        kept = slice(tokens - 3, tokens)
        raw = lambda z: pack((z[0, kept].contiguous().view(torch.int16) if kind == torch.bfloat16 else z[0, kept].contiguous()).numpy())
        rotated.append({
            "dtype": dtype, "tokens": list(range(tokens - 3, tokens)), "shape": [3, head_count, width], "input": raw(x),
            "output": raw(y),
        })
    return {
        "source": {
            "engine": "huggingface/diffusers",
            "version": diffusers.__version__,
            "torch": torch.__version__,
            "cpu": torch.backends.cpu.get_cpu_capability(),
            "python": platform.python_version(),
            "command": f"python -m goldens diffusers --name {name}",
        },
        "name": name,
        "entry": made.entry,
        "settings": made.settings,
        **({"note": made.note} if made.note else {}),
        "headDim": width,
        "rotaryDim": 2 * pairs,
        "pairing": made.pairing,
        "base": made.base,
        "axes": made.axes,
        "sections": made.sections,
        # -1: a pair that is never turned.
        "axisOfPair": axis_of_pair.tolist(),
        **made.more,
        "grid": made.grid,
        "positions": made.positions,
        "shape": [tokens, pairs],
        "cos": pack(made.cos.float().contiguous().numpy()),
        "sin": pack(made.sin.float().contiguous().numpy()),
        "rotated": rotated,
    }


def run(names: list[str] | None) -> None:
    torch.set_num_threads(1)
    for name in CASES:
        if names and name not in names:
            continue
        print(f"{name}: {write(FIXTURES / 'diffusers' / f'{name}.json', fixture(name))} bytes", flush=True)

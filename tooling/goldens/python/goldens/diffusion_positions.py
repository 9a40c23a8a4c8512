"""Positions of image and video transformers in diffusers, on random sizes. They are the engine's: what its functions for
ids return, or, where a module keeps them to itself, what it looks up. For that, the functions that make its tables are
replaced by ones whose table holds the positions themselves."""

import contextlib
import inspect
import os
import platform
import random
from types import SimpleNamespace

# torch.linspace (CogVideoX) rounds otherwise in each vector width. The scalar kernel rounds as its formula is written.
os.environ["ATEN_CPU_CAPABILITY"] = "default"

import diffusers
import torch
from diffusers.models import embeddings
from diffusers.models.transformers import (
    transformer_cogview4, transformer_cosmos, transformer_cosmos3, transformer_hunyuan_video,
    transformer_hunyuan_video15, transformer_hunyuan_video_framepack, transformer_hunyuanimage, transformer_ltx,
    transformer_ltx2, transformer_lumina2, transformer_qwenimage, transformer_qwenimage21, transformer_skyreels_v2,
    transformer_wan, transformer_wan_animate, transformer_z_image,
)
from diffusers.modular_pipelines.flux3 import before_denoise as flux3_steps
from diffusers.pipelines.bria.pipeline_bria import BriaPipeline
from diffusers.pipelines.cogvideo.pipeline_cogvideox import get_resize_crop_region_for_grid
from diffusers.pipelines.cosmos.pipeline_cosmos3_omni import Cosmos3OmniPipeline
from diffusers.pipelines.krea2.pipeline_krea2 import Krea2Pipeline
from diffusers.pipelines.longcat_image.pipeline_longcat_image import prepare_pos_ids
from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXConditionPipeline

from .paths import FIXTURES
from .writing import write

CASES = 12
cpu = torch.device("cpu")


@contextlib.contextmanager
def replaced(*places):
    """Sets attributes, given as (object, name, value), for a while."""
    kept = [(target, name, getattr(target, name)) for target, name, _ in places]
    for target, name, value in places:
        setattr(target, name, value)
    try:
        yield
    finally:
        for target, name, value in kept:
            setattr(target, name, value)


def table_of_positions(dim, pos, *_, **__):
    """get_1d_rotary_pos_embed, but cos and sin of a position are the position."""
    pos = torch.arange(pos) if isinstance(pos, int) else pos
    table = pos.float()[:, None].expand(-1, dim)
    return table, table


def columns(table: torch.Tensor, dims: list[int]) -> torch.Tensor:
    """The positions of each axis, from a table that repeats each over the elements of the axis."""
    parts = table.split(dims, dim=-1)
    assert all(torch.equal(part, part[..., :1].expand_as(part)) for part in parts)
    return torch.stack([part[..., 0] for part in parts])


def sides(g, count):
    """Small sides; in every third case one of them is long."""
    if g.random() < 1 / 3:
        lengths = [g.randint(1, 2) for _ in range(count)]
        lengths[g.randrange(count)] = g.randint(6, 40)
        return lengths
    return [g.randint(1, 5) for _ in range(count)]


def size(g):
    return sides(g, 2)


def video(g):
    """Frames enough that roundings of their times show."""
    return [g.randint(20, 40), g.randint(1, 2), 1] if g.random() < 0.5 else sides(g, 3)


def same(*answers):
    """One of several answers that are the same."""
    assert all(torch.equal(answer, answers[0]) for answer in answers)
    return answers[0]


def flux(g):
    text, image, reference = g.randint(0, 4), size(g), size(g) if g.random() < 0.6 else None
    pipelines = (diffusers.FluxKontextPipeline, diffusers.FluxPipeline, diffusers.ChromaPipeline, BriaPipeline)
    ids = lambda *sizes: same(*(pipeline._prepare_latent_image_ids(*sizes).reshape(-1, 3) for pipeline in pipelines))
    parts = [torch.zeros(text, 3), ids(1, *image, "cpu", torch.float32)]
    if reference:
        more = ids(1, *reference, "cpu", torch.float32)
        more[..., 0] = 1  # as FluxKontextPipeline.prepare_latents
        parts.append(more)
    else:
        same(torch.cat(parts), Krea2Pipeline.prepare_position_ids(text, *image, "cpu"))
    prompt = {"text": text, "image": image, **({"reference": reference} if reference else {})}
    return prompt, torch.cat(parts).T


def flux2(g):
    text, image, references = g.randint(1, 4), size(g), [size(g) for _ in range(g.randint(0, 3))]
    pipeline = diffusers.Flux2Pipeline
    latents = lambda sizes: torch.zeros(1, 2, *sizes)
    parts = [pipeline._prepare_text_ids(torch.zeros(1, text, 2))[0], pipeline._prepare_latent_ids(latents(image))[0]]
    if references:
        parts.append(pipeline._prepare_image_ids([latents(sizes) for sizes in references])[0])
    prompt = {"text": text, "image": image, **({"references": references} if references else {})}
    return prompt, torch.cat(parts).T


def flux3(g):
    text, image, references = g.randint(1, 4), size(g), [size(g) for _ in range(g.randint(0, 3))]
    scale = flux3_steps.Flux3PrepareLatentsStep().image_rope_scale
    parts = [
        flux3_steps.Flux3TextRoPEInputsStep._prepare_text_ids(torch.zeros(1, text, 2)),
        flux3_steps._prepare_image_ids(*image, scale),
    ]
    if references:
        step = flux3_steps.Flux3PrepareImageCondLatentsStep
        state = SimpleNamespace(image_cond_latents=[torch.zeros(1, 2, *sizes) for sizes in references], dtype=torch.float32)
        self = SimpleNamespace(
            image_rope_scale=step().image_rope_scale, get_block_state=lambda it: it, set_block_state=lambda *_: None
        )
        step.__call__(self, SimpleNamespace(_execution_device="cpu"), state)
        parts.append(state.image_cond_ids)
    prompt = {"text": text, "image": image, **({"references": references} if references else {})}
    return prompt, torch.cat(parts).T


def longcat(g):
    text, image, reference = g.randint(1, 5), size(g), size(g) if g.random() < 0.6 else None
    place = lambda kind, sizes: prepare_pos_ids(kind, "image", (text, text), height=sizes[0], width=sizes[1])
    parts = [prepare_pos_ids(0, "text", (0, 0), num_token=text), place(1, image)]
    if reference:
        parts.append(place(2, reference))
    return {"text": text, "image": image, **({"reference": reference} if reference else {})}, torch.cat(parts).T


def qwen_image(name):
    def run(g):
        engine = getattr(transformer_qwenimage, name)
        with replaced((engine, "rope_params", lambda self, index, dim, theta: index[:, None].float().expand(-1, dim // 2))):
            module = engine(theta=10000, axes_dim=[4, 4, 4], scale_rope=True)
            text = g.randint(0, 4)
            layered = name == "QwenEmbedLayer3DRope"
            images = [[1, g.randint(1, 4), g.randint(1, 4)] if layered else [g.randint(1, 2), *size(g)] for _ in range(g.randint(2, 6) if layered else g.randint(1, 3))]
            image_table, text_table = module([[tuple(image) for image in images]], max_txt_seq_len=text, device=cpu)
        table = torch.cat([text_table, image_table])
        return {"text": text, "images": images}, columns(table, [2, 2, 2])

    return run


def qwen_image_21(g):
    engine = transformer_qwenimage21.QwenImage21Rope
    segments, mask, shapes = [], [], []
    for _ in range(g.randint(1, 3)):
        text, (height, width) = g.randint(1, 4), size(g)
        segments += [{"text": text}, {"image": [height, width]}]
        mask += [False] * text + [True] * (height * width)
        shapes.append((1, height, width))
    if g.random() < 0.7:
        text = g.randint(1, 4)
        segments.append({"text": text})
        mask += [False] * text
    with replaced((engine, "rope_params", lambda self, index, dim, theta: index[:, None].float().expand(-1, dim // 2))):
        table = engine(theta=10000, axes_dim=[4, 4, 4])(shapes, torch.tensor(mask), cpu)
    return {"segments": segments}, columns(table, [2, 2, 2])


def z_image(g):
    text, image = g.randint(1, 80), [g.randint(1, 2), *size(g)]
    engine = transformer_z_image.ZImageTransformer2DModel
    self = engine.__new__(engine)
    torch.nn.Module.__init__(self)
    frames, height, width = image
    answer = engine.patchify_and_embed(
        self, [torch.zeros(1, frames, 2 * height, 2 * width)], [torch.zeros(text, 1)], patch_size=2, f_patch_size=1
    )
    # ids of text are longer than its tokens; _prepare_sequence cuts them to the tokens, and so do we
    ids = [ids[: len(tokens)] for ids, tokens in ((answer[3][0], answer[0][0]), (answer[4][0], answer[1][0]))]
    return {"text": text, "image": image}, torch.cat(ids).T


def lumina2(g):
    text, (height, width) = g.randint(0, 5), size(g)
    module = transformer_lumina2.Lumina2RotaryPosEmbed(theta=10000, axes_dim=[4, 4, 4])
    seen = []
    with replaced((module, "_get_freqs_cis", lambda ids: seen.append(ids) or torch.zeros(*ids.shape[:2], 6))):
        module(torch.zeros(1, 1, 2 * height, 2 * width), torch.ones(1, text, dtype=torch.int64))
    return {"text": text, "image": [height, width]}, seen[0][0].T


def grid(g):
    return sides(g, 3)


def counted(*classes):
    """Modules that number a grid and look nothing else up, given as (file, class, arguments)."""

    def run(g):
        frames, height, width = grid(g)
        tables = []
        for file, name, arguments in classes:
            with replaced((file, "get_1d_rotary_pos_embed", table_of_positions)):
                table, _ = getattr(file, name)(*arguments)(torch.zeros(1, 1, frames, 2 * height, 2 * width))
            tables.append(table.reshape(-1, 12))
        return {"grid": [frames, height, width]}, columns(same(*tables), [4, 4, 4])

    return run


WAN = (12, (1, 2, 2), 64)
wan = counted(
    (transformer_wan, "WanRotaryPosEmbed", WAN),
    (transformer_wan_animate, "WanRotaryPosEmbed", WAN),
    (transformer_skyreels_v2, "SkyReelsV2RotaryPosEmbed", WAN),
)
hunyuan_video = counted(
    (transformer_hunyuan_video, "HunyuanVideoRotaryPosEmbed", (2, 1, [4, 4, 4])),
    (transformer_hunyuan_video15, "HunyuanVideo15RotaryPosEmbed", (2, 1, [4, 4, 4])),
)


def hunyuan_image(g):
    height, width = size(g)
    with replaced((transformer_hunyuanimage, "get_1d_rotary_pos_embed", table_of_positions)):
        table, _ = transformer_hunyuanimage.HunyuanImageRotaryPosEmbed([2, 2], [4, 4])(torch.zeros(1, 1, 2 * height, 2 * width))
    return {"image": [height, width]}, columns(table, [4, 4])


def framepack(g):
    (height, width), frames = size(g), sorted(g.sample(range(40), g.randint(1, 5)))
    with replaced((transformer_hunyuan_video_framepack, "get_1d_rotary_pos_embed", table_of_positions)):
        module = transformer_hunyuan_video_framepack.HunyuanVideoFramepackRotaryPosEmbed(2, 1, [4, 4, 4])
        table, _ = module(torch.tensor(frames), 2 * height, 2 * width, cpu)
    return {"frames": frames, "image": [height, width]}, columns(table, [4, 4, 4])


RATES = [24, 25, 30, 23.976, 29.97, 59.94, 12.5]


def ltx(g):
    (frames, height, width), rate = video(g), g.choice(RATES)
    module = transformer_ltx.LTXVideoRotaryPosEmbed(12)
    # the interpolation scale is that of LTXPipeline
    shares = module._prepare_video_coords(1, frames, height, width, (8 / rate, 32, 32), cpu)[0]
    return {"grid": [frames, height, width], "frameRate": rate}, (shares * 2 - 1).T  # as forward does with them


def ltx_condition(g):
    (frames, height, width), rate, first = video(g), g.choice(RATES), g.choice([0, 0, 8, 25])
    ids = LTXConditionPipeline._prepare_video_ids(1, frames, height, width)
    ids = LTXConditionPipeline._scale_video_ids(ids, frame_index=first).float()
    ids[:, 0] = ids[:, 0] * (1.0 / rate)  # as LTXConditionPipeline.__call__
    # as the module's forward does with video_coords
    shares = torch.stack([ids[0, 0] / 20, ids[0, 1] / 2048, ids[0, 2] / 2048])
    prompt = {"grid": [frames, height, width], "frameRate": rate, **({"firstFrame": first} if first else {})}
    return prompt, shares * 2 - 1


def ltx2_positions(module, coords):
    """What forward multiplies by the frequencies: frequencies that are 1 give it back."""
    with replaced((torch, "pow", lambda base, exponent: torch.full_like(exponent, 2 / torch.pi)),
                  (torch.Tensor, "cos", lambda x: x), (torch.Tensor, "sin", lambda x: x)):
        table, _ = module(coords)
    return table


def ltx2(g):
    (frames, height, width), rate = video(g), g.choice(RATES)
    module = transformer_ltx2.LTX2AudioVideoRotaryPosEmbed(dim=12, base_num_frames=20)
    coords = module.prepare_video_coords(1, frames, height, width, cpu, fps=rate)
    table = ltx2_positions(module, coords)[0]  # the axes by turns: two pairs each
    return {"grid": [frames, height, width], "frameRate": rate}, table[:, 0:6:2].T


def ltx2_audio(g):
    frames, first = g.randint(1, 60), g.choice([0, 0, 3])
    module = transformer_ltx2.LTX2AudioVideoRotaryPosEmbed(dim=4, base_num_frames=20, scale_factors=(4,), modality="audio")
    table = ltx2_positions(module, module.prepare_audio_coords(1, frames, cpu, shift=first))[0]
    return {"frames": frames, **({"firstFrame": first} if first else {})}, table[:, :1].T


def cosmos(g):
    (frames, height, width), rate = video(g), g.choice([None, *RATES])
    module = transformer_cosmos.CosmosRotaryPosEmbed(hidden_size=12, patch_size=(1, 2, 2))
    with replaced((torch, "outer", lambda positions, frequencies: positions[:, None].expand(-1, len(frequencies))),
                  (torch, "cos", lambda x: x), (torch, "sin", lambda x: x)):
        table, _ = module(torch.zeros(1, 1, frames, 2 * height, 2 * width), fps=rate)
    return {"grid": [frames, height, width], **({"frameRate": rate} if rate else {})}, columns(table[:, :6], [2, 2, 2])


def cosmos3(g):
    text, (frames, height, width), rate = g.randint(1, 6), video(g), g.choice(RATES)
    sound = {"frames": g.randint(1, 90), "frameRate": g.choice([25, 21.5, 23.976])} if g.random() < 0.5 else None
    parameters = inspect.signature(transformer_cosmos3.Cosmos3OmniTransformer.__init__).parameters
    config = SimpleNamespace(**{name: it.default for name, it in parameters.items() if name != "self"})
    # 4 is the pipeline's own for a missing VAE, and that of Wan's
    self = SimpleNamespace(transformer=SimpleNamespace(config=config), vae_scale_factor_temporal=4)
    pipeline = Cosmos3OmniPipeline
    words = pipeline._prepare_text_segment(self, [0] * text, "cpu")
    start = words["vision_start_temporal_offset"]
    latents = torch.zeros(1, 1, frames, 2 * height, 2 * width)
    parts = [
        words["text_mrope_ids"],
        pipeline._prepare_vision_segment(self, latents, False, start, rate, text, "cpu")["vision_mrope_ids"],
    ]
    if sound:
        latents = torch.zeros(1, sound["frames"])
        segment = pipeline._prepare_sound_segment(self, latents, start, sound["frameRate"], 0, "cpu")
        parts.append(segment["sound_mrope_ids"])
    prompt = {"text": text, "grid": [frames, height, width], "frameRate": rate, **({"sound": sound} if sound else {})}
    return prompt, torch.cat(parts, dim=1).float()


def cogview4(g):
    height, width = size(g)
    module = transformer_cogview4.CogView4RotaryPosEmbed(dim=8, patch_size=2, rope_axes_dim=(256, 256))
    with replaced((torch, "outer", lambda positions, frequencies: positions[:, None].expand(-1, len(frequencies))),
                  (torch.Tensor, "cos", lambda x: x), (torch.Tensor, "sin", lambda x: x)):
        table, _ = module(torch.zeros(1, 1, 2 * height, 2 * width))
    return {"image": [height, width]}, columns(table[:, :4], [2, 2])


def cogvideox(g):
    frames, height, width = grid(g)
    base = g.choice([[30, 45], [48, 85]])
    with replaced((embeddings, "get_1d_rotary_pos_embed", lambda dim, pos, **_: table_of_positions(dim, pos))):
        # as CogVideoXPipeline._prepare_rotary_positional_embeddings
        crop = get_resize_crop_region_for_grid((height, width), base[1], base[0])
        table, _ = embeddings.get_3d_rotary_pos_embed(16, crop, (height, width), frames)
    return {"grid": [frames, height, width], "base": base}, columns(table, [4, 6, 6])


# family -> (entry, run, whether positions are fractions)
FAMILIES = {
    "flux": ("_prepare_latent_image_ids of Flux, Kontext, Chroma, Bria; Krea2Pipeline.prepare_position_ids", flux, False),
    "flux-2": ("Flux2Pipeline._prepare_text_ids, _prepare_latent_ids, _prepare_image_ids", flux2, False),
    "flux-3": ("_prepare_text_ids, _prepare_image_ids, Flux3PrepareImageCondLatentsStep of modular_pipelines.flux3", flux3, True),
    "longcat-image": ("prepare_pos_ids of pipeline_longcat_image", longcat, False),
    "qwen-image": ("QwenEmbedRope with scale_rope", qwen_image("QwenEmbedRope"), False),
    "qwen-image-layered": ("QwenEmbedLayer3DRope with scale_rope", qwen_image("QwenEmbedLayer3DRope"), False),
    "qwen-image-2.1": ("QwenImage21Rope", qwen_image_21, False),
    "z-image": ("ZImageTransformer2DModel.patchify_and_embed", z_image, False),
    "lumina-2": ("Lumina2RotaryPosEmbed", lumina2, False),
    "wan": ("WanRotaryPosEmbed of Wan and Wan Animate, SkyReelsV2RotaryPosEmbed", wan, False),
    "hunyuan-video": ("HunyuanVideoRotaryPosEmbed, HunyuanVideo15RotaryPosEmbed", hunyuan_video, False),
    "hunyuan-video-framepack": ("HunyuanVideoFramepackRotaryPosEmbed", framepack, False),
    "hunyuan-image": ("HunyuanImageRotaryPosEmbed", hunyuan_image, False),
    "ltx": ("LTXVideoRotaryPosEmbed._prepare_video_coords", ltx, True),
    "ltx-condition": ("LTXConditionPipeline._prepare_video_ids, _scale_video_ids", ltx_condition, True),
    "ltx-2": ("LTX2AudioVideoRotaryPosEmbed", ltx2, True),
    "ltx-2-audio": ("LTX2AudioVideoRotaryPosEmbed, modality audio", ltx2_audio, True),
    "cosmos": ("CosmosRotaryPosEmbed", cosmos, True),
    "cosmos-3": ("Cosmos3OmniPipeline._prepare_text_segment, _prepare_vision_segment, _prepare_sound_segment", cosmos3, True),
    "cogview-4": ("CogView4RotaryPosEmbed", cogview4, False),
    "cogvideox": ("get_resize_crop_region_for_grid, get_3d_rotary_pos_embed", cogvideox, True),
}


def fixture(name: str, count: int = CASES) -> dict:
    entry, run_family, is_fractional = FAMILIES[name]
    generator = random.Random(f"positions of {name}")
    cases = []
    for _ in range(count):
        prompt, positions = run_family(generator)
        if not is_fractional:
            assert torch.equal(positions, positions.round())
            positions = positions.long()
        cases.append({"prompt": prompt, "shape": list(positions.shape), "positions": positions.flatten().tolist()})
    return {
        "source": {
            "engine": "huggingface/diffusers",
            "version": diffusers.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "command": f"python -m goldens diffusion-positions --name {name}",
        },
        "family": name,
        "entry": entry,
        "cases": cases,
    }


def run(names: list[str] | None) -> None:
    assert torch.backends.cpu.get_cpu_capability() == "DEFAULT"
    torch.set_num_threads(1)
    for name in FAMILIES:
        if names and name not in names:
            continue
        print(f"{name}: {write(FIXTURES / 'positions' / 'diffusion' / f'{name}.json', fixture(name))} bytes", flush=True)

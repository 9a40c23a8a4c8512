"""vLLM's position builders on random prompts. `VLLM_PACKAGE` names the folder that the wheel was unpacked in.

A model's module imports the whole serving engine, so only the methods that make positions are compiled, out of the
module's own source, as a class of their own. What they are given (features, placeholders) are plain objects with the
fields that they read. A name that is missing is an error, so nothing of the arithmetic can be a stand-in unseen."""

import ast
import contextlib
import math
import os
import random
import types
import typing
from dataclasses import dataclass, field
from importlib.metadata import Distribution
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from .paths import FIXTURES
from .prompt_kinds import AXES, IMAGE, PROMPTS, TEXT, VIDEO, Row, grid, recorded, tokens
from .video_time import rates
from .writing import write

ROOT = Path(os.environ.get("VLLM_PACKAGE", "."))
MODELS = "vllm/model_executor/models"
MERGE = 2
IDS = {"image_token_id": 101, "video_token_id": 102, "vision_start_token_id": 104, "vision_end_token_id": 105}
KIND_IDS = {IMAGE: 101, VIDEO: 102}


def source() -> dict:
    (folder,) = ROOT.glob("vllm-*.dist-info")
    return {
        "engine": "vllm-project/vllm",
        "version": Distribution.at(folder).version,
        "torch": torch.__version__,
        "path": "the methods alone, compiled out of their module's source; features and placeholders are plain objects",
        "command": "VLLM_PACKAGE=<folder> python -m goldens vllm-prompts",
    }


def compiled(file: str, functions: list[str], classes: dict[str, list[str]], names: dict | None = None) -> types.SimpleNamespace:
    """Functions and classes of a module, the classes with the named methods only; annotations and bases are left out."""
    tree = ast.parse((ROOT / file).read_text())
    kept: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in functions:
            kept.append(node)
        if isinstance(node, ast.ClassDef) and node.name in classes:
            if classes[node.name]:
                node.body = [x for x in node.body if isinstance(x, ast.FunctionDef) and x.name in classes[node.name]]
                assert {x.name for x in node.body} == set(classes[node.name]), node.name
                node.bases, node.keywords, node.decorator_list = [], [], []
            kept.append(node)
    assert {node.name for node in kept} == {*functions, *classes}
    for node in ast.walk(ast.Module(kept, [])):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            node.decorator_list = [d for d in node.decorator_list if ast.unparse(d) in ("staticmethod", "classmethod")]
            for argument in (*node.args.args, *node.args.kwonlyargs):
                argument.annotation = None
    space = {"torch": torch, "np": np, "math": math, "typing": typing, "Any": object, "NamedTuple": typing.NamedTuple, **(names or {})}
    exec(compile(ast.Module(kept, []), file, "exec"), space)  # noqa: S102
    return types.SimpleNamespace(**{node.name: space[node.name] for node in kept}, space=space)


def model(file: str, name: str, methods: list[str], config, functions: tuple[str, ...] = (), names: dict | None = None, **more):
    made = compiled(f"{MODELS}/{file}.py", list(functions), {name: methods}, names)
    self = getattr(made, name)()
    self.config = config
    for key, value in more.items():
        setattr(self, key, value)
    return self


def feature(kind: int, offset: int, length: int, data: dict, embedded: list[tuple[int, int]] | None = None):
    name = "image" if kind == IMAGE else "video"
    position = types.SimpleNamespace(
        offset=offset, length=length, extract_embeds_range=lambda: embedded or [(offset, offset + length - 1)],
    )
    return types.SimpleNamespace(
        modality=name, mm_position=position,
        data={k: types.SimpleNamespace(data=v) if isinstance(v, torch.Tensor) else v for k, v in data.items()},
    )


def vision_config(**more):
    return types.SimpleNamespace(
        vision_config=types.SimpleNamespace(spatial_merge_size=MERGE, pixel_shuffle_scale_factor=MERGE, **more), **IDS,
    )


# ------------------------------------------------------------------------------- images and videos, one engine a family
def visual_row(draw: random.Random, frames: str, videos: bool, temporal: int, seconds: bool) -> tuple[Row, list]:
    """`frames` says how the frames of a video stand in the prompt: together, or apart with text or with two markers between."""
    row, features = Row(), []
    row.add(TEXT, draw.randint(1, 5))
    for _ in range(draw.randint(1, 4)):
        # Without videos there is room for images that are larger than the text before them.
        size = grid(draw, MERGE, largest=4 if videos else 7)
        if not videos or draw.random() < 0.5:
            row.images.append(size)
            features.append(feature(IMAGE, len(row.kinds), tokens(size, MERGE), {"image_grid_thw": torch.tensor(size)}))
            row.add(IMAGE, tokens(size, MERGE), KIND_IDS[IMAGE])
        else:
            size[0] = temporal * draw.randint(1, 4)
            row.videos.append(size)
            data = {"video_grid_thw": torch.tensor(size)}
            if seconds:
                value = torch.tensor(draw.choice([1.0, 0.5, 2.0, draw.uniform(0.05, 3), 2 / draw.randint(1, 60)]))
                row.seconds.append(value.item())
                data["second_per_grid_ts"] = types.SimpleNamespace(data=value)
            at, parts = len(row.kinds), []
            count = tokens([1, *size[1:]], MERGE)
            for frame in range(size[0] if frames != "together" else 0):
                if frames == "markers" and frame:
                    row.add(TEXT, 2)
                if frames == "text":
                    row.add(TEXT, draw.randint(1, 3)).add(TEXT, 1, IDS["vision_start_token_id"])
                parts.append((len(row.kinds), len(row.kinds) + count - 1))
                row.add(VIDEO, count, KIND_IDS[VIDEO])
                if frames == "text":
                    row.add(TEXT, 1, IDS["vision_end_token_id"])
            if frames == "together":
                row.add(VIDEO, tokens(size, MERGE) // temporal, KIND_IDS[VIDEO])
            features.append(feature(VIDEO, at, len(row.kinds) - at, data, parts or None))
        row.add(TEXT, draw.randint(1, 4))
    return row, features


@dataclass
class Family:
    """`classes` answer alike: (file, class, methods); every one is run, and the first is named."""

    classes: list[tuple[str, str, list[str]]]
    config: types.SimpleNamespace = field(default_factory=vision_config)
    frames: str = "together"
    videos: bool = True
    temporal: int = 1
    seconds: bool = False
    batched_grid: bool = False
    functions: tuple[str, ...] = ()
    note: str | None = None


GRIDS = ["iter_mm_grid_thw", "get_mrope_input_positions"]
FAMILIES = {
    "vllm-qwen2_vl": Family([
        ("qwen2_vl", "Qwen2VLForConditionalGeneration", GRIDS),
        ("paddleocr_vl", "PaddleOCRVLForConditionalGeneration", GRIDS),
    ]),
    "vllm-qwen2_5_vl": Family(
        [("qwen2_5_vl", "Qwen2_5_VLForConditionalGeneration", GRIDS)], vision_config(tokens_per_second=2), seconds=True,
    ),
    "vllm-qwen3_vl": Family([(
        "qwen3_vl", "Qwen3VLForConditionalGeneration",
        ["_iter_mm_grid_hw", "_get_mrope_input_positions", "get_mrope_input_positions"],
    )], frames="text"),
    "vllm-ernie45_vl": Family(
        [("ernie45_vl", "Ernie4_5_VLMoeForConditionalGeneration", GRIDS)],
        types.SimpleNamespace(spatial_conv_size=MERGE, temporal_conv_size=2), temporal=2,
    ),
    "vllm-keye": Family([("keye", "KeyeForConditionalGeneration", [*GRIDS, "_split_video_grid_thw"])], note="each frame of a "
                        "video starts after the largest position of the frame before it"),
    "vllm-keye_vl1_5": Family(
        [("keye_vl1_5", "KeyeVL1_5ForConditionalGeneration", GRIDS)], frames="text", batched_grid=True, functions=("split_thw",),
    ),
    "vllm-isaac": Family(
        [("isaac", "IsaacForConditionalGeneration", ["iter_mm_grid_hw", "get_mrope_input_positions"])], videos=False,
    ),
    "vllm-openpangu_vl": Family([("openpangu_vl", "OpenPanguVLForConditionalGeneration", GRIDS)], frames="markers",
                                note="two text tokens stand between the frames of a video"),
    "vllm-bailing_moe_v3_vl": Family(
        [("bailing_moe_v3_vl", "BailingMoeV3VLForConditionalGeneration", ["get_mrope_input_positions"])], videos=False,
    ),
}


def grid_prompts(name: str) -> dict:
    family = FAMILIES[name]
    draw = random.Random(f"prompts of {name}")
    selves = [
        model(file, owner, methods, family.config, family.functions) for file, owner, methods in family.classes
    ]
    prompts = []
    for number in range(PROMPTS):
        row, features = visual_row(draw, family.frames, family.videos, family.temporal, family.seconds)
        if number == 0:
            row, features = Row().add(TEXT, 7), []
        for item in features if family.batched_grid else ():
            if item.modality == "video":
                item.data["video_grid_thw"].data = item.data["video_grid_thw"].data[None]
        (positions, delta), *others = (self.get_mrope_input_positions(row.ids, features) for self in selves)
        assert positions.shape[1] == len(row.ids), name
        assert all(torch.equal(positions, other) and delta == other_delta for other, other_delta in others), name
        prompts.append(recorded([row.kinds], None, [row], positions[:, None].tolist(), [delta]))
    first, *same = (f"{file}.{owner}.get_mrope_input_positions" for file, owner, _ in family.classes)
    vision = getattr(family.config, "vision_config", None)
    return {
        "source": source(), "family": name, "entry": first, **({"sameAnswers": same} if same else {}),
        **({"note": family.note} if family.note else {}),
        "settings": {
            "mergeSize": MERGE, **({"temporalMergeSize": family.temporal} if family.temporal > 1 else {}),
            **({"tokensPerSecond": vision.tokens_per_second} if family.seconds else {}),
        },
        "axes": AXES, "prompts": prompts,
    }


# --------------------------------------------------------------------------------------------------------- pruned videos
def embeddings_of(draw: random.Random, size: list[int]) -> torch.Tensor:
    return torch.randn(tokens(size, MERGE), 8, generator=torch.Generator().manual_seed(draw.randint(0, 10**6)))


PRUNING = (0.3, 0.5, 0.75)


def an_image(draw: random.Random, row: Row) -> list[int]:
    size = grid(draw, MERGE)
    row.images.append(size)
    row.add(TEXT, 1, IDS["vision_start_token_id"]).add(IMAGE, tokens(size, MERGE), KIND_IDS[IMAGE])
    return size


def evs_module():
    return compiled(
        "vllm/multimodal/video_prune/evs.py",
        ["compute_retained_tokens_count", "compute_retention_mask", "compute_mrope_for_media", "recompute_mrope_positions"], {},
    )


def recomputed(evs, row: Row, media: list[tuple[int, torch.Tensor]]) -> tuple[torch.Tensor, int] | None:
    """The engine's positions for a prompt with pruned videos; `media` has the end and the own positions of each.

    To find the next video it looks from the number of media tokens seen so far, which counts no text, so with much text it takes
    the same video again. None if it does: a video's tokens then do not stand after the token before them."""
    try:
        positions, delta = evs.recompute_mrope_positions(
            torch.tensor(row.ids), [own for _, own in media], torch.arange(len(row.ids)).expand(3, -1).clone(), 0,
            IDS["vision_start_token_id"], IDS["image_token_id"], IDS["video_token_id"],
        )
    except (IndexError, RuntimeError):
        return None
    for end, own in media:
        start = end - own.shape[1]
        if not torch.equal(positions[:, start:end], own[:3] + positions[-1, start - 1] + 1):
            return None
    return positions, delta


def evs_qwen2_5_vl(name: str) -> dict:
    """One run of kept tokens for a video."""
    evs = evs_module()
    file, owner, _ = FAMILIES["vllm-qwen2_5_vl"].classes[0]
    per_second = 2
    chosen: list[torch.Tensor] = []

    def mask(*given, **named):
        chosen.append(evs.compute_retention_mask(*given, **named))
        return chosen[-1]

    self = model(file, owner, ["_postprocess_video_embeds_evs"], vision_config(tokens_per_second=per_second), names={
        "compute_retention_mask": mask, "compute_mrope_for_media": evs.compute_mrope_for_media,
        "async_tensor_h2d": lambda x, *_: x, "gpu_sync_allowed": contextlib.nullcontext,
    }, visual=types.SimpleNamespace(spatial_merge_size=MERGE))
    draw = random.Random(f"prompts of {name}")
    prompts, astray = [], 0
    while len(prompts) < PROMPTS:
        row, media, kept = Row().add(TEXT, draw.randint(1, 5)), [], []
        for _ in range(draw.randint(1, 3)):
            if draw.random() < 0.3:
                size = an_image(draw, row)
                media.append((len(row.kinds), evs.compute_mrope_for_media(size, MERGE).permute(1, 0)))
                row.add(TEXT, draw.randint(1, 4))
                continue
            size = [draw.randint(1, 4), *grid(draw, MERGE)[1:]]
            seconds = torch.tensor([draw.choice([1.0, 2.0, 2.5, 0.4, draw.uniform(0.1, 3)])])
            self.video_pruning_rate = draw.choice(PRUNING)
            (pruned,) = self._postprocess_video_embeds_evs(
                (embeddings_of(draw, size),), {"video_grid_thw": torch.tensor([size]), "second_per_grid_ts": seconds},
            )
            keep = chosen[-1]
            row.videos.append(size)
            row.seconds.append(seconds.item())
            row.add(TEXT, 1, IDS["vision_start_token_id"])
            kept.append("".join(str(int(x)) for x in keep))
            row.add(VIDEO, int(keep.sum()), KIND_IDS[VIDEO])
            media.append((len(row.kinds), pruned[:, -4:].long().permute(1, 0)))
            row.add(TEXT, 1, IDS["vision_end_token_id"]).add(TEXT, draw.randint(0, 4))
        answer = recomputed(evs, row, media)
        if answer is None:
            astray += 1
            continue
        positions, delta = answer
        prompts.append(recorded([row.kinds], None, [row], positions[:, None].tolist(), [delta], kept=kept))
    return {
        "source": source(), "family": name,
        "entry": f"{file}.{owner}._postprocess_video_embeds_evs, vllm.multimodal.video_prune.evs.recompute_mrope_positions",
        "note": "kept: for each video, which of its tokens stay; modalities list the tokens that stay",
        "promptsWithVideosNotFound": astray, "settings": {"mergeSize": MERGE, "tokensPerSecond": per_second}, "axes": AXES, "prompts": prompts,
    }


def evs_qwen3_vl(name: str) -> dict:
    """Frames with text between; a frame may lose all its tokens."""
    evs = evs_module()
    file, owner, methods = FAMILIES["vllm-qwen3_vl"].classes[0]
    space: dict = {
        "_cached_tensor": lambda value, device=None: torch.tensor(value), "async_tensor_h2d": lambda x, *_, **__: x,
        "gpu_sync_allowed": contextlib.nullcontext,
        "MultiModalFeatureSpec": lambda data, modality, identifier, mm_position: types.SimpleNamespace(
            data=data, modality=modality, mm_position=mm_position),
        "MultiModalKwargsItem": dict,
        "MultiModalFieldElem": lambda data, field: types.SimpleNamespace(data=data),
        "MultiModalFieldConfig": types.SimpleNamespace(batched=lambda _: types.SimpleNamespace(field=None)),
        "PlaceholderRange": types.SimpleNamespace,
        # the engine's own replacement of a video's token; a time is one to three tokens of text
        "PromptUpdateDetails": types.SimpleNamespace(from_seq=lambda ids: types.SimpleNamespace(full=ids)),
    }
    made = compiled(f"{MODELS}/{file}.py", [], {
        owner: [*methods, "_get_expanded_positions"], "Qwen3VLMultiModalProcessor": ["get_video_repl"],
    }, space)
    self = getattr(made, owner)()
    self.config, self.visual = vision_config(), types.SimpleNamespace(spatial_merge_size=MERGE)
    self._tokenizer = types.SimpleNamespace(
        encode=lambda text, add_special_tokens: [900 + i for i in range(1 + int(float(text[1:].split()[0])) % 3)],
    )
    draw = random.Random(f"prompts of {name}")
    prompts, astray = [], 0
    while len(prompts) < PROMPTS:
        frames: list[int] = []  # a frame without tokens leaves no other trace
        row, media, kept = Row().add(TEXT, draw.randint(1, 5)), [], []
        for _ in range(draw.randint(1, 3)):
            if draw.random() < 0.3:
                size = an_image(draw, row)
                # a fifth channel that says nothing, as the engine adds it
                media.append((len(row.kinds), F.pad(evs.compute_mrope_for_media(size, MERGE), (0, 1)).permute(1, 0)))
                row.add(TEXT, draw.randint(1, 4))
                continue
            size = [draw.randint(1, 4), *grid(draw, MERGE)[1:]]
            keep = evs.compute_retention_mask(embeddings_of(draw, size), size, MERGE, draw.choice(PRUNING))
            times = [float(draw.randint(0, 9)) for _ in range(size[0])]
            per_frame = keep.reshape(size[0], -1).sum(1).tolist()
            ids = made.Qwen3VLMultiModalProcessor.get_video_repl(
                tokens_per_frame=per_frame, timestamps=times, tokenizer=self._tokenizer,
                **{key: IDS[key] for key in ("vision_start_token_id", "vision_end_token_id", "video_token_id")},
            ).full
            is_video = torch.tensor(ids) == IDS["video_token_id"]
            expanded = self._get_expanded_positions(
                "cpu", len(ids), size, per_frame, times, is_video, torch.tensor(ids) == IDS["vision_start_token_id"], keep,
            )
            row.videos.append(size)
            kept.append("".join(str(int(x)) for x in keep))
            frames += [len(row.ids) + i for i, token in enumerate(ids) if token == IDS["vision_start_token_id"]]
            for token in ids:
                row.add(VIDEO if token == IDS["video_token_id"] else TEXT, 1, token)
            media.append((len(row.kinds), expanded.permute(1, 0)))
            row.add(TEXT, draw.randint(1, 4))
        answer = recomputed(evs, row, media)
        if answer is None:
            astray += 1
            continue
        positions, delta = answer
        prompts.append(recorded([row.kinds], None, [row], positions[:, None].tolist(), [delta], kept=kept, frames=frames))
    return {
        "source": source(), "family": name,
        "entry": f"{file}.{owner}._get_expanded_positions, vllm.multimodal.video_prune.evs.recompute_mrope_positions",
        "note": "kept: for each video, which of its tokens stay; modalities list the tokens that stay; frames: the token before each "
        "frame",
        "promptsWithVideosNotFound": astray, "settings": {"mergeSize": MERGE}, "axes": AXES, "prompts": prompts,
    }


def video_time(_name: str) -> dict:
    config = vision_config(tokens_per_second=2)
    self = model("qwen2_5_vl", "Qwen2_5_VLForConditionalGeneration", GRIDS, config)

    def times(seconds: float, tokens_per_second: float, frames: int) -> list[int]:
        config.vision_config.tokens_per_second = tokens_per_second
        data = {"video_grid_thw": torch.tensor([frames, 2, 2]), "second_per_grid_ts": types.SimpleNamespace(data=torch.tensor(seconds))}
        positions, _ = self.get_mrope_input_positions([KIND_IDS[VIDEO]] * frames, [feature(VIDEO, 0, frames, data)])
        return positions[0].tolist()

    return {
        "source": source(), "entry": "qwen2_5_vl.Qwen2_5_VLForConditionalGeneration.get_mrope_input_positions", **rates({"vllm": times}),
    }


RUNNERS = {
    **{name: grid_prompts for name in FAMILIES},
    "vllm-evs-qwen2_5_vl": evs_qwen2_5_vl,
    "vllm-evs-qwen3_vl": evs_qwen3_vl,
    "video-time-vllm": video_time,
}


def run(names: list[str] | None) -> None:
    torch.set_num_threads(1)
    for name, runner in RUNNERS.items():
        if names and name not in names:
            continue
        folder = FIXTURES / "positions" / ("time" if name.startswith("video-time") else "prompts")
        size = write(folder / f"{name}.json", runner(name))
        print(f"{name}: {size} bytes")

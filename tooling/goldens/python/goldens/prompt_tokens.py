"""transformers' positions of whole prompts, from token ids: each family's own processor marks images and videos, its own
model class makes the positions and those of decoded tokens. No weights are made, only the configuration is read."""

import importlib
import random
import types

import torch
import transformers
from transformers import ProcessorMixin
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from .paths import FIXTURES
from .vision import source
from .writing import write

# model_type -> (module, class of the model, config files, number of random prompts). The first file says nothing, so
# that the configuration class fills in everything. Eleven of the classes have one function in common.
TOKENS = {"image_token_id": 7, "video_token_id": 8}
MERGED = {"vision_config": {"spatial_merge_size": 3}}
AROUND = {"image_token_id": 7, "video_token_id": 9, "video_start_token_id": 5, "video_end_token_id": 6}
FAMILIES = {
    "qwen2_vl": ("Qwen2VLModel", [{}, {**TOKENS, **MERGED}], 24),
    "paddleocr_vl": ("PaddleOCRVLModel", [{}], 5),
    "qwen2_5_vl": (
        "Qwen2_5_VLModel",
        [{}, {**TOKENS, "vision_config": {"spatial_merge_size": 2, "tokens_per_second": 2}}, TOKENS], 30,
    ),
    "qwen3_vl": ("Qwen3VLModel", [{}, {**TOKENS, **MERGED}], 24),
    "qwen3_vl_moe": ("Qwen3VLMoeModel", [{}], 5),
    "qwen3_5": ("Qwen3_5Model", [{}], 9),
    "qwen3_5_moe": ("Qwen3_5MoeModel", [{}], 5),
    "qwen4_exp": ("Qwen4ExpModel", [{}], 5),
    "cosmos3_omni": ("Cosmos3OmniModel", [{}], 5),
    "cosmos3_edge": ("Cosmos3EdgeModel", [{}], 5),
    "cohere_compass": ("CohereCompassModel", [{}], 5),
    "glm4v": ("Glm4vModel", [{}, {**AROUND, **MERGED}], 24),
    "glm4v_moe": ("Glm4vMoeModel", [{}], 5),
    "glm46v": ("Glm46VModel", [{}], 5),
    "glm_ocr": ("GlmOcrModel", [{}], 14),
    "ernie4_5_vl_moe": (
        "Ernie4_5_VLMoeModel", [{}, {**TOKENS, "vision_config": {"spatial_merge_size": 2, "temporal_merge_size": 4}}], 16,
    ),
}
# Its processor is not one that the family's name says.
PROCESSORS = {
    "glm4v": ("glm4v", "Glm4vProcessor"), "glm4v_moe": ("glm4v", "Glm4vProcessor"),
    "glm46v": ("glm46v", "Glm46VProcessor"), "glm_ocr": ("glm46v", "Glm46VProcessor"),
}
TIMESTAMPS = {name for name in FAMILIES if name.startswith(("qwen3", "qwen4", "cosmos3", "cohere", "glm"))}
SECONDS = [0.5, 1.0, 1.3, 2.1, 0.08, 1 / 3]
TEXT = 1000  # ids of text, from here on: no family uses them for anything else


def text(generator: random.Random, least: int = 0) -> list[int]:
    return [TEXT + generator.randrange(9) for _ in range(generator.randint(least, 5))]


def prompt(generator: random.Random, family: str, config) -> tuple[list[int], list, list]:
    """The tokens of one row, with the grids of its images and videos."""
    vision = config.vision_config
    merge, temporal = vision.spatial_merge_size, getattr(vision, "temporal_merge_size", None) or 1
    framed = family in PROCESSORS
    start, end = (
        getattr(config, f"vision_{at}_token_id", None) or getattr(config, f"image_{at}_token_id") for at in ("start", "end")
    )
    ids, images, videos = text(generator, 1), [], []
    for kind in generator.choices(["image", "video"], k=generator.randint(0, 3)):
        height, width = generator.randint(1, 3), generator.randint(1, 3)
        if kind == "image":
            ids += [start, *[config.image_token_id] * (height * width), end]
            images.append([1, height * merge, width * merge])
        else:
            frames = generator.randint(1, 3)
            token = config.image_token_id if framed else config.video_token_id
            frame = [start, *[token] * (height * width), end]
            if family in TIMESTAMPS:
                body = [token for _ in range(frames) for token in (*text(generator), *frame)]
            else:
                body = [start, *[token] * (frames * height * width), end]
            ids += [config.video_start_token_id, *body, config.video_end_token_id] if framed else body
            videos.append([frames * temporal, height * merge, width * merge])
        ids += text(generator)
    return ids, images, videos


def kinds_of(family: str, config, rows: list[list[int]]) -> torch.Tensor:
    """mm_token_type_ids, as the family's processor makes them."""
    if family in PROCESSORS:
        module, name = PROCESSORS[family]
        engine = getattr(importlib.import_module(f"transformers.models.{module}.processing_{module}"), name)
    else:
        engine = ProcessorMixin
    self = types.SimpleNamespace(
        image_token_id=config.image_token_id, image_token_ids=[config.image_token_id], video_token_ids=[config.video_token_id],
        audio_token_ids=[None], video_start_id=getattr(config, "video_start_token_id", None),
        video_end_id=getattr(config, "video_end_token_id", None),
    )
    return torch.tensor(engine.create_mm_token_type_ids(self, rows), dtype=torch.int)


def case(generator: random.Random, family: str, files: list[dict], engine, number: int) -> dict:
    which = number // 4 % len(files)
    config = CONFIG_MAPPING[family].from_dict({"model_type": family, **files[which]})
    padding = ("left", "right", "none", "no mask")[number % 4]
    rows = [prompt(generator, family, config) for _ in range(1 if padding == "none" else generator.randint(1, 3))]
    images = [grid for _, grids, _ in rows for grid in grids]
    videos = [grid for _, _, grids in rows for grid in grids]
    longest = max(len(ids) for ids, _, _ in rows)
    ids, mask = [], []
    for row, _, _ in rows:
        lack = longest - len(row)
        if padding == "no mask":
            ids.append(row + [TEXT] * lack)
        elif padding == "left":
            ids.append([0] * lack + row)
            mask.append([0] * lack + [1] * len(row))
        else:
            ids.append(row + [0] * lack)
            mask.append([1] * len(row) + [0] * lack)
    seconds = [generator.choice(SECONDS) for _ in videos] if family == "qwen2_5_vl" and videos else None
    arguments = {"input_ids": torch.tensor(ids), "mm_token_type_ids": kinds_of(family, config, ids)}
    if images:
        arguments["image_grid_thw"] = torch.tensor(images)
    if videos:
        arguments["video_grid_thw"] = torch.tensor(videos)
    if mask:
        arguments["attention_mask"] = torch.tensor(mask)
    if seconds:
        arguments["second_per_grid_ts"] = torch.tensor(seconds)
    # only the configuration is read by these methods
    self = types.SimpleNamespace(config=config)
    self.get_vision_position_ids = types.MethodType(engine.get_vision_position_ids, self)
    positions, deltas = engine.get_rope_index(self, **arguments)
    self.rope_deltas = deltas
    steps = generator.randint(1, 3)
    after = engine.compute_3d_position_ids(
        self, input_ids=None, inputs_embeds=torch.zeros(len(ids), steps, 1), image_grid_thw=None, video_grid_thw=None,
        attention_mask=torch.tensor([[*row, *[1] * steps] for row in mask]) if mask else None,
        cache=types.SimpleNamespace(get_seq_length=lambda: longest),
    )[:, :, -steps:]
    return {
        "config": which,
        "inputIds": ids,
        **({"attentionMask": mask} if mask else {}),
        **({"imageGrids": images} if images else {}),
        **({"videoGrids": videos} if videos else {}),
        **({"secondsPerGrid": seconds} if seconds else {}),
        "positions": positions.flatten().tolist(),
        "deltas": deltas[:, 0].tolist(),
        "decoded": {"steps": steps, "positions": after.flatten().tolist()},
    }


def fixture(family: str) -> dict:
    name, files, count = FAMILIES[family]
    module = importlib.import_module(f"transformers.models.{family}.modeling_{family}")
    engine = getattr(module, name)
    generator = random.Random(f"prompts of {family}")
    return {
        "source": source(f"prompt-tokens --name {family}"),
        "module": f"{family}.{name}.get_rope_index, compute_3d_position_ids",
        "configs": [{"model_type": family, **file} for file in files],
        "cases": [case(generator, family, files, engine, number) for number in range(count)],
    }


def run(names: list[str] | None) -> None:
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    for family in FAMILIES:
        if names and family not in names:
            continue
        print(f"{family}: {write(FIXTURES / 'positions' / 'tokens' / f'{family}.json', fixture(family))} bytes", flush=True)

"""The position builders of transformers' multimodal models, run on random prompts."""

import importlib
import random
import types
from fractions import Fraction

import torch
import transformers

from . import hf
from .paths import FIXTURES
from .prompt_kinds import AUDIO, AXES, IMAGE, PROMPTS, TEXT, VIDEO, Row, grid, padded, recorded, tokens
from .video_time import rates
from .writing import write

METHODS = (
    "get_vision_position_ids", "get_llm_pos_ids_for_vision", "get_chunked_index", "_group_visual_frames", "_frame_end_idx",
)


def source(command: str) -> dict:
    return {**hf.source(""), "command": f"python -m goldens {command}"}


def builder(module: str, name: str, config, **more):
    """The class's `get_rope_index` on an object that has the configuration and no weights."""
    engine = getattr(importlib.import_module(f"transformers.models.{module}.modeling_{module}"), name)
    self = types.SimpleNamespace(config=config, **more)
    for method in METHODS:
        if hasattr(engine, method):
            raw = next(vars(c)[method] for c in engine.__mro__ if method in vars(c))
            bound = raw.__func__ if isinstance(raw, staticmethod) else types.MethodType(raw, self)
            setattr(self, method, bound)
    return self, types.MethodType(engine.get_rope_index, self)


def config_of(module: str, name: str):
    return getattr(importlib.import_module(f"transformers.models.{module}.configuration_{module}"), name)()


def tensor(values, dtype=torch.long):
    return torch.tensor(values, dtype=dtype) if values else None


# ------------------------------------------------------------------------------------------------ Qwen-VL and its relatives
# Classes in one line answer alike; every one is run, and the first is named.
GRIDS = {
    "qwen2_vl": [("qwen2_vl", "Qwen2VLModel", "Qwen2VLConfig"), ("paddleocr_vl", "PaddleOCRVLModel", "PaddleOCRVLConfig")],
    "qwen2_5_vl": [("qwen2_5_vl", "Qwen2_5_VLModel", "Qwen2_5_VLConfig")],
    "qwen3_vl": [
        ("qwen3_vl", "Qwen3VLModel", "Qwen3VLConfig"),
        ("qwen3_vl_moe", "Qwen3VLMoeModel", "Qwen3VLMoeConfig"),
        ("qwen3_5", "Qwen3_5Model", "Qwen3_5Config"),
        ("qwen3_5_moe", "Qwen3_5MoeModel", "Qwen3_5MoeConfig"),
        ("qwen4_exp", "Qwen4ExpModel", "Qwen4ExpConfig"),
        ("glm4v", "Glm4vModel", "Glm4vConfig"),
        ("glm4v_moe", "Glm4vMoeModel", "Glm4vMoeConfig"),
        ("glm46v", "Glm46VModel", "Glm46VConfig"),
        ("glm_ocr", "GlmOcrModel", "GlmOcrConfig"),
        ("cohere_compass", "CohereCompassModel", "CohereCompassConfig"),
        ("cosmos3_omni", "Cosmos3OmniModel", "Cosmos3OmniConfig"),
        ("cosmos3_edge", "Cosmos3EdgeModel", "Cosmos3EdgeConfig"),
    ],
    "ernie4_5_vl_moe": [("ernie4_5_vl_moe", "Ernie4_5_VLMoeModel", "Ernie4_5_VLMoeConfig")],
    "hy_v4_vl": [("hy_v4_vl", "HYV4VLModel", "HYV4VLConfig")],
}
NEWLINE_COLUMN = {"hy_v4_vl": 1}


def grid_row(draw: random.Random, family: str, merge: int, temporal: int, visuals: bool) -> Row:
    row = Row()
    column = NEWLINE_COLUMN.get(family, 0)
    if draw.random() < 0.8:
        row.add(TEXT, draw.randint(1, 6))
    for _ in range(draw.randint(1, 4) if visuals else 0):
        if row.kinds and row.kinds[-1] != TEXT:
            row.add(TEXT, draw.randint(1, 4))
        if draw.random() < 0.5:
            size = grid(draw, merge)
            row.images.append(size)
            row.add(IMAGE, tokens(size, merge, column))
            continue
        size = grid(draw, merge, temporal * draw.randint(1, 4))
        row.videos.append(size)
        if family == "qwen3_vl":
            for frame in range(size[0]):
                row.add(TEXT, draw.randint(1, 4) if frame or row.kinds else 0)
                row.add(VIDEO, tokens([1, *size[1:]], merge))
        else:
            row.add(VIDEO, tokens(size, merge, column) // temporal)
        if family == "qwen2_5_vl":
            row.seconds.append(draw.choice([1.0, 0.5, 2.0, round(draw.uniform(0.05, 3), 3), 2 / draw.randint(1, 60)]))
    if draw.random() < 0.8 or not row.kinds:
        row.add(TEXT, draw.randint(2, 6))
    return row


def grid_prompts(family: str) -> dict:
    engines = [(module, name, config_of(module, config)) for module, name, config in GRIDS[family]]
    vision = engines[0][2].vision_config
    merge, temporal = vision.spatial_merge_size, getattr(vision, "temporal_merge_size", 1)
    if family != "ernie4_5_vl_moe":
        temporal = 1
    draw = random.Random(f"prompts of {family}")
    prompts = []
    for number in range(PROMPTS):
        rows = [grid_row(draw, family, merge, temporal, draw.random() < 0.85) for _ in range(draw.randint(1, 3))]
        kinds, ids, masks = padded(draw, rows)
        given = {
            "input_ids": torch.tensor(ids), "mm_token_type_ids": torch.tensor(kinds, dtype=torch.int),
            "image_grid_thw": tensor([x for row in rows for x in row.images]),
            "video_grid_thw": tensor([x for row in rows for x in row.videos]), "attention_mask": tensor(masks),
        }
        more = {}
        if family == "qwen2_5_vl" and given["video_grid_thw"] is not None:
            seconds = [x for row in rows for x in row.seconds]
            if number % 3 == 0:  # a list of doubles, as some callers give it; a processor gives float32
                given["second_per_grid_ts"] = seconds
                more["secondsAre"] = "float64"
            elif number % 3 == 1:
                given["second_per_grid_ts"] = torch.tensor(seconds)
                for row in rows:
                    row.seconds = torch.tensor(row.seconds).tolist()
                more["secondsAre"] = "float32"
            else:  # absent: one second for each grid
                for row in rows:
                    row.seconds = []
        answers = [builder(module, name, config)[1](**dict(given)) for module, name, config in engines]
        positions, deltas = answers[0]
        for other, other_deltas in answers[1:]:
            assert torch.equal(positions, other) and torch.equal(deltas, other_deltas), (family, number)
        prompts.append(recorded(kinds, masks, rows, positions.tolist(), deltas[:, 0].tolist(), **more))
    names = [f"{module}.{name}.get_rope_index" for module, name, _ in engines]
    for module, name, config in engines:
        assert config.vision_config.spatial_merge_size == merge, name
    return {
        "source": source("prompts"), "family": family, "entry": names[0],
        **({"sameAnswers": names[1:]} if names[1:] else {}),
        "settings": {
            "mergeSize": merge, **({"temporalMergeSize": temporal} if temporal > 1 else {}),
            **({"tokensPerSecond": vision.tokens_per_second} if family == "qwen2_5_vl" else {}),
        },
        "axes": AXES, "prompts": prompts,
    }


# ---------------------------------------------------------------------------------------------------------- Qwen Omni
OMNI = {
    "qwen2_5_omni": ("qwen2_5_omni", "Qwen2_5OmniThinkerForConditionalGeneration", "Qwen2_5OmniThinkerConfig"),
    "qwen3_omni_moe": ("qwen3_omni_moe", "Qwen3OmniMoeThinkerForConditionalGeneration", "Qwen3OmniMoeThinkerConfig"),
}
MERGE = 2
# The classes have no default for it, and the second has another default than its checkpoints.
PUBLISHED = {
    "qwen2_5_omni": {"vision_start_token_id": 151652},
    "qwen3_omni_moe": {"vision_start_token_id": 151652, "position_id_per_seconds": 13},
}


def audio_tokens(family: str, frames: int) -> int:
    module = importlib.import_module(f"transformers.models.{family}.modeling_{family}")
    if family == "qwen2_5_omni":
        encoder = module.Qwen2_5OmniAudioEncoder
        return int(encoder._get_feat_extract_output_lengths(None, torch.tensor(frames))[1])
    return int(module._get_feat_extract_output_lengths(torch.tensor(frames)))


def interleaved(family: str, config, size: list[int], seconds: float, audio: int) -> list[int]:
    """The kinds of the tokens of a video with its audio, in the order of the processor's own function."""
    module = importlib.import_module(f"transformers.models.{family}.processing_{family}")
    name = "Qwen2_5OmniProcessor" if family == "qwen2_5_omni" else "Qwen3OmniMoeProcessor"
    processor = getattr(module, name)
    self = types.SimpleNamespace(
        video_processor=types.SimpleNamespace(merge_size=MERGE), audio_bos_token="", audio_eos_token="", video_token=str(VIDEO),
        audio_token=str(AUDIO),
    )
    if hasattr(processor, "get_chunked_index"):
        self.get_chunked_index = types.MethodType(processor.get_chunked_index, self)
    text = processor.replace_video_with_audio_token(
        self, {"video_grid_thw": [size], "video_second_per_grid": [seconds]}, 0, {"num_audio_tokens": [audio]}, 0,
        position_id_per_seconds=config.position_id_per_seconds, seconds_per_chunk=getattr(config, "seconds_per_chunk", 2.0),
    )
    return [int(kind) for kind in text]


def omni_row(draw: random.Random, family: str, config, with_audio: bool, visuals: bool) -> Row:
    ids = {IMAGE: config.image_token_id, VIDEO: config.video_token_id, AUDIO: config.audio_token_id}
    vision, audio = config.vision_start_token_id, config.audio_start_token_id
    row = Row()
    row.add(TEXT, draw.randint(0, 5))
    for _ in range(draw.randint(1, 4) if visuals else 0):
        kind = draw.choice([IMAGE, VIDEO, AUDIO])
        frames = draw.choice([draw.randint(9, 60), draw.randint(9, 260)])
        count = audio_tokens(family, frames)
        if kind == AUDIO:
            row.audios.append(frames)
            row.add(TEXT, 1, audio).add(AUDIO, count, ids[AUDIO])
        elif kind == IMAGE:
            size = grid(draw, MERGE)
            row.images.append(size)
            row.add(TEXT, 1, vision).add(IMAGE, tokens(size, MERGE), ids[IMAGE])
        else:
            size = grid(draw, MERGE, draw.randint(1, 8), largest=2)
            seconds = draw.choice([1.0, 2.0, 0.5, round(draw.uniform(0.05, 3), 3), 2 / draw.randint(1, 60)])
            # what a processor gives: float32
            seconds = torch.tensor(seconds).item()
            row.videos.append(size)
            row.seconds.append(seconds)
            row.add(TEXT, 1, vision)
            if with_audio:
                row.audios.append(frames)
                row.add(TEXT, 1, audio)
                for part in interleaved(family, config, size, seconds, count):
                    row.add(part, 1, ids[part])
                row.add(TEXT, 1)
            else:
                row.add(VIDEO, tokens(size, MERGE), ids[VIDEO])
        row.add(TEXT, 1)
        row.add(TEXT, draw.randint(0, 4))
    row.add(TEXT, draw.randint(2, 5))
    return row


def omni_prompts(family: str) -> dict:
    module, name, config_name = OMNI[family]
    config = config_of(module, config_name)
    for key, value in PUBLISHED[family].items():
        setattr(config, key, value)
    _, answer = builder(module, name, config, spatial_merge_size=config.vision_config.spatial_merge_size)
    assert config.vision_config.spatial_merge_size == MERGE
    draw = random.Random(f"prompts of {family}")
    prompts = []
    while len(prompts) < PROMPTS:
        with_audio = draw.random() < 0.5
        visuals = draw.random() < 0.9
        rows = [omni_row(draw, family, config, with_audio, visuals) for _ in range(draw.randint(1, 2))]
        if max(len(row.kinds) for row in rows) > 260:
            continue
        kinds, ids, masks = padded(draw, rows)
        images, videos = ([x for row in rows for x in getattr(row, key)] for key in ("images", "videos"))
        audios = [x for row in rows for x in row.audios]
        positions, deltas = answer(
            torch.tensor(ids), tensor(images), tensor(videos), torch.tensor(masks or [[1] * len(row) for row in ids]), with_audio,
            tensor(audios), tensor([x for row in rows for x in row.seconds], torch.float32),
        )
        prompts.append(recorded(kinds, masks, rows, positions.tolist(), deltas[:, 0].tolist(), audioInVideo=with_audio))
    return {
        "source": source("prompts"), "family": family, "entry": f"{module}.{name}.get_rope_index",
        "note": "an audio of n frames of features has as many tokens as the engine's own formula says; the token before and the token "
        "after each image, video and audio are its begin and end (two and two where a video carries its audio)",
        "settings": {
            "mergeSize": MERGE, "positionsPerSecond": config.position_id_per_seconds,
            **({"secondsPerChunk": config.seconds_per_chunk} if family == "qwen2_5_omni" else {}),
        },
        "axes": AXES, "prompts": prompts,
    }


# ---------------------------------------------------------------------------------------------------------- HunyuanVL
def hunyuan_prompts(family: str) -> dict:
    prompts = []
    draw = random.Random(f"prompts of {family}")
    config = config_of("hunyuan_vl", "HunYuanVLConfig")
    merge = config.vision_config.spatial_merge_size
    for number in range(PROMPTS):
        axes = 4 if number % 3 else 3
        config.text_config.rope_parameters = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [16] * axes}
        _, answer = builder("hunyuan_vl", "HunYuanVLModel", config)
        rows = []
        visuals = draw.random() < 0.9
        for _ in range(draw.randint(1, 3)):
            row = Row().add(TEXT, draw.randint(1, 5))
            for _ in range(draw.randint(0, 3) if visuals else 0):
                size = grid(draw, merge)
                row.images.append(size)
                # with the two tokens that begin and end an image, or without
                row.add(IMAGE, tokens(size, merge, 1) + draw.choice([0, 2]))
                row.add(TEXT, draw.randint(1, 4))
            rows.append(row)
        kinds, ids, masks = padded(draw, rows)
        positions, deltas = answer(
            torch.tensor(ids), torch.tensor(kinds, dtype=torch.int), tensor([x for row in rows for x in row.images]), tensor(masks),
        )
        prompts.append(recorded(kinds, masks, rows, positions.tolist(), deltas[:, 0].tolist()))
    return {
        "source": source("prompts"), "family": family, "entry": "hunyuan_vl.HunYuanVLModel.get_rope_index",
        "note": "the axes follow the number of sections: 4, or 3 without the first",
        "settings": {"mergeSize": merge}, "axes": ["position", "width", "height", "image"], "prompts": prompts,
    }


# ------------------------------------------------------------------------------------------------------ MiniCPM-V 4.7
def canvas_frame(draw: random.Random, config, row: Row, kind: int, merge: int) -> None:
    """A thumbnail, and perhaps slices of it row by row, as the processor writes them."""
    sizes = row.images if kind == IMAGE else row.videos

    def crop(size: list[int], start: int, end: int) -> None:
        sizes.append(size)
        row.add(TEXT, 1, start).add(kind, size[0] * size[1] // merge**2).add(TEXT, 1, end)

    def size() -> list[int]:
        return [merge * draw.randint(1, 4), merge * draw.randint(1, 4)]

    crop(size(), config.image_start_id, config.image_end_id)
    if draw.random() < 0.6:
        lines, columns = draw.choice([(1, 1), (1, 2), (2, 1), (2, 2), (3, 2), (2, 3)])
        slice_size = size()
        uneven = columns > 1 and draw.random() < 0.1  # the last row is one slice short
        for line in range(lines):
            if line:
                row.add(TEXT, 1, config.newline_id)
            for _ in range(columns - (uneven and line == lines - 1)):
                # slices may differ from the first, which fixes the canvas
                other = size() if draw.random() < 0.15 else slice_size
                crop(other, config.slice_start_id, config.slice_end_id)


def canvas_prompts(family: str) -> dict:
    config = config_of("minicpmv4_7", "MiniCPMV4_7Config")
    for token, key in enumerate(("image_start_id", "image_end_id", "slice_start_id", "slice_end_id", "newline_id"), 1):
        setattr(config, key, token)
    draw = random.Random(f"prompts of {family}")
    letters = {
        config.image_start_id: "<", config.image_end_id: ">", config.slice_start_id: "(", config.slice_end_id: ")",
        config.newline_id: "n",
    }
    marks = {letter: token for token, letter in letters.items()}
    _, answer = builder("minicpmv4_7", "MiniCPMV4_7Model", config)
    prompts = []
    while len(prompts) < PROMPTS:
        mode = draw.choice(["16x", "4x"])
        merge = 2 if mode == "4x" else 4
        visuals = draw.random() < 0.9
        rows = []
        for _ in range(draw.randint(1, 2)):
            row = Row().add(TEXT, draw.randint(0, 4))
            for _ in range(draw.randint(1, 3) if visuals else 0):
                kind = draw.choice([IMAGE, VIDEO])
                for frame in range(draw.randint(1, 3) if kind == VIDEO else 1):
                    if frame and draw.random() < 0.4:
                        row.add(TEXT, 1, config.newline_id)
                    canvas_frame(draw, config, row, kind, merge)
                row.add(TEXT, draw.randint(0, 1), config.newline_id)
                row.add(TEXT, draw.randint(0, 3))
            rows.append(row.add(TEXT, draw.randint(1, 3)))
        if max(len(row.kinds) for row in rows) > 200:
            continue
        kinds, ids, masks = padded(draw, rows)
        positions, deltas = answer(
            torch.tensor(ids), torch.tensor(kinds, dtype=torch.int), tensor([x for row in rows for x in row.images]),
            tensor([x for row in rows for x in row.videos]), mode, tensor(masks),
        )
        markers = ["".join(letters.get(i, ".") for i in row) for row in ids]
        prompts.append(recorded(
            kinds, masks, rows, positions.tolist(), deltas[:, 0].tolist(), markers=markers, mergeSize=merge,
        ))
    # Thumbnails of one line on canvases where float32 decides how a column is rounded.
    close = [
        (count, size) for count in range(2, 41) for size in range(2, 130)
        if torch.linspace(0, size - 1, count).round().tolist() != [round(Fraction((size - 1) * i, count - 1)) for i in range(count)]
    ]
    for count, size in close[:12]:
        row = Row()
        for length, start, end in ((count, "<", ">"), (size, "(", ")")):
            row.images.append([4, 4 * length])
            row.add(TEXT, 1, marks[start]).add(IMAGE, length).add(TEXT, 1, marks[end])
        positions, deltas = answer(
            torch.tensor([row.ids]), torch.tensor([row.kinds], dtype=torch.int), torch.tensor(row.images), None, "16x", None,
        )
        markers = ["".join(letters.get(i, ".") for i in row.ids)]
        prompts.append(recorded(
            [row.kinds], None, [row], positions.tolist(), deltas[:, 0].tolist(), markers=markers, mergeSize=4,
        ))
    return {
        "source": source("prompts"), "family": family, "entry": "minicpmv4_7.MiniCPMV4_7Model.get_rope_index",
        "note": "images and videos are [height, width] in patches for each thumbnail and slice; markers: < and > begin and end a "
        "thumbnail, ( and ) a slice, n is a newline",
        "settings": {}, "axes": AXES, "prompts": prompts,
    }


# ---------------------------------------------------------------------------------------------------------- GLM-Image
def glm_image_prompts(family: str) -> dict:
    config = config_of("glm_image", "GlmImageConfig")
    draw = random.Random(f"prompts of {family}")
    prompts = []
    for _ in range(PROMPTS):
        self, answer = builder("glm_image", "GlmImageModel", config)
        rows, targets = [], []
        for _ in range(draw.randint(1, 2)):
            row = Row().add(TEXT, draw.randint(1, 5))
            for _ in range(draw.randint(0, 2)):
                size = grid(draw, 1)
                row.images.append(size)
                row.add(TEXT, 1, config.image_start_token_id).add(IMAGE, tokens(size, 1)).add(TEXT, 1, config.image_end_token_id)
                row.add(TEXT, draw.randint(0, 3))
            targets.append([grid(draw, 1) for _ in range(draw.randint(1, 2))])
            rows.append(row.add(TEXT, 1, config.image_start_token_id))
        kinds, ids, masks = padded(draw, rows)
        grids = [[*row.images, *target] for row, target in zip(rows, targets)]
        positions, deltas = answer(
            torch.tensor(ids), tensor([x for row in grids for x in row]), tensor([len(row) for row in grids]), tensor(masks),
        )
        assert not deltas.any()
        prompts.append(recorded(
            kinds, masks, rows, positions.tolist(), None, generated=targets,
            decoding=self._cached_decode_position_ids.permute(1, 0, 2).tolist(),
        ))
    return {
        "source": source("prompts"), "family": family, "entry": "glm_image.GlmImageModel.get_rope_index",
        "note": "generated: the grids of each row that are still to be drawn; decoding: [axis][row] of the tokens to come, the last one "
        "repeated in shorter rows",
        "settings": {"mergeSize": 1}, "axes": AXES, "prompts": prompts,
    }


def video_time(_name: str) -> dict:
    """Times of frames for seconds as a float32 tensor, which processors give, and as a list of doubles."""
    config = config_of("qwen2_5_vl", "Qwen2_5_VLConfig")
    _, answer = builder("qwen2_5_vl", "Qwen2_5_VLModel", config)

    def times(seconds: float, tokens_per_second: float, frames: int, form) -> list[int]:
        config.vision_config.tokens_per_second = tokens_per_second
        positions, _ = answer(
            torch.zeros(1, frames, dtype=torch.long), torch.full((1, frames), VIDEO, dtype=torch.int),
            video_grid_thw=torch.tensor([[frames, 2, 2]]), second_per_grid_ts=form([seconds]),
        )
        return positions[0, 0].tolist()

    return {
        "source": source("prompts"), "entry": "qwen2_5_vl.Qwen2_5_VLModel.get_rope_index",
        **rates({"float32": lambda *given: times(*given, torch.tensor), "float64": lambda *given: times(*given, list)}),
    }


RUNNERS = {
    **{name: grid_prompts for name in GRIDS},
    **{name: omni_prompts for name in OMNI},
    "hunyuan_vl": hunyuan_prompts,
    "minicpmv4_7": canvas_prompts,
    "glm_image": glm_image_prompts,
    "video-time-transformers": video_time,
}
FOLDER = FIXTURES / "positions" / "prompts"


def run(names: list[str] | None) -> None:
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    for name, runner in RUNNERS.items():
        if names and name not in names:
            continue
        folder = FOLDER.parent / "time" if name.startswith("video-time") else FOLDER
        size = write(folder / f"{name}.json", runner(name))
        print(f"{name}: {size} bytes")

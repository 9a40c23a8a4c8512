"""transformers' vision towers and position-id builders, run for real, as `hf` runs the text ropes."""

import importlib
import json
import types

import numpy as np
import torch
import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.vision_utils import get_vision_position_ids

from . import hf
from .paths import FIXTURES, MODELS, file_of
from .writing import exact, pack, write


def source(command: str) -> dict:
    return {**hf.source(""), "command": f"python -m goldens {command}"}


# model id → (module, rotary class, apply function)
AXIAL = {
    "Qwen/Qwen2-VL-7B-Instruct": ("qwen2_vl", "Qwen2VLVisionRotaryEmbedding", "apply_rotary_pos_emb_vision"),
    "Qwen/Qwen2.5-VL-7B-Instruct": ("qwen2_5_vl", "Qwen2_5_VLVisionRotaryEmbedding", "apply_rotary_pos_emb_vision"),
    "Qwen/Qwen3-VL-30B-A3B-Instruct": (
        "qwen3_vl_moe", "Qwen3VLMoeVisionRotaryEmbedding", "apply_rotary_pos_emb_vision",
    ),
    "mistralai/Mistral-Small-3.2-24B-Instruct-2506-vision": (
        "pixtral", "PixtralVisionRotaryEmbedding", "apply_rotary_pos_emb",
    ),
}
SAMPLED_TOKENS = 12


def read(model_id: str):
    data = json.loads((MODELS / file_of(model_id)).read_text())
    config = CONFIG_MAPPING[data["model_type"]].from_dict(data)
    return getattr(config, "vision_config", None) or config


def module_of(name: str):
    return importlib.import_module(f"transformers.models.{name}.modeling_{name}")


def head_of(config) -> int:
    width = getattr(config, "embed_dim", None) or config.hidden_size
    return getattr(config, "head_dim", None) or width // config.num_attention_heads


def rotated_tokens(rotate, head: int, count: int) -> dict:
    generator = np.random.Generator(np.random.PCG64(7))
    data = [generator.standard_normal((count, heads, head)).astype(np.float32) for heads in (2, 1)]
    outputs = rotate(*(torch.from_numpy(x) for x in data))
    names = zip(("query", "key"), data, outputs)
    return {
        name: {"shape": list(x.shape), "input": pack(x), "output": pack(y.reshape(x.shape).numpy())}
        for name, x, y in names
    }


def head_record(model_id, module_name, class_name, command) -> dict:
    return {
        "source": source(command),
        "model": model_id,
        "config": f"models/{file_of(model_id)}",
        "module": f"{module_name}.{class_name}",
    }


def axial(model_id: str) -> dict:
    module_name, class_name, apply_name = AXIAL[model_id]
    module, config = module_of(module_name), read(model_id)
    rotary = getattr(module, class_name)(config)
    head = head_of(config)
    count = head // 2
    if module_name == "pixtral":
        grid, merge = [1, 4, 6], 1
    else:
        grid, merge = [2, 4, 6], config.spatial_merge_size
    ids = get_vision_position_ids(torch.tensor([grid]), merge)
    probe = torch.zeros(1, len(ids), head)
    cos, sin = rotary(probe, ids)
    assert torch.equal(cos[:, :count], cos[:, count:])
    width = rotary.inv_freq.shape[-1]
    frequencies = rotary.recomposition_frequencies(rotary.inv_freq.expand(1, 2, -1))[0, :count]
    axes = rotary.recomposition_frequencies(
        torch.tensor([0.0, 1.0])[None, :, None].expand(1, 2, width).clone()
    )[0, :count]
    far = torch.tensor([[0, 0], [1, 0], [0, 1], [3, 17], [63, 40], [255, 1023]])
    far_cos, far_sin = rotary(torch.zeros(1, len(far), head), far)
    apply = getattr(module, apply_name)

    def rotate(query, key):
        c, s = far_cos, far_sin
        if apply_name == "apply_rotary_pos_emb_vision":
            return apply(query, key, c, s)
        outputs = apply(query.transpose(0, 1)[None], key.transpose(0, 1)[None], c[None], s[None])
        return tuple(o[0].transpose(0, 1) for o in outputs)

    return {
        **head_record(model_id, module_name, class_name, f"vision --model {model_id}"),
        "headDim": head,
        "rotaryDim": head,
        "pairing": "half",
        "axes": ["height", "width"],
        "axisOfPair": [int(a) for a in axes],
        "invFreq": exact(frequencies.numpy()),
        "builder": {"grid": grid, "mergeSize": merge, "positions": ids.T.tolist()},
        "positions": far.T.tolist(),
        "cos": [exact(row) for row in far_cos[:, :count]],
        "sin": [exact(row) for row in far_sin[:, :count]],
        "rotated": rotated_tokens(rotate, head, len(far)),
    }


def llama4(model_id: str) -> dict:
    module, config = module_of("llama4"), read(model_id)
    rotary = module.Llama4VisionRotaryEmbedding(config)
    head = head_of(config)
    table = rotary(torch.zeros(1))  # [patches + 1, 1, pairs] complex; the last row is the class token
    side = config.image_size // config.patch_size
    tokens = [0, 1, side - 1, side, 2 * side + 5, 137, side * side - 1, side * side]
    rows = table[tokens, 0]
    return {
        **head_record(model_id, "llama4", "Llama4VisionRotaryEmbedding", f"vision --model {model_id}"),
        "headDim": head,
        "rotaryDim": head,
        "pairing": "adjacent",
        "note": "pairs 0 to headDim/4 - 1 turn by x + 1, the others by y + 1; the last token is the class token",
        "builder": {"side": side},
        "tokens": tokens,
        "cos": [exact(row) for row in rows.real],
        "sin": [exact(row) for row in rows.imag],
        "rotated": rotated_tokens(
            lambda q, k: tuple(o[0] for o in module.vision_apply_rotary_emb(q[None], k[None], table[tokens])),
            head, len(tokens),
        ),
    }


def dinov3(model_id: str) -> dict:
    module, config = module_of("dinov3_vit"), read(model_id)
    rotary = module.DINOv3ViTRopePositionEmbedding(config)
    rotary.eval()
    head = head_of(config)
    height, width = 3, 5
    pixels = torch.zeros(1, 3, height * config.patch_size, width * config.patch_size)
    cos, sin = rotary(pixels)
    count = head // 2
    assert torch.equal(cos[:, :count], cos[:, count:])
    return {
        **head_record(model_id, "dinov3_vit", "DINOv3ViTRopePositionEmbedding", f"vision --model {model_id}"),
        "headDim": head,
        "rotaryDim": head,
        "pairing": "half",
        "note": "coordinates are 2 (i + 0.5) / n - 1 and the angle is 2 pi times coordinate times invFreq; pairs are "
        "[y | x]; patches in row-major order",
        "builder": {"patches": [height, width]},
        "invFreq": exact(rotary.inv_freq.numpy()),
        "cos": [exact(row) for row in cos[:, :count]],
        "sin": [exact(row) for row in sin[:, :count]],
        "rotated": rotated_tokens(
            lambda q, k: tuple(
                o[0].transpose(0, 1)
                for o in module.apply_rotary_pos_emb(q.transpose(0, 1)[None], k.transpose(0, 1)[None], cos, sin)
            ),
            head, height * width,
        ),
    }


TEXT, IMAGE, VIDEO = 0, 1, 2


def sequence(*parts) -> list[int]:
    return [kind for kind, count in parts for _ in range(count)]


def builder_cases(model: str) -> list[dict]:
    cases = [
        {
            "name": "text, image, text",
            "modalities": [sequence((TEXT, 5), (IMAGE, 6), (TEXT, 4))],
            "images": [[1, 4, 6]],
        },
        {
            "name": "two images next to text",
            "modalities": [sequence((TEXT, 3), (IMAGE, 4), (TEXT, 2), (IMAGE, 12), (TEXT, 1))],
            "images": [[1, 4, 4], [1, 4, 12]],
        },
        {
            "name": "a batch padded on the left",
            "modalities": [
                sequence((TEXT, 3), (TEXT, 2), (IMAGE, 4), (TEXT, 3)),
                sequence((TEXT, 4), (IMAGE, 6), (TEXT, 2)),
            ],
            "mask": [[0] * 3 + [1] * 9, [1] * 12],
            "images": [[1, 4, 4], [1, 4, 6]],
        },
    ]
    if model in ("qwen2_vl", "qwen2_5_vl"):
        video = {"modalities": [sequence((TEXT, 5), (VIDEO, 32), (TEXT, 3))], "videos": [[8, 4, 4]]}
        cases.append({"name": "video", **video})
        if model == "qwen2_5_vl":
            cases.append({"name": "video, half a second per grid", **video, "secondsPerGrid": [0.5]})
            cases.append({"name": "video, 1.3 seconds per grid", **video, "secondsPerGrid": [1.3]})
    if model in ("qwen3_vl_moe", "glm4v"):
        frames = sequence((TEXT, 2), (VIDEO, 4), (TEXT, 3), (VIDEO, 4), (TEXT, 2))
        cases.append({"name": "video of two frames, text between", "modalities": [frames], "videos": [[2, 4, 4]]})
    return cases


BUILDERS = {
    "qwen2_vl": ("Qwen2VLModel", "Qwen/Qwen2-VL-7B-Instruct"),
    "qwen2_5_vl": ("Qwen2_5_VLModel", "Qwen/Qwen2.5-VL-7B-Instruct"),
    "qwen3_vl_moe": ("Qwen3VLMoeModel", "Qwen/Qwen3-VL-30B-A3B-Instruct"),
    "glm4v": ("Glm4vModel", "THUDM/GLM-4.1V-9B-class-defaults"),
}


def positions(name: str) -> dict:
    class_name, model_id = BUILDERS[name]
    data = json.loads((MODELS / file_of(model_id)).read_text())
    config = CONFIG_MAPPING[data["model_type"]].from_dict(data)
    engine = getattr(module_of(name), class_name)
    # only the configuration is read by the two methods, so no weights are made
    self = types.SimpleNamespace(config=config)
    self.get_vision_position_ids = types.MethodType(engine.get_vision_position_ids, self)
    results = []
    for case in builder_cases(name):
        kinds = torch.tensor(case["modalities"], dtype=torch.int)
        arguments = {"input_ids": torch.zeros_like(kinds, dtype=torch.long), "mm_token_type_ids": kinds}
        for key, name_there in (("images", "image_grid_thw"), ("videos", "video_grid_thw")):
            if key in case:
                arguments[name_there] = torch.tensor(case[key])
        if "secondsPerGrid" in case:
            arguments["second_per_grid_ts"] = torch.tensor(case["secondsPerGrid"])
        if "mask" in case:
            arguments["attention_mask"] = torch.tensor(case["mask"])
        ids, delta = engine.get_rope_index(self, **arguments)
        results.append({**case, "positions": ids.tolist(), "delta": delta[:, 0].tolist()})
    vision = config.vision_config
    return {
        "source": source("vision"),
        "model": model_id,
        "config": f"models/{file_of(model_id)}",
        "module": f"{name}.{class_name}.get_rope_index",
        "axes": ["time", "height", "width"],
        "modalities": {"text": TEXT, "image": IMAGE, "video": VIDEO},
        "mergeSize": vision.spatial_merge_size,
        "tokensPerSecond": getattr(vision, "tokens_per_second", None),
        "cases": results,
    }


def run(only: list[str] | None = None) -> None:
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    runners = {
        **{model_id: axial for model_id in AXIAL},
        "meta-llama/Llama-4-Scout-17B-16E-vision": llama4,
        "facebook/dinov3-vits16-class-defaults": dinov3,
    }
    for model_id, runner in runners.items():
        if only and model_id not in only:
            continue
        size = write(FIXTURES / "vision" / file_of(model_id), runner(model_id))
        print(f"{model_id}: {size} bytes")
    if only is None:
        for name in BUILDERS:
            size = write(FIXTURES / "positions" / f"{name}.json", positions(name))
            print(f"positions of {name}: {size} bytes")

"""Hugging Face transformers, run for real: the configuration class, the rotary embedding class and the apply function
of the model's own file. Nothing here computes a frequency or an angle; everything that is recorded was returned by the
engine."""

import copy
import importlib
import json
import platform
from dataclasses import dataclass, field

import numpy as np
import torch
import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from .paths import FIXTURES, MODELS, file_of, id_of
from .sampling import sampled_pairs
from .writing import exact, pack, write

POSITIONS = [0, 1, 127, 257, 2049, 4095, 4096, 15962, 32767, 32768, 131071, 1048575]
ROTATED_POSITIONS = [0, 1, 257, 4096, 131071]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass
class Family:
    """How one model_type is run. `apply` names a wrapper below."""

    module: str
    rotary: str
    apply: str = "cos_sin"
    apply_name: str = "apply_rotary_pos_emb"
    attention: str | None = None  # the class whose softmax scale carries mscale²
    layered: bool = False
    axes: int = 1
    head_dim: str = "head_dim"
    note: str | None = None
    per_layer_keys: list[str] = field(default_factory=list)


def plain(module: str, prefix: str, **rest) -> Family:
    return Family(module, f"{prefix}RotaryEmbedding", **rest)


FAMILIES = {
    "llama": plain("llama", "Llama"),
    "mistral": plain("mistral", "Mistral"),
    "ministral3": plain("ministral3", "Ministral3"),
    "granite": plain("granite", "Granite"),
    "smollm3": plain("smollm3", "SmolLM3"),
    "qwen2": plain("qwen2", "Qwen2"),
    "qwen3": plain("qwen3", "Qwen3"),
    "qwen3_moe": plain("qwen3_moe", "Qwen3Moe"),
    "apertus": plain("apertus", "Apertus"),
    "gpt_oss": plain("gpt_oss", "GptOss"),
    "cohere": plain("cohere", "Cohere"),
    "glm": plain("glm", "Glm"),
    "glm4": plain("glm4", "Glm4"),
    "gptj": Family("gptj", "GPTJAttention", apply="gptj"),
    "gpt_neox": plain("gpt_neox", "GPTNeoX"),
    "phi": plain("phi", "Phi", apply="slice"),
    "phi3": plain("phi3", "Phi3"),
    "stablelm": plain("stablelm", "StableLm", apply="slice"),
    "minimax_m2": plain("minimax_m2", "MiniMaxM2"),
    "modernbert": plain("modernbert", "ModernBert", layered=True),
    "gemma3_text": plain("gemma3", "Gemma3", layered=True),
    "gemma4_text": Family("gemma4", "Gemma4TextRotaryEmbedding", apply="one_by_one", layered=True),
    "olmo3": plain("olmo3", "Olmo3", layered=True),
    "mimo_v2_flash": plain("mimo_v2_flash", "MiMoV2Flash", layered=True),
    "step3p5": plain("step3p7", "Step3p7", layered=True),
    "hunyuan_v1_moe": plain("hunyuan_v1_moe", "HunYuanMoEV1"),
    "hunyuan_v1_dense": plain("hunyuan_v1_dense", "HunYuanDenseV1"),
    "deepseek_v2": plain(
        "deepseek_v2", "DeepseekV2", apply="complex_heads_first", apply_name="apply_rotary_emb",
        attention="DeepseekV2Attention", head_dim="qk_rope_head_dim",
    ),
    "deepseek_v3": plain(
        "deepseek_v3", "DeepseekV3", apply_name="apply_rotary_pos_emb_interleave",
        attention="DeepseekV3Attention", head_dim="qk_rope_head_dim",
    ),
    "mistral4": plain(
        "mistral4", "Mistral4", apply_name="apply_rotary_pos_emb_interleave",
        attention="Mistral4Attention", head_dim="qk_rope_head_dim",
    ),
    "glm_moe_dsa": plain(
        "glm_moe_dsa", "GlmMoeDsa", apply_name="apply_rotary_pos_emb_interleave", head_dim="qk_rope_head_dim",
    ),
    "deepseek_v4": plain("deepseek_v4", "DeepseekV4", apply="one_by_one", layered=True),
    "llama4_text": Family(
        "llama4", "Llama4TextRotaryEmbedding", apply="complex_tokens_first", apply_name="apply_rotary_emb"
    ),
    "qwen2_vl_text": plain("qwen2_vl", "Qwen2VL", axes=3),
    "qwen2_5_vl_text": plain("qwen2_5_vl", "Qwen2_5_VL", axes=3),
    "qwen3_vl_moe_text": Family("qwen3_vl_moe", "Qwen3VLMoeTextRotaryEmbedding", axes=3),
    "qwen3_5_text": Family("qwen3_5", "Qwen3_5TextRotaryEmbedding", axes=3),
    "qwen3_omni_moe_talker_text": Family("qwen3_omni_moe", "Qwen3OmniMoeTalkerRotaryEmbedding", axes=3),
    "glm4v_text": Family("glm4v", "Glm4vTextRotaryEmbedding", axes=3),
    "ernie4_5_vl_moe_text": Family("ernie4_5_vl_moe", "Ernie4_5_VLMoeTextRotaryEmbedding", axes=3),
    "hunyuan_vl": plain("hunyuan_vl", "HunYuanVL", axes=4),
}

# model_type of the file → model_type of the class that runs it, where transformers has no class of that name
STAND_INS = {
    "kimi_k2": ("deepseek_v3", "the published file names the architecture DeepseekV3ForCausalLM"),
    "internlm2": ("llama", "remote code upstream; its rope is run here by the Llama class with the same parameters"),
}

# files that transformers reads without an error but not as published
MISREAD = {
    "XiaomiMiMo/MiMo-V2": "the configuration class ignores rope_theta and swa_rope_theta of the published spelling",
}

# situations of types that depend on the current length
LENGTHS = {
    "internlm/internlm2-chat-7b": [32768, 65536, 131072],
    "microsoft/Phi-3-mini-128k-instruct": [4096, 4097, 131072],
    "microsoft/Phi-3-medium-128k-instruct": [4096, 131072],
    "microsoft/Phi-4-mini-instruct": [4096, 131072],
}

# models whose rotated tensors are recorded as well
ROTATED = {
    "mistralai/Mistral-7B-v0.3", "Qwen/Qwen2.5-7B-Instruct-yarn", "openai/gpt-oss-20b", "deepseek-ai/DeepSeek-V3",
    "deepseek-ai/DeepSeek-V2-Lite", "moonshotai/Kimi-K2-Instruct", "mistralai/Ministral-3-8B", "microsoft/phi-2",
    "EleutherAI/pythia-6.9b-deduped", "EleutherAI/gpt-j-6b", "CohereForAI/c4ai-command-r-v01",
    "THUDM/glm-4-9b-chat-hf", "meta-llama/Llama-3.2-1B", "meta-llama/Llama-3.1-8B",
    "meta-llama/Llama-4-Scout-17B-16E", "deepseek-ai/deepseek-coder-6.7b-instruct", "google/gemma-3-4b-it",
    "internlm/internlm2-chat-7b", "microsoft/Phi-3-mini-128k-instruct", "microsoft/Phi-4-mini-instruct",
    "google/gemma-4-E2B", "tencent/Hunyuan-7B-Instruct", "Qwen/Qwen2.5-VL-7B-Instruct",
    "Qwen/Qwen3-VL-30B-A3B-Instruct", "Qwen/Qwen3.5", "THUDM/GLM-4.1V-9B-class-defaults",
    "baidu/ERNIE-4.5-VL-28B-A3B", "tencent/HunyuanOCR", "deepseek-ai/DeepSeek-V4-Flash",
    "XiaomiMiMo/MiMo-V2-Flash", "answerdotai/ModernBERT-base", "allenai/Olmo-3-7B-Instruct",
}


def source(model_id: str) -> dict:
    return {
        "engine": "huggingface/transformers",
        "version": transformers.__version__,
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        "command": f"python -m goldens hf --model {model_id}",
    }


def load(data: dict):
    """The engine's own configuration object for the text part of a config.json, and its family."""
    data = copy.deepcopy(data)
    note = None
    model_type = data["model_type"]
    if model_type in STAND_INS:
        model_type, note = STAND_INS[model_type]
        data["model_type"] = model_type
    scaling = data.get("rope_scaling") or {}
    if scaling.get("type") == "su":  # transformers 5.23.0 renames it after it has looked for the original length
        scaling["type"] = "longrope"
        note = "published as `su`, which this version of transformers refuses (KeyError); run as `longrope`"
    if model_type == "qwen3_omni_moe_talker_text":  # not registered under its own name
        configuration = transformers.models.qwen3_omni_moe.configuration_qwen3_omni_moe
        return configuration.Qwen3OmniMoeTalkerTextConfig.from_dict(data), FAMILIES[model_type], note
    if model_type not in CONFIG_MAPPING:
        return None, None, f"transformers {transformers.__version__} has no configuration class for {model_type}"
    config = CONFIG_MAPPING[model_type].from_dict(data)
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    family = FAMILIES.get(text.model_type)
    if family is None:
        return None, None, f"{text.model_type} has no text rope (see `python -m goldens vision`)"
    return text, family, note


def make_apply(family: Family, module):
    function = getattr(module, family.apply_name)
    if family.apply == "cos_sin":
        return lambda query, key, table: function(query, key, *table)
    if family.apply == "slice":  # the attention class cuts the rotary slice itself

        def apply(query, key, table):
            width = table[0].shape[-1]
            outputs = function(query[..., :width], key[..., :width], *table)
            return tuple(torch.cat((o, x[..., width:]), dim=-1) for o, x in zip(outputs, (query, key)))

        return apply
    if family.apply == "one_by_one":
        return lambda query, key, table: (function(query, *table), function(key, *table))
    if family.apply == "complex_heads_first":
        return lambda query, key, table: function(query, key, table)
    if family.apply == "complex_tokens_first":

        def apply(query, key, table):
            outputs = function(query.transpose(1, 2), key.transpose(1, 2), table)
            return tuple(o.transpose(1, 2) for o in outputs)

        return apply
    raise ValueError(family.apply)


class Rope:
    """One rotary embedding of one layer type, at one length, with a uniform face."""

    axis_of_element = None  # set where the two elements of a pair follow different axes

    def __init__(self, family: Family, config, layer_type: str | None):
        self.family, self.config, self.layer_type = family, config, layer_type
        self.module = importlib.import_module(f"transformers.models.{family.module}.modeling_{family.module}")
        self.embedding = getattr(self.module, family.rotary)(config)
        self._apply = make_apply(family, self.module)
        prefix = f"{layer_type}_" if layer_type else ""
        self._prefix, self._columns = prefix, None
        self.attention_factor = float(getattr(self.embedding, f"{prefix}attention_scaling"))
        rope_type = self.embedding.rope_type
        self.rope_type = rope_type[layer_type] if layer_type else rope_type
        own = config.per_layer_config[layer_type] if family.module == "gemma4" else config
        self.head_dim = getattr(own, family.head_dim, None) or own.hidden_size // own.num_attention_heads

    def table(self, positions: torch.Tensor, dtype=torch.float32):
        """What the attention layer receives. positions: [1, tokens] or [axes, 1, tokens]."""
        probe = torch.zeros(1, positions.shape[-1], 8, dtype=dtype)
        arguments = (probe, positions) + ((self.layer_type,) if self.layer_type else ())
        return self.embedding(*arguments)

    @property
    def inv_freq_buffer(self) -> torch.Tensor:
        return getattr(self.embedding, f"{self._prefix}inv_freq")

    @property
    def pair_count(self) -> int:
        return self.inv_freq_buffer.shape[-1]

    def columns(self) -> list[int]:
        """Which column of the engine's table belongs to pair i: read off the table itself, once, because asking at
        short positions resets a length-dependent rope."""
        if self._columns is None:
            self._columns = self._find_columns()
        return self._columns

    def _find_columns(self) -> list[int]:
        count = self.pair_count
        table = self.table(torch.tensor([[1, 3, 1001]]))
        width = table.shape[-1] if torch.is_tensor(table) else table[0].shape[-1]
        if width == count:
            return list(range(count))
        cos = table[0][0]
        assert width == 2 * count, (width, count)
        if torch.equal(cos[:, :count], cos[:, count:]):
            return list(range(count))
        assert torch.equal(cos[:, 0::2], cos[:, 1::2])
        return list(range(0, width, 2))

    def per_pair(self) -> tuple[torch.Tensor, list[int] | None]:
        """Frequency and position axis of each pair, in the order in which the engine's table has them."""
        buffer = self.inv_freq_buffer
        recompose = getattr(self.embedding, "recomposition_frequencies", None)
        if self.family.axes == 1 or recompose is None:
            return buffer, None
        columns = self.columns()
        axes = self.family.axes
        spread = buffer.expand(axes, 1, 1, -1).clone()
        frequencies = recompose(spread)[0, 0][columns]
        which = torch.arange(axes, dtype=torch.float32)[:, None, None, None].expand(axes, 1, 1, buffer.shape[-1]).clone()
        axis_of_element = [int(a) for a in recompose(which)[0, 0]]
        count = self.pair_count
        if columns[:2] == [0, 1] and axis_of_element[:count] != axis_of_element[count:]:
            self.axis_of_element = axis_of_element
            return frequencies, None
        return frequencies, [axis_of_element[c] for c in columns]

    def cos_sin(self, positions: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        columns = self.columns()
        table = self.table(positions)
        if torch.is_tensor(table):
            return table.real[0].numpy(), table.imag[0].numpy()
        return table[0][0][:, columns].float().numpy(), table[1][0][:, columns].float().numpy()

    def rotate(self, query, key, positions):
        return self._apply(query, key, self.table(positions, query.dtype))


class GPTJRope:
    """GPT-J keeps a table in its attention class and knows no inverse frequencies; the table function is asked for
    them by letting its sine return the angle."""

    layer_type = None
    rope_type = "default"
    attention_factor = 1.0

    def __init__(self, family: Family, config):
        self.family = family
        self.module = importlib.import_module("transformers.models.gptj.modeling_gptj")
        self.head_dim = config.hidden_size // config.num_attention_heads
        self.rotary_dim = config.rotary_dim
        self.pair_count = self.rotary_dim // 2
        sine = torch.sin
        try:
            torch.sin = lambda angle: angle
            table = self.module.create_sinusoidal_positions(2, self.rotary_dim)
        finally:
            torch.sin = sine
        self._inv_freq = table[1, : self.pair_count]
        self._long = None

    def per_pair(self):
        return self._inv_freq, None

    def table(self, positions, dtype=torch.float32):
        if self._long is None:
            self._long = self.module.create_sinusoidal_positions(max(POSITIONS) + 1, self.rotary_dim)
        sincos = self._long[positions].to(dtype)
        return torch.split(sincos, self.pair_count, dim=-1)

    def cos_sin(self, positions):
        sin, cos = self.table(positions)
        return cos[0].numpy(), sin[0].numpy()

    def rotate(self, query, key, positions):
        sin, cos = self.table(positions, query.dtype)
        outputs = []
        for x in (query, key):
            tokens_first = x.transpose(1, 2)
            rotated = self.module.apply_rotary_pos_emb(tokens_first[..., : self.rotary_dim], sin, cos)
            outputs.append(torch.cat((rotated, tokens_first[..., self.rotary_dim :]), dim=-1).transpose(1, 2))
        return tuple(outputs)


def layouts(rope, axes: int) -> tuple[str, str, int]:
    """Which two elements form a pair, where the pair is returned, and where the rotated slice begins: found by
    rotating unit vectors."""
    size, count = rope.head_dim, rope.pair_count
    units = torch.eye(size)[None, :, None, :]  # one head per unit vector
    at = positions_for([1], axes)
    rotated = rope.rotate(units, units, at)[0][0, :, 0, :]
    still = torch.tensor([torch.equal(rotated[i], units[0, i, 0]) for i in range(size)])
    frequencies = rope.per_pair()[0]
    moving = [i for i in range(size) if not still[i]]
    offset = 0
    if len(moving) < size and int((frequencies != 0).sum()) == count:
        offset = moving[0]
        assert moving == list(range(offset, offset + 2 * count)), moving
    cos, sin = (t[0] for t in rope.cos_sin(at))

    def matches(first_in, second_in, first_out, second_out) -> bool:
        for i in range(count):
            row = torch.zeros(size)
            row[offset + first_out(i)], row[offset + second_out(i)] = float(cos[i]), float(sin[i])
            other = torch.zeros(size)
            other[offset + first_out(i)], other[offset + second_out(i)] = -float(sin[i]), float(cos[i])
            if not torch.equal(rotated[offset + first_in(i)], row):
                return False
            if not torch.equal(rotated[offset + second_in(i)], other):
                return False
        return True

    half = (lambda i: i, lambda i: i + count)
    adjacent = (lambda i: 2 * i, lambda i: 2 * i + 1)
    for in_name, inside in (("half", half), ("adjacent", adjacent)):
        for out_name, outside in (("half", half), ("adjacent", adjacent)):
            if matches(*inside, *outside):
                return in_name, out_name, offset
    raise AssertionError("neither half nor adjacent")


def positions_for(values, axes: int) -> torch.Tensor:
    row = torch.tensor([list(values)], dtype=torch.long)
    return row if axes == 1 else row.expand(axes, 1, -1).clone()


def rotated(rope, axes: int, pairing: str, tokens: list[int], few: bool) -> list[dict]:
    """`few`: wide heads and models with several ropes get fewer tokens, so that the file stays small."""
    generator = np.random.Generator(np.random.PCG64(7))
    head_dim = rope.head_dim
    records = []
    for name, dtype in DTYPES.items():
        if head_dim >= 512 and name == "float16":
            continue
        at = tokens[-1:] if head_dim >= 512 else tokens[-2:] if few else tokens if name == "float32" else tokens[-3:]
        query = generator.standard_normal((1, 2, len(at), head_dim)).astype(np.float32)
        key = generator.standard_normal((1, 1, len(at), head_dim)).astype(np.float32)
        inputs = [torch.from_numpy(x).to(dtype) for x in (query, key)]
        outputs = rope.rotate(*inputs, positions_for(at, axes))
        record = {"dtype": name, "positions": at, "outputPairing": pairing}
        for part, before, after in zip(("query", "key"), inputs, outputs):
            assert after.dtype == dtype and after.shape == before.shape
            record[part] = {
                "shape": [len(at), before.shape[1], head_dim],
                "input": tokens_first(before),
                "output": tokens_first(after),
            }
        records.append(record)
    return records


def rotated_at(rope, grid: torch.Tensor, dtype, pairing: str) -> dict:
    """Tokens whose axes differ, rotated by the model's own function."""
    generator = np.random.Generator(np.random.PCG64(11))
    tokens = grid.shape[-1]
    inputs = [torch.from_numpy(generator.standard_normal((1, heads, tokens, rope.head_dim)).astype(np.float32)).to(dtype) for heads in (2, 1)]
    outputs = rope.rotate(*inputs, grid)
    record = {"outputPairing": pairing}
    for part, before, after in zip(("query", "key"), inputs, outputs):
        record[part] = {"shape": [tokens, before.shape[1], rope.head_dim], "input": tokens_first(before), "output": tokens_first(after)}
    return record


def tokens_first(x: torch.Tensor) -> str:
    """[1, heads, tokens, headDim] → base64 of [tokens, heads, headDim]."""
    x = x[0].transpose(0, 1).contiguous()
    return pack(x.view(torch.int16).numpy() if x.dtype == torch.bfloat16 else x.numpy())


def softmax_scale_factor(family: Family, config) -> float:
    """What rope adds to the softmax scale. The real attention class is built on the meta device, so that the answer
    of its own function is checked against the scale that the class really uses."""
    if family.attention is None:
        return 1.0
    module = importlib.import_module(f"transformers.models.{family.module}.modeling_{family.module}")
    with torch.device("meta"):
        attention = getattr(module, family.attention)(config, layer_idx=0)
    plain_scale = attention.qk_head_dim ** (-0.5)
    factor = module.yarn_apply_mscale(config.rope_parameters, 1.0)
    assert attention.scaling == module.yarn_apply_mscale(config.rope_parameters, plain_scale)
    assert abs(attention.scaling / plain_scale - factor) < 1e-14
    return float(factor)


def record_rope(family: Family, config, layer_type, length, with_rotated: bool, published_type: str) -> dict:
    if family.apply == "gptj":
        rope = GPTJRope(family, config)
    else:
        rope = Rope(family, config, layer_type)
    axes = family.axes
    at = [p for p in POSITIONS if length is None or p < length]
    if length is not None:
        at = sorted({*at, length - 1})
    ids = positions_for(at, axes)
    cos, sin = rope.cos_sin(ids)  # first: a length-dependent type settles its frequencies here
    frequencies, axis_of_pair = rope.per_pair()
    frequencies = frequencies.clone()
    pairs = sampled_pairs(frequencies.numpy(), None)
    result = {
        "layerType": layer_type,
        "ropeType": published_type,
        "engineRopeType": rope.rope_type,
        "headDim": rope.head_dim,
        "rotaryDim": 2 * rope.pair_count,
        "length": length,
        "attentionFactor": float(getattr(rope, "attention_factor", 1.0)),
        "softmaxScaleFactor": softmax_scale_factor(family, config),
    }
    if result["engineRopeType"] == result["ropeType"]:
        del result["engineRopeType"]
    if length is None:
        pairing, output_pairing, offset = layouts(rope, axes)
    else:  # unit vectors sit at a short position, which would change the frequencies: ask a fresh instance
        pairing, output_pairing, offset = layouts(type(rope)(family, config, layer_type), axes)
    result["pairing"] = pairing
    if offset:
        result["rotaryOffset"] = offset
    if axis_of_pair is not None:
        result["axisOfPair"] = axis_of_pair
    axis_of_element = getattr(rope, "axis_of_element", None)
    if axis_of_element is not None:
        result["axisOfElement"] = axis_of_element
    result["invFreq"] = exact(frequencies.numpy())
    result["positions"] = at
    result["pairs"] = pairs
    result["cos"] = [exact(row) for row in cos[:, pairs]]
    result["sin"] = [exact(row) for row in sin[:, pairs]]
    if axes > 1:
        grid = torch.tensor([[[5, 5, 9, 700, 40000]], [[5, 7, 12, 731, 40021]], [[5, 11, 10, 702, 40007]]])
        if axes == 4:
            grid = torch.cat((grid, torch.tensor([[[5, 0, 1, 2, 3]]])))
        if axis_of_element is None:
            grid_cos, grid_sin = rope.cos_sin(grid)
            every = {"pairs": list(range(rope.pair_count))}
        else:
            grid_cos, grid_sin = (t[0].numpy() for t in rope.table(grid))
            every = {"elements": list(range(2 * rope.pair_count))}
        result["grid"] = {
            "positions": grid[:, 0].tolist(),
            **every,
            "cos": [exact(row) for row in grid_cos],
            "sin": [exact(row) for row in grid_sin],
        }
        if axis_of_element is None:
            result["grid"]["rotated"] = rotated_at(rope, grid, torch.float32, output_pairing)
    if with_rotated:
        tokens = [p for p in ROTATED_POSITIONS if length is None or p < length]
        if length is not None and tokens[-1] != length - 1:
            tokens.append(length - 1)
        fresh = rope if length is None else type(rope)(family, config, layer_type)
        few = rope.head_dim > 128 or length is not None or layer_type is not None
        result["rotated"] = rotated(fresh, axes, output_pairing, tokens, few)
    return result


def published_type(parameters: dict | None) -> str:
    parameters = parameters or {}
    return parameters.get("rope_type") or parameters.get("type") or "default"


def run_model(model_id: str) -> str | None:
    file = MODELS / file_of(model_id)
    data = json.loads(file.read_text())
    if model_id in MISREAD:
        return MISREAD[model_id]
    config, family, note = load(data)
    if config is None:
        return note
    layer_types = [None]
    parameters = getattr(config, "rope_parameters", None) or {}
    if family.layered:
        layer_types = [k for k, v in sorted(parameters.items()) if isinstance(v, dict)]
    ropes = []
    for layer_type in layer_types:
        own = parameters[layer_type] if layer_type else parameters
        for length in LENGTHS.get(model_id, [None]):
            ropes.append(
                record_rope(family, copy.deepcopy(config), layer_type, length, model_id in ROTATED, published_type(own))
            )
    silent = [k for k in getattr(config, "layer_types", None) or [] if family.layered and k not in layer_types]
    fixture = {
        "source": source(model_id),
        "model": model_id,
        "config": f"models/{file.name}",
        "module": f"{family.module}.{family.rotary}",
    }
    if note:
        fixture["note"] = note
    if silent and family.module != "deepseek_v4":
        fixture["layerTypesWithoutRope"] = sorted(set(silent))
    fixture["ropes"] = ropes
    size = write(FIXTURES / "hf" / file.name, fixture)
    print(f"{model_id}: {len(ropes)} rope(s), {size} bytes")
    return None


def run(only: list[str] | None = None) -> None:
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    skipped = {}
    for file in sorted(MODELS.glob("*.json")):
        model_id = id_of(file.name)
        if only and model_id not in only:
            continue
        reason = run_model(model_id)
        if reason:
            skipped[model_id] = reason
    for model_id, reason in skipped.items():
        print(f"not run: {model_id}: {reason}")
    if only is None:
        write(
            FIXTURES / "hf-not-run.json",
            {"version": transformers.__version__, "command": "python -m goldens hf", "notRun": skipped},
        )

"""What mlx-lm rotates in each layer.

Every model type of ../results/transformers.json that mlx-lm has is built with the sizes of that file, and two tokens run
through it, one after the other. Each call of `mx.fast.rope` says which layer it serves; the rope that made the call then
turns unit vectors at the offsets 0 and 1, which shows pairs, angles and amplitude. MLX is lazy: no weight is computed.

python -m census.mlx_lm [--only a,b] > ../results/mlx-lm.json"""

import contextlib
import dataclasses
import importlib.util
import inspect
import json
import math
import platform
import signal
import sys
import types
import typing
from importlib.metadata import version
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from transformers import CONFIG_MAPPING

from .rotation import layout
from .writing import text

# Kernels that only Metal has give zeros: nothing is computed anyway. Model files ask for them when they are imported.
mx.fast.metal_kernel = lambda **_: lambda output_shapes, output_dtypes, **_: [mx.zeros(*each) for each in zip(output_shapes, output_dtypes)]

from mlx_lm.models.base import BaseModelArgs  # noqa: E402
from mlx_lm.models.cache import make_prompt_cache  # noqa: E402
from mlx_lm.utils import MODEL_REMAPPING, _get_classes  # noqa: E402

RESULTS = Path(__file__).resolve().parents[2] / "results"
# Seconds. A model takes one.
LONGEST = 60
# What no configuration says, by the type of the field.
BY_TYPE = {int: 2, float: 1.0, bool: False, str: "silu", dict: {"rope_type": "default"}}
SMALL = {"vocab_size": 64}
# What a class needs besides, by hand: what published files have.
OVERRIDES = {
    "bailing_hybrid": lambda file: {"architectures": ["BailingMoeV3ForCausalLM"]},
    "deepseek_v2": lambda file: {
        "rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096, "beta_fast": 32, "beta_slow": 1, "mscale": 0.707, "mscale_all_dim": 0.707}
    },
    "exaone4": lambda file: {"sliding_window_pattern": "LLLG"},
    "glm4_moe": lambda file: {"head_dim": 128},
    "glm_moe_dsa": lambda file: {"topk_method": "noaux_tc"},
    "granitemoehybrid": lambda file: {"layer_types": ["mamba" if kind == "linear_attention" else "attention" for kind in file["layer_types"]]},
    "lfm2": lambda file: {"layer_types": ["conv", "conv", "full_attention"] * 4, "full_attn_idxs": [2, 5, 8, 11], "block_dim": file["hidden_size"]},
    "minicpm3": lambda file: {
        "rope_scaling": {"type": "longrope", "long_factor": [1.1] * 16, "short_factor": [1.05] * 16, "original_max_position_embeddings": 32768}
    },
    "minimax": lambda file: {"rotary_dim": 64},
    "minimax_m2": lambda file: {"rotary_dim": 64},
    "longcat_flash": lambda file: {"mla_scale_q_lora": True, "mla_scale_kv_lora": True, "zero_expert_type": "identity"},
    "mimo_v2_flash": lambda file: {
        "hybrid_layer_pattern": [int(kind == "sliding_attention") for kind in file["layer_types"]],
        "swa_num_attention_heads": 2,
        "swa_num_key_value_heads": 1,
        "swa_head_dim": 192,
        "swa_v_head_dim": 128,
    },
}

BASE = 50000.0
SCALINGS = {
    "linear": {"rope_type": "linear", "type": "linear", "factor": 4.0},
    "llama3": {"rope_type": "llama3", "type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192},
    "yarn": {"rope_type": "yarn", "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096},
}

rope, attention = mx.fast.rope, mx.fast.scaled_dot_product_attention
# What a rope gives while calls are recorded, to be found again in the query.
MARK = 12345.0


class NotProbed(Exception):
    pass


@dataclasses.dataclass
class Call:
    """One call of `mx.fast.rope`: the stack of modules that led to it, innermost first, and its arguments."""

    stack: list[nn.Module]
    owner: nn.Module | None
    size: int
    arguments: tuple
    options: dict
    inverse: bool
    # Of the head that attention gets: its size, and the first element that the rope gave.
    head: tuple[int, int] | None = None


@contextlib.contextmanager
def recording():
    calls: list[Call] = []

    def recorded(x, *arguments, **options):
        frame = sys._getframe(1)
        inner = frame.f_locals.get("self")
        inverse = bool(frame.f_locals.get("inverse", False))
        stack: list[nn.Module] = []
        while frame is not None:
            module = frame.f_locals.get("self")
            if isinstance(module, nn.Module) and not any(module is known for known in stack):
                stack.append(module)
            frame = frame.f_back
        alone = isinstance(inner, nn.Module) and not inner.children()
        calls.append(Call(stack, inner if alone else None, x.shape[-1], arguments, options, inverse))
        return mx.full(x.shape, MARK)

    def attend(query, key, value, **_):
        head = np.array(query[0, 0, 0].astype(mx.float32))
        marked = np.flatnonzero(head == MARK)
        for call in calls:
            # Where the head is put together from slices.
            if call.head is None:
                fits = len(marked) == call.size and marked[-1] - marked[0] == call.size - 1
                call.head = (len(head), int(marked[0])) if fits else (call.size, 0)
        return mx.zeros((*query.shape[:-1], value.shape[-1]))

    mx.fast.rope, mx.fast.scaled_dot_product_attention = recorded, attend
    try:
        yield calls
    finally:
        mx.fast.rope, mx.fast.scaled_dot_product_attention = rope, attention


def turned(call: Call, offset: int) -> np.ndarray:
    """Row i is what becomes of unit vector i."""
    vectors = mx.eye(call.size).reshape(1, call.size, 1, call.size)
    if call.owner is not None:
        result = call.owner(vectors, offset=offset)
    else:
        result = rope(vectors, *call.arguments, **{**call.options, "offset": offset})
    return np.array(result.astype(mx.float32)).reshape(call.size, call.size).astype(np.float64)


def measured(call: Call) -> dict:
    start, after = turned(call, 0), turned(call, 1)
    if np.any(start != np.diag(np.diag(start))):
        raise NotProbed("the rope turns at position 0")
    pairs = []
    for first in range(call.size):
        for second in map(int, np.flatnonzero(after[first])):
            if second > first:
                pairs.append((first, second, math.atan2(after[first, second], after[first, first])))
    amplitudes = {float(np.float32(start[element, element])) for pair in pairs for element in pair[:2]}
    if not pairs or len(amplitudes) != 1:
        raise NotProbed(f"amplitudes {sorted(amplitudes)}")
    found = layout(pairs)
    factor = amplitudes.pop()
    values = found.pop("frequencies")
    if factor != 1:
        found["attentionFactor"] = float(f"{factor:.9g}")
    size, first = call.head or (call.size, 0)
    found["rotaryOffset"] += first
    return {"headDim": size, **found, "frequencies": [float(f"{value:.9g}") for value in values]}


def offset_of(call: Call) -> int:
    given = call.options.get("offset")
    return int(given.max().item() if isinstance(given, mx.array) else given)


def ropes_of(calls: list[Call], names: dict[int, str], count: int) -> dict:
    layers: dict[int, dict] = {}
    indexers: dict[int, dict] = {}
    cache: dict[str, dict] = {}
    for call in calls:
        if call.inverse:
            continue
        path = next((names[id(module)] for module in call.stack if numbers(names.get(id(module), ""))), None)
        if path is None:
            raise NotProbed("a rope outside of the layers")
        if offset_of(call) != 1:
            raise NotProbed(f"the second token has offset {offset_of(call)}")
        found = measured(call)
        target = indexers if any("index" in names.get(id(module), "").lower() for module in call.stack) else layers
        layer = numbers(path)[0]
        if layers is target and target.setdefault(layer, found) != found:
            raise NotProbed(f"layer {layer} has several ropes")
        target.setdefault(layer, found)
    ropes: list[dict] = []

    def index(found: dict | None) -> int | None:
        if found is None:
            return None
        if found not in ropes:
            ropes.append(found)
        return ropes.index(found)

    result: dict = {"layers": [index(layers.get(layer)) for layer in range(count)], "ropes": ropes}
    if indexers:
        result["indexers"] = [index({**indexers[layer], "indexer": True}) if layer in indexers else None for layer in range(count)]
    return result


def numbers(path: str) -> list[int]:
    return [int(part) for part in path.split(".") if part.isdigit()]


def fields_of(module: types.ModuleType) -> set[str]:
    """The fields of every configuration class that a model file or the model files that it imports have."""
    names = {module.__name__, *(inspect.getmodule(value).__name__ for value in vars(module).values() if inspect.getmodule(value))}
    files = [sys.modules[name] for name in names if name.startswith("mlx_lm.models.")]
    classes = [value for file in files for value in vars(file).values() if dataclasses.is_dataclass(value)]
    return {field.name for cls in classes for field in dataclasses.fields(cls)}


def old_spelling(config: dict, fields: set[str]) -> dict:
    """The keys of transformers 4."""
    config = {key: old_spelling(value, fields) if key.endswith("_config") and isinstance(value, dict) else value for key, value in config.items()}
    parameters = config.get("rope_parameters")
    if not isinstance(parameters, dict):
        return config
    del config["rope_parameters"]
    layered = {key: value for key, value in parameters.items() if isinstance(value, dict)}
    flat = layered.get("full_attention", {}) if layered else parameters
    local = layered.get("sliding_attention", {})
    if "rope_theta" in flat:
        if "attn_config" in config:
            config["attn_config"] = {**config["attn_config"], "rope_theta": flat["rope_theta"]}
        else:
            config["rotary_emb_base" if "rotary_emb_base" in fields else "rope_theta"] = flat["rope_theta"]
    if "partial_rotary_factor" in flat:
        config["rotary_pct" if "rotary_pct" in fields else "partial_rotary_factor"] = flat["partial_rotary_factor"]
    if "rope_theta" in local:
        for key in ("rope_local_base_freq", "swa_rope_theta"):
            if key in fields:
                config[key] = local["rope_theta"]
    scaling = {key: value for key, value in flat.items() if key not in ("rope_theta", "partial_rotary_factor")}
    if scaling.get("rope_type", "default") != "default":
        config["rope_scaling"] = scaling
    return config


def whole(model_type: str, config: dict) -> dict:
    """With the keys that do not concern ropes, as transformers' configuration class has them."""
    try:
        known = values_of(CONFIG_MAPPING[model_type](**json.loads(json.dumps(config))))
    except Exception:
        known = {}
    return {**merged(known, config), **SMALL}


def values_of(config) -> dict:
    """With the other names of keys. `to_dict` writes an infinite number as a word."""
    names = [*config.to_dict(), *config.attribute_map]
    inner = {key: getattr(config, key) for key in names if hasattr(config, key)}
    return {key: values_of(value) if hasattr(value, "to_dict") else value for key, value in inner.items()}


def merged(known: dict, config: dict) -> dict:
    result = {key: value for key, value in known.items() if key not in ("rope_parameters",)}
    for key, value in config.items():
        inside = isinstance(value, dict) and isinstance(known.get(key), dict) and key.endswith("_config")
        result[key] = {**merged(known[key], value), **SMALL} if inside else value
        if isinstance(value, list):
            result[key] = [math.inf if item == "inf" else item for item in value]
    return result


def value_for(kind, file: dict):
    """A value by the type of a field."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        kinds = typing.get_args(kind)
        return None if type(None) in kinds else value_for(kinds[0], file)
    origin = typing.get_origin(kind) or kind
    if origin is list:
        return [value_for((*typing.get_args(kind), int)[0], file)] * file["num_hidden_layers"]
    if kind is typing.Any:
        return None
    if origin not in BY_TYPE:
        raise NotProbed(f"no value for a field of type {kind}")
    return BY_TYPE[origin]


def with_required(cls, file: dict, added: dict):
    """The arguments of a class. Required fields that the file does not have get a value by their type."""
    kinds = typing.get_type_hints(cls)
    given = {}
    for field in dataclasses.fields(cls):
        if field.name in file:
            given[field.name] = file[field.name]
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            value = value_for(kinds[field.name], file)
            if field.name == "head_dim":
                value = file["hidden_size"] // file["num_attention_heads"]
            given[field.name] = added[field.name] = value
    return cls(**given)


def run(model_type: str, config: dict) -> tuple[dict, dict]:
    """What a file's model rotates, and the fields that the file did not have."""
    model_class, arguments_class = _get_classes({**config, "model_type": model_type})
    added: dict = {}
    BaseModelArgs.from_dict = classmethod(lambda cls, values: with_required(cls, values, added))
    model = model_class(arguments_class.from_dict(whole(model_type, config)))
    names = {id(module): name for name, module in model.named_modules()}
    cache = make_prompt_cache(model)
    model(mx.array([[1]]), cache=cache)
    with recording() as calls:
        model(mx.array([[1]]), cache=cache)
    found = ropes_of(calls, names, len(model.layers))
    return {"status": "rotates" if found["ropes"] else "none", **found}, added


def reads_parameters(model_type: str, config: dict) -> bool:
    """Whether another base in `rope_parameters` changes anything."""
    parameters = config.get("text_config", config).get("rope_parameters")
    if not isinstance(parameters, dict):
        return False
    layered = {key: {**value, "rope_theta": BASE} for key, value in parameters.items() if isinstance(value, dict)}
    try:
        other = run(model_type, variant_of(config, {"set": {"rope_parameters": layered or {**parameters, "rope_theta": BASE}}}))
        return other[0] != run(model_type, config)[0]
    except Exception:
        return False


def variants(config: dict) -> dict[str, dict]:
    """Changes to the file: another base, the spelling of transformers 5 where it is not read, and scalings."""
    file = config.get("text_config", config)
    parameters = file.get("rope_parameters")
    if isinstance(parameters, dict):
        if "rope_theta" not in parameters:
            return {}
        other = {"base": {"set": {"rope_parameters": {**parameters, "rope_theta": BASE}}}}
        return other | {name: {"set": {"rope_parameters": {**parameters, **scaling}}} for name, scaling in SCALINGS.items()}
    if "attn_config" in file:
        return {"base": {"set": {"attn_config": {**file["attn_config"], "rope_theta": BASE}}}}
    key = next((name for name in ("rotary_emb_base", "rope_theta") if name in file), None)
    if key is None:
        return {}
    unset = [name for name in (key, "rope_scaling") if name in file]
    other = {"base": {"set": {key: BASE}}, "rope_parameters": {"set": {"rope_parameters": {"rope_theta": BASE, "rope_type": "default"}}, "unset": unset}}
    return other | {name: {"set": {"rope_scaling": scaling}} for name, scaling in SCALINGS.items()}


def variant_of(config: dict, change: dict) -> dict:
    file = config.get("text_config", config)
    changed = {key: value for key, value in file.items() if key not in change.get("unset", [])} | change["set"]
    return {**config, "text_config": changed} if "text_config" in config else changed


def probe(model_type: str, full: dict) -> dict:
    full = {**full, **OVERRIDES.get(model_type, lambda _: {})(full)}
    file = inspect.getmodule(_get_classes({**full, "model_type": model_type})[0])
    config = full if reads_parameters(model_type, full) else old_spelling(full, fields_of(file))
    found, added = run(model_type, config)
    config |= added
    answer = {"part": "text", "class": f"{file.__name__.removeprefix('mlx_lm.models.')}.Model", **found, "full": config}
    if found["status"] == "none":
        return answer
    changed = {}
    for name, change in variants(config).items():
        try:
            other, _ = run(model_type, variant_of(config, change))
            changed[name] = {**change, **({"same": True} if other == found else other)}
        except Exception as error:
            changed[name] = {**change, "refused": type(error).__name__}
    return {**answer, "variants": changed}


def not_probed(reason: str) -> dict:
    return {"part": "text", "class": "", "status": "notProbed", "reason": reason}


def timeout(*_) -> None:
    raise NotProbed(f"longer than {LONGEST} s")


def assembled(models: dict[str, dict]) -> dict:
    frequencies: dict[str, list[float]] = {}
    measurements = [each for model in models.values() for each in (model, *model.get("variants", {}).values())]
    for measurement in measurements:
        for found in measurement.get("ropes", []):
            values = found["frequencies"]
            name = next((name for name, known in frequencies.items() if known == values), f"f{len(frequencies)}")
            frequencies[name] = values
            found["frequencies"] = name
    source = {"engine": "mlx-lm", "version": version("mlx-lm"), "mlx": mx.__version__, "python": platform.python_version(), "command": "python -m census.mlx_lm"}
    return {"source": source, "frequencies": frequencies, "models": models}


def main() -> None:
    mx.set_default_device(mx.cpu)
    only = sys.argv[sys.argv.index("--only") + 1].split(",") if "--only" in sys.argv else None
    known = json.loads((RESULTS / "transformers.json").read_text(encoding="utf-8"))["models"]
    models: dict[str, dict] = {}
    signal.signal(signal.SIGALRM, timeout)
    for model_type, model in sorted(known.items()):
        if model["status"] not in ("rotates", "none") or model["part"] != "text" or (only and model_type not in only):
            continue
        if importlib.util.find_spec(f"mlx_lm.models.{MODEL_REMAPPING.get(model_type, model_type)}") is None:
            continue
        signal.alarm(LONGEST)
        try:
            # Some print while they are imported.
            with contextlib.redirect_stdout(sys.stderr):
                models[model_type] = probe(model_type, model["full"])
        except SystemExit:
            models[model_type] = not_probed("its file needs a package that is not installed")
        except Exception as error:
            models[model_type] = not_probed(" ".join(f"{type(error).__name__}: {error}".split())[:200])
        finally:
            signal.alarm(0)
        found = models[model_type]
        print(model_type, found["status"], found.get("reason", ""), found.get("layers", ""), file=sys.stderr)
    sys.stdout.write(text(assembled(models)))


main()

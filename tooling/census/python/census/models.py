"""Builds the text model of a configuration class, small."""

import copy
import importlib
import inspect
import re
import signal
from contextlib import contextmanager

import torch
import transformers
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from .overrides import OVERRIDES, SHARED, TEXT
from .tiny import head_size, integer, small_counts, trimmed_lists

LARGEST = 150_000_000


class NoModel(Exception):
    """There is no text model to run; the message is the reason."""


@contextmanager
def limit(seconds: int):
    def stop(_signal, _frame):
        raise TimeoutError(f"more than {seconds} s of processor time")

    previous = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)


def text_path(config: PreTrainedConfig) -> list[str]:
    """The keys from a composite configuration to the configuration of its text decoder."""
    name = TEXT.get(config.model_type)
    if name is not None:
        return name
    target = config.get_text_config(decoder=True)
    if target is config:
        return []

    def search(node, depth):
        for key in getattr(node, "sub_configs", None) or {}:
            value = getattr(node, key, None)
            if value is target:
                return [key]
        for key in getattr(node, "sub_configs", None) or {}:
            value = getattr(node, key, None)
            if isinstance(value, PreTrainedConfig) and depth < 3:
                rest = search(value, depth + 1)
                if rest:
                    return [key, *rest]
        return None

    return search(config, 0) or []


def at(config, path: list[str]):
    for key in path:
        config = getattr(config, key)
    return config


def class_of(config: PreTrainedConfig) -> type[PreTrainedModel]:
    wanted = override_of(config.model_type).get("class")
    for mapping in (modeling_auto.MODEL_MAPPING, modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING, modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING):
        if wanted is None and type(config) in mapping:
            try:
                found = mapping[type(config)]
            except ValueError:  # a name that does not exist
                continue
            return found[0] if isinstance(found, (tuple, list)) else found
    package = type(config).__module__.rsplit(".", 1)[0]
    file = type(config).__module__.rsplit(".", 1)[1].replace("configuration_", "modeling_")
    try:
        module = importlib.import_module(f"{package}.{file}")
    except ModuleNotFoundError:
        raise NoModel("there is no PyTorch model class for it")
    if wanted is not None:
        return getattr(module, wanted)
    fitting = [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, PreTrainedModel) and value.__module__ == module.__name__ and (value.config_class is type(config) or value.__init__.__annotations__.get("config") is type(config))
        and not value.__name__.endswith("PreTrainedModel")
    ]
    if not fitting:
        raise NoModel("no model class takes its configuration")
    fitting.sort(key=lambda value: ("For" in value.__name__, len(value.__name__), value.__name__))
    return fitting[0]


def small(model_type: str, narrow: bool = True) -> PreTrainedConfig:
    """The configuration that a user's file would have, with small counts."""
    config_class = CONFIG_MAPPING[model_type]
    override = override_of(model_type)
    default = config_class(**override.get("first", {}))
    path = text_path(default)
    text = at(default, path)
    values = text.to_dict()
    size = head_size(values)
    attempts = []
    for wide in (False, True) if narrow else (True,):
        counts = small_counts(values, wide)
        attempts.append({**counts, **trimmed_lists(values, counts)})
        attempts.append(counts)
    errors = []
    for attempt in attempts:
        attempt = {**attempt, **override.get("set", {})}
        attempt = {key: value for key, value in attempt.items() if key in values or key in override.get("set", {})}
        try:
            made = type(text)(**{**override.get("first", {}), **attempt}) if not path else type(text)(**attempt)
            if integer(values.get("head_dim")) and "hidden_size" not in override.get("set", {}) and head_size(made.to_dict()) != size:
                raise NoModel("the head size follows the width")
            node = made
            for depth in range(len(path) - 1, -1, -1):
                parent = type(at(default, path[:depth]))
                node = parent(**{path[depth]: node.to_dict()}, **({**override.get("first", {}), **(override["whole"](made) if "whole" in override else {})} if depth == 0 else {}))
            return node
        except Exception as error:  # noqa: BLE001 - classes refuse in their own ways
            errors.append(f"{type(error).__name__}: {error}")
    raise NoModel(f"its configuration refuses small counts: {errors[0]}")


def override_of(model_type: str) -> dict:
    """A composite takes what its text model needs."""
    return OVERRIDES.get(model_type) or next((rules for names, rules in SHARED if model_type in names), {})


def build(config: PreTrainedConfig) -> PreTrainedModel:
    model_class = class_of(config)
    takes = inspect.signature(model_class.forward).parameters
    if not {"input_ids", "inputs_embeds", "hidden_states"} & set(takes):
        raise NoModel("it takes no tokens")
    config = copy.deepcopy(config)
    config._attn_implementation = "eager"
    for key in ("_experts_implementation",):
        if hasattr(config, key):
            setattr(config, key, "eager")
    with torch.device("meta"):
        size = sum(parameter.numel() for parameter in model_class(copy.deepcopy(config)).parameters())
    if size > override_of(config.model_type).get("largest", LARGEST):
        raise NoModel(f"too large to run: {size} parameters")
    torch.manual_seed(0)
    model = model_class(config).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Zero vectors that scale by position are kept: only tables, and what would make a query or key zero.
            if parameter.is_floating_point() and (parameter.ndim > 1 or re.search(r"(temp|query)$", name)) and not re.search("rope|rotary|scaling", name) and not bool(parameter.count_nonzero()):
                parameter.normal_(0, 0.3, generator=generator)
    return model

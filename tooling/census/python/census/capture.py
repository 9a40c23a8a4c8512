"""Records the query and the key that every attention of a model gets, and what its projections gave."""

import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch.overrides import TorchFunctionMode
from transformers.modeling_utils import AttentionInterface

_original_interface = AttentionInterface.get_interface
_listening: "Recording | None" = None


@dataclass
class Attention:
    """One attention call. Tensors are [batch, heads, tokens, head]."""

    module: str
    query: torch.Tensor
    key: torch.Tensor
    scaling: float | None
    outputs: dict[str, torch.Tensor]


@dataclass
class Recording:
    batch: int
    calls: list[Attention] = field(default_factory=list)
    indexers: list[Attention] = field(default_factory=list)
    applied: list[tuple[str, str, torch.Tensor, torch.Tensor]] = field(default_factory=list)
    stack: list[str] = field(default_factory=list)
    outputs: dict[str, torch.Tensor] = field(default_factory=dict)
    quiet: int = 0
    softmaxes: int = 0

    def add(self, module: str, query: torch.Tensor, key: torch.Tensor, scaling: float | None) -> None:
        self.calls.append(Attention(module, query.detach(), key.detach(), scaling, dict(self.outputs)))


def _interface(self, implementation, default):
    chosen = _original_interface(self, implementation, default)
    if _listening is None:
        return chosen

    def recorded(module, query, key, value, *arguments, **options):
        recording = _listening
        scaling = options.get("scaling")
        if recording.quiet == 0:
            recording.add(getattr(module, "_census_name", recording.stack[-1] if recording.stack else ""), query, key, scaling)
        recording.quiet += 1
        try:
            return chosen(module, query, key, value, *arguments, **options)
        finally:
            recording.quiet -= 1

    return recorded


AttentionInterface.get_interface = _interface

PRODUCTS = {torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.bmm, torch.Tensor.bmm, torch.baddbmm, torch.Tensor.baddbmm}
SOFTMAXES = {torch.softmax, torch.nn.functional.softmax, torch.Tensor.softmax}


class Watch(TorchFunctionMode):
    """For attention that does not go through the interface: a product of two tensors whose result reaches a softmax."""

    def __init__(self, recording: Recording):
        super().__init__()
        self.recording = recording
        self.scores: dict[int, tuple] = {}

    def __torch_function__(self, function, types, arguments=(), options=None):
        options = options or {}
        recording = self.recording
        if function is torch.nn.functional.scaled_dot_product_attention:
            recording.softmaxes += 1
            if recording.quiet == 0:
                query = arguments[0] if arguments else options["query"]
                key = arguments[1] if len(arguments) > 1 else options["key"]
                self.record(query, key, options.get("scale"))
            return function(*arguments, **options)
        result = function(*arguments, **options)
        if recording.quiet or not isinstance(result, torch.Tensor):
            return result
        if function in PRODUCTS:
            left, right = [value for value in (*arguments, *options.values()) if isinstance(value, torch.Tensor)][-2:]
            if left.ndim >= 3 and right.ndim >= 3:
                self.indexer(left, right.transpose(-1, -2))
            if left.ndim >= 3 and right.ndim == left.ndim:
                self.scores[id(result)] = (result, left, right.transpose(-1, -2))
        elif function is torch.einsum and len(arguments) == 3:
            sides = re.split(r",|->", arguments[0].replace(" ", ""))
            if len(sides) == 3 and sides[0][-1] == sides[1][-1]:
                self.indexer(arguments[1], arguments[2])
            if len(sides) == 3 and len(sides[0]) == len(sides[1]) == 4 and sides[0][-1] == sides[1][-1]:
                self.scores[id(result)] = (result, arguments[1], arguments[2])
        else:
            inputs = [value for value in (*arguments, *options.values()) if isinstance(value, torch.Tensor) and id(value) in self.scores]
            if function in SOFTMAXES:
                recording.softmaxes += 1
                if inputs:
                    _, query, key = self.scores[id(inputs[0])]
                    self.record(query, key, None)
            elif inputs and result.numel() == inputs[0].numel():
                self.scores[id(result)] = (result, *self.scores[id(inputs[0])][1:])
        return result

    def indexer(self, query, key):
        """A product inside a module that chooses tokens for the attention. With one token per row only the last axis counts."""
        recording = self.recording
        name = next((name for name in reversed(recording.stack) if "indexer" in name.rsplit(".", 1)[-1]), None)
        if name is None or any(value.shape[0] != recording.batch for value in (query, key)):
            return
        shaped = [value.detach().reshape(recording.batch, -1, 1, value.shape[-1]) for value in (query, key)]
        recording.indexers.append(Attention(name, *shaped, None, dict(recording.outputs)))

    def record(self, query, key, scaling):
        shaped = []
        for value in (query, key):
            if value.ndim == 3:
                value = value.reshape(self.recording.batch, -1, *value.shape[1:]) if value.shape[0] % self.recording.batch == 0 else value[None]
            shaped.append(value)
        if shaped[0].ndim == 4 and shaped[1].ndim == 4:
            name = self.recording.stack[-1] if self.recording.stack else ""
            self.recording.add(name, shaped[0], shaped[1], scaling)


def _tensors(values) -> list[torch.Tensor]:
    if isinstance(values, torch.Tensor):
        return [values]
    if isinstance(values, (tuple, list)):
        return [value for value in values if isinstance(value, torch.Tensor)]
    return []


@contextmanager
def apply_functions(recording: Recording, modules: set[str]):
    """Records input and output of the functions of the model's own file that apply a rotary embedding."""
    replaced = []

    def wrap(name, function):
        def wrapped(*arguments, **options):
            before = [value.detach().clone() for value in _tensors(arguments)[:2]]
            result = function(*arguments, **options)
            for source, target in zip(before, _tensors(result)):
                if source.shape == target.shape and source.is_floating_point():
                    recording.applied.append((recording.stack[-1] if recording.stack else "", name, source, target.detach().clone()))
            return result

        return wrapped

    for module in modules:
        space = sys.modules[module]
        for name, value in list(vars(space).items()):
            if re.match(r"_?(\w+_)?apply_\w*(rot|rope)", name) and callable(value) and not isinstance(value, type):
                replaced.append((space, name, value))
                setattr(space, name, wrap(name, value))
    try:
        yield
    finally:
        for space, name, value in replaced:
            setattr(space, name, value)


@contextmanager
def recording(model: torch.nn.Module, batch: int):
    global _listening
    found = Recording(batch)
    handles = []
    modules = set()
    for name, module in model.named_modules():
        module._census_name = name
        modules.add(type(module).__module__)

        def before(_module, _arguments, name=name):
            found.stack.append(name)

        def after(_module, _arguments, output, name=name):
            if found.stack and found.stack[-1] == name:
                found.stack.pop()
            if isinstance(output, torch.Tensor) and output.is_floating_point():
                found.outputs[name] = output.detach()

        handles.append(module.register_forward_pre_hook(before))
        handles.append(module.register_forward_hook(after))
    _listening = found
    try:
        with torch.no_grad(), apply_functions(found, {name for name in modules if name.startswith("transformers.")}), Watch(found):
            yield found
    finally:
        _listening = None
        for handle in handles:
            handle.remove()

"""Importing one folder of a large package: its own files run as they are, and what they import from the rest of the
package (platform checks, logging, kernels for graphics cards) is replaced by small modules. A name that is not replaced
here is an error, so nothing of the arithmetic can be a stand-in unseen."""

import importlib
import logging
import sys
import types
from pathlib import Path

import torch


class Operator(torch.nn.Module):
    """In place of the package's dispatching base class: always the engine's own pure torch path."""

    def __init__(self, *_, **__) -> None:
        super().__init__()

    @classmethod
    def register(cls, _name: str, **_):
        return lambda registered: registered

    @classmethod
    def enabled(cls) -> bool:
        return True

    def forward(self, *arguments, **named):
        return self.forward_native(*arguments, **named)


class Kernels:
    """triton's decorator, and the annotations inside kernels that are never run."""

    constexpr = object()

    @staticmethod
    def jit(function=None, **_):
        return function if function is not None else lambda decorated: decorated


class Platform:
    def __getattr__(self, name: str):
        if name.startswith("is_"):
            return lambda *_, **__: name == "is_cpu"
        raise AttributeError(name)


def logger(_name: str) -> logging.Logger:
    quiet = logging.getLogger("quiet")
    quiet.warning_once = quiet.info_once = lambda *_, **__: None
    return quiet


def install(root: Path, package: str, real: str, replaced: dict[str, dict]) -> types.ModuleType:
    """`real` is the dotted folder that is imported from `root`; `replaced` gives the other modules' names."""
    parts = real.split(".")
    for depth in range(1, len(parts)):
        name = ".".join(parts[:depth])
        module = types.ModuleType(name)
        module.__path__ = [str(root.joinpath(*parts[:depth]))] if depth == len(parts) - 1 else []
        sys.modules[name] = module
    for name, members in replaced.items():
        pieces = name.split(".")
        for depth in range(1, len(pieces)):
            parent = ".".join(pieces[:depth])
            if parent not in sys.modules:
                sys.modules[parent] = types.ModuleType(parent)
                sys.modules[parent].__path__ = []
        module = sys.modules.get(name) or types.ModuleType(name)
        module.__dict__.update(members)
        sys.modules[name] = module
    assert package == parts[0]
    return importlib.import_module(real)


class OnTheProcessor:
    """torch, for a module that puts its tables on the first graphics card."""

    def __init__(self) -> None:
        self.cuda = self.accelerator = types.SimpleNamespace(current_device=lambda: 0, current_device_index=lambda: 0)

    @staticmethod
    def device(_name: str) -> torch.device:
        return torch.device("cpu")

    def __getattr__(self, name: str):
        return getattr(torch, name)

"""ggml's rope operators on its CPU backend: the shared library that is built from llama-cpp-python's source archive, by
ctypes. `GGML_LIBRARIES` names the folder of libggml-base.so and libggml-cpu.so. Nothing here computes a frequency or an
angle."""

import ctypes
import math
import os
import re
from ctypes import c_bool, c_float, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path

import numpy as np

from .paths import FIXTURES
from .sampling import GRID, POSITIONS, ROTATED_POSITIONS, cos_sin_of, heads, sampled_pairs, unit_heads
from .scenarios import SCENARIOS, Scenario
from .writing import exact, pack, write

TYPES = {np.dtype(np.float32): 0, np.dtype(np.float16): 1, np.dtype(np.int32): 26}
NORMAL, NEOX, MROPE, VISION, IMROPE = 0, 2, 8, 24, 40
MODES = {NORMAL: "GGML_ROPE_TYPE_NORMAL", NEOX: "GGML_ROPE_TYPE_NEOX", MROPE: "GGML_ROPE_TYPE_MROPE",
         VISION: "GGML_ROPE_TYPE_VISION", IMROPE: "GGML_ROPE_TYPE_IMROPE"}
FOLDER = Path(os.environ.get("GGML_LIBRARIES", "."))
BUILD = (
    "libraries built from llama_cpp_python-0.3.36.tar.gz with cmake -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=OFF "
    "-DGGML_OPENMP=OFF: AVX2 and FMA on, cosf and sinf of the C library"
)


class InitParams(ctypes.Structure):
    _fields_ = [("mem_size", c_size_t), ("mem_buffer", c_void_p), ("no_alloc", c_bool)]


class Tensor(ctypes.Structure):
    """struct ggml_tensor up to what is read of it."""


Tensor._fields_ = [
    ("type", ctypes.c_int), ("buffer", ctypes.c_void_p), ("ne", ctypes.c_int64 * 4), ("nb", ctypes.c_size_t * 4),
    ("op", ctypes.c_int), ("op_params", ctypes.c_int32 * 16), ("flags", ctypes.c_int32), ("src", ctypes.POINTER(Tensor) * 10),
    ("view_src", ctypes.c_void_p), ("view_offs", ctypes.c_size_t), ("data", ctypes.c_void_p), ("name", ctypes.c_char * 64),
]


class Library:
    def __init__(self) -> None:
        self.base = ctypes.CDLL(str(FOLDER / "libggml-base.so"), mode=ctypes.RTLD_GLOBAL)
        self.cpu = ctypes.CDLL(str(FOLDER / "libggml-cpu.so"), mode=ctypes.RTLD_GLOBAL)
        tail = [c_int, c_float, c_float, c_float, c_float, c_float, c_float]
        self.signature(self.base.ggml_init, c_void_p, [InitParams])
        self.signature(self.base.ggml_free, None, [c_void_p])
        self.signature(self.base.ggml_version, ctypes.c_char_p, [])
        self.signature(self.base.ggml_commit, ctypes.c_char_p, [])
        self.signature(self.base.ggml_new_tensor, c_void_p, [c_void_p, c_int, c_int, ctypes.POINTER(c_int64)])
        self.signature(self.base.ggml_get_data, c_void_p, [c_void_p])
        self.signature(self.base.ggml_new_graph, c_void_p, [c_void_p])
        self.signature(self.base.ggml_build_forward_expand, None, [c_void_p, c_void_p])
        self.signature(self.base.ggml_rope_set_offset, c_void_p, [c_void_p, c_int])
        for name in ("ggml_rope_ext", "ggml_rope_ext_back"):
            self.signature(getattr(self.base, name), c_void_p, [c_void_p] * 4 + [c_int, c_int] + tail)
        for name in ("ggml_rope_multi", "ggml_rope_multi_back"):
            self.signature(
                getattr(self.base, name), c_void_p, [c_void_p] * 4 + [c_int, ctypes.POINTER(c_int), c_int] + tail
            )
        self.signature(self.cpu.ggml_graph_compute_with_ctx, c_int, [c_void_p, c_void_p, c_int])

    @staticmethod
    def signature(function, result, arguments) -> None:
        function.restype, function.argtypes = result, arguments

    def tensor(self, context, array: np.ndarray):
        shape = (c_int64 * array.ndim)(*reversed(array.shape))
        made = self.base.ggml_new_tensor(context, TYPES[array.dtype], array.ndim, shape)
        array = np.ascontiguousarray(array)
        ctypes.memmove(self.base.ggml_get_data(made), array.ctypes.data, array.nbytes)
        return made

    def rope(self, x: np.ndarray, positions: np.ndarray, settings: dict, back: bool = False) -> np.ndarray:
        """x: [tokens, heads, headDim]; positions: [tokens], or [4, tokens] for the multi-axis modes."""
        context = self.base.ggml_init(InitParams(64 << 20, None, False))
        try:
            data = self.tensor(context, x)
            where = self.tensor(context, np.asarray(positions, dtype=np.int32).reshape(-1))
            factors = settings.get("freq_factors")
            factors = None if factors is None else self.tensor(context, np.asarray(factors, dtype=np.float32))
            numbers = [settings[key] for key in (
                "n_ctx_orig", "freq_base", "freq_scale", "ext_factor", "attn_factor", "beta_fast", "beta_slow")]
            suffix = "_back" if back else ""
            if "sections" in settings:
                sections = (c_int * 4)(*settings["sections"])
                call = getattr(self.base, f"ggml_rope_multi{suffix}")
                result = call(context, data, where, factors, settings["n_dims"], sections, settings["mode"], *numbers)
            else:
                call = getattr(self.base, f"ggml_rope_ext{suffix}")
                result = call(context, data, where, factors, settings["n_dims"], settings["mode"], *numbers)
            if settings.get("n_offs"):
                self.base.ggml_rope_set_offset(result, settings["n_offs"])
            graph = self.base.ggml_new_graph(context)
            self.base.ggml_build_forward_expand(graph, result)
            assert self.cpu.ggml_graph_compute_with_ctx(context, graph, 1) == 0
            out = np.empty_like(x)
            ctypes.memmove(out.ctypes.data, self.base.ggml_get_data(result), out.nbytes)
            return out
        finally:
            self.base.ggml_free(context)


def operator(mode: int, n_dims: int, base: float, **more) -> dict:
    return {
        "n_dims": n_dims, "mode": mode, "n_ctx_orig": 0, "freq_base": base, "freq_scale": 1.0, "ext_factor": 0.0,
        "attn_factor": 1.0, "beta_fast": 32.0, "beta_slow": 1.0, **more,
    }


def yarn(scenario: Scenario, attn_factor: float = 1.0, ext_factor: float = 1.0) -> dict:
    scaling = scenario.scaling
    return operator(
        NORMAL if scenario.pairing == "adjacent" else NEOX, scenario.rotary, scenario.base,
        n_ctx_orig=scaling["original_max_position_embeddings"], freq_scale=1 / scaling["factor"], ext_factor=ext_factor,
        attn_factor=attn_factor, beta_fast=float(scaling.get("beta_fast", 32)),
        beta_slow=float(scaling.get("beta_slow", 1)),
    )


def without_amplitude(factor: float) -> float:
    """The operator multiplies by 1 + 0.1 ln(factor) whenever ext_factor is not 0; llama.cpp divides it away first."""
    return 1 / (1 + 0.1 * math.log(factor))


def settings_of(name: str, scenario: Scenario) -> tuple[dict, dict | None, str | None] | None:
    """The operator's arguments, the parameters in our words where they differ from the scenario's, and a note."""
    mode = NORMAL if scenario.pairing == "adjacent" else NEOX
    kind = scenario.scaling["rope_type"]
    if kind == "default":
        return operator(mode, scenario.rotary, scenario.base), None, None
    if kind == "linear":
        return operator(mode, scenario.rotary, scenario.base, freq_scale=1 / scenario.scaling["factor"]), None, None
    if name in ("yarn-4", "yarn-betas"):
        return yarn(scenario), None, None
    if name == "yarn-untruncated":
        return yarn(scenario), scenario.changed({"truncate": True}), "the operator always rounds the range to whole pairs"
    if name == "yarn-extrapolation-half":
        return (
            yarn(scenario, ext_factor=0.5), None,
            "ext_factor blends towards the unscaled angle by half; the amplitude stays 0.1 ln 8 + 1",
        )
    if name == "deepseek-yarn-v3":
        return yarn(scenario, attn_factor=without_amplitude(40.0)), None, "attn_factor cancels the operator's own amplitude"
    if name == "deepseek-yarn-k2":
        return yarn(scenario, attn_factor=without_amplitude(32.0)), None, "attn_factor cancels the operator's own amplitude"
    if kind == "longrope":
        scaling = scenario.scaling
        original = scaling["original_max_position_embeddings"]
        amplitude = math.sqrt(1 + math.log(scenario.max_position / original) / math.log(original))
        return (
            operator(mode, scenario.rotary, scenario.base, attn_factor=amplitude, freq_factors=scaling["long_factor"]),
            None, "freq_factors are the long factors; attn_factor as the converter writes it",
        )
    return None


def signed(settings: dict) -> dict:
    return {**settings, "mode": MODES[settings["mode"]]}


def source(library: Library, name: str) -> dict:
    return {
        "engine": "ggml-org/llama.cpp, ggml's CPU operators",
        "version": f"ggml {library.base.ggml_version().decode()} ({re.sub('-dirty$', '', library.base.ggml_commit().decode())})",
        "package": "llama-cpp-python 0.3.36",
        "build": BUILD,
        "command": f"GGML_LIBRARIES=<folder> python -m goldens ggml --name {name}",
    }


def rotation(library: Library, settings: dict, dtype, positions, at: list[int], head_dim: int) -> dict:
    x = heads(len(at), 2, head_dim).astype(dtype)
    after = library.rope(x, np.asarray(positions)[..., at], settings)
    return {
        "dtype": np.dtype(dtype).name, "tokens": at, "shape": list(x.shape), "input": pack(x), "output": pack(after),
    }


def one_axis(library: Library, name: str, scenario: Scenario) -> dict | None:
    found = settings_of(name, scenario)
    if found is None:
        return None
    settings, equivalent, note = found
    head_dim, rotary, pairing = scenario.head_dim, scenario.rotary, scenario.pairing
    positions = np.array(POSITIONS)
    turned = library.rope(unit_heads(len(positions), head_dim, rotary, pairing), positions, settings)
    cos, sin = cos_sin_of(turned, rotary, pairing)
    first = sampled_pairs(np.arctan2(sin[1], cos[1]), None)  # the angles at position 1 show where the slope of the frequencies changes
    result = {
        "source": source(library, name),
        "name": name,
        "entry": "ggml_rope_ext",
        "settings": signed(settings),
        "request": scenario.request(dialect="llama.cpp"),
    }
    if equivalent is not None:
        result["equivalent"] = equivalent
    if scenario.model:
        result["model"] = scenario.model
    if note:
        result["note"] = note
    result["positions"] = POSITIONS
    result["pairs"] = first
    result["cos"] = [exact(row) for row in cos[:, first]]
    result["sin"] = [exact(row) for row in sin[:, first]]
    if name in ("default", "default-adjacent-partial", "yarn-4"):
        at = [POSITIONS.index(p) for p in ROTATED_POSITIONS]
        result["rotated"] = [
            rotation(library, settings, np.float32, positions, at, head_dim),
            rotation(library, settings, np.float16, positions, at[-2:], head_dim),
        ]
    if name == "yarn-4":
        back = cos_sin_of(
            library.rope(unit_heads(len(positions), head_dim, rotary, pairing), positions, settings, back=True), rotary, pairing
        )
        result["back"] = {
            "entry": "ggml_rope_ext_back",
            "note": "the backward pass: the sine changes sign, the amplitude stays",
            "cos": [exact(row) for row in back[0][:, first]],
            "sin": [exact(row) for row in back[1][:, first]],
        }
    return result


# name: (mode, sections, head, rotary, base, more settings, request's parameters, note)
MULTI = {
    "mrope-qwen2-vl": (
        MROPE, [16, 24, 24, 0], 128, 128, 1000000.0, {},
        {"ropeType": "mrope", "sections": [16, 24, 24], "assignment": "sectioned"}, None,
    ),
    "mrope-qwen2-vl-yarn-4": (
        MROPE, [16, 24, 24, 0], 128, 128, 1000000.0, {"n_ctx_orig": 32768, "freq_scale": 0.25, "ext_factor": 1.0},
        {"ropeType": "mrope", "sections": [16, 24, 24], "assignment": "sectioned",
         "frequencies": {"ropeType": "yarn", "factor": 4.0, "originalMaxPosition": 32768}}, None,
    ),
    "mrope-four-axes": (
        MROPE, [16, 16, 16, 16], 128, 128, 10000.0, {},
        {"ropeType": "mrope", "sections": [16, 16, 16, 16], "assignment": "sectioned"}, None,
    ),
    "imrope-qwen3-vl": (
        IMROPE, [24, 20, 20, 0], 128, 128, 5000000.0, {},
        {"ropeType": "mrope", "sections": [24, 20, 20], "assignment": "cyclic"},
        "pairs 61 and 62 follow the fourth axis here and the first in Hugging Face",
    ),
    "imrope-qwen3.5": (
        IMROPE, [11, 11, 10, 0], 256, 64, 10000000.0, {},
        {"ropeType": "mrope", "sections": [11, 11, 10], "assignment": "cyclic"}, None,
    ),
    "vision-qwen2-vl": (
        VISION, [20, 20, 20, 20], 80, 80, 10000.0, {"n_dims": 40},
        {"ropeType": "nd", "sections": [20, 20]},
        "pairs (i, i + 40); each section starts its own ladder with denominator 40; the third and fourth section are not "
        "reached because the head has 40 pairs",
    ),
}


def multi(library: Library, name: str) -> dict:
    mode, sections, head_dim, rotary, base, more, parameters, note = MULTI[name]
    settings = operator(mode, rotary, base, sections=sections)
    settings.update(more)
    grid = np.array(GRID)
    tokens = grid.shape[1]
    unit = unit_heads(tokens, head_dim, rotary, "half")
    cos, sin = cos_sin_of(library.rope(unit, grid, settings), rotary, "half")
    # Which axis a pair follows: the only one whose position changes its angle.
    axis_of_pair = np.full(rotary // 2, -1)
    for axis in range(4):
        alone = np.zeros((4, tokens), dtype=np.int64)
        alone[axis] = 1
        turned = cos_sin_of(library.rope(unit, alone, settings), rotary, "half")[1]
        moved = turned[0] != 0
        assert (axis_of_pair[moved] == -1).all()
        axis_of_pair[moved] = axis
    assert (axis_of_pair >= 0).all()
    return {
        "source": source(library, name),
        "name": name,
        "entry": "ggml_rope_multi",
        "settings": signed(settings),
        "request": {
            "headDim": head_dim, "rotaryDim": rotary, "base": base, "pairing": "half", "dialect": "llama.cpp",
            "parameters": parameters,
        },
        **({"note": note} if note else {}),
        "axisOfPair": axis_of_pair.tolist(),
        "positions": grid.tolist(),
        "pairs": list(range(rotary // 2)),
        "cos": [exact(row) for row in cos],
        "sin": [exact(row) for row in sin],
        "rotated": [rotation(library, settings, np.float32, grid, [2, 3], head_dim)],
    }


def tail(library: Library, name: str) -> dict:
    """The last 64 elements of a head, as DeepSeek-V4 turns them."""
    head_dim, rotary, base = 128, 64, 10000.0
    settings = operator(NORMAL, rotary, base, n_offs=head_dim - rotary)
    positions = np.array(POSITIONS)
    turned = library.rope(unit_heads(len(positions), head_dim, rotary, "adjacent", head_dim - rotary), positions, settings)
    cos, sin = cos_sin_of(turned, rotary, "adjacent", head_dim - rotary)
    pairs = sampled_pairs(np.ones(rotary // 2), None)
    return {
        "source": source(library, name),
        "name": name,
        "entry": "ggml_rope_ext, ggml_rope_set_offset",
        "settings": signed(settings),
        "request": {
            "headDim": head_dim, "rotaryDim": rotary, "rotaryOffset": head_dim - rotary, "base": base,
            "pairing": "adjacent", "dialect": "llama.cpp", "parameters": {"ropeType": "default"},
        },
        "positions": POSITIONS,
        "pairs": pairs,
        "cos": [exact(row) for row in cos[:, pairs]],
        "sin": [exact(row) for row in sin[:, pairs]],
        "rotated": [rotation(library, settings, np.float32, positions, [3, 10], head_dim)],
    }


def run(names: list[str] | None) -> None:
    library = Library()
    makers = {name: lambda name=name, s=scenario: one_axis(library, name, s) for name, scenario in SCENARIOS.items()}
    makers.update({name: lambda name=name: multi(library, name) for name in MULTI})
    makers["default-tail"] = lambda: tail(library, "default-tail")
    for name, make in makers.items():
        if names and name not in names:
            continue
        made = make()
        if made is None:
            print(f"{name}: the operator has no such scaling of its own")
            continue
        print(f"{name}: {write(FIXTURES / 'ggml' / f'{name}.json', made)} bytes")

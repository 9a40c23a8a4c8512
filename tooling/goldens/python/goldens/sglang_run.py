"""SGLang's rotary embedding modules on the CPU. `SGLANG_PACKAGE` names the folder that the wheel was unpacked in."""

import os
import types
from importlib.metadata import Distribution
from pathlib import Path

import torch

from . import serving, stand_ins
from .scenarios import SCENARIOS, Scenario, plain, scaled
from .serving import Case

ROOT = Path(os.environ.get("SGLANG_PACKAGE", "."))
NAME = "sglang.srt.layers.rotary_embedding"


def no(*_, **__) -> bool:
    return False


def not_run(*_, **__):
    raise AssertionError("a kernel for graphics cards was called")


class Settings:
    """Every environment switch at its default for a processor without a graphics card."""

    def __getattr__(self, name: str):
        values = {"SGLANG_ROPE_CACHE_FP32": False, "SGLANG_ROPE_CACHE_ALIGN": 128}
        return types.SimpleNamespace(get=lambda: values[name])


rotary = stand_ins.install(ROOT, "sglang", NAME, {
    "sglang.kernels.fused_op": {"BaseFusedOp": stand_ins.Operator},
    "sglang.kernels.ops.attention.mrope": {"apply_interleaved_rope_triton": not_run},
    "sglang.kernels.ops.attention.rotary_triton": {
        name: not_run for name in (
            "triton_ernie45_rope_fused_inplace", "triton_mrope_fused", "triton_ernie45_rope_qk_fused", "apply_rotary_embedding",
        )
    },
    "sglang.srt.environ": {"envs": Settings()},
    "sglang.srt.platforms": {"current_platform": types.SimpleNamespace(is_out_of_tree=no)},
    "sglang.srt.runtime_context": {
        "attention_backends": not_run, "get_exec": not_run, "publish_role": lambda: None,
    },
    "sglang.srt.utils": {
        **{name: no for name in (
            "cpu_has_amx_support", "get_bool_env_var", "is_cuda", "is_hip", "is_mps", "is_musa", "is_npu", "is_xpu",
            "support_triton",
        )},
        "is_cpu": lambda: True, "get_device": lambda *_: "cpu", "get_compiler_backend": lambda *_: "eager",
    },
})
rotary.rope_variant.torch = stand_ins.OnTheProcessor()


def version() -> str:
    (folder,) = ROOT.glob("sglang-*.dist-info")
    return Distribution.at(folder).version


def source(name: str) -> dict:
    return {
        "engine": "sgl-project/sglang",
        "version": version(),
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "path": "forward_native: the pure torch path; imports from outside the folder are stand-ins (stand_ins.py)",
        "command": f"SGLANG_PACKAGE=<folder> python -m goldens sglang --name {name}",
    }


def get_rope(settings: dict, dtype: torch.dtype):
    rotary.factory._ROPE_DICT.clear()
    return rotary.get_rope(**settings, dtype=dtype)


def settings_of(scenario: Scenario, **more) -> dict:
    scaling = {**scenario.scaling, **more}
    settings = {
        "head_size": scenario.head_dim,
        "rotary_dim": scenario.rotary,
        "max_position": scenario.max_position,
        "base": scenario.base,
        "is_neox_style": scenario.pairing == "half",
        "rope_scaling": scaling,
    }
    if "partial_rotary_factor" in scaling:
        settings["partial_rotary_factor"] = scaling["partial_rotary_factor"]
    return settings


NOTES = {
    "yarn-attn-factor": "attn_factor is read: the product is 1",
    "yarn-attention-factor": "attention_factor is not read",
    "proportional-factor": "factor is not read",
    "dynamic-2": "fixed for the run: the formula's length is max_position times factor",
}
EQUIVALENT = {
    "yarn-attn-factor": {"attnFactor": None, "attentionFactor": 1.0},
    "yarn-attention-factor": {"attentionFactor": None},
    "proportional-factor": {"factor": None},
}
LENGTHS = {"dynamic-2": 65536}
ABSENT = {"telechat3-yarn", "ntk", "ntk-mixed"}
ROTATED = {"yarn-4", "longrope-phi-4-mini"}
LONG = [0, 1, 127, 257, 2049, 4095, 4096, 15962, 32767, 32768, 131071]


def of_scenario(name: str, scenario: Scenario) -> Case:
    settings = settings_of(scenario)
    equivalent = scenario.changed(EQUIVALENT[name]) if name in EQUIVALENT else None
    long = scenario.scaling["rope_type"] == "longrope"
    return Case(
        scenario, settings, lambda dtype: get_rope(settings, dtype), NOTES.get(name), equivalent,
        length=131072 if long else LENGTHS.get(name), positions=LONG if long else None, rotated=name in ROTATED,
    )


def mrope(head_dim, base, sections, pairing="half", rotary_dim=None, assignment="sectioned", **more) -> Case:
    scenario = scaled(head_dim, base, 65536, {"rope_type": "default", "mrope_section": sections, **more},
                      pairing=pairing, rotary_dim=rotary_dim)
    settings = settings_of(scenario)
    parameters = {"ropeType": "mrope", "sections": sections, "assignment": assignment}
    return Case(scenario, settings, lambda dtype: get_rope(settings, dtype), axes=3, parameters=parameters)


def cases() -> dict:
    made = {name: of_scenario(name, scenario) for name, scenario in SCENARIOS.items() if name not in ABSENT}
    scenario = SCENARIOS["longrope-phi-3-mini"]
    settings = settings_of(scenario)
    made["longrope-phi-3-mini-short"] = Case(
        scenario, settings, lambda dtype, s=settings: get_rope(s, dtype),
        "no position of the call lies beyond original_max_position_embeddings: the short factors",
        length=4096, positions=[0, 1, 127, 257, 2049, 4095],
    )
    made["longrope-phi-3-mini-boundary"] = Case(
        scenario, settings, lambda dtype, s=settings: get_rope(s, dtype),
        "position 4096 is the largest of the call and counts as short, whose table ends at 4095: the row after it is the "
        "long table's first, so this token is not turned at all",
        length=4097, positions=[0, 1, 4095, 4096],
    )
    zero = scaled(128, 1000000.0, 131072, {
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768, "mscale": 1.0, "mscale_all_dim": 0,
    })
    settings = settings_of(zero)
    made["yarn-mscale-all-dim-zero"] = Case(
        zero, settings, lambda dtype, s=settings: get_rope(s, dtype), "mscale_all_dim 0 counts as given: M(4, 1) / M(4, 0)",
        equivalent=zero.changed({"mscale": None, "mscaleAllDim": None}),
    )
    made["mrope-qwen2-vl"] = mrope(128, 1000000.0, [16, 24, 24])
    made["mrope-qwen3-vl"] = mrope(128, 5000000.0, [24, 20, 20], assignment="cyclic", mrope_interleaved=True)
    made["mrope-glm-round-robin"] = mrope(
        128, 500000.0, [8, 12, 12], pairing="adjacent", rotary_dim=64, mrope_interleaved_glm=True,
    )
    made["mrope-glm-round-robin"].note = (
        "forward_native cuts by sections all the same; the map that the graphics kernels are given takes the axes in turn "
        "and passes over an axis whose share is used up"
    )
    made["mrope-glm-round-robin"].more = {
        "kernelAxisOfPair": made["mrope-glm-round-robin"].make(torch.float32).axis_map.flatten().tolist(),
    }
    made["mrope-rescaled-sections"] = mrope(128, 1000000.0, [8, 12, 12])
    made["mrope-rescaled-sections"].note = "the sections sum to 32 of 64 pairs: the class doubles them and only prints a line"
    made["mrope-rescaled-sections"].equivalent = {"ropeType": "mrope", "sections": [16, 24, 24], "assignment": "sectioned"}
    scaling = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768, "mrope_section": [24, 20, 20],
               "mrope_interleaved": True}
    scenario = scaled(128, 5000000.0, 131072, scaling)
    settings = settings_of(scenario)
    made["mrope-yarn-qwen3-vl"] = Case(
        scenario, settings, lambda dtype, s=settings: get_rope(s, dtype), axes=3,
        parameters={"ropeType": "mrope", "sections": [24, 20, 20], "assignment": "cyclic",
                    "frequencies": {"ropeType": "yarn", "factor": 4.0, "originalMaxPosition": 32768}},
    )
    ernie = plain(128, 500000.0, 65536, pairing="adjacent")
    settings = {"head_size": 128, "rotary_dim": 128, "max_position_embeddings": 65536, "base": 500000.0,
                "is_neox_style": False, "mrope_section": [22, 22, 20]}
    made["ernie45-vl"] = Case(
        ernie, settings, lambda dtype, s=settings: rotary.mrope.Ernie4_5_VLRotaryEmbedding(**s, dtype=dtype), axes=3,
        turn=lambda rope, x, p: rope.forward_native(p, x.flatten(1).clone(), x.flatten(1).clone())[0].reshape(x.shape),
        parameters={"ropeType": "ernie45_vl", "sections": [22, 22, 20]},
        note="the class itself, not get_rope; sections are height, width, time",
    )
    return made


def refused() -> dict:
    def attempt(scaling, **more):
        settings = {"head_size": 128, "rotary_dim": 128, "max_position": 4096, "base": 10000.0, "is_neox_style": True,
                    "rope_scaling": scaling, **more}
        return lambda: get_rope(settings, torch.float32)

    return {
        **{name: attempt(settings_of(SCENARIOS[name])["rope_scaling"]) for name in sorted(ABSENT)},
        "su": attempt({"rope_type": "su", "factor": 2.0}),
        "xdrope": attempt({"rope_type": "xdrope", "alpha": 1000.0, "xdrope_section": [16, 16, 16, 16]}),
        "neither rope_type nor type": attempt({"factor": 2.0}),
        "linear with an integer factor": attempt({"rope_type": "linear", "factor": 8}),
        "yarn with factor null": attempt({"rope_type": "yarn", "factor": None, "original_max_position_embeddings": 4096}),
        "mrope and yarn with mscale": lambda: get_rope({
            "head_size": 128, "rotary_dim": 128, "max_position": 4096, "base": 10000.0, "is_neox_style": True,
            "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096,
                             "mrope_section": [16, 24, 24], "mscale": 1.0, "mscale_all_dim": 1.0},
        }, torch.float32),
    }


def run(names: list[str] | None) -> None:
    serving.run("sglang", cases(), refused(), source, f"{NAME}.get_rope", names)

"""The ropes that several engines are asked for, once in Hugging Face's words and once in ropewalk's.

`scaling` is what a config.json says (with the base and the share of the head taken out); each engine gets it as its own
model files would pass it on. Values are those of the named models.
"""

import json
from dataclasses import dataclass, field

from .paths import MODELS, file_of


@dataclass
class Scenario:
    head_dim: int
    base: float
    max_position: int
    scaling: dict
    parameters: dict
    rotary_dim: int | None = None
    pairing: str = "half"
    model: str | None = None
    # Lengths at which an engine whose frequencies depend on the length is asked.
    lengths: list = field(default_factory=list)

    @property
    def rotary(self) -> int:
        return self.rotary_dim or self.head_dim

    def request(self, **overrides) -> dict:
        request = {
            "headDim": self.head_dim,
            "rotaryDim": self.rotary,
            "base": self.base,
            "maxPosition": self.max_position,
            "pairing": self.pairing,
            "parameters": self.parameters,
        }
        return {**request, **overrides}

    def changed(self, changes: dict) -> dict:
        """The parameters with some of them replaced; None takes one out."""
        merged = {**self.parameters, **changes}
        return {key: value for key, value in merged.items() if value is not None}


def plain(head_dim: int, base: float, max_position: int, **rest) -> Scenario:
    return Scenario(head_dim, base, max_position, {"rope_type": "default"}, {"ropeType": "default"}, **rest)


WORDS = {
    "rope_type": "ropeType",
    "original_max_position_embeddings": "originalMaxPosition",
    "max_trained_positions": "maxTrainedPosition",
    "mrope_section": "sections",
}


def camel(key: str) -> str:
    if key in WORDS:
        return WORDS[key]
    head, *tail = key.split("_")
    return head + "".join(part.capitalize() for part in tail)


def scaled(head_dim: int, base: float, max_position: int, scaling: dict, **rest) -> Scenario:
    return Scenario(head_dim, base, max_position, scaling, {camel(k): v for k, v in scaling.items()}, **rest)


def rope_scaling(model_id: str) -> dict:
    config = json.loads((MODELS / file_of(model_id)).read_text(encoding="utf-8"))
    return config["rope_scaling"]


def longrope(model_id: str, head_dim: int, base: float, **rest) -> Scenario:
    scaling = dict(rope_scaling(model_id))
    scaling["rope_type"] = "longrope"
    scaling.pop("type", None)
    scaling["original_max_position_embeddings"] = 4096
    return scaled(head_dim, base, 131072, scaling, model=model_id, **rest)


def yarn(head_dim: int, base: float, max_position: int, factor: float, original: int, /, ropeType="yarn", model=None, **more) -> Scenario:
    scaling = {"rope_type": ropeType, "factor": factor, "original_max_position_embeddings": original, **more}
    pairing = "adjacent" if head_dim == 64 and ropeType == "deepseek_yarn" else "half"
    return scaled(head_dim, base, max_position, scaling, pairing=pairing, model=model)


def llama3(head_dim: int, factor: float, model: str) -> Scenario:
    scaling = {
        "rope_type": "llama3", "factor": factor, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    return scaled(head_dim, 500000.0, 131072, scaling, model=model)


SCENARIOS = {
    "default": plain(128, 500000.0, 131072),
    "default-partial": plain(80, 10000.0, 131072, rotary_dim=32),
    "default-adjacent": plain(128, 8000000.0, 131072, pairing="adjacent"),
    "default-adjacent-partial": plain(256, 10000.0, 131072, rotary_dim=64, pairing="adjacent"),
    "linear-4": scaled(128, 10000.0, 4096, {"rope_type": "linear", "factor": 4.0}, model="lmsys/vicuna-7b-v1.5-16k"),
    "linear-8": scaled(128, 1000000.0, 131072, {"rope_type": "linear", "factor": 8.0}, model="google/gemma-3-27b"),
    "dynamic-2": scaled(
        128, 1000000.0, 32768, {"rope_type": "dynamic", "factor": 2.0}, model="internlm/internlm2-chat-7b",
        lengths=[32768, 32769, 65536, 131072],
    ),
    "dynamic-alpha": scaled(
        128, 10000.0, 32768, {"rope_type": "dynamic", "alpha": 1000.0}, model="tencent/Hunyuan-A13B-Instruct",
    ),
    "ntk": scaled(128, 10000.0, 4096, {"rope_type": "ntk", "factor": 8.0}),
    "ntk-mixed": scaled(128, 10000.0, 4096, {"rope_type": "ntk", "factor": 8.0, "mixed_b": 0.625}),
    "llama3-8": llama3(128, 8.0, "meta-llama/Llama-3.1-8B"),
    "llama3-32": llama3(64, 32.0, "meta-llama/Llama-3.2-1B"),
    "yarn-4": yarn(128, 1000000.0, 131072, 4.0, 32768, model="Qwen/Qwen3-8B"),
    "yarn-attn-factor": yarn(
        128, 1000000.0, 131072, 4.0, 32768, attn_factor=0.8782488562869419, model="deepseek-ai/DeepSeek-R1-0528-Qwen3-8B",
    ),
    "yarn-attention-factor": yarn(128, 1000000.0, 131072, 4.0, 32768, attention_factor=1.25),
    "yarn-untruncated": yarn(
        64, 150000.0, 131072, 32.0, 4096, beta_fast=32.0, beta_slow=1.0, truncate=False, model="openai/gpt-oss-20b",
    ),
    "yarn-mscale-both": yarn(
        128, 1000000.0, 262144, 16.0, 16384, beta_fast=32.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0,
        model="mistralai/Ministral-3-8B",
    ),
    "yarn-betas": yarn(128, 10000.0, 32768, 8.0, 4096, beta_fast=16.0, beta_slow=2.0),
    "yarn-extrapolation-half": yarn(128, 10000.0, 32768, 8.0, 4096, extrapolation_factor=0.5),
    "deepseek-yarn-v2-lite": yarn(
        64, 10000.0, 163840, 40.0, 4096, ropeType="deepseek_yarn", beta_fast=32, beta_slow=1, mscale=0.707,
        mscale_all_dim=0.707, model="deepseek-ai/DeepSeek-V2-Lite",
    ),
    "deepseek-yarn-v3": yarn(
        64, 10000.0, 163840, 40.0, 4096, ropeType="deepseek_yarn", beta_fast=32, beta_slow=1, mscale=1.0,
        mscale_all_dim=1.0, model="deepseek-ai/DeepSeek-V3",
    ),
    "deepseek-yarn-k2": yarn(
        64, 50000.0, 131072, 32.0, 4096, ropeType="deepseek_yarn", beta_fast=1.0, beta_slow=1.0, mscale=1.0,
        mscale_all_dim=1.0, model="moonshotai/Kimi-K2-Instruct",
    ),
    "deepseek-yarn-two-mscales": yarn(
        64, 10000.0, 163840, 40.0, 4096, ropeType="deepseek_yarn", mscale=0.8, mscale_all_dim=0.4,
    ),
    "deepseek-yarn-one-mscale": yarn(
        64, 10000.0, 163840, 40.0, 4096, ropeType="deepseek_yarn", mscale=0.8, mscale_all_dim=0,
    ),
    "telechat3-yarn": yarn(
        128, 1000000.0, 131072, 4.0, 32768, ropeType="telechat3-yarn",
    ),
    "longrope-phi-4-mini": longrope("microsoft/Phi-4-mini-instruct", 128, 10000.0, rotary_dim=96),
    "longrope-phi-3-mini": longrope("microsoft/Phi-3-mini-128k-instruct", 96, 10000.0),
    "proportional": scaled(
        512, 1000000.0, 131072, {"rope_type": "proportional", "partial_rotary_factor": 0.25}, model="google/gemma-4-31B",
    ),
    "proportional-factor": scaled(
        128, 1000000.0, 131072, {"rope_type": "proportional", "partial_rotary_factor": 0.5, "factor": 2.0},
    ),
}

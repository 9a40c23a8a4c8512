"""mlx-lm's rope modules on MLX's CPU backend. Nothing here computes a frequency or an angle."""

import platform
from importlib.metadata import version

import mlx.core as mx
import numpy as np
from mlx_lm.models.rope_utils import apply_yarn_mscale, initialize_rope

from .paths import FIXTURES
from .sampling import POSITIONS, ROTATED_POSITIONS, cos_sin_of, heads, sampled_pairs, unit_heads
from .scenarios import SCENARIOS, Scenario
from .writing import exact, pack, write

SKIPPED = {
    "dynamic-alpha": "DynamicNTKScalingRoPE needs factor",
    "ntk": "not a type of initialize_rope",
    "ntk-mixed": "not a type of initialize_rope",
}
NOTES = {
    "yarn-attn-factor": "attn_factor is not read: the amplitude is 0.1 ln 4 + 1",
    "yarn-attention-factor": "attention_factor is not read",
    "yarn-untruncated": "truncate is not read: the range is rounded to whole pairs",
    "yarn-extrapolation-half": "extrapolation_factor is not read",
    "telechat3-yarn": "the same class as yarn",
    "longrope-phi-4-mini": "the long factors at every length",
    "longrope-phi-3-mini": "the long factors at every length",
}
# Where it reads the scaling otherwise than asked: parameters that say what it does.
EQUIVALENT = {
    "yarn-attn-factor": {"attnFactor": None},
    "yarn-attention-factor": {"attentionFactor": None},
    "yarn-untruncated": {"truncate": True},
    "yarn-extrapolation-half": {"extrapolationFactor": None},
    "telechat3-yarn": {"ropeType": "yarn"},
}
DTYPES = {"float32": mx.float32, "float16": mx.float16, "bfloat16": mx.bfloat16}


def turn(rope, x: mx.array, positions) -> mx.array:
    """x: [tokens, heads, headDim]; each token alone, at its own offset, as [1, heads, 1, headDim]."""
    rows = [rope(x[t][None, :, None, :], offset=int(p))[0, :, 0, :] for t, p in enumerate(positions)]
    return mx.stack(rows)


def bits(x: mx.array) -> str:
    if x.dtype == mx.bfloat16:
        x = x.view(mx.uint16)
    return pack(np.array(x))


def fixture(name: str, scenario: Scenario, length: int | None) -> dict:
    rope = initialize_rope(
        scenario.rotary, scenario.base, scenario.pairing == "adjacent", dict(scenario.scaling), scenario.max_position
    )
    positions = POSITIONS if length is None else [length - 1]
    head_dim, rotary, pairing = scenario.head_dim, scenario.rotary, scenario.pairing
    turned = np.array(turn(rope, mx.array(unit_heads(len(positions), head_dim, rotary, pairing)), positions))
    cos, sin = cos_sin_of(turned, rotary, pairing)
    reciprocals = getattr(rope, "_freqs", None)
    if reciprocals is None:
        pairs = sampled_pairs(np.ones(rotary // 2), None)
    else:
        reciprocals = np.array(reciprocals)
        pairs = sampled_pairs(1 / reciprocals, None)
    file = name if length is None else f"{name}-{length}"
    result = {
        "source": {
            "engine": "mlx-lm",
            "version": version("mlx-lm"),
            "mlx": mx.__version__,
            "device": "cpu",
            "machine": platform.machine(),
            "command": f"python -m goldens mlx --name {file}",
        },
        "name": file,
        "entry": f"mlx_lm.models.rope_utils.initialize_rope -> {type(rope).__module__}.{type(rope).__name__}",
        "settings": {
            "dims": scenario.rotary,
            "base": scenario.base,
            "traditional": scenario.pairing == "adjacent",
            "max_position_embeddings": scenario.max_position,
            "scaling_config": scenario.scaling,
        },
        "request": scenario.request(dialect="mlx"),
    }
    if name in EQUIVALENT:
        result["equivalent"] = scenario.changed(EQUIVALENT[name])
    if scenario.model:
        result["model"] = scenario.model
    if name in NOTES:
        result["note"] = NOTES[name]
    if length is not None:
        result["length"] = length
    amplitude = getattr(rope, "mscale", getattr(rope, "_scale", None))
    if amplitude is not None:
        result["attentionFactor"] = float(amplitude)
    result["softmaxScaleFactor"] = apply_yarn_mscale(1.0, scenario.scaling)
    if reciprocals is not None:
        # What the engine holds is 1 / invFreq; infinite for a pair that never turns.
        result["invFreqReciprocals"] = [None if np.isinf(v) else v for v in exact(reciprocals)]
    result["positions"] = positions
    result["pairs"] = pairs
    result["cos"] = [exact(row) for row in cos[:, pairs]]
    result["sin"] = [exact(row) for row in sin[:, pairs]]
    tokens = [positions.index(p) for p in ROTATED_POSITIONS if p in positions] if length is None else [0]
    if name in ("default", "default-adjacent-partial", "yarn-4", "longrope-phi-4-mini", "linear-8"):
        x = heads(len(tokens), 2, head_dim)
        result["rotated"] = []
        for dtype, kind in DTYPES.items():
            at = tokens if dtype == "float32" else tokens[-2:]
            before = mx.array(x[: len(at)]).astype(kind)
            after = turn(rope, before, [positions[t] for t in at])
            assert after.dtype == kind
            result["rotated"].append({
                "dtype": dtype, "tokens": at, "shape": list(after.shape), "input": bits(before), "output": bits(after),
            })
    return result


def run(names: list[str] | None) -> None:
    mx.set_default_device(mx.cpu)
    for name, scenario in SCENARIOS.items():
        if name in SKIPPED:
            print(f"{name}: skipped, {SKIPPED[name]}")
            continue
        for length in scenario.lengths or [None]:
            file = name if length is None else f"{name}-{length}"
            if names and file not in names:
                continue
            print(f"{file}: {write(FIXTURES / 'mlx' / f'{file}.json', fixture(name, scenario, length))} bytes")

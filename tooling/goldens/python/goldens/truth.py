"""Arbitrary-precision evaluation. The formulas were typed from the papers and from the published behaviour of the
engines (the survey's sections 3.1 to 3.10); no line of ropewalk was read for them. Parameters that a request states as
numbers are taken as the doubles that JSON gives."""

import math
import platform

import mpmath
import numpy as np
from mpmath import mp, mpf

from .paths import FIXTURES, MODELS
from .writing import pack, write

mp.dps = 60
POSITIONS = [0, 1, 127, 257, 2049, 4095, 4096, 15962, 32767, 32768, 131071, 1048575, 16777215, 16777216]


def plain_frequencies(base, dim: int) -> list:
    """1 / base^(2i/dim)."""
    return [mpf(1) / mpf(base) ** (mpf(2 * i) / dim) for i in range(dim // 2)]


def magnitude(factor, multiplier=1):
    """YaRN's 0.1 k ln(s) + 1; 1 where nothing is stretched."""
    factor = mpf(factor)
    return mpf(1) if factor <= 1 else mpf(1) / 10 * mpf(multiplier) * mpmath.log(factor) + 1


def yarn_frequencies(base, dim, factor, original, beta_fast, beta_slow, truncate):
    def dimension_of(rotations):
        return dim * mpmath.log(mpf(original) / (mpf(rotations) * 2 * mp.pi)) / (2 * mpmath.log(mpf(base)))

    low, high = dimension_of(beta_fast), dimension_of(beta_slow)
    if truncate:
        assert all(abs(x - mpmath.nint(x)) > mpf("1e-9") for x in (low, high)), "a bound too near an integer"
        low, high = mpmath.floor(low), mpmath.ceil(high)
    low, high = max(low, mpf(0)), min(high, mpf(dim - 1))
    if low == high:
        high += mpf("0.001")
    result = []
    for i, frequency in enumerate(plain_frequencies(base, dim)):
        ramp = min(max((i - low) / (high - low), mpf(0)), mpf(1))
        result.append(frequency / mpf(factor) * ramp + frequency * (1 - ramp))
    return result


def evaluate(request: dict):
    """→ (invFreq, attention factor, softmax scale factor)"""
    base, dim = request["base"], request["rotaryDim"]
    p = request["parameters"]
    kind = p["ropeType"]
    one = mpf(1)
    if kind == "default":
        return plain_frequencies(base, dim), one, one
    if kind == "linear":
        return [f / mpf(p["factor"]) for f in plain_frequencies(base, dim)], one, one
    if kind == "ntk":
        factor = mpf(p["factor"])
        if "mixedB" in p:
            b = mpf(p["mixedB"])
            a = mpmath.log(factor) / (mpf(dim) / 2) ** b
            return [f * mpmath.exp(-a * mpf(i + 1) ** b) for i, f in enumerate(plain_frequencies(base, dim))], one, one
        return [f / factor ** (mpf(2) / dim) for f in plain_frequencies(mpf(base) * factor, dim)], one, one
    if kind == "dynamic":
        trained, factor = mpf(request["maxPosition"]), mpf(p["factor"])
        length = max(mpf(request["length"]), trained)
        stretched = mpf(base) * (factor * length / trained - (factor - 1)) ** (mpf(dim) / (dim - 2))
        return plain_frequencies(stretched, dim), one, one
    if kind == "dynamic_alpha":
        return plain_frequencies(mpf(base) * mpf(p["alpha"]) ** (mpf(dim) / (dim - 2)), dim), one, one
    if kind == "llama3":
        factor, original = mpf(p["factor"]), mpf(p["originalMaxPosition"])
        low, high = mpf(p["lowFreqFactor"]), mpf(p["highFreqFactor"])
        result = []
        for f in plain_frequencies(base, dim):
            wavelength = 2 * mp.pi / f
            if wavelength > original / low:
                result.append(f / factor)
            elif wavelength < original / high:
                result.append(f)
            else:
                t = (original / wavelength - low) / (high - low)
                result.append((1 - t) * f / factor + t * f)
        return result, one, one
    if kind == "longrope":
        original, maximum = mpf(p["originalMaxPosition"]), mpf(request["maxPosition"])
        factors = p["longFactor"] if request["length"] > p["originalMaxPosition"] else p["shortFactor"]
        ratio = maximum / original
        attention = mpmath.sqrt(1 + mpmath.log(ratio) / mpmath.log(original)) if ratio > 1 else one
        return [f / mpf(e) for f, e in zip(plain_frequencies(base, dim), factors, strict=True)], attention, one
    if kind == "proportional":
        head, factor = request["headDim"], mpf(p.get("factor", 1))
        rotated = int(mpmath.floor(mpf(p["partialRotaryFactor"]) * head / 2))
        full = plain_frequencies(base, head)
        return [f / factor if i < rotated else mpf(0) for i, f in enumerate(full)], one, one
    if kind in ("yarn", "deepseek_yarn"):
        factor = p["factor"]
        frequencies = yarn_frequencies(
            base, dim, factor, p["originalMaxPosition"], p.get("betaFast", 32), p.get("betaSlow", 1),
            p.get("truncate", True),
        )
        if kind == "deepseek_yarn":
            all_dim = p.get("mscaleAllDim", 0)
            attention = magnitude(factor, p.get("mscale", 1)) / magnitude(factor, all_dim)
            return frequencies, attention, magnitude(factor, all_dim) ** 2
        if "attentionFactor" in p:
            attention = mpf(p["attentionFactor"])
        elif p.get("mscale") and p.get("mscaleAllDim"):
            attention = magnitude(factor, p["mscale"]) / magnitude(factor, p["mscaleAllDim"])
        else:
            attention = magnitude(factor)
        return frequencies, attention, one
    raise ValueError(kind)


def request(head_dim, base, parameters, rotary_dim=None, **rest) -> dict:
    return {"headDim": head_dim, "rotaryDim": rotary_dim or head_dim, "base": base, **rest, "parameters": parameters}


def yarn(factor, original, **rest) -> dict:
    return {"ropeType": "yarn", "factor": factor, "originalMaxPosition": original, **rest}


def deepseek(factor, mscale, all_dim, **rest) -> dict:
    return {
        "ropeType": "deepseek_yarn", "factor": factor, "originalMaxPosition": 4096, "betaFast": 32, "betaSlow": 1,
        "mscale": mscale, "mscaleAllDim": all_dim, **rest,
    }


def published_factors(file: str) -> dict:
    import json

    scaling = json.loads((MODELS / file).read_text())["rope_scaling"]
    return {"shortFactor": scaling["short_factor"], "longFactor": scaling["long_factor"]}


def requests() -> dict:
    plain = {"ropeType": "default"}
    phi3 = {"ropeType": "longrope", "originalMaxPosition": 4096}
    phi3_mini = {**phi3, **published_factors("microsoft--Phi-3-mini-128k-instruct.json")}
    phi4_mini = {**phi3, **published_factors("microsoft--Phi-4-mini-instruct.json")}
    llama3 = {"ropeType": "llama3", "originalMaxPosition": 8192, "lowFreqFactor": 1, "highFreqFactor": 4}
    return {
        "default-8": request(8, 10000, plain),
        "default-64-150000": request(64, 150000, plain),
        "default-128-10000": request(128, 10000, plain),
        "default-128-500000": request(128, 500000, plain),
        "default-128-1000000": request(128, 1000000, plain),
        "default-128-1000000000": request(128, 1000000000, plain),
        "default-256-first-64": request(256, 10000, plain, rotary_dim=64),
        "default-80-first-32": request(80, 10000, plain, rotary_dim=32),
        "default-96-first-24": request(96, 10000, plain, rotary_dim=24),
        "yarn-qwen-4": request(128, 1000000, yarn(4, 32768)),
        "yarn-gpt-oss": request(64, 150000, yarn(32, 4096, betaFast=32, betaSlow=1, truncate=False)),
        "yarn-gpt-oss-truncated": request(64, 150000, yarn(32, 4096, betaFast=32, betaSlow=1, truncate=True)),
        "yarn-equal-betas": request(64, 50000, yarn(32, 4096, betaFast=1, betaSlow=1)),
        "yarn-equal-betas-untruncated": request(64, 50000, yarn(32, 4096, betaFast=1, betaSlow=1, truncate=False)),
        "yarn-attention-factor": request(128, 500000, yarn(8, 8192, attentionFactor=1.2079441541679836)),
        "yarn-mscale-ratio": request(128, 1000000, yarn(16, 16384, betaFast=32, betaSlow=1, mscale=1, mscaleAllDim=1)),
        "yarn-mscale-two-values": request(128, 1000000, yarn(16, 16384, mscale=0.707, mscaleAllDim=1)),
        "yarn-factor-1": request(128, 10000, yarn(1, 4096)),
        "yarn-fractional-factor": request(128, 10000, yarn(2.5, 4096)),
        "yarn-partial": request(256, 10000000, yarn(4, 262144), rotary_dim=64),
        "yarn-low-clamped": request(64, 10000, yarn(8, 128)),
        "yarn-high-clamped": request(64, 100, yarn(8, 1000000)),
        "deepseek-yarn-v3": request(64, 10000, deepseek(40, 1, 1)),
        "deepseek-yarn-v2-lite": request(64, 10000, deepseek(40, 0.707, 0.707)),
        "deepseek-yarn-kimi-k2": request(64, 50000, deepseek(32, 1, 1, betaFast=1, betaSlow=1)),
        "deepseek-yarn-kimi-k2-0905": request(64, 50000, deepseek(64, 1, 1, betaFast=1, betaSlow=1)),
        "deepseek-yarn-all-dim-0": request(64, 10000, deepseek(40, 0.707, 0)),
        "deepseek-yarn-two-values": request(64, 10000, deepseek(40, 1, 0.707)),
        "linear-4": request(128, 100000, {"ropeType": "linear", "factor": 4}),
        "linear-8-256": request(256, 1000000, {"ropeType": "linear", "factor": 8}),
        "linear-2.5": request(128, 10000, {"ropeType": "linear", "factor": 2.5}),
        "llama3-8": request(128, 500000, {**llama3, "factor": 8}),
        "llama3-32": request(64, 500000, {**llama3, "factor": 32}),
        "llama3-high-32": request(
            128, 5000000, {**llama3, "factor": 2, "highFreqFactor": 32, "originalMaxPosition": 131072}
        ),
        "dynamic-short": request(128, 1000000, {"ropeType": "dynamic", "factor": 2}, maxPosition=32768, length=32768),
        "dynamic-65536": request(128, 1000000, {"ropeType": "dynamic", "factor": 2}, maxPosition=32768, length=65536),
        "dynamic-131072": request(128, 1000000, {"ropeType": "dynamic", "factor": 2}, maxPosition=32768, length=131072),
        "longrope-phi-3-mini-short": request(96, 10000, phi3_mini, maxPosition=131072, length=4096),
        "longrope-phi-3-mini-long": request(96, 10000, phi3_mini, maxPosition=131072, length=131072),
        "longrope-phi-4-mini-long": request(128, 10000, phi4_mini, rotary_dim=96, maxPosition=131072, length=131072),
        "proportional-gemma-4": request(512, 1000000, {"ropeType": "proportional", "partialRotaryFactor": 0.25}),
        "proportional-factor": request(
            128, 10000, {"ropeType": "proportional", "partialRotaryFactor": 0.5, "factor": 8}
        ),
        "ntk-8": request(128, 10000, {"ropeType": "ntk", "factor": 8}),
        "ntk-mixed": request(128, 10000, {"ropeType": "ntk", "factor": 8, "mixedB": 0.6}),
        "dynamic-alpha-1000": request(128, 10000, {"ropeType": "dynamic_alpha", "alpha": 1000}),
    }


def digits(x, count: int) -> str:
    return mpmath.nstr(x, count, strip_zeros=False, min_fixed=-5, max_fixed=5)


def double(x) -> float:
    with mp.workprec(53):
        return float(+x)


def float32(x) -> float:
    """Round to nearest, ties to even. Nothing here comes near the subnormal range."""
    assert x == 0 or mpf(2) ** -126 < abs(x) < mpf(2) ** 127
    with mp.workprec(24):
        return float(+x)


def sampled(frequencies, plain) -> list[int]:
    count = len(frequencies)
    chosen = {0, 1, count - 1} | {round(k * (count - 1) / 5) for k in range(6)}
    ratios = [double(f / p) for f, p in zip(frequencies, plain)]
    bends = [i for i in range(1, count) if abs(ratios[i] - ratios[i - 1]) > 1e-6]
    if bends and len(bends) < count - 1:
        chosen |= {bends[0], bends[len(bends) // 2], bends[-1]}
    return sorted(i for i in chosen if 0 <= i < count)


def search(frequency, limit: int) -> dict:
    """Positions up to `limit` at which cos or sin is smallest: a double narrows it down, mpmath decides."""
    high, low = double(frequency / mp.pi), double(frequency / mp.pi - double(frequency / mp.pi))
    at = np.arange(1, limit + 1, dtype=np.float64)
    turns = at * high
    rest = turns - np.rint(turns) + at * low
    found = {}
    for name, distance in (("sin", np.abs(rest)), ("cos", np.abs(np.abs(rest) - 0.5))):
        nearest = np.argpartition(distance, 16)[:16]
        function = mpmath.sin if name == "sin" else mpmath.cos
        found[name] = min((int(at[i]) for i in nearest), key=lambda p: abs(function(p * frequency)))
    return found


def fixture(name: str, asked: dict) -> dict:
    frequencies, attention, softmax = evaluate(asked)
    pairs = sampled(frequencies, plain_frequencies(asked["base"], 2 * len(frequencies)))
    generator = np.random.Generator(np.random.PCG64(20261122))
    positions = sorted({*POSITIONS, *(int(p) for p in generator.integers(2, 1 << 24, 40))})
    cos = [[attention * mpmath.cos(p * frequencies[i]) for i in pairs] for p in positions]
    sin = [[attention * mpmath.sin(p * frequencies[i]) for i in pairs] for p in positions]
    near_zero = []
    for pair in (0, len(frequencies) // 8, len(frequencies) // 4):
        if frequencies[pair] == 0 or any(v["pair"] == pair for v in near_zero):
            continue
        for what, position in search(frequencies[pair], 1 << 24).items():
            angle = position * frequencies[pair]
            c, s = attention * mpmath.cos(angle), attention * mpmath.sin(angle)
            near_zero.append(
                {
                    "position": position, "pair": pair, "why": f"smallest {what}",
                    "cos": digits(c, 20), "sin": digits(s, 20), "cosFloat32": float32(c), "sinFloat32": float32(s),
                }
            )
    high = [double(f) for f in frequencies]
    return {
        "source": {
            "engine": "mpmath",
            "version": mpmath.__version__,
            "digits": mp.dps,
            "python": platform.python_version(),
            "command": f"python -m goldens truth --name {name}",
        },
        "name": name,
        "request": asked,
        "attentionFactor": digits(attention, 25),
        "softmaxScaleFactor": digits(softmax, 25),
        "invFreq": [digits(f, 25) for f in frequencies],
        "invFreqHigh": high,
        "invFreqLow": [double(f - h) for f, h in zip(frequencies, high)],
        "positions": positions,
        "pairs": pairs,
        "cos": [[digits(v, 20) for v in row] for row in cos],
        "sin": [[digits(v, 20) for v in row] for row in sin],
        "cosFloat32": pack(np.array([[float32(v) for v in row] for row in cos], dtype="<f4")),
        "sinFloat32": pack(np.array([[float32(v) for v in row] for row in sin], dtype="<f4")),
        "nearZero": near_zero,
    }


def run(only: list[str] | None = None) -> None:
    for name, asked in requests().items():
        if only and name not in only:
            continue
        size = write(FIXTURES / "truth" / f"{name}.json", fixture(name, asked))
        print(f"{name}: {size} bytes")

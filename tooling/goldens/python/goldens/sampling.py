"""Which positions and pairs a fixture keeps, and how an engine without a table is asked for cos and sin."""

import numpy as np

POSITIONS = [0, 1, 127, 257, 2049, 4095, 4096, 15962, 32767, 32768, 131071]
ROTATED_POSITIONS = [0, 1, 257, 4096, 131071]
# Tokens whose axes differ; axes beyond the fourth do not occur.
GRID = [[5, 5, 9, 700, 40000], [5, 7, 12, 731, 40021], [5, 11, 10, 702, 40007], [5, 0, 1, 2, 3]]


def sampled_pairs(frequencies: np.ndarray, base: float | None) -> list[int]:
    """About sixteen pairs: first, last, an even spread, and those around each change of regime."""
    count = len(frequencies)
    chosen = {0, 1, count - 2, count - 1} | {round(k * (count - 1) / 11) for k in range(12)}
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(frequencies.astype(np.float64))
        steps = np.diff(logs)
    bends = [i + 1 for i in range(len(steps) - 1) if not np.isclose(steps[i], steps[i + 1], rtol=1e-3, equal_nan=True)]
    if bends:
        chosen |= {bends[0], bends[-1], max(bends[0] - 1, 0), min(bends[-1] + 1, count - 1), bends[len(bends) // 2]}
    return sorted(i for i in chosen if 0 <= i < count)


def unit_heads(tokens: int, head_dim: int, rotary_dim: int, pairing: str, offset: int = 0) -> np.ndarray:
    """[tokens, 1, headDim]: (1, 0) in every pair, which rotation turns into (cos, sin); 3 where nothing may turn."""
    x = np.full((tokens, 1, head_dim), 3.0, dtype=np.float32)
    first, second = members(rotary_dim, pairing, offset)
    x[..., first], x[..., second] = 1.0, 0.0
    return x


def members(rotary_dim: int, pairing: str, offset: int = 0) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.arange(rotary_dim // 2) + 0
    if pairing == "half":
        return offset + pairs, offset + pairs + rotary_dim // 2
    return offset + 2 * pairs, offset + 2 * pairs + 1


def cos_sin_of(turned: np.ndarray, rotary_dim: int, pairing: str, offset: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """[tokens, pairs] each, out of turned unit heads. Elements outside the rotated slice must be as they were."""
    first, second = members(rotary_dim, pairing, offset)
    rest = np.setdiff1d(np.arange(turned.shape[-1]), np.concatenate((first, second)))
    assert (turned[..., rest] == 3.0).all(), "the engine changed elements outside the rotated slice"
    return turned[:, 0, first], turned[:, 0, second]


def heads(tokens: int, head_count: int, head_dim: int, seed: int = 7) -> np.ndarray:
    """[tokens, heads, headDim], standard normal, rounded to bfloat16 so that every element type holds it exactly."""
    x = np.random.Generator(np.random.PCG64(seed)).standard_normal((tokens, head_count, head_dim)).astype(np.float32)
    return (x.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)

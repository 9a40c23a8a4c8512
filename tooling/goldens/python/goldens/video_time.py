"""The time of each frame of a video at 400 frame rates, packed: the steps from frame to frame differ by at most one."""

import random
from fractions import Fraction

import numpy as np

from .writing import pack

FRAMES = 400
COMMON = [1, 2, 3, 4, 5, 8, 10, 12, 15, 23.976, 24, 24000 / 1001, 25, 29.97, 30000 / 1001, 30, 48, 50, 59.94, 60, 120]


def given() -> list[tuple[float, int]]:
    """Seconds of a grid of two frames, and tokens per second: 2 in Qwen2.5-VL's checkpoints, 25 in Omni's, 4 in the class."""
    draw = random.Random("frame rates")
    chosen = [(2 / rate, 2) for rate in COMMON]
    chosen += [(float(Fraction(2 * 16, k)), 2) for k in range(1, 161)]  # frame rates 1/16 to 10 in steps of 1/16
    chosen += [(round(draw.uniform(0.02, 4), 3), 2) for _ in range(100)]
    while len(chosen) < 400:
        chosen.append((2 / round(draw.uniform(0.25, 60), 2), draw.choice([1, 4, 25])))
    return chosen


def increments(times: list[int]) -> tuple[int, np.ndarray]:
    """The smallest step, and for each frame after the first whether its step is one more."""
    steps = np.diff(np.asarray(times))
    least = int(steps.min())
    assert times[0] == 0 and int(steps.max()) - least <= 1
    return least, steps - least


def rates(engines: dict) -> dict:
    """`engines` names functions of (seconds, tokens per second, frames) → times."""
    chosen = given()
    answers = {}
    for name, times in engines.items():
        least, bits = zip(*(increments(times(seconds, tokens, FRAMES)) for seconds, tokens in chosen))
        answers[name] = {"steps": list(least), "longer": pack(np.packbits(np.stack(bits).astype(np.uint8), bitorder="little"))}
    return {
        "note": "time 0 is 0; the step to frame k is steps[rate], and one more if bit rate * (frames - 1) + k - 1 of longer is set "
        "(least significant bit of a byte first, base64)",
        "frames": FRAMES,
        "secondsPerGrid": [seconds for seconds, _ in chosen],
        "tokensPerSecond": [tokens for _, tokens in chosen],
        "times": answers,
    }

"""What happened to a head between position 0 and other positions. Pure numbers: no engine, no configuration.

A rotation keeps x² + y² of each pair. So the partner of an element is the one whose square grows by what its own square
loses, in every sample and at every position. The angle of a pair is the argument of Σ z(p)·conj(z(0))."""

import math
from dataclasses import dataclass

import numpy as np

STILL = 3e-6  # an element that moves by less than this share of the head's root mean square did not move


@dataclass
class Moved:
    """`pairs` holds (first, second, frequency with sign), by `first`."""

    pairs: list[tuple[int, int, float]]
    scale: dict[int, float]


class NotLinear(Exception):
    """The head at position p is no rotation of the head at position 0."""


def turn(before: np.ndarray, after: np.ndarray, positions: list[int]) -> Moved | None:
    """`before` and `after` have the shape [positions, samples, head]; `before` is what `after` would be unrotated.
    Returns None if no element moved. Throws NotLinear."""
    size = np.sqrt(np.mean(before**2))
    if not np.isfinite(size) or size == 0 or not np.all(np.isfinite(after)):
        raise NotLinear("zero or no number")
    scale = {}
    after = after.copy()
    for index, position in enumerate(positions):
        ratio = np.linalg.norm(after[index], axis=-1) / np.linalg.norm(before[index], axis=-1)
        middle = float(np.median(ratio))
        if np.max(np.abs(ratio - middle)) > 1e-4 * middle:
            raise NotLinear("the length of a head changes by sample")
        if abs(middle - 1) > 2e-6:
            scale[position] = middle
            after[index] /= middle
    moved = np.max(np.abs(after - before), axis=(0, 1)) > STILL * size
    moving = np.flatnonzero(moved)
    if len(moving) == 0:
        return Moved([], scale) if scale else None
    gain = (after**2 - before**2)[:, :, moving].reshape(-1, len(moving))
    length = np.sum(gain**2, axis=0)
    miss = length[:, None] + length[None, :] + 2 * (gain.T @ gain)
    np.fill_diagonal(miss, np.inf)
    best = np.argmin(miss, axis=1)
    for index in range(len(moving)):
        away = np.linalg.norm(gain[:, index] + gain[:, best[index]])
        if away > 2e-2 * math.sqrt(length[index]):
            raise NotLinear(f"element {moving[index]} has no partner")
    partners = {index: int(partner) for index, partner in enumerate(best)}
    for index, partner in partners.items():
        if partners[partner] != index:
            raise NotLinear(f"element {moving[index]} has no partner of its own")
    firsts = [int(moving[index]) for index, partner in partners.items() if index < partner]
    seconds = [int(moving[partner]) for index, partner in partners.items() if index < partner]
    found = frequencies(before, after, positions, firsts, seconds)
    return Moved(sorted(zip(firsts, seconds, found)), scale)


def frequencies(before: np.ndarray, after: np.ndarray, positions: list[int], firsts: list[int], seconds: list[int]) -> list[float]:
    """The angle of each pair for each position, unwrapped from small positions to large ones."""
    z0 = before[:, :, firsts] + 1j * before[:, :, seconds]
    z = after[:, :, firsts] + 1j * after[:, :, seconds]
    turned = np.sum(z * np.conj(z0), axis=1) / np.sum(np.abs(z0) ** 2, axis=1)
    rest = np.linalg.norm(z - turned[:, None] * z0, axis=1) / np.linalg.norm(z0, axis=1)
    bad = (rest > 1e-4) | (np.abs(np.abs(turned) - 1) > 1e-4)
    if np.any(bad):
        pair = int(np.argmax(np.any(bad, axis=0)))
        raise NotLinear(f"elements {firsts[pair]} and {seconds[pair]} are not rotated")
    known = np.zeros(len(firsts))
    for index, position in sorted(enumerate(positions), key=lambda entry: entry[1]):
        if position > 0:
            angle = np.angle(turned[index])
            known = (angle + 2 * math.pi * np.round((known * position - angle) / (2 * math.pi))) / position
    return [float(value) for value in known]


def unit(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    length = np.linalg.norm(values, axis=0)
    return values / np.where(length == 0, 1, length), length


def order(source: np.ndarray | tuple, head: np.ndarray) -> list[tuple[int, float]] | None:
    """For each element of `head` [samples, n], the element of `source` [samples, m] that it is a positive multiple of,
    and the factor. None unless each has exactly one. `source` may be the answer of `unit`."""
    source_unit, source_length = source if isinstance(source, tuple) else unit(source)
    head_unit, head_length = unit(head)
    if np.any(head_length == 0) or source_unit.shape[1] < head.shape[1]:
        return None
    if np.max(head_unit[:, 0] @ source_unit) < 1 - 1e-9:
        return None
    alike = head_unit.T @ source_unit
    best = np.argmax(alike, axis=1)
    if np.any(alike[np.arange(len(best)), best] < 1 - 1e-9) or len(set(best.tolist())) != len(best):
        return None
    return [(int(index), float(head_length[i] / source_length[index])) for i, index in enumerate(best)]


def layout(pairs: list[tuple[int, int, float]]) -> dict:
    """Name the layout of pairs: offset, size, pairing; unmoved pairs inside the span get frequency 0."""
    gaps = {second - first for first, second, _ in pairs}
    signs = {frequency > 0 for _, _, frequency in pairs}
    direction = 1 if signs == {True} else -1 if signs == {False} else None
    start = min(first for first, _, _ in pairs)
    if direction is not None and len(gaps) == 1:
        gap = gaps.pop()
        values = {first: abs(value) for first, _, value in pairs}
        if gap == 1 and all((first - start) % 2 == 0 for first in values):
            count = (max(values) - start) // 2 + 1
            found = [values.get(start + 2 * i, 0.0) for i in range(count)]
            if count > 1 or start == 0:
                return {"rotaryOffset": start, "rotaryDim": 2 * count, "pairing": "adjacent", "direction": direction, "frequencies": found}
        if all(start <= first < start + gap for first in values):
            found = [values.get(start + i, 0.0) for i in range(gap)]
            return {"rotaryOffset": start, "rotaryDim": 2 * gap, "pairing": "half", "direction": direction, "frequencies": found}
    end = max(second for _, second, _ in pairs) + 1
    return {
        "rotaryOffset": start,
        "rotaryDim": end - start,
        "pairing": "other",
        "direction": direction or 1,
        "pairs": [[first, second] for first, second, _ in pairs],
        "frequencies": [value if direction is None else abs(value) for _, _, value in pairs],
    }

"""Random prompts: rows of text, images, videos and audio, padded to one length. An engine's answer is put beside each."""

import random
from dataclasses import dataclass, field

TEXT, IMAGE, VIDEO, AUDIO = 0, 1, 2, 3
PROMPTS = 30
AXES = ["time", "height", "width"]


@dataclass
class Row:
    """One sequence: the kind of each token, and what each run of tokens shows."""

    kinds: list[int] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    images: list[list[int]] = field(default_factory=list)
    videos: list[list[int]] = field(default_factory=list)
    audios: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    offsets: list[tuple[str, int, int]] = field(default_factory=list)

    def add(self, kind: int, count: int, token: int | None = None) -> "Row":
        self.kinds += [kind] * count
        self.ids += [1000 + kind if token is None else token] * count
        return self


def grid(draw: random.Random, merge: int, frames: int = 1, largest: int = 4) -> list[int]:
    return [frames, merge * draw.randint(1, largest), merge * draw.randint(1, largest)]


def tokens(size: list[int], merge: int, extra_column: int = 0) -> int:
    return size[0] * (size[1] // merge) * (size[2] // merge + extra_column)


def padded(draw: random.Random, rows: list[Row]) -> tuple[list[list[int]], list[list[int]], list[list[int]] | None]:
    """Kinds and ids of equal length, and the mask; none if nothing is padded and the draw says so."""
    length = max(len(row.kinds) for row in rows) + (draw.randint(1, 3) if draw.random() < 0.3 else 0)
    side = draw.choice(["left", "right"])
    kinds, ids, masks = [], [], []
    for row in rows:
        gap = length - len(row.kinds)
        before, after = (gap, 0) if side == "left" else (0, gap)
        kinds.append([TEXT] * before + row.kinds + [TEXT] * after)
        ids.append([0] * before + row.ids + [0] * after)
        masks.append([0] * before + [1] * len(row.kinds) + [0] * after)
    if all(all(mask) for mask in masks) and draw.random() < 0.5:
        return kinds, ids, None
    return kinds, ids, masks


def digits(rows: list[list[int]]) -> list[str]:
    """A row of kinds or of a mask as one string: one digit for each token."""
    return ["".join(map(str, row)) for row in rows]


def integers(values) -> list:
    """Positions as the engine gave them; whole numbers without a fraction."""
    if isinstance(values, list):
        return [integers(value) for value in values]
    return int(values) if float(values).is_integer() else float(values)


def recorded(kinds, masks, rows: list[Row], positions, deltas, **more) -> dict:
    lists = {name: [x for row in rows for x in getattr(row, name)] for name in ("images", "videos", "audios", "seconds")}
    return {
        "modalities": digits(kinds),
        **({"mask": digits(masks)} if masks is not None else {}),
        **{{"seconds": "secondsPerGrid"}.get(name, name): values for name, values in lists.items() if values},
        **more,
        "positions": integers(positions),
        **({"deltas": integers(deltas)} if deltas is not None else {}),
    }

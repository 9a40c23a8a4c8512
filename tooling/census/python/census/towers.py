"""Vision and audio towers: one run over a grid of patches (rows and columns of different number) or a row of frames.

Query and key are compared with what the projections gave. The angle of a pair at the token of row h and column w is
a + b·h + c·w; b and c are read off neighbours, and every token must agree."""

import inspect
import math
import re
import sys

import numpy as np
import torch

from .capture import recording
from .models import LARGEST, NoModel, class_of
from .rotation import NotLinear, layout
from .text import place

ROWS, COLUMNS = 6, 8
FRAMES = 24
HEADS = 4


def rotary_parts(config) -> list[str] | None:
    """Names of rotary modules or functions of its class; None if there are none."""
    model_class = class_of(config)
    names = [name for name in vars(sys.modules[model_class.__module__]) if re.search(r"apply\w*(rot|rope)|rotate_|\w+Rotary|RopeP|RoPE", name)]
    takes = set(inspect.signature(model_class.forward).parameters)
    return sorted(names) or None if takes else None


def prepared(config):
    """Two layers; everything else stays as it is."""
    for key in ("num_hidden_layers", "depth", "encoder_layers", "num_layers", "n_layers", "num_attention_layers"):
        value = getattr(config, key, None)
        if isinstance(value, int) and not isinstance(value, bool) and value > 2:
            setattr(config, key, 2)
    for key in ("layer_types", "fullatt_block_indexes", "deepstack_visual_indexes", "window_indexes", "global_attn_indexes"):
        value = getattr(config, key, None)
        if isinstance(value, list):
            setattr(config, key, value[:2] if key == "layer_types" else [1])
    return config


def number(config, *names: str, default=None):
    for name in names:
        value = getattr(config, name, None)
        if isinstance(value, (list, tuple)):
            value = value[0]
        if isinstance(value, int) and value > 0:
            return value
    return default


def inputs(model, config, rows: int = ROWS, columns: int = COLUMNS, frames: int = 1) -> dict:
    takes = list(inspect.signature(model.forward).parameters)
    generator = torch.Generator().manual_seed(5)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(next(model.parameters()).dtype)

    patch = number(config, "patch_size", default=14)
    channels = number(config, "in_channels", "in_chans", "num_channels", default=3)
    grid_name = next((name for name in takes if name in ("grid_thw", "image_grid_thw")), None)
    given: dict = {}
    if grid_name is not None:
        time = number(config, "temporal_patch_size", default=1)
        given[grid_name] = torch.tensor([[frames, rows, columns]])
        count = frames * rows * columns
        given["pixel_values" if "pixel_values" in takes else "hidden_states"] = (random(count, channels * time * patch * patch), random(count, channels, patch, patch))
        if "merge_sizes" in takes:
            given["merge_sizes"] = torch.tensor([2])
    elif "pixel_position_ids" in takes:
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        given["pixel_position_ids"] = torch.stack([x.flatten(), y.flatten()], -1)[None]
        given["pixel_values"] = random(1, rows * columns, channels * patch * patch)
    elif "pixel_values_videos" in takes:
        side = number(config, "crop_size", "image_size", default=224)
        given["pixel_values_videos"] = random(1, 4, channels, side, side)
    elif "pixel_values" in takes:
        given["pixel_values"] = (random(1, channels, rows * patch, columns * patch), random(1, channels, number(config, "image_size", default=224), number(config, "image_size", default=224)))
        if "image_sizes" in takes:
            given["image_sizes"] = torch.tensor([[rows * patch, columns * patch]])
    elif "input_features" in takes:
        mels = number(config, "num_mel_bins", "feature_size", "input_dim", default=80)
        given["input_features"] = (random(1, mels, FRAMES * 8), random(1, FRAMES * 8, mels))
    elif "input_values" in takes:
        given["input_values"] = (random(1, 1, 24000), random(1, 24000))
    elif "latents" in takes:
        width = number(config, "hidden_size", default=512)
        given["latents"] = (random(1, FRAMES, width), random(1, width, FRAMES))
    elif "past_values" in takes:
        given["past_values"] = [random(FRAMES * 32)]
    elif "inputs_embeds" in takes:
        given["inputs_embeds"] = random(1, FRAMES, number(config, "hidden_size", default=512))
    else:
        raise NoModel("it takes neither tokens nor an image nor sound")
    return given


def executed(model, config):
    """Two frames where there may be several, else one."""
    if any(name.endswith("grid_thw") for name in inspect.signature(model.forward).parameters):
        try:
            return tried(model, config, frames=2)
        except (RuntimeError, ValueError, IndexError):
            pass
    return tried(model, config)


def tried(model, config, **shape):
    """Tries the shapes that an input may have."""
    given = inputs(model, config, **shape)
    several = next((name for name, value in given.items() if isinstance(value, tuple)), None)
    error: Exception | None = None
    for choice in given[several] if several else (None,):
        arguments = {**given, **({several: choice} if several else {})}
        try:
            with recording(model, 1) as found:
                model(**arguments)
            return found
        except (RuntimeError, ValueError, IndexError, TypeError, AttributeError, AssertionError) as caught:
            error = caught
            if found.calls:  # what follows the layers does not matter here
                return found
    raise error


def tokens(tensor: torch.Tensor) -> np.ndarray:
    """[tokens, heads, head]; windows that are rows of the batch follow one another."""
    value = tensor.double()
    if value.ndim == 3:
        value = value[None]
    return value.permute(0, 2, 1, 3).reshape(-1, value.shape[1], value.shape[3]).numpy()


def before_of(call, tensor: torch.Tensor):
    """What the modules of this attention gave, as [tokens, elements], latest first. Where the attention runs over a part
    of the tokens, each part."""
    heads = tokens(tensor)
    count = heads.shape[0]
    parent = call.module.rsplit(".", 1)[0] if "." in call.module else ""
    for name, output in reversed(list(call.outputs.items())):
        if not name.startswith(parent) or output.ndim < 2:
            continue
        value = output.double()
        if value.ndim == 4 and value.shape[1] % count and value.shape[0] * value.shape[2] == count:
            value = value.transpose(1, 2)
        for total in dict.fromkeys((count, int(np.prod(value.shape[:-1])), int(np.prod(value.shape[:2])))):
            if total < count or total % count or value.numel() % total or value.numel() // total < heads.shape[2]:
                continue
            source = value.reshape(total, -1).numpy()
            for part in range(min(total // count, 4)):
                yield source[part * count : (part + 1) * count], heads


def orders(rows: int, columns: int, frames: int):
    """Names of orders of tokens, with the (frame, row, column) of each token."""
    plain = [(t, h, w) for t in range(frames) for h in range(rows) for w in range(columns)]
    yield "rows", plain
    blocks = [
        (t, h * 2 + i, w * 2 + j)
        for t in range(frames)
        for h in range(rows // 2)
        for w in range(columns // 2)
        for i in range(2)
        for j in range(2)
    ]
    if rows % 2 == 0 and columns % 2 == 0:
        yield "blocks of 2", blocks
    yield "columns", [(t, h, w) for t in range(frames) for w in range(columns) for h in range(rows)]


def pair_angles(before: np.ndarray, after: np.ndarray):
    """Pairs by what their squares exchange, and the turn of each at each token. Arrays are [tokens, heads, head]."""
    size = np.sqrt(np.mean(before**2))
    moving = np.flatnonzero(np.max(np.abs(after - before), axis=(0, 1)) > 3e-6 * size)
    if len(moving) == 0:
        return [], None
    gain = (after**2 - before**2)[:, :, moving].reshape(-1, len(moving))
    length = np.sum(gain**2, axis=0)
    miss = length[:, None] + length[None, :] + 2 * (gain.T @ gain)
    np.fill_diagonal(miss, np.inf)
    best = np.argmin(miss, axis=1)
    pairs = []
    for index, partner in enumerate(best):
        if best[partner] != index or np.linalg.norm(gain[:, index] + gain[:, partner]) > 2e-2 * math.sqrt(length[index]):
            raise NotLinear(f"element {moving[index]} has no partner")
        if index < partner:
            pairs.append((int(moving[index]), int(moving[partner])))
    firsts, seconds = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    z0 = before[:, :, firsts] + 1j * before[:, :, seconds]
    z = after[:, :, firsts] + 1j * after[:, :, seconds]
    turned = np.sum(z * np.conj(z0), axis=1) / np.sum(np.abs(z0) ** 2, axis=1)
    if np.max(np.abs(np.abs(turned) - 1)) > 1e-3:
        raise NotLinear("a pair is not rotated")
    return pairs, turned


def fit(turned: np.ndarray, places: list[tuple[int, int, int]]):
    """For each pair the angle per frame, row and column and at the origin; None if the tokens do not agree."""
    index = {place: number for number, place in enumerate(places)}
    slopes = []
    for axis in range(3):
        ahead = [(index[place], index[after]) for place in places if (after := tuple(v + (k == axis) for k, v in enumerate(place))) in index]
        if not ahead:
            slopes.append(np.zeros(turned.shape[1]))
            continue
        step = np.mean([turned[after] * np.conj(turned[here]) for here, after in ahead], axis=0)
        slopes.append(np.angle(step))
    spots = np.array(places, dtype=float)
    slopes = np.array(slopes)
    origin = turned[index[(0, 0, 0)]]
    for _ in range(2):
        rest = np.angle(turned * np.conj(origin)[None] * np.exp(-1j * (spots @ slopes)))
        if np.max(np.abs(rest)) > 1e-3:
            return None
        # All tokens together make slow pairs exact.
        moved = np.linalg.lstsq(np.hstack([spots, np.ones((len(spots), 1))]), rest, rcond=None)[0]
        slopes, origin = slopes + moved[:3], origin * np.exp(1j * moved[3])
    return slopes, np.angle(origin)


def tower(config) -> dict:
    """The entry of one tower: status, order of tokens, ropes."""
    model_class = class_of(config)
    takes = inspect.signature(model_class.forward).parameters
    part = "vision" if any(name.startswith(("pixel", "grid", "image")) for name in takes) else "audio"
    config = prepared(config)
    config._attn_implementation = "eager"
    with torch.device("meta"):
        size = sum(parameter.numel() for parameter in model_class(config).parameters())
    if size > LARGEST * 4:
        raise NoModel(f"too large to run: {size} parameters")
    torch.manual_seed(0)
    model = model_class(config).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and not re.search("rope|rotary", name) and not bool(parameter.count_nonzero()):
                parameter.normal_(0, 0.3, generator=generator)
    try:
        found = executed(model.double(), config)
    except (RuntimeError, TypeError) as error:
        if not re.search("dtype|Double|double|scalar type|same type", str(error)):
            raise
        found = executed(model.float(), config)
    entry: dict = {"part": part, "class": model_class.__name__}
    if not found.calls:
        if found.softmaxes:
            raise NoModel("its attention was not seen")
        return {**entry, "status": "none", "reason": "it has no attention"}
    ropes: list[dict] = []
    by_layer: dict[int, int | None] = {}
    notes: list[str] = []
    for number_of_call, call in enumerate(found.calls):
        found_place = place(call.module)
        layer = found_place[1] if found_place else number_of_call
        if by_layer.get(layer) is not None:
            continue
        rope, said = one(call, part)
        notes.extend(said)
        by_layer[layer] = None
        if rope is None:
            continue
        mark = next((i for i, other in enumerate(ropes) if similar(other, rope)), None)
        if mark is None:
            ropes.append(rope)
            mark = len(ropes) - 1
        by_layer[layer] = mark
    marks = [by_layer.get(layer) for layer in range(max(by_layer) + 1)]
    if notes and not ropes:
        raise NoModel(sorted(set(notes))[0])
    entry.update(status="rotates" if ropes else "none", layers=marks, ropes=ropes)
    if part == "vision" and ropes:
        entry["grid"] = {"rows": ROWS, "columns": COLUMNS}
    if notes:
        entry["notes"] = sorted(set(notes))
    return entry


def similar(one: dict, two: dict) -> bool:
    loose = ("frequencies", "mixed", "start")
    if {key: value for key, value in one.items() if key not in loose} != {key: value for key, value in two.items() if key not in loose}:
        return False
    return len(one["frequencies"]) == len(two["frequencies"]) and np.allclose(one["frequencies"], two["frequencies"], rtol=1e-3, atol=1e-6)


def one(call, part: str) -> tuple[dict | None, list[str]]:
    notes: list[str] = []
    heads = tokens(call.query)
    count = heads.shape[0]
    if part == "audio":
        steps, spans = [("frames", [(0, 0, k) for k in range(count)])], [0]
    else:
        steps, spans = [], []
        for rows, columns, frames in ((ROWS, COLUMNS, 2), (ROWS, COLUMNS, 1), *((side, side, 1) for side in range(math.isqrt(count), max(1, math.isqrt(count) - 3), -1))):
            grid = rows * columns * frames
            if grid <= count and count - grid < 12:
                steps += [(f"{label}", places) for label, places in orders(rows, columns, frames)]
        if not steps:
            return None, [f"{count} tokens are no grid"]
        spans = list(range(12))
    seen_still = False
    for source, after in before_of(call, call.query):
        places = where(source, after)
        if places is None:
            continue
        before = np.stack([source[:, spot] for spot in places], axis=1)
        scale = np.sqrt(np.mean(after[:, : before.shape[1]] ** 2) / np.mean(before**2))
        before = before * scale
        try:
            pairs, turned = pair_angles(before, after[:, : before.shape[1]])
        except NotLinear as error:
            notes.append(str(error))
            continue
        if not pairs:
            seen_still = True
            continue
        low = min(places[0])
        for span in spans:
            for label, positions in steps:
                if len(positions) > turned.shape[0] - span or span not in (0, 1, turned.shape[0] - len(positions)):
                    continue
                fitted = fit(turned[span : span + len(positions)], positions)
                if fitted is None:
                    continue
                return described(pairs, [spot - low for spot in places[0]], fitted, label, span, call, part), []
        notes.append("the angles follow no grid")
    if seen_still:
        return None, []
    return None, notes or ["what its projections gave was not found in its query"]


def where(source: np.ndarray, after: np.ndarray) -> list[list[int]] | None:
    """The places in the projection of the elements of the first heads. Lengths over all tokens are kept by pairs only,
    so the places are those of the projection in order, with the start that keeps the length of the head at each token."""
    count, heads, size = after.shape
    lengths = np.linalg.norm(after, axis=2)
    found = []
    for head in range(min(heads, HEADS)):
        for start in [*range(head * size, source.shape[1] - size + 1, heads * size), *range(head * 3 * size, source.shape[1] - size + 1, size)]:
            ratio = lengths[:, head] / np.maximum(np.linalg.norm(source[:, start : start + size], axis=1), 1e-300)
            if np.max(np.abs(ratio / np.median(ratio) - 1)) < 1e-5:
                found.append(list(range(start, start + size)))
                break
        else:
            return None
    return found


def described(pairs, places, fitted, label, span, call, part) -> dict:
    slopes, origin = fitted
    biggest = np.argmax(np.abs(np.array(slopes)), axis=0)
    values = np.array([slopes[axis][pair] for pair, axis in enumerate(biggest)])
    shape = layout(sorted((first, second, float(values[i])) for i, (first, second) in enumerate(pairs)))
    by_pair = {pair: i for i, pair in enumerate(pairs)}
    start, count = shape["rotaryOffset"], len(shape["frequencies"])
    listed = (
        [(start + 2 * i, start + 2 * i + 1) for i in range(count)]
        if shape["pairing"] == "adjacent"
        else [(start + i, start + i + count) for i in range(count)]
        if shape["pairing"] == "half"
        else [tuple(pair) for pair in shape["pairs"]]
    )
    names = ["t", "h", "w"] if part == "vision" else ["", "", "t"]
    axes, mixed = [], False
    for pair in listed:
        index = by_pair.get(pair)
        if index is None:
            axes.append(None)
            continue
        axes.append(names[int(biggest[index])])
        others = sorted(abs(slopes[axis][index]) for axis in range(3))
        mixed = mixed or others[1] > 1e-3 * others[2] + 1e-5
    rope = {"headDim": int(call.query.shape[-1]), **shape, "order": label}
    if part == "vision":
        rope["axes"] = axes
    if mixed:
        rope["mixed"] = {names[axis]: [float(f"{slopes[axis][by_pair[pair]]:.7g}") if pair in by_pair else 0 for pair in listed] for axis in range(3) if names[axis]}
    if span:
        rope["firstToken"] = span
    first_of = {}
    for i, pair in enumerate(pairs):
        axis = names[int(biggest[i])]
        # The origin in steps, from the slowest pair of the axis that is precise.
        if abs(values[i]) > 1e-6 and (axis not in first_of or abs(values[i]) < first_of[axis][0]):
            first_of[axis] = (abs(values[i]), origin[i] / values[i])
    rope["start"] = {axis: float(f"{value:.4g}") + 0.0 if abs(value) > 1e-3 else 0 for axis, (_, value) in sorted(first_of.items())}
    return rope

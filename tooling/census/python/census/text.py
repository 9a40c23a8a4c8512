"""Runs the text model of one configuration and reads off what each layer does to query and key by position."""

import inspect
import re
from dataclasses import dataclass, field

import numpy as np
import torch

from .capture import Attention, Recording, recording
from .models import NoModel, override_of
from .rotation import NotLinear, layout, order, turn, unit
from .tiny import VOCABULARY

SAMPLES = 4
POSITIONS = [0, 1, 61, 1021, 65521]
STEPS = [0, 1, 7, 61]


@dataclass
class Result:
    status: str
    reason: str | None = None
    layers: list[int | None] = field(default_factory=list)
    ropes: list[dict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    axes: int | None = None
    indexers: list[int | None] | None = None
    stacks: dict[str, list] = field(default_factory=dict)
    main: str = ""


def longest(config) -> int:
    for key in ("max_position_embeddings", "n_positions", "max_seq_len", "max_target_positions", "seq_length", "n_ctx"):
        value = getattr(config, key, None)
        if isinstance(value, int) and value > 0:
            return value
    return 2048


def arguments_of(model) -> set[str]:
    return set(inspect.signature(model.forward).parameters)


def forward(model, ids, positions, extra=None) -> Recording:
    """`positions` None: the model counts itself."""
    takes = arguments_of(model)
    given = dict(extra or {})
    override = override_of(model.config.model_type)
    if "ids" in override:
        ids = ids[..., None].expand(*ids.shape, override["ids"])
    if "input_ids" in takes and not override.get("embeds"):
        given["input_ids"] = ids
    else:
        table = torch.randn(VOCABULARY, model.config.hidden_size, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        given["inputs_embeds" if "inputs_embeds" in takes else "hidden_states"] = table[ids].to(next(model.parameters()).dtype)
    if "decoder_input_ids" in takes:
        given["decoder_input_ids"] = ids
    if "use_cache" in takes:
        given["use_cache"] = False
    if positions is not None:
        given["position_ids"] = positions
    if "with" in override:
        given.update(override["with"](model, ids))
    with recording(model, ids.shape[0]) as found:
        model(**given)
    return found


def sources(call: Attention, count: int, samples: int, steps: list[int] | None):
    """What the modules inside this attention gave, as [positions, samples, elements], latest first."""
    parent = call.module.rsplit(".", 1)[0]
    for name, output in reversed(list(call.outputs.items())):
        if not name.startswith(parent + ".") or output.ndim < 3:
            continue
        output = output.double()
        if steps is None:
            if output.shape[0] == count * samples:
                yield output.reshape(count, samples, -1).numpy()
        elif output.shape[0] == samples:
            if output.ndim == 4 and output.shape[1] <= max(steps) < output.shape[2]:
                output = output.transpose(1, 2)
            if output.shape[1] > max(steps):
                yield output[:, steps].transpose(0, 1).reshape(count, samples, -1).numpy()


def heads_of(tensor: torch.Tensor, count: int, samples: int, steps: list[int] | None) -> np.ndarray:
    """[positions, samples, heads, head]."""
    if steps is None:
        return tensor.double().reshape(count, samples, -1, tensor.shape[-1]).numpy()
    return tensor[:, :, steps].double().permute(2, 0, 1, 3).numpy()


def seen(recorded: Recording, call: Attention, tensor: torch.Tensor, count: int, samples: int, steps):
    """Before and after of one tensor as [positions, samples, head], and where the elements came from."""
    heads = heads_of(tensor, count, samples, steps)
    flat = heads.reshape(count, -1, heads.shape[-1])
    candidates = [(source, unit(source[0])) for source in sources(call, count, samples, steps)]
    before, after, places, factors = [], [], None, None
    changes = wanders(heads)
    for head in range(min(heads.shape[2], 4)):
        for source, units in candidates:
            found = order(units, heads[0, :, head])
            if found is None:
                continue
            came = [place for place, _ in found]
            low = min(came)
            if max(came) - low != len(came) - 1:
                continue
            scale = np.array([factor for _, factor in found])
            if changes and np.array_equal(source[:, :, came], heads[:, :, head]):
                continue  # it comes after the rope
            before.append(source[:, :, came] * scale)
            after.append(heads[:, :, head])
            if places is None:
                places, factors = [place - low for place in came], scale
            break
    if before:
        return np.concatenate(before, axis=1), np.concatenate(after, axis=1), places, factors
    places = applied_order(recorded, call, heads, count, samples, steps)
    return np.broadcast_to(flat[:1], flat.shape), flat, places, None


def applied_order(recorded: Recording, call: Attention, heads: np.ndarray, count: int, samples: int, steps):
    """Where the elements came from, by input and output of the model's own apply function."""
    if steps is not None:
        return None
    zero = heads[0].reshape(-1, heads.shape[-1])
    whole = heads.shape[-1]
    for module, _, before, after in reversed(recorded.applied):
        if not (module.startswith(call.module) or call.module.startswith(module)) or before.ndim < 3:
            continue
        size = before.shape[-1]
        if before.numel() % (count * samples * size):
            continue
        source = before.double().reshape(count, -1, size).numpy()[0]
        target = after.double().reshape(count, -1, size).numpy()[0]
        moved = order(source, target)
        if moved is None:
            continue
        start = 0
        if size != whole:
            inside = order(zero, target) if len(zero) == len(target) else None
            if inside is None:
                continue
            start = inside[0][0]
            if [place for place, _ in inside] != list(range(start, start + size)):
                continue
        places = list(range(whole))
        for index, (place, _) in enumerate(moved):
            places[start + index] = start + place
        return places
    return None


def read(recorded: Recording, call: Attention, positions: list[int], samples: int, steps) -> tuple[dict | None, list[str]]:
    """The rope of one attention call. Throws NotLinear."""
    notes: list[str] = []
    count = len(positions)
    before, after, places, factors = seen(recorded, call, call.query, count, samples, steps)
    key_before, key_after, _, _ = seen(recorded, call, call.key, count, samples, steps)
    turned = turn(before, after, positions)
    turned_key = turn(key_before, key_after, positions)
    if turned is None and turned_key is None:
        return None, notes
    rope: dict = {"headDim": int(call.query.shape[-1])}
    rotated = turned if turned is not None and turned.pairs else turned_key
    if rotated is None or not rotated.pairs:
        return {**rope, "queryScale": scales(turned)}, notes
    output = layout(rotated.pairs)
    if rotated is not turned:
        notes.append("only the key is rotated")
    if places is None:
        notes.append("input order not seen")
        rope.update(output)
    else:
        pairs = []
        for first, second, value in rotated.pairs:
            one, two = places[first], places[second]
            pairs.append((one, two, value) if one < two else (two, one, -value))
        given = layout(sorted(pairs))
        rope.update(given)
        if given["pairing"] != output["pairing"]:
            rope["outputPairing"] = output["pairing"]
        if given["rotaryOffset"] != output["rotaryOffset"]:
            rope["outputOffset"] = output["rotaryOffset"]
    if turned is not None and turned.scale:
        rope["queryScale"] = scales(turned)
    if turned is None or turned_key is None or not same(turned.pairs, turned_key.pairs):
        if turned_key is None or not turned_key.pairs:
            rope["key"] = None
        elif rotated is turned:
            other = {"headDim": int(call.key.shape[-1]), **layout(turned_key.pairs)}
            alone = {**other, "frequencies": None} != {"headDim": rope["headDim"], **output, "frequencies": None}
            if alone or not near(other["frequencies"], output["frequencies"]):
                rope["key"] = other
    return rope, notes


def scales(turned) -> dict:
    return {str(position): float(f"{factor:.7g}") for position, factor in turned.scale.items()}


def same(one, two) -> bool:
    if len(one) != len(two):
        return False
    return all(a[0] == b[0] and a[1] == b[1] and abs(a[2] - b[2]) <= 1e-5 * abs(a[2]) + 1e-10 for a, b in zip(one, two))


def place(module: str) -> tuple[str, int] | None:
    found = re.search(r"^(.*?)\.?(\d+)(\.|$)", module)
    return (found.group(1), int(found.group(2))) if found else None


def plain_ids(config, repeat: int) -> torch.Tensor:
    """Ids of ordinary words."""
    special = {value for key, value in config.to_dict().items() if "token" in key and isinstance(value, int)}
    size = getattr(config, "vocab_size", VOCABULARY)
    limit = size if isinstance(size, int) else VOCABULARY
    own = [value for value in range(9, min(limit, VOCABULARY), 3) if value not in special] or list(range(limit))
    return torch.tensor((own * SAMPLES)[:SAMPLES]).repeat(repeat)[:, None]


def counted(model, config):
    """The model counts the positions itself."""
    steps = [step for step in STEPS if step < longest(config)]
    ids = plain_ids(config, 1).expand(SAMPLES, max(steps) + 1).contiguous()
    return forward(model, ids, None), steps, SAMPLES, steps


def run(model, config, axes: int | None = None, axis: int | None = None):
    """Returns the recording, the positions, the number of samples, the steps."""
    limit = longest(config)
    takes = arguments_of(model)
    if "position_ids" in takes:
        positions = [position for position in POSITIONS if position < limit]
        if limit <= POSITIONS[-1] and limit - 1 > positions[-1]:
            positions.append(limit - 1)
        ids = plain_ids(config, len(positions))
        given = torch.tensor(positions).repeat_interleave(SAMPLES)[:, None]
        if axes is not None:
            rows = [given if axis is None or index == axis else torch.zeros_like(given) for index in range(axes)]
            given = torch.stack(rows)
        return forward(model, ids, given), positions, SAMPLES, None
    return counted(model, config)


def examine(model, config, axes: bool = True) -> Result:
    result = examined(model, config, run(model, config), axes)
    if result.status == "none" and result.layers and "position_ids" in arguments_of(model):
        # Some classes take position_ids and count for themselves.
        again = examined(model, config, counted(model, config), False)
        if again.status == "rotates":
            again.notes.append("position_ids change nothing: it counts for itself")
            return again
    return result


def examined(model, config, ran, axes: bool) -> Result:
    found, positions, samples, steps = ran
    notes: list[str] = []
    if not found.calls:
        if found.softmaxes == 0:
            return Result("none", "it has no attention")
        raise NoModel("its attention was not seen")
    stacks: dict[str, dict[int, list]] = {}
    moved: list[str] = []
    for call in found.calls:
        if call.query.numel() == 0 or call.key.numel() == 0:
            continue
        where = place(call.module)
        stack, index = where if where is not None else (call.module, 0)
        rope, reason, said = None, None, []
        try:
            rope, said = read(found, call, positions, samples, steps)
        except NotLinear as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001
            reason = f"{type(error).__name__}: {error}"
        if reason is None and rope is None and wanders(heads_of(call.query, len(positions), samples, steps)):
            reason = "query and key change by no rotation"
        if reason is not None:
            moved.append(f"{call.module}: {reason}")
        notes.extend(said)
        stacks.setdefault(stack, {}).setdefault(index, []).append((call, rope, reason))
    result = Result("none")
    learned = [name for name, _ in model.named_parameters() if re.search(r"(^|\.)\w*(rope|rotary|softmax_scaling)\w*\.", name)]
    for name in sorted({re.sub(r"\d+", "*", name) for name in learned}):
        notes.append(f"learned, as initialised here: {name}")
    result.notes = sorted(set(notes))
    shaped: dict[str, list] = {}
    for stack, layers in stacks.items():
        size = max(max(layers) + 1, length_of(model, stack))
        entries: list = [None] * size
        for index, calls in layers.items():
            own = [rope for _, rope, _ in calls if rope is not None]
            different = []
            for rope in own:
                if not any(alike(rope, other) for other in different):
                    different.append(rope)
            if len(different) > 1:
                result.notes.append(f"{stack}.{index} has {len(different)} ropes")
            if different:
                entries[index] = different[0]
        shaped[stack] = entries
    if moved:
        result.notes.append(moved[0])
    if moved and all("zero or no number" in reason for reason in moved):
        raise NoModel("its query or key is zero or no number")
    if moved and not any(entry for entries in shaped.values() for entry in entries):
        result.status, result.reason = "absolute", f"query and key change with the position, and not by a rotation ({len(moved)} of {len(found.calls)} attentions)"
        return result
    main = pick(shaped)
    result.stacks = shaped
    result.main = main
    amplitudes(model, config, found, shaped, samples, steps, positions)
    if axes and steps is None:
        assign_axes(model, config, found, shaped, result)
    if any(entry and "frequencies" in entry for entries in shaped.values() for entry in entries):
        result.status = "rotates"
    for name, entries in shaped.items():
        marks = []
        for entry in entries:
            if entry is None:
                marks.append(None)
                continue
            for number, rope in enumerate(result.ropes):
                if alike(rope, entry):
                    marks.append(number)
                    break
            else:
                result.ropes.append(entry)
                marks.append(len(result.ropes) - 1)
        shaped[name] = marks
    result.layers = shaped[main]
    if found.indexers and steps is None:
        result.indexers = indexers(found, positions, samples, len(result.layers), result)
    return result


def indexers(found: Recording, positions: list[int], samples: int, layers: int, result: Result) -> list[int | None]:
    marks: list[int | None] = [None] * layers
    for call in found.indexers:
        where = place(call.module)
        if where is None or call.query.numel() == 0 or call.key.numel() == 0 or where[1] >= layers or marks[where[1]] is not None:
            continue
        try:
            rope, _ = read(found, call, positions, samples, None)
        except NotLinear as error:
            rope = applied_alone(found, call, positions, samples)
            if rope is None:
                result.notes.append(f"{call.module}: {error}")
        if rope is None:
            continue
        rope["indexer"] = True
        for number, other in enumerate(result.ropes):
            if alike(rope, other):
                marks[where[1]] = number
                break
        else:
            result.ropes.append(rope)
            marks[where[1]] = len(result.ropes) - 1
    return marks


def applied_alone(found: Recording, call: Attention, positions: list[int], samples: int) -> dict | None:
    """From the apply function alone, where the product sees a head that was mixed after the rope."""
    for module, _, before, after in found.applied:
        if not module.startswith(call.module) or before.numel() % (len(positions) * samples * before.shape[-1]):
            continue
        size = before.shape[-1]
        source = before.double().reshape(len(positions), -1, size).numpy()
        target = after.double().reshape(len(positions), -1, size).numpy()
        moved = order(source[0], target[0])
        if moved is None:
            continue
        places = [place for place, _ in moved]
        try:
            turned = turn(source[:, :, places], target, positions)
        except NotLinear:
            continue
        if turned is None or not turned.pairs:
            continue
        pairs = [(places[a], places[b], w) if places[a] < places[b] else (places[b], places[a], -w) for a, b, w in turned.pairs]
        return {"headDim": int(call.query.shape[-1]), **layout(sorted(pairs)), "sliceOnly": True}
    return None


def assign_axes(model, config, found: Recording, shaped: dict, result: Result) -> None:
    """Which axis of positions turns which pair: one axis moves, the others stay at 0."""
    for count in (3, 4, 2):
        try:
            together = run(model, config, count)[0]
        except Exception:  # noqa: BLE001 - the class takes no such positions
            continue
        if len(together.calls) != len(found.calls) or any(
            one.query.shape != two.query.shape or not torch.allclose(one.query, two.query, rtol=1e-4, atol=1e-5)
            for one, two in zip(found.calls, together.calls)
        ):
            continue
        result.axes = count
        done: list[dict] = []
        singles = [run(model, config, count, axis) for axis in range(count)]
        for index, call in enumerate(found.calls):
            where = place(call.module) or (call.module, 0)
            entry = shaped[where[0]][where[1]]
            if entry is None or "frequencies" not in entry or "axes" in entry:
                continue
            known = next((other for other in done if alike({**entry, "axes": other["axes"]}, other)), None)
            if known is not None:
                entry["axes"] = known["axes"]
                continue
            axis_of: dict[tuple[int, int], int] = {}
            try:
                for axis, (single, positions, samples, _) in enumerate(singles):
                    before, after, places, _ = seen(single, single.calls[index], single.calls[index].query, len(positions), samples, None)
                    turned = turn(before, after, positions)
                    for first, second, _ in turned.pairs if turned else []:
                        one, two = (places[first], places[second]) if places else (first, second)
                        pair = (min(one, two), max(one, two))
                        if pair in axis_of:
                            raise NotLinear(f"pair {pair} follows two axes")
                        axis_of[pair] = axis
                entry["axes"] = [axis_of.get(pair) for pair in pairs_of(entry)]
            except NotLinear as error:
                result.notes.append(f"axes: {error}")
                entry["axes"] = elements(singles, index)
            done.append(entry)
        return


def elements(singles, index: int) -> dict:
    """Where the two elements of a pair follow different axes: the axes of each element of the head, as it is written."""
    axes: list = []
    for axis, (single, positions, samples, _) in enumerate(singles):
        heads = heads_of(single.calls[index].query, len(positions), samples, None)
        moved = np.max(np.abs(heads - heads[:1]), axis=(0, 1, 2)) > 1e-6 * np.sqrt(np.mean(heads**2))
        axes = axes or [[] for _ in moved]
        for element in np.flatnonzero(moved):
            axes[element].append(axis)
    if all(one == axes[0] for one in axes):
        return {"unclear": True}
    return {"elements": axes}


def pairs_of(rope: dict) -> list[tuple[int, int]]:
    start, count = rope["rotaryOffset"], len(rope["frequencies"])
    if rope["pairing"] == "adjacent":
        return [(start + 2 * i, start + 2 * i + 1) for i in range(count)]
    if rope["pairing"] == "half":
        return [(start + i, start + i + count) for i in range(count)]
    return [tuple(pair) for pair in rope["pairs"]]


def wanders(heads: np.ndarray) -> bool:
    """Whether it changes with the position at all."""
    return bool(np.max(np.abs(heads - heads[:1])) > 1e-5 * np.sqrt(np.mean(heads**2)))


def length_of(model, stack: str) -> int:
    try:
        return len(model.get_submodule(stack)) if stack else 0
    except (AttributeError, TypeError):
        return 0


def alike(one: dict, two: dict) -> bool:
    keys = (set(one) | set(two)) - {"frequencies"}
    if any(one.get(key) != two.get(key) for key in keys):
        return False
    return near(one.get("frequencies", []), two.get("frequencies", []))


def near(one: list[float], two: list[float], share: float = 1e-5, least: float = 1e-10) -> bool:
    return len(one) == len(two) and all(abs(a - b) <= share * abs(a) + least for a, b in zip(one, two))


def pick(shaped: dict[str, list]) -> str:
    """The decoder, or the longest stack."""
    return sorted(shaped, key=lambda name: (not any(shaped[name]), "decoder" not in name, -len(shaped[name]), name))[0]


def amplitudes(model, config, found, shaped, samples, steps, positions) -> None:
    """The attention factor of each layer: what the query loses if `attention_scaling` of every rotary module is 1."""
    touched = []
    for module in model.modules():
        for name, value in list(vars(module).items()):
            if name.endswith("attention_scaling") and isinstance(value, (int, float)) and value != 1:
                touched.append((module, name, value))
    if not touched:
        return
    for module, name, _ in touched:
        setattr(module, name, 1.0)
    try:
        bare = (run if steps is None else counted)(model, config)[0]
    finally:
        for module, name, value in touched:
            setattr(module, name, value)
    count = len(positions)
    for call, other in zip(found.calls, bare.calls):
        where = place(call.module) or (call.module, 0)
        entry = shaped[where[0]][where[1]]
        if entry is None or "frequencies" not in entry:
            continue
        factors = seen(found, call, call.query, count, samples, steps)[3]
        bare_factors = seen(bare, other, other.query, count, samples, steps)[3]
        if factors is not None and bare_factors is not None:
            ratio = factors / bare_factors
        else:
            big, small = heads_of(call.query, count, samples, steps)[0], heads_of(other.query, count, samples, steps)[0]
            ratio = np.linalg.norm(big, axis=(0, 1)) / np.linalg.norm(small, axis=(0, 1))
        factor = float(ratio[np.argmax(np.abs(ratio - 1))])
        if abs(factor - 1) > 2e-4:
            entry["attentionFactor"] = float(f"{factor:.7g}")

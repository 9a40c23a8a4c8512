"""What the two serving engines, vLLM and SGLang, have in common: a rope is made by their get_rope and asked by turning
unit vectors, so that table, indexing and rotation are all the engine's."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from .paths import FIXTURES
from .sampling import GRID, POSITIONS, ROTATED_POSITIONS, cos_sin_of, heads, sampled_pairs, unit_heads
from .scenarios import Scenario, camel
from .writing import exact, pack, write

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass
class Case:
    scenario: Scenario
    settings: dict  # what get_rope was given
    make: Callable  # dtype -> rope
    note: str | None = None
    equivalent: dict | None = None
    length: int | None = None
    positions: list | None = None
    axes: int = 1
    parameters: dict | None = None
    offset: int = 0
    rotated: bool = False
    turn: Callable | None = None
    more: dict = field(default_factory=dict)


def turn(rope, x: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """x: [tokens, heads, headDim]. Query and key get the same numbers and must get the same answer."""
    tokens, _, head_dim = x.shape
    flat = x.reshape(tokens, -1)
    given = (x.clone(), x.clone()) if "Deepseek" in type(rope).__name__ else (flat.clone(), flat.clone())
    query, key = rope(positions, *given)
    query, key = query.reshape(x.shape), key.reshape(x.shape)
    assert torch.equal(query, key) and query.dtype == x.dtype
    return query


def bits(x: torch.Tensor) -> str:
    return pack(x.contiguous().view(torch.int16).numpy() if x.dtype == torch.bfloat16 else x.contiguous().numpy())


def fixture(name: str, case: Case, source: dict, dialect: str, entry: str) -> dict:
    scenario = case.scenario
    head_dim, rotary, pairing, offset = scenario.head_dim, scenario.rotary, scenario.pairing, case.offset
    rope = case.make(torch.float32)
    rotate = case.turn or turn
    if case.axes > 1:
        positions = GRID[: case.axes]
    elif case.positions is not None:
        positions = case.positions
    else:
        positions = [p for p in POSITIONS if p < table_rows(rope)]
    where = torch.tensor(positions, dtype=torch.long)
    unit = torch.from_numpy(unit_heads(where.shape[-1], head_dim, rotary, pairing, offset))
    cos, sin = cos_sin_of(rotate(rope, unit, where).numpy(), rotary, pairing, offset)
    result = {
        "source": source,
        "name": name,
        "entry": f"{entry} -> {type(rope).__name__}",
        "settings": case.settings,
        "request": scenario.request(dialect=dialect),
    }
    if case.parameters is not None:
        result["request"]["parameters"] = case.parameters
    if offset:
        result["request"]["rotaryOffset"] = offset
    if case.equivalent is not None:
        result["equivalent"] = case.equivalent
    if scenario.model:
        result["model"] = scenario.model
    if case.note:
        result["note"] = case.note
    if case.length is not None:
        result["length"] = case.length
    amplitude = getattr(rope, "mscale", None)
    if amplitude is not None:
        result["attentionFactor"] = amplitude
    result.update(case.more)
    if case.axes > 1:
        axis_of_pair = np.full(rotary // 2, -1)
        for axis in range(case.axes):
            alone = torch.zeros_like(where)
            alone[axis] = 1
            moved = cos_sin_of(rotate(rope, unit, alone).numpy(), rotary, pairing, offset)[1][0] != 0
            assert (axis_of_pair[moved] == -1).all()
            axis_of_pair[moved] = axis
        assert (axis_of_pair >= 0).all()
        result["axisOfPair"] = axis_of_pair.tolist()
        pairs = list(range(rotary // 2))
    else:
        near = positions.index(1) if 1 in positions else 0
        pairs = sampled_pairs(np.arctan2(sin[near], cos[near]), None)
    result["positions"] = positions
    result["pairs"] = pairs
    result["cos"] = [exact(row) for row in cos[:, pairs]]
    result["sin"] = [exact(row) for row in sin[:, pairs]]
    if case.rotated:
        at = [positions.index(p) for p in ROTATED_POSITIONS if p in positions] if case.axes == 1 else [2, 3]
        result["rotated"] = []
        for dtype, kind in DTYPES.items():
            tokens = at if dtype == "float32" else at[-2:]
            before = torch.from_numpy(heads(len(tokens), 2, head_dim)).to(kind)
            after = rotate(case.make(kind), before, where[..., tokens])
            result["rotated"].append({
                "dtype": dtype, "tokens": tokens, "shape": list(after.shape), "input": bits(before), "output": bits(after),
            })
    return result


def table_rows(rope) -> int:
    for name in ("cos_sin_cache", "long_short_cos_sin_cache"):
        table = getattr(rope, name, None)
        if table is not None:
            return len(table)
    return 1 << 62


def run(engine: str, cases: dict, refused: dict, source: Callable, entry: str, names: list[str] | None) -> None:
    torch.set_num_threads(1)
    for name, case in cases.items():
        if names and name not in names:
            continue
        made = case(name) if callable(case) else fixture(name, case, source(name), engine, entry)
        print(f"{name}: {write(FIXTURES / engine / f'{name}.json', made)} bytes")
    if not names:
        messages = {}
        for name, attempt in refused.items():
            try:
                attempt()
            except Exception as error:  # the message is what is recorded
                messages[name] = f"{type(error).__name__}: {error}"
            else:
                raise AssertionError(f"{engine} no longer refuses {name}")
        write(FIXTURES / f"{engine}-refused.json", {"source": source("all"), "refused": messages})


__all__ = ["Case", "camel", "run"]

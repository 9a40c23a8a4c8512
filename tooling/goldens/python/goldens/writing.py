"""Fixture files: objects over several lines, lists of numbers on one line, the same bytes on every run."""

import base64
import json
from pathlib import Path

import numpy as np


def exact(values) -> list:
    """float32 values as the doubles they widen to: JSON and back gives the same float32."""
    return np.asarray(values, dtype=np.float32).astype(np.float64).tolist()


def pack(array: np.ndarray) -> str:
    """Little-endian bytes as base64."""
    array = np.ascontiguousarray(array)
    if array.dtype.byteorder == ">":
        array = array.byteswap().view(array.dtype.newbyteorder())
    return base64.b64encode(array.tobytes()).decode("ascii")


def _is_flat(value) -> bool:
    return not isinstance(value, (dict, list))


def text_of(value, depth: int = 0) -> str:
    pad, inner = "  " * depth, "  " * (depth + 1)
    if isinstance(value, dict):
        if not value:
            return "{}"
        if len(value) <= 6 and all(_is_flat(v) for v in value.values()) and depth > 1 and len(json.dumps(value)) < 100:
            return json.dumps(value, ensure_ascii=False)
        lines = [f"{inner}{json.dumps(k)}: {text_of(v, depth + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{pad}}}"
    if isinstance(value, list):
        if all(_is_flat(v) for v in value):
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return "[\n" + ",\n".join(inner + text_of(v, depth + 1) for v in value) + f"\n{pad}]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def write(path: Path, value: dict) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = text_of(value) + "\n"
    path.write_text(text, encoding="utf-8")
    return len(text)

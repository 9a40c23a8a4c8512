"""One line of JSON per entry, sorted."""

import json


def line(value) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def block(entries: dict) -> str:
    return "{\n" + ",\n".join(f"    {line(key)}: {line(value)}" for key, value in entries.items()) + "\n  }"


def text(result: dict) -> str:
    return (
        "{\n"
        + f'  "source": {line(result["source"])},\n'
        + f'  "frequencies": {block(result["frequencies"])},\n'
        + f'  "models": {block(result["models"])}\n'
        + "}\n"
    )

"""onnxruntime's rotary operators on its CPU provider: rotation alone, tables go in."""

import platform

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from .paths import FIXTURES
from .writing import pack, write

ROWS = 64
KINDS = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.float16): TensorProto.FLOAT16, np.dtype(np.int64): TensorProto.INT64}
HEAD, BATCH, HEADS, TOKENS = 16, 2, 3, 4
TEXT = np.array([[0, 1, 27, 63], [5, 4, 4, 50]], dtype=np.int64)
AXES = np.array([
    [[5, 5, 9, 63], [0, 1, 1, 1]], [[5, 7, 12, 31], [0, 1, 2, 3]], [[5, 11, 10, 2], [0, 4, 5, 6]],
], dtype=np.int64)

# name: operator, attributes, dtype, positions, rotary width, tensor layout
CASES = {}
for interleaved, pairing in ((0, "half"), (1, "adjacent")):
    CASES[f"contrib-{pairing}"] = ("RotaryEmbedding", {"interleaved": interleaved}, np.float32, TEXT, HEAD, 4)
    CASES[f"contrib-{pairing}-float16"] = ("RotaryEmbedding", {"interleaved": interleaved}, np.float16, TEXT, HEAD, 4)
    CASES[f"contrib-{pairing}-partial"] = (
        "RotaryEmbedding", {"interleaved": interleaved, "rotary_embedding_dim": 8, "num_heads": HEADS}, np.float32, TEXT, 8, 3)
    CASES[f"onnx-{pairing}"] = ("ai.onnx RotaryEmbedding", {"interleaved": interleaved}, np.float32, TEXT, HEAD, 4)
    for layout, name in ((0, "sectioned"), (1, "cyclic")):
        CASES[f"mrope-{name}-{pairing}"] = (
            "MRotaryEmbedding", {"interleaved": interleaved, "mrope_layout": layout, "mrope_section": [4, 2, 2]},
            np.float32, AXES, HEAD, 4)
CASES["contrib-offset"] = ("RotaryEmbedding", {"interleaved": 0}, np.float32, np.array([7], dtype=np.int64), HEAD, 4)
CASES["contrib-scale"] = ("RotaryEmbedding", {"interleaved": 0, "scale": 0.5}, np.float32, TEXT, HEAD, 4)
CASES["mrope-partial"] = (
    "MRotaryEmbedding",
    {"interleaved": 0, "mrope_layout": 0, "mrope_section": [1, 2, 1], "rotary_embedding_dim": 8, "num_heads": HEADS},
    np.float32, AXES, 8, 3)
NOTES = {
    "contrib-offset": "position_ids of one element: the position of the first token of every row",
    "contrib-scale": "scale is in the schema; the processor's kernel does not read it",
}


def model_of(name: str, feeds: dict):
    operator, attributes, *_ = CASES[name]
    domain = "" if operator.startswith("ai.onnx") else "com.microsoft"
    order = ["X", "cos", "sin", "positions"] if not domain else ["X", "positions", "cos", "sin"]
    node = helper.make_node(operator.split(" ")[-1], order, ["Y"], domain=domain, **attributes)
    inputs = [helper.make_tensor_value_info(key, KINDS[feeds[key].dtype], feeds[key].shape) for key in order]
    output = helper.make_tensor_value_info("Y", KINDS[feeds["X"].dtype], feeds["X"].shape)
    opsets = [helper.make_opsetid("", 23)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(helper.make_graph([node], "rotary", inputs, [output]), opset_imports=opsets, ir_version=10)


def answer(name: str, positions=None, sections=None):
    operator, attributes, dtype, where, width, rank = CASES[name]
    generator = np.random.Generator(np.random.PCG64(23))
    data = generator.standard_normal((BATCH, HEADS, TOKENS, HEAD)).astype(dtype)
    if rank == 3:
        data = np.ascontiguousarray(data.transpose(0, 2, 1, 3)).reshape(BATCH, TOKENS, HEADS * HEAD)
    angles = np.arange(ROWS)[:, None] * (10000.0 ** (-np.arange(0, width, 2) / width))[None, :]
    feeds = {"X": data, "positions": where if positions is None else positions, "cos": np.cos(angles).astype(dtype),
             "sin": np.sin(angles).astype(dtype)}
    if sections is not None:
        attributes["mrope_section"] = sections
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model_of(name, feeds).SerializeToString(), options, providers=["CPUExecutionProvider"])
    (out,) = session.run(None, feeds)
    assert out.dtype == data.dtype and out.shape == data.shape
    return feeds, out


def source(name: str) -> dict:
    return {
        "engine": "microsoft/onnxruntime, CPU provider",
        "version": onnxruntime.__version__,
        "onnx": onnx.__version__,
        "machine": platform.machine(),
        "command": f"python -m goldens onnxruntime --name {name}",
    }


def tensor(array: np.ndarray) -> dict:
    return {"shape": list(array.shape), "data": pack(array)}


def fixture(name: str) -> dict:
    operator, attributes, dtype, positions, width, rank = CASES[name]
    feeds, out = answer(name)
    result = {
        "source": source(name),
        "name": name,
        "operator": operator if operator.startswith("ai.onnx") else f"com.microsoft {operator}",
        **({"note": NOTES[name]} if name in NOTES else {}),
        "attributes": attributes,
        "headDim": HEAD,
        "rotaryDim": width,
        "pairing": "adjacent" if attributes["interleaved"] else "half",
        "dtype": np.dtype(dtype).name,
        "layout": "[batch, tokens, heads * headDim]" if rank == 3 else "[batch, heads, tokens, headDim]",
        "heads": HEADS,
    }
    if operator == "MRotaryEmbedding":
        # Which axis a pair follows: the only one whose position changes anything in the pair.
        axis_of_pair = np.full(width // 2, -1)
        for axis in range(3):
            alone = np.zeros_like(positions)
            alone[axis] = 1
            turned = answer(name, alone)[1] != feeds["X"]
            turned = turned.reshape(BATCH, TOKENS, HEADS, HEAD)[0, 0, 0] if rank == 3 else turned[0, 0, 0]
            turned = turned[:width]
            moved = turned[0::2] if attributes["interleaved"] else turned[: width // 2]
            assert (axis_of_pair[moved] == -1).all()
            axis_of_pair[moved] = axis
        assert (axis_of_pair >= 0).all()
        result["axisOfPair"] = axis_of_pair.tolist()
    result.update({
        "positions": positions.tolist(),
        "cosCache": tensor(feeds["cos"]),
        "sinCache": tensor(feeds["sin"]),
        "input": tensor(feeds["X"]),
        "output": tensor(out),
    })
    return result


def refused() -> dict:
    beyond, below = TEXT.copy(), TEXT.copy()
    beyond[1, 2], below[0, 1] = ROWS, -1
    return {
        "contrib: a position past the table": lambda: answer("contrib-half", beyond),
        "contrib: a negative position": lambda: answer("contrib-half", below),
        "ai.onnx: a position past the table": lambda: answer("onnx-half", beyond),
        "mrope: a position past the table": lambda: answer("mrope-sectioned-half", np.where(AXES == 63, ROWS, AXES)),
    }


def run(names: list[str] | None) -> None:
    for name in CASES:
        if names and name not in names:
            continue
        print(f"{name}: {write(FIXTURES / 'onnxruntime' / f'{name}.json', fixture(name))} bytes")
    if not names:
        messages = {}
        for name, attempt in refused().items():
            try:
                attempt()
                messages[name] = None  # no error: it answered
            except Exception as error:  # the message is what is recorded
                messages[name] = f"{type(error).__name__}: {error}"
        write(FIXTURES / "onnxruntime-refused.json", {"source": source("all"), "refused": messages})
        print(messages)

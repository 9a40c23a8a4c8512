"""The ONNX reference evaluator: the operator's own definition, in numpy. And the operator's node tests, of the package."""

import platform

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.backend.test.case import node as node_tests
from onnx.backend.test.case.node.rotaryembedding import RotaryEmbedding
from onnx.reference import ReferenceEvaluator

from .paths import FIXTURES
from .writing import pack, write

CACHE_ROWS = 300
# name: (interleaved, head size, rotary_embedding_dim, 3-D input, positions given)
CASES = {
    "half-4d": (0, 16, 0, False, True),
    "adjacent-4d": (1, 16, 0, False, True),
    "half-3d": (0, 16, 0, True, True),
    "adjacent-3d": (1, 16, 0, True, True),
    "half-partial-4d": (0, 16, 8, False, True),
    "adjacent-partial-4d": (1, 16, 8, False, True),
    "half-partial-3d": (0, 16, 8, True, True),
    "adjacent-partial-3d": (1, 16, 8, True, True),
    "half-no-positions-4d": (0, 16, 0, False, False),
    "adjacent-no-positions-4d": (1, 16, 0, False, False),
}


def tensor(array: np.ndarray) -> dict:
    return {"shape": list(array.shape), "data": pack(array.astype("<f4"))}


def case(name: str) -> dict:
    interleaved, head, rotary, flat, with_positions = CASES[name]
    batch, heads, tokens = 2, 3, 4
    width = rotary or head
    generator = np.random.Generator(np.random.PCG64(23))
    data = generator.standard_normal((batch, heads, tokens, head)).astype(np.float32)
    if flat:
        data = np.ascontiguousarray(data.transpose(0, 2, 1, 3)).reshape(batch, tokens, heads * head)
    angles = np.arange(CACHE_ROWS)[:, None] * (10000.0 ** (-np.arange(0, width, 2) / width))[None, :]
    cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    positions = np.array([[0, 1, 127, 257], [5, 4, 4, 299]], dtype=np.int64)
    feeds = {"X": data, "cos_cache": cos, "sin_cache": sin, "position_ids": positions}
    if not with_positions:
        feeds.update(cos_cache=cos[positions], sin_cache=sin[positions])
        del feeds["position_ids"]
    attributes = {"interleaved": interleaved, "rotary_embedding_dim": rotary, "num_heads": heads if flat else 0}
    node = helper.make_node("RotaryEmbedding", list(feeds), ["Y"], **attributes)
    types = {"position_ids": TensorProto.INT64}
    inputs = [helper.make_tensor_value_info(k, types.get(k, TensorProto.FLOAT), v.shape) for k, v in feeds.items()]
    output = helper.make_tensor_value_info("Y", TensorProto.FLOAT, data.shape)
    graph = helper.make_graph([node], "rotary", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
    onnx.checker.check_model(model)
    (rotated,) = ReferenceEvaluator(model).run(None, feeds)
    assert rotated.dtype == np.float32 and rotated.shape == data.shape
    return {
        "source": {
            "engine": "onnx reference evaluator, RotaryEmbedding opset 23",
            "version": onnx.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "command": "python -m goldens onnx",
        },
        "name": name,
        "attributes": attributes,
        "headDim": head,
        "rotaryDim": width,
        "pairing": "adjacent" if interleaved else "half",
        "layout": "[batch, tokens, heads * headDim]" if flat else "[batch, heads, tokens, headDim]",
        "heads": heads,
        "positions": positions.tolist() if with_positions else None,
        "cosCache": tensor(feeds["cos_cache"]),
        "sinCache": tensor(feeds["sin_cache"]),
        "input": tensor(data),
        "output": tensor(rotated),
    }


def node_test(export) -> dict:
    """One node test. Its numbers are random and come without a seed, so they get one here."""
    # Made when the module is imported, without a seed: made again.
    node_tests._NodeTestCases.clear()
    node_tests._existing_names.clear()
    np.random.seed(23)
    export()
    # The second one has the same numbers, and the operator written out as a graph.
    test, expanded = node_tests._NodeTestCases
    (inputs, (output,)), (inputs_again, (output_again,)) = test.data_sets[0], expanded.data_sets[0]
    assert expanded.name == f"{test.name}_expanded" and np.array_equal(output, output_again)
    assert all(np.array_equal(a, b) for a, b in zip(inputs, inputs_again, strict=True))
    (node,) = test.model.graph.node
    attributes = {"interleaved": 0, "rotary_embedding_dim": 0, "num_heads": 0}
    attributes |= {attribute.name: attribute.i for attribute in node.attribute}
    data, cos, sin, *positions = inputs
    flat = data.ndim == 3
    heads = attributes["num_heads"] if flat else data.shape[1]
    head = data.shape[2] // heads if flat else data.shape[3]
    (rotated,) = ReferenceEvaluator(test.model).run(None, dict(zip(node.input, inputs, strict=False)))
    assert np.array_equal(rotated, output)
    return {
        "source": {
            "engine": "onnx node tests, RotaryEmbedding opset 23",
            "version": onnx.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "command": "python -m goldens onnx",
        },
        "name": test.name,
        "attributes": attributes,
        "headDim": head,
        "rotaryDim": attributes["rotary_embedding_dim"] or head,
        "pairing": "adjacent" if attributes["interleaved"] else "half",
        "layout": "[batch, tokens, heads * headDim]" if flat else "[batch, heads, tokens, headDim]",
        "heads": heads,
        "positions": positions[0].tolist() if positions else None,
        "cosCache": tensor(cos),
        "sinCache": tensor(sin),
        "input": tensor(data),
        "output": tensor(output),
    }


def run() -> None:
    exports = [getattr(RotaryEmbedding, name) for name in sorted(dir(RotaryEmbedding)) if name.startswith("export")]
    for answer in [*map(case, CASES), *map(node_test, exports)]:
        name = answer["name"]
        size = write(FIXTURES / "onnx" / f"{name}.json", answer)
        print(f"{name}: {size} bytes")

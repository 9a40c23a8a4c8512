"""What llama.cpp rotates in each architecture: which layers, which elements, in which pairs, by which angles.

libllama builds each architecture out of metadata alone, with tiny sizes and random weights, and decodes two tokens. The
eval callback reads the parameters of every ROPE operator of that graph. ggml's own operator with these parameters then
turns unit vectors, which shows pairs, angles, amplitude and axes. Nothing here computes a rope.

`LLAMA_CPP_PYTHON` names the unpacked source archive of llama-cpp-python, `GGML_LIBRARIES` the folder of its built
libraries (tooling/goldens/python/README.md says how)."""

import argparse
import ctypes
import json
import os
import re
import signal
import sys
import tempfile
from pathlib import Path

import numpy as np

from .llama_cpp_metadata import CASES, EMBEDDING, FROM_FILE, ONE_TOKEN, TARGETS, TENSORS, WITH_FEATURES, metadata_of, skipped

HERE = Path(__file__).resolve()
# Seconds. A graph takes a tenth of one, a model out of a file ten; some never end.
LONGEST = 60
RESULTS = HERE.parents[2] / "results" / "llama.cpp.json"
SOURCE = Path(os.environ.get("LLAMA_CPP_PYTHON", "."))
os.environ["LLAMA_CPP_LIB_PATH"] = os.environ.get("GGML_LIBRARIES", ".")
sys.path[:0] = [str(SOURCE), str(HERE.parents[3] / "goldens" / "python")]

from goldens.ggml_run import BUILD, IMROPE, MODES, MROPE, InitParams, Library, Tensor  # noqa: E402
from llama_cpp import llama_cpp as bindings  # noqa: E402

# 64-bit lists.
WIDE = (".layer_multipliers", ".head_offsets", ".head_vocab_sizes")


def architectures() -> list[str]:
    """Every name that the loader knows, in its own order."""
    text = (SOURCE / "vendor/llama.cpp/src/llama-arch.cpp").read_text(encoding="utf-8")
    table = text.split("LLM_ARCH_NAMES = {")[1].split("};")[0]
    return [name for name in re.findall(r'LLM_ARCH_\w+,\s*"([^"]+)"', table) if name != "(unknown)"]


class Engine:
    def __init__(self) -> None:
        self.ggml = Library()
        base = self.ggml.base
        text, pointer, size = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t
        for name, result, arguments in [
            ("ggml_op_name", text, [ctypes.c_int]),
            ("ggml_backend_tensor_set", None, [pointer, pointer, size, size]),
            ("ggml_set_name", pointer, [pointer, text]),
            ("gguf_add_tensor", None, [pointer, pointer]),
            ("gguf_write_to_file", ctypes.c_bool, [pointer, text, ctypes.c_bool]),
            ("gguf_init_empty", pointer, []),
            ("gguf_set_val_u32", None, [pointer, text, ctypes.c_uint32]),
            ("gguf_set_val_f32", None, [pointer, text, ctypes.c_float]),
            ("gguf_set_val_bool", None, [pointer, text, ctypes.c_bool]),
            ("gguf_set_val_str", None, [pointer, text, text]),
            ("gguf_set_arr_data", None, [pointer, text, ctypes.c_int, pointer, size]),
            ("gguf_set_arr_str", None, [pointer, text, ctypes.POINTER(text), size]),
        ]:
            self.ggml.signature(getattr(base, name), result, arguments)

    def header(self, values: dict):
        base = self.ggml.base
        context = base.gguf_init_empty()
        for key, value in values.items():
            name = key.encode()
            if isinstance(value, bool):
                base.gguf_set_val_bool(context, name, value)
            elif isinstance(value, int):
                base.gguf_set_val_u32(context, name, value)
            elif isinstance(value, float):
                base.gguf_set_val_f32(context, name, value)
            elif isinstance(value, str):
                base.gguf_set_val_str(context, name, value.encode())
            elif isinstance(value[0], str):
                words = (ctypes.c_char_p * len(value))(*[word.encode() for word in value])
                base.gguf_set_arr_str(context, name, words, len(value))
            else:
                kind, dtype = (7, np.bool_) if isinstance(value[0], bool) else (6, np.float32)
                if isinstance(value[0], int) and not isinstance(value[0], bool):
                    kind, dtype = (10, np.uint64) if key.endswith(WIDE) else (4, np.uint32)
                array = np.asarray(value, dtype=dtype)
                base.gguf_set_arr_data(context, name, kind, array.ctypes.data, len(array))
        return context

    def from_file(self, values: dict, tensors: dict):
        """A model out of a file whose tensors the loader's own messages name: first a name, then a shape."""
        base = self.ggml.base
        said: list[str] = []

        @bindings.llama_log_callback
        def listen(level, text, _):
            said.append(text.decode())

        bindings.llama_log_set(listen, None)
        self.listener = listen  # in use as long as the library logs
        shapes: dict[str, list[int]] = {}
        random = np.random.default_rng(11)
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "model.gguf").encode()
            while True:
                header, memory = self.header(values), base.ggml_init(InitParams(64 << 20, None, False))
                for name, shape in shapes.items():
                    count = int(np.prod(shape))
                    given = tensors.get(name, [1.0] if name.startswith("rope_") else None)
                    array = random.standard_normal(count) * 0.05 if given is None else np.resize(given, count)
                    tensor = self.ggml.tensor(memory, array.astype(np.float32).reshape(shape[::-1]))
                    base.ggml_set_name(tensor, name.encode())
                    base.gguf_add_tensor(header, tensor)
                base.gguf_write_to_file(header, path, False)
                base.ggml_free(memory)
                said.clear()
                model = bindings.llama_model_load_from_file(path, bindings.llama_model_default_params())
                if model:
                    return model, set(shapes)
                text = "".join(said)
                missing = re.search(r"(?:missing tensor |tensor )'([^']+)'(?: not found)?\n", text)
                wrong = re.search(r"tensor '([^']+)' has wrong shape; expected ([\d, ]+), got", text)
                if missing and missing[1] not in shapes:
                    before = re.sub(r"(?<=blk\.)\d+", lambda layer: str(int(layer[0]) - 1), missing[1])
                    shapes[missing[1]] = shapes.get(before, [1])
                elif wrong:
                    shapes[wrong[1]] = [int(number) for number in wrong[2].split(",")]
                else:
                    sys.stderr.write(text)
                    return None, set()

    def ropes(self, values: dict, tensors: dict, n_ctx: int) -> tuple[int, list[str], list[dict]]:
        """The number of layers, the tensors of factors that the loader asks for, and every ROPE operator that runs."""
        seen: list[dict] = []
        created: set[str] = set()
        base = self.ggml.base
        random = np.random.default_rng(11)

        @bindings.llama_model_set_tensor_data_t
        def fill(pointer, _):
            tensor = ctypes.cast(pointer, ctypes.POINTER(Tensor)).contents
            name = tensor.name.decode()
            count = int(np.prod(tensor.ne[:]))
            if tensor.type not in (0, 1):
                raise TypeError(f"{name} has type {tensor.type}")
            given = tensors.get(name)
            array = np.resize(given, count) if given is not None else random.standard_normal(count) * 0.05
            if name.startswith("rope_"):
                created.add(name)
                array = array if given is not None else np.ones(count)
            if "ssm_a" in name:
                array = -np.abs(array)
            array = array.astype(np.float32 if tensor.type == 0 else np.float16)
            base.ggml_backend_tensor_set(pointer, array.ctypes.data, 0, array.nbytes)

        @bindings.ggml_backend_sched_eval_callback
        def watch(pointer, ask, _):
            tensor = ctypes.cast(pointer, ctypes.POINTER(Tensor)).contents
            if not base.ggml_op_name(tensor.op).startswith(b"ROPE"):
                return not ask
            if ask:
                return True
            seen.append(operator_of(tensor, base.ggml_op_name(tensor.op).decode()))
            return True

        name = values["general.architecture"]
        model_params = bindings.llama_model_default_params()
        if name in FROM_FILE:
            model, created = self.from_file(values, tensors)
        else:
            model = bindings.llama_model_init_from_user(self.header(values), fill, None, model_params)
        if not model:
            raise RuntimeError("the loader refuses the metadata")
        asked = sorted(created)
        params = bindings.llama_context_default_params()
        params.n_ctx, params.n_seq_max = n_ctx, 1
        params.n_threads = params.n_threads_batch = 1
        params.cb_eval = watch
        tokens = 1 if name in ONE_TOKEN else 2
        if tokens == 1:
            params.n_batch = params.n_ubatch = 1
        if name in TARGETS:
            other = metadata_of(TARGETS[name], "plain")[0]
            target = bindings.llama_model_init_from_user(self.header(other), fill, None, model_params)
            plain = bindings.llama_context_default_params()
            plain.n_ctx, plain.n_seq_max = n_ctx, 1
            params.ctx_other = bindings.llama_init_from_model(target, plain)
        params.embeddings = name in EMBEDDING
        context = bindings.llama_init_from_model(model, params)
        if not context:
            raise RuntimeError("no context can be made")
        batch = bindings.llama_batch_init(2, 0, 1)
        if name in WITH_FEATURES:
            features = (ctypes.c_float * (2 * bindings.llama_model_n_embd_inp(model)))(*[0.1])
            batch.embd = ctypes.cast(features, type(batch.embd))
        batch.n_tokens = tokens
        for index in range(tokens):
            batch.token[index], batch.pos[index], batch.n_seq_id[index] = 5 + index, index, 1
            batch.seq_id[index][0], batch.logits[index] = 0, 1
        if bindings.llama_model_has_encoder(model) and name not in TARGETS:
            if bindings.llama_encode(context, batch) != 0:
                raise RuntimeError("encoding fails")
        if bindings.llama_model_has_decoder(model) or name in TARGETS:
            if bindings.llama_decode(context, batch) != 0:
                raise RuntimeError("decoding fails")
        return values[f"{name}.block_count"], asked, seen


def layer_of(tensor: Tensor) -> int | None:
    """From the node's name; else from the nearest weight that it is computed from."""
    named = re.search(r"-(\d+)(?: \(.*\))?$", tensor.name.decode())
    if named:
        return int(named[1])
    front, known = [tensor], set()
    while front:
        behind = []
        for node in front:
            weight = re.match(r"(?:blk|cache_[kv]_l)\D(\d+)", node.name.decode())
            if weight:
                return int(weight[1])
            for source in [*node.src[:3], ctypes.cast(node.view_src, ctypes.POINTER(Tensor)) if node.view_src else None]:
                if source and ctypes.addressof(source.contents) not in known:
                    known.add(ctypes.addressof(source.contents))
                    behind.append(source.contents)
        front = behind
    return None


def operator_of(tensor: Tensor, op: str) -> dict:
    p = tensor.op_params

    def real(at: int) -> float:
        return ctypes.c_float.from_buffer_copy(ctypes.c_int32(p[at])).value

    # Tensors that no case names hold ones, which changes no angle.
    factors = tensor.src[2]
    list_of_factors = np.ctypeslib.as_array(
        ctypes.cast(factors.contents.data, ctypes.POINTER(ctypes.c_float)), (p[1] // 2,)).tolist() if factors else []
    turned = tensor.src[0].contents
    return {
        "op": op, "name": re.sub(r"-\d+$", "", tensor.name.decode()), "layer": layer_of(tensor),
        "width": turned.ne[0], "n_dims": p[1], "mode": p[2], "n_ctx_orig": p[4], "freq_base": real(5),
        "freq_scale": real(6), "ext_factor": real(7), "attn_factor": real(8), "beta_fast": real(9), "beta_slow": real(10),
        "sections": list(p[11:15]), "n_offs": p[15],
        "freq_factors": list_of_factors if any(factor != 1 for factor in list_of_factors) else None,
    }


def measured(ggml: Library, operator: dict) -> dict:
    """What the operator does to a head at position 1: found by turning each unit vector."""
    width, mode = operator["width"], operator["mode"]
    is_multi = mode in (MROPE, IMROPE)
    settings = {**operator}
    if not is_multi:
        settings.pop("sections")
    units = np.eye(width, dtype=np.float32)[:, None, :]

    def turned(axes: list[int]) -> np.ndarray:
        at = np.zeros((4, width), dtype=np.int32)
        at[axes] = 1
        return ggml.rope(units, at if is_multi else at[0], settings)[:, 0, :].astype(np.float64)

    matrix = turned([0, 1, 2, 3])
    still = turned([])
    amplitude = float(np.float32(still.max()))
    moved = [e for e in range(width) if matrix[e, e] != 1 or np.count_nonzero(matrix[e]) != 1]
    pairs = []
    for first in moved:
        for second in np.flatnonzero(matrix[first]):
            if second > first:
                pairs.append((first, int(second)))
    # An angle may be so small that its sine rounds to 0 or its cosine to 1; no case here has one.
    assert 2 * len(pairs) == len(moved) and {e for pair in pairs for e in pair} == set(moved), "not a rotation of pairs"
    offset, count = moved[0], len(pairs)
    half = [(offset + i, offset + i + count) for i in range(count)]
    adjacent = [(offset + 2 * i, offset + 2 * i + 1) for i in range(count)]
    pairing = "half" if pairs == half else "adjacent" if pairs == adjacent else "other"
    angles = [float(f"{np.arctan2(matrix[i, j], matrix[i, i]):.8g}") for i, j in pairs]
    result = {"offset": offset, "pairing": pairing, "amplitude": float(f"{amplitude:.8g}"), "angles": angles}
    if is_multi:
        axis_of_pair = [-1] * count
        for axis in range(4):
            alone = turned([axis])
            for index, (i, j) in enumerate(pairs):
                if alone[i, j] != 0:
                    assert axis_of_pair[index] == -1
                    axis_of_pair[index] = axis
        result["axes"] = axis_of_pair
    return result


def main_and_other(ran: list[dict]) -> tuple[list[dict], list[dict]]:
    """The ropes of queries and keys; and those of indexers, compressors and outputs. Graphs name the former."""
    named = {(rope["layer"], rope["width"]) for rope in ran if not rope["name"].startswith("node_")}
    layers = {layer for layer, _ in named}

    def is_other(rope: dict) -> bool:
        return rope["op"] != "ROPE" or bool(re.search(r"indexer|lid_|compress|derope", rope["name"])) or (
            rope["name"].startswith("node_") and rope["layer"] in layers and (rope["layer"], rope["width"]) not in named)

    return [r for r in ran if not is_other(r)], [r for r in ran if is_other(r)]


def key_of(operator: dict) -> str:
    return json.dumps({key: value for key, value in operator.items() if key != "measured"}, sort_keys=True)


def renumbered(result: dict) -> dict:
    """Operators in the order of their first use, so that an update writes what a whole run writes."""
    order: dict[int, int] = {}

    def new(value):
        if isinstance(value, list):
            return [new(each) for each in value]
        return order.setdefault(value, len(order)) if isinstance(value, int) else value

    rows = {name: {**row, "cases": {case: new(value) for case, value in row["cases"].items()}} if "cases" in row else row
            for name, row in result["architectures"].items()}
    return {"operators": [result["operators"][number] for number in order], "architectures": rows}


def in_child(work):
    """Runs `work` in a forked process: the loader aborts on metadata that it does not like."""
    with tempfile.TemporaryFile("w+") as answer, tempfile.TemporaryFile("w+") as log:
        child = os.fork()
        if child == 0:
            os.dup2(log.fileno(), 2)
            os.dup2(log.fileno(), 1)
            signal.alarm(LONGEST)
            try:
                result = {"answer": work()}
            except BaseException as error:  # noqa: BLE001
                result = {"error": f"{type(error).__name__}: {error}"}
            answer.write(json.dumps(result))
            answer.flush()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        answer.seek(0)
        text = answer.read()
        log.seek(0)
        lines = log.read()
    return status, json.loads(text) if text else None, lines


def reason(status: int, result: dict | None, log: str) -> str:
    """The loader's own words, without places in memory or files."""
    for pattern in (r"GGML_ASSERT\((.*)\) failed", r"error loading model[^:]*: (.*)", r"failed to initialize the context: (.*)",
                    r"llama_init_from_model: (.*)", r"llama_decode: (.*)"):
        found = re.search(pattern, log)
        if found:
            return found[1].strip()
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
        return f"the graph does not end within {LONGEST} s"
    return result["error"] if result else f"the process ends with status {status}"


def probe(engine: Engine, name: str, case: str, verbose: bool) -> dict:
    values, tensors, n_ctx = metadata_of(name, case)
    status, result, log = in_child(lambda: engine.ropes(values, tensors, n_ctx))
    if result is None or "error" in result:
        if verbose:
            print(log[-6000:], result)
        return {"fails": reason(status, result, log)}
    count, created, ran = result["answer"]
    if verbose:
        for rope in ran:
            print(rope)
    return {"layers": count, "tensors": [key for key in created if key in tensors], "ran": ran}


def table(engine: Engine, names: list[str], known: dict) -> dict:
    described: list[dict] = list(known["operators"])
    operators = {key_of(row): number for number, row in enumerate(described)}

    def number_of(rope: dict) -> int:
        stated = {key: value for key, value in rope.items() if key not in ("op", "name", "layer") and value is not None}
        if stated["mode"] not in (MROPE, IMROPE):
            stated.pop("sections")
        row = {**stated, "mode": MODES[stated["mode"]]}
        key = key_of(row)
        if key not in operators:
            operators[key] = len(described)
            described.append({**row, "measured": measured(engine.ggml, rope)})
        return operators[key]

    def layers_of(name: str, found: dict, others: set[str]):
        """The operator of each layer: its number, several if queries and keys differ, or null; one value if all agree."""
        # An operator of no elements copies.
        main, other = main_and_other([rope for rope in found["ran"] if rope["n_dims"] > 0])
        others |= {"an indexer's" if rope["name"].startswith("node_") else rope["name"] for rope in other}
        layers: list[list[int]] = [[] for _ in range(found["layers"])]
        for rope in main:
            if rope["layer"] is None:
                raise RuntimeError(f"{name}: a rope of no layer: {rope}")
            number = number_of(rope)
            if number not in layers[rope["layer"]]:
                layers[rope["layer"]].append(number)
        short = [None if not each else each[0] if len(each) == 1 else each for each in layers]
        return short[0] if all(each == short[0] for each in short) and not isinstance(short[0], list) else short

    rows = dict(known["architectures"])
    for name in names:
        why = skipped(name)
        if why:
            rows[name] = {"notProbed": why}
            continue
        cases, others, tensors = {}, set(), {}
        for case in CASES:
            found = probe(engine, name, case, False)
            if "fails" in found:
                cases[case] = {"fails": found["fails"]}
                continue
            cases[case] = layers_of(name, found, others)
            if found["tensors"]:
                tensors[case] = found["tensors"]
        if all(isinstance(value, dict) for value in cases.values()):
            raise RuntimeError(f"{name}: {cases['plain']['fails']}")
        rows[name] = {"noRope": True} if all(value is None for value in cases.values() if not isinstance(value, dict)) else {
            "metadata": {key: value for key, value in metadata_of(name, "plain")[0].items() if is_relevant(key)},
            **({"tensors": tensors} if tensors else {}), **({"other": sorted(others)} if others else {}), "cases": cases,
        }
        print(name, flush=True)
    return {"operators": described, "architectures": rows}


RELEVANT = re.compile(
    r"^general\.architecture$|\.(block_count|context_length|embedding_length|rope\..*|attention\.(head_count|head_count_kv"
    r"|key_length|value_length|key_length_swa|value_length_swa|key_length_mla|kv_lora_rank|sliding_window|sliding_window_pattern|rope_pattern"
    r"|compress_.*|indexer\.key_length|recurrent_layers)|full_attention_interval|leading_dense_block_count|nextn_predict_layers|hyper_connection\.count)$")


def is_relevant(key: str) -> bool:
    return RELEVANT.search(key) is not None


def text_of(result: dict) -> str:
    def line(value) -> str:
        return json.dumps(value, separators=(",", ":"))

    def rows(named) -> str:
        return ",\n".join(f"    {line(key)}: {line(value)}" for key, value in named)

    operators = ",\n".join(f"    {line(value)}" for value in result["operators"])
    source = json.dumps(result["source"], indent=2).replace("\n", "\n  ")
    return (
        f'{{\n  "source": {source},\n  "tensors": {line(result["tensors"])},\n'
        f'  "cases": {{\n{rows(result["cases"].items())}\n  }},\n  "operators": [\n{operators}\n  ],\n'
        f'  "architectures": {{\n{rows(result["architectures"].items())}\n  }}\n}}\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m census.llama_cpp", description=__doc__)
    parser.add_argument("--only", nargs="*", help="architectures; prints their operators and writes nothing")
    parser.add_argument("--update", nargs="*", help="architectures to run again; the others keep their rows")
    parser.add_argument("--case", nargs="*", help="cases, with --only")
    options = parser.parse_args()
    engine = Engine()
    names = architectures()
    if options.only:
        for name in options.only:
            for case in options.case or CASES:
                found = probe(engine, name, case, True)
                print(name, case, {key: value for key, value in found.items() if key != "ran"})
        return
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if options.update else {"operators": [], "architectures": {}}
    result = table(engine, options.update or names, known)
    result = renumbered({**result, "architectures": {name: result["architectures"][name] for name in names}})
    ggml = engine.ggml.base
    result = {
        "source": {
            "engine": "ggml-org/llama.cpp", "package": "llama-cpp-python 0.3.36",
            "version": f"ggml {ggml.ggml_version().decode()} ({re.sub('-dirty$', '', ggml.ggml_commit().decode())})",
            "build": BUILD,
            "command": "LLAMA_CPP_PYTHON=<folder> GGML_LIBRARIES=<folder> python -m census.llama_cpp",
        },
        "tensors": TENSORS,
        "cases": CASES,
        **result,
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(text_of(result), encoding="utf-8")
    print(RESULTS.stat().st_size, "bytes")


if __name__ == "__main__":
    main()

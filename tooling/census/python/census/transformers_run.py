"""Every model type of transformers' CONFIG_MAPPING, run."""

import copy
import gc
import json
import logging
import math
import platform
import re
import sys
import time
import warnings

import torch
import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from .models import NoModel, at, build, limit, small, text_path
from .text import Result, alike, examine, near
from .switches import SWITCHES
from .towers import rotary_parts, tower
from .variants import changes

LIMIT = 120  # seconds of processor time
NOISE = re.compile(
    r"^(transformers_version|dtype|torch_dtype|architectures|initializer_\w+|\w*dropout\w*|id2label|label2id|output_\w+|return_dict|"
    r"problem_type|chunk_size_feed_forward|use_cache|\w*token_ids?|\w*token_index|_name_or_path|\w*vocab_size|hidden_act|"
    r"\w*norm_eps\w*|tie_\w+|is_decoder|\w*activation\w*|attn_implementation|_attn_implementation|\w*bias|tokenizer_class|\w*router\w*|"
    r"pruned_heads|_experts_implementation|\w*jitter\w*|pretraining_tp|scale_embedding|\w*layerdrop|\w*loss\w*|"
    r"std_\w+|init_\w+|\w*_std|num_labels|layer_norm_epsilon|epsilon|\w*expert_capacity\w*|mask_\w+|\w*_prob|\w*codebook\w*)$"
)


def cleaned(value, inner: bool = False):
    if isinstance(value, dict):
        return {str(key): cleaned(item, True) for key, item in value.items() if not NOISE.match(str(key))}
    if isinstance(value, list):
        return [cleaned(item, True) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def shortened(config, path: list[str]) -> dict:
    """`to_dict`, and of the parts that are not the text model only the name."""
    whole = cleaned(config.to_dict())
    node = whole
    for key in [*path, None]:
        for name, value in list(node.items()):
            if name != key and isinstance(value, dict) and ("model_type" in value) and key is not None:
                node[name] = {"model_type": value["model_type"]}
        if key is not None:
            node = node[key]
    return whole


def saved(config) -> dict:
    return json.loads(config.to_json_string(use_diff=True))


class Frequencies:
    """Lists that agree within the accuracy of the measurement are kept once."""

    def __init__(self):
        self.lists: dict[str, list[float]] = {}

    def name(self, values: list[float]) -> str:
        for name, known in self.lists.items():
            if near(known, values, 2e-6, 3e-11):
                return name
        name = f"f{len(self.lists)}"
        self.lists[name] = [float(f"{value:.9g}") for value in values]
        return name


def listed(rope: dict) -> dict:
    """Frequencies with nine digits."""
    short = {**rope}
    if "frequencies" in short:
        short["frequencies"] = [float(f"{value:.9g}") for value in short["frequencies"]]
    if isinstance(short.get("key"), dict):
        short["key"] = listed(short["key"])
    return short


def named(value, frequencies: Frequencies):
    """The lists of frequencies anywhere in it, by name."""
    if isinstance(value, dict):
        return {
            key: frequencies.name(item) if key == "frequencies" and isinstance(item, list) else named(item, frequencies)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [named(item, frequencies) for item in value]
    return value


def assembled(models: dict) -> dict:
    frequencies = Frequencies()
    models = {name: named(models[name], frequencies) for name in sorted(models)}
    return {
        "source": {
            "engine": "transformers",
            "version": transformers.__version__,
            "torch": torch.__version__.split("+")[0],
            "python": platform.python_version(),
            "command": "python -m census transformers",
            "cpu": torch.backends.cpu.get_cpu_capability(),
        },
        "frequencies": frequencies.lists,
        "models": models,
    }


def unnamed(result: dict) -> dict:
    """The models of a result, as a journal has them: lists of frequencies instead of their names."""

    def restored(value):
        if isinstance(value, dict):
            return {key: result["frequencies"][item] if key == "frequencies" else restored(item) for key, item in value.items()}
        return [restored(item) for item in value] if isinstance(value, list) else value

    return restored(result["models"])


def written(result: Result) -> dict:
    found = {"status": result.status}
    if result.reason:
        found["reason"] = result.reason
    if result.status in ("rotates", "none") and result.layers:
        found["layers"] = result.layers
        others = {name or "?": marks for name, marks in result.stacks.items() if name != result.main}
        if result.axes:
            found["axes"] = result.axes
        if any(mark is not None for mark in result.indexers or []):
            found["indexers"] = result.indexers
        if others:
            found["stack"] = result.main
            found["otherStacks"] = others
        found["ropes"] = [listed(rope) for rope in result.ropes]
    if result.notes:
        found["notes"] = result.notes
    return found


def probe(config, axes: bool) -> tuple[str, Result]:
    """Builds and runs the text model of a configuration; float64, and float32 where the class cannot."""
    text = at(config, text_path(config))
    model = build(text).double()
    try:
        return type(model).__name__, examine(model, text, axes)
    except (RuntimeError, TypeError) as error:
        if not re.search("dtype|Double|double|scalar type|overflow", str(error)):
            raise
        return type(model).__name__, examine(model.float(), text, axes)


def loaded(values: dict):
    """As a user's file is loaded."""
    return CONFIG_MAPPING[values["model_type"]].from_dict(copy.deepcopy(values))


def one(model_type: str, variants: bool) -> dict:
    entry: dict = {"part": "text"}
    try:
        with limit(LIMIT):
            for narrow in (True, False):
                made = small(model_type, narrow)
                file = saved(made)
                try:
                    config = loaded(file)
                except Exception:  # noqa: BLE001 - not every class reads what it writes
                    config = made
                    entry["unreadable"] = True
                path = text_path(config)
                try:
                    entry["class"], result = probe(config, True)
                    break
                except RuntimeError as error:
                    if not narrow or "shape" not in str(error) and "size" not in str(error):
                        raise
            entry["path"] = path
        entry.update(written(result))
        entry["saved"] = cleaned(file)
        entry["full"] = shortened(config, path)
        if variants and not path and not entry.get("unreadable") and (entry["status"] == "rotates" or model_type in SWITCHES):
            entry["variants"] = tried(model_type, config, file, path, entry)
    except NoModel as error:
        entry.update(status="notProbed", reason=" ".join(str(error).split()))
    except Exception as error:  # noqa: BLE001 - the reason is the result
        message = re.sub(r"<module '([\w.]+)' from '[^']*'>", r"\1", " ".join(str(error).split()))
        entry.update(status="notProbed", reason=f"{type(error).__name__}: {message[:200]}")
        if "--trace" in sys.argv:
            raise
    if not entry.get("path"):
        entry.pop("path", None)
    if entry["status"] == "notProbed":
        if entry["reason"] == "it takes no tokens":
            entry["part"] = "vision"
        return of_tower(model_type) or entry
    return entry


def of_tower(model_type: str) -> dict | None:
    """The entry of a model type whose class is a vision or audio tower; None if it is none or cannot be run."""
    try:
        with limit(LIMIT):
            config = CONFIG_MAPPING[model_type]()
            if rotary_parts(config) is None:
                return None
            entry = tower(config)
    except Exception:  # noqa: BLE001 - the reason of the text model stands
        if "--trace" in sys.argv:
            raise
        return None
    entry["ropes"] = [listed(rope) for rope in entry.get("ropes", [])]
    file = cleaned(saved(CONFIG_MAPPING[model_type]()))
    return {**entry, "saved": file, "full": cleaned(config.to_dict())}


class Heard(logging.Handler):
    def __init__(self):
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record):
        self.messages.append(record.getMessage())


HEARD = Heard()


def tried(model_type: str, config, file: dict, path: list[str], default: dict) -> dict:
    found = {}
    text = at(config, path)
    for name, change in changes(model_type, text, bool(path)).items():
        put, unset = change["set"], change.get("unset", [])
        node = file
        for key in path:
            node = node.get(key, {})
        if path:
            inner = {key: value for key, value in {**node, **put}.items() if key not in unset}
            put, unset = {path[0]: inner}, []
            for key in reversed(path[1:]):
                put = {path[0]: {**file.get(path[0], {}), key: inner}}
            if len(path) > 2:
                continue
        entry: dict = {"set": cleaned(put)}
        left_out = [key for key in unset if key in file]
        if left_out:
            entry["unset"] = left_out
        HEARD.messages.clear()
        try:
            with limit(LIMIT):
                changed = loaded({key: value for key, value in {**file, **put}.items() if key not in unset})
                answer = written(probe(changed, False)[1])
            if equal(answer, without_axes(default)):
                entry["same"] = True
            else:
                entry.update({key: value for key, value in answer.items() if key != "notes"})
        except Exception as error:  # noqa: BLE001
            entry["refused"] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        warned = sorted({" ".join(message.split())[:160] for message in HEARD.messages if re.search("rope|rotary", message, re.I)})
        if warned:
            entry["warned"] = warned[0]
        found[name] = entry
    return found


def equal(one: dict, two: dict) -> bool:
    if any(one.get(key) != two.get(key) for key in ("status", "layers", "otherStacks", "indexers")):
        return False
    mine, yours = one.get("ropes", []), two.get("ropes", [])
    return len(mine) == len(yours) and all(alike(a, b) for a, b in zip(mine, yours))


def without_axes(entry: dict) -> dict:
    return {**entry, "ropes": [{key: value for key, value in rope.items() if key != "axes"} for rope in entry.get("ropes", [])]}


def run(names: list[str] | None, variants: bool = True, journal=None) -> dict:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(False)
    logger = logging.getLogger("transformers")
    logger.handlers, logger.propagate = [HEARD], False
    transformers.logging.set_verbosity_warning()
    logging.getLogger("transformers").handlers = [HEARD]
    warnings.simplefilter("ignore")
    models = {}
    for count, name in enumerate(names or sorted(CONFIG_MAPPING.keys())):
        start = time.time()
        models[name] = one(name, variants)
        if journal is not None:
            print(json.dumps({name: models[name]}), file=journal, flush=True)
        if count % 20 == 19:
            gc.collect()
        print(f"{name}: {models[name]['status']} {models[name].get('reason', '')} {time.time() - start:.1f} s", file=sys.stderr, flush=True)
    return assembled(models)
